//! The player's state machine in scenarios that read as scripts.

mod bad_input;
#[cfg(feature = "progressive")]
mod days;
mod faults;
#[cfg(feature = "progressive")]
mod file_tables;
#[cfg(feature = "progressive")]
mod files;
mod lifecycle;
mod live;
mod live_dash;
mod live_hls;
mod live_quality;
mod live_random;
mod live_shapes;
mod live_watch;
mod memory;
mod metadata;
mod playback;
mod quality;
#[cfg(feature = "progressive")]
mod radio;
mod random;
mod seeking;
mod timeline;

pub use crate::sim::live::*;
pub use crate::sim::media::*;
pub use crate::sim::network::*;
pub use crate::sim::streams::*;
pub use crate::sim::world::*;
pub use millrace::error::Code;
pub use millrace::player::*;

/// For faults that last.
pub const ALWAYS: u32 = u32::MAX;
