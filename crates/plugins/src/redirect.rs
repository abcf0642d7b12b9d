//! `redirect`: sends clients elsewhere: to https, to another host, to another path.
//!
//! ```yaml
//! plugins:
//!   - name: redirect
//!     config:
//!       scheme: https
//! ```
//! A request that is at its destination already passes on, so that the plugin may sit on a route that serves both
//! schemes. Path and query are kept unless `path` says otherwise.

use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::document::{Problem, Raw};
use tollgate_core::plugin::{Next, Outcome, Plugin};
use tollgate_core::{Context, Kind, Reject, Request, Response, Scheme};

use crate::entry::{Definition, unless};

/// Sends clients elsewhere. At least one of `scheme`, `host`, `port` and `path` is needed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "redirect")]
pub(crate) struct Config {
    /// `http` or `https`. Default: the one the client used.
    scheme: Option<TargetScheme>,
    /// A host name without port. Default: the one the client used.
    host: Option<String>,
    /// A port. Default: none if `scheme` or `host` changes, else the one the client used.
    port: Option<u16>,
    /// A path, in which `{name}` is what the route's path captured. With a `?` it replaces the query too, which is
    /// kept otherwise. Default: the one the client used.
    path: Option<String>,
    /// 301, 302, 303, 307 or 308. Default: 308, which keeps the method and the body.
    status: Option<u16>,
}

/// A scheme to send clients to.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum TargetScheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

/// The plugin as run.
pub(crate) struct Redirect {
    scheme: Option<Scheme>,
    host: Option<Box<str>>,
    port: Option<u16>,
    path: Option<Template>,
    status: StatusCode,
}

/// A path with captures, and perhaps a query.
struct Template {
    parts: Vec<Part>,
    replaces_query: bool,
}

enum Part {
    Text(Box<str>),
    Capture { name: Box<str>, in_query: bool },
}

impl Definition for Redirect {
    const NAME: &'static str = "redirect";
    type Config = Config;

    fn compile(config: Config, raw: &Raw) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if config.scheme.is_none() && config.host.is_none() && config.port.is_none() && config.path.is_none() {
            let help = "give at least one of `scheme`, `host`, `port` and `path`".to_owned();
            problems.push(raw.problem("", "there is nothing to change", Some(help)));
        }
        if let Some(host) = &config.host {
            problems.extend(check_host(host, raw));
        }
        if config.port == Some(0) {
            problems.push(raw.problem("port", "expected a port from 1 to 65535, found 0", None));
        }
        let path = config.path.and_then(|path| match Template::new(&path) {
            Ok(template) => Some(template),
            Err(message) => {
                problems.push(raw.problem("path", message, None));
                None
            }
        });
        let status = config.status.unwrap_or(308);
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            let message = format!("expected 301, 302, 303, 307 or 308, found {status}");
            let help = "308 and 307 keep the method and the body; 308 and 301 are remembered by browsers".to_owned();
            problems.push(raw.problem("status", message, Some(help)));
        }
        let scheme = config.scheme.map(|scheme| match scheme {
            TargetScheme::Http => Scheme::Http,
            TargetScheme::Https => Scheme::Https,
        });
        let host = config.host.map(|host| host.to_ascii_lowercase().into());
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::PERMANENT_REDIRECT);
        unless(problems, Self { scheme, host, port: config.port, path, status })
    }
}

fn check_host(host: &str, raw: &Raw) -> Option<Problem> {
    let is_ip6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if is_ip6 || is_name {
        return None;
    }
    let help = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.parse::<u16>().is_ok() => {
            Some(format!("write `host: {name}` and `port: {port}`"))
        }
        _ => None,
    };
    Some(raw.problem("host", format!("expected a host name, found `{}`", host.escape_debug()), help))
}

impl Template {
    fn new(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("expected a path that starts with `/`, found `{}`", text.escape_debug()));
        }
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '#' | '"' | '<' | '>' | '\\')) {
            return Err(format!("`{}` can't stand in a path as it is; write it percent-encoded", odd.escape_debug()));
        }
        let (mut parts, mut rest, mut in_query) = (Vec::new(), text, false);
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("a `{` has no `}`".to_owned());
            };
            if name.is_empty() || name.contains(['{', '/', '?']) {
                return Err(format!("`{{{name}}}` does not name a capture"));
            }
            in_query |= before.contains('?');
            parts.push(Part::Text(before.into()));
            parts.push(Part::Capture { name: name.into(), in_query });
            rest = after;
        }
        if parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains('}'))) || rest.contains('}') {
            return Err("a `}` has no `{`".to_owned());
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self { parts, replaces_query: text.contains('?') })
    }

    fn write(&self, cx: &Context<'_>, out: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Capture { name, in_query } => {
                    let Some((_, text)) = cx.captures.iter().find(|(known, _)| known == name) else { continue };
                    // Captures are percent-encoded for a path, where these four have no meaning; in a query they do.
                    for c in text.chars() {
                        match c {
                            '&' if *in_query => out.push_str("%26"),
                            '=' if *in_query => out.push_str("%3D"),
                            '+' if *in_query => out.push_str("%2B"),
                            ';' if *in_query => out.push_str("%3B"),
                            c => out.push(c),
                        }
                    }
                }
            }
        }
    }
}

impl Redirect {
    /// Where the request ought to go, as an absolute URL; `None` if it is there already.
    fn location(&self, cx: &Context<'_>, request: &Request) -> Result<Option<String>, Reject> {
        let scheme = self.scheme.unwrap_or(cx.scheme);
        let (client_host, client_port) = split_port(request.authority());
        let host = self.host.as_deref().unwrap_or(client_host);
        let mut url = String::with_capacity(64 + request.path().len() + request.query().map_or(0, str::len));
        url.push_str(scheme.as_str());
        url.push_str("://");
        url.push_str(host);
        let moves = scheme != cx.scheme || self.host.is_some();
        match self.port {
            Some(port) if port != default_port(scheme) => {
                url.push(':');
                url.push_str(&port.to_string());
            }
            None if !moves && !client_port.is_empty() => {
                url.push(':');
                url.push_str(client_port);
            }
            _ => {}
        }
        let target = url.len();
        match &self.path {
            Some(template) => template.write(cx, &mut url),
            None => url.push_str(request.path()),
        }
        if let Some(query) = request.query().filter(|_| !self.replaces_query()) {
            url.push('?');
            url.push_str(query);
        }
        let there = scheme == cx.scheme
            && self.host.as_deref().is_none_or(|host| host == request.host())
            && self.port.is_none_or(|port| client_port.parse().unwrap_or(default_port(cx.scheme)) == port)
            && url.get(target..).is_some_and(|target| is_target_of(request, target));
        match (there, host.is_empty()) {
            (true, _) => Ok(None),
            (false, false) => Ok(Some(url)),
            (false, true) => Err(Reject::new(Kind::BadTarget, "The request names no host, so it can't be redirected.")),
        }
    }

    fn replaces_query(&self) -> bool {
        self.path.as_ref().is_some_and(|path| path.replaces_query)
    }
}

/// Whether `target` is the request's own path and query.
fn is_target_of(request: &Request, target: &str) -> bool {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    path == request.path() && query == request.query()
}

const fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

/// Host and port, which may be empty; an IPv6 address keeps its brackets.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (authority, ""),
    }
}

impl Plugin for Redirect {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn call(&self, cx: &mut Context<'_>, request: Request, next: Next<'_>) -> Outcome {
        match self.location(cx, &request)? {
            None => Ok(next.run(cx, request).await),
            Some(location) => {
                cx.answered_by = Some(Self::NAME);
                Ok(Response::new(self.status).with_header("Location", location))
            }
        }
    }

    fn terminates(&self) -> bool {
        true
    }

    fn uses_captures(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
