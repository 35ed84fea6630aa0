//! Plans of the views of a shop, and what is refused of it.

mod plans;
mod refusals;

use expect_test::Expect;

use super::{Graph, explain, plan};
use crate::catalog::{Catalog, File, read_files};
use crate::change::{Column, DataType, KeyColumn, Schema};

const TABLES: &[(&str, &str, usize)] = &[
    ("products", "id:i name:t brand_id:i category_id:i", 1),
    ("brands", "id:i name:t", 1),
    ("categories", "id:i name:t parent_id:i", 1),
    ("prices", "product_id:i price:d currency:t", 1),
    ("stock", "product_id:i warehouse:t qty:i", 2),
    ("reviews", "id:i product_id:i rating:i body:t", 1),
    ("customers", "id:i name:t email:t", 1),
    ("orders", "id:i customer_id:i created:s", 1),
    ("order_items", "order_id:i line:i product_id:i qty:i price:d", 2),
    ("log", "message:t at:s", 0),
];

fn catalog(views: &str) -> (Catalog, Vec<Schema>) {
    let mut text = "CREATE SOURCE shop WITH (connector = 'sqlite', path = 'shop.db');\n".to_string();
    let mut schemas = Vec::new();
    for (name, columns, key) in TABLES {
        text += &format!("CREATE TABLE {name} FROM shop TABLE '{name}';\n");
        let mut columns: Vec<Column> = columns
            .split(' ')
            .map(|it| {
                let (name, kind) = it.split_once(':').unwrap();
                let data_type = match kind {
                    "i" => DataType::Int64,
                    "d" => DataType::Decimal { precision: 10, scale: 2 },
                    "s" => DataType::Timestamp,
                    _ => DataType::Text,
                };
                Column::new(name, data_type)
            })
            .collect();
        let visible = columns.len();
        if *key == 0 {
            columns.push(Column::new("_rowid", DataType::Int64));
        }
        let key =
            if *key == 0 { vec![KeyColumn::ascending(visible)] } else { (0..*key).map(KeyColumn::ascending).collect() };
        schemas.push(Schema { columns: columns.into(), visible, key: key.into() });
    }
    let files = vec![File { path: "views/shop.sql".into(), text: text + views }];
    (
        read_files(files, Vec::new()).unwrap_or_else(|(files, problems)| panic!("{}", problems[0].render(&files))),
        schemas,
    )
}

fn planned(views: &str) -> (Catalog, Graph) {
    let (catalog, schemas) = catalog(views);
    let graph = plan(&catalog, &schemas).unwrap_or_else(|problems| {
        let shown: Vec<String> = problems.iter().map(|it| it.render(&catalog.files)).collect();
        panic!("{}", shown.join("\n"))
    });
    (catalog, graph)
}

/// Each view's columns and plan.
fn check(views: &str, expected: Expect) {
    let (catalog, graph) = planned(views);
    let mut out = String::new();
    for view in &graph.views {
        let schema = &graph.nodes[view.node.0].schema;
        let columns: Vec<String> =
            schema.visible_columns().iter().map(|it| format!("{} {}", it.name, it.data_type)).collect();
        out += &format!("{}{}\n", explain(&graph, &catalog, &view.name), columns.join(", "));
    }
    expected.assert_eq(&out);
}

fn refused(query: &str, expected: Expect) {
    let (catalog, schemas) = catalog(&format!("CREATE MATERIALIZED VIEW v AS {query};"));
    let problems = plan(&catalog, &schemas).expect_err(query);
    let shown: Vec<String> = problems.iter().map(|it| it.render(&catalog.files)).collect();
    expected.assert_eq(&shown.join("\n"));
}
