//! Metadata: in PES packets (ID3, KLV) and in sections (SCTE 35).

use super::psi::SectionReader;
use crate::container::{Metadata, Sink};
use crate::time::Ticks;

/// Largest PES packet of metadata that is taken.
const MAX_METADATA: usize = 256 << 10;

/// Reads one stream of metadata.
#[derive(Debug)]
pub(super) enum DataReader {
    /// Gathers PES packets.
    Pes {
        /// What is not recognized is KLV.
        klv: bool,
        at: Option<Ticks>,
        data: Vec<u8>,
    },
    /// Sections in place of PES packets.
    Sections(SectionReader),
}

impl DataReader {
    pub fn new(klv: bool) -> Self {
        Self::Pes { klv, at: None, data: Vec::new() }
    }

    pub fn sections() -> Self {
        Self::Sections(SectionReader::default())
    }

    /// Bytes were lost, or others follow.
    pub fn damage(&mut self) {
        match self {
            Self::Pes { data, .. } => data.clear(),
            Self::Sections(sections) => sections.reset(),
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
        let Self::Sections(sections) = self else { return false };
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

    /// A PES packet begins.
    pub fn begin_pes(&mut self, time: Option<Ticks>, sink: &mut dyn Sink) {
        self.end_pes(sink);
        if let Self::Pes { at, .. } = self {
            *at = time;
        }
    }

    /// Takes payload, with which the PES packet may be `complete`.
    pub fn push(&mut self, payload: &[u8], complete: bool, sink: &mut dyn Sink) {
        if let Self::Pes { data, .. } = self
            && data.len() + payload.len() <= MAX_METADATA
        {
            data.extend_from_slice(payload);
        }
        if complete {
            self.end_pes(sink);
        }
    }

    /// The PES packet is complete.
    fn end_pes(&mut self, sink: &mut dyn Sink) {
        /// Start of a SMPTE universal label.
        const LABEL: [u8; 4] = [0x06, 0x0e, 0x2b, 0x34];
        /// Bytes of the header of an access unit cell (ISO/IEC 13818-1 §2.12.4).
        const CELL: usize = 5;
        let Self::Pes { klv, at, data } = self else { return };
        let mut data = std::mem::take(data);
        if data.get(CELL..).is_some_and(|d| d.starts_with(&LABEL) || d.starts_with(b"ID3")) {
            data.drain(..CELL);
        }
        let data = if data.starts_with(b"ID3") {
            Metadata::Id3(data)
        } else if data.starts_with(&LABEL) || (*klv && !data.is_empty()) {
            Metadata::Klv(data)
        } else {
            return;
        };
        sink.metadata(None, *at, data);
    }

    /// The segment has ended, perhaps within a PES packet.
    pub fn finish(&mut self, cut: bool, sink: &mut dyn Sink) {
        if cut || matches!(self, Self::Sections(_)) {
            self.damage();
        } else {
            self.end_pes(sink);
        }
    }
}
