//! What a server answers, as raw JSON texts, so that not even a digit is lost in the comparison.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::value::RawValue;

use crate::support::{Server, http};

/// One row: the JSON text of each column's value.
pub(super) type Row = BTreeMap<String, String>;

/// The answer of `POST /v1/sql`.
#[derive(serde::Deserialize)]
struct Answer {
    columns: Vec<Named>,
    rows: Vec<Vec<Box<RawValue>>>,
}

#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

/// A server and the names of its sources' files, so that it can be waited for.
pub(super) struct Reader<'a> {
    pub(super) server: &'a Server,
    /// The source's name and a connection to its file.
    pub(super) sources: Vec<(String, &'a Connection)>,
}

impl Reader<'_> {
    /// All rows of a relation, including every change so far.
    pub(super) fn rows(&self, relation: &str) -> Vec<Row> {
        let statement = format!("SELECT * FROM {}", quoted(relation));
        let body = serde_json::json!({ "sql": statement }).to_string();
        let after = self.after();
        let headers =
            [("content-type", "application/json"), ("vantage-after", &*after), ("vantage-timeout-ms", "20000")];
        let answer = http::request(self.server.address, "POST", "/v1/sql", &headers, &body).expect("answer");
        assert_eq!(answer.status, 200, "{relation}: {}", answer.body);
        let answer: Answer = serde_json::from_str(&answer.body).unwrap_or_else(|it| panic!("{it}: {}", answer.body));
        let names: Vec<String> = answer.columns.into_iter().map(|it| it.name).collect();
        let row =
            |cells: Vec<Box<RawValue>>| names.iter().cloned().zip(cells.iter().map(|it| it.get().into())).collect();
        answer.rows.into_iter().map(row).collect()
    }

    /// The columns by which rows of a relation are asked for.
    pub(super) fn key(&self, relation: &str) -> Option<Vec<String>> {
        let path = format!("/v1/schema/{}", encoded(relation));
        let answer = http::get(self.server.address, &path, &[]).expect("answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let key = answer.json()["key"].as_array()?.iter().map(|it| it.as_str().expect("a name").to_string()).collect();
        Some(key)
    }

    /// The row under a key given as raw JSON texts; `None` where one of them is null, which nobody can ask for.
    pub(super) fn by_key(&self, relation: &str, key: &[&str]) -> Option<Row> {
        if key.contains(&"null") {
            return None;
        }
        let text = |it: &&str| encoded(&serde_json::from_str::<String>(it).unwrap_or_else(|_| it.to_string()));
        let parts: Vec<String> = key.iter().map(text).collect();
        let path = format!("/v1/views/{}/{}", encoded(relation), parts.join(","));
        let after = self.after();
        let headers = [("vantage-after", &*after), ("vantage-timeout-ms", "20000")];
        let answer = http::get(self.server.address, &path, &headers).expect("answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let row: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&answer.body).expect("a row");
        Some(row.into_iter().map(|(name, it)| (name, it.get().to_string())).collect())
    }

    fn after(&self) -> String {
        let newest = |(name, connection): &(String, &Connection)| {
            let sql = "SELECT max(id) FROM _vantage_changes";
            let newest: i64 = connection.query_row(sql, [], |row| row.get(0)).expect("the newest change");
            format!("{name}@{newest}")
        };
        self.sources.iter().map(newest).collect::<Vec<_>>().join(",")
    }
}

/// A name in double quotes, as both dialects take it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A segment of a path.
fn encoded(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.~".contains(&it);
    text.bytes().map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") }).collect()
}
