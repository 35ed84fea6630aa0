//! Which handler answers which route, and the state all requests share.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::gate::{Place, Room};
use super::metrics::Metrics;
use super::options::{ServeError, ServeOptions, check_listen};
use super::problem::Problem;
use super::route::Route;
use super::served::Directory;
use super::transit::{Share, Transit};
use super::walkers::Walkers;
use super::{accept, batch, describe, health, list, metrics, percent, read, resync, socket, sources, sql, wait};
use crate::store::Board;

/// How many bytes of request bodies there may be, small ones not counted.
const MAX_ARRIVED_BYTES: usize = 64 << 20;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) board: Arc<Board>,
    pub(crate) options: ServeOptions,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) room: Room,
    pub(crate) workers: sql::Workers,
    /// What was made of answers and not sent.
    pub(crate) transit: Arc<Transit>,
    /// Who goes on with what is not answered in one small step.
    pub(crate) walkers: Walkers,
    /// What has arrived of requests and is worked on.
    pub(crate) arrivals: Arc<Transit>,
    directory: ArcSwap<Directory>,
    sql: ArcSwap<sql::Engine>,
    draining: AtomicBool,
}

impl App {
    pub(crate) fn new(board: Arc<Board>, options: ServeOptions) -> Result<App, ServeError> {
        let directory = Arc::new(Directory::new(&board));
        let engine = sql::Engine::new(Arc::clone(&directory))?;
        Ok(App {
            metrics: Arc::new(Metrics::new()),
            room: Room::default(),
            workers: sql::Workers::new(options.max_sql_memory_bytes),
            transit: Transit::new("other answers wait for their clients to read them", options.max_unsent_bytes),
            walkers: Walkers::start()?,
            arrivals: Transit::new("other requests are on their way in", MAX_ARRIVED_BYTES),
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

    /// Room to work on a request.
    pub(crate) fn place(&self) -> Result<Place<'_>, Problem> {
        self.room.take(self.options.max_concurrency)
    }

    /// Whether the process is shutting down.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// The whole request body, within the limits of size and time; bodies of all requests are counted, too.
    pub(crate) async fn body(&self, body: Incoming) -> Result<Received, Problem> {
        let read = self.receive(Limited::new(body, self.options.max_body_bytes));
        let read = tokio::time::timeout(self.options.statement_timeout, read).await;
        read.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "57014", "the request's body did not arrive in time")
        })?
    }

    async fn receive(&self, mut body: Limited<Incoming>) -> Result<Received, Problem> {
        let mut received = Received { bytes: Vec::new(), share: self.arrivals.share() };
        while let Some(frame) = socket::hear(body.frame()).await {
            let frame = frame.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    let limit = self.options.max_body_bytes;
                    let detail = format!("the request's body has more than {limit} bytes");
                    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "54000", detail)
                } else {
                    Problem::bad_request(format!("the request's body could not be read: {error}"))
                }
            })?;
            if let Ok(data) = frame.into_data() {
                // Room for what is there and about as much again, which is how a vector grows.
                received.share.cover(2 * (received.bytes.len() + data.len())).await?;
                received.bytes.extend_from_slice(&data);
            }
        }
        Ok(received)
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    share: Share,
}

impl std::ops::Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
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
    let (stop, stopped) = oneshot::channel();
    let server = accept::accept(listener, Arc::clone(&app), max_connections, idle_timeout, stopped);
    let limit = async {
        shutdown.await;
        app.draining.store(true, Ordering::Release);
        tokio::time::sleep(drain_delay).await;
        // Nobody listens any more when the server has ended.
        let _ = stop.send(());
        tokio::time::sleep(drain_timeout).await;
    };
    tokio::select! {
        () = server => {}
        () = limit => tracing::warn!("some requests did not finish in time and were cut off"),
    }
    Ok(())
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) route: Route<'a>,
    pub(crate) head: &'a Parts,
    /// Whether the caller may see what is served; else it is a probe.
    pub(crate) known: bool,
}

/// Answers a request. Who looks after the process must see it most of all when it is busy, and a row is looked up at
/// once, so only what takes longer needs room.
pub(crate) async fn answer(app: &App, asked: Asked<'_>, body: Incoming) -> Response {
    let result = match asked.route {
        Route::Other => Err(no_route(asked.head)),
        route if !route.takes(&asked.head.method) => Err(no_method(asked.head, route)),
        Route::List(view) | Route::Row(view, _) | Route::Batch(view) => rows(app, asked, view, body).await,
        Route::Views => app.place().and_then(|_place| describe::views(app)),
        Route::Sources => app.place().and_then(|_place| sources::sources(app)),
        Route::Rejected(source) => app.place().and_then(|_place| sources::rejected(app, &decoded(source)?)),
        Route::Resync(source) => Box::pin(resync::resync(app, asked.head, source, body)).await,
        Route::Schema(view) => app.place().and_then(|_place| describe::schema(app, &decoded(view)?)),
        // What is large and rare lies apart, so that a read by key need not move it along.
        Route::Sql => Box::pin(sql::post(app, asked.head, body)).await,
        Route::Metrics => metrics::metrics(app),
        Route::Livez => Ok(health::livez()),
        Route::Readyz => Ok(health::readyz(app, asked.head, asked.known)),
    };
    result.unwrap_or_else(Problem::into_response)
}

/// Answers a request about the rows of one relation. From when it is known what is read, problems name it too.
async fn rows(app: &App, asked: Asked<'_>, view: &str, body: Incoming) -> Result<Response, Problem> {
    let directory = app.directory();
    let served = directory.find(&decoded(view)?)?;
    // Waiting is no work: it takes no room from others.
    let snapshot = wait::snapshot_for(app, &asked.head.headers, std::slice::from_ref(served)).await?;
    let answer = match asked.route {
        // A body that comes slowly takes no room either.
        Route::Batch(_) => Box::pin(batch::batch(app, served, &snapshot.epoch, body)).await,
        // One small step: it is done sooner than it could be turned away.
        Route::Row(_, key) => read::keyed(app, served, &snapshot.epoch, asked.head, key),
        _ => list::list(app, served, &snapshot.epoch, asked.head).await,
    };
    let mut response = answer.unwrap_or_else(Problem::into_response);
    snapshot.describe(&app.board, served, &mut response);
    Ok(response)
}

/// The name a part of a path stands for.
pub(super) fn decoded(view: &str) -> Result<Cow<'_, str>, Problem> {
    percent::decode(view, false).ok_or_else(|| Problem::bad_request(format!("\"{view}\" is not percent-encoded UTF-8")))
}

fn no_route(head: &Parts) -> Problem {
    let detail = format!("there is nothing at the path \"{}\"", head.uri.path());
    Problem::new(StatusCode::NOT_FOUND, "42P01", detail).hint(
        "there are /v1/views, /v1/views/{view}, /v1/views/{view}/{key}, /v1/schema/{view}, /v1/sources, /v1/sources/{source}/rejected, \
         /v1/sources/{source}/resync, /v1/sql, /livez, /readyz and /metrics; a key with a slash in it is written with %2F",
    )
}

fn no_method(head: &Parts, route: Route<'_>) -> Problem {
    let detail = format!("{} is not possible at {}", head.method, head.uri.path());
    let methods = route.methods();
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "25006", detail)
        .hint(format!("data is only read here; use {}", methods.replace(", ", " or ")));
    Problem { allow: Some(methods), ..problem }
}
