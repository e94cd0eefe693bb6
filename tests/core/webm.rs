//! WebM files: what their heads and cues tell, and their samples.

use millrace::container::webm::{Progress, WebmDemuxer, read_cues, read_head, spans};
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo, TrackKind};
use std::path::{Path, PathBuf};

use crate::webm_files::{built, element, find};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/webm")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn done<T: std::fmt::Debug>(progress: Progress<T>) -> T {
    match progress {
        Progress::Done(value) => value,
        Progress::Needs(_) => panic!("{progress:?}"),
    }
}

/// Keeps what a demuxer gives, with a checksum for each payload.
#[derive(Debug, Default, PartialEq)]
struct Dump {
    tracks: Vec<TrackInfo>,
    complete: usize,
    samples: Vec<(TrackId, Sample, u64)>,
    warnings: Vec<(u64, &'static str)>,
    buffer: Vec<u8>,
}

impl Sink for Dump {
    fn track(&mut self, info: TrackInfo) {
        self.tracks.push(info);
    }
    fn tracks_complete(&mut self) {
        self.complete += 1;
    }
    fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
        &mut self.buffer
    }
    fn sample(&mut self, track: TrackId, sample: Sample) {
        assert_eq!(self.buffer.len(), sample.size as usize);
        let hash = self
            .buffer
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |h: u64, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        self.buffer.clear();
        self.samples.push((track, sample, hash));
    }
    fn warning(&mut self, offset: u64, what: &'static str) {
        self.warnings.push((offset, what));
    }
}

fn demux<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> millrace::error::Result<Dump> {
    let (mut demuxer, mut dump) = (WebmDemuxer::default(), Dump::default());
    for chunk in chunks {
        demuxer.push(chunk, &mut dump)?;
    }
    demuxer.finish(&mut dump)?;
    Ok(dump)
}

#[test]
fn cues_in_front_give_the_segments_of_a_file() {
    let file = bytes("vp9-cues-front.webm");
    let head = done(read_head(&file, false).unwrap());
    assert_eq!((head.timestamp_scale, head.duration), (1_000_000, Some(3.0)));
    let cues_at = head.cues.unwrap() as usize;
    assert_eq!(head.segment_end, Some(file.len() as u64));
    let cues = done(read_cues(&file[cues_at..], &head).unwrap());
    let spans = spans(&head, &cues);
    let times: Vec<_> = spans.iter().map(|s| (s.start, s.duration)).collect();
    assert_eq!(times, [(0.0, Some(1.0)), (1.0, Some(1.0)), (2.0, Some(1.0))]);
    // Each span begins with a cluster, and together they are the rest of the file.
    let mut next = spans[0].first;
    for span in &spans {
        assert_eq!(span.first, next);
        assert_eq!(file[next as usize..][..4], [0x1f, 0x43, 0xb6, 0x75]);
        next = span.last.unwrap() + 1;
    }
    assert_eq!(next, file.len() as u64);

    // Head and cues from their own ranges, as SegmentBase names them.
    let init = done(read_head(&file[..head.init_end as usize], true).unwrap());
    assert_eq!(init, head);
    // The bytes in between tell how far one must read.
    let mut have = 0;
    while let Progress::Needs(n) = read_head(&file[..have], false).unwrap() {
        assert!(n as usize > have);
        have = (n as usize).min(file.len());
    }
    let Progress::Needs(all) = read_cues(&file[cues_at..cues_at + 12], &head).unwrap() else {
        panic!("12 bytes are all")
    };
    assert!(
        read_cues(&file[cues_at..cues_at + all as usize - 1], &head).is_ok_and(|p| p == Progress::Needs(all))
    );
    assert_eq!(done(read_cues(&file[cues_at..cues_at + all as usize], &head).unwrap()), cues);
}

#[test]
fn cues_at_the_end_are_found_through_the_seek_head() {
    let file = bytes("vp8-opus-cues-end.webm");
    let head = done(read_head(&file, false).unwrap());
    let cues_at = head.cues.unwrap();
    assert!(head.init_end < cues_at);
    let cues = done(read_cues(&file[cues_at as usize..], &head).unwrap());
    let spans = spans(&head, &cues);
    assert_eq!(spans.last().unwrap().last, Some(cues_at - 1), "cues end the last cluster");
    assert!(spans.iter().all(|s| file[s.first as usize..].starts_with(&[0x1f, 0x43, 0xb6, 0x75])));
    let total: f64 = spans.iter().map(|s| s.duration.unwrap()).sum();
    assert!((total - head.duration.unwrap() + spans[0].start).abs() < 1e-9);
}

#[test]
fn tracks_and_samples_come_out_with_codecs_times_and_keyframes() {
    let dump = demux([&bytes("vp9-cues-front.webm")[..]]).unwrap();
    let [track] = &dump.tracks[..] else { panic!("one track") };
    assert_eq!(
        (track.kind, track.codec.as_str(), track.width, track.height),
        (TrackKind::Video, "vp09.00.10.08", 160, 90)
    );
    assert_eq!((track.timescale.get(), dump.complete), (1000, 1));
    let times: Vec<_> = dump.samples.iter().map(|s| s.1.pts).collect();
    assert_eq!(times, (0..75).map(|i| i * 40).collect::<Vec<_>>());
    let keys: Vec<_> = dump.samples.iter().filter(|s| s.1.sync).map(|s| s.1.pts).collect();
    assert_eq!(keys, [0, 1000, 2000]);
    assert_eq!(dump.warnings, []);

    let dump = demux([&bytes("vp8-opus-cues-end.webm")[..]]).unwrap();
    let kinds: Vec<_> =
        dump.tracks.iter().map(|t| (t.codec.as_str(), t.sample_rate, t.channels, t.edit_start)).collect();
    assert_eq!(kinds, [("vp8", 0, 0, 0), ("opus", 48_000, 1, 7)]);
    assert_eq!(dump.samples.iter().filter(|s| s.0 == dump.tracks[0].id).count(), 50);
    let audio: Vec<_> = dump.samples.iter().filter(|s| s.0 == dump.tracks[1].id).collect();
    // Of the last one, DiscardPadding takes the rest.
    assert_eq!(audio.iter().filter(|s| s.1.duration == Some(20)).count(), audio.len() - 1);
    assert_eq!(audio.last().unwrap().1.duration, Some(6));

    // A live file: clusters and segment of unknown size.
    let dump = demux([&bytes("vorbis-live.webm")[..]]).unwrap();
    assert_eq!((dump.tracks[0].codec.as_str(), dump.tracks[0].sample_rate), ("vorbis", 44_100));
    assert!(dump.samples.len() > 50 && dump.samples.iter().all(|s| s.1.sync));
    assert_eq!(dump.warnings, []);
    let dump = demux([&bytes("av1.webm")[..]]).unwrap();
    assert_eq!((dump.tracks[0].codec.as_str(), dump.samples.len()), ("av01.0.00M.08", 5));
}

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let media = std::env::var_os("MILLRACE_MEDIA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media"), PathBuf::from);
    let mut all = Vec::new();
    for folder in [folder(), media.join("webm")] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|e| e == "webm" || e == "mkv" || e == "mka") {
                all.push((entry.path().display().to_string(), std::fs::read(entry.path()).unwrap()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn any_split_of_the_bytes_gives_the_same_samples() {
    for (name, file) in fixtures() {
        let whole = demux([&file[..]]).unwrap();
        assert!(!whole.samples.is_empty(), "{name}");
        let file = &file[..file.len().min(300_000)];
        let whole = demux([file]).unwrap();
        assert_eq!(demux(file.chunks(1)).unwrap(), whole, "{name}");
        for size in [7, 100, 4096, 65_537] {
            assert_eq!(demux(file.chunks(size)).unwrap(), whole, "{name} in pieces of {size}");
        }
    }
}

#[test]
fn damaged_files_never_panic() {
    for (_, file) in fixtures() {
        let file = &file[..file.len().min(60_000)];
        for end in (0..file.len()).step_by(97) {
            let _ = read_head(&file[..end], false);
            let _ = read_head(&file[..end], true);
            demux([&file[..end]]).unwrap();
        }
        let mut seed = 0x9e37_79b9u32;
        for _ in 0..300 {
            let mut damaged = file.to_vec();
            for _ in 0..4 {
                // xorshift32: the same bytes in every run. Most of the flips go where the headers are.
                seed ^= seed << 13;
                seed ^= seed >> 17;
                seed ^= seed << 5;
                let at =
                    seed as usize % if seed & 0x100 == 0 { damaged.len() } else { 1000.min(damaged.len()) };
                damaged[at] ^= 1 << (seed >> 29);
            }
            let _ = demux([&damaged[..]]);
            if let Ok(Progress::Done(head)) = read_head(&damaged, false) {
                let at = head.cues.and_then(|c| usize::try_from(c).ok()).unwrap_or(0).min(damaged.len());
                if let Ok(Progress::Done(cues)) = read_cues(&damaged[at..], &head) {
                    spans(&head, &cues);
                }
            }
        }
    }
}

#[test]
fn time_is_counted_in_the_units_of_an_info_behind_the_tracks() {
    let source = bytes("vp8-opus-cues-end.webm");
    let tracks = element(&[0x16, 0x54, 0xae, 0x6b], find(&source, &[0x16, 0x54, 0xae, 0x6b]));
    let blocks = (0..8u8).map(|n| element(&[0xa3], &[&[0x81, 0, n * 30, 0x80][..], &[n; 50]].concat()));
    let cluster =
        element(&[0x1f, 0x43, 0xb6, 0x75], &[element(&[0xe7], &[100]), blocks.flatten().collect()].concat());
    for scale in [250_000u32, 1_000_000, 22_676] {
        let info = element(&[0x15, 0x49, 0xa9, 0x66], &element(&[0x2a, 0xd7, 0xb1], &scale.to_be_bytes()));
        let file = |parts: [&[u8]; 3]| element(&[0x18, 0x53, 0x80, 0x67], &parts.concat());
        let before = demux([&file([&info, &tracks, &cluster])[..]]).unwrap();
        let behind = demux([&file([&tracks, &info, &cluster])[..]]).unwrap();
        assert_eq!(before.samples.len(), 8);
        assert_eq!(behind.samples, before.samples);
        for track in &before.tracks {
            assert_eq!(behind.tracks.iter().rfind(|t| t.id == track.id), Some(track));
        }
    }
}

/// Zeros, a distance of 1 and lengths of 258, with fixed codes (RFC 1951 §3.2.6), in zlib's format.
fn deflated_zeros(count: usize) -> Vec<u8> {
    let mut bits = vec![true, true, false];
    bits.extend([false, false, true, true, false, false, false, false]);
    for _ in 0..(count - 1) / 258 {
        bits.extend([true, true, false, false, false, true, false, true]);
        bits.extend([false; 5]);
    }
    bits.extend([false; 7]);
    let packed = bits.chunks(8).map(|c| c.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)));
    let mut out = vec![0x78, 1];
    // A last byte that is not full is filled from above.
    out.extend(packed);
    // Adler-32 of zeros.
    out.extend((((1 + (count - 1) / 258 * 258) % 65_521) as u32 * 0x1_0000 + 1).to_be_bytes());
    out
}

#[test]
fn the_frames_of_a_block_together_are_decompressed_to_some_megabytes_at_most() {
    let frame = deflated_zeros(5 << 20);
    let block = [&[0x81, 0, 0, 0x84, 7][..], &frame.repeat(8)].concat();
    let file = built(&bytes("mm-zlib.mkv"), &[], &[element(&[0xa3], &block)]);
    let dump = demux([&file[..]]).unwrap();
    assert_eq!(dump.samples.len(), 3);
    assert_eq!(dump.warnings.len(), 5);
}
