//! MPEG-TS: samples against golden dumps, under every split of the input and every kind of damage.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use millrace::container::ts::TsDemuxer;
use millrace::container::{Demuxer, Sample, Sink, TrackId, TrackInfo};

/// What a sink was told, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Track(TrackInfo),
    Complete,
    Sample(TrackId, Sample, u64),
    Warning(u64, &'static str),
}

#[derive(Default)]
pub struct Recorder {
    pub calls: Vec<Call>,
    pub buffers: Vec<(TrackId, Vec<u8>)>,
}

impl Recorder {
    /// How many samples a track has given.
    pub fn samples(&self, track: TrackId) -> usize {
        self.calls.iter().filter(|c| matches!(c, Call::Sample(id, ..) if *id == track)).count()
    }
}

/// FNV-1a: tells payloads apart in golden dumps.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

impl Sink for Recorder {
    fn track(&mut self, info: TrackInfo) {
        self.calls.push(Call::Track(info));
    }

    fn tracks_complete(&mut self) {
        self.calls.push(Call::Complete);
    }

    fn buffer(&mut self, track: TrackId) -> &mut Vec<u8> {
        let known = self.calls.iter().any(|c| matches!(c, Call::Track(info) if info.id == track));
        assert!(known, "bytes before the track");
        let at = match self.buffers.iter().position(|(id, _)| *id == track) {
            Some(at) => at,
            None => {
                self.buffers.push((track, Vec::new()));
                self.buffers.len() - 1
            }
        };
        &mut self.buffers[at].1
    }

    fn sample(&mut self, track: TrackId, sample: Sample) {
        let buffer = self.buffer(track);
        assert_eq!(buffer.len(), sample.size as usize, "bytes that belong to no sample");
        let hash = hash(buffer);
        buffer.clear();
        self.calls.push(Call::Sample(track, sample, hash));
    }

    fn warning(&mut self, offset: u64, what: &'static str) {
        self.calls.push(Call::Warning(offset, what));
    }
}

/// A small generator with a seed, so that failures come again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

pub fn demux<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Call> {
    let mut demuxer = TsDemuxer::new();
    let mut recorder = Recorder::default();
    for chunk in chunks {
        demuxer.push(chunk, &mut recorder).unwrap();
    }
    if demuxer.finish(&mut recorder).is_err() {
        recorder.calls.push(Call::Warning(u64::MAX, "no program map table"));
    }
    recorder.calls
}

pub fn dump(calls: &[Call]) -> String {
    let mut out = String::new();
    for call in calls {
        match call {
            Call::Track(t) => writeln!(
                out,
                "track {} {} {} timescale {} {}x{} {} Hz {} ch entry {:016x}",
                t.id.0,
                t.kind.as_str(),
                t.codec,
                t.timescale.get(),
                t.width,
                t.height,
                t.sample_rate,
                t.channels,
                hash(&t.sample_entry)
            ),
            Call::Complete => writeln!(out, "tracks complete"),
            Call::Sample(id, s, hash) => writeln!(
                out,
                "{} dts {} pts {} duration {} size {} {} {hash:016x}",
                id.0,
                s.dts,
                s.pts,
                s.duration.map_or("-".into(), |d| d.to_string()),
                s.size,
                if s.sync { "sync" } else { "-" },
            ),
            Call::Warning(offset, what) => writeln!(out, "warning at {offset}: {what}"),
        }
        .unwrap();
    }
    out
}

fn fixtures() -> Vec<(PathBuf, Vec<u8>)> {
    read_dir(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ts"))
}

fn read_dir(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "ts"))
        .map(|p| (p.clone(), std::fs::read(&p).unwrap()))
        .collect();
    files.sort();
    files
}

/// The folder of real clips, where it is present.
pub fn media(under: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = std::env::var_os("MILLRACE_MEDIA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/media"), PathBuf::from);
    read_dir(&root.join(under))
}

/// Fixtures and, where they are present, real clips: of the long one its first segment.
pub fn all_files() -> Vec<(PathBuf, Vec<u8>)> {
    let one_of_hls = media("hls/bbb_ts_36s").into_iter().take(1).collect();
    [fixtures(), media("ts"), one_of_hls].concat()
}

#[test]
fn fixtures_give_the_samples_of_their_golden_dumps() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= 5);
    for (path, data) in fixtures {
        let golden = path.with_extension("dump");
        let dump = dump(&demux([&data[..]]));
        if std::env::var_os("MILLRACE_BLESS").is_some() {
            std::fs::write(&golden, &dump).unwrap();
        }
        assert_eq!(dump, std::fs::read_to_string(&golden).unwrap(), "{}", path.display());
    }
}

#[test]
fn any_split_of_the_input_gives_the_same_calls() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (path, data) in all_files() {
        let whole = demux([&data[..]]);
        // Large ones only in part: an unoptimized build takes seconds for a megabyte.
        if data.len() < 100_000 {
            assert!(demux(data.chunks(1)) == whole, "byte by byte: {}", path.display());
        }
        for size in [187, 188, 189, 1000] {
            assert!(demux(data.chunks(size)) == whole, "chunks of {size}: {}", path.display());
        }
        for largest in [5, 400, 5000] {
            let mut rest = &data[..];
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                let (chunk, tail) = rest.split_at(random.below(largest).min(rest.len()));
                chunks.push(chunk);
                rest = tail;
            }
            assert!(demux(chunks) == whole, "random chunks up to {largest}: {}", path.display());
        }
    }
}

#[test]
fn damaged_input_gives_the_same_calls_however_it_is_split_and_never_panics() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for (path, data) in fixtures() {
        for round in 0..60 {
            let mut bad = data.clone();
            match round % 4 {
                0 => bad.truncate(random.below(bad.len())),
                1 => {
                    for _ in 0..1 + random.below(20) {
                        let at = random.below(bad.len());
                        bad[at] ^= 1 << random.below(8);
                    }
                }
                2 => {
                    let at = random.below(bad.len());
                    let garbage: Vec<u8> = (0..random.below(700)).map(|_| random.below(256) as u8).collect();
                    bad.splice(at..at, garbage);
                }
                _ => {
                    let at = random.below(bad.len());
                    let end = (at + random.below(1000)).min(bad.len());
                    bad.drain(at..end);
                }
            }
            let whole = demux([&bad[..]]);
            assert!(demux(bad.chunks(97)) == whole, "round {round}: {}", path.display());
        }
    }
}
