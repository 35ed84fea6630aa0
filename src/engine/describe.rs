//! The schemas of the sources' tables, and a memory of them for when a source is away or cannot be read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::options::EngineError;
use crate::catalog::{Catalog, DeclaredColumn, Table};
use crate::change::{Column, KeyColumn, Schema};
use crate::source;

/// Name of the file in the data directory that remembers the schemas.
const FILE_NAME: &str = "schemas.json";

/// What is remembered of one table: what was asked, and the answer.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    asked: Question,
    columns: Vec<Column>,
    visible: usize,
    key: Vec<KeyColumn>,
}

/// What a schema depends on besides the source's own table.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Question {
    source: String,
    upstream: String,
    declared: Vec<DeclaredColumn>,
}

impl Question {
    fn of(catalog: &Catalog, table: &Table) -> Question {
        Question {
            source: catalog.sources[table.source].name.clone(),
            upstream: table.upstream.clone(),
            declared: table.declared.clone(),
        }
    }
}

/// The schema of every table of the catalog: as the source has it now, or as it had it when it could last be asked. What
/// is in the way there, the thread that follows the source will name.
///
/// # Errors
/// [`EngineError::Source`], transient when it lies with the source and nothing is remembered.
pub(super) fn tables(catalog: &Catalog, data: Option<&Path>) -> Result<Vec<Schema>, EngineError> {
    let text = data.and_then(|data| std::fs::read_to_string(data.join(FILE_NAME)).ok()).unwrap_or_default();
    // An unreadable memory is no loss: the sources are asked first, and the next start writes it anew.
    let mut remembered: BTreeMap<String, Remembered> = serde_json::from_str(&text).unwrap_or_default();
    let mut schemas = Vec::new();
    for table in &catalog.tables {
        let owner = &catalog.sources[table.source];
        let described = source::describe(&owner.connector, &table.upstream, &table.declared);
        schemas.push(described.or_else(|error| {
            let transient = error.is_transient();
            let known =
                remembered.remove(&table.name).filter(|it| transient && it.asked == Question::of(catalog, table));
            let schema =
                |it: Remembered| Schema { columns: it.columns.into(), visible: it.visible, key: it.key.into() };
            let refusal = || EngineError::Source { name: owner.name.clone(), reason: error.to_string(), transient };
            known.map(schema).ok_or_else(refusal)
        })?);
    }
    Ok(schemas)
}

/// Writes the schemas down.
pub(super) fn remember(catalog: &Catalog, schemas: &[Schema], data: &Path) -> Result<(), EngineError> {
    let entry = |(table, schema): (&Table, &Schema)| {
        let asked = Question::of(catalog, table);
        let (columns, key) = (schema.columns.to_vec(), schema.key.to_vec());
        (table.name.clone(), Remembered { asked, columns, visible: schema.visible, key })
    };
    let entries: BTreeMap<String, Remembered> = catalog.tables.iter().zip(schemas).map(entry).collect();
    let text = serde_json::to_string_pretty(&entries).map_err(|error| EngineError::Io(error.to_string()))?;
    let (path, aside) = (data.join(FILE_NAME), data.join(format!("{FILE_NAME}.new")));
    // Written aside and renamed, so that a crash leaves the old or the new file.
    let written = std::fs::create_dir_all(data)
        .and_then(|()| std::fs::write(&aside, text))
        .and_then(|()| std::fs::rename(&aside, &path));
    written.map_err(|error| EngineError::Io(format!("cannot write {}: {error}", path.display())))
}
