//! Millrace: an adaptive streaming player core.
//!
//! `src/README.md` is the map: the layers, who may import whom, and the journey of one media segment.

pub mod abr;
pub mod bytes;
pub mod codec;
pub mod container;
pub mod error;
#[cfg(feature = "log")]
pub mod log;
pub mod manifest;
pub mod player;
pub mod remux;
#[cfg(all(feature = "simulate", not(target_arch = "wasm32")))]
pub mod sim;
pub mod time;
#[cfg(target_arch = "wasm32")]
mod web;
#[cfg(target_arch = "wasm32")]
pub use web::Engine;
