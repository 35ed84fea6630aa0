//! The shop: five services, each the owner of one SQLite file.
//!
//! The files are what such services would have: keys, constraints, the indexes their own queries need, WAL mode.
//! Nothing in them knows of Vantage.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::servers::Servers;
use super::store::{File, Store, StoreError};

/// A category lists this many products.
pub const PRODUCTS_PER_CATEGORY: i64 = 500;

/// The last products of the seed are left alone by the traffic, so that a probe's own change is never overwritten
/// before it was seen.
pub const RESERVED_PRODUCTS: i64 = 50;

/// How long a writer waits for another one of the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Products, brands and categories.
    Catalog,
    /// Prices.
    Pricing,
    /// Stock by warehouse.
    Inventory,
    /// Reviews.
    Reviews,
    /// Customers, orders and their lines.
    Orders,
}

impl Service {
    /// All of them, in the order of the shop's source declarations.
    pub const ALL: [Service; 5] =
        [Service::Catalog, Service::Pricing, Service::Inventory, Service::Reviews, Service::Orders];

    /// The name of the service, of its file and of its source.
    pub fn name(self) -> &'static str {
        match self {
            Service::Catalog => "catalog",
            Service::Pricing => "pricing",
            Service::Inventory => "inventory",
            Service::Reviews => "reviews",
            Service::Orders => "orders",
        }
    }

    /// The service's tables.
    pub(super) fn tables(self) -> &'static str {
        match self {
            Service::Catalog => CATALOG,
            Service::Pricing => PRICING,
            Service::Inventory => INVENTORY,
            Service::Reviews => REVIEWS,
            Service::Orders => ORDERS,
        }
    }

    /// The indexes its own queries need; made after the seed, when one sort is cheaper than many inserts.
    pub(super) fn indexes(self) -> &'static str {
        match self {
            Service::Catalog => "CREATE INDEX products_by_category ON products (category_id);",
            Service::Pricing | Service::Inventory => "",
            Service::Reviews => "CREATE INDEX reviews_by_product ON reviews (product_id, rating);",
            Service::Orders => {
                "CREATE INDEX order_items_by_product ON order_items (product_id, quantity);
                 CREATE INDEX orders_by_customer ON orders (customer_id, placed_at);"
            }
        }
    }
}

const CATALOG: &str = "
CREATE TABLE categories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE brands (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    country TEXT NOT NULL
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    brand_id INTEGER NOT NULL REFERENCES brands (id),
    category_id INTEGER NOT NULL REFERENCES categories (id),
    weight_grams INTEGER,
    listed_at INTEGER NOT NULL -- unix seconds
);";

const PRICING: &str = "
CREATE TABLE prices (
    product_id INTEGER PRIMARY KEY,
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    list_price_cents INTEGER, -- only while the product is on offer
    valid_from INTEGER NOT NULL
);";

const INVENTORY: &str = "
CREATE TABLE stock (
    product_id INTEGER NOT NULL,
    warehouse_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (product_id, warehouse_id)
) WITHOUT ROWID;";

const REVIEWS: &str = "
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL,
    customer_id INTEGER NOT NULL,
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    title TEXT,
    written_at INTEGER NOT NULL
);";

const ORDERS: &str = "
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    city TEXT NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    status TEXT NOT NULL,
    placed_at INTEGER NOT NULL
);
CREATE TABLE order_items (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    line INTEGER NOT NULL,
    product_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    unit_price_cents INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
) WITHOUT ROWID;";

/// Where the shop lies and how large it was seeded.
#[derive(Debug, Clone)]
pub struct Shop {
    directory: PathBuf,
    products: i64,
    seed: u64,
    /// Where the services keep their rows, if not in their files.
    servers: Option<Servers>,
}

impl Shop {
    /// A shop of `products` products (at least 1,000) below `directory`; `seed` decides every value in it.
    pub fn new(directory: &Path, products: u64, seed: u64) -> Shop {
        let products = i64::try_from(products).unwrap_or(i64::MAX).max(1000);
        Shop { directory: directory.to_path_buf(), products, seed, servers: None }
    }

    /// The same shop with its rows in servers.
    pub(super) fn over(self, servers: Option<Servers>) -> Shop {
        Shop { servers, ..self }
    }

    /// Where the services keep their rows, if not in their files.
    pub(super) fn servers(&self) -> Option<&Servers> {
        self.servers.as_ref()
    }

    /// A service's store, as the service itself has it open.
    pub(super) fn store(&self, service: Service) -> Result<Box<dyn Store>, StoreError> {
        match &self.servers {
            Some(servers) => servers.open(self, service),
            None => Ok(Box::new(File(self.open(service)?))),
        }
    }

    /// The directory the views' relative paths begin at.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of a service.
    pub fn path(&self, service: Service) -> PathBuf {
        self.directory.join("services").join(format!("{}.db", service.name()))
    }

    /// A connection as the service itself would have one.
    pub fn open(&self, service: Service) -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open(self.path(service))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    /// Products with ids from 1 to this were seeded.
    pub fn products(&self) -> i64 {
        self.products
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Categories with ids from 1 to this.
    pub fn categories(&self) -> i64 {
        (self.products / PRODUCTS_PER_CATEGORY).max(1)
    }

    /// Brands with ids from 1 to this.
    pub fn brands(&self) -> i64 {
        (self.products / 250).clamp(8, 2000)
    }

    /// Customers with ids from 1 to this.
    pub fn customers(&self) -> i64 {
        self.products / 20
    }

    /// Orders with ids from 1 to this were seeded.
    pub fn orders(&self) -> i64 {
        self.products / 4
    }

    /// The category a product is seeded in: neighbours in id are not neighbours in the shop.
    pub fn category_of(&self, product: i64) -> i64 {
        1 + (product - 1) % self.categories()
    }
}
