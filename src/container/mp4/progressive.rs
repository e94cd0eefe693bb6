//! Whole files in memory that are not fragmented, wherever their `moov` is.

use crate::container::Sink;
use crate::error::{Code, PlayerError, Result};

use super::layout::{Layout, layout};
use super::table::Located;

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
    for Located { track, offset, sample } in table.samples()? {
        let start = usize::try_from(offset).ok();
        let bytes = start.and_then(|start| file.get(start..start.checked_add(sample.size as usize)?));
        match bytes {
            Some(bytes) => {
                sink.buffer(track).extend_from_slice(bytes);
                sink.sample(track, sample);
            }
            None => missing = missing.or(Some(offset)),
        }
    }
    match missing {
        Some(at) => Err(PlayerError::new(Code::Truncated, "the file ends before its last sample").at(at)),
        None => Ok(true),
    }
}
