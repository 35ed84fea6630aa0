//! `vantage demo`, from the empty directory to the summary.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::DemoOptions;
use super::probe::{Probe, ProbeError};
use super::readers::{ReadError, ReadTimes, Readers};
use super::servers::Servers;
use super::settle::{SettleError, settle};
use super::shop::Service;
use super::stage::{self, Stage, StageError};
use super::store::StoreError;
use super::summary::Summary;
use super::traffic::{Traffic, Written};
use crate::engine::EngineError;
use crate::serve::{self, ServeOptions};
use crate::signals::{EXIT_CODE, Interruption};

/// Measured for this long when `--seconds` does not say.
const DEFAULT_SECONDS: u64 = 10;

/// How long the engine may need to catch up with the last change before the check.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The port, the runtime or the terminal.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: std::io::Error,
    },
    /// The shop or the engine over it.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The engine could not be stopped cleanly.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A service could not write.
    #[error("a service could not write: {0}")]
    Traffic(#[from] StoreError),
    /// Freshness could not be measured.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// A visitor could not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The views did not catch up.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// The views are not what the services have.
    #[error("after the last change these views differ from their queries on the owners' data: {0}")]
    Different(String),
    /// The HTTP interface.
    #[error("serving failed: {0}")]
    Serve(String),
    /// The summary is not JSON.
    #[error("the summary could not be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Runs the demo; the exit code says whether every view was right.
pub fn run(options: DemoOptions) -> Result<ExitCode, DemoError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |error| DemoError::Io { what, error }
    };
    let serve_options = ServeOptions {
        listen: options.listen,
        token: options.token.clone(),
        insecure: options.insecure,
        ..ServeOptions::default()
    };
    serve::check_listen(&serve_options).map_err(|error| DemoError::Serve(error.to_string()))?;
    let runtime = Runtime::new().map_err(io("cannot start the runtime"))?;
    let directory = stage::directory().map_err(io("the shop has no directory"))?;
    let root = directory.path().to_path_buf();
    // What is still written meanwhile may stay behind then.
    let interruption = runtime.block_on(Interruption::listen(move || _ = std::fs::remove_dir_all(root)));
    let interruption = interruption.map_err(io("cannot listen for signals"))?;
    let listener = runtime.block_on(TcpListener::bind(options.listen));
    let listener = listener.map_err(io(&format!("cannot listen on {}", options.listen)))?;
    let address = listener.local_addr().map_err(io("the listener has no address"))?;

    let stage =
        match Stage::set_in(directory, options.products, Servers::of(&options.servers), &|| interruption.happened()) {
            Err(StageError::Interrupted) => return Ok(ExitCode::from(EXIT_CODE)),
            stage => stage?,
        };
    let (stop_serving, stopped) = oneshot::channel::<()>();
    let board = Arc::clone(stage.engine.board());
    let serving = runtime.spawn(serve::serve(listener, board, serve_options, async { _ = stopped.await }));
    if !options.json {
        say(&what_to_try(&stage, address, &options)?)?;
    }
    let played = play(&options, &stage, address, &runtime, &interruption);
    drop(stop_serving);
    let served = runtime.block_on(serving);
    let correct = played?;
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(DemoError::Serve(error.to_string())),
        Err(error) => return Err(DemoError::Serve(error.to_string())),
    }
    stage.engine.stop()?;
    Ok(if correct { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes to standard output; that nobody reads any more is no reason to end.
fn say(text: &str) -> Result<(), DemoError> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(DemoError::Io { what: "cannot write to standard output".into(), error })
        }
        _ => Ok(()),
    }
}

/// Measures, checks and reports; goes on serving when no end was given. Returns whether every view was right.
fn play(
    options: &DemoOptions,
    stage: &Stage,
    address: SocketAddr,
    runtime: &Runtime,
    interruption: &Interruption,
) -> Result<bool, DemoError> {
    let summary = measure(options, stage, address, runtime, interruption)?;
    if options.json {
        say(&serde_json::to_string_pretty(&summary)?)?;
    } else {
        say(&format!("\n{summary}"))?;
    }
    if options.seconds.is_none() && summary.correct && !interruption.happened() {
        if !options.json {
            say("the services go on writing; Ctrl-C ends the demo")?;
        }
        let traffic = Traffic::start(&stage.shop, options.rate as f64, 2)?;
        runtime.block_on(interruption.clone().wait());
        traffic.stop()?;
        // What went through servers is looked at once more, now that all of it has gone the whole way.
        if stage.shop.servers().is_some() {
            let checks = stage.check(&|| false)?;
            let different = checks.iter().filter(|check| check.difference.is_some());
            let different: Vec<&str> = different.map(|check| check.view.as_str()).collect();
            if !different.is_empty() {
                return Err(DemoError::Different(different.join(", ")));
            }
            say(&format!("every view equals its query on the owners' data: {} views", checks.len()))?;
        }
    }
    Ok(summary.correct)
}

fn measure(
    options: &DemoOptions,
    stage: &Stage,
    address: SocketAddr,
    runtime: &Runtime,
    interruption: &Interruption,
) -> Result<Summary, DemoError> {
    let duration = Duration::from_secs(options.seconds.unwrap_or(DEFAULT_SECONDS));
    tracing::info!(seconds = duration.as_secs(), rate = options.rate, "the services write, visitors read");
    let handle = runtime.handle();
    let traffic = Traffic::start(&stage.shop, options.rate as f64, 1)?;
    let probe = Probe::start(&stage.shop, &stage.engine, handle)?;
    let readers = Readers::start(&stage.shop, &stage.engine, address, options.token.clone(), handle)?;
    runtime.block_on(async { _ = tokio::time::timeout(duration, interruption.clone().wait()).await });
    // All three are stopped before any of their errors ends the demo.
    let (written, freshness, reads) = (traffic.stop(), probe.stop(), readers.stop());
    let (written, freshness, reads): (Written, _, ReadTimes) = (written?, freshness?, reads?);

    let (catalog, board) = (stage.engine.catalog(), stage.engine.board());
    settle(catalog, stage.shop.directory(), board, handle, SETTLE_PATIENCE)?;
    let start = Instant::now();
    let checks = stage.check(&|| interruption.happened())?;
    Ok(Summary {
        products: stage.shop.products(),
        seeded_rows: stage.seeded_rows,
        seed_seconds: stage.seed_time.as_secs_f64(),
        load_seconds: stage.load_time.as_secs_f64(),
        written,
        changes_per_second: written.changes as f64 / written.seconds.max(1e-9),
        freshness: freshness.quantiles(),
        read_in_process: reads.in_process.quantiles(),
        read_http: reads.http.quantiles(),
        correct: !checks.is_empty() && checks.iter().all(|check| check.difference.is_none()),
        checks,
        check_seconds: start.elapsed().as_secs_f64(),
    })
}

/// Lines to copy into another terminal, with ids that are there.
fn what_to_try(stage: &Stage, address: SocketAddr, options: &DemoOptions) -> Result<String, DemoError> {
    let shop = &stage.shop;
    // The last product: neither the traffic nor the probe touches it, so what one writes to it stays.
    let product = shop.products();
    let category = shop.category_of(product);
    let mut orders = shop.store(Service::Orders)?;
    let customer = orders.number("SELECT customer_id FROM orders ORDER BY id LIMIT 1")?;
    let pricing = match shop.servers() {
        Some(servers) => servers.pricing_client(),
        None => format!("sqlite3 -cmd '.timeout 5000' {}", shop.path(Service::Pricing).display()),
    };
    let reachable = match address.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    };
    let views = format!("http://{reachable}/v1/views");
    let curl = if options.token.is_some() { "curl -s -H \"Authorization: Bearer $VANTAGE_TOKEN\"" } else { "curl -s" };
    let statement = r#"{"sql": "SELECT name, products, stock FROM brand_summary ORDER BY products DESC LIMIT 5"}"#;
    Ok(format!(
        "serving on http://{reachable}; try in another terminal:

  {curl} '{views}/product_card/{product}'
  {curl} '{views}/category_page?category_id=eq.{category}&order=rating.desc&limit=20'
  {curl} '{views}/bestsellers?category_id=eq.{category}&order=place'
  {curl} '{views}/customer_orders?customer_id=eq.{customer}&order=placed_at.desc&limit=5'
  {curl} -H 'Content-Type: application/json' 'http://{reachable}/v1/sql' \\
    -d '{statement}'

write as the owner of the prices does, and read the card again:

  {pricing} 'UPDATE prices SET price_cents = 100 WHERE product_id = {product}'
  {curl} '{views}/product_card/{product}'
"
    ))
}
