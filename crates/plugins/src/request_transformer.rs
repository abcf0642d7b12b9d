//! `request-transformer`: edits headers and query on the way to the service.
//!
//! ```yaml
//! plugins:
//!   - name: request-transformer
//!     config:
//!       headers:
//!         remove: [X-Debug]
//!         rename: { X-Old: X-New }
//!         set: { X-Gateway: tollgate }
//!         add: { X-Tag: [a, b] }
//!       query:
//!         set: { format: json }
//! ```
//! Edits are made in this order, whatever their order in the file: remove, rename, set, add. Values are literal.
//! Headers that decide framing, or that the gateway writes itself, are refused when the config loads.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_core::document::{Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Request};

use crate::edits::{HeaderEdits, HeadersConfig};
use crate::entry::{Definition, not_built, unless};
use crate::query::{QueryConfig, QueryEdits};

/// Edits headers and query on the way to the service. At least one edit is needed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "request-transformer")]
pub(crate) struct Config {
    /// Edits of headers.
    headers: HeadersConfig,
    /// Edits of the query.
    query: QueryConfig,
    #[schemars(skip)]
    json: IgnoredAny,
    #[schemars(skip)]
    allow: IgnoredAny,
    #[schemars(skip)]
    keep: IgnoredAny,
}

/// The plugin as run.
pub(crate) struct RequestTransformer {
    headers: HeaderEdits,
    query: QueryEdits,
}

impl Definition for RequestTransformer {
    const NAME: &'static str = "request-transformer";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let mut problems: Vec<_> = not_built(raw, &["json", "allow", "keep"]).collect();
        let headers = HeaderEdits::new(config.headers, raw, &mut problems);
        let query = QueryEdits::new(config.query, raw, &mut problems);
        if problems.is_empty() && headers.is_empty() && query.is_empty() {
            let help = "give `headers` or `query` with `add`, `set`, `remove` or `rename`".to_owned();
            problems.push(raw.problem("", "there is nothing to change", Some(help)));
        }
        unless(problems, Self { headers, query })
    }
}

impl Plugin for RequestTransformer {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, mut request: Request, next: Next<'_>) -> Outcome {
        self.headers.apply(&mut request.headers);
        if !self.query.is_empty() {
            self.query.apply(&mut request);
        }
        Ok(next.run(cx, request).await)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{Exchange, found, link, problems};

    #[test]
    fn headers_are_edited_on_the_way_to_the_service() {
        let config = json!({"headers": {
            "add": {"X-Tag": ["a", "b"], "X-Set": "beside"},
            "set": {"X-Set": "set", "X-User-Id": "operator", "X-Many": ["1", "2"]},
            "remove": ["X-Debug"],
            "rename": {"X-Old": "X-New", "x-case": "X-Case", "X-None": "X-Kept"},
        }});
        let seen = Exchange::default()
            .header("X-Debug", "1")
            .header("x-debug", "2")
            .header("X-Old", "old")
            .header("X-New", "from the client")
            .header("x-case", "same")
            .header("X-Kept", "kept")
            .header("X-Set", "before")
            .header("X-Many", "0")
            .header("X-Tag", "0")
            .run(&[link("request-transformer", config)]);
        for (name, value) in [
            ("X-Debug", None),
            ("X-Old", None),
            ("X-New", Some("old")),
            ("X-Case", Some("same")),
            ("X-Kept", Some("kept")),
            ("X-Set", Some("set|beside")),
            ("X-Many", Some("1|2")),
            ("X-Tag", Some("0|a|b")),
            ("X-User-Id", Some("operator")),
        ] {
            assert_eq!(seen.sent(name).as_deref(), value, "{name}");
        }
        assert_eq!(seen.answered("X-Tag"), None, "the answer is left alone");
        assert_eq!(seen.request.unwrap().path(), "/a/b");
    }

    #[test]
    fn edits_are_made_in_their_order() {
        let config = json!({"headers": {"set": {"B": "set"}, "rename": {"A": "B"}, "remove": ["A"]}});
        let seen = Exchange::default().header("A", "1").header("B", "2").run(&[link("request-transformer", config)]);
        assert_eq!((seen.sent("A"), seen.sent("B").as_deref()), (None, Some("set")), "A was gone before its renaming");
        let config = json!({"headers": {"set": {"B": "set"}, "rename": {"A": "B"}}});
        let seen = Exchange::default().header("A", "1").run(&[link("request-transformer", config)]);
        assert_eq!((seen.sent("A"), seen.sent("B").as_deref()), (None, Some("set")), "set comes after rename");
        let config = json!({"headers": {"set": {"A": "set"}, "rename": {"A": "B"}}});
        let seen = Exchange::default().header("A", "1").run(&[link("request-transformer", config)]);
        assert_eq!((seen.sent("A").as_deref(), seen.sent("B").as_deref()), (Some("set"), Some("1")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (config, path, part) in [
            (json!({}), "config", "nothing to change"),
            (json!({"headers": {"set": {}}}), "config", "nothing to change"),
            (json!({"headers": {"set": {"Host": "a"}}}), "config.headers.set.Host", "preserve_host"),
            (json!({"headers": {"remove": ["A", "content-length"]}}), "config.headers.remove[1]", "body ends"),
            (json!({"headers": {"rename": {"A": "Transfer-Encoding"}}}), "config.headers.rename.A", "body ends"),
            (json!({"headers": {"rename": {"TE": "A"}}}), "config.headers.rename.TE", "one connection"),
            (json!({"headers": {"add": {"A": ["b", "c\nd"]}}}), "config.headers.add.A[1]", "line breaks"),
            (json!({"headers": {"add": {"A": 1}}}), "config.headers.add.A", "expected a string"),
            (json!({"headers": {"ad": {"A": "1"}}}), "config.headers.ad", "did you mean `add`?"),
            (json!({"headers": {"rename": {"A": "B", "b": "C"}}}), "config.headers.rename.b", "in one step"),
            (json!({"json": ".a"}), "config.json", "not built yet"),
            (json!({"allow": ["a"]}), "config.allow", "not built yet"),
            (json!({"keep": ["a"]}), "config.keep", "not built yet"),
        ] {
            let all = found("request-transformer", &config);
            assert_eq!(all.len(), 1, "{config}: {all:?}");
            assert!(all[0].path == path && all[0].to_string().contains(part), "{config}: {all:?}");
        }
        let config =
            json!({"headers": {"set": {"a b": "c\nd"}, "remove": ["TE"]}, "json": ".", "query": {"remove": [""]}});
        assert_eq!(problems("request-transformer", config).len(), 5, "all at once");
    }
}
