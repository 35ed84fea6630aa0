//! How sources and relations are doing, in words: on the board, in the log, in errors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::Catalog;
use crate::change::{SourceHealth, counted};
use crate::store::{Board, RelationState};

/// Between two log lines about the progress of one copy.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Puts the health of sources on the board and tells the log what is new about it.
#[derive(Debug)]
pub(super) struct Reporter {
    board: Arc<Board>,
    /// By source, when the log was last told about it.
    logged: HashMap<usize, Instant>,
}

impl Reporter {
    /// A reporter to this board.
    pub(super) fn new(board: Arc<Board>) -> Reporter {
        Reporter { board, logged: HashMap::new() }
    }

    /// Source number `source` is doing like this.
    pub(super) fn set_health(&mut self, source: usize, health: SourceHealth) {
        let Some(status) = self.board.sources().get(source) else { return };
        let mut known = status.health.write().unwrap_or_else(|it| it.into_inner());
        if *known == health {
            return;
        }
        let is_progress =
            matches!((&*known, &health), (SourceHealth::Snapshotting { .. }, SourceHealth::Snapshotting { .. }));
        let is_due = self.logged.get(&source).is_none_or(|it| it.elapsed() >= PROGRESS_INTERVAL);
        if !is_progress || is_due {
            self.logged.insert(source, Instant::now());
            match &health {
                SourceHealth::Halted { .. } => tracing::error!(source = status.name, "{health}"),
                SourceHealth::Retrying { .. } => tracing::warn!(source = status.name, "{health}"),
                _ => tracing::info!(source = status.name, "{health}"),
            }
        }
        *known = health;
    }
}

/// The first thing that is not ready yet.
pub(super) fn unready(board: &Board, catalog: &Catalog) -> Option<String> {
    let relations = board.relations();
    if relations.is_empty() && !(catalog.tables.is_empty() && catalog.views.is_empty()) {
        let awaited = unhealthy(board, |it| matches!(it, SourceHealth::Retrying { .. }));
        return Some(awaited.unwrap_or("the sources have not been described yet".into()));
    }
    let building = relations.iter().find_map(|(relation, state)| {
        let state = state.read().unwrap_or_else(|it| it.into_inner());
        incomplete(&relation.name, &state)
    });
    building.or_else(|| unhealthy(board, |it| *it != SourceHealth::Streaming))
}

/// The first source whose health is `wanted`.
fn unhealthy(board: &Board, wanted: impl Fn(&SourceHealth) -> bool) -> Option<String> {
    board.sources().iter().find_map(|source| {
        let health = source.health.read().unwrap_or_else(|it| it.into_inner());
        wanted(&health).then(|| format!("source \"{}\" is {health}", source.name))
    })
}

/// Why a relation in this state may not be read; `None` when it may.
pub(super) fn incomplete(name: &str, state: &RelationState) -> Option<String> {
    match state {
        RelationState::Live => None,
        RelationState::Building { done, total } => {
            let rows = total.map_or(String::new(), |it| format!(": {done} of {} done", counted(it as usize, "row")));
            Some(format!("\"{name}\" is being built{rows}"))
        }
        RelationState::Failed { reason } => Some(format!("\"{name}\" cannot be kept: {reason}")),
    }
}
