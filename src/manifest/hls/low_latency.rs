//! What Low-Latency HLS adds to media playlists (RFC 8216bis §4.4.3.7, §4.4.3.8, §4.4.4.9, §4.4.5).

use crate::manifest::ByteRange;
use crate::time::Seconds;

/// The low-latency tags of a media playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LowLatency {
    /// EXT-X-SERVER-CONTROL.
    pub server_control: Option<ServerControl>,
    /// EXT-X-PART-INF: longest duration of a part.
    pub part_target: Option<Seconds>,
    /// EXT-X-PART, in order.
    pub parts: Vec<Part>,
    /// EXT-X-PRELOAD-HINT.
    pub preload_hints: Vec<PreloadHint>,
    /// EXT-X-RENDITION-REPORT.
    pub rendition_reports: Vec<RenditionReport>,
    /// EXT-X-SKIP: segments left out of a delta update.
    pub skipped: u64,
}

/// EXT-X-SERVER-CONTROL: what the server can do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServerControl {
    /// Age above which segments can be skipped.
    pub can_skip_until: Option<Seconds>,
    /// EXT-X-DATERANGE can be skipped too.
    pub can_skip_dateranges: bool,
    /// Distance to keep from the end.
    pub hold_back: Option<Seconds>,
    /// The same when playing parts.
    pub part_hold_back: Option<Seconds>,
    /// A request can wait for a segment or part that is not there yet.
    pub can_block_reload: bool,
}

/// EXT-X-PART: part of a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Index of the segment that it belongs to; the number of segments for those of the segment to come.
    pub segment: usize,
    /// As written, relative to the playlist.
    pub uri: Box<str>,
    /// Part of the resource.
    pub range: Option<ByteRange>,
    /// Seconds.
    pub duration: Seconds,
    /// Decoding can start here.
    pub independent: bool,
    /// Does not exist on the server.
    pub gap: bool,
    /// As of a segment at this place.
    pub discontinuity: u32,
    /// Index into the initialization segments.
    pub init: Option<u32>,
    /// Index into the sets of keys.
    pub keys: Option<u32>,
}

/// EXT-X-PRELOAD-HINT: what will come next.
#[derive(Clone, Debug, PartialEq)]
pub struct PreloadHint {
    /// TYPE=MAP rather than PART.
    pub map: bool,
    /// As written.
    pub uri: Box<str>,
    /// BYTERANGE-START.
    pub first: u64,
    /// BYTERANGE-LENGTH.
    pub length: Option<u64>,
}

/// EXT-X-RENDITION-REPORT: where another rendition is.
#[derive(Clone, Debug, PartialEq)]
pub struct RenditionReport {
    /// As written.
    pub uri: Box<str>,
    /// Media sequence number of its last segment or part.
    pub last_msn: Option<u64>,
    /// Index of its last part.
    pub last_part: Option<u64>,
}
