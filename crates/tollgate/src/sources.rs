//! What a config was read from: a change is told by it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tollgate_config::{Config, Loaded};
use tollgate_core::Fingerprint;
use tollgate_plugins::Lookup;

use crate::compile;

/// The text of a config, and what the files were that its plugins and its TLS read.
///
/// Files that it takes texts from (`${file:…}`) are read again when it changes, and on SIGHUP.
#[derive(PartialEq, Eq)]
pub(crate) struct Sources {
    text: String,
    /// Nothing for a file that is not there.
    files: BTreeMap<PathBuf, Option<Fingerprint>>,
}

impl Sources {
    /// The sources of a config that was read and is not yet compiled: what changes from now on must be seen.
    pub(crate) fn of(loaded: &Loaded) -> Self {
        let config = loaded.config.as_ref().or(loaded.partial.as_ref());
        let files = config.map(files).unwrap_or_default();
        let seen = files.into_iter().map(|path| {
            let fingerprint = fs::metadata(&path).ok().map(|meta| Fingerprint::from(&meta));
            (path, fingerprint)
        });
        Self { text: loaded.sources.iter().map(|source| source.text.as_str()).collect(), files: seen.collect() }
    }

    /// The files that plugins and TLS read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }
}

/// The files that plugins of any scope and TLS read. A rejected config names some as well: it may be for them to be put
/// right.
fn files(config: &Config) -> Vec<PathBuf> {
    let of_plugins = compile::scopes(config).flatten().map(|plugin| match tollgate_plugins::lookup(&plugin.name) {
        Lookup::Built(entry, _) => (entry.files)(&plugin.config),
        Lookup::NotBuilt(_) | Lookup::Unknown { .. } => Vec::new(),
    });
    of_plugins.flatten().chain(config.tls_files().cloned()).collect()
}
