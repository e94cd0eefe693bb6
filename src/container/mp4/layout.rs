//! Where the index of a file is, found box by box from whatever ranges of it are at hand.

use std::rc::Rc;

use crate::error::{Code, PlayerError, Result};

use super::boxes::{BoxHeader, HeaderRead};
use super::table::SampleTable;

/// What the boxes of a file tell.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Bytes of the file are needed, from `offset` on at least so many; ask again with those alone.
    Needs {
        /// First byte in the file: a box begins there.
        offset: u64,
        /// Bytes; more do no harm.
        length: u64,
    },
    /// The file has sample tables, of all its samples.
    Progressive(Rc<SampleTable>),
    /// The samples, or all but the first ones, are in fragments: `sidx` may tell where, and [`FragmentDemuxer`](super::FragmentDemuxer) reads them.
    Fragmented,
}

/// Looks for the `moov` of a file, wherever it is. `bytes` are those of the file from `offset` on: 0, or what [`Layout::Needs`]
/// asked for. Needs of bytes behind the end of the file mean that it has none.
pub fn layout(offset: u64, bytes: &[u8]) -> Result<Layout> {
    let mut at = offset;
    loop {
        let rest = usize::try_from(at - offset).ok().and_then(|skip| bytes.get(skip..)).unwrap_or_default();
        let header = match BoxHeader::read(rest) {
            HeaderRead::Complete(header) => header,
            HeaderRead::Needs(length) => return Ok(Layout::Needs { offset: at, length: length as u64 }),
            HeaderRead::Malformed => {
                return Err(PlayerError::new(Code::MediaMalformed, "a box is smaller than its header").at(at));
            }
        };
        let size = header.body.and_then(|body| body.checked_add(header.len as u64));
        match &header.name {
            b"moof" => return Ok(Layout::Fragmented),
            b"moov" => {
                let whole = size.and_then(|n| usize::try_from(n).ok()).map_or(Some(rest), |n| rest.get(..n));
                let Some(whole) = whole else {
                    return Ok(Layout::Needs { offset: at, length: size.unwrap_or(0) });
                };
                let table = SampleTable::read(whole.get(header.len..).unwrap_or_default());
                let table = table.map_err(|e| e.at(at))?.filter(|table| !table.is_continued(at));
                return Ok(table.map_or(Layout::Fragmented, Layout::Progressive));
            }
            _ => {}
        }
        at = size.and_then(|size| at.checked_add(size)).ok_or_else(|| {
            PlayerError::new(Code::MediaMalformed, "the file ends before its index (moov)").at(at)
        })?;
    }
}
