//! Numbers that were tuned: constants where the player plays; the simulator changes them for a session, to show what each does.

#[cfg(feature = "simulate")]
use super::{abandon, estimator, selector};

/// One of them.
#[derive(Debug)]
pub struct Tuned(f64);

impl Tuned {
    pub(super) const fn new(value: f64) -> Self {
        Self(value)
    }

    /// Its value.
    #[cfg(not(feature = "simulate"))]
    pub fn get(&self) -> f64 {
        self.0
    }

    /// Its value, or what [`tune`] has put in its place.
    #[cfg(feature = "simulate")]
    pub fn get(&self) -> f64 {
        changed::CHANGES.with_borrow(|all| {
            all.iter().find(|(i, _)| std::ptr::eq(TUNED[*i].1, self)).map_or(self.0, |(_, value)| *value)
        })
    }
}

/// All of them by name.
#[cfg(feature = "simulate")]
pub const TUNED: [(&str, &Tuned); 15] = [
    ("up", &selector::UP),
    ("keep", &selector::KEEP),
    ("start", &selector::START),
    ("share", &selector::BUFFER_SHARE),
    ("horizon", &selector::HORIZON),
    ("reserve", &selector::RESERVE),
    ("reserve-share", &selector::RESERVE_SHARE),
    ("worthwhile", &selector::WORTHWHILE),
    ("full", &selector::FULL),
    ("improving", &selector::IMPROVING),
    ("short-half-life", &estimator::HALF_LIVES[0]),
    ("long-half-life", &estimator::HALF_LIVES[1]),
    ("settled", &abandon::SETTLED),
    ("abandon-share", &abandon::BUFFER_SHARE),
    ("abandon-gain", &abandon::WORTHWHILE),
];

#[cfg(feature = "simulate")]
mod changed {
    use std::cell::RefCell;

    thread_local! {
        /// Places in [`TUNED`](super::TUNED), and what counts there.
        pub static CHANGES: RefCell<Vec<(usize, f64)>> = const { RefCell::new(Vec::new()) };
    }
}

/// What is tuned differently until this is dropped, on this thread.
#[cfg(feature = "simulate")]
#[derive(Debug)]
pub struct Changed(());

/// Puts values in place of those at these places of [`TUNED`].
#[cfg(feature = "simulate")]
pub fn tune(changes: &[(usize, f64)]) -> Changed {
    changed::CHANGES.set(changes.to_vec());
    Changed(())
}

#[cfg(feature = "simulate")]
impl Drop for Changed {
    fn drop(&mut self) {
        changed::CHANGES.take();
    }
}
