//! AV1 in PES packets (AOM, "Carriage of AV1 in MPEG-2 TS"): OBUs behind start codes, as the specification has them, or in the low-overhead
//! format, as its drafts and older muxers have them.
//!
//! A PES packet carries a frame, and several frames of which only the last is shown make a temporal unit, which is a sample.

use super::start_code;
use crate::codec::av1::{self, Obu, SequenceHeader, obu, obus};
use crate::codec::avc::unescape;
use crate::container::{Sample, Sink, TrackId, TrackInfo, TrackKind};
use crate::time::{Ticks, Timescale};

/// Largest PES packet or temporal unit. Level 6.3 pictures stay far below; damaged streams must not fill the memory.
const MAX_UNIT: usize = 32 << 20;
/// Longest duration of a picture that is believed, in ticks.
const MAX_STEP: Ticks = 10 * 90_000;

/// Reads one stream of AV1.
#[derive(Debug)]
pub struct Av1Reader {
    track: TrackId,
    language: Option<String>,
    /// Payload of the PES packet in progress.
    data: Vec<u8>,
    /// The temporal unit in progress, as it goes into a sample.
    unit: Vec<u8>,
    /// Its last frame is shown: another frame begins the next one.
    shown: bool,
    /// Of the PES packet in progress, for the first shown frame in it.
    stamp: Option<Ticks>,
    last: Option<Ticks>,
    step: Ticks,
    /// The sequence header OBU of the announced track.
    sequence: Vec<u8>,
    announced: bool,
    /// Of sequence headers with `reduced_still_picture_header`, whose frames are all shown.
    still: bool,
    warned: bool,
}

impl Av1Reader {
    /// A reader that calls the sink with this track.
    pub fn new(track: TrackId, language: Option<String>) -> Self {
        Self {
            track,
            language,
            data: Vec::new(),
            unit: Vec::new(),
            shown: false,
            stamp: None,
            last: None,
            step: 3000,
            sequence: Vec::new(),
            announced: false,
            still: false,
            warned: false,
        }
    }

    /// Whether the sink knows the track.
    pub fn announced(&self) -> bool {
        self.announced
    }

    /// A PES packet begins: the one before is complete.
    pub fn begin_pes(&mut self, pts: Option<Ticks>, offset: u64, sink: &mut dyn Sink) {
        self.end_pes(offset, sink);
        self.stamp = pts;
    }

    /// Takes payload bytes.
    pub fn push(&mut self, data: &[u8]) {
        if self.data.len() + data.len() <= MAX_UNIT {
            self.data.extend_from_slice(data);
        }
    }

    /// The PES packet is complete.
    pub fn end_pes(&mut self, offset: u64, sink: &mut dyn Sink) {
        let data = std::mem::take(&mut self.data);
        let start = start_code::find(&data, 0).filter(|at| data[..*at].iter().all(|&b| b == 0));
        let mut broken = false;
        if let Some(at) = start {
            let mut rest = &data[at + 3..];
            while !rest.is_empty() {
                let end = start_code::find(rest, 0);
                let escaped = &rest[..end.unwrap_or(rest.len())];
                let plain = unescape(escaped);
                match obus(&plain).next() {
                    Some(found) => self.take(&found, offset, sink),
                    None => broken = true,
                }
                rest = end.map_or(&[], |end| &rest[end + 3..]);
            }
        } else {
            let mut all = obus(&data);
            for found in all.by_ref() {
                self.take(&found, offset, sink);
            }
            broken = all.is_broken();
        }
        if broken {
            sink.warning(offset, "malformed AV1");
        }
        if self.shown {
            self.end_unit(offset, sink);
        }
        self.stamp = None;
        self.data = data;
        self.data.clear();
    }

    fn take(&mut self, found: &Obu<'_>, offset: u64, sink: &mut dyn Sink) {
        let frame = matches!(found.kind, obu::FRAME | obu::FRAME_HEADER);
        let begins = frame || matches!(found.kind, obu::TEMPORAL_DELIMITER | obu::SEQUENCE_HEADER);
        if self.shown && begins {
            self.end_unit(offset, sink);
        }
        match found.kind {
            // Not in samples (the binding to MP4 §2.4); a delimiter also ends what was never shown.
            obu::TEMPORAL_DELIMITER => return self.unit.clear(),
            obu::PADDING | obu::REDUNDANT_FRAME_HEADER | obu::TILE_LIST => return,
            obu::SEQUENCE_HEADER => {
                self.still = SequenceHeader::parse(found.payload).is_some_and(|s| s.still)
            }
            _ => {}
        }
        // show_existing_frame, or show_frame (§5.9.2)
        self.shown |= frame && (self.still || found.payload.first().is_some_and(|b| b & 0x90 != 0));
        if self.unit.len() + found.whole.len() <= MAX_UNIT {
            found.write_sized(&mut self.unit);
        }
    }

    /// Gives out the temporal unit.
    fn end_unit(&mut self, offset: u64, sink: &mut dyn Sink) {
        self.shown = false;
        let unit = std::mem::take(&mut self.unit);
        // Not the first of its PES packet: one frame later.
        let pts = self.stamp.take().or_else(|| self.last.map(|last| last + self.step));
        let sync = av1::is_sync(&unit);
        if sync
            && let Some(sequence) = av1::sequence_header_obu(&unit)
            && sequence != self.sequence
        {
            self.announce(sequence, sink);
        }
        match pts {
            Some(pts) if self.announced => {
                let step = pts - self.last.unwrap_or(pts);
                if (1..=MAX_STEP).contains(&step) {
                    self.step = step;
                }
                self.last = Some(pts);
                sink.buffer(self.track).extend_from_slice(&unit);
                let size = unit.len() as u32;
                // Temporal units are presented in the order in which they are decoded.
                sink.sample(self.track, Sample { dts: pts, pts, duration: None, sync, size });
            }
            _ if !self.warned => {
                self.warned = true;
                sink.warning(offset, "AV1 picture before its sequence header, or without time stamp");
            }
            _ => {}
        }
        self.unit = unit;
        self.unit.clear();
    }

    fn announce(&mut self, sequence: Vec<u8>, sink: &mut dyn Sink) {
        let Some(header) = SequenceHeader::find(&sequence) else { return };
        let mut info = TrackInfo::new(self.track, TrackKind::Video, Timescale::MPEG);
        info.codec = header.codec_string();
        info.sample_entry = av1::sample_entry(&header.av1c(&sequence), (header.width, header.height), (1, 1));
        (info.width, info.height) = (header.width, header.height);
        info.language.clone_from(&self.language);
        sink.track(info);
        self.sequence = sequence;
        self.announced = true;
        self.warned = false;
    }

    /// Bytes were lost: gives up what is in progress.
    pub fn damage(&mut self) {
        self.data.clear();
        self.unit.clear();
        self.shown = false;
        self.stamp = None;
    }

    /// Forgets pending data and time, for a seek.
    pub fn reset(&mut self) {
        self.damage();
        self.last = None;
        self.warned = false;
    }
}
