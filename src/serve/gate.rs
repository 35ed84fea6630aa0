//! What every request passes: who asks, whether there is room, how long it took, and that a panic stays its own.
//!
//! Admission comes before anything of the request is read, so that overload and strangers cost next to nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use super::metrics::Route;
use super::problem::Problem;
use super::router::App;
use super::wait;

/// The middleware in front of all routes.
pub(crate) async fn pass(State(app): State<Arc<App>>, request: Request<Body>, next: Next) -> Response {
    let started = Instant::now();
    let route = Route::of(request.uri().path());
    let mut response = match admit(&app, route, request.headers()).await {
        Ok(_permit) => {
            // A panic is a bug of ours; it costs this request only, and nothing it touched is shared mutable state.
            let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
            answer.unwrap_or_else(|_| {
                tracing::error!(?route, "a request panicked");
                Problem::internal("the request failed unexpectedly; the log tells more").into_response()
            })
        }
        Err(problem) => problem.into_response(),
    };
    // Who may not read learns nothing of what there is.
    if response.status() != StatusCode::UNAUTHORIZED && !response.headers().contains_key("vantage-epoch") {
        app.describe_all(&mut response);
    }
    app.metrics.answered(route, response.status(), started.elapsed());
    response
}

/// A permit for routes that do work, which is given back when it is dropped.
async fn admit<'a>(
    app: &'a App,
    route: Route,
    headers: &HeaderMap,
) -> Result<Option<tokio::sync::SemaphorePermit<'a>>, Problem> {
    if route.is_probe() {
        return Ok(None);
    }
    authorise(app.options.token.as_deref(), headers)?;
    // Who looks after the process must see it most of all when it is busy.
    if route == Route::Metrics {
        return Ok(None);
    }
    // Waiting is no work: it takes no room from others. What was reached here stays reached for the handler.
    if route.reads() {
        wait::epoch_for(&app.board, &app.options, headers).await?;
    }
    match app.permits.try_acquire() {
        Ok(permit) => Ok(Some(permit)),
        Err(_) => {
            let detail =
                format!("{} requests are under way, which is all there is room for", app.options.max_concurrency);
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "53300", detail).hint("ask again in a second"))
        }
    }
}

fn authorise(token: Option<&str>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = token else { return Ok(()) };
    let shown = headers.get(header::AUTHORIZATION).map(|it| it.as_bytes());
    let shown = shown.and_then(|it| {
        let (scheme, rest) = it.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(rest)
    });
    if shown.is_some_and(|it| same(it, token.as_bytes())) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNAUTHORIZED, "28000", "a valid bearer token is needed")
        .hint("send the header Authorization: Bearer …"))
}

// The time it takes tells nothing about where two texts differ; their length is no secret worth keeping.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && std::hint::black_box(left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b))) == 0
}
