//! TrackEntry (RFC 9559 §5.1.4): what a track holds, as the rest of the player names it.

use super::ebml::{self, id};
use crate::codec::{aac, av1, avc, vpx};
use crate::container::{TrackId, TrackInfo, TrackKind};
use crate::time::{Ticks, Timescale};

/// A track with what its blocks need.
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// `TrackNumber`, as blocks name it.
    pub number: u64,
    pub info: TrackInfo,
    /// Nanoseconds per frame, where the header tells.
    pub default_duration: Option<u64>,
}

/// Reads a TrackEntry. `None`: it lacks a number, type or codec.
pub(super) fn track(entry: &[u8], timescale: Timescale) -> Option<Track> {
    let number = ebml::unsigned_child(entry, id::TRACK_NUMBER).filter(|n| *n > 0)?;
    let codec_id = ebml::child(entry, id::CODEC_ID).and_then(ebml::string)?;
    let kind = match ebml::unsigned_child(entry, id::TRACK_TYPE)? {
        1 => TrackKind::Video,
        2 => TrackKind::Audio,
        0x11 => TrackKind::Text,
        _ => TrackKind::Other,
    };
    let private = ebml::child(entry, id::CODEC_PRIVATE).unwrap_or_default();
    let video = ebml::child(entry, id::VIDEO).unwrap_or_default();
    let audio = ebml::child(entry, id::AUDIO).unwrap_or_default();
    let pixels = |id| ebml::unsigned_child(video, id).and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    let rate = ebml::child(audio, id::OUTPUT_SAMPLING_FREQUENCY)
        .or_else(|| ebml::child(audio, id::SAMPLING_FREQUENCY));
    let rate = rate.and_then(ebml::float).unwrap_or(8000.0);
    let delay = ebml::unsigned_child(entry, id::CODEC_DELAY).unwrap_or(0);
    let language = ebml::child(entry, id::LANGUAGE_BCP47).or_else(|| ebml::child(entry, id::LANGUAGE));
    let encodings = ebml::child(entry, id::CONTENT_ENCODINGS).unwrap_or_default();
    let is_audio = kind == TrackKind::Audio;
    let info = TrackInfo {
        id: TrackId(u32::try_from(number).ok()?),
        kind,
        timescale,
        codec: codec_string(codec_id, private),
        // None of the codecs that WebM allows is rewritten to MP4: the browser takes the file as it is.
        sample_entry: Vec::new(),
        width: pixels(id::PIXEL_WIDTH),
        height: pixels(id::PIXEL_HEIGHT),
        sample_rate: if is_audio { rate as u32 } else { 0 },
        channels: match ebml::unsigned_child(audio, id::CHANNELS) {
            _ if !is_audio => 0,
            None => 1,
            Some(channels) => u32::try_from(channels).unwrap_or(0),
        },
        language: language.and_then(ebml::string).filter(|l| !l.is_empty() && *l != "und").map(str::to_owned),
        edit_start: ticks(delay, timescale),
        encrypted: ebml::children(encodings)
            .any(|(i, e)| i == id::CONTENT_ENCODING && ebml::child(e, id::CONTENT_ENCRYPTION).is_some()),
        codec_private: Vec::new(),
    };
    let default_duration = ebml::unsigned_child(entry, id::DEFAULT_DURATION).filter(|d| *d > 0);
    Some(Track { number, info, default_duration })
}

/// Nanoseconds as ticks, to the nearest.
pub(super) fn ticks(nanoseconds: u64, timescale: Timescale) -> Ticks {
    let ticks = (u128::from(nanoseconds) * u128::from(timescale.get()) + 500_000_000) / 1_000_000_000;
    Ticks::try_from(ticks).unwrap_or(Ticks::MAX)
}

/// RFC 6381 string for a CodecID (RFC 9559 §5.1.4.1.21 and its codec mappings).
fn codec_string(codec_id: &str, private: &[u8]) -> String {
    let full = match codec_id {
        "V_VP9" if private.len() >= 3 => {
            let mut config = vpx::VpConfig::assumed(0, 0, None);
            config.apply_webm_private(private);
            Some(config.codec_string(b"vp09"))
        }
        "V_AV1" => av1::codec_string_of_av1c(private),
        "V_MPEG4/ISO/AVC" => match private {
            [1, profile, constraints, level, ..] => Some(avc::codec_string(*profile, *constraints, *level)),
            _ => None,
        },
        "A_AAC" => aac::AudioSpecificConfig::parse(private).map(|c| c.codec_string()),
        _ => None,
    };
    let plain = match codec_id {
        "V_VP8" => "vp8",
        "V_VP9" => "vp9",
        "V_AV1" => "av01",
        "V_MPEG4/ISO/AVC" => "avc1",
        "V_MPEGH/ISO/HEVC" => "hvc1",
        "A_OPUS" => "opus",
        "A_VORBIS" => "vorbis",
        "A_FLAC" => "flac",
        "A_AAC" => "mp4a.40.2",
        "A_MPEG/L3" => "mp3",
        "A_AC3" => "ac-3",
        "A_EAC3" => "ec-3",
        "D_WEBVTT/SUBTITLES" | "D_WEBVTT/CAPTIONS" | "S_TEXT/WEBVTT" => "wvtt",
        other => other,
    };
    full.unwrap_or_else(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_strings_carry_profile_level_and_depth_where_the_header_tells() {
        assert_eq!(codec_string("V_VP9", &[1, 1, 0, 2, 1, 31, 3, 1, 8, 4, 1, 1]), "vp09.00.31.08");
        assert_eq!(codec_string("V_VP9", &[]), "vp9");
        assert_eq!(codec_string("V_AV1", &[0x81, 0x05, 0x0c, 0x00]), "av01.0.05M.08");
        assert_eq!(codec_string("V_AV1", &[0x81, 0x2d, 0xcc, 0x00]), "av01.1.13H.10");
        assert_eq!(codec_string("V_MPEG4/ISO/AVC", &[1, 0x64, 0, 0x1f]), "avc1.64001f");
        assert_eq!(codec_string("A_OPUS", &[]), "opus");
        assert_eq!(codec_string("X_OTHER", &[]), "X_OTHER");
    }
}
