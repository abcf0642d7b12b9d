//! `strip-headers`: response headers that tell about the inside and are never shown.
//!
//! ```yaml
//! plugins:
//!   - name: strip-headers
//!     config:
//!       headers: [Server, X-Powered-By, "X-Debug-*"]
//! ```

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::document::{Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Headers, Request};

use crate::entry::{Definition, unless};
use crate::field::check_token;

/// Response headers that are never shown.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "strip-headers")]
pub(crate) struct Config {
    /// Their names; a `*` at the end stands for any rest. Default: `Server`, `X-Powered-By` and `X-Internal-*`.
    headers: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self { headers: ["Server", "X-Powered-By", "X-Internal-*"].map(str::to_owned).into() }
    }
}

/// The plugin as run.
pub(crate) struct StripHeaders(Arc<Listed>);

/// What is listed.
struct Listed {
    names: Vec<Box<[u8]>>,
    prefixes: Vec<Box<[u8]>>,
}

impl Definition for StripHeaders {
    const NAME: &'static str = "strip-headers";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let (mut names, mut prefixes, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        if config.headers.is_empty() {
            let help = "name some headers, or leave `headers` out for the default list".to_owned();
            problems.push(raw.problem("headers", "the list is empty, so nothing is stripped", Some(help)));
        }
        for (index, header) in config.headers.iter().enumerate() {
            let path = format!("headers[{index}]");
            let (name, list) = match header.strip_suffix('*') {
                Some(prefix) => (prefix, &mut prefixes),
                None => (header.as_str(), &mut names),
            };
            if name.is_empty() || name.contains('*') {
                let message = format!("expected the name of a header, perhaps with a `*` at its end, found `{header}`");
                problems.push(raw.problem(&path, message, None));
            } else {
                problems.extend(check_token(raw, &path, name));
                list.push(name.as_bytes().into());
            }
        }
        unless(problems, Self(Arc::new(Listed { names, prefixes })))
    }
}

impl Listed {
    fn strip(&self, headers: &mut Headers) {
        headers.retain(|name, _| !self.has(name));
    }

    fn has(&self, name: &[u8]) -> bool {
        let starts = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name)) || self.prefixes.iter().any(|it| starts(it))
    }
}

impl Plugin for StripHeaders {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, request: Request, next: Next<'_>) -> Outcome {
        let mut response = next.run(cx, request).await;
        let Self(listed) = self;
        listed.strip(&mut response.headers);
        // Only a body of unknown length has trailers.
        if response.body.length().is_none() {
            let listed = listed.clone();
            response.body.edit_trailers(move |trailers| listed.strip(trailers));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::testing::{Exchange, found, link};

    fn left(config: Json) -> Vec<String> {
        let seen = Exchange::default()
            .answering(&[
                ("server", "x/1.2"),
                ("X-POWERED-BY", "y"),
                ("X-Internal-Host", "z"),
                ("x-internal-", "z"),
                ("X-Internal", "z"),
                ("X-Internals-Host", "z"),
                ("Server-Timing", "z"),
            ])
            .run(&[link("strip-headers", config)]);
        seen.response.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn what_is_listed_is_gone_and_the_rest_stays() {
        assert_eq!(left(json!({})), ["X-Internal", "X-Internals-Host", "Server-Timing"]);
        assert_eq!(
            left(json!({"headers": ["server*", "X-Internal"]})),
            ["X-POWERED-BY", "X-Internal-Host", "x-internal-", "X-Internals-Host"],
            "a list takes the place of the default one"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (config, path) in [
            (json!({"headers": []}), "config.headers"),
            (json!({"headers": ["A", "*"]}), "config.headers[1]"),
            (json!({"headers": ["X-*-Y"]}), "config.headers[0]"),
            (json!({"headers": ["a b"]}), "config.headers[0]"),
            (json!({"headers": [""]}), "config.headers[0]"),
            (json!({"header": ["A"]}), "config.header"),
        ] {
            let all = found("strip-headers", &config);
            assert_eq!(
                all.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(),
                [path],
                "{config}: {all:?}"
            );
        }
    }
}
