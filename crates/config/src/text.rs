//! Types that are written as a string.

/// Implements `Deserialize` by `FromStr`, and `JsonSchema` as a string with what is given.
macro_rules! written_as_text {
    ($type:ident, $expecting:literal, { $($schema:tt)* }) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                tollgate_core::document::from_str(deserializer, $expecting)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", $($schema)* })
            }
        }
    };
}

pub(crate) use written_as_text;

/// `Display` is what the type is written as; the JSON Schema shows defaults by it.
macro_rules! shown_as_written {
    ($type:ident) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

pub(crate) use shown_as_written;
