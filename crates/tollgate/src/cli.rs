//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use tollgate_core::document::Duration;

use crate::report;

/// A reverse proxy and API gateway: one binary, one YAML file.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve. Reloads when the file changes and on SIGHUP; SIGTERM and SIGINT drain.
    Run(RunArgs),
    /// Report every error and warning of config files; exit 1 if there is an error.
    Check(CheckArgs),
    /// Show the whole thing: three sample services and a gateway in front of them.
    Demo(DemoArgs),
    /// Print the JSON Schema of the config, for editors.
    Schema,
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The config file.
    #[arg(short, long, default_value = "tollgate.yaml", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// How long running requests may take to finish at the end.
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub(crate) drain: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The config files.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The port of the gateway; 0 takes a free one. The admin API gets a free one as well.
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// End after the first round of requests that the demo makes itself, for scripts.
    #[arg(long)]
    pub(crate) once: bool,
}

pub(crate) fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tollgate", &mut script);
    report::print(&String::from_utf8_lossy(&script))
}

pub(crate) fn version() -> ExitCode {
    report::print(&format!("tollgate {}\n", env!("CARGO_PKG_VERSION")))
}
