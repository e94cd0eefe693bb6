//! The choice of quality.

use super::*;
use crate::sim::site::Site;

fn ladder() -> Stream {
    Stream::of(120.0)
}

/// The lowest rung is far below the others.
fn steep() -> Stream {
    ladder().with(|s| s.ladder = vec![150_000, 800_000, 2_000_000])
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

/// The lowest quality, up to a full buffer; then a link that has become fast, for so many seconds.
fn after_a_step_up(url: &str, site: Site) -> World {
    let mut w = World::new(site);
    w.net.rates = vec![(0.0, 500_000.0)];
    w.load(url);
    w.run_for(45.0);
    assert!(w.player.stats(w.now).buffer > 24.0, "{}", w.story());
    assert_eq!(rungs(&w).last(), Some(&0), "{}", w.story());
    w.link(10e6);
    w
}

fn assert_no_file_twice(w: &World) {
    let mut all: Vec<String> = w.requests().iter().map(|r| format!("{} {:?}", r.url, r.range)).collect();
    all.sort();
    let twice = all.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "{}", w.story());
}

#[test]
fn what_is_buffered_in_a_low_quality_is_fetched_again_once_the_link_is_fast() {
    let muxed = |s: &mut Stream| {
        s.languages.clear();
        s.muxed = true;
    };
    for (url, site) in [
        (MPD, steep().dash(Addressing::Number)),
        (MPD, steep().dash(Addressing::Sidx)),
        (M3U8, steep().with(muxed).hls(Container::Ts)),
    ] {
        let mut w = after_a_step_up(url, site);
        w.run_for(18.0);
        assert_eq!(rungs(&w).last(), Some(&2), "24 s were buffered\n{}", w.story());
        assert_no_file_twice(&w);
        w.play_to_end(110.0);
        w.assert_played_all('v', &[3000]);
        let sound: Vec<u32> = w.played('a').iter().map(|m| m.number).collect();
        assert!(sound.windows(2).all(|p| p[1] == p[0] + 1), "{}", w.story());
        assert_eq!(w.player.stats(w.now).stalls, 0, "{}", w.story());
    }
}

#[test]
fn fetching_again_gives_way_to_seeks_failures_and_a_link_that_falls() {
    let mut w = after_a_step_up(MPD, steep().dash(Addressing::Number));
    w.run_for(3.5);
    let video: Vec<String> = w.segments_since(0).into_iter().filter(|s| s.starts_with("v1")).collect();
    assert_eq!(video[1..], ["v1/0/19.m4s", "v1/0/18.m4s", "v1/0/17.m4s"], "{}", w.story());
    w.link(300_000.0);
    w.run_for(10.0);
    w.link(3e6);
    w.seek(60.0);
    w.run_for(2.0);
    w.fault("v1/", Fault::Status(404), 3);
    w.play_to_end(110.0);
    let stalls = w.player.stats(w.now).stalls;
    assert!(stalls == 0, "{}", w.story());
    assert_eq!(w.played('v').last().map(|m| m.number), Some(2999));
}

#[test]
fn media_that_lies_elsewhere_than_the_manifest_says_is_not_fetched_again_and_again() {
    let mut w = after_a_step_up(MPD, steep().with(|s| s.late = 2.5).dash(Addressing::Number));
    w.run_for(20.0);
    assert_no_file_twice(&w);
    w.play_to_end(120.0);
    w.assert_played_all('v', &[3000]);
}

#[test]
fn a_start_that_is_too_large_for_the_link_is_given_up_before_its_first_picture() {
    for addressing in [Addressing::Number, Addressing::Sidx] {
        let mut w = World::new(steep().dash(addressing));
        w.net.rates = vec![(0.0, 300_000.0)];
        w.load(MPD);
        w.run_for(5.0);
        assert_eq!(w.switches().last().map(|s| s.2), Some(Reason::Abandoned), "{}", w.story());
        assert_eq!(rungs(&w).first(), Some(&0), "{}", w.story());
    }
}

#[test]
fn on_a_link_below_the_lowest_quality_it_waits_once_for_each_segment() {
    let mut w = World::new(ladder().dash(Addressing::Number));
    w.net.rates = vec![(0.0, 300_000.0)];
    w.load(MPD);
    w.run_for(100.0);
    let (stalls, segments) = (w.player.stats(w.now).stalls, w.segments_since(0).len() / 2);
    assert!(stalls as usize <= segments, "{stalls} stalls, {segments} segments\n{}", w.story());
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
    w.run_for(15.2);
    w.link(450_000.0);
    w.run_for(30.0);
    assert!(w.switches().iter().any(|s| s.2 == Reason::Abandoned), "{}", w.story());
    assert!(!w.seeks.is_empty(), "the decoders begin anew\n{}", w.story());
    w.play_to_end(200.0);
    w.assert_played_all('v', &[3000]);
}

/// A few pictures are less than what segments may overlap by.
#[test]
fn a_segment_that_broke_off_at_once_is_replaced_without_grey() {
    let config = Config { buffer_ahead: 1.0, stats_interval: 0.0, ..Config::default() };
    for bytes in (28_000..60_000).step_by(2_000) {
        let mut w = World::configured(ladder().hls(Container::Ts), config.clone());
        w.load(M3U8);
        w.run_for(12.2);
        w.fault("v1/0/4.ts", Fault::BreakAfter(bytes), 1);
        w.fault("v1/0/4.ts", Fault::Refused, ALWAYS);
        w.run_for(20.0);
        assert!(w.switches().iter().any(|s| s.2 == Reason::Failure), "{bytes}: {}", w.story());
        w.play_to_end(200.0);
    }
}

/// What comes in its place comes in pieces that are far apart: the decoders must not wait for the second.
#[test]
fn what_is_replaced_over_a_slow_link_is_replaced_without_grey() {
    let config = Config { buffer_ahead: 3.0, stats_interval: 0.0, ..Config::default() };
    for after in 0..20 {
        let mut w = World::configured(ladder().with(|s| s.segment = 4.0).hls(Container::Ts), config.clone());
        w.load(M3U8);
        w.run_for(17.5 + f64::from(after) * 0.02);
        w.link(450_000.0);
        w.run_for(20.0);
        assert!(w.switches().iter().any(|s| s.2 == Reason::Abandoned), "{}", w.story());
    }
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
fn who_saves_data_gets_few_bytes_and_nothing_twice() {
    let config = Config { data_saver: true, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(ladder().dash(Addressing::Number), config);
    w.link(400e3);
    w.load(MPD);
    w.run_for(20.0);
    w.link(20e6);
    w.run_for(20.0);
    let buffer = w.player.stats(w.now).buffer;
    assert!((11.0..19.5).contains(&buffer), "half of 30 s: {buffer}");
    w.play_to_end(150.0);
    w.assert_played_all('v', &[3000]);
    assert_eq!(w.appended('v').0, 3000, "{}", w.story());
    let asked: Vec<String> = w.segments_since(0);
    assert!(
        asked.iter().any(|s| s.starts_with("v1/")) && !asked.iter().any(|s| s.starts_with("v2/")),
        "{asked:?}"
    );
}

#[test]
fn a_rule_of_the_users_own_takes_effect_segment_by_segment() {
    let mut w = World::new(ladder().dash(Addressing::Number));
    w.record();
    w.load(MPD);
    w.run_for(20.0);
    let ahead = w.player.stats(w.now).buffer;
    let made = w.requests().len();
    w.intent(UserIntent::UseQuality(Some("v0".into())));
    assert!(w.player.stats(w.now).buffer > ahead - 0.1, "what is buffered stays\n{}", w.story());
    w.run_for(20.0);
    let own: Vec<String> = w.segments_since(made).into_iter().filter(|s| s.starts_with('v')).collect();
    assert!(own.len() > 2 && own.iter().all(|s| s.starts_with("v0/")), "{own:?}");
    let played: Vec<u32> = w.played('v').iter().map(|m| m.number).collect();
    assert!(played.windows(2).all(|p| p[1] == p[0] + 1), "{}", w.story());
    // Up again: what is there of lower quality is the rule's own business.
    let made = w.requests().len();
    w.intent(UserIntent::UseQuality(Some("v2".into())));
    w.run_for(30.0);
    let own: Vec<String> = w.segments_since(made).into_iter().filter(|s| s.starts_with('v')).collect();
    assert!(own.len() > 2 && own.iter().all(|s| s.starts_with("v2/")), "{own:?}");
    w.intent(UserIntent::UseQuality(None));
    w.play_to_end(150.0);
    w.assert_played_all('v', &[3000]);
    assert_eq!(w.appended('v').0, 3000, "nothing came twice\n{}", w.story());
    w.assert_replays("a rule of the user's own");
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
fn of_qualities_of_one_size_the_element_allows_the_best() {
    let ladder = ladder().with(|s| s.one_size = true);
    for (url, site) in [(MPD, ladder.dash(Addressing::Number)), (M3U8, ladder.hls(Container::Fmp4))] {
        let mut w = World::new(site);
        (w.element.width, w.element.height) = (320, 180);
        w.load(url);
        w.run_for(60.0);
        assert_eq!(rungs(&w).last(), Some(&2), "{}", w.story());
    }
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

#[test]
fn a_quality_of_another_codec_can_be_chosen() {
    let site = Stream::of(60.0).hls(Container::Fmp4);
    let text = site.text(M3U8);
    let mut site = site;
    let line = text.lines().position(|l| l.starts_with("v0")).unwrap() - 1;
    let line = text.lines().nth(line).unwrap();
    site.edit(M3U8, line, &line.replace("avc1.64001f", "hvc1.1.6.L93.B0"));
    let mut w = World::new(site);
    w.load(M3U8);
    w.run_for(6.0);
    let made = w.requests().len();
    w.intent(UserIntent::SelectQuality(Some("180p-300000".into())));
    w.run_for(6.0);
    let new = w.segments_since(made);
    assert!(new.iter().any(|s| s.starts_with("v0/")), "{new:?}\n{}", w.story());
    assert!(new.iter().filter(|s| s.starts_with('v')).all(|s| s.starts_with("v0/")), "{new:?}");
}

#[test]
fn a_sleep_in_the_middle_of_a_download_is_no_slow_link() {
    let mut w = World::new(Stream::of(120.0).dash(Addressing::Number));
    w.load(MPD);
    let under_way =
        |r: &Request| r.kind == FetchKind::Segment && r.outcome == Outcome::Running && r.received > 100_000;
    assert!(w.run_until(20.0, |w| w.now > 1.0 && w.requests().iter().any(under_way)), "{}", w.story());
    w.sleep(600.0, true);
    w.run_for(1.0);
    let estimate = w.player.stats(w.now).estimate;
    assert!(estimate > 3e6, "{estimate}\n{}", w.story());
}

#[test]
fn durations_that_are_rounded_add_up_to_no_stall() {
    // After 400 s the playlist is 44 s ahead of the media, or behind it.
    for (segment, rounded) in [(3.6, "v0"), (3.6, "a0"), (4.4, "v0"), (4.4, "a0")] {
        let mut site = Stream::simple(400.0).with(|s| s.segment = segment).hls(Container::Fmp4);
        let url = format!("{ROOT}{rounded}.m3u8");
        site.edit(&url, &format!("EXTINF:{segment:.5}"), "EXTINF:4");
        let mut w = World::new(site);
        w.load(M3U8);
        w.play_to_end(450.0);
        assert_eq!(w.errors(), [], "{segment} {rounded}: {}", w.story());
        assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{segment} {rounded}: {}", w.story());
        w.assert_played_all('v', &[10_000]);
    }
}
