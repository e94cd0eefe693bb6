//! Reads elementary streams of audio frames, all but ADTS, from PES packets and as packed audio.

use std::collections::VecDeque;

use super::frames::{Found, Frames, Scanner, is_trailing_tag};
use super::{Sample, Sink, TrackId, TrackInfo, TrackKind};
#[cfg(feature = "ts-extra")]
use crate::bytes::ByteWriter;
#[cfg(feature = "ts-extra")]
use crate::codec::aac;
#[cfg(feature = "ts-extra")]
use crate::codec::ac3::{self, Ac3Config, Ac3Header};
#[cfg(feature = "ts-extra")]
use crate::codec::latm::{self, LatmConfig, LatmReader};
use crate::codec::mpeg_audio::MpegAudioHeader;
use crate::time::{Ticks, Timescale};

/// Time stamps kept for frames that have not begun yet.
const MAX_STAMPS: usize = 64;
/// Largest access unit of E-AC-3 with all its substreams; damaged streams must not fill the memory.
const MAX_UNIT: usize = 64 << 10;

/// First bytes of a unit that tell whether the stream has changed.
const KEPT_HEADER: usize = 7;

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
    /// Where what is presented ends, and where the frames end that are counted.
    end: Option<(Ticks, Ticks)>,
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
    /// What is left out of the presentation at its start (in samples), and where it and the frames end, for files that tell.
    pub fn set_edit(&mut self, start: Ticks, end: Option<(Ticks, Ticks)>) {
        self.out.edit_start = start;
        self.out.end = end;
    }

    /// Time of the next frame, in samples.
    pub fn set_next(&mut self, time: Ticks) {
        self.out.next = Some(time);
    }

    /// Whether the sink knows the track.
    #[cfg(feature = "ts-extra")]
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
    #[cfg(any(feature = "ts-extra", feature = "progressive"))]
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
                let Some(header) = unit.first_chunk().and_then(MpegAudioHeader::parse_any) else { return };
                let known = self.header.and_then(|h| MpegAudioHeader::parse_any(h.first_chunk()?));
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
        if self.rate > 0 {
            let scaled = |t: Ticks| t.saturating_mul(rate.into()) / Ticks::from(self.rate);
            self.next = self.next.map(scaled);
            self.end = self.end.map(|(end, counted)| (scaled(end), scaled(counted)));
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
        let mut next = pts.saturating_add(samples.into());
        let mut duration = samples;
        if let Some((end, counted)) = self.end.filter(|(_, counted)| pts < *counted) {
            duration = end.saturating_sub(pts).clamp(0, samples.into()) as u32;
            if next >= counted {
                // A frame that still comes is of a file that was joined on: it follows without a gap.
                self.end = None;
                next = next.min(end);
            }
        }
        self.next = Some(next);
        if duration == 0 {
            return;
        }
        sink.buffer(self.track).extend_from_slice(frame);
        let size = frame.len() as u32;
        sink.sample(self.track, Sample { dts: pts, pts, duration: Some(duration), sync: true, size });
    }
}
