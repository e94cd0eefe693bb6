//! Supplemental enhancement information of H.264 and HEVC (ISO/IEC 14496-10 annex D, ISO/IEC 23008-2 annex D).

use crate::codec::avc::unescape;

/// `payloadType` of a recovery point (§D.1.8): decoding can start at the picture.
pub const RECOVERY_POINT: u32 = 6;
/// `payloadType` of registered user data (§D.1.6): captions among others.
pub const USER_DATA_ITU_T_T35: u32 = 4;
/// Country (United States), provider (ATSC), identifier, `cc_data()`.
const CC_DATA: &[u8] = b"\xb5\x00\x31GA94\x03";

/// Gives each message of an SEI NAL unit, whose header is left out: its type and its payload.
pub fn messages(nal_body: &[u8], mut message: impl FnMut(u32, &[u8])) {
    // Payload sizes count bytes without emulation prevention.
    let rbsp = unescape(nal_body);
    let mut rest = rbsp.as_slice();
    let number = |rest: &mut &[u8]| -> Option<u32> {
        let mut sum = 0u32;
        loop {
            let (&b, tail) = rest.split_first()?;
            *rest = tail;
            sum = sum.checked_add(u32::from(b))?;
            if b != 0xff {
                return Some(sum);
            }
        }
    };
    // The last byte is the stop bit.
    while rest.len() > 1 {
        let (Some(kind), Some(size)) = (number(&mut rest), number(&mut rest)) else { return };
        // What is cut off is still told by its type.
        let (payload, tail) = rest.split_at((size as usize).min(rest.len()));
        message(kind, payload);
        rest = tail;
    }
}

/// Adds the CEA-608 and CEA-708 triplets of a picture, as [`captions`] gives them, from the SEI of a sample: NAL units behind
/// big-endian lengths of `length_size` bytes (ISO/IEC 14496-15 §4.3.2). Nothing is added where all of them are padding.
pub fn captions_of_sample(sample: &[u8], length_size: usize, hevc: bool, out: &mut Vec<u8>) {
    let before = out.len();
    let mut rest = sample;
    while let Some((length, tail)) = rest.split_at_checked(length_size.max(1)) {
        let length = length.iter().fold(0usize, |n, &b| n << 8 | usize::from(b));
        let Some((unit, tail)) = tail.split_at_checked(length) else { break };
        rest = tail;
        let header = match unit {
            [first, ..] if hevc && first >> 1 & 63 == crate::codec::hevc::nal::PREFIX_SEI => 2,
            [first, ..] if !hevc && first & 31 == crate::codec::avc::nal::SEI => 1,
            _ => continue,
        };
        // Without two zeros in a row, emulation prevention leaves the identifier as it is.
        if unit.windows(CC_DATA.len()).any(|bytes| bytes == CC_DATA) {
            messages(unit.get(header..).unwrap_or_default(), |kind, payload| {
                if kind == USER_DATA_ITU_T_T35
                    && let Some(triplets) = captions(payload)
                {
                    out.extend_from_slice(triplets);
                }
            });
        }
    }
    drop_padding(out, before);
}

/// Drops the triplets from `from` on, if all of them are padding.
pub fn drop_padding(out: &mut Vec<u8>, from: usize) {
    if out.get(from..).is_some_and(|added| added.as_chunks().0.iter().all(is_padding)) {
        out.truncate(from);
    }
}

/// Whether a triplet says nothing: not valid, or a pair of nulls of CEA-608, with or without parity.
fn is_padding(&[flags, a, b]: &[u8; 3]) -> bool {
    flags & 4 == 0 || (flags & 2 == 0 && (a | b) & 0x7f == 0)
}

/// The CEA-608 and CEA-708 triplets in registered user data (ATSC A/53 part 4 §6.2.3, ANSI/SCTE 128-1 §8.1): each a byte with
/// `cc_valid` and `cc_type`, and two of data. `None` for other user data.
pub fn captions(user_data: &[u8]) -> Option<&[u8]> {
    let cc_data = user_data.strip_prefix(CC_DATA)?;
    let (&flags, tail) = cc_data.split_first()?;
    // process_cc_data_flag
    if flags & 0x40 == 0 {
        return None;
    }
    tail.get(1..1 + 3 * usize::from(flags & 31))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(body: &[u8]) -> Vec<u32> {
        let mut out = Vec::new();
        messages(body, |kind, _| out.push(kind));
        out
    }

    #[test]
    fn messages_are_found_one_behind_the_other() {
        assert_eq!(kinds(&[5, 2, 9, 9, 6, 1, 0xc4, 0x80]), [5, RECOVERY_POINT]);
        assert_eq!(kinds(&[5, 2, 9, 6, 0x80]), [5]);
        assert!(kinds(&[5, 255, 255]).is_empty() && kinds(&[]).is_empty());
    }

    #[test]
    fn captions_are_told_from_other_user_data() {
        let data = b"\xb5\x00\x31GA94\x03\x42\xff\xfc\x94\x20\xfd\x80\x80\xff";
        assert_eq!(captions(data), Some(&data[10..16]));
        assert_eq!(captions(&data[..15]), None, "cut off");
        assert_eq!(captions(b"\xb5\x00\x31DTG1\x41\xff"), None);
        assert_eq!(captions(b"\xb5\x00\x31GA94\x03\x02\xff"), None, "not to be processed");
    }

    #[test]
    fn captions_of_a_sample_are_those_of_all_its_sei_but_for_padding() {
        let sei =
            |triplet: &[u8]| [b"\x06\x04\x0e\xb5\x00\x31GA94\x03\x41\xff", triplet, b"\xff\x80"].concat();
        let sample = |units: &[&[u8]], size: usize| {
            let unit = |u: &&[u8]| [&(u.len() as u32).to_be_bytes()[4 - size..], u].concat();
            units.iter().flat_map(unit).collect::<Vec<u8>>()
        };
        let (a, b) = (sei(b"\xfc\x94\x20"), sei(b"\xff\x02\x21"));
        let read = |data: &[u8], size, hevc| {
            let mut out = Vec::new();
            captions_of_sample(data, size, hevc, &mut out);
            out
        };
        for size in [1, 2, 4] {
            // The second field has its own.
            let data = sample(&[b"\x09\xf0", &a, b"\x65abc", &b, b"\x41def"], size);
            assert_eq!(read(&data, size, false), b"\xfc\x94\x20\xff\x02\x21");
            for n in 0..data.len() {
                assert!(read(&data[..n], size, false).len() <= 6);
            }
        }
        let hevc = [&[39 << 1, 1][..], &a[1..]].concat();
        assert_eq!(read(&sample(&[&hevc, b"\x26\x01abc"], 4), 4, true), b"\xfc\x94\x20");
        for idle in [b"\xfc\x80\x80", b"\xfa\x00\x00", b"\xfd\x00\x00"] {
            assert_eq!(read(&sample(&[&sei(idle), b"\x41abc"], 4), 4, false), b"");
        }
    }
}
