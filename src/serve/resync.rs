//! `POST /v1/sources/{source}/resync`: tables are copied again, and what differs from what is held is applied.
//!
//! It is the only request that makes the process do something, so it shows the token where there is one. Where there is
//! none, pages in a browser on the same machine must not ask for it: they cannot send JSON to another origin unasked.

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::problem::Problem;
use super::read::json_response;
use super::router::{App, decoded};
use super::sources::find;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    table: Option<String>,
}

/// `POST /v1/sources/{source}/resync` with `{}` for all tables of the source, or `{"table": "orders"}`.
pub(crate) async fn resync(app: &App, head: &Parts, source: &str, body: Incoming) -> Result<Response, Problem> {
    let name = decoded(source)?;
    let (index, source) = find(app, &name)?;
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json")) {
        let detail = "the request's body is not said to be JSON";
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "22023", detail);
        return Err(problem.hint("send the header Content-Type: application/json"));
    }
    let body = app.body(body).await?;
    let ask: Ask = serde_json::from_slice(&body).map_err(|it| Problem::bad_body("{\"table\": \"orders\"}", &it))?;
    let relations = app.board.relations();
    let of_source = relations.iter().filter(|it| !it.0.is_view && it.0.sources.contains(&index));
    let known: Vec<String> = of_source.map(|it| it.0.name.clone()).collect();
    let tables = match ask.table {
        None => known,
        Some(table) if known.contains(&table) => vec![table],
        Some(table) => {
            let detail = format!("source \"{name}\" has no table \"{table}\" that is followed");
            let problem = Problem::new(StatusCode::NOT_FOUND, "42P01", detail);
            return Err(problem.hint(format!("tables: {}", known.join(", "))));
        }
    };
    source.ask_resync(tables.iter().cloned());
    let answer = json!({ "source": name, "tables": tables });
    let bytes = serde_json::to_vec(&answer).map_err(|it| Problem::internal(it.to_string()))?;
    let mut response = json_response(bytes);
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
