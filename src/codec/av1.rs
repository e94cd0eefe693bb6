//! AV1: OBUs, the sequence header, `av1C` and `av01` (AV1 Bitstream & Decoding Process Specification; AV1 Codec ISO Media
//! File Format Binding, "the binding" below). Section numbers without a name are of the bitstream specification.

use super::avc::write_visual_entry;
use super::push_two_digits;
use crate::bytes::{BitReader, ByteWriter};

/// `obu_type` values (§6.2.2) that the player tells apart.
pub mod obu {
    /// Sequence header.
    pub const SEQUENCE_HEADER: u8 = 1;
    /// Temporal delimiter; not in the samples of MP4 and Matroska.
    pub const TEMPORAL_DELIMITER: u8 = 2;
    /// Frame header.
    pub const FRAME_HEADER: u8 = 3;
    /// Metadata.
    pub const METADATA: u8 = 5;
    /// Frame: header and tiles.
    pub const FRAME: u8 = 6;
    /// A frame header once more.
    pub const REDUNDANT_FRAME_HEADER: u8 = 7;
    /// For large scale tile decoding.
    pub const TILE_LIST: u8 = 8;
    /// Padding.
    pub const PADDING: u8 = 15;
}

/// One OBU of a temporal unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    /// `obu_type`.
    pub kind: u8,
    /// Header, size and payload.
    pub whole: &'a [u8],
    /// After header and size.
    pub payload: &'a [u8],
}

/// The OBUs of a temporal unit in low-overhead format (§5.2). Ends at the first that is broken; `is_broken` then tells.
#[derive(Clone, Debug)]
pub struct Obus<'a> {
    rest: &'a [u8],
}

/// Walks over a temporal unit.
pub fn obus(unit: &[u8]) -> Obus<'_> {
    Obus { rest: unit }
}

/// An unsigned integer in the form `leb128()` (§4.10.5), and its bytes.
pub fn leb128(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, &b) in bytes.iter().take(8).enumerate() {
        value |= u64::from(b & 0x7f) << (7 * i);
        if b & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

impl Obu<'_> {
    /// Appends it with its size, which it may be without.
    pub fn write_sized(&self, out: &mut Vec<u8>) {
        let Some((&header, rest)) = self.whole.split_first() else { return };
        if header & 2 != 0 {
            return out.extend_from_slice(self.whole);
        }
        out.push(header | 2);
        // obu_extension_header
        out.extend_from_slice(&rest[..rest.len() - self.payload.len()]);
        let mut size = self.payload.len();
        while size > 0x7f {
            out.push(size as u8 | 0x80);
            size >>= 7;
        }
        out.push(size as u8);
        out.extend_from_slice(self.payload);
    }
}

impl Obus<'_> {
    /// Whether bytes are left that are no OBU.
    pub fn is_broken(&self) -> bool {
        !self.rest.is_empty() && self.clone().next().is_none()
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Obu<'a>;

    fn next(&mut self) -> Option<Obu<'a>> {
        let header = *self.rest.first()?;
        // obu_forbidden_bit
        if header & 0x80 != 0 {
            return None;
        }
        let mut start = if header & 4 != 0 { 2 } else { 1 };
        let after = self.rest.get(start..)?;
        let size = if header & 2 != 0 {
            let (size, len) = leb128(after)?;
            start += len;
            usize::try_from(size).ok()?
        } else {
            // The last one may go without a size.
            after.len()
        };
        let end = start.checked_add(size)?;
        let whole = self.rest.get(..end)?;
        self.rest = &self.rest[end..];
        Some(Obu { kind: header >> 3 & 15, whole, payload: &whole[start..] })
    }
}

/// What the player needs of a sequence header (§5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceHeader {
    /// 0 to 2.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point.
    pub level: u8,
    /// `seq_tier` of it: high.
    pub high_tier: bool,
    /// 8, 10 or 12.
    pub bit_depth: u8,
    /// No chroma.
    pub monochrome: bool,
    /// Chroma is halved horizontally and vertically.
    pub subsampling: (bool, bool),
    /// `chroma_sample_position`.
    pub chroma_position: u8,
    /// Largest width in pixels.
    pub width: u32,
    /// Largest height in pixels.
    pub height: u32,
    /// `reduced_still_picture_header`: a picture, no video.
    pub still: bool,
}

impl SequenceHeader {
    /// Reads the payload of a sequence header OBU.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut r = BitReader::new(payload);
        let profile = r.bits(3)? as u8;
        r.skip(1)?; // still_picture
        let still = r.bit()?;
        let (level, high_tier) = if still { (r.bits(5)? as u8, false) } else { operating_points(&mut r)? };
        let (width_bits, height_bits) = (r.bits(4)? + 1, r.bits(4)? + 1);
        let (width, height) = (r.bits(width_bits)? + 1, r.bits(height_bits)? + 1);
        // frame_id_numbers_present_flag
        if !still && r.bit()? {
            r.skip(4 + 3)?;
        }
        r.skip(3)?; // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
        if !still {
            coding_tools(&mut r)?;
        }
        r.skip(3)?; // enable_superres, enable_cdef, enable_restoration
        let mut header = Self {
            profile,
            level,
            high_tier,
            bit_depth: 8,
            monochrome: false,
            subsampling: (true, true),
            chroma_position: 0,
            width,
            height,
            still,
        };
        header.color_config(&mut r)?;
        Some(header)
    }

    /// Finds and reads the sequence header in a temporal unit or in the OBUs of `av1C`.
    pub fn find(unit: &[u8]) -> Option<Self> {
        obus(unit).find(|o| o.kind == obu::SEQUENCE_HEADER).and_then(|o| Self::parse(o.payload))
    }

    /// `color_config()` (§5.5.2).
    fn color_config(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        self.bit_depth = match (r.bit()?, self.profile == 2) {
            (false, _) => 8,
            (true, true) if r.bit()? => 12,
            (true, _) => 10,
        };
        self.monochrome = self.profile != 1 && r.bit()?;
        let description = if r.bit()? { r.bits(24)? } else { 0x02_0202 };
        if self.monochrome {
            return r.skip(1);
        }
        // BT.709 primaries, sRGB transfer, identity matrix: RGB.
        if description == 0x01_0d00 {
            self.subsampling = (false, false);
            return Some(());
        }
        r.skip(1)?; // color_range
        self.subsampling = match self.profile {
            0 => (true, true),
            1 => (false, false),
            _ if self.bit_depth == 12 => {
                let x = r.bit()?;
                (x, x && r.bit()?)
            }
            _ => (true, false),
        };
        if self.subsampling == (true, true) {
            self.chroma_position = r.bits(2)? as u8;
        }
        Some(())
    }

    /// The body of `av1C` (the binding §2.3): the header's fields, then `obus`, the sequence header OBU whole with its size.
    pub fn av1c(&self, obus: &[u8]) -> Vec<u8> {
        let bit = |set: bool, shift: u8| u8::from(set) << shift;
        let flags = bit(self.high_tier, 7)
            | bit(self.bit_depth > 8, 6)
            | bit(self.bit_depth == 12, 5)
            | bit(self.monochrome, 4)
            | bit(self.subsampling.0, 3)
            | bit(self.subsampling.1, 2)
            | self.chroma_position & 3;
        let mut out = vec![0x81, self.profile << 5 | self.level & 31, flags, 0];
        out.extend_from_slice(obus);
        out
    }

    /// `av01.P.LLT.DD`.
    pub fn codec_string(&self) -> String {
        codec_string(self.profile, self.level, self.high_tier, self.bit_depth)
    }
}

/// Level and tier of the first operating point, with what lies before and between.
fn operating_points(r: &mut BitReader<'_>) -> Option<(u8, bool)> {
    let mut delay_bits = None;
    // timing_info_present_flag
    if r.bit()? {
        r.skip(32 + 32)?;
        // equal_picture_interval: num_ticks_per_picture_minus_1, uvlc() (§4.10.3)
        if r.bit()? {
            let mut zeros = 0;
            while !r.bit()? {
                zeros += 1;
            }
            if zeros < 32 {
                r.skip(zeros)?;
            }
        }
        // decoder_model_info_present_flag
        if r.bit()? {
            delay_bits = Some(r.bits(5)? as usize + 1);
            r.skip(32 + 5 + 5)?;
        }
    }
    let display_delay = r.bit()?;
    let count = r.bits(5)? + 1;
    let mut first = None;
    for _ in 0..count {
        r.skip(12)?; // operating_point_idc
        let level = r.bits(5)? as u8;
        let tier = level > 7 && r.bit()?;
        first.get_or_insert((level, tier));
        if let Some(n) = delay_bits
            && r.bit()?
        {
            r.skip(2 * n + 1)?;
        }
        if display_delay && r.bit()? {
            r.skip(4)?;
        }
    }
    first
}

/// From `enable_interintra_compound` to `order_hint_bits_minus_1`.
fn coding_tools(r: &mut BitReader<'_>) -> Option<()> {
    r.skip(4)?;
    let order_hint = r.bit()?;
    if order_hint {
        r.skip(2)?;
    }
    // seq_choose_screen_content_tools, else seq_force_screen_content_tools
    let screen_content = r.bit()? || r.bit()?;
    // seq_choose_integer_mv, else seq_force_integer_mv
    if screen_content && !r.bit()? {
        r.skip(1)?;
    }
    if order_hint {
        r.skip(3)?;
    }
    Some(())
}

/// `av01.P.LLT.DD` (the binding §5).
pub fn codec_string(profile: u8, level: u8, high_tier: bool, bit_depth: u8) -> String {
    let mut out = String::from("av01.");
    out.push(char::from(b'0' + profile.min(7)));
    out.push('.');
    push_two_digits(&mut out, level);
    out.push(if high_tier { 'H' } else { 'M' });
    out.push('.');
    push_two_digits(&mut out, bit_depth);
    out
}

/// The codec string from the body of `av1C`, which is also CodecPrivate of Matroska.
pub fn codec_string_of_av1c(config: &[u8]) -> Option<String> {
    let &[0x81, a, b, _, ..] = config else { return None };
    let profile = a >> 5;
    let depth = match (b & 0x40 != 0, profile == 2 && b & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    Some(codec_string(profile, a & 31, b & 0x80 != 0, depth))
}

/// Whether a temporal unit is a sync sample (the binding §2.4): its first frame is a shown keyframe. The sequence header that should
/// be there too is not asked for: `av1C` has one.
pub fn is_sync(unit: &[u8]) -> bool {
    let still = SequenceHeader::find(unit).is_some_and(|s| s.still);
    let first = obus(unit).find(|o| matches!(o.kind, obu::FRAME_HEADER | obu::FRAME));
    // show_existing_frame 0, frame_type KEY_FRAME, show_frame 1 (§5.9.2)
    first.and_then(|o| o.payload.first()).is_some_and(|b| still || b >> 4 == 0b0001)
}

/// The sequence header OBU of a temporal unit as `av1C` wants it: whole, with a size.
pub fn sequence_header_obu(unit: &[u8]) -> Option<Vec<u8>> {
    let found = obus(unit).find(|o| o.kind == obu::SEQUENCE_HEADER)?;
    // One byte of leb128 is enough for any sequence header.
    let size = u8::try_from(found.payload.len()).ok().filter(|&n| n < 0x80)?;
    let mut out = vec![obu::SEQUENCE_HEADER << 3 | 2, size];
    out.extend_from_slice(found.payload);
    Some(out)
}

/// The whole `av01` sample entry around the body of an `av1C`.
pub fn sample_entry(av1c: &[u8], size: (u32, u32), sample_aspect: (u16, u16)) -> Vec<u8> {
    let mut w = ByteWriter::new();
    write_visual_entry(&mut w, b"av01", size, sample_aspect, |w| w.boxed(b"av1C", |w| w.bytes(av1c)));
    w.into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// libaom, 64x64, profile 0, level 2.0, with its size.
    const SEQUENCE: [u8; 12] = [0x0a, 0x0a, 0x00, 0x00, 0x00, 0x02, 0xaf, 0xff, 0x9b, 0x5f, 0x20, 0x08];

    #[test]
    fn the_sequence_header_gives_size_level_and_configuration() {
        let header = SequenceHeader::find(&SEQUENCE).unwrap();
        assert_eq!((header.width, header.height), (64, 64));
        assert_eq!((header.profile, header.level, header.bit_depth), (0, 0, 8));
        assert_eq!((header.subsampling, header.monochrome, header.still), ((true, true), false, false));
        let config = header.av1c(&SEQUENCE);
        assert_eq!(config[..4], [0x81, 0x00, 0x0c, 0x00]);
        assert_eq!(codec_string_of_av1c(&config).unwrap(), header.codec_string());
        assert_eq!(&sample_entry(&config, (160, 90), (1, 1))[90..95], b"av1C\x81");
        for n in 0..SEQUENCE.len() {
            let _ = SequenceHeader::find(&SEQUENCE[..n]);
            let _ = SequenceHeader::parse(&SEQUENCE[..n]);
        }
    }

    #[test]
    fn codec_strings_follow_the_binding() {
        assert_eq!(codec_string_of_av1c(&[0x81, 0x04, 0x0c, 0]).as_deref(), Some("av01.0.04M.08"));
        assert_eq!(codec_string_of_av1c(&[0x81, 0x4d, 0xe0, 0]).as_deref(), Some("av01.2.13H.12"));
        assert_eq!(codec_string_of_av1c(&[0x81, 0x2d, 0xcc, 0]).as_deref(), Some("av01.1.13H.10"));
        assert_eq!(codec_string_of_av1c(&[0x80, 0, 0, 0]), None);
    }

    #[test]
    fn units_are_walked_and_keyframes_found() {
        let mut unit = vec![0x12, 0x00];
        unit.extend_from_slice(&SEQUENCE);
        let frame = [0x32, 0x02, 0x10, 0x00];
        unit.extend_from_slice(&frame);
        let kinds: Vec<_> = obus(&unit).map(|o| o.kind).collect();
        assert_eq!(kinds, [obu::TEMPORAL_DELIMITER, obu::SEQUENCE_HEADER, obu::FRAME]);
        assert!(is_sync(&unit) && is_sync(&frame));
        assert!(!is_sync(&[0x32, 0x02, 0x30, 0x00]), "an inter frame");
        assert!(!is_sync(&[0x1a, 0x01, 0x80]), "an existing frame");
        assert_eq!(sequence_header_obu(&unit).as_deref(), Some(&SEQUENCE[..]));
        assert!(!obus(&unit).is_broken() && obus(&[0x32, 0x7f, 0]).is_broken() && obus(&[0x80]).is_broken());
        // Without a size: to the end.
        assert_eq!(obus(&[0x30, 1, 2, 3]).next().unwrap().payload, [1, 2, 3]);
        for (bare, sized) in [
            (vec![0x30, 1, 2], vec![0x32, 2, 1, 2]),
            (vec![0x34, 0x20, 1, 2], vec![0x36, 0x20, 2, 1, 2]),
            ([vec![0x30], vec![7; 300]].concat(), [vec![0x32, 0xac, 2], vec![7; 300]].concat()),
            (vec![0x32, 2, 1, 2], vec![0x32, 2, 1, 2]),
        ] {
            let mut out = Vec::new();
            obus(&bare).next().unwrap().write_sized(&mut out);
            assert_eq!(out, sized);
        }
        assert_eq!(leb128(&[0xe5, 0x8e, 0x26]), Some((624_485, 3)));
        assert_eq!([leb128(&[]), leb128(&[0x80; 9])], [None, None]);
    }
}
