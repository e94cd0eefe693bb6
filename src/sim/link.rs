//! The link: bytes of running responses over time.
//!
//! Each request waits a round trip for its first byte; from then on the responses that are under way share the capacity evenly,
//! and what one does not need goes to the others. Times are exact: between two changes of a share everything is linear.

use super::random::Random;
use super::trace::Trace;
use crate::time::Seconds;

/// What the link is beyond its trace. The default adds nothing: the definitions of recorded sets have no more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkOptions {
    /// After [`IDLE`] without a byte, begin with a small window that doubles each round trip, as TCP does.
    pub slow_start: bool,
    /// A new connection costs one more round trip: one request at a time uses each, and what is given up closes its own.
    pub connections: bool,
    /// Up to this much is added to each round trip, at random.
    pub jitter: Seconds,
    /// Share of the responses that come from a cache: at once, without the link.
    pub cache: f64,
    /// What is random depends on this and the name of the trace.
    pub seed: u64,
}

/// Seconds without a byte after which TCP forgets its pace: the least retransmission time-out (RFC 6298 §2.4, RFC 5681 §4.1).
const IDLE: Seconds = 1.0;
/// Bytes of the first window (RFC 6928).
const FIRST_WINDOW: f64 = 14_600.0;
/// Bytes of a window that limits nothing any more.
const LARGE_WINDOW: f64 = 64e6;
/// Seconds that a cache needs.
const CACHE: Seconds = 0.002;
/// Bytes that are given out at once: of one packet, and of what a browser reads at most.
const CHUNK: (f64, f64) = (1460.0, 262_144.0);
/// Seconds for which bytes gather until they are given out. Smaller: closer to a browser, and slower.
const GATHER: Seconds = 0.04;
/// Bytes that rounding may lose.
const SLACK: f64 = 1e-3;

/// What the link has for the player. All name the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The head of a response.
    Head(u32),
    /// Bytes from..to of a body.
    Body(u32, u64, u64),
    /// That was all of it.
    End(u32),
}

#[derive(Debug)]
struct Transfer {
    id: u32,
    head_at: Seconds,
    told: bool,
    length: u64,
    carried: f64,
    delivered: u64,
    cached: bool,
}

impl Transfer {
    /// It takes its share of the link at a time.
    fn active(&self, at: Seconds) -> bool {
        !self.cached && self.head_at <= at && self.length as f64 - self.carried > 0.0
    }
}

/// TCP's window, while it limits.
#[derive(Debug)]
struct Window {
    bytes: f64,
    until: Seconds,
}

/// A link that follows a trace. Time only goes forward.
#[derive(Debug)]
pub struct Link<'a> {
    trace: &'a Trace,
    options: LinkOptions,
    random: Random,
    at: Seconds,
    step: usize,
    step_end: Seconds,
    window: Option<Window>,
    last_byte: Seconds,
    /// Connections that are open and unused.
    idle: u32,
    transfers: Vec<Transfer>,
}

impl<'a> Link<'a> {
    /// The link at time 0 of its trace.
    pub fn new(trace: &'a Trace, options: &LinkOptions) -> Self {
        Self {
            trace,
            options: options.clone(),
            random: Random::named(options.seed, &trace.id),
            at: 0.0,
            step: 0,
            step_end: trace.steps[0].seconds,
            window: None,
            last_byte: -IDLE,
            idle: 0,
            transfers: Vec::new(),
        }
    }

    /// Sends a request whose response has so many bytes. `cacheable`: it may come from a cache, where the options say so.
    pub fn request(&mut self, now: Seconds, id: u32, length: u64, cacheable: bool) {
        self.advance(now);
        let cached = cacheable && self.options.cache > 0.0 && self.random.unit() < self.options.cache;
        let jitter = if self.options.jitter > 0.0 { self.random.unit() * self.options.jitter } else { 0.0 };
        let trips = if self.options.connections && self.idle == 0 { 2.0 } else { 1.0 };
        let wait = if cached { CACHE } else { trips * self.trace.rtt + jitter };
        if !cached {
            self.idle = self.idle.saturating_sub(1);
        }
        let carried = if cached { length as f64 } else { 0.0 };
        self.transfers.push(Transfer {
            id,
            head_at: now + wait,
            told: false,
            length,
            carried,
            delivered: 0,
            cached,
        });
    }

    /// Cancels a request; unknown ones are ignored. What was on its way is lost.
    pub fn abort(&mut self, now: Seconds, id: u32) {
        self.advance(now);
        self.transfers.retain(|t| t.id != id);
    }

    /// Capacity now, in kbit/s.
    pub fn kbps(&self) -> f64 {
        self.trace.steps[self.step].kbps
    }

    /// Bytes per second of each active response, and how many there are.
    fn share(&self) -> (f64, usize) {
        let count = self.transfers.iter().filter(|t| t.active(self.at)).count();
        let mut rate = self.kbps() * 125.0;
        if let Some(window) = &self.window {
            rate = rate.min(window.bytes / self.trace.rtt.max(1e-3));
        }
        (rate / count.max(1) as f64, count)
    }

    /// Opens or begins the window anew at the present time.
    fn step_window(&mut self, active: bool) {
        if !self.options.slow_start {
            return;
        }
        if active && self.at - self.last_byte >= IDLE {
            self.window = Some(Window { bytes: FIRST_WINDOW, until: self.at + self.trace.rtt });
        }
        if let Some(window) = &mut self.window {
            while window.until <= self.at {
                window.bytes *= 2.0;
                window.until += self.trace.rtt.max(1e-3);
            }
            if window.bytes > LARGE_WINDOW {
                self.window = None;
            }
        }
        if active {
            self.last_byte = self.at;
        }
    }

    /// Lets the link carry bytes up to `now`.
    pub fn advance(&mut self, now: Seconds) {
        loop {
            // At the end, too: `next` must not name a change that is already here.
            let any = self.transfers.iter().any(|t| t.active(self.at));
            self.step_window(any);
            if self.at >= now {
                return;
            }
            let (share, count) = self.share();
            let mut until = now.min(self.step_end);
            for t in &self.transfers {
                if t.head_at > self.at {
                    until = until.min(t.head_at);
                } else if t.active(self.at) && share > 0.0 {
                    until = until.min(self.at + (t.length as f64 - t.carried) / share);
                }
            }
            if let Some(window) = self.window.as_ref().filter(|_| count > 0) {
                until = until.min(window.until);
            }
            // Rounding must not stop the clock.
            let until = until.max(self.at + 1e-9).min(now);
            let bytes = share * (until - self.at);
            for t in self.transfers.iter_mut().filter(|t| t.active(self.at)) {
                t.carried += bytes;
                if t.carried + SLACK >= t.length as f64 {
                    t.carried = t.length as f64;
                }
            }
            if count > 0 {
                self.last_byte = until;
            }
            self.at = until;
            while self.at >= self.step_end {
                self.step = (self.step + 1) % self.trace.steps.len();
                self.step_end += self.trace.steps[self.step].seconds;
            }
        }
    }

    /// When something happens next, as seen from the last [`Link::advance`]: a delivery, or a change after which to ask again.
    pub fn next(&self) -> Seconds {
        let (share, count) = self.share();
        let mut soonest = if count > 0 { self.step_end } else { f64::INFINITY };
        if let Some(window) = self.window.as_ref().filter(|_| count > 0) {
            soonest = soonest.min(window.until);
        }
        for t in &self.transfers {
            let at = if !t.told {
                t.head_at
            } else if t.delivered >= t.length || t.carried + SLACK >= t.goal(share) {
                self.at
            } else if share > 0.0 {
                self.at + (t.goal(share) - t.carried) / share
            } else {
                f64::INFINITY
            };
            soonest = soonest.min(at.max(self.at));
        }
        soonest
    }

    /// One thing that has come by `now`; call until `None`.
    pub fn poll(&mut self, now: Seconds) -> Option<Delivery> {
        self.advance(now);
        let (share, _) = self.share();
        for i in 0..self.transfers.len() {
            let t = &mut self.transfers[i];
            if !t.told {
                if t.head_at <= now {
                    t.told = true;
                    return Some(Delivery::Head(t.id));
                }
            } else if t.delivered >= t.length {
                let t = self.transfers.remove(i);
                self.idle += u32::from(!t.cached);
                return Some(Delivery::End(t.id));
            } else if t.carried + SLACK >= t.goal(share) {
                let from = t.delivered;
                t.delivered = ((t.carried + SLACK) as u64).min(t.length).min(from + CHUNK.1 as u64);
                return Some(Delivery::Body(t.id, from, t.delivered));
            }
        }
        None
    }
}

impl Transfer {
    /// Bytes that have to be there until the next are given out.
    fn goal(&self, share: f64) -> f64 {
        (self.delivered as f64 + (share * GATHER).clamp(CHUNK.0, CHUNK.1).floor()).min(self.length as f64)
    }
}
