//! The epoch loop that ties sources, dataflow and store together, and the embedding API around it.
//!
//! [`Engine`] runs everything on threads of its own; [`Core`] is the same machine without threads, stepped by hand
//! (tests, benchmarks). An epoch is: batches from the sources → one dataflow step → one commit → published.

mod core;
mod describe;
mod index;
mod listing;
mod options;
mod recover;
mod report;
mod resnapshot;
mod run;
mod view;

#[cfg(test)]
mod tests;

pub use self::core::{Core, Times};
pub use listing::Listing;
pub use options::{EngineError, EngineOptions};
pub use run::{Engine, plan_directory, plan_views};
pub use view::View;
