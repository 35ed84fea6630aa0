//! Values as programs write them, in text and in numbers: read into typed values, and dates written back.
//!
//! Pure functions that know no source and no protocol: rows of sources, filters and parameters are read by the same
//! rules. They are those of PostgreSQL's input functions, and a form that could mean two things is never guessed.
//! What a caller may decide (whether digits may be rounded away, whether an offset moves the clock) is its argument.

pub(crate) mod calendar;
pub(crate) mod decimal;
pub(crate) mod epoch;
pub(crate) mod scan;
pub(crate) mod timestamp;
mod worded;

/// A truth value: any beginning of `true`, `false`, `yes` and `no`, `on`, `off` and `of`, `1` and `0`, in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    let text = text.trim();
    let begins =
        |word: &str| !text.is_empty() && word.get(..text.len()).is_some_and(|it| it.eq_ignore_ascii_case(text));
    let on_or_off = text.len() >= 2;
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if begins("true") || begins("yes") || on_or_off && begins("on") => Some(true),
        _ if begins("false") || begins("no") || on_or_off && begins("off") => Some(false),
        _ => None,
    }
}

/// An integer in decimal digits, with a sign or without; `None` for anything else, however large the integer.
pub(crate) fn integer(text: &str) -> Option<i128> {
    text.trim().parse().ok()
}

/// A double in decimal digits, with an exponent or without, or `NaN`, `Infinity`, `inf` in any case. A finite number
/// that no double is near to is `None`.
pub(crate) fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    let value: f64 = text.parse().ok()?;
    let named = text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    (value.is_finite() || value.is_nan() || named).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truths_are_words_and_their_beginnings() {
        for text in ["t", "tr", "TRUE", "y", "Yes", "on", "1", " true "] {
            assert_eq!(boolean(text), Some(true), "{text}");
        }
        for text in ["f", "False", "n", "NO", "of", "off", "0", "fals"] {
            assert_eq!(boolean(text), Some(false), "{text}");
        }
        for text in ["", " ", "o", "2", "truee", "yess", "nope", "é", "-1", "01"] {
            assert_eq!(boolean(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_decimal_digits() {
        assert_eq!(integer(" -42\n"), Some(-42));
        assert_eq!(integer("+9223372036854775808"), Some(1 << 63));
        for text in ["", "1.0", "1e3", "0x10", "1 2", "４"] {
            assert_eq!(integer(text), None, "{text}");
        }
        assert_eq!(float(" 1.5e3 "), Some(1500.0));
        assert_eq!(float("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(float("nan").is_some_and(f64::is_nan));
        for text in ["", "1e999", "-1e999", "0x1p3", "1,5", "infinite"] {
            assert_eq!(float(text), None, "{text}");
        }
    }
}
