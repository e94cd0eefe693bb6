//! Dates in seconds since 1970-01-01T00:00:00Z.

/// `xs:dateTime`; without a time zone it is UTC (ISO/IEC 23009-1 §5.3.1.2).
pub fn date_time(text: &str) -> Option<f64> {
    let (date, time) = text.trim().split_once('T')?;
    let mut fields = date.rsplitn(3, '-');
    let day: i64 = fields.next()?.parse().ok()?;
    let month: i64 = fields.next()?.parse().ok()?;
    let year: i64 = fields.next()?.parse().ok()?;
    let (clock, zone) = match time.find(['Z', '+', '-']) {
        Some(i) => time.split_at(i),
        None => (time, ""),
    };
    let offset = match zone.strip_prefix(['+', '-']) {
        Some(hours_minutes) => {
            let (hours, minutes) = hours_minutes.split_once(':')?;
            let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
            let offset = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
            if zone.starts_with('-') { -offset } else { offset }
        }
        None => 0,
    };
    Some(days(year, month, day)? + time_of_day(clock)? - offset as f64)
}

/// The `Date` header of HTTP (RFC 9110 §5.6.7, IMF-fixdate): `Sun, 06 Nov 1994 08:49:37 GMT`. The obsolete forms are not read.
pub fn http_date(header: &str) -> Option<f64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, date) = header.trim().split_once(", ")?;
    let mut fields = date.split(' ');
    let day = fields.next()?.parse().ok()?;
    let month =
        fields.next().filter(|m| m.len() == 3).and_then(|m| MONTHS.find(m)).filter(|at| at % 3 == 0)?;
    let year = fields.next()?.parse().ok()?;
    let time = time_of_day(fields.next()?)?;
    (fields.next() == Some("GMT")).then_some(())?;
    Some(days(year, month as i64 / 3 + 1, day)? + time)
}

/// `hh:mm:ss`, with a fraction perhaps.
fn time_of_day(text: &str) -> Option<f64> {
    let mut fields = text.splitn(3, ':');
    let hour: u32 = fields.next()?.parse().ok()?;
    let minute: u32 = fields.next()?.parse().ok()?;
    let second: f64 = fields.next()?.parse().ok()?;
    (hour <= 24 && minute < 60 && (0.0..61.0).contains(&second))
        .then_some(f64::from(hour * 3600 + minute * 60) + second)
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
        ] {
            assert_eq!(date_time(text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "2020-05-13",
            "2020-13-01T00:00:00Z",
            "x-1-1T0:0:0",
            "2020-05-13T05:34",
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
