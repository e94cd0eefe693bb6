//! One presentation while it plays: its streams and buffers, and what ties them together. How segments are fetched is in
//! `fetching`, the playhead in `playhead`, the choice of quality in `quality`.

use super::buffer::{Buffer, Failed};
use super::indexes::Variables;
use super::io::*;
use super::loading::Loading;
use super::playhead::Playhead;
use super::quality::Abr;
use super::requests::{Requests, RetryPolicy};
use super::stream::{Activity, RepKey, Stream};
use crate::error::{Code, PlayerError};
use crate::manifest::{AdaptationSet, ContentType, Presentation, PresentationType, Protocol};
use crate::time::{Seconds, TimeRange, TimeRanges};
use std::collections::VecDeque;
use std::rc::Rc;

/// What every step works with.
pub(super) struct Ctx<'a> {
    pub now: Now,
    pub config: &'a Config,
    pub out: &'a mut VecDeque<Output>,
    pub abr: &'a mut Abr,
}

impl Ctx<'_> {
    pub fn command(&mut self, command: Command) {
        self.out.push_back(Output::Command(command));
    }

    pub fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    pub fn policy(&self) -> RetryPolicy {
        RetryPolicy { max_attempts: self.config.max_attempts, timeout: self.config.request_timeout }
    }
}

/// Seconds that are kept behind the playhead once the browser's quota was met.
const KEPT_IF_FULL: Seconds = 1.0;

/// A stretch without media.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    pub range: TimeRange,
    /// The manifest tells of it (EXT-X-GAP); else a segment could not be had.
    pub announced: bool,
}

/// Why a session ends.
pub(super) type Fatal = PlayerError;

/// Where to begin, until it is known in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum StartAt {
    /// Relative to the end; needs the duration.
    BeforeEnd(Seconds),
    Known,
}

pub(super) struct Session {
    pub url: String,
    pub presentation: Presentation,
    pub requests: Requests,
    pub variables: Rc<Variables>,
    pub streams: Vec<Stream>,
    pub buffers: [Option<Buffer>; 2],
    pub playhead: Playhead,
    /// Which representations the browser can decode, by position; `None` until it has answered.
    pub supported: Option<Vec<RepKey>>,
    /// HLS: what to add to media time, per period and discontinuity.
    pub offsets: Vec<(usize, u32, Seconds)>,
    /// Holes that are known: announced gaps, and segments that could not be had.
    pub holes: Vec<Hole>,
    pub stats: Stats,
    /// The representation that the user fixed, by id.
    pub fixed: Option<String>,
    /// Codec family of the pictures, once chosen.
    pub codec: Option<String>,
    pub serial: u32,
    /// Seconds of forward buffer that the browser's quota allows, once it was met.
    pub quota_ahead: Option<Seconds>,
    checked: Vec<(RepKey, Vec<usize>)>,
    source_open: bool,
    start: StartAt,
    /// The start was compared with the end.
    start_checked: bool,
    loaded: bool,
    /// A browser without `changeType`: the source is set up anew when the playhead comes here.
    pub restart_at: Option<Seconds>,
    /// A request for part of a segment failed.
    pub ranges_refused: bool,
    pub decode_recoveries: Vec<Now>,
    ended_signalled: bool,
    last_quality: Option<String>,
    played_weight: (f64, f64),
    last_stats: Now,
    loaded_at: Now,
}

impl Session {
    /// Starts with a manifest that was read.
    pub fn new(
        ctx: &mut Ctx,
        loading: Loading,
        url: String,
        presentation: Presentation,
        source_open: bool,
    ) -> Self {
        let Loading { request, requests, started: loaded_at, variables, .. } = loading;
        let wanted = request.start_time.or(presentation.start_hint).unwrap_or(0.0);
        let (start, position) = match (wanted < 0.0, presentation.duration) {
            (false, _) => (StartAt::Known, wanted),
            (true, Some(duration)) => (StartAt::Known, (duration + wanted).max(0.0)),
            (true, None) => (StartAt::BeforeEnd(wanted), 0.0),
        };
        let mut session = Self {
            url,
            presentation,
            requests,
            variables: Rc::new(variables),
            streams: Vec::new(),
            buffers: [None, None],
            playhead: Playhead::new(position),
            supported: None,
            offsets: Vec::new(),
            holes: Vec::new(),
            stats: Stats::default(),
            fixed: None,
            codec: None,
            serial: 0,
            quota_ahead: None,
            checked: Vec::new(),
            source_open,
            start,
            start_checked: false,
            loaded: false,
            restart_at: None,
            ranges_refused: false,
            decode_recoveries: Vec::new(),
            ended_signalled: false,
            last_quality: None,
            played_weight: (0.0, 0.0),
            last_stats: ctx.now,
            loaded_at,
        };
        session.ask_types(ctx);
        session
    }

    /// Asks the browser about every type that the manifest names.
    fn ask_types(&mut self, ctx: &mut Ctx) {
        let mut types: Vec<String> = Vec::new();
        for (p, period) in self.presentation.periods.iter().enumerate() {
            for (s, set) in period.sets.iter().enumerate() {
                for (r, rep) in set.representations.iter().enumerate() {
                    let needs = types_of(set, rep)
                        .into_iter()
                        .map(|t| {
                            types.iter().position(|known| *known == t).unwrap_or_else(|| {
                                types.push(t);
                                types.len() - 1
                            })
                        })
                        .collect();
                    self.checked.push((RepKey { period: p, set: s, rep: r }, needs));
                }
            }
        }
        ctx.command(Command::CheckTypes(types));
    }

    /// The browser has answered.
    pub fn types_checked(&mut self, ctx: &mut Ctx, answers: &[bool]) -> Result<(), Fatal> {
        if self.supported.is_some() {
            return Ok(());
        }
        let checked = std::mem::take(&mut self.checked);
        let takes = |needs: &[usize]| needs.iter().all(|i| answers.get(*i).copied().unwrap_or(false));
        self.supported =
            Some(checked.iter().filter(|(_, needs)| takes(needs)).map(|(key, _)| *key).collect());
        self.choose_streams(ctx)
    }

    /// Whether the browser can decode a representation.
    pub fn is_supported(&self, key: RepKey) -> bool {
        self.supported.as_ref().is_some_and(|all| all.contains(&key))
    }

    pub fn set(&self, period: usize, set: usize) -> Option<&AdaptationSet> {
        self.presentation.periods.get(period)?.sets.get(set)
    }

    /// Period that holds `time`; the last one past the end.
    pub fn period_at(&self, time: Seconds) -> usize {
        self.presentation.periods.iter().rposition(|p| p.start <= time + 1e-3).unwrap_or(0)
    }

    fn playable(&self, period: usize, set: usize) -> bool {
        let Some(s) = self.set(period, set) else { return false };
        (0..s.representations.len()).any(|rep| self.is_supported(RepKey { period, set, rep }))
    }

    /// The best set of a kind in a period: like `model` if there is one, else in the configured language, else the default one.
    pub fn pick_set(
        &self,
        ctx: &Ctx,
        period: usize,
        content: ContentType,
        model: Option<&AdaptationSet>,
        allowed: &[String],
    ) -> Option<usize> {
        let sets = &self.presentation.periods.get(period)?.sets;
        let score = |i: usize, s: &AdaptationSet| {
            let mut score = 0i32;
            if let Some(m) = model {
                score += 64 * i32::from(s.id == m.id);
                score += 32 * i32::from(s.lang == m.lang);
                score += 16 * i32::from(s.roles == m.roles);
                score += 8 * i32::from(s.label == m.label);
            } else if let (Some(want), Some(have)) = (&ctx.config.language, &s.lang) {
                score += 32 * i32::from(same_language(want, have));
            }
            score += 4 * i32::from(s.default);
            score += 2 * i32::from(s.autoselect);
            score -= 16 * i32::from(s.roles.iter().any(|r| r != "main"));
            (score, -(i as i32))
        };
        sets.iter()
            .enumerate()
            .filter(|(i, s)| s.content == content && self.playable(period, *i))
            .filter(|(_, s)| allowed.is_empty() || allowed.contains(&s.id))
            .max_by_key(|(i, s)| score(*i, s))
            .map(|(i, _)| i)
    }

    fn choose_streams(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
        let position = self.playhead.position(ctx.now);
        let period = self.period_at(position);
        let video = self.pick_set(ctx, period, ContentType::Video, None, &[]);
        let allowed: Vec<String> = video
            .and_then(|v| self.set(period, v))
            .map(|s| s.representations.iter().flat_map(|r| r.audio_sets.iter().cloned()).collect())
            .unwrap_or_default();
        let audio = self.pick_set(ctx, period, ContentType::Audio, None, &allowed);
        for (content, set) in [(ContentType::Video, video), (ContentType::Audio, audio)] {
            if let Some(set) = set
                && let Some(s) = self.set(period, set)
            {
                self.streams.push(Stream::new(content, s.id.clone(), period, set, position));
            }
        }
        if self.streams.is_empty() {
            return Err(self.nothing_playable(period));
        }
        self.announce_tracks(ctx);
        Ok(())
    }

    fn nothing_playable(&self, period: usize) -> PlayerError {
        let sets = self.presentation.periods.get(period).map_or(&[][..], |p| &p.sets);
        let mut codecs: Vec<&str> = Vec::new();
        for set in sets.iter().filter(|s| matches!(s.content, ContentType::Video | ContentType::Audio)) {
            for rep in &set.representations {
                if !codecs.contains(&rep.codecs.as_str()) {
                    codecs.push(&rep.codecs);
                }
            }
        }
        let mut error = if codecs.is_empty() {
            PlayerError::new(Code::ManifestEmpty, "the manifest has no video and no audio")
        } else {
            PlayerError::new(
                Code::CodecUnsupported,
                ["the stream offers ", &codecs.join(", "), " only."].concat(),
            )
        };
        error.tried = (!codecs.is_empty()).then(|| codecs.join(", "));
        error.with_url(&self.url)
    }

    /// The element's source was opened or closed.
    pub fn set_source_open(&mut self, open: bool) {
        self.source_open = open;
    }

    /// One round: everything that can go on goes on.
    pub fn step(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
        if self.supported.is_none() {
            return Ok(());
        }
        self.resolve_start(ctx);
        self.watch_playhead(ctx)?;
        self.restart_if_due(ctx);
        for i in 0..self.streams.len() {
            self.step_stream(ctx, i)?;
        }
        self.announce(ctx);
        self.add_buffers(ctx)?;
        self.release_held(ctx);
        self.evict(ctx);
        for buffer in self.buffers.iter_mut().flatten() {
            buffer.pump(ctx.out);
        }
        self.finish_source(ctx)?;
        self.report(ctx);
        Ok(())
    }

    /// End of the presentation, as far as it is known.
    pub fn duration(&self) -> Option<Seconds> {
        if self.presentation.duration.is_some() {
            return self.presentation.duration;
        }
        let last = self.presentation.periods.last()?;
        if let Some(duration) = last.duration {
            return Some(last.start + duration);
        }
        let stream = self.streams.first()?;
        let set = self.set(stream.period, stream.set)?;
        let rep = stream.rep.or_else(|| set.representations.iter().position(|r| r.index.end().is_some()))?;
        set.representations.get(rep)?.index.end()
    }

    fn resolve_start(&mut self, ctx: &mut Ctx) {
        /// A start at or behind the end (RFC 8216bis §4.4.2.2: "the end of the Playlist") shows the last moment.
        const LAST_MOMENT: Seconds = 0.5;
        if !self.start_checked
            && self.start_known()
            && let Some(duration) = self.duration()
        {
            self.start_checked = true;
            let last = (duration - LAST_MOMENT).max(0.0);
            if self.playhead.position(ctx.now) > last {
                self.begin_at(ctx, last);
            }
        }
        if let StartAt::BeforeEnd(offset) = self.start
            && let Some(duration) = self.duration()
        {
            self.start = StartAt::Known;
            self.begin_at(ctx, (duration + offset).max(0.0));
        }
    }

    /// Sets the place where playback begins, before it has.
    fn begin_at(&mut self, ctx: &mut Ctx, position: Seconds) {
        self.playhead.begin_at(position);
        for i in 0..self.streams.len() {
            self.cancel_stream(ctx, i);
            self.streams[i].move_to(position, false);
        }
    }

    /// Whether segments may be fetched already, or only the index that tells where to start.
    pub fn start_known(&self) -> bool {
        self.start == StartAt::Known
    }

    /// Tells the user, once there is something to tell: the main index is read.
    fn announce(&mut self, ctx: &mut Ctx) {
        if self.loaded || !self.start_known() {
            return;
        }
        let Some(main) = self.streams.first() else { return };
        if main.job().is_none() && !main.has_media {
            return;
        }
        self.loaded = true;
        let protocol = match self.presentation.protocol {
            Protocol::Dash => "dash",
            Protocol::Hls => "hls",
        };
        let live = self.presentation.kind == PresentationType::Dynamic;
        let duration = self.duration();
        ctx.event(Event::Loaded { protocol, duration, live });
    }

    pub fn announce_tracks(&self, ctx: &mut Ctx) {
        let Some(main) = self.streams.first() else { return };
        let qualities = match self.set(main.period, main.set) {
            Some(set) => set
                .representations
                .iter()
                .enumerate()
                .filter(|(rep, _)| {
                    self.is_supported(RepKey { period: main.period, set: main.set, rep: *rep })
                })
                .map(|(_, r)| Quality {
                    id: r.id.clone(),
                    bandwidth: r.bandwidth,
                    width: r.width,
                    height: r.height,
                    frame_rate: r.frame_rate,
                    codecs: r.codecs.clone(),
                })
                .collect(),
            None => Vec::new(),
        };
        let active = self.streams.iter().find(|s| s.content == ContentType::Audio).map(|s| &s.set_id);
        let audio = self
            .presentation
            .periods
            .get(main.period)
            .into_iter()
            .flat_map(|p| p.sets.iter().enumerate())
            .filter(|(i, s)| s.content == ContentType::Audio && self.playable(main.period, *i))
            .map(|(_, s)| AudioTrack {
                id: s.id.clone(),
                language: s.lang.clone(),
                label: s.label.clone(),
                roles: s.roles.clone(),
                active: active == Some(&s.id),
            })
            .collect();
        ctx.event(Event::Tracks { qualities, audio });
    }

    /// Makes the SourceBuffers once every stream has told its tracks: none can be added after the first has its metadata.
    fn add_buffers(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
        if !self.source_open || self.buffers.iter().any(Option::is_some) {
            return Ok(());
        }
        if self.streams.iter().any(|s| s.buffers.is_empty()) {
            return Ok(());
        }
        if let Some(duration) = self.duration() {
            ctx.command(Command::SetDuration(duration));
        }
        for id in [BufferId::Video, BufferId::Audio] {
            let mut wanted = self.streams.iter().flat_map(|s| &s.buffers);
            if let Some((_, mime)) = wanted.find(|b| b.0 == id) {
                self.buffers[id as usize] = Some(Buffer::add(id, mime.clone(), ctx.out));
            }
        }
        let target = self.playhead.position(ctx.now);
        if target > 0.0 {
            self.playhead.seek(ctx, target);
        }
        Ok(())
    }

    pub fn buffer(&self, id: BufferId) -> Option<&Buffer> {
        self.buffers[id as usize].as_ref()
    }

    pub fn buffer_mut(&mut self, id: BufferId) -> Option<&mut Buffer> {
        self.buffers[id as usize].as_mut()
    }

    /// What all buffers have, as the element sees it.
    pub fn playable_ranges(&self) -> TimeRanges {
        let mut all = self.buffers.iter().flatten();
        let Some(first) = all.next() else { return TimeRanges::default() };
        all.fold(first.buffered().clone(), |sum, b| {
            // At the very end one track may be shorter; the element plays on with the other (MSE §2.4.4 "ended").
            sum.intersection(b.buffered())
        })
    }

    pub fn buffer_done(&mut self, id: BufferId, buffered: TimeRanges) {
        if let Some(buffer) = self.buffer_mut(id) {
            buffer.done(buffered);
        }
    }

    /// The browser refused an operation on a buffer.
    pub fn buffer_failed(
        &mut self,
        ctx: &mut Ctx,
        id: BufferId,
        quota: bool,
        message: &str,
    ) -> Result<(), Fatal> {
        let position = self.playhead.position(ctx.now);
        let Some(buffer) = self.buffer_mut(id) else { return Ok(()) };
        let span = match buffer.failed() {
            Some(Failed::ChangeType) => {
                self.restart_for_type(ctx, id);
                return Ok(());
            }
            Some(Failed::Append(span)) => span,
            None => None,
        };
        if !quota {
            // The element's error event tells more and follows; without one the type was refused.
            let mut error = PlayerError::new(Code::Decode, "the browser refused the media");
            if !message.is_empty() {
                error.message = ["the browser refused the media (", message, ")"].concat().into();
            }
            return self.recover_decode(ctx, error);
        }
        buffer.full = true;
        buffer.drop_waiting();
        let end = buffer.expected().end_from(position, super::buffer::SEAM);
        // Less each time: what is behind and the segment under way need room too.
        let met = self.quota_ahead.map_or(end - position, |q| q.min(end - position));
        self.quota_ahead = Some((met * 0.8).max(4.0));
        ctx.event(Event::Error(
            PlayerError::new(
                Code::QuotaExceeded,
                "the browser's media buffer is full; less is kept from now on",
            )
            .recoverable(),
        ));
        // What was refused is fetched again when there is room.
        let resume = span.map_or(end, |s| s.0.min(end).max(position));
        for i in 0..self.streams.len() {
            if self.streams[i].buffers.iter().any(|(b, _)| *b == id) {
                self.cancel_stream(ctx, i);
                self.streams[i].move_to(resume, false);
            }
        }
        self.make_room(ctx, id)
    }

    /// Evicts for a refused append: what is behind, else what a seek has left far ahead.
    fn make_room(&mut self, ctx: &mut Ctx, id: BufferId) -> Result<(), Fatal> {
        /// Media that playback goes on with for the time that a removal takes, in seconds.
        const ENOUGH: Seconds = 0.5;
        let position = self.playhead.position(ctx.now);
        let Some(buffer) = self.buffer_mut(id) else { return Ok(()) };
        // What the playhead needs comes from the group of pictures that it stands in.
        let keep_from = buffer.sync_before(position).unwrap_or(0.0).min(position - 0.1);
        let bounds = buffer.buffered().bounds();
        let end = buffer.buffered().end_from(position, super::buffer::SEAM);
        if bounds.is_some_and(|b| keep_from > b.start + 0.1) {
            buffer.remove(0.0, keep_from);
        } else if bounds.is_some_and(|b| b.end > end + super::buffer::SEAM) {
            buffer.remove(end + super::buffer::SEAM, f64::INFINITY);
        } else if end < position + ENOUGH {
            return Err(PlayerError::new(
                Code::QuotaExceeded,
                "one segment does not fit in the browser's media buffer",
            )
            .with_url(&self.url));
        }
        // Else there is enough to play: room comes as the playhead moves on.
        Ok(())
    }

    /// Removes what lies further behind the playhead than the configuration keeps.
    fn evict(&mut self, ctx: &mut Ctx) {
        /// Removal in steps of some seconds: each costs an operation.
        const STEP: Seconds = 4.0;
        let position = self.playhead.position(ctx.now);
        // A removal opens an ended source again (MSE §3.5.7): the element would wait at its end.
        const NEAR_END: Seconds = 10.0;
        if self.ended_signalled && self.duration().is_some_and(|d| position > d - NEAR_END) {
            return;
        }
        let tight = self.quota_ahead.is_some();
        for id in [BufferId::Video, BufferId::Audio] {
            let Some(buffer) = self.buffer(id) else { continue };
            // A full buffer's queue waits for just this.
            let full = buffer.full;
            if buffer.busy() || (!full && !buffer.idle()) {
                continue;
            }
            let starving = buffer.buffered().end_from(position, 0.0) < position + 0.3;
            let behind = ctx.config.buffer_behind;
            let (keep, step) = if tight { (behind.min(KEPT_IF_FULL), 0.5) } else { (behind, STEP) };
            if buffer.behind(position) <= keep + step && !(full && starving) {
                continue;
            }
            if let Some(buffer) = self.buffer_mut(id) {
                let to = buffer.sync_before(position - keep).unwrap_or(0.0);
                if buffer.behind(to) > 0.5 {
                    buffer.remove(0.0, to);
                } else if full && starving {
                    // Nothing can go, and nothing is left to play: the next refusal ends it.
                    buffer.full = false;
                }
            }
        }
    }

    /// Signals the end once everything is appended.
    fn finish_source(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
        let all_ended = self.streams.iter().all(|s| matches!(s.activity, Activity::Ended));
        if !all_ended {
            self.ended_signalled = false;
            return Ok(());
        }
        if self.buffers.iter().all(Option::is_none) {
            if self.source_open && self.streams.iter().all(|s| !s.has_media) {
                return Err(
                    PlayerError::new(Code::MediaEmpty, "the segments hold no media").with_url(&self.url)
                );
            }
            return Ok(());
        }
        if !self.ended_signalled && self.buffers.iter().flatten().all(Buffer::idle) {
            self.ended_signalled = true;
            ctx.command(Command::EndOfStream);
        }
        Ok(())
    }

    /// The user's choice of audio.
    pub fn select_audio(&mut self, ctx: &mut Ctx, id: &str) {
        let position = self.playhead.position(ctx.now);
        let period = self.period_at(position);
        let Some(set) =
            self.presentation.periods.get(period).and_then(|p| p.sets.iter().position(|s| s.id == id))
        else {
            return;
        };
        let Some(i) = self.streams.iter().position(|s| s.content == ContentType::Audio) else { return };
        if self.streams[i].set_id == id || !self.playable(period, set) {
            return;
        }
        self.cancel_stream(ctx, i);
        let stream = &mut self.streams[i];
        stream.set_id = id.to_owned();
        stream.period = period;
        stream.set = set;
        stream.rep = None;
        stream.pipeline = None;
        stream.move_to(position, false);
        if let Some(buffer) = self.buffer_mut(BufferId::Audio) {
            buffer.drop_waiting();
            buffer.remove(0.0, f64::INFINITY);
        }
        self.announce_tracks(ctx);
    }

    /// The user's choice of quality. What is buffered ahead is replaced from the next segment on.
    pub fn select_quality(&mut self, ctx: &mut Ctx, id: Option<String>) {
        self.fixed = id;
        let Some(main) = self.streams.first_mut() else { return };
        main.reason = Some(Reason::User);
        let Some(wanted) = &self.fixed else { return };
        let main = &self.streams[0];
        let Some(set) = self.set(main.period, main.set) else { return };
        let Some(rep) = set.representations.iter().position(|r| r.id == *wanted) else { return };
        if main.rep == Some(rep) {
            return;
        }
        // The playhead must not run into the hole before the first new segment is there.
        const MARGIN: Seconds = 2.0;
        let from = self.playhead.position(ctx.now) + MARGIN;
        let next = main.rep.and_then(|r| set.representations.get(r)).and_then(|r| {
            let i = r.index.find(from)?;
            r.index.span(i).map(|(start, duration)| start + duration)
        });
        let Some(from) = next.filter(|n| *n < main.cursor) else { return };
        let ids: Vec<BufferId> = main.buffers.iter().map(|(b, _)| *b).collect();
        self.cancel_stream(ctx, 0);
        self.streams[0].move_to(from, true);
        self.streams[0].last_fed = None;
        for id in ids {
            if let Some(buffer) = self.buffer_mut(id) {
                buffer.remove(from, f64::INFINITY);
            }
        }
    }

    /// Tells of a new quality.
    pub fn note_quality(&mut self, ctx: &mut Ctx, id: &str, reason: Reason) {
        if self.last_quality.as_deref() == Some(id) {
            return;
        }
        let from = self.last_quality.replace(id.to_owned());
        self.stats.switches += u32::from(from.is_some());
        self.stats.quality = Some(id.to_owned());
        ctx.event(Event::QualityChange { from, to: id.to_owned(), reason, auto: self.fixed.is_none() });
    }

    /// Counts what was played, for the average.
    pub fn note_played(&mut self, from: Seconds, to: Seconds) {
        let main = self.buffers.iter().flatten().next();
        if let Some(bandwidth) = main.and_then(|b| b.bandwidth_at(from))
            && to > from
        {
            self.played_weight.0 += bandwidth as f64 * (to - from);
            self.played_weight.1 += to - from;
        }
    }

    /// The numbers now.
    pub fn stats_now(&self, ctx: &Ctx) -> Stats {
        let position = self.playhead.position(ctx.now);
        let media = self.playhead.media();
        Stats {
            position,
            estimate: ctx.abr.estimate(ctx.now),
            buffer: (self.playable_ranges().end_from(position, super::buffer::SEAM) - position).max(0.0),
            total_frames: media.total_frames,
            dropped_frames: media.dropped_frames,
            average_bandwidth: if self.played_weight.1 > 0.0 {
                self.played_weight.0 / self.played_weight.1
            } else {
                0.0
            },
            startup: self.playhead.first_frame_at().map(|t| t - self.loaded_at),
            stall_time: self.stats.stall_time + self.playhead.stalled_for(ctx.now),
            ..self.stats.clone()
        }
    }

    fn report(&mut self, ctx: &mut Ctx) {
        let interval = ctx.config.stats_interval;
        if interval > 0.0 && ctx.now >= self.last_stats + interval && self.loaded {
            self.last_stats = ctx.now;
            let stats = self.stats_now(ctx);
            ctx.event(Event::Stats(stats));
        }
    }

    /// When `step` is next needed.
    pub fn deadline(&self, ctx: &Ctx) -> Now {
        let mut soonest = self.requests.deadline(ctx.policy());
        soonest = soonest.min(self.playhead.deadline(ctx.now));
        if ctx.config.stats_interval > 0.0 && self.loaded && self.playhead.moving() {
            soonest = soonest.min(self.last_stats + ctx.config.stats_interval);
        }
        for stream in &self.streams {
            soonest = soonest.min(self.stream_deadline(ctx, stream));
        }
        soonest.min(self.restart_deadline(ctx.now))
    }
}

/// Whether `en` asks for `en-GB` and the like (RFC 4647 §3.3.1 basic filtering, either way round).
fn same_language(a: &str, b: &str) -> bool {
    let primary = |s: &str| s.split('-').next().unwrap_or(s).to_ascii_lowercase();
    a.eq_ignore_ascii_case(b) || primary(a) == primary(b)
}

/// The types that MSE must take for a representation. Empty where the manifest names no codecs: then the media tells.
fn types_of(set: &AdaptationSet, rep: &crate::manifest::Representation) -> Vec<String> {
    if !matches!(set.content, ContentType::Video | ContentType::Audio) || rep.codecs.is_empty() {
        return Vec::new();
    }
    if rep.mime_type.split(['/', ';']).any(|part| part.trim_ascii() == "webm") {
        return vec![declared_mime(&rep.mime_type, &rep.codecs)];
    }
    // Everything else ends up in fragmented MP4, a buffer for video and one for audio.
    rep.codecs
        .split(',')
        .map(str::trim)
        .filter(|c| !c.is_empty())
        .filter_map(|codec| {
            let kind = match codec_kind(codec) {
                Some(ContentType::Video) => "video/mp4",
                Some(ContentType::Audio) => "audio/mp4",
                Some(_) => return None,
                None if set.content == ContentType::Audio => "audio/mp4",
                None => "video/mp4",
            };
            Some(declared_mime(kind, codec))
        })
        .collect()
}

/// `type; codecs="…"`.
pub(super) fn declared_mime(mime: &str, codecs: &str) -> String {
    if codecs.is_empty() { mime.to_owned() } else { [mime, "; codecs=\"", codecs, "\""].concat() }
}

/// What a codec is for, by its RFC 6381 name.
pub(super) fn codec_kind(codec: &str) -> Option<ContentType> {
    let name = codec.split('.').next().unwrap_or(codec).to_ascii_lowercase();
    match name.as_str() {
        "avc1" | "avc3" | "hvc1" | "hev1" | "dvh1" | "dvhe" | "av01" | "vp8" | "vp08" | "vp9" | "vp09"
        | "mp4v" | "vvc1" | "vvi1" => Some(ContentType::Video),
        "mp4a" | "ac-3" | "ec-3" | "ac-4" | "opus" | "flac" | "vorbis" | "mp3" | "alac" | "dtsc" | "dtse" => {
            Some(ContentType::Audio)
        }
        "wvtt" | "stpp" => Some(ContentType::Text),
        _ => None,
    }
}
