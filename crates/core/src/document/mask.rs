//! Printing a document without its secrets.

use super::{Node, Value, Written};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;

const MASK: &str = "***";

/// The document as JSON, for people and for the admin API.
///
/// What came from `${…}` is shown as written; the values of keys that are named like secrets and the passwords in
/// URLs are shown as `***`.
#[must_use]
pub fn masked_json(node: &Node) -> Json {
    masked(node, false, false)
}

fn masked(node: &Node, secret: bool, in_list: bool) -> Json {
    if let Some(written) = &node.source {
        return Json::String(masked_source(written, secret));
    }
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(_) | Value::Float(_) | Value::Str(_) if secret => Json::String(MASK.to_owned()),
        Value::Int(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::Str(text) => Json::String(mask_userinfo(text).into_owned()),
        // A list of lists has nothing to do with the key any more.
        Value::Seq(items) => items.iter().map(|item| masked(item, secret && !in_list, true)).collect(),
        Value::Map(entries) => {
            let entry = |(key, value): &(super::Key, Node)| {
                // `key: [path, header:Accept]` names the parts of a cache key; `key: abc` may be an API key.
                let secret =
                    is_secret_name(&key.name) && !(key.name.eq_ignore_ascii_case("key") && value.as_seq().is_some());
                (key.name.clone(), masked(value, secret, false))
            };
            Json::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
    }
}

fn masked_source(written: &Written, secret: bool) -> String {
    let text = written.text.as_str();
    let whole = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
    if whole {
        text.to_owned()
    } else if secret {
        MASK.to_owned()
    } else {
        mask_userinfo(text).into_owned()
    }
}

/// Whether a key of this name holds a secret, going by the name.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    const WHOLE: [&str; 14] = [
        "key",
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "private_key",
        "api_key",
        "apikey",
        "x_api_key",
        "access_key",
        "authorization",
        "proxy_authorization",
        "cookie",
    ];
    const ENDS: [&str; 8] = [
        "_secret",
        "_password",
        "_passwd",
        "_token",
        "secret_key",
        "secret_access_key",
        "signing_key",
        "encryption_key",
    ];
    let name = name.to_ascii_lowercase().replace('-', "_");
    WHOLE.contains(&name.as_str()) || name == "password_hash" || ENDS.iter().any(|end| name.ends_with(end))
}

/// The text with the passwords of its URLs as `***`: `redis://user:***@host`.
#[must_use]
pub fn mask_userinfo(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        let authority =
            &after[..after.find(|c: char| "/?#\"'`".contains(c) || c.is_whitespace()).unwrap_or(after.len())];
        rest = after;
        let Some((userinfo, _)) = authority.rsplit_once('@') else { continue };
        let Some((user, password)) = userinfo.split_once(':') else { continue };
        let substituted = password.starts_with("${") && password.ends_with('}');
        masked.push_str(user);
        masked.push(':');
        masked.push_str(if substituted { password } else { MASK });
        rest = &after[userinfo.len()..];
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Key;

    fn entry(key: &str, value: Value) -> (Key, Node) {
        (Key { name: key.into(), span: super::super::Span::default() }, Node::new(value))
    }

    fn text(text: &str) -> Value {
        Value::Str(text.into())
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "token",
            "secret",
            "password",
            "client_secret",
            "clientSecret_token",
            "key",
            "private_key",
            "password_hash",
            "Authorization",
            "X-Api-Key",
            "db-password",
            "aws_secret_access_key",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["name", "key_id", "key_claim_name", "tokens_per_second", "hide_credentials", "hash_on", "kid"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn passwords_in_urls_are_masked() {
        for (plain, expected) in [
            ("redis://user:pass@h:1/0", "redis://user:***@h:1/0"),
            ("redis://:pass@h", "redis://:***@h"),
            ("redis://:p@ss:w@h", "redis://:***@h"),
            ("redis://user@h", "redis://user@h"),
            ("http://a/b?c=x:y@z", "http://a/b?c=x:y@z"),
            ("a://b:c@d e://f:g@h", "a://b:***@d e://f:***@h"),
            ("redis://u:${env:P}@h", "redis://u:${env:P}@h"),
            ("no url: x@y", "no url: x@y"),
            ("://", "://"),
        ] {
            assert_eq!(mask_userinfo(plain), expected);
        }
    }

    #[test]
    fn a_document_prints_without_its_secrets() {
        let written = |text: &str| Some(Box::new(Written { text: text.into(), quoted: true }));
        let substituted = |key: &str, text_as_written: &str| {
            let (name, mut node) = entry(key, text("the-secret"));
            node.source = written(text_as_written);
            (name, node)
        };
        let tree = Node::new(Value::Map(vec![
            substituted("a", "${env:A}"),
            substituted("token", "${env:T}"),
            substituted("secret", "lit${env:T}"),
            substituted("password", "${env:A}lit${env:B}"),
            entry("password", text("literal")),
            entry("port", Value::Int(80)),
            entry("key", Value::Seq(vec![Node::new(text("path"))])),
            entry("Authorization", Value::Seq(vec![Node::new(text("Bearer x"))])),
            entry("token", Value::Int(12)),
            entry("url", text("redis://u:p@h")),
            entry("secret", Value::Null),
            entry("on", Value::Bool(true)),
        ]));
        let json = masked_json(&tree).to_string();
        assert!(!json.contains("the-secret") && !json.contains("lit"), "{json}");
        for shown in [r#""a":"${env:A}""#, r#""port":80"#, r#""key":["path"]"#, r#""Authorization":["***"]"#] {
            assert!(json.contains(shown), "{shown} in {json}");
        }
        assert!(json.contains(r#""url":"redis://u:***@h""#), "{json}");
        assert!(json.contains(r#""token":"***""#), "{json}");
    }
}
