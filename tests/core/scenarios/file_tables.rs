//! Files whose tables tell where fragments are, truly or not, and files far larger than memory.

use super::files::{assert_in_step, heavy, loaded, muxed};
use super::*;
use crate::counting;
use crate::sim::files::{Index, Told};
use crate::sim::site::Site;
use crate::support::Random;

const ALL: [Index; 5] = [Index::None, Index::Sidx, Index::SidxEach, Index::Mfra, Index::SidxEachMfra];

#[test]
fn a_seek_in_a_fragmented_file_is_one_request_where_a_table_tells_the_place() {
    for index in ALL {
        let (site, fragments) = heavy(300.0).indexed_fmp4(index, |told| told);
        let mut w = World::new(site);
        w.load(MP4);
        w.run_for(3.0);
        let [(Some(duration), false)] = loaded(&w)[..] else { panic!("{:?}", loaded(&w)) };
        assert!((duration - 300.0).abs() < 0.1, "{index:?}: {duration}");
        // The whole index in front tells the duration; without it the end of the file is looked at.
        assert_eq!(w.requests().len(), if index == Index::Sidx { 1 } else { 2 }, "{index:?}\n{}", w.story());
        for to in [200.0, 80.3, 290.0, 160.0, 41.99, 240.1] {
            let made = w.requests().len();
            assert!(w.seek_lands(to, 4.0, 2), "{index:?} {to}\n{}", w.story());
            let asked: Vec<_> = w.requests()[made..].iter().map(|r| r.range.map(|r| r.first)).collect();
            let place = fragments.iter().rfind(|(start, _)| *start <= to).map(|f| f.1);
            let told = matches!(index, Index::Sidx | Index::Mfra | Index::SidxEachMfra);
            if told {
                assert_eq!(asked, [place], "{index:?} {to}\n{}", w.story());
            } else {
                assert!(asked.len() <= 6, "{index:?} {to}\n{}", w.story());
            }
            // From the keyframe on 125 kB a second, and what is on its way; a guess costs up to a fragment of 500 kB. The file has 37 MB.
            let fetched: usize = w.requests()[made..].iter().map(|r| r.received).sum();
            let most = if told { 150_000.0 * (to % 4.0) + 120_000.0 } else { 2_500_000.0 };
            assert!((fetched as f64) < most, "{index:?} {to}: {fetched}\n{}", w.story());
            w.run_for(1.0);
            assert_in_step(&w);
        }
        w.assert_in_place(1.0);
        w.play_to_end(70.0);
        assert_eq!(w.errors(), [], "{index:?}\n{}", w.story());
    }
}

#[test]
fn tables_that_lie_cost_requests_and_nothing_else() {
    type Lie = fn(Told) -> Told;
    let lies: [(Index, Lie); 10] = [
        (Index::Sidx, |t| Told { ticks: t.ticks / 3, ..t }),
        (Index::Sidx, |t| Told { ticks: t.ticks * 3, ..t }),
        (Index::Sidx, |t| Told { bytes: t.bytes / 2 + 7, ..t }),
        (Index::Sidx, |t| Told { bytes: t.bytes * 5, ..t }),
        (Index::Mfra, |t| Told { start: t.start * 2, ..t }),
        (Index::Mfra, |t| Told { start: t.start / 2, ..t }),
        (Index::Mfra, |t| Told { start: t.start.saturating_sub(200_000), ..t }),
        (Index::Mfra, |t| Told { start: t.start + 200_000, ..t }),
        (Index::Mfra, |t| Told { place: t.place / 2, ..t }),
        (Index::Mfra, |t| Told { place: t.place + (1 << 40), ..t }),
    ];
    for (number, (index, lie)) in lies.into_iter().enumerate() {
        let (site, _) = heavy(300.0).indexed_fmp4(index, lie);
        let mut w = World::new(site);
        w.load(MP4);
        w.run_for(3.0);
        for to in [40.3, 200.0, 290.0, 120.0] {
            assert!(w.seek_lands(to, 15.0, 3), "{number}: {to}\n{}", w.story());
            w.run_for(1.0);
            assert_in_step(&w);
        }
        w.assert_in_place(1.0);
        w.seek(296.0);
        w.play_to_end(30.0);
        let duration = w.element.source.as_ref().map_or(0.0, |s| s.duration);
        assert!((duration - 300.0).abs() < 0.1, "{number}: {duration}");
        assert_eq!(w.errors(), [], "{number}\n{}", w.story());
    }
}

/// A table that is cut off, tells of some fragments alone, or is any bytes.
#[test]
fn damaged_tables_end_in_a_search() {
    for index in [Index::Sidx, Index::Mfra] {
        let (site, fragments) = heavy(120.0).indexed_fmp4(index, |told| told);
        let whole = site.get(MP4).unwrap().1;
        let (first, last) = (fragments[0].1 as usize, fragments[29].1 as usize);
        let fragment = (fragments[1].1 - fragments[0].1) as usize;
        let table = match index {
            Index::Sidx => (first - 40 - 30 * 12)..first,
            _ => last + fragment..whole.len(),
        };
        assert!(matches!(&whole[table.start + 4..][..4], b"sidx" | b"mfra"), "{index:?}");
        for seed in 1..=16u64 {
            let mut random = Random(seed * 0x9e37_79b9);
            let mut file = whole.clone();
            match seed % 4 {
                // Some of its bytes are others; not those that tell where the media begins.
                0 => {
                    let from = table.start + 8;
                    (0..40)
                        .for_each(|_| file[from + random.below(table.len() - 8)] = random.below(256) as u8);
                }
                // All but its headers are.
                1 => file[table.start + 40..table.end - 16].fill_with(|| random.below(256) as u8),
                // It has more entries than can be.
                2 if index == Index::Sidx => file[table.start + 38..][..2].fill(0xff),
                2 => file[table.start + 28..][..4].fill(0xff),
                // It is cut off.
                _ if index == Index::Sidx => {
                    let cut = 8 + random.below(table.len() - 8);
                    file.drain(table.start + cut..table.end);
                    file[table.start..][..4].copy_from_slice(&(cut as u32).to_be_bytes());
                }
                _ => file.truncate(table.start + random.below(table.len())),
            }
            let mut site = Site::default();
            site.put(MP4, "video/mp4", file);
            let mut w = World::new(site);
            w.load(MP4);
            w.run_for(3.0);
            for to in [100.0, 20.3, 115.0, 60.0] {
                assert!(w.seek_lands(to, 15.0, 3), "{index:?} {seed}: {to}\n{}", w.story());
                w.run_for(1.0);
                assert_in_step(&w);
            }
            w.assert_in_place(1.0);
        }
    }
}

/// The table tells nothing of what lies before and behind some fragments in the middle.
#[test]
fn a_table_of_a_part_of_the_file_does_for_that_part() {
    // The others are told again and again; they are left out where they do not ascend.
    let (site, fragments) = heavy(300.0).indexed_fmp4(Index::Mfra, |t| {
        if (9_000_000..12_600_000).contains(&t.start) { t } else { Told { start: 0, place: 0, ..t } }
    });
    let mut w = World::new(site);
    w.load(MP4);
    w.run_for(3.0);
    for to in [290.0, 75.0, 120.3, 250.0, 55.0, 110.0] {
        let made = w.requests().len();
        assert!(w.seek_lands(to, 4.0, 2), "{to}\n{}", w.story());
        let asked: Vec<_> = w.requests()[made..].iter().map(|r| r.range.map(|r| r.first)).collect();
        assert!(asked.len() <= 8, "{to}\n{}", w.story());
        if (100.0..140.0).contains(&to) {
            let place = fragments.iter().rfind(|(start, _)| *start <= to).map(|f| f.1);
            assert_eq!(asked, [place], "{to}\n{}", w.story());
        }
        let fetched: usize = w.requests()[made..].iter().map(|r| r.received).sum();
        assert!(fetched < 2_500_000, "{to}: {fetched}\n{}", w.story());
        w.run_for(1.0);
        assert_in_step(&w);
    }
    w.assert_in_place(1.0);
}

/// Without Range requests a table is of no use.
#[test]
fn fragmented_files_play_from_the_start_where_the_server_has_no_ranges() {
    for index in ALL {
        let (site, _) = heavy(60.0).indexed_fmp4(index, |told| told);
        let mut w = World::new(site);
        w.fault(MP4, Fault::IgnoreRange, ALWAYS);
        w.load(MP4);
        assert!(w.run_until(2.0, |w| w.element.ready_state >= 3), "{index:?}\n{}", w.story());
        w.run_for(2.0);
        assert_in_step(&w);
        assert!(w.seek_lands(40.0, 15.0, 3), "{index:?}\n{}", w.story());
        w.run_for(1.0);
        assert_in_step(&w);
        w.play_to_end(30.0);
        assert_eq!(w.errors(), [], "{index:?}\n{}", w.story());
    }
}

/// Plays and seeks in a file of more than 4 GiB, and watches what the core holds meanwhile. `most`: bytes of an index.
fn play_a_large_file(url: &str, site: Site, duration: f64, most: isize) {
    let config = Config { buffer_bytes: 4_000_000, stats_interval: 0.0, ..Config::default() };
    let mut w = World::configured(site, config);
    w.net.chunk = 256 * 1024;
    w.link(200e6);
    let before = counting::held();
    w.load(url);
    assert!(w.run_until(5.0, |w| w.element.ready_state >= 3 && !loaded(w).is_empty()), "{}", w.story());
    let [(Some(told), false)] = loaded(&w)[..] else { panic!("{:?}", loaded(&w)) };
    assert!((told - duration).abs() < 1.0, "{told}");
    let length = w.net.site.body(url).unwrap().1.length;
    assert!(length > 5 << 30, "{length}");
    let mut largest = 0;
    for share in [0.99, 0.1, 0.9, 0.0, 0.75, 0.8, 0.5] {
        let to = (duration * share * 25.0).floor() / 25.0 + 0.02;
        assert!(w.seek_lands(to, 5.0, 3), "{to}\n{}", w.story());
        for _ in 0..8 {
            w.run_for(0.25);
            largest = largest.max(counting::held() - before);
        }
        assert!((w.element.position - to - 2.0).abs() < 0.5, "{to}\n{}", w.story());
        assert_in_step(&w);
    }
    let beyond = w
        .requests()
        .iter()
        .any(|r| r.kind == FetchKind::Segment && r.range.is_some_and(|r| r.first > 1 << 32));
    assert!(beyond, "{}", w.story());
    // What is on its way to the buffers, an index, the first bytes of the file.
    assert!(largest < most + 16_000_000, "{largest} bytes");
    w.seek(duration - 1.0);
    w.play_to_end(10.0);
    assert_eq!(w.errors(), [], "{}", w.story());
    w.stop();
    drop(w);
    assert_eq!(counting::held(), before, "something outlives the player");
}

#[test]
fn an_mp4_file_far_larger_than_memory_plays_and_seeks_beyond_4_gib() {
    for moov_last in [false, true] {
        let stream = muxed(1500.0).with(|s| s.ladder = vec![32_000_000]);
        let tracks = [stream.video(0, 0), stream.audio(0, 0)];
        let frames = tracks.map(|t| (t, t.frames(0, t.frames_until(1500.0))));
        let mut site = Site::default();
        site.put_body(MP4, "video/mp4", crate::sim::files::large_mp4(&frames, moov_last));
        play_a_large_file(MP4, site, 1500.0, 16_000_000);
    }
}

#[test]
fn a_fragmented_file_far_larger_than_memory_plays_and_seeks_beyond_4_gib() {
    for index in ALL {
        let stream = muxed(6000.0).with(|s| (s.ladder, s.segment) = (vec![8_000_000], 1.0));
        let (site, _) = stream.indexed_fmp4(index, |told| told);
        play_a_large_file(MP4, site, 6000.0, 1_000_000);
    }
}

#[test]
fn a_transport_stream_far_larger_than_memory_plays_and_seeks_beyond_4_gib() {
    let stream = muxed(1500.0).with(|s| (s.ladder, s.segment) = (vec![32_000_000], 2.0));
    play_a_large_file(TS, stream.large_ts_file(), 1500.0, 0);
}
