//! What a capture command tells the user.

use std::fmt;
use std::path::PathBuf;

/// The outcome of a command, or the state it found; `Display` is what the command line prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// The identity of its change log, if there is one.
    pub log: Option<String>,
    /// The tables the command was about.
    pub tables: Vec<TableReport>,
    /// What about the file itself keeps capture from working.
    pub problems: Vec<String>,
    /// What else happened to the file, or is to be known of it.
    pub notes: Vec<String>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// How it stands.
    pub state: TableState,
}

/// How a table's capture stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableState {
    /// Every write is logged.
    Captured {
        /// The key rows are logged by, in words.
        by: String,
        /// Whether an insert looks for a row of the same rowid, although rows have another key.
        rowid: bool,
        /// What a write looks for besides, in words: rows equal on these unique constraints.
        lookups: Vec<String>,
    },
    /// It is not captured.
    Missing,
    /// It was captured, but table and triggers no longer fit.
    Drifted {
        /// What does not fit.
        reason: String,
    },
    /// It cannot be captured.
    Refused {
        /// Why.
        reason: String,
    },
    /// It was captured, and is no longer in the file.
    Absent,
    /// It was captured, is no longer in the file, and is not waited for any more.
    Forgotten,
    /// It is no longer captured.
    Removed,
}

impl Report {
    /// Whether every table that can be captured is, and nothing is in the way.
    pub fn is_complete(&self) -> bool {
        use TableState::{Captured, Forgotten, Refused};
        let complete = |it: &TableReport| matches!(it.state, Captured { .. } | Refused { .. } | Forgotten);
        self.problems.is_empty() && self.tables.iter().all(complete)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(log) = &self.log {
            write!(f, " (log {log})")?;
        }
        let width = self.tables.iter().map(|it| it.table.chars().count()).max().unwrap_or(0);
        for it in &self.tables {
            write!(f, "\n  {:width$}  {}", it.table, it.state)?;
        }
        self.problems.iter().try_for_each(|it| write!(f, "\n  problem: {it}"))?;
        self.notes.iter().try_for_each(|it| write!(f, "\n  note: {it}"))
    }
}

impl fmt::Display for TableState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableState::Captured { by, rowid, lookups } => {
                write!(f, "captured by {by}; a write costs its owner a line of the log")?;
                let each = lookups.join(", ");
                match (rowid, lookups.as_slice()) {
                    (false, []) => Ok(()),
                    (true, []) => write!(f, ", and an insert a look whether its rowid is taken"),
                    (false, _) => write!(f, " and, when it sets them, a look-up by each of {each}"),
                    (true, _) => write!(
                        f,
                        ", an insert a look whether its rowid is taken, and what sets them a look-up by each of {each}"
                    ),
                }
            }
            TableState::Missing => f.write_str("not captured; run `vantage capture install`"),
            TableState::Drifted { reason } => write!(f, "drifted: {reason}; run `vantage capture install`"),
            TableState::Refused { reason } => write!(f, "refused: {reason}"),
            TableState::Absent => {
                f.write_str("gone: it was captured and is no longer in the file; `vantage capture install` forgets it")
            }
            TableState::Forgotten => f.write_str("gone from the file, and no longer captured"),
            TableState::Removed => f.write_str("no longer captured"),
        }
    }
}
