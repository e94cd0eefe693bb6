//! Seeded random runs: whatever happens, the player ends, fails or moves.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A small generator (xorshift*): runs must be the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut new = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            new.next();
        }
        new
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn unit(&mut self) -> f64 {
        self.below(1 << 30) as f64 / f64::from(1 << 30)
    }
}

fn stream(r: &mut Random) -> (Stream, &'static str, crate::sim::site::Site) {
    let mut stream = Stream::of(20.0 + r.unit() * 20.0);
    stream.ladder.truncate(1 + r.below(3) as usize);
    stream.segment = [2.0, 4.0, 6.0][r.below(3) as usize];
    stream.parts[0].duration = (stream.parts[0].duration / stream.segment).round() * stream.segment;
    if r.chance(40) {
        let duration = 2.0 * stream.segment;
        let base = r.unit() * 50.0;
        let dash_only = r.chance(50);
        stream = stream.then(duration, |p| {
            p.base = base.round();
            if dash_only {
                p.video = Codec::Vp9;
            }
        });
    }
    if r.chance(20) {
        stream.parts[0].hole = Some((8.0, 8.0 + r.unit()));
    }
    if r.chance(20) {
        stream.gaps = vec![r.below(4) as usize];
    }
    if r.chance(25) {
        stream.languages.clear();
    }
    let plain = stream.parts.iter().all(|p| p.video != Codec::Vp9);
    let whole = stream.parts.len() == 1 && stream.parts[0].hole.is_none() && stream.gaps.is_empty();
    let (url, site) = match r.below(6) {
        _ if whole && r.chance(25) => {
            stream.languages.clear();
            (MPD, stream.dash_webm())
        }
        0 => (MPD, stream.dash(Addressing::Number)),
        1 => (MPD, stream.dash(Addressing::Time)),
        2 => (MPD, stream.dash(Addressing::Sidx)),
        3 => (M3U8, stream.hls(Container::Fmp4)),
        _ if plain => {
            if stream.languages.is_empty() {
                stream.muxed = true;
            }
            (M3U8, stream.hls(Container::Ts))
        }
        _ => (MPD, stream.dash(Addressing::List)),
    };
    (stream, url, site)
}

fn run(seed: u64) {
    let mut r = Random::new(seed);
    let (stream, url, site) = stream(&mut r);
    let mut w = World::new(site);
    w.net.rtt = 0.01 + r.unit() * 0.3;
    w.net.rates = vec![(0.0, 500_000.0 + r.unit() * 9e6)];
    for i in 1..20 {
        if r.chance(50) {
            w.net.rates.push((f64::from(i) * 5.0, 200_000.0 + r.unit() * 8e6));
        }
    }
    if r.chance(30) {
        w.quota = 600_000 + r.below(2_000_000) as usize;
    }
    for _ in 0..r.below(6) {
        let pattern = [
            "manifest",
            "main.m3u8",
            "v0",
            "v1",
            "v2",
            "a0",
            "init",
            "/0/1.",
            "/0/2.",
            "/0/3.",
            "all.mp4",
            "/1/0.",
        ][r.below(12) as usize];
        let fault = match r.below(9) {
            0 => Fault::Status(404),
            1 => Fault::Status(500),
            2 => Fault::Refused,
            3 => Fault::BreakAfter(r.below(40_000) as usize),
            4 => Fault::ShortFile(r.below(40_000) as usize),
            5 => Fault::StallAfter(r.below(40_000) as usize),
            6 => Fault::CorruptFrom(r.below(40_000) as usize),
            7 => Fault::Silence,
            _ => Fault::Delay(r.unit() * 12.0),
        };
        w.fault(pattern, fault, 1 + r.below(3) as u32);
    }
    if r.chance(15) {
        w.element.decode_errors = vec![r.unit() * 30.0];
    }
    w.record();
    w.load(url);
    for _ in 0..r.below(14) {
        w.run_for(r.unit() * [0.2, 2.0, 8.0][r.below(3) as usize]);
        match r.below(8) {
            0..=3 => w.seek(r.unit() * stream.duration()),
            4 => w.intent(UserIntent::SelectQuality(r.chance(60).then(|| format!("v{}", r.below(3))))),
            5 => w.rate([0.5, 1.0, 2.0][r.below(3) as usize]),
            6 => {
                w.pause();
                w.run_for(r.unit() * 3.0);
                w.play();
            }
            _ => w.resize(100 + r.below(2000) as u32, 100 + r.below(1000) as u32),
        }
    }
    if w.element.rate < 1.0 {
        w.rate(1.0);
    }
    // From here on it must end, fail, or move every so often.
    let mut last = (w.now, w.element.position);
    let mut sources = w.sources_opened;
    while !w.has_ended_now() && w.fatal().is_none() {
        if !w.step(w.now + 10.0) && w.now > last.0 + 200.0 {
            break;
        }
        if w.fatal().is_some() {
            break;
        }
        let sought = w.seeks.iter().any(|s| s.0 >= last.0 - 0.1) || w.sources_opened != sources;
        assert!(
            w.element.position >= last.1 - 1e-9 || sought,
            "seed {seed}: back from {} to {}\n{}",
            last.1,
            w.element.position,
            w.story()
        );
        sources = w.sources_opened;
        if (w.element.position - last.1).abs() > 1e-6 {
            last = (w.now, w.element.position);
        }
        // Longest wait that is legitimate: all attempts of a request, with time-outs and pauses, on two rungs.
        assert!(w.now < last.0 + 150.0, "seed {seed}: no movement since {:.1}\n{}", last.0, w.story());
    }
    let settled = w.has_ended_now() || w.fatal().is_some();
    assert!(settled, "seed {seed}: hangs\n{}", w.story());
    w.stop_or_failed();
    w.assert_replays(&format!("seed {seed}"));
}

/// Runs so many seeds, those that the environment asks for, or one, and says which fail.
pub fn seeds(count: u64, run: fn(u64)) {
    let told = |name: &str| std::env::var(name).ok().and_then(|s| s.parse().ok());
    let seeds = match told("MILLRACE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..told("MILLRACE_RUNS").unwrap_or(count),
    };
    let mut failures = Vec::new();
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_default();
            failures.push(format!("seed {seed}: {}", text.lines().next().unwrap_or_default()));
        }
    }
    assert!(failures.is_empty(), "{} runs failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn random_runs_end_fail_or_move() {
    seeds(200, run);
}

#[test]
fn random_links_and_choices_lose_no_sample() {
    for seed in 0..40u64 {
        let mut r = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
        for _ in 0..8 {
            r.next();
        }
        let mut stream = Stream::of(48.0);
        stream.segment = [2.0, 4.0, 6.0][r.below(3) as usize];
        stream.parts[0].base = 10.0;
        let (url, site) = match r.below(5) {
            0 => (MPD, stream.dash(Addressing::Number)),
            1 => (MPD, stream.dash(Addressing::Time)),
            2 => (MPD, stream.dash(Addressing::Sidx)),
            3 => (M3U8, stream.hls(Container::Fmp4)),
            _ => (M3U8, stream.hls(Container::Ts)),
        };
        let mut w = World::new(site);
        w.net.rtt = 0.01 + r.unit() * 0.2;
        w.net.rates = vec![(0.0, 600_000.0 + r.unit() * 9e6)];
        for i in 1..40 {
            if r.chance(40) {
                w.net.rates.push((f64::from(i) * 3.0, 500_000.0 + r.unit() * 6e6));
            }
        }
        w.load(url);
        for _ in 0..r.below(10) {
            w.run_for(r.unit() * 6.0);
            if w.has_ended_now() {
                break;
            }
            match r.below(3) {
                0 => w.intent(UserIntent::SelectQuality(r.chance(60).then(|| format!("v{}", r.below(3))))),
                1 => w.rate([1.0, 1.5, 2.0][r.below(3) as usize]),
                _ => {
                    w.pause();
                    w.run_for(r.unit() * 20.0);
                    w.play();
                }
            }
        }
        w.play_to_end(400.0);
        w.assert_played_all('v', &[1200]);
        w.assert_played_all('a', &[2250]);
        assert_eq!(w.errors(), [], "seed {seed}\n{}", w.story());
        assert_eq!(w.gaps(), [], "seed {seed}\n{}", w.story());
    }
}
