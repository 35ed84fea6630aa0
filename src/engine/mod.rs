//! The epoch loop that ties sources, dataflow and store together, and the embedding API around it.
//!
//! [`Engine`] runs everything on threads of its own; [`Core`] is the same machine without threads, stepped by hand
//! (tests, benchmarks). An epoch is: batches from the sources → one dataflow step → one commit → published.

mod core;
mod coverage;
mod index;
mod listing;
mod memory;
mod options;
mod outline;
mod recover;
mod registry;
mod report;
mod resnapshot;
mod revise;
mod run;
mod view;

#[cfg(test)]
mod tests;

pub use self::core::{Core, Times};
pub use listing::Listing;
pub use options::{EngineError, EngineOptions};
pub use outline::{Outline, plan_directory};
pub use run::{Engine, Reload, plan_views};
pub use view::View;
