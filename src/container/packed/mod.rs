//! Packed audio: elementary streams of ADTS AAC, MPEG audio, AC-3 and E-AC-3 as files, as HLS segments (RFC 8216bis §3.4) and as endless
//! streams, with ID3v2 tags in front and other tags behind.
//!
//! **Times.** The track's timescale is its sampling rate. The first frame is presented at 0 or, behind a tag with Apple's time stamp, at
//! that time, rounded to the nearest sample; from there frames are counted, exactly. A segment of a playlist without the stamp begins
//! at its time in the playlist, if it does not follow the one before. The time stamp of a later segment is followed only
//! where it is half a frame or more off, as its rounding to 90 kHz is no jump.

mod id3;
#[cfg(feature = "progressive")]
mod layout;

#[cfg(feature = "progressive")]
pub use layout::Mp3Layout;

use self::id3::TagReader;
#[cfg(feature = "progressive")]
use super::Format;
use super::adts::AdtsReader;
use super::framed::FrameReader;
use super::frames::{Found, Frames, Scanner, is_trailing_tag};
use super::{Demuxer, Metadata, Sample, Sink, TrackId, TrackInfo};
#[cfg(feature = "progressive")]
use crate::codec::mpeg_audio::MpegAudioHeader;
use crate::error::{Code, PlayerError, Result};
use crate::time::{PtsUnwrapper, Seconds, Ticks, Timescale};

/// Bytes without a frame after which a stream is given up as unknown, as many as in FLV, Ogg and FLAC: taggers leave some hundred kilobytes
/// of zeros between a tag and the first frame where a cover image was taken out.
const MAX_PROBE: usize = 1 << 20;

/// The only track.
const TRACK: TrackId = TrackId(1);

#[derive(Debug)]
enum State {
    /// The first bytes, which may start a tag.
    Start,
    Tag(TagReader),
    /// Frames of a kind that is not known yet, in `pending`.
    Probe,
    Frames,
}

enum Reader {
    /// The scanner leaves out what is no frame.
    Adts(Scanner, Box<AdtsReader>),
    Framed(Box<FrameReader>),
    /// A format with a demuxer of its own behind a tag: FLAC, Ogg. With the byte of the file at which it begins.
    #[cfg(feature = "progressive")]
    Other(Box<dyn Demuxer>, u64),
}

/// Demuxes packed audio.
pub struct PackedDemuxer {
    state: State,
    reader: Option<Reader>,
    pending: Vec<u8>,
    /// Bytes of the input before `pending`, since the last reset.
    offset: u64,
    unwrapper: PtsUnwrapper,
    /// 90 kHz time of the next frame, from its tag.
    stamp: Option<Ticks>,
    /// Time of the first frame in samples, after a seek.
    start: Ticks,
    /// Time of the segment according to the manifest, for those without a time of their own.
    manifest: Option<Seconds>,
    /// Frames do not go on from those before.
    fresh: bool,
    /// The segment has no time of its own.
    untimed: bool,
    #[cfg(feature = "progressive")]
    layout: Option<Mp3Layout>,
    /// Bytes that were passed over in search of the first frame.
    garbage: usize,
    /// Offset of the last frame.
    frame: u64,
    complete: bool,
}

impl Default for PackedDemuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl PackedDemuxer {
    /// A demuxer before its first byte.
    pub fn new() -> Self {
        Self {
            state: State::Start,
            reader: None,
            pending: Vec::new(),
            offset: 0,
            unwrapper: PtsUnwrapper::default(),
            stamp: None,
            start: 0,
            manifest: None,
            fresh: true,
            untimed: false,
            #[cfg(feature = "progressive")]
            layout: None,
            garbage: 0,
            frame: 0,
            complete: false,
        }
    }

    #[cfg(feature = "progressive")]
    /// How the file is laid out, once its first frame was read; MPEG audio only.
    pub fn layout(&self) -> Option<&Mp3Layout> {
        self.layout.as_ref()
    }

    #[cfg(feature = "progressive")]
    /// Forgets what is pending: what comes next is from about [`Mp3Layout::seek`]'s position in the file, of which frames from the next
    /// whole one on are taken, the first at `time` (in samples).
    pub fn resume_at(&mut self, time: Ticks) {
        self.reset();
        self.start = time;
        // In the midst of a file there is no tag: what looks like one is sound.
        self.state = State::Frames;
        match &mut self.reader {
            Some(Reader::Framed(reader)) => {
                reader.damage();
                reader.set_next(time);
                if let Some(layout) = &self.layout {
                    layout.trim(reader);
                }
            }
            Some(Reader::Adts(scanner, reader)) => {
                scanner.reset(false);
                reader.set_next(time);
            }
            _ => self.state = State::Probe,
        }
    }

    fn advance(&mut self, data: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let mut data = data;
        while !data.is_empty() {
            match &mut self.state {
                State::Start => {
                    let wanted = 3usize.saturating_sub(self.pending.len()).min(data.len());
                    let (bytes, rest) = data.split_at(wanted);
                    self.pending.extend_from_slice(bytes);
                    data = rest;
                    if !b"ID3".starts_with(&self.pending) {
                        self.begin_frames(sink)?;
                    } else if self.pending.len() == 3 {
                        let mut tag = TagReader::new();
                        self.offset += tag.push(&std::mem::take(&mut self.pending)) as u64;
                        self.state = State::Tag(tag);
                    }
                }
                State::Tag(tag) => {
                    let used = tag.push(data);
                    self.offset += used as u64;
                    data = &data[used..];
                    if tag.is_complete() {
                        self.end_tag(sink);
                    }
                }
                State::Probe => {
                    self.pending.extend_from_slice(data);
                    data = &[];
                    self.probe(false, sink)?;
                }
                State::Frames => {
                    self.feed(data, sink)?;
                    data = &[];
                }
            }
        }
        Ok(())
    }

    fn end_tag(&mut self, sink: &mut dyn Sink) {
        let State::Tag(tag) = std::mem::replace(&mut self.state, State::Start) else { return };
        let tag = tag.into_tag();
        if let Some(raw) = tag.time {
            self.stamp = Some(self.unwrapper.unwrap(raw));
        }
        if !tag.frames.is_empty() {
            sink.metadata(None, self.stamp, Metadata::Id3(tag.frames));
        }
    }

    /// There are no more tags: `pending` are the first bytes of frames.
    fn begin_frames(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if self.reader.is_none() {
            self.state = State::Probe;
            return self.probe(false, sink);
        }
        self.state = State::Frames;
        let mut stamp = self.stamp.take();
        self.untimed = stamp.is_none() && self.manifest.is_some();
        // Later ones go on: manifests round the lengths of segments.
        if std::mem::take(&mut self.fresh) && stamp.is_none() {
            stamp = self.manifest.map(|start| Timescale::MPEG.ticks(start));
        }
        match &mut self.reader {
            Some(Reader::Adts(_, reader)) => reader.begin_pes(stamp),
            Some(Reader::Framed(reader)) => reader.begin_pes(stamp),
            _ => {}
        }
        let bytes = std::mem::take(&mut self.pending);
        self.feed(&bytes, sink)
    }

    fn feed(&mut self, data: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let offset = self.offset;
        self.offset += data.len() as u64;
        let mut sink = Announced { sink, complete: &mut self.complete };
        match &mut self.reader {
            Some(Reader::Adts(scanner, reader)) => {
                let base = offset.wrapping_sub(scanner.position());
                scanner.push(data, &mut |found| adts(found, reader, base, &mut self.frame, &mut sink));
                Ok(())
            }
            Some(Reader::Framed(reader)) => {
                reader.push(data, offset, &mut sink);
                Ok(())
            }
            #[cfg(feature = "progressive")]
            Some(Reader::Other(demuxer, _)) => demuxer.push(data, sink.sink),
            None => Ok(()),
        }
    }

    /// Finds out what the frames are of. `last`: no more bytes come.
    fn probe(&mut self, last: bool, sink: &mut dyn Sink) -> Result<()> {
        #[cfg(feature = "progressive")]
        {
            let format = match self.pending.first_chunk() {
                Some(b"fLaC") => Some(Format::Flac),
                Some(b"OggS") => Some(Format::Ogg),
                _ => None,
            };
            if let Some(demuxer) = format.and_then(super::open) {
                return self.begin(Reader::Other(demuxer, self.offset), 0, sink);
            }
        }
        let (at, found) = identify(&self.pending, last);
        self.garbage += at;
        if self.garbage > MAX_PROBE || (last && found.is_none()) {
            self.pending.clear();
            let error = PlayerError::new(Code::MediaMalformed, "No frame of audio is found.");
            return Err(error.at((self.offset + at as u64).saturating_sub(self.garbage as u64)));
        }
        self.offset += at as u64;
        self.pending.drain(..at);
        #[cfg_attr(not(feature = "progressive"), expect(unused_variables, reason = "of the header frame"))]
        let Some((frames, size)) = found else { return Ok(()) };
        if self.garbage > 0 {
            sink.warning(self.offset - self.garbage as u64, "no audio frame at the start");
        }
        self.garbage = 0;
        #[cfg_attr(
            not(feature = "progressive"),
            expect(unused_mut, reason = "only files have a header frame")
        )]
        let mut skipped = 0;
        let reader = if frames == Frames::Adts {
            let mut reader = Box::new(AdtsReader::new(TRACK, None));
            reader.set_next(self.start);
            Reader::Adts(Scanner::new(frames, true), reader)
        } else {
            let mut reader = Box::new(FrameReader::new(frames, TRACK, None));
            reader.set_next(self.start);
            #[cfg(feature = "progressive")]
            {
                if frames == Frames::Mpeg
                    && self.layout.is_none()
                    && let Some(header) = self.pending.first_chunk().and_then(MpegAudioHeader::parse_any)
                    && let Some(frame) = self.pending.get(..size)
                {
                    let layout = Mp3Layout::from_frame(header, frame, self.offset);
                    skipped = (layout.first - layout.start) as usize;
                    self.layout = Some(layout);
                }
                if let Some(layout) = &self.layout {
                    layout.trim(&mut reader);
                }
            }
            Reader::Framed(reader)
        };
        self.begin(reader, skipped, sink)
    }

    fn begin(&mut self, reader: Reader, skipped: usize, sink: &mut dyn Sink) -> Result<()> {
        self.reader = Some(reader);
        self.offset += skipped as u64;
        self.pending.drain(..skipped);
        self.begin_frames(sink)
    }
}

/// Hands the bytes of frames on. `base` is the offset of the scanner's position 0, `frame` that of the last frame.
fn adts(found: Found<'_>, reader: &mut AdtsReader, base: u64, frame: &mut u64, sink: &mut dyn Sink) {
    match found {
        Found::Start(position, _) => *frame = base.wrapping_add(position),
        Found::Bytes(bytes) => reader.push(bytes, *frame, sink),
        Found::Lost(position, bytes) => {
            if !is_trailing_tag(bytes) {
                sink.warning(base.wrapping_add(position), "AAC frame header expected");
            }
            reader.damage(sink);
        }
        Found::End => {}
    }
}

/// Tells that the only track is all there is, as soon as it is told.
struct Announced<'a> {
    sink: &'a mut dyn Sink,
    complete: &'a mut bool,
}

impl Sink for Announced<'_> {
    fn track(&mut self, info: TrackInfo) {
        self.sink.track(info);
        if !std::mem::replace(self.complete, true) {
            self.sink.tracks_complete();
        }
    }

    fn tracks_complete(&mut self) {}

    fn buffer(&mut self, track: TrackId) -> &mut Vec<u8> {
        self.sink.buffer(track)
    }

    fn sample(&mut self, track: TrackId, sample: Sample) {
        self.sink.sample(track, sample);
    }

    fn warning(&mut self, offset: u64, what: &'static str) {
        self.sink.warning(offset, what);
    }
}

/// The first place where a frame is followed by another one of its stream, with its size, or where that cannot be told yet (`None`). `last`: no more
/// bytes come, so that a frame that ends with them needs no other.
fn identify(data: &[u8], last: bool) -> (usize, Option<(Frames, usize)>) {
    for at in 0..data.len() {
        let rest = &data[at..];
        for frames in [
            Frames::Adts,
            Frames::Mpeg,
            #[cfg(feature = "ts-extra")]
            Frames::Ac3,
        ] {
            if rest.len() < frames.header_size() {
                if !last {
                    return (at, None);
                }
                continue;
            }
            let head = match frames.measure(rest) {
                Some(Some(head)) => head,
                Some(None) if !last => return (at, None),
                _ => continue,
            };
            let known = Some((frames, head.size));
            match rest.get(head.size..head.size + frames.header_size()) {
                Some(next) if frames.parse(next).is_some_and(|next| next.goes_with(&head)) => {
                    return (at, known);
                }
                Some(_) => {}
                None if !last => return (at, None),
                None if head.size == rest.len() => return (at, known),
                None => {}
            }
        }
    }
    (data.len(), None)
}

impl Demuxer for PackedDemuxer {
    #[cfg(feature = "progressive")]
    fn duration(&self, length: Option<u64>) -> Option<Seconds> {
        if let Some(Reader::Other(demuxer, _)) = &self.reader {
            return demuxer.duration(None);
        }
        self.layout.as_ref()?.duration(length)
    }

    #[cfg(feature = "progressive")]
    fn seek(&mut self, time: Seconds, length: u64) -> Option<u64> {
        if let Some(Reader::Other(demuxer, begins)) = &mut self.reader {
            let at = demuxer.seek(time, length.checked_sub(*begins)?)?.checked_add(*begins)?;
            self.reset();
            return Some(at);
        }
        let (at, media) = self.layout.as_ref()?.seek(time, Some(length));
        self.resume_at(media);
        Some(at)
    }

    fn begin_segment(&mut self, start: Seconds) {
        self.manifest = Some(start);
    }

    fn is_untimed(&self) -> bool {
        self.untimed
    }

    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        self.advance(chunk, sink)
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        match &self.state {
            State::Start | State::Probe if !self.pending.is_empty() => {
                self.state = State::Probe;
                if self.reader.is_some() {
                    self.begin_frames(sink)?;
                } else {
                    self.probe(true, sink)?;
                }
            }
            State::Tag(_) => sink.warning(self.offset, "the input ends within an ID3 tag"),
            _ => {}
        }
        let offset = self.offset;
        let sink = &mut Announced { sink, complete: &mut self.complete };
        let cut = match &mut self.reader {
            Some(Reader::Adts(scanner, reader)) => {
                let base = offset.wrapping_sub(scanner.position());
                let cut = scanner.finish(&mut |found| adts(found, reader, base, &mut self.frame, sink));
                // What a segment has cut does not go on in the next one, which begins with a tag.
                if cut {
                    scanner.reset(true);
                    reader.damage(sink);
                }
                reader.finish(sink);
                cut
            }
            Some(Reader::Framed(reader)) => {
                let cut = reader.finish(offset, sink);
                reader.drop_cut();
                cut
            }
            #[cfg(feature = "progressive")]
            Some(Reader::Other(demuxer, _)) => return demuxer.finish(sink.sink),
            None => false,
        };
        if cut {
            sink.warning(offset, "the last frame is cut off");
        }
        self.state = State::Start;
        self.pending.clear();
        if !self.complete {
            let refused = match &self.reader {
                Some(Reader::Adts(_, reader)) => reader.refused(),
                _ => None,
            };
            return Err(match refused {
                Some(what) => PlayerError::new(Code::CodecUnsupported, what),
                None => PlayerError::new(Code::MediaMalformed, "No frame of audio is found."),
            }
            .at(self.offset));
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.state = State::Start;
        self.pending.clear();
        self.offset = 0;
        self.stamp = None;
        self.start = 0;
        self.fresh = true;
        self.garbage = 0;
        match &mut self.reader {
            Some(Reader::Adts(scanner, reader)) => {
                scanner.reset(true);
                reader.reset();
                reader.set_next(0);
            }
            Some(Reader::Framed(reader)) => {
                reader.reset();
                reader.set_next(0);
            }
            #[cfg(feature = "progressive")]
            Some(Reader::Other(demuxer, _)) => demuxer.reset(),
            None => {}
        }
    }
}
