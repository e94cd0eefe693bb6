//! Values of attributes (XML Schema part 2, ISO/IEC 23009-1): durations, dates, ranges, ratios.
//!
//! The crate's own readers of dates and durations bring chrono, nom and regular expressions into the build; these are a page.

pub(super) use crate::manifest::date::date_time;

use crate::manifest::ByteRange;
use crate::time::Seconds;

/// `xs:double` that is a number.
pub(super) fn double(text: &str) -> Option<f64> {
    match text {
        // @availabilityTimeOffset may be infinite.
        "INF" | "+INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok().filter(|v: &f64| v.is_finite()),
    }
}

/// What is read of an integer. Some write decimal numbers: of these, the whole part.
pub(super) fn whole(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit()) => whole,
        _ => text,
    }
}

/// `xs:duration` in seconds. Years count 365 days and months 30: an MPD has no use for either.
pub(super) fn duration(text: &str) -> Option<Seconds> {
    let text = text.trim();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut rest = rest.strip_prefix('P')?;
    let (mut total, mut time, mut any) = (0.0, false, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            if time {
                return None;
            }
            (time, rest) = (true, after);
            continue;
        }
        let digits = rest.bytes().position(|b| !b.is_ascii_digit() && b != b'.' && b != b',')?;
        let unit = match (rest.as_bytes()[digits], time) {
            (b'Y', false) => 365.0 * 86_400.0,
            (b'M', false) => 30.0 * 86_400.0,
            (b'W', false) => 7.0 * 86_400.0,
            (b'D', false) => 86_400.0,
            (b'H', true) => 3600.0,
            (b'M', true) => 60.0,
            (b'S', true) => 1.0,
            _ => return None,
        };
        let number = &rest[..digits];
        let value: f64 =
            if number.contains(',') { number.replace(',', ".").parse() } else { number.parse() }.ok()?;
        total += value * unit;
        any = true;
        rest = &rest[digits + 1..];
        // Seconds come last; a stray time zone after them is seen in practice ("PT3M30SZ").
        if unit == 1.0 {
            break;
        }
    }
    (any && total.is_finite()).then_some(sign * total)
}

/// Base64 (RFC 4648 §4), white space in it passed over. `None`: something else stands in it.
pub(super) fn base_64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.trim_end_matches(['=', ' ', '\n', '\r', '\t']).bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ if byte.is_ascii_whitespace() => continue,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

/// Byte range (RFC 9110 §14.1.2) `first-last` or `first-`.
pub(super) fn byte_range(text: &str) -> Option<ByteRange> {
    let (first, last) = text.trim().split_once('-')?;
    let first = first.trim().parse().ok()?;
    let last = match last.trim() {
        "" => None,
        last => Some(last.parse().ok().filter(|l| *l >= first)?),
    };
    Some(ByteRange { first, last })
}

/// Frame rate `30`, `29.97` or `30000/1001`; 0 if it is neither.
pub(super) fn frame_rate(text: &str) -> f64 {
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    match (double(numerator.trim()), double(denominator.trim())) {
        (Some(n), Some(d)) if n >= 0.0 && d > 0.0 && (n / d).is_finite() => n / d,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_count_all_units() {
        for (text, seconds) in [
            ("PT0S", 0.0),
            ("PT1.5S", 1.5),
            ("PT40M58.360S", 2458.36),
            ("PT0H0M10S", 10.0),
            ("P1DT2H", 93_600.0),
            ("P0Y0M0DT0H4M20,5S", 260.5),
            ("PT3M30SZ", 210.0),
            ("-PT5S", -5.0),
            ("P2W", 1_209_600.0),
        ] {
            assert_eq!(duration(text), Some(seconds), "{text}");
        }
        for text in ["", "P", "PT", "PTS", "10", "PT5", "P5S", "PT1D", "PTTS", "PT1..2S", "P-1D"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn base_64_is_decoded_or_refused() {
        for (text, bytes) in [("", ""), ("TQ==", "M"), ("TWE", "Ma"), (" TW\nFu ", "Man"), ("+/+/", "\u{fb}")]
        {
            let expected = if text == "+/+/" { vec![0xfb, 0xff, 0xbf] } else { bytes.as_bytes().to_vec() };
            assert_eq!(base_64(text), Some(expected), "{text}");
        }
        assert_eq!((base_64("a-b"), base_64("T=Q")), (None, None));
    }

    #[test]
    fn ranges_and_ratios_that_make_no_sense_are_refused() {
        assert_eq!(byte_range("0-1047"), Some(ByteRange { first: 0, last: Some(1047) }));
        assert_eq!(byte_range("500-"), Some(ByteRange { first: 500, last: None }));
        for text in ["", "-5", "9-5", "a-b", "1", "18446744073709551616-"] {
            assert_eq!(byte_range(text), None, "{text}");
        }
        assert!((frame_rate("30000/1001") - 29.97).abs() < 1e-3);
        assert_eq!(
            [frame_rate("25"), frame_rate("25/0"), frame_rate("x"), frame_rate("-1")],
            [25.0, 0.0, 0.0, 0.0]
        );
    }
}
