//! For tests: configs from JSON, and a request run through a chain with a scripted service at its end.

use std::cell::RefCell;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use http::{Method, Version};
use serde_json::Value as Json;
use tollgate_core::document::{Key, Node, Problem, Raw, Span, Value};
use tollgate_core::plugin::{Chain, Link, Outcome, Terminal};
use tollgate_core::request::Target;
use tollgate_core::{Body, Connection, Context, Headers, Request, Response, RouteInfo, Scheme};

use crate::{Lookup, lookup};

fn node(json: &Json) -> Node {
    Node::new(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_i64().map_or(Value::Float(number.as_f64().unwrap()), Value::Int),
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(items) => Value::Seq(items.iter().map(node).collect()),
        Json::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(name, json)| (Key { name: name.clone(), span: Span::default() }, node(json)))
                .collect(),
        ),
    })
}

fn compile(name: &str, config: &Json) -> Result<Link, Vec<Problem>> {
    let Lookup::Built(entry, _) = lookup(name) else { panic!("no plugin `{name}`") };
    (entry.compile)(&Raw::new(node(config), "config"))
}

/// A plugin from its config, which must be right.
#[allow(clippy::needless_pass_by_value, reason = "tests hand over `json!` values")]
pub(crate) fn link(name: &str, config: Json) -> Link {
    compile(name, &config).unwrap_or_else(|problems| panic!("{name}: {problems:?}"))
}

/// The files that a config names.
pub(crate) fn files(name: &str, config: &Json) -> Vec<PathBuf> {
    let Lookup::Built(entry, _) = lookup(name) else { panic!("no plugin `{name}`") };
    (entry.files)(&Raw::new(node(config), "config"))
}

/// What is wrong with a config; empty if nothing is.
pub(crate) fn found(name: &str, config: &Json) -> Vec<Problem> {
    compile(name, config).err().unwrap_or_default()
}

/// The same as text: message and help.
#[allow(clippy::needless_pass_by_value, reason = "tests hand over `json!` values")]
pub(crate) fn problems(name: &str, config: Json) -> Vec<String> {
    let show = |problem: Problem| match problem.help {
        Some(help) => format!("{} ({help})", problem.message),
        None => problem.message,
    };
    found(name, &config).into_iter().map(show).collect()
}

/// A request, and what the service at the end of the chain does with it.
pub(crate) struct Exchange {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) query: Option<&'static str>,
    pub(crate) authority: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    pub(crate) client: &'static str,
    pub(crate) scheme: Scheme,
    pub(crate) captures: Vec<(&'static str, &'static str)>,
    /// What the service answers.
    pub(crate) answer: Outcome,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            method: Method::GET,
            path: "/a/b",
            query: None,
            authority: "api.example.com",
            headers: Vec::new(),
            body: Body::Empty,
            client: "192.0.2.1",
            scheme: Scheme::Http,
            captures: Vec::new(),
            answer: Ok(Response::new(http::StatusCode::OK)),
        }
    }
}

/// What came of an exchange.
pub(crate) struct Seen {
    /// What the client got.
    pub(crate) response: Response,
    /// What the service got, if anything did get there.
    pub(crate) request: Option<Request>,
    pub(crate) request_id: String,
    pub(crate) answered_by: Option<&'static str>,
}

impl Exchange {
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The service answers with these fields.
    pub(crate) fn answering(mut self, headers: &[(&str, &str)]) -> Self {
        let mut response = Response::new(http::StatusCode::OK);
        for (name, value) in headers {
            response.headers.add(name, value);
        }
        self.answer = Ok(response);
        self
    }

    pub(crate) fn run(self, links: &[Link]) -> Seen {
        let peer = Some(format!("{}:1000", if self.client.contains(':') { "[::1]" } else { "127.0.0.1" }));
        let connection = Connection {
            peer: peer.and_then(|peer| peer.parse().ok()),
            peer_trusted: false,
            scheme: self.scheme,
            port: 8080,
            listener: "web".into(),
        };
        let route = RouteInfo { name: "r".into(), service: Some("s".into()) };
        let mut cx = Context::new(&connection, &route, Instant::now());
        cx.client_ip = self.client.parse().unwrap();
        cx.captures = self.captures.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        let mut headers = Headers::new();
        for (name, value) in &self.headers {
            headers.add(name, value);
        }
        let host = self.authority.rsplit_once(':').map_or(self.authority, |(host, _)| host);
        let mut target = Target::default();
        target.set_path(self.path);
        target.set_query(self.query);
        target.set_authority(self.authority, &host.to_ascii_lowercase());
        let mut request = Request::new(self.method, Version::HTTP_11, headers, target);
        request.body = self.body;
        let service = Service { answer: RefCell::new(Some(self.answer)), request: RefCell::new(None) };
        let response = now(Chain::new(links.to_vec()).run(&mut cx, request, &service));
        Seen {
            response,
            request: service.request.into_inner(),
            request_id: cx.request_id.clone(),
            answered_by: cx.answered_by,
        }
    }
}

impl Seen {
    /// A field of the answer; several of one name are joined by `|`, which shows if they were doubled.
    pub(crate) fn answered(&self, name: &str) -> Option<String> {
        joined(&self.response.headers, name)
    }

    /// A field of the request as the service got it, likewise.
    pub(crate) fn sent(&self, name: &str) -> Option<String> {
        joined(&self.request.as_ref().unwrap_or_else(|| panic!("the request did not get to the service")).headers, name)
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status.as_u16()
    }

    /// The content of the answer.
    pub(crate) fn text(&self) -> &str {
        match &self.response.body {
            Body::Empty => "",
            Body::Bytes(bytes) => std::str::from_utf8(bytes).unwrap(),
            Body::Stream(_) => panic!("a stream"),
        }
    }
}

fn joined(headers: &Headers, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    (!values.is_empty()).then(|| values.join("|"))
}

struct Service {
    answer: RefCell<Option<Outcome>>,
    request: RefCell<Option<Request>>,
}

impl Terminal for Service {
    fn call<'a>(&'a self, _: &'a mut Context<'_>, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + 'a>> {
        *self.request.borrow_mut() = Some(request);
        Box::pin(async { self.answer.borrow_mut().take().unwrap() })
    }
}

/// The result of a future that does not wait for anything.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}
