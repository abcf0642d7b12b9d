//! `plugins:`, in all the places where they can stand.

use crate::name::Name;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use tollgate_core::document::{Located, Problem, Raw, Span, did_you_mean};

/// A plugin at work, with its settings as yet unread: which plugins there are, and what they take, is for the caller
/// to say.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginUse {
    /// Which plugin.
    pub name: Located<Name>,
    /// Its settings; an empty mapping if there are none.
    pub config: Raw,
    /// Where it is used, such as `routes[2].plugins[0]`.
    pub path: String,
    /// Where that stands in the file.
    pub span: Span,
}

/// A plugin at work.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PluginUse")]
struct Written {
    /// Which plugin.
    name: Located<Name>,
    /// Its settings.
    #[serde(default)]
    config: Option<Raw>,
}

impl PluginUse {
    /// An error about this use of the plugin as a whole.
    #[must_use]
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::error(&self.path, Some(self.span), message)
    }

    /// The error that no plugin has this name.
    #[must_use]
    pub fn unknown<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> Problem {
        let message = format!("there is no plugin `{}`", *self.name);
        self.name.problem(message).with_maybe_help(did_you_mean(&self.name, known))
    }

    /// The error that the plugin works in a later version only.
    #[must_use]
    pub fn not_built(&self) -> Problem {
        let message = format!("the plugin `{}` {}", *self.name, crate::not_built::SENTENCE);
        self.name.problem(message).with_kind(tollgate_core::document::Kind::NotBuilt)
    }
}

impl<'de> Deserialize<'de> for PluginUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Located { value, path, span } = Located::<Written>::deserialize(deserializer)?;
        // `config:` with nothing after it is an empty mapping: a plugin without settings is often written so.
        let config = value.config.unwrap_or_else(|| Raw::absent(format!("{path}.config"), span));
        Ok(Self { name: value.name, config, path, span })
    }
}

impl JsonSchema for PluginUse {
    fn schema_name() -> Cow<'static, str> {
        "PluginUse".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}
