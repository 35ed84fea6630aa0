//! The running plan: operators over arrangements, one epoch at a time.
//!
//! `step` is synchronous and deterministic: events go in, the deltas of every stored relation come out, and a step
//! costs what its events touch, not what the plan or the state hold.

mod arrangement;
mod expression;
mod hydrate;
mod operator;
mod order;
mod so_far;
mod table;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use crate::change::{Change, Delta, Event, Moved, Row, TableId};
use crate::plan::{Graph, NodeId, Operator};

use expression::Scratch;
use operator::{Context, Relation, Running};
use so_far::SoFar;

/// All operators of a plan with their state.
#[derive(Debug)]
pub struct Dataflow {
    graph: Arc<Graph>,
    relations: Vec<Relation>,
    operators: Vec<Running>,
    /// By node, the nodes that read it.
    readers: Vec<Vec<usize>>,
    keeps: Vec<Keeps>,
    live: Vec<bool>,
    scratch: RefCell<Scratch>,
    /// Nodes with something to do in this step, the earliest first.
    due: BinaryHeap<Reverse<usize>>,
    is_due: Vec<bool>,
    /// The rows of this step's events, by table.
    events: Vec<Vec<Row>>,
}

/// Which rows of a node are in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Keeps {
    hashed: bool,
    ordered: bool,
}

impl Dataflow {
    /// A dataflow for `graph` with nothing loaded and nothing live.
    pub fn new(graph: Arc<Graph>) -> Dataflow {
        let count = graph.nodes.len();
        let ids = || (0..count).map(NodeId);
        let operators = ids().map(|it| Running::new(&graph, it)).collect();
        let mut readers = vec![Vec::new(); count];
        let (mut probed, mut remembers) = (vec![false; count], vec![false; count]);
        for (reader, node) in graph.nodes.iter().enumerate() {
            let both_sides = matches!(node.operator, Operator::Join { .. } | Operator::LeftJoin { .. });
            let probes = both_sides || matches!(node.operator, Operator::Assemble { .. });
            for input in node.operator.inputs() {
                if readers[input.0].last() != Some(&reader) {
                    readers[input.0].push(reader);
                }
                probed[input.0] |= probes;
                remembers[input.0] |= both_sides;
            }
        }
        let keeps: Vec<Keeps> = ids().map(|it| Keeps::of(&graph, it, probed[it.0])).collect();
        let relation = |it: NodeId| Relation {
            hashed: arrangement::Hashed::new(&graph.nodes[it.0].schema, &graph.nodes[it.0].indexes, remembers[it.0]),
            ..Relation::default()
        };
        Dataflow {
            relations: ids().map(relation).collect(),
            operators,
            readers,
            keeps,
            live: vec![false; count],
            scratch: RefCell::default(),
            due: BinaryHeap::new(),
            is_due: vec![false; count],
            events: vec![Vec::new(); count],
            graph,
        }
    }

    /// Whether rows of `node` are kept in memory, so that recovery must [`Dataflow::load`] them.
    pub fn keeps_rows(&self, node: NodeId) -> bool {
        self.keeps[node.0].hashed || self.keeps[node.0].ordered
    }

    /// Recovery: fills the arrangement of a node with its stored rows; accumulators come back in their hidden column.
    pub fn load(&mut self, node: NodeId, rows: impl Iterator<Item = Row>) {
        let (relation, keeps) = (&mut self.relations[node.0], self.keeps[node.0]);
        if keeps.hashed {
            relation.hashed.reserve(rows.size_hint().0);
        }
        for row in rows {
            if keeps.ordered {
                relation.ordered.insert(row.clone());
            }
            if keeps.hashed {
                relation.hashed.insert(row);
            }
        }
    }

    /// From now on `node` takes part in steps. Stateless nodes are live as soon as all their inputs are.
    pub fn set_live(&mut self, node: NodeId) {
        self.live[node.0] = true;
        for later in node.0 + 1..self.live.len() {
            let it = &self.graph.nodes[later];
            if !it.stored && !self.live[later] {
                self.live[later] = it.operator.inputs().iter().all(|it| self.live[it.0]);
            }
        }
    }

    /// Takes `node` out of the steps and forgets its rows, until it is computed anew with [`Dataflow::hydrate`].
    pub fn suspend(&mut self, node: NodeId) {
        self.live[node.0] = false;
        self.relations[node.0].hashed.clear();
        self.relations[node.0].ordered.clear();
    }

    /// Takes over the rows of a node of another dataflow that has the same fingerprint, unless they are kept for other
    /// look-ups there; whether it did.
    pub fn adopt(&mut self, node: NodeId, other: &mut Dataflow, from: NodeId) -> bool {
        let (ours, theirs) = (&self.graph.nodes[node.0], &other.graph.nodes[from.0]);
        let same = ours.fingerprint == theirs.fingerprint
            && ours.indexes == theirs.indexes
            && self.keeps[node.0] == other.keeps[from.0]
            && self.relations[node.0].hashed.remembers() == other.relations[from.0].hashed.remembers();
        if same {
            self.relations[node.0] = std::mem::take(&mut other.relations[from.0]);
        }
        same
    }

    /// Whether `node` takes part in steps.
    pub fn is_live(&self, node: NodeId) -> bool {
        self.live[node.0]
    }

    /// How many rows `table` has.
    pub fn table_rows(&self, table: TableId) -> usize {
        self.relations[table.0].hashed.len()
    }

    /// The encoded keys of `table`, in no particular order.
    pub fn keys_of(&self, table: TableId) -> impl Iterator<Item = &[u8]> {
        self.relations[table.0].hashed.rows().map(Row::key)
    }

    /// The row `table` has under `key`.
    pub fn table_row(&self, table: TableId, key: &[u8]) -> Option<&Row> {
        self.relations[table.0].hashed.get(key)
    }

    /// An estimate of the memory held by all arrangements.
    pub fn memory_bytes(&self) -> usize {
        self.relations.iter().map(|it| it.hashed.memory_bytes() + it.ordered.memory_bytes()).sum()
    }

    /// One epoch: takes the events in (the last one of a key wins) and gives the deltas of every stored live node,
    /// and of tables always, sorted by key, in topological order. Afterwards the arrangements hold the new state.
    pub fn step(&mut self, events: Vec<Event>) -> Vec<(NodeId, Vec<Delta>)> {
        let mut so_far: BTreeMap<TableId, SoFar> = BTreeMap::new();
        for Event { table, change } in events {
            if self.events[table.0].is_empty() {
                self.mark(table.0);
            }
            match change {
                Change::Row(row) => self.events[table.0].push(row),
                Change::Moved(moved) => {
                    let Moved { from, row } = *moved;
                    let row = if row.is_partial() {
                        let schema = &self.graph.nodes[table.0].schema;
                        let known = |key: &[u8]| self.relations[table.0].hashed.get(key);
                        let so_far = so_far.entry(table).or_default();
                        row.over(so_far.row(&from, &self.events[table.0], known, schema).as_ref(), schema)
                    } else {
                        row
                    };
                    self.events[table.0].extend([Row::tombstone(&from), row]);
                }
                Change::Emptied => {
                    let gone = self.relations[table.0].hashed.rows().map(|it| Row::tombstone(it.key()));
                    so_far.remove(&table);
                    self.events[table.0].clear();
                    self.events[table.0].extend(gone);
                }
            }
        }
        let mut touched = Vec::new();
        while let Some(Reverse(node)) = self.due.pop() {
            self.is_due[node] = false;
            let mut out = std::mem::take(&mut self.relations[node].deltas);
            self.run(node, &mut out);
            if out.is_empty() {
                self.relations[node].deltas = out;
                continue;
            }
            touched.push(node);
            order::sort_by_key(&mut out, Delta::key);
            self.apply(node, &out);
            self.relations[node].deltas = out;
            for reader in 0..self.readers[node].len() {
                let reader = self.readers[node][reader];
                if self.live[reader] {
                    self.mark(reader);
                }
            }
        }
        self.finish(touched)
    }

    fn mark(&mut self, node: usize) {
        if !std::mem::replace(&mut self.is_due[node], true) {
            self.due.push(Reverse(node));
        }
    }

    /// The deltas of `node`, in any order.
    fn run(&mut self, node: usize, out: &mut Vec<Delta>) {
        if let Operator::Table(_) = self.graph.nodes[node].operator {
            let schema = &self.graph.nodes[node].schema;
            table::upsert(&mut self.events[node], &self.relations[node].hashed, schema, out);
            return;
        }
        let operator = &self.graph.nodes[node].operator;
        let context = Context { graph: &self.graph, relations: &self.relations, scratch: &self.scratch };
        let own = &self.relations[node].hashed;
        let of = |it: NodeId| &self.relations[it.0].deltas[..];
        match operator {
            // The ordered relations of min and max change only with the input.
            Operator::Aggregate { input, .. } | Operator::Map { input, .. } | Operator::Arrange { input } => {
                self.operators[node].run(&context, operator, own, &[of(*input)], out);
            }
            other => {
                let deltas: Vec<&[Delta]> = other.inputs().into_iter().map(of).collect();
                self.operators[node].run(&context, operator, own, &deltas, out);
            }
        }
    }

    /// Takes the deltas of `node` into its arrangements.
    fn apply(&mut self, node: usize, deltas: &[Delta]) {
        let (relation, keeps) = (&mut self.relations[node], self.keeps[node]);
        if keeps.hashed {
            relation.hashed.apply(deltas);
        }
        if keeps.ordered {
            relation.ordered.apply(deltas);
        }
    }

    /// Ends the epoch: hands the deltas of stored nodes out and forgets the old sides.
    fn finish(&mut self, touched: Vec<usize>) -> Vec<(NodeId, Vec<Delta>)> {
        let mut result = Vec::with_capacity(touched.len());
        for node in touched {
            let relation = &mut self.relations[node];
            relation.hashed.forget();
            if self.graph.nodes[node].stored {
                result.push((NodeId(node), std::mem::take(&mut relation.deltas)));
            } else {
                relation.deltas.clear();
            }
        }
        result
    }
}

impl Keeps {
    /// Rows are kept where a plan says so, and where an operator compares with or looks up what is there.
    fn of(graph: &Graph, id: NodeId, probed: bool) -> Keeps {
        let node = &graph.nodes[id.0];
        let ordered = matches!(node.operator, Operator::Order { .. });
        let compares = matches!(
            node.operator,
            Operator::Table(_) | Operator::Arrange { .. } | Operator::Assemble { .. } | Operator::Aggregate { .. }
        );
        Keeps { ordered, hashed: compares || probed || (node.arranged && !ordered) }
    }
}
