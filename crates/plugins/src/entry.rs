//! What the list of plugins is made of.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use tollgate_core::Plugin;
use tollgate_core::document::{Kind, Problem, Raw};
use tollgate_core::plugin::Link;

/// The stages of a chain, in the order in which they run.
///
/// A cache never answers before authentication, and a limit by consumer always knows the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// What concerns the connection and every answer: addresses, ids, CORS, security headers.
    Edge,
    /// Who is asking.
    Identify,
    /// Whether they may.
    Authorize,
    /// How much of it.
    Limit,
    /// Whether the request is well-formed.
    Validate,
    /// Whether the answer is known already.
    Cache,
    /// What changes on the way to the service and back.
    Shape,
    /// Who answers, if not the service.
    Serve,
}

impl Stage {
    /// Its name in documents and in `tollgate explain`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Identify => "identify",
            Self::Authorize => "authorize",
            Self::Limit => "limit",
            Self::Validate => "validate",
            Self::Cache => "cache",
            Self::Shape => "shape",
            Self::Serve => "serve",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A plugin as the rest of the program sees it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name by which the config calls it.
    pub name: &'static str,
    /// When it runs.
    pub stage: Stage,
    /// Makes a link of a chain from its `config:`, or says all that is wrong with that.
    pub compile: fn(&Raw) -> Result<Link, Vec<Problem>>,
    /// The files that its `config:` names. When one of them changes, the config is compiled anew.
    pub files: fn(&Raw) -> Vec<PathBuf>,
    /// The schema of its `config:`.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// What a plugin's file defines besides how it runs.
pub(crate) trait Definition: Plugin + Sized {
    /// The name by which the config calls it.
    const NAME: &'static str;
    /// Its `config:` as written.
    type Config: DeserializeOwned + JsonSchema;

    /// The files that the config names: a change of one is a change of the config.
    fn files(_config: Self::Config) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Turns the config as written into the plugin as run. `raw` is where it was written, for errors.
    fn compile(config: Self::Config, raw: &Raw) -> Result<Self, Vec<Problem>>;
}

/// The entry of a plugin.
pub(crate) const fn entry<D: Definition>(stage: Stage) -> Entry {
    Entry {
        name: D::NAME,
        stage,
        compile: compile::<D>,
        files: files::<D>,
        schema: SchemaGenerator::subschema_for::<D::Config>,
    }
}

fn compile<D: Definition>(raw: &Raw) -> Result<Link, Vec<Problem>> {
    D::compile(raw.decode()?, raw).map(Link::new)
}

/// Where the config is wrong it names none: it must change itself first.
fn files<D: Definition>(raw: &Raw) -> Vec<PathBuf> {
    raw.decode().map(D::files).unwrap_or_default()
}

/// The value, if nothing is wrong.
pub(crate) fn unless<T>(problems: Vec<Problem>, value: T) -> Result<T, Vec<Problem>> {
    if problems.is_empty() { Ok(value) } else { Err(problems) }
}

/// Errors for keys that are part of the configuration format but not built yet, where they are given.
pub(crate) fn not_built<'a>(raw: &'a Raw, keys: &'a [&'a str]) -> impl Iterator<Item = Problem> + 'a {
    keys.iter().filter(|key| raw.node().get(key).is_some()).map(|key| {
        raw.problem(key, format!("`{key}` is part of Tollgate's configuration but not built yet"), None)
            .with_kind(Kind::NotBuilt)
    })
}
