//! What can happen to rows: keys that change, values too large to be sent again, tables emptied, transactions of many
//! tables, and changes of the tables themselves.

use serde_json::{Value, json};

use super::super::support::{Server, http};
use super::faults::{wait_for_words, with_options};
use super::{Shop, wait_for};

/// Texts that are stored out of line, and do not shrink when they are compressed.
const LARGE: &str = "CREATE FUNCTION large(seed text) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT string_agg(md5(seed || n), '') FROM generate_series(1, 300) n $$;";

#[test]
fn keys_change_and_large_values_stay() {
    let mut shop = Shop::new(
        "toast",
        &format!(
            "{LARGE}
             CREATE TABLE docs (id int PRIMARY KEY, kind text, body text, note text);
             ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
             INSERT INTO docs SELECT n, 'k' || n % 3, large('a' || n), 'n' FROM generate_series(1, 60) n;
             CREATE TABLE whole (id int PRIMARY KEY, body text, note text);
             ALTER TABLE whole REPLICA IDENTITY FULL;
             INSERT INTO whole SELECT n, large('w' || n), 'n' FROM generate_series(1, 20) n;
             CREATE TABLE coded (code text NOT NULL, kind text NOT NULL, body text);
             CREATE UNIQUE INDEX coded_key ON coded (kind, code);
             ALTER TABLE coded REPLICA IDENTITY USING INDEX coded_key;
             INSERT INTO coded SELECT 'c' || n, 'k' || n % 2, large('c' || n) FROM generate_series(1, 20) n;"
        ),
    );
    let server = shop.serve(
        "CREATE TABLE docs FROM shop TABLE 'docs';
         CREATE TABLE whole FROM shop TABLE 'whole';
         CREATE TABLE coded FROM shop TABLE 'coded';
         CREATE MATERIALIZED VIEW bodies AS SELECT id, kind, body, note FROM docs;
         CREATE MATERIALIZED VIEW wholes AS SELECT id, body, note FROM whole;
         CREATE MATERIALIZED VIEW codes AS SELECT kind, code, body FROM coded;",
    );
    let views = [
        ("bodies", "SELECT id, kind, body, note FROM docs"),
        ("wholes", "SELECT id, body, note FROM whole"),
        ("codes", "SELECT kind, code, body FROM coded"),
    ];
    shop.compare(&server, &views);
    for script in [
        // Values that are left out as unchanged.
        "UPDATE docs SET note = 'other' WHERE id < 20; UPDATE whole SET note = 'other'; UPDATE coded SET body = body",
        // A key changes, and the large value is left out.
        "UPDATE docs SET id = id + 1000 WHERE id % 5 = 0",
        "UPDATE whole SET id = id + 1000; UPDATE coded SET code = code || 'x' WHERE kind = 'k1'",
        // All of this in one transaction, back and forth.
        "BEGIN; UPDATE docs SET id = -id WHERE id < 10; UPDATE docs SET note = 'back' WHERE id < 0;
         UPDATE docs SET body = large('new') WHERE id = -3; UPDATE docs SET id = -id WHERE id < 0;
         UPDATE docs SET id = id + 5000 WHERE id IN (3, 4); COMMIT",
        // A key is given to another row in the transaction that frees it.
        "BEGIN; UPDATE docs SET id = 90001 WHERE id = 11; UPDATE docs SET id = 11 WHERE id = 12;
         UPDATE docs SET id = 12 WHERE id = 90001; COMMIT",
        "BEGIN; DELETE FROM docs WHERE id = 13; INSERT INTO docs VALUES (13, 'again', large('13'), NULL); COMMIT",
        "UPDATE docs SET body = NULL WHERE id % 7 = 0; UPDATE docs SET body = large('later') WHERE id % 7 = 0",
    ] {
        shop.owner.execute(script);
        shop.compare(&server, &views);
    }
}

#[test]
fn transactions_come_whole_or_not_at_all() {
    let mut shop = Shop::new(
        "whole",
        "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
         CREATE TABLE moves (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, amount int);
         INSERT INTO accounts SELECT n, 100 FROM generate_series(1, 50) n;",
    );
    let server = shop.serve(
        "CREATE TABLE accounts FROM shop TABLE 'accounts';
         CREATE TABLE moves FROM shop TABLE 'moves';
         CREATE MATERIALIZED VIEW total AS SELECT sum(balance) AS total FROM accounts;
         CREATE MATERIALIZED VIEW moved AS SELECT count(*) AS n, sum(amount) AS amount FROM moves;",
    );
    for round in 0..200 {
        let (from, to, amount) = (round % 50 + 1, (round * 7 + 3) % 50 + 1, round % 13);
        shop.owner.execute(&format!(
            "BEGIN; UPDATE accounts SET balance = balance - {amount} WHERE id = {from};
             SAVEPOINT a; UPDATE accounts SET balance = balance + 77 WHERE id = {to}; ROLLBACK TO a;
             UPDATE accounts SET balance = balance + {amount} WHERE id = {to};
             INSERT INTO moves (amount) VALUES ({amount}); {}",
            if round % 10 == 9 { "ROLLBACK" } else { "COMMIT" }
        ));
        let answer = http::sql(server.address, "SELECT total FROM total").expect("answer");
        assert_eq!(answer.json()["rows"], json!([[5000]]), "a transaction was split");
    }
    let views = [
        ("total", "SELECT sum(balance) AS total FROM accounts"),
        ("moved", "SELECT count(*) AS n, sum(amount) AS amount FROM moves"),
    ];
    shop.compare(&server, &views);
    // A large one, which the server keeps on its disk until it commits.
    shop.owner.execute(
        "SET logical_decoding_work_mem = '64kB'; BEGIN;
         INSERT INTO moves (amount) SELECT 1 FROM generate_series(1, 50000); UPDATE accounts SET balance = balance + 1; COMMIT",
    );
    shop.compare(&server, &views);
}

#[test]
fn a_transaction_that_is_too_large_is_named_and_waits() {
    let declared = "CREATE TABLE moves FROM shop TABLE 'moves';
         CREATE MATERIALIZED VIEW moved AS SELECT count(*) AS n, sum(amount) AS amount FROM moves;";
    let views = [("moved", "SELECT count(*) AS n, sum(amount) AS amount FROM moves")];
    let mut shop = Shop::new(
        "toolarge",
        "CREATE TABLE moves (id int PRIMARY KEY, amount int); INSERT INTO moves SELECT n, n FROM generate_series(1, 10) n",
    );
    with_options(&mut shop, &[("transaction.max.mb", "1")]);
    let mut server = shop.serve(declared);
    shop.owner.execute("INSERT INTO moves SELECT n, n FROM generate_series(11, 1000) n");
    shop.owner.execute("BEGIN; INSERT INTO moves SELECT n, n FROM generate_series(1001, 50000) n; ROLLBACK");
    shop.compare(&server, &views);
    shop.owner
        .execute("INSERT INTO moves SELECT n, 1 FROM generate_series(1001, 50000) n; DELETE FROM moves WHERE id < 9");
    wait_for_words(&mut server, "raise the option transaction.max.mb");
    let answer = http::sql(server.address, "SELECT n FROM moved").expect("answer");
    assert_eq!(answer.json()["rows"], json!([[1000]]), "a part of a transaction was applied");
    with_options(&mut shop, &[("transaction.max.mb", "64")]);
    assert_eq!(server.terminate(), Some(0));
    let server = shop.serve(declared);
    shop.compare(&server, &views);
}

#[test]
fn tables_are_emptied() {
    let mut shop = Shop::new(
        "emptied",
        "CREATE TABLE parents (id int PRIMARY KEY);
         CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents);
         INSERT INTO parents SELECT generate_series(1, 100); INSERT INTO children SELECT n, n FROM generate_series(1, 100) n;",
    );
    let mut server = shop.serve(
        "CREATE TABLE parents FROM shop TABLE 'parents';
         CREATE TABLE children FROM shop TABLE 'children';
         CREATE MATERIALIZED VIEW pairs AS SELECT c.id, p.id AS parent FROM children c JOIN parents p ON p.id = c.parent;
         CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM children;",
    );
    let views = [
        ("pairs", "SELECT c.id, p.id AS parent FROM children c JOIN parents p ON p.id = c.parent"),
        ("counted", "SELECT count(*) AS n FROM children"),
    ];
    for script in [
        "TRUNCATE children",
        "BEGIN; INSERT INTO children SELECT n, n FROM generate_series(1, 10) n; TRUNCATE parents CASCADE;
         INSERT INTO parents VALUES (1), (2); INSERT INTO children VALUES (5, 1); COMMIT",
        "BEGIN; TRUNCATE parents CASCADE; ROLLBACK",
        "BEGIN; INSERT INTO children VALUES (6, 2); TRUNCATE children; COMMIT",
    ] {
        shop.owner.execute(script);
        shop.compare(&server, &views);
    }
    // Rows that a truncation has written anew as a whole are copied again; what was read stays right meanwhile.
    server.wait_ready();
    shop.compare(&server, &views);
}

#[test]
fn partitions_are_one_table() {
    let mut shop = Shop::new(
        "parts",
        "CREATE TABLE events (id int, day date NOT NULL, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
         CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
         CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
         INSERT INTO events SELECT n, date '2026-01-01' + n % 59, 'e' || n FROM generate_series(1, 500) n;",
    );
    let mut server = shop.serve(
        "CREATE TABLE events FROM shop TABLE 'events';
         CREATE MATERIALIZED VIEW days AS SELECT day, count(*) AS n FROM events GROUP BY day;
         CREATE MATERIALIZED VIEW everything AS SELECT id, day, what FROM events;",
    );
    let views = [
        ("days", "SELECT day, count(*) AS n FROM events GROUP BY day"),
        ("everything", "SELECT id, day, what FROM events"),
    ];
    shop.compare(&server, &views);
    shop.owner
        .execute("UPDATE events SET what = 'x' WHERE id < 100; UPDATE events SET day = '2026-02-20' WHERE id % 9 = 0");
    shop.compare(&server, &views);
    // What happens to partitions is not replicated: the table is copied again, as a difference.
    for script in [
        "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
         INSERT INTO events VALUES (9001, '2026-03-05', 'march')",
        "CREATE TABLE loose (LIKE events); ALTER TABLE loose ADD PRIMARY KEY (id, day);
         INSERT INTO loose SELECT n, '2026-04-01', 'april' FROM generate_series(1, 10) n;
         ALTER TABLE events ATTACH PARTITION loose FOR VALUES FROM ('2026-04-01') TO ('2026-05-01')",
        "TRUNCATE events_2",
        "DROP TABLE events_1",
        "ALTER TABLE events DETACH PARTITION loose",
    ] {
        shop.owner.execute(script);
        let expected = shop.owner.query("SELECT count(*) FROM events").expect("count").rows[0][0].clone();
        let expected: i64 = expected.expect("count").parse().expect("number");
        let sql = "SELECT coalesce(sum(n), 0) FROM days";
        let deadline = std::time::Instant::now() + super::super::support::PATIENCE;
        while http::sql(server.address, sql).expect("answer").json()["rows"] != json!([[expected]]) {
            assert!(std::time::Instant::now() < deadline, "{script}: {}", server.log());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        server.wait_ready();
        shop.compare(&server, &views);
    }
}

fn status(server: &Server, name: &str) -> Value {
    let views = http::get(server.address, "/v1/views", &[]).expect("views").json();
    let found = views.as_array().expect("views").iter().find(|it| it["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("{name} is not listed: {views}"))["status"].clone()
}

fn wait_for_state(server: &mut Server, name: &str, state: &str) -> Value {
    server.wait_for("/v1/views", |answer| {
        let all = answer.json();
        all.as_array().is_some_and(|it| it.iter().any(|it| it["name"] == name && it["status"]["state"] == state))
    });
    status(server, name)
}

#[test]
fn columns_come_and_go() {
    let mut shop = Shop::new(
        "columns",
        "CREATE TABLE items (id int PRIMARY KEY, name text, price numeric(10,2));
         CREATE TABLE tags (id int PRIMARY KEY, tag text);
         INSERT INTO items SELECT n, 'i' || n, n FROM generate_series(1, 100) n;
         INSERT INTO tags SELECT n, 't' || n % 5 FROM generate_series(1, 100) n;",
    );
    let mut server = shop.serve(
        "CREATE TABLE items FROM shop TABLE 'items';
         CREATE TABLE tags FROM shop TABLE 'tags';
         CREATE MATERIALIZED VIEW prices AS SELECT id, name, price FROM items;
         CREATE MATERIALIZED VIEW tag_count AS SELECT tag, count(*) AS n FROM tags GROUP BY tag;",
    );
    let prices = [("prices", "SELECT id, name, price FROM items")];
    let tags = [("tag_count", "SELECT tag, count(*) AS n FROM tags GROUP BY tag")];
    // Nobody reads the new column.
    shop.owner
        .execute("ALTER TABLE items ADD COLUMN colour text DEFAULT 'red'; UPDATE items SET name = 'x' WHERE id < 5");
    shop.compare(&server, &prices);
    shop.owner.execute("ALTER TABLE items DROP COLUMN colour; UPDATE items SET name = 'y' WHERE id < 5");
    shop.compare(&server, &prices);
    // A column that is followed gets another type: that table is halted, the other one is not.
    shop.owner.execute("ALTER TABLE items ALTER price TYPE text; UPDATE items SET price = 'dear' WHERE id = 1");
    let told = wait_for_state(&mut server, "prices", "stale");
    assert!(told.to_string().contains("\\\"price\\\" was numeric(10,2) and is of type text now"), "{told}");
    shop.owner.execute("UPDATE tags SET tag = 'new' WHERE id < 20");
    shop.compare(&server, &tags);
    // Mended, it is copied again.
    shop.owner.execute("UPDATE items SET price = '1' WHERE id = 1; ALTER TABLE items ALTER price TYPE numeric(10,2) USING price::numeric + 1");
    wait_for_state(&mut server, "prices", "live");
    shop.compare(&server, &prices);
    shop.owner.execute("ALTER TABLE items RENAME COLUMN name TO title");
    let told = wait_for_state(&mut server, "prices", "stale");
    assert!(told.to_string().contains("no longer has the column"), "{told}");
    shop.owner.execute("ALTER TABLE items RENAME COLUMN title TO name");
    wait_for_state(&mut server, "prices", "live");
    shop.compare(&server, &prices);
    // All of it while nobody was looking.
    assert_eq!(server.terminate(), Some(0));
    shop.owner.execute(
        "UPDATE items SET price = 7; ALTER TABLE items DROP COLUMN price; UPDATE items SET name = 'no price';
         ALTER TABLE items ADD COLUMN price numeric(10,2) DEFAULT 5; UPDATE items SET name = 'priced' WHERE id < 50",
    );
    let mut server = shop.site.serve();
    server.wait_ready();
    shop.compare(&server, &prices);
    shop.owner.execute("DROP TABLE items");
    let told = wait_for_state(&mut server, "prices", "stale");
    assert!(told.to_string().contains("there is no table public.items"), "{told}");
    shop.compare(&server, &tags);
    let token = shop.token();
    wait_for(&server, "tag_count", &token);
}
