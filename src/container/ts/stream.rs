//! One elementary stream of the program: continuity, PES packets, and which reader takes their payload.

#[cfg(feature = "ts-extra")]
use super::av1::Av1Reader;
use super::data::DataReader;
use super::nal::NalReader;
#[cfg(feature = "ts-extra")]
use super::opus::OpusReader;
use super::pes::{self, Parsed};
use super::psi::PmtStream;
use super::sets::Codec;
use crate::container::adts::AdtsReader;
#[cfg(feature = "ts-extra")]
use crate::container::framed::FrameReader;
#[cfg(feature = "ts-extra")]
use crate::container::frames::Frames;
use crate::container::{Sink, TrackId};
use crate::time::{PtsUnwrapper, Ticks};

/// Progress in the PES packet of a stream.
#[derive(Debug)]
pub(super) enum Pes {
    /// Waits for the next packet start.
    Skip,
    /// The header is not complete.
    Header(Vec<u8>),
    /// Payload; with the bytes left where the header tells.
    Body(Option<usize>),
}

/// What the payload is.
#[derive(Debug)]
pub(super) enum Reader {
    Nal(Box<NalReader>),
    Adts(Box<AdtsReader>),
    #[cfg(feature = "ts-extra")]
    Framed(Box<FrameReader>),
    #[cfg(feature = "ts-extra")]
    Opus(Box<OpusReader>),
    #[cfg(feature = "ts-extra")]
    Av1(Box<Av1Reader>),
    Data(DataReader),
}

/// Time stamps of the streams of a program differ by less at one place, in ticks.
const TOGETHER: Ticks = 5 * 90_000;

/// Time stamps of all streams of a program.
#[derive(Debug, Default)]
pub(super) struct Clock {
    unwrapper: PtsUnwrapper,
    /// First and latest since the PMT.
    pub span: Option<(Ticks, Ticks)>,
    /// The latest on the present time line.
    pub now: Option<Ticks>,
}

impl Clock {
    fn unwrap(&mut self, pts: Option<u64>, dts: Option<u64>) -> (Option<Ticks>, Option<Ticks>) {
        let dts = dts.map(|t| self.unwrapper.unwrap(t));
        let pts = pts.map(|t| self.unwrapper.unwrap(t));
        if let Some(t) = dts.or(pts) {
            let (first, last) = self.span.get_or_insert((t, t));
            (*first, *last) = ((*first).min(t), (*last).max(t));
            self.now = Some(match self.now {
                // Streams lie apart a little; further back is another time line.
                Some(now) if (0..TOGETHER).contains(&(now - t)) => now,
                _ => t,
            });
        }
        (pts, dts)
    }
}

/// One elementary stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub pid: u16,
    pub stream_type: u8,
    pub track: TrackId,
    kind: Kind,
    pub continuity: Option<u8>,
    pub pes: Pes,
    pub reader: Reader,
}

/// What becomes of a stream of the PMT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// H.264 or HEVC.
    Video(Codec),
    Adts,
    #[cfg(feature = "ts-extra")]
    Framed(Frames),
    #[cfg(feature = "ts-extra")]
    Av1,
    /// Opus with so many channels.
    #[cfg(feature = "ts-extra")]
    Opus(u8),
    /// ID3, or KLV (`true`).
    Data(bool),
    Scte35,
    /// Not read; with a name for the warning, empty for what is passed over silently.
    Other(&'static str),
}

impl Kind {
    /// By `stream_type`, and for private data by the descriptors (ISO/IEC 13818-1 table 2-34, ATSC A/53 and A/52, ETSI EN 300 468 annex D,
    /// SCTE 35).
    pub fn of(entry: &PmtStream) -> Self {
        #[cfg(feature = "ts-extra")]
        if let Some(kind) = Self::extra(entry) {
            return kind;
        }
        match (entry.stream_type, entry.registration.as_ref()) {
            (0x1b, _) => Self::Video(Codec::Avc),
            (0x0f, _) => Self::Adts,
            (0x15, _) => Self::Data(false),
            (0x86, _) => Self::Scte35,
            (0x06, Some(b"KLVA")) => Self::Data(true),
            #[cfg(feature = "ts-extra")]
            (0x03 | 0x04, _) => Self::Framed(Frames::Mpeg),
            #[cfg(not(feature = "ts-extra"))]
            (0x03 | 0x04 | 0x11 | 0x24 | 0x81 | 0x84 | 0x87, _)
            | (0x06, Some(b"Opus" | b"AC-3" | b"EAC3" | b"HEVC" | b"AV01" | b"AV1G")) => {
                Self::Other(super::ABSENT)
            }
            (0x01 | 0x02, _) => Self::Other("MPEG-1/2 video is not supported"),
            (0x10, _) => Self::Other("MPEG-4 part 2 video is not supported"),
            // HLS sample encryption.
            (0xdb | 0xcf | 0xc1 | 0xc2, _) => Self::Other("encrypted elementary streams are not supported"),
            (0x05 | 0x06 | 0x0b..=0x0d, _) => Self::Other(""),
            _ => Self::Other("a stream of unknown type is passed over"),
        }
    }

    /// What the players of HLS do without.
    #[cfg(feature = "ts-extra")]
    fn extra(entry: &PmtStream) -> Option<Self> {
        let has = |tag: u8| entry.tags.contains(&tag);
        Some(match (entry.stream_type, entry.registration.as_ref()) {
            (0x81 | 0x87 | 0x84, _) | (0x06, Some(b"AC-3" | b"EAC3")) => Self::Framed(Frames::Ac3),
            (0x24, _) | (0x06, Some(b"HEVC")) => Self::Video(Codec::Hevc),
            (0x11, _) => Self::Framed(Frames::Latm),
            // GStreamer before the identifier was registered.
            (0x06, Some(b"AV01" | b"AV1G")) => Self::Av1,
            (0x06, Some(b"Opus")) => match entry.opus_channels.unwrap_or(2) {
                channels @ 1..=8 => Self::Opus(channels),
                // Dual mono.
                0 => Self::Opus(2),
                _ => Self::Other("Opus with a channel layout of its own is not supported"),
            },
            (0x06, _) if has(0x6a) || has(0x7a) => Self::Framed(Frames::Ac3),
            _ => return None,
        })
    }

    pub fn is_video(self) -> bool {
        #[cfg(feature = "ts-extra")]
        if self == Self::Av1 {
            return true;
        }
        matches!(self, Self::Video(_))
    }

    pub fn is_audio(self) -> bool {
        #[cfg(feature = "ts-extra")]
        if matches!(self, Self::Opus(_) | Self::Framed(_)) {
            return true;
        }
        matches!(self, Self::Adts)
    }
}

impl Stream {
    /// The stream of a PMT entry; `Err` with a name for what is not supported, empty for what is passed over silently.
    pub fn new(entry: &PmtStream, track: TrackId) -> Result<Self, &'static str> {
        let language = entry
            .language
            .filter(|l| l.iter().all(u8::is_ascii_lowercase) && l != b"und")
            .map(|l| l.iter().map(|&b| char::from(b)).collect());
        let kind = Kind::of(entry);
        let reader = match kind {
            Kind::Video(codec) => Reader::Nal(Box::new(NalReader::new(codec, track, language))),
            Kind::Adts => Reader::Adts(Box::new(AdtsReader::new(track, language))),
            #[cfg(feature = "ts-extra")]
            Kind::Framed(frames) => Reader::Framed(Box::new(FrameReader::new(frames, track, language))),
            #[cfg(feature = "ts-extra")]
            Kind::Opus(channels) => Reader::Opus(Box::new(OpusReader::new(track, language, channels))),
            #[cfg(feature = "ts-extra")]
            Kind::Av1 => Reader::Av1(Box::new(Av1Reader::new(track, language))),
            Kind::Data(klv) => Reader::Data(DataReader::new(klv)),
            Kind::Scte35 => Reader::Data(DataReader::sections()),
            Kind::Other(what) => return Err(what),
        };
        let (pid, stream_type) = (entry.pid, entry.stream_type);
        Ok(Self { pid, stream_type, track, kind, continuity: None, pes: Pes::Skip, reader })
    }

    /// Whether an entry is of the same kind: pictures, or sound.
    pub fn is_like(&self, entry: &PmtStream) -> bool {
        let kind = Kind::of(entry);
        self.kind.is_video() && kind.is_video() || self.kind.is_audio() && kind.is_audio()
    }

    /// Whether a track comes of it.
    pub fn is_media(&self) -> bool {
        !matches!(self.reader, Reader::Data(_))
    }

    pub fn announced(&self) -> bool {
        match &self.reader {
            Reader::Nal(r) => r.announced(),
            Reader::Adts(r) => r.announced(),
            #[cfg(feature = "ts-extra")]
            Reader::Framed(r) => r.announced(),
            #[cfg(feature = "ts-extra")]
            Reader::Opus(r) => r.announced(),
            #[cfg(feature = "ts-extra")]
            Reader::Av1(r) => r.announced(),
            Reader::Data(_) => false,
        }
    }

    fn damage(&mut self, sink: &mut dyn Sink) {
        self.pes = Pes::Skip;
        match &mut self.reader {
            Reader::Nal(r) => r.damage(sink),
            Reader::Adts(r) => r.damage(sink),
            #[cfg(feature = "ts-extra")]
            Reader::Framed(r) => r.damage(),
            #[cfg(feature = "ts-extra")]
            Reader::Opus(r) => r.damage(),
            #[cfg(feature = "ts-extra")]
            Reader::Av1(r) => r.damage(),
            Reader::Data(r) => r.damage(),
        }
    }

    /// For a seek.
    pub fn reset(&mut self) {
        self.continuity = None;
        self.pes = Pes::Skip;
        match &mut self.reader {
            Reader::Nal(r) => r.reset(),
            Reader::Adts(r) => r.reset(),
            #[cfg(feature = "ts-extra")]
            Reader::Framed(r) => r.reset(),
            #[cfg(feature = "ts-extra")]
            Reader::Opus(r) => r.reset(),
            #[cfg(feature = "ts-extra")]
            Reader::Av1(r) => r.reset(),
            Reader::Data(r) => r.damage(),
        }
    }

    /// Whether the packet is the one that was due; `false` for one sent twice (§2.4.3.3). After a loss the PES packet in
    /// progress is given up.
    #[inline]
    pub fn check_continuity(&mut self, counter: u8, offset: u64, sink: &mut dyn Sink) -> bool {
        match self.continuity.replace(counter) {
            Some(last) if counter == last => return false,
            Some(last) if counter != (last + 1) & 15 => {
                sink.warning(offset, "packets are missing: the damaged access unit is dropped");
                self.damage(sink);
            }
            _ => {}
        }
        true
    }

    #[inline]
    pub fn payload(
        &mut self,
        unit_start: bool,
        payload: &[u8],
        offset: u64,
        clock: &mut Clock,
        sink: &mut dyn Sink,
    ) {
        if let Reader::Data(r) = &mut self.reader
            && r.take_section(unit_start, payload, clock.now, offset, sink)
        {
            return;
        }
        if unit_start {
            if matches!(self.pes, Pes::Body(Some(1..))) {
                sink.warning(offset, "PES packet shorter than it says");
                self.damage(sink);
            }
            self.pes = Pes::Header(Vec::new());
        }
        let mut payload = payload;
        let joined;
        if let Pes::Header(start) = &mut self.pes {
            let whole = if start.is_empty() {
                payload
            } else {
                start.extend_from_slice(payload);
                joined = std::mem::take(start);
                &joined
            };
            let header = match pes::parse(whole) {
                Parsed::Short if whole.len() < pes::MAX_HEADER => {
                    *start = whole.to_vec();
                    return;
                }
                Parsed::Short | Parsed::Malformed => {
                    sink.warning(offset, "malformed PES header");
                    self.damage(sink);
                    return;
                }
                Parsed::Header(header) => header,
            };
            let (pts, dts) = clock.unwrap(header.pts, header.dts);
            match &mut self.reader {
                Reader::Nal(r) => r.begin_pes(pts, dts, offset, sink),
                Reader::Adts(r) => r.begin_pes(pts),
                #[cfg(feature = "ts-extra")]
                Reader::Framed(r) => r.begin_pes(pts),
                #[cfg(feature = "ts-extra")]
                Reader::Opus(r) => r.begin_pes(pts, offset, sink),
                #[cfg(feature = "ts-extra")]
                Reader::Av1(r) => r.begin_pes(pts, offset, sink),
                Reader::Data(r) => r.begin_pes(pts.or(clock.now), sink),
            }
            payload = &whole[header.size..];
            self.pes = Pes::Body(header.payload);
        }
        self.body(payload, offset, sink);
    }

    #[inline]
    fn body(&mut self, payload: &[u8], offset: u64, sink: &mut dyn Sink) {
        let payload = match &mut self.pes {
            Pes::Body(None) => payload,
            Pes::Body(Some(left)) => {
                let n = payload.len().min(*left);
                *left -= n;
                match self.reader {
                    // Some multiplexers tell the lengths of large pictures modulo 65536.
                    Reader::Nal(_) => payload,
                    _ => &payload[..n],
                }
            }
            Pes::Skip | Pes::Header(_) => return,
        };
        if payload.is_empty() {
            return;
        }
        match &mut self.reader {
            Reader::Nal(r) => r.push(payload, offset, sink),
            Reader::Adts(r) => r.push(payload, offset, sink),
            #[cfg(feature = "ts-extra")]
            Reader::Framed(r) => r.push(payload, offset, sink),
            #[cfg(feature = "ts-extra")]
            Reader::Opus(r) => {
                r.push(payload);
                if matches!(self.pes, Pes::Body(Some(0))) {
                    r.end_pes(offset, sink);
                }
            }
            #[cfg(feature = "ts-extra")]
            Reader::Av1(r) => {
                r.push(payload);
                if matches!(self.pes, Pes::Body(Some(0))) {
                    r.end_pes(offset, sink);
                }
            }
            Reader::Data(r) => r.push(payload, matches!(self.pes, Pes::Body(Some(0))), sink),
        }
    }

    /// The segment has ended. Returns whether it cut a PES packet that told its length.
    #[cfg_attr(not(feature = "ts-extra"), expect(unused_variables, reason = "what it places is not read"))]
    pub fn finish(&mut self, offset: u64, sink: &mut dyn Sink) -> bool {
        self.continuity = None;
        let cut = matches!(self.pes, Pes::Body(Some(1..)) | Pes::Header(_));
        match &mut self.reader {
            Reader::Nal(r) => {
                if cut {
                    r.damage(sink);
                } else {
                    r.finish(sink);
                }
                self.pes = Pes::Skip;
            }
            // A frame may go on in the next segment.
            Reader::Adts(r) => r.finish(sink),
            #[cfg(feature = "ts-extra")]
            Reader::Framed(r) => {
                r.finish(offset, sink);
            }
            #[cfg(feature = "ts-extra")]
            Reader::Opus(r) if cut => r.damage(),
            #[cfg(feature = "ts-extra")]
            Reader::Opus(r) => r.end_pes(offset, sink),
            #[cfg(feature = "ts-extra")]
            Reader::Av1(r) if cut => r.damage(),
            #[cfg(feature = "ts-extra")]
            Reader::Av1(r) => r.end_pes(offset, sink),
            Reader::Data(r) => r.finish(cut, sink),
        }
        cut
    }
}
