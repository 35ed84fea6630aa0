//! Kafka as a source, against librdkafka's own mock of a cluster: no server is needed, and faults come when they are
//! asked for.

mod faults;
mod random;
mod registry;
mod speed;
mod stand;
mod stream;
mod transactions;
