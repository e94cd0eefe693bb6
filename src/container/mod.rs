//! Containers: every format is read by one [`Demuxer`] into the same [`Sample`]s.
//!
//! Import rule: `time`, `bytes`, `error`, `codec` only; the formats below never import each other.

pub mod mp4;
#[cfg(feature = "ts")]
pub mod ts;
#[cfg(feature = "webm")]
pub mod webm;

use crate::error::Result;
use crate::time::{Seconds, Ticks, Timescale};

/// What a container calls its track: `track_ID`, PID, track number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrackId(pub u32);

/// The kind of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles and captions.
    Text,
    /// Anything else: timed metadata, hint tracks.
    Other,
}

impl TrackKind {
    /// `"video"`, `"audio"`, `"text"`, `"other"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Text => "text",
            Self::Other => "other",
        }
    }
}

/// One track, as its headers describe it. Sent again with the same id when its parameters change.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackInfo {
    /// The id of the samples that belong to it.
    pub id: TrackId,
    /// Video, audio, …
    pub kind: TrackKind,
    /// Of the samples' time stamps.
    pub timescale: Timescale,
    /// RFC 6381 codec string (`avc1.64001f`, `mp4a.40.2`); the bare sample entry name where no more is known.
    pub codec: String,
    /// The sample entry box (ISO/IEC 14496-12 §8.5.2) whole, header included: verbatim from MP4, else as `codec` made it.
    pub sample_entry: Vec<u8>,
    /// Coded picture size in pixels; 0 for other kinds.
    pub width: u32,
    /// Coded picture size in pixels; 0 for other kinds.
    pub height: u32,
    /// Samples per second of audio; 0 for other kinds.
    pub sample_rate: u32,
    /// Audio channels; 0 for other kinds.
    pub channels: u32,
    /// ISO 639-2 or BCP 47 language, where the container tells.
    pub language: Option<String>,
    /// Media time in ticks that is presented at 0, from the edit list (ISO/IEC 14496-12 §8.6.6); 0 without one, negative
    /// for an initial empty edit. Time stamps of samples do not include it.
    pub edit_start: Ticks,
    /// Whether the samples are encrypted (`encv`, `enca`).
    pub encrypted: bool,
}

/// One access unit. Its bytes are the last `size` bytes that were written to the sink's buffer of its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Decoding time in ticks of the track.
    pub dts: Ticks,
    /// Presentation (composition) time in ticks of the track.
    pub pts: Ticks,
    /// Ticks, where the container tells; else it follows from the next sample.
    pub duration: Option<u32>,
    /// Whether decoding can start here.
    pub sync: bool,
    /// Bytes, as they go into `mdat` (NAL units with length prefixes).
    pub size: u32,
}

/// Takes what a demuxer finds.
pub trait Sink {
    /// A track appears or its parameters change. Comes before the samples it describes.
    fn track(&mut self, info: TrackInfo);

    /// Every track that the headers announce (moov, PMT) has been given with `track`. Called once per set of headers, at the
    /// latest by `finish`; a track that turned out to have no data by then has not been given.
    fn tracks_complete(&mut self);

    /// Where the payload of the track's next sample is written. Append only; what was written since the last `sample`
    /// call may still be patched or truncated by the demuxer.
    fn buffer(&mut self, track: TrackId) -> &mut Vec<u8>;

    /// Completes a sample whose `size` bytes stand at the end of the buffer.
    fn sample(&mut self, track: TrackId, sample: Sample);

    /// Something was skipped: an unparsable packet, a lost continuity counter. `offset` is in bytes from the start of
    /// the input since the last reset.
    fn warning(&mut self, offset: u64, what: &'static str);
}

/// Reads one container, fed with bytes in order. Any split of the bytes gives the same calls of the sink.
pub trait Demuxer {
    /// Takes the next bytes. Samples are given out as soon as they are complete.
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()>;

    /// The segment has ended: gives out what is complete, reports what is cut off.
    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()>;

    /// Passes over the samples before the last one that decoding can start at and that is presented at `time` (seconds, edit list
    /// applied) or earlier, if that leaves out at least `least` bytes that have not come yet. Gives the position, in bytes from the
    /// start of the segment, from which `push` goes on. `None`: nothing is passed over.
    fn skip_to_sync(&mut self, time: Seconds, least: u64, sink: &mut dyn Sink) -> Option<u64> {
        let _ = (time, least, sink);
        None
    }

    /// Forgets all pending bytes, for a seek or another segment that does not follow; tracks known from an init segment stay.
    fn reset(&mut self);
}

/// The formats that can be told from their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ISO BMFF: MP4, CMAF.
    Mp4,
    /// MPEG-2 transport stream.
    Ts,
    /// WebM or Matroska.
    Webm,
    /// ADTS AAC, perhaps after an ID3 tag.
    PackedAudio,
    /// WebVTT text.
    WebVtt,
}

/// Tells the container from the first bytes; 189 bytes are enough for every answer, fewer may be. `None`: unknown or too short.
pub fn sniff(prefix: &[u8]) -> Option<Format> {
    const BOXES: [&[u8; 4]; 11] =
        [b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"free", b"mdat", b"prft", b"uuid", b"skip"];
    if prefix.get(4..8).is_some_and(|name| BOXES.iter().any(|b| name == *b)) {
        return Some(Format::Mp4);
    }
    if prefix.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) || prefix.starts_with(&[0x1f, 0x43, 0xb6, 0x75]) {
        return Some(Format::Webm);
    }
    if prefix.first() == Some(&0x47) && prefix.get(188).is_none_or(|&b| b == 0x47) {
        return Some(Format::Ts);
    }
    if prefix.starts_with(b"ID3") || matches!(prefix, [0xff, b, ..] if b & 0xf6 == 0xf0) {
        return Some(Format::PackedAudio);
    }
    if prefix.starts_with(b"WEBVTT") || prefix.starts_with(b"\xef\xbb\xbfWEBVTT") {
        return Some(Format::WebVtt);
    }
    None
}
