//! What the browser can decode: the types that a manifest names, asked once.

use super::io::*;
use super::session::{Ctx, Fatal, Session};
use super::stream::RepKey;
use crate::error::{Code, PlayerError};
use crate::manifest::{AdaptationSet, ContentType};

impl Session {
    /// Asks the browser about every type that the manifest names.
    pub fn ask_types(&mut self, ctx: &mut Ctx) {
        let mut types: Vec<String> = Vec::new();
        for (p, period) in self.presentation.periods.iter().enumerate() {
            for (s, set) in period.sets.iter().enumerate() {
                for (r, rep) in set.representations.iter().enumerate() {
                    let needs = types_of(set, rep)
                        .into_iter()
                        .map(|t| {
                            types.iter().position(|known| *known == t).unwrap_or_else(|| {
                                types.push(t);
                                types.len() - 1
                            })
                        })
                        .collect();
                    self.checked.push((RepKey { period: p, set: s, rep: r }, needs));
                }
            }
        }
        ctx.command(Command::CheckTypes(types));
    }

    /// The browser has answered.
    pub fn types_checked(&mut self, ctx: &mut Ctx, answers: &[bool]) -> Result<(), Fatal> {
        if self.supported.is_some() {
            #[cfg(feature = "progressive")]
            return self.linear_types(ctx, answers);
            #[cfg(not(feature = "progressive"))]
            return Ok(());
        }
        let checked = std::mem::take(&mut self.checked);
        let takes = |needs: &[usize]| needs.iter().all(|i| answers.get(*i).copied().unwrap_or(false));
        self.supported =
            Some(checked.iter().filter(|(_, needs)| takes(needs)).map(|(key, _)| *key).collect());
        self.choose_streams(ctx)
    }

    /// Whether the browser can decode a representation.
    pub fn is_supported(&self, key: RepKey) -> bool {
        self.supported.as_ref().is_some_and(|all| all.contains(&key))
    }

    pub fn nothing_playable(&self, period: usize) -> PlayerError {
        let sets = self.presentation.periods.get(period).map_or(&[][..], |p| &p.sets);
        let mut codecs: Vec<&str> = Vec::new();
        for set in sets.iter().filter(|s| matches!(s.content, ContentType::Video | ContentType::Audio)) {
            for rep in &set.representations {
                if !codecs.contains(&rep.codecs.as_str()) {
                    codecs.push(&rep.codecs);
                }
            }
        }
        let mut error = if codecs.is_empty() {
            PlayerError::new(Code::ManifestEmpty, "the manifest has no video and no audio")
        } else {
            PlayerError::new(
                Code::CodecUnsupported,
                ["the stream offers ", &codecs.join(", "), " only."].concat(),
            )
        };
        error.tried = (!codecs.is_empty()).then(|| codecs.join(", "));
        error.with_url(&self.url)
    }
}

/// The types that MSE must take for a representation. Empty where the manifest names no codecs: then the media tells.
fn types_of(set: &AdaptationSet, rep: &crate::manifest::Representation) -> Vec<String> {
    if !matches!(set.content, ContentType::Video | ContentType::Audio) || rep.codecs.is_empty() {
        return Vec::new();
    }
    if rep.mime_type.split(['/', ';']).any(|part| part.trim_ascii() == "webm") {
        return vec![declared_mime(&rep.mime_type, &rep.codecs)];
    }
    // Everything else ends up in fragmented MP4, a buffer for video and one for audio.
    rep.codecs
        .split(',')
        .map(str::trim)
        .filter(|c| !c.is_empty())
        .filter_map(|codec| {
            let kind = match codec_kind(codec) {
                Some(ContentType::Video) => "video/mp4",
                Some(ContentType::Audio) => "audio/mp4",
                Some(_) => return None,
                None if set.content == ContentType::Audio => "audio/mp4",
                None => "video/mp4",
            };
            Some(declared_mime(kind, codec))
        })
        .collect()
}

/// `type; codecs="…"`.
pub(super) fn declared_mime(mime: &str, codecs: &str) -> String {
    if codecs.is_empty() { mime.to_owned() } else { [mime, "; codecs=\"", codecs, "\""].concat() }
}

/// What a codec is for, by its RFC 6381 name.
pub(super) fn codec_kind(codec: &str) -> Option<ContentType> {
    let name = codec.split('.').next().unwrap_or(codec).to_ascii_lowercase();
    match name.as_str() {
        "avc1" | "avc3" | "hvc1" | "hev1" | "dvh1" | "dvhe" | "av01" | "vp8" | "vp08" | "vp9" | "vp09"
        | "mp4v" | "vvc1" | "vvi1" => Some(ContentType::Video),
        "mp4a" | "ac-3" | "ec-3" | "ac-4" | "opus" | "flac" | "vorbis" | "mp3" | "alac" | "dtsc" | "dtse" => {
            Some(ContentType::Audio)
        }
        "wvtt" | "stpp" => Some(ContentType::Text),
        _ => None,
    }
}
