//! Dates and times as ISO 8601 text, over the proleptic Gregorian calendar, without loss to the microsecond.

use std::io::Write;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Appends `2026-11-22`; a year outside 0–9999 has a sign, as ISO 8601 asks for.
pub(crate) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    // Writing to a Vec cannot fail.
    let _ = match year {
        0..=9999 => write!(out, "{year:04}-{month:02}-{day:02}"),
        _ => write!(out, "{year:+07}-{month:02}-{day:02}"),
    };
}

/// Appends `2026-11-22T21:26:35.123456`, with as many digits behind the second as are needed.
pub(crate) fn write_timestamp(micros: i64, out: &mut Vec<u8>) {
    write_date(micros.div_euclid(MICROS_PER_DAY), out);
    out.push(b'T');
    write_time(micros.rem_euclid(MICROS_PER_DAY), out);
}

/// Appends `21:26:35.5`.
pub(crate) fn write_time(micros: i64, out: &mut Vec<u8>) {
    let seconds = micros / MICROS_PER_SECOND;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = micros % MICROS_PER_SECOND;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        out.push(b'.');
        out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
    }
}

/// Days since 1970-01-01 of `2026-11-22`, or `None`.
pub(crate) fn parse_date(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let mut parts = digits.splitn(3, '-');
    let year = sign * number(parts.next()?, 4..=6)?;
    let month = number(parts.next()?, 2..=2)?;
    let day = number(parts.next()?, 2..=2)?;
    let days = days_from_civil(year, month, day);
    ((1..=12).contains(&month) && civil(days) == (year, month, day)).then_some(days)
}

/// Microseconds since 1970-01-01T00:00:00 of `2026-11-22[(T| )21:26[:35[.123456]]][Z|±hh[:mm]]`, or `None`. A text
/// without an offset is taken as it stands, one with an offset as the instant in UTC.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let Some(at) = text.find(['T', 't', ' ']) else { return parse_date(text)?.checked_mul(MICROS_PER_DAY) };
    let days = parse_date(&text[..at])?;
    let rest = &text[at + 1..];
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(end) => (&rest[..end], parse_offset(&rest[end..])?),
        None => (rest, 0),
    };
    days.checked_mul(MICROS_PER_DAY)?.checked_add(parse_clock(clock)?)?.checked_sub(offset)
}

fn parse_clock(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 2..=2)?;
    let minute = number(parts.next()?, 2..=2)?;
    let second = parts.next().map_or(Some(0), |it| number(it, 2..=2))?;
    let micros = if text.contains('.') { number(fraction, 1..=6)? * 10i64.pow(6 - fraction.len() as u32) } else { 0 };
    let inside = hour < 24 && minute < 60 && second < 60 && parts.next().is_none();
    inside.then_some(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros)
}

fn parse_offset(text: &str) -> Option<i64> {
    let sign = match text.as_bytes() {
        b"Z" | b"z" => return Some(0),
        [b'+', ..] => 1,
        _ => -1,
    };
    let (hours, minutes) = match &text[1..] {
        it if it.len() == 4 && it.is_ascii() => it.split_at(2),
        it => it.split_once(':').unwrap_or((it, "00")),
    };
    let (hours, minutes) = (number(hours, 2..=2)?, number(minutes, 2..=2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60 * MICROS_PER_SECOND)
}

fn number(digits: &str, width: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let valid = width.contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    if valid { digits.parse().ok() } else { None }
}

// Both directions count in eras of 400 years that begin on March 1st, so that a leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(micros: i64) -> String {
        let mut out = Vec::new();
        write_timestamp(micros, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn date(days: i64) -> String {
        let mut out = Vec::new();
        write_date(days, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_day_comes_back() {
        for days in (-1_000_000..1_000_000).step_by(37) {
            assert_eq!(parse_date(&date(days)), Some(days), "{}", date(days));
        }
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(-719_529), "-000001-12-31");
    }

    #[test]
    fn times_keep_their_microseconds() {
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999999");
        assert_eq!(timestamp(1_500_000), "1970-01-01T00:00:01.5");
        for text in ["2026-11-22T21:26:35.12", "2026-11-22T21:26:35", "0001-01-01T00:00:00"] {
            assert_eq!(timestamp(parse_timestamp(text).unwrap()), text);
        }
        assert_eq!(parse_timestamp("2026-11-22 21:26"), parse_timestamp("2026-11-22T21:26:00.000"));
        assert_eq!(parse_timestamp("2026-11-22T01:00:00+02:00"), parse_timestamp("2026-11-21T23:00:00Z"));
        assert_eq!(parse_timestamp("2026-11-22T01:00:00-0230"), parse_timestamp("2026-11-22T03:30:00"));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "-", "2026", "2026-13-01", "2026-02-30", "2026-2-3", "99999999-01-01", "2026-11-22x", "é-1-1"]
        {
            assert_eq!(parse_date(text), None, "{text}");
        }
        for text in ["2026-11-22T", "2026-11-22T24:00", "2026-11-22T1:00", "2026-11-22T01:00:00.", "2026-11-22T01:00+é"]
        {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
