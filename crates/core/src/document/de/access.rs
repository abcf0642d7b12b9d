//! Into lists, mappings and variants.

use super::super::{Key, Node};
use super::{Cursor, Failure, Trail, TrailStep};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::{slice, vec};

/// The elements of a list.
pub(super) struct Elements<'n, 't> {
    list: Cursor<'n, 't>,
    items: std::iter::Enumerate<slice::Iter<'n, Node>>,
}

impl<'n, 't> Elements<'n, 't> {
    pub(super) fn new(list: Cursor<'n, 't>, items: &'n [Node]) -> Self {
        Self { list, items: items.iter().enumerate() }
    }
}

impl<'n> SeqAccess<'n> for Elements<'n, '_> {
    type Error = Failure;

    fn next_element_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Cursor { trail, repairs, .. } = self.list;
        let Some((index, node)) = self.items.find(|(_, node)| !repairs.skips(node)) else {
            return Ok(None);
        };
        let trail = Trail { parent: Some(trail), step: TrailStep::Index(index) };
        seed.deserialize(Cursor::new(node, &trail, repairs)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.items.size_hint().1
    }
}

/// The entries of a mapping, then what stands in for missing ones.
pub(super) struct Entries<'n, 't> {
    mapping: Cursor<'n, 't>,
    entries: slice::Iter<'n, (Key, Node)>,
    stand_ins: vec::IntoIter<(&'static str, &'static Node)>,
    current: Option<Current<'n>>,
}

enum Current<'n> {
    Written(&'n Key, &'n Node),
    StandIn(&'static str, &'static Node),
}

impl<'n, 't> Entries<'n, 't> {
    pub(super) fn new(mapping: Cursor<'n, 't>, entries: &'n [(Key, Node)]) -> Self {
        let stand_ins = mapping.repairs.stand_ins(mapping.node).into_iter();
        Self { mapping, entries: entries.iter(), stand_ins, current: None }
    }
}

impl<'n> MapAccess<'n> for Entries<'n, '_> {
    type Error = Failure;

    fn next_key_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Cursor { trail, repairs, .. } = self.mapping;
        if let Some((key, node)) = self.entries.find(|(_, node)| !repairs.skips(node)) {
            self.current = Some(Current::Written(key, node));
            let read = seed.deserialize(KeyText(&key.name));
            return read.map(Some).map_err(|failure| failure.at_key(key, node, trail));
        }
        let Some((key, node)) = self.stand_ins.next() else {
            return Ok(None);
        };
        self.current = Some(Current::StandIn(key, node));
        let read = seed.deserialize(KeyText(key));
        read.map(Some).map_err(|_| Failure::stand_in_refused(self.mapping.node, key))
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        let Cursor { node: mapping, trail, repairs } = self.mapping;
        match self.current.take() {
            Some(Current::Written(key, node)) => {
                let trail = Trail { parent: Some(trail), step: TrailStep::Key(&key.name) };
                seed.deserialize(Cursor::new(node, &trail, repairs))
            }
            Some(Current::StandIn(key, node)) => {
                let trail = Trail { parent: Some(trail), step: TrailStep::Key(key) };
                let read = seed.deserialize(Cursor::new(node, &trail, repairs));
                read.map_err(|_| Failure::stand_in_refused(mapping, key))
            }
            None => Err(Failure::custom("a value was asked for before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.entries.size_hint().1
    }
}

/// A key, which is text but may be asked for as a number.
struct KeyText<'n>(&'n str);

macro_rules! number_keys {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
            match self.0.parse::<$type>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(Failure::invalid_type(Unexpected::Str(self.0), &stringify!($type))),
            }
        }
    )*};
}

impl<'n> Deserializer<'n> for KeyText<'n> {
    type Error = Failure;

    number_keys! {
        deserialize_u8 visit_u8 u8; deserialize_u16 visit_u16 u16; deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64; deserialize_i8 visit_i8 i8; deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32; deserialize_i64 visit_i64 i64;
    }

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        <V: Visitor<'n>>
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any i128 u128
    }
}

/// One of the variants of an enum, by name alone or with what belongs to it.
pub(super) struct Variant<'n, 't> {
    whole: Cursor<'n, 't>,
    name: &'n str,
    content: Option<&'n Node>,
}

impl<'n, 't> Variant<'n, 't> {
    pub(super) fn unit(whole: Cursor<'n, 't>, name: &'n str) -> Self {
        Self { whole, name, content: None }
    }

    pub(super) fn with_content(whole: Cursor<'n, 't>, name: &'n str, content: &'n Node) -> Self {
        Self { whole, name, content: Some(content) }
    }

    fn read<T>(self, read: impl FnOnce(Cursor<'n, '_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let Cursor { node: whole, trail, repairs } = self.whole;
        let Some(node) = self.content else {
            return Err(Failure::custom(format_args!("`{0}` needs a value: write it as `{0}: …`", self.name)));
        };
        if repairs.skips(node) {
            return Err(Failure::left_out(whole));
        }
        let trail = Trail { parent: Some(trail), step: TrailStep::Key(self.name) };
        read(Cursor::new(node, &trail, repairs))
    }
}

impl<'n> EnumAccess<'n> for Variant<'n, '_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'n>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let name: StrDeserializer<'_, Failure> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'n> VariantAccess<'n> for Variant<'n, '_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Failure::custom(format!("`{}` takes no value", self.name))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'n>>(self, seed: S) -> Result<S::Value, Failure> {
        self.read(|cursor| seed.deserialize(cursor))
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.read(|cursor| cursor.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'n>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Failure> {
        self.read(|cursor| cursor.deserialize_struct("", fields, visitor))
    }
}
