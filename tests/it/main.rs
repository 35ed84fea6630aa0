//! All integration tests in one binary, because linking is slow.

mod cli;
mod crash;
mod oracle;
mod support;
