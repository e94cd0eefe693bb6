//! MPDs that are written unlike most, but with a clear meaning.

use crate::dash::{BASE, mpd, representation, spans, urls};
use millrace::manifest::dash::parse;
use millrace::manifest::*;

const EIGHT: &str = "mediaPresentationDuration=\"PT8S\"";

fn read(xml: &str) -> Presentation {
    parse(xml.as_bytes(), BASE).unwrap_or_else(|e| panic!("{e} in {}", &xml[..xml.len().min(500)]))
}

/// An MPD of 8 s with these elements in it.
fn root(inside: &str) -> String {
    format!("<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" {EIGHT}>{inside}</MPD>")
}

/// That it takes no longer than what is linear in its length.
fn read_in_no_time(xml: &str, count: usize) {
    #[expect(clippy::disallowed_methods, reason = "what is quadratic would take minutes")]
    let start = std::time::Instant::now();
    assert_eq!(representation(&read(xml), "r").index.len(), count);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn a_dollar_in_a_base_url_or_an_id_is_no_template() {
    let xml = root(
        "<BaseURL>a$1/</BaseURL><BaseURL>https://b.example.com/$Number$/$x</BaseURL><Period><AdaptationSet contentType=\"video\">\
         <SegmentTemplate initialization=\"i-$RepresentationID$\" media=\"m$b-$RepresentationID$-$Number$$$\" duration=\"4\"/>\
         <Representation id=\"v$2\" bandwidth=\"1\"/></AdaptationSet></Period>",
    );
    let base = "https://acct.blob.core.windows.net/$web/v/m.mpd";
    let mut r = parse(xml.as_bytes(), base).unwrap().periods[0].sets[0].representations[0].clone();
    for (base, dir) in [
        (0, "https://acct.blob.core.windows.net/$web/v/a$1"),
        (1, "https://b.example.com/$Number$"),
        (0, "https://acct.blob.core.windows.net/$web/v/a$1"),
    ] {
        r.switch_base(base);
        assert_eq!(urls(&r.index), [format!("{dir}/m$b-v$2-1$"), format!("{dir}/m$b-v$2-2$")]);
        assert_eq!(r.index.segment(0).unwrap().init.unwrap().url, format!("{dir}/i-v$2"));
    }
}

#[test]
fn pictures_with_sound_are_pictures() {
    let muxed = "mimeType=\"video/mp4\" codecs=\"avc1.4d401f,mp4a.40.2\"";
    let sound = "<ContentComponent id=\"1\" contentType=\"audio\" lang=\"de\"/>";
    let both = [sound, "<ContentComponent id=\"2\" contentType=\"video\" lang=\"en\"/>"].concat();
    use ContentType::{Audio, Video};
    for (set, components, format, expected) in [
        ("", &*both, muxed, (Video, Some("de"))),
        ("lang=\"it\"", &both, muxed, (Video, Some("it"))),
        ("", &both, "mimeType=\"video/mp4\"", (Video, Some("de"))),
        ("", sound, muxed, (Video, Some("de"))),
        ("", sound, "mimeType=\"video/mp4\"", (Audio, Some("de"))),
        ("contentType=\"audio\"", "", muxed, (Video, None)),
        ("contentType=\"audio\"", "", "mimeType=\"video/mp4\" codecs=\"mp4a.40.2\"", (Audio, None)),
    ] {
        let xml = root(&format!(
            "<Period><AdaptationSet {set}>{components}<Representation id=\"r\" bandwidth=\"1\" {format}><BaseURL>r</BaseURL>\
             </Representation></AdaptationSet></Period>"
        ));
        let p = read(&xml);
        let set = &p.periods[0].sets[0];
        assert_eq!((set.content, set.lang.as_deref()), expected, "{xml}");
    }
}

#[test]
fn elements_of_no_namespace_or_of_another_year_are_those_of_the_mpd() {
    let period = |namespace: &str| {
        format!(
            "<Period xmlns=\"{namespace}\"><AdaptationSet contentType=\"video\"><Representation id=\"r\" bandwidth=\"1\">\
             <SegmentTemplate media=\"$Time$\" duration=\"4\"/></Representation></AdaptationSet></Period>"
        )
    };
    for namespace in ["", "urn:mpeg:DASH:schema:MPD:2011", "urn:mpeg:dash:schema:mpd:2019"] {
        let p = read(&root(&period(namespace)));
        assert_eq!((representation(&p, "r").index.len(), p.warnings.len()), (2, 0), "{namespace}");
    }
    // What is not, is told.
    let p = read(&root(&[period("urn:example:other"), period("")].concat()));
    assert_eq!((p.periods.len(), p.warnings.len()), (1, 1));
    assert!(p.warnings[0].contains("Period"), "{}", p.warnings[0]);
}

#[test]
fn long_lists_are_read_in_no_time() {
    let list = ["<SegmentList duration=\"1\">", &"<SegmentURL/>".repeat(200_000), "</SegmentList>"].concat();
    read_in_no_time(
        &mpd("mediaPresentationDuration=\"PT200000S\"", &["<BaseURL>x</BaseURL>", &list].concat()),
        200_000,
    );
}

#[test]
fn elements_that_resolve_to_nothing_are_not_there() {
    let zero = "xmlns:x=\"http://www.w3.org/1999/xlink\" x:href=\"urn:mpeg:dash:resolve-to-zero:2013\"";
    let set = |attributes: &str| {
        format!(
            "<AdaptationSet contentType=\"video\" {attributes}><Representation id=\"r\" bandwidth=\"1\">\
             <SegmentTemplate media=\"$Number$\" duration=\"4\"/></Representation></AdaptationSet>"
        )
    };
    let p = read(&root(&format!(
        "<Period id=\"a\" duration=\"PT4S\">{}{}</Period><Period id=\"no\" duration=\"PT3S\" {zero}>{}</Period><Period id=\"b\">{}</Period>",
        set(zero),
        set("id=\"a\""),
        set(""),
        set("")
    )));
    let times: Vec<_> = p.periods.iter().map(|p| (&*p.id, p.start, p.duration)).collect();
    assert_eq!(times, [("a", 0.0, Some(4.0)), ("b", 4.0, Some(4.0))]);
    let sets: Vec<_> = p.periods[0].sets.iter().map(|s| &*s.id).collect();
    assert_eq!((sets, p.warnings), (vec!["a"], vec![]));
}

#[test]
fn sets_and_representations_for_trick_modes_are_not_for_playback() {
    let trick =
        |name: &str| format!("<{name} schemeIdUri=\"http://dashif.org/guidelines/trickmode\" value=\"1\"/>");
    let rep = |id: &str, inside: &str| {
        format!("<Representation id=\"{id}\" bandwidth=\"1\">{inside}</Representation>")
    };
    use ContentType::{Other, Video};
    for name in ["EssentialProperty", "SupplementalProperty"] {
        for (set, one, two, content, count) in [
            ("", "", "", Video, 2),
            (&*trick(name), "", "", Other, 2),
            ("", "", &*trick(name), Video, 1),
            ("", &trick(name), &trick(name), Other, 2),
        ] {
            let p = read(&root(&format!(
                "<Period><AdaptationSet contentType=\"video\"><SegmentTemplate media=\"$RepresentationID$-$Number$\" duration=\"4\"/>\
                 {set}{}{}</AdaptationSet></Period>",
                rep("1", one),
                rep("2", two)
            )));
            let found = &p.periods[0].sets[0];
            assert_eq!(
                (found.content, found.representations.len()),
                (content, count),
                "{name} {set} {one} {two}"
            );
            assert_eq!(found.roles.iter().any(|r| r == "trickmode"), content == Other);
            assert_eq!(p.warnings, Vec::<String>::new());
        }
    }
}

#[test]
fn segments_of_a_list_keep_fractions_of_their_duration() {
    let p = read(&mpd(
        "mediaPresentationDuration=\"PT28.8S\"",
        "<SegmentList duration=\"9.6\" presentationTimeOffset=\"5\"><SegmentURL media=\"1\"/><SegmentURL media=\"2\"/>\
         <SegmentURL media=\"3\"/></SegmentList>",
    ));
    let r = representation(&p, "r");
    let expected = [(0.0, 9.6), (9.6, 9.6), (19.2, 9.6)];
    for ((start, duration), expected) in spans(&r.index).into_iter().zip(expected) {
        assert!(
            (start - expected.0).abs() < 1e-6 && (duration - expected.1).abs() < 1e-6,
            "{start} {duration}"
        );
    }
    let first = r.index.segment(0).unwrap();
    assert_eq!((r.index.len(), first.timestamp_offset, p.warnings), (3, Some(-5.0), vec![]));
}

#[test]
fn of_decimal_numbers_the_whole_part_is_taken_where_integers_are_due() {
    let list = mpd(
        EIGHT,
        "<SegmentList timescale=\"1000.0\" duration=\"4000.0\"><SegmentURL media=\"1\"/><SegmentURL media=\"2\"/></SegmentList>",
    )
    .replace("bandwidth=\"1\"", "bandwidth=\"1000.5\"");
    let timeline = mpd(
        EIGHT,
        "<SegmentTemplate timescale=\"1000\" media=\"$Number$\"><SegmentTimeline><S t=\"0.0\" d=\"4000.0\" r=\"1.0\"/>\
         </SegmentTimeline></SegmentTemplate>",
    );
    for (xml, bandwidth) in [(list, 1000), (timeline, 1)] {
        let p = read(&xml);
        let r = representation(&p, "r");
        assert_eq!((spans(&r.index), r.bandwidth), (vec![(0.0, 4.0), (4.0, 4.0)], bandwidth));
        assert_eq!(p.warnings, Vec::<String>::new());
    }
}

#[test]
fn numbers_that_a_timeline_leaves_out_are_left_out() {
    let p = read(&mpd(
        "mediaPresentationDuration=\"PT16S\"",
        "<SegmentTemplate timescale=\"1000\" presentationTimeOffset=\"4000\" media=\"$Number$-$Time$\"><SegmentTimeline>\
         <S t=\"0\" n=\"7\" d=\"4000\" r=\"1\"/><S t=\"8000\" d=\"4000\" n=\"20\"/><S d=\"4000\"/><S d=\"4000\" n=\"23\"/>\
         </SegmentTimeline></SegmentTemplate>",
    ));
    let dir = "https://example.com/vod/movie/";
    let names = ["8-4000", "20-8000", "21-12000", "23-16000"];
    assert_eq!(urls(&representation(&p, "r").index), names.map(|n| format!("{dir}{n}")));
    assert_eq!(p.warnings, Vec::<String>::new());
}

#[test]
fn stray_ampersands_are_read_in_no_time() {
    read_in_no_time(&mpd(EIGHT, &["<BaseURL>", &"&".repeat(2_000_000), "</BaseURL>"].concat()), 0);
}

#[test]
fn a_presentation_of_no_duration_has_that_of_its_segments() {
    let p = read(&mpd(
        "mediaPresentationDuration=\"PT0S\"",
        "<SegmentTemplate media=\"$Number$\"><SegmentTimeline><S d=\"4\" r=\"1\"/></SegmentTimeline></SegmentTemplate>",
    ));
    assert_eq!((p.duration, p.periods[0].duration), (Some(8.0), Some(8.0)));
}
