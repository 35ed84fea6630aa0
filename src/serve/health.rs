//! `/livez` says that the process answers; `/readyz` whether everything it serves is complete and followed.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::read::json_response;
use super::router::App;
use crate::change::{SourceHealth, counted};
use crate::store::RelationState;

/// `GET /livez`
pub(crate) fn livez() -> Response {
    json_response(b"{\"status\":\"ok\"}".to_vec())
}

/// `GET /readyz`: 200, or 503. Why it is not ready names views, files and positions, which only those may see who are
/// `known`. Notes tell of what is the matter while it is ready all the same.
pub(crate) fn readyz(app: &App, known: bool) -> Response {
    let reasons = reasons(app);
    let (status, word) = match reasons.is_empty() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let body = match known {
        true => json!({ "status": word, "reasons": reasons, "notes": app.workers.load().notes() }),
        false => json!({ "status": word }),
    };
    let mut response = json_response(body.to_string().into_bytes());
    *response.status_mut() = status;
    response
}

fn reasons(app: &App) -> Vec<String> {
    let mut reasons = Vec::new();
    if app.draining() {
        reasons.push("the process is shutting down".into());
    }
    if let Some(reason) = app.board.halted() {
        reasons.push(format!("intake stopped: {reason}"));
    }
    if let Some(reason) = app.board.paused() {
        reasons.push(format!("intake waits: {reason}"));
    }
    reasons.extend(app.workers.load().reason());
    if let Err(problem) = app.directory().check_described() {
        reasons.push(problem.detail);
    }
    for source in app.board.sources() {
        let name = &source.name;
        match &*source.health.read().unwrap_or_else(|it| it.into_inner()) {
            SourceHealth::Streaming => {}
            health => reasons.push(format!("source {name} is {health}")),
        }
    }
    for served in &app.directory().relations {
        let name = &served.relation.name;
        match served.state() {
            RelationState::Live => {}
            RelationState::Building { done, total } => {
                let rows = total.map_or(String::new(), |it| format!(": {done} of {}", counted(it as usize, "row")));
                reasons.push(format!("{name} is being built{rows}"));
            }
            RelationState::Failed { reason } => reasons.push(format!("{name} cannot be kept: {reason}")),
        }
    }
    reasons
}
