//! Media playlists (RFC 8216bis §4.4.3 to §4.4.5), in one pass.
//!
//! `m3u8-rs` reads them too, but keeps one EXT-X-KEY per segment and forgets it after that segment, has durations in f32, one
//! EXT-X-DATERANGE per segment, and drops all that comes after the last segment; so this reader is our own, and the crate a
//! cross-check in the tests.

use super::attributes::{
    Attributes, byte_range, decimal, integer, leading, leading_integer, signed_decimal, to_range,
};
#[cfg(feature = "live")]
use super::directed;
use super::low_latency::LowLatency;
use super::{Variables, malformed};
use crate::error::{Code, PlayerError, Result};
use crate::manifest::index::READS_LIVE_TAGS;
use crate::manifest::{
    ByteRange, ContentType, InitRef, KeyRef, ListIndex, ListSegment, Period, Presentation, PresentationType,
    Protocol, Representation, SegmentIndex, date_time, url,
};
use crate::time::Seconds;
use std::borrow::Cow;
use std::rc::Rc;

/// EXT-X-PLAYLIST-TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaylistType {
    /// Never changes.
    Vod,
    /// Only grows.
    Event,
}

/// EXT-X-START.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// Seconds from the start of the playlist, or from its end if negative.
    pub offset: Seconds,
    /// PRECISE=YES: samples before the offset are not to be shown.
    pub precise: bool,
}

/// EXT-X-DATERANGE.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DateRange {
    /// ID.
    pub id: Box<str>,
    /// CLASS.
    pub class: Option<Box<str>>,
    /// START-DATE in seconds since 1970.
    pub start_date: Option<f64>,
    /// END-DATE in seconds since 1970.
    pub end_date: Option<f64>,
    /// DURATION.
    pub duration: Option<Seconds>,
    /// PLANNED-DURATION.
    pub planned_duration: Option<Seconds>,
    /// END-ON-NEXT=YES.
    pub end_on_next: bool,
    /// All others: X-…, SCTE35-…, CUE.
    pub other: Vec<(Box<str>, Box<str>)>,
}

/// A media playlist.
#[derive(Clone, Debug, Default)]
pub struct MediaPlaylist {
    /// The segments. Their times start from 0; media time is not tied to them.
    pub index: ListIndex,
    /// EXT-X-VERSION; 1 without it.
    pub version: u32,
    /// EXT-X-TARGETDURATION; 0 where it is missing.
    pub target_duration: Seconds,
    /// EXT-X-MEDIA-SEQUENCE: number of the first segment.
    pub media_sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub discontinuity_sequence: u32,
    /// EXT-X-ENDLIST was there.
    pub end_list: bool,
    /// EXT-X-PLAYLIST-TYPE.
    pub kind: Option<PlaylistType>,
    /// EXT-X-I-FRAMES-ONLY.
    pub i_frames_only: bool,
    /// EXT-X-INDEPENDENT-SEGMENTS.
    pub independent_segments: bool,
    /// EXT-X-START.
    pub start: Option<Start>,
    /// Sum of the segments' durations.
    pub duration: Seconds,
    /// Some segment is encrypted.
    pub encrypted: bool,
    /// EXT-X-PROGRAM-DATE-TIME as (position of the segment in the playlist, those that were skipped included; seconds since 1970).
    pub dates: Vec<(u64, f64)>,
    /// EXT-X-BITRATE as (index of the first segment that it applies to, bit/s).
    pub bitrates: Vec<(usize, u64)>,
    /// EXT-X-DATERANGE.
    pub date_ranges: Vec<DateRange>,
    /// Low-latency tags.
    pub low_latency: LowLatency,
    /// Segments at the start of the playlist that are not in `index`: EXT-X-SKIP left them out, or a reload knew them already.
    pub skipped: u64,
    /// RECENTLY-REMOVED-DATERANGES of EXT-X-SKIP: identifiers, tab-separated. `None`: `date_ranges` are all that there are.
    pub removed_ranges: Option<Box<str>>,
    /// What was skipped was known to the reader: keys, maps and ranges go on from there.
    pub(super) primed: bool,
    /// What was skipped or repaired.
    pub warnings: Vec<String>,
}

impl MediaPlaylist {
    /// Whether nothing will be added: EXT-X-ENDLIST, or the type VOD (some packagers leave the former out).
    pub fn is_complete(&self) -> bool {
        self.end_list || self.kind == Some(PlaylistType::Vod)
    }

    /// The presentation of a playlist that was loaded by itself: one set with one representation. Nothing in it tells whether
    /// there are pictures; the name of the first segment decides where it is a sound file's, else video is assumed and the
    /// segments' own headers have the last word.
    pub fn into_presentation(self) -> Presentation {
        const SOUND: [&str; 8] = ["aac", "mp3", "m4a", "ac3", "ec3", "oga", "opus", "flac"];
        let first = self.index.segments.first().map_or("", |s| &*s.uri);
        let path = first.split(['?', '#']).next().unwrap_or(first);
        let extension = path.rsplit_once('.').map_or("", |(_, e)| e);
        let sound = SOUND.iter().any(|s| extension.eq_ignore_ascii_case(s));
        let content = if sound { ContentType::Audio } else { ContentType::Video };
        let complete = self.is_complete();
        let mut set = super::multivariant::new_set(content.as_str().to_owned(), content);
        set.default = true;
        set.roles.push("main".to_owned());
        set.encrypted = self.encrypted;
        set.representations.push(Representation {
            id: "main".to_owned(),
            bandwidth: self.bitrates.iter().map(|b| b.1).max().unwrap_or(0),
            average_bandwidth: None,
            codecs: String::new(),
            mime_type: String::new(),
            width: 0,
            height: 0,
            frame_rate: 0.0,
            sample_rate: 0,
            channels: 0,
            audio_sets: Vec::new(),
            bases: Default::default(),
            index: SegmentIndex::List(self.index),
        });
        let duration = complete.then_some(self.duration);
        Presentation {
            protocol: Protocol::Hls,
            kind: if complete { PresentationType::Static } else { PresentationType::Dynamic },
            duration,
            periods: vec![Period {
                id: "0".to_owned(),
                start: 0.0,
                duration,
                sets: vec![set],
                events: Vec::new(),
            }],
            start_hint: self.start.map(|s| s.offset),
            live: None,
            warnings: self.warnings,
        }
    }
}

/// Reads the text of a media playlist that is known to begin with `#EXTM3U`.
pub(super) fn parse(
    text: &str,
    url: &str,
    parent: &Variables,
    known: Option<Known<'_>>,
) -> Result<MediaPlaylist> {
    let mut reader = Reader::new(text, url, parent);
    reader.known = known;
    reader.run(text)?;
    reader.finish()
}

/// What an earlier reading of the same playlist gave.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub index: &'a ListIndex,
    /// Media sequence number of its first segment.
    pub first: u64,
}

/// No server counts as far, even one that takes nanoseconds since 1970; sums of two such numbers do not overflow.
pub(super) const MAX_NUMBER: u64 = 1 << 62;

/// How far back initialization segments and key sets are compared before another copy is kept. Playlists that come and go
/// between a programme and its adverts have two or three; a bound keeps hostile input linear.
pub(super) const MAX_COMPARED: usize = 32;

/// Keys in force at a time, one for each KEYFORMAT: there are not half as many DRM systems.
const MAX_KEYS: usize = 16;

/// Seconds that a segment is taken to last for which the playlist says 0, as those do that round: what lasts no time is never reached.
const SHORTEST: Seconds = 0.01;

/// Seconds: 30 years. No segment lasts as long, and the fractions of others would drown in it.
const MAX_DURATION: Seconds = 1e9;

/// EXT-X-DATERANGE that are kept.
pub(super) const MAX_DATE_RANGES: usize = 1000;

/// The state of the one pass. A reload hands over what it knows, and the pass goes on behind that.
pub(super) struct Reader<'a> {
    pub(super) url: &'a str,
    parent: &'a Variables,
    variables: Variables,
    /// The text has `{` somewhere; else no value is searched for variables.
    has_references: bool,
    text_length: usize,
    pub(super) out: MediaPlaylist,
    pub(super) line: usize,
    /// From EXTINF, for the next URI.
    duration: Option<Seconds>,
    /// From EXT-X-BYTERANGE, for the next URI.
    byte_range: Option<(u64, Option<u64>)>,
    gap: bool,
    pub(super) discontinuity: u32,
    pub(super) init: Option<u32>,
    keys: Vec<KeyRef>,
    keys_index: Option<u32>,
    keys_changed: bool,
    /// Until it was made use of, or cannot be any more.
    pub(super) known: Option<Known<'a>>,
    /// The segment before the first one that is read.
    before: Option<&'a ListSegment>,
    /// EXT-X-PRELOAD-HINT of a part.
    pub(super) hint: Option<(Box<str>, Option<ByteRange>)>,
}

impl<'a> Reader<'a> {
    fn new(text: &str, url: &'a str, parent: &'a Variables) -> Self {
        let mut out = MediaPlaylist { version: 1, ..MediaPlaylist::default() };
        out.index.base = url.to_owned();
        #[cfg(feature = "live")]
        {
            out.index.base = directed(url, None, None, None);
        }
        Self {
            url,
            parent,
            variables: Variables::default(),
            has_references: text.as_bytes().contains(&b'{'),
            text_length: text.len(),
            out,
            line: 0,
            duration: None,
            byte_range: None,
            gap: false,
            discontinuity: 0,
            init: None,
            keys: Vec::new(),
            keys_index: None,
            keys_changed: false,
            known: None,
            before: None,
            hint: None,
        }
    }

    fn run(&mut self, text: &'a str) -> Result<()> {
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.as_bytes().iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            let (line, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
            rest = tail.get(1..).unwrap_or("");
            self.line += 1;
            let line = line.trim_ascii();
            match line.as_bytes() {
                [] => {}
                [b'#', ..] => {
                    if let Some(tag) = line.strip_prefix("#EXT") {
                        self.tag(tag)?;
                    }
                }
                _ => match self
                    .known
                    .take()
                    .filter(|_| READS_LIVE_TAGS)
                    .and_then(|k| self.resume(k, line, rest))
                {
                    Some(tail) => rest = tail,
                    None => self.uri(line, rest.len())?,
                },
            }
        }
        Ok(())
    }

    /// Passes over the segments at the start that are known, the first of which is `uri`, in `rest` those that follow. Gives what comes
    /// after them. `None`: they are not the same, or there are too few to be worth it.
    ///
    /// Those that have parts are read again, since what is known of parts comes and goes. Of the others, URIs are compared (§6.3.4 asks
    /// for that), and EXT-X-DATERANGE is read, which may change at any place; nothing else may.
    fn resume(&mut self, known: Known<'a>, uri: &str, mut rest: &'a str) -> Option<&'a str> {
        let with_parts = known.index.parts.first().and_then(|p| p.number.checked_sub(known.index.first));
        let end = known.index.segments.len().min(with_parts.map_or(usize::MAX, |n| n as usize));
        let first = usize::try_from(self.out.media_sequence.checked_sub(known.first)?).ok()?;
        let same = known.index.segments.get(first..end)?;
        if same.len() < 2 || self.has_references || self.out.skipped > 0 || *same.first()?.uri != *uri {
            return None;
        }
        let ranges = self.out.date_ranges.len();
        let from = self.line;
        for segment in same.get(1..)? {
            let read = loop {
                if rest.is_empty() {
                    break "";
                }
                // The search of the standard library looks at a word at a time.
                let (line, tail) = rest.split_once('\n').unwrap_or((rest, ""));
                rest = tail;
                self.line += 1;
                let line = line.trim_ascii();
                match line.as_bytes() {
                    [] => {}
                    [b'#', ..] => {
                        if let Some(list) = line.strip_prefix("#EXT-X-DATERANGE:") {
                            self.date_range(list).ok()?;
                        }
                        // It may stand anywhere (§4.4.3.4).
                        self.out.end_list |= line == "#EXT-X-ENDLIST";
                    }
                    _ => break line,
                }
            };
            if *segment.uri != *read {
                self.out.date_ranges.truncate(ranges);
                self.line = from;
                return None;
            }
        }
        self.out.skipped = same.len() as u64;
        // These belonged to what was passed over.
        (self.duration, self.byte_range, self.gap) = (None, None, false);
        self.out.bitrates.clear();
        self.out.index.parts.clear();
        self.discontinuity = self.out.discontinuity_sequence;
        (self.init, self.keys, self.keys_changed) = (None, Vec::new(), true);
        self.prime(known, same.last()?);
        Some(rest)
    }

    /// Goes on behind a segment that is known.
    fn prime(&mut self, known: Known<'a>, last: &'a ListSegment) {
        self.out.primed = true;
        self.before = Some(last);
        if self.init.is_none()
            && let Some(init) = last.init.and_then(|i| known.index.inits.get(i as usize))
        {
            self.out.index.inits = vec![init.clone()];
            self.init = Some(0);
        }
        if self.keys.is_empty()
            && let Some(keys) = last.keys.and_then(|i| known.index.keys.get(i as usize))
        {
            self.keys.clone_from(keys);
            self.keys_changed = true;
            self.out.encrypted = true;
        }
    }

    /// EXT-X-SKIP (§4.4.5.2). The tags of the segments that it replaces are left out as well: what they brought into force is in force.
    pub(super) fn skip(&mut self, count: u64) {
        self.out.skipped = count;
        if let Some(known) = self.known.take()
            && let Some(last) = self.out.media_sequence.checked_add(count).and_then(|n| n.checked_sub(1))
            && let Some(at) = last.checked_sub(known.first)
            && let Some(segment) = usize::try_from(at).ok().and_then(|at| known.index.segments.get(at))
        {
            self.prime(known, segment);
        }
    }

    fn tag(&mut self, tag: &str) -> Result<()> {
        if let Some(info) = tag.strip_prefix("INF:") {
            return self.inf(info);
        }
        let Some(tag) = tag.strip_prefix("-X-") else { return Ok(()) };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        let value = value.trim_ascii();
        match name {
            "PROGRAM-DATE-TIME" | "DATERANGE" | "SERVER-CONTROL" | "PART-INF" | "PART" | "PRELOAD-HINT"
            | "RENDITION-REPORT" | "SKIP"
                if !READS_LIVE_TAGS => {}
            "BYTERANGE" => {
                let read = byte_range(value.trim_matches('"'));
                self.byte_range = Some(self.number(read, "EXT-X-BYTERANGE is not <n>[@<o>].")?)
            }
            "DISCONTINUITY" => self.discontinuity = self.discontinuity.saturating_add(1),
            "PROGRAM-DATE-TIME" => match date_time(value) {
                Some(date) => {
                    let at = self.out.skipped.saturating_add(self.out.index.segments.len() as u64);
                    self.out.dates.push((at, date));
                }
                None => self.warn("EXT-X-PROGRAM-DATE-TIME is no date"),
            },
            "GAP" => self.gap = true,
            "KEY" => self.key(value)?,
            "MAP" => self.map(value)?,
            "BITRATE" => match integer(value) {
                Some(kbps) => {
                    self.out.bitrates.push((self.out.index.segments.len(), kbps.saturating_mul(1000)));
                }
                None => self.warn("EXT-X-BITRATE is no number"),
            },
            "TARGETDURATION" => {
                let read = decimal(leading(value)).filter(|d| *d < MAX_DURATION);
                self.out.target_duration = self.told(read, "EXT-X-TARGETDURATION is no number");
            }
            "MEDIA-SEQUENCE" => {
                let digits = Some(leading_integer(value)).filter(|digits| !digits.is_empty());
                let number = integer(digits.unwrap_or("0")).filter(|n| *n < MAX_NUMBER);
                self.out.media_sequence = self.number(number, "EXT-X-MEDIA-SEQUENCE is too large.")?;
                self.told(digits, "EXT-X-MEDIA-SEQUENCE is no number");
            }
            "DISCONTINUITY-SEQUENCE" => self.discontinuity_sequence(value),
            "VERSION" => self.out.version = integer(value).and_then(|v| v.try_into().ok()).unwrap_or(1),
            "ENDLIST" => self.out.end_list = true,
            "PLAYLIST-TYPE" => match value {
                "VOD" => self.out.kind = Some(PlaylistType::Vod),
                "EVENT" => self.out.kind = Some(PlaylistType::Event),
                _ => self.warn("EXT-X-PLAYLIST-TYPE is neither VOD nor EVENT"),
            },
            "I-FRAMES-ONLY" => self.out.i_frames_only = true,
            "INDEPENDENT-SEGMENTS" => self.out.independent_segments = true,
            "START" => match start(value) {
                Some(start) => self.out.start = Some(start),
                None => self.warn("EXT-X-START has no TIME-OFFSET"),
            },
            "DEFINE" => self.variables.define(value, self.url, self.parent, self.line)?,
            "DATERANGE" => self.date_range(value)?,
            "PART" => self.part(value)?,
            "SERVER-CONTROL" | "PART-INF" | "PRELOAD-HINT" | "RENDITION-REPORT" | "SKIP" => {
                self.low_latency(name, value)?;
            }
            "STREAM-INF" => {
                return Err(malformed(self.line, "EXT-X-STREAM-INF stands in a media playlist."));
            }
            _ => {}
        }
        Ok(())
    }

    /// `<duration>,[<title>]` (§4.4.4.1).
    fn inf(&mut self, info: &str) -> Result<()> {
        let end = info.as_bytes().iter().position(|b| *b == b',').unwrap_or(info.len());
        let text = info.get(..end).unwrap_or(info).trim_ascii();
        // Some ingest tools of IPTV add attributes after the duration.
        let text = text.split_ascii_whitespace().next().unwrap_or(text);
        self.duration =
            decimal(text).filter(|d| *d < MAX_DURATION).map(|d| if d > 0.0 { d } else { SHORTEST });
        // Lists of radio stations have -1.
        if self.out.target_duration <= 0.0 {
            self.number(self.duration, "EXTINF has no duration.")?;
        }
        Ok(())
    }

    fn uri(&mut self, line: &str, remaining: usize) -> Result<()> {
        let uri: Box<str> = self.expand(line)?.into();
        let duration = match self.duration.take() {
            Some(duration) => duration,
            None if self.out.target_duration > 0.0 => {
                self.warn("a segment without EXTINF is taken to last the target duration");
                self.out.target_duration
            }
            None => return Err(malformed(self.line, "A segment has no EXTINF.")),
        };
        let range = match self.byte_range.take() {
            Some((length, offset)) => Some(self.segment_range(&uri, length, offset)?),
            None => None,
        };
        let keys = self.keys_in_force();
        if READS_LIVE_TAGS {
            self.complete_parts(duration);
        }
        let segments = &mut self.out.index.segments;
        if segments.len() == 64 {
            // Enough are read to tell how many there will be; growing step by step would copy them all several times.
            let each = (self.text_length - remaining.min(self.text_length)) / 64;
            segments.reserve(remaining / each.max(16) + 16);
        }
        segments.push(ListSegment {
            uri,
            range,
            start: self.out.duration,
            duration,
            discontinuity: self.discontinuity,
            gap: std::mem::take(&mut self.gap),
            init: self.init,
            keys,
        });
        self.out.duration += duration;
        Ok(())
    }

    /// Without an offset the range goes on where the one of the segment before it ended, in the same resource (§4.4.4.2).
    fn segment_range(&mut self, uri: &str, length: u64, offset: Option<u64>) -> Result<ByteRange> {
        let offset =
            match offset {
                Some(offset) => offset,
                None => match self.out.index.segments.last().or(self.before) {
                    Some(ListSegment {
                        uri: last, range: Some(ByteRange { last: Some(end), .. }), ..
                    }) if **last == *uri => end.saturating_add(1),
                    _ => {
                        self.warn("EXT-X-BYTERANGE without an offset or a range before it is taken from 0");
                        0
                    }
                },
            };
        self.number(to_range(length, offset), "EXT-X-BYTERANGE is empty or too large.")
    }

    fn discontinuity_sequence(&mut self, value: &str) {
        /// Some servers count from 1970. Only whether two are the same matters, and that they can be counted on.
        const COUNT: u64 = 1 << 31;
        let number = integer(leading_integer(value)).map(|number| (number % COUNT) as u32);
        let number = self.told(number, "EXT-X-DISCONTINUITY-SEQUENCE is no number");
        if self.out.index.segments.is_empty() {
            self.discontinuity = self.discontinuity.saturating_sub(self.out.discontinuity_sequence);
            self.discontinuity = self.discontinuity.saturating_add(number);
            self.out.discontinuity_sequence = number;
        } else {
            self.warn("EXT-X-DISCONTINUITY-SEQUENCE after a segment is ignored");
        }
    }

    /// A key is in force up to the next one with the same KEYFORMAT; METHOD=NONE ends all (§4.4.4.4).
    fn key(&mut self, list: &str) -> Result<()> {
        let (mut method, mut uri, mut key_format, mut iv) = ("", None, "identity", None);
        for a in Attributes::new(list) {
            match a.name {
                "METHOD" => method = a.value,
                "URI" => uri = Some(url::resolve(self.url, &self.expand(a.value)?)),
                "KEYFORMAT" => key_format = a.value,
                "IV" => {
                    iv = Some(self.number(
                        hex_128(&self.expand(a.value)?),
                        "The IV of EXT-X-KEY is no 128-bit number.",
                    )?)
                }
                _ => {}
            }
        }
        if method.is_empty() {
            return Err(malformed(self.line, "EXT-X-KEY has no METHOD."));
        }
        self.keys_changed = true;
        if method == "NONE" {
            self.keys.clear();
            return Ok(());
        }
        self.out.encrypted = true;
        let key = KeyRef { method: method.to_owned(), uri, key_format: key_format.to_owned(), iv };
        let full = self.keys.len() >= MAX_KEYS;
        match self.keys.iter_mut().find(|k| k.key_format == key.key_format) {
            Some(k) => *k = key,
            None if full => self.warn("there are too many EXT-X-KEY at a time"),
            None => self.keys.push(key),
        }
        Ok(())
    }

    /// Index of the set of keys that applies to what comes now.
    pub(super) fn keys_in_force(&mut self) -> Option<u32> {
        if std::mem::take(&mut self.keys_changed) {
            self.keys_index = self.share_keys();
        }
        self.keys_index
    }

    fn share_keys(&mut self) -> Option<u32> {
        if self.keys.is_empty() {
            return None;
        }
        let known = &mut self.out.index.keys;
        let found = known.iter().rev().take(MAX_COMPARED).position(|k| *k == self.keys);
        let at = found.map_or(known.len(), |back| known.len() - 1 - back);
        if at == known.len() {
            known.push(self.keys.clone());
        }
        u32::try_from(at).ok()
    }

    fn map(&mut self, list: &str) -> Result<()> {
        let (mut uri, mut range) = (None, None);
        for a in Attributes::new(list) {
            match a.name {
                "URI" => uri = Some(url::resolve(self.url, &self.expand(a.value)?)),
                "BYTERANGE" if !a.value.is_empty() => {
                    let value = self.expand(a.value)?;
                    let read = byte_range(&value).and_then(|(n, o)| to_range(n, o.unwrap_or(0)));
                    range = Some(self.number(read, "The BYTERANGE of EXT-X-MAP is not <n>[@<o>].")?);
                }
                _ => {}
            }
        }
        let init = InitRef { url: self.number(uri, "EXT-X-MAP has no URI.")?, range };
        let known = &mut self.out.index.inits;
        let found = known.iter().rev().take(MAX_COMPARED).position(|i| **i == init);
        let at = found.map_or(known.len(), |back| known.len() - 1 - back);
        if at == known.len() {
            known.push(Rc::new(init));
        }
        self.init = u32::try_from(at).ok();
        Ok(())
    }

    fn date_range(&mut self, list: &str) -> Result<()> {
        let mut range = DateRange::default();
        for a in Attributes::new(list) {
            let value = self.expand(a.value)?;
            match a.name {
                "ID" => range.id = value.into(),
                "CLASS" => range.class = Some(value.into()),
                "START-DATE" => range.start_date = date_time(&value),
                "END-DATE" => range.end_date = date_time(&value),
                "DURATION" => range.duration = decimal(&value),
                "PLANNED-DURATION" => range.planned_duration = decimal(&value),
                "END-ON-NEXT" => range.end_on_next = value == "YES",
                name => range.other.push((name.into(), value.into())),
            }
        }
        if self.out.date_ranges.len() < MAX_DATE_RANGES {
            self.out.date_ranges.push(range);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<MediaPlaylist> {
        self.place_parts()?;
        let index = &self.out.index;
        if index.segments.is_empty() && index.parts.is_empty() && self.out.skipped == 0 {
            return Err(PlayerError::new(Code::ManifestEmpty, "The media playlist has no segments."));
        }
        if self.duration.is_some() {
            self.warn("the last EXTINF has no URI: the playlist may be cut off");
        }
        if self.out.is_complete() && !self.out.end_list {
            self.warn("EXT-X-ENDLIST is missing from a playlist of type VOD");
        }
        Ok(self.out)
    }

    pub(super) fn expand<'t>(&self, text: &'t str) -> Result<Cow<'t, str>> {
        if self.has_references { self.variables.expand(text, self.line) } else { Ok(Cow::Borrowed(text)) }
    }

    /// What was read, or an error at this line.
    pub(super) fn number<T>(&self, read: Option<T>, what: &'static str) -> Result<T> {
        read.ok_or_else(|| malformed(self.line, what))
    }

    /// What was read, or 0 and a warning.
    fn told<T: Default>(&mut self, read: Option<T>, what: &str) -> T {
        if read.is_none() {
            self.warn(what);
        }
        read.unwrap_or_default()
    }

    #[cold]
    pub(super) fn warn(&mut self, what: &str) {
        if self.out.warnings.len() < super::MAX_WARNINGS {
            self.out.warnings.push(["line ", &self.line.to_string(), ": ", what].concat());
        }
    }
}

/// The attributes of EXT-X-START (§4.4.2.2).
fn start(list: &str) -> Option<Start> {
    let offset = signed_decimal(Attributes::get(list, "TIME-OFFSET")?)?;
    Some(Start { offset, precise: Attributes::get(list, "PRECISE") == Some("YES") })
}

/// A hexadecimal-sequence of up to 128 bits.
fn hex_128(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    let mut out = [0; 16];
    for (i, b) in digits.bytes().rev().enumerate() {
        let digit = (b as char).to_digit(16)? as u8;
        *out.get_mut(15 - i / 2)? |= digit << (4 * (i % 2));
    }
    Some(out)
}
