//! Conditions on single columns: what filters, key look-ups and pushed-down SQL predicates have in common.
//!
//! They follow SQL's three-valued logic with PostgreSQL's comparisons: a row passes only when a condition is true.

use std::cmp::Ordering;

use super::pattern::{Expression, Pattern};
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
    /// `~` and `~*` over text.
    Match(Expression),
    /// `IS DISTINCT FROM`: NULL differs from everything but NULL.
    Distinct(Value),
    Not(Box<Test>),
    /// One of them is true, as in `= ANY`.
    Any(Vec<Test>),
    /// All of them are true.
    All(Vec<Test>),
}

/// A test of one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) column: usize,
    pub(crate) test: Test,
}

/// Conditions joined with each other; what a list of conditions that all hold cannot say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    One(Condition),
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
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
    judge_all(conditions, &[], cell)
}

/// The same under `filters` as well.
pub(crate) fn judge_all<'a>(
    conditions: &[Condition],
    filters: &[Filter],
    cell: impl Fn(usize) -> Datum<'a>,
) -> Verdict<'a> {
    let mut verdict = Verdict::Passes;
    for condition in conditions {
        match condition.passes(cell(condition.column)) {
            Ok(true) => {}
            Ok(false) => return Verdict::Fails,
            Err(message) => verdict = Verdict::Error(condition.column, message),
        }
    }
    for filter in filters {
        match filter.outcome(&cell) {
            Outcome::Known(Some(true)) => {}
            Outcome::Known(_) => return Verdict::Fails,
            Outcome::Error(column, message) => verdict = Verdict::Error(column, message),
        }
    }
    verdict
}

/// What a filter comes to: true, false, NULL, or a column that could not be computed.
enum Outcome<'a> {
    Known(Option<bool>),
    Error(usize, &'a str),
}

impl Filter {
    /// Appends the columns it looks at.
    pub(crate) fn columns(&self, out: &mut Vec<usize>) {
        match self {
            Filter::One(condition) => out.push(condition.column),
            Filter::All(parts) | Filter::Any(parts) => parts.iter().for_each(|it| it.columns(out)),
            Filter::Not(inner) => inner.columns(out),
        }
    }

    fn outcome<'a>(&self, cell: &impl Fn(usize) -> Datum<'a>) -> Outcome<'a> {
        match self {
            Filter::One(condition) => match cell(condition.column) {
                Datum::Error(message) => Outcome::Error(condition.column, message),
                datum => Outcome::Known(condition.test.outcome(datum)),
            },
            Filter::Not(inner) => match inner.outcome(cell) {
                Outcome::Known(it) => Outcome::Known(it.map(|it| !it)),
                error => error,
            },
            Filter::All(parts) => Filter::connect(parts, false, cell),
            Filter::Any(parts) => Filter::connect(parts, true, cell),
        }
    }

    /// AND (`decisive` false) or OR (`decisive` true): a decisive part wins over an error, an error over NULL.
    fn connect<'a>(parts: &[Filter], decisive: bool, cell: &impl Fn(usize) -> Datum<'a>) -> Outcome<'a> {
        let mut outcome = Outcome::Known(Some(!decisive));
        for part in parts {
            match (part.outcome(cell), &outcome) {
                (Outcome::Known(Some(it)), _) if it == decisive => return Outcome::Known(Some(decisive)),
                (error @ Outcome::Error(..), Outcome::Known(_)) => outcome = error,
                (Outcome::Known(None), Outcome::Known(_)) => outcome = Outcome::Known(None),
                _ => {}
            }
        }
        outcome
    }
}

/// OR (`decisive` true) or AND (`decisive` false) of `outcomes`, in three-valued logic.
fn joined(outcomes: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut joined = Some(!decisive);
    for outcome in outcomes {
        match outcome {
            Some(it) if it == decisive => return Some(decisive),
            Some(_) => {}
            None => joined = None,
        }
    }
    joined
}

fn text_of<'a>(cell: Datum<'a>) -> Option<&'a str> {
    if let Datum::Text(text) = cell { Some(text) } else { None }
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
            Test::Like(pattern) => text_of(cell).map(|it| pattern.matches(it)),
            Test::Match(expression) => text_of(cell).map(|it| expression.matches(it)),
            Test::Distinct(value) => Some(match (cell, value.as_datum()) {
                (Datum::Null, Datum::Null) => false,
                (Datum::Null, _) | (_, Datum::Null) => true,
                (cell, value) => compare(cell, value) != Some(Ordering::Equal),
            }),
            Test::Any(tests) => joined(tests.iter().map(|it| it.outcome(cell)), true),
            Test::All(tests) => joined(tests.iter().map(|it| it.outcome(cell)), false),
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
    fn joined_conditions_follow_three_valued_logic_with_errors() {
        let one = |column| Filter::One(Condition { column, test: Test::Compare(Operator::Equal, Value::Int(1)) });
        // True, false, NULL, an error.
        let cells = [Datum::Int(1), Datum::Int(2), Datum::Null, Datum::Error("x")];
        let verdict = |filter| judge_all(&[], &[filter], |column| cells[column]);
        let any = |columns: &[usize]| Filter::Any(columns.iter().map(|it| one(*it)).collect());
        let all = |columns: &[usize]| Filter::All(columns.iter().map(|it| one(*it)).collect());
        let not = |filter| Filter::Not(Box::new(filter));
        for (filter, expected) in [
            (any(&[1, 0]), Verdict::Passes),
            (any(&[3, 0]), Verdict::Passes),
            (any(&[3, 1]), Verdict::Error(3, "x")),
            (any(&[2, 1]), Verdict::Fails),
            (any(&[2, 3]), Verdict::Error(3, "x")),
            (not(any(&[1, 2])), Verdict::Fails),
            (not(any(&[1, 1])), Verdict::Passes),
            (not(all(&[0, 1])), Verdict::Passes),
            (not(all(&[0, 2])), Verdict::Fails),
            (not(all(&[1, 3])), Verdict::Passes),
            (not(all(&[0, 3])), Verdict::Error(3, "x")),
            (any(&[]), Verdict::Fails),
            (all(&[]), Verdict::Passes),
        ] {
            assert_eq!(verdict(filter.clone()), expected, "{filter:?}");
        }
    }

    #[test]
    fn distinct_treats_null_as_a_value() {
        let distinct = |value| Test::Distinct(value);
        assert!(passes(distinct(Value::Int(1)), Datum::Null));
        assert!(passes(distinct(Value::Int(1)), Datum::Int(2)));
        assert!(!passes(distinct(Value::Int(1)), Datum::Int(1)));
        assert!(!passes(distinct(Value::Null), Datum::Null));
        assert!(passes(Test::Not(Box::new(distinct(Value::Int(1)))), Datum::Int(1)));
    }
}
