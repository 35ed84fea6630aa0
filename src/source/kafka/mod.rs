//! Apache Kafka: topics that other services write, each the log of one or more tables.
//!
//! One consumer a source, with an explicit assignment and offsets of our own: they are part of the epoch that holds what
//! was read up to them, so nothing is lost or read twice, and no consumer group is joined. A table is first read from the
//! beginning of its topic to the end it has at the start, as a copy, and followed from there.
//!
//! A place in a partition is the offset of the last message that was read. That is what a producer is told when it has
//! written, so the answer to a write is a read token as it stands.

mod assignment;
mod client;
mod fault;
mod holding;
mod kind;
mod options;
mod places;
mod reading;
mod run;
mod session;
mod telling;
mod topic;
mod watch;
mod whole;

pub(super) use kind::KIND;
