//! Avro, in which a message is nothing but values one after the other: the schema it was written with says what they are.
//!
//! Each message is read by the schema of its writer, and columns are taken by name. So fields may come, go and change
//! places; a type that changes is read as far as the declared type of the column takes it.
//!
//! Schemas and data are read here and not by a library: what a value means stands beside its type, as Kafka Connect writes
//! it (`"connect.name": "io.debezium.time.MicroTimestamp"`), which parsed schemas have lost; and a value that goes into a
//! row as it stands in the message needs no tree in between.
//!
//! | file | concept |
//! |---|---|
//! | `schema` | what a schema says, with what Kafka Connect and logical types mean |
//! | `datum` | values from bytes |
//! | `nested` | arrays, maps and records as JSON |
//! | `rows` | a record as a row: which field is which column |
//! | `reader` | the keys, rows and Debezium's events of a table |

mod datum;
mod nested;
mod reader;
mod rows;
mod schema;

pub(super) use reader::{Event, Events, Keys, Values};
