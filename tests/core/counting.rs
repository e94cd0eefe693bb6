//! Counts the memory that the core holds: an allocator that notes of each block whether the core asked for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// In front of each block, as large as keeps any usual alignment.
const HEAD: usize = 16;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

/// The layout of a block with its head, and where the block begins.
fn with_head(layout: Layout) -> Option<(Layout, usize)> {
    let head = HEAD.max(layout.align());
    let whole = Layout::from_size_align(layout.size().checked_add(head)?, head).ok()?;
    Some((whole, head))
}

// SAFETY: every block comes from `System` with a layout that holds the head and the block, and goes back with the same one.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, head)) = with_head(layout) else { return std::ptr::null_mut() };
        // SAFETY: the size is not zero.
        let start = unsafe { System.alloc(whole) };
        if start.is_null() {
            return start;
        }
        let inside = INSIDE.try_with(Cell::get).unwrap_or(false);
        if inside {
            let _ = HELD.try_with(|held| held.set(held.get() + layout.size() as isize));
        }
        // SAFETY: `head` bytes lie before the block that is given out; the first is ours.
        unsafe {
            start.write(u8::from(inside));
            start.add(head)
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((whole, head)) = with_head(layout) else { return };
        // SAFETY: `alloc` gave the block out, `head` bytes behind what it had got.
        unsafe {
            let start = block.sub(head);
            if start.read() == 1 {
                let _ = HELD.try_with(|held| held.set(held.get() - layout.size() as isize));
            }
            System.dealloc(start, whole);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs a call into the core: what is allocated meanwhile is the core's, until it is freed, wherever that is.
pub fn inside<T>(call: impl FnOnce() -> T) -> T {
    let before = INSIDE.replace(true);
    let result = call();
    INSIDE.set(before);
    result
}

/// Bytes that the core has allocated in this thread and that are not freed.
pub fn held() -> isize {
    HELD.get()
}

#[test]
fn what_the_core_allocates_is_counted_until_it_is_freed() {
    let before = held();
    let mut ours = inside(|| vec![0u8; 1000]);
    let theirs = vec![0u8; 5000];
    assert_eq!(held() - before, 1000);
    inside(|| ours.resize(4000, 0));
    assert_eq!(held() - before, 4000);
    drop(theirs);
    drop(ours);
    assert_eq!(held() - before, 0);
}
