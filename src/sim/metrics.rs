//! What a session was worth, and what many were.
//!
//! With R the bitrate of a segment in Mbit/s, N segments, and the seconds of stalls after start-up:
//! `QoE_lin = (ΣR − Rmax·stall − Σ|ΔR|) / N` (Pensieve, SIGCOMM 2017), and `QoE_log` the same with ln(R/Rmin) for R and 2.66 for each
//! second. Average bitrate and share of stalls count by wall time from the first request to the end. Media that was never played
//! (passed over after errors, or behind a failure) counts as stalled time.

use super::movie::Movie;
use super::random::Random;
use super::session::Session;

/// A number of each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in tables and JSON.
    pub name: &'static str,
    /// More is better.
    pub more_is_better: bool,
}

const fn metric(name: &'static str, more_is_better: bool) -> Metric {
    Metric { name, more_is_better }
}

/// The numbers of each session, in the order of [`Metrics`].
pub const METRICS: [Metric; 10] = [
    metric("qoe_log", true),
    metric("qoe_lin", true),
    metric("avg_kbps", true),
    metric("rebuffer_pct", false),
    metric("stall_seconds", false),
    metric("stalls", false),
    metric("stall_free", true),
    metric("startup_seconds", false),
    metric("switches_per_min", false),
    metric("change_mbps", false),
];

/// The numbers of one session; each is the one of [`METRICS`] at its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics(pub [f64; METRICS.len()]);

impl Metrics {
    /// The number of this name; NaN for unknown ones.
    pub fn get(&self, name: &str) -> f64 {
        METRICS.iter().position(|m| m.name == name).map_or(f64::NAN, |i| self.0[i])
    }

    /// Of a session of a movie. `live`: only what was played counts.
    pub fn of(session: &Session, movie: &Movie, live: bool) -> Self {
        const PER_STALLED_SECOND: f64 = 2.66;
        let segment = movie.segment();
        // Seconds of each segment, and their sums of R and ln(R/Rmin).
        let mut segments = vec![(0.0, 0.0, 0.0); movie.bytes.len()];
        let lowest = movie.mbps(0);
        let highest = movie.mbps(movie.kbps.len() - 1);
        for p in &session.played {
            let rate = movie.mbps(p.rung);
            let mut from = p.from;
            while from < p.to - 1e-6 {
                let n = ((from + 1e-6) / segment) as usize;
                let to = p.to.min((n + 1) as f64 * segment);
                if let Some(s) = segments.get_mut(n) {
                    s.0 += to - from;
                    s.1 += rate * (to - from);
                    s.2 += (rate / lowest).ln() * (to - from);
                }
                from = to;
            }
        }
        let seconds: f64 = segments.iter().map(|s| s.0).sum();
        let missing = if live { 0.0 } else { (movie.duration() - seconds).max(0.0) };
        // The last bit of the end is rounding.
        let missing = if missing < 0.1 { 0.0 } else { missing };
        let stalled: f64 = session.stalls.iter().map(|s| s.seconds).sum();
        let lost = stalled + missing;
        let of_segments: Vec<(f64, f64)> =
            segments.iter().filter(|s| s.0 > 1e-3).map(|s| (s.1 / s.0, s.2 / s.0)).collect();
        let count = if live { of_segments.len() } else { movie.bytes.len() }.max(1) as f64;
        let changes = |of: fn(&(f64, f64)) -> f64| -> f64 {
            of_segments.windows(2).map(|w| (of(&w[1]) - of(&w[0])).abs()).sum()
        };
        let (rates, logs): (f64, f64) =
            of_segments.iter().fold((0.0, 0.0), |sum, s| (sum.0 + s.0, sum.1 + s.1));
        let change = changes(|s| s.0);
        let qoe_lin = (rates - highest * lost - change) / count;
        let qoe_log = (logs - PER_STALLED_SECOND * lost - changes(|s| s.1)) / count;
        let wall = session.wall.max(1e-3);
        let played: f64 = segments.iter().map(|s| s.1).sum();
        let switches = of_segments.windows(2).filter(|w| (w[0].0 - w[1].0).abs() > 1e-6).count();
        Self([
            qoe_log,
            qoe_lin,
            played * 1000.0 / wall,
            100.0 * lost / wall.max(lost),
            lost,
            session.stalls.len() as f64,
            f64::from(u8::from(lost <= 0.0)),
            session.startup.unwrap_or(session.wall),
            switches as f64 / (wall / 60.0),
            change,
        ])
    }
}

/// A number over many sessions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Mean.
    pub mean: f64,
    /// The tenth percentile from the bad end: nine of ten sessions are better.
    pub worst_tenth: f64,
    /// Interval that holds the mean with 95 %: bootstrap, percentiles.
    pub interval: (f64, f64),
}

/// Sums numbers up; NaN throughout where there are none. The same numbers give the same interval.
pub fn summarize(values: &[f64], more_is_better: bool) -> Summary {
    const RESAMPLES: usize = 1000;
    if values.is_empty() {
        return Summary { mean: f64::NAN, worst_tenth: f64::NAN, interval: (f64::NAN, f64::NAN) };
    }
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count as f64;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64, of: &[f64]| of[((share * of.len() as f64) as usize).min(of.len() - 1)];
    let mut random = Random::new(1);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..count).map(|_| values[random.index(count)]).sum::<f64>() / count as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    let worst_tenth = if more_is_better { at(0.1, &sorted) } else { at(0.9, &sorted) };
    Summary { mean, worst_tenth, interval: (at(0.025, &means), at(0.975, &means)) }
}
