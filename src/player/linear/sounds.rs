//! Files with several tracks of sound: which of them is heard.

use super::super::language::same_language;
use super::super::wrapping::Wrapping;
use super::Linear;
use crate::container::{TrackInfo, TrackKind};

impl Linear {
    /// Takes what the browser takes each track as. The sound is the first that it takes, in the wanted language if there is one; the others
    /// are left out.
    pub(super) fn choose_tracks(&mut self, wanted: Option<&str>, tracks: &[(TrackInfo, Option<Wrapping>)]) {
        let fits =
            |t: &TrackInfo| wanted.zip(t.language.as_deref()).is_some_and(|(w, l)| same_language(w, l));
        let mut sounds = tracks.iter().filter(|(t, taken)| t.kind == TrackKind::Audio && taken.is_some());
        let heard = sounds.clone().find(|(t, _)| fits(t)).or_else(|| sounds.next()).map(|(t, _)| t.id);
        let plays = |t: &TrackInfo| t.kind != TrackKind::Audio || Some(t.id) == heard;
        let wrapping =
            |(t, taken): &(TrackInfo, Option<Wrapping>)| (t.id, taken.clone().filter(|_| plays(t)));
        self.timeline.wrappings = tracks.iter().map(wrapping).collect();
    }

    /// The browser takes the sound in no form, whatever it has said.
    pub fn leave_sound_out(&mut self) {
        for (_, wrapping) in &mut self.timeline.wrappings {
            *wrapping = wrapping.take().filter(|w| !w.mime.starts_with("audio/"));
        }
    }
}
