//! A file, a writer, a running source, and a model that applies batches as the engine does.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::catalog::{DeclaredColumn, Table};
use crate::change::{Change, DataType, Datum, Phase, Position, Row, SourceHealth, TableId};
use crate::source::sqlite::capture;
use crate::source::sqlite::connect::open_to_read;
use crate::source::sqlite::open_file;
use crate::source::sqlite::schema::describe;
use crate::source::{Link, Message, SourceSpec, TableSpec, spawn};

const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with one database file.
pub(super) struct File {
    _directory: tempfile::TempDir,
    pub(super) path: PathBuf,
}

impl File {
    pub(super) fn new(script: &str) -> File {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("owner.db");
        let file = File { _directory: directory, path };
        file.connect().execute_batch(script).unwrap();
        file
    }

    pub(super) fn captured(script: &str) -> File {
        let file = File::new(script);
        let report = capture::install(&file.path, &[]).unwrap();
        assert!(report.is_complete(), "{report}");
        file
    }

    pub(super) fn connect(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    pub(super) fn spec(&self, tables: &[&str]) -> SourceSpec {
        let tables = tables.iter().enumerate().map(|(index, name)| self.table(TableId(index), name, &[]));
        // A source is called after its file here, so that who follows it knows where that is.
        SourceSpec { index: 0, name: self.path.to_str().unwrap().into(), tables: tables.collect() }
    }

    /// One declaration of a table.
    pub(super) fn table(&self, table: TableId, name: &str, declared: &[DeclaredColumn]) -> TableSpec {
        let schema = describe(&self.path, name, declared).unwrap();
        let declaration = Table { upstream: name.into(), declared: declared.into(), ..Table::default() };
        TableSpec { table, declaration, copy: true, schema }
    }
}

/// What the engine would hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) rows: BTreeMap<(usize, Vec<u8>), Row>,
    pub(super) position: Option<Position>,
    /// The tables that position covers.
    pub(super) covered: BTreeSet<usize>,
    /// By table that is being copied, the keys named so far.
    named: BTreeMap<usize, HashSet<Vec<u8>>>,
}

/// A running source.
pub(super) struct Running {
    pub(super) spec: SourceSpec,
    pub(super) model: Model,
    pub(super) health: Vec<SourceHealth>,
    /// What was said of single tables, by table; the last entry is what holds now.
    pub(super) halted: Vec<BTreeMap<usize, String>>,
    pub(super) batches: usize,
    /// The most events a batch had.
    pub(super) largest: usize,
    pub(super) snapshots: usize,
    pub(super) link: Link,
    receiver: Option<Receiver<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(spec: SourceSpec, model: Model) -> Running {
        let (sender, receiver) = sync_channel(16);
        let link = Link { sender, durable: Arc::new(Mutex::new(None)), stop: Arc::new(AtomicBool::new(false)) };
        let (mut spec, mut model) = (spec, model);
        model.named.clear();
        spec.tables.iter_mut().for_each(|it| it.copy = !model.covered.contains(&it.table.0));
        let thread = spawn(open_file(&spec.name), spec.clone(), model.position.clone(), link.clone());
        Running {
            spec,
            model,
            health: Vec::new(),
            halted: Vec::new(),
            batches: 0,
            largest: 0,
            snapshots: 0,
            link,
            receiver: Some(receiver),
            thread: Some(thread),
        }
    }

    /// Takes one message; the instant of a `Current`.
    pub(super) fn take(&mut self) -> Option<Instant> {
        let message = self.receiver.as_ref().unwrap().recv_timeout(PATIENCE);
        match message.unwrap_or_else(|error| panic!("{error}; health {:?}", self.health)) {
            Message::Current(_, instant) => return Some(instant),
            Message::Health(_, health) => self.health.push(health),
            Message::Halted(_, halted) => self.halted.push(halted.into_iter().map(|it| (it.0.0, it.1)).collect()),
            Message::Rejected(..) | Message::Details(..) => {}
            Message::Batch(batch) => {
                self.batches += 1;
                self.largest = self.largest.max(batch.events.len());
                if let Phase::SnapshotStart(tables) = &batch.phase {
                    self.snapshots += 1;
                    self.model.named.extend(tables.iter().map(|it| (it.0, HashSet::new())));
                }
                if batch.phase == Phase::Streaming {
                    let covered: BTreeSet<usize> = batch.covers.iter().map(|it| it.0).collect();
                    let mut named = std::mem::take(&mut self.model.named);
                    named.retain(|it, _| covered.contains(it));
                    let gained = covered.difference(&self.model.covered);
                    assert!(gained.clone().all(|it| named.contains_key(it)), "{gained:?} without a copy");
                    self.model.covered = covered;
                    self.model.rows.retain(|(table, key), _| named.get(table).is_none_or(|it| it.contains(key)));
                    self.model.position = Some(batch.position);
                }
                for event in batch.events {
                    let Change::Row(row) = event.change else { panic!("no table of a file is emptied at once") };
                    let (table, key) = (event.table.0, row.key().to_vec());
                    if let Some(named) = self.model.named.get_mut(&table) {
                        named.insert(key.clone());
                    }
                    match row.is_tombstone() {
                        true => self.model.rows.remove(&(table, key)),
                        false => self.model.rows.insert((table, key), row),
                    };
                }
            }
        }
        None
    }

    /// Waits until everything committed before this call has arrived.
    pub(super) fn settle(&mut self) {
        let now = Instant::now();
        while self.take().is_none_or(|it| it < now) {}
    }

    /// Waits for a health that satisfies `wanted`, in messages from now on.
    pub(super) fn wait_for(&mut self, wanted: impl Fn(&SourceHealth) -> bool) -> SourceHealth {
        let from = self.health.len();
        loop {
            self.take();
            if let Some(it) = self.health[from..].iter().find(|it| wanted(it)) {
                return it.clone();
            }
        }
    }

    /// Waits until it is said, from now on, that a table is halted for a reason with these words.
    pub(super) fn wait_halted(&mut self, words: &str) {
        let from = self.halted.len();
        while !self.halted[from..].iter().any(|it| it.values().any(|reason| reason.contains(words))) {
            self.take();
        }
    }

    /// Waits until everything is followed that is declared.
    pub(super) fn wait_followed(&mut self) {
        while self.model.covered.len() < self.spec.tables.len() {
            self.take();
        }
    }

    /// Settles and compares every table that is followed with the file.
    pub(super) fn check(&mut self, context: &str) {
        self.settle();
        self.compare(context);
    }

    pub(super) fn compare(&self, context: &str) {
        let connection = open_to_read(Path::new(&self.spec.name)).unwrap();
        for (index, table) in self.spec.tables.iter().enumerate() {
            if !self.model.covered.contains(&index) {
                continue;
            }
            let expected = expected(&connection, table);
            let schema = &table.schema;
            let mut actual: Vec<String> = self
                .model
                .rows
                .range((index, vec![])..(index + 1, vec![]))
                .map(|(_, row)| {
                    let cells = (0..schema.visible).map(|it| shown(row.get(it, schema.data_type(it))));
                    cells.collect::<Vec<_>>().join("|")
                })
                .collect();
            actual.sort();
            assert_eq!(actual, expected, "table {} after {context}", table.declaration.upstream);
        }
    }

    pub(super) fn stop(mut self) -> Model {
        self.end();
        std::mem::take(&mut self.model)
    }

    fn end(&mut self) {
        self.link.stop.store(true, Ordering::Release);
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

fn shown(datum: Datum<'_>) -> String {
    match datum {
        Datum::Error(_) => "error".into(),
        other => format!("{other:?}"),
    }
}

/// The table's rows as SQLite shows them, typed by rules written down a second time.
fn expected(connection: &Connection, table: &TableSpec) -> Vec<String> {
    let names: Vec<_> =
        table.schema.visible_columns().iter().map(|it| format!("\"{}\"", it.name.replace('"', "\"\""))).collect();
    let sql = format!("SELECT {} FROM \"{}\"", names.join(", "), table.declaration.upstream.replace('"', "\"\""));
    let mut statement = connection.prepare(&sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut all = Vec::new();
    let in_key = |index: usize| table.schema.key.iter().any(|it| it.column == index);
    while let Some(row) = rows.next().unwrap() {
        let cell = |index: usize| match (table.schema.data_type(index), row.get_ref(index).unwrap()) {
            (_, ValueRef::Null) => "Null".into(),
            (DataType::Int64, ValueRef::Integer(it)) => format!("Int({it})"),
            (DataType::Float64, ValueRef::Integer(it)) => format!("Float({:?})", it as f64),
            (DataType::Float64, ValueRef::Real(it)) => format!("Float({it:?})"),
            (DataType::Bytes, ValueRef::Blob(it)) => format!("Bytes({it:?})"),
            (DataType::Text, ValueRef::Text(it)) if std::str::from_utf8(it).is_ok() => {
                format!("Text({:?})", std::str::from_utf8(it).unwrap())
            }
            _ if in_key(index) => "error".into(),
            (DataType::Text, ValueRef::Integer(it)) => format!("Text({:?})", it.to_string()),
            (DataType::Text, ValueRef::Real(it)) => format!("Text({:?})", format!("{it:?}")),
            (DataType::Text, ValueRef::Blob(it)) => {
                let hex: String = it.iter().map(|it| format!("{it:02x}")).collect();
                format!("Text({:?})", format!("\\x{hex}"))
            }
            (DataType::Bytes, ValueRef::Text(it)) => format!("Bytes({it:?})"),
            (DataType::Int64, ValueRef::Real(it)) if it.fract() == 0.0 && it.abs() < 9e15 => format!("Int({it})"),
            _ => "error".into(),
        };
        all.push((0..table.schema.visible).map(cell).collect::<Vec<String>>().join("|"));
    }
    all.sort();
    all
}

/// Another process that writes the file: Python's sqlite3, as services have it.
pub(super) struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    pub(super) fn open(path: &Path) -> Python {
        const PROGRAM: &str = "
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
# What only the owner has: a function, and a collation that ignores case and white space.
norm = lambda text: None if text is None else str(text).strip().lower()
db.create_function('norm', 1, norm, deterministic=True)
db.create_collation('own', lambda a, b: (norm(a) > norm(b)) - (norm(a) < norm(b)))
for line in sys.stdin:
    try:
        rows = db.execute(json.loads(line)).fetchall()
        print(json.dumps(rows, default=str), flush=True)
    except sqlite3.Error as error:
        print(json.dumps('error: %s' % error), flush=True)
";
        let mut child = Command::new("python3")
            .args(["-c", PROGRAM])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Python { child, input, output }
    }

    /// Runs one statement; its rows as JSON, or the error.
    pub(super) fn run(&mut self, sql: &str) -> String {
        writeln!(self.input, "{}", serde_json::to_string(sql).unwrap()).unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().into()
    }

    /// Runs one statement that must succeed.
    pub(super) fn execute(&mut self, sql: &str) {
        let answer = self.run(sql);
        assert!(!answer.starts_with("\"error"), "{sql}: {answer}");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
