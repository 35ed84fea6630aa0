//! A store that is a SQLite file.

use rusqlite::{Connection, params_from_iter};

use super::{Statement, Store, StoreError};

/// A connection to the file.
#[derive(Debug)]
pub(in crate::demo) struct File(pub(in crate::demo) Connection);

impl Store for File {
    fn run(&mut self, statements: &[Statement<'_>]) -> Result<u64, StoreError> {
        let execute = |connection: &Connection, (statement, values): &Statement<'_>| {
            connection.prepare_cached(statement)?.execute(params_from_iter(*values))
        };
        // A statement by itself is a transaction.
        if let [statement] = statements {
            return Ok(execute(&self.0, statement)? as u64);
        }
        let transaction = self.0.transaction()?;
        let mut rows = 0;
        for statement in statements {
            rows += execute(&transaction, statement)? as u64;
        }
        transaction.commit()?;
        Ok(rows)
    }

    fn number(&mut self, query: &str) -> Result<i64, StoreError> {
        Ok(self.0.query_row(query, [], |row| row.get(0))?)
    }
}
