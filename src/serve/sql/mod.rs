//! Ad-hoc SQL: `POST /v1/sql` with `{"sql": "SELECT … WHERE id = $1", "params": [7]}`.
//!
//! DataFusion plans a text once; its logical plan is kept by text, its physical plan by text and parameters, and a
//! physical plan takes the epoch it reads from when it is executed. A look-up by whole key is recognised in the
//! logical plan and needs no execution plan at all.
//!
//! | step | where |
//! |---|---|
//! | parse, refuse what is no query, name columns as PostgreSQL does | `statement` |
//! | refuse what would grow beyond measure in planning | `expansion` |
//! | accept a fixed list of plan nodes and functions, and no long constants | `guard`, `functions` |
//! | arithmetic and sums that fail instead of wrapping, texts that do not grow beyond measure | `dialect`, `sum` |
//! | what joins and grouping sets say of the order of their rows | `padded` |
//! | predicates, order and limit into key and index ranges | `pushdown`, `table`, `scan` |
//! | threads of their own, and turns to compute | `workers`, `turns` |
//! | an end in time and in memory, wherever the work is | `watch`, `checks`, `operators`, `patterns`, `width` |
//! | rows to Arrow, Arrow to JSON, and that to the format asked for | `columns`, `arrow_json`, `rows` |

mod arrow_json;
mod cast;
mod checks;
mod columns;
mod engine;
mod expansion;
mod failure;
mod functions;
mod guard;
mod keyed;
mod names;
mod operators;
mod padded;
mod parameters;
mod patterns;
mod pushdown;
mod rows;
mod scan;
mod session;
mod statement;
mod sum;
mod table;
mod turns;
mod view;
mod watch;
mod width;
mod workers;

pub(crate) use cast::Cast;
pub(crate) use engine::Engine;
use engine::Run;
pub(crate) use watch::Kind;
pub(crate) use workers::{Load, Workers};

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::format::Format;
use super::problem::Problem;
use super::read::response;
use super::router::App;
use super::wait;
use crate::store::Epoch;

/// Planning a text that is no longer takes a few milliseconds at most.
const SHORT_BYTES: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    sql: String,
    #[serde(default)]
    params: Vec<Box<RawValue>>,
}

/// A request whose statement is planned.
struct Question {
    engine: Arc<Engine>,
    statement: Arc<statement::Statement>,
    /// Whether it had been planned before.
    known: bool,
    sql: String,
    params: Vec<Box<RawValue>>,
    format: Format,
    /// How much time is left to answer it.
    left: Duration,
}

/// `POST /v1/sql`. From when it is known what is read, problems name it too.
pub(crate) async fn post(app: &App, head: &Parts, body: Incoming) -> Result<Response, Problem> {
    // The workers know how many statements there is room for, so that none takes it from reads of rows.
    wait::snapshot_for(app, &head.headers, &[]).await?;
    let body = app.body(body).await?;
    let question = question(app, Format::asked(&head.headers)?, &body).await?;
    drop(body);
    let statement = Arc::clone(&question.statement);
    let snapshot = wait::snapshot_for(app, &head.headers, &statement.relations).await?;
    let format = question.format;
    let answer = answer(app, question, Arc::clone(&snapshot.epoch)).await;
    let mut response = answer.map_or_else(Problem::into_response, |body| response(format, body));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    snapshot.describe_sources(&app.board, &statement.sources, &mut response);
    Ok(response)
}

async fn question(app: &App, format: Format, body: &[u8]) -> Result<Question, Problem> {
    let ask = serde_json::from_slice(body);
    let Ask { sql, params } = ask.map_err(|it| Problem::bad_body("{\"sql\": \"SELECT 1\", \"params\": []}", &it))?;
    let engine = app.sql();
    let begun = Instant::now();
    let (statement, known) = match engine.known(&sql) {
        Some(statement) => (statement, true),
        None => (prepared(app, &engine, &sql).await?, false),
    };
    let left = app.options.statement_timeout.saturating_sub(begun.elapsed());
    Ok(Question { engine, statement, known, sql, params, format, left })
}

async fn answer(app: &App, question: Question, epoch: Arc<Epoch>) -> Result<Body, Problem> {
    let Question { engine, statement, known, sql, params, format, left } = question;
    if let Some(keyed) = &statement.keyed {
        let params: Vec<&str> = params.iter().map(|it| it.get()).collect();
        let body = keyed.run(&statement, &params, &epoch, format)?;
        app.metrics.planned(known);
        return Ok(Body::from(body));
    }
    let max_rows = if format.is_lines() { usize::MAX } else { app.options.max_rows };
    let (mut writer, reply) = app.transit.answer();
    let kind = if statement.is_light() { Kind::Light } else { Kind::Ordinary };
    let metrics = Arc::clone(&app.metrics);
    let work = async move |entered: Result<Arc<watch::Watch>, Problem>| {
        let run = async {
            let watch = entered?;
            let params: Vec<&str> = params.iter().map(|it| it.get()).collect();
            let (plan, reused) = engine.physical(&sql, &statement, &params).await?;
            let run = Run { statement: &statement, plan, epoch: &epoch, format, max_rows, watch: &watch };
            let result = engine.execute(&run, &mut writer).await;
            statement.took(watch.computed(), result.is_ok());
            result.inspect(|()| metrics.planned(reused))
        };
        let result = run.await;
        writer.end(result).await;
    };
    let begun = app.workers.start(kind, left, work).await?;
    let deadline = begun.deadline;
    let body = tokio::time::timeout_at(deadline, reply.with_guard(begun).body()).await;
    body.map_err(|_| Problem::timeout())?
}

async fn prepared(app: &App, engine: &Arc<Engine>, sql: &str) -> Result<Arc<statement::Statement>, Problem> {
    let (engine, text) = (Arc::clone(engine), sql.to_string());
    let prepare = async move |_watch: Arc<watch::Watch>| engine.prepare(&text).await;
    let kind = if sql.len() <= SHORT_BYTES { Kind::Planning } else { Kind::Ordinary };
    let prepared = app.workers.run(kind, app.options.statement_timeout, prepare).await;
    prepared.map_err(|problem| match problem.code {
        // Nothing can be found as long as nothing is known.
        "42P01" => app.directory().check_described().err().unwrap_or(problem),
        _ => problem,
    })
}
