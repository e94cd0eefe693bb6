//! Program specific information: sections, PAT, PMT (ISO/IEC 13818-1 §2.4.4).

use crate::bytes::ByteReader;

/// Longest section: 12 bits of length and the 3 bytes before it.
const MAX_SECTION: usize = 3 + 4093;

/// Puts the sections of one PID together.
#[derive(Clone, Debug, Default)]
pub struct SectionReader {
    pending: Vec<u8>,
    /// The start of a section was seen and nothing was lost since.
    in_sync: bool,
    /// A section has had the right CRC. Until then those with a wrong one are taken too: some multiplexers write a constant.
    checked: bool,
}

impl SectionReader {
    /// Forgets a section in progress.
    pub fn reset(&mut self) {
        self.pending.clear();
        self.in_sync = false;
    }

    /// Takes the payload of one packet and gives every section that it completes. `Err` tells of a section
    /// that is damaged.
    pub fn push(
        &mut self,
        unit_start: bool,
        payload: &[u8],
        section: &mut dyn FnMut(&[u8]),
    ) -> Result<(), &'static str> {
        let mut result = Ok(());
        let mut rest = payload;
        if unit_start {
            let Some((&pointer, tail)) = payload.split_first() else { return Ok(()) };
            let Some((before, after)) = tail.split_at_checked(usize::from(pointer)) else {
                self.reset();
                return Err("a section starts beyond its packet");
            };
            if self.in_sync && !self.pending.is_empty() {
                self.pending.extend_from_slice(before);
                result = self.complete(section);
            }
            self.pending.clear();
            self.in_sync = true;
            rest = after;
        }
        if self.in_sync {
            self.pending.extend_from_slice(rest);
            result = result.and(self.complete(section));
        }
        result
    }

    /// Gives out the sections that are complete at the start of `pending`.
    fn complete(&mut self, section: &mut dyn FnMut(&[u8])) -> Result<(), &'static str> {
        let mut result = Ok(());
        let mut used = 0;
        while let [table, high, low, ..] = self.pending[used..] {
            if table == 0xff {
                // Stuffing up to the end of the packet (§2.4.4).
                used = self.pending.len();
                break;
            }
            let size = 3 + (usize::from(high & 15) << 8 | usize::from(low));
            if size > MAX_SECTION {
                self.in_sync = false;
                result = Err("a section is longer than allowed");
                used = self.pending.len();
                break;
            }
            let Some(bytes) = self.pending.get(used..used + size) else { break };
            let right = crc32(bytes) == 0;
            self.checked |= right;
            if right || !self.checked {
                section(bytes);
            } else {
                result = Err("a section fails its CRC");
            }
            used += size;
        }
        self.pending.drain(..used);
        result
    }
}

/// CRC of annex A: 0 over a section with its own CRC. Bit by bit, for sections are few and a table is a kilobyte.
fn crc32(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &b in data {
        crc ^= u32::from(b) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
        }
    }
    crc
}

/// The fields after the length that all tables here share; the reader ends before the CRC.
struct TableHead<'a> {
    id: u16,
    current: bool,
    last_number: u8,
    body: ByteReader<'a>,
}

fn table(section: &[u8], table_id: u8) -> Option<TableHead<'_>> {
    let body = section.get(..section.len().checked_sub(4)?)?;
    let mut r = ByteReader::new(body);
    if r.u8()? != table_id {
        return None;
    }
    r.skip(2)?;
    let id = r.u16()?;
    let flags = r.u8()?;
    r.skip(1)?; // section_number
    let last_number = r.u8()?;
    Some(TableHead { id, current: flags & 1 == 1, last_number, body: r })
}

/// One section of the program association table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pat {
    /// `(program_number, PID of its PMT)`, without the network PID.
    pub programs: Vec<(u16, u16)>,
    /// `last_section_number`.
    pub last_number: u8,
}

impl Pat {
    /// Reads a section; `None` for other tables and for one that does not apply yet.
    pub fn parse(section: &[u8]) -> Option<Self> {
        let head = table(section, 0)?;
        let mut body = head.body;
        let mut programs = Vec::new();
        while let (Some(program), Some(pid)) = (body.u16(), body.u16()) {
            if program != 0 {
                programs.push((program, pid & 0x1fff));
            }
        }
        head.current.then_some(Self { programs, last_number: head.last_number })
    }
}

/// One elementary stream of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PmtStream {
    /// `stream_type` (table 2-34).
    pub stream_type: u8,
    /// `elementary_PID`.
    pub pid: u16,
    /// ISO 639-2 code of the language descriptor (§2.6.18).
    pub language: Option<[u8; 3]>,
    /// `format_identifier` of a registration descriptor (§2.6.8).
    pub registration: Option<[u8; 4]>,
    /// `channel_config_code` of an Opus descriptor.
    pub opus_channels: Option<u8>,
    /// Tags of all descriptors, for private data in stream type 6.
    pub tags: Vec<u8>,
}

/// The program map table of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pmt {
    /// `program_number`.
    pub program: u16,
    /// The streams in the order of the table.
    pub streams: Vec<PmtStream>,
}

impl Pmt {
    /// Reads a section; `None` for other tables and for one that does not apply yet.
    pub fn parse(section: &[u8]) -> Option<Self> {
        let head = table(section, 2)?;
        let mut r = head.body;
        r.skip(2)?; // PCR PID
        let info = r.u16()? & 0xfff;
        r.skip(usize::from(info))?;
        let mut streams = Vec::new();
        while let (Some(stream_type), Some(pid), Some(len)) = (r.u8(), r.u16(), r.u16()) {
            let mut descriptors = ByteReader::new(r.take(usize::from(len & 0xfff))?);
            let mut stream = PmtStream {
                stream_type,
                pid: pid & 0x1fff,
                language: None,
                registration: None,
                opus_channels: None,
                tags: Vec::new(),
            };
            while let (Some(tag), Some(len)) = (descriptors.u8(), descriptors.u8()) {
                let Some(body) = descriptors.take(usize::from(len)) else { break };
                stream.tags.push(tag);
                match tag {
                    0x05 => stream.registration = body.first_chunk().copied(),
                    // Extension descriptor with the tag that Opus took.
                    0x7f if body.first() == Some(&0x80) => stream.opus_channels = body.get(1).copied(),
                    0x0a => stream.language = body.first_chunk().copied(),
                    _ => {}
                }
            }
            streams.push(stream);
        }
        head.current.then_some(Self { program: head.id, streams })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(table: u8, id: u16, body: &[u8]) -> Vec<u8> {
        let len = body.len() + 9;
        let mut s = vec![table, 0xb0 | (len >> 8) as u8, len as u8, (id >> 8) as u8, id as u8, 0xc1, 0, 0];
        s.extend_from_slice(body);
        let crc = crc32(&s);
        s.extend_from_slice(&crc.to_be_bytes());
        s
    }

    #[test]
    fn sections_are_read_over_packet_borders_and_two_in_one_packet() {
        let a = section(0, 1, &[0, 1, 0xe1, 0]);
        let b = section(2, 1, &[0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 6, 0x0a, 4, b'd', b'e', b'u', 0]);
        let mut bytes = vec![0];
        bytes.extend_from_slice(&a);
        bytes.extend_from_slice(&b);
        bytes.extend_from_slice(&[0xff; 4]);
        for cut in 1..bytes.len() {
            let mut seen = Vec::new();
            let mut reader = SectionReader::default();
            reader.push(true, &bytes[..cut], &mut |s| seen.push(s.to_vec())).unwrap();
            reader.push(false, &bytes[cut..], &mut |s| seen.push(s.to_vec())).unwrap();
            assert_eq!(seen, [a.clone(), b.clone()], "cut at {cut}");
        }
        assert_eq!(Pat::parse(&a).unwrap().programs, [(1, 0x100)]);
        let pmt = Pmt::parse(&b).unwrap();
        assert_eq!((pmt.streams[0].stream_type, pmt.streams[0].pid), (0x1b, 0x100));
        assert_eq!(pmt.streams[0].language, Some(*b"deu"));
    }

    #[test]
    fn a_flipped_bit_is_told_and_the_section_not_given_where_checksums_are_right() {
        let good = section(0, 1, &[0, 1, 0xe1, 0]);
        for bit in 24..good.len() * 8 {
            let mut bytes = vec![0];
            bytes.extend_from_slice(&good);
            bytes[1 + bit / 8] ^= 1 << (bit % 8);
            let mut reader = SectionReader::default();
            let mut seen = 0;
            assert!(reader.push(true, &[&[0], &good[..]].concat(), &mut |_| seen += 1).is_ok());
            reader.reset();
            assert!(reader.push(true, &bytes, &mut |_| seen += 1).is_err());
            assert_eq!(seen, 1);
        }
    }
}
