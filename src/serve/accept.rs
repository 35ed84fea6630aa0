//! Connections: how many there may be, how long one may say nothing, and how they end.
//!
//! A client that opens connections and sends requests letter by letter, or none at all, or does not take its answers,
//! holds each for a bounded time only, and never more of them than there is room for.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{AbortHandle, Id, JoinSet};

use super::gate;
use super::router::App;

/// After a failed accept, as when the process has no file handles left: trying at once would only spin.
const PAUSE: Duration = Duration::from_millis(100);
/// How often all connections are looked at while one may be silent. A timer for each of their requests would cost more
/// than the look-up of a row.
const SWEEPS: u32 = 4;

/// What is kept of a connection while it is open.
struct Connection {
    silence: Arc<Silence>,
    task: AbortHandle,
    /// Dropped to let the request under way be the last one.
    _open: oneshot::Sender<()>,
}

/// How many sweeps have passed since a request could begin; [`Silence::ANSWERING`] while one is answered.
#[derive(Debug, Default)]
struct Silence(AtomicU32);

impl Silence {
    const ANSWERING: u32 = u32::MAX;

    fn end(&self) {
        self.0.store(Self::ANSWERING, Ordering::Relaxed);
    }

    fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Counts a sweep; tells whether it was one too many.
    fn is_too_long(&self) -> bool {
        let count = |it| (it != Self::ANSWERING).then_some(it + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok_and(|it| it >= SWEEPS)
    }
}

/// Serves connections until `stopped`, then lets requests under way finish.
pub(crate) async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    max_connections: usize,
    idle_timeout: Duration,
    mut stopped: oneshot::Receiver<()>,
) {
    let room = Arc::new(Semaphore::new(max_connections));
    let mut tasks = JoinSet::new();
    let mut connections: HashMap<Id, Connection> = HashMap::new();
    let mut sweep = tokio::time::interval(idle_timeout.max(Duration::from_millis(1)) / SWEEPS);
    loop {
        let next = async {
            // Without room, new connections wait in the kernel's queue.
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        tokio::select! {
            (permit, accepted) = next => match accepted {
                Ok((stream, _)) => {
                    let (open, closing) = oneshot::channel();
                    let silence = Arc::new(Silence::default());
                    let serving = connection(stream, Arc::clone(&app), Arc::clone(&silence), closing);
                    let task = tasks.spawn(async move {
                        serving.await;
                        drop(permit);
                    });
                    connections.insert(task.id(), Connection { silence, task, _open: open });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            _ = sweep.tick() => {
                connections.values().filter(|it| it.silence.is_too_long()).for_each(|it| it.task.abort());
            }
            _ = &mut stopped => break,
        }
        while let Some(ended) = tasks.try_join_next_with_id() {
            connections.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
        }
    }
    // From here on, new connections are refused.
    drop(listener);
    drop(connections);
    while tasks.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, app: Arc<App>, silence: Arc<Silence>, closing: oneshot::Receiver<()>) {
    // Answers are written in one piece; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        silence.end();
        async {
            let response = gate::pass(&app, request).await;
            silence.begin();
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    tokio::select! {
        biased;
        _ = serving.as_mut() => return,
        _ = closing => serving.as_mut().graceful_shutdown(),
    }
    // How a connection ends is its client's business.
    let _ = serving.await;
}
