//! Exact decimals from what SQLite stores: integers, reals and text.
//!
//! A value is taken only when no digit is lost; different stored numbers give different decimals.

use crate::change::pow10;

/// Integers from here on are no longer dense among doubles.
const DENSE: f64 = 9_007_199_254_740_992.0;

/// `value` in units of 10^-`scale`, if it has at most `precision` digits.
pub(super) fn from_integer(value: i128, precision: u8, scale: u8) -> Option<i128> {
    fit(value.checked_mul(pow10(scale))?, precision)
}

/// The decimal a real stands for: its shortest digits that read back as the same real. Where doubles are wider
/// apart than integers it is the exact value, so that it cannot meet the decimal of a stored integer.
pub(super) fn from_real(value: f64, precision: u8, scale: u8) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    if value.abs() >= DENSE {
        return if value.abs() < 1e38 { from_integer(value as i128, precision, scale) } else { None };
    }
    // The common case, two digits behind the point, without going through text.
    let scaled = value * pow10(scale) as f64;
    let rounded = scaled.round();
    if scale <= 15 && rounded.abs() < 1e15 {
        // Both operands are exact, so the quotient is the double nearest to the decimal.
        return (rounded / pow10(scale) as f64 == value).then(|| fit(rounded as i128, precision)).flatten();
    }
    from_text(&format!("{value}"), precision, scale)
}

/// A decimal written as `[+-]digits[.digits]`.
pub(super) fn from_text(text: &str, precision: u8, scale: u8) -> Option<i128> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let point = digits.iter().position(|it| *it == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or(&[]));
    if whole.is_empty() || (fraction.is_empty() && point < digits.len()) {
        return None;
    }
    let kept = fraction.len().min(usize::from(scale));
    if fraction[kept..].iter().any(|it| *it != b'0') {
        return None;
    }
    let mut units: i128 = 0;
    for byte in whole.iter().chain(&fraction[..kept]) {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        units = units.checked_mul(10)?.checked_add(digit)?;
    }
    units = units.checked_mul(pow10(scale - kept as u8))?;
    fit(if negative { -units } else { units }, precision)
}

fn fit(units: i128, precision: u8) -> Option<i128> {
    (units.abs() < pow10(precision)).then_some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost_or_invented() {
        assert_eq!(from_real(19.99, 10, 2), Some(1999));
        assert_eq!(from_real(0.1 + 0.2, 10, 2), None);
        assert_eq!(from_real(0.1 + 0.2, 38, 17), Some(30_000_000_000_000_004));
        assert_eq!(from_real(-0.5, 10, 2), Some(-50));
        assert_eq!(from_real(1.005, 10, 3), Some(1005));
        assert_eq!(from_real(1.005, 10, 2), None);
        assert_eq!(from_real(1e20, 38, 0), Some(pow10(20)));
        assert_eq!(from_real(f64::INFINITY, 38, 0), None);
        assert_eq!(from_real(123_456_789_012.34, 18, 2), Some(12_345_678_901_234));
        assert_eq!(from_integer(5, 3, 2), Some(500));
        assert_eq!(from_integer(10, 3, 2), None);
        assert_eq!(from_text("-1.50", 10, 2), Some(-150));
        assert_eq!(from_text("1.500", 10, 2), Some(150));
        for wrong in ["", "-", ".5", "5.", "1e3", "1.501", " 1", "１"] {
            assert_eq!(from_text(wrong, 10, 2), None, "{wrong}");
        }
    }
}
