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

#[test]
fn segments_that_come_as_they_are_made_are_not_given_up_for_the_pace_of_the_encoder() {
    // Their bandwidth is the most that they may have, and half of what they do.
    for (recorded, target) in [(None, 1.5), (Some(1.5), 3.0)] {
        let live = Live::new().with(|l| {
            (l.chunk, l.clock, l.stream.segment) = (Some(0.2), true, 4.0);
            (l.recorded, l.service) = (recorded, Some((target, 0.96, 1.04)));
        });
        let site = rewritten(live.clone().dash(), "manifest.mpd", |_, _, text| {
            with_attribute(&text, "bandwidth", |b| (b.parse::<u64>().unwrap() * 2).to_string())
        });
        let mut w = tuned(site, Config::default());
        w.link(20e6);
        w.load(MPD);
        w.run_for(60.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        assert_fetched_once(&w);
        assert!(w.switches().iter().all(|s| s.2 != Reason::Abandoned), "{:?}", w.switches());
    }
}

#[test]
fn a_hint_that_turns_out_to_be_of_the_next_segment_is_fetched_once() {
    // That a segment is over is told with the first part of the next one.
    let live = Live::new().with(|l| l.part = Some(0.5));
    let site = rewritten(live.clone().hls(false), ".m3u8", |_, _, text| match text.rsplit_once("#EXTINF") {
        Some((head, tail)) if !tail.contains("#EXT-X-PART:") => {
            let hint = tail.lines().find(|line| line.starts_with("#EXT-X-PRELOAD"));
            format!("{head}{}\n", hint.unwrap_or_default())
        }
        _ => text,
    });
    let mut w = tuned(site, Config::default());
    w.net.rtt = 0.02;
    w.load(M3U8);
    w.run_for(40.0);
    assert_quiet(&w);
    assert_seamless(&w, &live);
    assert_fetched_once(&w);
    assert_appended_once(&w);
}

#[test]
fn servers_in_turn_that_number_otherwise_play_alike() {
    for dates in [true, false] {
        let live = Live::new().with(|l| l.dates = dates);
        type Numbering = fn(f64, i64) -> i64;
        let numberings: [(&str, Numbering); 4] = [
            ("back by one", |now, n| if now > 20.0 { n - 1 } else { n }),
            ("forward by one", |now, n| if now > 20.0 { n + 1 } else { n }),
            ("in turns", |now, n| if now % 6.0 > 3.0 { n + 2 } else { n }),
            ("none at all", |_, _| 0),
        ];
        // Without dates, two playlists have nothing but their numbers in common.
        for (name, numbering) in numberings.into_iter().filter(|n| dates || n.0 != "in turns") {
            let site = rewritten(live.clone().hls(false), ".m3u8", move |_, now, text| {
                renumbered(&text, |n| numbering(now, n))
            });
            let mut w = tuned(site, Config::default());
            w.load(M3U8);
            w.run_for(60.0);
            assert_flawless(&w, &live);
            let behind = latency(&w, &live);
            assert!((6.0..10.1).contains(&behind), "{name} {dates}: {behind}\n{}", w.story());
        }
    }
}

#[test]
fn a_packager_that_numbers_the_same_otherwise_is_followed_by_time() {
    for by in [-470, -3, 3] {
        let live = Live::new().with(|l| {
            (l.addressing, l.numbered, l.update, l.delay) =
                (Some(Addressing::Time), true, Some(2.0), Some(8.0));
        });
        let origin = live.clone().dash();
        let mut site = Site::default();
        // Its names are others too, so that those of before stay.
        site.serve(move |url, now| match url.rsplit_once("/r") {
            Some((folder, file)) => {
                let number: i64 = file.strip_suffix(".m4s")?.parse().ok()?;
                origin.answer(&format!("{folder}/{}.m4s", number - by), now)
            }
            None => origin.answer(url, now),
        });
        let site = rewritten(site, ".mpd", move |_, now, text| {
            if now < 20.0 {
                return text;
            }
            let text = text.replace("$Number$", "r$Number$");
            with_attribute(&text, "startNumber", |n| (n.parse::<i64>().unwrap() + by).to_string())
        });
        let mut w = tuned(site, Config::default());
        w.load(MPD);
        w.run_for(60.0);
        assert_flawless(&w, &live);
        assert!((7.0..9.1).contains(&latency(&w, &live)), "{by}: {}\n{}", latency(&w, &live), w.story());
    }
}

#[test]
fn times_that_jump_back_within_a_period_are_followed() {
    let live = Live::new().with(|l| {
        (l.addressing, l.update, l.delay) = (Some(Addressing::Time), Some(2.0), Some(8.0));
        (l.restart, l.renewed) = (Some(510), true);
    });
    let begun = iso(UNIX - live.age);
    let site = rewritten(live.clone().dash(), ".mpd", move |_, _, text| {
        with_attribute(&text, "availabilityStartTime", |_| begun.clone()).replace("id=\"p1\"", "id=\"p0\"")
    });
    let mut w = tuned(site, Config::default());
    w.load(MPD);
    w.run_for(70.0);
    assert!(w.fatal().is_none(), "{}", w.story());
    assert_eq!(w.played('v').last().unwrap().part, 1, "{}", w.story());
    assert!(latency(&w, &live) < 14.0, "{}\n{}", latency(&w, &live), w.story());
    assert_plays(&mut w);
}

#[test]
fn delta_updates_that_count_wrong_are_left() {
    for wrong in [-3, 3, 30] {
        let live = Live::new().with(|l| (l.part, l.deltas) = (Some(0.5), true));
        let site = rewritten(live.clone().hls(false), ".m3u8", move |_, _, text| {
            const TAG: &str = "SKIPPED-SEGMENTS=";
            let Some((head, tail)) = text.split_once(TAG) else { return text };
            let (count, rest) = tail.split_once('\n').unwrap();
            format!("{head}{TAG}{}\n{rest}", count.parse::<i32>().unwrap() + wrong)
        });
        let mut w = tuned(site, Config::default());
        w.net.rtt = 0.02;
        w.load(M3U8);
        w.run_for(60.0);
        assert!(w.fatal().is_none() && stalls(&w) <= 2, "{wrong}: {}", w.story());
        assert_seamless(&w, &live);
        assert_fetched_once(&w);
    }
}

#[test]
fn starts_of_periods_that_are_computed_anew_each_time_move_nothing() {
    for (addressing, rebased) in
        [(Addressing::Number, true), (Addressing::Time, true), (Addressing::Time, false)]
    {
        for error in [0.01, 0.05, 0.2, 0.8] {
            let live = Live::new().with(|l| {
                (l.addressing, l.update, l.delay) = (Some(addressing), Some(2.0), Some(8.0));
                (l.period, l.rebased) = (Some(14.0), rebased);
            });
            let site = rewritten(live.clone().dash(), ".mpd", move |_, now, text| {
                let off = if ((now / 2.0) as u64).is_multiple_of(2) { error } else { 0.0 };
                with_attribute(&text, "start", |start| {
                    let seconds: f64 = start[2..start.len() - 1].parse().unwrap();
                    format!("PT{:.3}S", seconds + off)
                })
            });
            let mut w = tuned(site, Config::default());
            w.load(MPD);
            w.run_for(60.0);
            assert_quiet(&w);
            assert_seamless(&w, &live);
            assert_fetched_once(&w);
            assert!((7.0..9.9).contains(&latency(&w, &live)), "{error}: {}", latency(&w, &live));
        }
    }
}

#[test]
fn another_server_with_the_same_by_date_plays_on() {
    // It names and numbers segments its own way, and may be behind.
    for lag in [0.0, 4.0, 8.0] {
        let live = Live::new();
        let site = live.clone().hls(false);
        let other = {
            let site = site.clone();
            move |url: &str, now: f64| {
                let answer = site.answer(url, now - lag).unwrap();
                let text = String::from_utf8(answer.body.read(0, answer.body.length as usize)).unwrap();
                let name = |line: &str| {
                    if line.starts_with('#') { format!("{line}\n") } else { format!("b/../{line}\n") }
                };
                renumbered(&text.lines().map(name).collect::<String>(), |n| n + 7000)
            }
        };
        let site = rewritten(site, ".m3u8", move |url, now, text| {
            if now > 20.0 && !url.contains("main") { other(url, now) } else { text }
        });
        let mut w = tuned(site, Config::default());
        w.load(M3U8);
        w.run_for(60.0);
        assert_quiet(&w);
        // What it was behind is all that may be shown again.
        let behind = latency(&w, &live);
        assert!(behind < 10.1 + lag, "{lag}: {behind}\n{}", w.story());
        assert!((state(&w).window.1 - state(&w).window.0) > 30.0, "{:?}", state(&w));
        if lag == 0.0 {
            assert_seamless(&w, &live);
        }
    }
}

#[test]
fn a_dynamic_mpd_that_tells_its_end_ends() {
    for (addressing, update, late) in [
        (Addressing::Number, None, false),
        (Addressing::Number, Some(2.0), false),
        (Addressing::Number, Some(2.0), true),
        (Addressing::Time, Some(2.0), false),
    ] {
        let live = Live::new().with(|l| {
            (l.addressing, l.update, l.delay) = (Some(addressing), update, Some(6.0));
            l.end = Some(1030.0);
        });
        // It never becomes static; where that is told late, nothing is read after it.
        let site = live.clone().with(|l| l.end = Some(1e9)).dash();
        let site = rewritten(site, ".mpd", move |_, now, text| {
            let told = text.replace("\"dynamic\"", "\"dynamic\" mediaPresentationDuration=\"PT1030S\"");
            match late {
                true if now < 24.0 => text,
                true => told.replace("minimumUpdatePeriod", "was"),
                false => told,
            }
        });
        let mut w = tuned(site, Config { catch_up: Some(true), ..Config::default() });
        w.load(MPD);
        w.play_to_end(60.0);
        assert_quiet(&w);
        assert_seamless(&w, &live);
        assert_eq!(w.played('v').last().unwrap().number, 1030 * 25 - 1, "{}", w.story());
        assert_eq!(w.element.rate, 1.0, "{}", w.story());
        let before = w.requests().len();
        w.run_for(60.0);
        assert_eq!(w.requests().len(), before, "{}", w.story());
        w.seek(1010.0);
        assert_plays(&mut w);
    }
}

/// Quality goes down and up by the link.
fn switch_about(w: &mut World) {
    w.run_for(12.0);
    for rate in [1.2e6, 10e6, 1.2e6, 10e6] {
        w.link(rate);
        w.run_for(20.0);
    }
}

#[test]
fn discontinuities_that_nobody_counts_are_known_by_what_is_there_at_the_time() {
    for dates in [true, false] {
        let live = Live::new().with(|l| (l.dates, l.period, l.rebased) = (dates, Some(14.0), true));
        let site = rewritten(live.clone().hls(false), ".m3u8", |_, _, text| {
            let counts = |line: &&str| !line.starts_with("#EXT-X-DISCONTINUITY-SEQUENCE");
            text.lines().filter(counts).map(|line| format!("{line}\n")).collect()
        });
        let mut w = tuned(site, Config::default());
        w.net.rtt = 0.02;
        w.load(M3U8);
        switch_about(&mut w);
        assert!(w.switches().len() >= 3, "{:?}", w.switches());
        assert_quiet(&w);
        // Each picture, and of the sound all but a frame where a discontinuity begins.
        for (kind, frame) in [('v', 0.04), ('a', 1024.0 / 48_000.0)] {
            for pair in w.played(kind).windows(2) {
                let step = live.end_of(pair[1]) - live.end_of(pair[0]);
                let most = if pair[0].part == pair[1].part { frame + 1e-6 } else { 3.0 * frame };
                assert!(step > 0.0 && step < most, "{dates} {kind}: {step} {pair:?}\n{}", w.story());
            }
        }
    }
}

#[test]
fn playlists_that_are_numbered_otherwise_than_others_are_put_where_their_media_lies() {
    // Nothing is said of numbers in two playlists (RFC 8216bis §6.2.4), and there are no dates.
    for (name, by) in [("v1.", 3), ("v1.", -3), ("a0.", 3), ("a0.", -3)] {
        let live = Live::new().with(|l| l.dates = false);
        let site = rewritten(live.clone().hls(false), ".m3u8", move |url, _, text| {
            if url.contains(name) { renumbered(&text, |n| n + by) } else { text }
        });
        let mut w = tuned(site, Config::default());
        w.net.rtt = 0.02;
        w.load(M3U8);
        switch_about(&mut w);
        assert!(w.fatal().is_none() && stalls(&w) <= 1, "{name} {by}: {}", w.story());
        assert_eq!(holes(&w), [], "{name} {by}: {}", w.story());
        assert_seamless(&w, &live);
        assert!(latency(&w, &live) < 14.0, "{name} {by}: {}", latency(&w, &live));
    }
}
