//! What people who come from PostgreSQL try first: who and where they are, what there is, and statements that are no
//! queries. Each has an answer or is told where the answer is.

use std::ops::ControlFlow;

use axum::http::StatusCode;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Statement, Value, VisitMut, VisitorMut};

use super::guard::read_only;
use crate::serve::problem::Problem;

/// Puts the answers in the place of `version()`, `current_schema` and their like.
pub(super) fn answer(query: &mut Query) {
    struct Answerer;
    impl VisitorMut for Answerer {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Function(call) = expr
                && let [schema, _] = &call.name.0[..]
                && schema.to_string().eq_ignore_ascii_case("pg_catalog")
            {
                // Where PostgreSQL keeps its functions.
                call.name.0.remove(0);
            }
            if let Some(answer) = known(expr) {
                *expr = Expr::Value(Value::SingleQuotedString(answer.into()).into());
            }
            ControlFlow::Continue(())
        }
    }
    // It never breaks off.
    let _ = query.visit(&mut Answerer);
}

fn known(expr: &Expr) -> Option<&'static str> {
    let called = match expr {
        Expr::Function(call) if call.over.is_none() => call.name.to_string(),
        Expr::Identifier(name) if name.quote_style.is_none() => name.value.clone(),
        _ => return None,
    };
    let is_call = matches!(expr, Expr::Function(_));
    Some(match &*called.to_lowercase() {
        "version" if is_call => concat!("Vantage ", env!("CARGO_PKG_VERSION")),
        "current_schema" => "public",
        "current_database" if is_call => "vantage",
        "current_catalog" => "vantage",
        "current_user" | "session_user" | "current_role" => "vantage",
        "user" if is_call => "vantage",
        _ => return None,
    })
}

/// The problem of a relation of PostgreSQL's own catalogs.
pub(super) fn no_catalog(relation: &ObjectName) -> Option<Problem> {
    let name = relation.to_string().to_lowercase().replace('"', "");
    let system = name.starts_with("pg_") || name.starts_with("information_schema.");
    system.then(|| {
        Problem::new(StatusCode::BAD_REQUEST, "42P01", format!("there are no system catalogs, so no \"{name}\""))
            .hint(WHERE_TO_LOOK)
    })
}

const WHERE_TO_LOOK: &str =
    "GET /v1/views lists tables and views with their columns, keys and indexes; GET /v1/schema/{name} describes one";

/// The problem of a statement that is no query.
pub(super) fn no_query(statement: &Statement) -> Problem {
    let unsupported = |what: &str, hint: &str| {
        Problem::new(StatusCode::BAD_REQUEST, "0A000", format!("{what} is not supported")).hint(hint)
    };
    match statement {
        Statement::Explain { .. } => no_explain(),
        Statement::ExplainTable { .. } => unsupported("DESCRIBE", WHERE_TO_LOOK),
        Statement::ShowTables { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowCreate { .. }
        | Statement::ShowDatabases { .. }
        | Statement::ShowSchemas { .. }
        | Statement::ShowViews { .. }
        | Statement::ShowFunctions { .. } => unsupported("SHOW", WHERE_TO_LOOK),
        Statement::ShowVariable { .. } | Statement::ShowVariables { .. } | Statement::ShowStatus { .. } => {
            Problem { detail: "there are no settings to SHOW".into(), ..unsupported("SHOW", WHERE_TO_LOOK) }
        }
        Statement::Set(_) | Statement::Use(_) => no_settings(),
        Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. } => unsupported(
            "a transaction",
            "send queries alone: each is answered from one epoch, in which all sources stand still",
        ),
        Statement::Prepare { .. } | Statement::Execute { .. } | Statement::Deallocate { .. } => unsupported(
            "PREPARE",
            "send the text with $1, $2 and the values in \"params\": its plan is kept by its text",
        ),
        Statement::Declare { .. } | Statement::Fetch { .. } | Statement::Close { .. } => {
            unsupported("a cursor", "ask for lines, Accept: application/x-ndjson, and read as slowly as you like")
        }
        Statement::LISTEN { .. } | Statement::NOTIFY { .. } | Statement::UNLISTEN { .. } => {
            unsupported("LISTEN", "ask again with Vantage-After to wait for a change")
        }
        Statement::Analyze { .. } | Statement::Vacuum(_) => {
            unsupported("maintenance by statement", "Vantage does it by itself")
        }
        _ => read_only("only queries are answered"),
    }
}

/// The problem of EXPLAIN.
pub(super) fn no_explain() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "0A000", "EXPLAIN of a query is not supported").hint(
        "the command vantage explain shows how a view is kept; of GET /v1/views/{view} the header Vantage-Access tells \
         which index answered",
    )
}

/// The problem of SET and RESET.
pub(super) fn no_settings() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "0A000", "there are no settings to change")
        .hint("times are UTC, text compares bytewise; the server's own settings are flags of vantage serve")
}
