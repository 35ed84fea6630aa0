//! The threads statements run on, apart from those that serve.
//!
//! A statement may compute for as long as it likes without ever letting go of its thread, so the serving side only
//! waits: it answers in time whatever happens here, and probes and reads by key never queue behind a statement. Who stops
//! waiting (out of time, or gone) ends the work at its next checkpoint (`watch`). Should one not come to a checkpoint,
//! its place is given to another after [`OVERDUE`], a few times; metrics and `/readyz` tell.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::turns::Turns;
use super::watch::{Budget, Kind, LONG, Reason, Watch};
use crate::serve::gate::Room;
use crate::serve::problem::Problem;

/// The planner recurses over plans, and operators poll their inputs recursively. Only what is used of it costs memory.
const STACK_BYTES: usize = 64 << 20;
/// How many statements may be under way at a time; others wait.
const ORDINARY: usize = 12;
/// How many more, if they are expected to be done at once.
const LIGHT: usize = 4;
/// How many short texts may be planned beside those, so that neither waits for the other.
const PLANNING: usize = 4;
/// How many may wait for a place of each kind; more are turned away at once.
const WAITING: usize = 256;
/// How many threads wait for work.
const IDLE: usize = 4;
/// Who has waited for a place for so long may take that of another.
const PATIENCE: Duration = Duration::from_millis(250);
/// Who does not end for so long when it is told to is replaced.
pub(crate) const OVERDUE: Duration = Duration::from_secs(1);
/// How many may be replaced at a time.
const REPLACED: usize = 4;

/// The threads, and what statements share.
#[derive(Debug)]
pub(crate) struct Workers {
    threads: Arc<Threads>,
    budget: Arc<Budget>,
    /// Who waits for a place of each kind.
    waiting: [Room; 3],
}

/// What there is to see of the statements under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// How many are under way.
    pub(crate) under_way: usize,
    /// How many of them wait for clients that do not read their answers.
    pub(crate) unread: usize,
    /// How many were told to end a second ago and did not.
    pub(crate) overdue: usize,
    /// How many more may be under way.
    pub(crate) places: usize,
    /// Bytes they hold.
    pub(crate) memory: usize,
}

impl Workers {
    /// Threads for statements that together hold at most `memory` bytes.
    pub(crate) fn new(memory: usize) -> Workers {
        let cores = std::thread::available_parallelism().map_or(2, |it| it.get());
        let budget = Arc::new(Budget::new(memory, Turns::new(cores), [LIGHT, PLANNING, ORDINARY]));
        Workers { threads: Arc::new(Threads::default()), budget, waiting: Default::default() }
    }

    /// The result of `work`, or the problem of its taking longer than `limit`, waiting for a place included.
    pub(crate) async fn run<T, F>(
        &self,
        kind: Kind,
        limit: Duration,
        work: impl FnOnce(Arc<Watch>) -> F + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>>,
    {
        let (send, receive) = oneshot::channel();
        let work = async move |entered: Result<Arc<Watch>, Problem>| {
            let result = match entered {
                Ok(watch) => work(watch).await,
                Err(problem) => Err(problem),
            };
            // Nobody waits any more when the request was cancelled.
            let _ = send.send(result);
        };
        let begun = self.start(kind, limit, work).await?;
        match timeout_at(begun.deadline, receive).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Problem::internal("the statement failed unexpectedly; the log tells more")),
            Err(_) => Err(Problem::timeout()),
        }
    }

    /// Begins `work` on a thread of its own as soon as there is a place. It learns when it cannot go on to its first
    /// step.
    pub(crate) async fn start<F: Future<Output = ()>>(
        &self,
        kind: Kind,
        limit: Duration,
        work: impl FnOnce(Result<Arc<Watch>, Problem>) -> F + Send + 'static,
    ) -> Result<Begun, Problem> {
        let deadline = Instant::now() + limit;
        let place = self.place(kind, deadline).await?;
        let watch = Watch::new(&self.budget, place, deadline.duration_since(Instant::now()), kind);
        let begun = Begun { watch: Arc::clone(&watch), deadline };
        let job = move |runtime: &Runtime| {
            watch.enter(|entered| {
                let entered = entered.map(|()| Arc::clone(&watch));
                let done = AssertUnwindSafe(|| runtime.block_on(work(entered)));
                if std::panic::catch_unwind(done).is_err() {
                    tracing::error!("a statement panicked");
                }
            });
        };
        self.threads.start(Box::new(job)).inspect_err(|_| begun.watch.leave())?;
        Ok(begun)
    }

    /// The right to be under way.
    async fn place(&self, kind: Kind, deadline: Instant) -> Result<OwnedSemaphorePermit, Problem> {
        let _waiting = self.waiting[kind as usize].take(WAITING).map_err(|_| busy())?;
        let mut acquired = pin!(Arc::clone(self.budget.places(kind)).acquire_owned());
        loop {
            match timeout(PATIENCE.min(deadline.duration_since(Instant::now())), acquired.as_mut()).await {
                Ok(place) => return place.map_err(|_| busy()),
                Err(_) if Instant::now() >= deadline => return Err(busy()),
                Err(_) => self.make_room(),
            }
        }
    }

    /// Lets who has had a place for long give way, and replaces who does not end.
    fn make_room(&self) {
        let under_way = self.budget.under_way();
        let overdue = under_way.iter().filter(|it| it.overdue().is_some_and(|it| it > OVERDUE));
        let (replaced, others): (Vec<_>, Vec<_>) = overdue.partition(|it| it.is_replaced());
        let more = REPLACED.saturating_sub(replaced.len());
        others.into_iter().filter(|it| it.has_place()).take(more).for_each(|it| it.replace());
        let asked =
            under_way.iter().filter(|it| it.kind() == Kind::Ordinary && it.has_place() && it.overdue().is_none());
        let longest = asked.map(|it| (it.cost(), it)).filter(|(cost, _)| *cost >= LONG).max_by_key(|it| it.0);
        longest.inspect(|(_, it)| it.stop(Reason::GivesWay));
    }

    /// What there is to see.
    pub(crate) fn load(&self) -> Load {
        let under_way = self.budget.under_way();
        let count = |test: &dyn Fn(&Watch) -> bool| under_way.iter().filter(|it| test(it)).count();
        Load {
            under_way: under_way.len(),
            unread: count(&|it| !it.away_for().is_zero()),
            overdue: count(&|it| it.overdue().is_some_and(|it| it > OVERDUE)),
            places: self.budget.places(Kind::Ordinary).available_permits(),
            memory: self.budget.held(),
        }
    }
}

impl Load {
    /// What people should know who look after the process.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.places == 0 {
            notes.push(format!("ad-hoc SQL is busy: {} statements are under way", self.under_way));
        }
        if self.overdue > 0 {
            notes.push(format!("ad-hoc SQL: {} statements were told to end and go on", self.overdue));
        }
        if self.unread > 0 {
            notes.push(format!("ad-hoc SQL: the answers of {} statements are not read by their clients", self.unread));
        }
        notes
    }

    /// Why statements cannot be answered, if they cannot.
    pub(crate) fn reason(&self) -> Option<String> {
        let reason = || format!("ad-hoc SQL: {} statements were told to end and go on", self.overdue);
        (self.overdue > REPLACED).then(reason)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.threads.close();
    }
}

/// A statement that was begun; it is told to end when this is dropped.
#[derive(Debug)]
pub(crate) struct Begun {
    watch: Arc<Watch>,
    /// When it runs out of time, if nothing but itself keeps it waiting.
    pub(crate) deadline: Instant,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.watch.stop(Reason::Unwanted);
    }
}

fn busy() -> Problem {
    let detail = format!("{ORDINARY} statements are under way, and none of them ended in time for this one");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "53300", detail).hint("ask again in a second")
}

type Job = Box<dyn FnOnce(&Runtime) + Send>;

/// Threads that wait for work.
#[derive(Debug, Default)]
struct Threads {
    state: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    waiting: Vec<mpsc::Sender<Job>>,
    closed: bool,
}

impl Threads {
    fn state(&self) -> MutexGuard<'_, Idle> {
        self.state.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// Gives `job` to a thread that waits, or to a new one.
    fn start(self: &Arc<Threads>, mut job: Job) -> Result<(), Problem> {
        while let Some(idle) = { self.state().waiting.pop() } {
            match idle.send(job) {
                Ok(()) => return Ok(()),
                Err(mpsc::SendError(it)) => job = it,
            }
        }
        let no_thread = |it| {
            let detail = format!("there is no thread to compute on: {it}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "53000", detail).hint("ask again in a second")
        };
        // Nothing is shared with other threads: what an operator spawns runs here, too.
        let runtime = Builder::new_current_thread().enable_time().build().map_err(no_thread)?;
        let threads = Arc::clone(self);
        let thread = std::thread::Builder::new().name("sql-worker".into()).stack_size(STACK_BYTES);
        thread.spawn(move || threads.work(&runtime, job)).map(|_| ()).map_err(no_thread)
    }

    fn work(&self, runtime: &Runtime, first: Job) {
        let mut next = Some(first);
        while let Some(job) = next {
            job(runtime);
            next = self.wait();
        }
    }

    /// Waits for the next job; there is none where enough threads wait.
    fn wait(&self) -> Option<Job> {
        let (sender, jobs) = mpsc::channel();
        let mut state = self.state();
        if state.closed || state.waiting.len() >= IDLE {
            return None;
        }
        state.waiting.push(sender);
        drop(state);
        jobs.recv().ok()
    }

    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
    }
}
