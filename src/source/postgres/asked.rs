//! What a server says of the tables that are declared from it, for whoever cannot wait long for that: the engine asks
//! between two epochs.
//!
//! It is asked on a thread of its own. A first question is waited for, but not for as long as a network may take to say
//! nothing; after a failure nobody waits, and the failure is the answer until there is another one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::server::Server;
use super::session::{Session, Waiter};
use super::settings::Settings;
use super::shape::{Shape, shape};
use super::sql::TableName;
use crate::source::panic_text;

/// So long an answer about the tables is taken for several questions that come together.
const FRESH: Duration = Duration::from_secs(1);
/// How long a first answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// By name, the shapes of the tables that are there; the inner error says why one cannot be followed.
type Told = Result<BTreeMap<TableName, Option<Result<Shape, String>>>, Fault>;

/// A server that is asked about tables.
#[derive(Debug)]
pub(super) struct Asked {
    settings: Arc<Settings>,
    names: Arc<[TableName]>,
    heard: Arc<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    state: Mutex<State>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_asked: bool,
    last: Option<(Instant, Told)>,
}

impl Asked {
    /// To be asked about these tables, all at once, since they are described one after another.
    pub(super) fn new(settings: Arc<Settings>, names: Vec<TableName>) -> Asked {
        Asked { settings, names: names.into(), heard: Arc::default() }
    }

    /// The shape of the table called `name`.
    pub(super) fn shape(&self, name: &TableName) -> Result<Shape, Fault> {
        let mut state = self.heard.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.as_ref().is_none_or(|(at, _)| at.elapsed() >= FRESH) {
            if !state.is_asked {
                self.ask().map_err(|error| Fault::Retry(format!("no thread to describe tables: {error}")))?;
                state.is_asked = true;
            }
            let has_failed = matches!(state.last, Some((_, Err(_))));
            let patience = if has_failed { Duration::ZERO } else { PATIENCE };
            let waited = self.heard.came.wait_timeout_while(state, patience, |it| it.is_asked);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.is_asked && !has_failed {
                let silence = Fault::Retry(format!("{} does not answer", self.settings.place()));
                state.last = Some((Instant::now(), Err(silence)));
            }
        }
        let (_, answer) = state.last.as_ref().expect("an answer, or that there is none");
        match answer.as_ref().map_err(Fault::clone)?.get(name) {
            Some(Some(Ok(shape))) => Ok(shape.clone()),
            Some(Some(Err(reason))) => Err(Fault::Halt(reason.clone())),
            // Somebody may be about to create it.
            Some(None) | None => Err(Fault::Retry(format!("{} has no table {}", self.settings.place(), name.shown()))),
        }
    }

    /// Asks, on another thread.
    fn ask(&self) -> std::io::Result<()> {
        let (settings, names, heard) = (Arc::clone(&self.settings), Arc::clone(&self.names), Arc::clone(&self.heard));
        let asking = thread::Builder::new().name("describe".into()).spawn(move || {
            // Whoever asks next has to find that nobody is being asked any more.
            let told = catch_unwind(AssertUnwindSafe(|| told(&settings, &names))).unwrap_or_else(|panic| {
                Err(Fault::Retry(format!("internal error while tables were described: {}", panic_text(&*panic))))
            });
            let mut state = heard.state.lock().unwrap_or_else(PoisonError::into_inner);
            *state = State { is_asked: false, last: Some((Instant::now(), told)) };
            heard.came.notify_all();
        });
        asking.map(drop)
    }
}

fn told(settings: &Settings, names: &[TableName]) -> Told {
    let waiter = Waiter::new(Arc::new(AtomicBool::new(false)))?;
    let mut session = Session::open(&waiter, settings, 0, 0)?;
    Server::known(&mut session, settings)?;
    names.iter().map(|it| Ok((it.clone(), shape(&mut session, it)?))).collect()
}
