//! RocksDB underneath, published epochs on top: what the engine commits and what readers see.

mod board;
mod epoch;

pub use board::{Board, RelationState, SourceStatus};
pub use epoch::{Epoch, KeyRange, StoreError};
