//! The search for start codes, the hot loop of the demuxer: 16 bytes at a step where the target has vectors.

/// Position of the first `00 00 01` that lies wholly in `data` at or after `from`.
///
/// Emulation prevention keeps `00 00` out of coded data but for start codes and `00 00 03` (ISO/IEC 14496-10 §7.4.1), so two
/// zeros in a row are rare: the vector loop looks for those alone and leaves the rest to [`scalar`].
#[inline]
pub fn find(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // One byte more than a block, for the comparison with the next byte.
    while let Some(window) = data.get(at..at + 17) {
        if has_zero_pair(window) {
            // The pair may start at any of the 16 places; its third byte may lie one byte beyond the window.
            if let Some(found) = scalar(&data[..data.len().min(at + 18)], at) {
                return Some(found);
            }
        }
        at += 16;
    }
    scalar(data, at)
}

/// Sixteen bytes at a step, by the target's vectors.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod block {
    use core::arch::wasm32::{i8x16_eq, u8x16_splat, v128, v128_any_true, v128_load, v128_or, v128_store};

    pub type Block = v128;

    /// # Safety
    /// 16 bytes are readable at `from`; no alignment is asked for.
    #[inline(always)]
    pub unsafe fn load(from: *const u8) -> Block {
        // SAFETY: as the caller says.
        unsafe { v128_load(from.cast()) }
    }

    /// # Safety
    /// 16 bytes are writable at `to`; no alignment is asked for.
    #[inline(always)]
    pub unsafe fn store(to: *mut u8, block: Block) {
        // SAFETY: as the caller says.
        unsafe { v128_store(to.cast(), block) }
    }

    /// Marks the places where both have a zero.
    #[inline(always)]
    pub fn both_zero(a: Block, b: Block) -> Block {
        i8x16_eq(v128_or(a, b), u8x16_splat(0))
    }

    #[inline(always)]
    pub fn or(a: Block, b: Block) -> Block {
        v128_or(a, b)
    }

    #[inline(always)]
    pub fn any(marks: Block) -> bool {
        v128_any_true(marks)
    }
}

/// Sixteen bytes at a step, by the target's vectors.
#[cfg(target_arch = "x86_64")]
mod block {
    use core::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_setzero_si128,
        _mm_storeu_si128,
    };

    pub type Block = __m128i;

    /// # Safety
    /// 16 bytes are readable at `from`; no alignment is asked for.
    #[inline(always)]
    pub unsafe fn load(from: *const u8) -> Block {
        // SAFETY: as the caller says; SSE2 is part of x86-64.
        unsafe { _mm_loadu_si128(from.cast()) }
    }

    /// # Safety
    /// 16 bytes are writable at `to`; no alignment is asked for.
    #[inline(always)]
    pub unsafe fn store(to: *mut u8, block: Block) {
        // SAFETY: as the caller says; SSE2 is part of x86-64.
        unsafe { _mm_storeu_si128(to.cast(), block) }
    }

    /// Marks the places where both have a zero.
    #[inline(always)]
    pub fn both_zero(a: Block, b: Block) -> Block {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_cmpeq_epi8(_mm_or_si128(a, b), _mm_setzero_si128()) }
    }

    #[inline(always)]
    pub fn or(a: Block, b: Block) -> Block {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_or_si128(a, b) }
    }

    #[inline(always)]
    pub fn any(marks: Block) -> bool {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_movemask_epi8(marks) != 0 }
    }
}

/// Sixteen bytes at a step, on targets without vectors that this code knows.
#[cfg(not(any(all(target_arch = "wasm32", target_feature = "simd128"), target_arch = "x86_64")))]
mod block {
    pub type Block = [u8; 16];

    /// # Safety
    /// 16 bytes are readable at `from`.
    #[inline(always)]
    pub unsafe fn load(from: *const u8) -> Block {
        // SAFETY: as the caller says; a byte array has no alignment.
        unsafe { from.cast::<Block>().read() }
    }

    /// # Safety
    /// 16 bytes are writable at `to`.
    #[inline(always)]
    pub unsafe fn store(to: *mut u8, block: Block) {
        // SAFETY: as the caller says; a byte array has no alignment.
        unsafe { to.cast::<Block>().write(block) }
    }

    /// Marks the places where both have a zero.
    #[inline(always)]
    pub fn both_zero(a: Block, b: Block) -> Block {
        std::array::from_fn(|i| u8::from(a[i] | b[i] == 0))
    }

    #[inline(always)]
    pub fn or(a: Block, b: Block) -> Block {
        std::array::from_fn(|i| a[i] | b[i])
    }

    #[inline(always)]
    pub fn any(marks: Block) -> bool {
        marks != [0; 16]
    }
}

/// Whether two zeros in a row start in the first 16 of 17 bytes.
#[inline(always)]
fn has_zero_pair(window: &[u8]) -> bool {
    debug_assert!(window.len() >= 17);
    let from = window.as_ptr();
    // SAFETY: the only caller gives 17 bytes, so both loads of 16 are within them.
    unsafe { block::any(block::both_zero(block::load(from), block::load(from.add(1)))) }
}

/// Payload of a packet that has nothing else.
pub const PAYLOAD: usize = 184;

/// Appends a payload to `out` and looks for zeros on the way: `false`, and nothing is appended, if two in a row are in it.
/// One pass in the registers in place of a search and a copy, which small `memory.copy`s of WebAssembly make dear.
#[inline(always)]
pub fn append_unless_zero_pair(payload: &[u8; PAYLOAD], out: &mut Vec<u8>) -> bool {
    out.reserve(PAYLOAD);
    let from = payload.as_ptr();
    // SAFETY: `reserve` made room for 184 bytes behind `len`. Loads end at most at 160 + 1 + 16 and 168 + 16, stores at 160 + 16
    // and 168 + 16, all within 184; payload and spare capacity cannot overlap, for `out` is borrowed mutably.
    // The length grows only after all 184 were written: 11 blocks, and a last one that overlaps them.
    unsafe {
        let to = out.as_mut_ptr().add(out.len());
        let last = block::load(from.add(168));
        block::store(to.add(168), last);
        let mut marks = block::both_zero(block::load(from.add(167)), last);
        let mut at = 0;
        while at < 176 {
            let here = block::load(from.add(at));
            block::store(to.add(at), here);
            marks = block::or(marks, block::both_zero(here, block::load(from.add(at + 1))));
            at += 16;
        }
        if block::any(marks) {
            return false;
        }
        out.set_len(out.len() + PAYLOAD);
    }
    true
}

fn scalar(data: &[u8], from: usize) -> Option<usize> {
    data.get(from..)?.windows(3).position(|w| w == [0, 0, 1]).map(|i| from + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_start_code_at_every_place_of_every_length() {
        for len in 0..70usize {
            for at in 0..len {
                let mut data = vec![0xa5u8; len];
                for (i, b) in [0, 0, 1].into_iter().enumerate() {
                    if let Some(d) = data.get_mut(at + i) {
                        *d = b;
                    }
                }
                let expected = (at + 3 <= len).then_some(at);
                assert_eq!(find(&data, 0), expected, "len {len} at {at}");
                assert_eq!(find(&data, at.min(1)), expected, "len {len} at {at}");
                assert_eq!(find(&data, at + 1), None);
            }
        }
    }

    #[test]
    fn a_payload_is_appended_whole_or_not_at_all() {
        let mut payload = [0u8; PAYLOAD];
        for (i, b) in payload.iter_mut().enumerate() {
            *b = i as u8 | 1;
        }
        let mut out = vec![7];
        assert!(append_unless_zero_pair(&payload, &mut out));
        assert_eq!(out[0], 7);
        assert_eq!(out[1..], payload);
        for at in 0..PAYLOAD - 1 {
            let mut with_pair = payload;
            with_pair[at] = 0;
            let single = append_unless_zero_pair(&with_pair, &mut out);
            with_pair[at + 1] = 0;
            assert!(single && !append_unless_zero_pair(&with_pair, &mut out), "pair at {at}");
        }
        assert_eq!(out.len(), 1 + PAYLOAD * PAYLOAD);
    }

    #[test]
    fn zeros_that_start_no_code_are_passed_over() {
        let mut data = [0, 0, 3, 0, 0, 2, 0, 0].repeat(40);
        assert_eq!(find(&data, 0), None);
        data.extend([0, 0, 0, 1]);
        assert_eq!(find(&data, 0), Some(data.len() - 3));
        assert_eq!(find(&[0; 300], 0), None);
    }
}
