//! Choice of quality.
