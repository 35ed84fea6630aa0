//! The sentences of DataFusion and Arrow that users can bring about, and what PostgreSQL would say; `phrases.txt`.
//!
//! In a sentence of theirs `{}` stands for any text, as short as possible. In ours a number in braces stands for what was
//! found there, and what is behind it for how it is written: `t` as an SQL type, `s` as a function's signature, `n` as a
//! name without its table, `l` as a list of types, `k` as a keyword, `q` as a column or what else can be grouped by,
//! `#noun` as a count of them. `=` is the sentence as it is.

use std::sync::LazyLock;

use super::Told;
use super::missing::missing_function;
use super::types::{signature, sql_type, sql_types};
use crate::change::counted;

/// How many characters of a value are shown.
const SHOWN: usize = 100;

#[derive(Debug)]
struct Phrase {
    theirs: &'static str,
    code: &'static str,
    ours: &'static str,
    hint: &'static str,
}

/// What stands in the place of our words where theirs are good: they are PostgreSQL's.
const AS_IT_IS: &str = "=";

static PHRASES: LazyLock<Vec<Phrase>> = LazyLock::new(|| read(include_str!("phrases.txt")));

/// Reads the table: what is not indented is theirs.
fn read(text: &'static str) -> Vec<Phrase> {
    let mut phrases: Vec<Phrase> = Vec::new();
    for line in text.lines().filter(|it| !it.is_empty() && !it.starts_with('#')) {
        match (line.strip_prefix("    "), phrases.last_mut()) {
            (None, _) => phrases.push(Phrase { theirs: line, code: "", ours: "", hint: "" }),
            (Some(ours), Some(phrase)) => match ours.strip_prefix("-> ") {
                Some(hint) => phrase.hint = hint,
                None => (phrase.code, phrase.ours) = ours.split_once(' ').expect("an SQLSTATE stands in front"),
            },
            (Some(_), None) => unreachable!("the table begins with a sentence of theirs"),
        }
    }
    phrases
}

/// What we say where they say `text`, if it is one of the sentences known.
pub(super) fn translated(text: &str) -> Option<Told> {
    // What was done when the error was met stands in front of it.
    const DOING: [&str; 8] = [
        "Error during planning: ",
        "Execution error: ",
        "External error: ",
        "Arrow error: ",
        "Compute error: ",
        "Cast error: ",
        "Parser error: ",
        "Invalid argument error: ",
    ];
    let mut text = text.trim();
    while let Some(inner) = DOING.iter().find_map(|it| text.strip_prefix(it)) {
        text = inner;
    }
    if let Some(found) = holes("Invalid function '{}'.{}", text) {
        return Some(missing_function(found[0]));
    }
    PHRASES.iter().find_map(|phrase| {
        let found = holes(phrase.theirs, text)?;
        let ours = if phrase.ours == AS_IT_IS { shortened(text, 4 * SHOWN) } else { filled(phrase.ours, &found) };
        let told = Told::new(phrase.code, ours);
        let told = if phrase.hint.is_empty() { told } else { told.hint(filled(phrase.hint, &found)) };
        if ["22P02", "22007"].contains(&phrase.code) && !found.is_empty() {
            // Where it is a constant of the statement, that is the place.
            let constant = if phrase.ours == AS_IT_IS { found[found.len() - 1] } else { found[0] };
            return Some(told.at_words(format!("'{}'", constant.replace('\'', "''"))));
        }
        Some(match phrase.code {
            // The first thing found is the name that is missing.
            "42883" | "42P01" | "42803" => told.at_words(words(&found)),
            _ => match keywords(phrase.ours) {
                "" => told,
                keywords => told.at_words(keywords),
            },
        })
    })
}

/// The keywords a message begins with: it is about them.
fn keywords(ours: &str) -> &str {
    let lower = ours.find(|it: char| !it.is_ascii_uppercase() && it != ' ').unwrap_or(ours.len());
    // The last one may be the first letter of a word.
    let end = if lower == ours.len() { lower } else { ours[..lower].rfind(' ').unwrap_or(0) };
    ours[..end].trim()
}

/// The name a message is about, as it stands in the statement.
fn words(found: &[&str]) -> String {
    let name = found.iter().rev().find(|it| it.contains('.')).or(found.first()).unwrap_or(&"");
    name.split('(').next().unwrap_or("").trim_matches('"').into()
}

/// What stands in the places of `{}`; `None` where `text` is another sentence.
fn holes<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next().unwrap_or(""))?;
    let mut parts = parts.peekable();
    let mut found = Vec::new();
    while let Some(part) = parts.next() {
        let at = match (part, parts.peek()) {
            ("", None) => rest.len(),
            // The last part ends the sentence.
            (part, None) => rest.len().checked_sub(part.len()).filter(|at| rest.is_char_boundary(*at))?,
            // A type with brackets is one thing, whatever stands in it.
            (part, Some(_)) => {
                let mut places = rest.match_indices(part).map(|(at, _)| at);
                let first = places.next()?;
                std::iter::once(first).chain(places).find(|at| is_balanced(&rest[..*at])).unwrap_or(first)
            }
        };
        let (hole, behind) = rest.split_at(at);
        rest = behind.strip_prefix(part)?;
        found.push(hole);
    }
    rest.is_empty().then_some(found)
}

fn is_balanced(text: &str) -> bool {
    text.matches('(').count() == text.matches(')').count()
}

/// `template` with what was `found` put in its places.
fn filled(template: &str, found: &[&str]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, place)) = rest.split_once('{') {
        out += before;
        let Some((place, behind)) = place.split_once('}') else { break };
        let digits = place.trim_end_matches(|it: char| it == '#' || it.is_ascii_lowercase());
        match digits.parse::<usize>().ok().and_then(|at| found.get(at)) {
            Some(found) => out += &written(found, &place[digits.len()..]),
            // Braces of the text itself.
            None => out += &format!("{{{place}}}"),
        }
        rest = behind;
    }
    out + rest
}

fn written(found: &str, how: &str) -> String {
    match how {
        "t" => sql_type(found),
        "s" => signature(found),
        "l" => sql_types(found),
        "n" => found.rsplit('.').next().unwrap_or(found).trim_matches('"').into(),
        "q" => match found.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.\"".contains(&it)) {
            true => format!("column \"{}\"", found.replace('"', "")),
            false => "an expression".into(),
        },
        "k" => found.split(['(', ' ']).next().unwrap_or(found).to_lowercase(),
        _ => match (how.strip_prefix('#'), found.parse()) {
            (Some(noun), Ok(count)) => counted(count, noun),
            (Some(noun), Err(_)) => format!("{found} {noun}s"),
            (None, _) => shortened(found, SHOWN),
        },
    }
}

/// Values are shown, but not at any length.
fn shortened(text: &str, shown: usize) -> String {
    match text.char_indices().nth(shown) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_translated() {
        for (theirs, code, ours) in [
            ("table 'vantage.public.nope' not found", "42P01", "relation \"nope\" does not exist"),
            ("Invalid function 'versoin'.\nDid you mean 'sign'?", "42883", "function versoin() does not exist"),
            (
                "Cannot infer common argument type for comparison operation Int64 = Utf8",
                "42883",
                "operator does not exist: bigint = text",
            ),
            (
                "No function matches the given name and argument types 'lower(Int64)'. You might need",
                "42883",
                "function lower(bigint) does not exist",
            ),
            (
                "Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column \
                 \"t.id\" must appear in the GROUP BY clause or must be part of an aggregate function, currently only \
                 \"count(*)\" appears in the SELECT clause satisfies this requirement",
                "42803",
                "column \"t.id\" must appear in the GROUP BY clause or be used in an aggregate function",
            ),
            ("function f(bigint) does not exist", "42883", "function f(bigint) does not exist"),
            (
                "Execution error: invalid input syntax for type date: \"x\"",
                "22007",
                "invalid input syntax for type date: \"x\"",
            ),
            ("Cannot cast string 'x' to value of Int64 type", "22P02", "invalid input syntax for type bigint: \"x\""),
        ] {
            let told = translated(theirs).unwrap_or_else(|| panic!("{theirs}"));
            assert_eq!((told.code, &*told.message), (code, ours));
        }
        assert_eq!(translated("something nobody has ever said"), None);
    }

    #[test]
    fn no_sentence_of_ours_is_one_of_theirs() {
        for phrase in PHRASES.iter() {
            assert!(phrase.code.len() == 5 && !phrase.ours.is_empty(), "{phrase:?}");
            let ours = format!("{} {}", phrase.ours, phrase.hint);
            for word in ["data type Utf8", "Int64", "LogicalPlan", "coerce", "scalar subquery", "sqltorel"] {
                assert!(!ours.contains(word), "{ours}");
            }
            // A sentence of nothing but gaps would take everything.
            assert!(phrase.theirs.replace("{}", "").len() >= 3, "{}", phrase.theirs);
        }
    }
}
