//! A part of the document that someone else decodes later: the `config:` of a plugin.

use super::located::{HANDOFF, Handoff};
use super::path::steps;
use super::{Node, Problem, Span, Value, decode, join_key};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A captured part of a document, cheap to clone. The default is an empty mapping that stands nowhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    node: Arc<Node>,
    path: String,
}

pub(super) const RAW: &str = "$tollgate::Raw";

impl Raw {
    /// A part of a document, and its path there.
    #[must_use]
    pub fn new(node: Node, path: impl Into<String>) -> Self {
        Self { node: Arc::new(node), path: path.into() }
    }

    /// An empty mapping for something that was not written, at the place where it could have been.
    #[must_use]
    pub fn absent(path: impl Into<String>, span: Span) -> Self {
        Self::new(Node { value: Value::Map(Vec::new()), span, source: None }, path)
    }

    /// The values.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The path in the document.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where it stands in the file.
    #[must_use]
    pub fn span(&self) -> Span {
        self.node.span
    }

    /// Decodes it.
    ///
    /// # Errors
    /// Every mistake, with its path in the whole document and its place in the file.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Vec<Problem>> {
        decode(&self.node, &self.path)
    }

    /// An error about a value in it: `raw.problem("origins[0]", "…", None)`.
    ///
    /// Values that came from `${…}` are shown as written, should the texts contain them.
    #[must_use]
    pub fn problem(&self, path: &str, message: impl Into<String>, help: Option<String>) -> Problem {
        let full = match path {
            "" => self.path.clone(),
            _ if path.starts_with('[') => format!("{}{path}", self.path),
            // A key with odd letters at the front comes quoted already.
            _ => format!("{}.{path}", self.path).trim_start_matches('.').to_owned(),
        };
        let message = without_substituted(&self.node, message.into());
        let help = help.map(|help| without_substituted(&self.node, help));
        Problem::error(full, Some(self.node.span_at(path)), message).with_maybe_help(help)
    }

    /// The part under a key, or an empty mapping in its place.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        let full = steps(path).fold(self.path.clone(), |parent, step| match step {
            super::path::Step::Key(key) => join_key(&parent, &key),
            super::path::Step::Index(index) => super::join_index(&parent, index),
        });
        match self.node.find(path) {
            Some(node) => Self::new(node.clone(), full),
            None => Self::absent(full, self.node.span_at(path)),
        }
    }
}

/// A text for people in which no value stands that came from `${…}`, in any of the cases that a message may give it.
#[must_use]
pub fn without_substituted(node: &Node, text: String) -> String {
    if let (Some(written), Some(value)) = (&node.source, node.as_str()) {
        if value.is_empty() {
            return text;
        }
        let cases = [value.to_owned(), value.to_ascii_uppercase(), value.to_ascii_lowercase()];
        return cases.iter().fold(text, |text, value| text.replace(value, &written.text));
    }
    match &node.value {
        Value::Seq(items) => items.iter().fold(text, |text, item| without_substituted(item, text)),
        Value::Map(entries) => entries.iter().fold(text, |text, (_, value)| without_substituted(value, text)),
        _ => text,
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self::absent("", Span::default())
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW, RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a configuration document")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Raw, D::Error> {
        match HANDOFF.take() {
            Some(Handoff::Subtree(raw)) => Ok(raw),
            _ => Err(de::Error::custom("this can be read from a configuration document only")),
        }
    }
}

impl JsonSchema for Raw {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Raw".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}
