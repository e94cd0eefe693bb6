//! Live origins under the virtual clock: what a server has at a moment is made when it is asked for, and nothing is kept.

use super::media::Track;
use super::site::{Answer, Site};
use super::streams::{DASH_TYPE, HLS_TYPE, M3U8, MPD, ROOT, Stream};
use std::fmt::Write;

/// The server's clock at virtual time 0, in seconds since 1970.
pub const UNIX: f64 = 1_800_000_000.0;
pub const TIME: &str = "https://media.test/time";

/// A source that has been on for a while and goes on.
#[derive(Clone)]
pub struct Live {
    pub stream: Stream,
    /// Media time at virtual time 0, in seconds.
    pub age: f64,
    /// Seconds behind the edge that are kept.
    pub depth: f64,
    /// Media time at which it ends.
    pub end: Option<f64>,
    /// DASH: `minimumUpdatePeriod`; `None`: never. With a value the MPD has a SegmentTimeline.
    pub update: Option<f64>,
    /// DASH: `suggestedPresentationDelay`.
    pub delay: Option<f64>,
    /// DASH: UTCTiming.
    pub clock: bool,
    /// DASH: so many seconds before it could be fetched, by its ProducerReferenceTime, the media was recorded.
    pub recorded: Option<f64>,
    /// HLS: seconds of a part.
    pub part: Option<f64>,
    /// HLS: blocking reload, where there are parts.
    pub blocks: bool,
    /// HLS: the next part is hinted at.
    pub hints: bool,
    /// HLS: EXT-X-PROGRAM-DATE-TIME.
    pub dates: bool,
    /// HLS: the numbers begin anew at this segment.
    pub restart: Option<usize>,
    /// Segments (by position) that come so many seconds late; infinite: never.
    pub late: Vec<(usize, f64)>,
    /// Nothing is added from this virtual time on, though the stream does not end.
    pub stuck_at: Option<f64>,
}

impl Live {
    /// Three rungs and sound, 2-second segments, on for 1000 seconds.
    pub fn new() -> Self {
        let stream = Stream::of(4_000_000.0).with(|s| s.segment = 2.0);
        Self {
            stream,
            age: 1000.0,
            depth: 60.0,
            end: None,
            update: None,
            delay: None,
            clock: false,
            recorded: None,
            part: None,
            blocks: true,
            hints: true,
            dates: true,
            restart: None,
            late: Vec::new(),
            stuck_at: None,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Media time that is made at a virtual time.
    pub fn made_at(&self, now: f64) -> f64 {
        let now = self.stuck_at.map_or(now, |stuck| now.min(stuck));
        (now + self.age).min(self.end.unwrap_or(f64::INFINITY))
    }

    fn is_over(&self, now: f64) -> bool {
        self.end.is_some_and(|end| now + self.age >= end)
    }

    /// Segments that are complete.
    fn complete(&self, now: f64) -> usize {
        let made = ((self.made_at(now) + 1e-6) / self.stream.segment).floor() as usize;
        let over = self.is_over(now) as usize;
        let all = self.end.map_or(usize::MAX, |end| (end / self.stream.segment).ceil() as usize);
        (made + over).min(all)
    }

    fn first(&self, now: f64) -> usize {
        ((self.made_at(now) - self.depth) / self.stream.segment).ceil().max(0.0) as usize
    }

    fn lateness(&self, n: usize) -> f64 {
        self.late.iter().find(|l| l.0 == n).map_or(0.0, |l| l.1)
    }

    /// The number that the server gives a segment.
    fn number(&self, n: usize) -> usize {
        self.restart.filter(|at| n >= *at).map_or(n, |at| n - at)
    }

    fn track(&self, name: &str) -> Option<Track> {
        let (kind, number) = (name.chars().next()?, name.get(1..)?.parse().ok()?);
        match kind {
            'v' if number < self.stream.ladder.len() => Some(self.stream.video(0, number)),
            'a' if number < self.stream.languages.len() => Some(self.stream.audio(0, number)),
            _ => None,
        }
    }

    /// Bytes of a part: some frames of a segment.
    fn part_bytes(&self, track: &Track, n: usize, part: usize) -> Vec<u8> {
        let (from, to) = self.part_frames(track, n, part);
        track.segment(from, to, |_| true, |_| Vec::new())
    }

    fn part_frames(&self, track: &Track, n: usize, part: usize) -> (u32, u32) {
        let length = self.part.unwrap();
        let (from, to) = self.stream.frames_of(track, n);
        let start = n as f64 * self.stream.segment;
        let at = |i: usize| track.frames_until(start + i as f64 * length).clamp(from, to);
        (at(part), if (part + 1) as f64 * length >= self.stream.segment - 1e-6 { to } else { at(part + 1) })
    }

    fn parts_per_segment(&self) -> usize {
        self.part.map_or(0, |p| (self.stream.segment / p - 1e-6).ceil() as usize)
    }

    /// Virtual time at which a part is there.
    fn part_at(&self, n: usize, part: usize) -> f64 {
        let end = ((part + 1) as f64 * self.part.unwrap()).min(self.stream.segment);
        n as f64 * self.stream.segment + end - self.age + self.lateness(n)
    }

    fn media(&self, url: &str, now: f64, ts: bool) -> Option<Answer> {
        let (name, file) = url.strip_prefix(ROOT)?.split_once('/')?;
        let track = self.track(name)?;
        let answer = |bytes, at| Some(Answer { content_type: "video/mp4", bytes, at });
        if file == "init.mp4" {
            return answer(track.init_segment(), now);
        }
        let stem = file.split('.').next()?;
        if let Some((n, part)) = stem.split_once('-') {
            let (n, part): (usize, usize) = (n.parse().ok()?, part.parse().ok()?);
            // A part that is hinted at is waited for.
            let at = self.part_at(n, part);
            return (at < now + 3.0 * self.stream.segment)
                .then(|| answer(self.part_bytes(&track, n, part), at.max(now)))?;
        }
        let n: usize = match stem.strip_prefix('t') {
            Some(ticks) => {
                let ticks: u64 = ticks.parse().ok()?;
                let guess =
                    (ticks as f64 / f64::from(track.timescale()) / self.stream.segment).round() as usize;
                (guess.saturating_sub(1)..=guess + 1).find(|n| self.stream.time_of(&track, *n) == ticks)?
            }
            None => stem.parse().ok()?,
        };
        // Servers keep some more than they list.
        let there = n < self.complete(now - self.lateness(n)) && n + 10 >= self.first(now);
        there.then(|| {
            answer(if ts { self.stream.transport(&track, n) } else { self.stream.fmp4(&track, n) }, now)
        })?
    }

    /// A dynamic MPD at [`MPD`].
    pub fn dash(self) -> Site {
        let mut site = Site::default();
        site.serve(move |url, now| match url {
            MPD => Some(Answer { content_type: DASH_TYPE, bytes: self.mpd(now).into_bytes(), at: now }),
            TIME => Some(Answer { content_type: "text/plain", bytes: iso(UNIX + now).into_bytes(), at: now }),
            _ => self.media(url, now, false),
        });
        site
    }

    fn mpd(&self, now: f64) -> String {
        let mut x = String::new();
        let over = self.is_over(now);
        let _ = write!(
            x,
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"\" minBufferTime=\"PT2S\" \
             publishTime=\"{}\" ",
            iso(UNIX + now)
        );
        if over {
            let _ = write!(x, "type=\"static\" mediaPresentationDuration=\"PT{}S\" ", self.end.unwrap());
        } else {
            let _ = write!(
                x,
                "type=\"dynamic\" availabilityStartTime=\"{}\" timeShiftBufferDepth=\"PT{}S\" ",
                iso(UNIX - self.age),
                self.depth
            );
            if let Some(update) = self.update {
                let _ = write!(x, "minimumUpdatePeriod=\"PT{update}S\" ");
            }
            if let Some(delay) = self.delay {
                let _ = write!(x, "suggestedPresentationDelay=\"PT{delay}S\" ");
            }
        }
        x.push_str("><Period id=\"p0\" start=\"PT0S\">");
        let sound = self.stream.languages.iter().enumerate().map(|(i, _)| format!("a{i}"));
        let pictures = (0..self.stream.ladder.len()).map(|i| format!("v{i}")).collect();
        let sets = std::iter::once(pictures).chain(sound.map(|name| vec![name]));
        for (i, names) in sets.enumerate() {
            let kind = if i == 0 { "video" } else { "audio" };
            let _ = write!(x, "<AdaptationSet id=\"{i}\" contentType=\"{kind}\" mimeType=\"{kind}/mp4\">");
            if let Some(before) = self.recorded {
                let wall = iso(UNIX - self.age - before);
                let _ = write!(
                    x,
                    "<ProducerReferenceTime id=\"0\" type=\"encoder\" wallClockTime=\"{wall}\" presentationTime=\"0\"/>"
                );
            }
            for name in names {
                let track = self.track(&name).unwrap();
                let scale = track.timescale();
                let _ = write!(
                    x,
                    "<Representation id=\"{name}\" bandwidth=\"{}\" codecs=\"{}\"><SegmentTemplate timescale=\"{scale}\" \
                     initialization=\"{name}/init.mp4\" ",
                    track.bandwidth,
                    track.codec.name()
                );
                if self.update.is_some() {
                    let _ = write!(x, "media=\"{name}/t$Time$.m4s\"><SegmentTimeline>");
                    for n in self.first(now)..self.complete(now) {
                        let (from, to) = self.stream.frames_of(&track, n);
                        let ticks = (to - from) * track.frame_ticks();
                        let _ = write!(x, "<S t=\"{}\" d=\"{ticks}\"/>", self.stream.time_of(&track, n));
                    }
                    x.push_str("</SegmentTimeline></SegmentTemplate>");
                } else {
                    let ticks = (self.stream.segment * f64::from(scale)).round();
                    let _ =
                        write!(x, "duration=\"{ticks}\" startNumber=\"0\" media=\"{name}/$Number$.m4s\"/>");
                }
                x.push_str("</Representation>");
            }
            x.push_str("</AdaptationSet>");
        }
        x.push_str("</Period>");
        if self.clock {
            let _ =
                write!(x, "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"{TIME}\"/>");
        }
        x.push_str("</MPD>");
        x
    }

    /// A multivariant playlist at [`M3U8`], with media playlists that move on.
    pub fn hls(self, ts: bool) -> Site {
        let mut site = Site::default();
        site.serve(move |url, now| {
            if url == M3U8 {
                let text = self.stream.multivariant();
                return Some(Answer { content_type: HLS_TYPE, bytes: text.into_bytes(), at: now });
            }
            let (path, query) = url.split_once('?').unwrap_or((url, ""));
            if let Some(name) = path.strip_prefix(ROOT).and_then(|p| p.strip_suffix(".m3u8")) {
                let at = self.answers_at(query, now)?;
                let text = self.playlist(name, ts, at)?;
                return Some(Answer { content_type: HLS_TYPE, bytes: text.into_bytes(), at });
            }
            self.media(url, now, ts)
        });
        site
    }

    /// When a reading with delivery directives is answered.
    fn answers_at(&self, query: &str, now: f64) -> Option<f64> {
        let of = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
        };
        let Some(msn) = of("_HLS_msn").filter(|_| self.blocks) else { return Some(now) };
        let at = match (of("_HLS_part"), self.part) {
            (Some(part), Some(_)) => self.part_at(msn, part),
            _ => (msn + 1) as f64 * self.stream.segment - self.age + self.lateness(msn),
        };
        // Nothing comes any more: servers give up some time.
        Some(at.max(now).min(now + 3.0 * self.stream.segment))
    }

    fn playlist(&self, name: &str, ts: bool, now: f64) -> Option<String> {
        let track = self.track(name)?;
        let suffix = if ts { "ts" } else { "m4s" };
        let mut x = String::from("#EXTM3U\n#EXT-X-VERSION:9\n");
        let mut first = self.first(now);
        let complete = (first..self.complete(now)).take_while(|n| {
            now + 1e-9 >= (n + 1) as f64 * self.stream.segment - self.age + self.lateness(*n)
                || self.is_over(now)
        });
        let complete = complete.last().map_or(first, |n| n + 1);
        if let Some(at) = self.restart.filter(|at| complete > *at) {
            first = first.max(at);
        }
        let _ = writeln!(x, "#EXT-X-TARGETDURATION:{}", self.stream.segment.ceil());
        let _ = writeln!(x, "#EXT-X-MEDIA-SEQUENCE:{}", self.number(first));
        if let Some(part) = self.part {
            let _ = writeln!(x, "#EXT-X-PART-INF:PART-TARGET={part}");
            let block = if self.blocks { "CAN-BLOCK-RELOAD=YES," } else { "" };
            let _ = writeln!(x, "#EXT-X-SERVER-CONTROL:{block}PART-HOLD-BACK={}", 3.0 * part);
        }
        if !ts {
            let _ = writeln!(x, "#EXT-X-MAP:URI=\"{name}/init.mp4\"");
        }
        let over = self.is_over(now);
        for n in first..=complete {
            if self.dates && n < complete {
                let date = iso(UNIX - self.age + n as f64 * self.stream.segment);
                let _ = writeln!(x, "#EXT-X-PROGRAM-DATE-TIME:{date}");
            }
            if self.part.is_some() && n + 3 > complete && !over {
                for part in 0..self.parts_per_segment() {
                    let there = n < complete || self.part_at(n, part) <= now + 1e-9;
                    let (from, to) = self.part_frames(&track, n, part);
                    let seconds =
                        f64::from(to - from) * f64::from(track.frame_ticks()) / f64::from(track.timescale());
                    let uri = format!("{name}/{n}-{part}.m4s");
                    if there {
                        let independent =
                            if part == 0 || !track.is_video() { ",INDEPENDENT=YES" } else { "" };
                        let _ = writeln!(x, "#EXT-X-PART:DURATION={seconds:.5},URI=\"{uri}\"{independent}");
                    } else {
                        if self.hints {
                            let _ = writeln!(x, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{uri}\"");
                        }
                        break;
                    }
                }
            }
            if n < complete {
                let (from, to) = self.stream.frames_of(&track, n);
                let seconds =
                    f64::from(to - from) * f64::from(track.frame_ticks()) / f64::from(track.timescale());
                let _ = writeln!(x, "#EXTINF:{seconds:.3},\n{name}/{n}.{suffix}");
            }
        }
        if over {
            x.push_str("#EXT-X-ENDLIST\n");
        }
        Some(x)
    }
}

/// ISO 8601 of seconds since 1970.
pub fn iso(unix: f64) -> String {
    let days = (unix / 86_400.0).floor() as i64;
    let seconds = unix - days as f64 * 86_400.0;
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
    let (h, m) = ((seconds / 3600.0) as u32, (seconds / 60.0) as u32 % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{:06.3}Z", seconds % 60.0)
}
