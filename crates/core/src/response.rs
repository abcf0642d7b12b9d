//! An answer on its way to the client.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::body::Body;
use crate::headers::Headers;

/// What is left of a connection to a service after a 101: bytes both ways.
pub trait Tunnel: AsyncRead + AsyncWrite + Unpin {
    /// The tunnel is closed when no byte passed for so long; zero means never.
    fn idle_timeout(&self) -> Duration;
}

/// An answer; its framing fields are written by whoever sends it (see [`crate::Request`]).
///
/// It is a handle to its [`Parts`]: going through a chain of plugins moves a pointer.
#[derive(Debug)]
pub struct Response(Box<Parts>);

/// What a [`Response`] consists of.
pub struct Parts {
    /// The status, 101 or 200–599: interim answers do not get this far.
    pub status: StatusCode,
    /// The fields that go on to the client.
    pub headers: Headers,
    /// The content.
    pub body: Body,
    /// What `Content-Length` says where there is no content by rule (answers to HEAD, 304).
    pub declared_length: Option<u64>,
    /// The service's end of a switched connection, with a 101.
    pub tunnel: Option<Box<dyn Tunnel>>,
}

impl Response {
    /// An answer with no fields and no content.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self::with_headers(status, Headers::new())
    }

    /// An answer with these fields and no content.
    #[must_use]
    pub fn with_headers(status: StatusCode, headers: Headers) -> Self {
        Self(Box::new(Parts { status, headers, body: Body::Empty, declared_length: None, tunnel: None }))
    }

    /// The same with content of this media type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }

    /// The same with one more field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, value);
        self
    }
}

impl Deref for Response {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Response {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("status", &self.status)
            .field("body", &self.body)
            .field("tunnel", &self.tunnel.is_some())
            .finish_non_exhaustive()
    }
}
