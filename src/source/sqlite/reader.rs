//! Reads one table: the current row of a logged key, and all rows in ranges of keys.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row as SqlRow, params_from_iter};

use super::keys::{Keys, Stored};
use super::schema::upstream_name;
use super::shape::{LogKey, Part, Shape, quoted};
use super::types::Affinity;
use super::value::{Role, cell};
use crate::change::{Event, Row, RowBuilder, Schema, TableId, encode_datum};
use crate::source::TableSpec;

/// A chunk of a snapshot ends after this many rows…
const CHUNK_ROWS: usize = 10_000;
/// …or when its rows have this many bytes.
const CHUNK_BYTES: usize = 4 << 20;

/// How to read a table of the file for one declaration.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) table: TableId,
    schema: Schema,
    roles: Vec<Role>,
    point: String,
    scan_first: String,
    scan_next: String,
    /// How many columns of a scan come before the row's cells: what the next chunk continues behind.
    cursor: usize,
    count: String,
}

impl Reader {
    /// A reader of a table of `shape`, which yields the schema of `spec`.
    pub(super) fn new(spec: &TableSpec, shape: &Shape) -> Reader {
        let schema = spec.schema.clone();
        let select = |index: usize| match upstream_name(&schema, index) {
            None if schema.is_tie(index) => {
                shape.rowid_of_null("").expect("a key that may be NULL has a rowid beside it")
            }
            None => shape.rowid_name().expect("a key that is the rowid has a name"),
            Some(name) => {
                quoted(&shape.columns[shape.column(name).expect("a column of the schema is the table's")].name)
            }
        };
        let cells = (0..schema.columns.len()).map(select).collect::<Vec<_>>().join(", ");
        let key: Vec<String> = match &shape.key {
            LogKey::Rowid { .. } => shape.rowid_name().into_iter().collect(),
            LogKey::Columns { parts, .. } => compared(shape, parts),
        };
        let equal: Vec<_> = key.iter().enumerate().map(|(place, it)| format!("{it} = ?{}", place + 1)).collect();
        let mut equal = equal.join(" AND ");
        if let (true, Some(rowid)) = (shape.rowid_of_null("").is_some(), shape.rowid_name()) {
            // Either way is a look-up through an index; the other one finds nothing.
            let last = shape.key_width();
            equal = format!("({equal} AND ?{last} IS NULL) OR {rowid} = ?{last}");
        }
        // The order of the rowid is the order of the file.
        let order = shape.rowid_name().map_or(key, |it| vec![it]);
        let columns = order.join(", ");
        let places: Vec<_> = (1..=order.len()).map(|it| format!("?{it}")).collect();
        let table = quoted(&shape.name);
        let roles = (0..schema.columns.len()).map(|it| role(&schema, it, shape)).collect();
        Reader {
            table: spec.table,
            roles,
            point: format!("SELECT {cells} FROM {table} WHERE {equal}"),
            scan_first: format!("SELECT {columns}, {cells} FROM {table} ORDER BY {columns} LIMIT {CHUNK_ROWS}"),
            scan_next: format!(
                "SELECT {columns}, {cells} FROM {table} WHERE ({columns}) > ({}) ORDER BY {columns} LIMIT {CHUNK_ROWS}",
                places.join(", ")
            ),
            cursor: order.len(),
            count: format!("SELECT count(*) FROM {table}"),
            schema,
        }
    }

    /// Prepares every statement, so that what this connection cannot read is known before anything is promised.
    pub(super) fn prepare(&self, connection: &Connection) -> rusqlite::Result<()> {
        [&self.point, &self.scan_first, &self.scan_next]
            .into_iter()
            .try_for_each(|it| connection.prepare_cached(it).map(drop))
    }

    /// Appends the current row, or the tombstone, of every key in `keys`.
    pub(super) fn look_up(
        &self,
        connection: &Connection,
        keys: &mut Keys,
        builder: &mut RowBuilder,
        events: &mut Vec<Event>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&self.point)?;
        let mut scratch = Scratch::default();
        for key in keys.integers() {
            statement.raw_bind_parameter(1, key)?;
            let row = statement.raw_query().next()?.map(|it| self.row(it, 0, builder, &mut scratch)).transpose()?;
            self.push(row, std::iter::once(ValueRef::Integer(*key)), &mut scratch, events);
        }
        for key in keys.others() {
            for (place, value) in key.iter().enumerate() {
                statement.raw_bind_parameter(place + 1, value)?;
            }
            let row = statement.raw_query().next()?.map(|it| self.row(it, 0, builder, &mut scratch)).transpose()?;
            self.push(row, key.iter().map(Stored::as_ref), &mut scratch, events);
        }
        Ok(())
    }

    /// The rows behind `after`; the place to go on, or `None` when there are no more.
    pub(super) fn chunk(
        &self,
        connection: &Connection,
        after: Option<&[Stored]>,
        builder: &mut RowBuilder,
        events: &mut Vec<Event>,
    ) -> rusqlite::Result<Option<Vec<Stored>>> {
        let sql = if after.is_some() { &self.scan_next } else { &self.scan_first };
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(after.unwrap_or(&[])))?;
        let mut scratch = Scratch::default();
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = rows.next()? {
            let built = self.row(row, self.cursor, builder, &mut scratch)?;
            count += 1;
            bytes += built.as_bytes().len();
            events.push(Event::row(self.table, built));
            if count >= CHUNK_ROWS || bytes >= CHUNK_BYTES {
                let cursor = (0..self.cursor).map(|it| row.get_ref(it).map(Stored::from));
                return cursor.collect::<rusqlite::Result<_>>().map(Some);
            }
        }
        Ok(None)
    }

    /// How many rows the table has.
    pub(super) fn count(&self, connection: &Connection) -> rusqlite::Result<u64> {
        connection.query_row(&self.count, [], |row| row.get::<_, i64>(0)).map(|it| it as u64)
    }

    /// Builds the row whose first cell is column `first` of `row`.
    fn row(
        &self,
        row: &SqlRow<'_>,
        first: usize,
        builder: &mut RowBuilder,
        scratch: &mut Scratch,
    ) -> rusqlite::Result<Row> {
        for (index, column) in self.schema.columns.iter().enumerate() {
            let datum = cell(row.get_ref(first + index)?, column, self.roles[index], &mut scratch.value);
            builder.push(datum, column.data_type);
        }
        scratch.key.clear();
        for part in self.schema.key.iter() {
            let column = &self.schema.columns[part.column];
            let datum = cell(row.get_ref(first + part.column)?, column, self.roles[part.column], &mut scratch.value);
            encode_datum(datum, *part, column.collation, &mut scratch.key);
        }
        Ok(builder.finish(&scratch.key))
    }

    /// Appends what became of the logged key. A row that SQLite finds under it may spell its key another way (1 and
    /// 1.0 in a column without a type); then the old spelling is gone.
    fn push<'a>(
        &self,
        row: Option<Row>,
        logged: impl Iterator<Item = ValueRef<'a>>,
        scratch: &mut Scratch,
        events: &mut Vec<Event>,
    ) {
        scratch.key.clear();
        for (part, value) in self.schema.key.iter().zip(logged) {
            let column = &self.schema.columns[part.column];
            let datum = cell(value, column, self.roles[part.column], &mut scratch.value);
            encode_datum(datum, *part, column.collation, &mut scratch.key);
        }
        if row.as_ref().is_none_or(|it| it.key() != scratch.key) {
            events.push(Event::gone(self.table, &scratch.key));
        }
        events.extend(row.map(|row| Event::row(self.table, row)));
    }
}

/// Buffers that every row uses again.
#[derive(Debug, Default)]
struct Scratch {
    key: Vec<u8>,
    value: String,
}

/// What column `index` is for.
pub(super) fn role(schema: &Schema, index: usize, shape: &Shape) -> Role {
    if !schema.key.iter().any(|part| part.column == index) {
        return Role::Shown;
    }
    if index >= schema.visible {
        return Role::HiddenKey;
    }
    let upstream = shape.column(&schema.columns[index].name).map(|it| shape.columns[it].affinity());
    if upstream == Some(Affinity::Numeric) { Role::KeyOfNumbers } else { Role::Key }
}

/// The columns of a key as statements compare them. Under a collation that only its owner knows, SQLite's own order of
/// the rows is unknown too: then every part is compared bytewise, or without an index, in a pass over the whole table.
fn compared(shape: &Shape, parts: &[Part]) -> Vec<String> {
    let ordered = parts.iter().all(Part::is_built_in);
    let one = |part: &Part| {
        let name = quoted(&shape.columns[part.column].name);
        match (ordered, part.is_built_in()) {
            (true, _) => format!("{name} COLLATE {}", part.collation),
            (false, true) => format!("+{name} COLLATE {}", part.collation),
            (false, false) => format!("+{name} COLLATE BINARY"),
        }
    };
    parts.iter().map(one).collect()
}
