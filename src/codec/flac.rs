//! FLAC: STREAMINFO, frame headers, checksums, seek table, sample entry (RFC 9639, Encapsulation of FLAC in ISOBMFF).

use super::aac::write_audio_entry;
use crate::bytes::{BitReader, ByteReader, ByteWriter};

/// Bytes of a STREAMINFO block without its header.
pub const STREAMINFO_SIZE: usize = 34;

/// Types of metadata blocks (§8.1).
pub mod block {
    /// STREAMINFO.
    pub const STREAMINFO: u8 = 0;
    /// SEEKTABLE.
    pub const SEEKTABLE: u8 = 3;
    /// VORBIS_COMMENT.
    pub const COMMENT: u8 = 4;
}

/// STREAMINFO (§8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Fewest samples in a block, the last one excepted.
    pub min_block: u16,
    /// Most samples in a block. Equal to `min_block` where the block size is fixed.
    pub max_block: u16,
    /// Largest frame in bytes; 0 where it is not known.
    pub max_frame: u32,
    /// Samples per second. Never 0.
    pub rate: u32,
    /// 1 to 8.
    pub channels: u8,
    /// Bits per sample, 4 to 32.
    pub bits: u8,
    /// Samples per channel in the stream; 0 where it is not known.
    pub total: u64,
    /// The block as it came.
    raw: [u8; STREAMINFO_SIZE],
}

impl StreamInfo {
    /// Reads the block without its header. `None`: cut, or values that the format forbids.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let raw: [u8; STREAMINFO_SIZE] = *body.first_chunk()?;
        let mut r = BitReader::new(&raw);
        let (min_block, max_block) = (r.bits(16)? as u16, r.bits(16)? as u16);
        r.skip(24)?;
        let max_frame = r.bits(24)?;
        let rate = r.bits(20)?;
        let channels = r.bits(3)? as u8 + 1;
        let bits = r.bits(5)? as u8 + 1;
        let total = u64::from(r.bits(4)?) << 32 | u64::from(r.bits(32)?);
        // §8.2 asks for 16 samples in a block at least; muxers of live streams write 0, and the frames tell.
        (rate > 0 && bits >= 4 && min_block <= max_block).then_some(Self {
            min_block,
            max_block,
            max_frame,
            rate,
            channels,
            bits,
            total,
            raw,
        })
    }

    /// Reads the STREAMINFO in the body of a `dfLa` box (Encapsulation of FLAC in ISOBMFF §3.3.2).
    pub fn parse_dfla(body: &[u8]) -> Option<Self> {
        let mut r = ByteReader::new(body);
        r.skip(4)?;
        Self::parse_blocks(r.rest())
    }

    /// Reads CodecPrivate of Matroska: `fLaC` and the metadata blocks.
    pub fn from_codec_private(private: &[u8]) -> Option<Self> {
        Self::parse_blocks(private.strip_prefix(b"fLaC").unwrap_or(private))
    }

    /// The STREAMINFO block is the first, with its header.
    fn parse_blocks(blocks: &[u8]) -> Option<Self> {
        let (header, body) = blocks.split_first_chunk()?;
        let header = BlockHeader::parse(*header);
        (header.kind == block::STREAMINFO && header.size as usize >= STREAMINFO_SIZE)
            .then(|| Self::parse(body))?
    }

    /// CodecPrivate of Matroska: `fLaC` and this block as the last one.
    pub fn codec_private(&self) -> Vec<u8> {
        [b"fLaC\x80\0\0\x22", &self.raw[..]].concat()
    }

    /// The whole sample entry `fLaC` with its `dfLa` (Encapsulation of FLAC in ISOBMFF §3.3): STREAMINFO alone, the other
    /// blocks say nothing to a decoder.
    pub fn sample_entry(&self) -> Vec<u8> {
        let mut w = ByteWriter::new();
        write_audio_entry(&mut w, b"fLaC", self.channels.into(), self.rate, |w| {
            w.full_boxed(b"dfLa", 0, 0, |w| {
                w.u32(0x8000_0000 | STREAMINFO_SIZE as u32);
                w.bytes(&self.raw);
            });
        });
        let mut entry = w.into_vec();
        // `samplesize`, where the shared writer has 16.
        if let Some(bits) = entry.get_mut(27) {
            *bits = self.bits;
        }
        entry
    }

    /// Most bytes that a frame with this header can have: all subframes verbatim (§9.2), with one more bit for the side channel,
    /// wasted bits and the footer.
    pub fn frame_limit(&self, header: &FrameHeader) -> usize {
        let bits = u64::from(header.bits.unwrap_or(self.bits)) + 1;
        let channel = 8 + (u64::from(header.block_size) * bits).div_ceil(8);
        FrameHeader::MAX_SIZE + header.channels as usize * channel as usize + 2
    }

    /// Whether a frame header agrees with this stream.
    pub fn agrees(&self, header: &FrameHeader) -> bool {
        header.channels == self.channels
            && header.rate.is_none_or(|r| r == self.rate)
            && header.bits.is_none_or(|b| b == self.bits)
            && (self.max_block == 0 || header.block_size <= u32::from(self.max_block))
    }
}

/// Header of a metadata block (§8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Whether frames follow the block.
    pub last: bool,
    /// See [`block`].
    pub kind: u8,
    /// Bytes that follow.
    pub size: u32,
}

impl BlockHeader {
    /// Reads the four bytes.
    pub fn parse(bytes: [u8; 4]) -> Self {
        let value = u32::from_be_bytes(bytes);
        Self { last: value >> 31 == 1, kind: (value >> 24 & 0x7f) as u8, size: value & 0xff_ffff }
    }
}

/// A place to seek to (§8.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeekPoint {
    /// First sample of the frame.
    pub sample: u64,
    /// Bytes from the first frame of the file to this one.
    pub offset: u64,
}

/// The points of a SEEKTABLE block, without placeholders and without those that are out of order.
pub fn seek_table(body: &[u8]) -> Vec<SeekPoint> {
    let mut out: Vec<SeekPoint> = Vec::new();
    for point in body.chunks_exact(18) {
        let mut r = ByteReader::new(point);
        let (Some(sample), Some(offset)) = (r.u64(), r.u64()) else { break };
        let follows = out.last().is_none_or(|l| l.sample < sample && l.offset < offset);
        if sample != u64::MAX && follows {
            out.push(SeekPoint { sample, offset });
        }
    }
    out
}

/// A frame header (§9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether `number` counts samples; else frames.
    pub variable: bool,
    /// Samples per channel. Never 0.
    pub block_size: u32,
    /// Samples per second; `None`: as STREAMINFO says.
    pub rate: Option<u32>,
    /// 1 to 8.
    pub channels: u8,
    /// Bits per sample; `None`: as STREAMINFO says.
    pub bits: Option<u8>,
    /// Number of the frame or of its first sample.
    pub number: u64,
    /// Bytes of the header, its CRC included.
    pub size: usize,
}

/// What bytes are, where a frame header may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrame {
    /// A header.
    Got(FrameHeader),
    /// Perhaps the start of one: more bytes will tell.
    Short,
    /// None.
    Bad,
}

impl FrameHeader {
    /// Most bytes of a header.
    pub const MAX_SIZE: usize = 16;

    /// Reads and checks a header with its CRC-8.
    pub fn parse(bytes: &[u8]) -> ReadFrame {
        match bytes {
            [] | [0xff] => return ReadFrame::Short,
            [0xff, 0xf8 | 0xf9, ..] => {}
            _ => return ReadFrame::Bad,
        }
        let window = &bytes[..bytes.len().min(Self::MAX_SIZE)];
        match Self::read(window) {
            None => ReadFrame::Short,
            Some(None) => ReadFrame::Bad,
            Some(Some(header)) => ReadFrame::Got(header),
        }
    }

    /// `None`: too short; `Some(None)`: no header.
    fn read(bytes: &[u8]) -> Option<Option<Self>> {
        let mut r = ByteReader::new(bytes);
        r.skip(1)?;
        let variable = r.u8()? & 1 == 1;
        let sizes = r.u8()?;
        let (block_code, rate_code) = (sizes >> 4, sizes & 15);
        if block_code == 0 || rate_code == 15 {
            return Some(None);
        }
        let layout = r.u8()?;
        let (channel_code, bits_code) = (layout >> 4, layout >> 1 & 7);
        let bits = match bits_code {
            0 => None,
            3 => return Some(None),
            code => Some([8, 12, 0, 16, 20, 24, 32][usize::from(code - 1)]),
        };
        if layout & 1 != 0 || channel_code > 10 {
            return Some(None);
        }
        // A number coded like UTF-8, up to 36 bits (§9.1.5).
        let first = r.u8()?;
        let more = first.leading_ones();
        let mut number = match more {
            0 => u64::from(first),
            2..=7 => u64::from(first) & ((1 << (7 - more)) - 1),
            _ => return Some(None),
        };
        for _ in 1..more {
            let byte = r.u8()?;
            if byte >> 6 != 0b10 {
                return Some(None);
            }
            number = number << 6 | u64::from(byte & 63);
        }
        let block_size = match block_code {
            1 => 192,
            2..=5 => 144u32 << block_code,
            6 => u32::from(r.u8()?) + 1,
            7 => u32::from(r.u16()?) + 1,
            code => 1 << code,
        };
        let rate = match rate_code {
            0 => None,
            12 => Some(u32::from(r.u8()?) * 1000),
            13 => Some(u32::from(r.u16()?)),
            14 => Some(u32::from(r.u16()?) * 10),
            code => Some(RATES[usize::from(code - 1)]),
        };
        let size = r.position();
        // (No mutation would get past it.)
        let right = r.u8()? == crc8(&bytes[..size]) || cfg!(fuzzing);
        if !right || rate == Some(0) {
            return Some(None);
        }
        let channels = if channel_code < 8 { channel_code + 1 } else { 2 };
        Some(Some(Self { variable, block_size, rate, channels, bits, number, size: size + 1 }))
    }

    /// First sample of the frame. Frames of fixed size all have as many samples as `info` says, but for the last.
    pub fn first_sample(&self, info: &StreamInfo) -> u64 {
        match (self.variable, info.max_block) {
            (true, _) => self.number,
            (false, 0) => self.number.saturating_mul(self.block_size.into()),
            (false, fixed) => self.number.saturating_mul(fixed.into()),
        }
    }

    /// Whether `next` can be the header of the frame after this one.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        let step = if self.variable { self.block_size } else { 1 };
        next.variable == self.variable && next.number == self.number.saturating_add(step.into())
    }
}

const RATES: [u32; 11] =
    [88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

/// CRC-8 of a frame header (§9.1.8): x^8 + x^2 + x + 1.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 })
    })
}

/// CRC-16 of a frame (§9.3): x^16 + x^15 + x^2 + 1. Begins with 0 and goes on; a frame with its footer gives 0.
pub fn crc16(crc: u16, bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = (i as u16) << 8;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    bytes.iter().fold(crc, |crc, &byte| crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> StreamInfo {
        let mut body = vec![0x10, 0, 0x10, 0, 0, 0, 14, 0, 0x10, 0];
        body.extend_from_slice(&[0x0b, 0xb8, 0x03, 0x70, 0, 0, 0xac, 0x44]);
        body.extend_from_slice(&[0; 16]);
        StreamInfo::parse(&body).unwrap()
    }

    fn header(bytes: &[u8]) -> Vec<u8> {
        [bytes, &[crc8(bytes)]].concat()
    }

    fn got(bytes: &[u8]) -> FrameHeader {
        match FrameHeader::parse(bytes) {
            ReadFrame::Got(header) => header,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn streaminfo_survives_every_wrapping() {
        let info = info();
        assert_eq!((info.rate, info.channels, info.bits, info.total), (48_000, 2, 24, 0xac44));
        assert_eq!((info.min_block, info.max_block, info.max_frame), (4096, 4096, 4096));
        let entry = info.sample_entry();
        assert_eq!(StreamInfo::parse_dfla(&entry[36 + 8..]), Some(info));
        assert_eq!((&entry[4..8], &entry[24..28]), (&b"fLaC"[..], &[0, 2, 0, 24][..]));
        assert_eq!(StreamInfo::from_codec_private(&info.codec_private()), Some(info));
        assert_eq!(StreamInfo::parse(&[0; 34]), None);
        assert_eq!(StreamInfo::parse(&info.raw[..33]), None);
    }

    #[test]
    fn frame_headers_give_size_number_and_format() {
        let h = got(&header(&[0xff, 0xf8, 0xca, 0x1c, 0xc2, 0x80]));
        assert_eq!((h.block_size, h.rate, h.channels, h.bits), (4096, Some(48_000), 2, Some(24)));
        assert_eq!((h.number, h.size, h.first_sample(&info())), (128, 7, 128 * 4096));
        assert!(info().agrees(&h));
        let next = got(&header(&[0xff, 0xf8, 0x7a, 0x1c, 0xc2, 0x81, 0x01, 0x00]));
        assert_eq!(next.block_size, 257);
        assert!(h.is_followed_by(&next) && !next.is_followed_by(&h));
        // Samples numbered in 36 bits, rate in tens.
        let v = got(&header(&[0xff, 0xf9, 0x1e, 0, 0xfe, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf, 0x11, 0x3a]));
        assert_eq!((v.number, v.block_size, v.rate, v.bits), ((1 << 36) - 1, 192, Some(44_100), None));
        assert_eq!(v.first_sample(&info()), (1 << 36) - 1);
    }

    #[test]
    fn what_is_no_frame_header_is_told_from_what_is_cut() {
        let whole = header(&[0xff, 0xf8, 0xca, 0x1c, 0xc2, 0x80]);
        for n in 0..whole.len() {
            assert_eq!(FrameHeader::parse(&whole[..n]), ReadFrame::Short);
        }
        for (at, value) in [
            (0, 0xfe),
            (1, 0xfa),
            (2, 0x0a),
            (2, 0xcf),
            (3, 0xbc),
            (3, 0x1d),
            (3, 0x16),
            (4, 0x80),
            (5, 0),
            (6, 1),
        ] {
            let mut bad = whole.clone();
            bad[at] = value;
            assert_eq!(FrameHeader::parse(&bad), ReadFrame::Bad, "{at}");
        }
    }

    #[test]
    fn checksums_are_those_of_the_format() {
        assert_eq!((crc8(b"123456789"), crc16(0, b"123456789")), (0xf4, 0xfee8));
        assert_eq!(crc16(crc16(0, b"12345"), b"6789\xfe\xe8"), 0);
    }

    #[test]
    fn seek_tables_lose_placeholders_and_disorder() {
        let mut body = Vec::new();
        for (sample, offset) in [(0u64, 0u64), (4096, 900), (4096, 950), (u64::MAX, 0), (8192, 1800)] {
            body.extend_from_slice(&sample.to_be_bytes());
            body.extend_from_slice(&offset.to_be_bytes());
            body.extend_from_slice(&[0x10, 0]);
        }
        body.push(1);
        assert_eq!(
            seek_table(&body),
            [(0, 0), (4096, 900), (8192, 1800)].map(|(sample, offset)| SeekPoint { sample, offset })
        );
    }
}
