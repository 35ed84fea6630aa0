//! One case: tables, statements and views over them, and changes in steps, in PostgreSQL and in Vantage.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use vantage::catalog::Catalog;
use vantage::change::{Batch, Event, Phase, Position, Schema, TableId};
use vantage::engine::{Core, EngineError, plan_views};
use vantage::plan::Graph;
use vantage::serve::{ServeOptions, serve};
use vantage::store::{Board, StoreOptions};

use super::judge::{Answered, difference};
use super::statement::{Generator, Statement};
use super::table::Table;
use super::totals::{Difference, Outcome, Totals};
use crate::support::http::Connection;
use crate::support::postgres::{Answer, Failure, Session};

/// Times that the tables change and everything is asked again.
const STEPS: usize = 4;
/// Statements after each change.
const STATEMENTS: usize = 130;
/// Views that are tried.
const VIEWS: usize = 40;

/// What came of a case.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) statements: Totals,
    pub(super) views: Totals,
}

struct Case<'a> {
    seed: u64,
    tables: Vec<Table>,
    postgres: &'a mut Session,
    vantage: Connection,
    core: Core,
    position: u64,
    report: Report,
}

/// Runs the case of this seed.
pub(super) fn run(seed: u64, postgres: &mut Session, runtime: &Runtime) -> Report {
    let mut rng = SmallRng::seed_from_u64(seed);
    let tables: Vec<Table> = (0..rng.random_range(2..4)).map(|number| Table::random(&mut rng, number)).collect();
    for table in &tables {
        postgres.execute(&table.ddl());
    }
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut report = Report::default();
    let tried: Vec<Statement> = (0..VIEWS)
        .map(|at| match at % 3 {
            0 => Generator::statement(&mut rng, &tables),
            _ => Generator::view(&mut rng, &tables),
        })
        .map(|it| Statement { vantage: it.postgres.clone(), parameters: Vec::new(), ..it })
        .collect();
    let indexes: String = tables.iter().map(|it| it.indexes(&mut rng)).collect();
    let (catalog, graph, views) = accepted(directory.path(), &tables, &indexes, tried, &mut report.views);
    let board = Arc::new(Board::new(vec!["owner".into()]));
    let data = directory.path().join("data");
    let mut core = Core::open(catalog, graph, &data, StoreOptions::default(), Arc::clone(&board)).expect("open");
    core.load().expect("load");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("free port");
    let address = listener.local_addr().expect("address");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = runtime.spawn(serve(listener, board, ServeOptions::default(), async {
        let _ = stopped.await;
    }));
    let vantage = Connection::open(address).expect("connection");
    let mut case = Case { seed, tables, postgres, vantage, core, position: 0, report };
    case.change(&mut rng, true);
    for _ in 0..STEPS {
        case.change(&mut rng, false);
        case.check_views(&views);
        case.ask(&mut rng);
    }
    let Case { core, report, vantage, postgres, .. } = case;
    drop(vantage);
    let _ = stop.send(());
    runtime.block_on(server).expect("server").expect("served");
    core.close().expect("clean close");
    postgres.execute("DISCARD TEMP");
    report
}

/// Plans those of the views that are accepted; the others are counted by the reason.
fn accepted(
    directory: &Path,
    tables: &[Table],
    indexes: &str,
    mut views: Vec<Statement>,
    totals: &mut Totals,
) -> (Arc<Catalog>, Arc<Graph>, Vec<Statement>) {
    let declared: String =
        tables.iter().map(|it| format!("CREATE TABLE {0} FROM owner TABLE '{0}';\n", it.name)).collect();
    let head = format!("CREATE SOURCE owner WITH (connector = 'sqlite', path = 'unused.db');\n{declared}{indexes}");
    let first_line = head.lines().count();
    let directory = directory.join("views");
    std::fs::create_dir_all(&directory).expect("views directory");
    loop {
        let mut text = head.clone();
        for (at, view) in views.iter().enumerate() {
            text += &format!("CREATE MATERIALIZED VIEW v{at} AS {};\n", view.postgres);
        }
        std::fs::write(directory.join("case.sql"), &text).expect("writable view file");
        let problems = match vantage::catalog::read_directory(&directory) {
            Err((_, problems)) => problems,
            Ok(catalog) => {
                let schemas: Vec<Schema> = tables.iter().map(Table::schema).collect();
                match plan_views(&catalog, &schemas) {
                    Ok(graph) => return (Arc::new(catalog), Arc::new(graph), views),
                    Err(EngineError::Views { problems, .. }) => problems,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let line = |problem: &vantage::catalog::Problem| {
            let start = problem.span.expect("a place").start;
            text[..start].matches('\n').count().checked_sub(first_line).expect("a view")
        };
        let refused: Vec<(usize, String)> = problems.iter().map(|it| (line(it), it.message.clone())).collect();
        let mut at = 0..;
        views.retain(|_| {
            let at = at.next();
            refused.iter().all(|it| Some(it.0) != at)
        });
        for (_, reason) in refused {
            totals.add(Outcome::Refused(reason), |_| unreachable!("a refusal is no difference"));
        }
    }
}

impl Case<'_> {
    /// Changes the tables in both.
    fn change(&mut self, rng: &mut SmallRng, first: bool) {
        let (mut statements, mut events) = (Vec::new(), Vec::new());
        for (at, table) in self.tables.iter_mut().enumerate() {
            if first || rng.random_bool(0.8) {
                table.change(rng, TableId(at), &mut statements, &mut events);
            }
        }
        for statement in self.postgres.queries(&statements) {
            statement.expect("a change that PostgreSQL takes");
        }
        let tables = (0..self.tables.len()).map(TableId).collect();
        if first {
            self.apply(events, Phase::SnapshotStart(tables));
            self.apply(Vec::new(), Phase::Streaming);
        } else {
            self.apply(events, Phase::Streaming);
        }
    }

    fn apply(&mut self, events: Vec<Event>, phase: Phase) {
        self.position += 1;
        let position = Position::whole("case", self.position, &[]);
        let covers = (0..self.tables.len()).map(TableId).collect();
        let batch = Batch { source: 0, events, position, phase, covers, seen_at: Instant::now() };
        self.core.apply(vec![batch]).expect("apply");
    }

    /// Compares every view with its query.
    fn check_views(&mut self, views: &[Statement]) {
        let expected = self.postgres.queries(&views.iter().map(|it| &it.postgres).collect::<Vec<_>>());
        for (at, (view, expected)) in views.iter().zip(expected).enumerate() {
            let stored = Statement { vantage: format!("SELECT * FROM v{at}"), ordered: false, ..view.clone() };
            let outcome = self.outcome(&stored, expected);
            let asked = format!("CREATE MATERIALIZED VIEW v{at} AS {}", view.postgres);
            let (seed, tables) = (self.seed, &self.tables);
            self.report.views.add(outcome, |detail| Difference { seed, asked, detail, tables: show(tables) });
        }
    }

    /// Asks both the same statements.
    fn ask(&mut self, rng: &mut SmallRng) {
        let statements: Vec<Statement> = (0..STATEMENTS).map(|_| Generator::statement(rng, &self.tables)).collect();
        let expected = self.postgres.queries(&statements.iter().map(|it| &it.postgres).collect::<Vec<_>>());
        for (statement, expected) in statements.iter().zip(expected) {
            let outcome = self.outcome(statement, expected);
            let (seed, tables) = (self.seed, &self.tables);
            self.report.statements.add(outcome, |detail| {
                let parameters: Vec<String> = statement.parameters.iter().map(|it| it.literal()).collect();
                let asked = match parameters.is_empty() {
                    true => statement.vantage.clone(),
                    false => format!("{} -- {}", statement.vantage, parameters.join(", ")),
                };
                Difference { seed, asked, detail, tables: show(tables) }
            });
        }
    }

    fn outcome(&mut self, statement: &Statement, expected: Result<Answer, Failure>) -> Outcome {
        let parameters: Vec<serde_json::Value> = statement.parameters.iter().map(|it| it.json()).collect();
        let body = serde_json::json!({ "sql": statement.vantage, "params": parameters }).to_string();
        let (status, text) = self.vantage.post("/v1/sql", &body).expect("an answer");
        let expected = match expected {
            // Classes 22 and 21: the values; all others: the text.
            Err(failure) if failure.sqlstate.starts_with('2') => {
                let message = format!("{} {}", failure.sqlstate, failure.message);
                return if status == 200 { Outcome::OnlyPostgresFails(message) } else { Outcome::BothFail };
            }
            Err(failure) => return Outcome::Invalid(format!("{} {}", failure.sqlstate, failure.message)),
            Ok(expected) => expected,
        };
        if status != 200 {
            let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let detail = problem["detail"].as_str().unwrap_or(&text).to_string();
            return match problem["code"].as_str() {
                Some("0A000") => Outcome::Refused(detail),
                code => Outcome::Different(format!("Vantage fails with {status} {code:?}: {detail}")),
            };
        }
        match serde_json::from_str::<Answered>(&text) {
            Err(error) => Outcome::Different(format!("no valid answer ({error}): {text}")),
            Ok(actual) => match difference(&expected, &actual, statement.ordered) {
                None => Outcome::Same { empty: expected.rows.is_empty() },
                Some(detail) => Outcome::Different(detail),
            },
        }
    }
}

fn show(tables: &[Table]) -> String {
    tables.iter().map(Table::show).collect::<Vec<_>>().join("\n")
}
