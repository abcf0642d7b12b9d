//! The tree as a serde deserializer that knows where it is.

mod access;
mod failure;

use super::located::{HANDOFF, Handoff, LOCATED};
use super::path::{push_index, push_key};
use super::raw::{RAW, Raw};
use super::repair::Repairs;
use super::{Node, Value, is_secret_name, resolve_plain};
use access::{Elements, Entries, Variant};
pub(super) use failure::Failure;
use serde::de::{Deserializer, Error as _, Unexpected, Visitor};

/// The way from the root to where decoding is: links on the stack, made into text only for an error.
pub(super) struct Trail<'t> {
    parent: Option<&'t Trail<'t>>,
    step: TrailStep<'t>,
}

enum TrailStep<'t> {
    Root(&'t str),
    Key(&'t str),
    Index(usize),
}

impl<'t> Trail<'t> {
    pub(super) fn root(path: &'t str) -> Self {
        Trail { parent: None, step: TrailStep::Root(path) }
    }

    fn path(&self) -> String {
        const USUAL: usize = 48;
        let mut path = String::with_capacity(USUAL);
        self.write(&mut path);
        path
    }

    fn write(&self, path: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(path);
        }
        match self.step {
            TrailStep::Root(root) => path.push_str(root),
            TrailStep::Key(key) => push_key(path, key),
            TrailStep::Index(index) => push_index(path, index),
        }
    }

    /// Whether the nearest key is one that holds a secret.
    fn is_secret(&self) -> bool {
        match self.step {
            TrailStep::Root(root) => is_secret_name(root.rsplit('.').next().unwrap_or(root)),
            TrailStep::Key(key) => is_secret_name(key),
            TrailStep::Index(_) => self.parent.is_some_and(Trail::is_secret),
        }
    }
}

/// One node, being decoded.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'n, 't> {
    node: &'n Node,
    trail: &'t Trail<'t>,
    repairs: &'t Repairs,
}

impl<'n, 't> Cursor<'n, 't> {
    pub(super) fn new(node: &'n Node, trail: &'t Trail<'t>, repairs: &'t Repairs) -> Self {
        Self { node, trail, repairs }
    }

    fn visit<V: Visitor<'n>>(self, value: &'n Value, visitor: V) -> Result<V::Value, Failure> {
        match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::Seq(items) => visitor.visit_seq(Elements::new(self, items)),
            Value::Map(entries) => visitor.visit_map(Entries::new(self, entries)),
        }
    }

    /// Visits the value that text from `${…}` stands for where its type is not asked for, or the value as it is.
    fn visit_resolved<V: Visitor<'n>>(self, visitor: V, even_quoted: bool) -> Result<V::Value, Failure> {
        if let (Some(written), Value::Str(text)) = (&self.node.source, &self.node.value)
            && (even_quoted || !written.quoted)
        {
            return match resolve_plain(text) {
                Value::Bool(value) => visitor.visit_bool(value),
                Value::Int(value) => visitor.visit_i64(value),
                Value::Float(value) => visitor.visit_f64(value),
                // An empty variable is empty text, never nothing: a token must not vanish with its variable.
                _ => visitor.visit_str(text),
            };
        }
        self.visit(&self.node.value, visitor)
    }
}

macro_rules! resolved {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.visit_resolved(visitor, true).map_err(|failure| failure.at(self))
        }
    )*};
}

macro_rules! as_it_is {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.visit(&self.node.value, visitor).map_err(|failure| failure.at(self))
        }
    )*};
}

impl<'n> Deserializer<'n> for Cursor<'n, '_> {
    type Error = Failure;

    resolved! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }

    as_it_is! {
        deserialize_seq deserialize_map deserialize_unit deserialize_bytes deserialize_byte_buf deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.visit_resolved(visitor, false).map_err(|failure| failure.at(self))
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
        let visited = self.visit(&self.node.value, visitor);
        visited.map_err(|failure| failure.wants_quotes(self.node).at(self))
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
        let visited = match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        };
        visited.map_err(|failure| failure.at(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, name: &'static str, visitor: V) -> Result<V::Value, Failure> {
        match name {
            LOCATED => HANDOFF.set(Some(Handoff::Place(self.trail.path(), self.node.span))),
            RAW if self.node.value == Value::Null => {
                let null = Failure::invalid_type(Unexpected::Unit, &"a mapping of keys to values");
                return Err(null.at(self));
            }
            RAW => HANDOFF.set(Some(Handoff::Subtree(Raw::new(self.node.clone(), self.trail.path())))),
            _ => {}
        }
        visitor.visit_newtype_struct(self).map_err(|failure| failure.at(self))
    }

    fn deserialize_unit_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_tuple<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let visited = match &self.node.value {
            // A derived visitor would take a list as the fields in their order.
            Value::Seq(_) => Err(Failure::invalid_type(Unexpected::Seq, &"a mapping of keys to values")),
            value => self.visit(value, visitor),
        };
        visited.map_err(|failure| failure.at(self))
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let variant = match &self.node.value {
            Value::Str(name) => Ok(Variant::unit(self, name)),
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => Ok(Variant::with_content(self, &key.name, node)),
                _ => Err(Failure::not_a_variant(variants)),
            },
            _ => Err(Failure::not_a_variant(variants)),
        };
        variant.and_then(|variant| visitor.visit_enum(variant)).map_err(|failure| failure.at(self))
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}
