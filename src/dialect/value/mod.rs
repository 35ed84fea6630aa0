//! What only PostgreSQL does with values, over `change::text`: intervals, zones by name, fields of times, patterns, and its
//! words where there is no value. One kind of value a file, nothing of Arrow or plans.

pub(super) mod age;
pub(super) mod bytes;
pub(super) mod interval;
pub(super) mod moment;
pub(super) mod number;
pub(super) mod part;
pub(super) mod pattern;
mod pattern_syntax;
pub(super) mod truncate;
pub(super) mod unit;
pub(super) mod zone;

/// Why there is no value, in PostgreSQL's words where it has some.
pub(super) type Failure = String;

/// The SQLSTATE of a failure, by PostgreSQL's words for it.
pub(super) fn code_of(failure: &str) -> &'static str {
    const CODES: [(&str, &str); 15] = [
        ("not supported", "0A000"),
        ("regular expression is too complex", "54000"),
        ("invalid regular expression", "2201B"),
        ("invalid input syntax for type date", "22007"),
        ("invalid input syntax for type time", "22007"),
        ("invalid input syntax for type interval", "22007"),
        ("invalid input syntax", "22P02"),
        ("division by zero", "22012"),
        ("date out of range", "22008"),
        ("date field value out of range", "22008"),
        ("timestamp out of range", "22008"),
        ("interval out of range", "22008"),
        ("time field value out of range", "22008"),
        ("out of range", "22003"),
        ("overflow", "22003"),
    ];
    // What else a function says of its arguments.
    CODES.iter().find(|(words, _)| failure.contains(words)).map_or("22023", |(_, code)| code)
}
