//! What the browser can decode: the types that a manifest names, asked once.

use super::io::*;
use super::session::{Ctx, Fatal, Question, Session};
use super::stream::RepKey;
use super::wrapping::{ASKED, Wrapping, candidates, cannot_decode, in_doubt};
use crate::error::{Code, PlayerError};
use crate::manifest::{AdaptationSet, ContentType};
use std::rc::Rc;

impl Session {
    /// Asks the browser about every type that the manifest names and that it was not asked about before.
    pub fn ask_types(&mut self, ctx: &mut Ctx) {
        let mut unknown: Vec<Rc<str>> = Vec::new();
        for set in self.presentation.periods.iter().flat_map(|p| &p.sets) {
            for needs in set.representations.iter().flat_map(|rep| types_of(set, rep)) {
                let asked = |types: &[Rc<str>]| types.iter().any(|t| **t == *needs);
                let known = self.known_types.iter().any(|(t, _)| **t == *needs);
                if !known && !asked(&unknown) && !self.questions.iter().any(|q| asked(&q.types)) {
                    unknown.push(needs.into());
                }
            }
        }
        if self.supported.is_some() {
            self.settle_supported();
            if unknown.is_empty() {
                return;
            }
        }
        ctx.command(Command::CheckTypes(unknown.iter().map(|t| t.to_string()).collect()));
        self.questions.push_back(Question { types: unknown, stream: None });
    }

    /// Which representations can be decoded, by what the browser has said.
    fn settle_supported(&mut self) {
        let takes = |mime: &String| self.known_types.iter().any(|(t, takes)| **t == **mime && *takes);
        let mut supported = Vec::new();
        for (p, period) in self.presentation.periods.iter().enumerate() {
            for (s, set) in period.sets.iter().enumerate() {
                for (r, rep) in set.representations.iter().enumerate() {
                    if types_of(set, rep).iter().all(takes) {
                        supported.push(RepKey { period: p, set: s, rep: r });
                    }
                }
            }
        }
        self.supported = Some(supported);
    }

    /// The browser has answered.
    pub fn types_checked(&mut self, ctx: &mut Ctx, answers: &[bool]) -> Result<(), Fatal> {
        let Some(Question { types, stream }) = self.questions.pop_front() else {
            #[cfg(feature = "progressive")]
            return self.linear_types(ctx, answers);
            #[cfg(not(feature = "progressive"))]
            return Ok(());
        };
        let answers = answers.iter().copied().chain(std::iter::repeat(false));
        self.known_types.extend(types.into_iter().zip(answers));
        if let Some(i) = stream {
            return match self.streams.get(i).and_then(|s| s.job()) {
                Some(job) if job.complete && job.init.is_none() => self.finish_job(ctx, i),
                Some(_) => self.collect(ctx, i, false, Ok(())),
                None => Ok(()),
            };
        }
        let first = self.supported.is_none();
        self.settle_supported();
        if first { self.choose_streams(ctx) } else { Ok(()) }
    }

    /// Decides what the tracks of a stream go as, where engines differ. True: the browser is asked first.
    pub fn settle_wrapping(&mut self, ctx: &mut Ctx, i: usize) -> bool {
        let asking = self.is_asking(i);
        let Some((_, pipeline)) = &mut self.streams[i].pipeline else { return false };
        if !ASKED || pipeline.is_wrapped() {
            return false;
        }
        if asking {
            return true;
        }
        let Some(tracks) = pipeline.infos() else { return false };
        let doubtful: Vec<_> =
            tracks.iter().filter(|t| in_doubt(t)).map(|t| (t.id, candidates(t), &t.codec)).collect();
        let mut unknown: Vec<Rc<str>> = Vec::new();
        for wrapping in doubtful.iter().flat_map(|(_, all, _)| all) {
            if !self.known_types.iter().any(|(mime, _)| *mime == wrapping.mime) {
                unknown.push(wrapping.mime.clone());
            }
        }
        if !unknown.is_empty() {
            ctx.command(Command::CheckTypes(unknown.iter().map(|t| t.to_string()).collect()));
            self.questions.push_back(Question { types: unknown, stream: Some(i) });
            return true;
        }
        let taken = |w: &Wrapping| self.known_types.iter().any(|(mime, takes)| *mime == w.mime && *takes);
        let mut wrappings = Vec::new();
        for (id, mut all, codec) in doubtful {
            all.retain(taken);
            if all.is_empty() {
                ctx.event(Event::Error(cannot_decode(codec, &self.url).recoverable()));
            }
            wrappings.push((id, all.into_iter().next()));
        }
        pipeline.wrap(wrappings);
        false
    }

    /// Whether a stream waits for the browser's word.
    pub fn is_asking(&self, i: usize) -> bool {
        self.questions.iter().any(|q| q.stream == Some(i))
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
        // Engines differ in how they take MPEG audio: the media tells. And so it does where the name lacks the profile (RFC 6381 §3.3).
        .filter(|codec| !matches!(*codec, "mp3" | "mp4a.6B" | "mp4a.69" | "mp4a.40.34"))
        .filter(|codec| {
            !matches!(*codec, "avc1" | "avc3" | "hvc1" | "hev1" | "av01" | "vp09" | "mp4a" | "mp4a.40")
        })
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
