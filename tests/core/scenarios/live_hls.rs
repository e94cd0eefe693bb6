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
