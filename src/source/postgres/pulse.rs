//! A second, quiet session that asks the server how it is: how far its log goes, what the slot holds back, whether the
//! tables have changed.
//!
//! The stream says nothing while nothing happens, and nothing about a table that nobody writes to any more.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pgwire_replication::{PgWireError, ReplicationClient};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::kept::Kept;
use super::layout::digest_sql;
use super::server::lsn;
use super::session::{Answer, PATIENCE, Waiter, text};
use super::settings::Settings;
use crate::source::SourceSpec;

/// How often it is asked how far the log goes; so old is what is known of a source that is up to date.
const BEAT: Duration = Duration::from_millis(100);
/// Every so many beats, the rest is asked too.
const BEATS: u32 = 20;
/// How long it rests when there is no such session.
const REST: Duration = Duration::from_secs(2);

/// What was heard last.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// Everything committed before this instant lies before this place of the log.
    pub(super) end: Option<(Instant, u64)>,
    /// When the server last said anything, and be it that there is no room for the session.
    pub(super) answered: Option<Instant>,
    pub(super) digest: Option<String>,
    pub(super) kept: Option<Kept>,
}

/// The session; it ends when this is dropped.
pub(super) struct Pulse {
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

impl Pulse {
    /// Begins to ask.
    pub(super) fn start(waiter: &Waiter, settings: &Settings, spec: &SourceSpec) -> Pulse {
        let heard = Arc::new(Mutex::new(Heard { answered: Some(Instant::now()), ..Heard::default() }));
        let asker = Asker {
            heard: Arc::clone(&heard),
            settings: settings.clone(),
            digest_sql: (!spec.tables.is_empty()).then(|| digest_sql(settings, spec)),
        };
        Pulse { heard, task: waiter.runtime().spawn(asker.run()) }
    }

    /// What was heard last.
    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(|it| it.into_inner()).clone()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Asker {
    heard: Arc<Mutex<Heard>>,
    settings: Settings,
    digest_sql: Option<String>,
}

impl Asker {
    async fn run(self) {
        loop {
            if let Err(error) = self.session().await {
                if error.is_server() {
                    self.hear(|it| it.answered = Some(Instant::now()));
                }
                tracing::debug!(%error, "the session that asks a source how it is ended; it is opened again");
            }
            sleep(REST).await;
        }
    }

    async fn session(&self) -> Result<(), PgWireError> {
        let mut client = ReplicationClient::connect_gated(self.settings.session(0, 0)).await?;
        let mut beat = 0_u32;
        loop {
            let asked_at = Instant::now();
            let answer = ask(&mut client, "SELECT pg_current_wal_flush_lsn()").await?;
            let end = answer.first().and_then(|row| text(row, 0)).and_then(lsn);
            self.hear(|it| {
                it.end = end.map(|end| (asked_at, end));
                it.answered = Some(Instant::now());
            });
            if beat.is_multiple_of(BEATS) {
                self.look_closely(&mut client).await?;
            }
            beat = beat.wrapping_add(1);
            sleep(BEAT).await;
        }
    }

    async fn look_closely(&self, client: &mut ReplicationClient) -> Result<(), PgWireError> {
        let answer = ask(client, &Kept::question(&self.settings.slot)).await?;
        let kept = answer.first().map(Kept::of);
        let digest = match &self.digest_sql {
            Some(sql) => ask(client, sql).await?.first().and_then(|row| text(row, 0)).map(str::to_string),
            None => None,
        };
        self.hear(|it| (it.kept, it.digest) = (kept, digest));
        Ok(())
    }

    fn hear(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.heard.lock().unwrap_or_else(|it| it.into_inner()));
    }
}

async fn ask(client: &mut ReplicationClient, sql: &str) -> Result<Vec<Answer>, PgWireError> {
    match timeout(PATIENCE, client.simple_query(sql)).await {
        Ok(answer) => answer,
        Err(_) => Err(PgWireError::Task("no answer".into())),
    }
}
