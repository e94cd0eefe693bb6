//! WebM and Matroska (RFC 9559, EBML: RFC 8794).
//!
//! `cues` finds the segments of a file, `demux` reads samples. Browsers take WebM as it is: nothing here writes it.

mod cues;
mod demux;
mod ebml;
mod tracks;

pub use cues::{CuePoint, Head, Progress, Span, read_cues, read_head, spans};
pub use demux::WebmDemuxer;

use crate::error::{Code, PlayerError};

fn malformed(what: &'static str, offset: u64) -> PlayerError {
    PlayerError::new(Code::MediaMalformed, [what, "."].concat()).at(offset)
}
