//! What servers do wrong.

use super::requests::list;
use super::{Client, Origin, Random, URL, parse};
use millrace::error::Code;
use millrace::manifest::SegmentIndex;
use millrace::manifest::hls::Variables;

fn date(s: u32) -> String {
    format!("#EXT-X-PROGRAM-DATE-TIME:2024-01-01T00:{:02}:{:02}Z\n", s / 60, s % 60)
}

#[test]
fn an_encoder_that_counts_anew_goes_on_behind_what_is_known() {
    let mut client = Client::new(&list(100, 5, "#EXT-X-DISCONTINUITY-SEQUENCE:4\n", ""), 0.0);
    let change = client.read(&list(0, 3, "", ""), 10.0);
    assert!(change.restarted && change.grew);
    assert_eq!(client.numbers(), [105, 106, 107]);
    assert_eq!(client.starts(), [10.0, 12.0, 14.0]);
    assert_eq!(client.index.segments[0].discontinuity, 5);
    assert!(!client.reload.request(10.0).blocks);
    // And goes on from there.
    let change = client.read(&list(1, 3, "", ""), 12.0);
    assert!(!change.restarted && change.dropped == 1);
    assert_eq!((client.numbers(), client.starts()), (vec![106, 107, 108], vec![12.0, 14.0, 16.0]));
    assert_eq!(client.index.segments[2].discontinuity, 5);
    // With dates, the time that was lost is passed over.
    let mut client = Client::new(&list(100, 5, &date(0), ""), 0.0);
    let change = client.read(&list(0, 3, &date(40), ""), 40.0);
    assert!(change.restarted);
    assert_eq!(client.starts(), [40.0, 42.0, 44.0]);
    assert_eq!(client.reload.time_at(client.reload.date_at(40.0).unwrap()), Some(40.0));
    // A clock that was wrong is not believed without bounds, nor does it make time go back.
    let mut client = Client::new(&list(100, 5, &date(600), ""), 0.0);
    let new = list(0, 3, &date(600).replace("2024", "2034"), "");
    assert!(client.read(&new, 40.0).restarted);
    assert_eq!(client.starts(), [10.0, 12.0, 14.0]);
}

#[test]
fn blocking_requests_speak_the_numbers_of_the_server() {
    let head = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n";
    let mut client = Client::new(&list(100, 5, head, ""), 0.0);
    client.read(&list(0, 3, head, ""), 10.0);
    assert_eq!(client.reload.request(10.0).url, format!("{URL}?_HLS_msn=3"));
}

#[test]
fn what_was_missed_is_counted_or_dated() {
    let mut client = Client::new(&list(100, 5, "", ""), 0.0);
    let change = client.read(&list(110, 3, "", ""), 30.0);
    assert!(change.restarted);
    assert_eq!((client.numbers(), client.starts()), (vec![110, 111, 112], vec![20.0, 22.0, 24.0]));
    assert_eq!(client.index.segments[0].discontinuity, 1);
    let mut client = Client::new(&list(100, 5, &date(0), ""), 0.0);
    client.read(&list(110, 3, &date(19), ""), 30.0);
    assert_eq!(client.starts(), [19.0, 21.0, 23.0]);
    // A number out of all reason is a number, not a time.
    let mut client = Client::new(&list(100, 5, "", ""), 0.0);
    client.read(&list(1 << 60, 3, "", ""), 30.0);
    assert_eq!(client.starts(), [10.0, 12.0, 14.0]);
    // The parts of the segment that was being made are over too.
    let part = "#EXT-X-PART:DURATION=1,URI=\"p\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"q\"\n";
    let mut client = Client::new(&list(100, 5, "", part), 0.0);
    client.read(&list(0, 1, "", part), 30.0);
    assert_eq!(client.numbers(), [106], "105 was the number of a segment that had begun");
    assert_eq!(client.starts(), [11.0]);
    assert_eq!(client.part_names(), [(107, 0, false), (107, 1, true)]);
}

#[test]
fn old_copies_from_caches_change_nothing() {
    let parts = |n: usize| "#EXT-X-PART:DURATION=0.5,URI=\"p\"\n".repeat(n);
    let now = list(100, 5, "#EXT-X-PART-INF:PART-TARGET=0.5\n", &parts(2));
    let mut client = Client::new(&now, 0.0);
    let before = format!("{:?}", client.index);
    for old in [list(99, 5, "", ""), list(100, 5, "", &parts(1)), list(97, 5, "", "#EXT-X-ENDLIST\n")] {
        let change = client.read(&old, 1.0);
        assert!(change.stale && !change.grew && !change.restarted && !change.complete);
        assert_eq!(format!("{:?}", client.index), before);
    }
    assert_eq!(client.reload.stale_for(1.0), 1.0);
    // With dates, also one of long ago.
    let mut client = Client::new(&list(100, 5, &date(60), ""), 0.0);
    assert!(client.read(&list(80, 5, &date(20), ""), 1.0).stale);
    assert!(client.read(&list(101, 5, &date(62), ""), 2.0).grew);
}

#[test]
fn an_encoder_that_counts_anew_into_known_numbers_is_found_out() {
    // By what the segments are called, and when they are of.
    let mut client = Client::new(&list(0, 5, "", ""), 0.0);
    let other = |first, count, head: &str| list(first, count, head, "").replace(".ts", "b.ts");
    assert!(client.read(&other(0, 2, ""), 20.0).restarted);
    assert_eq!(client.numbers(), [5, 6]);
    let mut client = Client::new(&list(0, 5, &date(0), ""), 0.0);
    assert!(client.read(&other(0, 7, &date(50)), 50.0).restarted, "it ends behind what is known");
    assert_eq!((client.numbers()[0], client.starts()[0]), (5, 50.0));
    // The same names without a date: by what moves on although it is behind.
    let mut client = Client::new(&list(0, 9, "", ""), 0.0);
    let mut restarted = Vec::new();
    for n in 1..5_u32 {
        restarted.push(client.read(&list(0, u64::from(n), "", ""), f64::from(20 + 2 * n)).restarted);
    }
    assert_eq!(restarted, [false, false, false, true]);
    assert_eq!(client.numbers(), [9, 10, 11, 12]);
    // One whose window moves on has the same segments and is behind: another server.
    for dated in [true, false] {
        let at = |s: u32| if dated { date(s) } else { String::new() };
        let mut client = Client::new(&list(100, 10, &at(8), ""), 0.0);
        for n in 0..8_u32 {
            let new = list(96 + u64::from(n), 10, &at(2 * n), "");
            let change = client.read(&new, f64::from(2 * n));
            assert!(!change.restarted && change.grew == (n > 4), "{dated} {n}: {change:?}");
        }
        assert_eq!(client.numbers(), (103..113).collect::<Vec<_>>());
        assert_eq!(client.starts()[0], 6.0);
    }
    // Tokens in the URIs are no other content.
    let mut client = Client::new(&list(0, 5, &date(0), ""), 0.0);
    let change = client.read(&list(0, 6, &date(0), "").replace(".ts", ".ts?token=2"), 2.0);
    assert!(!change.restarted && change.grew);
    assert_eq!(&*client.index.segments[0].uri, "s0.ts?token=2");
}

#[test]
fn segments_are_known_again_under_other_numbers() {
    let renumbered = |first: u64, count, as_first: u64, head: &str| {
        list(first, count, head, "").replace(&format!("SEQUENCE:{first}"), &format!("SEQUENCE:{as_first}"))
    };
    for dated in [true, false] {
        let at = |s: u32| if dated { date(s) } else { String::new() };
        let mut client = Client::new(&list(100, 5, &at(0), ""), 0.0);
        // One server after the other: each counts otherwise.
        for (n, as_first) in [(1, 100), (2, 103), (3, 101), (4, 101), (5, 105)] {
            let new = renumbered(100 + u64::from(n), 5, as_first, &at(2 * n));
            let change = client.read(&new, f64::from(2 * n));
            assert!(change.grew && !change.restarted && change.dropped == 1, "{dated} {n}: {change:?}");
        }
        assert_eq!(client.numbers(), [105, 106, 107, 108, 109]);
        assert_eq!(client.starts(), [10.0, 12.0, 14.0, 16.0, 18.0]);
        assert!(client.index.segments.iter().all(|s| s.discontinuity == 0));
    }
    // A date tells it of numbers that have nothing in common, too; and that names are used again.
    let mut client = Client::new(&list(100, 5, &date(0), ""), 0.0);
    assert!(!client.read(&renumbered(101, 5, 9000, &date(2)), 2.0).restarted);
    assert_eq!(client.numbers(), [101, 102, 103, 104, 105]);
    assert!(client.read(&renumbered(102, 5, 20_000, &date(600)), 600.0).restarted);
    let mut client = Client::new(&list(100, 5, "", ""), 0.0);
    assert!(client.read(&renumbered(101, 5, 9000, ""), 2.0).restarted);
    // And one that counts from 0 after one that counted too high.
    let mut client = Client::new(&list(100, 5, "", ""), 0.0);
    client.read(&renumbered(101, 5, 104, ""), 2.0);
    assert!(client.read(&list(0, 3, "", ""), 4.0).restarted);
    assert_eq!(client.numbers(), [106, 107, 108]);
}

#[test]
fn an_end_that_was_told_stays_and_other_tags_may_change() {
    let mut client = Client::new(&list(0, 5, "#EXT-X-PLAYLIST-TYPE:EVENT\n", "#EXT-X-ENDLIST\n"), 0.0);
    assert_eq!(client.reload.due(), f64::INFINITY);
    assert!(client.read(&list(0, 6, "", ""), 2.0).complete);
    // The last part of a stream that ends need not become a segment.
    let mut client = Client::new(&list(0, 5, "", "#EXT-X-PART:DURATION=1,URI=\"p\"\n"), 0.0);
    let change = client.read(&list(0, 5, "", "#EXT-X-ENDLIST\n"), 2.0);
    assert!(change.complete && client.index.parts.is_empty());
    // Target durations must not change, but do.
    let mut client = Client::new(&list(0, 5, "", ""), 0.0);
    client.read(&list(1, 5, "", "").replace("DURATION:2", "DURATION:6"), 2.0);
    assert_eq!((client.reload.target_duration(), client.reload.due()), (6.0, 8.0));
    for absurd in ["0", "0.0001", "99999999"] {
        let client =
            Client::new(&list(1, 5, "", "").replace("DURATION:2", &format!("DURATION:{absurd}")), 0.0);
        assert!((0.5..=120.0).contains(&client.reload.due()), "{absurd}");
    }
}

#[test]
fn delta_updates_to_something_else_are_refused() {
    let mut client = Client::new(&list(10, 8, "", ""), 0.0);
    let before = format!("{:?}", client.index);
    let delta = |sequence: u64, skipped: u64, from: u64, count: u64| {
        let skip = format!("SEQUENCE:{sequence}\n#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n");
        list(from, count, "", "").replace(&format!("SEQUENCE:{from}\n"), &skip)
    };
    for (text, what) in [
        (delta(10, 6, 17, 3), "it skips a segment less than it says"),
        (delta(10, 9, 19, 2), "it skips more than is known"),
        (delta(5, 8, 13, 6), "it skips what was never listed"),
        (delta(30, 8, 38, 2), "it begins behind what is known"),
        (delta(10, u64::MAX, 38, 2), "it skips everything"),
        (delta(1 << 61, (1 << 62) - 1, 38, 2), "so many"),
    ] {
        let error = client.try_read(&text, 1.0).expect_err(what);
        assert_eq!(
            (error.code, format!("{:?}", client.index)),
            (Code::ManifestMalformed, before.clone()),
            "{what}"
        );
    }
    // Read without what is known, it has no keys and no initialization segments.
    let text = delta(10, 6, 16, 3);
    assert!(client.reload.update(&mut client.index, parse(&text), 1.0).is_err());
    assert!(client.read(&text, 1.0).grew);
    assert_eq!(client.numbers(), (10..19).collect::<Vec<_>>());
}

#[test]
fn parts_that_contradict_their_segment_are_left_out() {
    let part = |d: f64| format!("#EXT-X-PART:DURATION={d},URI=\"p{d}.ts\"\n");
    let parts = |ds: &[f64]| ds.iter().map(|d| part(*d)).collect::<String>();
    let count = |parts: &str| {
        let tail = format!("{parts}#EXTINF:2,\nx.ts\n");
        let list = parse(&list(0, 2, "#EXT-X-PART-INF:PART-TARGET=0.5\n", &tail));
        (list.index.parts.len(), list.warnings.len())
    };
    assert_eq!(count(&parts(&[0.5, 0.5, 0.5, 0.4])), (4, 0));
    assert_eq!(count(&parts(&[0.5, 0.5, 0.5])), (0, 1), "the first is listed no more");
    assert_eq!(count(&parts(&[2.0, 2.0])), (0, 1));
    let list = parse(&list(0, 2, "", &part(1e12)));
    assert_eq!(SegmentIndex::List(list.index).end(), Some(6.0), "none is longer than the target duration");
}

#[test]
fn numbers_out_of_all_reason_are_errors() {
    for text in [
        list(1, 3, "", "").replace("SEQUENCE:1", "SEQUENCE:18446744073709551615"),
        list(1, 3, "", "#EXT-X-SKIP:SKIPPED-SEGMENTS=-1\n"),
    ] {
        let mut client = Client::new(&list(0, 3, "", ""), 0.0);
        assert_eq!(client.try_read(&text, 1.0).expect_err(&text).code, Code::ManifestMalformed);
    }
    // Encoders that run wild in turn: each time all is taken anew, until there are no such numbers left.
    let mut client = Client::new(&list(0, 3, "", ""), 0.0);
    let mut last = 0;
    let mut failed = false;
    for n in 0..20_u32 {
        let text = list(if n % 2 == 0 { (1 << 62) - 9 } else { 0 }, 3, "", "");
        match client.try_read(&text, f64::from(n)) {
            Ok(_) => assert!(client.index.first >= last),
            Err(e) => {
                assert_eq!(e.code, Code::ManifestMalformed);
                failed = true;
            }
        }
        last = client.index.first;
    }
    assert!(failed);
}

#[test]
fn a_month_of_restarts_leaves_no_trace() {
    let random = &mut Random::new(5);
    let mut client = Client::new(&list(0, 5, "", ""), 0.0);
    let mut now = 0.0;
    for n in 0..2000_u32 {
        let mut origin = Origin::new(6, 4, true);
        origin.sequence = random.below(1000) as u64;
        origin.open.map = n;
        for _ in 0..40 {
            origin.step(random);
        }
        now += 1000.0;
        client.try_read(&origin.playlist(false), now).unwrap();
        let ends: Vec<_> = client.index.segments.iter().map(|s| s.start + s.duration).collect();
        assert!(client.starts().is_sorted() && ends.is_sorted());
        assert!(client.index.segments.len() <= 6 && client.index.parts.len() <= 24);
        assert!(client.index.inits.len() <= 7 && client.index.keys.len() <= 7);
        assert!(client.reload.date_ranges().is_empty());
    }
}

#[test]
fn updates_that_are_corrupt_keep_what_is_promised() {
    for seed in 1..200 {
        let random = &mut Random::new(seed);
        let mut origin = Origin::new(8, 4, true);
        for _ in 0..30 {
            origin.step(random);
        }
        let mut client = Client::new(&origin.playlist(false), 0.0);
        let (mut next, mut end) = (0, 0.0);
        for round in 0..60 {
            for _ in 0..random.below(20) {
                origin.step(random);
            }
            if random.one_in(10) {
                origin.sequence = random.below(40) as u64;
            }
            let mut text = origin.playlist(random.one_in(2)).into_bytes();
            for _ in 0..random.below(4) {
                let at = random.below(text.len());
                match random.below(4) {
                    0 => text[at] = b"0123456789-.#,=\"\n"[random.below(17)],
                    1 => {
                        let end = (at + random.below(60)).min(text.len());
                        text.drain(at..end);
                    }
                    2 => {
                        let from = random.below(text.len());
                        let piece = text[from..(from + 80).min(text.len())].to_vec();
                        text.splice(at..at, piece);
                    }
                    _ => text[at] ^= 1 << random.below(7),
                }
            }
            let now = f64::from(round);
            client.reload.begun(now);
            let read = client.reload.read(&client.index, &text, URL, &Variables::default());
            if read.and_then(|new| client.reload.update(&mut client.index, new, now)).is_err() {
                client.reload.failed(now);
            }
            assert!(client.reload.due() > now);
            let numbers = client.index.first + client.index.segments.len() as u64;
            assert!(numbers >= next, "numbers go back");
            next = numbers;
            let index = SegmentIndex::List(client.index.clone());
            let mut last = f64::NEG_INFINITY;
            for segment in (0..index.len()).filter_map(|i| index.segment(i)) {
                assert!(segment.start.is_finite() && segment.start >= last && segment.duration >= 0.0);
                last = segment.start + segment.duration - 1e-9;
            }
            if !index.is_empty() {
                assert!(last >= end, "time goes back");
                end = last;
            }
            for part in &client.index.parts {
                assert!(part.start.is_finite() && part.number >= client.index.first);
                let _ = (index.at(part.start), index.after(part.number, Some(part.part), part.start));
            }
        }
    }
}
