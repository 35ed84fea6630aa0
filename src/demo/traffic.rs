//! The traffic: what the five services write all day, through connections of their own, one transaction a change.
//!
//! An open loop: changes fall due at a fixed rate whatever the shop's readers do, and a writer that fell behind
//! catches up at once. The mix of 100 changes is 50 prices, 30 stock movements, 15 reviews and 5 products, and 5 orders
//! on top.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rusqlite::types::Value;

use super::names;
use super::seed::{SEED_DAY, WAREHOUSES, opinion, price};
use super::shop::{RESERVED_PRODUCTS, Service, Shop};
use super::skew::Skew;
use super::store::{Store, StoreError, values};

/// A running writer.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Written, StoreError>>,
}

/// What a writer did.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Written {
    /// Changes the mix was asked for; most are one transaction.
    pub changes: u64,
    /// Rows inserted, updated or deleted.
    pub rows: u64,
    /// How long it wrote.
    pub seconds: f64,
}

impl Traffic {
    /// Starts writing `rate` changes a second; `seed` decides which.
    pub fn start(shop: &Shop, rate: f64, seed: u64) -> Result<Traffic, StoreError> {
        let mut writer = Writer::open(shop, seed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let start = Instant::now();
            while !stopped.load(Ordering::Acquire) {
                let due = (start.elapsed().as_secs_f64() * rate) as u64;
                if writer.written.changes < due {
                    writer.change()?;
                } else {
                    thread::sleep(Duration::from_secs_f64((1.0 / rate).clamp(0.0001, 0.05)));
                }
            }
            writer.written.seconds = start.elapsed().as_secs_f64();
            Ok(writer.written)
        });
        Ok(Traffic { stop, thread })
    }

    /// Stops writing; every change made is committed.
    pub fn stop(self) -> Result<Written, StoreError> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The services' writing side.
#[derive(Debug)]
pub struct Writer {
    catalog: Box<dyn Store>,
    pricing: Box<dyn Store>,
    inventory: Box<dyn Store>,
    reviews: Box<dyn Store>,
    orders: Box<dyn Store>,
    shop: Shop,
    popular: Skew,
    random: SmallRng,
    next_product: i64,
    next_review: i64,
    next_order: i64,
    written: Written,
}

impl Writer {
    /// Connects to all five services.
    pub fn open(shop: &Shop, seed: u64) -> Result<Writer, StoreError> {
        let [mut catalog, mut pricing, inventory, mut reviews, mut orders] = [
            shop.store(Service::Catalog)?,
            shop.store(Service::Pricing)?,
            shop.store(Service::Inventory)?,
            shop.store(Service::Reviews)?,
            shop.store(Service::Orders)?,
        ];
        // Prices outlive discontinued products, and no id is used twice.
        let next_product = pricing
            .number("SELECT max(product_id) + 1 FROM prices")?
            .max(catalog.number("SELECT max(id) + 1 FROM products")?);
        let next_review = reviews.number("SELECT coalesce(max(id), 0) + 1 FROM reviews")?;
        let next_order = orders.number("SELECT coalesce(max(id), 0) + 1 FROM orders")?;
        Ok(Writer {
            catalog,
            pricing,
            inventory,
            reviews,
            orders,
            shop: shop.clone(),
            popular: Skew::new(shop.products()),
            random: SmallRng::seed_from_u64(seed),
            next_product,
            next_review,
            next_order,
            written: Written::default(),
        })
    }

    /// What was written so far.
    pub fn written(&self) -> Written {
        self.written
    }

    /// One change of the mix.
    pub fn change(&mut self) -> Result<(), StoreError> {
        let rows = match self.random.random_range(0..105) {
            0..50 => self.reprice()?,
            50..80 => self.move_stock()?,
            80..95 => self.review()?,
            95..100 => self.change_product()?,
            _ => self.order()?,
        };
        self.written.changes += 1;
        self.written.rows += rows;
        Ok(())
    }

    /// A product, popular ones more often, never a reserved one.
    fn product(&mut self) -> i64 {
        let id = self.popular.sample(&mut self.random);
        if id > self.shop.products() - RESERVED_PRODUCTS { id - RESERVED_PRODUCTS } else { id }
    }

    /// The time of the change: the shop's day goes on by a second a change.
    fn now(&self) -> i64 {
        SEED_DAY + i64::try_from(self.written.changes).unwrap_or(0)
    }

    fn customer(&mut self) -> i64 {
        self.random.random_range(1..=self.shop.customers())
    }

    fn reprice(&mut self) -> Result<u64, StoreError> {
        let product = self.product();
        let (price, list_price) = price(&mut self.random);
        let now = self.now();
        run(
            &mut self.pricing,
            "UPDATE prices SET price_cents = ?2, list_price_cents = ?3, valid_from = ?4 WHERE product_id = ?1",
            &values![product, price, list_price, now],
        )
    }

    fn move_stock(&mut self) -> Result<u64, StoreError> {
        let product = self.product();
        let warehouse = self.random.random_range(1..=WAREHOUSES);
        let quantity = self.random.random_range(0..150);
        match self.random.random_range(0..100) {
            // A delivery, perhaps to a warehouse that had none.
            0..8 => run(
                &mut self.inventory,
                "INSERT INTO stock VALUES (?1, ?2, ?3)
                 ON CONFLICT (product_id, warehouse_id) DO UPDATE SET quantity = quantity + excluded.quantity",
                &values![product, warehouse, quantity],
            ),
            // A warehouse gives the product up.
            8..11 => run(
                &mut self.inventory,
                "DELETE FROM stock WHERE product_id = ?1 AND warehouse_id = ?2",
                &values![product, warehouse],
            ),
            // A count of the shelf.
            11..40 => run(
                &mut self.inventory,
                "UPDATE stock SET quantity = ?2 WHERE product_id = ?1
                 AND warehouse_id = (SELECT max(warehouse_id) FROM stock WHERE product_id = ?1)",
                &values![product, quantity],
            ),
            // A sale.
            _ => run(
                &mut self.inventory,
                "UPDATE stock SET quantity = quantity - 1 WHERE product_id = ?1 AND quantity > 0
                 AND warehouse_id = (SELECT warehouse_id FROM stock WHERE product_id = ?1
                                     ORDER BY quantity DESC, warehouse_id LIMIT 1)",
                &values![product],
            ),
        }
    }

    fn review(&mut self) -> Result<u64, StoreError> {
        let (rating, title) = opinion(&mut self.random);
        let title = title.map(str::to_owned);
        let earlier = self.random.random_range(1..self.next_review.max(2));
        match self.random.random_range(0..100) {
            0..80 => {
                let (id, product, customer, now) = (self.next_review, self.product(), self.customer(), self.now());
                self.next_review += 1;
                run(
                    &mut self.reviews,
                    "INSERT INTO reviews VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    &values![id, product, customer, rating, title, now],
                )
            }
            80..95 => run(
                &mut self.reviews,
                "UPDATE reviews SET rating = ?2, title = ?3 WHERE id = ?1",
                &values![earlier, rating, title],
            ),
            _ => run(&mut self.reviews, "DELETE FROM reviews WHERE id = ?1", &values![earlier]),
        }
    }

    fn change_product(&mut self) -> Result<u64, StoreError> {
        let product = self.product();
        match self.random.random_range(0..100) {
            0..70 => {
                let category = self.shop.category_of(product);
                let name = names::product(product, category, self.random.random_range(1..10));
                run(&mut self.catalog, "UPDATE products SET name = ?2 WHERE id = ?1", &values![product, name])
            }
            70..85 => {
                let brand = self.random.random_range(1..=self.shop.brands());
                run(&mut self.catalog, "UPDATE products SET brand_id = ?2 WHERE id = ?1", &values![product, brand])
            }
            85..97 => self.list_product(),
            // What goes is not what everybody buys.
            _ => {
                let product = self.random.random_range(1..=self.shop.products() - RESERVED_PRODUCTS);
                let gone = run(&mut self.catalog, "DELETE FROM products WHERE id = ?1", &values![product])?;
                Ok(gone + run(&mut self.pricing, "DELETE FROM prices WHERE product_id = ?1", &values![product])?)
            }
        }
    }

    /// A new product: three services hear of it, each in its own transaction.
    fn list_product(&mut self) -> Result<u64, StoreError> {
        let id = self.next_product;
        self.next_product += 1;
        let category = self.shop.category_of(id);
        let brand = self.random.random_range(1..=self.shop.brands());
        let (price, list_price) = price(&mut self.random);
        let warehouse = self.random.random_range(1..=WAREHOUSES);
        let now = self.now();
        let listed = run(
            &mut self.catalog,
            "INSERT INTO products VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6)",
            &values![id, names::sku(id), names::product(id, category, 0), brand, category, now],
        )?;
        let insert_price = "INSERT INTO prices VALUES (?1, ?2, ?3, ?4)";
        let priced = run(&mut self.pricing, insert_price, &values![id, price, list_price, now])?;
        let stocked = run(&mut self.inventory, "INSERT INTO stock VALUES (?1, ?2, 25)", &values![id, warehouse])?;
        Ok(listed + priced + stocked)
    }

    /// A new order with its lines in one transaction, or the next step of an older one.
    fn order(&mut self) -> Result<u64, StoreError> {
        if self.random.random_bool(0.3) {
            let order = self.random.random_range(1..self.next_order.max(2));
            return run(&mut self.orders, "UPDATE orders SET status = 'returned' WHERE id = ?1", &values![order]);
        }
        let (id, customer, now) = (self.next_order, self.customer(), self.now());
        self.next_order += 1;
        let lines: Vec<(i64, i64, i64)> = (0..self.random.random_range(1..=3))
            .map(|_| (self.product(), self.random.random_range(1..=3), price(&mut self.random).0))
            .collect();
        let placed = values![id, customer, now];
        let lines: Vec<_> = (1i64..)
            .zip(lines)
            .map(|(line, (product, quantity, price))| values![id, line, product, quantity, price])
            .collect();
        let mut statements = vec![("INSERT INTO orders VALUES (?1, ?2, 'placed', ?3)", &placed[..])];
        statements.extend(lines.iter().map(|it| ("INSERT INTO order_items VALUES (?1, ?2, ?3, ?4, ?5)", &it[..])));
        self.orders.run(&statements)
    }
}

fn run(store: &mut Box<dyn Store>, statement: &str, values: &[Value]) -> Result<u64, StoreError> {
    store.run(&[(statement, values)])
}

#[cfg(test)]
mod tests {
    use super::super::seed::seed;
    use super::*;

    #[test]
    fn writes_the_same_changes_for_the_same_seed_and_spares_the_reserved() {
        let dump = |changes: u64| {
            let directory = tempfile::tempdir().unwrap();
            std::fs::create_dir(directory.path().join("services")).unwrap();
            let shop = Shop::new(directory.path(), 1000, 1);
            seed(&shop, &|_| true).unwrap();
            let mut writer = Writer::open(&shop, 2).unwrap();
            (0..changes).for_each(|_| writer.change().unwrap());
            let pricing = shop.open(Service::Pricing).unwrap();
            let sum = |from: i64, to: i64| -> i64 {
                let query = "SELECT sum(price_cents * product_id) FROM prices WHERE product_id BETWEEN ?1 AND ?2";
                pricing.query_row(query, [from, to], |row| row.get(0)).unwrap()
            };
            let reserved = 1000 - RESERVED_PRODUCTS;
            (writer.written(), sum(1, reserved), sum(reserved + 1, 1000))
        };
        let (before, after) = (dump(0), dump(2000));
        assert_eq!(after, dump(2000));
        assert!(after.0.rows > 1500, "{:?}", after.0);
        assert_ne!(before.1, after.1);
        assert_eq!(before.2, after.2);
    }

    #[test]
    fn keeps_its_rate_and_stops() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("services")).unwrap();
        let shop = Shop::new(directory.path(), 1000, 1);
        seed(&shop, &|_| true).unwrap();
        let traffic = Traffic::start(&shop, 200.0, 3).unwrap();
        thread::sleep(Duration::from_millis(300));
        let written = traffic.stop().unwrap();
        assert!(written.changes > 0);
        assert!(written.changes as f64 <= written.seconds * 200.0 + 1.0, "{written:?}");
    }
}
