//! The running engine: one thread steps the core, one per source feeds it.
//!
//! Start-up never waits for a source: a source that cannot be described is tried again with back-off while everything
//! that is known already is served. Only mistakes in the view files stop the start, before anything is touched.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::core::Core;
use super::describe;
use super::options::{EngineError, EngineOptions};
use super::report::{Reporter, unready};
use super::view::View;
use crate::catalog::Catalog;
use crate::change::{Batch, Position, Schema, SourceHealth, TableId};
use crate::plan::{self, Graph};
use crate::source::{self, Link, Message, SourceSpec, TableSpec};
use crate::store::{Board, Epoch, StoreError};

/// Messages waiting between the sources and the engine; a source that is faster waits.
const QUEUED_MESSAGES: usize = 64;
/// How long the engine thread sleeps at most before it looks at its timers.
const TICK: Duration = Duration::from_millis(20);
/// Longest pause between two attempts to describe a source that cannot be reached.
const MAX_BACK_OFF: Duration = Duration::from_secs(1);

/// A running engine. Dropping it stops it as [`Engine::stop`] does, which also says how it went.
#[derive(Debug)]
pub struct Engine {
    board: Arc<Board>,
    catalog: Arc<Catalog>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), EngineError>>>,
}

impl Engine {
    /// Reads the view files, opens the state and starts to follow the sources.
    ///
    /// # Errors
    /// Mistakes in the view files, a data directory that is in use, of a newer format or corrupt.
    pub fn start(options: EngineOptions) -> Result<Engine, EngineError> {
        let catalog = Arc::new(options.read_catalog()?);
        let board = Arc::new(Board::new(catalog.sources.iter().map(|it| it.name.clone()).collect()));
        let stop = Arc::new(AtomicBool::new(false));
        let core = match describe::tables(&catalog, Some(&options.data)) {
            Ok(schemas) => Some(open(&catalog, &schemas, &options, &board)?),
            Err(EngineError::Source { transient: true, .. }) => None,
            Err(error) => return Err(error),
        };
        let runner = Runner {
            options,
            catalog: Arc::clone(&catalog),
            board: Arc::clone(&board),
            reporter: Reporter::new(Arc::clone(&board)),
            stop: Arc::clone(&stop),
            durable: Vec::new(),
            unsynced: None,
            announced: false,
            sync_requests: None,
        };
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || runner.run_guarded(core))
            .map_err(|error| EngineError::Io(format!("cannot start the engine thread: {error}")))?;
        Ok(Engine { board, catalog, stop, thread: Some(thread) })
    }

    /// Where the endpoints look.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// What the view files declare.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// A table or materialized view to read from.
    pub fn view(&self, name: &str) -> Option<View> {
        View::find(&self.board, name)
    }

    /// Waits until every relation is live and every source is followed.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), EngineError> {
        let deadline = Instant::now() + timeout;
        loop {
            match unready(&self.board, &self.catalog) {
                None => return Ok(()),
                Some(_) if self.board.halted().is_some() => {
                    return Err(EngineError::Halted(self.board.halted().unwrap_or_default()));
                }
                Some(reason) if Instant::now() >= deadline => return Err(EngineError::TimedOut(timeout, reason)),
                Some(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Ends intake, writes a checkpoint and closes the state.
    pub fn stop(mut self) -> Result<(), EngineError> {
        self.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(EngineError::Halted("the engine thread panicked".into())),
            None => Ok(()),
        }
    }
}

impl Drop for Engine {
    /// Waits as [`Engine::stop`] does, since the threads use the data directory; what went wrong has been logged.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Lowers all views of the catalog.
pub fn plan_views(catalog: &Catalog, schemas: &[Schema]) -> Result<Graph, EngineError> {
    plan::plan(catalog, schemas).map_err(|problems| EngineError::Views { files: catalog.files.clone(), problems })
}

/// Parses, describes and plans the view files of one directory, touching no state.
pub fn plan_directory(views: &Path) -> Result<(Catalog, Graph), EngineError> {
    // Nothing is remembered anywhere, so a source that cannot be reached is an error here.
    let catalog = EngineOptions::new(views, "").read_catalog()?;
    let schemas = describe::tables(&catalog, None)?;
    let graph = plan_views(&catalog, &schemas)?;
    Ok((catalog, graph))
}

/// Plans, and only then touches the data directory.
fn open(
    catalog: &Arc<Catalog>,
    schemas: &[Schema],
    options: &EngineOptions,
    board: &Arc<Board>,
) -> Result<Core, EngineError> {
    let graph = Arc::new(plan_views(catalog, schemas)?);
    let core = Core::open(Arc::clone(catalog), graph, &options.data, options.store.clone(), Arc::clone(board))?;
    // Only now is it sure that the directory is ours.
    describe::remember(catalog, schemas, &options.data)?;
    Ok(core)
}

/// What the engine thread owns besides the core.
struct Runner {
    options: EngineOptions,
    catalog: Arc<Catalog>,
    board: Arc<Board>,
    reporter: Reporter,
    stop: Arc<AtomicBool>,
    /// Per source, where it looks up how far it may trim.
    durable: Vec<Arc<Mutex<Option<Position>>>>,
    /// When the oldest commit that is not fsynced was made.
    unsynced: Option<Instant>,
    /// Whether it was said that everything is ready.
    announced: bool,
    /// To the sync thread.
    sync_requests: Option<SyncSender<Arc<Epoch>>>,
}

impl Runner {
    /// Whatever ends the thread other than a stop is put on the board, so that nobody reads stale rows unaware.
    fn run_guarded(mut self, core: Option<Core>) -> Result<(), EngineError> {
        let board = Arc::clone(&self.board);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run(core)));
        let outcome = outcome.unwrap_or_else(|panic| Err(EngineError::Halted(internal_error(&*panic))));
        if let Err(error) = &outcome {
            tracing::error!(%error, "the engine stopped; what was published stays served");
            board.halt(error.to_string());
        }
        outcome
    }

    fn run(&mut self, core: Option<Core>) -> Result<(), EngineError> {
        let Some(mut core) = core.map_or_else(|| self.describe_until_planned(), |core| Ok(Some(core)))? else {
            return Ok(());
        };
        core.stop = Arc::clone(&self.stop);
        match core.load().and_then(|()| self.follow_sources(&mut core)) {
            // Told to stop while it loads, builds, or waits for the disk: what was not done is done by the next start.
            Ok(()) | Err(EngineError::Stopped) => {}
            Err(error) => return Err(error),
        }
        match core.close() {
            // Nothing is lost: the journal has what the last checkpoint could not take.
            Err(EngineError::Store(error @ StoreError::Full(_))) => {
                tracing::warn!(%error, "closed without a checkpoint");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Runs the threads of the sources and of syncing around the epoch loop.
    fn follow_sources(&mut self, core: &mut Core) -> Result<(), EngineError> {
        let (sender, messages) = sync_channel(QUEUED_MESSAGES);
        let stop_sources = Arc::new(AtomicBool::new(false));
        let mut threads = self.spawn_sources(core, &sender, &stop_sources);
        threads.push(self.spawn_sync(core));
        drop(sender);
        let outcome = self.follow(core, &messages);
        stop_sources.store(true, Ordering::Release);
        self.sync_requests = None;
        drop(messages);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread panicked");
            }
        }
        outcome
    }

    /// Waits for sources that cannot be described yet. `None`: stopped before that.
    fn describe_until_planned(&mut self) -> Result<Option<Core>, EngineError> {
        let mut pause = Duration::from_millis(10);
        while !self.stop.load(Ordering::Acquire) {
            match describe::tables(&self.catalog, Some(&self.options.data)) {
                Ok(schemas) => return open(&self.catalog, &schemas, &self.options, &self.board).map(Some),
                Err(EngineError::Source { name, reason, .. }) => self.name_awaited(&name, &reason),
                Err(error) => return Err(error),
            }
            std::thread::park_timeout(pause);
            pause = (pause * 2).min(MAX_BACK_OFF);
        }
        Ok(None)
    }

    /// Says which source is waited for; one that was waited for before may be there by now.
    fn name_awaited(&mut self, awaited: &str, reason: &str) {
        for (index, source) in self.catalog.sources.iter().enumerate() {
            let health = if source.name == awaited {
                let reason =
                    format!("{reason}; all views wait, because planning them takes the columns of every table");
                SourceHealth::Retrying { reason }
            } else {
                SourceHealth::Connecting
            };
            self.reporter.set_health(index, health);
        }
    }

    fn spawn_sources(
        &mut self,
        core: &Core,
        sender: &SyncSender<Message>,
        stop: &Arc<AtomicBool>,
    ) -> Vec<JoinHandle<()>> {
        let mut threads = Vec::new();
        for (index, source) in self.catalog.sources.iter().enumerate() {
            let from = core.resume_position(index);
            let durable = Arc::new(Mutex::new(from.clone()));
            self.durable.push(Arc::clone(&durable));
            let of_source = self.catalog.tables.iter().enumerate().filter(|(_, table)| table.source == index);
            let tables = of_source.map(|(table, declared)| TableSpec {
                table: TableId(table),
                upstream: declared.upstream.clone(),
                schema: core.graph().nodes[table].schema.clone(),
            });
            let spec = SourceSpec {
                index,
                name: source.name.clone(),
                connector: source.connector.clone(),
                tables: tables.collect(),
            };
            let link = Link { sender: sender.clone(), durable, stop: Arc::clone(stop) };
            threads.push(source::spawn(spec, from, link));
        }
        threads
    }

    /// The epoch loop: take what has arrived, make it one epoch, publish, sync now and then.
    fn follow(&mut self, core: &mut Core, messages: &Receiver<Message>) -> Result<(), EngineError> {
        while !self.stop.load(Ordering::Acquire) {
            let mut arrived = Vec::new();
            match messages.recv_timeout(self.pause()) {
                Ok(message) => arrived.push(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::park_timeout(TICK),
            }
            let mut events = arrived.iter().map(events_of).sum::<usize>();
            while events < self.options.max_epoch_events {
                let Ok(message) = messages.try_recv() else { break };
                events += events_of(&message);
                arrived.push(message);
            }
            self.digest(core, arrived)?;
            if !self.announced && unready(&self.board, &self.catalog).is_none() {
                self.announced = true;
                tracing::info!("ready: every view is complete and every source is followed");
            }
            if self.unsynced.is_some_and(|since| since.elapsed() >= self.options.sync_interval) {
                self.unsynced = None;
                self.request_sync(&core.board().epoch())?;
            }
        }
        Ok(())
    }

    /// How long to wait for the next message: until the next fsync is due.
    fn pause(&self) -> Duration {
        let due = self.unsynced.map(|since| self.options.sync_interval.saturating_sub(since.elapsed()));
        due.map_or(TICK, |it| it.min(TICK))
    }

    fn digest(&mut self, core: &mut Core, arrived: Vec<Message>) -> Result<(), EngineError> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut current = HashMap::new();
        for message in arrived {
            match message {
                Message::Batch(batch) => batches.push(batch),
                Message::Health(source, health) => self.reporter.set_health(source, health),
                Message::Current(source, instant) => {
                    current.insert(source, instant);
                }
            }
        }
        if !batches.is_empty() {
            core.apply(batches)?;
            self.unsynced.get_or_insert_with(Instant::now);
        }
        // Only now is everything that was sent before a `Current` message published.
        for (source, instant) in current {
            if let Some(status) = self.board.sources().get(source) {
                status.current_until_us.store(unix_us(instant), Ordering::Release);
            }
        }
        Ok(())
    }

    /// Asks the sync thread to make `epoch` durable; when it is still busy, the next request covers this one.
    fn request_sync(&mut self, epoch: &Arc<Epoch>) -> Result<(), EngineError> {
        let Some(requests) = &self.sync_requests else { return Ok(()) };
        match requests.try_send(Arc::clone(epoch)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.unsynced = Some(Instant::now()),
            Err(TrySendError::Disconnected(_)) => {
                return Err(EngineError::Halted(self.board.halted().unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// A thread that fsyncs, so that epochs need not wait for the disk, and then tells the sources how far they may
    /// trim. When it fails it says so on the board and ends, which ends intake too.
    fn spawn_sync(&mut self, core: &Core) -> JoinHandle<()> {
        let (sender, requests) = sync_channel::<Arc<Epoch>>(1);
        self.sync_requests = Some(sender);
        let (syncer, board) = (core.syncer(), Arc::clone(&self.board));
        let names: Vec<String> = self.catalog.sources.iter().map(|it| it.name.clone()).collect();
        let durable = self.durable.clone();
        std::thread::spawn(move || {
            let sync = || {
                for epoch in &requests {
                    syncer.sync().map_err(|error| error.to_string())?;
                    for (name, durable) in names.iter().zip(&durable) {
                        let position = epoch.positions().get(name).cloned();
                        *durable.lock().unwrap_or_else(|it| it.into_inner()) = position;
                    }
                }
                Ok(())
            };
            if let Err(reason) = catch_unwind(AssertUnwindSafe(sync)).unwrap_or_else(|it| Err(internal_error(&*it))) {
                board.halt(reason);
            }
        })
    }
}

fn internal_error(panic: &(dyn Any + Send)) -> String {
    format!("internal error: {}", source::panic_text(panic))
}

fn events_of(message: &Message) -> usize {
    match message {
        Message::Batch(batch) => batch.events.len(),
        Message::Health(..) | Message::Current(..) => 0,
    }
}

fn unix_us(instant: Instant) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(instant.elapsed()).as_micros() as u64
}
