//! The command line, readable from the top: parse, then one function a command.

mod cli;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Parser;
use cli::{CaptureAction, CheckArgs, Cli, Command, ExplainArgs, HealthArgs, ServeArgs};
use vantage::engine::{Engine, EngineError, EngineOptions};
use vantage::serve::{self, ServeOptions};
use vantage::signals::Interruption;

#[global_allocator]
static ALLOCATOR: metered::Metered<mimalloc::MiMalloc> = metered::Metered::new(mimalloc::MiMalloc);

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
        Command::Health(args) => run_health(&args),
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
        ..ServeOptions::default()
    };
    serve::check_listen(&serve_options)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    // The address is taken first: a port in use is noticed before any state is opened.
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(args.listen))
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    let engine = Engine::start(EngineOptions::new(args.views, args.data))?;
    tracing::info!(%address, "serving; try GET /v1/views");
    let board = Arc::clone(engine.board());
    let interruption = runtime.block_on(Interruption::listen(|| ())).context("cannot listen for signals")?;
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

fn run_capture(action: &CaptureAction) -> anyhow::Result<ExitCode> {
    use vantage::source::sqlite::capture;
    let (report, expected) = match action {
        CaptureAction::Install { db, tables } => (capture::install(db, tables)?, true),
        CaptureAction::Status { db, tables } => (capture::status(db, tables)?, true),
        CaptureAction::Remove { db, tables } => (capture::remove(db, tables)?, false),
    };
    println!("{report}");
    // After a removal nothing is captured, and that is what was asked for.
    Ok(if report.is_complete() || !expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that can be said about view files without touching any state.
fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (catalog, graph) = vantage::engine::plan_directory(&args.views)?;
    println!(
        "{} sources, {} tables, {} views, {} indexes: ok",
        catalog.sources.len(),
        catalog.tables.len(),
        catalog.views.len(),
        catalog.indexes.len()
    );
    for (table, node) in catalog.tables.iter().zip(&graph.nodes) {
        print_notes(&table.name, &node.schema);
    }
    for view in &graph.views {
        let schema = &graph.nodes[view.node.0].schema;
        let key: Vec<&str> = schema.key.iter().map(|it| schema.columns[it.column].name.as_str()).collect();
        let key = if schema.has_visible_key() { format!("key ({})", key.join(", ")) } else { "no key".into() };
        let columns = schema.visible_columns().iter().map(|it| format!("{} {}", it.name, it.data_type));
        println!("  {} [{key}]: {}", view.name, columns.collect::<Vec<_>>().join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// What about a table may surprise: rows that cannot be addressed, comparisons that differ from the owner's.
fn print_notes(table: &str, schema: &vantage::change::Schema) {
    if !schema.has_visible_key() {
        println!(
            "  note: {table} has no key of NOT NULL columns, so its rows cannot be read by key (views over it can)"
        );
    }
    for column in schema.visible_columns().iter().filter(|it| it.collation != vantage::change::Collation::Binary) {
        println!(
            "  note: {table}.{} is {:?} at its owner; as a key it is here too, but queries compare it bytewise",
            column.name, column.collation
        );
    }
}

fn run_explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let (catalog, graph) = vantage::engine::plan_directory(&args.views)?;
    if !graph.views.iter().any(|it| it.name == args.view) {
        let names: Vec<&str> = graph.views.iter().map(|it| it.name.as_str()).collect();
        bail!("there is no materialized view \"{}\"; there are: {}", args.view, names.join(", "));
    }
    println!("{}", vantage::plan::explain(&graph, &catalog, &args.view));
    Ok(ExitCode::SUCCESS)
}

/// Asks a running server whether it is ready, for container health checks.
fn run_health(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    use std::io::{Read, Write};
    let mut stream =
        std::net::TcpStream::connect(args.listen).with_context(|| format!("nothing listens on {}", args.listen))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    // Without the token the answer is only whether, not why not.
    let token = args.token.as_ref().map_or(String::new(), |it| format!("Authorization: Bearer {it}\r\n"));
    write!(stream, "GET /readyz HTTP/1.0\r\nHost: {}\r\n{token}\r\n", args.listen)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, body)| body);
    println!("{}", body.trim());
    let ready = answer.split(' ').nth(1) == Some("200");
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `--views` and `--data` complain early when they cannot be what is meant.
pub(crate) fn existing_directory(text: &str) -> Result<std::path::PathBuf, String> {
    let path = Path::new(text);
    if path.is_dir() { Ok(path.to_path_buf()) } else { Err(format!("{text} is not a directory")) }
}
