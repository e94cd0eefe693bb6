//! Seeks of the user.

use super::*;

fn long() -> World {
    let mut w = World::new(Stream::simple(120.0).dash(Addressing::Number));
    w.load(MPD);
    w
}

/// The samples played last are those of the playhead.
fn assert_in_step(w: &World) {
    let last = *w.played('v').last().unwrap();
    let expected = w.element.position * 25.0;
    assert!(
        (f64::from(last.number) - expected).abs() <= 2.0,
        "{last:?} at {:.2}\n{}",
        w.element.position,
        w.story()
    );
}

#[test]
fn a_seek_into_what_is_buffered_needs_no_request() {
    let mut w = long();
    w.run_for(5.0);
    let made = w.requests().len();
    w.seek(20.0);
    w.run_for(0.1);
    assert!(!w.element.seeking && w.element.ready_state >= 3, "{}", w.story());
    let new = w.segments_since(made);
    assert!(new.iter().all(|s| !s.contains("/5.m4s")), "{new:?}");
    assert!(w.requests().iter().all(|r| r.outcome != Outcome::Aborted), "{}", w.story());
    w.play_to_end(120.0);
    assert_eq!(w.appended('v'), (3000, 3000), "{}", w.story());
}

#[test]
fn a_seek_beyond_the_buffer_cancels_and_fetches_the_target_only() {
    let mut w =
        World::new(Stream::simple(120.0).with(|s| s.ladder = vec![4_000_000]).dash(Addressing::Number));
    w.net.rates = vec![(0.0, 8e6)];
    w.load(MPD);
    w.run_for(3.0);
    let made = w.requests().len();
    w.seek(81.0);
    assert!(w.run_until(3.0, |w| !w.element.seeking), "{}", w.story());
    let new = w.segments_since(made);
    let numbers: Vec<u32> =
        new.iter().map(|s| s.rsplit('/').next().unwrap().trim_end_matches(".m4s").parse().unwrap()).collect();
    assert!(new[0].starts_with("v0/0/20.") && numbers.iter().all(|n| *n >= 20), "{new:?}");
    assert!(w.requests()[..made].iter().any(|r| r.outcome == Outcome::Aborted));
    assert!(w.requests()[..made].iter().all(|r| r.outcome != Outcome::Running));
    w.run_for(5.0);
    assert_in_step(&w);
    w.play_to_end(60.0);
    assert_eq!(w.played('v').last().unwrap().number, 2999);
}

#[test]
fn a_seek_shows_a_picture_after_the_keyframes_bytes() {
    // 4 Mbit/s of media at 8 Mbit/s: a whole segment would take 2 s.
    let mut w =
        World::new(Stream::simple(120.0).with(|s| s.ladder = vec![4_000_000]).dash(Addressing::Number));
    w.net.rates = vec![(0.0, 8e6)];
    w.load(MPD);
    w.run_for(3.0);
    let asked = w.now;
    assert!(w.seek_lands(80.0, 3.0, 2), "{}", w.story());
    assert!(w.now - asked < 0.4, "{:.2} s\n{}", w.now - asked, w.story());
}

#[test]
fn a_seek_back_after_eviction_fetches_again() {
    let config = Config { buffer_behind: 5.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(Stream::simple(120.0).dash(Addressing::Number), config);
    w.load(MPD);
    w.run_for(60.0);
    let made = w.requests().len();
    w.seek(8.5);
    w.run_for(3.0);
    assert!(
        w.segments_since(made).iter().any(|s| s.starts_with("v0") && s.ends_with("/2.m4s")),
        "{}",
        w.story()
    );
    assert_in_step(&w);
    w.play_to_end(130.0);
}

#[test]
fn a_storm_of_seeks_ends_at_the_last_one() {
    for (url, site) in [
        (MPD, Stream::of(120.0).dash(Addressing::Number)),
        (MPD, Stream::of(120.0).dash(Addressing::Sidx)),
        (M3U8, Stream::of(120.0).hls(Container::Ts)),
    ] {
        let mut w = World::new(site);
        w.load(url);
        w.run_for(2.0);
        for i in 0..60 {
            w.seek(f64::from(i * 37 % 115));
            w.run_for([0.0, 0.01, 0.05, 0.2][i as usize % 4]);
        }
        assert!(w.seek_lands(70.3, 5.0, 3), "{}", w.story());
        w.run_for(5.0);
        assert_in_step(&w);
        w.play_to_end(60.0);
        assert_eq!(w.errors(), [], "{}", w.story());
    }
}

#[test]
fn it_replays_after_the_end() {
    for (url, site) in [
        (MPD, Stream::simple(20.0).dash(Addressing::Number)),
        (M3U8, Stream::simple(20.0).hls(Container::Ts)),
    ] {
        let mut w = World::new(site);
        w.load(url);
        w.play_to_end(30.0);
        w.run_for(2.0);
        w.play();
        assert!(w.run_until(1.0, |w| !w.element.ended), "{}", w.story());
        assert!(w.run_until(25.0, |w| w.element.ended), "{}", w.story());
        w.run_for(0.1);
        assert_eq!(w.count(|e| matches!(e, Event::Ended)), 2);
        assert_eq!(w.played('v').len(), 1000);
    }
}

#[test]
fn it_replays_after_the_end_when_the_start_was_evicted() {
    let config = Config { buffer_behind: 4.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(Stream::simple(60.0).hls(Container::Ts), config);
    w.load(M3U8);
    w.play_to_end(70.0);
    w.play();
    assert!(w.run_until(1.0, |w| !w.element.ended), "{}", w.story());
    assert!(w.run_until(65.0, |w| w.element.ended), "{}", w.story());
    assert_eq!(w.played('v').len(), 3000);
}

#[test]
fn a_seek_to_the_end_ends() {
    let mut w = long();
    w.run_for(3.0);
    let made = w.requests().len();
    w.seek(120.0);
    w.play_to_end(20.0);
    // What is shown there is its last picture, and the source is as long as before.
    let new = w.segments_since(made);
    assert!(new.contains(&"v0/0/29.m4s".to_owned()), "{new:?}\n{}", w.story());
    assert!((w.element.source.as_ref().unwrap().duration - 120.0).abs() < 0.1, "{}", w.story());
    w.seek(119.0);
    w.run_for(5.0);
    assert!(w.element.ended, "{}", w.story());
}

#[test]
fn a_speed_of_zero_is_a_pause() {
    let mut w = World::new(Stream::simple(60.0).dash(Addressing::Number));
    w.load(MPD);
    w.run_for(5.0);
    w.rate(0.0);
    w.run_for(20.0);
    assert!(w.seeks.is_empty() && w.sources_opened == 1 && w.errors().is_empty(), "{}", w.story());
    w.rate(1.0);
    w.play_to_end(60.0);
    assert!(w.seeks.is_empty(), "{}", w.story());
}

#[test]
fn a_pause_just_before_a_hole_fetches_no_more_than_any_other() {
    let mut w = World::new(Stream::simple(600.0).with(|s| s.gaps = vec![4]).hls(Container::Ts));
    w.load(M3U8);
    assert!(w.run_until(30.0, |w| w.element.position > 15.3), "{}", w.story());
    w.pause();
    w.run_for(120.0);
    let videos = w.segments_since(0).iter().filter(|s| s.starts_with("v0")).count();
    assert!(videos < 16, "{videos}\n{}", w.story());
    w.play();
    w.play_to_end(700.0);
    assert_eq!(w.played('v').len(), 15_000 - 100, "{}", w.story());
}

#[test]
fn seeks_before_anything_is_there_count() {
    for delay in [0.0, 0.05, 0.1, 0.15, 0.2, 0.3] {
        for (url, site) in [
            (MPD, Stream::simple(60.0).dash(Addressing::Number)),
            (M3U8, Stream::simple(60.0).hls(Container::Fmp4)),
        ] {
            let mut w = World::new(site);
            w.load(url);
            w.run_for(delay);
            w.seek(30.0);
            w.run_for(4.0);
            assert!(w.element.position > 32.0 && w.element.position < 35.0, "{delay}\n{}", w.story());
            assert_in_step(&w);
        }
    }
}

#[test]
fn seeks_while_paused_show_their_place_and_stay() {
    let mut w = long();
    w.run_for(3.0);
    w.pause();
    w.seek(90.0);
    w.run_for(20.0);
    assert!(!w.element.seeking && w.element.ready_state >= 3, "{}", w.story());
    assert_eq!(w.element.position, 90.0);
    assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0);
    w.play();
    w.play_to_end(40.0);
}

#[test]
fn seeks_are_not_stalls() {
    let mut w = long();
    for to in [40.0, 100.0, 10.0, 70.0] {
        w.run_for(5.0);
        w.seek(to);
    }
    w.run_for(5.0);
    assert_eq!(w.player.stats(w.now).stalls, 0, "{}", w.story());
    assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0);
}

#[test]
fn exact_segment_boundaries_are_good_targets() {
    for (url, site) in [
        (MPD, Stream::simple(60.0).dash(Addressing::Time)),
        (M3U8, Stream::simple(60.0).hls(Container::Ts)),
        (M3U8, Stream::simple(60.0).hls(Container::Fmp4)),
    ] {
        for to in [40.0, 44.0, 43.999, 44.001, 47.96, 56.0] {
            let mut w = World::new(site.clone());
            w.load(url);
            w.run_for(2.0);
            assert!(w.seek_lands(to, 3.0, 3), "{to}\n{}", w.story());
            assert!(w.element.position < to + 0.2, "{to}: {}\n{}", w.element.position, w.story());
            w.play_to_end(30.0);
            assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{to}\n{}", w.story());
        }
    }
}

#[test]
fn the_first_frame_before_the_element_can_go_on_is_no_standstill() {
    // Chromium shows the first frame with HAVE_CURRENT_DATA; the page may have been open for long by then.
    let mut w = World::new(Stream::simple(20.0).hls(Container::Ts));
    w.pause();
    w.run_for(5.0);
    w.load(M3U8);
    w.run_for(2.0);
    let state = MediaState { ready_state: 2, rate: 1.0, first_frame: true, ..MediaState::default() };
    w.player.handle_input(w.now, Input::MediaState(state));
    let mut said = Vec::new();
    loop {
        match w.player.poll_output() {
            Output::Wait { .. } => break,
            output => said.push(output),
        }
    }
    let nudge =
        |o: &Output| matches!(o, Output::Event(Event::Stall { .. }) | Output::Command(Command::Seek(_)));
    assert!(!said.iter().any(nudge), "{said:?}");
}

/// Chromium's decoder runs dry for some milliseconds after its first picture, with media enough. What lasts is a stall.
#[test]
fn a_gasp_after_a_seek_is_part_of_it() {
    for (gasps, stalls) in [(0.005, 0), (0.1, 0), (1.0, 4)] {
        let mut w = long();
        w.element.gasps = gasps;
        for to in [40.0, 100.0, 10.0, 70.0] {
            w.run_for(5.0);
            w.seek(to);
        }
        w.run_for(5.0);
        assert_eq!(w.player.stats(w.now).stalls, stalls, "{gasps}: {}", w.story());
        let time = w.player.stats(w.now).stall_time;
        assert!((time - f64::from(stalls) * gasps).abs() < 0.1, "{gasps}: {time}");
    }
}

#[test]
fn a_seek_that_never_ends_is_made_once_more() {
    for to in [30.0, 59.6, 59.8] {
        let mut w = World::new(Stream::simple(60.0).hls(Container::Ts));
        w.load(M3U8);
        w.run_for(2.0);
        w.element.lost_seeks = 1;
        w.seek(to);
        w.run_for(4.0);
        assert!(!w.element.seeking, "{to}\n{}", w.story());
        w.play_to_end(70.0);
    }
}

#[test]
fn a_start_that_never_ends_is_made_once_more() {
    let mut w = World::new(Stream::simple(60.0).hls(Container::Ts));
    w.element.lost_seeks = 1;
    w.load_at(M3U8, 21.0);
    w.run_for(8.0);
    assert!(w.element.position > 21.5, "{}", w.story());
    w.play_to_end(70.0);
}

#[test]
fn a_start_that_takes_its_time_is_left_alone() {
    for start in [0.0, 21.0] {
        let mut w = World::new(Stream::simple(60.0).hls(Container::Ts));
        w.element.warm_up = 2.5;
        w.run_for(20.0);
        w.load_at(M3U8, start);
        w.run_for(10.0);
        assert!(w.element.position > start + 5.0, "{}", w.story());
        assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{}", w.story());
    }
}
