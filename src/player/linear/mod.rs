//! A file or an endless stream that has no index: one long response, appended while it downloads.
//!
//! | file | holds |
//! | --- | --- |
//! | `mod.rs` | what is known of the resource; the way from bytes to pieces; reading no faster than is played |
//! | `timeline.rs` | media time to presentation time, jumps of the time stamps included |
//! | `places.rs` | tables of keyframes in other files, fragmented MP4 among them |
//! | `table.rs` | the index of MP4 files |
//! | `search.rs` | seeks: time to byte; the duration where no header tells it |
//! | `sounds.rs` | which of several tracks of sound is heard |
//! | `faults.rs` | connections that break, and the end |

mod faults;
mod places;
mod search;
mod sounds;
mod table;
mod timeline;

use super::buffer::SEAM;
use super::fetching::OPENING as EARLY;
use super::io::*;
use super::loading::Head;
use super::requests::Ticket;
use super::session::{Ctx, Fatal, Session};
use super::stream::{Activity, HeldPiece, Job, RepKey};
use super::wrapping::{Wrapping, candidates, cannot_decode};
use crate::container::{Format, TrackInfo, TrackKind};
use crate::error::{Code, PlayerError, Result};
use crate::manifest::{
    AdaptationSet, ByteRange, ContentType, Period, Presentation, PresentationType, Protocol, Representation,
    SegmentIndex,
};
use crate::time::Seconds;
use places::Places;
use search::{Search, Tail, entry};
use sounds::Sound;
use table::{Index, Sought};
use timeline::Timeline;

/// First bytes of a resource that are kept, so that a pipeline can be set up anew in its middle: headers with a large cover image
/// among their tags. Larger: memory.
const HEAD_KEPT: usize = 2 << 20;
/// As above while the index of an MP4 file is on its way.
const MAX_HEAD: usize = 64 << 20;
/// First bytes by which a file that is sent again is told from a stream that goes on: headers, and media behind them.
const OPENING: usize = 16 << 10;
/// Reading goes on when the forward buffer has shrunk by this many seconds. Smaller: more stops; larger: longer silence, in which
/// servers may close the connection (nginx: 60 s).
const HYSTERESIS: Seconds = 2.0;
/// Seconds that are always read ahead, whatever they weigh.
const ALWAYS: Seconds = 4.0;

/// Seconds of a stream without an end of which nothing can be played: it has come back as something else. Smaller: groups of pictures may be
/// as long; larger: longer silence.
const FRUITLESS: Seconds = 30.0;

/// The response by which the resource was recognized: it goes on as its download.
pub(super) struct Adopted {
    pub ticket: Ticket,
    pub body: Vec<u8>,
    /// All of it has come.
    pub complete: bool,
}

/// What recognition knows of a resource.
pub(super) struct Found {
    pub format: Format,
    pub url: String,
    /// The URL that was asked for, where redirects led to that one.
    pub asked: String,
    pub length: Option<u64>,
    /// The server says that it answers Range requests.
    pub ranges: bool,
    pub adopted: Adopted,
}

pub(super) struct Linear {
    format: Format,
    /// Where redirects led last.
    url: String,
    /// What was asked for.
    origin: String,
    /// Bytes of the resource; `None`: not known, and perhaps there is no end.
    length: Option<u64>,
    /// Whether the server answers Range requests; `None`: it was not tried, and the server did not say.
    ranges: Option<bool>,
    adopted: Option<Adopted>,
    head: Vec<u8>,
    /// How far the boxes of `head` were walked.
    walked: u64,
    sought: Sought,
    index: Option<Index>,
    /// The tracks are known, and what they go as: `head` grows no more.
    known: bool,
    /// What the browser was asked, per track.
    asked: Vec<(TrackInfo, Vec<Wrapping>)>,
    /// The tracks of sound that it takes.
    sounds: Vec<Sound>,
    /// Position of the next byte that is fed.
    at: u64,
    /// Bytes of the response under way that were fed before: it began anew at 0.
    again: u64,
    /// The response under way is not read at present.
    paused: bool,
    timeline: Timeline,
    /// Where the last seek went, if the bytes begin before: what lies far before is not appended.
    from: Option<Seconds>,
    search: Option<Search>,
    /// Where keyframes are, if a table in the file tells.
    places: Places,
    tail: Option<Tail>,
    /// The tail was looked at, or need not be.
    measured: bool,
    /// Of the whole, as far as it is known.
    duration: Option<Seconds>,
    /// It was taken from the rate of bytes.
    estimated: bool,
    /// All was read from the first byte on, so that the rate of bytes can be told.
    whole: bool,
    /// Bytes from the middle in which the place is not found yet that a demuxer can begin at.
    scan: Option<Vec<u8>>,
    /// The browser has not been told of it.
    untold: bool,
    /// Attempts in a row to find the stream again that brought nothing.
    rejoins: u32,
    /// Which attempt the running response belongs to has brought bytes.
    progress: bool,
    /// The first bytes of the first response.
    opening: Vec<u8>,
    /// What came after a response that ended, for as long as it is what the first one began with.
    encore: Option<Vec<u8>>,
}

impl Linear {
    fn new(found: Found) -> Self {
        let Found { format, url, asked: origin, length, ranges, adopted } = found;
        Self {
            format,
            url,
            origin,
            length,
            ranges: ranges.then_some(true),
            adopted: Some(adopted),
            head: Vec::new(),
            walked: 0,
            sought: Sought::default(),
            index: None,
            known: false,
            asked: Vec::new(),
            sounds: Vec::new(),
            at: 0,
            again: 0,
            paused: false,
            timeline: Timeline::default(),
            from: None,
            search: None,
            places: Places::default(),
            tail: None,
            measured: false,
            duration: None,
            estimated: false,
            whole: true,
            scan: None,
            untold: false,
            rejoins: 0,
            progress: false,
            opening: Vec::new(),
            encore: None,
        }
    }

    /// Whether it has no end that is known.
    pub fn live(&self) -> bool {
        self.known && self.length.is_none() && self.duration.is_none()
    }

    /// What was read is of no use: reading begins elsewhere.
    pub fn cancelled(&mut self) {
        self.timeline.interrupt();
        self.search = None;
        self.paused = false;
        self.whole = false;
    }

    /// Where the media ends that was given out, on the presentation's timeline.
    pub fn edge(&self) -> Seconds {
        self.timeline.ends().fold(0.0, f64::max)
    }

    /// What is added to media time at present.
    pub fn offset(&self) -> Option<Seconds> {
        self.timeline.offset()
    }

    /// Whether all is known that the user is told of it.
    pub fn settled(&self) -> bool {
        self.known && self.measured
    }

    /// Whether nothing can be demuxed yet.
    fn waits_for_index(&self) -> bool {
        self.format == Format::Mp4 && !matches!(self.sought, Sought::Done)
    }

    /// Whether another place in it can be asked for.
    fn seekable(&self) -> bool {
        self.ranges != Some(false) && self.length.is_some()
    }

    /// What is presented before this time of the media opens the presentation. What is read first does, wherever it lies.
    fn opens(&self) -> Seconds {
        self.timeline.offset().map_or(f64::INFINITY, |offset| EARLY - offset)
    }

    /// What is to be asked for to go on at `at`.
    fn range_from(&self, at: u64) -> Option<ByteRange> {
        (at > 0 && self.seekable()).then_some(ByteRange { first: at, last: None })
    }

    /// Bytes per second, as far as it can be told.
    fn rate(&self) -> Option<f64> {
        let known = self.length.zip(self.duration).map(|(bytes, seconds)| bytes as f64 / seconds);
        known.filter(|r| r.is_finite() && *r > 0.0)
    }
}

/// Whether a response that was asked for after the last one had ended is the same again.
enum Encore {
    /// That is not the question, or no more.
    Unlike,
    /// So far.
    Open,
    /// It is another one, and these are its bytes.
    Told(Vec<u8>),
    Same,
}

impl Linear {
    /// Compares what comes with what came first.
    fn compare(&mut self, data: &[u8]) -> Encore {
        if let Some(mut bytes) = self.encore.take() {
            bytes.extend_from_slice(data);
            let shared = bytes.len().min(self.opening.len());
            if bytes.get(..shared) != self.opening.get(..shared) {
                return Encore::Told(bytes);
            }
            let same = shared == self.opening.len();
            self.encore = Some(bytes);
            return if same { Encore::Same } else { Encore::Open };
        }
        if self.at == self.opening.len() as u64 {
            let room = OPENING.saturating_sub(self.opening.len()).min(data.len());
            self.opening.extend_from_slice(data.get(..room).unwrap_or_default());
        }
        Encore::Unlike
    }
}

/// A presentation of one track set: the resource itself.
pub(super) fn presentation(url: &str) -> Presentation {
    let representation = Representation {
        id: "file".to_owned(),
        bandwidth: 0,
        average_bandwidth: None,
        codecs: String::new(),
        mime_type: String::new(),
        width: 0,
        height: 0,
        frame_rate: 0.0,
        sample_rate: 0,
        channels: 0,
        audio_sets: Vec::new(),
        bases: Default::default(),
        index: SegmentIndex::Continuous(url.to_owned()),
    };
    let set = AdaptationSet {
        id: "file".to_owned(),
        content: ContentType::Video,
        lang: None,
        label: None,
        roles: Vec::new(),
        default: true,
        autoselect: true,
        encrypted: false,
        inside: false,
        inband: Vec::new(),
        representations: vec![representation],
    };
    Presentation {
        protocol: Protocol::File,
        kind: PresentationType::Static,
        duration: None,
        periods: vec![Period {
            id: "0".to_owned(),
            start: 0.0,
            duration: None,
            sets: vec![set],
            events: Vec::new(),
        }],
        start_hint: None,
        live: None,
        warnings: Vec::new(),
    }
}

impl Session {
    /// Where the element itself may play what this failed with: URL and type.
    pub fn last_resort(&self, error: &PlayerError) -> Option<(String, String)> {
        let linear = self.linear.as_ref()?;
        let refused = error.code == Code::CodecUnsupported && !self.streams.iter().any(|s| s.has_media);
        let codecs = error.tried.as_deref().filter(|_| refused)?;
        let quoted = ["; codecs=\"", codecs, "\""].concat();
        Some((linear.url.clone(), [linear.format.mime(), &quoted].concat()))
    }

    /// Plays a resource that has no index, with the response by which it was recognized.
    pub fn set_linear(&mut self, found: Found) {
        self.linear = Some(Box::new(Linear::new(found)));
    }

    /// Lets it go on.
    pub fn step_linear(&mut self, ctx: &mut Ctx, i: usize) -> std::result::Result<(), Fatal> {
        self.tell_duration(ctx);
        match &self.streams[i].activity {
            Activity::Idle if !self.held_back(&self.streams[i]) && self.wants_more(ctx, i, true) => {
                self.start_linear(ctx, i)
            }
            Activity::Segment(_) => {
                self.leap(ctx, i)?;
                self.check_interleaving(ctx, i);
                self.pace(ctx, i);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Playback is to begin far from the start: that could not be asked for before the headers had come.
    fn leap(&mut self, ctx: &mut Ctx, i: usize) -> std::result::Result<(), Fatal> {
        /// Seconds that are read on rather than asked for.
        const FAR: Seconds = 6.0;
        let Some(linear) = &self.linear else { return Ok(()) };
        let edge = linear.timeline.ends().fold(0.0, f64::max);
        let far = linear.from.filter(|from| linear.settled() && *from > edge + FAR);
        let Some(from) = far.filter(|_| linear.seekable() && linear.search.is_none() && linear.whole) else {
            return Ok(());
        };
        self.cancel_stream(ctx, i);
        self.streams[i].move_to(from, false);
        self.start_linear(ctx, i)
    }

    /// Whether the forward buffer has room. `stopped`: less room than `HYSTERESIS` is none.
    fn wants_more(&self, ctx: &Ctx, i: usize, stopped: bool) -> bool {
        let stream = &self.streams[i];
        let Some(linear) = &self.linear else { return false };
        if !stream.has_media || linear.search.is_some() {
            return !self.holds_enough(ctx, stream);
        }
        let position = self.playhead.position(ctx.now);
        let buffers = || stream.buffers.iter().filter_map(|(id, _)| self.buffer(*id));
        if buffers().any(|b| b.full) {
            return false;
        }
        // What all tracks have; one that ended long before the others counts no more.
        let ends = linear.timeline.ends();
        let longest = ends.fold(stream.cursor, f64::max);
        let shortest = linear.timeline.ends().filter(|e| *e > longest - 10.0).fold(longest, f64::min);
        // Not what lies further on, from before a seek.
        let bytes: u64 = buffers().map(|b| b.bytes_between(position, longest)).sum();
        if shortest < position + ALWAYS {
            return bytes < ctx.config.buffer_bytes.saturating_mul(2);
        }
        let room = if stopped { HYSTERESIS.min(self.limit_ahead(ctx) / 2.0) } else { 0.0 };
        let enough = longest - position >= self.limit_ahead(ctx) - room;
        (!enough || self.lacking(ctx, i).is_some()) && bytes < ctx.config.buffer_bytes
    }

    /// The track of which nothing has come, or nothing that playback could go on with, while there is some of another.
    fn lacking(&self, ctx: &Ctx, i: usize) -> Option<BufferId> {
        let (linear, stream) = (self.linear.as_ref()?, &self.streams[i]);
        let position = self.playhead.position(ctx.now);
        let has = |id| linear.timeline.end_of(id).is_some_and(|end| end > position + SEAM);
        let waits = self.playhead.waiting();
        let lacks = |id| linear.timeline.end_of(id).is_none() || waits && !has(id);
        let mut ids = stream.buffers.iter().map(|(id, _)| *id);
        ids.clone().any(has).then(|| ids.find(|id| lacks(*id)))?
    }

    /// A track of which nothing came in all that may be buffered has ended, or lies elsewhere in the file, and reading on would take all
    /// memory: the other is played without it.
    fn check_interleaving(&mut self, ctx: &mut Ctx, i: usize) {
        let lacking =
            self.lacking(ctx, i).filter(|_| self.streams[i].has_media && !self.wants_more(ctx, i, false));
        let (Some(id), Some(linear)) = (lacking, &mut self.linear) else { return };
        if self.buffers.iter().flatten().any(|b| b.full) || linear.search.is_some() {
            return;
        }
        let text = "sound and pictures lie too far apart in the file: one is left out";
        let error = PlayerError::new(Code::ContainerUnsupported, text).at(linear.at).with_url(&linear.url);
        ctx.event(Event::Error(error.recoverable()));
        linear.leave_out(if id == BufferId::Audio { "audio/" } else { "video/" });
        let position = self.playhead.position(ctx.now);
        self.reopen(ctx, position);
    }

    /// Stops reading where there is enough, and goes on where there is room.
    fn pace(&mut self, ctx: &mut Ctx, i: usize) {
        if self.linear.as_ref().is_some_and(|l| matches!(l.sought, Sought::Apart(_))) {
            return;
        }
        let paused = self.linear.as_ref().is_some_and(|l| l.paused);
        let more = self.wants_more(ctx, i, paused);
        let (Some(linear), Activity::Segment(job)) = (&mut self.linear, &self.streams[i].activity) else {
            return;
        };
        if job.complete || more != paused {
            return;
        }
        linear.paused = !more;
        if more {
            self.requests.release(ctx.now, job.ticket, ctx.out);
            ctx.abr.started(job.ticket, ctx.now);
        } else {
            self.requests.hold(job.ticket, ctx.out);
            ctx.abr.finished(job.ticket, ctx.now);
        }
    }

    /// When a response that is not read is looked at again.
    pub fn linear_deadline(&self, ctx: &Ctx) -> Now {
        let Some(linear) = &self.linear else { return f64::INFINITY };
        let Some(stream) = self.streams.first() else { return f64::INFINITY };
        let waits = linear.paused || matches!(stream.activity, Activity::Idle);
        if !waits || !self.playhead.moving() {
            return f64::INFINITY;
        }
        let position = self.playhead.position(ctx.now);
        let longest = linear.timeline.ends().fold(stream.cursor, f64::max);
        let rate = self.playhead.media().rate.max(0.1);
        ctx.now + ((longest - position - self.limit_ahead(ctx) + HYSTERESIS) / rate).max(0.25)
    }

    fn start_linear(&mut self, ctx: &mut Ctx, i: usize) -> std::result::Result<(), Fatal> {
        let Some(linear) = &mut self.linear else { return Ok(()) };
        let cursor = self.streams[i].cursor;
        if let Some(adopted) = linear.adopted.take() {
            let ticket = adopted.ticket;
            linear.at = 0;
            linear.from = (cursor > 0.0).then_some(cursor);
            self.linear_job(ctx, i, ticket, true);
            self.linear_bytes(ctx, i, &adopted.body)?;
            if adopted.complete
                && let Activity::Segment(job) = &mut self.streams[i].activity
            {
                job.complete = true;
                return self.linear_end(ctx, i);
            }
            return Ok(());
        }
        if linear.live() {
            return self.rejoin(ctx, i, 0.0);
        }
        let buffers = self.buffers.iter().flatten();
        let reached = self.streams[i].buffers.iter().filter_map(|(id, _)| {
            let has = buffers.clone().find(|b| b.is(*id))?.expected().end_from(cursor, SEAM);
            Some((*id, has))
        });
        if linear.timeline.is_finished(reached) {
            self.streams[i].cursor = linear.edge();
            self.streams[i].activity = Activity::Ended;
            return Ok(());
        }
        if linear.seekable() && linear.known && (cursor > 0.5 || linear.index.is_some()) {
            return self.start_search(ctx, i, cursor);
        }
        linear.from = (cursor > 0.0).then_some(cursor);
        self.read_from(ctx, i, 0, true);
        Ok(())
    }

    /// Reads on at a byte; what came before is forgotten. `reset`: the demuxer does not expect the bytes from there.
    fn read_from(&mut self, ctx: &mut Ctx, i: usize, at: u64, reset: bool) {
        let Some(linear) = &mut self.linear else { return };
        if let Activity::Segment(job) = &self.streams[i].activity {
            ctx.abr.finished(job.ticket, ctx.now);
            self.requests.cancel(job.ticket, ctx.out);
        }
        linear.at = at;
        linear.again = 0;
        linear.whole = false;
        linear.scan = (at > 0 && reset).then(Vec::new);
        linear.timeline.interrupt();
        if at == 0 && reset {
            linear.timeline.rewind();
        }
        let (url, range) = (linear.url.clone(), linear.range_from(at));
        let ticket = self.requests.send(ctx.now, FetchKind::Segment, url, range, ctx.out);
        self.streams[i].held.clear();
        self.linear_job(ctx, i, ticket, reset);
    }

    /// The response of a request is what is read from now on.
    fn linear_job(&mut self, ctx: &mut Ctx, i: usize, ticket: Ticket, reset: bool) {
        let inside = self.linear.as_ref().is_some_and(|l| l.at > 0);
        let fresh = self.ensure_linear_pipeline(i, inside);
        let Some(linear) = &mut self.linear else { return };
        linear.paused = false;
        linear.progress = false;
        ctx.abr.started(ticket, ctx.now);
        let key = RepKey { period: 0, set: 0, rep: 0 };
        if !fresh
            && reset
            && let Some((_, pipeline)) = &mut self.streams[i].pipeline
        {
            pipeline.reset();
        }
        let stream = &mut self.streams[i];
        let cursor = stream.cursor;
        if let Some((_, pipeline)) = &mut stream.pipeline {
            pipeline.set_opens(linear.opens());
        }
        let index = SegmentIndex::Continuous(linear.url.clone());
        let Some(segment) = index.segment(0) else { return };
        stream.rep = Some(0);
        stream.activity = Activity::Segment(Box::new(Job::new(key, segment, ticket, ctx.now)));
        stream.cursor = cursor;
    }

    /// The head of the response that is read.
    pub fn linear_head(&mut self, head: &Head) {
        let Some(linear) = &mut self.linear else { return };
        let Head { status, length, ranges, .. } = *head;
        head.url.clone_into(&mut linear.url);
        if status == 206 {
            linear.ranges = Some(true);
        } else {
            if ranges {
                linear.ranges = Some(true);
            }
            if linear.length.is_none() && linear.at == linear.again {
                linear.length = length;
            }
        }
    }

    /// Bytes of the response that is read.
    pub fn linear_bytes(&mut self, ctx: &mut Ctx, i: usize, data: &[u8]) -> std::result::Result<(), Fatal> {
        let Some(linear) = &mut self.linear else { return Ok(()) };
        // A response that began at 0 anew brings again what was fed.
        let skip = usize::try_from(linear.again).unwrap_or(usize::MAX).min(data.len());
        linear.again -= skip as u64;
        let Some(data) = data.get(skip..).filter(|d| !d.is_empty()) else { return Ok(()) };
        let compared;
        let data = match linear.compare(data) {
            Encore::Unlike => data,
            Encore::Open => return Ok(()),
            Encore::Told(bytes) => {
                compared = bytes;
                compared.as_slice()
            }
            Encore::Same => return self.end_again(ctx, i),
        };
        // The tables of a long MP4 file are large.
        let most = if linear.waits_for_index() { MAX_HEAD } else { HEAD_KEPT };
        let kept = most.saturating_sub(linear.head.len()).min(data.len());
        if !linear.known && linear.at == linear.head.len() as u64 {
            linear.head.extend_from_slice(data.get(..kept).unwrap_or_default());
        }
        linear.at += data.len() as u64;
        let first = !std::mem::replace(&mut linear.progress, true);
        let at = linear.at;
        let range = linear.range_from(at);
        let Activity::Segment(job) = &mut self.streams[i].activity else { return Ok(()) };
        job.received += data.len() as u64;
        job.first_byte.get_or_insert(ctx.now);
        self.requests.go_on_at(job.ticket, range, false, first);
        if linear.waits_for_index() {
            if self.seek_index(ctx, i)? {
                return Ok(());
            }
            return self.feed_head(ctx, i);
        }
        let Some((_, pipeline)) = &mut self.streams[i].pipeline else { return Ok(()) };
        let result = match &mut linear.scan {
            Some(scanned) => {
                scanned.extend_from_slice(data);
                match entry(linear.format, scanned) {
                    Ok(place) => {
                        let result = pipeline.push(scanned.get(place..).unwrap_or_default());
                        linear.scan = None;
                        result
                    }
                    Err(passed) => {
                        scanned.drain(..passed.min(scanned.len()));
                        Ok(())
                    }
                }
            }
            None => pipeline.push(data),
        };
        self.linear_collect(ctx, i, false, result)
    }

    /// Pieces out of the pipeline.
    fn linear_collect(
        &mut self,
        ctx: &mut Ctx,
        i: usize,
        flush: bool,
        result: Result<()>,
    ) -> std::result::Result<(), Fatal> {
        let (Some(linear), stream) = (&mut self.linear, &mut self.streams[i]) else { return Ok(()) };
        let Some((_, pipeline)) = &mut stream.pipeline else { return Ok(()) };
        if !linear.known {
            match pipeline.offered() {
                Some(infos) if linear.asked.is_empty() => {
                    if infos.is_empty() && result.is_ok() {
                        let error =
                            PlayerError::new(Code::MediaEmpty, "the file has no track that can be played");
                        return Err(error.with_url(&linear.url));
                    }
                    linear.asked =
                        infos.into_iter().map(|t| (candidates(&t), t)).map(|(c, t)| (t, c)).collect();
                    let all = linear.asked.iter().flat_map(|(_, c)| c);
                    let types = all.map(|w| w.mime.to_string()).collect();
                    ctx.command(Command::CheckTypes(types));
                }
                _ => {}
            }
            // Nothing is given out before the browser has answered.
            return match result {
                Ok(()) => Ok(()),
                Err(error) => self.linear_failed(ctx, i, error),
            };
        }
        if stream.buffers.is_empty() {
            // After the source was set up anew.
            stream.buffers = pipeline.tracks().unwrap_or_default();
        }
        let mut pieces = Vec::new();
        let drained = pipeline.drain(flush, (0.0, 0.0), &mut pieces);
        let Activity::Segment(job) = &mut stream.activity else { return Ok(()) };
        if !pieces.is_empty() {
            job.fruitful = true;
            linear.rejoins = 0;
        }
        let since = job.first_byte.filter(|_| stream.has_media && linear.live() && !job.fruitful && !flush);
        let fruitless = since.is_some_and(|since| ctx.now > since + FRUITLESS);
        let (key, segment) = (job.key, job.segment.clone());
        stream.held.extend(pieces.into_iter().map(|piece| HeldPiece {
            piece,
            key,
            segment: segment.clone(),
        }));
        // What cannot be read there may be read elsewhere.
        if self.look_around(ctx, i, result.is_err()) {
            return Ok(());
        }
        let edge = self.linear.as_ref().map_or(0.0, |l| l.edge());
        self.release_linear(ctx, i);
        self.note_asides(ctx, i, edge);
        match result.and(drained) {
            Ok(()) if fruitless => {
                let text = "nothing that can be played has come for too long";
                self.linear_failed(ctx, i, PlayerError::new(Code::MediaEmpty, text))
            }
            Ok(()) => Ok(()),
            Err(error) => self.linear_failed(ctx, i, error),
        }
    }

    /// The browser has said what it takes of the tracks.
    pub fn linear_types(&mut self, ctx: &mut Ctx, answers: &[bool]) -> std::result::Result<(), Fatal> {
        let Some(linear) = &mut self.linear else { return Ok(()) };
        if linear.known || linear.asked.is_empty() {
            return Ok(());
        }
        let mut answers = answers.iter().copied();
        let mut tracks = Vec::new();
        for (track, candidates) in std::mem::take(&mut linear.asked) {
            // Each has an answer.
            let taken = candidates.into_iter().filter(|_| answers.next().unwrap_or(false));
            tracks.push((track, taken.fold(None, |first, w| first.or(Some(w)))));
        }
        linear.choose_tracks(ctx.config.language.as_deref(), &tracks);
        let wrappings = linear.timeline.wrappings.clone();
        let chosen = tracks.iter().zip(&wrappings).filter(|(_, (_, wrapping))| wrapping.is_some());
        let codecs: Vec<&str> = chosen.map(|((t, _), _)| t.codec.as_str()).collect();
        // One track of sound that it takes is enough.
        let heard = tracks.iter().any(|(t, taken)| t.kind == TrackKind::Audio && taken.is_some());
        let missing = |t: &TrackInfo| t.kind != TrackKind::Audio || !heard;
        let refused = tracks.iter().filter(|(t, taken)| taken.is_none() && missing(t));
        let refused: Vec<&str> = refused.map(|(t, _)| t.codec.as_str()).collect();
        let url = linear.url.clone();
        let refusal = || {
            let all = refused.join(", ");
            let mut error = cannot_decode(&all, &url);
            error.tried = Some(all);
            error
        };
        if codecs.is_empty() {
            return Err(refusal());
        }
        if !refused.is_empty() {
            ctx.event(Event::Error(refusal().recoverable()));
        }
        linear.known = true;
        let codecs = codecs.join(",");
        if let Some(rep) = self
            .presentation
            .periods
            .first_mut()
            .and_then(|p| p.sets.first_mut()?.representations.first_mut())
        {
            rep.codecs = codecs;
            if let Some((video, _)) = tracks.iter().find(|(t, _)| t.kind == TrackKind::Video) {
                (rep.width, rep.height) = (video.width, video.height);
            }
        }
        let Some(i) = (!self.streams.is_empty()).then_some(0) else { return Ok(()) };
        let Some((_, pipeline)) = &mut self.streams[i].pipeline else { return Ok(()) };
        pipeline.wrap(wrappings);
        let buffers = pipeline.tracks().unwrap_or_default();
        let duration = pipeline.duration(linear.length);
        self.streams[i].buffers = buffers;
        self.begin_measuring(ctx, duration);
        self.linear_collect(ctx, i, false, Ok(()))?;
        // A short file is over before the answer.
        if self.streams[i].job().is_some_and(|j| j.complete) {
            return self.linear_end(ctx, i);
        }
        Ok(())
    }

    /// Bytes of the response by which the resource was recognized, before its download goes on, or of the end of the file. False: they are
    /// of another request.
    pub fn adopted_bytes(&mut self, ticket: Ticket, data: &[u8]) -> bool {
        if self.is_tail(ticket) {
            self.tail_bytes(data);
            return true;
        }
        if self.is_index(ticket) {
            self.index_bytes(data);
            return true;
        }
        let adopted = self.linear.as_mut().and_then(|l| l.adopted.as_mut()).filter(|a| a.ticket == ticket);
        let Some(adopted) = adopted else { return false };
        adopted.body.extend_from_slice(data);
        true
    }

    /// As above, for the end of the response.
    pub fn adopted_end(&mut self, ticket: Ticket) -> bool {
        if self.is_tail(ticket) {
            self.tail_done(None);
            return true;
        }
        let adopted = self.linear.as_mut().and_then(|l| l.adopted.as_mut()).filter(|a| a.ticket == ticket);
        let Some(adopted) = adopted else { return false };
        adopted.complete = true;
        true
    }
}
