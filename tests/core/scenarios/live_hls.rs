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

#[test]
fn a_date_that_is_sought_is_not_left_for_the_edge() {
    let (_, mut w) = low(|_| {});
    w.run_for(20.0);
    w.intent(UserIntent::SeekToDate(UNIX + w.now - 30.0));
    w.run_for(10.0);
    let told = state(&w);
    assert!(holes(&w).iter().all(|g| g.0 != Reason::CaughtUp) && !told.at_edge, "{told:?}\n{}", w.story());
    assert!((29.0..32.5).contains(&told.latency), "{told:?}\n{}", w.story());
    w.intent(UserIntent::SeekToDate(UNIX + w.now));
    w.run_for(5.0);
    assert!(state(&w).at_edge, "{:?}\n{}", state(&w), w.story());
}

/// Parts of a third of a second, 20 ms away.

#[test]
fn playlists_are_read_no_earlier_than_the_rules_allow() {
    for segment in [2.0, 4.0, 6.0] {
        let live = Live::new().with(|l| (l.stream.segment, l.depth) = (segment, 10.0 * segment));
        let mut w = tuned(live.clone().hls(false), Config::default());
        w.load(M3U8);
        w.run_for(120.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        assert_reload_rules(&w, &live);
        assert_fetched_once(&w);
        assert_appended_once(&w);
        // And often enough that the distance is kept.
        let behind = latency(&w, &live);
        assert!((3.0 * segment..5.1 * segment).contains(&behind), "{segment}: {behind}\n{}", w.story());
    }
}

#[test]
fn the_clock_of_a_transport_stream_wraps_without_a_seam() {
    // 2^33 ticks of 90 kHz are 95,443.7 seconds.
    let live = Live::new().with(|l| {
        (l.age, l.stream.muxed, l.stream.languages) = (95_425.0, true, vec![]);
    });
    let mut w = tuned(live.clone().hls(true), Config::default());
    w.load(M3U8);
    w.run_for(60.0);
    assert_quiet(&w);
    assert_seamless(&w, &live);
}

#[test]
fn an_event_can_be_played_from_its_start_and_goes_on() {
    let live = Live::new().with(|l| (l.event, l.age, l.end) = (true, 40.0, Some(90.0)));
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.load_at(M3U8, 0.0);
    w.run_for(5.0);
    assert_eq!(w.played('v')[0].number, 0, "{}", w.story());
    assert!(state(&w).window.0 == 0.0 && !state(&w).at_edge, "{:?}", state(&w));
    w.play_to_end(120.0);
    assert_quiet(&w);
    assert_seamless(&w, &live);
    w.assert_played_all('v', &[90 * 25]);
}

#[test]
fn a_seek_into_the_middle_of_a_segment_moves_no_times() {
    // Parts begin with keyframes.
    let (_, mut w) = low(|l| (l.stream.ladder, l.depth) = (vec![4_000_000], 60.0));
    w.load(M3U8);
    w.run_for(20.0);
    let (segment, (since, before)) = (2.0, *states(&w).last().unwrap());
    let to = ((before.window.0 + 20.0) / segment).floor() * segment + 1.4;
    w.seek(to);
    w.run_for(20.0);
    let skipped =
        w.requests().iter().any(|r| r.kind == FetchKind::Segment && r.range.is_some_and(|r| r.first > 0));
    assert!(skipped, "{}", w.story());
    for (at, after) in states(&w).into_iter().filter(|(at, _)| *at > 20.0) {
        let moved = after.edge - before.edge - (at - since);
        assert!(moved.abs() < 0.4, "{moved} at {at}\n{}", w.story());
    }
}

#[test]
fn a_gap_that_is_told_of_is_passed_over_with_a_reason() {
    let live = Live::plain().with(|l| l.gaps = vec![503, 504]);
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.fault("/503.m4s", Fault::Status(404), ALWAYS);
    w.load(M3U8);
    w.run_for(60.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    let found = holes(&w);
    assert!(
        found.iter().all(|g| g.0 == Reason::GapAnnounced) && !found.is_empty(),
        "{found:?}\n{}",
        w.story()
    );
    let jumped: f64 = found.iter().map(|g| g.2 - g.1).sum();
    assert!((3.9..4.2).contains(&jumped), "{found:?}\n{}", w.story());
    assert!(requests_of(&w, "/503.m4s").is_empty() && requests_of(&w, "/504.m4s").is_empty());
    assert_plays(&mut w);
}

#[test]
fn an_encoder_that_begins_anew_is_followed() {
    for dates in [true, false] {
        let live = Live::new().with(|l| (l.restart, l.renewed, l.dates) = (Some(510), true, dates));
        let mut w = tuned(live.clone().hls(false), Config::default());
        w.load(M3U8);
        w.run_for(80.0);
        assert!(w.fatal().is_none(), "{dates}: {}", w.story());
        assert_eq!(w.played('v').last().unwrap().part, 1, "{dates}: {}", w.story());
        let ends: Vec<f64> = w.played('v').iter().map(|m| live.end_of(*m)).collect();
        assert!(ends.windows(2).all(|p| p[1] > p[0] - 1e-6), "{dates}: {}", w.story());
        assert!(latency(&w, &live) < 16.0, "{dates}: {}\n{}", latency(&w, &live), w.story());
        assert_plays(&mut w);
    }
}

#[test]
fn qualities_are_switched_at_the_edge_without_a_stall() {
    let live = Live::new();
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.load(M3U8);
    w.run_for(20.0);
    for rate in [1.2e6, 10e6, 600e3, 10e6] {
        w.link(rate);
        w.run_for(30.0);
    }
    assert_quiet(&w);
    assert_seamless(&w, &live);
    assert!(w.switches().len() >= 4, "{:?}", w.switches());
    assert!((6.0..10.1).contains(&latency(&w, &live)), "{}", latency(&w, &live));
    // The user's choice, too.
    for id in ["v0", "v2", "v1"] {
        let wanted = quality_named(&w, id);
        w.intent(UserIntent::SelectQuality(Some(wanted)));
        w.run_for(15.0);
        assert_eq!(format!("v{}", w.played('v').last().unwrap().rung), id, "{}", w.story());
    }
    assert_quiet(&w);
    assert_seamless(&w, &live);
}

/// The id of the quality with the bandwidth of a rung.
fn quality_named(w: &World, rung: &str) -> String {
    let tracks = w.events.iter().rev().find_map(|t| match &t.event {
        Event::Tracks { qualities, .. } => Some(qualities.clone()),
        _ => None,
    });
    let position: usize = rung[1..].parse().unwrap();
    tracks.unwrap()[position].id.clone()
}

/// The ids of the audio tracks.
fn audio_ids(w: &World) -> Vec<String> {
    let tracks = w.events.iter().rev().find_map(|t| match &t.event {
        Event::Tracks { audio, .. } => Some(audio.clone()),
        _ => None,
    });
    tracks.unwrap().iter().map(|a| a.id.clone()).collect()
}

#[test]
fn languages_are_switched_at_the_edge_without_a_stall() {
    let two = Live::new().with(|l| l.stream.languages = vec!["en", "de"]);
    let parts = two.clone().with(|l| (l.part, l.reports) = (Some(1.0 / 3.0), true));
    let dash = two.clone().with(|l| l.delay = Some(6.0));
    for (live, site, url) in [
        (&two, two.clone().hls(false), M3U8),
        (&parts, parts.clone().hls(false), M3U8),
        (&dash, dash.clone().dash(), MPD),
    ] {
        let mut w = tuned(site, Config::default());
        w.load(url);
        w.run_for(15.0);
        let ids = audio_ids(&w);
        for (id, rung) in [(&ids[1], 1), (&ids[0], 0), (&ids[1], 1)] {
            let before = w.element.position;
            w.intent(UserIntent::SelectAudio(id.clone()));
            w.run_for(10.0);
            assert_eq!(w.played('a').last().unwrap().rung, rung, "{}", w.story());
            assert!(w.element.position - before > 8.0, "it waited long\n{}", w.story());
        }
        assert_eq!(w.errors(), [], "{}", w.story());
        assert_eq!(holes(&w), [], "{}", w.story());
        assert!(latency(&w, live) < 10.5, "{}", latency(&w, live));
        // The pictures went on.
        let frames = w.played('v');
        assert!(frames.windows(2).all(|p| p[1].number == p[0].number + 1), "{}", w.story());
    }
}

#[test]
fn low_latency_plays_alike_with_every_part_of_it_left_out() {
    type Change = fn(&mut Live);
    let switches: [(&str, Change); 7] = [
        ("all", |l| (l.deltas, l.reports) = (true, true)),
        ("no deltas", |l| l.reports = true),
        ("no reports", |l| l.deltas = true),
        ("no hints", |l| (l.deltas, l.reports, l.hints) = (true, true, false)),
        ("ranges", |l| (l.deltas, l.reports, l.ranged) = (true, true, true)),
        ("ranges without hints", |l| (l.ranged, l.hints) = (true, false)),
        ("no dates", |l| l.dates = false),
    ];
    for (name, change) in switches {
        let (live, mut w) = low(change);
        w.run_for(60.0);
        assert_flawless(&w, &live);
        let behind = latency(&w, &live);
        assert!((0.6..1.8).contains(&behind), "{name}: {behind}\n{}", w.story());
        // One reading for each part of each of the two playlists, and hardly more.
        let read = requests_of(&w, "_HLS_msn").len();
        assert!((200..=400).contains(&read), "{name}: {read} readings\n{}", w.story());
        let skips = requests_of(&w, "_HLS_skip").len();
        assert_eq!(skips > 100, live.deltas, "{name}: {skips}\n{}", w.story());
    }
}

#[test]
fn low_latency_over_discontinuities() {
    let (live, mut w) = low(|l| {
        (l.period, l.rebased, l.deltas, l.reports) = (Some(14.0), true, true, true);
    });
    w.load(M3U8);
    w.run_for(60.0);
    assert_quiet(&w);
    assert_seamless(&w, &live);
    assert!((0.6..1.6).contains(&latency(&w, &live)), "{}\n{}", latency(&w, &live), w.story());
}

#[test]
fn low_latency_switches_quality_by_the_report_of_the_other_playlist() {
    let (live, mut w) = low(|l| (l.deltas, l.reports) = (true, true));
    w.run_for(20.0);
    for id in ["v0", "v2", "v1"] {
        let wanted = quality_named(&w, id);
        let at = w.now;
        w.intent(UserIntent::SelectQuality(Some(wanted)));
        w.run_for(12.0);
        assert_eq!(format!("v{}", w.played('v').last().unwrap().rung), id, "{}", w.story());
        // A playlist that was read before is joined with what the other one reported.
        let first =
            w.requests().iter().find(|r| r.at >= at && r.url.contains(&format!("{id}.m3u8"))).unwrap();
        assert!(first.url.contains("_HLS_msn=") || w.now < 40.0, "{}\n{}", first.url, w.story());
    }
    assert_quiet(&w);
    assert_seamless(&w, &live);
    assert!(latency(&w, &live) < 2.0, "{}\n{}", latency(&w, &live), w.story());
}

#[test]
fn a_blocking_reading_that_is_never_answered_is_given_up() {
    let (live, mut w) = low(|l| l.deltas = true);
    w.run_for(20.0);
    w.fault("_HLS_msn", Fault::Silence, ALWAYS);
    w.run_for(60.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    // It plays on by plain readings, further behind.
    assert!(latency(&w, &live) < 30.0, "{}\n{}", latency(&w, &live), w.story());
    assert_plays(&mut w);
    let plain = w.requests().iter().filter(|r| r.at > 50.0 && r.url.ends_with(".m3u8")).count();
    assert!(plain > 5, "{}", w.story());
}

#[test]
fn a_server_that_refuses_directives_is_read_without() {
    for status in [400, 404, 503] {
        let (live, mut w) = low(|l| (l.deltas, l.reports) = (true, true));
        w.fault("_HLS_", Fault::Status(status), ALWAYS);
        w.load(M3U8);
        w.run_for(40.0);
        assert!(w.fatal().is_none(), "{status}: {}", w.story());
        assert_plays(&mut w);
        assert!(latency(&w, &live) < 12.0, "{status}: {}\n{}", latency(&w, &live), w.story());
        let asked = w.requests().iter().filter(|r| r.url.contains(".m3u8")).count();
        assert!(asked < 200, "{status}: {asked} readings in 45 s\n{}", w.story());
    }
}

#[test]
fn hints_that_are_not_kept_cost_no_stall() {
    // The part that was hinted at cannot be had under that name before it is listed.
    let (live, mut w) = low(|l| l.deltas = true);
    w.run_for(15.0);
    w.fault("-2.m4s", Fault::Status(404), 8);
    w.run_for(40.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    assert!(stalls(&w) <= 2, "{}", w.story());
    assert_seamless(&w, &live);
    assert!(latency(&w, &live) < 2.5, "{}\n{}", latency(&w, &live), w.story());
}

#[test]
fn a_server_that_keeps_no_hints_is_asked_once_for_each() {
    let (live, mut w) = low(|l| l.kept = false);
    w.run_for(60.0);
    assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{}", w.story());
    assert_seamless(&w, &live);
    assert!(latency(&w, &live) < 1.6, "{}\n{}", latency(&w, &live), w.story());
    let parts = w.requests().iter().filter(|r| r.url.contains('-'));
    let (refused, parts) =
        (parts.clone().filter(|r| r.received == 0).count(), parts.filter(|r| r.received > 0).count());
    assert!(refused <= parts + 4, "{refused} requests in vain for {parts} parts\n{}", w.story());
}

#[test]
fn redundant_streams_stand_in_for_one_another_at_the_edge() {
    let plain = Live::new().with(|l| l.places = Live::two_places());
    let parts = plain.clone().with(|l| (l.part, l.reports) = (Some(1.0 / 3.0), true));
    for (live, fault) in
        [(&plain, Fault::Status(503)), (&plain, Fault::Status(404)), (&parts, Fault::Status(404))]
    {
        let mut w = tuned(live.clone().hls(false), Config::default());
        w.load(M3U8);
        w.run_for(10.0);
        for all in ["media.test/v", "media.test/a"] {
            w.fault(all, fault.clone(), ALWAYS);
        }
        w.run_for(60.0);
        assert!(w.fatal().is_none(), "{}", w.story());
        assert!(stalls(&w) <= 1, "{fault:?}: {} stalls\n{}", stalls(&w), w.story());
        let last: Vec<_> = w.requests().iter().filter(|r| r.at > 60.0).collect();
        assert!(last.len() > 5 && last.iter().all(|r| r.url.starts_with(OTHER)), "{}", w.story());
        let frames = w.played('v');
        assert!(frames.windows(2).all(|p| p[1].number > p[0].number), "{}", w.story());
        // Attempts at a place that answers 5xx cost a second or two, and the distance has grown by that.
        assert!(latency(&w, live) < 12.5, "{}\n{}", latency(&w, live), w.story());
    }
}

#[test]
fn a_playlist_that_stands_still_for_a_while_goes_on() {
    // The source has a pause: nothing is added for 20 seconds, then all at once.
    for part in [None, Some(1.0 / 3.0)] {
        let live = Live::new().with(|l| (l.part, l.late) = (part, vec![(510, 20.0)]));
        let mut w = tuned(live.clone().hls(false), Config::default());
        w.load(M3U8);
        w.run_for(90.0);
        assert!(w.fatal().is_none(), "{part:?}: {}", w.story());
        // In low latency it jumps to the edge, and says so.
        match part {
            None => assert_seamless(&w, &live),
            Some(_) => assert!(holes(&w).iter().any(|g| g.0 == Reason::CaughtUp), "{}", w.story()),
        }
        assert_plays(&mut w);
        let read = w.requests().iter().filter(|r| (22.0..42.0).contains(&r.at) && r.url.contains(".m3u8"));
        assert!(read.count() < 60, "{part:?}: {}", w.story());
    }
}

#[test]
fn a_stream_that_ends_within_its_parts_is_played_to_the_last() {
    let (_, mut w) = low(|l| (l.end, l.deltas, l.reports) = (Some(1021.0), true, true));
    w.play_to_end(60.0);
    assert_eq!((w.errors(), stalls(&w)), (vec![], 0), "{}", w.story());
    assert_eq!(w.played('v').last().unwrap().number, 1021 * 25 - 1, "{}", w.story());
    assert_eq!(w.element.rate, 1.0);
    let before = w.requests().len();
    w.run_for(60.0);
    assert_eq!(w.requests().len(), before, "{}", w.story());
}

#[test]
fn a_playlist_that_is_first_read_when_the_stream_is_over_lies_where_the_others_do() {
    // The window has slid on by then, and in each playlist times begin at 0.
    for dates in [true, false] {
        let live = Live::new().with(|l| {
            (l.stream.languages, l.dates) = (vec!["en", "de"], dates);
            (l.depth, l.end) = (30.0, Some(1060.0));
        });
        let mut w = tuned(live.clone().hls(false), Config::default());
        w.load(M3U8);
        w.run_for(61.0);
        assert!(requests_of(&w, "a1.m3u8").is_empty(), "{}", w.story());
        let other = audio_ids(&w)[1].clone();
        w.intent(UserIntent::SelectAudio(other));
        w.play_to_end(20.0);
        assert_eq!((w.errors(), holes(&w)), (vec![], vec![]), "{dates}: {}", w.story());
        let sound = w.played('a');
        assert_eq!(sound.last().unwrap().rung, 1, "{dates}: {}", w.story());
        assert!(live.end_of(*sound.last().unwrap()) > 1059.9, "{dates}: {}", w.story());
        let steps = sound.windows(2).map(|p| live.end_of(p[1]) - live.end_of(p[0]));
        assert!(steps.into_iter().all(|step| (0.0..0.3).contains(&step)), "{dates}: {}", w.story());
    }
}

#[test]
fn a_quality_that_is_first_read_when_the_stream_is_over_ends_it() {
    // Before the playlist that was followed until then tells of the end.
    let live = Live::new().with(|l| (l.depth, l.end) = (30.0, Some(1060.0)));
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.load(M3U8);
    w.run_for(60.01);
    let unread = ["v0", "v1"].into_iter().find(|v| requests_of(&w, &format!("{v}.m3u8")).is_empty());
    let wanted = quality_named(&w, unread.expect("a quality that was not tried"));
    w.intent(UserIntent::SelectQuality(Some(wanted)));
    w.play_to_end(30.0);
    assert_quiet(&w);
    assert_seamless(&w, &live);
    assert_eq!(w.played('v').last().unwrap().number, 1060 * 25 - 1, "{}", w.story());
    let before = w.requests().len();
    w.run_for(60.0);
    assert_eq!(w.requests().len(), before, "{}", w.story());
}

#[test]
fn the_clock_of_a_transport_stream_wraps_before_another_quality() {
    let live = Live::new().with(|l| {
        (l.age, l.stream.muxed, l.stream.languages) = (95_425.0, true, vec![]);
    });
    let mut w = tuned(live.clone().hls(true), Config::default());
    w.load(M3U8);
    w.run_for(40.0);
    for id in ["v0", "v2", "v1"] {
        let wanted = quality_named(&w, id);
        w.intent(UserIntent::SelectQuality(Some(wanted)));
        w.run_for(20.0);
        assert_eq!(format!("v{}", w.played('v').last().unwrap().rung), id, "{}", w.story());
    }
    assert_quiet(&w);
    assert_seamless(&w, &live);
}

#[test]
fn a_seek_to_where_the_clock_of_a_transport_stream_had_not_wrapped_yet() {
    let live = Live::new().with(|l| {
        (l.age, l.depth, l.stream.muxed, l.stream.languages) = (95_480.0, 100.0, true, vec![]);
    });
    let mut w = tuned(live.clone().hls(true), Config::default());
    w.load(M3U8);
    w.run_for(10.0);
    // What plays is media after the wrap, and at 21 s it is media of before.
    w.seek(21.0);
    w.run_for(10.0);
    let shown = live.end_of(*w.played('v').last().unwrap());
    assert!((95_405.0..95_415.0).contains(&shown), "{shown}\n{}", w.story());
    w.run_for(50.0);
    assert_eq!((w.errors(), holes(&w)), (vec![], vec![]), "{}", w.story());
    let frames = w.played('v');
    let after = frames.iter().skip_while(|m| live.end_of(**m) > 95_470.0).collect::<Vec<_>>();
    assert!(after.windows(2).all(|p| p[1].number == p[0].number + 1) && after.len() > 1000, "{}", w.story());
}

#[test]
fn a_playlist_that_is_gone_when_it_is_chosen_again_is_asked_for_now_and_then() {
    for places in [vec![], Live::two_places()] {
        let live = Live::new().with(|l| (l.stream.languages, l.places) = (vec!["en", "de"], places.clone()));
        let mut w = tuned(live.clone().hls(false), Config::default());
        w.load(M3U8);
        w.run_for(15.0);
        let ids = audio_ids(&w);
        w.intent(UserIntent::SelectAudio(ids[1].clone()));
        w.run_for(15.0);
        w.fault("media.test/a0.m3u8", Fault::Status(404), ALWAYS);
        let before = requests_of(&w, "media.test/a0.m3u8").len();
        w.intent(UserIntent::SelectAudio(ids[0].clone()));
        w.run_for(30.0);
        let asked = requests_of(&w, "media.test/a0.m3u8").len() - before;
        // Another place has it, or it is waited for.
        if places.is_empty() {
            assert!((5..30).contains(&asked), "{asked} times in 30 s\n{}", w.story());
            w.net.heal();
            w.run_for(20.0);
        }
        assert_eq!(w.played('a').last().unwrap().rung, 0, "{asked}: {}", w.story());
        assert!(w.fatal().is_none(), "{}", w.story());
        assert_plays(&mut w);
    }
}

#[test]
fn playlists_that_one_server_no_longer_has_are_asked_of_the_one_that_led_there() {
    const SERVERS: [&str; 2] = ["https://edge7.test/", "https://edge8.test/"];
    // The multivariant playlist, and a media playlist alone.
    for (url, redirected) in
        [(M3U8, "media.test/v0.m3u8"), ("https://media.test/v0.m3u8", "media.test/v0.m3u8")]
    {
        let live = Live::plain();
        let origin = live.clone().hls(false);
        let mut site = crate::sim::site::Site::default();
        site.serve(move |url, now| {
            let of = SERVERS.iter().find_map(|server| url.strip_prefix(server));
            origin.answer(&of.map_or_else(|| url.to_owned(), |rest| format!("{ROOT}{rest}")), now)
        });
        let mut w = tuned(site, Config::default());
        w.fault(redirected, Fault::Redirect("https://edge7.test/v0.m3u8"), ALWAYS);
        w.load(url);
        w.run_for(20.0);
        assert_quiet(&w);
        // While it answers, it is asked itself.
        assert!(requests_of(&w, "edge7.test/v0.m3u8").len() > 5, "{}", w.story());
        w.net.heal();
        w.fault("edge7.test", Fault::Status(403), ALWAYS);
        w.fault(redirected, Fault::Redirect("https://edge8.test/v0.m3u8"), ALWAYS);
        w.run_for(60.0);
        assert!(w.fatal().is_none(), "{}", w.story());
        assert!(requests_of(&w, "edge8.test/v0.m3u8").len() > 5, "{}", w.story());
        assert!(latency(&w, &live) < 16.0, "{}\n{}", latency(&w, &live), w.story());
        assert_plays(&mut w);
    }
}
