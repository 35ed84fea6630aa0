//! Lowers UNION ALL: the key of a row is its key in its branch and the number of the branch.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, Union};

use super::expr::convert;
use super::flat::{Flat, Planner};
use super::node::{InputColumn, NodeId, Operator};
use super::refusal::Planned;
use super::rewrite::{Output, program};
use super::scalar::{Call, Scalar};
use super::types::require_type;
use crate::change::{Column, DataType, KeyColumn, Schema, Value};

struct Branch {
    input: NodeId,
    calls: Vec<Call>,
    filter: Vec<Scalar>,
    outputs: Vec<Output>,
    /// The columns of the input that are its key.
    key: Vec<Scalar>,
}

impl Planner {
    pub(crate) fn union(&mut self, union: &Union) -> Planned<Flat> {
        let mut types = Vec::new();
        for field in union.schema.fields() {
            types.push(require_type(field.data_type(), field.name())?);
        }
        let mut branches = Vec::new();
        for plan in flattened(&union.inputs) {
            let flat = self.flatten_plain(plan)?;
            let converted = flat.outputs.iter().zip(&types).map(|(it, data_type)| Output {
                scalar: convert(it.scalar.clone(), *data_type),
                text: it.text.clone(),
            });
            let converted = converted.collect();
            let (input, calls, filter, outputs) = self.as_input(flat, converted)?;
            let schema = self.builder.schema(input);
            let column = |it: &KeyColumn| {
                Scalar::Column(InputColumn { input: 0, column: it.column }, schema.data_type(it.column))
            };
            let key = schema.key.iter().map(column).collect();
            branches.push(Branch { input, calls, filter, outputs, key });
        }
        let mut columns: Vec<Column> =
            union.schema.fields().iter().zip(&types).map(|(field, it)| Column::new(field.name(), *it)).collect();
        let visible = columns.len();
        let key_columns = visible_key(&branches).unwrap_or_else(|| hidden_key(&mut branches, &mut columns));
        let number = columns.len();
        columns.push(Column { nullable: false, ..Column::new("_branch", DataType::Int64) });
        let mut inputs = Vec::new();
        for (at, branch) in branches.iter_mut().enumerate() {
            let scalar = Scalar::Literal(Value::Int(at as i64), DataType::Int64);
            branch.outputs.push(Output { scalar, text: "branch".into() });
            inputs.push((branch.input, program(&branch.calls, std::mem::take(&mut branch.filter), &branch.outputs)));
        }
        let key = key_columns.into_iter().chain([number]).map(KeyColumn::ascending).collect();
        let schema = Schema { columns: columns.into(), visible, key };
        let node = self.builder.add(Operator::UnionAll { inputs }, schema, "union");
        Ok(self.leaf(node, visible))
    }
}

/// The branches of unions of unions.
fn flattened(inputs: &[Arc<LogicalPlan>]) -> Vec<&LogicalPlan> {
    let branches = inputs.iter().map(|it| match &**it {
        LogicalPlan::Union(inner) => flattened(&inner.inputs),
        other => vec![other],
    });
    branches.flatten().collect()
}

/// The visible columns that are the key in every branch.
fn visible_key(branches: &[Branch]) -> Option<Vec<usize>> {
    let mut common: Option<BTreeSet<usize>> = None;
    for branch in branches {
        let place = |part: &Scalar| branch.outputs.iter().position(|it| it.scalar == *part);
        let places: BTreeSet<usize> = branch.key.iter().map(place).collect::<Option<_>>()?;
        if common.get_or_insert_with(|| places.clone()) != &places {
            return None;
        }
    }
    Some(common?.into_iter().collect())
}

/// Hidden columns in which every branch finds a place of the right type for each of its key columns.
fn hidden_key(branches: &mut [Branch], columns: &mut Vec<Column>) -> Vec<usize> {
    let visible = columns.len();
    for branch in branches.iter() {
        let mut free: Vec<bool> = vec![true; columns.len() - visible];
        for part in &branch.key {
            let data_type = part.data_type();
            let place = (0..free.len()).find(|it| free[*it] && columns[visible + it].data_type == data_type);
            match place {
                Some(place) => free[place] = false,
                None => {
                    free.push(false);
                    columns.push(Column::new(format!("_key{}", free.len()), data_type));
                }
            }
        }
    }
    for branch in branches.iter_mut() {
        let mut rest = std::mem::take(&mut branch.key);
        for column in &columns[visible..] {
            let place = rest.iter().position(|it| it.data_type() == column.data_type);
            let scalar = place.map_or(Scalar::Literal(Value::Null, column.data_type), |it| rest.remove(it));
            branch.outputs.push(Output { scalar, text: column.name.clone() });
        }
    }
    (visible..columns.len()).collect()
}
