//! Arguments given by name, `make_interval(days => 3)`, put in their places.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

use super::syntax::Unsupported;

/// Functions whose arguments have names, and how many of the last ones may be left out.
const NAMED: [(&str, &[&str], usize); 4] = [
    ("make_date", &["year", "month", "day"], 0),
    ("make_interval", &["years", "months", "weeks", "days", "hours", "mins", "secs"], 7),
    ("make_timestamp", &["year", "month", "mday", "hour", "min", "sec"], 0),
    ("make_timestamptz", &["year", "month", "mday", "hour", "min", "sec", "timezone"], 1),
];

/// Puts the arguments of `call` in order; those that are left out in the middle are zero.
pub(super) fn in_order(call: &mut Function) -> ControlFlow<Unsupported> {
    let called = call.name.0.last().and_then(|it| it.as_ident()).map(|it| it.value.to_lowercase()).unwrap_or_default();
    let FunctionArguments::List(list) = &mut call.args else { return ControlFlow::Continue(()) };
    if list.args.iter().all(|it| matches!(it, FunctionArg::Unnamed(_))) {
        return ControlFlow::Continue(());
    }
    let refused = |code, message: String| {
        ControlFlow::Break(Unsupported { code, ..Unsupported::new(message, "", called.clone()) })
    };
    let Some((_, names, optional)) = NAMED.iter().find(|(name, ..)| *name == called) else {
        let message = format!("arguments of {called}() by name are not supported");
        let hint = "write them in their order";
        return ControlFlow::Break(Unsupported::new(message, hint, called));
    };
    let mut places: Vec<Option<FunctionArgExpr>> = vec![None; names.len()];
    for (at, argument) in std::mem::take(&mut list.args).into_iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Unnamed(_) if places[..at.min(names.len())].iter().any(Option::is_none) => {
                return refused("42601", "positional argument cannot follow named argument".into());
            }
            FunctionArg::Unnamed(value) => ((at < names.len()).then_some(at), value),
            FunctionArg::Named { name, arg, .. } | FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => {
                (names.iter().position(|it| *it == name.value.to_lowercase()), arg)
            }
            FunctionArg::ExprNamed { arg, .. } => (None, arg),
        };
        match place.and_then(|it| places.get_mut(it)) {
            Some(free @ None) => *free = Some(value),
            _ => return refused("42883", format!("function {called}() does not exist with these arguments")),
        }
    }
    let given = places.iter().rposition(Option::is_some).map_or(0, |it| it + 1);
    if given < names.len() - optional || *optional < names.len() && places[..given].iter().any(Option::is_none) {
        return refused("42883", format!("function {called}() does not exist with these arguments"));
    }
    let zero = || FunctionArgExpr::Expr(Expr::Value(Value::Number("0".into(), false).with_empty_span()));
    list.args = places.into_iter().take(given).map(|it| FunctionArg::Unnamed(it.unwrap_or_else(zero))).collect();
    ControlFlow::Continue(())
}
