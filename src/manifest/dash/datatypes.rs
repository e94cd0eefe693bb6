//! Values of attributes (XML Schema part 2, ISO/IEC 23009-1): durations, dates, ranges, ratios.
//!
//! The crate's own readers of dates and durations bring chrono, nom and regular expressions into the build; these are a page.

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

/// `xs:dateTime` in seconds since 1970-01-01T00:00:00Z; without a time zone it is UTC (ISO/IEC 23009-1 §5.3.1.2).
pub(super) fn date_time(text: &str) -> Option<Seconds> {
    let (date, time) = text.trim().split_once('T')?;
    let mut fields = date.rsplitn(3, '-');
    let day: i64 = fields.next()?.parse().ok()?;
    let month: i64 = fields.next()?.parse().ok()?;
    let year: i64 = fields.next()?.parse().ok()?;
    let (clock, zone) = match time.find(['Z', '+', '-']) {
        Some(i) => time.split_at(i),
        None => (time, ""),
    };
    let mut fields = clock.splitn(3, ':');
    let hour: i64 = fields.next()?.parse().ok()?;
    let minute: i64 = fields.next()?.parse().ok()?;
    let second: f64 = fields.next()?.parse().ok()?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&second)
        && (-9999..=9999).contains(&year);
    if !in_range {
        return None;
    }
    let offset = match zone.strip_prefix(['+', '-']) {
        Some(hours_minutes) => {
            let (hours, minutes) = hours_minutes.split_once(':')?;
            let offset = hours
                .parse::<i64>()
                .ok()?
                .checked_mul(3600)?
                .checked_add(minutes.parse::<i64>().ok()? * 60)?;
            if zone.starts_with('-') { -offset } else { offset }
        }
        None => 0,
    };
    // Days since the epoch, with years that begin in March so that a leap day comes last.
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 - offset) as f64 + second)
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
    fn dates_are_utc_unless_they_name_a_zone() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("1970-01-01T00:00:00", 0.0),
            ("2020-05-13T05:34:06+00:00", 1_589_348_046.0),
            ("2000-02-29T12:00:00.25Z", 951_825_600.25),
            ("2024-03-01T00:30:00+01:30", 1_709_247_600.0),
        ] {
            assert_eq!(date_time(text), Some(seconds), "{text}");
        }
        for text in ["", "2020-05-13", "2020-13-01T00:00:00Z", "x-1-1T0:0:0", "2020-05-13T05:34"] {
            assert_eq!(date_time(text), None, "{text}");
        }
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
