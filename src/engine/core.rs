//! The engine without threads: batches in, published epochs out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::index::IndexWriter;
use super::options::EngineError;
use super::recover::{self, CHUNK_ROWS};
use super::registry::{Notes, Registry, register};
use super::resnapshot::Resnapshot;
use crate::catalog::Catalog;
use crate::change::{Batch, Change, Delta, Event, Moved, Phase, Position, RelationId, Row, TableId};
use crate::dataflow::Dataflow;
use crate::plan::{Graph, NodeId};
use crate::store::{Board, Commit, RelationState, Store, StoreError, StoreOptions, StoreStats, Syncer};

/// How long a commit waits before it looks again whether the disk has room.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);

/// Where the engine's time went since it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Turning events into deltas of all relations.
    pub dataflow: Duration,
    /// Index entries, journal and publishing.
    pub commit: Duration,
    /// Events applied.
    pub events: u64,
    /// Epochs committed.
    pub epochs: u64,
}

/// What is kept for one plan node.
#[derive(Debug)]
pub(super) struct StoredNode {
    pub(super) relation: RelationId,
    pub(super) indexes: Vec<IndexWriter>,
    /// Its place in [`Board::relations`], when it is served. Views with one plan share a node.
    pub(super) served: Vec<usize>,
}

/// What is gathered for the next epoch.
#[derive(Debug, Default)]
struct Pending {
    events: Vec<Event>,
    positions: Vec<(String, Position)>,
    /// Tables whose copy ends with it.
    gained: Vec<TableId>,
}

/// The engine without threads. The caller feeds it batches and decides when to sync.
#[derive(Debug)]
pub struct Core {
    pub(super) catalog: Arc<Catalog>,
    pub(super) graph: Arc<Graph>,
    pub(super) dataflow: Dataflow,
    pub(super) store: Store,
    pub(super) board: Arc<Board>,
    pub(super) registry: Registry,
    pub(super) nodes: Vec<Option<StoredNode>>,
    /// By node, the tables its rows are computed from.
    pub(super) below: Vec<BTreeSet<TableId>>,
    /// What is wrong with single tables, as their sources say.
    pub(super) halted: HashMap<TableId, String>,
    resnapshots: BTreeMap<usize, Resnapshot>,
    /// Tables that are copied again although nothing is missing of them, until that is done.
    pub(super) resync: BTreeSet<TableId>,
    /// By source, what its last position covered.
    covers: BTreeMap<usize, Arc<[TableId]>>,
    /// Rows in memory of the plan before this one.
    pub(super) before: Option<(Dataflow, Arc<Graph>)>,
    times: Times,
    /// Makes what may take long give up: loading, building, and a commit that waits for room on the disk.
    pub(super) stop: Arc<AtomicBool>,
}

impl Core {
    /// Opens the state in `data` for this plan: keeps what is unchanged, drops what nothing needs any more. The newest
    /// epoch is published on `board` at once; [`Core::load`] must follow before batches are applied.
    pub fn open(
        catalog: Arc<Catalog>,
        graph: Arc<Graph>,
        data: &Path,
        options: StoreOptions,
        board: Arc<Board>,
    ) -> Result<Core, EngineError> {
        let at = |error: StoreError| match error {
            // These name the directory themselves.
            StoreError::InUse { .. } | StoreError::NewerFormat { .. } | StoreError::OlderFormat { .. } => error.into(),
            error => EngineError::Data { path: data.into(), error },
        };
        let (store, _) = Store::open(data, options).map_err(at)?;
        Core::over(store, catalog, graph, board, None)
    }

    /// The same state for another plan: what is unchanged is kept, in the store and in memory. [`Core::load`] must follow.
    pub fn replan(mut self, catalog: Arc<Catalog>, graph: Arc<Graph>) -> Result<Core, EngineError> {
        self.copy_again(BTreeSet::new());
        let again: Vec<String> = self.resync.iter().map(|it| self.catalog.tables[it.0].name.clone()).collect();
        let stop = self.stop;
        let core = Core::over(self.store, catalog, graph, self.board, Some((self.dataflow, self.graph)))?;
        let tables = core.catalog.tables.iter().enumerate();
        let resync = tables.filter(|it| again.contains(&it.1.name)).map(|it| TableId(it.0)).collect();
        Ok(Core { stop, times: self.times, resync, ..core })
    }

    fn over(
        mut store: Store,
        catalog: Arc<Catalog>,
        graph: Arc<Graph>,
        board: Arc<Board>,
        before: Option<(Dataflow, Arc<Graph>)>,
    ) -> Result<Core, EngineError> {
        let registry = register(&mut store, &graph)?;
        let nodes = recover::stored_nodes(&graph, &registry);
        let dataflow = Dataflow::new(Arc::clone(&graph));
        let below = (0..graph.nodes.len()).map(|it| recover::tables_below(&graph, NodeId(it))).collect();
        let mut core = Core {
            catalog,
            graph,
            dataflow,
            store,
            board,
            registry,
            nodes,
            below,
            halted: HashMap::new(),
            resnapshots: BTreeMap::new(),
            resync: BTreeSet::new(),
            covers: BTreeMap::new(),
            before,
            times: Times::default(),
            stop: Arc::default(),
        };
        core.announce();
        core.board.publish(core.store.epoch());
        Ok(core)
    }

    /// Brings what the dataflow looks up into memory and builds what is new and can be built already.
    pub fn load(&mut self) -> Result<(), EngineError> {
        recover::load(self)?;
        self.before = None;
        self.rebuild()
    }

    /// The served relations are put on the board.
    fn announce(&mut self) {
        let mut relations = Vec::new();
        for (place, (node, relation)) in recover::served_relations(self).into_iter().enumerate() {
            self.nodes[node.0].as_mut().expect("what is served is stored").served.push(place);
            relations.push((relation, self.state_of(node)));
        }
        let plain_views = self.catalog.views.iter().filter(|it| !it.materialized);
        self.board.set_plain_views(plain_views.cloned().collect());
        self.board.set_relations(relations);
    }

    /// Applies these batches as one epoch (a snapshot of tables that are not served yet: as part of one). Where a table
    /// ceases or begins to be covered by its source's position, an epoch ends.
    pub fn apply(&mut self, batches: Vec<Batch>) -> Result<(), EngineError> {
        let mut pending = Pending::default();
        for batch in batches {
            let (source, count) = (batch.source, batch.events.len() as u64);
            self.times.events += count;
            if let Some(status) = self.board.sources().get(source) {
                status.events.fetch_add(count, Ordering::Relaxed);
            }
            match batch.phase {
                Phase::SnapshotStart(tables) => {
                    // The snapshot is compared with what we hold, so what came before it has to be held first.
                    self.step(std::mem::take(&mut pending))?;
                    self.begin_snapshot(source, &tables)?;
                    self.admit(source, batch.events, &mut pending.events);
                }
                Phase::Snapshot => self.admit(source, batch.events, &mut pending.events),
                Phase::Streaming => self.advance(source, batch, &mut pending)?,
            }
        }
        self.step(pending)
    }

    /// The source's position moves on to that of the batch, for the tables it covers.
    fn advance(&mut self, source: usize, batch: Batch, pending: &mut Pending) -> Result<(), EngineError> {
        // Almost always it covers what it covered before.
        let same = self.covers.get(&source).is_some_and(|it| Arc::ptr_eq(it, &batch.covers))
            && !self.resnapshots.contains_key(&source);
        let lost = if same { Vec::new() } else { self.lost(source, &batch.covers) };
        if !lost.is_empty() {
            // What came before belongs to the position that still covers them.
            self.step(std::mem::take(pending))?;
            self.lose(&lost)?;
        }
        self.admit(source, batch.events, &mut pending.events);
        let gained = if same { Vec::new() } else { self.gained(source, &batch.covers) };
        let copy = self.resnapshots.remove(&source);
        let is_copied = |it: &TableId| copy.as_ref().is_some_and(|copy| copy.has_begun(*it));
        assert!(gained.iter().all(is_copied), "a table is covered anew only behind a copy of it");
        let asked = self.resync.len();
        if let Some(copy) = copy {
            self.resync.retain(|it| !copy.has_begun(*it) || !batch.covers.contains(it));
            pending.events.extend(copy.finish(&batch.covers));
        }
        if !same {
            self.covers.insert(source, batch.covers);
        }
        let name = &self.catalog.sources[source].name;
        pending.positions.retain(|(known, _)| known != name);
        pending.positions.push((name.clone(), batch.position));
        if gained.is_empty() && self.resync.len() == asked {
            return Ok(());
        }
        pending.gained = gained;
        self.step(std::mem::take(pending))?;
        self.rebuild()
    }

    /// These tables are to be copied again although nothing is missing of them. The sources begin anew, so copies under
    /// way are given up, and are made again as well.
    pub(super) fn copy_again(&mut self, tables: BTreeSet<TableId>) {
        let given_up = std::mem::take(&mut self.resnapshots).into_values().flat_map(Resnapshot::into_compared);
        self.resync.extend(tables.into_iter().chain(given_up));
        self.refresh_states();
    }

    /// Whether a table has to be copied before it can be followed.
    pub(super) fn needs_copy(&self, table: TableId) -> bool {
        !self.is_covered(table) || self.resync.contains(&table)
    }

    /// A table that is served will be compared with its copy; one that is not begins empty.
    fn begin_snapshot(&mut self, source: usize, tables: &[TableId]) -> Result<(), EngineError> {
        for table in tables {
            if self.dataflow.is_live(NodeId(table.0)) {
                let keys = self.dataflow.keys_of(*table).map(<[u8]>::to_vec).collect();
                self.resnapshots.entry(source).or_default().begin(*table, keys);
            } else {
                self.empty(*table)?;
                self.resnapshots.entry(source).or_default().begin_first(*table);
            }
        }
        Ok(())
    }

    /// Takes away what a copy that never came to its end has left of a table: it may be gone from the source by now.
    fn empty(&mut self, table: TableId) -> Result<(), EngineError> {
        let keys: Vec<Vec<u8>> = self.dataflow.keys_of(table).map(<[u8]>::to_vec).collect();
        for keys in keys.chunks(CHUNK_ROWS) {
            self.check_stop()?;
            let gone = keys.iter().map(|key| Event::gone(table, key));
            self.step(Pending { events: gone.collect(), ..Pending::default() })?;
        }
        Ok(())
    }

    /// Events go into this epoch, unless their table is being compared with a copy.
    fn admit(&mut self, source: usize, arrived: Vec<Event>, events: &mut Vec<Event>) {
        match self.resnapshots.get_mut(&source) {
            None => events.extend(arrived),
            Some(resnapshot) => {
                for event in arrived {
                    let table = event.table;
                    match event.change {
                        _ if !resnapshot.holds(table) => events.push(event),
                        Change::Row(row) => {
                            let current = self.dataflow.table_row(table, row.key());
                            resnapshot.take(table, row, current, &self.graph.nodes[table.0].schema);
                        }
                        Change::Moved(moved) => {
                            let Moved { from, row } = *moved;
                            let schema = &self.graph.nodes[table.0].schema;
                            let row =
                                row.over(resnapshot.said(table, &from, self.dataflow.table_row(table, &from)), schema);
                            for row in [Row::tombstone(&from), row] {
                                resnapshot.take(table, row.clone(), self.dataflow.table_row(table, row.key()), schema);
                            }
                        }
                        // What was said of it before holds no more.
                        Change::Emptied => {
                            let keys = self.dataflow.keys_of(table).map(<[u8]>::to_vec).collect();
                            resnapshot.begin(table, keys);
                        }
                    }
                }
            }
        }
    }

    fn step(&mut self, pending: Pending) -> Result<(), EngineError> {
        let Pending { events, positions, gained } = pending;
        let begin = Instant::now();
        let changes = self.dataflow.step(events);
        self.times.dataflow += begin.elapsed();
        let begin = Instant::now();
        let mut commit = Commit { positions, ..Commit::default() };
        for (node, deltas) in &changes {
            self.collect(*node, deltas, &mut commit.rows);
        }
        for table in gained {
            self.complete(NodeId(table.0), &mut commit.meta);
            self.dataflow.set_live(NodeId(table.0));
        }
        if !commit.rows.is_empty() || !commit.positions.is_empty() || !commit.meta.is_empty() {
            self.commit(commit)?;
        }
        self.times.commit += begin.elapsed();
        Ok(())
    }

    /// Records with the coming commit that a node and its indexes, which were written along, are complete.
    pub(super) fn complete(&mut self, node: NodeId, meta: &mut Notes) {
        self.registry.set_live(&self.graph.nodes[node.0].fingerprint, meta);
        for index in self.nodes[node.0].iter().flat_map(|it| &it.indexes) {
            self.registry.set_live(&index.plan.fingerprint, meta);
        }
    }

    /// The stored rows and index entries that these deltas of a node change.
    pub(super) fn collect(&mut self, node: NodeId, deltas: &[Delta], rows: &mut Vec<(RelationId, Row)>) {
        let Some(stored) = &mut self.nodes[node.0] else { return };
        let schema = &self.graph.nodes[node.0].schema;
        rows.reserve(deltas.len());
        for delta in deltas {
            rows.push((stored.relation, delta.outcome()));
        }
        for index in &mut stored.indexes {
            deltas.iter().for_each(|delta| index.write(schema, delta, rows));
        }
    }

    /// An error once the engine is told to stop.
    pub(super) fn check_stop(&self) -> Result<(), EngineError> {
        if self.stop.load(Ordering::Acquire) { Err(EngineError::Stopped) } else { Ok(()) }
    }

    /// Writes one epoch and publishes it. While the disk is full intake pauses here, and what is published stays
    /// served; the commit is tried again until there is room, or until the engine is told to stop.
    pub(super) fn commit(&mut self, mut commit: Commit) -> Result<(), EngineError> {
        loop {
            match self.store.try_commit(&mut commit) {
                Ok(epoch) => {
                    if self.board.paused().is_some() {
                        tracing::info!("there is room on the disk again; intake goes on");
                        self.board.set_paused(None);
                    }
                    self.board.publish(epoch);
                    self.times.epochs += 1;
                    return Ok(());
                }
                Err(error @ StoreError::Full(_)) => {
                    self.check_stop()?;
                    if self.board.paused().is_none() {
                        tracing::warn!(%error, "intake is paused until there is room on the disk");
                    }
                    self.board.set_paused(Some(error.to_string()));
                    std::thread::park_timeout(FULL_DISK_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Changes the state readers see of what this node serves.
    pub(super) fn set_state(&self, node: NodeId, state: &RelationState) {
        let Some(stored) = &self.nodes[node.0] else { return };
        let relations = self.board.relations();
        for place in &stored.served {
            let mut known = relations[*place].1.write().unwrap_or_else(|it| it.into_inner());
            if *known != *state {
                known.clone_from(state);
            }
        }
    }

    /// Makes everything committed so far survive a power loss.
    pub fn sync(&mut self) -> Result<u64, EngineError> {
        Ok(self.store.sync()?)
    }

    /// A handle for syncing on another thread, so that epochs need not wait for the disk.
    pub fn syncer(&self) -> Syncer {
        self.store.syncer()
    }

    /// How far this source was read; `None` before that.
    pub fn position(&self, source: usize) -> Option<Position> {
        self.store.epoch().positions().get(self.catalog.sources[source].name.as_str()).map(|it| Position::clone(it))
    }

    /// Whether all changes of a table up to its source's position are held. Else it has to be copied.
    pub fn is_covered(&self, table: TableId) -> bool {
        let fingerprint = &self.graph.nodes[table.0].fingerprint;
        self.registry.is_live(fingerprint) && self.registry.stands_at(fingerprint).is_none()
    }

    /// Where the time went.
    pub fn times(&self) -> Times {
        self.times
    }

    /// The store's counters.
    pub fn store_stats(&self) -> StoreStats {
        self.store.stats()
    }

    /// What readers see.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The plan being run.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Rough number of bytes of the arrangements.
    pub fn memory_bytes(&self) -> usize {
        self.dataflow.memory_bytes()
    }

    /// Writes a last checkpoint and closes the store cleanly.
    pub fn close(self) -> Result<(), EngineError> {
        Ok(self.store.close()?)
    }
}
