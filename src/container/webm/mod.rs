//! WebM and Matroska (RFC 9559, EBML: RFC 8794).
//!
//! `cues` finds the segments of a file, `demux` reads samples.

mod cues;
mod demux;
mod ebml;
mod inflate;
mod lacing;
mod reorder;
mod tracks;

pub use cues::{CuePoint, Head, Layout, Progress, Span, layout, read_cues, read_head, spans};
pub use demux::WebmDemuxer;

use crate::error::{Code, PlayerError};

fn malformed(what: &'static str, offset: u64) -> PlayerError {
    PlayerError::new(Code::MediaMalformed, [what, "."].concat()).at(offset)
}
