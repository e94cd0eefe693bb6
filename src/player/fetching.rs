//! From the cursor of a stream to appended media: which segment, its index and initialization segment, the bytes as they come.

use super::indexes::{IndexReader, Read};
use super::io::*;
use super::loading::Head;
use super::requests::Ticket;
use super::segment::{Pipeline, Wanted};
use super::session::{Ctx, Fatal, Session};
use super::stream::{Activity, Fed, InitFetch, Job, RepKey, Stream};
use super::types::declared_mime;
use crate::error::{Code, PlayerError};
use crate::manifest::{ContentType, SegmentIndex, SegmentRef};
use crate::time::{Seconds, TimeRanges};
use std::rc::Rc;

/// Boundaries of representations differ by rounding up to this many seconds: a segment that begins so much after the end of
/// the last one follows it.
const ALIGNED: Seconds = 0.05;
/// Pictures are reordered by less than this many seconds, so that only a segment that begins earlier can have decoding times
/// below 0.
pub(super) const OPENING: Seconds = 0.5;

impl Session {
    /// Cancels what a stream has under way.
    pub fn cancel_stream(&mut self, ctx: &mut Ctx, i: usize) {
        for ticket in self.streams[i].tickets() {
            ctx.abr.finished(ticket, ctx.now);
            self.requests.cancel(ticket, ctx.out);
        }
        #[cfg(feature = "progressive")]
        if let Some(linear) = &mut self.linear {
            linear.cancelled();
        }
        let stream = &mut self.streams[i];
        if let Activity::Segment(job) = &stream.activity {
            let (again, number) = (job.again, job.segment.number);
            if job.init.is_some() {
                // It never reached the pipeline.
                stream.last_init = None;
            }
            if let Some((_, pipeline)) = &mut stream.pipeline {
                pipeline.reset();
                stream.last_fed = None;
            }
            if again {
                // In part it would leave a hole in what is there.
                stream.drop_held(number);
            }
        }
        stream.activity = Activity::Idle;
        self.break_off(i);
    }

    /// How far ahead a stream may fetch.
    pub fn limit_ahead(&self, ctx: &Ctx) -> Seconds {
        let thrifty = if ctx.config.data_saver { 0.5 } else { 1.0 };
        let most = ctx.config.buffer_ahead * thrifty;
        self.quota_ahead.map_or(most, |q| q.min(most))
    }

    /// When a stream that waits for room goes on.
    pub fn stream_deadline(&self, ctx: &Ctx, stream: &Stream) -> Now {
        if !matches!(stream.activity, Activity::Idle) {
            return f64::INFINITY;
        }
        if stream.blocked_until > ctx.now {
            return stream.blocked_until;
        }
        if stream.starved || !self.playhead.moving() {
            return f64::INFINITY;
        }
        let ahead = self.ahead(stream, self.playhead.position(ctx.now));
        let rate = self.playhead.media().rate.max(0.1);
        ctx.now + ((ahead - self.limit_ahead(ctx)) / rate).max(0.25)
    }

    fn has_room(&self, ctx: &Ctx, stream: &Stream) -> bool {
        if !stream.has_media {
            return !self.holds_enough(ctx, stream);
        }
        if stream.buffers.iter().filter_map(|(id, _)| self.buffer(*id)).any(|b| b.full) {
            return false;
        }
        let position = self.playhead.position(ctx.now);
        let ahead = self.ahead(stream, position);
        // Sound that runs ahead takes from the link what the pictures need: at most a segment more, and none while they are short.
        if let Some(main) = self.streams.first()
            && main.content != stream.content
            && !matches!(main.activity, Activity::Ended)
        {
            let segment = self.segment_duration(main).unwrap_or(4.0);
            let pictures = self.ahead(main, position);
            let lead = if pictures < segment { 0.5 } else { segment + 0.1 };
            if ahead > pictures + lead {
                return false;
            }
        }
        // A few seconds are always fetched, whatever they weigh: else a high bitrate would never play.
        ahead < self.limit_ahead(ctx)
            && (self.bytes_ahead(ctx, stream) < ctx.config.buffer_bytes || ahead < 4.0)
    }

    /// Seconds of media that a stream has, or will have from what is queued, between `position` and its cursor. The cursor itself may stand
    /// behind a hole; and durations in playlists are rounded, which adds up.
    fn ahead(&self, stream: &Stream, position: Seconds) -> Seconds {
        let until = TimeRanges::from_pairs([(position, stream.cursor)]);
        let buffers = stream.buffers.iter().filter_map(|(id, _)| self.buffer(*id));
        let each = buffers.map(|b| b.expected().intersection(&until).total());
        each.reduce(f64::min).unwrap_or(stream.cursor - position)
    }

    /// Whether so much waits for a source that no more is needed: in a tab that was opened in the background, none opens.
    pub fn holds_enough(&self, ctx: &Ctx, stream: &Stream) -> bool {
        let Some(span) = stream.held_span() else { return false };
        let bytes = stream.held.iter().map(|held| held.piece.data.len() as u64).sum::<u64>();
        span >= self.limit_ahead(ctx) || bytes >= ctx.config.buffer_bytes
    }

    /// Bytes of a stream's media that is yet to play.
    pub fn bytes_ahead(&self, ctx: &Ctx, stream: &Stream) -> u64 {
        let position = self.playhead.position(ctx.now);
        let buffers = stream.buffers.iter().filter_map(|(id, _)| self.buffer(*id));
        buffers.map(|b| b.bytes_between(position, f64::INFINITY)).sum()
    }

    /// Lets a stream go on, if it is idle and there is room.
    pub fn step_stream(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        #[cfg(feature = "progressive")]
        if self.linear.is_some() {
            return self.step_linear(ctx, i);
        }
        // Each turn passes a gap or a period; an endless row of empty ones must not hold the page up.
        for _ in 0..64 {
            let stream = &self.streams[i];
            if !matches!(stream.activity, Activity::Idle)
                || ctx.now < stream.blocked_until
                || self.held_back(stream)
            {
                return Ok(());
            }
            if !self.has_room(ctx, stream) {
                let Some((key, segment)) = self.improvable(ctx, i) else { return Ok(()) };
                self.streams[i].again_at = segment.start;
                return self.start_job(ctx, i, key, segment, true);
            }
            if !stream.sequential {
                let period = self.period_at(stream.cursor);
                if period != stream.period && !self.enter_period(ctx, i, period) {
                    return Ok(());
                }
            }
            self.match_audio_group(i);
            let rep = match self.inside_a_segment(ctx, i) {
                Some(rep) => rep,
                None => self.choose(ctx, i),
            };
            let stream = &self.streams[i];
            let key = RepKey { period: stream.period, set: stream.set, rep };
            let Some(r) = self.set(key.period, key.set).and_then(|s| s.representations.get(rep)) else {
                self.streams[i].activity = Activity::Ended;
                return Ok(());
            };
            if let SegmentIndex::Pending(source) = &r.index {
                let reader = Box::new(IndexReader::new(source, self.variables.clone()));
                // The choice stands, also that of a download given up.
                self.streams[i].forced = Some(rep);
                self.request_index(ctx, i, key, reader);
                return Ok(());
            }
            if !self.start_known() {
                return Ok(());
            }
            let follows = match (&stream.pipeline, stream.last_fed) {
                (Some((k, _)), Some(fed)) if *k == key && stream.sequential => Some(fed),
                _ => None,
            };
            let tolerance = if stream.sequential { ALIGNED } else { 0.0 };
            let segment = match follows {
                Some(fed) => r.index.after(fed.number, fed.part, fed.end),
                None => r.index.at(stream.cursor + tolerance),
            };
            // What follows may have slid out of the window.
            let lost = follows.is_some_and(|fed| fed.number.saturating_add(1) < r.index.first());
            let segment = if lost { r.index.at(stream.cursor) } else { segment };
            #[cfg(all(feature = "hls", feature = "live"))]
            if self.is_outdated(ctx, key) {
                self.hurry_list(ctx, i, key);
                return Ok(());
            }
            if segment.is_none() && self.may_grow(ctx, key, stream.cursor) {
                self.streams[i].starved = true;
                return Ok(());
            }
            let next = key.period + 1;
            // A seek to the very end: what is shown there is the end of the last segment.
            let at_end = || {
                let last = r.index.segment(r.index.len().checked_sub(1)?)?;
                let inside = last.start + last.duration / 2.0;
                let sought = !stream.sequential && next == self.presentation.periods.len();
                (sought && self.frontier(stream, inside) == inside).then_some(last)
            };
            let Some(segment) = segment.or_else(at_end) else {
                if !self.enter_period(ctx, i, next) {
                    return Ok(());
                }
                let stream = &mut self.streams[i];
                stream.sequential = true;
                stream.last_fed = None;
                continue;
            };
            if segment.gap {
                let end = segment.start + segment.duration;
                self.note_hole(segment.start, end, true);
                let stream = &mut self.streams[i];
                stream.move_to(end, true);
                if let Some((k, _)) = &stream.pipeline
                    && *k == key
                {
                    stream.last_fed = Some(Fed::whole(&segment));
                }
                continue;
            }
            self.streams[i].starved = false;
            return self.start_job(ctx, i, key, segment, false);
        }
        Ok(())
    }

    /// The representation of the segment of which parts were fetched, where the next one can be decoded after them only.
    fn inside_a_segment(&self, ctx: &Ctx, i: usize) -> Option<usize> {
        let stream = &self.streams[i];
        let (key, fed) = (stream.pipeline.as_ref()?.0, stream.last_fed?);
        let part = fed.part.filter(|_| stream.sequential && stream.rep == Some(key.rep))?;
        let index = &self.set(key.period, key.set)?.representations.get(key.rep)?.index;
        let inside = match index.after(fed.number, Some(part), fed.end) {
            Some(next) => {
                next.number == fed.number && index.at(next.start).is_none_or(|at| at.part != next.part)
            }
            None => index.position(fed.number).is_none(),
        };
        (inside && !stream.avoids(key, ctx.now) && self.is_supported(key)).then_some(key.rep)
    }

    /// Goes on in another period, or the first one after it that has anything to play. False if it ends before, or waits for another source.
    fn enter_period(&mut self, ctx: &Ctx, i: usize, period: usize) -> bool {
        let periods = &self.presentation.periods;
        // Only an MPD has several.
        let next = (period..periods.len()).find(|p| cfg!(feature = "dash") && self.kinds(*p) != [false; 2]);
        let Some((period, start)) = next.and_then(|p| Some((p, periods.get(p)?.start))) else {
            self.streams[i].activity = Activity::Ended;
            return false;
        };
        let stream = &self.streams[i];
        let cursor = stream.cursor.max(start);
        if self.kinds(period) != self.kinds_played() {
            self.restart_at = Some(start);
            self.streams[i].cursor = cursor;
            return false;
        }
        let model = Some(&stream.model);
        let Some(set) = self.pick_set(ctx, period, stream.content, model, &[]) else { return false };
        let id = self.set(period, set).map(|s| s.id.clone()).unwrap_or_default();
        let stream = &mut self.streams[i];
        stream.cursor = cursor;
        stream.period = period;
        stream.set = set;
        stream.set_id = id;
        stream.rep = None;
        stream.reason.get_or_insert(Reason::Period);
        true
    }

    /// HLS: the audio group goes with the variant; the same language of the other group takes over.
    fn match_audio_group(&mut self, i: usize) {
        if self.streams[i].content != ContentType::Audio {
            return;
        }
        let Some(main) = self.streams.iter().find(|s| s.content == ContentType::Video) else { return };
        let Some(variant) = main.rep.and_then(|r| self.set(main.period, main.set)?.representations.get(r))
        else {
            return;
        };
        let stream = &self.streams[i];
        if variant.audio_sets.is_empty() || variant.audio_sets.contains(&stream.set_id) {
            return;
        }
        let Some(now) = self.set(stream.period, stream.set) else { return };
        let period = stream.period;
        let found = self.presentation.periods.get(period).and_then(|p| {
            p.sets.iter().position(|s| {
                !s.inside && variant.audio_sets.contains(&s.id) && s.lang == now.lang && s.label == now.label
            })
        });
        if let Some(set) = found
            && let Some(id) = self.set(period, set).map(|s| s.id.clone())
        {
            let stream = &mut self.streams[i];
            stream.set = set;
            stream.set_id = id;
            stream.rep = None;
        }
    }

    fn start_job(
        &mut self,
        ctx: &mut Ctx,
        i: usize,
        key: RepKey,
        segment: SegmentRef,
        again: bool,
    ) -> Result<(), Fatal> {
        if segment.keys.iter().any(|k| k.method != "NONE") {
            let error =
                PlayerError::new(Code::Encrypted, "the segments are encrypted").with_url(&segment.url);
            return self.representation_failed(ctx, i, key, None, error);
        }
        let muxed_audio = !self.streams.iter().any(|s| s.content == ContentType::Audio);
        let declared = self
            .set(key.period, key.set)
            .and_then(|s| s.representations.get(key.rep))
            .map(|r| (declared_mime(&r.mime_type, &r.codecs), r.id.clone()));
        let Some((mime, id)) = declared else { return Ok(()) };
        self.note_place(i, key);
        let stream = &mut self.streams[i];
        let wanted = match stream.content {
            ContentType::Audio => Wanted { video: false, audio: true },
            _ => Wanted { video: true, audio: muxed_audio },
        };
        let same = stream.pipeline.as_ref().is_some_and(|(k, _)| *k == key);
        let contiguous = same && stream.last_fed.is_some_and(|fed| fed.leads_to(&segment));
        let before = stream.last_fed.and_then(|fed| fed.discontinuity);
        let same_timeline = same && before.is_none_or(|d| d == segment.discontinuity);
        if !same_timeline {
            self.serial += 1;
            stream.pipeline = Some((key, Pipeline::new(self.serial, wanted, &mime)));
            stream.last_init = None;
        } else if !contiguous && let Some((_, pipeline)) = &mut stream.pipeline {
            pipeline.reset();
        }
        if let Some((_, pipeline)) = &mut stream.pipeline {
            pipeline.set_opens(if segment.start < OPENING { f64::INFINITY } else { f64::NEG_INFINITY });
            pipeline.set_url(&segment.url);
            pipeline.begin_segment(segment.start);
        }
        let mut init = None;
        if stream.last_init != segment.init
            && let Some(reference) = &segment.init
        {
            match stream.cached_init(reference) {
                Some(bytes) => {
                    if let Some((_, pipeline)) = &mut stream.pipeline
                        && let Err(error) = pipeline.push_init(&bytes)
                    {
                        return self.representation_failed(ctx, i, key, None, error.with_url(&reference.url));
                    }
                }
                None => {
                    let (url, range) = (reference.url.clone(), reference.range);
                    let ticket = self.requests.send(ctx.now, FetchKind::Init, url, range, ctx.out);
                    ctx.abr.started(ticket, ctx.now);
                    init = Some(InitFetch { ticket, body: Vec::new() });
                }
            }
        }
        let stream = &mut self.streams[i];
        stream.last_init = segment.init.clone();
        let (url, range) = (segment.url.clone(), segment.range);
        let ticket = self.requests.send(ctx.now, FetchKind::Segment, url, range, ctx.out);
        if segment.ahead {
            self.requests.wait_longer(ticket, segment.duration);
        }
        let reason = stream.reason.take();
        let changed = stream.rep != Some(key.rep);
        stream.rep = Some(key.rep);
        let job = Box::new(Job {
            init,
            range,
            length: range.and_then(|r| r.len()),
            sound_only: segment.start + ALIGNED < stream.sound_until,
            wanted_from: (!stream.sequential && !again && !self.ranges_refused).then_some(stream.cursor),
            again,
            ..Job::new(key, segment, ticket, ctx.now)
        });
        if !job.is_paced() {
            ctx.abr.started(ticket, ctx.now);
        }
        stream.activity = Activity::Segment(job);
        if i == 0 && changed {
            let reason = reason.unwrap_or(Reason::Start);
            self.note_quality(ctx, &id, reason);
        }
        // The tracks of an initialization segment that is there already need not wait for the media.
        if self.streams[i].buffers.is_empty() { self.feed(ctx, i, &[]) } else { Ok(()) }
    }

    pub fn stream_of(&self, ticket: Ticket) -> Option<usize> {
        self.streams.iter().position(|s| s.tickets().contains(&ticket))
    }

    /// A response begins.
    pub fn fetch_head(&mut self, ctx: &mut Ctx, id: FetchId, head: &Head) -> Result<(), Fatal> {
        let policy = self.policy_for(ctx, id);
        let ticket = match self.requests.head(ctx.now, id, head.status, policy, ctx.out) {
            Ok(Some(ticket)) => ticket,
            Ok(None) => return Ok(()),
            Err(verdict) => return self.verdict(ctx, verdict),
        };
        if let Some(date) = head.date {
            self.dated(ctx, Some(ticket), date);
        }
        self.live_head(ticket, head.url);
        let Some(i) = self.stream_of(ticket) else { return Ok(()) };
        match &mut self.streams[i].activity {
            Activity::Index { url, .. } => *url = head.url.to_owned(),
            #[cfg(feature = "progressive")]
            Activity::Segment(job) if job.ticket == ticket && self.linear.is_some() => {
                self.linear_head(head);
            }
            Activity::Segment(job) if job.ticket == ticket && job.resumed && head.status == 206 => {
                job.received = job.known;
                job.begun = job.known;
                if head.length.map(|rest| job.known.saturating_add(rest)) != job.length {
                    // The rest of something else.
                    self.fetch_whole(ctx, i);
                }
            }
            Activity::Segment(job) if job.ticket == ticket => {
                let other = job.known > 0
                    && job.range.is_none()
                    && head.length.is_some()
                    && job.length != head.length;
                job.length = if other { head.length } else { job.length.or(head.length) };
                if other {
                    self.read_from_start(i);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Another attempt at a segment brings something else than the one before it: what came then is void.
    fn read_from_start(&mut self, i: usize) {
        let stream = &mut self.streams[i];
        let Activity::Segment(job) = &mut stream.activity else { return };
        job.known = 0;
        job.media = 0.0;
        job.held.clear();
        if let Some((_, pipeline)) = &mut stream.pipeline {
            pipeline.reset();
        }
        self.break_off(i);
    }

    /// The media of a stream breaks off: what comes next is another segment.
    fn break_off(&mut self, i: usize) {
        let ids: Vec<BufferId> = self.streams[i].buffers.iter().map(|(b, _)| *b).collect();
        for id in ids {
            if let Some(buffer) = self.buffer_mut(id) {
                buffer.break_off();
            }
        }
    }

    /// Bytes of a response.
    pub fn fetch_body(&mut self, ctx: &mut Ctx, id: FetchId, data: &[u8]) -> Result<(), Fatal> {
        let Some(ticket) = self.requests.body(ctx.now, id) else { return Ok(()) };
        self.stats.bytes += data.len() as u64;
        ctx.abr.bytes(ticket, ctx.now, data.len());
        #[cfg(feature = "progressive")]
        if self.adopted_bytes(ticket, data) {
            return Ok(());
        }
        if self.is_live_request(ticket) {
            self.live_bytes(ticket, data);
            return Ok(());
        }
        let Some(i) = self.stream_of(ticket) else { return Ok(()) };
        let stream = &mut self.streams[i];
        match &mut stream.activity {
            Activity::Index { body, reader, .. } => {
                body.extend_from_slice(data);
                if reader.is_beyond(body) {
                    ctx.abr.finished(ticket, ctx.now);
                    self.requests.cancel(ticket, ctx.out);
                    return self.index_end(ctx, i);
                }
            }
            #[cfg(feature = "progressive")]
            Activity::Segment(job) if job.ticket == ticket && self.linear.is_some() => {
                return self.linear_bytes(ctx, i, data);
            }
            Activity::Segment(job) if job.ticket == ticket => {
                // A server that ignores Range sends more than was asked for.
                let asked = job.range.and_then(|r| r.len());
                let rest = asked.map_or(u64::MAX, |l| l.saturating_sub(job.received));
                let data = &data[..data.len().min(usize::try_from(rest).unwrap_or(usize::MAX))];
                let again = usize::try_from(job.known.saturating_sub(job.received)).unwrap_or(usize::MAX);
                job.received += data.len() as u64;
                let data = &data[again.min(data.len())..];
                job.first_byte.get_or_insert(ctx.now);
                // What came first was on its way for an unknown time.
                job.chunk.get_or_insert((ctx.now, data.len() as u64, self.stats.bytes));
                if job.init.is_some() {
                    job.held.extend_from_slice(data);
                    return Ok(());
                }
                let before = job.pieces;
                self.feed(ctx, i, data)?;
                if let Activity::Segment(job) = &mut self.streams[i].activity
                    && job.pieces > before
                    && let Some((since, first, before)) = job.chunk.take()
                    && job.is_paced()
                {
                    // Whatever else came meanwhile has taken its part of the link.
                    let rest = self.stats.bytes - before;
                    ctx.abr.chunk(first + rest, (rest, ctx.now - since));
                }
                self.skip_ahead(ctx, i);
                self.consider_abandoning(ctx, i);
            }
            Activity::Segment(job) => {
                if let Some(init) = &mut job.init {
                    init.body.extend_from_slice(data);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A response is complete.
    pub fn fetch_end(&mut self, ctx: &mut Ctx, id: FetchId) -> Result<(), Fatal> {
        let Some(ticket) = self.requests.end(id) else { return Ok(()) };
        ctx.abr.finished(ticket, ctx.now);
        #[cfg(feature = "progressive")]
        if self.is_index(ticket) {
            return self.index_done(ctx, 0);
        }
        #[cfg(feature = "progressive")]
        if self.adopted_end(ticket) {
            return Ok(());
        }
        if self.is_live_request(ticket) {
            self.live_end(ctx, ticket);
            return Ok(());
        }
        let Some(i) = self.stream_of(ticket) else { return Ok(()) };
        match &mut self.streams[i].activity {
            #[cfg(feature = "progressive")]
            Activity::Segment(job) if self.linear.is_some() => {
                job.complete = true;
                self.linear_end(ctx, i)
            }
            Activity::Index { .. } => self.index_end(ctx, i),
            Activity::Segment(job) if job.ticket == ticket => {
                job.complete = true;
                if job.init.is_none() { self.finish_job(ctx, i) } else { Ok(()) }
            }
            Activity::Segment(_) => self.init_read(ctx, i),
            _ => Ok(()),
        }
    }

    /// An index has come.
    #[cfg_attr(
        not(all(feature = "hls", feature = "live")),
        expect(unused_variables, reason = "only a playlist may be asked for again")
    )]
    fn index_end(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        let Activity::Index { key, mut reader, ticket, body, url } =
            std::mem::replace(&mut self.streams[i].activity, Activity::Idle)
        else {
            return Ok(());
        };
        let Some(rep) = self
            .presentation
            .periods
            .get_mut(key.period)
            .and_then(|p| p.sets.get_mut(key.set))
            .and_then(|s| s.representations.get_mut(key.rep))
        else {
            return Ok(());
        };
        let (_, asked_for, asked) = reader.request();
        let read = reader.read(&body, &url);
        if let Some((init, bytes)) = reader.init_within(asked, &body) {
            self.streams[i].keep_init(init, bytes);
        }
        match read {
            Ok(Some(Read::List(list, start))) => {
                rep.index = SegmentIndex::List(list);
                self.start_as_told(ctx, i, start);
                Ok(())
            }
            // Whether the presentation has an end is for the main stream's playlist to tell, which is on its way.
            #[cfg(all(feature = "hls", feature = "live"))]
            Ok(Some(Read::Playlist(list))) if i > 0 && !list.is_complete() && self.is_undecided() => {
                self.streams[i].activity = Activity::Index { key, reader, ticket, body, url };
                Ok(())
            }
            #[cfg(all(feature = "hls", feature = "live"))]
            Ok(Some(Read::Playlist(list))) => {
                self.start_as_told(ctx, i, list.start.map(|start| start.offset));
                self.follow_list(ctx, key, &asked_for, &url, *list);
                // Those that came before it.
                for i in 1..self.streams.len() {
                    if matches!(&self.streams[i].activity, Activity::Index { ticket, .. } if !self.requests.has(*ticket))
                    {
                        self.index_end(ctx, i)?;
                    }
                }
                Ok(())
            }
            Ok(None) => {
                self.request_index(ctx, i, key, reader);
                Ok(())
            }
            #[cfg(not(feature = "live"))]
            Err(error) if error.message == super::on_demand::ABSENT => Err(error),
            Err(error) => self.representation_failed(ctx, i, key, None, error.with_url(&url)),
        }
    }

    /// Whether the first playlist of the main stream is on its way.
    #[cfg(all(feature = "hls", feature = "live"))]
    fn is_undecided(&self) -> bool {
        self.live.is_none() && matches!(self.streams[0].activity, Activity::Index { .. })
    }

    /// Where a request of this stream goes now.
    fn note_place(&mut self, i: usize, key: RepKey) {
        let rep = self.set(key.period, key.set).and_then(|s| s.representations.get(key.rep));
        self.streams[i].place = rep.map_or(0, |r| r.bases.current);
    }

    fn request_index(&mut self, ctx: &mut Ctx, i: usize, key: RepKey, reader: Box<IndexReader>) {
        self.note_place(i, key);
        let (kind, url, range) = reader.request();
        let ticket = self.requests.send(ctx.now, kind, url.clone(), range, ctx.out);
        ctx.abr.started(ticket, ctx.now);
        self.streams[i].activity = Activity::Index { key, reader, ticket, body: Vec::new(), url };
    }

    fn init_read(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        let stream = &mut self.streams[i];
        let Activity::Segment(job) = &mut stream.activity else { return Ok(()) };
        let (Some(init), Some(reference)) = (job.init.take(), job.segment.init.clone()) else {
            return Ok(());
        };
        let (key, complete) = (job.key, job.complete);
        let held = std::mem::take(&mut job.held);
        // A server that ignores Range sends the whole file.
        let length = reference.range.and_then(|r| r.len()).and_then(|l| usize::try_from(l).ok());
        let bytes: Rc<[u8]> = init.body[..init.body.len().min(length.unwrap_or(usize::MAX))].into();
        if let Some((_, pipeline)) = &mut stream.pipeline
            && let Err(error) = pipeline.push_init(&bytes)
        {
            return self.representation_failed(ctx, i, key, None, error.with_url(&reference.url));
        }
        stream.keep_init(reference, bytes);
        self.feed(ctx, i, &held)?;
        if complete && matches!(self.streams[i].activity, Activity::Segment(_)) {
            return self.finish_job(ctx, i);
        }
        Ok(())
    }
}
