//! What goes along with the media, told when it is heard rather than when it was fetched: titles of radio stations, tags, timed metadata.

use super::Player;
use super::io::*;
use super::session::{Ctx, Session};
use crate::container::Metadata;
use crate::container::icy::{IcyMetadata, IcyReader, Piece};
use crate::time::Seconds;
use std::collections::VecDeque;

/// Notes that wait for the playhead. Larger: memory, where a stream has more of them than are played.
const MAX_WAITING: usize = 500;

/// Notes of one load.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// In the order of their times.
    waiting: VecDeque<Note>,
    /// The last of each kind that is said again and again.
    last: Vec<Note>,
}

impl Notes {
    /// Whether a radio server has told of its station, or of what it plays.
    pub fn of_radio(&self) -> bool {
        self.last.iter().any(|n| matches!(n.kind, "station" | "icy"))
    }

    /// Keeps a note until the playhead comes to it. One that says the same as the last of its kind is dropped.
    pub fn add(&mut self, note: Note) {
        if matches!(note.kind, "station" | "icy" | "comments") {
            match self.last.iter_mut().find(|n| n.kind == note.kind) {
                Some(last) if last.values == note.values => return,
                Some(last) => last.clone_from(&note),
                None => self.last.push(note.clone()),
            }
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        let place = self.waiting.iter().rposition(|n| n.at <= note.at).map_or(0, |i| i + 1);
        self.waiting.insert(place, note);
    }
}

/// Text in a stream of a radio server.
#[derive(Debug, Default)]
pub(super) struct Icy {
    reader: Option<(FetchId, IcyReader)>,
    /// What was told before it was known what plays.
    early: Vec<Note>,
}

fn text_note(kind: &'static str, at: Seconds, values: Vec<(String, String)>) -> Note {
    Note { kind, at, title: None, url: None, values, data: Vec::new() }
}

fn value<'a>(values: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = values.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
}

fn station(headers: &IcyHeaders) -> Note {
    let mut note = text_note("station", 0.0, headers.fields.clone());
    note.title = value(&note.values, "name").map(str::to_owned);
    note.url = value(&note.values, "url").map(str::to_owned);
    note
}

fn title(metadata: IcyMetadata, at: Seconds) -> Note {
    let (title, url) = (metadata.title().map(str::to_owned), metadata.url().map(str::to_owned));
    Note { title, url, ..text_note("icy", at, metadata.fields) }
}

/// What a demuxer found; `None`: nothing that is told.
fn aside(data: Metadata, at: Seconds) -> Option<Note> {
    let binary = |kind, data| Some(Note { data, ..text_note(kind, at, Vec::new()) });
    match data {
        Metadata::Comments(values) => {
            let mut note = text_note("comments", at, values);
            let of = |name| value(&note.values, name);
            note.title = match (of("ARTIST"), of("TITLE")) {
                (Some(artist), Some(title)) => Some([artist, " - ", title].concat()),
                (artist, title) => title.or(artist).map(str::to_owned),
            };
            Some(note)
        }
        Metadata::Script(values) => Some(text_note("script", at, values)),
        Metadata::Id3(data) => binary("id3", data),
        Metadata::Scte35(data) => binary("scte35", data),
        Metadata::Klv(data) => binary("klv", data),
        Metadata::Captions(_) => None,
    }
}

impl Session {
    /// Takes what the demuxer of a plain stream found, for the place where it belongs.
    pub fn note_asides(&mut self, i: usize, edge: Seconds) {
        let Some(linear) = &self.linear else { return };
        let offset = linear.offset();
        let Some((_, pipeline)) = &mut self.streams[i].pipeline else { return };
        for (at, data) in pipeline.take_metadata() {
            let at = at.zip(offset).map_or(edge, |(at, offset)| at + offset);
            if let Some(note) = aside(data, at.max(0.0)) {
                self.notes.add(note);
            }
        }
    }

    /// Tells what the playhead has come to.
    pub fn tell_notes(&mut self, ctx: &mut Ctx) {
        /// An element's clock and ours differ by less, in seconds.
        const CLOSE: Seconds = 0.02;
        let position = self.playhead.position(ctx.now);
        while self.loaded && self.notes.waiting.front().is_some_and(|n| n.at <= position + CLOSE) {
            let Some(note) = self.notes.waiting.pop_front() else { return };
            ctx.event(Event::Metadata(note));
        }
    }

    /// When the next is due.
    pub fn notes_deadline(&self, ctx: &Ctx) -> Now {
        match self.notes.waiting.front() {
            Some(note) if self.loaded && self.playhead.moving() => {
                let rate = self.playhead.media().rate.max(0.1);
                ctx.now + ((note.at - self.playhead.position(ctx.now)) / rate).max(0.02)
            }
            _ => f64::INFINITY,
        }
    }
}

impl Player {
    /// The head of a response: from here on there may be text between the bytes.
    pub(super) fn icy_head(&mut self, id: FetchId, headers: &IcyHeaders) {
        self.icy.reader = IcyReader::new(headers.interval).map(|reader| (id, reader));
        if !headers.fields.is_empty() {
            self.add_note(station(headers));
        }
    }

    /// Bytes of such a response: text is taken out, and the rest goes on. False: they are of another one.
    pub(super) fn icy_body(&mut self, now: Now, id: FetchId, mut data: &[u8]) -> bool {
        let Some((_, mut reader)) = self.icy.reader.take_if(|(of, _)| *of == id) else { return false };
        while let Some(piece) = reader.next(&mut data) {
            match piece {
                Piece::Media(data) => self.take_input(now, Input::FetchBody { id, data }),
                Piece::Metadata(metadata) => {
                    let note = title(metadata, self.media_edge());
                    self.add_note(note);
                }
            }
        }
        self.icy.reader = Some((id, reader));
        true
    }

    /// Where the media ends that was taken so far.
    fn media_edge(&self) -> Seconds {
        match &self.state {
            super::State::Playing(session) => session.linear.as_ref().map_or(0.0, |l| l.edge()),
            _ => 0.0,
        }
    }

    fn add_note(&mut self, note: Note) {
        match &mut self.state {
            super::State::Playing(session) => session.notes.add(note),
            super::State::Loading(_) => self.icy.early.push(note),
            super::State::Idle => {}
        }
    }

    /// What was told before it was known what plays; the load has found out.
    pub(super) fn take_early_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.icy.early)
    }

    /// Another load begins.
    pub(super) fn forget_icy(&mut self) {
        self.icy = Icy::default();
    }
}
