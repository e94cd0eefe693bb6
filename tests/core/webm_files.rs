//! WebM and Matroska files of several muxers: samples against what ffprobe says of the same file, the layouts that they leave
//! open, damage, and the way through the muxer.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use millrace::container::mp4::FragmentDemuxer;
use millrace::container::webm::{Layout, WebmDemuxer, layout};
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo, TrackKind};
use millrace::error::{Code, PlayerError};
use millrace::remux::Muxer;

use crate::mp4::track_line;
use crate::support::{Call, Random, Recorder, fixture_path, media};

/// From ffmpeg, mkvmerge (`mm-`) and GStreamer (`gst-`).
const FILES: [&str; 15] = [
    "avc-aac-srt.mkv",
    "hevc-ac3-eac3.mkv",
    "vp9-opus-live.webm",
    "av1-flac.mkv",
    "mp3.mka",
    "vp8-vorbis.webm",
    "mm-avc-aac.mkv",
    "mm-scale.mkv",
    "mm-audio.mka",
    "mm-zlib.mkv",
    "mm-webm.webm",
    "mm-hevc.mkv",
    "gst-avc-opus.mkv",
    "gst-vp8-vorbis-stream.webm",
    "gst-flac.mka",
];

pub fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path(&format!("webm/{name}"))).unwrap()
}

fn demux<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Recorder, Option<PlayerError>) {
    let (mut demuxer, mut recorder) = (WebmDemuxer::default(), Recorder::default());
    let mut error = None;
    for piece in pieces {
        error = demuxer.push(piece, &mut recorder).err();
        if error.is_some() {
            break;
        }
    }
    demuxer.finish(&mut recorder).unwrap();
    assert_eq!(recorder.unfinished(), 0, "finish takes back what was written of an unfinished sample");
    (recorder, error)
}

pub fn whole(data: &[u8]) -> Recorder {
    let (recorder, error) = demux([data]);
    assert_eq!(error, None);
    recorder
}

/// The tracks as they are known in the end.
pub fn tracks(recorder: &Recorder) -> Vec<TrackInfo> {
    let mut out: Vec<TrackInfo> = Vec::new();
    for info in recorder.tracks() {
        match out.iter_mut().find(|t| t.id == info.id) {
            Some(known) => *known = info.clone(),
            None => out.push(info.clone()),
        }
    }
    out.sort_by_key(|t| t.id);
    out
}

fn dump(recorder: &Recorder) -> String {
    let tracks = tracks(recorder);
    let mut out = String::new();
    for info in &tracks {
        writeln!(out, "{}", track_line(info)).unwrap();
    }
    for info in &tracks {
        for (s, crc) in recorder.samples(info.id) {
            let duration = s.duration.map_or("-".into(), |d| d.to_string());
            let sync = if s.sync { "sync" } else { "-" };
            let (id, dts, pts, size) = (info.id.0, s.dts, s.pts, s.size);
            writeln!(out, "{id} dts {dts} pts {pts} duration {duration} size {size} {sync} {crc:08x}")
                .unwrap();
        }
    }
    out
}

/// A packet: time as a fraction of a second, size, keyframe, CRC-32.
pub type Packet = ((i128, i128), u32, bool, Option<u32>);

/// The packets that ffprobe sees, stream by stream, with the kind of the stream; `None` where there is no ffprobe.
pub fn ffprobe(path: &Path) -> Option<Vec<(String, Vec<Packet>)>> {
    let run = |args: &[&str]| {
        let output = Command::new("ffprobe").args(["-v", "error"]).args(args).arg(path).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).ok()
    };
    let field = |line: &str, name: &str| {
        let value = line.split('|').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim().to_owned()
    };
    let streams = run(&["-show_entries", "stream=codec_type,time_base", "-of", "compact"])?;
    let streams: Vec<_> = streams
        .lines()
        .filter(|l| l.starts_with("stream|"))
        .map(|l| {
            let base = field(l, "time_base");
            let (n, d) = base.split_once('/').unwrap();
            (field(l, "codec_type"), n.parse::<i128>().unwrap(), d.parse::<i128>().unwrap())
        })
        .collect();
    let mut out: Vec<_> = streams.iter().map(|s| (s.0.clone(), Vec::new())).collect();
    let packets = run(&[
        "-show_packets",
        "-show_data_hash",
        "crc32",
        "-show_entries",
        "packet=stream_index,pts,size,flags,data_hash",
        "-of",
        "compact",
    ])?;
    for line in packets.lines().filter(|l| l.starts_with("packet|")) {
        let index: usize = field(line, "stream_index").parse().unwrap();
        let (_, n, d) = streams[index];
        let Ok(pts) = field(line, "pts").parse::<i128>() else { continue };
        let crc = u32::from_str_radix(field(line, "data_hash").trim_start_matches("CRC32:"), 16);
        // It prints none behind side data.
        let crc = crc.ok();
        let size = field(line, "size").parse().unwrap();
        out[index].1.push(((pts * n, d), size, field(line, "flags").starts_with('K'), crc));
    }
    Some(out)
}

/// Every sample, in number, presentation time, size, keyframe and bytes, where there is an ffprobe.
fn assert_as_ffprobe_sees(path: &Path, recorder: &Recorder) {
    let name = path.file_name().unwrap().to_str().unwrap();
    if let Some(streams) = ffprobe(path) {
        let tracks = tracks(recorder);
        assert_eq!(tracks.len(), streams.len(), "{name}");
        for (info, (kind, packets)) in tracks.iter().zip(streams) {
            let expected = if kind == "subtitle" { "text" } else { &kind };
            assert_eq!(info.kind.as_str(), expected, "{name}");
            if info.kind == TrackKind::Text || info.codec.contains('+') {
                assert_eq!(recorder.samples(info.id), []);
                continue;
            }
            let samples = recorder.samples(info.id);
            assert_eq!(samples.len(), packets.len(), "{name} track {}", info.id.0);
            for ((s, crc), packet) in samples.iter().zip(packets) {
                let (numerator, denominator) = packet.0;
                let pts = i128::from(s.pts - info.edit_start) * denominator;
                let theirs = numerator * i128::from(info.timescale.get());
                // In laces of Vorbis nobody tells: it takes the first packet for one with a duration.
                let guessed =
                    if name == "mm-webm.webm" && info.codec == "vorbis" { 2 * denominator } else { 0 };
                assert!((theirs - pts).abs() <= guessed, "{name} track {}: {s:?} is {packet:?}", info.id.0);
                let crc = packet.3.map(|_| *crc);
                assert_eq!((s.size, s.sync, crc), (packet.1, packet.2, packet.3), "{name}: {s:?}");
            }
        }
    }
}

#[test]
fn files_give_the_samples_that_ffprobe_sees() {
    for name in FILES {
        let recorder = whole(&fixture(name));
        let ours = dump(&recorder);
        let path = fixture_path(&format!("webm/{name}"));
        assert_as_ffprobe_sees(&path, &recorder);
        let golden = path.with_extension(format!("{}.dump", path.extension().unwrap().to_str().unwrap()));
        if std::env::var_os("MILLRACE_BLESS").is_some() {
            std::fs::write(&golden, &ours).unwrap();
        }
        assert_eq!(ours, std::fs::read_to_string(&golden).unwrap(), "{name}");
        assert!(!recorder.calls.iter().any(|c| matches!(c, Call::Warning(..))), "{name}: no warnings");
        assert_eq!(recorder.calls.iter().filter(|c| **c == Call::Complete).count(), 1, "{name}");
    }
}

#[test]
fn real_files_give_the_samples_that_ffprobe_sees() {
    let Some(media) = media() else { return };
    for entry in std::fs::read_dir(media.join("webm")).into_iter().flatten().flatten() {
        let recorder = whole(&std::fs::read(entry.path()).unwrap());
        assert!(tracks(&recorder).iter().all(|t| !t.sample_entry.is_empty()));
        assert_as_ffprobe_sees(&entry.path(), &recorder);
    }
}

#[test]
fn decoding_times_increase_and_are_never_later_than_presentation() {
    let mut reordered = 0;
    for name in FILES {
        let recorder = whole(&fixture(name));
        for info in tracks(&recorder) {
            let samples = recorder.samples(info.id);
            // The first packet of Vorbis has no duration.
            let equal = info.codec == "vorbis";
            let sorted = samples.is_sorted_by(|a, b| a.0.dts < b.0.dts || (equal && a.0.dts == b.0.dts));
            assert!(sorted, "{name} track {}", info.id.0);
            assert!(samples.iter().all(|(s, _)| s.dts <= s.pts), "{name} track {}", info.id.0);
            if samples.iter().any(|(s, _)| s.dts < s.pts) {
                reordered += 1;
                // As early as the depth of the B-frames and no earlier: 40 ms a picture.
                assert!(
                    samples
                        .iter()
                        .all(|(s, _)| (s.pts - s.dts) * 1000 / i64::from(info.timescale.get()) <= 200)
                );
            }
        }
    }
    assert!(reordered >= 5, "{reordered}");
}

#[test]
fn every_split_of_the_bytes_gives_the_same_calls() {
    for name in FILES {
        let data = fixture(name);
        let expected = whole(&data);
        let (bytes, error) = demux(data.chunks(1));
        assert_eq!((&bytes.calls, error), (&expected.calls, None), "{name}: byte by byte");
        let mut random = Random(0x3b ^ data.len() as u64);
        for most in [3, 16, 100, 1500, 70_000] {
            let (split, error) = demux(random.split(&data, most));
            assert_eq!((&split.calls, error), (&expected.calls, None), "{name}: pieces of up to {most}");
        }
    }
}

#[test]
fn truncated_files_give_a_prefix() {
    for name in FILES {
        let data = fixture(name);
        let expected = whole(&data);
        let mut random = Random(0x7c ^ data.len() as u64);
        for _ in 0..80 {
            let cut = random.below(data.len());
            let part = whole(&data[..cut]);
            for info in tracks(&part) {
                let (got, all) = (part.samples(info.id), expected.samples(info.id));
                assert_eq!(got, all[..got.len()], "{name} cut at {cut}");
            }
        }
    }
}

#[test]
fn damaged_bytes_never_panic_and_splits_agree_on_them() {
    let rounds = std::env::var("MILLRACE_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    for name in FILES {
        let data = fixture(name);
        let mut random = Random(0xb18 ^ data.len() as u64);
        for round in 0..rounds {
            let mut broken = data.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(if round % 3 == 0 { data.len() } else { 1500.min(data.len()) });
                broken[at] ^= 1 << random.below(8);
            }
            let (at_once, error) = demux([broken.as_slice()]);
            let (split, split_error) = demux(random.split(&broken, 300));
            assert_eq!(at_once.calls, split.calls, "{name} round {round}");
            assert_eq!(error, split_error, "{name} round {round}");
            assert!(error.is_none_or(|e| e.code == Code::MediaMalformed && e.position.is_some()));
            let _ = layout(&broken, None);
            let mut muxer = Muxer::new();
            let mut demuxer = WebmDemuxer::default();
            let _ = demuxer.push(&broken, &mut muxer);
            let _ = demuxer.finish(&mut muxer);
            for id in muxer.tracks().iter().map(|t| t.id).collect::<Vec<_>>() {
                while muxer.take_fragment(id, true).is_some() {}
            }
        }
    }
}

const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];

fn clusters(data: &[u8]) -> Vec<usize> {
    (0..data.len() - 4).filter(|&i| data[i..i + 4] == CLUSTER).collect()
}

#[test]
fn reading_goes_on_with_the_next_cluster_after_damage() {
    let data = fixture("hevc-ac3-eac3.mkv");
    let found = clusters(&data);
    // Garbage in the place of a stretch within the first cluster.
    let (first, second) = (found[0], *found.get(1).unwrap_or(&data.len()));
    let mut broken = data.clone();
    for (i, b) in broken[first + 600..first + 900].iter_mut().enumerate() {
        *b = (i * 7) as u8 & 0x0f;
    }
    let (recorder, error) = demux([broken.as_slice()]);
    assert_eq!(error, None);
    assert!(recorder.calls.iter().any(|c| matches!(c, Call::Warning(..))));
    let expected = whole(&data);
    if second < data.len() {
        let last =
            |r: &Recorder| tracks(r).iter().map(|t| r.samples(t.id).last().copied()).collect::<Vec<_>>();
        assert_eq!(last(&recorder), last(&expected));
    }

    // Bytes lost in the middle of a stream: what is left of the cluster is not taken for media.
    let live = fixture("gst-vp8-vorbis-stream.webm");
    let found = clusters(&live);
    let (a, b) = (found[found.len() / 3], found[2 * found.len() / 3]);
    let lost = [&live[..a + 50], &live[b - 30..]].concat();
    let (recorder, error) = demux([lost.as_slice()]);
    assert_eq!(error, None);
    let expected = whole(&live);
    for info in tracks(&expected) {
        let all = expected.samples(info.id);
        let got = recorder.samples(info.id);
        let strange = got.iter().filter(|s| !all.iter().any(|a| a.1 == s.1)).count();
        assert!(
            strange <= 1 && got.last() == all.last(),
            "{strange} of {}: {:?}",
            got.len(),
            recorder.calls.iter().filter(|c| matches!(c, Call::Warning(..))).collect::<Vec<_>>()
        );
    }

    // Endless garbage: an end, and no memory.
    let mut demuxer = WebmDemuxer::default();
    let mut recorder = Recorder::default();
    demuxer.push(&data[..first + 600], &mut recorder).unwrap();
    let garbage = vec![0x03; 1 << 20];
    let error = (0..100).find_map(|_| demuxer.push(&garbage, &mut recorder).err()).unwrap();
    assert_eq!(error.code, Code::MediaMalformed);
    let (_, error) = demux([&garbage[..]]);
    assert_eq!(error.unwrap().position, Some(0));
}

#[test]
fn reading_begins_anywhere_with_the_next_cluster() {
    // A seek without an index ends inside of something, and any bytes may look like an element there.
    for name in ["gst-vp8-vorbis-stream.webm", "hevc-ac3-eac3.mkv"] {
        let data = fixture(name);
        let found = clusters(&data);
        let head = found[0];
        let step = (data.len() / 4000).max(1);
        for from in (head..data.len()).step_by(step) {
            let mut demuxer = WebmDemuxer::default();
            let mut recorder = Recorder::default();
            demuxer.push(&data[..head], &mut recorder).unwrap();
            demuxer.reset();
            demuxer.push(&data[from..], &mut recorder).unwrap();
            demuxer.finish(&mut recorder).unwrap();
            let all = whole(&data);
            let next = found.iter().find(|c| **c >= from);
            let mut expected = Recorder::default();
            if let Some(next) = next {
                let mut demuxer = WebmDemuxer::default();
                demuxer.push(&data[..head], &mut expected).unwrap();
                demuxer.reset();
                demuxer.push(&data[*next..], &mut expected).unwrap();
                demuxer.finish(&mut expected).unwrap();
            }
            for info in tracks(&all) {
                assert_eq!(
                    recorder.samples(info.id).len(),
                    expected.samples(info.id).len(),
                    "{name} from {from}"
                );
            }
        }
    }
}

#[test]
fn a_stream_that_is_joined_at_a_cluster_goes_on_after_its_header() {
    for name in ["avc-aac-srt.mkv", "vp9-opus-live.webm", "gst-avc-opus.mkv"] {
        let data = fixture(name);
        let expected = whole(&data);
        let found = clusters(&data);
        let (mut demuxer, mut recorder) = (WebmDemuxer::default(), Recorder::default());
        // The header by itself, as an initialization segment; then from the last cluster on, and all of them.
        demuxer.push(&data[..found[0]], &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
        assert!(recorder.calls.contains(&Call::Complete), "{name}");
        for &start in [found[found.len() - 1], found[0]].iter() {
            let ends = data.len();
            demuxer.reset();
            recorder.calls.retain(|c| !matches!(c, Call::Sample(..)));
            demuxer.push(&data[start..ends], &mut recorder).unwrap();
            demuxer.finish(&mut recorder).unwrap();
            for info in tracks(&expected) {
                let (got, all) = (recorder.samples(info.id), expected.samples(info.id));
                let times =
                    |s: &[(Sample, u32)]| s.iter().map(|(s, crc)| (s.pts, s.sync, *crc)).collect::<Vec<_>>();
                assert_eq!(times(&got), times(&all)[all.len() - got.len()..], "{name}");
                assert!(start != found[0] || got.len() == all.len());
            }
        }
    }
}

/// An element.
pub fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend_from_slice(&(content.len() as u64 | 1 << 56).to_be_bytes());
    out.extend_from_slice(content);
    out
}

/// The content of the first element with this id; for those that a SeekHead names, of the last one.
pub fn find<'a>(data: &'a [u8], id: &[u8]) -> &'a [u8] {
    let mut places = data.windows(id.len()).enumerate().filter(|(_, w)| *w == id).map(|(at, _)| at);
    let at = if id.len() == 4 { places.next_back() } else { places.next() }.unwrap() + id.len();
    let len = data[at].leading_zeros() as usize + 1;
    let size = data[at..at + len].iter().fold(0u64, |v, b| v << 8 | u64::from(*b)) & ((1 << (7 * len)) - 1);
    &data[at + len..at + len + size as usize]
}

/// A file with the first track of `source`, `extra` in its TrackEntry, and these blocks or groups in one cluster.
pub fn built(source: &[u8], extra: &[u8], blocks: &[Vec<u8>]) -> Vec<u8> {
    let entry = find(find(source, &[0x16, 0x54, 0xae, 0x6b]), &[0xae]);
    // DefaultDuration becomes Void: it would tell all.
    let mut entry = entry.to_vec();
    if let Some(at) = entry.windows(3).position(|w| w == [0x23, 0xe3, 0x83]) {
        let content = usize::from(entry[at + 3] & 0x7f);
        entry[at] = 0xec;
        entry[at + 1] = 0x80 | (content as u8 + 2);
    }
    let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &element(&[0xae], &[&entry, extra].concat()));
    let info = element(&[0x15, 0x49, 0xa9, 0x66], &element(&[0x2a, 0xd7, 0xb1], &1_000_000u32.to_be_bytes()));
    let cluster = element(&CLUSTER, &[element(&[0xe7], &[0]), blocks.concat()].concat());
    let segment = element(&[0x18, 0x53, 0x80, 0x67], &[info, tracks, cluster].concat());
    [element(&[0x1a, 0x45, 0xdf, 0xa3], &[]), segment].concat()
}

/// The payloads of the only track of a file.
fn payloads(data: &[u8]) -> Vec<Vec<u8>> {
    struct Keep(Vec<u8>, Vec<Vec<u8>>);
    impl Sink for Keep {
        fn track(&mut self, _: TrackInfo) {}
        fn tracks_complete(&mut self) {}
        fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
            &mut self.0
        }
        fn sample(&mut self, _: TrackId, _: Sample) {
            self.1.push(std::mem::take(&mut self.0));
        }
        fn warning(&mut self, _: u64, _: &'static str) {}
    }
    let mut keep = Keep(Vec::new(), Vec::new());
    WebmDemuxer::default().push(data, &mut keep).unwrap();
    keep.1
}

#[test]
fn laces_and_stripped_headers_give_the_frames_they_were_made_of() {
    let source = fixture("mp3.mka");
    let frames = payloads(&source)[..6].to_vec();
    let expected: Vec<_> = whole(&source).samples(TrackId(1))[..6].iter().map(|s| s.1).collect();
    // ContentEncodings: order 0, scope 1 (frames), type 0 (compression), algorithm 3, settings: the first two bytes.
    let compression = [element(&[0x42, 0x54], &[3]), element(&[0x42, 0x55], &frames[0][..2])].concat();
    let stripping = element(
        &[0x6d, 0x80],
        &element(
            &[0x62, 0x40],
            &[element(&[0x50, 0x32], &[1]), element(&[0x50, 0x34], &compression)].concat(),
        ),
    );
    for (extra, cut) in [(&[][..], 0), (&stripping[..], 2)] {
        let cut: Vec<&[u8]> = frames.iter().map(|f| &f[cut..]).collect();
        let xiph = |n: usize| [vec![255; n / 255], vec![(n % 255) as u8]].concat();
        let sizes = &cut[..5];
        let laces: [(u8, Vec<u8>); 2] = [
            (1, sizes.iter().flat_map(|f| xiph(f.len())).collect()),
            (3, {
                let mut out = (0x4000 | sizes[0].len() as u16).to_be_bytes().to_vec();
                for w in sizes.windows(2) {
                    let difference = w[1].len() as i32 - w[0].len() as i32;
                    out.extend(((difference + 0x1fff) as u16 | 0x4000).to_be_bytes());
                }
                out
            }),
        ];
        for (lacing, table) in laces {
            let mut block = vec![0x81, 0, 10, 0x80 | lacing << 1, 5];
            block.extend_from_slice(&table);
            block.extend(cut.concat());
            let simple = whole(&built(&source, extra, &[element(&[0xa3], &block)]));
            let samples = simple.samples(TrackId(1));
            assert_eq!(samples.iter().map(|s| s.1).collect::<Vec<_>>(), expected, "lacing {lacing}");
            // 1152 samples at 48 kHz are 24 ms.
            let times: Vec<_> = samples.iter().map(|s| (s.0.pts, s.0.duration)).collect();
            assert_eq!(times, (0..6).map(|i| (10 + 24 * i, Some(24))).collect::<Vec<_>>());
            // In a group with a duration of its own, of which a half frame is thrown away.
            block[3] &= 0x7f;
            let group = [
                element(&[0xa1], &block),
                element(&[0x9b], &[120]),
                element(&[0x75, 0xa2], &10_000_000u32.to_be_bytes()),
            ];
            let group = whole(&built(&source, extra, &[element(&[0xa0], &group.concat())]));
            let samples = group.samples(TrackId(1));
            assert_eq!(samples.iter().map(|s| s.1).collect::<Vec<_>>(), expected);
            let last = samples.last().unwrap().0;
            assert_eq!((last.pts, last.duration, last.sync), (110, Some(10), true));
            assert!(![simple, group].iter().any(|r| r.calls.iter().any(|c| matches!(c, Call::Warning(..)))));
        }
    }
    // All frames of one size.
    let mut block = vec![0x81, 0, 0, 0x84, 2];
    block.extend([&frames[1][..90], &frames[2][..90], &frames[3][..90]].concat());
    let fixed = whole(&built(&source, &[], &[element(&[0xa3], &block)]));
    assert_eq!(fixed.samples(TrackId(1)).iter().map(|s| s.0.size).collect::<Vec<_>>(), [90; 3]);
}

#[test]
fn what_zlib_has_compressed_is_what_it_was() {
    let recorder = whole(&fixture("mm-zlib.mkv"));
    let original = whole(&fixture("avc-aac-srt.mkv"));
    let track = &tracks(&recorder)[0];
    let theirs = tracks(&original).into_iter().find(|t| t.codec == track.codec).unwrap();
    assert_eq!((&*track.codec, &track.sample_entry), ("mp4a.40.2", &theirs.sample_entry));
    let bytes = |r: &Recorder, id| r.samples(id).iter().map(|(s, crc)| (s.size, *crc)).collect::<Vec<_>>();
    assert_eq!(bytes(&recorder, track.id), bytes(&original, theirs.id));
    assert!(recorder.calls.iter().all(|c| !matches!(c, Call::Warning(..))));
}

#[test]
fn compression_that_is_not_undone_is_named() {
    // The same file, said to be of another algorithm.
    let mut data = fixture("mm-zlib.mkv");
    // BitDepth, the last in Audio, gives way to ContentCompAlgo.
    let (from, to): (&[u8], &[u8]) = (
        b"\x62\x64\x81\x20\x6d\x80\x86\x62\x40\x83\x50\x34\x80",
        b"\x6d\x80\x8a\x62\x40\x87\x50\x34\x84\x42\x54\x81\x02",
    );
    let at = data.windows(from.len()).position(|w| w == from).unwrap();
    data[at..at + to.len()].copy_from_slice(to);
    let audio = data[..at].windows(4).rposition(|w| w[0] == 0xe1 && w[2] == 0xb5).unwrap();
    data[audio + 1] -= 4;
    let recorder = whole(&data);
    let track = &tracks(&recorder)[0];
    assert_eq!((track.codec.as_str(), track.sample_entry.len()), ("A_AAC+lzo1x", 0));
    assert_eq!(recorder.samples(track.id), []);
}

#[test]
fn groups_and_blocks_in_strange_places_do_no_harm() {
    let source = fixture("mp3.mka");
    let frame = &payloads(&source)[0];
    let block = [&[0x81, 0, 0, 0x80][..], frame].concat();
    let cases: Vec<Vec<Vec<u8>>> = vec![
        vec![element(&[0xa0], &[])],
        vec![element(&[0xa0], &[element(&[0xa1], &block), element(&[0xa1], &block)].concat())],
        vec![element(&[0xa3], &[])],
        vec![element(&[0xa3], &[0x81, 0])],
        vec![element(&[0xa3], &[0x00; 20])],
        vec![element(&[0xa3], &[0x85, 0, 0, 0x80, 1, 2, 3])],
        vec![element(&[0xa3], &[0x81, 0, 0, 0x82, 200, 1])],
        vec![element(&[0xa3], &[0x81, 0, 0, 0x80])],
    ];
    for (i, mut blocks) in cases.into_iter().enumerate() {
        blocks.push(element(&[0xec], &[0; 30]));
        blocks.push(element(&[0xa3], &block));
        let file = built(&source, &[], &blocks);
        let recorder = whole(&file);
        let (split, _) = demux(file.chunks(1));
        assert_eq!(recorder.calls, split.calls);
        let got = recorder.samples(TrackId(1));
        assert!(got.iter().filter(|s| s.0.size as usize == frame.len()).count() >= 1, "case {i}: {got:?}");
    }
}

#[test]
fn one_file_after_another_in_a_stream_is_read_as_both() {
    for (a, b) in [("vp9-opus-live.webm", "avc-aac-srt.mkv"), ("avc-aac-srt.mkv", "avc-aac-srt.mkv")] {
        let (first, second) = (fixture(a), fixture(b));
        let both = whole(&[&first[..], &second].concat());
        let (split, error) = demux([&first[..], &second].concat().chunks(7));
        assert_eq!((&both.calls, error), (&split.calls, None));
        for id in [TrackId(1), TrackId(2)] {
            let expected = [whole(&first).samples(id), whole(&second).samples(id)].concat();
            assert_eq!(both.samples(id), expected, "{a} {b}");
        }
        assert_eq!(both.calls.iter().filter(|c| **c == Call::Complete).count(), 2);
    }
}

#[test]
fn titles_and_tags_are_handed_on() {
    #[derive(Default)]
    struct Tags(Vec<u8>, Vec<(String, String)>);
    impl Sink for Tags {
        fn track(&mut self, _: TrackInfo) {}
        fn tracks_complete(&mut self) {}
        fn buffer(&mut self, _: TrackId) -> &mut Vec<u8> {
            &mut self.0
        }
        fn sample(&mut self, _: TrackId, _: Sample) {
            self.0.clear();
        }
        fn metadata(&mut self, _: Option<TrackId>, _: Option<i64>, data: millrace::container::Metadata) {
            if let millrace::container::Metadata::Comments(comments) = data {
                self.1.extend(comments);
            }
        }
        fn warning(&mut self, _: u64, _: &'static str) {}
    }
    let mut tags = Tags::default();
    WebmDemuxer::default().push(&fixture("avc-aac-srt.mkv"), &mut tags).unwrap();
    for (name, value) in [("TITLE", "A title"), ("ARTIST", "Somebody")] {
        assert!(tags.1.iter().any(|(n, v)| n == name && v == value), "{:?}", tags.1);
    }
}

#[test]
fn layouts_name_the_segments_of_files_with_sound_and_pictures() {
    for name in ["avc-aac-srt.mkv", "mm-avc-aac.mkv", "mm-hevc.mkv", "vp8-vorbis.webm", "mm-webm.webm"] {
        let data = fixture(name);
        let mut have = 0;
        let mut cues: Option<Vec<u8>> = None;
        let (head, spans) = loop {
            match layout(&data[..have], cues.as_deref()).unwrap() {
                Layout::NeedsHead(n) => {
                    assert!(n > have as u64, "{name}");
                    have = (n as usize).min(data.len());
                }
                Layout::NeedsCues { offset, length } => {
                    assert!(cues.is_none(), "{name}: one request");
                    let start = offset as usize;
                    cues = Some(data[start..(start + length as usize).min(data.len())].to_vec());
                }
                Layout::Spans(head, spans) => break (head, spans),
                Layout::Linear(_) => panic!("{name} has cues"),
            }
        };
        assert!(head.duration.is_some_and(|d| (1.9..2.6).contains(&d)), "{name}: {head:?}");
        assert!(!spans.is_empty(), "{name}");
        let expected = whole(&data);
        let (mut demuxer, mut recorder) = (WebmDemuxer::default(), Recorder::default());
        demuxer.push(&data[..head.init_end as usize], &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
        for span in &spans {
            let last = span.last.map_or(data.len() - 1, |l| l as usize);
            demuxer.push(&data[span.first as usize..=last], &mut recorder).unwrap();
            demuxer.finish(&mut recorder).unwrap();
        }
        for info in tracks(&expected) {
            assert_eq!(recorder.samples(info.id), expected.samples(info.id), "{name} track {}", info.id.0);
        }
    }
    for name in ["mm-scale.mkv", "vp9-opus-live.webm", "gst-vp8-vorbis-stream.webm"] {
        assert!(matches!(layout(&fixture(name), None), Ok(Layout::Linear(_))), "{name}");
    }
}

#[test]
fn what_mp4_can_carry_comes_through_the_muxer_and_decodes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut through = 0;
    for name in FILES {
        let data = fixture(name);
        let source = whole(&data);
        let (mut demuxer, mut muxer) = (WebmDemuxer::default(), Muxer::new());
        muxer.set_opens(f64::INFINITY);
        let mut out: Vec<(TrackId, Vec<u8>)> = Vec::new();
        let mut take = |muxer: &mut Muxer, flush| {
            for info in muxer.tracks().to_vec() {
                if info.sample_entry.is_empty() {
                    continue;
                }
                let at = out.iter().position(|o| o.0 == info.id).unwrap_or_else(|| {
                    out.push((info.id, Vec::new()));
                    out.len() - 1
                });
                while let Some(fragment) = muxer.take_fragment(info.id, flush) {
                    if out[at].1.is_empty() {
                        out[at].1 = muxer.init_segment(info.id).unwrap();
                    }
                    assert_eq!(fragment.generation, 0, "{name}");
                    out[at].1.extend_from_slice(fragment.bytes());
                }
            }
        };
        for piece in Random(5).split(&data, 3000) {
            demuxer.push(piece, &mut muxer).unwrap();
            take(&mut muxer, false);
        }
        demuxer.finish(&mut muxer).unwrap();
        take(&mut muxer, true);
        // The first packet of Vorbis, which MP4 cannot carry, has no duration.
        let warnings = muxer.take_warnings();
        assert!(
            warnings.len() <= usize::from(name.contains("webm.webm") || name.contains("vorbis")),
            "{name}: {warnings:?}"
        );
        for (id, bytes) in out {
            through += 1;
            let (mut back, mut recorder) = (FragmentDemuxer::new(), Recorder::default());
            back.push(&bytes, &mut recorder).unwrap();
            back.finish(&mut recorder).unwrap();
            let presented =
                |r: &Recorder| r.samples(id).iter().map(|(s, c)| (s.pts, s.sync, *c)).collect::<Vec<_>>();
            assert_eq!(presented(&recorder), presented(&source), "{name} track {}", id.0);
            assert!(recorder.samples(id).iter().all(|(s, _)| (0..=s.pts).contains(&s.dts)));
            let info = tracks(&source).into_iter().find(|t| t.id == id).unwrap();
            assert_eq!(recorder.tracks().next().unwrap().codec, info.codec, "{name}");
            let file = folder.join(format!("{name}-{}.mp4", id.0));
            std::fs::write(&file, &bytes).unwrap();
            let args = ["-v", "error", "-i", file.to_str().unwrap(), "-f", "null", "-"];
            let Ok(decoded) = Command::new("ffmpeg").args(args).output() else { continue };
            assert!(
                decoded.status.success() && decoded.stderr.is_empty(),
                "{name} track {}: {}",
                id.0,
                String::from_utf8_lossy(&decoded.stderr)
            );
        }
    }
    assert!(through >= 17, "{through}");
}
