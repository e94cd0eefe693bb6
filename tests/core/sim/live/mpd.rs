//! Dynamic MPDs of a live source, and patches to them.

use super::{Live, MOVED, OTHER, TIME, UNIX, iso};
use crate::sim::media::Track;
use crate::sim::site::{Answer, Site};
use crate::sim::streams::{Addressing, DASH_TYPE, MPD, ROOT};
use std::fmt::Write;

const PATCH: &str = "https://media.test/patch?from=";
/// Seconds for which a patch can be had.
const TTL: f64 = 30.0;

impl Live {
    /// A dynamic MPD at [`MPD`].
    pub fn dash(self) -> Site {
        let mut site = Site::default();
        site.serve(move |url, now| match url {
            MPD | MOVED => Some(Answer::new(DASH_TYPE, self.mpd(now), now)),
            _ if url.starts_with(TIME) => Some(Answer::new("text/plain", iso(UNIX + now), now)),
            _ => match url.strip_prefix(PATCH) {
                Some(from) => Some(Answer::new("application/dash-patch+xml", self.patch(from, now)?, now)),
                None => self.media(url, now, false),
            },
        });
        site
    }

    fn addressing(&self) -> Addressing {
        let told = if self.update.is_some() { Addressing::Time } else { Addressing::Number };
        self.addressing.unwrap_or(told)
    }

    /// The periods that are told of.
    fn periods(&self, now: f64) -> std::ops::RangeInclusive<usize> {
        if let Some(at) = self.restart.filter(|_| self.renewed) {
            let part = usize::from(self.complete(now) > at);
            return part..=part;
        }
        let Some(period) = self.period else { return 0..=0 };
        let made = self.made_at(now);
        let next = made + if self.is_over(now) { -1e-3 } else { self.announce };
        ((made - self.depth).max(0.0) / period) as usize..=(next / period) as usize
    }

    /// `@publishTime`: it is another one when the MPD is.
    pub(super) fn published(&self, now: f64) -> String {
        let periods = *self.periods(now).end();
        let announced =
            self.period.filter(|_| periods > 0).map_or(0.0, |p| periods as f64 * p - self.announce);
        let grown = match self.addressing() {
            Addressing::Time => self.listed(now).end.checked_sub(1).map_or(0.0, |n| self.span(n).1),
            _ => 0.0,
        };
        let over = if self.is_over(now) { 0.001 } else { 0.0 };
        iso(self.clock_of(announced.max(grown)) + over)
    }

    fn mpd(&self, now: f64) -> String {
        let mut x = String::new();
        let (over, periods) = (self.is_over(now), self.periods(now));
        // An encoder that began anew takes its start for that of the world.
        let epoch = if self.renewed { self.start_of_part(*periods.start()) } else { 0.0 };
        let _ = write!(
            x,
            "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" id=\"live\" profiles=\"\" \
             minBufferTime=\"PT2S\" publishTime=\"{}\" ",
            self.published(now)
        );
        if over {
            let _ =
                write!(x, "type=\"static\" mediaPresentationDuration=\"PT{}S\" ", self.end.unwrap() - epoch);
        } else {
            let _ = write!(
                x,
                "type=\"dynamic\" availabilityStartTime=\"{}\" timeShiftBufferDepth=\"PT{}S\" ",
                iso(self.clock_of(epoch)),
                self.depth
            );
            if let Some(update) = self.update {
                let _ = write!(x, "minimumUpdatePeriod=\"PT{update}S\" ");
            }
            if let Some(delay) = self.delay {
                let _ = write!(x, "suggestedPresentationDelay=\"PT{delay}S\" ");
            }
        }
        x.push('>');
        if self.location {
            let _ = write!(x, "<Location>{MOVED}</Location>");
        }
        if self.patches && !over {
            let _ = write!(x, "<PatchLocation ttl=\"{TTL}\">{}</PatchLocation>", self.patch_url(now));
        }
        for place in &self.places {
            let _ = write!(x, "<BaseURL>{place}</BaseURL>");
        }
        if let Some((target, slow, fast)) = self.service {
            let _ = write!(
                x,
                "<ServiceDescription id=\"0\"><Latency target=\"{}\"/><PlaybackRate min=\"{slow}\" max=\"{fast}\"/>\
                 </ServiceDescription>",
                (target * 1000.0) as u32
            );
        }
        for part in periods {
            let _ = write!(x, "<Period id=\"p{part}\" start=\"PT{}S\">", self.start_of_part(part) - epoch);
            self.sets(&mut x, part, now);
            x.push_str("</Period>");
        }
        let iso_clock = self.clock.then_some("http-iso:2014");
        for (i, scheme) in self.clocks.iter().copied().chain(iso_clock).enumerate() {
            let value = if scheme.starts_with("direct") { iso(UNIX + now) } else { format!("{TIME}?{i}") };
            let _ = write!(x, "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:{scheme}\" value=\"{value}\"/>");
        }
        x.push_str("</MPD>");
        x
    }

    fn sets(&self, x: &mut String, part: usize, now: f64) {
        let names = self.names();
        let (pictures, sound) = names.split_at(self.stream.ladder.len());
        let sets = std::iter::once(pictures).chain(sound.chunks(1)).filter(|s| !s.is_empty());
        let mut sets: Vec<_> = sets.enumerate().collect();
        let turned = self.turned && part % 2 == 1;
        if turned {
            sets.reverse();
        }
        for (i, names) in sets {
            let kind = if names[0].starts_with('v') { "video" } else { "audio" };
            let _ = write!(x, "<AdaptationSet id=\"{i}\" contentType=\"{kind}\" mimeType=\"{kind}/mp4\"");
            if kind == "audio" {
                let _ = write!(x, " lang=\"{}\"", self.stream.languages[i - 1]);
            }
            x.push('>');
            if let Some(before) = self.recorded {
                let wall = iso(self.clock_of(0.0) - before);
                let _ = write!(
                    x,
                    "<ProducerReferenceTime id=\"0\" type=\"encoder\" wallClockTime=\"{wall}\" presentationTime=\"0\"/>"
                );
            }
            if self.expires && kind == "video" {
                x.push_str("<InbandEventStream schemeIdUri=\"urn:mpeg:dash:event:2012\" value=\"1\"/>");
            }
            for name in names {
                let track = self.track(name, part).unwrap();
                let _ = write!(
                    x,
                    "<Representation id=\"{name}\" bandwidth=\"{}\" codecs=\"{}\">",
                    track.bandwidth,
                    if self.turned && kind == "video" {
                        format!("avc1.6400{:02x}", 20 + part)
                    } else {
                        track.codec.name()
                    }
                );
                self.template(x, name, &track, now);
                x.push_str("</Representation>");
            }
            x.push_str("</AdaptationSet>");
        }
    }

    fn template(&self, x: &mut String, name: &str, track: &Track, now: f64) {
        let (scale, part) = (track.timescale(), track.part as usize);
        let folder = Self::folder(name, part);
        let offset = (track.base * f64::from(scale)).round();
        let _ = write!(
            x,
            "<SegmentTemplate timescale=\"{scale}\" presentationTimeOffset=\"{offset}\" initialization=\"{folder}init.mp4\" "
        );
        if let Some(chunk) = self.chunk {
            let offset = self.stream.segment - chunk;
            let _ = write!(x, "availabilityTimeOffset=\"{offset:.3}\" availabilityTimeComplete=\"false\" ");
        }
        if self.addressing() != Addressing::Time {
            let ticks = (self.stream.segment * f64::from(scale)).round();
            let _ = write!(x, "duration=\"{ticks}\" startNumber=\"0\" media=\"{folder}$Number$.m4s\"/>");
            return;
        }
        let known = if track.is_video() { now - self.uneven } else { now };
        let listed: Vec<usize> = self.of_part(part, known).collect();
        if self.numbered {
            let first = listed.first().copied().unwrap_or(0);
            let _ = write!(x, "startNumber=\"{first}\" media=\"{folder}$Number$.m4s\"");
        } else {
            let _ = write!(x, "media=\"{folder}t$Time$.m4s\"");
        }
        x.push_str("><SegmentTimeline>");
        if self.patches {
            for i in listed {
                let _ = write!(x, "{}", self.entry(track, i));
            }
        } else {
            let equal = listed.chunk_by(|a, b| self.ticks(track, *a) == self.ticks(track, *b));
            for run in equal {
                let (t, d) = (self.time_of(track, run[0]), self.ticks(track, run[0]));
                let _ = write!(x, "<S t=\"{t}\" d=\"{d}\" r=\"{}\"/>", run.len() - 1);
            }
        }
        x.push_str("</SegmentTimeline></SegmentTemplate>");
    }

    fn entry(&self, track: &Track, i: usize) -> String {
        format!("<S t=\"{}\" d=\"{}\"/>", self.time_of(track, i), self.ticks(track, i))
    }

    /// Segments of a period that are listed, by position in it.
    fn of_part(&self, part: usize, now: f64) -> impl Iterator<Item = usize> {
        let all = self.listed(now);
        all.map(|n| self.place(n)).filter(move |(p, _)| *p == part).map(|(_, i)| i)
    }

    /// Names the state of the MPD.
    fn patch_url(&self, now: f64) -> String {
        format!("{PATCH}{now}")
    }

    /// What has changed since.
    fn patch(&self, from: &str, now: f64) -> Option<String> {
        let from: f64 = from.parse().ok()?;
        if now - from > TTL || self.is_over(now) || self.period.is_some() || self.renewed {
            return None;
        }
        let mut x = format!(
            "<?xml version=\"1.0\"?><Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"live\" \
             originalPublishTime=\"{}\" publishTime=\"{}\">\
             <replace sel=\"/MPD/PatchLocation\"><PatchLocation ttl=\"{TTL}\">{}</PatchLocation></replace>",
            self.published(from),
            self.published(now),
            self.patch_url(now)
        );
        let (old, new) = (self.listed(from), self.listed(now));
        for name in self.names() {
            let track = self.track(&name, 0)?;
            let path = format!(
                "/MPD/Period[@id='p0']/AdaptationSet/Representation[@id='{name}']/SegmentTemplate/SegmentTimeline"
            );
            for _ in old.start..new.start.min(old.end) {
                let _ = write!(x, "<remove sel=\"{path}/S[1]\"/>");
            }
            if new.end > old.end {
                let _ = write!(x, "<add sel=\"{path}\">");
                for n in old.end.max(new.start)..new.end {
                    x.push_str(&self.entry(&track, n));
                }
                x.push_str("</add>");
            }
        }
        x.push_str("</Patch>");
        Some(x)
    }

    /// Two places that have the same.
    pub fn two_places() -> Vec<&'static str> {
        vec![ROOT, OTHER]
    }
}
