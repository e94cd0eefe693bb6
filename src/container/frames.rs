//! Elementary streams of audio that are a row of frames, each with a header that tells its size: how frames are found in them, and the
//! reader of all but ADTS, for PES packets and for packed audio.

use std::collections::VecDeque;

use super::{Sample, Sink, TrackId, TrackInfo, TrackKind};
#[cfg(feature = "ts-extra")]
use crate::bytes::ByteWriter;
#[cfg(feature = "ts-extra")]
use crate::codec::aac;
use crate::codec::aac::AdtsHeader;
#[cfg(feature = "ts-extra")]
use crate::codec::ac3::{self, Ac3Config, Ac3Header};
#[cfg(feature = "ts-extra")]
use crate::codec::latm::{self, LatmConfig, LatmReader};
use crate::codec::mpeg_audio::{self, MpegAudioHeader};
use crate::time::{Ticks, Timescale};

/// Bytes that are looked at in one go while a frame is searched for: bounds what is kept aside.
const SEARCH_STEP: usize = 16 << 10;
/// Time stamps kept for frames that have not begun yet.
const MAX_STAMPS: usize = 64;
/// Largest access unit of E-AC-3 with all its substreams; damaged streams must not fill the memory.
const MAX_UNIT: usize = 64 << 10;

/// First bytes of a unit that tell whether the stream has changed.
const KEPT_HEADER: usize = 7;

/// What the frames are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// AAC with ADTS headers.
    Adts,
    /// MPEG-1/2 audio.
    Mpeg,
    /// AC-3 and E-AC-3.
    #[cfg(feature = "ts-extra")]
    Ac3,
    /// AAC in LATM, with LOAS headers.
    #[cfg(feature = "ts-extra")]
    Latm,
}

/// A frame's header, as far as finding frames goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the frame, header included.
    pub size: usize,
    /// Equal in all frames of a stream; `None` where the header does not tell.
    key: Option<u32>,
}

impl Head {
    /// Whether both can be of one stream.
    pub fn goes_with(&self, other: &Self) -> bool {
        self.key.is_none() || other.key.is_none() || self.key == other.key
    }
}

impl Frames {
    /// Bytes that [`Self::parse`] needs.
    pub fn header_size(self) -> usize {
        match self {
            Self::Adts => AdtsHeader::SIZE,
            Self::Mpeg => mpeg_audio::HEADER_SIZE,
            #[cfg(feature = "ts-extra")]
            Self::Ac3 => ac3::HEADER_SIZE,
            #[cfg(feature = "ts-extra")]
            Self::Latm => latm::HEADER_SIZE,
        }
    }

    /// The first byte of every frame.
    fn first_byte(self) -> u8 {
        match self {
            Self::Adts | Self::Mpeg => 0xff,
            #[cfg(feature = "ts-extra")]
            Self::Ac3 => 0x0b,
            #[cfg(feature = "ts-extra")]
            Self::Latm => 0x56,
        }
    }

    /// Reads a header. `None` if these bytes cannot start a frame, or are too few.
    pub fn parse(self, b: &[u8]) -> Option<Head> {
        match self {
            Self::Adts => {
                let h = AdtsHeader::parse(b.first_chunk()?)?;
                let key = u32::from_be_bytes([0, h.object_type, h.rate_index, h.channel_config]);
                Some(Head { size: h.frame_size.into(), key: Some(key) })
            }
            Self::Mpeg => {
                let h = MpegAudioHeader::parse(b.first_chunk()?)?;
                // Rates take 17 bits.
                let key = u32::from(h.version << 4 | h.layer << 2 | h.channels) << 20 | h.sampling_rate;
                Some(Head { size: h.frame_size.into(), key: Some(key) })
            }
            #[cfg(feature = "ts-extra")]
            Self::Ac3 => {
                let h = Ac3Header::parse(b.first_chunk()?)?;
                let kind = u32::from(h.acmod) << 2 | u32::from(h.lfe) << 1 | u32::from(h.enhanced);
                let key = kind << 20 | h.sampling_rate;
                Some(Head { size: h.frame_size.into(), key: h.is_primary().then_some(key) })
            }
            #[cfg(feature = "ts-extra")]
            Self::Latm => Some(Head { size: latm::frame_size(b.first_chunk()?)?, key: None }),
        }
    }
}

/// What a [`Scanner`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A frame begins at this position of the stream, with this header, whose bytes come again with `Bytes`.
    Start(u64, &'a [u8]),
    /// Bytes of the frame.
    Bytes(&'a [u8]),
    /// The frame is complete.
    End,
    /// Another frame was expected at this position, at these bytes.
    Lost(u64, &'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A header is expected: the bytes of it so far are pending.
    Header,
    /// Bytes left of a frame.
    Frame(usize),
    /// Bytes left of an ID3 tag among the frames, as files joined together have.
    Tag(usize),
    /// No frame was where it should be: one counts that another of its kind follows.
    Search,
}

/// Cuts a stream into frames. Any split of the bytes gives the same.
#[derive(Debug)]
pub struct Scanner {
    frames: Frames,
    state: State,
    /// Of the last frame.
    known: Option<Head>,
    pending: Vec<u8>,
    /// Bytes taken so far.
    position: u64,
    /// Where a frame of another stream was found while searching has not told the loss yet.
    untold: Option<u64>,
    /// The last segment has ended within a frame.
    cut: bool,
}

impl Scanner {
    /// A scanner that expects a frame (`synced`), or looks for one.
    pub fn new(frames: Frames, synced: bool) -> Self {
        let state = if synced { State::Header } else { State::Search };
        Self { frames, state, known: None, pending: Vec::new(), position: 0, untold: None, cut: false }
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Takes bytes.
    pub fn push(&mut self, data: &[u8], found: &mut dyn FnMut(Found<'_>)) {
        if self.cut && !data.is_empty() {
            self.cut = false;
            // The frame goes on, or was given up by the sender and another one begins instead.
            let anew = self.frames.parse(data).is_some_and(|h| self.known.is_none_or(|k| k.goes_with(&h)));
            if anew {
                found(Found::Lost(self.position, &[]));
                self.state = State::Header;
            }
        }
        for piece in data.chunks(SEARCH_STEP) {
            self.position += piece.len() as u64;
            let mut rest = self.step(piece, found);
            while let Some(bytes) = rest {
                rest = self.step(&bytes, found);
            }
        }
    }

    /// Uses all of `data`, the last bytes of those counted in `position`. Gives back what is to be looked at again after a search.
    fn step(&mut self, mut data: &[u8], found: &mut dyn FnMut(Found<'_>)) -> Option<Vec<u8>> {
        while !data.is_empty() {
            match &mut self.state {
                State::Frame(left) => {
                    let (bytes, rest) = data.split_at((*left).min(data.len()));
                    *left -= bytes.len();
                    data = rest;
                    let done = *left == 0;
                    found(Found::Bytes(bytes));
                    if done {
                        self.state = State::Header;
                        found(Found::End);
                    }
                }
                State::Tag(left) => {
                    let n = (*left).min(data.len());
                    *left -= n;
                    data = &data[n..];
                    if *left == 0 {
                        self.state = State::Header;
                    }
                }
                State::Header => {
                    let tag = self.pending.starts_with(b"ID3");
                    let wanted = if tag { TAG_HEADER } else { self.frames.header_size() };
                    let missing = wanted.saturating_sub(self.pending.len()).min(data.len());
                    let (bytes, rest) = data.split_at(missing);
                    self.pending.extend_from_slice(bytes);
                    data = rest;
                    if self.pending.len() >= wanted {
                        self.header(data, found);
                    }
                }
                State::Search => {
                    self.pending.extend_from_slice(data);
                    return self.search(found);
                }
            }
        }
        None
    }

    /// Looks at the pending bytes, which are as many as a header has at least. `data` comes behind them.
    fn header(&mut self, data: &[u8], found: &mut dyn FnMut(Found<'_>)) {
        if self.pending.starts_with(b"ID3") {
            if let Some(size) = tag_size(&self.pending) {
                self.pending.clear();
                self.state = if size > 0 { State::Tag(size) } else { State::Header };
            }
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let start = self.position - (data.len() + pending.len()) as u64;
        match self.frames.parse(&pending) {
            // Of another stream: it needs others behind it.
            Some(head) if self.known.is_some_and(|known| !known.goes_with(&head)) => {
                self.untold = Some(start);
                self.state = State::Search;
                self.pending = pending;
            }
            Some(head) if head.size >= pending.len() => {
                self.known = Some(head);
                found(Found::Start(start, &pending));
                found(Found::Bytes(&pending));
                self.state = State::Frame(head.size - pending.len());
                if head.size == pending.len() {
                    self.state = State::Header;
                    found(Found::End);
                }
                self.pending = pending;
                self.pending.clear();
            }
            _ => {
                found(Found::Lost(start, &pending));
                self.state = State::Search;
                self.pending = pending;
            }
        }
    }

    /// How many frames must follow one that is found: one of its kind, and another if it is of another kind than those before.
    /// `None` if it is none; `Some(false)` if too few bytes are there to tell.
    fn confirm(&self, rest: &[u8], head: &Head) -> Option<bool> {
        let size = self.frames.header_size();
        let mut at = head.size;
        for _ in 0..if self.known.is_none_or(|known| known.goes_with(head)) { 1 } else { 2 } {
            let Some(next) = rest.get(at..at + size) else { return Some(false) };
            at += self.frames.parse(next).filter(|next| next.goes_with(head) && next.size >= size)?.size;
        }
        Some(true)
    }

    /// Looks for a frame in the pending bytes that is followed by another one. Gives back what comes behind it.
    fn search(&mut self, found: &mut dyn FnMut(Found<'_>)) -> Option<Vec<u8>> {
        let mut at = 0;
        while let Some(ahead) = self.pending[at..].iter().position(|&b| b == self.frames.first_byte()) {
            at += ahead;
            let rest = &self.pending[at..];
            if rest.len() < self.frames.header_size() {
                break;
            }
            if let Some(head) = self.frames.parse(rest).filter(|h| h.size >= self.frames.header_size()) {
                let confirmed = self.confirm(rest, &head);
                if confirmed == Some(false) {
                    break;
                }
                if confirmed.is_some() {
                    self.known = Some(head);
                    let start = self.position - rest.len() as u64;
                    let (frame, behind) = rest.split_at(head.size);
                    if let Some(expected) = self.untold.take().filter(|&expected| expected < start) {
                        found(Found::Lost(expected, &[0]));
                    }
                    found(Found::Start(start, &frame[..self.frames.header_size()]));
                    found(Found::Bytes(frame));
                    found(Found::End);
                    let behind = behind.to_vec();
                    self.pending.clear();
                    self.state = State::Header;
                    return Some(behind);
                }
            }
            at += 1;
        }
        if self.pending[at..].iter().all(|&b| b != self.frames.first_byte()) {
            at = self.pending.len();
        }
        self.pending.drain(..at);
        None
    }

    /// The segment has ended: the last frame needs no other behind it. Returns whether it ended within a frame, which then may go on.
    pub fn finish(&mut self, found: &mut dyn FnMut(Found<'_>)) -> bool {
        match self.state {
            State::Search => {
                let window = std::mem::take(&mut self.pending);
                let last = (0..window.len()).find_map(|at| {
                    let rest = &window[at..];
                    let head = self.frames.parse(rest)?;
                    (head.size == rest.len() && self.known.is_none_or(|k| k.goes_with(&head)))
                        .then_some((at, head))
                });
                if let Some((at, head)) = last {
                    let frame = &window[at..];
                    self.known = Some(head);
                    found(Found::Start(
                        self.position - frame.len() as u64,
                        &frame[..self.frames.header_size().min(frame.len())],
                    ));
                    found(Found::Bytes(frame));
                    found(Found::End);
                }
                self.state = State::Header;
                false
            }
            State::Header => !std::mem::take(&mut self.pending).is_empty(),
            State::Tag(_) => {
                self.state = State::Header;
                false
            }
            State::Frame(_) => {
                self.cut = true;
                true
            }
        }
    }

    /// Bytes were lost, or others follow: a frame is looked for, or expected (`synced`).
    pub fn reset(&mut self, synced: bool) {
        self.state = if synced { State::Header } else { State::Search };
        self.pending.clear();
        self.untold = None;
        self.cut = false;
    }
}

/// Bytes of the header of an ID3v2 tag.
pub const TAG_HEADER: usize = 10;

/// Bytes that follow the header of an ID3v2 tag (ID3v2.4 §3.1), with its footer; `None` for fewer bytes than a header has.
pub fn tag_size(header: &[u8]) -> Option<usize> {
    let &[_, _, _, _, _, flags, a, b, c, d] = header.first_chunk::<TAG_HEADER>()?;
    let size = [a, b, c, d].iter().fold(0, |n, &b| n << 7 | usize::from(b & 0x7f));
    Some(size + if flags & 0x10 != 0 { TAG_HEADER } else { 0 })
}

/// Whether bytes at which no frame begins are of a tag at the end of a file: ID3v1, APE, Lyrics3.
pub fn is_trailing_tag(bytes: &[u8]) -> bool {
    [&b"TAG"[..], b"APET", b"LYRI"].iter().any(|tag| bytes.starts_with(tag))
}

/// Reads a stream of MPEG audio, AC-3, E-AC-3 or LATM into samples with counted time stamps.
///
/// The timescale is the sampling rate, so that durations are exact. A frame's time is counted from the one before; given time
/// stamps, rounded to 90 kHz, are followed only where they differ by half a frame or more.
#[derive(Debug)]
pub struct FrameReader {
    scanner: Scanner,
    out: Output,
}

/// What comes behind the scanner.
#[derive(Debug)]
struct Output {
    frames: Frames,
    track: TrackId,
    language: Option<String>,
    /// Position in the stream and 90 kHz time, for the first frame that begins there or behind.
    stamps: VecDeque<(u64, Ticks)>,
    /// The access unit in progress, and its samples so far.
    unit: Vec<u8>,
    samples: u32,
    /// Time stamp for the unit in progress.
    stamp: Option<Ticks>,
    /// What is taken belongs to no unit.
    stray: bool,
    /// Time of the next unit, in samples.
    next: Option<Ticks>,
    rate: u32,
    info: Option<TrackInfo>,
    /// The header for which `info` was made.
    header: Option<[u8; KEPT_HEADER]>,
    #[cfg(feature = "ts-extra")]
    latm: LatmReader,
    #[cfg(feature = "ts-extra")]
    latm_config: Option<LatmConfig>,
    edit_start: Ticks,
    /// Where what is presented ends.
    end: Option<Ticks>,
    #[cfg(feature = "ts-extra")]
    warned: bool,
    /// Offset in the input of the stream's first byte, if all of it lay together.
    base: u64,
}

impl FrameReader {
    /// A reader that calls the sink with this track. For ADTS there is another one.
    pub fn new(frames: Frames, track: TrackId, language: Option<String>) -> Self {
        Self {
            scanner: Scanner::new(frames, true),
            out: Output {
                frames,
                track,
                language,
                stamps: VecDeque::new(),
                unit: Vec::new(),
                samples: 0,
                stamp: None,
                stray: false,
                next: None,
                rate: 0,
                info: None,
                header: None,
                #[cfg(feature = "ts-extra")]
                latm: LatmReader::default(),
                #[cfg(feature = "ts-extra")]
                latm_config: None,
                edit_start: 0,
                end: None,
                #[cfg(feature = "ts-extra")]
                warned: false,
                base: 0,
            },
        }
    }

    #[cfg_attr(not(feature = "progressive"), allow(dead_code, reason = "only files tell"))]
    /// What is left out of the presentation at its start (in samples), and where it ends, for files that tell.
    pub fn set_edit(&mut self, start: Ticks, end: Option<Ticks>) {
        self.out.edit_start = start;
        self.out.end = end;
    }

    /// Time of the next frame, in samples.
    pub fn set_next(&mut self, time: Ticks) {
        self.out.next = Some(time);
    }

    /// Whether the sink knows the track.
    #[cfg_attr(not(feature = "ts"), allow(dead_code, reason = "asked by MPEG-TS alone"))]
    pub fn announced(&self) -> bool {
        self.out.info.is_some()
    }

    /// The 90 kHz time stamp of the next frame that begins.
    pub fn begin_pes(&mut self, pts: Option<Ticks>) {
        if let Some(pts) = pts {
            if self.out.stamps.len() >= MAX_STAMPS {
                self.out.stamps.pop_front();
            }
            self.out.stamps.push_back((self.scanner.position(), pts));
        }
    }

    /// Takes payload bytes, which stand at `offset` in the input.
    pub fn push(&mut self, data: &[u8], offset: u64, sink: &mut dyn Sink) {
        let out = &mut self.out;
        out.base = offset.wrapping_sub(self.scanner.position());
        self.scanner.push(data, &mut |found| out.take(found, offset, sink));
    }

    /// Bytes were lost: gives up the access unit in progress.
    pub fn damage(&mut self) {
        self.scanner.reset(false);
        self.out.drop_unit();
        self.out.stamps.clear();
    }

    /// Forgets pending data and time, for a seek.
    pub fn reset(&mut self) {
        self.scanner.reset(true);
        self.out.drop_unit();
        self.out.stamps.clear();
        self.out.next = None;
    }

    /// The segment has ended. A frame that it cuts may go on in the next one. Returns whether there is one.
    pub fn finish(&mut self, offset: u64, sink: &mut dyn Sink) -> bool {
        let out = &mut self.out;
        out.base = offset.wrapping_sub(self.scanner.position());
        let cut = self.scanner.finish(&mut |found| out.take(found, offset, sink));
        #[cfg(feature = "ts-extra")]
        if !cut && out.frames == Frames::Ac3 {
            out.end_unit(offset, sink);
        }
        cut
    }

    /// Gives up a frame that the end has cut and that nothing follows.
    pub fn drop_cut(&mut self) {
        self.scanner.reset(true);
        self.out.drop_unit();
    }
}

impl Output {
    fn take(&mut self, found: Found<'_>, offset: u64, sink: &mut dyn Sink) {
        match found {
            Found::Start(position, head) => self.start(position, head, offset, sink),
            Found::Bytes(bytes) if self.stray || self.unit.len() + bytes.len() > MAX_UNIT => {
                self.stray = true
            }
            Found::Bytes(bytes) => self.unit.extend_from_slice(bytes),
            Found::End => match self.frames {
                #[cfg(feature = "ts-extra")]
                Frames::Ac3 => {}
                _ => self.end_unit(offset, sink),
            },
            Found::Lost(position, bytes) => {
                let offset = self.base.wrapping_add(position);
                if bytes.is_empty() {
                    // In the midst of a frame.
                    self.drop_unit();
                    sink.warning(offset, "audio frame cut off at the end of a segment");
                } else {
                    self.end_unit(offset, sink);
                    if !is_trailing_tag(bytes) {
                        sink.warning(offset, "audio frame header expected");
                    }
                }
            }
        }
    }

    #[cfg_attr(
        not(feature = "ts-extra"),
        allow(unused_variables, reason = "only AC-3 has units of several frames")
    )]
    fn start(&mut self, position: u64, head: &[u8], offset: u64, sink: &mut dyn Sink) {
        self.stray = false;
        #[cfg(feature = "ts-extra")]
        if self.frames == Frames::Ac3 {
            let Some(header) = head.first_chunk().and_then(Ac3Header::parse) else { return };
            // Fewer than six blocks in a frame: several frames make a unit.
            if header.is_primary()
                && (!header.enhanced || self.samples >= ac3::UNIT_SAMPLES || self.changes(&header))
            {
                self.end_unit(offset, sink);
            }
            if self.unit.is_empty() && !header.is_primary() {
                self.stray = true;
                return;
            }
            if header.is_primary() {
                self.samples += header.samples;
            }
        }
        if self.unit.is_empty() {
            while let Some(&(_, time)) = self.stamps.front().filter(|(from, _)| *from <= position) {
                self.stamp = Some(time);
                self.stamps.pop_front();
            }
        }
    }

    #[cfg(feature = "ts-extra")]
    fn changes(&self, header: &Ac3Header) -> bool {
        let first = self.unit.first_chunk().and_then(Ac3Header::parse);
        first.is_some_and(|first| !first.same_stream(header))
    }

    fn drop_unit(&mut self) {
        self.unit.clear();
        self.samples = 0;
        self.stamp = None;
        self.stray = false;
    }

    /// Gives out the access unit.
    #[cfg_attr(not(feature = "ts-extra"), allow(unused_variables, reason = "only LATM warns"))]
    fn end_unit(&mut self, offset: u64, sink: &mut dyn Sink) {
        let unit = std::mem::take(&mut self.unit);
        if !unit.is_empty() && !self.stray {
            match self.frames {
                #[cfg(feature = "ts-extra")]
                Frames::Latm => self.give_latm(&unit, offset, sink),
                _ => self.give_framed(&unit, sink),
            }
        }
        self.unit = unit;
        self.drop_unit();
    }

    fn give_framed(&mut self, unit: &[u8], sink: &mut dyn Sink) {
        let samples = match self.frames {
            Frames::Mpeg => {
                let Some(header) = unit.first_chunk().and_then(MpegAudioHeader::parse) else { return };
                let known = self.header.and_then(|h| MpegAudioHeader::parse(h.first_chunk()?));
                if known.is_none_or(|known| !known.same_stream(&header)) {
                    self.set_rate(header.sampling_rate);
                    let mut info = self.new_info(header.codec_string(), header.channels.into());
                    info.sample_entry = header.sample_entry();
                    self.announce(info, unit, sink);
                }
                header.samples()
            }
            #[cfg(not(feature = "ts-extra"))]
            Frames::Adts => return,
            #[cfg(feature = "ts-extra")]
            _ => {
                let Some(header) = unit.first_chunk().and_then(Ac3Header::parse) else { return };
                let known = self.header.as_ref().and_then(Ac3Header::parse);
                if known.is_none_or(|known| !known.same_stream(&header)) {
                    let Some(config) = Ac3Config::from_unit(unit) else { return };
                    self.set_rate(header.sampling_rate);
                    let mut info = self.new_info(header.codec_string(), config.channels);
                    info.sample_entry = config.sample_entry;
                    self.announce(info, unit, sink);
                }
                self.samples
            }
        };
        self.give(unit, samples, sink);
    }

    #[cfg(feature = "ts-extra")]
    fn give_latm(&mut self, unit: &[u8], offset: u64, sink: &mut dyn Sink) {
        let mut latm = std::mem::take(&mut self.latm);
        let element = unit.get(latm::HEADER_SIZE..).unwrap_or_default();
        let result = latm.read(element, |config, frame| {
            if self.latm_config.as_ref() != Some(config) {
                self.latm_config = Some(config.clone());
                self.set_rate(config.audio.sampling_rate);
                let mut info = self.new_info(&config.audio.codec_string(), config.audio.channels());
                info.sample_rate = config.audio.output_rate();
                let mut entry = ByteWriter::new();
                aac::write_mp4a_with(&mut entry, &config.audio, &config.bytes);
                info.sample_entry = entry.into_vec();
                self.announce(info, &[], sink);
            }
            self.give(frame, config.frame_samples, sink);
        });
        self.latm = latm;
        if let Err(what) = result
            && !self.warned
        {
            self.warned = true;
            sink.warning(offset, what);
        }
    }

    fn set_rate(&mut self, rate: u32) {
        if let (Some(next), 1..) = (self.next, self.rate) {
            self.next = Some(next.saturating_mul(rate.into()) / Ticks::from(self.rate));
        }
        self.rate = rate;
    }

    fn new_info(&self, codec: &str, channels: u32) -> TrackInfo {
        let timescale = Timescale::new(self.rate).unwrap_or(Timescale::MPEG);
        let mut info = TrackInfo::new(self.track, TrackKind::Audio, timescale);
        info.codec.push_str(codec);
        info.sample_rate = self.rate;
        info.channels = channels;
        info.language.clone_from(&self.language);
        info.edit_start = self.edit_start;
        info
    }

    fn announce(&mut self, info: TrackInfo, unit: &[u8], sink: &mut dyn Sink) {
        let mut header = [0; KEPT_HEADER];
        for (to, &from) in header.iter_mut().zip(unit) {
            *to = from;
        }
        self.header = Some(header);
        if self.info.as_ref() != Some(&info) {
            sink.track(info.clone());
            self.info = Some(info);
        }
    }

    fn give(&mut self, frame: &[u8], samples: u32, sink: &mut dyn Sink) {
        let rate = Ticks::from(self.rate);
        let stamped =
            self.stamp.take().map(|t| (t.saturating_mul(rate).saturating_add(45_000)).div_euclid(90_000));
        let pts = match (self.next, stamped) {
            (Some(next), Some(t)) if next.abs_diff(t) < u64::from(samples / 2) => next,
            (_, Some(t)) => t,
            (Some(next), None) => next,
            // Without any time yet, as in the rest of a PES packet whose start was lost.
            (None, None) => return,
        };
        self.next = Some(pts.saturating_add(samples.into()));
        let duration = match self.end {
            Some(end) => end.saturating_sub(pts).clamp(0, samples.into()) as u32,
            None => samples,
        };
        if duration == 0 {
            return;
        }
        sink.buffer(self.track).extend_from_slice(frame);
        let size = frame.len() as u32;
        sink.sample(self.track, Sample { dts: pts, pts, duration: Some(duration), sync: true, size });
    }
}
