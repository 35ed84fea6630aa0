//! What the positions of the sources speak of, and what that makes of every table and view.
//!
//! A source goes on when one of its tables cannot be followed: its position then covers the other tables only. What is
//! held of such a table stands at the last position that covered it. So that no row is ever computed from two states
//! of one source, whatever joins the table with others of its source is left as it was, too; when the table is covered
//! again, behind a copy, that is computed anew. A relation is live only while every table below it is covered and every
//! source below it is followed: that is decided here and nowhere else.

use std::collections::BTreeMap;

use super::core::Core;
use super::options::EngineError;
use crate::change::{Position, SourceHealth, TableId};
use crate::plan::{Fingerprint, NodeId, Operator};
use crate::store::{Commit, RelationState};

/// Why changes do not reach a relation.
struct Trouble {
    reason: String,
    /// Whether it goes only when a person mends something.
    needs_person: bool,
}

impl Core {
    fn tables_of(&self, source: usize) -> impl Iterator<Item = TableId> {
        let tables = self.catalog.tables.iter().enumerate();
        tables.filter(move |it| it.1.source == source).map(|it| TableId(it.0))
    }

    /// The complete tables of a source that its position does not cover any more.
    pub(super) fn lost(&self, source: usize, covers: &[TableId]) -> Vec<TableId> {
        self.tables_of(source).filter(|it| self.is_covered(*it) && !covers.contains(it)).collect()
    }

    /// The tables of a source that its position covers from now on.
    pub(super) fn gained(&self, source: usize, covers: &[TableId]) -> Vec<TableId> {
        self.tables_of(source).filter(|it| !self.is_covered(*it) && covers.contains(it)).collect()
    }

    /// From the coming position on, these tables are not covered: they and what may not be computed from them stand at
    /// the positions of now. Readers learn it before an epoch goes beyond these.
    pub(super) fn lose(&mut self, tables: &[TableId]) -> Result<(), EngineError> {
        let mut commit = Commit::default();
        for table in tables {
            let at = self.positions_below(NodeId(table.0));
            self.registry.set_standing(&self.graph.nodes[table.0].fingerprint, at, &mut commit.meta);
        }
        for node in (0..self.graph.nodes.len()).map(NodeId) {
            let fingerprint = self.graph.nodes[node.0].fingerprint;
            if self.dataflow.is_live(node) && self.registry.is_live(&fingerprint) && self.must_stand(node) {
                let at = self.positions_below(node);
                self.registry.set_standing(&fingerprint, at, &mut commit.meta);
                self.dataflow.suspend(node);
            }
        }
        self.refresh_states();
        self.commit(commit)
    }

    /// By source, how far what this node is computed from is held.
    fn positions_below(&self, node: NodeId) -> BTreeMap<String, Position> {
        let epoch = self.store.epoch();
        let names = self.below[node.0].iter().map(|it| &self.catalog.sources[self.catalog.tables[it.0].source].name);
        names.filter_map(|it| Some((it.clone(), Position::clone(epoch.positions().get(it.as_str())?)))).collect()
    }

    /// Whether a stored node would be computed from two states of one source: it reads a table that is not covered, and
    /// another one of the same source.
    pub(super) fn must_stand(&self, node: NodeId) -> bool {
        if matches!(self.graph.nodes[node.0].operator, Operator::Table(_)) {
            return false;
        }
        let source = |it: &TableId| self.catalog.tables[it.0].source;
        let below = &self.below[node.0];
        let with_others = |lost: &TableId| below.iter().any(|it| it != lost && source(it) == source(lost));
        below.iter().any(|it| self.has_missed(*it) && with_others(it))
    }

    /// Whether a table is complete and later changes of its source have not reached it.
    fn has_missed(&self, table: TableId) -> bool {
        self.registry.stands_at(&self.graph.nodes[table.0].fingerprint).is_some()
    }

    /// Whether the rows of a complete node are left as they were.
    pub(super) fn stands(&self, node: NodeId) -> bool {
        let node = &self.graph.nodes[node.0];
        !matches!(node.operator, Operator::Table(_)) && self.registry.stands_at(&node.fingerprint).is_some()
    }

    /// Computes anew what need not stand any more, builds what is new, and tells readers.
    pub(super) fn rebuild(&mut self) -> Result<(), EngineError> {
        let nodes = (0..self.graph.nodes.len()).map(NodeId);
        let thawed: Vec<NodeId> = nodes.filter(|it| self.stands(*it) && !self.must_stand(*it)).collect();
        if !thawed.is_empty() {
            let mut fingerprints: Vec<Fingerprint> = Vec::new();
            for node in &thawed {
                fingerprints.push(self.graph.nodes[node.0].fingerprint);
                let indexes = self.nodes[node.0].iter().flat_map(|it| &it.indexes);
                fingerprints.extend(indexes.map(|it| it.plan.fingerprint));
                self.set_state(*node, &RelationState::default());
            }
            self.registry.reset(&mut self.store, &fingerprints)?;
        }
        self.build()?;
        self.refresh_states();
        Ok(())
    }

    /// Tells what is wrong with single tables of a source, and of all others that nothing is.
    pub fn set_halted(&mut self, source: usize, halted: Vec<(TableId, String)>) {
        let tables: Vec<TableId> = self.tables_of(source).collect();
        self.halted.retain(|it, _| !tables.contains(it));
        self.halted.extend(halted);
        self.refresh_states();
    }

    /// Puts the state of every relation on the board, after anything that it depends on has changed.
    pub fn refresh_states(&self) {
        for (node, stored) in self.nodes.iter().enumerate() {
            if stored.as_ref().is_some_and(|it| !it.served.is_empty()) {
                self.set_state(NodeId(node), &self.state_of(NodeId(node)));
            }
        }
    }

    /// How a stored node's relation is doing.
    pub(super) fn state_of(&self, node: NodeId) -> RelationState {
        let trouble = self.trouble(node);
        match (self.is_complete(node), trouble) {
            (true, None) => RelationState::Live,
            (true, Some(Trouble { reason, .. })) => RelationState::Stale { reason, stands_at: self.stands_at(node) },
            (false, None) => RelationState::default(),
            (false, Some(Trouble { reason, needs_person: true })) => RelationState::Failed { reason },
            (false, Some(Trouble { reason, needs_person: false })) => RelationState::Waiting { reason },
        }
    }

    /// Whether all rows and index entries of a node are there.
    fn is_complete(&self, node: NodeId) -> bool {
        let indexes = self.nodes[node.0].iter().flat_map(|it| &it.indexes).map(|it| it.plan.fingerprint);
        let mut all = std::iter::once(self.graph.nodes[node.0].fingerprint).chain(indexes);
        all.all(|it| self.registry.is_live(&it))
    }

    /// By source, where the rows of a complete node stand, as far as the epoch's positions do not say so.
    fn stands_at(&self, node: NodeId) -> BTreeMap<String, Position> {
        if let Some(at) = self.registry.stands_at(&self.graph.nodes[node.0].fingerprint) {
            return at.clone();
        }
        let tables = self.below[node.0].iter().map(|it| &self.graph.nodes[it.0].fingerprint);
        tables
            .filter_map(|it| self.registry.stands_at(it))
            .flatten()
            .map(|(name, at)| (name.clone(), at.clone()))
            .collect()
    }

    /// What keeps changes from a node: first what a person has to mend.
    fn trouble(&self, node: NodeId) -> Option<Trouble> {
        let below = &self.below[node.0];
        let is_own = |table: &TableId| table.0 == node.0;
        let named = |table: &TableId| format!("table \"{}\"", self.catalog.tables[table.0].name);
        let halted = below.iter().find_map(|table| self.halted.get(table).map(|reason| (table, reason)));
        if let Some((table, reason)) = halted {
            let reason = if is_own(table) { reason.clone() } else { format!("{}: {reason}", named(table)) };
            return Some(Trouble { reason, needs_person: true });
        }
        let mut awaited = None;
        for status in below.iter().filter_map(|it| self.board.sources().get(self.catalog.tables[it.0].source)) {
            let health = status.health.read().unwrap_or_else(|it| it.into_inner());
            let reason = format!("source \"{}\" is {health}", status.name);
            match &*health {
                SourceHealth::Halted { .. } => return Some(Trouble { reason, needs_person: true }),
                SourceHealth::Retrying { .. } => awaited = Some(Trouble { reason, needs_person: false }),
                SourceHealth::Connecting | SourceHealth::Snapshotting { .. } | SourceHealth::Streaming => {}
            }
        }
        if let Some(table) = below.iter().find(|it| self.resync.contains(it)) {
            let reason = format!("{} is being copied again", named(table));
            awaited = awaited.or(Some(Trouble { reason, needs_person: false }));
        }
        let missed = below.iter().find(|it| self.has_missed(**it));
        let missed = missed.map(|table| {
            let reason = format!("{} has missed changes and is about to be copied again", named(table));
            Trouble { reason, needs_person: false }
        });
        awaited.or(missed)
    }
}
