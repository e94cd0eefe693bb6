//! Presentation time and clock time (EXT-X-PROGRAM-DATE-TIME, RFC 8216bis §4.4.4.6).

use crate::time::Seconds;

/// A segment with a date.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// Of the segment.
    number: u64,
    start: Seconds,
    /// Seconds since 1970. Not a number: from here on there is no date, until the next anchor.
    date: f64,
}

/// The dates of a playlist, in order of their segments. Each holds up to the next one, and the first one backwards as well (§6.3.3).
#[derive(Clone, Debug, Default)]
pub(super) struct Dates(Vec<Anchor>);

impl Dates {
    /// Adds a date behind all others; one for a segment before that is known already.
    pub(super) fn push(&mut self, number: u64, start: Seconds, date: f64) {
        if self.0.last().is_none_or(|a| a.number < number) {
            self.0.push(Anchor { number, start, date });
        }
    }

    /// Forgets what concerns segments before `first` alone.
    pub(super) fn prune(&mut self, first: u64) {
        let kept = self.0.partition_point(|a| a.number <= first).saturating_sub(1);
        self.0.drain(..kept);
    }

    /// Moves all on the timeline.
    pub(super) fn shift(&mut self, by: Seconds) {
        for anchor in &mut self.0 {
            anchor.start += by;
        }
    }

    /// A start and its date.
    pub(super) fn any(&self) -> Option<(Seconds, f64)> {
        self.0.iter().find(|a| !a.date.is_nan()).map(|a| (a.start, a.date))
    }

    pub(super) fn date_at(&self, time: Seconds) -> Option<f64> {
        let at = self.0.partition_point(|a| a.start <= time).saturating_sub(1);
        let anchor = self.0.get(at)?;
        Some(anchor.date + (time - anchor.start)).filter(|d| !d.is_nan())
    }

    pub(super) fn time_at(&self, date: f64) -> Option<Seconds> {
        // Dates need not be in order: of several times that have it, the latest one is meant.
        let Some(at) = self.0.iter().rposition(|a| a.date <= date) else {
            let first = self.0.first().filter(|a| !a.date.is_nan())?;
            return Some(first.start + (date - first.date));
        };
        let anchor = self.0.get(at)?;
        let time = anchor.start + (date - anchor.date);
        // A date that was passed over, as while the encoder was down.
        Some(self.0.get(at + 1).map_or(time, |next| time.min(next.start)))
    }
}
