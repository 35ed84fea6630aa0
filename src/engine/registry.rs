//! Which stored relation holds the rows of which sub-plan, whether they are complete, and where they stand.
//!
//! The registry is kept as notes in the store, which change in the same commits as the rows they speak of.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::options::EngineError;
use crate::change::{Position, RelationId};
use crate::plan::{Fingerprint, Graph};
use crate::store::{Commit, Store, StoreError};

/// Relation 0 is the store's own.
const FIRST_RELATION: u32 = 1;
/// What the names of the registry's notes begin with.
const PREFIX: &str = "relation/";

/// One stored relation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Registered {
    id: u32,
    label: String,
    /// Whether its rows are complete.
    live: bool,
    /// While changes do not reach it: by source, the position its rows stand at. Everything else stands at the positions
    /// of the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stands_at: Option<BTreeMap<String, Position>>,
}

/// Which relation holds the rows of which sub-plan, and whether they are complete.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) entries: HashMap<Fingerprint, Registered>,
}

/// Changes of the store's notes, to be committed.
pub(super) type Notes = Vec<(String, Option<Vec<u8>>)>;

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

    /// Where the rows of a registered sub-plan lie.
    pub(super) fn relation(&self, fingerprint: &Fingerprint) -> RelationId {
        RelationId(self.entry(fingerprint).id)
    }

    fn entry(&self, fingerprint: &Fingerprint) -> &Registered {
        self.entries.get(fingerprint).expect("everything that is stored was registered when the plan was opened")
    }

    fn entry_mut(&mut self, fingerprint: &Fingerprint) -> &mut Registered {
        self.entries.get_mut(fingerprint).expect("everything that is stored was registered when the plan was opened")
    }

    pub(super) fn is_live(&self, fingerprint: &Fingerprint) -> bool {
        self.entries.get(fingerprint).is_some_and(|it| it.live)
    }

    /// By source, the position the rows stand at, while changes do not reach them.
    pub(super) fn stands_at(&self, fingerprint: &Fingerprint) -> Option<&BTreeMap<String, Position>> {
        self.entries.get(fingerprint).and_then(|it| it.stands_at.as_ref())
    }

    /// Records that the relation is complete and changes reach it; takes effect with the commit that carries `meta`.
    pub(super) fn set_live(&mut self, fingerprint: &Fingerprint, meta: &mut Notes) {
        let entry = self.entry_mut(fingerprint);
        (entry.live, entry.stands_at) = (true, None);
        meta.push(entry_meta(fingerprint, entry));
    }

    /// Records that changes no longer reach the relation; takes effect with the commit that carries `meta`.
    pub(super) fn set_standing(&mut self, fingerprint: &Fingerprint, at: BTreeMap<String, Position>, meta: &mut Notes) {
        let entry = self.entry_mut(fingerprint);
        entry.stands_at = Some(at);
        meta.push(entry_meta(fingerprint, entry));
    }

    /// Drops the rows of these relations, which stay registered: they have to be computed anew.
    pub(super) fn reset(&mut self, store: &mut Store, fingerprints: &[Fingerprint]) -> Result<(), EngineError> {
        let doomed: HashMap<_, _> = fingerprints.iter().map(|it| (*it, self.entry(it).clone())).collect();
        for fingerprint in fingerprints {
            let entry = self.entry_mut(fingerprint);
            (entry.live, entry.stands_at) = (false, None);
        }
        drop_state(store, doomed).map(drop)
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

/// Matches the plan with the directory and writes the new registry: what the plan mentions and is complete is kept, all
/// else is dropped.
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
            let entry = vacant.insert(Registered { id: next, label, live: false, stands_at: None });
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
pub(super) fn drop_state(store: &mut Store, doomed: HashMap<Fingerprint, Registered>) -> Result<Notes, EngineError> {
    let promised = doomed.iter().filter(|(_, entry)| entry.live);
    let broken =
        promised.map(|(key, entry)| entry_meta(key, &Registered { live: false, stands_at: None, ..entry.clone() }));
    let commit = Commit { meta: broken.collect(), ..Commit::default() };
    if !commit.meta.is_empty() {
        store.commit(commit)?;
        store.sync()?;
    }
    for entry in doomed.values() {
        tracing::info!(relation = entry.label, complete = entry.live, "dropping rows that are not needed any more");
        store.drop_relation(RelationId(entry.id))?;
    }
    Ok(doomed.keys().map(|it| (meta_key(it), None)).collect())
}
