//! What a demuxed track goes to the browser as. Engines differ in what they take, so each track has candidates and the browser is asked.

use crate::container::{TrackInfo, TrackKind};
use crate::error::{Code, PlayerError};
use crate::remux;
use std::rc::Rc;

/// Whether this build demuxes anything of which engines differ in how they take it.
pub(super) const ASKED: bool = cfg!(any(feature = "ts-extra", feature = "packed", feature = "progressive"));

/// The byte stream format of a SourceBuffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Fragmented MP4.
    Mp4,
    /// WebM.
    Webm,
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
    let in_mp4 = remux::Wrapping::Mp4.carries(track);
    if in_doubt(track) {
        if track.codec != "mp2" {
            // WebKitGTK and Chromium take the frames, Firefox takes them in MP4.
            add("audio/mpeg".to_owned(), Form::Raw);
        }
        let names: &[&str] = if track.codec == "mp2" { &["mp2", "mp4a.69"] } else { &["mp3", "mp4a.6B"] };
        for name in names.iter().filter(|_| in_mp4) {
            add(mp4_mime(track.kind, name), Form::Mp4);
        }
    } else if in_mp4 {
        add(mp4_mime(track.kind, &track.codec), Form::Mp4);
    }
    if remux::Wrapping::Webm.carries(track) {
        let container = if track.kind == TrackKind::Audio { "audio/webm" } else { "video/webm" };
        add([container, "; codecs=\"", &track.codec, "\""].concat(), Form::Webm);
    }
    all
}

/// The browser takes none of these codecs in any form.
pub(super) fn cannot_decode(codecs: &str, url: &str) -> PlayerError {
    PlayerError::new(Code::CodecUnsupported, ["the browser cannot decode ", codecs].concat()).with_url(url)
}

/// Whether engines differ in how they take a codec that they have.
pub(super) fn in_doubt(track: &TrackInfo) -> bool {
    matches!(track.codec.as_str(), "mp3" | "mp2" | "mp4a.6B" | "mp4a.69" | "mp4a.40.34")
}
