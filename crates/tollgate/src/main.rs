//! The `tollgate` command: a reverse proxy and API gateway, one binary and one YAML file.

mod allocator;
mod check;
mod cli;
mod compile;
mod demo;
mod gateway;
mod report;
mod run;
mod sources;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: allocator::Mimalloc = allocator::Mimalloc;

fn main() -> ExitCode {
    match cli::Cli::parse().command {
        cli::Command::Run(args) => run::run(&args),
        cli::Command::Check(args) => check::check(&args),
        cli::Command::Demo(args) => demo::demo(&args),
        cli::Command::Schema => check::schema(),
        cli::Command::Completions { shell } => cli::completions(shell),
        cli::Command::Version => cli::version(),
    }
}
