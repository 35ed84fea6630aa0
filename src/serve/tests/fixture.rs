//! A board with a small shop on it, a server over it, and a client that speaks raw HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::catalog::{Relation, ServedIndex};
use crate::change::{
    Column, DataType, Datum, KeyColumn, Position, RelationId, Row, RowBuilder, Schema, SourceHealth, encode_datum,
};
use crate::serve::{ServeError, ServeOptions, serve};
use crate::store::{Board, Epoch, KeyRange, RelationState};

pub(super) const MONEY: DataType = DataType::Decimal { precision: 20, scale: 2 };

/// A running server.
pub(super) struct Server {
    pub(super) board: Arc<Board>,
    pub(super) address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServeError>>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|it| panic!("{it}: {}", self.body))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.as_str())
    }

    /// Asserts that this is a well-formed problem with this status and code.
    pub(super) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.header("content-type")), (status, "application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["code"], code, "{self:?}");
        assert_eq!(json["status"], status, "{self:?}");
        assert!(!json["detail"].as_str().unwrap().is_empty(), "{self:?}");
    }
}

impl Server {
    pub(super) async fn start() -> Server {
        Server::with(ServeOptions::default(), shop(1)).await
    }

    pub(super) async fn with(options: ServeOptions, board: Arc<Board>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = Arc::clone(&board);
        let task = tokio::spawn(async move {
            serve(listener, shared, options, async {
                let _ = stopped.await;
            })
            .await
        });
        Server { board, address, stop: Some(stop), task }
    }

    /// Asks for shutdown.
    pub(super) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits for the end.
    pub(super) async fn ended(self) -> Result<(), ServeError> {
        self.task.await.unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "").await
    }

    pub(super) async fn sql(&self, sql: &str, params: Json) -> Answer {
        self.ask("POST", "/v1/sql", &[], &serde_json::json!({ "sql": sql, "params": params }).to_string()).await
    }

    /// The rows of a query, as JSON text.
    pub(super) async fn rows(&self, sql: &str) -> String {
        let answer = self.sql(sql, serde_json::json!([])).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        let start = answer.body.find("\"rows\":").unwrap() + 7;
        let end = answer.body.rfind(",\"epoch\"").unwrap();
        answer.body[start..end].to_string()
    }

    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        read_answer(&mut stream).await
    }
}

pub(super) async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A refusal may close the connection before all was sent; what was answered counts.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head[9..12].parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_string()));
    Answer { status, headers: head.lines().skip(1).filter_map(header).collect(), body: body.to_string() }
}

/// A relation with these columns; the first `key` of them are the key.
pub(super) fn relation(id: u32, name: &str, columns: Vec<Column>, key: usize, indexes: Vec<ServedIndex>) -> Relation {
    let visible = columns.len();
    let key: Vec<KeyColumn> = (0..key).map(KeyColumn::ascending).collect();
    Relation {
        name: name.into(),
        is_view: true,
        schema: Schema { columns: columns.into(), visible, key: key.into() },
        id: RelationId(id),
        sources: vec![0],
        indexes,
        freshness: None,
        doc: format!("The {name}."),
        query: "SELECT 1".into(),
    }
}

/// The row of these cells, and its entries in the relation's indexes.
pub(super) fn rows_of(relation: &Relation, cells: &[Datum<'_>]) -> Vec<(RelationId, Row)> {
    let schema = &relation.schema;
    let mut key = Vec::new();
    schema.encode_key(|at| cells[at], &mut key);
    let mut builder = RowBuilder::new();
    cells.iter().enumerate().for_each(|(at, cell)| builder.push(*cell, schema.data_type(at)));
    let mut out = vec![(relation.id, builder.finish(&key))];
    for index in &relation.indexes {
        let mut entry_key = Vec::new();
        for part in &index.key {
            encode_datum(cells[part.column], *part, schema.columns[part.column].collation, &mut entry_key);
        }
        entry_key.extend_from_slice(&key);
        builder.push(Datum::Bytes(&key), DataType::Bytes);
        index.include.iter().for_each(|at| builder.push(cells[*at], schema.data_type(*at)));
        out.push((index.id, builder.finish(&entry_key)));
    }
    out
}

fn required(name: &str, data_type: DataType) -> Column {
    Column { nullable: false, ..Column::new(name, data_type) }
}

pub(super) fn products() -> Relation {
    let columns = vec![
        required("id", DataType::Int64),
        Column::new("name", DataType::Text),
        Column::new("category", DataType::Int32),
        Column::new("price", MONEY),
        Column::new("rating", DataType::Float64),
        Column::new("added", DataType::Timestamp),
        Column::new("active", DataType::Boolean),
        Column::new("note", DataType::Text),
    ];
    let by_category = ServedIndex {
        name: "by_category".into(),
        id: RelationId(11),
        key: vec![KeyColumn::ascending(2), KeyColumn::descending(4)],
        include: vec![],
    };
    let by_price = ServedIndex {
        name: "by_price".into(),
        id: RelationId(12),
        key: vec![KeyColumn::ascending(3)],
        include: vec![0, 3],
    };
    relation(10, "products", columns, 1, vec![by_category, by_price])
}

pub(super) fn stock() -> Relation {
    let columns = vec![
        required("product", DataType::Int64),
        required("place", DataType::Text),
        Column::new("quantity", DataType::Int64),
    ];
    relation(20, "stock", columns, 2, vec![])
}

/// The shop: 40 products in 4 categories, some NULLs, extremes in product 1, an error cell in the note of product 13.
pub(in crate::serve) fn shop(number: u64) -> Arc<Board> {
    let (products, stock) = (products(), stock());
    let mut rows = Vec::new();
    for id in 1..=40i64 {
        let name = format!("product {id}");
        let cells = [
            Datum::Int(id),
            Datum::Text(&name),
            Datum::Int(id % 4),
            if id == 1 { Datum::Decimal(12_345_678_901_234_567_890) } else { Datum::Decimal(i128::from(id) * 150) },
            if id % 10 == 0 { Datum::Null } else { Datum::Float(id as f64 / 8.0) },
            Datum::Int(id * 86_400_000_000),
            if id % 3 == 0 { Datum::Null } else { Datum::Boolean(id % 2 == 0) },
            if id == 13 { Datum::Error("price / 0: division by zero") } else { Datum::Null },
        ];
        rows.extend(rows_of(&products, &cells));
    }
    let places = [(1, "a,b/c", i64::MAX), (1, "é ü", 9_007_199_254_740_993), (2, "", -1), (2, "north", 7)];
    for (product, place, quantity) in places {
        rows.extend(rows_of(&stock, &[Datum::Int(product), Datum::Text(place), Datum::Int(quantity)]));
    }
    let board = Board::new(vec!["catalog".into(), "pricing".into()]);
    board.set_relations(vec![
        (products, RelationState::Live),
        (stock, RelationState::Live),
        (
            relation(30, "growing", vec![required("id", DataType::Int64)], 1, vec![]),
            RelationState::Building { done: 5, total: Some(9) },
        ),
        (
            relation(31, "broken", vec![required("id", DataType::Int64)], 1, vec![]),
            RelationState::Failed { reason: "no such luck".into() },
        ),
    ]);
    for source in board.sources() {
        *source.health.write().unwrap() = SourceHealth::Streaming;
        source.current_until_us.store(1, Ordering::Release);
    }
    publish(&board, number, 17, rows);
    Arc::new(board)
}

/// Publishes an epoch with the source catalog at `position`.
pub(super) fn publish(board: &Board, number: u64, position: u64, rows: Vec<(RelationId, Row)>) {
    publish_at(board, number, &[("catalog", position)], rows);
}

/// Publishes an epoch with sources at these positions.
pub(super) fn publish_at(board: &Board, number: u64, positions: &[(&str, u64)], rows: Vec<(RelationId, Row)>) {
    let position = |(name, id): &(&str, u64)| ((*name).into(), Position::whole("log", *id, &[1]));
    let positions: BTreeMap<String, Position> = positions.iter().map(position).collect();
    board.publish(Arc::new(Epoch::for_tests(number, positions, rows)));
}

/// The rows of the published epoch, to be published again.
pub(super) fn published_rows(board: &Board) -> Vec<(RelationId, Row)> {
    let (epoch, relations) = (board.epoch(), board.relations());
    let ids = relations.iter().flat_map(|(it, _)| std::iter::once(it.id).chain(it.indexes.iter().map(|it| it.id)));
    let rows = |id| epoch.scan(id, &KeyRange::all(), false, usize::MAX).unwrap().into_iter().map(move |row| (id, row));
    ids.flat_map(rows).collect()
}

/// A board on which `relation` alone is served, with these rows, at epoch 1.
pub(super) fn board_of(relation: Relation, rows: &[&[Datum<'_>]]) -> Arc<Board> {
    let board = Board::new(vec!["catalog".into()]);
    let stored = rows.iter().flat_map(|cells| rows_of(&relation, cells)).collect();
    board.set_relations(vec![(relation, RelationState::Live)]);
    publish(&board, 1, 17, stored);
    Arc::new(board)
}
