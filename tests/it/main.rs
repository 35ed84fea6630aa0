//! All integration tests in one binary, because linking is slow.

mod attack;
mod cli;
mod crash;
mod dialect;
mod differential;
mod embedded;
mod errors;
mod faults;
mod functions;
#[cfg(feature = "kafka")]
mod kafka;
mod messages;
mod oracle;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(all(feature = "kafka", feature = "postgres"))]
mod real;
mod schemas;
mod slope;
mod support;
