//! Fills the five files: the same shop for the same seed, about eight rows a product.
//!
//! Each service is filled by a thread of its own, without a journal and in key order; the file is then put into WAL
//! mode, as its service would run it.

use std::thread;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, Params, params};

use super::names;
use super::shop::{Service, Shop};
use super::skew::Skew;

/// The day the seed pretends to be: 2026-01-01, in unix seconds.
pub(super) const SEED_DAY: i64 = 1_767_225_600;

/// There are this many warehouses.
pub(super) const WAREHOUSES: i64 = 8;

const SECONDS_PER_YEAR: i64 = 31_536_000;

/// Rows are reported to the progress callback in steps of this many.
const PROGRESS_STEP: u64 = 10_000;

/// Makes and fills the files; returns how many rows they hold. `progress` is told how many rows were added, from
/// several threads, and says whether to go on.
pub fn seed(shop: &Shop, progress: &(dyn Fn(u64) -> bool + Sync)) -> Result<u64, rusqlite::Error> {
    thread::scope(|scope| {
        let threads = Service::ALL.map(|service| scope.spawn(move || fill(shop, service, progress)));
        threads.into_iter().try_fold(0, |rows, thread| {
            let filled = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok(rows + filled?)
        })
    })
}

/// About how many rows a shop of this size has, for progress.
pub fn expected_rows(shop: &Shop) -> u64 {
    u64::try_from(shop.products() * 8).unwrap_or(0)
}

fn fill(shop: &Shop, service: Service, progress: &(dyn Fn(u64) -> bool + Sync)) -> Result<u64, rusqlite::Error> {
    let mut connection = Connection::open(shop.path(service))?;
    connection.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -65536;",
    )?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(service.tables())?;
    let random = SmallRng::seed_from_u64(shop.seed() ^ (service as u64 + 1));
    let mut filler = Filler { shop, connection: &transaction, random, rows: 0, progress };
    match service {
        Service::Catalog => filler.catalog()?,
        Service::Pricing => filler.pricing()?,
        Service::Inventory => filler.inventory()?,
        Service::Reviews => filler.reviews()?,
        Service::Orders => filler.orders()?,
    }
    let rows = filler.rows;
    filler.report(rows % PROGRESS_STEP)?;
    transaction.execute_batch(service.indexes())?;
    transaction.commit()?;
    connection.execute_batch("PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL;")?;
    Ok(rows)
}

struct Filler<'a> {
    shop: &'a Shop,
    connection: &'a Connection,
    random: SmallRng,
    rows: u64,
    progress: &'a (dyn Fn(u64) -> bool + Sync),
}

impl Filler<'_> {
    fn insert(&mut self, statement: &mut rusqlite::Statement<'_>, row: impl Params) -> Result<(), rusqlite::Error> {
        statement.execute(row)?;
        self.rows += 1;
        if self.rows.is_multiple_of(PROGRESS_STEP) { self.report(PROGRESS_STEP) } else { Ok(()) }
    }

    /// Ends as an interrupted statement does when it shall not go on.
    fn report(&self, rows: u64) -> Result<(), rusqlite::Error> {
        let interrupted = || rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
        (self.progress)(rows).then_some(()).ok_or_else(|| rusqlite::Error::SqliteFailure(interrupted(), None))
    }

    /// A moment in the year before the seed's day.
    fn moment(&mut self) -> i64 {
        SEED_DAY - self.random.random_range(0..SECONDS_PER_YEAR)
    }

    fn catalog(&mut self) -> Result<(), rusqlite::Error> {
        let mut categories = self.connection.prepare("INSERT INTO categories VALUES (?1, ?2)")?;
        for id in 1..=self.shop.categories() {
            self.insert(&mut categories, params![id, names::category(id)])?;
        }
        let mut brands = self.connection.prepare("INSERT INTO brands VALUES (?1, ?2, ?3)")?;
        for id in 1..=self.shop.brands() {
            self.insert(&mut brands, params![id, names::brand(id), names::country(id)])?;
        }
        let mut products = self.connection.prepare("INSERT INTO products VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        for id in 1..=self.shop.products() {
            let category = self.shop.category_of(id);
            let brand = self.random.random_range(1..=self.shop.brands());
            let weight = self.random.random_bool(0.9).then(|| self.random.random_range(50..20_000));
            let listed = self.moment();
            let row = params![id, names::sku(id), names::product(id, category, 0), brand, category, weight, listed];
            self.insert(&mut products, row)?;
        }
        Ok(())
    }

    fn pricing(&mut self) -> Result<(), rusqlite::Error> {
        let mut prices = self.connection.prepare("INSERT INTO prices VALUES (?1, ?2, ?3, ?4)")?;
        for id in 1..=self.shop.products() {
            let (price, list_price) = price(&mut self.random);
            let valid_from = self.moment();
            self.insert(&mut prices, params![id, price, list_price, valid_from])?;
        }
        Ok(())
    }

    fn inventory(&mut self) -> Result<(), rusqlite::Error> {
        let mut stock = self.connection.prepare("INSERT INTO stock VALUES (?1, ?2, ?3)")?;
        for id in 1..=self.shop.products() {
            // One to three neighbouring warehouses; two products in a hundred are nearly sold out.
            let first = self.random.random_range(1..=WAREHOUSES - 2);
            let last = first + self.random.random_range(0..3);
            let most = if self.random.random_bool(0.02) { 5 } else { 200 };
            for warehouse in first..=last {
                let quantity = self.random.random_range(0..most);
                self.insert(&mut stock, params![id, warehouse, quantity])?;
            }
        }
        Ok(())
    }

    fn reviews(&mut self) -> Result<(), rusqlite::Error> {
        let mut reviews = self.connection.prepare("INSERT INTO reviews VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        let mut id = 0;
        for product in 1..=self.shop.products() {
            // Exponentially distributed with a mean of three.
            let uniform: f64 = self.random.random();
            let count = ((-3.476 * (1.0 - uniform).ln()) as i64).min(40);
            for _ in 0..count {
                id += 1;
                let customer = self.random.random_range(1..=self.shop.customers());
                let (rating, title) = opinion(&mut self.random);
                let written = self.moment();
                self.insert(&mut reviews, params![id, product, customer, rating, title, written])?;
            }
        }
        Ok(())
    }

    fn orders(&mut self) -> Result<(), rusqlite::Error> {
        let mut customers = self.connection.prepare("INSERT INTO customers VALUES (?1, ?2, ?3)")?;
        for id in 1..=self.shop.customers() {
            self.insert(&mut customers, params![id, names::customer(id), names::city(id)])?;
        }
        let popular = Skew::new(self.shop.products());
        let mut orders = self.connection.prepare("INSERT INTO orders VALUES (?1, ?2, ?3, ?4)")?;
        let mut items = self.connection.prepare("INSERT INTO order_items VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for id in 1..=self.shop.orders() {
            let customer = self.random.random_range(1..=self.shop.customers());
            let placed = self.moment();
            self.insert(&mut orders, params![id, customer, "shipped", placed])?;
            for line in 1..=self.random.random_range(1..=5) {
                // Half of the sales follow the skew: every category has bestsellers and a long tail.
                let product = match self.random.random_bool(0.5) {
                    true => popular.sample(&mut self.random),
                    false => self.random.random_range(1..=self.shop.products()),
                };
                let quantity = self.random.random_range(1..=3);
                let (unit_price, _) = price(&mut self.random);
                self.insert(&mut items, params![id, line, product, quantity, unit_price])?;
            }
        }
        Ok(())
    }
}

/// A price in cents that ends on 9, and sometimes the higher one it is struck from.
pub(super) fn price(random: &mut SmallRng) -> (i64, Option<i64>) {
    let price = random.random_range(20..5000) * 10 + 9;
    let list_price = random.random_bool(0.2).then(|| price + 10 * random.random_range(10..500));
    (price, list_price)
}

/// One to five stars, mostly kind, and sometimes a title.
pub(super) fn opinion(random: &mut SmallRng) -> (i64, Option<&'static str>) {
    const STARS: [i64; 10] = [1, 2, 3, 3, 4, 4, 4, 5, 5, 5];
    let rating = STARS[random.random_range(0..STARS.len())];
    let title = random.random_bool(0.5).then(|| names::title(random.random_range(0..64)));
    (rating, title)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn count(shop: &Shop, service: Service, query: &str) -> i64 {
        shop.open(service).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_shop_is_complete_and_the_same_for_the_same_seed() {
        let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut sums = Vec::new();
        for directory in &directories {
            std::fs::create_dir(directory.path().join("services")).unwrap();
            let shop = Shop::new(directory.path(), 2000, 7);
            let reported = AtomicU64::new(0);
            let rows = seed(&shop, &|added| reported.fetch_add(added, Ordering::Relaxed) < u64::MAX).unwrap();
            assert_eq!(rows, reported.load(Ordering::Relaxed));
            assert!((14_000..18_000).contains(&rows), "{rows}");
            assert_eq!(count(&shop, Service::Catalog, "SELECT count(*) FROM products"), 2000);
            assert_eq!(count(&shop, Service::Catalog, "SELECT count(DISTINCT category_id) FROM products"), 4);
            assert!(count(&shop, Service::Inventory, "SELECT count(*) FROM stock") > 3500);
            let mode: String =
                shop.open(Service::Reviews).unwrap().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
            sums.push([
                count(&shop, Service::Reviews, "SELECT sum(rating * id) FROM reviews"),
                count(&shop, Service::Pricing, "SELECT sum(price_cents * product_id) FROM prices"),
                count(&shop, Service::Orders, "SELECT sum(product_id * quantity * order_id) FROM order_items"),
            ]);
        }
        assert_eq!(sums[0], sums[1]);
    }
}
