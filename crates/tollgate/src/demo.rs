//! `tollgate demo`.
use crate::cli::DemoArgs;
use std::process::ExitCode;
pub(crate) fn demo(_: &DemoArgs) -> ExitCode { ExitCode::SUCCESS }
