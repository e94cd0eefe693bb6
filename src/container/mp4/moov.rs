//! The movie box (ISO/IEC 14496-12 §8.2): tracks, their defaults for fragments, edit lists.
//!
//! `mdhd` and `elst` are read by the `mp4` crate, box by box: its `MoovBox` fails on, or loops
//! over, much that occurs (sizes of 0, tracks without sample tables, `minf` without `dinf`, sample entries that it does
//! not know), keeps one of several `trex`, and brings readers of every box that can be in it. Of `mvhd`, `tkhd` and `hdlr`, a number or two
//! each is wanted, and its readers of their matrices, rates and names are 5 kB of the module. They, `stsd`, `trex` and `elng` are read here.

use std::io::Cursor;

use mp4::{MoovBox, ReadBox};

use crate::bytes::ByteReader;
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
    /// The body of `stbl`.
    #[cfg(feature = "progressive")]
    pub(super) tables: Vec<u8>,
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
    let (scale, duration) = find(body, b"mvhd").and_then(|b| movie_header(&b)).unwrap_or_default();
    let mvex = find(body, b"mvex");
    let mut moov = Moov {
        tracks: Vec::new(),
        fragmented: mvex.is_some(),
        timescale: Timescale::new(scale),
        duration: mvex.and_then(|b| fragment_duration(&b)).unwrap_or(match duration {
            // All ones: not known (§8.2.2.3).
            0xffff_ffff | u64::MAX => 0,
            duration => duration,
        }),
        warnings: Vec::new(),
    };
    for trak in boxes(body).filter(|b| b.name == *b"trak").take(MAX_TRACKS) {
        match parse_trak(scale, &trak, mvex.as_ref(), &mut moov.warnings) {
            Some(track) if moov.tracks.iter().all(|t| t.info.id != track.info.id) => moov.tracks.push(track),
            Some(_) => moov.warnings.push("two tracks have the same id: the second one was left out"),
            None => moov.warnings.push("a track without readable headers was left out"),
        }
    }
    if moov.tracks.is_empty() {
        return Err(PlayerError::new(Code::MediaMalformed, "the moov box describes no readable track"));
    }
    Ok(moov)
}

/// Reads one box by the `mp4` crate. The types of its boxes have no names outside of it: `place` tells by where in a `moov` it
/// would be which one is meant.
pub(super) fn leaf<T>(b: &Mp4Box<'_>, place: fn(&MoovBox) -> Option<&T>) -> Option<T>
where
    T: for<'a, 'b> ReadBox<&'a mut Cursor<&'b [u8]>>,
{
    let _ = place;
    let mut cursor = Cursor::new(b.whole);
    cursor.set_position((b.whole.len() - b.body.len()) as u64);
    // It takes every header to have 8 bytes.
    T::read_box(&mut cursor, b.body.len() as u64 + 8).ok()
}

/// The `name` of a track's `udta` (QuickTime File Format, user data), which muxers write beside the handler's; with one whole file only:
/// manifests tell labels of their own.
fn label(trak: &Mp4Box<'_>) -> Option<String> {
    if !cfg!(feature = "progressive") {
        return None;
    }
    let name = std::str::from_utf8(trak.child(b"udta")?.child(b"name")?.body).ok()?;
    Some(name.trim_end_matches('\0')).filter(|name| !name.is_empty()).map(str::to_owned)
}

fn parse_trak(
    movie_scale: u32,
    trak: &Mp4Box<'_>,
    mvex: Option<&Mp4Box<'_>>,
    warnings: &mut Vec<&'static str>,
) -> Option<Track> {
    let mdia = trak.child(b"mdia")?;
    let mdhd = leaf(&mdia.child(b"mdhd")?, |m| Some(&m.traks.first()?.mdia.mdhd))?;
    let id = dated(&trak.child(b"tkhd")?)?.1.u32()?;
    let timescale = Timescale::new(mdhd.timescale)?;
    let handler = handler(&mdia.child(b"hdlr")?)?;

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
        language,
        label: label(trak),
        edit_start: edit_start(movie_scale, trak, timescale, warnings),
        ..TrackInfo::new(TrackId(id), TrackKind::Other, timescale)
    };
    entry.describe(&mut info);
    Some(Track {
        info,
        entries,
        defaults,
        #[cfg(feature = "progressive")]
        tables: stbl.body.to_vec(),
    })
}

/// What follows the times of creation and change, which are as wide as the version tells.
fn dated<'a>(header: &Mp4Box<'a>) -> Option<(u8, ByteReader<'a>)> {
    let (version, _, mut r) = header.full()?;
    r.skip(if version == 1 { 16 } else { 8 })?;
    Some((version, r))
}

/// Timescale and duration of `mvhd` (§8.2.2).
fn movie_header(mvhd: &Mp4Box<'_>) -> Option<(u32, u64)> {
    let (version, mut r) = dated(mvhd)?;
    Some((r.u32()?, if version == 1 { r.u64()? } else { r.u32()?.into() }))
}

/// The type of `hdlr` (§8.4.3).
fn handler(hdlr: &Mp4Box<'_>) -> Option<FourCc> {
    let (_, _, mut r) = hdlr.full()?;
    r.skip(4)?;
    Some(r.u32()?.to_be_bytes())
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
fn edit_start(
    movie_scale: u32,
    trak: &Mp4Box<'_>,
    timescale: Timescale,
    warnings: &mut Vec<&'static str>,
) -> Ticks {
    let elst = trak.child(b"edts").and_then(|b| b.child(b"elst"));
    // Without its edits a track still plays.
    let elst = elst.and_then(|b| leaf(&b, |m| m.traks.first()?.edts.as_ref()?.elst.as_ref()));
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
    let (scale, movie) = (u64::from(timescale.get()), u64::from(movie_scale));
    let empty = match (empty.checked_div(movie), empty.checked_rem(movie)) {
        (Some(whole), Some(rest)) => whole.saturating_mul(scale).saturating_add(rest * scale / movie),
        _ => 0,
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
