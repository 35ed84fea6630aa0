//! The engine without threads: batches in, published epochs out.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::index::IndexWriter;
use super::options::EngineError;
use super::recover::{self, CHUNK_ROWS, Registry};
use super::resnapshot::Resnapshot;
use crate::catalog::Catalog;
use crate::change::{Batch, Delta, Event, Phase, Position, RelationId, Row, TableId};
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
    resnapshots: HashMap<usize, Resnapshot>,
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
        let (mut store, epoch) = Store::open(data, options)?;
        let registry = recover::register(&mut store, &graph)?;
        let nodes = recover::stored_nodes(&graph, &registry);
        let dataflow = Dataflow::new(Arc::clone(&graph));
        let mut core = Core {
            catalog,
            graph,
            dataflow,
            store,
            board,
            registry,
            nodes,
            resnapshots: HashMap::new(),
            times: Times::default(),
            stop: Arc::default(),
        };
        core.announce();
        core.board.publish(epoch);
        Ok(core)
    }

    /// Brings what the dataflow looks up into memory and builds what is new and can be built already.
    pub fn load(&mut self) -> Result<(), EngineError> {
        recover::load(self)?;
        self.build()
    }

    /// The served relations are put on the board.
    fn announce(&mut self) {
        let relations = recover::served_relations(&self.catalog, &self.graph, &self.registry);
        for (place, (node, ..)) in relations.iter().enumerate() {
            if let Some(stored) = &mut self.nodes[node.0] {
                stored.served.push(place);
            }
        }
        let plain_views = self.catalog.views.iter().filter(|it| !it.materialized);
        self.board.set_plain_views(plain_views.cloned().collect());
        self.board.set_relations(relations.into_iter().map(|(_, relation, state)| (relation, state)).collect());
    }

    /// Applies these batches as one epoch (a snapshot of tables that are not served yet: as part of one).
    pub fn apply(&mut self, batches: Vec<Batch>) -> Result<(), EngineError> {
        let mut events = Vec::new();
        let mut positions = Vec::new();
        let mut completed = Vec::new();
        let mut count = 0;
        for batch in batches {
            count += batch.events.len() as u64;
            let source = batch.source;
            if let Some(status) = self.board.sources().get(source) {
                status.events.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
            }
            if let Phase::SnapshotStart(tables) = &batch.phase {
                // The snapshot is compared with what we hold, so what came before it has to be held first.
                self.step(std::mem::take(&mut events), std::mem::take(&mut positions), &completed)?;
                self.begin_snapshot(source, tables)?;
            }
            self.admit(source, batch.events, &mut events);
            if batch.phase == Phase::Streaming {
                if let Some(resnapshot) = self.resnapshots.remove(&source) {
                    events.extend(resnapshot.finish());
                    completed.push(source);
                }
                let name = self.catalog.sources[source].name.clone();
                positions.retain(|(known, _): &(String, Position)| *known != name);
                positions.push((name, batch.position));
            }
        }
        self.times.events += count;
        self.step(events, positions, &completed)?;
        if completed.is_empty() { Ok(()) } else { self.build() }
    }

    /// A table that is served will be compared with its copy; one that is not begins empty.
    fn begin_snapshot(&mut self, source: usize, tables: &[TableId]) -> Result<(), EngineError> {
        for table in tables {
            if self.dataflow.is_live(NodeId(table.0)) {
                let keys = self.dataflow.keys_of(*table).map(<[u8]>::to_vec).collect();
                self.resnapshots.entry(source).or_default().begin(*table, keys);
            } else {
                self.empty(*table)?;
            }
        }
        // The source's tables become live with the end of the snapshot, also when none of them is compared.
        self.resnapshots.entry(source).or_default();
        Ok(())
    }

    /// Takes away what a copy that never came to its end has left of a table: it may be gone from the source by now.
    fn empty(&mut self, table: TableId) -> Result<(), EngineError> {
        let keys: Vec<Vec<u8>> = self.dataflow.keys_of(table).map(<[u8]>::to_vec).collect();
        for keys in keys.chunks(CHUNK_ROWS) {
            self.check_stop()?;
            let gone = keys.iter().map(|key| Event { table, row: Row::tombstone(key) });
            self.step(gone.collect(), Vec::new(), &[])?;
        }
        Ok(())
    }

    /// Events go into this epoch, unless their table is being compared with a copy.
    fn admit(&mut self, source: usize, arrived: Vec<Event>, events: &mut Vec<Event>) {
        match self.resnapshots.get_mut(&source) {
            None => events.extend(arrived),
            Some(resnapshot) => {
                for event in arrived {
                    if resnapshot.holds(event.table) {
                        let current = self.dataflow.table_row(event.table, event.row.key());
                        resnapshot.take(event, current);
                    } else {
                        events.push(event);
                    }
                }
            }
        }
    }

    fn step(
        &mut self,
        events: Vec<Event>,
        positions: Vec<(String, Position)>,
        completed: &[usize],
    ) -> Result<(), EngineError> {
        let begin = Instant::now();
        let changes = self.dataflow.step(events);
        self.times.dataflow += begin.elapsed();
        let begin = Instant::now();
        let mut commit = Commit { positions, ..Commit::default() };
        for (node, deltas) in &changes {
            self.collect(*node, deltas, &mut commit.rows);
        }
        let catalog = Arc::clone(&self.catalog);
        for (table, declared) in catalog.tables.iter().enumerate() {
            if completed.contains(&declared.source) {
                self.complete(NodeId(table), &mut commit.meta);
                self.dataflow.set_live(NodeId(table));
            }
        }
        if !commit.rows.is_empty() || !commit.positions.is_empty() || !commit.meta.is_empty() {
            self.commit(commit)?;
        }
        self.times.commit += begin.elapsed();
        Ok(())
    }

    /// Records with the coming commit that a node and its indexes, which were written along, are complete.
    pub(super) fn complete(&mut self, node: NodeId, meta: &mut Vec<(String, Option<Vec<u8>>)>) {
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
    pub(super) fn set_state(&self, node: NodeId, state: RelationState) {
        let Some(stored) = &self.nodes[node.0] else { return };
        let relations = self.board.relations();
        for place in &stored.served {
            *relations[*place].1.write().unwrap_or_else(|it| it.into_inner()) = state.clone();
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

    /// The position to resume this source from; `None` when it has to be copied (again).
    pub fn resume_position(&self, source: usize) -> Option<Position> {
        let tables = self.catalog.tables.iter().enumerate().filter(|(_, table)| table.source == source);
        let complete = tables.map(|(table, _)| NodeId(table)).all(|node| self.dataflow.is_live(node));
        let epoch = self.store.epoch();
        if complete { epoch.positions().get(&self.catalog.sources[source].name).cloned() } else { None }
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
