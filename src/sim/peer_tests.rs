//! Sessions of players that are not ours, with rules made for the test; and processes that go wrong.

use super::*;

/// A rule in a few words.
struct Scripted<F>(F);

impl<F: FnMut(&Event) -> Reply> Decider for Scripted<F> {
    fn tell(&mut self, event: &Event) -> Result<Reply, PeerError> {
        Ok((self.0)(event))
    }
}

fn quality(rung: usize) -> Reply {
    Reply { quality: Some(rung), ..Reply::default() }
}

fn trace(rtt: f64, steps: &[(f64, f64)]) -> Trace {
    Trace::new("test/link", rtt, steps.iter().copied()).unwrap()
}

/// Ten segments of two seconds, all of one size, in each of some qualities (kbit/s).
fn site(kbps: &[f64]) -> Site {
    let sizes: Vec<u64> = kbps.iter().map(|k| (k * 250.0) as u64).collect();
    Site::new(Movie::new("even", 2000, kbps.to_vec(), vec![sizes; 10]).unwrap(), None, Listing::List)
}

/// Seconds that the manifest takes on a link of 1 Mbit/s.
fn manifest(site: &Site) -> f64 {
    site.answer(site::MANIFEST, None, false, 0.0).wire as f64 / 125_000.0
}

fn play(
    site: &Site,
    trace: &Trace,
    options: &Options,
    rule: impl FnMut(&Event) -> Reply,
) -> Result<Session, PeerError> {
    play_peer(site, trace, options, &mut Scripted(rule))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.03
}

#[test]
fn on_a_steady_link_all_times_are_those_of_the_arithmetic() {
    let site = site(&[500.0]);
    let options = Options { record: true, buffer: 6.0, ..Options::default() };
    let session = play(&site, &trace(0.1, &[(60.0, 1000.0)]), &options, |_| quality(0)).unwrap();
    assert!(session.complete && session.stalls.is_empty(), "{session:?}");
    // Two round trips, the manifest, and a second for the first segment.
    let startup = session.startup.unwrap();
    assert!(close(startup, 1.2 + manifest(&site)), "{startup}");
    assert!(close(session.wall, startup + 20.0), "{}", session.wall);
    assert!(matches!(session.played[..], [Played { rung: 0, to, .. }] if close(to, 20.0)));
    assert_eq!(session.requests, 11);
    let most = session.record.iter().map(|i| i.buffer).fold(0.0, f64::max);
    assert!(most > 4.0 && most <= 6.0, "{most}");
    let metrics = Metrics::of(&session, site.movie(), false);
    assert_eq!((metrics.get("stall_free"), metrics.get("switches_per_min")), (1.0, 0.0));
}

#[test]
fn an_outage_stalls_until_the_segment_that_it_broke_is_complete() {
    let site = site(&[500.0]);
    let link = trace(0.0, &[(5.3, 1000.0), (20.0, 0.0), (600.0, 1000.0)]);
    let options = Options { buffer: 100.0, ..Options::default() };
    let session = play(&site, &link, &options, |_| quality(0)).unwrap();
    // Each segment takes a second. Five play until 11 s, the sixth is there at 26 s.
    let [stall] = session.stalls[..] else { panic!("{session:?}") };
    assert!(close(stall.at, 11.0 + manifest(&site)) && close(stall.seconds, 15.0), "{stall:?}");
    assert!(close(session.wall, 36.0 + manifest(&site)), "{}", session.wall);
}

#[test]
fn a_request_that_is_given_up_makes_room_for_another() {
    let site = site(&[500.0, 4000.0]);
    let mut given_up = false;
    let session =
        play(&site, &trace(0.0, &[(60.0, 1000.0)]), &Options::default(), |event| match event.what {
            What::Progress(load) if load.loaded > 40_000 && !given_up => {
                given_up = true;
                Reply { abandon: true, ..Reply::default() }
            }
            _ => quality(usize::from(!given_up)),
        })
        .unwrap();
    assert_eq!((session.abandoned, session.requests), (1, 12));
    assert!(matches!(session.played[..], [Played { rung: 0, to, .. }] if close(to, 20.0)));
    // It was told of that after four tenths of a second, which are lost.
    assert!(close(session.startup.unwrap(), 1.4 + manifest(&site)), "{session:?}");
    assert!((1_300_000..1_302_000).contains(&session.bytes), "{}", session.bytes);
}

#[test]
fn a_rule_may_wait_and_fetch_again_what_is_buffered() {
    let site = site(&[500.0, 1000.0]);
    let mut asked = Vec::new();
    let options = Options { buffer: 100.0, ..Options::default() };
    let session = play(&site, &trace(0.0, &[(60.0, 10_000.0)]), &options, |event| match event.what {
        What::Next(segment) => {
            asked.push((segment, event.at));
            match asked.len() {
                1..=5 => quality(0),
                6 => Reply { segment: Some(3), delay: 2.0, ..quality(1) },
                _ => quality(1),
            }
        }
        _ => Reply::default(),
    })
    .unwrap();
    let segments: Vec<usize> = asked.iter().map(|a| a.0).collect();
    assert_eq!(segments, [0, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]);
    assert!(close(asked[6].1 - asked[5].1, 2.2), "{asked:?}");
    let rungs: Vec<_> = session.played.iter().map(|p| (p.from, p.rung)).collect();
    assert_eq!(rungs, [(0.0, 0), (6.0, 1)]);
    assert!(session.complete && session.stalls.is_empty());
}

#[test]
fn a_small_file_comes_first_and_costs_a_round_trip() {
    let site = site(&[500.0]);
    let mut first = true;
    let session =
        play(&site, &trace(0.1, &[(60.0, 1000.0)]), &Options::default(), |event| match event.what {
            What::Next(0) if first => {
                first = false;
                Reply { small: true, ..Reply::default() }
            }
            _ => quality(0),
        });
    let session = session.unwrap();
    assert_eq!((session.complete, session.requests), (true, 12));
    assert!(close(session.startup.unwrap(), 1.3 + manifest(&site)), "{session:?}");
}

#[test]
fn answers_that_cannot_be_obeyed_are_errors() {
    let site = site(&[500.0, 1000.0]);
    let link = trace(0.0, &[(60.0, 1000.0)]);
    for reply in [
        Reply::default(),
        quality(2),
        Reply { segment: Some(1), ..quality(0) },
        Reply { delay: -1.0, ..quality(0) },
        Reply { delay: f64::NAN, ..quality(0) },
    ] {
        let result = play(&site, &link, &Options::default(), |_| reply.clone());
        assert!(matches!(result, Err(PeerError::Nonsense(_))), "{reply:?}: {result:?}");
    }
}

#[test]
fn a_rule_that_gives_everything_up_comes_to_an_end() {
    let site = site(&[500.0]);
    let session = play(&site, &trace(0.0, &[(60.0, 1000.0)]), &Options::default(), |event| Reply {
        abandon: matches!(event.what, What::Progress(_)),
        ..quality(0)
    });
    let session = session.unwrap();
    assert!(!session.complete && session.error.is_some() && session.startup.is_none());
}

#[cfg(unix)]
#[test]
fn processes_that_fail_are_told_apart() {
    let site = site(&[500.0]);
    let link = trace(0.0, &[(60.0, 1000.0)]);
    let run = |script: &str| {
        let mut process = Process::start(&["sh".into(), "-c".into(), script.into()])?;
        play_peer(&site, &link, &Options::default(), &mut process)
    };
    let good = r#"echo '{"name":"x 1"}'; while read line; do echo '{"quality":0}'; done"#;
    assert!(run(good).unwrap().complete);
    for (script, wanted) in [
        ("exit 1", PeerError::Gone),
        ("echo hello", PeerError::Nonsense("hello".into())),
        ("echo '{}'", PeerError::Nonsense("{}".into())),
        (r#"echo '{"error":"not installed"}'; exit 1"#, PeerError::Failed("not installed".into())),
        (r#"echo '{"name":"x"}'; read a"#, PeerError::Gone),
        (r#"echo '{"name":"x"}'; read a; echo '[]'; read b"#, PeerError::Nonsense("[]".into())),
        (
            r#"echo '{"name":"x"}'; read a; echo '{"quality":-1}'; read b"#,
            PeerError::Nonsense(r#"{"quality":-1}"#.into()),
        ),
        (r#"echo '{"name":"x"}'; read a; echo '{"error":"broken"}'"#, PeerError::Failed("broken".into())),
    ] {
        assert_eq!(run(script).unwrap_err(), wanted, "{script}");
    }
    assert!(matches!(Process::start(&["/absent".into()]), Err(PeerError::NotStarted(_))));
    assert!(matches!(Process::start(&[]), Err(PeerError::NotStarted(_))));
}
