//! What is declared: sources, tables, views and indexes, read from the SQL files of one directory.
//!
//! The catalog holds names, texts and places only; the plan layer gives them meaning.

mod columns;
mod error;
mod options;
mod parse;
mod references;
mod resolve;
mod statement;
mod suggest;
mod tokens;

pub use error::{Problem, Span};
pub use options::{Format, Name, Options};
pub use parse::read_directory;
pub(crate) use suggest::did_you_mean;
pub(crate) use tokens::LineMap;

#[cfg(test)]
pub(crate) use parse::read_files;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::change::{DataType, RelationId, Schema};

/// Everything the view files declare, in an order in which each object only needs earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// `CREATE SOURCE`.
    pub sources: Vec<Source>,
    /// `CREATE TABLE`; a [`crate::change::TableId`] is an index into this.
    pub tables: Vec<Table>,
    /// `CREATE MATERIALIZED VIEW` and `CREATE VIEW`.
    pub views: Vec<View>,
    /// `CREATE INDEX`.
    pub indexes: Vec<Index>,
    /// The text of every file, for error messages.
    pub files: Vec<File>,
}

impl Catalog {
    /// The same without the tables, views and indexes of these names; `names` must hold what reads them, too.
    #[must_use]
    pub fn without(&self, names: &BTreeSet<String>) -> Catalog {
        let mut rest = self.clone();
        rest.tables.retain(|it| !names.contains(&it.name));
        rest.views.retain(|it| !names.contains(&it.name));
        rest.indexes.retain(|it| !names.contains(&it.name) && !names.contains(&it.relation));
        let reads = |view: &View| view.depends_on.iter().find(|it| names.contains(*it)).cloned();
        let dangling = rest.views.iter().find_map(|it| reads(it).map(|read| (&it.name, read)));
        assert_eq!(dangling, None, "a view stays although what it reads goes");
        rest
    }
}

/// One SQL file.
#[derive(Debug, Clone)]
pub struct File {
    /// The path as it was found.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Where a service's changes come from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The name.
    pub name: String,
    /// Of what kind it is.
    pub connector: Name,
    /// How to connect, in the kind's own options.
    pub options: Options,
    /// Whether it was declared along with the one table that reads it, by `CREATE TABLE … WITH (connector = …)`; then its
    /// options are the table's, too.
    pub is_unshared: bool,
    /// The comment in front of the statement.
    pub doc: String,
    /// Where it is declared.
    pub span: Span,
}

/// A table of a source, kept in step with it.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// The name views use.
    pub name: String,
    /// Index of its source.
    pub source: usize,
    /// The table's name at the source.
    pub upstream: String,
    /// Declared columns; empty when they are to be read from the source.
    pub declared: Vec<DeclaredColumn>,
    /// How it is read, in the options of its source's kind; those of an unshared source are the source's.
    pub options: Options,
    /// How its messages are read, where it is made of messages.
    pub format: Option<Format>,
    /// Where it says that messages which cannot be read are left out; without that they halt it.
    pub skips_errors: Option<Span>,
    /// The comment in front of the statement.
    pub doc: String,
    /// Where it is declared.
    pub span: Span,
}

/// A column written out in `CREATE TABLE`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeclaredColumn {
    /// The name.
    pub name: String,
    /// The type.
    pub data_type: DataType,
    /// NOT NULL or part of the primary key.
    pub not_null: bool,
    /// Whether the column is part of the primary key.
    pub primary_key: bool,
    /// What of a message besides its value the column holds: `timestamp`, `partition`, `offset`, `key`, `headers.x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Name>,
}

impl DeclaredColumn {
    /// A column that may be NULL and is no part of the key.
    pub fn new(name: impl Into<String>, data_type: DataType) -> DeclaredColumn {
        DeclaredColumn { name: name.into(), data_type, not_null: false, primary_key: false, metadata: None }
    }
}

/// A named query.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The name.
    pub name: String,
    /// The optional list of column names.
    pub columns: Vec<String>,
    /// Whether its rows are kept (`CREATE MATERIALIZED VIEW`) or it only names a query (`CREATE VIEW`).
    pub materialized: bool,
    /// How far it may be behind its sources before it counts as stale.
    pub freshness: Option<Duration>,
    /// The text of the query.
    pub query: String,
    /// Names of the tables and views the query mentions.
    pub depends_on: Vec<String>,
    /// The comment in front of the statement.
    pub doc: String,
    /// Where the statement is.
    pub span: Span,
    /// Where the query's text begins, so that places in the query become places in the file.
    pub query_span: Span,
}

/// An access path that is kept for readers.
#[derive(Debug, Clone)]
pub struct Index {
    /// The name.
    pub name: String,
    /// The table or view.
    pub relation: String,
    /// Key columns by name.
    pub columns: Vec<IndexColumn>,
    /// Columns carried along so that a read needs nothing else.
    pub include: Vec<String>,
    /// Where it is declared.
    pub span: Span,
}

/// One column of an index.
#[derive(Debug, Clone)]
pub struct IndexColumn {
    /// The column's name.
    pub name: String,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST; PostgreSQL's default is the same as `descending`.
    pub nulls_first: bool,
}

/// A table or materialized view as readers see it: what the engine serves and the endpoints describe.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The name.
    pub name: String,
    /// Whether it is a view (else a table).
    pub is_view: bool,
    /// Columns and key.
    pub schema: Schema,
    /// Where the rows lie in the store.
    pub id: RelationId,
    /// Indices of the sources its rows depend on.
    pub sources: Vec<usize>,
    /// Its served indexes.
    pub indexes: Vec<ServedIndex>,
    /// How far it may be behind its sources before it counts as stale, when that was declared.
    pub freshness: Option<Duration>,
    /// The documentation comment.
    pub doc: String,
    /// The text of the query; empty for tables.
    pub query: String,
}

/// An index as readers use it. Its entries are a relation of their own, keyed by the index columns and then the
/// indexed row's key; column 0 of an entry (Bytes) is that row's encoded key, the included columns follow.
#[derive(Debug, Clone)]
pub struct ServedIndex {
    /// The name.
    pub name: String,
    /// Where the entries lie in the store.
    pub id: RelationId,
    /// The index columns as columns of the indexed relation, with their directions.
    pub key: Vec<crate::change::KeyColumn>,
    /// Included columns of the indexed relation, in the entry's order (entry column 1 is `include[0]`).
    pub include: Vec<usize>,
}
