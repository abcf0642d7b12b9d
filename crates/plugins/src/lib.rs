//! The plugins: one file each with its config, how it compiles, how it runs, its errors and its tests.
//!
//! [`PLUGINS`] is the whole list, in the order in which a chain runs. To add a plugin, write its file (see
//! `strip_headers.rs` for a small one) and give it one line there; parsing, `tollgate schema`, suggestions for
//! misspelt names and the order of chains follow from that line.
//!
//! A plugin's file holds, in this order: what it is for, its config as written, itself as compiled, the way from one
//! to the other (every mistake is found there, when the config loads), [`tollgate_core::Plugin::call`], and tests that
//! run it in a chain. What can be computed when the config loads is computed then: header values are bytes by the time
//! a request comes.
#![warn(missing_docs)]

mod cors;
mod edits;
mod entry;
mod field;
mod ip_restriction;
mod query;
mod redirect;
mod request_id;
mod request_size_limiting;
mod request_termination;
mod request_transformer;
mod response_transformer;
mod security_headers;
mod strip_headers;
#[cfg(test)]
mod testing;
mod values;

use tollgate_core::document::did_you_mean;

use entry::entry;
pub use entry::{Entry, Stage};

/// Every plugin there is, in the order in which a chain runs them: by stage, and within it as listed.
pub const PLUGINS: &[Entry] = &[
    entry::<ip_restriction::IpRestriction>(Stage::Edge),
    entry::<request_id::RequestId>(Stage::Edge),
    entry::<cors::Cors>(Stage::Edge),
    entry::<security_headers::SecurityHeaders>(Stage::Edge),
    entry::<redirect::Redirect>(Stage::Edge),
    entry::<request_size_limiting::RequestSizeLimiting>(Stage::Limit),
    entry::<request_transformer::RequestTransformer>(Stage::Shape),
    entry::<response_transformer::ResponseTransformer>(Stage::Shape),
    entry::<strip_headers::StripHeaders>(Stage::Shape),
    entry::<request_termination::RequestTermination>(Stage::Serve),
];

/// The plugins that the configuration format has names for, but that do not exist yet.
pub const NOT_BUILT: &[(&str, Stage)] = &[
    ("bot-detection", Stage::Edge),
    ("waf", Stage::Edge),
    ("jwt", Stage::Identify),
    ("key-auth", Stage::Identify),
    ("basic-auth", Stage::Identify),
    ("hmac-auth", Stage::Identify),
    ("mtls-auth", Stage::Identify),
    ("oauth2-introspection", Stage::Identify),
    ("openid-connect", Stage::Identify),
    ("ext-auth", Stage::Identify),
    ("any-of", Stage::Identify),
    ("acl", Stage::Authorize),
    ("authorize", Stage::Authorize),
    ("rate-limiting", Stage::Limit),
    ("concurrency-limiting", Stage::Limit),
    ("idempotency", Stage::Limit),
    ("request-validator", Stage::Validate),
    ("response-cache", Stage::Cache),
    ("compression", Stage::Shape),
    ("buffering", Stage::Shape),
    ("mirror", Stage::Shape),
    ("wasm", Stage::Shape),
    ("aggregate", Stage::Serve),
    ("grpc-gateway", Stage::Serve),
    ("grpc-web", Stage::Serve),
    ("aws-lambda", Stage::Serve),
];

/// What a plugin's name stands for.
#[derive(Debug)]
pub enum Lookup {
    /// A plugin, and its place in the order of a chain: a chain is sorted by it.
    Built(&'static Entry, usize),
    /// One of [`NOT_BUILT`].
    NotBuilt(Stage),
    /// Nothing.
    Unknown {
        /// "did you mean `cors`?", if a name is near.
        suggestion: Option<String>,
    },
}

/// Finds a plugin by its name.
#[must_use]
pub fn lookup(name: &str) -> Lookup {
    if let Some((order, entry)) = PLUGINS.iter().enumerate().find(|(_, entry)| entry.name == name) {
        return Lookup::Built(entry, order);
    }
    if let Some((_, stage)) = NOT_BUILT.iter().find(|(known, _)| *known == name) {
        return Lookup::NotBuilt(*stage);
    }
    let names = PLUGINS.iter().map(|entry| entry.name).chain(NOT_BUILT.iter().map(|(name, _)| *name));
    Lookup::Unknown { suggestion: did_you_mean(name, names) }
}

/// Whether a plugin runs on every route that does not configure it, with its default config.
#[must_use]
pub fn is_on_by_default(name: &str) -> bool {
    name == <request_id::RequestId as entry::Definition>::NAME
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The table of the configuration format, row by row.
    const TABLE: &[&str] = &[
        "ip-restriction",
        "request-id",
        "cors",
        "security-headers",
        "redirect",
        "bot-detection",
        "waf",
        "jwt",
        "key-auth",
        "basic-auth",
        "hmac-auth",
        "mtls-auth",
        "oauth2-introspection",
        "openid-connect",
        "ext-auth",
        "any-of",
        "acl",
        "authorize",
        "rate-limiting",
        "concurrency-limiting",
        "request-size-limiting",
        "idempotency",
        "request-validator",
        "response-cache",
        "request-transformer",
        "response-transformer",
        "strip-headers",
        "compression",
        "buffering",
        "mirror",
        "wasm",
        "request-termination",
        "aggregate",
        "grpc-gateway",
        "grpc-web",
        "aws-lambda",
    ];

    #[test]
    fn every_plugin_of_the_table_is_known_and_in_its_order() {
        let row = |name: &str| TABLE.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{name}"));
        let built: Vec<_> = PLUGINS.iter().map(|entry| (entry.stage, row(entry.name))).collect();
        let planned: Vec<_> = NOT_BUILT.iter().map(|(name, stage)| (*stage, row(name))).collect();
        assert!(built.is_sorted() && planned.is_sorted(), "by stage, then by row");
        let mut all = [built, planned].concat();
        all.sort_unstable();
        assert_eq!(all.iter().map(|(_, row)| *row).collect::<Vec<_>>(), (0..TABLE.len()).collect::<Vec<_>>());
    }

    #[test]
    fn names_are_looked_up() {
        assert!(matches!(lookup("cors"), Lookup::Built(entry, 2) if entry.name == "cors"));
        assert!(matches!(lookup("jwt"), Lookup::NotBuilt(Stage::Identify)));
        let Lookup::Unknown { suggestion } = lookup("request_id") else { panic!("it is not a name") };
        assert_eq!(suggestion.as_deref(), Some("did you mean `request-id`?"));
        assert!(matches!(lookup("nothing-like-it"), Lookup::Unknown { suggestion: None }));
        assert!(is_on_by_default("request-id") && !is_on_by_default("strip-headers"));
    }

    #[test]
    fn a_compiled_plugin_bears_the_name_of_its_entry() {
        for (name, config) in [
            ("ip-restriction", serde_json::json!({"deny": ["10.0.0.0/8"]})),
            ("redirect", serde_json::json!({"scheme": "https"})),
            ("request-transformer", serde_json::json!({"query": {"remove": ["a"]}})),
            ("response-transformer", serde_json::json!({"headers": {"remove": ["A"]}})),
        ] {
            assert_eq!(testing::link(name, config).name(), name);
        }
        for name in PLUGINS.iter().map(|entry| entry.name) {
            if !["ip-restriction", "redirect", "request-transformer", "response-transformer"].contains(&name) {
                assert_eq!(testing::link(name, serde_json::json!({})).name(), name, "needs no config");
            }
        }
    }

    #[test]
    fn each_plugin_has_a_page_that_names_its_keys_and_an_example() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for entry in PLUGINS {
            let page = std::fs::read_to_string(root.join(format!("docs/plugins/{}.md", entry.name))).unwrap();
            let example = std::fs::read_to_string(root.join(format!("examples/{}.yaml", entry.name))).unwrap();
            for text in [&page, &example] {
                assert!(text.contains(&format!("name: {}", entry.name)), "{}: it is in use", entry.name);
            }
            let mut generator = schemars::SchemaGenerator::default();
            let schema = (entry.schema)(&mut generator);
            let definitions = generator.take_definitions(true);
            let reference = schema.get("$ref").and_then(|reference| reference.as_str()).unwrap();
            let config = &definitions[reference.rsplit('/').next().unwrap()];
            assert_eq!(config["additionalProperties"], false, "{}", entry.name);
            for (key, property) in config["properties"].as_object().unwrap() {
                assert!(page.contains(&format!("`{key}")), "{}: `{key}` is documented", entry.name);
                assert!(property.to_string().contains("description"), "{}: `{key}` is described", entry.name);
            }
        }
    }
}
