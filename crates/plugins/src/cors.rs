//! `cors`: which pages of other origins may call the API from a browser (Fetch standard, "CORS protocol").
//!
//! ```yaml
//! plugins:
//!   - name: cors
//!     config:
//!       origins: [https://shop.example.com, "https://*.example.org"]
//!       credentials: true
//!       max_age: 1h
//! ```
//! A preflight is answered here, without authentication and without the service; that of an origin which is not listed
//! gets a 204 without `Access-Control-Allow-Origin`, which the browser takes for a no. Every other answer, a rejection
//! by a later plugin too, carries what the browser needs to hand it to the page; the service's own fields about it
//! are replaced, never doubled.

mod origins;

use std::borrow::Cow;

use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::document::{Duration, Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Headers, Known, Request, Response};

use crate::entry::{Definition, unless};
use crate::field::{Line, check_token};
use origins::Origins;

/// Which pages of other origins may call the API from a browser.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "cors")]
pub(crate) struct Config {
    /// The origins: `https://app.example.com`, `https://*.example.com` for any subdomain, `~regex` for the whole
    /// origin, `null`, or `*` for all. Default: `*`.
    #[schemars(with = "Vec<String>")]
    origins: Vec<Option<String>>,
    /// The methods a page may use; `*` is whichever it asks for. Default: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS.
    methods: Vec<String>,
    /// The request headers a page may set; `*` is whichever it asks for. Default: `*`.
    headers: Vec<String>,
    /// The response headers a page may read, besides `Retry-After` and `RateLimit-Limit`, `-Remaining` and `-Reset`,
    /// which it always may. An empty list: none at all.
    exposed_headers: Option<Vec<String>>,
    /// Whether a page may send cookies and client certificates. Not with the origin `*`. Default: false.
    credentials: bool,
    /// How long a browser may remember the answer to a preflight. Default: it decides, mostly 5 seconds.
    max_age: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        Self {
            origins: vec![Some("*".to_owned())],
            methods: list(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
            headers: list(&["*"]),
            exposed_headers: None,
            credentials: false,
            max_age: None,
        }
    }
}

/// What a page must be able to read to behave well when a limit is reached.
const ALWAYS_EXPOSED: [&str; 4] = ["Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];

/// The plugin as run.
pub(crate) struct Cors {
    /// `None`: all of them, and none is named in the answer, as it is the same for all.
    origins: Option<Origins>,
    methods: Allowed,
    headers: Allowed,
    exposed: Option<Line>,
    credentials: Option<Line>,
    max_age: Option<Line>,
}

/// What a preflight is told about methods or headers.
enum Allowed {
    /// Whatever it asks for.
    Asked,
    /// These.
    Listed(Line),
}

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_METHODS: &str = "Access-Control-Allow-Methods";
const ALLOW_HEADERS: &str = "Access-Control-Allow-Headers";
const REQUEST_METHOD: &str = "Access-Control-Request-Method";
const REQUEST_HEADERS: &str = "Access-Control-Request-Headers";

impl Definition for Cors {
    const NAME: &'static str = "cors";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        // `null` without quotes is the origin `null`.
        let origins: Vec<_> = config.origins.into_iter().map(|it| it.unwrap_or_else(|| "null".to_owned())).collect();
        let any = origins.iter().position(|origin| origin == "*");
        if let Some(index) = any.filter(|_| config.credentials) {
            let message =
                "the origin `*` and `credentials: true` exclude each other: any page could act as its visitor";
            let help = "list the origins that may send cookies, such as https://app.example.com".to_owned();
            problems.push(raw.problem(&format!("origins[{index}]"), message, Some(help)));
        }
        if origins.is_empty() {
            let help = "list the origins whose pages may call this API, or `*` for all".to_owned();
            problems.push(raw.problem("origins", "the list is empty, so no page may do anything", Some(help)));
        }
        let origins = if any.is_some() { None } else { Some(Origins::new(&origins, raw, &mut problems)) };
        let methods: Vec<_> = config.methods.iter().map(|method| method.to_ascii_uppercase()).collect();
        let methods = allowed(ALLOW_METHODS, "methods", &methods, raw, &mut problems);
        let headers = allowed(ALLOW_HEADERS, "headers", &config.headers, raw, &mut problems);
        let exposed = exposed(config.exposed_headers, raw, &mut problems);
        let max_age = config.max_age.map(|age| Line::new("Access-Control-Max-Age", &age.get().as_secs().to_string()));
        let credentials = config.credentials.then(|| Line::new("Access-Control-Allow-Credentials", "true"));
        unless(problems, Self { origins, methods, headers, exposed, credentials, max_age })
    }
}

fn allowed(field: &str, key: &str, names: &[String], raw: &Raw, problems: &mut Vec<Problem>) -> Allowed {
    if names.iter().any(|name| name == "*") {
        return Allowed::Asked;
    }
    check_tokens(key, names, raw, problems);
    Allowed::Listed(Line::new(field, &names.join(", ")))
}

fn exposed(names: Option<Vec<String>>, raw: &Raw, problems: &mut Vec<Problem>) -> Option<Line> {
    let mut names = match names {
        Some(names) if names.is_empty() => return None,
        names => names.unwrap_or_default(),
    };
    check_tokens("exposed_headers", &names, raw, problems);
    for always in ALWAYS_EXPOSED {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(always)) {
            names.push(always.to_owned());
        }
    }
    Some(Line::new("Access-Control-Expose-Headers", &names.join(", ")))
}

fn check_tokens(key: &str, names: &[String], raw: &Raw, problems: &mut Vec<Problem>) {
    for (index, name) in names.iter().enumerate() {
        problems.extend(check_token(raw, &format!("{key}[{index}]"), name));
    }
}

impl Plugin for Cors {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, request: Request, next: Next<'_>) -> Outcome {
        if request.method == Method::OPTIONS
            && request.headers.has(Known::Origin)
            && request.headers.contains(REQUEST_METHOD)
        {
            cx.answered_by = Some(Self::NAME);
            return Ok(self.preflight(&request.headers));
        }
        let origin = self.admitted(&request.headers);
        let mut response = next.run(cx, request).await;
        response.headers.retain(|name, _| !is_about_cors(name));
        self.permit(&mut response.headers, origin.as_deref());
        Ok(response)
    }

    fn answers_preflight(&self) -> bool {
        true
    }
}

impl Cors {
    /// The request's origin, if its pages may read the answer and the answer has to name it.
    fn admitted(&self, headers: &Headers) -> Option<Cow<'_, [u8]>> {
        let origins = self.origins.as_ref()?;
        let mut sent = headers.known(Known::Origin);
        match (sent.next(), sent.next()) {
            (Some(origin), None) => origins.admit(origin),
            _ => None,
        }
    }

    /// The answer to "may I?" (Fetch, "CORS-preflight request").
    fn preflight(&self, request: &Headers) -> Response {
        let mut response = Response::new(StatusCode::NO_CONTENT);
        let headers = &mut response.headers;
        let origin = self.admitted(request);
        self.allow_origin(headers, origin.as_deref());
        if self.origins.is_some() && origin.is_none() {
            return response;
        }
        answer(&self.methods, request, REQUEST_METHOD, ALLOW_METHODS, headers);
        answer(&self.headers, request, REQUEST_HEADERS, ALLOW_HEADERS, headers);
        if let Some(max_age) = &self.max_age {
            max_age.add_to(headers);
        }
        response
    }

    /// Says in an answer who may read it, and what of it.
    fn permit(&self, headers: &mut Headers, origin: Option<&[u8]>) {
        self.allow_origin(headers, origin);
        if let Some(exposed) = self.exposed.as_ref().filter(|_| self.origins.is_none() || origin.is_some()) {
            exposed.add_to(headers);
        }
    }

    fn allow_origin(&self, headers: &mut Headers, origin: Option<&[u8]>) {
        if self.origins.is_none() {
            headers.add_line(Known::Other, ALLOW_ORIGIN, &[b"*"]);
            return;
        }
        if let Some(origin) = origin {
            headers.add(ALLOW_ORIGIN, origin);
            if let Some(credentials) = &self.credentials {
                credentials.add_to(headers);
            }
        }
        // Caches must not hand an answer for one origin to another, or one without an origin to either.
        if !varies_by_origin(headers) {
            headers.add_line(Known::Other, "Vary", &[b"Origin"]);
        }
    }
}

fn answer(allowed: &Allowed, request: &Headers, asked_in: &str, field: &str, headers: &mut Headers) {
    match allowed {
        Allowed::Listed(line) => line.add_to(headers),
        Allowed::Asked => {
            if let Some(asked) = request.get(asked_in).filter(|asked| !asked.is_empty()) {
                headers.add(field, asked);
            }
        }
    }
}

/// The fields by which a service speaks about CORS itself.
fn is_about_cors(name: &[u8]) -> bool {
    const START: &[u8] = b"access-control-";
    name.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
}

fn varies_by_origin(headers: &Headers) -> bool {
    let is_origin = |token: &[u8]| token.eq_ignore_ascii_case(b"origin") || token == b"*";
    headers.get_all("Vary").any(|value| value.split(|byte| *byte == b',').any(|token| is_origin(token.trim_ascii())))
}

#[cfg(test)]
mod tests;
