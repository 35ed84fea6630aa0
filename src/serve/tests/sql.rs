//! Queries that are answered: values, names, plans, caching.

use serde_json::json;

use super::fixture::{Server, board_of, publish, relation};
use crate::change::{Column, DataType, Datum};
use crate::serve::ServeOptions;

#[tokio::test]
async fn values_keep_all_their_digits() {
    let server = Server::start().await;
    for (sql, rows) in [
        ("SELECT 9223372036854775807", "[[9223372036854775807]]"),
        ("SELECT 1.10", "[[1.10]]"),
        ("SELECT price FROM products WHERE id = 1", "[[123456789012345678.90]]"),
        ("SELECT sum(price) FROM products WHERE id <= 2", "[[123456789012345681.90]]"),
        ("SELECT sum(quantity) FROM stock WHERE product = 2", "[[6]]"),
        ("SELECT sum(DISTINCT category) FROM products", "[[6]]"),
        ("SELECT sum(quantity) FROM stock WHERE product = 9", "[[null]]"),
        (
            "SELECT category, sum(id) FROM products WHERE id < 6 GROUP BY category ORDER BY 1",
            "[[0,4],[1,6],[2,2],[3,3]]",
        ),
        ("SELECT sum(id) OVER (ORDER BY id ROWS 1 PRECEDING) FROM products WHERE id < 4", "[[1],[3],[5]]"),
        ("SELECT rating FROM products WHERE id = 10", "[[null]]"),
        ("SELECT added FROM products WHERE id = 1", "[[\"1970-01-02T00:00:00\"]]"),
        ("SELECT CAST('2026-11-22' AS date)", "[[\"2026-11-22\"]]"),
        ("SELECT CAST('NaN' AS double precision)", "[[\"NaN\"]]"),
        ("SELECT 'a\"b\\c'", "[[\"a\\\"b\\\\c\"]]"),
        ("SELECT true, NULL", "[[true,null]]"),
        ("SELECT name || '!' || NULL, name || id::text FROM products WHERE id = 1", "[[null,\"product 11\"]]"),
        (
            "SELECT concat('a', NULL, 1), concat_ws('-', 'a', 'b'), replace('aXa', 'X', '--')",
            "[[\"a1\",\"a-b\",\"a--a\"]]",
        ),
        ("SELECT make_array(1, 2)", "[[[1,2]]]"),
        (
            "SELECT id FROM products WHERE id < 4 AND id IN (5, 6, 7, 8, CASE WHEN id = 1 THEN 1 WHEN id = 2 THEN 2 END)",
            "[[1],[2]]",
        ),
        ("SELECT id FROM products WHERE id = 99", "[]"),
        ("SELECT -5 * 3 + 2 - 1", "[[-14]]"),
        ("SELECT id FROM products ORDER BY rating DESC LIMIT 5", "[[10],[20],[30],[40],[39]]"),
    ] {
        // Ties of the last query have no order of their own; its NULLs come first as in PostgreSQL.
        let got = server.rows(sql).await;
        if sql.ends_with("LIMIT 5") {
            assert!(got.ends_with(",[39]]"), "{got}");
        } else {
            assert_eq!(got, rows, "{sql}");
        }
    }
}

#[tokio::test]
async fn overflow_is_an_error_and_never_wraps() {
    let server = Server::start().await;
    for sql in [
        "SELECT sum(quantity) FROM stock",
        "SELECT product, sum(quantity) FROM stock GROUP BY product",
        "SELECT quantity + 1 FROM stock",
        "SELECT quantity * 2 FROM stock",
        "SELECT -quantity - 2 FROM stock",
        "SELECT 9223372036854775807 + 1",
        "SELECT -(-9223372036854775807 - 1)",
        "SELECT id FROM products WHERE id + 9223372036854775807 > 5",
        "SELECT sum(quantity) OVER (ORDER BY place) FROM stock",
        "SELECT CAST(2000000000 AS int) + CAST(2000000000 AS int)",
    ] {
        server.sql(sql, json!([])).await.assert_problem(422, "22003");
    }
    for sql in ["SELECT 1 / (id - id) FROM products", "SELECT 1 / (rating - rating) FROM products"] {
        server.sql(sql, json!([])).await.assert_problem(422, "22012");
    }
}

#[tokio::test]
async fn what_would_mean_something_else_is_refused() {
    let server = Server::start().await;
    for sql in [
        "SELECT 0.1::real",
        "SELECT name::varchar(3) FROM products",
        "SELECT 70000::smallint",
        "SELECT a.name FROM products AS a RIGHT JOIN products AS b USING (id)",
    ] {
        server.sql(sql, json!([])).await.assert_problem(400, "0A000");
    }
}

#[tokio::test]
async fn columns_are_named_as_in_postgresql() {
    let server = Server::start().await;
    for (sql, names) in [
        ("SELECT 1", vec!["?column?"]),
        ("SELECT count(*), count(*), max(id) FROM products", vec!["count", "count", "max"]),
        ("SELECT id + 1, id, id, p.name FROM products p", vec!["?column?", "id", "id", "name"]),
        ("SELECT CAST(id AS int), CAST('1' AS int), id::text FROM products", vec!["id", "int4", "id"]),
        ("SELECT CASE WHEN true THEN 1 END, CASE WHEN true THEN 1 ELSE id END FROM products", vec!["case", "id"]),
        ("SELECT *, count(*) OVER () FROM stock", vec!["product", "place", "quantity", "count"]),
        ("SELECT ID AS \"Id\", id AS B FROM products", vec!["Id", "b"]),
        ("SELECT count FROM (SELECT count(*) FROM stock) x", vec!["count"]),
        ("SELECT lower(name) FROM products UNION SELECT place FROM stock", vec!["lower"]),
        ("SELECT (SELECT max(id) FROM products), (SELECT 1)", vec!["max", "?column?"]),
        ("SELECT true, coalesce(1, 2), nullif(1, 2)", vec!["bool", "coalesce", "nullif"]),
    ] {
        let answer = server.sql(sql, json!([])).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        let columns = answer.json()["columns"].as_array().unwrap().clone();
        let got: Vec<_> = columns.iter().map(|it| it["name"].as_str().unwrap().to_string()).collect();
        assert_eq!(got, names, "{sql}");
    }
    let types = server.sql("SELECT id, price, rating, added, name FROM products LIMIT 1", json!([])).await.json();
    let types: Vec<_> = types["columns"].as_array().unwrap().iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["bigint", "numeric(20,2)", "double precision", "timestamp", "text"]);
}

#[tokio::test]
async fn parameters_are_typed_by_their_place() {
    let server = Server::start().await;
    for (sql, params, rows) in [
        ("SELECT name FROM products WHERE id = $1", json!([5]), json!([["product 5"]])),
        ("SELECT name FROM products WHERE id = $1", json!(["5"]), json!([["product 5"]])),
        ("SELECT name FROM products WHERE id = $1", json!([null]), json!([])),
        ("SELECT id FROM products WHERE id > $1 AND id < $2 ORDER BY id", json!([3, 6]), json!([[4], [5]])),
        ("SELECT id FROM products WHERE price = $1", json!([3.00]), json!([[2]])),
        ("SELECT id FROM products WHERE name = $1", json!(["product 7"]), json!([[7]])),
        ("SELECT id FROM products WHERE added = $1", json!(["1970-01-06"]), json!([[5]])),
        ("SELECT id FROM products WHERE id IN ($1, $2) ORDER BY id", json!([2, 1]), json!([[1], [2]])),
        ("SELECT quantity FROM stock WHERE place = $2 AND product = $1", json!([2, "north"]), json!([[7]])),
        ("SELECT id FROM products ORDER BY id LIMIT $1", json!([2]), json!([[1], [2]])),
    ] {
        let answer = server.sql(sql, params).await;
        assert_eq!(answer.json()["rows"], rows, "{sql}: {}", answer.body);
    }
    for (sql, params, code) in [
        ("SELECT id FROM products WHERE id = $1", json!([]), "42P02"),
        ("SELECT id FROM products WHERE id = $1", json!([1, 2]), "42P02"),
        ("SELECT id FROM products WHERE id = $1", json!(["x"]), "22P02"),
        ("SELECT id FROM products WHERE id = $1", json!([{}]), "22P02"),
        ("SELECT id FROM products WHERE id = $1", json!([1.5]), "22P02"),
        ("SELECT id FROM products WHERE id > $2", json!([1]), "42P02"),
        ("SELECT id FROM products WHERE id = $x", json!([1]), "42601"),
        ("SELECT 1", json!([1]), "42P02"),
    ] {
        server.sql(sql, params).await.assert_problem(400, code);
    }
}

#[tokio::test]
async fn plans_are_kept_and_read_the_newest_epoch() {
    let server = Server::start().await;
    let count = |name: &'static str| {
        let server = &server;
        async move {
            let text = server.get("/metrics").await.body;
            let line = text.lines().find(|it| it.starts_with(name)).unwrap().to_string();
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        }
    };
    let join = "SELECT p.name, s.place FROM products p JOIN stock s ON s.product = p.id WHERE p.id = $1 ORDER BY 2";
    let keyed = "SELECT name FROM products WHERE id = $1";
    for round in 0..3 {
        for id in [1, 2] {
            assert_eq!(server.sql(join, json!([id])).await.json()["rows"].as_array().unwrap().len(), 2, "{round}");
            assert_eq!(server.sql(keyed, json!([id])).await.json()["rows"][0][0], format!("product {id}"));
        }
    }
    // The join is planned once a parameter, the look-up by key once in all.
    assert_eq!(count("vantage_sql_plans_made_total").await, 3);
    assert_eq!(count("vantage_sql_plans_reused_total").await, 9);
    publish(&server.board, 2, 18, Vec::new());
    for sql in [join, keyed] {
        let answer = server.sql(sql, json!([1])).await.json();
        assert_eq!((&answer["rows"], &answer["epoch"]), (&json!([]), &json!("1-2")));
    }
    // What depends on the time is planned each time.
    let made = count("vantage_sql_plans_made_total").await;
    let first = server.rows("SELECT now()").await;
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    assert_ne!(server.rows("SELECT now()").await, first);
    assert_eq!(count("vantage_sql_plans_made_total").await, made + 2);
}

#[tokio::test]
async fn answers_agree_with_a_plain_evaluation() {
    let server = Server::start().await;
    for (sql, rows) in [
        ("SELECT id FROM products WHERE category = 2 AND rating > 4.0 ORDER BY rating DESC", "[[38],[34]]"),
        ("SELECT id FROM products WHERE category = 2 ORDER BY rating DESC NULLS LAST LIMIT 2", "[[38],[34]]"),
        ("SELECT id FROM products WHERE id BETWEEN 3 AND 5 ORDER BY id DESC", "[[5],[4],[3]]"),
        ("SELECT id FROM products WHERE id = 3 OR id = 5 OR id = 3 ORDER BY id", "[[3],[5]]"),
        ("SELECT id FROM products WHERE NOT active AND id < 8 ORDER BY id", "[[1],[5],[7]]"),
        ("SELECT id FROM products WHERE active AND id < 8 ORDER BY id", "[[2],[4]]"),
        ("SELECT id FROM products WHERE active IS NULL AND id < 8 ORDER BY id", "[[3],[6]]"),
        ("SELECT id FROM products WHERE price < 6 ORDER BY price", "[[2],[3]]"),
        ("SELECT count(*) FROM products WHERE id NOT IN (SELECT product FROM stock)", "[[38]]"),
        ("SELECT id FROM products WHERE id IN (SELECT product FROM stock) ORDER BY 1", "[[1],[2]]"),
        (
            "SELECT id FROM products p WHERE EXISTS (SELECT 1 FROM stock s WHERE s.product = p.id AND quantity < 0)",
            "[[2]]",
        ),
        ("SELECT category FROM products EXCEPT SELECT 1 ORDER BY 1", "[[0],[2],[3]]"),
        ("WITH x AS (SELECT id FROM products WHERE id < 3) SELECT count(*) FROM x, x y", "[[4]]"),
        ("SELECT id, row_number() OVER (ORDER BY id DESC) FROM products ORDER BY id LIMIT 1", "[[1,40]]"),
        (
            "SELECT p.id FROM products p LEFT JOIN stock s ON s.product = p.id WHERE s.product IS NULL AND p.id < 5 ORDER BY 1",
            "[[3],[4]]",
        ),
        ("VALUES (1, 'a'), (2, 'b')", "[[1,\"a\"],[2,\"b\"]]"),
        ("SELECT id FROM products ORDER BY id DESC LIMIT 2 OFFSET 1", "[[39],[38]]"),
    ] {
        for _ in 0..2 {
            assert_eq!(server.rows(sql).await, rows, "{sql}");
        }
    }
}

#[tokio::test]
async fn statements_are_bounded() {
    let options = crate::serve::ServeOptions {
        max_rows: 10,
        statement_timeout: std::time::Duration::from_millis(300),
        max_sql_memory_bytes: 1 << 20,
        ..Default::default()
    };
    let server = Server::with(options, super::fixture::shop(1)).await;
    server.sql("SELECT id FROM products", json!([])).await.assert_problem(422, "54000");
    assert_eq!(server.sql("SELECT id FROM products LIMIT 10", json!([])).await.status, 200);
    let six = ["products"; 6].iter().enumerate().map(|(at, it)| format!("{it} t{at}")).collect::<Vec<_>>().join(", ");
    let answer = server.sql(&format!("SELECT count(*) FROM {six} WHERE t0.id + t1.id + t5.id > 200"), json!([])).await;
    assert!([422, 504].contains(&answer.status), "{answer:?}");
    server.sql("SELECT id FROM growing", json!([])).await.assert_problem(503, "57P03");
    server.sql("SELECT id FROM broken", json!([])).await.assert_problem(409, "55000");
}

#[tokio::test]
async fn scans_use_keys_and_indexes() {
    let board = super::fixture::shop(1);
    let directory = std::sync::Arc::new(crate::serve::served::Directory::new(&board));
    let engine = std::sync::Arc::new(crate::serve::sql::Engine::new(directory).unwrap());
    let workers = crate::serve::sql::Workers::new(1 << 30);
    for (sql, scan) in [
        ("SELECT name FROM products WHERE id = 7 AND 1 = 1", "products key ranges=1"),
        ("SELECT name FROM products WHERE id IN (1, 2, 3, 4, 5)", "products key ranges=5"),
        ("SELECT name FROM products WHERE id > 5 AND id <= 9", "products key ranges=1"),
        ("SELECT name FROM products WHERE id > 5 AND name = 'x'", "products key ranges=1 residual=1"),
        ("SELECT name FROM products", "products all"),
        ("SELECT name FROM products LIMIT 3", "products all limit=3"),
        ("SELECT name FROM products ORDER BY id DESC LIMIT 3", "products all backwards limit=3"),
        (
            "SELECT name FROM products WHERE category = 2 ORDER BY rating DESC LIMIT 3",
            "products index=by_category ranges=1 limit=3",
        ),
        (
            "SELECT name FROM products WHERE category = 2 ORDER BY rating LIMIT 3",
            "products index=by_category backwards ranges=1 limit=3",
        ),
        (
            "SELECT id FROM products WHERE price > 1.5 ORDER BY price LIMIT 3",
            "products index=by_price covering ranges=1 limit=3",
        ),
        (
            "SELECT id FROM products WHERE category = 2 AND rating > 4 LIMIT 3",
            "products index=by_category ranges=1 limit=3",
        ),
        ("SELECT name FROM products WHERE name LIKE 'x%'", "products all"),
    ] {
        let engine = std::sync::Arc::clone(&engine);
        let plan = async move |_watch| {
            let statement = engine.prepare(sql).await?;
            Ok(engine.physical(sql, &statement, &[]).await?.0)
        };
        let plan =
            workers.run(crate::serve::sql::Kind::Ordinary, std::time::Duration::from_secs(60), plan).await.unwrap();
        let shown = datafusion::physical_plan::displayable(&*plan).indent(false).to_string();
        let got = shown.lines().find_map(|it| it.trim().strip_prefix("Scan: ")).unwrap_or("");
        assert_eq!(got, scan, "{sql}\n{shown}");
        assert!(!sql.contains("ORDER") || !shown.contains("Sort"), "{sql}\n{shown}");
    }
}

/// Conditions over columns with NULLs, and the rows for which they are true.
const CONDITIONS: &[(&str, &str)] = &[
    ("a IN (1, NULL)", "[[1]]"),
    ("a NOT IN (1, NULL)", "[]"),
    ("a IN (NULL)", "[]"),
    ("a NOT IN (1)", "[[2],[3]]"),
    ("NOT (a NOT IN (1, NULL))", "[[1]]"),
    ("a = 1 OR NULL", "[[1]]"),
    ("a = 1 OR a = NULL OR a IN (2, 2)", "[[1],[2]]"),
    ("a = NULL", "[]"),
    ("a <> NULL", "[]"),
    ("f IN (true, false)", "[[1],[2]]"),
    ("f NOT IN (true)", "[[2]]"),
    ("f OR NOT f", "[[1],[2]]"),
    ("f IS NOT TRUE", "[[2],[3],[4]]"),
    ("f IS NOT FALSE", "[[1],[3],[4]]"),
    ("(f IN (true, false)) IS NULL", "[[3],[4]]"),
    ("NOT (a IN (1) AND a IN (2))", "[[1],[2],[3]]"),
    ("(a IN (1) AND a IN (2)) IS NULL", "[[4]]"),
    ("(a NOT IN (1) OR a NOT IN (2)) IS NULL", "[[4]]"),
    ("a = a", "[[1],[2],[3]]"),
    ("NOT (a <> a)", "[[1],[2],[3]]"),
    ("(a - a = 0) IS NULL", "[[4]]"),
    ("s LIKE '%'", "[[1],[2],[3]]"),
    ("NOT (s NOT LIKE '%')", "[[1],[2],[3]]"),
    ("(s LIKE '%') IS NULL", "[[4]]"),
    ("s ~ '.*'", "[[1],[2],[3]]"),
    ("a BETWEEN 1 AND NULL", "[]"),
    ("a NOT BETWEEN 2 AND NULL", "[[1]]"),
    ("a BETWEEN 1 AND 2 AND s = ''", "[[2]]"),
    ("n IN (1, 2.5, 2.505)", "[[1],[2]]"),
    ("n > 2.495", "[[2]]"),
    ("n = 2.505", "[]"),
    ("i > 2147483648", "[]"),
    ("i < 2147483648", "[[1],[2],[3]]"),
    ("i IN (1, 99999999999)", "[[1]]"),
];

/// Conditions over columns with NULLs, as constants and as parameters: a scan takes them over, wholly or in part, or
/// leaves them where they are, and none is lost on the way.
#[tokio::test]
async fn no_filter_is_lost_between_plan_and_scan() {
    let columns = vec![
        Column { nullable: false, ..Column::new("id", DataType::Int64) },
        Column::new("a", DataType::Int64),
        Column::new("f", DataType::Boolean),
        Column::new("n", DataType::Decimal { precision: 10, scale: 2 }),
        Column::new("s", DataType::Text),
        Column::new("i", DataType::Int32),
    ];
    let one = |id, a, f, n, s, i| [Datum::Int(id), a, f, n, s, i];
    let null = Datum::Null;
    let rows = [
        one(1, Datum::Int(1), Datum::Boolean(true), Datum::Decimal(100), Datum::Text("a"), Datum::Int(1)),
        one(2, Datum::Int(2), Datum::Boolean(false), Datum::Decimal(250), Datum::Text(""), Datum::Int(2)),
        one(3, Datum::Int(3), null, Datum::Decimal(-1), Datum::Text("%"), Datum::Int(3)),
        one(4, null, null, null, null, null),
    ];
    let rows: Vec<&[Datum<'_>]> = rows.iter().map(|it| &it[..]).collect();
    let relation = relation(10, "t", columns, 1, vec![]);
    let server = Server::with(ServeOptions::default(), board_of(relation, &rows)).await;
    for (condition, ids) in CONDITIONS {
        assert_eq!(server.rows(&format!("SELECT id FROM t WHERE {condition} ORDER BY id")).await, *ids, "{condition}");
    }
    for (condition, params, ids) in [
        ("a IN ($1, $2)", json!([1, null]), "[[1]]"),
        ("a NOT IN ($1, $2)", json!([1, null]), "[]"),
        ("f IN ($1, $2)", json!([true, false]), "[[1],[2]]"),
        ("a = $1 OR a = $2", json!([null, 2]), "[[2]]"),
        ("a BETWEEN $1 AND $2", json!([1, null]), "[]"),
        ("n >= $1", json!(["1.00"]), "[[1],[2]]"),
    ] {
        let sql = format!("SELECT id FROM t WHERE {condition} ORDER BY id");
        let answer = server.sql(&sql, params).await;
        assert!(answer.body.contains(&format!("\"rows\":{ids}")), "{condition}: {}", answer.body);
    }
}
