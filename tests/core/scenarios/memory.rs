//! What is kept, and what is done when it is too much.

use super::*;

fn heavy() -> Stream {
    Stream::simple(120.0).with(|s| s.ladder = vec![1_000_000])
}

#[test]
fn what_lies_far_behind_is_evicted() {
    let config = Config { buffer_behind: 10.0, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(heavy().dash(Addressing::Number), config);
    w.load(MPD);
    for _ in 0..100 {
        w.run_for(1.0);
        for (_, b) in &w.element.source.as_ref().unwrap().buffers {
            let bounds = b.buffered().bounds();
            if let Some(bounds) = bounds {
                assert!(w.element.position - bounds.start < 10.0 + 4.0 + 4.0 + 1.0, "{}", w.story());
                assert!(bounds.end - w.element.position < 30.0 + 4.0 + 1.0, "{}", w.story());
            }
        }
    }
    w.play_to_end(30.0);
    w.assert_played_all('v', &[3000]);
    assert_eq!(w.appended('v'), (3000, 3000));
}

#[test]
fn the_byte_budget_bounds_the_forward_buffer() {
    // 1 MB is 8 s of this.
    let config = Config { buffer_bytes: 1_000_000, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(heavy().dash(Addressing::Number), config);
    w.load(MPD);
    w.run_for(10.0);
    for _ in 0..20 {
        w.run_for(1.0);
        let source = w.element.source.as_ref().unwrap();
        let ahead = source.buffer(BufferId::Video).unwrap().buffered().end_from(w.element.position, 0.0);
        assert!(ahead - w.element.position < 8.0 + 4.0 + 1.0, "{}", w.story());
    }
    w.play_to_end(120.0);
    w.assert_played_all('v', &[3000]);
}

#[test]
fn a_full_buffer_is_survived_and_playback_goes_to_the_end() {
    for (url, site) in [
        (MPD, heavy().dash(Addressing::Number)),
        (M3U8, heavy().hls(Container::Ts)),
        (MPD, heavy().dash(Addressing::Sidx)),
    ] {
        // 20 s of it.
        let mut w = World::new(site);
        w.quota = 2_500_000;
        w.load(url);
        w.play_to_end(150.0);
        w.assert_played_all('v', &[3000]);
        assert!(w.errors().iter().all(|e| *e == Code::QuotaExceeded), "{:?}", w.errors());
        assert!(!w.errors().is_empty(), "the quota was never met");
        assert!(w.errors().len() < 12, "{} times\n{}", w.errors().len(), w.story());
    }
}

#[test]
fn a_tiny_buffer_plays_as_long_as_a_few_seconds_fit() {
    let mut w = World::new(heavy().dash(Addressing::Number));
    w.quota = 1_300_000;
    w.load(MPD);
    w.play_to_end(200.0);
    w.assert_played_all('v', &[3000]);
}

#[test]
fn a_buffer_that_takes_no_segment_is_an_error() {
    let mut w = World::new(heavy().dash(Addressing::Number));
    w.quota = 3_000;
    w.load(MPD);
    let error = w.run_to_error(60.0);
    assert_eq!(error.code, Code::QuotaExceeded);
}

#[test]
fn a_seek_with_a_full_buffer_makes_room() {
    let mut w = World::new(heavy().dash(Addressing::Number));
    w.quota = 2_500_000;
    w.load(MPD);
    for to in [50.0, 10.0, 90.0, 40.0, 41.0, 20.0] {
        w.run_for(12.0);
        assert!(w.seek_lands(to, 6.0, 3), "{to}\n{}", w.story());
    }
    w.play_to_end(150.0);
}
