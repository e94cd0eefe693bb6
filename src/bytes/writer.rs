//! Writing of boxes and big-endian fields into a growing buffer.

/// Writes big-endian fields and boxes (ISO/IEC 14496-12 §4.2) at the end of a `Vec<u8>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteWriter {
    out: Vec<u8>,
}

impl ByteWriter {
    /// Starts empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes at the end of `out`; [`Self::into_vec`] gives it back. Reuses its capacity.
    pub fn append_to(out: Vec<u8>) -> Self {
        Self { out }
    }

    /// What was written.
    pub fn as_slice(&self) -> &[u8] {
        &self.out
    }

    /// What was written.
    pub fn into_vec(self) -> Vec<u8> {
        self.out
    }

    /// Bytes written so far; the position of the next one.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Writes one byte.
    pub fn u8(&mut self, v: u8) {
        self.out.push(v);
    }

    /// Writes 16 bits.
    pub fn u16(&mut self, v: u16) {
        self.bytes(&v.to_be_bytes());
    }

    /// Writes the low 24 bits.
    pub fn u24(&mut self, v: u32) {
        let [_, a, b, c] = v.to_be_bytes();
        self.bytes(&[a, b, c]);
    }

    /// Writes 32 bits.
    pub fn u32(&mut self, v: u32) {
        self.bytes(&v.to_be_bytes());
    }

    /// Writes 64 bits.
    pub fn u64(&mut self, v: u64) {
        self.bytes(&v.to_be_bytes());
    }

    /// Writes 32 bits, two's complement.
    pub fn i32(&mut self, v: i32) {
        self.bytes(&v.to_be_bytes());
    }

    /// Writes 64 bits, two's complement.
    pub fn i64(&mut self, v: i64) {
        self.bytes(&v.to_be_bytes());
    }

    /// Writes bytes as they are: four-character codes too.
    pub fn bytes(&mut self, v: &[u8]) {
        self.out.extend_from_slice(v);
    }

    /// Writes `n` zero bytes.
    pub fn zeros(&mut self, n: usize) {
        self.out.resize(self.out.len() + n, 0);
    }

    /// Begins a box: writes a size of zero and the name. Returns what [`Self::close`] needs.
    #[must_use = "the box's size is written by `close`"]
    pub fn open(&mut self, name: &[u8; 4]) -> usize {
        let start = self.out.len();
        self.u32(0);
        self.bytes(name);
        start
    }

    /// Ends the box that `open` began at `start`: writes its size.
    pub fn close(&mut self, start: usize) {
        let size = (self.out.len() - start) as u32;
        self.set_u32(start, size);
    }

    /// Writes a box with what `body` writes into it.
    pub fn boxed(&mut self, name: &[u8; 4], body: impl FnOnce(&mut Self)) {
        let start = self.open(name);
        body(self);
        self.close(start);
    }

    /// Writes a full box (§4.2.2): version and the low 24 bits of `flags`, then what `body` writes.
    pub fn full_boxed(&mut self, name: &[u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Self)) {
        let start = self.open(name);
        self.u32(u32::from(version) << 24 | flags & 0xff_ffff);
        body(self);
        self.close(start);
    }

    /// Overwrites 32 bits that were written at `at` before.
    pub fn set_u32(&mut self, at: usize, v: u32) {
        self.out[at..at + 4].copy_from_slice(&v.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_boxes_carry_their_sizes() {
        let mut w = ByteWriter::new();
        w.boxed(b"moof", |w| {
            w.full_boxed(b"mfhd", 1, 0x0002_0003, |w| w.u32(7));
            w.u24(0x0001_0203);
        });
        assert_eq!(w.into_vec(), b"\0\0\0\x1bmoof\0\0\0\x10mfhd\x01\x02\0\x03\0\0\0\x07\x01\x02\x03");
    }
}
