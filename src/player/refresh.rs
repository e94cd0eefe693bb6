//! Manifests that are read again: the MPD as a whole, or the media playlists that are in use.

use super::io::*;
use super::requests::Ticket;
use super::session::{Ctx, Session};
use super::stream::{Activity, RepKey, Stream};
use crate::error::{PlayerError, Result};
#[cfg(feature = "dash")]
use crate::manifest::Presentation;
use crate::manifest::{Protocol, SegmentIndex};
use crate::time::Seconds;

/// Seconds between two readings of an MPD at the least, whatever it asks for.
const SHORTEST: f64 = 0.5;
/// Seconds after which a reading that failed is tried again; doubled each time, up to the last.
const PAUSES: (f64, f64) = (1.0, 10.0);
/// Seconds from the end of a segment, or from the reading of a manifest that tells of it, to its first picture.
pub(super) const ON_ITS_WAY: f64 = 0.5;

/// An MPD and when it is read again.
pub(super) struct Refresh {
    ticket: Option<Ticket>,
    body: Vec<u8>,
    /// Where it comes from, after redirects.
    url: String,
    /// What is fetched are changes to `text`.
    #[cfg(feature = "dash")]
    patching: bool,
    /// The MPD as it is now, where changes to it can be had.
    #[cfg(feature = "dash")]
    text: Vec<u8>,
    begun: Now,
    failures: u32,
    /// Readings in a row that told of nothing more to play.
    idle: u32,
    /// It is wanted at once: an event, or the clock, says that it has changed.
    hurried: bool,
    #[cfg(feature = "hls")]
    pub lists: super::lists::Lists,
}

impl Refresh {
    pub fn new(now: Now) -> Self {
        Self {
            ticket: None,
            body: Vec::new(),
            url: String::new(),
            #[cfg(feature = "dash")]
            patching: false,
            #[cfg(feature = "dash")]
            text: Vec::new(),
            begun: now,
            failures: 0,
            idle: 0,
            hurried: false,
            #[cfg(feature = "hls")]
            lists: super::lists::Lists::default(),
        }
    }

    /// Reads again at once.
    pub fn hurry(&mut self, now: Now) {
        self.hurried = true;
        self.begun = self.begun.min(now - SHORTEST);
    }

    /// Keeps the text of an MPD that patches can be had for.
    #[cfg(feature = "dash")]
    pub fn keep_text(&mut self, text: Vec<u8>) {
        self.text = text;
    }
}

impl Session {
    /// A segment tells that the manifest has changed.
    pub fn manifest_expires(&mut self) {
        if let Some(live) = &mut self.live {
            live.refresh.hurried = true;
        }
    }

    /// The streams that stand at the end of what the manifest tells of.
    fn starved(&self) -> impl Iterator<Item = &Stream> {
        self.streams.iter().filter(|s| matches!(s.activity, Activity::Idle) && s.starved)
    }

    /// When the first stream has nothing more to play that waits for the manifest to tell of the next segment.
    fn dry_at(&self, ctx: &Ctx) -> Now {
        let media = self.playhead.media();
        let unknown = self.starved().filter(|s| {
            let key = RepKey { period: s.period, set: s.set, rep: s.rep.unwrap_or(0) };
            !media.paused && self.comes_by_the_clock(key) != Some(true)
        });
        let ahead = unknown.map(|s| s.cursor - self.playhead.position(ctx.now)).fold(f64::INFINITY, f64::min);
        ctx.now + ahead.max(0.0) / media.rate.max(0.1)
    }

    /// When the MPD is read again.
    fn manifest_due(&self, ctx: &Ctx) -> Now {
        let (Some(live), Some(told)) = (&self.live, &self.presentation.live) else { return f64::INFINITY };
        let refresh = &live.refresh;
        if refresh.ticket.is_some() || self.presentation.protocol != Protocol::Dash || !self.live() {
            return f64::INFINITY;
        }
        if refresh.failures > 0 {
            let pause = PAUSES.0 * f64::from(1u32 << (refresh.failures - 1).min(4));
            return refresh.begun + pause.min(PAUSES.1);
        }
        if refresh.hurried {
            return refresh.begun + SHORTEST;
        }
        match told.refresh {
            None => f64::INFINITY,
            // As often as something is missing, which segments set the pace of.
            Some(0.0) if self.starved().next().is_none() => f64::INFINITY,
            Some(period) => {
                let segment = self.streams.first().and_then(|s| self.segment_duration(s)).unwrap_or(2.0);
                let least = if period == 0.0 { segment / 2.0 } else { SHORTEST };
                let period = period.max(least.max(SHORTEST));
                let usual = refresh.begun + period;
                // It may have been read a moment before it told of the next segment, or between one stream's and the other's.
                let dry = self.dry_at(ctx);
                if dry > usual + ON_ITS_WAY {
                    return usual;
                }
                let soon = refresh.begun + SHORTEST * f64::from(1u32 << refresh.idle.min(8));
                usual.min(soon.max(dry - segment - ON_ITS_WAY))
            }
        }
    }

    /// Reads what is due.
    pub fn step_refresh(&mut self, ctx: &mut Ctx) {
        #[cfg(feature = "hls")]
        self.step_lists(ctx);
        if ctx.now >= self.manifest_due(ctx) {
            self.read_manifest(ctx);
        }
    }

    pub fn refresh_deadline(&self, ctx: &Ctx) -> Now {
        #[cfg(feature = "hls")]
        return self.manifest_due(ctx).min(self.lists_due(ctx));
        #[cfg(not(feature = "hls"))]
        self.manifest_due(ctx)
    }

    fn read_manifest(&mut self, ctx: &mut Ctx) {
        let (Some(live), Some(told)) = (&mut self.live, &self.presentation.live) else { return };
        let refresh = &mut live.refresh;
        // Where it is said to be, or was redirected to, may be gone for good: it is asked for where it was first, too.
        let places = [told.location.as_ref().unwrap_or(&self.url), &self.asked, &self.url];
        let url = places[refresh.failures.saturating_sub(1) as usize % places.len()].clone();
        #[cfg(feature = "dash")]
        let url = match told.patch.as_ref().filter(|_| !refresh.text.is_empty() && refresh.failures == 0) {
            Some(patch) => {
                refresh.patching = true;
                patch.url.clone()
            }
            None => {
                refresh.patching = false;
                url
            }
        };
        refresh.begun = ctx.now;
        refresh.hurried = false;
        refresh.body.clear();
        refresh.ticket = Some(self.requests.send(ctx.now, FetchKind::Manifest, url, None, ctx.out));
    }

    /// Whether a request is for something live: the time, the manifest, a playlist.
    pub fn is_live_request(&self, ticket: Ticket) -> bool {
        let Some(live) = &self.live else { return false };
        #[cfg(feature = "hls")]
        if live.refresh.lists.holds(ticket) {
            return true;
        }
        live.clock.asks(ticket) || live.refresh.ticket == Some(ticket)
    }

    /// Where such a response comes from, after redirects.
    pub fn live_head(&mut self, ticket: Ticket, url: &str) {
        let Some(live) = &mut self.live else { return };
        if live.refresh.ticket == Some(ticket) {
            url.clone_into(&mut live.refresh.url);
        }
        #[cfg(feature = "hls")]
        live.refresh.lists.head(ticket, url);
    }

    /// Whether segments may still be added behind those of a representation, from `cursor` on.
    pub fn may_grow(&self, ctx: &Ctx, key: RepKey, cursor: Seconds) -> bool {
        #[cfg(feature = "hls")]
        if let Some(open) = self.list_is_open(key) {
            return open;
        }
        self.is_growing() && self.goes_on(ctx, key, cursor).unwrap_or(true)
    }

    /// Whether more segments of a representation come as time goes by. `None`: the manifest has to tell of each.
    pub fn comes_by_the_clock(&self, key: RepKey) -> Option<bool> {
        match &self.set(key.period, key.set)?.representations.get(key.rep)?.index {
            SegmentIndex::Template(template) if template.rule.is_some_and(|rule| !rule.listed) => {
                Some(template.skip.saturating_add(template.listed) < template.total())
            }
            _ => None,
        }
    }

    /// Whether a period that another one follows has more to come: the next is announced while this one is on. `None`: it is the last.
    fn goes_on(&self, ctx: &Ctx, key: RepKey, cursor: Seconds) -> Option<bool> {
        /// Media that ends so short of its period is complete, in seconds.
        const SHORT: Seconds = 0.05;
        let next = self.presentation.periods.get(key.period + 1)?;
        if let Some(more) = self.comes_by_the_clock(key) {
            return Some(more);
        }
        let set = self.set(key.period, key.set)?;
        // A list tells of no end. What follows it does, and the clock, once the last segment had the time to be listed.
        let begun = next.sets.iter().filter(|s| s.content == set.content);
        let begun = begun.flat_map(|s| &s.representations).any(|r| !r.index.is_empty());
        let live = self.presentation.live.as_ref()?;
        let clock = self.live.as_ref()?.clock.now(ctx.now) - live.epoch.unwrap_or(0.0);
        let segment = self.streams.iter().find_map(|s| self.segment_duration(s)).unwrap_or(4.0);
        let late = clock > next.start + segment + live.refresh.unwrap_or(0.0);
        Some(!begun && !late && cursor + SHORT < next.start)
    }

    /// Bytes of such a response.
    pub fn live_bytes(&mut self, ticket: Ticket, data: &[u8]) {
        let Some(live) = &mut self.live else { return };
        if live.clock.asks(ticket) {
            return live.clock.bytes(data);
        }
        if live.refresh.ticket == Some(ticket) {
            live.refresh.body.extend_from_slice(data);
        } else {
            #[cfg(feature = "hls")]
            live.refresh.lists.bytes(ticket, data);
        }
    }

    /// What came of such a response is void: it is asked for again.
    pub fn live_again(&mut self, ticket: Ticket) {
        let Some(live) = &mut self.live else { return };
        if live.refresh.ticket == Some(ticket) {
            live.refresh.body.clear();
        }
        #[cfg(feature = "hls")]
        live.refresh.lists.again(ticket);
    }

    /// Such a response is complete.
    pub fn live_end(&mut self, ctx: &mut Ctx, ticket: Ticket) {
        let Some(live) = &mut self.live else { return };
        if live.clock.asks(ticket) {
            return self.clock_answered(ctx, true);
        }
        if live.refresh.ticket == Some(ticket) {
            live.refresh.ticket = None;
            let body = std::mem::take(&mut live.refresh.body);
            let url = std::mem::take(&mut live.refresh.url);
            if let Err(error) = self.manifest_read(ctx, body, &url) {
                self.manifest_failed(ctx, error);
            }
        } else {
            #[cfg(feature = "hls")]
            self.list_read(ctx, ticket);
        }
    }

    /// Such a response cannot be had.
    pub fn live_failed(&mut self, ctx: &mut Ctx, ticket: Ticket, error: PlayerError) {
        let Some(live) = &mut self.live else { return };
        if live.clock.asks(ticket) {
            return self.clock_answered(ctx, false);
        }
        if live.refresh.ticket == Some(ticket) {
            live.refresh.ticket = None;
            self.manifest_failed(ctx, error);
        } else {
            #[cfg(feature = "hls")]
            self.list_failed(ctx, ticket, error);
        }
    }

    /// A reading failed: what is known goes on, and the user is told once.
    fn manifest_failed(&mut self, ctx: &mut Ctx, error: PlayerError) {
        let Some(live) = &mut self.live else { return };
        live.refresh.failures += 1;
        #[cfg(feature = "dash")]
        if live.refresh.patching {
            // The whole manifest tells the same, at once.
            live.refresh.begun = ctx.now - PAUSES.0;
            return;
        }
        if live.refresh.failures == 1 {
            ctx.event(Event::Error(error.recoverable()));
        }
    }

    #[cfg(feature = "dash")]
    fn manifest_read(&mut self, ctx: &mut Ctx, body: Vec<u8>, url: &str) -> Result<()> {
        use crate::manifest::dash;
        let Some(live) = &mut self.live else { return Ok(()) };
        let clock = live.clock.now(ctx.now);
        let (text, base) = if live.refresh.patching {
            (dash::patch(&live.refresh.text, &body)?, self.url.clone())
        } else {
            (body, url.to_owned())
        };
        let new = dash::parse_at(&text, &base, Some(clock))?;
        live.refresh.failures = 0;
        if new.live.as_ref().is_some_and(|l| l.patch.is_some()) {
            live.refresh.text = text;
        } else {
            live.refresh.text = Vec::new();
        }
        if !live.refresh.patching {
            self.url = base;
        }
        self.take_over(ctx, new);
        Ok(())
    }

    #[cfg(not(feature = "dash"))]
    fn manifest_read(&mut self, _: &mut Ctx, _: Vec<u8>, _: &str) -> Result<()> {
        Ok(())
    }

    /// Goes on with a manifest that was read again.
    #[cfg(feature = "dash")]
    fn take_over(&mut self, ctx: &mut Ctx, new: Presentation) {
        let edge = self.window(ctx).map(|w| w.1);
        let update = self.presentation.update(new);
        self.note_manifest_events();
        self.rekey(ctx, |key| {
            let (period, set, rep) = update.map((key.period, key.set, key.rep))?;
            Some(RepKey { period, set, rep })
        });
        self.heed_published(ctx);
        if let Some(live) = &self.live {
            let clock = live.clock.now(ctx.now);
            self.presentation.advance(clock);
        }
        if update.restarted {
            self.go_on_by_time(ctx);
        }
        let grown = self.window(ctx).map(|w| w.1) != edge;
        if let Some(live) = &mut self.live {
            live.refresh.idle = if grown { 0 } else { live.refresh.idle + 1 };
        }
        self.ask_types(ctx);
        self.edge_read(ctx);
        if !self.live() {
            self.presentation_ended(ctx);
        }
    }

    /// Nothing will be added: the end is known.
    pub fn presentation_ended(&mut self, ctx: &mut Ctx) {
        if let Some(live) = &mut self.live {
            live.release_rate(ctx);
        }
        for stream in &mut self.streams {
            stream.starved = false;
        }
    }

    /// Everything that is held under the place of a representation moves to its new place.
    #[cfg(feature = "dash")]
    fn rekey(&mut self, ctx: &mut Ctx, map: impl Fn(RepKey) -> Option<RepKey>) {
        if let Some(supported) = &mut self.supported {
            *supported = supported.iter().filter_map(|key| map(*key)).collect();
        }
        // The types of a set: of any representation that is still there.
        let place = |period: usize, set: usize, reps: usize| {
            (0..reps).find_map(|rep| map(RepKey { period, set, rep })).map(|key| (key.period, key.set))
        };
        const MOST: usize = 256;
        self.offsets.retain_mut(|(period, ..)| match place(*period, 0, MOST) {
            Some((to, _)) => {
                *period = to;
                true
            }
            None => false,
        });
        for i in 0..self.streams.len() {
            let stream = &mut self.streams[i];
            let rep = stream.rep.unwrap_or(0);
            let now = map(RepKey { period: stream.period, set: stream.set, rep });
            let lost = match &mut stream.activity {
                Activity::Index { key, .. } => match map(*key) {
                    Some(to) => {
                        *key = to;
                        false
                    }
                    None => true,
                },
                Activity::Segment(job) => match map(job.key) {
                    Some(to) => {
                        job.key = to;
                        false
                    }
                    None => true,
                },
                _ => false,
            };
            stream.failed.retain_mut(|(key, _)| match map(*key) {
                Some(to) => {
                    *key = to;
                    true
                }
                None => false,
            });
            stream.held.retain_mut(|held| match map(held.key) {
                Some(to) => {
                    held.key = to;
                    true
                }
                None => false,
            });
            stream.pipeline = stream.pipeline.take().and_then(|(key, pipeline)| Some((map(key)?, pipeline)));
            let place = now.map(|k| (k.period, k.set)).or_else(|| place(stream.period, stream.set, MOST));
            if now.is_none() {
                stream.rep = None;
            } else if stream.rep.is_some() {
                stream.rep = now.map(|k| k.rep);
            }
            match place {
                Some((period, set)) => (stream.period, stream.set) = (period, set),
                None => {
                    // Its period is over: it goes on where the cursor stands.
                    let cursor = self.streams[i].cursor;
                    self.cancel_stream(ctx, i);
                    self.streams[i].move_to(cursor, false);
                    self.streams[i].period = usize::MAX;
                    continue;
                }
            }
            if lost {
                let cursor = self.streams[i].cursor;
                self.cancel_stream(ctx, i);
                self.streams[i].move_to(cursor, false);
            }
        }
    }
}
