//! What a demuxed track goes to the browser as. Engines differ in what they take, so each track has candidates and the browser is asked.

use crate::container::{TrackInfo, TrackKind};
use std::rc::Rc;

/// The byte stream format of a SourceBuffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Fragmented MP4.
    Mp4,
    /// The frames as they are (MPEG audio byte stream format): the browser gives them times.
    Raw,
}

/// What a track goes as.
#[derive(Clone, Debug)]
pub(super) struct Wrapping {
    pub mime: Rc<str>,
    pub form: Form,
}

/// A type with its codec.
pub(super) fn mp4_mime(kind: TrackKind, codec: &str) -> String {
    let container = if kind == TrackKind::Audio { "audio/mp4" } else { "video/mp4" };
    [container, "; codecs=\"", codec, "\""].concat()
}

/// What the track may go as, the best first.
pub(super) fn candidates(track: &TrackInfo) -> Vec<Wrapping> {
    let mut all = Vec::new();
    let mut add = |mime: String, form| all.push(Wrapping { mime: mime.into(), form });
    let mpeg_audio = matches!(track.codec.as_str(), "mp3" | "mp2" | "mp4a.6B" | "mp4a.69" | "mp4a.40.34");
    if mpeg_audio {
        // WebKitGTK and Chromium take the frames, Firefox takes them in MP4.
        add("audio/mpeg".to_owned(), Form::Raw);
        if !track.sample_entry.is_empty() {
            add(mp4_mime(track.kind, "mp3"), Form::Mp4);
            add(mp4_mime(track.kind, "mp4a.6B"), Form::Mp4);
            add(mp4_mime(track.kind, "mp4a.40.34"), Form::Mp4);
        }
    } else if !track.sample_entry.is_empty() {
        add(mp4_mime(track.kind, &track.codec), Form::Mp4);
    }
    all
}
