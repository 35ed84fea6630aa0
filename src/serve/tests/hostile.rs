//! Statements that must not be answered, and must not do anything else either.

use serde_json::json;

use super::fixture::Server;

/// Statements that write, read files, change settings or tell about the machine.
const HOSTILE: &[&str] = &[
    "INSERT INTO products VALUES (1)",
    "INSERT INTO products SELECT * FROM products",
    "UPDATE products SET id = 1",
    "DELETE FROM products",
    "TRUNCATE products",
    "MERGE INTO products USING stock ON true WHEN MATCHED THEN DELETE",
    "CREATE TABLE x (id INT)",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "CREATE OR REPLACE VIEW products AS SELECT 1",
    "CREATE MATERIALIZED VIEW x AS SELECT 1",
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION 's3://bucket/x'",
    "CREATE SCHEMA x",
    "CREATE DATABASE x",
    "CREATE INDEX x ON products (id)",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "CREATE ROLE x",
    "DROP TABLE products",
    "DROP VIEW products",
    "DROP SCHEMA public CASCADE",
    "ALTER TABLE products ADD COLUMN x INT",
    "COPY products TO '/tmp/vantage-hostile.csv'",
    "COPY (SELECT 1) TO '/tmp/vantage-hostile.parquet'",
    "COPY products FROM '/etc/passwd'",
    "SET datafusion.execution.batch_size = 1",
    "SET TIME ZONE 'UTC'",
    "RESET datafusion.execution.batch_size",
    "SHOW ALL",
    "SHOW TABLES",
    "SHOW datafusion.execution.batch_size",
    "DESCRIBE products",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT * FROM products",
    "EXPLAIN VERBOSE SELECT 1",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "DEALLOCATE x",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "GRANT SELECT ON products TO x",
    "CALL f()",
    "KILL 1",
    "VACUUM",
    "ANALYZE products",
    "LISTEN x",
    "USE x",
    "SELECT * INTO x FROM products",
    "SELECT * FROM products FOR UPDATE",
    "SELECT * FROM products FOR SHARE",
    "WITH x AS (INSERT INTO products VALUES (1) RETURNING id) SELECT * FROM x",
    "WITH x AS (DELETE FROM products RETURNING id) SELECT * FROM x",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM \"s3://bucket/x.parquet\"",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('x')",
    "SELECT * FROM generate_series(1, 1000000000000)",
    "SELECT * FROM range(1, 1000000000000)",
    "SELECT * FROM parquet_metadata('x')",
    "SELECT * FROM metadata_cache()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.df_settings",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM other.public.products",
    "SELECT repeat('x', 1000000000)",
    "SELECT lpad('x', 1000000000)",
    "SELECT levenshtein('x', 'y')",
    "SELECT array_repeat(1, 1000000000)",
    "SELECT generate_series(1, 1000000000)",
    "SELECT range(1, 1000000000)",
    "SELECT random()",
    "SELECT uuid()",
    "SELECT input_file_name()",
    "SELECT arrow_cast(1, 'Int8')",
    "SELECT checked_add(1, 2)",
    "SELECT pg_sleep(100)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT current_setting('x')",
    "SELECT @@version",
    "SELECT @x",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE products",
    "",
    ";",
    "-- nothing",
    "SELECT",
    "SELEC 1",
    "SELECT * FROM nothing",
    "SELECT nothing FROM products",
    "SELECT id FROM products, stock WHERE nothing = 1",
    "SELECT product FROM stock a, stock b",
    "SELECT nofunction(1)",
    "SELECT 'unterminated",
    // What DataFusion would answer wrongly.
    "SELECT category FROM products EXCEPT ALL SELECT 1",
    "SELECT category FROM products INTERSECT ALL SELECT 1",
    "SELECT * FROM (SELECT category FROM products EXCEPT ALL SELECT 1) x",
    "SELECT id IN (SELECT product FROM stock) FROM products",
    "SELECT CASE WHEN id IN (SELECT product FROM stock) THEN 1 ELSE 2 END FROM products",
    "SELECT id FROM products WHERE id = ANY (SELECT product FROM stock)",
    "SELECT id FROM products WHERE id > ALL (SELECT product FROM stock)",
];

#[tokio::test]
async fn only_queries_are_answered() {
    let server = Server::start().await;
    let before = server.get("/v1/views").await.json();
    for sql in HOSTILE {
        let answer = server.sql(sql, json!([])).await;
        assert!([400, 403].contains(&answer.status), "{sql}: {} {}", answer.status, answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{sql}");
        assert!(!answer.body.contains("root:"), "{sql}: {}", answer.body);
    }
    for file in ["/tmp/vantage-hostile.csv", "/tmp/vantage-hostile.parquet"] {
        assert!(!std::path::Path::new(file).exists());
    }
    let after = server.get("/v1/views").await.json();
    assert_eq!(before[0]["columns"], after[0]["columns"]);
    assert_eq!(server.rows("SELECT count(*) FROM products").await, "[[40]]");
}

#[tokio::test]
async fn writes_are_named_as_such() {
    let server = Server::start().await;
    for sql in ["INSERT INTO products VALUES (1)", "DROP TABLE products", "COPY products TO '/tmp/x.csv'"] {
        server.sql(sql, json!([])).await.assert_problem(403, "25006");
    }
    server.sql("SELEC 1", json!([])).await.assert_problem(400, "42601");
    server.sql("SELECT nope FROM products", json!([])).await.assert_problem(400, "42703");
    server.sql("SELECT * FROM nope", json!([])).await.assert_problem(400, "42P01");
    server.sql("SELECT nope(1)", json!([])).await.assert_problem(400, "42883");
}

#[tokio::test]
async fn depth_and_length_do_no_harm() {
    let server = Server::start().await;
    let deep = 100_000;
    for sql in [
        format!("SELECT {}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("SELECT {}1", "-".repeat(60_000).replace('-', "- ")),
        format!("SELECT {}true", "NOT ".repeat(10_000)),
        format!("SELECT 1{}", " + 1".repeat(10_000)),
        format!("SELECT 1 WHERE true{}", " OR true".repeat(5_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(2_000)),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(900), ") x".repeat(900)),
        format!("SELECT {}1{}", "abs(".repeat(900), ")".repeat(900)),
        format!("SELECT {}1 END", "CASE WHEN true THEN ".repeat(900)),
        "x".repeat(100_000),
        "'".repeat(60_001),
        "\u{0}\u{1}\u{2}".into(),
    ] {
        let answer = server.sql(&sql, json!([])).await;
        assert_eq!(answer.status, 400, "{}… {}", &sql[..sql.len().min(60)], answer.body);
    }
    // The parser reads what is called or selected in brackets twice, at each level.
    let began = std::time::Instant::now();
    for (open, inner, close, status) in [
        ("abs(", "1", ")", 400),
        ("(SELECT ", "1", ")", 400),
        ("1 = ANY(ARRAY[", "1", "])", 400),
        ("encode(convert_to(", "'x'", ", 'UTF8'), 'hex')", 400),
        ("EXISTS (SELECT 1 WHERE ", "true", ")", 400),
        ("(", "1", ")", 200),
        ("CAST(", "1", " AS int)", 400),
    ] {
        let answer = server.sql(&format!("SELECT {}{inner}{}", open.repeat(40), close.repeat(40)), json!([])).await;
        assert_eq!(answer.status, status, "{open}: {}", answer.body);
    }
    server.sql(&format!("SELECT {}1{}", "abs(".repeat(12), ")".repeat(12)), json!([])).await.json()["rows"][0][0]
        .as_i64()
        .unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    // What is within the limits works on an ordinary stack; what is a little beyond is refused, not tried.
    for (length, status) in [(200, 200), (300, 400), (900, 400)] {
        for sql in [
            format!("SELECT 1 WHERE true{}", " AND 1 = 1".repeat(length)),
            format!("SELECT 1 WHERE true{}", " OR 1 = 1".repeat(length)),
            format!("SELECT 1{}", " + 1".repeat(length)),
            format!("SELECT id{} FROM products LIMIT 1", " + 1".repeat(length)),
            format!("SELECT 'a'{}", " || 'a'".repeat(length)),
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(length)),
        ] {
            let answer = server.sql(&sql, json!([])).await;
            assert_eq!(answer.status, status, "{length} {} {}", &sql[..40], answer.body);
        }
    }
    let many: Vec<String> = (0..5000).map(|it| it.to_string()).collect();
    let list = format!("SELECT count(*) FROM products WHERE id IN ({})", many.join(","));
    assert_eq!(server.rows(&list).await, "[[40]]");
}

#[tokio::test]
async fn little_does_not_become_much() {
    let server = Server::start().await;
    let long = "a".repeat(2000);
    let chain = |call: &str| {
        let links: Vec<String> = (1..=10).map(|at| format!("t{at} AS (SELECT {call} AS x FROM t{})", at - 1)).collect();
        let first = format!("t0 AS (SELECT name || '{long}' AS x FROM products)");
        format!("WITH {first}, {} SELECT max(length(x)) FROM t10", links.join(", "))
    };
    for sql in [
        format!("SELECT replace(replace(replace(x, 'a', x), 'a', x), 'a', x) FROM (SELECT '{long}' AS x) t"),
        format!("SELECT replace(replace(x, 'a', x), 'a', x) FROM (SELECT name || '{long}' AS x FROM products) t"),
        format!("SELECT regexp_replace(regexp_replace(x, '', x, 'g'), '', x, 'g') FROM (SELECT '{long}' AS x) t"),
        format!(
            "SELECT array_to_string(string_to_array(x, NULL), x) FROM (SELECT concat(name, '{long}') AS x FROM products) t"
        ),
        chain("x || x"),
        chain("concat(x, x)"),
        chain("concat_ws(x, '', x)"),
        chain("overlay(x placing x from 1 for 0)"),
        chain("encode(convert_to(x, 'UTF8'), 'hex')"),
        chain("encode(convert_to(replace(x, 'a', chr(92)), 'UTF8'), 'escape')"),
    ] {
        server.sql(&sql, json!([])).await.assert_problem(422, "54000");
    }
    // A constant stands beside each of many rows.
    server.sql("SELECT $1 || name FROM products", json!(["x".repeat(100_000)])).await.assert_problem(400, "54000");
    let short = "a".repeat(500);
    let folded = format!("SELECT replace('{short}', 'a', '{short}') || name FROM products");
    server.sql(&folded, json!([])).await.assert_problem(400, "54000");
    // What is short is computed.
    let sql =
        "SELECT length(replace(x, 'a', 'bb')) FROM (SELECT concat(name, 'aaa') AS x FROM products WHERE id = 1) t";
    assert_eq!(server.rows(sql).await, "[[15]]");
}
