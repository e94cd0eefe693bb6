//! Undoes zlib's compression (RFC 1950, RFC 1951), in few bytes of code: what is compressed in Matroska is small.

/// Longest code (RFC 1951 §3.2.7).
const MAX_BITS: usize = 15;

/// The bits of the data, from the lowest of each byte on.
struct Bits<'a> {
    data: &'a [u8],
    pos: usize,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    /// The next `n` bits, 16 at most, the first one lowest.
    fn take(&mut self, n: u32) -> Option<usize> {
        while self.count < n {
            self.held |= u32::from(*self.data.get(self.pos)?) << self.count;
            self.pos += 1;
            self.count += 8;
        }
        let value = self.held & ((1 << n) - 1);
        self.held >>= n;
        self.count -= n;
        Some(value as usize)
    }
}

/// A Huffman code (§3.2.2): how many codes there are of each length, and their symbols in order.
struct Code {
    counts: [u16; MAX_BITS + 1],
    symbols: Vec<u16>,
}

impl Code {
    /// From the lengths of the codes by symbol; `None` for more codes than there can be.
    fn new(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0u16; MAX_BITS + 1];
        let mut symbols = Vec::with_capacity(lengths.len());
        let mut left = 1i32;
        for (bits, count) in counts.iter_mut().enumerate().skip(1) {
            let of_length = (0u16..).zip(lengths).filter(|(_, length)| usize::from(**length) == bits);
            let before = symbols.len();
            symbols.extend(of_length.map(|(symbol, _)| symbol));
            *count = (symbols.len() - before) as u16;
            left = 2 * left - i32::from(*count);
            if left < 0 {
                return None;
            }
        }
        Some(Self { counts, symbols })
    }

    /// Reads a symbol. Codes of one length are numbers in a row, and go on where the shorter ones end.
    fn read(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for &count in &self.counts[1..] {
            let count = usize::from(count);
            code |= bits.take(1)?;
            if code < first + count {
                return self.symbols.get(index + code - first).map(|&symbol| symbol.into());
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// Decompresses zlib's format to `out`. `None`: it is malformed, or more than `most` bytes come of it.
pub(super) fn inflate(data: &[u8], most: usize, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    let (&[method, flags], rest) = data.split_first_chunk()?;
    // Deflate, and no dictionary.
    if method & 15 != 8 || flags & 0x20 != 0 || u16::from_be_bytes([method, flags]) % 31 != 0 {
        return None;
    }
    let mut bits = Bits { data: rest, pos: 0, held: 0, count: 0 };
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(&mut bits, most, out)?,
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                block(&mut bits, &Code::new(&lengths)?, &Code::new(&[5; 30])?, most, out)?;
            }
            2 => {
                let (literals, distances) = codes(&mut bits)?;
                block(&mut bits, &literals, &distances, most, out)?;
            }
            _ => return None,
        }
        if last {
            break;
        }
    }
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in &*out {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let told = rest.get(bits.pos - (bits.count / 8) as usize..)?.first_chunk()?;
    (u32::from_be_bytes(*told) == b << 16 | a).then_some(())
}

/// A block without compression (§3.2.4).
fn stored(bits: &mut Bits<'_>, most: usize, out: &mut Vec<u8>) -> Option<()> {
    bits.take(bits.count % 8)?;
    let (size, not) = (bits.take(16)?, bits.take(16)?);
    if size ^ not != 0xffff || size > most.saturating_sub(out.len()) {
        return None;
    }
    // Whole bytes may be held.
    bits.pos -= (bits.count / 8) as usize;
    (bits.held, bits.count) = (0, 0);
    out.extend_from_slice(bits.data.get(bits.pos..bits.pos + size)?);
    bits.pos += size;
    Some(())
}

/// The codes that a block brings along (§3.2.7).
fn codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (literals, distances, count) = (bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4);
    let mut lengths = [0; 19];
    for &place in ORDER.iter().take(count) {
        lengths[usize::from(place)] = bits.take(3)? as u8;
    }
    let code = Code::new(&lengths)?;
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.read(bits)? {
            16 => (*lengths.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length as u8, 1),
        };
        lengths.resize(lengths.len() + times, length);
    }
    if lengths.len() > literals + distances {
        return None;
    }
    let (literals, distances) = lengths.split_at(literals);
    Some((Code::new(literals)?, Code::new(distances)?))
}

/// A block of literals and repetitions (§3.2.5).
fn block(
    bits: &mut Bits<'_>,
    literals: &Code,
    distances: &Code,
    most: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    loop {
        let symbol = literals.read(bits)?;
        if symbol < 256 {
            if out.len() >= most {
                return None;
            }
            out.push(symbol as u8);
            continue;
        }
        // Each four codes of lengths, and each two of distances, have a bit more than those before.
        let length = match symbol - 256 {
            0 => return Some(()),
            code @ 1..=8 => code + 2,
            29 => 258,
            code @ 9..=28 => {
                let extra = (code - 1) / 4 - 1;
                ((4 + (code - 1) % 4) << extra) + 3 + bits.take(extra as u32)?
            }
            _ => return None,
        };
        let distance = match distances.read(bits)? {
            code @ 0..=3 => code + 1,
            code @ 4..=29 => {
                let extra = code / 2 - 1;
                ((2 + code % 2) << extra) + 1 + bits.take(extra as u32)?
            }
            _ => return None,
        };
        let from = out.len().checked_sub(distance)?;
        if length > most - out.len() {
            return None;
        }
        for at in from..from + length {
            out.push(out[at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![9];
        inflate(data, 100_000, &mut out).map(|()| out)
    }

    /// zlib at level 9, 0 and 1: codes of its own, stored, fixed codes.
    const OWN: &[u8] =
        b"\x78\xda\xcd\xce\xb1\x15\x44\x41\x08\x42\xd1\x5a\xf5\xe0\x88\x32\x7f\xfa\x0f\x97\x32\x36\x23\x7a\
        \x17\xb0\x17\xc8\xd2\x3e\x84\x52\x55\x83\x02\x81\xd1\x4c\xe8\x74\x70\x17\x91\xd4\x0a\x50\xb2\x38\
        \x48\x78\x1f\xdd\x09\x9e\x0d\x17\x3a\x5c\xf8\xe4\x42\xd1\x85\x4e\x17\xfa\xb8\x00\xba\x20\x13\x51\
        \x26\xe4\x9d\xa4\x89\x6c\x13\xe7\x99\xe0\x98\xe8\xcf\x44\x3d\x13\xf1\x4c\xd4\x35\xc1\x36\x31\xd7\
        \x44\xe3\x3f\x4e\xfe\x00\xb2\xd2\x78\x3b";
    const STORED: &[u8] = b"\x78\x01\x01\x05\x00\xfa\xff\x68\x65\x6c\x6c\x6f\x06\x2c\x02\x15";
    const FIXED: &[u8] = b"\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15";

    #[test]
    fn blocks_of_each_kind_are_read() {
        assert_eq!(read(STORED).as_deref(), Some(&b"hello"[..]));
        assert_eq!(read(FIXED).as_deref(), Some(&b"hello"[..]));
        let text = (0..300u32).map(|i| 97 + (i * i * 7 + i / 3) % 11 + if i % 5 == 0 { 3 } else { 0 });
        assert_eq!(read(OWN), Some(text.map(|c| c as u8).collect()));
    }

    #[test]
    fn what_is_damaged_is_refused_within_its_bound() {
        for data in [OWN, STORED, FIXED] {
            let whole = read(data).unwrap();
            for n in 0..data.len() {
                assert_eq!(read(&data[..n]), None);
            }
            for bit in 0..data.len() * 8 {
                let mut bad = data.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(read(&bad).is_none_or(|out| out == whole), "bit {bit}");
            }
            assert_eq!(inflate(data, whole.len() - 1, &mut Vec::new()), None);
        }
    }
}
