//! Which representation to fetch next.
//!
//! Up goes what the throughput carries. Down goes only what the buffer cannot carry: while it is well filled, a quality above
//! the throughput is kept until the buffer would fall to its reserve within the horizon. Between the two lies the hysteresis. With
//! a full buffer, surplus throughput that is too little for the next quality is spent on it for a while. (In the manner of
//! DYNAMIC, which switches between a throughput rule and BOLA's buffer rule: Spiteri, Sitaraman, Sparacio, "From Theory to
//! Practice", MMSys 2018. One rule with a look ahead does both here and needs no logarithms.)

use super::bola::bola;
use super::tuned::Tuned;
use crate::time::Seconds;

/// Share of the estimate that a quality may need to be switched to. Larger: higher quality, more switches back.
pub(super) static UP: Tuned = Tuned::new(0.8);

/// Share of the estimate that the present quality may need whatever the buffer is. Larger than [`UP`], so that an estimate which
/// wavers by 15 % changes nothing. Larger still: stalls on a falling link.
pub(super) static KEEP: Tuned = Tuned::new(0.95);

/// Share of the estimate before anything is measured. Larger: a better first picture, and a later one.
pub(super) static START: Tuned = Tuned::new(0.5);

/// Share of the buffer that the next segment's download may use up. Larger: stalls when the estimate was too high by the inverse.
pub(super) static BUFFER_SHARE: Tuned = Tuned::new(0.7);

/// Seconds looked ahead when the present quality needs more than the link gives. Origin: replays of recorded links (3G, LTE,
/// DSL); 16 had a tenth more switches, 24 a fifth more, for hardly fewer stalls. Larger: gives way earlier.
pub(super) static HORIZON: Tuned = Tuned::new(10.0);

/// Seconds of buffer that are kept for what cannot be foreseen: about what one segment takes that meets a sudden drop.
/// No more than [`RESERVE_SHARE`] of the target. Larger: gives way earlier.
pub(super) static RESERVE: Tuned = Tuned::new(8.0);

/// See [`RESERVE`]: for small targets, as of live streams.
pub(super) static RESERVE_SHARE: Tuned = Tuned::new(0.4);

/// With a full buffer, a quality above the throughput is taken if the buffer will carry it for this long (seconds). Larger: fewer
/// switches, surplus unused.
pub(super) static WORTHWHILE: Tuned = Tuned::new(60.0);

/// How full "full" is, as a share of the target.
pub(super) static FULL: Tuned = Tuned::new(0.8);

/// Share of a segment's duration that it may take to come once more, in a better quality. Larger: better pictures, more stalls.
pub static IMPROVING: Tuned = Tuned::new(0.8);

/// [`KEEP`] where segments come as they are made. Larger: fewer switches, more stalls.
const KEEP_AT_EDGE: f64 = 0.9;

/// Decisions without a switch up after a download was given up: the estimate still holds bytes from before the drop. Larger: slower
/// recovery.
const HOLD: u8 = 2;

/// How qualities are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// As this module says.
    #[default]
    Default,
    /// The highest that the throughput carries.
    Throughput,
    /// By the buffer, see [`super::bola`].
    Bola,
}

impl Rule {
    /// By its public name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Default, Self::Throughput, Self::Bola].into_iter().find(|rule| rule.as_str() == name)
    }

    /// Its public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Throughput => "throughput",
            Self::Bola => "bola",
        }
    }
}

/// Why a quality was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// First choice.
    Start,
    /// Nothing changes.
    Keep,
    /// The link carries more.
    ThroughputUp,
    /// The link carries less and the buffer does not make up for it.
    ThroughputDown,
    /// The buffer is full enough for more than the link carries.
    BufferHigh,
    /// The buffer would run dry during the next segment.
    BufferLow,
    /// The cap is below the present quality.
    Cap,
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index into the ladder.
    pub index: usize,
    /// Why.
    pub reason: Reason,
}

/// All that a choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// How to choose.
    pub rule: Rule,
    /// Bit/s of the usable representations, ascending; not empty.
    pub ladder: &'a [u64],
    /// Sizes in bytes of the next segment in each of them.
    pub next_sizes: &'a [u64],
    /// What was fetched last, as an index into the ladder; `None` at the start.
    pub current: Option<usize>,
    /// Highest index allowed.
    pub cap: usize,
    /// Seconds buffered ahead of the playhead.
    pub buffer: Seconds,
    /// Seconds that are to be kept buffered.
    pub buffer_target: Seconds,
    /// Bit/s, see [`super::Estimator`].
    pub estimate: f64,
    /// `playbackRate` (1 while paused: that will end).
    pub rate: f64,
    /// What comes next is being made: there will never be more buffered than there is.
    pub paced: bool,
    /// Nothing plays yet, or nothing is buffered after a seek: the next segment is waited for.
    pub startup: bool,
}

/// Chooses representations. Knows nothing but the situation and whether a download was given up lately.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    hold: u8,
}

impl Selector {
    /// Has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A download was given up: the next choices do not go up.
    pub fn abandoned(&mut self) {
        self.hold = HOLD;
    }

    /// Chooses what to fetch next.
    pub fn choose(&mut self, s: &Situation) -> Decision {
        let top = s.cap.min(s.ladder.len().saturating_sub(1));
        let hold = self.hold > 0;
        self.hold = self.hold.saturating_sub(1);
        let Some(current) = s.current else {
            return Decision { index: s.highest(top, |i| s.load(i) <= START.get()), reason: Reason::Start };
        };
        if current > top {
            let index = s.highest(top, |i| s.load(i) <= UP.get() || s.carries(i, HORIZON.get()));
            return Decision { index, reason: Reason::Cap };
        }
        if s.rule != Rule::Default {
            let fits = s.highest(top, |i| s.load(i) <= UP.get());
            let by_buffer =
                (s.rule == Rule::Bola && !s.startup).then(|| bola(s, top, fits, current)).flatten();
            let index = by_buffer.unwrap_or(fits);
            let reason = match (index > current, by_buffer.is_some()) {
                _ if index == current => Reason::Keep,
                (true, false) => Reason::ThroughputUp,
                (false, false) => Reason::ThroughputDown,
                (true, true) => Reason::BufferHigh,
                (false, true) => Reason::BufferLow,
            };
            return Decision { index, reason };
        }
        if s.paced && !s.startup {
            return s.choose_at_edge(top, current, hold);
        }
        let up = s.highest(top, |i| s.load(i) <= UP.get() && s.in_time(i));
        if up > current {
            let allowed = !hold && !s.startup;
            let (index, reason) = if allowed { (up, Reason::ThroughputUp) } else { (current, Reason::Keep) };
            return Decision { index, reason };
        }
        if !s.in_time(current) {
            let index = s.highest(current.saturating_sub(1), |i| s.load(i) <= UP.get() && s.in_time(i));
            let reason = if index == current { Reason::Keep } else { Reason::BufferLow };
            return Decision { index, reason };
        }
        if s.load(current) > KEEP.get() && !s.carries(current, HORIZON.get()) {
            // Twice the horizon, so that the next quality down is not left at once for the one after it.
            let index = s.highest(current.saturating_sub(1), |i| {
                s.load(i) <= UP.get() || s.carries(i, 2.0 * HORIZON.get())
            });
            let reason = if index == current { Reason::Keep } else { Reason::ThroughputDown };
            return Decision { index, reason };
        }
        let next = current + 1;
        if next <= top
            && !hold
            && s.buffer >= FULL.get() * s.buffer_target
            && s.in_time(next)
            && s.carries(next, WORTHWHILE.get())
        {
            return Decision { index: next, reason: Reason::BufferHigh };
        }
        Decision { index: current, reason: Reason::Keep }
    }
}

impl Situation<'_> {
    /// The rule where segments come as they are made: a buffer of a second carries nothing, and a segment takes its own duration to come
    /// however fast the link is.
    fn choose_at_edge(&self, top: usize, current: usize, hold: bool) -> Decision {
        let fits = self.highest(top, |i| self.load(i) <= UP.get());
        let (index, reason) = if fits > current && !hold {
            (fits, Reason::ThroughputUp)
        } else if fits < current && self.load(current) > KEEP_AT_EDGE {
            (fits, Reason::ThroughputDown)
        } else {
            (current, Reason::Keep)
        };
        Decision { index, reason }
    }

    /// Seconds that the next segment of this quality is expected to take, and those after which fetching it would have the buffer down to
    /// its reserve.
    pub fn plan(&self, i: usize) -> (Seconds, Seconds) {
        let loss = self.loss(i);
        let lasts = if loss > 0.0 { (self.buffer - self.reserve()).max(0.0) / loss } else { f64::INFINITY };
        (self.seconds(i), lasts)
    }

    /// The share of the link that playing this quality takes.
    fn load(&self, i: usize) -> f64 {
        self.ladder.get(i).map_or(f64::INFINITY, |b| *b as f64 * self.rate.max(0.1) / self.estimate.max(1.0))
    }

    /// The highest up to `top` that passes; else the lowest.
    fn highest(&self, top: usize, passes: impl Fn(usize) -> bool) -> usize {
        (0..=top).rev().find(|i| passes(*i)).unwrap_or(0)
    }

    /// Whether the next segment will be there before the buffer is down to what is left for errors. At the start there is no
    /// buffer to lose.
    fn in_time(&self, i: usize) -> bool {
        if self.startup {
            return true;
        }
        self.seconds(i) * self.rate.max(0.1) <= self.buffer * BUFFER_SHARE.get()
    }

    fn seconds(&self, i: usize) -> Seconds {
        self.next_sizes.get(i).map_or(0.0, |bytes| *bytes as f64 * 8.0) / self.estimate.max(1.0)
    }

    fn reserve(&self) -> Seconds {
        RESERVE.get().min(RESERVE_SHARE.get() * self.buffer_target)
    }

    /// Media seconds that go minus media seconds that come, per second.
    fn loss(&self, i: usize) -> f64 {
        self.rate.max(0.1) * (1.0 - 1.0 / self.load(i).max(1.0))
    }

    /// Whether the buffer stays above its reserve for so many seconds of fetching this quality.
    fn carries(&self, i: usize, seconds: Seconds) -> bool {
        self.buffer - self.loss(i) * seconds >= self.reserve()
    }
}
