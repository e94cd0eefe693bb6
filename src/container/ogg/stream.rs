//! One logical stream of audio: packets out of pages, headers, and the time of each packet.
//!
//! A page says at which position (granule) the last packet ends that ends on it. With the durations of the packets, which the codecs
//! tell, the first of these positions is counted back to the start of its page; from there on positions are counted forward and
//! held against the granules of the pages to come.

use super::page::Page;
use super::{TRACK, malformed};
use crate::codec::flac::{self, FrameHeader, ReadFrame, StreamInfo};
use crate::codec::opus::{self, OpusHead};
use crate::codec::vorbis;
use crate::container::{Metadata, Sample, Sink, TrackInfo, TrackKind};
use crate::error::Result;
use crate::time::{Ticks, Timescale};

/// Bytes kept of a header packet. The setup header of Vorbis has a few kB; comments may hold a cover, which is not kept.
const MAX_HEADER: usize = 512 << 10;

/// Longest audio packet, in bytes: the largest blocks of FLAC in 8 channels and 24 bits are smaller.
const MAX_PACKET: usize = 4 << 20;

/// What the first packet of a logical stream says it is.
#[derive(Debug)]
pub(super) enum Identified {
    /// Audio that is played.
    Audio(Codec),
    /// Something that is not: said by name.
    Unsupported(&'static str),
    /// Describes the others (Skeleton), or is of no kind that is known.
    Ignored,
}

/// Reads the first packet of a logical stream.
pub(super) fn identify(packet: &[u8]) -> Identified {
    const OTHERS: [(&[u8], &str); 11] = [
        (b"\x80theora", "Theora video is not supported"),
        (b"BBCD\0", "Dirac video is not supported"),
        (b"\x80daala", "Daala video is not supported"),
        (b"OVP80\x01", "VP8 video in Ogg is not supported"),
        (b"\x01video\0", "OGM video is not supported"),
        (b"\x01audio\0", "OGM audio is not supported"),
        (b"Speex   ", "Speex audio is not supported"),
        (b"CELT    ", "CELT audio is not supported"),
        (b"PCM     ", "PCM audio in Ogg is not supported"),
        (b"\x80kate\0", "Kate subtitles are not supported"),
        (b"CMML\0", "CMML text is not supported"),
    ];
    let codec = if packet.starts_with(b"OpusHead") {
        OpusHead::parse(packet).map(Codec::Opus).ok_or("an Opus stream of an unknown kind")
    } else if packet.starts_with(b"\x01vorbis") {
        let valid = vorbis::Identification::parse(packet);
        valid.map(|_| Codec::Vorbis(Vorbis::First(packet.to_vec()))).ok_or("a broken Vorbis header")
    } else if let Some(rest) = packet.strip_prefix(b"\x7fFLAC\x01") {
        // Minor version, number of headers, "fLaC", then the block (RFC 9639 §10.1).
        let info = rest.get(3..).and_then(StreamInfo::from_codec_private);
        info.map(Codec::Flac).ok_or("a broken FLAC header")
    } else {
        return match OTHERS.iter().find(|(magic, _)| packet.starts_with(magic)) {
            Some((_, what)) => Identified::Unsupported(what),
            None => Identified::Ignored,
        };
    };
    codec.map_or_else(Identified::Unsupported, Identified::Audio)
}

/// A codec with what its packets need.
#[derive(Debug)]
pub(super) enum Codec {
    Opus(OpusHead),
    Vorbis(Vorbis),
    Flac(StreamInfo),
}

#[derive(Debug)]
pub(super) enum Vorbis {
    /// The identification header; the setup header has not come.
    First(Vec<u8>),
    /// With the size of the block before.
    Ready(vorbis::Headers, Option<u32>),
}

/// What the packets to come are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Comments,
    Setup,
    Audio,
}

/// A packet that goes on from one page to the next.
#[derive(Debug, PartialEq, Eq)]
enum Partial {
    None,
    /// Its bytes.
    Kept(Vec<u8>),
    /// Its start is missing or it is too long: the rest is passed over.
    Skipped,
}

/// One logical stream of audio.
#[derive(Debug)]
pub(super) struct Stream {
    pub serial: u32,
    codec: Codec,
    phase: Phase,
    /// Time of its first packet, where it follows another stream in a chain.
    link_start: Option<Ticks>,
    /// Until the track is announced.
    comments: Option<Vec<(String, String)>>,
    sequence: Option<u32>,
    partial: Partial,
    /// Position at which the next packet starts, where it is known.
    position: Option<i64>,
    /// By how much the count is ahead of the granules: these went back, samples do not.
    skew: i64,
    /// What makes a time of a position; known from the first audio page.
    base: Option<i64>,
    /// Ticks at the start that are not presented.
    edit_start: Ticks,
    /// Time at which the last sample ended.
    end: Option<Ticks>,
    /// Packets of a page: where they stand in its body, and what they last.
    spans: Vec<(usize, usize)>,
    durations: Vec<Option<u32>>,
}

impl Stream {
    /// A stream of which the first page came.
    pub fn new(serial: u32, sequence: u32, codec: Codec) -> Self {
        let edit_start = if let Codec::Opus(head) = &codec { head.pre_skip.into() } else { 0 };
        Self {
            serial,
            codec,
            phase: Phase::Comments,
            link_start: None,
            comments: None,
            sequence: Some(sequence),
            partial: Partial::None,
            position: None,
            skew: 0,
            base: None,
            edit_start,
            end: None,
            spans: Vec::new(),
            durations: Vec::new(),
        }
    }

    /// Samples per second: the ticks of granules and of time stamps.
    pub fn rate(&self) -> u32 {
        match &self.codec {
            Codec::Opus(_) => opus::RATE,
            Codec::Vorbis(Vorbis::First(packet)) => {
                vorbis::Identification::parse(packet).map_or(1, |i| i.rate)
            }
            Codec::Vorbis(Vorbis::Ready(headers, _)) => headers.identification.rate,
            Codec::Flac(info) => info.rate,
        }
    }

    /// Whether all headers came.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Audio
    }

    /// When what is heard of it ends, in ticks of the presentation (`edit_start` applied).
    pub fn presented_end(&self) -> Ticks {
        match self.end {
            Some(end) => end.saturating_sub(self.edit_start),
            None => self.link_start.unwrap_or(0),
        }
    }

    /// Makes it follow another stream: what is heard of it starts at `time`.
    pub fn start_at(&mut self, time: Ticks) {
        self.link_start = Some(time);
    }

    /// See [`Self::start_at`]; `None` for the first stream.
    pub fn link_start(&self) -> Option<Ticks> {
        self.link_start
    }

    /// Time of a granule position.
    pub fn time(&self, granule: i64) -> Ticks {
        granule.saturating_add(self.base.unwrap_or(0))
    }

    /// Forgets everything but headers and time line.
    pub fn reset(&mut self) {
        self.sequence = None;
        self.lose();
    }

    fn lose(&mut self) {
        self.partial = Partial::None;
        self.position = None;
        self.skew = 0;
        if let Codec::Vorbis(Vorbis::Ready(_, previous)) = &mut self.codec {
            *previous = None;
        }
    }

    /// The track as it is announced; `None` before all headers came.
    pub fn info(&self) -> Option<TrackInfo> {
        if !self.is_ready() {
            return None;
        }
        let mut info = TrackInfo::new(TRACK, TrackKind::Audio, Timescale::new(self.rate())?);
        info.sample_rate = self.rate();
        info.edit_start = self.edit_start;
        match &self.codec {
            Codec::Opus(head) => {
                info.codec.push_str("opus");
                info.channels = head.channels.into();
                info.sample_entry = head.sample_entry();
            }
            Codec::Vorbis(Vorbis::Ready(headers, _)) => {
                info.codec.push_str("vorbis");
                info.channels = headers.identification.channels.into();
                info.codec_private = headers.codec_private();
            }
            Codec::Vorbis(Vorbis::First(_)) => return None,
            Codec::Flac(flac) => {
                info.codec.push_str("flac");
                info.channels = flac.channels.into();
                info.sample_entry = flac.sample_entry();
            }
        }
        Some(info)
    }

    /// Takes a page of this stream. `offset`: where it stands in the input. `announce` is called whenever [`Self::info`] changed.
    pub fn page(
        &mut self,
        page: &Page<'_>,
        offset: u64,
        sink: &mut dyn Sink,
        announce: &mut dyn FnMut(&Self, &mut dyn Sink),
    ) -> Result<()> {
        let lost = self.sequence.is_some_and(|last| last.wrapping_add(1) != page.sequence);
        self.sequence = Some(page.sequence);
        if lost {
            // A server that lets a listener join in the middle sends the headers and goes on with the page of the time.
            if self.base.is_some() || self.phase != Phase::Audio {
                sink.warning(offset, "pages of the stream are missing");
            }
            self.lose();
        }
        let joined = self.assemble(page, offset, sink);
        let spans = std::mem::take(&mut self.spans);
        let packet = |i: usize| match (&joined, spans.get(i)) {
            (Some(joined), _) if i == 0 => Some(&joined[..]),
            (_, Some(&(start, end))) => page.body.get(start..end),
            _ => None,
        };
        let mut first = 0;
        while self.phase != Phase::Audio {
            let Some(header) = packet(first) else { break };
            if self.header(header, offset, sink, announce)? {
                first += 1;
            }
        }
        if self.phase == Phase::Audio && first < spans.len() {
            self.audio(&|i| packet(first + i), page, !lost, offset, sink, announce);
        }
        self.spans = spans;
        Ok(())
    }

    /// Finds the packets that end on a page, into `spans`, and gives the bytes of the first where it began earlier.
    fn assemble(&mut self, page: &Page<'_>, offset: u64, sink: &mut dyn Sink) -> Option<Vec<u8>> {
        self.spans.clear();
        let mut partial = std::mem::replace(&mut self.partial, Partial::None);
        if page.continued && partial == Partial::None {
            partial = Partial::Skipped;
        } else if !page.continued && partial != Partial::None {
            if matches!(partial, Partial::Kept(_)) {
                sink.warning(offset, "a packet that does not go on");
            }
            partial = Partial::None;
        }
        let (mut start, mut end) = (0, 0);
        let mut joined = None;
        for &segment in page.lacing {
            end += usize::from(segment);
            if segment == 255 {
                continue;
            }
            match std::mem::replace(&mut partial, Partial::None) {
                Partial::None => self.spans.push((start, end)),
                Partial::Skipped => {}
                Partial::Kept(mut bytes) => {
                    if self.keep(&mut bytes, page.body.get(start..end).unwrap_or_default()) {
                        joined = Some(bytes);
                        // Stands for the packet that was put together.
                        self.spans.push((start, end));
                    } else {
                        sink.warning(offset, "a packet that is too long");
                    }
                }
            }
            start = end;
        }
        // The last segment is full: its packet goes on.
        self.partial = match partial {
            Partial::None if start == end => Partial::None,
            Partial::Skipped => Partial::Skipped,
            partial => {
                let mut bytes = if let Partial::Kept(bytes) = partial { bytes } else { Vec::new() };
                if self.keep(&mut bytes, page.body.get(start..).unwrap_or_default()) {
                    Partial::Kept(bytes)
                } else {
                    sink.warning(offset, "a packet that is too long");
                    Partial::Skipped
                }
            }
        };
        joined
    }

    /// Appends to a packet that goes over pages; of a header as much as is kept. `false`: too long.
    fn keep(&self, packet: &mut Vec<u8>, more: &[u8]) -> bool {
        if self.phase != Phase::Audio {
            let room = MAX_HEADER.saturating_sub(packet.len());
            packet.extend_from_slice(&more[..more.len().min(room)]);
            return true;
        }
        let fits = packet.len() + more.len() <= MAX_PACKET;
        if fits {
            packet.extend_from_slice(more);
        }
        fits
    }

    /// Takes a packet before the audio. `false`: it is audio already.
    fn header(
        &mut self,
        packet: &[u8],
        offset: u64,
        sink: &mut dyn Sink,
        announce: &mut dyn FnMut(&Self, &mut dyn Sink),
    ) -> Result<bool> {
        let mut comments = None;
        let mut taken = true;
        match (&mut self.codec, self.phase) {
            (Codec::Opus(_), _) => {
                match packet.strip_prefix(b"OpusTags") {
                    Some(tags) => comments = Some(vorbis::read_comments(tags)),
                    None => taken = false,
                }
                self.phase = Phase::Audio;
            }
            (Codec::Vorbis(_), Phase::Comments) => {
                let Some(list) = vorbis::comments(packet) else {
                    return Err(malformed("No Vorbis comments where they must be", offset));
                };
                comments = Some(list);
                self.phase = Phase::Setup;
            }
            (Codec::Vorbis(vorbis), _) => {
                if let Vorbis::First(first) = vorbis {
                    let Some(headers) = vorbis::Headers::new(first, packet) else {
                        return Err(malformed("A Vorbis setup header that cannot be read", offset));
                    };
                    *vorbis = Vorbis::Ready(headers, None);
                }
                self.phase = Phase::Audio;
            }
            (Codec::Flac(_), _) => match packet {
                // No metadata block begins with a byte of ones, every frame does.
                [0xff, ..] => {
                    self.phase = Phase::Audio;
                    taken = false;
                }
                &[a, b, c, d, ref body @ ..] => {
                    let header = flac::BlockHeader::parse([a, b, c, d]);
                    if header.kind == flac::block::COMMENT {
                        comments = Some(vorbis::read_comments(body));
                    }
                    if header.last {
                        self.phase = Phase::Audio;
                    }
                }
                _ => {}
            },
        }
        if comments.is_some() {
            self.comments = comments;
        }
        if self.phase == Phase::Audio {
            announce(self, sink);
            let Some(list) = self.comments.take() else { return Ok(taken) };
            let at = self.link_start.map(|start| start.saturating_add(self.edit_start));
            sink.metadata(Some(TRACK), at, Metadata::Comments(list));
        }
        Ok(taken)
    }

    /// Samples at the granules' rate that a packet adds; `None` for what is no packet of audio.
    fn duration(&mut self, packet: &[u8]) -> Option<u32> {
        match &mut self.codec {
            Codec::Opus(_) => opus::packet_duration(packet),
            Codec::Vorbis(Vorbis::Ready(headers, previous)) => {
                let block = headers.block_size(packet)?;
                let before = previous.replace(block);
                Some(before.map_or(0, |before| vorbis::packet_duration(before, block)))
            }
            Codec::Vorbis(Vorbis::First(_)) => None,
            Codec::Flac(_) => match FrameHeader::parse(packet) {
                ReadFrame::Got(header) => Some(header.block_size),
                _ => None,
            },
        }
    }

    fn audio<'p>(
        &mut self,
        packet: &dyn Fn(usize) -> Option<&'p [u8]>,
        page: &Page<'_>,
        from_start: bool,
        offset: u64,
        sink: &mut dyn Sink,
        announce: &mut dyn FnMut(&Self, &mut dyn Sink),
    ) {
        let mut durations = std::mem::take(&mut self.durations);
        durations.clear();
        let mut sum = 0i64;
        for packet in (0..).map_while(packet) {
            let duration = self.duration(packet);
            sum += i64::from(duration.unwrap_or(0));
            durations.push(duration);
        }
        let granule = match (&self.codec, packet(0).map(FrameHeader::parse)) {
            // Frames of FLAC carry their position themselves.
            (Codec::Flac(info), Some(ReadFrame::Got(header))) => {
                let start = i64::try_from(header.first_sample(info)).unwrap_or(i64::MAX);
                Some(start.saturating_add(sum))
            }
            _ => page.granule,
        };
        let Some((mut at, end)) = self.place(sum, granule, page.ends, from_start, offset, sink) else {
            sink.warning(offset, "packets without a position");
            self.durations = durations;
            return;
        };
        if self.base.is_none() {
            let early = at.min(0).saturating_neg();
            self.base = Some(match self.link_start {
                Some(start) => start.saturating_sub(at),
                None => early,
            });
            if early > 0 {
                // Samples before position 0 are not presented (Vorbis I §A.2).
                self.edit_start = self.edit_start.saturating_add(early);
                announce(self, sink);
            }
        }
        for (packet, duration) in (0..).map_while(packet).zip(&durations) {
            // ffmpeg's FLAC ends with an empty packet.
            if packet.is_empty() {
                continue;
            }
            let Some(duration) = *duration else {
                sink.warning(offset, "a packet that cannot be read");
                continue;
            };
            let pts = self.time(at);
            let left = end.map_or(i64::MAX, |end| end.saturating_sub(at).max(0));
            let heard = u32::try_from(left).unwrap_or(u32::MAX).min(duration);
            at = at.saturating_add(duration.into());
            if heard == 0 && duration > 0 {
                continue;
            }
            sink.buffer(TRACK).extend_from_slice(packet);
            let size = packet.len() as u32;
            sink.sample(TRACK, Sample { dts: pts, pts, duration: Some(heard), sync: true, size });
            self.end = Some(pts.saturating_add(heard.into()));
        }
        self.position = Some(at);
        self.durations = durations;
    }

    /// Position at which the first packet of a page starts whose packets last `sum`, and where the stream is cut off, if it is.
    fn place(
        &mut self,
        sum: i64,
        granule: Option<i64>,
        ends: bool,
        from_start: bool,
        offset: u64,
        sink: &mut dyn Sink,
    ) -> Option<(i64, Option<i64>)> {
        let (expected, granule) = match (self.position, granule) {
            (position, None) => return position.map(|p| (p, None)),
            (None, Some(granule)) => {
                let start = granule.saturating_sub(sum);
                // The only page of a stream: it is cut at its end (RFC 7845 §4.4), not at its start.
                return Some(if start < 0 && ends && from_start && self.base.is_none() {
                    (0, Some(granule))
                } else {
                    (start, None)
                });
            }
            (Some(position), Some(granule)) => (position, granule),
        };
        let mut start = granule.saturating_sub(sum).saturating_add(self.skew);
        if start > expected && self.skew > 0 {
            let back = self.skew.min(start - expected);
            self.skew -= back;
            start -= back;
        }
        if start > expected {
            sink.warning(offset, "granule positions jump ahead");
            return Some((start, None));
        }
        if start == expected {
            return Some((start, None));
        }
        let end = start.saturating_add(sum);
        if ends && end >= expected {
            return Some((expected, Some(end)));
        }
        let skew = self.skew.saturating_add(expected.saturating_sub(start));
        if skew > i64::from(self.rate()) {
            sink.warning(offset, "granule positions jump back");
            self.skew = 0;
            return Some((granule.saturating_sub(sum).max(0), None));
        }
        sink.warning(offset, "granule positions go back a little");
        self.skew = skew;
        Some((expected, None))
    }
}
