//! The stage: a seeded shop in a temporary directory, capture installed, and a running engine over it.
//!
//! The demo and the benchmark play on the same one.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::check::{COPY, CheckError, ViewCheck, check_views};
use super::files::{DECLARATIONS, write_views};
use super::progress::Progress;
use super::seed::{expected_rows, seed};
use super::servers::{ConnectError, Servers};
use super::shop::{Service, Shop};
use super::store::StoreError;
use crate::engine::{Engine, EngineError, EngineOptions};
use crate::source::sqlite::capture;

/// All values of the shop follow from this.
const SEED: u64 = 20_260_101;

/// How long the first copy of the five stores may take for each million rows, and at least.
const PATIENCE_PER_MILLION: Duration = Duration::from_secs(60);

/// How long what servers hold may take until the views have it, and between two looks at it.
const SERVERS_PATIENCE: Duration = Duration::from_secs(120);
const SERVERS_PAUSE: Duration = Duration::from_millis(300);

/// Why the stage could not be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// No directory.
    #[error("the shop's directory could not be made: {0}")]
    Io(#[from] std::io::Error),
    /// Whoever wanted the stage wants it no longer.
    #[error("interrupted")]
    Interrupted,
    /// The services' files could not be filled.
    #[error("the shop could not be seeded: {0}")]
    Seed(#[from] rusqlite::Error),
    /// Capture was refused.
    #[error("capture could not be installed in {service}.db: {reason}")]
    Capture {
        /// The service.
        service: &'static str,
        /// Why.
        reason: String,
    },
    /// A server could not be filled.
    #[error("the shop could not move into its servers: {0}")]
    Store(#[from] StoreError),
    /// Debezium does not follow them.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The views could not be checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A shop with an engine over it. The files go when it is dropped.
#[derive(Debug)]
pub struct Stage {
    /// The running engine; all views are live.
    pub engine: Engine,
    /// The shop.
    pub shop: Shop,
    /// Rows in the services' files.
    pub seeded_rows: u64,
    /// How long the seed took.
    pub seed_time: Duration,
    /// From the start of the engine to all views being live.
    pub load_time: Duration,
    /// Last, so that the engine is gone before its files are.
    _directory: TempDir,
}

impl Stage {
    /// Seeds a shop of `products` products, installs capture, and starts an engine until every view is live.
    pub fn set(products: u64) -> Result<Stage, StageError> {
        Stage::set_in(directory()?, products, None, &|| false)
    }

    /// Does so in `directory`, unless `stop` says not to go on; then nothing is left of it. Where there are servers, the
    /// services move into them.
    pub(super) fn set_in(
        directory: TempDir,
        products: u64,
        servers: Option<Servers>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Stage, StageError> {
        let root = directory.path();
        for part in ["services", "views", "data"] {
            std::fs::create_dir(root.join(part))?;
        }
        write_views(&root.join("views"))?;
        let shop = Shop::new(root, products, SEED);
        let start = Instant::now();
        let progress = Progress::new("seeding the five services", expected_rows(&shop));
        let seeded = seed(&shop, &|rows| {
            progress.add(rows);
            !stop()
        });
        let seeded_rows = if stop() { Err(StageError::Interrupted) } else { Ok(seeded?) }?;
        progress.finish();
        let shop = shop.over(servers);
        if let Some(servers) = shop.servers() {
            move_in(&shop, servers, stop)?;
        }
        let seed_time = start.elapsed();
        let in_files = Service::ALL.into_iter().filter(|it| shop.servers().is_none() || *it == Service::Inventory);
        in_files.into_iter().try_for_each(|service| install(&shop, service))?;
        let start = Instant::now();
        let mut options = EngineOptions::new(root.join("views"), root.join("data"));
        options.base = Some(root.to_path_buf());
        let engine = Engine::start(options)?;
        wait_live(&engine, seeded_rows, stop)?;
        let mut stage =
            Stage { engine, shop, seeded_rows, seed_time, load_time: Duration::ZERO, _directory: directory };
        if stage.shop.servers().is_some() {
            stage.check(stop)?;
        }
        stage.load_time = start.elapsed();
        Ok(stage)
    }

    /// Every view against its query on the owners' data. The services must be quiet; what servers hold may still be on its
    /// way, so that is looked at until the views have it.
    pub(super) fn check(&self, stop: &dyn Fn() -> bool) -> Result<Vec<ViewCheck>, StageError> {
        let (catalog, board) = (self.engine.catalog(), self.engine.board());
        let Some(servers) = self.shop.servers() else {
            return Ok(check_views(catalog, self.shop.directory(), board)?);
        };
        servers.copy(&self.shop, &self.shop.directory().join(COPY))?;
        let start = Instant::now();
        loop {
            let checks = check_views(catalog, self.shop.directory(), board)?;
            let settled = checks.iter().all(|check| check.difference.is_none());
            if settled || stop() || start.elapsed() > SERVERS_PATIENCE {
                return Ok(checks);
            }
            std::thread::sleep(SERVERS_PAUSE);
        }
    }
}

/// Puts what was seeded into the servers, and declares the tables as they are there.
fn move_in(shop: &Shop, servers: &Servers, stop: &dyn Fn() -> bool) -> Result<(), StageError> {
    tracing::info!("the services move into their servers");
    servers.move_in(shop, stop)?;
    if stop() {
        return Err(StageError::Interrupted);
    }
    std::fs::write(shop.directory().join("views").join(DECLARATIONS), servers.declarations())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(servers.connect())?)
}

/// A directory for one shop, which goes with the stage.
pub(super) fn directory() -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix("vantage-demo-").tempdir()
}

fn install(shop: &Shop, service: Service) -> Result<(), StageError> {
    let refused = |reason| StageError::Capture { service: service.name(), reason };
    let report = capture::install(&shop.path(service), &[]).map_err(|error| refused(error.to_string()))?;
    if report.is_complete() { Ok(()) } else { Err(refused(report.to_string())) }
}

fn wait_live(engine: &Engine, rows: u64, stop: &dyn Fn() -> bool) -> Result<(), StageError> {
    let progress = Progress::new("copying, building the views", rows);
    let millions = u32::try_from(rows / 1_000_000).unwrap_or(u32::MAX);
    let deadline = Instant::now() + PATIENCE_PER_MILLION * millions.saturating_add(1);
    loop {
        if stop() {
            return Err(StageError::Interrupted);
        }
        match engine.wait_ready(Duration::from_millis(200)) {
            Ok(()) => break,
            Err(EngineError::TimedOut(..)) if Instant::now() < deadline => {
                let copied = engine.board().sources().iter().map(|source| source.events.load(Ordering::Relaxed));
                progress.set(copied.sum());
            }
            Err(error) => return Err(error.into()),
        }
    }
    progress.set(rows);
    progress.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_stage_leaves_nothing_behind() {
        // While the files are filled, and while the engine copies them.
        for part in ["services", "data"] {
            let directory = directory().unwrap();
            let root = directory.path().to_path_buf();
            let begun = || std::fs::read_dir(root.join(part)).is_ok_and(|mut it| it.next().is_some());
            let set = Stage::set_in(directory, 2000, None, &begun);
            assert!(matches!(set, Err(StageError::Interrupted)), "{part}: {set:?}");
            assert!(!root.exists(), "{part}");
        }
    }
}
