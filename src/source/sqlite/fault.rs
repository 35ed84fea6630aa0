//! Why following a file stopped for now, and what that asks of whom.

use rusqlite::ErrorCode;

use crate::change::TableId;
use crate::source::link::Gone;

/// What ends one attempt to follow a file.
#[derive(Debug)]
pub(super) enum Fault {
    /// The engine wants the source to end, or is gone.
    Stopped,
    /// It may go by itself.
    Retry(String),
    /// It needs a person.
    Halt(String),
    /// Rows of one table of the file cannot be read, for this reason; it concerns only what is declared from that table.
    Table(Vec<TableId>, String),
}

impl Fault {
    /// What an error means that arose while a table was read from which `tables` are declared.
    pub(super) fn of_table(error: rusqlite::Error, tables: impl FnOnce() -> Vec<TableId>) -> Fault {
        if is_statements(&error) {
            Fault::Table(tables(), format!("its rows cannot be read: {error}"))
        } else {
            error.into()
        }
    }
}

/// Whether the error lies with the statement and the table it reads, not with the file or with who else uses it.
pub(super) fn is_statements(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), None | Some(ErrorCode::Unknown))
}

impl From<Gone> for Fault {
    fn from(_: Gone) -> Fault {
        Fault::Stopped
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Fault::Halt(format!("the file is damaged: {error}")),
            _ => Fault::Retry(error.to_string()),
        }
    }
}
