//! `date_trunc` and `date_bin`.

use super::Failure;
use super::interval::Interval;
use super::unit::Unit;
use crate::change::text::calendar::{Civil, DAY, HOUR, MINUTE, SECOND, at, iso_weekday, split};

/// The unit of this name, when a `what` can be cut off to it.
fn unit(name: &str, what: &str) -> Result<Unit, Failure> {
    let unit = Unit::named(name).ok_or_else(|| format!("unit \"{name}\" not recognized for type {what}"))?;
    if unit.is_length() { Ok(unit) } else { Err(format!("unit \"{name}\" not supported for type {what}")) }
}

/// A timestamp in its own zone, cut off to `name`.
pub(in crate::dialect) fn timestamp(name: &str, local: i64, what: &str) -> Result<i64, Failure> {
    let unit = unit(name, what)?;
    let below = match unit {
        Unit::Microsecond => Some(1),
        Unit::Millisecond => Some(1_000),
        Unit::Second => Some(SECOND),
        Unit::Minute => Some(MINUTE),
        Unit::Hour => Some(HOUR),
        Unit::Day => Some(DAY),
        _ => None,
    };
    if let Some(length) = below {
        return Ok(local - local.rem_euclid(length));
    }
    let (days, _) = split(local);
    let civil = Civil::of_days(days);
    let start = |year: i64, month: i64| Civil { year, month, day: 1 }.days();
    let days = match unit {
        Unit::Week => days + 1 - iso_weekday(days),
        Unit::Month => start(civil.year, civil.month),
        Unit::Quarter => start(civil.year, (civil.month - 1) / 3 * 3 + 1),
        Unit::Year => start(civil.year, 1),
        // Decades begin with a year that ends in 0; so does the last one before Christ, which has nine years.
        Unit::Decade if civil.year > 0 => start(civil.year / 10 * 10, 1),
        Unit::Decade => start(-((8 - (civil.year - 1)) / 10) * 10, 1),
        Unit::Century => start((civil.year - 1).div_euclid(100) * 100 + 1, 1),
        _ => start((civil.year - 1).div_euclid(1000) * 1000 + 1, 1),
    };
    at(days, 0).ok_or_else(|| "timestamp out of range".into())
}

/// An interval, cut off to `name`.
pub(in crate::dialect) fn interval(name: &str, value: Interval) -> Result<Interval, Failure> {
    let months = |length: i32| Interval { months: value.months / length * length, ..Interval::default() };
    let time = |length: i64| Interval { microseconds: value.microseconds / length * length, ..value };
    Ok(match unit(name, "interval")? {
        Unit::Microsecond => value,
        Unit::Millisecond => time(1_000),
        Unit::Second => time(SECOND),
        Unit::Minute => time(MINUTE),
        Unit::Hour => time(HOUR),
        Unit::Day => Interval { microseconds: 0, ..value },
        Unit::Month => months(1),
        Unit::Quarter => months(3),
        Unit::Year => months(12),
        Unit::Decade => months(120),
        Unit::Century => months(1_200),
        Unit::Millennium => months(12_000),
        _ => return Err(format!("unit \"{name}\" not supported for type interval")),
    })
}

/// The start of the stride from `origin` on that `at` is in.
pub(in crate::dialect) fn bin(stride: Interval, at: i64, origin: i64) -> Result<i64, Failure> {
    if stride.months != 0 {
        return Err("timestamps cannot be binned into intervals containing months or years".into());
    }
    let out_of_range = || Failure::from("interval out of range");
    let length = i64::from(stride.days).checked_mul(DAY).and_then(|it| it.checked_add(stride.microseconds));
    let length = length.ok_or_else(out_of_range)?;
    if length <= 0 {
        return Err("stride must be greater than zero".into());
    }
    let since = at.checked_sub(origin).ok_or_else(out_of_range)?;
    at.checked_sub(since.rem_euclid(length)).ok_or_else(|| "timestamp out of range".into())
}
