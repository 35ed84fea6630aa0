//! The assembly join: gathers the driver rows an epoch touches, then builds each view row once.
//!
//! Rows are assembled in chunks, look-up by look-up, so that the cache misses of a chunk overlap; the outcome is
//! compared with the row that is kept, so that many changes of one key cost one delta and no-ops none.

use std::borrow::Cow;

use super::access::{Access, ProbeKey};
use super::{Context, Input};
use crate::change::{Collation, DataType, Datum, Delta, KeyColumn, Row, encode_datum};
use crate::dataflow::arrangement::{Hashed, NOT_FOUND, PROBES};
use crate::dataflow::expression::{Failed, RowProgram, Scope, evaluate_calls, explained};
use crate::plan::{Graph, InputColumn, JoinKind, Lookup, NodeId, Program, Scalar, has_call};

/// Rows assembled at a time where calls run on Arrow batches.
const CHUNK_WITH_CALLS: usize = 8192;

/// A running assembly join.
#[derive(Debug)]
pub(crate) struct Assemble {
    inputs: Vec<NodeId>,
    lookups: Vec<Running>,
    rows: RowProgram,
    /// Key columns of the driver, encoded as the output's key; empty when the driver's key is the output's.
    key: Vec<(usize, DataType, KeyColumn, Collation)>,
    touched: Vec<u32>,
    probes: Vec<Pending>,
    dropped: Vec<bool>,
    keys: Vec<u8>,
}

/// A look-up and its way back.
#[derive(Debug)]
struct Running {
    access: Access,
    /// The input whose encoded key is the probed key.
    carried: Option<usize>,
    /// From a row of the looked-up relation (as input 0) to the rows of `towards` that found it.
    back: Access,
    towards: usize,
    /// Whether one key has several spellings, so that a change may leave driver rows behind that only the old one finds.
    respelled: bool,
    condition_calls: bool,
}

/// One probe of a chunk.
#[derive(Debug, Clone, Copy)]
struct Pending {
    row: u32,
    start: u32,
    end: u32,
    slot: u32,
    hash: u64,
}

impl Assemble {
    pub(crate) fn new(graph: &Graph, node: NodeId, driver: NodeId, lookups: &[Lookup], program: &Program) -> Assemble {
        let inputs: Vec<NodeId> = std::iter::once(driver).chain(lookups.iter().map(|it| it.node)).collect();
        let running = lookups.iter().map(|it| Running::new(graph, it, &inputs)).collect();
        let schema = &graph.nodes[node.0].schema;
        let source = &graph.nodes[driver.0].schema;
        let pairs = || schema.key.iter().zip(source.key.iter());
        let same = pairs().all(|(ours, theirs)| {
            (ours.descending, ours.nulls_first) == (theirs.descending, theirs.nulls_first)
                && schema.columns[ours.column].collation == source.columns[theirs.column].collation
        });
        let part = |(ours, theirs): (&KeyColumn, &KeyColumn)| {
            (theirs.column, source.data_type(theirs.column), *ours, schema.columns[ours.column].collation)
        };
        let schemas: Vec<_> = inputs.iter().map(|it| &graph.nodes[it.0].schema).collect();
        let is_optional = |it: &usize| lookups[it - 1].kind != JoinKind::Inner;
        let optional: Vec<usize> = (1..=lookups.len()).filter(is_optional).collect();
        Assemble {
            lookups: running,
            rows: RowProgram::new(program, schema, &schemas, &optional),
            key: if same { Vec::new() } else { pairs().map(part).collect() },
            inputs,
            touched: Vec::new(),
            probes: Vec::new(),
            dropped: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Appends the deltas of every driver row that the inputs' deltas touch.
    pub(crate) fn run(
        &mut self,
        context: &Context<'_>,
        lookups: &[Lookup],
        program: &Program,
        own: &Hashed,
        deltas: &[&[Delta]],
        out: &mut Vec<Delta>,
    ) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.clear();
        let driver = &context.relations[self.inputs[0].0].hashed;
        for deltas in deltas[0].chunks(PROBES) {
            driver.find_all(deltas.iter().filter_map(|it| it.new.as_ref()).map(Row::key), &mut touched);
        }
        for delta in deltas[0] {
            match (&delta.new, &delta.old) {
                (Some(_), _) => {}
                (None, Some(old)) => {
                    self.keys.clear();
                    let key = output_key(&self.key, old, &mut self.keys);
                    out.extend(own.get(key).and_then(|it| Delta::between(Some(it.clone()), None)));
                }
                (None, None) => {}
            }
        }
        for (lookup, deltas) in deltas[1..].iter().enumerate() {
            for deltas in deltas.chunks(PROBES) {
                let rows = deltas.iter().filter_map(|it| it.new.as_ref().or(it.old.as_ref()));
                self.gather_all(context, lookup, rows, &mut touched);
                if self.lookups[lookup].respelled {
                    let before = deltas.iter().filter(|it| it.new.is_some()).filter_map(|it| it.old.as_ref());
                    self.gather_all(context, lookup, before, &mut touched);
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let chunk = if program.calls.is_empty() { PROBES } else { CHUNK_WITH_CALLS };
        let mut inputs = Vec::with_capacity(chunk.min(touched.len()) * self.inputs.len());
        for slots in touched.chunks(chunk) {
            self.assemble(context, lookups, program, own, slots, &mut inputs, out);
        }
        self.touched = touched;
    }

    /// Follows changed rows of look-up number `lookup` back to the driver rows.
    fn gather_all<'r>(
        &mut self,
        context: &Context<'_>,
        lookup: usize,
        rows: impl Iterator<Item = &'r Row>,
        touched: &mut Vec<u32>,
    ) {
        let running = &self.lookups[lookup];
        if running.towards > 0 || !running.back.is_unique() {
            return rows.for_each(|row| self.gather(context, lookup, row, touched));
        }
        let driver = &context.relations[self.inputs[0].0].hashed;
        self.keys.clear();
        self.probes.clear();
        for row in rows {
            let start = self.keys.len() as u32;
            if let ProbeKey::Complete = self.lookups[lookup].back.encode(&[Input::Row(row)], &mut self.keys) {
                self.plan(0, start, driver);
            }
        }
        self.settle(driver);
        touched.extend(self.probes.iter().map(|it| it.slot).filter(|it| *it != NOT_FOUND));
    }

    /// Follows one changed row back.
    fn gather(&mut self, context: &Context<'_>, lookup: usize, row: &Row, touched: &mut Vec<u32>) {
        let back = &self.lookups[lookup].back;
        self.keys.clear();
        if !matches!(back.encode(&[Input::Row(row)], &mut self.keys), ProbeKey::Complete) {
            return;
        }
        let towards = self.lookups[lookup].towards;
        if towards == 0 {
            back.slots(context, &self.keys, |slot| touched.push(slot));
            return;
        }
        let mut slots = Vec::new();
        back.slots(context, &self.keys, |slot| slots.push(slot));
        let relation = &context.relations[self.inputs[towards].0].hashed;
        for row in slots.into_iter().filter_map(|slot| relation.row(slot)) {
            self.gather(context, towards - 1, row, touched);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call, split off to keep both halves readable")]
    fn assemble<'r>(
        &mut self,
        context: &Context<'r>,
        lookups: &'r [Lookup],
        program: &Program,
        own: &Hashed,
        slots: &[u32],
        inputs: &mut Vec<Input<'r>>,
        out: &mut Vec<Delta>,
    ) {
        let width = self.inputs.len();
        let driver = &context.relations[self.inputs[0].0].hashed;
        inputs.clear();
        inputs.resize(slots.len() * width, Input::Absent);
        self.dropped.clear();
        std::hint::black_box(slots.iter().fold(0, |sum, it| sum ^ driver.touch(*it)));
        for (at, slot) in slots.iter().enumerate() {
            let row = driver.row(*slot);
            self.dropped.push(row.is_none());
            inputs[at * width] = row.map_or(Input::Absent, Input::Row);
        }
        let mut any_failed = false;
        for (at, lookup) in lookups.iter().enumerate() {
            let mut failed = self.look_up(context, at, width, inputs);
            if let Some(condition) = &lookup.condition {
                failed |= self.check(condition, program, at, width, inputs);
            }
            if lookup.kind == JoinKind::Inner {
                any_failed |= failed;
                let found = inputs.iter().skip(at + 1).step_by(width);
                self.dropped.iter_mut().zip(found).for_each(|(it, found)| *it |= matches!(found, Input::Absent));
            }
        }
        let calls = evaluate_calls(program, inputs, width);
        self.keys.clear();
        self.probes.clear();
        for (row, inputs) in inputs.chunks_exact(width).enumerate() {
            if let Input::Row(driver) = &inputs[0] {
                let start = self.keys.len() as u32;
                match self.key.is_empty() {
                    true => self.keys.extend_from_slice(driver.key()),
                    false => encode_output_key(&self.key, driver, &mut self.keys),
                }
                self.plan(row, start, own);
            }
        }
        self.settle(own);
        let mut scratch = context.scratch.borrow_mut();
        for probe in &self.probes {
            let row = probe.row as usize;
            let old = own.row(probe.slot);
            let new = if self.dropped[row] {
                None
            } else {
                let scope = Scope { inputs: &inputs[row * width..(row + 1) * width], calls: &calls, row };
                let key = &self.keys[probe.start as usize..probe.end as usize];
                let failed = if any_failed { failure(lookups, scope.inputs) } else { None };
                self.rows.row_with_key(program, scope, &mut scratch, key, failed)
            };
            if old != new.as_ref() {
                out.push(Delta { old: old.cloned(), new });
            }
        }
    }

    /// Fills in input number `lookup` + 1 of every row of the chunk; whether there is one that cannot be looked for.
    fn look_up<'r>(&mut self, context: &Context<'r>, lookup: usize, width: usize, inputs: &mut [Input<'r>]) -> bool {
        let found = &context.relations[self.inputs[lookup + 1].0].hashed;
        let mut any_failed = false;
        self.keys.clear();
        self.probes.clear();
        for (row, inputs) in inputs.chunks_exact_mut(width).enumerate() {
            if self.dropped[row] {
                continue;
            }
            let start = self.keys.len() as u32;
            let running = &self.lookups[lookup];
            if let Some(Input::Row(it)) = running.carried.map(|it| &inputs[it])
                && !it.has_errors()
            {
                self.keys.extend_from_slice(it.key());
                self.plan(row, start, found);
                continue;
            }
            match running.access.encode(inputs, &mut self.keys) {
                ProbeKey::Complete => self.plan(row, start, found),
                ProbeKey::Null => {}
                ProbeKey::Error(message) => {
                    inputs[lookup + 1] = Input::Error(message);
                    any_failed = true;
                }
            }
        }
        self.settle(found);
        for probe in &self.probes {
            if let Some(row) = found.row(probe.slot) {
                inputs[probe.row as usize * width + lookup + 1] = Input::Row(row);
            }
        }
        any_failed
    }

    /// Notes the probe of `keys[start..]` for row number `row`.
    fn plan(&mut self, row: usize, start: u32, arrangement: &Hashed) {
        let hash = arrangement.hash(&self.keys[start as usize..]);
        let end = self.keys.len() as u32;
        self.probes.push(Pending { row: row as u32, start, end, slot: NOT_FOUND, hash });
    }

    /// Finds the slots of the noted probes: all table look-ups, then all first touches of rows, then all comparisons.
    fn settle(&mut self, arrangement: &Hashed) {
        for probe in &mut self.probes {
            probe.slot = arrangement.candidate(probe.hash);
        }
        let touched = self.probes.iter().fold(0, |sum, it| sum ^ arrangement.touch(it.slot));
        std::hint::black_box(touched);
        for probe in &mut self.probes {
            let key = &self.keys[probe.start as usize..probe.end as usize];
            probe.slot = arrangement.confirm(probe.slot, probe.hash, key);
        }
    }

    /// Takes found rows out again for which the look-up's condition is not true; whether it failed for one.
    fn check(
        &self,
        condition: &Scalar,
        program: &Program,
        lookup: usize,
        width: usize,
        inputs: &mut [Input<'_>],
    ) -> bool {
        let calls = match self.lookups[lookup].condition_calls {
            true => evaluate_calls(program, inputs, width),
            false => Vec::new(),
        };
        let mut any_failed = false;
        for (row, inputs) in inputs.chunks_exact_mut(width).enumerate() {
            if !matches!(inputs[lookup + 1], Input::Row(_)) {
                continue;
            }
            let verdict = match (Scope { inputs, calls: &calls, row }).eval(condition) {
                Datum::Boolean(true) => continue,
                Datum::Error(message) => Input::Error(Cow::Owned(explained("join condition", message).into_owned())),
                _ => Input::Absent,
            };
            any_failed |= matches!(verdict, Input::Error(_));
            inputs[lookup + 1] = verdict;
        }
        any_failed
    }
}

impl Running {
    fn new(graph: &Graph, lookup: &Lookup, inputs: &[NodeId]) -> Running {
        let schema = &graph.nodes[lookup.node.0].schema;
        let probed = schema.address().map(|it| it.column);
        let on: Vec<_> = probed.clone().zip(lookup.key.iter().copied()).collect();
        let access = Access::new(graph, lookup.node, &on, inputs);
        let towards = lookup.reverse.unwrap_or(0);
        let targets: Vec<usize> = match lookup.reverse {
            None => graph.nodes[inputs[0].0].schema.key.iter().map(|it| it.column).collect(),
            Some(_) => lookup.key.iter().map(|it| it.column).collect(),
        };
        let mut back: Vec<(usize, InputColumn)> = Vec::with_capacity(targets.len());
        for (target, column) in targets.into_iter().zip(probed) {
            // A column probed twice is found by its first value; the look-up itself compares both.
            if back.iter().all(|(it, _)| *it != target) {
                back.push((target, InputColumn { input: 0, column }));
            }
        }
        let back = Access::new(graph, inputs[towards], &back, &[lookup.node]);
        Running {
            carried: access.carried(graph, inputs),
            access,
            back,
            towards,
            respelled: schema.key.iter().any(|it| schema.columns[it.column].collation != Collation::Binary),
            condition_calls: lookup.condition.as_ref().is_some_and(has_call),
        }
    }
}

/// What an inner look-up that cannot be made makes of a row: nobody knows whether it exists.
fn failure<'s>(lookups: &[Lookup], inputs: &'s [Input<'s>]) -> Option<Failed<'s>> {
    lookups.iter().zip(&inputs[1..]).find_map(|it| match it {
        (Lookup { kind: JoinKind::Inner, .. }, Input::Error(message)) => Some(Failed::Row(message)),
        _ => None,
    })
}

fn encode_output_key(parts: &[(usize, DataType, KeyColumn, Collation)], driver: &Row, out: &mut Vec<u8>) {
    for (column, data_type, key, collation) in parts {
        encode_datum(driver.get(*column, *data_type), *key, *collation, out);
    }
}

fn output_key<'k>(
    parts: &[(usize, DataType, KeyColumn, Collation)],
    driver: &'k Row,
    buffer: &'k mut Vec<u8>,
) -> &'k [u8] {
    if parts.is_empty() {
        return driver.key();
    }
    encode_output_key(parts, driver, buffer);
    buffer
}
