//! The player: a sans-IO state machine. See `io` for its face.

mod io;

pub use io::*;
