//! AAC in ADTS frames, at any place of PES packets or alone, to raw frames with counted time stamps.
//!
//! The timescale is the core's sampling rate, so that durations are exact. A frame's time is counted from the one before;
//! the time stamps of PES packets, rounded to 90 kHz and often jittered by packagers, are followed only where they
//! differ by half a frame or more.

use crate::bytes::ByteWriter;
use crate::codec::aac::{self, AdtsHeader, AudioSpecificConfig, FRAME_SAMPLES, SAMPLING_RATES};
use crate::container::{Sample, Sink, TrackId, TrackInfo, TrackKind};
use crate::time::{Ticks, Timescale};

/// Frames that are looked at for SBR before the track is announced. By chance one AAC-LC frame in about a hundred looks
/// as if it had it, two in a row one in ten thousand.
const PROBE_FRAMES: usize = 2;

/// Bytes within which a program_config_element ends, its comment left aside: the largest has 388 bits.
const LAYOUT: usize = 49;

/// A frame that was read before the track could be announced.
#[derive(Clone, Copy, Debug)]
struct Held {
    pts: Ticks,
    size: usize,
    duration: u32,
}

/// The frame whose payload is being taken.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// `None`: dropped.
    pts: Option<Ticks>,
    /// Payload bytes taken.
    size: usize,
    /// Payload bytes to come.
    left: usize,
    duration: u32,
}

/// Reads one ADTS elementary stream.
#[derive(Debug)]
pub struct AdtsReader {
    track: TrackId,
    language: Option<String>,
    /// Header of the last frame.
    stream: Option<AdtsHeader>,
    /// The frames go to the sink; else they are held.
    open: bool,
    last_info: Option<TrackInfo>,
    head: [u8; 9],
    head_len: usize,
    /// The last frame ended where it said.
    synced: bool,
    frame: Option<Frame>,
    /// Payload of the frames before the announcement, or of a frame that the end of a segment has cut.
    held: Vec<u8>,
    held_frames: Vec<Held>,
    /// Bytes of `held` that belong to a frame cut by the end of a segment.
    carried: bool,
    /// 90 kHz time stamp of the PES packet, for the first frame that begins in it.
    next_time: Option<Ticks>,
    /// Offset of the last frame.
    at: u64,
    /// The one for the frame in `head`.
    frame_time: Option<Ticks>,
    /// Time of the next frame, in samples.
    next: Option<Ticks>,
    /// Why frames are dropped.
    refused: Option<&'static str>,
    /// The start of the last frame that began with a program_config_element.
    layout: Vec<u8>,
}

impl AdtsReader {
    /// A reader that calls the sink with this track.
    pub fn new(track: TrackId, language: Option<String>) -> Self {
        Self {
            track,
            language,
            stream: None,
            open: false,
            last_info: None,
            head: [0; 9],
            head_len: 0,
            synced: false,
            frame: None,
            held: Vec::new(),
            held_frames: Vec::new(),
            carried: false,
            next_time: None,
            at: 0,
            frame_time: None,
            next: None,
            refused: None,
            layout: Vec::new(),
        }
    }

    /// Why there is no sound, where that is known.
    #[cfg(feature = "packed")]
    pub fn refused(&self) -> Option<&'static str> {
        self.refused
    }

    /// Whether the sink knows the track.
    pub fn announced(&self) -> bool {
        self.last_info.is_some()
    }

    /// A PES packet begins.
    pub fn begin_pes(&mut self, pts: Option<Ticks>) {
        if pts.is_some() {
            self.next_time = pts;
        }
        if !self.synced && self.frame.is_none() {
            // Nothing that was searched in vain before goes on here.
            self.head_len = 0;
        }
    }

    /// Time of the next frame, in samples.
    #[cfg(feature = "packed")]
    pub fn set_next(&mut self, time: Ticks) {
        self.next = Some(time);
    }

    /// Takes payload bytes.
    pub fn push(&mut self, mut data: &[u8], offset: u64, sink: &mut dyn Sink) {
        if self.carried {
            self.resume(data, offset, sink);
        }
        while !data.is_empty() {
            let Some(mut frame) = self.frame else {
                data = self.read_header(data, offset, sink);
                continue;
            };
            let n = frame.left.min(data.len());
            let (bytes, rest) = data.split_at(n);
            if frame.pts.is_some() {
                let out = if self.open { sink.buffer(self.track) } else { &mut self.held };
                out.extend_from_slice(bytes);
            }
            frame.left -= n;
            frame.size += n;
            data = rest;
            self.frame = Some(frame);
            if frame.left == 0 {
                self.end_frame(frame, sink);
            }
        }
    }

    /// Collects a header and begins its frame. Returns what is left of `data`.
    fn read_header<'d>(&mut self, data: &'d [u8], offset: u64, sink: &mut dyn Sink) -> &'d [u8] {
        for (i, &b) in data.iter().enumerate() {
            if self.head_len == 0 || !self.synced {
                // Also while searching: a header found from here on begins in this packet.
                if let Some(time) = self.next_time.take() {
                    self.frame_time = Some(time);
                }
            }
            self.head[self.head_len] = b;
            self.head_len += 1;
            let Some(head) = self.head[..self.head_len].first_chunk::<{ AdtsHeader::SIZE }>() else {
                continue;
            };
            let header = AdtsHeader::parse(head)
                // While searching, only a frame like those before counts.
                .filter(|h| self.synced || self.stream.is_none_or(|known| known.same_stream(h)));
            let Some(header) = header else {
                if self.synced {
                    sink.warning(offset, "AAC frame header expected");
                    self.synced = false;
                }
                self.head.copy_within(1..self.head_len, 0);
                self.head_len -= 1;
                continue;
            };
            // The CRC words of a frame with several blocks are part of its payload and thus of what is dropped below.
            if self.head_len < usize::from(header.header_size) {
                continue;
            }
            self.head_len = 0;
            self.begin_frame(header, offset, sink);
            return &data[i + 1..];
        }
        &[]
    }

    fn begin_frame(&mut self, header: AdtsHeader, offset: u64, sink: &mut dyn Sink) {
        self.synced = true;
        if self.stream.is_none_or(|known| !known.same_stream(&header)) {
            self.change_stream(header, sink);
        }
        let rate = Ticks::from(header.sampling_rate());
        let duration = FRAME_SAMPLES * u32::from(header.blocks);
        let stamped = self.frame_time.take().map(|t| (t * rate + 45_000).div_euclid(90_000));
        let pts = match (self.next, stamped) {
            (Some(next), Some(t)) if (next - t).abs() < Ticks::from(FRAME_SAMPLES / 2) => Some(next),
            (_, Some(t)) => Some(t),
            (next, None) => next,
        };
        self.next = pts.map(|pts| pts + Ticks::from(duration));
        self.at = offset;
        let usable = header.blocks == 1;
        if !usable {
            self.refuse("AAC: several data blocks in an ADTS frame are not supported", sink);
        }
        self.frame = Some(Frame {
            pts: pts.filter(|_| usable),
            size: 0,
            left: usize::from(header.frame_size) - usize::from(header.header_size),
            duration,
        });
    }

    fn change_stream(&mut self, header: AdtsHeader, sink: &mut dyn Sink) {
        if !self.held_frames.is_empty() {
            self.announce(sink);
        }
        if let (Some(known), Some(next)) = (self.stream, self.next) {
            self.next = Some(next * Ticks::from(header.sampling_rate()) / Ticks::from(known.sampling_rate()));
        }
        self.stream = Some(header);
        self.open = false;
        self.refused = None;
        self.layout = Vec::new();
    }

    /// Says why there is no sound, once.
    fn refuse(&mut self, what: &'static str, sink: &mut dyn Sink) {
        if self.refused.replace(what).is_none() {
            sink.warning(self.at, what);
        }
    }

    fn end_frame(&mut self, frame: Frame, sink: &mut dyn Sink) {
        self.frame = None;
        let Some(pts) = frame.pts else { return };
        if self.open {
            let size = frame.size as u32;
            sink.sample(
                self.track,
                Sample { dts: pts, pts, duration: Some(frame.duration), sync: true, size },
            );
            return;
        }
        self.held_frames.push(Held { pts, size: frame.size, duration: frame.duration });
        if self.held_frames.len() >= PROBE_FRAMES {
            self.announce(sink);
        }
    }

    /// Decides on the configuration and gives out what was held.
    fn announce(&mut self, sink: &mut dyn Sink) {
        let Some(header) = self.stream else { return };
        let mut rest = self.held.as_slice();
        let mut sbr = true;
        for held in &self.held_frames {
            let (frame, tail) = rest.split_at(held.size.min(rest.len()));
            sbr &= aac::carries_sbr(frame) || aac::ends_in_lfe(header.channel_config);
            rest = tail;
        }
        let mut config = AudioSpecificConfig::from_adts(&header, sbr);
        let mut bytes = config.to_bytes();
        if header.channel_config == 0 {
            // A program_config_element tells the channels. Encoders put it into the first frame alone.
            let start = self.held.get(..LAYOUT.min(self.held.len())).unwrap_or_default();
            if config.with_element_of(start).is_some() {
                self.layout = start.to_vec();
            }
            let Some(told) = config.with_element_of(&self.layout) else {
                self.held.clear();
                self.held_frames.clear();
                return self.refuse("AAC: the stream does not tell which channels it has", sink);
            };
            bytes = told;
        }
        let mut entry = ByteWriter::new();
        aac::write_mp4a_with(&mut entry, &config, &bytes);
        let info = TrackInfo {
            codec: config.codec_string(),
            sample_entry: entry.into_vec(),
            sample_rate: config.output_rate(),
            channels: config.channels(),
            language: self.language.clone(),
            ..TrackInfo::new(self.track, TrackKind::Audio, timescale(&header))
        };
        if self.last_info.as_ref() != Some(&info) {
            sink.track(info.clone());
            self.last_info = Some(info);
        }
        self.open = true;
        let mut at = 0;
        for held in std::mem::take(&mut self.held_frames) {
            sink.buffer(self.track).extend_from_slice(&self.held[at..at + held.size]);
            at += held.size;
            let size = held.size as u32;
            let sample =
                Sample { dts: held.pts, pts: held.pts, duration: Some(held.duration), sync: true, size };
            sink.sample(self.track, sample);
        }
        self.held = Vec::new();
    }

    /// Bytes were lost: gives up the frame in progress.
    pub fn damage(&mut self, sink: &mut dyn Sink) {
        if self.open
            && !self.carried
            && let Some(Frame { pts: Some(_), size, .. }) = self.frame
            && size > 0
        {
            let out = sink.buffer(self.track);
            out.truncate(out.len().saturating_sub(size));
        }
        self.forget_pending();
    }

    /// Gives up the frame in progress, but not those held before the announcement.
    fn forget_pending(&mut self) {
        if let Some(frame) = self.frame.take()
            && frame.pts.is_some()
            && (self.carried || !self.open)
        {
            self.held.truncate(self.held.len().saturating_sub(frame.size));
        }
        self.carried = false;
        self.head_len = 0;
        self.synced = false;
        self.next_time = None;
        self.frame_time = None;
    }

    /// Forgets pending data and time, for a seek. Whether there is SBR is asked again: what follows may be another
    /// programme.
    pub fn reset(&mut self) {
        self.forget_pending();
        self.held.clear();
        self.held_frames.clear();
        self.open = false;
        self.next = None;
    }

    /// The segment has ended. A frame that it cuts is kept aside: it may go on in the next one.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        if !self.held_frames.is_empty() {
            let cut = self.frame.filter(|f| f.pts.is_some()).map_or(0, |f| f.size);
            let tail = self.held.split_off(self.held.len() - cut);
            self.announce(sink);
            self.held = tail;
            self.carried = self.open && self.frame.is_some();
        } else if self.open
            && let Some(frame) = self.frame
        {
            if frame.pts.is_some() {
                let out = sink.buffer(self.track);
                self.held = out.split_off(out.len().saturating_sub(frame.size));
            }
            self.carried = true;
        }
    }

    /// The first bytes after the end of a segment that cut a frame: takes the frame up again, or gives it up where a new
    /// one begins instead.
    fn resume(&mut self, data: &[u8], offset: u64, sink: &mut dyn Sink) {
        let new_frame = data.first_chunk().and_then(AdtsHeader::parse);
        let starts_anew = matches!((new_frame, self.stream), (Some(h), Some(known)) if known.same_stream(&h));
        if starts_anew {
            sink.warning(offset, "AAC frame cut off at the end of a segment");
            let time = self.next_time;
            self.forget_pending();
            self.next_time = time;
        } else {
            sink.buffer(self.track).append(&mut self.held);
        }
        self.carried = false;
    }
}

fn timescale(header: &AdtsHeader) -> Timescale {
    // The table has no zero.
    let rate = SAMPLING_RATES.get(usize::from(header.rate_index)).copied();
    rate.and_then(Timescale::new).unwrap_or(Timescale::MPEG)
}
