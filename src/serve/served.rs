//! What is served: the board's relations, prepared for look-up by name.
//!
//! It is rebuilt only when the board's list is replaced, so that a read costs one hash look-up.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use axum::http::StatusCode;

use super::problem::Problem;
use crate::catalog::Relation;
use crate::change::{Datum, Row};
use crate::store::{Board, Epoch, RelationState};

/// One table or view.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) relation: Relation,
    pub(crate) state: Arc<RwLock<RelationState>>,
}

impl Served {
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
            if super::json::write_datum(datum, data_type, &mut json).is_err() {
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
    by_name: HashMap<String, usize>,
    described: bool,
    list: Arc<Vec<(Relation, Arc<RwLock<RelationState>>)>>,
}

impl Directory {
    /// The relations on the board.
    pub(crate) fn new(board: &Board) -> Directory {
        let list = board.relations();
        let served = |(relation, state): &(Relation, Arc<RwLock<RelationState>>)| {
            Arc::new(Served { relation: relation.clone(), state: Arc::clone(state) })
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

/// `catalog@17,pricing@4`: how far `epoch` includes `sources`; a source not read yet is left out.
pub(crate) fn positions(board: &Board, epoch: &Epoch, sources: &[usize], out: &mut String) {
    use std::fmt::Write;
    for name in sources.iter().filter_map(|at| board.sources().get(*at)).map(|it| &it.name) {
        if let Some(position) = epoch.positions().get(name) {
            let comma = if out.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(out, "{comma}{name}@{position}");
        }
    }
}

/// The greatest lag of `sources` in milliseconds; `None` when one has not been copied yet.
pub(crate) fn lag_ms(board: &Board, sources: &[usize]) -> Option<u64> {
    let known = sources.iter().filter_map(|at| board.sources().get(*at));
    known.map(|it| it.lag_ms()).try_fold(0, |most, lag| Some(most.max(lag?)))
}
