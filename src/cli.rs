//! Commands and flags. Every flag has a `VANTAGE_*` environment twin; unknown ones are errors.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand};
use vantage::address::parse_address;
use vantage::demo::DemoOptions;

use crate::ask::ServerArgs;

/// Incremental SQL views over many services' data, kept in the process that serves them.
#[derive(Debug, Parser)]
#[command(name = "vantage", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// What to log: error, warn, info, debug, trace, or per module (RUST_LOG syntax)
    #[arg(long, env = "VANTAGE_LOG", default_value = "info,notify=error", global = true)]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow the sources, keep the views and answer queries
    Serve(ServeArgs),
    /// A shop of five services with live traffic, served from views
    Demo(DemoOptions),
    /// Let SQLite files log which rows change: install, status, remove
    Capture(CaptureArgs),
    /// Check view files without touching any state
    Check(CheckArgs),
    /// Show the incremental plan of a view
    Explain(ExplainArgs),
    /// Ask a running server whether it is ready (exit code 0 or 1)
    Health(ServerArgs),
    /// Show the sources of a running server: states, lag, positions; or have one copied again
    Sources(SourcesArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Directory of the view files (*.sql)
    #[arg(long, env = "VANTAGE_VIEWS", value_name = "DIR", value_parser = crate::existing_directory)]
    pub(crate) views: PathBuf,
    /// Directory of the state; created when absent
    #[arg(long, env = "VANTAGE_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Address to listen on; anything but loopback needs a token or --insecure
    #[arg(long, env = "VANTAGE_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    pub(crate) listen: SocketAddr,
    /// Bearer token that callers must send
    #[arg(long, env = "VANTAGE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Listen beyond loopback without a token
    #[arg(long, env = "VANTAGE_INSECURE", value_parser = BoolishValueParser::new())]
    pub(crate) insecure: bool,
    /// Longest time a statement may run, in milliseconds
    #[arg(long, env = "VANTAGE_STATEMENT_TIMEOUT_MS", default_value_t = 10_000)]
    pub(crate) statement_timeout_ms: u64,
    /// Most rows one answer may have
    #[arg(long, env = "VANTAGE_MAX_ROWS", default_value_t = 10_000)]
    pub(crate) max_rows: usize,
    /// After SIGTERM, how long /readyz says no before connections are refused, in milliseconds
    #[arg(long, env = "VANTAGE_DRAIN_DELAY_MS", default_value_t = 0)]
    pub(crate) drain_delay_ms: u64,
}

#[derive(Debug, Args)]
pub(crate) struct SourcesArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    pub(crate) action: Option<SourcesAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourcesAction {
    /// Copy tables of a source again, and apply what differs from what is held
    Resync {
        /// The source
        source: String,
        /// Only this table (default: all)
        #[arg(long)]
        table: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CaptureArgs {
    #[command(subcommand)]
    pub(crate) action: CaptureAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaptureAction {
    /// Add the change log and its triggers to every table of the file
    Install {
        /// The SQLite file
        db: PathBuf,
        /// Only these tables (default: all)
        #[arg(value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Say what is captured, missing or drifted
    Status {
        /// The SQLite file
        db: PathBuf,
        /// Only these tables (default: all)
        #[arg(value_name = "TABLE")]
        tables: Vec<String>,
    },
    /// Take the change log and its triggers away again
    Remove {
        /// The SQLite file
        db: PathBuf,
        /// Only these tables (default: all)
        #[arg(value_name = "TABLE")]
        tables: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Directory of the view files (*.sql)
    #[arg(long, env = "VANTAGE_VIEWS", value_name = "DIR", value_parser = crate::existing_directory)]
    pub(crate) views: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Directory of the view files (*.sql)
    #[arg(long, env = "VANTAGE_VIEWS", value_name = "DIR", value_parser = crate::existing_directory)]
    pub(crate) views: PathBuf,
    /// The view
    pub(crate) view: String,
}

/// Whether Kubernetes sets this variable in every container, for a service whose name is or begins with "vantage":
/// `VANTAGE_SERVICE_HOST`, `VANTAGE_PORT_8080_TCP_ADDR`…
fn is_service_link(name: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"].iter().any(|it| name.contains(it)) || name.ends_with("_PORT")
}

/// A misspelt variable would silently change nothing, so it is refused.
pub(crate) fn refuse_unknown_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> anyhow::Result<()> {
    let root = Cli::command();
    let commands = std::iter::once(&root).chain(root.get_subcommands());
    let known: Vec<String> = commands
        .flat_map(|command| command.get_arguments())
        .filter_map(|argument| argument.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    for (name, _) in variables {
        let name = name.to_string_lossy();
        if name.starts_with("VANTAGE_") && !is_service_link(&name) && !known.iter().any(|it| *it == name) {
            let mut names = known.clone();
            names.sort();
            names.dedup();
            anyhow::bail!("the environment variable {name} is not known; there are: {}", names.join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_misspelt_variable_is_refused() {
        let pair = |name: &str| (OsString::from(name), OsString::new());
        assert!(refuse_unknown_variables([pair("VANTAGE_VIEWS"), pair("PATH")].into_iter()).is_ok());
        assert!(refuse_unknown_variables([pair("VANTAGE_VEIWS")].into_iter()).is_err());
    }

    #[test]
    fn the_variables_kubernetes_sets_for_services_pass() {
        let names = [
            "VANTAGE_SERVICE_HOST",
            "VANTAGE_SERVICE_PORT",
            "VANTAGE_SERVICE_PORT_HTTP",
            "VANTAGE_PORT",
            "VANTAGE_PORT_8080_TCP",
            "VANTAGE_PORT_8080_TCP_ADDR",
            "VANTAGE_HEADLESS_SERVICE_HOST",
            "VANTAGE_HEADLESS_PORT",
        ];
        let pairs = names.iter().map(|name| (OsString::from(name), OsString::new()));
        assert!(refuse_unknown_variables(pairs).is_ok());
        // None of ours looks like that, or a misspelt one would pass too.
        let root = Cli::command();
        let commands = std::iter::once(&root).chain(root.get_subcommands());
        let ours: Vec<_> = commands.flat_map(|it| it.get_arguments()).filter_map(|it| it.get_env()).collect();
        assert!(ours.iter().all(|it| !is_service_link(&it.to_string_lossy())), "{ours:?}");
    }
}
