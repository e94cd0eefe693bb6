//! HLS (RFC 8216bis): multivariant playlists through `m3u8-rs`, media playlists by a one-pass reader of our own.
//!
//! Import rule: as the parent's. Variants become representations of one video set, rendition groups become audio and
//! text sets; nothing else of HLS is seen outside this module but [`MediaPlaylist`].

mod attributes;
#[cfg(feature = "live")]
mod dates;
mod low_latency;
mod media;
#[cfg(feature = "live")]
mod merge;
mod multivariant;
mod normalize;
#[cfg(feature = "live")]
mod reload;
mod variables;

pub use low_latency::{LowLatency, RenditionReport, ServerControl};
pub use media::{DateRange, MediaPlaylist, PlaylistType, Start};
#[cfg(feature = "live")]
pub use merge::{Aligned, Change};
#[cfg(feature = "live")]
pub use reload::{Reload, Request, directed};
pub use variables::Variables;

use super::Presentation;
use crate::error::{Code, PlayerError, Result};
use std::borrow::Cow;

/// A playlist that was read.
#[derive(Clone, Debug)]
pub enum Playlist {
    /// Lists variants. The variables are to be given to [`parse`] with its media playlists (EXT-X-DEFINE:IMPORT).
    Multivariant(Presentation, Variables),
    /// Lists segments.
    Media(Box<MediaPlaylist>),
}

/// Whether a resource that starts with `prefix` is an HLS playlist. 16 bytes are enough unless white space comes first.
pub fn looks_like(prefix: &[u8]) -> bool {
    let text = prefix.strip_prefix(b"\xef\xbb\xbf").unwrap_or(prefix).trim_ascii_start();
    text.strip_prefix(b"#EXTM3U").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Reads a playlist. `url` is where it came from after redirects: references resolve against it. `variables` are those of the
/// multivariant playlist that names this one, empty for the first playlist.
///
/// Errors are `ManifestMalformed` with the line, `ManifestEmpty` without a segment or variant, and `FormatUnknown` where
/// the first line is not `#EXTM3U`.
pub fn parse(text: &[u8], url: &str, variables: &Variables) -> Result<Playlist> {
    let read = |text: &str| {
        if is_multivariant(text) {
            return multivariant::parse(text, url, variables).map(|(p, v)| Playlist::Multivariant(p, v));
        }
        media::parse(text, url, variables, None).map(|m| Playlist::Media(Box::new(m)))
    };
    text_of(text).and_then(|text| read(&text)).map_err(|e| e.with_url(url))
}

/// The text of a playlist, with lines that end in LF.
fn text_of(body: &[u8]) -> Result<Cow<'_, str>> {
    if !looks_like(body) {
        return Err(PlayerError::new(Code::FormatUnknown, "The playlist does not start with #EXTM3U.").at(1));
    }
    // RFC 8216bis §4.1 asks for UTF-8 without a byte order mark. Latin-1 does occur, in titles and names, and so does the mark: neither is a
    // reason not to play.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    // Ends of lines as browsers and other players take them.
    let lone =
        text.contains('\r') && text.as_bytes().windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n');
    if !lone {
        return Ok(text);
    }
    let ends = text.bytes().map(|b| if b == b'\r' { b'\n' } else { b });
    Ok(String::from_utf8(ends.collect()).unwrap_or_default().into())
}

/// Segments or variants decide, whichever comes first, and where there are none the first tag that only one of the two kinds may have (RFC
/// 8216bis §4.1): careless servers put tags of the other kind in front. `m3u8_rs::is_master_playlist` would stop at the first tag that it
/// does not know.
fn is_multivariant(text: &str) -> bool {
    let mut hint = None;
    for line in text.split('\n') {
        let Some(tag) = line.trim_ascii().strip_prefix("#EXT") else { continue };
        match tag.split(':').next().unwrap_or(tag) {
            "-X-STREAM-INF" => return true,
            "INF" | "-X-PART" => return false,
            "-X-MEDIA"
            | "-X-I-FRAME-STREAM-INF"
            | "-X-SESSION-KEY"
            | "-X-SESSION-DATA"
            | "-X-CONTENT-STEERING" => {
                hint.get_or_insert(true);
            }
            "-X-TARGETDURATION" | "-X-MEDIA-SEQUENCE" | "-X-ENDLIST" | "-X-PLAYLIST-TYPE" | "-X-KEY"
            | "-X-MAP" | "-X-PART-INF" | "-X-SERVER-CONTROL" | "-X-I-FRAMES-ONLY" => {
                hint.get_or_insert(false);
            }
            _ => {}
        }
    }
    hint.unwrap_or(false)
}

/// At most this many warnings are kept: a broken playlist of 10,000 segments would else repeat one 10,000 times.
const MAX_WARNINGS: usize = 20;

/// An error at a line, counted from 1.
fn malformed(line: usize, what: impl Into<Cow<'static, str>>) -> PlayerError {
    PlayerError::new(Code::ManifestMalformed, what).at(line as u64)
}
