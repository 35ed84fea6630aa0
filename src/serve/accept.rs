//! Connections: how many there may be, how long one may say nothing, and how they end.
//!
//! A client that opens connections and sends requests letter by letter, or none at all, holds each for a bounded time
//! only, and never more of them than there is room for.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// After a failed accept, as when the process has no file handles left: trying at once would only spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `stopped` is true, then lets requests under way finish.
pub(crate) async fn accept(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    idle_timeout: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(max_connections));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // Without room, new connections wait in the kernel's queue.
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            _ = stopped.wait_for(|it| *it) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let serving = connection(stream, router.clone(), idle_timeout, stopped.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // From here on, new connections are refused.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, router: Router, idle_timeout: Duration, mut stopped: watch::Receiver<bool>) {
    // Answers are written in one piece; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        // It runs from the moment a request could begin, so it ends idle connections as well.
        .header_read_timeout(idle_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = stopped.wait_for(|it| *it) => serving.as_mut().graceful_shutdown(),
    }
    // How a connection ends is its client's business.
    let _ = serving.await;
}
