//! The pieces of dates and times, read from the front of a text: days, clocks, offsets.

use super::calendar::{MICROS_PER_SECOND, days};

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

/// The number that all of `bytes` are the digits of.
pub(super) fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

/// What has not been read yet.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl Rest<'_> {
    pub(super) fn accept(&mut self, bytes: &[u8]) -> bool {
        match self.0.strip_prefix(bytes) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn spaces(&mut self) -> bool {
        let rest = self.0.trim_ascii_start();
        let found = rest.len() < self.0.len();
        self.0 = rest;
        found
    }

    /// How many digits come next.
    pub(super) fn digits(&self) -> usize {
        self.0.iter().take_while(|it| it.is_ascii_digit()).count()
    }

    /// A number of at least `least` and at most `most` digits, behind which there is no further digit.
    pub(super) fn number(&mut self, least: usize, most: usize) -> Option<i64> {
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
    pub(super) fn date(&mut self) -> Option<i64> {
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
    pub(super) fn clock(&mut self) -> Option<i64> {
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
    pub(super) fn zone(&mut self) -> Option<Option<i64>> {
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
