//! Whose turn it is to compute.
//!
//! As many statements compute at a time as there are cores for them, one after the other in small turns: first those
//! that are expected to be done at once, for which turns are kept, then those that have just begun, then the others.
//! So a cheap statement is answered at once beside any number of endless ones, and those share what is left.
//!
//! A turn is given up at a checkpoint. Who does not come to one for long no longer counts: the kernel shares the cores
//! among threads in any case, and the others go on.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::watch::Watch;
use crate::serve::problem::Problem;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Expected to be done at once.
    Light,
    /// Has not computed for long yet.
    Fresh,
    /// Has.
    Long,
}

/// The turns.
#[derive(Debug)]
pub(crate) struct Turns {
    /// How many may compute at a time; [`Turns::KEPT`] more if they are light.
    at_a_time: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Who waits, in the order in which they get a turn.
    waiting: BTreeSet<(Class, u64)>,
    computing: usize,
    /// How many of those did not come to a checkpoint for long.
    unseen: usize,
}

impl Turns {
    /// How many light ones need not wait for others to come to a checkpoint.
    const KEPT: usize = 4;
    /// Who has computed for so long is not fresh any more, and lets others go first.
    pub(crate) const FRESH: Duration = Duration::from_millis(20);
    /// How long a turn is when others wait.
    const TURN: Duration = Duration::from_millis(20);
    /// Who has a turn and does not come to a checkpoint for so long does not keep others from computing.
    pub(crate) const UNSEEN: Duration = Duration::from_millis(100);
    /// How often who waits looks whether it has to end.
    const LOOK_AGAIN: Duration = Duration::from_millis(20);

    /// Turns for so many at a time.
    pub(crate) fn new(at_a_time: usize) -> Turns {
        Turns { at_a_time, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Whether others wait for a turn that has taken so long.
    pub(super) fn is_over(&self, turn: Duration) -> bool {
        turn >= Self::TURN && !self.state().waiting.is_empty()
    }

    /// Waits for a turn.
    pub(super) fn take(&self, watch: &Watch) -> Result<(), Problem> {
        let class = watch.class();
        let mut state = self.state();
        let place = (class, state.next);
        state.next += 1;
        state.waiting.insert(place);
        loop {
            if let Err(problem) = watch.verdict() {
                state.waiting.remove(&place);
                self.changed.notify_all();
                return Err(problem);
            }
            let kept = if class == Class::Light { Self::KEPT } else { 0 };
            if state.waiting.first() == Some(&place) && state.computing < self.at_a_time + kept + state.unseen {
                state.waiting.remove(&place);
                state.computing += 1;
                self.changed.notify_all();
                return Ok(());
            }
            let waited = self.changed.wait_timeout(state, Self::LOOK_AGAIN);
            let result;
            (state, result) = waited.unwrap_or_else(|it| it.into_inner());
            if result.timed_out() {
                state.unseen = watch.unseen_turns();
            }
        }
    }

    /// Gives a turn back.
    pub(super) fn give_back(&self) {
        let mut state = self.state();
        state.computing -= 1;
        state.unseen = state.unseen.min(state.computing);
        drop(state);
        self.changed.notify_all();
    }

    /// Lets those who wait look whether they have to end.
    pub(super) fn look_again(&self) {
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|it| it.into_inner())
    }
}
