//! The readers: visitors who look at product cards while the services write, in this process and over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::runtime::Handle;

use super::client::{Client, ClientError};
use super::latency::Latencies;
use super::shop::Shop;
use super::skew::Skew;
use crate::change::Datum;
use crate::engine::{Engine, EngineError};

/// Time between two reads of one visitor, so that reading does not starve what is measured.
const PAUSE: Duration = Duration::from_millis(1);

/// Why a visitor could not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// In this process.
    #[error("product_card could not be read: {0}")]
    Engine(#[from] EngineError),
    /// Over HTTP.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The view is not served.
    #[error("product_card is not served")]
    NoView,
}

/// Running visitors.
#[derive(Debug)]
pub struct Readers {
    stop: Arc<AtomicBool>,
    in_process: JoinHandle<Result<Latencies, ReadError>>,
    http: JoinHandle<Result<Latencies, ReadError>>,
}

/// How long the visitors' reads took.
#[derive(Debug, Default)]
pub struct ReadTimes {
    /// By function call.
    pub in_process: Latencies,
    /// By `GET /v1/views/product_card/{id}` on a kept-alive connection.
    pub http: Latencies,
}

impl Readers {
    /// Starts one visitor of each kind.
    pub fn start(
        shop: &Shop,
        engine: &Engine,
        address: SocketAddr,
        token: Option<String>,
        runtime: &Handle,
    ) -> Result<Readers, ReadError> {
        let stop = Arc::new(AtomicBool::new(false));
        let card = engine.view("product_card").ok_or(ReadError::NoView)?;
        let popular = Skew::new(shop.products());
        let stopped = Arc::clone(&stop);
        let in_process = thread::spawn(move || {
            let (mut random, mut times) = (SmallRng::seed_from_u64(1), Latencies::new());
            while !stopped.load(Ordering::Acquire) {
                let product = popular.sample(&mut random);
                let start = Instant::now();
                card.get(&[Datum::Int(product)])?;
                times.push(start.elapsed());
                thread::sleep(PAUSE);
            }
            Ok(times)
        });
        let (stopped, runtime) = (Arc::clone(&stop), runtime.clone());
        let http = thread::spawn(move || {
            runtime.block_on(async {
                let (mut random, mut times) = (SmallRng::seed_from_u64(2), Latencies::new());
                let mut client = Client::connect(address, token.as_deref()).await?;
                while !stopped.load(Ordering::Acquire) {
                    let path = format!("/v1/views/product_card/{}", popular.sample(&mut random));
                    let start = Instant::now();
                    client.get(&path).await?;
                    times.push(start.elapsed());
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(times)
            })
        });
        Ok(Readers { stop, in_process, http })
    }

    /// Stops the visitors.
    pub fn stop(self) -> Result<ReadTimes, ReadError> {
        self.stop.store(true, Ordering::Release);
        let join = |thread: JoinHandle<Result<Latencies, ReadError>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        Ok(ReadTimes { in_process: join(self.in_process)?, http: join(self.http)? })
    }
}
