//! What the scenarios are played with: a network, a browser and a shell, all under one virtual clock.

pub mod element;
#[cfg(feature = "progressive")]
pub mod files;
pub mod live;
pub mod media;
pub mod mse;
pub mod network;
#[cfg(feature = "replay")]
pub mod record;
pub mod site;
pub mod streams;
pub mod ts;
pub mod world;
