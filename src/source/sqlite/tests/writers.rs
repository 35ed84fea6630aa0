//! The owner's writers are not refused because a source follows the file, even when they wait for nobody.
//!
//! SQLite's readers do take the lock for writing, for a microsecond, when they meet a commit in the act of changing the
//! shared memory: about once in a million reads that leads to a refusal, on a busy machine sometimes more often. A
//! source that writes itself, as to delete lines of the log, leads to one in ten to one in a hundred writes.

use std::process::{Command, Stdio};

use super::harness::{File, Model, Running};

/// A writer without a busy time-out, in a process of its own: what it counted.
const WRITER: &str = "
import sqlite3, sys
path, writes, once = sys.argv[1], int(sys.argv[2]), sys.argv[3] == 'open'
connect = lambda: sqlite3.connect(path, isolation_level=None, timeout=0)
db, busy = connect(), 0
db.execute('PRAGMA synchronous = OFF')
for step in range(writes):
    try:
        if once:
            db.close()
            db = connect()
        db.execute('UPDATE t SET x = ? WHERE id = ?', (step, step % 100))
    except sqlite3.OperationalError as error:
        busy += 1
print(busy)
";

/// Runs the writer beside whatever `meanwhile` does again and again.
fn refused(file: &File, writes: usize, how: &str, mut meanwhile: impl FnMut()) -> usize {
    let mut writer = Command::new("python3");
    writer.args(["-c", WRITER, file.path.to_str().unwrap(), &writes.to_string(), how]).stdout(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    while writer.try_wait().unwrap().is_none() {
        meanwhile();
    }
    let output = writer.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn table() -> File {
    File::captured(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT);
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
         INSERT INTO t SELECT i, '' FROM n;",
    )
}

#[test]
fn a_writer_that_waits_for_nobody_is_not_refused() {
    let file = table();
    let mut source = Running::start(file.spec(&["t"]), Model::default());
    source.settle();
    let counted = refused(&file, 30_000, "keep", || source.settle());
    assert!(counted <= 3, "{counted} refused while the log is followed");
    source.check("all writes");
    // What a start, a copy and an end take of the file, and what `check` does.
    let counted = refused(&file, 30_000, "keep", || {
        Running::start(file.spec(&["t"]), Model::default()).settle();
    });
    assert!(counted <= 3, "{counted} refused while sources start, copy and stop");
}

#[test]
fn a_program_that_opens_the_file_for_one_write_is_not_refused() {
    let file = table();
    let mut source = Running::start(file.spec(&["t"]), Model::default());
    source.settle();
    let counted = refused(&file, 5_000, "open", || {
        source.settle();
        file.spec(&["t"]);
    });
    assert!(counted <= 3, "{counted} refused");
    source.check("all writes");
}
