//! H.265/HEVC: NAL unit types, parameter sets, `hvcC` (ISO/IEC 23008-2; ISO/IEC 14496-15 §8).

use crate::bytes::{BitReader, ByteReader, ByteWriter};
use crate::codec::avc::{ASPECTS, unescape};

/// `nal_unit_type` values (table 7-1).
pub mod nal {
    /// RADL pictures: decodable after the random access point that they lead.
    pub const RADL_N: u8 = 6;
    /// See [`RADL_N`].
    pub const RADL_R: u8 = 7;
    /// RASL pictures: they refer to pictures from before the random access point.
    pub const RASL_N: u8 = 8;
    /// See [`RASL_N`].
    pub const RASL_R: u8 = 9;
    /// The first of the random access pictures: BLA.
    pub const BLA_W_LP: u8 = 16;
    /// IDR that may have RADL pictures.
    pub const IDR_W_RADL: u8 = 19;
    /// IDR without leading pictures.
    pub const IDR_N_LP: u8 = 20;
    /// Clean random access.
    pub const CRA: u8 = 21;
    /// The last value of random access pictures.
    pub const RSV_IRAP_VCL23: u8 = 23;
    /// The last value of slices.
    pub const LAST_VCL: u8 = 31;
    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Access unit delimiter.
    pub const AUD: u8 = 35;
    /// End of sequence.
    pub const EOS: u8 = 36;
    /// End of bitstream.
    pub const EOB: u8 = 37;
    /// Filler data.
    pub const FILLER: u8 = 38;
    /// SEI before the picture it belongs to.
    pub const PREFIX_SEI: u8 = 39;
    /// SEI after the picture it belongs to.
    pub const SUFFIX_SEI: u8 = 40;
}

/// Bytes of a NAL unit header (§7.3.1.2).
pub const NAL_HEADER: usize = 2;

/// `nal_unit_type` from the first byte of a NAL unit.
pub fn nal_type(first: u8) -> u8 {
    first >> 1 & 0x3f
}

/// `nuh_layer_id` from the two bytes of the header; all but the base layer is for decoders of extensions.
pub fn layer_id(header: [u8; NAL_HEADER]) -> u8 {
    (header[0] & 1) << 5 | header[1] >> 3
}

/// Whether a NAL unit is a slice segment.
pub fn is_slice(nal_type: u8) -> bool {
    nal_type <= nal::LAST_VCL
}

/// Whether decoding can start at a picture of such slices (BLA, IDR, CRA).
pub fn is_random_access(nal_type: u8) -> bool {
    (nal::BLA_W_LP..=nal::RSV_IRAP_VCL23).contains(&nal_type)
}

/// Whether a picture may be undecodable after a start at the random access point before it.
pub fn is_rasl(nal_type: u8) -> bool {
    matches!(nal_type, nal::RASL_N | nal::RASL_R)
}

/// Whether a picture leads its random access point and is decodable after it.
pub fn is_radl(nal_type: u8) -> bool {
    matches!(nal_type, nal::RADL_N | nal::RADL_R)
}

/// `first_slice_segment_in_pic_flag`, from the first byte after the NAL header of a slice.
pub fn starts_picture(first_payload_byte: u8) -> bool {
    first_payload_byte & 0x80 != 0
}

/// Largest picture side accepted: level 6.2 allows 16,888 samples on a side.
const MAX_SIDE: u32 = 16_888;

/// Profile, tier and level, as `hvcC` and codec strings have them (§7.3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileTierLevel {
    /// `general_profile_space`, `general_tier_flag` and `general_profile_idc`, in one byte.
    pub profile: u8,
    /// `general_profile_compatibility_flag`s.
    pub compatibility: u32,
    /// The six bytes of constraint flags.
    pub constraints: [u8; 6],
    /// `general_level_idc`.
    pub level: u8,
}

impl ProfileTierLevel {
    /// The 12 bytes as they stand in parameter sets and in `hvcC`.
    pub fn from_bytes(b: &[u8; 12]) -> Self {
        let [profile, c0, c1, c2, c3, constraints @ .., level] = *b;
        Self { profile, compatibility: u32::from_be_bytes([c0, c1, c2, c3]), constraints, level }
    }

    /// `hvc1.1.6.L93.B0` (ISO/IEC 14496-15 Annex E.3).
    pub fn codec_string(&self, sample_entry: &[u8; 4]) -> String {
        let mut out = String::with_capacity(24);
        out.extend(sample_entry.iter().map(|&b| char::from(b)));
        out.push('.');
        if let Some(space) = b"ABC".get(usize::from(self.profile >> 6).wrapping_sub(1)) {
            out.push((*space).into());
        }
        out.push_str(&(self.profile & 31).to_string());
        out.push('.');
        push_hex(&mut out, self.compatibility.reverse_bits());
        out.push_str(if self.profile & 32 == 0 { ".L" } else { ".H" });
        out.push_str(&self.level.to_string());
        let used = self.constraints.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        for &byte in &self.constraints[..used] {
            out.push('.');
            push_hex(&mut out, byte.into());
        }
        out
    }
}

/// A hexadecimal number without leading zeros.
fn push_hex(out: &mut String, value: u32) {
    let digits = (8 - value.leading_zeros() / 4).max(1);
    for i in (0..digits).rev() {
        out.push(b"0123456789ABCDEF"[(value >> (4 * i) & 15) as usize].into());
    }
}

/// What the player needs of a sequence parameter set (§7.3.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `sps_seq_parameter_set_id`.
    pub id: u8,
    /// `sps_video_parameter_set_id`.
    pub vps_id: u8,
    /// `sps_max_sub_layers_minus1` + 1.
    pub temporal_layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub temporal_id_nesting: bool,
    /// Profile, tier, level.
    pub profile: ProfileTierLevel,
    /// `chroma_format_idc`; 1 is 4:2:0.
    pub chroma_format: u8,
    /// Bits per luma sample.
    pub luma_bits: u8,
    /// Bits per chroma sample.
    pub chroma_bits: u8,
    /// Picture width inside the conformance window, in luma samples.
    pub width: u32,
    /// Picture height inside the conformance window, in luma samples.
    pub height: u32,
    /// Sample aspect ratio; `(1, 1)` when not signalled.
    pub sample_aspect: (u16, u16),
    /// Duration of a picture as `(units, ticks per second)`, when signalled.
    pub frame_duration: Option<(u32, u32)>,
    /// Pictures that can precede one in decoding order and follow it in output order: `sps_max_num_reorder_pics` of all layers.
    pub reorder: u8,
}

impl Sps {
    /// Reads a whole NAL unit, header included. `None` where it breaks the syntax or describes no picture.
    pub fn parse(nal_unit: &[u8]) -> Option<Self> {
        let rbsp = unescape(nal_unit);
        if nal_type(*rbsp.first()?) != nal::SPS {
            return None;
        }
        let mut r = BitReader::new(rbsp.get(NAL_HEADER..)?);
        let vps_id = r.bits(4)? as u8;
        let max_sub_layers = r.bits(3)?;
        let temporal_id_nesting = r.bit()?;
        let profile = ProfileTierLevel::from_bytes(rbsp.get(NAL_HEADER + 1..)?.first_chunk()?);
        r.skip(96)?;
        skip_sub_layers(&mut r, max_sub_layers)?;
        let id = u8::try_from(r.ue()?).ok().filter(|&id| id < 16)?;
        let chroma_format = u8::try_from(r.ue()?).ok().filter(|&c| c < 4)?;
        let separate_planes = chroma_format == 3 && r.bit()?;
        let (mut width, mut height) = (r.ue()?, r.ue()?);
        if r.bit()? {
            let (x, y) = match (chroma_format, separate_planes) {
                (1, _) => (2, 2),
                (2, _) => (2, 1),
                _ => (1, 1),
            };
            let (left, right, top, bottom) = (r.ue()?, r.ue()?, r.ue()?, r.ue()?);
            width = width.checked_sub(left.checked_add(right)?.checked_mul(x)?)?;
            height = height.checked_sub(top.checked_add(bottom)?.checked_mul(y)?)?;
        }
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return None;
        }
        let mut bits = || u8::try_from(r.ue()?).ok().filter(|&b| b <= 8).map(|b| b + 8);
        let (luma_bits, chroma_bits) = (bits()?, bits()?);
        let mut sps = Self {
            id,
            vps_id,
            temporal_layers: max_sub_layers as u8 + 1,
            temporal_id_nesting,
            profile,
            chroma_format,
            luma_bits,
            chroma_bits,
            width,
            height,
            sample_aspect: (1, 1),
            frame_duration: None,
            reorder: 0,
        };
        // What comes behind is for decoders but for the shape and rate of pictures: what cannot be read of it is left out.
        let _ = sps.read_tail(&mut r, max_sub_layers);
        Some(sps)
    }

    fn read_tail(&mut self, r: &mut BitReader<'_>, max_sub_layers: u32) -> Option<()> {
        let poc_bits = r.ue().filter(|&n| n <= 12)? + 4;
        let all_layers = r.bit()?;
        for _ in if all_layers { 0 } else { max_sub_layers }..=max_sub_layers {
            r.ue()?;
            self.reorder = r.ue()?.min(16) as u8;
            r.ue()?;
        }
        // Sizes and depths of coding and transform blocks.
        for _ in 0..6 {
            r.ue()?;
        }
        if r.bit()? && r.bit()? {
            skip_scaling_lists(r)?;
        }
        r.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
        if r.bit()? {
            r.skip(8)?;
            r.ue()?;
            r.ue()?;
            r.skip(1)?;
        }
        let sets = r.ue().filter(|&n| n <= 64)?;
        let mut deltas = 0;
        for index in 0..sets {
            deltas = skip_reference_set(r, index, deltas)?;
        }
        if r.bit()? {
            for _ in 0..r.ue().filter(|&n| n <= 32)? {
                r.skip(poc_bits as usize + 1)?;
            }
        }
        r.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
        if r.bit()? { self.vui(r) } else { Some(()) }
    }

    /// Video usability information (§E.2.1), up to the timing.
    fn vui(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        if r.bit()? {
            let (w, h) = match r.bits(8)? as usize {
                255 => (r.bits(16)? as u16, r.bits(16)? as u16),
                idc => ASPECTS.get(idc).copied().unwrap_or((1, 1)),
            };
            if w != 0 && h != 0 {
                self.sample_aspect = (w, h);
            }
        }
        if r.bit()? {
            r.skip(1)?;
        }
        if r.bit()? {
            r.skip(4)?;
            if r.bit()? {
                r.skip(24)?;
            }
        }
        if r.bit()? {
            r.ue()?;
            r.ue()?;
        }
        r.skip(3)?; // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
        if r.bit()? {
            for _ in 0..4 {
                r.ue()?;
            }
        }
        if r.bit()? {
            let (units, scale) = (r.bits(32)?, r.bits(32)?);
            self.frame_duration = Some((units, scale)).filter(|&(units, scale)| units != 0 && scale != 0);
        }
        Some(())
    }

    /// The RFC 6381 codec string with this sample entry name: `hvc1`, or `hev1` where parameter sets stand in the samples too.
    pub fn codec_string(&self, sample_entry: &[u8; 4]) -> String {
        self.profile.codec_string(sample_entry)
    }
}

/// The part of `profile_tier_level()` that is of sub-layers (§7.3.3).
fn skip_sub_layers(r: &mut BitReader<'_>, max_sub_layers: u32) -> Option<()> {
    if max_sub_layers == 0 {
        return Some(());
    }
    let flags = r.bits(16)?;
    for i in 0..max_sub_layers {
        let (profile, level) = (flags >> (15 - 2 * i) & 1, flags >> (14 - 2 * i) & 1);
        r.skip((profile * 88 + level * 8) as usize)?;
    }
    Some(())
}

/// `scaling_list_data()` (§7.3.4).
fn skip_scaling_lists(r: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4u32 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !r.bit()? {
                r.ue()?;
                continue;
            }
            if size > 1 {
                r.se()?;
            }
            for _ in 0..64.min(1u32 << (4 + (size << 1))) {
                r.se()?;
            }
        }
    }
    Some(())
}

/// `st_ref_pic_set()` (§7.3.7) of a sequence parameter set; `deltas` is `NumDeltaPocs` of the set before, and returned is this one's.
fn skip_reference_set(r: &mut BitReader<'_>, index: u32, deltas: u32) -> Option<u32> {
    if index != 0 && r.bit()? {
        r.skip(1)?;
        r.ue()?;
        let mut count = 0;
        for _ in 0..=deltas {
            let used = r.bit()?;
            count += u32::from(used || r.bit()?);
        }
        return Some(count);
    }
    let count = r.ue().filter(|&n| n <= 16)? + r.ue().filter(|&n| n <= 16)?;
    for _ in 0..count {
        r.ue()?;
        r.skip(1)?;
    }
    Some(count)
}

/// `vps_video_parameter_set_id` of a video parameter set NAL unit (§7.3.2.1).
pub fn vps_id(nal_unit: &[u8]) -> Option<u8> {
    nal_unit.get(NAL_HEADER).map(|b| b >> 4)
}

/// `pps_pic_parameter_set_id` and `pps_seq_parameter_set_id` of a picture parameter set NAL unit (§7.3.2.3).
pub fn pps_ids(nal_unit: &[u8]) -> Option<(u8, u8)> {
    let head = unescape(nal_unit.get(NAL_HEADER..nal_unit.len().min(16))?);
    let mut r = BitReader::new(&head);
    let pps = u8::try_from(r.ue()?).ok().filter(|&id| id < 64)?;
    let sps = u8::try_from(r.ue()?).ok().filter(|&id| id < 16)?;
    Some((pps, sps))
}

/// The first SPS of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1) that can be read.
pub fn first_sps(hvcc: &[u8]) -> Option<Sps> {
    let mut r = ByteReader::new(hvcc);
    r.skip(22)?;
    for _ in 0..r.u8()? {
        let kind = r.u8()? & 0x3f;
        for _ in 0..r.u16()? {
            let size = r.u16()?;
            let unit = r.take(size.into())?;
            if kind == nal::SPS
                && let Some(sps) = Sps::parse(unit)
            {
                return Some(sps);
            }
        }
    }
    None
}

/// Writes the `hvcC` box (ISO/IEC 14496-15 §8.3.3.1) for samples with 4-byte lengths. `first` is the first of `sps`, parsed. `complete`:
/// no parameter sets stand in the samples (`hvc1`).
pub fn write_hvcc<'a>(
    w: &mut ByteWriter,
    first: &Sps,
    complete: bool,
    vps: impl ExactSizeIterator<Item = &'a [u8]>,
    sps: impl ExactSizeIterator<Item = &'a [u8]>,
    pps: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    w.boxed(b"hvcC", |w| {
        let p = &first.profile;
        w.bytes(&[1, p.profile]);
        w.u32(p.compatibility);
        w.bytes(&p.constraints);
        w.u8(p.level);
        w.u16(0xf000); // min_spatial_segmentation_idc: unknown
        w.bytes(&[
            0xfc,
            0xfc | first.chroma_format,
            0xf8 | (first.luma_bits - 8),
            0xf8 | (first.chroma_bits - 8),
        ]);
        w.u16(0); // avgFrameRate: unknown
        w.u8(first.temporal_layers << 3 | u8::from(first.temporal_id_nesting) << 2 | 3);
        w.u8(3);
        let mut array = |kind: u8, sets: &mut dyn ExactSizeIterator<Item = &'a [u8]>| {
            w.u8(u8::from(complete) << 7 | kind);
            w.u16(sets.len() as u16);
            for set in sets {
                w.u16(set.len() as u16);
                w.bytes(set);
            }
        };
        let (mut vps, mut sps, mut pps) = (vps, sps, pps);
        array(nal::VPS, &mut vps);
        array(nal::SPS, &mut sps);
        array(nal::PPS, &mut pps);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::avc;

    // x265, 70x50, Main, 25 frames/s, samples 4:3.
    const SPS: [u8; 42] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
        0x1e, 0xa0, 0x24, 0x83, 0x9d, 0x49, 0x96, 0x56, 0x6b, 0x93, 0x2b, 0xc3, 0x9a, 0x02, 0x00, 0x00, 0x03,
        0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x32, 0x10,
    ];

    #[test]
    fn size_rate_and_codec_string_come_from_the_sps() {
        let sps = Sps::parse(&SPS).unwrap();
        assert_eq!((sps.width, sps.height, sps.luma_bits, sps.chroma_format), (70, 50, 8, 1));
        assert_eq!(sps.codec_string(b"hvc1"), "hvc1.1.6.L30.90");
        assert_eq!((sps.frame_duration, sps.sample_aspect), (Some((1, 25)), (4, 3)));
        assert_eq!((sps.id, sps.vps_id, sps.temporal_layers), (0, 0, 1));
    }

    #[test]
    fn every_truncation_of_an_sps_is_refused_or_read_without_panic() {
        for n in 0..SPS.len() {
            let _ = Sps::parse(&SPS[..n]);
        }
        assert_eq!(Sps::parse(&SPS[..16]), None);
    }

    #[test]
    fn pictures_are_told_apart_by_their_nal_units() {
        assert!(is_random_access(nal::CRA) && is_random_access(nal::IDR_N_LP) && !is_random_access(1));
        assert!(is_rasl(nal::RASL_N) && !is_rasl(nal::RADL_R) && is_radl(nal::RADL_R));
        assert_eq!((nal_type(0x42), layer_id([0x42, 0x01]), layer_id([0x43, 0x09])), (nal::SPS, 0, 33));
    }

    #[test]
    fn sample_entry_holds_the_parameter_sets() {
        let sps = Sps::parse(&SPS).unwrap();
        let mut w = ByteWriter::new();
        avc::write_visual_entry(&mut w, b"hvc1", (sps.width, sps.height), sps.sample_aspect, |w| {
            let one = |set: &'static [u8]| [set].into_iter();
            write_hvcc(w, &sps, true, one(&[0x40, 1, 0x0c]), one(&SPS), one(&[0x44, 1, 0xc1]));
        });
        let entry = w.into_vec();
        assert_eq!(entry.len(), 86 + (8 + 23 + 3 * 5 + 3 + SPS.len() + 3) + 16);
        assert_eq!(entry[90..96], *b"hvcC\x01\x01");
        assert_eq!(entry[86 + 8 + 21..86 + 8 + 26], [0x0f, 3, 0x80 | 32, 0, 1]);
        assert_eq!((vps_id(&[0x40, 1, 0x0c]), pps_ids(&[0x44, 1, 0xc1])), (Some(0), Some((0, 0))));
    }
}
