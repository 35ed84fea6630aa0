//! Asks a running server, for the commands that tell how it is doing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use vantage::address::parse_address;

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Address the server listens on
    #[arg(long, env = "VANTAGE_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    listen: SocketAddr,
    /// The server's bearer token
    #[arg(long, env = "VANTAGE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl ServerArgs {
    /// The status and the body of the answer to `GET path`.
    fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let address = self.listen;
        let mut stream = TcpStream::connect(address).with_context(|| format!("nothing listens on {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let token = self.token.as_ref().map_or(String::new(), |it| format!("Authorization: Bearer {it}\r\n"));
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n{token}\r\n")?;
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
}

#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    reason: Option<String>,
    rows: Option<u64>,
    total: Option<u64>,
}

impl Source {
    fn cells(&self) -> [String; 5] {
        let Status { state, rows, total, .. } = &self.status;
        let state = match (rows, total) {
            (Some(rows), Some(total)) => format!("{state} {} %", u128::from(*rows) * 100 / u128::from(*total).max(1)),
            (Some(rows), None) => format!("{state} {rows} rows"),
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

fn table(body: &str) -> anyhow::Result<String> {
    let sources: Vec<Source> = serde_json::from_str(body).context("the answer is not a list of sources")?;
    let head = ["SOURCE", "STATE", "LAG", "EVENTS", "POSITION"].map(String::from);
    let rows: Vec<[String; 5]> = std::iter::once(head).chain(sources.iter().map(Source::cells)).collect();
    let widths: [usize; 5] =
        std::array::from_fn(|at| rows.iter().map(|it| it[at].chars().count()).max().unwrap_or_default());
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    let reasons = sources.iter().filter_map(|it| Some(format!("\n{}: {}", it.name, it.status.reason.as_ref()?)));
    lines.extend(reasons);
    Ok(lines.join("\n"))
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
             "lag_ms": 70000, "events": 0}
        ]"#;
        let expected = "\
SOURCE   STATE              LAG       EVENTS  POSITION
catalog  streaming          3 ms      1842    catalog@17
orders   snapshotting 25 %  -         5       -
stock    halted             70000 ms  0       stock@0:1,stock@1:2

stock: no";
        assert_eq!(table(body).unwrap(), expected);
        assert!(table("{}").is_err());
    }
}
