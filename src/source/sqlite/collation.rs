//! Under which collation the owner compares each column of a table.

use std::path::Path;

use rusqlite::Connection;

use super::error::SqliteError;
use super::schema::{open, shape_of};
use super::shape::quoted;

/// The columns of table `upstream` that are not compared bytewise, with their collations.
pub(super) fn collations(path: &Path, upstream: &str) -> Result<Vec<(String, String)>, SqliteError> {
    let connection = open(path)?;
    let shape = shape_of(&connection, path, upstream)?;
    let one = |column: &str| Some((column.to_string(), collation(&connection, &shape.name, column)?));
    let all = shape.columns.iter().filter_map(|it| one(&it.name));
    Ok(all.filter(|(_, collation)| collation != "BINARY").collect())
}

/// What SQLite itself would compare the column by, read off the program it makes of a comparison. A column of which it
/// does not tell is compared bytewise, or by what only its owner knows.
fn collation(connection: &Connection, table: &str, column: &str) -> Option<String> {
    let sql = format!("EXPLAIN SELECT {} = 'a' FROM {}", quoted(column), quoted(table));
    let mut statement = connection.prepare(&sql).ok()?;
    let steps = statement.query_map([], |row| Ok((row.get::<_, String>(1)?, row.get::<_, Option<String>>(5)?))).ok()?;
    // Its text encoding stands behind the name: NOCASE-8.
    let named = |(opcode, collation): (String, Option<String>)| match &*opcode {
        "Eq" | "Ne" => collation?.rsplit_once('-').map(|it| it.0.to_ascii_uppercase()),
        _ => None,
    };
    steps.flatten().find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_tells_its_collation() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let connection = Connection::open(file.path()).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT COLLATE NOCASE, c TEXT COLLATE rtrim, d INTEGER)",
            )
            .unwrap();
        let found = collations(file.path(), "t").unwrap();
        assert_eq!(found, [("b".into(), "NOCASE".into()), ("c".into(), "RTRIM".into())]);
    }
}
