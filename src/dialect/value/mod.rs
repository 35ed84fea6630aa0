//! Values as PostgreSQL reads, writes and computes with them: one kind of value a file, nothing of Arrow or plans.

pub(super) mod age;
pub(super) mod bytes;
pub(super) mod calendar;
pub(super) mod interval;
pub(super) mod moment;
pub(super) mod number;
pub(super) mod part;
pub(super) mod pattern;
mod pattern_syntax;
pub(super) mod truncate;
pub(super) mod unit;
pub(super) mod zone;

/// Why there is no value, in PostgreSQL's words where it has some.
pub(super) type Failure = String;
