//! Functions with PostgreSQL's meaning that DataFusion has not, or has with another: a table of them by chapter.
//!
//! A function is a name and overloads; an overload says which kinds it takes and gives, and how one row's value is
//! computed from arguments that are not NULL. Which overload a call means is decided as PostgreSQL decides it.

mod binary;
mod casts;
mod cell;
mod extract;
mod math;
mod numeric;
mod overload;
mod pattern;
mod text;
mod time;
mod written;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::logical_expr::ScalarUDF;

pub(super) use self::casts::{constant, converted};
pub(super) use self::cell::Kind;
pub(super) use self::extract::EXTRACT;
pub(crate) use self::extract::PLAIN_NUMERIC;
pub(super) use self::numeric::rounding;
pub(super) use self::overload::resolve;
pub(crate) use self::pattern::{PatternProblem, check_pattern, pattern_of};
pub(crate) use self::written::as_written;

use self::overload::{Function, Own};
use super::bounded::held;

/// All, by chapter of PostgreSQL's manual.
const CHAPTERS: [&[Function]; 5] =
    [math::FUNCTIONS, text::FUNCTIONS, binary::FUNCTIONS, pattern::FUNCTIONS, time::FUNCTIONS];

static FUNCTIONS: LazyLock<HashMap<&'static str, (Arc<ScalarUDF>, &'static Function)>> = LazyLock::new(|| {
    let all = CHAPTERS.iter().flat_map(|it| it.iter());
    all.map(|it| (it.name, (held(Arc::new(ScalarUDF::new_from_impl(Own::new(it)))), it))).collect()
});

/// The function of this name.
pub(super) fn find(name: &str) -> Option<(Arc<ScalarUDF>, &'static Function)> {
    FUNCTIONS.get(name).map(|(udf, function)| (Arc::clone(udf), *function))
}

/// The functions a query may name; the others are what operators and casts are made of.
pub(super) fn registered() -> Vec<Arc<ScalarUDF>> {
    let named = FUNCTIONS.values().filter(|(_, function)| !function.name.starts_with('_'));
    let named = named.map(|(udf, function)| match function.name {
        // What the syntax of TRIM is looked for by.
        "btrim" => Arc::new(udf.as_ref().clone().with_aliases(["trim"])),
        _ => Arc::clone(udf),
    });
    named.chain([extract::extract()]).collect()
}
