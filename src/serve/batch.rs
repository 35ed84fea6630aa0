//! Many keys in one call: `POST /v1/views/{view}/batch` with `{"keys": [1, 2]}` or `{"keys": [[1, "a"], [2, "b"]]}`.
//!
//! The answer is `{"rows": […]}` in the order of the keys, `null` where there is no row. A row that cannot be shown
//! costs only itself: it is `null` too, and `"problems"` tells its place and why.

use std::sync::Arc;

use axum::response::Response;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::filter;
use super::json;
use super::problem::Problem;
use super::read::{json_response, write_row};
use super::router::App;
use super::served::Served;
use super::shown::{self, Shown};
use super::transit::Share;
use super::value::parse_json;
use crate::change::counted;
use crate::store::Epoch;

/// How many keys are looked up at a time.
const CHUNK: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    keys: Vec<Box<RawValue>>,
    select: Option<Vec<String>>,
}

/// `POST /v1/views/{view}/batch`
pub(crate) async fn batch(
    app: &App,
    served: &Arc<Served>,
    epoch: &Arc<Epoch>,
    body: Incoming,
) -> Result<Response, Problem> {
    filter::check_key(served)?;
    let body = app.body(body).await?;
    let ask: Ask = serde_json::from_slice(&body).map_err(|it| Problem::bad_body("{\"keys\": [1, 2]}", &it))?;
    if ask.keys.len() > app.options.max_rows {
        return Err(Problem::bad_request(format!(
            "at most {} may be asked for at once",
            counted(app.options.max_rows, "key")
        )));
    }
    let mut select = ask.select.as_ref().map(|it| shown::parse(served, &it.join(","))).transpose()?;
    if let Some(select) = &mut select {
        shown::prepare_casts(app, served, select)?;
    }
    let is_small = ask.keys.len() <= CHUNK;
    let (served, epoch, mut share) = (Arc::clone(served), Arc::clone(epoch), app.transit.share());
    let answer = async move {
        let bytes = answer(&served, &epoch, &ask.keys, select.as_deref(), &mut share).await?;
        Ok(share.body(bytes))
    };
    app.walkers.run(is_small, app.options.statement_timeout, || app.place(), answer).await.map(json_response)
}

async fn answer(
    served: &Served,
    epoch: &Epoch,
    keys: &[Box<RawValue>],
    select: Option<&[Shown]>,
    share: &mut Share,
) -> Result<Vec<u8>, Problem> {
    let mut out = b"{\"rows\":[".to_vec();
    let mut problems: Vec<(usize, Problem)> = Vec::new();
    for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
        let keys = keys.iter().map(|it| parse_key(served, it.get())).collect::<Result<Vec<_>, _>>()?;
        for (at, row) in (chunk * CHUNK..).zip(epoch.get_many(served.relation.id, &keys)?) {
            if at > 0 {
                out.push(b',');
            }
            let start = out.len();
            let written = row.map(|row| write_row(served, &row, select, &mut out));
            if !matches!(written, Some(Ok(()))) {
                out.truncate(start);
                out.extend_from_slice(b"null");
            }
            problems.extend(written.and_then(Result::err).map(|problem| (at, problem)));
        }
        share.cover(out.capacity()).await?;
        if keys.len() == CHUNK {
            // Others run in between, and who takes too long is ended.
            tokio::task::yield_now().await;
        }
    }
    out.push(b']');
    for (at, (row, problem)) in problems.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b",\"problems\":[{\"row\":" } else { b",{\"row\":" });
        json::write_int(*row, &mut out);
        out.extend_from_slice(b",\"problem\":");
        problem.write(&mut out);
        out.push(b'}');
    }
    out.extend_from_slice(if problems.is_empty() { b"}" } else { b"]}" });
    Ok(out)
}

/// The encoded key of a JSON value, or of an array of them for a composite key.
fn parse_key(served: &Served, json: &str) -> Result<Vec<u8>, Problem> {
    let schema = &served.relation.schema;
    let parts: Vec<&RawValue> = if json.starts_with('[') {
        serde_json::from_str(json).map_err(|it| Problem::bad_value(format!("{json}: {it}")))?
    } else {
        vec![serde_json::from_str(json).map_err(|it| Problem::bad_value(format!("{json}: {it}")))?]
    };
    if parts.len() != schema.address().count() {
        return Err(filter::wrong_parts(served, parts.len()));
    }
    let value = |(part, json): (&crate::change::KeyColumn, &&RawValue)| {
        let column = &schema.columns[part.column];
        parse_json(json.get(), column.data_type).map_err(|it| Problem::bad_value(format!("{}: {it}", column.name)))
    };
    let values = schema.address().zip(&parts).map(value).collect::<Result<Vec<_>, _>>()?;
    Ok(filter::encode(served, &values))
}
