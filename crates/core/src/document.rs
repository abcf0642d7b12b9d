//! A configuration document as a tree of values that know where they were written.
//!
//! This module holds no parser. Something else (the YAML reader in `tollgate-config`) builds a [`Node`];
//! [`decode`] turns it into any type that implements serde's `Deserialize` and reports every mistake at once,
//! each with its path (`routes[2].plugins[0].config.minute`) and its place in the file.
//! A plugin's own settings are kept as [`Raw`] until the plugin decodes them itself.

mod cidr;
mod de;
mod decode;
mod duration;
mod located;
mod mask;
mod message;
mod path;
mod problem;
mod raw;
mod repair;
mod scalar;
mod size;

pub use cidr::Cidr;
pub use decode::{decode, decode_partial};
pub use duration::Duration;
pub use located::Located;
pub use mask::{is_secret_name, mask_userinfo, masked_json};
pub use path::{join_index, join_key};
pub use problem::{Kind, Problem, Related, Severity, did_you_mean};
pub use raw::{Raw, without_substituted};
pub use scalar::{complaint, from_str, resolve_plain};
pub use size::Size;

use path::Step;
use serde::Serialize;

/// One value of a document, and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where it was written.
    pub span: Span,
    /// Set when the value came, in whole or in part, from `${env:…}` or `${file:…}`.
    ///
    /// Such a value is always a [`Value::Str`] here and takes the type that is asked of it; anything that prints
    /// it must print [`Written::text`] instead, as the value may be a secret.
    pub source: Option<Box<Written>>,
}

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order of the file. The keys are distinct.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key itself.
    pub name: String,
    /// Where it was written.
    pub span: Span,
}

/// The text of a scalar before `${…}` was replaced in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text as written, with its `${env:NAME}`.
    pub text: String,
    /// Whether it stood in quotes. Text without quotes may become a number or a boolean.
    pub quoted: bool,
}

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Span {
    /// Which of the sources that were read together.
    pub file: u32,
    /// The first character.
    pub start: Position,
    /// One past the last character.
    pub end: Position,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Position {
    /// Offset in bytes from the start of the file.
    pub byte: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Node {
    /// A node that stands nowhere in a file.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self { value, span: Span::default(), source: None }
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if this is a mapping.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under a key, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The value at a path such as `routes[2].plugins[0].config`, seen from this node.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Node> {
        path::steps(path).try_fold(self, |node, step| node.step(&step))
    }

    /// Where the value at a path stands, or the nearest thing around it that was written.
    #[must_use]
    pub fn span_at(&self, path: &str) -> Span {
        let mut node = self;
        for step in path::steps(path) {
            match node.step(&step) {
                Some(next) => node = next,
                None => break,
            }
        }
        node.span
    }

    /// Where the key that ends a path stands, or, failing that, what [`Node::span_at`] says.
    #[must_use]
    pub fn key_span_at(&self, path: &str) -> Span {
        let steps: Vec<Step> = path::steps(path).collect();
        let Some((Step::Key(last), before)) = steps.split_last() else {
            return self.span_at(path);
        };
        let parent = before.iter().try_fold(self, |node, step| node.step(step));
        match parent.and_then(|node| node.entry(last)) {
            Some((key, _)) => key.span,
            None => self.span_at(path),
        }
    }

    /// An error about the value at a path, seen from this node, which must be the root of the document.
    #[must_use]
    pub fn problem_at(&self, path: &str, message: impl Into<String>) -> Problem {
        Problem::error(path, Some(self.span_at(path)), message)
    }

    fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        self.as_map()?.iter().find(|(name, _)| name.name == key)
    }

    fn step(&self, step: &Step) -> Option<&Node> {
        match step {
            Step::Key(key) => self.get(key),
            Step::Index(index) => self.as_seq()?.get(*index),
        }
    }
}

impl Span {
    /// From the start of one stretch to the end of another.
    #[must_use]
    pub fn to(self, end: Span) -> Span {
        Span { file: self.file, start: self.start, end: end.end.max(self.start) }
    }
}

#[cfg(test)]
mod tests;
