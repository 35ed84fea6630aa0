//! Intervals: months, days and microseconds that are kept apart, read and written as PostgreSQL does.

use std::fmt::Write;

use super::Failure;
use super::unit::Unit;
use crate::change::text::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::change::text::moment::write_time;
use crate::change::text::scan::{self, micros};
use crate::change::text::text_of;

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::dialect) struct Interval {
    pub(in crate::dialect) months: i32,
    pub(in crate::dialect) days: i32,
    pub(in crate::dialect) microseconds: i64,
}

fn out_of_range() -> Failure {
    "interval out of range".into()
}

impl Interval {
    pub(in crate::dialect) fn try_new(months: i64, days: i64, microseconds: i64) -> Result<Interval, Failure> {
        let narrow = |it: i64| i32::try_from(it).map_err(|_| out_of_range());
        // The plan keeps nanoseconds.
        if microseconds.checked_mul(1000).is_none() {
            return Err(out_of_range());
        }
        Ok(Interval { months: narrow(months)?, days: narrow(days)?, microseconds })
    }

    pub(in crate::dialect) fn negated(self) -> Result<Interval, Failure> {
        Interval::try_new(-i64::from(self.months), -i64::from(self.days), -self.microseconds)
    }

    pub(in crate::dialect) fn plus(self, other: Interval) -> Result<Interval, Failure> {
        let microseconds = self.microseconds.checked_add(other.microseconds).ok_or_else(out_of_range)?;
        Interval::try_new(
            i64::from(self.months) + i64::from(other.months),
            i64::from(self.days) + i64::from(other.days),
            microseconds,
        )
    }

    /// Fractions of months become days, fractions of days microseconds.
    pub(in crate::dialect) fn times(self, factor: f64) -> Result<Interval, Failure> {
        self.scaled(|it| it * factor)
    }

    fn scaled(self, scale: impl Fn(f64) -> f64) -> Result<Interval, Failure> {
        let (months, days) = (scale(f64::from(self.months)), scale(f64::from(self.days)));
        let (whole_months, whole_days) = (months.trunc(), days.trunc());
        let inside = |it: f64| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&it);
        if !inside(whole_months) || !inside(whole_days) {
            return Err(out_of_range());
        }
        let month_remainder = to_microseconds_fraction((months - whole_months) * 30.0);
        let mut seconds = to_microseconds_fraction((days - whole_days + month_remainder.fract()) * 86_400.0);
        let mut extra_days = 0.0;
        if seconds.abs() >= 86_400.0 {
            extra_days = (seconds / 86_400.0).trunc();
            seconds -= extra_days * 86_400.0;
        }
        let microseconds = (scale(self.microseconds as f64) + seconds * 1e6).round_ties_even();
        if microseconds.is_nan() || microseconds.abs() >= 9.2e18 {
            return Err(out_of_range());
        }
        let days = whole_days as i64 + month_remainder.trunc() as i64 + extra_days as i64;
        Interval::try_new(whole_months as i64, days, microseconds as i64)
    }

    /// As [`Interval::times`], by the other way.
    pub(in crate::dialect) fn divided(self, divisor: f64) -> Result<Interval, Failure> {
        if divisor == 0.0 {
            return Err("division by zero".into());
        }
        self.scaled(|it| it / divisor)
    }

    /// What intervals are ordered by: months of 30 days, days of 24 hours.
    pub(in crate::dialect) fn order(self) -> i128 {
        (i128::from(self.months) * 30 + i128::from(self.days)) * i128::from(DAY) + i128::from(self.microseconds)
    }

    /// Whole days out of the hours.
    pub(in crate::dialect) fn justify_hours(self) -> Result<Interval, Failure> {
        let mut days = i64::from(self.days) + self.microseconds / DAY;
        let mut microseconds = self.microseconds % DAY;
        if days > 0 && microseconds < 0 {
            (days, microseconds) = (days - 1, microseconds + DAY);
        } else if days < 0 && microseconds > 0 {
            (days, microseconds) = (days + 1, microseconds - DAY);
        }
        Interval::try_new(i64::from(self.months), days, microseconds)
    }

    /// Whole months out of the days.
    pub(in crate::dialect) fn justify_days(self) -> Result<Interval, Failure> {
        let mut months = i64::from(self.months) + i64::from(self.days) / 30;
        let mut days = i64::from(self.days) % 30;
        if months > 0 && days < 0 {
            (months, days) = (months - 1, days + 30);
        } else if months < 0 && days > 0 {
            (months, days) = (months + 1, days - 30);
        }
        Interval::try_new(months, days, self.microseconds)
    }

    /// Reads a text: `1 year 2 mons`, `3 04:05:06`, `1-2`, `P1Y2DT3H`; a number alone is in `default`.
    pub(in crate::dialect) fn parse(text: &str, default: Unit) -> Result<Interval, Failure> {
        let failure = || format!("invalid input syntax for type interval: \"{text}\"");
        let trimmed = text.trim();
        if let Some(rest) = trimmed.strip_prefix('P') {
            return iso(rest).ok_or_else(failure);
        }
        let mut sum = Sum::default();
        let tokens = tokens(trimmed).ok_or_else(failure)?;
        let ago = tokens.last().is_some_and(|it| it.eq_ignore_ascii_case("ago"));
        let tokens = if ago { &tokens[..tokens.len() - 1] } else { &tokens[..] };
        let mut rest = tokens.iter().filter(|it| **it != "@").peekable();
        let mut seen: Vec<Unit> = Vec::new();
        let mut once = |unit: Unit| {
            let first = !seen.contains(&unit);
            seen.push(unit);
            first
        };
        let mut found = false;
        while let Some(token) = rest.next() {
            found = true;
            if token.contains(':') {
                if !(once(Unit::Hour) && once(Unit::Minute) && once(Unit::Second)) {
                    return Err(failure());
                }
                sum.add_time(time(token).ok_or_else(failure)?).ok_or_else(failure)?;
                continue;
            }
            if let Some((years, months)) = token[1..].split_once('-').filter(|_| !token.contains('.')) {
                sum.add_months(year_month(token, years, months).ok_or_else(failure)?).ok_or_else(failure)?;
                continue;
            }
            let unit = match rest.peek() {
                Some(next) if next.starts_with(|it: char| it.is_ascii_alphabetic()) => {
                    let unit = Unit::named(next).filter(|it| it.is_length() && *it != Unit::Quarter);
                    rest.next();
                    unit.ok_or_else(failure)?
                }
                // Days before a time need no unit.
                Some(next) if next.contains(':') => Unit::Day,
                _ => default,
            };
            if !once(unit) {
                return Err(failure());
            }
            sum.add(token, unit).ok_or_else(failure)?;
        }
        if !found {
            return Err(failure());
        }
        let interval = sum.interval()?;
        if ago { interval.negated() } else { Ok(interval) }
    }

    /// Without what is smaller than `unit`.
    pub(in crate::dialect) fn restricted(self, unit: Unit) -> Interval {
        let cut = |length: i64| Interval { microseconds: self.microseconds / length * length, ..self };
        match unit {
            Unit::Year => Interval { months: self.months / 12 * 12, ..Interval::default() },
            Unit::Month => Interval { months: self.months, ..Interval::default() },
            Unit::Day => Interval { microseconds: 0, ..self },
            Unit::Hour => cut(HOUR),
            Unit::Minute => cut(MINUTE),
            _ => self,
        }
    }

    /// In three numbers with their units.
    pub(in crate::dialect) fn plain(self) -> String {
        format!("{} months {} days {} microseconds", self.months, self.days, self.microseconds)
    }

    /// As PostgreSQL writes it.
    pub(in crate::dialect) fn text(self) -> String {
        let mut out = Written::default();
        out.part(i64::from(self.months / 12), "year");
        out.part(i64::from(self.months % 12), "mon");
        out.part(i64::from(self.days), "day");
        if out.text.is_empty() || self.microseconds != 0 {
            let space = if out.text.is_empty() { "" } else { " " };
            let sign = if self.microseconds < 0 {
                "-"
            } else if out.before {
                "+"
            } else {
                ""
            };
            let time = text_of(|out| write_time(self.microseconds.unsigned_abs(), out));
            out.text += &format!("{space}{sign}{time}");
        }
        out.text
    }
}

/// A part of a day or a month without what only the representation as a double added.
fn to_microseconds_fraction(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

#[derive(Default)]
struct Written {
    text: String,
    /// Whether the last part was negative.
    before: bool,
}

impl Written {
    fn part(&mut self, value: i64, unit: &str) {
        if value == 0 {
            return;
        }
        let space = if self.text.is_empty() { "" } else { " " };
        let plus = if self.before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{space}{plus}{value} {unit}{plural}");
        self.before = value < 0;
    }
}

/// Parts of an interval, added up.
#[derive(Default)]
struct Sum {
    months: i64,
    days: i64,
    microseconds: i64,
}

impl Sum {
    fn interval(&self) -> Result<Interval, Failure> {
        Interval::try_new(self.months, self.days, self.microseconds)
    }

    /// `number` of `unit`; what is not whole goes to the next smaller part.
    fn add(&mut self, number: &str, unit: Unit) -> Option<()> {
        let (whole, fraction) = split_number(number)?;
        let months = match unit {
            Unit::Month => 1,
            Unit::Year => 12,
            Unit::Decade => 120,
            Unit::Century => 1_200,
            Unit::Millennium => 12_000,
            _ => 0,
        };
        if months > 0 {
            self.add_months(whole.checked_mul(months)?)?;
            if unit == Unit::Month {
                return self.fraction_of_days(fraction * 30.0);
            }
            return self.add_months((fraction * months as f64).round_ties_even() as i64);
        }
        match unit {
            Unit::Week | Unit::Day => {
                let days = if unit == Unit::Week { 7 } else { 1 };
                self.days = self.days.checked_add(whole.checked_mul(days)?)?;
                self.fraction_of_days(fraction * days as f64)
            }
            _ => {
                let length = match unit {
                    Unit::Hour => HOUR,
                    Unit::Minute => MINUTE,
                    Unit::Second => SECOND,
                    Unit::Millisecond => 1_000,
                    _ => 1,
                };
                let fraction = (fraction * length as f64).round_ties_even() as i64;
                self.add_time(whole.checked_mul(length)?)?;
                self.add_time(fraction)
            }
        }
    }

    fn fraction_of_days(&mut self, days: f64) -> Option<()> {
        self.days = self.days.checked_add(days.trunc() as i64)?;
        self.add_time((days.fract() * DAY as f64).round_ties_even() as i64)
    }

    fn add_months(&mut self, months: i64) -> Option<()> {
        self.months = self.months.checked_add(months)?;
        Some(())
    }

    fn add_time(&mut self, microseconds: i64) -> Option<()> {
        self.microseconds = self.microseconds.checked_add(microseconds)?;
        Some(())
    }
}

/// The whole part of a decimal number, and the rest with the number's sign.
fn split_number(text: &str) -> Option<(i64, f64)> {
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || !(whole.to_owned() + fraction).bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = scan::fraction(fraction.as_bytes());
    Some(if negative { (-whole, -fraction) } else { (whole, fraction) })
}

/// Numbers with their signs, words and times, in order.
fn tokens(text: &str) -> Option<Vec<&str>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_alphabetic() {
            rest.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(rest.len())
        } else if first == '@' {
            1
        } else if first.is_ascii_digit() || matches!(first, '+' | '-' | '.') {
            let after = &rest[1..];
            1 + after.find(|it: char| !(it.is_ascii_digit() || matches!(it, '.' | ':' | '-'))).unwrap_or(after.len())
        } else {
            return None;
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

/// `[-]h:m`, `[-]h:m:s` or `[-]m:s.f`.
fn time(token: &str) -> Option<i64> {
    let negative = token.starts_with('-');
    let digits = token.strip_prefix(['-', '+']).unwrap_or(token);
    let parts: Vec<&str> = digits.split(':').collect();
    let whole = |it: &str| it.parse::<i64>().ok().filter(|value| *value >= 0);
    let seconds = |it: &str| {
        let (whole, fraction) = split_number(it)?;
        whole.checked_mul(SECOND)?.checked_add(micros(fraction))
    };
    let value = match parts[..] {
        [minutes, rest] if rest.contains('.') => whole(minutes)?.checked_mul(MINUTE)?.checked_add(seconds(rest)?)?,
        [hours, minutes] => {
            let minutes = whole(minutes).filter(|it| *it < 60)?;
            whole(hours)?.checked_mul(HOUR)?.checked_add(minutes * MINUTE)?
        }
        [hours, minutes, rest] => {
            let (minutes, rest) = (whole(minutes).filter(|it| *it < 60)?, seconds(rest).filter(|it| *it <= MINUTE)?);
            whole(hours)?.checked_mul(HOUR)?.checked_add(minutes * MINUTE + rest)?
        }
        _ => return None,
    };
    Some(if negative { -value } else { value })
}

/// `years-months`, with a sign in front of both.
fn year_month(token: &str, years: &str, months: &str) -> Option<i64> {
    let negative = token.starts_with('-');
    let years = if token.starts_with(['-', '+']) { years.to_owned() } else { format!("{}{years}", &token[..1]) };
    let (years, months): (i64, i64) = (years.parse().ok()?, months.parse().ok()?);
    let value = years.checked_mul(12)?.checked_add((0..12).contains(&months).then_some(months)?)?;
    Some(if negative { -value } else { value })
}

/// What follows the P of `P1Y2M3W4DT5H6M7.8S`.
fn iso(text: &str) -> Option<Interval> {
    let mut sum = Sum::default();
    let (mut rest, mut in_time, mut found) = (text, false, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T').filter(|_| !in_time) {
            (rest, in_time) = (after, true);
            continue;
        }
        let end = rest.find(|it: char| it.is_ascii_alphabetic())?;
        let (number, after) = rest.split_at(end);
        let unit = match (&after[..1], in_time) {
            ("Y", false) => Unit::Year,
            ("M", false) => Unit::Month,
            ("W", false) => Unit::Week,
            ("D", false) => Unit::Day,
            ("H", true) => Unit::Hour,
            ("M", true) => Unit::Minute,
            ("S", true) => Unit::Second,
            _ => return None,
        };
        sum.add(number, unit)?;
        (rest, found) = (&after[1..], true);
    }
    found.then(|| sum.interval().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        let cases = [
            ("1 day", "1 day"),
            ("1 year 2 months -3 days 04:05:06.7", "1 year 2 mons -3 days +04:05:06.7"),
            ("-1 hour", "-01:00:00"),
            ("1-2", "1 year 2 mons"),
            ("3 4:05:06", "3 days 04:05:06"),
            ("1.5 months", "1 mon 15 days"),
            ("1.5 years", "1 year 6 mons"),
            ("1.5 days", "1 day 12:00:00"),
            ("2 weeks ago", "-14 days"),
            ("90 minutes", "01:30:00"),
            ("5", "00:00:05"),
            ("P1Y2M3DT4H5M6S", "1 year 2 mons 3 days 04:05:06"),
            ("0", "00:00:00"),
            ("@ 1 minute", "00:01:00"),
            ("1day", "1 day"),
        ];
        for (text, written) in cases {
            let interval = Interval::parse(text, Unit::Second).expect(text);
            assert_eq!(interval.text(), written, "{text}");
        }
        for text in [
            "",
            "x",
            "1 parsec",
            "1:99",
            "P",
            "ago",
            "0:0:9223372036855",
            "153722867280912930:1.5",
            "1 1000000000000000000 hours",
        ] {
            assert!(Interval::parse(text, Unit::Second).is_err(), "{text}");
        }
    }
}
