//! Instants that programs store as bare numbers.
//!
//! Nothing beside the number says which unit it counts. It is the coarsest one under which it is an instant of the
//! years 1653 to 2286, which is right for every instant but the 116 days on both sides of 1970-01-01, when they are
//! counted in milliseconds or finer.
//!
//! | number | what it is |
//! |---|---|
//! | below 10^10 | seconds since 1970 (also with a fraction), Unix and Python |
//! | below 10^13 | milliseconds, JavaScript, Java and Prisma |
//! | below 10^16 | microseconds, Firefox and Chrome |
//! | from there on | nanoseconds, Go |
//! | 2,000,000 to 3,000,000 | a Julian day (years 763 to 3501), SQLite's julianday() |
//! | 19000101 to 21001231 | the day it reads as, if there is such a day; with six more digits a time of that day |
//! | 1000 to 99999, both signs | refused: a year, or days since 1899 (Delphi, .NET) or 1970, as likely as seconds |

use super::calendar::{Civil, DAY, EPOCH_JULIAN_DAY, HOUR, MINUTE, SECOND};

/// Sizes of numbers that are years or counts of days as likely as seconds of the first day of 1970.
const UNCLEAR: std::ops::Range<u64> = 1000..100_000;

/// Microseconds since 1970-01-01T00:00:00Z of an integer.
pub(crate) fn from_integer(value: i64) -> Option<i64> {
    match value.unsigned_abs() {
        size if UNCLEAR.contains(&size) => None,
        2_000_000..3_000_000 if value > 0 => from_julian(value as f64),
        size => match written_out(value) {
            Some(instant) => Some(instant),
            None if size < 10_000_000_000 => Some(value * SECOND),
            None if size < 10_000_000_000_000 => Some(value * 1000),
            None if size < 10_000_000_000_000_000 => Some(value),
            None => Some(value.div_euclid(1000)),
        },
    }
}

/// Microseconds since 1970-01-01T00:00:00Z of a double.
pub(crate) fn from_float(value: f64) -> Option<i64> {
    let size = value.abs();
    if value.fract() == 0.0 && size < 9e18 {
        return from_integer(value as i64);
    }
    if (2e6..3e6).contains(&value) {
        return from_julian(value);
    }
    let micros = match size {
        it if it < 1e10 => value * 1e6,
        it if it < 1e13 => value * 1e3,
        // Doubles of this size have no fractions worth a microsecond, and NaN and infinities are no instants.
        _ => return None,
    };
    (!UNCLEAR.contains(&(size as u64))).then_some(micros.round() as i64)
}

/// To the millisecond, which is all that a double of this size tells, and all that SQLite's functions take.
fn from_julian(value: f64) -> Option<i64> {
    // Julian days begin at noon.
    let midnight = EPOCH_JULIAN_DAY as f64 - 0.5;
    Some(((value - midnight) * 86_400_000.0).round() as i64 * 1000)
}

/// `YYYYMMDD` or `YYYYMMDDhhmmss` of the years 1900 to 2100.
fn written_out(value: i64) -> Option<i64> {
    let (date, clock) = match value {
        19_000_101..=21_001_231 => (value, 0),
        19_000_101_000_000..=21_001_231_235_959 => (value / 1_000_000, value % 1_000_000),
        _ => return None,
    };
    let (hour, minute, second) = (clock / 10_000, clock / 100 % 100, clock % 100);
    let inside = hour < 24 && minute < 60 && second < 60;
    let civil = Civil { year: date / 10_000, month: date / 100 % 100, day: date % 100 };
    let day = civil.existing_days().filter(|_| inside)?;
    Some(day * DAY + hour * HOUR + minute * MINUTE + second * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::text::scan::Written;
    use crate::change::text::timestamp::timestamp;

    fn at(text: &str) -> Option<i64> {
        timestamp(text).and_then(Written::instant)
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        for (value, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31 23:59:59"),
            (1_714_564_800, "2024-05-01 12:00:00"),
            (1_714_564_800_000, "2024-05-01 12:00:00"),
            (1_714_564_800_000_000, "2024-05-01 12:00:00"),
            (1_714_564_800_000_000_000, "2024-05-01 12:00:00"),
            (-2_208_988_800, "1900-01-01"),
            (-2_208_988_800_000, "1900-01-01"),
            (42_249_600_000, "1971-05-05"),
            (4_102_444_800, "2100-01-01"),
            (20_240_501, "2024-05-01"),
            (20_240_501_123_000, "2024-05-01 12:30:00"),
            (20_241_301, "1970-08-23 06:35:01"),
            (2_460_432, "2024-05-01 12:00:00"),
        ] {
            assert_eq!(from_integer(value), at(text), "{value}");
        }
        for value in [1000, 2024, -2024, 19_844, 45_413, 99_999] {
            assert_eq!(from_integer(value), None, "{value}");
        }
        assert_eq!(from_integer(100_000), at("1970-01-02 03:46:40"));
        assert_eq!(from_integer(i64::MIN), Some(i64::MIN.div_euclid(1000)));
    }

    #[test]
    fn fractions_are_of_seconds_or_of_julian_days() {
        for (value, text) in [
            (1_714_564_800.25, "2024-05-01 12:00:00.25"),
            (1_714_564_800_000.5, "2024-05-01 12:00:00.0005"),
            (2_460_431.5, "2024-05-01"),
            (2_460_432.256_25, "2024-05-01 18:09:00"),
            (-0.5, "1969-12-31 23:59:59.5"),
            (1_714_564_800.0, "2024-05-01 12:00:00"),
        ] {
            assert_eq!(from_float(value), at(text), "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, 1e300, 2024.5, 45_413.75, -99_999.5] {
            assert_eq!(from_float(value), None, "{value}");
        }
    }
}
