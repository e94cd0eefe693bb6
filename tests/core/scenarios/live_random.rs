//! Seeded random live runs: whatever the order of readings, failures and switches, playback goes forward, one frame after the other, and
//! what is left out is told.

use super::live_watch::*;
use super::random::{Random, seeds};
use super::*;
use crate::sim::site::Site;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

fn source(r: &mut Random) -> (String, Live, Site, &'static str) {
    let mut live = Live::new().with(|l| {
        l.stream.segment = [1.0, 2.0, 4.0][r.below(3) as usize];
        l.depth = 60.0;
        l.stream.ladder.truncate(1 + r.below(3) as usize);
        l.stream.languages = [vec![], vec!["en"], vec!["en", "de"]][r.below(3) as usize].clone();
        l.clock = r.chance(50);
        l.dates = r.chance(70);
        if r.chance(40) {
            (l.period, l.rebased) = (Some(11.0 * l.stream.segment), r.chance(70));
        }
    });
    if r.chance(20) {
        live.age = 30.0;
    }
    let kind = ["number", "timeline", "zero", "patches", "chunks", "fmp4", "ts", "parts", "ranges", "polled"]
        [r.below(10) as usize];
    match kind {
        "number" => (live.addressing, live.update) = (Some(Addressing::Number), Some(2.0)),
        "timeline" => (live.update, live.numbered) = (Some(2.0), r.chance(50)),
        "zero" => live.update = Some(0.0),
        "patches" => (live.update, live.patches, live.period) = (Some(2.0), true, None),
        "chunks" => {
            (live.addressing, live.update) = (Some(Addressing::Number), Some(2.0));
            (live.chunk, live.service) = (Some(live.stream.segment / 5.0), Some((2.5, 0.95, 1.05)));
        }
        "ts" => {
            live.stream.muxed = live.stream.languages.len() == 1;
            if live.stream.muxed {
                live.stream.languages.clear();
            }
        }
        "parts" | "ranges" | "polled" => {
            live.part = Some([0.25, 0.5][r.below(2) as usize]);
            (live.hints, live.deltas, live.reports) = (r.chance(80), r.chance(70), r.chance(70));
            (live.ranged, live.blocks) = (kind == "ranges", kind != "polled");
        }
        _ => {}
    }
    let hls = matches!(kind, "fmp4" | "ts" | "parts" | "ranges" | "polled");
    let site = if hls { live.clone().hls(kind == "ts") } else { live.clone().dash() };
    (kind.to_owned(), live, site, if hls { M3U8 } else { MPD })
}

/// The site behind a cache that may keep manifests for too long: from that time on.
fn cached(site: Site, since: Rc<Cell<Option<f64>>>) -> Site {
    let mut cached = Site::default();
    cached.serve(move |url, now| {
        let listed = [".m3u8", ".mpd", "patch"].iter().any(|part| url.contains(part));
        site.answer(url, since.get().filter(|_| listed).unwrap_or(now))
    });
    cached
}

/// A fault of one kind for a while, or for some requests.
fn trouble(r: &mut Random, w: &mut World) {
    let pattern = ["m3u8", "manifest", "patch", "/v", "/a", "_HLS_msn", "_HLS_skip", "init", "time", ""]
        [r.below(10) as usize];
    let fault = match r.below(9) {
        0 => Fault::Status(404),
        1 => Fault::Status(503),
        2 => Fault::Refused,
        3 => Fault::BreakAfter(r.below(20_000) as usize),
        4 => Fault::StallAfter(r.below(20_000) as usize),
        5 => Fault::Silence,
        6 => Fault::Delay(r.unit() * 6.0),
        7 => Fault::Content(b"<html>"),
        _ => Fault::Status(410),
    };
    w.fault(pattern, fault, 1 + r.below(4) as u32);
}

/// What was done that may fetch media again or move the playhead.
#[derive(Default)]
struct Deeds {
    replaced: Vec<f64>,
    moved: Vec<f64>,
    /// Pictures that had been shown when the playhead was moved.
    shown: Vec<usize>,
    stale: Rc<Cell<Option<f64>>>,
}

impl Deeds {
    fn moves(&mut self, w: &World) {
        self.moved.push(w.now);
        self.shown.push(w.played('v').len());
    }
}

fn act(r: &mut Random, w: &mut World, deeds: &mut Deeds) {
    match r.below(11) {
        0 | 1 => {
            deeds.replaced.push(w.now);
            w.intent(UserIntent::SelectQuality(r.chance(60).then(|| format!("v{}", r.below(3)))));
        }
        2 => {
            let tracks = w.events.iter().rev().find_map(|t| match &t.event {
                Event::Tracks { audio, .. } => Some(audio.clone()),
                _ => None,
            });
            if let Some(track) =
                tracks.filter(|a| !a.is_empty()).map(|a| a[r.below(a.len() as u64) as usize].clone())
            {
                deeds.replaced.push(w.now);
                w.intent(UserIntent::SelectAudio(track.id));
            }
        }
        3 => {
            w.pause();
            w.run_for(r.unit() * 30.0);
            w.play();
        }
        4 => {
            w.hide(true);
            w.run_for(r.unit() * 10.0);
            w.hide(false);
        }
        5 => {
            deeds.moves(w);
            w.intent(UserIntent::GoLive);
        }
        7 => {
            let window = w.element.source.as_ref().and_then(|s| s.live_range);
            if let Some((start, end)) = window {
                deeds.moves(w);
                w.seek(start + r.unit() * (end - start));
            }
        }
        8 => {
            // The seek that brings it back is told as a jump.
            w.sleep([20.0, 3600.0][r.below(2) as usize], r.chance(50));
        }
        9 => {
            deeds.stale.set(Some(w.server_now()));
            w.run_for(r.unit() * 12.0);
            deeds.stale.set(None);
        }
        6 => w.link(400e3 + r.unit() * 6e6),
        _ => {
            w.offline(true);
            w.run_for(r.unit() * 8.0);
            w.offline(false);
        }
    }
}

/// The playhead goes forward, frame by frame, unless the user moved it or a reason was told.
fn assert_forward(w: &World, live: &Live, deeds: &Deeds, name: &str) {
    /// Pictures within which a move of the user shows.
    const SOON: usize = 100;
    let frame = 1.0 / f64::from(live.stream.fps);
    let mut missing = 0.0;
    let mut moves = deeds.shown.iter().peekable();
    for (i, pair) in w.played('v').windows(2).enumerate() {
        while moves.next_if(|at| **at + SOON < i).is_some() {}
        let step = live.end_of(pair[1]) - live.end_of(pair[0]);
        let moved = (step < 1e-6 || step > 1.5 * frame) && moves.next_if(|at| **at <= i + 1).is_some();
        if !moved {
            assert!(step > 1e-6, "{name}: back by {step:.3} s at {pair:?}\n{}", w.story());
            missing += (step - frame).max(0.0);
        }
    }
    let told: f64 = w.gaps().iter().map(|g| (g.2 - g.1).max(0.0)).sum();
    let rounding = 0.15 * (1 + w.gaps().len() + deeds.moved.len()) as f64;
    assert!(
        missing <= told + rounding,
        "{name}: {missing:.3} s are missing, {told:.3} were told\n{}",
        w.story()
    );
}

/// What has come is not fetched again, but for a user who wants it otherwise, and after a jump.
fn assert_economy(w: &World, deeds: &Deeds, name: &str) {
    let mut done: BTreeMap<String, f64> = BTreeMap::new();
    let jumps: Vec<f64> = w.seeks.iter().map(|s| s.0).collect();
    for r in w
        .requests()
        .iter()
        .filter(|r| r.kind == FetchKind::Segment && r.outcome == Outcome::Complete && r.received > 300)
    {
        let path = r.url.trim_start_matches("https://media.test/");
        let (track, file) = path.split_once('/').unwrap();
        let kind = if track.starts_with('v') { "v" } else { track };
        let place = format!("{kind}/{file}@{:?}", r.range.map(|r| r.first));
        if let Some(before) = done.insert(place.clone(), r.at) {
            let excused = deeds
                .replaced
                .iter()
                .chain(&deeds.moved)
                .chain(&jumps)
                .any(|t| *t >= before - 1.0 && *t <= r.at + 0.1);
            // Another one stands in for what failed, and decoding begins at the start of a segment.
            let same = |url: &str| url.trim_start_matches("https://media.test/").starts_with(kind);
            let failed = w.requests().iter().any(|f| {
                same(&f.url) && f.at >= before - 1.0 && f.at <= r.at && f.outcome != Outcome::Complete
            });
            // It may also have come whole and be none.
            let wrong = w.events.iter().filter(|t| t.at >= before && t.at <= r.at).any(|t| {
                matches!(&t.event, Event::Error(e) if e.code == Code::Truncated && e.url.as_deref().is_some_and(same))
            });
            let excused = excused || failed || wrong;
            assert!(excused, "{name}: {place} at {before:.3} and {:.3}\n{}", r.at, w.story());
        }
    }
}

fn run(seed: u64) {
    let mut r = Random::new(seed);
    let (kind, live, site, url) = source(&mut r);
    let name = format!("seed {seed}, {kind}");
    let mut deeds = Deeds::default();
    let mut w = tuned(
        cached(site, deeds.stale.clone()),
        Config { live_latency: r.chance(40).then(|| 4.0 + r.unit() * 10.0), ..Config::default() },
    );
    w.net.rtt = 0.01 + r.unit() * 0.15;
    w.net.rates = vec![(0.0, 600e3 + r.unit() * 9e6)];
    w.wall += if live.clock { (r.unit() - 0.5) * 100.0 } else { (r.unit() - 0.5) * 0.4 };
    let troubled = r.chance(70);
    w.record();
    w.load(url);
    // The start is another matter: what fails there may end the load.
    w.run_for(6.0);
    assert!(w.fatal().is_none(), "{name}: {}", w.story());
    for _ in 0..r.below(14) {
        w.run_for(r.unit() * [1.0, 4.0, 12.0][r.below(3) as usize]);
        if troubled && r.chance(60) {
            trouble(&mut r, &mut w);
        } else {
            act(&mut r, &mut w, &mut deeds);
        }
        assert!(w.fatal().is_none(), "{name}: {}", w.story());
    }
    w.net.heal();
    w.link(10e6);
    w.run_for(40.0);
    assert!(w.fatal().is_none(), "{name}: {}", w.story());
    assert_forward(&w, &live, &deeds, &name);
    assert_economy(&w, &deeds, &name);
    w.intent(UserIntent::GoLive);
    w.run_for(10.0);
    // It may relax afterwards, which moves nothing where the rate is left alone.
    let target = state(&w).target;
    let before = w.element.position;
    w.run_for(6.0);
    assert!(w.element.position > before + 4.0, "{name}: it stands at {before}\n{}", w.story());
    let (behind, segment) = (latency(&w, &live), live.stream.segment);
    let most = target + if url == M3U8 { 3.0 } else { 2.0 } * segment;
    assert!(behind < most + 1.0, "{name}: {behind:.3} s behind, {most:.3} at the most\n{}", w.story());
    // A reading and a piece of each track, and what goes along with trouble.
    let pace = 2.0 / live.piece().unwrap_or(segment);
    let most = w.now * (5.0 + pace * (1 + live.stream.languages.len()) as f64);
    let asked = w.requests().len();
    assert!((asked as f64) < most, "{name}: {asked} requests in {:.0} s\n{}", w.now, w.story());
    w.stop();
    w.assert_replays(&name);
}

#[test]
fn random_live_runs_go_forward_and_leave_nothing_out_untold() {
    seeds(200, run);
}

/// Playlists without dates: after a sleep each guessed for itself how long it was.
#[test]
fn playlists_agree_on_the_length_of_a_sleep() {
    run(295);
}
