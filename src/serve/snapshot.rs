//! What a request reads from: one epoch, and how current that epoch was when it was taken.
//!
//! Every answer, a refusal too, names what it was read from, in headers.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

use super::read::header_value;
use super::served::Served;
use crate::store::{Board, Epoch};

pub(crate) static EPOCH: HeaderName = HeaderName::from_static("vantage-epoch");
static POSITIONS: HeaderName = HeaderName::from_static("vantage-positions");
static LAG_MS: HeaderName = HeaderName::from_static("vantage-lag-ms");

/// One epoch as a request sees it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) epoch: Arc<Epoch>,
    /// By source: the Unix time in microseconds until which the epoch has everything; 0 before the first copy.
    current_until_us: Vec<u64>,
}

impl Snapshot {
    /// The newest epoch.
    pub(crate) fn take(board: &Board) -> Snapshot {
        // In this order: an epoch that is published in between only has more than is said of it.
        let current_until_us = board.sources().iter().map(|it| it.current_until_us.load(Ordering::Acquire)).collect();
        Snapshot { current_until_us, epoch: board.epoch() }
    }

    /// How far the epoch may be behind `sources` by now, in milliseconds; `None` when one has not been copied yet.
    pub(crate) fn lag_ms(&self, sources: &[usize]) -> Option<u64> {
        let untils = sources.iter().filter_map(|at| self.current_until_us.get(*at).copied());
        let until = untils.min().unwrap_or(u64::MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_micros() as u64);
        (until > 0).then(|| now.saturating_sub(until) / 1000)
    }

    /// Describes an answer about one relation. Its headers are kept until an answer is from another epoch.
    pub(crate) fn describe(&self, board: &Board, served: &Served, response: &mut Response) {
        let known = served.origin.load();
        let origin = match known.as_ref().filter(|it| it.is_of(&self.epoch)) {
            Some(origin) => Arc::clone(origin),
            None => {
                let origin = Arc::new(Origin::new(board, &self.epoch, &served.relation.sources));
                served.origin.store(Some(Arc::clone(&origin)));
                origin
            }
        };
        self.insert(&origin, &served.relation.sources, response);
    }

    /// Describes an answer that depends on `sources`.
    pub(crate) fn describe_sources(&self, board: &Board, sources: &[usize], response: &mut Response) {
        self.insert(&Origin::new(board, &self.epoch, sources), sources, response);
    }

    /// Describes an answer that is about no relation in particular.
    pub(crate) fn describe_all(&self, board: &Board, response: &mut Response) {
        let sources: Vec<usize> = (0..board.sources().len()).collect();
        self.describe_sources(board, &sources, response);
    }

    fn insert(&self, origin: &Origin, sources: &[usize], response: &mut Response) {
        let headers = response.headers_mut();
        headers.insert(&EPOCH, origin.epoch.clone());
        headers.insert(&POSITIONS, origin.positions.clone());
        if let Some(lag) = self.lag_ms(sources) {
            headers.insert(&LAG_MS, HeaderValue::from(lag));
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    }
}

/// The headers that name an epoch and how far it includes some sources.
#[derive(Debug)]
pub(crate) struct Origin {
    incarnation: u64,
    number: u64,
    epoch: HeaderValue,
    positions: HeaderValue,
}

impl Origin {
    fn new(board: &Board, epoch: &Epoch, sources: &[usize]) -> Origin {
        let (incarnation, number) = (epoch.incarnation(), epoch.number());
        let mut positions = String::new();
        for name in sources.iter().filter_map(|at| board.sources().get(*at)).map(|it| &it.name) {
            // A source that was not read yet is left out.
            if let Some(position) = epoch.positions().get(name) {
                let comma = if positions.is_empty() { "" } else { "," };
                // Writing to a String cannot fail.
                let _ = write!(positions, "{comma}{name}@{position}");
            }
        }
        let (epoch, positions) = (header_value(format!("{incarnation}-{number}")), header_value(positions));
        Origin { incarnation, number, epoch, positions }
    }

    fn is_of(&self, epoch: &Epoch) -> bool {
        self.number == epoch.number() && self.incarnation == epoch.incarnation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_of_the_epoch_that_was_taken() {
        let board = Board::new(vec!["a".into(), "b".into()]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        let set = |source: usize, until| board.sources()[source].current_until_us.store(until, Ordering::Release);
        assert_eq!(Snapshot::take(&board).lag_ms(&[0]), None);
        set(0, now - 60_000_000);
        set(1, now - 120_000_000);
        let snapshot = Snapshot::take(&board);
        // While the request is answered, the sources are read on.
        set(0, now);
        set(1, now);
        assert!(snapshot.lag_ms(&[0]).unwrap() >= 60_000);
        assert!(snapshot.lag_ms(&[0, 1]).unwrap() >= 120_000);
        assert!(Snapshot::take(&board).lag_ms(&[0, 1]).unwrap() < 60_000);
    }
}
