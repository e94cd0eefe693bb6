//! ISO base media file format (ISO/IEC 14496-12): fragmented MP4 and CMAF as they arrive, the segment index, and the sample
//! tables of progressive files.

pub(crate) mod boxes;
mod demux;
mod moof;
pub mod moov;
pub mod progressive;
pub mod sidx;
mod stsd;

pub use demux::FragmentDemuxer;

#[cfg(test)]
mod tests;
