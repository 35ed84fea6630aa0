//! From the plan and the registry to a running state: what is complete is brought into memory, the rest is built.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::core::{Core, StoredNode};
use super::index::IndexWriter;
use super::options::EngineError;
use super::registry::Registry;
use crate::catalog::{Relation, ServedIndex, View};
use crate::change::{Delta, Row, TableId};
use crate::dataflow::Dataflow;
use crate::plan::{Graph, IndexPlan, NodeId, Operator};
use crate::store::{Commit, RelationState};

/// Rows per commit while something is built or emptied.
pub(super) const CHUNK_ROWS: usize = 20_000;
/// Relation ids and index writers of every stored node.
pub(super) fn stored_nodes(graph: &Graph, registry: &Registry) -> Vec<Option<StoredNode>> {
    let mut indexes: HashMap<usize, Vec<IndexPlan>> = HashMap::new();
    for view in &graph.views {
        indexes.entry(view.node.0).or_default().extend(view.indexes.iter().cloned());
    }
    for (table, plans) in graph.table_indexes.iter().enumerate() {
        indexes.entry(table).or_default().extend(plans.iter().cloned());
    }
    let stored = graph.nodes.iter().enumerate().map(|(index, node)| {
        node.stored.then(|| {
            let mut plans = indexes.remove(&index).unwrap_or_default();
            let mut seen = HashSet::new();
            plans.retain(|plan| seen.insert(plan.fingerprint));
            let writer = |plan: IndexPlan| {
                let relation = registry.relation(&plan.fingerprint);
                IndexWriter::new(plan, relation)
            };
            StoredNode {
                relation: registry.relation(&node.fingerprint),
                indexes: plans.into_iter().map(writer).collect(),
                served: Vec::new(),
            }
        })
    });
    stored.collect()
}

/// Tables and views as readers see them, each with its node.
pub(super) fn served_relations(core: &Core) -> Vec<(NodeId, Relation)> {
    let Core { catalog, graph, registry, below, .. } = core;
    let relation = |name: &str, view: Option<&View>, doc: &str, node: NodeId, indexes: &[IndexPlan]| {
        let plan = &graph.nodes[node.0];
        let served = |plan: &IndexPlan| ServedIndex {
            name: plan.name.clone(),
            id: registry.relation(&plan.fingerprint),
            key: plan.key.clone(),
            include: plan.include.clone(),
        };
        let sources: BTreeSet<usize> = below[node.0].iter().map(|it| catalog.tables[it.0].source).collect();
        let relation = Relation {
            name: name.into(),
            is_view: view.is_some(),
            schema: plan.schema.clone(),
            id: registry.relation(&plan.fingerprint),
            sources: sources.into_iter().collect(),
            indexes: indexes.iter().map(served).collect(),
            freshness: view.and_then(|it| it.freshness),
            doc: doc.into(),
            query: view.map_or_else(String::new, |it| it.query.clone()),
        };
        (node, relation)
    };
    let tables = catalog.tables.iter().enumerate().map(|(table, declared)| {
        let indexes = graph.table_indexes.get(table).map_or(&[][..], |it| it.as_slice());
        relation(&declared.name, None, &declared.doc, NodeId(table), indexes)
    });
    let views = graph.views.iter().map(|view| {
        let declared = catalog.views.iter().find(|it| it.name == view.name).expect("what is planned is declared");
        relation(&view.name, Some(declared), &declared.doc, view.node, &view.indexes)
    });
    tables.chain(views).collect()
}

/// The tables a node's rows are computed from.
pub(super) fn tables_below(graph: &Graph, node: NodeId) -> BTreeSet<TableId> {
    let mut tables = BTreeSet::new();
    let mut open = vec![node];
    let mut seen = HashSet::new();
    while let Some(node) = open.pop() {
        if seen.insert(node) {
            let operator = &graph.nodes[node.0].operator;
            if let Operator::Table(table) = operator {
                tables.insert(*table);
            }
            open.extend(operator.inputs());
        }
    }
    tables
}

/// Brings the rows of every complete arranged node into memory, unless they are there from the plan before.
pub(super) fn load(core: &mut Core) -> Result<(), EngineError> {
    let graph = Arc::clone(&core.graph);
    let mut before = core.before.take();
    for (index, node) in graph.nodes.iter().enumerate() {
        let id = NodeId(index);
        let Some(stored) = &core.nodes[index] else { continue };
        if !core.registry.is_live(&node.fingerprint) || core.stands(id) {
            continue;
        }
        let adopted = before.as_mut().is_some_and(|(dataflow, graph)| {
            let from = graph.nodes.iter().position(|it| it.fingerprint == node.fingerprint).map(NodeId);
            from.is_some_and(|from| dataflow.is_live(from) && core.dataflow.adopt(id, dataflow, from))
        });
        if !adopted && core.dataflow.keeps_rows(id) {
            let mut failure = None;
            let stop = Arc::clone(&core.stop);
            let rows = core.store.rows(stored.relation).map_while(|row| {
                let row =
                    if stop.load(Ordering::Acquire) { Err(EngineError::Stopped) } else { row.map_err(Into::into) };
                row.map_err(|error| failure = Some(error)).ok()
            });
            core.dataflow.load(id, rows);
            failure.map_or(Ok(()), Err)?;
        }
        core.dataflow.set_live(id);
    }
    Ok(())
}

impl Core {
    /// Builds every stored node and index that is not complete although all tables below it are.
    pub(super) fn build(&mut self) -> Result<(), EngineError> {
        let graph = Arc::clone(&self.graph);
        for (index, node) in graph.nodes.iter().enumerate() {
            let id = NodeId(index);
            let is_table = matches!(node.operator, Operator::Table(_));
            let complete = self.below[index].iter().all(|table| self.dataflow.is_live(NodeId(table.0)));
            if !node.stored || !complete || self.stands(id) || self.must_stand(id) {
                continue;
            }
            if !is_table && !self.dataflow.is_live(id) {
                self.hydrate(id)?;
            }
            self.index_existing(id)?;
            self.set_state(id, &self.state_of(id));
        }
        Ok(())
    }

    fn hydrate(&mut self, node: NodeId) -> Result<(), EngineError> {
        let graph = Arc::clone(&self.graph);
        let plan = &graph.nodes[node.0];
        let shown = self.nodes[node.0].as_ref().is_some_and(|it| !it.served.is_empty());
        if shown {
            tracing::info!(view = plan.label, "building");
        }
        // The dataflow is taken out so that it can stream its rows while the rest of the engine commits them.
        let mut dataflow = std::mem::replace(&mut self.dataflow, Dataflow::new(Arc::default()));
        let mut done = 0;
        let outcome = dataflow.hydrate(node, &mut |deltas: Vec<Delta>| {
            self.check_stop()?;
            if deltas.is_empty() {
                return Ok(());
            }
            done += deltas.len() as u64;
            let mut commit = Commit::default();
            self.collect(node, &deltas, &mut commit.rows);
            self.set_state(node, &RelationState::Building { done, total: None });
            self.commit(commit)
        });
        self.dataflow = dataflow;
        outcome?;
        let mut commit = Commit::default();
        self.complete(node, &mut commit.meta);
        self.commit(commit)?;
        if shown {
            tracing::info!(view = plan.label, rows = done, "built");
        }
        Ok(())
    }

    /// Builds the indexes of a complete node that are not complete: from its stored rows, in bounded commits.
    fn index_existing(&mut self, node: NodeId) -> Result<(), EngineError> {
        let graph = Arc::clone(&self.graph);
        let schema = &graph.nodes[node.0].schema;
        let Some(stored) = &mut self.nodes[node.0] else { return Ok(()) };
        let relation = stored.relation;
        let mut indexes = std::mem::take(&mut stored.indexes);
        let epoch = self.store.epoch();
        for index in &mut indexes {
            if self.registry.is_live(&index.plan.fingerprint) {
                continue;
            }
            let mut range = crate::store::KeyRange::all();
            loop {
                self.check_stop()?;
                let rows = epoch.scan(relation, &range, false, CHUNK_ROWS)?;
                let mut commit = Commit::default();
                commit.rows.extend(rows.iter().map(|row: &Row| (index.relation, index.entry(schema, row))));
                let Some(last) = rows.last() else { break };
                range.start = std::ops::Bound::Excluded(last.key().to_vec());
                self.commit(commit)?;
            }
            let mut commit = Commit::default();
            self.registry.set_live(&index.plan.fingerprint, &mut commit.meta);
            self.commit(commit)?;
        }
        if let Some(stored) = &mut self.nodes[node.0] {
            stored.indexes = indexes;
        }
        Ok(())
    }
}
