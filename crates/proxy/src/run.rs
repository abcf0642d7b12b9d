//! One request: its route, its chain, its service, its answer, its record.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use http::{Method, StatusCode, Version};
use tollgate_core::context::Captures;
use tollgate_core::grpc;
use tollgate_core::plugin::Outcome;
use tollgate_core::{Context, Kind, Known, Reject, Request, Response, Terminal};

use crate::caller::{Caller, Peer};
use crate::forward;
use crate::http1::fields;
use crate::http1::request::ALLOWED;
use crate::normalize;
use crate::record::{Record, Sent};
use crate::route::{FieldLookup, Found, Match, Query};
use crate::service::send;
use crate::snapshot::{PathPart, Route};
use crate::timer;
use crate::worker::{View, Worker};

/// Handles a request from its head to the last byte of its answer, which `reply` sends.
pub(crate) async fn run(
    worker: &Rc<Worker>,
    client: &Rc<dyn Caller>,
    mut request: Request,
    started: Instant,
    reply: impl AsyncFnOnce(&mut Response) -> Sent,
) -> Sent {
    let view = worker.view();
    let Way { route, captures, end } = find(&view, &request, client.peer());
    let record = Record::start(worker, &view.snapshot, route, &request, started);
    let mut cx = Context::new(&client.peer().info, &route.info, started);
    cx.captures = captures;
    // gRPC needs HTTP/2, so that nobody else pays for the question.
    cx.grpc = request.version == Version::HTTP_2 && request.headers.get("content-type").is_some_and(grpc::is_grpc);
    forward::apply(&mut cx, &mut request, client.peer());
    let end = End { worker, view: &view, client, route, way: end };
    let mut response = route.chain.run(&mut cx, request, &end).await;
    let sent = reply(&mut response).await;
    // What the response still holds, and the record, go by one reading of the clock.
    let ended = timer::exact_now();
    drop(response);
    record.finish(&cx, &sent, ended);
    sent
}

/// Where a request goes.
struct Way<'s> {
    route: &'s Route,
    captures: Captures,
    end: WayEnd,
}

/// What stands at the end of the chain.
enum WayEnd {
    /// The route's service; the prefix of the path that the route matched is so long.
    Service { prefix: usize },
    /// Nothing: the gateway answers.
    Refuse(Refusal),
    /// `OPTIONS *`, or `OPTIONS` whose hops are used up: the gateway answers for itself.
    Options,
}

/// Why no route takes a request.
enum Refusal {
    /// A route takes it but for its method; these methods are taken.
    Method(Box<str>),
    /// No route matches.
    NoRoute,
    /// The connection's certificate is not for the host.
    Misdirected,
}

impl Refusal {
    fn reject(&self) -> Reject {
        match self {
            Self::Method(allow) => Reject::new(Kind::MethodNotAllowed, "This resource does not take this method.")
                .with_header("Allow", allow.clone()),
            Self::NoRoute => Reject::new(Kind::NoRoute, "No route matches this request."),
            Self::Misdirected => Reject::new(Kind::Misdirected, "This connection's certificate is not for this host."),
        }
    }
}

fn find<'s>(view: &'s View, request: &Request, peer: &Peer) -> Way<'s> {
    let snapshot = &view.snapshot;
    let unrouted = |end| Way { route: &snapshot.unrouted, captures: Captures::new(), end };
    if request.method == Method::OPTIONS {
        let hops_left = request.headers.known(Known::MaxForwards).next();
        if request.path() == "*"
            || hops_left.is_some_and(|hops| !hops.is_empty() && hops.iter().all(|digit| *digit == b'0'))
        {
            return unrouted(WayEnd::Options);
        }
    }
    let host = request.host();
    if !peer.serves(host) {
        return unrouted(WayEnd::Refuse(Refusal::Misdirected));
    }
    let query = Query {
        host: (!host.is_empty()).then_some(host),
        path: request.path(),
        method: request.method.as_str(),
        listener: peer.listener.id,
        headers: &Fields(request),
        query: request.query().unwrap_or_default(),
        preflight_method: preflight(request),
    };
    let found = snapshot.router.find_within(peer.host.borrow_mut().scope(host, snapshot, view.generation), &query);
    let matched = match found {
        Found::Route(matched) => matched,
        Found::MethodNotAllowed(allow) => return unrouted(WayEnd::Refuse(Refusal::Method(allow.into()))),
        Found::NotFound => return unrouted(WayEnd::Refuse(Refusal::NoRoute)),
    };
    let Some(route) = snapshot.routes.get(*matched.value) else {
        return unrouted(WayEnd::Refuse(Refusal::NoRoute));
    };
    let captures = if route.uses_captures { captures(&matched, request.path()) } else { Captures::new() };
    Way { route, captures, end: WayEnd::Service { prefix: matched.prefix_len } }
}

fn captures(matched: &Match<'_, usize>, path: &str) -> Captures {
    let captured = matched.captures(path).into_iter();
    captured.map(|(name, range)| (Box::from(name), Box::from(path.get(range).unwrap_or_default()))).collect()
}

/// The method that a CORS preflight asks for.
fn preflight(request: &Request) -> Option<&str> {
    if request.method == Method::OPTIONS && request.headers.has(Known::Origin) {
        request.headers.get_str("access-control-request-method")
    } else {
        None
    }
}

/// A request's fields, as the router looks at them.
struct Fields<'a>(&'a Request);

impl FieldLookup for Fields<'_> {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.headers.get_all(name).any(test)
    }
}

/// What the chain ends in.
struct End<'a> {
    worker: &'a Rc<Worker>,
    view: &'a Rc<View>,
    client: &'a Rc<dyn Caller>,
    route: &'a Route,
    way: WayEnd,
}

impl Terminal for End<'_> {
    fn call<'a>(&'a self, cx: &'a mut Context<'_>, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + 'a>> {
        let mut request = request;
        Box::pin(async move { self.answer(cx, &mut request).await })
    }
}

impl End<'_> {
    async fn answer(&self, cx: &mut Context<'_>, request: &mut Request) -> Outcome {
        let prefix = match &self.way {
            WayEnd::Service { prefix } => *prefix,
            WayEnd::Options => {
                return Ok(Response::new(StatusCode::OK).with_header("Allow", ALLOWED));
            }
            WayEnd::Refuse(refusal) => return Err(refusal.reject()),
        };
        let service = self.route.service.and_then(|index| Some((index, self.view.snapshot.services.get(index)?)));
        let Some((service_index, service)) = service else {
            return Err(Reject::new(Kind::NoRoute, "This route has no service."));
        };
        count_hop(request)?;
        let stripped = self.change_path(cx, request, prefix)?;
        let exchange = send::Exchange {
            worker: self.worker,
            view: self.view,
            client: self.client,
            service_index,
            service,
            preserve_host: self.route.preserve_host,
            stripped,
        };
        exchange.send(cx, request).await
    }

    /// Strips and rewrites the path as the route says; gives the prefix that was stripped, `None` if the path was rewritten.
    fn change_path(&self, cx: &Context<'_>, request: &mut Request, prefix: usize) -> Result<Option<String>, Reject> {
        if let Some(parts) = &self.route.rewrite_path {
            let path = rewrite(parts, &cx.captures);
            // Captures of a regex may be parts of segments, which the template makes a whole of.
            if path.split('/').any(is_dots) {
                return Err(Reject::new(Kind::BadTarget, "The path cannot be rewritten."));
            }
            let path = normalize::path_text(&path)
                .map_err(|error| Reject::new(Kind::BadTarget, "The path cannot be rewritten.").because(error))?
                .into_string();
            request.set_path(&path);
            return Ok(None);
        }
        if !self.route.strip_path || prefix <= 1 {
            return Ok(Some(String::new()));
        }
        let (stripped, rest) = request.path().split_at_checked(prefix).unwrap_or_default();
        let (stripped, rest) = (stripped.trim_end_matches('/').to_owned(), rest.trim_start_matches('/'));
        let rest = format!("/{rest}");
        request.set_path(&rest);
        Ok(Some(stripped))
    }
}

/// `Max-Forwards` counts down for `OPTIONS` (RFC 9110 §7.6.2).
fn count_hop(request: &mut Request) -> Result<(), Reject> {
    if request.method != Method::OPTIONS {
        return Ok(());
    }
    let Some(hops) = request.headers.known(Known::MaxForwards).next() else { return Ok(()) };
    // Digits, like a length.
    let hops =
        fields::content_length(hops).ok_or_else(|| Reject::new(Kind::BadRequest, "Max-Forwards is not a number."))?;
    let left = hops.saturating_sub(1).to_string();
    request.headers.remove_known(Known::MaxForwards);
    request.headers.add("Max-Forwards", left);
    Ok(())
}

/// True for `.` and `..` in any spelling.
fn is_dots(segment: &str) -> bool {
    segment.len() <= 6 && matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
}

fn rewrite(parts: &[PathPart], captures: &Captures) -> String {
    let mut path = String::new();
    for part in parts {
        match part {
            PathPart::Literal(text) => path.push_str(text),
            PathPart::Capture(name) => {
                let value = captures.iter().find(|(known, _)| **known == **name);
                path.push_str(value.map_or("", |(_, value)| value));
            }
        }
    }
    path
}
