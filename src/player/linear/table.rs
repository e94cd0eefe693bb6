//! MP4 files with sample tables: the index is looked for before anything else, wherever it is; then the file is read from any keyframe on.

use super::super::io::*;
use super::super::requests::Ticket;
use super::super::segment::MOST_SOUNDS;
use super::super::session::{Ctx, Fatal, Session};
use super::super::stream::Activity;
use super::super::wrapping::cannot_decode;
use crate::container::mp4::{Layout, Plan, SampleTable, SegmentDemuxer, SegmentList, layout, sidx};
use crate::container::{Demuxer, Format, Sink, TrackKind};
use crate::error::{Code, PlayerError};
use crate::manifest::ByteRange;
use crate::time::Seconds;
use std::rc::Rc;

/// Bytes that are read on for the index rather than asked for: as fast as another request on a usual link.
const READ_ON: u64 = 512 * 1024;
/// Bytes of index beyond which a file is not played: the tables of a day have less.
const MAX_INDEX: u64 = 64 << 20;
/// Bytes asked for where only the header of a box is needed: the rest of it may be the index.
const AT_ONCE: u64 = 64 * 1024;
/// Places that are sought lie at least so many seconds apart: keyframes of pictures, any frames of sound.
const APART: Seconds = 0.5;

/// Reads a file from any of its keyframes to its end.
struct FileDemuxer {
    inner: SegmentDemuxer,
    list: Rc<SegmentList>,
    duration: Option<Seconds>,
    /// Bytes to come that lie before the first sample.
    skip: u64,
}

impl Demuxer for FileDemuxer {
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> crate::error::Result<()> {
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(chunk.len());
        self.skip -= skip as u64;
        self.inner.push(chunk.get(skip..).unwrap_or_default(), sink)
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> crate::error::Result<()> {
        self.inner.finish(sink)
    }

    fn duration(&self, _: Option<u64>) -> Option<Seconds> {
        self.duration
    }

    fn seek(&mut self, time: Seconds, _: u64) -> Option<u64> {
        let segments = self.list.segments();
        let number = segments.partition_point(|s| s.start <= time + 1e-3).saturating_sub(1);
        self.skip = 0;
        self.inner.begin_from(number)
    }

    fn reset(&mut self) {
        self.skip = self.inner.begin_from(0).unwrap_or(0);
    }
}

/// The index of a file.
#[derive(Clone)]
pub(super) struct Index {
    table: Rc<SampleTable>,
    list: Rc<SegmentList>,
}

impl Index {
    fn new(table: Rc<SampleTable>) -> Option<Self> {
        let tables = &table;
        let all = |kind| {
            tables.tracks().filter(move |t| t.kind == kind && tables.samples_of(t.id) > 0).map(|t| t.id)
        };
        let pictures = all(TrackKind::Video).next();
        // All tracks of sound, of which one is played; where they do not lie together, the first alone.
        let list = [MOST_SOUNDS, 1].into_iter().find_map(|sounds| {
            let tracks: Vec<_> = pictures.into_iter().chain(all(TrackKind::Audio).take(sounds)).collect();
            let Plan { mut lists, .. } = tables.plan(&tracks, APART);
            lists.pop().filter(|_| lists.is_empty())
        })?;
        Some(Self { table, list })
    }

    pub fn demuxer(&self) -> Box<dyn Demuxer> {
        let mut demuxer = FileDemuxer {
            inner: SegmentDemuxer::new(self.table.clone(), self.list.clone()),
            list: self.list.clone(),
            duration: self.list.segments().last().map(|s| s.start + s.duration).or(self.table.duration()),
            skip: 0,
        };
        demuxer.reset();
        Box::new(demuxer)
    }
}

/// The index on its way.
pub(super) struct IndexFetch {
    ticket: Ticket,
    /// First byte that was asked for.
    offset: u64,
    body: Vec<u8>,
}

/// What the head of an MP4 file has told.
#[derive(Default)]
pub(super) enum Sought {
    /// The boxes are being walked.
    #[default]
    Open,
    /// The index comes in a response of its own.
    Apart(IndexFetch),
    /// It is here, or the file has none.
    Done,
}

impl Session {
    /// Looks for the index of an MP4 file in what has come. True: nothing is demuxed before it is there.
    pub(super) fn seek_index(&mut self, ctx: &mut Ctx, i: usize) -> Result<bool, Fatal> {
        let Some(linear) = &mut self.linear else { return Ok(false) };
        match linear.sought {
            _ if linear.format != Format::Mp4 => return Ok(false),
            Sought::Done => return Ok(false),
            Sought::Apart(_) => return Ok(true),
            Sought::Open => {}
        }
        // The walk begins where the last one ended.
        let walked = linear.walked;
        let from = usize::try_from(walked).ok().and_then(|at| linear.head.get(at..)).unwrap_or_default();
        match layout(walked, from) {
            Ok(Layout::Needs { offset, length }) => {
                let end = offset.saturating_add(length);
                let have = linear.head.len() as u64;
                if offset <= have {
                    linear.walked = offset;
                }
                if linear.length.is_some_and(|l| offset >= l) || length > MAX_INDEX {
                    let error = PlayerError::new(Code::MediaMalformed, "the file has no index (moov)");
                    return Err(error.at(offset).with_url(&linear.url));
                }
                if end <= have.saturating_add(READ_ON) || have >= offset {
                    return Ok(true);
                }
                if !linear.seekable() {
                    // All of it may come before the index; the demuxer tells what is wrong where that is too much.
                    let fits = linear.length.is_some_and(|l| l <= super::MAX_HEAD as u64);
                    if !fits {
                        linear.sought = Sought::Done;
                    }
                    return Ok(fits);
                }
                self.fetch_index(ctx, i, offset, length);
                Ok(true)
            }
            Ok(Layout::Progressive(table)) => {
                linear.sought = Sought::Done;
                self.use_index(ctx, i, table);
                Ok(false)
            }
            found => {
                // A segment index may follow; then it is wanted whole.
                let needs = sidx::scan(&linear.head).needs.filter(|_| found.is_ok());
                let have = linear.head.len() as u64;
                let comes = |n: u64| n <= have + READ_ON && linear.length.is_none_or(|l| n <= l);
                if needs.is_some_and(comes) {
                    return Ok(true);
                }
                linear.sought = Sought::Done;
                Ok(false)
            }
        }
    }

    fn fetch_index(&mut self, ctx: &mut Ctx, i: usize, offset: u64, length: u64) {
        let Some(linear) = &mut self.linear else { return };
        let last = offset.saturating_add(length.max(AT_ONCE)).saturating_sub(1);
        let last = linear.length.map_or(last, |l| last.min(l.saturating_sub(1)));
        let range = Some(ByteRange { first: offset, last: Some(last) });
        let ticket = self.requests.send(ctx.now, FetchKind::Index, linear.url.clone(), range, ctx.out);
        linear.sought = Sought::Apart(IndexFetch { ticket, offset, body: Vec::new() });
        // The media goes on when it can be read.
        if let Activity::Segment(job) = &self.streams[i].activity
            && !job.complete
            && !std::mem::replace(&mut linear.paused, true)
        {
            self.requests.hold(job.ticket, ctx.out);
            ctx.abr.finished(job.ticket, ctx.now);
        }
    }

    /// Puts a demuxer with the index in the place of the one that streams.
    fn use_index(&mut self, ctx: &mut Ctx, i: usize, table: Rc<SampleTable>) {
        let Some(linear) = &mut self.linear else { return };
        if let Some(codec) = table.lost_sound() {
            ctx.event(Event::Error(cannot_decode(codec, &linear.url).recoverable()));
        }
        linear.index = Index::new(table);
        if linear.index.is_some() {
            self.streams[i].pipeline = None;
            self.ensure_linear_pipeline(i, false);
        }
    }

    /// Whether a request is for the index.
    pub fn is_index(&self, ticket: Ticket) -> bool {
        let sought = self.linear.as_ref().map(|l| &l.sought);
        matches!(sought, Some(Sought::Apart(fetch)) if fetch.ticket == ticket)
    }

    /// Bytes of the index.
    pub fn index_bytes(&mut self, data: &[u8]) {
        if let Some(linear) = &mut self.linear
            && let Sought::Apart(fetch) = &mut linear.sought
            && (fetch.body.len() as u64) < MAX_INDEX
        {
            fetch.body.extend_from_slice(data);
        }
    }

    /// The request for the index is sent again.
    pub fn index_again(&mut self) {
        if let Some(tail) = self.linear.as_mut().and_then(|l| l.tail.as_mut()) {
            tail.body.clear();
        }
        if let Some(linear) = &mut self.linear
            && let Sought::Apart(fetch) = &mut linear.sought
        {
            fetch.body.clear();
        }
    }

    /// The index is there.
    pub fn index_done(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        let Some(linear) = &mut self.linear else { return Ok(()) };
        let Sought::Apart(fetch) = std::mem::take(&mut linear.sought) else { return Ok(()) };
        match layout(fetch.offset, &fetch.body) {
            Ok(Layout::Needs { offset, length }) => {
                let progress = offset > fetch.offset || length > fetch.body.len() as u64;
                let inside = linear.length.is_none_or(|l| offset.saturating_add(length) <= l);
                if !progress || !inside || length > MAX_INDEX {
                    let error = PlayerError::new(Code::MediaMalformed, "the file has no index (moov)");
                    return Err(error.at(offset).with_url(&linear.url));
                }
                self.fetch_index(ctx, i, offset, length);
                return Ok(());
            }
            Ok(Layout::Progressive(table)) => {
                linear.sought = Sought::Done;
                self.use_index(ctx, i, table);
            }
            Ok(Layout::Fragmented) => linear.sought = Sought::Done,
            Err(error) => return Err(error.with_url(&linear.url)),
        }
        self.feed_head(ctx, i)
    }

    /// The request for the index failed for good.
    pub fn index_refused(&mut self, ctx: &mut Ctx, i: usize, mut error: PlayerError) -> Result<(), Fatal> {
        if let Some(linear) = &mut self.linear {
            linear.sought = Sought::Done;
            if error.status == Some(200) {
                linear.ranges = Some(false);
                if linear.length.is_some_and(|l| l <= super::MAX_HEAD as u64) {
                    linear.sought = Sought::Open;
                    return Ok(());
                }
                error.message =
                    "the index (moov) is at the end of the file, and the server ignores Range requests"
                        .into();
            }
        }
        // Perhaps it can be read as it comes.
        if error.status == Some(200) { self.feed_head(ctx, i).map_err(|_| error) } else { Err(error) }
    }

    /// What has come before the index was there is demuxed now.
    pub(super) fn feed_head(&mut self, ctx: &mut Ctx, i: usize) -> Result<(), Fatal> {
        let Some(linear) = &mut self.linear else { return Ok(()) };
        let Some((_, pipeline)) = &mut self.streams[i].pipeline else { return Ok(()) };
        let head = std::mem::take(&mut linear.head);
        let result = pipeline.push(&head);
        if linear.index.is_none() {
            linear.head = head;
        }
        self.linear_collect(ctx, i, false, result)?;
        if self.streams[i].job().is_some_and(|j| j.complete) {
            return self.linear_end(ctx, i);
        }
        Ok(())
    }
}
