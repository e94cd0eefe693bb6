//! Throughput of the link, from bytes as they arrive.
//!
//! What is measured is bytes over the time in which any response was arriving, so parallel requests do not halve it and waiting
//! for a first byte does not lower it. Two averages forget by bytes, not by time: a fast link is then believed as soon as a
//! slow one. The lower of both counts.

use super::tuned::Tuned;
use crate::time::Seconds;

/// Half-lives of the two averages, in segments of the present quality. Origin: simulated steps between 0.7 and 5 Mbit/s, where
/// two segments have to show the step. Larger: steadier and later.
pub(super) static HALF_LIVES: [Tuned; 2] = [Tuned::new(0.35), Tuned::new(0.7)];

/// Lower limits of the half-lives in bytes: four and eight round trips' worth of a start-up window (10 × 1460 bytes, RFC 6928),
/// so that the burst of one congestion window is no sample. Larger: slower on the lowest rungs.
const MIN_HALF_LIVES: [f64; 2] = [58_400.0, 116_800.0];

/// Bytes after which the initial value is forgotten; until then it is blended in. As the above.
const TRUSTED_BYTES: f64 = 116_800.0;

/// Responses shorter than this (bytes) are no measure: they fit into one congestion window and arrive at once on any link.
const TINY: f64 = 16_000.0;

/// A body that arrives in less than this (seconds) came from a cache or was waiting in a buffer. Disk caches need 1 to 10 ms.
/// Larger: more cache hits are found, fast links are believed later.
const INSTANT: Seconds = 0.01;

/// A response that was slower than this (seconds, the wait for its first byte included) is no cache hit.
const SURELY_NETWORK: Seconds = 0.06;

/// How many times faster than the estimate a short response must be to look like a cache hit.
const IMPLAUSIBLE: f64 = 5.0;

/// After so many responses in a row that look like cache hits the link is that fast, as on a LAN. Larger: later on fast links;
/// smaller: a replayed start is taken for a fast link.
const PATIENCE: u32 = 3;

/// A response that stands still for longer (seconds) is given up: such a time is the sleep of the machine.
const LONGEST: Seconds = 10.0;

/// Estimates throughput. Times are on the player's clock, in seconds.
#[derive(Clone, Debug)]
pub struct Estimator {
    initial: f64,
    averages: [Average; 2],
    /// Bytes that went into the averages.
    seen: f64,
    segment_bytes: f64,
    requests: Vec<Request>,
    last: Seconds,
    suspects: u32,
    /// Bytes of chunks that are too few by themselves, and the seconds that they took.
    chunks: (f64, Seconds),
}

/// Bytes and seconds, both forgotten at the same pace: their quotient is a mean over the recent past.
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    bytes: f64,
    seconds: f64,
}

#[derive(Clone, Debug)]
struct Request {
    id: u32,
    started: Seconds,
    first_byte: Option<Seconds>,
    /// Size of the first chunk where it does not count: when its transfer began is not known.
    head: f64,
    /// Bytes that count and are not in the averages yet.
    bytes: f64,
    /// Its share of the busy time that is not in the averages yet.
    seconds: f64,
    /// It is known not to be a cache hit, so what comes goes into the averages at once.
    trusted: bool,
    /// Another response arrived at the same time.
    shared: bool,
}

impl Estimator {
    /// Starts from a guess in bit/s.
    pub fn new(initial_bps: f64) -> Self {
        Self {
            initial: initial_bps.max(1.0),
            averages: [Average::default(); 2],
            seen: 0.0,
            segment_bytes: 0.0,
            requests: Vec::new(),
            last: 0.0,
            suspects: 0,
            chunks: (0.0, 0.0),
        }
    }

    /// How large the segments are that are being fetched (video, where there is video): the measure of how fast to forget.
    pub fn set_segment_bytes(&mut self, bytes: u64) {
        self.segment_bytes = bytes as f64;
    }

    /// A request goes out.
    pub fn request_started(&mut self, id: u32, now: Seconds) {
        self.advance(now);
        self.requests.push(Request {
            id,
            started: now,
            first_byte: None,
            head: 0.0,
            bytes: 0.0,
            seconds: 0.0,
            trusted: false,
            shared: false,
        });
    }

    /// Bytes of a response's body arrived. Unknown ids are ignored.
    pub fn bytes(&mut self, id: u32, now: Seconds, count: usize) {
        self.advance(now);
        let busy = self.requests.iter().any(|r| r.first_byte.is_some());
        let Some(r) = self.requests.iter_mut().find(|r| r.id == id) else { return };
        match r.first_byte {
            // On an idle link the time in which the first chunk was transferred is not known: it is where the measure begins.
            None => {
                r.first_byte = Some(now);
                r.shared = busy;
                *(if busy { &mut r.bytes } else { &mut r.head }) += count as f64;
            }
            Some(first) => {
                r.bytes += count as f64;
                r.trusted |= r.bytes >= TINY && now - first >= INSTANT && now - r.started >= SURELY_NETWORK;
            }
        }
        if r.trusted {
            let (bytes, seconds) = (std::mem::take(&mut r.bytes), std::mem::take(&mut r.seconds));
            self.suspects = 0;
            self.add(bytes, seconds);
        }
    }

    /// Nothing more is heard of the requests that go on: their load has ended.
    pub fn forget_requests(&mut self) {
        self.requests.clear();
    }

    /// A response is complete, or the request was given up or failed: what had arrived counts all the same.
    pub fn request_done(&mut self, id: u32, now: Seconds) {
        self.advance(now);
        let Some(at) = self.requests.iter().position(|r| r.id == id) else { return };
        let mut r = self.requests.swap_remove(at);
        if r.bytes < TINY && !r.trusted && !r.shared {
            // It came in one go, as on a fast link to a busy page. The link is at least as fast as the wait for it allows.
            (r.bytes, r.seconds) = (r.bytes + r.head, now - r.started);
            if r.bytes < TINY || r.bytes * 8.0 <= self.estimate(now) * r.seconds {
                return;
            }
        }
        let Some(first) = r.first_byte else { return };
        let rate = r.bytes * 8.0 / r.seconds.max(1e-6);
        let implausible =
            now - r.started < SURELY_NETWORK && rate > self.estimate(now) * IMPLAUSIBLE && self.seen > 0.0;
        if !r.trusted && r.bytes >= TINY && (now - first < INSTANT || implausible) {
            self.suspects += 1;
            if self.suspects < PATIENCE {
                return;
            }
        }
        self.add(r.bytes, r.seconds.max(1e-4));
    }

    /// So many bytes came in one go, of a response that waits for its source in between, and all of them but the first ones, of which nobody
    /// knows how long they were on their way, in so many seconds. Small chunks count together.
    pub fn chunk(&mut self, bytes: u64, (rest, seconds): (u64, Seconds)) {
        if rest == 0 {
            return;
        }
        self.chunks.0 += bytes as f64;
        self.chunks.1 += seconds * bytes as f64 / rest as f64;
        if self.chunks.0 < TINY {
            return;
        }
        let (bytes, seconds) = std::mem::take(&mut self.chunks);
        self.suspects = if seconds < INSTANT { self.suspects + 1 } else { 0 };
        // They were waiting in a buffer, or the link is that fast.
        if seconds >= INSTANT || self.suspects >= PATIENCE {
            self.add(bytes, seconds.max(INSTANT));
        }
    }

    /// Bit/s. While a response stands still the estimate falls.
    pub fn estimate(&self, now: Seconds) -> f64 {
        self.spread(now).0
    }

    /// The estimate, and the higher of the two averages.
    pub fn spread(&self, now: Seconds) -> (f64, f64) {
        let receiving = self.requests.iter().any(|r| r.first_byte.is_some());
        let silent = if receiving { self.passed(now) } else { 0.0 };
        let (mut bytes, mut seconds) = (0.0, silent);
        for r in self.requests.iter().filter(|r| r.trusted) {
            bytes += r.bytes;
            seconds += r.seconds;
        }
        let (mut lowest, mut highest) = (f64::INFINITY, 0.0_f64);
        for (average, half_life) in self.averages.iter().zip(self.half_lives()) {
            let mut average = *average;
            average.add(bytes, seconds, half_life);
            if average.seconds > 0.0 {
                let rate = average.bytes * 8.0 / average.seconds;
                (lowest, highest) = (lowest.min(rate), highest.max(rate));
            }
        }
        if !lowest.is_finite() || self.seen <= 0.0 {
            return (self.initial, self.initial);
        }
        let trust = (self.seen / TRUSTED_BYTES).min(1.0);
        let blend = |rate: f64| rate * trust + self.initial * (1.0 - trust);
        (blend(lowest), blend(highest))
    }

    /// From 0 (nothing was measured) to 1 (two segments or more were).
    pub fn confidence(&self) -> f64 {
        let enough = (2.0 * self.segment_bytes).max(TRUSTED_BYTES);
        (self.seen / enough).min(1.0)
    }

    /// Requests that have not ended.
    pub fn in_flight(&self) -> usize {
        self.requests.len()
    }

    /// Shares the time since the last event among the responses that are arriving.
    fn advance(&mut self, now: Seconds) {
        let passed = self.passed(now);
        self.last = self.last.max(now);
        let receiving = self.requests.iter().filter(|r| r.first_byte.is_some()).count();
        if receiving == 0 || passed <= 0.0 {
            return;
        }
        for r in self.requests.iter_mut().filter(|r| r.first_byte.is_some()) {
            r.seconds += passed / receiving as f64;
            r.shared |= receiving > 1;
        }
    }

    /// Seconds since the last event.
    fn passed(&self, now: Seconds) -> Seconds {
        let passed = (now - self.last).max(0.0);
        if passed > LONGEST { 0.0 } else { passed }
    }

    fn half_lives(&self) -> [f64; 2] {
        let [a, b] = [0, 1].map(|i: usize| (HALF_LIVES[i].get() * self.segment_bytes).max(MIN_HALF_LIVES[i]));
        [a, b]
    }

    fn add(&mut self, bytes: f64, seconds: f64) {
        let half_lives = self.half_lives();
        for (average, half_life) in self.averages.iter_mut().zip(half_lives) {
            average.add(bytes, seconds, half_life);
        }
        self.seen += bytes;
    }
}

impl Average {
    fn add(&mut self, bytes: f64, seconds: f64, half_life: f64) {
        let keep = decay(bytes / half_life * std::f64::consts::LN_2);
        // The new bytes themselves are forgotten in the course of a long sample, too.
        let counts =
            if bytes > 0.0 { (1.0 - keep) * half_life / (std::f64::consts::LN_2 * bytes) } else { 1.0 };
        self.bytes = self.bytes * keep + bytes * counts;
        self.seconds = self.seconds * keep + seconds * counts;
    }
}

/// e^-x within 2 % where it matters, without the tables of the mathematical library.
fn decay(x: f64) -> f64 {
    let mut y = 1.0 / (1.0 + x / 64.0 + x * x / 8192.0);
    for _ in 0..6 {
        y *= y;
    }
    y
}
