//! WebM and Matroska.
