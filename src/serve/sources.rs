//! `GET /v1/sources`: how each source is doing and how far it is read.

use std::sync::atomic::Ordering;

use axum::response::Response;
use serde_json::{Value, json};

use super::problem::Problem;
use super::read::json_response;
use super::router::App;
use super::snapshot::Snapshot;
use crate::store::SourceStatus;

/// `GET /v1/sources`
pub(crate) fn sources(app: &App) -> Result<Response, Problem> {
    let snapshot = &Snapshot::take(&app.board);
    let all: Vec<Value> = app.board.sources().iter().map(|it| describe(snapshot, it)).collect();
    let body = serde_json::to_vec(&all).map_err(|it| Problem::internal(it.to_string()))?;
    let mut response = json_response(body);
    snapshot.describe_all(&app.board, &mut response);
    Ok(response)
}

fn describe(snapshot: &Snapshot, source: &SourceStatus) -> Value {
    let health = source.health.read().unwrap_or_else(|it| it.into_inner()).clone();
    // Each as a reader would write it into `Vantage-After`.
    let name = &source.name;
    let positions: Vec<String> =
        snapshot.position(name).iter().flat_map(|it| it.marks()).map(|mark| format!("{name}@{mark}")).collect();
    json!({
        "name": name,
        "status": health,
        "positions": positions,
        "lag_ms": source.lag_ms(),
        "events": source.events.load(Ordering::Relaxed),
    })
}
