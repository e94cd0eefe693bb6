//! Native FLAC (RFC 9639): metadata blocks, then frames, which do not tell their size.
//!
//! A frame ends where the checksum over all of it (CRC-16) comes out right and a header with a right checksum of its own (CRC-8) follows, or
//! the stream ends. Its header tells its position: times are exact from any byte on.

use super::{Demuxer, Metadata, Sample, Sink, TrackId, TrackInfo, TrackKind};
use crate::codec::flac::{self, BlockHeader, FrameHeader, ReadFrame, SeekPoint, StreamInfo, block, crc16};
use crate::codec::vorbis;
use crate::error::{Code, PlayerError, Result};
use crate::time::{Seconds, Ticks, Timescale};

/// The one track.
const TRACK: TrackId = TrackId(1);

/// Metadata blocks that are larger are passed over: seek tables have some kB, comments too unless there is a cover in them.
const MAX_BLOCK: u32 = 512 << 10;

/// Bytes without a frame that are searched before giving up.
const MAX_GARBAGE: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At `fLaC`, or at an ID3v2 tag in front of it.
    Start,
    /// At the header of a metadata block.
    Block,
    /// In a metadata block that is read.
    Body(BlockHeader),
    /// In bytes that are not used: a tag (then `fLaC` follows) or a block.
    Skip(u64, Next),
    Frames,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Start,
    Block,
    Frames,
}

/// A frame of which the start is known.
#[derive(Clone, Copy, Debug)]
struct Frame {
    header: FrameHeader,
    /// Bytes of it that are no start of another frame.
    scanned: usize,
    /// Bytes of it that the checksum covers so far.
    summed: usize,
    crc: u16,
    /// Whether the frame before it, or this one's predecessor's checksum, confirmed the start.
    trusted: bool,
}

impl Frame {
    fn new(header: FrameHeader, trusted: bool) -> Self {
        Self { header, scanned: header.size, summed: 0, crc: 0, trusted }
    }

    /// Whether the checksum is right over the first `end` bytes. May be asked for ever larger `end`.
    fn ends_at(&mut self, bytes: &[u8], end: usize) -> bool {
        if let Some(more) = bytes.get(self.summed..end) {
            self.crc = crc16(self.crc, more);
            self.summed = end;
        }
        (self.crc == 0 || cfg!(fuzzing)) && end >= self.header.size + 2
    }
}

/// Demuxes a native FLAC stream.
///
/// After `reset` it takes bytes from any place behind the metadata of the same stream: samples come from the first whole frame on.
///
/// Memory: one frame (2 MB at most in 8 channels of 32 bits and the largest blocks, some kB usually), one metadata block (512 kB at most).
#[derive(Debug)]
pub struct FlacDemuxer {
    state: State,
    pending: Vec<u8>,
    /// Bytes taken since the last reset, those pending not counted.
    offset: u64,
    info: Option<StreamInfo>,
    comments: Option<Vec<(String, String)>>,
    points: Vec<SeekPoint>,
    /// Where in the file the first frame begins, once that is known.
    first_frame: Option<u64>,
    /// The frame that `pending` begins with.
    frame: Option<Frame>,
    garbage: u64,
    failed_search: bool,
}

impl Default for FlacDemuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl FlacDemuxer {
    /// A demuxer before its first byte.
    pub fn new() -> Self {
        Self {
            state: State::Start,
            pending: Vec::new(),
            offset: 0,
            info: None,
            comments: None,
            points: Vec::new(),
            first_frame: None,
            frame: None,
            garbage: 0,
            failed_search: false,
        }
    }

    /// The seek table; empty where the file has none.
    pub fn seek_points(&self) -> &[SeekPoint] {
        &self.points
    }

    /// Byte of the file at which the first frame begins: what the offsets of the seek table count from.
    pub fn first_frame(&self) -> Option<u64> {
        self.first_frame
    }

    fn malformed(&self, what: &'static str) -> PlayerError {
        PlayerError::new(Code::MediaMalformed, what).at(self.offset)
    }

    /// Takes what can be taken of `bytes`, tells how many.
    fn run(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<usize> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let taken = match self.state {
                State::Start => self.start(rest)?,
                State::Block => match rest.first_chunk() {
                    Some(header) => {
                        self.block(BlockHeader::parse(*header))?;
                        4
                    }
                    None => 0,
                },
                State::Body(header) => match rest.get(..header.size as usize) {
                    Some(body) => {
                        self.body(header, body, sink)?;
                        body.len()
                    }
                    None => 0,
                },
                State::Skip(0, next) => {
                    self.go_on(next, self.offset, sink);
                    continue;
                }
                State::Skip(left, next) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.state = State::Skip(left - n as u64, next);
                    n
                }
                State::Frames => self.frames(rest, sink)?,
            };
            if taken == 0 {
                return Ok(at);
            }
            at += taken;
            self.offset += taken as u64;
        }
    }

    fn start(&mut self, rest: &[u8]) -> Result<usize> {
        match rest {
            [b'f', b'L', b'a', b'C', ..] => {
                self.state = State::Block;
                Ok(4)
            }
            // An ID3v2 tag: its size in four times seven bits, header and footer not counted (ID3v2.4 §3.1).
            &[b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] => {
                let size = [a, b, c, d].into_iter().fold(0u64, |n, byte| n << 7 | u64::from(byte & 0x7f));
                let footer = if flags & 0x10 != 0 { 10 } else { 0 };
                self.state = State::Skip(size + footer, Next::Start);
                Ok(10)
            }
            [b'f', ..] if b"fLaC".starts_with(rest) => Ok(0),
            [b'I', ..] if rest.len() < 10 && rest.iter().zip(b"ID3").all(|(a, b)| a == b) => Ok(0),
            [] => Ok(0),
            _ => Err(self.malformed("The FLAC stream does not begin with its marker.")),
        }
    }

    fn block(&mut self, header: BlockHeader) -> Result<()> {
        if self.info.is_none() && (header.kind != block::STREAMINFO || header.size > 1000) {
            return Err(self.malformed("The FLAC stream does not begin with STREAMINFO."));
        }
        let wanted = matches!(header.kind, block::STREAMINFO | block::SEEKTABLE | block::COMMENT);
        self.state = if wanted && header.size > 0 && header.size <= MAX_BLOCK {
            State::Body(header)
        } else {
            State::Skip(header.size.into(), if header.last { Next::Frames } else { Next::Block })
        };
        Ok(())
    }

    fn body(&mut self, header: BlockHeader, body: &[u8], sink: &mut dyn Sink) -> Result<()> {
        match header.kind {
            block::STREAMINFO if self.info.is_none() => {
                let Some(info) = StreamInfo::parse(body) else {
                    return Err(self.malformed("A STREAMINFO block that cannot be read."));
                };
                sink.track(track(&info));
                sink.tracks_complete();
                self.info = Some(info);
            }
            block::SEEKTABLE => self.points = flac::seek_table(body),
            block::COMMENT => self.comments = Some(vorbis::read_comments(body)),
            _ => {}
        }
        let end = self.offset + body.len() as u64;
        self.go_on(if header.last { Next::Frames } else { Next::Block }, end, sink);
        Ok(())
    }

    /// `offset`: where what is next begins.
    fn go_on(&mut self, next: Next, offset: u64, sink: &mut dyn Sink) {
        self.state = match next {
            Next::Start => State::Start,
            Next::Block => State::Block,
            Next::Frames => {
                self.first_frame.get_or_insert(offset);
                if let Some(comments) = self.comments.take() {
                    sink.metadata(Some(TRACK), None, Metadata::Comments(comments));
                }
                State::Frames
            }
        };
    }

    /// Takes one frame, or bytes that are none; 0 if there is too little to tell.
    fn frames(&mut self, rest: &[u8], sink: &mut dyn Sink) -> Result<usize> {
        let Some(info) = self.info else { return Err(self.malformed("FLAC frames without STREAMINFO.")) };
        let Some(mut frame) = self.frame else { return self.find_frame(rest, &info, sink) };
        let limit = info.frame_limit(&frame.header);
        loop {
            let from = rest.get(frame.scanned..).unwrap_or_default();
            let Some(next) = from.iter().position(|&b| b == 0xff) else {
                frame.scanned = rest.len().max(frame.scanned);
                break;
            };
            let at = frame.scanned + next;
            frame.scanned = at;
            if at > limit {
                break;
            }
            match FrameHeader::parse(&rest[at..]) {
                // More bytes will tell.
                ReadFrame::Short => break,
                ReadFrame::Got(header)
                    if info.agrees(&header) && header.variable == frame.header.variable =>
                {
                    let whole = frame.ends_at(rest, at);
                    if whole || (frame.trusted && frame.header.is_followed_by(&header)) {
                        if whole {
                            self.give(&frame.header, &rest[..at], &info, sink);
                        } else {
                            sink.warning(self.offset, "a frame whose checksum is wrong: dropped");
                        }
                        self.frame = Some(Frame::new(header, true));
                        return Ok(at);
                    }
                    frame.scanned = at + 1;
                }
                _ => frame.scanned = at + 1,
            }
        }
        if frame.scanned > limit {
            // No frame is as long: it was none, or it is damaged and so is the next one's header.
            if frame.trusted {
                sink.warning(self.offset, "a frame whose end is not found: dropped");
            }
            self.frame = None;
            self.garbage += 1;
            return Ok(1);
        }
        self.frame = Some(frame);
        Ok(0)
    }

    /// Looks for the header of a frame.
    fn find_frame(&mut self, rest: &[u8], info: &StreamInfo, sink: &mut dyn Sink) -> Result<usize> {
        let mut at = 0;
        let found = loop {
            at += rest[at..].iter().position(|&b| b == 0xff).unwrap_or(rest.len() - at);
            match FrameHeader::parse(&rest[at..]) {
                ReadFrame::Short => break None,
                ReadFrame::Got(header) if info.agrees(&header) => break Some(header),
                _ => at += 1,
            }
        };
        if at > 0 && !std::mem::replace(&mut self.failed_search, true) && self.offset > 0 {
            sink.warning(self.offset, "bytes that are no frame");
        }
        self.garbage += at as u64;
        if self.garbage > MAX_GARBAGE {
            let start = (self.offset + at as u64).saturating_sub(self.garbage);
            return Err(PlayerError::new(Code::MediaMalformed, "No FLAC frame in a megabyte.").at(start));
        }
        if let Some(header) = found {
            self.frame = Some(Frame::new(header, false));
            if at == 0 {
                return self.frames(rest, sink);
            }
        }
        Ok(at)
    }

    fn give(&mut self, header: &FrameHeader, bytes: &[u8], info: &StreamInfo, sink: &mut dyn Sink) {
        self.garbage = 0;
        self.failed_search = false;
        let pts = Ticks::try_from(header.first_sample(info)).unwrap_or(Ticks::MAX / 2);
        sink.buffer(TRACK).extend_from_slice(bytes);
        let size = bytes.len() as u32;
        sink.sample(TRACK, Sample { dts: pts, pts, duration: Some(header.block_size), sync: true, size });
    }
}

fn track(info: &StreamInfo) -> TrackInfo {
    let timescale = Timescale::new(info.rate).unwrap_or(Timescale::MPEG);
    let mut track = TrackInfo::new(TRACK, TrackKind::Audio, timescale);
    track.codec.push_str("flac");
    track.sample_entry = info.sample_entry();
    track.sample_rate = info.rate;
    track.channels = info.channels.into();
    track
}

/// Whether this is what taggers put behind the last frame: ID3v1, APE, Lyrics3.
fn is_tag(bytes: &[u8]) -> bool {
    [&b"TAG"[..], b"APETAGEX", b"LYRICSBEGIN", b"ID3"].iter().any(|magic| bytes.starts_with(magic))
}

impl Demuxer for FlacDemuxer {
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(chunk);
        let taken = self.run(&bytes, sink)?;
        bytes.drain(..taken);
        self.pending = bytes;
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let bytes = std::mem::take(&mut self.pending);
        let frame = self.frame.take();
        let Some(info) = self.info else {
            return Err(self.malformed("The FLAC stream ends within its headers."));
        };
        if let Some(mut frame) = frame {
            if frame.ends_at(&bytes, bytes.len()) {
                self.give(&frame.header, &bytes, &info, sink);
            } else {
                let mut again = Frame::new(frame.header, frame.trusted);
                let end = (frame.header.size + 2..bytes.len())
                    .find(|&end| is_tag(&bytes[end..]) && again.ends_at(&bytes, end));
                match end {
                    Some(end) => self.give(&frame.header, &bytes[..end], &info, sink),
                    None => sink.warning(self.offset, "the stream ends within a frame"),
                }
            }
        } else if self.state != State::Frames {
            sink.warning(self.offset, "the stream ends within its headers");
        }
        if self.first_frame.is_some() {
            self.state = State::Frames;
        }
        Ok(())
    }

    fn duration(&self, _length: Option<u64>) -> Option<Seconds> {
        let info = self.info.filter(|info| info.total > 0)?;
        Some(info.total as f64 / f64::from(info.rate))
    }

    fn seek(&mut self, time: Seconds, length: u64) -> Option<u64> {
        let (info, first) = (self.info?, self.first_frame?);
        let sample = (time.max(0.0) * f64::from(info.rate)) as u64;
        let after = self.points.partition_point(|p| p.sample <= sample);
        let point = self.points.get(after.checked_sub(1)?)?;
        let position = first.checked_add(point.offset).filter(|p| *p < length)?;
        self.reset();
        Some(position)
    }

    fn reset(&mut self) {
        self.pending.clear();
        self.frame = None;
        self.failed_search = false;
        (self.offset, self.garbage) = (0, 0);
        if self.first_frame.is_some() {
            self.state = State::Frames;
        } else {
            // Read again from the start.
            self.state = State::Start;
            self.info = None;
        }
    }
}
