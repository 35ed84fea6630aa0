//! Openings: the first checkpointed rows of the ranges that were read lately.
//!
//! A page of a listing is the beginning of a range, and finding it in RocksDB opens a cursor on every file that may
//! hold a part of it. What is checkpointed does not change, so rows found once stay right for as long as their base
//! is the newest; what changed since is in the runs.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::change::Row;

use super::error::StoreError;

/// Rows in an opening: a page and the row that tells whether there is another, with some to spare for rows that were
/// replaced or deleted since.
pub(super) const OPENING_ROWS: usize = 32;

/// Bytes that all openings of a base may take.
const OPENINGS_BYTES: u64 = 16 << 20;

/// About how many openings that is.
const OPENINGS: usize = 4096;

/// What a row takes besides its bytes.
const ROW_OVERHEAD: usize = 32;

/// A range of stored keys, and the direction it is read in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Span {
    /// The first stored key inside.
    pub(super) lower: Vec<u8>,
    /// The first one behind, if there is one.
    pub(super) upper: Option<Vec<u8>>,
    /// Whether it is read from its end.
    pub(super) reverse: bool,
}

impl Span {
    /// What is left of it when the row with `key` has been read.
    pub(super) fn behind(&self, key: &[u8]) -> Span {
        // All keys of a span are of one relation, whose number is in front.
        let mut stored = self.lower[..4].to_vec();
        stored.extend_from_slice(key);
        if self.reverse {
            return Span { upper: Some(stored), ..self.clone() };
        }
        stored.push(0);
        Span { lower: stored, ..self.clone() }
    }
}

/// The first rows of a span.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) rows: Vec<Row>,
    /// Whether the span holds no others.
    pub(super) is_all: bool,
}

/// The openings of one base.
pub(super) struct Openings {
    kept: Cache<Span, Arc<Opening>, Bytes>,
}

impl Default for Openings {
    fn default() -> Openings {
        Openings { kept: Cache::with_weighter(OPENINGS, OPENINGS_BYTES, Bytes) }
    }
}

impl Openings {
    /// The opening of `span`; `read` finds it when it is not at hand.
    pub(super) fn get_or_read(
        &self,
        span: &Span,
        read: impl FnOnce() -> Result<Opening, StoreError>,
    ) -> Result<Arc<Opening>, StoreError> {
        if let Some(opening) = self.kept.get(span) {
            return Ok(opening);
        }
        let opening = Arc::new(read()?);
        self.kept.insert(span.clone(), opening.clone());
        Ok(opening)
    }
}

/// Weighs openings by the bytes they take.
#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Span, Arc<Opening>> for Bytes {
    fn weight(&self, span: &Span, opening: &Arc<Opening>) -> u64 {
        let rows: usize = opening.rows.iter().map(|row| row.as_bytes().len() + ROW_OVERHEAD).sum();
        let span = span.lower.len() + span.upper.as_ref().map_or(0, Vec::len) + size_of::<Span>();
        (rows + span) as u64
    }
}
