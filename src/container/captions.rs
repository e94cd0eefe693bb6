//! Captions that pictures carry in themselves, whatever container those come in.

use super::mp4::boxes::{Mp4Box, find};
use super::{TrackInfo, TrackKind};
use crate::codec::sei;

/// Bytes of a visual sample entry before its boxes (ISO/IEC 14496-12 §12.1.3).
const VISUAL_ENTRY: usize = 86;

/// The CEA-608 and CEA-708 triplets of a sample of H.264 or HEVC, see [`super::Metadata::Captions`]. Empty for other tracks, for encrypted
/// samples, and where all triplets are padding.
pub fn captions(info: &TrackInfo, sample: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if info.kind == TrackKind::Video && !info.encrypted {
        let boxes = info.sample_entry.get(VISUAL_ENTRY..).unwrap_or_default();
        // `lengthSizeMinusOne` (ISO/IEC 14496-15 §5.3.3.1, §8.3.3.1).
        let size = |found: Mp4Box, at: usize| Some(usize::from(found.body.get(at)? & 3) + 1);
        if let Some(size) = find(boxes, b"avcC").and_then(|found| size(found, 4)) {
            sei::captions_of_sample(sample, size, false, &mut out);
        } else if let Some(size) = find(boxes, b"hvcC").and_then(|found| size(found, 21)) {
            sei::captions_of_sample(sample, size, true, &mut out);
        }
    }
    out
}
