//! Live presentations: the edge, the window, the latency, and what goes wrong with them.

use super::live_watch::{holes, requests_of, stalls, state, states, tuned};
use super::*;

/// Media time that is made now, less that of the picture.
fn behind(w: &World, live: &Live) -> f64 {
    let shown = w.played('v').last().map_or(0.0, |m| f64::from(m.number + 1) / 25.0);
    live.made_at(w.server_now()) - shown
}

/// Playback went on without a hole or a step back, one frame after the other.
fn assert_seamless(w: &World) {
    let frames = w.played('v');
    assert!(frames.len() > 50, "{} frames\n{}", frames.len(), w.story());
    for pair in frames.windows(2) {
        assert_eq!(pair[1].number, pair[0].number + 1, "{pair:?}\n{}", w.story());
    }
}

#[test]
fn dash_by_number_plays_near_the_edge_and_is_read_once() {
    let live = Live::new().with(|l| l.delay = Some(6.0));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(60.0);
    assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{}", w.story());
    assert_seamless(&w);
    let latency = behind(&w, &live);
    assert!((5.0..7.1).contains(&latency), "{latency}\n{}", w.story());
    assert!((state(&w).latency - latency).abs() < 1.1);
    assert_eq!(requests_of(&w, "manifest.mpd").len(), 1);
    assert_eq!(w.count(|e| matches!(e, Event::Loaded { live: true, .. })), 1);
    // Each segment once, and none before it was there.
    let segments = requests_of(&w, "v0/").len() + requests_of(&w, "v1/").len() + requests_of(&w, "v2/").len();
    assert!(segments <= 38, "{segments}");
    let (start, end) = w.element.source.as_ref().unwrap().live_range.unwrap();
    assert!((end - live.made_at(w.now)).abs() < 2.1 && (end - start - 60.0).abs() < 2.1, "{start} {end}");
}

#[test]
fn dash_with_a_timeline_is_read_again_as_often_as_it_says() {
    for update in [2.0, 5.0] {
        let live = Live::new().with(|l| l.update = Some(update));
        let mut w = tuned(live.clone().dash(), Config { live_latency: Some(12.0), ..Config::default() });
        w.load(MPD);
        w.run_for(60.0);
        assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{}", w.story());
        assert_seamless(&w);
        let read = requests_of(&w, "manifest.mpd");
        assert!(read.windows(2).all(|p| p[1] - p[0] >= update - 0.01), "{read:?}");
        assert!(read.len() as f64 > 50.0 / update, "{read:?}");
    }
}

#[test]
fn a_delay_that_nothing_can_keep_is_not_kept() {
    // ffmpeg asks for one segment, also where each has to be listed first.
    for update in [None, Some(2.0)] {
        let live = Live::new().with(|l| (l.update, l.delay) = (update, Some(2.0)));
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(60.0);
        assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{}", w.story());
        assert!((2.0..6.1).contains(&behind(&w, &live)), "{}", behind(&w, &live));
    }
}

#[test]
fn hls_stays_three_targets_behind_and_reads_as_the_rfc_says() {
    for ts in [false, true] {
        let live = Live::new().with(|l| l.stream.muxed = ts);
        let live = live.with(|l| {
            if ts {
                l.stream.languages = vec![]
            }
        });
        let mut w = tuned(live.clone().hls(ts), Config::default());
        w.load(M3U8);
        w.run_for(60.0);
        assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{ts} {}", w.story());
        assert_seamless(&w);
        let latency = behind(&w, &live);
        assert!((6.0..10.1).contains(&latency), "{ts}: {latency}\n{}", w.story());
        // RFC 8216bis §6.3.4: a target duration after a reading that brought something, half of one else.
        for name in ["v0.m3u8", "v1.m3u8", "v2.m3u8", "a0.m3u8"] {
            let read = requests_of(&w, name);
            assert!(read.windows(2).all(|p| p[1] - p[0] >= 0.99), "{name} {read:?}");
        }
        let date = state(&w).date.unwrap();
        let shown = UNIX + w.now - behind(&w, &live);
        assert!((date - shown).abs() < 1.2, "{date} {shown}");
    }
}

#[test]
fn low_latency_hls_plays_parts_a_second_behind() {
    for hints in [true, false] {
        let live = Live::new().with(|l| (l.part, l.hints) = (Some(1.0 / 3.0), hints));
        let mut w = tuned(live.clone().hls(false), Config::default());
        w.net.rtt = 0.02;
        // Wherever in a group of pictures it begins, it begins as near as it shall be.
        w.run_for(1.9);
        w.load(M3U8);
        w.run_for(2.0);
        let latency = behind(&w, &live);
        assert!(latency < 1.45, "{hints}: begins {latency} behind\n{}", w.story());
        assert!(
            w.requests().iter().all(|r| r.outcome != crate::sim::network::Outcome::Aborted),
            "{hints}\n{}",
            w.story()
        );
        w.run_for(58.0);
        assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{hints} {}", w.story());
        assert_seamless(&w);
        let latency = behind(&w, &live);
        assert!((0.6..1.5).contains(&latency), "{hints}: {latency}\n{}", w.story());
        // Whole segments are not fetched behind their parts.
        let whole =
            w.requests().iter().filter(|r| r.at > 5.0 && r.url.ends_with(".m4s") && !r.url.contains('-'));
        assert_eq!(whole.count(), 0, "{}", w.story());
    }
}

#[test]
fn low_latency_hls_without_blocking_reload_is_polled() {
    let live = Live::new().with(|l| (l.part, l.blocks, l.hints) = (Some(0.5), false, false));
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.load(M3U8);
    w.run_for(40.0);
    assert_eq!(w.errors(), [], "{}", w.story());
    assert!(stalls(&w) <= 1, "{}", w.story());
    let read = requests_of(&w, "v2.m3u8");
    assert!(read.windows(2).all(|p| p[1] - p[0] >= 0.2), "{read:?}");
}

#[test]
fn a_stream_that_ends_is_played_to_its_end() {
    let live = Live::new().with(|l| (l.end, l.update) = (Some(1020.0), Some(2.0)));
    for (site, url) in [(live.clone().dash(), MPD), (live.clone().hls(false), M3U8)] {
        let mut w = tuned(site, Config::default());
        w.load(url);
        w.play_to_end(60.0);
        assert_eq!(w.errors(), [], "{}", w.story());
        assert!((w.element.position - 1020.0).abs() < 0.3 || url == M3U8, "{}", w.element.position);
        assert_eq!(w.played('v').last().unwrap().number, 1020 * 25 - 1, "{}", w.story());
    }
}

#[test]
fn a_late_segment_is_asked_for_again_and_a_missing_one_is_passed_over() {
    let late = Live::new().with(|l| l.late = vec![(505, 3.0)]);
    let missing = Live::new().with(|l| l.late = vec![(505, f64::INFINITY)]);
    for (live, lost) in [(late, false), (missing, true)] {
        let mut w = tuned(live.clone().dash(), Config { live_latency: Some(8.0), ..Config::default() });
        w.load(MPD);
        w.run_for(60.0);
        let frames = w.played('v');
        assert!(frames.last().unwrap().number > 1035 * 25, "{}", w.story());
        let held = frames.iter().any(|m| m.number / 50 == 505);
        assert_eq!(held, !lost, "{}", w.story());
        assert_eq!(w.gaps().is_empty(), !lost, "{:?}", w.gaps());
        assert!(requests_of(&w, "/505.m4s").len() < 30, "{}", requests_of(&w, "/505.m4s").len());
    }
}

#[test]
fn an_origin_that_fails_for_a_while_is_waited_for() {
    for fault in [Fault::Status(503), Fault::Status(404), Fault::Refused] {
        let live = Live::new();
        for (site, url) in [(live.clone().dash(), MPD), (live.clone().hls(false), M3U8)] {
            let mut w = tuned(site, Config { live_latency: Some(8.0), ..Config::default() });
            w.load(url);
            w.run_for(10.0);
            w.fault("", fault.clone(), ALWAYS);
            w.run_for(30.0);
            let requests = w.requests().iter().filter(|r| r.at > 10.0).count();
            assert!(requests < 150, "{fault:?}: {requests} requests in 30 s\n{}", w.story());
            w.net.heal();
            w.run_for(60.0);
            assert!(w.fatal().is_none(), "{fault:?} {url}\n{}", w.story());
            let latency = behind(&w, &live);
            assert!(
                latency < 70.0 && w.element.ready_state >= 3,
                "{fault:?} {url}: {latency}\n{}",
                w.story()
            );
            let last = w.element.position;
            w.run_for(5.0);
            assert!(w.element.position > last + 4.0, "{fault:?} {url}\n{}", w.story());
        }
    }
}

#[test]
fn a_pause_within_the_window_goes_on_and_a_longer_one_is_carried() {
    for (seconds, carried) in [(20.0, false), (200.0, true)] {
        let live = Live::new().with(|l| l.delay = Some(6.0));
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(10.0);
        w.pause();
        let at = w.element.position;
        let before = w.requests().len();
        w.run_for(seconds);
        assert!(w.requests().len() - before < 60, "a pause fetches on and on\n{}", w.story());
        w.play();
        // What is buffered is played, wherever the window is.
        w.run_for(if carried { 60.0 } else { 15.0 });
        let gaps: Vec<_> = w.gaps().into_iter().filter(|g| g.0 != Reason::StartGap).collect();
        if carried {
            assert_eq!(gaps.iter().map(|g| g.0).collect::<Vec<_>>(), [Reason::WindowLeft], "{}", w.story());
            assert!(behind(&w, &live) < 60.0, "{}", behind(&w, &live));
        } else {
            assert_eq!(gaps, [], "{}", w.story());
            assert!((w.element.position - at - 15.0).abs() < 1.0, "{}", w.story());
            assert!(!state(&w).at_edge);
            w.intent(UserIntent::GoLive);
            w.run_for(5.0);
            assert!(behind(&w, &live) < 7.5 && state(&w).at_edge, "{}", w.story());
        }
    }
}

#[test]
fn a_date_is_sought_in_what_can_be_played() {
    let live = Live::new();
    for (site, url) in [(live.clone().dash(), MPD), (live.clone().hls(false), M3U8)] {
        let mut w = tuned(site, Config::default());
        w.load(url);
        w.run_for(10.0);
        w.intent(UserIntent::SeekToDate(UNIX + w.now - 30.0));
        w.run_for(5.0);
        let latency = UNIX + w.now - state(&w).date.unwrap();
        assert!((29.0..32.5).contains(&latency), "{url}: {latency}\n{}", w.story());
        w.intent(UserIntent::SeekToDate(UNIX + w.now + 3000.0));
        w.run_for(5.0);
        assert!(UNIX + w.now - state(&w).date.unwrap() < 12.0, "{url}\n{}", w.story());
    }
}

#[test]
fn a_wrong_clock_is_put_right_by_the_server() {
    for off in [-300.0, 300.0] {
        let live = Live::new().with(|l| (l.clock, l.delay) = (true, Some(6.0)));
        let mut w = tuned(live.clone().dash(), Config::default());
        w.wall = UNIX + off;
        w.load(MPD);
        w.run_for(30.0);
        assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{off}: {}", w.story());
        let latency = behind(&w, &live);
        assert!((4.5..7.5).contains(&latency), "{off}: {latency}\n{}", w.story());
        // By the answer, not by the whole seconds of its `Date`.
        let error = state(&w).latency - (live.made_at(w.server_now()) - w.element.position);
        assert!(error.abs() < 0.03, "{off}: {error}");
    }
}

#[test]
fn latency_is_counted_from_the_recording_where_the_source_tells_it() {
    // A source whose clock is an hour off is not believed.
    for (recorded, counts) in [(Some(1.5), 1.5), (Some(3600.0), 0.0), (None, 0.0)] {
        let live = Live::new().with(|l| (l.clock, l.delay, l.recorded) = (true, Some(6.0), recorded));
        let mut w = tuned(live.clone().dash(), Config { catch_up: Some(true), ..Config::default() });
        w.load(MPD);
        w.run_for(60.0);
        let told = state(&w);
        let behind = live.made_at(w.server_now()) - w.element.position;
        assert!((told.latency - counts - behind).abs() < 0.05, "{recorded:?}: {told:?} {behind}");
        assert!((told.latency - 6.0).abs() < 0.3, "{recorded:?}: {told:?}\n{}", w.story());
        assert!((told.date.unwrap() - (UNIX + w.now - told.latency)).abs() < 1.05, "{recorded:?}: {told:?}");
    }
}

#[test]
fn what_was_recorded_long_before_it_can_be_had_is_not_looked_for_sooner() {
    for (recorded, live_latency) in [(5.0, None), (20.0, None), (20.0, Some(4.0))] {
        let live = Live::new().with(|l| (l.clock, l.recorded) = (true, Some(recorded)));
        let config = Config { catch_up: Some(true), live_latency, ..Config::default() };
        let mut w = tuned(live.clone().dash(), config);
        w.load(MPD);
        w.run_for(60.0);
        let jumps = w.gaps().into_iter().filter(|g| g.0 == Reason::CaughtUp).count();
        assert_eq!(jumps, 0, "{recorded} {live_latency:?}: {:?}\n{}", state(&w), w.story());
        // As far from what can be had as without a source that tells.
        let behind = behind(&w, &live);
        let wanted = live_latency.is_some() || (3.5..5.0).contains(&behind) && stalls(&w) == 0;
        assert!(wanted, "{recorded}: {behind} {:?}\n{}", state(&w), w.story());
    }
}

#[test]
fn a_start_outside_of_the_window_is_at_the_end_of_it_that_is_nearer() {
    let live = Live::new();
    for (site, url) in [(live.clone().dash(), MPD), (live.clone().hls(false), M3U8)] {
        for (start, least, most) in [(7200.0, 3.0, 10.1), (0.0, 50.0, 64.0)] {
            let mut w = tuned(site.clone(), Config::default());
            w.load_at(url, start);
            w.run_for(10.0);
            assert_eq!(
                (w.errors(), holes(&w), stalls(&w)),
                (vec![], vec![], 0),
                "{url} {start}: {}",
                w.story()
            );
            let behind = behind(&w, &live);
            assert!((least..most).contains(&behind), "{url} {start}: {behind}\n{}", w.story());
            assert_eq!(state(&w).at_edge, start > 0.0, "{url} {start}: {}", w.story());
        }
    }
}

/// A busy page gets the first answer late, and one that is late says little.
#[test]
fn a_time_that_came_late_is_asked_for_again() {
    let live = Live::new().with(|l| (l.clock, l.delay) = (true, Some(6.0)));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.fault("/time", Fault::Delay(0.8), 1);
    w.load(MPD);
    let off = |w: &World| state(w).latency - (live.made_at(w.server_now()) - w.element.position);
    w.run_for(2.0);
    assert!(off(&w).abs() > 0.3, "{}\n{}", off(&w), w.story());
    w.run_for(600.0);
    assert!(off(&w).abs() < 0.03, "{}\n{}", off(&w), w.story());
    // Not every few seconds for ever.
    assert!((2..5).contains(&requests_of(&w, "/time").len()), "{:?}", requests_of(&w, "/time"));
}

#[test]
fn a_machine_that_slept_comes_back_to_the_edge() {
    for (ticks, url) in [(true, MPD), (false, MPD), (true, M3U8), (false, M3U8)] {
        let live = Live::new().with(|l| l.delay = Some(6.0));
        let site = if url == MPD { live.clone().dash() } else { live.clone().hls(false) };
        let mut w = tuned(site, Config::default());
        w.load(url);
        w.run_for(10.0);
        // The clock of the shell stands still in some browsers, and goes on in others.
        w.sleep(3600.0, ticks);
        w.run_for(40.0);
        assert!(w.fatal().is_none(), "{ticks} {url}\n{}", w.story());
        let latency = behind(&w, &live);
        assert!(latency < 20.0, "{ticks} {url}: {latency}\n{}", w.story());
        let last = w.element.position;
        w.run_for(5.0);
        assert!(w.element.position > last + 4.0, "{ticks} {url}\n{}", w.story());
    }
}

#[test]
fn after_a_sleep_the_manifest_is_waited_for() {
    // All its periods are over by then.
    let live = Live::new().with(|l| (l.update, l.period) = (Some(2.0), Some(22.0)));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(10.0);
    w.sleep(3600.0, false);
    w.fault("manifest.mpd", Fault::Delay(5.0), 1);
    w.run_for(40.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    assert!(state(&w).latency < 12.0, "{}", w.story());
}

#[test]
fn a_page_that_nobody_sees_gets_the_thinnest_stream() {
    let live = Live::new();
    let mut w = tuned(live.clone().dash(), Config { live_latency: Some(6.0), ..Config::default() });
    w.load(MPD);
    w.run_for(20.0);
    assert_eq!(w.played('v').last().unwrap().rung, 2, "{}", w.story());
    w.element.hidden = true;
    w.element.report("visibility");
    w.run_for(20.0);
    assert_eq!(w.played('v').last().unwrap().rung, 0, "{}", w.story());
    assert!(w.switches().iter().any(|s| s.2 == Reason::Hidden));
    w.element.hidden = false;
    w.element.report("visibility");
    w.run_for(20.0);
    assert_eq!(w.played('v').last().unwrap().rung, 2, "{}", w.story());
    assert_eq!(stalls(&w), 0);
    assert_seamless(&w);
}

#[test]
fn a_playlist_that_never_moves_is_told_of() {
    let live = Live::new().with(|l| l.stuck_at = Some(10.0));
    let mut w = tuned(live.hls(false), Config::default());
    w.load(M3U8);
    w.run_for(60.0);
    assert_eq!(w.errors(), [Code::ManifestStale], "{}", w.story());
    assert!(w.fatal().is_none());
    let read = w.requests().iter().filter(|r| r.url.contains(".m3u8")).count();
    assert!(read < 160, "{read}");
}

#[test]
fn numbers_that_begin_anew_go_on_behind_what_was_played() {
    let live = Live::new().with(|l| l.restart = Some(510));
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.load(M3U8);
    w.run_for(60.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    assert!(w.played('v').last().unwrap().number > 1045 * 25, "{}", w.story());
}

#[test]
fn the_rate_brings_a_low_latency_stream_back_after_a_stall() {
    let live = Live::new().with(|l| l.part = Some(1.0 / 3.0));
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.net.rtt = 0.02;
    w.load(M3U8);
    w.run_for(15.0);
    w.link(20e3);
    w.run_for(3.0);
    w.link(10e6);
    w.run_for(4.0);
    let late = behind(&w, &live);
    w.run_for(70.0);
    let states = states(&w);
    assert!(stalls(&w) >= 1 && late > 2.0, "{late}\n{}", w.story());
    assert!(states.iter().all(|(_, s)| (0.92..=1.08).contains(&s.rate)), "{}", w.story());
    assert!(states.iter().any(|(_, s)| s.rate > 1.0), "{}", w.story());
    let end = state(&w);
    assert!(behind(&w, &live) < late - 0.7, "{late} {}\n{}", behind(&w, &live), w.story());
    assert!(end.target > 1.0 && end.target < 2.01, "{end:?}");
    // Smooth: a change of rate is small, and there are few.
    let rates: Vec<f64> = states.iter().map(|(_, s)| s.rate).collect();
    assert!(rates.windows(2).all(|r| (r[1] - r[0]).abs() <= 0.081), "{rates:?}");
    let changes = w.commands.iter().filter(|c| c.1.starts_with("SetRate")).count();
    assert!(changes <= 12, "{changes} changes of the rate\n{}", w.story());
}

#[test]
fn the_rate_leads_to_the_edge_again_once_the_user_has_left_it() {
    let live = Live::new().with(|l| (l.part, l.end) = (Some(1.0 / 3.0), Some(1050.0)));
    let mut w = tuned(live.hls(false), Config::default());
    w.net.rtt = 0.02;
    w.load(M3U8);
    w.run_for(15.0);
    w.link(20e3);
    w.run_for(3.0);
    w.link(10e6);
    w.run_for(4.0);
    assert!(w.element.rate > 1.05, "{}", w.story());
    w.rate(0.5);
    w.run_for(4.0);
    assert_eq!(w.element.rate, 0.5, "{}", w.story());
    w.rate(1.0);
    w.run_for(4.0);
    assert!(w.element.rate > 1.05, "{:?}\n{}", state(&w), w.story());
    // What the user has chosen stays when the stream ends.
    w.rate(1.5);
    w.run_for(40.0);
    assert!(w.element.rate == 1.5, "{:?}\n{}", state(&w), w.story());
}

#[test]
fn days_of_live_are_played_in_flat_memory() {
    let live = Live::new().with(|l| {
        l.stream.ladder = vec![100_000];
        l.update = Some(2.0);
    });
    for (site, url) in [(live.clone().dash(), MPD), (live.clone().hls(false), M3U8)] {
        let mut w = tuned(site, Config { live_latency: Some(8.0), ..Config::default() });
        w.load(url);
        w.run_for(600.0);
        let before = crate::counting::held();
        for _ in 0..12 {
            w.run_for(600.0);
            w.forget();
        }
        let after = crate::counting::held();
        assert!(after < before + 64_000, "{url}: {before} then {after} bytes\n");
        assert_eq!(w.errors(), []);
    }
}
