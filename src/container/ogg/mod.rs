//! Ogg (RFC 3533) with one stream of audio: Opus (RFC 7845), Vorbis (Vorbis I §A), FLAC (RFC 9639 §10.1).
//!
//! pages (this file, [`page`]) → packets of the first logical stream whose codec is known ([`stream`]) → samples. Pages are taken whole, since
//! their checksum covers all of them; so any split of the input gives the same samples.
//!
//! **Time.** Ticks are samples per channel. Time stamps of the first link of a chain are its granule positions, so a live stream that is joined in
//! the middle starts where the station says it is. The links that follow go on from there: what is heard of a link
//! (`pts - edit_start`, with the `edit_start` of the track as it was announced last) begins where what was heard of the one before it ended. Priming
//! of such a link therefore overlaps the end of the one before, by a few milliseconds.

mod layout;
mod page;
mod stream;

pub use layout::{Layout, TAIL};

use self::page::{CAPTURE, Crc, Page, Read};
use self::stream::{Codec, Identified, Stream, identify};
use super::{Demuxer, Sink, TrackId, TrackInfo};
use crate::error::{Code, PlayerError, Result};
use crate::time::{Ticks, rescale};

/// The one track that is given.
const TRACK: TrackId = TrackId(1);

/// Bytes without a page that are searched before giving up.
const MAX_GARBAGE: u64 = 1 << 20;

/// Links of a chain that are remembered, so that a seek back into them finds their headers.
const MAX_LINKS: usize = 8;

/// Logical streams of a link that are known not to be played; more are not told from unknown ones.
const MAX_OTHERS: usize = 32;

fn malformed(what: &'static str, offset: u64) -> PlayerError {
    PlayerError::new(Code::MediaMalformed, [what, "."].concat()).at(offset)
}

/// Demuxes the audio of an Ogg stream.
///
/// After `reset` it takes bytes from any place of the same stream: samples come from the first page on, with exact times. (But for a last page
/// that is read alone: how much of its end is cut off only the page before it tells; its packets are then a packet early at most.)
///
/// Memory: one page (64 kB), one packet that goes over pages (4 MB at most), the headers of 8 links.
#[derive(Debug)]
pub struct OggDemuxer {
    /// Bytes of a page that is not complete.
    pending: Vec<u8>,
    /// With fewer bytes pending there is nothing to be done.
    need: usize,
    /// Bytes taken since the last reset, those pending not counted.
    offset: u64,
    /// Bytes passed over since the last page.
    garbage: u64,
    crc: Crc,
    /// Streams that are or were played; at most one of each link.
    links: Vec<Stream>,
    current: Option<usize>,
    /// Serial numbers of the other streams of this link.
    others: Vec<u32>,
    /// Only first pages have come of this link.
    opening: bool,
    /// No page of a known stream has come since the last reset.
    fresh: bool,
    /// This link began while `fresh`: it is an earlier one that is read again.
    reopened: bool,
    /// When the link starts and the ticks per second of that; `None` for the first.
    link_start: Option<(Ticks, u32)>,
    /// What is in the link instead of audio that is played.
    unsupported: Option<&'static str>,
    announced: Option<TrackInfo>,
    warned_unknown: bool,
}

impl Default for OggDemuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl OggDemuxer {
    /// A demuxer before its first byte.
    pub fn new() -> Self {
        Self {
            pending: Vec::new(),
            need: 0,
            offset: 0,
            garbage: 0,
            crc: Crc::new(),
            links: Vec::new(),
            current: None,
            others: Vec::new(),
            opening: true,
            fresh: false,
            reopened: false,
            link_start: None,
            unsupported: None,
            announced: None,
            warned_unknown: false,
        }
    }

    /// Takes the whole pages of `bytes`, tells how many bytes they took, and sets `need` for the rest.
    fn pages(&mut self, bytes: &[u8], sink: &mut dyn Sink) -> Result<usize> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match page::read(rest) {
                Read::Short(need) => {
                    self.need = need;
                    return Ok(at);
                }
                Read::Got(page) if self.crc.matches(&rest[..page.size]) => {
                    self.garbage = 0;
                    self.page(&page, sink)?;
                    at += page.size;
                    self.offset += page.size as u64;
                }
                // A damaged page too: there may be a sound one within what its header claims.
                Read::Got(_) | Read::Bad => {
                    if self.garbage == 0 && (self.offset > 0 || !rest.starts_with(CAPTURE)) {
                        sink.warning(self.offset, "bytes that are no page, or a damaged one");
                    }
                    let skipped = 1 + search(&rest[1..]);
                    at += skipped;
                    self.offset += skipped as u64;
                    self.garbage += skipped as u64;
                    if self.garbage > MAX_GARBAGE {
                        return Err(malformed("No Ogg page in a megabyte", self.offset - self.garbage));
                    }
                }
            }
        }
    }

    fn page(&mut self, page: &Page<'_>, sink: &mut dyn Sink) -> Result<()> {
        if page.begins {
            self.first_page(page, sink);
            return Ok(());
        }
        if self.opening {
            self.opening = false;
            if self.current.is_none() && !self.fresh {
                let what = self.unsupported.unwrap_or("no audio of a known codec in the stream");
                if self.announced.is_none() {
                    let message = ["The Ogg stream cannot be played: ", what, "."].concat();
                    return Err(PlayerError::new(Code::CodecUnsupported, message).at(self.offset));
                }
                sink.warning(self.offset, what);
            }
        }
        let is_current =
            self.current.and_then(|i| self.links.get(i)).is_some_and(|s| s.serial == page.serial);
        if !is_current {
            let known = self.links.iter().position(|s| s.serial == page.serial && s.is_ready());
            match known.filter(|_| self.fresh) {
                Some(known) => {
                    self.current = Some(known);
                    self.announce(sink);
                }
                None => {
                    if !self.others.contains(&page.serial) && !self.warned_unknown {
                        self.warned_unknown = true;
                        sink.warning(self.offset, "pages of a stream that has not begun");
                    }
                    return Ok(());
                }
            }
        }
        self.fresh = false;
        let Self { links, current, announced, offset, .. } = self;
        let Some(stream) = current.and_then(|i| links.get_mut(i)) else { return Ok(()) };
        let result = stream.page(page, *offset, sink, &mut |stream, sink| announce(stream, announced, sink));
        if result.is_err() && self.announced.is_some() {
            // A broken link of a chain is passed over.
            sink.warning(self.offset, "a stream with broken headers");
            self.others.push(page.serial);
            self.current = None;
            return Ok(());
        }
        result
    }

    /// The first page of a logical stream: at the start, or where another link of the chain begins. The first stream of a link that can be
    /// played is taken.
    fn first_page(&mut self, page: &Page<'_>, sink: &mut dyn Sink) {
        if !self.opening {
            self.opening = true;
            self.unsupported = None;
            self.others.clear();
            self.warned_unknown = false;
            self.reopened = self.fresh;
            if let Some(ended) = self.current.take().and_then(|i| self.links.get(i)) {
                self.link_start = Some((ended.presented_end(), ended.rate()));
            }
        }
        let unsupported = match identify(page.body) {
            Identified::Audio(codec) if self.current.is_none() => {
                return self.select(page, codec);
            }
            Identified::Audio(_) => Some("more than one stream of audio: the first is played"),
            Identified::Unsupported(what) => Some(what),
            Identified::Ignored => None,
        };
        if self.others.len() < MAX_OTHERS {
            self.others.push(page.serial);
        }
        if let Some(what) = unsupported {
            self.unsupported.get_or_insert(what);
            sink.warning(self.offset, what);
        }
    }

    fn select(&mut self, page: &Page<'_>, codec: Codec) {
        let known = self.links.iter().find(|s| s.serial == page.serial);
        let from = match known.filter(|_| self.reopened) {
            Some(known) => known.link_start().map(|start| (start, known.rate())),
            None if self.reopened => None,
            None => self.link_start,
        };
        let mut stream = Stream::new(page.serial, page.sequence, codec);
        if let Some((time, rate)) = from {
            stream.start_at(rescale(time, rate, stream.rate()).min(Ticks::MAX / 2));
        }
        self.links.retain(|s| s.serial != page.serial);
        if self.links.len() >= MAX_LINKS {
            self.links.remove(0);
        }
        self.links.push(stream);
        self.current = Some(self.links.len() - 1);
        self.fresh = false;
    }

    fn announce(&mut self, sink: &mut dyn Sink) {
        if let Some(stream) = self.current.and_then(|i| self.links.get(i)) {
            announce(stream, &mut self.announced, sink);
        }
    }

    /// The stream that is played, once its headers are there.
    fn stream(&self) -> Option<&Stream> {
        self.current.and_then(|i| self.links.get(i)).filter(|s| s.is_ready())
    }
}

/// Gives the track of `stream`, unless the same was given before.
fn announce(stream: &Stream, announced: &mut Option<TrackInfo>, sink: &mut dyn Sink) {
    let Some(info) = stream.info() else { return };
    if announced.as_ref() != Some(&info) {
        let first = announced.is_none();
        sink.track(info.clone());
        *announced = Some(info);
        if first {
            sink.tracks_complete();
        }
    }
}

/// Bytes before the next place where a page may begin.
fn search(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == CAPTURE[0])) {
        at += found;
        let here = &bytes[at..];
        if here.iter().zip(CAPTURE).all(|(a, b)| a == b) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

impl Demuxer for OggDemuxer {
    fn push(&mut self, mut chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        while !self.pending.is_empty() {
            let wanted = self.need.saturating_sub(self.pending.len()).min(chunk.len());
            let (more, rest) = chunk.split_at(wanted);
            self.pending.extend_from_slice(more);
            chunk = rest;
            if self.pending.len() < self.need {
                return Ok(());
            }
            let mut pending = std::mem::take(&mut self.pending);
            let taken = self.pages(&pending, sink)?;
            pending.drain(..taken);
            self.pending = pending;
        }
        let taken = self.pages(chunk, sink)?;
        self.pending.extend_from_slice(&chunk[taken..]);
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        if !self.pending.is_empty() {
            sink.warning(self.offset, "the stream ends within a page");
            self.pending.clear();
        }
        self.need = 0;
        if self.announced.is_some() {
            return Ok(());
        }
        let what = match self.unsupported {
            Some(what) if self.current.is_none() => {
                let message = ["The Ogg stream cannot be played: ", what, "."].concat();
                return Err(PlayerError::new(Code::CodecUnsupported, message));
            }
            _ => "The Ogg stream ends before its headers are complete",
        };
        Err(malformed(what, self.offset))
    }

    fn reset(&mut self) {
        self.pending.clear();
        (self.need, self.offset, self.garbage) = (0, 0, 0);
        for stream in &mut self.links {
            stream.reset();
        }
        self.others.clear();
        // Headers that are not complete are of no use any more.
        self.links.retain(Stream::is_ready);
        self.current = None;
        self.opening = self.links.is_empty();
        self.fresh = !self.links.is_empty();
        self.unsupported = None;
        self.warned_unknown = false;
    }
}
