//! The shapes of the sources' tables, and a memory of them for when a source is away.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::options::EngineError;
use crate::catalog::{Catalog, Table};
use crate::change::{Column, KeyColumn, Schema};
use crate::source;

/// Name of the file in the data directory that remembers the shapes.
const FILE_NAME: &str = "schemas.json";

/// The stored form of a [`Schema`].
#[derive(Debug, Serialize, Deserialize)]
struct Shape {
    columns: Vec<Column>,
    visible: usize,
    key: Vec<KeyColumn>,
}

/// The schema of every table of the catalog: as the source has it now, or as it had it when it was last there.
///
/// # Errors
/// [`EngineError::Source`], transient when the source cannot be reached and nothing is remembered.
pub(super) fn tables(catalog: &Catalog, data: Option<&Path>) -> Result<Vec<Schema>, EngineError> {
    let text = data.and_then(|data| std::fs::read_to_string(data.join(FILE_NAME)).ok()).unwrap_or_default();
    // An unreadable memory is no loss: the sources are asked first, and the next start writes it anew.
    let mut remembered: BTreeMap<String, Shape> = serde_json::from_str(&text).unwrap_or_default();
    let mut schemas = Vec::new();
    for table in &catalog.tables {
        let owner = &catalog.sources[table.source];
        let described = source::describe(&owner.connector, &table.upstream, &table.declared);
        schemas.push(described.or_else(|error| {
            let transient = error.is_transient();
            let known = if transient { remembered.remove(&name(catalog, table)) } else { None };
            let schema = |it: Shape| Schema { columns: it.columns.into(), visible: it.visible, key: it.key.into() };
            let refusal = || EngineError::Source { name: owner.name.clone(), reason: error.to_string(), transient };
            known.map(schema).ok_or_else(refusal)
        })?);
    }
    Ok(schemas)
}

/// Writes the shapes down.
pub(super) fn remember(catalog: &Catalog, schemas: &[Schema], data: &Path) -> Result<(), EngineError> {
    let shape = |it: &Schema| Shape { columns: it.columns.to_vec(), visible: it.visible, key: it.key.to_vec() };
    let shapes: BTreeMap<String, Shape> =
        catalog.tables.iter().zip(schemas).map(|(table, schema)| (name(catalog, table), shape(schema))).collect();
    let text = serde_json::to_string_pretty(&shapes).map_err(|error| EngineError::Io(error.to_string()))?;
    let (path, aside) = (data.join(FILE_NAME), data.join(format!("{FILE_NAME}.new")));
    // Written aside and renamed, so that a crash leaves the old or the new file.
    let written = std::fs::create_dir_all(data)
        .and_then(|()| std::fs::write(&aside, text))
        .and_then(|()| std::fs::rename(&aside, &path));
    written.map_err(|error| EngineError::Io(format!("cannot write {}: {error}", path.display())))
}

fn name(catalog: &Catalog, table: &Table) -> String {
    format!("{}/{}", catalog.sources[table.source].name, table.upstream)
}
