//! The JSON Schema of the whole format, for editors.

use crate::config::Config;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// What the settings of a plugin look like.
#[derive(Debug, Clone, Copy)]
pub struct PluginSchema {
    /// The plugin's name.
    pub name: &'static str,
    /// Makes the schema of its settings: `|generator| generator.subschema_for::<Settings>()`.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

/// The JSON Schema (draft 2020-12) of a configuration with these plugins.
#[must_use]
pub fn json_schema(plugins: &[PluginSchema]) -> Value {
    let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let root = generator.subschema_for::<Config>();
    let plugins: Vec<(&str, Value)> =
        plugins.iter().map(|plugin| (plugin.name, (plugin.schema)(&mut generator).to_value())).collect();
    let mut definitions = generator.take_definitions(true);
    let use_of = plugin_use(&plugins, &definitions);
    if let Some(Value::Object(described)) = definitions.get_mut("PluginUse") {
        described.extend(use_of);
    }
    // The root is `Config` itself, so that it needs no reference.
    let config = definitions.remove("Config").unwrap_or_else(|| root.to_value());
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("Tollgate"));
    if let Value::Object(config) = config {
        schema.extend(config.into_iter().filter(|(key, _)| key != "title"));
    }
    // To serde it has a default, so that its absence is a problem of ours, with a help.
    schema.insert("required".into(), json!(["listeners"]));
    schema.insert("$defs".into(), Value::Object(definitions));
    Value::Object(schema)
}

/// Which settings go with which name.
fn plugin_use(plugins: &[(&str, Value)], definitions: &Map<String, Value>) -> Map<String, Value> {
    let names: Vec<&str> = plugins.iter().map(|(name, _)| *name).collect();
    let by_name = |(name, schema): &(&str, Value)| {
        let mut then = json!({ "properties": { "config": schema } });
        if needs_settings(schema, definitions) {
            then["required"] = json!(["config"]);
        }
        json!({ "if": { "properties": { "name": { "const": name } } }, "then": then })
    };
    let mut described = Map::new();
    described.insert(
        "properties".into(),
        json!({
            "name": { "description": "Which plugin.", "enum": names },
            "config": { "description": "Its settings." },
        }),
    );
    described.insert("allOf".into(), plugins.iter().map(by_name).collect());
    described
}

fn needs_settings(schema: &Value, definitions: &Map<String, Value>) -> bool {
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    let schema = reference.and_then(|name| definitions.get(name)).unwrap_or(schema);
    schema.get("required").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;
    use tollgate_core::document::Duration;

    /// Settings of a plugin.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is wanted")]
    struct Caching {
        /// How long.
        ttl: Duration,
    }

    fn schema() -> Value {
        json_schema(&[
            PluginSchema { name: "response-cache", schema: |generator| generator.subschema_for::<Caching>() },
            PluginSchema { name: "anything", schema: |_| schemars::json_schema!({ "type": "object" }) },
        ])
    }

    #[test]
    fn the_schema_describes_the_format() {
        let schema = schema();
        assert_eq!(schema["title"], "Tollgate");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], json!(["listeners"]));
        let limits = &schema["$defs"]["Limits"]["properties"];
        assert_eq!(limits["max_header_bytes"]["default"], "32KiB");
        assert_eq!(limits["header_timeout"]["default"], "10s");
        assert!(schema["$defs"]["Duration"]["anyOf"].is_array());
        assert!(schema["$defs"]["Route"]["properties"].get("split").is_none());
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            let Some(properties) = definition["properties"].as_object() else { continue };
            for (key, property) in properties {
                let described = property.get("description").is_some() || name == "Config";
                assert!(described, "{name}.{key} has no description");
            }
        }
    }

    #[test]
    fn settings_of_plugins_go_with_their_names() {
        let schema = schema();
        let used = &schema["$defs"]["PluginUse"];
        assert_eq!(used["properties"]["name"]["enum"], json!(["response-cache", "anything"]));
        assert_eq!(used["required"], json!(["name"]));
        assert_eq!(used["allOf"][0]["if"]["properties"]["name"]["const"], "response-cache");
        assert_eq!(used["allOf"][0]["then"]["required"], json!(["config"]));
        assert_eq!(used["allOf"][0]["then"]["properties"]["config"]["$ref"], "#/$defs/Caching");
        assert!(used["allOf"][1]["then"].get("required").is_none());
        assert!(schema["$defs"]["Caching"].is_object());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let schema = schema();
        let mut found = Vec::new();
        references(&schema, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            let name = reference.strip_prefix("#/$defs/").unwrap();
            assert!(schema["$defs"].get(name).is_some(), "{reference}");
        }
    }
}
