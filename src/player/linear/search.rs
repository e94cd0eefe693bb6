//! Seeks in a file without an index: a byte is guessed from what is known of the rate, and corrected by the time stamps found there. And
//! the duration, from the time stamps at the end.

use super::super::io::*;
use super::super::requests::Ticket;
use super::super::segment::Pipeline;
use super::super::session::{Ctx, Fatal, Session};
use super::super::stream::{Activity, RepKey};
use super::places::Places;
use super::timeline::BEFORE;
use crate::container::{self, Format};
use crate::manifest::ByteRange;
use crate::time::Seconds;

/// Requests of one search at most; then reading goes on from the best place found.
const MAX_PROBES: u32 = 6;
/// A place so many seconds before the target is good enough: reading on is as fast as another request.
const NEAR: Seconds = 3.0;
/// The first guess aims so many seconds before the target: keyframes are a few seconds apart.
const AIM: Seconds = 1.5;
/// Bytes from one place without a frame that decoding can start at, after which the search goes further back.
const BARREN: u64 = 12 << 20;
/// Bytes of the end that are looked at for the last time stamps: half a second of 6 Mbit/s.
const TAIL: u64 = 384 * 1024;
/// As above where time stamps stand at the head of clusters and fragments, several seconds apart.
const LONG_TAIL: u64 = 1536 * 1024;
/// Seconds of media from which the rate of bytes is taken, where nothing tells the duration.
const SAMPLED: Seconds = 4.0;
/// Seconds between two places of a table at the most, for all of them to be taken for there: groups of pictures are hardly longer.
const SPARSE: Seconds = 30.0;
/// An estimate that is off by a smaller share is left as it is.
const WORTH_TELLING: f64 = 0.03;
/// Seconds after which 33-bit time stamps of 90 kHz begin anew.
const WRAP: Seconds = (1u64 << 33) as f64 / 90_000.0;

/// A place that is searched.
pub(super) struct Search {
    target: Seconds,
    /// What a table of the file says is found here, in media time.
    told: Option<Seconds>,
    /// The nearest known places around it: byte and time of the first frame that decoding can start at from there.
    low: (u64, Seconds),
    high: (u64, Seconds),
    /// The lowest `high` that was told or found, not assumed because nothing came from there.
    limit: (u64, Seconds),
    aim: Seconds,
    probes: u32,
    /// Where the response under way began.
    at: u64,
}

/// The end of the file, fetched for its time stamps.
pub(super) struct Tail {
    ticket: Option<Ticket>,
    pub body: Vec<u8>,
    /// What is fetched is not the end but the table of keyframes.
    cues: bool,
    /// In media time.
    end: Option<Seconds>,
}

/// Frames carry no time: their place in the file is all that tells it.
fn untimed(format: Format) -> bool {
    matches!(format, Format::Mp3 | Format::Adts | Format::Ac3 | Format::PackedAudio)
}

/// The first place in `bytes` at which a demuxer that has read the headers can go on, for formats whose demuxers do not find it by
/// themselves. `Err`: how many bytes need not be looked at again.
pub(super) fn entry(format: Format, bytes: &[u8]) -> Result<usize, usize> {
    let fits = |w: &[u8]| match format {
        // `moof` with `mfhd` at its start.
        Format::Mp4 => {
            let size = w.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
            w.get(4..8) == Some(b"moof") && w.get(12..16) == Some(b"mfhd") && (24..1 << 24).contains(&size)
        }
        _ => true,
    };
    let reach = bytes.len().saturating_sub(16);
    match bytes.windows(17).position(fits) {
        Some(at) => Ok(at),
        None => Err(reach),
    }
}

impl Session {
    /// Goes on at a place in time.
    pub(super) fn start_search(&mut self, ctx: &mut Ctx, i: usize, target: Seconds) -> Result<(), Fatal> {
        self.ensure_linear_pipeline(i, true);
        let Some(linear) = &mut self.linear else { return Ok(()) };
        let offset = linear.timeline.offset().unwrap_or(0.0);
        linear.from = Some(target);
        linear.search = None;
        let length = linear.length.unwrap_or(0);
        if let Some((_, pipeline)) = &mut self.streams[i].pipeline
            && let Some(at) = pipeline.seek(target - offset, length)
        {
            self.read_from(ctx, i, at, false);
            return Ok(());
        }
        let none = (0, 0.0);
        let mut search =
            Search { target, told: None, low: none, high: none, limit: none, aim: AIM, probes: 0, at: 0 };
        if let Some((at, told)) = linear.places.at(target - offset) {
            (search.told, search.at) = (Some(told), at);
            linear.search = Some(search);
            self.read_from(ctx, i, at, true);
            return Ok(());
        }
        let Some(duration) = linear.duration.filter(|d| *d > 0.0) else {
            self.read_from(ctx, i, 0, true);
            return Ok(());
        };
        if untimed(linear.format) {
            // Nothing is behind the last byte.
            let target = target.min(duration - 1.0).max(0.0);
            linear.from = Some(target);
            let at = (target / duration).clamp(0.0, 1.0) * length as f64;
            linear.timeline.place_at(target);
            self.read_from(ctx, i, at as u64, true);
            return Ok(());
        }
        search.high = (length, duration);
        search.limit = search.high;
        linear.search = Some(search);
        self.probe(ctx, i);
        Ok(())
    }

    /// Reads at the place that the search takes for the best now.
    fn probe(&mut self, ctx: &mut Ctx, i: usize) {
        let Some(linear) = &mut self.linear else { return };
        let Some(search) = &mut linear.search else { return };
        search.probes += 1;
        let (low, high) = (search.low, search.high);
        let span = (high.1 - low.1).max(1e-3);
        let share = ((search.target - search.aim - low.1) / span).clamp(0.0, 1.0);
        let mut at = low.0 + (share * high.0.saturating_sub(low.0) as f64) as u64;
        // Near the lower bound its own frames are the next that come.
        if search.probes > MAX_PROBES || at < low.0.saturating_add(32 * 1024) {
            at = low.0;
        }
        search.at = at;
        self.read_from(ctx, i, at, true);
    }

    /// Looks at what came from the place that was guessed. True: the search goes on elsewhere.
    pub(super) fn look_around(&mut self, ctx: &mut Ctx, i: usize, ended: bool) -> bool {
        let Some(linear) = &mut self.linear else { return false };
        let Some(search) = &mut linear.search else { return false };
        let stream = &mut self.streams[i];
        let has_video = stream.buffers.iter().any(|(b, _)| *b == BufferId::Video);
        let mut syncs = stream.held.iter().filter(|h| !has_video || h.piece.buffer == BufferId::Video);
        let found = syncs.find_map(|h| h.piece.first_sync);
        let mut offset = linear.timeline.offset().unwrap_or(0.0);
        let received = stream.job().map_or(0, |j| j.received);
        let settled = search.at <= search.low.0;
        if found.is_none() && !ended && received < BARREN {
            return false;
        }
        if let Some(told) = search.told {
            let time = found.filter(|sync| (sync - told).abs() < BEFORE).map(|sync| sync + offset);
            let Some(time) = time else {
                // It lies; the duration may be told by it.
                let target = search.target;
                if std::mem::take(&mut linear.places).has_end() && linear.tail.is_none() {
                    self.fetch_tail(ctx);
                }
                return self.start_search(ctx, i, target).is_ok();
            };
            let late = time > search.target + 0.02;
            let most = if linear.places.is_last(told) { BEFORE } else { SPARSE };
            let sparse = search.target - time > most;
            // Tables count from where edit lists or decoding begin, some of them, and ffmpeg's mfra has fragments without a keyframe.
            let step = if search.probes == 0 { 0.01 } else { search.aim };
            let earlier = linear.places.at(told - step).filter(|p| late && p.1 < told);
            search.probes += 1;
            search.aim *= 2.0;
            if let Some((at, told)) = earlier.filter(|_| search.probes < MAX_PROBES) {
                (search.told, search.at) = (Some(told), at);
                self.read_from(ctx, i, at, true);
                return true;
            }
            if let Some(end) = linear.length.zip(linear.duration).filter(|_| late || sparse) {
                // It has no place near the target.
                let here = (search.at, time);
                (search.low, search.high) = if late { ((0, 0.0), here) } else { (here, end) };
                (search.told, search.limit) = (None, search.high);
                (search.aim, search.probes) = (AIM, 0);
                self.probe(ctx, i);
                return true;
            }
            linear.search = None;
            return false;
        }
        match found {
            None if settled => {}
            None => {
                search.high = (search.at, search.target + search.aim);
                search.aim = search.aim * 2.0 + 2.0;
                self.probe(ctx, i);
                return true;
            }
            Some(sync) => {
                if linear.format == Format::Ts && sync + offset < search.low.1 - WRAP / 2.0 {
                    offset += WRAP;
                }
                let time = sync + offset;
                // Time stamps that contradict their places: the recording has timelines of its own, and the byte decides. (MP4 and Matroska have
                // one; and what came only behind the limit contradicts nothing.)
                let early = search.at.saturating_add(received) < search.limit.0;
                let odd = !matches!(linear.format, Format::Mp4 | Format::Webm)
                    && (time < search.low.1 - 1.0 || (early && time > search.limit.1 + 1.0));
                if odd && !settled {
                    let target = search.target;
                    linear.timeline.place_at(target);
                } else if time > search.target + 0.02 && !settled {
                    search.high = (search.at, time);
                    search.limit = search.high;
                    search.aim = (search.aim * 2.0).max(time - search.target + search.aim);
                    self.probe(ctx, i);
                    return true;
                } else if search.target - time > NEAR.max(search.aim)
                    && search.probes < MAX_PROBES
                    && !settled
                {
                    search.low = (search.at, time);
                    search.aim = AIM;
                    // From here on another guess has to be better than reading on.
                    if search.high.1 - time > NEAR {
                        self.probe(ctx, i);
                        return true;
                    }
                }
                if offset != linear.timeline.offset().unwrap_or(0.0) {
                    linear.timeline.retie(offset);
                }
            }
        }
        linear.search = None;
        false
    }

    /// The file has ended without a frame since the place that was sought, as with large tags at its end: true if it is sought further back.
    pub(super) fn look_back(&mut self, ctx: &mut Ctx, i: usize) -> bool {
        let Some(linear) = &self.linear else { return false };
        let barren = untimed(linear.format)
            && linear.timeline.ends().next().is_none()
            && self.streams[i].held.is_empty();
        let sought = linear.from.filter(|from| barren && *from > 0.0).zip(linear.duration);
        sought.is_some_and(|(from, end)| self.start_search(ctx, i, end - (end - from) * 4.0).is_ok())
    }

    /// Finds out how long it lasts, once its headers are read.
    pub(super) fn begin_measuring(&mut self, ctx: &mut Ctx, told: Option<Seconds>) {
        let Some(linear) = &mut self.linear else { return };
        let (places, told_there, cues) = Places::read(linear.format, &linear.head, None, linear.length);
        linear.places = places;
        if let Some((first, length)) = cues.filter(|_| linear.seekable() && linear.length.is_some()) {
            self.fetch_cues(ctx, first, length);
        }
        let Some(linear) = &mut self.linear else { return };
        if let Some(duration) = told.or(told_there).filter(|d| *d > 0.0 && d.is_finite()) {
            linear.duration = Some(duration);
            linear.untold = true;
            linear.measured = true;
            return;
        }
        let Some(linear) = &mut self.linear else { return };
        if linear.length.is_none() || linear.tail.is_some() {
            linear.measured = true;
        } else if !untimed(linear.format) && linear.seekable() {
            self.fetch_tail(ctx);
        }
    }

    /// Asks for the end of the file.
    fn fetch_tail(&mut self, ctx: &mut Ctx) {
        let Some(linear) = &mut self.linear else { return };
        let reach = if matches!(linear.format, Format::Mp4 | Format::Webm) { LONG_TAIL } else { TAIL };
        let length = linear.length.unwrap_or(0);
        let first = length.saturating_sub(reach.min(length / 2));
        let range = ByteRange { first, last: None };
        let url = linear.url.clone();
        let ticket = self.requests.send(ctx.now, FetchKind::Index, url, Some(range), ctx.out);
        linear.tail = Some(Tail { ticket: Some(ticket), body: Vec::new(), cues: false, end: None });
    }

    /// Asks for the table of keyframes.
    fn fetch_cues(&mut self, ctx: &mut Ctx, first: u64, length: u64) {
        let Some(linear) = &mut self.linear else { return };
        let length = length.clamp(64 * 1024, LONG_TAIL);
        let range = ByteRange { first, last: Some(first.saturating_add(length - 1)) };
        let url = linear.url.clone();
        let ticket = self.requests.send(ctx.now, FetchKind::Index, url, Some(range), ctx.out);
        linear.tail = Some(Tail { ticket: Some(ticket), body: Vec::new(), cues: true, end: None });
    }

    /// Whether a request is for the end of the file.
    pub fn is_tail(&self, ticket: Ticket) -> bool {
        self.linear.as_ref().and_then(|l| l.tail.as_ref()).is_some_and(|t| t.ticket == Some(ticket))
    }

    /// Bytes of the end.
    pub fn tail_bytes(&mut self, data: &[u8]) {
        if let Some(tail) = self.linear.as_mut().and_then(|l| l.tail.as_mut()) {
            let room = (LONG_TAIL as usize).saturating_sub(tail.body.len()).min(data.len());
            tail.body.extend_from_slice(data.get(..room).unwrap_or_default());
        }
    }

    /// The end is there, or cannot be had.
    pub fn tail_done(&mut self, failed: Option<u16>) {
        let Some(linear) = &mut self.linear else { return };
        let Some(mut tail) = linear.tail.take() else { return };
        tail.ticket = None;
        if failed == Some(200) {
            linear.ranges = Some(false);
        } else if failed.is_none() && tail.cues {
            linear.places = Places::read(linear.format, &linear.head, Some(&tail.body), None).0;
        } else if failed.is_none() {
            linear.ranges = Some(true);
            tail.end = last_time(linear.format, &linear.head, &tail.body);
            let pipeline = self.streams.first().and_then(|s| s.pipeline.as_ref());
            if linear.format == Format::Mp4
                && let Some(tracks) = pipeline.and_then(|(_, p)| p.infos())
                && let Some(places) = Places::of_tail(&tail.body, &tracks)
            {
                linear.places = places;
            }
        }
        if tail.end.is_some() {
            tail.body = Vec::new();
            linear.tail = Some(tail);
        }
    }

    /// What is known of the duration now, and who has to be told.
    pub(super) fn tell_duration(&mut self, ctx: &mut Ctx) {
        let Some(linear) = &mut self.linear else { return };
        let stream = &self.streams[0];
        let offset = linear.timeline.offset();
        if let Some(end) = linear.tail.as_ref().and_then(|t| t.end)
            && let Some(offset) = offset
        {
            linear.tail = None;
            linear.measured = true;
            let mut duration = end + offset;
            if duration < 0.0 && linear.format == Format::Ts {
                duration += WRAP;
            }
            if duration > stream.cursor {
                linear.estimated = false;
                linear.duration = Some(duration);
                linear.untold = true;
            }
        }
        if matches!(stream.activity, Activity::Ended)
            && stream.held.is_empty()
            && linear.timeline.ends().next().is_some()
        {
            linear.duration = Some(stream.cursor);
            linear.estimated = false;
        }
        // The rate so far tells it roughly.
        if let Some(length) = linear.length.filter(|_| linear.tail.is_none())
            // Where playback begins may have to be counted from the end: what has come is held until then.
            && let Some(edge) = linear.timeline.ends().reduce(f64::max).or(stream.held_span())
            && let Some(sampled) = linear.sampled(edge)
            && (linear.duration.is_none() || linear.estimated)
        {
            let duration = length as f64 / sampled;
            let off = linear.duration.map_or(1.0, |d| (d - duration).abs() / duration);
            linear.estimated = true;
            linear.measured = true;
            if off > WORTH_TELLING {
                linear.duration = Some(duration);
                linear.untold = true;
            }
        }
        self.presentation.duration = linear.duration;
        let idle =
            self.buffers.iter().any(Option::is_some) && self.buffers.iter().flatten().all(|b| b.idle());
        if !linear.untold || !idle || self.ended_signalled || !self.source_open {
            return;
        }
        linear.untold = false;
        let Some(duration) = linear.duration else { return };
        let ends = self.buffers.iter().flatten().filter_map(|b| b.buffered().bounds());
        let highest = ends.fold(duration, |most, b| most.max(b.end));
        ctx.command(Command::SetDuration(highest));
    }

    /// The pipeline for bytes from some place.
    pub(super) fn ensure_linear_pipeline(&mut self, i: usize, inside: bool) -> bool {
        let Some(linear) = &self.linear else { return false };
        let key = RepKey { period: 0, set: 0, rep: 0 };
        if self.streams[i].pipeline.as_ref().is_some_and(|(k, _)| *k == key) {
            return false;
        }
        let indexed = linear.index.as_ref().map(|index| index.demuxer());
        let inside = inside && indexed.is_none();
        let Some(demuxer) = indexed.or_else(|| container::open(linear.format)) else { return false };
        self.serial += 1;
        let mut pipeline = Pipeline::demuxing(self.serial, demuxer);
        pipeline.wrap(linear.timeline.wrappings.clone());
        pipeline.set_opens(linear.opens());
        if inside {
            // What the headers told; an error comes again with the bytes that follow.
            let _ = pipeline.push(&linear.head);
            pipeline.reset();
        }
        self.streams[i].pipeline = Some((key, pipeline));
        true
    }

    /// Whether reading is under way.
    pub(super) fn reads(&self, i: usize) -> bool {
        matches!(self.streams[i].activity, Activity::Segment(_))
    }
}

impl super::Linear {
    /// Bytes per second of what was read in one go from the start.
    fn sampled(&self, edge: Seconds) -> Option<f64> {
        let whole = self.whole && (edge > SAMPLED || self.length == Some(self.at));
        whole.then(|| self.at as f64 / edge).filter(|r| *r > 0.0)
    }
}

/// The latest time in the last bytes of a file, in media time.
fn last_time(format: Format, head: &[u8], tail: &[u8]) -> Option<Seconds> {
    #[cfg(feature = "ogg")]
    if format == Format::Ogg
        && let Some(layout) = container::ogg::Layout::read(head, tail)
    {
        return Some(layout.duration());
    }
    let mut pipeline = Pipeline::demuxing(0, container::open(format)?);
    let mut pieces = Vec::new();
    // Damage in either is no matter here.
    let _ = pipeline.push(head);
    let _ = pipeline.drain(true, (0.0, 0.0), &mut pieces);
    pieces.clear();
    pipeline.reset();
    let tail = match entry(format, tail) {
        Ok(at) => tail.get(at..)?,
        Err(_) => return None,
    };
    let _ = pipeline.push(tail);
    let _ = pipeline.finish();
    let _ = pipeline.drain(true, (0.0, 0.0), &mut pieces);
    pieces.iter().map(|p| p.end).reduce(f64::max)
}
