//! Connections: how many there may be, how long one may say nothing, and how they end.
//!
//! A client that opens connections and sends requests letter by letter, or none at all, or does not take its answers,
//! holds each for a bounded time only, and never more of them than there is room for. Where there is no room for a new
//! one, the one gives way that has been silent the longest.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
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
/// A connection on which no whole request has come yet may have to give way after this time,
const STRANGER: Duration = Duration::from_millis(100);
/// and one that has been answered after this, which is long enough to take an answer.
const ANSWERED: Duration = Duration::from_secs(10);
/// How many give way at once.
const AT_ONCE: usize = 32;
/// What is kept of a request's head, and of an answer between its making and the kernel.
const BUFFER_BYTES: usize = 64 << 10;
/// What the kernel may keep of answers that are not read, a connection: it takes no more from us than that.
const KERNEL_BYTES: usize = 256 << 10;

/// What is kept of a connection while it is open.
struct Connection {
    silence: Arc<Silence>,
    task: AbortHandle,
    /// Dropped to let the request under way be the last one.
    _open: oneshot::Sender<()>,
}

/// Since when a connection waits for its client, in milliseconds of the server's clock; [`Silence::ANSWERING`] while the
/// client waits for it.
#[derive(Debug)]
struct Silence {
    clock: Instant,
    since_ms: AtomicU32,
    /// Whether a whole request head has come.
    has_asked: AtomicBool,
}

impl Silence {
    const ANSWERING: u32 = u32::MAX;

    fn new(clock: Instant) -> Silence {
        let silence = Silence { clock, since_ms: AtomicU32::new(0), has_asked: AtomicBool::new(false) };
        silence.begin();
        silence
    }

    fn end(&self) {
        self.since_ms.store(Self::ANSWERING, Ordering::Relaxed);
        self.has_asked.store(true, Ordering::Relaxed);
    }

    fn begin(&self) {
        self.since_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// How long it has lasted.
    fn lasts(&self) -> Duration {
        match self.since_ms.load(Ordering::Relaxed) {
            Self::ANSWERING => Duration::ZERO,
            since => Duration::from_millis(u64::from(self.now_ms().wrapping_sub(since))),
        }
    }

    /// For how long it could have given way to another connection.
    fn could_give_way(&self) -> Option<Duration> {
        let kept = if self.has_asked.load(Ordering::Relaxed) { ANSWERED } else { STRANGER };
        self.lasts().checked_sub(kept)
    }

    // The clock comes round after 49 days, and no silence lasts that long.
    fn now_ms(&self) -> u32 {
        (self.clock.elapsed().as_millis() % u128::from(Self::ANSWERING)) as u32
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
    let clock = Instant::now();
    let room = Arc::new(Semaphore::new(max_connections));
    let mut tasks = JoinSet::new();
    let mut connections: HashMap<Id, Connection> = HashMap::new();
    let mut sweep = tokio::time::interval(idle_timeout.max(Duration::from_millis(1)) / SWEEPS);
    let mut pressed = tokio::time::interval(STRANGER);
    // One that was accepted and for which there is no room yet; more wait in the kernel's queue.
    let mut next: Option<TcpStream> = None;
    loop {
        tokio::select! {
            accepted = listener.accept(), if next.is_none() => match accepted {
                Ok((stream, _)) => {
                    next = Some(stream);
                    if room.available_permits() == 0 {
                        give_way(&connections);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            permit = Arc::clone(&room).acquire_owned(), if next.is_some() => {
                let Some(stream) = next.take() else { continue };
                let (open, closing) = oneshot::channel();
                let silence = Arc::new(Silence::new(clock));
                let serving = connection(stream, Arc::clone(&app), Arc::clone(&silence), closing);
                let task = tasks.spawn(async move {
                    serving.await;
                    drop(permit);
                });
                connections.insert(task.id(), Connection { silence, task, _open: open });
            }
            _ = pressed.tick(), if next.is_some() => give_way(&connections),
            _ = sweep.tick() => {
                let silent = connections.values().filter(|it| it.silence.lasts() >= idle_timeout);
                silent.for_each(|it| it.task.abort());
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

/// Ends the connections that can most easily be done without, if there are any: a few, as who comes when there is no
/// room is rarely alone.
fn give_way(connections: &HashMap<Id, Connection>) {
    let could = connections.values().filter_map(|it| Some((it.silence.could_give_way()?, it)));
    let mut could: Vec<(Duration, &Connection)> = could.collect();
    could.sort_unstable_by_key(|(since, _)| std::cmp::Reverse(*since));
    could.iter().take(AT_ONCE).for_each(|(_, it)| it.task.abort());
}

async fn connection(stream: TcpStream, app: Arc<App>, silence: Arc<Silence>, closing: oneshot::Receiver<()>) {
    // Answers are written in one piece; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_send_buffer_size(KERNEL_BYTES);
    let service = service_fn(|request| {
        silence.end();
        async {
            let response = gate::pass(&app, request).await;
            silence.begin();
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    tokio::select! {
        biased;
        _ = serving.as_mut() => return,
        _ = closing => serving.as_mut().graceful_shutdown(),
    }
    // How a connection ends is its client's business.
    let _ = serving.await;
}
