//! Media time to presentation time. Time stamps of streams begin anywhere and may jump; what is played does neither.

use super::super::buffer::SEAM;
use super::super::io::*;
use super::super::session::{Ctx, Session};
use super::super::stream::{Activity, HeldPiece};
use super::super::wrapping::Wrapping;
use crate::container::{Format, TrackId};
use crate::time::Seconds;

/// A step forward of the time stamps by more than this is a new timeline, not a hole. Smaller: holes of streams without an end are
/// closed, where sound and picture may then lie apart by them.
const JUMP_LIVE: Seconds = 2.0;
/// As above, in files: a hole in a recording is a hole.
const JUMP_FILE: Seconds = 20.0;
/// A step back by more than this is a new timeline: no reordering reaches as far.
const JUMP_BACK: Seconds = 1.0;
/// Tracks whose time stamps jump do so within this many seconds of each other.
const TOGETHER: Seconds = 5.0;
/// What ends so long before the place that was sought is not appended: no group of pictures is longer. Larger: more is appended
/// for nothing where the server has no ranges; smaller: pictures without the one that they need.
pub(super) const BEFORE: Seconds = 12.0;
/// Sound that may come before the first picture, in seconds, until it is taken that none follows.
const PATIENCE: Seconds = 3.0;
/// A file whose time stamps begin later than this begins at its first one.
pub(super) const OWN_START: Seconds = 10.0;

/// One track's place on the timelines.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// Added to media time.
    offset: Seconds,
    /// Which of the timelines, counted from 0.
    epoch: u32,
    /// End of what came last, in media time; `None` after an interruption.
    end: Option<Seconds>,
    /// The same on the presentation's timeline.
    presented: Option<Seconds>,
}

#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// What tracks go as; see `Pipeline::wrap`.
    pub wrappings: Vec<(TrackId, Option<Wrapping>)>,
    /// The latest: what is added to media time, and its number.
    tie: Option<(Seconds, u32)>,
    /// What was added first: to what the resource begins with.
    first: Option<Seconds>,
    /// Media time of where playback began.
    lanes: [Option<Lane>; 2],
    /// What follows is of another connection: its time stamps need not go on.
    broken: bool,
    /// What follows begins at this place: its bytes carry no time, or one of another connection.
    placed: Option<Seconds>,
    /// Where the tracks end, once the end of the file has come.
    finished: [Option<Seconds>; 2],
}

impl Timeline {
    pub fn is_untied(&self) -> bool {
        self.tie.is_none()
    }

    /// What is added to media time at present.
    pub fn offset(&self) -> Option<Seconds> {
        self.tie.map(|t| t.0)
    }

    /// Where the tracks end that were given out.
    pub fn ends(&self) -> impl Iterator<Item = Seconds> + '_ {
        self.lanes.iter().flatten().filter_map(|l| l.presented)
    }

    /// Where a track ends that was given out.
    pub fn end_of(&self, id: BufferId) -> Option<Seconds> {
        self.lanes[id as usize]?.presented
    }

    /// No media follows, and none came from elsewhere.
    pub fn finish(&mut self) {
        for (end, lane) in self.finished.iter_mut().zip(self.lanes) {
            *end = lane.and_then(|l| l.presented).or(*end);
        }
    }

    /// Whether `reached` of each track is the end of the file, as far as that is known; then it counts as given out.
    pub fn is_finished(&mut self, reached: impl Iterator<Item = (BufferId, Seconds)>) -> bool {
        let mut any = false;
        for (id, to) in reached {
            if self.finished[id as usize].is_none_or(|end| to < end - SEAM) {
                return false;
            }
            any = true;
        }
        if any {
            for (lane, end) in self.lanes.iter_mut().zip(self.finished) {
                lane.iter_mut().for_each(|l| l.presented = end);
            }
        }
        any
    }

    /// What follows is from another place.
    pub fn interrupt(&mut self) {
        for lane in self.lanes.iter_mut().flatten() {
            lane.end = None;
            lane.presented = None;
        }
    }

    /// What follows is of another connection to a stream without an end, and begins at this place.
    pub fn break_off(&mut self, at: Seconds) {
        self.broken = true;
        self.placed = Some(at);
        for lane in self.lanes.iter_mut().flatten() {
            lane.end = None;
        }
    }

    /// What follows begins at this place, whatever its time stamps.
    pub fn place_at(&mut self, time: Seconds) {
        self.placed = Some(time);
    }

    /// What follows is from the very start.
    pub fn rewind(&mut self) {
        self.placed = None;
        if let Some(first) = self.first.filter(|first| self.offset() != Some(*first)) {
            self.renew(first);
        }
    }

    /// The same timeline, told with another offset: its time stamps began anew.
    pub fn retie(&mut self, offset: Seconds) {
        self.renew(offset);
    }

    fn renew(&mut self, offset: Seconds) -> (Seconds, u32) {
        let tie = (offset, self.tie.map_or(0, |t| t.1 + 1));
        self.tie = Some(tie);
        self.first.get_or_insert(offset);
        self.finished = [None; 2];
        tie
    }

    /// What is added to the media time of a piece.
    fn place(&mut self, id: BufferId, start: Seconds, jump: Seconds, own_clock: bool) -> Option<Seconds> {
        let tie = self.tie?;
        if let Some(at) = self.placed.take() {
            // Encoders of transport streams go on counting: what comes twice lies where it lay.
            let goes_on =
                std::mem::take(&mut self.broken) && own_clock && (-20.0..2.0).contains(&(start + tie.0 - at));
            if !goes_on {
                self.renew(at - start);
            }
        }
        let (offset, epoch) = self.tie?;
        let lane = self.lanes[id as usize].get_or_insert(Lane { offset, epoch, end: None, presented: None });
        let Some(end) = lane.end else {
            (lane.offset, lane.epoch) = (offset, epoch);
            return Some(offset);
        };
        let step = start - end;
        if (-JUMP_BACK..jump).contains(&step) {
            return Some(lane.offset);
        }
        let after = lane.presented.unwrap_or(start + lane.offset);
        if lane.epoch != epoch && (start + offset - after).abs() < TOGETHER {
            // The other track has jumped before.
            (lane.offset, lane.epoch) = (offset, epoch);
            return Some(offset);
        }
        let edge = self.ends().fold(after, f64::max);
        let (offset, epoch) = self.renew(edge - start);
        if let Some(lane) = &mut self.lanes[id as usize] {
            (lane.offset, lane.epoch) = (offset, epoch);
        }
        Some(offset)
    }

    fn note(&mut self, id: BufferId, end: Seconds) {
        if let Some(lane) = &mut self.lanes[id as usize] {
            lane.end = Some(end);
            let presented = end + lane.offset;
            lane.presented = Some(lane.presented.map_or(presented, |p| p.max(presented)));
        }
    }
}

impl Session {
    /// Ties the first time stamps to the presentation's start. `None`: not all that counts for it has come.
    fn tie(&mut self, i: usize) -> Option<Seconds> {
        let linear = self.linear.as_mut()?;
        if let Some(offset) = linear.timeline.offset() {
            return Some(offset);
        }
        let stream = &self.streams[i];
        let has_video = stream.buffers.iter().any(|(b, _)| *b == BufferId::Video);
        let of_video = |h: &&HeldPiece| !has_video || h.piece.buffer == BufferId::Video;
        let complete = stream.job().is_none_or(|j| j.complete);
        let first = stream.held.first()?;
        let sound: Seconds = stream.held.iter().map(|h| h.piece.end - h.piece.start).sum();
        let leads = stream.held.iter().find(of_video).or((complete || sound > PATIENCE).then_some(first))?;
        let start = leads.piece.start;
        // Where the container has a timeline of its own, a late start of one track is meant.
        let own = matches!(linear.format, Format::Mp4 | Format::Webm | Format::Flv) && !linear.live();
        let offset = if own && (0.0..OWN_START).contains(&start) { 0.0 } else { -start };
        linear.timeline.renew(offset);
        Some(offset)
    }

    /// Hands pieces to the buffers, once those exist and the timeline is known.
    pub fn release_linear(&mut self, ctx: &mut Ctx, i: usize) {
        let searching = self.linear.as_ref().is_none_or(|l| l.search.is_some());
        if searching || self.tie(i).is_none() || self.buffers.iter().all(Option::is_none) {
            return;
        }
        let bandwidth = self.linear.as_ref().and_then(|l| l.rate()).map_or(0, |r| (r * 8.0) as u64);
        let held = std::mem::take(&mut self.streams[i].held);
        for HeldPiece { piece, .. } in held {
            let Some(linear) = &mut self.linear else { return };
            let jump = match linear.format {
                Format::Mp4 | Format::Webm if !linear.live() => f64::INFINITY,
                _ if linear.live() => JUMP_LIVE,
                _ => JUMP_FILE,
            };
            let own_clock = linear.format == Format::Ts;
            let Some(offset) = linear.timeline.place(piece.buffer, piece.start, jump, own_clock) else {
                continue;
            };
            let (id, at, end) = (piece.buffer, piece.start + offset, piece.end + offset);
            linear.timeline.note(id, piece.end);
            let cursor = linear.timeline.ends().fold(end, f64::max);
            let unwanted = linear.from.is_some_and(|from| end < from - BEFORE);
            let stream = &mut self.streams[i];
            stream.cursor = cursor;
            if unwanted {
                continue;
            }
            if let Activity::Segment(job) = &mut stream.activity
                && !job.starts.iter().any(|(b, _)| *b == id)
            {
                job.starts.push((id, at));
            }
            // What is read again is what is there.
            if self.append(ctx, piece, offset, (0.0, f64::INFINITY), bandwidth, 0.0) {
                self.streams[i].has_media = true;
            }
        }
    }

    /// Whether what is read serves a place that was sought.
    pub fn linear_serves(&mut self, i: usize, position: Seconds) -> bool {
        /// Seconds ahead of what has come that reading on reaches as fast as another request.
        const READ_ON: Seconds = 3.0;
        let frontier = self.frontier(&self.streams[i], position);
        let Some(linear) = &mut self.linear else { return false };
        let stream = &self.streams[i];
        let edge = stream.cursor;
        if linear.live() {
            return true;
        }
        let near = |t: Seconds| position >= t && position < t + READ_ON;
        let buffers = &self.buffers;
        let has = |id: BufferId| {
            buffers[id as usize].as_ref().map_or(position, |b| b.expected().end_from(position, SEAM))
        };
        match &stream.activity {
            // Recognition is not through: the place is where playback begins.
            Activity::Segment(_) if !linear.known || linear.timeline.is_untied() => {
                linear.from = (position > 0.0).then_some(position);
                true
            }
            Activity::Segment(_) if linear.search.is_some() => {
                linear.from.is_some_and(|from| near(from) || (position - from).abs() < SEAM)
            }
            Activity::Segment(_) => {
                let reads_on = position >= edge && (near(edge) || !linear.seekable());
                if reads_on {
                    linear.from = Some(position);
                }
                // Fragments have their pictures before their sound: what is there ends where that of the track ends.
                let goes_on =
                    |end: Option<Seconds>, has: Seconds| (end.unwrap_or(edge) - has).abs() < 2.0 * SEAM;
                reads_on
                    || frontier > position
                        && stream.buffers.iter().all(|(id, _)| goes_on(linear.timeline.end_of(*id), has(*id)))
            }
            Activity::Idle => (edge - frontier).abs() < SEAM,
            // Tracks need not end together: each goes on from the place to its own end.
            Activity::Ended => {
                let reaches =
                    |id: BufferId| linear.timeline.end_of(id).is_none_or(|end| has(id) >= end - SEAM);
                linear.timeline.ends().next().is_some() && stream.buffers.iter().all(|(id, _)| reaches(*id))
            }
            Activity::Index { .. } => true,
        }
    }

    /// A stream without an end has only what is buffered: a playhead that was moved elsewhere is put where there is something.
    pub fn keep_in_window(&mut self, ctx: &mut Ctx, i: usize) {
        let live = self.linear.as_ref().is_some_and(|l| l.live());
        if !live || !self.streams[i].has_media {
            return;
        }
        let ranges = self.playable_ranges();
        let position = self.playhead.position(ctx.now);
        let Some(bounds) = ranges.bounds() else { return };
        if position < bounds.start - SEAM {
            self.playhead.seek(ctx, bounds.start + 0.05);
        } else if position > bounds.end + 1.0 {
            self.playhead.seek(ctx, (bounds.end - 0.5).max(bounds.start));
        }
    }
}
