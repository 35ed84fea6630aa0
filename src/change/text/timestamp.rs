//! Dates and times from text, in every form that programs write and that means one thing only.
//!
//! ```text
//! date    2026-11-22   2026/11/22   20261122   2026-7-4   +012026-11-22
//! clock   21:26   21:26:35   21:26:35.123456789   212635, behind "T", "t" or spaces
//! zone    Z   UTC   GMT   +02   +0200   +02:00   +02:00:00, with or without spaces in front
//! behind  an offset: CEST   m=+0.012345 (Go)   [Europe/Berlin] (Java)
//! ```
//! A date alone is its midnight; 24:00 is the next one. More than six digits of a second are rounded, as PostgreSQL
//! does. Dates like 7/4/2026 are refused: they are July 4th to some and April 7th to others.

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND, days};

/// A date and time as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Days since 1970-01-01 of the date as it stands there, whatever the clock adds to it.
    pub(crate) day: i64,
    /// Microseconds since 1970-01-01T00:00:00 by the clock that was read.
    pub(crate) clock: i64,
    /// How far east of UTC that clock stood, in microseconds, where the text says so.
    pub(crate) offset: Option<i64>,
}

impl Written {
    /// Microseconds since 1970-01-01T00:00:00Z. A text without an offset is taken as UTC.
    pub(crate) fn instant(self) -> Option<i64> {
        self.clock.checked_sub(self.offset.unwrap_or(0))
    }
}

/// Reads a date, or a date and a time.
pub(crate) fn timestamp(text: &str) -> Option<Written> {
    let text = text.trim_ascii();
    // Nearly all dates are plain ones, which are found at once.
    let (day, mut rest) = match text.split_at_checked(10).and_then(|(date, rest)| Some((plain_date(date)?, rest))) {
        Some((day, behind)) if !behind.starts_with(|it: char| it.is_ascii_digit()) => (day, Rest(behind.as_bytes())),
        _ => {
            let mut rest = Rest(text.as_bytes());
            (rest.date()?, rest)
        }
    };
    let midnight = day.checked_mul(MICROS_PER_DAY)?;
    if rest.0.is_empty() {
        return Some(Written { day, clock: midnight, offset: None });
    }
    if !rest.accept(b"T") && !rest.accept(b"t") && !rest.spaces() {
        return None;
    }
    let clock = midnight.checked_add(rest.clock()?)?;
    let offset = rest.zone()?;
    rest.0.is_empty().then_some(Written { day, clock, offset })
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, the one form in which different texts are different days.
pub(crate) fn plain_date(text: &str) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    days(digits(&[*y1, *y2, *y3, *y4])?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)
}

/// The number that all of `bytes` are the digits of.
fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn accept(&mut self, bytes: &[u8]) -> bool {
        match self.0.strip_prefix(bytes) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn spaces(&mut self) -> bool {
        let rest = self.0.trim_ascii_start();
        let found = rest.len() < self.0.len();
        self.0 = rest;
        found
    }

    /// How many digits come next.
    fn digits(&self) -> usize {
        self.0.iter().take_while(|it| it.is_ascii_digit()).count()
    }

    /// A number of at least `least` and at most `most` digits, behind which there is no further digit.
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.digits();
        if !(least..=most).contains(&count) {
            return None;
        }
        self.take(count)
    }

    /// The number of the next `count` digits, which the caller knows to be there.
    fn take(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(digits.iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
    }

    /// Days since 1970-01-01.
    fn date(&mut self) -> Option<i64> {
        let sign = match (self.accept(b"-"), self.accept(b"+")) {
            (true, true) => return None,
            (true, false) => -1,
            _ => 1,
        };
        if self.digits() == 8 {
            let (year, month, day) = (self.take(4)?, self.take(2)?, self.take(2)?);
            return days(sign * year, month, day);
        }
        let year = sign * self.number(4, 6)?;
        let separator: &[u8] = if self.accept(b"-") {
            b"-"
        } else if self.accept(b"/") {
            b"/"
        } else {
            return None;
        };
        let month = self.number(1, 2)?;
        self.accept(separator).then_some(())?;
        days(year, month, self.number(1, 2)?)
    }

    /// Microseconds since midnight.
    fn clock(&mut self) -> Option<i64> {
        let (hour, minute, second) = if let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = self.0
            && !rest.first().is_some_and(u8::is_ascii_digit)
            && let (Some(hour), Some(minute), Some(second)) =
                (digits(&[*h1, *h2]), digits(&[*m1, *m2]), digits(&[*s1, *s2]))
        {
            self.0 = rest;
            (hour, minute, Some(second))
        } else if self.digits() == 6 {
            (self.take(2)?, self.take(2)?, Some(self.take(2)?))
        } else {
            let hour = self.number(1, 2)?;
            self.accept(b":").then_some(())?;
            let minute = self.number(1, 2)?;
            (hour, minute, if self.accept(b":") { Some(self.number(1, 2)?) } else { None })
        };
        let fraction = match second.is_some() && (self.accept(b".") || self.accept(b",")) {
            true => self.fraction()?,
            false => 0,
        };
        let second = second.unwrap_or(0);
        // A leap second is the first of the next minute; 24:00:00 is the next midnight.
        let inside = minute < 60 && second <= 60 && (hour < 24 || hour == 24 && minute + second + fraction == 0);
        inside.then_some(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + fraction)
    }

    /// Microseconds of the digits behind a second's point, rounded as the double that they are: PostgreSQL's way.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.digits();
        let read = count.min(15);
        let value = self.take(read)?;
        self.take(count - read);
        match read {
            0 => None,
            1..=6 => Some(value * 10i64.pow(6 - read as u32)),
            _ => Some((value as f64 / 10f64.powi(read as i32) * 1e6).round_ties_even() as i64),
        }
    }

    /// The offset from UTC in microseconds, if there is one; the outer `None` is for what is no zone.
    fn zone(&mut self) -> Option<Option<i64>> {
        self.spaces();
        if self.0.is_empty() {
            return Some(None);
        }
        let named = self.accept(b"Z") || self.accept(b"z") || self.accept(b"UTC") || self.accept(b"GMT");
        // "GMT+2" is two hours east to most and two hours west to POSIX, so a name has no offset behind it.
        let offset = match (named, self.0.first()) {
            (true, _) => 0,
            (false, Some(b'+' | b'-')) => self.offset()?,
            (false, _) => return None,
        };
        self.zone_name();
        Some(Some(offset * MICROS_PER_SECOND))
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = if self.accept(b"-") { -1 } else { i64::from(self.accept(b"+")) };
        let (hours, minutes, seconds) = match self.digits() {
            1 | 2 => {
                let hours = self.number(1, 2)?;
                let minutes = if self.accept(b":") { self.number(2, 2)? } else { 0 };
                let seconds = if self.accept(b":") { self.number(2, 2)? } else { 0 };
                (hours, minutes, seconds)
            }
            4 => (self.take(2)?, self.take(2)?, 0),
            6 => (self.take(2)?, self.take(2)?, self.take(2)?),
            _ => return None,
        };
        // PostgreSQL's limit; no clock on earth is farther away.
        (hours < 16 && minutes < 60 && seconds < 60).then_some(sign * ((hours * 60 + minutes) * 60 + seconds))
    }

    /// Skips what only repeats the offset for people: the zone's name, and Go's monotonic clock.
    fn zone_name(&mut self) {
        if self.0.first() == Some(&b'[') && self.0.last() == Some(&b']') {
            self.0 = &[];
            return;
        }
        let whole = self.0;
        if self.spaces() {
            let word = self.0.iter().take_while(|it| it.is_ascii_alphabetic()).count();
            let signed = usize::from(matches!(self.0.first(), Some(b'+' | b'-')));
            let number = if signed == 1 { 1 + Rest(&self.0[1..]).digits() } else { 0 };
            let length = if word > 0 && self.0.get(word) != Some(&b'=') { word } else { number };
            self.0 = &self.0[length..];
            self.spaces();
        }
        let monotonic = self.0.strip_prefix(b"m=").filter(|it| it.iter().all(|it| b"+-.0123456789".contains(it)));
        if monotonic.is_some() {
            self.0 = &[];
        } else if !self.0.is_empty() {
            self.0 = whole;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 19_844 * MICROS_PER_DAY + 12 * 3600 * MICROS_PER_SECOND;

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
        assert_eq!(written.offset, Some(-7200 * MICROS_PER_SECOND));
        assert_eq!(written.instant().map(|it| it.div_euclid(MICROS_PER_DAY)), Some(19_845));
        assert_eq!(
            timestamp("2024-05-01").unwrap(),
            Written { day: 19_844, clock: 19_844 * MICROS_PER_DAY, offset: None }
        );
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
            ("0.99999949999999999999999", 999_999),
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
        ] {
            let accepted = text == "2024-05-01 ";
            assert_eq!(timestamp(text).is_some(), accepted, "{text}");
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
