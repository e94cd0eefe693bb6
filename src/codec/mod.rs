//! Elementary streams: headers, decoder configuration, sample entries, RFC 6381 strings.
//!
//! Import rule: `time`, `bytes`, `error` only.

pub mod aac;
pub mod avc;
pub mod flac;
pub mod opus;
pub mod vorbis;
