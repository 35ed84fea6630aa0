//! Conditions on single columns: what filters, key look-ups and pushed-down SQL predicates have in common.
//!
//! They follow SQL's three-valued logic with PostgreSQL's comparisons: a row passes only when a condition is true.

use std::cmp::Ordering;
use std::str::Chars;

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
    /// SQL's LIKE over text. (`IS UNKNOWN` is [`Test::IsNull`].)
    Like(Pattern),
    Not(Box<Test>),
}

/// A test of one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) column: usize,
    pub(crate) test: Test,
}

/// What a row comes to under several conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    Passes,
    Fails,
    /// It would pass but for this column, which could not be computed; the message.
    Error(usize, &'a str),
}

/// Judges the row whose cell of a column is `cell(column)`. A condition that is not true settles it whatever the others
/// are, so the outcome does not depend on their order, nor on which of them an access path checks.
pub(crate) fn judge<'a>(conditions: &[Condition], cell: impl Fn(usize) -> Datum<'a>) -> Verdict<'a> {
    let mut verdict = Verdict::Passes;
    for condition in conditions {
        match condition.passes(cell(condition.column)) {
            Ok(true) => {}
            Ok(false) => return Verdict::Fails,
            Err(message) => verdict = Verdict::Error(condition.column, message),
        }
    }
    verdict
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
            Test::Like(pattern) => match cell {
                Datum::Text(text) => Some(pattern.matches(text)),
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

    fn matches(&self, text: &str) -> bool {
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
    fn what_is_false_needs_no_other_cell() {
        let on = |column| Condition { column, test: Test::Compare(Operator::Equal, Value::Int(1)) };
        let cells = [Datum::Int(1), Datum::Int(2), Datum::Error("x")];
        let verdict = |conditions: &[Condition]| judge(conditions, |column| cells[column]);
        assert_eq!(verdict(&[on(0)]), Verdict::Passes);
        assert_eq!(verdict(&[on(0), on(2)]), Verdict::Error(2, "x"));
        assert_eq!(verdict(&[on(2), on(0)]), Verdict::Error(2, "x"));
        assert_eq!(verdict(&[on(1), on(2)]), Verdict::Fails);
        assert_eq!(verdict(&[on(2), on(1)]), Verdict::Fails);
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
            assert_eq!(Pattern::new(pattern, false).matches(text), expected, "{text} LIKE {pattern}");
        }
        let text = "a".repeat(20_000);
        assert!(!Pattern::new(&format!("{}b", "%a".repeat(50)), false).matches(&text));
        assert!(Pattern::new("%É_", true).matches("né!"));
    }
}
