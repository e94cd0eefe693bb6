//! One viewer's session: the shell that carries inputs and outputs between the player and the modelled world.

use super::element::{Element, Played, SourceBuffer};
use super::link::{Delivery, Link, LinkOptions};
use super::movie::Movie;
use super::site::{Body, EPOCH, LIVE_SINCE, MANIFEST, Site};
use super::trace::Trace;
use crate::error::Severity;
use crate::player::{self, *};
use crate::time::Seconds;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// Who chooses the quality.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// One of the player's own, with other values in these places of [`TUNED`].
    Own(player::Rule, Vec<(usize, f64)>),
    /// Always this rung.
    Fixed(usize),
    /// Always the highest.
    Highest,
}

impl Rule {
    /// Reads `default`, `throughput`, `bola`, `lowest`, `highest` or `fixed:N` (N counts from 0). `default:NAME=VALUE:…` is the
    /// rule with other values for what is named in [`TUNED`].
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "lowest" => Some(Self::Fixed(0)),
            "highest" => Some(Self::Highest),
            _ => match name.strip_prefix("fixed:") {
                Some(rung) => rung.parse().ok().map(Self::Fixed),
                None => {
                    let mut parts = name.split(':');
                    let rule = player::Rule::named(parts.next()?)?;
                    parts.map(change).collect::<Option<_>>().map(|changes| Self::Own(rule, changes))
                }
            },
        }
    }
}

/// Reads `NAME=VALUE`.
fn change(text: &str) -> Option<(usize, f64)> {
    let (name, value) = text.split_once('=')?;
    let value: f64 = value.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0)?;
    Some((TUNED.iter().position(|(known, _)| *known == name)?, value))
}

/// How a session is played.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seconds that are buffered at most: a segment is fetched once it fits under this, as sabre has it.
    pub buffer: Seconds,
    /// The movie is live.
    pub live: bool,
    /// Who chooses.
    pub rule: Rule,
    /// What the link is beyond its trace.
    pub link: LinkOptions,
    /// Anything else; `buffer_ahead` is set from `buffer`.
    pub config: Config,
    /// Keep a record of each second, for plots.
    pub record: bool,
}

impl Default for Options {
    fn default() -> Self {
        // Bytes weigh nothing here: the limit in seconds is the one that sets are compared by.
        let config = Config { stats_interval: 0.0, buffer_bytes: u64::MAX, ..Config::default() };
        Self {
            buffer: 25.0,
            live: false,
            rule: Rule::Own(player::Rule::Default, Vec::new()),
            link: LinkOptions::default(),
            config,
            record: false,
        }
    }
}

/// A wait after playback had begun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stall {
    /// When.
    pub at: Seconds,
    /// How long.
    pub seconds: Seconds,
}

/// One second of a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instant {
    /// When.
    pub at: Seconds,
    /// Capacity of the link in kbit/s.
    pub kbps: f64,
    /// What the player takes it for, in kbit/s.
    pub estimate: f64,
    /// Seconds buffered ahead.
    pub buffer: Seconds,
    /// Quality that plays.
    pub rung: Option<usize>,
}

/// What happened in a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// Name of the trace.
    pub trace: String,
    /// From the load to the first picture; `None`: there was none.
    pub startup: Option<Seconds>,
    /// In order.
    pub stalls: Vec<Stall>,
    /// What was played, in order.
    pub played: Vec<Played>,
    /// From the first request to the end.
    pub wall: Seconds,
    /// It played to the end; else see `error`.
    pub complete: bool,
    /// Why it ended before that.
    pub error: Option<String>,
    /// Errors that the player went on after.
    pub recovered: u32,
    /// Downloads that were given up for a smaller version.
    pub abandoned: u32,
    /// Requests that were made.
    pub requests: u32,
    /// Bytes that came.
    pub bytes: u64,
    /// Of live: mean distance from the edge, while it played.
    pub latency: Option<Seconds>,
    /// If asked for: second by second.
    pub record: Vec<Instant>,
    /// If asked for: events in words, with their time.
    pub story: Vec<(Seconds, String)>,
}

/// From the page to where the player runs, or back.
const HOP: Seconds = 0.002;
/// Time that an append takes.
const APPEND: Seconds = 0.003;
/// Bytes of payload: all are zero.
static ZEROS: [u8; 262_144] = [0; 262_144];

/// Something that the world will do.
enum Later {
    SourceOpen,
    Done(BufferId),
    Report(MediaState),
    Seek(Option<f64>),
}

struct Due {
    at: Seconds,
    order: u64,
    what: Later,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The soonest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.order.cmp(&self.order))
    }
}

impl Session {
    /// Takes over what was seen of the element, whose session ends now.
    pub(super) fn ends(&mut self, now: Seconds, element: &mut Element) {
        element.close(now);
        self.wall = now;
        self.startup = element.first_frame;
        self.stalls = element.stalls.iter().map(|&(at, seconds)| Stall { at, seconds }).collect();
        self.played = std::mem::take(&mut element.played);
    }
}

/// When a session of a movie is given up: it takes so many times its length, and a quarter of an hour.
pub(super) fn patience(movie: &Movie) -> Seconds {
    10.0 * movie.duration() + 900.0
}

struct World<'a> {
    site: &'a Site,
    options: &'a Options,
    now: Seconds,
    player: Player,
    link: Link<'a>,
    element: Element,
    /// Responses under way.
    bodies: Vec<(u32, String, Body)>,
    later: BinaryHeap<Due>,
    order: u64,
    timer: Seconds,
    types: VecDeque<usize>,
    ended: bool,
    session: Session,
    latency: (f64, u32),
}

/// Plays a movie over a trace.
pub fn play(site: &Site, trace: &Trace, options: &Options) -> Session {
    let segment = site.movie().segment();
    let (rule, changes) = match &options.rule {
        Rule::Own(rule, changes) => (*rule, changes.as_slice()),
        _ => (player::Rule::Default, &[][..]),
    };
    let _changed = tune(changes);
    let buffer_ahead = (options.buffer - segment).max(segment);
    let config = Config { buffer_ahead, rule, ..options.config.clone() };
    let mut world = World {
        site,
        options,
        now: 0.0,
        player: Player::new(config),
        link: Link::new(trace, &options.link),
        element: Element::new(),
        bodies: Vec::new(),
        later: BinaryHeap::new(),
        order: 0,
        timer: f64::INFINITY,
        types: VecDeque::new(),
        ended: false,
        session: Session { trace: trace.id.clone(), ..Session::default() },
        latency: (0.0, 0),
    };
    world.run();
    world.session
}

impl World<'_> {
    fn run(&mut self) {
        let load = LoadRequest { url: MANIFEST.into(), wall: EPOCH, ..LoadRequest::default() };
        self.input(Input::Load(load));
        // As the page does: an element that is to play at once.
        self.input(Input::MediaState(MediaState { rate: 1.0, ..MediaState::default() }));
        let rung = match self.options.rule {
            Rule::Own(..) => None,
            Rule::Fixed(rung) => Some(rung.min(self.site.movie().kbps.len() - 1)),
            Rule::Highest => Some(self.site.movie().kbps.len() - 1),
        };
        if let Some(rung) = rung {
            self.input(Input::Intent(UserIntent::SelectQuality(Some(format!("v{rung}")))));
        }
        // Live: as long as there are segments.
        let length = self.site.movie().duration();
        let limit = if self.options.live { length - LIVE_SINCE } else { patience(self.site.movie()) };
        let mut next_record = 0.0;
        while !self.ended && self.session.error.is_none() {
            let mut soonest = self.timer.min(self.link.next()).min(self.element.next(self.now));
            if let Some(due) = self.later.peek() {
                soonest = soonest.min(due.at);
            }
            if self.options.record {
                soonest = soonest.min(next_record);
            }
            if soonest > limit {
                self.advance(limit);
                if !self.options.live {
                    self.session.error = Some("nothing more happens".into());
                }
                break;
            }
            self.advance(soonest.max(self.now));
            if self.options.record && self.now >= next_record {
                next_record += 1.0;
                self.keep_record();
            }
            self.happen();
        }
        self.session.complete = self.ended || (self.options.live && self.session.error.is_none());
        self.session.ends(self.now, &mut self.element);
        self.session.latency = (self.latency.1 > 0).then(|| self.latency.0 / f64::from(self.latency.1));
    }

    fn advance(&mut self, to: Seconds) {
        self.element.advance(self.now, to);
        self.link.advance(to);
        self.now = to;
    }

    fn keep_record(&mut self) {
        let estimate = self.player.stats(self.now).estimate / 1000.0;
        let rung = self.element.played.last().map(|p| p.rung);
        let (at, kbps, buffer) = (self.now, self.link.kbps(), self.element.ahead());
        self.session.record.push(Instant { at, kbps, estimate, buffer, rung });
    }

    /// All that is due now.
    fn happen(&mut self) {
        while self.later.peek().is_some_and(|due| due.at <= self.now) {
            let Some(due) = self.later.pop() else { break };
            match due.what {
                Later::SourceOpen => {
                    self.element.open = true;
                    self.input(Input::SourceOpen);
                }
                Later::Done(buffer) => {
                    let found = self.element.buffers.iter().find(|b| b.id == buffer);
                    let buffered = found.map(SourceBuffer::buffered).unwrap_or_default();
                    self.input(Input::BufferDone { buffer, buffered });
                }
                Later::Report(state) => {
                    let wall = EPOCH + self.now;
                    self.input(Input::MediaState(MediaState { wall, ..state }));
                }
                Later::Seek(to) => self.element.seek(to.unwrap_or(self.element.position)),
            }
            self.look();
        }
        while let Some(delivery) = self.link.poll(self.now) {
            self.deliver(delivery);
        }
        if self.timer <= self.now {
            self.timer = f64::INFINITY;
            self.input(Input::Timeout);
        }
        self.look();
    }

    /// The element looks at its buffers; what it reports goes to the player.
    fn look(&mut self) {
        self.element.update(self.now);
        for state in std::mem::take(&mut self.element.reports) {
            self.after(HOP, Later::Report(state));
        }
    }

    fn after(&mut self, seconds: Seconds, what: Later) {
        self.order += 1;
        self.later.push(Due { at: self.now + seconds, order: self.order, what });
    }

    fn deliver(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Head(id) => {
                let Some((_, url, body)) = self.bodies.iter().find(|b| b.0 == id) else { return };
                let (url, status, length) = (url.clone(), body.status, Some(body.length));
                self.input(Input::FetchHead {
                    id: FetchId(id),
                    status,
                    url: &url,
                    content_type: None,
                    length,
                    ranges: true,
                    date: Some((EPOCH + self.now).floor()),
                    icy: None,
                });
            }
            Delivery::Body(id, from, to) => self.deliver_bytes(id, from, to),
            Delivery::End(id) => {
                self.bodies.retain(|b| b.0 != id);
                self.input(Input::FetchEnd { id: FetchId(id) });
            }
        }
    }

    fn deliver_bytes(&mut self, id: u32, from: u64, to: u64) {
        let Some((_, _, body)) = self.bodies.iter().find(|b| b.0 == id) else { return };
        self.session.bytes += to - from;
        let (front, skipped) = (body.front.clone(), body.skipped);
        // What is compressed on its way comes whole at its end.
        let (from, to) = match (body.wire == body.length, to == body.wire) {
            (true, _) => (from, to),
            (false, true) => (0, body.length),
            (false, false) => return,
        };
        let (mut at, end) = (from + skipped, to + skipped);
        while at < end {
            let data = match front.get(at as usize..) {
                Some(rest) if !rest.is_empty() => &rest[..rest.len().min((end - at) as usize)],
                _ => &ZEROS[..ZEROS.len().min((end - at) as usize)],
            };
            at += data.len() as u64;
            self.input(Input::FetchBody { id: FetchId(id), data });
        }
    }

    fn input(&mut self, input: Input) {
        self.player.handle_input(self.now, input);
        self.drain();
        while let Some(count) = self.types.pop_front() {
            self.player.handle_input(self.now, Input::TypesChecked(&vec![true; count]));
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            match self.player.poll_output() {
                Output::Command(command) => self.execute(command),
                Output::Event(event) => self.tell(event),
                Output::Wait { until } => {
                    if until.is_finite() {
                        // Timers of browsers have whole milliseconds.
                        let wait = ((until - self.now).max(0.0) * 1000.0).ceil() / 1000.0;
                        self.timer = self.timer.min(self.now + wait);
                    }
                    return;
                }
            }
        }
    }

    fn tell(&mut self, event: Event) {
        if self.options.record && !matches!(event, Event::Stats(_) | Event::Tracks { .. } | Event::Live(_)) {
            self.session.story.push((self.now, format!("{event:?}")));
        }
        match event {
            Event::Ended => self.ended = true,
            Event::Error(error) if error.severity == Severity::Fatal => {
                self.session.error = Some(error.to_string());
            }
            Event::Error(_) => self.session.recovered += 1,
            Event::QualityChange { reason: Reason::Abandoned, .. } => self.session.abandoned += 1,
            Event::Live(state) if self.element.first_frame.is_some() => {
                self.latency.0 += state.latency;
                self.latency.1 += 1;
            }
            Event::NeedsFeature(feature) => {
                self.session.error = Some(format!("this build lacks {feature}"));
            }
            _ => {}
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Fetch { id, url, range, kind } => {
                let mut body = self.site.answer(&url, range, self.options.live, self.now);
                if kind == FetchKind::Head {
                    (body.length, body.wire) = (0, 0);
                }
                self.session.requests += 1;
                if self.options.record {
                    let path = url.rsplit_once(".test/").map_or(url.as_str(), |u| u.1);
                    let text = format!("GET {path}: {} bytes (status {})", body.length, body.status);
                    self.session.story.push((self.now, text));
                }
                self.link.request(self.now, id.0, body.wire, body.cacheable);
                self.bodies.push((id.0, url, body));
            }
            Command::AbortFetch { id } => {
                self.link.abort(self.now, id.0);
                self.bodies.retain(|b| b.0 != id.0);
            }
            Command::OpenSource => self.after(HOP, Later::SourceOpen),
            Command::CloseSource => self.element.open = false,
            Command::CheckTypes(types) => self.types.push_back(types.len()),
            Command::AddSourceBuffer { buffer, .. } => {
                self.element.buffers.push(SourceBuffer::new(buffer));
                // Pictures first: it is what they play that counts.
                self.element.buffers.sort_by_key(|b| b.id);
                self.after(0.0, Later::Done(buffer));
            }
            Command::ChangeType { buffer, .. } | Command::AbortBuffer { buffer } => {
                if let Some(b) = self.element.buffers.iter_mut().find(|b| b.id == buffer) {
                    b.reset_parser();
                }
                self.after(0.0, Later::Done(buffer));
            }
            Command::Append { buffer, data, timestamp_offset, window } => {
                let found = self.element.buffers.iter_mut().find(|b| b.id == buffer);
                if !found.is_some_and(|b| b.append(&data, timestamp_offset, window)) {
                    self.session.error = Some("what was appended is not readable".into());
                }
                self.element.source_ended = false;
                self.changed(buffer);
            }
            Command::Remove { buffer, start, end } => {
                if let Some(b) = self.element.buffers.iter_mut().find(|b| b.id == buffer) {
                    b.remove(start, end);
                }
                self.changed(buffer);
            }
            Command::EndOfStream => {
                self.element.source_ended = true;
                self.element.measure();
            }
            Command::Seek(to) => self.after(HOP, Later::Seek(to)),
            Command::SetRate(rate) => self.element.rate = rate,
            Command::PauseFetch { .. }
            | Command::ResumeFetch { .. }
            | Command::SetDuration(_)
            | Command::SetLiveSeekableRange { .. } => {}
        }
    }

    fn changed(&mut self, buffer: BufferId) {
        self.element.measure();
        self.after(APPEND, Later::Done(buffer));
    }
}
