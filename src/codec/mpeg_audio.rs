//! MPEG-1 and MPEG-2 audio, layers 1 to 3, and MPEG-2.5 (ISO/IEC 11172-3 §2.4, ISO/IEC 13818-3 §2.4): frame headers, and what
//! Xing, LAME and VBRI write into the first frame of a file.

use crate::bytes::{ByteReader, ByteWriter};
use crate::codec::aac;

/// Samples that decoders of layer 3 deliver late: 528 of the filter bank and one of overlap, as LAME counts them.
pub const DECODER_DELAY: u32 = 529;

/// Bytes of a frame header.
pub const HEADER_SIZE: usize = 4;

/// Bit rates in kbit/s by `bitrate_index`: MPEG-1 layers 1, 2, 3; MPEG-2 layer 1, and layers 2 and 3.
const BITRATES: [[u16; 15]; 5] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Sampling rates of MPEG-1; MPEG-2 halves and MPEG-2.5 quarters them.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpegAudioHeader {
    /// 1, 2, or 3 for MPEG-2.5.
    pub version: u8,
    /// 1 to 3.
    pub layer: u8,
    /// Bits per second.
    pub bitrate: u32,
    /// Samples per second.
    pub sampling_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Bytes of the frame, header included.
    pub frame_size: u16,
}

impl MpegAudioHeader {
    /// Reads a header. `None` for what cannot start a frame, and for free format, whose frames do not tell their size.
    pub fn parse(b: &[u8; HEADER_SIZE]) -> Option<Self> {
        Self::parse_any(b).filter(|header| header.frame_size != 0)
    }

    /// The same, also of free format (`bitrate_index` 0), where `bitrate` and `frame_size` are 0.
    pub fn parse_any(b: &[u8; HEADER_SIZE]) -> Option<Self> {
        if b[0] != 0xff || b[1] & 0xe0 != 0xe0 {
            return None;
        }
        let (version, rate_shift) = match b[1] >> 3 & 3 {
            3 => (1, 0),
            2 => (2, 1),
            0 => (3, 2),
            _ => return None,
        };
        let layer = 4 - (b[1] >> 1 & 3);
        let table = match (version, layer) {
            (_, 4) => return None,
            (1, layer) => usize::from(layer) - 1,
            (_, 1) => 3,
            _ => 4,
        };
        let kilobits = BITRATES.get(table)?.get(usize::from(b[2] >> 4)).copied()?;
        let sampling_rate = RATES.get(usize::from(b[2] >> 2 & 3))? >> rate_shift;
        let bitrate = u32::from(kilobits) * 1000;
        let padding = u32::from(b[2] >> 1 & 1);
        let frame_size = match layer {
            _ if bitrate == 0 => 0,
            1 => (12 * bitrate / sampling_rate + padding) * 4,
            3 if version != 1 => 72 * bitrate / sampling_rate + padding,
            _ => 144 * bitrate / sampling_rate + padding,
        };
        let channels = if b[3] >> 6 == 3 { 1 } else { 2 };
        Some(Self { version, layer, bitrate, sampling_rate, channels, frame_size: frame_size as u16 })
    }

    /// Bytes by which a frame is longer than others (`padding_bit`).
    pub fn padding(&self, b: &[u8; HEADER_SIZE]) -> usize {
        usize::from(b[2] >> 1 & 1) * if self.layer == 1 { 4 } else { 1 }
    }

    /// The header of a frame of free format that has so many bytes.
    pub fn sized(self, frame_size: u16) -> Self {
        let bits = u64::from(frame_size) * 8 * u64::from(self.sampling_rate);
        Self { frame_size, bitrate: (bits / u64::from(self.samples())) as u32, ..self }
    }

    /// Samples per channel of a frame.
    pub fn samples(&self) -> u32 {
        match (self.layer, self.version) {
            (1, _) => 384,
            (3, 2 | 3) => 576,
            _ => 1152,
        }
    }

    /// Whether two frames can follow one another in a stream: all that a decoder is set up for is the same.
    pub fn same_stream(&self, other: &Self) -> bool {
        (self.version, self.layer, self.sampling_rate, self.channels)
            == (other.version, other.layer, other.sampling_rate, other.channels)
    }

    /// `mp3`, `mp2` or `mp1`, by the layer.
    pub fn codec_string(&self) -> &'static str {
        match self.layer {
            3 => "mp3",
            2 => "mp2",
            _ => "mp1",
        }
    }

    /// A whole sample entry: `mp4a`, whose `esds` names MPEG-1 or MPEG-2 audio (ISO/IEC 14496-1 §7.2.6.6, object types 0x6b and
    /// 0x69).
    pub fn sample_entry(&self) -> Vec<u8> {
        let mut w = ByteWriter::new();
        aac::write_audio_entry(&mut w, b"mp4a", self.channels.into(), self.sampling_rate, |w| {
            aac::write_esds(w, if self.version == 1 { 0x6b } else { 0x69 }, &[]);
        });
        w.into_vec()
    }

    /// Bytes of the side information of layer 3 (ISO/IEC 11172-3 §2.4.1.7), behind which Xing's header stands.
    fn side_information(&self) -> usize {
        match (self.version, self.channels) {
            (1, 1) => 17,
            (1, _) => 32,
            (_, 1) => 9,
            _ => 17,
        }
    }
}

/// Where in a file its parts are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Toc {
    /// Not told.
    #[default]
    None,
    /// Xing: for each hundredth of the duration, the position as 256ths of the bytes.
    Hundredths(Box<[u8; 100]>),
    /// VBRI: the bytes of each so many frames.
    Sizes {
        /// Frames per entry.
        frames: u32,
        /// Bytes of each entry.
        sizes: Vec<u32>,
    },
}

/// What the first frame of a file tells about all of it; that frame itself has no sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VbrHeader {
    /// Frames of sound.
    pub frames: Option<u32>,
    /// Bytes from the start of this frame on.
    pub bytes: Option<u32>,
    /// The way to the positions.
    pub toc: Toc,
    /// Samples that the encoder put before the first one, and after the last one. Known of LAME and libavformat alone:
    /// others leave what they have there undefined.
    pub gapless: Option<(u32, u32)>,
}

impl VbrHeader {
    /// Reads it from the bytes of a first frame; `None` if the frame has sound instead.
    pub fn parse(header: &MpegAudioHeader, frame: &[u8]) -> Option<Self> {
        if header.layer != 3 {
            return None;
        }
        let xing = frame.get(HEADER_SIZE + header.side_information()..)?;
        match xing.first_chunk()? {
            b"Xing" | b"Info" => Some(Self::xing(xing)),
            // Fraunhofer's stands at a fixed place.
            _ => match frame.get(HEADER_SIZE + 32..)? {
                vbri @ [b'V', b'B', b'R', b'I', ..] => Some(Self::vbri(vbri)),
                _ => None,
            },
        }
    }

    /// What is cut off is left out.
    fn xing(data: &[u8]) -> Self {
        let mut out = Self::default();
        let mut r = ByteReader::new(data);
        let _ = out.read_xing(&mut r);
        out
    }

    fn read_xing(&mut self, r: &mut ByteReader<'_>) -> Option<()> {
        r.skip(4)?;
        let flags = r.u32()?;
        if flags & 1 != 0 {
            self.frames = Some(r.u32()?).filter(|&frames| frames != 0);
        }
        if flags & 2 != 0 {
            self.bytes = Some(r.u32()?).filter(|&bytes| bytes != 0);
        }
        if flags & 4 != 0 {
            let toc: [u8; 100] = *r.take(100)?.first_chunk()?;
            // Positions go up; tables of zeros are seen too.
            if toc.is_sorted() && toc[99] != 0 {
                self.toc = Toc::Hundredths(Box::new(toc));
            }
        }
        if flags & 8 != 0 {
            r.skip(4)?;
        }
        // The encoder's name, then its settings up to the delays.
        let encoder = r.take(9)?;
        r.skip(1 + 1 + 8 + 1 + 1)?;
        let delays = r.u24()?;
        if [&b"LAME"[..], b"Lavf", b"Lavc"].iter().any(|name| encoder.starts_with(name)) {
            self.gapless = Some((delays >> 12, delays & 0xfff));
        }
        Some(())
    }

    fn vbri(data: &[u8]) -> Self {
        let mut out = Self::default();
        let mut r = ByteReader::new(data);
        let _ = out.read_vbri(&mut r);
        out
    }

    fn read_vbri(&mut self, r: &mut ByteReader<'_>) -> Option<()> {
        // Name, version, delay, quality.
        r.skip(4 + 2 + 2 + 2)?;
        self.bytes = Some(r.u32()?).filter(|&bytes| bytes != 0);
        self.frames = Some(r.u32()?).filter(|&frames| frames != 0);
        let (count, scale, width, frames) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
        if !(1..=4).contains(&width) || frames == 0 || scale == 0 {
            return None;
        }
        // No more than the frame has: its bytes are the bound.
        let entries = r.take(usize::from(count).checked_mul(usize::from(width))?)?;
        let size = |entry: &[u8]| entry.iter().fold(0u32, |n, &b| n << 8 | u32::from(b));
        let sizes = entries.chunks_exact(width.into()).map(|e| size(e).saturating_mul(scale.into()));
        self.toc = Toc::Sizes { frames: frames.into(), sizes: sizes.collect() };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_follow_version_and_layer() {
        let read =
            |b: [u8; 4]| MpegAudioHeader::parse(&b).map(|h| (h.frame_size, h.samples(), h.sampling_rate));
        assert_eq!(read([0xff, 0xfb, 0x90, 0x64]), Some((417, 1152, 44_100)), "MPEG-1 layer 3, 128 kbit/s");
        assert_eq!(read([0xff, 0xfb, 0x92, 0x64]), Some((418, 1152, 44_100)), "padded");
        assert_eq!(read([0xff, 0xfd, 0xa4, 0x00]), Some((576, 1152, 48_000)), "MPEG-1 layer 2, 192 kbit/s");
        assert_eq!(read([0xff, 0xff, 0xa4, 0x00]), Some((320, 384, 48_000)), "MPEG-1 layer 1, 320 kbit/s");
        assert_eq!(read([0xff, 0xf3, 0x84, 0xc0]), Some((192, 576, 24_000)), "MPEG-2 layer 3, 64 kbit/s");
        assert_eq!(read([0xff, 0xe3, 0x48, 0xc0]), Some((288, 576, 8_000)), "MPEG-2.5 layer 3, 32 kbit/s");
        for bad in [
            [0xff, 0xfb, 0x00, 0x64],
            [0xff, 0xfb, 0xf0, 0x64],
            [0xff, 0xfb, 0x9c, 0x64],
            [0xff, 0xf1, 0x90, 0x64],
        ] {
            assert_eq!(read(bad), None, "{bad:x?}");
        }
    }

    #[test]
    fn sample_entry_names_the_version() {
        let entry = |b| MpegAudioHeader::parse(&b).unwrap().sample_entry();
        let one = entry([0xff, 0xfb, 0x90, 0x64]);
        assert_eq!(one[..8], [0, 0, 0, one.len() as u8, b'm', b'p', b'4', b'a']);
        // ES_Descriptor of 21 bytes, DecoderConfigDescriptor of 13.
        assert_eq!(one[48..56], [3, 21, 0, 0, 0, 4, 13, 0x6b]);
        assert_eq!(entry([0xff, 0xf3, 0x84, 0xc0])[55], 0x69);
    }

    #[test]
    fn free_format_tells_all_but_the_size() {
        let b = [0xff, 0xfb, 0x02, 0x64];
        let header = MpegAudioHeader::parse_any(&b).unwrap();
        assert_eq!((header.frame_size, header.samples(), header.padding(&b)), (0, 1152, 1));
        assert_eq!(header.sized(418).bitrate, 128_012);
        assert_eq!(
            MpegAudioHeader::parse_any(&[0xff, 0xff, 0x06, 0]).unwrap().padding(&[0xff, 0xff, 0x06, 0]),
            4
        );
    }

    fn frame_with(at: usize, tag: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 417];
        frame[..4].copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
        frame[at..at + tag.len()].copy_from_slice(tag);
        frame
    }

    #[test]
    fn lame_delays_and_positions_are_read() {
        let mut tag = b"Info\0\0\0\x0f\0\0\x01\x00\0\0\x80\x00".to_vec();
        tag.extend((0..100).map(|i| i * 2));
        tag.extend_from_slice(b"\0\0\0\0LAME3.100");
        tag.extend_from_slice(&[0; 12]);
        tag.extend_from_slice(&[0x24, 0x03, 0xe8]);
        let frame = frame_with(36, &tag);
        let header = MpegAudioHeader::parse(frame.first_chunk().unwrap()).unwrap();
        let vbr = VbrHeader::parse(&header, &frame).unwrap();
        assert_eq!((vbr.frames, vbr.bytes, vbr.gapless), (Some(256), Some(0x8000), Some((576, 1000))));
        assert!(matches!(vbr.toc, Toc::Hundredths(toc) if toc[99] == 198));
        for n in 0..frame.len() {
            let _ = VbrHeader::parse(&header, &frame[..n]);
        }
        assert_eq!(VbrHeader::parse(&header, &frame_with(36, b"Xine")), None);
    }

    #[test]
    fn vbri_tables_are_read() {
        let tag = b"VBRI\0\x01\x12\x34\0\x4b\0\x01\0\0\0\0\x02\0\0\x03\0\x02\0\x02\0\x64\0\x10\0\x20\0\x30";
        let frame = frame_with(36, tag);
        let header = MpegAudioHeader::parse(frame.first_chunk().unwrap()).unwrap();
        let vbr = VbrHeader::parse(&header, &frame).unwrap();
        assert_eq!((vbr.frames, vbr.bytes), (Some(512), Some(0x1_0000)));
        assert_eq!(vbr.toc, Toc::Sizes { frames: 100, sizes: vec![32, 64, 96] });
    }
}
