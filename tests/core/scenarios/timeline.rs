//! Periods, discontinuities, and holes.

use super::*;

/// Three parts whose media times begin anew, as advertisements have them.
fn spliced() -> Stream {
    Stream::simple(12.0)
        .with(|s| s.parts[0].base = 100.0)
        .then(10.0, |p| p.base = 0.0)
        .then(14.0, |p| p.base = 57.0)
}

#[test]
fn hls_discontinuities_are_joined_to_one_timeline() {
    for container in [Container::Fmp4, Container::Ts, Container::Packed] {
        let mut w = World::new(spliced().hls(container));
        w.load(M3U8);
        w.play_to_end(60.0);
        w.assert_played_all('v', &[300, 250, 350]);
        assert_eq!(w.appended('v'), (900, 900));
        // Sound does not end with the pictures: a few frames overlap at a seam.
        let sound = w.played('a');
        assert!(
            sound.len() >= 1685
                && sound.windows(2).all(|p| (p[0].part, p[0].number) < (p[1].part, p[1].number))
        );
        assert_eq!(w.errors(), [], "{container:?}");
        assert_eq!(w.gaps(), [], "{container:?}");
    }
}

#[test]
fn muxed_discontinuities_are_joined_too() {
    let mut w = World::new(
        spliced()
            .with(|s| {
                s.languages.clear();
                s.muxed = true;
            })
            .hls(Container::Ts),
    );
    w.load(M3U8);
    w.play_to_end(60.0);
    w.assert_played_all('v', &[300, 250, 350]);
    assert_eq!(w.gaps(), []);
}

#[test]
fn seeking_over_discontinuities_ties_each_to_its_place() {
    for container in [Container::Fmp4, Container::Ts, Container::Packed] {
        let mut w = World::new(spliced().hls(container));
        w.load(M3U8);
        w.run_for(2.0);
        w.seek(25.0);
        w.run_for(3.0);
        let last = *w.played('v').last().unwrap();
        assert_eq!(last.part, 2, "{}", w.story());
        let expected = ((w.element.position - 22.0) * 25.0) as i64;
        assert!((i64::from(last.number) - expected).abs() <= 2, "{last:?} {expected}");
        w.seek(14.0);
        w.run_for(3.0);
        let last = *w.played('v').last().unwrap();
        let expected = ((w.element.position - 12.0) * 25.0) as i64;
        assert!(last.part == 1 && (i64::from(last.number) - expected).abs() <= 2, "{last:?}\n{}", w.story());
        w.play_to_end(60.0);
    }
}

#[test]
fn two_periods_with_another_codec_change_the_type_and_lose_nothing() {
    let stream = Stream::simple(12.0).then(12.0, |p| {
        p.video = Codec::Vp9;
        p.audio = Codec::Opus;
        p.base = 30.0;
    });
    for addressing in [Addressing::Number, Addressing::Time, Addressing::Sidx] {
        let mut w = World::new(stream.dash(addressing));
        w.load(MPD);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[300, 300]);
        let changes = w.commands.iter().filter(|c| c.1.starts_with("ChangeType")).count();
        assert_eq!(changes, 2, "{}", w.story());
        assert_eq!(w.errors(), []);
    }
}

#[test]
fn three_periods_and_a_seek_back_to_the_first() {
    let stream = Stream::of(12.0)
        .then(8.0, |p| {
            p.video = Codec::Vp9;
            p.base = 30.0;
        })
        .then(12.0, |p| p.video = Codec::Avc(0x4d));
    let mut w = World::new(stream.dash(Addressing::Number));
    w.load(MPD);
    w.play_to_end(60.0);
    w.seek(2.0);
    w.play();
    w.play_to_end(60.0);
    let again = &w.played('v')[800 - 5..];
    assert!(again.len() > 700, "{}", w.story());
    assert_eq!(w.errors(), []);
}

/// Takes the set `id` out of a period of the manifest, or puts `other` in its place.
fn replace_set(site: &mut crate::sim::site::Site, period: usize, id: u32, other: &str) {
    let text = site.text(MPD);
    let at = text.find(&format!("<Period id=\"p{period}\"")).unwrap();
    let from = at + text[at..].find(&format!("<AdaptationSet id=\"{id}\"")).unwrap();
    let to = from + text[from..].find("</AdaptationSet>").unwrap() + "</AdaptationSet>".len();
    site.put(MPD, "application/dash+xml", format!("{}{other}{}", &text[..from], &text[to..]));
}

/// A source that is set up anew costs the last pictures of the one before.
fn assert_nearly_all(w: &World, parts: &[u32]) {
    const LOST: usize = 3;
    for (part, count) in parts.iter().enumerate() {
        let played = w.played('v').iter().filter(|m| m.part as usize == part).count();
        assert!(played + LOST >= *count as usize, "{part}: {played} of {count}\n{}", w.story());
    }
}

const SUBTITLES: &str = "<AdaptationSet contentType=\"text\" mimeType=\"text/vtt\"><Representation id=\"t\" bandwidth=\"1\"><BaseURL>t.vtt</BaseURL></Representation></AdaptationSet>";

#[test]
fn a_period_without_sound_is_played_all_the_same() {
    for (second, third) in [(8.0, None), (60.0, None), (8.0, Some(20.0)), (60.0, Some(20.0))] {
        for other in ["", SUBTITLES] {
            let parts: Vec<u32> = [8.0, second].into_iter().chain(third).map(|s| (s * 25.0) as u32).collect();
            let stream = Stream::simple(8.0).then(second, |_| {});
            let stream = if let Some(seconds) = third { stream.then(seconds, |_| {}) } else { stream };
            let mut site = stream.dash(Addressing::Number);
            replace_set(&mut site, 1, 2, other);
            let mut w = World::new(site);
            w.load(MPD);
            let moved = w.run_until(120.0, |w| w.has_ended() || w.fatal().is_some());
            assert!(moved && w.has_ended(), "{parts:?}\n{}", w.story());
            assert_nearly_all(&w, &parts);
            assert_eq!(w.errors(), [], "{parts:?}\n{}", w.story());
            // Once for each change.
            assert_eq!(w.sources_opened as usize, parts.len(), "{}", w.story());
            let sound = w.played('a').iter().map(|m| m.part).max();
            assert_eq!(sound, Some(if third.is_some() { 2 } else { 0 }), "{}", w.story());
        }
    }
}

#[test]
fn a_seek_goes_to_a_period_without_sound_and_back() {
    let mut site = Stream::simple(60.0).then(60.0, |_| {}).dash(Addressing::Number);
    replace_set(&mut site, 1, 2, "");
    let mut w = World::new(site);
    w.load(MPD);
    w.run_for(5.0);
    assert!(w.seek_lands(90.0, 5.0, 3), "{}", w.story());
    w.run_for(3.0);
    assert!(w.element.position > 92.0, "{}", w.story());
    assert!(w.seek_lands(20.0, 5.0, 3), "{}", w.story());
    w.play_to_end(110.0);
    assert_eq!(w.errors(), [], "{}", w.story());
    assert!(w.played('a').len() > 1000, "{}", w.story());
}

#[test]
fn sound_that_begins_with_a_period_is_heard() {
    let mut site = Stream::simple(20.0).then(20.0, |_| {}).dash(Addressing::Number);
    replace_set(&mut site, 0, 2, "");
    let mut w = World::new(site);
    w.load(MPD);
    w.play_to_end(60.0);
    // It can be chosen from then on.
    let told = w.events.iter().filter_map(|told| match &told.event {
        Event::Tracks { audio, .. } => Some(audio.len()),
        _ => None,
    });
    let told: Vec<usize> = told.collect();
    assert_eq!(told, [0, 1], "{}", w.story());
    assert_nearly_all(&w, &[500, 500]);
    assert!(w.played('a').len() > 800, "{}", w.story());
}

#[test]
fn a_period_of_which_nothing_can_be_played_is_left_out() {
    let mut site = Stream::simple(8.0).then(8.0, |_| {}).then(8.0, |_| {}).dash(Addressing::Number);
    replace_set(&mut site, 1, 1, SUBTITLES);
    replace_set(&mut site, 1, 2, SUBTITLES);
    let mut w = World::new(site);
    w.load(MPD);
    w.play_to_end(40.0);
    w.assert_played_all('v', &[200, 0, 200]);
}

#[test]
fn a_language_is_gone_back_to_after_a_period_without_it() {
    for (chosen, lacks) in [(true, 1), (false, 1), (false, 0)] {
        let stream = Stream::simple(12.0).then(12.0, |_| {}).then(12.0, |_| {});
        let mut site = stream.with(|s| s.languages = vec!["en", "fr"]).dash(Addressing::Number);
        let text = site.text(MPD);
        let at = text.find(&format!("<Period id=\"p{lacks}\"")).unwrap();
        let french = at + text[at..].find("<AdaptationSet id=\"3\"").unwrap();
        let end = french + text[french..].find("</AdaptationSet>").unwrap() + "</AdaptationSet>".len();
        // An id is that of a set within its period alone (ISO/IEC 23009-1 §5.3.3.2): the other language has it there.
        let others = text[at..french].replace("AdaptationSet id=\"2\"", "AdaptationSet id=\"3\"");
        site.put(MPD, DASH_TYPE, [&text[..at], &others, &text[end..]].concat());
        let language = (!chosen).then(|| "fr".to_owned());
        let mut w = World::configured(site, Config { language, stats_interval: 0.0, ..Config::default() });
        w.load(MPD);
        if chosen {
            w.run_for(2.0);
            w.intent(UserIntent::SelectAudio("3".into()));
        }
        w.play_to_end(80.0);
        let heard = [0, 1, 2].map(|part| w.played('a').iter().rfind(|m| m.part == part).unwrap().rung);
        assert_eq!(heard, [0, 1, 2].map(|part| u32::from(part != lacks)), "{chosen} {lacks}: {}", w.story());
        assert_eq!(w.errors(), []);
    }
}

#[test]
fn an_announced_gap_is_jumped_with_its_reason() {
    for gaps in [vec![2], vec![2, 3], vec![0], vec![4]] {
        let count = gaps.len();
        let first = gaps[0];
        let mut w = World::new(Stream::simple(20.0).with(|s| s.gaps = gaps.clone()).hls(Container::Ts));
        w.load(M3U8);
        w.play_to_end(40.0);
        assert!(w.segments_since(0).iter().all(|s| !s.ends_with(&format!("/{first}.ts"))));
        assert_eq!(w.errors(), [], "{gaps:?}");
        let played = w.played('v').len();
        assert_eq!(played, 500 - 100 * count, "{gaps:?}\n{}", w.story());
        if first < 4 {
            let (reason, from, _) = w.gaps()[0];
            let to = w.gaps().last().unwrap().2;
            assert_eq!(reason, Reason::GapAnnounced, "{}", w.story());
            assert!(w.gaps().len() <= 2, "{}", w.story());
            let start = first as f64 * 4.0;
            assert!(
                (from - start).abs() < 0.3 && (to - start - 4.0 * count as f64).abs() < 0.1,
                "{from} {to}"
            );
        }
    }
}

#[test]
fn a_small_hole_in_the_media_is_jumped() {
    for container in [Container::Fmp4, Container::Ts] {
        let mut w =
            World::new(Stream::simple(20.0).with(|s| s.parts[0].hole = Some((9.0, 10.0))).hls(container));
        w.load(M3U8);
        w.play_to_end(40.0);
        let [(reason, from, to)] = w.gaps()[..] else { panic!("{:?}\n{}", w.gaps(), w.story()) };
        assert_eq!(reason, Reason::GapJumped);
        assert!((from - 9.0).abs() < 0.3 && (to - 10.0).abs() < 0.2, "{from} {to}");
        assert!(w.player.stats(w.now).stall_time < 2.0);
    }
}

#[test]
fn media_that_begins_late_starts_where_it_begins() {
    let mut w = World::new(
        Stream::simple(20.0).with(|s| s.parts[0].hole = Some((0.0, 0.8))).dash(Addressing::Number),
    );
    w.load(MPD);
    w.play_to_end(30.0);
    // Sound begins at 0.8 s, pictures with the next keyframe: one jump or two, as they come.
    let gaps = w.gaps();
    assert!(gaps.iter().all(|g| g.0 == Reason::StartGap) && gaps.len() <= 2, "{gaps:?}");
    assert!(gaps[0].1 == 0.0 && (gaps[gaps.len() - 1].2 - 2.0).abs() < 0.1, "{gaps:?}");
}

#[test]
fn a_start_a_few_milliseconds_before_the_media_is_the_engines_affair() {
    let late =
        || Stream::simple(20.0).with(|s| (s.parts[0].base, s.late) = (10.0, 0.02)).dash(Addressing::Number);
    // Every engine begins by itself, and WebKitGTK can hang if it is moved while it does.
    let mut w = World::new(late());
    (w.element.leniency, w.element.warm_up) = (0.1, 0.3);
    w.load(MPD);
    w.play_to_end(30.0);
    assert_eq!(w.gaps(), [], "{}", w.story());
    // One that did not would be moved all the same.
    let mut w = World::new(late());
    w.load(MPD);
    w.play_to_end(30.0);
    assert!(w.gaps().iter().all(|g| g.0 == Reason::StartGap) && !w.gaps().is_empty(), "{}", w.story());
}

#[test]
fn a_start_within_the_first_second_waits_for_a_picture() {
    // WebKitGTK 2.50 fails or hangs where it is moved before; also while what the source begins with is still being appended, and the
    // next segment is fetched.
    for (site, url) in [
        (Stream::simple(20.0).hls(Container::Ts), M3U8),
        (Stream::simple(20.0).hls(Container::Fmp4), M3U8),
        (Stream::simple(20.0).dash(Addressing::Number), MPD),
    ] {
        for rate in [1e6, 1e10] {
            let mut w = World::new(site.clone());
            w.link(rate);
            w.element.warm_up = 0.1;
            w.load_at(url, 0.47);
            assert!(w.run_until(10.0, |w| !w.seeks.is_empty()), "{}", w.story());
            assert!(w.element.ready_state >= 2, "{rate}\n{}", w.story());
            w.play_to_end(30.0);
        }
    }
}

#[test]
fn a_seek_into_an_announced_gap_goes_to_its_end() {
    let mut w = World::new(Stream::simple(40.0).with(|s| s.gaps = vec![5, 6]).hls(Container::Fmp4));
    w.load(M3U8);
    w.run_for(2.0);
    w.seek(23.0);
    assert!(w.run_until(5.0, |w| w.element.position > 28.0), "{}", w.story());
    w.play_to_end(20.0);
}

#[test]
fn a_gap_that_is_longer_than_the_buffer_is_jumped() {
    let config = Config { buffer_ahead: 6.0, stats_interval: 0.0, ..Config::default() };
    let gaps: Vec<usize> = (3..8).collect();
    let mut w = World::configured(Stream::simple(60.0).with(|s| s.gaps = gaps).hls(Container::Ts), config);
    w.load(M3U8);
    w.play_to_end(60.0);
    // The element stops a frame or two in front of the hole.
    assert!((998..=1000).contains(&w.played('v').len()), "{}", w.story());
    assert!(w.gaps().iter().all(|g| g.0 == Reason::GapAnnounced), "{:?}", w.gaps());
}

#[test]
fn a_browser_without_change_type_gets_another_source_for_another_codec() {
    let stream = Stream::simple(12.0)
        .then(12.0, |p| {
            p.video = Codec::Vp9;
            p.base = 30.0;
        })
        .then(8.0, |p| p.video = Codec::Avc(0x64));
    let mut w = World::new(stream.dash(Addressing::Number));
    w.change_type = false;
    w.load(MPD);
    w.play_to_end(60.0);
    assert_eq!(w.sources_opened, 3, "{}", w.story());
    assert_eq!(w.errors(), []);
    let played: Vec<(u32, u32)> = w.played('v').iter().map(|m| (m.part, m.number)).collect();
    // A few frames at each end may be lost to the change, none in between.
    assert!(played.len() >= 790, "{}\n{}", played.len(), w.story());
    assert!(w.now < 36.0, "{}", w.now);
    w.seek(2.0);
    w.play();
    w.play_to_end(60.0);
}

#[test]
fn many_short_periods_are_played_through() {
    let mut stream = Stream::simple(4.0);
    for n in 1..30 {
        stream = stream.then([2.0, 4.0, 1.0][n % 3], |p| p.base = n as f64 * 11.0);
    }
    let frames: Vec<u32> = stream.parts.iter().map(|p| (p.duration * 25.0) as u32).collect();
    let mut w = World::new(stream.dash(Addressing::Number));
    w.load(MPD);
    w.play_to_end(120.0);
    w.assert_played_all('v', &frames);
    let mut w = World::new(stream.hls(Container::Ts));
    w.load(M3U8);
    w.play_to_end(120.0);
    w.assert_played_all('v', &frames);
}

#[test]
fn a_short_hole_in_the_sound_is_filled_and_told() {
    for muxed in [false, true] {
        let stream = Stream::simple(16.0).with(|s| {
            // Two frames.
            s.silence = Some((6.0, 6.04));
            s.parts[0].base = 100.0;
            s.muxed = muxed;
            if muxed {
                s.languages.clear();
            }
        });
        let mut w = World::new(stream.hls(Container::Ts));
        w.load(M3U8);
        w.play_to_end(20.0);
        w.assert_played_all('v', &[400]);
        let gaps = w.gaps();
        assert_eq!(gaps.len(), 1, "{}", w.story());
        let (reason, from, to) = gaps[0];
        assert_eq!(reason, Reason::SoundFilled);
        assert!(
            (from - 6.01).abs() < 0.02 && (to - from - 2.0 * 1024.0 / 48_000.0).abs() < 0.001,
            "{from} {to}"
        );
        assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{}", w.story());
        assert_eq!(w.errors(), []);
        // Sound and pictures end together: nothing has moved.
        let sound = w.played('a');
        assert_eq!(sound.last().map(|m| m.number), Some(749));
    }
}
