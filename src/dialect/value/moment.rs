//! Dates and timestamps as text: ISO 8601 and what PostgreSQL accepts besides, written as PostgreSQL writes them.

use std::fmt::Write;

use super::Failure;
use super::calendar::{Civil, DAY, HOUR, MINUTE, SECOND, split};
use super::interval::Interval;
use super::zone::{self, Zone};

/// PostgreSQL's calendar begins with this day.
const FIRST_DAY: i64 = Civil { year: -4713, month: 11, day: 24 }.days_const();
/// The first day that is no `date` any more.
const END_OF_DATES: i64 = Civil { year: 5_874_898, month: 1, day: 1 }.days_const();

impl Civil {
    /// [`Civil::days`] where constants need it.
    const fn days_const(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }
}

/// What a text says.
struct Read {
    days: i64,
    /// Microseconds after midnight; up to and with 24 hours.
    time: i64,
    zone: Option<Zone>,
}

/// A timestamp in microseconds: in UTC when `zoned`, else what the text says, whatever zone it names.
pub(in crate::dialect) fn parse(text: &str, zoned: bool) -> Result<i64, Failure> {
    let name = if zoned { "timestamp with time zone" } else { "timestamp" };
    let read = read(text, name)?;
    let local = read.days.checked_mul(DAY).and_then(|it| it.checked_add(read.time));
    let local = local.ok_or_else(|| format!("timestamp out of range: \"{text}\""))?;
    match read.zone.filter(|_| zoned) {
        // An offset in a text counts eastwards.
        Some(zone) => zone.instant(local),
        None => Ok(local),
    }
}

/// The day of a text, in days after 1970-01-01.
pub(in crate::dialect) fn parse_date(text: &str) -> Result<i64, Failure> {
    let days = read(text, "date")?.days;
    if days >= END_OF_DATES { Err(format!("date out of range: \"{text}\"")) } else { Ok(days) }
}

/// `days` when there is such a date.
pub(in crate::dialect) fn valid_date(days: Option<i64>) -> Result<i64, Failure> {
    days.filter(|it| (FIRST_DAY..END_OF_DATES).contains(it)).ok_or_else(|| "date out of range".into())
}

fn read(text: &str, name: &str) -> Result<Read, Failure> {
    let syntax = || format!("invalid input syntax for type {name}: \"{text}\"");
    let range = || format!("date/time field value out of range: \"{text}\"");
    let mut rest = text.trim();
    let word = rest.to_ascii_lowercase();
    match word.as_str() {
        "epoch" => return Ok(Read { days: 0, time: 0, zone: Some(Zone::Fixed(0)) }),
        "infinity" | "-infinity" | "+infinity" | "now" | "today" | "tomorrow" | "yesterday" => {
            return Err(format!("the {name} \"{text}\" is not supported; write a date"));
        }
        _ => {}
    }
    let before_christ = word.ends_with(" bc");
    if before_christ {
        rest = rest[..rest.len() - 3].trim_end();
    }
    let (mut civil, after) = date(rest).ok_or_else(syntax)?;
    if civil.year == 0 {
        return Err(range());
    }
    if before_christ {
        civil.year = 1 - civil.year;
    }
    if !civil.exists() {
        return Err(range());
    }
    let days = civil.days();
    if days < FIRST_DAY {
        return Err(format!("{} out of range: \"{text}\"", if name == "date" { "date" } else { "timestamp" }));
    }
    let separated = after.strip_prefix(['T', 't']).unwrap_or(after);
    let after = separated.trim_start();
    if after.is_empty() {
        return if separated.len() == after.len() && after.len() != rest.len() && !rest.ends_with(['T', 't']) {
            Ok(Read { days, time: 0, zone: None })
        } else {
            Err(syntax())
        };
    }
    // A zone may follow the date, too.
    let (time, after) = match after.bytes().next() {
        Some(b'0'..=b'9') => time_of_day(after).ok_or_else(syntax)?,
        _ => (Some(0), after),
    };
    let time = time.ok_or_else(range)?;
    let after = after.trim();
    let zone = match after {
        "" => None,
        text => Some(match zone::offset(text) {
            Some(seconds) => Zone::Fixed(seconds),
            None if text.starts_with(|it: char| it.is_ascii_alphabetic()) => Zone::named(text)?,
            None => return Err(syntax()),
        }),
    };
    Ok(Read { days, time, zone })
}

/// `yyyy-mm-dd` or `yyyymmdd` at the start of `text`, and what follows.
fn date(text: &str) -> Option<(Civil, &str)> {
    let digits = |it: &str| it.bytes().take_while(u8::is_ascii_digit).count();
    let year_digits = digits(text);
    let after = &text[year_digits..];
    if year_digits == 8 && !after.starts_with('-') {
        let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
        return Some((Civil { year: number(0, 4)?, month: number(4, 6)?, day: number(6, 8)? }, after));
    }
    if !(4..=7).contains(&year_digits) {
        return None;
    }
    let year = text[..year_digits].parse().ok()?;
    let after = after.strip_prefix('-')?;
    let month_digits = digits(after);
    let month = if month_digits <= 2 { after[..month_digits].parse().ok()? } else { return None };
    let after = after[month_digits..].strip_prefix('-')?;
    let day_digits = digits(after);
    let day = if day_digits <= 2 { after[..day_digits].parse().ok()? } else { return None };
    Some((Civil { year, month, day }, &after[day_digits..]))
}

/// `h:mm[:ss[.f]]` or `hhmm[ss[.f]]` at the start of `text`, in microseconds unless out of range, and what follows.
fn time_of_day(text: &str) -> Option<(Option<i64>, &str)> {
    let end = text.find(|it: char| !(it.is_ascii_digit() || matches!(it, ':' | '.'))).unwrap_or(text.len());
    let (clock, after) = text.split_at(end);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<&str> = if whole.contains(':') {
        whole.split(':').collect()
    } else if matches!(whole.len(), 4 | 6) {
        [Some(&whole[..2]), Some(&whole[2..4]), whole.get(4..6)].into_iter().flatten().collect()
    } else {
        return None;
    };
    if !(2..=3).contains(&parts.len()) || parts.len() == 2 && clock.contains('.') {
        return None;
    }
    if parts.iter().any(|it| it.is_empty() || it.len() > 2) || !fraction.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let number = |at: usize| parts.get(at).map_or(Some(0), |it| it.parse::<i64>().ok());
    let (hours, minutes, seconds) = (number(0)?, number(1)?, number(2)?);
    let fraction: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().ok()? };
    let fraction = (fraction * 1e6).round_ties_even() as i64;
    let time = hours * HOUR + minutes * MINUTE + seconds * SECOND + fraction;
    let inside = minutes < 60 && seconds <= 60 && time <= DAY && hours <= 24;
    Some((inside.then_some(time), after))
}

/// A date as text.
pub(in crate::dialect) fn date_text(days: i64) -> String {
    let (civil, era) = written(days);
    format!("{:04}-{:02}-{:02}{era}", civil.year, civil.month, civil.day)
}

/// A timestamp as text; `suffix` is its offset.
pub(in crate::dialect) fn timestamp_text(microseconds: i64, suffix: &str) -> String {
    let (days, time) = split(microseconds);
    let (civil, era) = written(days);
    let (hours, minutes, seconds) = (time / HOUR, time % HOUR / MINUTE, time % MINUTE / SECOND);
    let mut text =
        format!("{:04}-{:02}-{:02} {hours:02}:{minutes:02}:{seconds:02}", civil.year, civil.month, civil.day);
    let fraction = time % SECOND;
    if fraction != 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, ".{}", format!("{fraction:06}").trim_end_matches('0'));
    }
    text + suffix + era
}

fn written(days: i64) -> (Civil, &'static str) {
    let civil = Civil::of_days(days);
    if civil.year > 0 { (civil, "") } else { (Civil { year: 1 - civil.year, ..civil }, " BC") }
}

/// A timestamp moved by an interval: by its months, then its days, then the rest.
pub(in crate::dialect) fn moved(microseconds: i64, by: Interval) -> Result<i64, Failure> {
    let (mut days, time) = split(microseconds);
    if by.months != 0 {
        days = Civil::of_days(days).add_months(i64::from(by.months)).days();
    }
    days += i64::from(by.days);
    let moved =
        days.checked_mul(DAY).and_then(|it| it.checked_add(time)).and_then(|it| it.checked_add(by.microseconds));
    moved.filter(|it| it.div_euclid(DAY) >= FIRST_DAY).ok_or_else(|| "timestamp out of range".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read_as_postgresql_reads_them() {
        let cases = [
            ("2026-11-26 12:11:12+02:00", "2026-11-26 12:11:12"),
            ("2026-11-26T12:11:12.123456789Z", "2026-11-26 12:11:12.123457"),
            ("2026-11-26", "2026-11-26 00:00:00"),
            ("2026-1-5 1:02", "2026-01-05 01:02:00"),
            ("20260105T010203", "2026-01-05 01:02:03"),
            ("2026-01-05 24:00:00", "2026-01-06 00:00:00"),
            ("2026-01-05 23:59:60", "2026-01-06 00:00:00"),
            ("0044-03-15 BC", "0044-03-15 00:00:00 BC"),
            ("10000-01-01 00:00:00 Europe/Berlin", "10000-01-01 00:00:00"),
        ];
        for (text, written) in cases {
            assert_eq!(timestamp_text(parse(text, false).expect(text), ""), written, "{text}");
        }
        assert_eq!(
            timestamp_text(parse("2026-11-26 12:11:12+02", true).expect("valid"), "+00"),
            "2026-11-26 10:11:12+00"
        );
        for text in
            ["", "x", "2026-02-30", "2026-13-01", "2026-01-01 25:00", "2026-01-01 nowhere", "0000-01-01", "2026-01-01T"]
        {
            assert!(parse(text, false).is_err(), "{text}");
        }
    }
}
