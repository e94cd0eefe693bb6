//! Sample entries (ISO/IEC 14496-12 §8.5.2) and what their configuration boxes say about the codec.

use crate::bytes::ByteReader;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::hevc::ProfileTierLevel;
use crate::codec::{ac3, av1, flac, opus, vpx};
use crate::container::{TrackInfo, TrackKind};

use super::boxes::{FourCc, Mp4Box, boxes, find};

/// Sample entries of one track at most.
const MAX_ENTRIES: usize = 16;

/// One sample entry, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    kind: TrackKind,
    codec: String,
    whole: Vec<u8>,
    width: u32,
    height: u32,
    sample_rate: u32,
    channels: u32,
    encrypted: bool,
}

impl Entry {
    /// Puts what the entry says into `info`.
    pub fn describe(&self, info: &mut TrackInfo) {
        info.kind = self.kind;
        info.codec.clone_from(&self.codec);
        info.sample_entry.clone_from(&self.whole);
        info.width = self.width;
        info.height = self.height;
        info.sample_rate = self.sample_rate;
        info.channels = self.channels;
        info.encrypted = self.encrypted;
    }
}

/// The entries of a `stsd` box, for a track whose handler says `kind`.
pub(super) fn parse(stsd: &Mp4Box<'_>, kind: TrackKind) -> Vec<Entry> {
    let Some((_, _, mut r)) = stsd.full() else { return Vec::new() };
    let Some(count) = r.u32() else { return Vec::new() };
    boxes(r.rest()).take(MAX_ENTRIES.min(count as usize)).map(|b| parse_entry(&b, kind)).collect()
}

fn parse_entry(b: &Mp4Box<'_>, kind: TrackKind) -> Entry {
    let mut entry = Entry {
        kind,
        codec: String::new(),
        whole: b.whole.to_vec(),
        width: 0,
        height: 0,
        sample_rate: 0,
        channels: 0,
        encrypted: matches!(&b.name, b"encv" | b"enca" | b"enct" | b"encs"),
    };
    let children: &[u8] = match kind {
        TrackKind::Video => visual(b.body, &mut entry).unwrap_or_default(),
        TrackKind::Audio => audio(b.body, &mut entry).unwrap_or_default(),
        _ => b.body.get(8..).unwrap_or_default(),
    };
    // The name before encryption (§8.12.2).
    let original = find(children, b"sinf").and_then(|b| b.child(b"frma")?.body.first_chunk::<4>().copied());
    let format = if entry.encrypted { original.unwrap_or(b.name) } else { b.name };
    entry.codec = codec(&format, children, &mut entry);
    #[cfg(feature = "progressive")]
    if let Some(plain) = without_terminator(b.whole, children) {
        entry.whole = plain;
    }
    #[cfg(feature = "progressive")]
    if b.name == *b"mp4a"
        && let Some(plain) = without_quicktime(b.body, children, &entry)
    {
        entry.whole = plain;
    }
    entry
}

/// An entry without the zeros that QuickTime writers put behind its boxes: Chromium refuses what is no box there.
#[cfg(feature = "progressive")]
fn without_terminator(whole: &[u8], children: &[u8]) -> Option<Vec<u8>> {
    let mut walk = boxes(children);
    while walk.next().is_some() {}
    let rest = walk.rest().len();
    let zeros = walk.rest().iter().all(|b| *b == 0);
    if rest == 0 || rest == children.len() || !zeros {
        return None;
    }
    let mut out = whole.get(..whole.len().checked_sub(rest)?)?.to_vec();
    let size = u32::try_from(out.len()).ok()?.to_be_bytes();
    out.get_mut(..4)?.copy_from_slice(&size);
    Some(out)
}

/// Versions 1 and 2 of QuickTime's sound description as an `AudioSampleEntry` (§12.2.3), which is what browsers read.
#[cfg(feature = "progressive")]
fn without_quicktime(body: &[u8], children: &[u8], entry: &Entry) -> Option<Vec<u8>> {
    if body.get(8..10)? == [0, 0] {
        return None;
    }
    let esds = find(children, b"esds").or_else(|| find(children, b"wave")?.child(b"esds"))?;
    let mut w = crate::bytes::ByteWriter::new();
    w.boxed(b"mp4a", |w| {
        w.zeros(6);
        w.u16(1);
        w.zeros(8);
        w.u16(u16::try_from(entry.channels).unwrap_or(2));
        w.u16(16);
        w.zeros(4);
        w.u32(entry.sample_rate.checked_shl(16).filter(|_| entry.sample_rate < 1 << 16).unwrap_or(0));
        w.bytes(esds.whole);
    });
    Some(w.into_vec())
}

/// `VisualSampleEntry` (§12.1.3); gives the boxes in it.
fn visual<'a>(body: &'a [u8], entry: &mut Entry) -> Option<&'a [u8]> {
    let mut r = ByteReader::new(body);
    r.skip(24)?;
    entry.width = r.u16()?.into();
    entry.height = r.u16()?.into();
    r.skip(50)?;
    Some(r.rest())
}

/// `AudioSampleEntry` (§12.2.3), versions 1 and 2 of QuickTime too; gives the boxes in it.
fn audio<'a>(body: &'a [u8], entry: &mut Entry) -> Option<&'a [u8]> {
    let mut r = ByteReader::new(body);
    r.skip(8)?;
    let version = r.u16()?;
    r.skip(6)?;
    entry.channels = r.u16()?.into();
    r.skip(6)?;
    // 16.16 fixed point; 0 or nonsense for rates that do not fit, where the codec's own configuration tells.
    entry.sample_rate = r.u32()? >> 16;
    // QuickTime has more fields in versions 1 and 2, ISO files have not: the boxes begin where boxes can be read.
    let rest = r.rest();
    let more = match version {
        1 => 16,
        2 => 36,
        _ => return Some(rest),
    };
    match boxes(rest).next() {
        Some(b) if b.name.iter().all(u8::is_ascii_graphic) => Some(rest),
        _ => Some(rest.get(more..).unwrap_or_default()),
    }
}

/// The RFC 6381 string of a format with these configuration boxes; corrects the entry by what they say.
fn codec(format: &FourCc, children: &[u8], entry: &mut Entry) -> String {
    let config = |name: &FourCc| find(children, name).map(|b| b.body);
    let name = || String::from_utf8_lossy(format).trim_end().to_owned();
    #[cfg(feature = "progressive")]
    if let b"dvh1" | b"dvhe" | b"dva1" | b"dvav" = format
        && let Some(name) = config(b"dvcC").or(config(b"dvvC")).and_then(|c| dolby_vision(format, c))
    {
        return name;
    }
    let precise = match format {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" => config(b"avcC").and_then(|c| avc(format, c)),
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => config(b"hvcC").and_then(|c| hevc(format, c)),
        b"av01" => config(b"av1C").and_then(av1::codec_string_of_av1c),
        b"vp08" | b"vp09" => {
            config(b"vpcC").and_then(vpx::VpConfig::from_vpcc).map(|c| c.codec_string(format))
        }
        b"mp4a" => config(b"esds").or(find_in_wave(children)).and_then(|c| mp4a(c, entry)),
        b".mp3" => Some("mp3".to_owned()),
        b"Opus" => {
            if let Some(&channels) = config(b"dOps").and_then(|c| c.get(1)) {
                entry.channels = channels.into();
            }
            entry.sample_rate = opus::RATE;
            Some("opus".to_owned())
        }
        b"fLaC" => {
            if let Some(info) = config(b"dfLa").and_then(flac::StreamInfo::parse_dfla) {
                (entry.sample_rate, entry.channels) = (info.rate, info.channels.into());
            }
            Some("flac".to_owned())
        }
        b"ac-3" => {
            if let Some((rate, channels)) = config(b"dac3").and_then(ac3::read_dac3) {
                (entry.sample_rate, entry.channels) = (rate, channels);
            }
            None
        }
        b"ec-3" => {
            if let Some((rate, channels)) = config(b"dec3").and_then(ac3::read_dec3) {
                (entry.sample_rate, entry.channels) = (rate, channels);
            }
            None
        }
        _ => None,
    };
    precise.unwrap_or_else(name)
}

/// QuickTime keeps `esds` inside of `wave`.
fn find_in_wave(children: &[u8]) -> Option<&[u8]> {
    Some(find(children, b"wave")?.child(b"esds")?.body)
}

const LOWER: &[u8; 16] = b"0123456789abcdef";

fn push_byte(out: &mut String, digits: &[u8; 16], byte: u8) {
    out.push(digits[usize::from(byte >> 4)].into());
    out.push(digits[usize::from(byte & 15)].into());
}

fn start(format: &FourCc) -> String {
    let mut out = String::with_capacity(24);
    out.extend(format.iter().map(|&b| char::from(b)));
    out.push('.');
    out
}

/// `avc1.PPCCLL` (RFC 6381 §3.3) from AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
fn avc(format: &FourCc, config: &[u8]) -> Option<String> {
    let mut out = start(format);
    for &byte in config.get(1..4)? {
        push_byte(&mut out, LOWER, byte);
    }
    Some(out)
}

/// `hvc1.1.6.L93.B0` from HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1).
fn hevc(format: &FourCc, config: &[u8]) -> Option<String> {
    Some(ProfileTierLevel::from_bytes(config.get(1..)?.first_chunk()?).codec_string(format))
}

/// `dvh1.05.06` from DOVIDecoderConfigurationRecord (Dolby Vision Streams Within the ISO Base Media File Format §3.2): behind two bytes of
/// version, seven bits of profile and six of level.
#[cfg(feature = "progressive")]
fn dolby_vision(format: &FourCc, config: &[u8]) -> Option<String> {
    let fields = u16::from_be_bytes(*config.get(2..)?.first_chunk()?);
    let decimal = |n: u16| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8].map(char::from);
    let mut out = start(format);
    out.extend(decimal(fields >> 9));
    out.push('.');
    out.extend(decimal(fields >> 3 & 63));
    Some(out)
}

/// One descriptor of ISO/IEC 14496-1 §7.2.2: its tag and its body.
fn descriptor<'a>(r: &mut ByteReader<'a>) -> Option<(u8, &'a [u8])> {
    let tag = r.u8()?;
    let mut size = 0usize;
    for _ in 0..4 {
        let byte = r.u8()?;
        size = size << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    // Some writers count too much; what is there counts.
    let body = r.take(size.min(r.remaining()))?;
    Some((tag, body))
}

/// `mp4a.OO` or `mp4a.40.A` (RFC 6381 §3.3) from `esds` (ISO/IEC 14496-14 §5.6.1).
fn mp4a(esds: &[u8], entry: &mut Entry) -> Option<String> {
    let mut r = ByteReader::new(esds);
    r.skip(4)?;
    let (0x03, es) = descriptor(&mut r)? else { return None };
    let mut r = ByteReader::new(es);
    r.skip(2)?;
    let flags = r.u8()?;
    if flags & 0x80 != 0 {
        r.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let length = r.u8()?;
        r.skip(length.into())?;
    }
    if flags & 0x20 != 0 {
        r.skip(2)?;
    }
    let (0x04, decoder) = descriptor(&mut r)? else { return None };
    let mut r = ByteReader::new(decoder);
    let object_type = r.u8()?;
    r.skip(12)?;
    // ISO/IEC 14496-1 table 5 and the registration authority's list.
    match object_type {
        0x40 => {}
        0x69 | 0x6b => return Some("mp3".to_owned()),
        0xa5 => return Some("ac-3".to_owned()),
        0xa6 => return Some("ec-3".to_owned()),
        other => {
            let mut out = start(b"mp4a");
            push_byte(&mut out, LOWER, other);
            return Some(out);
        }
    }
    let config = match descriptor(&mut r) {
        Some((0x05, config)) => AudioSpecificConfig::parse(config),
        _ => None,
    };
    let Some(config) = config else { return Some("mp4a.40.2".to_owned()) };
    entry.sample_rate = config.output_rate();
    if config.channels() != 0 {
        entry.channels = config.channels();
    }
    Some(config.codec_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            kind: TrackKind::Audio,
            codec: String::new(),
            whole: Vec::new(),
            width: 0,
            height: 0,
            sample_rate: 0,
            channels: 0,
            encrypted: false,
        }
    }

    fn esds(object_type: u8, config: &[u8]) -> Vec<u8> {
        let mut decoder = vec![object_type, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, config.len() as u8];
        decoder.extend_from_slice(config);
        let mut out = vec![
            0,
            0,
            0,
            0,
            3,
            0x80,
            0x80,
            0x80,
            3 + 2 + decoder.len() as u8,
            0,
            1,
            0,
            4,
            decoder.len() as u8,
        ];
        out.extend_from_slice(&decoder);
        out
    }

    #[test]
    fn video_codec_strings_follow_their_bindings() {
        assert_eq!(avc(b"avc3", &[1, 0x4d, 0x40, 0x1f, 0xff]).as_deref(), Some("avc3.4d401f"));
        let main = [1, 0x01, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc(b"hvc1", &main).as_deref(), Some("hvc1.1.6.L93.B0"));
        let high_tier = [1, 0xa2, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 120];
        assert_eq!(hevc(b"hev1", &high_tier).as_deref(), Some("hev1.B2.4.H120"));
        assert_eq!(hevc(b"hvc1", &main[..12]), None);
    }

    #[cfg(feature = "progressive")]
    #[test]
    fn dolby_vision_is_named_by_profile_and_level() {
        let hvcc = [&[0, 0, 0, 21][..], b"hvcC", &[1, 1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93]].concat();
        // Profile 5, level 6.
        let dvcc = [&[0, 0, 0, 14][..], b"dvcC", &[1, 0, 0x0a, 0x35, 0x10, 0]].concat();
        let both = [&hvcc[..], &dvcc].concat();
        assert_eq!(codec(b"dvh1", &both, &mut entry()), "dvh1.05.06");
        assert_eq!(codec(b"dva1", &dvcc, &mut entry()), "dva1.05.06");
        assert_eq!(codec(b"dvhe", &hvcc, &mut entry()), "dvhe.1.6.L93.B0");
        assert_eq!(codec(b"hvc1", &both, &mut entry()), "hvc1.1.6.L93.B0");
    }

    #[cfg(feature = "progressive")]
    #[test]
    fn zeros_behind_the_boxes_of_an_entry_are_left_out() {
        let whole = [&[0, 0, 0, 24][..], b"avc1", &[0, 0, 0, 12], b"avcC", &[1, 2, 3, 4], &[0; 4]].concat();
        let plain = without_terminator(&whole, &whole[8..]).unwrap();
        assert_eq!(plain, [&[0, 0, 0, 20][..], &whole[4..20]].concat());
        assert_eq!(without_terminator(&plain, &plain[8..]), None);
        assert_eq!(without_terminator(&[9; 8], &[]), None);
    }

    #[test]
    fn audio_codec_strings_and_parameters_come_from_the_configuration() {
        let mut e = entry();
        assert_eq!(mp4a(&esds(0x40, &[0x12, 0x10]), &mut e).as_deref(), Some("mp4a.40.2"));
        assert_eq!((e.sample_rate, e.channels), (44_100, 2));
        // Hierarchical signalling of HE-AAC: object type 5, 24 kHz, extension rate 48 kHz, core LC.
        assert_eq!(mp4a(&esds(0x40, &[0x2b, 0x11, 0x88, 0x00]), &mut e).as_deref(), Some("mp4a.40.5"));
        assert_eq!((e.sample_rate, e.channels), (48_000, 2));
        assert_eq!(mp4a(&esds(0x6b, &[]), &mut e).as_deref(), Some("mp3"));
        assert_eq!(mp4a(&esds(0x67, &[]), &mut e).as_deref(), Some("mp4a.67"));
        assert_eq!(mp4a(&esds(0x40, &[0x12, 0x10])[..12], &mut e), None);
    }

    #[test]
    fn other_audio_configurations_give_rate_and_channels() {
        // 48 kHz, bsid 8, 3/2 with LFE.
        assert_eq!(ac3::read_dac3(&[0x10, 0x3d, 0xc0]), Some((48_000, 6)));
        assert_eq!(ac3::read_dec3(&[0x0c, 0x00, 0x20, 0x0f, 0x00]), Some((48_000, 6)));
    }
}
