//! Live HLS: what low latency brings along.

use super::live_watch::*;
use super::*;

fn low(change: impl FnOnce(&mut Live)) -> (Live, World) {
    let live = Live::new().with(|l| l.part = Some(0.5)).with(change);
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.net.rtt = 0.02;
    w.load(M3U8);
    (live, w)
}

#[test]
fn a_hint_without_an_end_brings_the_parts_that_follow_in_its_resource() {
    for segment in [1.0, 2.0, 4.0] {
        let (live, mut w) = low(|l| (l.ranged, l.stream.segment) = (true, segment));
        w.run_for(40.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        assert_appended_once(&w);
        assert!(latency(&w, &live) < 2.3, "{}\n{}", latency(&w, &live), w.story());
    }
}

#[test]
fn a_jump_that_catches_up_after_an_outage_is_told() {
    let (live, mut w) = low(|_| {});
    w.run_for(10.0);
    w.offline(true);
    w.run_for(18.0);
    w.offline(false);
    w.run_for(20.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    let told: Vec<_> = holes(&w).into_iter().map(|g| g.0).collect();
    assert!(told.contains(&Reason::CaughtUp), "{}", w.story());
    assert!(latency(&w, &live) < 5.0, "{}\n{}", latency(&w, &live), w.story());
}
