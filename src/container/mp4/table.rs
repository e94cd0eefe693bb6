//! The sample tables of files that are not fragmented (ISO/IEC 14496-12 §8.6, §8.7), kept so small that those of a film are a
//! few megabytes.

use std::rc::Rc;

use crate::bytes::ByteReader;
use crate::container::{Sample, TrackId, TrackInfo, TrackKind};
use crate::error::{Code, PlayerError, Result};
use crate::time::{Seconds, Ticks};

use super::boxes::find;
use super::moov::{self, Moov, Track};

/// Samples of one track at most: a day of 44.1 kHz AAC. Tables with one size for all do not bound their number.
const MAX_SAMPLES: u32 = 1 << 22;

/// Different composition offsets that are kept as one byte for each sample; files with more keep runs.
const MAX_OFFSETS: usize = 256;

/// Uncompressed sound, each frame of which is a sample: no browser takes it, and tables without entries announce many millions.
const PCM: [&str; 16] = [
    "twos", "sowt", "lpcm", "raw", "NONE", "in24", "in32", "fl32", "fl64", "alaw", "ulaw", "ipcm", "fpcm",
    "ima4", "MAC3", "MAC6",
];

/// Unsigned numbers of up to 8 bytes, each in as many as the largest needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Packed {
    width: usize,
    bytes: Vec<u8>,
}

impl Packed {
    fn new(values: impl Iterator<Item = u64> + Clone) -> Self {
        let largest = values.clone().fold(0, u64::max);
        let width = (8 - largest.leading_zeros() as usize / 8).max(1);
        let mut bytes = Vec::with_capacity(values.clone().count() * width);
        for value in values {
            bytes.extend_from_slice(&value.to_be_bytes()[8 - width..]);
        }
        Self { width, bytes }
    }

    fn get(&self, index: u32) -> Option<u64> {
        let start = (index as usize).checked_mul(self.width)?;
        let bytes = self.bytes.get(start..start + self.width)?;
        Some(bytes.iter().fold(0, |value, &b| value << 8 | u64::from(b)))
    }
}

/// `stsz`, `stz2` (§8.7.3).
#[derive(Clone, Debug)]
enum Sizes {
    Same(u32),
    Each(Packed),
}

/// `ctts` (§8.6.1.3).
#[derive(Clone, Debug)]
enum Offsets {
    None,
    /// An index into the different values for each sample.
    Each {
        values: Vec<i32>,
        index: Vec<u8>,
    },
    Runs(Vec<(u32, i32)>),
}

/// A run of chunks with as many samples each (`stsc`, §8.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ChunkRun {
    /// Counted from 0.
    first: u32,
    samples: u32,
    description: u32,
}

/// The tables of one track.
#[derive(Clone, Debug)]
struct Tables {
    count: u32,
    sizes: Sizes,
    durations: Vec<(u32, u32)>,
    offsets: Offsets,
    /// Numbers of sync samples, counted from 0, ascending; `None`: all are.
    syncs: Option<Vec<u32>>,
    chunk_runs: Vec<ChunkRun>,
    chunks: Packed,
}

/// Place in the tables of a track, in front of one sample.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    /// Samples before it.
    pub index: u32,
    /// The next chunk; the samples at hand are of the one before.
    chunk: u32,
    left_in_chunk: u32,
    chunk_run: u32,
    position: u64,
    duration_run: u32,
    duration_left: u32,
    offset_run: u32,
    offset_left: u32,
    sync: u32,
    dts: Ticks,
}

/// A sample with the sample entry that it uses, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub offset: u64,
    pub sample: Sample,
    pub description: u32,
}

/// The entries of a table with a count in front, as pairs of 32 bits. Its count is not trusted.
fn pairs(body: &[u8]) -> Option<impl Iterator<Item = (u32, u32)> + Clone> {
    let mut r = ByteReader::new(body);
    r.skip(4)?;
    let count = r.u32()? as usize;
    let pair = |c: &[u8]| {
        let mut r = ByteReader::new(c);
        (r.u32().unwrap_or(0), r.u32().unwrap_or(0))
    };
    (r.remaining() / 8 >= count).then(|| r.rest().chunks_exact(8).take(count).map(pair))
}

fn singles(body: &[u8]) -> Option<impl Iterator<Item = u32> + Clone> {
    let mut r = ByteReader::new(body);
    r.skip(4)?;
    let count = r.u32()? as usize;
    let number = |c: &[u8]| ByteReader::new(c).u32().unwrap_or(0);
    (r.remaining() / 4 >= count).then(|| r.rest().chunks_exact(4).take(count).map(number))
}

impl Tables {
    /// Reads the body of `stbl`. `None` where the tables are broken or contradict each other.
    fn parse(stbl: &[u8]) -> Option<Self> {
        let table = |name| find(stbl, name).map(|b| b.body);
        let (count, sizes) = match (table(b"stsz"), table(b"stz2")) {
            (Some(stsz), _) => Self::sizes(stsz)?,
            (None, Some(stz2)) => Self::compact_sizes(stz2)?,
            (None, None) => return None,
        };
        if count == 0 {
            return Some(Self {
                count,
                sizes,
                durations: Vec::new(),
                offsets: Offsets::None,
                syncs: None,
                chunk_runs: Vec::new(),
                chunks: Packed::default(),
            });
        }
        let mut durations: Vec<_> = pairs(table(b"stts")?)?.filter(|run| run.0 > 0).collect();
        durations.shrink_to_fit();
        let offsets = match table(b"ctts") {
            Some(body) => Self::offsets(body, count)?,
            None => Offsets::None,
        };
        let syncs = match table(b"stss") {
            Some(body) => {
                let mut syncs: Vec<u32> = singles(body)?.map(|n| n.saturating_sub(1)).collect();
                if !syncs.is_sorted() {
                    syncs.sort_unstable();
                }
                // Some writers leave an empty table in files of which every sample is one.
                Some(syncs).filter(|s| !s.is_empty())
            }
            None => None,
        };
        let mut r = ByteReader::new(table(b"stsc")?);
        r.skip(4)?;
        let runs = r.u32()? as usize;
        if r.remaining() / 12 < runs {
            return None;
        }
        let mut chunk_runs: Vec<ChunkRun> = Vec::with_capacity(runs);
        for _ in 0..runs {
            let run = ChunkRun { first: r.u32()?.checked_sub(1)?, samples: r.u32()?, description: r.u32()? };
            match chunk_runs.last() {
                Some(last) if last.first >= run.first => return None,
                Some(last) if (last.samples, last.description) == (run.samples, run.description) => {}
                _ => chunk_runs.push(run),
            }
        }
        chunk_runs.shrink_to_fit();
        let chunks = match (table(b"co64"), table(b"stco")) {
            (Some(body), _) => {
                Packed::new(pairs(body)?.map(|(high, low)| u64::from(high) << 32 | u64::from(low)))
            }
            (None, Some(body)) => Packed::new(singles(body)?.map(u64::from)),
            (None, None) => return None,
        };
        Some(Self { count, sizes, durations, offsets, syncs, chunk_runs, chunks })
    }

    fn sizes(stsz: &[u8]) -> Option<(u32, Sizes)> {
        let mut r = ByteReader::new(stsz);
        r.skip(4)?;
        let (same, count) = (r.u32()?, r.u32()?);
        if same != 0 {
            return (count <= MAX_SAMPLES).then_some((count, Sizes::Same(same)));
        }
        let each = singles(&stsz[4..])?;
        (count <= MAX_SAMPLES).then(|| (count, Sizes::Each(Packed::new(each.map(u64::from)))))
    }

    /// `stz2`: 4, 8 or 16 bits each.
    fn compact_sizes(stz2: &[u8]) -> Option<(u32, Sizes)> {
        let mut r = ByteReader::new(stz2);
        r.skip(4 + 3)?;
        let (bits, count) = (usize::from(r.u8()?), r.u32()?);
        let bytes = r.take((count as usize).checked_mul(bits)?.div_ceil(8))?;
        let packed = match bits {
            4 => Packed::new(bytes.iter().flat_map(|b| [b >> 4, b & 15]).take(count as usize).map(u64::from)),
            8 | 16 => Packed { width: bits / 8, bytes: bytes.to_vec() },
            _ => return None,
        };
        (count <= MAX_SAMPLES).then_some((count, Sizes::Each(packed)))
    }

    /// Whichever form is smaller. Unsigned in version 0, where writers put negative numbers none the less.
    fn offsets(ctts: &[u8], count: u32) -> Option<Offsets> {
        let runs = || pairs(ctts).map(|p| p.filter(|run| run.0 > 0).map(|(n, offset)| (n, offset as i32)));
        let mut values: Vec<i32> = Vec::new();
        let number = runs()?.count();
        if number * 8 > count as usize {
            for (_, offset) in runs()? {
                if !values.contains(&offset) {
                    if values.len() == MAX_OFFSETS {
                        return Some(Offsets::Runs(runs()?.collect()));
                    }
                    values.push(offset);
                }
            }
            let mut index = Vec::with_capacity(count as usize);
            for (n, offset) in runs()? {
                let at = values.iter().position(|v| *v == offset)?;
                let left = (count as usize).saturating_sub(index.len());
                index.resize(index.len() + left.min(n as usize), at as u8);
            }
            return Some(Offsets::Each { values, index });
        }
        Some(Offsets::Runs(runs()?.collect()))
    }

    fn memory(&self) -> usize {
        let sizes = if let Sizes::Each(sizes) = &self.sizes { sizes.bytes.capacity() } else { 0 };
        let offsets = match &self.offsets {
            Offsets::None => 0,
            Offsets::Each { values, index } => 4 * values.capacity() + index.capacity(),
            Offsets::Runs(runs) => 8 * runs.capacity(),
        };
        let syncs = self.syncs.as_ref().map_or(0, |s| 4 * s.capacity());
        let runs = 8 * self.durations.capacity() + 12 * self.chunk_runs.capacity();
        sizes + offsets + syncs + runs + self.chunks.bytes.capacity()
    }

    fn size(&self, index: u32) -> Option<u32> {
        match &self.sizes {
            Sizes::Same(size) => Some(*size),
            Sizes::Each(sizes) => sizes.get(index).map(|size| size as u32),
        }
    }

    /// The sample at the cursor, which then goes on. `None` at the end, or where the tables contradict each other.
    fn next(&self, at: &mut Cursor, audio: bool) -> Option<Entry> {
        if at.index >= self.count {
            return None;
        }
        while at.left_in_chunk == 0 {
            at.position = self.chunks.get(at.chunk)?;
            let next = self.chunk_runs.get(at.chunk_run as usize + 1);
            if next.is_some_and(|run| run.first <= at.chunk) {
                at.chunk_run += 1;
            }
            at.left_in_chunk = self.chunk_runs.get(at.chunk_run as usize)?.samples;
            at.chunk += 1;
        }
        let description = self.chunk_runs.get(at.chunk_run as usize)?.description;
        let duration = run_value(&self.durations, &mut at.duration_run, &mut at.duration_left)?;
        let offset = match &self.offsets {
            Offsets::None => 0,
            // Samples that the table does not reach have no offset.
            Offsets::Each { values, index } => {
                index.get(at.index as usize).and_then(|i| values.get(usize::from(*i))).map_or(0, |v| *v)
            }
            Offsets::Runs(runs) => run_value(runs, &mut at.offset_run, &mut at.offset_left).unwrap_or(0),
        };
        let size = self.size(at.index)?;
        let sync = match &self.syncs {
            // Audio is flagged carelessly and can start anywhere.
            _ if audio => true,
            None => true,
            Some(syncs) => {
                while syncs.get(at.sync as usize).is_some_and(|s| *s < at.index) {
                    at.sync += 1;
                }
                syncs.get(at.sync as usize) == Some(&at.index)
            }
        };
        let pts = at.dts.checked_add(offset.into())?;
        let sample = Sample { dts: at.dts, pts, duration: Some(duration), sync, size };
        let entry = Entry { offset: at.position, sample, description };
        at.position = at.position.checked_add(size.into())?;
        at.dts = at.dts.checked_add(duration.into())?;
        at.left_in_chunk -= 1;
        at.index += 1;
        Some(entry)
    }
}

/// The value of the next sample in a list of runs.
fn run_value<T: Copy>(runs: &[(u32, T)], run: &mut u32, left: &mut u32) -> Option<T> {
    if *left == 0 {
        // `run` counts those that were begun.
        *left = runs.get(*run as usize)?.0;
        *run += 1;
    }
    *left -= 1;
    runs.get(*run as usize - 1).map(|r| r.1)
}

/// The samples of a file that is not fragmented.
#[derive(Clone, Debug)]
pub struct SampleTable {
    tracks: Vec<(Track, Tables)>,
    duration: Option<Seconds>,
    /// Fragments may follow.
    fragmented: bool,
    warnings: Vec<&'static str>,
}

/// An `stsz` box of no samples.
const EMPTY_STSZ: &[u8; 20] = b"\0\0\0\x14stsz\0\0\0\0\0\0\0\0\0\0\0\0";

impl SampleTable {
    /// Reads a whole `moov` box, or its body. `Ok(None)` for a file whose samples are in fragments only: the
    /// [`FragmentDemuxer`](super::FragmentDemuxer) reads it.
    pub fn read(moov: &[u8]) -> Result<Option<Rc<Self>>> {
        let body = find(moov, b"moov").map_or(moov, |b| b.body);
        Self::from_moov(&mut moov::parse(body)?)
    }

    /// The tables of a movie, which are taken out of it. Tracks whose tables cannot be read are left out with a warning.
    pub(super) fn from_moov(moov: &mut Moov) -> Result<Option<Rc<Self>>> {
        let mut tracks = Vec::with_capacity(moov.tracks.len());
        let mut broken = false;
        for track in &mut moov.tracks {
            let mut stbl = std::mem::take(&mut track.tables);
            if PCM.contains(&track.info.codec.as_str()) {
                moov.warnings.push("the samples of uncompressed sound were passed over");
                stbl = EMPTY_STSZ.to_vec();
            }
            match Tables::parse(&stbl) {
                Some(tables) => tracks.push((track.clone(), tables)),
                None => broken = true,
            }
        }
        // A movie of fragments needs no tables, and some have none.
        if moov.fragmented && tracks.iter().all(|(_, t)| t.count == 0) {
            return Ok(None);
        }
        if broken {
            moov.warnings.push("a track with broken sample tables was left out");
        }
        if broken && tracks.is_empty() {
            return Err(PlayerError::new(Code::MediaMalformed, "the sample tables contradict each other"));
        }
        let duration = moov.timescale.filter(|_| moov.duration > 0);
        let duration = duration.map(|scale| moov.duration as f64 / f64::from(scale.get()));
        Ok(Some(Rc::new(Self {
            tracks,
            duration,
            fragmented: moov.fragmented,
            warnings: moov.warnings.clone(),
        })))
    }

    /// The tracks, each with the sample entry that its samples begin with.
    pub fn tracks(&self) -> impl Iterator<Item = &TrackInfo> {
        self.tracks.iter().map(|(t, _)| &t.info)
    }

    /// How many samples a track has.
    pub fn samples_of(&self, track: TrackId) -> u32 {
        self.tracks.iter().find(|(t, _)| t.info.id == track).map_or(0, |(_, t)| t.count)
    }

    /// The codec of uncompressed sound, whose samples are passed over, where there is no other sound.
    pub fn lost_sound(&self) -> Option<&str> {
        let mut sounds = self.tracks.iter().filter(|(t, _)| t.info.kind == TrackKind::Audio);
        let first = sounds.clone().next()?;
        sounds.all(|(t, _)| PCM.contains(&t.info.codec.as_str())).then_some(&first.0.info.codec)
    }

    /// Of the whole presentation, as `mvhd` tells it.
    pub fn duration(&self) -> Option<Seconds> {
        self.duration
    }

    /// Bytes that the tables hold, about: some 4 for each picture, 2 for each frame of sound, up to 8 for each chunk.
    pub fn memory(&self) -> usize {
        self.tracks.iter().map(|(_, tables)| tables.memory()).sum()
    }

    /// Whether there may be more samples than these, in fragments: the `moov`, which begins at `at`, announces them and stands in
    /// front of its own samples. One that was written when all were known stands behind them.
    pub(super) fn is_continued(&self, at: u64) -> bool {
        let first = |place| self.next(place, &mut Cursor::default());
        self.fragmented && (0..self.tracks.len()).filter_map(first).any(|e| e.offset > at)
    }

    /// What was passed over.
    pub fn warnings(&self) -> &[&'static str] {
        &self.warnings
    }

    /// The track at a place in [`Self::tracks`].
    pub(super) fn track_at(&self, place: usize) -> Option<&Track> {
        self.tracks.get(place).map(|t| &t.0)
    }

    /// The track as one of its sample entries describes it, counted from 1.
    pub(super) fn described(&self, id: TrackId, description: u32) -> Option<TrackInfo> {
        let (track, _) = self.tracks.iter().find(|(t, _)| t.info.id == id)?;
        let entry = track.entries.get((description as usize).checked_sub(1)?)?;
        let mut info = track.info.clone();
        entry.describe(&mut info);
        Some(info)
    }

    /// The sample at the cursor of the track at a place in [`Self::tracks`]; the cursor goes on.
    pub(super) fn next(&self, place: usize, at: &mut Cursor) -> Option<Entry> {
        let (track, tables) = self.tracks.get(place)?;
        tables.next(at, track.info.kind == TrackKind::Audio)
    }
}
