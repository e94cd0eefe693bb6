//! What the tests of all containers use: a sink that records, seeded randomness, splits of the input.

use std::path::PathBuf;

use millrace::container::{Sample, Sink, TrackId, TrackInfo};

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
    Warning(u64, &'static str),
}

/// A sink that writes down what it is told, and checks that the bytes of samples stand where they have to.
#[derive(Default)]
pub struct Recorder {
    pub calls: Vec<Call>,
    buffers: Vec<(TrackId, Vec<u8>)>,
}

impl Recorder {
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
