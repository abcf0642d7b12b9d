//! A value that knows where it was written, and the way by which the tree hands such things through serde.

use super::{Problem, Raw, Span, join_key};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// A value, and where it was written: for errors that show only when the whole document is known.
///
/// It derefs to the value and is written like it.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its path, such as `routes[2]`; empty if it did not come from a document.
    pub path: String,
    /// Where it stands in the file.
    pub span: Span,
}

/// What the deserializer tells a [`Located`] or a [`Raw`]. serde's data model has no room for it, so it is put
/// here immediately before the visitor is called, and taken by the visitor first of all.
pub(super) enum Handoff {
    Place(String, Span),
    Subtree(Raw),
}

thread_local! {
    pub(super) static HANDOFF: Cell<Option<Handoff>> = const { Cell::new(None) };
}

pub(super) const LOCATED: &str = "$tollgate::Located";

impl<T> Located<T> {
    /// A value that stands nowhere.
    pub fn nowhere(value: T) -> Self {
        Self { value, path: String::new(), span: Span::default() }
    }

    /// An error about this value.
    #[must_use]
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::error(&self.path, Some(self.span), message)
    }

    /// The path of one of its keys.
    #[must_use]
    pub fn path_to(&self, key: &str) -> String {
        join_key(&self.path, key)
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(LOCATED, LocatedVisitor(PhantomData))
    }
}

struct LocatedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for LocatedVisitor<T> {
    type Value = Located<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Located<T>, D::Error> {
        let (path, span) = match HANDOFF.take() {
            Some(Handoff::Place(path, span)) => (path, span),
            _ => Default::default(),
        };
        Ok(Located { value: T::deserialize(deserializer)?, path, span })
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
