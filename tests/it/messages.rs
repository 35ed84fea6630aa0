//! Every refusal a user can meet, gone through by the dozen: no word of the libraries below, right plurals, a place where
//! there is one, and something to do.

use super::support::{Site, http, text_of, vantage};

const VIEWS: &str = "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');
CREATE TABLE items FROM shop TABLE 'items';
CREATE TABLE kinds FROM shop TABLE 'kinds';
-- Named only.
CREATE VIEW dear AS SELECT id, name, price FROM items WHERE price > 10;
CREATE MATERIALIZED VIEW by_kind AS SELECT kind, count(*) AS items, sum(price) AS total FROM items GROUP BY kind;
";

fn shop() -> Site {
    let site = Site::new();
    site.write_views(VIEWS);
    let shop = site.service("shop.db");
    shop.execute_batch(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, kind INTEGER, price INTEGER, at TIMESTAMP, ok BOOLEAN);
         CREATE TABLE kinds (id INTEGER PRIMARY KEY, title TEXT COLLATE NOCASE);
         INSERT INTO items VALUES (1, 'ball', 1, 12, '2026-01-01 00:00:00', 1), (2, 'kite', 1, 5, NULL, 0),
                                  (3, NULL, 2, NULL, NULL, NULL);
         INSERT INTO kinds VALUES (1, 'Toys'), (2, 'Tools')",
    )
    .expect("shop");
    site.install_capture("shop.db");
    site
}

/// Words only DataFusion, Arrow, the SQL parser, RocksDB or Rust say.
const FOREIGN: &[&str] = &[
    "datafusion",
    "sqlparser",
    "sql parser",
    "rocksdb",
    "logicalplan",
    "logical plan",
    "logical expression",
    "physical plan",
    "physical expr",
    "int64",
    "int32",
    "uint",
    "utf8",
    "float64",
    "decimal128",
    "date32",
    "timestamp(µs",
    "timestamp(micro",
    "timestamp(nano",
    "largeutf8",
    "list(",
    "schema error",
    "error during planning",
    "internal error:",
    "execution error",
    "arrow error",
    "cast error",
    "parser error",
    "compute error",
    "not implemented",
    "candidate functions",
    "coerc",
    "type_coercion",
    "signature",
    "expr::",
    "scalarfunction",
    "aggregatefunction",
    "aggregateudf",
    "scalar udf",
    "scalarsubquery",
    "scalar subquery",
    "sqltorel",
    "ast node",
    "bug in",
    "bug report",
    "github",
    "apache",
    "some(",
    "none)",
    " { ",
    "vantage.public",
    "backtrace",
    "no field named",
    "valid fields",
    "did you mean '",
    "invalid function",
    "table provider",
    "recordbatch",
    "record batch",
    "panicked",
    "unwrap",
    "external error",
    "at line:",
    "column: ",
    "found: eof",
    "expected: ",
    "serde",
    "missing field `",
    "unknown field `",
    "invalid type:",
];

/// Nouns that are counted in messages.
const NOUNS: &[&str] = &[
    "row",
    "view",
    "table",
    "source",
    "index",
    "column",
    "value",
    "key",
    "parameter",
    "argument",
    "filter",
    "byte",
    "change",
    "statement",
    "relation",
    "query",
    "request",
];

/// What is wrong with the words of `text`, which `what` has brought about.
fn wrong_words(what: &str, text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    // What the user wrote may be repeated.
    if let Some(word) = FOREIGN.iter().find(|it| lower.contains(**it) && !what.to_lowercase().contains(**it)) {
        return Some(format!("{what}\n    says {word:?}: {text}"));
    }
    if text.contains("the log tells more of") {
        return Some(format!("{what}\n    is not recognised: {text}"));
    }
    let words: Vec<&str> = lower.split(|it: char| !it.is_ascii_alphanumeric() && it != ',').collect();
    let wrong = words.windows(2).find(|pair| {
        let number = pair[0].trim_end_matches(',');
        let counts =
            !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit() || it == b',') && number == pair[0];
        let noun = pair[1].trim_end_matches(',');
        let plurals = NOUNS.iter().map(|it| (*it, plural(it)));
        counts && plurals.into_iter().any(|(one, many)| if number == "1" { noun == many } else { noun == one })
    });
    wrong.map(|pair| format!("{what}\n    has a wrong plural, {pair:?}: {text}"))
}

fn plural(noun: &str) -> String {
    vantage::change::counted(2, noun).trim_start_matches("2 ").into()
}

fn none_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Statements that are refused or fail: the SQLSTATE, and whether the place is told.
const STATEMENTS: &[(&str, &str, bool)] = &[
    ("", "42601", false),
    (";", "42601", false),
    ("SELEC 1", "42601", true),
    ("SELECT", "42601", false),
    ("SELECT 1 +", "42601", false),
    ("SELECT 'a", "42601", true),
    ("SELECT \"a", "42601", true),
    ("SELECT /* a", "42601", true),
    ("SELECT (1", "42601", false),
    ("SELECT 1)", "42601", true),
    ("SELECT * FROM items WHERE", "42601", false),
    ("SELECT * FROM items ORDER id", "42601", true),
    ("SELECT 1; SELECT 2", "42601", false),
    ("SELECT nope FROM items", "42703", true),
    ("SELECT items.nope FROM items", "42703", true),
    ("SELECT nope.id FROM items", "42703", true),
    ("SELECT id FROM items, kinds", "42702", true),
    ("SELECT i.id AS a FROM items i ORDER BY b", "42703", true),
    ("SELECT * FROM nope", "42P01", true),
    ("SELECT * FROM a.b.nope", "42P01", true),
    ("SELECT * FROM information_schema.tables", "42P01", false),
    ("SELECT * FROM pg_catalog.pg_class", "42P01", false),
    ("SELECT * FROM pg_tables", "42P01", false),
    ("SELECT nope(1)", "42883", true),
    ("SELECT json_extract(name, '$.a') FROM items", "42883", true),
    ("SELECT lenght(name) FROM items", "42883", true),
    ("SELECT to_char(at, 'YYYY') FROM items", "42883", true),
    ("SELECT random()", "42883", true),
    ("SELECT pg_sleep(1)", "42883", true),
    ("SELECT * FROM generate_series(1, 10)", "0A000", false),
    ("SELECT lower(id, 2) FROM items", "42883", false),
    ("SELECT substr(name) FROM items", "42601", false),
    ("SELECT abs(name) FROM items", "42883", false),
    ("SELECT sum(name) FROM items", "42883", false),
    ("SELECT avg(ok) FROM items", "42883", false),
    ("SELECT round(name, 1) FROM items", "42883", false),
    ("SELECT date_trunc('day', id) FROM items", "42883", false),
    ("SELECT id + name FROM items", "42883", true),
    ("SELECT ok + 1 FROM items", "42883", true),
    ("SELECT at + 1 FROM items", "42883", true),
    ("SELECT -name FROM items", "42883", true),
    ("SELECT NOT id FROM items", "42804", true),
    ("SELECT * FROM items WHERE id", "42804", false),
    ("SELECT * FROM items WHERE id = at", "42883", false),
    ("SELECT CASE WHEN ok THEN 1 ELSE at END FROM items", "42804", true),
    ("SELECT id, count(*) FROM items", "42803", true),
    ("SELECT kind, name FROM items GROUP BY kind", "42803", true),
    ("SELECT kind FROM items GROUP BY kind HAVING name = 'x'", "42803", true),
    ("SELECT kind FROM items GROUP BY kind ORDER BY name", "42803", true),
    ("SELECT id FROM items WHERE count(*) > 1", "42803", false),
    ("SELECT id FROM items HAVING id > 1", "42803", true),
    ("SELECT id FROM items ORDER BY 3", "42P10", true),
    ("SELECT id FROM items ORDER BY 0", "42P10", true),
    ("SELECT id FROM items GROUP BY 3", "42P10", true),
    ("SELECT DISTINCT name FROM items ORDER BY id", "42P10", false),
    ("SELECT 1 UNION SELECT 1, 2", "42601", true),
    ("SELECT 1, 2 INTERSECT SELECT 1", "42601", true),
    ("SELECT id FROM items UNION SELECT at FROM items", "42804", false),
    ("VALUES (1, 2), (3)", "42601", false),
    ("SELECT (SELECT id, name FROM items)", "42601", false),
    ("SELECT id FROM items WHERE id IN (SELECT id, name FROM items)", "42601", true),
    ("SELECT (SELECT id FROM items)", "21000", false),
    ("SELECT * FROM (VALUES ((SELECT min(id) FROM items))) v", "0A000", false),
    ("SELECT id, (SELECT name FROM kinds k WHERE k.id > i.kind) FROM items i", "0A000", false),
    ("SELECT id IN (SELECT id FROM kinds) FROM items", "0A000", false),
    ("SELECT id FROM items WHERE id = ANY (SELECT id FROM kinds)", "0A000", false),
    ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t", "0A000", false),
    ("SELECT name COLLATE \"de_DE\" FROM items", "0A000", true),
    ("SELECT name FROM items WHERE name SIMILAR TO 'a'", "0A000", false),
    ("SELECT (id, name) FROM items", "42883", false),
    ("SELECT id FROM items WHERE (id, kind) = (1, 2, 3)", "0A000", true),
    ("SELECT id FROM items WHERE (id, kind) = 1", "0A000", true),
    ("SELECT id FROM items WHERE (id, kind) IN (SELECT id, id FROM kinds)", "0A000", true),
    ("SELECT name::varchar(3) FROM items", "0A000", true),
    ("SELECT name::jsonb FROM items", "0A000", false),
    ("SELECT name::nope FROM items", "0A000", false),
    ("SELECT 1::numeric(99, 2)", "0A000", true),
    ("SELECT ok::date FROM items", "42846", false),
    ("SELECT 'x'::bigint", "22P02", false),
    ("SELECT name::bigint FROM items WHERE id = 1", "22P02", false),
    ("SELECT id FROM items WHERE id = 'x'", "22P02", false),
    ("SELECT 'x'::date", "22007", false),
    ("SELECT 'x'::timestamp", "22007", false),
    ("SELECT 'maybe'::boolean", "22P02", false),
    ("SELECT 'x'::numeric", "22P02", false),
    ("SELECT INTERVAL 'x'", "0A000", true),
    ("SELECT 1 / 0", "22012", false),
    ("SELECT 1 / (id - id) FROM items", "22012", false),
    ("SELECT 9223372036854775807 + id FROM items", "22003", false),
    ("SELECT name ~ '(' FROM items", "2201B", false),
    ("SELECT name ~ '(((a{200}){200}){200})' FROM items WHERE id = 1", "54000", false),
    ("SELECT date_trunc('fortnight', at) FROM items", "22023", false),
    ("SELECT $1", "42P02", false),
    ("SELECT id FROM items WHERE id = $1", "42P02", false),
    ("SELECT id FROM items LIMIT -1", "2201W", true),
    ("SELECT id FROM items LIMIT 'x'", "42804", true),
    ("SELECT sum(id) OVER (ROWS BETWEEN CURRENT ROW AND UNBOUNDED PRECEDING) FROM items", "42P20", false),
    ("SELECT sum(id) OVER w FROM items", "42704", false),
    ("EXPLAIN SELECT 1", "0A000", false),
    ("SHOW TABLES", "0A000", false),
    ("SHOW server_version", "0A000", false),
    ("DESCRIBE items", "0A000", false),
    ("SET search_path = x", "0A000", false),
    ("BEGIN", "0A000", false),
    ("PREPARE a AS SELECT 1", "0A000", false),
    ("INSERT INTO items VALUES (1)", "25006", false),
    ("DELETE FROM items", "25006", false),
    ("DROP TABLE items", "25006", false),
    ("COPY items TO '/tmp/x'", "25006", false),
    ("SELECT * FROM items FOR UPDATE", "25006", false),
    ("SELECT id FROM items FETCH FIRST 1 ROWS WITH TIES", "0A000", true),
    ("SELECT pg_catalog.nope(name) FROM items", "42883", true),
    ("SELECT * FROM items TABLESAMPLE BERNOULLI (1)", "0A000", true),
    ("SELECT id FROM items GROUP BY ALL NOPE", "42601", true),
];

/// Requests that are refused: method, path, body, status.
const REQUESTS: &[(&str, &str, &str, u16)] = &[
    ("GET", "//", "", 404),
    ("GET", "/", "", 404),
    ("GET", "/v1/views/nope", "", 404),
    ("GET", "/v1/views/item", "", 404),
    ("GET", "/v1/views/dear", "", 400),
    ("GET", "/v1/views/dear/1", "", 400),
    ("GET", "/v1/schema/nope", "", 404),
    ("GET", "/v1/views/items/99", "", 404),
    ("GET", "/v1/views/items/x", "", 400),
    ("GET", "/v1/views/items/1,2", "", 400),
    ("GET", "/v1/views/items/%zz", "", 400),
    ("GET", "/v1/views/items/1?id=eq.1", "", 400),
    ("GET", "/v1/views/items?nope=eq.1", "", 400),
    ("GET", "/v1/views/items?nmae=eq.1", "", 400),
    ("GET", "/v1/views/items?id=1", "", 400),
    ("GET", "/v1/views/items?id=eq.x", "", 400),
    ("GET", "/v1/views/items?id=eqq.1", "", 400),
    ("GET", "/v1/views/items?id=in.1", "", 400),
    ("GET", "/v1/views/items?id=in.(1", "", 400),
    ("GET", "/v1/views/items?id=like.a", "", 400),
    ("GET", "/v1/views/items?name=match.(", "", 400),
    ("GET", "/v1/views/items?name=match.(%3F=a)", "", 400),
    ("GET", "/v1/views/items?name=fts.a", "", 400),
    ("GET", "/v1/views/items?id=eq(some).{1}", "", 400),
    ("GET", "/v1/views/items?or=", "", 400),
    ("GET", "/v1/views/items?or=()", "", 400),
    ("GET", "/v1/views/items?or=(id.eq.1", "", 400),
    ("GET", "/v1/views/items?or=(id)", "", 400),
    ("GET", "/v1/views/items?or=(nope.eq.1,id.eq.1)", "", 400),
    ("GET", "/v1/views/items?select=nope", "", 400),
    ("GET", "/v1/views/items?select=id,id:name", "", 400),
    ("GET", "/v1/views/items?select=id::nope", "", 400),
    ("GET", "/v1/views/items?select=id::varchar(3)", "", 400),
    ("GET", "/v1/views/items?select=name::bigint", "", 422),
    ("GET", "/v1/views/items?select=kinds(title)", "", 400),
    ("GET", "/v1/views/items?select=name-%3Ea", "", 400),
    ("GET", "/v1/views/items?order=nope", "", 400),
    ("GET", "/v1/views/items?order=id.up", "", 400),
    ("GET", "/v1/views/items?limit=x", "", 400),
    ("GET", "/v1/views/items?limit=1000000", "", 400),
    ("GET", "/v1/views/items?offset=-1", "", 400),
    ("GET", "/v1/views/items?errors=no", "", 400),
    ("GET", "/v1/views/items?cursor=00", "", 400),
    ("PUT", "/v1/views/items/1", "{}", 405),
    ("POST", "/v1/views/items", "{}", 405),
    ("GET", "/v1/sql", "", 405),
    ("POST", "/v1/sql", "", 400),
    ("POST", "/v1/sql", "{", 400),
    ("POST", "/v1/sql", "SELECT 1", 400),
    ("POST", "/v1/sql", "{\"query\": \"SELECT 1\"}", 400),
    ("POST", "/v1/sql", "{\"sql\": 1}", 400),
    ("POST", "/v1/sql", "{\"sql\": \"SELECT $1\", \"params\": [1, 2]}", 400),
    ("POST", "/v1/sql", "{\"sql\": \"SELECT id FROM items WHERE id = $1\", \"params\": [\"x\"]}", 400),
    ("POST", "/v1/sql", "{\"sql\": \"SELECT id FROM items WHERE id = $1\", \"params\": [{}]}", 400),
    ("POST", "/v1/views/items/batch", "{\"keys\": 1}", 400),
    ("POST", "/v1/views/items/batch", "{\"keys\": [[1, 2]]}", 400),
    ("POST", "/v1/views/items/batch", "{\"keys\": [\"x\"]}", 400),
    ("POST", "/v1/views/items/batch", "{\"keys\": [1], \"select\": [\"nope\"]}", 400),
];

#[test]
fn requests_and_statements_are_refused_in_our_own_words() {
    let site = shop();
    let mut server = site.serve();
    server.wait_ready();
    let mut wrong = Vec::new();
    for (sql, code, placed) in STATEMENTS {
        let answer = http::sql(server.address, sql).expect("answer");
        wrong.extend(wrong_words(sql, &answer.body));
        let json = answer.json();
        if json["code"] != *code || (json["line"].is_u64() != *placed) {
            wrong.push(format!("{sql}\n    {code} {placed}, got {}", answer.body));
        }
    }
    for (method, path, body, status) in REQUESTS {
        let what = format!("{method} {path} {body}");
        let answer = http::request(server.address, method, path, &[], body).expect("answer");
        let problem = answer.header("content-type") == Some("application/problem+json");
        if answer.status != *status || !problem || answer.header("allow").is_some() != (*status == 405) {
            wrong.push(format!("{what}\n    {status}, got {} {}", answer.status, answer.body));
            continue;
        }
        wrong.extend(wrong_words(&what, &answer.body));
        let told = answer.json();
        let (detail, hint) = (told["detail"].as_str().unwrap_or(""), told["hint"].as_str().unwrap_or(""));
        if detail.is_empty() || (hint.is_empty() && !detail.contains(':') && *status != 404) {
            wrong.push(format!("{what}\n    does not say what to do: {told}"));
        }
    }
    let answer = http::get(server.address, "/v1/views/items", &[("accept", "text/html")]).expect("answer");
    assert_eq!(answer.status, 406, "{}", answer.body);
    wrong.extend(wrong_words("Accept: text/html", &answer.body));
    assert_eq!(server.terminate(), Some(0));
    none_wrong(&wrong);
}

/// What a PostgreSQL user types first.
#[test]
fn the_first_questions_have_answers() {
    let site = shop();
    let mut server = site.serve();
    server.wait_ready();
    for (sql, expected) in [
        ("SELECT version()", format!("Vantage {}", env!("CARGO_PKG_VERSION"))),
        ("SELECT current_schema", "public".into()),
        ("SELECT current_schema()", "public".into()),
        ("SELECT current_database()", "vantage".into()),
        ("SELECT current_user", "vantage".into()),
    ] {
        let answer = http::sql(server.address, sql).expect("answer");
        assert_eq!(answer.json()["rows"][0][0], expected, "{sql}: {}", answer.body);
        let name = sql.trim_start_matches("SELECT ").trim_end_matches("()");
        assert_eq!(answer.json()["columns"][0]["name"], name, "{sql}");
    }
    assert_eq!(server.terminate(), Some(0));
}

/// View files that are refused: statements behind those of the shop.
const VIEW_FILES: &[&str] = &[
    "SELECT 1;",
    "CREATE MATERIALIZED VIEW v AS SELECT FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE;",
    "CREATE MATERIALIZED VIEW v AS SELECT 'a FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT \"a FROM items;",
    "/* CREATE MATERIALIZED VIEW v AS SELECT id FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELEC id FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT nope FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM nope;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items, kinds;",
    "CREATE MATERIALIZED VIEW v AS SELECT nope(id) FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT json_extract(name, '$') FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT lower(id, 1) FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id + name FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE id;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE name;",
    "CREATE MATERIALIZED VIEW v AS SELECT id, count(*) FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE count(*) > 1;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items ORDER BY 3 LIMIT 1;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items UNION ALL SELECT id, name FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items UNION ALL SELECT at FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT name COLLATE \"de_DE\" AS n FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT array_agg(id) AS a FROM items GROUP BY kind;",
    "CREATE MATERIALIZED VIEW v AS SELECT make_array(id) AS a FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id, interval '1 day' AS i FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT * FROM items, kinds;",
    "CREATE MATERIALIZED VIEW v AS SELECT i.*, k.* FROM items i JOIN kinds k ON k.id = i.kind;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE price > (SELECT avg(price) FROM items);",
    "CREATE MATERIALIZED VIEW v AS SELECT id, (SELECT max(price) FROM items) AS m FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items i WHERE EXISTS (SELECT 1 FROM kinds k WHERE k.id = i.kind);",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE kind IN (SELECT id FROM kinds);",
    "CREATE MATERIALIZED VIEW v AS SELECT i.id FROM items i JOIN kinds k ON k.id > i.kind;",
    "CREATE MATERIALIZED VIEW v AS SELECT i.id FROM items i FULL JOIN kinds k ON k.id = i.kind;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items EXCEPT SELECT id FROM kinds;",
    "CREATE MATERIALIZED VIEW v AS SELECT rank() OVER (ORDER BY id) AS r FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT now() AS n, id FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT random() AS n, id FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE id = $1;",
    "CREATE MATERIALIZED VIEW v AS SELECT (id, kind) AS r FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE (id, kind) = (1, 2, 3);",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items WHERE (id, kind) IN (SELECT id, id FROM kinds);",
    "CREATE MATERIALIZED VIEW v AS SELECT name::varchar(3) AS n FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT name::jsonb AS n FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (kind) id FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM items GROUP BY ROLLUP (kind);",
    "CREATE MATERIALIZED VIEW v AS WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t;",
    "CREATE MATERIALIZED VIEW v (a, b) AS SELECT id FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a;",
    "CREATE MATERIALIZED VIEW v AS VALUES (1);",
    "CREATE MATERIALIZED VIEW v AS SELECT unnest(make_array(id)) AS u FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items LIMIT id;",
    "CREATE MATERIALIZED VIEW v AS SELECT id FROM items OFFSET 1;",
    "CREATE MATERIALIZED VIEW v AS SELECT i.id FROM items i, LATERAL (SELECT id FROM kinds k WHERE k.id = i.kind) l;",
    "CREATE MATERIALIZED VIEW v AS SELECT median(price) AS m FROM items;",
    "CREATE MATERIALIZED VIEW v AS SELECT sum(name) AS m FROM items;",
    "CREATE VIEW items AS SELECT 1;",
    "CREATE VIEW v AS SELECT nope FROM items;",
    "CREATE INDEX i ON by_kind (nope);",
    "CREATE INDEX i ON dear (id);",
    "CREATE INDEX i ON nope (id);",
    "CREATE UNIQUE INDEX i ON by_kind (kind);",
    "CREATE TABLE t FROM nope TABLE 'items';",
    "CREATE TABLE t (id inet) FROM shop TABLE 'items';",
    "CREATE TABLE t (id bigint METADATA FROM 'offset') FROM shop TABLE 'items';",
    "CREATE TABLE t FROM shop TABLE 'items' WITH (retention = '7 days');",
    "CREATE TABLE t FROM shop TABLE 'items' FORMAT DEBEZIUM ENCODE JSON;",
    "CREATE TABLE t WITH (connector = 'sqlite', path = 'shop.db');",
    "CREATE TABLE t WITH (connector = 'kafka', topic = 't') FORMAT DEBEZIUM ENCODE JSON;",
    "CREATE TABLE t (nope bigint) FROM shop TABLE 'items';",
    "CREATE TABLE t FROM shop TABLE 'nope';",
    "CREATE SOURCE s WITH (connector = 'kafka');",
    "CREATE SOURCE s WITH (connector = 'sqlite');",
    "CREATE SOURCE s WITH (connectr = 'sqlite');",
    "CREATE SOURCE s WITH (connector = 'sqlite', pth = 's.db');",
    "CREATE MATERIALIZED VIEW v WITH (freshness = '1ms') AS SELECT id FROM items;",
    "CREATE SOURCE s WITH (connector = 'sqlite', path = 'nope.db'); CREATE TABLE t FROM s TABLE 'a';",
    "CREATE NOPE x;",
    "DROP TABLE items;",
];

#[test]
fn view_files_are_refused_in_our_own_words_with_the_place() {
    let site = shop();
    let mut wrong = Vec::new();
    for file in VIEW_FILES {
        site.write_views(&format!("{VIEWS}{file}\n"));
        let check = vantage().current_dir(site.root()).args(["check", "--views", "views"]).output().expect("check");
        let text = text_of(&check);
        if check.status.success() {
            wrong.push(format!("{file}\n    is accepted: {text}"));
        }
        // The lines of the file itself are the user's words.
        let told: Vec<&str> = text.lines().filter(|it| !it.contains(" | ")).collect();
        wrong.extend(wrong_words(file, &told.join("\n")));
        if !["7:", "8:"].iter().any(|it| text.contains(&format!("--> views/site.sql:{it}"))) || !text.contains('^') {
            wrong.push(format!("{file}\n    has no place: {text}"));
        }
    }
    none_wrong(&wrong);
}

#[test]
fn commands_say_what_is_wrong_with_how_they_are_used() {
    let site = shop();
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = vantage();
        command.current_dir(site.root()).args(arguments);
        variables.iter().for_each(|(name, value)| _ = command.env(name, value));
        let output = command.output().expect("vantage");
        let text = text_of(&output);
        none_wrong(&wrong_words(&arguments.join(" "), &text).into_iter().collect::<Vec<_>>());
        (output.status.code(), text)
    };
    for (arguments, code, words) in [
        (&["check", "--views", "nope"][..], 2, "nope is not a directory"),
        (&["check", "--views", "."], 1, "no *.sql file"),
        (&["explain", "--views", "views", "nope"], 1, "there are: by_kind"),
        (&["explain", "--views", "views", "dear"], 1, "plain view"),
        (&["health", "--listen", "nope"], 2, "write host:port"),
        (&["health", "--listen", "127.0.0.1:1"], 1, "nothing listens on 127.0.0.1:1"),
        (&["serve", "--views", "views", "--data", "d", "--listen", "0.0.0.0:0"], 1, "VANTAGE_TOKEN"),
        (&["serve", "--views", "views", "--data", "d", "--token", "a b"], 1, "token"),
        (&["capture", "status", "nope.db"], 1, "nope.db"),
        (&["capture", "install", "shop.db", "nope"], 1, "nope"),
    ] {
        let (got, text) = run(arguments, &[]);
        assert_eq!(got, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    let (code, text) = run(&["check", "--views", "views"], &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("1 source, 2 tables, 2 views, 0 indexes: ok"), "{text}");
    assert!(text.contains("dear [not kept]"), "{text}");
    // Not only where it is a key.
    assert!(text.contains("note: kinds.title is NOCASE at its owner"), "{text}");
}

#[test]
fn flags_mean_what_they_say() {
    let site = shop();
    // Who stops reading has read enough.
    let script = format!("{} check --views views | true", env!("CARGO_BIN_EXE_vantage"));
    let piped = format!("set -o pipefail; for i in 1 2 3 4 5; do {script} || exit 1; done");
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["-c", &piped]).current_dir(site.root()).output().expect("bash");
    assert!(output.status.success() && !text_of(&output).contains("panicked"), "{}", text_of(&output));
    let port = site.address.port();
    let mut command = vantage();
    command.current_dir(site.root()).args(["serve", "--views", "views", "--data", "data", "--drain-delay-ms", "1"]);
    command
        .arg("--listen")
        .arg(format!("localhost:{port}"))
        .env("VANTAGE_INSECURE", "1")
        .env("VANTAGE_TOKEN", "s3cret");
    let mut server = site.start(command);
    server.wait_ready();
    let health = |token: &str| {
        let listen = format!("localhost:{port}");
        vantage().args(["health", "--listen", &listen, "--token", token]).output().expect("health")
    };
    assert_eq!(health("s3cret").status.code(), Some(0), "{}", text_of(&health("s3cret")));
    let bad = health("bad");
    assert_ne!(bad.status.code(), Some(0));
    assert!(text_of(&bad).contains("does not accept this token"), "{}", text_of(&bad));
    assert_eq!(server.terminate(), Some(0));
}
