//! Dates and times from text, in every form that programs write and that means one thing only.
//!
//! ```text
//! date    2026-11-22   2026/11/22   20261122   2026-7-4   +012026-11-22
//! clock   21:26   21:26:35   21:26:35.123456789   212635, behind "T", "t" or spaces
//! zone    Z   UTC   GMT   +02   +0200   +02:00   +02:00:00, with or without spaces in front
//! behind  an offset: CEST   m=+0.012345 (Go)   [Europe/Berlin] (Java)
//! ```
//! For months in words see `worded`. A date alone is its midnight; 24:00 is the next one. More than six digits of a
//! second are rounded, as PostgreSQL does. Dates like 7/4/2026 are refused: they are July 4th to some and April 7th to
//! others.

use super::calendar::{Civil, at, is_date};
use super::scan::{Rest, Written, digits};
use super::worded::worded;
use super::{Rules, trimmed};

/// Reads a date, or a date and a time.
pub(crate) fn timestamp(text: &str) -> Option<Written> {
    let text = trimmed(text);
    let written = numeric(text).or_else(|| worded(text));
    written.filter(|it| is_date(it.day))
}

/// Reads a date, of which there are more than there are timestamps; the time that may stand behind it is passed over.
pub(crate) fn date(text: &str) -> Option<i64> {
    let mut rest = Rest(trimmed(text).as_bytes());
    match rest.date(Rules::Programs).filter(|_| rest.0.is_empty()) {
        Some(civil) => civil.existing_days().filter(|it| is_date(*it)),
        None => timestamp(text).map(|it| it.day),
    }
}

/// The forms in which the month is a number.
fn numeric(text: &str) -> Option<Written> {
    // Nearly all dates are plain ones, which are found at once.
    let (day, mut rest) = match text.split_at_checked(10).and_then(|(date, rest)| Some((plain_date(date)?, rest))) {
        Some((day, behind)) if !behind.starts_with(|it: char| it.is_ascii_digit()) => (day, Rest(behind.as_bytes())),
        _ => {
            let mut rest = Rest(text.as_bytes());
            (rest.date(Rules::Programs)?.existing_days()?, rest)
        }
    };
    if rest.0.is_empty() {
        return Some(Written { day, clock: at(day, 0)?, offset: None });
    }
    if !rest.accept(b"T") && !rest.accept(b"t") && !rest.spaces() {
        return None;
    }
    let clock = at(day, rest.clock(Rules::Programs).ok()?)?;
    let offset = rest.zone()?;
    rest.0.is_empty().then_some(Written { day, clock, offset })
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, the one form in which different texts are different days.
pub(crate) fn plain_date(text: &str) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    let (year, month) = (digits(&[*y1, *y2, *y3, *y4])?, digits(&[*m1, *m2])?);
    Civil { year, month, day: digits(&[*d1, *d2])? }.existing_days()
}

#[cfg(test)]
mod tests {
    use super::super::calendar::{DAY, HOUR, SECOND};
    use super::*;

    const NOON: i64 = 19_844 * DAY + 12 * HOUR;

    /// What programs write for 2024-05-01 at noon in UTC.
    #[test]
    fn one_instant_in_the_forms_of_many_programs() {
        for text in [
            // SQLite, Rails, Laravel, SQLAlchemy, Django, TypeORM, Hibernate, Entity Framework
            "2024-05-01 12:00:00",
            "2024-05-01 12:00",
            "2024-05-01 12:00:00.000000",
            "2024-05-01 12:00:00.000",
            "2024-05-01 12:00:00.0000000",
            "2024-05-01T12:00:00",
            "2024-05-01T12:00",
            // JavaScript, RFC 3339, Python's isoformat, Sequelize, Ruby
            "2024-05-01T12:00:00.000Z",
            "2024-05-01T12:00:00Z",
            "2024-05-01t12:00:00z",
            "2024-05-01T14:00:00+02:00",
            "2024-05-01 14:00:00.000000+02:00",
            "2024-05-01 12:00:00.000 +00:00",
            "2024-05-01 12:00:00 UTC",
            "2024-05-01 14:00:00 +0200",
            "2024-05-01 10:00:00-02",
            // Go's time.String() and its drivers, Rust's time and chrono, Java's ZonedDateTime
            "2024-05-01 12:00:00 +0000 UTC",
            "2024-05-01 14:00:00.000000000 +0200 CEST",
            "2024-05-01 14:00:00.000000001 +0200 CEST m=+0.012345",
            "2024-05-01 12:00:00 +0000 UTC m=-1.5",
            "2024-05-01 09:00:00 -0300 -03",
            "2024-05-01 12:00:00.0 +00:00:00",
            "2024-05-01 12:00:00 UTC",
            "2024-05-01T14:00:00+02:00[Europe/Berlin]",
            "2024-05-01T12:00:00Z[UTC]",
            "2024-05-01T12:00:00,000Z",
            // ISO 8601's basic form, and other marks
            "20240501T120000Z",
            "20240501 120000",
            "2024/05/01 12:00:00",
            "2024-5-1 12:0:0",
            "  2024-05-01   12:00:00  ",
            "+002024-05-01T12:00:00Z",
        ] {
            assert_eq!(timestamp(text).and_then(Written::instant), Some(NOON), "{text}");
        }
    }

    #[test]
    fn the_clock_and_the_offset_are_kept_apart() {
        let written = timestamp("2024-05-01 23:00:00-02:00").unwrap();
        assert_eq!(written.day, 19_844);
        assert_eq!(written.offset, Some(-7200 * SECOND));
        assert_eq!(written.instant().map(|it| it.div_euclid(DAY)), Some(19_845));
        assert_eq!(timestamp("2024-05-01").unwrap(), Written { day: 19_844, clock: 19_844 * DAY, offset: None });
        assert_eq!(timestamp("2024-05-01 24:00").unwrap().day, 19_844);
    }

    #[test]
    fn digits_behind_the_second_are_rounded_as_postgresql_rounds() {
        for (text, micros) in [
            ("0.1", 100_000),
            ("0.000001", 1),
            ("0.123456789", 123_457),
            ("0.1234565", 123_456),
            ("0.1234575", 123_458),
            ("0.12345650001", 123_457),
            ("0.1234564999", 123_456),
            ("0.99999949999999999999999", 1_000_000),
            ("0.1234565000000001", 123_457),
            ("59.9999999", 60_000_000),
        ] {
            let written = timestamp(&format!("1970-01-01 00:00:{text}")).unwrap();
            assert_eq!(written.clock, micros, "{text}");
        }
        assert_eq!(timestamp("1969-12-31 24:00:00").unwrap().clock, 0);
        assert_eq!(timestamp("1969-12-31 23:59:60").unwrap().clock, 0);
    }

    #[test]
    fn what_is_no_time_or_could_be_two_is_refused() {
        for text in [
            "",
            "-",
            "2024",
            "now",
            "2024-13-01",
            "2023-02-29",
            "2024-05-00",
            "0000-00-00 00:00:00",
            "7/4/2024",
            "04-07-2024",
            "2024-05-01 ",
            "2024-05-01T",
            "2024-05-01 24:01",
            "2024-05-01 12",
            "2024-05-01 12:60",
            "2024-05-01 12:00:61",
            "2024-05-01 12:00:00.",
            "2024-05-01 12:00.5",
            "2024-05-01Z",
            "2024-05-01 12:00 PM",
            "2024-05-01 12:00:00 CEST",
            "2024-05-01 12:00:00+16:00",
            "2024-05-01 12:00:00+02:00x",
            "2024-05-01 12:00:00+é",
            "2024-05-01x12:00",
            "2024-05/01",
            "２024-05-01",
            "--2024-05-01",
            "12:00:00",
            "999999-01-01 00:00:00",
            "2024-05-01 12:00:00 +0200 m=x",
            "2024-05-01 12:00:00 GMT+0200",
            "2024-05-01 12:00:00 [Europe/Berlin]",
            "-4713-11-23",
            "+5874898-01-01",
            "+12345678-01-01",
        ] {
            let accepted = text == "2024-05-01 ";
            assert_eq!(timestamp(text).is_some(), accepted, "{text}");
        }
    }

    #[test]
    fn dates_alone_reach_farther() {
        for (text, day) in [
            ("2024-05-01", Some(19_844)),
            (" 2024/5/1 ", Some(19_844)),
            ("2024-05-01 23:00:00-02:00", Some(19_844)),
            ("1 May 2024", Some(19_844)),
            ("+5874897-12-31", Some(2_145_042_905)),
            ("-4713-11-24", Some(-2_440_588)),
            ("5874898-01-01", None),
            ("-4713-11-23", None),
            ("2023-02-29", None),
            ("2024-05-01x", None),
        ] {
            assert_eq!(date(text), day, "{text}");
        }
    }

    #[test]
    fn a_plain_date_has_one_spelling() {
        assert_eq!(plain_date("1970-01-02"), Some(1));
        assert_eq!(plain_date("0000-01-01"), Some(-719_528));
        for text in ["1970-1-2", "19700102", " 1970-01-02", "1970-01-02 ", "1970/01/02", "1970-02-30", "+970-01-02"] {
            assert_eq!(plain_date(text), None, "{text}");
        }
    }
}
