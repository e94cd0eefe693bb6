//! Setting the element's source up anew: after a decoding error, where the browser cannot change the type of a buffer, and where pictures or
//! sound begin or end with a period.

use super::buffer::{Buffer, SEAM};
use super::io::*;
use super::session::{Ctx, Fatal, Session};
use super::stream::{Activity, Model, RepKey, Stream};
use crate::error::{Code, PlayerError};
use crate::manifest::{AdaptationSet, ContentType};
use crate::time::Seconds;

/// Decoding errors closer together than this, in seconds, are one fault that recovery did not cure.
const APART: f64 = 20.0;
/// Seconds for which a representation that could not be decoded is left alone.
const AVOID_FOR: f64 = 30.0;
/// Seconds before the end of the old type at which the source is set up anew: an engine that runs dry shows a stall instead.
const EARLY: Seconds = 0.1;
/// What there are streams of.
const KINDS: [ContentType; 2] = [ContentType::Video, ContentType::Audio];

impl Session {
    /// The element or a buffer (`failed`) could not decode: begin anew at the place, preferring other representations; twice, then give up.
    pub fn recover_decode(
        &mut self,
        ctx: &mut Ctx,
        error: PlayerError,
        failed: Option<BufferId>,
    ) -> Result<(), Fatal> {
        let now = ctx.now;
        self.decode_recoveries.retain(|t| now - *t < APART);
        // Where the sound is refused, Chromium tells of it by refusing what the pictures' buffer is given next.
        let [pictures, sound] = [BufferId::Video, BufferId::Audio].map(|id| self.buffer(id));
        let by_name = failed == Some(BufferId::Audio);
        let blamed =
            pictures.is_some() && sound.is_some_and(|b| b.buffered().is_empty() && (by_name || b.busy()));
        let sure = by_name || pictures.is_some_and(|b| !b.buffered().is_empty());
        // Another representation may do better; a file has none.
        let tried = (self.sound_blamed && !self.decode_recoveries.is_empty()) || !self.has_others();
        self.sound_blamed = blamed;
        let last = self.decode_recoveries.len() >= 2;
        if blamed && (sure && tried || last) {
            self.leave_sound_out(ctx);
            self.reopen_after_error(ctx);
            return Ok(());
        }
        if last {
            let mut error = error.with_url(&self.url);
            error.tried = Some("the source was set up anew twice".into());
            return Err(error);
        }
        self.decode_recoveries.push(now);
        ctx.event(Event::Error(error.recoverable()));
        for stream in &mut self.streams {
            if let Some(rep) = stream.rep {
                let key = RepKey { period: stream.period, set: stream.set, rep };
                stream.failed.push((key, now + AVOID_FOR));
            }
            stream.reason = Some(Reason::Failure);
        }
        self.reopen_after_error(ctx);
        Ok(())
    }

    /// Whether there are other representations of anything that plays.
    fn has_others(&self) -> bool {
        self.streams
            .iter()
            .any(|s| self.set(s.period, s.set).is_some_and(|set| set.representations.len() > 1))
    }

    /// The browser takes the sound by its type and refuses it all the same, as Chromium does AAC whose channels a program_config_element tells:
    /// the pictures are played without it.
    fn leave_sound_out(&mut self, ctx: &mut Ctx) {
        self.without_sound = true;
        self.streams.retain(|s| s.content != ContentType::Audio);
        self.decode_recoveries.clear();
        #[cfg(feature = "progressive")]
        if let Some(linear) = &mut self.linear {
            linear.leave_out("audio/");
        }
        let error =
            PlayerError::new(Code::CodecUnsupported, "the browser refuses the sound, which is left out");
        ctx.event(Event::Error(error.with_url(&self.url).recoverable()));
    }

    /// The same place, in another source; an error of the old one may still come.
    fn reopen_after_error(&mut self, ctx: &mut Ctx) {
        let position = self.playhead.position(ctx.now);
        self.recovering = true;
        self.reopen(ctx, position);
    }

    /// Drops the source and all that was appended; another one is filled from `position` on.
    pub fn reopen(&mut self, ctx: &mut Ctx, position: Seconds) {
        for i in 0..self.streams.len() {
            self.cancel_stream(ctx, i);
            let stream = &mut self.streams[i];
            stream.pipeline = None;
            stream.last_init = None;
            stream.buffers.clear();
            stream.move_to(position, false);
        }
        self.restart_at = None;
        self.buffers = [None, None];
        self.set_source_open(false);
        self.playhead.expect_at(position);
        ctx.command(Command::CloseSource);
        ctx.command(Command::OpenSource);
    }

    /// The browser has no `changeType`: what has the old type plays to its end, then the source is set up anew.
    pub fn restart_for_type(&mut self, ctx: &mut Ctx, id: BufferId) {
        let position = self.playhead.position(ctx.now);
        let waits = self.buffer(id).and_then(|b| b.waits_from()).unwrap_or(position);
        // The other streams change where this one does: at the start of a period.
        let period = self.presentation.periods.get(self.period_at(waits + SEAM)).map_or(waits, |p| p.start);
        let at = period.max(position);
        for i in 0..self.streams.len() {
            let stream = &self.streams[i];
            let beyond = stream.job().is_some_and(|j| j.segment.start >= at - SEAM);
            if beyond || stream.cursor > at + SEAM {
                self.cancel_stream(ctx, i);
                self.streams[i].move_to(at, false);
            }
        }
        for buffer in self.buffers.iter_mut().flatten() {
            buffer.drop_from(at - SEAM);
        }
        self.restart_at = Some(at);
    }

    /// Whether a stream must wait for a new source, or for what the browser says of the types of a new period.
    pub fn held_back(&self, stream: &Stream) -> bool {
        self.restart_at.is_some_and(|at| stream.cursor >= at - SEAM)
            || self.questions.iter().any(|q| q.stream.is_none())
    }

    /// Whether a period has pictures, and sound of its own.
    pub fn kinds(&self, period: usize) -> [bool; 2] {
        let sets = self.presentation.periods.get(period).map_or(&[][..], |p| &p.sets);
        KINDS.map(|kind| {
            let has = |(i, set): (usize, &AdaptationSet)| {
                set.content == kind && !set.inside && self.playable(period, i)
            };
            !(kind == ContentType::Audio && self.without_sound) && sets.iter().enumerate().any(has)
        })
    }

    /// The same of the streams.
    pub fn kinds_played(&self) -> [bool; 2] {
        KINDS.map(|kind| self.streams.iter().any(|s| s.content == kind))
    }

    /// Goes on with the streams that the period of the playhead has sets for. An element plays only what all its buffers have.
    fn change_kinds(&mut self, ctx: &mut Ctx) {
        let position = self.playhead.position(ctx.now);
        let period = self.period_at(position);
        let kinds = self.kinds(period);
        if !cfg!(feature = "dash") || kinds == [false; 2] || kinds == self.kinds_played() {
            return;
        }
        // What is to come back goes on in the same language.
        self.parted.extend(self.streams.drain(..).map(|s| (s.content, s.model)));
        for (kind, _) in KINDS.into_iter().zip(kinds).filter(|(_, there)| *there) {
            let before = self.parted.iter().position(|(parted, _)| *parted == kind);
            let model = before.map(|i| self.parted.swap_remove(i).1);
            if let Some(set) = self.pick_set(ctx, period, kind, model.as_ref(), &[])
                && let Some(found) = self.set(period, set)
            {
                let mut stream = Stream::new(kind, found.id.clone(), period, set, position);
                stream.model = model.unwrap_or_else(|| Model::of(found, false));
                stream.reason = Some(Reason::Period);
                self.streams.push(stream);
            }
        }
        self.announce_tracks(ctx);
    }

    /// Sets the source up anew once the playhead has come to where the type changes.
    pub fn restart_if_due(&mut self, ctx: &mut Ctx) {
        let Some(at) = self.restart_at else { return };
        let position = self.playhead.position(ctx.now);
        // What is there may end a little earlier.
        let short = || {
            self.streams.iter().all(|s| matches!(s.activity, Activity::Idle) && self.held_back(s))
                && self.buffers.iter().flatten().all(Buffer::idle)
                && self.playable_ranges().end_from(position, SEAM) < position + SEAM
        };
        if position >= at - EARLY || (self.playhead.waiting() && short()) {
            self.reopen(ctx, position.max(at));
            self.change_kinds(ctx);
        }
    }

    /// When that is to be looked at.
    pub fn restart_deadline(&self, now: Now) -> Now {
        match self.restart_at {
            Some(at) if self.playhead.moving() => {
                let rate = self.playhead.media().rate.max(0.1);
                now + ((at - EARLY - self.playhead.position(now)) / rate).max(0.02)
            }
            _ => f64::INFINITY,
        }
    }
}
