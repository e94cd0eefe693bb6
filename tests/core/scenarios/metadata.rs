//! What goes along with segments is told when the playhead comes to it.

use super::*;

/// Runs for so long and gives what is told, with where the element is then.
fn listen(w: &mut World, seconds: f64) -> Vec<(f64, Note)> {
    let until = w.now + seconds;
    let mut seen = w.events.len();
    let mut told = Vec::new();
    loop {
        let goes_on = w.step(until);
        for t in &w.events[seen..] {
            if let Event::Metadata(note) = &t.event {
                told.push((w.element.position, note.clone()));
            }
        }
        seen = w.events.len();
        if !goes_on {
            return told;
        }
    }
}

/// Kinds, and times to a tenth.
fn brief(told: &[(f64, Note)]) -> Vec<(&'static str, f64)> {
    told.iter().map(|(_, n)| (n.kind, (n.at * 10.0).round() / 10.0)).collect()
}

fn assert_on_time(told: &[(f64, Note)]) {
    for (position, note) in told {
        assert!((position - note.at).abs() < 0.1, "{note:?} at {position}");
    }
}

fn triplets(n: u8) -> Vec<u8> {
    vec![0xfc, 0x94, 0x20 + n, 0xff, 0x41, n]
}

/// One of each kind that transport streams have.
fn of_each(s: &mut Stream) {
    s.asides = vec![
        (0.0, Aside::Id3("start")),
        (2.0, Aside::Klv(vec![1, 2, 3])),
        (3.0, Aside::Scte35(7)),
        (5.0, Aside::Captions(triplets(1))),
        (5.04, Aside::Captions(triplets(1))),
        (6.0, Aside::Captions(vec![0xfc, 0x80, 0x80])),
        (9.0, Aside::Id3("later")),
    ];
}

const EACH: [(&str, f64); 6] =
    [("id3", 0.0), ("klv", 2.0), ("scte35", 3.0), ("captions", 5.0), ("captions", 5.0), ("id3", 9.0)];

#[test]
fn metadata_of_transport_streams_is_told_once_when_its_time_comes() {
    // The clock wraps around after three seconds; both renditions carry the metadata.
    let wrap = 8_589_934_592.0 / 90_000.0;
    for base in [0.0, wrap - 3.0] {
        for muxed in [false, true] {
            let stream = Stream::simple(12.0).with(of_each).with(|s| {
                s.parts[0].base = base;
                s.muxed = muxed;
                if muxed {
                    s.languages.clear();
                }
            });
            let mut w = World::new(stream.hls(Container::Ts));
            w.load(M3U8);
            let told = listen(&mut w, 16.0);
            assert_eq!(brief(&told), EACH, "{}", w.story());
            assert_on_time(&told);
            assert_eq!(told[0].1.data, Aside::Id3("start").bytes());
            assert_eq!(told[1].1.data, Aside::Klv(vec![1, 2, 3]).bytes());
            let section = &told[2].1.data;
            assert_eq!(section[..20], Aside::Scte35(7).bytes());
            assert_eq!(told[3].1.data, triplets(1));
            w.assert_played_all('v', &[300]);
            assert_eq!(w.errors(), []);
        }
    }
}

#[test]
fn each_passage_of_the_playhead_tells_anew() {
    let mut w = World::new(Stream::simple(40.0).with(of_each).hls(Container::Ts));
    w.load(M3U8);
    assert_eq!(brief(&listen(&mut w, 7.0)), EACH[..5]);
    let requests = w.requests().len();
    // Within the buffer: nothing is fetched again.
    w.seek(2.5);
    let told = listen(&mut w, 5.0);
    assert_eq!(brief(&told), EACH[2..5]);
    assert_on_time(&told);
    assert!(w.segments_since(requests).iter().all(|url| !url.contains("/0.ts")), "{}", w.story());
    w.seek(0.0);
    assert_eq!(brief(&listen(&mut w, 1.5)), EACH[..1]);
    // What is jumped over is not come to.
    w.seek(8.0);
    assert_eq!(brief(&listen(&mut w, 3.0)), EACH[5..]);
    // A pause is no new passage.
    w.pause();
    w.run_for(1.0);
    w.play();
    assert_eq!(brief(&listen(&mut w, 3.0)), []);
}

#[test]
fn what_is_fetched_again_is_told_once() {
    let stream = Stream::of(40.0).with(of_each);
    let config = Config { buffer_behind: 1.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(stream.hls(Container::Ts), config);
    w.load(M3U8);
    w.run_for(15.0);
    let requests = w.requests().len();
    // Of another quality, too.
    w.intent(UserIntent::SelectQuality(Some("v0".into())));
    w.seek(0.0);
    let told = listen(&mut w, 12.0);
    assert!(w.segments_since(requests).iter().any(|url| url.ends_with("/0.ts")), "{}", w.story());
    assert_eq!(brief(&told), EACH);
    assert_on_time(&told);
}

#[test]
fn a_start_in_the_middle_does_not_tell_what_lies_before() {
    let mut w = World::new(Stream::simple(40.0).with(of_each).hls(Container::Ts));
    w.load_at(M3U8, 7.0);
    let told = listen(&mut w, 5.0);
    assert_eq!(brief(&told), EACH[5..]);
    assert_on_time(&told);
}

fn events(s: &mut Stream) {
    let event = |version, id, duration, data| Aside::Emsg { version, id, duration, data };
    s.asides = vec![
        (1.0, event(0, 1, Some(0.5), "short")),
        (2.5, event(1, 2, Some(10.0), "long")),
        (5.0, event(0, 3, None, "open")),
        (6.0, Aside::Captions(triplets(2))),
        (9.5, event(1, 1, Some(0.0), "again")),
    ];
}

const EVENTS: [(&str, f64); 5] =
    [("emsg", 1.0), ("emsg", 2.5), ("emsg", 5.0), ("captions", 6.0), ("emsg", 9.5)];

#[test]
fn event_messages_of_mp4_are_told_once_though_segments_repeat_them() {
    for base in [0.0, 5000.0] {
        for dash in [true, false] {
            let stream = Stream::simple(16.0).with(events).with(|s| s.parts[0].base = base);
            let (site, url) = match dash {
                true => (stream.dash(Addressing::Time), MPD),
                false => (stream.hls(Container::Fmp4), M3U8),
            };
            let mut w = World::new(site);
            w.load(url);
            let told = listen(&mut w, 20.0);
            assert_eq!(brief(&told), EVENTS, "{}", w.story());
            assert_on_time(&told);
            let values = |i: usize| -> Vec<(&str, &str)> {
                told[i].1.values.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
            };
            assert_eq!(values(1), [("scheme_id_uri", "urn:millrace:test"), ("value", "one"), ("id", "2")]);
            assert_eq!(
                (told[0].1.duration, told[1].1.duration, told[2].1.duration),
                (Some(0.5), Some(10.0), None)
            );
            assert_eq!(told[4].1.data, b"again");
            assert_eq!(told[3].1.data, triplets(2));
            w.assert_played_all('v', &[400]);
            assert_eq!(w.errors(), []);
        }
    }
}

#[test]
fn an_event_that_lasts_is_told_where_playback_begins_within_it() {
    let mut w = World::new(Stream::simple(16.0).with(events).dash(Addressing::Number));
    w.load_at(MPD, 6.5);
    let told = listen(&mut w, 5.0);
    // The one of 2.5 s is said again in the segment of 4 s.
    assert_eq!(brief(&told), [EVENTS[1], EVENTS[2], EVENTS[4]]);
    assert!(told[..2].iter().all(|(at, _)| (at - 6.5).abs() < 0.1), "{told:?}");
}
