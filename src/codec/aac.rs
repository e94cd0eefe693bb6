//! AAC: ADTS headers, `AudioSpecificConfig`, `esds` and `mp4a` (ISO/IEC 14496-3, ISO/IEC 14496-14).
//!
//! **HE-AAC in ADTS.** ADTS can only name the core (AAC-LC at half the rate); SBR shows itself by an extension payload in
//! the frames ("implicit signalling", ISO/IEC 14496-3 §4.5.2.8.2.2). Engines want it told: Chromium asks for `mp4a.40.5` in the
//! type, decoders of some platforms play the core alone otherwise. Players commonly take every core rate up to 24 kHz
//! for HE-AAC; plain AAC-LC at 22.05 kHz is then mislabelled, and decoded at twice the rate for nothing. Here the
//! frames are asked: [`carries_sbr`] looks for the payload at the end of the first frames (5.1 is taken by its rate), and
//! [`AudioSpecificConfig::from_adts`] then writes explicit hierarchical signalling (object type 5, the form that HLS
//! players have sent to all engines for years). Parametric stereo lies deeper in the SBR payload and is left implicit: every
//! decoder that takes SBR looks for it in mono streams.

use crate::bytes::{BitReader, BitWriter, ByteWriter};

/// Sampling rates by `samplingFrequencyIndex` (ISO/IEC 14496-3 table 1.18).
pub const SAMPLING_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/// Highest core rate at which SBR is looked for: profiles up to HE-AAC level 4 end at 48 kHz of output.
pub const MAX_SBR_CORE_RATE: u32 = 24_000;

/// Samples per channel and AAC frame, at the core rate.
pub const FRAME_SAMPLES: u32 = 1024;

/// An ADTS frame header (ISO/IEC 14496-3 §1.A.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHeader {
    /// Audio object type, 1 to 4; 2 is AAC-LC.
    pub object_type: u8,
    /// Index into [`SAMPLING_RATES`].
    pub rate_index: u8,
    /// `channel_configuration`; 0 means that a program_config_element in the frame tells.
    pub channel_config: u8,
    /// Bytes of the header: 7, or 9 with a CRC.
    pub header_size: u8,
    /// Bytes of the frame, header included.
    pub frame_size: u16,
    /// Raw data blocks in the frame: 1 to 4.
    pub blocks: u8,
}

impl AdtsHeader {
    /// Bytes that [`Self::parse`] reads.
    pub const SIZE: usize = 7;

    /// Reads the fixed and variable header. `None` if these bytes cannot start a frame.
    pub fn parse(b: &[u8; Self::SIZE]) -> Option<Self> {
        // Sync word of 12 ones; layer is always 0.
        if b[0] != 0xff || b[1] & 0xf6 != 0xf0 {
            return None;
        }
        let header = Self {
            object_type: (b[2] >> 6) + 1,
            rate_index: b[2] >> 2 & 15,
            channel_config: (b[2] & 1) << 2 | b[3] >> 6,
            header_size: if b[1] & 1 == 1 { 7 } else { 9 },
            frame_size: u16::from(b[3] & 3) << 11 | u16::from(b[4]) << 3 | u16::from(b[5] >> 5),
            blocks: (b[6] & 3) + 1,
        };
        let valid = usize::from(header.rate_index) < SAMPLING_RATES.len()
            && header.frame_size > u16::from(header.header_size);
        valid.then_some(header)
    }

    /// Samples per second of the core.
    pub fn sampling_rate(&self) -> u32 {
        SAMPLING_RATES[usize::from(self.rate_index)]
    }

    /// Whether two frames have the same fixed header as far as decoding goes.
    pub fn same_stream(&self, other: &Self) -> bool {
        (self.object_type, self.rate_index, self.channel_config)
            == (other.object_type, other.rate_index, other.channel_config)
    }
}

/// Channels by `channelConfiguration` (ISO/IEC 14496-3 table 1.19).
pub fn channel_count(channel_config: u8) -> Option<u32> {
    match channel_config {
        c @ 1..=6 => Some(u32::from(c)),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        13 => Some(24),
        _ => None,
    }
}

/// Decoder configuration (ISO/IEC 14496-3 §1.6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// Audio object type of the core; 2 is AAC-LC.
    pub object_type: u8,
    /// Samples per second of the core.
    pub sampling_rate: u32,
    /// `channelConfiguration`.
    pub channel_config: u8,
    /// Samples per second after spectral band replication, where that is signalled.
    pub sbr_rate: Option<u32>,
    /// Parametric stereo is signalled.
    pub ps: bool,
    /// Channels of the program_config_element that takes the place of `channelConfiguration` 0; 0 without one.
    pub element_channels: u32,
}

/// Reads a program_config_element (ISO/IEC 14496-3 §4.4.1.1) up to the alignment in front of its comment. Gives its channels.
pub fn program_config(r: &mut BitReader<'_>) -> Option<u32> {
    r.skip(4 + 2 + 4)?; // tag, object type, sampling rate
    let elements = r.bits(4)? + r.bits(4)? + r.bits(4)?; // in front, at the sides, behind
    let (lfe, data, coupling) = (r.bits(2)?, r.bits(3)?, r.bits(4)?);
    for n in [4, 4, 3] {
        // Mono, stereo and matrix mixdown.
        if r.bit()? {
            r.skip(n)?;
        }
    }
    let mut channels = lfe;
    for _ in 0..elements {
        channels += 1 + u32::from(r.bit()?);
        r.skip(4)?;
    }
    r.skip((4 * (lfe + data) + 5 * coupling) as usize)?;
    Some(channels)
}

fn read_object_type(r: &mut BitReader<'_>) -> Option<u8> {
    let t = r.bits(5)? as u8;
    Some(if t == 31 { 32 + r.bits(6)? as u8 } else { t })
}

fn read_rate(r: &mut BitReader<'_>) -> Option<u32> {
    match r.bits(4)? {
        15 => r.bits(24).filter(|&rate| rate != 0),
        i => SAMPLING_RATES.get(i as usize).copied(),
    }
}

impl AudioSpecificConfig {
    /// The configuration of an ADTS stream; `sbr` as [`carries_sbr`] found it.
    pub fn from_adts(header: &AdtsHeader, sbr: bool) -> Self {
        let sampling_rate = header.sampling_rate();
        let sbr_rate = (sbr && sampling_rate <= MAX_SBR_CORE_RATE).then_some(sampling_rate * 2);
        Self {
            object_type: header.object_type,
            sampling_rate,
            channel_config: header.channel_config,
            sbr_rate,
            ps: false,
            element_channels: 0,
        }
    }

    /// The bytes of the configuration with the program_config_element that a frame begins with, whose channels are taken over. `None`:
    /// the frame begins with another element.
    pub fn with_element_of(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        const ID_PCE: u32 = 5;
        let mut element = BitReader::new(frame);
        if element.bits(3)? != ID_PCE {
            return None;
        }
        let mut end = element.clone();
        self.element_channels = program_config(&mut end)?;
        let mut bits = self.write();
        for _ in end.remaining()..element.remaining() {
            bits.put(element.bit()?.into(), 1);
        }
        // Its alignment counts from the start of the configuration; the comment is left out.
        let mut bytes = bits.into_vec();
        bytes.push(0);
        Some(bytes)
    }

    /// Reads the bytes of a DecoderSpecificInfo, with SBR and PS in either form of explicit signalling.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut r = BitReader::new(data);
        let mut object_type = read_object_type(&mut r)?;
        let sampling_rate = read_rate(&mut r)?;
        let channel_config = r.bits(4)? as u8;
        let (mut sbr_rate, mut ps, mut element_channels) = (None, false, 0);
        if object_type == 5 || object_type == 29 {
            ps = object_type == 29;
            sbr_rate = Some(read_rate(&mut r)?);
            object_type = read_object_type(&mut r)?;
        }
        if matches!(object_type, 1..=4 | 6 | 7) {
            // GASpecificConfig (§4.4.1), then perhaps the backward compatible extension, which is not looked for behind a
            // program_config_element.
            let extension = Self::general(&mut r);
            if channel_config == 0 {
                element_channels = extension.and_then(|_| program_config(&mut r)).unwrap_or(0);
            } else if extension == Some(false) && sbr_rate.is_none() {
                let _ = Self::backward_compatible(&mut r, &mut sbr_rate, &mut ps);
            }
        }
        Some(Self { object_type, sampling_rate, channel_config, sbr_rate, ps, element_channels })
    }

    /// The start of GASpecificConfig. Gives its `extensionFlag`.
    fn general(r: &mut BitReader<'_>) -> Option<bool> {
        r.skip(1)?; // frameLengthFlag
        if r.bit()? {
            r.skip(14)?; // coreCoderDelay
        }
        r.bit()
    }

    fn backward_compatible(r: &mut BitReader<'_>, sbr_rate: &mut Option<u32>, ps: &mut bool) -> Option<()> {
        if r.bits(11)? == 0x2b7 && read_object_type(r)? == 5 && r.bit()? {
            *sbr_rate = Some(read_rate(r)?);
            if r.bits(11)? == 0x548 {
                *ps = r.bit()?;
            }
        }
        Some(())
    }

    /// Writes the configuration: 2 bytes for AAC-LC, hierarchical explicit signalling with SBR.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write().into_vec()
    }

    fn write(&self) -> BitWriter {
        let mut bits = BitWriter::default();
        let rate = |bits: &mut BitWriter, rate: u32| match SAMPLING_RATES.iter().position(|&r| r == rate) {
            Some(i) => bits.put(i as u32, 4),
            None => {
                bits.put(15, 4);
                bits.put(rate, 24);
            }
        };
        match self.sbr_rate {
            Some(_) => bits.put(if self.ps { 29 } else { 5 }, 5),
            None => bits.put(u32::from(self.object_type), 5),
        }
        rate(&mut bits, self.sampling_rate);
        bits.put(u32::from(self.channel_config), 4);
        if let Some(sbr_rate) = self.sbr_rate {
            rate(&mut bits, sbr_rate);
            bits.put(u32::from(self.object_type), 5);
        }
        bits.put(0, 3); // GASpecificConfig: 1024 samples, no core coder, no extension
        bits
    }

    /// Samples per second of what is heard.
    pub fn output_rate(&self) -> u32 {
        self.sbr_rate.unwrap_or(self.sampling_rate)
    }

    /// Channels that are heard; 0 where it is not told.
    pub fn channels(&self) -> u32 {
        if self.ps { 2 } else { channel_count(self.channel_config).unwrap_or(self.element_channels) }
    }

    /// The RFC 6381 codec string: `mp4a.40.2`, `.5` with SBR, `.29` with PS too. Main, SSR and LTP go by the name of LC: browsers refuse
    /// theirs, and their decoders take more than they name.
    pub fn codec_string(&self) -> String {
        let object_type = match (self.sbr_rate, self.ps) {
            (_, true) => 29,
            (Some(_), false) => 5,
            (None, false) if self.object_type < 5 => 2,
            (None, false) => self.object_type,
        };
        let mut s = String::from("mp4a.40.");
        if object_type >= 10 {
            s.push((b'0' + object_type / 10) as char);
        }
        s.push((b'0' + object_type % 10) as char);
        s
    }
}

/// Whether a raw AAC frame ends with an SBR extension payload (ISO/IEC 14496-3 §4.4.2.7, `EXT_SBR_DATA`), padding aside.
///
/// Elements before it cannot be passed over without decoding them, so the search goes from the end: `ID_END`, before it a
/// fill element whose count spans exactly up to there and whose type is SBR. A frame without one matches by chance
/// about once in a hundred; ask several frames. An LFE element, which has no SBR, comes after those that have:
/// [`ends_in_lfe`] tells the layouts where this says nothing.
pub fn carries_sbr(frame: &[u8]) -> bool {
    let Some(&last) = frame.last() else { return false };
    // ID_END (111), then zeros up to the byte border.
    let end = frame.len() * 8 - last.trailing_zeros() as usize;
    match end.checked_sub(3) {
        Some(end) if last != 0 && bits_at(frame, end, 3) == 7 => sbr_before(frame, end, MAX_FILL_ELEMENTS),
        _ => false,
    }
}

/// Fill elements after the SBR payload that are looked past.
const MAX_FILL_ELEMENTS: u32 = 4;

fn bits_at(frame: &[u8], at: usize, n: usize) -> usize {
    (at..at + n).fold(0, |v, p| v << 1 | usize::from(frame[p / 8] >> (7 - p % 8) & 1))
}

/// Whether an SBR fill element ends at bit `end`, perhaps with padding after it.
fn sbr_before(frame: &[u8], end: usize, depth: u32) -> bool {
    const ID_FIL: usize = 6;
    // Largest count: 15 + 255 - 1.
    for count in 0..=269usize {
        let (count_bits, expected) = if count < 15 { (4, count) } else { (12, 15 << 8 | (count - 14)) };
        let Some(start) = end.checked_sub(count * 8 + count_bits + 3) else { break };
        if bits_at(frame, start, 3) != ID_FIL || bits_at(frame, start + 3, count_bits) != expected {
            continue;
        }
        let found = match if count == 0 { 0 } else { bits_at(frame, start + 3 + count_bits, 4) } {
            // EXT_SBR_DATA, EXT_SBR_DATA_CRC
            0b1101 | 0b1110 => true,
            // EXT_FILL, EXT_FILL_DATA
            0 | 1 => depth > 0 && sbr_before(frame, start, depth - 1),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

/// Whether frames of this channel configuration end with an LFE element (5.1 and 7.1).
pub fn ends_in_lfe(channel_config: u8) -> bool {
    matches!(channel_config, 6 | 7 | 11 | 12 | 14)
}

/// Writes an `mp4a` sample entry with its `esds` (ISO/IEC 14496-14 §5.6.1, descriptors of ISO/IEC 14496-1 §7.2.6).
pub fn write_mp4a(w: &mut ByteWriter, config: &AudioSpecificConfig) {
    write_mp4a_with(w, config, &config.to_bytes());
}

/// The same, with the bytes of the `AudioSpecificConfig` as they came, for those that say more than `config` does.
pub fn write_mp4a_with(w: &mut ByteWriter, config: &AudioSpecificConfig, info: &[u8]) {
    write_audio_entry(w, b"mp4a", config.channels().max(1), config.output_rate(), |w| {
        // Object type 0x40: MPEG-4 audio.
        write_esds(w, 0x40, info);
    });
}

/// Writes an `esds` box for an audio stream with this `objectTypeIndication` and DecoderSpecificInfo (left out if empty).
pub fn write_esds(w: &mut ByteWriter, object_type_indication: u8, info: &[u8]) {
    // Single-byte descriptor lengths: `info` is a few bytes, and cut where it is absurd.
    let info = &info[..info.len().min(100)];
    let info_len = if info.is_empty() { 0 } else { 2 + info.len() };
    w.full_boxed(b"esds", 0, 0, |w| {
        w.bytes(&[3, (3 + 2 + 13 + info_len + 3) as u8, 0, 0, 0]); // ES_Descriptor, ES_ID 0, no flags
        w.bytes(&[4, (13 + info_len) as u8, object_type_indication, 0x15]); // DecoderConfigDescriptor, audio stream
        w.zeros(11); // buffer size and bit rates: unknown
        if !info.is_empty() {
            w.bytes(&[5, info.len() as u8]);
            w.bytes(info);
        }
        w.bytes(&[6, 1, 2]); // SLConfigDescriptor, predefined for MP4
    });
}

/// Writes an audio sample entry (ISO/IEC 14496-12 §12.2.3) with what `configuration` writes.
pub fn write_audio_entry(
    w: &mut ByteWriter,
    name: &[u8; 4],
    channels: u32,
    rate: u32,
    configuration: impl FnOnce(&mut ByteWriter),
) {
    w.boxed(name, |w| {
        w.zeros(6);
        w.u16(1); // data_reference_index
        w.zeros(8);
        w.u16(channels as u16);
        w.u16(16); // samplesize
        w.u32(0);
        // 16.16 fixed point: rates above 65,535 Hz do not fit, the configuration has them.
        w.u32(if rate > 0xffff { 0 } else { rate << 16 });
        configuration(w);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adts_header_gives_rate_channels_and_sizes() {
        let h = AdtsHeader::parse(&[0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x7f, 0xfc]).unwrap();
        assert_eq!((h.object_type, h.sampling_rate(), h.channel_config), (2, 48000, 2));
        assert_eq!((h.header_size, h.frame_size, h.blocks), (7, 371, 1));
        assert_eq!(AdtsHeader::parse(&[0xff, 0xf1, 0x7c, 0x80, 0x2e, 0x7f, 0xfc]), None, "reserved rate");
        assert_eq!(
            AdtsHeader::parse(&[0xff, 0xf1, 0x4c, 0x80, 0x00, 0xdf, 0xfc]),
            None,
            "shorter than its header"
        );
    }

    #[test]
    fn configuration_survives_writing_and_reading() {
        let lc = AudioSpecificConfig {
            object_type: 2,
            sampling_rate: 44100,
            channel_config: 2,
            sbr_rate: None,
            ps: false,
            element_channels: 0,
        };
        assert_eq!(lc.to_bytes(), [0x12, 0x10]);
        assert_eq!(lc.codec_string(), "mp4a.40.2");
        for config in [
            lc,
            AudioSpecificConfig { sampling_rate: 24000, sbr_rate: Some(48000), ..lc },
            AudioSpecificConfig {
                sampling_rate: 22050,
                sbr_rate: Some(44100),
                channel_config: 1,
                ps: true,
                ..lc
            },
            AudioSpecificConfig { sampling_rate: 12345, ..lc },
        ] {
            assert_eq!(AudioSpecificConfig::parse(&config.to_bytes()), Some(config));
        }
    }

    #[test]
    fn backward_compatible_sbr_and_ps_are_read() {
        // AAC-LC 24 kHz stereo, sync extension 0x2b7, SBR at 48 kHz.
        let c = AudioSpecificConfig::parse(&[0x13, 0x10, 0x56, 0xe5, 0x98]).unwrap();
        assert_eq!((c.object_type, c.sampling_rate, c.sbr_rate, c.ps), (2, 24000, Some(48000), false));
        assert_eq!(c.codec_string(), "mp4a.40.5");
        // The same in mono, with the PS extension 0x548.
        let c = AudioSpecificConfig::parse(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80]).unwrap();
        assert_eq!((c.sbr_rate, c.ps, c.channels()), (Some(48000), true, 2));
        assert_eq!(c.codec_string(), "mp4a.40.29");
    }

    #[test]
    fn what_every_decoder_of_aac_takes_is_named_as_lc() {
        // AAC Main, SSR and LTP at 44.1 kHz.
        for config in [[0x0a, 0x10], [0x1a, 0x10], [0x22, 0x10]] {
            let read = AudioSpecificConfig::parse(&config).unwrap();
            assert_eq!((read.codec_string().as_str(), read.to_bytes()), ("mp4a.40.2", config.to_vec()));
        }
        let xhe = AudioSpecificConfig::parse(&[0xf9, 0x46, 0x40]).unwrap();
        assert_eq!(xhe.codec_string(), "mp4a.40.42");
    }

    #[test]
    fn a_program_config_element_tells_the_channels() {
        // Of libavcodec: quad, with a comment.
        let config =
            [0x11, 0x80, 0x04, 0xc4, 0x40, 0x00, 0x21, 0x10, 0x04, b'L', b'a', b'v', b'c', 0x56, 0xe5, 0x00];
        let read = AudioSpecificConfig::parse(&config).unwrap();
        assert_eq!((read.channel_config, read.channels()), (0, 4));
        assert_eq!(AudioSpecificConfig::parse(&config[..5]).unwrap().channels(), 0, "cut off");
    }

    #[test]
    fn sbr_payload_is_found_at_the_end_of_a_frame_at_any_bit() {
        for shift in 0..8 {
            for count in [2usize, 14, 15, 40] {
                let mut bits = BitWriter::default();
                bits.put(0b0_1010_1011, 9 + shift);
                bits.put(6, 3);
                if count < 15 {
                    bits.put(count as u32, 4);
                } else {
                    bits.put(15, 4);
                    bits.put(count as u32 - 14, 8);
                }
                bits.put(0b1101, 4);
                for i in 0..count * 8 - 4 {
                    bits.put(u32::from(i % 3 == 0), 1);
                }
                let mut padded = bits.clone();
                bits.put(7, 3);
                assert!(carries_sbr(&bits.clone().into_vec()), "shift {shift} count {count}");
                padded.put(0b110_0001_0000_0000, 15);
                padded.put(0b110_0000, 7);
                padded.put(7, 3);
                assert!(carries_sbr(&padded.into_vec()), "padding behind it, shift {shift} count {count}");
                let mut longer = bits.into_vec();
                longer.push(0);
                assert!(!carries_sbr(&longer), "a byte that belongs to nothing");
            }
        }
        assert!(!carries_sbr(&[]));
        assert!(!carries_sbr(&[0xff]));
        assert!(!carries_sbr(&[0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c]), "silence in AAC-LC");
    }

    #[test]
    fn sample_entry_tells_rate_channels_and_configuration() {
        let config = AudioSpecificConfig::parse(&[0x11, 0x90]).unwrap();
        let mut w = ByteWriter::new();
        write_mp4a(&mut w, &config);
        let entry = w.into_vec();
        assert_eq!(&entry[4..8], b"mp4a");
        assert_eq!(&entry[24..36], &[0, 2, 0, 16, 0, 0, 0, 0, 0xbb, 0x80, 0, 0]);
        assert_eq!(&entry[40..44], b"esds");
        assert_eq!(&entry[entry.len() - 7..], &[5, 2, 0x11, 0x90, 6, 1, 2]);
        assert_eq!(entry[49], (entry.len() - 50) as u8, "the descriptor ends with the box");
    }
}
