//! The segment index (ISO/IEC 14496-12 §8.16.3), as the SegmentBase addressing of DASH uses it.

use crate::bytes::ByteReader;
use crate::error::{Code, PlayerError, Result};
use crate::time::{Ticks, Timescale};

use super::boxes::{BoxHeader, HeaderRead, Mp4Box, boxes};

/// A `sidx` box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentIndexBox {
    /// The track that it indexes.
    pub reference_id: u32,
    /// Of all times in it.
    pub timescale: Timescale,
    /// Presentation time at which the first reference begins.
    pub earliest: Ticks,
    /// Bytes between the end of this box and the first reference.
    pub first_offset: u64,
    /// In order, one after the other in time and in bytes.
    pub references: Vec<Reference>,
}

/// One entry of a `sidx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// It points to another `sidx` instead of media.
    pub is_index: bool,
    /// Bytes.
    pub size: u32,
    /// Ticks.
    pub duration: u32,
    /// The media begins with a stream access point.
    pub starts_with_sap: bool,
    /// 1 to 6, 0 unknown (ISO/IEC 14496-12 Annex I).
    pub sap_type: u8,
    /// Ticks from the start of the reference to the access point.
    pub sap_delta: u32,
}

/// A reference with its place in the file and in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Ticks, presentation time.
    pub start: Ticks,
    /// Ticks.
    pub duration: u32,
    /// Media begins with a stream access point.
    pub starts_with_sap: bool,
}

/// What one `sidx` says: media and, in a hierarchical index, the places of the indexes below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Of all times.
    pub timescale: Timescale,
    /// In order of time.
    pub items: Vec<IndexItem>,
}

/// One piece of an [`Index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexItem {
    /// A media subsegment.
    Media(IndexEntry),
    /// Another `sidx` stands at these bytes and takes the place of this item. The range covers the `sidx` and what it indexes where
    /// they are stored together, or the `sidx` alone.
    Nested(IndexEntry),
}

/// Entries of one file's index at most: a day and a half of fragments of a second. Indexes that refer to each other
/// many times over would fill the memory.
const MAX_ITEMS: usize = 1 << 17;

fn malformed(what: &'static str) -> PlayerError {
    PlayerError::new(Code::MediaMalformed, what)
}

impl SegmentIndexBox {
    fn parse(b: &Mp4Box<'_>) -> Option<Self> {
        let (version, _, mut r) = b.full()?;
        let reference_id = r.u32()?;
        let timescale = Timescale::new(r.u32()?)?;
        let (earliest, first_offset) = match version {
            0 => (i64::from(r.u32()?), u64::from(r.u32()?)),
            _ => (i64::try_from(r.u64()?).ok()?, r.u64()?),
        };
        r.skip(2)?;
        let count = usize::from(r.u16()?);
        if r.remaining() / 12 < count {
            return None;
        }
        let references = (0..count).map(|_| Reference::parse(&mut r)).collect::<Option<_>>()?;
        Some(Self { reference_id, timescale, earliest, first_offset, references })
    }

    /// The entries with their places, `end` being the file offset of the first byte after this box. An error where times
    /// or offsets leave 64 bits.
    pub fn resolve(&self, end: u64) -> Result<Index> {
        let overflow = || malformed("the sidx box points outside of any file");
        let mut offset = end.checked_add(self.first_offset).ok_or_else(overflow)?;
        let mut start = self.earliest;
        let mut items = Vec::with_capacity(self.references.len());
        for r in &self.references {
            let entry = IndexEntry {
                offset,
                size: r.size,
                start,
                duration: r.duration,
                starts_with_sap: r.starts_with_sap,
            };
            items.push(if r.is_index { IndexItem::Nested(entry) } else { IndexItem::Media(entry) });
            offset = offset.checked_add(r.size.into()).ok_or_else(overflow)?;
            start = start.checked_add(r.duration.into()).ok_or_else(overflow)?;
        }
        Ok(Index { timescale: self.timescale, items })
    }
}

impl Reference {
    fn parse(r: &mut ByteReader<'_>) -> Option<Self> {
        let size = r.u32()?;
        let duration = r.u32()?;
        let sap = r.u32()?;
        Some(Self {
            is_index: size >> 31 == 1,
            size: size & 0x7fff_ffff,
            duration,
            starts_with_sap: sap >> 31 == 1,
            sap_type: (sap >> 28 & 7) as u8,
            sap_delta: sap & 0x0fff_ffff,
        })
    }
}

impl Index {
    /// The nested indexes that are still to be fetched.
    pub fn nested(&self) -> impl Iterator<Item = &IndexEntry> {
        self.items.iter().filter_map(|item| match item {
            IndexItem::Nested(entry) => Some(entry),
            IndexItem::Media(_) => None,
        })
    }

    /// The media subsegments.
    pub fn media(&self) -> impl Iterator<Item = &IndexEntry> {
        self.items.iter().filter_map(|item| match item {
            IndexItem::Media(entry) => Some(entry),
            IndexItem::Nested(_) => None,
        })
    }

    /// Puts the items of the `sidx` that was fetched from `offset` in the place of the item that points to it. An error
    /// where nothing points there or the timescales differ. A `sidx` below may only point onwards, so that replacing comes to an end.
    pub fn replace(&mut self, offset: u64, below: Index) -> Result<()> {
        let is_it = |item: &IndexItem| matches!(item, IndexItem::Nested(e) if e.offset == offset);
        let at = self.items.iter().position(is_it).ok_or_else(|| malformed("no sidx points to this one"))?;
        if below.timescale != self.timescale {
            return Err(malformed("a nested sidx has another timescale"));
        }
        if below.nested().any(|e| e.offset <= offset) {
            return Err(malformed("a nested sidx points back to itself"));
        }
        if self.items.len() + below.items.len() > MAX_ITEMS {
            return Err(malformed("the index of the file is absurdly long"));
        }
        self.items.splice(at..=at, below.items);
        Ok(())
    }
}

/// Reads the first `sidx` in `data`, the bytes of the file from `offset` on, and resolves its places; nested ones that are in
/// `data` too are put in their places. Boxes before it are passed over. [`Code::MediaMalformed`] without one,
/// [`Code::Truncated`] where it is cut off.
pub fn read(data: &[u8], offset: u64) -> Result<Index> {
    let mut index = read_one(data, offset)?;
    loop {
        let inside =
            |e: &&IndexEntry| usize::try_from(e.offset.wrapping_sub(offset)).is_ok_and(|at| at < data.len());
        let Some(at) = index.nested().find(inside).map(|e| e.offset) else { return Ok(index) };
        // What is cut off here is fetched by itself.
        let Ok(below) = read_one(&data[(at - offset) as usize..], at) else { return Ok(index) };
        index.replace(at, below)?;
    }
}

fn read_one(data: &[u8], offset: u64) -> Result<Index> {
    let mut walk = boxes(data);
    while let Some(b) = walk.next() {
        if b.name == *b"sidx" {
            let sidx =
                SegmentIndexBox::parse(&b).ok_or_else(|| malformed("the sidx box is broken").at(offset))?;
            let end = offset.checked_add((data.len() - walk.rest().len()) as u64);
            return sidx.resolve(end.ok_or_else(|| malformed("the sidx box lies outside of any file"))?);
        }
    }
    match BoxHeader::read(walk.rest()) {
        HeaderRead::Complete(h) if h.name == *b"sidx" => {
            Err(PlayerError::new(Code::Truncated, "the sidx box is cut off").at(offset))
        }
        _ => Err(malformed("there is no sidx box where one was expected").at(offset)),
    }
}

/// Where the beginning of a file has its initialization data and its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Bytes up to the end of `moov`.
    pub init_end: Option<u64>,
    /// First byte of the first `sidx` and the first byte after it.
    pub sidx: Option<(u64, u64)>,
    /// The first byte of media (`moof` or `mdat`), where it has been reached: there is no index before it.
    pub media: Option<u64>,
    /// The prefix does not settle it; the box under way ends here, so that many bytes are needed at least.
    pub needs: Option<u64>,
}

/// Looks through the first bytes of a file for the ranges that a manifest without `indexRange` leaves open.
pub fn scan(prefix: &[u8]) -> Layout {
    let mut layout = Layout::default();
    let mut at = 0u64;
    loop {
        let rest = usize::try_from(at).ok().and_then(|at| prefix.get(at..)).unwrap_or_default();
        let header = match BoxHeader::read(rest) {
            HeaderRead::Complete(header) => header,
            HeaderRead::Needs(bytes) => {
                layout.needs = at.checked_add(bytes as u64);
                return layout;
            }
            HeaderRead::Malformed => return layout,
        };
        let end = header.body.and_then(|body| body.checked_add(header.len as u64)?.checked_add(at));
        match (&header.name, end) {
            (b"moof" | b"mdat", _) => {
                layout.media = Some(at);
                return layout;
            }
            (b"moov", Some(end)) => layout.init_end = Some(end),
            (b"sidx", Some(end)) => layout.sidx = layout.sidx.or(Some((at, end))),
            _ => {}
        }
        let Some(end) = end else { return layout };
        if end > prefix.len() as u64 {
            layout.needs = Some(end);
            return layout;
        }
        if layout.init_end.is_some() && layout.sidx.is_some() {
            return layout;
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::ByteWriter;

    fn sidx(version: u8, earliest: u64, first_offset: u64, references: &[(u32, u32)]) -> Vec<u8> {
        let mut w = ByteWriter::new();
        w.full_boxed(b"sidx", version, 0, |w| {
            w.u32(1);
            w.u32(1000);
            for v in [earliest, first_offset] {
                if version == 0 { w.u32(v as u32) } else { w.u64(v) }
            }
            w.u16(0);
            w.u16(references.len() as u16);
            for (size, duration) in references {
                w.u32(*size);
                w.u32(*duration);
                w.u32(0x9000_0000);
            }
        });
        w.into_vec()
    }

    #[test]
    fn references_follow_each_other_from_the_end_of_the_box() {
        let data = [b"\0\0\0\x0cfreexxxx".as_slice(), &sidx(0, 500, 7, &[(100, 4000), (200, 3000)])].concat();
        let index = read(&data, 1000).unwrap();
        let end = 1000 + data.len() as u64;
        let media: Vec<_> = index.media().map(|e| (e.offset, e.size, e.start, e.duration)).collect();
        assert_eq!(media, [(end + 7, 100, 500, 4000), (end + 107, 200, 4500, 3000)]);
        assert!(index.media().all(|e| e.starts_with_sap));
        assert_eq!(index.nested().count(), 0);
    }

    #[test]
    fn nested_indexes_take_the_place_of_the_items_that_point_to_them() {
        let top = sidx(1, 1 << 40, 0, &[(1 << 31 | 44, 4000), (50, 1000)]);
        let mut index = read(&top, 0).unwrap();
        let at = index.nested().next().unwrap().offset;
        assert_eq!(at, top.len() as u64);
        let below = read(&sidx(1, 1 << 40, 50, &[(10, 2000), (20, 2000)]), at).unwrap();
        index.replace(at, below).unwrap();
        let starts: Vec<_> = index.media().map(|e| (e.start - (1 << 40), e.size)).collect();
        assert_eq!(starts, [(0, 10), (2000, 20), (4000, 50)]);
        assert_eq!(index.nested().count(), 0);
    }

    #[test]
    fn nested_indexes_in_the_same_bytes_are_read_at_once() {
        let below = [sidx(0, 0, 44, &[(10, 2000)]), sidx(0, 2000, 10, &[(20, 3000)])].concat();
        let top = sidx(0, 0, 0, &[(1 << 31 | 44, 2000), (1 << 31 | 44, 3000)]);
        let index = read(&[top.as_slice(), &below].concat(), 100).unwrap();
        let end = (100 + top.len() + below.len()) as u64;
        let media: Vec<_> = index.media().map(|e| (e.offset, e.start)).collect();
        assert_eq!((media, index.nested().count()), (vec![(end, 0), (end + 10, 2000)], 0));
        let part = read(&[top.as_slice(), &below[..50]].concat(), 100).unwrap();
        assert_eq!((part.media().count(), part.nested().count()), (1, 1));
    }

    #[test]
    fn indexes_that_multiply_are_refused() {
        let many = vec![(1 << 31, 1); 2000];
        let level = |below: &[(u32, u32)]| sidx(0, 0, 0, below);
        let file = [level(&many), level(&many), level(&many)].concat();
        assert_eq!(read(&file, 0).unwrap_err().code, Code::MediaMalformed);
    }

    #[test]
    fn an_index_that_points_to_itself_is_refused() {
        let top = sidx(0, 0, 0, &[(1 << 31 | 44, 4000)]);
        let mut index = read(&top, 0).unwrap();
        let at = index.nested().next().unwrap().offset;
        let below = SegmentIndexBox {
            reference_id: 1,
            timescale: index.timescale,
            earliest: 0,
            first_offset: 0,
            references: vec![Reference {
                is_index: true,
                size: 1,
                duration: 1,
                starts_with_sap: false,
                sap_type: 0,
                sap_delta: 0,
            }],
        };
        let below = below.resolve(at).unwrap();
        assert_eq!(index.replace(at, below).unwrap_err().code, Code::MediaMalformed);
        assert!(index.replace(99, read(&top, 0).unwrap()).is_err());
    }

    #[test]
    fn cut_off_broken_and_missing_are_told_apart() {
        let whole = sidx(0, 0, 0, &[(100, 4000)]);
        for cut in 8..whole.len() {
            assert_eq!(read(&whole[..cut], 0).unwrap_err().code, Code::Truncated);
        }
        let mut lying = whole.clone();
        lying[31] = 9;
        assert_eq!(read(&lying, 0).unwrap_err().code, Code::MediaMalformed);
        assert_eq!(read(b"\0\0\0\x08moof", 0).unwrap_err().code, Code::MediaMalformed);
        let far = sidx(1, i64::MAX as u64, u64::MAX, &[(1, 1)]);
        assert_eq!(read(&far, 0).unwrap_err().code, Code::MediaMalformed);
    }

    #[test]
    fn scan_finds_init_and_index_or_says_how_many_bytes_it_needs() {
        let ftyp = b"\0\0\0\x10ftypiso6\0\0\0\0".as_slice();
        let moov = b"\0\0\0\x0cmoov\0\0\0\0".as_slice();
        let index = sidx(0, 0, 0, &[(100, 4000)]);
        let file = [ftyp, moov, &index, b"\0\0\0\x10moof"].concat();
        let end = 28 + index.len() as u64;
        assert_eq!(
            scan(&file),
            Layout { init_end: Some(28), sidx: Some((28, end)), media: None, needs: None }
        );
        assert_eq!(scan(&file[..30]).needs, Some(36));
        assert_eq!(scan(&file[..40]).needs, Some(end));
        let plain = [ftyp, moov, b"\0\0\0\x10moof"].concat();
        let layout = scan(&plain);
        assert_eq!(
            (layout.init_end, layout.sidx, layout.media, layout.needs),
            (Some(28), None, Some(28), None)
        );
        assert_eq!(scan(b"\0\0\0\x02ftyp").needs, None);
    }
}
