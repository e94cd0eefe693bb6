//! The simulator's own arithmetic, and sessions whose outcome is known.

use super::*;

fn trace(rtt: f64, steps: &[(f64, f64)]) -> Trace {
    Trace::new("test/link", rtt, steps.iter().copied()).unwrap()
}

/// When each of some requests (when, bytes) is complete.
fn ends(trace: &Trace, options: &LinkOptions, requests: &[(f64, u64)]) -> Vec<f64> {
    let mut link = Link::new(trace, options);
    let mut ends = vec![f64::NAN; requests.len()];
    let mut received = vec![0; requests.len()];
    let mut waiting: Vec<(usize, f64, u64)> =
        requests.iter().enumerate().map(|(i, (at, bytes))| (i, *at, *bytes)).collect();
    let mut now = 0.0;
    for _ in 0..1_000_000 {
        waiting.retain(|&(i, at, bytes)| {
            if at <= now {
                link.request(now, i as u32, bytes, true);
            }
            at > now
        });
        while let Some(delivery) = link.poll(now) {
            match delivery {
                Delivery::Head(_) => {}
                Delivery::Body(id, from, to) => {
                    assert_eq!(received[id as usize], from, "bytes come in order");
                    received[id as usize] = to;
                }
                Delivery::End(id) => ends[id as usize] = now,
            }
        }
        if ends.iter().all(|e| !e.is_nan()) {
            break;
        }
        now = waiting.iter().map(|w| w.1).fold(link.next(), f64::min);
    }
    assert!(requests.iter().map(|r| r.1).eq(received), "all bytes come");
    ends
}

fn assert_close(found: &[f64], wanted: &[f64]) {
    let close = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close, "{found:?} should be {wanted:?}");
}

#[test]
fn a_transfer_takes_what_steps_and_an_outage_leave_of_the_link() {
    let link = trace(0.1, &[(1.0, 800.0), (1.0, 0.0), (1.0, 1600.0)]);
    let none = LinkOptions::default();
    // 90 kB until 1 s, none until 2 s, 60 kB at 200 kB/s.
    assert_close(&ends(&link, &none, &[(0.0, 150_000)]), &[2.3]);
    // 90 + 200 kB by 3 s; then the first step again.
    assert_close(&ends(&link, &none, &[(0.0, 300_000)]), &[3.1]);
    assert_close(&ends(&link, &none, &[(1.5, 20_000)]), &[2.1]);
}

#[test]
fn two_transfers_share_and_what_one_leaves_the_other_takes() {
    let link = trace(0.0, &[(100.0, 800.0)]);
    let none = LinkOptions::default();
    assert_close(&ends(&link, &none, &[(0.0, 100_000), (0.0, 50_000)]), &[1.5, 1.0]);
    assert_close(&ends(&link, &none, &[(0.0, 100_000), (0.5, 100_000)]), &[1.5, 2.0]);
}

#[test]
fn an_aborted_transfer_gives_its_share_back() {
    let link = trace(0.0, &[(100.0, 800.0)]);
    let mut link = Link::new(&link, &LinkOptions::default());
    link.request(0.0, 1, 100_000, false);
    link.request(0.0, 2, 100_000, false);
    link.abort(1.0, 1);
    link.advance(1.5);
    while let Some(delivery) = link.poll(1.5) {
        assert!(!matches!(delivery, Delivery::Head(1) | Delivery::Body(1, ..) | Delivery::End(1)));
        if delivery == Delivery::End(2) {
            return;
        }
    }
    panic!("50 kB in the first second, 50 in the next half");
}

#[test]
fn slow_start_doubles_the_window_and_comes_again_after_idle_time() {
    let link = trace(0.1, &[(100.0, 100_000.0)]);
    let slow = LinkOptions { slow_start: true, ..LinkOptions::default() };
    // Round trips with 14.6, 29.2 and 58.4 kB, after the one for the head.
    let needs = 0.3 + (100_000.0 - 43_800.0) / 584_000.0;
    assert_close(&ends(&link, &slow, &[(0.0, 100_000), (10.0, 100_000)]), &[needs, 10.0 + needs]);
    let warm = ends(&link, &slow, &[(0.0, 100_000), (0.5, 100_000)]);
    assert!(warm[1] < 0.5 + needs - 0.1, "{warm:?}");
}

#[test]
fn caches_answer_at_once_and_jitter_only_delays() {
    let link = trace(0.1, &[(100.0, 800.0)]);
    let cached = LinkOptions { cache: 1.0, ..LinkOptions::default() };
    assert_close(&ends(&link, &cached, &[(0.0, 1_000_000)]), &[0.002]);
    let jitter = LinkOptions { jitter: 0.05, ..LinkOptions::default() };
    let late = ends(&link, &jitter, &[(0.0, 10_000)])[0] - 0.2;
    assert!((0.0..0.05).contains(&late), "{late}");
}

#[test]
fn a_new_connection_costs_a_round_trip() {
    let link = trace(0.1, &[(100.0, 800.0)]);
    let options = LinkOptions { connections: true, ..LinkOptions::default() };
    // The second is used again, the third is opened beside it.
    let times = ends(&link, &options, &[(0.0, 1000), (1.0, 20_000), (1.0, 1000)]);
    assert_close(&times, &[0.21, 1.31, 1.22]);
    let mut link = Link::new(&link, &options);
    for id in 1..3 {
        link.request(f64::from(id), id, 1000, true);
        assert_eq!(link.next(), f64::from(id) + 0.2, "what was given up is closed");
        link.abort(f64::from(id) + 0.1, id);
    }
}

#[test]
fn traces_that_cannot_be_used_are_named_with_their_line() {
    let good = r#"{"id":"a/1","rtt_ms":100,"ms":[1000,500],"kbps":[800,0],"more":1}"#;
    let read = |text: &str| Trace::read_all("x.jsonl", text, usize::MAX);
    let traces = read(&format!("{good}\n\n{good}\n")).unwrap();
    assert_eq!((traces.len(), traces[0].rtt, traces[0].set()), (2, 0.1, "a"));
    assert_eq!((traces[0].duration(), traces[0].mean_kbps()), (1.5, 800.0 / 1.5));
    assert_eq!(Trace::read_all("x", &format!("{good}\n{{"), 1).unwrap().len(), 1, "the first one only");
    for (bad, fault) in [
        (&good[..40], Fault::CutShort),
        (r#"{"id":"a","ms":[1],"kbps":[1]}"#, Fault::Field("rtt_ms")),
        (r#"{"id":"a","rtt_ms":1,"ms":"1","kbps":[1]}"#, Fault::Field("ms")),
        (r#"{"id":"a","rtt_ms":1,"ms":[1],"kbps":[null]}"#, Fault::Field("kbps")),
        (r#"{"id":7,"rtt_ms":1,"ms":[1],"kbps":[1]}"#, Fault::Field("id")),
        (
            r#"{"id":"a","rtt_ms":1,"ms":[1,2],"kbps":[1]}"#,
            Fault::Impossible("\"ms\" and \"kbps\" are not of one length"),
        ),
        (r#"{"id":"a","rtt_ms":1,"ms":[0],"kbps":[1]}"#, Fault::Impossible("a step lasts no time")),
        (r#"{"id":"a","rtt_ms":1,"ms":[1],"kbps":[-1]}"#, Fault::Impossible("a capacity is below 0")),
        (r#"{"id":"a","rtt_ms":1,"ms":[1],"kbps":[0]}"#, Fault::Impossible("nothing ever comes through")),
        (r#"{"id":"a","rtt_ms":1,"ms":[],"kbps":[]}"#, Fault::Empty),
    ] {
        let error = read(&format!("{good}\n{bad}\n")).unwrap_err();
        assert_eq!((error.line, &error.fault), (2, &fault), "{bad}");
        assert!(error.to_string().starts_with("x.jsonl:2: "), "{error}");
    }
    let not_json = read("<html>").unwrap_err();
    assert!(matches!(not_json.fault, Fault::NotJson(_)) && not_json.line == 1, "{not_json}");
    assert_eq!(read("\n").unwrap_err().fault, Fault::Empty);
}

#[test]
fn movies_that_cannot_be_used_are_named() {
    let text =
        r#"{"name":"m","segment_ms":2000,"bitrates_kbps":[8,16],"sizes_bits":[[16000,32000],[8000,64000]]}"#;
    let movie = Movie::read("m.json", text).unwrap();
    assert_eq!((movie.duration(), &movie.bytes[1]), (4.0, &vec![1000, 8000]));
    assert_eq!(movie.shortened(1).bytes.len(), 1);
    for (from, to) in [
        ("2000", "0"),
        ("[8,16]", "[16,8]"),
        ("[8,16]", "[8]"),
        ("[8000,64000]", "[8000]"),
        ("\"sizes_bits\"", "\"sizes\""),
        ("}", ""),
        ("{", "<"),
    ] {
        Movie::read("m.json", &text.replacen(from, to, 1)).unwrap_err();
    }
    let cut = Movie::read("m.json", "{\n\"name\":").unwrap_err();
    assert_eq!((cut.line, cut.fault), (2, Fault::CutShort));
}

/// Segments of two seconds, all of one size, in each of some qualities (kbit/s).
fn even_movie(kbps: &[f64], segments: usize) -> Movie {
    let sizes: Vec<u64> = kbps.iter().map(|k| (k * 250.0) as u64).collect();
    Movie::new("even", 2000, kbps.to_vec(), vec![sizes; segments]).unwrap()
}

fn site(movie: Movie) -> Site {
    Site::new(movie, None, Listing::List)
}

#[test]
fn a_fast_link_plays_without_a_stall_in_the_best_quality() {
    let site = site(even_movie(&[500.0, 1000.0], 20));
    let session = play(&site, &trace(0.05, &[(60.0, 20_000.0)]), &Options::default());
    assert!(session.complete && session.stalls.is_empty(), "{session:?}");
    assert_eq!(session.played, [Played { from: 0.0, to: 40.0, rung: 1 }]);
    let startup = session.startup.unwrap();
    assert!((0.1..0.3).contains(&startup), "{startup}");
    assert!((session.wall - startup - 40.0).abs() < 0.1, "{session:?}");
    // Segments, initialization segment, and the manifest, compressed.
    assert!((5_000_000..5_010_000).contains(&session.bytes), "{}", session.bytes);
    let metrics = Metrics::of(&session, site.movie(), false);
    assert!((metrics.get("qoe_lin") - 1.0).abs() < 1e-9 && metrics.get("stall_free") == 1.0);
    assert!((metrics.get("qoe_log") - 2f64.ln()).abs() < 1e-9);
}

#[test]
fn the_buffer_is_never_fuller_than_it_may_be() {
    let site = site(even_movie(&[500.0], 40));
    for buffer in [6.0, 25.0] {
        let options = Options { buffer, record: true, ..Options::default() };
        let session = play(&site, &trace(0.05, &[(60.0, 20_000.0)]), &options);
        let most = session.record.iter().map(|i| i.buffer).fold(0.0, f64::max);
        assert!(most <= buffer + 0.1 && most > buffer - 2.5, "{most} of {buffer}");
    }
}

#[test]
fn a_link_of_half_the_bitrate_stalls_for_half_the_time() {
    let site = site(even_movie(&[1000.0], 20));
    let session = play(&site, &trace(0.0, &[(60.0, 500.0)]), &Options::default());
    let stalled: f64 = session.stalls.iter().map(|s| s.seconds).sum();
    // 40 s of media need 80 s; the first half second of media is waited for at the start, the last plays after the end.
    assert!((session.wall - 80.0).abs() < 1.0, "{}", session.wall);
    assert!((stalled + session.startup.unwrap() + 40.0 - session.wall).abs() < 0.1, "{stalled}");
}

#[test]
fn an_outage_longer_than_the_buffer_stalls_and_playback_goes_on_after_it() {
    let site = site(even_movie(&[500.0], 40));
    let session =
        play(&site, &trace(0.05, &[(30.0, 4000.0), (40.0, 0.0), (600.0, 4000.0)]), &Options::default());
    assert!(session.complete, "{session:?}");
    let stalled: f64 = session.stalls.iter().map(|s| s.seconds).sum();
    // 25 s at most were buffered when it began.
    assert!((15.0..30.0).contains(&stalled), "{session:?}");
}

#[test]
fn every_listing_sound_and_live_play() {
    let link = trace(0.05, &[(60.0, 5000.0)]);
    for listing in [Listing::List, Listing::Index, Listing::Template] {
        let site = Site::new(even_movie(&[500.0, 1000.0], 20), Some(64.0), listing);
        let session = play(&site, &link, &Options::default());
        assert!(session.complete && session.stalls.is_empty(), "{listing:?}: {session:?}");
        let sound = 20 * 16_000;
        assert!(session.bytes > 4_500_000 + sound, "{listing:?}: {}", session.bytes);
    }
    let site = Site::new(even_movie(&[500.0, 1000.0], 80), None, Listing::List);
    let session = play(&site, &link, &Options { live: true, ..Options::default() });
    assert!(session.complete && session.stalls.is_empty(), "{session:?}");
    let latency = session.latency.unwrap();
    assert!((2.0..20.0).contains(&latency), "{latency}");
    let seconds: f64 = session.played.iter().map(|p| p.to - p.from).sum();
    assert!((90.0..101.0).contains(&seconds), "{seconds}");
}

#[test]
fn rules_are_obeyed() {
    let site = site(even_movie(&[500.0, 1000.0, 2000.0], 10));
    let link = trace(0.05, &[(60.0, 20_000.0)]);
    for (name, rung) in [("lowest", 0), ("fixed:1", 1), ("highest", 2)] {
        let options = Options { rule: Rule::parse(name).unwrap(), ..Options::default() };
        let session = play(&site, &link, &options);
        assert!(session.played.iter().all(|p| p.rung == rung), "{name}: {:?}", session.played);
    }
    for unknown in ["bola-e", "default:up", "default:upp=1", "default:up=much", "lowest:up=1", "fixed:x"] {
        assert_eq!(Rule::parse(unknown), None, "{unknown}");
    }
}

#[test]
fn a_rule_is_tuned_for_its_session_alone() {
    let site = site(even_movie(&[500.0, 1000.0, 2000.0], 10));
    let link = trace(0.05, &[(60.0, 1300.0)]);
    let rung = |name: &str| {
        let options = Options { rule: Rule::parse(name).unwrap(), ..Options::default() };
        play(&site, &link, &options).played.last().map(|p| p.rung)
    };
    assert_eq!(rung("default"), Some(1));
    assert_eq!(rung("default:up=0.3:keep=0.3"), Some(0));
    assert_eq!(rung("throughput"), Some(1));
}

#[test]
fn the_same_input_gives_the_same_output() {
    let movie = synthetic_movie(7, 60);
    assert_eq!(movie, synthetic_movie(7, 60));
    assert_ne!(movie, synthetic_movie(8, 60));
    let site = site(movie);
    for kind in KINDS {
        let traces = synthetic_traces(kind, 7, 3);
        assert_eq!(traces, synthetic_traces(kind, 7, 3));
        assert_eq!(traces.len(), 3);
        let link = LinkOptions { slow_start: true, connections: true, jitter: 0.05, cache: 0.1, seed: 3 };
        let options = Options { link, record: true, ..Options::default() };
        for trace in &traces {
            let session = play(&site, trace, &options);
            assert!(session.complete, "{kind}: {:?}", session.error);
            assert_eq!(session, play(&site, trace, &options), "{kind}");
        }
    }
}

#[test]
fn the_numbers_of_a_session_made_by_hand_are_those_of_the_definitions() {
    let movie = even_movie(&[1000.0, 2000.0, 4000.0], 4);
    let piece = |from, to, rung| Played { from, to, rung };
    // Segments: 1, 4, 4 and, half of it in each, 3 Mbit/s.
    let mut session = Session {
        startup: Some(0.5),
        stalls: vec![Stall { at: 3.0, seconds: 1.0 }, Stall { at: 6.0, seconds: 0.5 }],
        played: vec![piece(0.0, 2.0, 0), piece(2.0, 6.0, 2), piece(6.0, 7.0, 1), piece(7.0, 8.0, 2)],
        wall: 10.0,
        complete: true,
        ..Session::default()
    };
    let close = |metrics: Metrics, name: &str, wanted: f64| {
        assert!((metrics.get(name) - wanted).abs() < 1e-9, "{name}: {} not {wanted}", metrics.get(name));
    };
    let m = Metrics::of(&session, &movie, false);
    close(m, "qoe_lin", (12.0 - 4.0 * 1.5 - (3.0 + 1.0)) / 4.0);
    let (two, four) = (2f64.ln(), 4f64.ln());
    let last = (two + four) / 2.0;
    close(m, "qoe_log", (2.0 * four + last - 2.66 * 1.5 - four - (four - last)) / 4.0);
    close(m, "avg_kbps", 2.0 * 12_000.0 / 10.0);
    close(m, "rebuffer_pct", 15.0);
    close(m, "stalls", 2.0);
    close(m, "stall_free", 0.0);
    close(m, "startup_seconds", 0.5);
    close(m, "switches_per_min", 12.0);
    close(m, "change_mbps", 4.0);
    // What was never played counts as a stall.
    session.played.truncate(2);
    let m = Metrics::of(&session, &movie, false);
    close(m, "stall_seconds", 3.5);
    close(m, "qoe_lin", (9.0 - 4.0 * 3.5 - 3.0) / 4.0);
}

#[test]
fn summaries_hold_mean_bad_end_and_interval() {
    let values: Vec<f64> = (1..=100).map(f64::from).collect();
    let s = summarize(&values, true);
    assert_eq!((s.mean, s.worst_tenth), (50.5, 11.0));
    assert_eq!(summarize(&values, false).worst_tenth, 91.0);
    assert!(
        s.interval.0 > 42.0 && s.interval.0 < 48.0 && s.interval.1 > 53.0 && s.interval.1 < 59.0,
        "{s:?}"
    );
    assert_eq!(s, summarize(&values, true));
    assert!(summarize(&[], true).mean.is_nan());
}

#[test]
fn earlier_results_are_paired_by_trace() {
    let site = site(even_movie(&[500.0, 1000.0], 10));
    let link = trace(0.05, &[(60.0, 700.0)]);
    let run = |name: &str| {
        let options = Options { rule: Rule::parse(name).unwrap(), ..Options::default() };
        let session = play(&site, &link, &options);
        let metrics = vec![Metrics::of(&session, site.movie(), false)];
        Run { rule: name.into(), metrics, sessions: vec![session] }
    };
    let report = |name: &str| Report {
        title: "test".into(),
        groups: vec![Group {
            set: "test".into(),
            movie: "even".into(),
            traces: vec![link.id.clone()],
            runs: vec![run(name)],
        }],
    };
    let earlier = report("highest").json().to_string();
    let mut now = report("lowest");
    now.add_earlier("earlier.json", &earlier).unwrap();
    let [before, after] = &now.groups[0].runs[..] else { panic!("two runs") };
    assert_eq!((before.rule.as_str(), after.rule.as_str()), ("earlier", "lowest"));
    let gain = after.less(before, 0).mean;
    assert!((gain - (after.metrics[0].0[0] - before.metrics[0].0[0])).abs() < 1e-12 && gain > 0.0);
    assert!(now.text().contains("Pairs") && now.html(&[]).contains("<svg"));
    for (bad, line) in [(&earlier[..50], 1), (&earlier.replace("test/link", "other"), 0), ("{}", 0)] {
        assert_eq!(report("lowest").add_earlier("e", bad).unwrap_err().line, line);
    }
}
