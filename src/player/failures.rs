//! What is done where something cannot be had: attempts, other representations, holes.

use super::io::*;
use super::requests::{RetryPolicy, Verdict};
use super::session::{Ctx, Fatal, Hole, Session};
use super::stream::{Activity, Job, RepKey};
use crate::error::{Category, Code, PlayerError};
use crate::manifest::{Protocol, SegmentRef};
use crate::time::{Seconds, TimeRange};

/// Seconds for which a representation that failed is left alone, while others can stand in.
const AVOID_FOR: f64 = 60.0;
/// Seconds of media that are enough to wait for a server that fails: all attempts at one segment may take as long.
const WHILE_BUFFERED: Seconds = 12.0;
/// Waits for a link that is gone, when there is nothing left to play: half a minute of them.
const WAITS: u32 = 5;
/// Segments in a row that may be passed over because no representation has them, before it is given up.
const MAX_SKIPPED: u32 = 3;

impl Session {
    pub fn note_hole(&mut self, start: Seconds, end: Seconds, announced: bool) {
        match self.holes.last_mut() {
            Some(last)
                if last.announced == announced
                    && start >= last.range.start
                    && start <= last.range.end + 0.1 =>
            {
                last.range.end = last.range.end.max(end);
            }
            _ => self.holes.push(Hole { range: TimeRange { start, end }, announced }),
        }
    }

    /// Fewer attempts once a stream has met failures: waiting through all pauses for each rung would take minutes.
    pub fn policy_for(&self, ctx: &Ctx, id: FetchId) -> RetryPolicy {
        let mut policy = ctx.policy();
        let troubled = self.requests.ticket_of(id).and_then(|t| self.stream_of(t)).is_some_and(|i| {
            self.streams[i].failed.iter().any(|(_, until)| ctx.now < *until) || self.streams[i].skipped > 0
        });
        if troubled {
            policy.max_attempts = policy.max_attempts.min(2);
        }
        policy
    }

    /// The rest of a segment cannot be had: perhaps the server has no ranges. The whole segment is fetched instead.
    pub fn fetch_whole(&mut self, ctx: &mut Ctx, i: usize) {
        self.ranges_refused = true;
        let cursor = self.streams[i].cursor;
        self.cancel_stream(ctx, i);
        self.streams[i].move_to(cursor, false);
    }

    /// A request failed.
    pub fn fetch_failed(
        &mut self,
        ctx: &mut Ctx,
        id: FetchId,
        failure: FetchFailure,
        message: &str,
    ) -> Result<(), Fatal> {
        let policy = self.policy_for(ctx, id);
        match self.requests.failed(ctx.now, id, failure, message, policy) {
            Some(verdict) => self.verdict(ctx, verdict),
            None => Ok(()),
        }
    }

    /// Time-outs and retries.
    pub fn tick_requests(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
        let policy = ctx.policy();
        for verdict in self.requests.tick(ctx.now, policy, ctx.out) {
            self.verdict(ctx, verdict)?;
        }
        Ok(())
    }

    pub fn verdict(&mut self, ctx: &mut Ctx, verdict: Verdict) -> Result<(), Fatal> {
        match verdict {
            Verdict::Again(ticket) => {
                ctx.abr.finished(ticket, ctx.now);
                #[cfg(feature = "progressive")]
                if self.is_tail(ticket) || self.is_index(ticket) {
                    self.index_again();
                    return Ok(());
                }
                self.live_again(ticket);
                let Some(i) = self.stream_of(ticket) else { return Ok(()) };
                #[cfg(feature = "progressive")]
                if self.linear.is_some() {
                    self.linear_again(ctx, i, ticket);
                    return Ok(());
                }
                let skipped =
                    |j: &Job| j.ticket == ticket && j.skipped_to.is_some() && j.known.max(j.received) == 0;
                if self.streams[i].job().is_some_and(skipped) {
                    self.fetch_whole(ctx, i);
                    return Ok(());
                }
                match &mut self.streams[i].activity {
                    Activity::Index { body, .. } => body.clear(),
                    Activity::Segment(job) if job.ticket == ticket => {
                        // The media goes on where it broke off, and so does the download, where the server can.
                        let (range, progress) = job.next_attempt(!self.ranges_refused);
                        let lenient = job.range.is_none_or(|r| r.first == 0);
                        self.requests.go_on_at(ticket, range, lenient, progress);
                    }
                    Activity::Segment(job) => {
                        if let Some(init) = &mut job.init {
                            init.body.clear();
                        }
                    }
                    _ => {}
                }
                Ok(())
            }
            Verdict::Sent(ticket) => {
                let Some(i) = self.stream_of(ticket) else { return Ok(()) };
                #[cfg(feature = "progressive")]
                if self.linear.is_some() {
                    return Ok(());
                }
                if let Activity::Segment(job) = &mut self.streams[i].activity
                    && job.ticket == ticket
                {
                    job.sent = ctx.now;
                    if job.is_paced() {
                        return Ok(());
                    }
                }
                ctx.abr.started(ticket, ctx.now);
                Ok(())
            }
            Verdict::Failed(ticket, error) => {
                ctx.abr.finished(ticket, ctx.now);
                #[cfg(feature = "progressive")]
                if self.is_tail(ticket) {
                    self.tail_done(Some(error.status.unwrap_or(0)));
                    return Ok(());
                }
                #[cfg(feature = "progressive")]
                if self.is_index(ticket) {
                    return self.index_refused(ctx, 0, error);
                }
                if self.is_live_request(ticket) {
                    self.live_failed(ctx, ticket, error);
                    return Ok(());
                }
                let Some(i) = self.stream_of(ticket) else { return Ok(()) };
                #[cfg(feature = "progressive")]
                if self.linear.is_some() {
                    return self.linear_refused(ctx, i, error);
                }
                let refused = error.status.is_some_and(|status| status < 500);
                let partial = |j: &Job| j.skipped_to.is_some() || (j.resumed && refused);
                if self.streams[i].job().is_some_and(|j| j.ticket == ticket && partial(j)) {
                    self.fetch_whole(ctx, i);
                    return Ok(());
                }
                let (key, segment) = match &self.streams[i].activity {
                    Activity::Index { key, .. } => (*key, None),
                    Activity::Segment(job) if job.ticket == ticket => (job.key, Some(job.segment.clone())),
                    Activity::Segment(job) => (job.key, None),
                    _ => return Ok(()),
                };
                if let Some(segment) = &segment
                    && self.not_there_yet(ctx, i, segment, &error)
                {
                    return Ok(());
                }
                self.representation_failed(ctx, i, key, segment, error)
            }
        }
    }

    /// Live: whether a segment that cannot be had is at the edge, where servers are late at times. It is asked for again then.
    fn not_there_yet(&mut self, ctx: &mut Ctx, i: usize, segment: &SegmentRef, error: &PlayerError) -> bool {
        /// Segments from the edge within which one may be late.
        const NEAR: f64 = 3.0;
        /// Times that a segment is asked for again: soon, as encoders close one some frames after its time, then at most half its duration
        /// apart, or an eighth while it is being made.
        const TIMES: u32 = 9;
        const SOON: f64 = 0.1;
        let late = matches!(error.status, Some(404 | 410 | 416)) && self.streams[i].blocked < TIMES;
        if !late || !self.is_growing() {
            return false;
        }
        if self.doubt_clock(i, segment.duration) {
            return true;
        }
        let near = self.edge(ctx).is_some_and(|edge| segment.start > edge - NEAR * segment.duration.max(1.0));
        if !near {
            return false;
        }
        let hls = self.presentation.protocol == Protocol::Hls;
        let stream = &self.streams[i];
        let (cursor, sequential, fed) = (stream.cursor, stream.sequential, stream.last_fed);
        self.cancel_stream(ctx, i);
        let stream = &mut self.streams[i];
        stream.move_to(cursor, sequential);
        stream.last_fed = fed;
        stream.late_since.get_or_insert(ctx.now);
        // That it is late tells nothing of the link.
        stream.forced = stream.rep;
        // A hint that is not kept: the playlist tells what became of it.
        stream.unkept = segment.ahead && hls;
        let most = (segment.duration / if segment.ahead { 8.0 } else { 2.0 }).clamp(0.2, 2.0);
        let pause = (SOON * f64::from(1u32 << stream.blocked.min(TIMES))).min(most);
        stream.blocked_until = ctx.now + if stream.unkept { 2.0 * segment.duration } else { pause };
        stream.blocked += 1;
        #[cfg(all(feature = "hls", feature = "live"))]
        self.hurry_lists();
        true
    }

    /// Nothing is to be had of what is next, and yet it may come back: servers and links do.
    fn wait_for_origin(&mut self, ctx: &mut Ctx, i: usize, error: PlayerError) {
        /// Seconds until the next attempt, doubled each time, and at the most.
        const PAUSES: (f64, f64) = (1.0, 8.0);
        let stream = &mut self.streams[i];
        stream.failed.clear();
        stream.skipped = 0;
        let pause = PAUSES.0 * f64::from(1u32 << stream.blocked.min(3));
        stream.blocked_until = ctx.now + pause.min(PAUSES.1);
        stream.blocked += 1;
        stream.unkept = false;
        // A server that fails tells nothing of the clock.
        stream.late_since = None;
        ctx.event(Event::Error(error.recoverable()));
    }

    /// Another place may have what a server does not give (ISO/IEC 23009-1 §5.6, several BaseURLs; redundant streams of HLS). All that came
    /// from there goes along.
    pub fn switch_place(&mut self, ctx: &mut Ctx, i: usize, key: RepKey, error: &PlayerError) -> bool {
        let bases = self.set(key.period, key.set).and_then(|s| Some(&s.representations.get(key.rep)?.bases));
        let Some((current, count)) = bases.map(|b| (b.current, b.all.len())) else { return false };
        let stream = &mut self.streams[i];
        // Another stream may have left the place already.
        let left = stream.place != current;
        stream.places += 1;
        if error.code.category() != Category::Network || stream.places >= count {
            return false;
        }
        let cursor = stream.cursor;
        self.cancel_stream(ctx, i);
        self.streams[i].move_to(cursor, false);
        #[cfg(all(feature = "hls", feature = "live"))]
        if !left {
            self.keep_lists(current, count);
        }
        let period = self.presentation.periods.get_mut(key.period);
        let all = period
            .into_iter()
            .filter(|_| !left)
            .flat_map(|p| &mut p.sets)
            .flat_map(|s| &mut s.representations);
        for rep in all.filter(|r| r.bases.current == current && r.bases.all.len() == count) {
            rep.switch_base((current + 1) % count);
        }
        true
    }

    /// A representation cannot give what is wanted next: another one stands in; if there is none, the segment is passed over;
    /// if that happens too often, or nothing has played yet, the load ends.
    pub fn representation_failed(
        &mut self,
        ctx: &mut Ctx,
        i: usize,
        key: RepKey,
        segment: Option<SegmentRef>,
        mut error: PlayerError,
    ) -> Result<(), Fatal> {
        if self.switch_place(ctx, i, key, &error) {
            ctx.event(Event::Error(error.recoverable()));
            return Ok(());
        }
        let again = self.streams[i].job().is_some_and(|job| job.again);
        self.cancel_stream(ctx, i);
        let stream = &mut self.streams[i];
        stream.pipeline = None;
        stream.last_init = None;
        stream.failed.push((key, ctx.now + AVOID_FOR));
        let count = self.set(key.period, key.set).map_or(0, |s| s.representations.len());
        let stream = &self.streams[i];
        let others = (0..count).any(|rep| {
            let other = RepKey { rep, ..key };
            self.is_supported(other) && !stream.avoids(other, ctx.now)
        });
        if others || again {
            self.streams[i].reason = Some(Reason::Failure);
            ctx.event(Event::Error(error.recoverable()));
            return Ok(());
        }
        let media = stream.has_media;
        // What passes is waited for as long as there is enough to play, and where nothing answers, which is the link, for a while after that.
        let position = self.playhead.position(ctx.now);
        let enough = self.frontier(stream, position) - position > WHILE_BUFFERED;
        let gone = error.status.is_none() && error.code != Code::Truncated && stream.blocked < WAITS;
        let passing =
            error.code.category() == Category::Network && error.status.is_none_or(|status| status >= 500);
        match segment {
            _ if media && passing && (enough || gone) => {
                self.wait_for_origin(ctx, i, error);
                Ok(())
            }
            Some(segment) if media && stream.skipped < MAX_SKIPPED => {
                let end = segment.start + segment.duration;
                self.note_hole(segment.start, end, false);
                let stream = &mut self.streams[i];
                stream.failed.clear();
                stream.move_to(end, true);
                stream.last_fed = None;
                stream.skipped += 1;
                ctx.event(Event::Error(error.recoverable()));
                Ok(())
            }
            // What has played may come back, whatever the server says now.
            _ if media && self.is_growing() => {
                self.wait_for_origin(ctx, i, error);
                Ok(())
            }
            _ => {
                let tried: Vec<&str> = self
                    .set(key.period, key.set)
                    .map(|s| s.representations.iter().map(|r| r.id.as_str()).collect())
                    .unwrap_or_default();
                if tried.len() > 1 {
                    let all = ["representations ", &tried.join(", ")].concat();
                    error.tried = Some(match error.tried {
                        Some(t) => [&t, "; ", &all].concat(),
                        None => all,
                    });
                }
                Err(error)
            }
        }
    }
}
