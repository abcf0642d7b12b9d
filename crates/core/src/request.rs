//! A request on its way to a service.

use http::{Method, Version};

use crate::body::Body;
use crate::headers::{Headers, Slice};

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
#[derive(Debug)]
pub struct Request {
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
    path: Slice,
    query: Option<Slice>,
    authority: Slice,
    host: Slice,
    /// What `Host` says, if not the client's authority.
    host_field: Option<Slice>,
}

/// Where the parts of a request target lie in the buffer of its headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct TargetParts {
    /// The canonical path, from its slash to before the `?`.
    pub path: Slice,
    /// What follows the `?`, if there is one.
    pub query: Option<Slice>,
    /// Host and port as the client wrote them; empty if it named none (HTTP/1.0).
    pub authority: Slice,
    /// The canonical host: lower case, no port, no trailing dot.
    pub host: Slice,
}

impl Request {
    /// A request whose target lies in the buffer of `headers`.
    #[must_use]
    pub const fn new(method: Method, version: Version, headers: Headers, target: TargetParts, body: Body) -> Self {
        let TargetParts { path, query, authority, host } = target;
        Self { method, version, headers, body, upgrade: None, expects_continue: false, path, query, authority, host, host_field: None }
    }

    fn text(&self, part: Slice) -> &str {
        // The parser lets only ASCII into targets; anything else would show as empty, never as another target.
        std::str::from_utf8(self.headers.stored(part)).unwrap_or_default()
    }

    /// The canonical path, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text(self.path)
    }

    /// The query without its `?`, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.map(|part| self.text(part))
    }

    /// Host and port as the client sent them; empty if it named none.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.text(self.authority)
    }

    /// The value of `Host` on the way to the service.
    #[must_use]
    pub fn host_field(&self) -> &str {
        self.text(self.host_field.unwrap_or(self.authority))
    }

    /// The canonical host; empty if the client named none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text(self.host)
    }

    /// Replaces the path.
    pub fn set_path(&mut self, path: &str) {
        self.path = self.headers.store(path.as_bytes());
    }

    /// Replaces the query; `None` removes it with its `?`.
    pub fn set_query(&mut self, query: Option<&str>) {
        self.query = query.map(|query| self.headers.store(query.as_bytes()));
    }

    /// Replaces what is sent as `Host`; what the client asked for stays in [`Request::authority`].
    pub fn set_host_field(&mut self, authority: &str) {
        self.host_field = Some(self.headers.store(authority.as_bytes()));
    }
}
