//! How far a source was read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in one source's log of changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// The identity of the log, so that a re-created source is noticed.
    pub log: String,
    /// The last change read; it grows with every transaction.
    pub id: u64,
    /// A random number written beside that change, so that a restored source that uses `id` again is noticed.
    pub nonce: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)
    }
}
