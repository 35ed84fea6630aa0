//! Connections: how many there may be, how long one may say nothing, and how they end.
//!
//! A client that opens connections and sends requests letter by letter, or none at all, or does not take its answers,
//! holds each for a bounded time only, and never more of them than there is room for. Everybody who comes is accepted at
//! once and heard: where there is no room, the one gives way for whom the server has waited the longest.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use super::gate;
use super::router::App;
use super::socket::{STANDING, Socket, Stage, Standing};

/// After a failed accept, as when the process has no file handles left: trying at once would only spin.
const PAUSE: Duration = Duration::from_millis(10);
/// How many connections may wait in the kernel's queue. The usual 128 are there within a few milliseconds of a crowd's
/// coming, and who finds the queue full tries again only after a second.
const QUEUE: i32 = 4096;
/// How often all connections are looked at while one may be silent. A timer for each of their requests would cost more
/// than the look-up of a row.
const SWEEPS: u32 = 4;
/// A connection on which no whole request has come yet may have to give way after this time,
const STRANGER: Duration = Duration::from_millis(100);
/// and one that has been answered after this, which is long enough to take an answer or to ask again.
const ANSWERED: Duration = Duration::from_secs(10);
/// Where no newcomer could be heard otherwise, this is enough.
const PRESSED: Duration = Duration::from_millis(250);
/// Who takes nothing for so long of what is there for it may have to give way to answers that wait for room.
const BLOCKED: Duration = Duration::from_millis(500);
/// The most that are asked to give way at once.
const AT_ONCE: usize = 32;
/// What is kept of a request's head, and of an answer between its making and the kernel.
const BUFFER_BYTES: usize = 64 << 10;
/// What the kernel may keep of answers that are not read, a connection: it takes no more from us than that.
const KERNEL_BYTES: usize = 256 << 10;

/// Serves connections until `stopped`, then lets requests under way finish. There may be half as many more than
/// `max_connections` for a moment, so that newcomers are heard before others have gone.
pub(crate) async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    max_connections: usize,
    idle_timeout: Duration,
    mut stopped: oneshot::Receiver<()>,
) {
    if let Err(error) = SockRef::from(&listener).listen(QUEUE) {
        tracing::warn!(%error, "the queue of new connections stays short");
    }
    let mut open = Open::new(max_connections);
    let mut sweep = tokio::time::interval(idle_timeout.max(Duration::from_millis(1)) / SWEEPS);
    let mut pressed = tokio::time::interval(PAUSE);
    pressed.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept(), if open.has_room() => match accepted {
                Ok((stream, _)) => open.admit(stream, &app),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    open.give_way();
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(ended) = open.tasks.join_next_with_id() => open.ended(ended),
            _ = pressed.tick(), if !open.has_room() => open.give_way(),
            () = app.transit.short.notified() => open.end_blocked(),
            () = app.arrivals.short.notified() => open.end_unheard(),
            _ = sweep.tick() => open.end_silent(idle_timeout),
            _ = &mut stopped => break,
        }
    }
    // From here on, new connections are refused.
    drop(listener);
    open.finish().await;
}

/// What is kept of a connection while it is open.
struct Connection {
    standing: Arc<Standing>,
    task: AbortHandle,
    /// Dropped to let the request under way be the last one.
    _open: oneshot::Sender<()>,
}

/// The connections that are open.
struct Open {
    clock: Instant,
    max_connections: usize,
    tasks: JoinSet<()>,
    connections: HashMap<Id, Connection>,
    /// How many more may come before somebody is asked to give way again.
    made_room: usize,
}

impl Open {
    fn new(max_connections: usize) -> Open {
        let clock = Instant::now();
        Open { clock, max_connections, tasks: JoinSet::new(), connections: HashMap::new(), made_room: 0 }
    }

    /// Whether one more may come, be it for a moment.
    fn has_room(&self) -> bool {
        self.connections.len() < self.max_connections + self.max_connections / 2 + 1
    }

    /// Whether soon no more may come.
    fn is_pressed(&self) -> bool {
        self.connections.len() > self.max_connections + self.max_connections / 4
    }

    /// How many are asked to give way at once: who comes when there is no room is rarely alone.
    fn at_once(&self) -> usize {
        (self.max_connections / 8).clamp(1, AT_ONCE)
    }

    fn admit(&mut self, stream: TcpStream, app: &Arc<App>) {
        if self.connections.len() >= self.max_connections {
            if self.made_room == 0 {
                self.give_way();
            }
            self.made_room = self.made_room.saturating_sub(1);
        }
        let (open, closing) = oneshot::channel();
        let standing = Arc::new(Standing::new(self.clock));
        let serving = connection(stream, Arc::clone(app), Arc::clone(&standing), closing);
        let task = self.tasks.spawn(STANDING.scope(Arc::clone(&standing), serving));
        self.connections.insert(task.id(), Connection { standing, task, _open: open });
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        self.connections.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
    }

    /// Asks those to give way that can most easily be done without, if there are any.
    fn give_way(&mut self) {
        let is_pressed = self.is_pressed();
        let kept = |stage| match stage {
            Stage::Heard | Stage::Leaving if is_pressed => Duration::ZERO,
            Stage::Heard | Stage::Leaving => STRANGER,
            Stage::Answered if is_pressed => PRESSED,
            Stage::Answered => ANSWERED,
        };
        let could = |it: &Standing| {
            let (stage, silent) = it.silent_for()?;
            // Strangers go first, be others silent for longer.
            Some((stage != Stage::Answered, silent.checked_sub(kept(stage))?))
        };
        // Where nobody could go, it need not be looked for at each newcomer.
        self.made_room = self.ask(could).max(self.at_once().div_ceil(2));
    }

    /// Asks those to give way who keep answers waiting by not taking theirs.
    fn end_blocked(&self) {
        self.ask(|it| it.blocked_for().and_then(|it| it.checked_sub(BLOCKED)));
    }

    /// Asks those to give way who keep requests waiting by not sending the rest of theirs.
    fn end_unheard(&self) {
        self.ask(|it| match it.silent_for() {
            Some((Stage::Heard, silent)) => silent.checked_sub(PRESSED),
            _ => None,
        });
    }

    /// Asks some of those who could give way, the highest ranks first; how many were asked.
    fn ask<Rank: Ord>(&self, could: impl Fn(&Standing) -> Option<Rank>) -> usize {
        let others = self.connections.values().filter(|it| !it.standing.is_asked());
        let mut could: Vec<_> = others.filter_map(|it| Some((could(&it.standing)?, &it.standing))).collect();
        let count = could.len().min(self.at_once());
        if count > 0 && count < could.len() {
            could.select_nth_unstable_by(count - 1, |(a, _), (b, _)| b.cmp(a));
        }
        could.iter().take(count).for_each(|(_, standing)| standing.ask());
        count
    }

    /// Ends connections that have been silent for too long: politely, or at once if that did not help.
    fn end_silent(&mut self, idle_timeout: Duration) {
        for connection in self.connections.values() {
            match connection.standing.silent_for() {
                Some((_, silent)) if silent >= 2 * idle_timeout => connection.task.abort(),
                Some((_, silent)) if silent >= idle_timeout => connection.standing.ask(),
                _ => {}
            }
        }
    }

    /// Lets requests under way finish.
    async fn finish(mut self) {
        self.connections.values().for_each(|it| it.standing.ends());
        self.connections.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn connection(stream: TcpStream, app: Arc<App>, standing: Arc<Standing>, closing: oneshot::Receiver<()>) {
    // Answers are written in one piece; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_send_buffer_size(KERNEL_BYTES);
    let service = service_fn(|request| {
        standing.answer();
        async {
            let response = gate::pass(&app, request).await;
            standing.wait(Stage::Answered);
            Ok::<_, Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(Socket::new(stream, Arc::clone(&standing))), service);
    let (mut serving, mut closing) = (pin!(serving), pin!(closing));
    let mut is_open = true;
    loop {
        tokio::select! {
            // What has arrived is read first.
            biased;
            // How a connection ends is its client's business.
            _ = serving.as_mut() => return,
            () = standing.asked.notified() => if standing.goes() { return },
            _ = closing.as_mut(), if is_open => {
                is_open = false;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}
