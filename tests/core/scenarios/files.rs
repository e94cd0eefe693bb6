//! Plain files and endless streams.

use super::*;

pub(super) fn muxed(seconds: f64) -> Stream {
    Stream::simple(seconds).with(|s| {
        s.languages = vec!["en"];
        s.muxed = true;
    })
}

/// A file of 1 Mbit/s and some.
pub(super) fn heavy(seconds: f64) -> Stream {
    muxed(seconds).with(|s| s.ladder = vec![1_000_000])
}

pub(super) fn loaded(w: &World) -> Vec<(Option<f64>, bool)> {
    w.events
        .iter()
        .filter_map(|t| match &t.event {
            Event::Loaded { protocol: "file", duration, live } => Some((*duration, *live)),
            _ => None,
        })
        .collect()
}

pub(super) fn assert_in_step(w: &World) {
    let Some(last) = w.played('v').last().copied() else { panic!("nothing was played\n{}", w.story()) };
    let expected = w.element.position * 25.0;
    assert!(
        (f64::from(last.number) - expected).abs() <= 2.0,
        "{last:?} at {:.2}\n{}",
        w.element.position,
        w.story()
    );
}

#[test]
fn sound_that_the_browser_refuses_is_left_out_of_a_file_too() {
    for blames in [Blame::Itself, Blame::TheOther, Blame::TheElement] {
        let mut w = World::new(muxed(22.0).ts_file());
        (w.refuses, w.blames) = (Some(BufferId::Audio), blames);
        w.load(TS);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[550]);
        assert!(w.errors().contains(&Code::CodecUnsupported) && w.fatal().is_none(), "{}", w.story());
    }
}

#[test]
fn a_transport_stream_plays_from_start_to_end() {
    for (base, b_frames) in [(0.0, false), (3723.4, false), (10.0, true)] {
        let mut w = World::new(
            muxed(22.0)
                .with(|s| {
                    s.parts[0].base = base;
                    s.b_frames = b_frames;
                })
                .ts_file(),
        );
        w.load(TS);
        w.play_to_end(40.0);
        w.assert_played_all('v', &[550]);
        w.assert_played_all('a', &[1032]);
        assert_eq!(w.appended('v'), (550, 550));
        assert_eq!(w.appended('a'), (1032, 1032));
        assert_eq!(w.errors(), []);
        assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 0, "{}", w.story());
        let [(Some(duration), false)] = loaded(&w)[..] else { panic!("{:?}", loaded(&w)) };
        assert!((duration - 22.0).abs() < 0.1, "{duration}");
        // The response by which it was recognized, and the end for the duration.
        assert_eq!(w.requests().len(), 2, "{}", w.story());
    }
}

#[test]
fn a_fragmented_file_plays_from_start_to_end() {
    let mut w = World::new(muxed(22.0).fmp4_file());
    w.load(MP4);
    w.play_to_end(40.0);
    w.assert_played_all('v', &[550]);
    assert_eq!(w.appended('v'), (550, 550));
    assert_eq!(w.errors(), []);
    let [(Some(duration), false)] = loaded(&w)[..] else { panic!("{:?}", loaded(&w)) };
    assert!((duration - 22.0).abs() < 0.1, "{duration}");
}

/// As ffmpeg's `frag_keyframe` writes it: the index has the first samples, and fragments the others.
#[test]
fn a_file_whose_index_has_only_the_first_samples_plays_to_its_end_and_seeks() {
    let mut w = World::new(muxed(22.0).continued_mp4_file());
    w.load(MP4);
    w.play_to_end(40.0);
    w.assert_played_all('v', &[550]);
    assert_eq!(w.appended('v'), (550, 550));
    assert_eq!(w.errors(), []);
    let [(Some(duration), false)] = loaded(&w)[..] else { panic!("{:?}", loaded(&w)) };
    assert!((duration - 22.0).abs() < 0.1, "{duration}");

    let mut w = World::new(heavy(120.0).continued_mp4_file());
    w.load(MP4);
    w.run_for(3.0);
    for to in [100.0, 1.2, 40.3, 3.9, 115.0] {
        assert!(w.seek_lands(to, 6.0, 3), "{to}\n{}", w.story());
        w.run_for(2.0);
        assert_in_step(&w);
    }
    w.play_to_end(30.0);
    assert_eq!(w.errors(), [], "{}", w.story());
}

#[test]
fn an_mp4_file_plays_whether_its_index_comes_first_or_last() {
    for moov_last in [false, true] {
        let mut w = World::new(heavy(22.0).mp4_file(moov_last));
        w.load(MP4);
        assert!(w.run_until(1.0, |w| w.element.ready_state >= 3), "{}", w.story());
        w.play_to_end(40.0);
        w.assert_played_all('v', &[550]);
        w.assert_played_all('a', &[1032]);
        assert_eq!(w.appended('v'), (550, 550));
        assert_eq!(w.errors(), []);
        let [(Some(duration), false)] = loaded(&w)[..] else { panic!("{:?}", loaded(&w)) };
        assert!((duration - 22.0).abs() < 0.1, "{duration}");
        assert_eq!(w.requests().len(), if moov_last { 2 } else { 1 }, "{}", w.story());
    }
}

#[test]
fn an_mp4_file_with_its_index_last_plays_without_ranges_too() {
    let mut w = World::new(heavy(22.0).mp4_file(true));
    w.fault(MP4, Fault::IgnoreRange, ALWAYS);
    w.load(MP4);
    w.play_to_end(40.0);
    w.assert_played_all('v', &[550]);
    assert_eq!(w.errors(), []);
}

#[test]
fn a_seek_in_an_mp4_file_is_one_request_from_the_keyframe() {
    for moov_last in [false, true] {
        let mut w = World::new(heavy(300.0).mp4_file(moov_last));
        w.load(MP4);
        w.run_for(3.0);
        for to in [200.0, 40.3, 290.0, 3.0] {
            let made = w.requests().len();
            assert!(w.seek_lands(to, 0.5, 2), "{to}\n{}", w.story());
            w.run_for(2.0);
            assert_in_step(&w);
            assert!(w.requests().len() - made <= 1, "{to}\n{}", w.story());
        }
        assert_eq!(w.errors(), [], "{}", w.story());
    }
}

#[test]
fn no_more_is_read_than_the_buffer_is_to_hold() {
    let config = Config { buffer_ahead: 10.0, buffer_behind: 5.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(heavy(90.0).ts_file(), config);
    w.load(TS);
    for second in 0..80 {
        w.run_for(1.0);
        for (_, b) in &w.element.source.as_ref().unwrap().buffers {
            let Some(bounds) = b.buffered().bounds() else { continue };
            assert!(bounds.end - w.element.position < 10.0 + 2.0, "{second}\n{}", w.story());
            assert!(w.element.position - bounds.start < 5.0 + 4.0 + 4.0, "{second}\n{}", w.story());
        }
    }
    assert!(w.commands.iter().any(|(_, c)| c.starts_with("PauseFetch")));
    w.play_to_end(20.0);
    w.assert_played_all('v', &[2250]);
    assert_eq!(w.appended('v'), (2250, 2250));
    assert_eq!(w.requests().iter().filter(|r| r.kind != FetchKind::Index).count(), 1, "{}", w.story());
    assert_eq!(w.errors(), []);
}

#[test]
fn a_pause_of_the_user_is_no_time_out() {
    let config = Config { buffer_ahead: 8.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(heavy(60.0).ts_file(), config);
    w.load(TS);
    w.run_for(5.0);
    w.pause();
    w.run_for(600.0);
    assert_eq!(w.net.paused(), 1, "{}", w.story());
    w.play();
    w.play_to_end(70.0);
    w.assert_played_all('v', &[1500]);
    assert_eq!(w.errors(), []);
}

#[test]
fn the_byte_budget_counts_too() {
    let config = Config { buffer_bytes: 1_000_000, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(heavy(60.0).ts_file(), config);
    w.load(TS);
    for _ in 0..30 {
        w.run_for(1.0);
        let source = w.element.source.as_ref().unwrap();
        let ahead = source.buffer(BufferId::Video).unwrap().buffered().end_from(w.element.position, 0.0);
        assert!(ahead - w.element.position < 10.0, "{}", w.story());
    }
    w.play_to_end(60.0);
    w.assert_played_all('v', &[1500]);
}

#[test]
fn seeks_arrive_where_they_were_sent() {
    for (url, site) in [(TS, heavy(300.0).ts_file()), (MP4, heavy(300.0).fmp4_file())] {
        let mut w = World::new(site);
        w.load(url);
        w.run_for(3.0);
        for to in [200.0, 40.3, 290.0, 150.1, 151.0, 3.0, 77.7] {
            let made = w.requests().len();
            assert!(w.seek_lands(to, 6.0, 3), "{to}\n{}", w.story());
            w.run_for(2.0);
            assert!((w.element.position - to).abs() < 3.0, "{to}: {}\n{}", w.element.position, w.story());
            assert_in_step(&w);
            let asked = w.requests().len() - made;
            assert!(asked <= 6, "{to}: {asked} requests\n{}", w.story());
        }
        assert_eq!(w.errors(), [], "{}", w.story());
        w.seek(295.0);
        w.play_to_end(30.0);
    }
}

#[test]
fn a_start_in_the_middle_and_before_the_end() {
    for start in [100.0, -20.0] {
        let mut w = World::new(heavy(120.0).ts_file());
        w.load_at(TS, start);
        w.run_for(5.0);
        assert!((w.element.position - 103.0).abs() < 4.0, "{start}: {}\n{}", w.element.position, w.story());
        assert_in_step(&w);
        w.play_to_end(40.0);
    }
}

#[test]
fn a_server_without_ranges_still_plays_and_seeks_by_reading() {
    for fault in [Fault::IgnoreRange, Fault::Endless] {
        let mut w = World::new(heavy(60.0).ts_file());
        w.fault(TS, fault.clone(), ALWAYS);
        w.load(TS);
        w.run_for(3.0);
        if fault == Fault::IgnoreRange {
            for to in [40.0, 2.0, 30.0] {
                assert!(w.seek_lands(to, 20.0, 3), "{fault:?} {to}\n{}", w.story());
                w.run_for(1.0);
                assert!((w.element.position - to).abs() < 3.0, "{to}: {}\n{}", w.element.position, w.story());
                assert_in_step(&w);
            }
        }
        w.play_to_end(90.0);
        assert_eq!(w.played('v').last().unwrap().number, 1499);
        assert_eq!(w.errors(), [], "{}", w.story());
    }
}

#[test]
fn a_connection_that_breaks_is_resumed_where_it_broke() {
    for ranges in [true, false] {
        let mut w = World::new(heavy(40.0).ts_file());
        if ranges {
            w.fault(TS, Fault::BreakAfter(1_500_000), 3);
        } else {
            w.fault(TS, Fault::IgnoreRange, 1);
            w.fault(TS, Fault::IgnoreRange, ALWAYS);
        }
        w.load(TS);
        w.play_to_end(70.0);
        w.assert_played_all('v', &[1000]);
        w.assert_played_all('a', &[1875]);
        assert_eq!(w.errors(), [], "{}", w.story());
    }
}

#[test]
fn an_endless_stream_has_no_duration_and_begins_at_once() {
    let mut w = World::new(heavy(120.0).with(|s| s.parts[0].base = 5000.0).ts_file());
    w.fault(TS, Fault::Endless, ALWAYS);
    w.load(TS);
    assert!(w.run_until(1.0, |w| w.element.ready_state >= 3), "{}", w.story());
    assert_eq!(loaded(&w), [(Some(f64::INFINITY), true)]);
    assert!(w.element.position < 1.0);
    for _ in 0..60 {
        w.run_for(1.0);
        for (_, b) in &w.element.source.as_ref().unwrap().buffers {
            let Some(bounds) = b.buffered().bounds() else { continue };
            assert!(w.element.position - bounds.start < 30.0 + 9.0, "{}", w.story());
        }
    }
    // There is nothing before what is kept, and nothing after.
    w.seek(0.0);
    w.run_for(1.0);
    assert!(!w.element.seeking && w.element.position > 10.0, "{}", w.story());
    assert_eq!(w.errors(), []);
}

#[test]
fn time_stamps_that_jump_play_on() {
    for (second, third) in [(9000.0, 20.0), (0.0, 0.0), (100.5, 95_000.0)] {
        let mut w =
            World::new(heavy(16.0).then(16.0, |p| p.base = second).then(12.0, |p| p.base = third).ts_file());
        w.fault(TS, Fault::Endless, ALWAYS);
        w.load(TS);
        w.play_to_end(60.0);
        w.assert_played_all('v', &[400, 400, 300]);
        assert_eq!(w.errors(), [], "{}", w.story());
        assert!(w.gaps().iter().all(|g| g.2 - g.1 < 0.3), "{:?}", w.gaps());
    }
}

#[test]
fn a_track_that_the_browser_cannot_decode_is_left_out_with_a_word() {
    let mut w = World::new(muxed(12.0).ts_file());
    w.unsupported = vec!["mp4a"];
    w.load(TS);
    w.play_to_end(20.0);
    w.assert_played_all('v', &[300]);
    assert_eq!(w.errors(), [Code::CodecUnsupported]);

    let mut w = World::new(muxed(12.0).ts_file());
    w.unsupported = vec!["mp4"];
    w.load(TS);
    let error = w.run_to_error(10.0);
    assert_eq!(error.code, Code::CodecUnsupported);
    assert!(error.tried.is_some_and(|t| t.contains("avc1") && t.contains("mp4a")));
}

#[test]
fn a_decoder_that_fails_is_set_up_anew_in_the_middle() {
    let mut w = World::new(heavy(60.0).ts_file());
    w.element.decode_errors = vec![31.3];
    w.load(TS);
    w.play_to_end(90.0);
    assert_eq!(w.errors(), [Code::Decode], "{}", w.story());
    let played = w.played('v');
    assert_eq!(played.last().map(|m| m.number), Some(1499));
    let gap = played.windows(2).find(|p| p[1].number > p[0].number + 3);
    assert_eq!(gap, None, "{}", w.story());
}

#[test]
fn it_ends_at_any_moment_without_a_trace() {
    for tenths in 0..40 {
        let mut w = World::new(heavy(60.0).ts_file());
        w.load(TS);
        w.run_for(f64::from(tenths) / 20.0);
        if tenths % 3 == 0 {
            w.seek(40.0);
            w.run_for(0.07);
        }
        w.stop();
        w.run_for(5.0);
    }
}

#[test]
fn mpeg_audio_goes_as_it_is_or_in_mp4_as_the_browser_takes_it() {
    for (unsupported, type_then) in [
        (vec![], "audio/mpeg"),
        (vec!["audio/mpeg"], "audio/mp4; codecs=\"mp3\""),
        (vec!["audio/mpeg", "codecs=\"mp3\""], "audio/mp4; codecs=\"mp4a.6B\""),
    ] {
        let mut w = World::new(Stream::mp3_file(24.0));
        w.unsupported = unsupported;
        w.load(MP3);
        w.run_for(1.0);
        let added = w.commands.iter().find(|(_, c)| c.starts_with("AddSourceBuffer")).expect("a buffer");
        assert!(added.1.contains(&format!("{type_then:?}")), "{added:?}");
        let [(Some(duration), false)] = loaded(&w)[..] else { panic!("{:?}", loaded(&w)) };
        assert!((duration - 24.0).abs() < 0.1, "{duration}");
        w.play_to_end(40.0);
        w.assert_played_all('a', &[1000]);
        assert_eq!(w.errors(), []);
    }
    let mut w = World::new(Stream::mp3_file(24.0));
    w.unsupported = vec!["audio/"];
    w.load(MP3);
    assert_eq!(w.run_to_error(5.0).code, Code::CodecUnsupported);
}

#[test]
fn frames_without_times_are_placed_by_seeks() {
    for unsupported in [vec![], vec!["audio/mpeg"]] {
        let mut w = World::new(Stream::mp3_file(300.0));
        w.unsupported = unsupported;
        w.load(MP3);
        w.run_for(2.0);
        for to in [200.0, 40.3, 290.0, 3.0, 0.0] {
            assert!(w.seek_lands(to, 1.0, 3), "{to}\n{}", w.story());
            w.run_for(2.0);
            let last = w.played('a').last().copied().unwrap();
            let expected = w.element.position * 48_000.0 / 1152.0;
            assert!((f64::from(last.number) - expected).abs() <= 4.0, "{to}: {last:?}\n{}", w.story());
        }
        assert_eq!(w.errors(), [], "{}", w.story());
    }
}

#[test]
fn whatever_happens_it_ends_or_says_why() {
    let faults = [
        Fault::BreakAfter(200_000),
        Fault::Status(503),
        Fault::Refused,
        Fault::IgnoreRange,
        Fault::TruncateAfter(90_000),
        Fault::StallAfter(300_000),
        Fault::Status(404),
        Fault::CorruptFrom(150_000),
    ];
    for seed in 1..=60u64 {
        let mut random = crate::support::Random(seed * 0x9e37_79b9);
        let stream = muxed(40.0).with(|s| s.ladder = vec![400_000]);
        let (url, site) = match seed % 4 {
            0 => (TS, stream.ts_file()),
            1 => (MP4, stream.mp4_file(seed % 8 == 1)),
            2 => (MP4, stream.fmp4_file()),
            _ => (MP3, Stream::mp3_file(60.0)),
        };
        let mut w = World::new(site);
        // What is damaged may be refused by the model of the browser.
        for _ in 0..random.below(3) {
            let fault = faults[random.below(faults.len())].clone();
            w.fault("all.", fault, 1 + random.below(2) as u32);
        }
        w.load(url);
        for _ in 0..random.below(8) {
            w.run_for(random.below(3000) as f64 / 1000.0);
            if w.fatal().is_some() {
                break;
            }
            w.seek(random.below(40) as f64);
        }
        let reached = w.run_until(240.0, |w| w.has_ended_now() || w.fatal().is_some());
        assert!(reached, "seed {seed}\n{}", w.story());
    }
}

#[test]
fn a_track_that_ends_early_is_not_fetched_again() {
    let mut site = crate::sim::site::Site::default();
    site.put_made(MP4, "video/mp4", || {
        let stream = heavy(20.0);
        let (video, audio) = (stream.video(0, 0), stream.audio(0, 0));
        let (pictures, sound) = (video.frames(0, 500), audio.frames(0, audio.frames_until(15.0)));
        crate::sim::files::mp4(&[(video, pictures), (audio, sound)], false)
    });
    let mut w = World::new(site);
    w.load(MP4);
    w.run_for(6.0);
    let made = w.requests().len();
    for to in [12.0, 3.0, 17.0, 1.0] {
        w.seek(to);
        w.run_for(1.0);
        assert!(!w.element.seeking, "{to}\n{}", w.story());
    }
    assert_eq!(w.requests().len(), made, "{}", w.story());
    assert_eq!(w.errors(), []);
}

/// What a viewer may do with a file of which only time stamps tell the places, at any moment and speed: all media is put where it belongs,
/// and the file ends when it ends.
#[test]
fn a_matroska_file_without_cues_keeps_its_times_whatever_is_sought() {
    for seed in 1..=24u64 {
        let mut random = crate::support::Random(seed * 0x9e37_79b9);
        let mut w = World::new(heavy(60.0).with(|s| s.b_frames = seed % 2 == 0).live_matroska_file());
        w.net.chunk = [4000, 16 * 1024, 64 * 1024, 256 * 1024][random.below(4)];
        w.net.rtt = [0.001, 0.04, 0.3][random.below(3)];
        w.link([4e6, 10e6, 100e6, 1e9][random.below(4)]);
        w.load(MKV);
        assert!(w.run_until(10.0, |w| w.element.position > 0.5), "seed {seed}\n{}", w.story());
        for to in [45.6, 18.2, random.below(60) as f64, 59.6] {
            w.seek(to);
            w.run_for(random.below(40) as f64 / 1000.0);
            assert!(
                w.run_until(20.0, |w| !w.element.seeking && w.element.ready_state >= 3),
                "seed {seed}: {to}\n{}",
                w.story()
            );
            w.assert_in_place(0.024);
            w.run_for(random.below(2000) as f64 / 1000.0);
        }
        w.play_to_end(70.0);
        w.assert_in_place(0.024);
        let duration = w.element.source.as_ref().map_or(0.0, |s| s.duration);
        assert!((duration - 60.0).abs() < 0.05, "seed {seed}: {duration}\n{}", w.story());
        assert_eq!(w.errors(), [], "seed {seed}\n{}", w.story());
    }
}

#[test]
fn pictures_that_come_out_of_order_are_no_holes() {
    let mut w = World::new(heavy(12.0).with(|s| s.b_frames = true).live_matroska_file());
    w.net.chunk = 1000;
    w.link(0.9e6);
    w.load(MKV);
    w.play_to_end(60.0);
    assert!(
        w.count(|e| matches!(e, Event::Stall { .. })) > 0,
        "slow enough that the playhead meets every order"
    );
    assert_eq!(w.gaps(), [], "{}", w.story());
    w.assert_in_place(0.024);
}

/// Its rate falls to a twentieth and keyframes lie far apart: the first guesses find nothing up to the end of the file, or lie far off.
#[test]
fn guesses_that_find_nothing_do_not_move_the_media_of_a_transport_stream() {
    let stream = |kbps: u64| muxed(72.0).with(|s| (s.ladder, s.segment) = (vec![kbps * 1000], 12.0));
    let mut site = crate::sim::site::Site::default();
    let (first, second) = (stream(2000), stream(100));
    let half = |s: &Stream, segments: std::ops::Range<usize>| {
        segments.flat_map(|n| s.transport(&s.video(0, 0), n)).collect()
    };
    let halves: [Vec<u8>; 2] = [half(&first, 0..3), half(&second, 3..6)];
    site.put(TS, "video/mp2t", halves.concat());
    for to in 36..71 {
        let mut w = World::new(site.clone());
        w.load(TS);
        w.run_for(2.0);
        assert!(w.seek_lands(f64::from(to), 10.0, 3), "{to}\n{}", w.story());
        w.assert_in_place(1024.0 / 48_000.0);
        w.play_to_end(50.0);
    }
}

#[test]
fn what_is_buffered_to_the_end_of_the_file_is_not_fetched_to_find_the_end() {
    let sites = [
        (TS, heavy(90.0).ts_file()),
        (MKV, heavy(90.0).live_matroska_file()),
        (MP4, heavy(90.0).mp4_file(false)),
    ];
    for (url, site) in sites {
        let mut w = World::new(site);
        w.load(url);
        w.run_for(3.0);
        w.seek(70.0);
        w.run_for(12.0);
        w.seek(30.0);
        w.run_for(0.5);
        let made = w.requests().len();
        w.seek(75.0);
        w.play_to_end(20.0);
        assert_eq!(w.requests().len(), made, "{url}\n{}", w.story());
        // That end was no place to stay.
        assert!(w.seek_lands(30.0, 5.0, 3), "{url}\n{}", w.story());
        w.run_for(30.0);
        assert_in_step(&w);
        assert_eq!(w.errors(), [], "{url}\n{}", w.story());
    }
}

/// Sound and pictures lie half a second apart in the file: what has come of them never ends together.
#[test]
fn a_seek_in_what_is_there_does_not_begin_the_download_anew() {
    let mut w = World::new(heavy(60.0).mp4_file(false));
    w.load(MP4);
    w.run_for(2.0);
    let made = w.requests().len();
    for n in 0..24 {
        w.seek(f64::from(n % 5) * 0.37);
        w.run_for(0.03);
        assert!(!w.element.seeking, "{n}\n{}", w.story());
    }
    assert_eq!(w.requests().len(), made, "{}", w.story());
    w.seek(0.0);
    w.play_to_end(70.0);
    assert_eq!(w.appended('v'), (1500, 1500));
    assert_eq!(w.requests().len(), made, "{}", w.story());
    assert_eq!(w.errors(), [], "{}", w.story());
}

/// A start, and another source, within the first group of pictures: nothing of it is decoded before 0.
#[test]
fn playback_begins_within_the_first_pictures() {
    let stream = heavy(22.0).with(|s| (s.b_frames, s.languages) = (true, vec!["en", "de"]));
    let muxed = muxed(22.0).with(|s| s.b_frames = true);
    for (url, site) in [(MP4, stream.mp4_file(false)), (TS, muxed.ts_file()), (MP4, muxed.fmp4_file())] {
        for at in [0.6, 1.1] {
            let mut w = World::new(site.clone());
            w.load_at(url, at);
            w.run_for(2.0);
            if url == MP4 {
                w.intent(UserIntent::SelectAudio("audio-3".into()));
            }
            w.play_to_end(40.0);
            assert_eq!((w.errors(), w.gaps()), (vec![], vec![]), "{url} {at}\n{}", w.story());
            let shown = w.played('v').len() as f64 / 25.0;
            assert!(shown > 21.8 - at, "{url} {at}: {shown} s shown\n{}", w.story());
        }
    }
}

const AAC: &str = "https://media.test/all.aac";

/// ADTS of 48 kHz, with nothing else.
fn adts_file(seconds: f64) -> crate::sim::site::Site {
    let mut site = crate::sim::site::Site::default();
    site.put_made(AAC, "audio/aac", move || {
        let track = Stream::simple(seconds).audio(0, 0);
        crate::sim::ts::packed(&track, 0, track.frames_until(seconds), false, |_| true)
    });
    site
}

/// Each is read anew from its first byte, at an offset that the last seek has left.
#[test]
fn the_start_lies_at_0_after_any_seek() {
    let config = Config { buffer_behind: 2.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(adts_file(300.0), config.clone());
    w.load(AAC);
    w.run_for(5.0);
    assert!(w.seek_lands(100.0, 1.0, 3), "{}", w.story());
    w.run_for(5.0);
    assert!(w.seek_lands(0.0, 1.0, 3), "{}", w.story());
    w.run_for(6.0);
    let last = w.played('a').last().copied().unwrap();
    let expected = w.element.position * 48_000.0 / 1024.0;
    assert!((4.0..8.0).contains(&w.element.position), "{}", w.story());
    assert!((f64::from(last.number) - expected).abs() < 10.0, "{last:?}\n{}", w.story());

    // Two recordings, one behind the other.
    let mut w = World::configured(heavy(40.0).then(40.0, |p| p.base = 9000.0).ts_file(), config);
    w.load(TS);
    w.play_to_end(100.0);
    assert!(w.seek_lands(0.0, 3.0, 3), "{}", w.story());
    w.run_for(3.0);
    assert!((2.0..5.0).contains(&w.element.position), "{}", w.story());
    assert_eq!(w.played('v').last().map(|m| m.part), Some(0), "{}", w.story());
}

#[test]
fn a_seek_to_the_end_of_frames_without_times_is_no_end_of_all_others() {
    let tagged = |mut site: crate::sim::site::Site, url, tag: usize| {
        let (content_type, bytes) = site.get(url).unwrap();
        site.put(url, content_type, [bytes, vec![0; tag]].concat());
        site
    };
    for (url, site) in [
        (AAC, adts_file(300.0)),
        (MP3, Stream::mp3_file(300.0)),
        (MP3, tagged(Stream::mp3_file(300.0), MP3, 200_000)),
    ] {
        let mut w = World::new(site);
        w.load(url);
        w.run_for(6.0);
        let duration = w.element.source.as_ref().map_or(0.0, |s| s.duration);
        w.seek(duration);
        w.run_for(10.0);
        let duration = w.element.source.as_ref().map_or(0.0, |s| s.duration);
        assert!(duration > 280.0, "{duration}\n{}", w.story());
        assert!(w.seek_lands(150.0, 2.0, 3), "{}", w.story());
        w.run_for(5.0);
        assert!((w.element.position - 155.0).abs() < 1.0, "{}", w.story());
        assert_eq!(w.errors(), [], "{}", w.story());
    }
}

#[test]
fn a_start_before_the_end_is_found_where_no_header_tells_the_end() {
    for (url, site, ranges) in [
        (AAC, adts_file(120.0), true),
        (AAC, adts_file(120.0), false),
        (TS, heavy(120.0).ts_file(), false),
        (AAC, adts_file(3.0), true),
    ] {
        let mut w = World::new(site);
        if !ranges {
            w.fault(url, Fault::IgnoreRange, ALWAYS);
        }
        let short = w.net.site.get(url).unwrap().1.len() < 100_000;
        w.load_at(url, if short { -1.0 } else { -20.0 });
        w.play_to_end(60.0);
        let first = f64::from(w.played('a')[0].number) * 1024.0 / 48_000.0;
        assert!(
            (first - if short { 2.0 } else { 100.0 }).abs() < 4.0,
            "{url} {ranges}: {first}\n{}",
            w.story()
        );
    }
}

#[test]
fn a_track_that_ends_long_before_the_other_does_not_hold_it_up() {
    let file = |pictures: f64, sound: f64| {
        let stream = heavy(120.0);
        let tracks = [(stream.video(0, 0), pictures), (stream.audio(0, 0), sound)];
        let mut site = crate::sim::site::Site::default();
        let frames = tracks.map(|(track, end)| (track, track.frames(0, track.frames_until(end))));
        site.put(MP4, "video/mp4", crate::sim::files::mp4(&frames, false));
        site
    };
    // All that follows has room, or it has none.
    for (kind, pictures, sound, bytes, seek) in [
        ('v', 120.0, 15.0, 60_000_000, None),
        ('v', 120.0, 15.0, 1_000_000, None),
        ('v', 120.0, 15.0, 1_000_000, Some(40.0)),
        ('a', 15.0, 120.0, 200_000, None),
    ] {
        let config = Config { buffer_bytes: bytes, stats_interval: 0.0, ..Config::default() };
        let mut w = World::configured(file(pictures, sound), config);
        w.load(MP4);
        w.run_for(5.0);
        if let Some(to) = seek {
            w.seek(to);
        }
        w.play_to_end(150.0);
        let per_second = if kind == 'v' { 25.0 } else { 48_000.0 / 1024.0 };
        let shown = w.played(kind).len() as f64 / per_second;
        assert!(shown > if seek.is_some() { 84.0 } else { 119.0 }, "{bytes}: {shown} s\n{}", w.story());
        let told = if bytes < 60_000_000 { &[Code::ContainerUnsupported][..] } else { &[] };
        assert_eq!(w.errors(), told, "{}", w.story());
    }
}

#[test]
fn where_a_redirect_led_may_be_gone() {
    const EDGE: &str = "https://edge.test/all.mp4?signature=1";
    const OTHER: &str = "https://edge.test/all.mp4?signature=2";
    let mut site = heavy(300.0).mp4_file(false);
    let (content_type, bytes) = site.get(MP4).unwrap();
    for url in [EDGE, OTHER] {
        site.put(url, content_type, bytes.clone());
    }
    for gone in [Fault::Status(403), Fault::Refused] {
        let mut w = World::new(site.clone());
        w.fault(MP4, Fault::Redirect(EDGE), 1);
        w.fault(MP4, Fault::Redirect(OTHER), ALWAYS);
        w.load(MP4);
        w.run_for(3.0);
        let asked = |w: &World, url: &str| w.requests().iter().filter(|r| r.url == url).count();
        // What the redirect saved is kept.
        assert!(w.seek_lands(100.0, 1.0, 3) && asked(&w, MP4) == 1, "{}", w.story());
        w.fault(EDGE, gone, ALWAYS);
        for to in [200.0, 20.0] {
            assert!(w.seek_lands(to, 10.0, 3), "{to}\n{}", w.story());
            w.run_for(2.0);
            assert_in_step(&w);
        }
        assert_eq!((asked(&w, MP4), asked(&w, OTHER)), (2, 1), "{}", w.story());
        assert_eq!(w.errors(), [], "{}", w.story());
    }
}

#[test]
fn a_redirect_that_leads_nowhere_is_followed_once_more() {
    const EDGE: &str = "https://edge.test/all.mp4";
    let mut site = heavy(300.0).mp4_file(false);
    let (content_type, bytes) = site.get(MP4).unwrap();
    site.put(EDGE, content_type, bytes);
    for gone in [Fault::Status(403), Fault::BreakAfter(0)] {
        let mut w = World::new(site.clone());
        w.fault(MP4, Fault::Redirect(EDGE), 1);
        w.load(MP4);
        w.run_for(3.0);
        w.fault("all", gone, ALWAYS);
        w.seek(200.0);
        w.run_to_error(60.0);
        assert!(w.requests().len() <= 9, "{}", w.story());
    }
}

fn sounds(w: &World) -> Vec<(String, Option<String>, bool)> {
    let told = w.events.iter().rev().find_map(|t| match &t.event {
        Event::Tracks { audio, .. } => Some(audio),
        _ => None,
    });
    let told = told.unwrap_or_else(|| panic!("no tracks were told\n{}", w.story()));
    told.iter().map(|a| (a.id.clone(), a.language.clone(), a.active)).collect()
}

#[test]
fn of_several_tracks_of_sound_one_is_chosen_by_language_or_by_the_user() {
    let two = muxed(40.0).with(|s| s.languages = vec!["en", "de"]);
    let cases = [
        (None, 0, None),
        (Some("de-AT"), 1, Some(Fault::IgnoreRange)),
        (Some("fr"), 0, Some(Fault::Endless)),
    ];
    for (wanted, first, fault) in cases {
        let config = Config { language: wanted.map(str::to_owned), ..Config::default() };
        let mut w = World::configured(two.mp4_file(false), config);
        if let Some(fault) = fault {
            w.fault(MP4, fault, ALWAYS);
        }
        w.load(MP4);
        w.run_for(10.0);
        let told = |active: u32| {
            let of = |n: u32, language: Option<&str>| {
                (format!("audio-{}", n + 2), language.map(str::to_owned), n == active)
            };
            vec![of(0, None), of(1, Some("deu"))]
        };
        assert_eq!(sounds(&w), told(first), "{}", w.story());
        assert!(w.played('a').len() > 300 && w.played('a').iter().all(|m| m.rung == first), "{}", w.story());
        // The other one from the playhead on, and back again.
        for (to, seconds) in [(1 - first, 10.0), (first, 0.0)] {
            let heard = w.played('a').len();
            let at = w.element.position;
            w.intent(UserIntent::SelectAudio(format!("audio-{}", to + 2)));
            w.run_for(seconds);
            if seconds > 0.0 {
                assert_eq!(sounds(&w), told(to), "{}", w.story());
                let since = &w.played('a')[heard..];
                assert!(since.len() > 350 && since.iter().all(|m| m.rung == to), "{}", w.story());
                assert!(w.element.position - at > 9.0, "{}", w.story());
            }
        }
        w.play_to_end(60.0);
        assert!(w.errors().is_empty(), "{}", w.story());
        assert!(w.played('a').last().is_some_and(|m| m.rung == first), "{}", w.story());
    }
}

#[test]
fn sound_that_the_browser_does_not_have_is_passed_over_for_another_track() {
    let stream = muxed(20.0);
    let other = Track { codec: Codec::Opus, rung: 1, ..stream.audio(0, 0) };
    let mut w = World::new(stream.mp4_of(vec![stream.video(0, 0), other, stream.audio(0, 0)], false));
    w.unsupported = vec!["opus"];
    w.load(MP4);
    w.play_to_end(40.0);
    assert!(w.errors().is_empty(), "{}", w.story());
    assert!(w.played('a').len() > 900 && w.played('a').iter().all(|m| m.rung == 0), "{}", w.story());
    assert_eq!(sounds(&w).len(), 1);
}

#[test]
fn uncompressed_sound_is_missed_with_a_word() {
    let mut site = crate::sim::site::Site::default();
    let file = std::fs::read(crate::support::fixture_path("mp4/file-pcm.mov")).unwrap();
    site.put(MP4, "video/quicktime", file);
    let mut w = World::new(site);
    w.load(MP4);
    w.run_until(1.0, |w| !loaded(w).is_empty());
    assert_eq!(w.errors(), [Code::CodecUnsupported], "{}", w.story());
    assert_eq!(sounds(&w), []);
}
