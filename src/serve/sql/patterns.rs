//! Regular expressions that are matched in bounded time.
//!
//! Matching takes time for the length of the text times the size of the compiled expression, and compiling for what the
//! expression says, be it as short as `(a{200}){200}`. So an expression has to be known when the statement is planned,
//! and is compiled once to see how large it is.

use axum::http::StatusCode;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;

use crate::dialect::{PatternProblem, check_pattern};
use crate::serve::problem::Problem;

/// Refuses an expression that is not constant, or none, or too large.
pub(super) fn check(pattern: &Expr) -> Result<()> {
    let mut pattern = pattern;
    while let Expr::Alias(alias) = pattern {
        pattern = &alias.expr;
    }
    match pattern {
        Expr::Literal(value, _) => value.try_as_str().flatten().map_or(Ok(()), compile),
        Expr::Cast(cast) if matches!(&*cast.expr, Expr::Literal(ScalarValue::Null, _)) => Ok(()),
        _ => {
            let detail = "a regular expression that is made of columns is not supported";
            let problem = Problem::new(StatusCode::BAD_REQUEST, "0A000", detail)
                .hint("give it as a constant or a parameter; LIKE takes columns, too");
            Err(DataFusionError::External(Box::new(problem)))
        }
    }
}

fn compile(pattern: &str) -> Result<()> {
    let problem = match check_pattern(pattern) {
        Ok(()) => return Ok(()),
        Err(PatternProblem::TooLarge) => {
            let detail = format!("the regular expression {pattern:?} is too large");
            Problem::new(StatusCode::BAD_REQUEST, "54000", detail)
                .hint("repeat less, and smaller classes: [a-z0-9_] for \\w")
        }
        Err(PatternProblem::Unsupported(detail)) => Problem::new(StatusCode::BAD_REQUEST, "0A000", detail),
        Err(PatternProblem::Invalid(detail)) => Problem::new(StatusCode::BAD_REQUEST, "2201B", detail),
    };
    Err(DataFusionError::External(Box::new(problem)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    fn code(pattern: Expr) -> Option<&'static str> {
        let error = check(&pattern).err()?;
        let DataFusionError::External(inner) = error else { return Some("?") };
        inner.downcast_ref::<Problem>().map(|it| it.code)
    }

    #[test]
    fn large_and_varying_expressions_are_refused() {
        assert_eq!(code(lit("^a.*(b|c){3}\\w{1,20}[a-z]{1,200}$")), None);
        assert_eq!(code(lit("(\\w{200}){200}")), Some("54000"));
        assert_eq!(code(lit("a{1000}")), Some("2201B"));
        assert_eq!(code(lit("(")), Some("2201B"));
        assert_eq!(code(lit("(?=a)")), Some("0A000"));
        assert_eq!(code(col("name")), Some("0A000"));
        assert_eq!(code(lit(ScalarValue::Utf8(None))), None);
    }
}
