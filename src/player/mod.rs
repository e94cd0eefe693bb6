//! The player: a sans-IO state machine. `io` is its face; the shell hands it inputs with the time and carries out its outputs.
//!
//! Import rule: everything below may be used; nothing of the browser.

mod appending;
mod buffer;
#[cfg(feature = "live")]
mod clock;
mod failures;
mod fetching;
#[cfg(feature = "progressive")]
mod icy;
mod indexes;
mod io;
mod language;
#[cfg(feature = "progressive")]
mod linear;
#[cfg(all(feature = "hls", feature = "live"))]
mod lists;
#[cfg(feature = "live")]
mod live;
mod loading;
mod notes;
#[cfg(not(feature = "live"))]
mod on_demand;
mod playhead;
mod quality;
#[cfg(feature = "live")]
mod refresh;
mod reports;
mod requests;
mod restart;
mod room;
mod segment;
mod session;
mod stream;
mod types;
mod wrapping;

pub use indexes::{IndexReader, Read, Variables};
pub use io::*;
#[cfg(feature = "live")]
use live::Live;
#[cfg(not(feature = "live"))]
use on_demand::Live;

pub use crate::abr::Rule;
#[cfg(feature = "simulate")]
pub use crate::abr::{TUNED, Tuned, tune};
use crate::error::{Code, PlayerError};
use loading::{Head, Loading, Outcome};
use quality::Abr;
use requests::Requests;
use session::{Ctx, Fatal, Session};
use std::collections::VecDeque;

enum State {
    /// Nothing is loaded, or what was loaded has failed.
    Idle,
    /// The manifest is being read.
    Loading(Box<Loading>),
    /// A presentation plays.
    Playing(Box<Session>),
}

/// The core of one player. It never fails: errors come out as [`Event::Error`].
pub struct Player {
    config: Config,
    state: State,
    out: VecDeque<Output>,
    abr: Abr,
    /// Numbers of requests go on over loads, so that late replies are never taken for others.
    spare_requests: Requests,
    source_open: bool,
    has_source: bool,
    fixed: Option<String>,
    /// Kept from the last report, for a load that begins on an element that is laid out already.
    media: MediaState,
    #[cfg(feature = "progressive")]
    icy: icy::Icy,
    now: Now,
}

impl Player {
    /// A player that has nothing loaded.
    pub fn new(config: Config) -> Self {
        let abr = Abr::new(config.initial_bandwidth);
        Self {
            config,
            state: State::Idle,
            out: VecDeque::new(),
            abr,
            spare_requests: Requests::default(),
            source_open: false,
            has_source: false,
            fixed: None,
            media: MediaState::default(),
            #[cfg(feature = "progressive")]
            icy: icy::Icy::default(),
            now: 0.0,
        }
    }

    /// Takes one input. Then call [`Player::poll_output`] until it says [`Output::Wait`].
    pub fn handle_input(&mut self, now: Now, input: Input) {
        #[cfg(feature = "progressive")]
        match &input {
            Input::FetchBody { id, data } if self.icy_body(now, *id, data) => return,
            Input::FetchHead { id, icy: Some(headers), .. } if self.takes(*id) => self.icy_head(*id, headers),
            _ => {}
        }
        self.take_input(now, input);
    }

    /// Whether a reply belongs to what is loaded now.
    #[cfg(feature = "progressive")]
    fn takes(&self, id: FetchId) -> bool {
        let requests = match &self.state {
            State::Idle => return false,
            State::Loading(loading) => &loading.requests,
            State::Playing(session) => &session.requests,
        };
        requests.ticket_of(id).is_some()
    }

    fn take_input(&mut self, now: Now, input: Input) {
        self.now = now;
        // What is kept from one load to the next.
        match &input {
            Input::Intent(UserIntent::SelectQuality(id) | UserIntent::UseQuality(id)) => {
                self.fixed.clone_from(id)
            }
            Input::SourceOpen => self.source_open = true,
            Input::SourceClosed | Input::ElementError { .. } => self.source_open = false,
            Input::MediaState(media) => self.media = *media,
            _ => {}
        }
        match input {
            Input::Load(request) => return self.load(now, request),
            Input::Intent(UserIntent::Stop) => return self.stop(),
            Input::Intent(UserIntent::Configure(config)) => self.config = *config,
            _ => {
                let mut ctx = Ctx { now, config: &self.config, out: &mut self.out, abr: &mut self.abr };
                match &mut self.state {
                    State::Idle => return,
                    State::Loading(loading) => {
                        let outcome = loading.handle_input(&mut ctx, input);
                        self.settle(now, outcome);
                    }
                    State::Playing(session) => {
                        if let Err(error) = session.handle_input(&mut ctx, input) {
                            self.fail(error);
                        }
                    }
                }
            }
        }
        let State::Playing(session) = &mut self.state else { return };
        let mut ctx = Ctx { now, config: &self.config, out: &mut self.out, abr: &mut self.abr };
        if let Err(error) = session.step(&mut ctx) {
            self.fail(error);
        }
    }

    /// The next thing to do, to tell, or how long there is nothing.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.out.pop_front() {
            return output;
        }
        let ctx = Ctx { now: self.now, config: &self.config, out: &mut self.out, abr: &mut self.abr };
        let until = match &self.state {
            State::Idle => f64::INFINITY,
            State::Loading(loading) => loading.deadline(&ctx),
            State::Playing(session) => session.deadline(&ctx),
        };
        Output::Wait { until }
    }

    /// The numbers now; zeros while nothing is loaded.
    pub fn stats(&mut self, now: Now) -> Stats {
        let ctx = Ctx { now, config: &self.config, out: &mut self.out, abr: &mut self.abr };
        match &self.state {
            State::Playing(session) => session.stats_now(&ctx),
            _ => Stats::default(),
        }
    }

    fn load(&mut self, now: Now, request: LoadRequest) {
        self.end_load();
        self.fixed = None;
        if let Err(error) = loading::check_url(&request.url) {
            self.out.push_back(Output::Event(Event::Error(error)));
            return;
        }
        let requests = std::mem::take(&mut self.spare_requests);
        let mut ctx = Ctx { now, config: &self.config, out: &mut self.out, abr: &mut self.abr };
        self.state = State::Loading(Box::new(Loading::new(&mut ctx, request, requests)));
        // The element's source opens while the manifest is on its way.
        self.out.push_back(Output::Command(Command::OpenSource));
        self.has_source = true;
    }

    fn stop(&mut self) {
        self.end_load();
    }

    /// Cancels what is under way and detaches the source.
    fn end_load(&mut self) {
        let mut requests = match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => std::mem::take(&mut self.spare_requests),
            State::Loading(loading) => loading.requests,
            State::Playing(session) => session.requests,
        };
        requests.cancel_all(&mut self.out);
        self.abr.begin_load();
        self.spare_requests = requests;
        #[cfg(feature = "progressive")]
        self.forget_icy();
        self.source_open = false;
        if std::mem::take(&mut self.has_source) {
            self.out.push_back(Output::Command(Command::CloseSource));
        }
    }

    fn fail(&mut self, error: PlayerError) {
        #[cfg(not(feature = "live"))]
        if error.message == on_demand::ABSENT {
            self.end_load();
            return self.out.push_back(Output::Event(Event::NeedsFeature("live")));
        }
        #[cfg(all(feature = "ts", not(feature = "ts-extra")))]
        if error.message == crate::container::ts::ABSENT {
            self.end_load();
            return self.out.push_back(Output::Event(Event::NeedsFeature("ts-extra")));
        }
        #[cfg(feature = "progressive")]
        if let State::Playing(session) = &self.state
            && let Some((url, mime)) = session.last_resort(&error)
        {
            self.end_load();
            return self.out.push_back(Output::Event(Event::LastResort { url, mime, error }));
        }
        self.end_load();
        self.out.push_back(Output::Event(Event::Error(error)));
    }

    fn settle(&mut self, now: Now, outcome: Outcome) {
        match outcome {
            Outcome::Pending => {}
            Outcome::Failed(error) => self.fail(error),
            Outcome::NeedsFeature(feature) => {
                self.end_load();
                self.out.push_back(Output::Event(Event::NeedsFeature(feature)));
            }
            #[cfg(feature = "progressive")]
            Outcome::Sources(urls) => {
                self.end_load();
                self.out.push_back(Output::Event(Event::Sources(urls)));
            }
            #[cfg(feature = "progressive")]
            Outcome::LastResort { url, mime, error } => {
                self.end_load();
                self.out.push_back(Output::Event(Event::LastResort { url, mime, error }));
            }
            Outcome::Read { read, url } => {
                let State::Loading(loading) = std::mem::replace(&mut self.state, State::Idle) else { return };
                let mut ctx = Ctx { now, config: &self.config, out: &mut self.out, abr: &mut self.abr };
                let media = self.media;
                let mut session = Session::new(&mut ctx, *loading, url, read.presentation, self.source_open);
                session.playhead.lay_out(&media);
                session.fixed.clone_from(&self.fixed);
                session.keep_for_reloads(&mut ctx, read.kept);
                self.state = State::Playing(Box::new(session));
            }
            #[cfg(feature = "progressive")]
            Outcome::Media(found) => {
                let State::Loading(loading) = std::mem::replace(&mut self.state, State::Idle) else { return };
                let mut ctx = Ctx { now, config: &self.config, out: &mut self.out, abr: &mut self.abr };
                let media = self.media;
                let url = found.url.clone();
                let presentation = linear::presentation(&url);
                let mut session = Session::new(&mut ctx, *loading, url, presentation, self.source_open);
                session.playhead.lay_out(&media);
                session.set_linear(*found);
                for note in self.take_early_notes() {
                    session.notes.add(note, f64::INFINITY);
                }
                self.state = State::Playing(Box::new(session));
            }
        }
    }
}

impl Loading {
    fn handle_input(&mut self, ctx: &mut Ctx, input: Input) -> Outcome {
        match input {
            Input::FetchHead { id, status, url, content_type, length, ranges, date, .. } => {
                self.head(ctx, id, &Head { status, url, content_type, length, ranges, date })
            }
            Input::FetchBody { id, data } => self.body(ctx.now, id, data),
            Input::FetchEnd { id } => self.end(ctx, id),
            Input::FetchFailed { id, failure, message } => self.failed(ctx, id, failure, message),
            Input::Timeout => self.tick(ctx),
            _ => Outcome::Pending,
        }
    }
}

impl Session {
    fn handle_input(&mut self, ctx: &mut Ctx, input: Input) -> Result<(), Fatal> {
        match input {
            Input::Intent(UserIntent::SelectQuality(id)) => self.select_quality(ctx, id, false),
            Input::Intent(UserIntent::UseQuality(id)) => self.select_quality(ctx, id, true),
            Input::Intent(UserIntent::SelectAudio(id)) => self.select_audio(ctx, &id),
            Input::Intent(UserIntent::GoLive) => self.go_live(ctx),
            Input::Intent(UserIntent::SeekToDate(date)) => self.seek_to_date(ctx, date),
            Input::SourceOpen => self.set_source_open(true),
            Input::FetchHead { id, status, url, length, ranges, date, .. } => {
                return self.fetch_head(
                    ctx,
                    id,
                    &Head { status, url, content_type: None, length, ranges, date },
                );
            }
            Input::FetchBody { id, data } => return self.fetch_body(ctx, id, data),
            Input::FetchEnd { id } => return self.fetch_end(ctx, id),
            Input::FetchFailed { id, failure, message } => {
                return self.fetch_failed(ctx, id, failure, message);
            }
            Input::TypesChecked(answers) => return self.types_checked(ctx, answers),
            Input::BufferDone { buffer, buffered } => self.buffer_done(buffer, buffered),
            Input::BufferFailed { buffer, quota, message } => {
                return self.buffer_failed(ctx, buffer, quota, message);
            }
            Input::MediaState(media) => self.media_state(ctx, media),
            // That of the source that was dropped for the same fault.
            Input::ElementError { .. } if !self.source_open && std::mem::take(&mut self.recovering) => {}
            Input::ElementError { code, message } => {
                let mut error = PlayerError::new(Code::Decode, "the media element reports an error");
                if !message.is_empty() {
                    error.message = ["the media element reports: ", message].concat().into();
                }
                error.position = Some(u64::from(code));
                return self.recover_decode(ctx, error, None);
            }
            Input::Timeout => return self.tick_requests(ctx),
            Input::Load(_) | Input::Intent(_) | Input::SourceClosed => {}
        }
        Ok(())
    }
}
