//! `request-termination`: answers in place of the service, for mocks and maintenance.
//!
//! ```yaml
//! plugins:
//!   - name: request-termination
//!     config:
//!       status: 503
//!       message: We are back at noon.
//!       headers: { Retry-After: "3600" }
//! ```
//! Without `body` an error (400 and up) is `application/problem+json` like every other of the gateway's, and any other
//! status has no content.

use bytes::Bytes;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::document::{Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Body, Context, Request, Response};

use crate::edits::lines;
use crate::entry::{Definition, unless};
use crate::field::{Line, check_value};
use crate::values::{Ordered, Texts};

/// Answers in place of the service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "request-termination")]
pub(crate) struct Config {
    /// The status of the answer, from 200 to 599. Default: 503.
    status: u16,
    /// The content of the answer. Default: a problem document for a status of 400 and up, else none.
    body: Option<String>,
    /// The media type of `body`. Default: `application/json` if it is a JSON object or array, else
    /// `text/plain; charset=utf-8`.
    content_type: Option<String>,
    /// The sentence that the problem document gives as its `detail`, where there is no `body`.
    message: Option<String>,
    /// Further headers of the answer: a value or a list of them for each name.
    headers: Ordered<Texts>,
}

impl Default for Config {
    fn default() -> Self {
        Self { status: 503, body: None, content_type: None, message: None, headers: Ordered::default() }
    }
}

/// The plugin as run.
pub(crate) struct RequestTermination {
    status: StatusCode,
    headers: Vec<Line>,
    content: Content,
}

enum Content {
    None,
    Fixed(Bytes),
    /// A problem document up to its request id.
    Problem(Box<[u8]>),
}

impl Definition for RequestTermination {
    const NAME: &'static str = "request-termination";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let mut problems = wrong(&config, raw);
        let mut headers = lines("headers", &config.headers, raw, &mut problems);
        let status = StatusCode::from_u16(config.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let content = match config.body {
            Some(body) => {
                let media_type = config.content_type.unwrap_or_else(|| media_type_of(&body).to_owned());
                headers.push(Line::new("Content-Type", &media_type));
                Content::Fixed(body.into())
            }
            None if status.as_u16() >= 400 => {
                headers.push(Line::new("Content-Type", "application/problem+json"));
                Content::Problem(problem(status, config.message.as_deref()))
            }
            None => Content::None,
        };
        unless(problems, Self { status, headers, content })
    }
}

fn wrong(config: &Config, raw: &Raw) -> Vec<Problem> {
    let mut problems = Vec::new();
    let status = config.status;
    if !(200..600).contains(&status) {
        problems.push(raw.problem("status", format!("expected a status from 200 to 599, found {status}"), None));
    }
    if config.body.is_some() && matches!(status, 204 | 205 | 304) {
        let help = "leave `body` out, or use another status".to_owned();
        problems.push(raw.problem("body", format!("an answer with status {status} has no content"), Some(help)));
    }
    if let Some(content_type) = &config.content_type {
        if config.body.is_none() {
            let help = "give a `body` too".to_owned();
            problems.push(raw.problem("content_type", "there is no `body` that it could be about", Some(help)));
        }
        problems.extend(check_value(raw, "content_type", content_type));
    }
    if config.message.is_some() && config.body.is_some() {
        let help = "`message` goes into a problem document, `body` takes the place of that".to_owned();
        problems.push(raw.problem("message", "`message` and `body` exclude each other", Some(help)));
    } else if config.message.is_some() && status < 400 {
        let help = "use `body`".to_owned();
        problems.push(raw.problem("message", format!("an answer with status {status} is no problem"), Some(help)));
    }
    if let Some((name, _)) = config.headers.0.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        let path = tollgate_core::document::join_key("headers", name);
        problems.push(raw.problem(&path, "the media type has its own key", Some("use `content_type`".to_owned())));
    }
    problems
}

fn media_type_of(body: &str) -> &'static str {
    let is_json =
        body.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
    if is_json { "application/json" } else { "text/plain; charset=utf-8" }
}

/// A problem document (RFC 9457) but for the id of the request and the closing brace.
///
/// Its type is `about:blank`: it says no more than the status does (§4.2.1).
fn problem(status: StatusCode, message: Option<&str>) -> Box<[u8]> {
    let title = status.canonical_reason().unwrap_or("Error");
    let detail = message.unwrap_or("The gateway answers this request itself.");
    let document = serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail, "request_id": "",
    });
    document.to_string().trim_end_matches("\"\"}").as_bytes().into()
}

impl Plugin for RequestTermination {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, _: Request, _: Next<'_>) -> Outcome {
        cx.answered_by = Some(Self::NAME);
        let mut response = Response::new(self.status);
        for line in &self.headers {
            line.add_to(&mut response.headers);
        }
        response.body = match &self.content {
            Content::None => Body::Empty,
            Content::Fixed(bytes) => Body::Bytes(bytes.clone()),
            Content::Problem(start) => {
                let mut body = start.to_vec();
                // Writing a text into memory cannot fail.
                let _ = serde_json::to_writer(&mut body, &cx.request_id);
                body.push(b'}');
                body.into()
            }
        };
        Ok(response)
    }

    fn terminates(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};
    use tollgate_core::Chain;

    use crate::testing::{Exchange, Seen, found, link};

    fn answer(config: Json) -> Seen {
        let seen = Exchange::default().run(&[link("request-id", json!({})), link("request-termination", config)]);
        assert!(seen.request.is_none(), "the service is not asked");
        assert_eq!(seen.answered_by, Some("request-termination"));
        seen
    }

    #[test]
    fn without_a_body_an_error_is_a_problem_document() {
        for (config, status, title, detail) in [
            (json!({}), 503, "Service Unavailable", "The gateway answers this request itself."),
            (json!({"status": 410, "message": "Use \"/v2\"."}), 410, "Gone", "Use \"/v2\"."),
        ] {
            let seen = answer(config);
            assert_eq!(seen.status(), status);
            assert_eq!(seen.answered("Content-Type").as_deref(), Some("application/problem+json"));
            let body: Json = serde_json::from_str(seen.text()).unwrap();
            assert_eq!(
                body,
                json!({"type": "about:blank", "title": title, "status": status, "detail": detail,
                    "request_id": seen.request_id})
            );
        }
        let seen = answer(json!({"status": 204}));
        assert_eq!((seen.status(), seen.text(), seen.answered("Content-Type")), (204, "", None));
    }

    #[test]
    fn a_body_is_sent_as_written() {
        for (body, given, sent) in [
            ("{\"a\": 1}", None, "application/json"),
            (" [1]", None, "application/json"),
            ("{no json", None, "text/plain; charset=utf-8"),
            ("7", None, "text/plain; charset=utf-8"),
            ("<p>", Some("text/html"), "text/html"),
        ] {
            let seen = answer(json!({"status": 200, "body": body, "content_type": given}));
            assert_eq!((seen.status(), seen.text()), (200, body));
            assert_eq!(seen.answered("Content-Type").as_deref(), Some(sent), "{body}");
        }
        assert_eq!(answer(json!({"body": "x"})).status(), 503);
    }

    #[test]
    fn headers_are_sent() {
        let seen = answer(json!({"headers": {"Retry-After": "60", "Set-Cookie": ["a=1", "b=2"]}}));
        assert_eq!(seen.answered("Retry-After").as_deref(), Some("60"));
        assert_eq!(seen.answered("Set-Cookie").as_deref(), Some("a=1|b=2"));
        assert!(Chain::new(vec![link("request-termination", json!({}))]).terminates());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (config, path) in [
            (json!({"status": 101}), "config.status"),
            (json!({"status": 600}), "config.status"),
            (json!({"status": 204, "body": "x"}), "config.body"),
            (json!({"content_type": "text/html"}), "config.content_type"),
            (json!({"body": "x", "content_type": "a\nb"}), "config.content_type"),
            (json!({"body": "x", "message": "y"}), "config.message"),
            (json!({"status": 200, "message": "y"}), "config.message"),
            (json!({"headers": {"content-type": "a/b"}}), "config.headers.content-type"),
            (json!({"headers": {"Content-Length": "1"}}), "config.headers.Content-Length"),
            (json!({"headers": {"A": "b\rc"}}), "config.headers.A"),
            (json!({"statuss": 1}), "config.statuss"),
        ] {
            let all = found("request-termination", &config);
            assert_eq!(
                all.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(),
                [path],
                "{config}: {all:?}"
            );
        }
    }
}
