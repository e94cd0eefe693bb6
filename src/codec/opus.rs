//! Opus: identification header, sample entry, durations of packets (RFC 7845, RFC 6716, Encapsulation of Opus in ISOBMFF).

use super::aac::write_audio_entry;
use crate::bytes::{ByteReader, ByteWriter};

/// Opus is always decoded at this rate; granule positions and pre-skip count in it (RFC 7845 §4).
pub const RATE: u32 = 48_000;

/// Longest packet: 120 ms (RFC 6716 §3.2, R5), in samples at [`RATE`].
pub const MAX_PACKET: u32 = 5_760;

/// What a decoder is set up with: the content of an `OpusHead` packet (RFC 7845 §5.1) or of a `dOps` box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// Channels that come out. Never 0.
    pub channels: u8,
    /// Samples at [`RATE`] to throw away at the start.
    pub pre_skip: u16,
    /// Rate of the encoder's input, for information only; 0 where it is not known.
    pub input_rate: u32,
    /// Gain in 1/256 dB to apply when decoding.
    pub gain: i16,
    /// Channel mapping family: 0 (mono, stereo), 1 (Vorbis order, up to 8), 2 (ambisonics), 255 (unordered).
    pub family: u8,
    /// Stream count, coupled count and one index per channel; empty for family 0.
    pub table: Vec<u8>,
}

impl OpusHead {
    /// Mono, stereo or surround in the usual layouts of family 1 (RFC 7845 §5.1.1.2), as systems imply them that carry no
    /// header of their own. `None` for other than 1 to 8 channels.
    pub fn for_channels(channels: u8) -> Option<Self> {
        // Streams, coupled streams, channel mapping: as libopus sets them up for surround.
        const TABLES: [&[u8]; 6] = [
            &[2, 1, 0, 2, 1],
            &[2, 2, 0, 1, 2, 3],
            &[3, 2, 0, 4, 1, 2, 3],
            &[4, 2, 0, 4, 1, 2, 3, 5],
            &[4, 3, 0, 4, 1, 2, 3, 5, 6],
            &[5, 3, 0, 6, 1, 2, 3, 4, 5, 7],
        ];
        let (family, table) = match channels {
            1 | 2 => (0, Vec::new()),
            c => (1, TABLES.get(usize::from(c).checked_sub(3)?)?.to_vec()),
        };
        Some(Self { channels, pre_skip: 0, input_rate: RATE, gain: 0, family, table })
    }

    /// Reads an `OpusHead` packet, as in Ogg and in CodecPrivate of Matroska. `None`: none, cut, or of a mapping family or
    /// version that is not known.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let body = packet.strip_prefix(b"OpusHead")?;
        let (&[version, channels, p0, p1, r0, r1, r2, r3, g0, g1, family], table) =
            body.split_first_chunk()?;
        // Minor versions are compatible (§5.1).
        if version >> 4 != 0 {
            return None;
        }
        Self {
            channels,
            pre_skip: u16::from_le_bytes([p0, p1]),
            input_rate: u32::from_le_bytes([r0, r1, r2, r3]),
            gain: i16::from_le_bytes([g0, g1]),
            family,
            table: Vec::new(),
        }
        .with_table(table)
    }

    /// Reads the body of a `dOps` box (Encapsulation of Opus in ISOBMFF §4.3.2).
    pub fn parse_dops(body: &[u8]) -> Option<Self> {
        let mut r = ByteReader::new(body);
        if r.u8()? != 0 {
            return None;
        }
        let head = Self {
            channels: r.u8()?,
            pre_skip: r.u16()?,
            input_rate: r.u32()?,
            gain: r.u16()?.cast_signed(),
            family: r.u8()?,
            table: Vec::new(),
        };
        head.with_table(r.rest())
    }

    fn with_table(mut self, rest: &[u8]) -> Option<Self> {
        match (self.family, self.channels) {
            (_, 0) => return None,
            (0, 1 | 2) => {}
            (1, 1..=8) | (2 | 255, _) => {
                let table = rest.get(..2 + usize::from(self.channels))?;
                let (&[streams, coupled], mapping) = table.split_first_chunk()?;
                let decoded = u16::from(streams) + u16::from(coupled);
                // 255 is silence (§5.1.1).
                let named = mapping.iter().all(|&i| i == 255 || u16::from(i) < decoded);
                if streams == 0 || coupled > streams || decoded > 255 || !named {
                    return None;
                }
                self.table = table.to_vec();
            }
            _ => return None,
        }
        Some(self)
    }

    /// The `OpusHead` packet: what Matroska calls CodecPrivate.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(19 + self.table.len());
        out.extend_from_slice(b"OpusHead\x01");
        out.push(self.channels);
        out.extend_from_slice(&self.pre_skip.to_le_bytes());
        out.extend_from_slice(&self.input_rate.to_le_bytes());
        out.extend_from_slice(&self.gain.to_le_bytes());
        out.push(self.family);
        out.extend_from_slice(&self.table);
        out
    }

    /// The whole sample entry `Opus` with its `dOps` (Encapsulation of Opus in ISOBMFF §4.3).
    pub fn sample_entry(&self) -> Vec<u8> {
        let mut w = ByteWriter::new();
        write_audio_entry(&mut w, b"Opus", self.channels.into(), RATE, |w| {
            w.boxed(b"dOps", |w| {
                w.bytes(&[0, self.channels]);
                w.u16(self.pre_skip);
                w.u32(self.input_rate);
                w.u16(self.gain.cast_unsigned());
                w.u8(self.family);
                w.bytes(&self.table);
            });
        });
        w.into_vec()
    }
}

/// Samples at [`RATE`] that a packet decodes to; its first two bytes are enough (RFC 6716 §3.1). `None` for what no
/// packet can begin with.
pub fn packet_duration(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    // In units of 2.5 ms.
    let frame: u32 = match config {
        0..=11 => [4, 8, 16, 24][usize::from(config & 3)],
        12..=15 => [4, 8][usize::from(config & 1)],
        _ => [1, 2, 4, 8][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 63),
    };
    Some(frame * frames * (RATE / 400)).filter(|d| *d > 0 && *d <= MAX_PACKET)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEREO: [u8; 19] =
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 1, 2, 0x38, 1, 0x44, 0xac, 0, 0, 0, 1, 0];

    #[test]
    fn a_head_survives_every_wrapping() {
        let head = OpusHead::parse(&STEREO).unwrap();
        assert_eq!((head.channels, head.pre_skip, head.input_rate, head.gain), (2, 312, 44_100, 256));
        assert_eq!(head.to_bytes(), STEREO);
        for channels in 1..=8 {
            let head = OpusHead { pre_skip: 312, gain: -5, ..OpusHead::for_channels(channels).unwrap() };
            assert_eq!(OpusHead::parse(&head.to_bytes()).as_ref(), Some(&head));
            let entry = head.sample_entry();
            assert_eq!(OpusHead::parse_dops(&entry[36 + 8..]).as_ref(), Some(&head));
            assert_eq!(entry.len(), 36 + 8 + 11 + head.table.len());
        }
        assert_eq!(OpusHead::for_channels(9), None);
        let many = [&STEREO[..9], &[3, 0, 0, 0, 0, 0, 0, 0, 0, 255, 3, 0, 2, 1, 0]].concat();
        assert_eq!(OpusHead::parse(&many).map(|h| (h.family, h.table.len())), Some((255, 5)));
    }

    #[test]
    fn heads_that_break_the_rules_are_refused() {
        let with = |at: usize, v: u8| {
            let mut head = STEREO;
            head[at] = v;
            OpusHead::parse(&head)
        };
        assert_eq!([with(8, 0x10), with(9, 0), with(9, 3), with(18, 1), with(18, 3)], [const { None }; 5]);
        for n in 0..STEREO.len() {
            assert_eq!(OpusHead::parse(&STEREO[..n]), None);
        }
        // An index beyond the decoded channels; more coupled streams than streams.
        for table in [[1, 1, 0, 2], [1, 2, 0, 1]] {
            let mut head = STEREO.to_vec();
            head[18] = 1;
            head.extend_from_slice(&table);
            assert_eq!(OpusHead::parse(&head), None);
        }
    }

    #[test]
    fn packets_tell_their_duration() {
        assert_eq!(packet_duration(&[0xfc]), Some(960));
        assert_eq!(packet_duration(&[0x03, 3]), Some(1440));
        assert_eq!(packet_duration(&[0x18 | 1]), Some(5760), "two frames of 60 ms");
        assert_eq!(packet_duration(&[0x80]), Some(120));
        assert_eq!([packet_duration(&[]), packet_duration(&[3]), packet_duration(&[3, 0])], [None; 3]);
        assert_eq!(packet_duration(&[0x1b, 3]), None, "more than 120 ms");
    }
}
