//! Playlists of a live source, plain and low-latency.

use super::{Live, OTHER, iso};
use crate::sim::media::Track;
use crate::sim::site::{Answer, Site};
use crate::sim::streams::{HLS_TYPE, M3U8, ROOT, redundant};
use std::fmt::Write;

impl Live {
    /// A multivariant playlist at [`M3U8`], with media playlists that move on.
    pub fn hls(self, ts: bool) -> Site {
        let mut site = Site::default();
        site.serve(move |url, now| {
            if url == M3U8 {
                let mut text = self.stream.multivariant();
                if let Some(other) = self.places.get(1) {
                    text = redundant(&text, other);
                }
                return Some(Answer::new(HLS_TYPE, text, now));
            }
            let (path, query) = url.split_once('?').unwrap_or((url, ""));
            if let Some(name) = path
                .strip_prefix(ROOT)
                .or_else(|| path.strip_prefix(OTHER))
                .and_then(|p| p.strip_suffix(".m3u8"))
            {
                let at = self.answers_at(query, now)?;
                let skip = self.deltas && query.split('&').any(|pair| pair == "_HLS_skip=YES");
                return Some(Answer::new(HLS_TYPE, self.playlist(name, ts, skip, at)?, at));
            }
            self.media(url, now, ts)
        });
        site
    }

    /// The number that the server gives a segment.
    fn number(&self, n: usize) -> usize {
        self.restart.filter(|at| n >= *at).map_or(n, |at| n - at)
    }

    /// When a reading with delivery directives is answered. `None`: it asks for too much (RFC 8216bis §6.2.5.2: 400).
    fn answers_at(&self, query: &str, now: f64) -> Option<f64> {
        let of = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
        };
        let Some(msn) = of("_HLS_msn").filter(|_| self.blocks) else { return Some(now) };
        let (next, restarted) = (self.complete(now), self.restart.filter(|at| self.complete(now) > *at));
        let n = msn + restarted.unwrap_or(0);
        if n > next + 2 {
            return None;
        }
        let at = match (of("_HLS_part"), self.part) {
            // More than a segment has: the next segment's first.
            (Some(part), Some(_)) if part >= self.pieces(n) => self.piece_at(n + 1, 0),
            (Some(part), Some(_)) => self.piece_at(n, part),
            _ => self.there_at(n),
        };
        // Nothing comes any more: servers give up some time.
        Some(at.max(now).min(now + 3.0 * self.stream.segment))
    }

    fn playlist(&self, name: &str, ts: bool, skip: bool, now: f64) -> Option<String> {
        self.track(name, 0)?;
        let suffix = if ts { "ts" } else { "m4s" };
        let mut x = String::from("#EXTM3U\n#EXT-X-VERSION:9\n");
        let (listed, over) = (self.listed(now), self.is_over(now));
        let _ = writeln!(x, "#EXT-X-TARGETDURATION:{}", self.stream.segment.ceil());
        let _ = writeln!(x, "#EXT-X-MEDIA-SEQUENCE:{}", self.number(listed.start));
        if self.event {
            x.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n");
        }
        let first = self.place(listed.start).0;
        if self.period.is_some() {
            let _ = writeln!(x, "#EXT-X-DISCONTINUITY-SEQUENCE:{first}");
        }
        self.control(&mut x);
        // RFC 8216bis §4.4.5.2: of what is older than the boundary.
        let skipped = if skip { listed.len().saturating_sub(6) } else { 0 };
        if skipped > 0 {
            let _ = writeln!(x, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
        }
        // A segment that is late is one that is being made.
        let (from, to) = (listed.start + skipped, listed.end);
        let mut part = if skipped > 0 { self.place(from.saturating_sub(1)).0 } else { first };
        for n in from..=to {
            let is = self.place(n).0;
            let starts = n == from && skipped == 0;
            // The tags of a segment come with its first part, or with the hint at that.
            let hinted = self.hints && self.made_at(now) + 1e-6 >= self.span(n).0;
            let there =
                n < to || (!over && self.part.is_some() && (hinted || self.piece_at(n, 0) <= now + 1e-9));
            if is != part && there {
                x.push_str("#EXT-X-DISCONTINUITY\n");
                part = is;
            }
            if (starts || is != self.place(n.saturating_sub(1)).0) && !ts && there {
                let _ = writeln!(x, "#EXT-X-MAP:URI=\"{}init.mp4\"", Self::folder(name, is));
            }
            let track = self.track(name, is)?;
            if self.dates && there {
                let _ = writeln!(x, "#EXT-X-PROGRAM-DATE-TIME:{}", iso(self.clock_of(self.span(n).0)));
            }
            if self.part.is_some() && n + 3 > to && !over {
                self.parts(&mut x, name, &track, n, now);
            }
            if n < to {
                if self.gaps.contains(&n) {
                    x.push_str("#EXT-X-GAP\n");
                }
                let i = self.place(n).1;
                let seconds = self.ticks(&track, i) as f64 / f64::from(track.timescale());
                let _ = writeln!(x, "#EXTINF:{seconds:.3},\n{}{i}.{suffix}", Self::folder(name, is));
            }
        }
        if self.reports && !over {
            self.rendition_reports(&mut x, name, to, now);
        }
        if over {
            x.push_str("#EXT-X-ENDLIST\n");
        }
        Some(x)
    }

    fn control(&self, x: &mut String) {
        let Some(part) = self.part else { return };
        let _ = writeln!(x, "#EXT-X-PART-INF:PART-TARGET={part}");
        let block = if self.blocks { "CAN-BLOCK-RELOAD=YES," } else { "" };
        let skip = if self.deltas {
            format!("CAN-SKIP-UNTIL={},", 6.0 * self.stream.segment.ceil())
        } else {
            String::new()
        };
        let _ = writeln!(x, "#EXT-X-SERVER-CONTROL:{block}{skip}PART-HOLD-BACK={}", 3.0 * part);
    }

    /// Parts of a segment that are there, and a hint at the next.
    fn parts(&self, x: &mut String, name: &str, track: &Track, n: usize, now: f64) {
        let (part, i) = self.place(n);
        let folder = Self::folder(name, part);
        let mut offset = 0;
        for piece in 0..self.pieces(n) {
            let (from, to) = self.piece_frames(track, n, piece);
            let seconds =
                f64::from(to - from) * f64::from(track.frame_ticks()) / f64::from(track.timescale());
            let there = self.piece_at(n, piece) <= now + 1e-9;
            if !there && self.hints {
                let _ = match self.ranged {
                    true => writeln!(
                        x,
                        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{folder}{i}.m4s\",BYTERANGE-START={offset}"
                    ),
                    false => writeln!(x, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{folder}{i}-{piece}.m4s\""),
                };
            }
            if !there {
                return;
            }
            let independent = if from.is_multiple_of(track.gop) { ",INDEPENDENT=YES" } else { "" };
            let uri = if self.ranged {
                let length = self.piece_bytes(track, n, piece).len();
                let range = format!("{folder}{i}.m4s\",BYTERANGE=\"{length}@{offset}\"");
                offset += length;
                range
            } else {
                format!("{folder}{i}-{piece}.m4s\"")
            };
            let _ = writeln!(x, "#EXT-X-PART:DURATION={seconds:.5},URI=\"{uri}{independent}");
        }
    }

    /// How far the other playlists are: as far as this one.
    fn rendition_reports(&self, x: &mut String, name: &str, next: usize, now: f64) {
        let parts = (0..self.pieces(next)).take_while(|p| self.piece_at(next, *p) <= now + 1e-9).count();
        let (msn, part) = match parts.checked_sub(1) {
            Some(part) => (next, part),
            None => (next.saturating_sub(1), self.pieces(next.saturating_sub(1)).saturating_sub(1)),
        };
        for other in self.names().iter().filter(|other| *other != name) {
            let _ = writeln!(
                x,
                "#EXT-X-RENDITION-REPORT:URI=\"{other}.m3u8\",LAST-MSN={},LAST-PART={part}",
                self.number(msn)
            );
        }
    }
}
