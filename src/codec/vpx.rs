//! VP8 and VP9: frame headers, `vpcC`, `vp08`/`vp09` sample entries and codec strings (RFC 6386; VP9 Bitstream &
//! Decoding Process Specification; VP Codec ISO Media File Format Binding, "the binding" below).
//!
//! No engine takes VP8 in MP4, although the binding defines `vp08`: VP8 travels in WebM, as `vp8`.

use super::avc::write_visual_entry;
use super::push_two_digits;
use crate::bytes::{BitReader, ByteWriter};

/// The frame tag and, of keyframes, the size (RFC 6386 §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8Frame {
    /// Decoding can start here.
    pub keyframe: bool,
    /// Bitstream version, 0 to 3: what the binding calls profile.
    pub version: u8,
    /// Whether it is to be shown.
    pub shown: bool,
    /// Width and height in pixels, of keyframes.
    pub size: Option<(u32, u32)>,
}

impl Vp8Frame {
    /// Reads the first 3 (keyframes: 10) bytes of a frame.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let tag = *frame.first()?;
        let mut out =
            Self { keyframe: tag & 1 == 0, version: tag >> 1 & 7, shown: tag & 0x10 != 0, size: None };
        if out.keyframe {
            let &[0x9d, 0x01, 0x2a, w0, w1, h0, h1] = frame.get(3..10)? else { return None };
            // The two upper bits of each are a scale for display.
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            out.size = Some((side(w0, w1), side(h0, h1)));
        }
        Some(out)
    }
}

/// The uncompressed header of a VP9 frame (§6.2), up to the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp9Frame {
    /// 0 to 3.
    pub profile: u8,
    /// Decoding can start here.
    pub keyframe: bool,
    /// Whether it is to be shown.
    pub shown: bool,
    /// What keyframes tell besides.
    pub key: Option<Vp9Key>,
}

/// What a VP9 keyframe tells of the stream (§6.2.2, §6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp9Key {
    /// 8, 10 or 12.
    pub bit_depth: u8,
    /// `color_space`, 0 to 7 (§7.2.2).
    pub color_space: u8,
    /// Samples use the full range of values.
    pub full_range: bool,
    /// As `vpcC` counts: 1 for 4:2:0, 2 for 4:2:2, 3 for 4:4:4, 4 for 4:4:0.
    pub chroma_subsampling: u8,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Vp9Frame {
    /// Reads the first bytes of a frame or superframe; 16 are enough.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let mut r = BitReader::new(frame);
        if r.bits(2)? != 2 {
            return None;
        }
        let (low, high) = (r.bits(1)? as u8, r.bits(1)? as u8);
        let profile = high << 1 | low;
        if profile == 3 {
            r.skip(1)?;
        }
        // show_existing_frame
        if r.bit()? {
            return Some(Self { profile, keyframe: false, shown: true, key: None });
        }
        let keyframe = !r.bit()?;
        let shown = r.bit()?;
        r.skip(1)?; // error_resilient_mode
        let key = if keyframe { Some(Self::key(&mut r, profile)?) } else { None };
        Some(Self { profile, keyframe, shown, key })
    }

    fn key(r: &mut BitReader<'_>, profile: u8) -> Option<Vp9Key> {
        if r.bits(24)? != 0x49_8342 {
            return None;
        }
        let bit_depth = match profile >= 2 {
            true if r.bit()? => 12,
            true => 10,
            false => 8,
        };
        let color_space = r.bits(3)? as u8;
        let odd = profile & 1 == 1;
        let (mut full_range, mut chroma_subsampling) = (true, 3);
        if color_space == 7 {
            // RGB: 4:4:4, with a reserved bit.
            r.skip(usize::from(odd))?;
        } else {
            full_range = r.bit()?;
            chroma_subsampling = 1;
            if odd {
                chroma_subsampling = match (r.bit()?, r.bit()?) {
                    (true, true) => 1,
                    (true, false) => 2,
                    (false, false) => 3,
                    (false, true) => 4,
                };
                r.skip(1)?;
            }
        }
        let (width, height) = (r.bits(16)? + 1, r.bits(16)? + 1);
        Some(Vp9Key { bit_depth, color_space, full_range, chroma_subsampling, width, height })
    }
}

/// Decoder configuration: the fields of `vpcC` (the binding, "VP Codec Configuration Box").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VpConfig {
    /// 0 to 3.
    pub profile: u8,
    /// Ten times the level; 31 is level 3.1. 0: not known.
    pub level: u8,
    /// 8, 10 or 12.
    pub bit_depth: u8,
    /// 0 and 1: 4:2:0, 2: 4:2:2, 3: 4:4:4.
    pub chroma_subsampling: u8,
    /// Samples use the full range of values.
    pub full_range: bool,
    /// Primaries, transfer and matrix of ISO/IEC 23091-2; 2 is unspecified.
    pub color: [u8; 3],
}

/// Levels with the most luma samples of a picture and per second (VP9 levels, Annex A of the bitstream specification).
const LEVELS: [(u8, u64, u64); 14] = [
    (10, 36_864, 829_440),
    (11, 73_728, 2_764_800),
    (20, 122_880, 4_608_000),
    (21, 245_760, 9_216_000),
    (30, 552_960, 20_736_000),
    (31, 983_040, 36_864_000),
    (40, 2_228_224, 83_558_400),
    (41, 2_228_224, 160_432_128),
    (50, 8_912_896, 311_951_360),
    (51, 8_912_896, 588_251_136),
    (52, 8_912_896, 1_176_502_272),
    (60, 35_651_584, 1_176_502_272),
    (61, 35_651_584, 2_353_004_544),
    (62, 35_651_584, 4_706_009_088),
];

/// The lowest level for pictures of this size that last so many nanoseconds each (`None`: 1/30 s).
pub fn vp9_level(width: u32, height: u32, frame_duration: Option<u64>) -> u8 {
    let area = u64::from(width) * u64::from(height);
    let duration = frame_duration.filter(|&ns| ns > 0).unwrap_or(33_333_333);
    let rate = (area as f64 * 1e9 / duration as f64) as u64;
    let fits = |&&(_, picture, second): &&(u8, u64, u64)| area <= picture && rate <= second;
    LEVELS.iter().find(fits).map_or(62, |l| l.0)
}

impl VpConfig {
    /// The configuration of an 8-bit 4:2:0 stream of which only the size is known.
    pub fn assumed(width: u32, height: u32, frame_duration: Option<u64>) -> Self {
        Self {
            profile: 0,
            level: vp9_level(width, height, frame_duration),
            bit_depth: 8,
            chroma_subsampling: 1,
            full_range: false,
            color: [2; 3],
        }
    }

    /// What a VP9 keyframe tells; its level follows from size and rate (nanoseconds per frame).
    pub fn from_keyframe(frame: &[u8], frame_duration: Option<u64>) -> Option<Self> {
        let header = Vp9Frame::parse(frame)?;
        let key = header.key?;
        // color_space to what it stands for (§7.2.2): BT.601, BT.709, SMPTE 170M and 240M, BT.2020, sRGB.
        let color = match key.color_space {
            1 | 3 => [6, 6, 6],
            2 => [1, 1, 1],
            4 => [7, 7, 7],
            // Which transfer is not told: HDR streams say so in the container.
            5 => [9, 2, 9],
            7 => [1, 13, 0],
            _ => [2; 3],
        };
        Some(Self {
            profile: header.profile,
            level: vp9_level(key.width, key.height, frame_duration),
            bit_depth: key.bit_depth,
            chroma_subsampling: key.chroma_subsampling.min(3),
            full_range: key.full_range,
            color,
        })
    }

    /// Reads the body of a `vpcC` box.
    pub fn from_vpcc(body: &[u8]) -> Option<Self> {
        let &[profile, level, bits, a, b, c] = body.get(4..10)? else { return None };
        Some(Self {
            profile,
            level,
            bit_depth: bits >> 4,
            chroma_subsampling: bits >> 1 & 7,
            full_range: bits & 1 == 1,
            color: [a, b, c],
        })
    }

    /// Takes what CodecPrivate of WebM tells: triples of id, length 1 and value (WebM VP9 Codec Feature Metadata).
    pub fn apply_webm_private(&mut self, private: &[u8]) {
        for feature in private.chunks_exact(3) {
            match *feature {
                [1, 1, v @ 0..=3] => self.profile = v,
                [2, 1, v @ 10..=62] => self.level = v,
                [3, 1, v @ (8 | 10 | 12)] => self.bit_depth = v,
                [4, 1, v @ 0..=3] => self.chroma_subsampling = v,
                _ => {}
            }
        }
    }

    /// CodecPrivate of WebM.
    pub fn webm_private(&self) -> Vec<u8> {
        vec![1, 1, self.profile, 2, 1, self.level, 3, 1, self.bit_depth, 4, 1, self.chroma_subsampling]
    }

    /// `vp09.PP.LL.DD` (the binding, "Codecs Parameter String"), or `vp08.…`.
    pub fn codec_string(&self, format: &[u8; 4]) -> String {
        let mut out: String = format.iter().map(|&b| char::from(b)).collect();
        for value in [self.profile, self.level, self.bit_depth] {
            out.push('.');
            push_two_digits(&mut out, value);
        }
        out
    }

    /// The whole sample entry, `vp09` or `vp08`, with `vpcC`.
    pub fn sample_entry(&self, format: &[u8; 4], size: (u32, u32), sample_aspect: (u16, u16)) -> Vec<u8> {
        let mut w = ByteWriter::new();
        write_visual_entry(&mut w, format, size, sample_aspect, |w| {
            w.full_boxed(b"vpcC", 1, 0, |w| {
                let bits =
                    self.bit_depth << 4 | (self.chroma_subsampling & 7) << 1 | u8::from(self.full_range);
                w.bytes(&[self.profile, self.level, bits]);
                w.bytes(&self.color);
                w.u16(0); // codecInitializationDataSize
            });
        });
        w.into_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libvpx, 160x90, profile 0.
    const KEY: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x09, 0xf0, 0x05, 0x96, 0x00];

    #[test]
    fn vp9_keyframes_tell_size_profile_and_depth() {
        let frame = Vp9Frame::parse(&KEY).unwrap();
        let key = frame.key.unwrap();
        assert_eq!((frame.profile, frame.keyframe, frame.shown), (0, true, true));
        assert_eq!((key.width, key.height, key.bit_depth, key.chroma_subsampling), (160, 90, 8, 1));
        let config = VpConfig::from_keyframe(&KEY, None).unwrap();
        assert_eq!(config.codec_string(b"vp09"), "vp09.00.10.08");
        // Inter frame, show_existing_frame, no frame marker.
        assert!(Vp9Frame::parse(&[0x86, 0]).is_some_and(|f| !f.keyframe && f.shown && f.key.is_none()));
        assert!(Vp9Frame::parse(&[0x88]).is_some_and(|f| !f.keyframe && f.shown));
        assert_eq!(Vp9Frame::parse(&[0x42, 0]), None);
        for n in 0..KEY.len() - 1 {
            assert_eq!(Vp9Frame::parse(&KEY[..n]), None);
        }
    }

    #[test]
    fn vp8_keyframes_tell_their_size() {
        let frame = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0xa0, 0x00, 0x5a, 0x40];
        let read = Vp8Frame::parse(&frame).unwrap();
        assert_eq!((read.keyframe, read.version, read.shown, read.size), (true, 0, true, Some((160, 90))));
        assert!(Vp8Frame::parse(&[0x31, 0, 0]).is_some_and(|f| !f.keyframe && f.shown && f.size.is_none()));
        assert_eq!(Vp8Frame::parse(&frame[..9]), None);
        assert_eq!(Vp8Frame::parse(&[0x10, 2, 0, 1, 2, 3, 4, 5, 6, 7]), None);
    }

    #[test]
    fn configuration_survives_the_sample_entry_and_codec_private() {
        let config = VpConfig {
            profile: 2,
            level: 51,
            bit_depth: 10,
            chroma_subsampling: 1,
            full_range: true,
            color: [9, 16, 9],
        };
        assert_eq!(config.codec_string(b"vp09"), "vp09.02.51.10");
        let entry = config.sample_entry(b"vp09", (3840, 2160), (1, 1));
        assert_eq!((&entry[4..8], &entry[90..94]), (&b"vp09"[..], &b"vpcC"[..]));
        assert_eq!(VpConfig::from_vpcc(&entry[94..]), Some(config));
        let mut other = VpConfig::assumed(3840, 2160, Some(16_666_667));
        assert_eq!((other.level, other.profile), (51, 0));
        other.apply_webm_private(&config.webm_private());
        assert_eq!((other.profile, other.level, other.bit_depth), (2, 51, 10));
        assert_eq!(VpConfig::from_vpcc(&entry[94..103]), None);
    }
}
