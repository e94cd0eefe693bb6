//! The playhead: where it is between reports, seeks, stalls, holes in the media, and what is done about them.

use super::buffer::{Buffer, SEAM};
use super::io::*;
use super::session::{Ctx, Fatal, Session};
use super::stream::{Activity, Stream};
use crate::error::{Code, PlayerError};
use crate::time::{Seconds, TimeRange, tenths};

/// Media ahead of the playhead below which an engine may stop in front of a hole.
const EDGE: Seconds = 0.3;
/// Seconds without movement, with media at the playhead, after which the element is nudged. Engines need up to half a second
/// to resume after a refill on a busy machine.
const STUCK_AFTER: f64 = 1.5;
/// The same before it has shown anything: it sets its decoders up.
const NO_START_AFTER: f64 = 4.0;
/// Seconds between two reports of one place from which an element rests: they come once a second then. Longer: holes last longer
/// in WebKit; shorter: a report that an event brought counts.
const RESTS_AFTER: f64 = 0.7;
/// A start or a seek that falls short of the media by less than this many seconds: engines begin there by themselves (WebKit up to
/// 0.083 s, Firefox 0.125 s, Chromium two frames), and WebKitGTK 2.50 can stay in `seeking` if it is moved while it does.
const SHORT_OF_MEDIA: Seconds = 0.1;
/// The same in a source that has shown nothing yet. Chromium and Firefox begin with media that comes so late. WebKitGTK 2.50 does not, but
/// hands it to its decoders, and fails or hangs where a seek meets them before they are ready.
const LATE_START: Seconds = 1.0;
/// Seconds that they are given for it.
const BEGINS_WITHIN: f64 = 0.5;
/// Media and seconds within which a wait for more belongs to the start or the seek before it: Chromium's decoder runs dry for some
/// milliseconds after its first picture.
const GASP: f64 = 0.2;
/// Seconds by which pictures can come after others that are shown later: groups of B-frames of streams with few pictures a second. Longer:
/// holes in streams without an end are seen later.
#[cfg(feature = "progressive")]
const REORDERING: Seconds = 1.0;
/// Nudges before it is given up.
const MAX_NUDGES: u32 = 4;
/// Seconds that a seek of ours may move the playhead by without another place to serve.
const IN_PLACE: Seconds = 0.5;
/// Seconds between looks at a playhead that does not move.
const LOOK_EVERY: f64 = 0.25;

#[derive(Debug)]
struct Stall {
    since: Now,
    reason: Reason,
    cure: Reason,
}

#[derive(Debug)]
pub(super) struct Playhead {
    media: MediaState,
    at: Now,
    /// A seek of ours that the element has not confirmed.
    target: Option<Seconds>,
    /// It is made when the source has media.
    held: bool,
    /// The source has shown something.
    shown: bool,
    first_frame_at: Option<Now>,
    stall: Option<Stall>,
    /// The seek under way is ours: it is part of the stall that it ends.
    own_seek: bool,
    /// The next seek is ours, and leaves it where it is.
    in_place: bool,
    /// Where it began to play after the load or the last seek: a wait before that is start-up or part of the seek.
    began: Option<Seconds>,
    /// Since when it has wanted media to play on.
    dry_since: Option<Now>,
    moved: (Seconds, Now),
    /// Since when the element could have moved: a start, a pause or a seek that took long is no standstill.
    able_since: Now,
    nudges: u32,
    /// Where, and since when, it has been short of the media that it is to begin with.
    short_since: Option<(Seconds, Now)>,
    /// Since when it has had media to show its first picture of.
    startable_since: Option<Now>,
    told_end: bool,
    counted_to: Seconds,
    /// Reports have come since the load.
    reported: bool,
}

impl Playhead {
    pub fn new(position: Seconds) -> Self {
        Self {
            media: MediaState { position, paused: true, rate: 1.0, ..MediaState::default() },
            at: 0.0,
            target: (position > 0.0).then_some(position),
            held: position > 0.0,
            shown: false,
            first_frame_at: None,
            stall: None,
            own_seek: false,
            in_place: false,
            began: None,
            dry_since: None,
            moved: (position, 0.0),
            able_since: 0.0,
            nudges: 0,
            short_since: None,
            startable_since: None,
            told_end: false,
            counted_to: position,
            reported: false,
        }
    }

    /// Moves the place where playback begins.
    pub fn begin_at(&mut self, position: Seconds) {
        self.media.position = position;
        self.target = (position > 0.0).then_some(position);
        self.held = position > 0.0;
        self.moved.0 = position;
        self.counted_to = position;
    }

    /// Takes over what was told of the element before the load: its size, and whether it is to play at once.
    pub fn lay_out(&mut self, media: &MediaState) {
        self.media.width = media.width;
        self.media.height = media.height;
        self.media.paused = media.paused;
    }

    pub fn media(&self) -> &MediaState {
        &self.media
    }

    pub fn first_frame_at(&self) -> Option<Now> {
        self.first_frame_at
    }

    /// Whether it advances by itself.
    pub fn moving(&self) -> bool {
        !self.media.paused && !self.media.seeking && !self.media.ended && self.media.ready_state >= 3
    }

    /// Whether the element wants media that it has not got.
    pub fn waiting(&self) -> bool {
        self.reported
            && !self.media.ended
            && self.media.ready_state < 3
            && (!self.media.paused || self.media.seeking || self.media.ready_state < 2)
    }

    /// Whether the element says that it can play on, and yet two reports of it were of one place. WebKitGTK ends so in front of a
    /// hole, a frame or two before the media does.
    fn rests(&self) -> bool {
        self.moving() && self.target.is_none() && self.at > self.moved.1.max(self.able_since) + RESTS_AFTER
    }

    /// Where it is now; between reports it is taken to move on at its rate.
    pub fn position(&self, now: Now) -> Seconds {
        match self.target {
            Some(target) => target,
            None if self.moving() => {
                self.media.position + ((now - self.at) * self.media.rate).clamp(0.0, 5.0)
            }
            None => self.media.position,
        }
    }

    /// Where it was at the last report, or is sent to: a machine that slept has not played on since.
    #[cfg(feature = "live")]
    pub fn reported(&self) -> Seconds {
        self.target.unwrap_or(self.media.position)
    }

    /// Moves the element.
    pub fn seek(&mut self, ctx: &mut Ctx, to: Seconds) {
        self.target = Some(to);
        self.held = false;
        self.own_seek = true;
        self.moved = (to, ctx.now);
        ctx.command(Command::Seek(Some(to)));
    }

    /// The element is given another source: it will be put at `position` when that one is ready.
    pub fn expect_at(&mut self, position: Seconds) {
        self.target = Some(position);
        self.held = position > 0.0;
        self.shown = false;
        self.began = None;
        self.media.position = position;
        self.media.ready_state = 0;
    }

    /// Seconds of the stall that lasts.
    pub fn stalled_for(&self, now: Now) -> Seconds {
        self.stall.as_ref().map_or(0.0, |s| now - s.since)
    }

    /// When it must be looked at again.
    pub fn deadline(&self, now: Now) -> Now {
        let wants_to_move = !self.media.paused && !self.media.ended && self.reported;
        if self.waiting() || self.stall.is_some() {
            now + LOOK_EVERY
        } else if wants_to_move {
            now + 1.0
        } else {
            f64::INFINITY
        }
    }
}

impl Session {
    /// The element reports.
    pub fn media_state(&mut self, ctx: &mut Ctx, mut media: MediaState) {
        let now = ctx.now;
        // What plays at no speed waits for the user as well.
        media.paused |= media.rate == 0.0;
        self.live_reported(ctx, &media);
        let head = &mut self.playhead;
        head.shown |= media.ready_state >= 2;
        if let Some(target) = head.target {
            // Until the element has taken our seek over, its old position means nothing.
            let arrived = !head.held && media.position > target - 0.01 && media.position < target + 0.5;
            let elsewhere =
                media.seeking && head.media.seeking && (media.position - head.media.position).abs() > 0.01;
            if !arrived && !elsewhere {
                let position = head.media.position;
                head.media = MediaState { position, seeking: true, ..media };
                head.at = now;
                head.reported = true;
                return;
            }
            head.target = None;
            head.held = false;
        } else if media.seeking
            && (!head.media.seeking || (media.position - head.media.position).abs() > 1e-3)
        {
            head.own_seek = std::mem::take(&mut head.in_place);
        }
        let before = head.media;
        let sought = media.seeking && (!before.seeking || (media.position - before.position).abs() > 1e-3);
        // A seek inside one report period shows as a jump of the position.
        let expected = before.position + (now - head.at) * before.rate.max(0.0);
        let jumped = media.position < before.position - 0.05 || media.position > expected + 1.5;
        if !sought && !jumped && media.position > head.counted_to {
            let from = head.counted_to;
            head.counted_to = media.position;
            self.note_played(from, media.position);
        } else {
            head.counted_to = media.position;
        }
        let head = &mut self.playhead;
        if (media.position - head.moved.0).abs() > 0.01 {
            if media.ready_state >= 3 && !media.seeking {
                head.nudges = 0;
            }
            head.moved = (media.position, now);
        }
        if media.first_frame && head.first_frame_at.is_none() {
            head.first_frame_at = Some(now);
        }
        // A start, a pause, a seek or a refill has just ended: it has not stood still before.
        let wants = |m: &MediaState| m.first_frame && !m.paused && !m.seeking;
        let able = |m: &MediaState| wants(m) && m.ready_state >= 3;
        if (wants(&media) && !wants(&before)) || (able(&media) && !able(&before)) {
            head.able_since = now;
        }
        head.media = media;
        head.at = now;
        head.reported = true;
        self.track_stall(ctx);
        let head = &mut self.playhead;
        if media.ended && !head.told_end {
            head.told_end = true;
            ctx.event(Event::Ended);
        } else if !media.ended {
            head.told_end = false;
        }
        let own = self.playhead.own_seek;
        if sought || jumped {
            if !self.playhead.own_seek {
                self.notes.restart(media.position);
            }
            if !own || (media.position - expected).abs() > IN_PLACE {
                self.on_seek(ctx, media.position);
            }
        }
        let by_user = (sought || jumped) && !own;
        if by_user || (before.paused && !media.paused && media.first_frame) {
            self.place_chosen(ctx, by_user);
        }
        self.playhead.own_seek &= media.seeking;
    }

    /// Sends the element to its place in a new source: at once, but where it begins with media around 0, after a picture of that
    /// ([`LATE_START`]).
    pub fn place_in_source(&mut self, ctx: &mut Ctx) {
        let Some(target) = self.playhead.target.filter(|_| self.playhead.held) else { return };
        let there = self.playable_ranges().bounds().map(|b| b.start);
        let head = &mut self.playhead;
        let due = match there {
            Some(start) if start <= LATE_START => {
                let (_, since) = *head.short_since.get_or_insert((target, ctx.now));
                head.shown || ctx.now - since >= BEGINS_WITHIN
            }
            Some(_) => true,
            None => {
                // What has been fetched comes before what is being fetched.
                let queued = self.buffers.iter().flatten().find_map(|b| Some(b.expected().bounds()?.start));
                let coming = queued.or_else(|| Some(self.streams.first()?.job()?.segment.start));
                coming.is_some_and(|start| start > LATE_START)
            }
        };
        if due {
            head.seek(ctx, target);
        }
    }

    /// Begins and ends stalls.
    fn track_stall(&mut self, ctx: &mut Ctx) {
        let now = ctx.now;
        let at_end = self.rests_at_end(self.playhead.media.position).is_some();
        let head = &mut self.playhead;
        let media = head.media;
        if media.seeking && !head.own_seek && head.stall.is_none() {
            head.began = None;
        } else if media.ready_state >= 3 && !media.paused {
            head.began = head.began.or(Some(media.position));
        }
        let plays = !media.paused && !media.seeking && !media.ended;
        let waits = plays && media.ready_state < 3 && !at_end;
        let began = head.began.filter(|_| waits);
        head.dry_since = began.and(head.dry_since.or(Some(now)));
        match (&head.stall, began.zip(head.dry_since)) {
            (None, Some((began, since))) if (media.position - began).abs() > GASP || now - since > GASP => {
                head.stall = Some(Stall { since, reason: Reason::BufferEmpty, cure: Reason::Refilled });
                self.stats.stalls += 1;
                ctx.event(Event::Stall { reason: Reason::BufferEmpty, position: media.position });
            }
            // A jump over a hole or a nudge is part of the stall that it ends.
            (Some(_), None) if media.seeking && !head.own_seek => self.end_stall(ctx, false),
            (Some(stall), None) if media.ready_state >= 3 && !media.seeking => {
                let moved = stall.reason != Reason::Nudged || head.moved.1 > stall.since;
                if moved {
                    self.end_stall(ctx, true);
                }
            }
            _ => {}
        }
    }

    /// Once the media at the playhead has been replaced: a seek in place empties the decoders.
    pub fn begin_anew(&mut self, ctx: &mut Ctx) {
        let video = self.buffer_mut(BufferId::Video);
        if video.is_some_and(|buffer| std::mem::take(&mut buffer.anew)) {
            self.playhead.in_place = true;
            self.playhead.moved.1 = ctx.now;
            ctx.command(Command::Seek(None));
        }
    }

    fn begin_stall(&mut self, ctx: &mut Ctx, reason: Reason, cure: Reason) {
        if self.playhead.stall.is_none() {
            let position = self.playhead.position(ctx.now);
            self.stats.stalls += 1;
            ctx.event(Event::Stall { reason, position });
            self.playhead.stall = Some(Stall { since: ctx.now, reason, cure });
        }
    }

    fn end_stall(&mut self, ctx: &mut Ctx, tell: bool) {
        if let Some(stall) = self.playhead.stall.take() {
            let seconds = ctx.now - stall.since;
            self.stats.stall_time += seconds;
            if tell {
                ctx.event(Event::Recovered { reason: stall.cure, seconds });
            }
        }
    }

    /// The playhead was moved: what is under way and does not serve the new place is cancelled.
    pub fn on_seek(&mut self, ctx: &mut Ctx, position: Seconds) {
        for i in 0..self.streams.len() {
            if self.streams[i].job().is_some_and(|job| job.again) {
                self.cancel_stream(ctx, i);
            }
            let frontier = self.frontier(&self.streams[i], position);
            #[cfg(feature = "progressive")]
            if self.linear.is_some() {
                self.keep_in_window(ctx, i);
                if !self.linear_serves(i, position) {
                    self.cancel_stream(ctx, i);
                    self.streams[i].move_to(frontier.max(position), false);
                }
                continue;
            }
            #[cfg(feature = "live")]
            let frontier =
                if frontier > position { frontier } else { self.decoded_to(&self.streams[i], position) };
            let serves = match &self.streams[i].activity {
                Activity::Segment(job) => {
                    let s = &job.segment;
                    let left_out = job.skipped_to.is_some_and(|to| position < to);
                    !left_out && s.start - SEAM <= frontier && frontier < s.start + s.duration - SEAM / 2.0
                }
                // The index is needed wherever playback goes.
                Activity::Index { .. } => {
                    self.streams[i].cursor = frontier;
                    self.streams[i].sequential = false;
                    true
                }
                Activity::Idle | Activity::Ended => (self.streams[i].cursor - frontier).abs() < SEAM,
            };
            if !serves {
                self.cancel_stream(ctx, i);
                let stream = &mut self.streams[i];
                // A boundary that rounding moved must not cost a whole segment.
                let past_media = frontier > position;
                stream.move_to(if past_media { frontier + 0.02 } else { frontier }, false);
            }
        }
    }

    /// Where the media that a stream has, or will have from what is queued, ends as seen from `position`.
    pub fn frontier(&self, stream: &Stream, position: Seconds) -> Seconds {
        stream
            .buffers
            .iter()
            .filter_map(|(id, _)| self.buffer(*id))
            .map(|b| b.expected().end_from(position, SEAM))
            .fold(None, |least: Option<Seconds>, e| Some(least.map_or(e, |l| l.min(e))))
            .unwrap_or(position)
    }

    /// [`Self::frontier`] for a place without media inside a segment that comes in parts: decoding begins with a part before it, and the
    /// parts between may be there, or under way.
    #[cfg(feature = "live")]
    fn decoded_to(&self, stream: &Stream, position: Seconds) -> Seconds {
        let rep = stream.rep.and_then(|rep| self.set(stream.period, stream.set)?.representations.get(rep));
        let first = rep.and_then(|r| r.index.at(position)).filter(|s| s.part.is_some());
        first.map_or(position, |s| self.frontier(stream, s.start.min(position)))
    }

    /// Jumps holes that nothing will fill, nudges an element that is stuck in the middle of media.
    pub fn watch_playhead(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
        let now = ctx.now;
        self.track_stall(ctx);
        let rests = self.playhead.rests();
        let position = if rests { self.playhead.media.position } else { self.playhead.position(now) };
        let hole = if self.playhead.waiting() || rests { self.hole_at(position) } else { None };
        let begins = self.playhead.first_frame_at.is_none() || self.playhead.media.seeking;
        // While a buffer is at work nothing is known of its holes; the time goes on.
        let since = self.playhead.short_since.filter(|(at, _)| *at == position && self.playhead.waiting());
        self.playhead.short_since = since;
        let short = if self.playhead.shown { SHORT_OF_MEDIA } else { LATE_START };
        if begins && hole.is_some_and(|(to, _)| to - position < short) {
            let since = since.map_or(now, |(_, since)| since);
            self.playhead.short_since = Some((position, since));
            if now - since < BEGINS_WITHIN {
                return Ok(());
            }
        }
        if let Some((to, found)) = hole {
            let reason = if self.playhead.first_frame_at.is_none() && found != Reason::GapAnnounced {
                Reason::StartGap
            } else {
                found
            };
            // Holes that are known have been told of.
            let known = self.holes.iter().any(|h| h.range.start < to && h.range.end > position);
            if to - position > ctx.config.max_gap && !known {
                let text =
                    ["the media has a hole of ", &tenths(to - position), " s at ", &tenths(position), " s"]
                        .concat();
                ctx.event(Event::Error(
                    PlayerError::new(Code::MediaEmpty, text).recoverable().with_url(&self.url),
                ));
            }
            ctx.event(Event::Gap { reason, from: position, to });
            if let Some(stall) = &mut self.playhead.stall {
                stall.cure = reason;
            }
            // A hair inside, since `buffered` is rounded.
            self.playhead.seek(ctx, to + 0.001);
            self.on_seek(ctx, to + 0.001);
            return Ok(());
        }
        let startable_since = self.playhead.startable_since.take();
        let head = &self.playhead;
        let media = head.media;
        let wants =
            head.reported && head.target.is_none() && !media.ended && (!media.paused || media.seeking);
        let alive = head.moved.1.max(head.able_since);
        let since = now - alive.max(head.stall.as_ref().map_or(0.0, |s| s.since));
        // Reports come seldom: only one that is younger than the last move tells that nothing moves.
        let informed = head.at > alive + 1.0 || media.ready_state < 3;
        if !wants || since < STUCK_AFTER || !informed {
            return Ok(());
        }
        if head.nudges < MAX_NUDGES
            && let Some(end) = self.rests_at_end(position)
        {
            self.playhead.nudges += 1;
            self.playhead.seek(ctx, end);
            return Ok(());
        }
        let ahead = self.playable_ranges().end_from(position, 0.0) - position;
        // An element that has what it needs and still seeks is lost also near the end: WebKitGTK 2.50 is so at times.
        let enough = if media.seeking && media.ready_state >= 3 { 0.02 } else { 0.5 };
        if ahead < enough {
            return Ok(());
        }
        let could_start = startable_since.unwrap_or(now);
        if head.first_frame_at.is_none() && now - could_start < NO_START_AFTER {
            self.playhead.startable_since = Some(could_start);
            return Ok(());
        }
        if head.nudges >= MAX_NUDGES {
            self.playhead.nudges = 0;
            self.playhead.moved.1 = now;
            let error =
                PlayerError::new(Code::Stalled, "the element does not play although media is buffered");
            return self.recover_decode(ctx, error, None);
        }
        self.begin_stall(ctx, Reason::Nudged, Reason::Nudged);
        if let Some(stall) = &mut self.playhead.stall {
            stall.cure = Reason::Nudged;
        }
        self.playhead.nudges += 1;
        let step = (0.05 * f64::from(self.playhead.nudges)).min(ahead / 2.0);
        self.playhead.seek(ctx, position + step);
        Ok(())
    }

    /// The end, if playback has come there and nothing follows. Firefox 153 at times waits for more there, although the source has
    /// ended, and ends once it is sent there.
    fn rests_at_end(&self, position: Seconds) -> Option<Seconds> {
        const NEAR: Seconds = 0.1;
        // The element ends with the longest of its tracks (MSE §3.15.3).
        let ends = self.buffers.iter().flatten().filter_map(|b| Some(b.buffered().bounds()?.end));
        let end = ends.reduce(f64::max).filter(|_| self.ended_signalled)?;
        (end - position < NEAR).then_some(end)
    }

    /// If the playhead stands in or in front of a hole that no stream will fill: where all media begins again.
    fn hole_at(&self, position: Seconds) -> Option<(Seconds, Reason)> {
        let (mut to, mut reason) = self.hole_in_a_buffer(position)?;
        // Tracks do not end and begin together: one jump for all.
        for _ in 0..4 {
            let Some((next, why)) = self.hole_in_a_buffer(to + 1e-3).filter(|(next, _)| *next > to) else {
                break;
            };
            to = next;
            if why == Reason::GapAnnounced {
                reason = why;
            }
        }
        Some((to, reason))
    }

    fn hole_in_a_buffer(&self, position: Seconds) -> Option<(Seconds, Reason)> {
        for stream in &self.streams {
            for buffer in stream.buffers.iter().filter_map(|(id, _)| self.buffer(*id)) {
                let ranges = buffer.buffered();
                if ranges.end_from(position, 0.0) - position > EDGE {
                    continue;
                }
                let Some(next) = ranges.next_after(position) else { continue };
                if self.is_permanent(stream, buffer, next) {
                    let middle = (position.max(ranges.end_from(position, 0.0)) + next.start) / 2.0;
                    let announced = self
                        .holes
                        .iter()
                        .any(|h| h.announced && h.range.start <= middle && middle < h.range.end);
                    let reason = if announced { Reason::GapAnnounced } else { Reason::GapJumped };
                    return Some((next.start, reason));
                }
            }
        }
        None
    }

    /// Whether a stream has gone past the hole before `next`.
    fn is_permanent(&self, stream: &Stream, buffer: &Buffer, next: TimeRange) -> bool {
        if !buffer.idle() {
            return false;
        }
        match &stream.activity {
            Activity::Ended => true,
            #[cfg(feature = "progressive")]
            // Pictures come in the order of decoding: those of a hole may come after some that are shown behind it.
            _ if self.linear.is_some() => stream.cursor >= next.start + REORDERING,
            Activity::Segment(job) => {
                // Media of a segment comes in order: what it began with was its start.
                let began = job.starts.iter().find(|(id, _)| buffer.is(*id)).map(|(_, start)| *start);
                began.unwrap_or(job.segment.start) >= next.start - SEAM
            }
            _ => stream.cursor >= next.start - SEAM,
        }
    }
}
