//! The assembly join: one driver from which every other input is reached by its unique key.
//!
//! It keeps no match counts and no versions, so it is taken whenever there is such a driver.

use std::collections::BTreeSet;

use super::equality::{Classes, Equality, equalities, same_encoding};
use super::flat::{Flat, Planner, renumber};
use super::node::{InputColumn, JoinKind, Lookup, NodeId, Operator};
use super::rewrite::{conditions_and_program, conjunction, inputs_of, remove_at};
use super::scalar::Scalar;
use crate::change::Collation;

/// A way to assemble all inputs.
pub(crate) struct Assembly {
    /// The inputs as they are reached, the driver first.
    order: Vec<usize>,
    /// How `order[1..]` are reached.
    reached: Vec<Reached>,
}

/// One input and the columns (of inputs reached before) that make its key.
struct Reached {
    key: Vec<InputColumn>,
    /// The conditions that the look-up itself ensures: numbers in the filter, or in ON for a left join.
    ensured: Vec<usize>,
    /// The input whose index leads back; `None` when the key is the driver's.
    reverse: Option<usize>,
}

/// The best assembly: with the fewest indexes to lead back, then with the driver written first.
pub(crate) fn find(planner: &Planner, flat: &Flat) -> Option<Assembly> {
    let equal = equalities(planner, flat, &flat.filter);
    let classes = Classes::new(&equal);
    let drivers = (0..flat.steps.len()).filter(|it| flat.steps[*it].on.is_none());
    let found = drivers.filter_map(|driver| Search { planner, flat, equal: &equal, classes: &classes }.from(driver));
    found.min_by_key(|it| it.reached.iter().filter(|it| it.reverse.is_some()).count())
}

struct Search<'a> {
    planner: &'a Planner,
    flat: &'a Flat,
    equal: &'a [Equality],
    classes: &'a Classes,
}

impl Search<'_> {
    fn from(&self, driver: usize) -> Option<Assembly> {
        let mut assembly = Assembly { order: vec![driver], reached: Vec::new() };
        while assembly.order.len() < self.flat.steps.len() {
            let waiting = (0..self.flat.steps.len()).filter(|it| !assembly.order.contains(it));
            let (input, reached) = waiting.filter_map(|it| Some((it, self.reach(it, &assembly.order)?))).next()?;
            assembly.order.push(input);
            assembly.reached.push(reached);
        }
        Some(assembly)
    }

    /// How `input` is found from the inputs reached so far.
    fn reach(&self, input: usize, before: &[usize]) -> Option<Reached> {
        let schema = self.planner.builder.schema(self.flat.steps[input].node);
        schema.address().next()?;
        let own: Vec<Equality>;
        let direct = match &self.flat.steps[input].on {
            Some(on) => {
                let known = |it: &usize| *it == input || before.contains(it);
                if !on.iter().all(|it| inputs_of(it, &self.flat.calls).iter().all(known)) {
                    return None;
                }
                own = equalities(self.planner, self.flat, on);
                &own[..]
            }
            None => self.equal,
        };
        let sources: Vec<Vec<InputColumn>> = schema
            .address()
            .map(|part| self.sources(InputColumn { input, column: part.column }, direct, before))
            .collect();
        // All parts of the key come from one input, so that its index leads back from a changed row.
        let from = *before.iter().find(|from| sources.iter().all(|it| it.iter().any(|it| it.input == **from)))?;
        let mut key = Vec::new();
        let mut ensured = Vec::new();
        for (part, sources) in schema.address().zip(&sources) {
            let target = InputColumn { input, column: part.column };
            let is_direct = |source: &InputColumn| direct.iter().find(|it| it.other(target) == Some(*source));
            let mut candidates = sources.iter().filter(|it| it.input == from);
            let first = *candidates.clone().next()?;
            let source = candidates.find(|it| is_direct(it).is_some()).copied().unwrap_or(first);
            ensured.extend(is_direct(&source).filter(|it| it.exact).map(|it| it.conjunct));
            key.push(source);
        }
        let reverse = (!self.is_driver_key(input, before[0], &key)).then_some(from);
        Some(Reached { key, ensured, reverse })
    }

    /// Columns of inputs reached before that must equal `target`.
    fn sources(&self, target: InputColumn, direct: &[Equality], before: &[usize]) -> Vec<InputColumn> {
        let mut sources: Vec<InputColumn> = Vec::new();
        for other in direct.iter().filter_map(|it| it.other(target)) {
            sources.push(other);
            sources.extend(self.classes.members(other));
        }
        sources.retain(|it| before.contains(&it.input));
        sources
    }

    /// Whether `key` is the driver's own key, encoded alike, so that the keys of both are the same bytes.
    fn is_driver_key(&self, input: usize, driver: usize, key: &[InputColumn]) -> bool {
        let schema = |it: usize| self.planner.builder.schema(self.flat.steps[it].node);
        let (driver_schema, probed) = (schema(driver), schema(input));
        driver_schema.key.len() == key.len()
            && driver_schema.key.iter().zip(probed.address()).zip(key).all(|((own, part), source)| {
                let (own_column, column) = (&driver_schema.columns[own.column], &probed.columns[part.column]);
                *source == InputColumn { input: driver, column: own.column }
                    && own.descending == part.descending
                    && own.nulls_first == part.nulls_first
                    && same_encoding(own_column.data_type, column.data_type)
                    && [own_column.collation, column.collation] == [Collation::Binary; 2]
            })
    }
}

/// Makes the node.
pub(crate) fn lower(planner: &mut Planner, mut flat: Flat, assembly: Assembly) -> NodeId {
    let equal = equalities(planner, &flat, &flat.filter);
    let exact: Vec<Equality> = equal.into_iter().filter(|it| it.exact).collect();
    let classes = Classes::new(&exact);
    let driver = assembly.order[0];
    let visible = flat.outputs.len();
    let parts = planner.key_parts(&flat, driver);
    let plain = flat.outputs.clone();
    let mut key = planner.carry_key(&mut flat, &parts, &|left, right| classes.same(left, right));
    if key.len() < parts.len() {
        // Two parts of the driver's key are always equal; part by part the output's key must still be the driver's.
        flat.outputs = plain;
        key = planner.carry_key(&mut flat, &parts, &|_, _| false);
    }
    let schema = planner.output_schema(&flat, visible, key);

    let place = |input: usize| assembly.order.iter().position(|it| *it == input).unwrap_or_default();
    let moved = |it: InputColumn| InputColumn { input: place(it.input), ..it };
    let mut ensured: BTreeSet<usize> = BTreeSet::new();
    let mut conditions: Vec<Option<Scalar>> = Vec::new();
    for (input, reached) in assembly.order[1..].iter().zip(&assembly.reached) {
        match flat.steps[*input].on.take() {
            Some(on) => {
                let rest = on.iter().enumerate().filter(|(at, _)| !reached.ensured.contains(at));
                conditions.push(conjunction(rest.map(|(_, it)| super::rewrite::map_columns(it, &moved)).collect()));
                // Put back as a mark that this input is optional.
                flat.steps[*input].on = Some(Vec::new());
            }
            None => {
                ensured.extend(&reached.ensured);
                conditions.push(None);
            }
        }
    }
    remove_at(&mut flat.filter, &ensured);
    renumber(&mut flat, &moved);
    let nodes: Vec<NodeId> = assembly.order.iter().map(|it| planner.builder.arranged(flat.steps[*it].node)).collect();
    let (conditions, program) = conditions_and_program(&flat.calls, conditions, flat.filter, &flat.outputs);
    let mut lookups = Vec::new();
    for (number, (reached, condition)) in assembly.reached.iter().zip(conditions).enumerate() {
        let reverse = reached.reverse.map(place);
        if let Some(from) = reverse {
            // A column that is two parts of the key is indexed once.
            let mut columns: Vec<usize> = Vec::new();
            for source in &reached.key {
                if !columns.contains(&source.column) {
                    columns.push(source.column);
                }
            }
            planner.builder.index(nodes[from], columns);
        }
        let optional = flat.steps[assembly.order[number + 1]].on.is_some();
        lookups.push(Lookup {
            node: nodes[number + 1],
            kind: if optional { JoinKind::Left } else { JoinKind::Inner },
            key: reached.key.iter().map(|it| moved(*it)).collect(),
            condition,
            reverse,
        });
    }
    let operator = Operator::Assemble { driver: nodes[0], lookups, program };
    planner.builder.add(operator, schema, "assembly")
}
