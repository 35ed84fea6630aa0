//! The status board: the one place where the engine says how things are and where readers look.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::epoch::Epoch;
use super::stats::StoreStats;
use crate::catalog::{Relation, View};
use crate::change::SourceHealth;

/// Whether a relation may be read.
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
    /// Complete, and kept up to date.
    Live,
    /// It cannot be kept; the reason.
    Failed {
        /// What is wrong and what to do.
        reason: String,
    },
}

/// How one source is doing.
#[derive(Debug)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Its health.
    pub health: RwLock<SourceHealth>,
    /// Unix time in microseconds up to which everything committed at the source is in the published epoch.
    pub current_until_us: AtomicU64,
    /// Events applied since the process started.
    pub events: AtomicU64,
}

impl SourceStatus {
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
    relations: ArcSwap<Vec<(Relation, Arc<RwLock<RelationState>>)>>,
    plain_views: ArcSwap<Vec<View>>,
    sources: Vec<SourceStatus>,
    store: ArcSwap<StoreStats>,
    /// Set when intake stopped for good (a failed write, say); the reason.
    halted: RwLock<Option<String>>,
    /// Set while intake waits for something that may pass (a full disk); the reason.
    paused: RwLock<Option<String>>,
}

impl Board {
    /// A board for these sources with nothing published yet.
    pub fn new(sources: Vec<String>) -> Board {
        let status = |name| SourceStatus {
            name,
            health: RwLock::new(SourceHealth::Connecting),
            current_until_us: AtomicU64::new(0),
            events: AtomicU64::new(0),
        };
        Board {
            epoch: ArcSwap::from_pointee(Epoch::default()),
            published: watch::Sender::new(0),
            relations: ArcSwap::from_pointee(Vec::new()),
            plain_views: ArcSwap::from_pointee(Vec::new()),
            sources: sources.into_iter().map(status).collect(),
            store: ArcSwap::from_pointee(StoreStats::default()),
            halted: RwLock::new(None),
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
    pub fn relations(&self) -> Arc<Vec<(Relation, Arc<RwLock<RelationState>>)>> {
        self.relations.load_full()
    }

    /// Sets what is served.
    pub fn set_relations(&self, relations: Vec<(Relation, RelationState)>) {
        let shared = relations.into_iter().map(|(relation, state)| (relation, Arc::new(RwLock::new(state)))).collect();
        self.relations.store(Arc::new(shared));
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
    }

    /// Why intake waits, if it does.
    pub fn paused(&self) -> Option<String> {
        self.paused.read().unwrap_or_else(|it| it.into_inner()).clone()
    }

    /// Records that intake waits, or no longer does.
    pub fn set_paused(&self, reason: Option<String>) {
        if *self.paused.read().unwrap_or_else(|it| it.into_inner()) != reason {
            *self.paused.write().unwrap_or_else(|it| it.into_inner()) = reason;
        }
    }
}
