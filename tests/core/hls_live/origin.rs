//! An origin of live playlists, as the tests of the merge need it: it knows what every playlist must lead to.

use std::fmt::Write;

/// Small, seeded randomness (xorshift64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Debug, Default)]
pub struct Segment {
    pub duration: f64,
    pub discontinuity: bool,
    pub gap: bool,
    /// Written as EXT-X-PROGRAM-DATE-TIME.
    pub dated: bool,
    /// Milliseconds since 1970 of its start.
    pub date: u64,
    pub map: u32,
    pub key: u32,
    pub ranged: bool,
    pub parts: Vec<f64>,
}

pub struct Origin {
    pub sequence: u64,
    pub discontinuity_sequence: u32,
    pub segments: Vec<Segment>,
    /// The one that is being made: its parts are listed.
    pub open: Segment,
    pub target: f64,
    pub part: f64,
    pub parts_per_segment: usize,
    /// Segments that are listed; 0: all (EVENT).
    pub window: usize,
    pub hints: bool,
    pub fmp4: bool,
    pub ended: bool,
    pub date: u64,
}

impl Origin {
    pub fn new(window: usize, parts_per_segment: usize, fmp4: bool) -> Self {
        let mut origin = Self {
            sequence: 7,
            discontinuity_sequence: 2,
            segments: Vec::new(),
            open: Segment::default(),
            target: 2.0,
            part: 0.5,
            parts_per_segment,
            window,
            hints: parts_per_segment > 0,
            fmp4,
            ended: false,
            date: 1_700_000_000_000,
        };
        origin.open.date = origin.date;
        origin.open.dated = true;
        origin
    }

    pub fn next(&self) -> u64 {
        self.sequence + self.segments.len() as u64
    }

    /// One part more, or a whole segment where there are no parts.
    pub fn step(&mut self, random: &mut Random) {
        if self.open.parts.len() < self.parts_per_segment {
            self.open.parts.push(self.part);
        }
        if self.open.parts.len() < self.parts_per_segment {
            return;
        }
        let mut done = std::mem::take(&mut self.open);
        done.duration = if self.parts_per_segment > 0 {
            done.parts.iter().sum()
        } else {
            0.5 + random.below(6) as f64 / 4.0
        };
        done.gap = random.one_in(9);
        self.date = done.date + (done.duration * 1000.0) as u64;
        let ranged = random.one_in(4);
        self.open = Segment { date: self.date, map: done.map, key: done.key, ranged, ..Segment::default() };
        if random.one_in(6) {
            self.open.discontinuity = true;
            self.open.map += random.below(2) as u32;
            self.open.key = random.below(4) as u32;
        }
        self.open.dated = random.one_in(3) || self.open.discontinuity;
        self.segments.push(done);
        while self.window > 0 && self.segments.len() > self.window {
            self.discontinuity_sequence += u32::from(self.segments.remove(0).discontinuity);
            self.sequence += 1;
        }
    }

    fn tags(&self, out: &mut String, segment: &Segment, before: Option<&Segment>) {
        if segment.discontinuity {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if segment.dated {
            let (seconds, ms) = (segment.date / 1000, segment.date % 1000);
            let (day, rest) = (seconds / 86_400, seconds % 86_400);
            // 1_700_000_000 lies on 2023-11-14, which is day 19675.
            assert!((19_675..19_690).contains(&day), "the origin's calendar has but two weeks");
            let _ = writeln!(
                out,
                "#EXT-X-PROGRAM-DATE-TIME:2023-11-{:02}T{:02}:{:02}:{:02}.{ms:03}Z",
                day - 19_675 + 14,
                rest / 3600,
                rest / 60 % 60,
                rest % 60
            );
        }
        if self.fmp4 && before.is_none_or(|b| b.map != segment.map) {
            let _ = writeln!(out, "#EXT-X-MAP:URI=\"init{}.mp4\"", segment.map);
        }
        if before.map_or(0, |b| b.key) != segment.key {
            let _ = match segment.key {
                0 => writeln!(out, "#EXT-X-KEY:METHOD=NONE"),
                key => writeln!(out, "#EXT-X-KEY:METHOD=AES-128,URI=\"key{key}\""),
            };
        }
    }

    fn parts(&self, out: &mut String, number: u64, segment: &Segment) {
        for (i, duration) in segment.parts.iter().enumerate() {
            let independent = if i == 0 { ",INDEPENDENT=YES" } else { "" };
            if segment.ranged {
                let at = if i == 0 { "@0" } else { "" };
                let _ = writeln!(
                    out,
                    "#EXT-X-PART:DURATION={duration},URI=\"s{number}.m4s\",BYTERANGE=\"100{at}\"{independent}"
                );
            } else {
                let _ =
                    writeln!(out, "#EXT-X-PART:DURATION={duration},URI=\"s{number}.{i}.m4s\"{independent}");
            }
        }
    }

    /// The playlist as it is now. `skip`: a delta update; gives the full one if there is nothing to skip.
    pub fn playlist(&self, skip: bool) -> String {
        let mut out = format!("#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:{}\n", self.target);
        let until = 6.0 * self.target;
        let _ = writeln!(
            out,
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={until},PART-HOLD-BACK={}",
            3.0 * self.part
        );
        if self.parts_per_segment > 0 {
            let _ = writeln!(out, "#EXT-X-PART-INF:PART-TARGET={}", self.part);
        }
        if self.window == 0 {
            out.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n");
        }
        let _ = writeln!(out, "#EXT-X-MEDIA-SEQUENCE:{}", self.sequence);
        let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuity_sequence);
        let distance = |from: usize| -> f64 { self.segments[from..].iter().map(|s| s.duration).sum() };
        let skipped = (0..self.segments.len()).filter(|i| distance(*i) > until).count();
        let skipped = if skip { skipped } else { 0 };
        if skipped > 0 {
            let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
        }
        for (i, segment) in self.segments.iter().enumerate().skip(skipped) {
            let number = self.sequence + i as u64;
            let before = i.checked_sub(1).map(|b| &self.segments[b]);
            self.tags(&mut out, segment, before);
            // Parts are listed for three target durations.
            if distance(i) < 3.0 * self.target {
                self.parts(&mut out, number, segment);
            }
            if segment.gap {
                out.push_str("#EXT-X-GAP\n");
            }
            if segment.ranged {
                let _ = writeln!(out, "#EXT-X-BYTERANGE:{}@0", 100 * segment.parts.len().max(1));
            }
            let _ = writeln!(out, "#EXTINF:{},\ns{number}.m4s", segment.duration);
        }
        if self.ended {
            out.push_str("#EXT-X-ENDLIST\n");
            return out;
        }
        self.tags(&mut out, &self.open, self.segments.last());
        self.parts(&mut out, self.next(), &self.open);
        if self.hints {
            let (number, next) = (self.next(), self.open.parts.len());
            let _ = if self.open.ranged {
                let at = 100 * next;
                writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s{number}.m4s\",BYTERANGE-START={at}")
            } else {
                writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s{number}.{next}.m4s\"")
            };
        }
        out
    }
}
