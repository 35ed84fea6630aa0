//! Numbers and truth values as text.

use super::Failure;
use crate::change::pow10;

/// From this power of ten on, and below the other, floats are written with an exponent.
const LARGE: i32 = 15;
const SMALL: i32 = -4;

fn syntax(text: &str, name: &str) -> Failure {
    format!("invalid input syntax for type {name}: \"{text}\"")
}

/// An integer of `name`'s range.
pub(in crate::dialect) fn parse_integer(text: &str, name: &str) -> Result<i64, Failure> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(syntax(text, name));
    }
    let value = trimmed.parse::<i64>().ok().filter(|it| name != "integer" || i32::try_from(*it).is_ok());
    value.ok_or_else(|| format!("value \"{text}\" is out of range for type {name}"))
}

/// A double.
pub(in crate::dialect) fn parse_double(text: &str) -> Result<f64, Failure> {
    const NAME: &str = "double precision";
    let trimmed = text.trim();
    let (sign, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    match digits.to_ascii_lowercase().as_str() {
        "nan" => return Ok(f64::NAN),
        "inf" | "infinity" => return Ok(sign * f64::INFINITY),
        _ => {}
    }
    if !digits.starts_with(|it: char| it.is_ascii_digit() || it == '.') {
        return Err(syntax(text, NAME));
    }
    let value: f64 = digits.parse().map_err(|_| syntax(text, NAME))?;
    let has_digit = digits.split(['e', 'E']).next().is_some_and(|it| it.bytes().any(|it| (b'1'..=b'9').contains(&it)));
    if value.is_infinite() || value == 0.0 && has_digit {
        return Err(format!("\"{text}\" is out of range for type {NAME}"));
    }
    Ok(sign * value)
}

/// A numeric with at most `precision` digits, `scale` of them behind the point, rounded half away from zero.
pub(in crate::dialect) fn parse_numeric(text: &str, precision: u8, scale: u8) -> Result<i128, Failure> {
    const NAME: &str = "numeric";
    let trimmed = text.trim();
    let (negative, rest) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| syntax(text, NAME))?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.to_owned() + fraction;
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(syntax(text, NAME));
    }
    let overflow = || "numeric field overflow".to_string();
    // The place of the first digit that is cut off.
    let kept = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut value: i128 = 0;
    for at in 0..kept {
        let digit = usize::try_from(at).ok().and_then(|at| digits.as_bytes().get(at)).map_or(0, |it| it - b'0');
        value = value.checked_mul(10).and_then(|it| it.checked_add(i128::from(digit))).ok_or_else(overflow)?;
        if value == 0 && at as usize > digits.len() {
            break;
        }
    }
    let next = usize::try_from(kept).ok().and_then(|at| digits.as_bytes().get(at));
    value += i128::from(next.is_some_and(|it| *it >= b'5'));
    if value >= pow10(precision) {
        return Err(overflow());
    }
    Ok(if negative { -value } else { value })
}

/// A truth value: any beginning of its words that is not the other's.
pub(in crate::dialect) fn parse_boolean(text: &str) -> Result<bool, Failure> {
    let word = text.trim().to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        return Ok(true);
    }
    if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        return Ok(false);
    }
    Err(syntax(text, "boolean"))
}

/// The shortest digits that read back the same.
pub(in crate::dialect) fn double_text(value: f64) -> String {
    if !value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return if value.is_nan() { "NaN".to_owned() } else { format!("{sign}Infinity") };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (SMALL..LARGE).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A double as a numeric, through its first 15 digits.
pub(in crate::dialect) fn double_to_numeric(value: f64, precision: u8, scale: u8) -> Result<i128, Failure> {
    if !value.is_finite() {
        return Err("NaN and infinity as a numeric are not supported".into());
    }
    parse_numeric(&format!("{value:.14e}"), precision, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_postgresql_writes_them() {
        let cases = [
            (0.1, "0.1"),
            (-0.0, "-0"),
            (100.0, "100"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1_234_567_890_123_456.7, "1.2345678901234568e+15"),
            (0.0001, "0.0001"),
            (0.000_012_3, "1.23e-05"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn numbers_are_read_as_postgresql_reads_them() {
        assert_eq!(parse_integer(" +12 ", "integer"), Ok(12));
        assert!(parse_integer("3000000000", "integer").is_err() && parse_integer("1.5", "bigint").is_err());
        assert_eq!(parse_double(" -1e3 "), Ok(-1000.0));
        assert!(parse_double("1e400").is_err() && parse_double("1e-400").is_err() && parse_double("").is_err());
        assert_eq!(parse_numeric("1.005", 10, 2), Ok(101));
        assert_eq!(parse_numeric("-1.5e2", 10, 1), Ok(-1500));
        assert_eq!(parse_numeric("1e-20", 10, 2), Ok(0));
        assert_eq!(parse_numeric("0.005", 10, 2), Ok(1));
        assert!(parse_numeric("1000", 3, 0).is_err() && parse_numeric("1e300", 38, 0).is_err());
        assert_eq!(parse_boolean(" Tr "), Ok(true));
        assert_eq!(parse_boolean("of"), Ok(false));
        assert!(parse_boolean("o").is_err() && parse_boolean("").is_err());
    }
}
