//! `/metrics`: what the process does, in OpenMetrics text, in base units.
//!
//! Requests are counted as they end; everything else is read off the board when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::problem::Problem;
use super::route::{LABELS, Route};
use super::router::App;
use super::snapshot::Snapshot;
use super::source_metrics;
use super::sql::Load;

/// Upper bounds in nanoseconds: keyed reads take microseconds, statements up to their time-out.
const BUCKETS_NS: [u64; 14] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    10_000_000_000,
];

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
pub(super) struct StateLabels {
    pub(super) name: String,
    pub(super) state: &'static str,
}

/// What is counted while the process runs.
#[derive(Debug)]
pub(crate) struct Metrics {
    routes: [Requests; LABELS.len()],
    /// SQL requests whose plan was found ready.
    plans_reused: AtomicU64,
    /// SQL requests that had to be planned.
    plans_made: AtomicU64,
}

/// The requests of one route: plain counters, because every request counts and few are ever asked for the sum.
#[derive(Debug)]
struct Requests {
    /// By status from 100 on.
    answered: Vec<AtomicU64>,
    /// How many took at most as long as the bucket says, and longer than the one before; the last ones took longer.
    took: [AtomicU64; BUCKETS_NS.len() + 1],
    took_ns: AtomicU64,
}

impl Requests {
    fn new() -> Requests {
        let answered = (100..600).map(|_| AtomicU64::new(0)).collect();
        Requests { answered, took: Default::default(), took_ns: AtomicU64::new(0) }
    }
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        Metrics {
            routes: std::array::from_fn(|_| Requests::new()),
            plans_reused: AtomicU64::new(0),
            plans_made: AtomicU64::new(0),
        }
    }

    /// Counts an SQL request by whether its plan was found ready.
    pub(crate) fn planned(&self, reused: bool) {
        let count = if reused { &self.plans_reused } else { &self.plans_made };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request that ended.
    pub(crate) fn answered(&self, route: Route<'_>, status: StatusCode, took: Duration) {
        let requests = &self.routes[route.number()];
        if let Some(count) = requests.answered.get(usize::from(status.as_u16()) - 100) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_NS.iter().position(|it| took <= *it).unwrap_or(BUCKETS_NS.len());
        requests.took[bucket].fetch_add(1, Ordering::Relaxed);
        requests.took_ns.fetch_add(took, Ordering::Relaxed);
    }
}

/// How long the requests of one route took, as of a scrape.
#[derive(Debug, Default, Clone)]
struct Took {
    seconds: f64,
    buckets: Vec<(f64, u64)>,
}

impl Took {
    fn of(requests: &Requests) -> Took {
        let bounds = BUCKETS_NS.iter().map(|it| *it as f64 / 1e9).chain([f64::INFINITY]);
        let counts = requests.took.iter().map(|it| it.load(Ordering::Relaxed));
        let seconds = requests.took_ns.load(Ordering::Relaxed) as f64 / 1e9;
        Took { seconds, buckets: bounds.zip(counts).collect() }
    }

    fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// The histograms of all routes.
#[derive(Debug)]
struct Durations(Vec<(RouteLabels, Took)>);

impl Collector for Durations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "Time from the request's head to the answer.";
        let (name, seconds) = ("http_request_duration", Unit::Seconds);
        let mut metric = encoder.encode_descriptor(name, help, Some(&seconds), MetricType::Histogram)?;
        for (labels, took) in &self.0 {
            let mut family = metric.encode_family(labels)?;
            family.encode_histogram::<NoLabelSet>(took.seconds, took.count(), &took.buckets, None)?;
        }
        Ok(())
    }
}

/// `GET /metrics`
pub(crate) fn metrics(app: &App) -> Result<Response, Problem> {
    let mut registry = Registry::with_prefix("vantage");
    requests(app, &mut registry);
    work(app, &mut registry);
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
    let answered = Family::<RequestLabels, Counter>::default();
    let mut durations = Vec::new();
    for (route, requests) in LABELS.into_iter().zip(&metrics.routes) {
        for (status, count) in (100..).zip(&requests.answered) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                answered.get_or_create(&RequestLabels { route, status }).inc_by(count);
            }
        }
        let took = Took::of(requests);
        if took.count() > 0 {
            durations.push((RouteLabels { route }, took));
        }
    }
    registry.register("http_requests", "Requests answered", answered);
    registry.register_collector(Box::new(Durations(durations)));
    let count = |it: &AtomicU64| ConstCounter::new(it.load(Ordering::Relaxed));
    registry.register("sql_plans_reused", "SQL requests whose plan was ready", count(&metrics.plans_reused));
    registry.register("sql_plans_made", "SQL requests that were planned", count(&metrics.plans_made));
}

/// Statements under way, and answers that are not read.
fn work(app: &App, registry: &mut Registry) {
    let mut gauge = |name: &str, help: &str, value: usize| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    let Load { under_way, unread, overdue, places, memory } = app.workers.load();
    gauge("sql_statements", "Statements under way", under_way);
    gauge("sql_statements_unread", "Those that wait for clients to read their answers", unread);
    gauge("sql_statements_stuck", "Those that were told to end a second ago and have not", overdue);
    gauge("sql_places_free", "How many more statements may be under way", places);
    gauge("sql_memory_bytes", "Memory statements hold", memory);
    gauge("answers_unsent_bytes", "Bytes of answers that clients have not read yet", app.transit.used());
    let refused = ConstCounter::new(app.transit.refused.load(Ordering::Relaxed));
    registry.register("answers_refused", "Answers given up because clients did not read others", refused);
}

fn board(app: &App, registry: &mut Registry) {
    let epoch = Gauge::<i64>::default();
    epoch.set(i64::try_from(app.board.epoch().number()).unwrap_or(i64::MAX));
    registry.register("epoch", "Number of the published epoch", epoch);
    source_metrics::register(app, registry);
    let relation_state = Family::<StateLabels, Gauge>::default();
    let directory = app.directory();
    let snapshot = Snapshot::take(&app.board);
    for served in &directory.relations {
        let (name, state) = (served.relation.name.clone(), served.state(&snapshot).word());
        relation_state.get_or_create(&StateLabels { name, state }).set(1);
    }
    for it in directory.unplanned.iter() {
        relation_state.get_or_create(&StateLabels { name: it.name.clone(), state: it.state.word() }).set(1);
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
