//! Every way of writing that the triggers must see, by another process, with `recursive_triggers` off and on.

use super::harness::{File, Model, Python, Running};

fn follow(schema: &str, tables: &[&str], statements: &[&str]) {
    for recursive in ["OFF", "ON"] {
        let file = File::captured(schema);
        let mut source = Running::start(file.spec(tables), Model::default());
        source.check("the start");
        let mut python = Python::open(&file.path);
        python.execute(&format!("PRAGMA recursive_triggers = {recursive}"));
        python.execute("PRAGMA foreign_keys = ON");
        for sql in statements {
            // Some statements are meant to fail: what matters is that file and model agree.
            let answer = python.run(sql);
            source.check(&format!("{sql} → {answer} (recursive_triggers {recursive})"));
        }
        assert_eq!(source.snapshots, 1, "nothing but the first copy was needed");
    }
}

#[test]
fn integer_keys_and_other_unique_constraints() {
    follow(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, v TEXT COLLATE NOCASE, w INT);
         CREATE UNIQUE INDEX vi ON t(v); CREATE UNIQUE INDEX vb ON t(w, u COLLATE NOCASE);
         INSERT INTO t VALUES (1, 'a', 'x', 1), (2, 'b', 'y', 2), (3, 'c', 'z', 3), (4, NULL, NULL, NULL);",
        &["t"],
        &[
            "INSERT INTO t VALUES (5, 'e', 'v', 5), (6, 'f', 'w', 6)",
            "INSERT OR REPLACE INTO t VALUES (1, 'a2', 'x2', 1)",
            "INSERT OR REPLACE INTO t VALUES (7, 'b', 'Q', 7)",
            "INSERT OR REPLACE INTO t VALUES (8, 'h', 'Z', 8)",
            "REPLACE INTO t(u, v, w) VALUES ('F', 'nn', 6)",
            "INSERT OR REPLACE INTO t VALUES (1, 'e', 'q', 1)",
            "UPDATE OR REPLACE t SET u = 'h' WHERE id = 1",
            "UPDATE OR REPLACE t SET id = 4 WHERE id = 1",
            "UPDATE OR REPLACE t SET rowid = 100 WHERE id = 4",
            "INSERT INTO t VALUES (100, 'zz', 'zz', 9) ON CONFLICT(id) DO UPDATE SET w = w + 1, u = excluded.u",
            "INSERT INTO t VALUES (100, 'zz', 'zz', 9) ON CONFLICT DO NOTHING",
            "INSERT OR IGNORE INTO t VALUES (101, 'zz', 'other', 9)",
            "INSERT INTO t SELECT id + 1000, u || id, v || id, w + 50 FROM t",
            "UPDATE t SET id = -id",
            "UPDATE t SET id = id + 1 WHERE id < -500",
            "BEGIN",
            "INSERT INTO t(u) VALUES ('lost')",
            "SAVEPOINT s",
            "DELETE FROM t",
            "ROLLBACK TO s",
            "UPDATE t SET w = 0 WHERE id = (SELECT min(id) FROM t)",
            "COMMIT",
            "BEGIN",
            "DELETE FROM t",
            "ROLLBACK",
            "INSERT INTO t(u) VALUES ('one'), ('two'), ('one')",
            "UPDATE t SET u = u WHERE 1",
            "DELETE FROM t WHERE id % 2 = 0",
            "DELETE FROM t",
        ],
    );
}

#[test]
fn text_composite_and_case_insensitive_keys() {
    follow(
        "CREATE TABLE a(code TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, n INT);
         CREATE TABLE b(x TEXT, y INT, z REAL, PRIMARY KEY (y, x)) WITHOUT ROWID;
         CREATE TABLE c(x ANY NOT NULL PRIMARY KEY, y TEXT) STRICT;
         CREATE TABLE d(x TEXT NOT NULL COLLATE RTRIM, y BLOB NOT NULL, v INT, PRIMARY KEY (x, y), UNIQUE (v));
         CREATE TABLE e(x TEXT, v INT, PRIMARY KEY (x COLLATE NOCASE)) WITHOUT ROWID;",
        &["a", "b", "c", "d", "e"],
        &[
            "INSERT INTO a VALUES ('a', 1), ('B', 2), ('c', 3)",
            "INSERT OR REPLACE INTO a VALUES ('A', 10)",
            "UPDATE a SET code = 'b' WHERE code = 'B'",
            "INSERT OR REPLACE INTO a(rowid, code, n) VALUES (2, 'new', 2)",
            "UPDATE OR REPLACE a SET rowid = 3 WHERE code = 'new'",
            "UPDATE OR REPLACE a SET code = 'NEW' WHERE code = 'a'",
            "INSERT INTO a VALUES (x'00ff', 5), (7, 7)",
            "INSERT INTO a VALUES ('a' || char(0) || 'b', 5)",
            "INSERT OR REPLACE INTO a VALUES ('A' || char(0) || 'c', 6)",
            "DELETE FROM a WHERE code = 'new'",
            "INSERT INTO b VALUES ('p', 1, 1.5), ('q', 1, NULL), ('p', 2, 2)",
            "INSERT OR REPLACE INTO b VALUES ('p', 1, 0.1)",
            "UPDATE OR REPLACE b SET y = 1",
            "DELETE FROM b WHERE x = 'p'",
            "INSERT INTO c VALUES (1, 'int'), ('1', 'text'), (x'31', 'blob')",
            "INSERT OR REPLACE INTO c VALUES (1.0, 'real')",
            "UPDATE OR REPLACE c SET x = 1 WHERE y = 'text'",
            "UPDATE c SET x = 2.5 WHERE x = 1",
            "INSERT INTO d VALUES ('k', x'01', 1), ('k', x'02', 2), ('l', x'', NULL), ('m', 5, 3)",
            "INSERT OR REPLACE INTO d VALUES ('k  ', x'01', 11)",
            "INSERT OR REPLACE INTO d VALUES ('neu', x'09', 2)",
            "UPDATE OR REPLACE d SET v = 3 WHERE x = 'neu'",
            "INSERT INTO e VALUES ('x', 1), ('Y', 2)",
            "INSERT OR REPLACE INTO e VALUES ('X', 3)",
            "UPDATE e SET x = 'y' WHERE x = 'Y'",
            "DELETE FROM d",
        ],
    );
}

#[test]
fn tables_without_a_key_are_multisets() {
    follow(
        "CREATE TABLE t(a, b); CREATE TABLE n(k TEXT PRIMARY KEY, v INT); CREATE TABLE r(rowid TEXT, oid INT);
         INSERT INTO t VALUES (1, 'x'), (1, 'x');",
        &["t", "n", "r"],
        &[
            "INSERT INTO t VALUES ('x', 'x'), ('x', 'x'), (NULL, NULL), (NULL, NULL)",
            "DELETE FROM t WHERE rowid = 1",
            "UPDATE t SET b = 'y' WHERE a = 'x'",
            "INSERT OR REPLACE INTO t(rowid, a, b) VALUES (3, 'r', 'r')",
            "UPDATE OR REPLACE t SET rowid = 4 WHERE rowid = 3",
            "INSERT INTO n VALUES (NULL, 1), (NULL, 2), ('k', 3)",
            "INSERT OR REPLACE INTO n VALUES ('k', 4), (NULL, 5)",
            "UPDATE OR REPLACE n SET k = 'k' WHERE v = 1",
            "INSERT INTO r VALUES ('a', 1), ('a', 1)",
            "UPDATE r SET oid = 2 WHERE _rowid_ = 1",
            "DELETE FROM n WHERE k IS NULL",
            "DELETE FROM t",
        ],
    );
}

#[test]
fn generated_columns_foreign_keys_and_other_triggers() {
    follow(
        "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE c(id INTEGER PRIMARY KEY, p INT REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, q INT REFERENCES p(id) ON DELETE SET NULL);
         CREATE TABLE tree(id INTEGER PRIMARY KEY, up INT REFERENCES tree ON DELETE CASCADE);
         CREATE TABLE g(id INTEGER PRIMARY KEY, a TEXT, low TEXT GENERATED ALWAYS AS (lower(a)) STORED UNIQUE, len INT AS (length(a)) VIRTUAL);
         CREATE UNIQUE INDEX glen ON g(len);
         CREATE TABLE audit(id INTEGER PRIMARY KEY, what TEXT);
         CREATE TRIGGER other_a AFTER INSERT ON p BEGIN INSERT INTO audit(what) VALUES ('new ' || NEW.name); UPDATE p SET name = name || '!' WHERE id = NEW.id; END;
         CREATE TRIGGER other_b BEFORE DELETE ON p BEGIN INSERT INTO audit(what) VALUES ('gone'); DELETE FROM audit WHERE id < NEW_MIN.x; END;"
            .replace(" DELETE FROM audit WHERE id < NEW_MIN.x;", "")
            .as_str(),
        &["p", "c", "tree", "g", "audit"],
        &[
            "INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c')",
            "INSERT INTO c VALUES (1, 1, 2), (2, 1, 1), (3, 2, 3)",
            "UPDATE p SET id = 20 WHERE id = 2",
            "DELETE FROM p WHERE id = 1",
            "DELETE FROM p WHERE id = 3",
            "INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 2), (5, 4)",
            "DELETE FROM tree WHERE id = 2",
            "INSERT INTO g(id, a) VALUES (1, 'A'), (2, 'Bb')",
            "INSERT OR REPLACE INTO g(id, a) VALUES (3, 'a')",
            "INSERT OR REPLACE INTO g(id, a) VALUES (4, 'xx')",
            "UPDATE OR REPLACE g SET a = 'yy' WHERE id = 3",
            "INSERT OR REPLACE INTO p VALUES (20, 'again')",
        ],
    );
}

#[test]
fn odd_names_and_all_storage_classes() {
    follow(
        "CREATE TABLE \"tä\"\"ble 'x'\"(\"clé \"\"1\"\"\" INTEGER PRIMARY KEY, \"select\" TEXT UNIQUE, [a b] BLOB, d DOUBLE, n);
         CREATE TABLE new(old INTEGER PRIMARY KEY, new TEXT UNIQUE);
         CREATE TABLE \"_vantage_equal2\"(id INTEGER PRIMARY KEY);",
        &["tä\"ble 'x'", "new"],
        &[
            "INSERT INTO \"tä\"\"ble 'x'\" VALUES (1, '日本', x'00ff', 0.1 + 0.2, 9223372036854775807)",
            "INSERT INTO \"tä\"\"ble 'x'\" VALUES (2, CAST(x'ff41' AS TEXT), 'text', 'abc', 1e300)",
            "INSERT INTO \"tä\"\"ble 'x'\" VALUES (3, x'00', 5, 9007199254740992, -1e-300), (4, NULL, NULL, 9e999, NULL)",
            "INSERT OR REPLACE INTO \"tä\"\"ble 'x'\"(\"select\") VALUES ('日本')",
            "INSERT INTO new VALUES (1, 'a'), (2, 'b')",
            "INSERT OR REPLACE INTO new VALUES (3, 'a')",
            "UPDATE OR REPLACE new SET new = 'b' WHERE old = 3",
            "UPDATE new SET old = 30",
        ],
    );
}

#[test]
fn the_owner_notices_nothing() {
    let file = File::captured(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, x INT); INSERT INTO t VALUES (41, 'a', 0);",
    );
    let mut python = Python::open(&file.path);
    python.execute("INSERT OR REPLACE INTO t(u) VALUES ('a')");
    assert_eq!(python.run("SELECT last_insert_rowid(), changes()"), "[[42, 1]]");
    python.execute("UPDATE t SET x = 1");
    assert_eq!(python.run("SELECT changes()"), "[[1]]");
    // The owner may alter what no constraint holds.
    python.execute("ALTER TABLE t ADD COLUMN y TEXT");
    python.execute("ALTER TABLE t DROP COLUMN x");
    python.execute("ALTER TABLE t RENAME COLUMN u TO uu");
    python.execute("INSERT INTO t(uu, y) VALUES ('b', 'y')");
    python.execute("ALTER TABLE t RENAME TO t2");
    python.execute("INSERT INTO t2(uu, y) VALUES ('c', 'y')");
    assert_eq!(python.run("PRAGMA integrity_check"), "[[\"ok\"]]");
}
