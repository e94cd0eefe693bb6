//! FLV and Ogg throughput, native: demuxer alone, and with the muxer to fragmented MP4. Prints MB/s (10^6 bytes).
//!
//! `cargo bench --bench flv_ogg`: inputs of 50 MB are made with ffmpeg, once. FLV with H.264 and AAC; Ogg with Opus (a chain of copies) and with FLAC.

use std::path::{Path, PathBuf};
use std::process::Command;

use millrace::container::{Demuxer, Format, Sample, Sink, TrackId, TrackInfo, open};
use millrace::remux::Muxer;

/// Pieces as a network reader gives them.
const CHUNK: usize = 64 << 10;
const ROUNDS: usize = 15;
/// Bytes of each input.
const SIZE: usize = 50_000_000;

/// Keeps each track's buffer and forgets what is in it.
#[derive(Default)]
struct Forgetful {
    buffers: Vec<(TrackId, Vec<u8>)>,
    samples: usize,
    bytes: usize,
}

impl Sink for Forgetful {
    fn track(&mut self, info: TrackInfo) {
        if self.buffers.iter().all(|(id, _)| *id != info.id) {
            self.buffers.push((info.id, Vec::new()));
        }
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

/// The folder of made inputs.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")), PathBuf::from)
}

fn input(name: &str, arguments: &str) -> (PathBuf, Vec<u8>) {
    let path = target().join(name);
    if !path.exists() {
        eprintln!("making {} with ffmpeg …", path.display());
        let status = Command::new("ffmpeg").args(arguments.split(' ')).arg(&path).status();
        assert!(status.is_ok_and(|s| s.success()), "ffmpeg is needed to make the input");
    }
    let data = std::fs::read(&path).expect("the input can be read");
    // A short one is repeated: a chain, for Ogg.
    let data = data.repeat(if name.ends_with(".opus") { SIZE.div_ceil(data.len()) } else { 1 });
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

fn demux(format: Format, data: &[u8], sink: &mut dyn Sink, mut after_chunk: impl FnMut(&mut dyn Sink)) {
    let mut demuxer: Box<dyn Demuxer> = open(format).expect("the bench has all formats");
    for chunk in data.chunks(CHUNK) {
        demuxer.push(chunk, sink).expect("the input is sound");
        after_chunk(sink);
    }
    demuxer.finish(sink).expect("the input is sound");
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

fn bench(format: Format, path: &Path, data: &[u8]) {
    let mut sink = Forgetful::default();
    demux(format, data, &mut sink, |_| {});
    println!(
        "{}: {:.1} MB, {} samples, {:.1} MB of payload",
        path.display(),
        data.len() as f64 / 1e6,
        sink.samples,
        sink.bytes as f64 / 1e6
    );
    let name = format.as_str();
    measure(&[name, " demuxer"].concat(), data.len(), || {
        let mut sink = Forgetful::default();
        demux(format, data, &mut sink, |_| {});
        std::hint::black_box(sink.bytes);
    });
    measure(&[name, " demuxer and fMP4 muxer"].concat(), data.len(), || {
        let mut demuxer = open(format).expect("the bench has all formats");
        let mut muxer = Muxer::new();
        let mut written = 0;
        for chunk in data.chunks(CHUNK) {
            demuxer.push(chunk, &mut muxer).expect("the input is sound");
            written += take(&mut muxer, false);
        }
        demuxer.finish(&mut muxer).expect("the input is sound");
        written += take(&mut muxer, true);
        std::hint::black_box(written);
    });
}

fn main() {
    let (path, data) = input(
        "bench-50mb.flv",
        "-v error -y -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=sample_rate=48000 -t 50 -vf noise=alls=20:allf=t \
         -pix_fmt yuv420p -c:v libx264 -preset ultrafast -bf 2 -g 60 -b:v 8M -minrate 8M -maxrate 8M -bufsize 8M -c:a aac -b:a 128k -ac 2 -f flv",
    );
    bench(Format::Flv, &path, &data);
    let mut copy = vec![0u8; CHUNK];
    measure("memcpy of each chunk (the roof)", data.len(), || {
        for chunk in data.chunks(CHUNK) {
            copy[..chunk.len()].copy_from_slice(chunk);
            std::hint::black_box(&mut copy);
        }
    });
    let (path, data) = input(
        "bench-1min.opus",
        "-v error -y -f lavfi -i anoisesrc=d=60:r=48000 -ac 2 -c:a libopus -b:a 256k",
    );
    bench(Format::Ogg, &path, &data);
    let (path, data) = input(
        "bench-50mb.oga",
        "-v error -y -f lavfi -i anoisesrc=d=280:r=48000:a=0.5 -ac 2 -c:a flac -compression_level 0 -f ogg",
    );
    bench(Format::Ogg, &path, &data);
}
