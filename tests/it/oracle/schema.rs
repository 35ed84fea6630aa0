//! Random tables, with and without keys, described to SQLite and to Vantage alike.

use rand::Rng;
use rand::rngs::SmallRng;
use vantage::change::{Collation, Column, DataType, KeyColumn, Schema, TIE};

use super::pick;

/// Column types that mean the same in both dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Real,
    Decimal,
    /// 0 and 1 to SQLite.
    Bool,
    /// Text to SQLite.
    Date,
    Bytes,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Int => DataType::Int64,
            Kind::Text => DataType::Text,
            Kind::Real => DataType::Float64,
            Kind::Decimal => DataType::Decimal { precision: 10, scale: 2 },
            Kind::Bool => DataType::Boolean,
            Kind::Date => DataType::Date,
            Kind::Bytes => DataType::Bytes,
        }
    }

    fn sqlite(self) -> &'static str {
        match self {
            Kind::Int | Kind::Bool => "BIGINT",
            Kind::Text | Kind::Date => "TEXT",
            Kind::Real | Kind::Decimal => "REAL",
            Kind::Bytes => "BLOB",
        }
    }
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
    /// The owner's table it is declared from; another name than its own when it is declared once more.
    pub(super) upstream: String,
    pub(super) fields: Vec<Field>,
    /// How the owner compares the text of each column. Queries compare bytewise, as PostgreSQL does.
    collations: Vec<Collation>,
    /// Columns of the primary key; empty: the table is a multiset.
    pub(super) key: Vec<usize>,
    /// Whether the key's columns may be NULL, and be so in several rows, as SQLite lets them.
    pub(super) nullable: bool,
}

impl Table {
    pub(super) fn random(rng: &mut SmallRng, number: usize) -> Table {
        let mut fields = vec![Field { name: "id".into(), kind: Kind::Int }];
        for index in 0..rng.random_range(2..5) {
            let kind = match rng.random_range(0..22) {
                0..10 => Kind::Int,
                10..15 => Kind::Text,
                15 => Kind::Bool,
                16 => Kind::Date,
                17 => Kind::Decimal,
                18..20 => Kind::Bytes,
                _ => Kind::Real,
            };
            fields.push(Field { name: format!("{}{index}", ["a", "b", "c"][number % 3]), kind });
        }
        let text = fields.iter().position(|it| it.kind == Kind::Text);
        let key = match (rng.random_range(0..5), text) {
            (0, _) => vec![],
            (1, _) => vec![1, 0],
            (2, Some(text)) => vec![text],
            _ => vec![0],
        };
        let collation = |it: &Field| match it.kind {
            Kind::Text => *pick(rng, &[Collation::Binary, Collation::NoCase, Collation::RTrim]),
            _ => Collation::Binary,
        };
        let collations = fields.iter().map(collation).collect();
        let nullable = !key.is_empty() && rng.random_bool(0.3);
        let name = format!("t{number}");
        Table { upstream: name.clone(), name, fields, collations, key, nullable }
    }

    /// A table from `name: column type, …; key columns`.
    pub(super) fn parse(text: &str) -> Table {
        let (name, rest) = text.split_once(": ").expect("a name");
        let (columns, key) = rest.split_once(';').expect("a key, or nothing");
        let field = |it: &str| {
            let (name, kind) = it.split_once(' ').expect("a type");
            let (kind, collation) = match kind {
                "int" => (Kind::Int, Collation::Binary),
                "text" => (Kind::Text, Collation::Binary),
                "nocase" => (Kind::Text, Collation::NoCase),
                "rtrim" => (Kind::Text, Collation::RTrim),
                "real" => (Kind::Real, Collation::Binary),
                other => panic!("no type {other}"),
            };
            (Field { name: name.into(), kind }, collation)
        };
        let (fields, collations): (Vec<Field>, Vec<Collation>) = columns.split(", ").map(field).unzip();
        let place = |name: &str| fields.iter().position(|it| it.name == name).expect("a column");
        let key = key.split_whitespace().map(place).collect();
        Table { name: name.into(), upstream: name.into(), fields, collations, key, nullable: false }
    }

    /// The same table declared once more, with some of its columns in another order.
    pub(super) fn twin(&self, rng: &mut SmallRng) -> Table {
        let keeps = |it: &usize, rng: &mut SmallRng| self.key.contains(it) || rng.random_bool(0.7);
        let mut kept: Vec<usize> = (0..self.fields.len()).filter(|it| keeps(it, rng)).collect();
        if kept.is_empty() {
            kept.push(0);
        }
        let turn = rng.random_range(0..kept.len());
        kept.rotate_left(turn);
        let place = |column: &usize| kept.iter().position(|it| it == column).expect("key columns are kept");
        Table {
            name: format!("{}_again", self.name),
            upstream: self.upstream.clone(),
            fields: kept.iter().map(|it| self.fields[*it].clone()).collect(),
            collations: kept.iter().map(|it| self.collations[*it]).collect(),
            key: self.key.iter().map(place).collect(),
            nullable: self.nullable,
        }
    }

    /// Whether the owner has a table of this name.
    pub(super) fn is_owners(&self) -> bool {
        self.name == self.upstream
    }

    /// What tells rows apart that the key's columns do not: the rowid of a multiset, or of rows with a NULL in their key.
    pub(super) fn hidden(&self) -> Option<String> {
        match (self.key.is_empty(), self.nullable) {
            (true, _) => Some("rowid".into()),
            (false, true) => {
                let nulls = self.key.iter().map(|it| format!("{} IS NULL", self.fields[*it].name));
                Some(format!("CASE WHEN {} THEN rowid END", nulls.collect::<Vec<_>>().join(" OR ")))
            }
            (false, false) => None,
        }
    }

    /// `CREATE TABLE` for the owner. Most keys are NOT NULL, so that they are keys to SQL. Queries read a view
    /// in place of a table with collations, which compares bytewise; the table is `main.…` then.
    pub(super) fn sqlite_ddl(&self) -> String {
        let compared_bytewise = |(field, collation): (&Field, &Collation)| match collation {
            Collation::Binary => field.name.clone(),
            _ => format!("{0} COLLATE BINARY AS {0}", field.name),
        };
        let columns: Vec<String> = self.fields.iter().zip(&self.collations).map(compared_bytewise).collect();
        let view =
            format!("CREATE TEMP VIEW {} AS SELECT {} FROM main.{}", self.name, columns.join(", "), self.upstream);
        if !self.is_owners() {
            return view;
        }
        let column = |(index, field): (usize, &Field)| {
            let collation = match self.collations[index] {
                Collation::Binary => "",
                Collation::NoCase => " COLLATE NOCASE",
                Collation::RTrim => " COLLATE RTRIM",
            };
            let null = if self.key.contains(&index) && !self.nullable { " NOT NULL" } else { "" };
            format!("{} {}{collation}{null}", field.name, field.kind.sqlite())
        };
        let mut parts: Vec<String> = self.fields.iter().enumerate().map(column).collect();
        if !self.key.is_empty() {
            let names: Vec<&str> = self.key.iter().map(|it| self.fields[*it].name.as_str()).collect();
            parts.push(format!("PRIMARY KEY ({})", names.join(", ")));
        }
        let mut ddl = format!("CREATE TABLE {} ({})", self.name, parts.join(", "));
        if self.collations.iter().any(|it| *it != Collation::Binary) {
            ddl += &format!("; {view}");
        }
        ddl
    }

    /// The schema a source would describe.
    pub(super) fn schema(&self) -> Schema {
        let mut columns: Vec<Column> = Vec::new();
        for (index, field) in self.fields.iter().enumerate() {
            let mut column = Column::new(field.name.clone(), field.kind.data_type());
            column.collation = self.collations[index];
            column.nullable = self.nullable || !self.key.contains(&index);
            columns.push(column);
        }
        let visible = columns.len();
        let mut key: Vec<KeyColumn> = self.key.iter().map(|it| KeyColumn::ascending(*it)).collect();
        if self.hidden().is_some() {
            let name = if key.is_empty() { "_rowid" } else { TIE };
            columns.push(Column { nullable: !key.is_empty(), ..Column::new(name, DataType::Int64) });
            key.push(KeyColumn::ascending(visible));
        }
        Schema { columns: columns.into(), visible, key: key.into() }
    }
}
