//! Dates and times with the month in words, as mails, HTTP, C and JavaScript write them.
//!
//! ```text
//! Fri, 01 May 2026 21:26:35 +0200          RFC 2822; with GMT, HTTP
//! Fri May  1 21:26:35 2026                 C, with or without a zone
//! Fri May 01 2026 21:26:35 GMT+0200 (CEST) JavaScript
//! 1 May 2026    May 1, 2026                people
//! ```
//! The month is a word, the year has four digits and the day one or two, so their order does not matter.

use super::Rules;
use super::calendar::{Civil, at};
use super::scan::{Rest, Written};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// Reads such a text.
pub(super) fn worded(text: &str) -> Option<Written> {
    let mut found = Found::default();
    // What stands in brackets at the end repeats the zone for people.
    let text = text.strip_suffix(')').and_then(|it| it.rsplit_once('(')).map_or(text, |it| it.0);
    for (place, word) in text.split([' ', ',']).filter(|it| !it.is_empty()).enumerate() {
        found.take(place, word)?;
    }
    let day = Civil { year: found.year?, month: found.month?, day: found.day? }.existing_days()?;
    if found.clock.is_none() && found.offset.is_some() {
        return None;
    }
    let clock = at(day, found.clock.unwrap_or(0))?;
    Some(Written { day, clock, offset: found.offset })
}

#[derive(Default)]
struct Found {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    clock: Option<i64>,
    offset: Option<i64>,
}

impl Found {
    /// Takes one word for what it must be; `None` when it is nothing, or the second of its kind.
    fn take(&mut self, place: usize, word: &str) -> Option<()> {
        let mut rest = Rest(word.as_bytes());
        match (rest.digits(), word.len()) {
            (4, 4) => set(&mut self.year, rest.number(4, 4)?),
            (1 | 2, length) if length <= 2 => set(&mut self.day, rest.number(1, 2)?),
            (1 | 2, _) => {
                let clock = rest.clock(Rules::Programs).ok()?;
                rest.0.is_empty().then_some(())?;
                set(&mut self.clock, clock)
            }
            _ => match (named(&MONTHS, word), named(&WEEKDAYS, word)) {
                (Some(month), _) => set(&mut self.month, month as i64 + 1),
                (None, Some(_)) => (place == 0).then_some(()),
                // Here no word takes the sign of what follows for its own: this is how JavaScript writes it.
                (None, None) => {
                    let offset = word.strip_prefix("GMT").filter(|it| !it.is_empty()).unwrap_or(word);
                    let mut rest = Rest(offset.as_bytes());
                    let offset = rest.zone()??;
                    rest.0.is_empty().then_some(())?;
                    set(&mut self.offset, offset)
                }
            },
        }
    }
}

fn set(place: &mut Option<i64>, value: i64) -> Option<()> {
    place.is_none().then(|| *place = Some(value))
}

/// Which of `names` this is, whole or by its first three letters.
fn named(names: &[&str], word: &str) -> Option<usize> {
    names.iter().position(|it| it.eq_ignore_ascii_case(word) || it[..3].eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::scan::Written;
    use super::super::timestamp::timestamp;

    #[test]
    fn months_in_words_are_read_in_any_order() {
        let noon = timestamp("2024-05-01 12:00:00").and_then(Written::instant);
        for text in [
            "Wed, 01 May 2024 14:00:00 +0200",
            "Wed, 1 May 2024 12:00:00 GMT",
            "01 May 2024 12:00 UTC",
            "Wed May  1 12:00:00 2024",
            "Wed May 1 12:00:00 UTC 2024",
            "Wed May 01 2024 14:00:00 GMT+0200 (Central European Summer Time)",
            "May 1, 2024 12:00:00",
            "wednesday, may 1 2024 12:00:00.000",
        ] {
            assert_eq!(timestamp(text).and_then(Written::instant), noon, "{text}");
        }
        assert_eq!(timestamp("1 May 2024"), timestamp("2024-05-01"));
        assert_eq!(timestamp("September 30, 1999"), timestamp("1999-09-30"));
    }

    #[test]
    fn what_is_incomplete_or_said_twice_is_refused() {
        for text in [
            "May",
            "May 2024",
            "1 May",
            "May 1 24",
            "1 2 May 2024",
            "May May 1 2024",
            "31 June 2024",
            "1 Mayo 2024",
            "May 1 2024 12",
            "May 1 2024 CEST",
            "May 1 2024 UTC",
            "May 1 2024 12:00 CEST",
            "1 May 2024 Wed",
            "May 1 2024 12:00 +0200 +0200",
            "Yesterday",
            "soon",
            "May 1 2024 12:00:00x",
            "1-May-2024",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }
}
