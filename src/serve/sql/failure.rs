//! DataFusion's errors as problems: whose fault it is, and PostgreSQL's code for it.

use axum::http::StatusCode;
use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use super::width::TooWide;
use crate::dialect::TooLong;
use crate::serve::problem::Problem;

/// The problem behind `error`.
pub(super) fn problem(error: &DataFusionError) -> Problem {
    let refused = |code, detail: String| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    let failed = |code, detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
    match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<Problem>() {
            Some(problem) => problem.clone(),
            None if inner.is::<TooWide>() => {
                failed("53200", inner.to_string()).hint("join before the values are put together")
            }
            None if inner.is::<TooLong>() => failed("54000", inner.to_string()),
            None => failed("22000", inner.to_string()),
        },
        DataFusionError::Collection(all) if !all.is_empty() => problem(&all[0]),
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        DataFusionError::SQL(inner, _) => refused("42601", inner.to_string()),
        DataFusionError::SchemaError(inner, _) => match &**inner {
            SchemaError::FieldNotFound { .. } => refused("42703", inner.to_string()),
            SchemaError::AmbiguousReference { .. } => refused("42702", inner.to_string()),
            _ => refused("42701", inner.to_string()),
        },
        DataFusionError::Plan(detail) => {
            let lower = detail.to_lowercase();
            let code = match () {
                () if lower.contains("function") => "42883",
                () if lower.starts_with("table") && lower.contains("not found") => "42P01",
                () => "42000",
            };
            refused(code, detail.clone())
        }
        // What follows in this message is the planner's own notation.
        DataFusionError::NotImplemented(detail) if detail.contains("logical expression") => {
            let detail = "a subquery at this place, or in this form, is not supported";
            refused("0A000", detail.into()).hint("join with the subquery in FROM instead")
        }
        DataFusionError::NotImplemented(detail) => refused("0A000", detail.clone()),
        DataFusionError::Configuration(detail) => refused("0A000", detail.clone()),
        DataFusionError::ResourcesExhausted(_) => {
            failed("53200", "the statement needs more memory than it may use".into())
                .hint("filter more, or declare a view that keeps the result")
        }
        DataFusionError::Execution(detail) => computed(detail),
        other => {
            let detail = other.strip_backtrace();
            tracing::error!(error = %detail, "a statement failed unexpectedly");
            Problem::internal("the statement could not be answered; the log tells more")
        }
    }
}

fn arrow(error: &ArrowError) -> Problem {
    match error {
        ArrowError::DivideByZero => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "22012", "division by zero"),
        ArrowError::ArithmeticOverflow(detail) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "22003", detail),
        ArrowError::CastError(detail) | ArrowError::ParseError(detail) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "22P02", detail)
        }
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => problem(inner),
            None => computed(&inner.to_string()),
        },
        other => computed(&other.to_string()),
    }
}

fn computed(detail: &str) -> Problem {
    let lower = detail.to_lowercase();
    let code = match () {
        () if lower.contains("overflow") || lower.contains("out of range") => "22003",
        () if lower.contains("divide by zero") || lower.contains("division by zero") => "22012",
        () => "22000",
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}
