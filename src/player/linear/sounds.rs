//! Files with several tracks of sound: which of them is heard.

use super::super::buffer::{Piece, SEAM};
use super::super::io::*;
use super::super::language::same_language;
use super::super::session::{Ctx, Session};
use super::super::wrapping::Wrapping;
use super::Linear;
use crate::container::{TrackId, TrackInfo, TrackKind};
use crate::time::Seconds;

/// A track of sound that the browser takes.
pub(super) struct Sound {
    track: TrackId,
    language: Option<String>,
    wrapping: Wrapping,
}

impl Sound {
    fn id(&self) -> String {
        ["audio-", &self.track.0.to_string()].concat()
    }
}

impl Linear {
    /// Takes what the browser has said of each track. The sound is the first that it takes, in the wanted language if there is one.
    pub(super) fn choose_sound(
        &mut self,
        wanted: Option<&str>,
        answers: impl Iterator<Item = (TrackInfo, Option<Wrapping>)>,
    ) {
        for (track, wrapping) in answers {
            match wrapping {
                Some(wrapping) if track.kind == TrackKind::Audio => {
                    self.sounds.push(Sound { track: track.id, language: track.language, wrapping });
                }
                wrapping => self.timeline.wrappings.push((track.id, wrapping)),
            }
        }
        let fits = |s: &&Sound| wanted.zip(s.language.as_deref()).is_some_and(|(w, l)| same_language(w, l));
        if let Some(sound) = self.sounds.iter().find(fits).or(self.sounds.first()) {
            self.hear(sound.track);
        }
    }

    fn hear(&mut self, track: TrackId) {
        let wrappings = &mut self.timeline.wrappings;
        wrappings.retain(|(id, _)| self.sounds.iter().all(|s| s.track != *id));
        wrappings
            .extend(self.sounds.iter().map(|s| (s.track, (s.track == track).then(|| s.wrapping.clone()))));
    }

    fn is_heard(&self, track: TrackId) -> bool {
        self.timeline.wrappings.iter().any(|(id, wrapping)| *id == track && wrapping.is_some())
    }

    /// What can be chosen.
    pub fn sound_tracks(&self) -> Vec<AudioTrack> {
        let told = |s: &Sound| AudioTrack {
            id: s.id(),
            language: s.language.clone(),
            label: None,
            roles: Vec::new(),
            active: self.is_heard(s.track),
        };
        self.sounds.iter().map(told).collect()
    }

    /// What is to be appended of a piece that ends at `end`: not pictures that are there, until those behind them need them.
    pub(super) fn beyond_withheld(
        &mut self,
        piece: Piece,
        offset: Seconds,
        end: Seconds,
    ) -> Vec<(Piece, Seconds)> {
        if piece.buffer != BufferId::Video || self.sound_until <= 0.0 {
            return vec![(piece, offset)];
        }
        if piece.first_sync.is_some() {
            self.withheld.clear();
        }
        self.withheld.push((piece, offset));
        if end <= self.sound_until {
            return Vec::new();
        }
        self.sound_until = 0.0;
        std::mem::take(&mut self.withheld)
    }

    /// The browser takes the sound in no form, whatever it has said.
    pub fn leave_sound_out(&mut self) {
        self.sounds.clear();
        for (_, wrapping) in &mut self.timeline.wrappings {
            *wrapping = wrapping.take().filter(|w| !w.mime.starts_with("audio/"));
        }
    }
}

impl Session {
    /// Another track of sound, from the playhead on. Where the bytes cannot be had again, from what comes next on.
    pub fn select_sound(&mut self, ctx: &mut Ctx, id: &str) {
        let position = self.playhead.position(ctx.now);
        let Some(linear) = &mut self.linear else { return };
        let Some(sound) = linear.sounds.iter().find(|s| s.id() == id) else { return };
        let track = sound.track;
        if linear.is_heard(track) {
            return;
        }
        linear.hear(track);
        let again = linear.seekable() && !linear.live();
        let wrappings = linear.timeline.wrappings.clone();
        if again {
            let pictures = self.buffer(BufferId::Video).map(|b| b.expected().end_from(position, SEAM));
            self.cancel_stream(ctx, 0);
            if let Some(linear) = &mut self.linear {
                linear.sound_until = pictures.unwrap_or(0.0);
            }
            let stream = &mut self.streams[0];
            stream.pipeline = None;
            stream.buffers.clear();
            stream.move_to(position, false);
            if let Some(buffer) = self.buffer_mut(BufferId::Audio) {
                buffer.drop_waiting();
                buffer.remove(0.0, f64::INFINITY);
            }
        } else if let Some((_, pipeline)) = &mut self.streams[0].pipeline {
            pipeline.wrap(wrappings);
        }
        self.announce_tracks(ctx);
    }
}
