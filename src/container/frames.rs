//! Elementary streams of audio that are a row of frames, each with a header that tells its size: how frames are found in them.

use crate::codec::aac::AdtsHeader;
#[cfg(feature = "ts-extra")]
use crate::codec::ac3::{self, Ac3Header};
#[cfg(feature = "ts-extra")]
use crate::codec::latm;
use crate::codec::mpeg_audio::{self, MpegAudioHeader};

/// Bytes that are looked at in one go while a frame is searched for: bounds what is kept aside.
const SEARCH_STEP: usize = 16 << 10;
/// Bytes of a frame of MPEG audio in free format: header and side information at least; 640 kbit/s at 8 kHz at most, as LAME writes.
const FREE_SIZES: std::ops::RangeInclusive<usize> = 13..=5761;

/// What the frames are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// AAC with ADTS headers.
    Adts,
    /// MPEG-1/2 audio.
    Mpeg,
    /// AC-3 and E-AC-3.
    #[cfg(feature = "ts-extra")]
    Ac3,
    /// AAC in LATM, with LOAS headers.
    #[cfg(feature = "ts-extra")]
    Latm,
}

/// A frame's header, as far as finding frames goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the frame, header included. 0 in free format, before it is measured.
    pub size: usize,
    /// Of MPEG audio in free format: by how many bytes it is longer than others. But for those, all are of one size.
    free: Option<usize>,
    /// Equal in all frames of a stream; `None` where the header does not tell.
    key: Option<u32>,
}

impl Head {
    /// Whether both can be of one stream.
    pub fn goes_with(&self, other: &Self) -> bool {
        self.key.is_none() || other.key.is_none() || self.key == other.key
    }
}

impl Frames {
    /// Bytes that [`Self::parse`] needs.
    pub fn header_size(self) -> usize {
        match self {
            Self::Adts => AdtsHeader::SIZE,
            Self::Mpeg => mpeg_audio::HEADER_SIZE,
            #[cfg(feature = "ts-extra")]
            Self::Ac3 => ac3::HEADER_SIZE,
            #[cfg(feature = "ts-extra")]
            Self::Latm => latm::HEADER_SIZE,
        }
    }

    /// The first byte of every frame.
    fn first_byte(self) -> u8 {
        match self {
            Self::Adts | Self::Mpeg => 0xff,
            #[cfg(feature = "ts-extra")]
            Self::Ac3 => 0x0b,
            #[cfg(feature = "ts-extra")]
            Self::Latm => 0x56,
        }
    }

    /// Reads a header. `None` if these bytes cannot start a frame, or are too few.
    pub fn parse(self, b: &[u8]) -> Option<Head> {
        match self {
            Self::Adts => {
                let h = AdtsHeader::parse(b.first_chunk()?)?;
                let key = u32::from_be_bytes([0, h.object_type, h.rate_index, h.channel_config]);
                Some(Head { size: h.frame_size.into(), free: None, key: Some(key) })
            }
            Self::Mpeg => {
                let b = b.first_chunk()?;
                let h = MpegAudioHeader::parse_any(b)?;
                let free = (h.frame_size == 0).then(|| h.padding(b));
                // Rates take 17 bits.
                let key = u32::from(h.version << 4 | h.layer << 2 | h.channels) << 20 | h.sampling_rate;
                let key = key | u32::from(free.is_some()) << 31;
                Some(Head { size: h.frame_size.into(), free, key: Some(key) })
            }
            #[cfg(feature = "ts-extra")]
            Self::Ac3 => {
                let h = Ac3Header::parse(b.first_chunk()?)?;
                let kind = u32::from(h.acmod) << 2 | u32::from(h.lfe) << 1 | u32::from(h.enhanced);
                let key = kind << 20 | h.sampling_rate;
                Some(Head { size: h.frame_size.into(), free: None, key: h.is_primary().then_some(key) })
            }
            #[cfg(feature = "ts-extra")]
            Self::Latm => Some(Head { size: latm::frame_size(b.first_chunk()?)?, free: None, key: None }),
        }
    }

    /// The header that `data` begins with, its size measured where it does not tell: two headers of its kind follow, as far apart as
    /// they say. `None`: there is none; `Some(None)`: these bytes are too few to tell.
    pub fn measure(self, data: &[u8]) -> Option<Option<Head>> {
        let head = self.parse(data)?;
        let Some(padding) = head.free else { return (head.size >= self.header_size()).then_some(Some(head)) };
        let like = |at: usize| {
            let next = data.get(at..at + self.header_size())?;
            Some(self.parse(next).filter(|next| next.goes_with(&head)))
        };
        for size in self.header_size()..=*FREE_SIZES.end() {
            let Some(next) = like(size) else { return Some(None) };
            if let Some(Head { free: Some(more), .. }) = next {
                // Something that repeats.
                if !FREE_SIZES.contains(&size) {
                    return None;
                }
                match like(2 * size - padding + more) {
                    None => return Some(None),
                    Some(None) => {}
                    Some(_) => return Some(Some(Head { size, ..head })),
                }
            }
        }
        None
    }
}

/// What a [`Scanner`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A frame begins at this position of the stream, with this header, whose bytes come again with `Bytes`.
    Start(u64, &'a [u8]),
    /// Bytes of the frame.
    Bytes(&'a [u8]),
    /// The frame is complete.
    End,
    /// Another frame was expected at this position, at these bytes.
    Lost(u64, &'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A header is expected: the bytes of it so far are pending.
    Header,
    /// Bytes left of a frame.
    Frame(usize),
    /// Bytes left of an ID3 tag among the frames, as files joined together have.
    Tag(usize),
    /// No frame was where it should be: one counts that another of its kind follows.
    Search,
}

/// Cuts a stream into frames. Any split of the bytes gives the same.
#[derive(Debug)]
pub struct Scanner {
    frames: Frames,
    state: State,
    /// Of the last frame.
    known: Option<Head>,
    pending: Vec<u8>,
    /// Bytes taken so far.
    position: u64,
    /// Where a frame of another stream was found while searching has not told the loss yet.
    untold: Option<u64>,
    /// The last segment has ended within a frame.
    cut: bool,
}

impl Scanner {
    /// A scanner that expects a frame (`synced`), or looks for one.
    pub fn new(frames: Frames, synced: bool) -> Self {
        let state = if synced { State::Header } else { State::Search };
        Self { frames, state, known: None, pending: Vec::new(), position: 0, untold: None, cut: false }
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads a header, whose size is told by those before where it does not tell it.
    fn parse(&self, b: &[u8]) -> Option<Head> {
        let mut head = self.frames.parse(b)?;
        if let (Some(padding), Some(Head { size, free: Some(theirs), .. })) = (head.free, self.known)
            && self.known.is_some_and(|known| known.goes_with(&head))
        {
            head.size = size - theirs + padding;
        }
        Some(head)
    }

    /// Takes bytes.
    pub fn push(&mut self, data: &[u8], found: &mut dyn FnMut(Found<'_>)) {
        if self.cut && !data.is_empty() {
            self.cut = false;
            // The frame goes on, or was given up by the sender and another one begins instead.
            let anew = self.frames.parse(data).is_some_and(|h| self.known.is_none_or(|k| k.goes_with(&h)));
            if anew {
                found(Found::Lost(self.position, &[]));
                self.state = State::Header;
            }
        }
        for piece in data.chunks(SEARCH_STEP) {
            self.position += piece.len() as u64;
            let mut rest = self.step(piece, found);
            while let Some(bytes) = rest {
                rest = self.step(&bytes, found);
            }
        }
    }

    /// Uses all of `data`, the last bytes of those counted in `position`. Gives back what is to be looked at again after a search.
    fn step(&mut self, mut data: &[u8], found: &mut dyn FnMut(Found<'_>)) -> Option<Vec<u8>> {
        while !data.is_empty() {
            match &mut self.state {
                State::Frame(left) => {
                    let (bytes, rest) = data.split_at((*left).min(data.len()));
                    *left -= bytes.len();
                    data = rest;
                    let done = *left == 0;
                    found(Found::Bytes(bytes));
                    if done {
                        self.state = State::Header;
                        found(Found::End);
                    }
                }
                State::Tag(left) => {
                    let n = (*left).min(data.len());
                    *left -= n;
                    data = &data[n..];
                    if *left == 0 {
                        self.state = State::Header;
                    }
                }
                State::Header => {
                    let tag = self.pending.starts_with(b"ID3");
                    let wanted = if tag { TAG_HEADER } else { self.frames.header_size() };
                    let missing = wanted.saturating_sub(self.pending.len()).min(data.len());
                    let (bytes, rest) = data.split_at(missing);
                    self.pending.extend_from_slice(bytes);
                    data = rest;
                    if self.pending.len() >= wanted {
                        self.header(data, found);
                    }
                }
                State::Search => {
                    self.pending.extend_from_slice(data);
                    return self.search(found);
                }
            }
        }
        None
    }

    /// Looks at the pending bytes, which are as many as a header has at least. `data` comes behind them.
    fn header(&mut self, data: &[u8], found: &mut dyn FnMut(Found<'_>)) {
        if self.pending.starts_with(b"ID3") {
            if let Some(size) = tag_size(&self.pending) {
                self.pending.clear();
                self.state = if size > 0 { State::Tag(size) } else { State::Header };
            }
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let start = self.position - (data.len() + pending.len()) as u64;
        match self.parse(&pending) {
            // Of another stream: it needs others behind it.
            Some(head) if self.known.is_some_and(|known| !known.goes_with(&head)) => {
                self.untold = Some(start);
                self.state = State::Search;
                self.pending = pending;
            }
            Some(head) if head.size >= pending.len() => {
                self.known = Some(head);
                found(Found::Start(start, &pending));
                found(Found::Bytes(&pending));
                self.state = State::Frame(head.size - pending.len());
                if head.size == pending.len() {
                    self.state = State::Header;
                    found(Found::End);
                }
                self.pending = pending;
                self.pending.clear();
            }
            head => {
                // Free format: what follows tells the size.
                if head.is_none_or(|head| head.free.is_none()) {
                    found(Found::Lost(start, &pending));
                }
                self.state = State::Search;
                self.pending = pending;
            }
        }
    }

    /// How many frames must follow one that is found: one of its kind, and another if it is of another kind than those before.
    /// `None` if it is none; `Some(false)` if too few bytes are there to tell.
    fn confirm(&self, rest: &[u8], head: &Head) -> Option<bool> {
        if head.free.is_some() {
            return Some(true);
        }
        let size = self.frames.header_size();
        let mut at = head.size;
        for _ in 0..if self.known.is_none_or(|known| known.goes_with(head)) { 1 } else { 2 } {
            let Some(next) = rest.get(at..at + size) else { return Some(false) };
            at += self.frames.parse(next).filter(|next| next.goes_with(head) && next.size >= size)?.size;
        }
        Some(true)
    }

    /// Looks for a frame in the pending bytes that is followed by another one. Gives back what comes behind it.
    fn search(&mut self, found: &mut dyn FnMut(Found<'_>)) -> Option<Vec<u8>> {
        let mut at = 0;
        while let Some(ahead) = self.pending[at..].iter().position(|&b| b == self.frames.first_byte()) {
            at += ahead;
            let rest = &self.pending[at..];
            if rest.len() < self.frames.header_size() {
                break;
            }
            // Too much looks like free format to take it for what follows other frames.
            let strange = self.frames.parse(rest).is_some_and(|head| {
                head.free.is_some() && self.known.is_some_and(|known| !known.goes_with(&head))
            });
            let head = match self.frames.measure(rest) {
                _ if strange => None,
                Some(None) => break,
                head => head.flatten(),
            };
            if let Some(head) = head {
                let confirmed = self.confirm(rest, &head);
                if confirmed == Some(false) {
                    break;
                }
                if confirmed.is_some() {
                    self.known = Some(head);
                    let start = self.position - rest.len() as u64;
                    let (frame, behind) = rest.split_at(head.size);
                    if let Some(expected) = self.untold.take().filter(|&expected| expected < start) {
                        found(Found::Lost(expected, &[0]));
                    }
                    found(Found::Start(start, &frame[..self.frames.header_size()]));
                    found(Found::Bytes(frame));
                    found(Found::End);
                    let behind = behind.to_vec();
                    self.pending.clear();
                    self.state = State::Header;
                    return Some(behind);
                }
            }
            at += 1;
        }
        if self.pending[at..].iter().all(|&b| b != self.frames.first_byte()) {
            at = self.pending.len();
        }
        self.pending.drain(..at);
        None
    }

    /// The segment has ended: the last frame needs no other behind it. Returns whether it ended within a frame, which then may go on.
    pub fn finish(&mut self, found: &mut dyn FnMut(Found<'_>)) -> bool {
        match self.state {
            State::Search => {
                let window = std::mem::take(&mut self.pending);
                let last = (0..window.len()).find_map(|at| {
                    let rest = &window[at..];
                    let head = self.parse(rest)?;
                    (head.size == rest.len() && self.known.is_none_or(|k| k.goes_with(&head)))
                        .then_some((at, head))
                });
                if let Some((at, head)) = last {
                    let frame = &window[at..];
                    self.known = Some(head);
                    found(Found::Start(
                        self.position - frame.len() as u64,
                        &frame[..self.frames.header_size().min(frame.len())],
                    ));
                    found(Found::Bytes(frame));
                    found(Found::End);
                }
                self.state = State::Header;
                false
            }
            State::Header => !std::mem::take(&mut self.pending).is_empty(),
            State::Tag(_) => {
                self.state = State::Header;
                false
            }
            State::Frame(_) => {
                self.cut = true;
                true
            }
        }
    }

    /// Bytes were lost, or others follow: a frame is looked for, or expected (`synced`).
    pub fn reset(&mut self, synced: bool) {
        self.state = if synced { State::Header } else { State::Search };
        self.pending.clear();
        self.untold = None;
        self.cut = false;
    }
}

/// Bytes of the header of an ID3v2 tag.
pub const TAG_HEADER: usize = 10;

/// Bytes that follow the header of an ID3v2 tag (ID3v2.4 §3.1), with its footer; `None` for fewer bytes than a header has.
pub fn tag_size(header: &[u8]) -> Option<usize> {
    let &[_, _, _, _, _, flags, a, b, c, d] = header.first_chunk::<TAG_HEADER>()?;
    let size = [a, b, c, d].iter().fold(0, |n, &b| n << 7 | usize::from(b & 0x7f));
    Some(size + if flags & 0x10 != 0 { TAG_HEADER } else { 0 })
}

/// Whether bytes at which no frame begins are of a tag at the end of a file: ID3v1, APE, Lyrics3.
pub fn is_trailing_tag(bytes: &[u8]) -> bool {
    [&b"TAG"[..], b"APET", b"LYRI"].iter().any(|tag| bytes.starts_with(tag))
}
