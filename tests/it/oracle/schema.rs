//! Random tables, with and without keys, described to SQLite and to Vantage alike.

use rand::Rng;
use rand::rngs::SmallRng;
use vantage::change::{Column, DataType, KeyColumn, Schema};

/// Column types that mean the same in both dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Real,
}

/// A column in scope of an expression.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    /// Columns of the primary key; empty: the table is a multiset.
    pub(super) key: Vec<usize>,
}

impl Table {
    pub(super) fn random(rng: &mut SmallRng, number: usize) -> Table {
        let mut fields = vec![Field { name: "id".into(), kind: Kind::Int }];
        for index in 0..rng.random_range(2..5) {
            let kind = match rng.random_range(0..10) {
                0..6 => Kind::Int,
                6..9 => Kind::Text,
                _ => Kind::Real,
            };
            fields.push(Field { name: format!("{}{index}", ["a", "b", "c"][number % 3]), kind });
        }
        let key = match rng.random_range(0..4) {
            0 => vec![],
            1 => vec![1, 0],
            _ => vec![0],
        };
        Table { name: format!("t{number}"), fields, key }
    }

    /// A table from `name: column type, …; key columns`.
    pub(super) fn parse(text: &str) -> Table {
        let (name, rest) = text.split_once(": ").expect("a name");
        let (columns, key) = rest.split_once(';').expect("a key, or nothing");
        let field = |it: &str| {
            let (name, kind) = it.split_once(' ').expect("a type");
            let kind = match kind {
                "int" => Kind::Int,
                "text" => Kind::Text,
                "real" => Kind::Real,
                other => panic!("no type {other}"),
            };
            Field { name: name.into(), kind }
        };
        let fields: Vec<Field> = columns.split(", ").map(field).collect();
        let place = |name: &str| fields.iter().position(|it| it.name == name).expect("a column");
        let key = key.split_whitespace().map(place).collect();
        Table { name: name.into(), fields, key }
    }

    /// `CREATE TABLE` for the owner. The key columns are NOT NULL, so that they are a key to SQL.
    pub(super) fn sqlite_ddl(&self) -> String {
        let columns = self.fields.iter().enumerate().map(|(index, field)| {
            let kind = match field.kind {
                Kind::Int => "BIGINT",
                Kind::Text => "TEXT",
                Kind::Real => "REAL",
            };
            let null = if self.key.contains(&index) { " NOT NULL" } else { "" };
            format!("{} {kind}{null}", field.name)
        });
        let mut parts: Vec<String> = columns.collect();
        if !self.key.is_empty() {
            let names: Vec<&str> = self.key.iter().map(|it| self.fields[*it].name.as_str()).collect();
            parts.push(format!("PRIMARY KEY ({})", names.join(", ")));
        }
        format!("CREATE TABLE {} ({})", self.name, parts.join(", "))
    }

    /// The schema a source would describe.
    pub(super) fn schema(&self) -> Schema {
        let mut columns: Vec<Column> = Vec::new();
        for (index, field) in self.fields.iter().enumerate() {
            let data_type = match field.kind {
                Kind::Int => DataType::Int64,
                Kind::Text => DataType::Text,
                Kind::Real => DataType::Float64,
            };
            let mut column = Column::new(field.name.clone(), data_type);
            column.nullable = !self.key.contains(&index);
            columns.push(column);
        }
        let visible = columns.len();
        let key = if self.key.is_empty() {
            let mut hidden = Column::new("_rowid", DataType::Int64);
            hidden.nullable = false;
            columns.push(hidden);
            vec![KeyColumn::ascending(visible)]
        } else {
            self.key.iter().map(|it| KeyColumn::ascending(*it)).collect()
        };
        Schema { columns: columns.into(), visible, key: key.into() }
    }
}
