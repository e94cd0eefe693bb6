//! Times of audio: FLV counts milliseconds, a frame of AAC lasts 21.33 or 23.22 of them.

use crate::time::Ticks;

/// Counts audio in samples, and follows the time stamps where they really move.
///
/// Rounded to milliseconds, frames that follow one another without a gap have gaps and overlaps of up to a millisecond, and some
/// engines play those (Firefox fills gaps of more than a sample with silence). So frames are counted on as long as that agrees with
/// the time stamp to half a frame; where it does not, the time stamp counts. The error never adds up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AudioClock {
    next: Option<Ticks>,
}

impl AudioClock {
    /// Time of a frame in samples: `stamp` is in milliseconds, `duration` and the result in ticks of `rate` a second.
    pub fn place(&mut self, stamp: Ticks, duration: u32, rate: u32) -> Ticks {
        let told = (stamp.saturating_mul(rate.into()) + 500) / 1000;
        // And 2 ms for rounding of both.
        let tolerance = Ticks::from(duration / 2 + rate / 500);
        let time = match self.next {
            Some(next) if next.abs_diff(told) <= tolerance.unsigned_abs() => next,
            _ => told,
        };
        self.next = Some(time.saturating_add(duration.into()));
        time
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_rounded_stamps_has_neither_gaps_nor_drift() {
        let mut clock = AudioClock::default();
        for frame in 0..155_000i64 {
            let stamp = frame * 1024 * 1000 / 44_100;
            assert_eq!(clock.place(stamp, 1024, 44_100), frame * 1024);
        }
    }

    #[test]
    fn lost_frames_and_jumps_are_followed() {
        let mut clock = AudioClock::default();
        assert_eq!(clock.place(1000, 1024, 48_000), 48_000);
        assert_eq!(clock.place(1021, 1024, 48_000), 49_024);
        assert_eq!(clock.place(1064, 1024, 48_000), 51_072, "a frame is missing");
        assert_eq!(clock.place(500, 1024, 48_000), 24_000);
        // A source whose clock is slow by 1 in 100 is followed in steps of half a frame.
        for i in 1..1000i64 {
            let stamp = 500 + i * 1034 / 48;
            let off = clock.place(stamp, 1024, 48_000) - stamp * 48;
            assert!(off.abs() <= 512 + 96 + 48, "{off}");
        }
    }
}
