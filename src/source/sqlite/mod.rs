//! SQLite files that other processes write: captured by triggers, copied once, then followed through a log of keys.
//!
//! The triggers say which keys were touched, never what the rows were. The reader looks those keys up again in the
//! read transaction that told it how long the log is, so what it yields is always one committed state of the file.

pub mod capture;
mod collation;
mod connect;
mod error;
mod fault;
mod fit;
mod index;
mod keys;
mod kind;
mod layout;
mod log;
mod reader;
mod run;
mod sample;
mod schema;
mod shape;
mod snapshot;
mod stream;
mod triggers;
mod types;
mod value;
mod watch;

#[cfg(test)]
mod tests;

pub(super) use kind::KIND;
pub use kind::{open_file, path_of};
