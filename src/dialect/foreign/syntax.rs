//! What the SQL parser says, in our words.

use datafusion::sql::sqlparser::parser::ParserError;

use super::{Told, unknown};

/// A statement that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    kind: Kind,
    /// Line and column from 1, where they are known; else the statement ends too early.
    pub(crate) place: Option<[u64; 2]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Something is in the wrong place, be it the end. What would have been right is told where the words are plain.
    Unexpected {
        expected: Option<String>,
        found: Option<String>,
    },
    /// A text, a name or a comment is not closed.
    Open(&'static str),
    TooDeep,
    Other(String),
}

/// What `error` means.
pub(crate) fn syntax_error(error: &ParserError) -> SyntaxError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => return SyntaxError { kind: Kind::TooDeep, place: None },
    };
    let (what, place) = match text.rsplit_once(" at Line: ") {
        Some((what, place)) => (what, numbers(place)),
        None => (&text[..], None),
    };
    let kind = if what.to_lowercase().starts_with("unterminated") || what.contains("EOF") && !what.contains(", found: ")
    {
        Kind::Open(match () {
            () if what.contains("comment") => "a comment",
            () if what.contains("close delimiter '\"'") => "a name in double quotes",
            () => "a text in quotes",
        })
    } else if let Some((expected, found)) = what.split_once(", found: ") {
        let expected = expected.trim_start_matches("Expected: ").trim_start_matches("Expected ");
        let found = (found != "EOF").then(|| found.to_string());
        Kind::Unexpected { expected: plain(expected), found }
    } else {
        Kind::Other(what.to_string())
    };
    SyntaxError { kind, place }
}

impl SyntaxError {
    /// What is wrong with `whole`, "the query" or "the statement".
    pub(crate) fn message(&self, whole: &str) -> String {
        match &self.kind {
            Kind::Unexpected { expected, found } => {
                let found = found.as_ref().map_or(format!("the end of {whole}"), |it| format!("\"{it}\""));
                match expected {
                    Some(expected) => format!("expected {expected}, found {found}"),
                    None => format!("syntax error at or near {found}"),
                }
            }
            Kind::Open(what) => format!("{what} is not closed"),
            Kind::TooDeep => format!("{whole} is nested too deeply"),
            Kind::Other(_) => format!("{whole} cannot be read from here on"),
        }
    }

    pub(super) fn told(&self) -> Told {
        let place = self.place.map(|[line, column]| [line, column, line, column]);
        let told = Told { place, ..Told::new("42601", self.message("the statement")) };
        match &self.kind {
            Kind::TooDeep => Told { code: "54001", ..told },
            Kind::Other(text) => Told { place, ..unknown("42601", text) },
            _ => told,
        }
    }
}

/// Line and column of "1, Column: 8".
fn numbers(place: &str) -> Option<[u64; 2]> {
    let (line, column) = place.split_once(", Column: ")?;
    let place = [line.parse().ok()?, column.parse().ok()?];
    (place[0] > 0).then_some(place)
}

/// What the parser expected, where its words say it to anyone.
fn plain(expected: &str) -> Option<String> {
    const OURS: [(&str, &str); 17] = [
        ("an expression", "an expression"),
        ("an expression:", "an expression"),
        ("end of statement", "the end of the statement"),
        ("identifier", "a name"),
        ("an identifier or a '*' after '.'", "a name or * after the point"),
        ("an SQL statement", "a query"),
        ("SELECT, VALUES, or a subquery in the query body", "SELECT, VALUES or WITH"),
        ("joined table", "a table to join"),
        ("a join type after NATURAL", "JOIN, LEFT, RIGHT or FULL after NATURAL"),
        ("literal string", "a text in single quotes"),
        ("string literal", "a text in single quotes"),
        ("literal number", "a number"),
        ("literal int", "a number"),
        ("a data type name", "a type"),
        ("a list of columns in parentheses", "a list of columns in brackets"),
        (
            "[NOT] NULL | TRUE | FALSE | DISTINCT | [form] NORMALIZED FROM after IS",
            "NULL, TRUE, FALSE or DISTINCT FROM after IS",
        ),
        ("date/time field", "a unit of time, like day"),
    ];
    if let Some((_, ours)) = OURS.iter().find(|(theirs, _)| *theirs == expected) {
        return Some((*ours).into());
    }
    // Keywords and signs, and several of them: "IN or BETWEEN after NOT".
    let word = |it: &str| {
        let it = it.trim_matches([',', '\'', '`']);
        ["or", "after", "one", "of", "of:"].contains(&it) || !it.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    expected.split_whitespace().all(word).then(|| expected.replace("one of: ", "one of "))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn the_parser_is_translated() {
        for (sql, message, place) in [
            ("SELECT FROM", "expected a name, found the end of the query", None),
            ("SELECT 1 FROM", "expected a name, found the end of the query", None),
            ("SELECT a FROM t WHERE", "expected an expression, found the end of the query", None),
            ("SELECT 'a", "a text in quotes is not closed", Some([1, 8])),
            ("SELECT /* a", "a comment is not closed", Some([1, 12])),
            ("SELECT \"a", "a name in double quotes is not closed", Some([1, 8])),
            ("SELECT a BETWEEN 1", "expected AND, found the end of the query", None),
        ] {
            let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).and_then(|mut it| it.parse_query());
            let error = syntax_error(&parsed.unwrap_err());
            assert_eq!((&*error.message("the query"), error.place), (message, place), "{sql}");
        }
    }
}
