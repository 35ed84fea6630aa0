//! The pieces of dates and times, read from the front of a text: days, clocks, offsets.

use super::calendar::{Civil, DAY, HOUR, MINUTE, SECOND};
use super::{Fault, Rules, is_space};

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

/// The part of one that `digits` stand for behind its point, as the nearest double: PostgreSQL's way.
pub(crate) fn fraction(digits: &[u8]) -> f64 {
    match digits.len() {
        0 => 0.0,
        // Both operands are exact, so that the quotient is the nearest double.
        1..=15 => self::digits(digits).expect("digits were read") as f64 / 10f64.powi(digits.len() as i32),
        _ => format!("0.{}", String::from_utf8_lossy(digits)).parse().expect("digits were read"),
    }
}

/// Microseconds of a part of a second, rounded as PostgreSQL does.
pub(crate) fn micros(fraction: f64) -> i64 {
    (fraction * 1e6).round_ties_even() as i64
}

/// The seconds east of UTC that all of `text` says.
pub(crate) fn offset(text: &str) -> Option<i64> {
    let mut rest = Rest(text.as_bytes());
    rest.offset().filter(|_| rest.0.is_empty())
}

/// What has not been read yet.
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl<'a> Rest<'a> {
    pub(crate) fn accept(&mut self, bytes: &[u8]) -> bool {
        match self.0.strip_prefix(bytes) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    pub(crate) fn spaces(&mut self) -> bool {
        let count = self.0.iter().take_while(|it| is_space(**it)).count();
        self.0 = &self.0[count..];
        count > 0
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
        digits(self.split(count)?)
    }

    fn split(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    /// A day, of which it is not known whether it exists. Programs write signs in front of years, and slashes.
    pub(crate) fn date(&mut self, rules: Rules) -> Option<Civil> {
        let programs = rules == Rules::Programs;
        let sign = if programs && self.accept(b"-") { -1 } else { 1 };
        if programs && sign == 1 {
            self.accept(b"+");
        }
        if self.digits() == 8 && self.0.get(8) != Some(&b'-') {
            return Some(Civil { year: sign * self.take(4)?, month: self.take(2)?, day: self.take(2)? });
        }
        let year = sign * self.number(4, 7)?;
        let separator: &[u8] = if programs && self.accept(b"/") { b"/" } else { b"-" };
        if separator == b"-" {
            self.accept(separator).then_some(())?;
        }
        let month = self.number(1, 2)?;
        self.accept(separator).then_some(())?;
        Some(Civil { year, month, day: self.number(1, 2)? })
    }

    /// Microseconds since midnight. Programs write a comma in front of fractions; to PostgreSQL the minutes need no
    /// colon, and a point no digits behind it.
    pub(crate) fn clock(&mut self, rules: Rules) -> Result<i64, Fault> {
        let programs = rules == Rules::Programs;
        let (hour, minute, second) = self.hands(programs).ok_or(Fault::Syntax)?;
        let mut part = 0;
        if second.is_some() && (self.accept(b".") || programs && self.accept(b",")) {
            let count = self.digits();
            let digits = self.split(count).filter(|it| !programs || !it.is_empty());
            part = micros(fraction(digits.ok_or(Fault::Syntax)?));
        }
        let second = second.unwrap_or(0);
        let time = hour * HOUR + minute * MINUTE + second * SECOND + part;
        // A leap second is the first of the next minute, for programs at midnight, too; 24:00:00 is the next midnight.
        let inside = minute < 60 && second <= 60 && (time <= DAY || programs && hour < 24);
        if inside { Ok(time) } else { Err(Fault::Range) }
    }

    /// `h:mm`, `h:mm:ss`, `hhmmss`, `hhmm`: hour, minute and second, if there is one.
    fn hands(&mut self, programs: bool) -> Option<(i64, i64, Option<i64>)> {
        // Nearly all clocks are plain ones, which are found at once.
        if let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = self.0
            && !rest.first().is_some_and(u8::is_ascii_digit)
            && let (Some(hour), Some(minute), Some(second)) =
                (digits(&[*h1, *h2]), digits(&[*m1, *m2]), digits(&[*s1, *s2]))
        {
            self.0 = rest;
            return Some((hour, minute, Some(second)));
        }
        match self.digits() {
            6 => Some((self.take(2)?, self.take(2)?, Some(self.take(2)?))),
            4 if !programs => Some((self.take(2)?, self.take(2)?, None)),
            _ => {
                let hour = self.number(1, 2)?;
                self.accept(b":").then_some(())?;
                let minute = self.number(1, 2)?;
                Some((hour, minute, if self.accept(b":") { Some(self.number(1, 2)?) } else { None }))
            }
        }
    }

    /// `+h`, `-hh:mm`, `+hhmm`, `+hh:mm:ss`: seconds, with the sign that is written.
    fn offset(&mut self) -> Option<i64> {
        let sign = if self.accept(b"-") { -1 } else { i64::from(self.accept(b"+")) };
        let count = self.digits();
        let (hours, minutes, seconds) = if sign == 0 {
            return None;
        } else if self.0.get(count) == Some(&b':') {
            let (hours, _) = (self.number(1, 9)?, self.accept(b":"));
            let minutes = self.number(1, 9)?;
            (hours, minutes, if self.accept(b":") { self.number(1, 9)? } else { 0 })
        } else {
            // Without colons every part but the first one has two digits.
            let parts = count.div_ceil(2);
            let hours = self.number(1, 6)?;
            match parts {
                1 => (hours, 0, 0),
                2 => (hours / 100, hours % 100, 0),
                _ => (hours / 10_000, hours / 100 % 100, hours % 100),
            }
        };
        // PostgreSQL's limit; no clock on earth is farther away.
        (hours < 16 && minutes < 60 && seconds < 60).then_some(sign * ((hours * 60 + minutes) * 60 + seconds))
    }

    /// The offset from UTC in microseconds that a program wrote, if there is one; the outer `None` is for what is no
    /// zone.
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
        Some(Some(offset * SECOND))
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

    #[test]
    fn offsets_have_colons_or_pairs_of_digits() {
        for (text, seconds) in [
            ("+02:30", Some(9_000)),
            ("-0230", Some(-9_000)),
            ("+230", Some(9_000)),
            ("+1", Some(3_600)),
            ("-12", Some(-43_200)),
            ("+2:5", Some(7_500)),
            ("+01:00:30", Some(3_630)),
            ("+010030", Some(3_630)),
            ("+16", None),
            ("+02:60", None),
            ("+0100300", None),
            ("1", None),
            ("+", None),
            ("+1:", None),
            ("+1x", None),
        ] {
            assert_eq!(offset(text), seconds, "{text}");
        }
    }

    #[test]
    fn clocks_differ_in_small_things_only() {
        let clock = |text: &str, rules| {
            let mut rest = Rest(text.as_bytes());
            rest.clock(rules).map(|it| (it, rest.0.len()))
        };
        let noon = Ok((12 * HOUR, 0));
        for (text, postgres, programs) in [
            ("12:00", noon, noon),
            ("120000", noon, noon),
            ("1200", noon, Err(Fault::Syntax)),
            ("12:00:00.", noon, Err(Fault::Syntax)),
            ("12:00:00,5", Ok((12 * HOUR, 2)), Ok((12 * HOUR + 500_000, 0))),
            ("24:00:00", Ok((DAY, 0)), Ok((DAY, 0))),
            ("23:59:60", Ok((DAY, 0)), Ok((DAY, 0))),
            ("23:59:60.5", Err(Fault::Range), Ok((DAY + 500_000, 0))),
            ("25:00", Err(Fault::Range), Err(Fault::Range)),
        ] {
            assert_eq!(clock(text, Rules::Postgres), postgres, "{text}");
            assert_eq!(clock(text, Rules::Programs), programs, "{text}");
        }
    }
}
