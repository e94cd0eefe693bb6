//! WebM as a stream of samples (RFC 9559): for inspection, and for the first time stamps of segments that pass through.
//!
//! Segment and Cluster are entered and their ends not looked for: all other elements that matter have ids of their own, so
//! that unknown sizes, media segments without a header and cut files need no special care.

use super::cues::DEFAULT_SCALE;
use super::ebml::{self, Read, id};
use super::malformed;
use super::tracks::{self, Track};
use crate::container::{Demuxer, Sample, Sink};
use crate::error::Result;
use crate::time::{Ticks, Timescale};

/// Larger elements than this are not collected: a frame of 8K video has some megabytes.
const MAX_ELEMENT: u64 = 64 << 20;

/// Tracks taken from a file; more are ignored.
const MAX_TRACKS: usize = 64;

/// Reads WebM and Matroska.
#[derive(Debug)]
pub struct WebmDemuxer {
    /// Bytes of an element that is not complete.
    pending: Vec<u8>,
    /// With fewer bytes pending, there is nothing to be done.
    need: usize,
    /// Bytes of an uninteresting element still to come.
    skip: u64,
    /// Bytes taken since the last reset, those pending not counted.
    offset: u64,
    timestamp_scale: u64,
    tracks: Vec<Track>,
    /// Of the current cluster, in units of the file.
    cluster: Option<u64>,
}

impl Default for WebmDemuxer {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            need: 0,
            skip: 0,
            offset: 0,
            timestamp_scale: DEFAULT_SCALE,
            tracks: Vec::new(),
            cluster: None,
        }
    }
}

impl Demuxer for WebmDemuxer {
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        if self.pending.is_empty() {
            let taken = self.elements(chunk, sink)?;
            self.pending.extend_from_slice(&chunk[taken..]);
            return Ok(());
        }
        self.pending.extend_from_slice(chunk);
        if self.pending.len() < self.need {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        let taken = self.elements(&pending, sink)?;
        pending.drain(..taken);
        self.pending = pending;
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if !self.pending.is_empty() || self.skip > 0 {
            sink.warning(self.offset, "the file ends within an element");
        }
        self.pending.clear();
        (self.need, self.skip) = (0, 0);
        Ok(())
    }

    fn reset(&mut self) {
        self.pending.clear();
        (self.need, self.skip, self.offset, self.cluster) = (0, 0, 0, None);
    }
}

impl WebmDemuxer {
    /// Reads all complete elements; tells how many bytes they took.
    fn elements(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<usize> {
        let mut at = 0;
        loop {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.skip -= skipped as u64;
                self.take(&mut at, skipped);
                if self.skip > 0 {
                    return Ok(at);
                }
            }
            let rest = &bytes[at..];
            let header = match ebml::header(rest) {
                Read::Got(header) => header,
                Read::Short => {
                    self.need = rest.len() + 1;
                    return Ok(at);
                }
                Read::Bad => return Err(malformed("No EBML element where one must be", self.offset)),
            };
            match header.id {
                id::SEGMENT => self.take(&mut at, header.len),
                id::CLUSTER => {
                    self.cluster = None;
                    self.take(&mut at, header.len);
                }
                id::INFO | id::TRACKS | id::TIMESTAMP | id::SIMPLE_BLOCK | id::BLOCK_GROUP => {
                    let size =
                        header.size.filter(|s| *s <= MAX_ELEMENT).and_then(|s| usize::try_from(s).ok());
                    let Some(size) = size else {
                        return Err(malformed("An element of unknown or absurd size", self.offset));
                    };
                    let Some(content) = rest[header.len..].get(..size) else {
                        self.need = header.len + size;
                        return Ok(at);
                    };
                    self.element(header.id, content, sink)?;
                    self.take(&mut at, header.len + size);
                }
                _ => {
                    let Some(size) = header.size else {
                        return Err(malformed("An element of unknown size", self.offset));
                    };
                    self.take(&mut at, header.len);
                    self.skip = size;
                }
            }
        }
    }

    fn take(&mut self, at: &mut usize, n: usize) {
        *at += n;
        self.offset += n as u64;
    }

    fn element(&mut self, id: u32, content: &[u8], sink: &mut dyn Sink) -> Result<()> {
        match id {
            id::INFO => {
                let scale = ebml::unsigned_child(content, id::TIMESTAMP_SCALE).filter(|s| *s > 0);
                self.timestamp_scale = scale.unwrap_or(DEFAULT_SCALE);
            }
            id::TRACKS => self.read_tracks(content, sink)?,
            id::TIMESTAMP => self.cluster = ebml::unsigned(content),
            id::SIMPLE_BLOCK => {
                // Flag "keyframe" (§10.2).
                let sync =
                    ebml::vint(content).and_then(|(_, n)| content.get(n + 2)).is_some_and(|f| f & 0x80 != 0);
                self.block(content, sync, None, sink);
            }
            id::BLOCK_GROUP => {
                let duration = ebml::unsigned_child(content, id::BLOCK_DURATION);
                let sync = ebml::child(content, id::REFERENCE_BLOCK).is_none();
                match ebml::child(content, id::BLOCK) {
                    Some(block) => self.block(block, sync, duration, sink),
                    None => sink.warning(self.offset, "a group without a block"),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Ticks of the tracks: those of the file where they divide a second, else nanoseconds.
    fn timescale(&self) -> (Timescale, u64) {
        const SECOND: u64 = 1_000_000_000;
        const NANOSECONDS: Timescale = match Timescale::new(SECOND as u32) {
            Some(t) => t,
            None => unreachable!(),
        };
        let exact = (SECOND.is_multiple_of(self.timestamp_scale))
            .then(|| u32::try_from(SECOND / self.timestamp_scale).ok().and_then(Timescale::new));
        match exact.flatten() {
            Some(timescale) => (timescale, 1),
            None => (NANOSECONDS, self.timestamp_scale),
        }
    }

    fn read_tracks(&mut self, content: &[u8], sink: &mut dyn Sink) -> Result<()> {
        self.tracks.clear();
        let (timescale, _) = self.timescale();
        for (_, entry) in ebml::children(content).filter(|c| c.0 == id::TRACK_ENTRY).take(MAX_TRACKS) {
            match tracks::track(entry, timescale) {
                Some(track) if self.tracks.iter().all(|t| t.number != track.number) => {
                    sink.track(track.info.clone());
                    self.tracks.push(track);
                }
                _ => sink.warning(self.offset, "a track that cannot be read"),
            }
        }
        if self.tracks.is_empty() {
            return Err(malformed("No track can be read", self.offset));
        }
        sink.tracks_complete();
        Ok(())
    }

    /// A block (§10): track number, time relative to the cluster, flags, one or more frames.
    fn block(&mut self, block: &[u8], sync: bool, duration: Option<u64>, sink: &mut dyn Sink) {
        let Some((number, n)) = ebml::vint(block) else {
            return sink.warning(self.offset, "a block that cannot be read");
        };
        let (Some(&[t0, t1, flags]), Some(cluster)) = (block.get(n..n + 3), self.cluster) else {
            return sink.warning(self.offset, "a block that is too short, or outside of a cluster");
        };
        let (timescale, factor) = self.timescale();
        let Some(track) = self.tracks.iter().find(|t| t.number == number) else {
            return sink.warning(self.offset, "a block of an unknown track");
        };
        let Some(frames) = frames(&block[n + 3..], flags >> 1 & 3) else {
            return sink.warning(self.offset, "a block whose lacing is broken");
        };
        let factor = Ticks::try_from(factor).unwrap_or(Ticks::MAX);
        let relative = Ticks::from(i16::from_be_bytes([t0, t1]));
        let time =
            Ticks::try_from(cluster).unwrap_or(Ticks::MAX).saturating_add(relative).saturating_mul(factor);
        let count = frames.len() as u64;
        let block_duration = duration.map(|d| d.saturating_mul(factor as u64));
        for (i, frame) in (0u64..).zip(frames) {
            // Frames of a lace follow each other without a gap.
            let each = track.default_duration.or_else(|| opus_duration(&track.info.codec, frame));
            let (offset, duration) = match (block_duration, each) {
                (Some(d), _) => (Ticks::try_from(d / count * i).unwrap_or(0), Some(d / count)),
                (None, Some(ns)) => {
                    let at = |n: u64| tracks::ticks(ns.saturating_mul(n), timescale);
                    (at(i), u64::try_from(at(i + 1) - at(i)).ok())
                }
                (None, None) => (0, None),
            };
            let pts = time.saturating_add(offset);
            let id = track.info.id;
            sink.buffer(id).extend_from_slice(frame);
            let duration = duration.and_then(|d| u32::try_from(d).ok());
            // The codecs of WebM decode in the order of presentation.
            sink.sample(id, Sample { dts: pts, pts, duration, sync, size: frame.len() as u32 });
        }
    }
}

/// Splits the payload of a block by its lacing (§10.3). `None`: broken.
fn frames(payload: &[u8], lacing: u8) -> Option<Vec<&[u8]>> {
    if lacing == 0 {
        return Some(vec![payload]);
    }
    let (&last, mut rest) = payload.split_first()?;
    let count = usize::from(last) + 1;
    let mut sizes: Vec<usize> = Vec::with_capacity(count);
    match lacing {
        2 => {
            if !rest.len().is_multiple_of(count) {
                return None;
            }
            sizes.resize(count - 1, rest.len() / count);
        }
        // Xiph: bytes of 255 and one that is less.
        1 => {
            for _ in 1..count {
                let mut size = 0usize;
                loop {
                    let (&b, after) = rest.split_first()?;
                    rest = after;
                    size += usize::from(b);
                    if b != 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        // EBML: the first size, then signed differences.
        _ => {
            for i in 1..count {
                let (value, n) = ebml::vint(rest)?;
                rest = &rest[n..];
                let value = i64::try_from(value).ok()?;
                let size = match sizes.last() {
                    None => value,
                    Some(&previous) => {
                        debug_assert!(i > 1);
                        i64::try_from(previous).ok()?.checked_add(value - ((1i64 << (7 * n - 1)) - 1))?
                    }
                };
                sizes.push(usize::try_from(size).ok()?);
            }
        }
    }
    let mut out = Vec::with_capacity(count);
    for size in sizes {
        out.push(rest.get(..size)?);
        rest = &rest[size..];
    }
    out.push(rest);
    Some(out)
}

/// Nanoseconds of an Opus packet, from its first bytes (RFC 6716 §3.1); `None` for other codecs.
fn opus_duration(codec: &str, packet: &[u8]) -> Option<u64> {
    if codec != "opus" {
        return None;
    }
    let toc = *packet.first()?;
    let config = toc >> 3;
    // In units of 2.5 ms.
    let frame: u64 = match config {
        0..=11 => [4, 8, 16, 24][usize::from(config & 3)],
        12..=15 => [4, 8][usize::from(config & 1)],
        _ => [1, 2, 4, 8][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 63),
    };
    Some(frame * frames * 2_500_000).filter(|d| *d > 0 && *d <= 120_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lacing_gives_its_frames() {
        let expected: Option<Vec<&[u8]>> = Some(vec![&[1; 3], &[2; 2], &[3; 4]]);
        let payload = [1, 1, 1, 2, 2, 3, 3, 3, 3];
        assert_eq!(frames(&payload, 0), Some(vec![&payload[..]]));
        assert_eq!(frames(&[&[2, 3, 2], &payload[..]].concat(), 1), expected);
        // First size 3, then 3 - 1: the difference -1 is 0x3e of one byte.
        assert_eq!(frames(&[&[2, 0x83, 0xbe], &payload[..]].concat(), 3), expected);
        assert_eq!(frames(&[2, 9, 9, 8, 8, 7, 7], 2), Some(vec![&[9, 9][..], &[8, 8], &[7, 7]]));
        for broken in [&[][..], &[2], &[2, 200, 1, 0], &[1, 255]] {
            assert_eq!(frames(broken, 1), None, "{broken:?}");
        }
        assert_eq!(frames(&[1, 1, 2, 3], 2), None);
        assert_eq!(frames(&[2, 0x80, 0x80, 0], 3), None, "a negative size");
    }

    #[test]
    fn opus_packets_tell_their_duration() {
        assert_eq!(opus_duration("opus", &[0xfc]), Some(20_000_000));
        assert_eq!(opus_duration("opus", &[0x03, 3]), Some(30_000_000));
        assert_eq!([opus_duration("opus", &[]), opus_duration("vorbis", &[0xfc])], [None, None]);
    }
}
