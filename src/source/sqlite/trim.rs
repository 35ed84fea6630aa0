//! Takes away lines of the log that nobody will read again, in small steps that never wait for a writer.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// Lines a statement deletes at most.
const STEP: i64 = 500;
/// When fewer lines are left to delete, that waits for this long.
const PAUSE: Duration = Duration::from_secs(1);
/// How long trimming rests after it failed.
const REST: Duration = Duration::from_secs(60);
/// Time spent on deleting between two looks at the log.
const TURN: Duration = Duration::from_millis(2);

/// How far the log is trimmed.
#[derive(Debug)]
pub(super) struct Trim {
    /// All lines before this one are deleted.
    done: i64,
    last: Instant,
    /// Until when trimming rests after it failed; the log may grow meanwhile, reading it goes on.
    rests_until: Option<Instant>,
}

impl Trim {
    pub(super) fn new() -> Trim {
        Trim { done: 0, last: Instant::now(), rests_until: None }
    }

    /// Deletes lines before `durable`, which is kept: it is what proves, after a restart, that this is the same log.
    /// The newest line is never before the durable one, so it is kept as well.
    /// A file we may not write to is no reason to stop reading it: that is said once in a while, and all goes on.
    pub(super) fn run(&mut self, connection: &Connection, durable: i64, source: &str) {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.rests_until = None;
        if let Err(error) = self.delete(connection, durable) {
            tracing::warn!(source, %error, "the change log cannot be trimmed; it grows until that is mended");
            self.rests_until = Some(Instant::now() + REST);
        }
    }

    fn delete(&mut self, connection: &Connection, durable: i64) -> rusqlite::Result<()> {
        // A restored file has lines again before the place where deleting had come to.
        self.done = if durable < self.done { 0 } else { self.done };
        if durable == self.done || (durable - self.done < STEP && self.last.elapsed() < PAUSE) {
            return Ok(());
        }
        let start = Instant::now();
        self.last = start;
        let mut statement = connection.prepare_cached(
            "DELETE FROM _vantage_changes WHERE id IN \
             (SELECT id FROM _vantage_changes WHERE id < ?1 ORDER BY id LIMIT ?2)",
        )?;
        while start.elapsed() < TURN {
            match statement.execute([durable, STEP]) {
                Ok(count) if (count as i64) < STEP => {
                    self.done = durable;
                    return Ok(());
                }
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.sqlite_error_code(),
                        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                    ) =>
                {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_log_is_trimmed_as_far_as_it_goes() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE _vantage_changes(id INTEGER PRIMARY KEY)").unwrap();
        let mut trim = Trim::new();
        for lines in [3 * STEP, 2 * STEP] {
            let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                        INSERT OR IGNORE INTO _vantage_changes SELECT i FROM n";
            connection.execute("DELETE FROM _vantage_changes", []).unwrap();
            connection.execute(fill, [lines]).unwrap();
            let left = || -> i64 {
                connection.query_row("SELECT count(*) FROM _vantage_changes", [], |row| row.get(0)).unwrap()
            };
            // A turn is short, so it may take several.
            for _ in 0..1000 {
                trim.run(&connection, lines, "owner");
            }
            assert_eq!(left(), 1, "of {lines} lines");
        }
    }
}
