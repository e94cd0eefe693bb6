//! Dates of EXT-X-PROGRAM-DATE-TIME and EXT-X-DATERANGE (ISO 8601).

use super::attributes::decimal;

/// Seconds since 1970-01-01T00:00:00Z of `YYYY-MM-DDThh:mm:ss[.f](Z|±hh[[:]mm])`; without a zone it is taken as UTC. The
/// basic form without `-` and `:` is accepted too.
pub fn unix_seconds(text: &str) -> Option<f64> {
    let mut rest = text.trim_ascii();
    let year = digits(&mut rest, 4)?;
    skip(&mut rest, b"-");
    let month = digits(&mut rest, 2)?;
    skip(&mut rest, b"-");
    let day = digits(&mut rest, 2)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut seconds = (days_from_civil(year, month, day) * 86_400) as f64;
    if rest.is_empty() {
        return Some(seconds);
    }
    skip(&mut rest, b"Tt ").then_some(())?;
    let hour = digits(&mut rest, 2)?;
    skip(&mut rest, b":");
    let minute = digits(&mut rest, 2)?;
    seconds += (hour * 3600 + minute * 60) as f64;
    if rest.starts_with(':') || rest.starts_with(|c: char| c.is_ascii_digit()) {
        skip(&mut rest, b":");
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (text, tail) = rest.split_at_checked(length)?;
        seconds += decimal(text).filter(|s| *s < 61.0)?;
        rest = tail;
    }
    let sign = match rest.as_bytes().first() {
        None | Some(b'Z' | b'z') => return Some(seconds),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    skip(&mut rest, b"+-");
    let zone_hour = digits(&mut rest, 2)?;
    skip(&mut rest, b":");
    let zone_minute = digits(&mut rest, 2).unwrap_or(0);
    Some(seconds - (sign * (zone_hour * 3600 + zone_minute * 60)) as f64)
}

fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let (text, tail) = rest.split_at_checked(count)?;
    let value = text.bytes().try_fold(0, |v, b| b.is_ascii_digit().then(|| v * 10 + i64::from(b - b'0')))?;
    *rest = tail;
    Some(value)
}

/// Passes over one of these characters, if it comes next.
fn skip(rest: &mut &str, any_of: &[u8]) -> bool {
    match rest.split_at_checked(1) {
        Some((next, tail)) if next.bytes().all(|b| any_of.contains(&b)) => {
            *rest = tail;
            true
        }
        _ => false,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar: years are counted from March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_unix_seconds() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T12:34:56.789Z", 951_827_696.789),
            ("2010-02-19T14:54:23.031+08:00", 1_266_562_463.031),
            ("2010-02-19T14:54:23.031-0330", 1_266_603_863.031),
            ("20240301T000000Z", 1_709_251_200.0),
            ("1969-12-31T23:59:59+00", -1.0),
            ("2024-03-01", 1_709_251_200.0),
        ] {
            assert_eq!(unix_seconds(text), Some(expected), "{text}");
        }
        for text in
            ["", "2024", "2024-13-01T00:00:00Z", "2024-01-01T00:00:99Z", "2024-01-01T00:00:00Q", "é024-01-01"]
        {
            assert_eq!(unix_seconds(text), None, "{text}");
        }
    }
}
