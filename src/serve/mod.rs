//! Read-only out: HTTP and SQL over published epochs.
//!
//! Nothing here can write: the endpoints see the status board and immutable epochs, and ad-hoc SQL passes an
//! allow-list of plan nodes and functions. Every answer names the epoch it was read from.
//!
//! | route | answer |
//! |---|---|
//! | `GET /v1/views` | what is served, with columns, keys, indexes and states |
//! | `GET /v1/sources` | how each source is doing and how far it is read |
//! | `GET /v1/schema/{view}` | one of them |
//! | `GET /v1/views/{view}?col=op.value&select=…&order=…&limit=…&cursor=…` | rows, as a JSON array |
//! | `GET /v1/views/{view}/{key}` | one row; a composite key is written with commas, each part percent-encoded |
//! | `POST /v1/views/{view}/batch` | many keys in one call |
//! | `POST /v1/sql` | a query with parameters |
//! | `GET /livez`, `/readyz`, `/metrics` | health |

mod accept;
mod access;
mod batch;
mod condition;
mod describe;
mod filter;
mod format;
mod gate;
mod grammar;
mod health;
mod json;
mod list;
mod metrics;
mod options;
mod pattern;
mod percent;
mod problem;
mod read;
mod resync;
mod route;
mod router;
mod served;
mod shown;
mod snapshot;
mod socket;
mod source_metrics;
mod sources;
mod sql;
mod transit;
mod value;
mod wait;
mod walk;
mod walkers;

#[cfg(test)]
mod tests;

pub use options::{ServeError, ServeOptions, check_listen};
pub use router::serve;
