//! Vorbis: headers, comments, durations of packets (Vorbis I specification; RFC 7845 §5.2 and RFC 9639 §8.6 for comments).
//!
//! No engine takes Vorbis in MP4: there is no sample entry. WebM wants the three headers laced ([`lace`]).

/// Longest comment that is kept, in bytes; longer ones are cover images and the like.
const MAX_COMMENT: usize = 8 << 10;

/// Comments kept of one header.
const MAX_COMMENTS: usize = 256;

/// Packet types (§4.2.1).
const IDENTIFICATION: u8 = 1;
const COMMENT: u8 = 3;
const SETUP: u8 = 5;

/// A comment header that says nothing (§5.2.1): no vendor, no comments, the framing bit.
///
/// It stands for the real one in [`Headers::codec_private`]: that can hold a cover of megabytes, and each title of a
/// radio station would else look like a change of the decoder's configuration.
const EMPTY_COMMENT: [u8; 16] = [COMMENT, b'v', b'o', b'r', b'b', b'i', b's', 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn body(packet: &[u8], kind: u8) -> Option<&[u8]> {
    packet.strip_prefix(&[kind])?.strip_prefix(b"vorbis")
}

/// The identification header (§4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identification {
    /// Never 0.
    pub channels: u8,
    /// Samples per second. Never 0.
    pub rate: u32,
    /// Samples in a short and in a long block, as logarithms to base 2: 6 to 13.
    pub block_exponents: [u8; 2],
}

impl Identification {
    /// Reads the packet. `None` for anything else, or values that the specification forbids.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (&[v0, v1, v2, v3, channels, r0, r1, r2, r3], rest) =
            body(packet, IDENTIFICATION)?.split_first_chunk()?;
        let &blocks = rest.get(12)?;
        let this = Self {
            channels,
            rate: u32::from_le_bytes([r0, r1, r2, r3]),
            block_exponents: [blocks & 15, blocks >> 4],
        };
        let [short, long] = this.block_exponents;
        let valid = [v0, v1, v2, v3] == [0; 4]
            && channels > 0
            && this.rate > 0
            && (6..=13).contains(&short)
            && (short..=13).contains(&long);
        valid.then_some(this)
    }
}

/// What of the setup header (§4.2.4) tells the size of a packet's block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// How many: 1 to 64.
    count: u8,
    /// Bit `n`: mode `n` has long blocks.
    long: u64,
}

impl Modes {
    /// Finds the mode configurations at the end of the setup header.
    ///
    /// What comes before them has no length of its own and could only be passed over by reading all codebooks, floors and
    /// residues. So they are read from the end, as other demuxers do: the framing bit, then modes of 41 bits of which 32 must be 0, until
    /// six bits give their number.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        const MODE: usize = 1 + 16 + 16 + 8;
        let data = body(packet, SETUP)?;
        let last = data.iter().rposition(|&b| b != 0)?;
        // Bits are packed from the least significant up (§2.1.4).
        let framing = last * 8 + 7 - data[last].leading_zeros() as usize;
        let bits = |at: usize, n: usize| -> u32 {
            (0..n).fold(0, |v, i| {
                let byte = data.get((at + i) / 8).copied().unwrap_or(0);
                v | u32::from(byte >> ((at + i) % 8) & 1) << i
            })
        };
        let mut found = None;
        for count in 1..=64usize {
            let Some(start) = framing.checked_sub(count * MODE + 6).map(|p| p + 6) else { break };
            if bits(start + 1, 16) != 0 || bits(start + 17, 16) != 0 || bits(start + 33, 8) > 63 {
                break;
            }
            if bits(start - 6, 6) as usize + 1 == count {
                let long = (0..count).fold(0u64, |long, i| long | u64::from(bits(start + i * MODE, 1)) << i);
                found = Some(Self { count: count as u8, long });
            }
        }
        found
    }
}

/// The headers that decoding needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Channels, rate, block sizes.
    pub identification: Identification,
    modes: Modes,
    first: Vec<u8>,
    setup: Vec<u8>,
}

impl Headers {
    /// From the first and the third header packet.
    pub fn new(identification: &[u8], setup: &[u8]) -> Option<Self> {
        Some(Self {
            identification: Identification::parse(identification)?,
            modes: Modes::parse(setup)?,
            first: identification.to_vec(),
            setup: setup.to_vec(),
        })
    }

    /// From CodecPrivate of Matroska.
    pub fn from_codec_private(private: &[u8]) -> Option<Self> {
        let [first, _, setup] = unlace(private)?;
        Self::new(first, setup)
    }

    /// CodecPrivate of Matroska: the three headers, with an empty one for the comments.
    pub fn codec_private(&self) -> Vec<u8> {
        lace([&self.first, &EMPTY_COMMENT, &self.setup])
    }

    /// Samples in the block of an audio packet, from its first bytes (§4.3.1). `None` for what is no audio packet.
    pub fn block_size(&self, packet: &[u8]) -> Option<u32> {
        let first = *packet.first()?;
        if first & 1 != 0 {
            return None;
        }
        // ilog(count - 1) bits: 6 at most, all in the first byte.
        let bits = 8 - (self.modes.count - 1).leading_zeros();
        let mode = (u32::from(first) >> 1) & ((1 << bits) - 1);
        if mode >= u32::from(self.modes.count) {
            return None;
        }
        let long = usize::from(self.modes.long >> mode & 1 == 1);
        Some(1 << self.identification.block_exponents[long])
    }
}

/// Samples that a packet decodes to after one with a block of `previous` samples (§4.3.8). The first packet gives none.
pub fn packet_duration(previous: u32, block: u32) -> u32 {
    previous / 4 + block / 4
}

/// Laces the three headers as Matroska has them in CodecPrivate (Matroska codec specifications, A_VORBIS).
pub fn lace(headers: [&[u8]; 3]) -> Vec<u8> {
    let [a, b, c] = headers;
    let mut out = Vec::with_capacity(16 + a.len() + b.len() + c.len());
    out.push(2);
    for header in [a, b] {
        out.resize(out.len() + header.len() / 255, 255);
        out.push((header.len() % 255) as u8);
    }
    for header in headers {
        out.extend_from_slice(header);
    }
    out
}

/// Takes laced headers apart. `None`: broken, or not three.
pub fn unlace(private: &[u8]) -> Option<[&[u8]; 3]> {
    let mut rest = private.strip_prefix(&[2])?;
    let mut sizes = [0usize; 2];
    for size in &mut sizes {
        loop {
            let (&b, after) = rest.split_first()?;
            rest = after;
            *size += usize::from(b);
            if b != 255 {
                break;
            }
        }
    }
    let (a, rest) = rest.split_at_checked(sizes[0])?;
    let (b, c) = rest.split_at_checked(sizes[1])?;
    Some([a, b, c])
}

/// The comments of a comment header packet of Vorbis (§5.2.1).
pub fn comments(packet: &[u8]) -> Option<Vec<(String, String)>> {
    body(packet, COMMENT).map(read_comments)
}

/// Names and values of a comment block without its head, as Vorbis, Opus (`OpusTags`) and FLAC (`VORBIS_COMMENT`) have it.
/// Names become upper case; images and other oversized values are left out. What is cut is read as far as it goes.
pub fn read_comments(block: &[u8]) -> Vec<(String, String)> {
    fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (value, after) = after.split_at_checked(length)?;
        *rest = after;
        Some(value)
    }
    let mut rest = block;
    let mut out = Vec::new();
    let count = (field(&mut rest).is_some()).then(|| rest.split_first_chunk()).flatten();
    let Some((count, after)) = count else { return out };
    rest = after;
    for _ in 0..u32::from_le_bytes(*count) {
        let Some(comment) = field(&mut rest) else { break };
        let Some(equals) = comment.iter().position(|&b| b == b'=') else { continue };
        if comment.len() <= MAX_COMMENT && out.len() < MAX_COMMENTS {
            let name = String::from_utf8_lossy(&comment[..equals]).to_ascii_uppercase();
            if name != "METADATA_BLOCK_PICTURE" && name != "COVERART" {
                out.push((name, String::from_utf8_lossy(&comment[equals + 1..]).into_owned()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [u8; 30] = [
        1, b'v', b'o', b'r', b'b', b'i', b's', 0, 0, 0, 0, 2, 0x44, 0xac, 0, 0, 0, 0, 0, 0, 0, 0xee, 2, 0, 0,
        0, 0, 0, 0xb8, 1,
    ];

    /// A setup header of nothing but garbage, modes and the framing bit.
    fn setup(modes: &[(bool, u8)]) -> Vec<u8> {
        let mut bits: Vec<bool> = (0..203).map(|i| i % 3 != 0).collect();
        let mut put = |value: usize, n: usize| bits.extend((0..n).map(|i| value >> i & 1 == 1));
        put(modes.len() - 1, 6);
        for &(long, mapping) in modes {
            put(usize::from(long), 1);
            put(0, 32);
            put(mapping.into(), 8);
        }
        put(1, 1);
        let mut out = vec![5];
        out.extend_from_slice(b"vorbis");
        out.extend(bits.chunks(8).map(|c| c.iter().rev().fold(0u8, |v, &b| v << 1 | u8::from(b))));
        out
    }

    #[test]
    fn block_sizes_follow_from_the_mode_of_a_packet() {
        let headers = Headers::new(&FIRST, &setup(&[(false, 0), (true, 1)])).unwrap();
        assert_eq!((headers.identification.channels, headers.identification.rate), (2, 44_100));
        assert_eq!([0b00, 0b10, 0b01].map(|b| headers.block_size(&[b])), [Some(256), Some(2048), None]);
        assert_eq!(headers.block_size(&[]), None);
        assert_eq!(packet_duration(256, 2048), 576);
        // One mode needs no bits; five need three.
        let one = Headers::new(&FIRST, &setup(&[(true, 0)])).unwrap();
        assert_eq!(one.block_size(&[0b10]), Some(2048));
        let five = Headers::new(&FIRST, &setup(&[(false, 0), (true, 1), (false, 2), (false, 3), (true, 0)]));
        let five = five.unwrap();
        assert_eq!([0b1000, 0b0110, 0b1010].map(|b| five.block_size(&[b])), [Some(2048), Some(256), None]);
    }

    #[test]
    fn damaged_headers_are_refused() {
        for n in 0..FIRST.len() - 1 {
            assert_eq!(Identification::parse(&FIRST[..n]), None);
        }
        for (at, value) in [(7, 1), (11, 0), (28, 0x8b), (28, 0xe8), (28, 0x85)] {
            let mut first = FIRST;
            first[at] = value;
            assert_eq!(Identification::parse(&first), None, "{at}");
        }
        assert_eq!(Modes::parse(b"\x05vorbis"), None);
        assert_eq!(Modes::parse(b"\x05vorbis\0\0\0"), None);
        assert_eq!(Modes::parse(&[b"\x05vorbis", &[0xff; 300][..]].concat()), None);
        let setup = setup(&[(false, 0), (true, 1)]);
        for n in 0..setup.len() {
            let _ = Modes::parse(&setup[..n]);
        }
    }

    #[test]
    fn codec_private_laces_the_headers() {
        let (first, long) = (vec![7; 255], vec![8; 600]);
        let laced = lace([&first, &long, &[9; 3]]);
        assert_eq!(laced[..6], [2, 255, 0, 255, 255, 90]);
        assert_eq!(unlace(&laced), Some([&first[..], &long, &[9; 3]]));
        assert_eq!([unlace(&laced[..500]), unlace(&[1, 0]), unlace(&[2, 255])], [None; 3]);
        let headers = Headers::new(&FIRST, &setup(&[(true, 0)])).unwrap();
        assert_eq!(Headers::from_codec_private(&headers.codec_private()), Some(headers));
    }

    #[test]
    fn comments_are_read_as_far_as_they_go() {
        let mut block = vec![2, 0, 0, 0, b'm', b'e', 4, 0, 0, 0];
        let image = [b"METADATA_BLOCK_PICTURE=", &[b'A'; 9000][..]].concat();
        for c in ["title=Größe = 1".as_bytes(), b"nothing", &image, b"ARTIST="] {
            block.extend_from_slice(&(c.len() as u32).to_le_bytes());
            block.extend_from_slice(c);
        }
        let title = ("TITLE".to_owned(), "Größe = 1".to_owned());
        assert_eq!(read_comments(&block), [title.clone(), ("ARTIST".to_owned(), String::new())]);
        assert_eq!(read_comments(&block[..block.len() - 1]), [title]);
        assert_eq!(read_comments(&[0xff; 40]), []);
        assert_eq!(comments(&EMPTY_COMMENT), Some(Vec::new()));
    }
}
