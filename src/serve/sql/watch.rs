//! A statement under way: whether it may go on, how long it has computed, how much memory it holds.
//!
//! A statement is one thread from its first step to its last, so that all of this can be known of it wherever it is:
//! memory by what the thread has taken and not given back (which includes what no operator reports: the state of
//! windows and aggregates, the frames of a join, a plan), and the statement itself by a variable of the thread.
//!
//! [`checkpoint`] is called between any two steps of bounded work (`checks` and `operators` put it into plans). There a statement ends
//! that is out of time, or that nobody waits for any more, or that holds too much; and there it lets others compute.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::turns::{Class, Turns};
use crate::serve::problem::Problem;

thread_local! {
    /// The statement this thread works for.
    static CURRENT: RefCell<Option<Arc<Watch>>> = const { RefCell::new(None) };
}

/// Who waits for its client for so long gives its place to others meanwhile.
const AWAY: Duration = Duration::from_millis(20);
/// How many may be under way without a place, having given theirs to others.
const WITHOUT_PLACE: usize = 24;
/// Who has computed for so long, or kept others waiting for a client that does not read, may have to give way.
pub(super) const LONG: Duration = Duration::from_secs(1);

/// Whoever finds the memory used up goes on if it holds less than one part in so many of it: then the largest ends.
const SMALL_PART: usize = 16;

/// Ends the statement of this thread, or lets others compute, if it is time to. Nothing happens on other threads.
pub(super) fn checkpoint() -> Result<(), DataFusionError> {
    CURRENT.with_borrow(|current| match current {
        Some(watch) => watch.check().map_err(|it| DataFusionError::External(Box::new(it))),
        None => Ok(()),
    })
}

/// How long the statement of this thread has computed since its last checkpoint.
pub(super) fn unseen() -> Option<Duration> {
    CURRENT.with_borrow(|current| current.as_ref().map(|it| it.unseen()))
}

/// What a statement is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is done at once.
    Light = 0,
    /// A short text is planned.
    Planning = 1,
    /// Nothing is known of it.
    Ordinary = 2,
}

/// Why a statement is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nobody waits for it any more: it is out of time, or its client is gone.
    Unwanted = 1,
    /// Statements that did not compute as long need its place.
    GivesWay = 2,
    /// It holds most of the memory, and others need some.
    Memory = 3,
}

/// What all statements share.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(super) turns: Turns,
    /// The most bytes all statements together may hold.
    memory: usize,
    held: AtomicI64,
    /// Places by [`Kind`].
    places: [Arc<Semaphore>; 3],
    /// The statements under way.
    watches: Mutex<Vec<Arc<Watch>>>,
}

impl Budget {
    /// A budget of `memory` bytes, and so many places by [`Kind`].
    pub(super) fn new(memory: usize, turns: Turns, places: [usize; 3]) -> Budget {
        let places = places.map(|it| Arc::new(Semaphore::new(it)));
        Budget { turns, memory, held: AtomicI64::new(0), places, watches: Mutex::default() }
    }

    /// The places of this kind.
    pub(super) fn places(&self, kind: Kind) -> &Arc<Semaphore> {
        &self.places[kind as usize]
    }

    /// The statements under way.
    pub(super) fn under_way(&self) -> MutexGuard<'_, Vec<Arc<Watch>>> {
        self.watches.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// How many bytes one alone may hold: half, so that there is some left for the others.
    pub(super) fn of_one(&self) -> usize {
        self.memory / 2
    }

    /// How many bytes all statements hold, as of their last checkpoints.
    pub(super) fn held(&self) -> usize {
        usize::try_from(self.held.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// One statement under way, as its thread and those who wait for it see it.
#[derive(Debug)]
pub(crate) struct Watch {
    budget: Arc<Budget>,
    began: Instant,
    /// When it runs out of time, in microseconds since it began; moves on while its client lets it wait.
    deadline_us: AtomicU64,
    /// Why it is to end, if it is: a [`Reason`].
    stopped: AtomicU8,
    /// When it was told so, in microseconds since it began.
    stopped_us: AtomicU64,
    held: AtomicI64,
    /// How long it has computed before its last turn began, in microseconds.
    computed_us: AtomicU64,
    /// When its turn began, in microseconds since it began; [`NONE`] while it has none.
    turn_us: AtomicU64,
    /// When it was last seen at a checkpoint, in microseconds since it began.
    seen_us: AtomicU64,
    /// Since when it waits for its client to read, in microseconds since it began; [`NONE`] while it does not.
    away_us: AtomicU64,
    /// Told when it is to end while it waits.
    told: Notify,
    /// Whether it is [`Kind::Ordinary`] after all.
    is_ordinary: AtomicBool,
    begun_as: Kind,
    /// The most its thread has computed between two checkpoints.
    #[cfg(test)]
    pub(super) longest_stretch: Stretch,
    /// The right to be under way, unless it was given to another.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    /// Whether its place was given to another because it did not end when it was told to.
    replaced: AtomicBool,
}

/// No turn.
const NONE: u64 = u64::MAX;

impl Watch {
    /// A statement that begins now and may take until `limit` is over.
    pub(super) fn new(budget: &Arc<Budget>, place: OwnedSemaphorePermit, limit: Duration, kind: Kind) -> Arc<Watch> {
        let watch = Arc::new(Watch {
            budget: Arc::clone(budget),
            began: Instant::now(),
            deadline_us: AtomicU64::new(micros(limit)),
            stopped: AtomicU8::new(0),
            stopped_us: AtomicU64::new(0),
            held: AtomicI64::new(0),
            computed_us: AtomicU64::new(0),
            turn_us: AtomicU64::new(NONE),
            seen_us: AtomicU64::new(0),
            away_us: AtomicU64::new(NONE),
            told: Notify::new(),
            is_ordinary: AtomicBool::new(kind == Kind::Ordinary),
            begun_as: kind,
            #[cfg(test)]
            longest_stretch: Stretch::default(),
            place: Mutex::new(Some(place)),
            replaced: AtomicBool::new(false),
        });
        budget.under_way().push(Arc::clone(&watch));
        watch
    }

    /// Works on this thread for this statement: `work` has its checkpoints, and a turn to begin with, or learns why it
    /// cannot even begin.
    pub(super) fn enter<T>(self: &Arc<Watch>, work: impl FnOnce(Result<(), Problem>) -> T) -> T {
        BASE.set(metered::balance());
        let _leave = Leave(self);
        let turn = self.take_turn();
        CURRENT.set(Some(Arc::clone(self)));
        work(turn)
    }

    /// It is not under way any more.
    pub(super) fn leave(self: &Arc<Watch>) {
        self.end_turn();
        let held = self.held.swap(0, Ordering::Relaxed);
        self.budget.held.fetch_sub(held, Ordering::Relaxed);
        self.budget.under_way().retain(|it| !Arc::ptr_eq(it, self));
        self.give_place_back();
    }

    fn place(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.place.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// Whether it has a place that another could get.
    pub(super) fn has_place(&self) -> bool {
        self.place().is_some() && !self.is_replaced()
    }

    /// Whether another has its place because it did not end.
    pub(super) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Gives its place to another although it does not end.
    pub(super) fn replace(&self) {
        let place = self.place();
        if place.is_some() && !self.replaced.swap(true, Ordering::Relaxed) {
            self.budget.places(self.kind()).add_permits(1);
        }
    }

    fn give_place_back(&self) {
        let mut place = self.place();
        if self.is_replaced() {
            // Another has it already.
            place.take().into_iter().for_each(OwnedSemaphorePermit::forget);
        }
        *place = None;
    }

    /// Tells it to end. The first reason counts.
    pub(super) fn stop(&self, reason: Reason) {
        let told = self.stopped.compare_exchange(0, reason as u8, Ordering::Relaxed, Ordering::Relaxed);
        if told.is_ok() {
            self.stopped_us.store(self.now_us(), Ordering::Relaxed);
        }
        self.told.notify_one();
        self.budget.turns.look_again();
    }

    /// For how long it has not ended although it was told to.
    pub(super) fn overdue(&self) -> Option<Duration> {
        let told = self.stopped.load(Ordering::Relaxed) != 0;
        told.then(|| Duration::from_micros(self.now_us().saturating_sub(self.stopped_us.load(Ordering::Relaxed))))
    }

    /// What its operators may reserve. All statements together are held to what they really have.
    pub(super) fn pool(&self) -> Arc<dyn MemoryPool> {
        Arc::new(GreedyMemoryPool::new(self.budget.of_one()))
    }

    /// How long it has computed.
    pub(super) fn computed(&self) -> Duration {
        let turn = self.turn_us.load(Ordering::Relaxed);
        let now = if turn == NONE { 0 } else { self.now_us().saturating_sub(turn) };
        Duration::from_micros(self.computed_us.load(Ordering::Relaxed) + now)
    }

    /// How long ago it was last seen at a checkpoint.
    pub(super) fn unseen(&self) -> Duration {
        Duration::from_micros(self.now_us().saturating_sub(self.seen_us.load(Ordering::Relaxed)))
    }

    /// How long it has waited for its client to read.
    pub(super) fn away_for(&self) -> Duration {
        match self.away_us.load(Ordering::Relaxed) {
            NONE => Duration::ZERO,
            since => Duration::from_micros(self.now_us().saturating_sub(since)),
        }
    }

    /// How many statements have a turn and were not seen at a checkpoint for long.
    pub(super) fn unseen_turns(&self) -> usize {
        let unseen = |it: &&Arc<Watch>| it.turn_us.load(Ordering::Relaxed) != NONE && it.unseen() > Turns::UNSEEN;
        self.budget.under_way().iter().filter(unseen).count()
    }

    /// What it is expected to take.
    pub(super) fn kind(&self) -> Kind {
        if self.is_ordinary.load(Ordering::Relaxed) { Kind::Ordinary } else { self.begun_as }
    }

    fn is_light(&self) -> bool {
        self.kind() == Kind::Light
    }

    /// Which of those who want to compute it belongs to.
    pub(super) fn class(&self) -> Class {
        match self.computed() {
            it if it >= Turns::FRESH => Class::Long,
            _ if self.kind() != Kind::Ordinary => Class::Light,
            _ => Class::Fresh,
        }
    }

    /// Waits for `waiting` without a turn, and without a place if it takes long; the time does not count as the
    /// statement's.
    pub(super) async fn away<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Problem> {
        self.end_turn();
        let began = Instant::now();
        self.away_us.store(self.now_us(), Ordering::Relaxed);
        let waiting = async {
            let mut waiting = pin!(waiting);
            if let Ok(result) = timeout(AWAY, waiting.as_mut()).await {
                return result;
            }
            // Where too many have done so, it keeps its place.
            let _ = self.go_on_without_place();
            waiting.await
        };
        let result = tokio::select! {
            result = waiting => Some(result),
            () = self.told.notified() => None,
        };
        self.away_us.store(NONE, Ordering::Relaxed);
        self.deadline_us.fetch_add(micros(began.elapsed()), Ordering::Relaxed);
        self.take_turn()?;
        // Who is told to end does not get a turn.
        result.ok_or_else(Problem::timeout)
    }

    /// Why it has to end, if it has to.
    pub(super) fn verdict(&self) -> Result<(), Problem> {
        match self.stopped.load(Ordering::Relaxed) {
            0 if self.now_us() <= self.deadline_us.load(Ordering::Relaxed) => Ok(()),
            it if it == Reason::GivesWay as u8 => Err(gives_way(self.computed())),
            it if it == Reason::Memory as u8 => Err(out_of_memory()),
            _ => Err(Problem::timeout()),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        #[cfg(test)]
        self.longest_stretch.see();
        self.seen_us.store(self.now_us(), Ordering::Relaxed);
        self.verdict()?;
        self.weigh()?;
        if self.is_light() && self.computed() >= Turns::FRESH {
            self.leave_the_light()?;
        }
        let turn = Duration::from_micros(self.now_us().saturating_sub(self.turn_us.load(Ordering::Relaxed)));
        if self.budget.turns.is_over(turn) {
            self.end_turn();
            self.take_turn()?;
        }
        Ok(())
    }

    /// Gives the place back that is kept for light statements: it is not one of them.
    fn leave_the_light(&self) -> Result<(), Problem> {
        match Arc::clone(self.budget.places(Kind::Ordinary)).try_acquire_owned() {
            Ok(place) => {
                self.give_place_back();
                self.is_ordinary.store(true, Ordering::Relaxed);
                *self.place() = Some(place);
                Ok(())
            }
            Err(_) => self.go_on_without_place(),
        }
    }

    /// Gives its place back and goes on without one, if not too many do: who has done so for long ends then.
    fn go_on_without_place(&self) -> Result<(), Problem> {
        if !self.has_place() {
            return Ok(());
        }
        let under_way = self.budget.under_way();
        let others: Vec<_> = under_way.iter().filter(|it| !it.has_place() && it.overdue().is_none()).collect();
        if others.len() >= WITHOUT_PLACE {
            let longest = others.into_iter().filter(|it| it.cost() >= LONG).max_by_key(|it| it.cost());
            longest.ok_or_else(|| gives_way(self.computed()))?.stop(Reason::GivesWay);
        }
        drop(under_way);
        self.give_place_back();
        self.is_ordinary.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// How long it has computed or kept others waiting.
    pub(super) fn cost(&self) -> Duration {
        self.computed().max(self.away_for())
    }

    /// Looks at how much it holds, and ends what holds too much.
    fn weigh(&self) -> Result<(), Problem> {
        let holds = (metered::balance() - BASE.get()).max(0);
        let before = self.held.swap(holds, Ordering::Relaxed);
        let all = self.budget.held.fetch_add(holds - before, Ordering::Relaxed) + holds - before;
        let (holds, all) = (usize::try_from(holds).unwrap_or(0), usize::try_from(all).unwrap_or(0));
        if holds > self.budget.of_one() {
            return Err(out_of_memory());
        }
        if all > self.budget.memory {
            let under_way = self.budget.under_way();
            // Who waits for a client that does not read needs it least.
            let waits = |it: &&Arc<Watch>| it.away_for() > Turns::UNSEEN && it.verdict().is_ok();
            let largest = under_way.iter().filter(waits).max_by_key(|it| it.held.load(Ordering::Relaxed));
            if let Some(watch) = largest {
                watch.stop(Reason::Memory);
                return Ok(());
            }
            if holds > self.budget.memory / SMALL_PART {
                return Err(out_of_memory());
            }
            let largest = under_way.iter().max_by_key(|it| it.held.load(Ordering::Relaxed));
            largest.inspect(|it| it.stop(Reason::Memory));
        }
        Ok(())
    }

    fn take_turn(&self) -> Result<(), Problem> {
        self.budget.turns.take(self)?;
        let now = self.now_us();
        self.seen_us.store(now, Ordering::Relaxed);
        self.turn_us.store(now, Ordering::Relaxed);
        Ok(())
    }

    fn end_turn(&self) {
        let turn = self.turn_us.swap(NONE, Ordering::Relaxed);
        if turn != NONE {
            self.computed_us.fetch_add(self.now_us().saturating_sub(turn), Ordering::Relaxed);
            self.budget.turns.give_back();
        }
    }

    fn now_us(&self) -> u64 {
        micros(self.began.elapsed())
    }
}

thread_local! {
    /// What the thread held when its statement began.
    static BASE: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
}

/// Ends the work of this thread for a statement, also when it panics.
struct Leave<'a>(&'a Arc<Watch>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        CURRENT.set(None);
        self.0.leave();
    }
}

/// The most a thread has computed between two looks at it: time on a core, so that it is the same on a busy machine.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Stretch {
    last_ns: AtomicU64,
    longest_ns: AtomicU64,
}

#[cfg(test)]
impl Stretch {
    /// Looks at it.
    pub(super) fn see(&self) {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let now = text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0);
        let last = self.last_ns.swap(now, Ordering::Relaxed);
        if last > 0 {
            self.longest_ns.fetch_max(now - last, Ordering::Relaxed);
        }
    }

    /// The longest.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest_ns.load(Ordering::Relaxed))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

fn out_of_memory() -> Problem {
    let detail = "the statement needs more memory than it may use";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "53200", detail)
        .hint("filter more, or declare a view that keeps the result")
}

fn gives_way(computed: Duration) -> Problem {
    let detail = format!(
        "the statement had computed for {:.1} s when others that are quicker needed its place",
        computed.as_secs_f64()
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "53300", detail)
        .hint("ask again when there is less to do, or declare a view that keeps the result")
}
