//! One case: tables, views, and a sequence of epochs with closings, re-openings and added views between them.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;
use rand::rngs::SmallRng;
use vantage::catalog::Catalog;
use vantage::change::{Batch, Position, Schema, SourceState, TableId};
use vantage::engine::{Core, plan_views};
use vantage::store::{Board, RelationState, StoreOptions};

use super::check::{recomputed, served};
use super::owner::Owner;
use super::schema::{Kind, Table};
use super::views::{self, View};

/// Counts over all cases.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// View states compared.
    pub(super) checked: u64,
    /// Those that had rows.
    pub(super) nonempty: u64,
    /// Views generated.
    pub(super) views: u64,
    /// Views that the planner refused.
    pub(super) refused: u64,
    pub(super) epochs: u64,
    pub(super) reopened: u64,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Totals) {
        self.checked += other.checked;
        self.nonempty += other.nonempty;
        self.views += other.views;
        self.refused += other.refused;
        self.epochs += other.epochs;
        self.reopened += other.reopened;
    }
}

struct Case<'d> {
    directory: &'d Path,
    tables: Vec<Table>,
    owner: Owner,
    views: Vec<View>,
    totals: Totals,
    position: u64,
}

/// Runs one case; panics where a view differs from its query.
pub(super) fn case(rng: &mut SmallRng) -> Totals {
    let directory = tempfile::tempdir().expect("temporary directory");
    let tables: Vec<Table> = (0..rng.random_range(1..4)).map(|number| Table::random(rng, number)).collect();
    let owner = Owner::new(&tables);
    let mut case =
        Case { directory: directory.path(), tables, owner, views: Vec::new(), totals: Totals::default(), position: 0 };
    (0..rng.random_range(0..12)).for_each(|_| case.owner.change(rng));
    (0..rng.random_range(4..9)).for_each(|_| case.add_view(rng));
    let mut core = case.open(true);
    case.check(&core);
    for _ in 0..rng.random_range(8..16) {
        if rng.random_bool(0.08) {
            core.close().expect("clean close");
            if rng.random_bool(0.5) {
                case.add_view(rng);
            }
            core = case.open(false);
            case.totals.reopened += 1;
        }
        (0..rng.random_range(1..7)).for_each(|_| case.owner.change(rng));
        case.epoch(&mut core);
        case.check(&core);
    }
    core.close().expect("clean close");
    case.totals
}

impl Case<'_> {
    /// Adds a random view, unless the planner refuses it.
    fn add_view(&mut self, rng: &mut SmallRng) {
        let view = views::random(rng, self.totals.views as usize, &self.tables, &self.views);
        self.totals.views += 1;
        self.views.push(view);
        let (catalog, schemas) = self.catalog();
        if let Err(error) = plan_views(&catalog, &schemas) {
            if std::env::var_os("SEED").is_some() {
                eprintln!("{error}");
            }
            self.views.pop();
            self.totals.refused += 1;
            return;
        }
        if let Some(view) = self.views.last() {
            let statement = format!("CREATE VIEW {} AS {}", view.name, view.query);
            self.owner.connection.execute_batch(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
        }
    }

    /// Writes the view files and reads them as the engine does.
    fn catalog(&self) -> (Catalog, Vec<Schema>) {
        let directory = self.directory.join("views");
        std::fs::create_dir_all(&directory).expect("views directory");
        let mut text = String::from("CREATE SOURCE owner WITH (connector = 'sqlite', path = 'unused.db');\n");
        for table in &self.tables {
            text += &format!("CREATE TABLE {0} FROM owner TABLE '{0}';\n", table.name);
        }
        for view in &self.views {
            text += &format!("CREATE MATERIALIZED VIEW {} AS {};\n", view.name, view.query);
            if let Some(field) = view.fields.iter().find(|it| it.kind == Kind::Int) {
                text += &format!("CREATE INDEX {0}_by ON {0} ({1} DESC);\n", view.name, field.name);
            }
        }
        std::fs::write(directory.join("case.sql"), &text).expect("writable view file");
        let catalog = vantage::catalog::read_directory(&directory).unwrap_or_else(|(files, problems)| {
            panic!("{}", problems.iter().map(|it| it.render(&files)).collect::<Vec<_>>().join("\n"))
        });
        let schemas = catalog.tables.iter().map(|declared| {
            let table = self.tables.iter().find(|it| it.name == declared.upstream).expect("declared table");
            table.schema()
        });
        let schemas = schemas.collect();
        (catalog, schemas)
    }

    fn open(&mut self, first: bool) -> Core {
        let (catalog, schemas) = self.catalog();
        let graph = plan_views(&catalog, &schemas).expect("accepted before");
        let board = Arc::new(Board::new(vec!["owner".into()]));
        let data = self.directory.join("data");
        let options = StoreOptions { checkpoint_rows: 60, ..StoreOptions::default() };
        let mut core = Core::open(Arc::new(catalog), Arc::new(graph), &data, options, board).expect("open");
        core.load().expect("load");
        if first {
            let events = self.owner.snapshot();
            // The order of the tables in the catalog is that of the case.
            let tables = (0..self.tables.len()).map(TableId).collect();
            self.apply(&mut core, events, SourceState::SnapshotStart(tables));
            self.apply(&mut core, Vec::new(), SourceState::Streaming);
        }
        core
    }

    fn epoch(&mut self, core: &mut Core) {
        let events = self.owner.events();
        self.apply(core, events, SourceState::Streaming);
        self.totals.epochs += 1;
    }

    fn apply(&mut self, core: &mut Core, events: Vec<vantage::change::Event>, state: SourceState) {
        self.position += 1;
        let position = Position { log: "case".into(), id: self.position, nonce: 0 };
        let batch = Batch { source: 0, events, position, state, seen_at: Instant::now() };
        core.apply(vec![batch]).expect("apply");
    }

    fn check(&mut self, core: &Core) {
        let epoch = core.board().epoch();
        let relations = core.board().relations();
        assert_eq!(epoch.positions().get("owner").map(|it| it.id), Some(self.position), "position of the epoch");
        for view in &self.views {
            let (relation, state) = relations.iter().find(|(it, _)| it.name == view.name).expect("served view");
            assert_eq!(*state.read().expect("state"), RelationState::Live, "{}", view.name);
            let expected = recomputed(&self.owner.connection, &view.query);
            let actual = served(&epoch, relation);
            assert!(
                actual == expected,
                "view {} differs at epoch {}\nquery: {}\nserved: {actual:#?}\nrecomputed: {expected:#?}\ntables: {:#?}\nviews: {:#?}\nstatements:\n{}",
                view.name,
                epoch.number(),
                view.query,
                self.tables.iter().map(Table::sqlite_ddl).collect::<Vec<_>>(),
                self.views.iter().map(|it| format!("{}: {}", it.name, it.query)).collect::<Vec<_>>(),
                self.owner.log.join(";\n")
            );
            self.totals.checked += 1;
            self.totals.nonempty += u64::from(!expected.is_empty());
        }
    }
}
