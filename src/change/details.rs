//! What a source tells of itself besides its health: how each part of its log is doing, and what people should look at.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything a source has to tell besides its health. It is always told as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    /// By the name that the part has in positions.
    pub parts: BTreeMap<String, Part>,
    /// By a short name, what is not as it should be although the source is followed, and what to do.
    pub warnings: BTreeMap<&'static str, String>,
}

/// One part of a source's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Part {
    /// How it is doing, in the words of source states: `streaming`, `paused (backlog)`.
    pub state: String,
    /// What is counted of it, by name: `end` is where it ends, in the unit of its places, `behind` how much lies between.
    #[serde(flatten)]
    pub numbers: BTreeMap<&'static str, u64>,
    /// What else is said of it, by name.
    #[serde(flatten)]
    pub words: BTreeMap<&'static str, String>,
}
