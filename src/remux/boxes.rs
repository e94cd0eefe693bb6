//! The boxes of the output: `ftyp` + `moov` of an init segment, `moof` + the header of `mdat` of a fragment.

use crate::bytes::ByteWriter;
use crate::container::{TrackInfo, TrackKind};

use super::Entry;

/// `sample_depends_on` = 2 (on no other), a sync sample (ISO/IEC 14496-12 §8.8.3.1).
const SYNC_FLAGS: u32 = 0x0200_0000;
/// `sample_depends_on` = 1 (on others), `sample_is_non_sync_sample`.
const NON_SYNC_FLAGS: u32 = 0x0101_0000;

/// Unity matrix of `mvhd` and `tkhd` (§6.2.2).
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Bytes of the `mdat` header that [`fragment_header`] ends with.
const MDAT_HEADER: usize = 8;

/// An init segment with one track: no samples, no edit list.
pub(super) fn init_segment(info: &TrackInfo) -> Vec<u8> {
    let mut w = ByteWriter::append_to(Vec::with_capacity(640 + info.sample_entry.len()));
    w.boxed(b"ftyp", |w| w.bytes(b"iso6\0\0\0\0iso6iso5mp41"));
    let moov = w.open(b"moov");
    w.full_boxed(b"mvhd", 0, 0, |w| {
        w.zeros(8);
        w.u32(info.timescale.get());
        w.u32(0);
        w.u32(0x1_0000);
        w.u16(0x0100);
        w.zeros(10);
        matrix(w);
        w.zeros(24);
        w.u32(info.id.0.saturating_add(1));
    });
    trak(&mut w, info);
    let mvex = w.open(b"mvex");
    w.full_boxed(b"trex", 0, 0, |w| {
        w.u32(info.id.0);
        w.u32(1);
        w.zeros(12);
    });
    w.close(mvex);
    w.close(moov);
    w.into_vec()
}

fn trak(w: &mut ByteWriter, info: &TrackInfo) {
    let trak = w.open(b"trak");
    // Flags 3: enabled, in the presentation.
    w.full_boxed(b"tkhd", 0, 3, |w| {
        w.zeros(8);
        w.u32(info.id.0);
        w.zeros(4 + 4 + 8 + 4);
        w.u16(if info.kind == TrackKind::Audio { 0x0100 } else { 0 });
        w.u16(0);
        matrix(w);
        // 16.16 fixed point.
        w.u32(info.width.min(0xffff) << 16);
        w.u32(info.height.min(0xffff) << 16);
    });
    let mdia = w.open(b"mdia");
    w.full_boxed(b"mdhd", 0, 0, |w| {
        w.zeros(8);
        w.u32(info.timescale.get());
        w.u32(0);
        w.u16(packed_language(info.language.as_deref()));
        w.u16(0);
    });
    let (handler, name, media_header): (&[u8; 4], &[u8], _) = match info.kind {
        TrackKind::Video => (b"vide", b"video\0", b"vmhd"),
        TrackKind::Audio => (b"soun", b"audio\0", b"smhd"),
        TrackKind::Text if info.codec.starts_with("stpp") => (b"subt", b"text\0", b"sthd"),
        TrackKind::Text => (b"text", b"text\0", b"nmhd"),
        TrackKind::Other => (b"meta", b"data\0", b"nmhd"),
    };
    w.full_boxed(b"hdlr", 0, 0, |w| {
        w.u32(0);
        w.bytes(handler);
        w.zeros(12);
        w.bytes(name);
    });
    let minf = w.open(b"minf");
    match info.kind {
        TrackKind::Video => w.full_boxed(media_header, 0, 1, |w| w.zeros(8)),
        TrackKind::Audio => w.full_boxed(media_header, 0, 0, |w| w.zeros(4)),
        _ => w.full_boxed(media_header, 0, 0, |_| ()),
    }
    w.boxed(b"dinf", |w| {
        w.full_boxed(b"dref", 0, 0, |w| {
            w.u32(1);
            // Flags 1: the media is in this file.
            w.full_boxed(b"url ", 0, 1, |_| ());
        });
    });
    let stbl = w.open(b"stbl");
    w.full_boxed(b"stsd", 0, 0, |w| {
        w.u32(1);
        w.bytes(&info.sample_entry);
    });
    w.full_boxed(b"stts", 0, 0, |w| w.zeros(4));
    w.full_boxed(b"stsc", 0, 0, |w| w.zeros(4));
    w.full_boxed(b"stsz", 0, 0, |w| w.zeros(8));
    w.full_boxed(b"stco", 0, 0, |w| w.zeros(4));
    for start in [stbl, minf, mdia, trak] {
        w.close(start);
    }
}

fn matrix(w: &mut ByteWriter) {
    for v in MATRIX {
        w.u32(v);
    }
}

/// ISO 639-2/T in three times five bits (§8.4.2.3); `und` for what does not fit.
fn packed_language(language: Option<&str>) -> u16 {
    let code = language.map(str::as_bytes).unwrap_or_default();
    let code = match code {
        [a, b, c] if code.iter().all(u8::is_ascii_lowercase) => [*a, *b, *c],
        _ => *b"und",
    };
    code.iter().fold(0, |packed, letter| packed << 5 | u16::from(letter - 0x60))
}

/// `moof` and the header of the `mdat` that follows, with `payload` bytes of the samples in order. Fields that are the
/// same for all samples become defaults in `tfhd`.
pub(super) fn fragment_header(
    w: &mut ByteWriter,
    track: u32,
    sequence: u32,
    samples: &[Entry],
    payload: u32,
) {
    let Some(first) = samples.first() else { return };
    let flags_of = |e: &Entry| if e.sync { SYNC_FLAGS } else { NON_SYNC_FLAGS };
    let rest_flags = samples.get(1).map_or(flags_of(first), flags_of);
    let own_duration = samples.iter().any(|e| e.duration != first.duration);
    let own_size = samples.iter().any(|e| e.size != first.size);
    let own_flags = samples.iter().skip(1).any(|e| flags_of(e) != rest_flags);
    let first_flags = !own_flags && flags_of(first) != rest_flags;
    let own_offset = samples.iter().any(|e| e.pts != e.dts);

    // default-base-is-moof, and which defaults follow (§8.8.7.1).
    let tfhd = 0x02_0000
        | if own_duration { 0 } else { 0x08 }
        | if own_size { 0 } else { 0x10 }
        | if own_flags { 0 } else { 0x20 };
    // data-offset, and which fields each sample has (§8.8.8.1).
    let trun = 0x01
        | if first_flags { 0x04 } else { 0 }
        | if own_duration { 0x100 } else { 0 }
        | if own_size { 0x200 } else { 0 }
        | if own_flags { 0x400 } else { 0 }
        | if own_offset { 0x800 } else { 0 };

    let moof = w.open(b"moof");
    w.full_boxed(b"mfhd", 0, 0, |w| w.u32(sequence));
    let traf = w.open(b"traf");
    w.full_boxed(b"tfhd", 0, tfhd, |w| {
        w.u32(track);
        if !own_duration {
            w.u32(first.duration);
        }
        if !own_size {
            w.u32(first.size);
        }
        if !own_flags {
            w.u32(rest_flags);
        }
    });
    w.full_boxed(b"tfdt", 1, 0, |w| w.i64(first.dts));
    let start = w.open(b"trun");
    // Version 1: composition offsets are signed.
    w.u32(0x0100_0000 | trun);
    w.u32(samples.len() as u32);
    let data_offset = w.len();
    w.u32(0);
    if first_flags {
        w.u32(flags_of(first));
    }
    for e in samples {
        if own_duration {
            w.u32(e.duration);
        }
        if own_size {
            w.u32(e.size);
        }
        if own_flags {
            w.u32(flags_of(e));
        }
        if own_offset {
            w.i32(e.composition_offset());
        }
    }
    w.close(start);
    w.close(traf);
    w.close(moof);
    w.set_u32(data_offset, (w.len() - moof + MDAT_HEADER) as u32);
    w.u32(payload.saturating_add(MDAT_HEADER as u32));
    w.bytes(b"mdat");
}
