//! Lowers a flattened plan: chooses between map, assembly join, delta join and left join.

use std::collections::BTreeSet;

use super::assembly;
use super::delta_join;
use super::equality::{Equality, equalities};
use super::flat::{Flat, Planner, Step, renumber};
use super::node::{InputColumn, NodeId, Operator};
use super::refusal::{Planned, Refusal};
use super::rewrite::{
    Output, columns_of, conditions_and_program, conjunction, inputs_of, map_columns, program, remove_at,
};
use super::scalar::{Comparison, Scalar};
use crate::change::{Collation, Column, KeyColumn, Schema};

impl Planner {
    /// A node whose leading (visible) columns are the outputs of `flat`, followed by hidden ones for its key.
    pub(crate) fn lower(&mut self, flat: Flat) -> Planned<NodeId> {
        if flat.steps.len() == 1 {
            return Ok(self.lower_map(flat));
        }
        self.lower_joins(flat)
    }

    /// Filter and projection of one input.
    pub(crate) fn lower_map(&mut self, mut flat: Flat) -> NodeId {
        let input = flat.steps[0].node;
        let visible = flat.outputs.len();
        let parts = self.key_parts(&flat, 0);
        let key = self.carry_key(&mut flat, &parts, &|_, _| false);
        let schema = self.output_schema(&flat, visible, key);
        let program = program(&flat.calls, flat.filter, &flat.outputs);
        self.builder.add(Operator::Map { input, program }, schema, "map")
    }

    fn lower_joins(&mut self, mut flat: Flat) -> Planned<NodeId> {
        if let Some(assembly) = assembly::find(self, &flat) {
            return Ok(assembly::lower(self, flat, assembly));
        }
        let Some(last_left) = flat.steps.iter().rposition(|it| it.on.is_some()) else {
            if let Some(terms) = delta_join::find_terms(self, &flat) {
                return Ok(delta_join::lower(self, flat, terms));
            }
            if self.hoist_computed_keys(&mut flat) {
                return self.lower_joins(flat);
            }
            return self.lower_apart(flat);
        };
        if flat.steps.len() == 2 {
            return self.lower_left_join(flat);
        }
        // Everything up to the first left join that is not a look-up by a unique key is kept on its own.
        let failing = (1..flat.steps.len()).find(|at| {
            flat.steps[*at].on.is_some() && assembly::find(self, &self.prefix(&flat, at + 1, &[])).is_none()
        });
        let count = match failing {
            Some(at) if at + 1 == flat.steps.len() => at,
            Some(at) => at + 1,
            None if last_left + 1 < flat.steps.len() => last_left + 1,
            None => last_left,
        };
        let flat = self.keep_prefix(flat, count)?;
        self.lower_joins(flat)
    }

    /// Inner joins of which some are only connected by values computed from several inputs (`x.a + y.b = z.c`): those
    /// that are joined by plain columns are kept on their own, which makes them one input.
    fn lower_apart(&mut self, mut flat: Flat) -> Planned<NodeId> {
        let refusal = self.cross_join(&flat);
        let equal = equalities(self, &flat, &flat.filter);
        let mut connected = BTreeSet::from(equal.first().map(|it| [it.left.input, it.right.input]).unwrap_or_default());
        while let Some(more) =
            equal.iter().find(|it| connected.contains(&it.left.input) != connected.contains(&it.right.input))
        {
            connected.extend([more.left.input, more.right.input]);
        }
        if connected.len() < 2 || connected.len() == flat.steps.len() {
            return Err(refusal);
        }
        let rest = (0..flat.steps.len()).filter(|it| !connected.contains(it));
        let order: Vec<usize> = connected.iter().copied().chain(rest).collect();
        flat.steps = order.iter().map(|it| flat.steps[*it].clone()).collect();
        let place = |input: usize| order.iter().position(|it| *it == input).unwrap_or_default();
        renumber(&mut flat, &|it| InputColumn { input: place(it.input), ..it });
        let flat = self.keep_prefix(flat, connected.len())?;
        self.lower_joins(flat).map_err(|_| refusal)
    }

    /// The first `count` inputs of `flat` as a plan of their own with the given output columns.
    fn prefix(&self, flat: &Flat, count: usize, columns: &[(usize, usize)]) -> Flat {
        let inside = |it: &&Scalar| inputs_of(it, &flat.calls).into_iter().all(|input| input < count);
        let outputs = columns.iter().map(|(input, column)| {
            let schema = self.builder.schema(flat.steps[*input].node);
            let place = InputColumn { input: *input, column: *column };
            let scalar = Scalar::Column(place, schema.data_type(*column));
            Output { scalar, text: schema.columns[*column].name.clone() }
        });
        Flat {
            steps: flat.steps[..count].to_vec(),
            filter: flat.filter.iter().filter(inside).cloned().collect(),
            outputs: outputs.collect(),
            calls: flat.calls.clone(),
            ..Flat::default()
        }
    }

    /// Replaces the first `count` inputs by one stored node that is their join.
    fn keep_prefix(&mut self, mut flat: Flat, count: usize) -> Planned<Flat> {
        let inside = |it: &Scalar, flat: &Flat| inputs_of(it, &flat.calls).into_iter().all(|input| input < count);
        let mut columns = BTreeSet::new();
        let later = flat.steps[count..].iter().flat_map(|it| it.on.iter().flatten());
        let filter = flat.filter.iter().filter(|it| !inside(it, &flat));
        for scalar in later.chain(filter).chain(flat.outputs.iter().map(|it| &it.scalar)) {
            columns_of(scalar, &flat.calls, &mut columns);
        }
        let columns: Vec<(usize, usize)> = columns.into_iter().filter(|(input, _)| *input < count).collect();
        let prefix = self.prefix(&flat, count, &columns);
        let node = self.lower(prefix)?;
        let node = self.builder.arranged(node);
        let inner: BTreeSet<usize> = (0..flat.filter.len()).filter(|at| inside(&flat.filter[*at], &flat)).collect();
        remove_at(&mut flat.filter, &inner);
        let rest = flat.steps.split_off(count);
        flat.steps = vec![Step { node, on: None }];
        flat.steps.extend(rest);
        renumber(&mut flat, &|it| {
            if it.input >= count {
                return InputColumn { input: it.input - count + 1, ..it };
            }
            let column = columns.binary_search(&(it.input, it.column)).unwrap_or_default();
            InputColumn { input: 0, column }
        });
        Ok(flat)
    }

    fn lower_left_join(&mut self, mut flat: Flat) -> Planned<NodeId> {
        let Some(on) = flat.steps[1].on.clone() else { return Err(self.cross_join(&flat)) };
        let pairs: Vec<Equality> = equalities(self, &flat, &on);
        if pairs.is_empty() {
            if self.hoist_computed_keys(&mut flat) {
                return self.lower_joins(flat);
            }
            return Err(self.cross_join(&flat));
        }
        let left = self.builder.arranged(flat.steps[0].node);
        let right = self.builder.arranged(flat.steps[1].node);
        let sides = |it: &Equality| match it.left.input {
            0 => (it.left.column, it.right.column),
            _ => (it.right.column, it.left.column),
        };
        let mut columns: Vec<(usize, usize)> = Vec::new();
        for pair in pairs.iter().map(sides) {
            if !columns.iter().any(|known| known.0 == pair.0 || known.1 == pair.1) {
                columns.push(pair);
            }
        }
        self.builder.index(left, columns.iter().map(|it| it.0).collect());
        self.builder.index(right, columns.iter().map(|it| it.1).collect());
        let covered = pairs.iter().filter(|it| it.exact && columns.contains(&sides(it)));
        let covered: BTreeSet<usize> = covered.map(|it| it.conjunct).collect();
        let rest = on.into_iter().enumerate().filter(|(at, _)| !covered.contains(at)).map(|(_, it)| it).collect();
        let visible = flat.outputs.len();
        let mut parts = self.key_parts(&flat, 0);
        parts.extend(self.key_parts(&flat, 1));
        let key = self.carry_key(&mut flat, &parts, &|_, _| false);
        let schema = self.output_schema(&flat, visible, key);
        let (mut conditions, program) =
            conditions_and_program(&flat.calls, vec![conjunction(rest)], flat.filter, &flat.outputs);
        let condition = conditions.pop().flatten();
        let operator = Operator::LeftJoin { left, right, on: columns, condition, program };
        Ok(self.builder.add(operator, schema, "left join"))
    }

    /// Gives inputs that are joined by computed values (`lower(a.code) = b.code`) a column with that value.
    fn hoist_computed_keys(&mut self, flat: &mut Flat) -> bool {
        let mut changed = false;
        for at in 0..=flat.steps.len() {
            let count = if at == 0 { flat.filter.len() } else { flat.steps[at - 1].on.as_ref().map_or(0, Vec::len) };
            for number in 0..count {
                let conjunct = match at {
                    0 => flat.filter[number].clone(),
                    _ => flat.steps[at - 1].on.as_ref().map_or_else(|| flat.filter[0].clone(), |it| it[number].clone()),
                };
                let Scalar::Compare(Comparison::Equal, left, right) = &conjunct else { continue };
                let (left_inputs, right_inputs) = (inputs_of(left, &flat.calls), inputs_of(right, &flat.calls));
                let is_plain = |it: &Scalar| super::equality::plain_column(it).is_some();
                let one_each = left_inputs.len() == 1 && right_inputs.len() == 1 && left_inputs != right_inputs;
                if !one_each || is_plain(left) && is_plain(right) {
                    continue;
                }
                let sides = [left, right].map(|it| {
                    if matches!(**it, Scalar::Column(..)) { (**it).clone() } else { self.with_column(flat, it) }
                });
                let [left, right] = sides;
                let plain = Scalar::Compare(Comparison::Equal, Box::new(left), Box::new(right));
                match at {
                    0 => flat.filter[number] = plain,
                    _ => {
                        if let Some(on) = &mut flat.steps[at - 1].on {
                            on[number] = plain;
                        }
                    }
                }
                changed = true;
            }
        }
        changed
    }

    /// Adds `scalar`, which uses one input only, to that input as a column.
    fn with_column(&mut self, flat: &mut Flat, scalar: &Scalar) -> Scalar {
        let Some(input) = inputs_of(scalar, &flat.calls).into_iter().next() else { return scalar.clone() };
        let node = flat.steps[input].node;
        let schema = self.builder.schema(node).clone();
        let width = schema.columns.len();
        let mut outputs = self.columns(node, &(0..width).collect::<Vec<_>>());
        let to_first = |it: InputColumn| if it.input == input { InputColumn { input: 0, ..it } } else { it };
        let mut calls = flat.calls.clone();
        super::rewrite::map_call_columns(&mut calls, &to_first);
        outputs.push(Output { scalar: map_columns(scalar, &to_first), text: "join key".into() });
        let mut columns = schema.columns.to_vec();
        columns.push(Column::new("join key", scalar.data_type()));
        let visible = columns.len();
        let schema = Schema { columns: columns.into(), visible, key: schema.key };
        let program = program(&calls, Vec::new(), &outputs);
        let map = self.builder.add(Operator::Map { input: node, program }, schema, "with join key");
        flat.steps[input].node = self.builder.arranged(map);
        Scalar::Column(InputColumn { input, column: width }, scalar.data_type())
    }

    fn cross_join(&self, flat: &Flat) -> Refusal {
        let is_one_row = |it: &Step| match &self.builder.node(it.node).operator {
            Operator::Aggregate { groups, .. } => *groups == 0,
            _ => false,
        };
        if flat.steps.iter().any(is_one_row) {
            let message = "a subquery with one value for all rows cannot be kept beside them: one change of it could \
                           touch every row";
            return Refusal::new(message)
                .at_words("(select")
                .hint("make it a view of its own and compare when you read, or group it and join ON the group");
        }
        let names: Vec<&str> = flat.steps.iter().map(|it| self.builder.node(it.node).label.as_str()).collect();
        let message =
            format!("{} are joined without an equality, so one change could touch every row", names.join(" and "));
        Refusal::new(message).at_words("join").hint("join them ON a column of one = a column of the other")
    }

    /// The key columns of an input.
    pub(crate) fn key_parts(&self, flat: &Flat, input: usize) -> Vec<(InputColumn, KeyColumn)> {
        let schema = self.builder.schema(flat.steps[input].node);
        schema.key.iter().map(|it| (InputColumn { input, column: it.column }, *it)).collect()
    }

    /// Finds or adds outputs that carry the key `parts`; `same` says which other columns always have the same value.
    pub(crate) fn carry_key(
        &self,
        flat: &mut Flat,
        parts: &[(InputColumn, KeyColumn)],
        same: &dyn Fn(InputColumn, InputColumn) -> bool,
    ) -> Vec<KeyColumn> {
        let outputs = &mut flat.outputs;
        let mut key: Vec<KeyColumn> = Vec::new();
        for (source, part) in parts {
            let is_source = |it: &Output| matches!(&it.scalar, Scalar::Column(column, _) if column == source);
            let is_same = |it: &Output| matches!(&it.scalar, Scalar::Column(column, _) if same(*column, *source));
            let known = outputs.iter().position(is_source).or_else(|| outputs.iter().position(is_same));
            let column = known.unwrap_or_else(|| {
                let schema = self.builder.schema(flat.steps[source.input].node);
                let scalar = Scalar::Column(*source, schema.data_type(source.column));
                outputs.push(Output { scalar, text: schema.columns[source.column].name.clone() });
                outputs.len() - 1
            });
            if !key.iter().any(|it| it.column == column) {
                key.push(KeyColumn { column, ..*part });
            }
        }
        key
    }

    /// Columns for `outputs`. A column copied into the key keeps its collation, so that rows that are one below stay
    /// one; all others compare bytewise, as PostgreSQL's "C" collation does.
    pub(crate) fn output_schema(&self, flat: &Flat, visible: usize, key: Vec<KeyColumn>) -> Schema {
        let columns: Vec<Column> = flat
            .outputs
            .iter()
            .enumerate()
            .map(|(at, output)| {
                let mut column = Column::new(&output.text, output.scalar.data_type());
                if let Scalar::Column(place, _) = &output.scalar {
                    let step = &flat.steps[place.input];
                    let source = &self.builder.schema(step.node).columns[place.column];
                    column.nullable = source.nullable || step.on.is_some();
                    let in_key = key.iter().any(|it| it.column == at);
                    column.collation = if in_key { source.collation } else { Collation::Binary };
                }
                column
            })
            .collect();
        Schema { columns: columns.into(), visible, key: key.into() }
    }
}
