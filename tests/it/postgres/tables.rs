//! Tables of all kinds: what their columns are here, and which of them cannot be followed.

use super::super::support::{http, text_of, vantage};
use super::Shop;

#[test]
fn tables_are_copied_and_followed() {
    let mut shop = Shop::new(
        "copied",
        "CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2), shelf int);
         CREATE TABLE shelves (id int PRIMARY KEY, place text);
         INSERT INTO shelves SELECT n, 'place ' || n FROM generate_series(1, 20) n;
         INSERT INTO items SELECT n, 'item ' || n, n / 7.0, n % 25 FROM generate_series(1, 9000) n;",
    );
    let server = shop.serve(
        "CREATE TABLE items FROM shop TABLE 'items';
         CREATE TABLE shelves FROM shop TABLE 'public.shelves';
         CREATE MATERIALIZED VIEW placed AS
           SELECT i.id, i.name, i.price, s.place FROM items i LEFT JOIN shelves s ON s.id = i.shelf;
         CREATE MATERIALIZED VIEW worth AS SELECT shelf, count(*) AS n, sum(price) AS worth FROM items GROUP BY shelf;",
    );
    let views = [
        ("placed", "SELECT i.id, i.name, i.price, s.place FROM items i LEFT JOIN shelves s ON s.id = i.shelf"),
        ("worth", "SELECT shelf, count(*) AS n, sum(price) AS worth FROM items GROUP BY shelf"),
    ];
    shop.compare(&server, &views);
    shop.owner.execute(
        "BEGIN; UPDATE items SET price = price + 1 WHERE id % 3 = 0; DELETE FROM shelves WHERE id > 15;
         INSERT INTO items VALUES (-1, 'é', NULL, 3); COMMIT",
    );
    shop.compare(&server, &views);
    shop.owner.execute(
        "UPDATE items SET id = id + 100000 WHERE id < 50; TRUNCATE shelves; INSERT INTO shelves VALUES (1, 'x')",
    );
    shop.compare(&server, &views);
    assert_eq!(server.terminate(), Some(0));
    shop.owner.execute("DELETE FROM items WHERE id % 2 = 0");
    let mut server = shop.site.serve();
    server.wait_ready();
    shop.compare(&server, &views);
}

#[test]
fn values_of_every_type_are_what_their_owner_sees() {
    let mut shop = Shop::new(
        "kinds",
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE DOMAIN cents AS int CHECK (VALUE >= 0);
         CREATE DOMAIN price AS numeric(8,2);
         CREATE TYPE pair AS (a int, b text);
         CREATE TABLE kinds (id bigint PRIMARY KEY, b boolean, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision,
           n numeric(12,4), bare numeric, t text, v varchar(20), c char(5), nm name, u uuid, j json, jb jsonb, d date,
           ts timestamp, tz timestamptz, tm time, iv interval, m mood, dom cents, dom2 price, arr int[], texts text[],
           r int4range, p pair, ip inet, bits bit(3), raw bytea);",
    );
    let fill = "SELECT n, n % 2 = 0, n - 5, n * 1000, n * 10000000000, n / 3.0, n * 1e10, n / 7.0, n * 1.5, 'text ''' || n,
           'v' || n, 'c' || n, 'name', md5(n::text)::uuid, '{\"a\": 1}', '{\"b\":  [1, null]}', date '2026-01-01' - n * 1000,
           timestamp '2026-01-01 12:00:00.123456' + n * interval '1 day', timestamptz '2026-01-01 12:00:00+02', '12:34:56.5',
           '1 day 02:03:04', CASE WHEN n % 2 = 0 THEN 'sad' ELSE 'ok' END::mood, n, n, ARRAY[n, NULL], ARRAY['a,b', '\"'],
           int4range(n::int, NULL), ROW(n, 'x')::pair, '10.0.0.1/8', B'101', decode('00ff' || lpad(to_hex(n), 2, '0'), 'hex')";
    shop.owner.execute(&format!("INSERT INTO kinds {fill} FROM generate_series(1, 40) n"));
    shop.owner.execute("INSERT INTO kinds (id) VALUES (0)");
    shop.owner.execute(
        "INSERT INTO kinds (id, f4, f8, d, ts, t, c) VALUES (-1, 'NaN', '-Infinity', '0044-03-15', '0001-01-01', '', ''),
         (-2, '0', 1e-320, '9999-12-31', '9999-12-31 23:59:59.999999', E'\\\\ \\n \\u00e9', 'x')",
    );
    let columns = "id, b, i2, i4, i8, f8, n, bare, t, v, d, ts, tz";
    let texts = "c, nm, u, j, jb, tm, iv, m, arr, texts, r, p, ip, bits";
    let server = shop.serve(&format!(
        "CREATE TABLE kinds FROM shop TABLE 'kinds';
         CREATE MATERIALIZED VIEW plain AS SELECT {columns}, f4, dom, dom2 FROM kinds;
         CREATE MATERIALIZED VIEW as_text AS SELECT id, {texts} FROM kinds;
         CREATE MATERIALIZED VIEW raw AS SELECT id, encode(raw, 'hex') AS raw FROM kinds;"
    ));
    let texts: Vec<String> = texts.split(", ").map(|it| format!("{it}::text AS {it}")).collect();
    let of_owner = columns.replace(" v,", " v::text AS v,");
    let plain = format!("SELECT {of_owner}, f4::text::float8 AS f4, dom::int AS dom, dom2::numeric AS dom2 FROM kinds");
    let as_text = format!("SELECT id, {} FROM kinds", texts.join(", "));
    let views: [(&str, &str); 3] =
        [("plain", &plain), ("as_text", &as_text), ("raw", "SELECT id, encode(raw, 'hex') AS raw FROM kinds")];
    shop.compare(&server, &views);
    // The same once more, by the other way.
    shop.owner.execute(&format!(
        "INSERT INTO kinds {fill} FROM generate_series(41, 80) n; DELETE FROM kinds WHERE id < 20 AND id > 0"
    ));
    shop.owner.execute("UPDATE kinds SET t = 'changed', b = NOT b, arr = arr || 7 WHERE id % 3 = 0");
    shop.compare(&server, &views);
}

#[test]
fn values_without_a_cell_are_errors_with_names() {
    let mut shop = Shop::new(
        "nocell",
        "CREATE TABLE odd (id int PRIMARY KEY, n numeric(6,2), bare numeric, d date);
         INSERT INTO odd VALUES (1, 'NaN', 1, '2026-01-01'), (2, 1, 'Infinity', 'infinity'), (3, 2, 0.12345678901, '2026-01-01'),
         (4, 3, 4, '2026-01-02');",
    );
    let server = shop.serve(
        "CREATE TABLE odd FROM shop TABLE 'odd';
         CREATE MATERIALIZED VIEW shown AS SELECT id, n, bare, d FROM odd;
         CREATE MATERIALIZED VIEW fine AS SELECT id, n FROM odd WHERE id > 3;",
    );
    for (id, words) in [
        (1, "\\\"NaN\\\" is no numeric(6,2)"),
        (2, "\\\"Infinity\\\" is no numeric(38,10)"),
        (3, "is no numeric(38,10)"),
    ] {
        let answer = http::get(server.address, &format!("/v1/views/shown/{id}"), &[]).expect("answer");
        assert!(answer.status != 200 && answer.body.contains(words), "{id}: {} {}", answer.status, answer.body);
    }
    shop.compare(&server, &[("fine", "SELECT id, n FROM odd WHERE id > 3")]);
    shop.owner.execute("UPDATE odd SET n = 1.5, bare = id, d = '2026-01-03'");
    shop.compare(&server, &[("shown", "SELECT id, n, bare, d FROM odd")]);
}

#[test]
fn a_declaration_may_take_some_columns_and_other_exact_types() {
    let mut shop = Shop::new(
        "subset",
        "CREATE TABLE items (shop int, id int, name text, price numeric(10,2), at timestamptz, PRIMARY KEY (shop, id));
         INSERT INTO items SELECT n % 3, n, 'i' || n, n / 4.0, now() FROM generate_series(1, 100) n;",
    );
    let server = shop.serve(
        "CREATE TABLE items (name text, id bigint, price numeric(20,4)) FROM shop TABLE 'items';
         CREATE TABLE again (shop text, id int, PRIMARY KEY (shop, id)) FROM shop TABLE 'items';
         CREATE MATERIALIZED VIEW a AS SELECT name, id, price FROM items;
         CREATE MATERIALIZED VIEW b AS SELECT shop, id FROM again;",
    );
    let views = [("a", "SELECT name, id::bigint, price FROM items"), ("b", "SELECT shop::text AS shop, id FROM items")];
    shop.compare(&server, &views);
    shop.owner
        .execute("UPDATE items SET shop = shop + 1, price = 0 WHERE id % 2 = 0; DELETE FROM items WHERE shop = 1");
    shop.compare(&server, &views);
}

/// What is told of a table that cannot be followed, with what to do; nothing is done to the owner's database for it.
#[test]
fn tables_that_cannot_be_followed_are_refused_by_name() {
    let mut shop = Shop::new(
        "refused",
        "CREATE TABLE keyless (a int); CREATE TABLE keyless_full (a int); ALTER TABLE keyless_full REPLICA IDENTITY FULL;
         CREATE TABLE nothing (a int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
         CREATE TABLE later (a int PRIMARY KEY DEFERRABLE); CREATE UNLOGGED TABLE unlogged (a int PRIMARY KEY);
         CREATE VIEW seen AS SELECT 1 AS a; CREATE TABLE computed (a int PRIMARY KEY, b int GENERATED ALWAYS AS (a + 1) STORED);
         CREATE TABLE fine (a int PRIMARY KEY, b timestamp); CREATE TABLE whole (a int NOT NULL UNIQUE, b int);
         ALTER TABLE whole REPLICA IDENTITY FULL; INSERT INTO whole VALUES (1, 2); INSERT INTO fine VALUES (1, now());",
    );
    for (table, columns, words) in [
        ("keyless", "", "ADD PRIMARY KEY"),
        ("keyless_full", "", "REPLICA IDENTITY USING INDEX"),
        ("keyless_full", "", "ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
        ("nothing", "", "REPLICA IDENTITY NOTHING"),
        ("later", "", "ADD PRIMARY KEY"),
        ("unlogged", "", "SET LOGGED"),
        ("seen", "", "a view"),
        ("computed", "", "generated"),
        ("fine", "(c int)", "no column"),
        ("fine", "(b timestamptz)", "not read as timestamptz"),
        ("fine", "(b timestamp PRIMARY KEY)", "tells its rows apart by (a)"),
    ] {
        shop.declare(&format!("CREATE TABLE t {columns} FROM shop TABLE '{table}';"));
        let output =
            vantage().current_dir(shop.site.root()).args(["check", "--views", "views"]).output().expect("check");
        assert!(text_of(&output).contains(words), "{table}{columns}: {}", text_of(&output));
    }
    let server =
        shop.serve("CREATE TABLE whole FROM shop TABLE 'whole'; CREATE MATERIALIZED VIEW v AS SELECT a, b FROM whole;");
    shop.owner.execute("UPDATE whole SET b = 3; INSERT INTO whole VALUES (2, 2); UPDATE whole SET a = 5 WHERE a = 1");
    shop.compare(&server, &[("v", "SELECT a, b FROM whole")]);
    let published = shop.owner.query("SELECT tablename FROM pg_publication_tables").expect("tables").rows;
    assert_eq!(published, [[Some("whole".to_string())]]);
}

/// What is advised where rows are not unique.
#[test]
fn equal_rows_that_are_numbered_are_followed() {
    let mut shop = Shop::new(
        "numbered",
        "CREATE TABLE visits (page text); INSERT INTO visits VALUES ('a'), ('a'), ('b');
         ALTER TABLE visits ADD COLUMN row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;",
    );
    let server = shop.serve(
        "CREATE TABLE visits (page text) FROM shop TABLE 'visits';
         CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM visits GROUP BY page;",
    );
    let views = [("pages", "SELECT page, count(*) AS n FROM visits GROUP BY page")];
    shop.compare(&server, &views);
    shop.owner.execute(
        "INSERT INTO visits VALUES ('b'), ('a'); DELETE FROM visits WHERE ctid = (SELECT min(ctid) FROM visits WHERE page = 'a')",
    );
    shop.compare(&server, &views);
}
