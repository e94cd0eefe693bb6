//! Live: the edge, the window, and how far behind the edge playback stays. How manifests are read again is in
//! `refresh`.

use super::clock::ServerClock;
use super::io::*;
use super::refresh::{ON_ITS_WAY, Refresh};
use super::session::{Ctx, Session, StartAt};
use super::stream::Activity;
use crate::manifest::{PresentationType, Protocol, SegmentIndex};
use crate::time::Seconds;

/// Segments to stay behind the edge where neither manifest nor configuration tell: one is being made, one is on its way.
const DEFAULT_SEGMENTS: f64 = 2.0;
/// The least distance (seconds) that is chosen without being told.
const LEAST_DELAY: Seconds = 2.0;

/// How far the latency may be from its target, in seconds, before the rate changes; the change is held on until the target is reached.
const DEAD_BAND: Seconds = 0.05;
/// Change of rate per second of distance. Larger: sooner there, and more audible.
const GAIN: f64 = 0.2;
/// Rates that nobody hears (±8 % with the pitch kept), where the manifest tells none.
const RATES: (f64, f64) = (0.92, 1.08);
/// Steps of the rate.
const RATE_STEP: f64 = 0.01;
/// Changes from one rate to another that are smaller are left out: the distance is measured with some noise, and each change is work for the
/// decoder of sound. Larger: less smooth.
const RATE_CHANGE: f64 = 0.03;
/// Further behind than this (seconds) a low-latency stream is not caught up by rate but by a jump.
const JUMP_FROM: Seconds = 10.0;
/// After a stall the distance grows by this share of itself, at the most to twice, and shrinks again after some time without one.
const WIDEN_BY: f64 = 0.25;
const RELAX_AFTER: f64 = 60.0;
/// Seconds for which a user who asks for the edge waits for the manifest that tells where it is.
const EDGE_PATIENCE: f64 = 2.0;
/// Seconds that the playhead may lie outside of the window before it is carried: a window moves in steps of segments.
const OUTSIDE: Seconds = 0.5;

/// A live presentation, beside the session.
pub(super) struct Live {
    pub clock: ServerClock,
    pub refresh: Refresh,
    /// Seconds added to the distance from the edge after stalls, and when that was changed last.
    widened: Seconds,
    widened_at: Now,
    /// What was asked of the element; 1: nothing.
    pub rate: f64,
    /// The user has gone back in time.
    shifted: bool,
    /// The user has asked for the edge, which the manifest is read for until then.
    to_edge: Option<Now>,
    told: (Seconds, Seconds),
    told_at: Now,
    /// Start of the window at the last look.
    stalls: u32,
}

impl Live {
    pub fn new(ctx: &Ctx, wall: f64) -> Self {
        Self {
            clock: ServerClock::new(ctx.now, wall),
            refresh: Refresh::new(ctx.now),
            widened: 0.0,
            widened_at: ctx.now,
            rate: 1.0,
            shifted: false,
            to_edge: None,
            told: (0.0, 0.0),
            told_at: f64::NEG_INFINITY,
            stalls: 0,
        }
    }

    /// Leaves the rate to the user again.
    pub fn release_rate(&mut self, ctx: &mut Ctx) {
        if std::mem::replace(&mut self.rate, 1.0) != 1.0 {
            ctx.command(Command::SetRate(1.0));
        }
    }
}

impl Session {
    /// Whether the end of what is listed is not the end.
    pub fn is_growing(&self) -> bool {
        self.live.is_some() && self.live()
    }

    /// The presentation turned out to be live.
    pub fn begin_live(&mut self, ctx: &mut Ctx) {
        if self.live.is_some() {
            return;
        }
        let mut live = Live::new(ctx, self.wall + ctx.now);
        // A start that was asked for is kept, far from the edge as it may be.
        live.shifted = self.wanted_start.is_some_and(|at| at >= 0.0);
        self.live = Some(Box::new(live));
        if let Some(dated) = self.dated {
            self.dated(ctx, None, dated + ctx.now);
        }
        self.ask_clock(ctx, 0);
        self.heed_published(ctx);
    }

    /// One round of what is live.
    pub fn step_live(&mut self, ctx: &mut Ctx) {
        let Some(live) = &self.live else { return };
        let clock = live.clock.now(ctx.now);
        self.presentation.advance(clock);
        self.step_clock(ctx);
        self.forget_the_past(ctx);
        self.step_refresh(ctx);
        self.end_by_the_clock(ctx);
        if self.live.as_ref().is_some_and(|l| l.to_edge.is_some_and(|until| ctx.now >= until)) {
            self.edge_read(ctx);
        }
        self.start_inside(ctx);
        self.carry_into_window(ctx);
        self.keep_distance(ctx);
        self.tell_window(ctx);
    }

    /// An MPD that tells its end has nothing to add once that is past, and once it was read again after that, if it ever is: not all say so
    /// by becoming static.
    fn end_by_the_clock(&mut self, ctx: &mut Ctx) {
        let (Some(live), Some(told)) = (&self.live, &self.presentation.live) else { return };
        if self.presentation.protocol != Protocol::Dash || !self.loaded || !self.live() {
            return;
        }
        let clock = live.clock.now(ctx.now) - told.epoch.unwrap_or(0.0);
        let of_last = self.presentation.periods.last().and_then(|p| Some(p.start + p.duration?));
        let end = self.presentation.duration.or(of_last.filter(|_| told.refresh.is_none()));
        if end.is_some_and(|end| clock > end + told.refresh.unwrap_or(0.0) + ON_ITS_WAY) {
            self.presentation.kind = PresentationType::Static;
            self.presentation.live = None;
            self.presentation.duration = end;
            self.presentation_ended(ctx);
        }
    }

    /// What lies behind the window is needed no more: days must not add up.
    fn forget_the_past(&mut self, ctx: &Ctx) {
        /// Discontinuities whose timelines are kept: more than a window has.
        const TIMELINES: usize = 64;
        let start = self.window(ctx).map_or(0.0, |w| w.0).min(self.playhead.position(ctx.now));
        self.holes.retain(|h| h.range.end > start);
        self.notes.forget(start);
        let most = self.offsets.len().saturating_sub(TIMELINES);
        self.offsets.drain(..most);
    }

    /// The end of what can be played, now. It moves with the clock between two readings of a playlist.
    pub fn edge(&self, ctx: &Ctx) -> Option<Seconds> {
        let live = self.live.as_ref()?;
        if self.presentation.protocol == Protocol::Hls {
            return self.list_edge(ctx.now);
        }
        self.presentation.edge(live.clock.now(ctx.now))
    }

    /// What can be sought.
    pub fn window(&self, ctx: &Ctx) -> Option<(Seconds, Seconds)> {
        let live = self.live.as_ref()?;
        let (start, end) = match self.presentation.protocol {
            Protocol::Hls => self.list_window(ctx.now)?,
            _ => self.presentation.window(live.clock.now(ctx.now))?,
        };
        Some((start.max(0.0), end.max(start).max(0.0)))
    }

    /// Seconds by which playback is to stay behind: of the clock where the presentation is tied to it, else of the edge.
    pub fn target_latency(&self, ctx: &Ctx) -> Seconds {
        let widened = self.live.as_ref().map_or(0.0, |l| l.widened);
        self.least_latency(ctx) + widened
    }

    fn least_latency(&self, ctx: &Ctx) -> Seconds {
        if let Some(wanted) = ctx.config.live_latency {
            return wanted;
        }
        let told = self.presentation.live.as_deref();
        let asked = told.and_then(|l| l.latency.map(|l| l.target).or(l.delay));
        let segment = self.streams.first().and_then(|s| self.segment_duration(s)).unwrap_or(4.0);
        // The latency counts from the recording, from which it takes a while until there is something to be had.
        let lag =
            told.and_then(|l| l.epoch).zip(self.epoch()).map_or(0.0, |(had, made)| (had - made).max(0.0));
        let asked = asked.or_else(|| self.list_hold_back());
        asked.unwrap_or((segment * DEFAULT_SEGMENTS).max(LEAST_DELAY) + lag).max(self.soonest(segment) + lag)
    }

    /// Seconds before which nothing can be shown, whatever the manifest asks for: a segment is whole when it ends, it has to come, and where
    /// the manifest lists it, that has to be read first.
    fn soonest(&self, segment: Seconds) -> Seconds {
        let told = self.presentation.live.as_deref().filter(|l| !l.low_latency);
        let Some(told) = told.filter(|_| self.presentation.protocol == Protocol::Dash) else { return 0.0 };
        let main = self.streams.first().and_then(|s| self.set(s.period, s.set)?.representations.first());
        let listed = match main.map(|r| &r.index) {
            Some(SegmentIndex::Template(template)) => template.rule.is_none_or(|rule| rule.listed),
            _ => true,
        };
        let reading = if listed { told.refresh.unwrap_or(0.0).min(segment) } else { 0.0 };
        segment + reading + ON_ITS_WAY
    }

    /// Seconds from what is happening to what is shown, as far as the manifest lets it be known.
    pub fn latency(&self, ctx: &Ctx) -> Option<Seconds> {
        Some(self.head_of_time(ctx)? - self.playhead.position(ctx.now))
    }

    /// Clock time at which presentation time 0 was recorded: as the source tells (ISO/IEC 23009-1 §5.12), else as availability has it.
    fn epoch(&self) -> Option<f64> {
        /// Seconds apart from which the source's clock is not to be believed.
        const ABSURD: f64 = 60.0;
        let live = self.presentation.live.as_ref()?;
        let told = live.producer.first().map(|p| p.wall - p.time);
        told.filter(|t| live.epoch.is_some_and(|e| (e - t).abs() < ABSURD)).or(live.epoch)
    }

    /// The presentation time of now: of the clock for DASH, of the edge for HLS.
    fn head_of_time(&self, ctx: &Ctx) -> Option<Seconds> {
        let live = self.live.as_ref()?;
        match self.presentation.protocol {
            Protocol::Hls => self.list_edge(ctx.now),
            _ => Some(live.clock.now(ctx.now) - self.epoch().unwrap_or(0.0)),
        }
    }

    /// Where playback at the edge is now. `None`: not known yet.
    pub fn live_position(&self, ctx: &Ctx) -> Option<Seconds> {
        if self.live.as_ref()?.clock.is_awaited(ctx.now) {
            return None;
        }
        let (start, end) = self.window(ctx)?;
        let wanted = self.head_of_time(ctx)? - self.target_latency(ctx);
        Some(wanted.min(end).max(start))
    }

    /// Begins at the edge, or as far before it as was asked, once that is known.
    pub fn start_at_edge(&mut self, ctx: &mut Ctx) {
        if self.live.is_none() {
            return;
        }
        let Some(position) = self.live_position(ctx) else { return };
        let position = match self.wanted_start {
            Some(before) => {
                let start = self.window(ctx).map_or(0.0, |w| w.0);
                (self.edge(ctx).unwrap_or(position) + before).min(position).max(start)
            }
            None => self.at_a_segment(ctx, position),
        };
        self.start = StartAt::Known;
        self.begin_at(ctx, position);
        self.place_chosen(ctx, true);
    }

    /// The start of a segment near `position`: decoding begins there, and a picture shows sooner. Playlists forbid to be nearer to the
    /// edge than they say (RFC 8216bis §6.3.3); in low latency every part of a second counts.
    fn at_a_segment(&self, ctx: &Ctx, position: Seconds) -> Seconds {
        const ROUNDING: Seconds = 0.03;
        if self.presentation.live.as_ref().is_some_and(|l| l.low_latency) {
            // Playlists round the times of parts: on the boundary of one, the media may begin a hair behind.
            return position - ROUNDING;
        }
        let known = self.streams.first().and_then(|s| {
            let reps = &self.set(s.period, s.set)?.representations;
            reps.iter().find(|r| !r.index.is_empty())
        });
        let Some(segment) = known.and_then(|r| r.index.at(position)) else { return position };
        let end = segment.start + segment.duration;
        let later = self.presentation.protocol != Protocol::Hls
            && end - position < position - segment.start
            && self.window(ctx).is_some_and(|w| end + segment.duration <= w.1 + 1e-3);
        if later { end } else { segment.start.min(position) }
    }

    /// Goes to the edge. Where the manifest is read on demand alone (`minimumUpdatePeriod` of 0), it is read first, if that takes no longer than
    /// [`EDGE_PATIENCE`].
    pub fn go_live(&mut self, ctx: &mut Ctx) {
        if let Some(live) = &mut self.live
            && self.presentation.live.as_ref().is_some_and(|told| told.refresh == Some(0.0))
        {
            live.to_edge = Some(ctx.now + EDGE_PATIENCE);
            return live.refresh.hurry(ctx.now);
        }
        self.go_to_edge(ctx);
    }

    /// The manifest was read, or has not come in time: if that was for the edge, it is as known as it will be.
    pub fn edge_read(&mut self, ctx: &mut Ctx) {
        if self.live.as_mut().is_some_and(|live| live.to_edge.take().is_some()) {
            self.go_to_edge(ctx);
        }
    }

    fn go_to_edge(&mut self, ctx: &mut Ctx) {
        if let Some(position) = self.live_position(ctx) {
            if let Some(live) = &mut self.live {
                live.shifted = false;
            }
            self.jump(ctx, position);
        }
    }

    fn jump(&mut self, ctx: &mut Ctx, position: Seconds) {
        self.playhead.seek(ctx, position);
        self.on_seek(ctx, position);
    }

    /// Plays what was made at this time of the clock (seconds since 1970), or the nearest that can be played.
    pub fn seek_to_date(&mut self, ctx: &mut Ctx, date: f64) {
        let time = self.list_time_at(date).or_else(|| Some(date - self.epoch()?));
        if let (Some(time), Some((start, end))) = (time, self.window(ctx)) {
            let latest = self.live_position(ctx).unwrap_or(end);
            self.jump(ctx, time.min(latest).max(start));
            self.place_chosen(ctx, true);
        }
    }

    /// Clock time of a place in the presentation.
    fn date_at(&self, time: Seconds) -> Option<f64> {
        self.list_date_at(time).or_else(|| Some(self.epoch()? + time))
    }

    /// A start outside of the window is at the end of it that is nearer (RFC 8216bis §4.4.2.2).
    fn start_inside(&mut self, ctx: &mut Ctx) {
        let asked = self.wanted_start.is_some_and(|at| at >= 0.0) && self.playhead.first_frame_at().is_none();
        if asked
            && !self.start_checked
            && let (Some((start, _)), Some(latest)) = (self.window(ctx), self.live_position(ctx))
        {
            self.start_checked = true;
            let position = self.playhead.position(ctx.now);
            let inside = position.min(latest).max(start);
            if inside != position {
                self.begin_at(ctx, inside);
                self.place_chosen(ctx, true);
            }
        }
    }

    /// A playhead that the window has left behind is carried: to the edge if it was there, else to the start of the window.
    fn carry_into_window(&mut self, ctx: &mut Ctx) {
        let started = self.playhead.first_frame_at().is_some() && self.start_known();
        let (Some((start, _)), true) = (self.window(ctx), started && self.live()) else { return };
        let position = self.playhead.position(ctx.now);
        let buffered = self.playable_ranges().end_from(position, 0.0) > position + OUTSIDE;
        let media = self.playhead.media();
        // A pause is left alone: it is carried once, when it ends.
        if position >= start - OUTSIDE || buffered || media.ended || media.paused {
            return;
        }
        let shifted = self.live.as_ref().is_some_and(|l| l.shifted);
        // A little inside: the window moves on while the first segment comes.
        let to = match self.live_position(ctx) {
            Some(edge) if !shifted => edge,
            Some(edge) => (start + self.segment_duration(&self.streams[0]).unwrap_or(2.0)).min(edge),
            None => return,
        };
        let from = self.playhead.reported();
        ctx.event(Event::Gap { reason: Reason::WindowLeft, from, to });
        self.jump(ctx, to);
    }

    /// The source began anew: its numbers are those of other segments now, and only times tell what comes next.
    #[cfg(feature = "dash")]
    pub fn go_on_by_time(&mut self, ctx: &mut Ctx) {
        for i in 0..self.streams.len() {
            let cursor = self.streams[i].cursor;
            self.cancel_stream(ctx, i);
            self.streams[i].move_to(cursor, false);
        }
        // Where its times jumped back, it may be long until they come to the place that plays.
        let position = self.playhead.position(ctx.now);
        if self.window(ctx).is_some_and(|(_, end)| position > end + OUTSIDE) {
            for buffer in self.buffers.iter_mut().flatten() {
                buffer.remove(0.0, f64::INFINITY);
            }
            self.go_to_edge(ctx);
        }
    }

    /// Keeps the distance from the edge by the rate, and learns from stalls how large it has to be.
    fn keep_distance(&mut self, ctx: &mut Ctx) {
        if !self.live() {
            return;
        }
        let least = self.least_latency(ctx);
        let stalls = self.stats.stalls;
        let (Some(latency), Some(live)) = (self.latency(ctx), &mut self.live) else { return };
        if stalls != live.stalls {
            live.stalls = stalls;
            live.widened = (live.widened + least * WIDEN_BY).min(least);
            live.widened_at = ctx.now;
        } else if live.widened > 0.0 && ctx.now > live.widened_at + RELAX_AFTER {
            live.widened = if live.widened > 0.05 { live.widened / 2.0 } else { 0.0 };
            live.widened_at = ctx.now;
        }
        let distance = latency - least - live.widened;
        let media = *self.playhead.media();
        if let Some(to) = self.live_position(ctx)
            && self.jump_is_due(ctx, to - self.playhead.position(ctx.now))
        {
            let from = self.playhead.reported();
            ctx.event(Event::Gap { reason: Reason::CaughtUp, from, to });
            return self.jump(ctx, to);
        }
        let wanted = self.rate_for(ctx, distance);
        let Some(live) = &mut self.live else { return };
        // A rate that somebody else has set is theirs.
        let theirs =
            (media.rate - live.rate).abs() > RATE_STEP / 2.0 && (media.rate - 1.0).abs() > RATE_STEP / 2.0;
        let least = if wanted == 1.0 || live.rate == 1.0 { RATE_STEP } else { RATE_CHANGE };
        if (wanted - live.rate).abs() < least - RATE_STEP / 2.0 || theirs {
            return;
        }
        live.rate = wanted;
        ctx.command(Command::SetRate(wanted));
    }

    /// Whether a stall has left a low-latency stream so far behind that no rate brings it back soon.
    fn jump_is_due(&self, ctx: &Ctx, distance: Seconds) -> bool {
        let following = self.live.as_ref().is_some_and(|l| !l.shifted) && self.playhead.moving();
        following && distance > JUMP_FROM && self.catches_up(ctx)
    }

    /// The user has sought, or (`sought` is false) goes on after a pause: whether that is at the edge tells what becomes of playback later.
    pub fn place_chosen(&mut self, ctx: &Ctx, sought: bool) {
        /// Segments behind the target that still count as the edge.
        const NEAR: f64 = 2.0;
        let segment = self.streams.first().and_then(|s| self.segment_duration(s)).unwrap_or(4.0);
        let Some(distance) = self.latency(ctx).map(|l| l - self.target_latency(ctx)) else { return };
        if let Some(live) = &mut self.live {
            live.shifted = distance > NEAR * segment;
            live.to_edge = live.to_edge.filter(|_| !sought);
        }
    }

    fn is_low_latency(&self) -> bool {
        self.presentation.live.as_deref().is_some_and(|l| l.low_latency) || self.list_low_latency()
    }

    /// Whether what is to be fetched is still being made, as in low latency.
    pub fn at_live_edge(&self) -> bool {
        self.is_low_latency() && self.live.as_ref().is_some_and(|l| !l.shifted)
    }

    /// Whether the distance is kept by the rate.
    fn catches_up(&self, ctx: &Ctx) -> bool {
        let told = self.presentation.live.as_deref();
        let wanted = self.is_low_latency() || told.is_some_and(|l| l.rates.is_some());
        ctx.config.catch_up.unwrap_or(wanted)
    }

    /// The rate that leads to the target; 1 where it is near, or where rates are left alone.
    fn rate_for(&self, ctx: &Ctx, distance: Seconds) -> f64 {
        let told = self.presentation.live.as_deref();
        let Some(live) = &self.live else { return 1.0 };
        if !self.catches_up(ctx) || live.shifted || !self.playhead.moving() {
            return 1.0;
        }
        let reached =
            if live.rate == 1.0 { distance.abs() < DEAD_BAND } else { (live.rate > 1.0) != (distance > 0.0) };
        if reached {
            return 1.0;
        }
        let (slowest, fastest) = told.and_then(|l| l.rates).unwrap_or(RATES);
        // (`clamp` with bounds that are not constant carries the formatting of floats, 7 kB on the wire.)
        let change = (distance.abs() * GAIN).max(RATE_STEP).copysign(distance);
        let mut rate = (1.0 + change).max(slowest.clamp(0.5, 1.0)).min(fastest.clamp(1.0, 2.0));
        // Faster only where there is something to play faster: the buffer must not run dry for it. What comes in pieces is now more, now less.
        let position = self.playhead.position(ctx.now);
        let ahead = self.playable_ranges().end_from(position, super::buffer::SEAM) - position;
        let enough = (distance.min(1.0) * 0.5).max(0.2);
        if rate > 1.0 && ahead < if live.rate > 1.0 { enough / 2.0 } else { enough } {
            rate = 1.0;
        }
        (rate / RATE_STEP).round() * RATE_STEP
    }

    /// Tells the browser and the user where the window is.
    fn tell_window(&mut self, ctx: &mut Ctx) {
        /// Seconds of movement that are worth a command.
        const MOVED: Seconds = 0.5;
        let Some((start, end)) = self.window(ctx).filter(|_| self.is_growing()) else { return };
        let made = self.buffers.iter().any(Option::is_some) && self.source_open;
        let Some(live) = &mut self.live else { return };
        let moved = (live.told.0 - start).abs() > MOVED || (live.told.1 - end).abs() > MOVED;
        if made && moved {
            live.told = (start, end);
            ctx.command(Command::SetLiveSeekableRange { start, end });
        }
    }

    /// What is told of a live presentation; once a second.
    pub fn report_live(&mut self, ctx: &mut Ctx) {
        /// Seconds between two events.
        const INTERVAL: f64 = 1.0;
        if !self.loaded || !self.is_growing() {
            return;
        }
        let Some(live) = self.live.as_mut().filter(|l| ctx.now >= l.told_at + INTERVAL) else { return };
        live.told_at = ctx.now;
        // After a sleep all that is known lies behind.
        let Some(window) = self.window(ctx) else { return };
        let (target, latency, edge) = (self.target_latency(ctx), self.latency(ctx), self.edge(ctx));
        let date = self.date_at(self.playhead.position(ctx.now));
        let Some(live) = &self.live else { return };
        let state = LiveState {
            latency: latency.unwrap_or(0.0),
            target,
            edge: edge.unwrap_or(window.1),
            window,
            date,
            rate: live.rate,
            at_edge: !live.shifted,
        };
        ctx.event(Event::Live(state));
    }

    /// When `step_live` is next needed.
    pub fn live_deadline(&self, ctx: &Ctx) -> Now {
        let Some(live) = &self.live else { return f64::INFINITY };
        if !self.live() {
            return f64::INFINITY;
        }
        let waits = self.streams.iter().any(|s| matches!(s.activity, Activity::Idle));
        let clock = live.clock.now(ctx.now);
        let next = if waits { self.presentation.next_available(clock) } else { None };
        let mut soonest = next.map_or(f64::INFINITY, |at| ctx.now + (at - clock).max(0.005));
        soonest = soonest.min(live.clock.deadline(ctx.now)).min(live.to_edge.unwrap_or(f64::INFINITY));
        if self.loaded {
            soonest = soonest.min(live.told_at + 1.0);
        }
        soonest.min(self.refresh_deadline(ctx))
    }
}

/// Without playlists nothing is known of them.
#[cfg(not(feature = "hls"))]
impl Session {
    pub fn list_edge(&self, _: Now) -> Option<Seconds> {
        None
    }

    pub fn list_window(&self, _: Now) -> Option<(Seconds, Seconds)> {
        None
    }

    pub fn list_hold_back(&self) -> Option<Seconds> {
        None
    }

    pub fn list_low_latency(&self) -> bool {
        false
    }

    pub fn list_time_at(&self, _: f64) -> Option<Seconds> {
        None
    }

    pub fn list_date_at(&self, _: Seconds) -> Option<f64> {
        None
    }
}
