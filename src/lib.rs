//! Vantage keeps SQL views over many services' data incrementally up to date, in the process that serves them.

pub mod change;
pub mod catalog;
pub mod source;
pub mod plan;
pub mod store;
pub mod dataflow;
pub mod engine;
pub mod serve;
