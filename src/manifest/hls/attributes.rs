//! Attribute lists (RFC 8216bis §4.2) and the numbers in them.

use crate::manifest::ByteRange;

/// One `NAME=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    /// Without the quotes.
    pub value: &'a str,
    pub quoted: bool,
}

/// Reads an attribute list. Items that are none are passed over; a missing closing quote closes at the end of the line.
pub(super) struct Attributes<'a>(&'a str);

impl<'a> Attributes<'a> {
    pub(super) fn new(list: &'a str) -> Self {
        Self(list)
    }

    /// The value of the first attribute with this name.
    pub(super) fn get(list: &'a str, name: &str) -> Option<&'a str> {
        Attributes::new(list).find(|a| a.name == name).map(|a| a.value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (name, rest) = self.0.split_once('=')?;
        let name = name.rsplit(',').next().unwrap_or(name).trim_ascii();
        let rest = rest.trim_ascii_start();
        let (value, quoted) = match rest.strip_prefix('"') {
            Some(inside) => {
                let (value, rest) = inside.split_once('"').unwrap_or((inside, ""));
                self.0 = rest;
                (value, true)
            }
            None => {
                let (value, rest) = rest.split_once(',').unwrap_or((rest, ""));
                self.0 = rest;
                (value.trim_ascii(), false)
            }
        };
        Some(Attribute { name, value, quoted })
    }
}

/// A decimal-floating-point, not negative. Fifteen digits and fewer, that is all that occur, are read exactly by one
/// division; the standard library's reader is several times slower.
pub(super) fn decimal(text: &str) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (mut mantissa, mut digits, mut fraction) = (0_u64, 0_usize, None::<usize>);
    for &b in text.as_bytes() {
        match b {
            b'0'..=b'9' if digits < 15 => {
                mantissa = mantissa * 10 + u64::from(b - b'0');
                digits += 1;
                if let Some(n) = &mut fraction {
                    *n += 1;
                }
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            _ => return text.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0),
        }
    }
    let power = POWERS.get(fraction.unwrap_or(0))?;
    (digits > 0).then_some(mantissa as f64 / power)
}

/// A signed-decimal-floating-point.
pub(super) fn signed_decimal(text: &str) -> Option<f64> {
    match text.strip_prefix('-') {
        Some(t) => decimal(t).map(|v| -v),
        None => decimal(text),
    }
}

/// A decimal-integer. One reader for all: the standard library's is compiled anew for each type.
pub(super) fn integer(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0_u64, |value, b| {
        let digit = b.checked_sub(b'0').filter(|d| *d < 10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The number at the start of a text: a decimal comma, a unit or what else a server has added ends it.
pub(super) fn leading(text: &str) -> &str {
    let end = text.bytes().position(|b| !b.is_ascii_digit() && b != b'.').unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// The same, of whole numbers.
pub(super) fn leading_integer(text: &str) -> &str {
    leading(text).split('.').next().unwrap_or(text)
}

/// `<n>[@<o>]` (RFC 8216bis §4.4.4.2) as (length, offset).
pub(super) fn byte_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (length, offset) = text.split_once('@').unwrap_or((text, ""));
    let offset = match offset.trim_ascii() {
        "" => None,
        offset => Some(integer(offset)?),
    };
    Some((integer(length.trim_ascii())?, offset))
}

/// `None` for an empty or overflowing range.
pub(super) fn to_range(length: u64, offset: u64) -> Option<ByteRange> {
    Some(ByteRange { first: offset, last: Some(offset.checked_add(length.checked_sub(1)?)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribute_lists_keep_commas_in_quotes_and_pass_over_rubbish() {
        let list = r#"BANDWIDTH=1 , CODECS="a,b=c" ,junk,X=,RESOLUTION=1x2,URI="open"#;
        let read: Vec<_> = Attributes::new(list).map(|a| (a.name, a.value, a.quoted)).collect();
        assert_eq!(
            read,
            [
                ("BANDWIDTH", "1", false),
                ("CODECS", "a,b=c", true),
                ("X", "", false),
                ("RESOLUTION", "1x2", false),
                ("URI", "open", true)
            ]
        );
    }

    #[test]
    fn integers_are_digits_within_64_bits() {
        assert_eq!(integer("18446744073709551615"), Some(u64::MAX));
        for t in ["", "18446744073709551616", "-1", "+1", "1 ", "0x1"] {
            assert_eq!(integer(t), None, "{t}");
        }
    }

    #[test]
    fn decimals_are_read_as_the_standard_library_reads_them() {
        for t in [
            "0",
            "4",
            "4.",
            ".5",
            "9.97667",
            "6.006006006006006",
            "0.1",
            "123456789.123456",
            "1e3",
            "00004.2",
        ] {
            assert_eq!(decimal(t), Some(t.parse::<f64>().unwrap()), "{t}");
        }
        for t in ["", ".", "-1", "x", "1.2.3", "inf", "NaN", "4 "] {
            assert_eq!(decimal(t), None, "{t}");
        }
        assert_eq!(signed_decimal("-1.5"), Some(-1.5));
    }
}
