//! H.264 / AVC: NAL units, parameter sets, `avcC` and `avc1` (ISO/IEC 14496-10, ISO/IEC 14496-15).

use crate::bytes::{BitReader, ByteWriter};

/// `nal_unit_type` values (ISO/IEC 14496-10 table 7-1) that the player tells apart.
pub mod nal {
    /// Coded slice of a non-IDR picture.
    pub const SLICE: u8 = 1;
    /// Coded slice data partition A.
    pub const PARTITION_A: u8 = 2;
    /// Coded slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const AUD: u8 = 9;
    /// Filler data.
    pub const FILLER: u8 = 12;
    /// Sequence parameter set extension.
    pub const SPS_EXT: u8 = 13;
    /// Subset sequence parameter set; 15 to 18 may begin an access unit.
    pub const SUBSET_SPS: u8 = 15;
    /// Last of the types that may begin an access unit.
    pub const RESERVED_18: u8 = 18;
}

/// Largest width or height taken from a parameter set: level 6.2 allows 16,880 samples on a side.
const MAX_SIDE: u32 = 16_880;

/// What the player needs of a sequence parameter set (ISO/IEC 14496-10 §7.3.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u8,
    /// `constraint_set` flags, as a byte.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// `seq_parameter_set_id`.
    pub id: u8,
    /// `chroma_format_idc`; 1 is 4:2:0.
    pub chroma_format: u8,
    /// Bits per luma sample.
    pub luma_bits: u8,
    /// Bits per chroma sample.
    pub chroma_bits: u8,
    /// Whether the three colour planes are coded apart; each slice then names its plane.
    pub separate_planes: bool,
    /// Bits of `frame_num` in slice headers.
    pub frame_num_bits: u8,
    /// Whether all pictures are frames; else fields and MBAFF frames may occur.
    pub frames_only: bool,
    /// Picture width after cropping, in luma samples.
    pub width: u32,
    /// Picture height after cropping, in luma samples.
    pub height: u32,
    /// Sample aspect ratio; `(1, 1)` when not signalled.
    pub sample_aspect: (u16, u16),
    /// Duration of a frame as `(units, ticks per second)`, when signalled.
    pub frame_duration: Option<(u32, u32)>,
    /// Frames that can precede one in decoding order and follow it in output order: `max_num_reorder_frames`, 0 where the
    /// profile or the order count type forbids any, `None` where nothing tells.
    pub reorder: Option<u8>,
}

/// Removes `emulation_prevention_three_byte`s (§7.4.1).
pub fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &b in nal {
        if zeros >= 2 && b == 3 {
            zeros = 0;
            continue;
        }
        zeros = if b == 0 { zeros + 1 } else { 0 };
        out.push(b);
    }
    out
}

fn has_chroma_info(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

/// Passes over a scaling list (§7.3.2.1.1.1).
fn skip_scaling_list(r: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = last.wrapping_add(r.se()?).wrapping_add(256) & 0xff;
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// Sample aspect ratios by `aspect_ratio_idc` (table E-1).
pub(super) const ASPECTS: [(u16, u16); 17] = [
    (1, 1),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

impl Sps {
    /// Reads a whole NAL unit, header byte included. `None` where it breaks the syntax or describes no picture.
    pub fn parse(nal_unit: &[u8]) -> Option<Self> {
        let rbsp = unescape(nal_unit);
        let mut r = BitReader::new(&rbsp);
        if r.bits(8)? as u8 & 0x1f != nal::SPS {
            return None;
        }
        let profile = r.bits(8)? as u8;
        let constraints = r.bits(8)? as u8;
        let level = r.bits(8)? as u8;
        let id = u8::try_from(r.ue()?).ok().filter(|&id| id < 32)?;
        let (mut chroma_format, mut luma_bits, mut chroma_bits, mut separate_planes) = (1, 8, 8, false);
        if has_chroma_info(profile) {
            chroma_format = u8::try_from(r.ue()?).ok().filter(|&c| c < 4)?;
            if chroma_format == 3 {
                separate_planes = r.bit()?;
            }
            luma_bits = 8 + u8::try_from(r.ue()?).ok().filter(|&b| b <= 6)?;
            chroma_bits = 8 + u8::try_from(r.ue()?).ok().filter(|&b| b <= 6)?;
            r.skip(1)?;
            if r.bit()? {
                for i in 0..if chroma_format == 3 { 12 } else { 8 } {
                    if r.bit()? {
                        skip_scaling_list(&mut r, if i < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let frame_num_bits = 4 + u8::try_from(r.ue()?).ok().filter(|&b| b <= 12)?;
        let order_type = r.ue()?;
        match order_type {
            0 => {
                r.ue()?;
            }
            1 => {
                r.skip(1)?;
                r.se()?;
                r.se()?;
                for _ in 0..r.ue().filter(|&n| n < 256)? {
                    r.se()?;
                }
            }
            2 => {}
            _ => return None,
        }
        r.ue()?;
        r.skip(1)?;
        let width_mbs = r.ue()?.checked_add(1)?;
        let height_units = r.ue()?.checked_add(1)?;
        let frames_only = r.bit()?;
        if !frames_only {
            r.skip(1)?;
        }
        r.skip(1)?;
        let field_factor = if frames_only { 1 } else { 2 };
        let (mut width, mut height) =
            (width_mbs.checked_mul(16)?, height_units.checked_mul(16)?.checked_mul(field_factor)?);
        if r.bit()? {
            let (x, y) = match (chroma_format, separate_planes) {
                (1, _) => (2, 2),
                (2, _) => (2, 1),
                _ => (1, 1),
            };
            let (left, right, top, bottom) = (r.ue()?, r.ue()?, r.ue()?, r.ue()?);
            width = width.checked_sub(left.checked_add(right)?.checked_mul(x)?)?;
            height = height.checked_sub(top.checked_add(bottom)?.checked_mul(y * field_factor)?)?;
        }
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return None;
        }
        let mut sps = Self {
            profile,
            constraints,
            level,
            id,
            chroma_format,
            luma_bits,
            chroma_bits,
            separate_planes,
            frame_num_bits,
            frames_only,
            width,
            height,
            sample_aspect: (1, 1),
            frame_duration: None,
            // Output order is decoding order; Baseline has no B slices.
            reorder: (order_type == 2 || profile == 66).then_some(0),
        };
        if r.bit()? {
            // What was read of a VUI that is cut short still counts: nothing that decoding needs is in it.
            let _ = sps.vui(&mut r);
        }
        Some(sps)
    }

    /// Video usability information (§E.1.1).
    fn vui(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        if r.bit()? {
            let idc = r.bits(8)? as usize;
            let (w, h) = match idc {
                255 => (r.bits(16)? as u16, r.bits(16)? as u16),
                _ => ASPECTS.get(idc).copied().unwrap_or((1, 1)),
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
        if r.bit()? {
            let (units, scale) = (r.bits(32)?, r.bits(32)?);
            // A tick is a field: a frame lasts two (§E.2.1).
            if let Some(units) = units.checked_mul(2).filter(|&u| u != 0 && scale != 0) {
                self.frame_duration = Some((units, scale));
            }
            r.skip(1)?; // fixed_frame_rate_flag
        }
        let (nal_hrd, vcl_hrd) = (skip_hrd(r)?, skip_hrd(r)?);
        if nal_hrd || vcl_hrd {
            r.skip(1)?; // low_delay_hrd_flag
        }
        r.skip(1)?; // pic_struct_present_flag
        // bitstream_restriction_flag
        if r.bit()? {
            r.skip(1)?;
            for _ in 0..4 {
                r.ue()?;
            }
            self.reorder = u8::try_from(r.ue()?).ok().filter(|&n| n <= 16).or(self.reorder);
        }
        Some(())
    }

    /// The RFC 6381 codec string, `avc1.` with profile, constraints and level in hexadecimal.
    pub fn codec_string(&self) -> String {
        codec_string(self.profile, self.constraints, self.level)
    }
}

/// Passes over `hrd_parameters()` (§E.1.2) behind its flag; tells the flag.
fn skip_hrd(r: &mut BitReader<'_>) -> Option<bool> {
    if !r.bit()? {
        return Some(false);
    }
    let count = r.ue()?.checked_add(1).filter(|&n| n <= 32)?;
    r.skip(8)?;
    for _ in 0..count {
        r.ue()?;
        r.ue()?;
        r.skip(1)?;
    }
    r.skip(20)?;
    Some(true)
}

/// The first SPS of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
pub fn first_sps(avcc: &[u8]) -> Option<Sps> {
    let &[1, _, _, _, _, count, high, low, ref rest @ ..] = avcc else { return None };
    let size = usize::from(u16::from_be_bytes([high, low]));
    if count & 31 == 0 { None } else { Sps::parse(rest.get(..size)?) }
}

/// `avc1.PPCCLL` (RFC 6381 §3.3) from the three bytes that follow the NAL header of an SPS, or the version of an `avcC`.
pub fn codec_string(profile: u8, constraints: u8, level: u8) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut s = String::from("avc1.");
    for b in [profile, constraints, level] {
        s.push(HEX[usize::from(b >> 4)] as char);
        s.push(HEX[usize::from(b & 15)] as char);
    }
    s
}

/// `pic_parameter_set_id` and `seq_parameter_set_id` of a picture parameter set NAL unit (§7.3.2.2).
pub fn pps_ids(nal_unit: &[u8]) -> Option<(u8, u8)> {
    let head = unescape(nal_unit.get(1..nal_unit.len().min(16))?);
    let mut r = BitReader::new(&head);
    let pps = u8::try_from(r.ue()?).ok()?;
    let sps = u8::try_from(r.ue()?).ok().filter(|&id| id < 32)?;
    Some((pps, sps))
}

/// Start of a slice header (§7.3.3), as much as tells pictures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceStart {
    /// `frame_num`.
    pub frame_num: u32,
    /// `Some(bottom_field_flag)` for a slice of a field.
    pub field: Option<bool>,
}

impl SliceStart {
    /// Reads from the first bytes of a slice NAL unit, header byte included; 16 bytes are enough.
    pub fn parse(head: &[u8], sps: &Sps) -> Option<Self> {
        let rbsp = unescape(head.get(1..)?);
        let mut r = BitReader::new(&rbsp);
        r.ue()?;
        r.ue()?;
        r.ue()?;
        if sps.separate_planes {
            r.skip(2)?;
        }
        let frame_num = r.bits(u32::from(sps.frame_num_bits))?;
        let field = if !sps.frames_only && r.bit()? { Some(r.bit()?) } else { None };
        Some(Self { frame_num, field })
    }
}

/// Whether the first byte after a slice's NAL header starts a picture: `first_mb_in_slice` is 0.
pub fn starts_picture(first_payload_byte: u8) -> bool {
    first_payload_byte & 0x80 != 0
}

/// Whether the first byte after a slice's NAL header is of an I or SI slice with `first_mb_in_slice` 0 (table 7-6).
pub fn is_intra_start(first_payload_byte: u8) -> bool {
    // 1, then ue(v) of 2, 4, 7 or 9.
    let b = first_payload_byte;
    b >> 4 == 0b1011 || b >> 2 == 0b10_0101 || b == 0b1000_1000 || b == 0b1000_1010
}

/// Writes the `avcC` box (ISO/IEC 14496-15 §5.3.4.1) for samples with 4-byte lengths. `first` is the first of `sps`, parsed.
pub fn write_avcc<'a>(
    w: &mut ByteWriter,
    first: &Sps,
    sps: impl ExactSizeIterator<Item = &'a [u8]>,
    pps: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    w.boxed(b"avcC", |w| {
        w.bytes(&[1, first.profile, first.constraints, first.level, 0xfc | 3]);
        w.u8(0xe0 | (sps.len().min(31) as u8));
        for set in sps.take(31) {
            w.u16(set.len() as u16);
            w.bytes(set);
        }
        w.u8(pps.len().min(255) as u8);
        for set in pps.take(255) {
            w.u16(set.len() as u16);
            w.bytes(set);
        }
        if !matches!(first.profile, 66 | 77 | 88) {
            w.bytes(&[
                0xfc | first.chroma_format,
                0xf8 | (first.luma_bits - 8),
                0xf8 | (first.chroma_bits - 8),
                0,
            ]);
        }
    });
}

/// Writes a visual sample entry (ISO/IEC 14496-12 §12.1.3) with what `configuration` writes (`avcC`, `hvcC`), and a `pasp`
/// box where samples are not square.
pub fn write_visual_entry(
    w: &mut ByteWriter,
    name: &[u8; 4],
    (width, height): (u32, u32),
    sample_aspect: (u16, u16),
    configuration: impl FnOnce(&mut ByteWriter),
) {
    w.boxed(name, |w| {
        w.zeros(6);
        w.u16(1); // data_reference_index
        w.zeros(16);
        w.u16(width as u16);
        w.u16(height as u16);
        w.u32(0x0048_0000); // 72 dpi
        w.u32(0x0048_0000);
        w.u32(0);
        w.u16(1); // frame_count
        w.zeros(32); // compressorname
        w.u16(0x18); // depth
        w.u16(0xffff); // pre_defined
        configuration(w);
        if sample_aspect.0 != sample_aspect.1 {
            w.boxed(b"pasp", |w| {
                w.u32(u32::from(sample_aspect.0));
                w.u32(u32::from(sample_aspect.1));
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    // x264, 70x50, High 1.0, 25 frames/s, samples 4:3.
    const SPS: [u8; 26] = [
        0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x45, 0x27, 0x9a, 0x23, 0x0e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
        0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x22, 0x59, 0x60,
    ];

    #[test]
    fn size_rate_and_codec_string_come_from_the_sps() {
        let sps = Sps::parse(&SPS).unwrap();
        assert_eq!((sps.width, sps.height), (70, 50));
        assert_eq!(sps.codec_string(), "avc1.64000a");
        assert_eq!(sps.frame_duration, Some((2, 50)));
        assert_eq!(sps.sample_aspect, (4, 3));
        assert!(sps.frames_only);
        assert_eq!(sps.reorder, Some(2));
    }

    #[test]
    fn every_truncation_of_an_sps_is_refused_or_read_without_panic() {
        for n in 0..SPS.len() {
            let _ = Sps::parse(&SPS[..n]);
        }
        assert_eq!(Sps::parse(&SPS[..4]), None);
    }

    #[test]
    fn emulation_prevention_is_removed_only_after_two_zeros() {
        assert_eq!(unescape(&[0, 3, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [0, 3, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn intra_slices_are_told_by_their_first_byte() {
        for b in [0b1011_0000u8, 0b1000_1000, 0b1001_0100, 0b1000_1010] {
            assert!(is_intra_start(b), "{b:08b}");
        }
        for b in [0b1100_0000u8, 0b1001_1000, 0b1010_0000, 0b1000_1001, 0b0101_1000] {
            assert!(!is_intra_start(b), "{b:08b}");
        }
    }

    #[test]
    fn sample_entry_holds_the_parameter_sets_and_the_pixel_shape() {
        let sps = Sps::parse(&SPS).unwrap();
        let mut w = ByteWriter::new();
        write_visual_entry(&mut w, b"avc1", (sps.width, sps.height), sps.sample_aspect, |w| {
            write_avcc(w, &sps, [&SPS[..]].into_iter(), [&[0x68u8, 0xee][..]].into_iter());
        });
        let entry = w.into_vec();
        assert_eq!(entry.len(), 86 + (8 + 5 + 1 + 2 + SPS.len() + 1 + 2 + 2 + 4) + 16);
        assert_eq!(&entry[32..36], &[0, 70, 0, 50]);
        assert_eq!(&entry[90..98], b"avcC\x01\x64\x00\x0a");
        assert_eq!(&entry[entry.len() - 12..], b"pasp\0\0\0\x04\0\0\0\x03");
    }
}
