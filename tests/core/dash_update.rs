//! MPDs that are read again, patches of them, and other places of the same segments.

use crate::dash_live::{bytes, date, representation};
use millrace::error::Code;
use millrace::manifest::dash::{parse, parse_at, patch};
use millrace::manifest::*;
use std::collections::HashMap;

const BASE: &str = "https://example.com/live/a/manifest.mpd";

fn at(name: &str, now: f64) -> Presentation {
    parse_at(&bytes(name), BASE, Some(now)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// An MPD like another, with some of its text replaced.
fn changed(name: &str, changes: &[(&str, &str)], now: f64) -> Presentation {
    let mut text = String::from_utf8(bytes(name)).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    parse_at(text.as_bytes(), BASE, Some(now)).unwrap()
}

/// Number, start and file name of all that is listed.
fn listed(index: &SegmentIndex) -> Vec<(u64, f64, String)> {
    let segments = (0..index.len()).map(|i| index.segment(i).unwrap());
    segments.map(|s| (s.number, s.start, s.url.rsplit('/').next().unwrap().to_owned())).collect()
}

fn span(index: &SegmentIndex) -> (u64, u64) {
    (index.first(), index.first() + index.len() as u64)
}

#[test]
fn a_newer_mpd_lists_more_under_the_same_numbers() {
    let epoch = date("2026-11-24T09:10:23.034Z");
    let mut p = at("ffmpeg-timeline-0.mpd", epoch + 2.5);
    assert_eq!(span(&representation(&p, "0").index), (1, 2));
    let update = p.update(at("ffmpeg-timeline-1.mpd", epoch + 18.1));
    assert_eq!((update.refused, update.restarted), (None, false));
    // It was parsed for a later moment, but this one is only advanced when the player says so.
    p.advance(epoch + 18.1);
    assert_eq!(span(&representation(&p, "0").index), (5, 10));
    let update = p.update(at("ffmpeg-timeline-2.mpd", epoch + 20.1));
    p.advance(epoch + 20.1);
    assert_eq!((update.refused, update.restarted), (None, false));
    assert_eq!(update.moved, [((0, 0, 0), (0, 0, 0)), ((0, 1, 0), (0, 1, 0))]);
    assert_eq!(span(&representation(&p, "1").index), (6, 11));

    // The stream ends: it is static, and ends where it ended.
    let update = p.update(parse(&bytes("ffmpeg-timeline-end.mpd"), BASE).unwrap());
    assert_eq!((update.refused, update.restarted), (None, false));
    assert_eq!((p.kind, p.duration, p.live.is_none()), (PresentationType::Static, Some(22.0), true));
    assert_eq!(span(&representation(&p, "0").index), (7, 12));
    assert_eq!(update.map((0, 1, 0)), Some((0, 1, 0)));
}

#[test]
fn segments_that_only_times_name_keep_their_numbers_too() {
    let now = date("2025-11-29T13:43:22.5Z");
    let mut p = at("livesim-time-1.mpd", now);
    let before = listed(&representation(&p, "V300").index);
    assert_eq!(before.len(), 5);
    let text = patch(&bytes("livesim-time-1.mpd"), &bytes("livesim-time.mpp")).unwrap();
    let update = p.update(parse_at(&text, BASE, Some(now + 4.0)).unwrap());
    assert_eq!((update.refused, update.restarted), (None, false));
    p.advance(now + 4.0);
    let after = listed(&representation(&p, "V300").index);
    assert_eq!((after.len(), &after[..3]), (5, &before[2..]));
    assert_eq!(after[4].0, before[4].0 + 2);
    // At the end it is static, and lists all by its own numbers.
    let whole = [
        ("type=\"dynamic\"", "type=\"static\" mediaPresentationDuration=\"PT1764423802S\""),
        ("r=\"4\"", "r=\"2\""),
    ];
    let mut over = p.clone();
    let update = over.update(changed("livesim-time-1.mpd", &whole, now));
    assert!(!update.restarted && over.live.is_none());
    assert_eq!(listed(&representation(&over, "V300").index), before[..3]);
    // Back again, as where two origins are not in step: the numbers go with the times.
    let old =
        changed("livesim-time-1.mpd", &[("2025-11-29T13:43:22Z\" min", "2025-11-29T13:43:27Z\" min")], now);
    assert_eq!(p.update(old).refused, None);
    p.advance(now);
    assert_eq!(listed(&representation(&p, "V300").index)[2..].first().map(|s| s.1), Some(1_764_423_796.0));
    let again = listed(&representation(&p, "V300").index);
    let third = again.iter().find(|s| s.1 == 1_764_423_796.0).unwrap();
    let known = listed(&representation(&at("livesim-time-1.mpd", now), "V300").index);
    assert_eq!(third.0, known[2].0);
}

#[test]
fn an_older_or_empty_mpd_is_refused_but_not_for_ever() {
    let epoch = date("2026-11-24T09:10:23.034Z");
    let mut p = at("ffmpeg-timeline-2.mpd", epoch + 20.1);
    for n in 1..=5 {
        let update = p.update(at("ffmpeg-timeline-1.mpd", epoch + 20.2));
        assert_eq!(update.refused, Some("it is older than the one before (@publishTime)"));
        assert_eq!((update.map((0, 1, 0)), p.live.as_ref().unwrap().refused), (Some((0, 1, 0)), n));
        assert_eq!(span(&representation(&p, "0").index), (6, 11));
    }
    let update = p.update(at("ffmpeg-timeline-1.mpd", epoch + 20.2));
    assert_eq!((update.refused, p.live.as_ref().unwrap().refused), (None, 0), "the server was set back");
    p.advance(epoch + 20.2);
    assert_eq!(span(&representation(&p, "0").index), (5, 10));

    let future = [("2026-11-24T09:10:23.034Z", "2099-01-01T00:00:00Z"), ("09:10:41.015Z", "09:10:51Z")];
    let update = p.update(changed("ffmpeg-timeline-1.mpd", &future, epoch + 20.2));
    assert_eq!(update.refused, Some("it lists nothing that can be had now"));
    assert_eq!(span(&representation(&p, "0").index), (5, 10));
}

#[test]
fn an_encoder_that_starts_again_goes_on_at_its_time_by_the_clock() {
    let epoch = date("2026-11-24T09:10:23.034Z");
    let mut p = at("ffmpeg-timeline-1.mpd", epoch + 18.1);
    // Ten minutes later ffmpeg was started anew: the same period id, numbers from 1, media time from 0.
    let again = [("09:10:23.034Z", "09:20:23.034Z"), ("09:10:25.018Z", "09:20:25.018Z")];
    let update = p.update(changed("ffmpeg-timeline-0.mpd", &again, epoch + 602.5));
    assert!(update.restarted && update.refused.is_none());
    assert_eq!(update.map((0, 0, 0)), None, "it is another period now");
    p.advance(epoch + 602.5);
    assert_eq!(
        (p.periods.len(), p.live.as_ref().unwrap().epoch),
        (1, Some(epoch)),
        "time 0 stays the same moment"
    );
    let first = representation(&p, "0").index.segment(0).unwrap();
    assert!((first.start - 600.0).abs() < 1e-6 && (p.periods[0].start - 600.0).abs() < 1e-6);
    assert!((first.timestamp_offset.unwrap() - 600.0).abs() < 1e-6);
    assert!((p.edge(epoch + 602.5).unwrap() - 601.984).abs() < 1e-6);
    // From then on its MPDs are moved as well.
    let later = [("09:10:23.034Z", "09:20:23.034Z"), ("09:10:41.015Z", "09:20:41.015Z")];
    let update = p.update(changed("ffmpeg-timeline-1.mpd", &later, epoch + 618.1));
    assert!(!update.restarted && update.map((0, 0, 0)) == Some((0, 0, 0)));
    p.advance(epoch + 618.1);
    assert_eq!(representation(&p, "0").index.segment(0).unwrap().number, 5);
    assert!((p.edge(epoch + 618.1).unwrap() - 618.0).abs() < 1e-6);
}

#[test]
fn times_that_jump_back_within_a_period_are_told() {
    let epoch = date("2026-11-24T09:10:23.034Z");
    let mut p = at("ffmpeg-timeline-2.mpd", epoch + 20.1);
    let again = [("09:10:25.018Z", "09:10:50Z")];
    let update = p.update(changed("ffmpeg-timeline-0.mpd", &again, epoch + 27.0));
    assert!(update.restarted, "the times are from before");
    // The same times with other numbers are told as well.
    let mut p = at("ffmpeg-timeline-1.mpd", epoch + 18.1);
    let update = p.update(changed(
        "ffmpeg-timeline-2.mpd",
        &[("startNumber=\"6\"", "startNumber=\"1\"")],
        epoch + 20.1,
    ));
    assert!(update.restarted);
    // A clock that is told a little differently each time is not.
    let mut p = at("ffmpeg-timeline-1.mpd", epoch + 18.1);
    let update =
        p.update(changed("ffmpeg-timeline-2.mpd", &[("09:10:23.034Z", "09:10:23.534Z")], epoch + 20.1));
    assert!(!update.restarted && update.map((0, 0, 0)) == Some((0, 0, 0)));
    assert_eq!(p.live.as_ref().unwrap().epoch, Some(epoch + 0.5));
    assert_eq!(representation(&p, "0").index.segment(0).unwrap().start, 10.0);
}

#[test]
fn a_window_past_missing_numbers_is_no_new_beginning() {
    const MEDIA: &str = "media=\"$Number$.m4s\"";
    let mpd = |first: u64, entries: &[(u64, u64, Option<u64>)]| {
        let entry = |(time, count, number): &(u64, u64, Option<u64>)| {
            let n = number.map_or(String::new(), |n| format!(" n=\"{n}\""));
            format!("<S t=\"{time}\" d=\"2\" r=\"{}\"{n}/>", count - 1)
        };
        let text = format!(
            "<MPD type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\" minimumUpdatePeriod=\"PT2S\">\
             <Period id=\"p\" start=\"PT0S\"><AdaptationSet mimeType=\"video/mp4\">\
             <SegmentTemplate startNumber=\"{first}\" {MEDIA}><SegmentTimeline>{}</SegmentTimeline></SegmentTemplate>\
             <Representation id=\"0\" bandwidth=\"1\" codecs=\"avc1.42c01e\"/></AdaptationSet></Period></MPD>",
            entries.iter().map(entry).collect::<String>()
        );
        parse_at(text.as_bytes(), BASE, Some(1000.0)).unwrap()
    };
    let names = |p: &Presentation| {
        let listed = listed(&representation(p, "0").index);
        listed.into_iter().map(|(number, start, name)| (number, start as u64, name)).collect::<Vec<_>>()
    };
    let named = |number: u64, time: u64, name: u64| (number, time, format!("{name}.m4s"));
    // 13 and 14 were never made.
    let mut p = mpd(10, &[(20, 3, Some(10)), (30, 2, Some(15))]);
    assert_eq!(names(&p)[2..4], [named(12, 24, 12), named(13, 30, 15)]);
    for (first, entries) in [
        (12, &[(24, 1, Some(12)), (30, 3, Some(15))][..]),
        (15, &[(30, 4, None)]),
        (16, &[(32, 4, None)]),
        // A server that is behind.
        (15, &[(30, 5, None)]),
        (12, &[(24, 1, Some(12)), (30, 5, Some(15))]),
    ] {
        let update = p.update(mpd(first, entries));
        assert_eq!((update.refused, update.restarted), (None, false), "{first}");
        assert!(names(&p).contains(&named(15, 34, 17)), "{:?}", names(&p));
    }
    assert!(p.update(mpd(100, &[(30, 5, None)])).restarted, "the same segments under other numbers");
}

#[test]
fn periods_come_and_go() {
    let e = 1.7e9;
    let mut p = at("multi-period-1.mpd", e);
    let numbers = |p: &Presentation| -> Vec<Vec<f64>> {
        let index = |period: &Period| listed(&period.sets[0].representations[0].index);
        p.periods.iter().map(|p| index(p).iter().map(|s| s.1 - e).collect()).collect()
    };
    let update = p.update(at("multi-period-2.mpd", e + 5.0));
    assert_eq!(update.map((0, 1, 1)), Some((0, 1, 1)));
    assert_eq!(p.periods[0].duration, Some(1000.0), "it ends where the next begins");
    p.advance(e + 5.0);
    assert_eq!(numbers(&p), [vec![-16.0, -12.0, -8.0, -4.0], vec![0.0]]);

    // The first period is no longer in the MPD, but in the time-shift buffer of 20 s.
    let update = p.update(at("multi-period-3.mpd", e + 13.0));
    assert_eq!((update.map((0, 0, 0)), update.map((1, 1, 1))), (Some((0, 0, 0)), Some((1, 1, 1))));
    p.advance(e + 13.0);
    assert_eq!(p.periods.iter().map(|p| &*p.id).collect::<Vec<_>>(), ["main-1", "ad-1", "main-2"]);
    assert_eq!(numbers(&p), [vec![-8.0, -4.0], vec![0.0, 4.0], vec![8.0]]);
    assert_eq!(p.window(e + 13.0), Some((e - 7.0, e + 12.0)));

    // Once it is not, it is dropped at the next update.
    p.advance(e + 21.0);
    assert_eq!((p.periods.len(), numbers(&p)[0].len()), (3, 0));
    let update = p.update(at("multi-period-3.mpd", e + 21.0));
    assert_eq!(p.periods.iter().map(|p| &*p.id).collect::<Vec<_>>(), ["ad-1", "main-2"]);
    assert_eq!(update.map((0, 0, 0)), None);
    assert_eq!((update.map((1, 0, 0)), update.map((2, 1, 0))), (Some((0, 0, 0)), Some((1, 1, 0))));
    assert_eq!(p.window(e + 21.0), Some((e + 1.0, e + 16.0)));
}

#[test]
fn a_period_that_is_gone_too_early_ends_where_the_next_begins() {
    let rule = |periods: &str, published: &str| {
        let text = format!(
            "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\" \
             publishTime=\"1970-01-01T00:{published}Z\" timeShiftBufferDepth=\"PT20S\">{periods}</MPD>"
        );
        parse_at(text.as_bytes(), BASE, None).unwrap()
    };
    let period = |id: &str, start: u32, media: &str| {
        format!(
            "<Period id=\"{id}\" start=\"PT{start}S\"><AdaptationSet id=\"1\" contentType=\"video\"><SegmentTemplate media=\"{media}$Number$\" \
             duration=\"2\"/><Representation id=\"r\" bandwidth=\"1\"/></AdaptationSet></Period>"
        )
    };
    let mut p = rule(&period("a", 0, "a"), "00:30");
    p.advance(31.0);
    p.update(rule(&period("b", 35, "b"), "00:32"));
    // It had no end that was known: the new one gives it one. The last segment laps over it.
    p.advance(41.0);
    let files = |p: &Presentation| -> Vec<Vec<String>> {
        let index = |period: &Period| listed(&period.sets[0].representations[0].index);
        p.periods.iter().map(|p| index(p).into_iter().map(|s| s.2).collect()).collect()
    };
    assert_eq!(files(&p)[0].last().map(String::as_str), Some("a18"));
    assert_eq!(files(&p)[1], ["b1", "b2", "b3"]);
    assert_eq!((p.periods[0].duration, p.next_available(41.0)), (Some(35.0), Some(43.0)));
}

#[test]
fn indexes_that_were_fetched_stay_where_their_source_is_the_same() {
    let mut p = at("bases.mpd", date("2026-01-01T00:01:00Z"));
    let rep = &mut p.periods[0].sets[1].representations[0];
    let (order, b) = (rep.bases.all.clone(), rep.bases.all.iter().position(|b| b.location == "b").unwrap());
    assert!(rep.switch_base(b));
    let SegmentIndex::Pending(source) = &rep.index else { panic!("not fetched") };
    assert_eq!(source.url, "https://b.example.com/audio.mp4");
    let init = source.init.clone().unwrap();
    assert_eq!(init.url, source.url);
    let segment = ListSegment {
        uri: "".into(),
        range: None,
        start: 0.0,
        duration: 4.0,
        discontinuity: 0,
        gap: false,
        init: Some(0),
        keys: None,
    };
    rep.index = SegmentIndex::List(ListIndex {
        base: source.url.clone(),
        segments: vec![segment; 3],
        inits: vec![init],
        timestamp_offset: Some(source.timestamp_offset),
        ..ListIndex::default()
    });
    let update = p.update(at("bases.mpd", date("2026-01-01T00:01:02Z")));
    assert_eq!(update.map((0, 1, 0)), Some((0, 1, 0)));
    let rep = &p.periods[0].sets[1].representations[0];
    assert_eq!(
        (rep.index.len(), &rep.bases),
        (3, &Bases { all: order, playlists: false, current: b }),
        "the place that is in use as well"
    );
    assert_eq!(rep.index.segment(0).unwrap().url, "https://b.example.com/audio.mp4");
    // Another file is another index.
    p.update(changed("bases.mpd", &[("audio.mp4", "other.mp4")], date("2026-01-01T00:01:04Z")));
    assert!(matches!(p.periods[0].sets[1].representations[0].index, SegmentIndex::Pending(_)));
}

#[test]
fn places_are_tried_by_priority_then_by_chance_and_what_fails_together_comes_last() {
    let order = |p: &Presentation| -> Vec<String> {
        let bases = &p.periods[0].sets[0].representations[0].bases.all;
        bases
            .iter()
            .map(|b| b.url.split("//").nth(1).unwrap().split('.').next().unwrap().to_owned())
            .collect()
    };
    // Without a clock there is no chance: as they are written.
    let mut p = parse(&bytes("bases.mpd"), BASE).unwrap();
    assert_eq!(order(&p), ["a1", "b", "spare", "a2"]);
    assert!(p.periods[0].sets[2].representations[0].bases.all.is_empty(), "one place is no choice");
    let rep = &mut p.periods[0].sets[0].representations[0];
    let url = |rep: &Representation| match &rep.index {
        SegmentIndex::Template(t) => ([&*t.base, &t.media].concat(), t.init.as_ref().unwrap().url.clone()),
        _ => panic!("a template"),
    };
    let pair =
        |host: &str| (format!("https://{host}/video/v-$Number$.m4s"), format!("https://{host}/init.mp4"));
    assert_eq!(url(rep), pair("a1.example.com/live"));
    assert!(rep.switch_base(2));
    assert_eq!(url(rep), pair("spare.example.com/x/y"));
    assert!(!rep.switch_base(4));
    assert_eq!((url(rep), rep.bases.current), (pair("spare.example.com/x/y"), 2));
    assert!(rep.switch_base(0));
    assert_eq!(url(rep), pair("a1.example.com/live"));

    let mut first: HashMap<String, u32> = HashMap::new();
    for n in 0..1000 {
        let p = at("bases.mpd", 1.8e9 + f64::from(n) * 0.037);
        let order = order(&p);
        assert_eq!((order.len(), &*order[2]), (4, "spare"), "{order:?}");
        *first.entry(order[0].clone()).or_default() += 1;
    }
    // Weights 10, 10 and 90.
    assert!((750..880).contains(&first["b"]) && (50..140).contains(&first["a1"]), "{first:?}");
}

/// A packager under a model clock: two periods, of which the second begins at 40 s.
#[derive(Clone, Copy, Debug)]
struct Packager {
    /// `$Number$` with @duration, `$Number$` or `$Time$` with a SegmentTimeline, one with an open end.
    kind: u8,
    duration: u32,
    offset: f64,
    complete: bool,
    depth: u32,
}

impl Packager {
    const EPOCH: f64 = 1_767_225_600.0;

    /// The MPD as it was published at a time after the epoch.
    fn mpd(&self, published: f64) -> String {
        let mut periods = String::new();
        for (id, start, end) in [("a", 0u32, Some(40u32)), ("b", 40, None)] {
            let begun = published >= f64::from(start);
            let over = end.is_some_and(|e| f64::from(e) <= published - f64::from(self.depth));
            if !begun || over {
                continue;
            }
            // The end is told once the next period is.
            let duration = match end.filter(|e| f64::from(*e) <= published) {
                Some(end) => format!(" duration=\"PT{}S\"", end - start),
                None => String::new(),
            };
            let each = self.duration;
            let inside = if self.kind == 0 {
                format!("duration=\"{}\" startNumber=\"5\">", each * 1000)
            } else {
                let ended = |t: f64| ((t - f64::from(start)) / f64::from(each)).floor().max(0.0) as u32;
                let mut last = ended(published + self.offset);
                if let Some(end) = end {
                    last = last.min((end - start).div_ceil(each));
                }
                let first = ended(published - f64::from(self.depth) - 2.0 * f64::from(each)).min(last);
                let number =
                    if self.kind == 2 { String::new() } else { format!(" startNumber=\"{}\"", first + 5) };
                let repeat = if self.kind == 3 { -1 } else { i64::from(last - first) - 1 };
                let s = match last > first {
                    true => format!(
                        "<S t=\"{}\" d=\"{}\" r=\"{repeat}\"/>",
                        (1000 + first * each) * 1000,
                        each * 1000
                    ),
                    false => String::new(),
                };
                format!("presentationTimeOffset=\"1000000\"{number}><SegmentTimeline>{s}</SegmentTimeline>")
            };
            let media = if self.kind == 2 { "$Time$" } else { "$Number$" };
            periods += &format!(
                "<Period id=\"{id}\" start=\"PT{start}S\"{duration}><AdaptationSet id=\"1\" contentType=\"video\">\
                 <SegmentTemplate timescale=\"1000\" media=\"{id}-{media}\" availabilityTimeOffset=\"{}\" availabilityTimeComplete=\"{}\" {inside}\
                 </SegmentTemplate><Representation id=\"r\" bandwidth=\"1\"/></AdaptationSet></Period>",
                self.offset, self.complete
            );
        }
        let millis = (published * 1000.0) as u64;
        format!(
            "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"dynamic\" availabilityStartTime=\"2026-01-01T00:00:00Z\" \
             publishTime=\"2026-01-01T00:{:02}:{:02}.{:03}Z\" timeShiftBufferDepth=\"PT{}S\">{periods}</MPD>",
            millis / 60_000,
            millis / 1000 % 60,
            millis % 1000,
            self.depth
        )
    }

    fn at(&self, published: f64, now: f64) -> Presentation {
        parse_at(self.mpd(published).as_bytes(), BASE, Some(Self::EPOCH + now)).unwrap()
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.next() * f64::from(n)) as u32
    }
}

/// Start, file, and whether it is ahead.
type File = (f64, String, bool);

/// What is listed by period.
fn files(p: &Presentation) -> Vec<(String, Vec<File>)> {
    let index = |period: &Period| {
        let index = &period.sets[0].representations[0].index;
        let segments = (0..index.len()).map(|i| index.segment(i).unwrap());
        segments.map(|s| (s.start, s.url, s.ahead)).collect::<Vec<_>>()
    };
    p.periods.iter().map(|period| (period.id.clone(), index(period))).collect()
}

#[test]
fn advancing_and_updating_in_any_steps_lists_what_reading_anew_does() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..200 {
        let duration = 1 + random.below(5);
        let packager = Packager {
            kind: (round % 4) as u8,
            duration,
            offset: [0.0, f64::from(duration) - 0.5, 0.25][random.below(3) as usize],
            complete: random.below(2) == 0,
            depth: 6 + random.below(30),
        };
        let mut now = random.next() * 30.0 + 2.0 * f64::from(duration);
        let mut newest = now;
        let mut p = packager.at(newest, now);
        let mut numbers: HashMap<(String, i64), u64> = HashMap::new();
        let mut edge = f64::MIN;
        for step in 0..50 {
            let before = newest;
            let what = format!("round {round}, step {step}, now {now}, MPD of {newest}: {packager:?}");
            match random.below(4) {
                0 => {
                    // Any MPD since the start; those that are older than the last are refused.
                    let published = if random.below(3) == 0 {
                        newest - 1.0 - random.next()
                    } else {
                        newest + random.next() * (now - newest)
                    };
                    let published = (published.max(2.0 * f64::from(duration)) * 1000.0).floor() / 1000.0;
                    let before = p.clone();
                    let update = p.update(packager.at(published, now));
                    assert!(!update.restarted, "{what}");
                    assert_eq!(
                        update.refused.is_some(),
                        published < (newest * 1000.0).floor() / 1000.0,
                        "{what}: {published} {update:?}"
                    );
                    newest = if update.refused.is_some() { newest } else { published };
                    for (i, period) in before.periods.iter().enumerate() {
                        let to = update.map((i, 0, 0)).and_then(|to| p.periods.get(to.0));
                        assert!(to.is_none_or(|to| to.id == period.id), "{what}");
                    }
                }
                1 => now += random.next() * 0.1,
                2 => now += random.next() * 3.0,
                _ => now = p.next_available(Packager::EPOCH + now).map_or(now, |t| t - Packager::EPOCH),
            }
            // A list that nobody reads again goes out of date.
            if now - newest > 4.0 {
                newest = (now * 1000.0).floor() / 1000.0;
                assert!(p.update(packager.at(newest, now)).refused.is_none(), "{what}");
            }
            p.advance(Packager::EPOCH + now);
            let (ours, anew) = (files(&p), files(&packager.at(newest, now)));
            let kept = ours.len() - anew.len();
            assert_eq!(ours[kept..], anew, "{what}");
            let clock = Packager::EPOCH + now;
            assert_eq!(p.edge(clock).is_some(), ours.iter().any(|p| !p.1.is_empty()), "{what}");
            if let Some(now_at) = p.edge(clock) {
                // An open period goes on until it is told that it has ended.
                assert!(
                    now_at >= edge - 1e-6 || edge > 40.0 && before < 40.0,
                    "{what}: the edge goes back from {edge} to {now_at}"
                );
                edge = now_at;
            }
            for period in &p.periods {
                let index = &period.sets[0].representations[0].index;
                for i in 0..index.len() {
                    let segment = index.segment(i).unwrap();
                    let key = (period.id.clone(), (segment.start * 1000.0).round() as i64);
                    let known = *numbers.entry(key).or_insert(segment.number);
                    assert_eq!(known, segment.number, "{what}: {}", segment.url);
                }
            }
        }
    }
}

fn patched(mpd: &str, operations: &str) -> Result<String, millrace::error::PlayerError> {
    let text = format!(
        "<?xml version=\"1.0\"?><Patch xmlns=\"urn:mpeg:dash:schema:mpd-patch:2020\" mpdId=\"m\" originalPublishTime=\"2026-01-01T00:00:00Z\" \
         publishTime=\"2026-01-01T00:00:02Z\">{operations}</Patch>"
    );
    patch(mpd.as_bytes(), text.as_bytes()).map(|t| String::from_utf8(t).unwrap())
}

#[test]
fn patches_change_the_text_as_their_operations_say() {
    let head = "<MPD id='m' publishTime=\"2026-01-01T00:00:00Z\">";
    let done = "<MPD id='m' publishTime=\"2026-01-01T00:00:02Z\">";
    let body = "<P id='1'><S a=\"x\"/><e/><e k='v'>t</e></P><!-- c --><P id=\"2\"/></MPD>";
    for (operations, expected) in [
        ("", body),
        ("<replace sel=\"/MPD/@publishTime\">2026-01-01T00:00:02Z</replace>", body),
        (
            "<add sel=\"/MPD/P[@id='1']\"><f>1</f></add>",
            "<P id='1'><S a=\"x\"/><e/><e k='v'>t</e><f>1</f></P><!-- c --><P id=\"2\"/></MPD>",
        ),
        (
            "<add sel='/MPD/P[@id=\"1\"]' pos='prepend'><f>1</f><g/></add><add sel='/MPD/P[1]/g'>2</add>",
            "<P id='1'><f>1</f><g>2</g><S a=\"x\"/><e/><e k='v'>t</e></P><!-- c --><P id=\"2\"/></MPD>",
        ),
        (
            "<add sel=\"/MPD/P[2]\"> <f/></add><add sel=\"/MPD/P[2]/f\" pos=\"before\"><b/></add><add sel=\"MPD/\"/>",
            "!",
        ),
        (
            "<add sel=\"/MPD/P[2]\"> <f/></add><add sel=\"/MPD/P[2]/f\" pos=\"before\"><b/></add>",
            "<P id='1'><S a=\"x\"/><e/><e k='v'>t</e></P><!-- c --><P id=\"2\"> <b/><f/></P></MPD>",
        ),
        (
            "<add sel=\"/MPD/P/e[2]\" pos=\"after\"><b/></add><remove sel=\"/MPD/P[1]/e[1]\"/>",
            "<P id='1'><S a=\"x\"/><e k='v'>t</e><b/></P><!-- c --><P id=\"2\"/></MPD>",
        ),
        ("<remove sel=\"/MPD/P[1]\"/>", "<!-- c --><P id=\"2\"/></MPD>"),
        (
            "<replace sel=\"/MPD/P[2]\"><P id='3'><n/></P></replace><add sel=\"/MPD/P[@id='3']/n\" type=\"@q\">&lt;\"'</add>",
            "<P id='1'><S a=\"x\"/><e/><e k='v'>t</e></P><!-- c --><P id='3'><n q=\"&lt;&quot;&apos;\"/></P></MPD>",
        ),
        (
            "<replace sel=\"/MPD/P[1]/e[@k='v']/text()\">a &amp; b</replace>",
            "<P id='1'><S a=\"x\"/><e/><e k='v'>a &amp; b</e></P><!-- c --><P id=\"2\"/></MPD>",
        ),
        (
            "<remove sel=\"/MPD/P[1]/e[2]/@k\"/><replace sel=\"/MPD/P[1]/S/@a\">y</replace>",
            "<P id='1'><S a=\"y\"/><e/><e>t</e></P><!-- c --><P id=\"2\"/></MPD>",
        ),
        (
            "<add sel=\"/MPD\" type=\"@type\">static</add><remove sel=\"/MPD/P[@id='2']\"/>",
            "+<P id='1'><S a=\"x\"/><e/><e k='v'>t</e></P><!-- c --></MPD>",
        ),
        // Not one that is named, no such one, not a path, not an operation.
        ("<remove sel=\"/MPD/P[3]\"/>", "!"),
        ("<remove sel=\"/MPD/P[0]\"/>", "!"),
        ("<remove sel=\"/MPD/P\"/>", "!"),
        ("<remove sel=\"/MPD\"/>", "!"),
        ("<remove sel=\"/MPD/P[1]/@none\"/>", "!"),
        ("<remove sel=\"P\"/>", "!"),
        ("<remove/>", "!"),
        ("<remove sel=\"/MPD/P[@id=1]\"/>", "!"),
        ("<remove sel=\"/MPD/P[e]\"/>", "!"),
        ("<remove sel=\"/MPD/P[1\"/>", "!"),
        ("<remove sel=\"/X/P[1]\"/>", "!"),
        ("<move sel=\"/MPD/P[1]\"/>", "!"),
        ("<add sel=\"/MPD/P[1]\" type=\"namespace::x\">y</add>", "!"),
        ("<add sel=\"/MPD/P[1]\" pos=\"within\"><x/></add>", "!"),
        ("<replace sel=\"/MPD/P[1]\"><P></replace>", "!"),
    ] {
        let result = patched(&[head, body].concat(), operations);
        match expected.split_at(1) {
            ("!", _) => assert_eq!(result.unwrap_err().code, Code::ManifestMalformed, "{operations}"),
            ("+", rest) => {
                let text = result.unwrap();
                assert!(text.starts_with("<MPD type=\"static\" id='m'") && text.ends_with(rest), "{text}");
            }
            _ => assert_eq!(result.unwrap(), [done, expected].concat(), "{operations}"),
        }
    }
}

#[test]
fn a_patch_of_another_mpd_or_state_is_refused() {
    let mpd = bytes("livesim-time-1.mpd");
    let good = String::from_utf8(bytes("livesim-time.mpp")).unwrap();
    for (from, to, what) in [
        ("auto-patch-id", "another", "another MPD"),
        (
            "originalPublishTime=\"2025-11-29T13:43:22Z\"",
            "originalPublishTime=\"2025-11-29T13:43:20Z\"",
            "another state",
        ),
        (" originalPublishTime=\"2025-11-29T13:43:22Z\"", "", "another state"),
        ("SegmentTimeline/S[1]\"/>", "SegmentTimeline/S[9]\"/>", "cannot be found"),
        ("</Patch>", "", "cut off"),
        ("Patch", "MPD", "root element"),
    ] {
        assert!(good.contains(from));
        let error = patch(&mpd, good.replace(from, to).as_bytes()).unwrap_err();
        assert!(error.code == Code::ManifestMalformed && error.message.contains(what), "{error}");
    }
    // The same moment, written in another way.
    assert!(patch(&mpd, good.replace("13:43:22Z\" publish", "14:43:22+01:00\" publish").as_bytes()).is_ok());
    assert!(patch(b"", good.as_bytes()).is_err() && patch(&mpd, b"").is_err());
}

#[test]
fn a_patched_timeline_is_that_of_the_whole_mpd() {
    let text =
        String::from_utf8(patch(&bytes("livesim-time-1.mpd"), &bytes("livesim-time.mpp")).unwrap()).unwrap();
    assert!(
        text.contains("publishTime=\"2025-11-29T13:43:26Z\"")
            && text.contains("?publishTime=2025-11-29T13%3A43%3A26Z<")
    );
    let p = parse_at(text.as_bytes(), BASE, Some(date("2025-11-29T13:43:27Z"))).unwrap();
    let starts = |id: &str| -> Vec<i64> {
        let SegmentIndex::Template(t) = &representation(&p, id).index else { panic!("a template") };
        t.runs.iter().flat_map(|r| (0..r.count as i64).map(|i| r.time + i * r.duration)).collect()
    };
    assert_eq!(starts("V300"), (0..5).map(|i| 158_798_141_640_000 + i * 180_000).collect::<Vec<_>>());
    let audio = 84_692_342_208_000;
    assert_eq!(starts("A48"), [audio, audio + 96_256, audio + 192_512, audio + 288_768, audio + 384_000]);
    assert_eq!(p.warnings, Vec::<String>::new());
}

#[test]
fn damaged_patches_never_panic() {
    let (mpd, good) = (bytes("livesim-time-1.mpd"), bytes("livesim-time.mpp"));
    for end in (0..good.len()).step_by(13) {
        assert!(patch(&mpd, &good[..end]).is_err());
    }
    let mut random = Random(7);
    let mut read = 0;
    for _ in 0..3000 {
        let (mut damaged, mut mpd) = (good.clone(), mpd.clone());
        for _ in 0..2 {
            let at = random.below(damaged.len() as u32) as usize;
            damaged[at] ^= 1 << random.below(8);
        }
        let at = random.below(mpd.len() as u32) as usize;
        mpd[at] ^= 1 << random.below(8);
        if let Ok(text) = patch(&mpd, &damaged) {
            read += usize::from(parse(&text, BASE).is_ok());
        }
    }
    assert!(read > 100, "{read}");
}

#[test]
fn a_patch_of_long_timelines_is_applied_in_about_one_reading() {
    let (mut entries, mut time) = (String::new(), 0);
    for i in 0..10_000 {
        let duration = 180_000 + i % 7;
        entries += &format!("          <S t=\"{time}\" d=\"{duration}\"/>\n");
        time += duration;
    }
    let sets: String = (0..4)
        .map(|id| {
            format!(
                "<AdaptationSet id=\"{id}\" contentType=\"video\"><SegmentTemplate timescale=\"90000\" media=\"$Time$\"><SegmentTimeline>\n\
                 {entries}</SegmentTimeline></SegmentTemplate><Representation id=\"r{id}\" bandwidth=\"1\"/></AdaptationSet>"
            )
        })
        .collect();
    let head = "<MPD id=\"m\" publishTime=\"2026-01-01T00:00:00Z\" type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\">";
    let mpd = format!(
        "{head}<PatchLocation>p</PatchLocation><Period id=\"p\" start=\"PT0S\">{sets}</Period></MPD>"
    );
    let mut operations =
        "<replace sel=\"/MPD/PatchLocation\"><PatchLocation>q</PatchLocation></replace>".to_owned();
    for id in 0..4 {
        let timeline =
            format!("/MPD/Period[@id='p']/AdaptationSet[@id='{id}']/SegmentTemplate/SegmentTimeline");
        operations += &format!(
            "<remove sel=\"{timeline}/S[1]\"/><remove sel=\"{timeline}/S[1]\"/><add sel=\"{timeline}\"><S d=\"1\"/></add>"
        );
    }
    #[expect(clippy::disallowed_methods, reason = "a measurement, printed for people (--nocapture)")]
    let clock = std::time::Instant::now;
    let start = clock();
    let p = parse(mpd.as_bytes(), BASE).unwrap();
    let read = start.elapsed();
    let start = clock();
    let text = patched(&mpd, &operations).unwrap();
    println!("{} bytes: read in {read:?}, patched in {:?}", mpd.len(), start.elapsed());
    let after = parse(text.as_bytes(), BASE).unwrap();
    for (a, b) in p.periods[0].sets.iter().zip(&after.periods[0].sets) {
        assert_eq!(a.representations[0].index.len() - 1, b.representations[0].index.len());
    }
}
