//! The network: round trips, a link that running responses share, and faults.

use super::site::{Body, Site};
use millrace::manifest::ByteRange;
use millrace::player::{FetchFailure, FetchId, FetchKind, IcyHeaders};

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// This status, with a short body.
    Status(u16),
    /// No response.
    Refused,
    /// The connection breaks after so many bytes.
    BreakAfter(usize),
    /// The body ends after so many bytes; the length that was announced says more.
    TruncateAfter(usize),
    /// The file is this short, and its length says so.
    ShortFile(usize),
    /// No byte comes after so many.
    StallAfter(usize),
    /// Nothing is heard at all.
    Silence,
    /// Bytes from here on are wrong.
    CorruptFrom(usize),
    /// Other content.
    Content(&'static [u8]),
    /// The whole file, with status 200.
    IgnoreRange,
    /// Another URL in the end.
    Redirect(&'static str),
    /// So many seconds before the head.
    Delay(f64),
    /// The server tells no length, and has no ranges.
    Endless,
    /// The same, and the connection breaks after so many bytes.
    EndlessUntil(usize),
    /// The same, and no byte comes after so many.
    EndlessSilence(usize),
}

/// A fault, for URLs that contain a text.
#[derive(Clone, Debug)]
struct Rule {
    pattern: String,
    fault: Fault,
    left: u32,
}

/// A request as it was made.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: f64,
    pub url: String,
    pub range: Option<ByteRange>,
    pub kind: FetchKind,
    /// Bytes that came.
    pub received: usize,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Running,
    Complete,
    Failed,
    Aborted,
}

struct Running {
    id: FetchId,
    /// Place in the record.
    record: usize,
    head_at: f64,
    head_sent: bool,
    status: u16,
    url: String,
    content_type: &'static str,
    body: Body,
    announced: Option<u64>,
    /// Bytes that the link has carried.
    carried: f64,
    delivered: u64,
    end: End,
    /// The player does not read it.
    paused: bool,
    /// The server says that it has ranges.
    ranges: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    Failed(FetchFailure),
    Never,
}

/// What the network has for the player.
pub enum Delivery {
    Head {
        id: FetchId,
        status: u16,
        url: String,
        content_type: &'static str,
        length: Option<u64>,
        ranges: bool,
        icy: Option<IcyHeaders>,
    },
    Body {
        id: FetchId,
        data: Vec<u8>,
    },
    End {
        id: FetchId,
    },
    Failed {
        id: FetchId,
        failure: FetchFailure,
    },
}

/// Bytes that buffers on the way take while the player does not read.
const WINDOW: u64 = 64 * 1024;

pub struct Network {
    pub site: Site,
    pub rtt: f64,
    /// Bytes that come at once.
    pub chunk: usize,
    /// (from, bit/s), in order.
    pub rates: Vec<(f64, f64)>,
    rules: Vec<Rule>,
    running: Vec<Running>,
    /// The server's clock less this one: the machine slept, and its own stood still.
    pub skew: f64,
    pub requests: Vec<Request>,
    now: f64,
}

impl Network {
    pub fn new(site: Site) -> Self {
        Self {
            site,
            rtt: 0.04,
            chunk: 16 * 1024,
            rates: vec![(0.0, 10e6)],
            rules: Vec::new(),
            running: Vec::new(),
            skew: 0.0,
            requests: Vec::new(),
            now: 0.0,
        }
    }

    /// Adds a fault for the next `times` requests whose URL contains `pattern`.
    pub fn fault(&mut self, pattern: &str, fault: Fault, times: u32) {
        self.rules.push(Rule { pattern: pattern.to_owned(), fault, left: times });
    }

    /// No faults any more.
    pub fn heal(&mut self) {
        self.rules.clear();
    }

    /// Time goes by in which nothing is carried.
    pub fn skip(&mut self, seconds: f64) {
        self.now += seconds;
    }

    fn rate_at(&self, t: f64) -> f64 {
        self.rates.iter().rev().find(|(from, _)| *from <= t + 1e-12).map_or(0.0, |(_, rate)| *rate)
    }

    pub fn start(&mut self, now: f64, id: FetchId, url: &str, range: Option<ByteRange>, kind: FetchKind) {
        self.advance(now);
        self.requests.push(Request {
            at: now,
            url: url.to_owned(),
            range,
            kind,
            received: 0,
            outcome: Outcome::Running,
        });
        let mut fault = None;
        if let Some(rule) = self.rules.iter_mut().find(|r| r.left > 0 && url.contains(&r.pattern)) {
            rule.left -= 1;
            fault = Some(rule.fault.clone());
        }
        let target = match &fault {
            Some(Fault::Redirect(to)) => (*to).to_owned(),
            _ => url.to_owned(),
        };
        let found = self.site.answer(&target, now + self.skew);
        let (mut status, content_type, whole, at) = match found {
            Some((content_type, body, at)) => (200, content_type, body, at - self.skew),
            None => (404, "text/html", Body::of(*b"<html>not found</html>"), now),
        };
        let mut body = whole;
        let no_ranges = matches!(
            fault,
            Some(Fault::IgnoreRange | Fault::Endless | Fault::EndlessUntil(_) | Fault::EndlessSilence(_))
        );
        match &fault {
            Some(Fault::Content(bytes)) => body = Body::of(*bytes),
            Some(Fault::ShortFile(n)) => body.truncate(*n),
            Some(Fault::CorruptFrom(n)) => {
                body = body.spoilt(*n as u64, |b| b.wrapping_mul(31).wrapping_add(97));
            }
            _ => {}
        }
        if status == 200
            && let Some(range) = range
            && !no_ranges
        {
            let end = range.last.map_or(body.length, |l| l.saturating_add(1)).min(body.length);
            if range.first < end {
                body = body.range(range.first, end);
                status = 206;
            } else {
                body.truncate(0);
                status = 416;
            }
        }
        let mut end = End::Good;
        let mut head_at = (now + self.rtt).max(at + self.rtt / 2.0);
        let mut announced = Some(body.length);
        match fault {
            Some(Fault::Status(s)) => {
                status = s;
                body = Body::of(*b"<html>error</html>");
                announced = Some(body.length);
            }
            Some(Fault::Refused) => {
                status = 0;
                end = End::Failed(FetchFailure::Network);
            }
            Some(Fault::BreakAfter(n)) => {
                body.truncate(n);
                end = End::Failed(FetchFailure::Truncated);
            }
            Some(Fault::TruncateAfter(n)) => {
                body.truncate(n);
                end = End::Failed(FetchFailure::Truncated);
            }
            Some(Fault::StallAfter(n)) => {
                body.truncate(n);
                end = End::Never;
            }
            Some(Fault::Silence) => head_at = f64::INFINITY,
            Some(Fault::Delay(seconds)) => head_at += seconds,
            Some(Fault::Endless) => announced = None,
            Some(Fault::EndlessUntil(n)) => {
                body.truncate(n);
                announced = None;
                end = End::Failed(FetchFailure::Network);
            }
            Some(Fault::EndlessSilence(n)) => {
                body.truncate(n);
                announced = None;
                end = End::Never;
            }
            _ => {}
        }
        if !(200..300).contains(&status) && status != 0 {
            announced = Some(body.length);
        }
        self.running.push(Running {
            id,
            record: self.requests.len() - 1,
            head_at,
            head_sent: false,
            status,
            url: target,
            content_type,
            body,
            announced,
            carried: 0.0,
            delivered: 0,
            end,
            paused: false,
            ranges: !no_ranges,
        });
    }

    /// The player stops or goes on reading.
    pub fn pause(&mut self, now: f64, id: FetchId, paused: bool) {
        self.advance(now);
        let r = self.running.iter_mut().find(|r| r.id == id).expect("a response that is open");
        assert_ne!(r.paused, paused, "paused or resumed twice");
        r.paused = paused;
    }

    /// Responses that are not read at present.
    pub fn paused(&self) -> usize {
        self.running.iter().filter(|r| r.paused).count()
    }

    pub fn abort(&mut self, now: f64, id: FetchId) {
        self.advance(now);
        if let Some(i) = self.running.iter().position(|r| r.id == id) {
            let gone = self.running.remove(i);
            self.requests[gone.record].outcome = Outcome::Aborted;
        }
    }

    /// Requests that have not been answered or aborted.
    pub fn open(&self) -> usize {
        self.running.len()
    }

    fn active(r: &Running) -> bool {
        let room = !r.paused || (r.carried as u64) < r.delivered + WINDOW;
        r.head_sent && room && (r.carried as u64) < r.body.length
    }

    /// Lets the link carry bytes up to `now`.
    fn advance(&mut self, now: f64) {
        while self.now < now {
            let count = self.running.iter().filter(|r| Self::active(r)).count();
            let next_rate = self.rates.iter().map(|(t, _)| *t).find(|t| *t > self.now + 1e-12);
            let until = next_rate.map_or(now, |t| t.min(now));
            if count > 0 {
                let share = self.rate_at(self.now) / 8.0 / count as f64;
                for r in self.running.iter_mut().filter(|r| Self::active(r)) {
                    r.carried = (r.carried + share * (until - self.now)).min(r.body.length as f64 + 1e-6);
                }
            }
            self.now = until;
        }
    }

    /// When something will happen.
    pub fn next(&self) -> f64 {
        let count = self.running.iter().filter(|r| Self::active(r)).count().max(1);
        let share = self.rate_at(self.now) / 8.0 / count as f64;
        let mut soonest = f64::INFINITY;
        for r in &self.running {
            let t = if !r.head_sent {
                r.head_at
            } else if r.paused {
                f64::INFINITY
            } else if r.delivered >= r.body.length {
                if r.end == End::Never { f64::INFINITY } else { self.now }
            } else {
                let goal = (r.delivered + self.chunk as u64).min(r.body.length) as f64;
                if share > 0.0 {
                    self.now + ((goal - r.carried) / share).max(0.0) + 1e-9
                } else {
                    f64::INFINITY
                }
            };
            soonest = soonest.min(t);
        }
        if let Some(change) = self.rates.iter().map(|(t, _)| *t).find(|t| *t > self.now + 1e-12)
            && self.running.iter().any(Self::active)
        {
            soonest = soonest.min(change);
        }
        soonest
    }

    /// One thing that has come by `now`.
    pub fn poll(&mut self, now: f64) -> Option<Delivery> {
        self.advance(now);
        for i in 0..self.running.len() {
            let r = &mut self.running[i];
            if !r.head_sent {
                if r.head_at > now {
                    continue;
                }
                r.head_sent = true;
                if r.status == 0 {
                    let gone = self.running.remove(i);
                    self.requests[gone.record].outcome = Outcome::Failed;
                    return Some(Delivery::Failed { id: gone.id, failure: FetchFailure::Network });
                }
                return Some(Delivery::Head {
                    id: r.id,
                    status: r.status,
                    url: r.url.clone(),
                    content_type: r.content_type,
                    length: r.announced,
                    ranges: r.ranges,
                    icy: self.site.icy(&r.url),
                });
            }
            if r.paused {
                continue;
            }
            let goal = (r.delivered + self.chunk as u64).min(r.body.length);
            if r.delivered < r.body.length {
                if r.carried + 1e-3 < goal as f64 {
                    continue;
                }
                let data = r.body.read(r.delivered, (goal - r.delivered) as usize);
                r.delivered = goal;
                self.requests[r.record].received = goal as usize;
                return Some(Delivery::Body { id: r.id, data });
            }
            match r.end {
                End::Never => {}
                End::Good => {
                    let gone = self.running.remove(i);
                    self.requests[gone.record].outcome = Outcome::Complete;
                    return Some(Delivery::End { id: gone.id });
                }
                End::Failed(failure) => {
                    let gone = self.running.remove(i);
                    self.requests[gone.record].outcome = Outcome::Failed;
                    return Some(Delivery::Failed { id: gone.id, failure });
                }
            }
        }
        None
    }
}
