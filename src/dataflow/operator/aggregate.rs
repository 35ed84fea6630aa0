//! Aggregation: touched groups are sorted, each group's accumulators are read from its row, updated and written back.

use std::borrow::Cow;

use super::accumulator::{Accumulator, put_signed, signed};
use super::map::sides;
use super::{Context, Input, describe};
use crate::change::{Collation, DataType, Datum, Delta, KeyColumn, Row, RowBuilder, encode_datum};
use crate::dataflow::arrangement::{Hashed, PROBES};
use crate::dataflow::expression::{CallResults, Scope, evaluate_calls, explained, is_fresh};
use crate::plan::{Aggregate as Function, AggregateFunction, Graph, NodeId, Program};

/// Why nobody knows whether a group exists.
const UNDECIDED_GROUP: &str = "of none of the group's rows could be computed whether it belongs there";

/// A running aggregation.
#[derive(Debug)]
pub(crate) struct Aggregate {
    node: NodeId,
    input: NodeId,
    groups: usize,
    /// The output's key: group columns and how they are encoded.
    key: Vec<(usize, DataType, KeyColumn, Collation)>,
    /// For each min and max, its ordered relation and how its group columns are encoded.
    ordered: Vec<Option<(NodeId, Vec<(KeyColumn, Collation)>)>>,
    accumulators: Vec<Accumulator>,
    keys: Vec<u8>,
    touches: Vec<Touch>,
    builder: RowBuilder,
    state: Vec<u8>,
    text: String,
}

/// One input row that entered or left a group.
#[derive(Debug, Clone, Copy)]
struct Touch {
    /// Eight bytes behind the key's first, so that most comparisons look no further; only equality matters.
    head: u64,
    start: u32,
    end: u32,
    row: u32,
    insert: bool,
}

/// Of how many rows a group consists.
#[derive(Debug, Clone, Copy, Default)]
struct Rows {
    count: i64,
    /// Of these, those of which nobody knows whether they belong to it.
    undecided: i64,
}

/// The order in which rows of one group follow each other.
fn order(keys: &[u8], a: &Touch, b: &Touch) -> std::cmp::Ordering {
    let key = |it: &Touch| &keys[it.start as usize..it.end as usize];
    a.head.cmp(&b.head).then_with(|| key(a).cmp(key(b)))
}

/// What a group is updated with: the plan, and the rows of this epoch.
struct Work<'r, 'p> {
    context: &'p Context<'r>,
    program: &'p Program,
    functions: &'p [Function],
    rows: &'p [Input<'r>],
    calls: CallResults,
}

impl Aggregate {
    pub(crate) fn new(graph: &Graph, node: NodeId, input: NodeId, groups: usize, functions: &[Function]) -> Aggregate {
        let schema = &graph.nodes[node.0].schema;
        let column =
            |it: &KeyColumn| (it.column, schema.data_type(it.column), *it, schema.columns[it.column].collation);
        let order = |node: NodeId| {
            let schema = &graph.nodes[node.0].schema;
            let parts = schema.key.iter().take(groups);
            (node, parts.map(|it| (*it, schema.columns[it.column].collation)).collect())
        };
        Aggregate {
            node,
            input,
            groups,
            key: schema.key.iter().map(column).collect(),
            ordered: functions.iter().map(|it| it.ordered.map(order)).collect(),
            accumulators: functions.iter().map(|_| Accumulator::default()).collect(),
            keys: Vec::new(),
            touches: Vec::new(),
            builder: RowBuilder::new(),
            state: Vec::new(),
            text: String::new(),
        }
    }

    /// Appends the deltas of every group that `deltas` touch.
    pub(crate) fn run(
        &mut self,
        context: &Context<'_>,
        (program, functions): (&Program, &[Function]),
        own: &Hashed,
        deltas: &[Delta],
        out: &mut Vec<Delta>,
    ) {
        let rows: Vec<_> = sides(deltas).map(Input::Row).collect();
        let calls = evaluate_calls(program, &rows, 1);
        let work = Work { context, program, functions, rows: &rows, calls };
        let mut touches = std::mem::take(&mut self.touches);
        touches.clear();
        self.keys.clear();
        let signs = deltas.iter().flat_map(|it| it.old.iter().map(|_| false).chain(it.new.iter().map(|_| true)));
        for (row, insert) in signs.enumerate() {
            touches.extend(self.touch(&work, row, insert));
        }
        touches.sort_unstable_by(|a, b| order(&self.keys, a, b).then(a.row.cmp(&b.row)));
        let keys = std::mem::take(&mut self.keys);
        let key = |group: &[Touch]| &keys[group[0].start as usize..group[0].end as usize];
        let mut groups = touches.chunk_by(|a, b| order(&keys, a, b).is_eq()).peekable();
        let mut slots = Vec::new();
        while groups.peek().is_some() {
            let chunk: Vec<&[Touch]> = groups.by_ref().take(PROBES).collect();
            slots.clear();
            own.find_all(chunk.iter().map(|it| key(it)), &mut slots);
            for (group, slot) in chunk.into_iter().zip(&slots) {
                out.extend(self.group(&work, group, key(group), own.row(*slot)));
            }
        }
        self.keys = keys;
        self.touches = touches;
    }

    /// The one row of a global aggregate over nothing.
    pub(crate) fn empty(&mut self, context: &Context<'_>, functions: &[Function]) -> Option<Row> {
        self.accumulators.iter_mut().for_each(Accumulator::reset);
        (self.groups == 0).then(|| {
            let program = Program::default();
            let work = Work { context, program: &program, functions, rows: &[], calls: CallResults::new() };
            self.build(&work, &[], Rows::default(), &[])
        })
    }

    /// Where one input row belongs, unless the filter drops it.
    fn touch(&mut self, work: &Work<'_, '_>, row: usize, insert: bool) -> Option<Touch> {
        if let Some(Datum::Boolean(false) | Datum::Null) = work.filter(row) {
            return None;
        }
        let start = self.keys.len();
        for (column, _, part, collation) in &self.key {
            let datum = work.value(*column, row, &mut self.text);
            encode_datum(datum, *part, *collation, &mut self.keys);
        }
        let head = self.keys[start..].get(1..).unwrap_or_default();
        let mut bytes = [0; 8];
        let length = head.len().min(8);
        bytes[..length].copy_from_slice(&head[..length]);
        let head = u64::from_be_bytes(bytes);
        Some(Touch { head, start: start as u32, end: self.keys.len() as u32, row: row as u32, insert })
    }

    /// The delta of the group under `key`, whose row was `old`.
    fn group(&mut self, work: &Work<'_, '_>, touches: &[Touch], key: &[u8], old: Option<&Row>) -> Option<Delta> {
        let mut rows = self.read(work.functions, old);
        for touch in touches {
            let sign = if touch.insert { 1 } else { -1 };
            rows.count += sign;
            let row = touch.row as usize;
            let failed = match work.filter(row) {
                Some(Datum::Error(message)) => Some(explained("WHERE", message)),
                _ => work.undecided(row).map(Cow::Borrowed),
            };
            rows.undecided += if failed.is_some() { sign } else { 0 };
            for (function, accumulator) in work.functions.iter().zip(&mut self.accumulators) {
                let datum = match (&failed, function.argument) {
                    (Some(message), _) => Datum::Error(message),
                    (None, None) => continue,
                    (None, Some(argument)) => work.argument(argument, row, self.input, &mut self.text),
                };
                accumulator.update(function, datum, touch.insert);
            }
        }
        let new = (rows.count != 0 || self.groups == 0).then(|| self.build(work, key, rows, touches));
        let changed = old != new.as_ref();
        changed.then(|| Delta { old: old.cloned(), new })
    }

    /// Reads the accumulators from the group's row; the numbers of its rows.
    fn read(&mut self, functions: &[Function], old: Option<&Row>) -> Rows {
        let Some(old) = old else {
            self.accumulators.iter_mut().for_each(Accumulator::reset);
            return Rows::default();
        };
        const WRITTEN: &str = "the state of a group is as this version of it was written";
        let Datum::Bytes(mut bytes) = old.get(old.width() - 1, DataType::Bytes) else { panic!("{WRITTEN}") };
        let [count, undecided] = [(); 2].map(|()| signed(&mut bytes).expect(WRITTEN));
        for (function, accumulator) in functions.iter().zip(&mut self.accumulators) {
            accumulator.decode(function, &mut bytes).expect(WRITTEN);
        }
        assert!(bytes.is_empty(), "{WRITTEN}");
        Rows { count, undecided }
    }

    /// The group's row from the accumulators.
    fn build(&mut self, work: &Work<'_, '_>, key: &[u8], rows: Rows, touches: &[Touch]) -> Row {
        let schema = &work.context.graph.nodes[self.node.0].schema;
        // The representative is the row that stays, so that equal keys with different spellings settle on one.
        let of = touches.iter().rev().find(|it| it.insert).or(touches.first()).copied();
        for column in 0..self.groups {
            let datum = of.map_or(Datum::Null, |it| work.value(column, it.row as usize, &mut self.text));
            self.builder.push(datum, schema.data_type(column));
        }
        for (at, function) in work.functions.iter().enumerate() {
            let accumulator = &self.accumulators[at];
            let mut datum = accumulator.result(function, rows.count, &mut self.text);
            if let (Datum::Null, Some((node, parts))) = (datum, &self.ordered[at]) {
                self.state.clear();
                for (column, (part, collation)) in parts.iter().enumerate() {
                    let mut text = String::new();
                    let value = of.map_or(Datum::Null, |it| work.value(column, it.row as usize, &mut text));
                    encode_datum(value, *part, *collation, &mut self.state);
                }
                datum = extreme(work.context, *node, self.groups, &self.state, function);
            }
            self.builder.push(datum, function.data_type);
        }
        self.state.clear();
        assert!((0..=rows.count).contains(&rows.undecided), "a group has no more undecided rows than rows: {rows:?}");
        put_signed(rows.count, &mut self.state);
        put_signed(rows.undecided, &mut self.state);
        for (function, accumulator) in work.functions.iter().zip(&self.accumulators) {
            accumulator.encode(function, &mut self.state);
        }
        self.builder.push(Datum::Bytes(&self.state), DataType::Bytes);
        if rows.count > 0 && rows.undecided == rows.count && self.groups > 0 {
            self.builder.mark_undecided(UNDECIDED_GROUP);
        }
        self.builder.finish(key)
    }
}

impl<'r> Work<'r, '_> {
    fn scope(&self, row: usize) -> Scope<'_> {
        Scope { inputs: &self.rows[row..=row], calls: &self.calls, row }
    }

    /// The error of an input row that perhaps does not belong to its relation.
    fn undecided(&self, row: usize) -> Option<&str> {
        match &self.rows[row] {
            Input::Row(it) => it.undecided(),
            _ => None,
        }
    }

    fn filter(&self, row: usize) -> Option<Datum<'_>> {
        self.program.filter.as_ref().map(|it| self.scope(row).eval(it))
    }

    /// Output `at` of the program; an error that arose in it is told in `text`.
    fn value<'t>(&'t self, at: usize, row: usize, text: &'t mut String) -> Datum<'t> {
        match self.scope(row).eval(&self.program.outputs[at]) {
            Datum::Error(message) if is_fresh(message) => {
                *text = explained(self.text(at), message).into_owned();
                Datum::Error(text)
            }
            datum => datum,
        }
    }

    /// The same, naming the row whose value it is: in the group's row it could not be told otherwise.
    fn argument<'t>(&'t self, at: usize, row: usize, input: NodeId, text: &'t mut String) -> Datum<'t> {
        match self.scope(row).eval(&self.program.outputs[at]) {
            Datum::Error(message) if is_fresh(message) => {
                let named = match &self.rows[row] {
                    Input::Row(it) => describe(it, &self.context.graph.nodes[input.0].schema),
                    _ => String::new(),
                };
                *text = format!("{}: {message} (row {named})", self.text(at));
                Datum::Error(text)
            }
            datum => datum,
        }
    }

    fn text(&self, at: usize) -> &str {
        self.program.texts.get(at).map_or("expression", String::as_str)
    }
}

/// The least (of a descending relation: the greatest) value of a group.
fn extreme<'a>(context: &Context<'a>, node: NodeId, column: usize, prefix: &[u8], function: &Function) -> Datum<'a> {
    debug_assert!(matches!(function.function, AggregateFunction::Min | AggregateFunction::Max));
    let relation = &context.relations[node.0];
    relation.ordered.first(prefix).map_or(Datum::Null, |it| it.get(column, function.argument_type))
}
