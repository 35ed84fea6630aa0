//! Vantage with the table, its views, and its HTTP server, in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use vantage::catalog::Catalog;
use vantage::change::{
    Batch, Column, DataType, Datum, Event, KeyColumn, Phase, Position, Row, RowBuilder, Schema, TableId, Value,
};
use vantage::engine::{Core, EngineError, plan_views};
use vantage::plan::Graph;
use vantage::serve::{ServeOptions, serve};
use vantage::store::{Board, Epoch, KeyRange, StoreOptions};

use super::hole::{KINDS, ROWS, Template, VARIANTS};
use super::judge::Typed;
use crate::support::http;
use crate::support::postgres::Session;

/// Columns of one view.
const WIDTH: usize = 25;

/// What Vantage says.
pub(super) enum Found {
    Value(Typed),
    /// The value cannot be computed.
    Failed(String),
    /// The expression is not accepted.
    Refused(String),
}

/// Where the value of an expression is kept.
enum Place {
    Refused(String),
    /// In which view and column.
    Cell(usize, usize),
}

pub(super) struct Site {
    runtime: Runtime,
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: Option<tokio::task::JoinHandle<()>>,
    core: Option<Core>,
    epoch: Arc<Epoch>,
    places: Vec<Place>,
    _directory: tempfile::TempDir,
}

#[derive(serde::Deserialize)]
struct Answered {
    columns: Vec<AnsweredColumn>,
    rows: Vec<Vec<Box<RawValue>>>,
}

#[derive(serde::Deserialize)]
struct AnsweredColumn {
    #[serde(rename = "type")]
    data_type: String,
}

impl Site {
    pub(super) fn start(postgres: &mut Session, templates: &[&str]) -> Site {
        let directory = tempfile::tempdir().expect("temporary directory");
        let schema = schema();
        let mut places: Vec<Place> = Vec::new();
        let mut kept: Vec<String> = Vec::new();
        for text in templates {
            let expression = Template::parse(text).over_columns();
            places.push(match refusal(directory.path(), &schema, &expression) {
                Some(reason) => Place::Refused(reason),
                None => {
                    kept.push(expression);
                    Place::Cell((kept.len() - 1) / WIDTH, (kept.len() - 1) % WIDTH + 1)
                }
            });
        }
        let views = kept.chunks(WIDTH).enumerate().map(|(view, expressions)| {
            let columns = expressions.iter().enumerate().map(|(at, it)| format!("{it} AS c{at}"));
            format!(
                "CREATE MATERIALIZED VIEW v{view} AS SELECT id, {} FROM t;\n",
                columns.collect::<Vec<_>>().join(",\n")
            )
        });
        let (catalog, graph) =
            planned(directory.path(), &schema, &views.collect::<String>()).unwrap_or_else(|it| panic!("{it}"));
        let (catalog, graph) = (Arc::new(catalog), Arc::new(graph));
        let events = rows(postgres, &schema);
        let piecemeal = directory.path().join("piecemeal");
        let by_pieces = in_pieces(Arc::clone(&catalog), Arc::clone(&graph), &piecemeal, &events);
        let board = Arc::new(Board::new(vec!["owner".into()]));
        let data = directory.path().join("data");
        let mut core = Core::open(catalog, graph, &data, StoreOptions::default(), Arc::clone(&board)).expect("open");
        core.load().expect("load");
        apply(&mut core, 1, events, Phase::SnapshotStart(vec![TableId(0)]));
        apply(&mut core, 2, Vec::new(), Phase::Streaming);
        assert_same(&by_pieces, &core, &kept);
        by_pieces.close().expect("clean close");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("free port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = oneshot::channel::<()>();
        let epoch = board.epoch();
        let server = runtime.spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            serve(listener, board, ServeOptions::default(), stopped).await.expect("served");
        });
        let (stop, server, core) = (Some(stop), Some(server), Some(core));
        Site { runtime, address, stop, server, core, epoch, places, _directory: directory }
    }

    /// Asks a query of one value.
    pub(super) fn ask(&mut self, sql: &str) -> Found {
        let http::Answer { status, body: text, .. } = http::sql(self.address, sql).expect("an answer");
        if status != 200 {
            let problem: serde_json::Value = serde_json::from_str(&text).expect("a problem");
            let detail = problem["detail"].as_str().unwrap_or(&text).to_string();
            return if status == 422 { Found::Failed(detail) } else { Found::Refused(format!("{status} {detail}")) };
        }
        let answered: Answered = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}: {sql}"));
        Found::Value(Typed::of_json(&answered.rows[0][0], &answered.columns[0].data_type))
    }

    /// The kept value of expression `number` in a row.
    pub(super) fn kept(&self, number: usize, row: usize) -> Found {
        let (view, column) = match &self.places[number] {
            Place::Refused(reason) => return Found::Refused(reason.clone()),
            Place::Cell(view, column) => (view, *column),
        };
        let core = self.core.as_ref().expect("open");
        let relations = core.board().relations();
        let (relation, _) = relations.iter().find(|(it, _)| it.name == format!("v{view}")).expect("a view");
        let rows = self.epoch.scan(relation.id, &KeyRange::all(), false, usize::MAX).expect("readable");
        let of_id = |it: &&Row| it.get(0, DataType::Int64) == Datum::Int(row as i64);
        let kept = rows.iter().find(of_id).expect("every row is kept");
        let data_type = relation.schema.data_type(column);
        match kept.get(column, data_type) {
            Datum::Error(message) => Found::Failed(message.into()),
            datum => Found::Value(Typed { data_type: data_type.sql_name(), text: text_of(datum, data_type) }),
        }
    }

    pub(super) fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.runtime.block_on(self.server.take().expect("running")).expect("server");
        self.core.take().expect("open").close().expect("clean close");
    }
}

/// The views as they are kept when the rows come in batches of every size.
fn in_pieces(catalog: Arc<Catalog>, graph: Arc<Graph>, data: &Path, events: &[Event]) -> Core {
    let board = Arc::new(Board::new(vec!["owner".into()]));
    let mut core = Core::open(catalog, graph, data, StoreOptions::default(), board).expect("open");
    core.load().expect("load");
    apply(&mut core, 1, Vec::new(), Phase::SnapshotStart(vec![TableId(0)]));
    apply(&mut core, 2, Vec::new(), Phase::Streaming);
    let (mut rest, mut size, mut id) = (events, 1, 2);
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        id += 1;
        apply(&mut core, id, batch.to_vec(), Phase::Streaming);
        (rest, size) = (after, size + 1);
    }
    core
}

/// A row that fails must not change the others of its batch, nor what is told of itself: what is kept row by row is what
/// is built at once.
fn assert_same(by_pieces: &Core, at_once: &Core, expressions: &[String]) {
    let (pieces, whole) = (by_pieces.board().epoch(), at_once.board().epoch());
    for (relation, _) in at_once.board().relations().iter().filter(|(it, _)| it.name.starts_with('v')) {
        let view: usize = relation.name[1..].parse().expect("a number");
        let rows = |epoch: &Epoch| epoch.scan(relation.id, &KeyRange::all(), false, usize::MAX).expect("readable");
        let (pieces, whole) = (rows(&pieces), rows(&whole));
        assert_eq!((pieces.len(), whole.len()), (ROWS, ROWS), "{}", relation.name);
        for (row, (a, b)) in pieces.iter().zip(&whole).enumerate() {
            for column in 1..relation.schema.visible {
                let data_type = relation.schema.data_type(column);
                let expression = &expressions[view * WIDTH + column - 1];
                let (a, b) = (a.get(column, data_type), b.get(column, data_type));
                assert_eq!(
                    format!("{a:?}"),
                    format!("{b:?}"),
                    "row {row} of {expression}, in small batches and at once"
                );
            }
        }
    }
}

fn schema() -> Schema {
    let mut id = Column::new("id", DataType::Int64);
    id.nullable = false;
    let mut columns = vec![id];
    for kind in KINDS {
        let data_type = match kind.data_type {
            "text" => DataType::Text,
            "integer" => DataType::Int32,
            "bigint" => DataType::Int64,
            "numeric(12,3)" => DataType::Decimal { precision: 12, scale: 3 },
            "double precision" => DataType::Float64,
            "boolean" => DataType::Boolean,
            "bytea" => DataType::Bytes,
            "date" => DataType::Date,
            "timestamp" => DataType::Timestamp,
            "timestamptz" => DataType::TimestampTz,
            other => panic!("no type {other}"),
        };
        columns.extend((0..VARIANTS).map(|variant| Column::new(kind.column(variant), data_type)));
    }
    let visible = columns.len();
    Schema { columns: columns.into(), visible, key: vec![KeyColumn::ascending(0)].into() }
}

/// Why a view of `expression` is not accepted.
fn refusal(directory: &Path, schema: &Schema, expression: &str) -> Option<String> {
    let view = format!("CREATE MATERIALIZED VIEW v AS SELECT id, {expression} AS v FROM t;\n");
    planned(directory, schema, &view).err()
}

fn planned(directory: &Path, schema: &Schema, views: &str) -> Result<(Catalog, Graph), String> {
    let directory = directory.join("views");
    std::fs::create_dir_all(&directory).expect("views directory");
    let head =
        "CREATE SOURCE owner WITH (connector = 'sqlite', path = 'unused.db');\nCREATE TABLE t FROM owner TABLE 't';\n";
    std::fs::write(directory.join("case.sql"), format!("{head}{views}")).expect("writable view file");
    let first =
        |problems: Vec<vantage::catalog::Problem>| problems.first().map_or(String::new(), |it| it.message.clone());
    let catalog = vantage::catalog::read_directory(&directory).map_err(|(_, problems)| first(problems))?;
    match plan_views(&catalog, std::slice::from_ref(schema)) {
        Ok(graph) => Ok((catalog, graph)),
        Err(EngineError::Views { problems, .. }) => Err(first(problems)),
        Err(error) => panic!("{error}"),
    }
}

fn apply(core: &mut Core, id: u64, events: Vec<Event>, phase: Phase) {
    let position = Position::whole("functions", id, &[]);
    let covers = [TableId(0)].into();
    core.apply(vec![Batch { source: 0, events, position, phase, covers, seen_at: Instant::now() }]).expect("apply");
}

/// The table's rows; times in the numbers that PostgreSQL says they are.
fn rows(postgres: &mut Session, schema: &Schema) -> Vec<Event> {
    let columns = KINDS.iter().flat_map(|kind| (0..VARIANTS).map(move |variant| (kind, variant)));
    let shown = columns.map(|(kind, variant)| {
        let column = kind.column(variant);
        match kind.data_type {
            "date" => format!("{column} - date '1970-01-01'"),
            "timestamp" | "timestamptz" => format!("(extract(epoch from {column}) * 1000000)::bigint"),
            "numeric(12,3)" => format!("({column} * 1000)::bigint"),
            _ => column,
        }
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    let answer = postgres.query(&format!("SELECT id, {shown} FROM t ORDER BY id")).expect("an answer");
    assert_eq!(answer.rows.len(), ROWS);
    let event = |row: &Vec<Option<String>>| {
        let mut builder = RowBuilder::new();
        let cells: Vec<Value> =
            row.iter().enumerate().map(|(at, it)| value(it.as_deref(), schema.data_type(at))).collect();
        cells.iter().enumerate().for_each(|(at, it)| builder.push(it.as_datum(), schema.data_type(at)));
        let mut key = Vec::new();
        schema.encode_key(|at| cells[at].as_datum(), &mut key);
        Event::row(TableId(0), builder.finish(&key))
    };
    answer.rows.iter().map(event).collect()
}

fn value(text: Option<&str>, data_type: DataType) -> Value {
    let Some(text) = text else { return Value::Null };
    match data_type {
        DataType::Boolean => Value::Boolean(text == "t"),
        DataType::Float64 => Value::Float(text.parse().expect("a double")),
        DataType::Decimal { .. } => Value::Decimal(text.parse().expect("a number")),
        DataType::Text => Value::Text(text.into()),
        DataType::Bytes => {
            let digits = text.strip_prefix("\\x").expect("hex digits");
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
            Value::Bytes((0..digits.len()).step_by(2).map(byte).collect())
        }
        _ => Value::Int(text.parse().expect("a number")),
    }
}

/// A kept value as PostgreSQL writes it.
fn text_of(datum: Datum<'_>, data_type: DataType) -> Option<String> {
    const DAY: i64 = 86_400_000_000;
    Some(match (datum, data_type) {
        (Datum::Null, _) => return None,
        (Datum::Boolean(it), _) => it.to_string(),
        (Datum::Int(it), DataType::Date) => date_text(it, ""),
        (Datum::Int(it), DataType::Timestamp | DataType::TimestampTz) => {
            let (days, time) = (it.div_euclid(DAY), it.rem_euclid(DAY));
            let (seconds, fraction) = (time / 1_000_000, time % 1_000_000);
            let clock = format!(" {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
            let fraction = format!(".{fraction:06}");
            date_text(days, &(clock + fraction.trim_end_matches('0').trim_end_matches('.')))
        }
        (Datum::Int(it), _) => it.to_string(),
        (Datum::Float(it), _) if it.is_infinite() => if it > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        (Datum::Float(it), _) => it.to_string(),
        (Datum::Decimal(it), DataType::Decimal { scale, .. }) => {
            let scale = usize::from(scale);
            let digits = format!("{:0>width$}", it.unsigned_abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{}{whole}.{fraction}", if it < 0 { "-" } else { "" })
        }
        (Datum::Text(it), _) => it.into(),
        (Datum::Bytes(it), _) => it.iter().fold("\\x".into(), |text, it| format!("{text}{it:02x}")),
        (other, data_type) => panic!("{other:?} is no {data_type}"),
    })
}

/// A day, with its time, as PostgreSQL writes it.
fn date_text(days: i64, time: &str) -> String {
    use chrono::Datelike;
    let ce = i32::try_from(days + 719_163).expect("a date");
    let Some(date) = chrono::NaiveDate::from_num_days_from_ce_opt(ce) else { return format!("day {days}") };
    let (year, era) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    format!("{year:04}-{:02}-{:02}{time}{era}", date.month(), date.day())
}
