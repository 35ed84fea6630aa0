//! One row by key: `GET /v1/views/{view}/{key}`, the hottest route.
//!
//! It does a hash look-up of the view, one key encoding, one store read and one pass over the row; no plan, no
//! intermediate values.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::filter;
use super::json;
use super::problem::Problem;
use super::router::App;
use super::served::Served;
use super::wait;
use crate::change::{Row, Value};
use crate::store::Epoch;

/// `GET /v1/views/{view}/{key}?select=…`
pub(crate) async fn keyed(app: &App, request: &Parts, view: &str, key: &str) -> Result<Response, Problem> {
    let directory = app.directory();
    let served = directory.find(view)?;
    served.check_live()?;
    let values = filter::parse_key(served, key)?;
    let select = match request.uri.query() {
        None => None,
        Some(raw) => Some(filter::parse_select_only(served, raw)?),
    };
    let epoch = wait::epoch_for(&app.board, &app.options, &request.headers).await?;
    let row = epoch.get(served.relation.id, &filter::encode(served, &values))?;
    let row = row.ok_or_else(|| absent(served, &values))?;
    let mut body = Vec::with_capacity(64 + 2 * row.as_bytes().len());
    write_row(served, &row, select.as_deref(), &mut body)?;
    let etag = row_etag(&epoch, &body);
    let mut response = if matches_etag(&request.headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json_response(body)
    };
    insert(response.headers_mut(), header::ETAG, &etag);
    app.describe(&mut response, &epoch, &served.relation.sources);
    Ok(response)
}

/// The problem of a key that has no row.
pub(crate) fn absent(served: &Served, values: &[Value]) -> Problem {
    let schema = &served.relation.schema;
    let pairs = schema.key.iter().zip(values).map(|(part, value)| {
        let column = &schema.columns[part.column];
        let mut text = Vec::new();
        // Key values come from the request and are never error cells.
        let _ = json::write_datum(value.as_datum(), column.data_type, &mut text);
        format!("{} = {}", column.name, String::from_utf8_lossy(&text))
    });
    let pairs: Vec<String> = pairs.collect();
    let detail = format!("\"{}\" has no row with {}", served.relation.name, pairs.join(", "));
    Problem::new(StatusCode::NOT_FOUND, "02000", detail)
}

/// Appends the columns `select` of `row` (all visible ones when absent) as a JSON object.
pub(crate) fn write_row(
    served: &Served,
    row: &Row,
    select: Option<&[usize]>,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let mut before = b'{';
    let mut write = |column: usize, out: &mut Vec<u8>| {
        let it = &served.relation.schema.columns[column];
        out.push(before);
        before = b',';
        json::write_text(&it.name, out);
        out.push(b':');
        json::write_datum(row.get(column, it.data_type), it.data_type, out)
            .map_err(|message| served.error_cell(row, column, message))
    };
    match select {
        Some(select) => select.iter().try_for_each(|column| write(*column, out))?,
        None => (0..served.relation.schema.visible).try_for_each(|column| write(column, out))?,
    }
    if before == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(())
}

/// A 200 with a JSON body.
pub(crate) fn json_response(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A strong tag of the bytes a client gets; the incarnation makes sure that none of a lost epoch is honoured again.
fn row_etag(epoch: &Epoch, body: &[u8]) -> String {
    use std::hash::{BuildHasher, Hasher};
    // Two independent seeds make 128 bits, so that a chance collision is out of the question.
    let hash = |seed: u64| {
        let mut hasher = foldhash::quality::FixedState::with_seed(seed).build_hasher();
        hasher.write(body);
        hasher.finish()
    };
    format!("\"{:x}-{:016x}{:016x}\"", epoch.incarnation(), hash(0x5eed), hash(0xfeed))
}

/// Whether `If-None-Match` names `etag`, by weak comparison as the RFC asks for.
pub(crate) fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    let strong = etag.trim_start_matches("W/");
    let listed = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|it| it.to_str().ok());
    listed.flat_map(|it| it.split(',')).map(str::trim).any(|it| it == "*" || it.trim_start_matches("W/") == strong)
}

/// Sets a header whose value is known to be printable.
pub(crate) fn insert(headers: &mut HeaderMap, name: impl header::IntoHeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
