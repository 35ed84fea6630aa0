//! Decimals of a fixed scale from text, integers and doubles, as counts of 10^-scale units.

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

/// The units of `[+-]digits[.digits][e[+-]digits]`; `None` when it is no number or too long for any decimal.
pub(crate) fn units(text: &str, scale: u8, excess: Excess) -> Option<i128> {
    let text = text.trim_ascii();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], digits[at + 1..].parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    // This many of all digits stand before the end of the scale.
    let kept = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut units: i128 = 0;
    let mut lost = false;
    let mut half = false;
    for (at, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let at = at as i64;
        if at < kept {
            units = units.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        } else {
            half |= at == kept && digit >= b'5';
            lost |= digit != b'0';
        }
    }
    let missing = kept - (whole.len() + fraction.len()) as i64;
    if units != 0 && missing > 0 {
        units = units.checked_mul(10i128.checked_pow(u32::try_from(missing).ok()?)?)?;
    }
    if lost && excess == Excess::Refused {
        return None;
    }
    units = units.checked_add(i128::from(half))?;
    Some(if negative { -units } else { units })
}

/// The units of an integer.
pub(crate) fn from_integer(value: i128, scale: u8) -> Option<i128> {
    value.checked_mul(pow10(scale))
}

/// The units of the decimal that a double stands for: its first 15 significant digits, as PostgreSQL casts it, rounded
/// to the scale.
pub(crate) fn from_float(value: f64, scale: u8) -> Option<i128> {
    match exact_from_float(value, scale) {
        Some(units) => Some(units),
        None if value.is_finite() => units(&format!("{value:.14e}"), scale, Excess::Rounded),
        None => None,
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

/// `units` if they have at most `precision` digits.
pub(crate) fn fit(units: i128, precision: u8) -> Option<i128> {
    (units.unsigned_abs() < pow10(precision).unsigned_abs()).then_some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_digit_by_digit() {
        for (text, refused, rounded) in [
            ("1.5", Some(150), Some(150)),
            ("-.05", Some(-5), Some(-5)),
            ("5.", Some(500), Some(500)),
            ("1e3", Some(100_000), Some(100_000)),
            ("12345e-4", None, Some(123)),
            ("1.500", Some(150), Some(150)),
            ("0e99999", Some(0), Some(0)),
            (" +1 ", Some(100), Some(100)),
            ("1.005", None, Some(101)),
            ("-1.005", None, Some(-101)),
            ("1.0049999", None, Some(100)),
            ("0.004", None, Some(0)),
            ("0.005", None, Some(1)),
            ("9e-3", None, Some(1)),
            ("9e-4", None, Some(0)),
            ("9.999", None, Some(1000)),
            ("1e-99999", None, Some(0)),
            ("0.0000000000000000000000000000000000000000000001", None, Some(0)),
        ] {
            assert_eq!(units(text, 2, Excess::Refused), refused, "{text}");
            assert_eq!(units(text, 2, Excess::Rounded), rounded, "{text}");
        }
        for text in ["", "-", ".", "e3", "1e", "1e999", "1e99999999999", "1,5", "NaN", "0x1", "１", "1 2", "--1"] {
            assert_eq!(units(text, 2, Excess::Rounded), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_what_postgresql_casts_them_to() {
        for (value, scale, expected) in [
            (19.99, 2, Some(1999)),
            (-0.5, 2, Some(-50)),
            (0.1 + 0.2, 2, Some(30)),
            (0.1 + 0.2, 17, Some(30_000_000_000_000_000)),
            (1.005, 2, Some(101)),
            (2.675, 2, Some(268)),
            (-2.675, 2, Some(-268)),
            (1.0 / 3.0, 4, Some(3333)),
            (1e20, 0, Some(pow10(20))),
            (1e23, 0, Some(pow10(23))),
            (123_456_789_012.34, 2, Some(12_345_678_901_234)),
            (1e-300, 2, Some(0)),
            (1e300, 2, None),
            (f64::INFINITY, 2, None),
            (f64::NAN, 2, None),
        ] {
            assert_eq!(from_float(value, scale), expected, "{value}");
        }
    }

    #[test]
    fn exact_decimals_keep_doubles_apart() {
        assert_eq!(exact_from_float(19.99, 2), Some(1999));
        assert_eq!(exact_from_float(1.005, 2), None);
        assert_eq!(exact_from_float(0.1 + 0.2, 2), None);
        assert_eq!(exact_from_float(1e20, 0), None);
        assert_eq!(fit(99_999, 5), Some(99_999));
        assert_eq!(fit(-100_000, 5), None);
    }
}
