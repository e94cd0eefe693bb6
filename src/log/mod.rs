//! The record of a session: what went into the core and what came out of it, so that it can be told, drawn, and played again.
//!
//! Import rule: `player` and below. `write.rs` serves the browser (feature `log`); the rest is native only (feature `replay`).
//!
//! | file | what it does |
//! | --- | --- |
//! | `write.rs` | inputs and outputs as lines |
//! | `read.rs` | lines back to inputs, with the bodies of responses |
//! | `replay.rs` | the core on a record, its outputs compared with those that are there |
//! | `story.rs` | a record in words |
//!
//! # The format
//!
//! One JSON array a line. The first is `["millrace-log", VERSION, player version, configuration…]` (the fields of
//! [`Config`](crate::player::Config) in their order). Then, in the order in which it happened:
//!
//! - `[time, ">NAME", …]`: an input, and when (seconds on the shell's clock);
//! - `["<NAME", …]`: a command that came of it;
//! - `["!NAME", …]`: an event that came of it, under its public name;
//! - `["=", request, content]`: what the body of a request was, before the line that ends it: text, `{"b64": …}`, or `{"from": […]}`, which are
//!   pieces of the last body of that URL (`[first, length]`) and new text;
//! - `["cut"]`: there was room for no more.
//!
//! What is not known is `false`; `null` is an infinite number. Media is told by reference: the length and a digest of each piece.

#[cfg(feature = "replay")]
mod read;
#[cfg(feature = "replay")]
mod replay;
#[cfg(feature = "replay")]
mod story;
#[cfg(all(test, feature = "replay"))]
mod tests;
mod write;

#[cfg(feature = "replay")]
pub use read::{Bodies, Fault, LogError, Requested, requests};
#[cfg(feature = "replay")]
pub use replay::{Difference, Outcome, Replay};
#[cfg(feature = "replay")]
pub use story::tell;
pub use write::{Line, header, input, output};

/// Of the format.
pub const VERSION: u8 = 2;
/// What the first line begins with.
pub const MAGIC: &str = "millrace-log";

/// A number for bytes that others hardly have: FNV-1a by words of eight bytes, folded to 32 bits.
pub fn digest(data: &[u8]) -> u32 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let (words, rest) = data.as_chunks::<8>();
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ data.len() as u64;
    let mut add = |word: u64| {
        hash = (hash ^ word).wrapping_mul(PRIME);
        // Else what differs in the upper bits alone would never reach the lower ones.
        hash ^= hash >> 32;
    };
    words.iter().for_each(|w| add(u64::from_le_bytes(*w)));
    rest.iter().for_each(|b| add((*b).into()));
    hash as u32
}
