//! What every request passes: who asks, how long it took, and that a panic stays its own; and the room there is for work.
//!
//! Strangers are turned away before anything but the head is read.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use hyper::body::Incoming;

use super::problem::Problem;
use super::route::Route;
use super::router::{self, App, Asked};
use super::snapshot::{self, Snapshot};

/// Answers one request.
pub(crate) async fn pass(app: &App, request: Request<Incoming>) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let route = Route::of(&head.method, head.uri.path());
    let known = is_known(app.options.token.as_deref(), &head.headers);
    let mut response = if known || route.is_probe() {
        let asked = Asked { route, head: &head, known };
        // A panic is a bug of ours; it costs this request only, and nothing it touched is shared mutable state.
        let answer = AssertUnwindSafe(router::answer(app, asked, body)).catch_unwind().await;
        answer.unwrap_or_else(|_| {
            tracing::error!(?route, "a request panicked");
            Problem::internal("the request failed unexpectedly; the log tells more").into_response()
        })
    } else {
        Problem::new(StatusCode::UNAUTHORIZED, "28000", "a valid bearer token is needed")
            .hint("send the header Authorization: Bearer …")
            .into_response()
    };
    // Who may not read learns nothing of what there is.
    if known && !response.headers().contains_key(&snapshot::EPOCH) {
        Snapshot::take(&app.board).describe_all(&app.board, &mut response);
    }
    app.metrics.answered(route, response.status(), started.elapsed());
    response
}

/// How many requests are under way. Nobody waits for a place, so a counter is enough.
#[derive(Debug, Default)]
pub(crate) struct Room(AtomicUsize);

/// The right to work, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Room);

impl Room {
    /// One of `places`, if one is free: too many requests at a time are turned away at once.
    pub(crate) fn take(&self, places: usize) -> Result<Place<'_>, Problem> {
        let place = Place(self);
        if self.0.fetch_add(1, Ordering::Relaxed) < places {
            return Ok(place);
        }
        let detail = format!("{places} requests are under way, which is all there is room for");
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "53300", detail).hint("ask again in a second"))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the request shows the token; everybody does where there is none.
fn is_known(token: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(token) = token else { return true };
    let shown = headers.get(header::AUTHORIZATION).map(|it| it.as_bytes());
    let shown = shown.and_then(|it| {
        let (scheme, rest) = it.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(rest)
    });
    shown.is_some_and(|it| same(it, token.as_bytes()))
}

// The time it takes tells nothing about where two texts differ; their length is no secret worth keeping.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && std::hint::black_box(left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_only() {
        let room = Room::default();
        let (one, two) = (room.take(2).unwrap(), room.take(2).unwrap());
        assert_eq!(room.take(2).map(|_| ()).map_err(|it| it.code), Err("53300"));
        drop(one);
        assert!(room.take(2).is_ok());
        drop(two);
    }
}
