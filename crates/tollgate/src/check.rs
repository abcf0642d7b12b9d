//! `tollgate check` and `tollgate schema`.

use std::process::ExitCode;

use tollgate_config::PluginSchema;
use tollgate_core::metrics::Metrics;
use tollgate_plugins::PLUGINS;

use crate::cli::CheckArgs;
use crate::compile::{self, Before};
use crate::report;

/// Reports every problem of every file.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    let mut failed = false;
    for file in &args.files {
        let (loaded, compiled) = compile::load(file, &Metrics::new(1), &Before::default());
        report::problems(&loaded);
        failed |= compiled.is_none();
        let verdict = if compiled.is_some() { "can be used" } else { "cannot be used" };
        report::note(&format!("{} {verdict}: {}", file.display(), report::count(&loaded)));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints the JSON Schema of the config.
pub(crate) fn schema() -> ExitCode {
    let plugins: Vec<PluginSchema> =
        PLUGINS.iter().map(|entry| PluginSchema { name: entry.name, schema: entry.schema }).collect();
    // A value of JSON can always be printed.
    let text = serde_json::to_string_pretty(&tollgate_config::json_schema(&plugins)).unwrap_or_default();
    report::print(&format!("{text}\n"))
}
