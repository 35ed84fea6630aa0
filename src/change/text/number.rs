//! Truth values, integers and doubles as text.

use super::{Fault, trimmed};

/// From this power of ten on, and below the other, PostgreSQL writes doubles with an exponent.
const LARGE: i32 = 15;
const SMALL: i32 = -4;

/// A truth value: any beginning of `true`, `false`, `yes` and `no`, `on`, `off` and `of`, `1` and `0`, in any case.
pub(crate) fn boolean(text: &str) -> Result<bool, Fault> {
    let text = trimmed(text);
    let begins = |word: &str, least: usize| {
        text.len() >= least && word.get(..text.len()).is_some_and(|it| it.eq_ignore_ascii_case(text))
    };
    if text == "1" || begins("true", 1) || begins("yes", 1) || begins("on", 2) {
        return Ok(true);
    }
    if text == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2) {
        return Ok(false);
    }
    Err(Fault::Syntax)
}

/// An integer in decimal digits, with a sign or without.
pub(crate) fn integer(text: &str) -> Result<i64, Fault> {
    let text = trimmed(text);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(Fault::Syntax);
    }
    text.parse().map_err(|_| Fault::Range)
}

/// An integer that 32 bits hold.
pub(crate) fn narrow(value: i64) -> Result<i64, Fault> {
    i32::try_from(value).map(i64::from).map_err(|_| Fault::Range)
}

/// A double in decimal digits, with an exponent or without, or `NaN`, `Infinity`, `inf` in any case. A number that no
/// double is near to is out of range, one that only 0 is near to as well.
pub(crate) fn double(text: &str) -> Result<f64, Fault> {
    let text = trimmed(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let named = |word: &str| digits.eq_ignore_ascii_case(word);
    let value = if digits.starts_with(|it: char| it.is_ascii_digit() || it == '.') {
        let value: f64 = digits.parse().map_err(|_| Fault::Syntax)?;
        let mantissa = digits.bytes().take_while(|it| !matches!(it, b'e' | b'E'));
        if value.is_infinite() || value == 0.0 && mantissa.into_iter().any(|it| (b'1'..=b'9').contains(&it)) {
            return Err(Fault::Range);
        }
        value
    } else if named("nan") {
        return Ok(f64::NAN);
    } else if named("inf") || named("infinity") {
        f64::INFINITY
    } else {
        return Err(Fault::Syntax);
    };
    Ok(if negative { -value } else { value })
}

/// A double as PostgreSQL writes it: the shortest digits that read back the same.
pub(crate) fn double_text(value: f64) -> String {
    if !value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return if value.is_nan() { "NaN".to_owned() } else { format!("{sign}Infinity") };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("a number in scientific notation has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    if (SMALL..LARGE).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truths_are_words_and_their_beginnings() {
        for text in ["t", "tr", "TRUE", "y", "Yes", "on", "1", " true "] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["f", "False", "n", "NO", "of", "off", "0", "fals"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in ["", " ", "o", "2", "truee", "yess", "nope", "é", "-1", "01"] {
            assert_eq!(boolean(text), Err(Fault::Syntax), "{text}");
        }
    }

    #[test]
    fn integers_are_decimal_digits() {
        assert_eq!(integer(" -42\n"), Ok(-42));
        assert_eq!(integer("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer("+9223372036854775808"), Err(Fault::Range));
        assert_eq!(integer(&"9".repeat(100)), Err(Fault::Range));
        for text in ["", "-", "1.0", "1e3", "0x10", "1 2", "４", "\u{a0}1"] {
            assert_eq!(integer(text), Err(Fault::Syntax), "{text}");
        }
        assert_eq!((narrow(-2_147_483_648), narrow(2_147_483_648)), (Ok(-2_147_483_648), Err(Fault::Range)));
    }

    #[test]
    fn doubles_are_digits_or_have_names() {
        assert_eq!(double(" 1.5e3 "), Ok(1500.0));
        assert_eq!(double("-.5"), Ok(-0.5));
        assert_eq!(double("-Infinity"), Ok(f64::NEG_INFINITY));
        assert!(double("-nan").is_ok_and(f64::is_nan));
        assert_eq!(double("0e999"), Ok(0.0));
        for text in ["1e999", "-1e999", "1e-400"] {
            assert_eq!(double(text), Err(Fault::Range), "{text}");
        }
        for text in ["", ".", "0x1p3", "1,5", "infinite", "--1", "1 2"] {
            assert_eq!(double(text), Err(Fault::Syntax), "{text}");
        }
    }

    #[test]
    fn doubles_are_written_as_postgresql_writes_them() {
        for (value, text) in [
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
        ] {
            assert_eq!(double_text(value), text);
        }
    }
}
