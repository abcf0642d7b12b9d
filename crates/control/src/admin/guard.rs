//! Who may ask: the token, the guard against DNS rebinding, and the length of bodies.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{StatusCode, Version};
use subtle::ConstantTimeEq;

use super::answer::Problem;

/// What a request may carry. No endpoint reads a body yet.
const MAX_BODY: u64 = 64 * 1024;

/// What a probe may ask for without a token: it learns that the process runs, and whether it drains.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Decides before any handler does.
pub(super) struct Guard {
    token: Option<Box<[u8]>>,
    loopback: bool,
}

impl Guard {
    pub(super) fn new(token: Option<String>, loopback: bool) -> Self {
        Self { token: token.map(|token| token.into_bytes().into()), loopback }
    }

    /// Whether the request may go on.
    pub(super) fn check(&self, request: &Request) -> Result<(), Problem> {
        self.check_host(request)?;
        if !OPEN.contains(&request.uri().path()) {
            self.check_token(request)?;
        }
        // A body of unknown length is never read, and ends the connection.
        if request.body().size_hint().lower() > MAX_BODY {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is longer than 64 KiB."));
        }
        Ok(())
    }

    /// A page that a browser fetched from `evil.example`, whose name then came to mean 127.0.0.1, asks with that name
    /// as its host. So on loopback a name is not enough, unless it is the machine's own.
    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (None, _) if request.version() < Version::HTTP_11 => None,
            (Some(host), None) => Some(host.as_bytes()),
            _ => return Err(Problem::new(StatusCode::BAD_REQUEST, "A request needs exactly one Host field.")),
        };
        let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
        if self.loopback && !host.into_iter().chain(target).all(is_own) {
            let detail = "On loopback the host must be an IP address or localhost.";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        Ok(())
    }

    fn check_token(&self, request: &Request) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let mut fields = request.headers().get_all(AUTHORIZATION).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Err(unauthorized("This needs the admin token.", r#"Bearer realm="tollgate""#));
        };
        if bearer(field.as_bytes()).is_some_and(|given| bool::from(given.ct_eq(token))) {
            return Ok(());
        }
        Err(unauthorized("The token is not the admin token.", r#"Bearer realm="tollgate", error="invalid_token""#))
    }
}

fn unauthorized(detail: &'static str, challenge: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail).with_field(WWW_AUTHENTICATE, challenge)
}

/// The token of `Bearer TOKEN`; the scheme is read without regard to case.
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Whether `host` or `host:port` can only mean an address, or this machine. Nothing lenient: what a browser might read
/// as a name must not pass for an address.
fn is_own(authority: &[u8]) -> bool {
    let Ok(authority) = str::from_utf8(authority) else { return false };
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => authority.split_at(colon),
        _ => (authority, ""),
    };
    let port = port.strip_prefix(':').unwrap_or_default();
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let own = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok(),
    };
    own && port.bytes().all(|byte| byte.is_ascii_digit())
}
