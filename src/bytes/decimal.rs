//! Decimal numbers, read without the table of the standard library.
//!
//! `f64::from_str` rounds every decimal to the nearest double, for which it carries 15 kB of code and powers of five that no compressor
//! shrinks: a tenth of a whole build on the wire. Manifests do not need it, but the crates that read them call it. So the builds for the
//! browser have [`from_str`] put in its place (`substituteDecimals` in www/build.mjs).

use std::num::ParseFloatError;

/// As `f64::from_str`, and the same to the bit for numbers of up to 15 digits with exponents of up to 22; the last bits may differ for others.
#[cfg_attr(target_arch = "wasm32", unsafe(export_name = "millrace_decimal"))]
pub fn from_str(text: &str) -> Result<f64, ParseFloatError> {
    let (negative, rest) = match text.as_bytes() {
        [sign @ (b'+' | b'-'), rest @ ..] => (*sign == b'-', rest),
        rest => (false, rest),
    };
    let word = |name: &[u8]| rest.eq_ignore_ascii_case(name);
    let value = if word(b"inf") || word(b"infinity") {
        f64::INFINITY
    } else if word(b"nan") {
        f64::NAN
    } else {
        number(rest).ok_or_else(|| error(text.is_empty()))?
    };
    Ok(if negative { -value } else { value })
}

/// Digits, perhaps with a point among them, perhaps with an exponent.
fn number(text: &[u8]) -> Option<f64> {
    let (mut mantissa, mut exponent) = (0u64, 0i64);
    let (mut digits, mut point) = (false, false);
    let mut rest = text;
    while let [next, tail @ ..] = rest {
        match next {
            b'0'..=b'9' => {
                digits = true;
                // What does not fit is below the precision of a double.
                if mantissa < u64::MAX / 10 - 1 {
                    mantissa = mantissa * 10 + u64::from(next - b'0');
                    exponent -= i64::from(point);
                } else {
                    exponent += i64::from(!point);
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' if digits => {
                exponent = exponent.saturating_add(power(tail)?);
                break;
            }
            _ => return None,
        }
        rest = tail;
    }
    digits.then(|| scale(mantissa as f64, exponent))
}

/// The number after `e`.
fn power(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [sign @ (b'+' | b'-'), rest @ ..] => (*sign == b'-', rest),
        rest => (false, rest),
    };
    let mut value = 0i64;
    for digit in digits {
        value =
            value.saturating_mul(10).saturating_add(i64::from(digit.is_ascii_digit().then(|| digit - b'0')?));
    }
    (!digits.is_empty()).then_some(if negative { -value } else { value })
}

/// `value` times ten to the power of `exponent`.
fn scale(mut value: f64, exponent: i64) -> f64 {
    // Ten to the 22nd is the largest power of ten that a double holds exactly.
    const EXACT: u64 = 22;
    let mut left = exponent.unsigned_abs();
    while left > 0 && value != 0.0 && value.is_finite() {
        let step = left.min(EXACT);
        let factor = (0..step).fold(1.0, |product, _| product * 10.0);
        value = if exponent < 0 { value / factor } else { value * factor };
        left -= step;
    }
    value
}

/// The error of the standard library, which has no way to make one but to fail.
fn error(empty: bool) -> ParseFloatError {
    const { assert!(size_of::<ParseFloatError>() == 1) };
    // SAFETY: the type has one field, an enum of two variants without data (Empty, Invalid); its size was just checked.
    unsafe { std::mem::transmute::<u8, ParseFloatError>(u8::from(!empty)) }
}

#[cfg(test)]
mod tests {
    use super::from_str;

    #[test]
    fn reads_what_the_standard_library_reads() {
        for text in [
            "0",
            "1",
            "-1",
            "+1",
            "6.006",
            "0.000001",
            "29.97",
            "1e3",
            "1E-3",
            "1.5e+2",
            ".5",
            "5.",
            "inf",
            "-Infinity",
            "NaN",
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "1x",
            "1..2",
            "1.2.3",
            " 1",
            "1 ",
            "0x10",
            "1_000",
            "9007199254740991",
            "4.000000000",
            "1e22",
            "123456789012345e-22",
            "infinit",
            "1e400",
            "1e-400",
            "0e999999999999999999999",
        ] {
            let (ours, theirs) = (from_str(text), text.parse::<f64>());
            assert_eq!(
                ours.as_ref().map(|v| v.to_bits()).ok(),
                theirs.as_ref().map(|v| v.to_bits()).ok(),
                "{text}"
            );
            assert_eq!(ours.err(), theirs.err(), "{text}");
        }
    }

    #[test]
    fn longer_numbers_are_right_to_the_last_bits() {
        let mut seed = 1u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(seed >> 2);
            for text in [format!("{value}"), format!("{value:e}"), format!("{:.9}", seed as f64 / 1e10)] {
                let (ours, theirs) = (from_str(&text).unwrap(), text.parse::<f64>().unwrap());
                let off = (ours - theirs).abs() / theirs.abs().max(f64::MIN_POSITIVE);
                assert!(ours == theirs || off < 1e-14, "{text}: {ours} for {theirs}");
            }
        }
    }
}
