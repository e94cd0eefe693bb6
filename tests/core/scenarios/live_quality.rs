//! The choice of quality where a second is buffered, and segments come as they are made.

use super::live_watch::{stalls, state, states, tuned};
use super::*;

/// What somebody saw in three minutes.
#[derive(Debug)]
struct Seen {
    /// Mean, in kbit/s.
    rate: f64,
    stalls: usize,
    stalled: f64,
    switches: usize,
    /// Mean latency less the target.
    late: f64,
}

/// Plays rungs of 200, 600 and 1000 kbit/s over a link whose rate (kbit/s) changes after so many seconds, over and over.
fn watch(dash: bool, link: &[(f64, f64)]) -> Seen {
    const RUNGS: [u64; 3] = [200_000, 600_000, 1_000_000];
    let live = Live::new().with(|l| {
        (l.stream.ladder, l.stream.languages, l.clock) = (RUNGS.to_vec(), vec![], true);
        if dash {
            (l.chunk, l.service) = (Some(0.2), Some((1.5, 0.92, 1.08)));
        } else {
            l.part = Some(1.0 / 3.0);
        }
    });
    let (site, url) = if dash { (live.dash(), MPD) } else { (live.hls(false), M3U8) };
    let mut w = tuned(site, Config::default());
    // Browsers hand bytes on as packets come.
    (w.net.rtt, w.net.chunk) = (0.02, 2800);
    w.link(link[0].1 * 1e3);
    w.load(url);
    let mut steps = link.iter().cycle();
    while w.now < 180.0 {
        let (seconds, kbps) = steps.next().unwrap();
        w.link(kbps * 1e3);
        w.run_for(seconds.min(180.0 - w.now));
    }
    let frames = w.played('v');
    let sum: u64 = frames.iter().map(|m| RUNGS[m.rung as usize]).sum();
    let stalled = w.events.iter().filter_map(|t| match t.event {
        Event::Recovered { seconds, .. } => Some(seconds),
        _ => None,
    });
    let late: Vec<f64> = states(&w).iter().map(|s| s.1.latency - s.1.target).collect();
    assert_eq!(w.errors(), [], "{}", w.story());
    assert!(frames.len() > 4400, "{} frames, {:?}\n{}", frames.len(), state(&w), w.story());
    Seen {
        rate: sum as f64 / frames.len() as f64 / 1e3,
        stalls: stalls(&w),
        stalled: stalled.sum(),
        switches: w.switches().len(),
        late: late.iter().sum::<f64>() / late.len() as f64,
    }
}

#[test]
fn what_the_link_carries_is_played_a_second_behind_live() {
    let dip = [(5.0, 1300.0), (0.25, 450.0)];
    for (dash, link, least, most) in [
        (true, &[(60.0, 5000.0)][..], 980.0, 2),
        (false, &[(60.0, 5000.0)], 980.0, 2),
        // A rung that needs five sixths of the link does not go with so little buffered.
        (true, &[(60.0, 1200.0)], 590.0, 3),
        (false, &[(60.0, 1200.0)], 590.0, 3),
        (true, &dip, 590.0, 3),
        (false, &dip, 590.0, 10),
    ] {
        let seen = watch(dash, link);
        assert!(seen.rate > least && seen.stalls == 0 && seen.switches <= most, "{dash} {link:?}: {seen:?}");
        assert!(seen.late.abs() < 0.2, "{dash} {link:?}: {seen:?}");
    }
}

#[test]
fn steps_of_the_link_are_followed_down_and_up_a_second_behind_live() {
    let stairs = [(30.0, 1300.0), (30.0, 850.0), (30.0, 430.0), (30.0, 850.0)];
    let seen = watch(true, &stairs);
    // The segment that is under way needs half as much again as the link has.
    assert!(seen.rate > 500.0 && seen.stalled < 0.3 && seen.switches <= 7, "{seen:?}");
    // Playlists change their quality where a part can be decoded by itself.
    let seen = watch(false, &stairs);
    assert!(seen.rate > 480.0 && seen.stalled < 2.0 && seen.switches <= 7, "{seen:?}");
    // Where a step comes and goes before it is noticed, nothing is risked.
    for link in [[(5.0, 500.0), (5.0, 1300.0)], [(8.0, 1300.0), (8.0, 320.0)]] {
        let seen = watch(true, &link);
        assert!(seen.rate > 199.0 && seen.stalled < 1.0, "{link:?}: {seen:?}");
    }
}
