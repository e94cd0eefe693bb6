//! MP4, MOV and M4A files that are not fragmented: streamed from their start, and fetched segment by segment.

use std::rc::Rc;

use millrace::container::mp4::{
    FragmentDemuxer, Layout, Plan, SampleTable, SegmentDemuxer, layout, progressive, random_access,
};
use millrace::container::{Demuxer, Sample, TrackId, TrackKind};
use millrace::error::{Code, PlayerError};

use crate::mp4::{check_golden_file, demux, demux_whole, recorded_lines, track_line};
use crate::support::{Call, Random, Recorder, fixture_path, media};

/// With `moov` first.
const FILES: [&str; 13] = [
    "avc-aac-progressive.mp4",
    "file-quicktime.mov",
    "file-two-audio-delay.mp4",
    "file-audio.m4a",
    "file-gst-qtmux.mov",
    "file-gst-hevc-mp3.mp4",
    "file-hevc-opus.mp4",
    "file-av1-flac.mp4",
    "file-vp9-mp3.mp4",
    "file-ac3-moov.mp4",
    "file-alac.m4a",
    PCM,
    "file-mp3.mov",
];

/// With uncompressed sound, each of whose samples is one for MP4 too.
const PCM: &str = "file-pcm.mov";

/// With `moov` last.
const LATE: [&str; 2] = ["file-moov-last.mp4", "file-gst-apart.mp4"];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path(&format!("mp4/{name}"))).unwrap()
}

fn whole(data: &[u8]) -> Recorder {
    let mut recorder = Recorder::default();
    assert_eq!(progressive::demux(data, &mut recorder), Ok(true));
    recorder
}

/// The table of a file, found as a player does it: range by range.
fn table(data: &[u8]) -> Rc<SampleTable> {
    let (mut offset, mut length) = (0u64, 100);
    for _ in 0..20 {
        let start = (offset as usize).min(data.len());
        match layout(offset, &data[start..(start + length).min(data.len())]).unwrap() {
            Layout::Needs { offset: o, length: l } => {
                assert!(o < data.len() as u64, "the file has a moov");
                (offset, length) = (o, (l as usize).max(100));
            }
            Layout::Progressive(table) => return table,
            Layout::Fragmented => panic!("fragments"),
        }
    }
    panic!("too many ranges")
}

fn all_tracks(table: &SampleTable) -> Vec<TrackId> {
    table.tracks().map(|t| t.id).filter(|t| table.samples_of(*t) > 0).collect()
}

/// Samples of a track with the checksums of their bytes.
type Read = Vec<(Sample, u32)>;

fn by_track(recorder: &Recorder, tracks: &[TrackId]) -> Vec<Read> {
    tracks.iter().map(|t| recorder.samples(*t)).collect()
}

/// Reads every segment of a plan from its own range, in pieces.
fn segments(data: &[u8], table: &Rc<SampleTable>, plan: &Plan, random: &mut Random) -> Vec<Read> {
    let mut out = Vec::new();
    for list in &plan.lists {
        let mut recorder = Recorder::default();
        let mut demuxer = SegmentDemuxer::new(table.clone(), list.clone());
        for segment in list.segments() {
            let range = &data[segment.first as usize..=segment.last as usize];
            for piece in random.split(range, 700) {
                demuxer.push(piece, &mut recorder).unwrap();
            }
            demuxer.finish(&mut recorder).unwrap();
        }
        assert_eq!(recorder.unfinished(), 0);
        out.extend(by_track(&recorder, list.tracks()));
    }
    out
}

#[test]
fn files_give_the_samples_that_ffprobe_sees_while_they_stream_in() {
    for name in FILES.into_iter().chain(LATE) {
        let recorder = whole(&fixture(name));
        if name == PCM {
            let codecs: Vec<_> = recorder.tracks().map(|t| t.codec.as_str()).collect();
            assert_eq!(codecs, ["avc1.64000a", "twos"]);
            assert_eq!((recorder.samples(TrackId(1)).len(), recorder.samples(TrackId(2)).len()), (10, 0));
            continue;
        }
        let tracks: String = recorder.tracks().map(|t| track_line(t) + "\n").collect();
        check_golden_file(name, &tracks, &recorded_lines(&recorder));
        if LATE.contains(&name) {
            continue;
        }
        let streamed = demux_whole(&fixture(name));
        assert_eq!(recorded_lines(&streamed), recorded_lines(&recorder), "{name}");
        assert_eq!(streamed.tracks().collect::<Vec<_>>(), recorder.tracks().collect::<Vec<_>>());
        assert!(!streamed.calls.iter().any(|c| matches!(c, Call::Warning(..))), "{name}: no warnings");
    }
}

#[test]
fn samples_of_files_come_in_the_order_of_the_file_whatever_the_split() {
    for name in FILES {
        let data = fixture(name);
        let whole = demux_whole(&data);
        let (bytes, error) = demux(data.chunks(1));
        assert_eq!((&bytes.calls, error), (&whole.calls, None), "{name}: byte by byte");
        let mut random = Random(0xf11e ^ data.len() as u64);
        for most in [3, 16, 100, 1500, 70_000] {
            let (split, error) = demux(random.split(&data, most));
            assert_eq!((&split.calls, error), (&whole.calls, None), "{name}: pieces of up to {most}");
        }
    }
}

#[test]
fn every_sample_is_in_exactly_one_segment_and_in_its_range() {
    for name in FILES.into_iter().chain(LATE) {
        let data = fixture(name);
        let table = table(&data);
        let tracks = all_tracks(&table);
        let expected = by_track(&whole(&data), &tracks);
        let mut random = Random(0x5e9 ^ data.len() as u64);
        for target in [0.0, 0.2, 0.5, 1.0, 1e9] {
            let plan = table.plan(&tracks, target);
            assert_eq!(segments(&data, &table, &plan, &mut random), expected, "{name} every {target} s");
            for list in &plan.lists {
                let segments = list.segments();
                assert!(segments.iter().all(|s| s.first <= s.last && s.last < data.len() as u64));
                // Of the first one, priming is not presented.
                let joined = segments.windows(2).all(|w| {
                    let duration = w[0].duration + if w[0] == segments[0] { 0.1 } else { 0.0 };
                    (w[0].start + w[0].duration - w[1].start).abs() < 1e-9 && duration >= target.min(1e8)
                });
                assert!(joined, "{name}: {segments:?}");
                let first = segments.first().unwrap();
                assert!(first.start >= 0.0);
                let end = segments.last().map(|s| s.start + s.duration).unwrap();
                assert!((end - table.duration().unwrap()).abs() < 0.25, "{name}: {end}");
            }
            // Each track alone, as another choice of tracks would have it.
            for (track, expected) in tracks.iter().zip(&expected) {
                let plan = table.plan(&[*track], target);
                assert_eq!(&segments(&data, &table, &plan, &mut random)[0], expected, "{name} {track:?}");
            }
        }
    }
}

#[test]
fn segments_begin_with_a_keyframe_and_what_is_heard_with_it() {
    let data = fixture("file-quicktime.mov");
    let table = table(&data);
    let plan = table.plan(&all_tracks(&table), 0.5);
    assert!(!plan.separate);
    let list = &plan.lists[0];
    let starts: Vec<f64> = list.segments().iter().map(|s| s.start).collect();
    for (start, expected) in starts.iter().zip([0.0, 0.6, 1.2, 1.8, 2.4]) {
        assert!((start - expected).abs() < 0.02, "{starts:?}");
    }
    assert_eq!(starts.len(), 5);
    let video = table.tracks().find(|t| t.kind == TrackKind::Video).unwrap().clone();
    let audio = table.tracks().find(|t| t.kind == TrackKind::Audio).unwrap().clone();
    let mut demuxer = SegmentDemuxer::new(table.clone(), list.clone());
    // Backwards: no segment needs another.
    for number in (0..5).rev() {
        let mut recorder = Recorder::default();
        recorder.calls.extend(table.tracks().cloned().map(Call::Track));
        demuxer.begin(number);
        let segment = list.segments()[number];
        // What lies behind the segment does no harm.
        demuxer.push(&data[segment.first as usize..], &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
        let pictures = recorder.samples(video.id);
        assert!(pictures[0].0.sync);
        assert_eq!(pictures.iter().filter(|p| p.0.sync).count(), 1);
        assert_eq!(video.timescale.seconds(pictures[0].0.pts - video.edit_start), segment.start);
        let sound = recorder.samples(audio.id);
        let (first, last) = (sound.first().unwrap().0, sound.last().unwrap().0);
        let seconds = |s: Sample| audio.timescale.seconds(s.dts - audio.edit_start);
        let end = segment.start + segment.duration;
        // With the frame that has begun at the time of the keyframe.
        assert!(number == 0 || (segment.start - 0.0214..segment.start + 1e-6).contains(&seconds(first)));
        assert!(number == 4 || (end - 0.0428..end - 0.0213).contains(&seconds(last)));
    }
}

#[test]
fn tracks_that_lie_far_apart_are_fetched_alone() {
    let data = fixture("file-gst-apart.mp4");
    let table = table(&data);
    let plan = table.plan(&all_tracks(&table), 0.3);
    assert!(plan.separate);
    assert_eq!(plan.lists.len(), 2);
    let fetched: u64 = plan.lists.iter().flat_map(|l| l.segments()).map(|s| s.last - s.first + 1).sum();
    assert!(fetched < data.len() as u64, "no byte twice: {fetched}");
}

/// The boxes of a file as `(name, start, size)`.
fn top_boxes(data: &[u8]) -> Vec<(&[u8], usize, usize)> {
    let mut at = 0;
    let mut out = Vec::new();
    while at + 8 <= data.len() {
        let size = u32::from_be_bytes(data[at..at + 4].try_into().unwrap()) as usize;
        out.push((&data[at + 4..at + 8], at, size));
        at += size;
    }
    out
}

/// The same boxes, with `co64` in place of `stco`, all chunks moved by `shift`.
fn with_64_bit_offsets(boxes: &[u8], shift: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, at, size) in top_boxes(boxes) {
        let body = &boxes[at + 8..at + size];
        let (name, body) = match name {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => (name, with_64_bit_offsets(body, shift)),
            b"stco" => {
                let mut co64 = body[..8].to_vec();
                for chunk in body[8..].chunks_exact(4) {
                    let offset = u64::from(u32::from_be_bytes(chunk.try_into().unwrap()));
                    co64.extend_from_slice(&(offset + shift).to_be_bytes());
                }
                (&b"co64"[..], co64)
            }
            _ => (name, body.to_vec()),
        };
        out.extend_from_slice(&(body.len() as u32 + 8).to_be_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&body);
    }
    out
}

#[test]
fn media_data_of_64_bit_size_and_place_are_read() {
    let data = fixture("file-moov-last.mp4");
    let expected = by_track(&whole(&data), &[TrackId(1), TrackId(2)]);
    let boxes = top_boxes(&data);
    let (_, moov, moov_size) = *boxes.iter().find(|b| b.0 == b"moov").unwrap();
    let (_, mdat, mdat_size) = *boxes.iter().find(|b| b.0 == b"mdat").unwrap();
    let moov = &data[moov..moov + moov_size];
    let payload = &data[mdat + 8..mdat + mdat_size];

    // A gap of 6 GB in the file, told by a box with a 64-bit size: the segments lie behind it.
    let gap = 6u64 << 30;
    let far = SampleTable::read(&with_64_bit_offsets(moov, gap)).unwrap().unwrap();
    let plan = far.plan(&all_tracks(&far), 0.5);
    let mut recorder = Recorder::default();
    let mut demuxer = SegmentDemuxer::new(far.clone(), plan.lists[0].clone());
    for s in plan.lists[0].segments() {
        demuxer.push(&data[(s.first - gap) as usize..=(s.last - gap) as usize], &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
    }
    assert_eq!(by_track(&recorder, &[TrackId(1), TrackId(2)]), expected);
    let head = b"\0\0\0\x01free\0\0\0\x01\x80\0\0\0";
    assert!(matches!(layout(0, head), Ok(Layout::Needs { offset: 0x1_8000_0000, .. })));

    // `moov` in front, then data of a 64-bit size, of no size (to the end), and split into two boxes.
    let shifted = |header: &[u8]| {
        let front = with_64_bit_offsets(moov, 0).len() + b"\0\0\0\x08ftyp".len() + header.len();
        let shift = (front as u64).wrapping_sub(mdat as u64 + 8);
        let mut file = b"\0\0\0\x08ftyp".to_vec();
        let moved = with_64_bit_offsets(moov, 0);
        let mut moved_bytes = moved.clone();
        // The shift may be negative: added to each chunk by hand.
        let mut at = 0;
        while let Some(found) = moved[at..].windows(4).position(|w| w == b"co64") {
            let table = at + found + 4;
            let count = u32::from_be_bytes(moved[table + 4..table + 8].try_into().unwrap()) as usize;
            for i in 0..count {
                let place = table + 8 + 8 * i;
                let offset = u64::from_be_bytes(moved[place..place + 8].try_into().unwrap());
                moved_bytes[place..place + 8].copy_from_slice(&offset.wrapping_add(shift).to_be_bytes());
            }
            at = table;
        }
        file.extend_from_slice(&moved_bytes);
        file.extend_from_slice(header);
        file.extend_from_slice(payload);
        file
    };
    let mut large = b"\0\0\0\x01mdat".to_vec();
    large.extend_from_slice(&(payload.len() as u64 + 16).to_be_bytes());
    for header in [&large[..], b"\0\0\0\0mdat"] {
        let recorder = demux_whole(&shifted(header));
        assert_eq!(by_track(&recorder, &[TrackId(1), TrackId(2)]), expected);
    }
}

#[test]
fn a_file_with_moov_last_is_refused_with_the_place_of_its_moov() {
    for name in LATE {
        let data = fixture(name);
        let (_, error) = demux([data.as_slice()]);
        let error = error.unwrap();
        let moov = top_boxes(&data).iter().find(|b| b.0 == b"moov").unwrap().1;
        assert_eq!((error.code, error.position), (Code::ContainerUnsupported, Some(moov as u64)), "{name}");
    }
}

#[test]
fn truncated_files_give_a_prefix_and_say_so() {
    for name in FILES {
        let data = fixture(name);
        let whole = demux_whole(&data);
        let mut random = Random(0x7a ^ data.len() as u64);
        for _ in 0..60 {
            let cut = random.below(data.len());
            let (part, error) = demux([&data[..cut]]);
            let got: Vec<_> = part.calls.iter().filter(|c| !matches!(c, Call::Warning(..))).collect();
            let all: Vec<_> = whole.calls.iter().filter(|c| !matches!(c, Call::Warning(..))).collect();
            assert_eq!(got, all[..got.len()], "{name} cut at {cut}");
            assert!(error.is_none_or(|e| e.code == Code::Truncated && e.position == Some(cut as u64)));
        }
        // A segment that breaks off, and the next one.
        let table = table(&data);
        let plan = table.plan(&all_tracks(&table), 0.2);
        let list = &plan.lists[0];
        let mut demuxer = SegmentDemuxer::new(table.clone(), list.clone());
        let mut recorder = Recorder::default();
        for s in list.segments() {
            let length = (s.last - s.first) as usize;
            demuxer.push(&data[s.first as usize..][..random.below(length + 1)], &mut recorder).unwrap();
            let error = demuxer.finish(&mut recorder).unwrap_err();
            assert_eq!(error.code, Code::Truncated);
            assert!(error.position.is_some_and(|p| (s.first..=s.last).contains(&p)));
            assert_eq!(recorder.unfinished(), 0);
        }
    }
}

#[test]
fn damaged_files_never_panic_and_splits_agree_on_them() {
    let rounds = std::env::var("MILLRACE_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    for name in FILES {
        let data = fixture(name);
        let mut random = Random(0xb17 ^ data.len() as u64);
        let (_, moov, size) = *top_boxes(&data).iter().find(|b| b.0 == b"moov").unwrap();
        for _ in 0..rounds {
            let mut broken = data.clone();
            for _ in 0..1 + random.below(4) {
                let at = moov + random.below(size);
                broken[at] ^= 1 << random.below(8);
            }
            let read = |pieces: Vec<&[u8]>| -> (Recorder, Option<PlayerError>) {
                let mut demuxer = FragmentDemuxer::new();
                let mut recorder = Recorder::default();
                let mut error = None;
                for piece in pieces {
                    error = demuxer.push(piece, &mut recorder).err();
                    if error.is_some() {
                        break;
                    }
                }
                let end = demuxer.finish(&mut recorder).err();
                assert_eq!(recorder.unfinished(), 0);
                (recorder, error.or(end))
            };
            let (at_once, error) = read(vec![&broken]);
            let (split, split_error) = read(random.split(&broken, 300));
            assert_eq!((&at_once.calls, &error), (&split.calls, &split_error), "{name}");
            let Ok(Layout::Progressive(table)) = layout(0, &broken) else { continue };
            let plan = table.plan(&all_tracks(&table), 0.3);
            for list in &plan.lists {
                let mut demuxer = SegmentDemuxer::new(table.clone(), list.clone());
                let mut recorder = Recorder::default();
                for s in list.segments() {
                    let start = usize::try_from(s.first).unwrap().min(broken.len());
                    let _ = demuxer.push(&broken[start..], &mut recorder);
                    let _ = demuxer.finish(&mut recorder);
                }
                assert_eq!(recorder.unfinished(), 0);
            }
        }
    }
}

#[test]
fn a_track_whose_chunks_are_missing_does_not_hide_the_others() {
    let data = fixture("file-quicktime.mov");
    let (_, at, size) = *top_boxes(&data).iter().find(|b| b.0 == b"moov").unwrap();
    let mut moov = data[at..at + size].to_vec();
    let stco = moov.windows(4).position(|w| w == b"stco").unwrap();
    moov[stco + 8..stco + 12].copy_from_slice(&[0; 4]);
    let table = SampleTable::read(&moov).unwrap().unwrap();
    let plan = table.plan(&[TrackId(1), TrackId(2)], 0.5);
    assert_eq!(plan.lists[0].tracks(), [TrackId(2)]);
    assert!(plan.lists[0].segments().len() > 3);
    assert!(table.plan(&[TrackId(1)], 0.5).lists[0].segments().is_empty());
}

#[test]
fn counts_and_sizes_beyond_the_box_are_refused_and_memory_stays_bounded() {
    let data = fixture("file-quicktime.mov");
    let (_, at, size) = *top_boxes(&data).iter().find(|b| b.0 == b"moov").unwrap();
    for name in [b"stsz", b"stts", b"stsc", b"stco", b"stss", b"ctts"] {
        let mut moov = data[at..at + size].to_vec();
        let found = moov.windows(4).position(|w| w == name).unwrap();
        let count = found + if name == b"stsz" { 12 } else { 8 };
        moov[count..count + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        let read = SampleTable::read(&moov).unwrap().unwrap();
        assert!(read.warnings().contains(&"a track with broken sample tables was left out"));
        assert_eq!(read.tracks().count(), 1);
    }
    // One size for all: the count has no table that bounds it.
    let mut moov = data[at..at + size].to_vec();
    let stsz = moov.windows(4).position(|w| w == b"stsz").unwrap();
    moov[stsz + 8..stsz + 16].copy_from_slice(&[0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(SampleTable::read(&moov).unwrap().unwrap().tracks().count(), 1);
}

/// One sample too few in `stts`, one too many in `stsz`: the other samples are there.
#[test]
fn tables_that_contradict_each_other_cost_the_samples_that_one_lacks() {
    let data = fixture("file-quicktime.mov");
    let all = whole(&data);
    let counts = |r: &Recorder| [1, 2].map(|id| r.samples(TrackId(id)).len());
    let mut short = data.clone();
    let stts = short.windows(4).position(|w| w == b"stts").unwrap();
    // The last of its runs.
    let runs = u32::from_be_bytes(data[stts + 8..stts + 12].try_into().unwrap()) as usize;
    short[stts + 12 + 8 * (runs - 1) + 3] -= 1;
    let recorder = whole(&short);
    assert_eq!(counts(&recorder), [counts(&all)[0] - 1, counts(&all)[1]]);
    let warnings = recorder.calls.iter().filter(|c| matches!(c, Call::Warning(..))).count();
    assert_eq!(warnings, 1);
    // Millions of samples of which there are no times.
    let mut many = data.clone();
    let stsz = many.windows(4).position(|w| w == b"stsz").unwrap();
    many[stsz + 8..stsz + 16].copy_from_slice(&[0, 0, 0, 1, 0, 0x40, 0, 0]);
    assert_eq!(counts(&whole(&many)), counts(&all));
}

/// The body of a box of a track, counted from 0; `None`: as it is.
type MadeTable<'a> = &'a dyn Fn(usize, &[u8]) -> Option<Vec<u8>>;

/// The boxes of a `moov` with these in the place of those of the same names, for the first and the second track.
fn with_tables(boxes: &[u8], track: &mut usize, tables: MadeTable) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, at, size) in top_boxes(boxes) {
        let body = &boxes[at + 8..at + size];
        let body = match name {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => {
                let inner = with_tables(body, track, tables);
                *track += usize::from(name == b"trak");
                inner
            }
            _ => tables(*track, name).unwrap_or_else(|| body.to_vec()),
        };
        out.extend_from_slice(&(body.len() as u32 + 8).to_be_bytes());
        out.extend_from_slice(if name == b"stco" { b"co64" } else { name });
        out.extend_from_slice(&body);
    }
    out
}

#[test]
fn the_tables_of_a_film_of_four_hours_are_a_few_megabytes() {
    let data = fixture("file-quicktime.mov");
    let (_, at, size) = *top_boxes(&data).iter().find(|b| b.0 == b"moov").unwrap();
    // 60 pictures a second with B-frames, in chunks of one second; AAC at 48 kHz in chunks of 47 frames.
    const HOURS: u32 = 4;
    let counts = [HOURS * 3600 * 60, HOURS * 3600 * 48_000 / 1024];
    let per_chunk = [60, 47];
    let words = |first: &[u32], rest: &mut dyn Iterator<Item = u32>| {
        let all = first.iter().copied().chain(rest).flat_map(u32::to_be_bytes);
        Some([0; 4].into_iter().chain(all).collect::<Vec<u8>>())
    };
    let tables = |track: usize, name: &[u8]| {
        let n = counts[track];
        let chunks = n.div_ceil(per_chunk[track]);
        match name {
            b"stsz" if track == 0 => words(&[0, n], &mut (0..n).map(|i| 5000 + i % 1000 * 7919 % 100_000)),
            b"stsz" => words(&[0, n], &mut (0..n).map(|i| 200 + i % 1000 * 31 % 300)),
            b"stts" => words(&[1, n, if track == 0 { 213 } else { 1024 }], &mut std::iter::empty()),
            b"ctts" => words(&[n], &mut (0..n).flat_map(|i| [1, [426, 1065, 426, 0, 213][i as usize % 5]])),
            b"stss" => words(&[n / 120], &mut (0..n / 120).map(|i| 120 * i + 1)),
            b"stsc" => words(&[1, 1, per_chunk[track], 1], &mut std::iter::empty()),
            b"stco" => {
                let offset = |i: u32| 8_000_000 * u64::from(i) + if track == 0 { 0 } else { 7_900_000 };
                words(&[chunks], &mut (0..chunks).flat_map(|i| [(offset(i) >> 32) as u32, offset(i) as u32]))
            }
            _ => None,
        }
    };
    let moov = with_tables(&data[at..at + size], &mut 0, &tables);
    assert!(moov.len() > 12_000_000);
    let table = SampleTable::read(&moov).unwrap().unwrap();
    assert_eq!(table.warnings(), &[] as &[&str]);
    assert_eq!([1, 2].map(|t| table.samples_of(TrackId(t))), counts);
    assert!(table.memory() < 5_000_000, "{}", table.memory());
    let plan = table.plan(&all_tracks(&table), 4.0);
    let segments = plan.lists[0].segments();
    // Three groups of pictures of 1.997 s.
    assert_eq!(segments.len(), 2400);
    assert!(segments.last().unwrap().last > 1 << 36);
    // A million segments of sound, if they were as short as that.
    let plan = table.plan(&[TrackId(2)], 0.0);
    assert!((1 << 15..=1 << 16).contains(&plan.lists[0].segments().len()));
}

#[test]
fn real_files_come_apart_into_segments_without_loss() {
    let Some(media) = media() else { return };
    for name in ["real/bbb_prog_10s.mp4", "mp4/bbb_800x640_avc_pyramid_3b.mp4", "real/train_ad_10s.mp4"] {
        let Ok(data) = std::fs::read(media.join(name)) else { continue };
        let table = table(&data);
        let tracks = all_tracks(&table);
        let expected = by_track(&whole(&data), &tracks);
        let plan = table.plan(&tracks, 2.0);
        assert_eq!(segments(&data, &table, &plan, &mut Random(9)), expected, "{name}");
        assert!(plan.lists[0].segments().len() > 1);
    }
}

/// Files that ffmpeg ended with an `mfra`.
const WITH_MFRA: [&str; 5] = [
    "mp4/avc-aac-default-base.mp4",
    "mp4/avc-aac-base-offset.mp4",
    "mp4/avc-aac-interleaved-runs.mp4",
    "mp4/opus.mp4",
    "web/two-fragments.mp4",
];

#[test]
fn the_random_access_table_tells_when_and_where_fragments_begin() {
    for name in WITH_MFRA {
        let data = std::fs::read(fixture_path(name)).unwrap();
        let whole = demux_whole(&data);
        let tracks: Vec<_> = whole.tracks().cloned().collect();
        let tables = random_access(&data, &tracks);
        assert_eq!(tables.len(), tracks.len(), "{name}");
        let first = data.windows(4).position(|w| w == b"moof").unwrap() - 4;
        for (table, track) in tables.iter().zip(&tracks) {
            assert_eq!(table[0].1, first as u64, "{name}");
            for (time, at) in table {
                // From there on, after the headers, as a player reads it.
                let (mut demuxer, mut recorder) = (FragmentDemuxer::new(), Recorder::default());
                demuxer.push(&data[..first], &mut recorder).unwrap();
                demuxer.reset();
                demuxer.push(&data[*at as usize..], &mut recorder).unwrap();
                let found = recorder.samples(track.id)[0].0.pts;
                let found = track.timescale.seconds(found - track.edit_start);
                assert!((found - time).abs() < 0.2, "{name}: {time} is {found}");
            }
        }
        // A tail that reaches back to it is enough, and any other tells nothing.
        let size = u32::from_be_bytes(*data.last_chunk().unwrap()) as usize;
        for tail in 0..size + 20 {
            let told = random_access(&data[data.len() - tail..], &tracks);
            assert_eq!(told, if tail < size { Vec::new() } else { tables.clone() }, "{name}: {tail}");
        }
        let mut random = Random(11);
        for at in data.len() - size..data.len() {
            let mut damaged = data[data.len() - size..].to_vec();
            damaged[at + size - data.len()] ^= 1 << random.below(8);
            let told = random_access(&damaged, &tracks);
            assert!(
                told.iter().all(|t| t.len() <= size / 11 && t.is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1))
            );
        }
    }
}
