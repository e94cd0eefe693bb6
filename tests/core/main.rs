//! Native tests of the core as a whole. One binary, so that it links once.
#![cfg(not(target_arch = "wasm32"))]
// In helpers of tests too: clippy's own exception stops at functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod counting;
#[cfg(feature = "dash")]
mod dash;
#[cfg(feature = "dash")]
mod dash_live;
#[cfg(feature = "dash")]
mod dash_odd;
#[cfg(feature = "dash")]
mod dash_update;
mod errors;
#[cfg(feature = "progressive")]
mod flac;
#[cfg(feature = "flv")]
mod flv;
#[cfg(feature = "hls")]
mod hls;
#[cfg(feature = "hls")]
mod hls_live;
mod layering;
mod mp4;
#[cfg(feature = "progressive")]
mod mp4_files;
#[cfg(feature = "ogg")]
mod ogg;
#[cfg(feature = "packed")]
mod packed;
#[cfg(all(feature = "dash", feature = "hls"))]
mod scenarios;
#[cfg(all(feature = "dash", feature = "hls"))]
mod sim;
mod support;
#[cfg(feature = "ts")]
mod ts;
#[cfg(feature = "ts")]
mod ts_av1;
#[cfg(feature = "ts")]
mod ts_cases;
#[cfg(feature = "ts")]
mod ts_drift;
#[cfg(feature = "ts")]
mod ts_more;
#[cfg(feature = "ts")]
mod ts_remux;
#[cfg(feature = "webm")]
mod webm;
#[cfg(feature = "webm")]
mod webm_files;
#[cfg(feature = "webm")]
mod webm_remux;
