//! MPEG-2 transport streams (ISO/IEC 13818-1), as HLS carries them: one program, H.264 and AAC.
//!
//! packets (this file) → sections ([`psi`]) or PES packets ([`pes`]) → elementary streams ([`avc`], `super::adts`, `super::frames`) → samples.
//! Everything works packet by packet on whole packets, so the samples do not depend on how the input was split.

mod avc;
mod pes;
mod psi;
mod start_code;

use self::avc::AvcReader;
use self::pes::Parsed;
use self::psi::{Pat, Pmt, PmtStream, SectionReader};
use super::adts::AdtsReader;
use super::{Demuxer, Sink, TrackId};
use crate::error::{Code, PlayerError, Result};
use crate::time::{PtsUnwrapper, Ticks};

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

/// What is done with the packets of a PID.
mod slot {
    pub const UNKNOWN: u8 = 0;
    pub const PAT: u8 = 1;
    pub const PMT: u8 = 2;
    /// Index in `streams` and this.
    pub const STREAM: u8 = 3;
}
/// Streams taken from one PMT; more are ignored.
const MAX_STREAMS: usize = 32;

#[derive(Debug)]
enum Reader {
    Avc(AvcReader),
    Adts(AdtsReader),
}

/// Progress in the PES packet of a stream.
#[derive(Debug)]
enum Pes {
    /// Waits for the next packet start.
    Skip,
    /// The header is not complete.
    Header(Vec<u8>),
    /// Payload; with the bytes left where the header tells.
    Body(Option<usize>),
}

#[derive(Debug)]
struct Stream {
    pid: u16,
    stream_type: u8,
    continuity: Option<u8>,
    pes: Pes,
    reader: Reader,
}

/// Demuxes a transport stream of 188-byte packets.
#[derive(Debug)]
pub struct TsDemuxer {
    /// Bytes that make no packet yet.
    partial: Vec<u8>,
    /// Bytes of the input before `partial`, since the last reset.
    offset: u64,
    /// Packets follow one another without a gap.
    synced: bool,
    slots: Box<[u8; 8192]>,
    pat: SectionReader,
    pat_version: Option<u8>,
    pmt: SectionReader,
    pmt_pid: Option<u16>,
    current: Option<Pmt>,
    streams: Vec<Stream>,
    /// Packets from before the first PMT.
    early: Vec<u8>,
    unwrapper: PtsUnwrapper,
    /// `tracks_complete` was called for the current PMT.
    complete: bool,
    /// First and latest time stamp since the PMT.
    span: Option<(Ticks, Ticks)>,
    warned_scrambled: bool,
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
            slots,
            pat: SectionReader::default(),
            pat_version: None,
            pmt: SectionReader::default(),
            pmt_pid: None,
            current: None,
            streams: Vec::new(),
            early: Vec::new(),
            unwrapper: PtsUnwrapper::default(),
            complete: false,
            span: None,
            warned_scrambled: false,
        }
    }

    /// Takes the whole packets of `data`, returns how many bytes were used.
    fn packets(&mut self, data: &[u8], sink: &mut dyn Sink) -> usize {
        let mut at = 0;
        loop {
            if !self.synced {
                // A sync byte counts where another follows a packet later.
                loop {
                    let Some(&next) = data.get(at + PACKET) else { return at };
                    if data[at] == SYNC && next == SYNC {
                        break;
                    }
                    at += 1;
                }
                self.synced = true;
            }
            let Some(packet) = data[at..].first_chunk::<PACKET>() else { return at };
            if packet[0] != SYNC {
                self.synced = false;
                sink.warning(self.offset + at as u64, "sync byte missing: searching for the next packet");
                continue;
            }
            self.packet(packet, self.offset + at as u64, sink);
            at += PACKET;
            at += PACKET * self.run(packet, &data[at..], sink);
        }
    }

    /// Takes the packets that go on where `packet` ended, on the short way if it was one of video.
    #[inline]
    fn run(&mut self, packet: &[u8; PACKET], data: &[u8], sink: &mut dyn Sink) -> usize {
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        let index = usize::from(self.slots[usize::from(pid)]).checked_sub(usize::from(slot::STREAM));
        let Some(stream) = index.and_then(|i| self.streams.get_mut(i)) else { return 0 };
        let (Reader::Avc(reader), Pes::Body(left)) = (&mut stream.reader, &mut stream.pes) else { return 0 };
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
            slot::PMT => self.pmt_packet(unit_start, payload, offset, sink),
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
                    stream.payload(unit_start, payload, offset, &mut self.unwrapper, &mut self.span, sink);
                }
                if !self.complete {
                    self.check_complete(sink);
                }
            }
        }
    }

    fn check_complete(&mut self, sink: &mut dyn Sink) {
        let announced = self.streams.iter().filter(|s| s.announced()).count();
        let waited_enough = self.span.is_some_and(|(first, last)| last - first > TRACK_PATIENCE);
        if announced == self.streams.len() || (announced > 0 && waited_enough) {
            self.complete = true;
            sink.tracks_complete();
        }
    }

    fn pat_packet(&mut self, unit_start: bool, payload: &[u8], offset: u64, sink: &mut dyn Sink) {
        let mut chosen = None;
        let (pmt_pid, version) = (self.pmt_pid, &mut self.pat_version);
        let result = self.pat.push(unit_start, payload, |section| {
            let Some(pat) = Pat::parse(section) else { return };
            let changed = *version != Some(pat.version);
            *version = Some(pat.version);
            let listed = |pid| pat.programs.iter().any(|&(_, p)| Some(p) == pid);
            // The first program of the table, for as long as the table stays.
            if (changed && !listed(pmt_pid) && pat.number == 0) || (pmt_pid.is_none() && chosen.is_none()) {
                chosen = pat.programs.first().map(|&(_, pid)| pid).or(chosen);
            }
        });
        if let Err(what) = result {
            sink.warning(offset, what);
        }
        if let Some(pid) = chosen.filter(|&pid| pid >= 0x10 && pid != NULL_PID && Some(pid) != self.pmt_pid) {
            if let Some(old) = self.pmt_pid {
                self.slots[usize::from(old)] = slot::UNKNOWN;
            }
            self.slots[usize::from(pid)] = slot::PMT;
            self.pmt_pid = Some(pid);
            self.pmt.reset();
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

    fn pmt_packet(&mut self, unit_start: bool, payload: &[u8], offset: u64, sink: &mut dyn Sink) {
        let mut found = None;
        let result =
            self.pmt.push(unit_start, payload, |section| found = Pmt::parse(section).or(found.take()));
        if let Err(what) = result {
            sink.warning(offset, what);
        }
        if let Some(pmt) = found.filter(|pmt| self.current.as_ref() != Some(pmt)) {
            self.apply(pmt, offset, sink);
            let early = std::mem::take(&mut self.early);
            for packet in early.as_chunks::<PACKET>().0 {
                self.packet(packet, 0, sink);
            }
        }
    }

    /// Makes the streams those of a new PMT. What goes on under the same PID and type goes on undisturbed.
    fn apply(&mut self, pmt: Pmt, offset: u64, sink: &mut dyn Sink) {
        let mut old = std::mem::take(&mut self.streams);
        for s in &old {
            self.slots[usize::from(s.pid)] = slot::UNKNOWN;
        }
        for entry in &pmt.streams {
            if self.slots[usize::from(entry.pid)] != slot::UNKNOWN || self.streams.len() >= MAX_STREAMS {
                continue;
            }
            let kept = old.iter().position(|s| s.pid == entry.pid && s.stream_type == entry.stream_type);
            let stream = match kept {
                Some(i) => old.swap_remove(i),
                None => match Stream::new(entry) {
                    Ok(stream) => stream,
                    Err("") => continue,
                    Err(what) => {
                        sink.warning(offset, what);
                        continue;
                    }
                },
            };
            self.slots[usize::from(entry.pid)] = slot::STREAM + self.streams.len() as u8;
            self.streams.push(stream);
        }
        for mut gone in old {
            gone.finish(sink);
        }
        self.current = Some(pmt);
        self.complete = false;
        self.span = None;
        self.check_complete(sink);
    }
}

impl Stream {
    /// The stream of a PMT entry; `Err` with a name for what is not supported, empty for what is no audio or video.
    fn new(entry: &PmtStream) -> std::result::Result<Self, &'static str> {
        let track = TrackId(u32::from(entry.pid));
        let language = entry
            .language
            .filter(|l| l.iter().all(u8::is_ascii_lowercase) && l != b"und")
            .map(|l| l.iter().map(|&b| char::from(b)).collect());
        let reader = match entry.stream_type {
            0x1b => Reader::Avc(AvcReader::new(track, language)),
            0x0f => Reader::Adts(AdtsReader::new(track, language)),
            other => return Err(unsupported(other, entry)),
        };
        Ok(Self { pid: entry.pid, stream_type: entry.stream_type, continuity: None, pes: Pes::Skip, reader })
    }

    fn announced(&self) -> bool {
        match &self.reader {
            Reader::Avc(r) => r.announced(),
            Reader::Adts(r) => r.announced(),
        }
    }

    fn damage(&mut self, sink: &mut dyn Sink) {
        self.pes = Pes::Skip;
        match &mut self.reader {
            Reader::Avc(r) => r.damage(sink),
            Reader::Adts(r) => r.damage(sink),
        }
    }

    /// Whether the packet is the one that was due; `false` for one sent twice (§2.4.3.3). After a loss the PES packet in
    /// progress is given up.
    #[inline]
    fn check_continuity(&mut self, counter: u8, offset: u64, sink: &mut dyn Sink) -> bool {
        match self.continuity.replace(counter) {
            Some(last) if counter == last => return false,
            Some(last) if counter != (last + 1) & 15 => {
                sink.warning(offset, "packets are missing: the damaged access unit is dropped");
                self.damage(sink);
            }
            _ => {}
        }
        true
    }

    #[inline]
    fn payload(
        &mut self,
        unit_start: bool,
        payload: &[u8],
        offset: u64,
        unwrapper: &mut PtsUnwrapper,
        span: &mut Option<(Ticks, Ticks)>,
        sink: &mut dyn Sink,
    ) {
        if unit_start {
            if matches!(self.pes, Pes::Body(Some(1..))) {
                sink.warning(offset, "PES packet shorter than it says");
                self.damage(sink);
            }
            self.pes = Pes::Header(Vec::new());
        }
        let mut payload = payload;
        let joined;
        if let Pes::Header(start) = &mut self.pes {
            let whole = if start.is_empty() {
                payload
            } else {
                start.extend_from_slice(payload);
                joined = std::mem::take(start);
                &joined
            };
            let header = match pes::parse(whole) {
                Parsed::Short if whole.len() < pes::MAX_HEADER => {
                    *start = whole.to_vec();
                    return;
                }
                Parsed::Short | Parsed::Malformed => {
                    sink.warning(offset, "malformed PES header");
                    self.damage(sink);
                    return;
                }
                Parsed::Header(header) => header,
            };
            let dts = header.dts.map(|t| unwrapper.unwrap(t));
            let pts = header.pts.map(|t| unwrapper.unwrap(t));
            if let Some(t) = dts.or(pts) {
                let (first, last) = span.get_or_insert((t, t));
                (*first, *last) = ((*first).min(t), (*last).max(t));
            }
            match &mut self.reader {
                Reader::Avc(r) => r.begin_pes(pts, dts, offset, sink),
                Reader::Adts(r) => r.begin_pes(pts),
            }
            payload = &whole[header.size..];
            self.pes = Pes::Body(header.payload);
            self.body(payload, offset, sink);
        } else {
            self.body(payload, offset, sink);
        }
    }

    #[inline]
    fn body(&mut self, payload: &[u8], offset: u64, sink: &mut dyn Sink) {
        let payload = match &mut self.pes {
            Pes::Body(None) => payload,
            Pes::Body(Some(left)) => {
                let n = payload.len().min(*left);
                *left -= n;
                &payload[..n]
            }
            Pes::Skip | Pes::Header(_) => return,
        };
        if payload.is_empty() {
            return;
        }
        match &mut self.reader {
            Reader::Avc(r) => r.push(payload, offset, sink),
            Reader::Adts(r) => r.push(payload, offset, sink),
        }
    }

    /// The segment has ended. Returns whether it cut a PES packet that told its length.
    fn finish(&mut self, sink: &mut dyn Sink) -> bool {
        self.continuity = None;
        let cut = matches!(self.pes, Pes::Body(Some(1..)) | Pes::Header(_));
        match &mut self.reader {
            Reader::Avc(r) => {
                if cut {
                    r.damage(sink);
                } else {
                    r.finish(sink);
                }
                self.pes = Pes::Skip;
            }
            // A frame may go on in the next segment.
            Reader::Adts(r) => r.finish(sink),
        }
        cut
    }
}

/// The name of a stream that is not read, for the warning; empty for data that is passed over silently (table 2-34, ATSC A/53,
/// SCTE 35).
fn unsupported(stream_type: u8, entry: &PmtStream) -> &'static str {
    match stream_type {
        0x01 | 0x02 => "MPEG-1/2 video is not supported",
        0x03 | 0x04 => "MPEG audio in MPEG-TS is not supported",
        0x10 => "MPEG-4 part 2 video is not supported",
        0x11 => "AAC in LATM is not supported",
        0x24 => "HEVC in MPEG-TS is not supported",
        0x81 => "AC-3 in MPEG-TS is not supported",
        0x87 => "E-AC-3 in MPEG-TS is not supported",
        // HLS sample encryption.
        0xdb | 0xcf | 0xc1 | 0xc2 => "encrypted elementary streams are not supported",
        0x06 if entry.tags.contains(&0x6a) => "AC-3 in MPEG-TS is not supported",
        0x06 if entry.tags.contains(&0x7a) => "E-AC-3 in MPEG-TS is not supported",
        0x06 if entry.registration == Some(*b"Opus") => "Opus in MPEG-TS is not supported",
        0x05 | 0x06 | 0x0b..=0x0d | 0x15 | 0x86 => "",
        _ => "a stream of unknown type is passed over",
    }
}

impl Demuxer for TsDemuxer {
    fn push(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<()> {
        let mut chunk = chunk;
        while !self.partial.is_empty() {
            // Enough for the packet that is cut and for the search after a loss.
            let (joined, _) = chunk.split_at(chunk.len().min(2 * PACKET));
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
        Ok(())
    }

    fn finish(&mut self, sink: &mut dyn Sink) -> Result<()> {
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
        let mut cut = false;
        for stream in &mut self.streams {
            cut |= stream.finish(sink);
        }
        if cut {
            sink.warning(self.offset, "the segment ends within a PES packet");
        }
        self.pat.reset();
        self.pmt.reset();
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
        self.pat.reset();
        self.pmt.reset();
        self.early.clear();
        for stream in &mut self.streams {
            stream.continuity = None;
            stream.pes = Pes::Skip;
            match &mut stream.reader {
                Reader::Avc(r) => r.reset(),
                Reader::Adts(r) => r.reset(),
            }
        }
    }
}
