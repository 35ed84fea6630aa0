//! Functions there are none of: what to use instead.

use super::Told;

/// Names that are suggested for misspelt ones: PostgreSQL's functions of everyday use, all of which exist here.
const EVERYDAY: &[&str] = &[
    "abs",
    "array_agg",
    "array_length",
    "ascii",
    "avg",
    "bit_length",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "cbrt",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "current_date",
    "date_bin",
    "date_part",
    "date_trunc",
    "decode",
    "degrees",
    "dense_rank",
    "encode",
    "exp",
    "first_value",
    "floor",
    "gcd",
    "greatest",
    "initcap",
    "lag",
    "last_value",
    "lcm",
    "lead",
    "least",
    "left",
    "length",
    "ln",
    "log",
    "lower",
    "ltrim",
    "make_date",
    "max",
    "min",
    "mod",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "overlay",
    "pi",
    "position",
    "power",
    "radians",
    "rank",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "upper",
];

/// Functions that are asked for and are not there, by the beginning of their names.
const ABSENT: &[(&str, &str)] = &[
    ("json", "JSON is text here, and nothing takes it apart: let its owner store what is needed in columns"),
    ("jsonb", "JSON is text here, and nothing takes it apart: let its owner store what is needed in columns"),
    ("to_char", "format where you read; date_part(…), date_trunc(…) and casts to text are there"),
    ("to_date", "write x::date for texts like 2026-11-27"),
    ("to_number", "write x::numeric for texts like 12.50"),
    ("age", "subtract: a - b"),
    ("random", "what differs at every call cannot be kept or repeated"),
    ("gen_random_uuid", "what differs at every call cannot be kept or repeated"),
    ("uuid", "what differs at every call cannot be kept or repeated"),
    ("clock_timestamp", "now() is the time of the statement"),
    ("timeofday", "now() is the time of the statement"),
    ("generate_series", "keep a table of numbers with the owner and join with it"),
    ("unnest", "unnest stands in the select list"),
    ("pg_", "there are no system catalogs; GET /v1/views lists what there is"),
    ("current_setting", "there are no settings"),
    ("lpad", "it makes much out of little, and so is left to views: declare one"),
    ("rpad", "it makes much out of little, and so is left to views: declare one"),
    ("repeat", "it makes much out of little, and so is left to views: declare one"),
    ("inet_", "there is no connection to tell of"),
];

/// What is told of a call of `name`, which does not exist.
pub(super) fn missing_function(name: &str) -> Told {
    let told = Told::new("42883", format!("function {name}() does not exist")).at_words(name);
    let lower = name.to_lowercase();
    match ABSENT.iter().find(|(start, _)| lower.starts_with(start)) {
        Some((_, instead)) => told.hint(*instead),
        None if EVERYDAY.contains(&&*lower) => told.hint("it is a window function: write it with OVER (…)"),
        None => {
            let near = EVERYDAY.iter().map(|it| (*it).to_string()).collect();
            Told { near: Some((lower, near)), ..told }
                .hint("SQL functions are those of PostgreSQL that docs/sql.md lists")
        }
    }
}
