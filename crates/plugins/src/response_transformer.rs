//! `response-transformer`: edits headers on the way back to the client.
//!
//! ```yaml
//! plugins:
//!   - name: response-transformer
//!     config:
//!       headers:
//!         set: { Cache-Control: no-store }
//!         remove: [X-Debug]
//! ```
//! Edits are made in this order, whatever their order in the file: remove, rename, set, add. They are made on every
//! answer that comes from further in: the service's, an error about the service, a later plugin's.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_core::document::{Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Request};

use crate::edits::{HeaderEdits, HeadersConfig};
use crate::entry::{Definition, not_built, unless};

/// Edits headers on the way back to the client. At least one edit is needed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "response-transformer")]
pub(crate) struct Config {
    /// Edits of headers.
    headers: HeadersConfig,
    #[schemars(skip)]
    json: IgnoredAny,
    #[schemars(skip)]
    allow: IgnoredAny,
    #[schemars(skip)]
    keep: IgnoredAny,
}

/// The plugin as run.
pub(crate) struct ResponseTransformer(HeaderEdits);

impl Definition for ResponseTransformer {
    const NAME: &'static str = "response-transformer";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let mut problems: Vec<_> = not_built(raw, &["json", "allow", "keep"]).collect();
        if raw.node().get("query").is_some() {
            let help = "edits of the query belong to `request-transformer`".to_owned();
            problems.push(raw.problem("query", "an answer has no query", Some(help)));
        }
        let headers = HeaderEdits::new(config.headers, raw, &mut problems);
        if problems.is_empty() && headers.is_empty() {
            let help = "give `headers` with `add`, `set`, `remove` or `rename`".to_owned();
            problems.push(raw.problem("", "there is nothing to change", Some(help)));
        }
        unless(problems, Self(headers))
    }
}

impl Plugin for ResponseTransformer {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, request: Request, next: Next<'_>) -> Outcome {
        let mut response = next.run(cx, request).await;
        self.0.apply(&mut response.headers);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_core::{Kind, Reject};

    use crate::testing::{Exchange, found, link};

    #[test]
    fn headers_are_edited_on_the_way_back() {
        let config = json!({"headers": {"add": {"Vary": "Accept"}, "set": {"Cache-Control": "no-store"},
            "remove": ["X-Debug"], "rename": {"X-Old": "X-New"}}});
        let seen = Exchange::default()
            .header("X-Debug", "asked")
            .answering(&[("X-Debug", "1"), ("cache-control", "public"), ("X-Old", "o"), ("Vary", "Origin")])
            .run(&[link("response-transformer", config)]);
        for (name, value) in [
            ("X-Debug", None),
            ("Cache-Control", Some("no-store")),
            ("X-Old", None),
            ("X-New", Some("o")),
            ("Vary", Some("Origin|Accept")),
        ] {
            assert_eq!(seen.answered(name).as_deref(), value, "{name}");
        }
        assert_eq!(seen.sent("X-Debug").as_deref(), Some("asked"), "the request is left alone");
    }

    #[test]
    fn errors_are_edited_too() {
        let config = json!({"headers": {"set": {"X-A": "1", "Content-Type": "text/plain"}}});
        let answer = Err(Reject::new(Kind::ConnectFailed, "no"));
        let seen = Exchange { answer, ..Exchange::default() }.run(&[link("response-transformer", config)]);
        assert_eq!((seen.status(), seen.answered("X-A").as_deref()), (502, Some("1")));
        assert_eq!(seen.answered("Content-Type").as_deref(), Some("text/plain"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (config, path, part) in [
            (json!({}), "config", "nothing to change"),
            (json!({"headers": {"set": {"Connection": "close"}}}), "config.headers.set.Connection", "one connection"),
            (json!({"headers": {"remove": ["Content-Length"]}}), "config.headers.remove[0]", "body ends"),
            (json!({"json": "."}), "config.json", "not built yet"),
            (json!({"query": {"remove": ["a"]}}), "config.query", ""),
        ] {
            let all = found("response-transformer", &config);
            assert_eq!(all.len(), 1, "{config}: {all:?}");
            assert!(all[0].path == path && all[0].to_string().contains(part), "{config}: {all:?}");
        }
    }
}
