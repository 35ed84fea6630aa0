//! `age`: the difference of two points in time in years, months and days of the calendar.

use super::Failure;
use super::interval::Interval;
use crate::change::text::calendar::{Civil, DAY, month_length, split};

/// What has to be added to `from` to come to `to`, field by field.
pub(in crate::dialect) fn between(to: i64, from: i64) -> Result<Interval, Failure> {
    let sign = if to < from { -1 } else { 1 };
    let ((to_days, to_time), (from_days, from_time)) = (split(to), split(from));
    let (later, earlier) = (Civil::of_days(to_days), Civil::of_days(from_days));
    let mut time = sign * (to_time - from_time);
    let mut days = sign * (later.day - earlier.day);
    let mut months = sign * ((later.year - earlier.year) * 12 + later.month - earlier.month);
    if time < 0 {
        (time, days) = (time + DAY, days - 1);
    }
    // A month is borrowed of the length of the earlier one.
    let borrowed = if sign < 0 { later } else { earlier };
    while days < 0 {
        (days, months) = (days + month_length(borrowed.year, borrowed.month), months - 1);
    }
    Interval::try_new(sign * months, sign * days, sign * time)
}
