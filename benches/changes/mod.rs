//! The generator: a shop's rows and changes, made in memory straight from the tables' schemas, without SQLite.
//!
//! A change is kept in the form a source reads it in (plain values) and becomes an event when it is taken, so that the
//! time of that last step, which every source has, can be measured too.

use std::sync::Arc;
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vantage::catalog::Catalog;
use vantage::change::{
    Batch, Collation, Column, DataType, Datum, Event, KeyColumn, Phase, Position, RowBuilder, Schema, TableId,
};
use vantage::demo::skew::Skew;

/// Warehouses that have a product.
const WAREHOUSES: i64 = 3;

/// Reviews of a product to begin with.
const REVIEWS: i64 = 3;

/// Rows of one product: itself, its price, its stock and its reviews.
pub(crate) const ROWS_PER_PRODUCT: u64 = 2 + WAREHOUSES as u64 + REVIEWS as u64;

/// The sources and tables that `product_card` needs.
pub(crate) const DECLARATIONS: &str = "
CREATE SOURCE catalog WITH (connector = 'sqlite', path = 'catalog.db');
CREATE SOURCE pricing WITH (connector = 'sqlite', path = 'pricing.db');
CREATE SOURCE inventory WITH (connector = 'sqlite', path = 'inventory.db');
CREATE SOURCE reviews WITH (connector = 'sqlite', path = 'reviews.db');
CREATE TABLE products FROM catalog TABLE 'products';
CREATE TABLE brands FROM catalog TABLE 'brands';
CREATE TABLE categories FROM catalog TABLE 'categories';
CREATE TABLE prices FROM pricing TABLE 'prices';
CREATE TABLE stock FROM inventory TABLE 'stock';
CREATE TABLE reviews FROM reviews TABLE 'reviews';
";

const INT: DataType = DataType::Int64;
const TEXT: DataType = DataType::Text;

/// A table's columns (name, type, whether NULL may occur) and how many of the first ones are the key.
type Shape = (&'static [(&'static str, DataType, bool)], usize);

/// The same shapes as those of the demo's services.
fn shape(table: &str) -> Option<Shape> {
    Some(match table {
        "products" => (
            &[
                ("id", INT, false),
                ("sku", TEXT, false),
                ("name", TEXT, false),
                ("brand_id", INT, false),
                ("category_id", INT, false),
                ("weight_grams", INT, true),
                ("listed_at", INT, false),
            ],
            1,
        ),
        "brands" => (&[("id", INT, false), ("name", TEXT, false), ("country", TEXT, false)], 1),
        "categories" => (&[("id", INT, false), ("name", TEXT, false)], 1),
        "prices" => (
            &[
                ("product_id", INT, false),
                ("price_cents", INT, false),
                ("list_price_cents", INT, true),
                ("valid_from", INT, false),
            ],
            1,
        ),
        "stock" => (&[("product_id", INT, false), ("warehouse_id", INT, false), ("quantity", INT, false)], 2),
        "reviews" => (
            &[
                ("id", INT, false),
                ("product_id", INT, false),
                ("customer_id", INT, false),
                ("rating", INT, false),
                ("title", TEXT, true),
                ("written_at", INT, false),
            ],
            1,
        ),
        _ => return None,
    })
}

/// The schemas of the catalog's tables; `None` when one is not known here.
pub(crate) fn schemas(catalog: &Catalog) -> Option<Vec<Schema>> {
    catalog.tables.iter().map(|table| shape(&table.name).map(schema)).collect()
}

fn schema((columns, key): Shape) -> Schema {
    let column = |(name, data_type, nullable): &(&str, DataType, bool)| Column {
        name: (*name).to_owned(),
        data_type: *data_type,
        nullable: *nullable,
        collation: Collation::Binary,
    };
    let key: Vec<KeyColumn> = (0..key).map(KeyColumn::ascending).collect();
    Schema { visible: columns.len(), columns: columns.iter().map(column).collect(), key: key.into() }
}

/// What changes, as a source would read it.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Brand { id: i64 },
    Category { id: i64 },
    Product { id: i64, edition: i64, brand: i64, category: i64 },
    Price { product: i64, cents: i64, list_cents: Option<i64> },
    Stock { product: i64, warehouse: i64, quantity: i64 },
    Review { id: i64, product: i64, rating: i64 },
}

/// Makes the rows and the changes of a shop.
pub(crate) struct Generator {
    products: i64,
    brands: i64,
    categories: i64,
    next_review: i64,
    popular: Option<Skew>,
    random: SmallRng,
}

impl Generator {
    /// A shop of `products` products. With `skewed`, popular products change more often.
    pub(crate) fn new(products: u64, skewed: bool) -> Generator {
        let products = products as i64;
        Generator {
            products,
            brands: (products / 250).clamp(8, 2000),
            categories: (products / 500).max(1),
            next_review: products * REVIEWS + 1,
            popular: skewed.then(|| Skew::new(products)),
            random: SmallRng::seed_from_u64(3),
        }
    }

    /// Every row of the shop, source by source and in key order, as a snapshot reads them.
    pub(crate) fn rows(&mut self) -> [Vec<Change>; 4] {
        let (brands, categories, products) = (1..=self.brands, 1..=self.categories, 1..=self.products);
        let mut catalog: Vec<Change> = brands.map(|id| Change::Brand { id }).collect();
        catalog.extend(categories.map(|id| Change::Category { id }));
        for id in products.clone() {
            let brand = self.random.random_range(1..=self.brands);
            catalog.push(Change::Product { id, edition: 0, brand, category: self.category(id) });
        }
        let pricing = products.clone().map(|product| self.price(product)).collect();
        let stock = products.clone().flat_map(|product| (1..=WAREHOUSES).map(move |warehouse| (product, warehouse)));
        let inventory = stock.map(|(product, warehouse)| self.stock(product, warehouse)).collect();
        let reviews = products.flat_map(|product| (0..REVIEWS).map(move |nth| (product, nth)));
        let reviews = reviews.map(|(product, nth)| self.review((product - 1) * REVIEWS + nth + 1, product)).collect();
        [catalog, pricing, inventory, reviews]
    }

    /// The next `count` changes: 50 % prices, 30 % stock, 15 % new reviews, 5 % products.
    pub(crate) fn changes(&mut self, count: usize) -> Vec<Change> {
        std::iter::repeat_with(|| self.change()).take(count).collect()
    }

    fn change(&mut self) -> Change {
        let product = match self.popular {
            Some(popular) => popular.sample(&mut self.random),
            None => self.random.random_range(1..=self.products),
        };
        match self.random.random_range(0..100) {
            0..50 => self.price(product),
            50..80 => {
                let warehouse = self.random.random_range(1..=WAREHOUSES);
                self.stock(product, warehouse)
            }
            80..95 => {
                let id = self.next_review;
                self.next_review += 1;
                self.review(id, product)
            }
            _ => {
                let (edition, brand) = (self.random.random_range(1..100), self.random.random_range(1..=self.brands));
                Change::Product { id: product, edition, brand, category: self.category(product) }
            }
        }
    }

    fn category(&self, product: i64) -> i64 {
        1 + (product - 1) % self.categories
    }

    fn price(&mut self, product: i64) -> Change {
        let cents = self.random.random_range(100..50_000);
        let list_cents = self.random.random_bool(0.2).then_some(cents + 500);
        Change::Price { product, cents, list_cents }
    }

    fn stock(&mut self, product: i64, warehouse: i64) -> Change {
        Change::Stock { product, warehouse, quantity: self.random.random_range(0..200) }
    }

    fn review(&mut self, id: i64, product: i64) -> Change {
        Change::Review { id, product, rating: self.random.random_range(1..=5) }
    }
}

/// Turns changes into events, as the last step of a source does.
pub(crate) struct Decoder {
    tables: [(TableId, Schema); 6],
    /// The source of each table.
    sources: [usize; 6],
    builder: RowBuilder,
    key: Vec<u8>,
    name: String,
    /// How many changes each source has seen.
    positions: Vec<u64>,
    /// By source, its tables.
    covers: Vec<Arc<[TableId]>>,
}

const TABLES: [&str; 6] = ["brands", "categories", "products", "prices", "stock", "reviews"];

impl Decoder {
    /// A decoder for the tables of this catalog; `None` when one of them is not declared.
    pub(crate) fn new(catalog: &Catalog, schemas: &[Schema]) -> Option<Decoder> {
        let find = |name: &str| catalog.tables.iter().position(|table| table.name == name);
        let places: Vec<usize> = TABLES.iter().map(|name| find(name)).collect::<Option<_>>()?;
        let places: [usize; 6] = places.try_into().ok()?;
        Some(Decoder {
            tables: places.map(|at| (TableId(at), schemas[at].clone())),
            sources: places.map(|at| catalog.tables[at].source),
            builder: RowBuilder::new(),
            key: Vec::new(),
            name: String::new(),
            positions: vec![0; catalog.sources.len()],
            covers: (0..catalog.sources.len())
                .map(|source| {
                    let tables = catalog.tables.iter().enumerate().filter(|it| it.1.source == source);
                    tables.map(|it| TableId(it.0)).collect()
                })
                .collect(),
        })
    }

    /// The changes as whole transactions: one batch for each source among them.
    pub(crate) fn stream(&mut self, changes: &[Change]) -> Vec<Batch> {
        let mut events: Vec<Vec<Event>> = vec![Vec::new(); self.positions.len()];
        for change in changes {
            let (source, event) = self.event(change);
            events[source].push(event);
        }
        let sources = events.into_iter().enumerate().filter(|(_, events)| !events.is_empty());
        sources.map(|(source, events)| self.batch(source, events, Phase::Streaming)).collect()
    }

    /// The snapshot of one source in batches of at most `size` rows, and the empty one that completes it.
    pub(crate) fn snapshot<'a>(&'a mut self, rows: &'a [Change], size: usize) -> impl Iterator<Item = Batch> + 'a {
        let last = rows.len().div_ceil(size);
        let mut of_source = 0;
        rows.chunks(size).chain(std::iter::once(&[][..])).enumerate().map(move |(nth, chunk)| {
            let events: Vec<(usize, Event)> = chunk.iter().map(|change| self.event(change)).collect();
            of_source = events.first().map_or(of_source, |(source, _)| *source);
            let tables = self.tables.iter().zip(self.sources);
            let phase = match nth {
                0 => {
                    let copied = tables.filter(|(_, source)| *source == of_source).map(|((table, _), _)| *table);
                    Phase::SnapshotStart(copied.collect())
                }
                nth if nth < last => Phase::Snapshot,
                _ => Phase::Streaming,
            };
            self.batch(of_source, events.into_iter().map(|(_, event)| event).collect(), phase)
        })
    }

    fn batch(&mut self, source: usize, events: Vec<Event>, phase: Phase) -> Batch {
        self.positions[source] += events.len() as u64;
        let position = Position::whole(format!("generator {source}"), self.positions[source], &[]);
        let covers = Arc::clone(&self.covers[source]);
        Batch { source, events, position, phase, covers, seen_at: Instant::now() }
    }

    /// The event, and the index of its source.
    fn event(&mut self, change: &Change) -> (usize, Event) {
        use std::fmt::Write;
        let name = &mut self.name;
        name.clear();
        // Writing to a String cannot fail.
        let mut named = |text: std::fmt::Arguments<'_>| _ = name.write_fmt(text);
        let optional = |it: Option<i64>| it.map_or(Datum::Null, Datum::Int);
        match *change {
            Change::Brand { id } => {
                named(format_args!("Brand {id}"));
                row(self, 0, |name| [Datum::Int(id), Datum::Text(name), Datum::Text("DE")])
            }
            Change::Category { id } => {
                named(format_args!("Category {id}"));
                row(self, 1, |name| [Datum::Int(id), Datum::Text(name)])
            }
            Change::Product { id, edition, brand, category } => {
                named(format_args!("SKU-{id:07}Solid Headphone {} Mk {edition}", 100 + id % 9000));
                let (category, weight) = (Datum::Int(category), Datum::Int(50 + id % 1000));
                row(self, 2, |name| {
                    let (sku, name) = name.split_at(name.find("Solid").unwrap_or(0));
                    let (sku, name) = (Datum::Text(sku), Datum::Text(name));
                    [Datum::Int(id), sku, name, Datum::Int(brand), category, weight, Datum::Int(1_767_225_600)]
                })
            }
            Change::Price { product, cents, list_cents } => row(self, 3, |_| {
                [Datum::Int(product), Datum::Int(cents), optional(list_cents), Datum::Int(1_767_225_600)]
            }),
            Change::Stock { product, warehouse, quantity } => {
                row(self, 4, |_| [Datum::Int(product), Datum::Int(warehouse), Datum::Int(quantity)])
            }
            Change::Review { id, product, rating } => row(self, 5, |_| {
                let title = if id % 2 == 0 { Datum::Text("Good value") } else { Datum::Null };
                let customer = Datum::Int(1 + id % 10_000);
                [Datum::Int(id), Datum::Int(product), customer, Datum::Int(rating), title, Datum::Int(id)]
            }),
        }
    }
}

/// The event of the row of table `at` that has these cells; they may borrow the decoder's text.
fn row<const N: usize>(
    decoder: &mut Decoder,
    at: usize,
    cells: impl for<'t> FnOnce(&'t str) -> [Datum<'t>; N],
) -> (usize, Event) {
    let Decoder { tables, sources, builder, key, name, .. } = decoder;
    let (table, schema) = &tables[at];
    let cells = cells(name);
    key.clear();
    schema.encode_key(|column| cells[column], key);
    for (cell, column) in cells.iter().zip(schema.columns.iter()) {
        builder.push(*cell, column.data_type);
    }
    (sources[at], Event::row(*table, builder.finish(key)))
}
