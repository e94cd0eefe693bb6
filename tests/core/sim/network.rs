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
    /// See [`super::site::Answer::made`].
    made: Vec<(f64, u64)>,
}

impl Running {
    /// Bytes that the server has at a time.
    fn available(&self, now: f64) -> u64 {
        match self.made.partition_point(|(at, _)| *at <= now + 1e-12) {
            _ if self.made.is_empty() => self.body.length,
            0 => 0,
            i => self.made[i - 1].1.min(self.body.length),
        }
    }

    /// When it will have more.
    fn more_at(&self, now: f64) -> Option<f64> {
        self.made.get(self.made.partition_point(|(at, _)| *at <= now + 1e-12)).map(|m| m.0)
    }

    /// The link carries bytes of it.
    fn active(&self, now: f64) -> bool {
        let room = !self.paused || (self.carried as u64) < self.delivered + WINDOW;
        self.head_sent && room && (self.carried as u64) < self.available(now)
    }
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
        date: Option<f64>,
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
    /// The server's clock at its time 0, in seconds since 1970, where the page may read `Date`.
    pub dated: Option<f64>,
    /// What has this in its URL comes from a cache, where it has lain for so many seconds.
    pub aged: Option<(&'static str, f64)>,
    pub requests: Vec<Request>,
    /// Requests that are in the record no more.
    forgotten: usize,
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
            dated: Some(super::live::UNIX),
            aged: None,
            requests: Vec::new(),
            forgotten: 0,
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

    /// All connections are lost.
    pub fn break_all(&mut self) {
        for r in &mut self.running {
            if r.head_sent {
                r.body.truncate(r.delivered as usize);
                r.end = End::Failed(FetchFailure::Network);
            } else {
                (r.head_at, r.status) = (self.now, 0);
            }
        }
    }

    /// Forgets requests, so that a test may run for days.
    pub fn forget(&mut self) {
        self.forgotten += self.requests.len();
        self.requests.clear();
        self.rates.drain(..self.rates.iter().rposition(|(from, _)| *from <= self.now).unwrap_or(0));
    }

    fn note(&mut self, record: usize, change: impl FnOnce(&mut Request)) {
        if let Some(request) = record.checked_sub(self.forgotten).and_then(|i| self.requests.get_mut(i)) {
            change(request);
        }
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
        let (mut status, content_type, whole, at, mut made) = match found {
            Some(a) => (200, a.content_type, a.body, a.at - self.skew, a.made),
            None => (404, "text/html", Body::of(*b"<html>not found</html>"), now, Vec::new()),
        };
        made.iter_mut().for_each(|m| m.0 -= self.skew);
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
                made.iter_mut().for_each(|m| m.1 = m.1.saturating_sub(range.first));
                status = 206;
            } else {
                body.truncate(0);
                status = 416;
            }
        }
        if kind == FetchKind::Head {
            body.truncate(0);
        }
        let mut end = End::Good;
        let mut head_at = (now + self.rtt).max(at + self.rtt / 2.0);
        // What is not complete yet has no length that could be told.
        let grows = made.last().is_some_and(|m| m.0 > now);
        let mut announced = (!grows).then_some(body.length);
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
            made.clear();
        }
        self.running.push(Running {
            id,
            record: self.forgotten + self.requests.len() - 1,
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
            made,
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
            self.note(gone.record, |r| r.outcome = Outcome::Aborted);
        }
    }

    /// Requests that have not been answered or aborted.
    pub fn open(&self) -> usize {
        self.running.len()
    }

    /// Lets the link carry bytes up to `now`.
    fn advance(&mut self, now: f64) {
        while self.now < now {
            let at = self.now;
            let count = self.running.iter().filter(|r| r.active(at)).count();
            let next_rate = self.rates.iter().map(|(t, _)| *t).find(|t| *t > at + 1e-12);
            let more = self.running.iter().filter_map(|r| r.more_at(at));
            let until = more.chain(next_rate).fold(now, f64::min);
            if count > 0 {
                let share = self.rate_at(at) / 8.0 / count as f64;
                for r in self.running.iter_mut().filter(|r| r.active(at)) {
                    r.carried = (r.carried + share * (until - at)).min(r.available(at) as f64 + 1e-6);
                }
            }
            self.now = until;
        }
    }

    /// When something will happen.
    pub fn next(&self) -> f64 {
        let now = self.now;
        let count = self.running.iter().filter(|r| r.active(now)).count().max(1);
        let share = self.rate_at(now) / 8.0 / count as f64;
        let mut soonest = f64::INFINITY;
        for r in &self.running {
            let there = r.available(now);
            let t = if !r.head_sent {
                r.head_at
            } else if r.paused {
                f64::INFINITY
            } else if r.delivered >= r.body.length {
                if r.end == End::Never { f64::INFINITY } else { now }
            } else if r.delivered >= there {
                r.more_at(now).unwrap_or(f64::INFINITY)
            } else {
                let goal = (r.delivered + self.chunk as u64).min(there) as f64;
                if share > 0.0 { now + ((goal - r.carried) / share).max(0.0) + 1e-9 } else { f64::INFINITY }
            };
            soonest = soonest.min(t);
        }
        if let Some(change) = self.rates.iter().map(|(t, _)| *t).find(|t| *t > now + 1e-12)
            && self.running.iter().any(|r| r.active(now))
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
                let age = self.aged.filter(|(part, _)| r.url.contains(part)).map_or(0.0, |a| a.1);
                if r.status == 0 {
                    let gone = self.running.remove(i);
                    self.note(gone.record, |r| r.outcome = Outcome::Failed);
                    return Some(Delivery::Failed { id: gone.id, failure: FetchFailure::Network });
                }
                return Some(Delivery::Head {
                    id: r.id,
                    status: r.status,
                    url: r.url.clone(),
                    content_type: r.content_type,
                    length: r.announced,
                    ranges: r.ranges,
                    // The header has whole seconds.
                    date: self.dated.map(|unix| (unix + now + self.skew - self.rtt / 2.0 - age).floor()),
                    icy: self.site.icy(&r.url),
                });
            }
            if r.paused {
                continue;
            }
            let goal = (r.delivered + self.chunk as u64).min(r.available(now));
            if r.delivered < r.body.length {
                if goal <= r.delivered || r.carried + 1e-3 < goal as f64 {
                    continue;
                }
                let data = r.body.read(r.delivered, (goal - r.delivered) as usize);
                r.delivered = goal;
                let (id, record) = (r.id, r.record);
                self.note(record, |r| r.received = goal as usize);
                return Some(Delivery::Body { id, data });
            }
            match r.end {
                End::Never => {}
                End::Good => {
                    let gone = self.running.remove(i);
                    self.note(gone.record, |r| r.outcome = Outcome::Complete);
                    return Some(Delivery::End { id: gone.id });
                }
                End::Failed(failure) => {
                    let gone = self.running.remove(i);
                    self.note(gone.record, |r| r.outcome = Outcome::Failed);
                    return Some(Delivery::Failed { id: gone.id, failure });
                }
            }
        }
        None
    }
}
