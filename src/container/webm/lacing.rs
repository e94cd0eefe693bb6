//! Several frames in one block (RFC 9559 §10.3).

use super::ebml;

/// Splits the payload of a block by its lacing: 0 none, 1 Xiph, 2 fixed size, 3 EBML. `None`: broken.
pub(super) fn frames(payload: &[u8], lacing: u8) -> Option<Vec<&[u8]>> {
    if lacing == 0 {
        return Some(vec![payload]);
    }
    let (&last, mut rest) = payload.split_first()?;
    let count = usize::from(last) + 1;
    let mut sizes: Vec<usize> = Vec::with_capacity(count);
    match lacing {
        2 => {
            if !rest.len().is_multiple_of(count) {
                return None;
            }
            sizes.resize(count - 1, rest.len() / count);
        }
        // Xiph: bytes of 255 and one that is less.
        1 => {
            for _ in 1..count {
                let mut size = 0usize;
                loop {
                    let (&b, after) = rest.split_first()?;
                    rest = after;
                    size += usize::from(b);
                    if b != 255 {
                        break;
                    }
                }
                sizes.push(size);
            }
        }
        // EBML: the first size, then signed differences.
        _ => {
            for _ in 1..count {
                let (value, n) = ebml::vint(rest)?;
                rest = rest.get(n..)?;
                let value = i64::try_from(value).ok()?;
                let size = match sizes.last() {
                    None => value,
                    Some(&previous) => {
                        i64::try_from(previous).ok()?.checked_add(value - ((1i64 << (7 * n - 1)) - 1))?
                    }
                };
                sizes.push(usize::try_from(size).ok()?);
            }
        }
    }
    let mut out = Vec::with_capacity(count);
    for size in sizes {
        out.push(rest.get(..size)?);
        rest = &rest[size..];
    }
    out.push(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lacing_gives_its_frames() {
        let expected: Option<Vec<&[u8]>> = Some(vec![&[1; 3], &[2; 2], &[3; 4]]);
        let payload = [1, 1, 1, 2, 2, 3, 3, 3, 3];
        assert_eq!(frames(&payload, 0), Some(vec![&payload[..]]));
        assert_eq!(frames(&[&[2, 3, 2], &payload[..]].concat(), 1), expected);
        // First size 3, then 3 - 1: the difference -1 is 0x3e of one byte.
        assert_eq!(frames(&[&[2, 0x83, 0xbe], &payload[..]].concat(), 3), expected);
        assert_eq!(frames(&[2, 9, 9, 8, 8, 7, 7], 2), Some(vec![&[9, 9][..], &[8, 8], &[7, 7]]));
        for broken in [&[][..], &[2], &[2, 200, 1, 0], &[1, 255]] {
            assert_eq!(frames(broken, 1), None, "{broken:?}");
        }
        assert_eq!(frames(&[1, 1, 2, 3], 2), None);
        assert_eq!(frames(&[2, 0x80, 0x80, 0], 3), None, "a negative size");
    }
}
