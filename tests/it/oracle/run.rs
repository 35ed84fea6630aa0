//! One case: tables, views, and a sequence of epochs with closings, re-openings and added views between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;
use rand::rngs::SmallRng;
use vantage::catalog::Catalog;
use vantage::change::{Batch, Event, Phase, Position, Schema, TableId};
use vantage::engine::{Core, plan_views};
use vantage::plan::{Graph, NodeId, Operator};
use vantage::store::{Board, RelationState, StoreOptions};

use super::check::{recomputed, served};
use super::owner::Owner;
use super::pick;
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
    /// Snapshots of tables already served.
    pub(super) resnapshots: u64,
    /// Epochs of two batches.
    pub(super) merged: u64,
    /// Cases with error cells in the tables.
    pub(super) erring: u64,
    /// Compared view states that an operator had a part in.
    pub(super) operators: BTreeMap<&'static str, u64>,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Totals) {
        self.checked += other.checked;
        self.nonempty += other.nonempty;
        self.views += other.views;
        self.refused += other.refused;
        self.epochs += other.epochs;
        self.reopened += other.reopened;
        self.resnapshots += other.resnapshots;
        self.merged += other.merged;
        self.erring += other.erring;
        for (operator, count) in &other.operators {
            *self.operators.entry(operator).or_default() += count;
        }
    }
}

impl Totals {
    /// One line of counts, then how many compared view states each operator had a part in.
    pub(super) fn print(&self) {
        println!(
            "TOTALS {} view states checked ({} not empty), {} views ({} refused), {} epochs ({} of two batches, {} snapshots again), reopened {} times, {} cases with errors",
            self.checked,
            self.nonempty,
            self.views,
            self.refused,
            self.epochs,
            self.merged,
            self.resnapshots,
            self.reopened,
            self.erring
        );
        for (operator, count) in &self.operators {
            println!("  {operator:<18}{count:>8}");
        }
    }
}

/// What is below `node`, by the name of the operator.
fn operators(graph: &Graph, node: NodeId, names: &mut BTreeSet<&'static str>) {
    let operator = &graph.nodes[node.0].operator;
    names.insert(match operator {
        Operator::Table(_) => "table",
        Operator::Map { .. } => "map",
        Operator::Arrange { .. } => "arrange",
        Operator::Order { .. } => "order",
        Operator::Assemble { .. } => "assembly join",
        Operator::Join { .. } => "delta join",
        Operator::LeftJoin { .. } => "left join",
        Operator::Aggregate { groups: 0, .. } => "global aggregate",
        Operator::Aggregate { .. } => "aggregate",
        Operator::TopN { .. } => "top-n",
        Operator::UnionAll { .. } => "union all",
    });
    operator.inputs().into_iter().for_each(|it| operators(graph, it, names));
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
    let mut tables: Vec<Table> = (0..rng.random_range(1..4)).map(|number| Table::random(rng, number)).collect();
    if rng.random_bool(0.3) {
        let again = pick(rng, &tables).clone().twin(rng);
        tables.push(again);
    }
    let mut owner = Owner::new(&tables);
    owner.erring = rng.random_bool(0.2);
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
        match rng.random_range(0..10) {
            0 => case.resnapshot(&mut core, rng),
            1 => case.merged_epoch(&mut core, rng),
            _ => {
                (0..rng.random_range(1..7)).for_each(|_| case.owner.change(rng));
                case.epoch(&mut core);
            }
        }
        case.check(&core);
    }
    core.close().expect("clean close");
    case.totals.erring = u64::from(case.owner.erring);
    case.totals
}

/// Runs given statements over given views; each group of statements is an epoch.
/// `truths` are the queries to compare with where SQLite means something else by the view's own.
pub(super) fn replay(tables: Vec<Table>, views: &[(&str, &str)], truths: &[(&str, &str)], epochs: &[&[&str]]) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let owner = Owner::new(&tables);
    let mut case =
        Case { directory: directory.path(), tables, owner, views: Vec::new(), totals: Totals::default(), position: 0 };
    for (name, query) in views {
        let view = View { name: (*name).into(), query: (*query).into(), fields: Vec::new(), plain: false, joins: 0 };
        let truth = truths.iter().find(|it| it.0 == *name).map_or(*query, |it| it.1);
        case.owner.connection.execute_batch(&format!("CREATE TEMP VIEW {name} AS {truth}")).expect("valid view");
        case.views.push(view);
    }
    let mut core = case.open(true);
    case.check(&core);
    for statements in epochs {
        statements.iter().for_each(|it| case.owner.execute(it));
        case.epoch(&mut core);
        case.check(&core);
    }
    core.close().expect("clean close");
    // What is recovered has to go on as what was kept, and what is built at once has to be what was kept.
    let core = case.open(false);
    case.check(&core);
    core.close().expect("clean close");
    std::fs::remove_dir_all(case.directory.join("data")).expect("removable data");
    let core = case.open(true);
    case.check(&core);
    core.close().expect("clean close");
}

impl Case<'_> {
    /// Adds a random view, unless the planner refuses it.
    fn add_view(&mut self, rng: &mut SmallRng) {
        let view = views::random(rng, self.totals.views as usize, &self.tables, &self.views, self.owner.erring);
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
            let statement = format!("CREATE TEMP VIEW {} AS {}", view.name, view.query);
            self.owner.connection.execute_batch(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
        }
    }

    /// Writes the view files and reads them as the engine does.
    fn catalog(&self) -> (Catalog, Vec<Schema>) {
        let directory = self.directory.join("views");
        std::fs::create_dir_all(&directory).expect("views directory");
        let mut text = String::from("CREATE SOURCE owner WITH (connector = 'sqlite', path = 'unused.db');\n");
        for table in &self.tables {
            text += &format!("CREATE TABLE {} FROM owner TABLE '{}';\n", table.name, table.upstream);
        }
        for view in &self.views {
            let kind = if view.plain { "VIEW" } else { "MATERIALIZED VIEW" };
            text += &format!("CREATE {kind} {} AS {};\n", view.name, view.query);
            if view.plain {
                continue;
            }
            if let Some(field) = view.fields.iter().find(|it| it.kind == Kind::Int) {
                text += &format!("CREATE INDEX {0}_by ON {0} ({1} DESC);\n", view.name, field.name);
            }
            if let [first, second, others @ ..] = &view.fields[..] {
                let include = others.first().map(|it| format!(" INCLUDE ({})", it.name)).unwrap_or_default();
                text += &format!(
                    "CREATE INDEX {0}_both ON {0} ({1}, {2} DESC){include};\n",
                    view.name, second.name, first.name
                );
            }
        }
        std::fs::write(directory.join("case.sql"), &text).expect("writable view file");
        let catalog = vantage::catalog::read_directory(&directory).unwrap_or_else(|(files, problems)| {
            panic!("{}", problems.iter().map(|it| it.render(&files)).collect::<Vec<_>>().join("\n"))
        });
        let schemas = catalog.tables.iter().map(|declared| {
            let table = self.tables.iter().find(|it| it.name == declared.name).expect("declared table");
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
            self.apply(&mut core, events, Phase::SnapshotStart(tables));
            self.apply(&mut core, Vec::new(), Phase::Streaming);
        }
        core
    }

    /// The rows of every view, built from the owner's rows of now.
    fn built(&mut self) -> BTreeMap<String, Vec<String>> {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (catalog, schemas) = self.catalog();
        let graph = plan_views(&catalog, &schemas).expect("accepted before");
        let board = Arc::new(Board::new(vec!["owner".into()]));
        let options = StoreOptions::default();
        let mut core = Core::open(Arc::new(catalog), Arc::new(graph), directory.path(), options, board).expect("open");
        core.load().expect("load");
        let tables = (0..self.tables.len()).map(TableId).collect();
        let (kept, events) = (self.position, self.owner.snapshot());
        self.apply(&mut core, events, Phase::SnapshotStart(tables));
        self.apply(&mut core, Vec::new(), Phase::Streaming);
        self.position = kept;
        let epoch = core.board().epoch();
        let rows = core.board().relations().iter().map(|(it, _)| (it.name.clone(), served(&epoch, it, true))).collect();
        core.close().expect("clean close");
        rows
    }

    fn epoch(&mut self, core: &mut Core) {
        let events = self.owner.events();
        self.apply(core, events, Phase::Streaming);
        self.totals.epochs += 1;
    }

    /// Two batches become one epoch, as they do when the engine is behind.
    fn merged_epoch(&mut self, core: &mut Core, rng: &mut SmallRng) {
        let mut batches = Vec::new();
        for _ in 0..2 {
            (0..rng.random_range(1..5)).for_each(|_| self.owner.change(rng));
            let events = self.owner.events();
            batches.push(self.batch(events, Phase::Streaming));
        }
        core.apply(batches).expect("apply");
        self.totals.epochs += 1;
        self.totals.merged += 1;
    }

    /// The tables are copied again, in parts, with changes before and meanwhile; readers see only the end of it.
    fn resnapshot(&mut self, core: &mut Core, rng: &mut SmallRng) {
        let mut batches = Vec::new();
        if rng.random_bool(0.5) {
            (0..rng.random_range(0..4)).for_each(|_| self.owner.change(rng));
            let events = self.owner.events();
            batches.push(self.batch(events, Phase::Streaming));
        }
        (0..rng.random_range(0..6)).for_each(|_| self.owner.change(rng));
        let mut rows = self.owner.snapshot();
        let rest = rows.split_off(rng.random_range(0..=rows.len()));
        let tables = (0..self.tables.len()).map(TableId).collect();
        batches.push(self.batch(rows, Phase::SnapshotStart(tables)));
        batches.push(self.batch(rest, Phase::Snapshot));
        (0..rng.random_range(0..4)).for_each(|_| self.owner.change(rng));
        let events = self.owner.events();
        batches.push(self.batch(events, Phase::Streaming));
        if rng.random_bool(0.5) {
            core.apply(batches).expect("apply");
        } else {
            batches.into_iter().for_each(|it| core.apply(vec![it]).expect("apply"));
        }
        self.totals.epochs += 1;
        self.totals.resnapshots += 1;
    }

    fn batch(&mut self, events: Vec<Event>, phase: Phase) -> Batch {
        self.position += 1;
        let position = Position::whole("case", self.position, &[]);
        let covers = (0..self.tables.len()).map(TableId).collect();
        Batch { source: 0, events, position, phase, covers, seen_at: Instant::now() }
    }

    fn apply(&mut self, core: &mut Core, events: Vec<Event>, phase: Phase) {
        let batch = self.batch(events, phase);
        core.apply(vec![batch]).expect("apply");
    }

    fn check(&mut self, core: &Core) {
        let epoch = core.board().epoch();
        let relations = core.board().relations();
        assert_eq!(epoch.positions().get("owner").map(|it| it.only().at), Some(self.position), "position of the epoch");
        let graph = core.graph();
        // SQLite knows no error cells, so what is kept is compared now and then with what is built at once.
        if self.owner.erring && !self.totals.epochs.is_multiple_of(3) {
            return;
        }
        let built = self.owner.erring.then(|| self.built());
        for view in self.views.iter().filter(|it| !it.plain) {
            let (relation, state) = relations.iter().find(|(it, _)| it.name == view.name).expect("served view");
            assert_eq!(*state.read().expect("state"), RelationState::Live, "{}", view.name);
            let expected = match &built {
                Some(built) => built[&view.name].clone(),
                None => recomputed(&self.owner.connection, &format!("SELECT * FROM {}", view.name)),
            };
            let actual = served(&epoch, relation, self.owner.erring);
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
            let mut names = BTreeSet::new();
            let planned = graph.views.iter().find(|it| it.name == view.name).expect("planned view");
            operators(graph, planned.node, &mut names);
            names.into_iter().for_each(|it| *self.totals.operators.entry(it).or_default() += 1);
            self.totals.nonempty += u64::from(!expected.is_empty());
        }
    }
}
