//! One presentation while it plays: its streams and buffers, and what ties them together. How segments are fetched is in
//! `fetching`, the playhead in `playhead`, the choice of quality in `quality`.

use super::Live;
use super::buffer::Buffer;
use super::indexes::Variables;
use super::io::*;
use super::language::same_language;
#[cfg(feature = "progressive")]
use super::linear::Linear;
use super::loading::{Kept, Loading};
use super::notes::Notes;
use super::playhead::Playhead;
use super::quality::Abr;
use super::requests::{Requests, RetryPolicy};
use super::stream::{Activity, Model, RepKey, Stream};
use crate::error::{Code, PlayerError};
use crate::manifest::{AdaptationSet, ContentType, Presentation, PresentationType};
use crate::time::{Seconds, TimeRange, TimeRanges};
use std::collections::VecDeque;
use std::rc::Rc;

/// Seconds before its end at which a source is told that it ends. Not when all is appended: WebKitGTK 2.50 fails where media is replaced in a
/// source that has ended ("Failed to push buffer"), as another quality or sound does.
const END_NEAR: Seconds = 3.0;

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
pub(super) enum StartAt {
    /// Relative to the end; needs the duration.
    BeforeEnd(Seconds),
    /// At the live edge, once the clock or a playlist tells where that is.
    Edge,
    Known,
}

/// Types that the browser was asked about.
pub(super) struct Question {
    pub types: Vec<Rc<str>>,
    /// The stream that waits for the answer; `None`: all, the types are from the manifest.
    pub stream: Option<usize>,
}

pub(super) struct Session {
    pub url: String,
    /// Where the manifest was asked for first.
    #[cfg(feature = "live")]
    pub asked: String,
    /// Its `Date`, less the moment at which it came.
    #[cfg(feature = "live")]
    pub dated: Option<f64>,
    pub presentation: Presentation,
    pub requests: Requests,
    pub variables: Rc<Variables>,
    pub streams: Vec<Stream>,
    pub buffers: [Option<Buffer>; 2],
    pub playhead: Playhead,
    /// Which representations the browser can decode, by position; `None` until it has answered.
    pub supported: Option<Vec<RepKey>>,
    /// What to add to media time, per period and discontinuity, where no manifest tells (HLS), or a wrong thing.
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
    pub source_open: bool,
    pub start: StartAt,
    /// The start was compared with the end.
    pub start_checked: bool,
    pub loaded: bool,
    /// The source is set up anew when the playhead comes here: of a browser without `changeType`, and for other kinds of tracks.
    pub restart_at: Option<Seconds>,
    /// What was wanted of the kinds of tracks that the period that plays has not.
    pub parted: Vec<(ContentType, Model)>,
    /// A request for part of a segment failed.
    pub ranges_refused: bool,
    pub decode_recoveries: Vec<Now>,
    /// A source was dropped for an error, and its successor has not opened yet.
    pub recovering: bool,
    /// The browser seems to have refused the sound last time.
    pub sound_blamed: bool,
    /// It is left out.
    pub without_sound: bool,
    /// What the browser said of types that are in no manifest.
    pub known_types: Vec<(Rc<str>, bool)>,
    /// The types that it is asked about now, in the order of the questions.
    pub questions: VecDeque<Question>,
    /// Of a live presentation.
    pub live: Option<Box<Live>>,
    /// The machine's clock less the shell's, in seconds.
    #[cfg_attr(not(feature = "live"), expect(dead_code, reason = "only live streams ask"))]
    pub wall: f64,
    /// Where to begin, as was asked: seconds, negative from the end.
    pub wanted_start: Option<Seconds>,
    /// What plays is a resource without an index.
    #[cfg(feature = "progressive")]
    pub linear: Option<Box<Linear>>,
    /// What the user is told when the playhead comes to it.
    pub notes: Notes,
    pub ended_signalled: bool,
    pub last_quality: Option<String>,
    /// What the newest choice of the main stream was made from.
    pub choice: Choice,
    pub played_weight: (f64, f64),
    pub last_stats: Now,
    pub loaded_at: Now,
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
        #[cfg(feature = "live")]
        let dated = loading.dated;
        let Loading { request, requests, started: loaded_at, variables, .. } = loading;
        let dynamic = presentation.kind == PresentationType::Dynamic;
        let wanted = request.start_time.or(presentation.start_hint);
        let at_edge = dynamic && wanted.is_none_or(|w| w < 0.0);
        let (start, position) = match (wanted.unwrap_or(0.0), presentation.duration) {
            _ if at_edge => (StartAt::Edge, 0.0),
            (wanted, _) if wanted >= 0.0 => (StartAt::Known, wanted),
            (wanted, Some(duration)) => (StartAt::Known, (duration + wanted).max(0.0)),
            (wanted, None) => (StartAt::BeforeEnd(wanted), 0.0),
        };
        let mut session = Self {
            url,
            #[cfg(feature = "live")]
            asked: request.url,
            #[cfg(feature = "live")]
            dated,
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
            source_open,
            start,
            start_checked: false,
            loaded: false,
            restart_at: None,
            parted: Vec::new(),
            ranges_refused: false,
            decode_recoveries: Vec::new(),
            recovering: false,
            sound_blamed: false,
            without_sound: false,
            known_types: Vec::new(),
            questions: VecDeque::new(),
            live: None,
            wall: request.wall - loaded_at,
            wanted_start: wanted,
            #[cfg(feature = "progressive")]
            linear: None,
            notes: Notes::starting(position),
            ended_signalled: false,
            last_quality: None,
            choice: Choice::default(),
            played_weight: (0.0, 0.0),
            last_stats: ctx.now,
            loaded_at,
        };
        session.ask_types(ctx);
        session
    }

    /// What is kept to read the manifest again.
    pub fn keep_for_reloads(&mut self, ctx: &mut Ctx, kept: Kept) {
        self.note_manifest_events();
        if self.presentation.kind == PresentationType::Dynamic {
            self.begin_live(ctx);
        }
        match kept {
            Kept::Nothing => {}
            #[cfg(all(feature = "dash", feature = "live"))]
            Kept::Text(text) => {
                if let Some(live) = &mut self.live {
                    live.refresh.keep_text(text);
                }
            }
            #[cfg(all(feature = "hls", feature = "live"))]
            Kept::Playlist(list) => {
                let (asked_for, url) = (self.asked.clone(), self.url.clone());
                self.follow_list(ctx, RepKey { period: 0, set: 0, rep: 0 }, &asked_for, &url, *list);
            }
        }
    }

    pub fn set(&self, period: usize, set: usize) -> Option<&AdaptationSet> {
        self.presentation.periods.get(period)?.sets.get(set)
    }

    /// Period that holds `time`; the last one past the end.
    pub fn period_at(&self, time: Seconds) -> usize {
        self.presentation.periods.iter().rposition(|p| p.start <= time + 1e-3).unwrap_or(0)
    }

    pub fn playable(&self, period: usize, set: usize) -> bool {
        let Some(s) = self.set(period, set) else { return false };
        (0..s.representations.len()).any(|rep| self.is_supported(RepKey { period, set, rep }))
    }

    /// The best set of a kind in a period: like `model` if there is one, in the configured language, else the default one.
    pub fn pick_set(
        &self,
        ctx: &Ctx,
        period: usize,
        content: ContentType,
        model: Option<&Model>,
        allowed: &[String],
    ) -> Option<usize> {
        let sets = &self.presentation.periods.get(period)?.sets;
        // The language that the user chose goes before the configured one, and that before the one that was taken for want of it.
        let (same, configured) = if model.is_some_and(|m| m.chosen) { (128, 64) } else { (64, 128) };
        let score = |i: usize, s: &AdaptationSet| {
            let mut score = 0i32;
            if let Some(m) = model {
                score += same * i32::from(s.lang == m.lang);
                // Unique in its period alone (ISO/IEC 23009-1 §5.3.3.2).
                score += 32 * i32::from(s.id == m.id);
                score += 16 * i32::from(s.roles == m.roles);
                score += 8 * i32::from(s.label == m.label);
            }
            if let (Some(want), Some(have)) = (&ctx.config.language, &s.lang) {
                score += configured * i32::from(same_language(want, have));
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

    pub fn choose_streams(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
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
                && !s.inside
            {
                let mut stream = Stream::new(content, s.id.clone(), period, set, position);
                // Only an MPD has other periods.
                if cfg!(feature = "dash") {
                    stream.model = Model::of(s, false);
                }
                self.streams.push(stream);
            }
        }
        if self.streams.is_empty() {
            return Err(self.nothing_playable(period));
        }
        #[cfg(feature = "progressive")]
        if self.linear.is_some() {
            return Ok(());
        }
        self.announce_tracks(ctx);
        Ok(())
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
        self.step_live(ctx);
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
        self.begin_anew(ctx);
        if self.buffers.iter().any(Option::is_some) {
            self.place_in_source(ctx);
        }
        self.finish_source(ctx)?;
        self.tell_notes(ctx);
        self.report(ctx);
        self.report_live(ctx);
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
        if self.start == StartAt::Edge {
            self.start_at_edge(ctx);
        }
        if !self.start_checked
            && self.start_known()
            && !self.is_growing()
            && let Some(duration) = self.duration()
        {
            self.start_checked = true;
            let last = (duration - LAST_MOMENT).max(0.0);
            // A stream that has turned out to end is not at its start.
            if self.playhead.position(ctx.now) > last && self.playhead.first_frame_at().is_none() {
                self.begin_at(ctx, last);
            }
        }
        if matches!(self.start, StartAt::BeforeEnd(_)) && self.live() {
            self.start = if self.live.is_some() { StartAt::Edge } else { StartAt::Known };
        }
        if let StartAt::BeforeEnd(offset) = self.start
            && let Some(duration) = self.duration()
        {
            self.start = StartAt::Known;
            self.begin_at(ctx, (duration + offset).max(0.0));
        }
    }

    /// The first playlist of the main stream tells where playback begins (EXT-X-START, RFC 8216bis §4.4.2.2): so it does, where neither the
    /// user nor the multivariant playlist has said so.
    pub fn start_as_told(&mut self, ctx: &mut Ctx, i: usize, start: Option<Seconds>) {
        let begun =
            i > 0 || self.buffers.iter().any(Option::is_some) || self.playhead.first_frame_at().is_some();
        let Some(start) = start.filter(|_| !begun && self.wanted_start.is_none()) else { return };
        self.wanted_start = Some(start);
        if start < 0.0 {
            self.start = StartAt::BeforeEnd(start);
        } else {
            self.begin_at(ctx, start);
        }
    }

    /// Sets the place where playback begins, before it has.
    pub fn begin_at(&mut self, ctx: &mut Ctx, position: Seconds) {
        self.playhead.begin_at(position);
        self.notes.restart(position);
        for i in 0..self.streams.len() {
            // An index is needed wherever it begins.
            if matches!(self.streams[i].activity, Activity::Index { .. }) {
                self.streams[i].cursor = position;
                continue;
            }
            self.cancel_stream(ctx, i);
            self.streams[i].move_to(position, false);
        }
    }

    /// Whether segments may be fetched already, or only the index that tells where to start.
    pub fn start_known(&self) -> bool {
        self.start == StartAt::Known
    }

    /// Makes the SourceBuffers once every stream has told its tracks: none can be added after the first has its metadata.
    fn add_buffers(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
        if !self.source_open || self.buffers.iter().any(Option::is_some) || !self.start_known() {
            return Ok(());
        }
        if self.streams.iter().any(|s| s.buffers.is_empty()) {
            return Ok(());
        }
        if let Some(duration) = if self.live() { Some(f64::INFINITY) } else { self.duration() } {
            ctx.command(Command::SetDuration(duration));
        }
        for id in [BufferId::Video, BufferId::Audio] {
            for stream in &self.streams {
                let Some((_, mime)) = stream.buffers.iter().find(|b| b.0 == id) else { continue };
                let mut buffer = Buffer::add(id, mime.clone(), ctx.out);
                if let Some(init) = stream.pipeline.as_ref().and_then(|(_, p)| p.init_ahead(id)) {
                    buffer.begin(init);
                }
                self.buffers[id as usize] = Some(buffer);
                break;
            }
        }
        Ok(())
    }

    /// Whether it has no end that is known.
    pub fn live(&self) -> bool {
        #[cfg(feature = "progressive")]
        if let Some(linear) = &self.linear {
            return linear.live();
        }
        self.presentation.kind == PresentationType::Dynamic
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

    fn all_appended(&self) -> bool {
        self.streams.iter().all(|s| matches!(s.activity, Activity::Ended))
    }

    /// When the end is to be signalled, once everything is appended: no track goes on behind the end of the shortest before that.
    fn end_due(&self, now: Now) -> Now {
        let left = self.playable_ranges().bounds().map_or(0.0, |b| b.end - self.playhead.position(now));
        now + left / self.playhead.media().rate.max(1.0) - END_NEAR
    }

    /// Signals the end once everything is appended, and the playhead is near.
    fn finish_source(&mut self, ctx: &mut Ctx) -> Result<(), Fatal> {
        if !self.all_appended() {
            self.ended_signalled = false;
            return Ok(());
        }
        if self.buffers.iter().all(Option::is_none) {
            if self.source_open && self.streams.iter().all(|s| !s.has_media && s.held.is_empty()) {
                return Err(
                    PlayerError::new(Code::MediaEmpty, "the segments hold no media").with_url(&self.url)
                );
            }
            return Ok(());
        }
        if !self.ended_signalled
            && self.buffers.iter().flatten().all(Buffer::idle)
            && self.end_due(ctx.now) <= ctx.now
        {
            self.ended_signalled = true;
            ctx.command(Command::EndOfStream);
        }
        Ok(())
    }

    /// The user's choice of audio.
    pub fn select_audio(&mut self, ctx: &mut Ctx, id: &str) {
        #[cfg(feature = "progressive")]
        if self.linear.is_some() {
            return self.select_sound(ctx, id);
        }
        let position = self.playhead.position(ctx.now);
        let period = self.period_at(position);
        let Some(set) =
            self.presentation.periods.get(period).and_then(|p| p.sets.iter().position(|s| s.id == id))
        else {
            return;
        };
        if !self.playable(period, set) || self.audio_set(period).is_some_and(|s| s.id == id) {
            return;
        }
        let Some(found) = self.set(period, set) else { return };
        let (inside, model) = (found.inside, cfg!(feature = "dash").then(|| Model::of(found, true)));
        match self.streams.iter().position(|s| s.content == ContentType::Audio) {
            // The main stream gives the sound as well, from the playhead on: its segments come once more for that.
            Some(i) if inside => {
                self.cancel_stream(ctx, i);
                self.streams.remove(i);
                self.cancel_stream(ctx, 0);
                let appended = self.buffer(BufferId::Video).is_some();
                let main = &mut self.streams[0];
                let until = main.cursor;
                main.pipeline = None;
                // Told anew, with that for the sound: what was apart may not have told its own yet.
                main.buffers.clear();
                main.move_to(position, false);
                // What was held back for want of a buffer is gone.
                if appended {
                    main.sound_until = until;
                }
            }
            Some(i) => {
                self.cancel_stream(ctx, i);
                let stream = &mut self.streams[i];
                stream.set_id = id.to_owned();
                stream.period = period;
                stream.set = set;
                stream.rep = None;
                stream.pipeline = None;
                stream.move_to(position, false);
            }
            // The sound of the main stream is left out from now on. None can be added where it had none.
            None if self.audio_set(period).is_some()
                && (self.buffer(BufferId::Audio).is_some() || self.buffers.iter().all(Option::is_none)) =>
            {
                self.streams[0].buffers.retain(|(buffer, _)| *buffer == BufferId::Video);
                self.streams.push(Stream::new(ContentType::Audio, id.to_owned(), period, set, position));
            }
            None => return,
        }
        if let Some(stream) = self.streams.iter_mut().find(|s| s.content == ContentType::Audio)
            && let Some(model) = model
        {
            stream.model = model;
        }
        if let Some(buffer) = self.buffer_mut(BufferId::Audio) {
            buffer.drop_waiting();
            buffer.remove(0.0, f64::INFINITY);
        }
        self.announce_tracks(ctx);
    }

    /// The set that the sound comes from, if the manifest names it.
    pub fn audio_set(&self, period: usize) -> Option<&AdaptationSet> {
        let stream = self.streams.iter().find(|s| s.content == ContentType::Audio);
        match stream {
            Some(stream) => self.set(stream.period, stream.set),
            None => self.presentation.periods.get(period)?.sets.iter().find(|s| s.inside),
        }
    }

    /// The user's choice of quality. What is buffered ahead is replaced from the next segment on.
    pub fn select_quality(&mut self, ctx: &mut Ctx, id: Option<String>, keep: bool) {
        self.fixed = id;
        let Some(main) = self.streams.first_mut() else { return };
        main.reason = Some(Reason::User);
        let Some(wanted) = self.fixed.as_ref().filter(|_| !keep) else { return };
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
        #[cfg(feature = "progressive")]
        {
            soonest = soonest.min(self.linear_deadline(ctx));
        }
        soonest = soonest.min(self.notes_deadline(ctx)).min(self.live_deadline(ctx));
        if !self.ended_signalled && self.playhead.moving() && self.all_appended() {
            soonest = soonest.min(self.end_due(ctx.now).max(ctx.now + 0.02));
        }
        soonest.min(self.restart_deadline(ctx.now))
    }
}
