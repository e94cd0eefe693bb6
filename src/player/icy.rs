//! Titles of internet radio stations, which come between the bytes of the media and in the headers of the response.

use super::Player;
use super::io::*;
use super::notes::value;
use crate::container::icy::{IcyMetadata, IcyReader, Piece};
use crate::time::Seconds;

/// Text in a stream of a radio server.
#[derive(Debug, Default)]
pub(super) struct Icy {
    reader: Option<(FetchId, IcyReader)>,
    /// What was told before it was known what plays.
    early: Vec<Note>,
}

fn station(headers: &IcyHeaders) -> Note {
    let mut note = Note::new("station", 0.0);
    note.values.clone_from(&headers.fields);
    note.title = value(&note.values, "name").map(str::to_owned);
    note.url = value(&note.values, "url").map(str::to_owned);
    note
}

fn title(metadata: IcyMetadata, at: Seconds) -> Note {
    let (title, url) = (metadata.title().map(str::to_owned), metadata.url().map(str::to_owned));
    Note { title, url, values: metadata.fields, ..Note::new("icy", at) }
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
            super::State::Playing(session) => session.notes.add(note, f64::INFINITY),
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
