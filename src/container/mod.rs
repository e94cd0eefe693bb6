//! Containers: every format is read by one [`Demuxer`] into the same [`Sample`]s.
//!
//! Import rule: `time`, `bytes`, `error`, `codec` only; the formats below never import each other.

#[cfg(any(feature = "ts", feature = "packed"))]
mod adts;
mod captions;
#[cfg(feature = "progressive")]
pub mod flac;
#[cfg(feature = "flv")]
pub mod flv;
#[cfg(any(feature = "ts-extra", feature = "packed"))]
mod framed;
#[cfg(any(feature = "ts-extra", feature = "packed"))]
mod frames;
#[cfg(feature = "progressive")]
pub mod icy;
pub mod mp4;
#[cfg(feature = "ogg")]
pub mod ogg;
#[cfg(feature = "packed")]
pub mod packed;
#[cfg(feature = "ts")]
pub mod ts;
#[cfg(feature = "webm")]
pub mod webm;

pub use captions::captions;

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
    /// What a person calls the track, where the container tells.
    pub label: Option<String>,
    /// Media time in ticks that is presented at 0, from the edit list (ISO/IEC 14496-12 §8.6.6); 0 without one, negative
    /// for an initial empty edit. Time stamps of samples do not include it.
    pub edit_start: Ticks,
    /// Whether the samples are encrypted (`encv`, `enca`).
    pub encrypted: bool,
    /// What Matroska calls CodecPrivate (RFC 9559 §5.1.4.1.22), for codecs that only WebM can carry; empty for all others.
    pub codec_private: Vec<u8>,
}

impl TrackInfo {
    /// A track of which no more is known than this; all else is empty or 0.
    pub fn new(id: TrackId, kind: TrackKind, timescale: Timescale) -> Self {
        Self {
            id,
            kind,
            timescale,
            codec: String::new(),
            sample_entry: Vec::new(),
            width: 0,
            height: 0,
            sample_rate: 0,
            channels: 0,
            language: None,
            label: None,
            edit_start: 0,
            encrypted: false,
            codec_private: Vec::new(),
        }
    }
}

/// What goes along with the samples and is not decoded with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// A whole ID3v2 tag, header included; of one that is too large the frames that were kept.
    Id3(Vec<u8>),
    /// A whole `splice_info_section` (SCTE 35 §9.6), CRC included.
    Scte35(Vec<u8>),
    /// KLV units (SMPTE 336, MISB ST 1402) of one access unit.
    Klv(Vec<u8>),
    /// CEA-608 and CEA-708 triplets of one picture, as `cc_data()` has them (ATSC A/53 part 4 §6.2.3.1): a byte with `cc_valid` and
    /// `cc_type`, and two of data, each. Demuxers leave them in the samples: see [`captions()`].
    Captions(Vec<u8>),
    /// An event message of MP4.
    Event(Box<EventMessage>),
    /// Names and values, as Vorbis comments and Icecast have them.
    Comments(Vec<(String, String)>),
    /// Names and values of a script message, such as FLV's `onMetaData`.
    Script(Vec<(String, String)>),
}

/// An event message (`emsg`, ISO/IEC 23009-1 §5.10.3.3), but for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMessage {
    /// Names who defines `value` and `data`.
    pub scheme_id_uri: String,
    /// As the scheme defines it.
    pub value: String,
    /// The same in each message of one event.
    pub id: u32,
    /// Ticks of 90 kHz; `None`: not known.
    pub duration: Option<Ticks>,
    /// `message_data`, as the scheme defines it.
    pub data: Vec<u8>,
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

    /// Data that goes along with the samples. `at` is its presentation time, in ticks of `track` or, without a track, of 90 kHz;
    /// `None` for what concerns the whole stream from here on. May come before the samples of its time.
    fn metadata(&mut self, track: Option<TrackId>, at: Option<Ticks>, data: Metadata) {
        let _ = (track, at, data);
    }

    /// Something was skipped: an unparsable packet, a lost continuity counter. `offset` is in bytes from the start of
    /// the input since the last reset.
    fn warning(&mut self, offset: u64, what: &'static str);
}

/// Reads one container, fed with bytes in order. Any split of the bytes gives the same calls of the sink.
pub trait Demuxer {
    /// Takes the next bytes. Samples are given out as soon as they are complete.
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()>;

    /// A segment comes that begins at this time of the presentation according to the manifest: for formats without times of their own.
    fn begin_segment(&mut self, start: Seconds) {
        let _ = start;
    }

    /// Whether the times of the samples are those that `begin_segment` told.
    fn is_untimed(&self) -> bool {
        false
    }

    /// The segment has ended: gives out what is complete, reports what is cut off.
    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()>;

    /// Passes over the samples before the last one that decoding can start at and that is presented at `time` (seconds, edit list
    /// applied) or earlier, if that leaves out at least `least` bytes that have not come yet. Gives the position, in bytes from the
    /// start of the segment, from which `push` goes on. `None`: nothing is passed over.
    fn skip_to_sync(&mut self, time: Seconds, least: u64, sink: &mut dyn Sink) -> Option<u64> {
        let _ = (time, least, sink);
        None
    }

    /// Seconds of the whole file, where its headers tell, or a constant rate with the file's `length` in bytes.
    fn duration(&self, length: Option<u64>) -> Option<Seconds> {
        let _ = length;
        None
    }

    /// For a file that is read from another place on: forgets all pending bytes, as `reset` does, and gives the byte from which `push`
    /// goes on, so that what is presented at `time` (seconds on the timeline of the samples, edit list applied) can be decoded. For what the
    /// headers tell: a seek table, a list of keyframes, a constant rate. Formats whose samples carry no time go on counting from the time
    /// of that byte. `length`: bytes of the file. `None`, and nothing is forgotten: not known; the caller searches by the time stamps.
    fn seek(&mut self, time: Seconds, length: u64) -> Option<u64> {
        let _ = (time, length);
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
    /// MPEG-2 transport stream, of 188, 192 or 204 byte packets.
    Ts,
    /// WebM or Matroska.
    Webm,
    /// Flash Video.
    Flv,
    /// Ogg, whatever is in it.
    Ogg,
    /// Native FLAC.
    Flac,
    /// MPEG-1/2 audio, layer 2 or 3, without a tag in front.
    Mp3,
    /// AAC in ADTS, without a tag in front.
    Adts,
    /// AC-3 or E-AC-3, without a tag in front.
    Ac3,
    /// RIFF WAVE.
    Wav,
    /// An ID3v2 tag, and behind it an elementary stream of audio: which, its demuxer finds.
    PackedAudio,
    /// WebVTT text.
    WebVtt,
}

impl Format {
    /// The type that browsers know it by. Without codecs.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Ts => "video/mp2t",
            Self::Webm => "video/webm",
            Self::Flv => "video/x-flv",
            Self::Ogg => "application/ogg",
            Self::Flac => "audio/flac",
            Self::Mp3 | Self::PackedAudio => "audio/mpeg",
            Self::Adts => "audio/aac",
            Self::Ac3 => "audio/ac3",
            Self::Wav => "audio/wav",
            Self::WebVtt => "text/vtt",
        }
    }

    /// A short name, for people and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Ts => "mpegts",
            Self::Webm => "webm",
            Self::Flv => "flv",
            Self::Ogg => "ogg",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Adts => "adts",
            Self::Ac3 => "ac3",
            Self::Wav => "wav",
            Self::PackedAudio => "packed",
            Self::WebVtt => "webvtt",
        }
    }
}

/// The demuxer of a format, for bytes in order from their start; `None` where this build has none. MP4 is read in fragments: whole
/// progressive files have sample tables of their own.
pub fn open(format: Format) -> Option<Box<dyn Demuxer>> {
    match format {
        Format::Mp4 => Some(Box::new(mp4::FragmentDemuxer::new())),
        #[cfg(feature = "packed")]
        Format::Mp3 | Format::Adts | Format::Ac3 | Format::PackedAudio => {
            Some(Box::new(packed::PackedDemuxer::new()))
        }
        #[cfg(feature = "ts")]
        Format::Ts => Some(Box::new(ts::TsDemuxer::new())),
        #[cfg(feature = "webm")]
        Format::Webm => Some(Box::new(webm::WebmDemuxer::default())),
        #[cfg(feature = "progressive")]
        Format::Flac => Some(Box::new(flac::FlacDemuxer::new())),
        #[cfg(feature = "flv")]
        Format::Flv => Some(Box::new(flv::FlvDemuxer::new())),
        #[cfg(feature = "ogg")]
        Format::Ogg => Some(Box::new(ogg::OggDemuxer::new())),
        _ => None,
    }
}

/// Bytes that are enough for every answer of [`sniff`].
pub const SNIFFED: usize = 1024;

/// Tells the container from the first bytes; fewer than [`SNIFFED`] may be enough. `None`: unknown or too short.
pub fn sniff(prefix: &[u8]) -> Option<Format> {
    // The last four begin files of QuickTime.
    const BOXES: [&[u8; 4]; 15] = [
        b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"free", b"mdat", b"prft", b"uuid", b"skip",
        b"meta", b"wide", b"pnot", b"junk",
    ];
    if prefix.get(4..8).is_some_and(|name| BOXES.iter().any(|b| name == *b)) {
        return Some(Format::Mp4);
    }
    let is = |at: usize, byte: u8| prefix.get(at) == Some(&byte);
    let known = match prefix {
        [0x1a, 0x45, 0xdf, 0xa3, ..] | [0x1f, 0x43, 0xb6, 0x75, ..] => Format::Webm,
        [b'I', b'D', b'3', ..] => Format::PackedAudio,
        [b'F', b'L', b'V', 1, ..] => Format::Flv,
        [b'O', b'g', b'g', b'S', ..] => Format::Ogg,
        [b'f', b'L', b'a', b'C', ..] => Format::Flac,
        [b'R', b'I', b'F', b'F' | b'X', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Format::Wav,
        // Also with the outer code of 204 bytes, or the time in front of packets of 192 bytes.
        [0x47, ..] if prefix.len() <= 188 || is(188, 0x47) || is(204, 0x47) => Format::Ts,
        [_, _, _, _, 0x47, ..] if is(196, 0x47) => Format::Ts,
        [0x0b, 0x77, ..] => Format::Ac3,
        // The layer tells the two apart: ADTS has none (ISO/IEC 14496-3 §1.A.2.2.1, ISO/IEC 11172-3 §2.4.2.3).
        [0xff, b, ..] if b & 0xf6 == 0xf0 => Format::Adts,
        [0xff, b, c, ..]
            if b & 0xe0 == 0xe0 && b & 0x18 != 8 && b & 6 != 0 && c & 0xf0 != 0xf0 && c & 12 != 12 =>
        {
            Format::Mp3
        }
        _ if prefix.starts_with(b"WEBVTT") || prefix.starts_with(b"\xef\xbb\xbfWEBVTT") => Format::WebVtt,
        // Joined within a packet, or behind something else.
        _ if (1..prefix.len())
            .any(|at| [188, 192, 204].iter().any(|n| (0..3).all(|i| is(at + i * n, 0x47)))) =>
        {
            Format::Ts
        }
        _ => return None,
    };
    Some(known)
}
