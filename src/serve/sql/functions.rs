//! The functions a query may call.
//!
//! The session knows these and no others, and the guard looks at every call once more. Left out are functions that
//! tell about the machine, that are different at every call, that make much out of little (`repeat('x', 1e9)`; what
//! cannot be left out is bounded by `dialect`), that take the square of their arguments' lengths, or that only mean
//! something to DataFusion.

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use super::sum::CheckedSum;
use crate::dialect;

const SCALAR: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "ascii",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bit_length",
    "btrim",
    "cbrt",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "cos",
    "cosh",
    "cot",
    "current_date",
    "date_bin",
    "date_part",
    "date_trunc",
    "decode",
    "degrees",
    "encode",
    "ends_with",
    "exp",
    "factorial",
    "find_in_set",
    "floor",
    "from_unixtime",
    "gcd",
    "greatest",
    "initcap",
    "isnan",
    "iszero",
    "lcm",
    "least",
    "left",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_date",
    "mod",
    "nanvl",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "overlay",
    "pi",
    "power",
    "radians",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "sin",
    "sinh",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "tan",
    "tanh",
    "to_hex",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_seconds",
    "to_unixtime",
    "translate",
    "trunc",
    "upper",
    // Arrays: what looks at them; nothing that builds long ones.
    "array_append",
    "array_concat",
    "array_contains",
    "array_distinct",
    "array_element",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_length",
    "array_position",
    "array_slice",
    "array_sort",
    "array_to_string",
    "cardinality",
    "make_array",
    "string_to_array",
];

/// What makes much out of little: left to views, whose author is not a stranger.
const MAKES_MUCH: &[&str] = &["lpad", "repeat", "rpad"];

const AGGREGATE: &[&str] = &[
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
    "percentile_cont",
];

const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

pub(super) fn scalars() -> Vec<Arc<ScalarUDF>> {
    dialect::scalar_functions().into_iter().filter(|it| is_scalar(it.name())).collect()
}

/// Whether `name` is a function of one row that may be called.
pub(super) fn is_scalar(name: &str) -> bool {
    SCALAR.contains(&name) || dialect::is_own(name) && !MAKES_MUCH.contains(&name)
}

pub(super) fn aggregates() -> Vec<Arc<AggregateUDF>> {
    let all = SessionStateDefaults::default_aggregate_functions();
    let kept = all.into_iter().filter(|it| is_aggregate(it.name()) && it.name() != "sum");
    kept.chain([Arc::new(AggregateUDF::new_from_impl(CheckedSum::default()))]).collect()
}

/// Whether `name` is an aggregate that may be called.
pub(super) fn is_aggregate(name: &str) -> bool {
    AGGREGATE.contains(&name)
}

pub(super) fn windows() -> Vec<Arc<WindowUDF>> {
    let all = SessionStateDefaults::default_window_functions();
    all.into_iter().filter(|it| is_window(it.name())).map(dialect::counting).collect()
}

/// Whether `name` is a window function that may be called.
pub(super) fn is_window(name: &str) -> bool {
    WINDOW.contains(&name)
}
