//! Fragmented MP4: samples against what ffprobe says of the same file, under every split and every kind of damage, and the
//! way through the muxer and back.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use millrace::container::mp4::{FragmentDemuxer, Layout, layout, progressive, sidx};
use millrace::container::{Demuxer, Metadata, Sample, Sink, TrackId, TrackInfo, TrackKind};
use millrace::error::{Code, PlayerError};
use millrace::remux::{Fragment, Muxer};

use crate::support::{Call, Random, Recorder, crc32, fixture_path, media};

/// Fixtures with fragments.
const FRAGMENTED: [&str; 17] = [
    "ac3",
    "av1-cmaf",
    "avc-aac-base-offset",
    "avc-aac-continued",
    "avc-aac-dash-sidx",
    "avc-aac-default-base",
    "avc-aac-equal-times",
    "avc-aac-interleaved-runs",
    "avc-aac-separate-moof",
    "avc-cmaf",
    "avc-every-frame",
    "eac3",
    "flac",
    "hevc-cmaf",
    "mp3",
    "opus",
    "vp9-cmaf",
];

/// Those whose samples of audio share decoding times, two by two.
const EQUAL_TIMES: &str = "avc-aac-equal-times";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path(&format!("mp4/{name}.mp4"))).unwrap()
}

/// Everything the demuxer says of these pieces; the error, if it ends with one.
pub fn demux<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Recorder, Option<PlayerError>) {
    let mut demuxer = FragmentDemuxer::new();
    let mut recorder = Recorder::default();
    for piece in pieces {
        if let Err(error) = demuxer.push(piece, &mut recorder) {
            demuxer.finish(&mut recorder).unwrap();
            assert_eq!(
                recorder.unfinished(),
                0,
                "finish takes back what was written of an unfinished sample"
            );
            return (recorder, Some(error));
        }
    }
    let end = demuxer.finish(&mut recorder);
    assert_eq!(recorder.unfinished(), 0, "finish takes back what was written of an unfinished sample");
    (recorder, end.err())
}

pub fn demux_whole(data: &[u8]) -> Recorder {
    let (recorder, error) = demux([data]);
    assert_eq!(error, None);
    recorder
}

pub fn track_line(t: &TrackInfo) -> String {
    format!(
        "track {} {} {} timescale {} {}x{} {} Hz {} ch lang {} edit {} entry {:08x}{}",
        t.id.0,
        t.kind.as_str(),
        t.codec,
        t.timescale.get(),
        t.width,
        t.height,
        t.sample_rate,
        t.channels,
        t.language.as_deref().unwrap_or("-"),
        t.edit_start,
        crc32(&t.sample_entry),
        if t.encrypted { " encrypted" } else { "" },
    )
}

fn sample_line(out: &mut String, id: u32, s: &Sample, crc: u32) {
    let duration = s.duration.map_or("-".into(), |d| d.to_string());
    let sync = if s.sync { "sync" } else { "-" };
    writeln!(out, "{id} dts {} pts {} duration {duration} size {} {sync} {crc:08x}", s.dts, s.pts, s.size)
        .unwrap();
}

/// Samples, track by track, in the form of [`ffprobe_samples`].
fn sample_lines(samples: impl IntoIterator<Item = (TrackId, Sample, u32)>) -> String {
    let mut samples: Vec<_> = samples.into_iter().collect();
    samples.sort_by_key(|(id, ..)| *id);
    let mut out = String::new();
    for (id, sample, crc) in &samples {
        sample_line(&mut out, id.0, sample, *crc);
    }
    out
}

pub fn recorded_lines(recorder: &Recorder) -> String {
    sample_lines(recorder.calls.iter().filter_map(|call| match call {
        Call::Sample(id, sample, crc) => Some((*id, *sample, *crc)),
        _ => None,
    }))
}

/// How far ffprobe shifts the presentation times of each track: by the most negative composition offset.
fn shifts(lines: &str) -> Vec<(u32, i64)> {
    let mut shifts: Vec<(u32, i64)> = Vec::new();
    for line in lines.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let number = |i: usize| fields[i].parse::<i64>().unwrap();
        let (id, offset) = (number(0) as u32, number(4) - number(2));
        match shifts.iter_mut().find(|(t, _)| *t == id) {
            Some((_, shift)) => *shift = (*shift).max(-offset),
            None => shifts.push((id, (-offset).max(0))),
        }
    }
    shifts
}

/// What ffprobe says of the packets of a file, track by track; `None` where there is no ffprobe.
///
/// It shifts all presentation times of a track with negative composition offsets so that none is before its decoding
/// time. `shifts`, from [`shifts`], takes that back.
fn ffprobe_samples(path: &Path, shifts: &[(u32, i64)]) -> Option<String> {
    let run = |args: &[&str]| {
        let output = Command::new("ffprobe")
            .args(["-v", "error", "-ignore_editlist", "1"])
            .args(args)
            .arg(path)
            .output();
        let output = output.ok()?;
        assert!(
            output.status.success(),
            "ffprobe reads {}: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).ok()
    };
    let field = |line: &str, name: &str| {
        let value = line.split('|').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim().to_owned()
    };
    let number = |line: &str, name: &str| field(line, name).parse::<i64>().ok();
    let streams = run(&["-show_entries", "stream=index,id,codec_type", "-of", "compact"])?;
    let streams: Vec<_> = streams
        .lines()
        .filter(|l| l.starts_with("stream|"))
        .map(|l| {
            (
                number(l, "index"),
                u32::from_str_radix(field(l, "id").trim_start_matches("0x"), 16).unwrap(),
                field(l, "codec_type"),
            )
        })
        .collect();
    let packets = run(&["-show_packets", "-show_data_hash", "crc32", "-of", "compact"])?;
    let mut samples: Vec<_> = packets
        .lines()
        .filter(|l| l.starts_with("packet|"))
        .map(|l| {
            let (_, id, _) = streams.iter().find(|(index, ..)| *index == number(l, "stream_index")).unwrap();
            let dts = number(l, "dts").unwrap();
            let shift = shifts.iter().find(|(t, _)| t == id).map_or(0, |(_, shift)| *shift);
            let sample = Sample {
                dts,
                pts: number(l, "pts").unwrap() - shift,
                duration: number(l, "duration").map(|d| d as u32),
                sync: field(l, "flags").starts_with('K'),
                size: number(l, "size").unwrap() as u32,
            };
            let crc = u32::from_str_radix(field(l, "data_hash").trim_start_matches("CRC32:"), 16).unwrap();
            (TrackId(*id), sample, crc)
        })
        .collect();
    // Of audio it tells the length of the frames, not what the file says; the distances are as good, if they are distances.
    for (_, id, _) in streams.iter().filter(|(.., kind)| kind == "audio") {
        let of_track: Vec<_> = samples.iter_mut().filter(|(t, ..)| t.0 == *id).collect();
        let times: Vec<_> = of_track.iter().map(|(_, s, _)| s.dts).collect();
        let distinct = times.is_sorted_by(|a, b| a < b);
        for (i, (_, sample, _)) in of_track.into_iter().enumerate() {
            sample.duration = times.get(i + 1).filter(|_| distinct).map(|next| (next - times[i]) as u32);
        }
    }
    Some(sample_lines(samples))
}

/// Where the truth has no duration (`-`), as ffprobe for some first packets, any will do.
fn assert_same_lines(truth: &str, ours: &str, what: &str) {
    for (i, (truth, ours)) in truth.lines().zip(ours.lines()).enumerate() {
        let same = truth.split(' ').count() == ours.split(' ').count()
            && truth
                .split(' ')
                .zip(ours.split(' '))
                .enumerate()
                .all(|(n, (t, o))| t == o || (n == 6 && t == "-"));
        assert!(same, "{what} line {}: {truth:?} was read as {ours:?}", i + 1);
    }
    assert_eq!(truth.lines().count(), ours.lines().count(), "{what}: number of lines");
}

fn check_golden(name: &str, tracks: &str, samples: &str) {
    check_golden_file(&format!("{name}.mp4"), tracks, samples);
}

/// Compares with the committed dump; writes it from ffprobe's answer where `MILLRACE_BLESS` is set.
pub fn check_golden_file(name: &str, tracks: &str, samples: &str) {
    let path = fixture_path(&format!("mp4/{name}")).with_extension("dump");
    let truth = ffprobe_samples(&fixture_path(&format!("mp4/{name}")), &shifts(samples));
    if std::env::var_os("MILLRACE_BLESS").is_some() {
        let truth = truth.as_deref().expect("blessing needs ffprobe");
        std::fs::write(&path, format!("{tracks}{truth}")).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_same_lines(&golden, &format!("{tracks}{samples}"), name);
    if let Some(truth) = truth {
        assert!(golden.ends_with(&truth), "{name}.dump is what this ffprobe says");
    }
}

#[test]
fn fragmented_files_give_the_samples_that_ffprobe_sees() {
    for name in FRAGMENTED {
        let recorder = demux_whole(&fixture(name));
        let tracks: String = recorder.tracks().map(|t| track_line(t) + "\n").collect();
        check_golden(name, &tracks, &recorded_lines(&recorder));
        assert!(!recorder.calls.iter().any(|c| matches!(c, Call::Warning(..))), "{name}: no warnings");
    }
}

/// The body of the `moov` box of a whole file.
fn moov_body(data: &[u8]) -> &[u8] {
    let at = data.windows(4).position(|w| w == b"moov").unwrap();
    let size = u32::from_be_bytes(data[at - 4..at].try_into().unwrap()) as usize;
    &data[at + 4..at - 4 + size]
}

fn progressive_lines(data: &[u8]) -> (String, String) {
    let mut recorder = Recorder::default();
    assert_eq!(progressive::demux(data, &mut recorder), Ok(true));
    let tracks = recorder.tracks().map(|t| track_line(t) + "\n").collect();
    (tracks, recorded_lines(&recorder))
}

#[test]
fn progressive_files_give_the_samples_that_ffprobe_sees() {
    let (tracks, samples) = progressive_lines(&fixture("avc-aac-progressive"));
    check_golden("avc-aac-progressive", &tracks, &samples);
}

#[test]
fn a_truncated_progressive_file_gives_what_it_has() {
    let data = fixture("avc-aac-progressive");
    let mut recorder = Recorder::default();
    let error = progressive::demux(&data[..data.len() / 2], &mut recorder).unwrap_err();
    assert_eq!(error.code, Code::Truncated);
    assert!((1..88).contains(&recorded_lines(&recorder).lines().count()));
    assert_eq!(progressive::demux(&fixture("avc-cmaf"), &mut recorder), Ok(false));
}

#[test]
fn a_file_whose_moov_has_only_the_first_samples_is_fragmented() {
    let data = fixture("avc-aac-continued");
    assert!(matches!(layout(0, &data), Ok(Layout::Fragmented)));
    assert_eq!(progressive::demux(&data, &mut Recorder::default()), Ok(false));
    // Of fragments that do not tell their time, the first goes on where the samples of the moov end.
    let mut untimed = data.clone();
    for at in (0..data.len()).filter(|&at| data[at..].starts_with(b"tfdt")) {
        untimed[at..at + 4].copy_from_slice(b"free");
    }
    assert_eq!(demux_whole(&untimed).calls, demux_whole(&data).calls);
    // A moov behind the samples was written when all of them were known, whatever it announces.
    let mut last = data.clone();
    for at in (0..data.len()).filter(|&at| data[at..].starts_with(b"stco")) {
        last[at + 12..at + 16].copy_from_slice(&8u32.to_be_bytes());
    }
    assert!(matches!(layout(0, &last), Ok(Layout::Progressive(_))));
}

#[test]
fn every_split_of_the_bytes_gives_the_same_calls() {
    for name in FRAGMENTED {
        let data = fixture(name);
        let whole = demux_whole(&data);
        let (bytes, error) = demux(data.chunks(1));
        assert_eq!((&bytes.calls, error), (&whole.calls, None), "{name}: byte by byte");
        let mut random = Random(0x5eed ^ data.len() as u64);
        for round in 0..20 {
            let most = [1, 3, 16, 100, 1500, 70_000][round % 6];
            let (split, error) = demux(random.split(&data, most));
            assert_eq!((&split.calls, error), (&whole.calls, None), "{name}: random split {round}");
        }
    }
}

#[test]
fn samples_come_with_their_last_byte() {
    let data = fixture("avc-aac-default-base");
    let mut demuxer = FragmentDemuxer::new();
    let mut recorder = Recorder::default();
    let mdat = data.windows(4).position(|w| w == b"mdat").unwrap() + 4;
    demuxer.push(&data[..mdat], &mut recorder).unwrap();
    assert!(recorder.samples(TrackId(1)).is_empty());
    let size = recorder_first_size(&data);
    demuxer.push(&data[mdat..mdat + size - 1], &mut recorder).unwrap();
    assert!(recorder.samples(TrackId(1)).is_empty());
    demuxer.push(&data[mdat + size - 1..mdat + size], &mut recorder).unwrap();
    assert_eq!(recorder.samples(TrackId(1)).len(), 1);
}

fn recorder_first_size(data: &[u8]) -> usize {
    demux_whole(data).samples(TrackId(1))[0].0.size as usize
}

#[test]
fn truncated_files_give_a_prefix_and_say_so() {
    for name in FRAGMENTED {
        let data = fixture(name);
        let whole = demux_whole(&data);
        let lines: Vec<_> = whole.calls.iter().filter(|c| !matches!(c, Call::Warning(..))).collect();
        let mut random = Random(0x7ac ^ data.len() as u64);
        for _ in 0..60 {
            let cut = random.below(data.len());
            let (part, error) = demux([&data[..cut]]);
            if let Some(error) = &error {
                assert_eq!(error.code, Code::Truncated, "{name} cut at {cut}");
                assert_eq!(error.position, Some(cut as u64));
            }
            let got: Vec<_> = part.calls.iter().filter(|c| !matches!(c, Call::Warning(..))).collect();
            assert_eq!(got, lines[..got.len()], "{name} cut at {cut}");
        }
    }
}

#[test]
fn damaged_bytes_never_panic_and_splits_agree_on_them() {
    let rounds = std::env::var("MILLRACE_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    for name in FRAGMENTED.into_iter().chain(["avc-aac-progressive"]) {
        let data = fixture(name);
        let mut random = Random(0xb17 ^ data.len() as u64);
        // Most of the damage goes where the boxes are.
        let moov_end = moov_body(&data).as_ptr() as usize - data.as_ptr() as usize + moov_body(&data).len();
        for round in 0..rounds {
            let mut broken = data.clone();
            for _ in 0..1 + random.below(4) {
                let range = if round % 3 == 0 { data.len() } else { moov_end + 400 };
                let at = random.below(range.min(data.len()));
                broken[at] ^= 1 << random.below(8);
            }
            let (whole, error) = demux([broken.as_slice()]);
            let (split, split_error) = demux(random.split(&broken, 300));
            assert_eq!(whole.calls, split.calls, "{name} round {round}");
            assert_eq!(error, split_error, "{name} round {round}");
            let _ = progressive::demux(&broken, &mut Recorder::default());
            let _ = sidx::read(&broken, 0);
            let _ = sidx::scan(&broken);
            let mut muxer = Muxer::new();
            let mut demuxer = FragmentDemuxer::new();
            let _ = demuxer.push(&broken, &mut muxer);
            let _ = demuxer.finish(&mut muxer);
            for id in muxer.tracks().iter().map(|t| t.id).collect::<Vec<_>>() {
                while muxer.take_fragment(id, true).is_some() {}
            }
        }
    }
}

/// A track as it went through the muxer.
type Remuxed = (TrackInfo, Vec<u8>, Vec<Fragment>);

/// Demuxes pieces through the muxer, taking fragments after each; gives per track the init segment and fragments.
fn remux(pieces: &[&[u8]]) -> Vec<Remuxed> {
    let (tracks, warnings) = remux_with_warnings(pieces);
    assert_eq!(warnings, 0);
    tracks
}

fn remux_with_warnings(pieces: &[&[u8]]) -> (Vec<Remuxed>, usize) {
    let mut demuxer = FragmentDemuxer::new();
    let mut muxer = Muxer::new();
    let mut fragments: Vec<(TrackId, Fragment)> = Vec::new();
    let take = |muxer: &mut Muxer, flush, fragments: &mut Vec<_>| {
        for id in muxer.tracks().iter().map(|t| t.id).collect::<Vec<_>>() {
            while let Some(fragment) = muxer.take_fragment(id, flush) {
                fragments.push((id, fragment));
            }
        }
    };
    for piece in pieces {
        demuxer.push(piece, &mut muxer).unwrap();
        take(&mut muxer, false, &mut fragments);
    }
    demuxer.finish(&mut muxer).unwrap();
    take(&mut muxer, true, &mut fragments);
    assert!(muxer.is_complete());
    let of = |id| fragments.iter().filter(move |(t, _)| *t == id).map(|(_, f)| f.clone()).collect();
    let tracks =
        muxer.tracks().iter().map(|t| (t.clone(), muxer.init_segment(t.id).unwrap(), of(t.id))).collect();
    (tracks, muxer.take_warnings().len())
}

fn concat(init: &[u8], fragments: &[Fragment]) -> Vec<u8> {
    fragments.iter().fold(init.to_vec(), |mut out, f| {
        out.extend_from_slice(f.bytes());
        out
    })
}

/// Durations aside, which a fragment's end may round: the times must hold.
fn times(samples: &[(Sample, u32)]) -> Vec<(i64, i64, bool, u32, u32)> {
    samples.iter().map(|(s, crc)| (s.dts, s.pts, s.sync, s.size, *crc)).collect()
}

#[test]
fn remuxed_fragments_hold_the_same_samples_whatever_the_split() {
    for name in FRAGMENTED.into_iter().filter(|name| *name != EQUAL_TIMES) {
        let data = fixture(name);
        let source = demux_whole(&data);
        let mut random = Random(0x2e ^ data.len() as u64);
        for pieces in [vec![data.as_slice()], random.split(&data, 900), random.split(&data, 9000)] {
            for (info, init, fragments) in remux(&pieces) {
                let out = concat(&init, &fragments);
                let back = demux_whole(&out);
                assert_eq!(
                    times(&back.samples(info.id)),
                    times(&source.samples(info.id)),
                    "{name} track {}",
                    info.id.0
                );
                let track = back.tracks().next().unwrap();
                assert_eq!((track.edit_start, track.sample_entry == info.sample_entry), (0, true));
                assert_eq!((&track.codec, track.timescale), (&info.codec, info.timescale));
                let samples = source.samples(info.id);
                assert_eq!(fragments.iter().map(|f| f.samples as usize).sum::<usize>(), samples.len());
                let first = fragments.iter().map(|f| f.first_pts).min();
                assert_eq!(first, samples.iter().map(|(s, _)| s.pts).min());
                assert!(fragments.iter().all(|f| f.generation == 0 && f.end > f.first_pts));
            }
        }
    }
}

#[test]
fn equal_decoding_times_are_drawn_apart_and_presentation_times_stay() {
    let data = fixture(EQUAL_TIMES);
    let source = demux_whole(&data);
    let (tracks, warnings) = remux_with_warnings(&Random(5).split(&data, 900));
    assert!(warnings > 0);
    for (info, init, fragments) in tracks {
        let back = demux_whole(&concat(&init, &fragments)).samples(info.id);
        assert!(back.is_sorted_by(|(a, _), (b, _)| a.dts < b.dts));
        let without_dts = |samples: &[(Sample, u32)]| {
            samples.iter().map(|(s, crc)| (s.pts, s.size, *crc)).collect::<Vec<_>>()
        };
        assert_eq!(without_dts(&back), without_dts(&source.samples(info.id)));
    }
}

#[test]
fn remuxed_files_read_the_same_in_ffprobe_and_the_mp4_crate() {
    let dir = std::env::temp_dir().join(format!("millrace-remux-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for name in FRAGMENTED.into_iter().filter(|name| *name != EQUAL_TIMES) {
        let data = fixture(name);
        let source = demux_whole(&data);
        for (info, init, fragments) in remux(&Random(7).split(&data, 4000)) {
            for fragment in &fragments {
                let mut cursor = std::io::Cursor::new(fragment.bytes());
                let header = mp4::BoxHeader::read(&mut cursor).unwrap();
                let moof = <mp4::MoofBox as mp4::ReadBox<_>>::read_box(&mut cursor, header.size).unwrap();
                let traf = &moof.trafs[0];
                assert_eq!(traf.tfhd.track_id, info.id.0);
                assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, fragment.first_dts as u64);
                assert_eq!(traf.trun.as_ref().unwrap().sample_count, fragment.samples);
            }
            let path: PathBuf = dir.join(format!("{name}-{}.mp4", info.id.0));
            std::fs::write(&path, concat(&init, &fragments)).unwrap();
            let id = info.id;
            let ours = sample_lines(source.samples(id).into_iter().map(|(s, crc)| (id, s, crc)));
            if let Some(read) = ffprobe_samples(&path, &shifts(&ours)) {
                let without_duration = |lines: &str| -> Vec<Vec<String>> {
                    let fields = |l: &str| {
                        let fields: Vec<_> = l.split(' ').map(str::to_owned).collect();
                        [&fields[..5], &fields[7..]].concat()
                    };
                    lines.lines().map(fields).collect()
                };
                assert_eq!(without_duration(&read), without_duration(&ours), "{name} track {}", id.0);
            }
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_index_of_a_file_names_its_fragments() {
    let data = fixture("avc-aac-dash-sidx");
    let layout = sidx::scan(&data);
    let (start, end) = layout.sidx.unwrap();
    assert!(layout.init_end.is_some_and(|init| init <= start));
    let index = sidx::read(&data[start as usize..end as usize], start).unwrap();
    for entry in index.media() {
        let at = entry.offset as usize;
        assert_eq!(&data[at + 4..at + 8], b"moof");
        assert!(entry.starts_with_sap && entry.size > 0);
    }
    assert!(index.media().count() >= 2);
}

#[test]
fn each_segment_by_itself_continues_after_the_init_segment() {
    let data = fixture("avc-aac-base-offset");
    let whole = demux_whole(&data);
    let starts: Vec<_> = (4..data.len() - 4).filter(|&i| &data[i..i + 4] == b"moof").map(|i| i - 4).collect();
    let mfra = (4..data.len() - 4).find(|&i| &data[i..i + 4] == b"mfra").map_or(data.len(), |i| i - 4);
    let mut demuxer = FragmentDemuxer::new();
    let mut recorder = Recorder::default();
    demuxer.push(&data[..starts[0]], &mut recorder).unwrap();
    demuxer.finish(&mut recorder).unwrap();
    // Absolute offsets in the file do not fit the pieces: the demuxer finds the data all the same.
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(mfra);
        demuxer.push(&data[start..end], &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
    }
    for id in [TrackId(1), TrackId(2)] {
        assert_eq!(recorder.samples(id), whole.samples(id));
    }
    // Out of order after a seek, the init segment not sent again.
    demuxer.reset();
    let mut again = Recorder::default();
    for info in recorder.tracks() {
        again.track(info.clone());
    }
    demuxer.push(&data[starts[1]..starts.get(2).copied().unwrap_or(mfra)], &mut again).unwrap();
    demuxer.finish(&mut again).unwrap();
    assert!(!again.samples(TrackId(1)).is_empty());
}

#[test]
fn errors_name_what_is_wrong_and_where() {
    let data = fixture("avc-cmaf");
    let moof = data.windows(4).position(|w| w == b"moof").unwrap() - 4;
    let mdat = data.windows(4).position(|w| w == b"mdat").unwrap() - 4;
    let error_of = |pieces: &[&[u8]]| demux(pieces.iter().copied()).1.unwrap();
    let no_init = error_of(&[&data[moof..]]);
    assert_eq!((no_init.code, no_init.position), (Code::MediaMalformed, Some(0)));
    let no_header = error_of(&[&data[mdat..]]);
    assert_eq!((no_header.code, no_header.position), (Code::MediaMalformed, Some(8)));
    // Data offsets far after and before the mdat.
    let mut far = data.clone();
    let trun = data.windows(4).position(|w| w == b"trun").unwrap();
    far[trun + 12..trun + 16].copy_from_slice(&0x7fff_0000u32.to_be_bytes());
    assert_eq!(error_of(&[&far]).message, "a sample lies outside of the media data");
    let mut near = data.clone();
    near[trun + 12..trun + 16].copy_from_slice(&4u32.to_be_bytes());
    assert_eq!(error_of(&[&near]).message, "a sample lies outside of the media data");
    assert_eq!(error_of(&[b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"]).code, Code::MediaMalformed);
    assert_eq!(error_of(&[b"\0\0\0\x04moov"]).code, Code::MediaMalformed);
}

/// Microseconds, whether a sync sample, bytes.
type DumpedSample = (i64, bool, u32);

/// The samples that an extractor dump lists, by track id.
fn extractor_dump(text: &str) -> Vec<(u32, Vec<DumpedSample>)> {
    let mut tracks: Vec<(u32, Vec<DumpedSample>)> = Vec::new();
    let mut time = 0;
    let mut sync = false;
    let mut in_sample = false;
    for line in text.lines() {
        let line = line.trim();
        let value = |name: &str| line.strip_prefix(name).map(str::trim);
        if let Some(id) = value("track ").and_then(|v| v.trim_end_matches(':').parse().ok()) {
            tracks.push((id, Vec::new()));
            in_sample = false;
        } else if line.starts_with("sample ") && line.ends_with(':') {
            in_sample = true;
        } else if let Some(v) = value("time =") {
            time = v.parse().unwrap();
        } else if let Some(v) = value("flags =") {
            sync = v.parse::<u32>().unwrap() & 1 == 1;
        } else if let Some(v) = value("data = length ").filter(|_| in_sample) {
            let length = v.split(',').next().unwrap().parse().unwrap();
            if let Some((_, samples)) = tracks.last_mut() {
                samples.push((time, sync, length));
            }
        }
    }
    tracks
}

#[test]
fn real_media_give_the_samples_that_ffprobe_and_the_dumps_list() {
    let Some(media) = media() else { return };
    let mut read = 0;
    for name in [
        "mp4/sample_fragmented_seekable.mp4",
        "cenc/prog_8s_dec_dashinit.mp4",
        "cenc/prog_8s_enc_dashinit.mp4",
    ] {
        let path = media.join(name);
        let Ok(data) = std::fs::read(&path) else { continue };
        let recorder = demux_whole(&data);
        // ffprobe prints no hashes of encrypted samples.
        let encrypted = name.contains("_enc_");
        if let Some(truth) =
            (!encrypted).then(|| ffprobe_samples(&path, &shifts(&recorded_lines(&recorder)))).flatten()
        {
            assert_same_lines(&truth, &recorded_lines(&recorder), name);
        }
        assert_eq!(recorder.tracks().any(|t| t.encrypted), encrypted, "{name}");
        read += 1;
        let dump =
            path.with_file_name(format!("{}.extractor.0.dump", path.file_name().unwrap().to_str().unwrap()));
        let Ok(dump) = std::fs::read_to_string(dump) else { continue };
        for (id, expected) in extractor_dump(&dump) {
            let info = recorder.tracks().nth(id as usize).unwrap();
            let scale = i64::from(info.timescale.get());
            let samples = recorder.samples(info.id);
            assert_eq!(samples.len(), expected.len(), "{name} track {id}");
            for ((sample, _), (time, sync, length)) in samples.iter().zip(expected) {
                let micros = (sample.pts - info.edit_start) * 1_000_000 / scale;
                assert!((micros - time).abs() <= 1, "{name} track {id}: {micros} is {time}");
                assert_eq!((sample.sync, sample.size), (sync, length), "{name} track {id} at {time}");
            }
        }
    }
    for dir in ["cmaf/multi-segment", "real/train_ad/V1", "real/train_ad/A", "real/gotland_runt_ad/V1"] {
        let Ok(entries) = std::fs::read_dir(media.join(dir)) else { continue };
        let mut files: Vec<_> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        files.sort();
        let is_init = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().contains("init"));
        for init in files.iter().filter(|p| is_init(p)) {
            let stem =
                init.file_name().unwrap().to_string_lossy().replace("_init.mp4", "").replace("init.mp4", "");
            let segments = files.iter().filter(|p| {
                !is_init(p)
                    && p.extension().is_some_and(|e| e == "m4s")
                    && p.file_name().unwrap().to_string_lossy().starts_with(&stem)
            });
            for segment in segments {
                let data = [std::fs::read(init).unwrap(), std::fs::read(segment).unwrap()].concat();
                let recorder = demux_whole(&data);
                let kind = recorder.tracks().next().unwrap().kind;
                assert!(matches!(kind, TrackKind::Video | TrackKind::Audio));
                assert!(!recorded_lines(&recorder).is_empty(), "{}", segment.display());
                remux(&Random(3).split(&data, 20_000));
                read += 1;
            }
        }
    }
    for name in [
        "real/bbb_prog_10s.mp4",
        "mp4/bbb_800x640_avc_pyramid_3b.mp4",
        "real/train_ad_10s.mp4",
        "captions/stpp_prog.mp4",
    ] {
        let path = media.join(name);
        let Ok(data) = std::fs::read(&path) else { continue };
        let (_, samples) = progressive_lines(&data);
        if let Some(truth) = ffprobe_samples(&path, &shifts(&samples)) {
            assert_same_lines(&truth, &samples, name);
        }
        read += 1;
    }
    assert!(read > 0, "the media folder is there but none of its files");
}

#[test]
fn what_lies_before_the_keyframe_of_a_time_can_be_left_out() {
    let source = demux_whole(&fixture("avc-cmaf"));
    let mut info = source.tracks().next().unwrap().clone();
    info.edit_start = 512;
    // Eight pictures of 1,000 bytes, keyframes at 0 and 4, one second each.
    let (id, second) = (info.id, i64::from(info.timescale.get()));
    let mut muxer = Muxer::new();
    muxer.track(info);
    muxer.tracks_complete();
    for i in 0..8u8 {
        muxer.buffer(id).extend([i; 1000]);
        let time = 512 + i64::from(i) * second;
        let sample =
            Sample { dts: time, pts: time, duration: Some(second as u32), sync: i % 4 == 0, size: 1000 };
        muxer.sample(id, sample);
    }
    let fragment = muxer.take_fragment(id, true).unwrap();
    let init = muxer.init_segment(id).unwrap();
    let data = fragment.bytes();
    let media = data.len() - 8000;
    // The init segment of the muxer has no edit list: the time of the target is the media's own.
    let after = |target: f64, least: u64, first: usize| {
        let (mut demuxer, mut recorder) = (FragmentDemuxer::new(), Recorder::default());
        demuxer.push(&init, &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
        demuxer.push(&data[..first], &mut recorder).unwrap();
        let at = demuxer.skip_to_sync(target, least, &mut recorder);
        demuxer.push(&data[at.map_or(first, |a| a as usize)..], &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
        let crcs: Vec<u32> = recorder.samples(id).iter().map(|s| s.1).collect();
        let known: Vec<u32> = (0..8u8).map(|i| crc32(&[i; 1000])).collect();
        let order: Vec<usize> = crcs.iter().map(|c| known.iter().position(|k| k == c).unwrap()).collect();
        (at, order)
    };
    let keyframe = Some(media as u64 + 4000);
    assert_eq!(
        after(5.5, 1, media + 1500),
        (keyframe, vec![0, 4, 5, 6, 7]),
        "half of the second picture had come"
    );
    assert_eq!(after(5.5, 1, media), (keyframe, vec![4, 5, 6, 7]));
    assert_eq!(after(3.5, 1, media + 1500).0, None, "its keyframe is past");
    assert_eq!(after(5.5, 3000, media + 1500), (None, (0..8).collect()), "too little to gain");
    assert_eq!(after(5.5, 1, media - 9).0, None, "the data has not begun");
}

#[test]
fn event_messages_are_metadata_at_any_split_and_those_that_lie_are_passed_over() {
    let file = fixture("avc-cmaf");
    let plain = demux_whole(&file);
    let moof = file.windows(4).position(|w| w == b"moof").unwrap() - 4;
    let (_, first) = plain.samples(TrackId(1)).iter().map(|(s, _)| (s.dts, s.pts)).min().unwrap();
    let scale = i64::from(plain.tracks().next().unwrap().timescale.get());
    let boxed = |body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes(), b"emsg", body].concat();
    let relative = boxed(b"\0\0\0\0urn:x\x001\0\0\0\x03\xe8\0\0\x01\xf4\0\0\x07\xd0\0\0\0\x07data");
    let absolute =
        boxed(b"\x01\0\0\0\0\0\x03\xe8\0\0\0\0\0\0\x13\x88\xff\xff\xff\xff\0\0\0\x08urn:x\x001\0more");
    let lying = boxed(b"\0\0\0\0urn:x");
    let huge = boxed(&vec![0; 300 << 10]);
    let mut data = file[..moof].to_vec();
    data.extend([&relative[..], &lying, &huge, &absolute, &file[moof..], &relative].concat());
    let whole = demux_whole(&data);
    let told: Vec<_> = whole
        .calls
        .iter()
        .filter_map(|c| match c {
            Call::Metadata(track, at, Metadata::Event(e)) => Some((track.map(|t| t.0), at.unwrap(), e.id)),
            _ => None,
        })
        .collect();
    // Half a second into the segment, also where the box comes late; and five seconds of the presentation.
    let half = (Some(1), first + scale / 2, 7);
    assert_eq!(told, [(None, 450_000, 8), half, half]);
    let warnings = whole.calls.iter().filter(|c| matches!(c, Call::Warning(..))).count();
    assert_eq!(warnings, 2);
    let mut others = whole.calls.clone();
    others.retain(|c| !matches!(c, Call::Metadata(..) | Call::Warning(..)));
    assert_eq!(others, plain.calls);
    let mut random = Random(5);
    for most in [1, 7, 300, 5000] {
        assert_eq!(demux(random.split(&data, most)).0.calls, whole.calls, "pieces up to {most}");
    }
}
