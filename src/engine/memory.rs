//! What is remembered of the last plan, for when a source is away or has changed: the schemas of the tables, and which
//! views and indexes were planned.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::options::EngineError;
use crate::catalog::{Catalog, DeclaredColumn, Format, Index, Options, Table};
use crate::change::{Column, KeyColumn, Schema};

/// Name of the file in the data directory.
const FILE_NAME: &str = "schemas.json";

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    tables: BTreeMap<String, Remembered>,
    /// By view or index, the statement that was planned.
    statements: BTreeMap<String, String>,
}

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
    #[serde(default, skip_serializing_if = "Options::is_empty")]
    options: Options,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
}

impl Question {
    fn of(catalog: &Catalog, table: &Table) -> Question {
        Question {
            source: catalog.sources[table.source].name.clone(),
            upstream: table.upstream.clone(),
            declared: table.declared.clone(),
            options: table.options.sorted(),
            format: table.format.clone(),
        }
    }
}

/// The views and indexes as they are declared.
fn statements(catalog: &Catalog) -> impl Iterator<Item = (String, String)> {
    let views = catalog.views.iter().map(|it| (it.name.clone(), format!("view {:?} {}", it.columns, it.query)));
    let index = |it: &Index| format!("index {} {:?} {:?}", it.relation, it.columns, it.include);
    views.chain(catalog.indexes.iter().map(move |it| (it.name.clone(), index(it))))
}

impl Memory {
    /// What the directory remembers. What cannot be read is forgotten, which is no loss while all sources answer: they are
    /// asked first, and it is written anew. It says so, since without it what a source that is away would be planned with
    /// is not known, and a view that its source has broken passes for a mistake of the view files.
    pub(super) fn read(data: &Path) -> Memory {
        let path = data.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Memory::default(),
            read => read.map_err(|error| error.to_string()),
        };
        let read = text.and_then(|it| serde_json::from_str(&it).map_err(|error| error.to_string()));
        read.unwrap_or_else(|reason| {
            tracing::warn!(
                path = %path.display(),
                reason,
                "what was planned last cannot be read and is forgotten; views of sources that are away are planned when \
                 these are back"
            );
            Memory::default()
        })
    }

    /// The schema `table` had when it was last planned with, if it was declared as it is now.
    pub(super) fn schema(&self, catalog: &Catalog, table: &Table) -> Option<Schema> {
        let known = self.tables.get(&table.name).filter(|it| it.asked == Question::of(catalog, table))?;
        Some(Schema { columns: known.columns.clone().into(), visible: known.visible, key: known.key.clone().into() })
    }

    /// Whether this very view or index was planned before, so that it is no mistake of the view files when it cannot be
    /// planned now.
    pub(super) fn knows(&self, catalog: &Catalog, name: &str) -> bool {
        let declared = statements(catalog).find(|it| it.0 == name);
        declared.is_some_and(|(name, statement)| self.statements.get(&name) == Some(&statement))
    }

    /// Takes in what was planned: `catalog` with these schemas. Statements that could not be planned this time stay known.
    pub(super) fn learn(&mut self, catalog: &Catalog, schemas: &[Schema]) {
        for (table, schema) in catalog.tables.iter().zip(schemas) {
            let (columns, key) = (schema.columns.to_vec(), schema.key.to_vec());
            let remembered = Remembered { asked: Question::of(catalog, table), columns, visible: schema.visible, key };
            self.tables.insert(table.name.clone(), remembered);
        }
        self.statements.extend(statements(catalog));
    }

    /// Forgets what is not declared any more, and writes the rest down.
    pub(super) fn write(&mut self, declared: &Catalog, data: &Path) -> Result<(), EngineError> {
        self.tables.retain(|name, _| declared.tables.iter().any(|it| it.name == *name));
        let names: Vec<String> = statements(declared).map(|it| it.0).collect();
        self.statements.retain(|name, _| names.contains(name));
        let text = serde_json::to_string_pretty(self).map_err(|error| EngineError::Io(error.to_string()))?;
        let (path, aside) = (data.join(FILE_NAME), data.join(format!("{FILE_NAME}.new")));
        // Written aside and renamed, so that a crash leaves the old or the new file.
        let written = std::fs::create_dir_all(data)
            .and_then(|()| std::fs::write(&aside, text))
            .and_then(|()| std::fs::rename(&aside, &path));
        written.map_err(|error| EngineError::Io(format!("cannot write {}: {error}", path.display())))
    }
}
