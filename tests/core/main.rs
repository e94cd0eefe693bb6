//! Native tests of the core as a whole. One binary, so that it links once.

#[cfg(feature = "dash")]
mod dash;
