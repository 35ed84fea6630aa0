//! Functions and operators of dates, times and intervals.

use super::cell::{Cell, Kind, Output};
use super::extract::source;
use super::overload::{Function, Overload, Run};
use crate::change::text::calendar::{Civil, DAY, HOUR, MINUTE, at};
use crate::change::text::scan::micros;
use crate::dialect::value::interval::Interval;
use crate::dialect::value::part::{as_double, part};
use crate::dialect::value::zone::Zone;
use crate::dialect::value::{Failure, age, moment, truncate};

type Result = std::result::Result<Output, Failure>;

use Kind::{Date, Float64, Int32, Int64, Text, Timestamp, TimestampTz};

const INTERVAL: Kind = Kind::Interval;
const ORDER: Kind = Kind::Numeric { precision: 38, scale: 0 };

const fn overload(takes: &'static [Kind], gives: Kind, run: Run) -> Overload {
    Overload { takes, gives, run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "date_trunc",
        overloads: &[
            overload(&[Text, Timestamp], Timestamp, |it| {
                truncate::timestamp(it[0].text(), it[1].int(), "timestamp without time zone").map(Output::Int)
            }),
            overload(&[Text, TimestampTz], TimestampTz, |it| {
                truncate::timestamp(it[0].text(), it[1].int(), "timestamp with time zone").map(Output::Int)
            }),
            overload(&[Text, INTERVAL], INTERVAL, |it| {
                truncate::interval(it[0].text(), it[1].interval()).map(Output::Interval)
            }),
            overload(&[Text, TimestampTz, Text], TimestampTz, truncate_in_zone),
        ],
    },
    Function {
        name: "date_bin",
        overloads: &[
            overload(&[INTERVAL, Timestamp, Timestamp], Timestamp, bin),
            overload(&[INTERVAL, TimestampTz, TimestampTz], TimestampTz, bin),
        ],
    },
    Function {
        name: "date_part",
        overloads: &[
            // Of a date, date_part is that of midnight, where extract knows no hours.
            overload(&[Text, Date], Float64, |it| part_of(&[it[0], Cell::Int(midnight(it[1].int())?)], Timestamp)),
            overload(&[Text, Timestamp], Float64, |it| part_of(it, Timestamp)),
            overload(&[Text, TimestampTz], Float64, |it| part_of(it, TimestampTz)),
            overload(&[Text, INTERVAL], Float64, |it| part_of(it, INTERVAL)),
        ],
    },
    Function {
        name: "timezone",
        overloads: &[
            overload(&[Text, Timestamp], TimestampTz, |it| {
                Zone::named(it[0].text())?.instant(it[1].int()).map(Output::Int)
            }),
            overload(&[Text, TimestampTz], Timestamp, |it| {
                Zone::named(it[0].text())?.local(it[1].int()).map(Output::Int)
            }),
        ],
    },
    Function {
        name: "make_date",
        overloads: &[overload(&[Int32, Int32, Int32], Date, |it| made_date(it).map(Output::Int))],
    },
    Function {
        name: "make_timestamp",
        overloads: &[overload(&[Int32, Int32, Int32, Int32, Int32, Float64], Timestamp, |it| {
            made_timestamp(it).map(Output::Int)
        })],
    },
    Function {
        name: "make_timestamptz",
        overloads: &[
            overload(&[Int32, Int32, Int32, Int32, Int32, Float64], TimestampTz, |it| {
                made_timestamp(it).map(Output::Int)
            }),
            overload(&[Int32, Int32, Int32, Int32, Int32, Float64, Text], TimestampTz, |it| {
                Zone::named(it[6].text())?.instant(made_timestamp(it)?).map(Output::Int)
            }),
        ],
    },
    Function {
        name: "make_interval",
        overloads: &[
            overload(&[], INTERVAL, made_interval),
            overload(&[Int32], INTERVAL, made_interval),
            overload(&[Int32, Int32], INTERVAL, made_interval),
            overload(&[Int32, Int32, Int32], INTERVAL, made_interval),
            overload(&[Int32, Int32, Int32, Int32], INTERVAL, made_interval),
            overload(&[Int32, Int32, Int32, Int32, Int32], INTERVAL, made_interval),
            overload(&[Int32, Int32, Int32, Int32, Int32, Int32], INTERVAL, made_interval),
            overload(&[Int32, Int32, Int32, Int32, Int32, Int32, Float64], INTERVAL, made_interval),
        ],
    },
    Function {
        name: "justify_days",
        overloads: &[overload(&[INTERVAL], INTERVAL, |it| it[0].interval().justify_days().map(Output::Interval))],
    },
    Function {
        name: "justify_hours",
        overloads: &[overload(&[INTERVAL], INTERVAL, |it| it[0].interval().justify_hours().map(Output::Interval))],
    },
    Function {
        name: "isfinite",
        overloads: &[
            overload(&[Date], Kind::Boolean, |_| Ok(Output::Boolean(true))),
            overload(&[Timestamp], Kind::Boolean, |_| Ok(Output::Boolean(true))),
            overload(&[TimestampTz], Kind::Boolean, |_| Ok(Output::Boolean(true))),
            overload(&[INTERVAL], Kind::Boolean, |_| Ok(Output::Boolean(true))),
        ],
    },
    Function {
        name: "age",
        overloads: &[
            overload(&[Timestamp, Timestamp], INTERVAL, |it| {
                age::between(it[0].int(), it[1].int()).map(Output::Interval)
            }),
            overload(&[TimestampTz, TimestampTz], INTERVAL, |it| {
                age::between(it[0].int(), it[1].int()).map(Output::Interval)
            }),
        ],
    },
    // Operators.
    Function {
        name: "_moved",
        overloads: &[
            overload(&[Date, INTERVAL], Timestamp, |it| {
                moment::moved(midnight(it[0].int())?, it[1].interval()).map(Output::Int)
            }),
            overload(&[Timestamp, INTERVAL], Timestamp, |it| {
                moment::moved(it[0].int(), it[1].interval()).map(Output::Int)
            }),
            overload(&[TimestampTz, INTERVAL], TimestampTz, |it| {
                moment::moved(it[0].int(), it[1].interval()).map(Output::Int)
            }),
        ],
    },
    Function {
        name: "_moved_back",
        overloads: &[
            overload(&[Date, INTERVAL], Timestamp, |it| {
                moment::moved(midnight(it[0].int())?, it[1].interval().negated()?).map(Output::Int)
            }),
            overload(&[Timestamp, INTERVAL], Timestamp, |it| {
                moment::moved(it[0].int(), it[1].interval().negated()?).map(Output::Int)
            }),
            overload(&[TimestampTz, INTERVAL], TimestampTz, |it| {
                moment::moved(it[0].int(), it[1].interval().negated()?).map(Output::Int)
            }),
        ],
    },
    Function {
        name: "_day_moved",
        overloads: &[overload(&[Date, Int64], Date, |it| {
            moment::valid_date(it[0].int().checked_add(it[1].int())).map(Output::Int)
        })],
    },
    Function {
        name: "_day_moved_back",
        overloads: &[overload(&[Date, Int64], Date, |it| {
            moment::valid_date(it[0].int().checked_sub(it[1].int())).map(Output::Int)
        })],
    },
    Function {
        name: "_days_between",
        overloads: &[overload(&[Date, Date], Int32, |it| Ok(Output::Int(it[0].int() - it[1].int())))],
    },
    Function {
        name: "_time_between",
        overloads: &[
            overload(&[Timestamp, Timestamp], INTERVAL, between),
            overload(&[TimestampTz, TimestampTz], INTERVAL, between),
        ],
    },
    Function {
        name: "_interval_plus",
        overloads: &[overload(&[INTERVAL, INTERVAL], INTERVAL, |it| {
            it[0].interval().plus(it[1].interval()).map(Output::Interval)
        })],
    },
    Function {
        name: "_interval_minus",
        overloads: &[overload(&[INTERVAL, INTERVAL], INTERVAL, |it| {
            it[0].interval().plus(it[1].interval().negated()?).map(Output::Interval)
        })],
    },
    Function {
        name: "_interval_times",
        overloads: &[overload(&[INTERVAL, Float64], INTERVAL, |it| {
            it[0].interval().times(it[1].float()).map(Output::Interval)
        })],
    },
    Function {
        name: "_interval_divided",
        overloads: &[overload(&[INTERVAL, Float64], INTERVAL, |it| {
            it[0].interval().divided(it[1].float()).map(Output::Interval)
        })],
    },
    Function {
        name: "_interval_negative",
        overloads: &[overload(&[INTERVAL], INTERVAL, |it| it[0].interval().negated().map(Output::Interval))],
    },
    Function {
        name: "_interval_order",
        overloads: &[overload(&[INTERVAL], ORDER, |it| Ok(Output::Numeric(it[0].interval().order())))],
    },
];

fn midnight(days: i64) -> std::result::Result<i64, Failure> {
    at(days, 0).ok_or_else(|| "date out of range for timestamp".into())
}

fn truncate_in_zone(it: &[Cell<'_>]) -> Result {
    let zone = Zone::named(it[2].text())?;
    let local = truncate::timestamp(it[0].text(), zone.local(it[1].int())?, "timestamp with time zone")?;
    zone.instant(local).map(Output::Int)
}

fn bin(it: &[Cell<'_>]) -> Result {
    truncate::bin(it[0].interval(), it[1].int(), it[2].int()).map(Output::Int)
}

fn part_of(it: &[Cell<'_>], from: Kind) -> Result {
    part(it[0].text(), source(it[1], from)).map(as_double).map(Output::Float)
}

fn between(it: &[Cell<'_>]) -> Result {
    let difference = it[0].int().checked_sub(it[1].int()).ok_or("interval out of range")?;
    Interval::try_new(0, difference / DAY, difference % DAY).map(Output::Interval)
}

fn made_date(it: &[Cell<'_>]) -> std::result::Result<i64, Failure> {
    let (year, month, day) = (it[0].int(), it[1].int(), it[2].int());
    let failure = || format!("date field value out of range: {year}-{month:02}-{day:02}");
    // Years before Christ are counted from -1 on.
    let counted = if year < 0 { year + 1 } else { year };
    let days = Civil { year: counted, month, day }.existing_days();
    days.filter(|_| year != 0).ok_or_else(failure)
}

fn made_timestamp(it: &[Cell<'_>]) -> std::result::Result<i64, Failure> {
    let days = made_date(it)?;
    let (hours, minutes, seconds) = (it[3].int(), it[4].int(), it[5].float());
    let inside = (0..=24).contains(&hours) && (0..60).contains(&minutes) && (0.0..=60.0).contains(&seconds);
    let time = hours * HOUR + minutes * MINUTE + micros(seconds);
    if !inside || time > DAY {
        return Err(format!("time field value out of range: {hours}:{minutes:02}:{seconds}"));
    }
    at(days, time).ok_or_else(|| "timestamp out of range".into())
}

fn made_interval(it: &[Cell<'_>]) -> Result {
    let part = |at: usize| it.get(at).map_or(0, |it| it.int());
    let seconds = it.get(6).map_or(0.0, |it| it.float());
    if !seconds.is_finite() || seconds.abs() > 9e12 {
        return Err("interval out of range".into());
    }
    let time = part(4) * HOUR + part(5) * MINUTE + micros(seconds);
    Interval::try_new(part(0) * 12 + part(1), part(2) * 7 + part(3), time).map(Output::Interval)
}
