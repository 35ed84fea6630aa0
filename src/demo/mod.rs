//! The demo: a shop of five services with live traffic, views over them, and a check that the views are right.
//!
//! The services are plain SQLite files in a temporary directory, written as their owners would write them; or, where
//! servers are named, databases and topics that are followed through Kafka ([`servers`]). What is printed at the end was
//! measured in the run; a view that differs from its query on the owners' data is an error.

pub mod shop;

mod names;

pub mod store;

pub mod servers;

pub mod skew;

pub mod seed;

pub mod files;

pub mod traffic;

pub mod latency;

pub mod probe;

pub mod client;

pub mod readers;

pub mod settle;

pub mod check;

mod progress;

mod summary;

mod stage;

mod run;

pub use progress::LogWriter;
pub use run::{DemoError, run};
pub use stage::{Stage, StageError};
pub use summary::Summary;

use std::net::SocketAddr;

use clap::builder::BoolishValueParser;

use crate::address::parse_address;

/// The options of `vantage demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// Products in the shop; each has about eight rows in five files
    #[arg(long, env = "VANTAGE_PRODUCTS", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub products: u64,
    /// Measure for this long and stop; without it, measure for ten seconds and serve until interrupted
    #[arg(long, env = "VANTAGE_SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
    /// Changes a second that the services write
    #[arg(long, env = "VANTAGE_RATE", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rate: u64,
    /// Address to listen on; anything but loopback needs a token or --insecure
    #[arg(long, env = "VANTAGE_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    pub listen: SocketAddr,
    /// Bearer token that callers must send
    #[arg(long, env = "VANTAGE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Listen beyond loopback without a token
    #[arg(long, env = "VANTAGE_INSECURE", value_parser = BoolishValueParser::new())]
    pub insecure: bool,
    /// Where the services keep their rows.
    #[command(flatten)]
    pub servers: servers::ServerOptions,
    /// Print the summary as JSON and nothing else
    #[arg(long, env = "VANTAGE_JSON", value_parser = BoolishValueParser::new())]
    pub json: bool,
}
