//! Rows by filters: `GET /v1/views/{view}?…`, page by page.
//!
//! Pages follow each other by the last row's place in the order (a keyset), not by counting, so rows that come or go
//! meanwhile neither repeat nor hide others. The next page's address is in the `Link` header.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::{Hit, Path, Walk, choose, entry_key};
use super::filter::{self, Query};
use super::json;
use super::percent;
use super::problem::Problem;
use super::read::{insert, json_response, matches_etag};
use super::router::App;
use super::served::Served;
use super::wait;
use crate::change::{Datum, encode_datum};
use crate::store::Epoch;

/// `GET /v1/views/{view}?…`
pub(crate) async fn list(app: &App, request: &Parts, view: &str) -> Result<Response, Problem> {
    let directory = app.directory();
    let served = directory.find(view)?;
    served.check_live()?;
    let query = filter::parse(served, request.uri.query().unwrap_or(""), &app.options)?;
    let epoch = wait::epoch_for(&app.board, &app.options, &request.headers).await?;
    let etag = format!("W/\"{}-{}\"", epoch.incarnation(), epoch.number());
    let page = Page::new(served, &query, &epoch)?;
    let mut response = if matches_etag(&request.headers, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let read = page.read(app.options.max_scanned_rows);
        let answer = tokio::time::timeout(app.options.statement_timeout, read).await;
        let (body, next) = answer.map_err(|_| Problem::timeout())??;
        let mut response = json_response(body);
        if query.skip_errors {
            insert(response.headers_mut(), "vantage-errors", &page.skipped.load(Ordering::Relaxed).to_string());
        }
        if let Some(next) = next {
            let and = if query.rest.is_empty() { "" } else { "&" };
            let link = format!("</v1/views/{}?{}{and}cursor={next}>; rel=\"next\"", percent::encode(view), query.rest);
            insert(response.headers_mut(), header::LINK, &link);
        }
        response
    };
    insert(response.headers_mut(), header::ETAG, &etag);
    insert(response.headers_mut(), "vantage-access", &page.access());
    app.describe(&mut response, &epoch, &served.relation.sources);
    Ok(response)
}

/// One page: a query, the path chosen for it, and where it begins.
struct Page<'a> {
    served: &'a Served,
    query: &'a Query,
    epoch: &'a Epoch,
    path: Path,
    after: Option<Vec<u8>>,
    /// How many rows with error cells were left out.
    skipped: AtomicUsize,
}

impl<'a> Page<'a> {
    fn new(served: &'a Served, query: &'a Query, epoch: &'a Epoch) -> Result<Page<'a>, Problem> {
        let mut needed = query.select.clone();
        needed.extend(query.order.iter().map(|it| it.column));
        let path = choose(served, &query.conditions, &query.order, &needed);
        let mut page = Page { served, query, epoch, path, after: None, skipped: AtomicUsize::new(0) };
        if let Some(cursor) = &query.cursor {
            let foreign = || {
                Problem::bad_request("the cursor does not belong to this request")
                    .hint("follow the Link header as it is; start again without a cursor when filters change")
            };
            let bytes = from_hex(cursor).filter(|it| it.len() >= 8).ok_or_else(foreign)?;
            if bytes[..8] != page.identity() {
                return Err(foreign());
            }
            page.after = Some(bytes[8..].to_vec());
        }
        Ok(page)
    }

    /// How the rows are found, for people who wonder why a list is slow.
    fn access(&self) -> String {
        let sort = if self.path.ordered { "" } else { " sort" };
        match self.path.index {
            Some(at) => format!("index {}{sort}", self.served.relation.indexes[at].name),
            None if self.path.full => format!("scan{sort}"),
            None => format!("key{sort}"),
        }
    }

    /// The rows as a JSON array, and the cursor of the next page.
    async fn read(&self, max_scanned: usize) -> Result<(Vec<u8>, Option<String>), Problem> {
        if self.query.limit == 0 {
            return Ok((b"[]".to_vec(), None));
        }
        let rows = if self.path.ordered { self.in_order(max_scanned).await? } else { self.sorted(max_scanned).await? };
        let more = rows.len() > self.query.limit;
        let rows = &rows[..rows.len().min(self.query.limit)];
        let mut body = Vec::with_capacity(64 + 128 * rows.len());
        for (at, (_, hit)) in rows.iter().enumerate() {
            body.push(if at == 0 { b'[' } else { b',' });
            self.write(hit, &mut body)?;
        }
        if rows.is_empty() {
            body.push(b'[');
        }
        body.push(b']');
        let last = rows.last().filter(|_| more);
        Ok((body, last.map(|(place, _)| to_hex(&[&self.identity()[..], place].concat()))))
    }

    /// Rows in the path's own order; one more than asked for when there are more. The place of a row is its path key.
    async fn in_order(&self, max_scanned: usize) -> Result<Vec<(Vec<u8>, Hit)>, Problem> {
        let wanted = self.query.limit + 1;
        let mut walk = Walk::new(&self.path, self.after.as_deref());
        let mut rows = Vec::new();
        loop {
            let chunk = if self.path.residual.is_empty() { wanted - rows.len() } else { usize::MAX };
            let hits = walk.next(self.epoch, self.served, &self.path, chunk)?;
            if hits.is_empty() {
                return Ok(rows);
            }
            for hit in hits {
                if self.passes(&hit)? {
                    rows.push((hit.at.key().to_vec(), hit));
                    if rows.len() == wanted {
                        return Ok(rows);
                    }
                }
            }
            self.pause(&walk, max_scanned).await?;
        }
    }

    /// The first rows in an order the path does not have: all are looked at, few are kept.
    async fn sorted(&self, max_scanned: usize) -> Result<Vec<(Vec<u8>, Hit)>, Problem> {
        let wanted = self.query.limit + 1;
        let mut walk = Walk::new(&self.path, None);
        let mut best: BTreeMap<Vec<u8>, Hit> = BTreeMap::new();
        loop {
            let hits = walk.next(self.epoch, self.served, &self.path, usize::MAX)?;
            if hits.is_empty() {
                return Ok(best.into_iter().collect());
            }
            for hit in hits {
                if !self.passes(&hit)? {
                    continue;
                }
                let place = self.place(&hit)?;
                let too_late = best.len() == wanted && best.last_key_value().is_some_and(|(last, _)| place >= *last);
                if too_late || self.after.as_ref().is_some_and(|it| place <= *it) {
                    continue;
                }
                best.insert(place, hit);
                if best.len() > wanted {
                    best.pop_last();
                }
            }
            self.pause(&walk, max_scanned).await?;
        }
    }

    /// Lets others run, and ends a walk that looks at too much.
    async fn pause(&self, walk: &Walk, max_scanned: usize) -> Result<(), Problem> {
        if walk.examined() > max_scanned {
            let detail =
                format!("the request looked at more than {max_scanned} rows of \"{}\"", self.served.relation.name);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "54000", detail)
                .hint("declare an index whose columns are the filtered ones, then the ordered ones"));
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    fn passes(&self, hit: &Hit) -> Result<bool, Problem> {
        if self.query.skip_errors && self.has_error(hit) {
            self.skipped.fetch_add(1, Ordering::Relaxed);
            return Ok(false);
        }
        for condition in &self.path.residual {
            let cell = self.cell(hit, condition.column);
            let passes = condition.passes(cell);
            if !passes.map_err(|message| self.error(hit, condition.column, message))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a column the request needs could not be computed.
    fn has_error(&self, hit: &Hit) -> bool {
        let ordering = self.query.order.iter().map(|it| it.column);
        let residual = self.path.residual.iter().map(|it| it.column);
        let mut needed = self.query.select.iter().copied().chain(ordering).chain(residual);
        needed.any(|column| matches!(self.cell(hit, column), Datum::Error(_)))
    }

    /// The row's place in the order asked for, completed by its key.
    fn place(&self, hit: &Hit) -> Result<Vec<u8>, Problem> {
        let mut place = Vec::new();
        for part in &self.query.order {
            let cell = self.cell(hit, part.column);
            if let Datum::Error(message) = cell {
                return Err(self.error(hit, part.column, message));
            }
            encode_datum(cell, *part, crate::change::Collation::Binary, &mut place);
        }
        place.extend_from_slice(if self.path.covering { entry_key(&hit.row) } else { hit.row.key() });
        Ok(place)
    }

    fn error(&self, hit: &Hit, column: usize, message: &str) -> Problem {
        match self.path.base_row(self.epoch, self.served, &hit.row) {
            Ok(row) => self.served.error_cell(&row, column, message),
            Err(problem) => problem.into(),
        }
    }

    fn cell<'r>(&self, hit: &'r Hit, column: usize) -> Datum<'r> {
        self.path.cell(self.served, &hit.row, column)
    }

    fn write(&self, hit: &Hit, out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut before = b'{';
        for &column in &self.query.select {
            let it = &self.served.relation.schema.columns[column];
            out.push(before);
            before = b',';
            json::write_text(&it.name, out);
            out.push(b':');
            json::write_datum(self.cell(hit, column), it.data_type, out)
                .map_err(|message| self.error(hit, column, message))?;
        }
        if before == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }

    /// What a cursor is bound to: the request without it, and the path, which may change with the view files.
    fn identity(&self) -> [u8; 8] {
        let mut hasher = foldhash::quality::FixedState::with_seed(1).build_hasher();
        hasher.write(self.served.relation.name.as_bytes());
        hasher.write_u8(0);
        hasher.write(self.query.rest.as_bytes());
        hasher.write_u8(0);
        hasher.write(self.access().as_bytes());
        hasher.finish().to_be_bytes()
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|it| it as u8);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| if let [high, low] = pair { Some(digit(*high)? << 4 | digit(*low)?) } else { None }).collect()
}
