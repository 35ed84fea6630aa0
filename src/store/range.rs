//! A range of encoded keys, and the same range as bounds of the database's key space.

use std::ops::Bound;

use crate::change::{RelationId, prefix_end};

/// A range of encoded keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it begins.
    pub start: Bound<Vec<u8>>,
    /// Where it ends.
    pub end: Bound<Vec<u8>>,
}

impl KeyRange {
    /// All keys.
    pub fn all() -> KeyRange {
        KeyRange { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// All keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        let end = prefix_end(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        KeyRange { start: Bound::Included(prefix.to_vec()), end }
    }

    /// The first stored key inside (inclusive) and the first one behind (exclusive); the end of the last relation
    /// has none. `None` for a range that holds nothing.
    pub(super) fn stored(&self, relation: RelationId) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let lower = match &self.start {
            Bound::Unbounded => stored_key(relation, &[]),
            Bound::Included(key) => stored_key(relation, key),
            Bound::Excluded(key) => successor(stored_key(relation, key)),
        };
        let upper = match &self.end {
            Bound::Unbounded => prefix_end(&relation.0.to_be_bytes()),
            Bound::Included(key) => Some(successor(stored_key(relation, key))),
            Bound::Excluded(key) => Some(stored_key(relation, key)),
        };
        let is_empty = upper.as_ref().is_some_and(|upper| *upper <= lower);
        (!is_empty).then_some((lower, upper))
    }
}

/// `[relation u32 big-endian][key]`, the key of a row in the database.
pub(super) fn stored_key(relation: RelationId, key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(4 + key.len());
    write_stored_key(relation, key, &mut stored);
    stored
}

/// Replaces `stored` by the key of a row in the database.
pub(super) fn write_stored_key(relation: RelationId, key: &[u8], stored: &mut Vec<u8>) {
    stored.clear();
    stored.extend_from_slice(&relation.0.to_be_bytes());
    stored.extend_from_slice(key);
}

fn successor(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
