//! What can go wrong when a table of a file is described.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::source::{ErrorKind, SourceError};

/// Why a table of a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqliteError {
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

impl SqliteError {
    /// What ends it.
    fn kind(&self) -> ErrorKind {
        match self {
            SqliteError::NoFile(_) | SqliteError::NoTable { .. } => ErrorKind::Transient,
            SqliteError::Sqlite { error, .. } => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorKind::NeedsPerson,
                _ => ErrorKind::Transient,
            },
            SqliteError::Refused { .. } | SqliteError::NoColumn { .. } | SqliteError::Key { .. } => {
                ErrorKind::NeedsPerson
            }
        }
    }
}

impl From<SqliteError> for SourceError {
    fn from(error: SqliteError) -> SourceError {
        SourceError { kind: error.kind(), text: error.to_string() }
    }
}
