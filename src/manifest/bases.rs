//! Several places that have the same segments (`BaseURL`, ISO/IEC 23009-1 §5.6), and going from one to another.

use super::Representation;
use crate::time::Seconds;
use std::rc::Rc;

/// One of several places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BaseUrl {
    /// Absolute.
    pub url: String,
    /// `@serviceLocation`: places of one location fail together. Empty: the URL itself stands for it.
    pub location: String,
    /// `@availabilityTimeOffset`, summed over the levels.
    pub offset: Seconds,
    /// `@availabilityTimeComplete`.
    pub complete: Option<bool>,
    /// `@dvb:priority`: the least comes first.
    pub priority: u32,
    /// `@dvb:weight` among those of a priority.
    pub weight: u32,
}

/// The places of a representation, best first, and which is in use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bases {
    /// Empty: there is only the one that the index names.
    pub all: Rc<[BaseUrl]>,
    /// Position in `all`.
    pub current: usize,
}

impl Representation {
    /// Takes the segments from another place, the `n`th of [`Representation::bases`]. `false`: there is none such, nothing changed.
    pub fn switch_base(&mut self, n: usize) -> bool {
        let _ = n;
        false
    }
}
