//! Patterns of text: SQL's LIKE, and regular expressions as PostgreSQL reads them.

use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// The most bytes a compiled regular expression may have.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// A pattern of SQL's LIKE, taken apart: `%` is any text, `_` one character, `\` takes the next character as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
    ignore_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Exactly(char),
}

impl Pattern {
    pub(crate) fn new(text: &str, ignore_case: bool) -> Pattern {
        let text = if ignore_case { text.to_lowercase() } else { text.to_owned() };
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(it) = chars.next() {
            tokens.push(match it {
                '%' => Token::Any,
                '_' => Token::One,
                '\\' => Token::Exactly(chars.next().unwrap_or('\\')),
                _ => Token::Exactly(it),
            });
        }
        Pattern { tokens, ignore_case }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.ignore_case { self.fits(&text.to_lowercase()) } else { self.fits(text) }
    }

    /// Linear but for backtracking to the last `%`, so a hostile pattern costs at most text × pattern steps.
    fn fits(&self, text: &str) -> bool {
        let (mut rest, mut want) = (text.chars(), 0);
        // Behind the last `%`: what is to follow it, and the text it may not have taken yet.
        let mut retry: Option<(usize, Chars<'_>)> = None;
        loop {
            if self.tokens.get(want) == Some(&Token::Any) {
                want += 1;
                retry = Some((want, rest.clone()));
                continue;
            }
            let Some(it) = rest.next() else { break };
            match self.tokens.get(want) {
                Some(Token::One) => want += 1,
                Some(Token::Exactly(exactly)) if *exactly == it => want += 1,
                _ => {
                    let Some((after, from)) = &mut retry else { return false };
                    from.next();
                    (want, rest) = (*after, from.clone());
                }
            }
        }
        self.tokens[want..].iter().all(|it| *it == Token::Any)
    }
}

/// A regular expression: `~`, or `~*` when it ignores case. It takes time linear in the text, whatever it is.
#[derive(Debug, Clone)]
pub(crate) struct Expression(Regex);

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Expression {
    /// Reads `text`; what PostgreSQL would read in another way is refused.
    pub(crate) fn new(text: &str, ignore_case: bool) -> Result<Expression, String> {
        if let Some(part) = foreign_part(text) {
            return Err(format!("\"{part}\" in the regular expression \"{text}\" is not supported"));
        }
        // PostgreSQL's `.` is any character, a new line too; `^` and `$` are the ends of the text.
        let built = RegexBuilder::new(text)
            .case_insensitive(ignore_case)
            .dot_matches_new_line(true)
            .size_limit(MAX_COMPILED_BYTES)
            .build();
        match built {
            Ok(it) => Ok(Expression(it)),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(format!("the regular expression \"{text}\" is too large: shorten its repetitions"))
            }
            Err(_) => Err(format!("\"{text}\" is not a regular expression")),
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// The first part of `text` that PostgreSQL does not know or reads in another way: of escapes only classes of characters
/// and signs taken as they are mean the same, of groups only plain ones and `(?:…)`.
fn foreign_part(text: &str) -> Option<&str> {
    let mut in_class = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, it)) = chars.next() {
        match it {
            '\\' => {
                let (behind, escaped) = chars.next()?;
                let plain = matches!(escaped, 'd' | 'w' | 's' | 'n' | 't' | 'r')
                    || matches!(escaped, 'D' | 'W' | 'S' | 'A') && !in_class
                    || escaped.is_ascii_punctuation() && !matches!(escaped, '<' | '>');
                if !plain {
                    return Some(&text[at..behind + escaped.len_utf8()]);
                }
            }
            '(' if !in_class && text[at + 1..].starts_with('?') && !text[at + 1..].starts_with("?:") => {
                return Some("(?");
            }
            // `*?` prefers less and matches the same texts; `*+` is two repetitions for both.
            '[' if !in_class => {
                in_class = true;
                // A bracket right behind the opening one is a member.
                let mut open = chars.clone();
                let _ = open.next_if(|(_, it)| *it == '^');
                if open.next_if(|(_, it)| *it == ']').is_some() {
                    return Some("[]");
                }
            }
            ']' => in_class = false,
            '[' if text[at..].starts_with("[:") => {
                let class = text[at..].find(":]")?;
                while chars.next_if(|(place, _)| *place < at + class + 2).is_some() {}
            }
            '[' => return Some("["),
            // Where no count follows it is a sign like others.
            '{' if !in_class && !chars.peek().is_some_and(|(_, next)| next.is_ascii_digit()) => return Some("{"),
            '&' | '-' | '~' if in_class && chars.peek().is_some_and(|(_, next)| *next == it) => {
                return Some(&text[at..at + 2]);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_as_in_sql() {
        let cases = [
            ("", "", true),
            ("", "%", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("aXbXc", "a%X%c", true),
            ("100%", "100\\%", true),
            ("1000", "100\\%", false),
            ("éa", "_a", true),
            ("mississippi", "m%iss%ip%", true),
            ("mississippi", "m%iss%iss%iss%", false),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(Pattern::new(pattern, false).matches(text), expected, "{text} LIKE {pattern}");
        }
        let text = "a".repeat(20_000);
        assert!(!Pattern::new(&format!("{}b", "%a".repeat(50)), false).matches(&text));
        assert!(Pattern::new("%É_", true).matches("né!"));
    }

    #[test]
    fn regular_expressions_as_in_postgresql() {
        for (text, expression, expected) in [
            ("abc", "b", true),
            ("abc", "^b", false),
            ("a\nb", "a.b", true),
            ("a\nb", "^b", false),
            ("ab\n", "b$", false),
            ("a.c", "a\\.c", true),
            ("a1", "[[:alpha:]][[:digit:]]", true),
            ("x-y", "[a-z]-[a-z]", true),
            ("aab", "(?:a){2}b|z", true),
        ] {
            assert_eq!(Expression::new(expression, false).unwrap().matches(text), expected, "{text} ~ {expression}");
        }
        assert!(Expression::new("B", true).unwrap().matches("abc"));
        for refused in [
            "(",
            "a{1000}{1000}{1000}",
            "\\bx",
            "\\mx",
            "(?i)a",
            "(?=a)",
            "(a)\\1",
            "[a&&b]",
            "[a[b]]",
            "[]a]",
            "\\pL",
            "a{,3}",
        ] {
            assert!(Expression::new(refused, false).is_err(), "{refused}");
        }
    }
}
