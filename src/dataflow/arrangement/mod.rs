//! Arrangements: the rows of a relation in memory, found by key, by some columns, or in key order.
//!
//! Within an epoch a relation is seen twice: *new*, with this epoch's deltas, and *old*, without them. The rows kept
//! are the new ones; what an epoch changed is remembered beside them until it ends, and only where somebody asks.

mod hashed;
mod index;
mod ordered;

pub(crate) use hashed::{Hashed, NOT_FOUND, PROBES, Side};
pub(crate) use ordered::Ordered;
