//! One model for all protocols: a DASH MPD and an HLS playlist both become a [`Presentation`].
//!
//! Import rule: `time`, `bytes`, `error` only; `dash` and `hls` never import each other.

mod availability;
mod bases;
#[cfg(feature = "dash")]
pub mod dash;
mod date;
#[cfg(feature = "hls")]
pub mod hls;
mod index;
#[cfg(feature = "progressive")]
pub mod lists;
mod live;
mod update;
pub mod url;

pub use availability::Availability;
pub use bases::{BaseUrl, Bases};
pub use date::{date_time, http_date};
pub use index::{ListIndex, ListPart, ListSegment, SegmentIndex, TemplateIndex, TimelineRun};
pub use live::{ClockSource, Latency, Live, PatchSource, ProducerTime};
pub use update::{Position, Update};

use crate::time::Seconds;
use std::rc::Rc;

/// Where a presentation came from. Below the manifest layer nothing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// ISO/IEC 23009-1.
    Dash,
    /// RFC 8216bis.
    Hls,
    /// No manifest: the URL is of the media itself.
    File,
}

/// Whether the presentation may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentationType {
    /// On demand: complete.
    Static,
    /// Live.
    Dynamic,
}

/// All that can be played behind one URL.
#[derive(Clone, Debug)]
pub struct Presentation {
    /// DASH, HLS or a plain file.
    pub protocol: Protocol,
    /// Static or dynamic.
    pub kind: PresentationType,
    /// Whole duration, where the manifest tells (an HLS multivariant playlist does not).
    pub duration: Option<Seconds>,
    /// In order of start.
    pub periods: Vec<Period>,
    /// Where playback should start (EXT-X-START): seconds from the start, or from the end if negative.
    pub start_hint: Option<Seconds>,
    /// Of a dynamic presentation.
    pub live: Option<Box<Live>>,
    /// What was skipped or repaired, in words.
    pub warnings: Vec<String>,
}

/// A stretch of time with its own set of tracks (ISO/IEC 23009-1 §5.3.2). HLS has exactly one.
#[derive(Clone, Debug)]
pub struct Period {
    /// From the manifest, or made from its number.
    pub id: String,
    /// On the presentation's timeline.
    pub start: Seconds,
    /// Where known.
    pub duration: Option<Seconds>,
    /// The tracks.
    pub sets: Vec<AdaptationSet>,
    /// What the manifest itself tells of moments in it (`EventStream`), in order of document.
    pub events: Vec<Event>,
}

/// Something that happens at a moment of the presentation (ISO/IEC 23009-1 §5.10.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `@schemeIdUri`: what `data` means.
    pub scheme: Rc<str>,
    /// `@value`, in the terms of the scheme; often empty.
    pub value: Rc<str>,
    /// Events of one scheme, value and id are the same event. Empty: none given.
    pub id: String,
    /// On the presentation's timeline.
    pub start: Seconds,
    /// Seconds; `None`: not told.
    pub duration: Option<Seconds>,
    /// Decoded from Base64 where it is so written; XML as it is written.
    pub data: Vec<u8>,
}

/// What an adaptation set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// Video, or video and audio in one stream.
    Video,
    /// Audio alone.
    Audio,
    /// Subtitles, captions.
    Text,
    /// Thumbnails and anything else.
    Other,
}

impl ContentType {
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

/// Interchangeable renditions of the same content (ISO/IEC 23009-1 §5.3.3); an HLS rendition group or the variants.
#[derive(Clone, Debug)]
pub struct AdaptationSet {
    /// Stable across periods and reloads of the same content where the manifest allows it.
    pub id: String,
    /// Kind of content.
    pub content: ContentType,
    /// BCP 47 language.
    pub lang: Option<String>,
    /// For people.
    pub label: Option<String>,
    /// DASH role values (`main`, `alternate`, `caption`, `description`, …).
    pub roles: Vec<String>,
    /// HLS DEFAULT=YES or the DASH role `main`.
    pub default: bool,
    /// HLS AUTOSELECT=YES; true for DASH.
    pub autoselect: bool,
    /// The set is encrypted (ContentProtection, EXT-X-KEY).
    pub encrypted: bool,
    /// HLS: it is in the segments of the variants themselves (a rendition without URI, RFC 8216bis §4.4.6.2.1): there is nothing to fetch.
    pub inside: bool,
    /// Scheme and value of the events that its segments carry (`InbandEventStream`, `emsg`).
    pub inband: Vec<(String, String)>,
    /// By ascending bandwidth.
    pub representations: Vec<Representation>,
}

/// One encoding (ISO/IEC 23009-1 §5.3.5); an HLS variant or rendition.
#[derive(Clone, Debug)]
pub struct Representation {
    /// Unique in its set; the stable id that users name.
    pub id: String,
    /// Peak, in bit/s.
    pub bandwidth: u64,
    /// AVERAGE-BANDWIDTH, where known, in bit/s.
    pub average_bandwidth: Option<u64>,
    /// RFC 6381 list; empty if the manifest does not tell.
    pub codecs: String,
    /// Without parameters (`video/mp4`); empty if the manifest does not tell (HLS).
    pub mime_type: String,
    /// Pixels; 0 where unknown.
    pub width: u32,
    /// Pixels; 0 where unknown.
    pub height: u32,
    /// Frames per second; 0 where unknown.
    pub frame_rate: f64,
    /// Hz; 0 where unknown.
    pub sample_rate: u32,
    /// Audio channels; 0 where unknown.
    pub channels: u32,
    /// HLS: ids of the audio sets that go with this variant; empty: any (DASH), or there is none but what is in the stream itself.
    pub audio_sets: Vec<String>,
    /// Other places that have the same segments (`BaseURL`).
    pub bases: Bases,
    /// Where the segments are.
    pub index: SegmentIndex,
}

/// Bytes `first..=last` of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub first: u64,
    /// Last byte, inclusive; `None`: to the end.
    pub last: Option<u64>,
}

impl ByteRange {
    /// Bytes covered, if bounded.
    pub fn len(&self) -> Option<u64> {
        self.last.and_then(|l| l.checked_sub(self.first)).and_then(|n| n.checked_add(1))
    }

    /// Whether the range covers nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// An initialization segment (EXT-X-MAP, `Initialization`).
#[derive(Clone, Debug, PartialEq)]
pub struct InitRef {
    /// Absolute.
    pub url: String,
    /// Part of the resource.
    pub range: Option<ByteRange>,
}

/// How a segment is encrypted (EXT-X-KEY).
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRef {
    /// METHOD.
    pub method: String,
    /// Absolute URI of the key.
    pub uri: Option<String>,
    /// KEYFORMAT, `identity` by default.
    pub key_format: String,
    /// IV, where given.
    pub iv: Option<[u8; 16]>,
}

/// One media segment, computed when asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentRef {
    /// Its number in its representation, which stays when the manifest is read again: media sequence number, or `$Number$`.
    pub number: u64,
    /// It is this part of the segment, from 0 (EXT-X-PART); `None`: it is the whole segment.
    pub part: Option<u32>,
    /// Absolute.
    pub url: String,
    /// Part of the resource.
    pub range: Option<ByteRange>,
    /// On the presentation's timeline (the start of the period included).
    pub start: Seconds,
    /// Seconds.
    pub duration: Seconds,
    /// Grows by one at each discontinuity (EXT-X-DISCONTINUITY); segments of one number share one media timeline.
    pub discontinuity: u32,
    /// The segment does not exist on the server (EXT-X-GAP).
    pub gap: bool,
    /// What must be appended before it.
    pub init: Option<Rc<InitRef>>,
    /// Seconds to add to media time to get presentation time (period start - presentationTimeOffset). `None`: the
    /// manifest does not tie media time to its timeline (HLS): the first segment of a discontinuity does.
    pub timestamp_offset: Option<Seconds>,
    /// Encryption in force, all of EXT-X-KEY that apply.
    pub keys: Vec<KeyRef>,
    /// It is not there yet: the server answers once it is (EXT-X-PRELOAD-HINT), or sends it while it is made (DASH, before
    /// the end of the segment).
    pub ahead: bool,
}

/// An index that has to be fetched before segments are known.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexSource {
    /// What is to be fetched.
    pub kind: IndexKind,
    /// Absolute.
    pub url: String,
    /// Bytes of the index itself (`indexRange`); `None`: find it from the start of the resource.
    pub range: Option<ByteRange>,
    /// Initialization segment, where the manifest tells.
    pub init: Option<Rc<InitRef>>,
    /// Added to times of the index to get presentation time: period start - presentationTimeOffset.
    pub timestamp_offset: Seconds,
    /// Where the period ends on the presentation's timeline: later segments are left out.
    pub end: Option<Seconds>,
}

impl IndexSource {
    /// A media playlist.
    pub fn playlist(url: String) -> Self {
        Self {
            kind: IndexKind::MediaPlaylist,
            url,
            range: None,
            init: None,
            timestamp_offset: 0.0,
            end: None,
        }
    }

    /// Where the initialization segment is, if that is in the same resource.
    pub fn init_range(&self) -> Option<ByteRange> {
        self.init.as_ref().filter(|init| init.url == self.url).and_then(|init| init.range)
    }
}

/// The kinds of separate indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// `sidx` boxes, hierarchical perhaps.
    Sidx,
    /// WebM Cues.
    Cues,
    /// An HLS media playlist.
    MediaPlaylist,
}
