//! The running engine: one thread steps the core, one per source feeds it.
//!
//! Start-up never waits for a source: what can be planned is planned, built and served, and what comes later is planned
//! then. Only mistakes in the view files stop the start, before anything is touched.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::core::Core;
use super::memory::Memory;
use super::options::{EngineError, EngineOptions};
use super::outline::{Outline, outline};
use super::report::{Reporter, unready};
use super::revise::Reviser;
use super::view::View;
use crate::catalog::Catalog;
use crate::change::{Batch, Details, Position, Rejections, Schema, SourceHealth, TableId};
use crate::plan::{self, Graph};
use crate::source::{self, Link, Message, SourceSpec, Sources, TableSpec};
use crate::store::{Board, Epoch, StoreError};

/// Messages waiting between the sources and the engine; a source that is faster waits.
const QUEUED_MESSAGES: usize = 64;
/// How long the engine thread sleeps at most before it looks at its timers.
const TICK: Duration = Duration::from_millis(20);

/// A running engine. Dropping it stops it as [`Engine::stop`] does, which also says how it went.
#[derive(Debug)]
pub struct Engine {
    board: Arc<Board>,
    catalog: Arc<Catalog>,
    stop: Arc<AtomicBool>,
    reload: Reload,
    thread: Option<JoinHandle<Result<(), EngineError>>>,
}

/// Asks a running engine to read its view files again.
#[derive(Debug, Clone, Default)]
pub struct Reload(Arc<AtomicBool>);

impl Reload {
    /// The files are read soon; what becomes of it stands in the log.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was asked for since the last call.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

impl Engine {
    /// Reads the view files, opens the state and starts to follow the sources.
    ///
    /// # Errors
    /// Mistakes in the view files, a data directory that is in use, of a newer format or corrupt.
    pub fn start(options: EngineOptions) -> Result<Engine, EngineError> {
        let (catalog, sources) = options.read_catalog()?;
        let catalog = Arc::new(catalog);
        let board = Arc::new(Board::new(catalog.sources.iter().map(|it| it.name.clone()).collect()));
        let (stop, reload) = (Arc::new(AtomicBool::new(false)), Reload::default());
        let mut memory = Memory::read(&options.data);
        let outline = outline(&catalog, &sources, &memory, |_| None);
        let mistakes = outline.mistakes(&catalog, &memory);
        if !mistakes.is_empty() {
            return Err(EngineError::Views { files: catalog.files.clone(), problems: mistakes });
        }
        let mut reporter = Reporter::new(Arc::clone(&board));
        let (planned, graph) = (Arc::new(outline.catalog), Arc::new(outline.graph));
        memory.learn(&planned, &outline.schemas);
        reporter.set_unplanned(outline.unplanned);
        let core = Core::open(planned, graph, &options.data, options.store.clone(), Arc::clone(&board))?;
        // Only now is it sure that the directory is ours.
        memory.write(&catalog, &options.data)?;
        let runner = Runner {
            reviser: Reviser::new(options.clone(), Arc::clone(&catalog), sources.clone(), memory, reload.clone()),
            options,
            sources,
            board: Arc::clone(&board),
            reporter,
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
        Ok(Engine { board, catalog, stop, reload, thread: Some(thread) })
    }

    /// Where the endpoints look.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// A handle to have the view files read again.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// What the view files declared at the start.
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
            match unready(&self.board) {
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

/// Why the sources are not followed any further as they are.
enum Next {
    /// There is something else to be planned.
    Replan(Box<Outline>),
    /// These tables are to be copied again, as a difference.
    CopyAgain(BTreeSet<TableId>),
    /// Told to stop.
    Stop,
}

/// What the engine thread owns besides the core.
struct Runner {
    options: EngineOptions,
    sources: Sources,
    reviser: Reviser,
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
    fn run_guarded(mut self, core: Core) -> Result<(), EngineError> {
        let board = Arc::clone(&self.board);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run(core)));
        let outcome = outcome.unwrap_or_else(|panic| Err(EngineError::Halted(internal_error(&*panic))));
        if let Err(error) = &outcome {
            tracing::error!(%error, "the engine stopped; what was published stays served");
            board.halt(error.to_string());
        }
        outcome
    }

    fn run(&mut self, mut core: Core) -> Result<(), EngineError> {
        core.stop = Arc::clone(&self.stop);
        let mut loaded = core.load();
        loop {
            match loaded.and_then(|()| self.follow_sources(&mut core)) {
                Ok(Next::Replan(outline)) => {
                    core = self.replan(core, *outline)?;
                    loaded = core.load();
                }
                Ok(Next::CopyAgain(tables)) => {
                    core.copy_again(tables);
                    let tables = core.catalog.tables.iter().enumerate();
                    for (_, table) in tables.filter(|it| core.needs_copy(TableId(it.0))) {
                        self.board.sources()[table.source].forget_rejected(&table.name);
                    }
                    loaded = Ok(());
                }
                // Told to stop while it loads, builds, or waits for the disk: what was not done is done by the next start.
                Ok(Next::Stop) | Err(EngineError::Stopped) => break,
                Err(error) => return Err(error),
            }
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

    /// Goes over to another plan on the same state. Readers go on meanwhile, with the epoch that is published.
    fn replan(&mut self, core: Core, outline: Outline) -> Result<Core, EngineError> {
        let Outline { sources, catalog, schemas, graph, unplanned, .. } = outline;
        let core = core.replan(Arc::new(catalog), Arc::new(graph))?;
        self.sources = sources;
        self.reporter.set_unplanned(unplanned);
        self.reporter.forget_tables();
        self.reviser.learn(&core.catalog, &schemas)?;
        self.announced = false;
        Ok(core)
    }

    /// Runs the threads of the sources and of syncing around the epoch loop, until something else is to be done.
    fn follow_sources(&mut self, core: &mut Core) -> Result<Next, EngineError> {
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

    fn spawn_sources(
        &mut self,
        core: &Core,
        sender: &SyncSender<Message>,
        stop: &Arc<AtomicBool>,
    ) -> Vec<JoinHandle<()>> {
        let mut threads = Vec::new();
        self.durable.clear();
        for (index, source) in core.catalog.sources.iter().enumerate() {
            let from = core.position(index);
            let durable = Arc::new(Mutex::new(from.clone()));
            self.durable.push(Arc::clone(&durable));
            let of_source = core.catalog.tables.iter().enumerate().filter(|(_, table)| table.source == index);
            let tables = of_source.map(|(table, declared)| TableSpec {
                table: TableId(table),
                declaration: declared.clone(),
                schema: core.graph().nodes[table].schema.clone(),
                copy: core.needs_copy(TableId(table)),
            });
            let spec = SourceSpec { index, name: source.name.clone(), tables: tables.collect() };
            let link = Link { sender: sender.clone(), durable, stop: Arc::clone(stop) };
            threads.push(source::spawn(Arc::clone(self.sources.get(index)), spec, from, link));
        }
        threads
    }

    /// The epoch loop: take what has arrived, make it one epoch, publish, sync now and then.
    fn follow(&mut self, core: &mut Core, messages: &Receiver<Message>) -> Result<Next, EngineError> {
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
            if !self.announced && unready(&self.board).is_none() {
                self.announced = true;
                tracing::info!("ready: every view is complete and every source is followed");
            }
            if self.unsynced.is_some_and(|since| since.elapsed() >= self.options.sync_interval) {
                self.unsynced = None;
                self.request_sync(&core.board().epoch())?;
            }
            if let Some(outline) = self.reviser.look(core, &mut self.reporter) {
                return Ok(Next::Replan(Box::new(outline)));
            }
            if let Some(tables) = self.asked_copies(core) {
                return Ok(Next::CopyAgain(tables));
            }
        }
        Ok(Next::Stop)
    }

    /// The tables that somebody wants to be copied again, if there are any.
    fn asked_copies(&self, core: &Core) -> Option<BTreeSet<TableId>> {
        let mut tables = BTreeSet::new();
        for (index, source) in self.board.sources().iter().enumerate() {
            let names = source.take_resync();
            if names.is_empty() {
                continue;
            }
            let of_source = core.catalog.tables.iter().enumerate().filter(|it| it.1.source == index);
            tables.extend(of_source.filter(|it| names.contains(&it.1.name)).map(|it| TableId(it.0)));
            let list: Vec<String> = names.into_iter().collect();
            tracing::info!(source = source.name, tables = list.join(", "), "copied again, as was asked for");
        }
        (!tables.is_empty()).then_some(tables)
    }

    /// How long to wait for the next message: until the next fsync is due.
    fn pause(&self) -> Duration {
        let due = self.unsynced.map(|since| self.options.sync_interval.saturating_sub(since.elapsed()));
        due.map_or(TICK, |it| it.min(TICK))
    }

    fn digest(&mut self, core: &mut Core, arrived: Vec<Message>) -> Result<(), EngineError> {
        let mut current = HashMap::new();
        for turn in turns(arrived) {
            match turn {
                Turn::Apply(batches) => {
                    core.apply(batches)?;
                    self.unsynced.get_or_insert_with(Instant::now);
                }
                Turn::Health(source, health) => {
                    self.reporter.set_health(source, health);
                    core.refresh_states();
                }
                Turn::Halted(source, halted) => {
                    self.reporter.log_halted(&core.catalog, source, &halted);
                    core.set_halted(source, halted);
                }
                Turn::Rejected(source, rejected) => {
                    if let Some(status) = self.board.sources().get(source) {
                        for (table, rejections) in rejected {
                            status.reject(&core.catalog.tables[table.0].name, rejections);
                        }
                    }
                }
                Turn::Details(source, details) => {
                    if let Some(status) = self.board.sources().get(source) {
                        status.set_details(details);
                    }
                }
                Turn::Current(source, instant) => {
                    current.insert(source, instant);
                }
            }
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
        let names: Vec<String> = core.catalog.sources.iter().map(|it| it.name.clone()).collect();
        let durable = self.durable.clone();
        std::thread::spawn(move || {
            let sync = || {
                for epoch in &requests {
                    syncer.sync().map_err(|error| error.to_string())?;
                    for (name, durable) in names.iter().zip(&durable) {
                        let position = epoch.positions().get(name.as_str()).map(|it| Position::clone(it));
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

/// What is done about messages, one after the other.
#[derive(Debug)]
enum Turn {
    /// Batches that become one epoch.
    Apply(Vec<Batch>),
    Health(usize, SourceHealth),
    Halted(usize, Vec<(TableId, String)>),
    Rejected(usize, Vec<(TableId, Rejections)>),
    Details(usize, Details),
    Current(usize, Instant),
}

/// What a source tells of itself is shown only when everything it sent before is applied: who reads that a source is
/// followed finds what it has copied.
fn turns(messages: Vec<Message>) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut batches = Vec::new();
    for message in messages {
        let said = match message {
            Message::Batch(batch) => {
                batches.push(batch);
                continue;
            }
            // It is looked at after all batches, and comes too often to end an epoch.
            Message::Current(source, instant) => {
                turns.push(Turn::Current(source, instant));
                continue;
            }
            // These say nothing of what is held here, and come often, too.
            Message::Rejected(source, rejected) => {
                turns.push(Turn::Rejected(source, rejected));
                continue;
            }
            Message::Details(source, details) => {
                turns.push(Turn::Details(source, details));
                continue;
            }
            Message::Health(source, health) => Turn::Health(source, health),
            Message::Halted(source, halted) => Turn::Halted(source, halted),
        };
        if !batches.is_empty() {
            turns.push(Turn::Apply(std::mem::take(&mut batches)));
        }
        turns.push(said);
    }
    if !batches.is_empty() {
        turns.push(Turn::Apply(batches));
    }
    turns
}

fn internal_error(panic: &(dyn Any + Send)) -> String {
    format!("internal error: {}", source::panic_text(panic))
}

fn events_of(message: &Message) -> usize {
    if let Message::Batch(batch) = message { batch.events.len() } else { 0 }
}

fn unix_us(instant: Instant) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(instant.elapsed()).as_micros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Phase;

    fn batch(source: usize) -> Message {
        let (events, covers, seen_at) = (Vec::new(), Arc::default(), Instant::now());
        Message::Batch(Batch {
            source,
            events,
            position: Position::default(),
            phase: Phase::Streaming,
            covers,
            seen_at,
        })
    }

    #[test]
    fn what_was_sent_before_a_source_tells_of_itself_is_applied_first() {
        let healthy = |source| Message::Health(source, SourceHealth::Streaming);
        let halted = Message::Halted(0, Vec::new());
        let current = Message::Current(1, Instant::now());
        let details = Message::Details(0, Details::default());
        let messages = vec![batch(0), current, details, batch(1), healthy(0), healthy(1), batch(0), halted, batch(1)];
        let shown: Vec<String> = turns(messages)
            .iter()
            .map(|turn| match turn {
                Turn::Apply(batches) => format!("apply {:?}", batches.iter().map(|it| it.source).collect::<Vec<_>>()),
                Turn::Health(source, _) => format!("health {source}"),
                Turn::Halted(source, _) => format!("halted {source}"),
                Turn::Rejected(source, _) => format!("rejected {source}"),
                Turn::Details(source, _) => format!("details {source}"),
                Turn::Current(source, _) => format!("current {source}"),
            })
            .collect();
        let expected =
            ["current 1", "details 0", "apply [0, 1]", "health 0", "health 1", "apply [0]", "halted 0", "apply [1]"];
        assert_eq!(shown, expected);
    }
}
