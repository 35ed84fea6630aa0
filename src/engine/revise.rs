//! When the plan is made anew while the engine runs: something came that was away, or the view files are to be read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use super::memory::Memory;
use super::options::{EngineError, EngineOptions};
use super::outline::{Outline, outline};
use super::report::Reporter;
use super::run::Reload;
use crate::catalog::{Catalog, Name, Options, Table};
use crate::change::Schema;
use crate::source::Sources;

/// Between two looks for tables that are not there: the first pause and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// What is declared and what of it was planned.
#[derive(Debug)]
pub(super) struct Reviser {
    options: EngineOptions,
    declared: Arc<Catalog>,
    sources: Sources,
    memory: Memory,
    reload: Reload,
    due: Instant,
    pause: Duration,
    /// What the sources last said of the tables that could not be described.
    refusals: Vec<String>,
}

impl Reviser {
    pub(super) fn new(
        options: EngineOptions,
        declared: Arc<Catalog>,
        sources: Sources,
        memory: Memory,
        reload: Reload,
    ) -> Reviser {
        let (due, pause) = (Instant::now(), FIRST_PAUSE);
        Reviser { options, declared, sources, memory, reload, due, pause, refusals: Vec::new() }
    }

    /// Remembers what was planned.
    pub(super) fn learn(&mut self, planned: &Catalog, schemas: &[Schema]) -> Result<(), EngineError> {
        self.memory.learn(planned, schemas);
        self.memory.write(&self.declared, &self.options.data)
    }

    /// What is to be planned instead of what runs, if there is a reason; asked again and again.
    pub(super) fn look(&mut self, core: &Core, reporter: &mut Reporter) -> Option<Outline> {
        if self.reload.take() {
            return self.read_again();
        }
        let planned = core.catalog.tables.len();
        if planned == self.declared.tables.len() || Instant::now() < self.due {
            return None;
        }
        let outline = self.look_for_tables(core);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        self.due = Instant::now() + self.pause;
        let outline = outline?;
        if outline.catalog.tables.len() > planned {
            self.pause = FIRST_PAUSE;
            return Some(outline);
        }
        // Nothing came, but what is in the way has changed.
        reporter.set_unplanned(outline.unplanned);
        None
    }

    /// Asks for the tables that are missing; `None` when nothing has changed.
    fn look_for_tables(&mut self, core: &Core) -> Option<Outline> {
        let known = |table: &Table| {
            let at = core.catalog.tables.iter().position(|it| it.name == table.name)?;
            Some(core.graph().nodes[at].schema.clone())
        };
        let missing = self.declared.tables.iter().filter(|it| known(it).is_none());
        let describe = |table: &Table| self.sources.of(table).describe(table);
        let answer = |table: &Table| describe(table).map_or_else(|it| it.to_string(), |_| String::new());
        let refusals: Vec<String> = missing.map(answer).collect();
        let came = refusals.iter().any(String::is_empty);
        if refusals == self.refusals && !came {
            return None;
        }
        self.refusals = refusals;
        Some(outline(&self.declared, &self.sources, &self.memory, known))
    }

    /// Reads the view files again; when they cannot be taken, the log says why and all goes on as it is.
    fn read_again(&mut self) -> Option<Outline> {
        let refused = |reason: String| {
            tracing::error!("the view files were not taken, and what runs goes on: {reason}");
            None
        };
        let (declared, sources) = match self.options.read_catalog() {
            Ok(read) => read,
            Err(error) => return refused(error.to_string()),
        };
        if asked_of_sources(&declared) != asked_of_sources(&self.declared) {
            return refused("their sources are others than before, which takes a restart".into());
        }
        let outline = outline(&declared, &sources, &self.memory, |_| None);
        let problems = outline.mistakes(&declared, &self.memory);
        if !problems.is_empty() {
            return refused(EngineError::Views { files: declared.files, problems }.to_string());
        }
        tracing::info!("the view files were read again; what is unchanged is kept, what is new is built");
        (self.declared, self.sources) = (Arc::new(declared), sources);
        self.refusals.clear();
        Some(outline)
    }
}

/// What is declared of every source, whatever the order of its options.
fn asked_of_sources(catalog: &Catalog) -> Vec<(&str, &Name, Options)> {
    catalog.sources.iter().map(|it| (it.name.as_str(), &it.connector, it.options.sorted())).collect()
}
