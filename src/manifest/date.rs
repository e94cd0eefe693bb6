//! Dates in seconds since 1970-01-01T00:00:00Z.

/// `xs:dateTime` and what else of ISO 8601 is in use: seconds, or the time, left out; `±hh[[:]mm]` for a zone; the basic form without `-`
/// and `:`; small letters. Without a time zone it is UTC (ISO/IEC 23009-1 §5.3.1.2).
pub fn date_time(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let year = digits(&mut rest, 4)?;
    skip(&mut rest, b"-");
    let month = digits(&mut rest, 2)?;
    skip(&mut rest, b"-");
    let mut seconds = days(year, month, digits(&mut rest, 2)?)?;
    if skip(&mut rest, b"Tt ") {
        seconds += time_of_day(&mut rest)?;
    }
    let sign = match rest.as_bytes().first() {
        None | Some(b'Z' | b'z') => return Some(seconds),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    skip(&mut rest, b"+-");
    let hours = digits(&mut rest, 2)?;
    skip(&mut rest, b":");
    let minutes = digits(&mut rest, 2).unwrap_or(0);
    rest.is_empty().then_some(seconds - (sign * (hours * 3600 + minutes * 60)) as f64)
}

/// The `Date` header of HTTP (RFC 9110 §5.6.7, IMF-fixdate): `Sun, 06 Nov 1994 08:49:37 GMT`. The obsolete forms are not read.
pub fn http_date(header: &str) -> Option<f64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = header.trim().split_once(',')?;
    let mut fields = date.trim_start().split(' ');
    let day = fields.next()?.parse().ok()?;
    let name = fields.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let year = fields.next()?.parse().ok()?;
    let time = time_of_day(&mut fields.next()?)?;
    (fields.next() == Some("GMT")).then_some(())?;
    Some(days(year, month as i64 + 1, day)? + time)
}

/// Takes `hh:mm[:ss]`, the seconds perhaps with a fraction.
fn time_of_day(rest: &mut &str) -> Option<f64> {
    let hour = digits(rest, 2)?;
    skip(rest, b":");
    let minute = digits(rest, 2)?;
    skip(rest, b":");
    let (second, tail) =
        rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len()));
    *rest = tail;
    let second: f64 = if second.is_empty() { 0.0 } else { second.parse().ok()? };
    (hour <= 24 && minute < 60 && second < 61.0).then_some((hour * 3600 + minute * 60) as f64 + second)
}

/// Takes a number of one digit at least and `most` at most.
fn digits(rest: &mut &str, most: usize) -> Option<i64> {
    let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    number.parse().ok()
}

/// Passes over one of these characters, if it comes next.
fn skip(rest: &mut &str, any_of: &[u8]) -> bool {
    let found = rest.bytes().next().is_some_and(|b| any_of.contains(&b));
    *rest = rest.get(usize::from(found)..).unwrap_or("");
    found
}

/// Seconds from 1970-01-01 to the start of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<f64> {
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && (-9999..=9999).contains(&year);
    if !in_range {
        return None;
    }
    // With years that begin in March, so that a leap day comes last.
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days =
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some((days * 86_400) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_utc_unless_they_name_a_zone() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("1970-01-01T00:00:00", 0.0),
            ("2020-05-13T05:34:06+00:00", 1_589_348_046.0),
            ("2000-02-29T12:00:00.25Z", 951_825_600.25),
            ("2024-03-01T00:30:00+01:30", 1_709_247_600.0),
            ("2010-02-19T14:54:23.031-0330", 1_266_603_863.031),
            ("1969-12-31T23:59:59+00", -1.0),
            ("2024-03-01T01:00+01", 1_709_251_200.0),
            ("2024-03-01t00:00z", 1_709_251_200.0),
            ("2024-03-01 00:00:00", 1_709_251_200.0),
            ("2024-3-1T0:0:0Z", 1_709_251_200.0),
            ("20240301T000000Z", 1_709_251_200.0),
            ("2024-03-01", 1_709_251_200.0),
            ("2024-02-29-24:00", 1_709_251_200.0),
        ] {
            assert_eq!(date_time(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "2020",
            "2020-05",
            "2020-13-01T00:00:00Z",
            "x-1-1T0:0:0",
            "é020-05-13",
            "2020-05-13T",
            "2020-05-13T05",
            "2020-05-13T05:60",
            "2020-05-13T05:34:99Z",
            "2020-05-13T05:34:0.0.0Z",
            "2020-05-13T05:34:00Q",
            "2020-05-13T05:34:00+",
            "2020-05-13T05:34:00+9223372036854775807:00",
            "2020-05-13T05:34:00+00:9223372036854775807",
        ] {
            assert_eq!(date_time(text), None, "{text}");
        }
    }

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777.0));
        assert_eq!(http_date(" Thu, 01 Jan 1970 00:00:00 GMT "), Some(0.0));
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 anF 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 32 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }
}
