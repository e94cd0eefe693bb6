//! MPDs, each about one feature, and what must come out of them.

use millrace::manifest::dash::{looks_like, parse, parse_at};
use millrace::manifest::*;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dash")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

pub const BASE: &str = "https://example.com/vod/movie/manifest.mpd?token=1";

fn read(name: &str) -> Presentation {
    parse(&bytes(name), BASE).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn template_with_duration_counts_segments_and_shortens_the_last() {
    let p = read("template-number.mpd");
    assert_eq!(p.warnings, Vec::<String>::new());
    assert_eq!((p.protocol, p.kind, p.duration), (Protocol::Dash, PresentationType::Static, Some(21.5)));
    let [period] = &p.periods[..] else { panic!("one period") };
    assert_eq!((period.id.as_str(), period.start, period.duration), ("period-1", 0.0, Some(21.5)));
    let [video, audio] = &period.sets[..] else { panic!("two sets") };
    assert_eq!((video.id.as_str(), video.content, video.default), ("video", ContentType::Video, true));
    assert_eq!((audio.id.as_str(), audio.content, audio.default), ("audio-en", ContentType::Audio, false));
    assert_eq!((audio.lang.as_deref(), audio.label.as_deref()), (Some("en"), Some("English")));
    let [low, high] = &video.representations[..] else { panic!("two representations") };
    assert_eq!((low.id.as_str(), low.bandwidth, low.width, low.height), ("240p", 400_000, 426, 240));
    assert_eq!(
        (low.codecs.as_str(), low.mime_type.as_str(), low.frame_rate),
        ("avc1.640015", "video/mp4", 15.0)
    );
    assert_eq!((high.id.as_str(), high.codecs.as_str()), ("720p", "avc1.64001f"));
    assert!((high.frame_rate - 29.97).abs() < 0.001);
    let a = &audio.representations[0];
    assert_eq!((a.sample_rate, a.channels), (48_000, 2));

    assert_eq!(high.index.len(), 6);
    let first = high.index.segment(0).unwrap();
    assert_eq!(first.url, "https://example.com/vod/movie/720p/03000000/seg-00000.m4s");
    assert_eq!(first.init.as_ref().unwrap().url, "https://example.com/vod/movie/720p/init.mp4");
    assert_eq!((first.start, first.duration, first.timestamp_offset), (0.0, 4.0, Some(0.0)));
    let last = high.index.segment(5).unwrap();
    assert_eq!(last.url, "https://example.com/vod/movie/720p/03000000/seg-00005.m4s");
    assert_eq!((last.start, last.duration), (20.0, 1.5));
    assert_eq!(high.index.segment(6), None);
    assert_eq!(
        (high.index.find(3.99), high.index.find(4.0), high.index.find(21.6)),
        (Some(0), Some(1), None)
    );
    assert_eq!(a.index.segment(0).unwrap().url, "https://example.com/vod/movie/a/1.m4s");
}

/// `(start, duration)` of all segments of a representation.
pub fn spans(index: &SegmentIndex) -> Vec<(f64, f64)> {
    (0..index.len()).map(|i| index.span(i).unwrap()).collect()
}

pub fn urls(index: &SegmentIndex) -> Vec<String> {
    (0..index.len()).map(|i| index.segment(i).unwrap().url).collect()
}

pub fn representation<'p>(p: &'p Presentation, id: &str) -> &'p Representation {
    let mut all = p.periods.iter().flat_map(|p| &p.sets).flat_map(|s| &s.representations);
    all.find(|r| r.id == id).unwrap_or_else(|| panic!("no representation {id}"))
}

fn pending(r: &Representation) -> &IndexSource {
    let SegmentIndex::Pending(source) = &r.index else { panic!("{} is not pending", r.id) };
    source
}

#[test]
fn timeline_is_cut_to_its_period_and_stays_run_length_encoded() {
    let p = read("timeline-time.mpd");
    assert_eq!(p.warnings, Vec::<String>::new());
    let r = representation(&p, "v1");
    // Media time 10 s is the start of the period: the first two entries end before it, the third laps over it.
    assert_eq!(
        spans(&r.index),
        [
            (-2.0, 4.0),
            (2.0, 4.0),
            (6.0, 4.0),
            (14.0, 2.0),
            (16.0, 2.0),
            (18.0, 2.0),
            (20.0, 2.0),
            (22.0, 4.0),
            (26.0, 4.0),
            (30.0, 4.0),
            (34.0, 4.0),
            (38.0, 4.0)
        ]
    );
    let third = r.index.segment(3).unwrap();
    assert_eq!(third.url, "https://cdn.example.com/a/v1/t2160000.m4s");
    assert_eq!(third.timestamp_offset, Some(-10.0));
    let (SegmentIndex::Template(one), SegmentIndex::Template(two)) =
        (&r.index, &representation(&p, "v2").index)
    else {
        panic!("templates")
    };
    assert_eq!(one.runs.len(), 3, "five entries of one duration are one run");
    assert!(std::rc::Rc::ptr_eq(&one.runs, &two.runs), "representations share their timeline");
    assert_eq!(p.periods[0].sets[0].id, "7");
}

#[test]
fn lists_take_times_from_duration_or_timeline_and_attributes_from_all_levels() {
    let p = read("segment-list.mpd");
    assert_eq!(p.warnings, Vec::<String>::new());
    let files = representation(&p, "files");
    // @presentationTimeOffset shifts media time, not the position of numbered segments.
    assert_eq!(spans(&files.index), [(0.0, 4.0), (4.0, 4.0), (8.0, 2.0)]);
    let dir = "https://example.com/vod/movie/";
    assert_eq!(urls(&files.index), [1, 2, 3].map(|i| format!("{dir}v/{i}.m4s")));
    let second = files.index.segment(1).unwrap();
    assert_eq!(second.init.unwrap().url, format!("{dir}v/init.mp4"));
    assert_eq!(second.timestamp_offset, Some(-2.0));

    let ranges = representation(&p, "ranges");
    assert_eq!(urls(&ranges.index), vec![format!("{dir}whole.mp4"); 3]);
    let range = |i| ranges.index.segment(i).unwrap().range;
    assert_eq!(range(0), Some(ByteRange { first: 1000, last: Some(1999) }));
    assert_eq!(range(2), Some(ByteRange { first: 3000, last: None }));
    let init = ranges.index.segment(0).unwrap().init.unwrap();
    assert_eq!((init.url.as_str(), init.range.unwrap().len()), (&*format!("{dir}whole.mp4"), Some(1000)));

    assert_eq!(spans(&representation(&p, "timeline").index), [(0.0, 3.0), (3.0, 5.0), (8.0, 5.0)]);
}

#[test]
fn self_indexed_files_wait_for_their_index() {
    let p = read("segment-base.mpd");
    let source = pending(representation(&p, "ranges"));
    assert_eq!(
        (source.kind, source.url.as_str()),
        (IndexKind::Sidx, "https://example.com/vod/movie/media/720.mp4")
    );
    assert_eq!(source.range, Some(ByteRange { first: 800, last: Some(1299) }));
    assert_eq!(source.init.as_ref().unwrap().range, Some(ByteRange { first: 0, last: Some(799) }));
    // The period starts at 5 s with media time 3 s.
    assert_eq!((source.timestamp_offset, source.end), (2.0, Some(60.0)));

    let source = pending(representation(&p, "no-range"));
    assert_eq!((source.range, source.init.as_ref(), source.timestamp_offset), (None, None, 2.0));
    let source = pending(representation(&p, "webm"));
    assert_eq!((source.kind, source.timestamp_offset), (IndexKind::Cues, 5.0));
    let source = pending(representation(&p, "bare"));
    assert_eq!((source.kind, source.url.as_str()), (IndexKind::Sidx, "https://other.example.com/a.mp4"));
    assert_eq!((source.range, source.init.as_ref()), (None, None));
    assert_eq!(p.duration, Some(60.0));
}

#[test]
fn base_urls_resolve_level_by_level() {
    let p = read("base-urls.mpd");
    assert_eq!(p.warnings, Vec::<String>::new());
    for (id, url) in [
        ("r1", "https://example.com/vod/m/p1/set&x/r1/r1.m4s?a=1&b=2"),
        ("r2", "https://example.com/top/r2.m4s?a=1&b=2"),
        ("r3", "https://host.example.com/r3/r3.m4s?a=1&b=2"),
        ("r4", "https://example.com/vod/m/p1/set&x/r4.m4s?a=1&b=2"),
    ] {
        assert_eq!(urls(&representation(&p, id).index), [url]);
    }
}

#[test]
fn periods_take_their_times_from_their_neighbours() {
    let p = read("periods.mpd");
    let times: Vec<_> = p.periods.iter().map(|p| (p.id.as_str(), p.start, p.duration)).collect();
    assert_eq!(
        times,
        [
            ("a", 0.0, Some(10.0)),
            ("b", 10.0, Some(15.0)),
            ("period-4", 30.0, Some(10.0)),
            ("period-5", 40.0, Some(20.0))
        ]
    );
    assert_eq!(p.warnings, ["Period nothing has nothing to play."]);
    let index = |period: usize| &p.periods[period].sets[0].representations[0].index;
    assert_eq!(spans(index(0)), [(0.0, 4.0), (4.0, 4.0), (8.0, 2.0)]);
    assert_eq!(spans(index(1)), [(10.0, 4.0), (14.0, 4.0), (18.0, 4.0), (22.0, 3.0)]);
    let first = index(1).segment(0).unwrap();
    assert_eq!(
        (first.url.as_str(), first.timestamp_offset),
        ("https://example.com/vod/movie/b/26.m4s", Some(-90.0))
    );
    assert_eq!(index(2).len(), 3, "@endNumber");
    assert_eq!(index(3).len(), 5);
    assert_eq!(p.periods[1].sets[0].representations[0].codecs, "hvc1.1.6.L93.B0");
}

#[test]
fn sets_are_classified_named_and_left_out() {
    let p = read("sets.mpd");
    let sets: Vec<_> = p.periods.iter().flat_map(|p| &p.sets).map(|s| (s.id.as_str(), s.content)).collect();
    assert_eq!(
        sets,
        [
            ("video", ContentType::Video),
            ("other-trickmode", ContentType::Other),
            ("other-thumbnails", ContentType::Other),
            ("audio-de", ContentType::Audio),
            ("audio-de-description", ContentType::Audio),
            ("audio-de-2", ContentType::Audio),
            ("audio-de-3", ContentType::Audio),
            ("subs", ContentType::Text),
            ("text-en", ContentType::Text)
        ]
    );
    let set = |id: &str| p.periods.iter().flat_map(|p| &p.sets).find(|s| s.id == id).unwrap();
    assert!(set("video").encrypted && !set("audio-de").encrypted);
    assert!(set("audio-de").default && !set("audio-de-2").default);
    let ids: Vec<_> =
        set("audio-de-description").representations.iter().map(|r| (r.id.as_str(), r.bandwidth)).collect();
    assert_eq!(ids, [("ad-2", 10), ("ad", 20)]);
    assert_eq!((representation(&p, "ac3").channels, representation(&p, "ac3").sample_rate), (6, 48_000));
    assert_eq!(representation(&p, "aac").channels, 6);
    assert_eq!(
        (set("subs").label.as_deref(), &set("subs").roles[..]),
        (Some("Sous-titres"), &["subtitle".to_owned()][..])
    );
    let vtt = representation(&p, "vtt");
    assert_eq!(
        (spans(&vtt.index), urls(&vtt.index)),
        (vec![(8.0, 4.0)], vec!["https://example.com/vod/movie/subs/en.vtt".to_owned()])
    );
    let text = p.warnings.join("\n");
    assert!(text.contains("urn:example:sphere") && text.contains("@dependencyId"), "{text}");
    assert_eq!(p.warnings.len(), 2, "{text}");
}

#[test]
fn names_are_resolved_by_namespace_not_by_prefix() {
    let p = read("prefixes.mpd");
    let set = &p.periods[0].sets[0];
    assert_eq!((set.id.as_str(), set.representations.len()), ("own", 1));
    // Entities that a document defines are not expanded.
    assert_eq!(set.representations[0].id, "&bomb;");
    let dir = "https://example.com/vod/movie/";
    assert_eq!(urls(&set.representations[0].index), [format!("{dir}0"), format!("{dir}4")]);
    assert_eq!(
        p.warnings,
        [
            "Period was left out: its namespace is not that of DASH.",
            "A remote AdaptationSet (xlink) was not fetched."
        ]
    );
}

#[test]
fn faulty_optional_attributes_cost_only_themselves() {
    let p = read("faulty-attributes.mpd");
    let r = representation(&p, "r");
    assert_eq!((r.width, r.frame_rate, r.bandwidth), (0, 0.0, 1000));
    assert_eq!(p.periods[0].sets[0].roles, ["main", "alternate"]);
    assert_eq!(spans(&r.index), [(0.0, 4.0), (2.0, 4.0), (4.0, 4.0)]);
    assert_eq!(r.index.segment(0).unwrap().url, "https://example.com/vod/movie/1");
    let text = p.warnings.join("\n");
    for what in [
        "width",
        "startNumber=\"first\"",
        "presentationTimeOffset=\"-1\"",
        "availabilityTimeOffset",
        "without a usable @d",
    ] {
        assert!(text.contains(what), "{what} is not in\n{text}");
    }
}

#[test]
fn dynamic_templates_show_what_is_available_now() {
    // 130 s after the start of the period: 32 segments are complete, those older than 20 s are gone.
    let now = 1_767_225_600.0 + 230.0;
    let p = parse_at(&bytes("dynamic.mpd"), BASE, Some(now)).unwrap();
    assert_eq!((p.kind, p.duration), (PresentationType::Dynamic, None));
    let v = representation(&p, "v");
    assert_eq!(spans(&v.index), [(208.0, 4.0), (212.0, 4.0), (216.0, 4.0), (220.0, 4.0), (224.0, 4.0)]);
    assert_eq!(v.index.segment(0).unwrap().url, "https://example.com/vod/movie/v37.m4s");
    assert_eq!(representation(&p, "a").index.len(), 5, "a timeline is as listed");

    // Segments that are available for ever are listed a little ahead.
    let inside = "<SegmentTemplate media=\"$Number$\" duration=\"2\" availabilityTimeOffset=\"INF\"/>";
    let endless = mpd(
        "type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\" timeShiftBufferDepth=\"PT40S\"",
        inside,
    );
    let p = parse_at(endless.as_bytes(), BASE, Some(1000.0)).unwrap();
    assert_eq!((p.periods[0].start, representation(&p, "r").index.len()), (0.0, 50));

    let p = read("dynamic.mpd");
    assert_eq!((representation(&p, "v").index.len(), representation(&p, "a").index.len()), (0, 5));
}

#[test]
fn mpds_are_told_by_their_root_element_in_any_encoding() {
    let name = "template-number.mpd";
    let plain = bytes(name);
    let text = String::from_utf8(plain.clone()).unwrap();
    let little: Vec<u8> =
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let marked = [b"\xef\xbb\xbf", &plain[..]].concat();
    for bytes in [&plain, &little, &big, &marked] {
        assert!(looks_like(&bytes[..512]));
        assert_eq!(parse(bytes, BASE).unwrap().periods[0].sets.len(), 2);
    }
    assert!(looks_like(
        b"\n<!-- a > b --><?x?><!DOCTYPE MPD><mpd:MPD xmlns:mpd='urn:mpeg:dash:schema:mpd:2011'>"
    ));
    assert!(looks_like(b"<MPD"));
    for other in [
        "",
        "<",
        "<!-- MPD",
        "#EXTM3U\n",
        "<html><MPD>",
        "<MPDX>",
        "{}",
        "<SmoothStreamingMedia",
        "\u{0}\u{0}",
    ] {
        assert!(!looks_like(other.as_bytes()), "{other}");
    }
    let mut latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><MPD mediaPresentationDuration='PT1S'><Period><AdaptationSet \
        contentType='video' id='caf\xe9'><Representation id='1' bandwidth='1'><BaseURL>x.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>"
        .to_vec();
    assert_eq!(parse(&latin, BASE).unwrap().periods[0].sets[0].id, "café");
    let root = latin.windows(4).position(|w| w == b"<MPD").unwrap();
    latin.drain(..root);
    let p = parse(&latin, BASE).unwrap();
    assert_eq!((p.periods[0].sets[0].id.as_str(), p.warnings.len()), ("caf\u{fffd}", 1));
}

/// An MPD of one set with `inside` in its only Representation.
pub fn mpd(attributes: &str, inside: &str) -> String {
    format!(
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" {attributes}>\n<Period>\n<AdaptationSet contentType=\"video\">\n\
         <Representation id=\"r\" bandwidth=\"1\">{inside}</Representation></AdaptationSet></Period></MPD>"
    )
}

#[test]
fn what_cannot_be_played_is_a_typed_error_with_its_place() {
    use millrace::error::Code::{FormatUnsupported, ManifestEmpty, ManifestMalformed};
    let ten = "mediaPresentationDuration=\"PT10S\"";
    let deep = ["<MPD>", &"<a>".repeat(100_000)].concat();
    for (xml, code, part) in [
        ("", ManifestMalformed, "No MPD element at line 1"),
        ("<html></html>", ManifestMalformed, "root element is not MPD"),
        ("<MPD>\n<Period>\n<Adaptation", ManifestMalformed, "within a tag at line 3"),
        ("<MPD>\n<Period>\n", ManifestMalformed, "cut off at line 3"),
        ("<MPD><Period></MPD>", ManifestMalformed, "does not match"),
        ("<MPD><Period id=\"a\" id=\"b\"/></MPD>", ManifestMalformed, "twice"),
        ("<MPD a=b/>", ManifestMalformed, "not quoted"),
        ("<MPD/><MPD/>", ManifestMalformed, "second root"),
        (&deep, ManifestMalformed, "too deeply"),
        ("<MPD/>", ManifestEmpty, "no Representation"),
        ("<MPD><Period/></MPD>", ManifestEmpty, "no Representation"),
        (&mpd(ten, ""), ManifestMalformed, "names no segments"),
        (
            &mpd(ten, "<SegmentTemplate media=\"$SubNumber$\" duration=\"1\"/>"),
            FormatUnsupported,
            "$SubNumber$",
        ),
        (&mpd(ten, "<SegmentTemplate duration=\"1\"/>"), ManifestMalformed, "no @media"),
        (
            &mpd(ten, "<SegmentTemplate media=\"x\" duration=\"0\"/>"),
            ManifestMalformed,
            "@duration is not positive",
        ),
        (
            &mpd(ten, "<SegmentTemplate media=\"x\" duration=\"-5\"/>"),
            ManifestMalformed,
            "@duration is not positive",
        ),
        (
            &mpd(ten, "<SegmentTemplate media=\"x\" timescale=\"0\" duration=\"1\"/>"),
            ManifestMalformed,
            "@timescale",
        ),
        (&mpd("", "<SegmentTemplate media=\"x\" duration=\"1\"/>"), ManifestMalformed, "how long"),
        (
            &mpd(ten, "<SegmentTemplate media=\"x\" timescale=\"4294967295\" duration=\"1\"/>"),
            ManifestMalformed,
            "absurd",
        ),
        (
            &mpd(ten, "<SegmentList><SegmentURL/><SegmentURL/></SegmentList>"),
            ManifestMalformed,
            "neither @duration nor",
        ),
        (&mpd(ten, "<SegmentList duration=\"1\"/>"), ManifestEmpty, "none of its segments"),
    ] {
        let error = parse(xml.as_bytes(), BASE).unwrap_err();
        assert_eq!(error.code, code, "{error} for {}", &xml[..xml.len().min(300)]);
        assert!(error.message.contains(part), "{error} lacks {part}");
        assert_eq!(error.url.as_deref(), Some(BASE));
    }
    assert_eq!(parse(b"<MPD>\n<Period>\n<x", BASE).unwrap_err().position, Some(3));
    assert_eq!(parse(mpd(ten, "").as_bytes(), BASE).unwrap_err().position, Some(4), "the Representation");
}

#[test]
fn absurd_timelines_end_in_an_error_or_at_the_end_of_the_period() {
    let timeline = |attributes: &str, s: &str| {
        let inside = format!(
            "<SegmentTemplate media=\"$Time$\" timescale=\"1000\"><SegmentTimeline>{s}</SegmentTimeline></SegmentTemplate>"
        );
        parse(mpd(attributes, &inside).as_bytes(), BASE)
    };
    let ten = "mediaPresentationDuration=\"PT10S\"";
    let count = |p: Presentation| representation(&p, "r").index.len();
    let huge = "<S d=\"4000\" r=\"1000000000000000000\"/>";
    assert_eq!(timeline(ten, huge).map(count).unwrap(), 3);
    assert_eq!(timeline("", huge).unwrap_err().code, millrace::error::Code::ManifestMalformed);
    assert_eq!(
        timeline("", "<S t=\"18446744073709551615\" d=\"9223372036854775807\" r=\"9\"/>").map(count).unwrap(),
        1
    );
    assert_eq!(timeline("", "<S d=\"1000\" r=\"-1\"/>").map(count).unwrap(), 1);
    assert_eq!(timeline(ten, "<S t=\"4000\" d=\"1000\"/><S t=\"0\" d=\"1000\"/>").map(count).unwrap(), 1);
    let p = timeline(ten, "<S t=\"0\" d=\"2000\" r=\"9\"/><S t=\"5000\" d=\"5000\"/>").unwrap();
    assert_eq!(spans(&representation(&p, "r").index), [(0.0, 2.0), (2.0, 2.0), (4.0, 2.0), (5.0, 5.0)]);
    let p = timeline(ten, "<S n=\"7\" d=\"5000\"/><S n=\"8\" d=\"5000\"/>").unwrap();
    let SegmentIndex::Template(t) = &representation(&p, "r").index else { panic!("a template") };
    assert_eq!((t.start_number, t.runs.len()), (7, 1));
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let media = std::env::var_os("MILLRACE_MEDIA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media"), PathBuf::from);
    let mut folders = vec![folder(), media];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "mpd") {
                all.push((path.display().to_string(), std::fs::read(path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

/// Reads and then walks all that came out.
fn walk(xml: &[u8]) -> Option<usize> {
    let p = parse_at(xml, BASE, Some(1_767_225_830.0)).ok()?;
    let mut n = 0;
    for r in p.periods.iter().flat_map(|p| &p.sets).flat_map(|s| &s.representations) {
        let count = r.index.len();
        for i in (0..count.min(50)).chain(count.saturating_sub(50)..count) {
            let segment = r.index.segment(i).unwrap();
            assert!(segment.start.is_finite() && segment.duration > 0.0, "{segment:?}");
            n += 1;
        }
        r.index.find(1.0);
    }
    Some(n)
}

#[test]
fn damaged_manifests_never_panic() {
    for (name, xml) in fixtures() {
        assert!(walk(&xml).is_some(), "{name} cannot be read");
        for end in (0..xml.len()).step_by(97) {
            assert_eq!(walk(&xml[..end]), None, "{name} cut at {end}");
            looks_like(&xml[..end]);
        }
        let mut seed = 0x2545_f491u32;
        for _ in 0..400 {
            let mut damaged = xml.clone();
            for _ in 0..3 {
                // xorshift32: the same bytes in every run.
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                let at = seed as usize % damaged.len();
                damaged[at] ^= 1 << (seed >> 29);
            }
            walk(&damaged);
        }
    }
}

/// Media times of all segments of a timeline as the crate gives it; open ends are left out.
fn expand(timeline: &dash_mpd::SegmentTimeline) -> Vec<u64> {
    let (mut times, mut next) = (Vec::new(), 0);
    for s in &timeline.segments {
        next = s.t.unwrap_or(next);
        for _ in 0..=s.r.unwrap_or(0).max(0) {
            times.push(next);
            next += s.d;
        }
    }
    times
}

#[test]
fn the_crates_own_parser_sees_the_same_manifest() {
    let mut compared = 0;
    for (name, xml) in fixtures() {
        let theirs = dash_mpd::parse(&String::from_utf8(xml.clone()).unwrap());
        // What the crate's parser cannot do and ours must: see de.rs.
        if name.ends_with("faulty-attributes.mpd") || name.ends_with("prefixes.mpd") {
            assert!(theirs.is_err(), "{name}: the crate reads it now");
            continue;
        }
        let theirs = theirs.unwrap_or_else(|e| panic!("{name}: {e}"));
        let ours = parse_at(&xml, BASE, Some(1_767_225_830.0)).unwrap();
        assert_eq!(ours.kind == PresentationType::Dynamic, theirs.mpdtype.as_deref() == Some("dynamic"));
        for period in &theirs.periods {
            for set in &period.adaptations {
                for r in &set.representations {
                    let periods =
                        ours.periods.iter().filter(|p| period.id.as_ref().is_none_or(|id| p.id == *id));
                    let mut all = periods.flat_map(|p| &p.sets).flat_map(|s| &s.representations);
                    let bandwidth = r.bandwidth.unwrap_or(0);
                    let mime_type = r.mimeType.as_ref().or(set.mimeType.as_ref());
                    let codecs = r.codecs.as_ref().or(set.codecs.as_ref());
                    let same = |o: &&Representation| {
                        o.bandwidth == bandwidth
                            && r.id.as_ref().is_some_and(|id| o.id.starts_with(id.as_str()))
                            && Some(o.mime_type.as_str()).filter(|m| !m.is_empty())
                                == mime_type.map(String::as_str)
                            && Some(o.codecs.as_str()).filter(|m| !m.is_empty()) == codecs.map(String::as_str)
                            && u64::from(o.width) == r.width.or(set.width).unwrap_or(0)
                    };
                    let id = r.id.as_deref().unwrap_or("");
                    let Some(our) = all.find(same) else {
                        let told = ours.warnings.join("\n");
                        assert!(
                            ["EssentialProperty", "needs", "nothing tells when it starts", id]
                                .iter()
                                .any(|why| told.contains(why)),
                            "{name} {id}: {told}"
                        );
                        continue;
                    };
                    compared += 1;
                    let template = r.SegmentTemplate.as_ref().or(set.SegmentTemplate.as_ref());
                    let (Some(template), SegmentIndex::Template(index)) = (template, &our.index) else {
                        continue;
                    };
                    assert_eq!(index.timescale.get() as u64, template.timescale.unwrap_or(1), "{name} {id}");
                    if let Some(timeline) = &template.SegmentTimeline {
                        let theirs = expand(timeline);
                        let open = timeline.segments.iter().any(|s| s.r.is_some_and(|r| r < 0));
                        let ours = index
                            .runs
                            .iter()
                            .flat_map(|r| (0..r.count).map(|i| r.time as u64 + i * r.duration as u64));
                        let ours: Vec<u64> = ours.take(theirs.len() + 1).collect();
                        assert!(open || ours.iter().all(|t| theirs.contains(t)), "{name} {id}");
                    }
                }
            }
        }
    }
    assert!(compared >= 30, "{compared}");
}

#[test]
fn ten_thousand_entries_are_read_in_no_time() {
    let entries = |vary: u64| {
        let (mut xml, mut time) = (String::new(), 0);
        for i in 0..10_000 {
            let duration = 180_000 + i % vary;
            xml.push_str(&format!("          <S t=\"{time}\" d=\"{duration}\"/>\n"));
            time += duration;
        }
        mpd(
            "",
            &format!(
                "<SegmentTemplate timescale=\"90000\" media=\"$Time$\"><SegmentTimeline>\n{xml}</SegmentTimeline></SegmentTemplate>"
            ),
        )
    };
    for (vary, runs) in [(1, 1), (7, 10_000)] {
        let xml = entries(vary);
        #[expect(clippy::disallowed_methods, reason = "a measurement, printed for people (--nocapture)")]
        let start = std::time::Instant::now();
        let rounds = 20;
        for _ in 0..rounds {
            let p = parse(xml.as_bytes(), BASE).unwrap();
            let SegmentIndex::Template(t) = &representation(&p, "r").index else { panic!("a template") };
            assert_eq!((t.runs.len(), representation(&p, "r").index.len()), (runs, 10_000));
        }
        println!("{} bytes, {runs} runs: {:?} each", xml.len(), start.elapsed() / rounds);
    }
}
