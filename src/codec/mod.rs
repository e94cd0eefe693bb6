//! Elementary streams: headers, decoder configuration, sample entries, RFC 6381 strings.
//!
//! Import rule: `time`, `bytes`, `error` only.

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
pub mod flac;
pub mod hevc;
pub mod latm;
pub mod mpeg_audio;
pub mod opus;
pub mod sei;
pub mod vorbis;
pub mod vpx;

/// Appends a number under 100 in two digits.
fn push_two_digits(out: &mut String, value: u8) {
    out.push(char::from(b'0' + value / 10 % 10));
    out.push(char::from(b'0' + value % 10));
}
