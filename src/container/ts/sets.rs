//! Parameter sets of H.264 and HEVC: those in effect, what they say of the pictures, and when a new track is to be announced.

use crate::bytes::ByteWriter;
use crate::codec::avc::{self, SliceStart};
use crate::codec::hevc;
use crate::container::{TrackId, TrackInfo, TrackKind};
use crate::time::Timescale;

/// Largest parameter set; `avcC` and `hvcC` have 16 bits for the length of one.
pub const MAX_SET: usize = 0xffff;

/// What the NAL units are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264.
    Avc,
    /// H.265.
    #[cfg(feature = "ts-extra")]
    Hevc,
}

impl Codec {
    /// Whether it is H.265.
    pub fn is_hevc(self) -> bool {
        self != Self::Avc
    }

    /// Bytes of a NAL unit's header.
    pub fn header(self) -> usize {
        if self.is_hevc() { hevc::NAL_HEADER } else { 1 }
    }
}

/// The first sequence parameter set, read.
#[derive(Clone, Debug)]
enum Active {
    Avc(avc::Sps),
    #[cfg(feature = "ts-extra")]
    Hevc(hevc::Sps),
}

/// One parameter set.
#[derive(Clone, Debug)]
struct Set {
    id: u8,
    /// For a PPS, the SPS it refers to.
    sps_id: u8,
    bytes: Vec<u8>,
}

/// What a parameter set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Vps,
    Sps,
    Pps,
}

/// The parameter sets of a stream.
#[derive(Debug)]
pub struct Sets {
    codec: Codec,
    vps: Vec<Set>,
    sps: Vec<Set>,
    pps: Vec<Set>,
    /// The first of `sps`.
    active: Option<Active>,
    /// They differ from those of the last announcement.
    pub changed: bool,
    /// Changed sets with length prefixes, for an access unit at which no new track can start.
    pub in_band: Vec<u8>,
    /// A sequence parameter set came since this was cleared.
    pub saw_sps: bool,
}

impl Sets {
    /// None yet.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            vps: Vec::new(),
            sps: Vec::new(),
            pps: Vec::new(),
            active: None,
            changed: false,
            in_band: Vec::new(),
            saw_sps: false,
        }
    }

    /// Whether pictures can be decoded with them.
    pub fn is_complete(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty() && (!self.codec.is_hevc() || !self.vps.is_empty())
    }

    /// Whether pictures may be single fields.
    pub fn has_fields(&self) -> bool {
        matches!(&self.active, Some(Active::Avc(sps)) if !sps.frames_only)
    }

    /// The start of a slice, where fields may occur.
    pub fn slice_start(&self, head: &[u8]) -> Option<SliceStart> {
        match &self.active {
            Some(Active::Avc(sps)) if !sps.frames_only => SliceStart::parse(head, sps),
            _ => None,
        }
    }

    /// Duration of a frame as `(units, ticks per second)`.
    pub fn frame_duration(&self) -> Option<(u32, u32)> {
        match self.active.as_ref()? {
            Active::Avc(sps) => sps.frame_duration,
            #[cfg(feature = "ts-extra")]
            Active::Hevc(sps) => sps.frame_duration,
        }
    }

    /// Stores a parameter set, unless it is known or cannot be read.
    pub fn take(&mut self, set: &[u8]) {
        let Some(&header) = set.first() else { return };
        if set.len() > MAX_SET {
            return;
        }
        let nal_type = if self.codec.is_hevc() { hevc::nal_type(header) } else { header & 0x1f };
        let kind = match nal_type {
            avc::nal::SPS | hevc::nal::SPS => Kind::Sps,
            hevc::nal::VPS => Kind::Vps,
            _ => Kind::Pps,
        };
        self.saw_sps |= kind == Kind::Sps;
        let known = match kind {
            Kind::Vps => &self.vps,
            Kind::Sps => &self.sps,
            Kind::Pps => &self.pps,
        };
        if known.iter().any(|known| known.bytes == *set) {
            return;
        }
        let Some((id, sps_id)) = self.ids(kind, set) else { return };
        if kind == Kind::Sps && self.sps.iter().any(|known| known.id == id) {
            // The PPS of the old SPS may not fit the new one; those that still hold are sent again after it.
            self.pps.retain(|pps| pps.sps_id != id);
        }
        let list = match kind {
            Kind::Vps => &mut self.vps,
            Kind::Sps => &mut self.sps,
            Kind::Pps => &mut self.pps,
        };
        match list.iter_mut().find(|known| known.id == id) {
            Some(known) => *known = Set { id, sps_id, bytes: set.to_vec() },
            None => list.push(Set { id, sps_id, bytes: set.to_vec() }),
        }
        self.changed = true;
        if self.in_band.len() <= MAX_SET {
            self.in_band.extend_from_slice(&(set.len() as u32).to_be_bytes());
            self.in_band.extend_from_slice(set);
        }
    }

    /// The id of a set and of the SPS that it goes with; takes note of a new first SPS.
    fn ids(&mut self, kind: Kind, set: &[u8]) -> Option<(u8, u8)> {
        let (id, active) = match (kind, self.codec) {
            (Kind::Vps, _) => return Some((hevc::vps_id(set)?, 0)),
            (Kind::Pps, Codec::Avc) => return avc::pps_ids(set),
            #[cfg(feature = "ts-extra")]
            (Kind::Pps, Codec::Hevc) => return hevc::pps_ids(set),
            (Kind::Sps, Codec::Avc) => {
                let sps = avc::Sps::parse(set)?;
                (sps.id, Active::Avc(sps))
            }
            #[cfg(feature = "ts-extra")]
            (Kind::Sps, Codec::Hevc) => {
                let sps = hevc::Sps::parse(set)?;
                (sps.id, Active::Hevc(sps))
            }
        };
        if self.sps.first().is_none_or(|first| first.id == id) {
            self.active = Some(active);
        }
        Some((id, id))
    }

    /// The track, with all sets in its sample entry.
    pub fn describe(&self, track: TrackId, language: Option<&String>) -> Option<TrackInfo> {
        let mut info = TrackInfo::new(track, TrackKind::Video, Timescale::MPEG);
        info.language = language.cloned();
        let mut w = ByteWriter::new();
        fn bytes(sets: &[Set]) -> impl ExactSizeIterator<Item = &[u8]> {
            sets.iter().map(|set| set.bytes.as_slice())
        }
        match self.active.as_ref()? {
            Active::Avc(sps) => {
                (info.width, info.height) = (sps.width, sps.height);
                info.codec = sps.codec_string();
                avc::write_visual_entry(&mut w, b"avc1", (sps.width, sps.height), sps.sample_aspect, |w| {
                    avc::write_avcc(w, sps, bytes(&self.sps), bytes(&self.pps));
                });
            }
            #[cfg(feature = "ts-extra")]
            Active::Hevc(sps) => {
                (info.width, info.height) = (sps.width, sps.height);
                // Sets that change between random access points stay in the samples, which the name of the entry forbids; all
                // engines take them there, and some take no `hev1`.
                info.codec = sps.codec_string(b"hvc1");
                avc::write_visual_entry(&mut w, b"hvc1", (sps.width, sps.height), sps.sample_aspect, |w| {
                    hevc::write_hvcc(w, sps, true, bytes(&self.vps), bytes(&self.sps), bytes(&self.pps));
                });
            }
        }
        info.sample_entry = w.into_vec();
        Some(info)
    }
}
