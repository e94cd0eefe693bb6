//! SegmentTimeline (ISO/IEC 23009-1 §5.3.9.6) as runs of equal segments, from the first byte to the player.
//!
//! The `SegmentTimeline` of the `dash-mpd` crate is a `Vec<S>` with one entry of optional fields per `S` element: it is not
//! run-length encoded across elements, and must be filled through one string-keyed map per entry.

use crate::manifest::TimelineRun;
use crate::time::Ticks;

/// More segments than this in one representation are taken for an attack or a defect: it is 11 days of 100 ms segments.
pub(super) const MAX_SEGMENTS: u64 = 10_000_000;

/// The runs of one SegmentTimeline, in order of time, without overlaps in their starts.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub runs: Vec<TimelineRun>,
    /// The last run goes on until the period ends (`@r="-1"`).
    pub open: bool,
    /// `@n` of the first entry.
    pub first_number: Option<u64>,
    faults: Faults,
}

/// What was wrong with entries: each is reported once.
#[derive(Debug, Default)]
struct Faults {
    no_duration: bool,
    backwards: bool,
    overlap: bool,
    number: bool,
    open: bool,
}

impl Timeline {
    /// Adds an `S` element. Equal neighbours become one run.
    pub fn push(&mut self, time: Option<u64>, duration: Option<u64>, repeat: i64, number: Option<u64>) {
        let Some(duration) = duration.and_then(|d| Ticks::try_from(d).ok()).filter(|&d| d > 0) else {
            self.faults.no_duration = true;
            return;
        };
        let time = time.and_then(|t| Ticks::try_from(t).ok());
        if let Some(time) = time {
            self.end_last_at(time);
        } else if self.open {
            self.faults.open = true;
        }
        self.open = false;
        let start = match (time, self.runs.last()) {
            (Some(time), Some(last)) if time <= last.time => {
                self.faults.backwards = true;
                return;
            }
            (Some(time), _) => time,
            (None, last) => last.map_or(0, end_of),
        };
        let first = self.runs.last().map_or(0, |l| l.first.saturating_add(l.count));
        let mut gaps = self.runs.last().map_or(0, |l| l.gaps);
        match (number, self.first_number) {
            (Some(n), None) if first == 0 => self.first_number = Some(n),
            (Some(n), Some(n0)) if n >= n0.saturating_add(first).saturating_add(gaps) => {
                gaps = n.saturating_sub(n0.saturating_add(first));
            }
            (Some(_), _) => self.faults.number = true,
            (None, _) => {}
        }
        self.open = repeat < 0;
        // Ticks of the last segment's end must not overflow, whatever @r says.
        let mut count = (repeat.max(0) as u64).saturating_add(1);
        let fits = |count| duration.checked_mul(Ticks::try_from(count).ok()?)?.checked_add(start);
        if fits(count).is_none() {
            count = ((Ticks::MAX - start) / duration) as u64;
        }
        if count == 0 {
            self.faults.no_duration = true;
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.duration == duration && end_of(last) == start && last.gaps == gaps => {
                last.count = last.count.saturating_add(count);
            }
            _ => self.runs.push(TimelineRun { time: start, duration, count, first, gaps }),
        }
    }

    /// Fits the last run to the start of the next: an open one lasts until there, one that laps over is shortened.
    fn end_last_at(&mut self, next: Ticks) {
        let Some(last) = self.runs.last_mut() else { return };
        let end = end_of(last);
        if self.open && next > end {
            last.count = segments_until(last, next);
        } else if next < end && next > last.time {
            // Encoders round: a hair of overlap is common. Segments that would start at or after `next` are left out.
            let count = segments_until(last, next);
            if count < last.count {
                self.faults.overlap = true;
                last.count = count;
            }
        }
    }

    /// Tells once what was wrong.
    pub fn report(&mut self, warnings: &mut Vec<String>) {
        let faults = std::mem::take(&mut self.faults);
        for (fault, what) in [
            (faults.no_duration, "SegmentTimeline: entries without a usable @d were left out."),
            (faults.backwards, "SegmentTimeline: entries that go back in time were left out."),
            (faults.overlap, "SegmentTimeline: segments that lap over the next entry were left out."),
            (faults.number, "SegmentTimeline: @n that does not go on from the first entry was left out."),
            (faults.open, "SegmentTimeline: a negative @r is not followed by @t; taken for 0."),
        ] {
            if fault {
                warnings.push(what.into());
            }
        }
    }
}

/// Where a run ends, in ticks.
pub(super) fn end_of(run: &TimelineRun) -> Ticks {
    run.time.saturating_add(run.duration.saturating_mul(Ticks::try_from(run.count).unwrap_or(Ticks::MAX)))
}

/// Segments of a run that start before `next`, which is after the run's start.
pub(super) fn segments_until(run: &TimelineRun, next: Ticks) -> u64 {
    let length = next - run.time;
    (length / run.duration + Ticks::from(length % run.duration != 0)) as u64
}
