//! `/metrics`: what the process does, in OpenMetrics text, in base units.
//!
//! Requests are counted as they end; everything else is read off the board when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::problem::Problem;
use super::router::App;
use crate::change::SourceHealth;
use crate::store::RelationState;

/// Upper bounds in seconds: keyed reads take microseconds, statements up to their time-out.
const BUCKETS: [f64; 14] =
    [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The kinds of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Views,
    Schema,
    List,
    Row,
    Batch,
    Sql,
    Metrics,
    Livez,
    Readyz,
    Other,
}

const ROUTES: [(Route, &str); 10] = [
    (Route::Views, "/v1/views"),
    (Route::Schema, "/v1/schema/{view}"),
    (Route::List, "/v1/views/{view}"),
    (Route::Row, "/v1/views/{view}/{key}"),
    (Route::Batch, "/v1/views/{view}/batch"),
    (Route::Sql, "/v1/sql"),
    (Route::Metrics, "/metrics"),
    (Route::Livez, "/livez"),
    (Route::Readyz, "/readyz"),
    (Route::Other, "other"),
];

impl Route {
    /// The route `path` belongs to.
    pub(crate) fn of(path: &str) -> Route {
        if let Some(rest) = path.strip_prefix("/v1/views/") {
            return match rest.split_once('/') {
                None => Route::List,
                Some((_, "batch")) => Route::Batch,
                Some(_) => Route::Row,
            };
        }
        match path {
            "/v1/views" => Route::Views,
            "/v1/sql" => Route::Sql,
            "/metrics" => Route::Metrics,
            "/livez" => Route::Livez,
            "/readyz" => Route::Readyz,
            _ if path.starts_with("/v1/schema/") => Route::Schema,
            _ => Route::Other,
        }
    }

    /// Whether an orchestrator asks: these answer without a token and under any load.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self, Route::Livez | Route::Readyz)
    }

    /// Whether it reads an epoch, and so may be asked to wait for one.
    pub(crate) fn reads(self) -> bool {
        matches!(self, Route::List | Route::Row | Route::Batch | Route::Sql)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    name: String,
    state: &'static str,
}

/// What is counted while the process runs.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    /// SQL requests whose plan was found ready.
    pub(crate) plans_reused: AtomicU64,
    /// SQL requests that had to be planned.
    pub(crate) plans_made: AtomicU64,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        Metrics {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            plans_reused: AtomicU64::new(0),
            plans_made: AtomicU64::new(0),
        }
    }

    /// Counts a request that ended.
    pub(crate) fn answered(&self, route: Route, status: StatusCode, took: Duration) {
        let label = ROUTES[route as usize].1;
        self.requests.get_or_create(&RequestLabels { route: label, status: status.as_u16() }).inc();
        self.seconds.get_or_create(&RouteLabels { route: label }).observe(took.as_secs_f64());
    }
}

/// `GET /metrics`
pub(crate) fn metrics(app: &App) -> Result<Response, Problem> {
    let mut registry = Registry::with_prefix("vantage");
    requests(app, &mut registry);
    board(app, &mut registry);
    let mut process = Registry::default();
    own_process(&mut process);
    let mut out = String::new();
    text::encode_registry(&mut out, &registry).map_err(|it| Problem::internal(it.to_string()))?;
    text::encode_registry(&mut out, &process).map_err(|it| Problem::internal(it.to_string()))?;
    text::encode_eof(&mut out).map_err(|it| Problem::internal(it.to_string()))?;
    let mut response = Response::new(Body::from(out));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn requests(app: &App, registry: &mut Registry) {
    let metrics = &app.metrics;
    registry.register("http_requests", "Requests answered", metrics.requests.clone());
    let help = "Time from the request's head to the answer";
    registry.register_with_unit("http_request_duration", help, Unit::Seconds, metrics.seconds.clone());
    let count = |it: &AtomicU64| ConstCounter::new(it.load(Ordering::Relaxed));
    registry.register("sql_plans_reused", "SQL requests whose plan was ready", count(&metrics.plans_reused));
    registry.register("sql_plans_made", "SQL requests that were planned", count(&metrics.plans_made));
}

fn board(app: &App, registry: &mut Registry) {
    let epoch = Gauge::<i64>::default();
    epoch.set(i64::try_from(app.board.epoch().number()).unwrap_or(i64::MAX));
    registry.register("epoch", "Number of the published epoch", epoch);
    let lag = Family::<SourceLabels, Gauge<f64, AtomicU64>>::default();
    let events = Family::<SourceLabels, Counter>::default();
    let source_state = Family::<StateLabels, Gauge>::default();
    for source in app.board.sources() {
        let labels = SourceLabels { source: source.name.clone() };
        if let Some(millis) = source.lag_ms() {
            lag.get_or_create(&labels).set(millis as f64 / 1000.0);
        }
        events.get_or_create(&labels).inc_by(source.events.load(Ordering::Relaxed));
        let state = match &*source.health.read().unwrap_or_else(|it| it.into_inner()) {
            SourceHealth::Connecting => "connecting",
            SourceHealth::Snapshotting { .. } => "snapshotting",
            SourceHealth::Streaming => "streaming",
            SourceHealth::Retrying { .. } => "retrying",
            SourceHealth::Halted { .. } => "halted",
        };
        source_state.get_or_create(&StateLabels { name: source.name.clone(), state }).set(1);
    }
    let lag_help = "How far the published epoch may be behind the source";
    registry.register_with_unit("source_lag", lag_help, Unit::Seconds, lag);
    registry.register("source_events", "Events applied since the start", events);
    registry.register("source_state", "1 for the state each source is in", source_state);
    let relation_state = Family::<StateLabels, Gauge>::default();
    for served in &app.directory().relations {
        let state = match served.state() {
            RelationState::Building { .. } => "building",
            RelationState::Live => "live",
            RelationState::Failed { .. } => "failed",
        };
        relation_state.get_or_create(&StateLabels { name: served.relation.name.clone(), state }).set(1);
    }
    registry.register("relation_state", "1 for the state each table and view is in", relation_state);
    let flag = |set: bool| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::from(set));
        gauge
    };
    registry.register("intake_halted", "1 when intake stopped for good", flag(app.board.halted().is_some()));
    registry.register(
        "intake_paused",
        "1 while intake waits, as for room on the disk",
        flag(app.board.paused().is_some()),
    );
}

/// CPU time and memory under the names every exporter uses; left out where /proc does not tell.
fn own_process(registry: &mut Registry) {
    // The kernel counts in USER_HZ, which is 100 on every Linux platform Rust runs on, and in pages of 4 KiB.
    const TICKS_PER_SECOND: f64 = 100.0;
    const PAGE_BYTES: i64 = 4096;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The process name stands in brackets and may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or(Vec::new(), |it| it.1.split(' ').collect());
    let number = |at: usize| fields.get(at).and_then(|it| it.parse::<i64>().ok());
    if let (Some(user), Some(system), Some(pages)) = (number(11), number(12), number(21)) {
        let seconds = ConstCounter::new((user + system) as f64 / TICKS_PER_SECOND);
        registry.register_with_unit("process_cpu", "CPU time used", Unit::Seconds, seconds);
        let memory = Gauge::<i64>::default();
        memory.set(pages * PAGE_BYTES);
        registry.register_with_unit("process_resident_memory", "Resident memory", Unit::Bytes, memory);
    }
}
