//! A model of the media element and its SourceBuffers: what is buffered, what plays, when it waits.

use super::site::rung_of;
use crate::container::mp4::FragmentDemuxer;
use crate::container::{Demuxer, Sample, Sink, TrackId, TrackInfo};
use crate::player::{BufferId, MediaState};
use crate::time::{Seconds, Ticks, TimeRanges, Timescale};

/// Media beyond the playhead that the element needs to play on (HAVE_FUTURE_DATA).
const FUTURE: Seconds = 0.05;
/// Ranges that lie no further apart than this are shown as one, as engines do with frames.
const JOINED: Seconds = 0.05;
/// Seconds between two reports while it plays.
const TICK: Seconds = 1.0;

/// A sample as it lies in a buffer.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: Seconds,
    end: Seconds,
    rung: usize,
}

#[derive(Debug, Default)]
struct Parsed {
    scale: Option<Timescale>,
    buffer: Vec<u8>,
    samples: Vec<(Ticks, u32, u32)>,
}

impl Sink for Parsed {
    fn track(&mut self, info: TrackInfo) {
        self.scale = Some(info.timescale);
    }

    fn tracks_complete(&mut self) {}

    fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn sample(&mut self, _: TrackId, sample: Sample) {
        self.samples.push((sample.pts, sample.duration.unwrap_or(0), sample.size));
        self.buffer.clear();
    }

    fn warning(&mut self, _: u64, _: &'static str) {}
}

/// One SourceBuffer.
#[derive(Debug)]
pub(super) struct SourceBuffer {
    pub id: BufferId,
    demuxer: FragmentDemuxer,
    parsed: Parsed,
    pieces: Vec<Piece>,
}

impl SourceBuffer {
    pub fn new(id: BufferId) -> Self {
        Self { id, demuxer: FragmentDemuxer::new(), parsed: Parsed::default(), pieces: Vec::new() }
    }

    /// `appendBuffer` of whole boxes; `false`: they are not what they should be.
    pub fn append(&mut self, data: &[u8], offset: Seconds, window: (Seconds, Seconds)) -> bool {
        let parsed =
            self.demuxer.push(data, &mut self.parsed).and_then(|()| self.demuxer.finish(&mut self.parsed));
        let samples = std::mem::take(&mut self.parsed.samples);
        let Some(scale) = self.parsed.scale.filter(|_| parsed.is_ok()) else { return false };
        for (pts, duration, size) in samples {
            let start = scale.seconds(pts) + offset;
            let end = start + scale.seconds(duration.into());
            let rung = rung_of(size);
            let piece = Piece { start: start.max(window.0), end: end.min(window.1), rung };
            if piece.end > piece.start {
                self.insert(piece);
            }
        }
        true
    }

    /// A whole segment, without bytes: of players that are not ours.
    pub fn put(&mut self, start: Seconds, end: Seconds, rung: usize) {
        self.parsed.scale.get_or_insert(Timescale::MPEG);
        self.insert(Piece { start, end, rung });
    }

    /// What lies in its place gives way.
    fn insert(&mut self, piece: Piece) {
        if self.pieces.last().is_some_and(|last| piece.start < last.end - 1e-6) {
            self.remove(piece.start, piece.end);
        }
        let at = self.pieces.partition_point(|p| p.start < piece.start);
        self.pieces.insert(at, piece);
    }

    /// `remove`.
    pub fn remove(&mut self, from: Seconds, to: Seconds) {
        let mut kept = Vec::with_capacity(self.pieces.len() + 1);
        for p in &self.pieces {
            for part in [Piece { end: p.end.min(from), ..*p }, Piece { start: p.start.max(to), ..*p }] {
                if part.end > part.start + 1e-6 {
                    kept.push(part);
                }
            }
        }
        self.pieces = kept;
    }

    /// `abort`, `changeType`.
    pub fn reset_parser(&mut self) {
        self.demuxer.reset();
    }

    pub fn buffered(&self) -> TimeRanges {
        let mut ranges: Vec<(Seconds, Seconds)> = Vec::new();
        for p in &self.pieces {
            match ranges.last_mut() {
                Some(last) if p.start <= last.1 + JOINED => last.1 = last.1.max(p.end),
                _ => ranges.push((p.start, p.end)),
            }
        }
        TimeRanges::from_pairs(ranges)
    }
}

/// A stretch that was played in one quality.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Played {
    /// Media time.
    pub from: Seconds,
    /// Media time.
    pub to: Seconds,
    /// Index into the ladder.
    pub rung: usize,
}

/// The element with its MediaSource.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub open: bool,
    pub source_ended: bool,
    pub buffers: Vec<SourceBuffer>,
    pub position: Seconds,
    pub rate: f64,
    pub ready_state: u8,
    pub seeking: bool,
    pub ended: bool,
    /// When the first picture was shown.
    pub first_frame: Option<Seconds>,
    /// Stalls that are over: (when, how long).
    pub stalls: Vec<(Seconds, Seconds)>,
    stalled_since: Option<Seconds>,
    /// It has played since the start.
    began: bool,
    pub played: Vec<Played>,
    pub reports: Vec<MediaState>,
    next_tick: Seconds,
    /// What all buffers have.
    ranges: TimeRanges,
}

impl Element {
    pub fn new() -> Self {
        Self { rate: 1.0, ..Self::default() }
    }

    /// The buffers have changed.
    pub fn measure(&mut self) {
        let highest = self.buffers.iter().filter_map(|b| Some(b.pieces.last()?.end)).fold(0.0, f64::max);
        let mut all = self.buffers.iter().map(|b| {
            let ranges = b.buffered();
            match ranges.bounds() {
                // The shorter track reaches to the end of the longer (MSE §3.15.3).
                Some(bounds) if self.source_ended && bounds.end < highest => TimeRanges::from_pairs(
                    ranges.iter().map(|r| (r.start, if r.end >= bounds.end { highest } else { r.end })),
                ),
                _ => ranges,
            }
        });
        let first = all.next().unwrap_or_default();
        self.ranges = all.fold(first, |sum, r| sum.intersection(&r));
    }

    fn edge(&self) -> Seconds {
        self.ranges.find(self.position, 1e-6).map_or(self.position, |r| r.end)
    }

    /// Seconds that it can play on.
    pub fn ahead(&self) -> Seconds {
        self.edge() - self.position
    }

    /// The playhead moves.
    pub fn playing(&self) -> bool {
        !self.seeking && !self.ended && self.ready_state >= 3
    }

    /// When it does something by itself.
    pub fn next(&self, now: Seconds) -> Seconds {
        if !self.playing() {
            return f64::INFINITY;
        }
        // It waits a little before its media ends, as engines do.
        let stop = if self.source_ended { self.edge() } else { self.edge() - FUTURE / 4.0 };
        let stops = now + (stop - self.position).max(0.0) / self.rate.max(1e-3) + 1e-6;
        stops.min(self.next_tick.max(now))
    }

    /// Plays on.
    pub fn advance(&mut self, from: Seconds, to: Seconds) {
        if !self.playing() || to <= from {
            return;
        }
        let before = self.position;
        self.position = (before + (to - from) * self.rate).min(self.edge()).max(before);
        self.began |= self.position > before;
        let Some(video) = self.buffers.first() else { return };
        let first = video.pieces.partition_point(|p| p.end <= before + 1e-9);
        for p in video.pieces[first..].iter().take_while(|p| p.start < self.position) {
            let part = Played { from: p.start.max(before), to: p.end.min(self.position), rung: p.rung };
            match self.played.last_mut() {
                Some(last) if last.rung == part.rung && (last.to - part.from).abs() < 1e-6 => {
                    last.to = part.to
                }
                _ => self.played.push(part),
            }
        }
    }

    /// `currentTime = to`.
    pub fn seek(&mut self, to: Seconds) {
        self.position = to.max(0.0);
        self.seeking = true;
        self.ready_state = self.ready_state.min(1);
        self.report();
    }

    /// Looks at its buffers anew.
    pub fn update(&mut self, now: Seconds) {
        if self.buffers.is_empty() || self.buffers.iter().any(|b| b.parsed.scale.is_none()) {
            return;
        }
        let before = self.ready_state;
        let end = self.ranges.bounds().map_or(0.0, |b| b.end);
        let at_end = self.source_ended && self.position >= end - 1e-3;
        self.ready_state = match self.ranges.find(self.position, 1e-6) {
            _ if at_end => 4,
            Some(r) if self.source_ended && r.end >= end - 1e-6 => 4,
            Some(r) if r.end - self.position > 2.0 => 4,
            Some(r) if r.end - self.position > FUTURE => 3,
            Some(_) => 2,
            None => 1,
        };
        if self.seeking && self.ready_state >= 2 {
            self.seeking = false;
            self.report();
        }
        if self.ready_state >= 2 && self.first_frame.is_none() {
            self.first_frame = Some(now);
            self.report();
        }
        if at_end && !self.ended && !self.seeking {
            self.ended = true;
            self.report();
        }
        if (before >= 3) != (self.ready_state >= 3) || (before >= 2) != (self.ready_state >= 2) || before == 0
        {
            self.report();
        }
        if self.playing() && now >= self.next_tick {
            self.next_tick = now + TICK;
            self.report();
        }
        self.count_stall(now);
    }

    fn count_stall(&mut self, now: Seconds) {
        let waits = self.began && !self.ended && !self.playing();
        match self.stalled_since {
            None if waits => self.stalled_since = Some(now),
            Some(since) if !waits => {
                self.stalled_since = None;
                self.stalls.push((since, now - since));
            }
            _ => {}
        }
    }

    /// The session is over: what still lasts ends now.
    pub fn close(&mut self, now: Seconds) {
        if let Some(since) = self.stalled_since.take() {
            self.stalls.push((since, now - since));
        }
    }

    fn report(&mut self) {
        self.reports.push(MediaState {
            position: self.position,
            ready_state: self.ready_state,
            paused: false,
            seeking: self.seeking,
            ended: self.ended,
            rate: self.rate,
            first_frame: self.first_frame.is_some(),
            ..MediaState::default()
        });
    }
}
