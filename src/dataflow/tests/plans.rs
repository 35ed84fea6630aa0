//! A plan with every operator over three small tables.

use std::sync::Arc;

use crate::change::{Column, DataType, KeyColumn, Schema, TableId, Value};
use crate::plan::*;

const INT: DataType = DataType::Int64;

pub(super) struct Builder(pub(super) Graph);

pub(super) fn schema(types: &[DataType], key: Vec<KeyColumn>) -> Schema {
    let columns: Vec<_> = types.iter().enumerate().map(|(at, it)| Column::new(format!("c{at}"), *it)).collect();
    Schema { visible: columns.len(), columns: columns.into(), key: key.into() }
}

pub(super) fn up(columns: &[usize]) -> Vec<KeyColumn> {
    columns.iter().map(|it| KeyColumn::ascending(*it)).collect()
}

pub(super) fn col(input: usize, column: usize) -> Scalar {
    Scalar::Column(InputColumn { input, column }, INT)
}

pub(super) fn lit(value: i64) -> Scalar {
    Scalar::Literal(Value::Int(value), INT)
}

pub(super) fn compare(how: Comparison, left: Scalar, right: Scalar) -> Scalar {
    Scalar::Compare(how, Box::new(left), Box::new(right))
}

/// An error where `by` is 0.
pub(super) fn ten_by(by: Scalar) -> Scalar {
    Scalar::Arithmetic(Arithmetic::Divide, Box::new(lit(10)), Box::new(by), INT)
}

pub(super) fn program(filter: Option<Scalar>, outputs: Vec<Scalar>) -> Program {
    let texts = outputs.iter().map(|it| format!("{it:?}")).collect();
    Program { calls: Vec::new(), filter, outputs, texts }
}

impl Builder {
    pub(super) fn add(&mut self, label: &str, operator: Operator, schema: Schema, indexes: &[&[usize]]) -> NodeId {
        let kept = matches!(
            operator,
            Operator::Table(_)
                | Operator::Arrange { .. }
                | Operator::Order { .. }
                | Operator::Assemble { .. }
                | Operator::Aggregate { .. }
        );
        let stateless = matches!(operator, Operator::Map { .. }) && label.starts_with("unstored");
        self.0.nodes.push(Node {
            operator,
            schema,
            stored: !stateless,
            arranged: kept,
            indexes: indexes.iter().map(|it| it.to_vec()).collect(),
            fingerprint: Fingerprint(self.0.nodes.len() as u128),
            label: label.into(),
        });
        NodeId(self.0.nodes.len() - 1)
    }
}

fn lookup(node: NodeId, kind: JoinKind, key: (usize, usize), reverse: Option<usize>) -> Lookup {
    let key = vec![InputColumn { input: key.0, column: key.1 }];
    Lookup { node, kind, key, condition: None, reverse }
}

fn function(function: AggregateFunction, argument: Option<usize>, ordered: Option<NodeId>) -> Aggregate {
    let data_type = if function == AggregateFunction::Avg { DataType::Float64 } else { INT };
    Aggregate { function, argument, argument_type: INT, data_type, ordered, text: format!("{function:?}") }
}

/// The graph, and how many tables it begins with. Tables are (id, k, v).
pub(super) fn everything() -> (Graph, usize) {
    let mut it = Builder(Graph::default());
    let tables: Vec<_> =
        (0..3).map(|at| it.add("table", Operator::Table(TableId(at)), schema(&[INT; 3], up(&[0])), &[&[1]])).collect();
    let (a, b, c) = (tables[0], tables[1], tables[2]);
    let filter = Some(compare(Comparison::Greater, ten_by(col(0, 2)), lit(2)));
    let mapped = program(filter, vec![col(0, 1), col(0, 0), ten_by(col(0, 1))]);
    let map = Operator::Map { input: a, program: mapped };
    let map = it.add("unstored map", map, schema(&[INT; 3], up(&[1])), &[]);
    let arranged = it.add("arrange", Operator::Arrange { input: map }, schema(&[INT; 3], up(&[1])), &[&[0], &[2]]);
    let sums = aggregates(&mut it, b);
    assemblies(&mut it, (a, b, c), arranged, sums);
    joins(&mut it, (a, b, c), arranged);
    failing_keys(&mut it, (a, b), arranged, sums);
    unions(&mut it, (a, b), arranged);
    (it.0, 3)
}

fn aggregates(it: &mut Builder, b: NodeId) -> NodeId {
    let present = Some(Scalar::Not(Box::new(Scalar::IsNull(Box::new(col(0, 2))))));
    let order = |program| Operator::Order { input: b, program };
    let columns = || program(present.clone(), vec![col(0, 1), col(0, 2), col(0, 0)]);
    let least = it.add("order", order(columns()), schema(&[INT; 3], up(&[0, 1, 2])), &[]);
    let key = vec![KeyColumn::ascending(0), KeyColumn::descending(1), KeyColumn::ascending(2)];
    let greatest = it.add("order down", order(columns()), schema(&[INT; 3], key), &[]);
    let types = [INT, INT, INT, DataType::Float64, INT, INT, INT, INT, DataType::Bytes];
    let functions = |ordered: bool| {
        let mut all = vec![
            function(AggregateFunction::CountAll, None, None),
            function(AggregateFunction::Sum, Some(1), None),
            function(AggregateFunction::Avg, Some(1), None),
            function(AggregateFunction::Count, Some(1), None),
            function(AggregateFunction::Sum, Some(2), None),
        ];
        if ordered {
            all.push(function(AggregateFunction::Min, Some(1), Some(least)));
            all.push(function(AggregateFunction::Max, Some(1), Some(greatest)));
        }
        all
    };
    let arguments = program(None, vec![col(0, 1), col(0, 2), ten_by(col(0, 2))]);
    let grouped = Operator::Aggregate { input: b, program: arguments, groups: 1, aggregates: functions(true) };
    let sums = it.add("grouped", grouped, schema(&types, up(&[0])), &[]);
    let mut global = functions(false);
    global.iter_mut().for_each(|it| it.argument = it.argument.map(|it| it - 1));
    let filter = Some(compare(Comparison::Less, col(0, 1), lit(3)));
    let arguments = program(filter, vec![col(0, 2), ten_by(col(0, 2))]);
    let operator = Operator::Aggregate { input: b, program: arguments, groups: 0, aggregates: global };
    let types = [INT, INT, DataType::Float64, INT, INT, DataType::Bytes];
    it.add("global", operator, schema(&types, Vec::new()), &[]);
    let outputs = vec![Some(0), Some(2), Some(1), None];
    let top = |groups| Operator::TopN { input: greatest, groups, offset: 1, limit: 2, outputs: outputs.clone() };
    it.add("top-n", top(1), schema(&[INT; 4], up(&[0, 1])), &[]);
    it.add("top-n overall", top(0), schema(&[INT; 4], up(&[3])), &[]);
    sums
}

fn assemblies(it: &mut Builder, (a, b, c): (NodeId, NodeId, NodeId), arranged: NodeId, sums: NodeId) {
    // a, then b by a.k, then c by b.k, the groups by a's own key, and the mapped a by a's key.
    let mut lookups = vec![
        lookup(b, JoinKind::Left, (0, 1), Some(0)),
        lookup(c, JoinKind::Left, (1, 1), Some(1)),
        lookup(sums, JoinKind::Left, (0, 0), None),
        lookup(arranged, JoinKind::Left, (0, 0), None),
    ];
    lookups[1].condition = Some(compare(Comparison::GreaterOrEqual, ten_by(col(2, 2)), lit(3)));
    let outputs = vec![col(0, 0), col(1, 0), col(1, 2), col(2, 0), col(2, 2), col(3, 1), col(4, 2)];
    let sum = Scalar::Arithmetic(Arithmetic::Add, Box::new(col(0, 2)), Box::new(col(3, 4)), INT);
    let outputs = [outputs, vec![sum]].concat();
    let assemble =
        |lookups, filter| Operator::Assemble { driver: a, lookups, program: program(filter, outputs.clone()) };
    let left = it.add("assemble left", assemble(lookups.clone(), None), schema(&[INT; 8], up(&[0])), &[]);
    lookups.iter_mut().for_each(|it| it.kind = JoinKind::Inner);
    lookups.pop();
    let outputs = vec![col(0, 0), col(1, 0), col(1, 2), col(2, 0), col(3, 4)];
    let filter = Some(compare(Comparison::NotEqual, ten_by(col(0, 2)), lit(5)));
    let inner = Operator::Assemble { driver: a, lookups, program: program(filter, outputs) };
    it.add("assemble inner", inner, schema(&[INT; 5], up(&[0])), &[]);
    // An error in the driver's join column.
    let lookups = vec![lookup(b, JoinKind::Left, (0, 2), Some(0))];
    let outputs = vec![col(0, 1), col(1, 0), col(1, 2)];
    let erring = Operator::Assemble { driver: arranged, lookups, program: program(None, outputs) };
    it.add("assemble with errors", erring, schema(&[INT; 3], up(&[0])), &[]);
    let view = Operator::Map { input: left, program: program(None, vec![col(0, 2), col(0, 0)]) };
    it.add("view on a view", view, schema(&[INT; 2], up(&[1])), &[]);
}

fn joins(it: &mut Builder, (a, b, _): (NodeId, NodeId, NodeId), arranged: NodeId) {
    let at = |input, column| InputColumn { input, column };
    let probe = |input, column, from| Probe { input, on: vec![(column, from)], unique: column == 0 };
    // a ⋈ a on k, ⋈ b on b.k = the second a's v.
    let conditions =
        vec![JoinCondition { left: at(0, 1), right: at(1, 1) }, JoinCondition { left: at(1, 2), right: at(2, 1) }];
    let terms = vec![
        vec![probe(1, 1, at(0, 1)), probe(2, 1, at(1, 2))],
        vec![probe(0, 1, at(1, 1)), probe(2, 1, at(1, 2))],
        vec![probe(1, 2, at(2, 1)), probe(0, 1, at(1, 1))],
    ];
    let outputs = vec![col(0, 0), col(1, 0), col(2, 0), ten_by(col(2, 2)), col(0, 2)];
    let filter = Some(compare(Comparison::LessOrEqual, col(0, 2), col(2, 2)));
    let join = Operator::Join { inputs: vec![a, a, b], conditions, terms, program: program(filter, outputs) };
    it.0.nodes[a.0].indexes.push(vec![2]);
    it.add("self-join", join, schema(&[INT; 5], up(&[0, 1, 2])), &[]);
    // By unique key one way, with a second equality nothing probes.
    let conditions =
        vec![JoinCondition { left: at(0, 1), right: at(1, 0) }, JoinCondition { left: at(0, 2), right: at(1, 2) }];
    let terms = vec![vec![probe(1, 0, at(0, 1))], vec![probe(0, 1, at(1, 0))]];
    let join = Operator::Join {
        inputs: vec![a, b],
        conditions,
        terms,
        program: program(None, vec![col(0, 0), col(1, 0), col(1, 1)]),
    };
    it.add("join", join, schema(&[INT; 3], up(&[0, 1])), &[]);
    let outputs = vec![col(0, 0), col(1, 0), col(0, 1), col(1, 2), ten_by(col(1, 2))];
    let conditions = [None, Some(compare(Comparison::LessOrEqual, ten_by(col(0, 2)), col(1, 2)))];
    for condition in conditions {
        let program = program(None, outputs.clone());
        let left = Operator::LeftJoin { left: a, right: b, on: vec![(1, 1)], condition, program };
        it.add("left join", left, schema(&[INT; 5], up(&[0, 1])), &[]);
    }
    let program = program(None, vec![col(0, 1), col(1, 0), col(1, 2)]);
    let left = Operator::LeftJoin { left: arranged, right: a, on: vec![(2, 1)], condition: None, program };
    it.add("left join with errors", left, schema(&[INT; 3], up(&[0, 1])), &[]);
}

/// Joins and look-ups by columns, also key columns, that may be errors.
fn failing_keys(it: &mut Builder, (a, b): (NodeId, NodeId), arranged: NodeId, sums: NodeId) {
    let at = |input, column| InputColumn { input, column };
    let probe = |input, column, from| Probe { input, on: vec![(column, from)], unique: false };
    let on = |left, right| JoinCondition { left, right };
    // Three inputs in a circle: each pair of them is compared.
    let conditions = vec![on(at(0, 2), at(1, 1)), on(at(1, 2), at(2, 2)), on(at(2, 0), at(0, 0))];
    let terms = vec![
        vec![probe(1, 1, at(0, 2)), probe(2, 2, at(1, 2))],
        vec![probe(0, 2, at(1, 1)), probe(2, 0, at(0, 0))],
        vec![probe(0, 0, at(2, 0)), probe(1, 1, at(0, 2))],
    ];
    let filter = Some(compare(Comparison::NotEqual, col(1, 1), lit(4)));
    let program_of_three = program(filter, vec![col(0, 1), col(1, 0), col(2, 1), col(1, 2), col(0, 2)]);
    let inputs = vec![arranged, a, arranged];
    let join = Operator::Join { inputs, conditions, terms, program: program_of_three };
    it.add("join in a circle", join, schema(&[INT; 5], up(&[0, 1, 2])), &[]);

    let present = Some(Scalar::Not(Box::new(Scalar::IsNull(Box::new(col(0, 1))))));
    let aggregates = vec![function(AggregateFunction::CountAll, None, None)];
    let grouping = program(present, vec![ten_by(col(0, 1))]);
    let groups = Operator::Aggregate { input: b, program: grouping, groups: 1, aggregates };
    let mut keyed = schema(&[INT, INT, DataType::Bytes], up(&[0]));
    let mut columns = keyed.columns.to_vec();
    columns[0].nullable = false;
    keyed.columns = columns.into();
    let groups = it.add("keyed by what may fail", groups, keyed, &[]);
    // The groups' part of the key is taken from the other side.
    let terms = vec![vec![probe(1, 2, at(0, 0))], vec![probe(0, 0, at(1, 2))]];
    let outputs = vec![col(1, 2), col(1, 1), col(0, 1), lit(7)];
    let join = Operator::Join {
        inputs: vec![groups, arranged],
        conditions: vec![on(at(0, 0), at(1, 2))],
        terms,
        program: program(None, outputs),
    };
    it.add("join of failing keys", join, schema(&[INT; 4], up(&[0, 1])), &[]);
    for kind in [JoinKind::Inner, JoinKind::Left] {
        let lookups = vec![lookup(sums, kind, (0, 0), None)];
        let outputs = vec![col(0, 0), col(0, 1), col(1, 1)];
        let assemble = Operator::Assemble { driver: groups, lookups, program: program(None, outputs) };
        it.add("assemble by failing keys", assemble, schema(&[INT; 3], up(&[0])), &[]);
    }
}

fn unions(it: &mut Builder, (a, b): (NodeId, NodeId), arranged: NodeId) {
    let branch = |number, first| program(None, vec![col(0, first), col(0, 1 - first), lit(number)]);
    let inputs = vec![(a, branch(0, 1)), (b, branch(1, 1)), (a, branch(2, 1)), (arranged, branch(3, 0))];
    let mut output = schema(&[INT; 3], up(&[1, 2]));
    output.columns = Arc::from(output.columns.to_vec());
    it.add("union all", Operator::UnionAll { inputs }, output, &[]);
}
