//! `Vantage-After`: a read that waits until the epoch it sees includes what its caller wrote.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};

use super::options::ServeOptions;
use super::problem::Problem;
use crate::store::{Board, Epoch};

const DEFAULT_WAIT: Duration = Duration::from_millis(1000);

/// The epoch to read: the newest one, once it includes every position the request names.
pub(crate) async fn epoch_for(
    board: &Board,
    options: &ServeOptions,
    headers: &HeaderMap,
) -> Result<Arc<Epoch>, Problem> {
    let mut after = Vec::new();
    // Several lines of one header are one list.
    for line in headers.get_all("vantage-after") {
        after.extend(parse_after(board, line.to_str().unwrap_or("?"))?);
    }
    if after.is_empty() {
        return Ok(board.epoch());
    }
    wait(board, &after, timeout(options, headers)?).await
}

fn parse_after(board: &Board, text: &str) -> Result<Vec<(String, u64)>, Problem> {
    let entry = |part: &str| {
        let form = || Problem::bad_request("Vantage-After must be like catalog@17,pricing@4");
        let (name, id) = part.trim().rsplit_once('@').ok_or_else(form)?;
        let id = id.parse().map_err(|_| form())?;
        if board.sources().iter().any(|it| it.name == name) {
            Ok((name.to_string(), id))
        } else {
            let names: Vec<&str> = board.sources().iter().map(|it| it.name.as_str()).collect();
            let hint = format!("the sources are {}", names.join(", "));
            Err(Problem::bad_request(format!("Vantage-After names an unknown source \"{name}\"")).hint(hint))
        }
    };
    text.split(',').map(entry).collect()
}

fn timeout(options: &ServeOptions, headers: &HeaderMap) -> Result<Duration, Problem> {
    let Some(text) = headers.get("vantage-timeout-ms") else { return Ok(DEFAULT_WAIT.min(options.max_wait)) };
    let millis = text.to_str().ok().and_then(|it| it.parse().ok());
    let millis = millis.ok_or_else(|| Problem::bad_request("Vantage-Timeout-Ms must be a number of milliseconds"))?;
    Ok(Duration::from_millis(millis).min(options.max_wait))
}

async fn wait(board: &Board, after: &[(String, u64)], timeout: Duration) -> Result<Arc<Epoch>, Problem> {
    // Subscribing before the first look makes sure that no publication falls between look and wait.
    let mut published = board.subscribe();
    let reached = async {
        loop {
            let epoch = board.epoch();
            if after.iter().all(|(name, id)| position(&epoch, name) >= Some(*id)) {
                return Some(epoch);
            }
            if published.changed().await.is_err() {
                return None;
            }
        }
    };
    if let Ok(Some(epoch)) = tokio::time::timeout(timeout, reached).await {
        return Ok(epoch);
    }
    let epoch = board.epoch();
    let behind = after.iter().filter(|(name, id)| position(&epoch, name) < Some(*id));
    let behind = behind.map(|(name, id)| match position(&epoch, name) {
        Some(at) => format!("{name} is at {at}, not yet at {id}"),
        None => format!("{name} has not been read yet"),
    });
    let detail = format!("after {} ms {}", timeout.as_millis(), behind.collect::<Vec<_>>().join("; "));
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "57P03", detail)
        .hint("ask again, or allow more time with Vantage-Timeout-Ms"))
}

fn position(epoch: &Epoch, source: &str) -> Option<u64> {
    epoch.positions().get(source).map(|it| it.id)
}
