//! The names of units and fields of time, in all of PostgreSQL's spellings.

/// A unit of time, or a field of a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::dialect) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    // Fields only.
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Epoch,
    Julian,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

/// No name is looked at beyond this many bytes.
const NAME_LENGTH: usize = 10;

const NAMES: [(Unit, &[&str]); 22] = [
    (Unit::Microsecond, &["microsecon", "us", "usec", "usecond", "useconds", "usecs"]),
    (Unit::Millisecond, &["millisecon", "ms", "msec", "msecond", "mseconds", "msecs"]),
    (Unit::Second, &["s", "sec", "second", "seconds", "secs"]),
    (Unit::Minute, &["m", "min", "mins", "minute", "minutes"]),
    (Unit::Hour, &["h", "hour", "hours", "hr", "hrs"]),
    (Unit::Day, &["d", "day", "days"]),
    (Unit::Week, &["w", "week", "weeks"]),
    (Unit::Month, &["mon", "mons", "month", "months"]),
    (Unit::Quarter, &["qtr", "quarter"]),
    (Unit::Year, &["y", "year", "years", "yr", "yrs"]),
    (Unit::Decade, &["dec", "decade", "decades", "decs"]),
    (Unit::Century, &["c", "cent", "centuries", "century"]),
    (Unit::Millennium, &["mil", "millennia", "millennium", "mils"]),
    (Unit::DayOfWeek, &["dow"]),
    (Unit::IsoDayOfWeek, &["isodow"]),
    (Unit::DayOfYear, &["doy"]),
    (Unit::IsoYear, &["isoyear"]),
    (Unit::Epoch, &["epoch"]),
    (Unit::Julian, &["j", "jd", "julian"]),
    (Unit::Timezone, &["timezone"]),
    (Unit::TimezoneHour, &["timezone_h"]),
    (Unit::TimezoneMinute, &["timezone_m"]),
];

impl Unit {
    /// The unit or field of this name.
    pub(in crate::dialect) fn named(name: &str) -> Option<Unit> {
        let mut name = name.to_ascii_lowercase();
        if name.len() > NAME_LENGTH && name.is_char_boundary(NAME_LENGTH) {
            name.truncate(NAME_LENGTH);
        }
        NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(unit, _)| *unit)
    }

    /// Whether a time can be counted in it.
    pub(in crate::dialect) fn is_length(self) -> bool {
        self <= Unit::Millennium
    }
}
