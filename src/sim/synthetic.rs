//! Links and movies of our own, from a seed: the simulator needs no recordings to be of use.

use super::movie::Movie;
use super::random::Random;
use super::trace::Trace;

/// Kinds of synthetic links. `steps`: a new capacity every 20 to 60 s. `ramps`: from one capacity to another over a minute, and back.
/// `outages`: a good link that is gone for 5 to 25 s now and then. `markov`: a walk over neighbouring capacities, a step each second.
pub const KINDS: [&str; 4] = ["steps", "ramps", "outages", "markov"];

/// So long each of them is, in seconds.
const LENGTH: f64 = 600.0;

/// `count` links of a kind, named `kind/number`; unknown kinds are `markov`.
pub fn synthetic_traces(kind: &str, seed: u64, count: usize) -> Vec<Trace> {
    let traces = (0..count).filter_map(|number| {
        let id = format!("{kind}/{number:03}");
        let mut random = Random::named(seed, &id);
        let rtt = random.between(0.02, 0.1);
        let steps = match kind {
            "steps" => steps(&mut random),
            "ramps" => ramps(&mut random),
            "outages" => outages(&mut random),
            _ => markov(&mut random),
        };
        Trace::new(&id, rtt, steps).ok()
    });
    traces.collect()
}

/// kbit/s, as likely between 300 and 1500 as between 1500 and 7500.
fn capacity(random: &mut Random) -> f64 {
    300.0 * 25f64.powf(random.unit())
}

fn steps(random: &mut Random) -> Vec<(f64, f64)> {
    let mut all = Vec::new();
    let mut at = 0.0;
    while at < LENGTH {
        let seconds = random.between(20.0, 60.0).min(LENGTH - at).max(1.0);
        all.push((seconds, capacity(random)));
        at += seconds;
    }
    all
}

fn ramps(random: &mut Random) -> Vec<(f64, f64)> {
    const PARTS: usize = 30;
    let mut all = Vec::new();
    let mut from = capacity(random);
    for _ in 0..(LENGTH / 60.0) as usize {
        let to = capacity(random);
        all.extend((0..PARTS).map(|i| (60.0 / PARTS as f64, from + (to - from) * i as f64 / PARTS as f64)));
        from = to;
    }
    all
}

fn outages(random: &mut Random) -> Vec<(f64, f64)> {
    let mut all = Vec::new();
    let mut at = 0.0;
    while at < LENGTH {
        let (good, bad) = (random.between(30.0, 120.0), random.between(5.0, 25.0));
        all.extend([(good, capacity(random).max(1500.0)), (bad, 0.0)]);
        at += good + bad;
    }
    all
}

fn markov(random: &mut Random) -> Vec<(f64, f64)> {
    /// Each half as much again as the one before.
    const STATES: usize = 9;
    let mut state = random.index(STATES);
    let mut all = Vec::new();
    for _ in 0..LENGTH as usize {
        let turn = random.unit();
        state = if turn < 0.1 { state.saturating_sub(1) } else { state };
        state = if turn > 0.9 { (state + 1).min(STATES - 1) } else { state };
        all.push((1.0, 300.0 * 1.5f64.powi(state as i32) * random.between(0.85, 1.15)));
    }
    all
}

/// A movie of so many segments of four seconds at 300 to 6000 kbit/s; the sizes vary as those of real encoders do, scenes of some
/// segments being hard or easy in all qualities alike.
pub fn synthetic_movie(seed: u64, segments: usize) -> Movie {
    const SEGMENT_MS: u32 = 4000;
    let kbps = vec![300.0, 600.0, 1000.0, 1800.0, 3200.0, 6000.0];
    let mut random = Random::named(seed, "movie");
    let mut scene = 1.0;
    let bytes = (0..segments.max(1)).map(|n| {
        if n % 5 == 0 {
            scene = random.between(0.6, 1.4);
        }
        let hard = scene * random.between(0.85, 1.15);
        let size = |k: &f64| (k * hard * f64::from(SEGMENT_MS) / 8.0) as u64;
        kbps.iter().map(size).collect()
    });
    let bytes = bytes.collect();
    Movie { name: "synthetic".into(), segment_ms: SEGMENT_MS, kbps, bytes }
}
