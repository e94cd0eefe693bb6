//! MPEG-2 transport streams (ISO/IEC 13818-1), in packets of 188, 192 (a time stamp in front, as discs and recorders write) or 204 bytes (an
//! outer code behind).
//!
//! packets (this file) → sections ([`psi`], [`programs`]) or PES packets ([`stream`], [`pes`]) → elementary streams ([`nal`], [`av1`], [`opus`],
//! `super::adts`, `super::frames`) → samples.
//! Everything works packet by packet on whole packets, so the samples do not depend on how the input was split.

#[cfg(feature = "ts-extra")]
mod av1;
mod data;
mod nal;
#[cfg(feature = "ts-extra")]
mod opus;
mod pes;
mod programs;
mod psi;
mod sets;
mod start_code;
mod stream;

use self::programs::Programs;
use self::psi::{Pmt, PmtStream};
use self::stream::{Clock, Pes, Reader, Stream};
use super::{Demuxer, Sink, TrackId};
use crate::error::{Code, PlayerError, Result};
use crate::time::Ticks;

/// Bytes of a transport packet (§2.4.3.2).
const PACKET: usize = 188;
const SYNC: u8 = 0x47;
const NULL_PID: u16 = 0x1fff;
/// Packets kept until the first PMT comes: streams that are cut anywhere may have it late. A megabyte is seconds of
/// the usual rates.
const MAX_EARLY: usize = 1 << 20;
/// A stream of the PMT that has given nothing while others went on this long (90 kHz) is not waited for.
/// Multiplexers send audio up to a second or so behind the video of the same time.
const TRACK_PATIENCE: Ticks = 2 * 90_000;

/// Bytes from one packet to the next: plain, with a time stamp, with an outer code.
const STRIDES: [usize; 3] = [PACKET, 192, 204];
/// Sync bytes that are looked at to tell the stride: this far from the first.
const REACH: usize = 2 * 204;

/// What is done with the packets of a PID.
mod slot {
    pub const UNKNOWN: u8 = 0;
    pub const PAT: u8 = 1;
    pub const PMT: u8 = 2;
    /// Index in `streams` and this.
    pub const STREAM: u8 = 3;
}
/// What is said of streams that only a build with the feature `ts-extra` reads.
#[cfg(not(feature = "ts-extra"))]
pub const ABSENT: &str = "a stream of MPEG-TS that is not in this build";

/// Streams taken from one PMT; more are ignored.
const MAX_STREAMS: usize = 32;

/// Demuxes a transport stream: of several programs the first one, in the order of the PAT, that has both video and audio, else the first
/// that has either.
#[derive(Debug)]
pub struct TsDemuxer {
    /// Bytes that make no packet yet.
    partial: Vec<u8>,
    /// Bytes of the input before `partial`, since the last reset.
    offset: u64,
    /// Packets follow one another without a gap.
    synced: bool,
    /// From one packet to the next, once it is known.
    stride: Option<usize>,
    /// Bytes of the input to pass over before the next packet.
    skip: usize,
    slots: Box<[u8; 8192]>,
    programs: Programs,
    current: Option<Pmt>,
    streams: Vec<Stream>,
    /// Packets from before the first PMT.
    early: Vec<u8>,
    clock: Clock,
    /// `tracks_complete` was called for the current PMT.
    complete: bool,
    warned_scrambled: bool,
    /// Without a stream that this build does not read, there is no sound or no picture.
    #[cfg(not(feature = "ts-extra"))]
    absent: bool,
}

impl Default for TsDemuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl TsDemuxer {
    /// A demuxer before its first byte.
    pub fn new() -> Self {
        let mut slots = Box::new([slot::UNKNOWN; 8192]);
        slots[0] = slot::PAT;
        Self {
            partial: Vec::new(),
            offset: 0,
            synced: false,
            stride: None,
            skip: 0,
            slots,
            programs: Programs::default(),
            current: None,
            streams: Vec::new(),
            early: Vec::new(),
            clock: Clock::default(),
            complete: false,
            warned_scrambled: false,
            #[cfg(not(feature = "ts-extra"))]
            absent: false,
        }
    }

    /// Takes the whole packets of `data`, returns how many bytes were used.
    fn packets(&mut self, data: &[u8], sink: &mut dyn Sink) -> usize {
        let mut at = self.skip.min(data.len());
        self.skip -= at;
        if self.skip > 0 {
            return at;
        }
        loop {
            let stride = match self.stride {
                Some(stride) if self.synced => stride,
                _ => match self.search(data, at) {
                    (found, Some(stride)) => {
                        at = found;
                        self.stride = Some(stride);
                        self.synced = true;
                        stride
                    }
                    (found, None) => return found,
                },
            };
            let Some(packet) = data[at..].first_chunk::<PACKET>() else { return at };
            if packet[0] != SYNC {
                self.synced = false;
                sink.warning(self.offset + at as u64, "sync byte missing: searching for the next packet");
                continue;
            }
            self.packet(packet, self.offset + at as u64, sink);
            at += PACKET;
            if stride == PACKET {
                at += PACKET * self.run(packet, &data[at..], sink);
            } else {
                at += stride - PACKET;
                if let Some(beyond) = at.checked_sub(data.len()) {
                    self.skip = beyond;
                    return data.len();
                }
            }
        }
    }

    /// The first place from `at` on where packets seem to begin, with their stride; `None`: too few bytes follow it to tell.
    fn search(&self, data: &[u8], mut at: usize) -> (usize, Option<usize>) {
        loop {
            let Some(ahead) = data[at..].iter().position(|&b| b == SYNC) else { return (data.len(), None) };
            at += ahead;
            // A sync byte counts where another follows a packet later; two, where that tells the stride.
            let strides = match &self.stride {
                Some(known) => std::slice::from_ref(known),
                None => &STRIDES[..],
            };
            for &stride in strides {
                let wanted = if stride == PACKET || self.stride.is_some() { 1 } else { 2 };
                let mut follow = (1..=wanted).map(|n| data.get(at + n * stride));
                match follow.find(|b| *b != Some(&SYNC)) {
                    None => return (at, Some(stride)),
                    Some(None) => return (at, None),
                    Some(Some(_)) => {}
                }
            }
            at += 1;
        }
    }

    /// Takes the packets that go on where `packet` ended, on the short way if it was one of video.
    #[inline]
    fn run(&mut self, packet: &[u8; PACKET], data: &[u8], sink: &mut dyn Sink) -> usize {
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        let index = usize::from(self.slots[usize::from(pid)]).checked_sub(usize::from(slot::STREAM));
        let Some(stream) = index.and_then(|i| self.streams.get_mut(i)) else { return 0 };
        let (Reader::Nal(reader), Pes::Body(left)) = (&mut stream.reader, &mut stream.pes) else { return 0 };
        let Some(last) = stream.continuity else { return 0 };
        // Payload alone, not scrambled, no start of a PES packet.
        let header = u32::from(SYNC) << 24 | u32::from(pid) << 8 | 0x10 | u32::from((last + 1) & 15);
        let most = left.map_or(usize::MAX, |left| left / start_code::PAYLOAD);
        let taken = reader.push_run(data, header, most, sink);
        stream.continuity = Some((usize::from(last) + taken) as u8 & 15);
        if let Some(left) = left {
            *left -= taken * start_code::PAYLOAD;
        }
        taken
    }

    fn packet(&mut self, packet: &[u8; PACKET], offset: u64, sink: &mut dyn Sink) {
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        let slot = self.slots[usize::from(pid)];
        if slot == slot::UNKNOWN {
            if self.current.is_none() && pid != NULL_PID && self.early.len() < MAX_EARLY {
                self.early.extend_from_slice(packet);
            }
            return;
        }
        if packet[1] & 0x80 != 0 {
            // transport_error_indicator: the continuity counter of the next packet tells the loss.
            return;
        }
        let control = packet[3];
        let mut start = 4;
        let mut discontinuity = false;
        if control & 0x20 != 0 {
            let len = usize::from(packet[4]);
            start += 1 + len;
            discontinuity = len > 0 && packet[5] & 0x80 != 0;
        }
        let unit_start = packet[1] & 0x40 != 0;
        let payload = if control & 0x10 != 0 { packet.get(start..).unwrap_or_default() } else { &[] };
        match slot {
            slot::PAT => self.pat_packet(unit_start, payload, offset, sink),
            slot::PMT => self.pmt_packet(pid, unit_start, payload, offset, sink),
            _ => {
                if control & 0xc0 != 0 {
                    if !self.warned_scrambled {
                        self.warned_scrambled = true;
                        sink.warning(offset, "scrambled packets are not supported");
                    }
                    return;
                }
                let index = usize::from(slot - slot::STREAM);
                let Some(stream) = self.streams.get_mut(index) else { return };
                if discontinuity {
                    stream.continuity = None;
                }
                if payload.is_empty() {
                    return;
                }
                if stream.check_continuity(control & 15, offset, sink) {
                    stream.payload(unit_start, payload, offset, &mut self.clock, sink);
                }
                if !self.complete {
                    self.check_complete(sink);
                }
            }
        }
    }

    fn check_complete(&mut self, sink: &mut dyn Sink) {
        let announced = self.streams.iter().filter(|s| s.announced()).count();
        let media = self.streams.iter().filter(|s| s.is_media()).count();
        let waited_enough = self.clock.span.is_some_and(|(first, last)| last - first > TRACK_PATIENCE);
        if announced == media || (announced > 0 && waited_enough) {
            self.complete = true;
            sink.tracks_complete();
        }
    }

    fn pat_packet(&mut self, unit_start: bool, payload: &[u8], offset: u64, sink: &mut dyn Sink) {
        let (added, removed) = match self.programs.pat(unit_start, payload) {
            Ok(changes) => changes,
            Err(what) => return sink.warning(offset, what),
        };
        for pid in removed {
            let slot = &mut self.slots[usize::from(pid)];
            if *slot == slot::PMT {
                *slot = slot::UNKNOWN;
            }
        }
        for pid in added {
            // The PAT says so: what was a stream under this PID has ended.
            if let Some(stream) = self.streams.iter_mut().find(|s| s.pid == pid) {
                stream.finish(offset, sink);
            }
            self.slots[usize::from(pid)] = slot::PMT;
            self.replay(pid, sink);
        }
    }

    /// The PMT's packets may be among those from before the PAT.
    fn replay(&mut self, pid: u16, sink: &mut dyn Sink) {
        let early = std::mem::take(&mut self.early);
        let (chunks, _) = early.as_chunks::<PACKET>();
        let of_pmt = |p: &&[u8; PACKET]| u16::from(p[1] & 0x1f) << 8 | u16::from(p[2]) == pid;
        self.early = chunks.iter().filter(|p| !of_pmt(p)).flatten().copied().collect();
        for packet in chunks.iter().filter(of_pmt) {
            self.packet(packet, 0, sink);
        }
    }

    fn pmt_packet(&mut self, pid: u16, unit_start: bool, payload: &[u8], offset: u64, sink: &mut dyn Sink) {
        match self.programs.pmt(pid, unit_start, payload) {
            Ok(chosen) => self.choose(chosen, offset, sink),
            Err(what) => sink.warning(offset, what),
        }
    }

    /// Goes on with a PMT, if it is another one.
    fn choose(&mut self, pmt: Option<Pmt>, offset: u64, sink: &mut dyn Sink) {
        if let Some(pmt) = pmt.filter(|pmt| self.current.as_ref() != Some(pmt)) {
            self.apply(pmt, offset, sink);
            let early = std::mem::take(&mut self.early);
            for packet in early.as_chunks::<PACKET>().0 {
                self.packet(packet, 0, sink);
            }
        }
    }

    /// Makes the streams those of a new PMT. What goes on under the same PID and type goes on undisturbed. What comes in the place of a
    /// stream of its kind is the same track with other parameters: another one would not be played.
    fn apply(&mut self, pmt: Pmt, offset: u64, sink: &mut dyn Sink) {
        let mut old = std::mem::take(&mut self.streams);
        for s in &old {
            let slot = &mut self.slots[usize::from(s.pid)];
            // The PAT may have taken the PID for a PMT.
            if *slot >= slot::STREAM {
                *slot = slot::UNKNOWN;
            }
        }
        let goes_on =
            |s: &Stream, entry: &PmtStream| (s.pid, s.stream_type) == (entry.pid, entry.stream_type);
        for entry in &pmt.streams {
            if self.slots[usize::from(entry.pid)] != slot::UNKNOWN || self.streams.len() >= MAX_STREAMS {
                continue;
            }
            let stream = match old.iter().position(|s| goes_on(s, entry)) {
                Some(i) => old.remove(i),
                None => {
                    let gone = |s: &Stream| !pmt.streams.iter().any(|entry| goes_on(s, entry));
                    let before = old.iter().position(|s| gone(s) && s.is_like(entry));
                    let track = match before.map(|i| old.remove(i)) {
                        Some(mut before) => {
                            before.finish(offset, sink);
                            before.track
                        }
                        // Its PID, unless a stream in the place of another has that for a name.
                        None => {
                            let taken = |id: &u32| self.streams.iter().chain(&old).any(|s| s.track.0 == *id);
                            let mut ids = (u32::from(entry.pid)..).step_by(self.slots.len());
                            TrackId(ids.find(|id| !taken(id)).unwrap_or(0))
                        }
                    };
                    match Stream::new(entry, track) {
                        Ok(stream) => stream,
                        Err("") => continue,
                        Err(what) => {
                            sink.warning(offset, what);
                            continue;
                        }
                    }
                }
            };
            self.slots[usize::from(entry.pid)] = slot::STREAM + self.streams.len() as u8;
            self.streams.push(stream);
        }
        #[cfg(not(feature = "ts-extra"))]
        {
            let absent = |entry: &PmtStream| matches!(stream::Kind::of(entry), stream::Kind::Other(ABSENT));
            let media = self.streams.iter().filter(|s| s.is_media()).count();
            self.absent = media < 2 && pmt.streams.iter().any(absent);
        }
        for mut gone in old {
            gone.finish(offset, sink);
        }
        self.current = Some(pmt);
        self.complete = false;
        self.clock.span = None;
        self.check_complete(sink);
    }
}

impl TsDemuxer {
    /// An error where another build plays more of the stream.
    fn check_absent(&self) -> Result<()> {
        #[cfg(not(feature = "ts-extra"))]
        if self.absent {
            return Err(PlayerError::new(Code::ContainerUnsupported, ABSENT));
        }
        Ok(())
    }
}

impl Demuxer for TsDemuxer {
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let mut chunk = chunk;
        while !self.partial.is_empty() {
            // Enough for the packet that is cut and for the search after a loss.
            let (joined, _) = chunk.split_at(chunk.len().min(REACH + PACKET));
            let before = self.partial.len();
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(joined);
            let used = self.packets(&partial, sink);
            self.offset += used as u64;
            if used >= before {
                chunk = &chunk[used - before..];
                break;
            }
            partial.drain(..used);
            self.partial = partial;
            chunk = &chunk[joined.len()..];
            if chunk.is_empty() {
                return Ok(());
            }
        }
        let used = self.packets(chunk, sink);
        self.offset += used as u64;
        self.partial.extend_from_slice(&chunk[used..]);
        self.check_absent()
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
        self.check_absent()?;
        let rest = std::mem::take(&mut self.partial);
        match rest.first_chunk::<PACKET>() {
            // The last packet after a gap, or the only one: no other sync byte follows.
            Some(packet) if packet[0] == SYNC && rest.len() == PACKET => {
                self.packet(packet, self.offset, sink)
            }
            _ if rest.is_empty() => {}
            _ => sink.warning(self.offset, "the last packet is cut off"),
        }
        self.offset += rest.len() as u64;
        self.synced = false;
        self.skip = 0;
        if self.current.is_none() {
            // What a program waited for has not come.
            let chosen = self.programs.settle();
            self.choose(chosen, self.offset, sink);
        }
        let mut cut = false;
        for stream in &mut self.streams {
            cut |= stream.finish(self.offset, sink);
        }
        if cut {
            sink.warning(self.offset, "the segment ends within a PES packet");
        }
        self.programs.reset();
        self.early.clear();
        if self.current.is_none() {
            return Err(PlayerError::new(Code::MediaMalformed, "The segment has no program map table.")
                .at(self.offset));
        }
        if !self.complete {
            self.complete = true;
            sink.tracks_complete();
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.partial.clear();
        self.offset = 0;
        self.synced = false;
        self.skip = 0;
        self.programs.reset();
        self.early.clear();
        // What comes next is of another time.
        self.clock.now = None;
        for stream in &mut self.streams {
            stream.reset();
        }
    }
}
