//! `Vantage-After`: a read that waits until the epoch it sees includes what its caller wrote.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::options::ServeOptions;
use super::problem::Problem;
use super::router::App;
use super::served::Served;
use super::snapshot::Snapshot;
use crate::change::{Mark, Position, SourceHealth};
use crate::store::Board;

const DEFAULT_WAIT: Duration = Duration::from_millis(1000);
/// A source's health changes without a publication; after this time at the latest it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

static AFTER: HeaderName = HeaderName::from_static("vantage-after");
static TIMEOUT_MS: HeaderName = HeaderName::from_static("vantage-timeout-ms");

/// A place in a source's log that a request wants to see.
struct Wanted<'a> {
    /// Index of the source.
    source: usize,
    mark: Mark<'a>,
}

impl Wanted<'_> {
    /// Whether `position`, how far the source called `name` was read, lacks it, in words.
    fn missing(&self, name: &str, position: Option<&Position>) -> Option<String> {
        let Some(position) = position else { return Some(format!("{name} has not been read yet")) };
        match position.at(self.mark.part) {
            Some(at) if at >= self.mark.at => None,
            Some(at) => Some(format!("{name} is at {}, not yet at {}", Mark { at, ..self.mark }, self.mark)),
            // A log may get more parts.
            None => Some(format!("{name} has no part {} yet", self.mark.part)),
        }
    }

    /// Whether it can never be a place of the source called `name`, in words.
    fn misfit(&self, name: &str, position: &Position) -> Option<String> {
        let has_parts = !position.parts.contains_key(Position::WHOLE);
        let fits = position.notation == self.mark.notation && has_parts == (self.mark.part != Position::WHOLE);
        let example = position.marks().next().filter(|_| !fits)?;
        Some(format!(
            "Vantage-After names {name}@{}, but a position of that source is like {name}@{example}",
            self.mark
        ))
    }
}

/// What to read `relations` in: the newest epoch, once it includes every position the request names.
pub(crate) async fn snapshot_for(
    app: &App,
    headers: &HeaderMap,
    relations: &[Arc<Served>],
) -> Result<Snapshot, Problem> {
    let (board, options) = (&app.board, &app.options);
    if !headers.contains_key(&AFTER) {
        return Snapshot::of(board, relations);
    }
    let mut after = Vec::new();
    // Several lines of one header are one list.
    for line in headers.get_all(&AFTER) {
        after.extend(parse_after(board, line.to_str().unwrap_or("?"))?);
    }
    wait(board, &after, timeout(options, headers)?, relations).await
}

fn parse_after<'a>(board: &Board, text: &'a str) -> Result<Vec<Wanted<'a>>, Problem> {
    let entry = |entry: &'a str| {
        let form = || Problem::bad_request("Vantage-After must be like catalog@17,orders@0:1842,stock@0/16B3748");
        let (name, mark) = entry.trim().rsplit_once('@').ok_or_else(form)?;
        let mark = Mark::parse(mark).ok_or_else(form)?;
        match board.sources().iter().position(|it| it.name == name) {
            Some(source) => {
                let wanted = Wanted { source, mark };
                let misfit = board.epoch().positions().get(name).and_then(|it| wanted.misfit(name, it));
                misfit.map_or(Ok(wanted), |it| Err(Problem::bad_request(it)))
            }
            None => {
                let names: Vec<&str> = board.sources().iter().map(|it| it.name.as_str()).collect();
                let hint = format!("the sources are {}", names.join(", "));
                Err(Problem::bad_request(format!("Vantage-After names an unknown source \"{name}\"")).hint(hint))
            }
        }
    };
    text.split(',').map(entry).collect()
}

fn timeout(options: &ServeOptions, headers: &HeaderMap) -> Result<Duration, Problem> {
    let Some(text) = headers.get(&TIMEOUT_MS) else { return Ok(DEFAULT_WAIT.min(options.max_wait)) };
    let millis = text.to_str().ok().and_then(|it| it.parse().ok());
    let millis = millis.ok_or_else(|| Problem::bad_request("Vantage-Timeout-Ms must be a number of milliseconds"))?;
    Ok(Duration::from_millis(millis).min(options.max_wait))
}

async fn wait(
    board: &Board,
    after: &[Wanted<'_>],
    timeout: Duration,
    relations: &[Arc<Served>],
) -> Result<Snapshot, Problem> {
    // Subscribing before the first look makes sure that no publication falls between look and wait.
    let mut published = board.subscribe();
    let name = |it: &Wanted<'_>| &board.sources()[it.source].name;
    let reached = async {
        loop {
            // In this order: a copy that ends in between is in the epoch.
            let copying = after.iter().any(|it| is_copied_again(board, it.source));
            let snapshot = Snapshot::of(board, relations)?;
            if !copying && after.iter().all(|it| it.missing(name(it), snapshot.position(name(it))).is_none()) {
                return Ok::<_, Problem>(snapshot);
            }
            // Whether it was a publication that ended the wait does not matter.
            let _ = tokio::time::timeout(LOOK_AGAIN, published.changed()).await;
        }
    };
    if let Ok(outcome) = tokio::time::timeout(timeout, reached).await {
        return outcome;
    }
    let snapshot = Snapshot::of(board, relations)?;
    let behind = after.iter().filter_map(|it| {
        let name = name(it);
        if is_copied_again(board, it.source) {
            return Some(format!("{name} is being copied again"));
        }
        it.missing(name, snapshot.position(name))
    });
    let mut detail = format!("after {} ms {}", timeout.as_millis(), behind.collect::<Vec<_>>().join("; "));
    if let Some(reason) = &snapshot.standing.reason {
        detail = format!("{detail}; {reason}");
    }
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "57P03", detail)
        .hint("ask again, or allow more time with Vantage-Timeout-Ms"))
}

/// Whether positions of this source may be of another log than the one that was read before: after a restored backup or
/// a new installation of the capture, ids begin again.
fn is_copied_again(board: &Board, source: usize) -> bool {
    let health = board.sources()[source].health.read().unwrap_or_else(|it| it.into_inner());
    matches!(*health, SourceHealth::Snapshotting { .. })
}
