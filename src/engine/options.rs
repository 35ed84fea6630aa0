//! What an engine is told, and why it may refuse.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::catalog::{Catalog, File, Problem};
use crate::source::{self, Sources};
use crate::store::{StoreError, StoreOptions};

/// Where an engine finds its declarations and keeps its state.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Directory of the view files (`*.sql`).
    pub views: PathBuf,
    /// Directory of the state; it is created.
    pub data: PathBuf,
    /// Directory that relative paths of sources start from; the working directory when absent.
    pub base: Option<PathBuf>,
    /// Longest time between fsyncs of the journal while changes arrive.
    pub sync_interval: Duration,
    /// Upper bound of the events put into one epoch when there is a backlog.
    pub max_epoch_events: usize,
    /// The store's own settings.
    pub store: StoreOptions,
}

impl EngineOptions {
    /// The defaults for these two directories.
    pub fn new(views: impl Into<PathBuf>, data: impl Into<PathBuf>) -> EngineOptions {
        // A data directory may be removed at any time; the next one begins with a later second.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |it| it.as_secs());
        EngineOptions {
            views: views.into(),
            data: data.into(),
            base: None,
            sync_interval: Duration::from_millis(100),
            max_epoch_events: 50_000,
            store: StoreOptions { first_incarnation: now, ..StoreOptions::default() },
        }
    }

    /// Reads the view files, and what they declare of the sources; nothing is contacted.
    pub fn read_catalog(&self) -> Result<(Catalog, Sources), EngineError> {
        let wrong = |(files, problems)| EngineError::Views { files, problems };
        let catalog = crate::catalog::read_directory(&self.views).map_err(wrong)?;
        let sources = source::connect(&catalog, self.base.as_deref().unwrap_or(Path::new(""))).map_err(wrong)?;
        Ok((catalog, sources))
    }
}

/// Why an engine cannot run, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The view files have problems.
    #[error("{}", render(files, problems))]
    Views {
        /// The files, for rendering.
        files: Vec<File>,
        /// What is wrong with them.
        problems: Vec<Problem>,
    },
    /// The data directory cannot be opened.
    #[error("the data directory {}: {error}{}", path.display(), advice(error))]
    Data {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        error: StoreError,
    },
    /// The store failed.
    #[error("{0}{advice}", advice = advice(.0))]
    Store(StoreError),
    /// The operating system refused something.
    #[error("{0}")]
    Io(String),
    /// A table or view that is not complete was read.
    #[error("{0}")]
    Incomplete(String),
    /// Intake has stopped for good.
    #[error("the engine stopped: {0}")]
    Halted(String),
    /// The engine was told to stop before this was done; nothing is lost.
    #[error("told to stop")]
    Stopped,
    /// Waiting took too long.
    #[error("not ready within {0:?}: {1}")]
    TimedOut(Duration, String),
}

// The store's words are part of the error's own, so it is no source that is told once more.
impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> EngineError {
        EngineError::Store(error)
    }
}

fn render(files: &[File], problems: &[Problem]) -> String {
    problems.iter().map(|it| it.render(files)).collect::<Vec<_>>().join("\n\n")
}

/// What a person can do about an error of the store, where it does not say so itself.
fn advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Corrupt(_) => {
            "; all of it is derived: remove the data directory, and it is built again from the sources"
        }
        _ => "",
    }
}
