//! Media time: ticks with a timescale inside containers, seconds in presentations, ranges of what is buffered.

/// A time or duration in seconds on the presentation's timeline.
pub type Seconds = f64;

/// Seconds for people, to a tenth. The formatting of floats in the standard library weighs 7 kB on the wire.
pub fn tenths(seconds: Seconds) -> String {
    let tenths = (seconds * 10.0).round() as i64;
    let sign = if tenths < 0 { "-" } else { "" };
    let tenths = tenths.unsigned_abs();
    [sign, &(tenths / 10).to_string(), ".", &(tenths % 10).to_string()].concat()
}

/// Ticks per second of a track. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timescale(std::num::NonZeroU32);

impl Timescale {
    /// The 90 kHz clock of MPEG systems (ISO/IEC 13818-1).
    pub const MPEG: Timescale = match std::num::NonZeroU32::new(90_000) {
        Some(v) => Timescale(v),
        None => unreachable!(),
    };

    /// `None` for zero, which no container allows.
    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        match std::num::NonZeroU32::new(ticks_per_second) {
            Some(ticks) => Some(Self(ticks)),
            None => None,
        }
    }

    /// Ticks per second.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// Ticks as seconds.
    pub fn seconds(self, ticks: Ticks) -> Seconds {
        ticks as f64 / f64::from(self.get())
    }

    /// Seconds as ticks, rounded to the nearest. Saturates.
    pub fn ticks(self, seconds: Seconds) -> Ticks {
        (seconds * f64::from(self.get())).round() as Ticks
    }
}

/// A time or duration in ticks of some [`Timescale`].
pub type Ticks = i64;

/// Ticks of which `from` are a second as those of which `to` are one, to the nearest. Saturates. (Divisions of 128 bits are 1 kB of code.)
pub fn rescale(ticks: Ticks, from: u32, to: u32) -> Ticks {
    let (whole, rest) = (ticks.div_euclid(from.max(1).into()), ticks.rem_euclid(from.max(1).into()) as u64);
    let rest = (rest * u64::from(to) + u64::from(from / 2)) / u64::from(from.max(1));
    whole.saturating_mul(to.into()).saturating_add(rest as Ticks)
}

/// Seconds after which the time stamps of MPEG systems begin anew: 2^33 ticks (ISO/IEC 13818-1 §2.4.3.6).
pub const MPEG_WRAP: Seconds = (1u64 << 33) as f64 / 90_000.0;

/// Unwraps the 33-bit time stamps of MPEG systems (ISO/IEC 13818-1 §2.4.3.6) into a line without jumps.
#[derive(Clone, Debug, Default)]
pub struct PtsUnwrapper {
    last: Option<Ticks>,
}

impl PtsUnwrapper {
    /// The time stamp nearest to the last one given that equals `raw` modulo 2^33, and is not far below 0.
    pub fn unwrap(&mut self, raw: u64) -> Ticks {
        const WRAP: Ticks = 1 << 33;
        let raw = (raw as Ticks).rem_euclid(WRAP);
        let value = match self.last {
            None => raw,
            Some(last) => {
                let delta = (raw - last).rem_euclid(WRAP);
                let near = if delta >= WRAP / 2 { last + delta - WRAP } else { last + delta };
                // Far below 0 is another timeline, and fragments have no decoding times below 0.
                if near < -900_000 { near + WRAP } else { near }
            }
        };
        self.last = Some(value);
        value
    }

    /// Forgets the past, for a discontinuity.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

/// One range `[start, end)` in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeRange {
    /// First instant inside.
    pub start: Seconds,
    /// First instant after.
    pub end: Seconds,
}

/// Ordered, disjoint ranges, as `SourceBuffer.buffered` has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeRanges(Vec<TimeRange>);

impl TimeRanges {
    /// Takes ranges in order; empty ones are dropped.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (Seconds, Seconds)>) -> Self {
        Self(pairs.into_iter().filter(|(s, e)| e > s).map(|(start, end)| TimeRange { start, end }).collect())
    }

    /// All ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = &TimeRange> {
        self.0.iter()
    }

    /// Whether nothing is buffered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First start, last end.
    pub fn bounds(&self) -> Option<TimeRange> {
        Some(TimeRange { start: self.0.first()?.start, end: self.0.last()?.end })
    }

    /// The range that holds `t`, or that starts within `tolerance` after it.
    pub fn find(&self, t: Seconds, tolerance: Seconds) -> Option<TimeRange> {
        self.0.iter().copied().find(|r| t < r.end && t >= r.start - tolerance)
    }

    /// The first range that starts after `t`.
    pub fn next_after(&self, t: Seconds) -> Option<TimeRange> {
        self.0.iter().copied().find(|r| r.start > t)
    }

    /// Where the media that is playable without a gap from `t` ends; `t` itself if nothing is there. Gaps of up to
    /// `tolerance` are bridged.
    pub fn end_from(&self, t: Seconds, tolerance: Seconds) -> Seconds {
        let mut end = t;
        for r in &self.0 {
            if r.start <= end + tolerance && r.end > end {
                end = r.end;
            }
        }
        end
    }

    /// Seconds covered in all.
    pub fn total(&self) -> Seconds {
        self.0.iter().map(|r| r.end - r.start).sum()
    }

    /// What both cover.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        for a in &self.0 {
            for b in &other.0 {
                let (start, end) = (a.start.max(b.start), a.end.min(b.end));
                if end > start {
                    out.push(TimeRange { start, end });
                }
            }
        }
        Self(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_told_to_a_tenth() {
        let told = [0.0, 3.46, -0.25, 59.96, 1e9].map(tenths);
        assert_eq!(told, ["0.0", "3.5", "-0.3", "60.0", "1000000000.0"]);
    }

    #[test]
    fn time_stamps_go_on_over_the_33_bit_wrap_and_back() {
        let mut u = PtsUnwrapper::default();
        assert_eq!(u.unwrap((1 << 33) - 10), (1 << 33) - 10);
        assert_eq!(u.unwrap(20), (1 << 33) + 20);
        assert_eq!(u.unwrap((1 << 33) - 5), (1 << 33) - 5, "a B-frame from before the wrap");
    }

    #[test]
    fn buffered_end_bridges_small_gaps_only() {
        let r = TimeRanges::from_pairs([(0.0, 4.0), (4.05, 8.0), (9.0, 12.0)]);
        assert_eq!(r.end_from(1.0, 0.1), 8.0);
        assert_eq!(r.end_from(8.5, 0.1), 8.5);
        assert_eq!(r.next_after(8.0).map(|r| r.start), Some(9.0));
    }
}
