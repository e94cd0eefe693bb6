//! Streams without an end: servers that come and go.

use super::*;
use crate::sim::site::Site;
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
