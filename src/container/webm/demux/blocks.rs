//! Blocks and their groups (RFC 9559 §5.1.3.5, §10): from the first byte of one to the samples in it.

use super::{MAX_COLLECT, MAX_FRAME, PATIENCE, State, Step, WebmDemuxer};
use crate::container::webm::ebml;
use crate::container::webm::inflate::inflate;
use crate::container::webm::lacing::frames;
use crate::container::webm::tracks::{self, Track};
use crate::container::{Sample, Sink, TrackId, TrackKind};
use crate::error::Result;
use crate::time::{Ticks, Timescale};

/// The start of a block (§10).
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub track: usize,
    pub time: Ticks,
    pub keyframe: bool,
    pub lacing: u8,
}

/// A BlockGroup (§5.1.3.5).
#[derive(Debug)]
pub(super) struct Group {
    pub end: u64,
    pub block: Held,
    pub duration: Option<u64>,
    pub referring: bool,
    /// Nanoseconds, to be taken off the end.
    pub discard: i64,
}

/// The block of a group, of which the group tells more behind it.
#[derive(Debug)]
pub(super) enum Held {
    None,
    /// It is of no track whose samples are given out.
    Passed,
    /// One frame that stands in the sink's buffer.
    Written(Head, u32),
    Whole(Head, Vec<u8>),
}

impl WebmDemuxer {
    /// Reads the start of a block (§10): track number, time relative to the cluster, flags.
    pub(super) fn block(&mut self, bytes: &mut &[u8], size: u64, sink: &mut dyn Sink) -> Result<Step> {
        let view = &bytes[..usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len())];
        let head = ebml::vint(view).and_then(|(number, n)| Some((number, n, view.get(n..n + 3)?)));
        let Some((number, n, &[t0, t1, flags])) = head else {
            // Broken, or not all there.
            if (view.len() as u64) < size && view.len() < 11 && view.first() != Some(&0) {
                return Ok(Step::Needs(view.len() + 1));
            }
            sink.warning(self.pos, "a block that cannot be read");
            self.state = State::Resync { window: 0, left: size, doubtful: true };
            return Ok(Step::Again);
        };
        let left = size.saturating_sub(n as u64 + 3);
        if left > MAX_FRAME {
            self.damage("a block of absurd size", sink)?;
            return Ok(Step::Again);
        }
        self.take(bytes, n + 3);
        self.state = State::Skip(left);
        if let Some(group) = &mut self.group {
            group.block = Held::Passed;
        }
        let Some(cluster) = self.cluster else {
            sink.warning(self.pos, "a block outside of a cluster, or before its time");
            return Ok(Step::Again);
        };
        let Some(track) = self.tracks.iter().position(|t| t.number == number) else {
            sink.warning(self.pos, "a block of an unknown track");
            self.state = State::Resync { window: 0, left, doubtful: true };
            return Ok(Step::Again);
        };
        if !self.tracks[track].wanted {
            return Ok(Step::Again);
        }
        let (_, factor) = self.timescale();
        let relative = Ticks::from(i16::from_be_bytes([t0, t1]));
        let time = Ticks::try_from(cluster).unwrap_or(Ticks::MAX).saturating_add(relative);
        let time = time.saturating_mul(Ticks::try_from(factor).unwrap_or(Ticks::MAX));
        self.note_time(cluster, sink);
        let head = Head { track, time, keyframe: flags & 0x80 != 0, lacing: flags >> 1 & 3 };
        let track = &self.tracks[track];
        if head.lacing == 0 && track.resolved && !track.deflated {
            sink.buffer(track.info.id).extend_from_slice(&track.stripped);
            self.state = State::Frame { head, left, size: track.stripped.len() as u32 };
        } else {
            match usize::try_from(left) {
                Ok(size) if left <= MAX_COLLECT => self.state = State::Lace { head, size },
                _ => self.damage("a block of absurd size", sink)?,
            }
        }
        Ok(Step::Again)
    }

    /// A track that has had no frame for some time has none.
    fn note_time(&mut self, cluster: u64, sink: &mut dyn Sink) {
        if self.complete {
            return;
        }
        let time = cluster.saturating_mul(self.timestamp_scale);
        let first = *self.first_time.get_or_insert(time);
        if time.saturating_sub(first) > PATIENCE {
            self.complete_tracks(sink);
        }
    }

    pub(super) fn end_group(&mut self, sink: &mut dyn Sink) {
        let Some(group) = self.group.take() else { return };
        let sync = !group.referring;
        match group.block {
            Held::None => sink.warning(self.pos, "a group without a block"),
            Held::Passed => {}
            Held::Written(head, size) => {
                self.written(Head { keyframe: sync, ..head }, size, group.duration, group.discard, sink);
            }
            Held::Whole(head, content) => {
                self.whole(Head { keyframe: sync, ..head }, &content, group.duration, group.discard, sink);
            }
        }
    }

    /// Completes a frame that stands in the sink's buffer.
    pub(super) fn written(
        &mut self,
        head: Head,
        size: u32,
        duration: Option<u64>,
        discard: i64,
        sink: &mut dyn Sink,
    ) {
        let (timescale, factor) = self.timescale();
        let Some(track) = self.tracks.get_mut(head.track) else { return };
        let buffer = sink.buffer(track.info.id);
        let own = track.frame_duration(&buffer[buffer.len().saturating_sub(size as usize)..]);
        let duration = match (duration, track.told_duration(1).or(own)) {
            (Some(units), _) => Some(units.saturating_mul(factor)),
            (None, Some(ns)) => u64::try_from(tracks::ticks(ns, timescale)).ok(),
            (None, None) => None,
        };
        give(track, timescale, head, head.time, trimmed(duration, discard, timescale), size, sink);
    }

    /// Splits a block that is wholly there, and completes its track if that was not known.
    pub(super) fn whole(
        &mut self,
        head: Head,
        content: &[u8],
        duration: Option<u64>,
        discard: i64,
        sink: &mut dyn Sink,
    ) {
        let Some(frames) = frames(content, head.lacing) else {
            return sink.warning(self.pos, "a block whose lacing is broken");
        };
        let (timescale, factor) = self.timescale();
        let scale = self.timestamp_scale;
        let Some(track) = self.tracks.get_mut(head.track) else { return };
        let count = frames.len() as u64;
        let mut restored = Vec::new();
        // In units of the file, rounded once for the whole block.
        let told = duration.or_else(|| Some(track.told_duration(count)?.saturating_mul(count) / scale));

        let mut elapsed = 0u64;
        // A few bytes can be the compressed form of megabytes, and a block has up to 256 frames.
        let mut budget = MAX_COLLECT as usize;
        for (i, frame) in (0u64..).zip(frames) {
            let frame = if track.deflated {
                if inflate(frame, budget, &mut restored).is_none() {
                    sink.warning(self.pos, "a frame whose compression is broken was dropped");
                    continue;
                }
                budget = budget.saturating_sub(restored.len());
                &restored
            } else if track.stripped.is_empty() {
                frame
            } else {
                restored.clear();
                restored.extend_from_slice(&track.stripped);
                restored.extend_from_slice(frame);
                &restored
            };
            if !track.resolved {
                if !track.resolve(frame) {
                    sink.warning(self.pos, "a frame before the first that tells its format was dropped");
                    continue;
                }
                track.announced = true;
                sink.track(track.info.clone());
            }
            let own = track.frame_duration(frame);
            let (offset, duration) = match told {
                Some(all) => {
                    let at = |i: u64| (all.saturating_mul(i) / count).saturating_mul(factor);
                    (at(i), Some(at(i + 1) - at(i)))
                }
                None => {
                    let start = tracks::ticks(elapsed, timescale);
                    elapsed = elapsed.saturating_add(own.unwrap_or(0));
                    let length = tracks::ticks(elapsed, timescale) - start;
                    (start as u64, own.map(|_| length as u64))
                }
            };
            let time = head.time.saturating_add(Ticks::try_from(offset).unwrap_or(0));
            let discard = if i + 1 == count { discard } else { 0 };
            sink.buffer(track.info.id).extend_from_slice(frame);
            let duration = trimmed(duration, discard, timescale);
            give(track, timescale, head, time, duration, frame.len() as u32, sink);
        }
        if !self.complete && self.tracks.iter().all(|t| t.resolved) {
            self.complete_tracks(sink);
        }
    }
}

/// A duration without what DiscardPadding takes off its end.
fn trimmed(duration: Option<u64>, discard: i64, timescale: Timescale) -> Option<u32> {
    let padding = u64::try_from(discard).map_or(0, |ns| tracks::ticks(ns, timescale) as u64);
    duration.and_then(|d| u32::try_from(d.saturating_sub(padding)).ok())
}

/// Gives out a frame that stands in the sink's buffer.
fn give(
    track: &mut Track,
    timescale: Timescale,
    head: Head,
    pts: Ticks,
    duration: Option<u32>,
    size: u32,
    sink: &mut dyn Sink,
) {
    let sync = head.keyframe || track.info.kind == TrackKind::Audio;
    let nominal = || track.default_duration.map(|ns| tracks::ticks(ns, timescale));
    let usual = duration.map(Ticks::from).or_else(nominal).filter(|d| *d > 0);
    let usual = usual.unwrap_or(Ticks::from(timescale.get()) / 25).max(1);
    let dts = track.reorder.as_mut().map_or(pts, |r| r.place(pts, sync, usual));
    let id: TrackId = track.info.id;
    sink.sample(id, Sample { dts, pts, duration, sync, size });
}
