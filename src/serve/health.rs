//! `/livez` says that the process answers; `/readyz` whether everything it serves is complete and followed.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::json;

use super::percent;
use super::read::json_response;
use super::router::App;
use super::snapshot::Snapshot;
use crate::change::SourceHealth;
use crate::store::RelationState;

/// `GET /livez`
pub(crate) fn livez() -> Response {
    json_response(b"{\"status\":\"ok\"}".to_vec())
}

/// `GET /readyz`: 200, or 503. With `?views=a,b` only these, their sources and the process count. Why it is not ready
/// names views, files and positions, which only those may see who are `known`. Notes tell of what is the matter while it
/// is ready all the same.
pub(crate) fn readyz(app: &App, head: &Parts, known: bool) -> Response {
    let asked = head.uri.query().into_iter().flat_map(|it| it.split('&')).find_map(|it| it.strip_prefix("views="));
    let named: Option<Vec<String>> = asked.map(|list| {
        let name = |it: &str| percent::decode(it, true).map_or_else(|| it.to_string(), |it| it.into_owned());
        list.split(',').map(name).collect()
    });
    let mut states: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let reasons = reasons(app, named.as_deref(), &mut states);
    let (status, word) = match reasons.is_empty() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let body = if known {
        let notes = app.workers.load().notes();
        json!({ "status": word, "reasons": reasons, "relations": states, "notes": notes })
    } else {
        json!({ "status": word })
    };
    let mut response = json_response(body.to_string().into_bytes());
    *response.status_mut() = status;
    response
}

/// Why it is not ready; `states` are filled with the names of all relations that count, by state.
fn reasons(app: &App, named: Option<&[String]>, states: &mut BTreeMap<&'static str, Vec<String>>) -> Vec<String> {
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
    let directory = app.directory();
    if let Err(problem) = directory.check_described() {
        reasons.push(problem.detail);
    }
    let counts = |name: &String| named.is_none_or(|it| it.contains(name));
    let relations: Vec<_> = directory.relations.iter().filter(|it| counts(&it.relation.name)).collect();
    let unknown = named.iter().copied().flatten().filter_map(|it| directory.find(it).err());
    reasons.extend(unknown.map(|it| it.detail));
    for (at, source) in app.board.sources().iter().enumerate() {
        let health = source.health.read().unwrap_or_else(|it| it.into_inner());
        if *health != SourceHealth::Streaming
            && (named.is_none() || relations.iter().any(|it| it.relation.sources.contains(&at)))
        {
            reasons.push(format!("source {} is {health}", source.name));
        }
    }
    let snapshot = Snapshot::take(&app.board);
    let planned = relations.iter().map(|it| (&it.relation.name, it.state(&snapshot)));
    let unplanned = directory.unplanned.iter().filter(|_| named.is_none()).map(|it| (&it.name, it.state.clone()));
    let said = snapshot.stands_still.clone().map(RelationState::stale);
    for (name, state) in planned.chain(unplanned) {
        // What concerns all of them is said once.
        reasons.extend(state.complaint(name).filter(|_| said.as_ref() != Some(&state)));
        states.entry(state.word()).or_default().push(name.clone());
    }
    reasons
}
