//! Native tests of the core as a whole. One binary, so that it links once.
// In helpers of tests too: clippy's own exception stops at functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::panic)]

#![allow(clippy::panic, reason = "a test says so when it fails")]

#[cfg(feature = "dash")]
mod dash;
#[cfg(feature = "hls")]
mod hls;
#[cfg(feature = "ts")]
mod ts;
