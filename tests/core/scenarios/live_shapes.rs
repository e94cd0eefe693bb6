//! Manifests that change their shape from one reading to the next: what packagers, caches and servers in turn make of them.

use super::live_watch::*;
use super::*;
use crate::sim::site::{Answer, Site};

/// A site whose manifests, of this kind, come as something between makes of them: by URL, time and text.
fn rewritten(site: Site, kind: &'static str, change: impl Fn(&str, f64, String) -> String + 'static) -> Site {
    let mut out = Site::default();
    out.serve(move |url, now| {
        let answer = site.answer(url, now)?;
        if !url.contains(kind) {
            return Some(answer);
        }
        let text = String::from_utf8(answer.body.read(0, answer.body.length as usize)).unwrap();
        Some(Answer::new(answer.content_type, change(url, answer.at, text), answer.at))
    });
    out
}

/// The value of each attribute of this name changed.
fn with_attribute(text: &str, name: &str, change: impl Fn(&str) -> String) -> String {
    let key = format!(" {name}=\"");
    let mut pieces = text.split(&*key);
    let mut out = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (value, rest) = piece.split_once('"').unwrap();
        out += &format!("{key}{}\"{rest}", change(value));
    }
    out
}

/// The media sequence number of a playlist changed.
fn renumbered(text: &str, change: impl Fn(i64) -> i64) -> String {
    const TAG: &str = "#EXT-X-MEDIA-SEQUENCE:";
    let Some((head, tail)) = text.split_once(TAG) else { return text.to_owned() };
    let (number, rest) = tail.split_once('\n').unwrap();
    format!("{head}{TAG}{}\n{rest}", change(number.parse().unwrap()))
}

#[test]
fn an_encoder_that_begins_anew_within_a_segment_is_followed() {
    // What was in parts then is told under another number later.
    let live = Live::new().with(|l| {
        (l.part, l.deltas, l.reports) = (Some(0.5), true, true);
        (l.restart, l.renewed) = (Some(510), true);
    });
    let mut w = tuned(live.clone().hls(false), Config::default());
    w.net.rtt = 0.02;
    w.load(M3U8);
    w.run_for(40.0);
    assert!(w.fatal().is_none() && stalls(&w) <= 1, "{}", w.story());
    assert_eq!(w.played('v').last().unwrap().part, 1, "{}", w.story());
    assert!(latency(&w, &live) < 5.0, "{}\n{}", latency(&w, &live), w.story());
    assert_plays(&mut w);
}
