//! Streams that HLS does without: Opus, and metadata in PES packets (ID3, KLV) and in sections (SCTE 35).

use super::opus::OpusReader;
use super::psi::SectionReader;
use crate::container::{Metadata, Sink, TrackId};
use crate::time::Ticks;

/// Largest PES packet of metadata that is taken.
const MAX_METADATA: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Extra(Kind);

#[derive(Debug)]
enum Kind {
    Opus(Box<OpusReader>),
    Data(DataReader),
    /// Sections in place of PES packets.
    Sections(SectionReader),
}

/// Gathers PES packets of metadata.
#[derive(Debug, Default)]
struct DataReader {
    klv: bool,
    at: Option<Ticks>,
    data: Vec<u8>,
}

impl DataReader {
    fn push(&mut self, data: &[u8]) {
        if self.data.len() + data.len() <= MAX_METADATA {
            self.data.extend_from_slice(data);
        }
    }

    /// The PES packet is complete.
    fn end_pes(&mut self, sink: &mut dyn Sink) {
        /// Start of a SMPTE universal label.
        const LABEL: [u8; 4] = [0x06, 0x0e, 0x2b, 0x34];
        /// Bytes of the header of an access unit cell (ISO/IEC 13818-1 §2.12.4).
        const CELL: usize = 5;
        let mut data = std::mem::take(&mut self.data);
        if data.get(CELL..).is_some_and(|d| d.starts_with(&LABEL) || d.starts_with(b"ID3")) {
            data.drain(..CELL);
        }
        let data = if data.starts_with(b"ID3") {
            Metadata::Id3(data)
        } else if data.starts_with(&LABEL) || (self.klv && !data.is_empty()) {
            Metadata::Klv(data)
        } else {
            return;
        };
        sink.metadata(None, self.at, data);
    }
}

impl Extra {
    pub fn opus(track: TrackId, language: Option<String>, channels: u8) -> Self {
        Self(Kind::Opus(Box::new(OpusReader::new(track, language, channels))))
    }

    pub fn data(klv: bool) -> Self {
        Self(Kind::Data(DataReader { klv, ..DataReader::default() }))
    }

    pub fn sections() -> Self {
        Self(Kind::Sections(SectionReader::default()))
    }

    pub fn is_media(&self) -> bool {
        matches!(self.0, Kind::Opus(_))
    }

    pub fn announced(&self) -> bool {
        matches!(&self.0, Kind::Opus(r) if r.announced())
    }

    pub fn damage(&mut self) {
        match &mut self.0 {
            Kind::Opus(r) => r.damage(),
            Kind::Data(r) => r.data.clear(),
            Kind::Sections(r) => r.reset(),
        }
    }

    pub fn reset(&mut self) {
        match &mut self.0 {
            Kind::Opus(r) => r.reset(),
            _ => self.damage(),
        }
    }

    /// Takes the payload of a packet, if it is of sections. `now`: the latest time of any stream.
    pub fn take_section(
        &mut self,
        unit_start: bool,
        payload: &[u8],
        now: Option<Ticks>,
        offset: u64,
        sink: &mut dyn Sink,
    ) -> bool {
        let Kind::Sections(sections) = &mut self.0 else { return false };
        let result = sections.push(unit_start, payload, &mut |section| {
            // splice_info_section
            if section.first() == Some(&0xfc) {
                sink.metadata(None, now, Metadata::Scte35(section.to_vec()));
            }
        });
        if let Err(what) = result {
            sink.warning(offset, what);
        }
        true
    }

    /// A PES packet begins. `now`: the latest time of any stream.
    pub fn begin_pes(&mut self, pts: Option<Ticks>, now: Option<Ticks>, offset: u64, sink: &mut dyn Sink) {
        match &mut self.0 {
            Kind::Opus(r) => r.begin_pes(pts, offset, sink),
            Kind::Data(r) => {
                r.end_pes(sink);
                r.at = pts.or(now);
            }
            Kind::Sections(_) => {}
        }
    }

    /// Takes payload, with which the PES packet may be `complete`.
    pub fn push(&mut self, payload: &[u8], complete: bool, offset: u64, sink: &mut dyn Sink) {
        match &mut self.0 {
            Kind::Opus(r) => r.push(payload),
            Kind::Data(r) => r.push(payload),
            Kind::Sections(_) => {}
        }
        if complete {
            self.end_pes(offset, sink);
        }
    }

    fn end_pes(&mut self, offset: u64, sink: &mut dyn Sink) {
        match &mut self.0 {
            Kind::Opus(r) => r.end_pes(offset, sink),
            Kind::Data(r) => r.end_pes(sink),
            Kind::Sections(_) => {}
        }
    }

    /// The segment has ended, perhaps within a PES packet.
    pub fn finish(&mut self, cut: bool, offset: u64, sink: &mut dyn Sink) {
        if cut || matches!(self.0, Kind::Sections(_)) {
            self.damage();
        } else {
            self.end_pes(offset, sink);
        }
    }
}
