//! Room in the SourceBuffers: the browser's quota, and what is evicted.

use super::buffer::Failed;
use super::io::*;
use super::session::{Ctx, Fatal, Session};
use crate::error::{Code, PlayerError};
use crate::time::Seconds;

/// Seconds that are kept behind the playhead once the browser's quota was met.
const KEPT_IF_FULL: Seconds = 1.0;

impl Session {
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
            return self.recover_decode(ctx, error, Some(id));
        }
        buffer.full = true;
        buffer.drop_waiting();
        let end = buffer.expected().end_from(position, super::buffer::SEAM);
        // Less each time: what is behind and the segment under way need room too.
        let met = self.quota_ahead.map_or(end - position, |q| q.min(end - position));
        self.quota_ahead = Some((met * 0.8).max(4.0));
        ctx.event(Event::Error(
            PlayerError::new(Code::QuotaExceeded, "the browser's media buffer is full: less is kept")
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
        let behind = bounds.is_some_and(|b| keep_from > b.start + 0.1);
        let ahead = bounds.is_some_and(|b| b.end > end + super::buffer::SEAM);
        let short = end < position + ENOUGH;
        // What is behind comes again with the rest of its segment: where that is waited for, room is made ahead.
        if behind && !(ahead && short) {
            buffer.remove(0.0, keep_from);
        } else if ahead {
            buffer.remove(end + super::buffer::SEAM, f64::INFINITY);
        } else if short {
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
    pub fn evict(&mut self, ctx: &mut Ctx) {
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
}
