//! EBML (RFC 8794): elements with variable-length ids and sizes.

/// Element ids (RFC 9559), with their length markers.
pub(super) mod id {
    pub const EBML: u32 = 0x1a45_dfa3;
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const SEEK_HEAD: u32 = 0x114d_9b74;
    pub const SEEK: u32 = 0x4dbb;
    pub const SEEK_ID: u32 = 0x53ab;
    pub const SEEK_POSITION: u32 = 0x53ac;
    pub const INFO: u32 = 0x1549_a966;
    pub const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
    pub const DURATION: u32 = 0x4489;
    pub const TRACKS: u32 = 0x1654_ae6b;
    pub const TRACK_ENTRY: u32 = 0xae;
    pub const TRACK_NUMBER: u32 = 0xd7;
    pub const TRACK_TYPE: u32 = 0x83;
    pub const CODEC_ID: u32 = 0x86;
    pub const CODEC_PRIVATE: u32 = 0x63a2;
    pub const CODEC_DELAY: u32 = 0x56aa;
    pub const DEFAULT_DURATION: u32 = 0x23_e383;
    pub const NAME: u32 = 0x536e;
    pub const LANGUAGE: u32 = 0x22_b59c;
    pub const LANGUAGE_BCP47: u32 = 0x22_b59d;
    pub const VIDEO: u32 = 0xe0;
    pub const PIXEL_WIDTH: u32 = 0xb0;
    pub const PIXEL_HEIGHT: u32 = 0xba;
    pub const AUDIO: u32 = 0xe1;
    pub const SAMPLING_FREQUENCY: u32 = 0xb5;
    pub const OUTPUT_SAMPLING_FREQUENCY: u32 = 0x78b5;
    pub const CHANNELS: u32 = 0x9f;
    pub const CONTENT_ENCODINGS: u32 = 0x6d80;
    pub const CONTENT_ENCODING: u32 = 0x6240;
    pub const CONTENT_ENCRYPTION: u32 = 0x5035;
    pub const CLUSTER: u32 = 0x1f43_b675;
    pub const TIMESTAMP: u32 = 0xe7;
    pub const SIMPLE_BLOCK: u32 = 0xa3;
    pub const BLOCK_GROUP: u32 = 0xa0;
    pub const BLOCK: u32 = 0xa1;
    pub const BLOCK_DURATION: u32 = 0x9b;
    pub const REFERENCE_BLOCK: u32 = 0xfb;
    pub const CUES: u32 = 0x1c53_bb6b;
    pub const CUE_POINT: u32 = 0xbb;
    pub const CUE_TIME: u32 = 0xb3;
    pub const CUE_TRACK_POSITIONS: u32 = 0xb7;
    pub const CUE_CLUSTER_POSITION: u32 = 0xf1;
    pub const TITLE: u32 = 0x7ba9;
    pub const TAGS: u32 = 0x1254_c367;
    pub const TAG: u32 = 0x7373;
    pub const TARGETS: u32 = 0x63c0;
    pub const TAG_TRACK_UID: u32 = 0x63c5;
    pub const SIMPLE_TAG: u32 = 0x67c8;
    pub const TAG_NAME: u32 = 0x45a3;
    pub const TAG_STRING: u32 = 0x4487;
    pub const ATTACHMENTS: u32 = 0x1941_a469;
    pub const CHAPTERS: u32 = 0x1043_a770;
    pub const VOID: u32 = 0xec;
    pub const CRC_32: u32 = 0xbf;
    pub const POSITION: u32 = 0xa7;
    pub const PREV_SIZE: u32 = 0xab;
    pub const SILENT_TRACKS: u32 = 0x5854;
    pub const DISCARD_PADDING: u32 = 0x75a2;
    pub const DISPLAY_WIDTH: u32 = 0x54b0;
    pub const DISPLAY_HEIGHT: u32 = 0x54ba;
    pub const DISPLAY_UNIT: u32 = 0x54b2;
    pub const COLOUR: u32 = 0x55b0;
    pub const MATRIX: u32 = 0x55b1;
    pub const CUE_TRACK: u32 = 0xf7;
    pub const TRANSFER: u32 = 0x55ba;
    pub const PRIMARIES: u32 = 0x55bb;
    pub const CONTENT_ENCODING_SCOPE: u32 = 0x5032;
    pub const CONTENT_ENCODING_TYPE: u32 = 0x5033;
    pub const CONTENT_COMPRESSION: u32 = 0x5034;
    pub const CONTENT_COMP_ALGO: u32 = 0x4254;
    pub const CONTENT_COMP_SETTINGS: u32 = 0x4255;
}

/// The start of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// With its length marker.
    pub id: u32,
    /// Bytes of content; `None`: unknown (all ones, RFC 8794 §6.2).
    pub size: Option<u64>,
    /// Bytes of id and size.
    pub len: usize,
}

/// What an attempt to read gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read<T> {
    /// The value.
    Got(T),
    /// The bytes end too early.
    Short,
    /// No value can begin so.
    Bad,
}

/// Reads the id and size of an element.
pub(super) fn header(bytes: &[u8]) -> Read<Header> {
    let Some(&first) = bytes.first() else { return Read::Short };
    let id_len = first.leading_zeros() as usize + 1;
    if id_len > 4 {
        return Read::Bad;
    }
    let (Some(id), Some(&size_first)) = (bytes.get(..id_len), bytes.get(id_len)) else { return Read::Short };
    let id = id.iter().fold(0, |id, &b| id << 8 | u32::from(b));
    if size_first == 0 {
        return Read::Bad;
    }
    match vint(&bytes[id_len..]) {
        Some((size, size_len)) => {
            let unknown = size == (1 << (7 * size_len)) - 1;
            Read::Got(Header { id, size: (!unknown).then_some(size), len: id_len + size_len })
        }
        None => Read::Short,
    }
}

/// A variable-length integer without its marker, and its length (RFC 8794 §4).
pub(super) fn vint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let len = first.leading_zeros() as usize + 1;
    if len > 8 {
        return None;
    }
    let all = bytes.get(..len)?;
    let value = all.iter().fold(0u64, |v, &b| v << 8 | u64::from(b));
    Some((value & ((1 << (7 * len)) - 1), len))
}

/// The children of an element that is wholly there. Ends at the first that is not well-formed.
pub(super) struct Children<'a> {
    rest: &'a [u8],
}

pub(super) fn children(content: &[u8]) -> Children<'_> {
    Children { rest: content }
}

impl<'a> Iterator for Children<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let Read::Got(header) = header(self.rest) else { return None };
        let rest = &self.rest[header.len..];
        let size = usize::try_from(header.size?).ok()?;
        let content = rest.get(..size)?;
        self.rest = &rest[size..];
        Some((header.id, content))
    }
}

/// Content of the first child of an id.
pub(super) fn child(content: &[u8], id: u32) -> Option<&[u8]> {
    children(content).find(|c| c.0 == id).map(|c| c.1)
}

/// An unsigned integer of up to 8 bytes (RFC 8794 §7.2).
pub(super) fn unsigned(content: &[u8]) -> Option<u64> {
    (content.len() <= 8).then(|| content.iter().fold(0, |v, &b| v << 8 | u64::from(b)))
}

/// The same of a child.
pub(super) fn unsigned_child(content: &[u8], id: u32) -> Option<u64> {
    child(content, id).and_then(unsigned)
}

/// A signed integer of up to 8 bytes (RFC 8794 §7.1).
pub(super) fn signed(content: &[u8]) -> Option<i64> {
    let value = unsigned(content)?;
    let unused = 64 - 8 * content.len() as u32;
    // No bytes: 0.
    Some(value.checked_shl(unused).map_or(0, |v| v as i64 >> unused))
}

/// A floating-point number of 0, 4 or 8 bytes (RFC 8794 §7.3) that is finite.
pub(super) fn float(content: &[u8]) -> Option<f64> {
    let value = match content.len() {
        0 => 0.0,
        4 => f64::from(f32::from_be_bytes(content.try_into().ok()?)),
        8 => f64::from_be_bytes(content.try_into().ok()?),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// A string, which may be padded with zeros (RFC 8794 §7.4).
pub(super) fn string(content: &[u8]) -> Option<&str> {
    std::str::from_utf8(content).ok().map(|s| s.trim_end_matches('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_unknown_sizes_from_long_ones() {
        let got = |id, size, len| Read::Got(Header { id, size, len });
        assert_eq!(header(&[0xa3, 0x81]), got(0xa3, Some(1), 2));
        assert_eq!(header(&[0xa3, 0xff]), got(0xa3, None, 2));
        assert_eq!(
            header(&[0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            got(id::CLUSTER, None, 12)
        );
        assert_eq!(header(&[0xa3, 0x40, 0x7f]), got(0xa3, Some(127), 3));
        assert_eq!(header(&[0x1f, 0x43]), Read::Short);
        assert_eq!(header(&[0xa3, 0x40]), Read::Short);
        assert_eq!([header(&[0x08, 1]), header(&[0xa3, 0x00])], [Read::Bad, Read::Bad]);
    }

    #[test]
    fn numbers_come_in_all_lengths() {
        assert_eq!([unsigned(&[]), unsigned(&[1, 0]), unsigned(&[0; 9])], [Some(0), Some(256), None]);
        assert_eq!([signed(&[]), signed(&[0xff]), signed(&[0x7f, 0xff])], [Some(0), Some(-1), Some(32767)]);
        assert_eq!(signed(&(-5i64).to_be_bytes()), Some(-5));
        assert_eq!(float(&1.5f32.to_be_bytes()), Some(1.5));
        assert_eq!([float(&f64::NAN.to_be_bytes()), float(&[0])], [None, None]);
        assert_eq!(string(b"und\0\0"), Some("und"));
    }
}
