//! What texts and doubles become, held against PostgreSQL's own input functions and casts: every part of a time in every
//! combination, numbers, truths.
//!
//! Where both read a text, they read the same. What only PostgreSQL reads is named here; what only Vantage reads are
//! the forms of programs that PostgreSQL does not know.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;
use serde_json::value::RawValue;

use crate::support::postgres::Session;
use crate::support::{Server, Site, http};

const DATES: &[&str] = &[
    "2024-05-01",
    "1999-12-31",
    "2024-02-29",
    "2023-02-29",
    "0002-01-01",
    "9998-12-31",
    "2024-5-1",
    "20240501",
    "2024/05/01",
    "2024-13-01",
    "0000-01-01",
    "1900-02-29",
];
const BETWEEN: &[&str] = &[" ", "T", "  ", "t"];
const CLOCKS: &[&str] = &[
    "12:00",
    "12:00:00",
    "23:59:59.999999",
    "00:00:00.5",
    "1:2:3",
    "24:00:00",
    "24:00:01",
    "23:59:60",
    "12:00:61",
    "120000",
    "12:00:00.1234565",
    "12:00:00.1234575",
    "12:00:00.123456789",
    "23:59:59.9999999",
    "12:60:00",
    "12",
];
const ZONES: &[&str] =
    &["", "Z", "z", " UTC", "+00", "+02", "-02:30", " +0200", "+15:59", "+16:00", "-03:00:30", "+2", " GMT", "+0200x"];
/// Months in words.
const WORDED: &[&str] = &[
    "Wed, 01 May 2024 14:00:00 +0200",
    "1 May 2024 12:00:00 GMT",
    "Wed May  1 12:00:00 2024",
    "May 1, 2024",
    "Thu Feb 29 23:59:59.5 2024",
    "30 september 1999 1:02",
    "31 Jun 2024",
    "Dec 31 1999 24:00:00",
    "Mon Jan 01 2024",
];
const NUMBERS: &[&str] = &[
    "",
    " ",
    "0",
    "-0",
    "1",
    "+1",
    " 1 ",
    "1.",
    ".5",
    "-.5",
    ".",
    "1.5",
    "1.005",
    "-1.005",
    "1.0049999",
    "99999999.994",
    "99999999.995",
    "1e3",
    "1E-3",
    "5e-3",
    "1e",
    "e1",
    "1e400",
    "-1e400",
    "1e-400",
    "0x10",
    "1_000",
    "1,5",
    "NaN",
    "nan",
    "Infinity",
    "-inf",
    "infinit",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "1 2",
    "--1",
    "2147483648",
    "000012",
    "0.1",
    "123456.789",
    "1e22",
    "4.35",
    "true",
];
const TRUTHS: &[&str] = &[
    "t", "true", "TRUE", "tru", "truee", "f", "false", "fal", "y", "yes", "ye", "n", "no", "on", "of", "off", "o", "1",
    "0", "2", "-1", "", " t ", "ja", "10", "nope",
];

/// The values of a table of `declared` columns as they are served, by id; those that are error cells are left out.
fn served(server: &Server, table: &str) -> BTreeMap<i64, String> {
    #[derive(serde::Deserialize)]
    struct Row {
        id: i64,
        v: Box<RawValue>,
    }
    let mut rows = BTreeMap::new();
    loop {
        let from = rows.last_key_value().map_or(-1, |it: (&i64, &String)| *it.0);
        let path = format!("/v1/views/{table}?id=gt.{from}&order=id&limit=1000&errors=skip");
        let answer = http::get(server.address, &path, &[]).expect("answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let page: Vec<Row> = serde_json::from_str(&answer.body).expect("rows");
        if page.is_empty() {
            return rows;
        }
        rows.extend(page.into_iter().map(|it| (it.id, it.v.get().trim_matches('"').to_string())));
    }
}

/// What PostgreSQL makes of each text; `None` where it refuses it.
fn judged(postgres: &mut Session, expression: &str, texts: &[String]) -> Vec<Option<String>> {
    let name = format!("pg_temp.read_{}", expression.len());
    let function = format!(
        "CREATE OR REPLACE FUNCTION {name}(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN {expression}; \
         EXCEPTION WHEN others THEN RETURN NULL; END $$"
    );
    postgres.query(&function).expect("a function");
    let mut answers = Vec::new();
    for texts in texts.chunks(1000) {
        let list: Vec<String> = texts.iter().map(|it| format!("'{}'", it.replace('\'', "''"))).collect();
        let query = format!(
            "SELECT {name}(t) FROM unnest(ARRAY[{}]::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n",
            list.join(", ")
        );
        let answer = postgres.query(&query).expect("answers");
        answers.extend(answer.rows.into_iter().map(|mut row| row.swap_remove(0)));
    }
    answers
}

struct Case {
    table: &'static str,
    /// The type in the owner's file and in the view file.
    types: (&'static str, &'static str),
    /// PostgreSQL's reading of the text `t`, as Vantage writes it.
    judge: &'static str,
    texts: Vec<String>,
    /// What PostgreSQL alone reads.
    only_postgres: &'static [&'static str],
}

/// Without the zeros at the end of a second's fraction, which differ only in writing.
const MOMENT: &str = "rtrim(rtrim(to_char(t::timestamp, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '0'), '.')";
const INSTANT: &str =
    "rtrim(rtrim(to_char(t::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '0'), '.') || 'Z'";

fn cases() -> Vec<Case> {
    let mut zoned: Vec<String> = DATES.iter().chain(WORDED).map(|it| it.to_string()).collect();
    for (date, between) in DATES.iter().flat_map(|date| BETWEEN.iter().map(move |it| (date, it))) {
        for (clock, zone) in CLOCKS.iter().flat_map(|clock| ZONES.iter().map(move |it| (clock, it))) {
            zoned.push(format!("{date}{between}{clock}{zone}"));
        }
    }
    let bare: Vec<String> =
        zoned.iter().filter(|it| !ZONES[1..].iter().any(|zone| it.ends_with(zone))).cloned().collect();
    let owned = |texts: &[&str]| texts.iter().map(|it| it.to_string()).collect::<Vec<_>>();
    let mut rng = SmallRng::seed_from_u64(7);
    let doubles =
        (0..2000).map(|_| format!("{:?}", rng.random_range(-1e7..1e7_f64) / 10f64.powi(rng.random_range(0..9))));
    let case = |table, types, judge, texts, only_postgres| Case { table, types, judge, texts, only_postgres };
    vec![
        case("instants", ("TEXT", "timestamptz"), INSTANT, zoned.clone(), &[]),
        case("moments", ("TEXT", "timestamp"), MOMENT, bare, &[]),
        case("days", ("TEXT", "date"), "to_char(t::date, 'YYYY-MM-DD')", zoned, &[]),
        case("integers", ("TEXT", "bigint"), "t::bigint::text", owned(NUMBERS), &[]),
        case("decimals", ("TEXT", "numeric(10, 2)"), "t::numeric(10, 2)::text", owned(NUMBERS), &["NaN", "nan"]),
        case("truths", ("TEXT", "boolean"), "t::boolean::text", owned(TRUTHS), &[]),
        case("doubles", ("REAL", "numeric(12, 3)"), "t::float8::numeric(12, 3)::text", doubles.collect(), &[]),
    ]
}

#[test]
fn texts_and_doubles_are_what_postgresql_reads() {
    let cases = cases();
    let site = Site::new();
    let owner: Connection = site.service("app.db");
    let mut views = "CREATE SOURCE app WITH (connector = 'sqlite', path = 'app.db');\n".to_string();
    for Case { table, types: (declared, sql), texts, .. } in &cases {
        owner
            .execute_batch(&format!("BEGIN; CREATE TABLE {table} (id INTEGER PRIMARY KEY, v {declared})"))
            .expect("table");
        let mut insert = owner.prepare(&format!("INSERT INTO {table} VALUES (?1, ?2)")).expect("insert");
        texts.iter().enumerate().for_each(|(at, it)| assert_eq!(insert.execute((at as i64, it)).expect("a row"), 1));
        owner.execute_batch("COMMIT").expect("commit");
        views += &format!("CREATE TABLE {table} (id bigint, v {sql}) FROM app TABLE '{table}';\n");
    }
    site.install_capture("app.db");
    site.write_views(&views);
    let mut server = site.serve();
    server.wait_ready();
    let mut postgres = Session::open();
    for Case { table, judge, texts, only_postgres, .. } in &cases {
        let ours = served(&server, table);
        let theirs = judged(&mut postgres, judge, texts);
        let mut alike = 0;
        for (at, (text, theirs)) in texts.iter().zip(&theirs).enumerate() {
            match (ours.get(&(at as i64)), theirs) {
                (Some(ours), Some(theirs)) => {
                    assert_eq!(ours, theirs, "{table}: {text:?}");
                    alike += 1;
                }
                (None, Some(theirs)) => {
                    let is_named = only_postgres.contains(&text.as_str());
                    assert!(is_named, "{table}: only PostgreSQL reads {text:?}, as {theirs}");
                }
                _ => {}
            }
        }
        assert!(alike > 8, "{table}: only {alike} texts were read by both");
    }
}
