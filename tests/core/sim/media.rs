//! Synthetic media: every sample carries its name, so that a test can tell which samples were played.

use millrace::bytes::ByteWriter;
use millrace::container::{Sample, Sink, TrackId, TrackInfo, TrackKind};
use millrace::remux::Muxer;
use millrace::time::Timescale;

/// Which sample: written into its payload, read back by the model of the SourceBuffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// `v` or `a`.
    pub kind: char,
    /// Period or discontinuity, from 0.
    pub part: u32,
    /// In order of presentation within the part, from 0.
    pub number: u32,
    /// Rung of the ladder, or audio rendition.
    pub rung: u32,
}

const MAGIC: &[u8] = b"<smpl ";

impl Mark {
    /// As text without zero bytes, so that no byte stream format has to escape it.
    pub fn text(self) -> String {
        format!("<smpl {} {:02} {:06} {:02}>", self.kind, self.part, self.number, self.rung)
    }

    /// Finds the name near the start of a sample.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let head = &payload[..payload.len().min(256)];
        let at = head.windows(MAGIC.len()).position(|w| w == MAGIC)? + MAGIC.len();
        let end = at + head[at..].iter().position(|b| *b == b'>')?;
        let text = std::str::from_utf8(&head[at..end]).ok()?;
        let mut words = text.split(' ');
        Some(Self {
            kind: words.next()?.chars().next()?,
            part: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
            rung: words.next()?.parse().ok()?,
        })
    }
}

/// A codec of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264, with this profile byte.
    Avc(u8),
    /// VP9 in MP4.
    Vp9,
    /// AAC-LC.
    Aac,
    /// Opus.
    Opus,
}

impl Codec {
    /// RFC 6381.
    pub fn name(self) -> String {
        match self {
            Self::Avc(profile) => format!("avc1.{profile:02x}001f"),
            Self::Vp9 => "vp09.00.10.08".into(),
            Self::Aac => "mp4a.40.2".into(),
            Self::Opus => "opus".into(),
        }
    }
}

/// One elementary stream of one part.
#[derive(Clone, Copy, Debug)]
pub struct Track {
    pub codec: Codec,
    pub part: u32,
    pub rung: u32,
    /// Bit/s.
    pub bandwidth: u64,
    /// Frames per second of video.
    pub fps: u32,
    /// Frames of video per group of pictures.
    pub gop: u32,
    pub b_frames: bool,
    /// Media time of the start of the part, in seconds.
    pub base: f64,
}

pub const AUDIO_RATE: u32 = 48_000;
pub const AUDIO_FRAME: u32 = 1024;

/// A frame in decoding order.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub mark: Mark,
    pub dts: i64,
    pub pts: i64,
    pub duration: u32,
    pub sync: bool,
    pub size: u32,
}

impl Track {
    pub fn is_video(&self) -> bool {
        matches!(self.codec, Codec::Avc(_) | Codec::Vp9)
    }

    /// Ticks per second. One that 90 kHz divides, for video.
    pub fn timescale(&self) -> u32 {
        if self.is_video() { 90_000 } else { AUDIO_RATE }
    }

    /// Ticks per frame.
    pub fn frame_ticks(&self) -> u32 {
        if self.is_video() { 90_000 / self.fps } else { AUDIO_FRAME }
    }

    /// Frames up to `seconds` into the part.
    pub fn frames_until(&self, seconds: f64) -> u32 {
        (seconds * f64::from(self.timescale()) / f64::from(self.frame_ticks()) - 1e-6).ceil() as u32
    }

    fn size_of(&self, number: u32) -> u32 {
        let per_frame =
            self.bandwidth as f64 / 8.0 * f64::from(self.frame_ticks()) / f64::from(self.timescale());
        if !self.is_video() {
            return (per_frame as u32).max(40);
        }
        // A keyframe weighs as much as five others.
        let share = f64::from(self.gop) / (f64::from(self.gop) + 4.0);
        let weight = if number.is_multiple_of(self.gop) { 5.0 } else { 1.0 };
        ((per_frame * share * weight) as u32).max(48)
    }

    /// Frames `from..to` of the part, in decoding order. Where B-frames are used, both are multiples of the group.
    pub fn frames(&self, from: u32, to: u32) -> Vec<Frame> {
        let tick = i64::from(self.frame_ticks());
        let base = (self.base * f64::from(self.timescale())).round() as i64;
        let mut order: Vec<u32> = (from..to).collect();
        if self.b_frames && self.is_video() {
            // I P B P B …: each B-frame is decoded after the picture that it precedes.
            for pair in order.chunks_mut(self.gop as usize).flat_map(|g| g[1..].chunks_mut(2)) {
                pair.reverse();
            }
        }
        let delay = if self.b_frames { tick } else { 0 };
        order
            .iter()
            .zip(from..)
            .map(|(&number, place)| Frame {
                mark: Mark {
                    kind: if self.is_video() { 'v' } else { 'a' },
                    part: self.part,
                    number,
                    rung: self.rung,
                },
                dts: base + i64::from(place) * tick - delay,
                pts: base + i64::from(number) * tick,
                duration: self.frame_ticks(),
                sync: !self.is_video() || number.is_multiple_of(self.gop),
                size: self.size_of(number),
            })
            .collect()
    }

    fn info(&self, id: u32) -> TrackInfo {
        let video = self.is_video();
        let kind = if video { TrackKind::Video } else { TrackKind::Audio };
        TrackInfo {
            codec: self.codec.name(),
            sample_entry: sample_entry(self.codec),
            width: if video { 640 } else { 0 },
            height: if video { 360 } else { 0 },
            sample_rate: if video { 0 } else { AUDIO_RATE },
            channels: if video { 0 } else { 2 },
            ..TrackInfo::new(TrackId(id), kind, Timescale::new(self.timescale()).unwrap())
        }
    }

    /// `ftyp` and `moov`.
    pub fn init_segment(&self) -> Vec<u8> {
        let mut muxer = Muxer::new();
        muxer.track(self.info(1));
        muxer.tracks_complete();
        muxer.init_segment(TrackId(1)).unwrap()
    }

    /// `moof` and `mdat` with the frames that `keep` lets pass, each behind its `front`; empty if there are none.
    pub fn segment(
        &self,
        from: u32,
        to: u32,
        keep: impl Fn(&Frame) -> bool,
        front: impl Fn(&Frame) -> Vec<u8>,
    ) -> Vec<u8> {
        let mut muxer = Muxer::new();
        muxer.track(self.info(1));
        muxer.tracks_complete();
        for frame in self.frames(from, to).into_iter().filter(|f| keep(f)) {
            let front = front(&frame);
            muxer.buffer(TrackId(1)).extend_from_slice(&front);
            muxer.buffer(TrackId(1)).extend_from_slice(&frame.payload());
            muxer.sample(
                TrackId(1),
                Sample {
                    dts: frame.dts,
                    pts: frame.pts,
                    duration: Some(frame.duration),
                    sync: frame.sync,
                    size: frame.size + front.len() as u32,
                },
            );
        }
        let mut bytes = Vec::new();
        while let Some(fragment) = muxer.take_fragment(TrackId(1), true) {
            bytes.extend_from_slice(fragment.bytes());
        }
        bytes
    }
}

/// What goes along with the media.
#[derive(Clone, Debug)]
pub enum Aside {
    Id3(&'static str),
    Klv(Vec<u8>),
    /// With a byte that tells it from others.
    Scte35(u8),
    /// Triplets of the picture at that time.
    Captions(Vec<u8>),
    Emsg {
        version: u8,
        id: u32,
        duration: Option<f64>,
        data: &'static str,
    },
}

impl Aside {
    /// As it stands in a transport stream.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Id3(text) => {
                let size = text.len() as u8;
                let mut tag = vec![b'I', b'D', b'3', 4, 0, 0, 0, 0, 0, size + 11];
                tag.extend([b'T', b'I', b'T', b'2', 0, 0, 0, size + 1, 0, 0, 3]);
                tag.extend(text.as_bytes());
                tag
            }
            Self::Klv(value) => [&[6, 0x0e, 0x2b, 0x34], &value[..]].concat(),
            Self::Scte35(mark) => {
                vec![0xfc, 0x30, 0x15, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 0, 0, *mark]
            }
            Self::Captions(triplets) => sei(triplets),
            Self::Emsg { .. } => unreachable!("not in transport streams"),
        }
    }
}

/// An SEI NAL unit with triplets of captions.
fn sei(triplets: &[u8]) -> Vec<u8> {
    let mut nal = vec![6, 4, triplets.len() as u8 + 11];
    nal.extend(b"\xb5\x00\x31GA94\x03");
    nal.extend([0x40 | (triplets.len() / 3) as u8, 0xff]);
    nal.extend(triplets);
    nal.extend([0xff, 0x80]);
    nal
}

impl Frame {
    /// Its name, then filling.
    pub fn payload(&self) -> Vec<u8> {
        let mut bytes = self.mark.text().into_bytes();
        bytes.resize(self.size as usize, 0xa5);
        bytes
    }
}

/// A sequence parameter set that the pictures of a transport stream need; 640x368, pictures in any order.
pub const SPS: [u8; 9] = [0x67, 0x42, 0x00, 0x1f, 0xe5, 0x40, 0x50, 0x17, 0xc8];
pub const PPS: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];

fn sample_entry(codec: Codec) -> Vec<u8> {
    let mut w = ByteWriter::new();
    let visual = |w: &mut ByteWriter| {
        w.zeros(6);
        w.u16(1);
        w.zeros(16);
        w.u16(640);
        w.u16(360);
        w.u32(0x48_0000);
        w.u32(0x48_0000);
        w.zeros(4);
        w.u16(1);
        w.zeros(32);
        w.u16(24);
        w.u16(0xffff);
    };
    let sound = |w: &mut ByteWriter| {
        w.zeros(6);
        w.u16(1);
        w.zeros(8);
        w.u16(2);
        w.u16(16);
        w.zeros(4);
        w.u32(AUDIO_RATE << 16);
    };
    match codec {
        Codec::Avc(profile) => w.boxed(b"avc1", |w| {
            visual(w);
            w.boxed(b"avcC", |w| {
                w.bytes(&[1, profile, 0, 31, 0xff, 0xe1, 0, SPS.len() as u8]);
                w.bytes(&SPS);
                w.bytes(&[1, 0, PPS.len() as u8]);
                w.bytes(&PPS);
            });
        }),
        Codec::Vp9 => w.boxed(b"vp09", |w| {
            visual(w);
            w.full_boxed(b"vpcC", 1, 0, |w| w.bytes(&[0, 10, 0x82, 1, 1, 1, 0, 0]));
        }),
        Codec::Aac => w.boxed(b"mp4a", |w| {
            sound(w);
            w.full_boxed(b"esds", 0, 0, |w| {
                w.bytes(&[3, 25, 0, 0, 0, 4, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                w.bytes(&[5, 2, 0x11, 0x90, 6, 1, 2]);
            });
        }),
        Codec::Opus => w.boxed(b"Opus", |w| {
            sound(w);
            w.boxed(b"dOps", |w| w.bytes(&[0, 2, 0, 0, 0, 0, 0xbb, 0x80, 0, 0, 0]));
        }),
    }
    w.into_vec()
}
