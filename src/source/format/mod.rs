//! What events carry, whatever brought them: bytes in, rows out, no transport.
//!
//! `encoding` tells how a field carries its column's value, once for a column; `value` reads the values.

// Nothing reads events yet.
#![allow(dead_code)]

pub(crate) mod encoding;
pub(crate) mod value;
