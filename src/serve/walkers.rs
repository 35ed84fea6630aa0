//! The threads on which requests go on that are not answered in one small step.
//!
//! The threads that serve look at sockets between two steps of work. Where each step of a long list takes milliseconds,
//! and there are many such lists, a request that came meanwhile would not be seen for seconds. So they take the first
//! step of a small request only, which is all there is to most, and the rest is done here, in turns.

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use super::gate::Place;
use super::problem::Problem;

/// The threads.
#[derive(Debug)]
pub(crate) struct Walkers {
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Walkers {
    /// As many threads as half of the cores, so that there are some left for who asks little.
    pub(crate) fn start() -> std::io::Result<Walkers> {
        let threads = std::thread::available_parallelism().map_or(1, |it| it.get().div_ceil(2));
        let runtime =
            Builder::new_multi_thread().worker_threads(threads).thread_name("walker").enable_time().build()?;
        Ok(Walkers { runtime: Some(runtime) })
    }

    /// The result of `work`. The first step of what `is_small` is taken at once and here, which may be all of it. What is
    /// left then needs a place, and has to be done within `limit`.
    pub(crate) async fn run<'a, T: Send + 'static>(
        &self,
        is_small: bool,
        limit: Duration,
        place: impl FnOnce() -> Result<Place<'a>, Problem>,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let mut work = Box::pin(work);
        if is_small && let Some(done) = work.as_mut().now_or_never() {
            return done;
        }
        let _place = place()?;
        let mut rest = Rest(self.spawn(work));
        match timeout(limit, &mut rest.0).await {
            Ok(done) => done.unwrap_or_else(|error| Err(failed(&error))),
            Err(_) => Err(Problem::timeout()),
        }
    }

    /// Does `work` without anybody waiting for it.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.as_ref().expect("the threads are there as long as this is").spawn(work)
    }
}

impl Drop for Walkers {
    fn drop(&mut self) {
        // Nobody waits for what they do any more.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// The rest of the work, which ends when nobody waits for it any more.
struct Rest<T>(JoinHandle<T>);

impl<T> Drop for Rest<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn failed(error: &JoinError) -> Problem {
    tracing::error!(%error, "a request panicked");
    Problem::internal("the request failed unexpectedly; the log tells more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::gate::Room;

    #[tokio::test]
    async fn the_first_step_is_taken_here_and_the_others_elsewhere() {
        let (walkers, room) = (Walkers::start().unwrap(), Room::default());
        let limit = Duration::from_secs(60);
        let here = std::thread::current().id();
        let at_once = walkers
            .run(true, limit, || unreachable!("no place is needed"), async move { Ok(std::thread::current().id()) });
        assert_eq!(at_once.await.map_err(|it| it.code), Ok(here));
        let later = walkers.run(true, limit, || room.take(1), async move {
            let first = std::thread::current().id();
            tokio::task::yield_now().await;
            Ok((first, std::thread::current().id()))
        });
        let (first, second) = later.await.map_err(|it| it.code).unwrap();
        assert!(first == here && second != here);
        let full = walkers.run(false, limit, || room.take(0), async move {
            tokio::task::yield_now().await;
            Ok(())
        });
        assert_eq!(full.await.map_err(|it| it.code), Err("53300"));
        let endless =
            walkers.run(true, Duration::from_millis(20), || room.take(1), std::future::pending::<Result<(), _>>());
        assert_eq!(endless.await.map_err(|it| it.code), Err("57014"));
        let broken = walkers.run(true, limit, || room.take(1), async move {
            tokio::task::yield_now().await;
            if true {
                panic!("as a bug of ours would");
            }
            Ok(())
        });
        assert_eq!(broken.await.map_err(|it| it.code), Err("XX000"));
        assert!(room.take(1).is_ok());
    }
}
