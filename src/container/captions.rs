//! Captions that pictures carry in themselves, whatever container those come in.

use super::mp4::boxes::{Mp4Box, find};
use super::{TrackInfo, TrackKind};
use crate::codec::{av1, sei};

/// Bytes of a visual sample entry before its boxes (ISO/IEC 14496-12 §12.1.3).
const VISUAL_ENTRY: usize = 86;

/// The smallest build, for HLS alone, has no other use for a parser of AV1.
const READS_AV1: bool = cfg!(any(feature = "ts-extra", feature = "webm"));

/// The CEA-608 and CEA-708 triplets of a sample of H.264, HEVC or AV1, see [`super::Metadata::Captions`]. Empty for other tracks, for encrypted
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
        } else if READS_AV1 && find(boxes, b"av1C").is_some() {
            for found in av1::obus(sample).filter(|o| o.kind == av1::obu::METADATA) {
                // METADATA_TYPE_ITUT_T35 (§6.7.1)
                if let [4, user_data @ ..] = found.payload {
                    out.extend_from_slice(sei::captions(user_data).unwrap_or_default());
                }
            }
            sei::drop_padding(&mut out, 0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::av1;
    use crate::container::{TrackId, TrackKind};
    use crate::time::Timescale;

    #[test]
    fn captions_of_av1_stand_in_metadata_obus() {
        let mut info = TrackInfo::new(TrackId(1), TrackKind::Video, Timescale::MPEG);
        info.sample_entry = av1::sample_entry(&[0x81, 0, 12, 0], (64, 64), (1, 1));
        let unit =
            |triplet: &[u8]| [b"\x2a\x0f\x04\xb5\x00\x31GA94\x03\x41\xff", triplet, b"\x32\x01\x10"].concat();
        let said = unit(b"\xfc\x94\x20");
        assert_eq!(captions(&info, &said), b"\xfc\x94\x20");
        assert_eq!(captions(&info, &unit(b"\xfc\x80\x80")), b"");
        for n in 0..said.len() {
            assert!(captions(&info, &said[..n]).len() <= 3);
        }
        info.encrypted = true;
        assert_eq!(captions(&info, &said), b"");
    }
}
