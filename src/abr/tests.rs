//! The estimator, the selector and the abandon rule on simulated links, in virtual time.

use super::*;

/// Steps of the simulation in seconds: chunks arrive this often.
const STEP: f64 = 0.02;
/// Round trip before the first byte.
const RTT: f64 = 0.05;

const LADDER: [u64; 4] = [400_000, 800_000, 1_500_000, 3_000_000];

/// Bit/s from a second on.
type Trace<'a> = &'a [(f64, f64)];

fn capacity(trace: Trace, now: f64) -> f64 {
    trace.iter().rev().find(|(from, _)| *from <= now).map_or(0.0, |(_, bps)| *bps)
}

/// Requests that share a link.
struct Link<'a> {
    trace: Trace<'a>,
    estimator: Estimator,
    now: f64,
    next_id: u32,
}

impl<'a> Link<'a> {
    fn new(trace: Trace<'a>) -> Self {
        Self { trace, estimator: Estimator::new(2e6), now: 0.0, next_id: 0 }
    }

    /// Downloads these sizes at once and returns the seconds it took.
    fn fetch(&mut self, sizes: &[f64]) -> f64 {
        let start = self.now;
        let mut open: Vec<(u32, f64)> = Vec::new();
        for size in sizes {
            self.estimator.request_started(self.next_id, self.now);
            open.push((self.next_id, *size));
            self.next_id += 1;
        }
        self.now += RTT;
        while !open.is_empty() {
            self.now += STEP;
            let each = capacity(self.trace, self.now) / 8.0 * STEP / open.len() as f64;
            for (id, left) in &mut open {
                let bytes = each.min(*left);
                *left -= bytes;
                if bytes > 0.0 {
                    self.estimator.bytes(*id, self.now, bytes as usize);
                }
                if *left <= 0.0 {
                    self.estimator.request_done(*id, self.now);
                }
            }
            open.retain(|(_, left)| *left > 0.0);
            assert!(self.now < start + 600.0, "the link is dead");
        }
        self.now - start
    }

    /// A response of which every byte is there at once.
    fn cached(&mut self, size: usize) {
        let id = self.next_id;
        self.next_id += 1;
        self.estimator.request_started(id, self.now);
        self.estimator.bytes(id, self.now + 0.002, size / 2);
        self.estimator.bytes(id, self.now + 0.004, size - size / 2);
        self.now += 0.005;
        self.estimator.request_done(id, self.now);
    }

    fn estimate(&self) -> f64 {
        self.estimator.estimate(self.now)
    }
}

fn assert_near(value: f64, expected: f64, tolerance: f64) {
    assert!((value / expected - 1.0).abs() <= tolerance, "{value:.0} is not {expected:.0} ± {tolerance}");
}

#[test]
fn a_steady_link_is_measured_without_the_wait_for_first_bytes() {
    for bps in [0.3e6, 2e6, 20e6, 200e6] {
        let trace = [(0.0, bps)];
        let mut link = Link::new(&trace);
        let size = bps * 2.0 / 8.0;
        link.estimator.set_segment_bytes(size as u64);
        for _ in 0..2 {
            link.fetch(&[size]);
        }
        assert_near(link.estimate(), bps, 0.03);
        assert_eq!(
            link.estimator.confidence(),
            if size * 1.9 > 116_800.0 { link.estimator.confidence() } else { 1.0 }
        );
        assert!(link.estimator.confidence() > 0.9);
    }
}

#[test]
fn a_step_is_seen_within_two_segments_both_ways() {
    for (before, after) in [(1e6, 3e6), (3e6, 1e6), (2e6, 4e6), (5e6, 0.7e6)] {
        let trace = [(0.0, before), (1000.0, after)];
        let mut link = Link::new(&trace);
        let size = 400_000.0;
        link.estimator.set_segment_bytes(size as u64);
        while link.now < 100.0 {
            link.fetch(&[size]);
        }
        assert_near(link.estimate(), before, 0.03);
        link.now = 1000.0;
        link.fetch(&[size]);
        link.fetch(&[size]);
        let (low, high) = if after > before { (0.75, 1.02) } else { (0.9, 1.3) };
        let seen = link.estimate() / after;
        assert!(seen > low && seen < high, "{before} -> {after}: {seen}");
    }
}

#[test]
fn parallel_downloads_add_up() {
    let trace = [(0.0, 4e6)];
    let mut link = Link::new(&trace);
    link.estimator.set_segment_bytes(500_000);
    for _ in 0..4 {
        link.fetch(&[500_000.0, 64_000.0]);
    }
    assert_near(link.estimate(), 4e6, 0.05);
    for _ in 0..4 {
        link.fetch(&[500_000.0, 500_000.0, 8_000.0]);
    }
    assert_near(link.estimate(), 4e6, 0.05);
}

#[test]
fn cached_and_tiny_responses_change_nothing() {
    let trace = [(0.0, 2e6)];
    let mut link = Link::new(&trace);
    link.cached(300_000);
    assert_eq!(link.estimate(), 2e6, "before anything was measured, too");
    link.estimator.set_segment_bytes(500_000);
    link.fetch(&[500_000.0]);
    link.fetch(&[500_000.0]);
    let before = link.estimate();
    for _ in 0..2 {
        link.cached(400_000);
        link.cached(3_000);
    }
    link.fetch(&[4_000.0]);
    assert_near(link.estimate(), before, 0.01);
    assert_near(link.estimate(), 2e6, 0.03);
}

#[test]
fn a_link_on_which_all_is_instant_is_believed_in_the_end() {
    let trace = [(0.0, 2e6)];
    let mut link = Link::new(&trace);
    for _ in 0..6 {
        link.cached(400_000);
    }
    assert!(link.estimate() > 50e6, "{}", link.estimate());
}

/// A busy page is given whole responses at once; their rate is then at least that over the wait for them.
#[test]
fn responses_of_one_chunk_are_believed_in_the_end() {
    let mut link = Link::new(&[]);
    let mut fetch = |count: usize, wait: f64| {
        for _ in 0..count {
            let id = link.next_id;
            link.next_id += 1;
            link.estimator.request_started(id, link.now);
            link.now += wait;
            link.estimator.bytes(id, link.now, 250_000);
            link.estimator.request_done(id, link.now + 0.001);
            link.now += 1.0;
        }
        link.estimate()
    };
    // One or two may have come from a cache.
    assert_near(fetch(2, 0.1), 2e6, 0.001);
    let fast = fetch(4, 0.1);
    assert!(fast > 15e6, "{fast}");
    // How long the server took is no measure of the link.
    assert_near(fetch(4, 5.0), fast, 0.001);
}

#[test]
fn the_estimate_falls_while_a_response_stands_still() {
    let trace = [(0.0, 4e6)];
    let mut link = Link::new(&trace);
    link.estimator.set_segment_bytes(500_000);
    link.fetch(&[500_000.0]);
    link.fetch(&[500_000.0]);
    link.estimator.request_started(99, link.now);
    link.estimator.bytes(99, link.now + 0.1, 20_000);
    link.now += 0.1;
    let before = link.estimate();
    assert_near(before, 4e6, 0.05);
    assert!(link.estimator.estimate(link.now + 4.0) < before / 4.0);
    link.estimator.request_done(99, link.now + 4.0);
    assert_eq!(link.estimator.in_flight(), 0);
    link.estimator.bytes(99, link.now + 5.0, 1);
    link.estimator.request_done(99, link.now + 5.0);
}

/// What a viewer saw.
#[derive(Debug, Default)]
struct Session {
    switches: usize,
    stalls: usize,
    stall_time: f64,
    /// Mean of the bitrates that were fetched.
    average: f64,
    abandoned: usize,
    chosen: Vec<usize>,
    reasons: Vec<Reason>,
}

/// Plays `seconds` of media in segments of `duration` s over the link, appending as bytes arrive.
fn play(trace: Trace, seconds: f64, duration: f64, target: f64) -> Session {
    let mut estimator = Estimator::new(2e6);
    let mut selector = Selector::new();
    let mut out = Session::default();
    let (mut now, mut fetched, mut played, mut playing, mut stalled) = (0.0, 0.0, 0.0, false, false);
    let mut current = None;
    let mut id = 0;
    while fetched < seconds {
        let buffer: f64 = fetched - played;
        if buffer > target - duration && playing {
            (now, played) = (now + STEP, played + STEP);
            continue;
        }
        let situation = Situation {
            rule: Rule::Default,
            ladder: &LADDER,
            next_sizes: &LADDER.map(|b| (b as f64 * duration / 8.0) as u64),
            current,
            cap: 3,
            buffer,
            buffer_target: target,
            estimate: estimator.estimate(now),
            rate: 1.0,
            paced: false,
            startup: !playing,
        };
        let mut decision = selector.choose(&situation);
        let base = fetched;
        // Again from the start of the segment if its download is given up.
        loop {
            let i = decision.index;
            if current.is_some_and(|c| c != i) {
                out.switches += 1;
                out.reasons.push(decision.reason);
            }
            current = Some(i);
            let size = LADDER[i] as f64 * duration / 8.0;
            estimator.set_segment_bytes(size as u64);
            estimator.request_started(id, now);
            let (started, mut first, mut received, mut given_up) = (now, None, 0.0, None);
            while received < size && given_up.is_none() {
                now += STEP;
                if now > started + RTT {
                    let bytes = (capacity(trace, now) / 8.0 * STEP).min(size - received);
                    received += bytes;
                    if bytes > 0.0 {
                        first.get_or_insert(now);
                        estimator.bytes(id, now, bytes as usize);
                        fetched = base.max(fetched).max(base + duration * received / size);
                    }
                }
                playing |= fetched > 0.1;
                // As an element does, it waits for a little more before it goes on after a stall.
                let ahead = if stalled && received < size { 0.5 } else { STEP };
                if playing && played + ahead <= fetched {
                    played += STEP;
                    stalled = false;
                } else if playing {
                    if !stalled {
                        out.stalls += 1;
                    }
                    stalled = true;
                    out.stall_time += STEP;
                }
                let lower: Vec<u64> =
                    LADDER[..i].iter().map(|b| (*b as f64 * duration / 8.0) as u64).collect();
                given_up = abandon(&Download {
                    received: received as u64,
                    before: 0,
                    size: size as u64,
                    receiving: first.map(|f| now - f),
                    elapsed: now - started,
                    buffer: fetched - played,
                    duration,
                    shown: received > 0.0 && played > base - 1.0,
                    rate: 1.0,
                    estimate: estimator.estimate(now),
                    current: i,
                    lower: &lower,
                });
                assert!(now < 3600.0, "never ends");
            }
            estimator.request_done(id, now);
            id += 1;
            let Some(index) = given_up else { break };
            selector.abandoned();
            out.abandoned += 1;
            decision = Decision { index, reason: Reason::BufferLow };
        }
        fetched = base + duration;
        let i = current.unwrap();
        out.chosen.push(i);
        out.average += LADDER[i] as f64 * duration / seconds;
    }
    out
}

#[test]
fn a_fast_link_reaches_the_top_after_one_segment_and_stays() {
    let s = play(&[(0.0, 10e6)], 120.0, 4.0, 30.0);
    assert_eq!(s.chosen[0], 1, "half of the initial 2 Mbit/s");
    assert!(s.chosen[1..].iter().all(|i| *i == 3), "{s:?}");
    assert_eq!((s.switches, s.stalls), (1, 0), "{s:?}");
}

#[test]
fn a_slow_link_goes_down_without_a_stall_that_lasts() {
    let s = play(&[(0.0, 0.5e6)], 120.0, 4.0, 30.0);
    assert_eq!(s.chosen.last(), Some(&0), "{s:?}");
    assert!(s.switches <= 2, "{s:?}");
}

#[test]
fn it_follows_steps_down_and_up() {
    let s = play(&[(0.0, 6e6), (40.0, 0.6e6), (100.0, 6e6)], 200.0, 4.0, 30.0);
    assert!(s.chosen.contains(&0) && s.chosen.last() == Some(&3), "{s:?}");
    assert_eq!(s.stalls, 0, "{s:?}");
    assert!(s.switches <= 6, "{s:?}");
}

#[test]
fn a_link_between_two_rungs_does_not_oscillate() {
    for bps in [0.9e6, 1.2e6, 1.7e6, 2.2e6, 3.2e6] {
        let s = play(&[(0.0, bps)], 600.0, 4.0, 30.0);
        assert_eq!(s.stalls, 0, "{bps}: {s:?}");
        assert!(s.switches <= 16, "{bps}: {} switches in ten minutes: {s:?}", s.switches);
        assert!(s.average >= 0.6 * bps.min(3e6), "{bps}: {s:?}");
    }
}

#[test]
fn a_wavering_link_changes_nothing() {
    let trace: Vec<_> =
        (0..300).map(|i| (2.0 * f64::from(i), if i % 2 == 0 { 3.4e6 } else { 2.6e6 })).collect();
    let s = play(&trace, 300.0, 4.0, 30.0);
    assert!(s.switches <= 8, "{s:?}");
    assert_eq!(s.stalls, 0, "{s:?}");
}

#[test]
fn the_field_trace_plays_without_stalls_and_better_than_the_peers() {
    // 5 / 1 / 3 / 0.7 / 5 Mbit/s, six seconds each; the best peer without stalls had 1,436 kbit/s and four switches.
    let s = play(&[(0.0, 5e6), (6.0, 1e6), (12.0, 3e6), (18.0, 0.7e6), (24.0, 5e6)], 30.0, 4.0, 30.0);
    assert_eq!(s.stalls, 0, "{s:?}");
    assert!(s.average > 1.45e6, "{s:?}");
    assert!(s.switches <= 6, "{s:?}");
}

#[test]
fn an_outage_ends_on_the_lowest_and_is_left_again() {
    let s = play(&[(0.0, 5e6), (30.0, 0.0), (50.0, 0.5e6), (70.0, 5e6)], 200.0, 4.0, 30.0);
    assert!(s.chosen.contains(&0), "{s:?}");
    assert_eq!(s.chosen.last(), Some(&3), "{s:?}");
    assert!(s.stalls <= 1 && s.stall_time < 4.0, "{s:?}");
}

/// Playing the top quality from a full enough buffer, on a link that carries more.
fn calm() -> Situation<'static> {
    const SIZES: [u64; 4] = [LADDER[0] / 2, LADDER[1] / 2, LADDER[2] / 2, LADDER[3] / 2];
    Situation {
        rule: Rule::Default,
        ladder: &LADDER,
        next_sizes: &SIZES,
        current: Some(3),
        cap: 3,
        buffer: 20.0,
        buffer_target: 30.0,
        estimate: 10e6,
        rate: 1.0,
        paced: false,
        startup: false,
    }
}

#[test]
fn choices_obey_the_cap_and_the_hold() {
    let situation = Situation { cap: 1, ..calm() };
    let mut selector = Selector::new();
    assert_eq!(selector.choose(&situation), Decision { index: 1, reason: Reason::Cap });
    let low = Situation { current: Some(0), cap: 9, ..situation };
    selector.abandoned();
    let choices: Vec<_> = (0..3).map(|_| selector.choose(&low).index).collect();
    assert_eq!(choices, [0, 0, 3]);
    let fast_forward = Situation { rate: 4.0, estimate: 5e6, ..low };
    assert_eq!(
        selector.choose(&fast_forward).index,
        1,
        "four times the rate needs four times the throughput"
    );
    let large = [100_000, 200_000, 400_000, 40_000_000];
    let known = Situation { next_sizes: &large, ..low };
    assert_eq!(selector.choose(&known).index, 2, "the next segment of the top is too large for the buffer");
}

#[test]
fn the_throughput_rule_looks_at_nothing_else() {
    let situation =
        Situation { rule: Rule::Throughput, buffer: 28.0, estimate: LADDER[1] as f64 / 0.79, ..calm() };
    let mut selector = Selector::new();
    assert_eq!(selector.choose(&situation), Decision { index: 1, reason: Reason::ThroughputDown });
    let fast = Situation { current: Some(0), estimate: 100e6, buffer: 0.5, ..situation };
    assert_eq!(selector.choose(&fast), Decision { index: 3, reason: Reason::ThroughputUp });
}

#[test]
fn bola_climbs_with_the_buffer_to_what_the_throughput_carries_and_keeps_what_is_there() {
    let situation = |buffer: f64, current: usize, estimate: f64| Situation {
        rule: Rule::Bola,
        current: Some(current),
        buffer,
        estimate,
        ..calm()
    };
    let mut selector = Selector::new();
    let mut choose = |s: Situation| selector.choose(&s).index;
    let climb: Vec<_> = (12..30).map(|buffer| choose(situation(buffer.into(), 3, 1.0))).collect();
    assert!(climb.is_sorted(), "{climb:?}");
    assert_eq!((climb.first(), climb.last()), (Some(&0), Some(&3)), "{climb:?}");
    assert_eq!(choose(situation(29.0, 1, 1.0)), 1, "the buffer alone raises nothing");
    assert_eq!(choose(situation(29.0, 1, LADDER[2] as f64 / 0.79)), 2);
    assert_eq!(
        choose(situation(5.0, 3, LADDER[1] as f64 / 0.79)),
        1,
        "the throughput counts while the buffer is low"
    );
}

#[test]
fn a_plan_tells_how_long_the_buffer_carries() {
    let situation = Situation {
        ladder: &[1_000_000, 2_000_000],
        next_sizes: &[500_000, 1_000_000],
        buffer: 18.0,
        estimate: 1_000_000.0,
        ..calm()
    };
    assert_eq!(situation.plan(0), (4.0, f64::INFINITY));
    assert_eq!(situation.plan(1), (8.0, 20.0), "half a second is lost in each, and 8 s are kept");
}
