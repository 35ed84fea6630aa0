//! The naive recomputation: every operator by nested loops over whole relations.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::Rows;
use crate::change::{Datum, Row, RowBuilder, Schema, Value, encode_key};
use crate::dataflow::expression::{Input, Scope};
use crate::dataflow::operator::describe;
use crate::plan::*;

/// All nodes' rows from the tables in `state`.
pub(super) fn recompute(graph: &Graph, state: &[Rows]) -> Vec<Rows> {
    let mut all: Vec<Rows> = Vec::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        let mut out = Rows::new();
        let emit = &mut |row: Option<Row>| {
            if let Some(row) = row {
                assert!(out.insert(row.key().to_vec(), row).is_none(), "{}: a key twice", node.label);
            }
        };
        match &node.operator {
            Operator::Table(_) => out = state[at].clone(),
            Operator::Arrange { input } => out = all[input.0].clone(),
            Operator::Map { input, program } | Operator::Order { input, program } => {
                all[input.0].values().for_each(|row| emit(image(program, &node.schema, &[Input::Row(row)], None)));
            }
            Operator::UnionAll { inputs } => inputs.iter().for_each(|(input, program)| {
                all[input.0].values().for_each(|row| emit(image(program, &node.schema, &[Input::Row(row)], None)));
            }),
            Operator::Assemble { driver, lookups, program } => all[driver.0].values().for_each(|row| {
                let inputs = assemble(graph, &all, row, lookups);
                emit(inputs.and_then(|(it, failed)| image(program, &node.schema, &it, failed.as_deref())));
            }),
            Operator::Join { inputs, conditions, program, .. } => {
                let mut alone = |inputs: &[Input<'_>], message: &str| {
                    emit(image(program, &node.schema, inputs, Some(message)));
                };
                joined_with_nothing(graph, &all, (inputs, conditions), &mut alone);
                join(graph, &all, (inputs, conditions), &mut Vec::new(), &mut |it| {
                    emit(image(program, &node.schema, it, None))
                });
            }
            Operator::LeftJoin { left, right, on, condition, program } => {
                let schemas = (&graph.nodes[left.0].schema, &graph.nodes[right.0].schema);
                for row in all[left.0].values() {
                    let rights = all[right.0].values();
                    for (inputs, failed) in left_join(schemas, row, rights, on, condition.as_ref()) {
                        emit(match failed {
                            None => image(program, &node.schema, &inputs, None),
                            Some(message) => without_right(program, &node.schema, &inputs, message),
                        });
                    }
                }
            }
            Operator::Aggregate { input, program, groups, aggregates } => {
                let schema = &node.schema;
                aggregate(schema, all[input.0].values(), program, *groups, aggregates)
                    .into_iter()
                    .for_each(|it| emit(Some(it)));
            }
            Operator::TopN { input, groups, offset, limit, outputs } => {
                let source = &graph.nodes[input.0].schema;
                let mut numbers: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
                for row in all[input.0].values() {
                    let mut group = Vec::new();
                    encode_key(
                        &source.key[..*groups],
                        &source.columns,
                        |it| row.get(it, source.data_type(it)),
                        &mut group,
                    );
                    let number = numbers.entry(group).or_default();
                    *number += 1;
                    if *number > *offset && *number <= offset + limit {
                        let cell = |it: &Option<usize>| match it {
                            Some(column) => row.get(*column, source.data_type(*column)).to_value(),
                            None => Value::Int(*number as i64),
                        };
                        emit(Some(build(&node.schema, &outputs.iter().map(cell).collect::<Vec<_>>())));
                    }
                }
            }
        }
        all.push(out);
    }
    all
}

fn build(schema: &Schema, cells: &[Value]) -> Row {
    let mut builder = RowBuilder::new();
    cells.iter().enumerate().for_each(|(at, it)| builder.push(it.as_datum(), schema.data_type(at)));
    let mut key = Vec::new();
    schema.encode_key(|it| cells[it].as_datum(), &mut key);
    builder.finish(&key)
}

fn values(program: &Program, inputs: &[Input<'_>]) -> Vec<Value> {
    let cell = |(at, it): (usize, _)| match (Scope { inputs, calls: &[], row: 0 }).eval(it) {
        Datum::Error(message) => Value::Error(told(&program.texts[at], message)),
        datum => datum.to_value(),
    };
    program.outputs.iter().enumerate().map(cell).collect()
}

fn image(program: &Program, schema: &Schema, inputs: &[Input<'_>], failed: Option<&str>) -> Option<Row> {
    let mut cells = values(program, inputs);
    let verdict = program.filter.as_ref().map(|it| (Scope { inputs, calls: &[], row: 0 }).eval(it));
    let failed = match verdict {
        None | Some(Datum::Boolean(true)) => failed.map(str::to_owned),
        Some(Datum::Error(message)) => Some(told("WHERE", message)),
        _ => return None,
    };
    if let Some(message) = failed {
        for (at, cell) in cells.iter_mut().enumerate() {
            if schema.key.iter().all(|it| it.column != at) {
                *cell = Value::Error(message.clone());
            }
        }
    }
    Some(build(schema, &cells))
}

/// The row of a left join whose condition is an error: but for the key, all of the right side is that error.
fn without_right(program: &Program, schema: &Schema, inputs: &[Input<'_>; 2], message: String) -> Option<Row> {
    let failed = [inputs[0].clone(), Input::Error(Cow::Owned(message))];
    let image = image(program, schema, &failed, None)?;
    let keys = values(program, inputs);
    let cell = |(at, key): (usize, Value)| match schema.key.iter().any(|it| it.column == at) {
        true => key,
        false => image.get(at, schema.data_type(at)).to_value(),
    };
    Some(build(schema, &keys.into_iter().enumerate().map(cell).collect::<Vec<_>>()))
}

/// An error, said with the text of the expression it arose in.
fn told(text: &str, message: &str) -> String {
    if message.contains(": ") { message.into() } else { format!("{text}: {message}") }
}

fn equal(left: Datum<'_>, right: Datum<'_>) -> bool {
    !matches!(left, Datum::Null | Datum::Error(_)) && left == right
}

/// The inputs of a row, and the error for which nobody knows whether it exists.
fn assemble<'a>(
    graph: &Graph,
    all: &'a [Rows],
    row: &'a Row,
    lookups: &[Lookup],
) -> Option<(Vec<Input<'a>>, Option<String>)> {
    let mut inputs = vec![Input::Row(row)];
    let mut failed = None;
    for lookup in lookups {
        let schema = &graph.nodes[lookup.node.0].schema;
        let key = (lookup.key[0], schema.key[0].column);
        let data_type = schema.data_type(key.1);
        let probe = inputs[key.0.input].cell(key.0.column, data_type).to_value();
        if let Value::Error(message) = probe {
            if lookup.kind == JoinKind::Inner {
                failed.get_or_insert(message.clone());
            }
            inputs.push(Input::Error(Cow::Owned(message)));
            continue;
        }
        let mut rows = all[lookup.node.0].values();
        let found = rows.find(|it| equal(it.get(key.1, data_type), probe.as_datum()));
        inputs.push(found.map_or(Input::Absent, Input::Row));
        if let (Some(_), Some(condition)) = (found, &lookup.condition) {
            let verdict = match (Scope { inputs: &inputs, calls: &[], row: 0 }).eval(condition) {
                Datum::Error(message) => {
                    let message = told("join condition", message);
                    if lookup.kind == JoinKind::Inner {
                        failed.get_or_insert(message.clone());
                    }
                    Some(Input::Error(Cow::Owned(message)))
                }
                Datum::Boolean(true) => None,
                _ => Some(Input::Absent),
            };
            if let Some(verdict) = verdict {
                inputs.pop();
                inputs.push(verdict);
            }
        }
        if lookup.kind == JoinKind::Inner && matches!(inputs.last(), Some(Input::Absent)) {
            return None;
        }
    }
    Some((inputs, failed))
}

/// The rows that join nothing because a value by which they are joined is an error, each by itself.
fn joined_with_nothing(
    graph: &Graph,
    all: &[Rows],
    (nodes, conditions): (&[NodeId], &[JoinCondition]),
    emit: &mut dyn FnMut(&[Input<'_>], &str),
) {
    for (at, node) in nodes.iter().enumerate() {
        let schema = &graph.nodes[node.0].schema;
        for row in all[node.0].values() {
            let Some(message) = join_error(schema, at, row, conditions) else { continue };
            let message = format!("{message} (row {} of input {})", describe(row, schema), at + 1);
            let mut inputs = vec![Input::Error(Cow::Borrowed(&message[..])); nodes.len()];
            inputs[at] = Input::Row(row);
            emit(&inputs, &message);
        }
    }
}

/// The error in one of the columns by which a row is joined.
fn join_error<'r>(schema: &Schema, input: usize, row: &'r Row, conditions: &[JoinCondition]) -> Option<&'r str> {
    let sides = conditions.iter().flat_map(|it| [it.left, it.right]).filter(|it| it.input == input);
    let columns: BTreeSet<usize> = sides.map(|it| it.column).collect();
    columns.into_iter().find_map(|it| match row.get(it, schema.data_type(it)) {
        Datum::Error(message) => Some(message),
        _ => None,
    })
}

fn join<'a>(
    graph: &Graph,
    all: &'a [Rows],
    (nodes, conditions): (&[NodeId], &[JoinCondition]),
    fixed: &mut Vec<Input<'a>>,
    emit: &mut dyn FnMut(&[Input<'a>]),
) {
    let Some(node) = nodes.get(fixed.len()) else {
        // An error equals nothing.
        let cell = |it: InputColumn| {
            fixed[it.input].cell(it.column, graph.nodes[nodes[it.input].0].schema.data_type(it.column))
        };
        if conditions.iter().all(|it| equal(cell(it.left), cell(it.right))) {
            emit(fixed);
        }
        return;
    };
    for row in all[node.0].values() {
        fixed.push(Input::Row(row));
        join(graph, all, (nodes, conditions), fixed, emit);
        fixed.pop();
    }
}

fn left_join<'a>(
    (left_schema, right_schema): (&Schema, &Schema),
    left: &'a Row,
    rights: impl Iterator<Item = &'a Row>,
    on: &[(usize, usize)],
    condition: Option<&Scalar>,
) -> Vec<([Input<'a>; 2], Option<String>)> {
    let key = left.get(on[0].0, left_schema.data_type(on[0].0));
    if let Datum::Error(message) = key {
        return vec![([Input::Row(left), Input::Error(Cow::Borrowed(message))], None)];
    }
    let mut out = Vec::new();
    for right in rights.filter(|it| equal(it.get(on[0].1, right_schema.data_type(on[0].1)), key)) {
        let inputs = [Input::Row(left), Input::Row(right)];
        let verdict = condition.map(|it| (Scope { inputs: &inputs, calls: &[], row: 0 }).eval(it).to_value());
        match verdict {
            None | Some(Value::Boolean(true)) => out.push((inputs, None)),
            Some(Value::Error(message)) => out.push((inputs, Some(told("join condition", &message)))),
            _ => {}
        }
    }
    if out.is_empty() {
        out.push(([Input::Row(left), Input::Absent], None));
    }
    out
}

fn aggregate<'a>(
    schema: &Schema,
    rows: impl Iterator<Item = &'a Row>,
    program: &Program,
    groups: usize,
    functions: &[Aggregate],
) -> Vec<Row> {
    let mut by_group: Vec<(Vec<Value>, Vec<Vec<Value>>)> = Vec::new();
    if groups == 0 {
        by_group.push(Default::default());
    }
    for row in rows {
        let inputs = [Input::Row(row)];
        let verdict = program.filter.as_ref().map(|it| (Scope { inputs: &inputs, calls: &[], row: 0 }).eval(it));
        if matches!(verdict, Some(Datum::Null | Datum::Boolean(false))) {
            continue;
        }
        assert!(!matches!(verdict, Some(Datum::Error(_))), "these plans have no such filter");
        let mut cells = values(program, &inputs);
        let rest = cells.split_off(groups);
        match by_group.iter_mut().find(|(group, _)| *group == cells) {
            Some((_, rows)) => rows.push(rest),
            None => by_group.push((cells, vec![rest])),
        }
    }
    let finish = |(group, rows): (Vec<Value>, Vec<Vec<Value>>)| {
        let results = functions.iter().map(|it| result(it, groups, &rows));
        build(schema, &group.into_iter().chain(results).chain([Value::Bytes(Vec::new())]).collect::<Vec<_>>())
    };
    by_group.into_iter().map(finish).collect()
}

fn result(function: &Aggregate, groups: usize, rows: &[Vec<Value>]) -> Value {
    let Some(argument) = function.argument else { return Value::Int(rows.len() as i64) };
    let mut ints = Vec::new();
    for row in rows {
        match &row[argument - groups] {
            Value::Int(it) => ints.push(*it),
            Value::Null => {}
            other => return other.clone(),
        }
    }
    let distinct: BTreeSet<i64> = ints.iter().copied().collect();
    let some = |it: Option<&i64>| it.map_or(Value::Null, |it| Value::Int(*it));
    match function.function {
        AggregateFunction::Count | AggregateFunction::CountAll => Value::Int(ints.len() as i64),
        AggregateFunction::Min => some(distinct.first()),
        AggregateFunction::Max => some(distinct.last()),
        _ if ints.is_empty() => Value::Null,
        AggregateFunction::Sum => Value::Int(ints.iter().sum()),
        AggregateFunction::Avg => Value::Float(ints.iter().sum::<i64>() as f64 / ints.len() as f64),
    }
}
