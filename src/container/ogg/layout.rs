//! What a player wants to know of an Ogg file of which it has the first and the last bytes: how long it is, and where in it a
//! time may be.

use super::page::{self, Crc, Read};
use super::{OggDemuxer, TRACK, search};
use crate::container::{Demuxer, Sample, Sink, TrackId, TrackInfo};
use crate::time::{Seconds, Ticks, Timescale};

/// Bytes of the end of a file that hold its last page for certain: the largest page has 65,307.
pub const TAIL: usize = 64 << 10;

/// An Ogg file that is one link, of which first and last position are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    serial: u32,
    timescale: Timescale,
    /// Time stamp of what is heard first.
    start: Ticks,
    /// Time stamp at the end.
    end: Ticks,
    /// What makes a time stamp of a granule.
    base: i64,
    /// Bytes before the first page of audio.
    head: u64,
}

/// Notes the first sample and lets all else go.
#[derive(Default)]
struct First {
    info: Option<TrackInfo>,
    first: Option<Ticks>,
    buffer: Vec<u8>,
}

impl Sink for First {
    fn track(&mut self, info: TrackInfo) {
        self.info = Some(info);
    }
    fn tracks_complete(&mut self) {}
    fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
        &mut self.buffer
    }
    fn sample(&mut self, track: TrackId, sample: Sample) {
        if track == TRACK && self.first.is_none() {
            self.first = Some(sample.pts);
        }
        self.buffer.clear();
    }
    fn warning(&mut self, _: u64, _: &'static str) {}
}

impl Layout {
    /// From the first bytes of a file, up to the first audio at least, and its last ones ([`TAIL`]; they may overlap). `None`: too little,
    /// no stream that is played, or one that ends in another link of a chain.
    pub fn read(head: &[u8], tail: &[u8]) -> Option<Self> {
        let mut demuxer = OggDemuxer::new();
        let mut first = First::default();
        let mut before = 0u64;
        let mut rest = head;
        // Page by page, to know where the audio begins.
        while first.first.is_none() {
            let size = match page::read(rest) {
                Read::Got(page) => page.size,
                Read::Short(_) => return None,
                Read::Bad => 1 + search(rest.get(1..)?),
            };
            let (page, after) = rest.split_at_checked(size)?;
            demuxer.push(page, &mut first).ok()?;
            rest = after;
            if first.first.is_none() {
                before += size as u64;
            }
        }
        let stream = demuxer.stream()?;
        let info = first.info?;
        let (serial, granule) = pages(tail).filter_map(|(_, p)| Some((p.serial, p.granule?))).last()?;
        // The last page may be of another stream of the same link; one of another link has a serial number of its own.
        let granule = match serial == stream.serial {
            true => granule,
            false if demuxer.others.contains(&serial) => pages(tail)
                .filter(|(_, p)| p.serial == stream.serial)
                .filter_map(|(_, p)| p.granule)
                .last()?,
            false => return None,
        };
        let start = first.first?.saturating_add(info.edit_start);
        Some(Self {
            serial,
            timescale: info.timescale,
            start,
            end: stream.time(granule).max(start),
            base: stream.time(0),
            head: before,
        })
    }

    /// How long it is.
    pub fn duration(&self) -> Seconds {
        self.timescale.seconds(self.end.saturating_sub(self.start))
    }

    /// Byte at which to begin reading for `time` (seconds after the start), in a file of `size` bytes: as if all seconds had as many, less
    /// a page or so, and never behind the start of the audio.
    pub fn estimate(&self, time: Seconds, size: u64) -> u64 {
        let bytes = size.saturating_sub(self.head);
        let share = (time / self.duration().max(0.001)).clamp(0.0, 1.0);
        self.head + ((share * bytes as f64) as u64).saturating_sub(8 << 10)
    }

    /// End of the first page in `bytes`, from anywhere in the file, that tells a time: where it stands in them, and the time in seconds after
    /// the start. For bisection where the estimate is not good enough.
    pub fn time_in(&self, bytes: &[u8]) -> Option<(usize, Seconds)> {
        let (at, granule) = pages(bytes)
            .filter(|(_, p)| p.serial == self.serial)
            .find_map(|(at, p)| Some((at, p.granule?)))?;
        let ticks = granule.saturating_add(self.base).saturating_sub(self.start);
        Some((at, self.timescale.seconds(ticks)))
    }
}

/// The sound pages among `bytes`, which may begin and end anywhere.
fn pages(bytes: &[u8]) -> impl Iterator<Item = (usize, page::Page<'_>)> {
    let crc = Crc::new();
    let mut at = search(bytes);
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            match page::read(rest) {
                Read::Got(page) if crc.matches(&rest[..page.size]) => {
                    let here = at;
                    at += page.size;
                    return Some((here, page));
                }
                _ => at += 1 + search(&rest[1..]),
            }
        }
    })
}
