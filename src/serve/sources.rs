//! `GET /v1/sources`: how each source is doing and how far it is read; `GET /v1/sources/{source}/rejected`: messages that
//! were left out of its tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::problem::Problem;
use super::read::json_response;
use super::router::App;
use super::snapshot::Snapshot;
use crate::change::text::bytes::write_base64;
use crate::change::{Details, Excerpt, Mark, Rejected, Rejections};
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
    let details = source.details();
    json!({
        "name": name,
        "status": health,
        "parts": parts(snapshot, source, &details),
        "positions": positions,
        "lag_ms": source.lag_ms(),
        "events": source.events.load(Ordering::Relaxed),
        "warnings": details.warnings,
        "rejected": source.rejected_counts(),
    })
}

/// Every part that was read or of which its source tells something.
fn parts(snapshot: &Snapshot, source: &SourceStatus, details: &Details) -> Vec<Value> {
    let read = snapshot.position(&source.name);
    let marks = read.iter().flat_map(|it| it.marks());
    let places: BTreeMap<&str, Mark<'_>> = marks.map(|it| (it.part, it)).collect();
    let names: BTreeSet<&str> = places.keys().copied().chain(details.parts.keys().map(String::as_str)).collect();
    let part = |name: &str| {
        let position = places.get(name).map(|mark| format!("{}@{mark}", source.name));
        let mut told = json!({ "part": name, "position": position });
        if let (Value::Object(told), Some(part)) = (&mut told, details.parts.get(name)) {
            told.insert("state".into(), part.state.as_str().into());
            told.extend(part.numbers.iter().map(|(name, it)| (name.to_string(), Value::from(*it))));
            told.extend(part.words.iter().map(|(name, it)| (name.to_string(), Value::from(it.as_str()))));
        }
        told
    };
    names.into_iter().map(part).collect()
}

/// The source of this name, with its index in the catalog.
pub(super) fn find<'a>(app: &'a App, name: &str) -> Result<(usize, &'a SourceStatus), Problem> {
    let mut sources = app.board.sources().iter().enumerate();
    sources.find(|it| it.1.name == name).ok_or_else(|| {
        let names: Vec<&str> = app.board.sources().iter().map(|it| it.name.as_str()).collect();
        let detail = format!("there is no source \"{name}\"");
        Problem::new(StatusCode::NOT_FOUND, "42704", detail).hint(format!("sources: {}", names.join(", ")))
    })
}

/// `GET /v1/sources/{source}/rejected`
pub(crate) fn rejected(app: &App, name: &str) -> Result<Response, Problem> {
    let (_, source) = find(app, name)?;
    let tables = source.rejected().into_iter().map(|(table, Rejections { count, last })| {
        json!({ "table": table, "count": count, "last": last.iter().map(message).collect::<Vec<Value>>() })
    });
    let body = serde_json::to_vec(&tables.collect::<Vec<Value>>()).map_err(|it| Problem::internal(it.to_string()))?;
    Ok(json_response(body))
}

fn message(it: &Rejected) -> Value {
    json!({
        "topic": it.topic,
        "partition": it.partition,
        "offset": it.offset,
        "reason": it.reason,
        "key": it.key.as_ref().map(excerpt),
        "value": it.value.as_ref().map(excerpt),
    })
}

/// As text where it is one, in base64 else; the number of bytes there are tells whether it is all of them.
fn excerpt(it: &Excerpt) -> Value {
    let whole = it.bytes.len() == it.length;
    let text = match std::str::from_utf8(&it.bytes) {
        Ok(text) => Some(text),
        // Cut within a character.
        Err(error) if error.error_len().is_none() && !whole => {
            std::str::from_utf8(&it.bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match text {
        Some(text) => json!({ "text": text, "bytes": it.length }),
        None => {
            let mut base64 = Vec::new();
            write_base64(&it.bytes, usize::MAX, &mut base64);
            json!({ "base64": String::from_utf8_lossy(&base64), "bytes": it.length })
        }
    }
}
