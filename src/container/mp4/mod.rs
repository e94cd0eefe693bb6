//! ISO base media file format (ISO/IEC 14496-12): fragmented MP4 and CMAF as they arrive, the segment index, and the sample
//! tables of progressive files.

pub(crate) mod boxes;
mod demux;
mod emsg;
#[cfg(feature = "progressive")]
mod layout;
#[cfg(feature = "progressive")]
mod mfra;
mod moof;
pub mod moov;
#[cfg(feature = "progressive")]
pub mod progressive;
#[cfg(feature = "progressive")]
mod segments;
pub mod sidx;
mod stsd;
#[cfg(feature = "progressive")]
mod table;

pub use demux::FragmentDemuxer;
#[cfg(feature = "progressive")]
pub use layout::{Layout, layout};
#[cfg(feature = "progressive")]
pub use mfra::random_access;
#[cfg(feature = "progressive")]
pub use segments::{FileSegment, Plan, SegmentDemuxer, SegmentList};
#[cfg(feature = "progressive")]
pub use table::SampleTable;

#[cfg(test)]
mod tests;
