//! One row by key: `GET /v1/views/{view}/{key}`, the hottest route.
//!
//! It does a hash look-up of the view, one key encoding, one store read and one pass over the row; no plan, no
//! intermediate values.

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::format::Format;
use super::problem::Problem;
use super::router::App;
use super::served::Served;
use super::shown::{self, Shown};
use super::{filter, json};
use crate::change::text::bytes::write_hex;
use crate::change::{Row, Value};
use crate::store::Epoch;

/// How many headers an answer may have, so that their map need not grow.
const HEADERS: usize = 10;

/// `GET /v1/views/{view}/{key}?select=…`
pub(crate) fn keyed(app: &App, served: &Served, epoch: &Epoch, head: &Parts, key: &str) -> Result<Response, Problem> {
    let values = filter::parse_key(served, key)?;
    let mut select = match head.uri.query() {
        None => None,
        Some(raw) => filter::parse_select_only(served, raw)?,
    };
    if let Some(select) = &mut select {
        shown::prepare_casts(app, served, select)?;
    }
    let row = epoch.get(served.relation.id, &filter::encode(served, &values))?;
    let row = row.ok_or_else(|| absent(served, &values))?;
    let mut body = Vec::with_capacity(64 + 2 * row.as_bytes().len());
    write_row(served, &row, select.as_deref(), &mut body)?;
    let etag = row_etag(epoch, &body);
    Ok(if matches_etag(&head.headers, &etag) { not_modified(etag) } else { tagged(json_response(body), etag) })
}

/// The problem of a key that has no row.
pub(crate) fn absent(served: &Served, values: &[Value]) -> Problem {
    let schema = &served.relation.schema;
    let pairs = schema.address().zip(values).map(|(part, value)| {
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
    select: Option<&[Shown]>,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    served.check_decided(row)?;
    let mut before = b'{';
    let mut write = |shown: &Shown, out: &mut Vec<u8>| {
        out.push(before);
        before = b',';
        out.extend_from_slice(shown.label(served));
        let data_type = served.relation.schema.data_type(shown.column);
        shown
            .write(row.get(shown.column, data_type), data_type, out)
            .map_err(|message| served.error_cell(row, shown.column, &message))
    };
    match select {
        Some(select) => select.iter().try_for_each(|shown| write(shown, out))?,
        None => (0..served.relation.schema.visible).try_for_each(|column| write(&Shown::plain(column), out))?,
    }
    if before == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(())
}

/// A 200 with a JSON body.
pub(crate) fn json_response(body: impl Into<Body>) -> Response {
    response(Format::Json, body.into())
}

/// A 200 with a body of this format.
pub(crate) fn response(format: Format, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().reserve(HEADERS);
    response.headers_mut().insert(header::CONTENT_TYPE, format.content_type());
    response
}

/// A 304: what the client has under `etag` is what it would get.
pub(crate) fn not_modified(etag: HeaderValue) -> Response {
    tagged(StatusCode::NOT_MODIFIED.into_response(), etag)
}

/// `response` with its tag.
pub(crate) fn tagged(mut response: Response, etag: HeaderValue) -> Response {
    response.headers_mut().insert(header::ETAG, etag);
    response
}

/// A strong tag of the bytes a client gets; the incarnation makes sure that none of a lost epoch is honoured again.
fn row_etag(epoch: &Epoch, body: &[u8]) -> HeaderValue {
    use std::hash::{BuildHasher, Hasher};
    // Two independent seeds make 128 bits, so that a chance collision is out of the question.
    let hash = |seed: u64| {
        let mut hasher = foldhash::quality::FixedState::with_seed(seed).build_hasher();
        hasher.write(body);
        hasher.finish().to_be_bytes()
    };
    let mut tag = Vec::with_capacity(64);
    tag.push(b'"');
    json::write_int(epoch.incarnation(), &mut tag);
    tag.push(b'-');
    write_hex(&hash(0x5eed), &mut tag);
    write_hex(&hash(0xfeed), &mut tag);
    tag.push(b'"');
    header_value(tag)
}

/// Whether `If-None-Match` names `etag`, by weak comparison as the RFC asks for.
pub(crate) fn matches_etag(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let etag = strong(etag.as_bytes());
    let listed = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let mut tags = listed.flat_map(|it| it.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    tags.any(|it| it == b"*" || strong(it) == etag)
}

/// `tag` without the mark of weak tags.
fn strong(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// A header's value; empty should it hold control characters, which nothing written here does.
pub(crate) fn header_value(text: impl Into<Bytes>) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.into()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
