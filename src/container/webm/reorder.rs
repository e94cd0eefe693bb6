//! Decoding times of codecs with B-frames: Matroska stores presentation times only (RFC 9559 §11).
//!
//! Blocks come in decoding order. If at most `depth` pictures come before one and are shown after it, the picture shown as the
//! n-th is known once n + `depth` have come. Picture number n + `depth` then gets the n-th presentation time as its decoding time: the
//! times increase, none is later than the presentation time, and no picture has to be held back. The first `depth` pictures get
//! times before the first presentation time, one duration apart. The depth is the one that the parameter sets tell
//! (`max_num_reorder_frames`, `sps_max_num_reorder_pics`); where they do not, it is assumed and grows when it proves too small.

use crate::time::Ticks;

/// Depth where an H.264 stream does not tell: two for a pyramid of B-frames. Too large a depth only moves decoding times.
const ASSUMED: usize = 2;

/// Largest depth: the most frames of a decoded picture buffer.
const MAX: usize = 16;

/// Gives decoding times to pictures one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Reorder {
    depth: usize,
    /// Presentation times that have come and have not become decoding times, ascending; at most `depth` + 1.
    waiting: Vec<Ticks>,
    last: Option<Ticks>,
    /// Pictures since the start or the last jump.
    count: usize,
}

impl Reorder {
    /// `depth` as the parameter sets tell it.
    pub fn new(depth: Option<u8>) -> Self {
        Self { depth: depth.map_or(ASSUMED, usize::from).min(MAX), ..Self::default() }
    }

    /// Forgets the past, for a time line that does not go on.
    pub fn reset(&mut self) {
        *self = Self { depth: self.depth, ..Self::default() };
    }

    /// The decoding time of the next picture in decoding order, which is shown at `pts`. `duration`: ticks of a picture, about.
    pub fn place(&mut self, pts: Ticks, sync: bool, duration: Ticks) -> Ticks {
        if self.depth == 0 {
            return pts;
        }
        // Far before what was given out, at a keyframe: another time line.
        let far = duration.saturating_mul(4 * MAX as Ticks);
        if sync && self.last.is_some_and(|last| pts < last.saturating_sub(far)) {
            self.reset();
        }
        let at = self.waiting.partition_point(|t| *t <= pts);
        self.waiting.insert(at, pts);
        self.count += 1;
        let dts = if self.count <= self.depth {
            let ahead = (self.depth + 1 - self.count) as Ticks;
            let first = self.waiting.first().copied().unwrap_or(pts);
            let place = first.saturating_sub(ahead.saturating_mul(duration));
            // A picture that is shown before the very first one comes too late to move it.
            self.last.map_or(place, |last| place.max(last.saturating_add(1)))
        } else {
            let next = self.waiting.first().copied().unwrap_or(pts);
            if self.last.is_some_and(|last| next <= last) && self.depth < MAX {
                // The depth is larger than told: this picture waits for one more.
                self.depth += 1;
                self.last.map_or(next, |last| last.saturating_add(1))
            } else {
                self.waiting.remove(0);
                self.last.map_or(next, |last| next.max(last.saturating_add(1)))
            }
        };
        self.last = Some(dts);
        dts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(depth: Option<u8>, pts: &[Ticks]) -> Vec<Ticks> {
        let mut reorder = Reorder::new(depth);
        pts.iter().enumerate().map(|(i, t)| reorder.place(*t, i == 0, 40)).collect()
    }

    #[test]
    fn decoding_times_increase_and_come_before_presentation() {
        // I B-pyramid P, as x264 writes it: depth 2.
        let pts = [0, 160, 80, 40, 120, 320, 240, 200, 280];
        assert_eq!(placed(Some(2), &pts), [-80, -40, 0, 40, 80, 120, 160, 200, 240]);
        assert_eq!(placed(Some(0), &[0, 40, 80]), [0, 40, 80]);
        assert_eq!(placed(Some(1), &[0, 80, 40, 160, 120]), [-40, 0, 40, 80, 120]);
    }

    #[test]
    fn a_depth_that_is_too_small_grows() {
        let pts = [0, 320, 160, 80, 40, 120, 240, 200, 280, 640, 480, 400, 360, 440];
        let dts = placed(Some(1), &pts);
        assert!(dts.is_sorted_by(|a, b| a < b), "{dts:?}");
        assert!(dts.iter().zip(&pts).skip(6).all(|(d, p)| d <= p), "{dts:?}");
    }

    #[test]
    fn another_time_line_begins_anew() {
        let mut reorder = Reorder::new(Some(1));
        for t in [100_000, 100_080, 100_040] {
            reorder.place(t, t == 100_000, 40);
        }
        assert_eq!([reorder.place(0, true, 40), reorder.place(80, false, 40)], [-40, 0]);
    }
}
