//! The choice of quality: what may be chosen now, and the rule's answer for it.

use super::appending::DECODED_AHEAD;
use super::buffer::SEAM;
use super::io::*;
use super::requests::Ticket;
use super::session::{Ctx, Session};
use super::stream::{Activity, RepKey, Stream};
use super::types::codec_kind;
use crate::abr::{self, Download, Estimator, Selector, Situation};
use crate::manifest::{ContentType, Representation, SegmentRef};
use crate::time::Seconds;

/// Share of the estimate that sound may take where there are pictures. Larger: better sound, later pictures.
const AUDIO_SHARE: f64 = 0.15;

/// What is known of the link. It is kept from one load to the next.
pub(super) struct Abr {
    estimator: Estimator,
    selector: Selector,
    /// Part of the bandwidth that their manifest tells which segments really have.
    fill: f64,
}

impl Abr {
    pub fn new(initial_bandwidth: f64) -> Self {
        Self { estimator: Estimator::new(initial_bandwidth), selector: Selector::new(), fill: 1.0 }
    }

    /// Bit/s.
    pub fn estimate(&self, now: Now) -> f64 {
        self.estimator.estimate(now)
    }

    pub fn started(&mut self, ticket: Ticket, now: Now) {
        self.estimator.request_started(ticket.number(), now);
    }

    pub fn bytes(&mut self, ticket: Ticket, now: Now, count: usize) {
        self.estimator.bytes(ticket.number(), now, count);
    }

    /// Part of a segment that comes as it is made: it was made at once, and so its bytes came as fast as the link has them.
    pub fn chunk(&mut self, bytes: u64, rest: (u64, Seconds)) {
        self.estimator.chunk(bytes, rest);
    }

    /// Complete, failed or cancelled: what had arrived counts all the same.
    pub fn finished(&mut self, ticket: Ticket, now: Now) {
        self.estimator.request_done(ticket.number(), now);
    }

    /// A new load: its choices do not depend on the last one's, whose requests are cancelled.
    pub fn begin_load(&mut self) {
        (self.selector, self.fill) = (Selector::new(), 1.0);
        self.estimator.forget_requests();
    }

    /// A segment of so many seconds has come.
    fn came(&mut self, bytes: u64, bandwidth: u64, seconds: Seconds) {
        /// Seconds of media that count as much as the next ones. Larger: steadier, and later where the encoder changes.
        const REMEMBERED: Seconds = 8.0;
        if bandwidth > 0 && seconds > 0.0 {
            let fill = bytes as f64 * 8.0 / (bandwidth as f64 * seconds);
            self.fill += (fill - self.fill) * seconds / (seconds + REMEMBERED);
        }
    }
}

impl Session {
    fn representation(&self, key: RepKey) -> Option<&Representation> {
        self.set(key.period, key.set)?.representations.get(key.rep)
    }

    /// Representations of a stream's set that may be chosen now, by ascending bandwidth.
    fn candidates(&self, ctx: &Ctx, stream: &Stream) -> Vec<usize> {
        let count = self.set(stream.period, stream.set).map_or(0, |s| s.representations.len());
        let key = |rep| RepKey { period: stream.period, set: stream.set, rep };
        let supported: Vec<usize> = (0..count).filter(|r| self.is_supported(key(*r))).collect();
        let sound: Vec<usize> =
            supported.iter().copied().filter(|r| !stream.avoids(key(*r), ctx.now)).collect();
        let mut usable = if sound.is_empty() { supported } else { sound };
        let fixed = |rep: &usize| self.is_fixed(key(*rep));
        // Switching codecs costs a seam: keep to those of the first choice, as long as they can be had and nobody wants another.
        if let Some(codec) = self.codec.as_deref()
            && stream.content == ContentType::Video
            && !usable.iter().any(fixed)
        {
            let same: Vec<usize> = usable
                .iter()
                .copied()
                .filter(|r| self.representation(key(*r)).is_some_and(|r| family(&r.codecs) == codec))
                .collect();
            if !same.is_empty() {
                usable = same;
            }
        }
        usable
    }

    /// Whether the user has chosen it.
    fn is_fixed(&self, key: RepKey) -> bool {
        self.fixed.is_some() && self.representation(key).map(|r| &r.id) == self.fixed.as_ref()
    }

    /// The highest candidate that the element's size and the configuration allow.
    fn cap(&self, ctx: &Ctx, stream: &Stream, candidates: &[usize]) -> usize {
        let rep = |i: usize| {
            self.representation(RepKey { period: stream.period, set: stream.set, rep: candidates[i] })
        };
        let top = candidates.len().saturating_sub(1);
        let mut cap = top;
        let thrifty = ctx.config.data_saver.then_some(Config::THRIFTY);
        if let Some(most) = thrifty.into_iter().chain(ctx.config.max_bandwidth).min() {
            cap = (0..=top).rev().find(|i| rep(*i).is_some_and(|r| r.bandwidth <= most)).unwrap_or(0);
        }
        let media = self.playhead.media();
        if ctx.config.cap_to_element && media.width > 0 && media.height > 0 {
            // The best of the first size that fills the element: anything larger is thrown away when it is drawn.
            let fills = |r: &Representation| r.width >= media.width || r.height >= media.height;
            let size = |i: usize| rep(i).map(|r| (r.width, r.height));
            if let Some(first) = (0..=top).find(|i| rep(*i).is_some_and(fills)) {
                cap = (first..=cap).rev().find(|i| size(*i) == size(first)).unwrap_or(cap.min(first));
            }
        }
        cap
    }

    /// Notes how much of the bandwidth that the manifest tells the main stream's segment has, now that it is there.
    pub fn note_fill(&self, ctx: &mut Ctx, i: usize) {
        if i == 0
            && let Some(job) = self.streams[i].job()
            && let Some(rep) = self.representation(job.key)
        {
            ctx.abr.came(job.received, rep.bandwidth, job.media);
        }
    }

    /// The representation for a stream's next segment.
    pub fn choose(&mut self, ctx: &mut Ctx, i: usize) -> usize {
        let forced = self.streams[i].forced.take();
        let buffer = (self.streams[i].cursor - self.playhead.position(ctx.now)).max(0.0);
        let (estimate, high) = ctx.abr.estimator.spread(ctx.now);
        if i == 0 {
            self.choice = Choice { estimate: (estimate, high), buffer, candidates: Vec::new() };
        }
        let stream = &self.streams[i];
        let candidates = self.candidates(ctx, stream);
        let Some(lowest) = candidates.first().copied() else { return 0 };
        let set = self.set(stream.period, stream.set).map_or(&[][..], |s| &s.representations);
        let is_fixed =
            |rep: &usize| self.is_fixed(RepKey { period: stream.period, set: stream.set, rep: *rep });
        if i == 0
            && let Some(fixed) = candidates.iter().copied().find(is_fixed)
        {
            self.streams[i].reason.get_or_insert(Reason::User);
            return fixed;
        }
        if let Some(forced) = forced.filter(|f| candidates.contains(f)) {
            return forced;
        }
        // Sound goes on, and for pictures that nobody sees the least will do.
        if i == 0 && self.playhead.media().hidden && stream.has_media && candidates.len() > 1 {
            if stream.rep != Some(lowest) {
                self.streams[0].reason = Some(Reason::Hidden);
            }
            return lowest;
        }
        if i > 0 {
            // Sound is chosen once and then kept: a change is heard sooner than it helps.
            if let Some(rep) = stream.rep.filter(|r| candidates.contains(r)) {
                return rep;
            }
            let fits =
                |r: &&usize| set.get(**r).is_some_and(|r| r.bandwidth as f64 <= estimate * AUDIO_SHARE);
            return candidates.iter().rev().find(fits).copied().unwrap_or(lowest);
        }
        /// Least part of their bandwidth that segments are taken to have, where a bandwidth that is the highest of any second would leave much of
        /// the link unused. Smaller: stalls after scenes that are easy to encode.
        const LEAST_FILL: f64 = 0.6;
        /// Seconds that can be buffered up to the live edge below which there is no plan to make. Larger: short buffers are not made use of.
        const SHORT: Seconds = 4.0;
        // At the live edge no more can be buffered than the distance from it.
        let most = ctx.config.buffer_ahead;
        let position = self.playhead.position(ctx.now);
        let target = self.edge(ctx).map_or(most, |edge| most.min((edge - position).max(0.1)));
        let paced = self.at_live_edge() && target < SHORT;
        let fill = if paced { ctx.abr.fill.clamp(LEAST_FILL, 1.0) } else { 1.0 };
        let bandwidth = |r: &Representation| (r.bandwidth as f64 * fill) as u64;
        let ladder: Vec<u64> = candidates.iter().map(|r| set.get(*r).map_or(0, bandwidth)).collect();
        let current = stream.rep.and_then(|r| candidates.iter().position(|c| *c == r));
        let audio: u64 = self.streams[1..]
            .iter()
            .filter_map(|s| self.representation(RepKey { period: s.period, set: s.set, rep: s.rep? }))
            .map(|r| r.bandwidth)
            .sum();
        let next = (stream.cursor, self.segment_duration(stream).unwrap_or(4.0));
        let sizes: Vec<u64> =
            candidates.iter().map(|r| set.get(*r).map_or(0, |r| size_at(r, next))).collect();
        let cap = self.cap(ctx, stream, &candidates);
        let situation = Situation {
            rule: ctx.config.rule,
            ladder: &ladder,
            next_sizes: &sizes,
            current,
            cap,
            buffer,
            buffer_target: target,
            estimate: (estimate - audio as f64).max(estimate * 0.5),
            rate: self.playhead.media().rate.max(0.1),
            paced,
            startup: !stream.has_media || buffer <= 0.0,
        };
        let decision = ctx.abr.selector.choose(&situation);
        let reason = match decision.reason {
            abr::Reason::Start => Some(Reason::Start),
            abr::Reason::Keep => None,
            abr::Reason::ThroughputUp => Some(Reason::ThroughputUp),
            abr::Reason::ThroughputDown => Some(Reason::ThroughputDown),
            abr::Reason::BufferHigh => Some(Reason::BufferHigh),
            abr::Reason::BufferLow => Some(Reason::BufferLow),
            abr::Reason::Cap => Some(Reason::ElementSize),
        };
        let chosen = candidates.get(decision.index).copied().unwrap_or(lowest);
        let candidate = |(i, rep): (usize, &usize)| {
            let (seconds, lasts) = situation.plan(i);
            set.get(*rep).map(|rep| (rep.id.clone(), seconds, lasts))
        };
        // They are told with a change alone.
        let plans = if stream.rep == Some(chosen) {
            Vec::new()
        } else {
            candidates.iter().enumerate().take(cap + 1).filter_map(candidate).collect()
        };
        let size = sizes.get(decision.index).copied().unwrap_or(0);
        if self.codec.is_none() {
            self.codec = self
                .representation(RepKey {
                    period: self.streams[i].period,
                    set: self.streams[i].set,
                    rep: chosen,
                })
                .map(|r| family(&r.codecs).to_owned());
        }
        self.choice.candidates = plans;
        ctx.abr.estimator.set_segment_bytes(size);
        if let Some(reason) = reason {
            self.streams[i].reason.get_or_insert(reason);
        }
        chosen
    }

    /// A segment to fetch once more where there is room for no other: of those ahead the last that is there in a lower quality than the present
    /// one, if it can be had in this in time. From the last one back, so that what has become better is of one piece.
    pub fn improvable(&self, ctx: &Ctx, i: usize) -> Option<(RepKey, SegmentRef)> {
        let stream = &self.streams[i];
        let full = self.quota_ahead.is_some() || self.bytes_ahead(ctx, stream) >= ctx.config.buffer_bytes;
        let thrifty = ctx.config.data_saver || self.fixed.is_some();
        if i > 0 || full || thrifty || self.live() || !self.playhead.moving() {
            return None;
        }
        let key = RepKey { period: stream.period, set: stream.set, rep: stream.rep? };
        let (rep, buffer) = (self.representation(key)?, self.buffer(BufferId::Video)?);
        let position = self.playhead.position(ctx.now);
        let estimate = ctx.abr.estimate(ctx.now).max(1.0);
        let mut place = rep.index.find(stream.cursor - SEAM)?;
        loop {
            let segment = rep.index.segment(place)?;
            let end = segment.start + segment.duration;
            let seconds = size_at(rep, (segment.start, segment.duration)) as f64 * 8.0 / estimate;
            if segment.start < position + DECODED_AHEAD + 2.0 * seconds {
                return None;
            }
            let there = buffer.bandwidth_at((segment.start + end) / 2.0);
            // Where others begin elsewhere, a part of the next one would go along.
            let aligned = buffer.sync_before(end + SEAM).is_some_and(|sync| sync > end - SEAM);
            if there.is_some_and(|b| b < rep.bandwidth)
                && aligned
                && seconds < abr::IMPROVING.get() * segment.duration
            {
                return (segment.start != stream.again_at).then_some((key, segment));
            }
            place = place.checked_sub(1)?;
        }
    }

    /// Seconds of the segment at a stream's cursor, in whatever representation is known.
    pub fn segment_duration(&self, stream: &Stream) -> Option<Seconds> {
        let set = self.set(stream.period, stream.set)?;
        let of = |rep: &Representation| {
            // Live: behind the last one that is listed others of its kind come.
            let at = rep.index.find(stream.cursor).or(rep.index.len().checked_sub(1))?;
            rep.index.span(at).map(|(_, duration)| duration)
        };
        let known = stream.rep.and_then(|r| set.representations.get(r)).and_then(of);
        // A period that has just begun lists nothing yet, and is like those before.
        let mut others = self.presentation.periods.iter().rev().flat_map(|p| &p.sets);
        let mut like = || {
            others.find_map(|s| (s.content == set.content).then(|| s.representations.iter().find_map(of))?)
        };
        let known = known.or_else(|| set.representations.iter().find_map(of));
        if cfg!(feature = "live") { known.or_else(&mut like) } else { known }
    }

    /// Gives a download up that will not be there before the buffer is empty, if a smaller one will.
    pub fn consider_abandoning(&mut self, ctx: &mut Ctx, i: usize) {
        let stream = &self.streams[i];
        let Some(job) = stream.job() else { return };
        if i != 0 || job.complete || (self.fixed.is_some() && !job.again) {
            return;
        }
        if job.again {
            let rest = job.length.unwrap_or(0).saturating_sub(job.received) as f64 * 8.0;
            let time_left = job.segment.start - DECODED_AHEAD - self.playhead.position(ctx.now);
            if rest > time_left * ctx.abr.estimate(ctx.now) {
                self.cancel_stream(ctx, i);
            }
            return;
        }
        let candidates = self.candidates(ctx, stream);
        let Some(current) = candidates.iter().position(|c| *c == job.key.rep) else { return };
        let (starts, number) = (job.starts.clone(), job.segment.number);
        let place = (job.segment.start, job.segment.duration);
        let bytes =
            |rep: usize| self.representation(RepKey { rep, ..job.key }).map_or(0, |r| size_at(r, place));
        let lower: Vec<u64> = candidates[..current].iter().map(|r| bytes(*r)).collect();
        let position = self.playhead.position(ctx.now);
        // What comes as it is made comes no faster in another quality, unless it is the link that is behind.
        let middle = self.edge(ctx).map_or(position, |edge| (position + edge) / 2.0);
        if job.is_paced() && place.0 + job.media > middle {
            return;
        }
        let shown = starts.iter().any(|(_, start)| *start < position + DECODED_AHEAD);
        if shown && job.media < 2.0 * SEAM {
            // A frame or two that others replace would be taken for a seam, and their decoder would not be told.
            return;
        }
        let media = self.playhead.media();
        // The first picture is waited for, whether it plays then or not.
        let rate = if media.paused && stream.has_media { 0.0 } else { media.rate };
        let end = job.segment.start + job.segment.duration;
        let download = Download {
            received: job.received,
            before: job.begun,
            size: job.length.unwrap_or_else(|| bytes(job.key.rep)),
            receiving: job.first_byte.map(|t| ctx.now - t),
            elapsed: ctx.now - job.sent,
            // What arrives plays at once, so the buffer lasts until the end of this segment has to be there.
            buffer: (end - position).max(0.0),
            duration: job.segment.duration,
            shown,
            rate,
            estimate: ctx.abr.estimate(ctx.now),
            current,
            lower: &lower,
        };
        if let Some(to) = abr::abandon(&download) {
            let forced = candidates.get(to).copied();
            let cursor = stream.cursor;
            ctx.abr.selector.abandoned();
            self.cancel_stream(ctx, i);
            let stream = &mut self.streams[i];
            stream.move_to(cursor, true);
            stream.last_fed = None;
            stream.forced = forced;
            stream.reason = Some(Reason::Abandoned);
            debug_assert!(matches!(stream.activity, Activity::Idle));
            // Else what is there plays on until as much of the other is.
            if !download.shown {
                stream.drop_held(number);
                for (id, start) in starts {
                    if let Some(buffer) = self.buffer_mut(id) {
                        buffer.remove(start, end);
                    }
                }
            }
        }
    }
}

/// Bytes of the segment at a place (start, duration): as the index tells, else by the bandwidth.
fn size_at(rep: &Representation, (start, duration): (Seconds, Seconds)) -> u64 {
    rep.index.bytes_at(start).unwrap_or((rep.bandwidth as f64 * duration / 8.0) as u64)
}

/// What the picture's decoder is made for: the name of its codec without profile and level.
fn family(codecs: &str) -> &str {
    let mut all = codecs.split(',').map(|c| c.trim().split('.').next().unwrap_or(c));
    all.clone().find(|c| codec_kind(c) == Some(ContentType::Video)).or_else(|| all.next()).unwrap_or("")
}
