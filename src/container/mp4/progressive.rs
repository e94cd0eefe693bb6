//! Whole files in memory that are not fragmented, wherever their `moov` is.

use crate::container::Sink;
use crate::error::{Code, PlayerError, Result};

use super::layout::{Layout, layout};
use super::table::{Cursor, Entry};

/// Gives a whole file in memory to `sink`, track by track. `Ok(false)`, and nothing given, for a file that is fragmented
/// or whose `moov` is not all there: the [`FragmentDemuxer`](super::FragmentDemuxer) reads it or says what is wrong.
/// [`Code::Truncated`] after the samples before the end, where some lie behind it.
pub fn demux(file: &[u8], sink: &mut dyn Sink) -> Result<bool> {
    let Layout::Progressive(table) = layout(0, file)? else { return Ok(false) };
    for what in table.warnings() {
        sink.warning(0, what);
    }
    for info in table.tracks() {
        sink.track(info.clone());
    }
    sink.tracks_complete();
    let mut missing = None;
    for (place, info) in table.tracks().enumerate() {
        let mut cursor = Cursor::default();
        while let Some(Entry { offset, sample, .. }) = table.next(place, &mut cursor) {
            let start = usize::try_from(offset).ok();
            let bytes = start.and_then(|start| file.get(start..start.checked_add(sample.size as usize)?));
            match bytes {
                Some(bytes) => {
                    sink.buffer(info.id).extend_from_slice(bytes);
                    sink.sample(info.id, sample);
                }
                None => missing = missing.or(Some(offset)),
            }
        }
        if cursor.index < table.samples_of(info.id) {
            sink.warning(
                0,
                "the sample tables of a track contradict each other: its last samples were left out",
            );
        }
    }
    match missing {
        Some(at) => Err(PlayerError::new(Code::Truncated, "the file ends before its last sample").at(at)),
        None => Ok(true),
    }
}
