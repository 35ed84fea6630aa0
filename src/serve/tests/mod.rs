//! The endpoints over a real listener: bytes out, bytes in.

mod fixture;
mod health;
mod hostile;
mod rows;
mod sql;
