//! Answers on their way: what was made of them and not sent yet is counted over all requests, and bounded.
//!
//! A small answer is one piece and costs nothing here. Every other takes its part of the room there is, and gives it
//! back as its client reads. There are two ways:
//!
//! - **whole**, where headers depend on the last row: [`Transit::share`], [`Share::cover`] as rows and bytes come
//!   together, [`Share::body`];
//! - **in pieces**, for whatever may be long: [`Transit::answer`] gives a [`Writer`] for who makes the answer and a
//!   [`Reply`] for who sends it.
//!
//! ```text
//! let (mut writer, reply) = app.transit.answer();
//! spawn(async move {
//!     let result = async {
//!         for row in rows {
//!             write(row, writer.out());
//!             writer.flow().await?;          // waits while the client does not take what is there
//!         }
//!         Ok(())
//!     };
//!     let result = result.await;
//!     writer.end(result).await;
//! });
//! let body = reply.body().await?;            // the problem, if there was one before the first byte was sent
//! ```
//!
//! An answer is made ahead of its client as long as it has no more than a quarter of the room that is free; until then
//! nothing is sent, so that a problem has its status and a whole answer its length. Who makes it waits from then on. Of
//! what is made whole, only modest answers get the last of the room. Where there is too little of it, connections whose
//! clients do not take what is sent give way to those who wait (`accept` is told). A problem that comes later cuts the connection: the client sees a body without its end. So does a client that takes
//! nothing for [`STALL`].

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures::task::AtomicWaker;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout_at};

use super::problem::Problem;

/// About how long a piece is.
const PIECE_BYTES: usize = 64 << 10;
/// Answers up to here are not counted: a connection has one, and there are only so many connections.
const SMALL_BYTES: usize = 16 << 10;
/// How long an answer waits for room before any of it was sent: long enough for others to give way.
const BRIEF: Duration = Duration::from_secs(2);
/// How often it is said meanwhile that somebody waits.
const SAID: Duration = Duration::from_millis(50);
/// How long a client may take nothing of an answer that waits for it.
const STALL: Duration = Duration::from_secs(10);
/// Of the room that is free, an answer may take one part in so many beyond its first piece.
const PART: usize = 4;
/// One part in so many of the room is for answers that take no more than one part in [`MODEST`] of it.
const KEPT: usize = 8;
const MODEST: usize = 64;

/// The room there is for what was made and not sent.
#[derive(Debug)]
pub(crate) struct Transit {
    /// What the bytes wait for that take the room.
    why: &'static str,
    room: usize,
    used: AtomicUsize,
    /// Told whenever some of it becomes free, or a client is gone.
    freed: Notify,
    /// Told when somebody waits because others do not take their answers.
    pub(super) short: Notify,
    /// How many answers waited in vain.
    pub(crate) refused: AtomicU64,
}

impl Transit {
    /// Room for `room` bytes; `why` tells what takes it.
    pub(crate) fn new(why: &'static str, room: usize) -> Arc<Transit> {
        Arc::new(Transit {
            why,
            room,
            used: AtomicUsize::new(0),
            freed: Notify::new(),
            short: Notify::new(),
            refused: AtomicU64::new(0),
        })
    }

    /// How many bytes are made and not sent.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The part of an answer, nothing yet.
    pub(crate) fn share(self: &Arc<Transit>) -> Share {
        Share { transit: Arc::clone(self), bytes: 0, of: None }
    }

    /// The two ends of an answer made in pieces.
    pub(crate) fn answer(self: &Arc<Transit>) -> (Writer, Reply) {
        let flow = Arc::new(Flow::default());
        let writer = Writer {
            transit: Arc::clone(self),
            flow: Arc::clone(&flow),
            out: Vec::with_capacity(1024),
            begun: false,
            has_waited: false,
        };
        (writer, Reply { transit: Arc::clone(self), flow, guard: None })
    }

    /// Takes `bytes` more where `allowed` agrees to how much is free.
    fn take(&self, bytes: usize, allowed: impl Fn(usize) -> bool) -> bool {
        let more = |used: usize| {
            let free = self.room.saturating_sub(used);
            (bytes <= free && allowed(free)).then_some(used + bytes)
        };
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            self.freed.notify_waiters();
        }
    }

    /// The most that anything takes which is not modest.
    fn most(&self) -> usize {
        self.room - self.room / KEPT
    }

    /// Refuses what no waiting makes room for.
    fn check_possible(&self, bytes: usize) -> Result<(), Problem> {
        if bytes <= self.most() {
            return Ok(());
        }
        let detail =
            format!("what was asked for takes more at a time than the {} bytes there are for one answer", self.most());
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "54000", detail)
            .hint("ask for fewer rows, fewer columns or shorter values at a time"))
    }

    /// Waits until some room may have become free, but not past `deadline`.
    async fn wait(&self, freed: Pin<&mut Notified<'_>>, deadline: Instant) -> Result<(), Problem> {
        self.short.notify_one();
        match timeout_at(deadline.min(Instant::now() + SAID), freed).await {
            Err(_) if Instant::now() >= deadline => Err(self.crowded()),
            _ => Ok(()),
        }
    }

    fn crowded(&self) -> Problem {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let detail = format!("there is room for {} bytes only, and {}", self.room, self.why);
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "53200", detail).hint("ask again in a second, or for less")
    }
}

/// Bytes of the room, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    transit: Arc<Transit>,
    bytes: usize,
    /// The answer these bytes are a piece of.
    of: Option<Arc<Flow>>,
}

impl Share {
    /// Covers `bytes` in all, waiting a little where there is no room; small answers need no cover.
    pub(crate) async fn cover(&mut self, bytes: usize) -> Result<(), Problem> {
        if bytes <= SMALL_BYTES.max(self.bytes) {
            return Ok(());
        }
        self.transit.check_possible(bytes)?;
        let (deadline, room) = (Instant::now() + BRIEF, self.transit.room);
        loop {
            let freed = self.transit.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            let more = bytes - self.bytes;
            if self.transit.take(more, |free| bytes <= room / MODEST || free - more >= room / KEPT) {
                self.bytes = bytes;
                return Ok(());
            }
            self.transit.wait(freed, deadline).await?;
        }
    }

    /// The body of these bytes, which count until they are sent. What was covered beyond them is given back.
    pub(crate) fn body(mut self, bytes: Vec<u8>) -> Body {
        if self.bytes == 0 {
            return Body::from(bytes);
        }
        let beyond = self.bytes.saturating_sub(bytes.capacity());
        self.bytes -= beyond;
        self.transit.give_back(beyond);
        Body::from(Bytes::from_owner(Piece { bytes, _share: self }))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(flow) = &self.of {
            flow.unsent.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        self.transit.give_back(self.bytes);
    }
}

/// Bytes and the room they take.
struct Piece {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What the two ends of an answer share.
#[derive(Debug, Default)]
struct Flow {
    state: Mutex<State>,
    /// Bytes of this answer that are not sent, those included that the connection has taken.
    unsent: AtomicUsize,
    /// Who sends.
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Bytes>,
    /// Whether the writer waits, so that what is there has to be sent.
    full: bool,
    ended: Option<Result<(), Problem>>,
    /// Whether nobody wants the answer any more.
    gone: bool,
}

impl Flow {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|it| it.into_inner())
    }
}

/// The end of an answer that is written to.
#[derive(Debug)]
pub(crate) struct Writer {
    transit: Arc<Transit>,
    flow: Arc<Flow>,
    out: Vec<u8>,
    /// Whether any of it is on its way.
    begun: bool,
    /// Whether it had to wait, so that who sends may have begun.
    has_waited: bool,
}

impl Writer {
    /// Where to write; what stands there already may be overwritten up to the last [`Writer::flow`].
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Forgets what was written, if none of it was sent; else it cannot be taken back.
    pub(crate) fn begin_again(&mut self) -> bool {
        let mut state = self.flow.state();
        // Who sends begins when the writer waits.
        if self.has_waited {
            return false;
        }
        let pieces = std::mem::take(&mut state.pieces);
        drop(state);
        drop(pieces);
        self.out.clear();
        true
    }

    /// Whether there is enough for a piece and no room to put it, so that [`Writer::flow`] would wait.
    pub(crate) fn must_wait(&mut self) -> bool {
        self.out.len() >= PIECE_BYTES && !self.put()
    }

    /// Puts what was written on its way if it is enough for a piece; waits while there is no room. Fails when the
    /// client takes nothing or is gone: then nothing more is to be made.
    pub(crate) async fn flow(&mut self) -> Result<(), Problem> {
        if self.out.len() < PIECE_BYTES { Ok(()) } else { self.push().await }
    }

    /// The end of the answer, or the problem that there is instead of one.
    pub(crate) async fn end(mut self, result: Result<(), Problem>) {
        let result = match result {
            Ok(()) => self.last().await,
            Err(problem) => Err(problem),
        };
        self.close(result);
    }

    async fn last(&mut self) -> Result<(), Problem> {
        if self.out.len() > SMALL_BYTES {
            return self.push().await;
        }
        metered::hand_over(self.out.capacity());
        let bytes = Bytes::from(std::mem::take(&mut self.out));
        self.flow.state().pieces.push_back(bytes);
        Ok(())
    }

    /// Waits for room for what was written.
    async fn push(&mut self) -> Result<(), Problem> {
        self.transit.check_possible(self.out.capacity())?;
        let (mut since, mut unsent) = (Instant::now(), usize::MAX);
        let transit = Arc::clone(&self.transit);
        loop {
            let freed = transit.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            if self.flow.state().gone {
                return Err(Problem::timeout());
            }
            if self.put() {
                return Ok(());
            }
            let now_unsent = self.flow.unsent.load(Ordering::Relaxed);
            if now_unsent < unsent {
                (since, unsent) = (Instant::now(), now_unsent);
            }
            let patience = if self.begun { STALL } else { BRIEF };
            transit.wait(freed, since + patience).await?;
        }
    }

    /// Puts what was written on its way if there is room.
    fn put(&mut self) -> bool {
        let mut state = self.flow.state();
        if state.gone {
            return false;
        }
        let bytes = self.out.capacity();
        let unsent = self.flow.unsent.load(Ordering::Relaxed);
        // A single piece always may be ahead, or an answer could never go on.
        let taken = self.transit.take(bytes, |free| unsent == 0 || unsent + bytes <= free / PART);
        if taken {
            self.begun = true;
            self.flow.unsent.fetch_add(bytes, Ordering::Relaxed);
            let share = Share { transit: Arc::clone(&self.transit), bytes, of: Some(Arc::clone(&self.flow)) };
            // They are freed where they are sent.
            metered::hand_over(bytes);
            let bytes = std::mem::replace(&mut self.out, Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4));
            state.pieces.push_back(Bytes::from_owner(Piece { bytes, _share: share }));
        }
        state.full = !taken;
        self.has_waited |= !taken;
        drop(state);
        self.flow.reader.wake();
        taken
    }

    fn close(&mut self, result: Result<(), Problem>) {
        let mut state = self.flow.state();
        if state.ended.is_none() {
            state.ended = Some(result);
        }
        drop(state);
        self.flow.reader.wake();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Only who did not come to its end is without one.
        self.close(Err(Problem::internal("the answer was broken off unexpectedly; the log tells more")));
    }
}

/// The end of an answer that is sent.
pub(crate) struct Reply {
    transit: Arc<Transit>,
    flow: Arc<Flow>,
    /// Dropped when nobody wants the answer any more.
    guard: Option<Box<dyn Send + Sync>>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

impl Reply {
    /// The same, with something to drop when the answer was sent or nobody wants it any more.
    pub(crate) fn with_guard(mut self, guard: impl Send + Sync + 'static) -> Reply {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Waits until the answer is whole or has to be sent.
    pub(crate) async fn body(self) -> Result<Body, Problem> {
        std::future::poll_fn(|context| self.poll_begin(context)).await?;
        let only = {
            let mut state = self.flow.state();
            let whole = matches!(state.ended, Some(Ok(()))) && state.pieces.len() == 1;
            if whole { state.pieces.pop_front() } else { None }
        };
        Ok(only.map_or_else(|| Body::new(self), Body::from))
    }

    fn poll_begin(&self, context: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        self.flow.reader.register(context.waker());
        let state = self.flow.state();
        match &state.ended {
            Some(Err(problem)) => Poll::Ready(Err(problem.clone())),
            Some(Ok(())) => Poll::Ready(Ok(())),
            None if state.full && !state.pieces.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let mut state = self.flow.state();
        state.gone = true;
        let pieces = std::mem::take(&mut state.pieces);
        drop(state);
        drop(pieces);
        self.transit.freed.notify_waiters();
    }
}

impl hyper::body::Body for Reply {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        self.flow.reader.register(context.waker());
        let mut state = self.flow.state();
        if let Some(piece) = state.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &state.ended {
            None => Poll::Pending,
            Some(Ok(())) => Poll::Ready(None),
            // Without its end the client sees that the answer is not whole.
            Some(Err(problem)) => {
                tracing::warn!(%problem, "an answer was cut off");
                Poll::Ready(Some(Err(problem.clone())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.flow.state();
        matches!(state.ended, Some(Ok(()))) && state.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.flow.state();
        match state.ended {
            Some(Ok(())) => SizeHint::with_exact(state.pieces.iter().map(|it| it.len() as u64).sum()),
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    const ROOM: usize = 8 << 20;

    /// Writes `bytes` in pieces.
    async fn make(mut writer: Writer, bytes: usize) {
        let mut left = bytes;
        let mut result = Ok(());
        while left > 0 && result.is_ok() {
            let some = left.min(1000);
            left -= some;
            writer.out().extend(std::iter::repeat_n(b'x', some));
            result = writer.flow().await;
        }
        writer.end(result).await;
    }

    /// How many bytes there are, read as a client does that forgets what it has read.
    async fn read(mut body: Body) -> Result<usize, axum::Error> {
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame?.into_data().map_or(0, |it| it.len());
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn whole_answers_have_a_length_and_long_ones_wait_for_their_readers() {
        let transit = Transit::new("others wait", ROOM);
        for bytes in [0, 10, SMALL_BYTES + 1, PIECE_BYTES, ROOM / 8] {
            let (writer, reply) = transit.answer();
            tokio::spawn(make(writer, bytes));
            let body = reply.body().await.unwrap();
            assert_eq!(hyper::body::Body::size_hint(&body).exact(), Some(bytes as u64));
            assert_eq!(read(body).await.unwrap(), bytes);
        }
        let (writer, reply) = transit.answer();
        let task = tokio::spawn(make(writer, 4 * ROOM));
        let body = reply.body().await.unwrap();
        assert_eq!(hyper::body::Body::size_hint(&body).exact(), None);
        assert!(!task.is_finished());
        assert!((1..=ROOM / PART).contains(&transit.used()), "{}", transit.used());
        assert_eq!(read(body).await.unwrap(), 4 * ROOM);
        assert_eq!(transit.used(), 0);
    }

    #[tokio::test]
    async fn who_is_gone_leaves_nothing_behind() {
        let transit = Transit::new("others wait", ROOM);
        let (mut writer, reply) = transit.answer();
        drop(reply);
        for _ in 0..3 {
            writer.out().resize(PIECE_BYTES, b'x');
            assert!(writer.must_wait());
        }
        assert!(writer.flow().await.is_err());
        drop(writer);
        assert_eq!(transit.used(), 0);
    }

    #[tokio::test]
    async fn many_that_do_not_read_stay_within_the_room() {
        let transit = Transit::new("others wait", ROOM);
        let mut unread = Vec::new();
        for _ in 0..100 {
            let (writer, reply) = transit.answer();
            tokio::spawn(make(writer, ROOM));
            match reply.body().await {
                Ok(body) => unread.push(body),
                // Only when there is hardly any room left.
                Err(problem) => {
                    assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
                    assert!(transit.used() > ROOM / 2, "{}", transit.used());
                    break;
                }
            }
            assert!(transit.used() <= ROOM);
        }
        assert!(unread.len() > 10, "{}", unread.len());
        // Small answers need no room.
        let (writer, reply) = transit.answer();
        tokio::spawn(make(writer, 100));
        assert!(reply.body().await.is_ok());
        drop(unread);
        tokio::time::timeout(STALL, async {
            while transit.used() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("who is gone gives its room back");
    }

    #[tokio::test]
    async fn problems_have_a_status_until_something_was_sent() {
        let transit = Transit::new("others wait", ROOM);
        let fail = |writer: Writer, after: usize| async move {
            let mut writer = writer;
            for _ in 0..after {
                writer.out().resize(PIECE_BYTES, b'x');
                let _ = writer.flow().await;
            }
            writer.end(Err(Problem::timeout())).await;
        };
        let (writer, reply) = transit.answer();
        tokio::spawn(fail(writer, 3));
        assert_eq!(reply.body().await.err().map(|it| it.code), Some("57014"));
        let (writer, reply) = transit.answer();
        tokio::spawn(fail(writer, 1000));
        assert!(read(reply.body().await.unwrap()).await.is_err());
        // Who is not heard of any more has failed, too.
        let (writer, reply) = transit.answer();
        drop(writer);
        assert_eq!(reply.body().await.err().map(|it| it.code), Some("XX000"));
        assert_eq!(transit.used(), 0);
    }

    #[tokio::test]
    async fn whole_bodies_are_covered_until_they_are_sent() {
        let transit = Transit::new("others wait", ROOM);
        let mut share = transit.share();
        share.cover(transit.most()).await.unwrap();
        assert_eq!(transit.share().cover(ROOM / 2).await.err().map(|it| it.code), Some("53200"));
        assert_eq!(transit.share().cover(ROOM).await.err().map(|it| it.code), Some("54000"));
        // Modest ones need not wait.
        transit.share().cover(ROOM / MODEST).await.unwrap();
        let body = share.body(vec![0; 100_000]);
        assert_eq!(transit.used(), 100_000);
        drop(body);
        assert_eq!(transit.used(), 0);
        let mut small = transit.share();
        small.cover(SMALL_BYTES).await.unwrap();
        let body = small.body(vec![0; SMALL_BYTES]);
        assert_eq!(transit.used(), 0);
        drop(body);
    }
}
