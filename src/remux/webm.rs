//! The WebM that is written for codecs which MP4 does not carry, VP8 and Vorbis, and on demand for others (RFC 9559, WebM container
//! guidelines): a header with a Segment of unknown size, and clusters of SimpleBlocks.
//!
//! **Time stamps.** Where the track's tick is a whole number of nanoseconds and at least [`FINEST`], it becomes the TimestampScale and
//! every time is exact: that holds for all that comes from WebM in milliseconds. Otherwise the scale is [`FINEST`], and each time is
//! rounded to the nearest by itself: off by 5 µs at most, and never drifting. Chromium, Firefox and WebKit read the
//! TimestampScale. A time in a block has 16 bits (§10.1), so that a cluster covers 32,767 ticks at most: 0.33 s at the finest.

use crate::bytes::ByteWriter;
use crate::codec::opus;
use crate::container::mp4::boxes::find;
use crate::container::{TrackInfo, TrackKind};
use crate::time::{Ticks, Timescale};

use super::Entry;

/// Bytes in front of each frame: the header of a SimpleBlock.
pub(super) const BLOCK_HEADER: usize = 9;

/// The finest TimestampScale, in nanoseconds.
const FINEST: u64 = 10_000;

/// Number of the only track.
const TRACK: u8 = 1;

/// Largest time of a block after its cluster's.
const MAX_RELATIVE: u64 = 32_767;

/// Bytes of the sample entry before its boxes (ISO/IEC 14496-12 §12.1.3, §12.2.3).
const VISUAL_ENTRY: usize = 86;
const AUDIO_ENTRY: usize = 36;

/// Nanoseconds per tick of the file.
fn scale(timescale: Timescale) -> u64 {
    let own = 1_000_000_000 / u64::from(timescale.get());
    let exact = 1_000_000_000 % u64::from(timescale.get()) == 0;
    if exact && own >= FINEST { own } else { FINEST }
}

/// A time in ticks of the file; those before 0, which it cannot express, are 0.
fn stamp(ticks: Ticks, timescale: Timescale) -> u64 {
    let (ticks, second, scale) = (ticks.max(0) as u64, u64::from(timescale.get()), scale(timescale));
    // A second is a whole number of ticks on both sides.
    let unit = scale * second;
    let whole = (ticks / second).saturating_mul(1_000_000_000 / scale);
    whole.saturating_add((ticks % second * 1_000_000_000 + unit / 2) / unit)
}

/// How many of `samples`, at most, one cluster can hold; at least one.
pub(super) fn fitting(samples: &[Entry], timescale: Timescale) -> usize {
    let Some(first) = samples.first().map(|e| stamp(e.pts, timescale)) else { return 0 };
    let mut last = first;
    let fits = |e: &&Entry| {
        // Within a cluster, Chromium wants times that do not decrease.
        let time = stamp(e.pts, timescale);
        let fits = time >= last && time - first <= MAX_RELATIVE;
        last = time;
        fits
    };
    samples.iter().take_while(fits).count().max(1)
}

/// CodecID and CodecPrivate; `None` for what WebM does not carry.
fn codec(info: &TrackInfo) -> Option<(&'static str, Vec<u8>)> {
    let config = |from: usize, name: &[u8; 4]| Some(find(info.sample_entry.get(from..)?, name)?.body);
    Some(match info.codec.as_str() {
        "vp8" => ("V_VP8", Vec::new()),
        "vorbis" if !info.codec_private.is_empty() => ("A_VORBIS", info.codec_private.clone()),
        "opus" => {
            let head = opus::OpusHead::parse_dops(config(AUDIO_ENTRY, b"dOps")?)?;
            ("A_OPUS", head.to_bytes())
        }
        codec if codec.starts_with("vp09") => {
            let config = crate::codec::vpx::VpConfig::from_vpcc(config(VISUAL_ENTRY, b"vpcC")?)?;
            ("V_VP9", config.webm_private())
        }
        codec if codec.starts_with("av01") => ("V_AV1", config(VISUAL_ENTRY, b"av1C")?.to_vec()),
        _ => return None,
    })
}

/// Whether the track can be written.
pub(super) fn carries(info: &TrackInfo) -> bool {
    !info.encrypted && codec(info).is_some()
}

/// An element with content, its size in 8 bytes.
fn element(w: &mut ByteWriter, id: &[u8], content: impl FnOnce(&mut ByteWriter)) {
    w.bytes(id);
    let at = w.len();
    w.u64(0);
    content(w);
    let size = w.len() - at - 8;
    w.set_u32(at, 0x0100_0000);
    w.set_u32(at + 4, size as u32);
}

fn number(w: &mut ByteWriter, id: &[u8], value: u64) {
    w.bytes(id);
    w.u8(0x88);
    w.u64(value);
}

fn bytes(w: &mut ByteWriter, id: &[u8], value: &[u8]) {
    element(w, id, |w| w.bytes(value));
}

/// EBML header, Segment, Info and Tracks. `None` for what WebM does not carry.
pub(super) fn init_segment(info: &TrackInfo) -> Option<Vec<u8>> {
    let (codec_id, private) = codec(info)?;
    let mut w = ByteWriter::append_to(Vec::with_capacity(400 + private.len()));
    element(&mut w, &[0x1a, 0x45, 0xdf, 0xa3], |w| {
        number(w, &[0x42, 0x86], 1); // EBMLVersion
        number(w, &[0x42, 0xf7], 1); // EBMLReadVersion
        number(w, &[0x42, 0xf2], 4); // EBMLMaxIDLength
        number(w, &[0x42, 0xf3], 8); // EBMLMaxSizeLength
        bytes(w, &[0x42, 0x82], b"webm"); // DocType
        number(w, &[0x42, 0x87], 4); // DocTypeVersion
        number(w, &[0x42, 0x85], 2); // DocTypeReadVersion
    });
    // Segment of unknown size.
    w.bytes(&[0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    element(&mut w, &[0x15, 0x49, 0xa9, 0x66], |w| {
        number(w, &[0x2a, 0xd7, 0xb1], scale(info.timescale));
        bytes(w, &[0x4d, 0x80], b"millrace"); // MuxingApp
        bytes(w, &[0x57, 0x41], b"millrace"); // WritingApp
    });
    element(&mut w, &[0x16, 0x54, 0xae, 0x6b], |w| {
        element(w, &[0xae], |w| {
            number(w, &[0xd7], TRACK.into());
            number(w, &[0x73, 0xc5], TRACK.into()); // TrackUID
            number(w, &[0x83], if info.kind == TrackKind::Audio { 2 } else { 1 });
            number(w, &[0x9c], 0); // FlagLacing
            bytes(w, &[0x22, 0xb5, 0x9c], info.language.as_deref().unwrap_or("und").as_bytes());
            bytes(w, &[0x86], codec_id.as_bytes());
            if !private.is_empty() {
                bytes(w, &[0x63, 0xa2], &private);
            }
            if let Some(head) = opus::OpusHead::parse(&private) {
                number(w, &[0x56, 0xaa], u64::from(head.pre_skip) * 1_000_000_000 / u64::from(opus::RATE));
                number(w, &[0x56, 0xbb], 80_000_000); // SeekPreRoll (Matroska codec specifications, A_OPUS)
            }
            if info.kind == TrackKind::Audio {
                element(w, &[0xe1], |w| {
                    bytes(w, &[0xb5], &f64::from(info.sample_rate).to_be_bytes());
                    number(w, &[0x9f], info.channels.max(1).into());
                });
            } else {
                element(w, &[0xe0], |w| {
                    number(w, &[0xb0], info.width.into());
                    number(w, &[0xba], info.height.into());
                });
            }
        });
    });
    Some(w.into_vec())
}

/// Writes the header of a cluster with these samples, and those of the blocks in the room in front of each frame of `payload`.
pub(super) fn cluster(w: &mut ByteWriter, samples: &[Entry], timescale: Timescale, payload: &mut [u8]) {
    let first = samples.first().map_or(0, |e| stamp(e.pts, timescale));
    w.bytes(&[0x1f, 0x43, 0xb6, 0x75]);
    // The payload is kept under 2^30 bytes.
    w.u64(1 << 56 | (payload.len() as u64 + 10));
    number(w, &[0xe7], first);
    let mut at = 0;
    for e in samples {
        let relative = stamp(e.pts, timescale).saturating_sub(first).min(MAX_RELATIVE) as u16;
        let size = e.size.saturating_add(4) | 0x1000_0000;
        let [a, b, c, d] = size.to_be_bytes();
        let [high, low] = relative.to_be_bytes();
        let header = [0xa3, a, b, c, d, 0x80 | TRACK, high, low, if e.sync { 0x80 } else { 0 }];
        if let Some(room) = payload.get_mut(at..at + BLOCK_HEADER) {
            room.copy_from_slice(&header);
        }
        at += BLOCK_HEADER + e.size as usize;
    }
}
