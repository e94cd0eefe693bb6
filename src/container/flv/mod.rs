//! FLV (Adobe Flash Video File Format 10.1, Annex E), with what became of it since: HEVC as codec 12, and Enhanced RTMP v1 and v2.
//!
//! header → tags (this file) → heads of their bodies ([`tag`]) → tracks ([`track`]). Payload goes from the input into the sink's buffer
//! as it comes; a sample is complete with the size that stands behind its tag.
//!
//! **Time.** Video counts milliseconds, as FLV does; audio counts samples ([`clock`]). Time stamps that jump or wrap (after 49.7 days)
//! are given as they come, with a warning: what to make of it the player knows.
//!
//! **When the tracks are complete.** The header's flags say which kinds there are, and are often wrong. So: once all kinds that header and
//! `onMetaData` announce have been given, or one kind has been given and [`PATIENCE_TIME`], [`PATIENCE_TAGS`] or [`PATIENCE_BYTES`] of it have come
//! without the other. A kind that comes later still is given, and `tracks_complete` said again.
//!
//! **Joined in the middle.** Without a header, or after damage or a reset, a tag counts where the size behind it confirms it.

mod amf;
mod clock;
mod layout;
mod search;
mod tag;
mod track;

pub use layout::{Keyframe, Layout, Progress, time_in};

use self::search::Search;
use self::tag::{HEAD, Packet, Parsed};
use self::track::Track;
use super::{Demuxer, Metadata, Sink, TrackKind};
use crate::bytes::ByteReader;
use crate::error::{Code, PlayerError, Result};
use crate::time::Ticks;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const SCRIPT: u8 = 18;

/// Bytes of a tag's header, and of the size behind a tag.
const TAG_HEADER: usize = 11;
const POINTER: usize = 4;

/// Tags that claim to be larger are taken for damage: the field could say 16 MB.
const MAX_TAG: u32 = 8 << 20;

/// Configurations and script messages that are larger are passed over.
const MAX_COLLECTED: usize = 1 << 20;

/// Bytes without a tag that are searched before giving up.
const MAX_GARBAGE: u64 = 1 << 20;

/// How long a second kind is waited for, in milliseconds of media of the first one. Muxers interleave audio and video within some frames.
const PATIENCE_TIME: u32 = 500;
/// The same in tags of the first kind, for time stamps that stand still.
const PATIENCE_TAGS: u32 = 100;
/// The same in bytes.
const PATIENCE_BYTES: u64 = 1 << 20;

/// Header of a tag (§E.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag {
    kind: u8,
    encrypted: bool,
    size: u32,
    /// Milliseconds.
    time: u32,
    /// StreamID: 0 by the specification, and in all but some files.
    stream: u32,
}

impl Tag {
    /// `None`: too short, or nothing that a tag can begin with.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut r = ByteReader::new(bytes);
        let first = r.u8()?;
        let size = r.u24()?;
        let low = r.u24()?;
        let time = u32::from(r.u8()?) << 24 | low;
        let stream = r.u24()?;
        let kind = first & 31;
        (matches!(kind, AUDIO | VIDEO | SCRIPT) && first >> 6 == 0 && size <= MAX_TAG).then_some(Self {
            kind,
            encrypted: first & 32 != 0,
            size,
            time,
            stream,
        })
    }

    /// The tag, if it is of stream 0 or of this one: where there may be anything, another number is no tag's.
    fn of(self, stream: u32) -> Option<Self> {
        (self.stream == 0 || self.stream == stream).then_some(self)
    }

    /// What the size behind it has to be.
    fn pointer(&self) -> u32 {
        self.size + TAG_HEADER as u32
    }
}

/// An access unit on its way into the sink's buffer.
#[derive(Clone, Copy, Debug)]
struct Unit {
    /// Index of the track.
    track: usize,
    time: u32,
    composition: i32,
    sync: bool,
    size: usize,
    head: [u8; HEAD],
    head_size: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the first byte.
    Start,
    /// At the size behind a tag (`None`: behind the header), and the access unit that it confirms.
    Pointer(Option<u32>, Option<Unit>),
    /// At a tag.
    Tag,
    /// In an access unit, with so many bytes to come.
    Body(Tag, Unit, usize),
    /// In a body that is taken whole.
    Collect(Tag),
    /// In bytes that are not used, before the size behind them.
    Skip(Option<u32>, u64),
    /// Looking for a tag.
    Search,
}

/// Demuxes FLV, from its header or from the middle.
///
/// After `reset` it takes bytes from any place; configurations are kept.
///
/// Memory: configurations and messages (1 MB at most each); while a tag is searched for, what comes before its end (8 MB at most). Access
/// units go straight to the sink.
#[derive(Debug)]
pub struct FlvDemuxer {
    pending: Vec<u8>,
    /// With fewer bytes pending there is nothing to be done.
    need: usize,
    /// Bytes taken since the last reset, those pending not counted.
    offset: u64,
    state: State,
    collected: Vec<u8>,
    search: Search,
    /// StreamID of the tags so far.
    stream: u32,
    /// Where the tag began that is read.
    tag_at: u64,
    /// Video and audio.
    tracks: [Track; 2],
    /// Kinds that are announced, in the same order.
    expected: [bool; 2],
    complete: bool,
    /// First time stamp, tags and bytes of media since the first track was given.
    waited: Option<(u32, u32, u64)>,
    garbage: u64,
    /// Warnings that were given once.
    warned_pointer: bool,
    warned_others: bool,
    warned_unsupported: [Option<&'static str>; 2],
}

impl Default for FlvDemuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl FlvDemuxer {
    /// A demuxer before its first byte.
    pub fn new() -> Self {
        Self {
            pending: Vec::new(),
            need: 0,
            offset: 0,
            state: State::Start,
            collected: Vec::new(),
            search: Search::default(),
            stream: 0,
            tag_at: 0,
            tracks: [Track::new(1, TrackKind::Video), Track::new(2, TrackKind::Audio)],
            expected: [true; 2],
            complete: false,
            waited: None,
            garbage: 0,
            warned_pointer: false,
            warned_others: false,
            warned_unsupported: [None; 2],
        }
    }

    /// Takes what can be taken of `bytes`, tells how much that is, and sets `need` for the rest.
    fn run(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<usize> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let taken = match self.state {
                State::Start => self.start(rest),
                State::Pointer(size, unit) => self.pointer(rest, size, unit, sink),
                State::Tag => self.tag(rest, sink),
                State::Body(tag, unit, left) => {
                    let part = &rest[..left.min(rest.len())];
                    let track = &mut self.tracks[unit.track];
                    sink.buffer(track.id).extend_from_slice(part);
                    track.written += part.len();
                    self.state = match left - part.len() {
                        0 => State::Pointer(Some(tag.pointer()), Some(unit)),
                        left => State::Body(tag, unit, left),
                    };
                    // An empty body is complete too.
                    if part.is_empty() && left > 0 { None } else { Some(part.len()) }
                }
                State::Collect(tag) => {
                    let left = tag.size as usize - self.collected.len();
                    let part = &rest[..left.min(rest.len())];
                    self.collected.extend_from_slice(part);
                    if part.len() == left {
                        self.state = State::Pointer(Some(tag.pointer()), None);
                        let body = std::mem::take(&mut self.collected);
                        self.whole(tag, &body, sink);
                        self.collected = body;
                        self.collected.clear();
                        Some(part.len())
                    } else if part.is_empty() {
                        None
                    } else {
                        Some(part.len())
                    }
                }
                State::Skip(pointer, left) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.state = match left - n as u64 {
                        0 => State::Pointer(pointer, None),
                        left => State::Skip(pointer, left),
                    };
                    if n == 0 && left > 0 { None } else { Some(n) }
                }
                State::Search => self.search(rest, sink)?,
            };
            match taken {
                Some(taken) => {
                    at += taken;
                    self.offset += taken as u64;
                }
                None => {
                    // In the middle of a body nothing is kept.
                    if rest.is_empty() {
                        self.need = 0;
                    }
                    return Ok(at);
                }
            }
        }
    }

    /// Asks for so many bytes.
    fn wait(&mut self, need: usize) -> Option<usize> {
        self.need = need;
        None
    }

    /// The header (§E.2), or a stream that is joined without one.
    fn start(&mut self, rest: &[u8]) -> Option<usize> {
        const MAGIC: &[u8] = b"FLV";
        let n = rest.len().min(MAGIC.len());
        if rest[..n] != MAGIC[..n] {
            self.state = State::Search;
            return Some(0);
        }
        let Some(&[_, _, _, _, flags, a, b, c, d]) = rest.first_chunk() else { return self.wait(9) };
        let offset = u32::from_be_bytes([a, b, c, d]);
        let (video, audio) = (flags & 1 != 0, flags & 4 != 0);
        // Flags that name nothing say nothing.
        if !self.complete && (video || audio) {
            self.expected = [video, audio];
        }
        self.state = State::Skip(None, u64::from(offset.clamp(9, 1 << 16)));
        Some(0)
    }

    fn pointer(
        &mut self,
        rest: &[u8],
        size: Option<u32>,
        unit: Option<Unit>,
        sink: &mut dyn Sink,
    ) -> Option<usize> {
        let Some(told) = rest.first_chunk().map(|b| u32::from_be_bytes(*b)) else {
            return self.wait(POINTER);
        };
        if size.is_some_and(|size| size != told) {
            // Some writers get it wrong: what follows tells whether the tag was one.
            if rest.len() < POINTER + TAG_HEADER {
                return self.wait(POINTER + TAG_HEADER);
            }
            if Tag::parse(&rest[POINTER..]).and_then(|tag| tag.of(self.stream)).is_none() {
                sink.warning(self.offset, "a tag that another does not follow: dropped");
                self.drop_written(sink);
                self.state = State::Search;
                return Some(0);
            }
            if !std::mem::replace(&mut self.warned_pointer, true) {
                sink.warning(self.offset, "sizes behind the tags are wrong");
            }
        }
        if let Some(unit) = unit {
            self.deliver(&unit, sink);
        }
        self.state = State::Tag;
        Some(POINTER)
    }

    fn tag(&mut self, rest: &[u8], sink: &mut dyn Sink) -> Option<usize> {
        if rest.len() < TAG_HEADER {
            return self.wait(TAG_HEADER);
        }
        // Another header: streams that a relay has put together.
        if rest.starts_with(b"FLV") {
            self.state = State::Start;
            return Some(0);
        }
        let Some(tag) = Tag::parse(rest) else {
            sink.warning(self.offset, "bytes that are no tag");
            self.state = State::Search;
            return Some(0);
        };
        let head = HEAD.min(tag.size as usize);
        let Some(body) = rest[TAG_HEADER..].get(..head) else { return self.wait(TAG_HEADER + head) };
        self.garbage = 0;
        self.tag_at = self.offset;
        if tag.stream != 0 && std::mem::replace(&mut self.stream, tag.stream) == 0 {
            sink.warning(self.offset, "tags of another stream than 0");
        }
        let used = self.body(tag, body, sink);
        Some(TAG_HEADER + used)
    }

    /// Decides from its first bytes what is done with a body; tells how many of them are used.
    fn body(&mut self, tag: Tag, head: &[u8], sink: &mut dyn Sink) -> usize {
        let skip = State::Skip(Some(tag.pointer()), tag.size.into());
        self.state = skip;
        let collect = |this: &mut Self, sink: &mut dyn Sink| {
            if tag.size as usize <= MAX_COLLECTED {
                this.collected.clear();
                this.state = State::Collect(tag);
            } else {
                sink.warning(this.tag_at, "a configuration or message that is too long");
            }
        };
        if tag.size == 0 {
            return 0;
        }
        if tag.encrypted {
            self.unsupported(usize::from(tag.kind == AUDIO), "encrypted tags are not supported", sink);
            return 0;
        }
        if tag.kind == SCRIPT {
            collect(self, sink);
            return 0;
        }
        let index = usize::from(tag.kind == AUDIO);
        let whole = head.len() == tag.size as usize;
        let parsed = if index == 0 { tag::video(head, whole) } else { tag::audio(head, whole) };
        let Some(parsed) = parsed else {
            sink.warning(self.tag_at, "a tag that cannot be read");
            return 0;
        };
        match parsed.packet {
            Packet::Frame { codec, .. } if !self.tracks[index].needs_whole(codec) => {
                let start = parsed.start.min(head.len());
                let Some(unit) =
                    self.unit(tag, index, &parsed, &head[start..], tag.size as usize - start, sink)
                else {
                    return 0;
                };
                self.state = State::Body(tag, unit, unit.size);
                start
            }
            Packet::Frame { .. } | Packet::Config(_) | Packet::Whole => {
                collect(self, sink);
                0
            }
            Packet::Unsupported(what) => {
                self.unsupported(index, what, sink);
                0
            }
            Packet::Ignored => 0,
        }
    }

    /// A body that was collected.
    fn whole(&mut self, tag: Tag, body: &[u8], sink: &mut dyn Sink) {
        if tag.kind == SCRIPT {
            return self.script(tag, body, sink);
        }
        let index = usize::from(tag.kind == AUDIO);
        let parsed = if index == 0 { tag::video(body, true) } else { tag::audio(body, true) };
        let payload = parsed.and_then(|p| Some((p, body.get(p.start..p.end.unwrap_or(body.len()))?)));
        let Some((parsed, payload)) = payload else {
            return sink.warning(self.tag_at, "a tag that cannot be read");
        };
        if parsed.others && !std::mem::replace(&mut self.warned_others, true) {
            sink.warning(self.tag_at, "more than one track of a kind: the first is played");
        }
        match parsed.packet {
            Packet::Config(codec) => match self.tracks[index].configure(codec, payload) {
                Ok(Some(info)) => self.announce(info, sink),
                Ok(None) => {}
                Err(what) => sink.warning(self.tag_at, what),
            },
            Packet::Frame { .. } => {
                if let Some(unit) = self.unit(tag, index, &parsed, payload, payload.len(), sink) {
                    sink.buffer(self.tracks[index].id).extend_from_slice(payload);
                    self.tracks[index].written += payload.len();
                    self.state = State::Pointer(Some(tag.pointer()), Some(unit));
                }
            }
            Packet::Unsupported(what) => self.unsupported(index, what, sink),
            Packet::Ignored | Packet::Whole => {}
        }
    }

    /// An access unit that can be taken; `start`: its first bytes.
    fn unit(
        &mut self,
        tag: Tag,
        index: usize,
        parsed: &Parsed,
        start: &[u8],
        size: usize,
        sink: &mut dyn Sink,
    ) -> Option<Unit> {
        let Packet::Frame { codec, composition, sync } = parsed.packet else { return None };
        if size == 0 {
            return None;
        }
        if let Some(info) = self.tracks[index].look(codec, start, sync) {
            self.announce(info, sink);
        }
        let track = &mut self.tracks[index];
        if !track.is_ready(codec) {
            if !std::mem::replace(&mut track.warned, true) {
                let what = match index {
                    0 => "pictures before their decoder configuration",
                    _ => "audio before its decoder configuration",
                };
                sink.warning(self.tag_at, what);
            }
            return None;
        }
        let mut head = [0; HEAD];
        let head_size = start.len().min(HEAD);
        head[..head_size].copy_from_slice(&start[..head_size]);
        Some(Unit { track: index, time: tag.time, composition, sync, size, head, head_size })
    }

    fn deliver(&mut self, unit: &Unit, sink: &mut dyn Sink) {
        let track = &mut self.tracks[unit.track];
        let head = &unit.head[..unit.head_size];
        let (sample, jump) = track.sample(unit.time.into(), unit.composition, unit.sync, head, unit.size);
        if let Some(what) = jump {
            sink.warning(self.tag_at, what);
        }
        track.written = 0;
        sink.sample(track.id, sample);
        if !self.complete {
            let (first, tags, bytes) = self.waited.unwrap_or((unit.time, 0, 0));
            let (tags, bytes) = (tags + 1, bytes + unit.size as u64);
            self.waited = Some((first, tags, bytes));
            if unit.time.abs_diff(first) >= PATIENCE_TIME || tags >= PATIENCE_TAGS || bytes >= PATIENCE_BYTES
            {
                self.completed(sink);
            }
        }
    }

    /// Takes back what was written of an access unit.
    fn drop_written(&mut self, sink: &mut dyn Sink) {
        for track in &mut self.tracks {
            if track.written > 0 {
                let buffer = sink.buffer(track.id);
                buffer.truncate(buffer.len().saturating_sub(track.written));
                track.written = 0;
            }
        }
    }

    fn announce(&mut self, info: super::TrackInfo, sink: &mut dyn Sink) {
        let index = usize::from(info.kind == TrackKind::Audio);
        let late = self.complete && !std::mem::replace(&mut self.expected[index], true);
        sink.track(info);
        if late {
            sink.tracks_complete();
        } else {
            self.check_complete(sink);
        }
    }

    /// Whether every kind that is announced has been given.
    fn check_complete(&mut self, sink: &mut dyn Sink) {
        let given = self.tracks.each_ref().map(|t| t.info.is_some());
        let missing = self.expected.iter().zip(given).any(|(expected, given)| *expected && !given);
        if !self.complete && !missing && given != [false; 2] {
            self.completed(sink);
        }
    }

    fn completed(&mut self, sink: &mut dyn Sink) {
        self.complete = true;
        // What comes later than this is late.
        self.expected = self.tracks.each_ref().map(|t| t.info.is_some());
        sink.tracks_complete();
    }

    fn unsupported(&mut self, index: usize, what: &'static str, sink: &mut dyn Sink) {
        if self.warned_unsupported[index].replace(what).is_none() {
            sink.warning(self.tag_at, what);
        }
        // It is not waited for.
        if self.tracks[index].info.is_none() && !self.complete {
            self.expected[index] = false;
            self.check_complete(sink);
        }
    }

    fn script(&mut self, tag: Tag, body: &[u8], sink: &mut dyn Sink) {
        let Some(script) = amf::read(body) else {
            return sink.warning(self.tag_at, "a message that cannot be read");
        };
        let is_head = script.name == "onMetaData";
        if is_head && !self.complete {
            // Writers name the codecs of what there is; where neither is named, nothing is said.
            let named =
                ["videocodecid", "audiocodecid"].map(|n| script.values.iter().any(|(name, _)| name == n));
            if named != [false; 2] {
                self.expected = named;
                self.check_complete(sink);
            }
        }
        let mut values = script.values;
        if !is_head {
            for (name, _) in &mut values {
                *name =
                    if name.is_empty() { script.name.clone() } else { [&script.name, ".", name].concat() };
            }
        }
        let at = (!is_head).then(|| Ticks::from(tag.time) * 90);
        sink.metadata(None, at, Metadata::Script(values));
    }

    /// Looks for a tag that the size behind it confirms. Of several that may be tags, the one counts whose end comes first: a false
    /// one of megabytes is not waited for.
    fn search(&mut self, rest: &[u8], sink: &mut dyn Sink) -> Result<Option<usize>> {
        let mut search = std::mem::take(&mut self.search);
        search.scan(rest, self.stream);
        let (discard, found) = search.resolve(rest);
        self.search = search;
        if discard > 0 {
            if self.garbage == 0 && self.offset > 0 {
                sink.warning(self.offset, "bytes are passed over up to the next tag");
            }
            self.garbage += discard as u64;
            if self.garbage > MAX_GARBAGE {
                let what = "No FLV tag in a megabyte.";
                let start = (self.offset + discard as u64).saturating_sub(self.garbage);
                return Err(PlayerError::new(Code::MediaMalformed, what).at(start));
            }
        }
        if let Some(state) = found {
            self.search = Search::default();
            self.state = state;
        } else if discard == 0 {
            return Ok(self.wait(rest.len() + 1));
        }
        Ok(Some(discard))
    }
}

impl Demuxer for FlvDemuxer {
    fn push(&mut self, mut chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        while !self.pending.is_empty() {
            let wanted = match self.state {
                // The end of a tag may be anywhere.
                State::Search => chunk.len(),
                _ => self.need.saturating_sub(self.pending.len()).min(chunk.len()),
            };
            let (more, rest) = chunk.split_at(wanted);
            self.pending.extend_from_slice(more);
            chunk = rest;
            if self.pending.len() < self.need {
                return Ok(());
            }
            let mut pending = std::mem::take(&mut self.pending);
            let taken = self.run(&pending, sink)?;
            pending.drain(..taken);
            self.pending = pending;
        }
        let taken = self.run(chunk, sink)?;
        self.pending.extend_from_slice(&chunk[taken..]);
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        match self.state {
            // The size behind the last tag may be missing.
            State::Pointer(_, Some(unit)) => self.deliver(&unit, sink),
            State::Body(..) | State::Collect(_) | State::Skip(..) => {
                sink.warning(self.offset, "the stream ends within a tag");
                self.drop_written(sink);
            }
            State::Tag if !self.pending.is_empty() => {
                sink.warning(self.offset, "the stream ends within a tag");
            }
            State::Start | State::Tag | State::Search | State::Pointer(..) => {}
        }
        self.pending.clear();
        self.search = Search::default();
        self.need = 0;
        self.state = State::Search;
        let given = self.tracks.iter().any(|t| t.info.is_some());
        if given {
            if !self.complete {
                self.completed(sink);
            }
            return Ok(());
        }
        Err(match self.warned_unsupported.iter().flatten().next() {
            Some(what) => {
                let message = ["The FLV stream cannot be played: ", *what, "."].concat();
                PlayerError::new(Code::CodecUnsupported, message)
            }
            None => PlayerError::new(Code::MediaMalformed, "The FLV stream has no track.").at(self.offset),
        })
    }

    fn reset(&mut self) {
        self.pending.clear();
        self.collected.clear();
        self.search = Search::default();
        (self.need, self.offset, self.garbage) = (0, 0, 0);
        self.state = State::Start;
        for track in &mut self.tracks {
            track.reset();
        }
    }
}
