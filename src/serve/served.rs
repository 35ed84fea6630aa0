//! What is served: the board's relations, prepared for look-up by name.
//!
//! It is rebuilt only when the board's list is replaced, so that a read costs one hash look-up.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use arc_swap::ArcSwapOption;
use axum::http::StatusCode;

use super::json;
use super::problem::Problem;
use super::snapshot::Origin;
use crate::catalog::Relation;
use crate::change::{Column, Datum, Row};
use crate::store::{Board, Epoch, RelationState};

/// One table or view.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) relation: Relation,
    pub(crate) state: Arc<RwLock<RelationState>>,
    /// By visible column, its name as it stands in a JSON object: `"name":`.
    pub(crate) labels: Vec<Box<[u8]>>,
    /// Says of what shape the relation is, so that no tag or cursor of another shape is honoured.
    pub(crate) shape: u64,
    /// What the last answer said of where it is from.
    pub(crate) origin: ArcSwapOption<Origin>,
    /// For the relation's key and then for each index, the number of an epoch in which no row has an error in the first
    /// column of that key. Epochs count from 0 and never come to the initial value.
    error_free: Vec<AtomicU64>,
}

impl Served {
    fn new(relation: Relation, state: Arc<RwLock<RelationState>>) -> Served {
        let label = |column: &Column| {
            let mut label = Vec::new();
            json::write_text(&column.name, &mut label);
            label.push(b':');
            label.into_boxed_slice()
        };
        let mut hasher = foldhash::quality::FixedState::with_seed(1).build_hasher();
        (&relation.name, &relation.schema).hash(&mut hasher);
        for index in &relation.indexes {
            (&index.name, &index.key, &index.include).hash(&mut hasher);
        }
        Served {
            labels: relation.schema.visible_columns().iter().map(label).collect(),
            shape: hasher.finish(),
            origin: ArcSwapOption::empty(),
            error_free: (0..=relation.indexes.len()).map(|_| AtomicU64::new(u64::MAX)).collect(),
            relation,
            state,
        }
    }

    /// Remembers that no row of `epoch` has an error in the first column of this index (`None`: of the key).
    pub(crate) fn note_error_free(&self, index: Option<usize>, epoch: &Epoch) {
        self.error_free[index.map_or(0, |at| at + 1)].store(epoch.number(), Ordering::Relaxed);
    }

    /// Whether that is known. It says nothing about rows, so it needs no order among memory accesses.
    pub(crate) fn is_error_free(&self, index: Option<usize>, epoch: &Epoch) -> bool {
        self.error_free[index.map_or(0, |at| at + 1)].load(Ordering::Relaxed) == epoch.number()
    }

    /// The state at this moment.
    pub(crate) fn state(&self) -> RelationState {
        self.state.read().unwrap_or_else(|it| it.into_inner()).clone()
    }

    /// Refuses to read what is not complete.
    pub(crate) fn check_live(&self) -> Result<(), Problem> {
        let state = self.state.read().unwrap_or_else(|it| it.into_inner());
        let name = &self.relation.name;
        match &*state {
            RelationState::Live => Ok(()),
            RelationState::Building { done, total } => {
                let of = total.map_or(String::new(), |it| format!(" of {it}"));
                let detail = format!("\"{name}\" is being built: {done}{of} rows done");
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "57P03", detail).hint("ask again shortly"))
            }
            RelationState::Failed { reason } => {
                let detail = format!("\"{name}\" cannot be kept: {reason}");
                Err(Problem::new(StatusCode::CONFLICT, "55000", detail))
            }
        }
    }

    /// The key of `row` as it stands in a URL, for messages.
    pub(crate) fn key_text(&self, row: &Row) -> String {
        let schema = &self.relation.schema;
        let parts = schema.key.iter().map(|part| {
            let data_type = schema.data_type(part.column);
            let datum = row.get(part.column, data_type);
            let mut json = Vec::new();
            if json::write_datum(datum, data_type, &mut json).is_err() {
                return "error".into();
            }
            match datum {
                Datum::Text(text) => super::percent::encode(text),
                _ => String::from_utf8_lossy(&json).trim_matches('"').to_string(),
            }
        });
        parts.collect::<Vec<String>>().join(",")
    }

    /// The problem of reading `column` of `row`, whose cell holds the error `message`.
    pub(crate) fn error_cell(&self, row: &Row, column: usize, message: &str) -> Problem {
        let name = &self.relation.schema.columns[column].name;
        Problem::error_cell(&self.relation.name, name, &self.key_text(row), message)
    }
}

/// All tables and views.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) relations: Vec<Arc<Served>>,
    by_name: HashMap<String, usize, foldhash::fast::RandomState>,
    described: bool,
    list: Arc<Vec<(Relation, Arc<RwLock<RelationState>>)>>,
}

impl Directory {
    /// The relations on the board.
    pub(crate) fn new(board: &Board) -> Directory {
        let list = board.relations();
        let served = |(relation, state): &(Relation, Arc<RwLock<RelationState>>)| {
            Arc::new(Served::new(relation.clone(), Arc::clone(state)))
        };
        let relations: Vec<Arc<Served>> = list.iter().map(served).collect();
        let by_name = relations.iter().enumerate().map(|(at, it)| (it.relation.name.clone(), at)).collect();
        let described = !relations.is_empty() || board.sources().is_empty();
        Directory { relations, by_name, described, list }
    }

    /// Whether the board still shows these relations.
    pub(crate) fn is_current(&self, board: &Board) -> bool {
        Arc::ptr_eq(&self.list, &board.relations())
    }

    /// The relation called `name`.
    pub(crate) fn find(&self, name: &str) -> Result<&Arc<Served>, Problem> {
        match self.by_name.get(name) {
            Some(at) => Ok(&self.relations[*at]),
            None => Err(self.check_described().err().unwrap_or_else(|| Problem::no_such_view(name))),
        }
    }

    /// Refuses to say that something is missing before it is known what there is.
    pub(crate) fn check_described(&self) -> Result<(), Problem> {
        if self.described {
            return Ok(());
        }
        let detail = "the tables of the sources are not known yet";
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "57P03", detail).hint("ask again shortly"))
    }
}

/// By source index, in ascending order and once each, the sources some relations depend on.
pub(crate) fn sources_of<'a>(relations: impl Iterator<Item = &'a Served>) -> Vec<usize> {
    let mut sources: Vec<usize> = relations.flat_map(|it| it.relation.sources.iter().copied()).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}
