//! Walking and rewriting scalar expressions, and cutting programs out of a larger set of calls.

use std::collections::BTreeSet;

use super::node::InputColumn;
use super::scalar::{Call, Program, Scalar};

/// An output expression and its SQL text.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) scalar: Scalar,
    pub(crate) text: String,
}

/// Calls `visit` for the direct parts of `scalar`.
fn for_each_part<'a>(scalar: &'a Scalar, visit: &mut dyn FnMut(&'a Scalar)) {
    match scalar {
        Scalar::Column(..) | Scalar::Literal(..) | Scalar::Call(..) => {}
        Scalar::Compare(_, left, right) | Scalar::Arithmetic(_, left, right, _) => {
            visit(left);
            visit(right);
        }
        Scalar::And(parts) | Scalar::Or(parts) | Scalar::Coalesce(parts, _) => parts.iter().for_each(visit),
        Scalar::Not(inner) | Scalar::IsNull(inner) | Scalar::Negate(inner, _) | Scalar::Cast(inner, _) => visit(inner),
        Scalar::Case { branches, otherwise, .. } => {
            for (condition, value) in branches {
                visit(condition);
                visit(value);
            }
            if let Some(otherwise) = otherwise {
                visit(otherwise);
            }
        }
    }
}

/// A copy of `scalar` in which `replace` has had the first word on every part, from the outside in.
pub(crate) fn map(scalar: &Scalar, replace: &dyn Fn(&Scalar) -> Option<Scalar>) -> Scalar {
    if let Some(replaced) = replace(scalar) {
        return replaced;
    }
    let again = |it: &Scalar| map(it, replace);
    let boxed = |it: &Scalar| Box::new(map(it, replace));
    let all = |parts: &[Scalar]| parts.iter().map(again).collect::<Vec<_>>();
    match scalar {
        Scalar::Column(..) | Scalar::Literal(..) | Scalar::Call(..) => scalar.clone(),
        Scalar::Compare(comparison, left, right) => Scalar::Compare(*comparison, boxed(left), boxed(right)),
        Scalar::Arithmetic(operator, left, right, data_type) => {
            Scalar::Arithmetic(*operator, boxed(left), boxed(right), *data_type)
        }
        Scalar::And(parts) => Scalar::And(all(parts)),
        Scalar::Or(parts) => Scalar::Or(all(parts)),
        Scalar::Coalesce(parts, data_type) => Scalar::Coalesce(all(parts), *data_type),
        Scalar::Not(inner) => Scalar::Not(boxed(inner)),
        Scalar::IsNull(inner) => Scalar::IsNull(boxed(inner)),
        Scalar::Negate(inner, data_type) => Scalar::Negate(boxed(inner), *data_type),
        Scalar::Cast(inner, data_type) => Scalar::Cast(boxed(inner), *data_type),
        Scalar::Case { branches, otherwise, data_type } => Scalar::Case {
            branches: branches.iter().map(|(condition, value)| (again(condition), again(value))).collect(),
            otherwise: otherwise.as_ref().map(|it| boxed(it)),
            data_type: *data_type,
        },
    }
}

/// A copy of `scalar` with other columns.
pub(crate) fn map_columns(scalar: &Scalar, column: &dyn Fn(InputColumn) -> InputColumn) -> Scalar {
    map(scalar, &|part| match part {
        Scalar::Column(from, data_type) => Some(Scalar::Column(column(*from), *data_type)),
        _ => None,
    })
}

/// Renames the columns inside all calls.
pub(crate) fn map_call_columns(calls: &mut [Call], column: &dyn Fn(InputColumn) -> InputColumn) {
    for argument in calls.iter_mut().flat_map(|it| &mut it.arguments) {
        *argument = map_columns(argument, column);
    }
}

/// Adds the columns `scalar` uses, also through calls, to `columns`.
pub(crate) fn columns_of(scalar: &Scalar, calls: &[Call], columns: &mut BTreeSet<(usize, usize)>) {
    match scalar {
        Scalar::Column(it, _) => {
            columns.insert((it.input, it.column));
        }
        Scalar::Call(number, _) => calls[*number].arguments.iter().for_each(|it| columns_of(it, calls, columns)),
        other => for_each_part(other, &mut |it| columns_of(it, calls, columns)),
    }
}

/// The inputs `scalar` uses.
pub(crate) fn inputs_of(scalar: &Scalar, calls: &[Call]) -> BTreeSet<usize> {
    let mut columns = BTreeSet::new();
    columns_of(scalar, calls, &mut columns);
    columns.into_iter().map(|(input, _)| input).collect()
}

/// Whether any part of `scalar` is a call.
pub(crate) fn has_call(scalar: &Scalar) -> bool {
    let mut found = matches!(scalar, Scalar::Call(..));
    for_each_part(scalar, &mut |it| found |= has_call(it));
    found
}

/// Whether the value is surely NULL when all columns of the expression are.
pub(crate) fn passes_null(scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Column(..) => true,
        Scalar::Negate(inner, _) | Scalar::Cast(inner, _) | Scalar::Not(inner) => passes_null(inner),
        Scalar::Arithmetic(_, left, right, _) => passes_null(left) || passes_null(right),
        _ => false,
    }
}

fn calls_used(scalar: &Scalar, calls: &[Call], used: &mut BTreeSet<usize>) {
    match scalar {
        Scalar::Call(number, _) => {
            if used.insert(*number) {
                calls[*number].arguments.iter().for_each(|it| calls_used(it, calls, used));
            }
        }
        other => for_each_part(other, &mut |it| calls_used(it, calls, used)),
    }
}

/// Takes the items at these places out.
pub(crate) fn remove_at<T>(items: &mut Vec<T>, places: &BTreeSet<usize>) {
    let mut at = 0..;
    items.retain(|_| at.next().is_none_or(|it| !places.contains(&it)));
}

/// The condition that all of `parts` hold.
pub(crate) fn conjunction(mut parts: Vec<Scalar>) -> Option<Scalar> {
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Scalar::And(parts)),
    }
}

/// A program of `filter` and `outputs` with just those of `calls` that they need.
pub(crate) fn program(calls: &[Call], filter: Vec<Scalar>, outputs: &[Output]) -> Program {
    conditions_and_program(calls, Vec::new(), filter, outputs).1
}

/// The same, with conditions that the operator evaluates on its own: they use the program's calls.
pub(crate) fn conditions_and_program(
    calls: &[Call],
    conditions: Vec<Option<Scalar>>,
    filter: Vec<Scalar>,
    outputs: &[Output],
) -> (Vec<Option<Scalar>>, Program) {
    let mut used = BTreeSet::new();
    let outer = filter.iter().chain(outputs.iter().map(|it| &it.scalar));
    for scalar in conditions.iter().flatten().chain(outer) {
        calls_used(scalar, calls, &mut used);
    }
    let numbers: Vec<usize> = used.into_iter().collect();
    let renumber = |scalar: &Scalar| {
        map(scalar, &|part| match part {
            Scalar::Call(number, data_type) => {
                Some(Scalar::Call(numbers.binary_search(number).unwrap_or_default(), *data_type))
            }
            _ => None,
        })
    };
    let kept = numbers.iter().map(|number| {
        let mut call = calls[*number].clone();
        call.arguments = call.arguments.iter().map(renumber).collect();
        call
    });
    let program = Program {
        calls: kept.collect(),
        filter: conjunction(filter.iter().map(renumber).collect()),
        outputs: outputs.iter().map(|it| renumber(&it.scalar)).collect(),
        texts: outputs.iter().map(|it| it.text.clone()).collect(),
    };
    (conditions.iter().map(|it| it.as_ref().map(renumber)).collect(), program)
}
