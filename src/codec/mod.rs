//! Elementary streams: headers, decoder configuration, RFC 6381 strings.
