//! A request on its way to a service.

use std::ops::{Deref, DerefMut};

use http::{Method, Version};

use crate::body::Body;
use crate::headers::Headers;

/// A switch of protocols that the client asks for and the gateway allows (RFC 9110 §7.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// RFC 6455.
    WebSocket,
}

/// A request with its framing resolved, its path canonical and its hop-by-hop fields gone.
///
/// `Content-Length`, `Transfer-Encoding`, `Connection` and the like are not among [`Request::headers`]: what they said
/// stands in `body`, `upgrade` and the connection's own state, and whoever sends the request writes them anew.
///
/// It is a handle to its [`Parts`]: going through a chain of plugins moves a pointer.
#[derive(Debug)]
pub struct Request(Box<Parts>);

/// What a [`Request`] consists of.
#[derive(Debug)]
pub struct Parts {
    /// The method; unknown ones pass.
    pub method: Method,
    /// The version the client speaks.
    pub version: Version,
    /// The fields that go on to the service.
    pub headers: Headers,
    /// The content.
    pub body: Body,
    /// The protocol the client wants to switch to, if it is one we tunnel.
    pub upgrade: Option<Upgrade>,
    /// The client waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Where it goes.
    pub target: Target,
}

/// The target of a request, taken apart and canonical (RFC 9112 §3.3, RFC 3986 §6.2.2).
///
/// All parts are slices of one text: a request costs one allocation for them, and reading them costs none.
#[derive(Clone, Debug, Default)]
pub struct Target {
    text: String,
    path: Span,
    query: Option<Span>,
    authority: Span,
    host: Span,
    /// What `Host` says, if not the client's authority.
    host_field: Option<Span>,
}

/// A slice of a target's text.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Target {
    /// A target whose parts will take some `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { text: String::with_capacity(capacity), ..Self::default() }
    }

    #[allow(clippy::cast_possible_truncation, reason = "targets are bounded to far less than 4 GiB")]
    fn store(&mut self, part: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(part);
        Span { start, end: self.text.len() as u32 }
    }

    fn part(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// See [`Request::authority`].
    #[must_use]
    pub fn authority(&self) -> &str {
        self.part(self.authority)
    }

    /// Sets the canonical path.
    pub fn set_path(&mut self, path: &str) {
        self.path = self.store(path);
    }

    /// Sets the query; `None` removes it with its `?`.
    pub fn set_query(&mut self, query: Option<&str>) {
        self.query = query.map(|query| self.store(query));
    }

    /// Sets host and port as the client sent them, and the canonical host.
    #[allow(clippy::cast_possible_truncation, reason = "targets are bounded to far less than 4 GiB")]
    pub fn set_authority(&mut self, authority: &str, host: &str) {
        let stored = self.store(authority);
        self.authority = stored;
        self.host = match authority.get(..host.len()) {
            Some(same) if same == host => Span { start: stored.start, end: stored.start + host.len() as u32 },
            _ => self.store(host),
        };
    }
}

impl Request {
    /// A request without content.
    #[must_use]
    pub fn new(method: Method, version: Version, headers: Headers, target: Target) -> Self {
        let parts =
            Parts { method, version, headers, body: Body::Empty, upgrade: None, expects_continue: false, target };
        Self(Box::new(parts))
    }
}

impl Deref for Request {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Request {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl Parts {
    /// The canonical path, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.part(self.target.path)
    }

    /// The query without its `?`, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query.map(|query| self.target.part(query))
    }

    /// Host and port as the client sent them; empty if it named none.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.target.authority()
    }

    /// The canonical host: lower case, no port, no trailing dot; empty if the client named none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.target.part(self.target.host)
    }

    /// The value of `Host` on the way to the service.
    #[must_use]
    pub fn host_field(&self) -> &str {
        self.target.part(self.target.host_field.unwrap_or(self.target.authority))
    }

    /// Replaces the path.
    pub fn set_path(&mut self, path: &str) {
        self.target.set_path(path);
    }

    /// Replaces the query; `None` removes it with its `?`.
    pub fn set_query(&mut self, query: Option<&str>) {
        self.target.set_query(query);
    }

    /// Replaces what is sent as `Host`; what the client asked for stays in [`Request::authority`].
    pub fn set_host_field(&mut self, authority: &str) {
        self.target.host_field = Some(self.target.store(authority));
    }
}
