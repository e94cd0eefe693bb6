//! Live origins under the virtual clock: what a server has at a moment is made when it is asked for, and nothing is kept.
//!
//! `Live` is the encoder: which segments there are, when each is made, and what goes wrong with it. The manifests are in `mpd` and `playlist`.

mod mpd;
mod playlist;

use super::media::{Mark, Track};
use super::site::Answer;
use super::streams::{Addressing, ROOT, Stream};
use super::ts;
use millrace::bytes::ByteWriter;

/// The server's clock at virtual time 0, in seconds since 1970.
pub const UNIX: f64 = 1_800_000_000.0;
pub const TIME: &str = "https://media.test/time";
/// Another place with the same content.
pub const OTHER: &str = "https://other.test/";
/// The MPD is here too.
pub const MOVED: &str = "https://media.test/moved.mpd";

/// A source that has been on for a while and goes on.
#[derive(Clone)]
pub struct Live {
    /// What it is made of. Only its first part counts: the rest is up to `period`.
    pub stream: Stream,
    /// Media time at virtual time 0, in seconds.
    pub age: f64,
    /// Seconds behind the edge that are kept.
    pub depth: f64,
    /// Media time at which it ends.
    pub end: Option<f64>,
    /// Seconds after which a new period (DASH) or discontinuity (HLS) begins, again and again.
    pub period: Option<f64>,
    /// With each of them the time stamps begin anew.
    pub rebased: bool,
    /// Every other one has its sets in another order, and each has pictures of another type.
    pub turned: bool,
    /// The encoder begins anew at this segment: numbers count from 0 again, and nothing before is listed.
    pub restart: Option<usize>,
    /// So do the time stamps then.
    pub renewed: bool,
    /// Segments (by position) that come so many seconds late; infinite: never.
    pub late: Vec<(usize, f64)>,
    /// Segments that are told to be missing (HLS).
    pub gaps: Vec<usize>,
    /// Nothing is added from this virtual time on, though the stream does not end.
    pub stuck_at: Option<f64>,

    /// DASH: `minimumUpdatePeriod`; `None`: never.
    pub update: Option<f64>,
    /// DASH: how segments are told of; `None`: in a SegmentTimeline where the MPD is read again, else by number.
    pub addressing: Option<Addressing>,
    /// DASH: seconds by which pictures are listed later than sound: the MPD is written after each.
    pub uneven: f64,
    /// DASH: numbers in the SegmentTimeline instead of times.
    pub numbered: bool,
    /// DASH: `suggestedPresentationDelay`.
    pub delay: Option<f64>,
    /// DASH: UTCTiming by `http-iso`.
    pub clock: bool,
    /// DASH: so many seconds before it could be fetched, by its ProducerReferenceTime, the media was recorded.
    pub recorded: Option<f64>,
    /// DASH: schemes of UTCTiming, tried in this order.
    pub clocks: Vec<&'static str>,
    /// DASH: what ServiceDescription asks for: target, and rates.
    pub service: Option<(f64, f64, f64)>,
    /// DASH: seconds of a chunk, where segments come while they are made.
    pub chunk: Option<f64>,
    /// DASH: changes can be had as patches.
    pub patches: bool,
    /// DASH: BaseURLs.
    pub places: Vec<&'static str>,
    /// DASH: `Location`.
    pub location: bool,
    /// DASH: seconds before its start at which a period is told of.
    pub announce: f64,
    /// DASH: `emsg` tells that the MPD has changed.
    pub expires: bool,

    /// HLS: seconds of a part.
    pub part: Option<f64>,
    /// HLS: blocking reload, where there are parts.
    pub blocks: bool,
    /// HLS: the next part is hinted at.
    pub hints: bool,
    /// What is hinted at is waited for by the server.
    pub kept: bool,
    /// HLS: EXT-X-PROGRAM-DATE-TIME.
    pub dates: bool,
    /// HLS: nothing leaves the playlist.
    pub event: bool,
    /// HLS: delta updates.
    pub deltas: bool,
    /// HLS: rendition reports.
    pub reports: bool,
    /// HLS: parts are byte ranges of their segments.
    pub ranged: bool,
}

/// Segments that the server has beyond what it lists.
const KEPT: usize = 10;

impl Live {
    /// Three rungs and sound, 2-second segments, on for 1000 seconds.
    pub fn new() -> Self {
        Self {
            stream: Stream::of(4_000_000.0).with(|s| s.segment = 2.0),
            age: 1000.0,
            depth: 60.0,
            end: None,
            period: None,
            rebased: false,
            turned: false,
            restart: None,
            renewed: false,
            late: Vec::new(),
            gaps: Vec::new(),
            stuck_at: None,
            update: None,
            addressing: None,
            uneven: 0.0,
            numbered: false,
            delay: None,
            clock: false,
            recorded: None,
            clocks: Vec::new(),
            service: None,
            chunk: None,
            patches: false,
            places: Vec::new(),
            location: false,
            announce: 6.0,
            expires: false,
            part: None,
            blocks: true,
            hints: true,
            kept: true,
            dates: true,
            event: false,
            deltas: false,
            reports: false,
            ranged: false,
        }
    }

    /// One rung without sound: quick to play for long.
    pub fn plain() -> Self {
        Self::new().with(|l| (l.stream.ladder, l.stream.languages) = (vec![300_000], vec![]))
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    // Time.

    /// Media time that is made at a virtual time.
    pub fn made_at(&self, now: f64) -> f64 {
        let now = self.stuck_at.map_or(now, |stuck| now.min(stuck));
        (now + self.age).min(self.end.unwrap_or(f64::INFINITY))
    }

    fn is_over(&self, now: f64) -> bool {
        self.end.is_some_and(|end| now + self.age >= end)
    }

    /// The clock when media of this time was made.
    pub fn clock_of(&self, media: f64) -> f64 {
        UNIX - self.age + media
    }

    /// Segments of a period.
    fn per_period(&self) -> usize {
        self.period.map_or(usize::MAX, |p| (p / self.stream.segment - 1e-6).ceil() as usize)
    }

    /// Period of a segment, and position in it.
    fn place(&self, n: usize) -> (usize, usize) {
        match self.restart.filter(|at| self.renewed && n >= *at) {
            Some(at) => (1, n - at),
            None => (n / self.per_period(), n % self.per_period()),
        }
    }

    /// The segment at a place.
    fn segment_at(&self, (part, i): (usize, usize)) -> Option<usize> {
        if self.renewed {
            return [Some(i), self.restart.map(|at| at + i)].get(part).copied()?;
        }
        (i < self.per_period() && (part == 0 || self.period.is_some()))
            .then(|| part.saturating_mul(self.per_period()) + i)
    }

    /// Media time at which a period begins.
    fn start_of_part(&self, part: usize) -> f64 {
        match self.restart.filter(|_| self.renewed && part > 0) {
            Some(at) => at as f64 * self.stream.segment,
            None => part as f64 * self.period.unwrap_or(0.0),
        }
    }

    /// From where to where a segment goes within its period.
    fn span_in(&self, i: usize) -> (f64, f64) {
        let at = |i: usize| (i as f64 * self.stream.segment).min(self.period.unwrap_or(f64::INFINITY));
        (at(i), at(i + 1))
    }

    /// The same on the whole timeline.
    pub fn span(&self, n: usize) -> (f64, f64) {
        let (part, i) = self.place(n);
        let (from, to) = self.span_in(i);
        let start = self.start_of_part(part);
        (start + from, (start + to).min(self.end.unwrap_or(f64::INFINITY)))
    }

    /// Segments that end at or before a media time.
    fn ended(&self, media: f64) -> usize {
        let media = media + 1e-6;
        let part = self.period.map_or(0, |p| (media / p).floor().max(0.0) as usize);
        let rest = media - part as f64 * self.period.unwrap_or(0.0);
        let within = (rest / self.stream.segment).floor().max(0.0) as usize;
        let whole =
            part.saturating_mul(self.per_period().min(usize::MAX / 2)) + within.min(self.per_period());
        let part_of_one = self.end.is_some_and(|end| media >= end && self.span(whole).0 < end - 1e-6);
        whole + usize::from(part_of_one)
    }

    /// Segments that are complete.
    fn complete(&self, now: f64) -> usize {
        self.ended(self.made_at(now))
    }

    /// The first that is listed.
    fn first(&self, now: f64) -> usize {
        let gone = (self.made_at(now) - self.depth).max(0.0);
        let first =
            self.ended(gone) + usize::from(self.period.is_none() && gone % self.stream.segment > 1e-6);
        let first = if self.event { 0 } else { first };
        // An encoder that began anew knows of nothing before.
        self.restart.filter(|at| self.complete(now) > *at).map_or(first, |at| first.max(at))
    }

    fn lateness(&self, n: usize) -> f64 {
        self.late.iter().find(|l| l.0 == n).map_or(0.0, |l| l.1)
    }

    /// Virtual time from which on the server has a segment.
    fn there_at(&self, n: usize) -> f64 {
        self.span(n).1 - self.age + self.lateness(n)
    }

    /// The segments that are listed.
    pub fn listed(&self, now: f64) -> std::ops::Range<usize> {
        let first = self.first(now);
        let there = |n: &usize| self.there_at(*n) <= now + 1e-6 || self.is_over(now);
        let count = (first..self.complete(now)).take_while(there).count();
        first..first + count
    }

    /// Media time of the end of a frame.
    pub fn end_of(&self, mark: Mark) -> f64 {
        let rate = if mark.kind == 'v' { f64::from(self.stream.fps) } else { 48_000.0 / 1024.0 };
        self.start_of_part(mark.part as usize) + f64::from(mark.number + 1) / rate
    }

    // Media.

    /// The track of a representation in a period.
    fn track(&self, name: &str, part: usize) -> Option<Track> {
        let (kind, number) = (name.chars().next()?, name.get(1..)?.parse().ok()?);
        let track = match kind {
            'v' if number < self.stream.ladder.len() => self.stream.video(0, number),
            'a' if number < self.stream.languages.len() => self.stream.audio(0, number),
            _ => return None,
        };
        let base =
            if self.rebased || self.renewed { 10.0 * (part % 3) as f64 } else { self.start_of_part(part) };
        Some(Track { part: part as u32, base: if part == 0 { track.base } else { base }, ..track })
    }

    /// Frames of a segment of the track's period.
    fn frames(&self, track: &Track, i: usize) -> (u32, u32) {
        let (from, to) = self.span_in(i);
        let start = self.start_of_part(track.part as usize);
        let to = to.min(self.end.unwrap_or(f64::INFINITY) - start);
        (track.frames_until(from), track.frames_until(to))
    }

    /// Start of a segment in ticks of the media.
    fn time_of(&self, track: &Track, i: usize) -> u64 {
        let base = (track.base * f64::from(track.timescale())).round() as u64;
        base + u64::from(self.frames(track, i).0) * u64::from(track.frame_ticks())
    }

    /// Ticks of a segment.
    fn ticks(&self, track: &Track, i: usize) -> u64 {
        let (from, to) = self.frames(track, i);
        u64::from(to - from) * u64::from(track.frame_ticks())
    }

    /// Seconds of a chunk or part.
    pub fn piece(&self) -> Option<f64> {
        self.chunk.or(self.part)
    }

    /// Chunks or parts of a segment.
    fn pieces(&self, n: usize) -> usize {
        let (from, to) = self.span(n);
        self.piece().map_or(0, |p| ((to - from) / p - 1e-6).ceil() as usize)
    }

    /// Frames of a chunk or part.
    fn piece_frames(&self, track: &Track, n: usize, piece: usize) -> (u32, u32) {
        let i = self.place(n).1;
        let (from, to) = self.frames(track, i);
        let start = self.span_in(i).0;
        let length = self.piece().unwrap();
        let at = |p: usize| track.frames_until(start + p as f64 * length).clamp(from, to);
        (at(piece), if piece + 1 >= self.pieces(n) { to } else { at(piece + 1) })
    }

    fn piece_bytes(&self, track: &Track, n: usize, piece: usize) -> Vec<u8> {
        let (from, to) = self.piece_frames(track, n, piece);
        track.segment(from, to, |_| true, |_| Vec::new())
    }

    /// Virtual time at which a chunk or part is there.
    fn piece_at(&self, n: usize, piece: usize) -> f64 {
        let (from, to) = self.span(n);
        let end = (from + (piece + 1) as f64 * self.piece().unwrap()).min(to);
        end - self.age + self.lateness(n)
    }

    fn segment_bytes(&self, track: &Track, n: usize, ts: bool) -> Vec<u8> {
        let (from, to) = self.frames(track, self.place(n).1);
        if ts && track.is_video() {
            let sound = self.track("a0", track.part as usize).filter(|_| self.stream.muxed);
            let sound = sound.or_else(|| self.stream.muxed.then(|| self.sound(track)));
            let with = sound.as_ref().map(|s| {
                let (a, b) = self.frames(s, self.place(n).1);
                (s, a, b)
            });
            return ts::segment(Some((track, from, to)), with, |_| true, &[]);
        }
        if ts {
            return ts::segment(None, Some((track, from, to)), |_| true, &[]);
        }
        let mut bytes = self.expiry(track, n);
        bytes.extend(track.segment(from, to, |_| true, |_| Vec::new()));
        bytes
    }

    /// The sound that goes along with pictures.
    fn sound(&self, track: &Track) -> Track {
        Track { part: track.part, base: track.base, ..self.stream.audio(0, 0) }
    }

    /// What a segment says of the MPD (ISO/IEC 23009-1 §5.10.4): from the next period on it is another one.
    fn expiry(&self, track: &Track, n: usize) -> Vec<u8> {
        let (from, to) = self.span(n);
        let mut w = ByteWriter::new();
        if let Some(period) = self.period.filter(|_| self.expires && track.is_video()) {
            // Told of in the segment in which the new MPD comes out.
            let next = ((from + self.announce) / period).ceil();
            let out = next * period - self.announce;
            if (from..to).contains(&out) {
                w.full_boxed(b"emsg", 0, 0, |w| {
                    w.bytes(b"urn:mpeg:dash:event:2012\x001\0");
                    w.u32(1000);
                    w.u32(((next * period - from) * 1000.0) as u32);
                    w.u32(0xffff);
                    w.u32(next as u32);
                    w.bytes(self.published(out - self.age - 0.01).as_bytes());
                });
            }
        }
        w.into_vec()
    }

    /// Media, by URL: a segment, a part, an initialization segment.
    fn media(&self, url: &str, now: f64, ts: bool) -> Option<Answer> {
        let path = url.strip_prefix(ROOT).or_else(|| url.strip_prefix(OTHER))?;
        let (name, path) = path.split_once('/')?;
        let (part, file) = match path.split_once('/') {
            Some((part, file)) => (part.parse().ok()?, file),
            None => (0, path),
        };
        let track = self.track(name, part)?;
        if file == "init.mp4" {
            return Some(Answer::new("video/mp4", track.init_segment(), now));
        }
        let stem = file.split('.').next()?;
        if let Some((i, piece)) = stem.split_once('-') {
            let (n, piece): (usize, usize) = (self.segment_at((part, i.parse().ok()?))?, piece.parse().ok()?);
            // A part that is hinted at is waited for.
            let at = self.piece_at(n, piece);
            let wait = if self.kept { 3.0 * self.stream.segment } else { 0.0 };
            let there = piece < self.pieces(n) && at <= now + wait + 1e-6;
            let made = self.made_at(at) + 1e-6 >= self.span(n).0;
            return (there && made)
                .then(|| Answer::new("video/mp4", self.piece_bytes(&track, n, piece), at.max(now)));
        }
        let n = self.segment_named(&track, part, stem)?;
        // Servers keep some more than they list.
        if n + KEPT < self.first(now) {
            return None;
        }
        if self.chunk.is_some() || (self.ranged && self.part.is_some()) {
            return self.growing(&track, n, now);
        }
        let there = self.there_at(n) <= now + 1e-6 && n < self.complete(now);
        there.then(|| Answer::new("video/mp4", self.segment_bytes(&track, n, ts), now))
    }

    fn segment_named(&self, track: &Track, part: usize, stem: &str) -> Option<usize> {
        let i = match stem.strip_prefix('t') {
            Some(ticks) => {
                let ticks: u64 = ticks.parse().ok()?;
                let seconds = ticks as f64 / f64::from(track.timescale()) - track.base;
                let guess = (seconds / self.stream.segment).round() as usize;
                (guess.saturating_sub(1)..=guess + 1).find(|i| self.time_of(track, *i) == ticks)?
            }
            None => stem.parse().ok()?,
        };
        self.segment_at((part, i))
    }

    /// A segment that is sent while it is made.
    fn growing(&self, track: &Track, n: usize, now: f64) -> Option<Answer> {
        // Where parts are ranges, the first is waited for; a chunk can be had when it is there.
        let wait = if self.part.is_some() { 3.0 * self.stream.segment } else { 0.0 };
        if self.piece_at(n, 0) > now + wait + 1e-6 || self.stuck_at.is_some_and(|at| self.piece_at(n, 0) > at)
        {
            return None;
        }
        let (mut bytes, mut made) = (Vec::new(), Vec::new());
        for piece in 0..self.pieces(n) {
            bytes.extend(self.piece_bytes(track, n, piece));
            made.push((self.piece_at(n, piece), bytes.len() as u64));
        }
        Some(Answer { made, ..Answer::new("video/mp4", bytes, now) })
    }

    /// Names of the representations, pictures first.
    fn names(&self) -> Vec<String> {
        let pictures = (0..self.stream.ladder.len()).map(|i| format!("v{i}"));
        pictures.chain((0..self.stream.languages.len()).map(|i| format!("a{i}"))).collect()
    }

    /// Where the media of a period lies.
    fn folder(name: &str, part: usize) -> String {
        if part == 0 { format!("{name}/") } else { format!("{name}/{part}/") }
    }
}

/// ISO 8601 of seconds since 1970.
pub fn iso(unix: f64) -> String {
    // Milliseconds, so that nothing is rounded up to 60 seconds.
    let ms = (unix * 1000.0).round() as i64;
    let (days, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Civil from days (Howard Hinnant's algorithm).
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
}
