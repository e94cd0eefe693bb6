//! The one loop between the core and the browser.
//!
//! Browser callbacks never reach the core directly: they queue an input and pump. A pump that runs already takes it in its
//! turn, so the core is never re-entered and no borrow is held while JavaScript runs.

use super::{messages, mse::Source};
use crate::player::{
    BufferId, Command, Config, Event, FetchFailure, FetchId, IcyHeaders, Input, LoadRequest, MediaState, Now,
    Output, Player, UserIntent,
};
use crate::time::TimeRanges;
use gloo_timers::callback::Timeout;
use js_sys::{Function, Promise};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// An input that owns its data, on its way to the core.
pub(super) enum Pending {
    Load(LoadRequest),
    Head {
        id: FetchId,
        status: u16,
        url: String,
        content_type: Option<String>,
        length: Option<u64>,
        ranges: bool,
        date: Option<f64>,
        icy: Option<Box<IcyHeaders>>,
    },
    /// The first `len` bytes of a buffer that goes back to the shell.
    Body {
        id: FetchId,
        data: Vec<u8>,
        len: usize,
    },
    End(FetchId),
    Failed {
        id: FetchId,
        failure: FetchFailure,
        message: String,
    },
    SourceOpen,
    SourceClosed,
    Types(Vec<bool>),
    BufferDone {
        buffer: BufferId,
        buffered: TimeRanges,
    },
    BufferFailed {
        buffer: BufferId,
        quota: bool,
        message: String,
    },
    State(MediaState),
    ElementError {
        code: u8,
        message: String,
    },
    Intent(UserIntent),
    Timeout,
}

/// What one engine owns. Closures and running requests hold it weakly.
pub(super) struct Shell {
    core: RefCell<Player>,
    /// Inputs from outside, in order of arrival.
    queue: RefCell<VecDeque<Pending>>,
    /// Answers to commands that were carried out at once. They go first: a `load()` that a callback has queued meanwhile
    /// must not overtake the answers to the old load's commands.
    answers: RefCell<VecDeque<Pending>>,
    pumping: Cell<bool>,
    closed: Cell<bool>,
    callback: Function,
    timer: RefCell<Option<(Now, Timeout)>>,
    pub(super) source: RefCell<Option<Source>>,
    pub(super) fetches: RefCell<Vec<super::fetch::Running>>,
    /// Whether to ask radio servers for titles; `None`: where that needs no leave of another origin.
    pub(super) ask_icy: Cell<Option<bool>>,
    pub(super) prefetched: RefCell<Option<(String, Promise)>>,
    /// Body chunks are copied here, so that no allocation is made per chunk.
    pub(super) chunk: RefCell<Vec<u8>>,
    #[cfg(feature = "log")]
    pub(super) recorder: RefCell<Option<super::log::Recorder>>,
}

#[wasm_bindgen]
extern "C" {
    /// `performance`, on the page and in a worker.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// setTimeout takes a signed 32-bit number of milliseconds.
const LONGEST_TIMEOUT: f64 = 2_147_483_647.0;

impl Shell {
    pub(super) fn new(callback: Function, config: Config) -> Rc<Self> {
        Rc::new(Self {
            core: RefCell::new(Player::new(config)),
            queue: RefCell::default(),
            answers: RefCell::default(),
            pumping: Cell::new(false),
            closed: Cell::new(false),
            callback,
            timer: RefCell::default(),
            source: RefCell::default(),
            fetches: RefCell::default(),
            ask_icy: Cell::new(None),
            prefetched: RefCell::default(),
            chunk: RefCell::default(),
            #[cfg(feature = "log")]
            recorder: RefCell::default(),
        })
    }

    /// Queues an input from outside and carries it in, now or when the running pump gets to it.
    pub(super) fn input(self: &Rc<Self>, input: Pending) {
        if self.closed.get() {
            return;
        }
        self.queue.borrow_mut().push_back(input);
        self.pump();
    }

    /// The answer to a command that was carried out at once.
    pub(super) fn answer(&self, input: Pending) {
        self.answers.borrow_mut().push_back(input);
    }

    /// Posts a message to the page side.
    pub(super) fn post(&self, message: &JsValue) {
        // An exception in the callback is the callback's; the engine goes on.
        let _ = self.callback.call1(&JsValue::UNDEFINED, message);
    }

    /// Cancels everything; nothing is posted any more.
    pub(super) fn close(&self) {
        self.closed.set(true);
        for running in self.fetches.take() {
            running.abort();
        }
        self.prefetched.take();
        self.timer.take();
        self.source.take();
        self.queue.borrow_mut().clear();
        self.answers.borrow_mut().clear();
    }

    fn pump(self: &Rc<Self>) {
        if self.pumping.replace(true) {
            return;
        }
        while !self.closed.get() {
            let answer = self.answers.borrow_mut().pop_front();
            let Some(input) = answer.or_else(|| self.queue.borrow_mut().pop_front()) else { break };
            self.feed(input);
            self.drain();
        }
        self.pumping.set(false);
    }

    /// Carries one input into the core.
    fn feed(&self, input: Pending) {
        let now = performance_now() / 1000.0;
        // Whole microseconds are short to write.
        #[cfg(feature = "log")]
        let now = (now * 1e6).round() / 1e6;
        let mut core = self.core.borrow_mut();
        let mut feed = |input| {
            #[cfg(feature = "log")]
            if let Some(recorder) = &mut *self.recorder.borrow_mut() {
                recorder.input(now, &input);
            }
            core.handle_input(now, input);
        };
        match input {
            Pending::Load(request) => feed(Input::Load(request)),
            Pending::Head { id, status, url, content_type, length, ranges, date, icy } => {
                feed(Input::FetchHead {
                    id,
                    status,
                    url: &url,
                    content_type: content_type.as_deref(),
                    length,
                    ranges,
                    date,
                    icy: icy.as_deref(),
                });
            }
            Pending::Body { id, data, len } => {
                feed(Input::FetchBody { id, data: data.get(..len).unwrap_or(&data) });
                self.chunk.replace(data);
            }
            Pending::End(id) => feed(Input::FetchEnd { id }),
            Pending::Failed { id, failure, message } => {
                feed(Input::FetchFailed { id, failure, message: &message })
            }
            Pending::SourceOpen => feed(Input::SourceOpen),
            Pending::SourceClosed => feed(Input::SourceClosed),
            Pending::Types(supported) => feed(Input::TypesChecked(&supported)),
            Pending::BufferDone { buffer, buffered } => feed(Input::BufferDone { buffer, buffered }),
            Pending::BufferFailed { buffer, quota, message } => {
                feed(Input::BufferFailed { buffer, quota, message: &message });
            }
            Pending::State(state) => feed(Input::MediaState(state)),
            Pending::ElementError { code, message } => feed(Input::ElementError { code, message: &message }),
            Pending::Intent(intent) => feed(Input::Intent(intent)),
            Pending::Timeout => feed(Input::Timeout),
        }
    }

    /// Carries out all that the core wants now. The core is not borrowed while JavaScript runs.
    fn drain(self: &Rc<Self>) {
        while !self.closed.get() {
            let output = self.core.borrow_mut().poll_output();
            #[cfg(feature = "log")]
            if let Some(recorder) = &mut *self.recorder.borrow_mut() {
                recorder.output(&output);
            }
            match output {
                Output::Command(command) => self.execute(command),
                Output::Event(event) => self.emit(&event),
                Output::Wait { until } => return self.wake_at(until),
            }
        }
    }

    fn execute(self: &Rc<Self>, command: Command) {
        match command {
            Command::Fetch { id, url, range, kind } => self.fetch(id, &url, range, kind),
            Command::AbortFetch { id } => self.abort_fetch(id),
            #[cfg(feature = "progressive")]
            Command::PauseFetch { id } => self.pause_fetch(id, true),
            #[cfg(feature = "progressive")]
            Command::ResumeFetch { id } => self.pause_fetch(id, false),
            Command::OpenSource => self.open_source(),
            Command::CloseSource => self.close_source(),
            Command::CheckTypes(types) => self.answer(Pending::Types(super::mse::check_types(&types))),
            Command::Seek(time) => self.post(&messages::number("seek", time.unwrap_or(-1.0))),
            Command::SetRate(rate) => self.post(&messages::number("rate", rate)),
            command => self.buffer_command(command),
        }
    }

    pub(super) fn emit(&self, event: &Event) {
        self.post(&messages::event(event));
    }

    /// One timer for the core's one deadline. A timer that rings earlier is left alone: early calls are harmless, and
    /// most pumps then touch no timer at all.
    fn wake_at(self: &Rc<Self>, until: Now) {
        if !until.is_finite() || self.timer.borrow().as_ref().is_some_and(|(armed, _)| *armed <= until) {
            return;
        }
        let wait = ((until - performance_now() / 1000.0) * 1000.0).ceil().clamp(0.0, LONGEST_TIMEOUT);
        let shell = Rc::downgrade(self);
        let timer = Timeout::new(wait as u32, move || {
            if let Some(shell) = shell.upgrade() {
                shell.timer.take();
                shell.input(Pending::Timeout);
            }
        });
        self.timer.replace(Some((until, timer)));
    }
}

/// A panic is a defect of ours that must not end in silence. The module traps, which the glue reports (`adaptGlue` in www/build.mjs); what
/// it was about, a build for debugging says on the console.
#[cfg(debug_assertions)]
pub(super) fn explain_panics() {
    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = console, js_name = error)]
        fn console_error(message: &str);
    }
    // Once: a module that has panicked can be asked for another engine, and then the hook cannot be set.
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| console_error(&info.to_string()))));
}
