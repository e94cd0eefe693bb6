//! Boxes (ISO/IEC 14496-12 §4.2): headers and the walk over the children of one that is in memory.

use crate::bytes::ByteReader;

/// A four-character code.
pub(crate) type FourCc = [u8; 4];

/// The header of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BoxHeader {
    /// Its type.
    pub name: FourCc,
    /// Bytes of the header: 8, or 16 with a 64-bit size.
    pub len: usize,
    /// Bytes of the body; `None`: up to the end of the file or of the parent.
    pub body: Option<u64>,
}

/// What the first bytes of a box say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderRead {
    /// The header.
    Complete(BoxHeader),
    /// So many bytes are needed in all.
    Needs(usize),
    /// The size is smaller than the header.
    Malformed,
}

impl BoxHeader {
    /// Reads the header that `bytes` begin with.
    pub fn read(bytes: &[u8]) -> HeaderRead {
        let mut r = ByteReader::new(bytes);
        let (Some(size), Some(name)) = (r.u32(), r.fourcc()) else { return HeaderRead::Needs(8) };
        let (len, size) = match size {
            0 => return HeaderRead::Complete(Self { name, len: 8, body: None }),
            1 => match r.u64() {
                Some(size) => (16, size),
                None => return HeaderRead::Needs(16),
            },
            size => (8, u64::from(size)),
        };
        match size.checked_sub(len as u64) {
            Some(body) => HeaderRead::Complete(Self { name, len, body: Some(body) }),
            None => HeaderRead::Malformed,
        }
    }
}

/// A box in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mp4Box<'a> {
    /// Its type.
    pub name: FourCc,
    /// After the header.
    pub body: &'a [u8],
    /// Header and body.
    pub whole: &'a [u8],
}

impl<'a> Mp4Box<'a> {
    /// The body as a full box (§4.2.2): version, flags, and a reader of what follows.
    pub fn full(&self) -> Option<(u8, u32, ByteReader<'a>)> {
        let mut r = ByteReader::new(self.body);
        let version = r.u8()?;
        let flags = r.u24()?;
        Some((version, flags, r))
    }

    /// The first child with the name.
    pub fn child(&self, name: &FourCc) -> Option<Mp4Box<'a>> {
        find(self.body, name)
    }
}

/// The boxes that `data` consists of. Ends at the first one that does not fit: what is cut off cannot be told from garbage.
#[derive(Clone, Debug)]
pub(crate) struct Boxes<'a> {
    rest: &'a [u8],
}

/// The boxes in `data`, one after the other.
pub(crate) fn boxes(data: &[u8]) -> Boxes<'_> {
    Boxes { rest: data }
}

/// The first box with the name in `data`.
pub(crate) fn find<'a>(data: &'a [u8], name: &FourCc) -> Option<Mp4Box<'a>> {
    boxes(data).find(|b| b.name == *name)
}

impl<'a> Boxes<'a> {
    /// What was not read as boxes.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Mp4Box<'a>;

    fn next(&mut self) -> Option<Mp4Box<'a>> {
        let HeaderRead::Complete(header) = BoxHeader::read(self.rest) else { return None };
        let end = match header.body {
            None => self.rest.len(),
            Some(body) => usize::try_from(body).ok()?.checked_add(header.len)?,
        };
        let whole = self.rest.get(..end)?;
        self.rest = &self.rest[end..];
        Some(Mp4Box { name: header.name, body: &whole[header.len..], whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_32_and_64_bits_and_to_the_end_are_read() {
        let data = b"\0\0\0\x09aaaa1\0\0\0\x01bbbb\0\0\0\0\0\0\0\x1222\0\0\0\0cccc333";
        let read: Vec<_> = boxes(data).map(|b| (b.name, b.body)).collect();
        assert_eq!(read, [(*b"aaaa", b"1".as_slice()), (*b"bbbb", b"22"), (*b"cccc", b"333")]);
    }

    #[test]
    fn absurd_sizes_end_the_walk() {
        for data in [
            b"\0\0\0\x07aaaa\0".as_slice(),
            b"\0\0\0\x09aaaa",
            b"\0\0\0\x01aaaa\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\x01aaaa\0\0\0\0\0\0\0\x0f",
            b"\0\0\0",
        ] {
            let mut walk = boxes(data);
            assert!(walk.next().is_none());
            assert_eq!(walk.rest(), data);
        }
    }
}
