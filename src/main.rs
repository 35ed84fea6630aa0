//! The command line, readable from the top: parse, then one function a command.

mod ask;
mod cli;
mod findings;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use ask::ServerArgs;
use clap::Parser;
use cli::{CaptureAction, CheckArgs, Cli, Command, ExplainArgs, ServeArgs, SourcesAction, SourcesArgs};
use vantage::catalog::{Catalog, Problem, Table};
use vantage::change::{Schema, counted};
use vantage::engine::{Engine, EngineError, EngineOptions, Outline};
use vantage::serve::{self, ServeOptions};
use vantage::signals::{self, Interruption};
use vantage::source::Sources;
use vantage::store::Unplanned;

#[global_allocator]
static ALLOCATOR: metered::Metered<mimalloc::MiMalloc> = metered::Metered::new(mimalloc::MiMalloc);

/// After so many steps of requests it is looked which sockets have something to be read, be there further steps to take.
/// The usual 61 keep a newcomer waiting for as long as so many of them take.
const STEPS: u32 = 8;

fn main() -> ExitCode {
    if let Err(error) = cli::refuse_unknown_variables(std::env::vars_os()) {
        eprintln!("error: {error:#}");
        return ExitCode::from(2);
    }
    let cli = Cli::parse();
    if let Err(error) = start_logging(&cli.log) {
        eprintln!("error: --log {:?}: {error}", cli.log);
        return ExitCode::from(2);
    }
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            let text = format!("{error:#}");
            // Problems in view files already begin with "error:" and show where they are.
            if text.starts_with("error:") {
                eprintln!("{text}")
            } else {
                eprintln!("error: {text}")
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => run_serve(args),
        Command::Demo(args) => Ok(vantage::demo::run(args)?),
        Command::Capture(args) => run_capture(&args.action),
        Command::Check(args) => run_check(&args),
        Command::Explain(args) => run_explain(&args),
        Command::Health(server) => run_health(&server),
        Command::Sources(SourcesArgs { server, action: None }) => {
            say(&ask::sources(&server)?).map(|()| ExitCode::SUCCESS)
        }
        Command::Sources(SourcesArgs { server, action: Some(SourcesAction::Resync { source, table }) }) => {
            say(&ask::resync(&server, &source, table.as_deref())?).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// Text for people, JSON lines for collectors; `RUST_LOG` syntax selects.
fn start_logging(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| vantage::demo::LogWriter);
    if std::io::stderr().is_terminal() {
        builder.init()
    } else {
        builder.json().flatten_event(true).init()
    }
    Ok(())
}

fn run_serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let serve_options = ServeOptions {
        listen: args.listen,
        token: args.token,
        insecure: args.insecure,
        statement_timeout: std::time::Duration::from_millis(args.statement_timeout_ms),
        max_rows: args.max_rows,
        drain_delay: std::time::Duration::from_millis(args.drain_delay_ms),
        max_connections: ServeOptions::default().max_connections.min(allow_files() / 3),
        ..ServeOptions::default()
    };
    serve::check_listen(&serve_options)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().event_interval(STEPS).build().context("cannot start the runtime")?;
    // The address is taken first: a port in use is noticed before any state is opened.
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(args.listen))
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let engine = Engine::start(EngineOptions::new(args.views, args.data))?;
    tracing::info!(%address, "serving; try GET /v1/views");
    let board = Arc::clone(engine.board());
    let interruption = runtime.block_on(Interruption::listen(|| ())).context("cannot listen for signals")?;
    let reload = engine.reload();
    runtime.block_on(async { signals::on_hangup(move || reload.request()) }).context("cannot listen for signals")?;
    let served = runtime.block_on(serve::serve(listener, board, serve_options, interruption.wait()));
    let halted = engine.board().halted();
    engine.stop().or_else(|error| match (&error, halted) {
        // What stopped intake was logged when it happened; the endpoints said so since.
        (EngineError::Halted(_), Some(reason)) => bail!("intake had stopped: {reason}"),
        _ => Err(error.into()),
    })?;
    served?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// How many files may be open, sockets included; asks for as many as the system gives. The 1024 that are usual are few
/// for connections and the store together.
fn allow_files() -> usize {
    let limit =
        rlimit::increase_nofile_limit(u64::MAX).or_else(|_| rlimit::getrlimit(rlimit::Resource::NOFILE).map(|it| it.0));
    usize::try_from(limit.unwrap_or(1024)).unwrap_or(usize::MAX)
}

fn run_capture(action: &CaptureAction) -> anyhow::Result<ExitCode> {
    use vantage::source::sqlite::capture;
    let (report, expected) = match action {
        CaptureAction::Install { db, tables } => (capture::install(db, tables)?, true),
        CaptureAction::Status { db, tables } => (capture::status(db, tables)?, true),
        CaptureAction::Remove { db, tables } => (capture::remove(db, tables)?, false),
    };
    say(&report.to_string())?;
    // After a removal nothing is captured, and that is what was asked for.
    Ok(if report.is_complete() || !expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that can be said about view files without touching any state.
fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (declared, outline) = vantage::engine::plan_directory(&args.views)?;
    let Outline { sources, catalog, graph, unplanned, problems, .. } = &outline;
    let counts = [
        counted(declared.sources.len(), "source"),
        counted(declared.tables.len(), "table"),
        counted(declared.views.len(), "view"),
        counted(declared.indexes.len(), "index"),
    ];
    let outcome = if unplanned.is_empty() { "ok".into() } else { format!("{} cannot be planned", unplanned.len()) };
    let mut lines = vec![format!("{}: {outcome}", counts.join(", "))];
    for (table, node) in catalog.tables.iter().zip(&graph.nodes) {
        lines.extend(notes(sources, table, &node.schema));
        lines.extend(findings::notes(catalog, sources, table, &node.schema));
    }
    for view in &graph.views {
        let schema = &graph.nodes[view.node.0].schema;
        let key: Vec<&str> = schema.address().map(|it| schema.columns[it.column].name.as_str()).collect();
        let key = if schema.has_visible_key() { format!("key ({})", key.join(", ")) } else { "no key".into() };
        let columns = schema.visible_columns().iter().map(|it| format!("{} {}", it.name, it.data_type));
        lines.push(format!("  {} [{key}]: {}", view.name, columns.collect::<Vec<_>>().join(", ")));
    }
    for view in catalog.views.iter().filter(|it| !it.materialized) {
        lines.push(format!("  {} [not kept]: read by SQL and by other views", view.name));
    }
    lines.extend(obstacles(catalog, sources));
    say(&lines.join("\n"))?;
    print_unplanned(&declared, unplanned, problems);
    Ok(if unplanned.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What cannot be planned and why, each where it is declared or where the mistake is.
fn print_unplanned(declared: &Catalog, unplanned: &[Unplanned], problems: &[(String, Problem)]) {
    let tables = declared.tables.iter().map(|it| (&it.name, it.span));
    let views = declared.views.iter().map(|it| (&it.name, it.span));
    let places: Vec<_> = tables.chain(views).chain(declared.indexes.iter().map(|it| (&it.name, it.span))).collect();
    for it in unplanned {
        let told = it.state.complaint(&format!("{} \"{}\"", it.kind, it.name)).unwrap_or_default();
        let span = places.iter().find(|place| *place.0 == it.name).map(|place| place.1);
        let own = problems.iter().find(|(name, _)| *name == it.name).map(|it| it.1.clone());
        let problem = own.unwrap_or(Problem { message: told, span, hint: None });
        eprintln!("{}", problem.render(&declared.files));
    }
}

/// What `serve` would wait for.
fn obstacles(catalog: &Catalog, sources: &Sources) -> Vec<String> {
    let mut notes = Vec::new();
    for (index, source) in catalog.sources.iter().enumerate() {
        let tables = catalog.tables.iter().filter(|it| it.source == index);
        let found = sources.get(index).obstacles(&tables.collect::<Vec<_>>());
        notes.extend(found.iter().map(|it| format!("  note: source {} cannot be followed yet: {it}", source.name)));
    }
    notes
}

/// What about a table may surprise: rows that cannot be addressed, comparisons that differ from the owner's.
fn notes(sources: &Sources, table: &Table, schema: &Schema) -> Vec<String> {
    let mut notes = Vec::new();
    if !schema.has_visible_key() {
        notes.push(format!(
            "  note: the rows of {} cannot be read by key: it has no primary key and no UNIQUE over NOT NULL columns, or \
             one whose values have several spellings (times, columns without a type)",
            table.name
        ));
    }
    // What a table's file cannot tell now was told by whatever is in its way.
    for (column, collation) in sources.of(table).collations(table).unwrap_or_default() {
        notes.push(format!(
            "  note: {}.{column} is {collation} at its owner: keys find rows by it here too, but conditions, joins, groups \
             and orders compare bytewise; lower(…) on both sides ignores case",
            table.name
        ));
    }
    notes
}

fn run_explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let (declared, outline) = vantage::engine::plan_directory(&args.views)?;
    let Outline { catalog, graph, unplanned, problems, .. } = &outline;
    if let Some(it) = unplanned.iter().find(|it| it.name == args.view) {
        print_unplanned(&declared, std::slice::from_ref(it), problems);
        return Ok(ExitCode::FAILURE);
    }
    if !graph.views.iter().any(|it| it.name == args.view) {
        let names: Vec<&str> = graph.views.iter().map(|it| it.name.as_str()).collect();
        if catalog.views.iter().any(|it| it.name == args.view) {
            bail!(
                "\"{}\" is a plain view: its query becomes part of those that read it, and nothing is kept for it",
                args.view
            );
        }
        bail!("there is no materialized view \"{}\"; there are: {}", args.view, names.join(", "));
    }
    say(&vantage::plan::explain(graph, catalog, &args.view))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks a running server whether it is ready, for container health checks.
fn run_health(server: &ServerArgs) -> anyhow::Result<ExitCode> {
    let (ready, words) = ask::health(server)?;
    say(&words)?;
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes to standard output. Who stops reading (`vantage check | head`) has read enough.
fn say(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write the answer"),
        _ => Ok(()),
    }
}

/// `--views` and `--data` complain early when they cannot be what is meant.
pub(crate) fn existing_directory(text: &str) -> Result<std::path::PathBuf, String> {
    let path = Path::new(text);
    if path.is_dir() { Ok(path.to_path_buf()) } else { Err(format!("{text} is not a directory")) }
}
