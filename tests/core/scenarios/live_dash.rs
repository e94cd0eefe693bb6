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

#[test]
fn a_manifest_that_does_not_come_keeps_nobody_from_the_edge_for_long_nor_undoes_a_seek() {
    let live = Live::new().with(|l| (l.update, l.depth) = (Some(0.0), 600.0));
    let shifted = || {
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(40.0);
        w.seek(w.element.position - 25.0);
        w.run_for(5.0);
        w.fault("manifest", Fault::Silence, 1);
        w.intent(UserIntent::GoLive);
        w
    };
    let mut w = shifted();
    let before = w.element.position;
    w.run_for(3.0);
    assert!(w.element.position > before + 15.0, "{}", w.story());

    let mut w = shifted();
    w.run_for(0.5);
    let to = w.element.position - 10.0;
    w.seek(to);
    w.run_for(30.0);
    assert!((w.element.position - to - 30.0).abs() < 2.0, "{}", w.story());
}

#[test]
fn every_way_to_tell_of_segments_plays_alike() {
    for (addressing, numbered) in
        [(Addressing::Number, false), (Addressing::Time, false), (Addressing::Time, true)]
    {
        let live = Live::new().with(|l| {
            (l.addressing, l.numbered, l.update, l.delay) =
                (Some(addressing), numbered, Some(2.0), Some(8.0));
        });
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(60.0);
        assert_flawless(&w, &live);
        let behind = latency(&w, &live);
        assert!((7.0..9.1).contains(&behind), "{addressing:?} {numbered}: {behind}\n{}", w.story());
        let read = requests_of(&w, "manifest.mpd");
        assert!(read.windows(2).all(|p| p[1] - p[0] >= 1.99), "{read:?}");
    }
}

#[test]
fn a_manifest_read_a_moment_too_soon_is_read_again_before_the_buffer_ends() {
    // Where in the encoder's round it is read, and whether it is read between the listing of sound and that of the pictures.
    for (phase, uneven) in (0..20).flat_map(|p| [(p, 0.0), (p, 0.1), (p, 0.3)]) {
        let live = Live::new().with(|l| {
            (l.update, l.uneven, l.age) = (Some(2.0), uneven, 1000.0 + 0.1 * f64::from(phase));
        });
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(60.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        // As often as the manifest asks, and a few times more.
        let read = requests_of(&w, "manifest.mpd").len();
        assert!(read < 36, "{phase} {uneven}: {read}\n{}", w.story());
    }
}

#[test]
fn the_distance_is_what_the_manifest_asks_for() {
    for delay in [4.0, 6.0, 12.0, 30.0] {
        let live = Live::new().with(|l| l.delay = Some(delay));
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(20.0);
        assert_quiet(&w);
        let behind = latency(&w, &live);
        // To the next start of a segment.
        assert!((delay - 1.1..delay + 1.1).contains(&behind), "{delay}: {behind}\n{}", w.story());
        assert!((state(&w).target - delay).abs() < 0.01 && (state(&w).latency - behind).abs() < 1.1);
    }
}

#[test]
fn an_update_period_of_zero_reads_when_a_segment_is_wanted() {
    let live = Live::new().with(|l| l.update = Some(0.0));
    let mut w = tuned_at(live.clone().dash(), 8.0);
    w.load(MPD);
    w.run_for(60.0);
    assert_quiet(&w);
    assert_seamless(&w, &live);
    let read = requests_of(&w, "manifest.mpd");
    // A segment every two seconds: not much more often than that, and never twice in a second.
    assert!((15..62).contains(&read.len()), "{} {read:?}", read.len());
    assert!(read.windows(2).all(|p| p[1] - p[0] >= 0.99), "{read:?}");
}

#[test]
fn a_pause_at_an_update_period_of_zero_reads_nothing() {
    let live = Live::new().with(|l| (l.update, l.depth) = (Some(0.0), 600.0));
    let mut w = tuned_at(live.clone().dash(), 8.0);
    w.load(MPD);
    w.run_for(10.0);
    w.pause();
    w.run_for(60.0);
    let before = requests_of(&w, "manifest.mpd").len();
    w.run_for(120.0);
    assert_eq!(requests_of(&w, "manifest.mpd").len(), before, "{}", w.story());
    w.play();
    assert_plays(&mut w);
}

#[test]
fn patches_take_the_place_of_the_mpd() {
    let live = Live::new().with(|l| (l.update, l.delay, l.patches) = (Some(2.0), Some(8.0), true));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(60.0);
    assert_quiet(&w);
    assert_seamless(&w, &live);
    assert_eq!(requests_of(&w, "manifest.mpd").len(), 1, "{}", w.story());
    assert!((25..=30).contains(&requests_of(&w, "/patch?").len()), "{}", w.story());
}

#[test]
fn a_patch_that_cannot_be_used_costs_one_mpd() {
    for fault in [Fault::Status(404), Fault::Status(410), Fault::Content(b"<Patch"), Fault::ShortFile(300)] {
        let live = Live::new().with(|l| (l.update, l.delay, l.patches) = (Some(2.0), Some(8.0), true));
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(10.0);
        w.fault("/patch?", fault.clone(), 1);
        w.run_for(40.0);
        assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{fault:?}: {}", w.story());
        assert_seamless(&w, &live);
        assert_eq!(requests_of(&w, "manifest.mpd").len(), 2, "{fault:?}: {}", w.story());
        assert!(requests_of(&w, "/patch?").last().unwrap() > &45.0, "{fault:?}: {}", w.story());
    }
}

#[test]
fn a_manifest_that_says_where_it_is_next_is_read_there() {
    let live = Live::new().with(|l| (l.update, l.delay, l.location) = (Some(2.0), Some(8.0), true));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(30.0);
    assert_quiet(&w);
    assert_eq!(requests_of(&w, "manifest.mpd").len(), 1);
    assert!(requests_of(&w, "moved.mpd").len() > 10, "{}", w.story());
}

#[test]
fn a_manifest_that_is_gone_where_it_was_last_is_read_where_it_was_first() {
    for location in [false, true] {
        let live = Live::new().with(|l| (l.update, l.delay, l.location) = (Some(2.0), Some(12.0), location));
        let mut w = tuned(live.clone().dash(), Config::default());
        if !location {
            w.fault("manifest.mpd", Fault::Redirect(MOVED), 1);
        }
        w.load(MPD);
        w.run_for(10.0);
        assert_eq!(requests_of(&w, "manifest.mpd").len(), 1);
        w.fault("moved.mpd", Fault::Status(403), ALWAYS);
        w.run_for(60.0);
        assert_eq!((w.fatal(), stalls(&w)), (None, 0), "{location}: {}", w.story());
        assert_seamless(&w, &live);
        // It is asked there again only where the manifest still says so.
        let asked = requests_of(&w, "moved.mpd").iter().filter(|at| **at > 20.0).count();
        assert_eq!(asked > 0, location, "{}", w.story());
    }
}

#[test]
fn another_place_stands_in_without_a_stall() {
    let live =
        Live::new().with(|l| (l.update, l.delay, l.places) = (Some(2.0), Some(8.0), Live::two_places()));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(10.0);
    w.fault("media.test/v", Fault::Status(503), ALWAYS);
    w.fault("media.test/a", Fault::Status(503), ALWAYS);
    w.run_for(40.0);
    assert!(w.fatal().is_none() && stalls(&w) == 0, "{}", w.story());
    assert_seamless(&w, &live);
    let last: Vec<_> = w.requests().iter().filter(|r| r.kind == FetchKind::Segment && r.at > 40.0).collect();
    assert!(last.len() > 5 && last.iter().all(|r| r.url.starts_with(OTHER)), "{}", w.story());
    let failed = w.requests().iter().filter(|r| r.at > 20.0 && r.url.contains("media.test/v")).count();
    assert!(failed < 6, "{failed} more requests to a place that fails\n{}", w.story());
}

#[test]
fn clocks_are_asked_one_after_the_other_until_one_tells() {
    for clocks in [
        vec!["http-iso:2014"],
        vec!["http-xsdate:2014"],
        vec!["http-head:2014"],
        vec!["direct:2014"],
        vec!["http-ntp:2014", "http-xsdate:2014"],
        vec!["sntp:2014", "http-head:2014"],
    ] {
        for off in [-200.0, 200.0] {
            let live = Live::new().with(|l| (l.clocks, l.delay) = (clocks.clone(), Some(6.0)));
            let mut w = tuned(live.clone().dash(), Config::default());
            w.wall = UNIX + off;
            w.net.dated = clocks.iter().any(|c| c.starts_with("http-head")).then_some(UNIX);
            w.load(MPD);
            w.run_for(30.0);
            assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{clocks:?} {off}: {}", w.story());
            let behind = latency(&w, &live);
            assert!((4.4..7.6).contains(&behind), "{clocks:?} {off}: {behind}\n{}", w.story());
        }
    }
}

#[test]
fn what_comes_from_a_cache_does_not_set_the_clock_back() {
    for (off, age) in [(0.0, 3600.0), (300.0, 0.0), (3600.0, 0.0)] {
        let live = Live::new().with(|l| l.delay = Some(6.0));
        let mut w = tuned(live.clone().dash(), Config::default());
        w.wall = UNIX + off;
        if age > 0.0 {
            // Initialization segments, which come after what they are for.
            w.net.aged = Some(("init", age));
            w.fault("init", Fault::Delay(0.3), ALWAYS);
        }
        w.load(MPD);
        w.run_for(60.0);
        assert!(!w.switches().is_empty(), "{}", w.story());
        assert_quiet(&w);
        assert_seamless(&w, &live);
        let behind = latency(&w, &live);
        assert!((4.4..7.6).contains(&behind), "{off} {age}: {behind}\n{}", w.story());
    }
}

/// ISO/IEC 23009-1 §5.8.5.7: that is when the manifest was sent.
#[test]
fn a_time_in_the_manifest_is_that_of_its_reading() {
    let off = |w: &World, live: &Live| state(w).latency - (live.made_at(w.server_now()) - w.element.position);
    for update in [None, Some(2.0)] {
        let live = Live::new().with(|l| (l.clocks, l.update) = (vec!["direct:2014"], update));
        let mut w = tuned(live.clone().dash(), Config { live_latency: Some(8.0), ..Config::default() });
        w.net.dated = None;
        w.load(MPD);
        w.run_for(10.0);
        w.sleep(3600.0, false);
        w.run_for(40.0);
        assert!(off(&w, &live).abs() < 0.2, "{update:?}: {}\n{}", off(&w, &live), w.story());
        assert_plays(&mut w);
        // The machine's clock is set back.
        w.wall -= 300.0;
        w.run_for(30.0);
        assert!(off(&w, &live).abs() < 0.2, "{update:?}: {}\n{}", off(&w, &live), w.story());
        assert_plays(&mut w);
    }
    let live = Live::new().with(|l| (l.clocks, l.delay) = (vec!["http-iso:2014", "direct:2014"], Some(8.0)));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.net.dated = None;
    w.fault("/time", Fault::Silence, ALWAYS);
    w.load(MPD);
    w.run_for(120.0);
    assert!(off(&w, &live).abs() < 0.2, "{}\n{}", off(&w, &live), w.story());
    assert_quiet(&w);
}

#[test]
fn a_clock_source_that_fails_is_passed_over_and_delays_little() {
    for fault in [Fault::Status(404), Fault::Refused, Fault::Silence, Fault::Content(b"noon")] {
        let clocks = vec!["http-iso:2014", "direct:2014"];
        let live = Live::new().with(|l| (l.clocks, l.delay) = (clocks, Some(6.0)));
        let mut w = tuned(live.clone().dash(), Config::default());
        w.fault("/time", fault.clone(), ALWAYS);
        w.load(MPD);
        let began = w.run_until(4.0, |w| w.element.ready_state >= 3);
        assert!(began, "{fault:?}: {}", w.story());
        w.run_for(30.0);
        assert_eq!((w.fatal(), stalls(&w)), (None, 0), "{fault:?}: {}", w.story());
        assert!((4.4..7.6).contains(&latency(&w, &live)), "{fault:?}: {}", latency(&w, &live));
    }
}

/// Encoders close a segment some frames after its time; players ask for it at its time.
#[test]
fn segments_that_are_always_a_little_late_cost_no_stall() {
    for (late, begins) in [(0.03, 0.0), (0.03, 0.7), (0.03, 1.4), (0.15, 0.3), (0.15, 1.1)] {
        let live = Live::new().with(|l| {
            (l.delay, l.addressing) = (Some(2.0), Some(Addressing::Number));
            l.late = (480..560).map(|n| (n, late)).collect();
        });
        let mut w = tuned(live.clone().dash(), Config::default());
        w.net.rtt = 0.005;
        w.run_for(begins);
        w.load(MPD);
        w.run_for(60.0);
        assert_eq!((stalls(&w), w.errors()), (0, vec![]), "{late} {begins}\n{}", w.story());
        assert_seamless(&w, &live);
        assert!(w.switches().len() <= 2, "{late} {begins}: {:?}\n{}", w.switches(), w.story());
        let asked = |r: &&Request| r.at > 10.0 && r.kind == FetchKind::Segment && r.url.ends_with(".m4s");
        let came = w.requests().iter().filter(asked).filter(|r| r.outcome == Outcome::Complete);
        assert!(came.clone().count() > 40, "{}", w.story());
        for r in came {
            assert!(r.at % 2.0 < late + 0.2, "{late} {begins}: {} at {}\n{}", r.url, r.at, w.story());
        }
        // Three questions more for a segment at the most.
        let count = w.requests().iter().filter(asked).count();
        assert!(count < 2 * 25 * 4, "{late} {begins}: {count}\n{}", w.story());
    }
}

#[test]
fn the_clock_that_told_is_the_one_that_is_asked_again() {
    let live = Live::new().with(|l| (l.clocks, l.delay) = (vec!["http-iso:2014"; 2], Some(6.0)));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.fault("/time?0", Fault::Status(404), ALWAYS);
    w.fault("/time?1", Fault::Delay(0.8), 1);
    w.load(MPD);
    w.run_for(60.0);
    let off = state(&w).latency - (live.made_at(w.server_now()) - w.element.position);
    assert!(off.abs() < 0.03, "{off}\n{}", w.story());
    assert_eq!((requests_of(&w, "/time?0").len(), requests_of(&w, "/time?1").len()), (1, 2), "{}", w.story());
}

/// Nothing tells the time but the segments that are there.
#[test]
fn a_clock_that_nobody_puts_right_is_put_right_by_what_is_there() {
    for addressing in [Addressing::Number, Addressing::Time] {
        for off in [-30.0, -4.0, 2.0, 4.0, 7.0, 10.0, 30.0, 300.0] {
            let live = Live::new().with(|l| {
                l.addressing = Some(addressing);
                l.update = (addressing == Addressing::Time).then_some(2.0);
            });
            let mut w = tuned(live.clone().dash(), Config::default());
            w.wall = UNIX + off;
            w.net.dated = None;
            w.load(MPD);
            w.run_for(30.0);
            assert_eq!(w.errors(), [], "{addressing:?} {off}\n{}", w.story());
            assert!(stalls(&w) <= 2, "{addressing:?} {off}: {}\n{}", stalls(&w), w.story());
            // From then on all goes as it should.
            let (stalled, made) = (stalls(&w), w.requests().len());
            w.run_for(60.0);
            assert_eq!(stalls(&w), stalled, "{addressing:?} {off}\n{}", w.story());
            let vain = w.requests()[made..].iter().filter(|r| r.received == 0).count();
            assert!(vain <= 30 * 2 * 3, "{addressing:?} {off}: {vain} requests in vain\n{}", w.story());
            let most = if off < -10.0 { 36.0 } else { 10.0 };
            assert!(latency(&w, &live) < most, "{addressing:?} {off}: {}\n{}", latency(&w, &live), w.story());
        }
    }
}

#[test]
fn a_server_that_fails_is_no_sign_of_a_clock_that_is_wrong() {
    let live = Live::plain().with(|l| l.addressing = Some(Addressing::Number));
    let mut w = tuned(live.clone().dash(), Config { max_attempts: 1, ..Config::default() });
    w.net.dated = None;
    w.load(MPD);
    w.run_for(10.0);
    // Segments cannot be had, three are passed over, and the next is waited for and comes; and so the next time.
    for _ in 0..4 {
        let appended = w.appended('v').1;
        w.fault(".m4s", Fault::Status(503), 4);
        assert!(w.run_until(60.0, |w| w.appended('v').1 >= appended + 50), "{}", w.story());
    }
    w.run_for(30.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    let off = state(&w).edge - live.made_at(w.server_now());
    assert!(off.abs() < 3.0, "the edge is off by {off}\n{}", w.story());
}

#[test]
fn a_wrong_clock_alone_asks_for_little_and_says_so() {
    // Nothing tells the time: by number, in the future nothing is there, and so far back nobody looks.
    let live = Live::new().with(|l| l.delay = Some(6.0));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.wall = UNIX + 10_800.0;
    w.net.dated = None;
    w.load(MPD);
    w.run_for(30.0);
    let asked = w.requests().iter().filter(|r| r.kind == FetchKind::Segment).count();
    assert!(asked < 60, "{asked} requests\n{}", w.story());
    assert!(!w.errors().is_empty(), "{}", w.story());
}

#[test]
fn chunks_are_appended_as_they_come() {
    for chunk in [0.2, 0.5] {
        let live = Live::new().with(|l| {
            (l.chunk, l.clock) = (Some(chunk), true);
            l.service = Some((1.5, 0.96, 1.04));
        });
        let mut w = tuned(live.clone().dash(), Config::default());
        w.net.rtt = 0.02;
        w.load(MPD);
        w.run_for(60.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        assert_fetched_once(&w);
        let behind = latency(&w, &live);
        assert!((1.3..1.7).contains(&behind), "{chunk}: {behind}\n{}", w.story());
        assert!((state(&w).target - 1.5).abs() < 1e-6);
        // Nobody waits for a whole segment, and none is asked for before it is begun.
        for r in w.requests().iter().filter(|r| r.kind == FetchKind::Segment && r.url.contains("/v")) {
            let n: f64 = r.url.rsplit('/').next().unwrap().trim_end_matches(".m4s").parse().unwrap();
            assert!(r.at + live.age >= n * 2.0 + chunk - 0.01, "{n} at {}\n{}", r.at, w.story());
        }
    }
}

#[test]
fn throughput_is_measured_from_chunks_not_from_the_pace_of_the_encoder() {
    // 800 kbit/s come at the pace of the encoder on a link of 10 Mbit/s: the best quality is had soon, and kept.
    let live = Live::new().with(|l| (l.chunk, l.service) = (Some(0.2), Some((2.0, 0.96, 1.04))));
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(60.0);
    assert_quiet(&w);
    assert_eq!(w.played('v').last().unwrap().rung, 2, "{}", w.story());
    let down = w.switches().iter().filter(|s| s.2 == Reason::ThroughputDown).count();
    assert_eq!(down, 0, "{:?}", w.switches());
    // And on a link that has no more than one of 1.2 Mbit/s it is not.
    let mut w = tuned(live.clone().dash(), Config::default());
    w.link(1.2e6);
    w.load(MPD);
    w.run_for(90.0);
    assert!(w.played('v').last().unwrap().rung < 2, "{}", w.story());
    assert!(stalls(&w) <= 1, "{}", w.story());
}

#[test]
fn a_segment_that_comes_late_as_it_is_made_is_waited_for() {
    let late = vec![(510, 1.5), (515, 2.5)];
    let live = Live::new().with(|l| {
        (l.chunk, l.clock, l.late) = (Some(0.2), true, late);
        l.service = Some((3.0, 0.96, 1.04));
    });
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(60.0);
    assert_eq!((w.errors(), holes(&w)), (vec![], vec![]), "{}", w.story());
    assert_seamless(&w, &live);
}

#[test]
fn the_distance_of_a_service_is_reached_from_either_side_within_its_rates() {
    for (start, target) in [(4.0, 3.0), (3.0, 4.0)] {
        let live = Live::new().with(|l| {
            l.chunk = Some(0.2);
            l.service = Some((target, 0.95, 1.05));
        });
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load_at(MPD, -start);
        w.run_for(60.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        let behind = latency(&w, &live);
        assert!((behind - target).abs() < 0.25, "{start} {target}: {behind}\n{}", w.story());
        let rates: Vec<f64> = states(&w).iter().map(|s| s.1.rate).collect();
        assert!(rates.iter().all(|r| (0.95..=1.05).contains(r)), "{rates:?}");
        assert_eq!(w.element.rate, 1.0, "{rates:?}");
        // It goes one way: faster and slower by turns is heard.
        let changes = w.commands.iter().filter(|c| c.1.starts_with("SetRate")).count();
        assert!(changes <= 8, "{changes} changes of the rate\n{}", w.story());
    }
}

#[test]
fn an_event_in_a_segment_tells_that_the_mpd_has_changed() {
    // The MPD asks for no reading for an hour; each new period is told of by the media.
    let live = Live::new().with(|l| {
        (l.period, l.expires, l.announce) = (Some(20.0), true, 12.0);
        (l.addressing, l.update, l.delay) = (Some(Addressing::Number), Some(3600.0), Some(6.0));
    });
    let mut w = tuned(live.clone().dash(), Config::default());
    w.load(MPD);
    w.run_for(90.0);
    assert_quiet(&w);
    assert_seamless(&w, &live);
    let read = requests_of(&w, "manifest.mpd");
    assert!((4..=7).contains(&read.len()), "{read:?}\n{}", w.story());
}

#[test]
fn an_mpd_that_fails_for_a_while_is_read_when_it_is_back() {
    for fault in [Fault::Status(503), Fault::Status(404), Fault::Content(b"<html>"), Fault::Silence] {
        let live = Live::new().with(|l| l.update = Some(2.0));
        let mut w = tuned_at(live.clone().dash(), 12.0);
        w.load(MPD);
        w.run_for(20.0);
        w.fault("manifest.mpd", fault.clone(), ALWAYS);
        w.run_for(40.0);
        let read = requests_of(&w, "manifest.mpd").into_iter().filter(|at| *at > 20.0).count();
        assert!((3..30).contains(&read), "{fault:?}: {read} readings in 40 s\n{}", w.story());
        let told = w.errors().len();
        // Silence is told of once all attempts are over.
        let least = usize::from(!matches!(fault, Fault::Silence));
        assert!((least..=2).contains(&told), "{fault:?}: told {told} times\n{}", w.story());
        w.net.heal();
        w.run_for(40.0);
        assert!(w.fatal().is_none(), "{fault:?}: {}", w.story());
        assert_plays(&mut w);
        assert_seamless(&w, &live);
    }
}

#[test]
fn an_encoder_that_begins_anew_is_followed() {
    for addressing in [Addressing::Number, Addressing::Time] {
        let live = Live::new().with(|l| {
            (l.restart, l.renewed) = (Some(510), true);
            (l.addressing, l.update, l.delay) = (Some(addressing), Some(2.0), Some(8.0));
        });
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(70.0);
        assert!(w.fatal().is_none(), "{addressing:?}: {}", w.story());
        let last = *w.played('v').last().unwrap();
        assert_eq!(last.part, 1, "{addressing:?}: {}", w.story());
        assert!(latency(&w, &live) < 14.0, "{addressing:?}: {}\n{}", latency(&w, &live), w.story());
        // Nothing is played twice.
        let ends: Vec<f64> = w.played('v').iter().map(|m| live.end_of(*m)).collect();
        assert!(ends.windows(2).all(|p| p[1] > p[0] - 1e-6), "{addressing:?}: {}", w.story());
        assert_plays(&mut w);
    }
}

#[test]
fn a_segment_that_is_missing_for_good_is_told_as_a_hole() {
    for addressing in [Addressing::Number, Addressing::Time] {
        let live = Live::plain().with(|l| {
            (l.addressing, l.update, l.delay) = (Some(addressing), Some(2.0), Some(10.0));
        });
        let mut w = tuned(live.clone().dash(), Config::default());
        let lost = if addressing == Addressing::Number {
            "/505.m4s".to_owned()
        } else {
            format!("/t{}.m4s", 1010 * 90_000)
        };
        w.fault(&lost, Fault::Status(404), ALWAYS);
        w.load(MPD);
        w.run_for(60.0);
        assert!(w.fatal().is_none(), "{}", w.story());
        let jumped: f64 = holes(&w).iter().map(|g| g.2 - g.1).sum();
        assert!((1.9..2.2).contains(&jumped), "{addressing:?}: {:?}\n{}", holes(&w), w.story());
        let asked = requests_of(&w, &lost).len();
        assert!((1..12).contains(&asked), "{asked}");
        assert_plays(&mut w);
    }
}

#[test]
fn the_end_of_a_stream_is_learnt_of_by_reading() {
    for addressing in [Addressing::Number, Addressing::Time] {
        let live = Live::new().with(|l| {
            (l.end, l.update, l.addressing) = (Some(1031.0), Some(2.0), Some(addressing));
        });
        let mut w = tuned_at(live.clone().dash(), 8.0);
        w.load(MPD);
        w.play_to_end(60.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        assert_eq!(w.played('v').last().unwrap().number, 1031 * 25 - 1, "{addressing:?}: {}", w.story());
        let before = w.requests().len();
        w.run_for(60.0);
        assert_eq!(w.requests().len(), before, "what has ended is read no more\n{}", w.story());
    }
}

#[test]
fn a_period_with_types_that_were_not_asked_about_waits_for_the_answer() {
    for addressing in [Addressing::Number, Addressing::Time] {
        let live = Live::new().with(|l| {
            // Told of together with its first segment.
            (l.period, l.turned, l.announce) = (Some(16.0), true, -2.5);
            (l.addressing, l.update, l.delay) = (Some(addressing), Some(2.0), Some(8.0));
        });
        let mut w = tuned(live.clone().dash(), Config::default());
        w.load(MPD);
        w.run_for(70.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        assert_fetched_once(&w);
        assert_eq!(w.sources_opened, 1, "{}", w.story());
    }
}

#[test]
fn a_clock_that_is_behind_is_put_right_by_the_manifest_itself() {
    for off in [-300.0, -86_400.0] {
        let live = Live::new().with(|l| (l.clock, l.delay) = (false, Some(8.0)));
        let mut w = World::new(live.clone().dash());
        w.wall = UNIX + off;
        w.load(MPD);
        w.run_for(20.0);
        assert_quiet(&w);
        assert!((7.0..9.5).contains(&latency(&w, &live)), "{}\n{}", latency(&w, &live), w.story());
    }
}
