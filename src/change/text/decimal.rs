//! Decimals of a fixed scale as counts of 10^-scale units: from text, integers and doubles, and their text.
//!
//! No type has more than 38 digits, so that units are an `i128`; what reads as more is out of range.

use super::{Fault, trimmed};
use crate::change::pow10;

/// Powers of ten that are doubles without loss, as far as 15 digits ask for them.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// What becomes of digits behind the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// The value is refused unless they are zeros.
    Refused,
    /// The last digit kept is rounded, half away from zero, as PostgreSQL does on input.
    Rounded,
}

/// The units of `[+-]digits[.digits][e[+-]digits]`, at most `precision` digits of them.
pub(crate) fn parse(text: &str, precision: u8, scale: u8, excess: Excess) -> Result<i128, Fault> {
    let text = trimmed(text);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], digits[at + 1..].parse::<i32>().map_err(|_| Fault::Syntax)?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(Fault::Syntax);
    }
    // This many of all digits stand before the end of the scale.
    let kept = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut units: i128 = 0;
    let mut lost = false;
    let mut half = false;
    for (at, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let at = at as i64;
        if at < kept {
            let longer = units.checked_mul(10).and_then(|it| it.checked_add(i128::from(digit - b'0')));
            units = longer.ok_or(Fault::Range)?;
        } else {
            half |= at == kept && digit >= b'5';
            lost |= digit != b'0';
        }
    }
    let missing = kept - (whole.len() + fraction.len()) as i64;
    if missing > 0 {
        units = shifted(units, missing).ok_or(Fault::Range)?;
    }
    if lost && excess == Excess::Refused {
        return Err(Fault::Excess);
    }
    units = units.checked_add(i128::from(half)).ok_or(Fault::Range)?;
    fit(if negative { -units } else { units }, precision)
}

/// The units of an integer.
pub(crate) fn from_integer(value: i64, precision: u8, scale: u8) -> Result<i128, Fault> {
    rescale(i128::from(value), 0, precision, scale)
}

/// The units of the decimal that a double stands for: its first 15 significant digits, as PostgreSQL casts it, rounded
/// to the scale.
pub(crate) fn from_float(value: f64, precision: u8, scale: u8) -> Result<i128, Fault> {
    match exact_from_float(value, scale) {
        Some(units) => fit(units, precision),
        None if value.is_finite() => parse(&format!("{value:.14e}"), precision, scale, Excess::Rounded),
        None => Err(Fault::Range),
    }
}

/// The units of the decimal of at most 15 digits that a double is the nearest one to; `None` where there is none of this
/// scale. Different doubles never have the same one.
pub(crate) fn exact_from_float(value: f64, scale: u8) -> Option<i128> {
    let power = *POWERS.get(usize::from(scale))?;
    let units = (value * power).round();
    // Both operands are exact, so the quotient is the double nearest to the decimal.
    (units.abs() < 1e15 && units / power == value).then_some(units as i128)
}

/// `units` of 10^-`from` as units of 10^-`to`, rounded half away from zero, at most `precision` digits of them.
pub(crate) fn rescale(units: i128, from: i32, precision: u8, to: u8) -> Result<i128, Fault> {
    shifted(units, i64::from(to) - i64::from(from)).ok_or(Fault::Range).and_then(|it| fit(it, precision))
}

/// `value` × 10^`digits`, rounded half away from zero; `None` when it is too large.
pub(super) fn shifted(value: i128, digits: i64) -> Option<i128> {
    let power = u8::try_from(digits.unsigned_abs()).ok().filter(|it| *it <= 38).map(pow10);
    match power {
        Some(power) if digits >= 0 => value.checked_mul(power),
        Some(power) => Some(divide_rounded(value, power)),
        // No value has so many digits that one would be left, and zero stays zero.
        None => (digits < 0 || value == 0).then_some(0),
    }
}

/// `value` ÷ `divisor`, rounded half away from zero.
pub(crate) fn divide_rounded(value: i128, divisor: i128) -> i128 {
    let (quotient, remainder) = (value / divisor, value % divisor);
    let up = remainder.unsigned_abs() >= divisor.unsigned_abs() - remainder.unsigned_abs();
    quotient + if up { value.signum() } else { 0 }
}

/// `units` if they have at most `precision` digits.
pub(crate) fn fit(units: i128, precision: u8) -> Result<i128, Fault> {
    if units.unsigned_abs() < pow10(precision).unsigned_abs() { Ok(units) } else { Err(Fault::Range) }
}

/// Appends a decimal of 10^-`scale` units with all `scale` digits behind the point.
pub(crate) fn write(units: i128, scale: u8, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(units.unsigned_abs()).as_bytes();
    write_point(units < 0, digits, usize::from(scale), out);
}

/// Appends `digits`, `scale` of them behind the point.
pub(super) fn write_point(negative: bool, digits: &[u8], scale: usize, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    if scale == 0 {
        out.extend_from_slice(digits);
    } else if digits.len() > scale {
        let point = digits.len() - scale;
        out.extend_from_slice(&digits[..point]);
        out.push(b'.');
        out.extend_from_slice(&digits[point..]);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::super::text_of;
    use super::*;

    #[test]
    fn text_is_read_digit_by_digit() {
        let lossy = Err(Fault::Excess);
        for (text, refused, rounded) in [
            ("1.5", Ok(150), 150),
            ("-.05", Ok(-5), -5),
            ("5.", Ok(500), 500),
            ("1e3", Ok(100_000), 100_000),
            ("-1.5e2", Ok(-15_000), -15_000),
            ("12345e-4", lossy, 123),
            ("1.500", Ok(150), 150),
            ("0e99999", Ok(0), 0),
            (" +1 ", Ok(100), 100),
            ("1.005", lossy, 101),
            ("-1.005", lossy, -101),
            ("1.0049999", lossy, 100),
            ("0.004", lossy, 0),
            ("0.005", lossy, 1),
            ("9e-3", lossy, 1),
            ("9e-4", lossy, 0),
            ("9.999", lossy, 1000),
            ("1e-99999", lossy, 0),
            ("0.0000000000000000000000000000000000000000000001", lossy, 0),
        ] {
            assert_eq!(parse(text, 38, 2, Excess::Refused), refused, "{text}");
            assert_eq!(parse(text, 38, 2, Excess::Rounded), Ok(rounded), "{text}");
        }
        for text in ["", "-", ".", "e3", "1e", "1e99999999999", "1,5", "NaN", "0x1", "１", "1 2", "--1"] {
            assert_eq!(parse(text, 38, 2, Excess::Rounded), Err(Fault::Syntax), "{text}");
        }
        for text in ["1e999", &"9".repeat(1000), "1000000000000000000000000000000000000"] {
            assert_eq!(parse(text, 38, 2, Excess::Rounded), Err(Fault::Range), "{text}");
        }
        assert_eq!(parse("999.995", 5, 2, Excess::Rounded), Err(Fault::Range));
        assert_eq!(parse("-999.99", 5, 2, Excess::Rounded), Ok(-99_999));
    }

    #[test]
    fn doubles_are_what_postgresql_casts_them_to() {
        for (value, scale, expected) in [
            (19.99, 2, Ok(1999)),
            (-0.5, 2, Ok(-50)),
            (0.1 + 0.2, 2, Ok(30)),
            (0.1 + 0.2, 17, Ok(30_000_000_000_000_000)),
            (1.005, 2, Ok(101)),
            (2.675, 2, Ok(268)),
            (-2.675, 2, Ok(-268)),
            (1.0 / 3.0, 4, Ok(3333)),
            (1e20, 0, Ok(pow10(20))),
            (1e23, 0, Ok(pow10(23))),
            (123_456_789_012.34, 2, Ok(12_345_678_901_234)),
            (1e-300, 2, Ok(0)),
            (1e300, 2, Err(Fault::Range)),
            (f64::INFINITY, 2, Err(Fault::Range)),
            (f64::NAN, 2, Err(Fault::Range)),
        ] {
            assert_eq!(from_float(value, 38, scale), expected, "{value}");
        }
        assert_eq!(from_float(1000.0, 5, 2), Err(Fault::Range));
    }

    #[test]
    fn exact_decimals_keep_doubles_apart() {
        assert_eq!(exact_from_float(19.99, 2), Some(1999));
        assert_eq!(exact_from_float(1.005, 2), None);
        assert_eq!(exact_from_float(0.1 + 0.2, 2), None);
        assert_eq!(exact_from_float(1e20, 0), None);
    }

    #[test]
    fn another_scale_rounds_half_away_from_zero() {
        for (units, from, to, expected) in [
            (125, 2, 1, Ok(13)),
            (-125, 2, 1, Ok(-13)),
            (124, 2, 1, Ok(12)),
            (5, 0, 2, Ok(500)),
            (5, -3, 0, Ok(5000)),
            (i128::MAX, 100, 0, Ok(0)),
            (0, -100, 2, Ok(0)),
            (1, -100, 2, Err(Fault::Range)),
            (i128::MAX, 0, 0, Err(Fault::Range)),
        ] {
            assert_eq!(rescale(units, from, 38, to), expected, "{units}e-{from} to {to}");
        }
        assert_eq!((fit(99_999, 5), fit(-100_000, 5)), (Ok(99_999), Err(Fault::Range)));
    }

    #[test]
    fn all_digits_behind_the_point_are_written() {
        for (units, scale, text) in [
            (10, 2, "0.10"),
            (-5, 2, "-0.05"),
            (0, 2, "0.00"),
            (12345, 0, "12345"),
            (i128::MIN, 2, "-1701411834604692317316873037158841057.28"),
            (1, 38, "0.00000000000000000000000000000000000001"),
        ] {
            assert_eq!(text_of(|out| write(units, scale, out)), text);
        }
    }
}
