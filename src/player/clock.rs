//! The server's clock: where the manifest has it asked for (UTCTiming, ISO/IEC 23009-1 §5.8.4.11), and how sure the answer is.

use super::io::*;
use super::requests::Ticket;
use super::session::{Ctx, Session, StartAt};
use super::stream::RepKey;
use crate::manifest::{ClockSource, date_time};
use crate::time::Seconds;

/// Seconds by which the wall clock leaps against the shell's before that counts as a sleep or a new setting.
const LEAP: f64 = 1.0;
/// A clock that is off by less (seconds) is left as it is: a `Date` header has whole seconds.
const DATE_IS_COARSE: f64 = 2.0;
/// Seconds for which the start waits for the time of the server.
const PATIENCE: f64 = 1.5;
/// An answer that may be off by more than this many seconds is asked for again: a busy page, or a link that was just opened, makes the
/// first one late.
const GOOD_ENOUGH: Seconds = 0.025;
/// Seconds to the second question; each further one waits twice as long as the one before.
const ASK_AGAIN: f64 = 2.0;
const ASK_SELDOM: f64 = 1024.0;
/// How often a clock that nobody confirms is turned back before what is not there is taken to be missing.
const MOST_DOUBTS: u32 = 16;
/// Three segments that come later than this (seconds), one after the other, are no whim of the encoder.
const LATE: Seconds = 0.5;
/// What two clocks drift apart, in seconds per second.
const DRIFT: f64 = 5e-5;

#[derive(Debug)]
struct Question {
    /// Its number in the manifest.
    source: usize,
    /// Its `Date` header is the answer, not its body.
    head: bool,
    ticket: Ticket,
    since: Now,
    body: Vec<u8>,
}

pub(super) struct ServerClock {
    /// The wall clock less the shell's, in seconds.
    wall: f64,
    /// The server's clock less the wall clock.
    correction: f64,
    /// A source has told, until the wall clock leaps.
    told: bool,
    /// The one that told last.
    source: usize,
    /// How far the correction may be off, when it was made, and how long to wait for the next question.
    error: Seconds,
    set_at: Now,
    interval: f64,
    ask_at: Now,
    question: Option<Question>,
    /// The last `Date` header less the shell's clock, in seconds. NaN: none; negative infinity: none since the wall clock leapt.
    dated: f64,
    /// When the manifest was read, which may tell the time. `None`: the wall clock has leapt since, and the shell's perhaps stood still.
    read_at: Option<Now>,
    /// How often it was turned back because nothing was where it should be.
    doubts: u32,
    /// By how much the last two segments were late.
    late: [Seconds; 2],
}

impl ServerClock {
    pub fn new(now: Now, wall: f64) -> Self {
        Self {
            wall: wall - now,
            correction: 0.0,
            told: false,
            source: 0,
            error: f64::INFINITY,
            set_at: now,
            interval: ASK_AGAIN,
            ask_at: f64::INFINITY,
            question: None,
            dated: f64::NAN,
            read_at: Some(now),
            doubts: 0,
            late: [0.0; 2],
        }
    }

    /// Seconds since 1970.
    pub fn now(&self, now: Now) -> f64 {
        now + self.wall + self.correction
    }

    /// Whether a request is for the time.
    pub fn asks(&self, ticket: Ticket) -> bool {
        self.question.as_ref().is_some_and(|q| q.ticket == ticket)
    }

    /// Whether the start waits for an answer.
    pub fn is_awaited(&self, now: Now) -> bool {
        self.question.as_ref().is_some_and(|q| !self.told && now < q.since + PATIENCE)
    }

    /// When it must be looked at again.
    pub fn deadline(&self, now: Now) -> Now {
        match &self.question {
            None => self.ask_at,
            Some(q) if self.is_awaited(now) => q.since + PATIENCE,
            Some(_) => f64::INFINITY,
        }
    }

    /// Bytes of the answer.
    pub fn bytes(&mut self, data: &[u8]) {
        if let Some(question) = self.question.as_mut().filter(|q| q.body.len() < 1024) {
            question.body.extend_from_slice(data);
        }
    }

    /// How far it is ahead of the last `Date` header.
    fn ahead(&self) -> Seconds {
        self.wall + self.correction - self.dated
    }

    fn is_confirmed(&self) -> bool {
        self.told || self.ahead() < DATE_IS_COARSE
    }

    /// It is this late at the least.
    pub fn at_least(&mut self, time: f64, now: Now) {
        if !self.is_confirmed() {
            self.correction += (time - self.now(now)).max(0.0);
        }
    }

    /// Before anything has played, a segment is not where it should be: perhaps the clock is ahead. Twice as far back each time, and not so
    /// far that the window (`depth`) is missed, or before the date that is told.
    pub fn doubt(&mut self, segment: Seconds, depth: Option<Seconds>) -> bool {
        let more = !self.is_confirmed() && self.doubts < MOST_DOUBTS;
        if more {
            let depth = depth.map_or(f64::INFINITY, |d| (d / 2.0).max(segment));
            let most = if self.dated.is_nan() { depth } else { self.ahead() };
            self.correction -= (segment * f64::from(1u32 << self.doubts)).min(most);
            self.doubts += 1;
        }
        more
    }

    /// A segment came so long after it could first be had by this clock.
    pub fn came_late(&mut self, late: Seconds) {
        let [before, last] = self.late;
        self.late = [last, late];
        let by = before.min(last).min(late);
        if by > LATE && !self.is_confirmed() {
            self.correction -= by;
            self.late = [0.0; 2];
        }
    }

    /// The time of the server at the moment `at` of the shell, give or take `error`.
    fn set(&mut self, time: f64, at: Now, now: Now, error: Seconds) {
        if self.told && error >= self.error + (now - self.set_at) * DRIFT {
            return;
        }
        self.correction = time - (self.wall + at);
        (self.told, self.error, self.set_at) = (true, error, now);
    }
}

impl Session {
    /// Asks a source of the manifest for the time.
    pub fn ask_clock(&mut self, ctx: &mut Ctx, source: usize) {
        let Some(live) = &mut self.live else { return };
        let clock = &mut live.clock;
        (clock.question, clock.ask_at) = (None, f64::INFINITY);
        let told = self.presentation.live.as_ref().and_then(|l| l.clocks.get(source));
        let (head, url) = match told {
            None => return,
            Some(ClockSource::Direct(time)) => match clock.read_at {
                Some(at) => return clock.set(*time, at, ctx.now, GOOD_ENOUGH),
                None => return self.ask_clock(ctx, source + 1),
            },
            Some(ClockSource::Head(url)) => (true, url),
            Some(ClockSource::Body(url)) => (false, url),
        };
        let kind = if head { FetchKind::Head } else { FetchKind::Clock };
        let ticket = self.requests.send(ctx.now, kind, url.clone(), None, ctx.out);
        clock.question = Some(Question { source, head, ticket, since: ctx.now, body: Vec::new() });
    }

    /// A response has a `Date` header. It sets a clock that nobody else sets, if that is far behind.
    pub fn dated(&mut self, ctx: &mut Ctx, ticket: Option<Ticket>, date: f64) {
        let Some(live) = &mut self.live else { return };
        let clock = &mut live.clock;
        let off = date - clock.now(ctx.now);
        // What comes from a cache has the date of its making (RFC 9111 §4.2.3): it tells how late it is at the least. But one may have
        // come before the leap was seen that the wall clock made.
        let leapt = clock.dated == f64::NEG_INFINITY;
        clock.dated = date - ctx.now;
        // The header is cut to whole seconds: half of one is missing on average.
        if clock.question.as_ref().is_some_and(|q| q.head && Some(q.ticket) == ticket) {
            clock.question = None;
            clock.set(date + 0.5, ctx.now, ctx.now, 0.5);
        } else if !clock.told
            && !ticket.is_some_and(|ticket| clock.asks(ticket))
            && (off > DATE_IS_COARSE || leapt && off < -DATE_IS_COARSE)
        {
            clock.correction += off + 0.5;
        }
    }

    /// The answer with the time is complete, or did not come: then the next source is asked.
    pub fn clock_answered(&mut self, ctx: &mut Ctx, arrived: bool) {
        let Some(live) = &mut self.live else { return };
        let clock = &mut live.clock;
        let Some(Question { source, since, body, .. }) = clock.question.take() else { return };
        let time = std::str::from_utf8(&body).ok().and_then(|text| date_time(text.trim_ascii()));
        if let Some(time) = time.filter(|_| arrived) {
            // It was true somewhere between question and answer.
            let error = (ctx.now - since) / 2.0;
            clock.set(time, since + error, ctx.now, error);
            clock.source = source;
        } else if !clock.told {
            return self.ask_clock(ctx, source + 1);
        }
        if clock.error > GOOD_ENOUGH {
            clock.ask_at = ctx.now + clock.interval;
            clock.interval = (clock.interval * 2.0).min(ASK_SELDOM);
        } else {
            clock.ask_at = ctx.now + ASK_SELDOM;
        }
    }

    /// The element's report carries the wall clock, and its rate.
    pub fn live_reported(&mut self, ctx: &mut Ctx, media: &MediaState) {
        let wall = media.wall;
        // Somebody else has changed our rate.
        if let Some(live) = &mut self.live
            && self.playhead.media().rate == live.rate
            && media.rate != live.rate
        {
            live.rate = 1.0;
        }
        if wall <= 0.0 {
            return;
        }
        self.wall = wall - ctx.now;
        let Some(live) = &mut self.live else { return };
        let clock = &mut live.clock;
        let leapt = (self.wall - clock.wall).abs() > LEAP;
        clock.wall = self.wall;
        if leapt {
            // A sleep, or another setting of the clock, by which the correction is void.
            (clock.dated, clock.read_at) = (f64::NEG_INFINITY, None);
            live.refresh.hurry(ctx.now);
            if std::mem::replace(&mut clock.told, false) || clock.question.is_some() {
                self.ask_clock(ctx, 0);
            }
        }
    }

    /// The manifest was made before now, and a time in it is that of now (ISO/IEC 23009-1 §5.8.5.7), where no other source has told.
    pub fn heed_published(&mut self, ctx: &mut Ctx) {
        let (Some(told), Some(live)) = (&self.presentation.live, &mut self.live) else { return };
        let clock = &mut live.clock;
        clock.read_at = Some(ctx.now);
        if let Some(time) = told.published.as_deref().and_then(date_time) {
            clock.at_least(time, ctx.now);
        }
        let direct = told.clocks.iter().position(|c| matches!(c, ClockSource::Direct(_)));
        if let Some(source) = direct.filter(|_| !clock.told && clock.question.is_none()) {
            self.ask_clock(ctx, source);
        }
    }

    /// Whether the time at which the segments of a stream can be had is reckoned by a clock that may be wrong.
    fn reckons(&self, i: usize) -> bool {
        let stream = &self.streams[i];
        let key = stream.rep.map(|rep| RepKey { period: stream.period, set: stream.set, rep });
        key.is_some_and(|key| self.comes_by_the_clock(key).is_some())
    }

    /// A segment is not there. Whether that is the clock's fault, as far as can be told: the start is looked for anew then.
    pub fn doubt_clock(&mut self, i: usize, segment: Seconds) -> bool {
        let begun = self.streams.iter().any(|s| s.has_media || !s.held.is_empty());
        let elsewhere = self.wanted_start.is_some_and(|at| at >= 0.0);
        if begun || elsewhere || !self.reckons(i) {
            return false;
        }
        let depth = self.presentation.live.as_ref().and_then(|told| told.depth);
        let doubts = self.live.as_mut().is_some_and(|live| live.clock.doubt(segment, depth));
        if doubts {
            self.start = StartAt::Edge;
        }
        doubts
    }

    /// A segment came, so much later than it was looked for.
    pub fn segment_came(&mut self, i: usize, late: Seconds) {
        // (What is fetched while it is made is given a clock with it.)
        if i == 0
            && self.reckons(i)
            && !self.at_live_edge()
            && let Some(live) = &mut self.live
        {
            live.clock.came_late(late);
        }
    }

    /// Asks again when that is due.
    pub fn step_clock(&mut self, ctx: &mut Ctx) {
        let due = self.live.as_ref().map(|l| &l.clock).filter(|c| ctx.now >= c.ask_at);
        if let Some(source) = due.map(|c| c.source) {
            self.ask_clock(ctx, source);
        }
    }
}
