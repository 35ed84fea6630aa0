//! The replication slot, which keeps at the server what we have not read yet. It is created once and never again silently:
//! a slot that is gone has taken changes with it.

use super::fault::{Fault, begin_anew, lost};
use super::server::lsn;
use super::session::{Session, text};
use super::settings::Settings;
use super::sql::literal;

/// Makes sure of the slot. `read` is how far it was read, when it was; then it must be there, and hold all since.
pub(super) fn ensure(session: &mut Session<'_>, settings: &Settings, read: Option<u64>) -> Result<(), Fault> {
    let name = &settings.slot;
    let answer = session.ask(&format!(
        "SELECT plugin, slot_type, database, wal_status, confirmed_flush_lsn, active, temporary \
         FROM pg_replication_slots WHERE slot_name = {}",
        literal(name)
    ))?;
    let Some(row) = answer.first() else {
        return match read {
            None => create(session, name),
            Some(_) => Err(Fault::Halt(format!(
                "slot-lost: the replication slot {name:?} is gone from the server; {}",
                begin_anew(name)
            ))),
        };
    };
    let at = |column| text(row, column).unwrap_or_default();
    if at(0) != "pgoutput" || at(1) != "logical" || at(6) == "t" {
        let what = if at(0).is_empty() { at(1) } else { at(0) };
        return Err(Fault::Halt(format!(
            "the replication slot {name:?} is one for {what}, of another program: give the source another slot.name"
        )));
    }
    if at(2) != settings.database {
        return Err(Fault::Halt(format!(
            "the replication slot {name:?} is one of database {:?}: give the source another slot.name",
            at(2)
        )));
    }
    if at(3) == "lost" {
        return Err(Fault::Halt(lost(name, "the server has removed them: max_slot_wal_keep_size")));
    }
    let confirmed = lsn(at(4)).unwrap_or_default();
    match read {
        Some(read) if confirmed > read => Err(Fault::Halt(format!(
            "gap: the replication slot {name:?} was read up to {} by somebody else, and we have read up to {}; {}",
            shown(confirmed),
            shown(read),
            begin_anew(name)
        ))),
        Some(_) => Ok(()),
        None if at(5) == "t" => Err(Fault::Retry(format!(
            "another session reads the replication slot {name:?}: give every reader a slot.name of its own"
        ))),
        // What was changed before now is in the copies that are about to be made.
        None => {
            let sql = format!(
                "SELECT pg_replication_slot_advance(slot_name, pg_current_wal_flush_lsn()) FROM pg_replication_slots \
                 WHERE slot_name = {} AND confirmed_flush_lsn < pg_current_wal_flush_lsn()",
                literal(name)
            );
            session
                .ask_slowly(&sql, || tracing::info!(slot = name, "the server passes over what the slot has kept"))?;
            tracing::info!(slot = name, "adopted the replication slot");
            Ok(())
        }
    }
}

/// Creates the slot. The server waits until all transactions have ended that are open now.
fn create(session: &mut Session<'_>, name: &str) -> Result<(), Fault> {
    let sql = format!("SELECT lsn FROM pg_create_logical_replication_slot({}, 'pgoutput')", literal(name));
    session.ask_slowly(&sql, || {
        tracing::warn!(
            slot = name,
            "the server creates the replication slot once all transactions have ended that are open there now; \
             SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start tells which they are"
        );
    })?;
    tracing::info!(slot = name, "created the replication slot");
    Ok(())
}

/// A log sequence number as PostgreSQL writes it.
pub(super) fn shown(lsn: u64) -> String {
    pgwire_replication::Lsn(lsn).to_string()
}

/// The newest place in the log; a transaction of ours there, so that the stream is known to have come past it, and so
/// that everything before it is written out at once.
pub(super) fn mark(session: &mut Session<'_>) -> Result<u64, Fault> {
    let text = session.ask_one("SELECT pg_logical_emit_message(true, 'vantage', 'copied')")?;
    lsn(&text).ok_or_else(|| Fault::Retry(format!("{text:?} is no place in the server's log")))
}
