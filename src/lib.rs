//! Vantage keeps SQL views over many services' data incrementally up to date, in the process that serves them.
//!
//! ```text
//!  services' own stores          one process                                             readers
//!  ┌──────────┐  keys   ┌────────┐ events ┌──────────┐ deltas ┌───────┐ epochs ┌───────┐  HTTP
//!  │ SQLite … │ ──────► │ source │ ─────► │ dataflow │ ─────► │ store │ ─────► │ serve │ ──────►
//!  └──────────┘         └────────┘        └──────────┘        └───────┘        └───────┘  SQL
//!                            ▲                 ▲ plan              │
//!                            └──── engine: one epoch loop ─────────┘  positions, fsync, trim
//! ```
//!
//! # Reading order
//! | module | what it is |
//! |---|---|
//! | [`change`] | what flows: rows, keys, deltas, events, positions |
//! | [`catalog`] | what is declared in `views/*.sql` |
//! | [`source`] | the outside world in: SQLite, Kafka |
//! | `dialect` | PostgreSQL's meaning of SQL on DataFusion's planner |
//! | [`plan`] | from SQL to operators over keyed relations |
//! | [`store`] | journal, published epochs, checkpoints in RocksDB; the status board |
//! | [`dataflow`] | the operators, one epoch at a time |
//! | [`engine`] | the loop that ties these together; the embedding API |
//! | [`serve`] | read-only out: REST and SQL over published epochs |
//! | [`signals`] | what ends the process |
//! | [`address`] | addresses as they are written in flags |
//! | `demo` | a shop of five services to try it with (feature `cli`) |
//!
//! The layers form a DAG that `tests/layers.rs` checks; `serve` never sees `dataflow` or `engine`.
//!
//! # Embedding
//! ```no_run
//! use vantage::change::Datum;
//! use vantage::engine::{Engine, EngineOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::start(EngineOptions::new("views", "data"))?;
//! engine.wait_ready(std::time::Duration::from_secs(60))?;
//! let card = engine.view("product_card").ok_or("no such view")?;
//! if let Some(row) = card.get(&[Datum::Int(42)])? {
//!     println!("{:?}", card.cell(&row, "name"));
//! }
//! let page = engine.view("category_page").and_then(|it| it.listing("category_page_by_rating", &["name", "rating"]));
//! let page = page.ok_or("no such index")?;
//! for row in page.first(&page.epoch(), &[Datum::Int(7)], 20)? {
//!     println!("{:?} {:?}", page.cell(&row, 0), page.cell(&row, 1));
//! }
//! engine.stop()?;
//! # Ok(())
//! # }
//! ```

pub mod change;

pub mod catalog;

pub mod source;

mod dialect;

pub mod plan;

pub mod store;

pub mod dataflow;

pub mod engine;

pub mod serve;

pub mod signals;

pub mod address;

#[cfg(feature = "cli")]
pub mod demo;
