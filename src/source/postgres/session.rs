//! Sessions at the server, asked from a thread that may be told to stop at any time.
//!
//! A session is one of the replication protocol; until it streams it answers SQL as any other. Values come as text, in
//! the very forms in which the stream has them, so that one reader serves both.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use pgwire_replication::{PgWireError, ReplicationClient};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{interval, timeout};

use super::fault::Fault;
use super::settings::Settings;

/// How long the catalog may take to answer, and a connection to be made.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// From when on something takes long, and how long it may.
const SOON: Duration = Duration::from_secs(2);
const LONG_PATIENCE: Duration = Duration::from_secs(3600);
/// How long a session may take to end.
const FAREWELL: Duration = Duration::from_millis(500);
/// How soon it is noticed that we are to stop.
pub(super) const STOP_POLL: Duration = Duration::from_millis(20);

/// One row of an answer.
pub(super) type Answer = Vec<Option<Bytes>>;

/// Where the sessions' tasks run. One thread reads the sockets and answers the server's questions whether we live,
/// however long the thread of the source waits for the engine meanwhile.
pub(super) struct Waiter {
    /// It is there until the end.
    runtime: Option<Runtime>,
    stop: Arc<AtomicBool>,
}

impl Waiter {
    /// Waits give up once `stop` is set.
    pub(super) fn new(stop: Arc<AtomicBool>) -> Result<Waiter, Fault> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build();
        let runtime = runtime.map_err(|error| Fault::Retry(format!("there is no thread for a connection: {error}")))?;
        Ok(Waiter { runtime: Some(runtime), stop })
    }

    /// Whether we are to stop.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime is there until the waiter is dropped")
    }

    /// What `future` gives, if it does within `limit`; the inner `None` when it does not.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>, limit: Option<Duration>) -> Result<Option<T>, Fault> {
        self.runtime().block_on(async {
            let stopped = async {
                let mut poll = interval(STOP_POLL);
                while !self.stopped() {
                    poll.tick().await;
                }
            };
            tokio::select! {
                () = stopped => Err(Fault::Stopped),
                found = timeout(limit.unwrap_or(Duration::MAX), future) => Ok(found.ok()),
            }
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // A session that hangs in the network must not hold us up; the server notices that it is gone.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One session.
pub(super) struct Session<'w> {
    pub(super) client: ReplicationClient,
    streams: bool,
    waiter: &'w Waiter,
    settings: &'w Settings,
}

impl<'w> Session<'w> {
    /// Connects; the session may stream from behind `start` on, of which `durable` is safe with us.
    pub(super) fn open(waiter: &'w Waiter, settings: &'w Settings, start: u64, durable: u64) -> Result<Self, Fault> {
        let config = settings.session(start, durable);
        let client = waiter.wait(ReplicationClient::connect_gated(config), Some(PATIENCE))?;
        let client = client.ok_or_else(|| no_answer(settings))?.map_err(|error| Fault::of(&error, settings))?;
        let mut session = Session { client, streams: false, waiter, settings };
        // Only the first question shows whether there is a session at all.
        session.ask("SELECT 1")?;
        Ok(session)
    }

    /// The rows that `sql` gives.
    pub(super) fn ask(&mut self, sql: &str) -> Result<Vec<Answer>, Fault> {
        self.try_ask(sql, PATIENCE)?.map_err(|error| Fault::of(&error, self.settings))
    }

    /// The rows that `sql` gives, or the server's error.
    pub(super) fn try_ask(&mut self, sql: &str, limit: Duration) -> Result<Result<Vec<Answer>, PgWireError>, Fault> {
        self.ask_beside(sql, limit, || ()).map(|it| it.0)
    }

    /// The rows that `sql` gives, or the server's error, and what `work` gave, which is done while the server works.
    pub(super) fn ask_beside<T>(
        &mut self,
        sql: &str,
        limit: Duration,
        work: impl FnOnce() -> T,
    ) -> Result<(Result<Vec<Answer>, PgWireError>, T), Fault> {
        let mut answer = std::pin::pin!(self.client.simple_query(sql));
        // Looked at once, the question is on its way.
        let early = answer.as_mut().now_or_never();
        let worked = work();
        let answer = match early {
            Some(answer) => Some(answer),
            None => self.waiter.wait(answer, Some(limit))?,
        };
        match answer {
            Some(Err(error)) if !error.is_server() => Err(Fault::of(&error, self.settings)),
            Some(answer) => Ok((answer, worked)),
            None => Err(no_answer(self.settings)),
        }
    }

    /// The rows that `sql` gives, which may take long: when it does, `tell` is called once.
    pub(super) fn ask_slowly(&mut self, sql: &str, tell: impl FnOnce()) -> Result<Vec<Answer>, Fault> {
        let mut answer = std::pin::pin!(self.client.simple_query(sql));
        let soon = self.waiter.wait(&mut answer, Some(SOON))?;
        let answer = match soon {
            Some(answer) => answer,
            None => {
                tell();
                let late = self.waiter.wait(answer, Some(LONG_PATIENCE))?;
                late.ok_or_else(|| no_answer(self.settings))?
            }
        };
        answer.map_err(|error| Fault::of(&error, self.settings))
    }

    /// The only value of an answer of one row.
    pub(super) fn ask_one(&mut self, sql: &str) -> Result<String, Fault> {
        let answer = self.ask(sql)?;
        let value = answer.first().and_then(|row| text(row, 0));
        value
            .map(str::to_string)
            .ok_or_else(|| Fault::Retry(format!("{} does not answer {sql}", self.settings.place())))
    }

    /// The same, of a whole number.
    pub(super) fn ask_number(&mut self, sql: &str) -> Result<u64, Fault> {
        let value = self.ask_one(sql)?;
        let odd = || Fault::Halt(format!("{} answers {value:?} to {sql}", self.settings.place()));
        value.parse().map_err(|_| odd())
    }

    /// Waits a moment.
    pub(super) fn rest(&self, time: Duration) -> Result<(), Fault> {
        self.waiter.wait(tokio::time::sleep(time), None).map(drop)
    }

    /// Begins to stream.
    pub(super) fn stream(&mut self) -> Result<(), Fault> {
        self.streams = true;
        let client = &mut self.client;
        let started = async {
            client.start().await?;
            client.wait_started().await
        };
        let started = self.waiter.wait(started, Some(PATIENCE))?.ok_or_else(|| no_answer(self.settings))?;
        started.map_err(|error| Fault::of(&error, self.settings))
    }
}

/// The text of column `column` of a row, unless it is NULL.
pub(super) fn text(row: &Answer, column: usize) -> Option<&str> {
    row.get(column)?.as_ref().map(|it| std::str::from_utf8(it).unwrap_or("\u{FFFD}"))
}

impl Drop for Session<'_> {
    /// Ends a stream politely where the server still listens, so that its slot is free at once.
    fn drop(&mut self) {
        if self.streams {
            // Who does not end within this time is left alone.
            let _ = self.waiter.runtime().block_on(async { timeout(FAREWELL, self.client.shutdown()).await });
        }
    }
}

fn no_answer(settings: &Settings) -> Fault {
    Fault::Retry(format!("{} does not answer", settings.place()))
}
