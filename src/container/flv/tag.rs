//! What the first bytes of a tag's body say: FLV 10.1 Annex E.4, and Enhanced RTMP v1 and v2 (Veovera) for codecs with a FourCC.

use crate::bytes::ByteReader;

/// Codecs that are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Avc,
    Hevc,
    Av1,
    Vp9,
    Aac,
    Mp3,
    Opus,
    Flac,
    /// And E-AC-3: the frames tell.
    Ac3,
}

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// Decoder configuration.
    Config(Codec),
    /// An access unit; with the presentation time less the decoding time, in milliseconds.
    Frame { codec: Codec, composition: i32, sync: bool },
    /// Nothing that matters: the end of a sequence, a command, color information.
    Ignored,
    /// Of a kind that is not played: said by name.
    Unsupported(&'static str),
    /// The whole body is needed to tell.
    Whole,
}

/// A packet and where its payload stands in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub packet: Packet,
    pub start: usize,
    /// `None`: to the end of the body.
    pub end: Option<usize>,
    /// More tracks than the first are in it, or it is of another than the first.
    pub others: bool,
}

impl Parsed {
    fn to_end(packet: Packet, start: usize) -> Self {
        Self { packet, start, end: None, others: false }
    }
}

/// Bytes of a body that [`video`] and [`audio`] need of it, and of an access unit what tells its parameters.
pub(super) const HEAD: usize = 32;

/// Enhanced RTMP v1: `PacketType`.
mod video_packet {
    pub const SEQUENCE_START: u8 = 0;
    pub const CODED_FRAMES: u8 = 1;
    pub const CODED_FRAMES_X: u8 = 3;
    pub const MULTITRACK: u8 = 6;
    pub const MOD_EX: u8 = 7;
}

/// Enhanced RTMP v2: `AudioPacketType`.
mod audio_packet {
    pub const SEQUENCE_START: u8 = 0;
    pub const CODED_FRAMES: u8 = 1;
    pub const MULTITRACK: u8 = 5;
    pub const MOD_EX: u8 = 7;
}

/// Reads the head of a video tag's body (§E.4.3.1). `whole`: `body` is all of it. `None`: too short.
pub(super) fn video(body: &[u8], whole: bool) -> Option<Parsed> {
    let mut r = ByteReader::new(body);
    let first = r.u8()?;
    // 1 is a keyframe; 4, a "generated" one, was reserved for servers.
    let frame_type = first >> 4 & 7;
    let sync = frame_type == 1;
    if frame_type == 5 {
        return Some(Parsed::to_end(Packet::Ignored, 0));
    }
    if first & 0x80 != 0 {
        return enhanced(body, sync, true, whole);
    }
    let codec = match first & 15 {
        7 => Codec::Avc,
        // Not in the specification: what servers in China agreed on before there was another way.
        12 => Codec::Hevc,
        2 => return Some(Parsed::to_end(Packet::Unsupported("Sorenson H.263 video is not supported"), 0)),
        3 | 6 => return Some(Parsed::to_end(Packet::Unsupported("Screen video is not supported"), 0)),
        4 | 5 => return Some(Parsed::to_end(Packet::Unsupported("VP6 video is not supported"), 0)),
        _ => return Some(Parsed::to_end(Packet::Unsupported("video of an unknown codec"), 0)),
    };
    let kind = r.u8()?;
    let composition = signed24(&mut r)?;
    let packet = match kind {
        0 => Packet::Config(codec),
        1 => Packet::Frame { codec, composition, sync },
        _ => Packet::Ignored,
    };
    Some(Parsed::to_end(packet, r.position()))
}

/// Reads the head of an audio tag's body (§E.4.2.1).
pub(super) fn audio(body: &[u8], whole: bool) -> Option<Parsed> {
    let mut r = ByteReader::new(body);
    let first = r.u8()?;
    let frame = |codec| Packet::Frame { codec, composition: 0, sync: true };
    let packet = match first >> 4 {
        10 => match r.u8()? {
            0 => Packet::Config(Codec::Aac),
            1 => frame(Codec::Aac),
            _ => Packet::Ignored,
        },
        2 | 14 => frame(Codec::Mp3),
        9 => return enhanced(body, true, false, whole),
        0 | 1 | 3 => Packet::Unsupported("PCM audio is not supported"),
        4..=6 => Packet::Unsupported("Nellymoser audio is not supported"),
        7 | 8 => Packet::Unsupported("G.711 audio is not supported"),
        11 => Packet::Unsupported("Speex audio is not supported"),
        _ => Packet::Unsupported("audio of an unknown codec"),
    };
    Some(Parsed::to_end(packet, r.position()))
}

fn signed24(r: &mut ByteReader<'_>) -> Option<i32> {
    Some(((r.u24()? << 8) as i32) >> 8)
}

/// A body with a FourCC.
fn enhanced(body: &[u8], sync: bool, is_video: bool, whole: bool) -> Option<Parsed> {
    let mut r = ByteReader::new(body);
    let mut kind = r.u8()? & 15;
    let (mod_ex, multitrack) = match is_video {
        true => (video_packet::MOD_EX, video_packet::MULTITRACK),
        false => (audio_packet::MOD_EX, audio_packet::MULTITRACK),
    };
    // Modifiers before the packet: the one that is defined adds nanoseconds, which the ticks here do not have.
    while kind == mod_ex {
        if !whole {
            return Some(Parsed::to_end(Packet::Whole, 0));
        }
        let size = match usize::from(r.u8()?) + 1 {
            256 => usize::from(r.u16()?) + 1,
            size => size,
        };
        r.skip(size)?;
        kind = r.u8()? & 15;
    }
    let (mut start, mut end, mut others) = (None, None, false);
    let fourcc;
    if kind == multitrack {
        if !whole {
            return Some(Parsed::to_end(Packet::Whole, 0));
        }
        let byte = r.u8()?;
        kind = byte & 15;
        // 0: one track, 1: several of one codec, 2: of several codecs.
        let shared = if byte >> 4 == 2 { None } else { Some(r.fourcc()?) };
        loop {
            let name = match shared {
                Some(name) => name,
                None => r.fourcc()?,
            };
            let track = r.u8()?;
            let size = if byte >> 4 == 0 { r.remaining() } else { r.u24()? as usize };
            let at = r.position();
            r.skip(size)?;
            others |= track != 0 || r.remaining() > 0;
            if track == 0 {
                fourcc = name;
                (start, end) = (Some(at), Some(at + size));
                break;
            }
            if r.remaining() == 0 {
                return Some(Parsed { others, ..Parsed::to_end(Packet::Ignored, 0) });
            }
        }
    } else {
        fourcc = r.fourcc()?;
    }
    let mut start = start.unwrap_or(r.position());
    let codec = match (&fourcc, is_video) {
        (b"avc1", true) => Codec::Avc,
        (b"hvc1", true) => Codec::Hevc,
        (b"av01", true) => Codec::Av1,
        (b"vp09", true) => Codec::Vp9,
        (b"vp08", true) => {
            return Some(Parsed::to_end(Packet::Unsupported("VP8 video in FLV is not supported"), 0));
        }
        (b"vvc1", true) => return Some(Parsed::to_end(Packet::Unsupported("VVC video is not supported"), 0)),
        (b"mp4a", false) => Codec::Aac,
        (b".mp3", false) => Codec::Mp3,
        (b"Opus", false) => Codec::Opus,
        (b"fLaC", false) => Codec::Flac,
        (b"ac-3" | b"ec-3", false) => Codec::Ac3,
        (_, true) => return Some(Parsed::to_end(Packet::Unsupported("video of an unknown codec"), 0)),
        (_, false) => return Some(Parsed::to_end(Packet::Unsupported("audio of an unknown codec"), 0)),
    };
    let packet = match (is_video, kind) {
        (true, video_packet::SEQUENCE_START) | (false, audio_packet::SEQUENCE_START) => Packet::Config(codec),
        (true, video_packet::CODED_FRAMES) => {
            // Only codecs that reorder have the field.
            let mut composition = 0;
            if matches!(codec, Codec::Avc | Codec::Hevc) {
                composition = signed24(&mut ByteReader::new(body.get(start..)?))?;
                start += 3;
            }
            Packet::Frame { codec, composition, sync }
        }
        (true, video_packet::CODED_FRAMES_X) | (false, audio_packet::CODED_FRAMES) => {
            Packet::Frame { codec, composition: 0, sync }
        }
        _ => Packet::Ignored,
    };
    Some(Parsed { packet, start, end, others })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(codec: Codec, composition: i32, sync: bool) -> Packet {
        Packet::Frame { codec, composition, sync }
    }

    #[test]
    fn legacy_heads_give_codec_offset_and_kind() {
        let got = |b: &[u8]| video(b, false).map(|p| (p.packet, p.start));
        assert_eq!(got(&[0x17, 0, 0, 0, 0, 1]), Some((Packet::Config(Codec::Avc), 5)));
        assert_eq!(got(&[0x27, 1, 0xff, 0xff, 0xd8, 0]), Some((frame(Codec::Avc, -40, false), 5)));
        assert_eq!(got(&[0x1c, 1, 0, 0, 40]), Some((frame(Codec::Hevc, 40, true), 5)));
        assert_eq!(got(&[0x17, 2, 0, 0, 0]), Some((Packet::Ignored, 5)));
        assert_eq!(got(&[0x57, 1]), Some((Packet::Ignored, 0)));
        assert!(matches!(got(&[0x12]), Some((Packet::Unsupported(_), 0))));
        assert_eq!([got(&[]), got(&[0x17]), got(&[0x17, 0, 0, 0])], [None; 3]);
        let got = |b: &[u8]| audio(b, false).map(|p| (p.packet, p.start));
        assert_eq!(got(&[0xaf, 0, 0x12, 0x10]), Some((Packet::Config(Codec::Aac), 2)));
        assert_eq!(got(&[0xaf, 1, 9]), Some((frame(Codec::Aac, 0, true), 2)));
        assert_eq!(got(&[0x2f, 0xff]), Some((frame(Codec::Mp3, 0, true), 1)));
        assert!(matches!(got(&[0xb6]), Some((Packet::Unsupported(_), 1))));
    }

    #[test]
    fn heads_with_a_fourcc_give_codec_offset_and_kind() {
        let got = |b: &[u8]| video(b, true).map(|p| (p.packet, p.start, p.end, p.others));
        assert_eq!(got(b"\x90hvc1\x01"), Some((Packet::Config(Codec::Hevc), 5, None, false)));
        assert_eq!(got(b"\x91hvc1\0\0\x28x"), Some((frame(Codec::Hevc, 40, true), 8, None, false)));
        assert_eq!(got(b"\xa3hvc1x"), Some((frame(Codec::Hevc, 0, false), 5, None, false)));
        assert_eq!(got(b"\xa1av01x"), Some((frame(Codec::Av1, 0, false), 5, None, false)));
        assert_eq!(got(b"\x94hvc1"), Some((Packet::Ignored, 5, None, false)));
        assert!(matches!(got(b"\x90vvc1"), Some((Packet::Unsupported(_), ..))));
        assert_eq!(got(b"\x91hvc1\0\0"), None);
        // A modifier of three bytes, then CodedFrames.
        assert_eq!(got(b"\x97\x02\0\0\x09\x01av01x"), Some((frame(Codec::Av1, 0, true), 10, None, false)));
        assert_eq!(video(b"\x97\x02", false).unwrap().packet, Packet::Whole);
        let got = |b: &[u8]| audio(b, true).map(|p| (p.packet, p.start, p.end, p.others));
        assert_eq!(got(b"\x90OpusOpusHead"), Some((Packet::Config(Codec::Opus), 5, None, false)));
        assert_eq!(got(b"\x91ec-3\x0b"), Some((frame(Codec::Ac3, 0, true), 5, None, false)));
    }

    #[test]
    fn of_several_tracks_the_first_is_taken() {
        let got = |b: &[u8]| video(b, true).map(|p| (p.packet, p.start, p.end, p.others));
        // One track, number 0.
        assert_eq!(got(b"\x96\x01avc1\0\0\0\x05xy"), Some((frame(Codec::Avc, 5, true), 10, Some(12), false)));
        // Track 1, then track 0 of another codec.
        assert_eq!(
            got(b"\x96\x21hvc1\x01\0\0\x04....av01\0\0\0\x02xy"),
            Some((frame(Codec::Av1, 0, true), 22, Some(24), true))
        );
        assert_eq!(got(b"\x96\x01av01\x07xy").map(|g| (g.0, g.3)), Some((Packet::Ignored, true)));
        assert_eq!(got(b"\x96\x11av01\0\0\0\x09xy"), None, "longer than the body");
        for cut in 0..24 {
            let _ = got(&b"\x96\x21hvc1\x01\0\0\x04....av01\0\0\0\x02xy"[..cut]);
        }
    }
}
