//! Files with several tracks of sound: which of them is heard.

use super::super::io::*;
use super::super::language::same_language;
use super::super::session::{Ctx, Session};
use super::super::wrapping::Wrapping;
use super::Linear;
use crate::container::{TrackId, TrackInfo, TrackKind};

/// A track of sound that the browser takes.
pub(super) struct Sound {
    track: TrackId,
    language: Option<String>,
    label: Option<String>,
    wrapping: Wrapping,
}

impl Sound {
    fn id(&self) -> String {
        ["audio-", &self.track.0.to_string()].concat()
    }
}

impl Linear {
    /// Takes what the browser takes each track as. The sound is the first that it takes, in the wanted language if there is one; the others
    /// can be chosen.
    pub(super) fn choose_tracks(&mut self, wanted: Option<&str>, tracks: &[(TrackInfo, Option<Wrapping>)]) {
        for (track, taken) in tracks {
            if let (TrackKind::Audio, Some(wrapping)) = (track.kind, taken) {
                self.sounds.push(Sound {
                    track: track.id,
                    language: track.language.clone(),
                    label: track.label.clone(),
                    wrapping: wrapping.clone(),
                });
            }
        }
        self.timeline.wrappings = tracks.iter().map(|(t, taken)| (t.id, taken.clone())).collect();
        let fits = |s: &&Sound| wanted.zip(s.language.as_deref()).is_some_and(|(w, l)| same_language(w, l));
        if let Some(sound) = self.sounds.iter().find(fits).or(self.sounds.first()) {
            self.hear(sound.track);
        }
    }

    /// Of the tracks of sound this one.
    fn hear(&mut self, track: TrackId) {
        for (id, wrapping) in &mut self.timeline.wrappings {
            if let Some(sound) = self.sounds.iter().find(|s| s.track == *id) {
                *wrapping = (*id == track).then(|| sound.wrapping.clone());
            }
        }
    }

    fn is_heard(&self, sound: &Sound) -> bool {
        self.timeline.wrappings.iter().any(|(id, wrapping)| *id == sound.track && wrapping.is_some())
    }

    /// What can be chosen.
    pub fn audio_tracks(&self) -> Vec<AudioTrack> {
        let told = |s: &Sound| AudioTrack {
            id: s.id(),
            language: s.language.clone(),
            label: s.label.clone(),
            roles: Vec::new(),
            active: self.is_heard(s),
        };
        self.sounds.iter().map(told).collect()
    }

    /// Plays it without what goes as this kind of type.
    pub fn leave_out(&mut self, kind: &str) {
        self.sounds.retain(|s| !s.wrapping.mime.starts_with(kind));
        for (_, wrapping) in &mut self.timeline.wrappings {
            wrapping.take_if(|w| w.mime.starts_with(kind));
        }
    }
}

impl Session {
    /// Another track of sound, in a source that is set up anew: WebKitGTK 2.50 plays no other sound in one that has ended, or in another
    /// codec. Where the stream has no end, it is joined again.
    pub fn select_sound(&mut self, ctx: &mut Ctx, id: &str) {
        let Some(linear) = &mut self.linear else { return };
        let Some(sound) = linear.sounds.iter().find(|s| s.id() == id) else { return };
        if linear.is_heard(sound) {
            return;
        }
        linear.hear(sound.track);
        let position = self.playhead.position(ctx.now);
        self.reopen(ctx, position);
        self.announce_tracks(ctx);
    }
}
