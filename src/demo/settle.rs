//! Waits until everything the services have committed is in the published epoch.
//!
//! The services must be quiet: what is awaited is the newest entry of each change log as of the call.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use tokio::runtime::Handle;

use crate::catalog::Catalog;
use crate::change::SourceHealth;
use crate::source::sqlite;
use crate::store::Board;

/// Why the epoch did not catch up.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// A service's file could not be read.
    #[error("the change log of {source_name} could not be read: {error}")]
    Sqlite {
        /// The source.
        source_name: String,
        /// Why.
        error: rusqlite::Error,
    },
    /// The source or the engine gave up.
    #[error("{source_name} stopped at change {at}, before change {wanted}: {reason}")]
    Halted {
        /// The source.
        source_name: String,
        /// How far the epoch is.
        at: u64,
        /// How far the service is.
        wanted: u64,
        /// Why.
        reason: String,
    },
    /// It takes too long.
    #[error("{source_name} is at change {at} and not at {wanted} after {after:?}")]
    Late {
        /// The source.
        source_name: String,
        /// How far the epoch is.
        at: u64,
        /// How far the service is.
        wanted: u64,
        /// How long was waited.
        after: Duration,
    },
}

/// Waits until the published epoch includes every change of the log of every source that is a file.
pub fn settle(
    catalog: &Catalog,
    base: &Path,
    board: &Board,
    runtime: &Handle,
    patience: Duration,
) -> Result<(), SettleError> {
    let start = Instant::now();
    let mut published = board.subscribe();
    for (index, source) in catalog.sources.iter().enumerate() {
        // Servers have no log that could be asked from here; who checks what comes of them asks again.
        let Some(path) = sqlite::path_of(source, base) else { continue };
        let wanted =
            newest_change(&path).map_err(|error| SettleError::Sqlite { source_name: source.name.clone(), error })?;
        loop {
            published.borrow_and_update();
            let at = board.epoch().positions().get(source.name.as_str()).map_or(0, |position| position.only().at);
            if at >= wanted {
                break;
            }
            let source_name = source.name.clone();
            if let Some(reason) = stopped(board, index) {
                return Err(SettleError::Halted { source_name, at, wanted, reason });
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(SettleError::Late { source_name, at, wanted, after: patience });
            }
            // The health of a source changes without an epoch, so it is looked at again now and then.
            let tick = left.min(Duration::from_millis(200));
            _ = runtime.block_on(async { tokio::time::timeout(tick, published.changed()).await });
        }
    }
    Ok(())
}

/// Why no further progress is to be expected from a source, if so.
fn stopped(board: &Board, index: usize) -> Option<String> {
    let health = board.sources().get(index).map(|it| it.health.read().unwrap_or_else(|it| it.into_inner()).clone());
    match health {
        Some(SourceHealth::Halted { reason }) => Some(reason),
        _ => board.halted(),
    }
}

fn newest_change(path: &Path) -> Result<u64, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let newest: Option<i64> =
        connection.query_row("SELECT max(id) FROM _vantage_changes", [], |row| row.get(0)).optional()?.flatten();
    Ok(newest.and_then(|it| u64::try_from(it).ok()).unwrap_or(0))
}
