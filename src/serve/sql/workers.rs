//! The threads statements run on, apart from those that serve.
//!
//! A statement may compute for as long as it likes without ever letting go of its thread, so the serving side only
//! waits: it answers in time whatever happens here, probes and reads by key never queue behind a statement, and who
//! stops waiting (out of time, or gone) cancels the work at its next batch.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::serve::problem::Problem;

/// More would take the cores from reads by key and from intake.
const THREADS: usize = 2;
/// Operators poll their inputs recursively. Only what is used of it costs memory.
const STACK_BYTES: usize = 16 << 20;
/// How many statements may be planned or executed at a time; the others wait.
const SLOTS: usize = 8;

/// A small runtime of its own, and the slots that bound what is under way on it.
#[derive(Debug)]
pub(crate) struct Workers {
    runtime: Option<Runtime>,
    handle: Handle,
    slots: Arc<Semaphore>,
}

/// The right to plan and execute; whatever works for a statement holds a copy until it has really ended.
#[derive(Debug, Clone)]
pub(crate) struct Slot(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

impl Workers {
    pub(crate) fn new() -> std::io::Result<Workers> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("sql-worker")
            .thread_stack_size(STACK_BYTES)
            .enable_time()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Workers { runtime: Some(runtime), handle, slots: Arc::new(Semaphore::new(SLOTS)) })
    }

    /// The result of `work`, or the problem of its taking longer than `limit`, waiting for a slot included.
    pub(crate) async fn run<T, F>(&self, limit: Duration, work: impl FnOnce(Slot) -> F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Problem>> + Send + 'static,
    {
        let deadline = Instant::now() + limit;
        let slot = timeout_at(deadline, Arc::clone(&self.slots).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else { return Err(busy()) };
        let slot = Slot(Arc::new(slot));
        let work = work(slot.clone());
        let mut task = self.handle.spawn(async move {
            let result = work.await;
            drop(slot);
            result
        });
        let _cancel = AbortOnDrop(task.abort_handle());
        match timeout_at(deadline, &mut task).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => {
                tracing::error!(%error, "a statement failed unexpectedly");
                Err(Problem::internal("the statement failed unexpectedly; the log tells more"))
            }
            Err(_) => Err(Problem::timeout()),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Waiting for the threads would block the runtime this is dropped on.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Cancels a task nobody waits for any more.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn busy() -> Problem {
    let detail = format!("{SLOTS} statements are under way and none of them ended in time for this one");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "53300", detail).hint("ask again in a second")
}
