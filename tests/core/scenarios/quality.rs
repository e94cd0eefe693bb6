//! The choice of quality.

use super::*;

fn ladder() -> Stream {
    Stream::of(120.0)
}

fn rungs(w: &World) -> Vec<u32> {
    let mut rungs: Vec<u32> = w.played('v').iter().map(|m| m.rung).collect();
    rungs.dedup();
    rungs
}

#[test]
fn a_fast_link_reaches_the_top_and_stays() {
    let mut w = World::new(ladder().dash(Addressing::Number));
    w.load(MPD);
    w.play_to_end(130.0);
    w.assert_played_all('v', &[3000]);
    assert_eq!(rungs(&w).last(), Some(&2), "{}", w.story());
    assert!(w.switches().len() <= 3, "{:?}", w.switches());
}

#[test]
fn a_step_down_of_the_link_switches_down_without_a_stall() {
    for (url, site) in [(MPD, ladder().dash(Addressing::Number)), (M3U8, ladder().hls(Container::Ts))] {
        let mut w = World::new(site);
        w.load(url);
        w.run_for(30.0);
        assert_eq!(rungs(&w).last(), Some(&2), "{}", w.story());
        w.link(700_000.0);
        w.play_to_end(120.0);
        assert_eq!(w.player.stats(w.now).stalls, 0, "{}", w.story());
        assert!(rungs(&w).contains(&0) && rungs(&w).last() < Some(&2), "{}", w.story());
        let told: Vec<Reason> = w.switches().iter().map(|s| s.2).collect();
        assert!(
            told.iter().any(|r| matches!(r, Reason::ThroughputDown | Reason::BufferLow | Reason::Abandoned)),
            "{told:?}"
        );
        w.assert_played_all('v', &[3000]);
    }
}

#[test]
fn a_step_up_of_the_link_switches_up() {
    let mut w = World::new(ladder().dash(Addressing::Number));
    w.net.rates = vec![(0.0, 700_000.0)];
    w.load(MPD);
    w.run_for(30.0);
    assert_eq!(rungs(&w).last(), Some(&0), "{}", w.story());
    w.link(10e6);
    w.run_for(45.0);
    assert_eq!(rungs(&w).last(), Some(&2), "{}", w.story());
    assert!(w.switches().iter().any(|s| matches!(s.2, Reason::ThroughputUp | Reason::BufferHigh)));
    w.play_to_end(80.0);
    w.assert_played_all('v', &[3000]);
}

#[test]
fn a_download_that_will_not_make_it_is_abandoned() {
    let config = Config { buffer_ahead: 8.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(ladder().with(|s| s.segment = 8.0).dash(Addressing::Number), config);
    w.load(MPD);
    w.run_for(20.0);
    w.link(450_000.0);
    w.run_for(40.0);
    assert!(w.switches().iter().any(|s| s.2 == Reason::Abandoned), "{}", w.story());
    w.play_to_end(150.0);
    w.assert_played_all('v', &[3000]);
}

#[test]
fn a_download_is_abandoned_while_it_is_shown() {
    // What is fetched is what plays: no more than a second is buffered ahead.
    let config = Config { buffer_ahead: 1.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(ladder().with(|s| s.segment = 8.0).dash(Addressing::Number), config);
    w.load(MPD);
    w.run_for(14.5);
    w.link(450_000.0);
    w.run_for(30.0);
    assert!(w.switches().iter().any(|s| s.2 == Reason::Abandoned), "{}", w.story());
    assert!(!w.seeks.is_empty(), "the decoders begin anew\n{}", w.story());
    w.play_to_end(200.0);
    w.assert_played_all('v', &[3000]);
}

#[test]
fn a_fixed_quality_is_kept_until_it_is_freed() {
    let mut w = World::new(ladder().dash(Addressing::Number));
    w.load(MPD);
    w.run_for(20.0);
    w.intent(UserIntent::SelectQuality(Some("v0".into())));
    w.run_for(8.0);
    assert_eq!(rungs(&w).last(), Some(&0), "what is buffered ahead is replaced\n{}", w.story());
    assert_eq!(w.switches().last().map(|s| s.2), Some(Reason::User));
    let made = w.requests().len();
    w.run_for(20.0);
    let new = w.segments_since(made);
    assert!(new.iter().all(|s| s.starts_with("v0/") || s.starts_with('a')), "{new:?}");
    w.intent(UserIntent::SelectQuality(None));
    w.run_for(45.0);
    assert_eq!(rungs(&w).last(), Some(&2), "{}", w.story());
    w.play_to_end(60.0);
    w.assert_played_all('v', &[3000]);
    assert_eq!(w.player.stats(w.now).stalls, 0, "{}", w.story());
}

#[test]
fn quality_and_reasons_over_transport_streams_too() {
    let muxed = ladder().with(|s| {
        s.languages.clear();
        s.muxed = true;
    });
    let mut w = World::new(muxed.hls(Container::Ts));
    w.load(M3U8);
    w.run_for(20.0);
    let ids: Vec<String> = w
        .events
        .iter()
        .find_map(|t| match &t.event {
            Event::Tracks { qualities, .. } => Some(qualities.iter().map(|q| q.id.clone()).collect()),
            _ => None,
        })
        .unwrap();
    for id in [&ids[0], &ids[2], &ids[1]] {
        w.intent(UserIntent::SelectQuality(Some(id.clone())));
        w.run_for(10.0);
        assert_eq!(
            w.switches().last().map(|s| (s.1.clone(), s.2)),
            Some((id.clone(), Reason::User)),
            "{}",
            w.story()
        );
    }
    w.play_to_end(120.0);
    w.assert_played_all('v', &[3000]);
    let sound: Vec<u32> = w.played('a').iter().map(|m| m.number).collect();
    assert!(sound.windows(2).all(|p| p[1] == p[0] + 1), "{}", w.story());
}

#[test]
fn an_unknown_quality_changes_nothing() {
    let mut w = World::new(ladder().dash(Addressing::Number));
    w.load(MPD);
    w.run_for(5.0);
    w.intent(UserIntent::SelectQuality(Some("nonsense".into())));
    w.intent(UserIntent::SelectAudio("nonsense".into()));
    w.play_to_end(130.0);
    w.assert_played_all('v', &[3000]);
    assert_eq!(w.errors(), []);
}

#[test]
fn the_size_of_the_element_caps_the_quality() {
    let mut w = World::new(ladder().dash(Addressing::Number));
    (w.element.width, w.element.height) = (600, 340);
    w.load(MPD);
    w.run_for(40.0);
    assert_eq!(w.played('v').iter().map(|m| m.rung).max(), Some(1), "{}", w.story());
    w.resize(1280, 720);
    w.run_for(45.0);
    assert_eq!(rungs(&w).last(), Some(&2), "{}", w.story());
    w.resize(300, 170);
    w.run_for(40.0);
    assert_eq!(w.switches().last().map(|s| s.2), Some(Reason::ElementSize), "{}", w.story());
}

#[test]
fn a_bandwidth_limit_holds() {
    let config = Config { max_bandwidth: Some(900_000), stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(ladder().dash(Addressing::Number), config);
    w.load(MPD);
    w.play_to_end(130.0);
    assert_eq!(w.played('v').iter().map(|m| m.rung).max(), Some(1), "{}", w.story());
}

#[test]
fn random_choices_of_the_user_lose_nothing() {
    let mut w = World::new(ladder().dash(Addressing::Number));
    w.load(MPD);
    let mut x = 7u32;
    for _ in 0..40 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        w.run_for(f64::from(x >> 24) / 100.0);
        let choice = match (x >> 16) % 4 {
            3 => None,
            n => Some(format!("v{n}")),
        };
        w.intent(UserIntent::SelectQuality(choice));
    }
    w.play_to_end(150.0);
    w.assert_played_all('v', &[3000]);
    assert_eq!(w.player.stats(w.now).stalls, 0, "{}", w.story());
}
