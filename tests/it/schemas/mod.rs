//! SQLite files as applications make them: every table is captured, every value they write is read, rows are found by
//! their keys, and all of it stays so while they write on.

mod applications;
mod compare;
mod generated;
mod input;
mod kinds;
