//! Rows by filters: `GET /v1/views/{view}?…`, page by page, or all of them as lines.
//!
//! Pages follow each other by the last row's place in the order (a keyset), not by counting, so rows that come or go
//! meanwhile neither repeat nor hide others. The next page's address is in the `Link` header. Lines (NDJSON, CSV) may be
//! any number: they are sent as they are found, all from one epoch.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::access::{Cell, Path, choose, entry_key};
use super::condition::{Verdict, judge_all};
use super::filter::{self, Query};
use super::format::Format;
use super::problem::Problem;
use super::read::{header_value, matches_etag, not_modified, response, tagged};
use super::router::App;
use super::served::Served;
use super::transit::{Share, Writer};
use super::walk::{CHUNK, Hit, Walk};
use super::{json, percent, shown};
use crate::change::text::bytes::{read_hex, write_hex};
use crate::change::{Collation, Datum, Row, encode_datum};
use crate::store::Epoch;

/// A list of more rows is not begun beside sockets that others wait at.
const SMALL: usize = 256;
/// How many rows are written before others run.
const WRITTEN: usize = 256;
/// The most rows that are sorted only to be passed over.
const MAX_SORTED_OFFSET: usize = 100_000;

static ACCESS: HeaderName = HeaderName::from_static("vantage-access");
static ERRORS: HeaderName = HeaderName::from_static("vantage-errors");

/// `GET /v1/views/{view}?…`
pub(crate) async fn list(
    app: &App,
    served: &Arc<Served>,
    epoch: &Arc<Epoch>,
    head: &Parts,
) -> Result<Response, Problem> {
    let format = Format::asked(&head.headers)?;
    let mut query = filter::parse(served, head.uri.query().unwrap_or(""), format, &app.options)?;
    shown::prepare_casts(app, served, &mut query.select)?;
    let mut page = Page::new(app, Arc::clone(served), query, Arc::clone(epoch), format)?;
    let etag = page.etag();
    let access = header_value(page.access.clone());
    let mut response = if matches_etag(&head.headers, &etag) {
        not_modified(etag)
    } else if page.query.limit > app.options.max_rows {
        let (max_rows, max_scanned) = (app.options.max_rows, app.options.max_scanned_rows);
        let begin = async move {
            let first = page.begin_lines(max_rows, max_scanned).await?;
            Ok((page, first))
        };
        let (mut page, first) = app.walkers.run(false, app.options.statement_timeout, || app.place(), begin).await?;
        let (mut writer, reply) = app.transit.answer();
        app.walkers.spawn(async move {
            let result = page.lines(first, max_scanned, &mut writer).await;
            writer.end(result).await;
        });
        tagged(response(format, reply.body().await?), etag)
    } else {
        let max_scanned = app.options.max_scanned_rows;
        let is_small = page.query.limit.saturating_add(page.query.offset) <= SMALL;
        let read = async move {
            let (body, next) = page.read(max_scanned).await?;
            Ok((page, body, next))
        };
        let read = app.walkers.run(is_small, app.options.statement_timeout, || app.place(), read).await?;
        let (mut page, body, next) = read;
        let (skip_errors, skipped) = (page.query.skip_errors, page.skipped);
        let rest = std::mem::take(&mut page.query.rest);
        let mut response = tagged(response(format, page.share.body(body)), etag);
        if skip_errors {
            response.headers_mut().insert(&ERRORS, HeaderValue::from(skipped));
        }
        if let Some(next) = next {
            let view = percent::encode(&served.relation.name);
            let and = if rest.is_empty() { "" } else { "&" };
            let link = format!("</v1/views/{view}?{rest}{and}cursor={next}>; rel=\"next\"");
            response.headers_mut().insert(header::LINK, header_value(link));
        }
        response
    };
    response.headers_mut().insert(&ACCESS, access);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// One page: a query, the path chosen for it, and where it begins.
struct Page {
    served: Arc<Served>,
    query: Query,
    epoch: Arc<Epoch>,
    format: Format,
    path: Path,
    /// How the rows are found, for people who wonder why a list is slow.
    access: String,
    /// What a cursor and a tag are bound to: the shape of the relation, the request, and the path, which may change with
    /// the view files.
    identity: u64,
    /// Where the columns of the answer lie.
    cells: Vec<Cell>,
    walk: Walk,
    /// The place of the last row of the page before, in an order the path does not have.
    after: Option<Vec<u8>>,
    /// How many rows with error cells were left out.
    skipped: u64,
    /// The room that rows and answer take until they are sent.
    share: Share,
}

impl Page {
    fn new(app: &App, served: Arc<Served>, query: Query, epoch: Arc<Epoch>, format: Format) -> Result<Page, Problem> {
        let mut path = choose(&served, &query.conditions, &query.order, &query.needed());
        let access = access(&path, &served);
        let bound_to = (served.shape, &query.rest, &access, query.limit, format);
        let identity = foldhash::quality::FixedState::with_seed(1).hash_one(bound_to);
        let mut after = query.cursor.as_deref().map(|it| place_in(it, identity)).transpose()?;
        let ranges = std::mem::take(&mut path.ranges);
        let walk = Walk::new(&path, &served, ranges, after.take_if(|_| path.ordered).as_deref());
        let cells = query.select.iter().map(|shown| path.cell(&served, shown.column)).collect();
        let share = app.transit.share();
        Ok(Page { served, query, epoch, format, path, access, identity, cells, walk, after, skipped: 0, share })
    }

    /// The same as long as nothing changes that the answer depends on.
    fn etag(&self) -> HeaderValue {
        let mut tag = Vec::with_capacity(64);
        tag.extend_from_slice(b"W/\"");
        json::write_int(self.epoch.incarnation(), &mut tag);
        tag.push(b'-');
        json::write_int(self.epoch.number(), &mut tag);
        tag.push(b'-');
        write_hex(&self.identity.to_be_bytes(), &mut tag);
        tag.push(b'"');
        header_value(tag)
    }

    /// The rows, and the cursor of the next page.
    async fn read(&mut self, max_scanned: usize) -> Result<(Vec<u8>, Option<String>), Problem> {
        let mut body = Vec::new();
        self.format.open(self.query.select.iter().map(|it| it.name(&self.served)), &mut body);
        let mut next = None;
        if self.query.limit > 0 {
            self.look_at_errors(max_scanned).await?;
            let found =
                if self.path.ordered { self.in_order(max_scanned).await? } else { self.sorted(max_scanned).await? };
            let rows = &found[..found.len().min(self.query.limit)];
            let held: usize = rows.iter().map(Hit::bytes).sum();
            let bytes = 64 + 128 * rows.len() + held + held / 8;
            self.share.cover(held + bytes).await?;
            body.reserve(bytes);
            for (at, hits) in rows.chunks(WRITTEN).enumerate() {
                for (within, hit) in hits.iter().enumerate() {
                    self.write(&hit.row, at + within == 0, &mut body)?;
                }
                if hits.len() == WRITTEN {
                    tokio::task::yield_now().await;
                }
            }
            let last = rows.last().filter(|_| found.len() > rows.len());
            next = last.map(|hit| self.cursor(hit));
        }
        self.format.close(&mut body);
        Ok((body, next))
    }

    /// What is done before the first line is sent: rows in an order that the path does not have are all found first.
    async fn begin_lines(&mut self, max_rows: usize, max_scanned: usize) -> Result<Option<Vec<Hit>>, Problem> {
        if self.query.skip_errors {
            let detail = "errors=skip tells how many rows it left out, which lines without a limit cannot";
            return Err(Problem::bad_request(detail).hint(format!("add limit={max_rows}")));
        }
        self.look_at_errors(max_scanned).await?;
        if self.path.ordered {
            return Ok(None);
        }
        let limit = std::mem::replace(&mut self.query.limit, max_rows);
        let found = self.sorted(max_scanned).await?;
        self.query.limit = limit;
        if found.len() <= max_rows {
            return Ok(Some(found));
        }
        let detail = format!("more than {max_rows} rows cannot be sorted for an answer");
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "54000", detail)
            .hint("declare an index with this order, leave the order out, or add a limit"))
    }

    /// Sends the rows as lines: those that were `found` before, or all on the path.
    async fn lines(&mut self, found: Option<Vec<Hit>>, max_scanned: usize, writer: &mut Writer) -> Result<(), Problem> {
        self.format.open(self.query.select.iter().map(|it| it.name(&self.served)), writer.out());
        if let Some(found) = found {
            for hit in &found {
                self.write(&hit.row, true, writer.out())?;
                writer.flow().await?;
            }
            return Ok(());
        }
        let mut written = 0;
        while let Some(hits) = self.walk.next(&self.epoch, &self.served, CHUNK)? {
            for hit in hits {
                if !self.admits(&hit.row)? || self.is_passed_over() {
                    continue;
                }
                self.write(&hit.row, true, writer.out())?;
                writer.flow().await?;
                written += 1;
                if written == self.query.limit {
                    return Ok(());
                }
            }
            self.pause(self.walk.examined(), max_scanned.saturating_add(written)).await?;
        }
        Ok(())
    }

    /// Whether a row that belongs to the answer is one of those in front of it.
    fn is_passed_over(&mut self) -> bool {
        let passed = self.query.offset > 0;
        self.query.offset -= usize::from(passed);
        passed
    }

    /// Where the path passes rows by because a column they are found by could not be computed, the answer would be
    /// without rows that perhaps belong to it: they fail the request, or are counted.
    async fn look_at_errors(&mut self, max_scanned: usize) -> Result<(), Problem> {
        let mut walk = Walk::over_errors(&self.path, &self.served, &self.epoch)?;
        while let Some(hits) = walk.next(&self.epoch, &self.served, usize::MAX)? {
            for Hit { row, .. } in &hits {
                let schema = &self.served.relation.schema;
                let cell = |column| row.get(column, schema.data_type(column));
                match judge_all(&self.query.conditions, &self.query.filters, cell) {
                    Verdict::Error(..) if self.query.skip_errors => self.skipped += 1,
                    Verdict::Error(column, message) => return Err(self.served.error_cell(row, column, message)),
                    Verdict::Passes | Verdict::Fails => {}
                }
            }
            self.pause(walk.examined(), max_scanned).await?;
        }
        Ok(())
    }

    /// Rows in the path's own order; one more than asked for when there are more.
    async fn in_order(&mut self, max_scanned: usize) -> Result<Vec<Hit>, Problem> {
        let wanted = self.query.limit + 1;
        let mut rows = Vec::with_capacity(wanted.min(CHUNK));
        let unfiltered = self.path.residual.is_empty() && self.query.filters.is_empty();
        loop {
            let chunk = if unfiltered { (wanted - rows.len()).saturating_add(self.query.offset) } else { usize::MAX };
            for hit in self.walk.next(&self.epoch, &self.served, chunk)?.into_iter().flatten() {
                if self.admits(&hit.row)? && !self.is_passed_over() {
                    rows.push(hit);
                    if rows.len() == wanted {
                        return Ok(rows);
                    }
                }
            }
            if self.walk.is_at_end() {
                return Ok(rows);
            }
            self.share.cover(rows.iter().map(Hit::bytes).sum()).await?;
            self.pause(self.walk.examined(), max_scanned).await?;
        }
    }

    /// The first rows in an order the path does not have: all are looked at, few are kept.
    async fn sorted(&mut self, max_scanned: usize) -> Result<Vec<Hit>, Problem> {
        if self.query.offset > MAX_SORTED_OFFSET {
            let detail = format!("offset={} in an order that no index has", self.query.offset);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "54000", detail)
                .hint("declare an index with this order, or follow the Link header page by page"));
        }
        let wanted = self.query.offset + self.query.limit + 1;
        let mut best: BTreeMap<Vec<u8>, Hit> = BTreeMap::new();
        while let Some(hits) = self.walk.next(&self.epoch, &self.served, usize::MAX)? {
            for hit in hits {
                if !self.admits(&hit.row)? {
                    continue;
                }
                let place = self.place(&hit.row);
                let too_late = best.len() == wanted && best.last_key_value().is_some_and(|(last, _)| place >= *last);
                if too_late || self.after.as_ref().is_some_and(|it| place <= *it) {
                    continue;
                }
                best.insert(place, hit);
                if best.len() > wanted {
                    best.pop_last();
                }
            }
            self.share.cover(best.values().map(Hit::bytes).sum()).await?;
            self.pause(self.walk.examined(), max_scanned).await?;
        }
        Ok(best.into_values().skip(self.query.offset).collect())
    }

    /// Lets others run, and ends a walk that looks at too much.
    async fn pause(&mut self, examined: usize, max_scanned: usize) -> Result<(), Problem> {
        if examined > max_scanned {
            let detail =
                format!("the request looked at more than {max_scanned} rows of \"{}\"", self.served.relation.name);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "54000", detail)
                .hint("declare an index whose columns are the filtered ones, then the ordered ones"));
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Whether a row the path led to belongs to the answer.
    fn admits(&mut self, row: &Row) -> Result<bool, Problem> {
        match judge_all(&self.path.residual, &self.query.filters, |column| self.cell(row, column)) {
            Verdict::Fails => return Ok(false),
            Verdict::Error(column, message) if !self.query.skip_errors => return Err(self.error(row, column, message)),
            Verdict::Passes if !self.query.skip_errors || !self.has_error(row) => return Ok(true),
            Verdict::Passes | Verdict::Error(..) => {}
        }
        self.skipped += 1;
        Ok(false)
    }

    /// Whether a column of the answer or of its order could not be computed.
    fn has_error(&self, row: &Row) -> bool {
        let ordering = self.query.order.iter().map(|it| it.column);
        let mut needed = self.query.select.iter().map(|it| it.column).chain(ordering);
        row.undecided().is_some()
            || row.has_errors() && needed.any(|column| matches!(self.cell(row, column), Datum::Error(_)))
    }

    /// The row's place in the order asked for, completed by its key. An error stands between the values and NULL, as it
    /// does in an index.
    fn place(&self, row: &Row) -> Vec<u8> {
        let mut place = Vec::new();
        for part in &self.query.order {
            encode_datum(self.cell(row, part.column), *part, Collation::Binary, &mut place);
        }
        place.extend_from_slice(if self.path.covering { entry_key(row) } else { row.key() });
        place
    }

    /// What continues behind `hit`.
    fn cursor(&self, hit: &Hit) -> String {
        let mut cursor = Vec::new();
        write_hex(&self.identity.to_be_bytes(), &mut cursor);
        match self.path.ordered {
            true => write_hex(hit.path_key(), &mut cursor),
            false => write_hex(&self.place(&hit.row), &mut cursor),
        }
        // Digits are ASCII.
        String::from_utf8(cursor).unwrap_or_default()
    }

    fn error(&self, row: &Row, column: usize, message: &str) -> Problem {
        self.problem(row, |row| self.served.error_cell(row, column, message))
    }

    /// What is wrong with the row of the relation that `row`, perhaps an entry of an index, stands for.
    fn problem(&self, row: &Row, wrong: impl FnOnce(&Row) -> Problem) -> Problem {
        self.path.base_row(&self.epoch, &self.served, row).map_or_else(Problem::from, |row| wrong(&row))
    }

    fn cell<'r>(&self, row: &'r Row, column: usize) -> Datum<'r> {
        self.path.cell(&self.served, column).of(row)
    }

    /// Appends a row of the answer. Where it stands must be known, so an error in the order is one of the answer.
    fn write(&self, row: &Row, is_first: bool, out: &mut Vec<u8>) -> Result<(), Problem> {
        if let Some(reason) = row.undecided() {
            return Err(self.problem(row, |row| self.served.undecided_row(row, reason)));
        }
        if row.has_errors() {
            for part in &self.query.order {
                if let Datum::Error(message) = self.cell(row, part.column) {
                    return Err(self.error(row, part.column, message));
                }
            }
        }
        let select = &self.query.select;
        self.format.row(is_first, select.len(), out, |at, is_label, out| {
            let (shown, cell) = (&select[at], self.cells[at]);
            if is_label {
                out.extend_from_slice(shown.label(&self.served));
                return Ok(());
            }
            shown.write(cell.of(row), cell.data_type, out).map_err(|message| self.error(row, shown.column, &message))
        })
    }
}

fn access(path: &Path, served: &Served) -> String {
    let mut access = match path.index {
        // Any name can be sent in a header this way.
        Some(at) => format!("index {}", percent::encode(&served.relation.indexes[at].name)),
        None if path.full => "scan".into(),
        None => "key".into(),
    };
    access += if path.ordered { "" } else { " sort" };
    access
}

/// The place a cursor stands for, if it was made for this `identity`.
fn place_in(cursor: &str, identity: u64) -> Result<Vec<u8>, Problem> {
    let bytes = read_hex(cursor).unwrap_or_default();
    match bytes.split_first_chunk() {
        Some((made_for, place)) if *made_for == identity.to_be_bytes() => Ok(place.to_vec()),
        _ => Err(Problem::bad_request("the cursor does not belong to this request")
            .hint("follow the Link header as it is; start again without a cursor when filters change")),
    }
}
