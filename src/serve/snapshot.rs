//! What a request reads from: one epoch, and how current that epoch was when it was taken.
//!
//! Every answer, a refusal too, names what it was read from, in headers.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

use super::problem::Problem;
use super::read::header_value;
use super::served::{Served, Standing};
use crate::change::Position;
use crate::store::{Board, Epoch};

pub(crate) static EPOCH: HeaderName = HeaderName::from_static("vantage-epoch");
static POSITIONS: HeaderName = HeaderName::from_static("vantage-positions");
static LAG_MS: HeaderName = HeaderName::from_static("vantage-lag-ms");
static STALE: HeaderName = HeaderName::from_static("vantage-stale");

/// One epoch as a request sees it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) epoch: Arc<Epoch>,
    /// By source: the Unix time in microseconds until which the epoch has everything; 0 before the first copy.
    current_until_us: Vec<u64>,
    /// Why no change reaches any relation now, if that is so.
    pub(crate) stands_still: Option<String>,
    /// How the relations that are read stand to their sources.
    pub(crate) standing: Standing,
}

impl Snapshot {
    /// The newest epoch.
    pub(crate) fn take(board: &Board) -> Snapshot {
        // In this order: an epoch that is published in between only has more than is said of it.
        let current_until_us = board.sources().iter().map(|it| it.current_until_us.load(Ordering::Acquire)).collect();
        let stands_still = board.stands_still();
        Snapshot { current_until_us, epoch: board.epoch(), stands_still, standing: Standing::default() }
    }

    /// The newest epoch, to read `relations` in it.
    ///
    /// # Errors
    /// One of them is not complete.
    pub(crate) fn of(board: &Board, relations: &[Arc<Served>]) -> Result<Snapshot, Problem> {
        let standing = || {
            let mut all = relations.iter().map(|it| it.standing());
            all.try_fold(Standing::default(), |sum: Standing, it| Ok::<_, Problem>(sum.with(it?)))
        };
        // Before: what was complete is so in an epoch that is taken later. After: what ceased to be complete, or to follow
        // its sources, says so before an epoch shows it. Between the two the worse one counts.
        let before = standing()?;
        let snapshot = Snapshot::take(board);
        let mut snapshot = Snapshot { standing: before.with(standing()?), ..snapshot };
        if snapshot.standing.reason.is_none() {
            snapshot.standing.reason = relations.iter().find_map(|it| it.delay(&snapshot));
        }
        Ok(snapshot)
    }

    /// How far what is read includes this source.
    pub(crate) fn position(&self, source: &str) -> Option<&Position> {
        self.standing.stands_at.get(source).or_else(|| self.epoch.positions().get(source).map(|it| &**it))
    }

    /// How far the epoch may be behind `sources` by now, in milliseconds; `None` when one has not been copied yet, or when
    /// the rows stand at an earlier position than the epoch.
    pub(crate) fn lag_ms(&self, sources: &[usize]) -> Option<u64> {
        if !self.standing.stands_at.is_empty() {
            return None;
        }
        let untils = sources.iter().filter_map(|at| self.current_until_us.get(*at).copied());
        let until = untils.min().unwrap_or(u64::MAX);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_micros() as u64);
        (until > 0).then(|| now.saturating_sub(until) / 1000)
    }

    /// Describes an answer about one relation. Its headers are kept until an answer is from another epoch.
    pub(crate) fn describe(&self, board: &Board, served: &Served, response: &mut Response) {
        let known = served.origin.load();
        let is_usual = self.standing.reason.is_none();
        let origin = match known.as_ref().filter(|it| is_usual && it.is_of(&self.epoch)) {
            Some(origin) => Arc::clone(origin),
            None => {
                let origin = Arc::new(Origin::new(board, self, &served.relation.sources));
                if is_usual {
                    served.origin.store(Some(Arc::clone(&origin)));
                }
                origin
            }
        };
        self.insert(&origin, &served.relation.sources, response);
    }

    /// Describes an answer that depends on `sources`.
    pub(crate) fn describe_sources(&self, board: &Board, sources: &[usize], response: &mut Response) {
        self.insert(&Origin::new(board, self, sources), sources, response);
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
        if let Some(reason) = &self.standing.reason {
            // What is not printable ASCII may not stand in a header.
            headers.insert(&STALE, header_value(reason.escape_default().to_string().replace("\\\"", "\"")));
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
    fn new(board: &Board, snapshot: &Snapshot, sources: &[usize]) -> Origin {
        let epoch = &snapshot.epoch;
        let (incarnation, number) = (epoch.incarnation(), epoch.number());
        let mut positions = String::new();
        for name in sources.iter().filter_map(|at| board.sources().get(*at)).map(|it| &it.name) {
            // A source that was not read yet is left out.
            for mark in snapshot.position(name).iter().flat_map(|it| it.marks()) {
                let comma = if positions.is_empty() { "" } else { "," };
                // Writing to a String cannot fail.
                let _ = write!(positions, "{comma}{name}@{mark}");
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
