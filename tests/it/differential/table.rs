//! Random small tables full of NULLs: described to PostgreSQL and to Vantage alike, and changed in both.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::SmallRng;
use vantage::change::{Column, DataType, Datum, Event, KeyColumn, Row, RowBuilder, Schema, TableId};

use super::pick;

/// Types of columns and expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Int,
    Big,
    Numeric,
    Double,
    Text,
    Bool,
    Date,
    Timestamp,
    Zoned,
}

/// How often each kind is a column's: the interesting ones more often.
const COLUMN_KINDS: [Kind; 16] = [
    Kind::Int,
    Kind::Int,
    Kind::Big,
    Kind::Big,
    Kind::Big,
    Kind::Numeric,
    Kind::Double,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Bool,
    Kind::Bool,
    Kind::Date,
    Kind::Timestamp,
    Kind::Zoned,
    Kind::Numeric,
];

impl Kind {
    /// The type in SQL, as columns are declared and values cast.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Kind::Int => "integer",
            Kind::Big => "bigint",
            Kind::Numeric => "numeric(10,2)",
            Kind::Double => "double precision",
            Kind::Text => "text",
            Kind::Bool => "boolean",
            Kind::Date => "date",
            Kind::Timestamp => "timestamp",
            Kind::Zoned => "timestamptz",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Kind::Int => DataType::Int32,
            Kind::Big => DataType::Int64,
            Kind::Numeric => DataType::Decimal { precision: 10, scale: 2 },
            Kind::Double => DataType::Float64,
            Kind::Text => DataType::Text,
            Kind::Bool => DataType::Boolean,
            Kind::Date => DataType::Date,
            Kind::Timestamp => DataType::Timestamp,
            Kind::Zoned => DataType::TimestampTz,
        }
    }

    /// A value that is not NULL; few different ones, so that they meet.
    pub(super) fn value(self, rng: &mut SmallRng) -> Value {
        match self {
            Kind::Int => Value::Int(rng.random_range(-2..5)),
            Kind::Big => Value::Int(rng.random_range(-2..5)),
            Kind::Numeric => Value::Numeric(*pick(rng, &[0, 150, -150, 200, 25, 100, 10_000, 1234])),
            Kind::Double => Value::Double(*pick(rng, &[0.0, 1.5, -2.5, 0.1, 2.0, 1.0, 100.0, 1e20])),
            Kind::Text => {
                Value::Text(pick::<&str>(rng, &["", "a", "b", "ab", "A", "aB", "%", "a%b", "_", "é", " a", "2"]))
            }
            Kind::Bool => Value::Bool(rng.random_bool(0.5)),
            Kind::Date => Value::Date(*pick(rng, &[19_782, 19_722, 0, 19_783, 20_000])),
            Kind::Timestamp | Kind::Zoned => {
                let (whole, fraction) = pick(rng, &[(1_709_214_310, 500_000), (1_704_067_199, 0), (0, 0), (86_400, 0)]);
                let microseconds = whole * 1_000_000 + fraction;
                if self == Kind::Zoned { Value::Zoned(microseconds) } else { Value::Timestamp(microseconds) }
            }
        }
    }
}

/// A value of a cell or a constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    /// In hundredths.
    Numeric(i64),
    Double(f64),
    Text(&'static str),
    Bool(bool),
    /// Days since 1970.
    Date(i64),
    /// Microseconds since 1970.
    Timestamp(i64),
    Zoned(i64),
}

impl Value {
    fn datum(self) -> Datum<'static> {
        match self {
            Value::Null => Datum::Null,
            Value::Int(it) | Value::Date(it) | Value::Timestamp(it) | Value::Zoned(it) => Datum::Int(it),
            Value::Numeric(it) => Datum::Decimal(i128::from(it)),
            Value::Double(it) => Datum::Float(it),
            Value::Text(it) => Datum::Text(it),
            Value::Bool(it) => Datum::Boolean(it),
        }
    }

    /// The value without quotes, as it stands in a literal or a parameter.
    pub(super) fn bare(self) -> String {
        match self {
            Value::Null => "NULL".into(),
            Value::Int(it) => it.to_string(),
            Value::Numeric(it) => {
                format!("{}{}.{:02}", if it < 0 { "-" } else { "" }, it.abs() / 100, it.abs() % 100)
            }
            Value::Double(it) => format!("{it:?}"),
            Value::Text(it) => it.into(),
            Value::Bool(it) => it.to_string(),
            Value::Date(it) => date(it),
            Value::Timestamp(it) => timestamp(it),
            Value::Zoned(it) => timestamp(it) + "+00",
        }
    }

    /// A constant of the value's type.
    pub(super) fn literal(self) -> String {
        let bare = self.bare();
        match self {
            Value::Int(it) if it < 0 => format!("({bare})"),
            Value::Numeric(it) if it < 0 => format!("({bare})"),
            Value::Null | Value::Int(_) | Value::Numeric(_) | Value::Bool(_) => bare,
            Value::Double(_) => format!("CAST({bare} AS double precision)"),
            Value::Text(_) => format!("'{bare}'"),
            Value::Date(_) => format!("date '{bare}'"),
            Value::Timestamp(_) => format!("timestamp '{bare}'"),
            Value::Zoned(_) => format!("timestamptz '{bare}'"),
        }
    }

    /// The value as a parameter of a request.
    pub(super) fn json(self) -> serde_json::Value {
        match self {
            Value::Null => serde_json::Value::Null,
            Value::Int(it) => it.into(),
            Value::Double(it) => it.into(),
            Value::Bool(it) => it.into(),
            other => other.bare().into(),
        }
    }
}

/// `YYYY-MM-DD` of a day number.
fn date(days: i64) -> String {
    // Civil dates from days, with years that begin in March.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + i64::from(month <= 2))
}

fn timestamp(microseconds: i64) -> String {
    let (seconds, fraction) = (microseconds.div_euclid(1_000_000), microseconds.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let text = format!("{} {:02}:{:02}:{:02}", date(days), second / 3600, second / 60 % 60, second % 60);
    if fraction == 0 { text } else { format!("{text}.{fraction:06}") }
}

/// A column's name and kind.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A table with its rows, by their number.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    /// Whether the first column is the primary key; else the table has none.
    keyed: bool,
    rows: BTreeMap<i64, Vec<Value>>,
    next: i64,
}

impl Table {
    pub(super) fn random(rng: &mut SmallRng, number: usize) -> Table {
        let mut fields = vec![Field { name: "id".into(), kind: Kind::Big }];
        for at in 0..rng.random_range(2..6) {
            fields
                .push(Field { name: format!("{}{at}", ["a", "b", "c"][number % 3]), kind: *pick(rng, &COLUMN_KINDS) });
        }
        let keyed = rng.random_bool(0.75);
        Table { name: format!("t{number}"), fields, keyed, rows: BTreeMap::new(), next: 1 }
    }

    /// `CREATE TABLE` for PostgreSQL.
    pub(super) fn ddl(&self) -> String {
        let column = |it: &Field| format!("{} {}", it.name, it.kind.sql());
        let columns: Vec<String> = self.fields.iter().map(column).collect();
        let key = if self.keyed { ", PRIMARY KEY (id)" } else { "" };
        format!("CREATE TEMP TABLE {} ({}{key})", self.name, columns.join(", "))
    }

    /// Declarations of indexes for Vantage, so that access paths are judged, too.
    pub(super) fn indexes(&self, rng: &mut SmallRng) -> String {
        let mut declared = String::new();
        for number in 0..rng.random_range(0..3) {
            let mut columns: Vec<String> = Vec::new();
            for _ in 0..rng.random_range(1..3) {
                let name = &pick(rng, &self.fields).name;
                if columns.iter().all(|it| it.split(' ').next() != Some(name)) {
                    columns
                        .push(format!("{name}{}", pick(rng, &["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"])));
                }
            }
            let include = if rng.random_bool(0.3) {
                format!(" INCLUDE ({})", pick(rng, &self.fields).name)
            } else {
                String::new()
            };
            let (name, columns) = (&self.name, columns.join(", "));
            declared += &format!("CREATE INDEX {name}_{number} ON {name} ({columns}){include};\n");
        }
        declared
    }

    /// The schema a source would describe.
    pub(super) fn schema(&self) -> Schema {
        let mut columns: Vec<Column> =
            self.fields.iter().map(|it| Column::new(it.name.clone(), it.kind.data_type())).collect();
        let visible = columns.len();
        let key = if self.keyed {
            columns[0].nullable = false;
            0
        } else {
            let mut hidden = Column::new("_rowid", DataType::Int64);
            hidden.nullable = false;
            columns.push(hidden);
            visible
        };
        Schema { columns: columns.into(), visible, key: vec![KeyColumn::ascending(key)].into() }
    }

    /// Changes the rows a little: what PostgreSQL is to run, and what a source would say.
    pub(super) fn change(
        &mut self,
        rng: &mut SmallRng,
        id: TableId,
        statements: &mut Vec<String>,
        events: &mut Vec<Event>,
    ) {
        let schema = self.schema();
        for _ in 0..rng.random_range(1..6) {
            let known: Vec<i64> = self.rows.keys().copied().collect();
            let number = if known.is_empty() || rng.random_bool(0.5) {
                self.next += 1;
                self.next
            } else {
                *pick(rng, &known)
            };
            let old = if rng.random_bool(0.25) {
                self.rows.remove(&number)
            } else {
                self.rows.insert(number, self.row(rng, number))
            };
            // A table without a key has no way to say which of two equal rows is meant; any of them will do.
            let condition = |row: &[Value]| {
                let equal = |(field, value): (&Field, &Value)| {
                    format!("{} IS NOT DISTINCT FROM {}", field.name, value.literal())
                };
                self.fields.iter().zip(row).map(equal).collect::<Vec<_>>().join(" AND ")
            };
            if let Some(old) = old {
                let name = &self.name;
                statements.push(format!(
                    "DELETE FROM {name} WHERE ctid = (SELECT ctid FROM {name} WHERE {} LIMIT 1)",
                    condition(&old)
                ));
            }
            let cells = self.rows.get(&number);
            if let Some(row) = cells {
                let values: Vec<String> = row.iter().map(|it| it.literal()).collect();
                statements.push(format!("INSERT INTO {} VALUES ({})", self.name, values.join(", ")));
            }
            events.push(Event::row(id, encoded(&schema, number, cells)));
        }
    }

    fn row(&self, rng: &mut SmallRng, number: i64) -> Vec<Value> {
        let cell = |(at, field): (usize, &Field)| match at {
            0 if self.keyed => Value::Int(number),
            _ if rng.random_bool(0.35) => Value::Null,
            _ => field.kind.value(rng),
        };
        self.fields.iter().enumerate().map(cell).collect()
    }

    /// The rows in words.
    pub(super) fn show(&self) -> String {
        let columns: Vec<String> = self.fields.iter().map(|it| format!("{} {}", it.name, it.kind.sql())).collect();
        let row = |it: &Vec<Value>| it.iter().map(|it| it.literal()).collect::<Vec<_>>().join(", ");
        let rows: Vec<String> = self.rows.values().map(|it| format!("({})", row(it))).collect();
        format!(
            "CREATE TABLE {} ({}); INSERT INTO {} VALUES {};",
            self.name,
            columns.join(", "),
            self.name,
            rows.join(", ")
        )
    }
}

/// The row with this number, or its tombstone.
fn encoded(schema: &Schema, number: i64, cells: Option<&Vec<Value>>) -> Row {
    let hidden = |at: usize| if at >= schema.visible { Some(Datum::Int(number)) } else { None };
    let mut key = Vec::new();
    // The key is the number, be it in the first column or in the hidden one.
    schema.encode_key(|_| Datum::Int(number), &mut key);
    let Some(cells) = cells else { return Row::tombstone(&key) };
    let mut builder = RowBuilder::new();
    for (at, column) in schema.columns.iter().enumerate() {
        let datum = hidden(at).unwrap_or_else(|| cells[at].datum());
        builder.push(datum, column.data_type);
    }
    builder.finish(&key)
}
