//! A store that publishes what it does: a SQLite file nobody else reads, and a CloudEvent for every row that changed.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};
use serde_json::{Value as Json, json};

#[cfg(not(feature = "kafka"))]
use super::no_outlet::Outlet;
#[cfg(feature = "kafka")]
use super::outlet::Outlet;
use super::{File, Statement, Store, StoreError};

/// The reviews' file, and their topic.
#[derive(Debug)]
pub(in crate::demo) struct Events {
    file: File,
    outlet: Outlet,
}

impl Events {
    pub(in crate::demo) fn open(connection: Connection, servers: &str) -> Result<Events, StoreError> {
        Ok(Events { file: File(connection), outlet: Outlet::open(servers)? })
    }

    /// Publishes every review there is.
    pub(in crate::demo) fn publish_all(&mut self, stop: &dyn Fn() -> bool) -> Result<(), StoreError> {
        let Events { file, outlet } = self;
        let mut select = file.0.prepare(&format!("{SELECT} ORDER BY id"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            outlet.send(row.get(0)?, Some(data(row)?))?;
            if stop() {
                return Ok(());
            }
        }
        outlet.flush()
    }
}

const SELECT: &str = "SELECT id, product_id, customer_id, rating, title, written_at FROM reviews";

fn data(row: &rusqlite::Row<'_>) -> Result<Json, rusqlite::Error> {
    let number = |at: usize| row.get::<_, i64>(at);
    Ok(json!({
        "id": number(0)?,
        "product_id": number(1)?,
        "customer_id": number(2)?,
        "rating": number(3)?,
        "title": row.get::<_, Option<String>>(4)?,
        "written_at": number(5)?,
    }))
}

impl Store for Events {
    /// The first value of each statement is the id of the review.
    fn run(&mut self, statements: &[Statement<'_>]) -> Result<u64, StoreError> {
        let rows = self.file.run(statements)?;
        for (_, values) in statements {
            let Some(Value::Integer(id)) = values.first() else { continue };
            let select = format!("{SELECT} WHERE id = ?1");
            let now = self.file.0.prepare_cached(&select)?.query_row([id], data).optional()?;
            self.outlet.send(*id, now)?;
        }
        self.outlet.flush()?;
        Ok(rows)
    }

    fn number(&mut self, query: &str) -> Result<i64, StoreError> {
        self.file.number(query)
    }
}
