//! A journal and RocksDB underneath, published epochs on top: what the engine commits and what readers see.
//!
//! ```text
//! Commit ─▶ journal entry ─▶ run ─▶ Epoch { runs, base, positions } ─▶ Board ─▶ readers
//!                              └──── checkpoint: frozen runs ─▶ one sorted file ─▶ base, journal trimmed
//! ```

mod arena;
mod base;
mod board;
mod checkpoint;
mod checksum;
mod commit;
mod database;
mod directory;
mod durability;
mod epoch;
mod error;
mod filter;
mod journal;
mod log;
mod meta;
mod opening;
mod range;
mod recovery;
mod run;
mod scan;
mod stats;
#[cfg(test)]
mod tests;

pub use board::{Board, RelationState, SharedState, SourceStatus, Unplanned};
pub use commit::Store;
pub use database::StoreOptions;
pub use durability::Syncer;
pub use epoch::{Epoch, Positions};
pub use error::StoreError;
pub use journal::Commit;
pub use range::KeyRange;
pub use stats::StoreStats;
