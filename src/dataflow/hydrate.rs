//! Hydration: a new node's rows are computed from its inputs' rows once, streamed through in chunks.

use std::cell::RefCell;

use super::Dataflow;
use super::expression::Scratch;
use super::operator::{Context, Relation, Running};
use crate::change::{Delta, Row};
use crate::plan::{Graph, NodeId, Operator};

/// Rows in a chunk: enough to amortise what a chunk costs, few enough to keep memory flat.
const CHUNK: usize = 10_000;

type Emit<'a, E> = &'a mut dyn FnMut(Vec<Delta>) -> Result<(), E>;

impl Dataflow {
    /// Computes all rows of a stored node that is not live and whose inputs are live and complete, fills its
    /// arrangement, emits its rows as inserts in chunks, and makes it live. Between steps only. A chunk may be empty:
    /// then `emit` is only asked whether to go on. When it fails the node stays as it was before: not live, its
    /// arrangement to be filled by another call.
    pub fn hydrate<E>(&mut self, node: NodeId, emit: Emit<'_, E>) -> Result<(), E> {
        let mut own = Relation {
            hashed: std::mem::take(&mut self.relations[node.0].hashed),
            ordered: std::mem::take(&mut self.relations[node.0].ordered),
            deltas: Vec::new(),
        };
        own.hashed.clear();
        own.ordered.clear();
        let outcome = self.fill(node, &mut own, emit);
        self.relations[node.0] = own;
        if outcome.is_ok() {
            self.set_live(node);
        }
        outcome
    }

    fn fill<E>(&mut self, node: NodeId, own: &mut Relation, emit: Emit<'_, E>) -> Result<(), E> {
        let graph = &*self.graph;
        let operator = &graph.nodes[node.0].operator;
        let keeps = self.keeps[node.0];
        let mut scan = Scan {
            graph,
            relations: &self.relations,
            operators: &mut self.operators,
            scratch: &self.scratch,
            keeps: self.keeps.iter().map(|it| it.hashed || it.ordered).collect(),
        };
        if !matches!(operator, Operator::Aggregate { .. }) {
            return scan.operator(node, own, &mut |own, deltas| {
                if keeps.hashed {
                    own.hashed.apply(&deltas);
                    own.hashed.forget();
                }
                if keeps.ordered {
                    own.ordered.apply(&deltas);
                }
                emit(deltas)
            });
        }
        // A group's rows may come in any chunk, so nothing is emitted before all are in.
        if let Some(row) = scan.empty(node) {
            own.hashed.insert(row);
        }
        scan.operator(node, own, &mut |own, deltas| {
            own.hashed.apply(&deltas);
            own.hashed.forget();
            emit(Vec::new())
        })?;
        in_chunks(own.hashed.rows(), emit)
    }
}

/// Streams relations that are complete; nothing has deltas meanwhile, so old is new.
struct Scan<'a> {
    graph: &'a Graph,
    relations: &'a [Relation],
    operators: &'a mut [Running],
    scratch: &'a RefCell<Scratch>,
    keeps: Vec<bool>,
}

impl<'a> Scan<'a> {
    fn context(&self) -> Context<'a> {
        Context { graph: self.graph, relations: self.relations, scratch: self.scratch }
    }

    fn empty(&mut self, node: NodeId) -> Option<Row> {
        let context = self.context();
        self.operators[node.0].empty(&context, &self.graph.nodes[node.0].operator)
    }

    /// All rows of `node`: from memory, or computed.
    fn rows<E>(&mut self, node: NodeId, emit: Emit<'_, E>) -> Result<(), E> {
        let relation = &self.relations[node.0];
        if !self.keeps[node.0] {
            let mut nothing = Relation::default();
            return self.operator(node, &mut nothing, &mut |_, deltas| emit(deltas));
        }
        match self.graph.nodes[node.0].operator {
            Operator::Order { .. } => in_chunks(relation.ordered.rows(), emit),
            _ => in_chunks(relation.hashed.rows(), emit),
        }
    }

    /// What the operator of `node` makes of all rows of its inputs; `own` are its rows so far.
    fn operator<E>(
        &mut self,
        node: NodeId,
        own: &mut Relation,
        emit: &mut dyn FnMut(&mut Relation, Vec<Delta>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (context, operator) = (self.context(), &self.graph.nodes[node.0].operator);
        let mut running = std::mem::take(&mut self.operators[node.0]);
        if let Running::TopN(top_n) = &running {
            let outcome = top_n.all(&context, &mut |deltas| emit(own, deltas));
            self.operators[node.0] = running;
            return outcome;
        }
        let inputs = match operator {
            // Their other inputs are looked up, not streamed.
            Operator::Assemble { driver, .. } => vec![*driver],
            Operator::LeftJoin { left, .. } => vec![*left],
            Operator::Aggregate { input, .. } => vec![*input],
            other => other.inputs(),
        };
        let width = operator.inputs().len();
        let mut outcome = Ok(());
        for (at, input) in inputs.into_iter().enumerate() {
            outcome = outcome.and_then(|()| {
                self.rows(input, &mut |mut chunk| {
                    chunk.retain(|it| it.new.iter().all(|row| running.streams(at, row)));
                    let mut deltas: Vec<&[Delta]> = vec![&[]; width];
                    deltas[at] = &chunk;
                    let mut out = Vec::new();
                    running.run(&context, operator, &own.hashed, &deltas, &mut out);
                    if out.is_empty() { Ok(()) } else { emit(own, out) }
                })
            });
        }
        self.operators[node.0] = running;
        outcome
    }
}

fn in_chunks<'r, E>(rows: impl Iterator<Item = &'r Row>, emit: Emit<'_, E>) -> Result<(), E> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        emit(rows.by_ref().take(CHUNK).cloned().map(Delta::insert).collect())?;
    }
    Ok(())
}
