//! Lowers GROUP BY: linear aggregates keep no input rows, min and max read the ends of an ordered relation.

use datafusion::logical_expr::expr::AggregateFunction as Function;
use datafusion::logical_expr::{Aggregate as AggregatePlan, Expr, ExprSchemable};

use super::expr::{Lowering, convert, text_of};
use super::flat::{Flat, Planner};
use super::node::{Aggregate, AggregateFunction, InputColumn, NodeId, Operator};
use super::refusal::{Planned, Refusal};
use super::rewrite::{Output, program, remove_at};
use super::scalar::{Call, Scalar};
use super::types::require_type;
use crate::change::{Column, DataType, KeyColumn, Schema, Value};

/// An aggregate whose argument is not placed yet.
struct Parsed {
    function: AggregateFunction,
    argument: Option<Output>,
    data_type: DataType,
    text: String,
}

impl Planner {
    pub(crate) fn aggregate(&mut self, plan: &AggregatePlan) -> Planned<Flat> {
        let mut flat = self.flatten_plain(&plan.input)?;
        let mut lowering = Lowering { schema: plan.input.schema(), outputs: &flat.outputs, calls: &mut flat.calls };
        let mut groups = Vec::new();
        for (at, expr) in plan.group_expr.iter().enumerate() {
            // A group that is written twice has one column in the aggregate's schema.
            if plan.group_expr[..at].contains(expr) {
                continue;
            }
            if let Expr::GroupingSet(_) = expr {
                let refusal = Refusal::new("GROUPING SETS, ROLLUP and CUBE are not supported").at_words("group by");
                return Err(refusal.hint("write one GROUP BY a branch of a UNION ALL"));
            }
            groups.push(lowering.output(expr)?);
        }
        let parsed = plan.aggr_expr.iter().map(|it| lowering.parse_aggregate(it)).collect::<Planned<Vec<_>>>()?;
        let mut names: Vec<String> = plan.schema.fields().iter().map(|it| it.name().clone()).collect();
        // A constant does not tell groups apart; left out of the key, it cannot hide that the rest of it is unique.
        let is_constant = |it: &Output| matches!(it.scalar, Scalar::Literal(..));
        let constants: Vec<Option<Output>> = if groups.iter().all(is_constant) {
            vec![None; names.len()]
        } else {
            let constant = |at: usize| groups.get(at).filter(|it| is_constant(it)).cloned();
            (0..names.len()).map(constant).collect()
        };
        let places = (0..constants.len()).filter(|it| constants[*it].is_some()).collect();
        remove_at(&mut groups, &places);
        remove_at(&mut names, &places);
        let node = self.aggregate_node(flat, groups, parsed, &names)?;
        let mut flat = self.leaf(node, names.len());
        let mut kept = std::mem::take(&mut flat.outputs).into_iter();
        flat.outputs = constants.into_iter().filter_map(|constant| constant.or_else(|| kept.next())).collect();
        Ok(flat)
    }

    fn aggregate_node(
        &mut self,
        flat: Flat,
        groups: Vec<Output>,
        parsed: Vec<Parsed>,
        names: &[String],
    ) -> Planned<NodeId> {
        let group_count = groups.len();
        let mut outputs = groups;
        let mut places = Vec::new();
        for it in &parsed {
            places.push(it.argument.as_ref().map(|argument| {
                let known = outputs[group_count..].iter().position(|it| it.scalar == argument.scalar);
                group_count
                    + known.unwrap_or_else(|| {
                        outputs.push(argument.clone());
                        outputs.len() - 1 - group_count
                    })
            }));
        }
        let (input, calls, filter, outputs) = self.as_input(flat, outputs)?;
        let mut columns: Vec<Column> = outputs[..group_count]
            .iter()
            .zip(names)
            .map(|(it, name)| Column::new(name, it.scalar.data_type()))
            .collect();
        let mut aggregates = Vec::new();
        for ((parsed, place), name) in parsed.into_iter().zip(places).zip(&names[group_count..]) {
            let descending = parsed.function == AggregateFunction::Max;
            let ordered = match (parsed.function, place) {
                (AggregateFunction::Min | AggregateFunction::Max, Some(place)) => Some(self.order_of_values(
                    input,
                    &calls,
                    &filter,
                    &outputs[..group_count],
                    &outputs[place],
                    descending,
                )),
                _ => None,
            };
            let counts = matches!(parsed.function, AggregateFunction::CountAll | AggregateFunction::Count);
            columns.push(Column { nullable: !counts, ..Column::new(name, parsed.data_type) });
            aggregates.push(Aggregate {
                function: parsed.function,
                argument: place,
                argument_type: place.map_or(DataType::Int64, |it| outputs[it].scalar.data_type()),
                data_type: parsed.data_type,
                ordered,
                text: parsed.text,
            });
        }
        let visible = columns.len();
        columns.push(Column { nullable: false, ..Column::new("_state", DataType::Bytes) });
        let key = (0..group_count).map(KeyColumn::ascending).collect();
        let schema = Schema { columns: columns.into(), visible, key };
        let program = program(&calls, filter, &outputs);
        let label = match &outputs[..group_count] {
            [] => "aggregate".to_string(),
            groups => {
                let texts: Vec<&str> = groups.iter().map(|it| it.text.as_str()).collect();
                format!("{} by {}", self.builder.node(input).label, texts.join(", "))
            }
        };
        let operator = Operator::Aggregate { input, program, groups: group_count, aggregates };
        Ok(self.builder.add(operator, schema, &label))
    }

    /// The groups' values in order, for min (ascending) or max (descending); NULLs are left out.
    fn order_of_values(
        &mut self,
        input: NodeId,
        calls: &[Call],
        filter: &[Scalar],
        groups: &[Output],
        value: &Output,
        descending: bool,
    ) -> NodeId {
        let mut outputs = groups.to_vec();
        outputs.push(value.clone());
        let mut key: Vec<KeyColumn> = (0..groups.len()).map(KeyColumn::ascending).collect();
        key.push(if descending { KeyColumn::descending(groups.len()) } else { KeyColumn::ascending(groups.len()) });
        let schema = self.builder.schema(input).clone();
        for part in schema.key.iter() {
            let scalar = Scalar::Column(InputColumn { input: 0, column: part.column }, schema.data_type(part.column));
            key.push(KeyColumn::ascending(outputs.len()));
            outputs.push(Output { scalar, text: schema.columns[part.column].name.clone() });
        }
        let mut filter = filter.to_vec();
        filter.push(Scalar::Not(Box::new(Scalar::IsNull(Box::new(value.scalar.clone())))));
        let columns: Vec<Column> = outputs.iter().map(|it| Column::new(&it.text, it.scalar.data_type())).collect();
        let visible = columns.len();
        let schema = Schema { columns: columns.into(), visible, key: key.into() };
        let program = program(calls, filter, &outputs);
        self.builder.add(Operator::Order { input, program }, schema, "values in order")
    }

    /// A plan as the input of an operator with a program: one input is used as it is, several are joined first.
    pub(crate) fn as_input(
        &mut self,
        mut flat: Flat,
        outputs: Vec<Output>,
    ) -> Planned<(NodeId, Vec<Call>, Vec<Scalar>, Vec<Output>)> {
        if let [step] = &flat.steps[..] {
            return Ok((step.node, flat.calls, flat.filter, outputs));
        }
        // The join computes each value once, however often it is asked for.
        let mut distinct: Vec<Output> = Vec::new();
        let mut places = Vec::new();
        for output in outputs {
            let known = distinct.iter().position(|it| it.scalar == output.scalar);
            places.push((known.unwrap_or(distinct.len()), output.text.clone()));
            if known.is_none() {
                distinct.push(output);
            }
        }
        flat.outputs = distinct;
        let node = self.lower(flat)?;
        let columns = self.columns(node, &places.iter().map(|it| it.0).collect::<Vec<_>>());
        let outputs = columns.into_iter().zip(places).map(|(column, (_, text))| Output { text, ..column }).collect();
        Ok((node, Vec::new(), Vec::new(), outputs))
    }
}

impl Lowering<'_> {
    fn parse_aggregate(&mut self, expr: &Expr) -> Planned<Parsed> {
        let function = match expr {
            Expr::Alias(alias) => return self.parse_aggregate(&alias.expr),
            Expr::AggregateFunction(function) => function,
            other => return Err(Refusal::new(format!("{} is not an aggregate", text_of(other)))),
        };
        let text = text_of(expr);
        let name = function.func.name();
        let params = &function.params;
        let kind = match name {
            "count" => AggregateFunction::Count,
            "sum" => AggregateFunction::Sum,
            "avg" => AggregateFunction::Avg,
            "min" => AggregateFunction::Min,
            "max" => AggregateFunction::Max,
            _ => {
                let refusal = Refusal::new(format!("aggregate {name}() cannot be kept up to date yet")).at_words(name);
                return Err(refusal.hint("supported: count, sum, avg, min, max"));
            }
        };
        let is_extreme = matches!(kind, AggregateFunction::Min | AggregateFunction::Max);
        if params.distinct && !is_extreme {
            let refusal = Refusal::new(format!("{text} cannot be kept beside other aggregates yet"));
            return Err(refusal.at_words("distinct").hint("aggregate over a subquery with SELECT DISTINCT"));
        }
        if !params.order_by.is_empty() || params.null_treatment.is_some() {
            return Err(Refusal::new(format!("{text} with an order or null treatment is not supported")).at_words(name));
        }
        let [argument] = &params.args[..] else {
            return Err(Refusal::new(format!("{name}() takes one argument")).at_words(name));
        };
        let data_type = require_type(&expr.get_type(self.schema)?, &text)?;
        self.finish_aggregate(kind, function, argument, data_type, text)
    }

    fn finish_aggregate(
        &mut self,
        kind: AggregateFunction,
        function: &Function,
        argument: &Expr,
        data_type: DataType,
        mut text: String,
    ) -> Planned<Parsed> {
        let plain = argument;
        let mut argument = self.output(argument)?;
        // DataFusion averages integers as floats; the sum stays exact when they stay integers.
        if let (AggregateFunction::Avg, Scalar::Cast(inner, DataType::Float64)) = (kind, &argument.scalar)
            && matches!(inner.data_type(), DataType::Int32 | DataType::Int64)
        {
            argument.scalar = (**inner).clone();
            if let Expr::Cast(cast) = plain {
                text = format!("avg({})", text_of(&cast.expr));
            }
        }
        if matches!(kind, AggregateFunction::Sum | AggregateFunction::Avg)
            && matches!(
                argument.scalar.data_type(),
                DataType::Boolean | DataType::Text | DataType::Bytes | DataType::Date
            )
        {
            return Err(Refusal::new(format!("{text}: only numbers can be added")).at_words(function.func.name()));
        }
        if let Some(filter) = &function.params.filter {
            let filter = self.scalar(filter)?;
            let data_type = argument.scalar.data_type();
            argument.scalar = Scalar::Case { branches: vec![(filter, argument.scalar)], otherwise: None, data_type };
        }
        let counts_rows = kind == AggregateFunction::Count
            && matches!(&argument.scalar, Scalar::Literal(value, _) if *value != Value::Null);
        if counts_rows {
            let text = "count(*)".to_string();
            return Ok(Parsed { function: AggregateFunction::CountAll, argument: None, data_type, text });
        }
        if matches!(kind, AggregateFunction::Min | AggregateFunction::Max) {
            argument.scalar = convert(argument.scalar, data_type);
        }
        Ok(Parsed { function: kind, argument: Some(argument), data_type, text })
    }
}
