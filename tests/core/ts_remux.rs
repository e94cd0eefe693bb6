//! MPEG-TS to fragmented MP4, read back by ffprobe and held against ffmpeg's own reading of the same file. Left out where
//! ffmpeg is not installed; `npm test` installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ts::{Recorder, all_files, media};
use millrace::container::ts::TsDemuxer;
use millrace::container::{Demuxer, TrackKind};
use millrace::remux::Muxer;

/// A packet as ffprobe prints it.
#[derive(Clone, Debug, PartialEq)]
struct Packet {
    pts: i64,
    dts: i64,
    size: usize,
    sync: bool,
    md5: String,
}

fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).ok()
}

fn probe(file: &Path, stream: &str) -> Option<Vec<Packet>> {
    let entries = "packet=pts,dts,size,flags,data_hash";
    let args = ["-v", "error", "-select_streams", stream, "-show_packets", "-show_data_hash", "md5"];
    let file = file.to_str().unwrap();
    let text =
        run("ffprobe", &[&args[..], &["-show_entries", entries, "-of", "compact=p=0", file]].concat())?;
    let packets = text.lines().filter(|l| l.contains("size=")).map(|line| {
        let field = |name: &str| {
            line.split('|').find_map(|f| f.strip_prefix(name)?.strip_prefix('=')).unwrap_or("").to_owned()
        };
        Packet {
            pts: field("pts").parse().unwrap(),
            dts: field("dts").parse().unwrap(),
            size: field("size").parse().unwrap(),
            sync: field("flags").contains('K'),
            md5: field("data_hash"),
        }
    });
    Some(packets.collect())
}

/// The file as fragmented MP4, one file per track, and what of each track.
fn remux(data: &[u8], name: &str) -> Vec<(TrackKind, String, PathBuf)> {
    let mut demuxer = TsDemuxer::new();
    let mut muxer = Muxer::new();
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut take = |muxer: &mut Muxer, flush| {
        let ids: Vec<_> = muxer.tracks().iter().map(|t| t.id).collect();
        out.resize(ids.len(), Vec::new());
        for (id, out) in ids.into_iter().zip(&mut out) {
            while let Some(fragment) = muxer.take_fragment(id, flush) {
                if out.is_empty() {
                    *out = muxer.init_segment(id).unwrap();
                }
                out.extend_from_slice(fragment.bytes());
            }
        }
    };
    for chunk in data.chunks(3000) {
        demuxer.push(chunk, &mut muxer).unwrap();
        take(&mut muxer, false);
    }
    demuxer.finish(&mut muxer).unwrap();
    take(&mut muxer, true);
    let files = muxer.tracks().iter().zip(out).map(|(track, bytes)| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.mp4", track.kind.as_str()));
        std::fs::write(&file, bytes).unwrap();
        (track.kind, track.codec.clone(), file)
    });
    files.collect()
}

#[test]
fn fragments_hold_the_packets_that_ffmpeg_reads_from_the_stream() {
    if Command::new("ffprobe").arg("-version").output().is_err() {
        return;
    }
    let mut tracks = 0;
    for (path, data) in all_files() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for (kind, codec, ours) in remux(&data, &name) {
            // Frames out of LATM are compared with those in ADTS elsewhere.
            if name == "latm" {
                continue;
            }
            tracks += 1;
            let video = kind == TrackKind::Video;
            let stream = if video { "v:0" } else { "a:0" };
            // ffmpeg's MP4 muxer keeps parameter sets and delimiters in the samples; ours takes them out.
            let filter = match codec.split('.').next().unwrap() {
                "avc1" => "filter_units=remove_types=7-9|12",
                "hvc1" => "filter_units=remove_types=32-35|38",
                "mp4a" => "aac_adtstoasc",
                _ => "null",
            };
            let theirs = ours.with_extension("ffmpeg.mp4");
            let (input, output) = (path.to_str().unwrap(), theirs.to_str().unwrap());
            let map = format!("0:{stream}");
            run(
                "ffmpeg",
                &[
                    "-v", "quiet", "-y", "-i", input, "-map", &map, "-c", "copy", "-bsf", filter, "-f",
                    "mp4", output,
                ],
            );
            let ours = probe(&ours, stream).unwrap();
            let theirs = probe(&theirs, stream).unwrap();
            let source = probe(&path, stream).unwrap();
            let payload = |packets: &[Packet]| -> Vec<_> {
                packets.iter().map(|p| (p.size, p.sync, p.md5.clone())).collect()
            };
            assert_eq!(payload(&ours), payload(&theirs), "{name} {stream}");
            assert_eq!(ours.len(), source.len(), "{name} {stream}");
            if video {
                for (ours, source) in ours.iter().zip(&source) {
                    let apart = |a: i64, b: i64| (a - b).rem_euclid(1 << 33);
                    let differ = (apart(ours.pts, source.pts), apart(ours.dts, source.dts));
                    assert_eq!(differ, (0, 0), "{name}: {ours:?} for {source:?}");
                }
            }
        }
    }
    assert!(tracks >= 28, "{tracks}");
}

#[test]
fn real_clips_give_as_many_samples_as_ffprobe_counts() {
    let expected: [(&str, &[usize]); 6] = [
        ("test-middle-pat-pmt", &[15, 28]),
        ("sintel-captions", &[240, 212]),
        ("audioMaxOffset", &[6]),
        ("videoMaxOffset", &[2]),
        ("videoDiffPtsDts", &[40]),
        ("sample_h264_no_access_unit_delimiters", &[3]),
    ];
    for (path, data) in media("ts") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let Some((_, counts)) = expected.iter().find(|(n, _)| *n == name) else { continue };
        let mut recorder = Recorder::default();
        let mut demuxer = TsDemuxer::new();
        demuxer.push(&data, &mut recorder).unwrap();
        demuxer.finish(&mut recorder).unwrap();
        let mut got: Vec<_> = recorder.buffers.iter().map(|(id, _)| (id.0, recorder.samples(*id))).collect();
        got.sort_unstable();
        assert_eq!(got.iter().map(|(_, n)| *n).collect::<Vec<_>>(), *counts, "{name}");
    }
}
