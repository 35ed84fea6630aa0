//! What can go wrong when a source's table is described.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why a table of a source cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file is not there.
    #[error("there is no file {0}")]
    NoFile(PathBuf),
    /// The file has no such table.
    #[error("{path} has no table {table:?}")]
    NoTable {
        /// The file.
        path: PathBuf,
        /// The table's name at the source.
        table: String,
    },
    /// The table has no such column.
    #[error("table {table:?} has no column {column:?}; it has {has}")]
    NoColumn {
        /// The table's name at the source.
        table: String,
        /// The declared column.
        column: String,
        /// The columns there are.
        has: String,
    },
    /// The declared key is not the source's.
    #[error("table {table:?} is declared with the primary key ({declared}), but its key at the source is {actual}")]
    Key {
        /// The table's name at the source.
        table: String,
        /// Declared key columns.
        declared: String,
        /// The key at the source.
        actual: String,
    },
    /// The table cannot be captured.
    #[error("table {table:?} cannot be captured: {reason}")]
    Refused {
        /// The table's name at the source.
        table: String,
        /// Why.
        reason: String,
    },
    /// SQLite said no.
    #[error("{path}: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Its words.
        error: rusqlite::Error,
    },
}

impl SourceError {
    /// Whether it may pass without anybody's doing: a service may be about to create its file, and then its tables. All
    /// else needs a person, at the source or at the declaration.
    pub fn is_transient(&self) -> bool {
        match self {
            SourceError::NoFile(_) | SourceError::NoTable { .. } => true,
            SourceError::Sqlite { error, .. } => {
                !matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            }
            SourceError::Refused { .. } | SourceError::NoColumn { .. } | SourceError::Key { .. } => false,
        }
    }
}
