//! Why following a server stopped for now, and what that asks of whom: one clear line for each of PostgreSQL's errors.

use pgwire_replication::PgWireError;

use super::settings::Settings;
use super::tls::{of_alert, of_tls};
use crate::change::TableId;
use crate::source::link::Gone;
use crate::source::{ErrorKind, SourceError};

/// What ends one attempt to follow a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The engine wants the source to end, or is gone.
    Stopped,
    /// The tables have changed there: all is verified anew, at once.
    Again,
    /// It may go by itself.
    Retry(String),
    /// It needs a person.
    Halt(String),
    /// The transaction with this number has more changes than may be applied at once.
    TooLarge(u32),
    /// One table cannot be read, for this reason; it concerns only what is declared from it.
    Table(Vec<TableId>, String),
}

impl Fault {
    /// What an error of the connection means.
    pub(super) fn of(error: &PgWireError, settings: &Settings) -> Fault {
        match error {
            PgWireError::Server(text) => of_server(text, settings),
            PgWireError::Auth(text) => Fault::Halt(format!("{}: {text}", settings.place())),
            PgWireError::Tls(text) => of_tls(text, settings),
            PgWireError::MessageTooLarge { payload_bytes, limit_bytes } => Fault::Halt(format!(
                "one row of the server has {payload_bytes} bytes, more than the {limit_bytes} that are taken"
            )),
            PgWireError::Io(error) => {
                let text = error.to_string();
                of_alert(&text, settings).unwrap_or_else(|| Fault::Retry(format!("{}: {text}", settings.place())))
            }
            other => Fault::Retry(format!("{}: {other}", settings.place())),
        }
    }
}

/// The SQLSTATE that the transport writes behind a server's message, and the message.
pub(super) fn sqlstate(text: &str) -> (&str, &str) {
    let parts = text.rsplit_once(" (SQLSTATE ").and_then(|(message, code)| Some((code.strip_suffix(')')?, message)));
    parts.unwrap_or(("", text))
}

/// Whether a server's error has this SQLSTATE.
pub(super) fn has_state(error: &PgWireError, state: &str) -> bool {
    matches!(error, PgWireError::Server(text) if sqlstate(text).0 == state)
}

/// What a server's words mean.
fn of_server(text: &str, settings: &Settings) -> Fault {
    let (state, message) = sqlstate(text);
    let place = settings.place();
    let (user, database, slot) = (&settings.user, &settings.database, &settings.slot);
    let halt = |what: String| Fault::Halt(format!("{place}: {message}; {what}"));
    let retry = |what: &str| Fault::Retry(format!("{place}: {message}{what}"));
    match state {
        "28P01" => halt(format!("check the options user and password (the user is {user:?})")),
        "28000" if message.contains("client certificate") => {
            halt("it wants a certificate of ours: set the options sslcert and sslkey".into())
        }
        "28000" if message.contains("certificate authentication") => {
            halt(format!("the certificate in sslcert is not one of user {user:?}: its common name has to be that"))
        }
        "28000" if message.contains("no encryption") => {
            halt("if it takes encrypted connections only, set sslmode = 'verify-full'".into())
        }
        "28000" => halt(format!("let user {user:?} connect to database {database:?}, in the server's pg_hba.conf")),
        "3D000" => halt("check the option database".into()),
        "42501" if ["replication", "walsender", "WAL sender"].iter().any(|it| message.contains(it)) => {
            halt(format!("run as an administrator: ALTER ROLE {} REPLICATION", super::sql::identifier(user)))
        }
        "42501" => halt(format!("the user {user:?} lacks a right there")),
        "53300" => retry("; it is tried again: raise max_wal_senders (or max_connections) at the server if this stays"),
        "53400" => halt(
            "raise max_replication_slots at the server, or drop a slot that nothing reads: \
             SELECT slot_name, active FROM pg_replication_slots"
                .into(),
        ),
        "55006" => retry(&format!(
            "; another session reads this slot: if it is not an earlier connection of this process, give every reader \
             a slot.name of its own (this one is {slot:?})"
        )),
        "55000" | "58P01" if is_lost(message) => Fault::Halt(lost(slot, message)),
        "42704" if message.contains("publication") => halt(format!(
            "the publication was created later than the changes that are to be read: {}",
            begin_anew(slot)
        )),
        // Starting, stopping, recovering, out of something for now.
        _ => retry(""),
    }
}

/// Whether a server's error lies with a statement and the table it reads, not with the server or with who else uses it.
pub(super) fn is_statements(error: &PgWireError) -> bool {
    let PgWireError::Server(text) = error else { return false };
    !["08", "40", "53", "55", "57", "58"].iter().any(|class| sqlstate(text).0.starts_with(class))
}

/// What a server says, without its number for it.
pub(super) fn words(error: &PgWireError) -> String {
    match error {
        PgWireError::Server(text) => sqlstate(text).1.into(),
        other => other.to_string(),
    }
}

/// Whether these are the words for a slot whose changes are no longer there.
fn is_lost(message: &str) -> bool {
    ["invalidated", "no longer get changes", "already been removed", "has been exceeded", "requested WAL segment"]
        .iter()
        .any(|it| message.contains(it))
}

/// What is said of a slot that is lost.
pub(super) fn lost(slot: &str, why: &str) -> String {
    format!(
        "slot-lost: the replication slot {slot:?} no longer has all changes since the last one read ({why}); {}",
        begin_anew(slot)
    )
}

/// What is said of a transaction that is too large.
pub(super) fn too_large(number: u32, settings: &Settings) -> String {
    format!(
        "the changes of transaction {number} have more than {} MiB, and a transaction is applied at once and in memory: \
         raise the option transaction.max.mb, of which up to ten times as much memory is needed, and restart; \
         until then the server keeps its log",
        settings.transaction_bytes >> 20
    )
}

/// What a person does to begin anew.
pub(super) fn begin_anew(slot: &str) -> String {
    format!(
        "what was read stays served; to copy all tables again, applied as a difference, give the source another \
         slot.name than {slot:?}, and drop that slot if it is still there: \
         SELECT pg_drop_replication_slot({})",
        super::sql::literal(slot)
    )
}

impl From<Gone> for Fault {
    fn from(_: Gone) -> Fault {
        Fault::Stopped
    }
}

impl From<Fault> for SourceError {
    fn from(fault: Fault) -> SourceError {
        let (kind, text) = match fault {
            Fault::Retry(text) => (ErrorKind::Transient, text),
            Fault::Halt(text) | Fault::Table(_, text) => (ErrorKind::NeedsPerson, text),
            Fault::TooLarge(_) => unreachable!("only the stream has transactions"),
            Fault::Stopped | Fault::Again => (ErrorKind::Transient, "it was stopped".into()),
        };
        SourceError { kind, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_read_from_the_words() {
        let error = "database \"x\" does not exist (SQLSTATE 3D000)";
        assert_eq!(sqlstate(error), ("3D000", "database \"x\" does not exist"));
        assert_eq!(sqlstate("odd"), ("", "odd"));
        assert!(has_state(&PgWireError::Server(error.into()), "3D000"));
    }
}
