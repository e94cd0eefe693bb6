//! The session log: each input and output as an array, for the script that keeps the lines (www/lib/recorder.ts).

use crate::log::{self, Line};
use crate::player::{Command, Config, FetchId, FetchKind, Input, Now, Output};
use js_sys::{Array, Function, Uint8Array};
use wasm_bindgen::prelude::*;

/// Where the lines go.
pub(super) struct Recorder {
    callback: Function,
    /// Media is kept too.
    media: bool,
    /// Requests whose bodies are kept.
    kept: Vec<FetchId>,
}

impl Line for Array {
    fn text(&mut self, value: &str) {
        self.push(&value.into());
    }

    fn number(&mut self, value: f64) {
        self.push(&value.into());
    }

    fn flag(&mut self, value: bool) {
        self.push(&value.into());
    }
}

impl Recorder {
    /// `callback(line)` gets the first line at once.
    pub(super) fn new(callback: Function, media: bool, config: &Config) -> Self {
        let new = Self { callback, media, kept: Vec::new() };
        let mut line = Array::new();
        log::header(&mut line, config);
        new.add(&line);
        new
    }

    fn add(&self, line: &Array) {
        // A recorder that fails must not take the player with it.
        let _ = self.callback.call1(&JsValue::UNDEFINED, line);
    }

    /// The bytes of a body that is kept are added to its line.
    pub(super) fn input(&mut self, now: Now, input: &Input) {
        let mut line = Array::new();
        log::input(&mut line, now, input);
        match input {
            // A file is asked for as a manifest, and goes on as media.
            Input::FetchHead { id, content_type: Some(kind), .. }
                if !self.media
                    && (kind.starts_with("video/") || kind.starts_with("audio/"))
                    && !kind.contains("mpegurl") =>
            {
                self.kept.retain(|kept| kept != id);
            }
            Input::FetchBody { id, data } if self.kept.contains(id) => {
                line.push(&Uint8Array::from(*data));
            }
            Input::FetchEnd { id } | Input::FetchFailed { id, .. } => self.kept.retain(|kept| kept != id),
            _ => {}
        }
        self.add(&line);
    }

    pub(super) fn output(&mut self, output: &Output) {
        match output {
            Output::Wait { .. } => return,
            Output::Command(Command::Fetch { id, kind, .. })
                if self.media || !matches!(kind, FetchKind::Segment | FetchKind::Stream) =>
            {
                self.kept.push(*id);
            }
            Output::Command(Command::AbortFetch { id }) => self.kept.retain(|kept| kept != id),
            _ => {}
        }
        let mut line = Array::new();
        log::output(&mut line, output);
        self.add(&line);
    }
}
