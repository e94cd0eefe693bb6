//! Dynamic MPDs: what they tell, and what of them can be had at a moment of the clock. Expected numbers are computed by hand from
//! ISO/IEC 23009-1 §5.3.9.5.3: a segment can be had once the clock has come to its end, less @availabilityTimeOffset.

use millrace::manifest::dash::{clock, parse, parse_at, validity};
use millrace::manifest::*;

const BASE: &str = "https://example.com/live/a/manifest.mpd?token=1";

pub fn bytes(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dash/live").join(name);
    std::fs::read(path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn at(name: &str, now: f64) -> Presentation {
    parse_at(&bytes(name), BASE, Some(now)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn live(p: &Presentation) -> &Live {
    p.live.as_deref().unwrap()
}

pub fn date(text: &str) -> f64 {
    date_time(text).unwrap()
}

/// A representation of the last period that has it.
pub fn representation<'p>(p: &'p Presentation, id: &str) -> &'p Representation {
    let mut all = p.periods.iter().rev().flat_map(|p| &p.sets).flat_map(|s| &s.representations);
    all.find(|r| r.id == id).unwrap_or_else(|| panic!("no representation {id}"))
}

/// Numbers of the first and the last segment that are listed, and how many of the last are not whole.
fn numbers(p: &Presentation, id: &str) -> Option<(u64, u64, usize)> {
    let index = &representation(p, id).index;
    let last = index.segment(index.len().checked_sub(1)?)?;
    let ahead = (0..index.len()).filter(|i| index.segment(*i).unwrap().ahead).count();
    Some((index.first(), last.number, ahead))
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-3,
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// File, clock in seconds after a date, representation; first and last number and how many are ahead, window, next.
type Row = (&'static str, f64, &'static str, Option<(u64, u64, usize)>, Option<(f64, f64)>, Option<f64>);

#[test]
fn segments_can_be_had_when_the_clock_has_come_to_their_end() {
    let shaka = date("2026-01-01T00:00:01.5Z");
    let low = date("2026-11-24T09:10:23.024Z");
    let line = date("2026-11-24T09:10:23.034Z");
    let e = 1.7e9;
    let rows: &[Row] = &[
        // 2 s segments since 1970: number n ends at 2 n + 2. A minute of them.
        (
            "livesim-number.mpd",
            e + 1.3,
            "V300",
            Some((849_999_970, 849_999_999, 0)),
            Some((e - 58.7, e)),
            Some(e + 2.0),
        ),
        (
            "livesim-number.mpd",
            e + 2.0,
            "V300",
            Some((849_999_971, 850_000_000, 0)),
            Some((e - 58.0, e + 2.0)),
            Some(e + 4.0),
        ),
        ("livesim-number.mpd", 1.0, "A48", None, None, Some(2.0)),
        ("livesim-number.mpd", 5.0, "A48", Some((0, 1, 0)), Some((0.0, 4.0)), Some(6.0)),
        // 8 s segments that can be had 7 s before their end: chunks of a second.
        (
            "livesim-low-latency.mpd",
            e + 0.5,
            "V300",
            Some((212_499_992, 212_499_999, 0)),
            Some((e - 59.5, e)),
            Some(e + 1.0),
        ),
        (
            "livesim-low-latency.mpd",
            e + 3.5,
            "V300",
            Some((212_499_992, 212_500_000, 1)),
            Some((e - 56.5, e + 2.5)),
            Some(e + 9.0),
        ),
        (
            "livesim-low-latency.mpd",
            e + 8.2,
            "A48",
            Some((212_499_993, 212_500_000, 0)),
            Some((e - 51.8, e + 8.0)),
            Some(e + 9.0),
        ),
        // ffmpeg -ldash: 2 s segments, 0.2 s chunks, 10 s of them.
        ("ffmpeg-low-latency.mpd", low + 18.1, "0", Some((5, 9, 0)), Some((8.1, 18.0)), Some(low + 18.2)),
        ("ffmpeg-low-latency.mpd", low + 18.25, "0", Some((5, 10, 1)), Some((8.25, 18.05)), Some(low + 20.2)),
        ("ffmpeg-low-latency.mpd", low + 20.1, "0", Some((6, 10, 0)), Some((10.1, 20.0)), Some(low + 20.2)),
        (
            "ffmpeg-number.mpd",
            date("2026-11-24T09:10:22.998Z") + 17.9,
            "1",
            Some((4, 8, 0)),
            Some((7.9, 16.0)),
            Some(date("2026-11-24T09:10:22.998Z") + 18.0),
        ),
        // A timeline is left out as far as it is ahead of the clock (the sound of the last segment ends at 18.005 s) …
        ("ffmpeg-timeline-1.mpd", line + 17.99, "0", Some((5, 8, 0)), Some((8.0, 16.0)), Some(line + 18.0)),
        ("ffmpeg-timeline-1.mpd", line + 18.01, "0", Some((5, 9, 0)), Some((8.005333, 18.0)), None),
        // … and keeps its depth where it lags behind it.
        ("ffmpeg-timeline-1.mpd", line + 40.0, "1", Some((5, 9, 0)), Some((8.005333, 18.0)), None),
        // An open end goes on by the clock: the pictures end with their list, the sound does not.
        (
            "shaka-timeline.mpd",
            shaka + 70.5,
            "0",
            Some((8, 12, 0)),
            Some((40.5, 69.978667)),
            Some(shaka + 75.952),
        ),
        (
            "shaka-timeline.mpd",
            shaka + 70.5,
            "1",
            Some((8, 12, 0)),
            Some((40.5, 69.978667)),
            Some(shaka + 75.952),
        ),
        (
            "shaka-timeline.mpd",
            shaka + 69.0,
            "0",
            Some((8, 11, 0)),
            Some((40.005333, 64.0)),
            Some(shaka + 69.978667),
        ),
        (
            "shaka-timeline.mpd",
            shaka + 100.0,
            "1",
            Some((13, 17, 0)),
            Some((70.0, 70.0)),
            Some(shaka + 105.818667),
        ),
        // No depth: all that was ever made.
        (
            "gstreamer.mpd",
            date("2026-11-24T09:12:01Z") + 3601.0,
            "audio_0",
            Some((1, 1800, 0)),
            Some((0.0, 3600.0)),
            Some(date("2026-11-24T09:12:01Z") + 3602.0),
        ),
    ];
    for (file, now, id, expected, window, next) in rows {
        let mut p = at(file, *now);
        let what = format!("{file} {id} at {now}");
        assert_eq!(numbers(&p, id), *expected, "{what}");
        let (start, end) = p.window(*now).unzip();
        let (expected_start, expected_end) = window.unzip();
        assert!(close(start, expected_start), "{what}: window from {start:?}");
        assert!(close(end, expected_end) && close(p.edge(*now), expected_end), "{what}: window to {end:?}");
        assert!(close(p.next_available(*now), *next), "{what}: next {:?}", p.next_available(*now));
        // Whatever it was advanced to before.
        for other in [0.0, now + 1e6, f64::NAN, now - 3.0, *now] {
            p.advance(other);
        }
        assert_eq!(numbers(&p, id), *expected, "{what}, again");
    }
}

#[test]
fn a_segment_is_listed_when_it_is_said_to_be_and_not_before() {
    for (file, now, id) in [
        ("livesim-number.mpd", 1.7e9 + 0.9, "V300"),
        ("livesim-low-latency.mpd", 1.7e9 + 3.3, "V300"),
        ("ffmpeg-low-latency.mpd", date("2026-11-24T09:10:41Z"), "1"),
        ("shaka-timeline.mpd", date("2026-01-01T00:01:12Z"), "1"),
    ] {
        let mut p = at(file, now);
        let mut now = now;
        for _ in 0..50 {
            let last = |p: &Presentation| numbers(p, id).unwrap().1;
            let (next, before) = (p.next_available(now).unwrap(), last(&p));
            assert!(next > now, "{file}");
            p.advance(next - 0.002);
            assert_eq!(last(&p), before, "{file}");
            p.advance(next);
            let (all, listed) = (last(&p), before + 1);
            assert!(all == listed || all == before, "{file}: {all} after {before}");
            assert!(p.edge(next) >= p.edge(now), "{file}");
            now = next;
        }
        assert!(numbers(&p, id).unwrap().1 >= numbers(&at(file, now), id).unwrap().1, "{file}");
    }
}

#[test]
fn what_the_mpd_tells_of_its_clock_and_updates_is_read() {
    let p = at("livesim-number.mpd", 1.7e9);
    let l = live(&p);
    assert_eq!((l.epoch, l.depth, l.refresh, l.delay), (Some(0.0), Some(60.0), Some(100.0), None));
    assert!(!l.low_latency && l.location.is_none() && l.patch.is_none());
    assert_eq!(l.published.as_deref(), Some("1970-01-01T00:00:00Z"));
    assert_eq!(
        l.clocks,
        [
            ClockSource::Head("https://example.com/head".into()),
            ClockSource::Head("https://example.com/live/a/head2".into()),
            ClockSource::Body("https://time.example.com/?iso&ms".into()),
            ClockSource::Body("https://time.example.com/iso".into()),
            ClockSource::Direct(1_700_000_000.5),
        ]
    );
    assert_eq!(
        p.warnings,
        [
            "UTCTiming: scheme not supported: urn:mpeg:dash:utc:http-ntp:2014",
            "UTCTiming: scheme not supported: urn:mpeg:dash:utc:ntp:2014"
        ]
    );

    let p = at("livesim-low-latency.mpd", 1.7e9);
    let l = live(&p);
    assert_eq!((l.low_latency, l.refresh), (true, Some(0.0)));
    assert_eq!(
        l.latency,
        Some(Latency { target: 3.5, min: Some(2.625), max: Some(7.0) }),
        "not that of a scope"
    );
    assert_eq!(l.rates, Some((0.96, 1.04)));
    let producer: Vec<_> =
        l.producer.iter().map(|t| (&*t.set, t.representation.as_deref(), t.wall, t.time)).collect();
    assert_eq!(producer, [("1", None, 0.25, 1.0), ("2", Some("V300"), 1.0, 1.0)]);

    let p = at("ffmpeg-low-latency.mpd", 1.7e9);
    let l = live(&p);
    assert_eq!((l.latency.unwrap().target, l.rates, l.producer.len()), (1.0, None, 2));
    assert_eq!(l.clocks, [ClockSource::Body("https://time.akamai.com/?iso".into())]);
    assert_eq!(live(&at("ffmpeg-timeline-1.mpd", 1.7e9)).delay, Some(2.0));
    assert_eq!(live(&at("bases.mpd", 1.7e9)).refresh, None);

    let p = at("livesim-time-1.mpd", 1.7e9);
    let patch = live(&p).patch.clone().unwrap();
    assert_eq!(patch.ttl, Some(60.0));
    assert!(patch.url.starts_with("https://example.com/patch/livesim2/Manifest.mpp?publishTime="));
    let p = at("multi-period-1.mpd", 1.7e9);
    assert_eq!(
        live(&p).location.as_deref(),
        Some("https://origin.example.com/live/channel.isml/.mpd?session=7")
    );
}

#[test]
fn events_lie_on_the_timeline_of_the_presentation() {
    let p = at("multi-period-1.mpd", 1.7e9);
    let events: Vec<_> = p.periods[0]
        .events
        .iter()
        .map(|e| (&*e.value, &*e.id, e.start - 1_699_999_000.0, e.duration, String::from_utf8_lossy(&e.data)))
        .collect();
    assert_eq!(
        events,
        [
            (
                "splice",
                "5",
                10.0,
                Some(8.0),
                "<scte35:Signal><scte35:Binary>/DAlAAAAAAAAAP/wFAUAAAAEf+/+kybGyP4BSvaQAAEBAQAArky/3g==</scte35:Binary></scte35:Signal>".into()
            ),
            ("splice", "6", 4.0, None, "Hello".into()),
            ("splice", "", -1.0, None, "a & b".into()),
            ("", "", 3.0, None, "<x/>".into()),
        ]
    );
    assert_eq!(&*p.periods[0].events[0].scheme, "urn:scte:scte35:2014:xml+bin");
    assert_eq!(p.periods[0].sets[1].inband, [("urn:mpeg:dash:event:2012".to_owned(), "1".to_owned())]);
    assert_eq!(p.periods[0].sets[0].inband, []);

    assert_eq!(validity(b"2023-11-14T22:13:21Z\0"), Some("2023-11-14T22:13:21Z"));
    assert_eq!(validity(b"2023-11-14T22:13:21Z"), Some("2023-11-14T22:13:21Z"));
    assert_eq!(validity(b"2023-11-14T22:13:21Z\0<Patch/>"), Some("2023-11-14T22:13:21Z"));
    for none in [&b""[..], b"\0", b"tomorrow", b"\xff2023-11-14T22:13:21Z"] {
        assert_eq!(validity(none), None);
    }
}

#[test]
fn answers_of_time_servers_are_read() {
    assert_eq!(clock(b"2023-11-14T22:13:20.125Z\n"), Some(1_700_000_000.125));
    assert_eq!(clock(b" 2023-11-14T23:13:20+01:00"), Some(1_700_000_000.0));
    for other in [&b""[..], b"<html>T</html>", &[b'1'; 200], b"\xff\xfe"] {
        assert_eq!(clock(other), None);
    }
}

#[test]
fn periods_begin_and_end_by_the_clock() {
    let p = at("multi-period-2.mpd", 1_700_000_005.0);
    // The first period ended 5 s ago: by the clock, the segments before the buffer of 20 s are gone.
    let index = |period: usize| &p.periods[period].sets[1].representations[0].index;
    let starts = |index: &SegmentIndex| -> Vec<f64> {
        (0..index.len()).map(|i| index.span(i).unwrap().0 - 1.7e9).collect()
    };
    assert_eq!((starts(index(0)), starts(index(1))), (vec![-16.0, -12.0, -8.0, -4.0], vec![0.0]));
    assert_eq!(p.window(1_700_000_005.0), Some((1_699_999_985.0, 1_700_000_004.0)));
    assert_eq!(p.next_available(1_700_000_005.0), Some(1_700_000_008.0));
    assert_eq!(index(1).segment(0).unwrap().url, "https://ads.example.com/spot/channel-video=1000000-1.dash");

    let p = at("multi-period-1.mpd", 1.7e9);
    assert_eq!(
        (p.periods.len(), p.warnings.len()),
        (1, 1),
        "a period without a start waits: {:?}",
        p.warnings
    );
    let p = at("multi-period-3.mpd", 1_700_000_003.0);
    assert_eq!(p.periods.iter().map(|p| p.duration).collect::<Vec<_>>(), [Some(8.0), None]);
    assert!(representation(&p, "audio=128000").index.is_empty(), "a period to come");
    assert_eq!(p.next_available(1_700_000_003.0), Some(1_700_000_004.0));
}

#[test]
fn offsets_are_summed_over_the_levels() {
    let e = date("2026-01-01T00:00:00Z");
    // BaseURL 1 s + 0.5 s, SegmentTemplate 1.5 s, not complete: 3 s before the end of 4 s.
    let p = parse(&bytes("bases.mpd"), BASE).unwrap();
    let mut p = Presentation { warnings: Vec::new(), ..p };
    p.advance(e + 100.9);
    assert_eq!(numbers(&p, "v"), Some((21, 25, 0)));
    p.advance(e + 101.0);
    assert_eq!(numbers(&p, "v"), Some((21, 26, 1)));
    assert_eq!(p.edge(e + 101.0), Some(100.0));
    assert_eq!(p.edge(e + 102.5), Some(101.5));
    let text = representation(&p, "t");
    assert_eq!(text.index.segment(text.index.len() - 1).unwrap().url, "https://text.example.com/t25");
    // Available for ever: a minute ahead of the clock, and the edge is the clock.
    let v = &mut p.periods[0].sets[0].representations[0];
    assert!(v.switch_base(1));
    assert_eq!(v.bases.all[1].url, "https://b.example.com/video/");
    p.advance(e + 101.0);
    assert_eq!(numbers(&p, "v"), Some((21, 40, 15)));
    assert!(!live(&at("livesim-number.mpd", 0.0)).low_latency);
}

#[test]
fn the_end_of_availability_ends_it() {
    let mpd = String::from_utf8(bytes("livesim-number.mpd")).unwrap();
    let mpd = mpd.replace("publishTime", "availabilityEndTime=\"2023-11-14T22:13:20Z\" publishTime");
    let mut p = parse_at(mpd.as_bytes(), BASE, Some(1.7e9 - 0.5)).unwrap();
    assert_eq!(live(&p).available_until, Some(1.7e9));
    assert_eq!(representation(&p, "V300").index.len(), 30);
    p.advance(1.7e9);
    assert_eq!(representation(&p, "V300").index.len(), 0);
    assert_eq!((p.window(1.7e9), p.next_available(1.7e9)), (None, None));
}

/// A live MPD with one representation.
fn mpd(root: &str, period: &str, template: &str) -> String {
    format!(
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"dynamic\" {root}><Period {period}><AdaptationSet contentType=\"video\">\
         <SegmentTemplate media=\"$Number$-$Time$\" {template}</SegmentTemplate><Representation id=\"r\" bandwidth=\"1\"/>\
         </AdaptationSet></Period></MPD>"
    )
}

#[test]
fn times_that_make_no_sense_give_nothing_or_a_warning() {
    let now = 1.7e9;
    let ast = "availabilityStartTime=\"2023-11-14T22:00:00Z\"";
    let two = "duration=\"2\">";
    let huge = "timescale=\"4294967295\" presentationTimeOffset=\"9223372036854775807\" duration=\"1\">";
    let lines = "<SegmentTimeline><S t=\"9223372036854775000\" d=\"100\" r=\"-1\"/></SegmentTimeline>";
    for (root, period, template, listed) in [
        (ast, "", two, Some(400)),
        ("availabilityStartTime=\"2099-01-01T00:00:00Z\"", "", two, Some(0)),
        ("availabilityStartTime=\"soon\"", "", two, Some(1_000_000)),
        (ast, "start=\"PT9999999999S\"", two, Some(0)),
        (ast, "start=\"P99999999999999Y\"", two, Some(0)),
        (ast, "start=\"-PT5S\"", two, Some(400)),
        (ast, "duration=\"PT10S\"", two, Some(5)),
        (ast, "duration=\"PT11S\"", two, Some(6)),
        (ast, "duration=\"P900000000000Y\"", two, Some(400)),
        (&[ast, " timeShiftBufferDepth=\"P100Y\""].concat(), "", two, Some(400)),
        (&[ast, " timeShiftBufferDepth=\"-PT5S\""].concat(), "", two, Some(400)),
        (&[ast, " timeShiftBufferDepth=\"PT0S\""].concat(), "", two, Some(1)),
        (ast, "", "duration=\"2\" availabilityTimeOffset=\"-1e300\">", Some(0)),
        (ast, "", "duration=\"2\" availabilityTimeOffset=\"-INF\">", Some(0)),
        (ast, "", "duration=\"2\" availabilityTimeOffset=\"1e300\">", Some(430)),
        (ast, "", "duration=\"2\" startNumber=\"18446744073709551615\">", None),
        (ast, "", "duration=\"2\" endNumber=\"7\">", Some(7)),
        (ast, "", "duration=\"2\" startNumber=\"9\" endNumber=\"7\">", Some(0)),
        (ast, "", "duration=\"1e300\">", Some(0)),
        (ast, "", "timescale=\"4294967295\" duration=\"1e-300\">", Some(1_000_000)),
        (ast, "", huge, None),
        (ast, "", &["timescale=\"1\">", lines].concat(), None),
        (
            ast,
            "",
            "timescale=\"1000\"><SegmentTimeline><S d=\"2000\" r=\"-1\"/></SegmentTimeline>",
            Some(400),
        ),
        (ast, "", "timescale=\"1000\"><SegmentTimeline/>", Some(0)),
        (&[ast, " minimumUpdatePeriod=\"-PT5S\" publishTime=\"never\""].concat(), "", two, Some(400)),
    ] {
        let text = mpd(root, period, template);
        let Ok(mut p) = parse_at(text.as_bytes(), BASE, Some(now)) else { panic!("{text}") };
        let index = |p: &Presentation| p.periods[0].sets[0].representations[0].index.clone();
        if let Some(listed) = listed {
            assert_eq!(index(&p).len(), listed, "{text}");
        }
        for now in [0.0, now, -1e300, 1e300, now + 1.0, f64::MAX, f64::MIN, f64::INFINITY, f64::NAN] {
            p.advance(now);
            let index = index(&p);
            assert!(index.len() <= 1_000_000);
            for i in [0, index.len() / 2, index.len().wrapping_sub(1)] {
                if let Some(segment) = index.segment(i) {
                    index.position(segment.number);
                }
            }
            let _ = (p.window(now), p.edge(now), p.next_available(now), index.find(now));
        }
    }
    let p =
        parse_at(mpd("availabilityStartTime=\"2099-01-01T00:00:00Z\"", "", two).as_bytes(), BASE, Some(now));
    assert_eq!(p.unwrap().warnings, ["The presentation starts in the future (@availabilityStartTime)."]);
}

#[test]
fn a_window_shorter_than_a_segment_holds_the_newest_one() {
    let five = "duration=\"5\">";
    let chunks = "duration=\"5\" availabilityTimeOffset=\"4\" availabilityTimeComplete=\"false\">";
    let lines = "><SegmentTimeline><S t=\"0\" d=\"5\" r=\"1\"/></SegmentTimeline>";
    let open = "><SegmentTimeline><S t=\"0\" d=\"5\" r=\"-1\"/></SegmentTimeline>";
    let ten = "duration=\"PT10S\"";
    let two = Some((2, 2, 0));
    for depth in ["PT0S", "PT2S"] {
        for (period, template, now, expected, window) in [
            ("", five, 4.9, None, None),
            ("", five, 10.0, two, Some((5.0, 10.0))),
            ("", five, 14.9, two, Some((5.0, 10.0))),
            ("", open, 14.9, two, Some((5.0, 10.0))),
            ("", lines, 60.0, two, Some((5.0, 10.0))),
            ("", chunks, 10.5, two, Some((5.0, 10.0))),
            ("", chunks, 14.5, Some((2, 3, 1)), Some((5.0, 13.5))),
            // A period that is over is not kept.
            (ten, five, 9.9, Some((1, 1, 0)), Some((0.0, 5.0))),
            (ten, five, 13.0, None, None),
        ] {
            let root =
                format!("availabilityStartTime=\"1970-01-01T00:00:00Z\" timeShiftBufferDepth=\"{depth}\"");
            let text = mpd(&root, period, template);
            let p = parse_at(text.as_bytes(), BASE, Some(now)).unwrap();
            assert_eq!((numbers(&p, "r"), p.window(now)), (expected, window), "at {now} of {text}");
        }
    }
}

#[test]
fn a_timeline_far_ahead_of_the_clock_is_believed_in_a_period_that_has_begun() {
    // The encoder's clock runs an hour ahead of its own @availabilityStartTime; or ours is an hour late.
    let template = "timescale=\"1\"><SegmentTimeline><S t=\"5000\" d=\"2\" r=\"9\"/></SegmentTimeline>";
    let text =
        mpd("availabilityStartTime=\"1970-01-01T00:00:00Z\" timeShiftBufferDepth=\"PT20S\"", "", template);
    let p = parse_at(text.as_bytes(), BASE, Some(1000.0)).unwrap();
    assert_eq!(representation(&p, "r").index.len(), 10);
    assert_eq!(p.window(1000.0), Some((5000.0, 5020.0)));
    // Before the period has begun nothing is.
    let p = parse_at(text.as_bytes(), BASE, Some(-1.0)).unwrap();
    assert_eq!((representation(&p, "r").index.len(), p.window(-1.0)), (0, None));
}

#[test]
fn the_last_number_of_a_timeline_counts_from_its_first() {
    let line = |name: &str| {
        format!(
            "media=\"{name}\" startNumber=\"5\" endNumber=\"7\"><SegmentTimeline><S t=\"2000\" d=\"2\" r=\"9\"/></SegmentTimeline>"
        )
    };
    let root = "availabilityStartTime=\"1970-01-01T00:00:00Z\"";
    for name in ["$Number$", "$Time$"] {
        let text = mpd(root, "", &line(name)).replace("media=\"$Number$-$Time$\" ", "");
        let p = parse_at(text.as_bytes(), BASE, Some(3000.0)).unwrap();
        let index = &representation(&p, "r").index;
        assert_eq!(
            (index.len(), index.span(0), index.end()),
            (3, Some((2000.0, 2.0)), Some(2006.0)),
            "{name}"
        );
    }
}

#[test]
fn lists_without_a_rule_tell_their_window_too() {
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXTINF:3,\nc\n";
    let url = "https://example.com/a.m3u8";
    #[cfg(feature = "hls")]
    {
        use millrace::manifest::hls::{Playlist, Variables, parse};
        let Ok(Playlist::Media(list)) = parse(text.as_bytes(), url, &Variables::default()) else {
            panic!("a list")
        };
        let mut p = list.into_presentation();
        p.advance(1.7e9);
        assert_eq!((p.window(1.7e9), p.edge(0.0)), (Some((0.0, 11.0)), Some(11.0)));
        assert_eq!(p.next_available(1.7e9), None);
    }
    let _ = (text, url);
}
