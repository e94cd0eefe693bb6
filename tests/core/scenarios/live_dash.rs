//! Live DASH: periods, places, clocks, events.

use super::live_watch::*;
use super::*;

#[test]
fn periods_end_and_begin_without_a_seam() {
    for addressing in [Addressing::Number, Addressing::Time] {
        for (period, rebased) in [(16.0, false), (16.0, true), (15.0, true)] {
            let live = Live::new().with(|l| {
                (l.period, l.rebased) = (Some(period), rebased);
                (l.addressing, l.update, l.delay) = (Some(addressing), Some(2.0), Some(8.0));
            });
            let mut w = tuned(live.clone().dash(), Config::default());
            w.load(MPD);
            w.run_for(70.0);
            assert_quiet(&w);
            assert_seamless(&w, &live);
            assert_fetched_once(&w);
            assert!((7.0..9.1).contains(&latency(&w, &live)), "{}", latency(&w, &live));
        }
    }
}

#[test]
fn the_distance_stays_where_a_period_begins() {
    let live = Live::new().with(|l| (l.period, l.update, l.stream.segment) = (Some(11.0), Some(2.0), 1.0));
    let mut w = tuned(live.dash(), Config::default());
    w.load(MPD);
    w.run_for(40.0);
    assert_quiet(&w);
    let targets: Vec<f64> = states(&w).iter().map(|(_, s)| s.target).collect();
    assert!(targets.windows(2).all(|t| t[0] == t[1]), "{targets:?}\n{}", w.story());
}

#[test]
fn the_edge_of_a_manifest_that_is_read_on_demand_is_asked_for() {
    let live = Live::new().with(|l| l.update = Some(0.0));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(10.0);
    let (start, _) = w.element.source.as_ref().unwrap().live_range.unwrap();
    // As far ahead as it fetches from there on nothing new is needed.
    w.seek(start + 5.0);
    w.run_for(15.0);
    w.intent(UserIntent::GoLive);
    w.run_for(10.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    assert!(latency(&w, &live) < state(&w).target + 2.0, "{}\n{}", latency(&w, &live), w.story());
    assert_plays(&mut w);
}
