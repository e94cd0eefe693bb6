//! Millrace: see src/README.md for the map.
