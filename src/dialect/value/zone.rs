//! Time zones by name, with the rules of the time zone database.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::Failure;
use crate::change::text::calendar::{Civil, DAY, SECOND, is_leap, iso_weekday, split};
use crate::change::text::scan;

/// A zone.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) enum Zone {
    /// Always so many seconds east of Greenwich.
    Fixed(i64),
    Named(Tz),
}

/// Abbreviations that mean an offset, whatever the rules of a zone of that name are.
const ABBREVIATIONS: [(&str, i64); 36] = [
    ("utc", 0),
    ("uct", 0),
    ("ut", 0),
    ("gmt", 0),
    ("z", 0),
    ("zulu", 0),
    ("wet", 0),
    ("west", 1),
    ("bst", 1),
    ("cet", 1),
    ("cest", 2),
    ("met", 1),
    ("mest", 2),
    ("mez", 1),
    ("mesz", 2),
    ("eet", 2),
    ("eest", 3),
    ("idt", 3),
    ("sgt", 8),
    ("hkt", 8),
    ("jst", 9),
    ("kst", 9),
    ("aest", 10),
    ("aedt", 11),
    ("nzst", 12),
    ("nzdt", 13),
    ("ast", -4),
    ("adt", -3),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("hst", -10),
];

/// The last year the rules are listed for; they repeat themselves from there on.
const LAST_LISTED_YEAR: i64 = 2065;

static ZONES: LazyLock<HashMap<String, Tz>> =
    LazyLock::new(|| TZ_VARIANTS.iter().map(|it| (it.name().to_ascii_lowercase(), *it)).collect());

impl Zone {
    /// The zone of this name, in any case of letters.
    pub(in crate::dialect) fn named(name: &str) -> Result<Zone, Failure> {
        let lower = name.to_ascii_lowercase();
        let abbreviated = ABBREVIATIONS.iter().find(|(it, _)| *it == lower);
        if let Some((_, hours)) = abbreviated {
            return Ok(Zone::Fixed(hours * 3_600));
        }
        if let Some(zone) = ZONES.get(&lower) {
            return Ok(Zone::Named(*zone));
        }
        // As in POSIX, a bare offset counts westwards.
        match scan::offset(&lower) {
            Some(seconds) => Ok(Zone::Fixed(-seconds)),
            None => Err(format!("time zone \"{name}\" not recognized")),
        }
    }

    /// Local time of a point in time.
    pub(in crate::dialect) fn local(self, microseconds: i64) -> Result<i64, Failure> {
        microseconds.checked_add(self.offset_at(microseconds) * SECOND).ok_or_else(out_of_range)
    }

    /// The point in time at which it is `local` there. What the clock skips is read as before it was put forward, what
    /// it shows twice as the second time.
    pub(in crate::dialect) fn instant(self, local: i64) -> Result<i64, Failure> {
        let around = |it: i64| self.offset_at(it) * SECOND;
        let (before, after) = (around(local.saturating_sub(DAY)), around(local.saturating_add(DAY)));
        let at = |offset: i64| local.checked_sub(offset).ok_or_else(out_of_range);
        // With the offset of afterwards it is right where that is in force then already.
        let later = at(after)?;
        if around(later) == after { Ok(later) } else { at(before) }
    }

    /// Seconds east of Greenwich.
    fn offset_at(self, microseconds: i64) -> i64 {
        let zone = match self {
            Zone::Fixed(seconds) => return seconds,
            Zone::Named(zone) => zone,
        };
        let seconds = listed(microseconds).div_euclid(SECOND);
        let time = DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::UNIX_EPOCH);
        i64::from(zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc())
    }
}

fn out_of_range() -> Failure {
    "timestamp out of range".into()
}

/// The same moment of a year for which rules are listed, and which has the same days: the same weekdays and leap day.
fn listed(microseconds: i64) -> i64 {
    let (days, time) = split(microseconds);
    let civil = Civil::of_days(days);
    if civil.year <= LAST_LISTED_YEAR {
        // Before the first rule there is only one, so that the year does not matter.
        return microseconds.max(Civil { year: 1, month: 1, day: 1 }.days() * DAY);
    }
    let weekday = |year: i64| iso_weekday(Civil { year, month: 1, day: 1 }.days());
    let is_twin = |it: &i64| is_leap(*it) == is_leap(civil.year) && weekday(*it) == weekday(civil.year);
    // Within 28 years every kind of year occurs.
    let twin = (LAST_LISTED_YEAR - 27..=LAST_LISTED_YEAR).find(is_twin).unwrap_or(LAST_LISTED_YEAR);
    Civil { year: twin, ..civil }.days() * DAY + time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::value::moment;

    fn at(text: &str) -> i64 {
        moment::parse(text, true).expect(text)
    }

    #[test]
    fn local_times_follow_the_rules_of_their_year() {
        let berlin = Zone::named("europe/BERLIN").expect("known");
        let cases = [
            ("2024-01-01 12:00", "2024-01-01 13:00:00"),
            ("2024-07-01 12:00", "2024-07-01 14:00:00"),
            ("2150-07-01 12:00", "2150-07-01 14:00:00"),
            ("9999-12-31 12:00", "9999-12-31 13:00:00"),
        ];
        for (utc, local) in cases {
            assert_eq!(moment::timestamp_text(berlin.local(at(utc)).expect(utc), ""), local);
        }
    }

    #[test]
    fn skipped_and_repeated_local_times() {
        let berlin = Zone::named("Europe/Berlin").expect("known");
        let cases = [
            ("2024-03-31 02:30", "2024-03-31 01:30:00"),
            ("2024-10-27 02:30", "2024-10-27 01:30:00"),
            ("2024-10-27 01:30", "2024-10-26 23:30:00"),
        ];
        for (local, utc) in cases {
            assert_eq!(moment::timestamp_text(berlin.instant(at(local)).expect(local), ""), utc);
        }
    }

    #[test]
    fn names_that_nobody_knows() {
        assert!(Zone::named("Mars/Olympus").is_err());
    }
}
