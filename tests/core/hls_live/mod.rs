//! Media playlists that are read again: whatever the order and kind of the readings, the index is that of the origin's full playlist,
//! numbers and times of what was once listed stay, and nothing that servers do wrong leads to more than an error.

mod bad;
mod origin;
mod requests;

use millrace::manifest::hls::{self, Change, MediaPlaylist, Playlist, Reload, Variables};
use millrace::manifest::{ListIndex, ListPart, SegmentIndex, SegmentRef};
use origin::{Origin, Random};
use std::collections::BTreeMap;

pub const URL: &str = "https://h.example/live/v.m3u8";

pub fn parse(text: &str) -> MediaPlaylist {
    match hls::parse(text.as_bytes(), URL, &Variables::default()) {
        Ok(Playlist::Media(list)) => *list,
        Ok(Playlist::Multivariant(..)) => panic!("a multivariant playlist"),
        Err(e) => panic!("{e}\n{text}"),
    }
}

/// A player's end of it.
pub struct Client {
    pub reload: Reload,
    pub index: ListIndex,
}

impl Client {
    pub fn new(text: &str, now: f64) -> Self {
        let first = parse(text);
        Self { reload: Reload::new(URL, &first, now), index: first.index }
    }

    pub fn try_read(&mut self, text: &str, now: f64) -> Result<Change, millrace::error::PlayerError> {
        self.reload.begun(now);
        let new = self.reload.read(&self.index, text.as_bytes(), URL, &Variables::default());
        let change = new.and_then(|new| self.reload.update(&mut self.index, new, now));
        if change.is_err() {
            self.reload.failed(now);
        }
        change
    }

    pub fn read(&mut self, text: &str, now: f64) -> Change {
        self.try_read(text, now).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    pub fn numbers(&self) -> Vec<u64> {
        (self.index.first..).zip(&self.index.segments).map(|(n, _)| n).collect()
    }

    pub fn starts(&self) -> Vec<f64> {
        self.index.segments.iter().map(|s| s.start).collect()
    }

    pub fn part_names(&self) -> Vec<(u64, u32, bool)> {
        self.index.parts.iter().map(|p| (p.number, p.part, p.hint)).collect()
    }
}

/// All that can be asked for, parts last.
fn all(index: &ListIndex) -> Vec<SegmentRef> {
    let whole = SegmentIndex::List(index.clone());
    let mut all: Vec<_> = (0..whole.len()).filter_map(|i| whole.segment(i)).collect();
    // A list of the parts alone gives them one by one.
    for part in &index.parts {
        let parts = vec![ListPart { independent: true, ..part.clone() }];
        let one = ListIndex { segments: Vec::new(), first: u64::MAX, parts, ..index.clone() };
        all.extend(SegmentIndex::List(one).at(part.start));
    }
    assert_eq!(all.len(), index.segments.len() + index.parts.len());
    all
}

/// The merged index holds what the full playlist holds, at times that differ by the same amount.
fn assert_same(merged: &ListIndex, full: &ListIndex, context: &str) {
    let (merged, full) = (all(merged), all(full));
    assert_eq!(merged.len(), full.len(), "{context}");
    let shift = merged.first().zip(full.first()).map_or(0.0, |(a, b)| a.start - b.start);
    for (a, mut b) in merged.into_iter().zip(full) {
        assert!((a.start - b.start - shift).abs() < 1e-6, "{context}: {a:?} {b:?}");
        b.start = a.start;
        assert_eq!(a, b, "{context}");
    }
}

/// Window, parts per segment, with initialization segments.
fn configuration(seed: u64) -> (usize, usize, bool) {
    let window = [0, 3, 12, 40][(seed % 4) as usize];
    (window, if seed & 4 == 0 { 0 } else { 4 }, seed & 8 == 0)
}

#[test]
fn whatever_the_order_of_readings_the_index_is_that_of_the_full_playlist() {
    for seed in 1..49 {
        let (window, parts, fmp4) = configuration(seed);
        let random = &mut Random::new(seed);
        let mut origin = Origin::new(window, parts, fmp4);
        for _ in 0..=parts + random.below(60) {
            origin.step(random);
        }
        let mut client = Client::new(&origin.playlist(false), 0.0);
        let mut old = origin.playlist(false);
        let mut seen: BTreeMap<(u64, Option<u32>), (String, f64)> = BTreeMap::new();
        let (mut resumed, mut deltas, mut dated) = (0, 0, false);
        for round in 0..80 {
            let context = format!("seed {seed}, round {round}");
            // Never so far that the window is left.
            for _ in 0..random.below(if window == 3 { 3 } else { 9 }) {
                origin.step(random);
            }
            if round == 79 {
                origin.ended = true;
            }
            let now = f64::from(round);
            let full = origin.playlist(false);
            match random.below(5) {
                0 => {
                    let change = client.reload.update(&mut client.index, parse(&full), now);
                    assert!(!change.expect(&context).restarted, "{context}");
                }
                1 | 2 => {
                    let text = origin.playlist(true);
                    deltas += usize::from(text.contains("EXT-X-SKIP"));
                    assert!(!client.read(&text, now).restarted, "{context}");
                }
                3 if round > 0 => {
                    // An old copy, then the true one.
                    let number = client.index.first;
                    let change = client.read(&old, now);
                    assert!(!change.restarted && !change.grew, "{context} {change:?}");
                    assert!(client.index.first >= number, "{context}");
                    client.read(&full, now);
                }
                _ => {
                    let new = client
                        .reload
                        .read(&client.index, full.as_bytes(), URL, &Variables::default())
                        .expect(&context);
                    resumed += usize::from(new.skipped > 0);
                    let change = client.reload.update(&mut client.index, new, now).expect(&context);
                    assert!(!change.restarted, "{context}");
                }
            }
            old = full.clone();
            let fresh = parse(&full);
            assert_same(&client.index, &fresh.index, &context);
            for s in all(&client.index) {
                if s.ahead {
                    continue;
                }
                let known = seen.entry((s.number, s.part)).or_insert((s.url.clone(), s.start));
                assert_eq!(known.0, s.url, "{context}: a number was given twice");
                assert!((known.1 - s.start).abs() < 1e-9, "{context}: a time moved");
            }
            dated |= !fresh.dates.is_empty();
            for (segment, s) in origin.segments.iter().zip(&client.index.segments).filter(|_| dated) {
                let date = client.reload.date_at(s.start).expect("there are dates");
                assert!((date * 1000.0 - segment.date as f64).abs() < 1.5, "{context}: {date}");
                let time = client.reload.time_at(segment.date as f64 / 1000.0).expect("there are dates");
                assert!((time - s.start).abs() < 2e-3, "{context}: {time} {}", s.start);
            }
            assert!(client.index.inits.len() <= client.index.segments.len() + 2, "{context}");
            assert!(client.index.keys.len() <= client.index.segments.len() + 2, "{context}");
        }
        assert!(client.reload.complete(), "it ended");
        if window != 3 {
            assert!(resumed > 0 && (deltas > 0 || window == 12), "{seed}: {resumed} {deltas}");
        }
    }
}

#[test]
fn each_segment_or_its_parts_is_played_once_by_a_player_that_follows() {
    for seed in 1..40 {
        let random = &mut Random::new(seed);
        let mut origin = Origin::new(20, 4, true);
        for _ in 0..30 {
            origin.step(random);
        }
        let mut client = Client::new(&origin.playlist(false), 0.0);
        let index = SegmentIndex::List(client.index.clone());
        let mut fed = index.at(index.end().unwrap() - 1.2).expect("near the end");
        let mut end = fed.start + fed.duration;
        let mut played = vec![(fed.start, end)];
        for round in 0..60 {
            for _ in 0..random.below(5) {
                origin.step(random);
            }
            let change = client.read(&origin.playlist(random.one_in(2)), f64::from(round));
            if let Some((then, now)) = change.renamed
                && Some(then) == fed.part.map(|part| (fed.number, part))
            {
                (fed.number, fed.part) = (now.0, Some(now.1));
            }
            let index = SegmentIndex::List(client.index.clone());
            while let Some(next) = index.after(fed.number, fed.part, end) {
                assert!((next.start - end).abs() < 1e-6, "seed {seed}: {end} {next:?}");
                end = next.start + next.duration;
                played.push((next.start, end));
                fed = next;
                if fed.ahead {
                    break;
                }
            }
        }
        assert!(played.len() > 60, "{}", played.len());
    }
}

/// What a reload costs is measured by `cargo bench --bench hls`.
#[test]
fn no_more_is_read_again_than_the_last_segments() {
    let random = &mut Random::new(1);
    let mut origin = Origin::new(5_000, 4, true);
    for _ in 0..20_100 {
        origin.step(random);
        // Two weeks of the calendar are not at stake here.
        origin.open.dated = false;
    }
    let client = Client::new(&origin.playlist(false), 0.0);
    for _ in 0..5 {
        origin.step(random);
    }
    let text = origin.playlist(false);
    let new = client.reload.read(&client.index, text.as_bytes(), URL, &Variables::default()).unwrap();
    assert!(new.skipped > 4_980 && new.skipped + new.index.segments.len() as u64 == 5_000, "{}", new.skipped);
    // With a token in each URI they are other ones; they are read, and taken over.
    let text = text.replace(".m4s", ".m4s?token=2");
    let mut client = client;
    let change = client.read(&text, 1.0);
    assert!(change.grew && !change.restarted);
    assert_same(&client.index, &parse(&text).index, "tokens");
}
