//! AC-3 and E-AC-3 (ETSI TS 102 366): headers of syncframes, `dac3` and `dec3`.

use crate::bytes::{BitReader, BitWriter, ByteWriter};
use crate::codec::aac;

/// Bytes that [`Ac3Header::parse`] needs.
pub const HEADER_SIZE: usize = 7;
/// Samples of a block; a frame has six or, in E-AC-3, fewer.
const BLOCK: u32 = 256;
/// Samples of an access unit in MP4, whatever number of syncframes it has (annex F).
pub const UNIT_SAMPLES: u32 = 6 * BLOCK;

/// Sampling rates by `fscod`.
const RATES: [u32; 3] = [48_000, 44_100, 32_000];
/// Bit rates in kbit/s by `frmsizecod >> 1` (table 4.13).
const BITRATES: [u16; 19] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
/// Full-bandwidth channels by `acmod` (table 4.3).
const CHANNELS: [u8; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

/// What a syncframe's header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ac3Header {
    /// E-AC-3 (annex E), else AC-3.
    pub enhanced: bool,
    /// Bytes of the syncframe.
    pub frame_size: u16,
    /// Samples per second.
    pub sampling_rate: u32,
    /// Samples per channel of the syncframe.
    pub samples: u32,
    /// `fscod`; 3 for the reduced rates of E-AC-3.
    pub fscod: u8,
    /// `bsid`.
    pub bsid: u8,
    /// `bsmod`; 0 in E-AC-3, which has it in optional fields.
    pub bsmod: u8,
    /// `acmod`.
    pub acmod: u8,
    /// `lfeon`.
    pub lfe: bool,
    /// `frmsizecod >> 1` of AC-3.
    pub bitrate_code: u8,
    /// Extends the channels of the independent substream before it.
    pub dependent: bool,
    /// `substreamid`.
    pub substream: u8,
}

impl Ac3Header {
    /// Reads the start of a syncframe. `None` for what cannot be one, and for the half and quarter rates of `bsid` 9 and 10.
    pub fn parse(b: &[u8; HEADER_SIZE]) -> Option<Self> {
        let mut r = BitReader::new(b);
        if r.bits(16)? != 0x0b77 {
            return None;
        }
        match b[5] >> 3 {
            0..=8 => Self::ac3(&mut r),
            11..=16 => Self::eac3(&mut r),
            _ => None,
        }
    }

    fn ac3(r: &mut BitReader<'_>) -> Option<Self> {
        r.skip(16)?;
        let fscod = r.bits(2)? as u8;
        let code = r.bits(6)?;
        let sampling_rate = *RATES.get(usize::from(fscod))?;
        let kilobits = u32::from(*BITRATES.get(code as usize >> 1)?);
        // 1536 samples; at 44.1 kHz the lowest bit of the code adds a word (table 4.13).
        let words = match fscod {
            0 => kilobits * 2,
            1 => kilobits * 96_000 / 44_100 + (code & 1),
            _ => kilobits * 3,
        };
        let bsid = r.bits(5)? as u8;
        let bsmod = r.bits(3)? as u8;
        let acmod = r.bits(3)? as u8;
        if acmod & 1 != 0 && acmod != 1 {
            r.skip(2)?;
        }
        if acmod & 4 != 0 {
            r.skip(2)?;
        }
        if acmod == 2 {
            r.skip(2)?;
        }
        Some(Self {
            enhanced: false,
            frame_size: (words * 2) as u16,
            sampling_rate,
            samples: UNIT_SAMPLES,
            fscod,
            bsid,
            bsmod,
            acmod,
            lfe: r.bit()?,
            bitrate_code: (code >> 1) as u8,
            dependent: false,
            substream: 0,
        })
    }

    fn eac3(r: &mut BitReader<'_>) -> Option<Self> {
        let stream_type = r.bits(2)?;
        if stream_type == 3 {
            return None;
        }
        let substream = r.bits(3)? as u8;
        let frame_size = (r.bits(11)? + 1) * 2;
        let fscod = r.bits(2)? as u8;
        let second = r.bits(2)? as usize;
        let (sampling_rate, blocks) = match RATES.get(usize::from(fscod)) {
            Some(&rate) => (rate, [1, 2, 3, 6][second]),
            None => (RATES.get(second)? / 2, 6),
        };
        let acmod = r.bits(3)? as u8;
        let lfe = r.bit()?;
        let bsid = r.bits(5)? as u8;
        if frame_size < HEADER_SIZE as u32 {
            return None;
        }
        Some(Self {
            enhanced: true,
            frame_size: frame_size as u16,
            sampling_rate,
            samples: blocks * BLOCK,
            fscod,
            bsid,
            bsmod: 0,
            acmod,
            lfe,
            bitrate_code: 0,
            dependent: stream_type == 1,
            substream,
        })
    }

    /// Channels of this substream.
    pub fn channels(&self) -> u32 {
        u32::from(CHANNELS[usize::from(self.acmod & 7)]) + u32::from(self.lfe)
    }

    /// Whether this is the substream that a decoder begins with: those after it, up to the next one, belong to its time.
    pub fn is_primary(&self) -> bool {
        !self.dependent && self.substream == 0
    }

    /// Whether two primary frames can follow one another in a stream: all that a decoder is set up for is the same.
    pub fn same_stream(&self, other: &Self) -> bool {
        (self.enhanced, self.sampling_rate, self.acmod, self.lfe, self.samples)
            == (other.enhanced, other.sampling_rate, other.acmod, other.lfe, other.samples)
    }

    /// `ac-3` or `ec-3` (RFC 6381).
    pub fn codec_string(&self) -> &'static str {
        if self.enhanced { "ec-3" } else { "ac-3" }
    }
}

/// What MP4 says of a stream, from its first access unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ac3Config {
    /// Of the first frame.
    pub header: Ac3Header,
    /// Channels of the first program, those of its dependent substreams included.
    pub channels: u32,
    /// Whole sample entry: `ac-3` with `dac3`, or `ec-3` with `dec3` (§F.3 to F.6).
    pub sample_entry: Vec<u8>,
}

/// One independent substream and what extends it.
#[derive(Clone, Copy, Debug)]
struct Program {
    header: Ac3Header,
    dependents: u32,
    /// `chan_loc` (table F.6): locations that dependent substreams add.
    locations: u32,
    channels: u32,
}

impl Ac3Config {
    /// Reads all syncframes of the first access unit. `None` if it does not begin with one.
    pub fn from_unit(unit: &[u8]) -> Option<Self> {
        let header = Ac3Header::parse(unit.first_chunk()?)?;
        let mut programs: Vec<Program> = Vec::new();
        let mut rest = unit;
        while let Some(h) = rest.first_chunk().and_then(Ac3Header::parse) {
            if !h.dependent {
                if !programs.iter().any(|p| p.header.substream == h.substream) && programs.len() < 8 {
                    let channels = h.channels();
                    programs.push(Program { header: h, dependents: 0, locations: 0, channels });
                }
            } else if let Some(program) = programs.last_mut() {
                let (locations, channels) = channel_map(rest).map_or((0, 0), locations);
                // The same substream comes again where frames have fewer than six blocks.
                if program.locations | locations != program.locations || program.dependents == 0 {
                    program.dependents += 1;
                    program.locations |= locations;
                    program.channels += channels;
                }
            }
            rest = rest.get(usize::from(h.frame_size)..).unwrap_or_default();
        }
        let channels = programs.first()?.channels;
        let mut w = ByteWriter::new();
        let name = if header.enhanced { b"ec-3" } else { b"ac-3" };
        aac::write_audio_entry(&mut w, name, channels, header.sampling_rate, |w| {
            if header.enhanced {
                // Bits per second over the time of a unit.
                let bits = unit.len() as u64 * 8 * u64::from(header.sampling_rate) / u64::from(UNIT_SAMPLES);
                w.boxed(b"dec3", |w| w.bytes(&dec3(&programs, (bits / 1000).min(0x1fff) as u32)));
            } else {
                w.boxed(b"dac3", |w| w.bytes(&dac3(&header)));
            }
        });
        Some(Self { header, channels, sample_entry: w.into_vec() })
    }
}

fn dac3(h: &Ac3Header) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put(h.fscod.into(), 2);
    bits.put(h.bsid.into(), 5);
    bits.put(h.bsmod.into(), 3);
    bits.put(h.acmod.into(), 3);
    bits.put(h.lfe.into(), 1);
    bits.put(h.bitrate_code.into(), 5);
    bits.put(0, 5);
    bits.into_vec()
}

fn dec3(programs: &[Program], kilobits: u32) -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.put(kilobits, 13);
    bits.put(programs.len() as u32 - 1, 3);
    for Program { header: h, dependents, locations, .. } in programs {
        bits.put(h.fscod.into(), 2);
        bits.put(h.bsid.into(), 5);
        bits.put(0, 2); // reserved, asvc
        bits.put(h.bsmod.into(), 3);
        bits.put(h.acmod.into(), 3);
        bits.put(h.lfe.into(), 1);
        bits.put(0, 3);
        bits.put((*dependents).min(15), 4);
        if *dependents > 0 {
            bits.put(*locations, 9);
        } else {
            bits.put(0, 1);
        }
    }
    bits.into_vec()
}

/// `chanmap` of a dependent substream (§E.1.2.2), where it has one.
fn channel_map(frame: &[u8]) -> Option<u32> {
    let mut r = BitReader::new(frame.get(..frame.len().min(24))?);
    r.skip(16 + 16 + 4)?;
    let acmod = r.bits(3)?;
    // lfeon, bsid; dialnorm and compr, twice for dual mono.
    r.skip(1 + 5)?;
    for _ in 0..if acmod == 0 { 2 } else { 1 } {
        r.skip(5)?;
        if r.bit()? {
            r.skip(8)?;
        }
    }
    if r.bit()? { r.bits(16) } else { None }
}

/// `chan_loc` and the number of channels of a `chanmap` (tables E.1.4 and F.6), whose first bit is the highest: what lies beyond the
/// five channels of the independent substream, which the map may name again.
fn locations(map: u32) -> (u32, u32) {
    let has = |bit: u32| map >> (15 - bit) & 1;
    let mut out = 0;
    let mut channels = 0;
    // Lc/Rc, Lrs/Rrs, Cs, Ts, Lsd/Rsd, Lw/Rw, Lvh/Rvh, Cvh, LFE2.
    for (place, (bit, count)) in
        [(5, 2), (6, 2), (7, 1), (8, 1), (9, 2), (10, 2), (11, 2), (12, 1), (14, 1)].into_iter().enumerate()
    {
        out |= has(bit) << place;
        channels += has(bit) * count;
    }
    (out, channels)
}

/// Rate and channels from `dac3` (§F.4).
pub fn read_dac3(config: &[u8]) -> Option<(u32, u32)> {
    let mut r = BitReader::new(config);
    let rate = *RATES.get(r.bits(2)? as usize)?;
    r.skip(5 + 3)?;
    let channels = CHANNELS[r.bits(3)? as usize];
    Some((rate, u32::from(channels) + r.bits(1)?))
}

/// Rate and channels of the first independent substream from `dec3` (§F.6).
pub fn read_dec3(config: &[u8]) -> Option<(u32, u32)> {
    let mut r = BitReader::new(config);
    r.skip(13 + 3)?;
    let rate = *RATES.get(r.bits(2)? as usize)?;
    r.skip(5 + 1 + 1 + 3)?;
    let channels = CHANNELS[r.bits(3)? as usize];
    Some((rate, u32::from(channels) + r.bits(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ac3_headers_give_size_rate_and_channels() {
        // 48 kHz, 384 kbit/s, bsid 8, 3/2 with LFE.
        let h = Ac3Header::parse(&[0x0b, 0x77, 0, 0, 0x1c, 0x40, 0xe1]).unwrap();
        assert_eq!((h.frame_size, h.sampling_rate, h.samples, h.channels()), (1536, 48_000, 1536, 6));
        let entry = Ac3Config::from_unit(&[0x0b, 0x77, 0, 0, 0x1c, 0x40, 0xe1]).unwrap().sample_entry;
        assert_eq!(entry[entry.len() - 11..], *b"\0\0\0\x0bdac3\x10\x3d\xc0");
        assert_eq!(read_dac3(&entry[entry.len() - 3..]), Some((48_000, 6)));
        // 44.1 kHz, 32 kbit/s: 69 words, or 70.
        assert_eq!(Ac3Header::parse(&[0x0b, 0x77, 0, 0, 0x40, 0x40, 0x40]).unwrap().frame_size, 138);
        assert_eq!(Ac3Header::parse(&[0x0b, 0x77, 0, 0, 0x41, 0x40, 0x40]).unwrap().frame_size, 140);
        assert_eq!(Ac3Header::parse(&[0x0b, 0x77, 0, 0, 0xc0, 0x40, 0x40]), None, "reserved rate");
        assert_eq!(Ac3Header::parse(&[0x0b, 0x77, 0, 0, 0x26, 0x40, 0x40]), None, "reserved size");
        assert_eq!(Ac3Header::parse(&[0x0b, 0x77, 0, 0, 0x1c, 0x50, 0x40]), None, "bsid 10");
    }

    /// Independent 3/2 with LFE, and a dependent one that adds the rear pair.
    fn seven_one() -> Vec<u8> {
        let mut unit = vec![0; 24];
        // 12 bytes, 48 kHz, six blocks, bsid 16.
        unit[..6].copy_from_slice(&[0x0b, 0x77, 0, 5, 0x3f, 0x80]);
        unit[12..].copy_from_slice(&[0x0b, 0x77, 0x40, 5, 0x3c, 0x80, 0x10, 0x10, 0, 0, 0, 0]);
        unit
    }

    #[test]
    fn eac3_units_gather_their_substreams() {
        let unit = seven_one();
        let dependent = Ac3Header::parse(unit[12..].first_chunk().unwrap()).unwrap();
        assert!(dependent.dependent && !dependent.is_primary());
        let config = Ac3Config::from_unit(&unit).unwrap();
        assert_eq!((config.header.samples, config.header.sampling_rate), (1536, 48_000));
        assert_eq!(read_dec3(&config.sample_entry[44..]), Some((48_000, 6)));
        for n in 0..unit.len() {
            let _ = Ac3Config::from_unit(&unit[..n]);
        }
    }

    #[test]
    fn channel_maps_name_what_is_added() {
        assert_eq!(locations(1 << (15 - 6)), (2, 2));
        assert_eq!(locations(1 << (15 - 14)), (1 << 8, 1));
        assert_eq!(locations(0xf801), (0, 0), "the five and the LFE of the independent substream");
    }
}
