//! What `/metrics` says of the sources.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::metrics::StateLabels;
use super::router::App;
use super::snapshot::Snapshot;
use crate::store::SourceStatus;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    source: String,
    table: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabels {
    source: String,
    part: String,
    figure: &'static str,
}

#[derive(Debug, Default)]
struct Sources {
    lag: Family<SourceLabels, Gauge<f64, AtomicU64>>,
    events: Family<SourceLabels, Counter>,
    warnings: Family<SourceLabels, Gauge>,
    rejected: Family<TableLabels, Counter>,
    states: Family<StateLabels, Gauge>,
    parts: Family<PartLabels, Gauge>,
}

/// Registers what the board says of them.
pub(super) fn register(app: &App, registry: &mut Registry) {
    let (told, snapshot) = (Sources::default(), Snapshot::take(&app.board));
    app.board.sources().iter().for_each(|it| told.tell(&snapshot, it));
    let lag = "How far the published epoch may be behind the source";
    registry.register_with_unit("source_lag", lag, Unit::Seconds, told.lag);
    registry.register("source_events", "Events applied since the start", told.events);
    registry.register("source_rejected", "Messages left out of a table since the start", told.rejected);
    registry.register("source_warnings", "What is not as it should be although the source is followed", told.warnings);
    registry.register("source_part", "How far a part of a source is read, and what is counted of it", told.parts);
    registry.register("source_state", "1 for the state each source is in", told.states);
}

impl Sources {
    fn tell(&self, snapshot: &Snapshot, source: &SourceStatus) {
        let labels = SourceLabels { source: source.name.clone() };
        if let Some(millis) = source.lag_ms() {
            self.lag.get_or_create(&labels).set(millis as f64 / 1000.0);
        }
        self.events.get_or_create(&labels).inc_by(source.events.load(Ordering::Relaxed));
        for (table, count) in source.rejected_counts() {
            self.rejected.get_or_create(&TableLabels { source: source.name.clone(), table }).inc_by(count);
        }
        let state = source.health.read().unwrap_or_else(|it| it.into_inner()).word();
        self.states.get_or_create(&StateLabels { name: source.name.clone(), state }).set(1);
        let details = source.details();
        self.warnings.get_or_create(&labels).set(i64::try_from(details.warnings.len()).unwrap_or(i64::MAX));
        let figure = |part: &str, figure, value: u64| {
            let labels = PartLabels { source: source.name.clone(), part: part.into(), figure };
            self.parts.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        snapshot
            .position(&source.name)
            .iter()
            .flat_map(|it| it.marks())
            .for_each(|it| figure(it.part, "position", it.at));
        for (part, told) in &details.parts {
            told.numbers.iter().for_each(|(name, value)| figure(part, name, *value));
        }
    }
}
