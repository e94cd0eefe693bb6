//! Supplemental enhancement information of H.264 and HEVC (ISO/IEC 14496-10 annex D, ISO/IEC 23008-2 annex D).

use crate::codec::avc::unescape;

/// `payloadType` of a recovery point (§D.1.8): decoding can start at the picture.
pub const RECOVERY_POINT: u32 = 6;
/// `payloadType` of registered user data (§D.1.6): captions among others.
pub const USER_DATA_ITU_T_T35: u32 = 4;

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

/// The CEA-608 and CEA-708 triplets in registered user data (ATSC A/53 part 4 §6.2.3, ANSI/SCTE 128-1 §8.1): each a byte with
/// `cc_valid` and `cc_type`, and two of data. `None` for other user data.
pub fn captions(user_data: &[u8]) -> Option<&[u8]> {
    // Country (United States), provider (ATSC), identifier, `cc_data()`.
    let cc_data = user_data.strip_prefix(b"\xb5\x00\x31GA94\x03")?;
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
}
