//! Conditions on single columns: what filters, key look-ups and pushed-down SQL predicates have in common.
//!
//! They follow SQL's three-valued logic with PostgreSQL's comparisons: a row passes only when a condition is true.

use std::cmp::Ordering;

use crate::change::{Datum, Value};

/// How a cell is compared with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is asked of one cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Compare(Operator, Value),
    In(Vec<Value>),
    IsNull,
    /// `IS TRUE`, `IS FALSE`.
    Is(bool),
    /// `IS UNKNOWN` is [`Test::IsNull`]; this is SQL's LIKE over text.
    Like {
        pattern: String,
        ignore_case: bool,
    },
    Not(Box<Test>),
}

/// A test of one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) column: usize,
    pub(crate) test: Test,
}

impl Condition {
    /// Whether `cell` passes; the message of an error cell comes back as the error.
    pub(crate) fn passes<'a>(&self, cell: Datum<'a>) -> Result<bool, &'a str> {
        if let Datum::Error(message) = cell {
            return Err(message);
        }
        Ok(self.test.outcome(cell) == Some(true))
    }
}

impl Test {
    fn outcome(&self, cell: Datum<'_>) -> Option<bool> {
        match self {
            Test::IsNull => Some(cell == Datum::Null),
            Test::Is(expected) => Some(cell == Datum::Boolean(*expected)),
            Test::Not(test) => test.outcome(cell).map(|it| !it),
            Test::Compare(operator, value) => {
                let ordering = compare(cell, value.as_datum())?;
                Some(match operator {
                    Operator::Equal => ordering.is_eq(),
                    Operator::NotEqual => ordering.is_ne(),
                    Operator::Less => ordering.is_lt(),
                    Operator::LessOrEqual => ordering.is_le(),
                    Operator::Greater => ordering.is_gt(),
                    Operator::GreaterOrEqual => ordering.is_ge(),
                })
            }
            Test::In(values) => {
                let mut unknown = false;
                for value in values {
                    match compare(cell, value.as_datum()) {
                        Some(Ordering::Equal) => return Some(true),
                        Some(_) => {}
                        None => unknown = true,
                    }
                }
                (!unknown).then_some(false)
            }
            Test::Like { pattern, ignore_case } => match cell {
                Datum::Text(text) if *ignore_case => Some(like(&text.to_lowercase(), &pattern.to_lowercase())),
                Datum::Text(text) => Some(like(text, pattern)),
                _ => None,
            },
        }
    }
}

/// Compares two values of one type; `None` when either is NULL. NaN equals itself and is the greatest float.
pub(crate) fn compare(left: Datum<'_>, right: Datum<'_>) -> Option<Ordering> {
    match (left, right) {
        (Datum::Boolean(a), Datum::Boolean(b)) => Some(a.cmp(&b)),
        (Datum::Int(a), Datum::Int(b)) => Some(a.cmp(&b)),
        (Datum::Float(a), Datum::Float(b)) => Some(a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))),
        (Datum::Decimal(a), Datum::Decimal(b)) => Some(a.cmp(&b)),
        (Datum::Text(a), Datum::Text(b)) => Some(a.cmp(b)),
        (Datum::Bytes(a), Datum::Bytes(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// SQL's LIKE: `%` is any text, `_` one character, `\` takes the next character as it is. Linear but for
/// backtracking to the last `%`, so a hostile pattern costs at most text × pattern steps.
fn like(text: &str, pattern: &str) -> bool {
    let pattern = tokens(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut want) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(want) {
            Some(Token::Any) => {
                retry = Some((want + 1, at));
                want += 1;
                continue;
            }
            Some(Token::One) => {
                at += 1;
                want += 1;
                continue;
            }
            Some(Token::Exactly(it)) if *it == text[at] => {
                at += 1;
                want += 1;
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = retry else { return false };
        retry = Some((after, from + 1));
        (want, at) = (after, from + 1);
    }
    pattern[want..].iter().all(|it| matches!(it, Token::Any))
}

enum Token {
    Any,
    One,
    Exactly(char),
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut chars = pattern.chars();
    while let Some(it) = chars.next() {
        out.push(match it {
            '%' => Token::Any,
            '_' => Token::One,
            '\\' => Token::Exactly(chars.next().unwrap_or('\\')),
            _ => Token::Exactly(it),
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(test: Test, cell: Datum<'_>) -> bool {
        Condition { column: 0, test }.passes(cell).unwrap()
    }

    #[test]
    fn null_passes_only_tests_for_null() {
        let not = |test| Test::Not(Box::new(test));
        let equal = Test::Compare(Operator::Equal, Value::Int(1));
        assert!(passes(equal.clone(), Datum::Int(1)));
        assert!(!passes(equal.clone(), Datum::Null));
        assert!(!passes(not(equal), Datum::Null));
        assert!(passes(Test::IsNull, Datum::Null));
        assert!(!passes(not(Test::IsNull), Datum::Null));
        assert!(!passes(Test::In(vec![Value::Int(1)]), Datum::Null));
        assert!(!passes(not(Test::In(vec![Value::Int(1), Value::Null])), Datum::Int(2)));
        assert!(passes(not(Test::Is(true)), Datum::Null));
        assert_eq!(Condition { column: 0, test: Test::IsNull }.passes(Datum::Error("x")), Err("x"));
    }

    #[test]
    fn nan_is_the_greatest_float() {
        let greater = |it| Test::Compare(Operator::Greater, Value::Float(it));
        assert!(passes(greater(f64::INFINITY), Datum::Float(f64::NAN)));
        assert!(!passes(greater(f64::NAN), Datum::Float(f64::INFINITY)));
        assert!(passes(Test::Compare(Operator::Equal, Value::Float(f64::NAN)), Datum::Float(f64::NAN)));
    }

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
            assert_eq!(like(text, pattern), expected, "{text} LIKE {pattern}");
        }
        let text = "a".repeat(20_000);
        assert!(!like(&text, &format!("{}b", "%a".repeat(50))));
    }
}
