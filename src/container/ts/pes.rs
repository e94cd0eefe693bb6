//! Headers of packetized elementary streams (ISO/IEC 13818-1 §2.4.3.6).

/// Longest header: 9 bytes and 255 of `PES_header_data_length`.
pub const MAX_HEADER: usize = 9 + 255;

/// What a PES header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PesHeader {
    /// Raw 33-bit presentation time.
    pub pts: Option<u64>,
    /// Raw 33-bit decoding time; only with a `pts`.
    pub dts: Option<u64>,
    /// Bytes of the header.
    pub size: usize,
    /// Bytes of payload; `None` for a packet that lasts until the next.
    pub payload: Option<usize>,
}

/// Outcome of looking at the first bytes of a PES packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The header is not complete yet.
    Short,
    /// These bytes start no PES packet that carries an elementary stream.
    Malformed,
    /// The header.
    Header(PesHeader),
}

fn time_stamp(b: &[u8; 5]) -> u64 {
    u64::from(b[0] >> 1 & 7) << 30
        | u64::from(b[1]) << 22
        | u64::from(b[2] >> 1) << 15
        | u64::from(b[3]) << 7
        | u64::from(b[4] >> 1)
}

/// Reads a header from the first bytes of a PES packet.
pub fn parse(data: &[u8]) -> Parsed {
    let prefix = &data[..data.len().min(3)];
    if prefix != &[0, 0, 1][..prefix.len()] {
        return Parsed::Malformed;
    }
    let Some(&[_, _, _, stream_id, len_high, len_low, marker, flags, header_len]) = data.first_chunk::<9>()
    else {
        return Parsed::Short;
    };
    // Stream map, padding, private_stream_2, ECM, EMM, DSM-CC, H.222.1 type E and directory have no such header.
    if matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0 | 0xf1 | 0xf2 | 0xf8 | 0xff) || marker >> 6 != 0b10 {
        return Parsed::Malformed;
    }
    let size = 9 + usize::from(header_len);
    let Some(fields) = data.get(9..size) else { return Parsed::Short };
    let pts = if flags & 0x80 != 0 { fields.first_chunk().map(time_stamp) } else { None };
    let dts = if flags & 0xc0 == 0xc0 {
        fields.get(5..).and_then(|f| f.first_chunk()).map(time_stamp)
    } else {
        None
    };
    let packet = usize::from(len_high) << 8 | usize::from(len_low);
    let payload = match packet {
        0 => None,
        // The length counts from after its own field.
        n => match (n + 6).checked_sub(size) {
            Some(n) => Some(n),
            None => return Parsed::Malformed,
        },
    };
    Parsed::Header(PesHeader { pts, dts, size, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_and_lengths_are_read() {
        let b = [
            0, 0, 1, 0xe0, 0x00, 0x20, 0x80, 0xc0, 10, 0x3f, 0xff, 0xff, 0xff, 0xff, 0x11, 0x00, 0x01, 0x00,
            0x03,
        ];
        let expected =
            PesHeader { pts: Some((1 << 33) - 1), dts: Some(1), size: 19, payload: Some(0x20 + 6 - 19) };
        assert_eq!(parse(&b), Parsed::Header(expected));
        for n in 0..b.len() {
            assert_eq!(parse(&b[..n]), Parsed::Short);
        }
    }

    #[test]
    fn what_is_no_pes_header_is_refused() {
        assert_eq!(parse(&[0, 0, 2]), Parsed::Malformed);
        assert_eq!(parse(&[0, 0, 1, 0xbe, 0, 0, 0x80, 0, 0]), Parsed::Malformed, "padding stream");
        assert_eq!(parse(&[0, 0, 1, 0xe0, 0, 2, 0x80, 0, 0]), Parsed::Malformed, "shorter than its header");
        assert_eq!(parse(&[0, 0, 1, 0xe0, 0, 0, 0, 0, 0]), Parsed::Malformed, "MPEG-1 header");
    }
}
