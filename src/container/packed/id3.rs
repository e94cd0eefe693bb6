//! ID3v2 tags (ID3v2.2 to 2.4) as they come: the frame that Apple uses for the time of packed audio, and of the others what is not
//! large. A cover image passes through without being kept.

use crate::container::frames::{TAG_HEADER, tag_size};

/// Largest frame that is kept, and largest sum of them: texts and small private data; pictures are left out.
const MAX_FRAME: usize = 16 << 10;
const MAX_KEPT: usize = 64 << 10;

/// Owner of the `PRIV` frame with the 33-bit time of the first sample (RFC 8216bis §3.4).
const TIME_STAMP: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The header of the tag.
    Tag,
    /// The size of the extended header.
    Extended,
    /// The header of a frame.
    Frame,
    /// So many bytes of a frame that is kept.
    Keep(usize),
    /// So many bytes of what is not.
    Skip(usize),
    /// Padding, or what cannot be read.
    Rest,
}

/// Reads one tag.
#[derive(Debug)]
pub struct TagReader {
    state: State,
    /// Bytes of the tag that have not come yet; of no meaning before its header is there.
    left: usize,
    version: u8,
    flags: u8,
    /// Zeros that were put in behind 0xff are taken out from all of the tag (up to version 2.3).
    stuffed: bool,
    last_ff: bool,
    head: Vec<u8>,
    kept: Vec<u8>,
    /// Where in `kept` the last frame begins.
    frame_at: usize,
    time: Option<u64>,
}

/// What a tag said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// Raw 33-bit time of the first sample behind it, in 90 kHz.
    pub time: Option<u64>,
    /// A tag with all other frames that were kept; empty if there are none.
    pub frames: Vec<u8>,
}

impl TagReader {
    /// A reader before the first byte of a tag.
    pub fn new() -> Self {
        Self {
            state: State::Tag,
            left: 0,
            version: 0,
            flags: 0,
            stuffed: false,
            last_ff: false,
            head: Vec::new(),
            kept: Vec::new(),
            frame_at: 0,
            time: None,
        }
    }

    /// Takes bytes up to the end of the tag. Returns how many; fewer than all: the tag is complete.
    pub fn push(&mut self, data: &[u8]) -> usize {
        let mut used = 0;
        if self.state == State::Tag {
            used = (TAG_HEADER - self.head.len()).min(data.len());
            self.head.extend_from_slice(&data[..used]);
            let Some(size) = tag_size(&self.head) else { return used };
            self.left = size;
            self.version = self.head.get(3).copied().unwrap_or(0);
            self.flags = self.head.get(5).copied().unwrap_or(0);
            self.stuffed = self.flags & 0x80 != 0 && self.version < 4;
            self.state = match (self.version, self.flags & 0x40 != 0) {
                // In version 2.2 the flag means compression, for which there is no rule.
                (2, true) => State::Rest,
                (3 | 4, true) => State::Extended,
                (2..=4, false) => State::Frame,
                _ => State::Rest,
            };
            self.head.clear();
        }
        let body = &data[used..];
        let body = &body[..body.len().min(self.left)];
        used += body.len();
        self.left -= body.len();
        if self.stuffed {
            for &b in body {
                let put_in = self.last_ff && b == 0;
                self.last_ff = b == 0xff;
                if !put_in {
                    self.body(&[b]);
                }
            }
        } else {
            self.body(body);
        }
        used
    }

    /// Whether all of the tag has come.
    pub fn is_complete(&self) -> bool {
        self.state != State::Tag && self.left == 0
    }

    fn body(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            match &mut self.state {
                State::Rest | State::Tag => return,
                State::Skip(left) | State::Keep(left) => {
                    let n = (*left).min(data.len());
                    let (bytes, rest) = data.split_at(n);
                    *left -= n;
                    data = rest;
                    let ended = *left == 0;
                    if matches!(self.state, State::Keep(_)) {
                        self.kept.extend_from_slice(bytes);
                        if ended {
                            self.end_frame();
                        }
                    }
                    if ended {
                        self.state = State::Frame;
                    }
                }
                State::Extended => {
                    data = self.collect(4, data);
                    if let Some(size) = self.head.first_chunk().copied() {
                        let size = self.number(size);
                        // Counted without itself up to version 2.3, with itself in 2.4.
                        let size = if self.version == 4 { size.saturating_sub(4) } else { size };
                        self.head.clear();
                        self.state = if size > 0 { State::Skip(size) } else { State::Frame };
                    }
                }
                State::Frame => {
                    let wanted = if self.version == 2 { 6 } else { 10 };
                    data = self.collect(wanted, data);
                    if self.head.len() == wanted {
                        self.begin_frame();
                    }
                }
            }
        }
    }

    fn collect<'d>(&mut self, wanted: usize, data: &'d [u8]) -> &'d [u8] {
        let n = wanted.saturating_sub(self.head.len()).min(data.len());
        self.head.extend_from_slice(&data[..n]);
        &data[n..]
    }

    /// A size: seven bits in each byte in version 2.4, eight before.
    fn number(&self, b: [u8; 4]) -> usize {
        if self.version == 4 {
            b.iter().fold(0, |n, &b| n << 7 | usize::from(b & 0x7f))
        } else {
            u32::from_be_bytes(b) as usize
        }
    }

    fn begin_frame(&mut self) {
        let size = match *self.head {
            // Padding.
            [0, ..] => {
                self.state = State::Rest;
                return;
            }
            [_, _, _, a, b, c] => self.number([0, a, b, c]),
            [_, _, _, _, a, b, c, d, _, _] => self.number([a, b, c, d]),
            _ => 0,
        };
        // With a tag of its own in front.
        let fits = size <= MAX_FRAME && self.kept.len() + self.head.len() + size <= MAX_KEPT;
        if size == 0 {
            self.state = State::Frame;
        } else if fits {
            self.frame_at = self.kept.len();
            self.kept.extend_from_slice(&self.head);
            self.state = State::Keep(size);
        } else {
            self.state = State::Skip(size);
        }
        self.head.clear();
    }

    fn end_frame(&mut self) {
        let frame = self.kept.get(self.frame_at..).unwrap_or_default();
        let Some(body) = frame.strip_prefix(b"PRIV").and_then(|f| f.get(6..)) else { return };
        let Some(stamp) = body.strip_prefix(TIME_STAMP) else { return };
        // 33 bits in eight bytes.
        if let Some(bytes) = stamp.first_chunk() {
            self.time = Some(u64::from_be_bytes(*bytes) & 0x1_ffff_ffff);
        }
        self.kept.truncate(self.frame_at);
    }

    /// What the tag said; what is cut off is left out.
    pub fn into_tag(mut self) -> Tag {
        if matches!(self.state, State::Keep(_)) {
            self.kept.truncate(self.frame_at);
        }
        if self.kept.is_empty() {
            return Tag { time: self.time, frames: Vec::new() };
        }
        let size = self.kept.len();
        let sevens = [21, 14, 7, 0].map(|shift| (size >> shift & 0x7f) as u8);
        // Of the flags only that frames of version 2.4 have zeros put in.
        let flags = if self.version == 4 { self.flags & 0x80 } else { 0 };
        let mut frames = vec![b'I', b'D', b'3', self.version, 0, flags];
        frames.extend_from_slice(&sevens);
        frames.append(&mut self.kept);
        Tag { time: self.time, frames }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(version: u8, id: &[u8], body: &[u8]) -> Vec<u8> {
        let n = body.len();
        let mut out = id.to_vec();
        match version {
            2 => out.extend_from_slice(&(n as u32).to_be_bytes()[1..]),
            3 => out.extend_from_slice(&(n as u32).to_be_bytes()),
            _ => out.extend_from_slice(&[21, 14, 7, 0].map(|s| (n >> s & 0x7f) as u8)),
        }
        if version > 2 {
            out.extend_from_slice(&[0, 0]);
        }
        out.extend_from_slice(body);
        out
    }

    fn tag(version: u8, flags: u8, frames: &[Vec<u8>]) -> Vec<u8> {
        let body = frames.concat();
        let mut out = vec![b'I', b'D', b'3', version, 0, flags];
        out.extend_from_slice(&[21, 14, 7, 0].map(|s| (body.len() >> s & 0x7f) as u8));
        out.extend_from_slice(&body);
        out
    }

    fn read(bytes: &[u8], step: usize) -> (Tag, usize) {
        let mut reader = TagReader::new();
        let mut used = 0;
        for piece in bytes.chunks(step) {
            used += reader.push(piece);
            if reader.is_complete() {
                break;
            }
        }
        assert!(reader.is_complete() && reader.kept.len() <= MAX_KEPT);
        (reader.into_tag(), used)
    }

    #[test]
    fn the_time_stamp_is_read_and_the_other_frames_are_kept_but_for_pictures() {
        let time = [TIME_STAMP, &[0, 0, 0, 1, 0, 0, 0, 5]].concat();
        let picture = frame(4, b"APIC", &vec![7; 5_000_000]);
        let title = frame(4, b"TIT2", b"\x03Title");
        let bytes = tag(4, 0, &[picture, frame(4, b"PRIV", &time), title.clone(), vec![0; 300]]);
        let trailed = [&bytes[..], &[0xff, 0xf1]].concat();
        for step in [1, 13, 4096, usize::MAX] {
            let (tag, used) = read(&trailed, step);
            assert_eq!((tag.time, used), (Some((1 << 32) + 5), bytes.len()), "pieces of {step}");
            assert_eq!(tag.frames[10..], title);
        }
    }

    #[test]
    fn versions_differ_in_their_sizes_and_stuffing() {
        let body = vec![b'x'; 200];
        for version in [2, 3, 4] {
            let id: &[u8] = if version == 2 { b"TT2" } else { b"TIT2" };
            let (tag, _) = read(&tag(version, 0, &[frame(version, id, &body)]), 7);
            assert_eq!(tag.frames.len(), 10 + id.len() + if version == 2 { 3 } else { 6 } + 200, "{version}");
        }
        let (tag, _) = read(&tag(3, 0x80, &[[frame(3, b"TXXX", &[1, 0xff, 2]), vec![]].concat()]), 5);
        assert_eq!(tag.frames[20..], [1, 0xff, 2]);
        let mut stuffed = frame(3, b"TXXX", &[1, 0xff, 0]);
        stuffed.push(0);
        let (tag, _) = read(&super::tests::tag(3, 0x80, &[stuffed]), 3);
        assert_eq!(tag.frames[20..], [1, 0xff, 0]);
        let mut extended = vec![0, 0, 0, 6, 0, 0, 0, 0, 0, 0];
        extended.extend(frame(3, b"TIT2", b"abc"));
        let (tag, _) = read(&super::tests::tag(3, 0x40, &[extended]), 4);
        assert_eq!(tag.frames[20..], *b"abc");
    }

    #[test]
    fn sizes_beyond_the_tag_lose_only_that_frame() {
        let mut long = frame(3, b"TIT2", b"abc");
        long[4..8].copy_from_slice(&[0xff; 4]);
        let (tag, _) = read(&tag(3, 0, &[frame(3, b"TALB", b"def"), long]), 6);
        assert_eq!(tag.frames[20..], *b"def");
    }
}
