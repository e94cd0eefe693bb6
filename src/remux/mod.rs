//! Samples to fragmented MP4.
