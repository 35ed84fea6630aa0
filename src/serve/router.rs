//! The routes, and the state all requests share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{Semaphore, watch};

use super::metrics::Metrics;
use super::options::{ServeError, ServeOptions, check_listen};
use super::problem::Problem;
use super::read::insert;
use super::served::{Directory, lag_ms, positions};
use super::{accept, batch, describe, gate, health, list, metrics, percent, read, sql};
use crate::store::{Board, Epoch};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) board: Arc<Board>,
    pub(crate) options: ServeOptions,
    pub(crate) metrics: Metrics,
    pub(crate) permits: Semaphore,
    pub(crate) workers: sql::Workers,
    directory: ArcSwap<Directory>,
    sql: ArcSwap<sql::Engine>,
    draining: AtomicBool,
}

impl App {
    pub(crate) fn new(board: Arc<Board>, options: ServeOptions) -> Result<App, ServeError> {
        let directory = Arc::new(Directory::new(&board));
        let engine = sql::Engine::new(Arc::clone(&directory), options.max_sql_memory_bytes)?;
        Ok(App {
            metrics: Metrics::new(),
            permits: Semaphore::new(options.max_concurrency),
            workers: sql::Workers::new()?,
            directory: ArcSwap::from(directory),
            sql: ArcSwap::from_pointee(engine),
            draining: AtomicBool::new(false),
            board,
            options,
        })
    }

    /// What is served now.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        let directory = self.directory.load_full();
        if directory.is_current(&self.board) {
            return directory;
        }
        let directory = Arc::new(Directory::new(&self.board));
        self.directory.store(Arc::clone(&directory));
        directory
    }

    /// The SQL engine over what is served now.
    pub(crate) fn sql(&self) -> Arc<sql::Engine> {
        let directory = self.directory();
        let engine = self.sql.load_full();
        if engine.serves(&directory) {
            return engine;
        }
        let engine = Arc::new(engine.for_directory(directory));
        self.sql.store(Arc::clone(&engine));
        engine
    }

    /// Whether the process is shutting down.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The whole request body, within the limits of size and time.
    pub(crate) async fn body(&self, body: Body) -> Result<Bytes, Problem> {
        let limit = self.options.max_body_bytes;
        let read = axum::body::to_bytes(body, limit);
        let read = tokio::time::timeout(self.options.statement_timeout, read).await;
        let read = read.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "57014", "the request's body did not arrive in time")
        })?;
        read.map_err(|error| {
            let too_long =
                std::error::Error::source(&error).is_some_and(|it| it.is::<http_body_util::LengthLimitError>());
            if too_long {
                let detail = format!("the request's body has more than {limit} bytes");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "54000", detail)
            } else {
                Problem::bad_request(format!("the request's body could not be read: {error}"))
            }
        })
    }

    /// Says in the headers which epoch an answer was read from and how far it includes `sources`.
    pub(crate) fn describe(&self, response: &mut Response, epoch: &Epoch, sources: &[usize]) {
        let headers = response.headers_mut();
        insert(headers, "vantage-epoch", &format!("{}-{}", epoch.incarnation(), epoch.number()));
        let mut at = String::new();
        positions(&self.board, epoch, sources, &mut at);
        insert(headers, "vantage-positions", &at);
        if let Some(lag) = lag_ms(&self.board, sources) {
            headers.insert("vantage-lag-ms", HeaderValue::from(lag));
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    }

    /// The same for answers that are about no relation in particular.
    pub(crate) fn describe_all(&self, response: &mut Response) {
        let sources: Vec<usize> = (0..self.board.sources().len()).collect();
        self.describe(response, &self.board.epoch(), &sources);
    }
}

/// Serves until `shutdown` is ready: then `/readyz` says no at once, requests under way are finished, and the call
/// returns.
pub async fn serve(
    listener: tokio::net::TcpListener,
    board: Arc<Board>,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    // The listener was bound by the caller, so it is its address that counts.
    let options = ServeOptions { listen: listener.local_addr()?, ..options };
    check_listen(&options)?;
    let (drain_delay, drain_timeout) = (options.drain_delay, options.drain_timeout);
    let (max_connections, idle_timeout) = (options.max_connections, options.idle_timeout);
    let app = Arc::new(App::new(board, options)?);
    let (stop, stopped) = watch::channel(false);
    let server = accept::accept(listener, router(Arc::clone(&app)), max_connections, idle_timeout, stopped);
    let limit = async {
        shutdown.await;
        app.draining.store(true, Ordering::Release);
        tokio::time::sleep(drain_delay).await;
        stop.send_replace(true);
        tokio::time::sleep(drain_timeout).await;
    };
    tokio::select! {
        () = server => {}
        () = limit => tracing::warn!("some requests did not finish in time and were cut off"),
    }
    Ok(())
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/views", get(views))
        .route("/v1/schema/{view}", get(schema))
        .route("/v1/views/{view}", get(rows))
        .route("/v1/views/{view}/", get(row))
        .route("/v1/views/{view}/batch", post(many).get(row))
        .route("/v1/views/{view}/{key}", get(row))
        .route("/v1/sql", post(query))
        .route("/livez", get(|| async { health::livez() }))
        .route("/readyz", get(|State(app): State<Arc<App>>| async move { health::readyz(&app) }))
        .route("/metrics", get(|State(app): State<Arc<App>>| async move { answer(metrics::metrics(&app)) }))
        .fallback(|request: Request<Body>| async move { no_route(&request) })
        .method_not_allowed_fallback(|request: Request<Body>| async move { no_method(&request) })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), gate::pass))
        .with_state(app)
}

async fn views(State(app): State<Arc<App>>) -> Response {
    answer(describe::views(&app))
}

async fn schema(State(app): State<Arc<App>>, request: Parts) -> Response {
    answer(segments(request.uri.path()).and_then(|(view, _)| describe::schema(&app, &view)))
}

async fn rows(State(app): State<Arc<App>>, request: Parts) -> Response {
    match segments(request.uri.path()) {
        Ok((view, _)) => answer(list::list(&app, &request, &view).await),
        Err(problem) => problem.into_response(),
    }
}

async fn row(State(app): State<Arc<App>>, request: Parts) -> Response {
    match segments(request.uri.path()) {
        Ok((view, key)) => answer(read::keyed(&app, &request, &view, key).await),
        Err(problem) => problem.into_response(),
    }
}

async fn many(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    match segments(request.uri().path()).map(|(view, _)| view.into_owned()) {
        Ok(view) => answer(batch::batch(&app, request, &view).await),
        Err(problem) => problem.into_response(),
    }
}

async fn query(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    answer(sql::post(&app, request).await)
}

/// The decoded view and the raw key of `/v1/views/{view}/{key}`. Commas separate the parts of a key before they are
/// decoded, so the key must not be decoded by the router.
fn segments(path: &str) -> Result<(std::borrow::Cow<'_, str>, &str), Problem> {
    let mut parts = path.splitn(5, '/').skip(3);
    let (view, key) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if !view.contains('%') {
        return Ok((view.into(), key));
    }
    let decoded = percent::decode(view, false);
    let decoded = decoded.ok_or_else(|| Problem::bad_request(format!("\"{view}\" is not percent-encoded UTF-8")))?;
    Ok((decoded.into(), key))
}

fn answer(result: Result<Response, Problem>) -> Response {
    result.unwrap_or_else(Problem::into_response)
}

fn no_route(request: &Request<Body>) -> Response {
    let detail = format!("there is nothing at {}", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, "42P01", detail).hint("GET /v1/views lists what is served").into_response()
}

fn no_method(request: &Request<Body>) -> Response {
    let path = request.uri().path();
    let detail = format!("{} is not possible at {path}", request.method());
    let reads = if path == "/v1/sql" { Method::POST } else { Method::GET };
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "25006", detail)
        .hint(format!("everything here is read-only; use {reads}"))
        .into_response()
}
