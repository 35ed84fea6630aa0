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
    /// What else happened to the file.
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
    /// There is no such table.
    Absent,
    /// It is no longer captured.
    Removed,
}

impl Report {
    /// Whether every table that can be captured is.
    pub fn is_complete(&self) -> bool {
        self.tables.iter().all(|it| matches!(it.state, TableState::Captured { .. } | TableState::Refused { .. }))
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
        self.notes.iter().try_for_each(|it| write!(f, "\n  note: {it}"))
    }
}

impl fmt::Display for TableState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableState::Captured { by } => write!(f, "captured by {by}"),
            TableState::Missing => f.write_str("not captured"),
            TableState::Drifted { reason } => write!(f, "drifted: {reason}; run `vantage capture install`"),
            TableState::Refused { reason } => write!(f, "refused: {reason}"),
            TableState::Absent => f.write_str("no such table"),
            TableState::Removed => f.write_str("no longer captured"),
        }
    }
}
