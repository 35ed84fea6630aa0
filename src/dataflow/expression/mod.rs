//! Expressions at run time: scalars are interpreted row by row, calls run once an epoch over one Arrow batch.

mod call;
mod numeric;
mod program;
mod scope;

pub(crate) use call::evaluate_calls;
pub(crate) use numeric::{BIGINT_RANGE, FLOAT_OVERFLOW, INTEGER_RANGE, NUMERIC_OVERFLOW};
pub(crate) use numeric::{decimal_to_float, is_fresh, multiply_divide, rescale, scale_of};
pub(crate) use program::{Failed, RowProgram, Scratch, explained};
pub(crate) use scope::{CallResults, Input, Scope};
