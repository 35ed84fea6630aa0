//! Real servers: Apache Kafka, Kafka Connect with Debezium's connectors, PostgreSQL and MariaDB, and Vantage over them.
//!
//! `make test-real` gets what they need and runs these tests; without it they are ignored. `JARS` names the folder that
//! `deploy/real/jars.sh` has filled.

mod compose;
mod examples;
mod kills;
mod owners;
mod servers;
mod topics;
