//! `extract` and `date_part`: fields of dates, timestamps and intervals as exact numbers.

use super::Failure;
use super::interval::Interval;
use super::unit::Unit;
use crate::change::text::calendar::{Civil, DAY, EPOCH_JULIAN_DAY, HOUR, MINUTE, SECOND, iso_week, iso_weekday, split};

/// What a field is taken from.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect) enum From {
    Date(i64),
    Timestamp(i64),
    /// In UTC, which is the zone of every session.
    TimestampTz(i64),
    Interval(Interval),
}

impl From {
    fn type_name(self) -> &'static str {
        match self {
            From::Date(_) => "date",
            From::Timestamp(_) => "timestamp without time zone",
            From::TimestampTz(_) => "timestamp with time zone",
            From::Interval(_) => "interval",
        }
    }
}

/// How many decimals the field `unit` of a timestamp or an interval has, `is_date`: of a date.
pub(in crate::dialect) fn scale(unit: Unit, is_date: bool) -> u8 {
    match unit {
        Unit::Second | Unit::Epoch if !is_date => 6,
        Unit::Millisecond => 3,
        _ => 0,
    }
}

/// The field `name`, in units of its scale.
pub(in crate::dialect) fn part(name: &str, from: From) -> Result<(i128, u8), Failure> {
    let what = from.type_name();
    let unit = Unit::named(name).ok_or_else(|| format!("unit \"{name}\" not recognized for type {what}"))?;
    let value = match from {
        From::Interval(it) => of_interval(unit, it),
        From::Date(days) => of_date(unit, days).or(if unit == Unit::Epoch { Some(days * 86_400) } else { None }),
        From::Timestamp(at) | From::TimestampTz(at) => {
            let (days, time) = split(at);
            match unit {
                Unit::Epoch => Some(at),
                // A fraction of a day is no exact number.
                Unit::Julian => None,
                Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute => {
                    matches!(from, From::TimestampTz(_)).then_some(0)
                }
                _ => of_time(unit, time).or_else(|| of_date(unit, days)),
            }
        }
    };
    let value = value.ok_or_else(|| format!("unit \"{name}\" not supported for type {what}"))?;
    Ok((i128::from(value), scale(unit, matches!(from, From::Date(_)))))
}

fn of_time(unit: Unit, time: i64) -> Option<i64> {
    Some(match unit {
        // All three count the same: their scales differ.
        Unit::Microsecond | Unit::Millisecond | Unit::Second => time % MINUTE,
        Unit::Minute => time % HOUR / MINUTE,
        Unit::Hour => time / HOUR,
        _ => return None,
    })
}

fn of_date(unit: Unit, days: i64) -> Option<i64> {
    let civil = Civil::of_days(days);
    let year = civil.year;
    // There is no year 0: what is before 1 is counted backwards from -1 on.
    let counted = |it: i64| if it > 0 { it } else { it - 1 };
    Some(match unit {
        Unit::Day => civil.day,
        Unit::Week => iso_week(days).1,
        Unit::Month => civil.month,
        Unit::Quarter => (civil.month - 1) / 3 + 1,
        Unit::Year => counted(year),
        Unit::Decade if year >= 0 => year / 10,
        Unit::Decade => -((8 - (year - 1)) / 10),
        Unit::Century if year > 0 => (year + 99) / 100,
        Unit::Century => -((99 - (year - 1)) / 100),
        Unit::Millennium if year > 0 => (year + 999) / 1000,
        Unit::Millennium => -((999 - (year - 1)) / 1000),
        Unit::DayOfWeek => iso_weekday(days) % 7,
        Unit::IsoDayOfWeek => iso_weekday(days),
        Unit::DayOfYear => days - Civil { year, month: 1, day: 1 }.days() + 1,
        Unit::IsoYear => counted(iso_week(days).0),
        Unit::Julian => days + EPOCH_JULIAN_DAY,
        _ => return None,
    })
}

fn of_interval(unit: Unit, it: Interval) -> Option<i64> {
    let (years, months) = (i64::from(it.months / 12), i64::from(it.months % 12));
    Some(match unit {
        Unit::Microsecond | Unit::Millisecond | Unit::Second => it.microseconds % MINUTE,
        Unit::Minute => it.microseconds % HOUR / MINUTE,
        Unit::Hour => it.microseconds / HOUR,
        Unit::Day => i64::from(it.days),
        Unit::Month => months,
        Unit::Quarter => months / 3 + 1,
        Unit::Year => years,
        Unit::Decade => years / 10,
        Unit::Century => years / 100,
        Unit::Millennium => years / 1000,
        // A year has 365.25 days and a month 30.
        Unit::Epoch => {
            let quarters = years.checked_mul(1_461)?.checked_add(120 * months + 4 * i64::from(it.days))?;
            quarters.checked_mul(DAY / 4)?.checked_add(it.microseconds)?
        }
        _ => return None,
    })
}

/// The number as the nearest double.
pub(in crate::dialect) fn as_double((value, scale): (i128, u8)) -> f64 {
    const POWERS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, SECOND as f64];
    value as f64 / POWERS[usize::from(scale)]
}
