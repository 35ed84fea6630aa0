//! The traffic: what the five services write all day, through plain SQLite connections, one transaction a change.
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
use rusqlite::{Connection, Params, params};

use super::names;
use super::seed::{SEED_DAY, WAREHOUSES, opinion, price};
use super::shop::{RESERVED_PRODUCTS, Service, Shop};
use super::skew::Skew;

/// A running writer.
#[derive(Debug)]
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Written, rusqlite::Error>>,
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
    pub fn start(shop: &Shop, rate: f64, seed: u64) -> Result<Traffic, rusqlite::Error> {
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
    pub fn stop(self) -> Result<Written, rusqlite::Error> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The services' writing side.
#[derive(Debug)]
pub struct Writer {
    catalog: Connection,
    pricing: Connection,
    inventory: Connection,
    reviews: Connection,
    orders: Connection,
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
    pub fn open(shop: &Shop, seed: u64) -> Result<Writer, rusqlite::Error> {
        let [catalog, pricing, inventory, reviews, orders] = [
            shop.open(Service::Catalog)?,
            shop.open(Service::Pricing)?,
            shop.open(Service::Inventory)?,
            shop.open(Service::Reviews)?,
            shop.open(Service::Orders)?,
        ];
        // Prices outlive discontinued products, and no id is used twice.
        let next = |connection: &Connection, query| connection.query_row(query, [], |row| row.get::<_, i64>(0));
        let next_product = next(&pricing, "SELECT max(product_id) + 1 FROM prices")?
            .max(next(&catalog, "SELECT max(id) + 1 FROM products")?);
        let next_review = next(&reviews, "SELECT coalesce(max(id), 0) + 1 FROM reviews")?;
        let next_order = next(&orders, "SELECT coalesce(max(id), 0) + 1 FROM orders")?;
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
    pub fn change(&mut self) -> Result<(), rusqlite::Error> {
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

    fn reprice(&mut self) -> Result<u64, rusqlite::Error> {
        let product = self.product();
        let (price, list_price) = price(&mut self.random);
        run(
            &self.pricing,
            "UPDATE prices SET price_cents = ?2, list_price_cents = ?3, valid_from = ?4 WHERE product_id = ?1",
            params![product, price, list_price, self.now()],
        )
    }

    fn move_stock(&mut self) -> Result<u64, rusqlite::Error> {
        let product = self.product();
        let warehouse = self.random.random_range(1..=WAREHOUSES);
        let quantity = self.random.random_range(0..150);
        match self.random.random_range(0..100) {
            // A delivery, perhaps to a warehouse that had none.
            0..8 => run(
                &self.inventory,
                "INSERT INTO stock VALUES (?1, ?2, ?3)
                 ON CONFLICT (product_id, warehouse_id) DO UPDATE SET quantity = quantity + excluded.quantity",
                params![product, warehouse, quantity],
            ),
            // A warehouse gives the product up.
            8..11 => run(
                &self.inventory,
                "DELETE FROM stock WHERE product_id = ?1 AND warehouse_id = ?2",
                params![product, warehouse],
            ),
            // A count of the shelf.
            11..40 => run(
                &self.inventory,
                "UPDATE stock SET quantity = ?2 WHERE product_id = ?1
                 AND warehouse_id = (SELECT max(warehouse_id) FROM stock WHERE product_id = ?1)",
                params![product, quantity],
            ),
            // A sale.
            _ => run(
                &self.inventory,
                "UPDATE stock SET quantity = quantity - 1 WHERE product_id = ?1 AND quantity > 0
                 AND warehouse_id = (SELECT warehouse_id FROM stock WHERE product_id = ?1
                                     ORDER BY quantity DESC, warehouse_id LIMIT 1)",
                params![product],
            ),
        }
    }

    fn review(&mut self) -> Result<u64, rusqlite::Error> {
        let (rating, title) = opinion(&mut self.random);
        let earlier = self.random.random_range(1..self.next_review.max(2));
        match self.random.random_range(0..100) {
            0..80 => {
                let (id, product, customer) = (self.next_review, self.product(), self.customer());
                self.next_review += 1;
                run(
                    &self.reviews,
                    "INSERT INTO reviews VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![id, product, customer, rating, title, self.now()],
                )
            }
            80..95 => run(
                &self.reviews,
                "UPDATE reviews SET rating = ?2, title = ?3 WHERE id = ?1",
                params![earlier, rating, title],
            ),
            _ => run(&self.reviews, "DELETE FROM reviews WHERE id = ?1", params![earlier]),
        }
    }

    fn change_product(&mut self) -> Result<u64, rusqlite::Error> {
        let product = self.product();
        match self.random.random_range(0..100) {
            0..70 => {
                let category = self.shop.category_of(product);
                let name = names::product(product, category, self.random.random_range(1..10));
                run(&self.catalog, "UPDATE products SET name = ?2 WHERE id = ?1", params![product, name])
            }
            70..85 => {
                let brand = self.random.random_range(1..=self.shop.brands());
                run(&self.catalog, "UPDATE products SET brand_id = ?2 WHERE id = ?1", params![product, brand])
            }
            85..97 => self.list_product(),
            // What goes is not what everybody buys.
            _ => {
                let product = self.random.random_range(1..=self.shop.products() - RESERVED_PRODUCTS);
                let gone = run(&self.catalog, "DELETE FROM products WHERE id = ?1", params![product])?;
                Ok(gone + run(&self.pricing, "DELETE FROM prices WHERE product_id = ?1", params![product])?)
            }
        }
    }

    /// A new product: three services hear of it, each in its own transaction.
    fn list_product(&mut self) -> Result<u64, rusqlite::Error> {
        let id = self.next_product;
        self.next_product += 1;
        let category = self.shop.category_of(id);
        let brand = self.random.random_range(1..=self.shop.brands());
        let (price, list_price) = price(&mut self.random);
        let warehouse = self.random.random_range(1..=WAREHOUSES);
        let now = self.now();
        let listed = run(
            &self.catalog,
            "INSERT INTO products VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6)",
            params![id, names::sku(id), names::product(id, category, 0), brand, category, now],
        )?;
        let insert_price = "INSERT INTO prices VALUES (?1, ?2, ?3, ?4)";
        let priced = run(&self.pricing, insert_price, params![id, price, list_price, now])?;
        let stocked = run(&self.inventory, "INSERT INTO stock VALUES (?1, ?2, 25)", params![id, warehouse])?;
        Ok(listed + priced + stocked)
    }

    /// A new order with its lines in one transaction, or the next step of an older one.
    fn order(&mut self) -> Result<u64, rusqlite::Error> {
        if self.random.random_bool(0.3) {
            let order = self.random.random_range(1..self.next_order.max(2));
            return run(&self.orders, "UPDATE orders SET status = 'returned' WHERE id = ?1", params![order]);
        }
        let (id, customer, now) = (self.next_order, self.customer(), self.now());
        self.next_order += 1;
        let lines: Vec<(i64, i64, i64)> = (0..self.random.random_range(1..=3))
            .map(|_| (self.product(), self.random.random_range(1..=3), price(&mut self.random).0))
            .collect();
        let transaction = self.orders.transaction()?;
        let mut rows =
            run(&transaction, "INSERT INTO orders VALUES (?1, ?2, 'placed', ?3)", params![id, customer, now])?;
        for (line, (product, quantity, price)) in (1i64..).zip(lines) {
            let insert = "INSERT INTO order_items VALUES (?1, ?2, ?3, ?4, ?5)";
            rows += run(&transaction, insert, params![id, line, product, quantity, price])?;
        }
        transaction.commit()?;
        Ok(rows)
    }
}

fn run(connection: &Connection, statement: &str, parameters: impl Params) -> Result<u64, rusqlite::Error> {
    Ok(connection.prepare_cached(statement)?.execute(parameters)? as u64)
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
