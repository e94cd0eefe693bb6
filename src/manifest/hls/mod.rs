//! HLS (RFC 8216bis).
