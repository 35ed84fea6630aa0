//! How far a source was read.
//!
//! A log may consist of parts that are read side by side (Kafka: its partitions), each with an order of its own; there is
//! none between them. Every part counts upwards in a `u64` (a change id, an offset, a log sequence number) and has the
//! text its source's users know.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in one source's log of changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The identity of the log, so that a re-created source is noticed. It is empty before anything was read.
    pub log: String,
    /// How places in this log are written.
    pub notation: Notation,
    /// By name of the part, how far it was read. A log without parts has the one called [`Position::WHOLE`].
    pub parts: BTreeMap<String, Place>,
}

/// A place in one part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// Everything up to and including this was read; it grows with every transaction.
    pub at: u64,
    /// What else the source's kind has to know to read on from here, or to notice that the log is another one that counts
    /// alike. Nobody else looks at it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witness: Vec<i64>,
}

/// How the places of a log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notation {
    /// A decimal number.
    #[default]
    Number,
    /// PostgreSQL's form of a log sequence number: the upper and the lower 32 bits in hexadecimal, as in `0/16B3748`.
    Lsn,
}

impl Position {
    /// The name of the only part of a log that has no parts.
    pub const WHOLE: &str = "";

    /// A place in a log without parts.
    pub fn whole(log: impl Into<String>, at: u64, witness: &[i64]) -> Position {
        let place = Place { at, witness: witness.to_vec() };
        // This is made for every batch: `BTreeMap::from` sorts and builds, which costs four times as much.
        let mut parts = BTreeMap::new();
        parts.insert(Position::WHOLE.to_string(), place);
        Position { log: log.into(), notation: Notation::Number, parts }
    }

    /// Whether nothing was read yet.
    pub fn is_unread(&self) -> bool {
        self.log.is_empty()
    }

    /// How far `part` was read, if it was.
    pub fn at(&self, part: &str) -> Option<u64> {
        self.parts.get(part).map(|it| it.at)
    }

    /// The place in a log without parts.
    ///
    /// # Panics
    /// The log has parts, or was not read.
    pub fn only(&self) -> &Place {
        self.parts.get(Position::WHOLE).expect("only a log without parts is asked for the place in the whole of it")
    }

    /// Every part with its place.
    pub fn marks(&self) -> impl Iterator<Item = Mark<'_>> {
        self.parts.iter().map(|(part, place)| Mark { part, at: place.at, notation: self.notation })
    }

    /// What can be said of rows of which some stand at `self` and some at `other`: of each part the earlier place, and
    /// nothing of a part that was not read for both.
    #[must_use]
    pub fn earlier(mut self, other: &Position) -> Position {
        self.parts.retain(|name, place| match other.parts.get(name) {
            Some(known) if known.at < place.at => {
                place.clone_from(known);
                true
            }
            known => known.is_some(),
        });
        self
    }
}

impl fmt::Display for Position {
    /// Every part as [`Mark`] has it, with commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mark) in self.marks().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{mark}")?;
        }
        Ok(())
    }
}

/// One part of a position as it is written: `0:1842` is place 1842 of part 0, `1842` and `0/16B3748` are places in a log
/// without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark<'a> {
    /// The part's name; [`Position::WHOLE`] when the log has none.
    pub part: &'a str,
    /// The place in it.
    pub at: u64,
    /// How the place is written.
    pub notation: Notation,
}

impl<'a> Mark<'a> {
    /// Reads what [`fmt::Display`] writes; `None` when `text` is no such thing.
    pub fn parse(text: &'a str) -> Option<Mark<'a>> {
        let (part, place) = text.rsplit_once(':').unwrap_or((Position::WHOLE, text));
        let digits = |text: &str, valid: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|it| valid(&it));
        if let Some((high, low)) = place.split_once('/') {
            let half = |text: &str| digits(text, u8::is_ascii_hexdigit).then(|| u32::from_str_radix(text, 16).ok())?;
            let at = u64::from(half(high)?) << 32 | u64::from(half(low)?);
            return Some(Mark { part, at, notation: Notation::Lsn });
        }
        let at = digits(place, u8::is_ascii_digit).then(|| place.parse().ok())??;
        Some(Mark { part, at, notation: Notation::Number })
    }
}

impl fmt::Display for Mark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.part != Position::WHOLE {
            write!(f, "{}:", self.part)?;
        }
        match self.notation {
            Notation::Number => write!(f, "{}", self.at),
            Notation::Lsn => write!(f, "{:X}/{:X}", self.at >> 32, self.at & u64::from(u32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back_as_they_were_written() {
        let cases = [
            ("1842", Position::WHOLE, 1842, Notation::Number),
            ("0:1842", "0", 1842, Notation::Number),
            ("shop.orders-11:0", "shop.orders-11", 0, Notation::Number),
            ("18446744073709551615", Position::WHOLE, u64::MAX, Notation::Number),
            ("0/16B3748", Position::WHOLE, 0x16B_3748, Notation::Lsn),
            ("FFFFFFFF/FFFFFFFF", Position::WHOLE, u64::MAX, Notation::Lsn),
            ("1/0", Position::WHOLE, 1 << 32, Notation::Lsn),
        ];
        for (text, part, at, notation) in cases {
            let mark = Mark::parse(text).expect(text);
            assert_eq!(mark, Mark { part, at, notation }, "{text}");
            assert_eq!(mark.to_string(), text);
        }
        for text in
            ["", "x", "-1", "+1", "1.5", "0:", "0:x", "/1", "1/", "1/2/3", "1/100000000", "18446744073709551616"]
        {
            assert_eq!(Mark::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn of_two_positions_the_earlier_place_of_each_part_holds() {
        let position = |parts: &[(&str, u64)]| {
            let place = |it: &(&str, u64)| (it.0.to_string(), Place { at: it.1, witness: vec![] });
            Position { log: "l".into(), notation: Notation::Number, parts: parts.iter().map(place).collect() }
        };
        let earlier = position(&[("0", 5), ("1", 9), ("2", 1)]).earlier(&position(&[("0", 7), ("1", 3)]));
        assert_eq!(earlier, position(&[("0", 5), ("1", 3)]));
        assert_eq!(earlier.to_string(), "0:5,1:3");
        assert_eq!(Position::whole("l", 17, &[1]).to_string(), "17");
    }
}
