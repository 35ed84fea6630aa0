//! Numbers and truth values from text, with PostgreSQL's words for what is none.

use super::Failure;
use crate::change::text::decimal::{self, Excess};
use crate::change::text::{Fault, number};

const NUMERIC: &str = "numeric";

fn syntax(text: &str, name: &str) -> Failure {
    format!("invalid input syntax for type {name}: \"{text}\"")
}

/// An integer of `name`'s range.
pub(in crate::dialect) fn parse_integer(text: &str, name: &str) -> Result<i64, Failure> {
    let value = number::integer(text).and_then(|it| if name == "integer" { number::narrow(it) } else { Ok(it) });
    value.map_err(|fault| match fault {
        Fault::Range => format!("value \"{text}\" is out of range for type {name}"),
        Fault::Syntax | Fault::Excess => syntax(text, name),
    })
}

/// A double.
pub(in crate::dialect) fn parse_double(text: &str) -> Result<f64, Failure> {
    const NAME: &str = "double precision";
    number::double(text).map_err(|fault| match fault {
        Fault::Range => format!("\"{text}\" is out of range for type {NAME}"),
        Fault::Syntax | Fault::Excess => syntax(text, NAME),
    })
}

/// A numeric with at most `precision` digits, `scale` of them behind the point, rounded half away from zero.
pub(in crate::dialect) fn parse_numeric(text: &str, precision: u8, scale: u8) -> Result<i128, Failure> {
    decimal::parse(text, precision, scale, Excess::Rounded).map_err(|fault| match fault {
        Fault::Range => "numeric field overflow".into(),
        Fault::Syntax | Fault::Excess => syntax(text, NUMERIC),
    })
}

/// A truth value.
pub(in crate::dialect) fn parse_boolean(text: &str) -> Result<bool, Failure> {
    number::boolean(text).map_err(|_| syntax(text, "boolean"))
}

/// A double as a numeric, through its first 15 digits.
pub(in crate::dialect) fn double_to_numeric(value: f64, precision: u8, scale: u8) -> Result<i128, Failure> {
    if !value.is_finite() {
        return Err(format!("NaN and infinity as a {NUMERIC} are not supported"));
    }
    decimal::from_float(value, precision, scale).map_err(|_| "numeric field overflow".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_postgresqls_words() {
        for (failure, words) in [
            (parse_integer("3000000000", "integer").err(), "value \"3000000000\" is out of range for type integer"),
            (parse_integer("1.5", "bigint").err(), "invalid input syntax for type bigint: \"1.5\""),
            (parse_double("1e400").err(), "\"1e400\" is out of range for type double precision"),
            (parse_double("").err(), "invalid input syntax for type double precision: \"\""),
            (parse_numeric("1000", 3, 0).err(), "numeric field overflow"),
            (parse_numeric("1e300", 38, 0).err(), "numeric field overflow"),
            (parse_numeric("x", 3, 0).err(), "invalid input syntax for type numeric: \"x\""),
            (parse_boolean("o").err(), "invalid input syntax for type boolean: \"o\""),
            (double_to_numeric(f64::NAN, 3, 0).err(), "NaN and infinity as a numeric are not supported"),
        ] {
            assert_eq!(failure.as_deref(), Some(words));
        }
        assert_eq!((parse_integer(" +12 ", "integer"), parse_numeric("1.005", 10, 2)), (Ok(12), Ok(101)));
    }
}
