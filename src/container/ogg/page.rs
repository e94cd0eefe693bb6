//! Ogg pages (RFC 3533 §6) and their checksum.

use crate::bytes::ByteReader;

/// Bytes of a page header before its segment table.
const FIXED: usize = 27;

/// What a page begins with.
pub(super) const CAPTURE: &[u8; 4] = b"OggS";

/// A whole page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// Its first packet began on an earlier page.
    pub continued: bool,
    /// First page of its logical stream.
    pub begins: bool,
    /// Last page of its logical stream.
    pub ends: bool,
    /// Position at the end of the last packet that ends here; `None` where none does.
    pub granule: Option<i64>,
    /// Which logical stream.
    pub serial: u32,
    /// Counts the pages of the logical stream.
    pub sequence: u32,
    /// Sizes of the segments.
    pub lacing: &'a [u8],
    /// The segments.
    pub body: &'a [u8],
    /// Bytes of the page.
    pub size: usize,
}

/// What bytes are, where a page may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read<'a> {
    /// A page; its checksum has not been looked at.
    Got(Page<'a>),
    /// So many bytes are needed to tell more.
    Short(usize),
    /// None.
    Bad,
}

/// Reads the page that `bytes` begin with.
pub(super) fn read(bytes: &[u8]) -> Read<'_> {
    let start = bytes.len().min(CAPTURE.len());
    if bytes[..start] != CAPTURE[..start] || bytes.get(4).is_some_and(|&version| version != 0) {
        return Read::Bad;
    }
    // As long as the next byte may rule it out, that one is asked for: what is told must not depend on how the input is split.
    if bytes.len() <= CAPTURE.len() {
        return Read::Short(bytes.len() + 1);
    }
    let Some((head, rest)) = bytes.split_at_checked(FIXED) else { return Read::Short(FIXED) };
    let count = usize::from(head[26]);
    let Some((lacing, rest)) = rest.split_at_checked(count) else { return Read::Short(FIXED + count) };
    let length: usize = lacing.iter().map(|&b| usize::from(b)).sum();
    let size = FIXED + count + length;
    let Some(body) = rest.get(..length) else { return Read::Short(size) };
    let flags = head[5];
    let mut r = ByteReader::new(&head[6..]);
    // Little-endian, as all of Ogg.
    let (Some(granule), Some(serial), Some(sequence)) = (r.u64(), r.u32(), r.u32()) else { return Read::Bad };
    Read::Got(Page {
        continued: flags & 1 != 0,
        begins: flags & 2 != 0,
        ends: flags & 4 != 0,
        granule: Some(granule.swap_bytes().cast_signed()).filter(|g| *g >= 0),
        serial: serial.swap_bytes(),
        sequence: sequence.swap_bytes(),
        lacing,
        body,
        size,
    })
}

/// CRC-32 with the polynomial 0x04c11db7, nothing inverted or reflected (RFC 3533 §6, field 7). Eight bytes at a step.
///
/// The tables are computed when they are needed first: in the file they would weigh 8 kB that do not compress.
#[derive(Clone, Debug)]
pub(super) struct Crc(Box<[[u32; 256]; 8]>);

impl Crc {
    pub fn new() -> Self {
        let mut tables = Box::new([[0u32; 256]; 8]);
        for i in 0..256usize {
            let crc = (0..8)
                .fold((i as u32) << 24, |c, _| if c >> 31 == 1 { c << 1 ^ 0x04c1_1db7 } else { c << 1 });
            tables[0][i] = crc;
        }
        for k in 1..8 {
            for i in 0..256 {
                let before = tables[k - 1][i];
                tables[k][i] = before << 8 ^ tables[0][(before >> 24) as usize];
            }
        }
        Self(tables)
    }

    fn update(&self, mut crc: u32, bytes: &[u8]) -> u32 {
        let t = &self.0;
        let (chunks, rest) = bytes.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in chunks {
            let [w, x, y, z] = (crc ^ u32::from_be_bytes([a, b, c, d])).to_be_bytes().map(usize::from);
            let [e, f, g, h] = [e, f, g, h].map(usize::from);
            crc = t[7][w] ^ t[6][x] ^ t[5][y] ^ t[4][z] ^ t[3][e] ^ t[2][f] ^ t[1][g] ^ t[0][h];
        }
        rest.iter().fold(crc, |crc, &b| crc << 8 ^ t[0][usize::from((crc >> 24) as u8 ^ b)])
    }

    /// Whether the checksum of a whole page is right.
    pub fn matches(&self, page: &[u8]) -> bool {
        // The field counts as zero.
        let (Some(before), Some(field), Some(after)) = (page.get(..22), page.get(22..26), page.get(26..))
        else {
            return false;
        };
        // No mutation would get past it.
        cfg!(fuzzing)
            || self.update(self.update(self.update(0, before), &[0; 4]), after).to_le_bytes() == field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_ogg() {
        // CRC-32/MPEG-2 without its initial value: "123456789" gives 0x89a1897f.
        assert_eq!(Crc::new().update(0, b"123456789"), 0x89a1_897f);
        assert_eq!(Crc::new().update(Crc::new().update(0, b"1234"), b"56789"), 0x89a1_897f);
    }

    #[test]
    fn pages_tell_how_many_bytes_they_need() {
        let mut page = b"OggS\0\x06".to_vec();
        page.extend_from_slice(&[2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0, 2, 3, 1]);
        page.extend_from_slice(b"abcd");
        let Read::Got(got) = read(&page) else { panic!() };
        assert_eq!((got.granule, got.serial, got.sequence, got.size), (Some(258), 0x0100_0007, 9, 33));
        assert_eq!((got.lacing, got.body), (&[3, 1][..], &b"abcd"[..]));
        assert!(!got.continued && got.begins && got.ends);
        let needs: Vec<_> = (0..page.len())
            .map(|n| if let Read::Short(needs) = read(&page[..n]) { needs } else { 0 })
            .collect();
        assert_eq!((needs[0], needs[4], needs[5], needs[26]), (1, 5, 27, 27));
        assert_eq!((needs[27], needs[28], needs[32]), (29, 29, 33));
        assert!(matches!(read(b"OggT"), Read::Bad) && matches!(read(b"OggS\x01"), Read::Bad));
        page[6..14].fill(0xff);
        let Read::Got(got) = read(&page) else { panic!() };
        assert_eq!(got.granule, None);
    }
}
