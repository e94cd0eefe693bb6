//! Files with several tracks of sound: which of them is heard.

use super::super::language::same_language;
use super::super::wrapping::Wrapping;
use super::Linear;
use crate::container::{TrackInfo, TrackKind};

impl Linear {
    /// Takes what the browser has said of each track. The sound is the first that it takes, in the wanted language if there is one; the others
    /// are left out.
    pub(super) fn choose_tracks(
        &mut self,
        wanted: Option<&str>,
        answers: Vec<(TrackInfo, Option<Wrapping>)>,
    ) {
        let taken = |t: &TrackInfo, answer: &Option<Wrapping>| t.kind == TrackKind::Audio && answer.is_some();
        let fits =
            |t: &TrackInfo| wanted.zip(t.language.as_deref()).is_some_and(|(w, l)| same_language(w, l));
        let mut sounds = answers.iter().filter(|(t, answer)| taken(t, answer)).map(|(t, _)| t);
        let heard = sounds.clone().find(|t| fits(t)).or_else(|| sounds.next()).map(|t| t.id);
        self.timeline.wrappings = answers
            .into_iter()
            .map(|(t, answer)| (t.id, answer.filter(|_| t.kind != TrackKind::Audio || Some(t.id) == heard)))
            .collect();
    }

    /// The browser takes the sound in no form, whatever it has said.
    pub fn leave_sound_out(&mut self) {
        for (_, wrapping) in &mut self.timeline.wrappings {
            *wrapping = wrapping.take().filter(|w| !w.mime.starts_with("audio/"));
        }
    }
}
