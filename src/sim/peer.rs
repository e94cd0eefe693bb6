//! A session of a player that is not ours: a plain loop around somebody else's rule, over the same link and with the same element.
//!
//! First the manifest, then segments of video one at a time, each with a request of its own. One is asked for when it fits under the
//! limit of the buffer, as ours are, and appended when it is complete. A rule may give a request up, wait, or have segments again that are
//! in the buffer, where its player does so, and small files before them: playlists and initialization segments that it waits for. Beyond
//! that the loop costs nothing, nor are there time-outs and retries of its loader.

use super::decider::{Decider, Event, Load, PeerError, Reply, What};
use super::element::{Element, SourceBuffer};
use super::link::{Delivery, Link};
use super::session::{Instant, Options, Session, patience};
use super::site::{MANIFEST, Site};
use super::trace::Trace;
use crate::player::BufferId;
use crate::time::Seconds;

/// Seconds between two looks at a segment that is on its way.
const TICK: Seconds = 0.1;
/// Bytes of a playlist or an initialization segment.
const SMALL: u64 = 800;
/// A rule that wants to wait longer than this means something else.
const LONGEST_DELAY: Seconds = 3600.0;

/// What it does.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Manifest,
    /// A small file that the rule wants first.
    Small,
    /// Waits for room in the buffer.
    Room,
    /// Waits since the rule wants it, until then; segment and quality are chosen.
    Delay(Seconds, usize, usize),
    Loading(Request),
    /// All segments are there.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    segment: usize,
    rung: usize,
    load: Load,
    next_tick: Seconds,
}

struct World<'a> {
    site: &'a Site,
    options: &'a Options,
    decider: &'a mut dyn Decider,
    now: Seconds,
    link: Link<'a>,
    element: Element,
    phase: Phase,
    /// Names the running request.
    id: u32,
    /// Segment that comes next.
    next: usize,
    /// So many segments have been in the buffer, with no gap.
    reach: usize,
    estimate: f64,
    session: Session,
}

/// Plays a movie over a trace with somebody else's rule. Of the options, `rule` and `config` are not for it; `live` is not possible.
///
/// # Errors
/// The rule fails, or wants what there is not.
pub fn play_peer(
    site: &Site,
    trace: &Trace,
    options: &Options,
    decider: &mut dyn Decider,
) -> Result<Session, PeerError> {
    let mut element = Element::new();
    element.buffers.push(SourceBuffer::new(BufferId::Video));
    let mut world = World {
        site,
        options,
        decider,
        now: 0.0,
        link: Link::new(trace, &options.link),
        element,
        phase: Phase::Manifest,
        id: 0,
        next: 0,
        reach: 0,
        estimate: 0.0,
        session: Session { trace: trace.id.clone(), ..Session::default() },
    };
    world.run()?;
    Ok(world.session)
}

impl World<'_> {
    fn run(&mut self) -> Result<(), PeerError> {
        let manifest = self.site.answer(MANIFEST, None, false, 0.0);
        self.request("the manifest", manifest.wire, manifest.cacheable);
        let limit = patience(self.site.movie());
        let mut next_record = 0.0;
        while !self.element.ended {
            let mut soonest = self.due().min(self.link.next()).min(self.element.next(self.now));
            if self.options.record {
                soonest = soonest.min(next_record);
            }
            if soonest > limit {
                self.advance(limit);
                self.session.error = Some("nothing more happens".into());
                break;
            }
            self.advance(soonest.max(self.now));
            if self.options.record && self.now >= next_record {
                next_record += 1.0;
                self.keep_record();
            }
            self.element.update(self.now);
            self.happen()?;
            self.element.update(self.now);
            self.element.reports.clear();
        }
        self.session.complete = self.element.ended;
        self.session.ends(self.now, &mut self.element);
        Ok(())
    }

    fn advance(&mut self, to: Seconds) {
        self.element.advance(self.now, to);
        self.link.advance(to);
        self.now = to;
    }

    fn keep_record(&mut self) {
        let rung = self.element.played.last().map(|p| p.rung);
        let (at, kbps, buffer) = (self.now, self.link.kbps(), self.element.ahead());
        self.session.record.push(Instant { at, kbps, estimate: self.estimate, buffer, rung });
    }

    /// Seconds ahead up to which a segment fits; at least one always does.
    fn room(&self) -> Seconds {
        let segment = self.site.movie().segment();
        (self.options.buffer - segment).max(segment)
    }

    /// When the loop itself has something to do.
    fn due(&self) -> Seconds {
        match &self.phase {
            Phase::Manifest | Phase::Small | Phase::Done => f64::INFINITY,
            Phase::Room => self.now + (self.element.ahead() - self.room()).max(0.0),
            Phase::Delay(until, ..) => *until,
            Phase::Loading(request) => request.next_tick,
        }
    }

    fn happen(&mut self) -> Result<(), PeerError> {
        while let Some(delivery) = self.link.poll(self.now) {
            self.deliver(delivery)?;
        }
        if let Phase::Loading(request) = &mut self.phase
            && request.next_tick <= self.now
        {
            request.next_tick += TICK;
            let load = request.load;
            if self.tell(What::Progress(load))?.abandon {
                self.link.abort(self.now, self.id);
                self.session.abandoned += 1;
                self.story(|| "gives the request up".into());
                self.choose()?;
            }
        }
        match self.phase {
            // Rounding must not stop the clock.
            Phase::Room if self.element.ahead() <= self.room() + 1e-6 => self.choose(),
            Phase::Delay(until, segment, rung) if until <= self.now => {
                self.fetch(segment, rung);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<(), PeerError> {
        if let Delivery::Body(_, from, to) = delivery {
            self.session.bytes += to - from;
        }
        match (&mut self.phase, delivery) {
            (Phase::Manifest, Delivery::End(_)) => {
                self.tell(What::Begin(self.site.movie(), self.room()))?;
                self.phase = Phase::Room;
            }
            (Phase::Small, Delivery::End(_)) => self.phase = Phase::Room,
            (Phase::Loading(request), Delivery::Head(_)) => {
                request.load.first = Some(self.now);
                request.load.total = Some(self.site.movie().bytes[request.segment][request.rung]);
            }
            (Phase::Loading(request), Delivery::Body(_, _, to)) => request.load.loaded = to,
            (Phase::Loading(request), Delivery::End(_)) => {
                let request = *request;
                self.tell(What::Loaded(request.load))?;
                self.append(request);
            }
            _ => {}
        }
        Ok(())
    }

    fn append(&mut self, request: Request) {
        let segment = self.site.movie().segment();
        let start = request.segment as f64 * segment;
        self.element.buffers[0].put(start, start + segment, request.rung);
        self.next = request.segment + 1;
        self.reach = self.reach.max(self.next);
        self.phase = Phase::Room;
        if self.next == self.site.movie().bytes.len() {
            self.phase = Phase::Done;
            self.element.source_ended = true;
        }
        self.element.measure();
    }

    /// Asks the rule what to fetch.
    fn choose(&mut self) -> Result<(), PeerError> {
        let reply = self.tell(What::Next(self.next))?;
        let nonsense = |what: String| Err(PeerError::Nonsense(what));
        if reply.small {
            self.request("a small file", SMALL, true);
            self.phase = Phase::Small;
            return Ok(());
        }
        let Some(rung) = reply.quality else { return nonsense("no quality for the next segment".into()) };
        if rung >= self.site.movie().kbps.len() {
            return nonsense(format!("there is no quality {rung}"));
        }
        let segment = reply.segment.unwrap_or(self.next);
        if segment > self.reach || segment >= self.site.movie().bytes.len() {
            return nonsense(format!("segment {segment} instead of {}", self.next));
        }
        if !(0.0..LONGEST_DELAY).contains(&reply.delay) {
            return nonsense(format!("a delay of {} s", reply.delay));
        }
        if reply.delay > 0.0 {
            self.phase = Phase::Delay(self.now + reply.delay, segment, rung);
        } else {
            self.fetch(segment, rung);
        }
        Ok(())
    }

    fn fetch(&mut self, segment: usize, rung: usize) {
        let bytes = self.site.movie().bytes[segment][rung];
        self.request(&format!("segment {segment} in quality {rung}"), bytes, true);
        let load = Load { loaded: 0, total: None, first: None };
        self.phase = Phase::Loading(Request { segment, rung, load, next_tick: self.now + TICK });
    }

    fn request(&mut self, what: &str, bytes: u64, cacheable: bool) {
        self.id += 1;
        self.session.requests += 1;
        self.link.request(self.now, self.id, bytes, cacheable);
        self.story(|| format!("GET {what}: {bytes} bytes"));
    }

    fn story(&mut self, text: impl FnOnce() -> String) {
        if self.options.record {
            self.session.story.push((self.now, text()));
        }
    }

    fn tell(&mut self, what: What) -> Result<Reply, PeerError> {
        let event = Event {
            at: self.now,
            position: self.element.position,
            buffer: self.element.ahead(),
            playing: self.element.playing(),
            what,
        };
        let reply = self.decider.tell(&event)?;
        self.estimate = reply.estimate.unwrap_or(self.estimate);
        Ok(reply)
    }
}
