//! What can happen to one table of a file: it is halted by name and alone, the others are followed on, and it comes back
//! with a copy when it is mended.

use std::collections::BTreeMap;

use super::faults::{SIMPLE, start};
use super::harness::{File, Model, Running};
use crate::source::sqlite::capture::{self, TableState};

#[test]
fn a_dropped_trigger_halts_until_reinstalled_and_nothing_is_lost() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    let owner = file.connect();
    owner.execute_batch("DROP TRIGGER _vantage_1_update; UPDATE t SET x = 'unseen'").unwrap();
    source.wait_halted("_vantage_1_update is missing");
    assert!(matches!(capture::status(&file.path, &[]).unwrap().tables[0].state, TableState::Drifted { .. }));
    capture::install(&file.path, &[]).unwrap();
    source.wait_followed();
    source.check("reinstall");
    // The same while nobody looks.
    let model = source.stop();
    owner.execute_batch("DROP TRIGGER _vantage_2_update; UPDATE t SET x = 'unseen again'").unwrap();
    capture::install(&file.path, &[]).unwrap();
    Running::start(file.spec(&["t"]), model).check("a reinstall while stopped");
}

#[test]
fn the_twelve_step_alter_is_drift_and_heals() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    file.connect()
        .execute_batch(
            "BEGIN; CREATE TABLE new_t(id INTEGER PRIMARY KEY, x TEXT, y INT); INSERT INTO new_t SELECT id, x || '!', 1 FROM t;
             DROP TABLE t; ALTER TABLE new_t RENAME TO t; COMMIT; INSERT INTO t VALUES (9, 'i', 9);",
        )
        .unwrap();
    source.wait_halted("drifted: ");
    capture::install(&file.path, &[]).unwrap();
    source.wait_followed();
    source.check("reinstall");
}

#[test]
fn another_key_of_the_same_width_halts_until_the_old_one_is_back() {
    let table = |key: &str| format!("CREATE TABLE t(a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY ({key}))");
    let keys = [("a, b", "b, a"), ("a", "b"), ("a", "a COLLATE NOCASE"), ("a, b", "a, b COLLATE RTRIM")];
    for (old, new) in keys {
        let file = File::captured(&format!("{}; INSERT INTO t VALUES ('x', 'y'), ('z', 'w')", table(old)));
        let mut source = start(&file);
        let rebuild = |key: &str| {
            let script = format!(
                "BEGIN; ALTER TABLE t RENAME TO old_t; {}; INSERT INTO t SELECT * FROM old_t; DROP TABLE old_t; COMMIT",
                table(key)
            );
            file.connect().execute_batch(&script).unwrap();
            capture::install(&file.path, &[]).unwrap();
        };
        rebuild(new);
        source.wait_halted("its key is another one now");
        rebuild(old);
        source.wait_followed();
        source.check(&format!("key ({old}) back after ({new})"));
    }
}

#[test]
fn another_type_halts_until_the_old_one_is_back() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    let rebuild = |declared: &str| {
        let script = format!(
            "BEGIN; CREATE TABLE new_t(id INTEGER PRIMARY KEY, x {declared}); INSERT INTO new_t SELECT * FROM t;
             DROP TABLE t; ALTER TABLE new_t RENAME TO t; COMMIT;"
        );
        file.connect().execute_batch(&script).unwrap();
        capture::install(&file.path, &[]).unwrap();
    };
    rebuild("INTEGER");
    source.wait_halted("column \"x\" changed its type from text to bigint");
    // Another fault shows that the table is verified again; the type is still refused afterwards.
    file.connect().execute_batch("DROP TRIGGER _vantage_2_update").unwrap();
    source.wait_halted("_vantage_2_update is missing");
    capture::install(&file.path, &[]).unwrap();
    source.wait_halted("column \"x\" changed its type from text to bigint");
    rebuild("TEXT");
    source.wait_followed();
    source.check("the old type");
}

#[test]
fn a_column_that_goes_is_named() {
    let file = File::captured(SIMPLE);
    let mut source = start(&file);
    file.connect().execute_batch("ALTER TABLE t DROP COLUMN x").unwrap();
    source.wait_halted("no longer has the column \"x\"");
    file.connect().execute_batch("ALTER TABLE t ADD COLUMN x TEXT; UPDATE t SET x = 'back' WHERE id = 1").unwrap();
    source.wait_followed();
    source.check("the column is back");
}

#[test]
fn what_is_wrong_with_a_table_halts_it_alone_until_it_is_mended() {
    // What breaks t, what is said of it, what mends it; and whether capture has to be installed again.
    let cases = [
        (
            "DROP TABLE t",
            "it is gone",
            "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (7, 'g')",
            true,
        ),
        ("ALTER TABLE t RENAME TO u", "it is gone", "ALTER TABLE u RENAME TO t", false),
        ("ALTER TABLE t DROP COLUMN x", "no longer has the column \"x\"", "ALTER TABLE t ADD COLUMN x TEXT", false),
        ("ALTER TABLE t RENAME COLUMN x TO z", "column \"x\"", "ALTER TABLE t RENAME COLUMN z TO x", false),
        ("DROP TRIGGER _vantage_2_insert", "_vantage_2_insert is missing", "SELECT 1", true),
    ];
    for (breaks, words, mends, install) in cases {
        let file = File::captured(&format!("{SIMPLE} CREATE TABLE o(id INTEGER PRIMARY KEY, x TEXT)"));
        let mut source = Running::start(file.spec(&["t", "o", "t"]), Model::default());
        source.check("the start");
        let owner = file.connect();
        let write = |id: i64| {
            // t may be away, or its column.
            let _ = owner.execute("UPDATE t SET x = ?1", [id]);
            owner.execute("INSERT INTO o VALUES (?1, 'o')", [id]).unwrap();
        };
        owner.execute_batch(breaks).unwrap();
        write(1);
        source.wait_halted(words);
        write(2);
        source.check(breaks);
        assert_eq!(Vec::from_iter(source.model.covered.clone()), [1], "{breaks}");
        // The same for one who begins here, and for one who goes on here.
        let mut other = Running::start(file.spec(&["o"]), Model::default());
        other.check(breaks);
        source = Running::start(source.spec.clone(), source.stop());
        write(3);
        source.check(breaks);
        assert_eq!(Vec::from_iter(source.model.covered.clone()), [1], "{breaks}");
        owner.execute_batch(mends).unwrap();
        if install {
            capture::install(&file.path, &[]).unwrap();
        }
        source.wait_followed();
        write(4);
        source.check(mends);
        assert!(source.halted.last().is_some_and(BTreeMap::is_empty), "{:?}", source.halted);
    }
}

#[test]
fn a_table_whose_rows_cannot_be_read_is_halted_alone() {
    let file = File::captured(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x INT); CREATE TABLE o(id INTEGER PRIMARY KEY);
         INSERT INTO t VALUES (1, -5); INSERT INTO o VALUES (1);",
    );
    let mut source = Running::start(file.spec(&["t", "o"]), Model::default());
    source.check("the start");
    let owner = file.connect();
    // Only the owner knows the function.
    let flags = rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC;
    owner.create_scalar_function("own", 1, flags, |it| it.get::<i64>(0)).unwrap();
    owner.execute_batch("ALTER TABLE t DROP COLUMN x; ALTER TABLE t ADD COLUMN x INT AS (own(id)) VIRTUAL").unwrap();
    source.wait_halted("can only be read by its owner");
    owner.execute_batch("INSERT INTO o VALUES (2); UPDATE t SET id = 2").unwrap();
    source.check("a table that cannot be read");
    assert_eq!(Vec::from_iter(source.model.covered.clone()), [1]);
    owner.execute_batch("ALTER TABLE t DROP COLUMN x; ALTER TABLE t ADD COLUMN x INT").unwrap();
    source.wait_followed();
    source.check("a column as before");
}

#[test]
fn a_column_that_may_be_null_now_is_another_one() {
    let file = File::captured("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT NOT NULL); INSERT INTO t VALUES (1, 'a')");
    let mut source = start(&file);
    file.connect()
        .execute_batch("ALTER TABLE t RENAME TO o; CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); DROP TABLE o")
        .unwrap();
    capture::install(&file.path, &[]).unwrap();
    source.wait_halted("column \"x\" may be NULL now");
}
