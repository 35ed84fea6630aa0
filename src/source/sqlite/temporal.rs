//! Dates and timestamps from text, in the proleptic Gregorian calendar, years 0000 to 9999 as SQLite's functions have them.
//!
//! Only the spelled-out forms are taken: what is not exactly a date is an error, never a guess.

/// Days since 1970-01-01 of `YYYY-MM-DD`.
pub(super) fn date(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits(&bytes[0..4])?, digits(&bytes[5..7])?, digits(&bytes[8..10])?);
    let valid = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    valid.then(|| days_from_civil(year, month, day))
}

/// Microseconds since 1970-01-01T00:00:00 of `YYYY-MM-DD`, then optionally a space or `T` and `HH:MM[:SS[.ffffff]]`.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let days = date(text.get(..10)?)?;
    let time = match &text.as_bytes()[10..] {
        [] => 0,
        [b' ' | b'T', rest @ ..] => time_of_day(rest)?,
        _ => return None,
    };
    Some(days * 86_400_000_000 + time)
}

/// Microseconds since 1970-01-01T00:00:00Z of a timestamp that ends in `Z` or `±HH:MM`.
pub(super) fn timestamp_tz(text: &str) -> Option<i64> {
    if let Some(local) = text.strip_suffix('Z') {
        return timestamp(local);
    }
    let split = text.len().checked_sub(6)?;
    let (local, zone) = (text.get(..split)?, text.as_bytes().get(split..)?);
    let minutes = match zone {
        [_, h1, h2, b':', m1, m2] => digits(&[*h1, *h2])? * 60 + digits(&[*m1, *m2]).filter(|it| *it < 60)?,
        _ => return None,
    };
    let offset = match zone[0] {
        b'+' => minutes,
        b'-' => -minutes,
        _ => return None,
    };
    Some(timestamp(local)? - offset * 60_000_000)
}

fn time_of_day(bytes: &[u8]) -> Option<i64> {
    let (minutes, rest) = match bytes {
        [h1, h2, b':', m1, m2, rest @ ..] => {
            let hour = digits(&[*h1, *h2]).filter(|it| *it < 24)?;
            (hour * 60 + digits(&[*m1, *m2]).filter(|it| *it < 60)?, rest)
        }
        _ => return None,
    };
    let (seconds, rest) = match rest {
        [] => (0, rest),
        [b':', s1, s2, rest @ ..] => (digits(&[*s1, *s2]).filter(|it| *it < 60)?, rest),
        _ => return None,
    };
    let micros = match rest {
        [] => 0,
        [b'.', fraction @ ..] if (1..=6).contains(&fraction.len()) && bytes.len() > 6 => {
            digits(fraction)? * 10i64.pow(6 - fraction.len() as u32)
        }
        _ => return None,
    };
    Some((minutes * 60 + seconds) * 1_000_000 + micros)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts days by years that begin in March, so that the leap day is the last one.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_1970() {
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("2000-03-01"), Some(11_017));
        assert_eq!(date("1969-12-31"), Some(-1));
        assert_eq!(date("0000-01-01"), Some(-719_528));
        for wrong in ["2023-02-29", "2024-13-01", "2024-1-01", "2024-01-00", "24-01-01", "2024-01-01 ", "２024-01-1"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
        assert_eq!(date("2024-02-29").zip(date("2024-03-01")).map(|(a, b)| b - a), Some(1));
    }

    #[test]
    fn timestamps_are_microseconds() {
        assert_eq!(timestamp("1970-01-02"), Some(86_400_000_000));
        assert_eq!(timestamp("1970-01-01 00:01"), Some(60_000_000));
        assert_eq!(timestamp("1970-01-01T00:00:01.5"), Some(1_500_000));
        assert_eq!(timestamp("1969-12-31T23:59:59.999999"), Some(-1));
        for wrong in
            ["1970-01-01 24:00", "1970-01-01 00:00:60", "1970-01-01 00:00.5", "1970-01-01 00:00:00.", "1970-01-01Z"]
        {
            assert_eq!(timestamp(wrong), None, "{wrong}");
        }
        assert_eq!(timestamp_tz("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(timestamp_tz("1970-01-01T00:00Z"), Some(0));
        assert_eq!(timestamp_tz("1970-01-01T00:00:00"), None);
    }
}
