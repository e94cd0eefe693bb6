//! HLS playlists: what the readers understand, what they repair, and that no input makes them panic.

use millrace::error::{Code, PlayerError};
use millrace::manifest::hls::{self, MediaPlaylist, Playlist, PlaylistType, Variables};
use millrace::manifest::{
    AdaptationSet, ByteRange, ContentType, Presentation, PresentationType, Representation, SegmentIndex,
    SegmentRef,
};
use std::path::PathBuf;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hls").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

const FIXTURES: [&str; 6] = [
    "multivariant.m3u8",
    "multivariant-sloppy.m3u8",
    "audio-only.m3u8",
    "angles.m3u8",
    "vod.m3u8",
    "low-latency.m3u8",
];

const URL: &str = "https://h.example/x/p.m3u8?token=a%20b";

fn parse(text: &[u8]) -> Result<Playlist, PlayerError> {
    hls::parse(text, URL, &Variables::default())
}

fn multivariant(text: &[u8]) -> Presentation {
    match parse(text).unwrap() {
        Playlist::Multivariant(p, _) => p,
        Playlist::Media(_) => panic!("a media playlist"),
    }
}

fn media(text: &[u8]) -> MediaPlaylist {
    match parse(text).unwrap() {
        Playlist::Media(m) => *m,
        Playlist::Multivariant(..) => panic!("a multivariant playlist"),
    }
}

fn segments(m: MediaPlaylist) -> Vec<SegmentRef> {
    let index = SegmentIndex::List(m.index);
    (0..index.len()).filter_map(|i| index.segment(i)).collect()
}

fn set<'p>(p: &'p Presentation, id: &str) -> &'p AdaptationSet {
    let sets = &p.periods[0].sets;
    sets.iter().find(|s| s.id == id).unwrap_or_else(|| panic!("no {id} in {:?}", ids(p)))
}

fn ids(p: &Presentation) -> Vec<&str> {
    p.periods[0].sets.iter().map(|s| s.id.as_str()).collect()
}

fn source(r: &Representation) -> &str {
    match &r.index {
        SegmentIndex::Pending(s) => &s.url,
        _ => "",
    }
}

#[test]
fn variants_become_one_ladder_and_groups_become_sets() {
    let p = multivariant(&fixture("multivariant.m3u8"));
    assert_eq!(p.start_hint, Some(12.5));
    assert_eq!(p.warnings, [""; 0]);
    assert_eq!(
        ids(&p),
        [
            "video",
            "audio-aac-en-English",
            "audio-aac-de-Deutsch",
            "audio-aac-en-English, described",
            "audio-surround-en-English",
            "text-en-English",
            "captions-en-CC",
            "trick"
        ]
    );
    let video = set(&p, "video");
    let ladder: Vec<_> =
        video.representations.iter().map(|r| (r.id.as_str(), r.bandwidth, r.width, r.height)).collect();
    assert_eq!(ladder, [("low", 640_000, 640, 360), ("720p-2228000", 2_228_000, 1280, 720)]);
    let top = &video.representations[1];
    assert_eq!((top.frame_rate, top.average_bandwidth), (29.97, Some(2_000_000)));
    assert_eq!(top.codecs, "avc1.64001f,mp4a.40.2", "AAC leads before Enhanced AC-3");
    assert_eq!(source(top), "https://h.example/x/v720/list.m3u8");
    assert_eq!(
        top.audio_sets,
        [
            "audio-aac-en-English",
            "audio-aac-de-Deutsch",
            "audio-aac-en-English, described",
            "audio-surround-en-English"
        ],
        "the stream was listed with both groups"
    );
    assert_eq!(video.representations[0].audio_sets.len(), 3);

    let english = set(&p, "audio-aac-en-English");
    assert_eq!(
        (english.content, english.default, english.lang.as_deref()),
        (ContentType::Audio, true, Some("en"))
    );
    assert_eq!(english.representations[0].codecs, "mp4a.40.2");
    assert_eq!(english.representations[0].channels, 2);
    assert_eq!(source(&english.representations[0]), "https://cdn.example/show/en-aac.m3u8?t=a b");
    assert_eq!(set(&p, "audio-surround-en-English").representations[0].codecs, "ec-3");
    assert_eq!(set(&p, "audio-aac-en-English, described").roles, ["alternate", "description"]);
    assert_eq!(set(&p, "text-en-English").roles, ["caption", "subtitle"]);
    assert_eq!(set(&p, "captions-en-CC").representations[0].id, "CC1");
    let trick = set(&p, "trick");
    assert_eq!((trick.content, trick.roles.as_slice()), (ContentType::Other, &["trick".to_owned()][..]));
    assert_eq!(source(&trick.representations[0]), "https://h.example/x/v720/iframes.m3u8");
}

#[test]
fn sloppy_playlists_are_repaired_with_warnings() {
    let p = multivariant(&fixture("multivariant-sloppy.m3u8"));
    let video = set(&p, "video");
    let ladder: Vec<_> =
        video.representations.iter().map(|r| (r.id.as_str(), source(r), r.codecs.as_str())).collect();
    assert_eq!(
        ladder,
        [
            ("240p-300000", "https://h.example/x/low.m3u8", ""),
            ("900000", "https://h.example/x/mid.m3u8", ""),
            ("1500000", "https://h.example/x/high.m3u8", "avc1.64001f"),
        ]
    );
    assert_eq!(video.representations[1].frame_rate, 25.0);
    assert!(set(&p, "audio--en-in the stream").inside, "the default sound is in the stream");
    assert_eq!(set(&p, "audio-snd-fr-other").representations.len(), 1);
    assert_eq!(p.warnings.len(), 3, "{:?}", p.warnings);
}

#[test]
fn sound_alone_forms_an_audio_set() {
    let p = multivariant(&fixture("audio-only.m3u8"));
    assert_eq!(ids(&p), ["audio"]);
    let bandwidths: Vec<_> = set(&p, "audio").representations.iter().map(|r| r.bandwidth).collect();
    assert_eq!((set(&p, "audio").content, bandwidths), (ContentType::Audio, vec![64_000, 128_000]));
}

#[test]
fn camera_angles_are_sets_and_backup_streams_are_not_rungs() {
    let p = multivariant(&fixture("angles.m3u8"));
    assert_eq!(ids(&p), ["video", "video-Side"]);
    let sources = |id| set(&p, id).representations.iter().map(source).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(sources("video"), ["https://h.example/x/low/main.m3u8", "https://h.example/x/high/main.m3u8"]);
    assert_eq!(
        sources("video-Side"),
        ["https://h.example/x/low/side.m3u8", "https://h.example/x/high/side.m3u8"]
    );
    assert!(set(&p, "video").encrypted, "EXT-X-SESSION-KEY");
}

#[test]
fn every_tag_of_a_media_playlist_is_understood() {
    let m = media(&fixture("vod.m3u8"));
    assert_eq!((m.version, m.target_duration, m.media_sequence, m.discontinuity_sequence), (7, 6.0, 100, 3));
    assert_eq!((m.kind, m.end_list, m.independent_segments), (Some(PlaylistType::Vod), true, true));
    assert_eq!(m.start.map(|s| s.offset), Some(-4.25));
    assert_eq!(m.dates, [(0, 1_709_287_200.25)]);
    assert_eq!(m.bitrates, [(1, 1_200_000)]);
    let range = &m.date_ranges[0];
    assert_eq!((&*range.id, range.duration, range.other.len()), ("splice", Some(12.5), 2));
    assert_eq!(m.warnings, [""; 0]);
    assert!(m.encrypted);
    assert_eq!(m.index.inits.len(), 2, "the first one comes back");
    assert!((m.duration - 27.756).abs() < 1e-9);

    let s = segments(m);
    assert_eq!(s.iter().map(|s| s.discontinuity).collect::<Vec<_>>(), [3, 3, 4, 4, 4, 5]);
    assert_eq!(s.iter().map(|s| s.duration).collect::<Vec<_>>(), [6.006, 5.5, 4.0, 4.0, 2.25, 6.0]);
    assert_eq!(s[0].url, "https://h.example/x/media/a/1.m4s");
    assert_eq!(s[4].url, "https://other.example/lost.m4s?x={not-a-variable}");
    assert_eq!(s.iter().map(|s| s.gap).collect::<Vec<_>>(), [false, false, false, false, true, false]);
    let ranges: Vec<_> = s.iter().map(|s| s.range.map(|r| (r.first, r.last))).collect();
    assert_eq!(ranges, [None, None, Some((500, Some(1499))), Some((1500, Some(3499))), None, None]);
    let init = s[0].init.as_ref().unwrap();
    assert_eq!(init.url, "https://h.example/x/media/a/init.mp4");
    assert_eq!(init.range, Some(ByteRange { first: 16, last: Some(815) }));
    assert_eq!(s[5].init, s[0].init);
    let keys: Vec<Vec<_>> =
        s.iter().map(|s| s.keys.iter().filter_map(|k| k.uri.as_deref()).collect()).collect();
    let (one, two, three) = ("https://h.example/x/keys/1", "skd://2", "https://h.example/x/keys/3");
    assert_eq!(keys, [vec![], vec![], vec![one, two], vec![one, two], vec![three, two], vec![]]);
    assert_eq!(s[2].keys[0].iv, Some([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
    assert!(s.iter().all(|s| s.timestamp_offset.is_none()));
}

#[test]
fn low_latency_tags_are_kept() {
    let m = media(&fixture("low-latency.m3u8"));
    let control = m.low_latency.server_control;
    assert!(control.can_block_reload);
    assert_eq!(
        (control.part_hold_back, control.hold_back, control.can_skip_until),
        (Some(3.0), Some(12.5), Some(24.0))
    );
    assert_eq!((m.low_latency.part_target, m.skipped, m.index.first), (Some(1.0), 3, 269));
    let parts: Vec<_> = m.index.parts.iter().map(|p| (p.number, p.part, p.start, p.duration)).collect();
    assert_eq!(parts, [(269, 0, 0.0, 2.0), (269, 1, 2.0, 2.0), (270, 0, 4.0, 1.0), (270, 1, 5.0, 1.0)]);
    let flags: Vec<_> = m.index.parts.iter().map(|p| (p.independent, p.gap, p.hint)).collect();
    let open = (false, false, false);
    assert_eq!(flags, [(true, false, false), open, (true, true, false), (false, false, true)]);
    let ranges: Vec<_> = m.index.parts.iter().map(|p| p.range.map(|r| (r.first, r.last))).collect();
    assert_eq!(ranges, [Some((0, Some(3999))), Some((4000, Some(6999))), None, Some((10, None))]);
    let report = &m.low_latency.rendition_reports[0];
    assert_eq!((report.last_msn, report.last_part), (Some(270), Some(0)));
    assert!(!m.is_complete());
}

#[test]
fn a_bare_media_playlist_is_a_presentation() {
    let p = media(&fixture("vod.m3u8")).into_presentation();
    assert_eq!((p.kind, p.start_hint), (PresentationType::Static, Some(-4.25)));
    assert_eq!(set(&p, "video").representations[0].index.len(), 6);
    let p = media(b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na/b.aac?q=1.ts\n").into_presentation();
    assert_eq!((p.kind, p.duration, ids(&p)), (PresentationType::Dynamic, None, vec!["audio"]));
}

#[test]
fn variables_of_the_multivariant_playlist_are_imported() {
    let Playlist::Multivariant(_, variables) = parse(&fixture("multivariant.m3u8")).unwrap() else {
        panic!("a media playlist")
    };
    let text = b"#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"token\"\n#EXTINF:1,\ns.ts?{$token}\n";
    let Playlist::Media(m) = hls::parse(text, URL, &variables).unwrap() else { panic!("multivariant") };
    assert_eq!(&*m.index.segments[0].uri, "s.ts?a b");
    assert_eq!(parse(text).unwrap_err().position, Some(2));
}

#[test]
fn what_cannot_be_read_has_a_code_and_a_line() {
    for (text, code, line) in [
        ("", Code::FormatUnknown, Some(1)),
        ("#EXTM3U8\n", Code::FormatUnknown, Some(1)),
        ("<html>", Code::FormatUnknown, Some(1)),
        ("#EXTM3U\n", Code::ManifestEmpty, None),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-ENDLIST\n", Code::ManifestEmpty, None),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", Code::ManifestEmpty, None),
        ("#EXTM3U\na.ts\n", Code::ManifestMalformed, Some(2)),
        ("#EXTM3U\n\n#EXTINF:x,\na.ts\n", Code::ManifestMalformed, Some(3)),
        ("#EXTM3U\n#EXTINF:-1,Radio\nhttp://a/\n", Code::ManifestMalformed, Some(2)),
        (
            "#EXTM3U\n#EXTINF:1,\n#EXT-X-BYTERANGE:9@18446744073709551615\na\n",
            Code::ManifestMalformed,
            Some(4),
        ),
        ("#EXTM3U\n#EXTINF:1,\n#EXT-X-BYTERANGE:0@0\na\n", Code::ManifestMalformed, Some(4)),
        ("#EXTM3U\n#EXTINF:1,\n{$x}\n", Code::ManifestMalformed, Some(3)),
        ("#EXTM3U\n#EXTINF:1,\na\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb\n", Code::ManifestMalformed, Some(4)),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb\n#EXTINF:1,\na\n", Code::ManifestMalformed, Some(4)),
        ("#EXTM3U\n#EXT-X-KEY:URI=\"k\"\n#EXTINF:1,\na\n", Code::ManifestMalformed, Some(2)),
        ("#EXTM3U\n#EXT-X-MAP:X=1\n#EXTINF:1,\na\n", Code::ManifestMalformed, Some(2)),
    ] {
        let error = parse(text.as_bytes()).expect_err(text);
        assert_eq!((error.code, error.position, error.url.as_deref()), (code, line, Some(URL)), "{text:?}");
    }
}

#[test]
fn small_faults_of_media_playlists_are_repaired() {
    let m = media(b"#EXTM3U\n#EXT-X-TARGETDURATION:4\na.ts\n#EXTINF:2,\n#EXT-X-BYTERANGE:5\nb.ts\n#EXTINF:3,t\xe9\nc.ts\n#EXTINF:3");
    assert_eq!(m.index.segments.iter().map(|s| s.duration).collect::<Vec<_>>(), [4.0, 2.0, 3.0]);
    assert_eq!(m.warnings.len(), 3, "{:?}", m.warnings);
    let m = media("#EXTM3U\n#EXTINF:1,\na\n#EXT-X-START:X\n".repeat(100).as_bytes());
    assert_eq!(m.warnings.len(), 20, "bounded");
}

#[test]
fn careless_values_do_not_keep_a_playlist_from_playing() {
    let with = |head: &str, segment: &str| {
        media(
            ["#EXTM3U\n#EXT-X-TARGETDURATION:9\n", head, "\n", segment, "\na\n#EXTINF:2,\nb\n"]
                .concat()
                .as_bytes(),
        )
    };
    let durations = |m: MediaPlaylist| m.index.segments.iter().map(|s| s.duration).collect::<Vec<_>>();
    for number in ["", "-11", "gobblegobble"] {
        let m = with(&["#EXT-X-MEDIA-SEQUENCE:", number].concat(), "#EXTINF:1,");
        assert_eq!((m.media_sequence, m.warnings.len()), (0, 1), "{number}");
    }
    for number in ["12,", "12.0", "12"] {
        let m = with(&["#EXT-X-MEDIA-SEQUENCE:", number].concat(), "#EXTINF:1,");
        assert_eq!((m.media_sequence, m.warnings.len()), (12, 0), "{number}");
    }
    for (text, duration) in [("10,", 10.0), ("10s", 10.0), ("2.5 ", 2.5), ("", 0.0), ("-1", 0.0)] {
        let m = with(&["#EXT-X-TARGETDURATION:", text].concat(), "#EXTINF:1,");
        assert_eq!((m.target_duration, m.warnings.len()), (duration, usize::from(duration == 0.0)), "{text}");
    }
    for (text, duration) in [
        (",", 9.0),
        ("", 9.0),
        ("-26.365,", 9.0),
        ("3\ttvg-id=\"x\",t", 3.0),
        ("0,", 0.01),
        ("0.002,", 0.002),
    ] {
        assert_eq!(durations(with("", &["#EXTINF:", text].concat())), [duration, 2.0], "{text}");
    }
    for text in ["587500@", "\"587500@0\"", "587500"] {
        let m = with("", &["#EXTINF:1,\n#EXT-X-BYTERANGE:", text].concat());
        assert_eq!(m.index.segments[0].range, Some(ByteRange { first: 0, last: Some(587_499) }), "{text}");
    }
    let m = with("#EXT-X-MAP:URI=\"i\",BYTERANGE=\"\"", "#EXTINF:1,");
    assert_eq!(m.index.inits[0].range, None);
    let m = with(
        "#EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-RENDITION-REPORT:LAST-MSN=1\n#EXT-X-PRELOAD-HINT:TYPE=PART",
        "#EXT-X-PART:DURATION=0.5\n#EXT-X-PART:URI=\"p\"\n#EXTINF:0.5,",
    );
    assert_eq!(
        (m.index.parts.len(), m.index.parts[0].duration, m.warnings.len()),
        (1, 0.5, 3),
        "{:?}",
        m.warnings
    );
    // Since 1970, in milliseconds.
    let m = with("#EXT-X-DISCONTINUITY-SEQUENCE:1700000000000", "#EXTINF:1,\n#EXT-X-DISCONTINUITY");
    let numbers: Vec<u32> = m.index.segments.iter().map(|s| s.discontinuity).collect();
    assert_eq!(numbers, [m.discontinuity_sequence + 1; 2], "{:?}", m.warnings);
}

#[test]
fn marks_and_ends_of_lines_are_none_of_the_content() {
    for text in [
        "\u{feff}#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\na\n#EXTINF:1,\nb\n",
        "#EXTM3U\r#EXT-X-TARGETDURATION:9\r#EXTINF:1,\ra\r#EXTINF:1,\rb",
        "#EXTM3U\r\n#EXTINF:1,\r\n\r\na \r\n#EXTINF:1,\r\nb\r\n",
    ] {
        let uris: Vec<String> =
            media(text.as_bytes()).index.segments.iter().map(|s| s.uri.to_string()).collect();
        assert_eq!(uris, ["a", "b"], "{text:?}");
    }
    let p = multivariant(
        b"\xef\xbb\xbf#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na\n#EXT-X-STREAM-INF:BANDWIDTH=2\nb\r.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=3\nc",
    );
    assert_eq!(set(&p, "video").representations.len(), 3);
}

#[test]
fn segments_and_variants_tell_the_kind_of_a_playlist_not_the_tags_before_them() {
    for tag in [
        "MEDIA-SEQUENCE:0",
        "PLAYLIST-TYPE:VOD",
        "ENDLIST",
        "SERVER-CONTROL:HOLD-BACK=9",
        "TARGETDURATION:9",
        "KEY:METHOD=NONE",
    ] {
        let p = multivariant(
            ["#EXTM3U\n#EXT-X-", tag, "\n#EXT-X-STREAM-INF:BANDWIDTH=1000\na.m3u8\n"].concat().as_bytes(),
        );
        assert_eq!(set(&p, "video").representations.len(), 1, "{tag}");
    }
    for tag in [
        "SESSION-DATA:DATA-ID=\"x\"",
        "SESSION-KEY:METHOD=NONE",
        "CONTENT-STEERING:SERVER-URI=\"x\"",
        "MEDIA:TYPE=AUDIO",
    ] {
        let m = media(
            ["#EXTM3U\n#EXT-X-", tag, "\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\na\n"].concat().as_bytes(),
        );
        assert_eq!(m.index.segments.len(), 1, "{tag}");
    }
}

#[test]
fn variants_of_careless_servers_are_told_apart() {
    let p = multivariant(
        b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=3500000.75,RESOLUTION=1280x720,CODECS=\"avc1.77.30, mp4a.40.2\"\na\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1000;RESOLUTION=640x360,CODECS=\"avc1.66.30\"\nb\n\
        #EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=2000.5,CODECS=\"avc1.64001f,avc1.4d.1e,hvc1.1.6.L93.B0\"\nc\n",
    );
    let read: Vec<_> =
        set(&p, "video").representations.iter().map(|r| (r.bandwidth, r.codecs.as_str())).collect();
    assert_eq!(
        read,
        [
            (1000, "avc1.42001e"),
            (2000, "avc1.64001f,avc1.4d.1e,hvc1.1.6.L93.B0"),
            (3_500_000, "avc1.4d001e, mp4a.40.2"),
        ]
    );
}

#[test]
fn hostile_playlists_cost_no_more_than_their_length() {
    #[expect(clippy::disallowed_methods, reason = "what is tested is that it takes no minutes")]
    let started = std::time::Instant::now();
    let references = ["#EXTM3U\n#EXTINF:1,\n", &"{$".repeat(1_000_000), "\n"].concat();
    assert_eq!(media(references.as_bytes()).index.segments.len(), 1);
    let segment =
        |i: usize| format!("#EXT-X-KEY:METHOD=AES-128,KEYFORMAT=\"{i}\",URI=\"{i}\"\n#EXTINF:1,\n{i}\n");
    let keys = (0..20_000).map(segment).collect::<String>();
    let m = media(["#EXTM3U\n", &keys].concat().as_bytes());
    assert!(m.index.keys.iter().all(|set| set.len() <= 16) && m.index.segments.len() == 20_000);
    let rotated = keys.replace("KEYFORMAT", "X-KEYFORMAT");
    assert_eq!(media(["#EXTM3U\n", &rotated].concat().as_bytes()).index.keys.len(), 20_000);
    let variables: String =
        (0..100_000).map(|i| format!("#EXT-X-DEFINE:NAME=\"{i}\",VALUE=\"\"\n")).collect();
    assert_eq!(
        parse(["#EXTM3U\n", &variables].concat().as_bytes()).unwrap_err().code,
        Code::ManifestMalformed
    );
    // Each took from five seconds to minutes where its cost grew with the square.
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn playlists_are_told_from_other_content() {
    for yes in [&b"#EXTM3U"[..], b"#EXTM3U\r\n", b"\xef\xbb\xbf#EXTM3U\n", b"\n #EXTM3U #x"] {
        assert!(hls::looks_like(yes));
    }
    for no in [&b""[..], b"#EXTM3", b"#EXTM3UX", b"<MPD", b"\x47\x40", b"#EXT-X-VERSION:3"] {
        assert!(!hls::looks_like(no));
    }
}

/// What the crate reads well must be the same here. (It takes what comes after a comma in a title for a URI: no titles.)
fn agrees_with_m3u8_rs(name: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let untitled = |line: &str| match line.strip_prefix("#EXTINF:") {
        Some(info) => ["#EXTINF:", info.split(',').next().unwrap_or(info), ",\n"].concat(),
        None => [line, "\n"].concat(),
    };
    let text: String = text.lines().map(untitled).collect();
    let text = text.as_bytes();
    match parse(text).unwrap_or_else(|e| panic!("{name}: {e}")) {
        Playlist::Media(m) => {
            let (_, other) = m3u8_rs::parse_media_playlist(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(m.media_sequence, other.media_sequence, "{name}");
            assert_eq!(m.end_list, other.end_list, "{name}");
            assert_eq!(m.index.segments.len(), other.segments.len(), "{name}");
            for (a, b) in m.index.segments.iter().zip(&other.segments) {
                assert!((a.duration as f32 - b.duration).abs() < 1e-5, "{name} {}", b.uri);
                if !b.uri.contains("{$") {
                    assert_eq!(&*a.uri, b.uri, "{name}");
                }
                if let Some(r) = &b.byte_range {
                    assert_eq!(a.range.and_then(|r| r.len()), Some(r.length), "{name} {}", b.uri);
                    if let Some(offset) = r.offset {
                        assert_eq!(a.range.map(|r| r.first), Some(offset), "{name} {}", b.uri);
                    }
                }
            }
        }
        Playlist::Multivariant(p, _) => {
            let (_, other) = m3u8_rs::parse_master_playlist(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let main = &p.periods[0].sets[0].representations;
            for r in main {
                assert!(
                    other.variants.iter().any(|v| v.bandwidth == r.bandwidth && v.uri.trim() == v.uri),
                    "{name} {}",
                    r.id
                );
            }
        }
    }
}

#[test]
fn media_playlists_read_as_m3u8_rs_reads_them() {
    for name in ["vod.m3u8", "low-latency.m3u8", "multivariant.m3u8", "audio-only.m3u8", "angles.m3u8"] {
        agrees_with_m3u8_rs(name, &fixture(name));
    }
}

#[test]
fn playlists_of_others_are_read_where_they_are_present() {
    let dir = std::env::var_os("MILLRACE_MEDIA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/media"), PathBuf::from);
    let mut dirs = vec![dir];
    let mut read = 0;
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "m3u8") {
                agrees_with_m3u8_rs(&path.display().to_string(), &std::fs::read(&path).unwrap());
                read += 1;
            }
        }
    }
    println!("{read} playlists read");
}

/// A small generator of its own, so that every run is the same (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// Whatever was read can be walked.
fn walk(text: &[u8]) {
    match parse(text) {
        Ok(Playlist::Media(m)) => {
            assert!(m.duration.is_finite());
            let mut last = 0.0;
            for s in segments(*m) {
                assert!(s.start >= last && s.duration >= 0.0);
                assert!(s.range.is_none_or(|r| r.len() > Some(0)));
                last = s.start;
            }
        }
        Ok(Playlist::Multivariant(p, _)) => {
            for set in &p.periods[0].sets {
                assert!(!set.representations.is_empty());
                let mut ids: Vec<_> = set.representations.iter().map(|r| &r.id).collect();
                ids.sort();
                ids.dedup();
                assert_eq!(ids.len(), set.representations.len(), "unique ids");
                assert!(set.representations.is_sorted_by_key(|r| r.bandwidth));
            }
        }
        Err(e) => {
            assert!(matches!(e.code, Code::FormatUnknown | Code::ManifestMalformed | Code::ManifestEmpty))
        }
    }
}

#[test]
fn truncated_playlists_never_panic() {
    for name in FIXTURES {
        let text = fixture(name);
        for end in 0..text.len() {
            walk(&text[..end]);
        }
    }
}

#[test]
fn corrupt_playlists_never_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for name in FIXTURES {
        let text = fixture(name);
        for _ in 0..3000 {
            let mut text = text.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(text.len());
                match random.below(4) {
                    0 => text[at] ^= 1 << random.below(8),
                    1 => text[at] = b"#,=\":\n{$}@9 "[random.below(12)],
                    2 => {
                        let end = (at + random.below(40)).min(text.len());
                        text.drain(at..end);
                    }
                    _ => {
                        let from = random.below(text.len());
                        let piece = text[from..(from + 60).min(text.len())].to_vec();
                        text.splice(at..at, piece);
                    }
                }
                if text.is_empty() {
                    break;
                }
            }
            walk(&text);
        }
    }
}
