//! What live scenarios look at.

use super::*;
use crate::sim::site::Site;
use std::collections::BTreeMap;

/// A player of a live origin, on a machine whose clock is right.
pub fn tuned(site: Site, config: Config) -> World {
    let mut w = World::configured(site, Config { stats_interval: 0.0, ..config });
    w.wall = UNIX;
    w
}

/// The same with a distance that it is told.
pub fn tuned_at(site: Site, latency: f64) -> World {
    tuned(site, Config { live_latency: Some(latency), ..Config::default() })
}

pub fn states(w: &World) -> Vec<(f64, LiveState)> {
    let found = w.events.iter().filter_map(|t| match &t.event {
        Event::Live(state) => Some((t.at, *state)),
        _ => None,
    });
    found.collect()
}

/// What was told last of where playback is.
pub fn state(w: &World) -> LiveState {
    states(w).last().unwrap_or_else(|| panic!("nothing was told of live\n{}", w.story())).1
}

/// Seconds from the making to the showing.
pub fn latency(w: &World, live: &Live) -> f64 {
    let shown = w.element.played.iter().rfind(|m| m.kind == 'v');
    let shown = shown.unwrap_or_else(|| panic!("nothing was shown\n{}", w.story()));
    w.server_now() + live.age - live.end_of(*shown)
}

pub fn stalls(w: &World) -> usize {
    w.count(|e| matches!(e, Event::Stall { .. }))
}

/// Neither error nor stall nor hole.
pub fn assert_quiet(w: &World) {
    assert_eq!(w.errors(), [], "{}", w.story());
    assert_eq!(stalls(w), 0, "{}", w.story());
    assert_eq!(holes(w), [], "{}", w.story());
}

/// Holes that were jumped, but for the first moments, where engines begin at a frame of their own.
pub fn holes(w: &World) -> Vec<(Reason, f64, f64)> {
    w.gaps().into_iter().filter(|g| g.0 != Reason::StartGap).collect()
}

/// One frame after the other was shown and heard, over the bounds of periods, none twice.
pub fn assert_seamless(w: &World, live: &Live) {
    for (kind, frame) in [('v', 1.0 / f64::from(live.stream.fps)), ('a', 1024.0 / 48_000.0)] {
        let played = w.played(kind);
        if kind == 'a' && live.stream.languages.is_empty() && !live.stream.muxed {
            continue;
        }
        assert!(played.len() > 50, "{kind}: {} frames\n{}", played.len(), w.story());
        for pair in played.windows(2) {
            let step = live.end_of(pair[1]) - live.end_of(pair[0]);
            // The sound of a period ends within its last frame.
            let rounding = if pair[0].part == pair[1].part { 1e-6 } else { frame };
            assert!((step - frame).abs() <= rounding + 1e-6, "{kind}: {pair:?}\n{}", w.story());
        }
    }
}

/// When each request was made whose URL has this in it.
pub fn requests_of(w: &World, part: &str) -> Vec<f64> {
    w.requests().iter().filter(|r| r.url.contains(part)).map(|r| r.at).collect()
}

/// Each stretch of media was fetched once, in whatever quality.
pub fn assert_fetched_once(w: &World) {
    let mut times: BTreeMap<(String, Option<u64>), Vec<f64>> = BTreeMap::new();
    for r in w.requests().iter().filter(|r| r.kind == FetchKind::Segment && r.outcome == Outcome::Complete) {
        let path = r.url.split("://").nth(1).and_then(|rest| rest.split_once('/')).unwrap().1;
        let (name, rest) = path.split_once('/').unwrap();
        let kind = if name.starts_with('v') { "v" } else { name };
        times.entry((format!("{kind}/{rest}"), r.range.map(|r| r.first))).or_default().push(r.at);
    }
    for (what, times) in times {
        assert_eq!(times.len(), 1, "{what:?} at {times:?}\n{}", w.story());
    }
}

/// Each sample was appended once.
pub fn assert_appended_once(w: &World) {
    for kind in ['v', 'a'] {
        let (samples, appends) = w.appended(kind);
        assert_eq!(samples, appends, "{kind}\n{}", w.story());
    }
}

/// Nothing went wrong, nothing is missing, and nothing came twice.
pub fn assert_flawless(w: &World, live: &Live) {
    assert_quiet(w);
    assert_seamless(w, live);
    assert_fetched_once(w);
    assert_appended_once(w);
}

/// No reading of any playlist came earlier than RFC 8216bis §6.3.4 allows: a target duration after the one before began, half of that
/// if it had brought nothing.
pub fn assert_reload_rules(w: &World, live: &Live) {
    let target = live.stream.segment.ceil();
    for name in ["v0.m3u8", "v1.m3u8", "v2.m3u8", "a0.m3u8", "a1.m3u8"] {
        let read = requests_of(w, name);
        let end = |at: f64| live.listed(at + w.net.skew).end;
        for i in 1..read.len() {
            let changed = i < 2 || end(read[i - 1]) != end(read[i - 2]);
            let least = if changed { target } else { target / 2.0 };
            assert!(
                read[i] - read[i - 1] >= least - 0.002,
                "{name} after {:.3} s, changed {changed}: {read:?}\n{}",
                read[i] - read[i - 1],
                w.story()
            );
        }
    }
}

/// Playback goes on, now.
pub fn assert_plays(w: &mut World) {
    let before = w.element.position;
    w.run_for(5.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    assert!((3.5..6.5).contains(&(w.element.position - before)), "it stands at {before}\n{}", w.story());
}
