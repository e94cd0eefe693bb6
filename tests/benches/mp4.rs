//! Throughput of fragmented MP4, MP4 with sample tables and Matroska, native: demuxer alone, and with the muxer that cuts it anew. Prints
//! MB/s (10^6 bytes).
//!
//! `cargo bench --bench mp4 [-- FILE.mp4]`; without a file 50 MB are made with ffmpeg, once. The others are copies of its tracks.

use std::path::PathBuf;
use std::process::Command;

use millrace::container::mp4::FragmentDemuxer;
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo};
use millrace::remux::Muxer;

/// Pieces as a network reader gives them.
const CHUNK: usize = 64 << 10;
const ROUNDS: usize = 15;

/// Keeps each track's buffer and forgets what is in it.
#[derive(Default)]
struct Forgetful {
    buffers: Vec<(TrackId, Vec<u8>)>,
    samples: usize,
}

impl Sink for Forgetful {
    fn track(&mut self, info: TrackInfo) {
        self.buffers.push((info.id, Vec::new()));
    }

    fn tracks_complete(&mut self) {}

    fn buffer(&mut self, track: TrackId) -> &mut Vec<u8> {
        let at = self.buffers.iter().position(|(id, _)| *id == track).expect("tracks are announced first");
        &mut self.buffers[at].1
    }

    fn sample(&mut self, track: TrackId, _: Sample) {
        self.samples += 1;
        self.buffer(track).clear();
    }

    fn warning(&mut self, offset: u64, what: &'static str) {
        eprintln!("warning at {offset}: {what}");
    }
}

fn input() -> (PathBuf, Vec<u8>) {
    let path = std::env::args().skip(1).find(|a| a.ends_with(".mp4")).map_or_else(
        || {
            let dir = std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")), PathBuf::from);
            dir.join("bench-50mb.mp4")
        },
        PathBuf::from,
    );
    if !path.exists() {
        eprintln!("making {} with ffmpeg …", path.display());
        let options = "-v error -y -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=sample_rate=48000 \
                       -t 50 -vf noise=alls=20:allf=t -pix_fmt yuv420p -c:v libx264 -preset ultrafast -bf 2 -g 120 \
                       -b:v 8M -minrate 8M -maxrate 8M -bufsize 8M -c:a aac -b:a 128k -ac 2 \
                       -movflags frag_keyframe+empty_moov+default_base_moof";
        let status = Command::new("ffmpeg").args(options.split_whitespace()).arg(&path).status();
        assert!(status.is_ok_and(|s| s.success()), "ffmpeg is needed to make the input");
    }
    let data = std::fs::read(&path).expect("the input can be read");
    (path, data)
}

/// Best and median of some rounds, in MB/s.
fn measure(name: &str, bytes: usize, mut round: impl FnMut()) {
    round();
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            #[expect(clippy::disallowed_methods, reason = "a benchmark measures time; no part of the core")]
            let start = std::time::Instant::now();
            round();
            bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "{name:<40} median {:>6.0} MB/s   min {:>6.0}   max {:>6.0}",
        rates[ROUNDS / 2],
        rates[0],
        rates[ROUNDS - 1]
    );
}

fn main() {
    let (path, data) = input();
    println!("{}: {:.1} MB", path.display(), data.len() as f64 / 1e6);
    let mut copy = vec![0u8; CHUNK];
    measure("memcpy of each chunk (the roof)", data.len(), || {
        for chunk in data.chunks(CHUNK) {
            copy[..chunk.len()].copy_from_slice(chunk);
            std::hint::black_box(&mut copy);
        }
    });
    measure("fMP4 demuxer", data.len(), || {
        let mut demuxer = FragmentDemuxer::new();
        let mut sink = Forgetful::default();
        for chunk in data.chunks(CHUNK) {
            demuxer.push(chunk, &mut sink).expect("the input is sound");
        }
        demuxer.finish(&mut sink).expect("the input is whole");
        std::hint::black_box(sink.samples);
    });
    #[cfg(all(feature = "progressive", feature = "webm"))]
    for (what, copy, options) in [
        ("MP4 with tables", "tables.mp4", ["-movflags", "faststart"]),
        ("Matroska", "mkv", ["-f", "matroska"]),
    ] {
        let copied = path.with_extension(copy);
        if !copied.exists() {
            let input = path.to_str().expect("a path in UTF-8");
            let command = ["-v", "error", "-y", "-i", input, "-c", "copy"];
            let status = Command::new("ffmpeg").args(command).args(options).arg(&copied).status();
            assert!(status.is_ok_and(|s| s.success()), "ffmpeg is needed to make the input");
        }
        let data = std::fs::read(&copied).expect("the input can be read");
        let open = || millrace::container::open(millrace::container::sniff(&data).expect("a known format"));
        measure(&[what, ", demuxer"].concat(), data.len(), || {
            let mut demuxer = open().expect("it is in this build");
            let mut sink = Forgetful::default();
            for chunk in data.chunks(CHUNK) {
                demuxer.push(chunk, &mut sink).expect("the input is sound");
            }
            demuxer.finish(&mut sink).expect("the input is whole");
            std::hint::black_box(sink.samples);
        });
        measure(&[what, ", demuxer and muxer"].concat(), data.len(), || {
            let mut demuxer = open().expect("it is in this build");
            let mut muxer = Muxer::new();
            let mut written = 0;
            for chunk in data.chunks(CHUNK) {
                demuxer.push(chunk, &mut muxer).expect("the input is sound");
                written += take(&mut muxer, false);
            }
            demuxer.finish(&mut muxer).expect("the input is whole");
            written += take(&mut muxer, true);
            std::hint::black_box(written);
        });
    }
    for (name, every) in
        [("demuxer and muxer, a take per 64 kB", 1), ("demuxer and muxer, a take per MB", 16)]
    {
        measure(name, data.len(), || {
            let mut demuxer = FragmentDemuxer::new();
            let mut muxer = Muxer::new();
            let mut written = 0;
            for (i, chunk) in data.chunks(CHUNK).enumerate() {
                demuxer.push(chunk, &mut muxer).expect("the input is sound");
                if i % every == 0 {
                    written += take(&mut muxer, false);
                }
            }
            demuxer.finish(&mut muxer).expect("the input is whole");
            written += take(&mut muxer, true);
            std::hint::black_box(written);
        });
    }
}

fn take(muxer: &mut Muxer, flush: bool) -> usize {
    let tracks: Vec<TrackId> = muxer.tracks().iter().map(|t| t.id).collect();
    let mut bytes = 0;
    for track in tracks {
        while let Some(fragment) = muxer.take_fragment(track, flush) {
            bytes += fragment.bytes().len();
        }
    }
    bytes
}
