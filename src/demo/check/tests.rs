//! The check finds what is wrong, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::catalog::{File, View, read_files};
use crate::change::{Column, DataType, Datum, KeyColumn, RelationId, RowBuilder, Schema};

const TOTALS: RelationId = RelationId(7);

fn view(name: &str, columns: &[&str], materialized: bool, query: &str) -> View {
    View {
        name: name.into(),
        columns: columns.iter().map(|it| (*it).to_owned()).collect(),
        materialized,
        query: query.into(),
        ..View::default()
    }
}

/// Two sources; `totals` (product, units, mean) reads a plain view over both.
fn catalog() -> Catalog {
    let tables = "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');
                  CREATE SOURCE orders WITH (connector = 'sqlite', path = 'orders.db');
                  CREATE TABLE products FROM shop TABLE 'items';
                  CREATE TABLE orders FROM orders TABLE 'orders';";
    let file = File { path: "shop.sql".into(), text: tables.into() };
    let lines = "SELECT p.name AS product, o.units FROM products p JOIN orders o ON o.product_id = p.id";
    let totals = "SELECT product, sum(units), avg(units) FROM lines GROUP BY product";
    let views = vec![view("lines", &[], false, lines), view("totals", &["product", "units", "mean"], true, totals)];
    Catalog { views, ..read_files(vec![file], Vec::new()).unwrap() }
}

fn owners(directory: &Path) {
    let shop = Connection::open(directory.join("shop.db")).unwrap();
    shop.execute_batch(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO items VALUES (1, 'a'), (2, 'b');",
    )
    .unwrap();
    let orders = Connection::open(directory.join("orders.db")).unwrap();
    orders
        .execute_batch(
            "CREATE TABLE orders (product_id INTEGER, units INTEGER); INSERT INTO orders VALUES (1, 1), (1, 2), (2, 5);",
        )
        .unwrap();
}

fn board(rows: &[(&str, i64, f64)], state: RelationState) -> Board {
    let column = |name: &str, data_type| Column::new(name, data_type);
    let columns =
        [column("product", DataType::Text), column("units", DataType::Int64), column("mean", DataType::Float64)];
    let schema = Schema { visible: columns.len(), columns: columns.into(), key: [KeyColumn::ascending(0)].into() };
    let mut builder = RowBuilder::new();
    let rows = rows.iter().map(|(product, units, mean)| {
        let cells = [Datum::Text(product), Datum::Int(*units), Datum::Float(*mean)];
        let mut key = Vec::new();
        schema.encode_key(|index| cells[index], &mut key);
        cells.iter().zip(schema.columns.iter()).for_each(|(cell, column)| builder.push(*cell, column.data_type));
        (TOTALS, builder.finish(&key))
    });
    let board = Board::new(vec!["shop".into(), "orders".into()]);
    board.publish(Arc::new(Epoch::for_tests(1, BTreeMap::new(), rows.collect())));
    let relation = Relation {
        name: "totals".into(),
        is_view: true,
        schema,
        id: TOTALS,
        sources: vec![0, 1],
        indexes: Vec::new(),
        freshness: None,
        doc: String::new(),
        query: String::new(),
    };
    board.set_relations(vec![(relation, state)]);
    board
}

fn check(board: &Board) -> ViewCheck {
    let directory = tempfile::tempdir().unwrap();
    owners(directory.path());
    let mut checks = check_views(&catalog(), directory.path(), board).unwrap();
    assert_eq!(checks.len(), 1);
    checks.remove(0)
}

#[test]
fn a_right_view_is_equal() {
    // The last digit of a mean may differ: it may have been added up in another order.
    let found = check(&board(&[("b", 5, 5.0), ("a", 3, 1.5 + f64::EPSILON)], RelationState::Live));
    assert_eq!((found.rows, found.expected, found.difference), (2, 2, None));
}

#[test]
fn a_wrong_view_is_named_with_the_row() {
    let wrong = [
        (board(&[("a", 4, 1.5), ("b", 5, 5.0)], RelationState::Live), "units=4"),
        (board(&[("a", 3, 1.501), ("b", 5, 5.0)], RelationState::Live), "mean=1.501"),
        (board(&[("a", 3, 1.5)], RelationState::Live), "no further row"),
        (board(&[("a", 3, 1.5), ("b", 5, 5.0), ("c", 0, 0.0)], RelationState::Live), "product=\"c\""),
        (board(&[], RelationState::Building { done: 0, total: None }), "not live"),
    ];
    for (board, expected) in wrong {
        let difference = check(&board).difference.unwrap_or_default();
        assert!(difference.contains(expected), "{difference}");
    }
}

#[test]
fn a_view_that_is_not_served_is_named() {
    let board = board(&[], RelationState::Live);
    board.set_relations(Vec::new());
    let found = check(&board);
    assert_eq!((found.rows, found.expected), (0, 2));
    assert!(found.difference.unwrap_or_default().contains("not served"));
}
