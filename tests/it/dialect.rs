//! What SQL means: expressions as views keep them and as queries compute them, against what PostgreSQL 15 gives.
//!
//! The values are PostgreSQL's own, written as Vantage's JSON writes them.

use super::support::{Server, Site, http};

const TABLE: &str = "
CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, f DOUBLE PRECISION, s TEXT, d DATE, ts TIMESTAMP,
    n DECIMAL(10,2), bo BOOLEAN);
INSERT INTO t VALUES
    (1, 7, 2, 1.5, 'Hello World', '2024-02-29', '2024-02-29 13:45:10.5', '12.34', 1),
    (2, -7, 2, -2.5, 'abc', '2023-12-31', '2023-12-31 23:59:59', '-0.05', 0),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);";

/// An expression, and its value for each row; `error` is a value that cannot be computed.
const CASES: &[(&str, [&str; 3])] = &[
    ("(a, b) = (7, 2)", ["true", "false", "null"]),
    ("(a, b) > (7, 1)", ["true", "false", "null"]),
    ("(a, b) <= (-7, 2)", ["false", "true", "null"]),
    ("(a, b) <> (7, NULL)", ["null", "true", "null"]),
    ("(a, b) < (8, NULL)", ["true", "true", "null"]),
    ("(a, b) < (7, NULL)", ["null", "true", "null"]),
    ("(b, a) BETWEEN (2, -7) AND (2, 6)", ["false", "true", "null"]),
    ("ROW(a, b) IN ((7, 2), (0, 0))", ["true", "false", "null"]),
    ("(a, b) IS NULL", ["false", "false", "true"]),
    ("(a, b) IS DISTINCT FROM (7, 2)", ["false", "true", "true"]),
    ("bo IS DISTINCT FROM true AND a < 0", ["false", "true", "null"]),
    ("bo IS NOT DISTINCT FROM false OR a > 0", ["true", "true", "null"]),
    ("NOT bo IS DISTINCT FROM true AND a > 0", ["true", "false", "false"]),
    ("a / b", ["3", "-3", "null"]),
    ("a % b", ["1", "-1", "null"]),
    ("mod(a, b)", ["1", "-1", "null"]),
    ("a / 2.0 = 3.5", ["true", "false", "null"]),
    ("n / 3 < 4.1134", ["true", "true", "null"]),
    ("f / 2", ["0.75", "-1.25", "null"]),
    ("f * n", ["18.509999999999998", "0.125", "null"]),
    ("round(f)", ["2.0", "-2.0", "null"]),
    ("round(f + 1)", ["2.0", "-2.0", "null"]),
    ("round(n, 1)", ["12.3", "-0.1", "null"]),
    ("round(n * 10)", ["123", "-1", "null"]),
    ("sign(f)", ["1.0", "-1.0", "null"]),
    ("ceiling(f)", ["2.0", "-2.0", "null"]),
    ("floor(f)", ["1.0", "-3.0", "null"]),
    ("trunc(f)", ["1.0", "-2.0", "null"]),
    ("f::integer", ["2", "-2", "null"]),
    ("f::bigint + a", ["9", "-9", "null"]),
    ("n::integer", ["12", "0", "null"]),
    ("(n * 10)::bigint", ["123", "-1", "null"]),
    ("a::double precision", ["7.0", "-7.0", "null"]),
    ("(a + 16777210)::float", ["16777217.0", "16777203.0", "null"]),
    ("(f * 1e20)::text", [r#""1.5e+20""#, r#""-2.5e+20""#, "null"]),
    ("f / (a + 7)", ["0.10714285714285714", "error", "null"]),
    ("sqrt(f)", ["1.224744871391589", "error", "null"]),
    ("exp(f * 1000)", ["error", "error", "null"]),
    ("f::text", [r#""1.5""#, r#""-2.5""#, "null"]),
    ("(f / 100000)::text", [r#""1.5e-05""#, r#""-2.5e-05""#, "null"]),
    ("n::text", [r#""12.34""#, r#""-0.05""#, "null"]),
    ("bo::text", [r#""true""#, r#""false""#, "null"]),
    ("d::text", [r#""2024-02-29""#, r#""2023-12-31""#, "null"]),
    ("ts::text", [r#""2024-02-29 13:45:10.5""#, r#""2023-12-31 23:59:59""#, "null"]),
    ("s || f", [r#""Hello World1.5""#, r#""abc-2.5""#, "null"]),
    ("concat(s, f, ts)", [r#""Hello World1.52024-02-29 13:45:10.5""#, r#""abc-2.52023-12-31 23:59:59""#, r#""""#]),
    ("'at ' || ts", [r#""at 2024-02-29 13:45:10.5""#, r#""at 2023-12-31 23:59:59""#, "null"]),
    ("extract(second from ts)", ["10.500000", "59.000000", "null"]),
    ("extract(milliseconds from ts)", ["10500.000", "59000.000", "null"]),
    ("extract(epoch from ts)", ["1709214310.500000", "1704067199.000000", "null"]),
    ("extract(year from d)", ["2024", "2023", "null"]),
    ("extract(isodow from ts)", ["4", "7", "null"]),
    ("date_trunc('week', ts)", [r#""2024-02-26T00:00:00""#, r#""2023-12-25T00:00:00""#, "null"]),
    ("d + 1", [r#""2024-03-01""#, r#""2024-01-01""#, "null"]),
    ("d - date '2000-01-01'", ["8825", "8765", "null"]),
    ("d + interval '1 month'", [r#""2024-03-29T00:00:00""#, r#""2024-01-31T00:00:00""#, "null"]),
    ("d + interval '36 hours'", [r#""2024-03-01T12:00:00""#, r#""2024-01-01T12:00:00""#, "null"]),
    ("d - interval '90 minutes'", [r#""2024-02-28T22:30:00""#, r#""2023-12-30T22:30:00""#, "null"]),
    ("interval '1 day' + d > date '2024-01-01'", ["true", "false", "null"]),
    ("ts < timestamp '9999-12-31'", ["true", "true", "null"]),
    ("d < timestamp '9999-12-31 12:00:00'", ["true", "true", "null"]),
    ("date '9999-12-31' > ts", ["true", "true", "null"]),
    ("ts between date '1000-01-01' and date '2024-01-01'", ["false", "true", "null"]),
    (
        "coalesce(ts, date '1000-01-01')::text",
        [r#""2024-02-29 13:45:10.5""#, r#""2023-12-31 23:59:59""#, r#""1000-01-01 00:00:00""#],
    ),
    ("d::timestamp", [r#""2024-02-29T00:00:00""#, r#""2023-12-31T00:00:00""#, "null"]),
    ("ts + interval '1 month'", [r#""2024-03-29T13:45:10.5""#, r#""2024-01-31T23:59:59""#, "null"]),
    ("to_timestamp(a)", [r#""1970-01-01T00:00:07Z""#, r#""1969-12-31T23:59:53Z""#, "null"]),
    ("to_timestamp(f)", [r#""1970-01-01T00:00:01.5Z""#, r#""1969-12-31T23:59:57.5Z""#, "null"]),
    ("log(abs(f) + 1)", ["0.3979400086720376", "0.5440680443502757", "null"]),
    ("sqrt(abs(f))", ["1.224744871391589", "1.5811388300841898", "null"]),
    ("power(f, 2)", ["2.25", "6.25", "null"]),
    ("coalesce(f * 1e20, 0.5)", ["1.5e+20", "-2.5e+20", "0.5"]),
    ("f * 1e20 > 1.5", ["true", "false", "null"]),
    ("f * 1e20 in (0.1, 1.5e20)", ["true", "false", "null"]),
    ("f * 1e20 between 0.1 and 2e20", ["true", "false", "null"]),
    ("n > f * 1e20", ["false", "true", "null"]),
    ("n is distinct from f", ["true", "true", "false"]),
    ("case when a > 0 then f * 1e20 else 0.5 end", ["1.5e+20", "0.5", "0.5"]),
    ("case f when 1.5 then 'one' when -2.5 then 'two' else 'none' end", [r#""one""#, r#""two""#, r#""none""#]),
    ("greatest(f * 1e20, n)", ["1.5e+20", "-0.05", "null"]),
    ("nullif(f, 1.5)", ["null", "-2.5", "null"]),
    ("s like 'H%'", ["true", "false", "null"]),
    ("s ilike '%WORLD'", ["true", "false", "null"]),
    ("s ~ '^[A-Z]'", ["true", "false", "null"]),
    ("substr(s, -1, 4)", [r#""He""#, r#""ab""#, "null"]),
    ("left(s, -2)", [r#""Hello Wor""#, r#""a""#, "null"]),
    ("right(s, 3)", [r#""rld""#, r#""abc""#, "null"]),
    ("split_part(s, ' ', 2)", [r#""World""#, r#""""#, "null"]),
    ("regexp_replace(s, '[aeiou]', '*', 'g')", [r#""H*ll* W*rld""#, r#""*bc""#, "null"]),
    ("coalesce(s, a::text, 'none')", [r#""Hello World""#, r#""abc""#, r#""none""#]),
    ("nullif(a, 7)", ["null", "-7", "null"]),
    ("greatest(a, b, null)", ["7", "2", "null"]),
    ("a is distinct from b", ["true", "true", "false"]),
    ("a in (7, null)", ["true", "null", "null"]),
    ("not (a = 7 and bo)", ["false", "true", "null"]),
    ("bo is not true", ["false", "true", "true"]),
];

/// Constructs that DataFusion knows with another meaning, or PostgreSQL has and we do not.
const REFUSED: &[&str] = &[
    "s SIMILAR TO 'abc%'",
    "to_char(ts, 'YYYY')",
    "s::varchar(3)",
    "CAST(s AS char(3))",
    "a::smallint",
    "f::real",
    "ts::timestamp(0)",
];

fn serve() -> (Site, Server) {
    let site = Site::new();
    let mut views = String::from(
        "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');\nCREATE TABLE t FROM shop TABLE 't';\n",
    );
    for (number, (expression, _)) in CASES.iter().enumerate() {
        views.push_str(&format!("CREATE MATERIALIZED VIEW v{number} AS SELECT id, {expression} AS v FROM t;\n"));
    }
    site.write_views(&views);
    site.service("shop.db").execute_batch(TABLE).expect("table");
    site.install_capture("shop.db");
    let mut server = site.serve();
    server.wait_ready();
    (site, server)
}

#[test]
fn expressions_mean_what_they_mean_in_postgresql() {
    let (_site, server) = serve();
    let mut wrong = Vec::new();
    for (number, (expression, values)) in CASES.iter().enumerate() {
        for (row, expected) in values.iter().enumerate() {
            let id = row + 1;
            let kept = http::get(server.address, &format!("/v1/views/v{number}/{id}"), &[]).expect("answer");
            let wanted = format!("{{\"id\":{id},\"v\":{expected}}}");
            if if *expected == "error" { kept.status != 422 } else { kept.body != wanted } {
                wrong.push(format!("view of {expression}, row {id}: {}, not {expected}", kept.body));
            }
            let asked =
                http::sql(server.address, &format!("SELECT {expression} AS v FROM t WHERE id = {id}")).expect("answer");
            let wanted = format!("\"rows\":[[{expected}]]");
            if if *expected == "error" { asked.status != 422 } else { !asked.body.contains(&wanted) } {
                wrong.push(format!("query of {expression}, row {id}: {}, not {expected}", asked.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_would_mean_something_else_is_refused() {
    let site = Site::new();
    site.service("shop.db").execute_batch(TABLE).expect("table");
    for expression in REFUSED {
        site.write_views(&format!(
            "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');\nCREATE TABLE t FROM shop TABLE 't';\n\
             CREATE MATERIALIZED VIEW v AS SELECT id, {expression} AS v FROM t;\n"
        ));
        let output = super::support::vantage()
            .current_dir(site.root())
            .args(["check", "--views", "views"])
            .output()
            .expect("check");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{expression} was accepted");
        assert!(text.contains("site.sql:3:"), "{expression}: {text}");
    }
}
