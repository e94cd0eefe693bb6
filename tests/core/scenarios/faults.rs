//! Servers and networks that fail.

use super::*;

fn world(seconds: f64) -> World {
    World::new(Stream::simple(seconds).dash(Addressing::Number))
}

#[test]
fn a_server_that_fails_for_a_while_is_asked_again() {
    for pattern in ["manifest", "init", "v0/0/0.m4s", "v0/0/3.m4s", "a0/0/2.m4s"] {
        for fault in [
            Fault::Status(500),
            Fault::Refused,
            Fault::Status(429),
            Fault::BreakAfter(900),
            Fault::TruncateAfter(0),
        ] {
            let mut w = world(24.0);
            w.fault(pattern, fault.clone(), 3);
            w.load(MPD);
            w.play_to_end(40.0);
            w.assert_played_all('v', &[600]);
            w.assert_played_all('a', &[1125]);
            assert_eq!(w.errors(), [], "{pattern} {fault:?}: what passes is not told");
        }
    }
}

#[test]
fn redundant_streams_stand_in_for_one_another() {
    const OTHER: &str = "https://other.test/";
    let stream = Stream::simple(40.0).with(|s| s.ladder = vec![300_000, 600_000]);
    for (container, at) in [(Container::Fmp4, 0.0), (Container::Fmp4, 5.0), (Container::Ts, 5.0)] {
        let mut site = stream.clone().hls(container);
        site.mirror("https://media.test/", OTHER);
        site.put(M3U8, HLS_TYPE, redundant(&site.text(M3U8), OTHER));
        let mut w = World::new(site);
        w.net.rtt = 0.05;
        w.load(M3U8);
        w.run_for(at);
        for all in ["media.test/v", "media.test/a"] {
            w.fault(all, Fault::Status(404), ALWAYS);
        }
        w.play_to_end(60.0);
        w.assert_played_all('v', &[1000]);
        let from = w.requests().iter().position(|r| r.url.starts_with(OTHER)).expect("it went there");
        let back = w.requests()[from..].iter().filter(|r| !r.url.starts_with(OTHER)).count();
        assert!(back <= 2, "{back} more requests to a place that fails\n{}", w.story());
        assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{}", w.story());
        // A language is there once, wherever it comes from.
        let tracks = w.events.iter().find_map(|t| match &t.event {
            Event::Tracks { qualities, audio } => Some((qualities.len(), audio.len())),
            _ => None,
        });
        assert_eq!(tracks, Some((2, 1)));
    }
}

#[test]
fn media_playlists_and_indexes_are_asked_again_too() {
    for fault in [Fault::Status(503), Fault::BreakAfter(20)] {
        let mut w = World::new(Stream::simple(16.0).hls(Container::Fmp4));
        w.fault("v0.m3u8", fault.clone(), 2);
        w.fault("a0.m3u8", fault.clone(), 2);
        w.load(M3U8);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[400]);

        let mut w = World::new(Stream::simple(16.0).dash(Addressing::Sidx));
        w.fault("v0/0/all.mp4", fault, 2);
        w.load(MPD);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[400]);
    }
}

#[test]
fn the_pauses_between_attempts_grow() {
    let mut w = world(24.0);
    w.fault("manifest", Fault::Status(503), ALWAYS);
    w.load(MPD);
    let error = w.run_to_error(60.0);
    assert_eq!((error.code, error.status), (Code::HttpServer, Some(503)));
    assert_eq!(error.url.as_deref(), Some(MPD));
    assert!(error.tried.as_deref().is_some_and(|t| t.starts_with("4 attempts")), "{error:?}");
    let times: Vec<f64> = w.requests().iter().map(|r| r.at).collect();
    let pauses: Vec<f64> = times.windows(2).map(|p| p[1] - p[0]).collect();
    assert!(pauses.windows(2).all(|p| p[1] > p[0] * 1.5), "{pauses:?}");
}

#[test]
fn one_missing_segment_is_passed_over_with_a_word() {
    let mut w = world(40.0);
    w.fault("v0/0/4.m4s", Fault::Status(404), ALWAYS);
    w.load(MPD);
    w.play_to_end(60.0);
    assert!(w.errors().iter().all(|e| *e == Code::HttpClient) && !w.errors().is_empty(), "{:?}", w.errors());
    assert_eq!(w.played('v').len(), 900, "{}", w.story());
    assert!(w.gaps().iter().any(|g| (g.1 - 16.0).abs() < 0.5 && (g.2 - 20.0).abs() < 0.5), "{:?}", w.gaps());
}

#[test]
fn one_missing_segment_comes_from_another_representation() {
    for (url, site) in [
        (MPD, Stream::of(60.0).dash(Addressing::Number)),
        (M3U8, Stream::of(60.0).hls(Container::Ts)),
        (M3U8, Stream::of(60.0).hls(Container::Fmp4)),
    ] {
        let mut w = World::new(site);
        w.fault("v2/0/5.", Fault::Status(404), ALWAYS);
        w.load(url);
        w.play_to_end(80.0);
        w.assert_played_all('v', &[1500]);
        assert_eq!(w.gaps(), []);
        assert_eq!(w.errors(), [Code::HttpClient], "{}", w.story());
        assert!(w.switches().iter().any(|s| s.2 == Reason::Failure), "{}", w.story());
    }
}

#[test]
fn a_representation_that_is_gone_is_left_alone() {
    for (url, site, pattern) in [
        (MPD, Stream::of(60.0).dash(Addressing::Number), "v2/"),
        (MPD, Stream::of(60.0).dash(Addressing::Sidx), "v2/"),
        (M3U8, Stream::of(60.0).hls(Container::Ts), "v2.m3u8"),
        (M3U8, Stream::of(60.0).hls(Container::Fmp4), "v2/"),
    ] {
        let mut w = World::new(site);
        w.fault(pattern, Fault::Status(404), ALWAYS);
        w.load(url);
        w.play_to_end(80.0);
        w.assert_played_all('v', &[1500]);
        let asked = w.requests().iter().filter(|r| r.url.contains(pattern)).count();
        assert!(asked <= 6, "asked {asked} times\n{}", w.story());
    }
}

#[test]
fn when_every_segment_is_missing_it_ends_with_one_error() {
    for (url, site) in [
        (MPD, Stream::of(60.0).dash(Addressing::Number)),
        (M3U8, Stream::of(60.0).hls(Container::Ts)),
        (MPD, Stream::of(60.0).dash(Addressing::Sidx)),
    ] {
        let mut w = World::new(site);
        for rung in 0..3 {
            w.fault(&format!("v{rung}/"), Fault::Status(404), ALWAYS);
        }
        w.load(url);
        let error = w.run_to_error(60.0);
        assert_eq!((error.code, error.status), (Code::HttpClient, Some(404)));
        assert!(error.url.as_deref().is_some_and(|u| u.contains("/v")), "{error:?}");
        assert!(error.tried.as_deref().is_some_and(|t| t.contains("representations")), "{error:?}");
    }
}

#[test]
fn when_everything_goes_missing_midway_it_ends_after_what_was_buffered() {
    let mut w = World::new(Stream::of(120.0).dash(Addressing::Number));
    w.load(MPD);
    w.run_for(10.0);
    w.fault("m4s", Fault::Status(404), ALWAYS);
    let error = w.run_to_error(120.0);
    assert_eq!(error.code, Code::HttpClient);
}

#[test]
fn a_silent_server_is_given_up_and_asked_again() {
    let mut w = world(40.0);
    w.fault("v0/0/2.m4s", Fault::StallAfter(20_000), 1);
    w.fault("v0/0/5.m4s", Fault::Silence, 1);
    w.load(MPD);
    w.play_to_end(90.0);
    w.assert_played_all('v', &[1000]);
}

#[test]
fn a_silent_manifest_is_a_time_out() {
    let mut w = world(40.0);
    w.fault("manifest", Fault::Silence, ALWAYS);
    w.load(MPD);
    let error = w.run_to_error(90.0);
    assert_eq!(error.code, Code::Timeout);
}

#[test]
fn a_slow_head_is_no_fault() {
    let mut w = world(20.0);
    w.fault("v0/0/1.m4s", Fault::Delay(6.0), 1);
    w.load(MPD);
    w.play_to_end(60.0);
    w.assert_played_all('v', &[500]);
    assert_eq!(w.errors(), []);
}

#[test]
fn corrupt_segments_come_from_another_representation() {
    for (url, site) in
        [(MPD, Stream::of(60.0).dash(Addressing::Number)), (M3U8, Stream::of(60.0).hls(Container::Fmp4))]
    {
        for at in [0, 300, 30_000] {
            let mut w = World::new(site.clone());
            w.fault("v2/0/6.m4s", Fault::CorruptFrom(at), ALWAYS);
            w.load(url);
            w.play_to_end(90.0);
            w.assert_played_all('v', &[1500]);
        }
    }
}

#[test]
fn short_files_come_from_another_representation() {
    for (url, site) in
        [(MPD, Stream::of(60.0).dash(Addressing::Number)), (M3U8, Stream::of(60.0).hls(Container::Fmp4))]
    {
        for length in [0, 7, 500, 60_000] {
            let mut w = World::new(site.clone());
            w.fault("v2/0/6.m4s", Fault::ShortFile(length), ALWAYS);
            w.load(url);
            w.play_to_end(90.0);
            w.assert_played_all('v', &[1500]);
            assert!(w.errors().len() <= 3, "{:?}", w.errors());
        }
    }
}

#[test]
fn an_html_page_in_place_of_a_segment_is_no_media() {
    let mut w = World::new(Stream::of(60.0).dash(Addressing::Number));
    w.fault("v2/0/6.m4s", Fault::Content(b"<!doctype html><html><body>Not here.</body></html>"), ALWAYS);
    w.load(MPD);
    w.play_to_end(90.0);
    w.assert_played_all('v', &[1500]);
    assert_eq!(w.errors(), [Code::MediaEmpty], "{}", w.story());
}

#[test]
fn broken_connections_midway_leave_no_trace() {
    for (url, site) in [
        (MPD, Stream::of(60.0).dash(Addressing::Number)),
        (M3U8, Stream::of(60.0).hls(Container::Ts)),
        (MPD, Stream::of(60.0).dash(Addressing::Sidx)),
    ] {
        let mut w = World::new(site);
        // 1 in 3 of everything breaks after 50 kB.
        for n in [1, 3, 4, 7, 10, 11, 13] {
            for suffix in ["m4s", "ts"] {
                w.fault(&format!("/0/{n}.{suffix}"), Fault::BreakAfter(50_000), 1);
            }
        }
        w.load(url);
        w.play_to_end(90.0);
        w.assert_played_all('v', &[1500]);
        w.assert_played_all('a', &[2813]);
    }
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_did() {
    let stream = Stream::simple(40.0);
    for (url, site) in [(MPD, stream.dash(Addressing::Number)), (M3U8, stream.hls(Container::Ts))] {
        let mut w = World::new(site);
        // The second attempt comes less far than the first.
        w.fault("v0/0/2", Fault::BreakAfter(60_000), 1);
        w.fault("v0/0/2", Fault::BreakAfter(30_000), 1);
        w.fault("v0/0/5", Fault::StallAfter(60_000), 1);
        w.load(url);
        w.play_to_end(90.0);
        w.assert_played_all('v', &[1000]);
        let (samples, appends) = w.appended('v');
        assert_eq!(samples, appends, "{}", w.story());
        assert!(w.seeks.is_empty(), "{}", w.story());
        for (segment, breaks) in [("v0/0/2", &[60_000, 90_000][..]), ("v0/0/5", &[60_000])] {
            let all: Vec<&Request> = w.requests().iter().filter(|r| r.url.contains(segment)).collect();
            let begun: Vec<u64> = all.iter().skip(1).map(|r| r.range.map_or(0, |r| r.first)).collect();
            assert_eq!(begun, breaks, "{}", w.story());
        }
    }
}

#[test]
fn byte_ranges_that_break_off_go_on_within_themselves() {
    let mut w = World::new(Stream::simple(40.0).dash(Addressing::Sidx));
    w.load(MPD);
    w.run_for(4.0);
    w.fault("v0/0/all.mp4", Fault::BreakAfter(20_000), 5);
    w.play_to_end(90.0);
    w.assert_played_all('v', &[1000]);
    let (samples, appends) = w.appended('v');
    assert_eq!(samples, appends, "{}", w.story());
    assert_eq!(w.errors(), []);
    let of_file: Vec<&Request> = w.requests().iter().filter(|r| r.url.contains("v0/0/all.mp4")).collect();
    let broken: Vec<_> = of_file.windows(2).filter(|r| r[0].outcome == Outcome::Failed).collect();
    assert_eq!(broken.len(), 5);
    for pair in broken {
        let [before, after] = [pair[0], pair[1]].map(|r| r.range.unwrap());
        assert_eq!((after.first, after.last), (before.first + 20_000, before.last), "{}", w.story());
    }
}

#[test]
fn where_the_rest_of_a_segment_cannot_be_had_alone_it_comes_whole() {
    for refusal in [Fault::IgnoreRange, Fault::Status(416), Fault::Status(403), Fault::Refused] {
        for (url, site) in [
            (MPD, Stream::simple(40.0).dash(Addressing::Number)),
            (M3U8, Stream::simple(40.0).hls(Container::Ts)),
        ] {
            let mut w = World::new(site);
            w.fault("v0/0/2", Fault::BreakAfter(60_000), 1);
            w.fault("v0/0/2", refusal.clone(), 1);
            w.load(url);
            w.play_to_end(90.0);
            w.assert_played_all('v', &[1000]);
            assert_eq!(w.errors(), [], "{refusal:?}\n{}", w.story());
            assert!(w.seeks.is_empty(), "{refusal:?}\n{}", w.story());
        }
    }
}

#[test]
fn what_a_seek_needs_of_a_segment_is_whole_after_breaks_too() {
    for (first, second) in
        [(Fault::BreakAfter(300), None), (Fault::BreakAfter(3_000), Some(Fault::BreakAfter(70_000)))]
    {
        let mut w =
            World::new(Stream::simple(120.0).with(|s| s.ladder = vec![4_000_000]).dash(Addressing::Number));
        w.net.rates = vec![(0.0, 8e6)];
        w.load(MPD);
        w.run_for(3.0);
        w.fault("v0/0/", first.clone(), 1);
        if let Some(second) = second {
            // Of the request for what is needed.
            w.fault("v0/0/", second, 2);
        }
        assert!(w.seek_lands(82.0, 4.0, 2), "{}", w.story());
        let from = w.played('v').len();
        w.run_for(8.0);
        let played = &w.played('v')[from..];
        assert!(
            played.len() > 150 && played.windows(2).all(|p| p[1].number == p[0].number + 1),
            "{}",
            w.story()
        );
        assert_eq!(w.errors(), []);
    }
}

#[test]
fn the_link_is_measured_by_later_attempts_too() {
    let config = Config { stats_interval: 1.0, ..Config::default() };
    let mut w = World::configured(Stream::simple(60.0).dash(Addressing::Number), config);
    w.net.rates = vec![(0.0, 20e6)];
    for name in (0..15).map(|n| n.to_string()).chain(["init".into()]) {
        for stream in ["v0", "a0"] {
            w.fault(&format!("{stream}/0/{name}.m"), Fault::Refused, 1);
        }
    }
    w.load(MPD);
    w.run_for(20.0);
    let measured = w.events.iter().rev().find_map(|t| match &t.event {
        Event::Stats(stats) => Some(stats.estimate),
        _ => None,
    });
    assert!(measured.is_some_and(|rate| rate > 5e6), "{measured:?}\n{}", w.story());
}

#[test]
fn a_segment_that_is_another_at_the_next_attempt_is_read_from_its_start() {
    let url = "https://media.test/v0/0/2.m4s";
    let mut site = Stream::simple(40.0).dash(Addressing::Number);
    let (content_type, whole) = site.get(url).unwrap();
    let attempts = std::cell::Cell::new(0);
    site.put_made(url, content_type, move || {
        attempts.set(attempts.get() + 1);
        let free: &[u8] = if attempts.get() == 1 { b"\0\0\0\x0cfree1234" } else { b"" };
        [free, &whole].concat()
    });
    let mut w = World::new(site);
    w.fault(url, Fault::BreakAfter(60_000), 1);
    w.load(MPD);
    w.play_to_end(90.0);
    w.assert_played_all('v', &[1000]);
}

#[test]
fn a_server_that_ignores_ranges_is_told_of_or_got_along_with() {
    let mut w = World::new(Stream::simple(20.0).dash(Addressing::Sidx));
    w.fault("all.mp4", Fault::IgnoreRange, ALWAYS);
    w.load(MPD);
    let error = w.run_to_error(60.0);
    assert_eq!(error.code, Code::HttpClient);
    assert!(error.message.contains("Range"), "{error:?}");
    // Of the whole files no more is read than was asked for.
    let read: usize = w.requests().iter().filter(|r| r.kind == FetchKind::Index).map(|r| r.received).sum();
    assert!(read < 100_000, "{read} bytes\n{}", w.story());
}

#[test]
fn redirected_manifests_resolve_against_where_they_are() {
    let mut site = Stream::simple(16.0).dash(Addressing::Number);
    let text = site.text(MPD);
    site.put(
        "https://media.test/elsewhere/deep/m.mpd",
        "application/dash+xml",
        text.replace("initialization=\"", "initialization=\"../../").replace("media=\"", "media=\"../../"),
    );
    let mut w = World::new(site);
    w.fault(MPD, Fault::Redirect("https://media.test/elsewhere/deep/m.mpd"), 1);
    w.load(MPD);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[400]);
}

#[test]
fn a_decoder_that_fails_once_is_set_up_anew() {
    for (url, site) in [
        (MPD, Stream::simple(60.0).dash(Addressing::Number)),
        (M3U8, Stream::simple(60.0).hls(Container::Ts)),
    ] {
        let mut w = World::new(site);
        w.element.decode_errors = vec![21.3];
        w.load(url);
        w.play_to_end(90.0);
        assert_eq!(w.errors(), [Code::Decode], "{}", w.story());
        assert_eq!(w.sources_opened, 2);
        let played = w.played('v');
        assert_eq!(played.last().map(|m| m.number), Some(1499));
        // It goes on where it failed: nothing is left out.
        let gap = played.windows(2).find(|p| p[1].number > p[0].number + 3);
        assert_eq!(gap, None, "{}", w.story());
    }
}

#[test]
fn a_decoder_that_keeps_failing_is_given_up() {
    let mut w = World::new(Stream::simple(60.0).dash(Addressing::Number));
    w.element.decode_errors = vec![21.3, 21.35, 21.4, 21.45, 21.5, 21.55];
    w.load(MPD);
    let error = w.run_to_error(90.0);
    assert_eq!(error.code, Code::Decode);
    assert!(error.tried.is_some());
}

#[test]
fn another_base_url_stands_in_for_a_server_that_fails() {
    for fault in [Fault::Status(503), Fault::Status(404), Fault::Refused] {
        let mut site = Stream::of(40.0).dash(Addressing::Number);
        let first = "<BaseURL>https://broken.test/a/</BaseURL><BaseURL>https://media.test/</BaseURL>";
        site.edit(MPD, "<Period id=\"p0\"", &format!("{first}<Period id=\"p0\""));
        let mut w = World::new(site);
        w.fault("broken.test", fault.clone(), ALWAYS);
        w.load(MPD);
        w.play_to_end(80.0);
        w.assert_played_all('v', &[1000]);
        assert!(w.requests().iter().filter(|r| r.url.contains("broken")).count() <= 16, "{}", w.story());
        assert!(!w.errors().is_empty());
    }
}

#[test]
fn a_link_that_is_gone_for_a_while_costs_no_media() {
    for (play, gone) in [(10.0, 15.0), (10.0, 45.0), (1.0, 20.0)] {
        let mut w = World::new(Stream::simple(120.0).dash(Addressing::Number));
        w.load(MPD);
        w.run_for(play);
        w.offline(true);
        w.run_for(gone);
        w.offline(false);
        w.play_to_end(180.0);
        w.assert_played_all('v', &[3000]);
    }
}

#[test]
fn a_link_that_does_not_come_back_is_told() {
    let mut w = World::new(Stream::simple(120.0).dash(Addressing::Number));
    w.load(MPD);
    w.run_for(10.0);
    w.offline(true);
    let error = w.run_to_error(150.0);
    assert_eq!(error.code, Code::Network, "{}", w.story());
}

#[test]
fn a_segment_that_breaks_off_and_whose_rest_is_refused_is_given_up() {
    let mut w = World::new(Stream::of(60.0).dash(Addressing::Number));
    for _ in 0..40 {
        w.fault("v2/0/5", Fault::BreakAfter(60_000), 1);
        w.fault("v2/0/5", Fault::Status(416), 1);
    }
    w.load(MPD);
    w.play_to_end(90.0);
    let asked = w.requests().iter().filter(|r| r.url.contains("v2/0/5")).count();
    assert!((1..=8).contains(&asked), "{asked}\n{}", w.story());
}

#[test]
fn a_segment_that_always_breaks_off_is_passed_over_in_time() {
    let mut w = World::new(Stream::simple(120.0).dash(Addressing::Number));
    w.fault("v0/0/12", Fault::BreakAfter(20_000), ALWAYS);
    w.load(MPD);
    w.play_to_end(140.0);
    assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{}", w.story());
    assert!(w.played('v').len() > 2800, "{}", w.story());
}
