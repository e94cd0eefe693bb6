//! From start to end.

use super::*;

#[test]
fn dash_plays_from_start_to_end_with_every_sample_appended_once() {
    for addressing in [Addressing::Number, Addressing::Time, Addressing::List, Addressing::Sidx] {
        let mut w = World::new(Stream::simple(22.0).dash(addressing));
        w.load(MPD);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[550]);
        w.assert_played_all('a', &[1032]);
        assert_eq!(w.appended('v'), (550, 550), "{addressing:?}");
        assert_eq!(w.appended('a'), (1032, 1032), "{addressing:?}");
        assert_eq!(w.errors(), []);
        assert_eq!(w.count(|e| matches!(e, Event::Ended)), 1);
        assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0);
    }
}

/// WebKitGTK 2.50 does not bear it that media is replaced in a source that has ended.
#[test]
fn a_source_does_not_end_before_playback_is_near_its_end() {
    let mut w = World::new(Stream::simple(22.0).dash(Addressing::Number));
    w.load(MPD);
    let ended = |w: &World| w.element.source.as_ref().is_some_and(|s| s.ended);
    assert!(!w.run_until(18.0, ended), "{}", w.story());
    assert_eq!(w.appended('v'), (550, 550), "{}", w.story());
    w.play_to_end(40.0);
    w.seek(10.0);
    let again = |w: &World| w.count(|e| matches!(e, Event::Ended)) == 2;
    assert!(w.run_until(20.0, again), "{}", w.story());
    assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{}", w.story());
}

#[test]
fn an_index_comes_in_one_request_with_the_initialization_segment_before_it() {
    let mut w = World::new(Stream::simple(22.0).dash(Addressing::Sidx));
    w.load(MPD);
    w.play_to_end(40.0);
    assert!(w.requests().iter().all(|r| r.kind != FetchKind::Init), "{}", w.story());
    for track in ["/v0/", "/a0/"] {
        let mut of_track = w.requests().iter().filter(|r| r.url.contains(track));
        let index = of_track.next().expect("each track has its file");
        assert_eq!((index.kind, index.range.map(|r| r.first)), (FetchKind::Index, Some(0)), "{}", w.story());
        let last = index.range.and_then(|r| r.last).expect("the MPD tells where the index ends");
        // Only the media is fetched besides.
        assert!(of_track.all(|r| r.range.is_some_and(|r| r.first > last)), "{}", w.story());
    }
}

#[test]
fn audio_segments_that_begin_with_something_else_are_known_by_their_extension() {
    let mut site = crate::sim::site::Site::default();
    let mut list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n".to_owned();
    for n in 0..3 {
        let mark = |number| Mark { kind: 'a', part: 0, number, rung: 0 };
        let frames = (n * 160..n * 160 + 160).flat_map(|n| crate::sim::files::mpeg_audio_frame(mark(n)));
        site.put(&format!("{ROOT}{n}.mp3"), "", [0; 3].into_iter().chain(frames).collect::<Vec<_>>());
        list += &format!("#EXTINF:3.84,\n{n}.mp3\n");
    }
    site.put(M3U8, "", list + "#EXT-X-ENDLIST\n");
    let mut w = World::new(site);
    w.load(M3U8);
    w.play_to_end(20.0);
    w.assert_played_all('a', &[480]);
    assert_eq!(w.errors(), []);
}

#[test]
fn initialization_segments_are_appended_while_the_first_media_is_on_its_way() {
    for (url, site, media) in [
        (MPD, Stream::simple(22.0).dash(Addressing::Number), ".m4s"),
        (M3U8, Stream::simple(22.0).hls(Container::Fmp4), ".m4s"),
    ] {
        let mut w = World::new(site);
        w.fault(media, Fault::Delay(2.0), 2);
        w.load(url);
        w.run_for(1.5);
        for buffer in ["Video", "Audio"] {
            let append = format!("Append {{ buffer: {buffer}");
            assert_eq!(w.commands.iter().filter(|(_, c)| c.starts_with(&append)).count(), 1, "{}", w.story());
        }
        w.play_to_end(40.0);
        // They were not appended again.
        w.assert_played_all('v', &[550]);
        let inits = w.requests().iter().filter(|r| r.kind == FetchKind::Init).count();
        assert_eq!(inits, 2, "{}", w.story());
    }
}

#[cfg(all(feature = "webm", feature = "progressive"))]
#[test]
fn webm_is_passed_through_piece_by_piece_and_nothing_of_it_is_removed() {
    let mut w = World::new(Stream::simple(22.0).dash_webm());
    w.load(MPD);
    w.play_to_end(40.0);
    w.assert_played_all('v', &[550]);
    assert_eq!(w.appended('v'), (550, 550));
    assert_eq!((w.gaps(), w.errors()), (vec![], vec![]), "{}", w.story());
    let removed = w.commands.iter().filter(|(_, c)| c.starts_with("Remove"));
    assert_eq!(removed.count(), 0, "{}", w.story());
    // The end of a segment brings no media of its own.
    assert!(!w.commands.iter().any(|(_, c)| c.contains("data: 0 bytes")), "{}", w.story());
}

#[cfg(all(feature = "webm", feature = "progressive"))]
#[test]
fn what_is_passed_through_in_place_of_a_lower_quality_is_of_one_piece() {
    let mut w = World::new(Stream { ladder: vec![300_000, 1_500_000], ..Stream::simple(60.0) }.dash_webm());
    w.link(600e3);
    w.load(MPD);
    w.run_for(12.0);
    w.link(20e6);
    w.play_to_end(90.0);
    w.assert_played_all('v', &[1500]);
    assert!(
        w.commands.iter().any(|(_, c)| c.starts_with("Remove")),
        "something is fetched again: {}",
        w.story()
    );
    assert_eq!((w.gaps(), w.errors()), (vec![], vec![]), "{}", w.story());
}

#[test]
fn hls_plays_from_start_to_end_with_every_sample_appended_once() {
    for container in [Container::Fmp4, Container::Ts, Container::Packed] {
        let mut w = World::new(Stream::simple(22.0).hls(container));
        w.load(M3U8);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[550]);
        w.assert_played_all('a', &[1032]);
        assert_eq!(w.appended('v'), (550, 550), "{container:?}");
        assert_eq!(w.appended('a'), (1032, 1032), "{container:?}");
        assert_eq!(w.errors(), []);
    }
}

#[test]
fn pictures_in_another_order_than_decoded_play_too() {
    let stream = |base| {
        Stream::simple(16.0).with(|s| {
            s.b_frames = true;
            s.parts[0].base = base;
        })
    };
    for site in [stream(10.0).hls(Container::Fmp4), stream(10.0).hls(Container::Ts)] {
        let mut w = World::new(site);
        w.load(M3U8);
        w.play_to_end(30.0);
        w.assert_played_all('v', &[400]);
        w.assert_played_all('a', &[750]);
    }
    let mut w = World::new(stream(10.0).dash(Addressing::Time));
    w.load(MPD);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[400]);
    w.assert_played_all('a', &[750]);
}

#[test]
fn packed_audio_keeps_to_the_pictures_by_the_time_in_its_tags() {
    // The media time is far from 0, as it is live; the sound of a later segment follows the time in its tag.
    for base in [0.0, 26.5 * 3600.0 - 1.0] {
        let stream = Stream::simple(22.0).with(|s| s.parts[0].base = base);
        let mut w = World::new(stream.hls(Container::Packed));
        w.load(M3U8);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[550]);
        w.assert_played_all('a', &[1032]);
        assert_eq!(w.errors(), [], "{base}");
        assert_eq!(w.gaps(), [], "{base}");
    }
}

#[test]
fn packed_audio_without_time_stamps_lies_where_the_playlist_has_it() {
    let stream = |base: f64| Stream::simple(60.0).with(|s| s.parts[0].base = base);
    // Alone, and beside pictures on another timeline.
    for stream in [stream(0.0).with(|s| s.ladder.clear()), stream(10.0)] {
        let video = !stream.ladder.is_empty();
        let mut w = World::new(stream.hls(Container::Untimed));
        w.load(if video { M3U8 } else { "https://media.test/a0.m3u8" });
        w.run_for(3.0);
        w.seek(40.0);
        w.run_for(3.0);
        let last = w.played('a').last().unwrap().number;
        let expected = w.element.position * 48_000.0 / 1024.0;
        // A segment begins with the first whole frame behind its time.
        assert!((f64::from(last) - expected).abs() <= 3.0, "{last} for {expected}\n{}", w.story());
        w.seek(5.0);
        w.play_to_end(80.0);
        assert_eq!(w.errors(), []);
    }
}

#[test]
fn muxed_transport_streams_fill_two_buffers() {
    let mut w = World::new(
        Stream::simple(20.0)
            .with(|s| {
                s.languages.clear();
                s.muxed = true;
            })
            .hls(Container::Ts),
    );
    w.load(M3U8);
    w.play_to_end(30.0);
    w.assert_played_all('v', &[500]);
    w.assert_played_all('a', &[938]);
    assert_eq!(w.appended('v'), (500, 500));
    assert_eq!(w.appended('a'), (938, 938));
}

#[test]
fn video_without_sound_and_sound_without_video() {
    let mut w = World::new(Stream::simple(12.0).with(|s| s.languages.clear()).dash(Addressing::Number));
    w.load(MPD);
    w.play_to_end(20.0);
    w.assert_played_all('v', &[300]);

    let mut w = World::new(Stream::simple(12.0).with(|s| s.ladder.clear()).dash(Addressing::Number));
    w.load(MPD);
    w.play_to_end(20.0);
    w.assert_played_all('a', &[563]);

    for container in [Container::Fmp4, Container::Ts, Container::Packed] {
        let mut w = World::new(Stream::simple(12.0).hls(container));
        w.load("https://media.test/a0.m3u8");
        w.play_to_end(20.0);
        w.assert_played_all('a', &[563]);
    }
}

#[test]
fn a_bare_media_playlist_plays() {
    let mut w = World::new(Stream::simple(12.0).with(|s| s.languages.clear()).hls(Container::Ts));
    w.load("https://media.test/v0.m3u8");
    w.play_to_end(20.0);
    w.assert_played_all('v', &[300]);
    assert_eq!(w.requests()[0].url, "https://media.test/v0.m3u8");
    assert_eq!(w.count(|e| matches!(e, Event::Loaded { protocol: "hls", .. })), 1);
}

#[test]
fn the_first_frame_comes_before_the_first_segment_is_complete() {
    // 2 Mbit/s over 3 Mbit/s: the segment takes 2.5 s.
    let mut w =
        World::new(Stream::simple(20.0).with(|s| s.ladder = vec![1_800_000]).dash(Addressing::Number));
    w.net.rates = vec![(0.0, 3e6)];
    w.load(MPD);
    assert!(w.run_until(10.0, |w| w.element.ready_state >= 3), "{}", w.story());
    assert!(w.now < 1.0, "{:.2} s\n{}", w.now, w.story());
}

#[test]
fn what_is_told_comes_in_order() {
    let mut w = World::new(Stream::of(12.0).dash(Addressing::Number));
    w.load(MPD);
    w.play_to_end(30.0);
    let names: Vec<&str> = w
        .events
        .iter()
        .map(|t| match &t.event {
            Event::Loaded { duration, live, .. } => {
                assert_eq!((*duration, *live), (Some(12.0), false));
                "loaded"
            }
            Event::Tracks { qualities, audio } => {
                assert_eq!(
                    qualities.iter().map(|q| q.bandwidth).collect::<Vec<_>>(),
                    [300_000, 800_000, 2_000_000]
                );
                assert_eq!(audio.len(), 1);
                assert!(audio[0].active);
                "tracks"
            }
            Event::QualityChange { .. } => "quality",
            Event::Ended => "ended",
            other => panic!("{other:?}"),
        })
        .collect();
    let mut without_quality = names.clone();
    without_quality.retain(|n| *n != "quality");
    assert_eq!(without_quality, ["tracks", "loaded", "ended"]);
    assert_eq!(names[0], "tracks", "a quality can be looked up when it is told");
    assert!(names.contains(&"quality"));
}

#[test]
fn start_time_is_where_it_starts() {
    for (url, site) in [
        (MPD, Stream::simple(40.0).dash(Addressing::Number)),
        (MPD, Stream::simple(40.0).dash(Addressing::Sidx)),
        (M3U8, Stream::simple(40.0).hls(Container::Fmp4)),
        (M3U8, Stream::simple(40.0).hls(Container::Ts)),
    ] {
        let mut w = World::new(site.clone());
        w.load_at(url, 21.0);
        assert!(w.run_until(5.0, |w| w.element.ready_state >= 3), "{}", w.story());
        assert!((w.element.position - 21.0).abs() < 0.3, "{}", w.story());
        let segments = w.segments_since(0);
        if url == M3U8 {
            assert!(segments.iter().all(|s| !s.contains("/0/0.") && !s.contains("/0/4.")), "{segments:?}");
        }
        w.play_to_end(30.0);

        let mut w = World::new(site);
        w.load_at(url, -6.0);
        assert!(w.run_until(5.0, |w| w.element.ready_state >= 3), "{}", w.story());
        assert!((w.element.position - 34.0).abs() < 0.3, "{}", w.story());
        w.play_to_end(10.0);
    }
}

#[test]
fn ext_x_start_says_where_it_starts() {
    for (offset, wanted) in [("12.5", 12.5), ("-10", 30.0), ("-100", 0.0), ("500", 40.0)] {
        let mut site = Stream::simple(40.0).hls(Container::Ts);
        let tag = format!("#EXTM3U\n#EXT-X-START:TIME-OFFSET={offset}\n");
        site.edit(M3U8, "#EXTM3U\n", &tag);
        let mut w = World::new(site);
        w.load(M3U8);
        if wanted < 39.0 {
            assert!(w.run_until(5.0, |w| w.element.ready_state >= 3), "{offset}\n{}", w.story());
            assert!((w.element.position - wanted).abs() < 0.3, "{offset}\n{}", w.story());
        }
        w.play_to_end(60.0);
    }
}

#[test]
fn ext_x_start_of_a_bare_media_playlist_counts() {
    let mut site = Stream::simple(40.0).with(|s| s.languages.clear()).hls(Container::Ts);
    site.edit("https://media.test/v0.m3u8", "#EXTM3U\n", "#EXTM3U\n#EXT-X-START:TIME-OFFSET=-10\n");
    let mut w = World::new(site);
    w.load("https://media.test/v0.m3u8");
    assert!(w.run_until(5.0, |w| w.element.ready_state >= 3), "{}", w.story());
    assert!((w.element.position - 30.0).abs() < 0.3, "{}", w.story());
}

#[test]
fn ext_x_start_of_the_first_media_playlist_counts_where_nothing_else_was_said() {
    const LISTS: [&str; 2] = ["https://media.test/v0.m3u8", "https://media.test/v1.m3u8"];
    for (offset, multivariant, asked, wanted) in [
        ("12.5", "", None, 12.5),
        ("-10", "", None, 30.0),
        ("12.5", "20", None, 20.0),
        ("12.5", "", Some(5.0), 5.0),
    ] {
        let two = Stream::simple(40.0).with(|s| s.ladder = vec![300_000, 600_000]);
        let mut site = two.hls(Container::Fmp4);
        for list in LISTS {
            site.edit(list, "#EXTM3U\n", &format!("#EXTM3U\n#EXT-X-START:TIME-OFFSET={offset}\n"));
        }
        if !multivariant.is_empty() {
            site.edit(M3U8, "#EXTM3U\n", &format!("#EXTM3U\n#EXT-X-START:TIME-OFFSET={multivariant}\n"));
        }
        let mut w = World::new(site);
        match asked {
            Some(at) => w.load_at(M3U8, at),
            None => w.load(M3U8),
        }
        assert!(w.run_until(5.0, |w| w.element.ready_state >= 3), "{offset}\n{}", w.story());
        assert!((w.element.position - wanted).abs() < 0.3, "{offset}\n{}", w.story());
        // What another quality's playlist says later changes nothing.
        w.play_to_end(60.0);
        let frames = w.played('v').len() as f64;
        assert!((frames - (40.0 - wanted) * 25.0).abs() < 8.0, "{offset}: {frames}\n{}", w.story());
    }
}

/// TS with sound inside and a language apart, as Apple's own samples have it.
fn sound_inside(config: Config) -> World {
    let mut site =
        Stream::simple(60.0).with(|s| (s.muxed, s.languages) = (true, vec!["en", "fr"])).hls(Container::Ts);
    site.edit(M3U8, ",URI=\"a0.m3u8\"", "");
    World::configured(site, config)
}

/// Id and whether it plays, of all that is to be heard.
fn heard(w: &World) -> Vec<(String, bool)> {
    let told = w.events.iter().rev().find_map(|t| match &t.event {
        Event::Tracks { audio, .. } => Some(audio.iter().map(|a| (a.id.clone(), a.active)).collect()),
        _ => None,
    });
    told.unwrap_or_default()
}

#[test]
fn sound_that_is_in_the_variants_themselves_is_a_track_like_others() {
    let mut w = sound_inside(Config::default());
    w.load(M3U8);
    w.run_for(10.0);
    let (inside, apart) = ("audio--en-en".to_owned(), "audio-sound-fr-fr".to_owned());
    assert_eq!(heard(&w), [(inside.clone(), true), (apart.clone(), false)]);
    assert!(
        w.played('a').iter().all(|m| m.rung == 0) && !w.requests().iter().any(|r| r.url.contains("a1")),
        "{}",
        w.story()
    );
    for (id, rung) in [(&apart, 1), (&inside, 0), (&apart, 1)] {
        let before = w.element.position;
        w.intent(UserIntent::SelectAudio(id.clone()));
        w.run_for(10.0);
        assert_eq!(w.played('a').last().unwrap().rung, rung, "{}", w.story());
        assert!(w.element.position - before > 9.0, "it waited long\n{}", w.story());
        assert!(heard(&w).iter().all(|(i, active)| *active == (i == id)), "{:?}", heard(&w));
    }
    w.play_to_end(40.0);
    assert_eq!(w.errors(), [], "{}", w.story());
    let frames = w.played('v');
    assert!(
        frames.windows(2).all(|p| p[1].number == p[0].number + 1) && frames.len() == 1500,
        "{}",
        w.story()
    );
}

#[test]
fn sound_is_in_the_variants_also_where_one_of_them_names_no_group() {
    let stream = Stream::of(20.0).with(|s| (s.muxed, s.languages) = (true, vec!["en", "fr"]));
    let mut site = stream.hls(Container::Ts);
    site.edit(M3U8, ",URI=\"a0.m3u8\"", "");
    site.edit(M3U8, ",AUDIO=\"sound\"\nv1", "\nv1");
    let mut w = World::new(site);
    w.load(M3U8);
    w.play_to_end(30.0);
    assert_eq!(heard(&w), [("audio--en-en".to_owned(), true), ("audio-sound-fr-fr".to_owned(), false)]);
    assert!(w.played('a').iter().all(|m| m.rung == 0) && w.played('a').len() > 900, "{}", w.story());
}

#[test]
fn a_playlist_without_an_end_beside_one_that_has_it_has_the_same() {
    // The sound; a quality that is chosen later. Whichever comes first.
    for (name, slow) in [("v0.m3u8", "a0.m3u8"), ("a0.m3u8", "a0.m3u8"), ("a0.m3u8", "test/v")] {
        let mut site = Stream::of(60.0).hls(Container::Fmp4);
        let url = format!("{ROOT}{name}");
        site.edit(&url, "#EXT-X-PLAYLIST-TYPE:VOD\n", "");
        site.edit(&url, "#EXT-X-ENDLIST\n", "");
        let mut w = World::new(site);
        w.fault(slow, Fault::Delay(0.5), 1);
        w.load(M3U8);
        w.run_for(2.0);
        w.link(450e3);
        w.play_to_end(120.0);
        assert_eq!(w.errors(), [], "{name} {slow}: {}", w.story());
        w.assert_played_all('v', &[1500]);
        assert_eq!(w.count(|e| matches!(e, Event::Live(_))), 0, "{name} {slow}: {}", w.story());
        let read = w.requests().iter().filter(|r| r.url == url).count();
        assert_eq!(read, 1, "{name} {slow}: {}", w.story());
    }
}

/// Tables alone are in the initialization segment (RFC 8216bis §3.1.1), and none in what follows.
#[test]
fn transport_streams_may_have_their_tables_in_an_initialization_segment() {
    const TABLES: usize = 2 * 188;
    let stream = Stream::of(40.0).with(|s| (s.muxed, s.languages) = (true, vec![]));
    let mut site = stream.hls(Container::Ts);
    for rung in 0..stream.ladder.len() {
        site.edit(&format!("{ROOT}v{rung}.m3u8"), "#EXTINF", "#EXT-X-MAP:URI=\"init.ts\"\n#EXTINF");
        for n in 0..stream.count(0) {
            let url = format!("{ROOT}v{rung}/0/{n}.ts");
            let (content_type, bytes) = site.get(&url).unwrap();
            site.put(&url, content_type, &bytes[TABLES..]);
            site.put(&format!("{ROOT}init.ts"), content_type, &bytes[..TABLES]);
        }
    }
    let mut w = World::new(site);
    w.load(M3U8);
    w.run_for(10.0);
    w.link(700e3);
    w.seek(25.0);
    w.run_for(5.0);
    w.seek(5.0);
    w.play_to_end(80.0);
    assert_eq!(w.errors(), [], "{}", w.story());
    assert!(w.played('v').len() > 1000 && w.played('a').len() > 1800, "{}", w.story());
}

#[test]
fn sound_that_the_browser_refuses_whatever_it_said_of_the_type_is_left_out() {
    let muxed = Stream::simple(30.0).with(|s| (s.muxed, s.languages) = (true, vec![]));
    for (site, url) in [
        (muxed.hls(Container::Ts), M3U8),
        (Stream::simple(30.0).hls(Container::Fmp4), M3U8),
        (Stream::simple(30.0).dash(Addressing::Number), MPD),
    ] {
        let mut w = World::new(site);
        w.refuses = Some(BufferId::Audio);
        w.load(url);
        w.play_to_end(60.0);
        w.assert_played_all('v', &[750]);
        // None of them has another quality to try.
        assert_eq!(w.errors(), [Code::CodecUnsupported], "{}", w.story());
        assert!(w.fatal().is_none() && w.played('a').is_empty(), "{}", w.story());
    }
    // Where there is another quality, that is tried first.
    let two = Stream::simple(30.0).with(|s| s.ladder = vec![300_000, 600_000]);
    let mut w = World::new(two.hls(Container::Fmp4));
    w.refuses = Some(BufferId::Audio);
    w.load(M3U8);
    w.play_to_end(60.0);
    w.assert_played_all('v', &[750]);
    assert_eq!(w.errors(), [Code::Decode, Code::CodecUnsupported], "{}", w.story());
    for blames in [Blame::TheOther, Blame::TheElement] {
        let mut w = World::new(muxed.hls(Container::Ts));
        (w.refuses, w.blames) = (Some(BufferId::Audio), blames);
        w.load(M3U8);
        w.play_to_end(60.0);
        w.assert_played_all('v', &[750]);
        assert!(w.errors().contains(&Code::CodecUnsupported), "{}", w.story());
    }
    let mut w = World::new(Stream::simple(30.0).hls(Container::Fmp4));
    w.refuses = Some(BufferId::Video);
    w.load(M3U8);
    assert_eq!(w.run_to_error(60.0).code, Code::Decode);
}

#[test]
fn sound_inside_can_be_chosen_before_what_is_apart_has_come() {
    let mut w = sound_inside(Config { language: Some("fr".into()), ..Config::default() });
    w.fault("a1/0/0", Fault::Delay(2.0), 1);
    w.load(M3U8);
    w.run_for(1.0);
    w.intent(UserIntent::SelectAudio("audio--en-en".into()));
    w.play_to_end(80.0);
    assert!(w.played('a').len() > 2700 && w.played('a').iter().all(|m| m.rung == 0), "{}", w.story());
    w.assert_played_all('v', &[1500]);
}

#[test]
fn a_language_that_is_asked_for_takes_the_place_of_sound_inside() {
    let mut w = sound_inside(Config { language: Some("fr".into()), ..Config::default() });
    w.load(M3U8);
    w.play_to_end(80.0);
    assert!(w.played('a').iter().all(|m| m.rung == 1), "{}", w.story());
    w.assert_played_all('v', &[1500]);
}

#[test]
fn twice_the_speed_takes_half_the_time() {
    let mut w = World::new(Stream::simple(60.0).dash(Addressing::Number));
    w.element.rate = 2.0;
    w.load(MPD);
    w.play_to_end(31.5);
    w.assert_played_all('v', &[1500]);
    assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{}", w.story());
}

#[test]
fn the_rate_can_change_while_playing() {
    let mut w = World::new(Stream::simple(60.0).hls(Container::Fmp4));
    w.load(M3U8);
    w.run_for(10.0);
    w.rate(0.5);
    w.run_for(10.0);
    w.rate(3.0);
    w.play_to_end(20.0);
    w.assert_played_all('v', &[1500]);
}

#[test]
fn a_pause_ends_the_loading_at_the_buffer_target() {
    let mut w = World::new(Stream::simple(120.0).dash(Addressing::Number));
    w.load(MPD);
    w.run_for(3.0);
    w.pause();
    w.run_for(60.0);
    let made = w.requests().len();
    w.run_for(600.0);
    assert_eq!(w.requests().len(), made, "{}", w.story());
    let ahead =
        w.element.source.as_ref().unwrap().buffered().end_from(w.element.position, 0.0) - w.element.position;
    assert!((28.0..40.0).contains(&ahead), "{ahead}");
    assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0);
    w.play();
    w.play_to_end(120.0);
    w.assert_played_all('v', &[3000]);
}

#[test]
fn a_paused_element_loads_but_does_not_play() {
    let mut w = World::new(Stream::simple(20.0).dash(Addressing::Number));
    w.element.paused = true;
    w.load(MPD);
    w.run_for(30.0);
    assert_eq!(w.element.position, 0.0);
    assert!(w.element.ready_state >= 3);
    assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0);
    w.play();
    w.play_to_end(21.0);
    w.assert_played_all('v', &[500]);
}

#[test]
fn a_slow_link_stalls_and_recovers_and_the_numbers_say_so() {
    let mut w =
        World::new(Stream::simple(40.0).with(|s| s.ladder = vec![1_000_000]).dash(Addressing::Number));
    w.load(MPD);
    w.run_for(1.0);
    w.link(300_000.0);
    assert!(w.run_until(60.0, |w| w.count(|e| matches!(e, Event::Stall { .. })) > 0), "{}", w.story());
    w.run_for(5.0);
    w.link(10e6);
    w.play_to_end(60.0);
    w.assert_played_all('v', &[1000]);
    let stalls = w.count(|e| matches!(e, Event::Stall { reason: Reason::BufferEmpty, .. }));
    let recoveries = w.count(|e| matches!(e, Event::Recovered { reason: Reason::Refilled, .. }));
    assert_eq!(stalls, recoveries, "{}", w.story());
    let told: f64 = w
        .events
        .iter()
        .map(|t| match t.event {
            Event::Recovered { seconds, .. } => seconds,
            _ => 0.0,
        })
        .sum();
    let stats = w.player.stats(w.now);
    assert_eq!(stats.stalls as usize, stalls);
    assert!((stats.stall_time - told).abs() < 1e-6);
    assert!(stats.stall_time > 1.0, "{stats:?}");
    // What was not played was waited for.
    let waited = w.now - 40.0;
    assert!((stats.stall_time + stats.startup.unwrap() - waited).abs() < 0.5, "{stats:?} {waited}");
}

#[test]
fn the_preferred_language_plays_and_can_be_changed() {
    for (url, site) in [
        (
            MPD,
            Stream::simple(40.0).with(|s| s.languages = vec!["en", "de", "fr-CA"]).dash(Addressing::Number),
        ),
        (M3U8, Stream::simple(40.0).with(|s| s.languages = vec!["en", "de", "fr-CA"]).hls(Container::Fmp4)),
        (M3U8, Stream::simple(40.0).with(|s| s.languages = vec!["en", "de", "fr-CA"]).hls(Container::Ts)),
    ] {
        let config = Config { language: Some("fr".into()), stats_interval: 0.0, ..Config::default() };
        let mut w = World::configured(site, config);
        w.load(url);
        w.run_for(10.0);
        assert!(w.played('a').iter().all(|m| m.rung == 2), "{}", w.story());
        let german = w
            .events
            .iter()
            .find_map(|t| match &t.event {
                Event::Tracks { audio, .. } => audio.iter().find(|a| a.language.as_deref() == Some("de")),
                _ => None,
            })
            .unwrap()
            .id
            .clone();
        w.intent(UserIntent::SelectAudio(german.clone()));
        let at = w.element.played.len();
        w.run_for(2.0);
        assert!(
            w.element.played[at..].iter().rfind(|m| m.kind == 'a').is_some_and(|m| m.rung == 1),
            "{}",
            w.story()
        );
        let active = w.events.iter().rev().find_map(|t| match &t.event {
            Event::Tracks { audio, .. } => audio.iter().find(|a| a.active).map(|a| a.id.clone()),
            _ => None,
        });
        assert_eq!(active, Some(german));
        w.play_to_end(40.0);
        // No picture was lost over it, and no sound either.
        w.assert_played_all('v', &[1000]);
        let numbers: Vec<u32> = w.played('a').iter().map(|m| m.number).collect();
        for pair in numbers.windows(2) {
            assert!(pair[1] <= pair[0] + 1, "{pair:?}\n{}", w.story());
        }
    }
}

#[test]
fn an_element_that_waits_at_the_end_is_sent_there() {
    let mut w = World::new(Stream::simple(10.0).hls(Container::Fmp4));
    w.element.sticks_at_end = true;
    w.load(M3U8);
    w.play_to_end(20.0);
    assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{}", w.story());
}
