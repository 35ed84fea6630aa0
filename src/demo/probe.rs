//! The probe: how long after a commit in a service a read shows it.
//!
//! It owns the reserved products. Each time it gives one of them a price nothing ever had, and reads the card by key,
//! once at first and then after every published epoch, until the price is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::latency::Latencies;
use super::shop::{RESERVED_PRODUCTS, Service, Shop};
use super::store::{StoreError, values};
use crate::change::Datum;
use crate::engine::{Engine, EngineError};

/// Time between two probes.
const PAUSE: Duration = Duration::from_millis(10);

/// A change that is not visible by then is reported as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// The last reserved product is left to the person who tries the demo.
const PROBED_PRODUCTS: i64 = RESERVED_PRODUCTS - 1;

/// Prices above this are the probe's own.
const FIRST_PRICE: i64 = 1_000_000_000;

/// Why freshness could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The service's store could not be written.
    #[error("the pricing service could not be written: {0}")]
    Store(#[from] StoreError),
    /// The view could not be read.
    #[error("product_card could not be read: {0}")]
    Engine(#[from] EngineError),
    /// The view or its column is not served.
    #[error("product_card with a column price_cents is not served")]
    NoView,
    /// The change did not show.
    #[error("product {product} got the price {price}, and product_card does not show it after {PATIENCE:?}")]
    Lost {
        /// The product.
        product: i64,
        /// Its price.
        price: i64,
    },
}

/// A running probe.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Latencies, ProbeError>>,
}

impl Probe {
    /// Starts to measure.
    pub fn start(shop: &Shop, engine: &Engine, runtime: &Handle) -> Result<Probe, ProbeError> {
        let mut pricing = shop.store(Service::Pricing)?;
        let card = engine.view("product_card").ok_or(ProbeError::NoView)?;
        if card.relation().schema.index_of("price_cents").is_none() {
            return Err(ProbeError::NoView);
        }
        let first = shop.products() - RESERVED_PRODUCTS + 1;
        let highest = format!("SELECT coalesce(max(price_cents), 0) FROM prices WHERE product_id >= {first}");
        let mut price = pricing.number(&highest)?.max(FIRST_PRICE);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, runtime, mut published) = (Arc::clone(&stop), runtime.clone(), engine.board().subscribe());
        let thread = thread::spawn(move || {
            let update = "UPDATE prices SET price_cents = ?2 WHERE product_id = ?1";
            let mut freshness = Latencies::new();
            while !stopped.load(Ordering::Acquire) {
                price += 1;
                let product = first + price % PROBED_PRODUCTS;
                pricing.run(&[(update, &values![product, price])])?;
                let committed = Instant::now();
                loop {
                    published.borrow_and_update();
                    let row = card.get(&[Datum::Int(product)])?;
                    if row.is_some_and(|row| card.cell(&row, "price_cents") == Some(Datum::Int(price))) {
                        break;
                    }
                    let left = PATIENCE.saturating_sub(committed.elapsed());
                    let next = runtime.block_on(async { tokio::time::timeout(left, published.changed()).await });
                    if !matches!(next, Ok(Ok(()))) {
                        return Err(ProbeError::Lost { product, price });
                    }
                }
                freshness.push(committed.elapsed());
                thread::sleep(PAUSE);
            }
            Ok(freshness)
        });
        Ok(Probe { stop, thread })
    }

    /// Stops after the probe under way and returns the times from commit to read.
    pub fn stop(self) -> Result<Latencies, ProbeError> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
