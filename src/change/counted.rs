//! Counts in messages: "1 row", "2 rows", "10,000 indexes".

/// `count` of what one is called `noun`, with its digits in groups of three.
pub fn counted(count: usize, noun: &str) -> String {
    let digits = grouped(count);
    if count == 1 {
        return format!("{digits} {noun}");
    }
    match noun.strip_suffix('y') {
        // A vowel in front of it keeps the y: "days", "keys".
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{digits} {stem}ies"),
        _ if noun.ends_with(['s', 'x']) => format!("{digits} {noun}es"),
        _ => format!("{digits} {noun}s"),
    }
}

/// `count` with its digits in groups of three.
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_right() {
        for (count, noun, expected) in [
            (0, "row", "0 rows"),
            (1, "row", "1 row"),
            (1_000, "key", "1,000 keys"),
            (2, "query", "2 queries"),
            (12_345_678, "index", "12,345,678 indexes"),
            (999, "day", "999 days"),
        ] {
            assert_eq!(counted(count, noun), expected);
        }
    }
}
