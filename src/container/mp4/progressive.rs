//! Sample tables of files that are not fragmented (ISO/IEC 14496-12 §8.6, §8.7), as the `mp4` crate reads them.

use crate::container::{Sample, Sink, TrackId, TrackKind};
use crate::error::{Code, PlayerError, Result};

use super::boxes::find;
use super::moov::{self, Moov, Track, leaf};

/// Samples of one track at most: a day of 44.1 kHz AAC. Tables with one size for all do not bound their number.
const MAX_SAMPLES: u32 = 1 << 22;

/// A sample and its first byte in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Whose.
    pub track: TrackId,
    /// In the file.
    pub offset: u64,
    /// Times and size.
    pub sample: Sample,
}

/// Gives a whole file in memory to `sink`, track by track. `Ok(false)`, and nothing given, for a file that is fragmented
/// or has no `moov`: the [`FragmentDemuxer`](super::FragmentDemuxer) reads it or says what is wrong.
/// [`Code::Truncated`] after the samples before the end, where some lie behind it.
pub fn demux(file: &[u8], sink: &mut dyn Sink) -> Result<bool> {
    let Some(moov) = find(file, b"moov") else { return Ok(false) };
    let moov = moov::parse(moov.body)?;
    if moov.fragmented {
        return Ok(false);
    }
    for what in &moov.warnings {
        sink.warning(0, what);
    }
    for track in &moov.tracks {
        sink.track(track.info.clone());
    }
    sink.tracks_complete();
    let mut missing = None;
    for Located { track, offset, sample } in samples(&moov)? {
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

/// All samples, track by track in decoding order. Tables that contradict each other are an error.
pub fn samples(moov: &Moov) -> Result<Vec<Located>> {
    let mut out = Vec::new();
    for track in &moov.tracks {
        track_samples(track, &mut out).ok_or_else(|| {
            PlayerError::new(Code::MediaMalformed, "the sample tables contradict each other")
        })?;
    }
    Ok(out)
}

/// Values that each hold for a number of samples.
struct Runs<I> {
    entries: I,
    left: u32,
}

impl<T: Copy + Default, I: Iterator<Item = (u32, T)>> Runs<I> {
    fn next(&mut self, value: &mut T) -> Option<()> {
        while self.left == 0 {
            (self.left, *value) = self.entries.next()?;
        }
        self.left -= 1;
        Some(())
    }
}

fn track_samples(track: &Track, out: &mut Vec<Located>) -> Option<()> {
    let table = |name| find(&track.tables, name);
    let sizes = leaf(&table(b"stsz")?, |m| Some(&m.traks.first()?.mdia.minf.stbl.stsz))?;
    let durations = leaf(&table(b"stts")?, |m| Some(&m.traks.first()?.mdia.minf.stbl.stts))?;
    let chunk_sizes = leaf(&table(b"stsc")?, |m| Some(&m.traks.first()?.mdia.minf.stbl.stsc))?;
    if sizes.sample_count > MAX_SAMPLES {
        return None;
    }
    let mut deltas =
        Runs { entries: durations.entries.iter().map(|e| (e.sample_count, e.sample_delta)), left: 0 };
    let ctts = match table(b"ctts") {
        Some(b) => Some(leaf(&b, |m| m.traks.first()?.mdia.minf.stbl.ctts.as_ref())?),
        None => None,
    };
    let mut offsets = ctts.as_ref().map(|ctts| Runs {
        entries: ctts.entries.iter().map(|e| (e.sample_count, e.sample_offset)),
        left: 0,
    });
    let stss = match table(b"stss") {
        Some(b) => Some(leaf(&b, |m| m.traks.first()?.mdia.minf.stbl.stss.as_ref())?),
        None => None,
    };
    let mut syncs = stss.as_ref().map(|stss| stss.entries.iter().copied().peekable());
    let mut chunks: Box<dyn Iterator<Item = u64>> = match (table(b"co64"), table(b"stco")) {
        (Some(b), _) => {
            Box::new(leaf(&b, |m| m.traks.first()?.mdia.minf.stbl.co64.as_ref())?.entries.into_iter())
        }
        (None, Some(b)) => {
            let stco = leaf(&b, |m| m.traks.first()?.mdia.minf.stbl.stco.as_ref())?;
            Box::new(stco.entries.into_iter().map(u64::from))
        }
        (None, None) => Box::new(std::iter::empty()),
    };
    let mut per_chunk = chunk_sizes.entries.iter().peekable();
    let mut samples_per_chunk = 0;
    let (mut chunk, mut left_in_chunk, mut position) = (0u32, 0u32, 0u64);
    let (mut dts, mut delta, mut offset) = (0i64, 0u32, 0i32);
    for number in 1..=sizes.sample_count {
        while left_in_chunk == 0 {
            position = chunks.next()?;
            chunk += 1;
            while let Some(entry) = per_chunk.next_if(|e| e.first_chunk <= chunk) {
                samples_per_chunk = entry.samples_per_chunk;
            }
            left_in_chunk = samples_per_chunk;
        }
        left_in_chunk -= 1;
        deltas.next(&mut delta)?;
        if let Some(offsets) = &mut offsets {
            offsets.next(&mut offset)?;
        }
        let size = match sizes.sample_size {
            0 => *sizes.sample_sizes.get(number as usize - 1)?,
            size => size,
        };
        let listed = match &mut syncs {
            None => true,
            Some(syncs) => {
                while syncs.next_if(|&s| s < number).is_some() {}
                syncs.peek() == Some(&number)
            }
        };
        let sync = listed || track.info.kind == TrackKind::Audio;
        let pts = dts.checked_add(offset.into())?;
        let sample = Sample { dts, pts, duration: Some(delta), sync, size };
        out.push(Located { track: track.info.id, offset: position, sample });
        position = position.checked_add(size.into())?;
        dts = dts.checked_add(delta.into())?;
    }
    Some(())
}
