//! The source against real files: after each step, what it told must equal what the file holds.

mod applications;
mod faults;
mod harness;
mod menu;
mod random;
mod tables;
mod unique;
mod writers;
