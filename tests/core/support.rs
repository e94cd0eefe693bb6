//! What the tests of all containers use: a sink that records, seeded randomness, splits of the input.

use std::path::{Path, PathBuf};

use millrace::container::{Demuxer, Metadata, Sample, Sink, TrackId, TrackInfo};
use millrace::time::Ticks;

/// A file of `tests/fixtures`.
pub fn fixture_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The folder of real media for wider runs, where there is one.
pub fn media() -> Option<PathBuf> {
    let path = match std::env::var_os("MILLRACE_MEDIA") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/media"),
    };
    path.is_dir().then_some(path)
}

/// CRC-32 (ISO/IEC 13239), as ffprobe's `-show_data_hash crc32` prints it.
pub fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0u32, |crc, &byte| crc >> 8 ^ TABLE[((crc ^ u32::from(byte)) & 255) as usize])
}

/// What a sink was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Track(TrackInfo),
    Complete,
    /// With the CRC-32 of its bytes.
    Sample(TrackId, Sample, u32),
    Metadata(Option<TrackId>, Option<Ticks>, Metadata),
    Warning(u64, &'static str),
    /// Code, message, position: of [`demux`] alone.
    Error(&'static str, String, Option<u64>),
}

/// A sink that writes down what it is told, and checks that the bytes of samples stand where they have to.
#[derive(Default)]
pub struct Recorder {
    pub calls: Vec<Call>,
    buffers: Vec<(TrackId, Vec<u8>)>,
}

impl Recorder {
    /// With calls that were recorded before.
    pub fn of(calls: &[Call]) -> Self {
        Self { calls: calls.to_vec(), buffers: Vec::new() }
    }

    pub fn tracks(&self) -> impl Iterator<Item = &TrackInfo> {
        self.calls.iter().filter_map(|c| if let Call::Track(info) = c { Some(info) } else { None })
    }

    pub fn samples(&self, track: TrackId) -> Vec<(Sample, u32)> {
        let of_track = |c: &Call| match c {
            Call::Sample(id, sample, crc) if *id == track => Some((*sample, *crc)),
            _ => None,
        };
        self.calls.iter().filter_map(of_track).collect()
    }

    /// Bytes written and not yet part of a sample.
    pub fn unfinished(&self) -> usize {
        self.buffers.iter().map(|(_, b)| b.len()).sum()
    }
}

impl Sink for Recorder {
    fn track(&mut self, info: TrackInfo) {
        self.calls.push(Call::Track(info));
    }

    fn tracks_complete(&mut self) {
        self.calls.push(Call::Complete);
    }

    fn buffer(&mut self, track: TrackId) -> &mut Vec<u8> {
        assert!(self.tracks().any(|t| t.id == track), "bytes before their track");
        let at = self.buffers.iter().position(|(id, _)| *id == track).unwrap_or_else(|| {
            self.buffers.push((track, Vec::new()));
            self.buffers.len() - 1
        });
        &mut self.buffers[at].1
    }

    fn sample(&mut self, track: TrackId, sample: Sample) {
        let buffer = self.buffer(track);
        assert_eq!(buffer.len(), sample.size as usize, "the buffer holds the sample and nothing else");
        let crc = crc32(buffer);
        buffer.clear();
        self.calls.push(Call::Sample(track, sample, crc));
    }

    fn metadata(&mut self, track: Option<TrackId>, at: Option<Ticks>, data: Metadata) {
        self.calls.push(Call::Metadata(track, at, data));
    }

    fn warning(&mut self, offset: u64, what: &'static str) {
        self.calls.push(Call::Warning(offset, what));
    }
}

/// A small generator with a seed, so that failures come again (xorshift64).
pub struct Random(pub u64);

impl Random {
    /// A number under `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    /// Cuts `data` into pieces of 0 to `most` bytes.
    pub fn split<'a>(&mut self, mut data: &'a [u8], most: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !data.is_empty() {
            let (piece, rest) = data.split_at(self.below(most + 1).min(data.len()));
            pieces.push(piece);
            data = rest;
        }
        pieces
    }
}

/// Everything that a demuxer tells of some chunks; an error is the last call.
pub fn demux<'a>(demuxer: &mut dyn Demuxer, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Call> {
    demux_more(demuxer, Recorder::default(), chunks)
}

/// The same after a reset: the sink knows the tracks from before. Gives all calls since then.
pub fn demux_again<'a>(
    demuxer: &mut dyn Demuxer,
    before: &[Call],
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Call> {
    let known: Vec<_> = before.iter().filter(|c| matches!(c, Call::Track(_))).cloned().collect();
    let calls = demux_more(demuxer, Recorder::of(&known), chunks);
    calls[known.len()..].to_vec()
}

fn demux_more<'a>(
    demuxer: &mut dyn Demuxer,
    mut recorder: Recorder,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Call> {
    let mut result = Ok(());
    for chunk in chunks {
        result = demuxer.push(chunk, &mut recorder);
        if result.is_err() {
            break;
        }
    }
    if let Err(error) = result.and_then(|()| demuxer.finish(&mut recorder)) {
        recorder.calls.push(Call::Error(error.code.as_str(), error.message.into_owned(), error.position));
    }
    recorder.calls
}

/// The calls as text, for golden files: a line each.
pub fn dump(calls: &[Call]) -> String {
    let mut out = String::new();
    for call in calls {
        let line = match call {
            Call::Track(t) => format!(
                "track {} {} {} timescale {} {}x{} {} Hz {} ch edit {} entry {:08x} private {:08x}",
                t.id.0,
                t.kind.as_str(),
                t.codec,
                t.timescale.get(),
                t.width,
                t.height,
                t.sample_rate,
                t.channels,
                t.edit_start,
                crc32(&t.sample_entry),
                crc32(&t.codec_private),
            ),
            Call::Complete => "tracks complete".to_owned(),
            Call::Sample(id, s, crc) => format!(
                "{} dts {} pts {} duration {} size {} {} {crc:08x}",
                id.0,
                s.dts,
                s.pts,
                s.duration.map_or("-".into(), |d| d.to_string()),
                s.size,
                if s.sync { "sync" } else { "-" },
            ),
            Call::Metadata(track, at, data) => {
                format!("metadata of {:?} at {at:?}: {data:?}", track.map(|t| t.0))
            }
            Call::Warning(offset, what) => format!("warning at {offset}: {what}"),
            Call::Error(code, message, at) => format!("error {code} at {at:?}: {message}"),
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// The calls without warnings, whose offsets depend on where reading began.
pub fn quiet(calls: &[Call]) -> Vec<Call> {
    calls.iter().filter(|c| !matches!(c, Call::Warning(..))).cloned().collect()
}

/// The fixtures of a folder whose names end so, in order.
pub fn fixtures(folder: &str, endings: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(fixture_path(folder)).unwrap();
    let mut files: Vec<_> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| endings.iter().any(|e| p.to_str().unwrap().ends_with(e)))
        .map(|p| (p.clone(), std::fs::read(&p).unwrap()))
        .collect();
    files.sort();
    files
}

/// Makes a demuxer.
pub type Open<'a> = &'a dyn Fn() -> Box<dyn Demuxer>;

/// Holds what a demuxer tells of a file against the golden `.dump` beside it; with `MILLRACE_BLESS` set, writes that.
pub fn check_golden(open: Open, path: &Path, data: &[u8]) {
    let golden = path.with_file_name([path.file_name().unwrap().to_str().unwrap(), ".dump"].concat());
    let dump = dump(&demux(open().as_mut(), [data]));
    if std::env::var_os("MILLRACE_BLESS").is_some() {
        std::fs::write(&golden, &dump).unwrap();
    }
    assert!(dump == std::fs::read_to_string(&golden).unwrap(), "{} differs from its dump", path.display());
}

/// Whole, byte by byte and at random places: the same calls.
pub fn check_splits(open: Open, path: &Path, data: &[u8], random: &mut Random) {
    let name = path.display();
    let whole = demux(open().as_mut(), [data]);
    assert!(demux(open().as_mut(), data.chunks(1)) == whole, "byte by byte: {name}");
    for most in [2, 30, 400, 5000] {
        for _ in 0..3 {
            let split = random.split(data, most);
            assert!(demux(open().as_mut(), split) == whole, "pieces up to {most}: {name}");
        }
    }
}

/// Cut off, flipped, with bytes put in and taken out: no panic, and the same calls however it is split.
pub fn check_damage(open: Open, path: &Path, data: &[u8], rounds: usize, random: &mut Random) {
    for round in 0..rounds {
        let mut bad = data.to_vec();
        let somewhere = |random: &mut Random, len: usize| {
            // Every other time where the headers are.
            let within = if random.below(2) == 0 { len } else { len.min(600) };
            random.below(within)
        };
        match round % 4 {
            0 => bad.truncate(random.below(bad.len())),
            1 => {
                for _ in 0..1 + random.below(12) {
                    let at = somewhere(random, bad.len());
                    bad[at] ^= 1 << random.below(8);
                }
            }
            2 => {
                let at = somewhere(random, bad.len());
                let garbage: Vec<u8> = (0..random.below(700)).map(|_| random.below(256) as u8).collect();
                bad.splice(at..at, garbage);
            }
            _ => {
                let at = somewhere(random, bad.len());
                let end = (at + random.below(1000)).min(bad.len());
                bad.drain(at..end);
            }
        }
        let whole = demux(open().as_mut(), [&bad[..]]);
        let split = demux(open().as_mut(), random.split(&bad, 97));
        if let Some(at) = (0..whole.len().max(split.len())).find(|i| whole.get(*i) != split.get(*i)) {
            let (a, b) = (whole.get(at), split.get(at));
            panic!("round {round}: {}: call {at}: {a:?}, split: {b:?}", path.display());
        }
    }
}

/// A packet as ffprobe prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    pub duration: Option<i64>,
    pub size: usize,
    pub sync: bool,
    /// CRC-32 of its bytes.
    pub crc: u32,
}

/// Packets of a stream as ffprobe gives them. `None` where it is not installed.
pub fn ffprobe(file: &Path, stream: &str) -> Option<Vec<Packet>> {
    let output = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_packets", "-show_data_hash", "crc32"])
        .args(["-show_entries", "packet=pts,dts,duration,size,flags,data_hash", "-of", "compact=p=0"])
        .arg(file)
        .output()
        .ok()?;
    // Side data stands on lines of its own.
    let text = String::from_utf8(output.stdout).unwrap().replace("\n|", "|");
    let packets = text.lines().filter(|l| l.contains("size=")).map(|line| {
        let field =
            |name: &str| line.split('|').find_map(|f| f.strip_prefix(name)?.strip_prefix('=')).unwrap_or("");
        Packet {
            pts: field("pts").parse().ok(),
            dts: field("dts").parse().ok(),
            duration: field("duration").parse().ok(),
            size: field("size").parse().unwrap(),
            sync: field("flags").contains('K'),
            crc: u32::from_str_radix(field("data_hash").trim_start_matches("CRC32:"), 16).unwrap(),
        }
    });
    Some(packets.collect())
}
