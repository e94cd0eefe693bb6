//! One track, video or audio: its configuration and the times of its samples.

use super::clock::AudioClock;
use super::tag::Codec;
use crate::bytes::ByteWriter;
use crate::codec::aac::{self, AudioSpecificConfig};
use crate::codec::ac3::{self, Ac3Config, Ac3Header};
use crate::codec::av1;
use crate::codec::avc::{self, write_visual_entry};
use crate::codec::flac::{FrameHeader, ReadFrame, StreamInfo};
use crate::codec::hevc;
use crate::codec::mpeg_audio::{self, MpegAudioHeader};
use crate::codec::opus::{self, OpusHead};
use crate::codec::vpx::{Vp9Frame, VpConfig};
use crate::container::{Sample, TrackId, TrackInfo, TrackKind};
use crate::time::{Ticks, Timescale};

/// Time stamps that go back by more than this, or ahead by more than [`AHEAD`], in milliseconds, are a jump.
const BACK: Ticks = 1000;
const AHEAD: Ticks = 10_000;

const MILLISECONDS: Timescale = match Timescale::new(1000) {
    Some(t) => t,
    None => unreachable!(), // 1000 is not 0
};

/// What is known of a track.
#[derive(Debug)]
pub(super) struct Track {
    pub id: TrackId,
    kind: TrackKind,
    codec: Option<Codec>,
    /// As it came last.
    config: Vec<u8>,
    /// As it was announced last.
    pub info: Option<TrackInfo>,
    clock: AudioClock,
    /// Last time stamp in milliseconds.
    last: Option<Ticks>,
    /// Bytes of an access unit that stand in the sink's buffer and are not a sample yet.
    pub written: usize,
    pub warned: bool,
}

impl Track {
    pub fn new(id: u32, kind: TrackKind) -> Self {
        Self {
            id: TrackId(id),
            kind,
            codec: None,
            config: Vec::new(),
            info: None,
            clock: AudioClock::default(),
            last: None,
            written: 0,
            warned: false,
        }
    }

    /// Forgets times, not the configuration.
    pub fn reset(&mut self) {
        self.clock.reset();
        self.last = None;
        self.written = 0;
    }

    /// Takes a configuration. Gives the track where it is new and complete.
    pub fn configure(&mut self, codec: Codec, config: &[u8]) -> Result<Option<TrackInfo>, &'static str> {
        if self.codec == Some(codec) && self.config == config && (self.info.is_some() || codec == Codec::Vp9)
        {
            return Ok(None);
        }
        let info = match codec {
            // The size is in the keyframes.
            Codec::Vp9 => None,
            // They describe themselves.
            Codec::Mp3 | Codec::Ac3 => return Ok(None),
            _ => Some(self.describe(codec, config).ok_or("a decoder configuration that cannot be read")?),
        };
        if self.codec.replace(codec) != Some(codec) {
            self.info = None;
        }
        self.config.clear();
        self.config.extend_from_slice(config);
        Ok(info.and_then(|info| self.announce(info)))
    }

    /// `info`, unless the same was announced last.
    fn announce(&mut self, info: TrackInfo) -> Option<TrackInfo> {
        if self.info.as_ref() == Some(&info) {
            return None;
        }
        if self.info.as_ref().is_some_and(|old| old.timescale != info.timescale) {
            self.clock.reset();
        }
        self.info = Some(info.clone());
        Some(info)
    }

    fn describe(&self, codec: Codec, config: &[u8]) -> Option<TrackInfo> {
        let mut info = TrackInfo::new(self.id, self.kind, MILLISECONDS);
        match codec {
            Codec::Avc => {
                let sps = avc::first_sps(config)?;
                (info.width, info.height) = (sps.width, sps.height);
                let &[_, profile, constraints, level, ..] = config else { return None };
                info.codec = avc::codec_string(profile, constraints, level);
                info.sample_entry = visual_entry(b"avc1", b"avcC", config, &info, sps.sample_aspect);
            }
            Codec::Hevc => {
                let sps = hevc::first_sps(config)?;
                (info.width, info.height) = (sps.width, sps.height);
                info.codec = sps.codec_string(b"hvc1");
                info.sample_entry = visual_entry(b"hvc1", b"hvcC", config, &info, sps.sample_aspect);
            }
            Codec::Av1 => {
                info.codec = av1::codec_string_of_av1c(config)?;
                let size = av1::SequenceHeader::find(config.get(4..)?).map(|s| (s.width, s.height));
                (info.width, info.height) = size.unwrap_or_default();
                info.sample_entry = av1::sample_entry(config, (info.width, info.height), (1, 1));
            }
            Codec::Aac => {
                let asc = AudioSpecificConfig::parse(config)?;
                audio(&mut info, asc.output_rate(), asc.channels())?;
                info.codec = asc.codec_string();
                let mut w = ByteWriter::new();
                if config.len() <= 64 {
                    // As it came: what is not understood of it may matter to the decoder.
                    aac::write_audio_entry(&mut w, b"mp4a", asc.channels().max(1), asc.output_rate(), |w| {
                        aac::write_esds(w, 0x40, config);
                    });
                } else {
                    aac::write_mp4a(&mut w, &asc);
                }
                info.sample_entry = w.into_vec();
            }
            Codec::Opus => {
                let head = OpusHead::parse(config)?;
                audio(&mut info, opus::RATE, head.channels.into())?;
                info.codec.push_str("opus");
                info.sample_entry = head.sample_entry();
            }
            Codec::Flac => {
                let stream = StreamInfo::from_codec_private(config).or_else(|| StreamInfo::parse(config))?;
                audio(&mut info, stream.rate, stream.channels.into())?;
                info.codec.push_str("flac");
                info.sample_entry = stream.sample_entry();
            }
            Codec::Vp9 | Codec::Mp3 | Codec::Ac3 => return None,
        }
        Some(info)
    }

    /// Whether the next access unit is needed whole before it can be taken: it may describe the track.
    pub fn needs_whole(&self, codec: Codec) -> bool {
        codec == Codec::Ac3 && (self.info.is_none() || self.codec != Some(codec))
    }

    /// Looks at the start of an access unit (all of it where [`Self::needs_whole`] says so): gives the track where that describes a new one.
    pub fn look(&mut self, codec: Codec, unit: &[u8], sync: bool) -> Option<TrackInfo> {
        let mut info = TrackInfo::new(self.id, self.kind, MILLISECONDS);
        match codec {
            Codec::Mp3 => {
                let header = MpegAudioHeader::parse(unit.first_chunk()?)?;
                audio(&mut info, header.sampling_rate, header.channels.into())?;
                info.codec.push_str(header.codec_string());
                info.sample_entry = header.sample_entry();
            }
            Codec::Ac3 => {
                if !self.needs_whole(codec) {
                    return None;
                }
                let config = Ac3Config::from_unit(unit)?;
                audio(&mut info, config.header.sampling_rate, config.channels)?;
                info.codec.push_str(config.header.codec_string());
                info.sample_entry = config.sample_entry;
            }
            Codec::Vp9 if sync => {
                let key = Vp9Frame::parse(unit)?.key?;
                // With or without version and flags of the box.
                let told = match self.config.as_slice() {
                    [1, 0, 0, 0, ..] => VpConfig::from_vpcc(&self.config),
                    raw => VpConfig::from_vpcc(&[&[1, 0, 0, 0], raw].concat()),
                };
                let told = told.filter(|_| self.codec == Some(codec)).filter(|c| c.bit_depth >= 8);
                let config = told.or_else(|| VpConfig::from_keyframe(unit, None))?;
                (info.width, info.height) = (key.width, key.height);
                info.codec = config.codec_string(b"vp09");
                info.sample_entry = config.sample_entry(b"vp09", (key.width, key.height), (1, 1));
            }
            _ => return None,
        }
        self.codec = Some(codec);
        self.announce(info)
    }

    /// Whether access units of this codec can be taken.
    pub fn is_ready(&self, codec: Codec) -> bool {
        self.info.is_some() && self.codec == Some(codec)
    }

    /// The sample of an access unit of `size` bytes that begins with `head`; the other is whether its time is a jump.
    pub fn sample(
        &mut self,
        stamp: Ticks,
        composition: i32,
        sync: bool,
        head: &[u8],
        size: usize,
    ) -> (Sample, Option<&'static str>) {
        let jump = match self.last.replace(stamp) {
            Some(last) if stamp < last - BACK => Some("time stamps jump back"),
            Some(last) if stamp > last + AHEAD => Some("time stamps jump ahead"),
            _ => None,
        };
        let size_u32 = u32::try_from(size).unwrap_or(u32::MAX);
        let mut sample = Sample {
            dts: stamp,
            pts: stamp.saturating_add(composition.into()),
            duration: None,
            sync,
            size: size_u32,
        };
        if self.kind == TrackKind::Audio {
            let rate = self.info.as_ref().map_or(1000, |i| i.timescale.get());
            let duration = self.duration(head, size);
            sample.dts = self.clock.place(stamp, duration, rate);
            sample.pts = sample.dts;
            sample.duration = Some(duration);
        }
        (sample, jump)
    }

    /// Of an access unit of audio, in ticks of the track.
    fn duration(&self, head: &[u8], size: usize) -> u32 {
        let known = match self.codec {
            Some(Codec::Mp3) => head.first_chunk().and_then(MpegAudioHeader::parse).map(|h| {
                // Some writers put several frames into a tag.
                let frames = (size + usize::from(h.frame_size) / 2) / usize::from(h.frame_size).max(1);
                h.samples() * frames.clamp(1, 64) as u32
            }),
            Some(Codec::Ac3) => head.first_chunk().and_then(Ac3Header::parse).map(|h| h.samples),
            Some(Codec::Opus) => opus::packet_duration(head),
            Some(Codec::Flac) => match FrameHeader::parse(head) {
                ReadFrame::Got(header) => Some(header.block_size),
                _ => None,
            },
            _ => {
                let sbr = AudioSpecificConfig::parse(&self.config)
                    .is_some_and(|c| c.sbr_rate.is_some_and(|rate| rate == 2 * c.sampling_rate));
                Some(aac::FRAME_SAMPLES * if sbr { 2 } else { 1 })
            }
        };
        known.unwrap_or(aac::FRAME_SAMPLES)
    }
}

fn audio(info: &mut TrackInfo, rate: u32, channels: u32) -> Option<()> {
    info.timescale = Timescale::new(rate)?;
    info.sample_rate = rate;
    info.channels = channels;
    Some(())
}

fn visual_entry(
    name: &[u8; 4],
    config_name: &[u8; 4],
    config: &[u8],
    info: &TrackInfo,
    aspect: (u16, u16),
) -> Vec<u8> {
    let mut w = ByteWriter::new();
    write_visual_entry(&mut w, name, (info.width, info.height), aspect, |w| {
        w.boxed(config_name, |w| w.bytes(config));
    });
    w.into_vec()
}

// Every head of a tag is long enough for these.
const _: () = assert!(super::tag::HEAD >= 8 + FrameHeader::MAX_SIZE);
const _: () =
    assert!(super::tag::HEAD >= 8 + mpeg_audio::HEADER_SIZE && super::tag::HEAD >= 8 + ac3::HEADER_SIZE);
