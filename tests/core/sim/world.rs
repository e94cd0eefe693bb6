//! The world below the sans-IO line: a shell, a browser and a network under a virtual clock.

use super::element::{Element, Source};
use super::media::Mark;
use super::mse::Refusal;
use super::network::{Delivery, Fault, Network, Request};
use super::site::Site;
use crate::counting;
use millrace::error::{Code, PlayerError, Severity};
use millrace::player::*;
use std::collections::VecDeque;

/// One that has been told, with its time.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: f64,
    pub event: Event,
}

/// An input that owns its data.
enum Pending {
    Load(LoadRequest),
    Net(Delivery),
    SourceOpen,
    Types(Vec<bool>),
    Done(BufferId),
    BufferFailed(BufferId, bool, String),
    State(MediaState),
    ElementError(u8, String),
    Intent(UserIntent),
    Timeout,
}

/// What the shell or the browser will do later.
enum Later {
    OpenSource(u32),
    /// A buffer operation ends; the number of the source.
    OperationEnd(u32, BufferId, Result<(), Refusal>),
    /// A report of the element reaches the core.
    Report(MediaState),
    ElementError(u8, String),
    /// A seek reaches the element.
    Seek(Option<f64>),
}

/// Milliseconds between the worker and the page.
const LINK: f64 = 0.002;
/// Time that an append takes, and a seek.
const APPEND: f64 = 0.003;
/// Inputs without an advance of the clock after which the core is said to spin.
const SPIN: u32 = 400;

/// Which object tells that an append was refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Blame {
    Itself,
    /// What the other buffer is given next is refused: Chromium from a worker.
    TheOther,
    /// The element, before any buffer.
    TheElement,
}

pub struct World {
    pub now: f64,
    pub player: Player,
    pub net: Network,
    pub element: Element,
    pub events: Vec<Told>,
    /// Positions that the player sent the element to.
    pub seeks: Vec<(f64, f64)>,
    /// All commands as text: for messages of failed tests.
    pub commands: Vec<(f64, String)>,
    /// `isTypeSupported` says no to types that contain one of these.
    pub unsupported: Vec<&'static str>,
    /// What is appended here is refused, whatever its type.
    pub refuses: Option<BufferId>,
    /// How that is told.
    pub blames: Blame,
    /// The source in which that was so.
    spoilt: u32,
    /// The browser has `changeType`.
    pub change_type: bool,
    /// Bytes that each SourceBuffer takes.
    pub quota: usize,
    pub sources_opened: u32,
    /// Seconds until a source opens.
    pub source_opens_in: f64,
    /// The machine's clock less this one, in seconds.
    pub wall: f64,
    /// Seconds by which the machine's clock gains in each.
    pub drift: f64,
    #[cfg(feature = "replay")]
    config: Config,
    /// If set: what goes in and comes out.
    #[cfg(feature = "replay")]
    record: Option<super::record::Record>,
    queue: VecDeque<Pending>,
    answers: VecDeque<Pending>,
    later: Vec<(f64, u64, Later)>,
    order: u64,
    timer: Option<f64>,
    spins: u32,
    last_input: f64,
    stopped: bool,
    ids: u32,
    /// Number of events before the present load.
    load_began: usize,
}

impl World {
    /// A player of this content, 10 Mbit/s and 40 ms away; the element is set to play.
    pub fn new(site: Site) -> Self {
        Self::configured(site, Config { stats_interval: 0.0, ..Config::default() })
    }

    pub fn configured(site: Site, config: Config) -> Self {
        Self {
            now: 0.0,
            #[cfg(feature = "replay")]
            config: config.clone(),
            player: Player::new(config),
            net: Network::new(site),
            element: Element::new(),
            events: Vec::new(),
            seeks: Vec::new(),
            commands: Vec::new(),
            unsupported: Vec::new(),
            refuses: None,
            blames: Blame::Itself,
            spoilt: 0,
            change_type: true,
            quota: usize::MAX,
            sources_opened: 0,
            source_opens_in: 0.005,
            wall: 0.0,
            drift: 0.0,
            #[cfg(feature = "replay")]
            record: None,
            queue: VecDeque::new(),
            answers: VecDeque::new(),
            later: Vec::new(),
            order: 0,
            timer: None,
            spins: 0,
            last_input: -1.0,
            stopped: true,
            ids: 0,
            load_began: 0,
        }
    }

    /// Keeps the session's log from now on, which is before the load; see [`Self::assert_replays`].
    pub fn record(&mut self) {
        #[cfg(feature = "replay")]
        {
            self.record = Some(super::record::Record::new(&self.config));
        }
    }

    /// Asserts that another player does the same with the same inputs.
    pub fn assert_replays(&self, _name: &str) {
        #[cfg(feature = "replay")]
        self.record.as_ref().unwrap().assert_replays(_name);
    }

    // What the user does.

    pub fn load(&mut self, url: &str) {
        self.load_with(LoadRequest { url: url.to_owned(), ..LoadRequest::default() });
    }

    pub fn load_at(&mut self, url: &str, start: f64) {
        self.load_with(LoadRequest {
            url: url.to_owned(),
            start_time: Some(start),
            ..LoadRequest::default()
        });
    }

    pub fn load_with(&mut self, request: LoadRequest) {
        self.stopped = false;
        self.load_began = self.events.len();
        let request = LoadRequest { wall: self.wall_now(), ..request };
        self.queue.push_back(Pending::Load(request));
        let Element { paused, rate, width, height, .. } = self.element;
        self.queue.push_back(Pending::State(MediaState {
            paused,
            rate,
            width,
            height,
            ..MediaState::default()
        }));
        self.pump();
    }

    pub fn intent(&mut self, intent: UserIntent) {
        self.queue.push_back(Pending::Intent(intent));
        self.pump();
    }

    /// Ends the load. From then on the core must be silent.
    pub fn stop(&mut self) {
        self.intent(UserIntent::Stop);
        self.stopped = true;
        assert_eq!(self.net.open(), 0, "requests go on after Stop");
        assert!(self.element.source.is_none(), "the source stays after Stop");
    }

    pub fn seek(&mut self, to: f64) {
        self.element.seek(to);
        self.after_element();
    }

    pub fn pause(&mut self) {
        self.element.paused = true;
        self.element.report("pause");
        self.after_element();
    }

    pub fn play(&mut self) {
        self.element.play();
        self.after_element();
    }

    pub fn rate(&mut self, rate: f64) {
        self.element.rate = rate;
        self.element.report("ratechange");
        self.after_element();
    }

    pub fn resize(&mut self, width: u32, height: u32) {
        (self.element.width, self.element.height) = (width, height);
        self.element.report("resize");
        self.after_element();
    }

    /// The link from now on, in bit/s.
    pub fn link(&mut self, rate: f64) {
        self.net.rates.push((self.now, rate));
    }

    /// The machine sleeps, and its connections are lost. `ticks`: its monotonic clock goes on meanwhile.
    pub fn sleep(&mut self, seconds: f64, ticks: bool) {
        if ticks {
            self.net.skip(seconds);
            self.now += seconds;
        } else {
            self.net.skew += seconds;
            self.wall += seconds;
        }
        self.net.break_all();
    }

    /// The link is gone, or comes back.
    pub fn offline(&mut self, gone: bool) {
        if gone {
            self.net.break_all();
            self.fault("", Fault::Refused, u32::MAX);
        } else {
            self.net.heal();
        }
    }

    /// The page is hidden, or seen again.
    pub fn hide(&mut self, hidden: bool) {
        self.element.hidden = hidden;
        self.element.report("visibilitychange");
        self.after_element();
    }

    /// The machine's clock.
    pub fn wall_now(&self) -> f64 {
        self.now * (1.0 + self.drift) + self.wall
    }

    /// The server's time, as `now`.
    pub fn server_now(&self) -> f64 {
        self.now + self.net.skew
    }

    pub fn fault(&mut self, pattern: &str, fault: Fault, times: u32) {
        self.net.fault(pattern, fault, times);
    }

    // Time.

    pub fn run_for(&mut self, seconds: f64) {
        let until = self.now + seconds;
        while self.step(until) {}
    }

    /// Runs until something holds; `false` if it does not within `limit` seconds.
    pub fn run_until(&mut self, limit: f64, holds: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + limit;
        loop {
            if holds(self) {
                return true;
            }
            if !self.step(until) {
                return holds(self);
            }
        }
    }

    /// Seeks; whether the element is there within `limit` seconds, with a `readyState` of `ready` or more.
    pub fn seek_lands(&mut self, to: f64, limit: f64, ready: u8) -> bool {
        self.seek(to);
        self.run_until(limit, |w| !w.element.seeking && w.element.ready_state >= ready)
    }

    /// Runs to the end of the stream, which must come within `limit` seconds.
    pub fn play_to_end(&mut self, limit: f64) {
        let reached = self.run_until(limit, |w| w.has_ended() || w.fatal().is_some());
        assert!(reached && self.has_ended(), "no end after {:.1} s\n{}", self.now, self.story());
    }

    /// Runs to a fatal error, which must come within `limit` seconds.
    pub fn run_to_error(&mut self, limit: f64) -> PlayerError {
        let reached = self.run_until(limit, |w| w.fatal().is_some());
        assert!(reached, "no error after {:.1} s\n{}", self.now, self.story());
        assert_eq!(self.net.open(), 0, "requests go on after a fatal error");
        assert!(self.element.source.is_none(), "the source stays after a fatal error");
        let error = self.fatal().unwrap().clone();
        assert!(!error.message.is_empty() && !error.code.advice().is_empty());
        error
    }

    /// Lets the clock go on to the next thing, at most to `until`. `false`: that was it.
    pub fn step(&mut self, until: f64) -> bool {
        let soonest = self
            .later
            .iter()
            .map(|l| l.0)
            .chain(self.timer)
            .chain([self.net.next(), self.element.next(self.now)])
            .fold(f64::INFINITY, f64::min);
        if soonest > until {
            self.advance(until);
            return false;
        }
        self.advance(soonest.max(self.now));
        if let Some(i) = self.due() {
            let (_, _, later) = self.later.remove(i);
            self.happen(later);
        } else if let Some(delivery) = self.net.poll(self.now) {
            self.queue.push_back(Pending::Net(delivery));
        } else if self.timer.is_some_and(|t| t <= self.now) {
            self.timer = None;
            self.queue.push_back(Pending::Timeout);
        }
        self.after_element();
        true
    }

    fn due(&self) -> Option<usize> {
        let mut due: Vec<(u64, usize)> =
            self.later.iter().enumerate().filter(|(_, l)| l.0 <= self.now).map(|(i, l)| (l.1, i)).collect();
        due.sort_unstable();
        due.first().map(|d| d.1)
    }

    fn advance(&mut self, to: f64) {
        let before = self.element.position;
        self.element.advance(self.now, to);
        self.now = to;
        let reached = self.element.position;
        let mixed = self.element.mixed_since.is_some_and(|since| to > since + 0.25) && reached > before;
        assert!(!mixed, "grey: pictures that were decoded have been replaced\n{}", self.story());
        if let Some(i) = self.element.decode_errors.iter().position(|t| before <= *t && *t < reached) {
            self.element.decode_errors.remove(i);
            self.element.broken = true;
            self.after(LINK, Later::ElementError(3, "decoder failed".into()));
        }
    }

    fn after(&mut self, seconds: f64, later: Later) {
        self.order += 1;
        self.later.push((self.now + seconds, self.order, later));
    }

    fn happen(&mut self, later: Later) {
        match later {
            Later::OpenSource(number) => {
                if let Some(source) = self.element.source.as_mut().filter(|s| s.number == number) {
                    source.open = true;
                    self.queue.push_back(Pending::SourceOpen);
                }
            }
            Later::OperationEnd(number, id, result) => {
                let Some(source) = self.element.source.as_mut().filter(|s| s.number == number) else {
                    return;
                };
                let Some(buffer) = source.buffer_mut(id) else { return };
                buffer.updating = false;
                source.stay_complete();
                match result {
                    Ok(()) => self.queue.push_back(Pending::Done(id)),
                    Err(Refusal::Parse(message)) => {
                        // The append error algorithm: the buffer's error, then the element's.
                        self.element.broken = true;
                        self.queue.push_back(Pending::BufferFailed(id, false, message.clone()));
                        self.after(LINK, Later::ElementError(3, message));
                    }
                    Err(_) => unreachable!("thrown at once"),
                }
            }
            Later::Report(state) => {
                let wall = self.wall_now();
                self.queue.push_back(Pending::State(MediaState { wall, ..state }));
            }
            Later::ElementError(code, message) => {
                if self.element.broken {
                    self.queue.push_back(Pending::ElementError(code, message));
                }
            }
            Later::Seek(to) => {
                if self.element.source.is_some() {
                    self.element.seek(to.unwrap_or(self.element.position));
                }
            }
        }
    }

    /// The element looks at its buffers; what it reports is on its way to the core.
    fn after_element(&mut self) {
        self.pump();
        loop {
            self.element.update(self.now);
            let reports = std::mem::take(&mut self.element.reports);
            if reports.is_empty() {
                return;
            }
            for state in reports {
                self.after(LINK, Later::Report(state));
            }
            self.pump();
        }
    }

    fn pump(&mut self) {
        while let Some(input) = self.answers.pop_front().or_else(|| self.queue.pop_front()) {
            self.feed(input);
            self.drain();
            self.element.update(self.now);
        }
    }

    fn feed(&mut self, input: Pending) {
        self.spins = if self.now > self.last_input { 0 } else { self.spins + 1 };
        self.last_input = self.now;
        assert!(self.spins < SPIN, "the core spins at {:.3}\n{}", self.now, self.story());
        let now = self.now;
        let element = &self.element;
        let player = &mut self.player;
        #[cfg(feature = "replay")]
        let record = &mut self.record;
        let mut send = |input: Input| {
            #[cfg(feature = "replay")]
            if let Some(record) = record {
                record.input(now, &input);
            }
            counting::inside(|| player.handle_input(now, input));
        };
        match input {
            Pending::Load(request) => send(Input::Load(request)),
            Pending::Net(Delivery::Head { id, status, url, content_type, length, ranges, date, icy }) => {
                send(Input::FetchHead {
                    id,
                    status,
                    url: &url,
                    content_type: Some(content_type),
                    length,
                    ranges,
                    date,
                    icy: icy.as_ref(),
                })
            }
            Pending::Net(Delivery::Body { id, data }) => {
                send(Input::FetchBody { id, data: &data });
            }
            Pending::Net(Delivery::End { id }) => send(Input::FetchEnd { id }),
            Pending::Net(Delivery::Failed { id, failure }) => {
                send(Input::FetchFailed { id, failure, message: "the network says so" });
            }
            Pending::SourceOpen => send(Input::SourceOpen),
            Pending::Types(answers) => send(Input::TypesChecked(&answers)),
            Pending::Done(buffer) => {
                let found = element.source.as_ref().and_then(|s| s.buffer(buffer));
                let Some(found) = found else { return };
                send(Input::BufferDone { buffer, buffered: found.buffered() });
            }
            Pending::BufferFailed(buffer, quota, message) => {
                send(Input::BufferFailed { buffer, quota, message: &message });
            }
            Pending::State(state) => send(Input::MediaState(state)),
            Pending::ElementError(code, message) => {
                send(Input::ElementError { code, message: &message });
            }
            Pending::Intent(intent) => send(Input::Intent(intent)),
            Pending::Timeout => send(Input::Timeout),
        }
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            let output = counting::inside(|| self.player.poll_output());
            #[cfg(feature = "replay")]
            if let Some(record) = &mut self.record {
                record.output(&output);
            }
            match output {
                Output::Command(command) => self.execute(command),
                Output::Event(event) => self.tell(event),
                Output::Wait { until } => {
                    assert!(!until.is_nan());
                    // setTimeout has whole milliseconds; an earlier timer is left alone.
                    if until.is_finite() {
                        let at = self.now + ((until - self.now).max(0.0) * 1000.0).ceil() / 1000.0;
                        self.timer = Some(self.timer.map_or(at, |t| t.min(at)));
                    }
                    return;
                }
            }
        }
        panic!("poll_output never waits at {:.3}\n{}", self.now, self.story());
    }

    fn tell(&mut self, event: Event) {
        if let Event::Error(error) = &event {
            assert_ne!(error.code, Code::Internal, "{error:?}\n{}", self.story());
        }
        if let Event::Stats(stats) = &event {
            assert!(
                stats.estimate.is_finite() && stats.buffer.is_finite() && stats.stall_time >= 0.0,
                "{stats:?}"
            );
        }
        assert!(!self.stopped, "an event after Stop: {event:?}");
        self.events.push(Told { at: self.now, event });
    }

    fn execute(&mut self, command: Command) {
        self.commands.push((self.now, format!("{command:?}")));
        let quiet = matches!(command, Command::AbortFetch { .. } | Command::CloseSource);
        assert!(!self.stopped || quiet, "a command after Stop: {command:?}");
        match command {
            Command::Fetch { id, url, range, kind } => {
                assert!(id.0 > self.ids, "{id:?} is not new");
                self.ids = id.0;
                assert!(url.contains("://"), "not absolute: {url}");
                self.net.start(self.now, id, &url, range, kind);
            }
            Command::AbortFetch { id } => self.net.abort(self.now, id),
            Command::PauseFetch { id } => self.net.pause(self.now, id, true),
            Command::ResumeFetch { id } => self.net.pause(self.now, id, false),
            Command::OpenSource => {
                assert!(self.element.source.is_none(), "a source over a source");
                self.sources_opened += 1;
                self.element.attach(Source::new(self.sources_opened));
                self.after(self.source_opens_in, Later::OpenSource(self.sources_opened));
            }
            Command::CloseSource => self.element.detach(),
            Command::CheckTypes(types) => {
                let answers = types.iter().map(|t| !self.unsupported.iter().any(|u| t.contains(u))).collect();
                self.answers.push_back(Pending::Types(answers));
            }
            Command::Seek(to) => {
                assert!(to.is_none_or(|to| to.is_finite() && to >= 0.0), "a seek to {to:?}");
                self.seeks.push((self.now, to.unwrap_or(self.element.position)));
                self.after(LINK, Later::Seek(to));
            }
            Command::SetRate(rate) => {
                self.element.rate = rate;
                self.element.report("ratechange");
            }
            command => self.buffer_command(command),
        }
    }

    fn buffer_command(&mut self, command: Command) {
        let story = format!("{command:?} at {:.3}", self.now);
        let id = match &command {
            Command::AddSourceBuffer { buffer, .. }
            | Command::ChangeType { buffer, .. }
            | Command::Append { buffer, .. }
            | Command::AbortBuffer { buffer }
            | Command::Remove { buffer, .. } => Some(*buffer),
            _ => None,
        };
        if let Command::ChangeType { buffer, .. } = &command
            && !self.change_type
        {
            let why = "changeType is not a function".into();
            return self.answers.push_back(Pending::BufferFailed(*buffer, false, why));
        }
        let quota = self.quota;
        let changes = matches!(command, Command::Append { .. } | Command::Remove { .. });
        let before = self.element.decoded();
        let refused = matches!(&command, Command::Append { buffer, .. } if self.refuses == Some(*buffer));
        if self.blames == Blame::TheElement && refused {
            self.element.broken = true;
            return self.after(LINK, Later::ElementError(4, "parsing failed".into()));
        }
        if self.blames == Blame::TheOther && matches!(command, Command::Append { .. }) {
            let number = self.sources_opened;
            if refused {
                self.spoilt = number;
                return;
            }
            if let (Some(id), true) = (id, self.spoilt == number) {
                self.spoilt = 0;
                self.element.broken = true;
                self.answers.push_back(Pending::BufferFailed(id, false, "the attachment is closing".into()));
                return self.after(LINK, Later::ElementError(4, "parsing failed".into()));
            }
        }
        let result = match self.element.source.as_mut() {
            Some(_) if refused => Err(Refusal::Parse("the parser does not know it".into())),
            Some(source) => source.execute(command, quota),
            None => Err(Refusal::Misuse("the source is gone".into())),
        };
        let after = self.element.decoded();
        if changes && !self.element.seeking && before.iter().any(|mark| !after.contains(mark)) {
            self.element.mixed_since.get_or_insert(self.now);
        }
        match (result, id) {
            (Err(Refusal::Misuse(why)), _) => panic!("{story}: {why}\n{}", self.story()),
            (Err(Refusal::Quota), Some(id)) => {
                self.answers.push_back(Pending::BufferFailed(id, true, "QuotaExceededError".into()));
            }
            (Ok(true), Some(id)) => self.answers.push_back(Pending::Done(id)),
            (result, Some(id)) => {
                let number = self.sources_opened;
                if let Some(buffer) = self.element.source.as_mut().and_then(|s| s.buffer_mut(id)) {
                    buffer.updating = true;
                }
                self.after(APPEND, Later::OperationEnd(number, id, result.map(|_| ())));
            }
            (_, None) => {}
        }
    }

    // What has become of it.

    pub fn has_ended(&self) -> bool {
        let told = |t: &Told| matches!(t.event, Event::Ended);
        self.element.ended && self.events[self.load_began..].iter().any(told)
    }

    pub fn fatal(&self) -> Option<&PlayerError> {
        self.events[self.load_began..].iter().rev().find_map(|t| match &t.event {
            Event::Error(e) if e.severity == Severity::Fatal => Some(e),
            // The element of these worlds plays nothing by itself.
            Event::LastResort { error, .. } => Some(error),
            _ => None,
        })
    }

    /// Codes of the errors that were told, in order.
    pub fn errors(&self) -> Vec<Code> {
        self.events
            .iter()
            .filter_map(|t| match &t.event {
                Event::Error(e) => Some(e.code),
                _ => None,
            })
            .collect()
    }

    /// The element stands at the end.
    pub fn has_ended_now(&self) -> bool {
        self.element.ended
    }

    /// Ends what is still loaded.
    pub fn stop_or_failed(&mut self) {
        self.stop();
        self.run_for(20.0);
    }

    pub fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|t| which(&t.event)).count()
    }

    /// (from, to, reason) of the quality changes.
    pub fn switches(&self) -> Vec<(Option<String>, String, Reason)> {
        self.events
            .iter()
            .filter_map(|t| match &t.event {
                Event::QualityChange { from, to, reason, .. } => Some((from.clone(), to.clone(), *reason)),
                _ => None,
            })
            .collect()
    }

    /// (reason, from, to) of the holes that were jumped.
    pub fn gaps(&self) -> Vec<(Reason, f64, f64)> {
        self.events
            .iter()
            .filter_map(|t| match &t.event {
                Event::Gap { reason, from, to } => Some((*reason, *from, *to)),
                _ => None,
            })
            .collect()
    }

    /// Requests of media segments from a place in the record on.
    pub fn segments_since(&self, from: usize) -> Vec<String> {
        self.net.requests[from..]
            .iter()
            .filter(|r| r.kind == FetchKind::Segment)
            .map(|r| r.url.trim_start_matches("https://media.test/").to_owned())
            .collect()
    }

    /// Forgets what has happened, so that a test may run for days.
    pub fn forget(&mut self) {
        self.events.clear();
        self.load_began = 0;
        self.commands.clear();
        self.seeks.clear();
        self.net.forget();
        let played = self.element.played.len();
        self.element.played.drain(..played.saturating_sub(1));
        for (_, buffer) in self.element.source.iter_mut().flat_map(|s| &mut s.buffers) {
            buffer.forget();
        }
    }

    pub fn requests(&self) -> &[Request] {
        &self.net.requests
    }

    /// Names of the samples played, each once in a row, of a kind.
    pub fn played(&self, kind: char) -> Vec<Mark> {
        self.element.played.iter().filter(|m| m.kind == kind).copied().collect()
    }

    /// Asserts that every sample of a kind was played, in order, none twice: for each part, its number of samples.
    pub fn assert_played_all(&self, kind: char, parts: &[u32]) {
        let played: Vec<(u32, u32)> = self.played(kind).iter().map(|m| (m.part, m.number)).collect();
        let wanted: Vec<(u32, u32)> =
            parts.iter().zip(0..).flat_map(|(count, part)| (0..*count).map(move |n| (part, n))).collect();
        if let Some(i) = (0..played.len().max(wanted.len())).find(|i| played.get(*i) != wanted.get(*i)) {
            panic!(
                "{kind}: sample {i} played is {:?}, should be {:?} ({} of {})\n{}",
                played.get(i),
                wanted.get(i),
                played.len(),
                wanted.len(),
                self.story()
            );
        }
    }

    /// Samples appended so often, of a kind: (how many different ones, how many appends).
    pub fn appended(&self, kind: char) -> (usize, usize) {
        let id = if kind == 'v' { BufferId::Video } else { BufferId::Audio };
        let mut all: Vec<(u32, u32)> = self
            .element
            .source
            .iter()
            .filter_map(|s| s.buffer(id))
            .flat_map(|b| b.log.iter().map(|s| (s.mark.part, s.mark.number)))
            .collect();
        let appends = all.len();
        all.sort_unstable();
        all.dedup();
        (all.len(), appends)
    }

    /// Asserts that all media of a plain file without a timeline of its own that was ever appended was put where it belongs, up to rounding.
    /// `audio`: seconds of a frame of sound.
    pub fn assert_in_place(&self, audio: f64) {
        let buffers = self.element.source.iter().flat_map(|s| &s.buffers);
        for sample in buffers.flat_map(|(_, b)| &b.log) {
            let frame = if sample.mark.kind == 'v' { 0.04 } else { audio };
            let own = f64::from(sample.mark.number) * frame;
            assert!((sample.pts - own).abs() < 0.01, "{sample:?} belongs to {own}\n{}", self.story());
        }
    }

    /// What happened, for people: events, and the last commands.
    pub fn story(&self) -> String {
        let mut text = String::from("--- events\n");
        for t in &self.events {
            text.push_str(&format!("{:9.3} {:?}\n", t.at, t.event));
        }
        text.push_str("--- requests\n");
        let skip = self.net.requests.len().saturating_sub(60);
        for r in &self.net.requests[skip..] {
            text.push_str(&format!("{:9.3} {} {:?} {} {:?}\n", r.at, r.url, r.range, r.received, r.outcome));
        }
        text.push_str("--- last commands\n");
        let skip = self.commands.len().saturating_sub(40);
        for (at, c) in &self.commands[skip..] {
            text.push_str(&format!("{at:9.3} {c}\n"));
        }
        text.push_str(&format!("--- element at {:.3}: {:?}\n", self.now, self.element));
        text
    }
}
