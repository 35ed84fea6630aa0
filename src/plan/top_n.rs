//! Lowers LIMIT and `ROW_NUMBER() … <= n`: an ordered relation of which the first rows of each group are read.
//!
//! The order is always completed by all remaining columns, so that ties have one answer.

use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, Window, WindowFunctionDefinition};

use super::expr::Lowering;
use super::flat::{Flat, Planner, ROW_NUMBER, SortKey, renumber};
use super::node::{InputColumn, NodeId, Operator};
use super::refusal::{Planned, Refusal};
use super::rewrite::{Output, columns_of, program};
use super::row_number;
use super::scalar::{Comparison, Scalar};
use crate::change::{Column, DataType, KeyColumn, Schema, Value};

/// An [`Operator::Order`] node.
#[derive(Debug, Clone)]
pub(crate) struct Ordered {
    pub(crate) node: NodeId,
    /// How many leading key columns are the group.
    pub(crate) groups: usize,
    /// How many leading columns are the plan's outputs.
    pub(crate) width: usize,
    /// The columns that carry the key of the input.
    pub(crate) identity: Vec<usize>,
}

impl Planner {
    /// The rows of `flat`, grouped and ordered.
    pub(crate) fn ordered(&mut self, flat: Flat, groups: Vec<Output>, order: Vec<SortKey>) -> Planned<Ordered> {
        let width = flat.outputs.len();
        let mut wanted = flat.outputs.clone();
        wanted.extend(groups.iter().cloned());
        wanted.extend(order.iter().map(|it| it.output.clone()));
        let (input, calls, filter, wanted) = self.as_input(flat, wanted)?;
        let mut outputs: Vec<Output> = wanted[..width].to_vec();
        let mut place = |output: Output| {
            outputs.iter().position(|it| it.scalar == output.scalar).unwrap_or_else(|| {
                outputs.push(output);
                outputs.len() - 1
            })
        };
        let mut parts: Vec<KeyColumn> =
            wanted[width..width + groups.len()].iter().map(|it| KeyColumn::ascending(place(it.clone()))).collect();
        for (output, sort) in wanted[width + groups.len()..].iter().zip(&order) {
            let column = place(output.clone());
            parts.push(KeyColumn { column, descending: sort.descending, nulls_first: sort.nulls_first });
        }
        parts.extend((0..width).map(KeyColumn::ascending));
        let schema = self.builder.schema(input).clone();
        let mut identity = Vec::new();
        for part in schema.key.iter() {
            let scalar = Scalar::Column(InputColumn { input: 0, column: part.column }, schema.data_type(part.column));
            identity.push(place(Output { scalar, text: schema.columns[part.column].name.clone() }));
        }
        parts.extend(identity.iter().map(|it| KeyColumn::ascending(*it)));
        // The group's parts all stay, since they are counted; behind them a column decides only once.
        let mut key: Vec<KeyColumn> = Vec::new();
        for (at, part) in parts.into_iter().enumerate() {
            if at < groups.len() || !key.iter().any(|it| it.column == part.column) {
                key.push(part);
            }
        }
        let columns: Vec<Column> = outputs.iter().map(|it| Column::new(&it.text, it.scalar.data_type())).collect();
        let visible = columns.len();
        let schema = Schema { columns: columns.into(), visible, key: key.into() };
        let program = program(&calls, filter, &outputs);
        let node = self.builder.add(Operator::Order { input, program }, schema, "rows in order");
        Ok(Ordered { node, groups: groups.len(), width, identity })
    }

    /// The first rows of each group; its visible columns are the plan's outputs and then the row number, if asked for.
    pub(crate) fn top_n(&mut self, ordered: &Ordered, offset: u64, limit: u64, row_number: bool) -> NodeId {
        let schema = self.builder.schema(ordered.node).clone();
        let mut outputs: Vec<Option<usize>> = (0..ordered.width).map(Some).collect();
        let mut columns: Vec<Column> = schema.columns[..ordered.width].to_vec();
        if row_number {
            outputs.push(None);
            columns.push(Column { nullable: false, ..Column::new("row_number", DataType::Int64) });
        }
        let visible = outputs.len();
        let mut key: Vec<KeyColumn> = Vec::new();
        let groups = schema.key[..ordered.groups].iter().map(|it| it.column);
        for column in groups.chain(ordered.identity.iter().copied()) {
            let at = outputs.iter().position(|it| *it == Some(column)).unwrap_or_else(|| {
                outputs.push(Some(column));
                columns.push(schema.columns[column].clone());
                outputs.len() - 1
            });
            if !key.iter().any(|it| it.column == at) {
                key.push(KeyColumn::ascending(at));
            }
        }
        let schema = Schema { columns: columns.into(), visible, key: key.into() };
        let operator = Operator::TopN { input: ordered.node, groups: ordered.groups, offset, limit, outputs };
        self.builder.add(operator, schema, "first rows")
    }

    /// `ROW_NUMBER() OVER (…)`: the order is made here, the filter above says how much of it is read.
    pub(crate) fn window(&mut self, window: &Window) -> Planned<Flat> {
        let mut flat = self.flatten_plain(&window.input)?;
        let [expr] = &window.window_expr[..] else {
            return Err(Refusal::new("only one window function can be kept").at_words("over"));
        };
        let function = numbering(expr)?;
        let mut lowering = Lowering { schema: window.input.schema(), outputs: &flat.outputs, calls: &mut flat.calls };
        let groups = function.params.partition_by.iter().map(|it| lowering.output(it)).collect::<Planned<Vec<_>>>()?;
        let mut order = Vec::new();
        for it in &function.params.order_by {
            let output = lowering.output(&it.expr)?;
            order.push(SortKey { output, descending: !it.asc, nulls_first: it.nulls_first });
        }
        let ordered = self.ordered(flat, groups, order)?;
        let mut flat = self.leaf(ordered.node, ordered.width);
        flat.outputs.push(Output { scalar: Scalar::Column(ROW_NUMBER, DataType::Int64), text: "row_number()".into() });
        flat.window = Some(ordered);
        Ok(flat)
    }

    /// The filter above a row_number(): its upper bound becomes the limit.
    pub(crate) fn bounded_window(&mut self, mut flat: Flat, conjuncts: Vec<Scalar>) -> Planned<Flat> {
        let bounds: Vec<Option<u64>> = conjuncts.iter().map(upper_bound).collect();
        let Some(limit) = bounds.iter().flatten().min().copied() else {
            flat.filter.extend(conjuncts);
            return Ok(flat);
        };
        let Some(ordered) = flat.window.take() else { return Ok(flat) };
        let implied = |(conjunct, bound): &(&Scalar, &Option<u64>)| {
            let exact = !matches!(conjunct, Scalar::Compare(Comparison::Equal, ..)) || **bound == Some(1);
            bound.is_some() && exact
        };
        let rest = conjuncts.iter().zip(&bounds).filter(|it| !implied(it)).map(|(conjunct, _)| conjunct.clone());
        flat.filter.extend(rest);
        let mut used = std::collections::BTreeSet::new();
        for scalar in flat.filter.iter().chain(flat.outputs.iter().map(|it| &it.scalar)) {
            columns_of(scalar, &flat.calls, &mut used);
        }
        let row_number = used.contains(&(ROW_NUMBER.input, ROW_NUMBER.column));
        flat.steps[0].node = self.top_n(&ordered, 0, limit, row_number);
        let number = InputColumn { input: 0, column: ordered.width };
        renumber(&mut flat, &|it| if it == ROW_NUMBER { number } else { it });
        Ok(flat)
    }
}

fn numbering(expr: &Expr) -> Planned<&WindowFunction> {
    match expr {
        Expr::Alias(alias) => numbering(&alias.expr),
        Expr::WindowFunction(function) => match &function.fun {
            WindowFunctionDefinition::WindowUDF(udf) if udf.name() == row_number::NAME => Ok(function),
            other => {
                let refusal = Refusal::new(format!("window function {}() cannot be kept up to date yet", other.name()));
                Err(refusal.at_words(other.name()).hint("only ROW_NUMBER() with an outer WHERE n <= … is supported"))
            }
        },
        _ => Err(Refusal::new("this window function cannot be kept").at_words("over")),
    }
}

/// The greatest row number that can pass the condition, if it says.
fn upper_bound(conjunct: &Scalar) -> Option<u64> {
    let Scalar::Compare(comparison, left, right) = conjunct else { return None };
    let is_number = |it: &Scalar| match it {
        Scalar::Cast(inner, _) => matches!(&**inner, Scalar::Column(ROW_NUMBER, _)),
        other => matches!(other, Scalar::Column(ROW_NUMBER, _)),
    };
    let (comparison, bound) = if is_number(left) {
        (*comparison, right)
    } else if is_number(right) {
        let flipped = match comparison {
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            Comparison::Equal => Comparison::Equal,
            _ => return None,
        };
        (flipped, left)
    } else {
        return None;
    };
    let bound = match &**bound {
        Scalar::Literal(Value::Int(it), _) => i128::from(*it),
        Scalar::Literal(Value::Decimal(it), DataType::Decimal { scale: 0, .. }) => *it,
        _ => return None,
    };
    let bound = match comparison {
        Comparison::LessOrEqual | Comparison::Equal => bound,
        Comparison::Less => bound - 1,
        _ => return None,
    };
    Some(u64::try_from(bound.max(0)).unwrap_or(u64::MAX))
}
