//! Why following a file stopped for now, and what that asks of whom.

/// What ends one attempt to follow a file.
#[derive(Debug)]
pub(super) enum Fault {
    /// The engine wants the source to end, or is gone.
    Stopped,
    /// It may go by itself.
    Retry(String),
    /// It needs a person.
    Halt(String),
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
