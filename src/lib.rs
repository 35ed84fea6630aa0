//! Vantage keeps SQL views over many services' data incrementally up to date, in the process that serves them.

pub mod catalog;
pub mod change;
pub mod dataflow;
pub mod engine;
pub mod plan;
pub mod serve;
pub mod source;
pub mod store;
