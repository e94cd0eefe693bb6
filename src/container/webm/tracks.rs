//! TrackEntry (RFC 9559 §5.1.4): what a track holds, as the rest of the player names it.

use super::ebml::{self, id};
use super::inflate::inflate;
use super::reorder::Reorder;
use crate::bytes::ByteWriter;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::ac3::{Ac3Config, Ac3Header};
use crate::codec::mpeg_audio::MpegAudioHeader;
use crate::codec::vpx::VpConfig;
use crate::codec::{aac, av1, avc, flac, hevc, opus, vorbis};
use crate::container::{TrackId, TrackInfo, TrackKind};
use crate::time::{Ticks, Timescale, rescale};

/// CodecPrivate at most, once it is decompressed, in bytes: as much as an element may have.
const MAX_PRIVATE: usize = 16 << 20;

/// What is taken off the start of frames at most, in bytes: it comes again with each. A frame header has a few.
const MAX_STRIPPED: usize = 1 << 10;

/// A track with what its blocks need.
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// `TrackNumber`, as blocks name it.
    pub number: u64,
    pub info: TrackInfo,
    /// CodecDelay, in nanoseconds.
    delay: u64,
    /// Nanoseconds per frame, nominally, where the header tells.
    pub default_duration: Option<u64>,
    /// Whether the frames are given out.
    pub wanted: bool,
    /// Whether `info` is complete; else the first frame tells the rest.
    pub resolved: bool,
    /// Whether the sink knows it.
    pub announced: bool,
    /// What was taken off the start of each frame (§5.1.4.1.31.7, header stripping).
    pub stripped: Vec<u8>,
    /// Each frame is compressed by zlib.
    pub deflated: bool,
    pub reorder: Option<Reorder>,
    /// Of Vorbis, which has durations that follow from neighbours.
    vorbis: Option<Box<vorbis::Headers>>,
    previous_block: u32,
    /// Nanoseconds of a frame of AAC, where all have 1024 samples.
    aac_frame: Option<u64>,
    sample_aspect: (u16, u16),
    /// Primaries, transfer, matrix; range: of VP9, whose keyframes tell less.
    color: [u8; 3],
}

/// What Video tells besides the size.
fn shape(video: &[u8], (width, height): (u32, u32)) -> (u16, u16) {
    let number = |id| ebml::unsigned_child(video, id);
    // Pixels or an aspect ratio; centimetres and inches come to the same.
    let (Some(x), Some(y)) = (number(id::DISPLAY_WIDTH), number(id::DISPLAY_HEIGHT)) else { return (1, 1) };
    if number(id::DISPLAY_UNIT).unwrap_or(0) > 3 {
        return (1, 1);
    }
    let (Some(mut a), Some(mut b)) = (x.checked_mul(height.into()), y.checked_mul(width.into())) else {
        return (1, 1);
    };
    let (mut x, mut y) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    if x == 0 || y == 0 {
        return (1, 1);
    }
    (x, y) = (x / a, y / a);
    // A display size is rounded to whole pixels: within one of them, samples are square.
    let size = u64::from(width.max(height));
    if x.abs_diff(y) * size <= x.max(y) {
        return (1, 1);
    }
    match (u16::try_from(x), u16::try_from(y)) {
        (Ok(x), Ok(y)) => (x, y),
        _ => (1, 1),
    }
}

/// What ContentEncodings ask of the reader (§5.1.4.1.31).
#[derive(Default)]
struct Encodings {
    stripped: Vec<u8>,
    deflated: bool,
    /// CodecPrivate was treated too.
    private: bool,
    deflated_private: bool,
    encrypted: bool,
    /// A compression that is not undone here.
    compressed: Option<&'static str>,
}

impl Encodings {
    fn parse(content: &[u8]) -> Self {
        let mut out = Self::default();
        for (_, encoding) in ebml::children(content).filter(|c| c.0 == id::CONTENT_ENCODING) {
            let scope = ebml::unsigned_child(encoding, id::CONTENT_ENCODING_SCOPE).unwrap_or(1);
            let kind = ebml::unsigned_child(encoding, id::CONTENT_ENCODING_TYPE).unwrap_or(0);
            if kind == 1 || ebml::child(encoding, id::CONTENT_ENCRYPTION).is_some() {
                out.encrypted = true;
                continue;
            }
            let compression = ebml::child(encoding, id::CONTENT_COMPRESSION).unwrap_or_default();
            let settings = ebml::child(compression, id::CONTENT_COMP_SETTINGS).unwrap_or_default();
            match ebml::unsigned_child(compression, id::CONTENT_COMP_ALGO).unwrap_or(0) {
                3 if settings.len() <= MAX_STRIPPED => {
                    if scope & 1 != 0 {
                        out.stripped = settings.to_vec();
                    }
                    out.private |= scope & 2 != 0;
                }
                // Not with another encoding besides.
                0 if ebml::children(content).filter(|c| c.0 == id::CONTENT_ENCODING).count() == 1 => {
                    out.deflated = scope & 1 != 0;
                    out.deflated_private = scope & 2 != 0;
                }
                0 => out.compressed = Some("zlib"),
                1 => out.compressed = Some("bzlib"),
                2 => out.compressed = Some("lzo1x"),
                _ => out.compressed = Some("unknown"),
            }
        }
        out
    }
}

/// Reads a TrackEntry. `None`: it lacks a number, type or codec.
pub(super) fn track(entry: &[u8], timescale: Timescale) -> Option<Track> {
    let number = ebml::unsigned_child(entry, id::TRACK_NUMBER).filter(|n| *n > 0)?;
    let codec_id = ebml::child(entry, id::CODEC_ID).and_then(ebml::string)?;
    let kind = match ebml::unsigned_child(entry, id::TRACK_TYPE)? {
        1 => TrackKind::Video,
        2 => TrackKind::Audio,
        0x11 => TrackKind::Text,
        _ => TrackKind::Other,
    };
    let encodings = Encodings::parse(ebml::child(entry, id::CONTENT_ENCODINGS).unwrap_or_default());
    let stored = ebml::child(entry, id::CODEC_PRIVATE).unwrap_or_default();
    let mut restored = if encodings.private { [&encodings.stripped, stored].concat() } else { Vec::new() };
    if encodings.deflated_private {
        inflate(stored, MAX_PRIVATE, &mut restored)?;
    }
    let private = if encodings.private || encodings.deflated_private { &restored } else { stored };
    let video = ebml::child(entry, id::VIDEO).unwrap_or_default();
    let audio = ebml::child(entry, id::AUDIO).unwrap_or_default();
    let pixels = |id| ebml::unsigned_child(video, id).and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    let frequency = |id| ebml::child(audio, id).and_then(ebml::float).map(|f| f as u32);
    let core_rate = frequency(id::SAMPLING_FREQUENCY).unwrap_or(8000);
    let output_rate = frequency(id::OUTPUT_SAMPLING_FREQUENCY);
    let language = ebml::child(entry, id::LANGUAGE_BCP47).or_else(|| ebml::child(entry, id::LANGUAGE));

    let mut info = TrackInfo::new(TrackId(u32::try_from(number).ok()?), kind, timescale);
    info.width = pixels(id::PIXEL_WIDTH);
    info.height = pixels(id::PIXEL_HEIGHT);
    if kind == TrackKind::Audio {
        info.sample_rate = output_rate.unwrap_or(core_rate);
        let channels = ebml::unsigned_child(audio, id::CHANNELS);
        info.channels = channels.map_or(1, |c| u32::try_from(c).unwrap_or(0));
    }
    let text = |content: Option<&[u8]>| Some(ebml::string(content?)?.to_owned()).filter(|t| !t.is_empty());
    info.language = text(language).filter(|l| l != "und");
    info.label = text(ebml::child(entry, id::NAME));
    info.encrypted = encodings.encrypted;
    let colour = ebml::child(video, id::COLOUR).unwrap_or_default();
    let color = [id::PRIMARIES, id::TRANSFER, id::MATRIX]
        .map(|id| ebml::unsigned_child(colour, id).and_then(|v| u8::try_from(v).ok()).unwrap_or(2));
    let sample_aspect = shape(video, (info.width, info.height));
    let mut track = Track {
        number,
        info,
        delay: ebml::unsigned_child(entry, id::CODEC_DELAY).unwrap_or(0),
        default_duration: ebml::unsigned_child(entry, id::DEFAULT_DURATION).filter(|d| *d > 0),
        wanted: matches!(kind, TrackKind::Video | TrackKind::Audio),
        resolved: true,
        announced: false,
        stripped: encodings.stripped,
        deflated: encodings.deflated,
        reorder: None,
        vorbis: None,
        previous_block: 0,
        aac_frame: None,
        sample_aspect,
        color,
    };
    match encodings.compressed {
        Some(algorithm) => {
            track.info.codec = [codec_id, "+", algorithm].concat();
            track.wanted = false;
        }
        None => track.describe(codec_id, private, (core_rate, output_rate)),
    }
    track.count_in(timescale);
    Some(track)
}

/// Nanoseconds as ticks, to the nearest.
pub(super) fn ticks(nanoseconds: u64, timescale: Timescale) -> Ticks {
    rescale(Ticks::try_from(nanoseconds).unwrap_or(Ticks::MAX), 1_000_000_000, timescale.get())
}

/// Samples as nanoseconds, rounded down.
fn samples_ns(samples: u32, rate: u32) -> Option<u64> {
    (u64::from(samples) * 1_000_000_000).checked_div(rate.into()).filter(|ns| *ns > 0)
}

impl Track {
    /// Codec string and sample entry for a CodecID (RFC 9559 §5.1.4.1.21 and the Matroska codec specifications).
    fn describe(&mut self, codec_id: &str, private: &[u8], rates: (u32, Option<u32>)) {
        let size = (self.info.width, self.info.height);
        let info = &mut self.info;
        match codec_id {
            "V_VP8" => info.codec = "vp8".into(),
            "V_VP9" => {
                let mut config = VpConfig::assumed(size.0, size.1, self.default_duration);
                config.apply_webm_private(private);
                config.color = self.color;
                self.resolved = private.len() >= 9;
                self.vp9(&config);
            }
            "V_AV1" => match av1::codec_string_of_av1c(private) {
                Some(codec) => {
                    info.codec = codec;
                    info.sample_entry = av1::sample_entry(private, size, self.sample_aspect);
                }
                None => {
                    info.codec = "av01".into();
                    self.resolved = false;
                }
            },
            "V_MPEG4/ISO/AVC" => match private {
                [1, profile, constraints, level, _, _, ..] => {
                    info.codec = avc::codec_string(*profile, *constraints, *level);
                    info.sample_entry = visual_entry(b"avc1", b"avcC", private, size, self.sample_aspect);
                    let sps = avc::first_sps(private);
                    self.set_reorder(sps.and_then(|s| s.reorder));
                }
                // Without parameter sets: in start code format, as some old writers have it.
                _ => info.codec = codec_id.into(),
            },
            "V_MPEGH/ISO/HEVC" => match hevc_config(private) {
                Some((profile, has_sets, reorder)) => {
                    // `hvc1` also where writers leave open whether the samples have parameter sets too: WebKit takes no `hev1`,
                    // and decoders read those in samples all the same.
                    let name = if has_sets { b"hvc1" } else { b"hev1" };
                    info.codec = profile.codec_string(name);
                    info.sample_entry = visual_entry(name, b"hvcC", private, size, self.sample_aspect);
                    self.set_reorder(reorder);
                }
                None => info.codec = codec_id.into(),
            },
            "A_OPUS" => {
                info.codec = "opus".into();
                info.sample_rate = opus::RATE;
                let head = opus::OpusHead::parse(private)
                    .or_else(|| opus::OpusHead::for_channels(u8::try_from(info.channels).ok()?));
                if let Some(head) = head {
                    info.channels = head.channels.into();
                    info.sample_entry = head.sample_entry();
                }
            }
            "A_VORBIS" => {
                info.codec = "vorbis".into();
                info.codec_private = private.to_vec();
                self.vorbis = vorbis::Headers::from_codec_private(private).map(Box::new);
            }
            "A_FLAC" => {
                info.codec = "flac".into();
                if let Some(stream) = flac::StreamInfo::from_codec_private(private) {
                    (info.sample_rate, info.channels) = (stream.rate, stream.channels.into());
                    info.sample_entry = stream.sample_entry();
                }
            }
            "A_MPEG/L3" | "A_MPEG/L2" | "A_AC3" | "A_EAC3" => {
                info.codec = match codec_id {
                    "A_MPEG/L3" => "mp3",
                    "A_MPEG/L2" => "mp2",
                    "A_AC3" => "ac-3",
                    _ => "ec-3",
                }
                .into();
                self.resolved = false;
            }
            "S_TEXT/WEBVTT" | "D_WEBVTT/SUBTITLES" | "D_WEBVTT/CAPTIONS" => info.codec = "wvtt".into(),
            _ if codec_id == "A_AAC" || codec_id.starts_with("A_AAC/") => self.aac(codec_id, private, rates),
            other => info.codec = other.into(),
        }
        if self.info.encrypted {
            // Its frames tell nothing.
            self.resolved = true;
        }
    }

    fn vp9(&mut self, config: &VpConfig) {
        self.info.codec = config.codec_string(b"vp09");
        let size = (self.info.width, self.info.height);
        self.info.sample_entry = config.sample_entry(b"vp09", size, self.sample_aspect);
    }

    fn set_reorder(&mut self, depth: Option<u8>) {
        self.reorder = Some(Reorder::new(depth)).filter(|_| depth != Some(0));
    }

    /// `A_AAC` with an AudioSpecificConfig, or one of the old names that tell the profile (`A_AAC/MPEG4/LC/SBR`).
    fn aac(&mut self, codec_id: &str, private: &[u8], (core_rate, output_rate): (u32, Option<u32>)) {
        let mut parts = codec_id.split('/').skip(2);
        let object_type = match parts.next() {
            Some("MAIN") => 1,
            Some("SSR") => 3,
            Some("LTP") => 4,
            _ => 2,
        };
        let sbr = parts.next() == Some("SBR");
        let made = AudioSpecificConfig {
            object_type,
            sampling_rate: core_rate,
            channel_config: match self.info.channels {
                channels @ 1..=6 => channels as u8,
                8 => 7,
                _ => 0,
            },
            sbr_rate: sbr.then(|| output_rate.unwrap_or(core_rate.saturating_mul(2))),
            ps: false,
            element_channels: 0,
        };
        let told = AudioSpecificConfig::parse(private);
        let config = told.unwrap_or(made);
        let bytes = if told.is_some() { private.to_vec() } else { made.to_bytes() };
        // At the rate of the core, whatever SBR makes of it.
        self.aac_frame = matches!(config.object_type, 1..=4)
            .then(|| samples_ns(aac::FRAME_SAMPLES, config.sampling_rate))
            .flatten();
        // Longer ones than any decoder needs would not fit into the descriptors.
        let Some(bytes) = bytes.get(..bytes.len().min(64)) else { return };
        let info = &mut self.info;
        info.codec = config.codec_string();
        info.sample_rate = config.output_rate();
        if config.channels() != 0 {
            info.channels = config.channels();
        }
        let mut w = ByteWriter::new();
        aac::write_audio_entry(&mut w, b"mp4a", info.channels.max(1), info.sample_rate, |w| {
            aac::write_esds(w, 0x40, bytes);
        });
        info.sample_entry = w.into_vec();
    }

    /// Completes `info` by a frame. `false`: it does not tell, and decoding cannot start with it.
    pub fn resolve(&mut self, frame: &[u8]) -> bool {
        let (width, height) = (self.info.width, self.info.height);
        let info = &mut self.info;
        let resolved = match info.codec.as_str() {
            "mp3" | "mp2" => frame.first_chunk().and_then(MpegAudioHeader::parse).map(|header| {
                info.codec = header.codec_string().into();
                (info.sample_rate, info.channels) = (header.sampling_rate, header.channels.into());
                info.sample_entry = header.sample_entry();
            }),
            "ac-3" | "ec-3" => Ac3Config::from_unit(frame).map(|config| {
                info.codec = config.header.codec_string().into();
                (info.sample_rate, info.channels) = (config.header.sampling_rate, config.channels);
                info.sample_entry = config.sample_entry;
            }),
            "av01" => {
                av1::SequenceHeader::find(frame).zip(av1::sequence_header_obu(frame)).map(|(s, obu)| {
                    info.codec = s.codec_string();
                    info.sample_entry = av1::sample_entry(&s.av1c(&obu), (width, height), self.sample_aspect);
                })
            }
            _ => VpConfig::from_keyframe(frame, self.default_duration).map(|mut config| {
                if self.color != [2; 3] {
                    config.color = self.color;
                }
                self.vp9(&config);
            }),
        };
        self.resolved |= resolved.is_some();
        resolved.is_some()
    }

    /// Nanoseconds of each frame of a block with so many, as the header tells. Not of a picture by itself: DefaultDuration is nominal (RFC 9559
    /// §5.1.4.1.13), muxers write it of varying rates too, and a picture stays until the next one.
    pub fn told_duration(&self, frames: u64) -> Option<u64> {
        self.default_duration.filter(|_| frames > 1 || self.info.kind == TrackKind::Audio)
    }

    /// Nanoseconds of a frame, as its first bytes tell; of Vorbis, in the order of the frames.
    pub fn frame_duration(&mut self, frame: &[u8]) -> Option<u64> {
        let rate = self.info.sample_rate;
        match self.info.codec.as_str() {
            "opus" => opus::packet_duration(frame).and_then(|n| samples_ns(n, opus::RATE)),
            "vorbis" => {
                let block = self.vorbis.as_ref()?.block_size(frame)?;
                let previous = std::mem::replace(&mut self.previous_block, block);
                (previous > 0).then(|| samples_ns(vorbis::packet_duration(previous, block), rate)).flatten()
            }
            "flac" => match flac::FrameHeader::parse(frame) {
                flac::ReadFrame::Got(header) => samples_ns(header.block_size, rate),
                _ => None,
            },
            "mp3" | "mp2" => {
                let header = MpegAudioHeader::parse(frame.first_chunk()?)?;
                samples_ns(header.samples(), header.sampling_rate)
            }
            "ac-3" | "ec-3" => {
                let header = Ac3Header::parse(frame.first_chunk()?)?;
                // An access unit of E-AC-3 has six blocks, in one or more syncframes.
                samples_ns(header.samples.max(crate::codec::ac3::UNIT_SAMPLES), header.sampling_rate)
            }
            _ => self.aac_frame,
        }
    }

    /// Counts time in these ticks.
    pub fn count_in(&mut self, timescale: Timescale) {
        self.info.timescale = timescale;
        self.info.edit_start = ticks(self.delay, timescale);
    }

    /// Forgets what came before, for samples that do not follow.
    pub fn reset(&mut self) {
        self.previous_block = 0;
        if let Some(reorder) = &mut self.reorder {
            reorder.reset();
        }
    }
}

fn visual_entry(
    name: &[u8; 4],
    config: &[u8; 4],
    private: &[u8],
    size: (u32, u32),
    sample_aspect: (u16, u16),
) -> Vec<u8> {
    let mut w = ByteWriter::new();
    avc::write_visual_entry(&mut w, name, size, sample_aspect, |w| w.boxed(config, |w| w.bytes(private)));
    w.into_vec()
}

/// Of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1): the profile, whether it has parameter sets, and the
/// reordering depth, where its SPS can be read.
fn hevc_config(private: &[u8]) -> Option<(hevc::ProfileTierLevel, bool, Option<u8>)> {
    if private.len() < 23 || private[0] > 1 {
        return None;
    }
    let profile = hevc::ProfileTierLevel::from_bytes(private.get(1..)?.first_chunk()?);
    let reorder = hevc::first_sps(private).map(|s| s.reorder);
    Some((profile, reorder.is_some(), reorder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(codec_id: &str, private: &[u8]) -> Track {
        let mut entry = vec![0xd7, 0x81, 1, 0x83, 0x81, if codec_id.starts_with('V') { 1 } else { 2 }];
        entry.extend([0x86, 0x80 | codec_id.len() as u8]);
        entry.extend_from_slice(codec_id.as_bytes());
        entry.extend([0x63, 0xa2, 0x80 | private.len() as u8]);
        entry.extend_from_slice(private);
        track(&entry, Timescale::MPEG).unwrap()
    }

    fn codec(codec_id: &str, private: &[u8]) -> String {
        read(codec_id, private).info.codec
    }

    #[test]
    fn codec_strings_carry_profile_level_and_depth_where_the_header_tells() {
        assert_eq!(codec("V_VP9", &[1, 1, 0, 2, 1, 31, 3, 1, 8, 4, 1, 1]), "vp09.00.31.08");
        assert_eq!(codec("V_AV1", &[0x81, 0x05, 0x0c, 0x00]), "av01.0.05M.08");
        assert_eq!(codec("V_AV1", &[0x81, 0x2d, 0xcc, 0x00]), "av01.1.13H.10");
        assert_eq!(codec("V_MPEG4/ISO/AVC", &[1, 0x64, 0, 0x1f, 0xff, 0xe0]), "avc1.64001f");
        assert_eq!(codec("V_MPEG4/ISO/AVC", &[]), "V_MPEG4/ISO/AVC");
        assert_eq!(codec("A_OPUS", &[]), "opus");
        assert_eq!(codec("A_AAC", &[0x12, 0x10]), "mp4a.40.2");
        assert_eq!(codec("A_AAC/MPEG4/LC/SBR", &[]), "mp4a.40.5");
        assert_eq!(codec("A_AAC/MPEG2/MAIN", &[]), "mp4a.40.2");
        assert_eq!(codec("A_DTS", &[]), "A_DTS");
    }

    #[test]
    fn frames_of_aac_last_1024_samples_of_the_core() {
        let duration = |private: &[u8]| read("A_AAC", private).frame_duration(&[0; 8]);
        let samples = |rate| samples_ns(1024, rate);
        assert_eq!(duration(&[0x12, 0x10]), samples(44_100));
        assert_eq!(duration(&[0x0a, 0x10]), samples(44_100), "AAC Main");
        assert_eq!(duration(&[0x2b, 0x11, 0x88, 0x00]), samples(24_000), "SBR");
        assert_eq!(duration(&[0x29, 0x91, 0x88, 0x00]), samples(48_000), "downsampled SBR");
        // ELD and xHE-AAC have others, which the configuration tells farther on.
        assert_eq!([&[0xf8, 0xe6, 0x40], &[0xf9, 0x46, 0x40]].map(|c| duration(c)), [None; 2]);
    }

    #[test]
    fn display_sizes_tell_the_shape_of_samples() {
        let video = |x: u16, y: u16| {
            let mut v = vec![0x54, 0xb0, 0x82];
            v.extend(x.to_be_bytes());
            v.extend([0x54, 0xba, 0x82]);
            v.extend(y.to_be_bytes());
            v
        };
        assert_eq!(shape(&video(1920, 1080), (1440, 1080)), (4, 3));
        assert_eq!(shape(&video(160, 90), (160, 90)), (1, 1));
        assert_eq!(shape(&video(853, 480), (854, 480)), (1, 1), "rounded");
        assert_eq!(shape(&video(0, 480), (854, 480)), (1, 1));
        assert_eq!(shape(&[], (854, 480)), (1, 1));
    }
}
