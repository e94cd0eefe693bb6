//! Connections that break, servers that have no ranges, and the end.

use super::super::io::*;
use super::super::requests::Ticket;
use super::super::session::{Ctx, Fatal, Session};
use super::super::stream::Activity;
use super::table::Sought;
use crate::error::{Code, PlayerError};
use crate::time::Seconds;

/// Attempts in a row to find an endless stream again, pauses of up to 8 s between them: about two minutes.
const MAX_REJOINS: u32 = 16;
/// The same where the server says that there is no such stream.
const MAX_ABSENT: u32 = 4;
/// Seconds until a stream that ended is asked for again.
const FIRST_PAUSE: Seconds = 1.0;
/// Seconds of forward buffer for which attempts to go on with a file are made.
const WHILE_BUFFERED: Seconds = 2.0;
/// Seconds between attempts at the most.
const LONGEST_PAUSE: Seconds = 8.0;

impl Session {
    /// The response broke off and is asked for again, from where it broke.
    pub fn linear_again(&mut self, ctx: &mut Ctx, i: usize, ticket: Ticket) {
        let Some(linear) = &mut self.linear else { return };
        linear.paused = false;
        linear.progress = false;
        if linear.live() {
            linear.timeline.break_off(self.streams[i].cursor);
            if let Some((_, pipeline)) = &mut self.streams[i].pipeline {
                pipeline.reset();
            }
        } else {
            linear.again = if linear.range_from(linear.at).is_some() { 0 } else { linear.at };
        }
        ctx.abr.started(ticket, ctx.now);
    }

    /// The response cannot be had.
    pub fn linear_refused(&mut self, ctx: &mut Ctx, i: usize, error: PlayerError) -> Result<(), Fatal> {
        let position = self.playhead.position(ctx.now);
        let ahead = self.frontier(&self.streams[i], position) - position;
        let Some(linear) = &mut self.linear else { return Err(error) };
        match error.status {
            // The server ignores Range: everything comes again.
            Some(200) => {
                linear.ranges = Some(false);
                linear.untold = true;
                if linear.search.take().is_some() || linear.scan.is_some() {
                    self.read_from(ctx, i, 0, true);
                } else {
                    let at = linear.at;
                    self.read_from(ctx, i, 0, false);
                    if let Some(linear) = &mut self.linear {
                        (linear.at, linear.again) = (at, at);
                    }
                }
                return Ok(());
            }
            // There is nothing behind the last byte.
            Some(416) if linear.length.is_some_and(|l| linear.at >= l) => return self.linear_end(ctx, i),
            _ => {}
        }
        let passing =
            matches!(error.code, Code::Network | Code::Timeout | Code::Truncated | Code::HttpServer);
        if linear.live() && self.streams[i].has_media {
            // What a server does not have may come again soon, where its source is started anew, or never.
            let most = if error.code == Code::HttpClient { MAX_ABSENT } else { MAX_REJOINS };
            if linear.rejoins < most {
                return self.rejoin(ctx, i, LONGEST_PAUSE);
            }
            // What is buffered is played to its end.
            ctx.event(Event::Error(error.recoverable()));
            return self.finish_linear(ctx, i);
        }
        // Where a redirect led may be gone, or its signature void.
        let elsewhere = linear.url != linear.origin && linear.rejoins == 0;
        linear.rejoins += u32::from(elsewhere);
        linear.url.clone_from(&linear.origin);
        if elsewhere || passing && ahead > WHILE_BUFFERED {
            let (at, seekable) = (linear.at, linear.seekable());
            let range = linear.range_from(at);
            linear.again = if seekable { 0 } else { at };
            let (url, pause) = (linear.url.clone(), if elsewhere { 0.0 } else { LONGEST_PAUSE });
            let ticket = self.requests.send_at(ctx.now + pause, FetchKind::Segment, url, range);
            if let Activity::Segment(job) = &mut self.streams[i].activity {
                job.ticket = ticket;
                return Ok(());
            }
        }
        Err(error)
    }

    /// Asks for a stream without an end anew; what comes is played after what is buffered.
    pub(super) fn rejoin(&mut self, ctx: &mut Ctx, i: usize, pause: Seconds) -> Result<(), Fatal> {
        let Some(linear) = &mut self.linear else { return Ok(()) };
        linear.rejoins += 1;
        linear.timeline.break_off(self.streams[i].cursor);
        linear.at = 0;
        linear.again = 0;
        linear.encore = None;
        let url = linear.origin.clone();
        let ticket = self.requests.send_at(ctx.now + pause, FetchKind::Stream, url, None);
        self.linear_job(ctx, i, ticket, true);
        Ok(())
    }

    /// The response is complete.
    pub fn linear_end(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        let Some(linear) = &mut self.linear else { return Ok(()) };
        if !linear.asked.is_empty() {
            // The browser's answer is awaited.
            return Ok(());
        }
        if linear.waits_for_index() {
            if matches!(linear.sought, Sought::Open) {
                linear.sought = Sought::Done;
                return self.feed_head(ctx, i);
            }
            return Ok(());
        }
        if let Some(length) = linear.length.filter(|l| linear.at < *l) {
            // Fewer bytes than were announced: the rest is asked for.
            let missing = length - linear.at;
            let error = PlayerError::new(Code::Truncated, "the file is shorter than announced").at(linear.at);
            let error = error.with_url(&linear.url);
            linear.rejoins += 1;
            if linear.rejoins <= 3 && missing > 0 && linear.seekable() {
                let (url, range) = (linear.url.clone(), linear.range_from(linear.at));
                let pause = f64::from(linear.rejoins);
                let ticket = self.requests.send_at(ctx.now + pause, FetchKind::Segment, url, range);
                if let Activity::Segment(job) = &mut self.streams[i].activity {
                    job.ticket = ticket;
                    job.complete = false;
                }
                return Ok(());
            }
            if !self.streams[i].has_media {
                return Err(error);
            }
            ctx.event(Event::Error(error.recoverable()));
        }
        let Some((_, pipeline)) = &mut self.streams[i].pipeline else { return Ok(()) };
        let result = pipeline.finish();
        if self.look_around(ctx, i, true) {
            return Ok(());
        }
        self.linear_collect(ctx, i, true, result)?;
        let Some(linear) = &self.linear else { return Ok(()) };
        if !linear.asked.is_empty() || !self.reads(i) || self.look_back(ctx, i) {
            return Ok(());
        }
        let Some(linear) = &self.linear else { return Ok(()) };
        // Servers of endless streams end them when they are started anew, and nothing tells that from the end of a file whose length was not
        // told: it is asked for once more, and a file is known by its first bytes. Stations are no files, but may greet each listener alike.
        let goes_on = linear.live() && linear.encore.is_none() && self.streams[i].has_media;
        if goes_on && linear.rejoins < MAX_REJOINS {
            let pause = (FIRST_PAUSE * f64::from(1u32 << linear.rejoins.min(3))).min(LONGEST_PAUSE);
            self.rejoin(ctx, i, pause)?;
            if let Some(linear) = &mut self.linear
                && !self.notes.of_radio()
            {
                linear.encore = Some(Vec::new());
            }
            return Ok(());
        }
        self.release_linear(ctx, i);
        if let Some(linear) = &mut self.linear {
            linear.timeline.finish();
        }
        self.finish_linear(ctx, i)
    }

    /// What comes is what was played already.
    pub(super) fn end_again(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        if let Activity::Segment(job) = &self.streams[i].activity {
            let ticket = job.ticket;
            ctx.abr.finished(ticket, ctx.now);
            self.requests.cancel(ticket, ctx.out);
        }
        self.finish_linear(ctx, i)
    }

    /// There is no more media.
    fn finish_linear(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        self.release_linear(ctx, i);
        let Some(linear) = &mut self.linear else { return Ok(()) };
        let stream = &mut self.streams[i];
        if !linear.known || (!stream.has_media && stream.held.is_empty()) {
            let error = PlayerError::new(Code::MediaEmpty, "the file holds no samples that can be played");
            return Err(error.with_url(&linear.url));
        }
        linear.search = None;
        linear.measured = true;
        stream.activity = Activity::Ended;
        Ok(())
    }

    /// The bytes cannot be read on.
    pub(super) fn linear_failed(&mut self, ctx: &mut Ctx, i: usize, error: PlayerError) -> Result<(), Fatal> {
        let Some(linear) = &mut self.linear else { return Err(error) };
        let error = error.with_url(&linear.url);
        if !self.streams[i].has_media && self.streams[i].held.is_empty() {
            return Err(error);
        }
        if linear.live() && linear.rejoins < MAX_REJOINS {
            ctx.event(Event::Error(error.recoverable()));
            self.cancel_stream(ctx, i);
            return self.rejoin(ctx, i, 1.0);
        }
        // What came before it is played.
        ctx.event(Event::Error(error.recoverable()));
        let cursor = self.streams[i].cursor;
        if let Activity::Segment(job) = &self.streams[i].activity {
            let ticket = job.ticket;
            ctx.abr.finished(ticket, ctx.now);
            self.requests.cancel(ticket, ctx.out);
        }
        self.streams[i].cursor = cursor;
        self.finish_linear(ctx, i)
    }
}
