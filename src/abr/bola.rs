//! BOLA: the quality by the buffer (Spiteri, Urgaonkar, Sitaraman, "BOLA: Near-Optimal Bitrate Adaptation for Online Videos", INFOCOM 2016),
//! with the throughput where the buffer tells nothing yet, and no quality above the throughput that is not there already (BOLA-E and
//! BOLA-O of "From Theory to Practice", MMSys 2018).

use super::Situation;

/// Share of the buffer's target below which the buffer tells nothing. dash.js has 10 s, of 25 at most.
const LOW: f64 = 0.4;

/// The quality; `None` where the throughput is to choose. `fits`: what the throughput carries.
pub(super) fn bola(s: &Situation, top: usize, fits: usize, current: usize) -> Option<usize> {
    let low = LOW * s.buffer_target;
    if s.buffer < low {
        return None;
    }
    let lowest = s.ladder.first().copied().unwrap_or(1).max(1) as f64;
    let ratio = |i: usize| s.ladder.get(i).map_or(1.0, |b| *b as f64 / lowest);
    let utility = |i: usize| 1.0 + ln(ratio(i));
    // So that the lowest is chosen at a buffer of `low`, and the highest below the target.
    let gp = (utility(s.ladder.len().saturating_sub(1)) - 1.0).max(1e-3) / (1.0 / LOW - 1.0);
    let vp = low / gp;
    let score = |i: usize| (vp * (utility(i) + gp) - s.buffer) / ratio(i);
    let best = (0..=top).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0);
    Some(best.min(fits.max(current)))
}

/// ln x to 0.1 % where it matters, without the tables of the mathematical library: sinh of a small number is nearly that number.
fn ln(mut x: f64) -> f64 {
    for _ in 0..6 {
        x = x.sqrt();
    }
    32.0 * (x - 1.0 / x)
}
