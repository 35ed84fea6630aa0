//! PostgreSQL servers, followed by logical replication: tables are copied once, then every committed transaction is read
//! from a replication slot, whole and in order.
//!
//! | file | what it knows |
//! |---|---|
//! | `kind`, `settings` | the options, and what a source of this kind can do |
//! | `session`, `tls`, `fault`, `sql` | talking to a server, what its errors mean, names and values in SQL |
//! | `server`, `publication`, `slot`, `kept` | what has to be there for changes to be read, and what it costs the server |
//! | `shape`, `asked`, `types`, `schema`, `layout` | its tables, and what is followed of them |
//! | `value`, `reader` | from values as text to rows |
//! | `snapshot`, `seen`; `stream`, `pgoutput` | the two ways in which rows come |
//! | `run`, `follow`, `pulse` | the life of a source |

mod asked;
mod fault;
mod follow;
mod kept;
mod kind;
mod layout;
mod pgoutput;
mod publication;
mod pulse;
mod reader;
mod run;
mod schema;
mod seen;
mod server;
mod session;
mod settings;
mod shape;
mod slot;
mod snapshot;
mod sql;
mod stream;
mod tls;
mod types;
mod value;

pub(super) use kind::{CDC, KIND};
