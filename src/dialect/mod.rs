//! PostgreSQL's meaning of SQL on DataFusion's planner, the same for views and for queries.
//!
//! Where both know a function, an operator or a cast by one name and differ in what it gives, PostgreSQL's meaning is put
//! in its place by analyzer rules; where that is not done, the function is left out, so that it is refused and never
//! answers something else.

mod arguments;
mod bounded;
mod calls;
mod casting;
mod checked;
mod fold;
mod foreign;
mod function;
mod joined;
mod lenient;
mod meaning;
mod mixed;
mod named;
mod numbers;
mod operators;
mod optimizer;
mod own;
mod planner;
mod precedence;
mod rewrite;
mod row_values;
mod spelling;
mod subquery;
mod syntax;
mod to_timestamp;
mod value;
mod windows;
mod wrapped;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::ScalarUDF;
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::sql::sqlparser::ast::Query;

pub(crate) use self::bounded::TooLong;
pub(crate) use self::foreign::{SyntaxError, Told, find_words, said, sql_type, syntax_error, tell};

use self::bounded::BoundLengths;
use self::casting::Casting;
use self::checked::CheckArithmetic;
use self::function::Modulo;
use self::meaning::Meaning;
use self::numbers::RoundNumbers;
use self::to_timestamp::ToTimestamp;

pub(crate) use self::joined::expand_joined;
pub(crate) use self::optimizer::{Reader, optimizer};
pub(crate) use self::own::{PLAIN_NUMERIC, PatternProblem, as_written, check_pattern, pattern_of};
pub(crate) use self::planner::expr_planners;
pub(crate) use self::spelling::respell;
pub(crate) use self::subquery::{NULLABLE, settle_subqueries};
pub(crate) use self::syntax::{Unsupported, check};
pub(crate) use self::windows::counting;

/// Makes of `query`, as it was parsed, what PostgreSQL reads in it; refuses what would mean something else.
pub(crate) fn understand(query: &mut Query) -> Result<(), Unsupported> {
    precedence::regroup(query);
    check(query)?;
    row_values::expand_rows(query)
}

/// Functions that have PostgreSQL's name and another meaning (`to_char` knows other patterns), and functions that tell
/// about Arrow or make values of types there are none of here.
const FOREIGN: [&str; 12] = [
    "arrow_cast",
    "arrow_field",
    "arrow_metadata",
    "arrow_try_cast",
    "arrow_typeof",
    "get_field",
    "named_struct",
    "struct",
    "to_char",
    "to_date",
    "to_time",
    "version",
];

/// The functions of one row.
pub(crate) fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let all = SessionStateDefaults::default_scalar_functions();
    let is_own = |name: &str| name == "to_timestamp" || own::find(name).is_some();
    let kept = all.into_iter().filter(|it| !FOREIGN.contains(&it.name()) && !is_own(it.name()));
    let named = kept.map(|it| match it.name() {
        "ceil" => Arc::new(it.as_ref().clone().with_aliases(["ceiling"])),
        _ => it,
    });
    let named = named.map(bounded::held).map(lenient::lenient);
    let own = [ScalarUDF::new_from_impl(ToTimestamp::new()), ScalarUDF::new_from_impl(Modulo::new())];
    // Ours come last: they take the place of what DataFusion knows as another name of one of its functions.
    named.chain(own.map(Arc::new)).chain(own::registered()).collect()
}

/// Whether there is a function of one row of this name.
fn is_scalar(name: &str) -> bool {
    static NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let functions = scalar_functions();
        let names = functions.iter().flat_map(|it| it.aliases().iter().cloned().chain([it.name().to_owned()]));
        names.collect()
    });
    NAMES.contains(name)
}

/// An interval as PostgreSQL writes it.
pub(crate) fn interval_text(it: IntervalMonthDayNano) -> String {
    value::interval::Interval { months: it.months, days: it.days, microseconds: it.nanoseconds / 1000 }.text()
}

/// Whether `name` is a function of one row that is written here, or what an operator is made of.
pub(crate) fn is_own(name: &str) -> bool {
    own::find(name).is_some() || name == own::EXTRACT
}

/// The rules that type a query. Arithmetic and casts of numbers are left to those who compute them themselves.
pub(crate) fn analyzer() -> Analyzer {
    let mut analyzer = Analyzer::new();
    // Before types are settled, since it changes some.
    analyzer.rules.insert(0, Arc::new(Meaning::new()));
    analyzer.rules.push(Arc::new(Casting));
    analyzer
}

/// What makes DataFusion's own arithmetic and casts of numbers PostgreSQL's; they come after [`analyzer`]'s rules.
pub(crate) fn number_rules() -> [Arc<dyn AnalyzerRule + Send + Sync>; 2] {
    [Arc::new(RoundNumbers::new()), Arc::new(CheckArithmetic::new())]
}

/// What keeps a query of a stranger from asking for more memory than there is; it comes last.
pub(crate) fn length_rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(BoundLengths::new())
}
