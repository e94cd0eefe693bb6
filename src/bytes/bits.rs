//! Bits, most significant first, as the video and audio headers have them.

/// A cursor over bits. Reads return `None` past the end.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    pos: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the most significant bit of the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }

    /// Bits left.
    pub fn remaining(&self) -> usize {
        self.data.len() * 8 - self.pos
    }

    /// Reads one bit.
    pub fn bit(&mut self) -> Option<bool> {
        let byte = *self.data.get(self.pos / 8)?;
        let bit = byte >> (7 - self.pos % 8) & 1;
        self.pos += 1;
        Some(bit == 1)
    }

    /// Reads up to 32 bits as a number.
    pub fn bits(&mut self, n: u32) -> Option<u32> {
        debug_assert!(n <= 32);
        if (n as usize) > self.remaining() {
            return None;
        }
        let mut value = 0u32;
        for _ in 0..n {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    /// Passes over `n` bits.
    pub fn skip(&mut self, n: usize) -> Option<()> {
        if n > self.remaining() {
            return None;
        }
        self.pos += n;
        Some(())
    }

    /// Reads an unsigned exp-Golomb code, `ue(v)` (ISO/IEC 14496-10 §9.1). `None` for codes over 32 bits.
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let suffix = self.bits(zeros)?;
        Some(((1u64 << zeros) - 1 + u64::from(suffix)) as u32)
    }

    /// Reads a signed exp-Golomb code, `se(v)` (ISO/IEC 14496-10 §9.1.1).
    pub fn se(&mut self) -> Option<i32> {
        let k = i64::from(self.ue()?);
        Some(if k & 1 == 1 { (k + 1) / 2 } else { -(k / 2) } as i32)
    }
}

/// Writes bits, most significant first, for the few bytes of a configuration.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    out: Vec<u8>,
    used: u32,
}

impl BitWriter {
    /// Writes the low `n` bits of `value`.
    pub fn put(&mut self, value: u32, n: u32) {
        for i in (0..n).rev() {
            if self.used.is_multiple_of(8) {
                self.out.push(0);
            }
            if let Some(last) = self.out.last_mut() {
                *last |= (((value >> i) & 1) as u8) << (7 - self.used % 8);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// What was written; the last byte is filled with zeros.
    pub fn into_vec(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_read_as_the_specification_lists_them() {
        // 1 | 010 | 011 | 00100 | padding
        let mut r = BitReader::new(&[0b1010_0110, 0b0100_0000]);
        assert_eq!([r.ue(), r.ue(), r.ue(), r.ue()], [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(BitReader::new(&[0b0110_0000]).se(), Some(-1));
        assert_eq!(BitReader::new(&[0]).ue(), None);
    }
}
