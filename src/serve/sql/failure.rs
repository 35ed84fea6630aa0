//! DataFusion's errors as problems: whose fault it is, and where in the statement.

use std::error::Error;

use axum::http::StatusCode;
use datafusion::error::DataFusionError;

use super::width::TooWide;
use crate::catalog::did_you_mean;
use crate::dialect::{self, Told};
use crate::serve::problem::Problem;

/// The problem behind `error`.
pub(super) fn problem(error: &DataFusionError) -> Problem {
    match found(error) {
        Some(problem) => problem.clone(),
        None => told(error, None),
    }
}

/// The problem behind `error`, which arose while `sql` was planned, with its place there.
pub(super) fn problem_in(sql: &str, error: &DataFusionError) -> Problem {
    match found(error) {
        Some(problem) => problem.clone(),
        None => told(error, Some(sql)),
    }
}

/// The SQLSTATEs of a LIMIT and an OFFSET that are none.
const LIMITS: [&str; 2] = ["2201W", "2201X"];

/// The problem of the statement `sql`, which is right as far as it was read, but for which no plan was found.
pub(super) fn unplannable(sql: &str, error: &DataFusionError) -> Problem {
    let is_ours = found(error).is_some();
    let is_unknown = match error.find_root() {
        // Its columns were found before.
        DataFusionError::SchemaError(..) => true,
        // Types are settled by then; only whether a limit is one is looked at this late.
        DataFusionError::Plan(_) | DataFusionError::Internal(_) => !LIMITS.contains(&dialect::tell(error).code),
        _ => false,
    };
    if is_ours || !is_unknown {
        return problem_in(sql, error);
    }
    tracing::debug!(%error, "a statement could not be planned");
    let detail = "this combination of subqueries, joins and orders is not supported";
    Problem::new(StatusCode::BAD_REQUEST, "0A000", detail).hint("join with the subquery in FROM instead")
}

/// A problem of ours that has travelled through DataFusion.
fn found(error: &DataFusionError) -> Option<&Problem> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(problem) = error.downcast_ref::<Problem>() {
            return Some(problem);
        }
        // An error that is carried along is not the source of the one that carries it, but the same.
        next = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(&**inner),
            _ => error.source(),
        };
    }
    None
}

fn told(error: &DataFusionError, sql: Option<&str>) -> Problem {
    if let DataFusionError::External(inner) = error.find_root()
        && inner.is::<TooWide>()
    {
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "53200", inner.to_string())
            .hint("join before the values are put together");
    }
    let Told { code, message, hint, place, words, near, reference } = dialect::tell(error);
    if let Some(reference) = reference {
        tracing::warn!(%reference, %error, "a statement failed in a way nobody thought of");
    }
    let status = match &code[..2] {
        _ if code == "54001" => StatusCode::BAD_REQUEST,
        "0A" | "42" => StatusCode::BAD_REQUEST,
        "XX" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let near = near.and_then(|(name, known)| did_you_mean(&name, known.iter().map(String::as_str)));
    let found = || dialect::find_words(sql?, &words?);
    let place = place.filter(|_| sql.is_some()).or_else(found).map(|[line, column, ..]| [line, column]);
    Problem { hint: near.or(hint), place, ..Problem::new(status, code, message) }
}
