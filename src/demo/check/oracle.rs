//! The other side of the check: SQLite over the services' files, one schema a source.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::cell::Cell;
use super::{COPY, CheckError};
use crate::catalog::{Catalog, Relation, View};
use crate::source::sqlite;

/// A connection in which every table and view of the catalog has its unqualified name.
#[derive(Debug)]
pub(super) struct Oracle {
    connection: Connection,
}

impl Oracle {
    /// Attaches the file of every source, and names the tables as the views do. What is kept in servers is read from their
    /// copy, under the last part of its name there.
    pub(super) fn attach(catalog: &Catalog, base: &Path) -> Result<Oracle, CheckError> {
        let failed = |view: &str, error| CheckError::Sqlite { view: view.to_owned(), error };
        let connection = Connection::open_in_memory().map_err(|error| failed("anything", error))?;
        let prepare = || {
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;")
        };
        prepare().map_err(|error| failed("anything", error))?;
        for source in &catalog.sources {
            let path = sqlite::path_of(source, base).unwrap_or_else(|| base.join(COPY));
            let path = path.to_string_lossy().into_owned();
            let attach = format!("ATTACH ?1 AS {}", quoted(&source.name));
            connection.execute(&attach, [path]).map_err(|error| failed(&source.name, error))?;
        }
        for table in &catalog.tables {
            let source = catalog.sources.get(table.source).map_or("main", |source| source.name.as_str());
            let upstream = table.upstream.rsplit('.').next().unwrap_or(&table.upstream);
            let from = format!("{}.{}", quoted(source), quoted(upstream));
            let view = format!("CREATE TEMP VIEW {} AS SELECT * FROM {from}", quoted(&table.name));
            connection.execute_batch(&view).map_err(|error| failed(&table.name, error))?;
        }
        Ok(Oracle { connection })
    }

    /// Gives a view its name: a materialized one is computed now, so that views on it need not do that again.
    pub(super) fn define(&self, view: &View) -> Result<(), CheckError> {
        let columns: Vec<String> = view.columns.iter().map(|column| quoted(column)).collect();
        let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
        let name = quoted(&view.name);
        let statement = if view.materialized {
            let query = quoted(&format!("query of {}", view.name));
            format!(
                "CREATE TEMP VIEW {query}{columns} AS {}\n; CREATE TEMP TABLE {name} AS SELECT * FROM {query}",
                view.query
            )
        } else {
            format!("CREATE TEMP VIEW {name}{columns} AS {}", view.query)
        };
        let run = self.connection.execute_batch(&statement);
        run.map_err(|error| CheckError::Sqlite { view: view.name.clone(), error })
    }

    /// The number of rows of a defined view.
    pub(super) fn count(&self, view: &str) -> Result<usize, CheckError> {
        let count = format!("SELECT count(*) FROM {}", quoted(view));
        let count = self.connection.query_row(&count, [], |row| row.get::<_, i64>(0));
        let count = count.map_err(|error| CheckError::Sqlite { view: view.to_owned(), error })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The column names and rows of a defined view, in the types of `relation`.
    pub(super) fn rows(&self, relation: &Relation) -> Result<(Vec<String>, Vec<Vec<Cell>>), CheckError> {
        let read = || {
            let mut select = self.connection.prepare(&format!("SELECT * FROM {}", quoted(&relation.name)))?;
            let names: Vec<String> = select.column_names().map(str::to_owned).collect();
            let types: Vec<_> = relation.schema.visible_columns().iter().map(|column| column.data_type).collect();
            let mut rows = select.query([])?;
            let mut cells = Vec::new();
            while let Some(row) = rows.next()? {
                let row: Result<Vec<Cell>, rusqlite::Error> = (0..names.len())
                    .map(|index| {
                        let data_type = types.get(index).copied().unwrap_or(crate::change::DataType::Bytes);
                        Ok(Cell::expected(row.get_ref(index)?, data_type))
                    })
                    .collect();
                cells.push(row?);
            }
            Ok((names, cells))
        };
        read().map_err(|error| CheckError::Sqlite { view: relation.name.clone(), error })
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
