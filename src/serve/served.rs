//! What is served: the board's relations, prepared for look-up by name.
//!
//! It is rebuilt only when the board's list is replaced, so that a read costs one hash look-up.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::http::StatusCode;

use super::json;
use super::problem::Problem;
use super::snapshot::{Origin, Snapshot};
use crate::catalog::{Relation, View, did_you_mean};
use crate::change::{Column, Datum, KeyColumn, Position, Row};
use crate::store::{Board, Epoch, RelationState, SharedState, Unplanned};

/// How many columns tell which row a message is about, where it has no key to ask for.
const SHOWN_COLUMNS: usize = 3;

/// One table or view.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) relation: Relation,
    pub(crate) state: SharedState,
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
    fn new(relation: Relation, state: SharedState) -> Served {
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

    /// The place of the column `name`.
    pub(crate) fn column(&self, name: &str) -> Result<usize, Problem> {
        let schema = &self.relation.schema;
        schema.index_of(name).ok_or_else(|| {
            let near = did_you_mean(name, schema.visible_columns().iter().map(|it| &*it.name));
            let problem = Problem::no_such_column(&self.relation.name, name);
            Problem { hint: near.or(problem.hint), ..problem }
        })
    }

    /// Remembers that no row of `epoch` has an error in the first column of this index (`None`: of the key).
    pub(crate) fn note_error_free(&self, index: Option<usize>, epoch: &Epoch) {
        self.error_free[index.map_or(0, |at| at + 1)].store(epoch.number(), Ordering::Relaxed);
    }

    /// Whether that is known. It says nothing about rows, so it needs no order among memory accesses.
    pub(crate) fn is_error_free(&self, index: Option<usize>, epoch: &Epoch) -> bool {
        self.error_free[index.map_or(0, |at| at + 1)].load(Ordering::Relaxed) == epoch.number()
    }

    /// The state as of a snapshot: what its sources make of it, and stale when nothing is taken in, or it is further behind
    /// than was declared.
    pub(crate) fn state(&self, snapshot: &Snapshot) -> RelationState {
        let state = self.state.read().unwrap_or_else(|it| it.into_inner()).clone();
        if state == RelationState::Live { self.behind(snapshot).unwrap_or(state) } else { state }
    }

    /// Stale, when no change reaches anything now, or every change reaches it, but later than the declared freshness
    /// allows.
    fn behind(&self, snapshot: &Snapshot) -> Option<RelationState> {
        if let Some(why) = &snapshot.stands_still {
            return Some(RelationState::stale(why.clone()));
        }
        let limit = self.relation.freshness?;
        let lag = Duration::from_millis(snapshot.lag_ms(&self.relation.sources)?);
        let reason = || format!("it is {lag:?} behind its sources, and {limit:?} is declared to be the most");
        (lag > limit).then(|| RelationState::stale(reason()))
    }

    /// What is to be told of an answer that is behind although every change reaches it, or would.
    pub(crate) fn delay(&self, snapshot: &Snapshot) -> Option<String> {
        self.behind(snapshot)?.complaint(&format!("\"{}\"", self.relation.name))
    }

    /// Refuses to read what is not complete; of what is stale, tells how.
    pub(crate) fn standing(&self) -> Result<Standing, Problem> {
        let state = self.state.read().unwrap_or_else(|it| it.into_inner());
        match &*state {
            RelationState::Live => Ok(Standing::default()),
            RelationState::Stale { stands_at, .. } => {
                let reason = state.complaint(&format!("\"{}\"", self.relation.name));
                Ok(Standing { reason, stands_at: stands_at.clone() })
            }
            refused => Err(unreadable(&self.relation.name, refused)),
        }
    }

    /// Which row `row` is, for messages: its key as it stands in a URL, or what its first columns hold.
    fn which(&self, row: &Row) -> String {
        let schema = &self.relation.schema;
        let cell = |column: usize| {
            let data_type = schema.data_type(column);
            let datum = row.get(column, data_type);
            let mut json = Vec::new();
            json::write_datum(datum, data_type, &mut json).ok()?;
            Some((datum, String::from_utf8_lossy(&json).into_owned()))
        };
        if schema.key.is_empty() {
            return "its only row".into();
        }
        if schema.has_visible_key() {
            let part = |part: &KeyColumn| match cell(part.column) {
                Some((Datum::Text(text), _)) => super::percent::encode(text),
                Some((_, json)) => json.trim_matches('"').into(),
                None => "error".into(),
            };
            return format!("key {}", schema.address().map(part).collect::<Vec<_>>().join(","));
        }
        let shown = (0..schema.visible).filter_map(|at| Some(format!("{} = {}", schema.columns[at].name, cell(at)?.1)));
        format!("the row with {}", shown.take(SHOWN_COLUMNS).collect::<Vec<_>>().join(", "))
    }

    /// The problem of reading `column` of `row`, whose cell holds the error `message`.
    pub(crate) fn error_cell(&self, row: &Row, column: usize, message: &str) -> Problem {
        let name = &self.relation.schema.columns[column].name;
        Problem::error_cell(&self.relation.name, name, &self.which(row), message)
    }

    /// The problem of reading a `row` that perhaps does not belong to the relation.
    pub(crate) fn undecided_row(&self, row: &Row, reason: &str) -> Problem {
        Problem::undecided_row(&self.relation.name, &self.which(row), reason)
    }

    /// Refuses to show such a row.
    pub(crate) fn check_decided(&self, row: &Row) -> Result<(), Problem> {
        row.undecided().map_or(Ok(()), |reason| Err(self.undecided_row(row, reason)))
    }
}

/// How what is read stands to its sources.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Why it is stale; absent when it is not.
    pub(crate) reason: Option<String>,
    /// By source, the position the rows stand at, where the epoch is further.
    pub(crate) stands_at: BTreeMap<String, Position>,
}

impl Standing {
    /// What can be said of rows that stand here and there: of each source the earlier position, and every reason once.
    pub(crate) fn with(mut self, other: Standing) -> Standing {
        self.reason = match (self.reason, other.reason) {
            (Some(known), Some(reason)) if !known.contains(&reason) => Some(format!("{known}; {reason}")),
            (known, reason) => known.or(reason),
        };
        for (source, at) in other.stands_at {
            let earlier = match self.stands_at.remove(&source) {
                Some(known) => known.earlier(&at),
                None => at,
            };
            self.stands_at.insert(source, earlier);
        }
        self
    }
}

/// The problem of reading what is in a state in which it has no rows yet.
fn unreadable(name: &str, state: &RelationState) -> Problem {
    let name = format!("\"{name}\"");
    let detail = state.complaint(&name).unwrap_or_else(|| format!("{name} cannot be read"));
    match state {
        RelationState::Failed { .. } => Problem::new(StatusCode::CONFLICT, "55000", detail)
            .hint("it is built as soon as that is mended; GET /readyz lists everything that is amiss"),
        RelationState::Waiting { .. } => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "57P03", detail)
            .hint("it is built as soon as what it waits for is there"),
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "57P03", detail).hint("ask again shortly"),
    }
}

/// All tables and views.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) relations: Vec<Arc<Served>>,
    by_name: HashMap<String, usize, foldhash::fast::RandomState>,
    list: Arc<Vec<(Relation, SharedState)>>,
    /// The views that only name a query, in order of dependence.
    pub(crate) plain_views: Arc<Vec<View>>,
    /// What is declared and could not be planned.
    pub(crate) unplanned: Arc<Vec<Unplanned>>,
    described: bool,
}

impl Directory {
    /// The relations on the board.
    pub(crate) fn new(board: &Board) -> Directory {
        let (list, plain_views, unplanned) = (board.relations(), board.plain_views(), board.unplanned());
        let served =
            |(relation, state): &(Relation, SharedState)| Arc::new(Served::new(relation.clone(), Arc::clone(state)));
        let relations: Vec<Arc<Served>> = list.iter().map(served).collect();
        let by_name = relations.iter().enumerate().map(|(at, it)| (it.relation.name.clone(), at)).collect();
        let described = !relations.is_empty() || !unplanned.is_empty() || board.sources().is_empty();
        Directory { relations, by_name, list, plain_views, unplanned, described }
    }

    /// Whether the board still shows these relations.
    pub(crate) fn is_current(&self, board: &Board) -> bool {
        Arc::ptr_eq(&self.list, &board.relations()) && Arc::ptr_eq(&self.unplanned, &board.unplanned())
    }

    /// The relation called `name`.
    pub(crate) fn find(&self, name: &str) -> Result<&Arc<Served>, Problem> {
        match self.by_name.get(name) {
            Some(at) => Ok(&self.relations[*at]),
            None => Err(self.missing(name)),
        }
    }

    /// The problem of a name that stands for no table and no materialized view.
    fn missing(&self, name: &str) -> Problem {
        if let Some(problem) = self.unplanned(name).or_else(|| self.check_described().err()) {
            return problem;
        }
        if self.plain_views.iter().any(|it| it.name == name) {
            let detail = format!("\"{name}\" is a plain view: it names a query, and its rows are not kept");
            return Problem::new(StatusCode::BAD_REQUEST, "0A000", detail).hint(
                "read it with POST /v1/sql, or declare it with CREATE MATERIALIZED VIEW to read it by key and filters",
            );
        }
        let names = self.relations.iter().map(|it| &*it.relation.name);
        let near = did_you_mean(name, names.chain(self.plain_views.iter().map(|it| &*it.name)));
        let problem = Problem::no_such_view(name);
        Problem { hint: near.or(problem.hint), ..problem }
    }

    /// Refuses to say that something is missing before it is known what there is.
    pub(crate) fn check_described(&self) -> Result<(), Problem> {
        if self.described {
            return Ok(());
        }
        let detail = "the tables of the sources are not known yet";
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "57P03", detail).hint("ask again shortly"))
    }

    /// The problem of reading what is declared under `name` and could not be planned.
    pub(crate) fn unplanned(&self, name: &str) -> Option<Problem> {
        self.unplanned.iter().find(|it| it.name == name).map(|it| unreadable(name, &it.state))
    }
}

/// By source index, in ascending order and once each, the sources some relations depend on.
pub(crate) fn sources_of<'a>(relations: impl Iterator<Item = &'a Served>) -> Vec<usize> {
    let mut sources: Vec<usize> = relations.flat_map(|it| it.relation.sources.iter().copied()).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}
