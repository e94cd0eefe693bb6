//! When a playlist is read again, by which URL, and what else it tells.

use super::{Client, URL, parse};
use millrace::manifest::hls::{Aligned, Reload, Request, directed};
use millrace::manifest::{ByteRange, SegmentIndex};
use std::fmt::Write;

/// A playlist of 2-s segments `s<number>.ts`.
pub fn list(first: u64, count: u64, head: &str, tail: &str) -> String {
    let mut out = format!("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n{head}");
    for n in first..first + count {
        let _ = write!(out, "#EXTINF:2,\ns{n}.ts\n");
    }
    out + tail
}

const LOW: &str = "#EXT-X-PART-INF:PART-TARGET=0.4\n\
    #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12,CAN-SKIP-DATERANGES=YES,PART-HOLD-BACK=1.2,HOLD-BACK=7\n";
const PARTS: &str =
    "#EXT-X-PART:DURATION=0.4,URI=\"p0.ts\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.4,URI=\"p1.ts\"\n";

fn url(request: Request) -> String {
    request.url
}

#[test]
fn directives_come_last_in_order_and_replace_older_ones() {
    for (from, msn, part, skip, to) in [
        (
            "https://h/a.m3u8",
            Some(7),
            Some(0),
            Some("YES"),
            "https://h/a.m3u8?_HLS_msn=7&_HLS_part=0&_HLS_skip=YES",
        ),
        ("https://h/a.m3u8?z=1&b#x", Some(7), None, None, "https://h/a.m3u8?z=1&b&_HLS_msn=7"),
        (
            "https://h/a?_HLS_msn=1&t=%26&_HLS_part=2&_HLS_skip=v2&_HLS_x=y",
            None,
            None,
            None,
            "https://h/a?t=%26&_HLS_x=y",
        ),
        ("https://h/a?", None, None, Some("v2"), "https://h/a?_HLS_skip=v2"),
        ("https://h/a?_HLS_msn=1", None, None, None, "https://h/a"),
    ] {
        assert_eq!(directed(from, msn, part, skip), to);
    }
}

#[test]
fn a_plain_playlist_is_read_after_a_target_duration_or_half_of_it() {
    let mut client = Client::new(&list(10, 5, "", ""), 100.0);
    assert_eq!(client.reload.request(101.0), Request { url: URL.into(), blocks: false, skips: false });
    assert_eq!(client.reload.due(), 102.0, "a target duration after the loading began");
    client.reload.begun(102.0);
    assert_eq!(client.reload.due(), f64::INFINITY, "one request at a time");
    let text = list(10, 5, "", "");
    let new = client.reload.read(&client.index, text.as_bytes(), URL, &Default::default()).unwrap();
    let change = client.reload.update(&mut client.index, new, 102.4).unwrap();
    assert!(!change.grew);
    assert_eq!(client.reload.due(), 103.0, "half of it after the loading began");
    assert_eq!(client.reload.stale_for(103.5), 3.5);
    assert!(client.read(&list(11, 5, "", ""), 103.0).grew);
    assert_eq!((client.reload.due(), client.reload.stale_for(103.5)), (105.0, 0.5));
    // A server that is ill is asked less and less often, and never given up.
    let mut waits = Vec::new();
    let mut now = 105.0;
    for _ in 0..7 {
        client.reload.begun(now);
        client.reload.failed(now + 0.1);
        waits.push(((client.reload.due() - now - 0.1) * 10.0).round() / 10.0);
        now = client.reload.due();
    }
    assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]);
    assert!(client.read(&list(12, 5, "", "#EXT-X-ENDLIST\n"), now).complete);
    assert_eq!(client.reload.due(), f64::INFINITY);
    assert!(client.reload.complete());
}

#[test]
fn a_low_latency_playlist_is_read_by_blocking_requests_for_what_changed() {
    let mut client = Client::new(&list(10, 8, LOW, PARTS), 0.0);
    let asked = client.reload.request(0.1);
    assert_eq!(asked.url, format!("{URL}?_HLS_msn=18&_HLS_part=2&_HLS_skip=v2"));
    assert!(asked.blocks && asked.skips);
    assert_eq!(client.reload.blocked_timeout(), 6.0);
    assert!(client.reload.due() <= 0.1, "{}", client.reload.due());
    assert!(
        url(client.reload.request(6.1)).ends_with("?_HLS_msn=18&_HLS_part=2"),
        "older than half the boundary"
    );
    // The segment is complete: the next one has no part yet.
    client.read(&list(10, 9, LOW, ""), 0.5);
    assert!(url(client.reload.request(0.5)).contains("?_HLS_msn=19&_HLS_part=0&"));
    // Without parts only segments can be waited for.
    let head = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12\n";
    let client = Client::new(&list(10, 8, head, ""), 0.0);
    assert_eq!(url(client.reload.request(0.1)), format!("{URL}?_HLS_msn=18&_HLS_skip=YES"));
}

#[test]
fn a_server_that_answers_at_once_with_nothing_new_is_not_asked_without_end() {
    let text = list(10, 8, LOW, PARTS);
    let mut client = Client::new(&text, 0.0);
    let (mut now, mut requests) = (0.0, 0);
    while now < 60.0 {
        now = client.reload.due();
        client.read(&text, now);
        requests += 1;
    }
    assert!(requests < 70, "{requests} in a minute");
    // And one that has something new each time is not asked faster than parts can be made, by much.
    let (mut now, mut requests) = (60.0, 0);
    while now < 120.0 {
        now = client.reload.due();
        requests += 1;
        client.read(&list(10 + requests, 8, LOW, PARTS), now);
    }
    assert!(requests < 620, "{requests} in a minute");
}

#[test]
fn after_a_failure_a_plain_request_takes_the_place_of_a_special_one() {
    let mut client = Client::new(&list(10, 8, LOW, PARTS), 0.0);
    client.reload.begun(0.1);
    client.reload.failed(6.1);
    let plain = client.reload.request(6.1);
    assert_eq!((plain.url.as_str(), plain.blocks, plain.skips), (URL, false, false));
    assert!(client.reload.due() < 6.4, "soon");
    client.read(&list(12, 8, LOW, PARTS), 6.3);
    assert!(client.reload.request(6.4).blocks, "one failure may be of the network");
    client.reload.begun(6.4);
    client.reload.failed(12.4);
    client.read(&list(14, 8, LOW, PARTS), 12.6);
    let request = client.reload.request(12.7);
    assert!(!request.blocks && !request.skips, "the server does not do what it says");
    assert!(!client.reload.can_block());
    assert_eq!(client.reload.due(), 14.6, "so it is polled");

    // A server whose delta updates alone are wrong keeps blocking.
    let mut client = Client::new(&list(10, 8, LOW, PARTS), 0.0);
    let mut now = 0.1;
    for round in 0..2 {
        let skip = "#EXT-X-SKIP:SKIPPED-SEGMENTS=20\n";
        let wrong = list(20, 2, &format!("{LOW}{skip}"), PARTS);
        assert!(client.try_read(&wrong, now).is_err());
        assert!(!client.reload.request(now).skips);
        client.read(&list(11 + round, 8, LOW, PARTS), now + 0.2);
        now += 1.0;
        client.read(&list(12 + round, 8, LOW, PARTS), now);
    }
    let _ = client;
}

#[test]
fn a_server_that_had_nothing_to_tell_is_waited_for_again() {
    // The encoder stands still, and each request that blocks is answered with 503 (§6.2.5.2).
    let text = list(10, 8, LOW, PARTS);
    let mut client = Client::new(&text, 0.0);
    let mut now = 0.1;
    for _ in 0..4 {
        client.reload.begun(now);
        client.reload.failed(now + 6.0);
        client.read(&text, now + 6.2);
        now = client.reload.due().max(now + 6.2);
        assert!(client.reload.request(now).blocks, "at {now}");
    }
    client.read(&list(12, 8, LOW, PARTS), now);
    assert!(client.reload.request(now).blocks && client.reload.request(now).skips);
}

#[test]
fn hold_backs_have_the_defaults_and_bounds_of_the_specification() {
    let of = |head: &str| Client::new(&list(1, 8, head, ""), 0.0).reload;
    assert_eq!((of(LOW).hold_back(), of(LOW).part_hold_back()), (7.0, Some(1.2)));
    assert_eq!((of("").hold_back(), of("").part_hold_back()), (6.0, None));
    let near = |a: Option<f64>, b: f64| assert!((a.unwrap() - b).abs() < 1e-9);
    near(of("#EXT-X-PART-INF:PART-TARGET=0.4\n").part_hold_back(), 1.2);
    let low = "#EXT-X-PART-INF:PART-TARGET=0.4\n#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=0.1\n";
    near(of(low).part_hold_back(), 0.8);
    assert!(of("#EXT-X-PLAYLIST-TYPE:EVENT\n").is_event());
    assert_eq!(of("#EXT-X-BITRATE:900\n").bitrate(), Some(900_000));
}

#[test]
fn rendition_reports_tell_where_to_join_another_playlist() {
    let tail = format!(
        "{PARTS}#EXT-X-RENDITION-REPORT:URI=\"../b/low.m3u8?t=1\",LAST-MSN=20,LAST-PART=3\n\
        #EXT-X-RENDITION-REPORT:URI=\"same.m3u8\"\n#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"i2.mp4\",BYTERANGE-LENGTH=8\n"
    );
    let client = Client::new(&list(10, 8, LOW, &tail), 0.0);
    let base = &client.index.base;
    assert_eq!(client.reload.report_for(base, "https://h.example/b/low.m3u8?t=2"), Some((20, Some(3))));
    assert_eq!(
        client.reload.report_for(base, "https://h.example/live/same.m3u8?_HLS_msn=3"),
        Some((18, Some(1))),
        "what is left out is as here"
    );
    assert_eq!(client.reload.report_for(base, "https://h.example/live/other.m3u8"), None);
    let map = client.reload.map_hint().unwrap();
    assert_eq!(map.url, "https://h.example/live/i2.mp4");
    assert_eq!(map.range, Some(ByteRange { first: 0, last: Some(7) }));
}

#[test]
fn a_hint_that_turns_out_to_be_of_the_next_segment_is_told() {
    let hint = |n: u32| format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p{n}.ts\"\n");
    let mut client = Client::new(&list(10, 8, LOW, &format!("{PARTS}{}", hint(2))), 0.0);
    let last = client.part_names();
    assert_eq!(last, [(18, 0, false), (18, 1, false), (18, 2, true)]);
    // The segment ends after its second part (a scene cut, say).
    let tail = format!(
        "{PARTS}#EXTINF:0.8,\ns18.ts\n#EXT-X-PART:DURATION=0.4,URI=\"p2.ts\",INDEPENDENT=YES\n{}",
        hint(3)
    );
    let change = client.read(&list(10, 8, LOW, &tail), 0.4);
    assert_eq!(change.renamed, Some(((18, 2), (19, 0))));
    let index = SegmentIndex::List(client.index.clone());
    let next = index.after(19, Some(0), index.end().unwrap()).unwrap();
    assert_eq!((next.number, next.part, next.ahead, next.duration), (19, Some(1), true, 0.4));
    // As it comes, it is the same part and keeps its number.
    let tail = tail.replace(&hint(3), &format!("#EXT-X-PART:DURATION=0.3,URI=\"p3.ts\"\n{}", hint(4)));
    let change = client.read(&list(10, 8, LOW, &tail), 0.8);
    assert!(change.grew && change.renamed.is_none());
}

#[test]
fn playback_begins_and_goes_on_with_parts_that_decoding_can_start_with() {
    let tail = "#EXT-X-PART:DURATION=0.5,URI=\"a.ts\"\n#EXT-X-PART:DURATION=0.5,URI=\"b.ts\",INDEPENDENT=YES\n\
        #EXT-X-PART:DURATION=0.5,URI=\"c.ts\"\n#EXT-X-PART:DURATION=0.5,URI=\"d.ts\"\n#EXTINF:2,\ns18.ts\n\
        #EXT-X-PART:DURATION=0.5,URI=\"e.ts\"\n#EXT-X-PART:DURATION=0.5,URI=\"f.ts\"\n";
    let list = parse(&list(10, 8, "#EXT-X-PART-INF:PART-TARGET=0.5\n", tail));
    let index = SegmentIndex::List(list.index);
    let at = |time: f64| index.at(time).map(|s| (s.number, s.part));
    assert_eq!(at(15.0), Some((17, None)));
    assert_eq!(at(16.0), Some((18, None)), "where a segment starts, it is one request");
    assert_eq!(at(16.4), Some((18, None)), "no part before is independent");
    assert_eq!(at(17.2), Some((18, Some(1))));
    assert_eq!(at(17.5), Some((18, Some(1))), "not where another part starts, either");
    assert_eq!(at(18.7), Some((19, Some(0))), "the segment itself is not there yet");
    assert_eq!((at(19.1), index.end()), (None, Some(19.0)));
    let after = |number, part, end| index.after(number, part, end).map(|s| (s.number, s.part));
    assert_eq!(after(17, None, 16.0), Some((18, None)));
    assert_eq!(after(18, Some(1), 17.0), Some((18, Some(2))));
    assert_eq!(after(18, Some(3), 17.9), Some((19, Some(0))), "the last part ended early");
    assert_eq!(after(19, Some(1), 19.0), None);
    assert_eq!(after(16, Some(1), 13.0), Some((16, None)), "parts are listed no more: the whole of it");
    assert_eq!(after(16, Some(3), 14.0), Some((17, None)));
    assert_eq!(
        after(9, Some(1), 0.0),
        Some((10, None)),
        "an encoder that starts again never completes the one before"
    );
}

#[test]
fn playlists_are_put_on_one_timeline_by_date_or_by_sequence() {
    let date = |s: u32| format!("#EXT-X-PROGRAM-DATE-TIME:2024-01-01T00:00:{s:02}Z\n");
    let align = |a: &str, b: &str| {
        let (one, mut two) = (Client::new(a, 0.0), Client::new(b, 0.0));
        let how = two.reload.align(&mut two.index, &one.reload, &one.index);
        (how, two.index.segments[0].start, two)
    };
    let (how, start, two) = align(&list(10, 5, &date(20), ""), &list(90, 5, &date(23), PARTS));
    assert_eq!((how, start), (Aligned::Dates, 3.0));
    assert_eq!(two.index.parts[0].start, 13.0);
    assert_eq!(two.reload.time_at(two.reload.date_at(5.0).unwrap()), Some(5.0));
    assert_eq!(align(&list(10, 5, "", ""), &list(12, 5, &date(1), "")).1, 4.0);
    assert_eq!(align(&list(12, 5, "", ""), &list(10, 5, "", "")).0, Aligned::Sequence);
    assert_eq!(align(&list(12, 5, "", ""), &list(10, 5, "", "")).1, -4.0);
    assert_eq!(align(&list(12, 5, "", ""), &list(18, 5, "", "")).1, 12.0, "one more has come");
    // Other numbers, but the same discontinuity.
    let cut = "#EXT-X-DISCONTINUITY\n#EXTINF:2,\nx.ts\n#EXTINF:2,\ny.ts\n";
    let (how, start, _) = align(&list(10, 5, "", cut), &list(900, 3, "", cut));
    assert_eq!((how, start), (Aligned::Sequence, 4.0));
    let (how, start, _) = align(&list(10, 5, "", ""), &list(900, 3, "", ""));
    assert_eq!((how, start), (Aligned::Ends, 4.0));
}

#[test]
fn an_aligned_playlist_goes_on_where_it_is() {
    let one = Client::new(&list(10, 5, "", ""), 0.0);
    let mut two = Client::new(&list(12, 5, "", ""), 0.0);
    two.reload.align(&mut two.index, &one.reload, &one.index);
    two.read(&list(13, 5, "", ""), 2.0);
    assert_eq!(two.starts(), [6.0, 8.0, 10.0, 12.0, 14.0]);
}

#[test]
fn date_ranges_are_those_of_the_playlist_also_after_delta_updates() {
    let range = |id: &str, more: &str| {
        format!("#EXT-X-DATERANGE:ID=\"{id}\",START-DATE=\"2024-01-01T00:00:00Z\"{more}\n")
    };
    let head = |ranges: &str| format!("{LOW}{ranges}");
    let ids =
        |r: &Reload| r.date_ranges().iter().map(|d| format!("{}{:?}", d.id, d.duration)).collect::<Vec<_>>();
    let both = format!("{}{}", range("a", ""), range("b", ""));
    let mut client = Client::new(&list(10, 8, &head(&both), ""), 0.0);
    assert_eq!(ids(&client.reload), ["aNone", "bNone"]);
    // v2: only new and changed ones, and the names of those that are gone.
    let skip = "#EXT-X-SKIP:SKIPPED-SEGMENTS=6,RECENTLY-REMOVED-DATERANGES=\"a\tz\"\n";
    let delta = list(16, 3, "", "").replace("SEQUENCE:16\n", &format!("SEQUENCE:10\n{LOW}{skip}"));
    client.read(&format!("{delta}{}{}", range("b", ",DURATION=3"), range("c", "")), 1.0);
    assert_eq!(ids(&client.reload), ["bSome(3.0)", "cNone"]);
    // Others replace all; so does a reading that passes over known segments, among which they may stand.
    client.read(
        &list(11, 8, &head(""), "").replacen("s13.ts\n", &format!("s13.ts\n{}", range("d", "")), 1),
        2.0,
    );
    assert_eq!(ids(&client.reload), ["dNone"]);
}
