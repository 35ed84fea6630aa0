//! A store that is a database of a server, reached by the server's own command line client: one process, which is given
//! statements and answers in lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rusqlite::types::Value;

use super::{Statement, Store, StoreError};

/// What stands behind an answer.
const END: &str = "-- end of answer --";

/// Which client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::demo) enum Client {
    Psql,
    MariaDb,
}

impl Client {
    fn program(self) -> &'static str {
        match self {
            Client::Psql => "psql",
            Client::MariaDb => "mariadb",
        }
    }

    /// It finds the password in its environment (`PGPASSWORD`, `MYSQL_PWD`).
    fn command(self, host: &str, port: u16, user: &str, password: &str, database: &str) -> Command {
        let mut command = Command::new(self.program());
        let port = port.to_string();
        match self {
            Client::Psql => command
                .args(["--no-psqlrc", "--tuples-only", "--no-align", "--field-separator=\t", "--pset=null=NULL"])
                .args(["--set=ON_ERROR_STOP=1", "--host", host, "--port", &port, "--username", user])
                .args(["--dbname", database])
                .env("PGPASSWORD", password),
            Client::MariaDb => command
                .args(["--no-defaults", "--batch", "--skip-column-names", "--unbuffered", "--skip-ssl"])
                .args(["--default-character-set=utf8mb4", "--host", host, "--port", &port, "--user", user, database])
                .env("MYSQL_PWD", password),
        };
        command
    }
}

/// How a database is reached.
#[derive(Debug, Clone)]
pub(in crate::demo) struct Database {
    pub(in crate::demo) client: Client,
    pub(in crate::demo) host: String,
    pub(in crate::demo) port: u16,
    pub(in crate::demo) user: String,
    pub(in crate::demo) password: String,
    pub(in crate::demo) name: String,
}

/// A session of a client.
#[derive(Debug)]
pub(in crate::demo) struct Session {
    client: Client,
    process: Child,
    /// `None` once it is told to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Session {
    pub(in crate::demo) fn open(database: &Database) -> Result<Session, StoreError> {
        let Database { client, host, port, user, password, name } = database;
        let failed = |error| StoreError::Client { program: client.program(), error };
        let mut command = client.command(host, *port, user, password, name);
        // Ctrl-C is for the demo to hear, which then ends its clients.
        let pipes = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = pipes.spawn().map_err(failed)?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut session = Session { client: *client, process, input, output };
        if *client == Client::MariaDb {
            // Texts are written as the standard has them.
            session.ask("SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")?;
        }
        Ok(session)
    }

    /// The lines that statements are answered with.
    pub(in crate::demo) fn ask(&mut self, statements: &str) -> Result<Vec<String>, StoreError> {
        if let Some(lines) = self.exchange(statements) {
            return Ok(lines);
        }
        let mut words = String::new();
        if let Some(errors) = &mut self.process.stderr {
            _ = errors.read_to_string(&mut words);
        }
        let statement = statements.chars().take(200).collect();
        Err(StoreError::Refused { program: self.client.program(), words: words.trim().to_owned(), statement })
    }

    /// `None` when the client has ended.
    fn exchange(&mut self, statements: &str) -> Option<Vec<String>> {
        let input = self.input.as_mut()?;
        writeln!(input, "{statements};\nSELECT '{END}';").and_then(|()| input.flush()).ok()?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end_matches('\n') {
                END => return Some(lines),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// The rows of a query, a text a cell; `None` for NULL. No text of the shop has a tab or a line break.
    pub(in crate::demo) fn rows(&mut self, query: &str) -> Result<Vec<Vec<Option<String>>>, StoreError> {
        let cell = |it: &str| (it != "NULL").then(|| it.to_owned());
        Ok(self.ask(query)?.iter().map(|line| line.split('\t').map(cell).collect()).collect())
    }
}

impl Store for Session {
    fn run(&mut self, statements: &[Statement<'_>]) -> Result<u64, StoreError> {
        let mut script = "BEGIN;".to_owned();
        for (statement, values) in statements {
            script.push_str(&written_out(statement, values));
            // psql tells how many rows there were by itself.
            script.push_str(if self.client == Client::MariaDb { "; SELECT ROW_COUNT();" } else { ";" });
        }
        script.push_str("COMMIT");
        // "UPDATE 1", "INSERT 0 1", "1".
        let count = |line: &String| line.rsplit(' ').next().and_then(|it| it.parse::<u64>().ok());
        Ok(self.ask(&script)?.iter().filter_map(count).sum())
    }

    fn number(&mut self, query: &str) -> Result<i64, StoreError> {
        let answer = self.ask(query)?.join("\n");
        answer.parse().map_err(|_| StoreError::Answer { statement: query.to_owned(), answer })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        _ = self.process.wait();
    }
}

/// A statement with its values in the place of its parameters.
fn written_out(statement: &str, values: &[Value]) -> String {
    let mut parts = statement.split('?');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        let value = number.parse::<usize>().ok().and_then(|it| values.get(it.checked_sub(1)?));
        text.push_str(&literal(value.expect("a parameter has a value")));
        text.push_str(rest);
    }
    text
}

/// A value as all of the databases write it.
pub(in crate::demo) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(it) => it.to_string(),
        Value::Real(it) => it.to_string(),
        Value::Text(it) => format!("'{}'", it.replace('\'', "''")),
        Value::Blob(_) => unreachable!("the shop has no bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::values;
    use super::*;

    #[test]
    fn values_take_the_places_of_their_parameters() {
        let statement = "UPDATE t SET a = ?2, b = ?10, c = ?2 WHERE id = ?1";
        let mut values: Vec<Value> = values![7_i64, "it's".to_owned()].into();
        values.resize(9, Value::Null);
        values.push(Value::Integer(-1));
        assert_eq!(written_out(statement, &values), "UPDATE t SET a = 'it''s', b = -1, c = 'it''s' WHERE id = 7");
        assert_eq!(written_out("SELECT 1", &[]), "SELECT 1");
    }
}
