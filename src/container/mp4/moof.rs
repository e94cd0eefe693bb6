//! The movie fragment (ISO/IEC 14496-12 §8.8.4): which samples there are and at which bytes.

use crate::bytes::ByteReader;
use crate::container::{Sample, TrackId, TrackKind};
use crate::error::{Code, PlayerError, Result};
use crate::time::Ticks;

use super::boxes::{Mp4Box, boxes};
use super::moov::Track;

/// Samples of one fragment at most. A run whose samples are all equal needs no bytes for them, so that the size of
/// the box does not bound their number; this is an hour and a half of AAC.
const MAX_SAMPLES: usize = 1 << 18;

/// A sample whose bytes have not all come yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Its first byte, counted as the fragment's own position is.
    pub offset: u64,
    pub track: TrackId,
    pub sample: Sample,
}

/// A track as fragments go on with it.
#[derive(Clone, Debug)]
pub(super) struct TrackState {
    pub track: Track,
    /// Where the next fragment begins if it does not tell.
    pub next_dts: Option<Ticks>,
    /// The sample entry in use, from 1 on, and whether it has changed since it was given to the sink.
    pub description: u32,
    pub changed: bool,
}

/// What a fragment says besides its samples.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Places are relative to the start of a file that this may be a part of, or to no known place: they may be moved to
    /// where the `mdat` is.
    pub movable: bool,
    pub warnings: Vec<&'static str>,
}

fn malformed(what: &'static str) -> PlayerError {
    PlayerError::new(Code::MediaMalformed, what)
}

const FAR: &str = "a fragment points outside of any file";

/// Reads the body of a `moof` box that begins at `start`; its samples are added to `out` in the order of the runs.
pub(super) fn parse(
    body: &[u8],
    start: u64,
    tracks: &mut [TrackState],
    out: &mut Vec<Pending>,
) -> Result<Notes> {
    let mut notes = Notes::default();
    // Where the data of the track fragment before ends: the base of the next one in the rules without flags (§8.8.7.1).
    let mut previous_end = start;
    let alone = boxes(body).filter(|b| b.name == *b"traf").count() == 1 && tracks.len() == 1;
    for traf in boxes(body).filter(|b| b.name == *b"traf") {
        let header = traf.child(b"tfhd").and_then(|b| FragmentHeader::parse(&b));
        let header = header.ok_or_else(|| malformed("a fragment has no readable tfhd box"))?;
        let index = match tracks.iter().position(|s| s.track.info.id.0 == header.track_id) {
            Some(index) => index,
            None if alone => {
                notes.warnings.push("a fragment names another track than the init segment has");
                0
            }
            None => {
                notes.warnings.push("a fragment of a track that the init segment lacks was passed over");
                continue;
            }
        };
        previous_end = header.read_runs(&traf, start, previous_end, &mut tracks[index], out, &mut notes)?;
    }
    Ok(notes)
}

/// `tfhd` (§8.8.7).
struct FragmentHeader {
    track_id: u32,
    base: Option<u64>,
    base_is_moof: bool,
    description: Option<u32>,
    duration: Option<u32>,
    size: Option<u32>,
    flags: Option<u32>,
}

impl FragmentHeader {
    fn parse(b: &Mp4Box<'_>) -> Option<Self> {
        let (_, has, mut r) = b.full()?;
        let track_id = r.u32()?;
        let base = if has & 0x01 != 0 { Some(r.u64()?) } else { None };
        let mut field = |bit| if has & bit != 0 { r.u32().map(Some) } else { Some(None) };
        Some(Self {
            track_id,
            base,
            base_is_moof: has & 0x02_0000 != 0,
            description: field(0x02)?,
            duration: field(0x08)?,
            size: field(0x10)?,
            flags: field(0x20)?,
        })
    }

    /// Adds the samples of all runs. Gives the end of their data.
    fn read_runs(
        &self,
        traf: &Mp4Box<'_>,
        moof: u64,
        previous_end: u64,
        state: &mut TrackState,
        out: &mut Vec<Pending>,
        notes: &mut Notes,
    ) -> Result<u64> {
        let defaults = state.track.defaults;
        let description = self.description.unwrap_or(defaults.description).max(1);
        if description != state.description {
            match state.track.entries.get(description as usize - 1) {
                Some(entry) => {
                    entry.describe(&mut state.track.info);
                    state.changed = true;
                }
                None => notes.warnings.push("a fragment uses a sample entry that the init segment lacks"),
            }
            state.description = description;
        }
        let base = match self.base {
            Some(base) => base,
            None if self.base_is_moof => moof,
            None => previous_end,
        };
        notes.movable |= base != moof && self.base.is_some();
        let mut dts = match decode_time(traf)? {
            Some(dts) => dts,
            None => state.next_dts.unwrap_or_else(|| {
                notes.warnings.push("a fragment has no tfdt box: its time is taken to be 0");
                0
            }),
        };
        let fallback = Fallback {
            duration: self.duration.unwrap_or(defaults.duration),
            size: self.size.unwrap_or(defaults.size),
            flags: self.flags.unwrap_or(defaults.flags),
        };
        let mut end = base;
        for trun in boxes(traf.body).filter(|b| b.name == *b"trun") {
            let run = Run::parse(&trun).ok_or_else(|| malformed("a trun box is broken"))?;
            let mut offset = match run.data_offset {
                Some(relative) => base.checked_add_signed(relative.into()).ok_or_else(|| malformed(FAR))?,
                None => {
                    notes.movable |= end == moof;
                    end
                }
            };
            if run.count > MAX_SAMPLES - out.len().min(MAX_SAMPLES) {
                return Err(malformed("a fragment has too many samples"));
            }
            run.read_samples(&mut dts, &mut offset, &fallback, &state.track, out)?;
            end = offset;
        }
        state.next_dts = Some(dts);
        Ok(end)
    }
}

/// `tfdt` (§8.8.12).
fn decode_time(traf: &Mp4Box<'_>) -> Result<Option<Ticks>> {
    let Some(tfdt) = traf.child(b"tfdt") else { return Ok(None) };
    let time = tfdt.full().and_then(|(version, _, mut r)| match version {
        0 => r.u32().map(i64::from),
        _ => r.u64().and_then(|t| i64::try_from(t).ok()),
    });
    time.map(Some).ok_or_else(|| malformed("a tfdt box is broken"))
}

/// What holds for samples that do not tell themselves.
struct Fallback {
    duration: u32,
    size: u32,
    flags: u32,
}

/// `trun` (§8.8.8), its table not yet read.
struct Run<'a> {
    has: u32,
    count: usize,
    data_offset: Option<i32>,
    first_flags: Option<u32>,
    table: ByteReader<'a>,
}

impl<'a> Run<'a> {
    fn parse(b: &Mp4Box<'a>) -> Option<Self> {
        let (_, has, mut r) = b.full()?;
        let count = r.u32()? as usize;
        let data_offset = if has & 0x01 != 0 { Some(r.i32()?) } else { None };
        let first_flags = if has & 0x04 != 0 { Some(r.u32()?) } else { None };
        let fields = (has >> 8 & 15).count_ones() as usize;
        if fields > 0 && r.remaining() / (4 * fields) < count {
            return None;
        }
        Some(Self { has, count, data_offset, first_flags, table: r })
    }

    fn read_samples(
        mut self,
        dts: &mut Ticks,
        offset: &mut u64,
        fallback: &Fallback,
        track: &Track,
        out: &mut Vec<Pending>,
    ) -> Result<()> {
        let audio = track.info.kind == TrackKind::Audio;
        out.reserve(self.count);
        for i in 0..self.count {
            let short = || malformed("a trun box is broken");
            let mut field = |bit, other| {
                if self.has & bit != 0 { self.table.u32().ok_or_else(short) } else { Ok(other) }
            };
            let duration = field(0x100, fallback.duration)?;
            let size = field(0x200, fallback.size)?;
            let mut flags = field(0x400, fallback.flags)?;
            // Unsigned in version 0 (§8.8.8.1), where writers put negative numbers none the less; none needs the upper half.
            let composition = field(0x800, 0)? as i32;
            if let (0, Some(first)) = (i, self.first_flags) {
                flags = first;
            }
            // sample_is_non_sync_sample, sample_depends_on = 1 (§8.8.3.1). Audio is flagged carelessly and can start anywhere.
            let sync = audio || flags & 0x0101_0000 == 0;
            let pts = dts.checked_add(composition.into()).ok_or_else(|| malformed(FAR))?;
            let sample = Sample { dts: *dts, pts, duration: Some(duration), sync, size };
            out.push(Pending { offset: *offset, track: track.info.id, sample });
            *dts = dts.checked_add(duration.into()).ok_or_else(|| malformed(FAR))?;
            *offset = offset.checked_add(size.into()).ok_or_else(|| malformed(FAR))?;
        }
        Ok(())
    }
}
