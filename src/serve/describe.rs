//! What is served, for people and programs that come for the first time: `GET /v1/views`, `GET /v1/schema/{view}`.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::read::json_response;
use super::router::App;
use super::served::{Served, sources_of};
use super::snapshot::Snapshot;
use crate::catalog::View;
use crate::change::{Collation, KeyColumn, Schema};
use crate::store::{RelationState, Unplanned};

/// `GET /v1/views`
pub(crate) fn views(app: &App) -> Result<Response, Problem> {
    let snapshot = &Snapshot::take(&app.board);
    let directory = app.directory();
    let kept = directory.relations.iter().map(|it| describe(app, snapshot, it));
    let all = kept.chain(directory.plain_views.iter().map(describe_plain));
    let all: Vec<Value> = all.chain(directory.unplanned.iter().map(unplanned)).collect();
    let sources = sources_of(directory.relations.iter().map(|it| &**it));
    answer(app, snapshot, &Value::Array(all), &sources)
}

/// `GET /v1/schema/{view}`
pub(crate) fn schema(app: &App, view: &str) -> Result<Response, Problem> {
    let snapshot = &Snapshot::take(&app.board);
    let directory = app.directory();
    if let Some(plain) = directory.plain_views.iter().find(|it| it.name == view) {
        return answer(app, snapshot, &describe_plain(plain), &[]);
    }
    let served = directory.find(view)?;
    answer(app, snapshot, &describe(app, snapshot, served), &served.relation.sources)
}

fn answer(app: &App, snapshot: &Snapshot, value: &Value, sources: &[usize]) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|it| Problem::internal(it.to_string()))?;
    let mut response = json_response(body);
    snapshot.describe_sources(&app.board, sources, &mut response);
    Ok(response)
}

/// A view that only names a query: it has no rows of its own, and so no key, no indexes and no state.
fn describe_plain(view: &View) -> Value {
    json!({ "name": view.name, "kind": "plain view", "doc": view.doc, "query": view.query, "reads": view.depends_on })
}

/// What is declared and could not be planned: nothing is known of its columns.
fn unplanned(it: &Unplanned) -> Value {
    json!({ "name": it.name, "kind": it.kind, "doc": it.doc, "status": it.state, "query": it.query })
}

fn describe(app: &App, snapshot: &Snapshot, served: &Served) -> Value {
    let state = served.state(snapshot);
    let relation = &served.relation;
    let schema = &relation.schema;
    let columns = schema.visible_columns().iter().map(|column| {
        let mut out = json!({
            "name": column.name, "type": column.data_type.sql_name(), "nullable": column.nullable,
        });
        if column.collation != Collation::Binary {
            out["collation"] = json!(if column.collation == Collation::NoCase { "nocase" } else { "rtrim" });
        }
        out
    });
    let indexes = relation.indexes.iter().map(|index| {
        let include: Vec<&str> = index.include.iter().map(|it| schema.columns[*it].name.as_str()).collect();
        json!({ "name": index.name, "columns": key_columns(schema, &index.key), "include": include })
    });
    let sources = relation.sources.iter().filter_map(|at| app.board.sources().get(*at)).map(|it| it.name.as_str());
    let mut out = Map::new();
    out.insert("name".into(), json!(relation.name));
    out.insert("kind".into(), json!(if relation.is_view { "view" } else { "table" }));
    out.insert("doc".into(), json!(relation.doc));
    out.insert("columns".into(), columns.collect());
    let key = schema.has_visible_key().then(|| key_columns(schema, &schema.key));
    out.insert("key".into(), json!(key));
    out.insert("indexes".into(), indexes.collect());
    out.insert("status".into(), json!(state));
    out.insert("sources".into(), sources.collect());
    // Rows that stand at an earlier position than the epoch are older than its lag tells.
    let stands = matches!(&state, RelationState::Stale { stands_at, .. } if !stands_at.is_empty());
    out.insert("lag_ms".into(), json!(snapshot.lag_ms(&relation.sources).filter(|_| !stands)));
    if let Some(freshness) = relation.freshness {
        out.insert("freshness_ms".into(), json!(freshness.as_millis() as u64));
    }
    if relation.is_view {
        out.insert("query".into(), json!(relation.query));
    }
    Value::Object(out)
}

// Written as an order is in a request: "rating.desc", with the place of NULLs where it is not PostgreSQL's default.
fn key_columns(schema: &Schema, key: &[KeyColumn]) -> Vec<String> {
    let name = |part: &KeyColumn| {
        let direction = if part.descending { ".desc" } else { "" };
        let nulls = match part.nulls_first {
            it if it == part.descending => "",
            true => ".nullsfirst",
            false => ".nullslast",
        };
        schema.columns.get(part.column).map(|it| format!("{}{direction}{nulls}", it.name))
    };
    key.iter().filter(|it| it.column < schema.visible).filter_map(name).collect()
}
