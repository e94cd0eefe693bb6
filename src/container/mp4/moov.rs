//! The movie box (ISO/IEC 14496-12 §8.2): tracks, their defaults for fragments, edit lists.
//!
//! The headers (`mvhd`, `tkhd`, `mdhd`, `hdlr`, `elst`) and the sample tables are read by the `mp4` crate. It fails on, or loops over,
//! much that occurs: sizes of 0, tracks without sample tables, `minf` without `dinf`, sample entries that
//! it does not know; of several `trex` it keeps one. So each track is given to it by itself, rebuilt from checked boxes with empty ones
//! where some are missing; `stsd`, `trex` and `elng` are read here.

use std::io::Cursor;

use mp4::{MoovBox, ReadBox};

use crate::bytes::ByteWriter;
use crate::container::{TrackId, TrackInfo, TrackKind};
use crate::error::{Code, PlayerError, Result};
use crate::time::{Ticks, Timescale};

use super::boxes::{FourCc, Mp4Box, boxes, find};
use super::stsd::{self, Entry};

/// Tracks of one movie at most; what is over is passed over.
const MAX_TRACKS: usize = 64;

/// What `moov` says.
#[derive(Clone, Debug)]
pub struct Moov {
    /// Tracks that can be read.
    pub tracks: Vec<Track>,
    /// There is a `mvex` box: samples come in fragments.
    pub fragmented: bool,
    /// Of [`Self::duration`]; `None` for the invalid 0.
    pub timescale: Option<Timescale>,
    /// Of the whole presentation, from `mehd` or `mvhd`; 0 where it is unknown.
    pub duration: u64,
    /// What was passed over.
    pub warnings: Vec<&'static str>,
}

/// One track.
#[derive(Clone, Debug)]
pub struct Track {
    /// With the sample entry that fragments use by default.
    pub info: TrackInfo,
    /// All sample entries.
    pub(super) entries: Vec<Entry>,
    /// For fragments.
    pub(super) defaults: Defaults,
    /// The headers and sample tables of this track alone.
    pub(super) tables: MoovBox,
}

/// `trex` (§8.8.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Defaults {
    /// From 1 on.
    pub description: u32,
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

/// Reads the body of a `moov` box. Tracks that cannot be read are left out with a warning; an error if none is left.
pub fn parse(body: &[u8]) -> Result<Moov> {
    let mvhd = find(body, b"mvhd");
    let mvex = find(body, b"mvex");
    let mut moov = Moov {
        tracks: Vec::new(),
        fragmented: mvex.is_some(),
        timescale: None,
        duration: 0,
        warnings: Vec::new(),
    };
    for trak in boxes(body).filter(|b| b.name == *b"trak").take(MAX_TRACKS) {
        match parse_trak(mvhd.as_ref(), &trak, mvex.as_ref(), &mut moov.warnings) {
            Some(track) if moov.tracks.iter().all(|t| t.info.id != track.info.id) => moov.tracks.push(track),
            Some(_) => moov.warnings.push("two tracks have the same id: the second one was left out"),
            None => moov.warnings.push("a track without readable headers was left out"),
        }
    }
    let Some(first) = moov.tracks.first() else {
        return Err(PlayerError::new(Code::MediaMalformed, "the moov box describes no readable track"));
    };
    moov.timescale = Timescale::new(first.tables.mvhd.timescale);
    moov.duration = mvex.and_then(|b| fragment_duration(&b)).unwrap_or(match first.tables.mvhd.duration {
        // All ones: not known (§8.2.2.3).
        0xffff_ffff | u64::MAX => 0,
        duration => duration,
    });
    Ok(moov)
}

fn parse_trak(
    mvhd: Option<&Mp4Box<'_>>,
    trak: &Mp4Box<'_>,
    mvex: Option<&Mp4Box<'_>>,
    warnings: &mut Vec<&'static str>,
) -> Option<Track> {
    // Fragmented files have empty tables, and where they have not, they may as well be broken.
    let bytes = rebuild(mvhd, trak, mvex.is_none());
    let mut cursor = Cursor::new(bytes.as_slice());
    let header = mp4::BoxHeader::read(&mut cursor).ok()?;
    let tables = MoovBox::read_box(&mut cursor, header.size).ok()?;
    let headers = tables.traks.first()?;
    let (tkhd, mdhd) = (&headers.tkhd, &headers.mdia.mdhd);
    let id = tkhd.track_id;
    let timescale = Timescale::new(mdhd.timescale)?;
    let handler = u32::from(&headers.mdia.hdlr.handler_type).to_be_bytes();

    let mdia = trak.child(b"mdia")?;
    let stbl = mdia.child(b"minf")?.child(b"stbl")?;
    let entries = stsd::parse(&stbl.child(b"stsd")?, kind_of(&handler));
    let defaults = mvex.and_then(|b| defaults_of(b, id)).unwrap_or_default();
    let entry = entries.get((defaults.description.max(1) - 1) as usize).or(entries.first())?;

    let language = mdia
        .child(b"elng")
        .and_then(|b| Some(b.full()?.2.rest()))
        .and_then(|text| std::str::from_utf8(text.split(|&c| c == 0).next()?).ok())
        .filter(|tag| !tag.is_empty() && tag.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-'))
        .or(Some(mdhd.language.as_str()).filter(|l| l.bytes().all(|c| c.is_ascii_lowercase()) && *l != "und"))
        .map(str::to_owned);

    let mut info = TrackInfo {
        id: TrackId(id),
        kind: TrackKind::Other,
        timescale,
        codec: String::new(),
        sample_entry: Vec::new(),
        width: 0,
        height: 0,
        sample_rate: 0,
        channels: 0,
        language,
        edit_start: edit_start(&tables, timescale, warnings),
        encrypted: false,
    };
    entry.describe(&mut info);
    Some(Track { info, entries, defaults, tables })
}

fn kind_of(handler: &FourCc) -> TrackKind {
    match handler {
        b"vide" => TrackKind::Video,
        b"soun" => TrackKind::Audio,
        b"text" | b"subt" | b"sbtl" | b"clcp" => TrackKind::Text,
        _ => TrackKind::Other,
    }
}

/// The media time at movie time 0 (§8.6.6): initial empty edits, then the first one with media. Later edits would cut
/// the media, which MSE cannot express; they are not applied.
fn edit_start(tables: &MoovBox, timescale: Timescale, warnings: &mut Vec<&'static str>) -> Ticks {
    let elst = tables.traks.first().and_then(|t| t.edts.as_ref()).and_then(|e| e.elst.as_ref());
    let Some(elst) = elst else { return 0 };
    let mut empty = 0u64;
    let mut media = None;
    for entry in &elst.entries {
        // The crate reads the signed field without its sign.
        let time =
            if elst.version == 1 { entry.media_time as i64 } else { i64::from(entry.media_time as i32) };
        match media {
            None if time < 0 => empty = empty.saturating_add(entry.segment_duration),
            None => media = Some(time),
            Some(_) => {
                warnings.push("only the first edit of an edit list is applied");
                break;
            }
        }
    }
    let empty = match u64::from(tables.mvhd.timescale) {
        0 => 0,
        movie => u128::from(empty) * u128::from(timescale.get()) / u128::from(movie),
    };
    media.unwrap_or(0).saturating_sub(i64::try_from(empty).unwrap_or(i64::MAX))
}

/// `trex` of the track.
fn defaults_of(mvex: &Mp4Box<'_>, id: u32) -> Option<Defaults> {
    boxes(mvex.body).filter(|b| b.name == *b"trex").find_map(|b| {
        let (_, _, mut r) = b.full()?;
        if r.u32()? != id {
            return None;
        }
        Some(Defaults { description: r.u32()?, duration: r.u32()?, size: r.u32()?, flags: r.u32()? })
    })
}

/// `mehd` (§8.8.2).
fn fragment_duration(mvex: &Mp4Box<'_>) -> Option<u64> {
    let (version, _, mut r) = mvex.child(b"mehd")?.full()?;
    if version == 1 { r.u64() } else { r.u32().map(u64::from) }
}

/// Whether a box of edits has as many as it says. Without its edits a track still plays.
fn is_whole(elst: &Mp4Box<'_>) -> bool {
    elst.full().is_some_and(|(version, _, mut r)| {
        let size = if version == 1 { 20 } else { 12 };
        r.u32().is_some_and(|count| r.remaining() / size >= count as usize)
    })
}

/// A `moov` with one track in the form that the `mp4` crate reads.
fn rebuild(mvhd: Option<&Mp4Box<'_>>, trak: &Mp4Box<'_>, tables: bool) -> Vec<u8> {
    let mdia = trak.child(b"mdia");
    let stbl = mdia.and_then(|b| b.child(b"minf")?.child(b"stbl")).filter(|_| tables);
    let mut w = ByteWriter::append_to(Vec::with_capacity(1024 + stbl.map_or(0, |b| b.body.len())));
    let moov = w.open(b"moov");
    match mvhd {
        Some(b) => copy(&mut w, b),
        None => w.full_boxed(b"mvhd", 0, 0, |w| w.zeros(96)),
    }
    let track = w.open(b"trak");
    if let Some(b) = trak.child(b"tkhd") {
        copy(&mut w, &b);
    }
    if let Some(b) = trak.child(b"edts").and_then(|b| b.child(b"elst")).filter(is_whole) {
        w.boxed(b"edts", |w| copy(w, &b));
    }
    let media = w.open(b"mdia");
    if let Some(b) = mdia.and_then(|b| b.child(b"mdhd")) {
        copy(&mut w, &b);
    }
    if let Some(b) = mdia.and_then(|b| b.child(b"hdlr")) {
        // The fixed fields only: the name is of no use and often not terminated as the crate wants it.
        let mut fixed = [0; 25];
        for (to, from) in fixed.iter_mut().zip(b.body.iter().take(24)) {
            *to = *from;
        }
        w.boxed(b"hdlr", |w| w.bytes(&fixed));
    }
    let minf = w.open(b"minf");
    w.boxed(b"dinf", |w| w.full_boxed(b"dref", 0, 0, |w| w.u32(0)));
    let table = w.open(b"stbl");
    w.full_boxed(b"stsd", 0, 0, |w| {
        w.u32(1);
        w.boxed(b"none", |_| ());
    });
    let tables: [(&FourCc, usize); 3] = [(b"stts", 4), (b"stsc", 4), (b"stsz", 8)];
    for (name, empty) in tables {
        match stbl.and_then(|b| b.child(name)) {
            Some(b) => copy(&mut w, &b),
            None => w.full_boxed(name, 0, 0, |w| w.zeros(empty)),
        }
    }
    let mut chunks = false;
    for name in [b"ctts", b"stss", b"stco", b"co64"] {
        if let Some(b) = stbl.and_then(|b| b.child(name)) {
            chunks |= matches!(name, b"stco" | b"co64");
            copy(&mut w, &b);
        }
    }
    if !chunks {
        w.full_boxed(b"stco", 0, 0, |w| w.u32(0));
    }
    for start in [table, minf, media, track, moov] {
        w.close(start);
    }
    w.into_vec()
}

fn copy(w: &mut ByteWriter, b: &Mp4Box<'_>) {
    w.boxed(&b.name, |w| w.bytes(b.body));
}
