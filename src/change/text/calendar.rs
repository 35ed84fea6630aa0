//! The proleptic Gregorian calendar, without bounds: years are counted on through 0, which is 1 BC.

/// Units of time in microseconds.
pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// The Julian day of 1970-01-01.
pub(crate) const EPOCH_JULIAN_DAY: i64 = 2_440_588;

/// PostgreSQL's calendar begins with this day.
pub(crate) const FIRST_DAY: i64 = Civil { year: -4713, month: 11, day: 24 }.days();
/// The first day that is no `date` any more.
pub(crate) const END_OF_DATES: i64 = Civil { year: 5_874_898, month: 1, day: 1 }.days();

/// A day by year, month and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
}

// Both directions count in eras of 400 years that begin on March 1st, so that a leap day is the last of its year.
impl Civil {
    /// The day that is so many days after 1970-01-01.
    pub(crate) fn of_days(days: i64) -> Civil {
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        Civil { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    /// Days after 1970-01-01.
    pub(crate) const fn days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let shifted_month = (self.month + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// Whether there is such a day.
    pub(crate) fn exists(self) -> bool {
        (1..=12).contains(&self.month) && (1..=month_length(self.year, self.month)).contains(&self.day)
    }

    /// Days after 1970-01-01, if there is such a day.
    pub(crate) fn existing_days(self) -> Option<i64> {
        self.exists().then(|| self.days())
    }

    /// The day so many months later, or the last of that month when it has no such day.
    pub(crate) fn add_months(self, months: i64) -> Civil {
        let counted = self.year * 12 + self.month - 1 + months;
        let (year, month) = (counted.div_euclid(12), counted.rem_euclid(12) + 1);
        Civil { year, month, day: self.day.min(month_length(year, month)) }
    }
}

pub(crate) fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

pub(crate) fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 1 is Monday, 7 is Sunday.
pub(crate) fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// The ISO year and week a day belongs to: those of its Thursday.
pub(crate) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days + 4 - iso_weekday(days);
    let year = Civil::of_days(thursday).year;
    let first = Civil { year, month: 1, day: 1 }.days();
    (year, (thursday - first) / 7 + 1)
}

/// The day and the time of day of a point in time in microseconds.
pub(crate) fn split(micros: i64) -> (i64, i64) {
    (micros.div_euclid(DAY), micros.rem_euclid(DAY))
}

/// Whether PostgreSQL has such a date.
pub(crate) fn is_date(days: i64) -> bool {
    (FIRST_DAY..END_OF_DATES).contains(&days)
}

/// The point in time of a time of day on a day; `None` where a timestamp cannot be.
pub(crate) fn at(days: i64, time: i64) -> Option<i64> {
    days.checked_mul(DAY)?.checked_add(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_belong_together() {
        for days in (-2_000_000..2_000_000).step_by(37) {
            let civil = Civil::of_days(days);
            assert!(civil.exists(), "{civil:?}");
            assert_eq!(civil.existing_days(), Some(days));
        }
        assert_eq!(Civil::of_days(0), Civil { year: 1970, month: 1, day: 1 });
        assert_eq!(Civil::of_days(FIRST_DAY), Civil { year: -4713, month: 11, day: 24 });
        assert_eq!(Civil { year: 2024, month: 2, day: 29 }.add_months(12), Civil { year: 2025, month: 2, day: 28 });
        assert_eq!(iso_week(Civil { year: 2021, month: 1, day: 3 }.days()), (2020, 53));
    }

    #[test]
    fn days_that_are_not_are_none() {
        for (year, month, day) in
            [(2023, 2, 29), (1900, 2, 29), (2024, 4, 31), (2024, 13, 1), (2024, 0, 1), (2024, 1, 0)]
        {
            assert_eq!(Civil { year, month, day }.existing_days(), None);
        }
    }
}
