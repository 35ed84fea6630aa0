//! Dates and timestamps as PostgreSQL reads them: the plain forms, and besides `epoch`, BC, zones by name, and its words
//! for what is none.

use super::Failure;
use super::interval::Interval;
use super::zone::Zone;
use crate::change::text::calendar::{Civil, DAY, END_OF_DATES, FIRST_DAY, at, is_date, split};
use crate::change::text::moment::{Style, write_date, write_timestamp};
use crate::change::text::scan::{self, Rest};
use crate::change::text::{Fault, Rules, text_of, trimmed};

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
    let local = at(read.days, read.time).ok_or_else(|| format!("timestamp out of range: \"{text}\""))?;
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
    days.filter(|it| is_date(*it)).ok_or_else(|| "date out of range".into())
}

fn read(text: &str, name: &str) -> Result<Read, Failure> {
    let syntax = || format!("invalid input syntax for type {name}: \"{text}\"");
    let range = || format!("date/time field value out of range: \"{text}\"");
    let word = trimmed(text).to_ascii_lowercase();
    match word.as_str() {
        "epoch" => return Ok(Read { days: 0, time: 0, zone: Some(Zone::Fixed(0)) }),
        "infinity" | "-infinity" | "+infinity" | "now" | "today" | "tomorrow" | "yesterday" => {
            return Err(format!("the {name} \"{text}\" is not supported; write a date"));
        }
        _ => {}
    }
    let (body, before_christ) = match word.strip_suffix(" bc") {
        Some(body) => (trimmed(body), true),
        None => (word.as_str(), false),
    };
    let mut rest = Rest(body.as_bytes());
    let mut civil = rest.date(Rules::Postgres).ok_or_else(syntax)?;
    if civil.year == 0 {
        return Err(range());
    }
    if before_christ {
        civil.year = 1 - civil.year;
    }
    let days = civil.existing_days().ok_or_else(range)?;
    if days < FIRST_DAY {
        return Err(format!("{} out of range: \"{text}\"", if name == "date" { "date" } else { "timestamp" }));
    }
    let separated = rest.accept(b"t");
    rest.spaces();
    // A zone may follow the date, too.
    let time = match rest.0.first() {
        None if separated => return Err(syntax()),
        Some(b'0'..=b'9') => rest.clock(Rules::Postgres).map_err(|fault| match fault {
            Fault::Range => range(),
            Fault::Syntax | Fault::Excess => syntax(),
        })?,
        _ => 0,
    };
    rest.spaces();
    let zone = match &body[body.len() - rest.0.len()..] {
        "" => None,
        zone => Some(match scan::offset(zone) {
            Some(seconds) => Zone::Fixed(seconds),
            None if zone.starts_with(|it: char| it.is_ascii_alphabetic()) => Zone::named(zone)?,
            None => return Err(syntax()),
        }),
    };
    Ok(Read { days, time, zone })
}

/// A date as text.
pub(in crate::dialect) fn date_text(days: i64) -> String {
    text_of(|out| write_date(days, Style::Postgres, out))
}

/// A timestamp as text; `suffix` is its offset.
pub(in crate::dialect) fn timestamp_text(micros: i64, suffix: &str) -> String {
    text_of(|out| write_timestamp(micros, Style::Postgres, suffix, out))
}

/// A timestamp moved by an interval: by its months, then its days, then the rest.
pub(in crate::dialect) fn moved(microseconds: i64, by: Interval) -> Result<i64, Failure> {
    let (mut days, time) = split(microseconds);
    if by.months != 0 {
        days = Civil::of_days(days).add_months(i64::from(by.months)).days();
    }
    days += i64::from(by.days);
    let moved = at(days, time).and_then(|it| it.checked_add(by.microseconds));
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
