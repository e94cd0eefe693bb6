//! Loads that replace loads, and ends at any moment.

use super::*;

#[test]
fn a_load_during_a_load_replaces_it_at_every_step() {
    for steps in (0..60).chain((60..180).step_by(7)) {
        let mut site = Stream::of(12.0).dash(Addressing::Number);
        site.merge(Stream::simple(8.0).hls(Container::Ts));
        let mut w = World::new(site);
        w.load(MPD);
        for _ in 0..steps {
            w.step(f64::INFINITY);
        }
        w.load(M3U8);
        w.run_for(0.001);
        assert!(
            w.requests().iter().filter(|r| r.url != M3U8).all(|r| r.outcome != Outcome::Running),
            "{steps}"
        );
        w.play_to_end(30.0);
        let hls = w.played('v').len();
        assert!(hls >= 200, "{steps}\n{}", w.story());
        assert_eq!(w.errors(), [], "{steps}\n{}", w.story());
    }
}

#[test]
fn stop_at_any_step_leaves_nothing_behind() {
    for (url, site) in [
        (MPD, Stream::of(12.0).dash(Addressing::Sidx)),
        (M3U8, Stream::of(12.0).hls(Container::Ts)),
        (MPD, Stream::simple(4.0).then(4.0, |p| p.video = Codec::Vp9).dash(Addressing::Number)),
    ] {
        for steps in (0..80).chain((80..280).step_by(11)) {
            let mut w = World::new(site.clone());
            w.load(url);
            for _ in 0..steps {
                w.step(1000.0);
            }
            w.stop();
            // Late answers come; the world asserts that nothing is asked and nothing is told any more.
            w.run_for(30.0);
            assert_eq!(w.net.open(), 0);
        }
    }
}

#[test]
fn after_stop_another_load_plays() {
    let mut w = World::new(Stream::simple(8.0).dash(Addressing::Number));
    for _ in 0..3 {
        w.load(MPD);
        w.run_for(1.5);
        w.stop();
        w.run_for(1.0);
    }
    w.load(MPD);
    w.play_to_end(20.0);
}

#[test]
fn stop_without_a_load_and_twice_is_harmless() {
    let mut w = World::new(Stream::simple(8.0).dash(Addressing::Number));
    w.stop();
    w.stop();
    w.load(MPD);
    w.run_for(3.0);
    w.stop();
    w.stop();
    assert_eq!(w.commands.iter().filter(|c| c.1 == "CloseSource").count(), 1);
}

#[test]
fn the_same_again_after_the_end() {
    let mut w = World::new(Stream::simple(8.0).dash(Addressing::Number));
    for round in 1..=3 {
        w.load(MPD);
        w.element.paused = false;
        assert!(w.run_until(20.0, |w| w.count(|e| matches!(e, Event::Ended)) == round), "{}", w.story());
    }
}

#[test]
fn intents_before_a_load_are_harmless() {
    let mut w = World::new(Stream::simple(8.0).dash(Addressing::Number));
    w.intent(UserIntent::SelectQuality(Some("v0".into())));
    w.intent(UserIntent::SelectAudio("x".into()));
    w.intent(UserIntent::Configure(Box::default()));
    w.load(MPD);
    w.play_to_end(20.0);
}

#[test]
fn intents_while_loading_are_heeded() {
    for steps in [0, 1, 2, 3, 5, 8, 12, 20, 30, 50] {
        let mut w = World::new(Stream::of(20.0).dash(Addressing::Number));
        w.load(MPD);
        for _ in 0..steps {
            w.step(1000.0);
        }
        w.intent(UserIntent::SelectQuality(Some("v0".into())));
        w.play_to_end(40.0);
        let late: Vec<u32> = w.played('v').iter().filter(|m| m.number >= 300).map(|m| m.rung).collect();
        assert!(late.iter().all(|r| *r == 0), "{steps}: {late:?}\n{}", w.story());
        w.assert_played_all('v', &[500]);
    }
}

#[test]
fn stats_come_at_their_interval() {
    let config = Config { stats_interval: 2.0, ..Config::default() };
    let mut w = World::configured(Stream::simple(21.0).dash(Addressing::Number), config);
    w.load(MPD);
    w.play_to_end(40.0);
    let stats: Vec<(f64, Stats)> = w
        .events
        .iter()
        .filter_map(|t| match &t.event {
            Event::Stats(s) => Some((t.at, s.clone())),
            _ => None,
        })
        .collect();
    assert!((9..=12).contains(&stats.len()), "{}", stats.len());
    for (at, s) in &stats[1..] {
        assert!((s.position - (at - s.startup.unwrap())).abs() < 0.3, "{at} {s:?}");
    }
    let (_, last) = stats.last().unwrap();
    assert!(last.bytes > 21 * 300_000 / 8, "{last:?}");
    assert!((last.average_bandwidth - 300_000.0).abs() < 1.0, "{last:?}");
    assert_eq!(last.quality.as_deref(), Some("v0"));
}

#[test]
fn a_download_that_another_load_ends_is_no_measure_of_the_link() {
    let mut w = World::new(Stream::of(120.0).dash(Addressing::Number));
    w.load(MPD);
    let under_way =
        |r: &Request| r.kind == FetchKind::Segment && r.outcome == Outcome::Running && r.received > 100_000;
    assert!(w.run_until(20.0, |w| w.requests().iter().any(under_way)), "{}", w.story());
    w.load(MPD);
    w.run_for(40.0);
    let estimate = w.player.stats(w.now).estimate;
    assert!(estimate > 5e6, "{estimate}\n{}", w.story());
}

#[test]
fn little_is_fetched_while_no_source_opens() {
    for (url, site) in [
        (MPD, Stream::simple(600.0).dash(Addressing::Number)),
        (M3U8, Stream::simple(600.0).hls(Container::Ts)),
    ] {
        let mut w = World::new(site);
        w.source_opens_in = 300.0;
        w.load(url);
        w.run_for(200.0);
        let videos = |w: &World| w.segments_since(0).iter().filter(|s| s.starts_with("v0")).count();
        assert!(videos(&w) <= 10, "{}\n{}", videos(&w), w.story());
        // A tab that is looked at in the end.
        w.play_to_end(1000.0);
        w.assert_played_all('v', &[15_000]);
    }
}
