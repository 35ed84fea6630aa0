//! The words of a query string, as PostgREST writes them: lists in brackets, names and values in quotes, tests.
//!
//! ```text
//! lt.10   not.in.(1,2,"a,b")   is.not_null   like(any).{a*,b*}   isdistinct.5   match.^a
//! and(price.gt.10,or(stock.eq.0,not.name.like.*x*))
//! ```

use super::condition::{Operator, Test};
use super::pattern::{Expression, Pattern};
use super::value::parse_text;
use crate::change::DataType;

/// The most values of a list.
const MAX_LISTED: usize = 1000;

const OPERATORS: &str = "eq, neq, gt, gte, lt, lte, in, is, isdistinct, like, ilike, match, imatch, with not. before \
                         them, and (any) or (all) behind those that compare";

/// The parts of `text` between commas, but not between those in quotes or brackets.
pub(crate) fn split_list(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let mut chars = text.char_indices();
    while let Some((at, it)) = chars.next() {
        match it {
            '"' => skip_quoted(&mut chars).ok_or_else(|| format!("a quote is not closed in {text}"))?,
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.checked_sub(1).ok_or_else(|| format!("a bracket is not opened in {text}"))?,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err(format!("a bracket is not closed in {text}"));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// Where the first `sign` outside of quotes is.
pub(crate) fn find_unquoted(text: &str, sign: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    while let Some((at, it)) = chars.next() {
        if text[at..].starts_with(sign) {
            return Some(at);
        }
        if it == '"' {
            skip_quoted(&mut chars)?;
        }
    }
    None
}

fn skip_quoted(chars: &mut impl Iterator<Item = (usize, char)>) -> Option<()> {
    loop {
        match chars.next()?.1 {
            '"' => return Some(()),
            '\\' => _ = chars.next()?,
            _ => {}
        }
    }
}

/// What stands in double quotes, where `\` takes the next character as it is; any other text as it is.
pub(crate) fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')) else { return text.into() };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(it) = chars.next() {
        out.push(if it == '\\' { chars.next().unwrap_or('\\') } else { it });
    }
    out
}

/// What stands between brackets, if `text` is that.
pub(crate) fn bracketed(text: &str) -> Option<&str> {
    text.strip_prefix('(').and_then(|it| it.strip_suffix(')'))
}

/// Reads `operator.value` for a column of `data_type`. Inside of `and(…)` and `or(…)` a value may be in quotes.
pub(crate) fn parse_test(text: &str, data_type: DataType, in_list: bool) -> Result<Test, String> {
    let (operator, value) = text
        .split_once('.')
        .ok_or_else(|| format!("a filter is written operator.value, not \"{text}\"; the operators are {OPERATORS}"))?;
    if operator == "not" {
        // More than one `not.` would only be a way to nest without end.
        return match value.starts_with("not.") {
            true => Err("not. stands once".into()),
            false => Ok(Test::Not(Box::new(parse_test(value, data_type, in_list)?))),
        };
    }
    if let Some((operator, which)) = operator.strip_suffix(')').and_then(|it| it.split_once('(')) {
        let tests = quantified(operator, value, data_type)?;
        return match which {
            "any" => Ok(Test::Any(tests)),
            "all" => Ok(Test::All(tests)),
            _ => Err(format!("{operator}({which}) is neither {operator}(any) nor {operator}(all)")),
        };
    }
    match operator {
        "in" => {
            let values = listed(value, '(', ')').ok_or_else(|| list_form("in", value, "in.(1,2)"))??;
            values.iter().map(|it| parse_text(it, data_type)).collect::<Result<_, _>>().map(Test::In)
        }
        "is" => parse_is(value, data_type),
        _ if in_list => simple(operator, &unquoted(value), data_type),
        _ => simple(operator, value, data_type),
    }
}

/// A test of a cell with one value.
fn simple(operator: &str, value: &str, data_type: DataType) -> Result<Test, String> {
    let compare = |operator| Ok(Test::Compare(operator, parse_text(value, data_type)?));
    let text_only = || match data_type {
        DataType::Text => Ok(()),
        _ => Err(format!("{operator} is for text, not for type {data_type}")),
    };
    match operator {
        "eq" => compare(Operator::Equal),
        "neq" => compare(Operator::NotEqual),
        "gt" => compare(Operator::Greater),
        "gte" => compare(Operator::GreaterOrEqual),
        "lt" => compare(Operator::Less),
        "lte" => compare(Operator::LessOrEqual),
        "isdistinct" => parse_text(value, data_type).map(Test::Distinct),
        "like" | "ilike" => {
            text_only()?;
            Ok(Test::Like(Pattern::new(&value.replace('*', "%"), operator == "ilike")))
        }
        "match" | "imatch" => {
            text_only()?;
            Expression::new(value, operator == "imatch").map(Test::Match)
        }
        "cs" | "cd" | "ov" | "sl" | "sr" | "nxr" | "nxl" | "adj" => {
            Err(format!("{operator} is for arrays and ranges, which no column here is"))
        }
        "fts" | "plfts" | "phfts" | "wfts" => {
            Err(format!("{operator}: there is no full text search; use ilike or imatch"))
        }
        _ => Err(format!("unknown operator \"{operator}\"; the operators are {OPERATORS}")),
    }
}

/// The tests of `operator(any).{a,b}`.
fn quantified(operator: &str, value: &str, data_type: DataType) -> Result<Vec<Test>, String> {
    if !["eq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch"].contains(&operator) {
        return Err(format!("{operator} takes neither (any) nor (all)"));
    }
    let example = format!("{operator}(any).{{1,2}}");
    let values = listed(value, '{', '}').ok_or_else(|| list_form(operator, value, &example))??;
    values.iter().map(|it| simple(operator, it, data_type)).collect()
}

fn list_form(operator: &str, got: &str, example: &str) -> String {
    format!("{operator} takes a list in brackets, like {example}, not \"{got}\"")
}

/// The values of `(1,2,"a,b")`, between these brackets; `None` where there are none.
fn listed(text: &str, open: char, close: char) -> Option<Result<Vec<String>, String>> {
    let inner = text.strip_prefix(open)?.strip_suffix(close)?;
    if inner.is_empty() {
        return Some(Ok(Vec::new()));
    }
    Some(values(inner))
}

fn values(inner: &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    let mut rest = inner;
    loop {
        let end = match rest.starts_with('"') {
            true => {
                let mut chars = rest.char_indices().skip(1);
                skip_quoted(&mut chars).ok_or_else(|| format!("a quote is not closed in {inner}"))?;
                chars.next().map_or(rest.len(), |(at, _)| at)
            }
            false => rest.find(',').unwrap_or(rest.len()),
        };
        values.push(unquoted(&rest[..end]));
        if values.len() > MAX_LISTED {
            return Err(format!("a list may have at most {MAX_LISTED} values"));
        }
        match rest[end..].chars().next() {
            None => return Ok(values),
            Some(',') => rest = &rest[end + 1..],
            Some(it) => return Err(format!("\"{it}\" stands behind a quote in {inner}, where a comma is wanted")),
        }
    }
}

fn parse_is(value: &str, data_type: DataType) -> Result<Test, String> {
    match value {
        "null" => Ok(Test::IsNull),
        "not_null" => Ok(Test::Not(Box::new(Test::IsNull))),
        "true" | "false" | "unknown" if data_type != DataType::Boolean => {
            Err(format!("is.{value} is for booleans, not for type {data_type}"))
        }
        "true" => Ok(Test::Is(true)),
        "false" => Ok(Test::Is(false)),
        "unknown" => Ok(Test::IsNull),
        _ => Err(format!("is.{value} is not one of is.null, is.not_null, is.true, is.false, is.unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_of_quotes_and_brackets() {
        assert_eq!(split_list("a,b").unwrap(), ["a", "b"]);
        assert_eq!(split_list("a.in.(1,2),or(b,c),\"d,\\\"e\"").unwrap(), ["a.in.(1,2)", "or(b,c)", "\"d,\\\"e\""]);
        assert_eq!(split_list("").unwrap(), [""]);
        for broken in ["(a", "a)", "\"a", "\"a\\"] {
            assert!(split_list(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn values_in_lists_may_be_quoted() {
        assert_eq!(values("1,\"a,b\",\"c\\\"d\",").unwrap(), ["1", "a,b", "c\"d", ""]);
        assert!(values("\"a\"b").is_err());
        assert!(values("\"a").is_err());
        assert_eq!(listed("()", '(', ')').unwrap().unwrap(), Vec::<String>::new());
        assert!(listed("1,2", '(', ')').is_none());
    }
}
