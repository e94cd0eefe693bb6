//! Media bytes on their way to the browser.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Bytes that are handed on without a copy: a vector of which the first few bytes may be unused, because room was
/// reserved there for a header that turned out shorter. Reads as the slice of the used bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MediaBytes {
    vec: Vec<u8>,
    offset: usize,
}

impl MediaBytes {
    /// `vec` without its first `offset` bytes (all of them, where there are fewer).
    pub fn new(vec: Vec<u8>, offset: usize) -> Self {
        let offset = offset.min(vec.len());
        Self { vec, offset }
    }

    /// Leaves out `count` more of the first bytes (all of them, where there are fewer).
    pub fn advance(&mut self, count: usize) {
        self.offset = self.offset.saturating_add(count).min(self.vec.len());
    }
}

impl From<Vec<u8>> for MediaBytes {
    fn from(vec: Vec<u8>) -> Self {
        Self { vec, offset: 0 }
    }
}

impl Deref for MediaBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.vec[self.offset..]
    }
}

impl DerefMut for MediaBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.vec[self.offset..]
    }
}

impl fmt::Debug for MediaBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
