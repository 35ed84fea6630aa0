//! Asks a running server, for the commands that tell how it is doing.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use vantage::address::parse_address;
use vantage::change::counted;

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Address the server listens on
    #[arg(long, global = true, env = "VANTAGE_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    listen: SocketAddr,
    /// The server's bearer token
    #[arg(long, global = true, env = "VANTAGE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl ServerArgs {
    /// The status and the body of the answer to `GET path`.
    fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        self.ask("GET", path, "")
    }

    /// The status and the body of the answer; `body` is JSON, if there is one.
    fn ask(&self, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
        let address = self.listen;
        let mut stream = TcpStream::connect(address).with_context(|| format!("nothing listens on {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let token = self.token.as_ref().map_or(String::new(), |it| format!("Authorization: Bearer {it}\r\n"));
        let kind = match body.len() {
            0 => String::new(),
            length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        };
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{token}{kind}\r\n{body}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).with_context(|| format!("what listens on {address} does not answer"))?;
        let (head, body) =
            answer.split_once("\r\n\r\n").with_context(|| format!("what listens on {address} does not speak HTTP"))?;
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        Ok((status.with_context(|| format!("what listens on {address} does not speak HTTP"))?, body.trim().into()))
    }
}

/// Whether the server is ready, and its words for it.
pub(crate) fn health(server: &ServerArgs) -> anyhow::Result<(bool, String)> {
    let (status, body) = server.get("/readyz")?;
    // Who shows the right token, or needs none, is told the reasons, of which there may be none.
    if server.token.is_some() && !body.contains("\"reasons\"") {
        bail!("the server on {} does not accept this token\n{body}", server.listen);
    }
    Ok((status == 200, body))
}

/// A source as `GET /v1/sources` tells of it.
#[derive(Debug, Deserialize)]
struct Source {
    name: String,
    status: Status,
    positions: Vec<String>,
    lag_ms: Option<u64>,
    events: u64,
    #[serde(default)]
    parts: Vec<Part>,
    /// By table, how many messages were left out.
    #[serde(default)]
    rejected: BTreeMap<String, u64>,
    /// What is not as it should be although the source is followed.
    #[serde(default)]
    warnings: BTreeMap<String, String>,
}

/// A part of a source.
#[derive(Debug, Deserialize)]
struct Part {
    part: String,
    position: Option<String>,
    /// Of a source that tells of its parts.
    state: Option<String>,
    #[serde(flatten)]
    figures: BTreeMap<String, serde_json::Value>,
}

impl Part {
    fn cells(&self, source: &str) -> Option<[String; 5]> {
        let state = self.state.clone()?;
        let position = self.position.as_ref().and_then(|it| it.strip_prefix(source)?.strip_prefix('@'));
        let place = position.map_or("-", |it| it.rsplit_once(':').map_or(it, |it| it.1));
        let figure = |(name, value): (&String, &serde_json::Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name} {value}")
        };
        let figures: Vec<String> = self.figures.iter().map(figure).collect();
        Some([source.into(), self.part.clone(), state, place.into(), figures.join(", ")])
    }
}

#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    reason: Option<String>,
    attempts: Option<u32>,
    retry_in_ms: Option<u64>,
    rows: Option<u64>,
    total: Option<u64>,
}

impl Source {
    fn cells(&self) -> [String; 5] {
        let Status { state, rows, total, retry_in_ms, .. } = &self.status;
        let state = match (rows, total, retry_in_ms) {
            (Some(rows), Some(total), _) => {
                format!("{state} {} %", u128::from(*rows) * 100 / u128::from(*total).max(1))
            }
            (Some(rows), None, _) => format!("{state} {rows} rows"),
            (_, _, Some(0)) => format!("{state} now"),
            (_, _, Some(wait)) => format!("{state} in {} s", wait.div_ceil(1000)),
            _ => state.clone(),
        };
        let lag = self.lag_ms.map_or("-".into(), |it| format!("{it} ms"));
        let positions = if self.positions.is_empty() { "-".into() } else { self.positions.join(",") };
        [self.name.clone(), state, lag, self.events.to_string(), positions]
    }
}

/// The sources of the server as a table; below it, what is in the way of some of them.
pub(crate) fn sources(server: &ServerArgs) -> anyhow::Result<String> {
    let (status, body) = server.get("/v1/sources")?;
    match status {
        200 => table(&body),
        401 => bail!("the server on {} wants a token: set VANTAGE_TOKEN or --token", server.listen),
        _ => bail!("the server on {} answers {status}: {body}", server.listen),
    }
}

/// Has tables of a source copied again; what the server says to that.
pub(crate) fn resync(server: &ServerArgs, source: &str, table: Option<&str>) -> anyhow::Result<String> {
    let body = match table {
        Some(table) => serde_json::json!({ "table": table }),
        None => serde_json::json!({}),
    };
    let path = format!("/v1/sources/{}/resync", percent_encoded(source));
    let (status, body) = server.ask("POST", &path, &body.to_string())?;
    match status {
        202 => {
            let Copied { tables } = serde_json::from_str(&body).context("the answer does not say what is copied")?;
            Ok(format!("copied again: {}; vantage sources shows how that gets on", tables.join(", ")))
        }
        401 => bail!("the server on {} wants a token: set VANTAGE_TOKEN or --token", server.listen),
        _ => bail!("the server on {} answers {status}: {body}", server.listen),
    }
}

/// What is copied again.
#[derive(Debug, Deserialize)]
struct Copied {
    tables: Vec<String>,
}

fn percent_encoded(text: &str) -> String {
    let encoded = |it: u8| match it {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(it).to_string(),
        _ => format!("%{it:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn table(body: &str) -> anyhow::Result<String> {
    let sources: Vec<Source> = serde_json::from_str(body).context("the answer is not a list of sources")?;
    let head = ["SOURCE", "STATE", "LAG", "EVENTS", "POSITION"].map(String::from);
    let mut lines = aligned(head, sources.iter().map(Source::cells));
    let parts = sources.iter().flat_map(|source| source.parts.iter().filter_map(|it| it.cells(&source.name)));
    let parts: Vec<[String; 5]> = parts.collect();
    if !parts.is_empty() {
        lines.push(String::new());
        lines.extend(aligned(["SOURCE", "PART", "STATE", "POSITION", ""].map(String::from), parts));
    }
    for source in &sources {
        let tried = source.status.attempts.filter(|it| *it > 1).map(|it| format!(" (tried {it} times)"));
        let reason = source.status.reason.as_ref().map(|it| format!("{it}{}", tried.unwrap_or_default()));
        let told = reason.iter().chain(source.warnings.values());
        lines.extend(told.map(|it| format!("\n{}: {it}", source.name)));
        lines.extend(source.rejected.iter().map(|(table, count)| {
            let name = &source.name;
            let messages = counted(usize::try_from(*count).unwrap_or(usize::MAX), "message");
            format!("\n{name}: {messages} left out of {table}; GET /v1/sources/{name}/rejected shows the last ones")
        }));
    }
    Ok(lines.join("\n"))
}

/// Rows below their head, in columns.
fn aligned(head: [String; 5], rows: impl IntoIterator<Item = [String; 5]>) -> Vec<String> {
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(rows).collect();
    let widths: [usize; 5] =
        std::array::from_fn(|at| rows.iter().map(|it| it[at].chars().count()).max().unwrap_or_default());
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_a_table_with_the_reasons_below() {
        let body = r#"[
            {"name": "catalog", "status": {"state": "streaming"}, "positions": ["catalog@17"], "lag_ms": 3, "events": 1842},
            {"name": "orders", "status": {"state": "snapshotting", "rows": 5, "total": 20}, "positions": [], "lag_ms": null,
             "events": 5},
            {"name": "stock", "status": {"state": "halted", "reason": "no"}, "positions": ["stock@0:1", "stock@1:2"],
             "lag_ms": 70000, "events": 0, "warnings": {"transactions": "not whole"},
             "rejected": {"items": 2},
             "parts": [{"part": "0", "position": "stock@0:1", "state": "streaming", "end": 9, "behind": 8},
                       {"part": "1", "position": "stock@1:2", "state": "halted", "wal_status": "lost"}]},
            {"name": "shop", "status": {"state": "retrying", "reason": "away", "attempts": 3, "retry_in_ms": 1200},
             "positions": [], "lag_ms": null, "events": 0}
        ]"#;
        let expected = "\
SOURCE   STATE              LAG       EVENTS  POSITION
catalog  streaming          3 ms      1842    catalog@17
orders   snapshotting 25 %  -         5       -
stock    halted             70000 ms  0       stock@0:1,stock@1:2
shop     retrying in 2 s    -         0       -

SOURCE  PART  STATE      POSITION
stock   0     streaming  1         behind 8, end 9
stock   1     halted     2         wal_status lost

stock: no

stock: not whole

stock: 2 messages left out of items; GET /v1/sources/stock/rejected shows the last ones

shop: away (tried 3 times)";
        assert_eq!(table(body).unwrap(), expected);
        assert!(table("{}").is_err());
    }
}
