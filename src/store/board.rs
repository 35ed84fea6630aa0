//! The status board: the one place where the engine says how things are and where readers look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use serde::Serializer;
use tokio::sync::watch;

use super::epoch::Epoch;
use super::stats::StoreStats;
use crate::catalog::{Relation, View};
use crate::change::{Details, Position, Rejections, SourceHealth, counted};

/// How a relation is doing, and with it whether it may be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RelationState {
    /// Its sources have not been copied yet, or its rows are being computed.
    Building {
        /// Rows done.
        done: u64,
        /// Rows to do, when known.
        total: Option<u64>,
    },
    /// It cannot be built before something comes that is away (a file, a table); that is noticed without a restart.
    Waiting {
        /// What is waited for.
        reason: String,
    },
    /// Complete, and every change of its sources reaches it.
    Live,
    /// Complete, but changes of its sources do not reach it now: what is read is how it was before.
    Stale {
        /// What is wrong and what to do.
        reason: String,
        /// By source, the position its rows stand at, where the published epoch is further.
        #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "as_texts")]
        stands_at: BTreeMap<String, Position>,
    },
    /// It cannot be built before a person mends something; that is noticed without a restart.
    Failed {
        /// What is wrong and what to do.
        reason: String,
    },
}

/// Positions as readers know them from headers.
fn as_texts<S: Serializer>(positions: &BTreeMap<String, Position>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(positions.iter().map(|(source, position)| (source, position.to_string())))
}

impl Default for RelationState {
    fn default() -> RelationState {
        RelationState::Building { done: 0, total: None }
    }
}

impl RelationState {
    /// Complete and not followed, without a position of its own that it stands at.
    pub fn stale(reason: String) -> RelationState {
        RelationState::Stale { reason, stands_at: BTreeMap::new() }
    }

    /// The state in a word.
    pub fn word(&self) -> &'static str {
        match self {
            RelationState::Building { .. } => "building",
            RelationState::Waiting { .. } => "waiting",
            RelationState::Live => "live",
            RelationState::Stale { .. } => "stale",
            RelationState::Failed { .. } => "failed",
        }
    }

    /// Whether it is complete, as of now or as of before.
    pub fn is_readable(&self) -> bool {
        matches!(self, RelationState::Live | RelationState::Stale { .. })
    }

    /// What is to be said of the relation, which is called `name` in the sentence; `None` when it is live.
    pub fn complaint(&self, name: &str) -> Option<String> {
        match self {
            RelationState::Live => None,
            RelationState::Building { done, total } => {
                let rows =
                    total.map_or(String::new(), |it| format!(": {done} of {} done", counted(it as usize, "row")));
                Some(format!("{name} is being built{rows}"))
            }
            RelationState::Waiting { reason } => Some(format!("{name} waits: {reason}")),
            RelationState::Stale { reason, .. } => Some(format!("{name} is stale: {reason}")),
            RelationState::Failed { reason } => Some(format!("{name} cannot be kept: {reason}")),
        }
    }
}

/// The state of one relation, shared by the engine, which sets it, and those who read the relation.
pub type SharedState = Arc<RwLock<RelationState>>;

/// A declared table, view or index that could not be planned, so that nothing more is known of it than why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplanned {
    /// The name.
    pub name: String,
    /// `table`, `view` or `index`.
    pub kind: &'static str,
    /// The documentation comment.
    pub doc: String,
    /// The text of a view's query.
    pub query: String,
    /// Waiting or failed, and why.
    pub state: RelationState,
}

/// How one source is doing.
#[derive(Debug)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Its health.
    pub health: RwLock<SourceHealth>,
    /// What else it tells of itself.
    details: RwLock<Arc<Details>>,
    /// By table, the messages that were left out.
    rejected: RwLock<BTreeMap<String, Rejections>>,
    /// The tables that somebody wants to be copied again.
    resync: Mutex<BTreeSet<String>>,
    /// Unix time in microseconds up to which everything committed at the source is in the published epoch.
    pub current_until_us: AtomicU64,
    /// Events applied since the process started.
    pub events: AtomicU64,
}

impl SourceStatus {
    /// What it tells of itself besides its health.
    pub fn details(&self) -> Arc<Details> {
        Arc::clone(&self.details.read().unwrap_or_else(|it| it.into_inner()))
    }

    /// Replaces what it tells of itself.
    pub fn set_details(&self, details: Details) {
        *self.details.write().unwrap_or_else(|it| it.into_inner()) = Arc::new(details);
    }

    /// By table, the messages that were left out since the process started, or since the table began to be copied again.
    pub fn rejected(&self) -> BTreeMap<String, Rejections> {
        self.rejected.read().unwrap_or_else(|it| it.into_inner()).clone()
    }

    /// By table, how many these are.
    pub fn rejected_counts(&self) -> BTreeMap<String, u64> {
        let rejected = self.rejected.read().unwrap_or_else(|it| it.into_inner());
        rejected.iter().map(|(table, it)| (table.clone(), it.count)).collect()
    }

    /// More messages were left out of `table`.
    pub fn reject(&self, table: &str, rejections: Rejections) {
        let mut rejected = self.rejected.write().unwrap_or_else(|it| it.into_inner());
        rejected.entry(table.into()).or_default().extend(rejections);
    }

    /// `table` is copied again, and what is left out of it is counted anew.
    pub fn forget_rejected(&self, table: &str) {
        self.rejected.write().unwrap_or_else(|it| it.into_inner()).remove(table);
    }

    /// Asks for these tables of the source to be copied again; the engine looks for that.
    pub fn ask_resync(&self, tables: impl IntoIterator<Item = String>) {
        self.resync.lock().unwrap_or_else(|it| it.into_inner()).extend(tables);
    }

    /// The tables for which that was asked since the last call.
    pub fn take_resync(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.resync.lock().unwrap_or_else(|it| it.into_inner()))
    }

    /// How far behind the source the published epoch may be, in milliseconds; `None` before the first copy is done.
    pub fn lag_ms(&self) -> Option<u64> {
        let until = self.current_until_us.load(Ordering::Acquire);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_micros() as u64);
        (until > 0).then(|| now.saturating_sub(until) / 1000)
    }
}

/// Shared by the engine, which writes, and the endpoints, which read.
#[derive(Debug)]
pub struct Board {
    epoch: ArcSwap<Epoch>,
    published: watch::Sender<u64>,
    relations: ArcSwap<Vec<(Relation, SharedState)>>,
    plain_views: ArcSwap<Vec<View>>,
    unplanned: ArcSwap<Vec<Unplanned>>,
    sources: Vec<SourceStatus>,
    store: ArcSwap<StoreStats>,
    /// Set when intake stopped for good (a failed write, say); the reason.
    halted: RwLock<Option<String>>,
    /// Whether either of the two is so, for readers in a hurry.
    stands_still: AtomicBool,
    /// Set while intake waits for something that may pass (a full disk); the reason.
    paused: RwLock<Option<String>>,
}

impl Board {
    /// A board for these sources with nothing published yet.
    pub fn new(sources: Vec<String>) -> Board {
        let status = |name| SourceStatus {
            name,
            health: RwLock::new(SourceHealth::Connecting),
            details: RwLock::default(),
            rejected: RwLock::default(),
            resync: Mutex::default(),
            current_until_us: AtomicU64::new(0),
            events: AtomicU64::new(0),
        };
        Board {
            epoch: ArcSwap::from_pointee(Epoch::default()),
            published: watch::Sender::new(0),
            relations: ArcSwap::from_pointee(Vec::new()),
            plain_views: ArcSwap::from_pointee(Vec::new()),
            unplanned: ArcSwap::from_pointee(Vec::new()),
            sources: sources.into_iter().map(status).collect(),
            store: ArcSwap::from_pointee(StoreStats::default()),
            halted: RwLock::new(None),
            stands_still: AtomicBool::new(false),
            paused: RwLock::new(None),
        }
    }

    /// The newest published epoch.
    pub fn epoch(&self) -> Arc<Epoch> {
        self.epoch.load_full()
    }

    /// Makes `epoch` the one readers see and wakes those who wait.
    pub fn publish(&self, epoch: Arc<Epoch>) {
        let number = epoch.number();
        self.epoch.store(epoch);
        self.published.send_replace(number);
    }

    /// Changes with every published epoch; for waiting.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// The served tables and views with their states, in order of dependence.
    pub fn relations(&self) -> Arc<Vec<(Relation, SharedState)>> {
        self.relations.load_full()
    }

    /// Sets what is served. What was served before in the same place keeps its shared state, so that who holds it goes on;
    /// of what is gone, nobody reads any more.
    pub fn set_relations(&self, relations: Vec<(Relation, RelationState)>) {
        let before = self.relations();
        let is_same = |a: &Relation, b: &Relation| a.id == b.id && a.name == b.name && a.schema == b.schema;
        for (gone, state) in before.iter().filter(|old| !relations.iter().any(|new| is_same(&old.0, &new.0))) {
            let reason = format!("the plan of \"{}\" has just changed; ask again", gone.name);
            *state.write().unwrap_or_else(|it| it.into_inner()) = RelationState::Waiting { reason };
        }
        let shared = relations.into_iter().map(|(relation, state)| {
            let known = before.iter().find(|old| is_same(&old.0, &relation)).map(|old| Arc::clone(&old.1));
            let shared = known.unwrap_or_default();
            *shared.write().unwrap_or_else(|it| it.into_inner()) = state;
            (relation, shared)
        });
        self.relations.store(Arc::new(shared.collect()));
    }

    /// What is declared besides and could not be planned.
    pub fn unplanned(&self) -> Arc<Vec<Unplanned>> {
        self.unplanned.load_full()
    }

    /// Sets what could not be planned.
    pub fn set_unplanned(&self, unplanned: Vec<Unplanned>) {
        self.unplanned.store(Arc::new(unplanned));
    }

    /// The views that only name a query (`CREATE VIEW`), in order of dependence.
    pub fn plain_views(&self) -> Arc<Vec<View>> {
        self.plain_views.load_full()
    }

    /// Sets the views that only name a query; before the relations they read, which are looked at together with them.
    pub fn set_plain_views(&self, views: Vec<View>) {
        self.plain_views.store(Arc::new(views));
    }

    /// The sources, by their index in the catalog.
    pub fn sources(&self) -> &[SourceStatus] {
        &self.sources
    }

    /// The store's figures as of the last time the engine noted them.
    pub fn store(&self) -> Arc<StoreStats> {
        self.store.load_full()
    }

    /// Notes the store's figures; now and then is enough.
    pub fn note_store(&self, stats: StoreStats) {
        self.store.store(Arc::new(stats));
    }

    /// Why intake stopped for good, if it did.
    pub fn halted(&self) -> Option<String> {
        self.halted.read().unwrap_or_else(|it| it.into_inner()).clone()
    }

    /// Records that intake stopped for good.
    pub fn halt(&self, reason: String) {
        *self.halted.write().unwrap_or_else(|it| it.into_inner()) = Some(reason);
        self.stands_still.store(true, Ordering::Release);
    }

    /// Why no change reaches any relation now, if that is so: intake stopped or waits.
    pub fn stands_still(&self) -> Option<String> {
        if !self.stands_still.load(Ordering::Acquire) {
            return None;
        }
        let stopped = self.halted().map(|it| format!("intake stopped: {it}"));
        stopped.or_else(|| self.paused().map(|it| format!("intake waits: {it}")))
    }

    /// Why intake waits, if it does.
    pub fn paused(&self) -> Option<String> {
        self.paused.read().unwrap_or_else(|it| it.into_inner()).clone()
    }

    /// Records that intake waits, or no longer does.
    pub fn set_paused(&self, reason: Option<String>) {
        if *self.paused.read().unwrap_or_else(|it| it.into_inner()) != reason {
            let stands_still = reason.is_some() || self.halted().is_some();
            *self.paused.write().unwrap_or_else(|it| it.into_inner()) = reason;
            self.stands_still.store(stands_still, Ordering::Release);
        }
    }
}
