//! The n-way delta join: a change of any input is joined with the other inputs' arrangements, best access path first.

use std::collections::BTreeSet;

use super::equality::{Classes, Equality, equalities};
use super::flat::{Flat, Planner};
use super::node::{InputColumn, JoinCondition, NodeId, Operator, Probe};
use super::rewrite::{program, remove_at};

/// For each input, the order in which the others are probed when it changed; `None` when some input is only reached by
/// a cross join.
pub(crate) fn find_terms(planner: &Planner, flat: &Flat) -> Option<Vec<Vec<Probe>>> {
    let equal = equalities(planner, flat, &flat.filter);
    (0..flat.steps.len()).map(|start| term(planner, flat, &equal, start)).collect()
}

fn term(planner: &Planner, flat: &Flat, equal: &[Equality], start: usize) -> Option<Vec<Probe>> {
    let mut fixed = vec![start];
    let mut probes = Vec::new();
    while fixed.len() < flat.steps.len() {
        let waiting = (0..flat.steps.len()).filter(|it| !fixed.contains(it));
        let paths = waiting.filter_map(|input| access_path(planner, flat, equal, input, &fixed));
        // Unique keys first, then the index that narrows most; among equals the one written first.
        let best = paths.min_by_key(|it| (!it.unique, std::cmp::Reverse(it.on.len()), it.input))?;
        fixed.push(best.input);
        probes.push(best);
    }
    Some(probes)
}

/// How `input` is probed when the columns of the `fixed` inputs are known.
fn access_path(planner: &Planner, flat: &Flat, equal: &[Equality], input: usize, fixed: &[usize]) -> Option<Probe> {
    let mut on: Vec<(usize, InputColumn)> = Vec::new();
    for it in equal {
        for (own, other) in [(it.left, it.right), (it.right, it.left)] {
            let known = on.iter().any(|(column, _)| *column == own.column);
            if own.input == input && fixed.contains(&other.input) && !known {
                on.push((own.column, other));
            }
        }
    }
    if on.is_empty() {
        return None;
    }
    let schema = planner.builder.schema(flat.steps[input].node);
    let through_key: Option<Vec<_>> =
        schema.address().map(|part| on.iter().find(|(column, _)| *column == part.column).copied()).collect();
    if let Some(on) = through_key.filter(|it| !it.is_empty()) {
        return Some(Probe { input, on, unique: true });
    }
    on.sort_by_key(|(column, _)| *column);
    Some(Probe { input, on, unique: false })
}

/// Makes the node.
pub(crate) fn lower(planner: &mut Planner, mut flat: Flat, terms: Vec<Vec<Probe>>) -> NodeId {
    let equal = equalities(planner, &flat, &flat.filter);
    let implied: BTreeSet<usize> = equal
        .iter()
        .filter(|it| it.exact && terms.iter().all(|term| implies(term, it)))
        .map(|it| it.conjunct)
        .collect();
    let exact: Vec<Equality> = equal.iter().filter(|it| it.exact).copied().collect();
    let classes = Classes::new(&exact);
    remove_at(&mut flat.filter, &implied);
    let inputs: Vec<NodeId> = flat.steps.iter().map(|it| planner.builder.arranged(it.node)).collect();
    for probe in terms.iter().flatten().filter(|it| !it.unique) {
        planner.builder.index(inputs[probe.input], probe.on.iter().map(|(column, _)| *column).collect());
    }
    let visible = flat.outputs.len();
    let parts: Vec<_> = (0..flat.steps.len()).flat_map(|it| planner.key_parts(&flat, it)).collect();
    let key = planner.carry_key(&mut flat, &parts, &|left, right| classes.same(left, right));
    let schema = planner.output_schema(&flat, visible, key);
    let conditions = equal.iter().map(|it| JoinCondition { left: it.left, right: it.right }).collect();
    let program = program(&flat.calls, flat.filter, &flat.outputs);
    planner.builder.add(Operator::Join { inputs, conditions, terms, program }, schema, "join")
}

/// Whether the probes of `term` together ensure `equality`.
fn implies(term: &[Probe], equality: &Equality) -> bool {
    let mut classes = Classes::default();
    for probe in term {
        for (column, source) in &probe.on {
            classes.join(InputColumn { input: probe.input, column: *column }, *source);
        }
    }
    classes.same(equality.left, equality.right)
}
