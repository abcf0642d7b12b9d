//! Measures tollgate beside its peers: CPU per request, latency and memory in the same run on the same core, and the
//! user instructions of one proxied request. See `bench/README.md`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool: its tables and progress are its output"
)]

mod compare;
mod http;
mod idle;
mod instructions;
mod lab;
mod load;
mod measure;
mod peers;
mod process;
mod report;
mod slow;
mod stats;
mod table;
mod throughput;
mod tollgate_config;
mod workload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What every fallible step returns: an error here is a sentence for the person at the terminal.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures tollgate beside its peers.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every installed proxy under the same workloads, interleaved, and prints ratios of medians beside their targets
    Compare(compare::Args),
    /// Counts tollgate's user instructions per proxied request under callgrind
    Instructions(instructions::Args),
    /// A load generator, started by the harness on the load's core
    #[command(hide = true, subcommand)]
    Load(load::Load),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Compare(args) => compare::run(&args),
        Command::Instructions(args) => instructions::run(&args),
        Command::Load(load) => load::run(&load).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
