//! How sources and relations are doing, in words: on the board, in the log, in errors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::Catalog;
use crate::change::{SourceHealth, TableId};
use crate::store::{Board, Unplanned};

/// Between two log lines about the progress of one copy.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Puts the health of sources on the board and tells the log what is new about it.
#[derive(Debug)]
pub(super) struct Reporter {
    board: Arc<Board>,
    /// By source, when the log was last told about it.
    logged: HashMap<usize, Instant>,
    /// By source, the tables that are halted.
    halted: HashMap<usize, Vec<(TableId, String)>>,
}

impl Reporter {
    /// A reporter to this board.
    pub(super) fn new(board: Arc<Board>) -> Reporter {
        Reporter { board, logged: HashMap::new(), halted: HashMap::new() }
    }

    /// Source number `source` is doing like this.
    pub(super) fn set_health(&mut self, source: usize, health: SourceHealth) {
        let Some(status) = self.board.sources().get(source) else { return };
        let mut known = status.health.write().unwrap_or_else(|it| it.into_inner());
        if *known == health {
            return;
        }
        let is_told = match (&*known, &health) {
            (SourceHealth::Snapshotting { .. }, SourceHealth::Snapshotting { .. }) => {
                self.logged.get(&source).is_some_and(|it| it.elapsed() < PROGRESS_INTERVAL)
            }
            // One more attempt in vain.
            (SourceHealth::Retrying { reason: before, .. }, SourceHealth::Retrying { reason, .. }) => before == reason,
            _ => false,
        };
        if !is_told {
            self.logged.insert(source, Instant::now());
            match &health {
                SourceHealth::Halted { .. } => tracing::error!(source = status.name, "{health}"),
                SourceHealth::Retrying { .. } => tracing::warn!(source = status.name, "{health}"),
                _ => tracing::info!(source = status.name, "{health}"),
            }
        }
        *known = health;
    }

    /// Tells the log what is new about single tables of a source.
    pub(super) fn log_halted(&mut self, catalog: &Catalog, source: usize, halted: &[(TableId, String)]) {
        let before = self.halted.insert(source, halted.to_vec()).unwrap_or_default();
        let name = &catalog.sources[source].name;
        let table = |it: &TableId| &catalog.tables[it.0].name;
        for (at, reason) in halted.iter().filter(|it| !before.contains(it)) {
            tracing::error!(source = name, table = table(at), "halted: {reason}; what reads other tables goes on");
        }
        for (at, _) in before.iter().filter(|old| !halted.iter().any(|it| it.0 == old.0)) {
            tracing::info!(source = name, table = table(at), "no longer halted");
        }
    }

    /// Forgets what was said of single tables: in another plan they have other numbers.
    pub(super) fn forget_tables(&mut self) {
        self.halted.clear();
    }

    /// Puts on the board what could not be planned, and tells the log what is new about it.
    pub(super) fn set_unplanned(&mut self, unplanned: Vec<Unplanned>) {
        let before = self.board.unplanned();
        for it in unplanned.iter().filter(|it| !before.contains(it)) {
            tracing::warn!("{}", it.state.complaint(&it.name).expect("what could not be planned is not live"));
        }
        self.board.set_unplanned(unplanned);
    }
}

/// The first thing that is not ready yet.
pub(super) fn unready(board: &Board) -> Option<String> {
    let unplanned = board.unplanned();
    let mut unplanned = unplanned.iter().filter_map(|it| it.state.complaint(&it.name));
    let relations = board.relations();
    let mut relations = relations.iter().filter_map(|(relation, state)| {
        let state = state.read().unwrap_or_else(|it| it.into_inner());
        state.complaint(&relation.name)
    });
    let found = unplanned.next().or_else(|| relations.next());
    found.or_else(|| unhealthy(board, |it| *it != SourceHealth::Streaming))
}

/// The first source whose health is `wanted`.
fn unhealthy(board: &Board, wanted: impl Fn(&SourceHealth) -> bool) -> Option<String> {
    board.sources().iter().find_map(|source| {
        let health = source.health.read().unwrap_or_else(|it| it.into_inner());
        wanted(&health).then(|| format!("source \"{}\" is {health}", source.name))
    })
}
