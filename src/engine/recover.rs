//! From the plan and the directory to a running state: what is kept, what is dropped, what has to be built.
//!
//! Every stored relation is registered under the fingerprint of its sub-plan. What the new plan does not mention, or
//! what was not finished, is dropped; what it mentions and is complete is left untouched; the rest is built.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::core::{Core, StoredNode};
use super::index::IndexWriter;
use super::options::EngineError;
use crate::catalog::{Catalog, Relation, ServedIndex};
use crate::change::{Delta, RelationId, Row, TableId};
use crate::dataflow::Dataflow;
use crate::plan::{Fingerprint, Graph, IndexPlan, NodeId, Operator};
use crate::store::{Commit, RelationState, Store, StoreError};

/// Rows per commit while something is built or emptied.
pub(super) const CHUNK_ROWS: usize = 20_000;
/// Relation 0 is the store's own.
const FIRST_RELATION: u32 = 1;
/// What the names of the registry's notes begin with.
const PREFIX: &str = "relation/";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Registered {
    id: u32,
    label: String,
    live: bool,
}

/// Which relation holds the rows of which sub-plan, and whether they are complete.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) entries: HashMap<Fingerprint, Registered>,
}

impl Registry {
    /// What the directory's registry says.
    pub(super) fn read(store: &Store) -> Result<Registry, EngineError> {
        let entry = |(key, value): (String, Vec<u8>)| {
            let corrupt = || StoreError::Corrupt(format!("the registry entry {key} is unreadable"));
            let hex = key.trim_start_matches(PREFIX);
            let fingerprint = Fingerprint(u128::from_str_radix(hex, 16).map_err(|_| corrupt())?);
            Ok((fingerprint, serde_json::from_slice(&value).map_err(|_| corrupt())?))
        };
        let entries = store.meta_with_prefix(PREFIX).into_iter().map(entry).collect::<Result<_, StoreError>>()?;
        Ok(Registry { entries })
    }

    fn relation(&self, fingerprint: &Fingerprint) -> RelationId {
        RelationId(self.entries.get(fingerprint).map_or(u32::MAX, |it| it.id))
    }

    pub(super) fn is_live(&self, fingerprint: &Fingerprint) -> bool {
        self.entries.get(fingerprint).is_some_and(|it| it.live)
    }

    /// Records that the relation is complete; takes effect with the commit that carries `meta`.
    pub(super) fn set_live(&mut self, fingerprint: &Fingerprint, meta: &mut Vec<(String, Option<Vec<u8>>)>) {
        if let Some(entry) = self.entries.get_mut(fingerprint) {
            entry.live = true;
            meta.push(entry_meta(fingerprint, entry));
        }
    }
}

fn meta_key(fingerprint: &Fingerprint) -> String {
    format!("{PREFIX}{:032x}", fingerprint.0)
}

fn entry_meta(fingerprint: &Fingerprint, entry: &Registered) -> (String, Option<Vec<u8>>) {
    (meta_key(fingerprint), serde_json::to_vec(entry).ok())
}

/// Everything of the plan that is stored: fingerprint and label.
fn wanted(graph: &Graph) -> Vec<(Fingerprint, String)> {
    let nodes = graph.nodes.iter().filter(|node| node.stored).map(|node| (node.fingerprint, node.label.clone()));
    let view_indexes = graph.views.iter().flat_map(|view| &view.indexes);
    let indexes = view_indexes.chain(graph.table_indexes.iter().flatten());
    nodes.chain(indexes.map(|it| (it.fingerprint, it.name.clone()))).collect()
}

/// Matches the plan with the directory and writes the new registry.
pub(super) fn register(store: &mut Store, graph: &Graph) -> Result<Registry, EngineError> {
    let wanted = wanted(graph);
    let wanted_set: HashSet<Fingerprint> = wanted.iter().map(|(fingerprint, _)| *fingerprint).collect();
    let found = Registry::read(store)?;
    let mut next = found.entries.values().map(|it| it.id + 1).max().unwrap_or(FIRST_RELATION);
    let keep = |fingerprint: &Fingerprint, entry: &Registered| entry.live && wanted_set.contains(fingerprint);
    let (kept, doomed) = found.entries.into_iter().partition(|(fingerprint, entry)| keep(fingerprint, entry));
    let mut registry = Registry { entries: kept };
    let mut commit = Commit { meta: drop_state(store, doomed)?, ..Commit::default() };
    for (fingerprint, label) in wanted {
        if let std::collections::hash_map::Entry::Vacant(vacant) = registry.entries.entry(fingerprint) {
            let entry = vacant.insert(Registered { id: next, label, live: false });
            commit.meta.push(entry_meta(&fingerprint, entry));
            next += 1;
        }
    }
    if !commit.meta.is_empty() {
        store.commit(commit)?;
    }
    Ok(registry)
}

/// Drops the rows of these entries; what is returned removes the entries themselves. Before any row goes it is durable
/// that they are not complete: rows are dropped at once, and a crash before the next commit must not leave an entry
/// that promises them.
pub(super) fn drop_state(
    store: &mut Store,
    doomed: HashMap<Fingerprint, Registered>,
) -> Result<Vec<(String, Option<Vec<u8>>)>, EngineError> {
    let promised = doomed.iter().filter(|(_, entry)| entry.live);
    let broken = promised.map(|(key, entry)| entry_meta(key, &Registered { live: false, ..entry.clone() }));
    let commit = Commit { meta: broken.collect(), ..Commit::default() };
    if !commit.meta.is_empty() {
        store.commit(commit)?;
        store.sync()?;
    }
    for entry in doomed.values() {
        tracing::info!(relation = entry.label, complete = entry.live, "dropping state nothing needs any more");
        store.drop_relation(RelationId(entry.id))?;
    }
    Ok(doomed.keys().map(|it| (meta_key(it), None)).collect())
}

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

/// Tables and views as readers see them, each with its node and its state right after opening.
pub(super) fn served_relations(
    catalog: &Catalog,
    graph: &Graph,
    registry: &Registry,
) -> Vec<(NodeId, Relation, RelationState)> {
    let relation = |name: &str, doc: &str, query: &str, is_view: bool, node: NodeId, indexes: &[IndexPlan]| {
        let plan = &graph.nodes[node.0];
        let served = |plan: &IndexPlan| ServedIndex {
            name: plan.name.clone(),
            id: registry.relation(&plan.fingerprint),
            key: plan.key.clone(),
            include: plan.include.clone(),
        };
        let mut sources: Vec<usize> =
            tables_below(graph, node).into_iter().map(|table| catalog.tables[table.0].source).collect();
        sources.sort_unstable();
        sources.dedup();
        let relation = Relation {
            name: name.into(),
            is_view,
            schema: plan.schema.clone(),
            id: registry.relation(&plan.fingerprint),
            sources,
            indexes: indexes.iter().map(served).collect(),
            doc: doc.into(),
            query: query.into(),
        };
        let live = registry.is_live(&plan.fingerprint) && indexes.iter().all(|it| registry.is_live(&it.fingerprint));
        let state = if live { RelationState::Live } else { RelationState::Building { done: 0, total: None } };
        (node, relation, state)
    };
    let tables = catalog.tables.iter().enumerate().map(|(table, declared)| {
        let indexes = graph.table_indexes.get(table).map_or(&[][..], |it| it.as_slice());
        relation(&declared.name, &declared.doc, "", false, NodeId(table), indexes)
    });
    let views = graph.views.iter().map(|view| {
        let declared = catalog.views.iter().find(|it| it.name == view.name);
        let (doc, query) = declared.map_or(("", ""), |it| (it.doc.as_str(), it.query.as_str()));
        relation(&view.name, doc, query, true, view.node, &view.indexes)
    });
    tables.chain(views).collect()
}

/// The tables a node's rows are computed from.
fn tables_below(graph: &Graph, node: NodeId) -> HashSet<TableId> {
    let mut tables = HashSet::new();
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

/// Brings the rows of every complete arranged node into memory.
pub(super) fn load(core: &mut Core) -> Result<(), EngineError> {
    let graph = Arc::clone(&core.graph);
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some(stored) = &core.nodes[index] else { continue };
        if !core.registry.is_live(&node.fingerprint) {
            continue;
        }
        if core.dataflow.keeps_rows(NodeId(index)) {
            let mut failure = None;
            let stop = Arc::clone(&core.stop);
            let rows = core.store.rows(stored.relation).map_while(|row| {
                let row =
                    if stop.load(Ordering::Acquire) { Err(EngineError::Stopped) } else { row.map_err(Into::into) };
                row.map_err(|error| failure = Some(error)).ok()
            });
            core.dataflow.load(NodeId(index), rows);
            failure.map_or(Ok(()), Err)?;
        }
        core.dataflow.set_live(NodeId(index));
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
            let complete = tables_below(&graph, id).iter().all(|table| self.dataflow.is_live(NodeId(table.0)));
            if !node.stored || !complete {
                continue;
            }
            if !is_table && !self.dataflow.is_live(id) {
                self.hydrate(id)?;
            }
            self.index_existing(id)?;
            self.set_state(id, RelationState::Live);
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
            self.set_state(node, RelationState::Building { done, total: None });
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
