//! AAC in LATM with LOAS framing (ISO/IEC 14496-3 §1.7): what broadcasters send in MPEG-TS in place of ADTS.

use crate::bytes::{BitReader, BitWriter};
use crate::codec::aac::{AudioSpecificConfig, SAMPLING_RATES, program_config};

/// Bytes of the header of an `AudioSyncStream` frame (§1.7.2.1).
pub const HEADER_SIZE: usize = 3;

/// Bytes of a whole frame, header included; `None` if these bytes cannot start one.
pub fn frame_size(b: &[u8; HEADER_SIZE]) -> Option<usize> {
    // Sync word 0x2b7 in 11 bits, then 13 bits of length.
    let size = usize::from(b[1] & 0x1f) << 8 | usize::from(b[2]);
    (b[0] == 0x56 && b[1] & 0xe0 == 0xe0 && size > 0).then_some(HEADER_SIZE + size)
}

/// The configuration of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatmConfig {
    /// As far as the player needs it.
    pub audio: AudioSpecificConfig,
    /// The whole `AudioSpecificConfig()`, for the decoder.
    pub bytes: Vec<u8>,
    /// Samples of a frame at the core's rate: 1024, or 960.
    pub frame_samples: u32,
}

/// `StreamMuxConfig()` (§1.7.3.1), for streams of one program with one layer: no others are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MuxConfig {
    latm: LatmConfig,
    /// Frames of an `AudioMuxElement`.
    frames: u32,
}

/// Takes `AudioMuxElement`s apart.
#[derive(Clone, Debug, Default)]
pub struct LatmReader {
    config: Option<MuxConfig>,
    frame: Vec<u8>,
}

impl LatmReader {
    /// The configuration in effect.
    pub fn config(&self) -> Option<&LatmConfig> {
        self.config.as_ref().map(|c| &c.latm)
    }

    /// Forgets the configuration.
    pub fn reset(&mut self) {
        self.config = None;
    }

    /// Reads the `AudioMuxElement(1)` of a frame (its bytes without the header), and gives each raw AAC frame in it with the
    /// configuration in effect. `Err` with a reason, and no frames, for what is damaged or not supported; without a
    /// configuration nothing is given and that is no error: it comes with one of the next elements.
    pub fn read(
        &mut self,
        element: &[u8],
        mut give: impl FnMut(&LatmConfig, &[u8]),
    ) -> Result<(), &'static str> {
        const DAMAGED: &str = "LATM: malformed AudioMuxElement";
        let mut r = BitReader::new(element);
        let same = r.bit().ok_or(DAMAGED)?;
        if !same {
            let new = stream_mux_config(&mut r)?;
            if self.config.as_ref() != Some(&new) {
                self.config = Some(new);
            }
        }
        let Some(config) = &self.config else { return Ok(()) };
        for _ in 0..config.frames {
            // PayloadLengthInfo() for frameLengthType 0 (§1.7.3.2.1).
            let mut size = 0usize;
            loop {
                let more = r.bits(8).ok_or(DAMAGED)?;
                size += more as usize;
                if more != 255 {
                    break;
                }
            }
            if size * 8 > r.remaining() {
                return Err(DAMAGED);
            }
            self.frame.clear();
            self.frame.extend((0..size).map_while(|_| r.bits(8)).map(|b| b as u8));
            give(&config.latm, &self.frame);
        }
        Ok(())
    }
}

/// `LatmGetValue()` (§1.7.3.1).
fn value(r: &mut BitReader<'_>) -> Option<u32> {
    let bytes = r.bits(2)? + 1;
    r.bits(bytes * 8)
}

fn stream_mux_config(r: &mut BitReader<'_>) -> Result<MuxConfig, &'static str> {
    const UNSUPPORTED: &str = "LATM: more than one program or layer is not supported";
    let read = |r: &mut BitReader<'_>| -> Option<Result<MuxConfig, &'static str>> {
        let version = r.bit()?;
        if version && r.bit()? {
            return Some(Err("LATM: unknown audioMuxVersionA"));
        }
        if version {
            value(r)?; // taraBufferFullness
        }
        let same_framing = r.bit()?;
        let frames = r.bits(6)? + 1;
        let (programs, layers) = (r.bits(4)?, r.bits(3)?);
        if !same_framing || programs != 0 || layers != 0 {
            return Some(Err(UNSUPPORTED));
        }
        let latm = if version {
            let bits = value(r)? as usize;
            let mut config = r.clone();
            let latm = audio_specific_config(&mut config, bits)?;
            r.skip(bits)?;
            latm
        } else {
            let mut end = r.clone();
            skip_config(&mut end)?;
            let bits = r.remaining() - end.remaining();
            audio_specific_config(r, bits)?
        };
        if r.bits(3)? != 0 {
            return Some(Err("LATM: only frames of variable length are supported"));
        }
        r.skip(8)?; // latmBufferFullness
        if r.bit()? {
            // otherData, which comes behind the frames: of no use here.
            if version {
                value(r)?;
            } else {
                while r.bit()? {
                    r.skip(8)?;
                }
                r.skip(8)?;
            }
        }
        if r.bit()? {
            r.skip(8)?; // crcCheckSum
        }
        Some(Ok(MuxConfig { latm, frames }))
    };
    read(r).unwrap_or(Err("LATM: malformed StreamMuxConfig"))
}

/// Takes the `bits` of an `AudioSpecificConfig()`.
fn audio_specific_config(r: &mut BitReader<'_>, bits: usize) -> Option<LatmConfig> {
    // Far more than the largest one, with all of a program_config_element's comment.
    if bits > 8 * 512 || bits > r.remaining() {
        return None;
    }
    let mut length = r.clone();
    let frame_samples = if skip_config(&mut length)? { 960 } else { 1024 };
    let mut w = BitWriter::default();
    let mut left = bits as u32;
    while left > 0 {
        let n = left.min(8);
        w.put(r.bits(n)?, n);
        left -= n;
    }
    let bytes = w.into_vec();
    let audio = AudioSpecificConfig::parse(&bytes)?;
    Some(LatmConfig { audio, bytes, frame_samples })
}

/// Passes over an `AudioSpecificConfig()` without extensions at its end (§1.6.2.1), for the AAC object types that use
/// `GASpecificConfig()`; gives its `frameLengthFlag`.
fn skip_config(r: &mut BitReader<'_>) -> Option<bool> {
    let object_type = |r: &mut BitReader<'_>| match r.bits(5)? {
        31 => Some(32 + r.bits(6)?),
        t => Some(t),
    };
    let rate = |r: &mut BitReader<'_>| match r.bits(4)? {
        15 => r.skip(24),
        i => SAMPLING_RATES.get(i as usize).map(|_| ()),
    };
    let mut kind = object_type(r)?;
    rate(r)?;
    let channels = r.bits(4)?;
    if kind == 5 || kind == 29 {
        rate(r)?;
        kind = object_type(r)?;
    }
    // Main, LC, SSR, LTP.
    if !(1..=4).contains(&kind) {
        return None;
    }
    let short = r.bit()?;
    if r.bit()? {
        r.skip(14)?;
    }
    let extension = r.bit()?;
    if channels == 0 {
        skip_program_config(r)?;
    }
    if extension {
        r.skip(1)?;
    }
    Some(short)
}

/// `program_config_element()` (§4.4.1.1), to its end.
fn skip_program_config(r: &mut BitReader<'_>) -> Option<()> {
    let start = r.remaining();
    program_config(r)?;
    // Alignment counts from the start of the configuration, which is where the element's own place is known from: 16 bits of
    // it come before, with escapes 24 more (§4.5.1.2).
    let read = start - r.remaining();
    r.skip((8 - (16 + read) % 8) % 8)?;
    let comment = r.bits(8)?;
    r.skip(8 * comment as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element with a configuration of two frames, AAC-LC 48 kHz stereo, as bits from the first.
    fn element(version: bool, frames: [&[u8]; 2]) -> Vec<u8> {
        let mut w = BitWriter::default();
        w.put(0, 1); // useSameStreamMux
        w.put(version.into(), 1);
        if version {
            w.put(0, 1);
            w.put(0, 2 + 8);
        }
        w.put(1, 1);
        w.put(1, 6);
        w.put(0, 4 + 3);
        if version {
            w.put(0, 2);
            w.put(16, 8);
        }
        w.put(0x1190, 16);
        w.put(0, 3);
        w.put(0xff, 8);
        w.put(0, 2);
        for frame in frames {
            for _ in 0..frame.len() / 255 {
                w.put(255, 8);
            }
            w.put((frame.len() % 255) as u32, 8);
            for &b in frame {
                w.put(b.into(), 8);
            }
        }
        w.into_vec()
    }

    #[test]
    fn frames_come_out_whole_however_they_lie_in_the_bits() {
        let long: Vec<u8> = (0..=255).chain(0..100).collect();
        for version in [false, true] {
            let element = element(version, [&[1, 2, 3], &long]);
            let mut reader = LatmReader::default();
            let mut seen = Vec::new();
            reader.read(&element, |config, frame| seen.push((config.clone(), frame.to_vec()))).unwrap();
            assert_eq!(seen.len(), 2);
            assert_eq!((&seen[0].1[..], &seen[1].1), (&[1, 2, 3][..], &long));
            let config = &seen[0].0;
            assert_eq!((config.audio.sampling_rate, config.audio.channel_config), (48_000, 2));
            assert_eq!((&config.bytes[..], config.frame_samples), (&[0x11, 0x90][..], 1024));
            for n in 0..element.len() {
                assert!(LatmReader::default().read(&element[..n], |_, _| ()).is_err(), "{n}");
            }
        }
    }

    #[test]
    fn frames_before_a_configuration_are_passed_over() {
        let mut reader = LatmReader::default();
        assert_eq!(reader.read(&[0x80, 0x80, 0], |_, _| panic!("no configuration")), Ok(()));
        assert_eq!(frame_size(&[0x56, 0xe1, 0x02]), Some(3 + 258));
        assert_eq!(frame_size(&[0x56, 0xc1, 0x02]), None);
    }
}
