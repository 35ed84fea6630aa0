//! What can happen to a file: each fault is named, nothing is lost, and mending it heals the source without a restart.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::super::layout::Layout;
use super::harness::{File, Model, Running};
use crate::catalog::DeclaredColumn;
use crate::change::{DataType, KeyColumn, SourceHealth, TableId};
use crate::source::sqlite::capture::{self, TableState};
use crate::source::sqlite::log::KEPT;
use crate::source::sqlite::schema::describe;

pub(super) const SIMPLE: &str =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');";

pub(super) fn start(file: &File) -> Running {
    let mut source = Running::start(file.spec(&["t"]), Model::default());
    source.check("the start");
    source
}

fn halted(health: &SourceHealth, words: &str) -> bool {
    matches!(health, SourceHealth::Halted { reason } if reason.contains(words))
}

fn retrying(health: &SourceHealth, words: &str) -> bool {
    matches!(health, SourceHealth::Retrying { reason, .. } if reason.contains(words))
}

#[test]
fn install_is_idempotent_and_remove_leaves_the_file_as_it_was() {
    let file = File::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TABLE partial(a INT); CREATE UNIQUE INDEX pi ON partial(a) WHERE a > 0;
         CREATE TABLE expr(a INT); CREATE UNIQUE INDEX ei ON expr(a + 1); CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE fts USING fts5(a);",
    );
    let dump = |file: &File| -> Vec<(String, String)> {
        let connection = file.connect();
        let mut statement = connection.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let before = dump(&file);
    let first = capture::install(&file.path, &[]).unwrap();
    assert!(first.to_string().contains("journal mode changed from delete to wal"), "{first}");
    for (table, words) in [("v", "view"), ("fts", "virtual")] {
        let state = &first.tables.iter().find(|it| it.table == table).unwrap().state;
        assert!(matches!(state, TableState::Refused { reason } if reason.contains(words)), "{first}");
    }
    let installed = dump(&file);
    let again = capture::install(&file.path, &[]).unwrap();
    assert_eq!((first.log, first.tables), (again.log.clone(), again.tables));
    assert_eq!(dump(&file), installed);
    let status = capture::status(&file.path, &[]).unwrap();
    assert_eq!(status.log, again.log);
    capture::remove(&file.path, &[]).unwrap();
    assert_eq!(dump(&file), before);
    let mode = || -> String { file.connect().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap() };
    assert_eq!(mode(), "delete");
    assert!(capture::install(&file.path, &["nope".into()]).is_err());
    assert_eq!(mode(), "delete", "what was refused changed nothing");
}

#[test]
fn not_installed_is_halted_until_it_is_installed() {
    let file = File::new(SIMPLE);
    let mut source = Running::start(file.spec(&["t"]), Model::default());
    source.wait_for(|it| halted(it, "vantage capture install"));
    capture::install(&file.path, &[]).unwrap();
    source.check("install");
}

#[test]
fn triggers_put_back_by_hand_do_not_hide_what_was_written_without_them() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    let owner = file.connect();
    let sql: String = owner
        .query_row("SELECT sql FROM sqlite_schema WHERE name = '_vantage_1_update'", [], |row| row.get(0))
        .unwrap();
    let unseen = |x: &str| format!("BEGIN; DROP TRIGGER _vantage_1_update; UPDATE t SET x = '{x}'; {sql}; COMMIT");
    owner.execute_batch(&unseen("one")).unwrap();
    source.check("triggers put back");
    let model = source.stop();
    owner.execute_batch(&unseen("two")).unwrap();
    Running::start(file.spec(&["t"]), model).check("triggers put back while stopped");
}

#[test]
fn vacuum_renumbers_rows_without_a_key() {
    let file = File::captured("CREATE TABLE t(x); INSERT INTO t VALUES ('a'), ('b'), ('c'), ('d');");
    let mut source = start(&file);
    let owner = file.connect();
    owner.execute_batch("DELETE FROM t WHERE rowid < 3; VACUUM; DELETE FROM t WHERE x = 'c'").unwrap();
    source.check("vacuum");
    owner.execute_batch("INSERT INTO t VALUES ('e')").unwrap();
    source.check("insert");
    let model = source.stop();
    owner.execute_batch("DELETE FROM t WHERE x = 'd'; VACUUM; INSERT INTO t VALUES ('f')").unwrap();
    Running::start(file.spec(&["t"]), model).check("vacuum while stopped");
}

#[test]
fn tables_that_sqlite_makes_itself_account_for_no_schema_change() {
    let file = File::captured("CREATE TABLE t(x); CREATE INDEX ti ON t(x); INSERT INTO t VALUES ('a'), ('b')");
    let owner = file.connect();
    let layout = || Layout::verify(&owner, &file.spec(&["t"]), &file.path, &BTreeMap::new()).unwrap();
    let before = layout();
    // The first one makes up to two tables, the second one may give the rows of t other rowids.
    owner.execute_batch("ANALYZE; VACUUM").unwrap();
    assert_eq!(layout().doubtful(&before), [TableId(0)]);
}

#[test]
fn unrelated_schema_changes_copy_nothing() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    file.connect()
        .execute_batch("CREATE TABLE o(a); CREATE INDEX oi ON o(a); CREATE TABLE p(a); INSERT INTO t VALUES (3, 'c')")
        .unwrap();
    source.check("unrelated tables");
    assert_eq!(source.snapshots, 1);
}

#[test]
fn a_restored_backup_is_noticed_even_when_ids_are_used_again() {
    let file = File::captured(SIMPLE);
    let owner = file.connect();
    let backup = file.path.with_extension("bak");
    owner.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    let mut source = start(&file);
    owner.execute_batch("INSERT INTO t VALUES (3, 'lost'); UPDATE t SET x = 'lost' WHERE id = 1").unwrap();
    source.check("writes that will be lost");
    // Restored in place, through SQLite, then as many writes as were lost.
    let mut target = Connection::open(&file.path).unwrap();
    let from = Connection::open(&backup).unwrap();
    rusqlite::backup::Backup::new(&from, &mut target).unwrap().run_to_completion(1000, Duration::ZERO, None).unwrap();
    target.execute_batch("INSERT INTO t VALUES (4, 'other'); UPDATE t SET x = 'other' WHERE id = 2").unwrap();
    source.check("the restore");
    assert!(
        source.health.iter().any(|it| retrying(it, "source-went-back")) || source.snapshots > 1,
        "{:?}",
        source.health
    );
}

#[test]
fn a_copy_written_over_the_file_is_noticed_and_left_whole() {
    let file = File::captured(SIMPLE);
    let beside = |extension: &str| file.path.with_extension(extension);
    file.connect().execute_batch("INSERT INTO t VALUES (3, 'kept'); PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    fs::copy(&file.path, beside("copy")).unwrap();
    let mut source = start(&file);
    let many = "WITH RECURSIVE n(i) AS (SELECT 4 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                INSERT INTO t SELECT i, 'lost' FROM n";
    file.connect().execute_batch(many).unwrap();
    source.check("writes that will be lost");
    // Restored as people do it who know of the log: it is taken away, or it would be read with the copy.
    fs::remove_file(beside("db-wal")).unwrap();
    fs::remove_file(beside("db-shm")).unwrap();
    fs::copy(beside("copy"), &file.path).unwrap();
    source.wait_for(|it| retrying(it, "owner.db-wal"));
    source.check("the copy");
    file.connect().execute_batch("INSERT INTO t VALUES (4, 'new')").unwrap();
    source.check("a write to the copy");
    source.stop();
    let owner = file.connect();
    let one = |sql: &str| -> String { owner.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(one("PRAGMA integrity_check"), "ok");
    assert_eq!(one("SELECT group_concat(x) FROM t"), "a,b,kept,new");
}

#[test]
fn a_change_that_was_deleted_from_the_log_is_noticed() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    let delete = "DELETE FROM _vantage_changes WHERE id = (SELECT max(id) - 1 FROM _vantage_changes)";
    let updates = "UPDATE t SET x = 'unlogged' WHERE id = 1; UPDATE t SET x = 'logged' WHERE id = 2";
    file.connect().execute_batch(&format!("BEGIN; {updates}; {delete}; COMMIT")).unwrap();
    source.check("a change whose line was deleted");
}

#[test]
fn a_deleted_and_recreated_file_is_followed_anew() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    let remove = |suffix: &str| {
        let _ = fs::remove_file(format!("{}{suffix}", file.path.display()));
    };
    ["", "-wal", "-shm"].iter().for_each(|it| remove(it));
    source.wait_for(|it| retrying(it, "No such file"));
    file.connect()
        .execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (7, 'g')")
        .unwrap();
    source.wait_for(|it| halted(it, "not installed"));
    capture::install(&file.path, &[]).unwrap();
    source.wait_for(|it| retrying(it, "created anew"));
    source.check("the new file");
    // Another file moved into its place.
    let other = File::captured("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (8, 'h')");
    other.connect().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    ["-wal", "-shm"].iter().for_each(|it| remove(it));
    fs::rename(&other.path, &file.path).unwrap();
    source.wait_for(|it| *it == SourceHealth::Streaming);
    source.check("the moved file");
}

#[test]
fn corrupt_lines_halt_by_name() {
    for (line, words) in [
        ("(99, 1)", "there is no table 99"),
        ("(1, 'text')", "its key is not of the table's kind"),
        ("('x', 1)", "its table is no integer"),
    ] {
        let file = File::captured(SIMPLE);
        let mut source = start(&file);
        let owner = file.connect();
        owner.execute_batch(&format!("INSERT INTO _vantage_changes(tbl, k1) VALUES {line}")).unwrap();
        source.wait_for(|it| halted(it, words));
        capture::remove(&file.path, &[]).unwrap();
        capture::install(&file.path, &[]).unwrap();
        source.wait_for(|it| *it == SourceHealth::Streaming);
        source.check("a new log");
    }
}

#[test]
fn a_snapshot_beside_writers_is_consistent_at_its_end() {
    let file = File::captured(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); CREATE TABLE w(a TEXT, b INT, PRIMARY KEY (b, a)) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO t SELECT i, 'x' || i FROM n;
         INSERT INTO w SELECT x, id % 7 FROM t WHERE id <= 25000;",
    );
    let owner = file.connect();
    let writer = thread::spawn(move || {
        for step in 0..400 {
            owner
                .execute_batch(&format!(
                    "BEGIN; UPDATE t SET id = -id WHERE id = {0}; DELETE FROM t WHERE id = {0} + 1; INSERT OR REPLACE INTO t VALUES ({0} + 2, 'new');
                     UPDATE w SET b = b + 1 WHERE a = 'x{0}'; COMMIT",
                    step * 150 + 1
                ))
                .unwrap();
        }
    });
    let mut source = Running::start(file.spec(&["t", "w"]), Model::default());
    source.settle();
    writer.join().unwrap();
    source.check("all writes");
    assert_eq!(source.snapshots, 1);
    // Stopped in the middle of a copy, it begins again and ends equal.
    let mut source = Running::start(file.spec(&["t", "w"]), Model::default());
    while source.batches < 3 {
        source.take();
    }
    Running::start(file.spec(&["t", "w"]), source.stop()).check("a copy begun twice");
}

#[test]
fn what_was_touched_during_a_first_copy_is_sent_in_slices() {
    let file = File::captured(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO t SELECT i, 'x' FROM n;",
    );
    let mut source = Running::start(file.spec(&["t"]), Model::default());
    // The copy has begun, and the source waits for us with more of it.
    while source.batches == 0 {
        source.take();
    }
    file.connect().execute_batch("UPDATE t SET x = 'y'; DELETE FROM t WHERE id % 5 = 0").unwrap();
    source.check("all rows touched during the copy");
    assert!(source.largest < 100_000, "a batch of {} events", source.largest);
    assert_eq!(source.snapshots, 1);
}

/// Appends lines to the log until it has many more than writers keep.
fn fill_log(owner: &Connection) {
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                INSERT INTO _vantage_changes(tbl, k1) SELECT 1, 1 FROM n";
    owner.execute(fill, [KEPT + 5000]).unwrap();
}

#[test]
fn writers_keep_the_log_short_and_a_reader_they_outran_copies_again() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    let model = source.stop();
    let owner = file.connect();
    let lines = || -> i64 { owner.query_row("SELECT count(*) FROM _vantage_changes", [], |row| row.get(0)).unwrap() };
    fill_log(&owner);
    owner.execute_batch("UPDATE t SET x = 'unread' WHERE id = 1").unwrap();
    // One write in some looks at the log; together they take away much more than they add.
    let mut writes = 0;
    while lines() > KEPT + 100 {
        owner.execute("UPDATE t SET x = ?1 WHERE id = 2", [writes]).unwrap();
        writes += 1;
        assert!(writes < 10_000, "{} lines are left", lines());
    }
    assert!(lines() > KEPT - 1000, "{} lines are left", lines());
    source = Running::start(file.spec(&["t"]), model);
    source.wait_for(|it| retrying(it, "source-went-back: the log no longer reaches back to change"));
    source.check("a log that does not reach back");
    assert_eq!(source.snapshots, 1);
    owner.execute_batch("DELETE FROM t WHERE id = 1").unwrap();
    source.check("the log behind the copy");
    assert_eq!(source.snapshots, 1);
}

#[test]
fn a_log_of_an_earlier_release_is_named_and_made_anew_with_all_its_tables() {
    let file = File::captured(&format!("{SIMPLE} CREATE TABLE o(a INT); INSERT INTO o VALUES (1)"));
    let owner = file.connect();
    let tables = ["t", "o"];
    let mut source = Running::start(file.spec(&tables), Model::default());
    source.check("the start");
    owner
        .execute_batch(
            "UPDATE _vantage_log SET version = 1, journal_mode = 'truncate'; DROP TRIGGER _vantage_1_update_key",
        )
        .unwrap();
    source.wait_for(|it| halted(it, "made by an earlier release: run `vantage capture install"));
    let status = capture::status(&file.path, &[]).unwrap();
    assert!(!status.is_complete() && status.to_string().contains("problem: the change log was made by"), "{status}");
    owner.execute_batch("UPDATE t SET x = 'unseen'; INSERT INTO o VALUES (2)").unwrap();
    let installed = capture::install(&file.path, &["T".into()]).unwrap();
    assert!(installed.is_complete() && installed.tables.len() == 2, "{installed}");
    source.wait_for(|it| *it == SourceHealth::Streaming);
    source.check("a new log");
    drop(source);
    drop(owner);
    let removed = capture::remove(&file.path, &[]).unwrap();
    assert!(removed.to_string().contains("journal mode changed back to truncate"), "{removed}");
}

#[test]
fn a_captured_table_that_is_gone_is_reported_until_it_is_forgotten() {
    let file = File::captured(&format!("{SIMPLE} CREATE TABLE o(a INT)"));
    let state =
        |report: &capture::Report, name: &str| report.tables.iter().find(|it| it.table == name).unwrap().state.clone();
    file.connect().execute_batch("DROP TABLE o; ALTER TABLE t RENAME TO u").unwrap();
    for named in [vec![], vec!["O".into(), "t".into()]] {
        let status = capture::status(&file.path, &named).unwrap();
        assert!(!status.is_complete(), "{status}");
        assert_eq!((state(&status, "o"), state(&status, "t")), (TableState::Absent, TableState::Absent));
    }
    let installed = capture::install(&file.path, &[]).unwrap();
    assert_eq!((state(&installed, "o"), state(&installed, "t")), (TableState::Forgotten, TableState::Forgotten));
    assert!(installed.is_complete() && matches!(state(&installed, "u"), TableState::Captured { .. }), "{installed}");
    assert!(capture::status(&file.path, &[]).unwrap().is_complete());
    assert!(capture::status(&file.path, &["o".into()]).is_err(), "nothing is known of it any more");
}

#[test]
fn install_waits_for_a_write_that_is_under_way() {
    for mode in ["delete", "wal"] {
        let file = File::new(SIMPLE);
        let owner = file.connect();
        owner
            .execute_batch(&format!("PRAGMA journal_mode = {mode}; BEGIN IMMEDIATE; UPDATE t SET x = 'slow'"))
            .unwrap();
        thread::scope(|scope| {
            let install = scope.spawn(|| capture::install(&file.path, &[]));
            // Long enough for the command to have met the lock; were it not, the test would only be weaker.
            thread::sleep(Duration::from_millis(200));
            assert!(!install.is_finished(), "{mode}: nothing was waited for");
            owner.execute_batch("COMMIT").unwrap();
            let report = install.join().unwrap().unwrap();
            assert!(report.is_complete(), "{mode}: {report}");
        });
    }
}

#[test]
fn two_readers_follow_one_file() {
    let file = File::captured(SIMPLE);
    let mut sources = [start(&file), start(&file)];
    let owner = file.connect();
    for step in 0..50 {
        owner.execute("UPDATE t SET x = ?1 WHERE id = 1 + ?1 % 2", [step]).unwrap();
        sources.iter_mut().for_each(|it| it.check("a write that both read"));
    }
    assert!(sources.iter().all(|it| it.snapshots == 1));
}

#[test]
fn a_source_that_panics_is_halted_by_name() {
    let file = File::captured(SIMPLE);
    let mut spec = file.spec(&["t"]);
    // No source describes such a schema: its key is a column that it does not have.
    spec.tables[0].schema.key = vec![KeyColumn::ascending(9)].into();
    let mut source = Running::start(spec, Model::default());
    source.wait_for(|it| halted(it, "internal error: index out of bounds"));
}

#[test]
fn an_open_transaction_shows_nothing_until_it_commits() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    let owner = file.connect();
    owner.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (3, 'c'); UPDATE t SET x = 'all'").unwrap();
    source.check("half a transaction");
    let batches = source.batches;
    owner.execute_batch("COMMIT").unwrap();
    source.check("the commit");
    assert_eq!(source.batches, batches + 1, "one transaction is one batch");
}

#[test]
fn commits_arrive_within_milliseconds() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    let owner = file.connect();
    let mut times: Vec<Duration> = (0..200)
        .map(|step| {
            owner.execute("UPDATE t SET x = ?1 WHERE id = 1", [step]).unwrap();
            let start = Instant::now();
            let batches = source.batches;
            while source.batches == batches {
                source.take();
            }
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("commit to batch: p50 {:?}, p99 {:?}", times[100], times[198]);
    // The slow poll alone would take 50 ms; this only tells whether file events work at all.
    assert!(times[100] < Duration::from_millis(40), "{:?}", times[100]);
}

#[test]
fn declared_columns_are_checked_against_the_file() {
    let file = File::new("CREATE TABLE t(at DATETIME NOT NULL, n INT, price TEXT, PRIMARY KEY (at, n)) WITHOUT ROWID");
    let column =
        |name: &str, data_type, primary_key| DeclaredColumn { primary_key, ..DeclaredColumn::new(name, data_type) };
    let schema = describe(&file.path, "T", &[]).unwrap();
    // A timestamp has several spellings, so the key is the stored text, hidden.
    let names: Vec<_> = schema.columns.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((names, schema.visible), (vec!["at", "n", "price", "_key_at"], 3));
    assert_eq!(schema.key.iter().map(|it| it.column).collect::<Vec<_>>(), [3, 1]);
    let price = DataType::Decimal { precision: 10, scale: 2 };
    let declared =
        describe(&file.path, "t", &[column("price", price, false), column("n", DataType::Int32, false)]).unwrap();
    assert_eq!(
        declared.columns.iter().map(|it| it.data_type).collect::<Vec<_>>(),
        [price, DataType::Int32, DataType::Text]
    );
    let wrong = describe(&file.path, "t", &[column("n", DataType::Int64, true)]).unwrap_err().to_string();
    assert!(wrong.contains("primary key (at, n)"), "{wrong}");
    assert!(
        describe(&file.path, "t", &[column("nope", price, false)]).unwrap_err().to_string().contains("at, n, price")
    );
    assert!(describe(&file.path, "nope", &[]).is_err());
}
