//! A client's socket as the HTTP library sees it, and how its client stands: whether the server waits for it, since when,
//! and whether it may have to give way to others.
//!
//! ```text
//! connected ──▶ Heard: a request has to come ──▶ answering ──▶ Answered: it reads, or may ask again ──▶ answering …
//!                        ▲ body is awaited ─────────┘                            └──▶ Leaving: the last was answered
//! ```
//!
//! Closing a socket on which unread bytes lie resets the connection, and an answer that is still on its way is lost with
//! it. So a socket ends in two steps: nothing more is sent, and what still comes is read and forgotten for a while.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

/// How long a client may go on sending after its last answer.
const LINGER: Duration = Duration::from_secs(2);
/// How much it may send then.
const LINGER_BYTES: usize = 4 << 20;

tokio::task_local! {
    /// How the client stands whose connection the task serves.
    pub(super) static STANDING: Arc<Standing>;
}

/// Waits for more of a request. The server waits for its client meanwhile, who may have to give way like one who has not
/// asked at all.
pub(crate) async fn hear<T>(more: impl Future<Output = T>) -> T {
    let standing = STANDING.try_with(Arc::clone).ok();
    standing.iter().for_each(|it| it.wait(Stage::Heard));
    let heard = more.await;
    standing.iter().for_each(|it| it.answer());
    heard
}

/// What the server waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// A whole request.
    Heard,
    /// That an answer is taken, or another request.
    Answered,
    /// That the client ends the connection.
    Leaving,
}

/// How a client stands.
#[derive(Debug)]
pub(super) struct Standing {
    clock: Instant,
    /// Since when the server waits for it, in milliseconds of the clock; [`Standing::ANSWERING`] while it waits for the
    /// server.
    since_ms: AtomicU32,
    stage: AtomicU8,
    /// Whether it was asked to give way, and did not answer yet.
    is_asked: AtomicBool,
    /// Whether something of it has arrived that was not read when it was asked.
    has_arrived: AtomicBool,
    /// Whether the kernel takes nothing more, as the client does not take what there is.
    is_blocked: AtomicBool,
    /// Whether the process ends, so that nobody is waited for.
    is_last: AtomicBool,
    /// Told when it is asked.
    pub(super) asked: Notify,
}

impl Standing {
    const ANSWERING: u32 = u32::MAX;

    /// Of a client that has just come.
    pub(super) fn new(clock: Instant) -> Standing {
        let standing = Standing {
            clock,
            since_ms: AtomicU32::new(0),
            stage: AtomicU8::new(0),
            is_asked: AtomicBool::new(false),
            has_arrived: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            is_last: AtomicBool::new(false),
            asked: Notify::new(),
        };
        standing.wait(Stage::Heard);
        standing
    }

    /// The server waits for the client from now on.
    pub(super) fn wait(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
        self.since_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// The client waits for the server from now on.
    pub(super) fn answer(&self) {
        self.since_ms.store(Self::ANSWERING, Ordering::Relaxed);
    }

    /// Something was sent, or could not be.
    fn sent<T>(&self, written: &Poll<T>) {
        self.is_blocked.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() && self.since_ms.load(Ordering::Relaxed) != Self::ANSWERING {
            self.since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// For how long the client has not taken what is there for it.
    pub(super) fn blocked_for(&self) -> Option<Duration> {
        let (_, silent) = self.silent_for()?;
        self.is_blocked.load(Ordering::Relaxed).then_some(silent)
    }

    /// How long the server has waited for it.
    pub(super) fn silent_for(&self) -> Option<(Stage, Duration)> {
        let stage = match self.stage.load(Ordering::Relaxed) {
            it if it == Stage::Heard as u8 => Stage::Heard,
            it if it == Stage::Answered as u8 => Stage::Answered,
            _ => Stage::Leaving,
        };
        match self.since_ms.load(Ordering::Relaxed) {
            Self::ANSWERING => None,
            since => Some((stage, Duration::from_millis(u64::from(self.now_ms().wrapping_sub(since))))),
        }
    }

    /// Asks it to give way.
    pub(super) fn ask(&self) {
        self.has_arrived.store(false, Ordering::Relaxed);
        self.is_asked.store(true, Ordering::Relaxed);
        self.asked.notify_one();
    }

    /// Whether it was asked to give way and may still do so.
    pub(super) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Whether it goes: it was asked, and nothing has come from it since that was to be answered.
    pub(super) fn goes(&self) -> bool {
        let asked = self.is_asked.swap(false, Ordering::Relaxed);
        asked && self.silent_for().is_some() && !self.has_arrived.load(Ordering::Relaxed)
    }

    /// The process ends: nobody is waited for any more.
    pub(super) fn ends(&self) {
        self.is_last.store(true, Ordering::Relaxed);
    }

    // The clock comes round after 49 days, and no silence lasts that long.
    fn now_ms(&self) -> u32 {
        (self.clock.elapsed().as_millis() % u128::from(Self::ANSWERING)) as u32
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    standing: Arc<Standing>,
    /// When nothing more is sent: how long the client may still send.
    linger: Option<Pin<Box<Sleep>>>,
    forgotten: usize,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, standing: Arc<Standing>) -> Socket {
        Socket { stream, standing, linger: None, forgotten: 0 }
    }

    /// Whether something lies there to be read.
    fn has_input(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        SockRef::from(&self.stream).peek(&mut byte).is_ok_and(|it| it > 0)
    }

    /// Reads and forgets until the client has ended, too.
    fn poll_forget(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 16 << 10];
        loop {
            let mut some = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut some) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !some.filled().is_empty() => self.forgotten += some.filled().len(),
                Poll::Ready(_) => return Poll::Ready(()),
            }
            if self.forgotten > LINGER_BYTES {
                return Poll::Ready(());
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, bytes);
        // What has arrived may not be known to the runtime yet.
        if read.is_pending() && self.standing.is_asked() && self.has_input() {
            self.standing.has_arrived.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.standing.sent(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.standing.sent(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.standing.wait(Stage::Leaving);
            self.linger = Some(Box::pin(sleep(LINGER)));
        }
        if self.poll_forget(context).is_ready() || self.standing.is_last.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        match &mut self.linger {
            Some(limit) => limit.as_mut().poll(context).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}
