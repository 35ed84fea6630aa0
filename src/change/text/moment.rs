//! Dates and times as text, without loss to the microsecond.

use std::io::Write;

use super::calendar::{Civil, HOUR, MINUTE, SECOND, split};

/// How a date is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `2026-11-22T21:26:35.5`; a year outside 0–9999 has a sign, as ISO 8601 asks for.
    Iso,
    /// `2026-11-22 21:26:35.5`; years before the first one are counted backwards, with BC behind.
    Postgres,
}

/// Appends a day.
pub(crate) fn write_date(days: i64, style: Style, out: &mut Vec<u8>) {
    let era = write_day(days, style, out);
    out.extend_from_slice(era);
}

/// Appends a point in time, with `suffix` for its offset.
pub(crate) fn write_timestamp(micros: i64, style: Style, suffix: &str, out: &mut Vec<u8>) {
    let (days, time) = split(micros);
    let era = write_day(days, style, out);
    out.push(if style == Style::Iso { b'T' } else { b' ' });
    write_time(time.unsigned_abs(), out);
    out.extend_from_slice(suffix.as_bytes());
    out.extend_from_slice(era);
}

/// Appends microseconds as `21:26:35.5`, with as many digits behind the second as are needed.
pub(crate) fn write_time(micros: u64, out: &mut Vec<u8>) {
    let (hour, minute, second) = (HOUR.unsigned_abs(), MINUTE.unsigned_abs(), SECOND.unsigned_abs());
    let (hours, minutes, seconds) = (micros / hour, micros % hour / minute, micros % minute / second);
    // Writing to a Vec cannot fail, here and below.
    let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}");
    write_fraction(micros % second, 6, out);
}

/// Appends the part of a second that is `digits` of `width` digits behind the point, without zeros at the end.
pub(crate) fn write_fraction(digits: u64, width: usize, out: &mut Vec<u8>) {
    if digits != 0 {
        let _ = write!(out, ".{digits:0width$}");
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Appends the day itself; what has to stand behind it, and behind its time, comes back.
fn write_day(days: i64, style: Style, out: &mut Vec<u8>) -> &'static [u8] {
    let Civil { year, month, day } = Civil::of_days(days);
    let (year, era): (i64, &[u8]) =
        if style == Style::Postgres && year <= 0 { (1 - year, b" BC") } else { (year, b"") };
    let _ = match style {
        Style::Iso if !(0..=9999).contains(&year) => write!(out, "{year:+07}-{month:02}-{day:02}"),
        _ => write!(out, "{year:04}-{month:02}-{day:02}"),
    };
    era
}

#[cfg(test)]
mod tests {
    use super::super::text_of;
    use super::*;

    #[test]
    fn days_are_written_in_both_styles() {
        for (days, iso, postgres) in [
            (0, "1970-01-01", "1970-01-01"),
            (19_782, "2024-02-29", "2024-02-29"),
            (-719_528, "0000-01-01", "0001-01-01 BC"),
            (-719_529, "-000001-12-31", "0002-12-31 BC"),
            (2_932_897, "+010000-01-01", "10000-01-01"),
        ] {
            assert_eq!(text_of(|out| write_date(days, Style::Iso, out)), iso);
            assert_eq!(text_of(|out| write_date(days, Style::Postgres, out)), postgres);
        }
    }

    #[test]
    fn times_keep_their_microseconds() {
        for (micros, iso, postgres) in [
            (-1, "1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999+00"),
            (1_500_000, "1970-01-01T00:00:01.5Z", "1970-01-01 00:00:01.5+00"),
            (10, "1970-01-01T00:00:00.00001Z", "1970-01-01 00:00:00.00001+00"),
            (0, "1970-01-01T00:00:00Z", "1970-01-01 00:00:00+00"),
            (-63_517_780_800_000_000, "-000043-03-15T12:00:00Z", "0044-03-15 12:00:00+00 BC"),
        ] {
            assert_eq!(text_of(|out| write_timestamp(micros, Style::Iso, "Z", out)), iso);
            assert_eq!(text_of(|out| write_timestamp(micros, Style::Postgres, "+00", out)), postgres);
        }
        assert_eq!(text_of(|out| write_time(100 * HOUR.unsigned_abs() + 1, out)), "100:00:00.000001");
    }
}
