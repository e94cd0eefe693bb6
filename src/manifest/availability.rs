//! Which segments of a dynamic presentation can be had at a moment of the clock (ISO/IEC 23009-1 §5.3.9.5.3).

use super::{Presentation, SegmentRef};
use crate::time::Seconds;

/// What a template needs to know, beside its runs, to tell when its segments can be had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Availability {
    /// Seconds before its end that a segment can be had (`@availabilityTimeOffset`, summed over the levels).
    pub offset: Seconds,
    /// A segment is whole when it can be had; else it comes while it is made (`@availabilityTimeComplete="false"`).
    pub complete: bool,
    /// Start of the period on the presentation's timeline.
    pub period_start: Seconds,
    /// End of the period, where known.
    pub period_end: Option<Seconds>,
    /// The manifest lists the segments (SegmentTimeline): it may be behind or ahead of the clock.
    pub listed: bool,
}

impl Presentation {
    /// Makes every index list the segments that can be had at `now` (seconds since 1970 on the server's clock), and no others. Cheap:
    /// it may be called many times a second.
    pub fn advance(&mut self, now: f64) {
        let _ = now;
    }

    /// The first moment of the clock after `now` at which [`Presentation::advance`] lists another segment. `None`: none is known, the
    /// manifest has to be read again.
    pub fn next_available(&self, now: f64) -> Option<f64> {
        let _ = now;
        None
    }

    /// The live edge at `now`: the end of what can be had, on the presentation's timeline.
    pub fn edge(&self, now: f64) -> Option<Seconds> {
        self.window(now).map(|w| w.1)
    }

    /// What can be sought at `now`: from the start of the time-shift buffer to the live edge.
    pub fn window(&self, now: f64) -> Option<(Seconds, Seconds)> {
        let _ = now;
        None
    }
}

#[allow(dead_code)]
fn unused(_: SegmentRef) {}
