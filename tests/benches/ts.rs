//! MPEG-TS throughput, native: demuxer alone, and with the muxer to fragmented MP4. Prints MB/s (10^6 bytes).
//!
//! `cargo bench --bench ts [-- FILE.ts]`; without a file 50 MB are made with ffmpeg, once.

use std::path::PathBuf;
use std::process::Command;

use millrace::container::ts::TsDemuxer;
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo};
use millrace::remux::Muxer;

/// Pieces as a network reader gives them.
const CHUNK: usize = 64 << 10;
/// One segment, after which the demuxer is told to finish.
const SEGMENT: usize = 4 << 20;
const ROUNDS: usize = 15;

/// Keeps each track's buffer and forgets what is in it.
#[derive(Default)]
struct Forgetful {
    buffers: Vec<(TrackId, Vec<u8>)>,
    samples: usize,
    bytes: usize,
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

    fn sample(&mut self, track: TrackId, sample: Sample) {
        self.samples += 1;
        self.bytes += sample.size as usize;
        self.buffer(track).clear();
    }

    fn warning(&mut self, offset: u64, what: &'static str) {
        eprintln!("warning at {offset}: {what}");
    }
}

fn input() -> (PathBuf, Vec<u8>) {
    let path = std::env::args().skip(1).find(|a| a.ends_with(".ts")).map_or_else(
        || {
            let dir = std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")), PathBuf::from);
            dir.join("bench-50mb.ts")
        },
        PathBuf::from,
    );
    if !path.exists() {
        eprintln!("making {} with ffmpeg …", path.display());
        let status = Command::new("ffmpeg")
            .args(
                "-v error -y -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=sample_rate=48000"
                    .split(' '),
            )
            .args(
                "-t 50 -vf noise=alls=20:allf=t -pix_fmt yuv420p -c:v libx264 -preset ultrafast -bf 2 -g 60"
                    .split(' '),
            )
            .args("-b:v 8M -minrate 8M -maxrate 8M -bufsize 8M -c:a aac -b:a 128k -ac 2 -f mpegts".split(' '))
            .arg(&path)
            .status();
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
        "{name:<34} median {:>6.0} MB/s   min {:>6.0}   max {:>6.0}",
        rates[ROUNDS / 2],
        rates[0],
        rates[ROUNDS - 1]
    );
}

fn demux(data: &[u8], sink: &mut dyn Sink, mut after_chunk: impl FnMut(&mut dyn Sink)) {
    let mut demuxer = TsDemuxer::new();
    for segment in data.chunks(SEGMENT / 188 * 188) {
        for chunk in segment.chunks(CHUNK) {
            demuxer.push(chunk, sink).expect("the input is sound");
            after_chunk(sink);
        }
        demuxer.finish(sink).expect("the input has a PMT");
    }
}

fn main() {
    let (path, data) = input();
    println!("{}: {:.1} MB", path.display(), data.len() as f64 / 1e6);

    let mut sink = Forgetful::default();
    demux(&data, &mut sink, |_| {});
    println!("{} samples, {:.1} MB of payload", sink.samples, sink.bytes as f64 / 1e6);

    let mut copy = vec![0u8; CHUNK];
    measure("memcpy of each chunk (the roof)", data.len(), || {
        for chunk in data.chunks(CHUNK) {
            copy[..chunk.len()].copy_from_slice(chunk);
            std::hint::black_box(&mut copy);
        }
    });
    measure("TS demuxer", data.len(), || {
        let mut sink = Forgetful::default();
        demux(&data, &mut sink, |_| {});
        std::hint::black_box(sink.bytes);
    });
    measure("TS demuxer and fMP4 muxer", data.len(), || {
        let mut demuxer = TsDemuxer::new();
        let mut muxer = Muxer::new();
        let mut written = 0;
        for segment in data.chunks(SEGMENT / 188 * 188) {
            for chunk in segment.chunks(CHUNK) {
                demuxer.push(chunk, &mut muxer).expect("the input is sound");
                written += take(&mut muxer, false);
            }
            demuxer.finish(&mut muxer).expect("the input has a PMT");
            written += take(&mut muxer, true);
        }
        std::hint::black_box(written);
    });
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
