//! Streams without an end: servers that come and go.

use super::*;
use crate::sim::site::{Answer, Site};
use std::cell::Cell;

fn heavy(seconds: f64) -> Stream {
    Stream::simple(seconds).with(|s| {
        s.languages = vec!["en"];
        s.muxed = true;
        s.ladder = vec![1_000_000];
    })
}

/// A stream of which each connection gets the next part; the server tells no length.
fn in_parts(url: &str) -> World {
    let whole = heavy(16.0).then(12.0, |p| p.base = 9000.0).ts_file().get(TS).unwrap().1;
    let first = heavy(16.0).ts_file().get(TS).unwrap().1.len();
    let mut site = Site::default();
    let turn = Cell::new(0);
    site.put_made(url, "video/mp2t", move || {
        let (a, b) = whole.split_at(first);
        if turn.replace(turn.get() + 1) == 0 { a.to_vec() } else { b.to_vec() }
    });
    let mut w = World::new(site);
    w.fault(url, Fault::Endless, 2);
    w
}

#[test]
fn a_stream_whose_server_ends_it_is_joined_anew() {
    for url in [TS, "wss://cdn.test/live.ts"] {
        let mut w = in_parts(url);
        w.fault(url, Fault::Status(404), ALWAYS);
        w.load(url);
        w.play_to_end(80.0);
        w.assert_played_all('v', &[400, 300]);
        assert_eq!(w.count(|e| matches!(e, Event::Stall { .. })), 1, "the end alone\n{}", w.story());
        assert_eq!(w.errors(), [Code::HttpClient], "{}", w.story());
    }
}

#[test]
fn a_server_that_is_away_for_a_while_is_waited_for() {
    let mut w = in_parts(TS);
    w.fault(TS, Fault::Refused, 3);
    w.load(TS);
    w.run_for(10.0);
    w.fault(TS, Fault::Endless, 1);
    w.fault(TS, Fault::Status(404), ALWAYS);
    w.play_to_end(80.0);
    assert_eq!(w.played('v').last().map(|m| m.number), Some(299), "{}", w.story());
}

#[test]
fn a_file_of_unknown_length_is_not_played_twice() {
    let mut w = World::new(heavy(20.0).ts_file());
    w.fault(TS, Fault::Endless, ALWAYS);
    w.load(TS);
    w.play_to_end(40.0);
    w.assert_played_all('v', &[500]);
    assert_eq!(w.requests().len(), 2, "{}", w.story());
    assert!(w.requests()[1].received < 40_000, "{}", w.story());
    assert_eq!(w.errors(), []);
}

#[test]
fn a_station_that_greets_each_listener_alike_is_joined_again() {
    let mut site = heavy(24.0).ts_file();
    site.put_icy(TS, IcyHeaders { interval: 0, fields: vec![("name".to_owned(), "Test FM".to_owned())] });
    let mut w = World::new(site);
    w.fault(TS, Fault::Endless, 3);
    w.fault(TS, Fault::Status(404), ALWAYS);
    w.load(TS);
    w.play_to_end(120.0);
    assert_eq!(w.played('v').len(), 3 * 600, "{}", w.story());
}

#[test]
fn a_stream_is_joined_anew_where_it_was_asked_for() {
    const EDGE: &str = "https://edge.test/live.ts";
    let media = heavy(8.0).ts_file().get(TS).unwrap().1;
    let mut site = Site::default();
    site.serve(move |url, at| {
        let made = vec![(at, media.len() as u64 / 2), (at + 2.0, media.len() as u64)];
        (url == EDGE).then(|| Answer { made, ..Answer::new("video/mp2t", media.clone(), at) })
    });
    let mut w = World::new(site);
    w.fault(TS, Fault::Redirect(EDGE), ALWAYS);
    w.load(TS);
    w.run_for(20.0);
    let asked: Vec<_> = w.requests().iter().map(|r| r.url.as_str()).collect();
    assert!(asked.len() > 1 && asked.iter().all(|url| *url == TS), "{}", w.story());
}

const RADIO: &str = "https://cdn.test/radio.ts";

/// The stream of `RADIO` with a text every `interval` bytes, from what it is at each; `None`: what was said before.
fn with_titles(interval: usize, titles: impl Fn(usize) -> Option<String> + 'static) -> Site {
    let media = heavy(30.0).ts_file().get(TS).unwrap().1;
    let mut site = Site::default();
    site.put_made(RADIO, "video/mp2t", move || {
        let mut out = Vec::new();
        for (i, part) in media.chunks(interval).enumerate() {
            out.extend_from_slice(part);
            if part.len() == interval {
                let text = titles(i).unwrap_or_default();
                out.push(u8::try_from(text.len().div_ceil(16)).unwrap());
                out.extend_from_slice(text.as_bytes());
                out.resize(out.len() + text.len().next_multiple_of(16) - text.len(), 0);
            }
        }
        out
    });
    let fields = vec![("name".to_owned(), "Test FM".to_owned()), ("br".to_owned(), "1000".to_owned())];
    site.put_icy(RADIO, IcyHeaders { interval: interval as u32, fields });
    site
}

fn notes(w: &World) -> Vec<(f64, Note)> {
    let of = |t: &Told| match &t.event {
        Event::Metadata(note) => Some((t.at, note.clone())),
        _ => None,
    };
    w.events.iter().filter_map(of).collect()
}

#[test]
fn titles_are_told_when_they_are_heard() {
    // 1 Mbit/s and some: a text about every 64 ms.
    let title =
        |i: usize| format!("StreamTitle='Song {}';StreamUrl='https://cdn.test/{}';", i / 160, i / 160);
    let mut w = World::new(with_titles(8192, move |i| (i % 5 == 0).then(|| title(i))));
    w.fault(RADIO, Fault::Endless, 1);
    w.fault(RADIO, Fault::Status(404), ALWAYS);
    w.load(RADIO);
    w.play_to_end(60.0);
    w.assert_played_all('v', &[750]);
    assert_eq!(w.errors(), [Code::HttpClient], "{}", w.story());
    let told = notes(&w);
    let station = &told[0].1;
    assert_eq!((station.kind, station.title.as_deref(), station.at), ("station", Some("Test FM"), 0.0));
    let songs: Vec<_> = told[1..].iter().map(|(_, n)| (n.kind, n.title.clone().unwrap())).collect();
    assert_eq!(songs[0], ("icy", "Song 0".to_owned()));
    assert!(songs.len() >= 3 && songs.windows(2).all(|s| s[0] != s[1]), "{songs:?}");
    assert!(told[1].1.url.as_deref() == Some("https://cdn.test/0"));
    // The link is ten times as fast as the media: what is told when it is fetched comes far too early.
    let began = w.events.iter().find(|t| matches!(t.event, Event::Loaded { .. })).unwrap().at;
    for (at, note) in &told {
        assert!((at - began - note.at).abs() < 0.3, "{note:?} at {at}, began {began}");
    }
    let bytes = heavy(30.0).ts_file().get(TS).unwrap().1.len();
    let second = &told[2].1;
    let expected = 161.0 * 8192.0 / bytes as f64 * 30.0;
    assert!((second.at - expected).abs() < 1.2, "{second:?}: {expected}");
}

#[test]
fn the_last_moment_of_a_stream_that_has_turned_out_to_end_is_not_its_start() {
    let mut w = World::new(with_titles(8192, |_| None));
    w.fault(RADIO, Fault::Endless, 1);
    w.fault(RADIO, Fault::Status(404), ALWAYS);
    w.load(RADIO);
    assert!(w.run_until(60.0, |w| w.element.position > 29.7), "{}", w.story());
    w.resize(640, 360);
    w.play_to_end(5.0);
    w.assert_played_all('v', &[750]);
    assert_eq!(w.errors(), [Code::HttpClient], "{}", w.story());
}

#[test]
fn lists_of_stations_give_their_entries() {
    for (name, body) in [
        ("a.pls", "[playlist]\nNumberOfEntries=2\nFile1=http://a.test:8000/;\nFile2=two.mp3\n"),
        ("a.m3u", "#EXTM3U\n#EXTINF:-1,One\nhttp://a.test:8000/;\ntwo.mp3\n"),
        (
            "a.xspf",
            "<?xml version=\"1.0\"?><playlist version=\"1\" xmlns=\"http://xspf.org/ns/0/\"><trackList><track><location>http://a.test:8000/;</location></track><track><location>two.mp3</location></track></trackList></playlist>",
        ),
    ] {
        let url = ["https://cdn.test/lists/", name].concat();
        let mut site = Site::default();
        site.put(&url, "text/plain", body);
        let mut w = World::new(site);
        w.load(&url);
        w.run_for(1.0);
        let lists = w.events.iter().filter_map(|t| match &t.event {
            Event::Sources(urls) => Some(urls.clone()),
            _ => None,
        });
        assert_eq!(
            lists.collect::<Vec<_>>(),
            [["http://a.test:8000/;", "https://cdn.test/lists/two.mp3"]],
            "{name}"
        );
        assert_eq!(w.net.open(), 0);
    }
}

#[test]
fn the_page_of_a_radio_server_is_passed_by() {
    let stream = heavy(8.0).ts_file().get(TS).unwrap().1;
    let mut site = Site::default();
    site.put("http://radio.test:8000/", "text/html", "<html><body>SHOUTcast Administrator</body></html>");
    site.put("http://radio.test:8000/;", "audio/mpeg", stream);
    let mut w = World::new(site);
    w.load("http://radio.test:8000/");
    w.play_to_end(20.0);
    w.assert_played_all('v', &[200]);
    // A page that is elsewhere is a page.
    let mut site = Site::default();
    site.put("http://radio.test:8000/index", "text/html", "<html><body>Hello</body></html>");
    let mut w = World::new(site);
    w.load("http://radio.test:8000/index");
    assert_eq!(w.run_to_error(5.0).code, Code::FormatUnknown);
}

#[test]
fn a_radio_server_whose_page_may_not_be_read_is_asked_for_its_stream() {
    for url in ["http://radio.test:8000/", "http://radio.test:8000"] {
        let stream = heavy(8.0).ts_file().get(TS).unwrap().1;
        let mut site = Site::default();
        site.put("http://radio.test:8000/;", "audio/mpeg", stream);
        let mut w = World::new(site);
        // A page without CORS headers: no more is told.
        w.fault(url, Fault::Refused, 1);
        w.load(url);
        w.play_to_end(20.0);
        w.assert_played_all('v', &[200]);
        let asked: Vec<_> = w.requests().iter().map(|r| r.url.as_str()).collect();
        assert_eq!(asked[..2], [url, "http://radio.test:8000/;"]);
        assert_eq!(w.errors(), []);
    }
}

#[test]
fn a_host_without_a_stream_fails_for_its_own_reasons() {
    let urls = |w: &World| w.requests().iter().map(|r| r.url.clone()).collect::<Vec<_>>();
    let (url, other) = ("http://radio.test:8000/", "http://radio.test:8000/;");
    // Away altogether; away for a moment; with a page elsewhere; silent at the other place.
    let mut w = World::new(Site::default());
    w.fault(url, Fault::Refused, ALWAYS);
    w.load(url);
    let error = w.run_to_error(30.0);
    assert_eq!((error.code, error.url.as_deref()), (Code::Network, Some(url)));
    assert_eq!(urls(&w)[..3], [url, other, url]);
    assert_eq!(urls(&w).iter().filter(|u| *u == other).count(), 1);

    for there in [
        Fault::Status(404),
        Fault::Status(503),
        Fault::Silence,
        Fault::Refused,
        Fault::Content(b"<html>Hello</html>"),
    ] {
        let mut site = Site::default();
        site.put(other, "text/html", "");
        site.put(url, "application/dash+xml", heavy(8.0).dash(Addressing::Number).get(MPD).unwrap().1);
        let mut w = World::new(site);
        w.fault(other, there.clone(), ALWAYS);
        w.fault(url, Fault::Refused, 1);
        w.load(url);
        assert!(
            w.run_until(30.0, |w| w.events.iter().any(|t| matches!(t.event, Event::Loaded { .. }))),
            "{there:?}\n{}",
            w.story()
        );
        assert_eq!(urls(&w)[..3], [url, other, url], "{there:?}");
    }
}

#[test]
fn what_only_the_element_may_play_is_left_to_it() {
    let last = |w: &World| {
        w.events.iter().find_map(|t| match &t.event {
            Event::LastResort { mime, error, .. } => Some((mime.clone(), error.code)),
            _ => None,
        })
    };
    let mut site = Site::default();
    site.put("https://cdn.test/a.wav", "audio/wav", &b"RIFF\x24\x10\0\0WAVEfmt \x10\0\0\0"[..]);
    let mut w = World::new(site);
    w.load("https://cdn.test/a.wav");
    w.run_for(2.0);
    assert_eq!(last(&w), Some(("audio/wav".to_owned(), Code::FormatUnsupported)));
    let mut w = World::new(heavy(8.0).ts_file());
    w.unsupported = vec!["mp4"];
    w.load(TS);
    w.run_for(2.0);
    assert_eq!(
        last(&w),
        Some(("video/mp2t; codecs=\"avc1.42001f, mp4a.40.2\"".to_owned(), Code::CodecUnsupported))
    );
    assert!(w.element.source.is_none() && w.net.open() == 0);
}
