//! From the bytes of a segment to the SourceBuffers: pieces, held until the timeline is known.

use super::buffer::{Piece, SEAM};
use super::io::*;
use super::session::{Ctx, Fatal, Session};
use super::stream::{Activity, HeldAside, HeldPiece, Job};
use crate::error::{Code, PlayerError};
use crate::manifest::{ByteRange, ContentType, SegmentRef};
use crate::time::{MPEG_WRAP, Seconds};
use std::rc::Rc;

/// The append window begins this many seconds before a period: rounding must not cost the first keyframe. Nor do pictures that begin
/// so near to each other follow each other.
const WINDOW_SLACK: Seconds = 0.01;

/// Media ahead of the playhead that decoders may have taken, in seconds. Larger: more stops where quality changes; smaller: grey pictures.
pub(super) const DECODED_AHEAD: Seconds = 1.0;

/// Share of the time that media lasts in which the rest of its segment is to come where playback waits. Larger: shorter waits, and more of them.
const PLAYS_THROUGH: f64 = 0.8;

/// Media that lies so many seconds outside of its segment is not where the manifest says: clocks that drift apart come nowhere near.
const MISTIMED: Seconds = 60.0;

impl Session {
    /// Media bytes into the pipeline, pieces out of it.
    pub fn feed(&mut self, ctx: &mut Ctx, i: usize, data: &[u8]) -> Result<(), Fatal> {
        let Some((_, pipeline)) = &mut self.streams[i].pipeline else { return Ok(()) };
        let result = pipeline.push(data);
        self.collect(ctx, i, false, result)
    }

    /// After a seek into the middle of a segment: once its header tells where the keyframe before the target is, the bytes up to
    /// there are left out by asking for the rest only.
    pub fn skip_ahead(&mut self, ctx: &mut Ctx, i: usize) {
        /// Seconds that the bytes left out would take, below which another round trip costs as much.
        const WORTHWHILE: f64 = 0.12;
        let estimate = ctx.abr.estimate(ctx.now);
        let Some(job) = self.streams[i].job() else { return };
        let Some(target) = job.wanted_from.filter(|_| !job.complete) else { return };
        let Some(offset) = self.tied_or_told(job.key.period, &job.segment, None) else { return };
        let stream = &mut self.streams[i];
        let (Some((_, pipeline)), Activity::Segment(job)) = (&mut stream.pipeline, &mut stream.activity)
        else {
            return;
        };
        let least = (estimate * WORTHWHILE / 8.0) as u64;
        let Some(at) = pipeline.skip_to_sync(target - offset, least) else { return };
        let base = job.segment.range.map_or(0, |r| r.first);
        let range =
            ByteRange { first: base.saturating_add(at), last: job.segment.range.and_then(|r| r.last) };
        ctx.abr.finished(job.ticket, ctx.now);
        self.requests.cancel(job.ticket, ctx.out);
        let url = job.segment.url.clone();
        job.ticket = self.requests.send(ctx.now, FetchKind::Segment, url, Some(range), ctx.out);
        ctx.abr.started(job.ticket, ctx.now);
        job.wanted_from = None;
        job.skipped_to = Some(target);
        job.range = Some(range);
        (job.received, job.known, job.begun, job.resumed) = (0, 0, 0, false);
        job.length = None;
        job.sent = ctx.now;
        job.first_byte = None;
    }

    pub fn collect(
        &mut self,
        ctx: &mut Ctx,
        i: usize,
        flush: bool,
        mut result: crate::error::Result<()>,
    ) -> Result<(), Fatal> {
        if result.is_ok() && self.settle_wrapping(ctx, i) {
            // The answer comes before anything else does.
            return Ok(());
        }
        let without_sound = self.without_sound;
        let apart = self.streams.iter().any(|s| s.content == ContentType::Audio);
        let stream = &mut self.streams[i];
        let (Some((_, pipeline)), Activity::Segment(job)) = (&mut stream.pipeline, &mut stream.activity)
        else {
            return Ok(());
        };
        let mut pieces = Vec::new();
        let offset = job.segment.timestamp_offset.unwrap_or(0.0);
        let span = (job.segment.start - offset, job.segment.start + job.segment.duration - offset);
        if result.is_ok() {
            result = pipeline.drain(flush, span, &mut pieces);
        }
        job.fruitful |= !pieces.is_empty();
        if job.again || without_sound || (apart && stream.content != ContentType::Audio) {
            // The sound that is there is as good, or is that of another stream; or there is to be none.
            pieces.retain(|p| p.buffer == BufferId::Video);
        }
        if job.sound_only {
            pieces.retain(|p| p.buffer == BufferId::Audio);
        }
        if stream.buffers.is_empty()
            && let Some(mut tracks) = pipeline.tracks()
        {
            tracks.retain(|(buffer, _)| !without_sound || *buffer == BufferId::Video);
            if tracks.is_empty() && result.is_ok() {
                result =
                    Err(PlayerError::new(Code::MediaEmpty, "the segment has no track that can be played"));
            }
            stream.buffers = tracks;
        }
        let (key, segment) = (job.key, job.segment.clone());
        job.pieces += pieces.len();
        if cfg!(feature = "live")
            && let Some((main, _)) = stream.buffers.first()
        {
            job.media += pieces.iter().filter(|p| p.buffer == *main).map(|p| p.end - p.start).sum::<f64>();
        }
        let asides = pipeline.take_asides();
        if !asides.is_empty() {
            let segment = Rc::new(segment.clone());
            stream.asides.extend(asides.into_iter().map(|aside| HeldAside {
                aside,
                period: key.period,
                segment: segment.clone(),
            }));
        }
        stream.held.extend(pieces.into_iter().map(|piece| HeldPiece {
            piece,
            key,
            segment: segment.clone(),
        }));
        match result {
            Ok(()) => {
                self.release_held(ctx);
                Ok(())
            }
            Err(error) => {
                self.representation_failed(ctx, i, key, Some(segment.clone()), error.with_url(&segment.url))
            }
        }
    }

    pub fn finish_job(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        let stream = &mut self.streams[i];
        let (Some((_, pipeline)), Activity::Segment(job)) = (&mut stream.pipeline, &mut stream.activity)
        else {
            return Ok(());
        };
        let short = job.length.is_some_and(|l| job.received < l);
        let result = if short {
            Err(PlayerError::new(Code::Truncated, "the segment is shorter than announced").at(job.received))
        } else {
            pipeline.finish()
        };
        let url = job.segment.url.clone();
        let (key, segment, sent) = (job.key, job.segment.clone(), job.sent);
        self.collect(ctx, i, true, result)?;
        if self.is_asking(i) {
            return Ok(());
        }
        self.note_fill(ctx, i);
        let stream = &mut self.streams[i];
        if !matches!(stream.activity, Activity::Segment(_)) {
            return Ok(());
        }
        let fruitful = stream.job().is_some_and(|job| job.fruitful);
        let fed = stream.job().map(Job::fed);
        if stream.buffers.is_empty() || !fruitful {
            // A page of HTML can pass for boxes to be skipped: what counts is that samples came.
            let error = if stream.buffers.is_empty() {
                PlayerError::new(Code::MediaMalformed, "the segment came without its headers")
            } else {
                PlayerError::new(Code::MediaEmpty, "the segment holds no samples")
            };
            return self.representation_failed(ctx, i, key, Some(segment), error.with_url(&url));
        }
        if stream.job().is_some_and(|job| job.again) {
            // On at the cursor, which is not where this was.
            stream.activity = Activity::Idle;
            stream.last_fed = None;
        } else if let Some(fed) = fed {
            stream.move_to(fed.end, true);
            stream.last_fed = Some(fed);
        }
        stream.skipped = 0;
        let late = stream.late_since.take().map_or(0.0, |since| sent - since);
        stream.blocked = 0;
        // What gives media is not to be avoided, whatever was before.
        stream.failed.retain(|(failed, _)| *failed != key);
        stream.places = 0;
        self.segment_came(i, late);
        Ok(())
    }

    /// Hands pieces to the buffers, once those exist and the timeline is known.
    pub fn release_held(&mut self, ctx: &mut Ctx) {
        #[cfg(feature = "progressive")]
        if self.linear.is_some() {
            return self.release_linear(ctx, 0);
        }
        if self.buffers.iter().all(Option::is_none) {
            return;
        }
        #[cfg(all(feature = "hls", feature = "live"))]
        let mut drifts = Vec::new();
        let main_first = 0..self.streams.len();
        for i in main_first {
            while !self.streams[i].held.is_empty() {
                let Some(offset) = self.offset_for(i) else { break };
                if self.waits_for_playhead(ctx, i, offset) || self.gathers(ctx, i) {
                    break;
                }
                let held = self.streams[i].held.remove(0);
                let periods = &self.presentation.periods;
                let start = periods.get(held.key.period).map_or(0.0, |p| p.start);
                let end = periods.get(held.key.period + 1).map_or(f64::INFINITY, |p| p.start);
                let window = ((start - WINDOW_SLACK).max(0.0), end);
                let bandwidth = self
                    .set(held.key.period, held.key.set)
                    .and_then(|s| s.representations.get(held.key.rep))
                    .map_or(0, |r| r.bandwidth);
                let id = held.piece.buffer;
                let at = held.piece.start + offset;
                let begins = match &mut self.streams[i].activity {
                    Activity::Segment(job)
                        if job.segment.number == held.segment.number
                            && !job.starts.iter().any(|(b, _)| *b == id) =>
                    {
                        job.starts.push((id, at));
                        job.skipped_to.is_none()
                    }
                    _ => false,
                };
                #[cfg(not(all(feature = "hls", feature = "live")))]
                let _ = begins;
                #[cfg(all(feature = "hls", feature = "live"))]
                if begins
                    && (id == BufferId::Video
                        || !self.streams[i].buffers.iter().any(|(b, _)| *b == BufferId::Video))
                {
                    let drift = at - held.segment.start;
                    let whole = self.streams[i].job().is_some_and(|job| job.wanted_from.is_none());
                    if whole && self.is_misplaced(held.key, held.segment.duration, drift) {
                        let cursor = self.streams[i].cursor;
                        self.cancel_stream(ctx, i);
                        self.streams[i].move_to(cursor, false);
                        break;
                    }
                    drifts.push((held.key, held.segment.number, drift));
                }
                let until = held.segment.start + held.segment.duration;
                if self.append(ctx, held.piece, offset, window, bandwidth, until) {
                    self.streams[i].has_media = true;
                }
            }
            self.note_held(ctx, i);
        }
        #[cfg(all(feature = "hls", feature = "live"))]
        for (key, number, drift) in drifts {
            self.retime_list(key, number, drift);
        }
    }

    /// Queues a piece for its buffer, if there is one.
    ///
    /// Pictures in whose place others come are removed first, up to `until`. A decoder that has begun with them would show grey or nothing up
    /// to the next keyframe: it begins anew where it stands.
    pub fn append(
        &mut self,
        ctx: &mut Ctx,
        piece: Piece,
        offset: Seconds,
        window: (Seconds, Seconds),
        bandwidth: u64,
        until: Seconds,
    ) -> bool {
        let position = self.playhead.position(ctx.now);
        let replaced = self.replaced_by(&piece, offset);
        let Some(buffer) = self.buffer_mut(piece.buffer) else { return false };
        if let Some((start, end)) =
            replaced.map(|(start, end)| (start, end.min(until))).filter(|(s, e)| s < e)
        {
            buffer.remove(start, end);
        }
        buffer.append(piece, offset, window, bandwidth);
        if replaced.is_some_and(|(start, end)| start < position + DECODED_AHEAD && end > position) {
            buffer.mark_anew();
        }
        buffer.pump(ctx.out);
        true
    }

    /// The media that is there, or about to be, where the pictures of a piece belong.
    fn replaced_by(&self, piece: &Piece, offset: Seconds) -> Option<(Seconds, Seconds)> {
        let from = piece.first_sync.filter(|_| piece.buffer == BufferId::Video)? + offset;
        let buffer = self.buffer(piece.buffer)?;
        let there = buffer.expected();
        let to = (piece.end + offset - SEAM).max(from + WINDOW_SLACK);
        // What goes a little beyond `from` is the end of what comes before, or the first pictures of a segment that broke off.
        let begun = buffer.sync_before(from + WINDOW_SLACK).is_some_and(|t| t > from - WINDOW_SLACK);
        let seam = if begun { WINDOW_SLACK } else { SEAM };
        let range = there.iter().find(|r| r.end > from + seam && r.start < to)?;
        Some((range.start.max(from), range.end))
    }

    /// Whether what comes in place of the media that is being played does not reach the playhead yet: until then that plays on.
    fn waits_for_playhead(&self, ctx: &Ctx, i: usize, offset: Seconds) -> bool {
        let stream = &self.streams[i];
        let position = self.playhead.position(ctx.now);
        let reaches = |h: &HeldPiece| h.piece.buffer == BufferId::Video && h.piece.end + offset > position;
        !stream.held.iter().any(reaches)
            && stream.job().is_some_and(|job| !job.complete)
            && stream
                .held
                .first()
                .and_then(|h| self.replaced_by(&h.piece, offset))
                .is_some_and(|r| r.1 > position)
    }

    /// Whether what has come of a stream's segment is kept back: until it is whole, if it is in place of media that is there; until the
    /// rest will be there in time, if playback waits and would soon wait again, since the segment comes slower than it plays.
    fn gathers(&self, ctx: &Ctx, i: usize) -> bool {
        let Some(job) = self.streams[i].job().filter(|job| !job.complete) else { return false };
        if job.again {
            return true;
        }
        let media = self.playhead.media();
        if media.ready_state >= 3 || media.paused || job.is_paced() {
            return false;
        }
        let Some(length) = job.length else { return false };
        let came = job.received.saturating_sub(job.begun).max(1) as f64;
        let rest = length.saturating_sub(job.received) as f64 / came * (ctx.now - job.sent);
        let plays = job.segment.start + job.segment.duration - self.playhead.position(ctx.now);
        rest > plays * PLAYS_THROUGH
    }

    /// What is known to tie the media time of a stream's segment, of which `time` is one, to the presentation.
    pub fn known_offset(
        &self,
        i: usize,
        period: usize,
        segment: &SegmentRef,
        time: Option<Seconds>,
    ) -> Option<Seconds> {
        // Packed audio without time stamps lies where the manifest says.
        let untimed = || self.streams[i].pipeline.as_ref().is_some_and(|(_, pipeline)| pipeline.is_untimed());
        if segment.timestamp_offset.is_none() && untimed() {
            return Some(0.0);
        }
        self.tied_or_told(period, segment, time)
    }

    /// By media that was seen, else by the manifest.
    fn tied_or_told(&self, period: usize, segment: &SegmentRef, time: Option<Seconds>) -> Option<Seconds> {
        let place = (period, segment.discontinuity);
        let tied = self.offsets.iter().find(|(p, d, _)| (*p, *d) == place).map(|(.., offset)| {
            // What was seen may lie on the other side of a wrap, which a demuxer that began on this side knows nothing of.
            let wraps = time.map_or(0.0, |time| ((segment.start - time - offset) / MPEG_WRAP).round());
            offset + wraps * MPEG_WRAP
        });
        tied.or(segment.timestamp_offset)
    }

    /// What ties the media time of a stream's next piece to the presentation. `None`: not known yet.
    fn offset_for(&mut self, i: usize) -> Option<Seconds> {
        let stream = &self.streams[i];
        let held = stream.held.first()?;
        let known = self.known_offset(i, held.key.period, &held.segment, Some(held.piece.start));
        // An MPD may be silent about when its media begins (GStreamer's transport streams do at an hour): then it is as if it told nothing.
        let told_wrong = known.is_some_and(|offset| {
            let off = held.piece.start + offset - held.segment.start;
            cfg!(feature = "dash")
                && known == held.segment.timestamp_offset
                && (off < -MISTIMED || off > held.segment.duration + MISTIMED)
        });
        if known.is_some() && !told_wrong {
            return known;
        }
        let place = (held.key.period, held.segment.discontinuity);
        // Pictures lead: sound that begins a little before them is cut, a hole before them would not be.
        let leads = if i == 0 {
            let has_video = stream.buffers.iter().any(|(b, _)| *b == BufferId::Video);
            let done = stream.job().is_none_or(|j| j.segment.number != held.segment.number);
            let first = stream.held.iter().find(|h| {
                h.segment.discontinuity == place.1 && (!has_video || h.piece.buffer == BufferId::Video)
            });
            first.or(if done { Some(held) } else { None })
        } else {
            let main = &self.streams[0];
            let passed = matches!(main.activity, Activity::Ended)
                || (main.held.is_empty() && main.cursor >= held.segment.start + held.segment.duration);
            passed.then_some(held)
        }?;
        let offset = leads.segment.start - leads.piece.start;
        self.offsets.push((place.0, place.1, offset));
        Some(offset)
    }
}
