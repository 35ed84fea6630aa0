//! Cost follows the change, not the data: the same changes on ×1, ×10 and ×100 state, measured in instructions.
//!
//! The measured process is this test binary itself under callgrind, which counts exactly, whatever else the machine
//! does. Only `measured_epoch` is counted: dataflow step, journal and publishing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use vantage::catalog::{DeclaredColumn, Table};
use vantage::change::{Batch, Column, Datum, Event, KeyColumn, Phase, Position, Row, RowBuilder, Schema, TableId};
use vantage::engine::{Core, plan_views};
use vantage::plan::Graph;
use vantage::store::{Board, StoreOptions};

const VIEWS: &str = "
CREATE SOURCE shop WITH (connector = 'sqlite', path = 'unused.db');
CREATE TABLE products (id BIGINT PRIMARY KEY, name TEXT, brand_id BIGINT) FROM shop TABLE 'products';
CREATE TABLE brands (id BIGINT PRIMARY KEY, name TEXT) FROM shop TABLE 'brands';
CREATE TABLE prices (product_id BIGINT PRIMARY KEY, cents BIGINT) FROM shop TABLE 'prices';
CREATE TABLE stock (product_id BIGINT, warehouse BIGINT, quantity BIGINT, PRIMARY KEY (product_id, warehouse))
  FROM shop TABLE 'stock';
CREATE TABLE reviews (id BIGINT PRIMARY KEY, product_id BIGINT, rating BIGINT) FROM shop TABLE 'reviews';
CREATE MATERIALIZED VIEW card AS
  SELECT p.id, p.name, b.name AS brand, c.cents, s.quantity, r.reviews, r.rating
  FROM products p JOIN brands b ON b.id = p.brand_id JOIN prices c ON c.product_id = p.id
  LEFT JOIN (SELECT product_id, sum(quantity) AS quantity FROM stock GROUP BY product_id) s ON s.product_id = p.id
  LEFT JOIN (SELECT product_id, count(*) AS reviews, avg(rating) AS rating FROM reviews GROUP BY product_id) r
    ON r.product_id = p.id;
CREATE MATERIALIZED VIEW pairs AS
  SELECT r.id, r.rating, s.warehouse FROM reviews r JOIN stock s ON s.product_id = r.product_id;
CREATE INDEX card_by_price ON card (cents);
";

/// Products at scale ×1, more than there are changes, so that no scale changes a product twice; a product has 2 stock rows
/// and 3 reviews, a brand has 10 products.
const PRODUCTS: i64 = 400;
const EPOCHS: i64 = 30;
const CHANGES_PER_EPOCH: i64 = 10;
/// Invariant 5: at ×100 state the same delta costs at most this many times the instructions.
const MOST_AT_100: f64 = 1.1;

#[test]
fn cost_follows_the_change() {
    let counts: Vec<u64> = [1, 10, 100].iter().map(|scale| instructions(PRODUCTS * scale)).collect();
    let changes = (EPOCHS * CHANGES_PER_EPOCH) as u64;
    let ratio = |index: usize| counts[index] as f64 / counts[0] as f64;
    println!(
        "instructions a change at x1, x10, x100 state: {}, {}, {}; ratios {:.3}, {:.3}",
        counts[0] / changes,
        counts[1] / changes,
        counts[2] / changes,
        ratio(1),
        ratio(2)
    );
    assert!(counts[0] / changes > 100, "nothing was measured");
    assert!(ratio(2) <= MOST_AT_100, "x100 state costs {:.3} times the instructions", ratio(2));
}

/// Instructions of all measured epochs over a state of `products` products.
fn instructions(products: i64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured_epoch*"])
        .arg(std::env::current_exe().expect("this binary"))
        .args(["--exact", "slope::measured_process", "--nocapture"])
        .env("SLOPE_PRODUCTS", products.to_string())
        .output()
        .expect("valgrind is installed (deploy/setup.sh)");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stdout));
    let collected = text.lines().find_map(|line| line.split("Collected :").nth(1)).expect("callgrind's count");
    collected.trim().parse().expect("a number")
}

/// What runs under callgrind; does nothing in an ordinary run.
#[test]
fn measured_process() {
    let Some(products) = std::env::var("SLOPE_PRODUCTS").ok().and_then(|it| it.parse().ok()) else { return };
    let directory = tempfile::tempdir().expect("temporary directory");
    let (mut core, graph) = open(directory.path());
    let mut shop = Shop { graph, builder: RowBuilder::new() };
    let tables = (0..5).map(TableId).collect();
    core.apply(vec![batch(shop.everything(products), Phase::SnapshotStart(tables), 1)]).expect("load");
    core.apply(vec![batch(Vec::new(), Phase::Streaming, 2)]).expect("build");
    // Measured is the steady state: what was loaded is in a checkpoint, not in runs that are still being merged.
    core.close().expect("close");
    let (mut core, _) = open(directory.path());
    for epoch in 0..EPOCHS {
        let events = shop.changes(epoch, products);
        measured_epoch(&mut core, vec![batch(events, Phase::Streaming, epoch as u64 + 3)]);
    }
    core.close().expect("close");
}

#[inline(never)]
fn measured_epoch(core: &mut Core, batches: Vec<Batch>) {
    core.apply(batches).expect("apply");
}

fn open(directory: &Path) -> (Core, Arc<Graph>) {
    let views = directory.join("views");
    std::fs::create_dir_all(&views).expect("views directory");
    std::fs::write(views.join("shop.sql"), VIEWS).expect("view file");
    let catalog = vantage::catalog::read_directory(&views).expect("catalog");
    let schemas: Vec<Schema> = catalog.tables.iter().map(schema).collect();
    let graph = Arc::new(plan_views(&catalog, &schemas).expect("plan"));
    let board = Arc::new(Board::new(vec!["shop".into()]));
    // No checkpoint falls into the measured epochs.
    let options = StoreOptions { checkpoint_rows: usize::MAX, checkpoint_bytes: usize::MAX, ..StoreOptions::default() };
    let data = directory.join("data");
    let mut core = Core::open(Arc::new(catalog), Arc::clone(&graph), &data, options, board).expect("open");
    core.load().expect("load");
    (core, graph)
}

/// The schema of a declared table with a primary key.
fn schema(table: &Table) -> Schema {
    let column = |it: &DeclaredColumn| Column { nullable: !it.not_null, ..Column::new(it.name.clone(), it.data_type) };
    let columns: Vec<Column> = table.declared.iter().map(column).collect();
    let key = table.declared.iter().enumerate().filter(|(_, it)| it.primary_key);
    let key: Vec<KeyColumn> = key.map(|(index, _)| KeyColumn::ascending(index)).collect();
    Schema { visible: columns.len(), columns: columns.into(), key: key.into() }
}

fn batch(events: Vec<Event>, phase: Phase, id: u64) -> Batch {
    let position = Position::whole("slope", id, &[]);
    let covers = (0..5).map(TableId).collect();
    Batch { source: 0, events, position, phase, covers, seen_at: Instant::now() }
}

struct Shop {
    graph: Arc<Graph>,
    builder: RowBuilder,
}

impl Shop {
    fn event(&mut self, table: usize, cells: &[Datum<'_>]) -> Event {
        let schema = &self.graph.nodes[table].schema;
        let mut key = Vec::new();
        schema.encode_key(|index| cells[index], &mut key);
        cells.iter().enumerate().for_each(|(index, cell)| self.builder.push(*cell, schema.data_type(index)));
        let row: Row = self.builder.finish(&key);
        Event::row(TableId(table), row)
    }

    fn everything(&mut self, products: i64) -> Vec<Event> {
        let int = Datum::Int;
        let mut events = Vec::new();
        for id in 0..products {
            if id % 10 == 0 {
                events.push(self.event(1, &[int(id / 10), Datum::Text("brand")]));
            }
            events.push(self.event(0, &[int(id), Datum::Text("product"), int(id / 10)]));
            events.push(self.event(2, &[int(id), int(id % 1000)]));
            for warehouse in 0..2 {
                events.push(self.event(3, &[int(id), int(warehouse), int(5)]));
            }
            for review in 0..3 {
                events.push(self.event(4, &[int(id * 3 + review), int(id), int(review + 1)]));
            }
        }
        events
    }

    /// The same mix of changes at every scale, spread over all products.
    fn changes(&mut self, epoch: i64, products: i64) -> Vec<Event> {
        let int = Datum::Int;
        let mut events = Vec::new();
        for change in 0..CHANGES_PER_EPOCH {
            let id = (epoch * CHANGES_PER_EPOCH + change) * 7919 % products;
            events.push(match change % 5 {
                0..2 => self.event(2, &[int(id), int(5000 + epoch)]),
                2 => self.event(3, &[int(id), int(0), int(100 + epoch)]),
                3 => self.event(4, &[int(id * 3), int(id), int(epoch % 5)]),
                _ => self.event(0, &[int(id), Datum::Text("renamed"), int(id / 10)]),
            });
        }
        events
    }
}
