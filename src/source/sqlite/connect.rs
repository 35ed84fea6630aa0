//! Connections to an owner's file, made so that the owner's programs never notice them.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

/// Opens the file at `path`, which must exist, to be read.
///
/// Such a connection takes no lock that keeps a writer out. It does not write, nor checkpoint when it is closed, which
/// would lock the whole file; it still needs a file that can be written, because every reader of a WAL file marks in
/// shared memory how far it reads.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    // Whoever reads asks again later.
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

/// Opens the file at `path`, which must exist, to be changed, and waits up to `patience` for other programs.
pub(super) fn open_to_write(path: &Path, patience: Duration) -> rusqlite::Result<Connection> {
    let connection = open(path)?;
    connection.busy_timeout(patience)?;
    Ok(connection)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // SQLite opens no table that has an index under a collation it does not know. Our statements find rows by rowid or
    // under collations that SQLite itself has, so none of them ever compares with this one.
    connection.collation_needed(|connection, name| connection.create_collation(name, |left, right| left.cmp(right)))?;
    Ok(connection)
}
