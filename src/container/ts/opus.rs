//! Opus in PES packets: each access unit behind a control header (ETSI TS 103 491; "Encapsulation of Opus in MPEG-2 TS", §3).

use crate::codec::opus::{OpusHead, RATE, packet_duration};
use crate::container::{Sample, Sink, TrackId, TrackInfo, TrackKind};
use crate::time::{Ticks, Timescale};

/// Largest PES packet that is taken; a second of eight channels is far less.
const MAX_PES: usize = 256 << 10;

/// Reads one stream of Opus. Access units do not go over the borders of PES packets.
#[derive(Debug)]
pub struct OpusReader {
    track: TrackId,
    language: Option<String>,
    channels: u8,
    announced: bool,
    data: Vec<u8>,
    stamp: Option<Ticks>,
    /// Time of the next access unit, in samples.
    next: Option<Ticks>,
}

impl OpusReader {
    /// A reader that calls the sink with this track, for 1 to 8 channels in the usual layouts.
    pub fn new(track: TrackId, language: Option<String>, channels: u8) -> Self {
        Self { track, language, channels, announced: false, data: Vec::new(), stamp: None, next: None }
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
        if self.data.len() + data.len() <= MAX_PES {
            self.data.extend_from_slice(data);
        }
    }

    /// The PES packet is complete: gives its access units out.
    pub fn end_pes(&mut self, offset: u64, sink: &mut dyn Sink) {
        let data = std::mem::take(&mut self.data);
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            let Some((unit, trimmed, tail)) = control_header(rest) else {
                sink.warning(offset, "malformed Opus control header");
                break;
            };
            rest = tail;
            let Some(samples) = packet_duration(unit) else {
                sink.warning(offset, "malformed Opus packet");
                continue;
            };
            self.unit(unit, samples, trimmed, sink);
        }
        self.data = data;
        self.data.clear();
    }

    fn unit(&mut self, unit: &[u8], samples: u32, trimmed: u32, sink: &mut dyn Sink) {
        let stamped = self
            .stamp
            .take()
            .map(|t| (t.saturating_mul(RATE.into()).saturating_add(45_000)).div_euclid(90_000));
        let pts = match (self.next, stamped) {
            (Some(next), Some(t)) if next.abs_diff(t) < u64::from(samples / 2).max(60) => next,
            (_, Some(t)) => t,
            (Some(next), None) => next,
            (None, None) => return,
        };
        self.next = Some(pts.saturating_add(samples.into()));
        if !self.announced {
            let (Some(head), Some(scale)) = (OpusHead::for_channels(self.channels), Timescale::new(RATE))
            else {
                return;
            };
            let mut info = TrackInfo::new(self.track, TrackKind::Audio, scale);
            info.codec.push_str("opus");
            info.sample_entry = head.sample_entry();
            info.codec_private = head.to_bytes();
            info.sample_rate = RATE;
            info.channels = self.channels.into();
            info.language.clone_from(&self.language);
            sink.track(info);
            self.announced = true;
        }
        sink.buffer(self.track).extend_from_slice(unit);
        let size = unit.len() as u32;
        let duration = Some(samples.saturating_sub(trimmed).max(1));
        sink.sample(self.track, Sample { dts: pts, pts, duration, sync: true, size });
    }

    /// Bytes were lost: gives up the PES packet in progress.
    pub fn damage(&mut self) {
        self.data.clear();
        self.stamp = None;
    }

    /// Forgets pending data and time, for a seek.
    pub fn reset(&mut self) {
        self.damage();
        self.next = None;
    }
}

/// Takes an access unit apart: its packet, the samples to be cut off at its end, and what comes behind.
fn control_header(data: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (&[prefix, flags], mut rest) = data.split_first_chunk()?;
    if prefix != 0x7f || flags & 0xe0 != 0xe0 {
        return None;
    }
    let mut size = 0usize;
    loop {
        let (&b, tail) = rest.split_first()?;
        rest = tail;
        size = size.checked_add(b.into())?;
        if b != 255 {
            break;
        }
    }
    let trim = |rest: &mut &[u8]| {
        let (&bytes, tail) = rest.split_first_chunk()?;
        *rest = tail;
        Some(u32::from(u16::from_be_bytes(bytes) & 0x1fff))
    };
    if flags & 0x10 != 0 {
        trim(&mut rest)?;
    }
    let trimmed = if flags & 8 != 0 { trim(&mut rest)? } else { 0 };
    if flags & 4 != 0 {
        let (&extension, tail) = rest.split_first()?;
        rest = tail.get(usize::from(extension)..)?;
    }
    let (unit, rest) = rest.split_at_checked(size)?;
    Some((unit, trimmed, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_headers_are_taken_off() {
        let mut data = vec![0x7f, 0xe0, 3, 1, 2, 3];
        data.extend([0x7f, 0xfc, 255, 1, 0x01, 0x38, 0x00, 0x64, 2, 9, 9]);
        data.extend([7; 256]);
        let (unit, trimmed, rest) = control_header(&data).unwrap();
        assert_eq!((unit, trimmed), (&[1, 2, 3][..], 0));
        let (unit, trimmed, rest) = control_header(rest).unwrap();
        assert_eq!((unit, trimmed, rest), (&[7; 256][..], 100, &[][..]));
        for n in 0..data.len() {
            let _ = control_header(&data[..n]);
        }
        assert!(control_header(&[0x7f, 0xe0, 3, 1, 2]).is_none());
        assert!(control_header(&[0x7f, 0x00, 1, 1]).is_none());
    }
}
