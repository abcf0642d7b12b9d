//! A request of a head in HTTP/2: what `h2` leaves to its user to check (RFC 9113 §8.2, §8.3), and what holds for every
//! version (RFC 9110).

use http::request::Parts;
use http::{Method, Version};
use tollgate_core::request::Target;
use tollgate_core::{Headers, Kind, Known, Reject, Request};

use super::fields;
use crate::caller::Peer;
use crate::http1::fields::content_length;
use crate::http1::request::{ALLOWED, set_path};

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The head is malformed: the stream is reset (RFC 9113 §8.1.1).
    Malformed,
    /// The request is answered with this.
    Reject(Box<Reject>),
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        Self::Reject(Box::new(reject))
    }
}

/// The request of a head, its body still to be attached, and the length that it announces.
///
/// # Errors
/// Why there is none.
pub(crate) fn request(head: &Parts, peer: &Peer) -> Result<(Request, Option<u64>), Refused> {
    if head.headers.values().any(|value| is_padded(value.as_bytes())) {
        return Err(Refused::Malformed);
    }
    check_method(head)?;
    let limits = &peer.listener.limits;
    if head.headers.len() > limits.max_headers {
        return Err(Reject::new(Kind::HeadTooLarge, "The request has too many header fields.").into());
    }
    let target = target(head, peer, limits.max_uri_bytes)?;
    let length = match head.headers.get(http::header::CONTENT_LENGTH) {
        Some(length) => Some(content_length(length.as_bytes()).ok_or(Refused::Malformed)?),
        None => None,
    };
    if length.is_some_and(|length| length > limits.max_body_bytes) {
        return Err(Reject::new(Kind::BodyTooLarge, "The body is longer than this listener takes.").into());
    }
    let mut headers = fields::from_map(&head.headers, |known| passes(known, peer.info.peer_trusted));
    join_cookies(&mut headers);
    let expects_continue = expects_continue(head)?;
    let mut request = Request::new(head.method.clone(), Version::HTTP_2, headers, target);
    request.expects_continue = expects_continue;
    Ok((request, length))
}

/// Blanks at the ends of a value are malformed (RFC 9113 §8.2.1).
fn is_padded(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    blank(value.first()) || blank(value.last())
}

fn check_method(head: &Parts) -> Result<(), Refused> {
    let refused = |detail| Reject::new(Kind::MethodNotAllowed, detail).with_header("Allow", ALLOWED);
    match head.method {
        Method::CONNECT if head.uri.authority().is_none() => Err(Refused::Malformed),
        Method::CONNECT => Err(refused("This is no forward proxy: CONNECT is refused.").into()),
        Method::TRACE => Err(refused("TRACE is refused.").into()),
        _ => Ok(()),
    }
}

/// Finds host, path and query (RFC 9113 §8.3.1) and makes them canonical.
fn target(head: &Parts, peer: &Peer, max: usize) -> Result<Target, Refused> {
    let bad = |detail| Refused::from(Reject::new(Kind::BadRequest, detail));
    // Without an authority the `http` crate's form of a target has no place for the scheme.
    let is_known = match head.uri.scheme_str() {
        Some(scheme) => matches!(scheme, "http" | "https"),
        None => head.uri.authority().is_none(),
    };
    if !is_known {
        return Err(bad("The scheme of the request is not http or https."));
    }
    let written = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if written.len() > max {
        return Err(Reject::new(Kind::UriTooLong, "The request target is too long.").into());
    }
    let mut hosts = head.headers.get_all(http::header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(bad("The request has more than one Host."));
    }
    let authority = match (head.uri.authority(), host) {
        (Some(authority), Some(host)) if !authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            return Err(bad("Host and :authority differ."));
        }
        (Some(authority), _) => authority.as_str().as_bytes(),
        (None, Some(host)) => host.as_bytes(),
        (None, None) => return Err(bad("The request has no host.")),
    };
    let mut target = Target::with_capacity(written.len() + authority.len());
    let mut last = peer.host.borrow_mut();
    let (authority, host) = last
        .resolve(authority)
        .map_err(|error| Reject::new(Kind::BadTarget, "The host is malformed.").because(error))?;
    target.set_authority(authority, host);
    match written {
        "*" if head.method == Method::OPTIONS => target.set_path(written),
        "*" => return Err(bad("Only OPTIONS may ask for `*`.")),
        _ => set_path(&mut target, written)?,
    }
    Ok(target)
}

/// True if a field goes on to the service: see the same decision for HTTP/1 in [`crate::http1::request`].
const fn passes(known: Known, trusted: bool) -> bool {
    match known {
        Known::Host
        | Known::ContentLength
        | Known::TransferEncoding
        | Known::Connection
        | Known::Upgrade
        | Known::Expect
        | Known::Disguised
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::Te
        | Known::Http2Settings
        | Known::Identity
        | Known::Proxy => false,
        Known::Forwarded
        | Known::XForwarded
        | Known::XForwardedFor
        | Known::XForwardedProto
        | Known::XForwardedHost
        | Known::XForwardedPort => trusted,
        _ => true,
    }
}

/// Crumbs of a cookie become one field again (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut Headers) {
    if headers.known(Known::Cookie).nth(1).is_none() {
        return;
    }
    let cookie = headers.known(Known::Cookie).collect::<Vec<_>>().join(&b"; "[..]);
    headers.remove_known(Known::Cookie);
    headers.add_line(Known::Cookie, "cookie", &[&cookie]);
}

fn expects_continue(head: &Parts) -> Result<bool, Reject> {
    match head.headers.get(http::header::EXPECT) {
        None => Ok(false),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Reject::new(Kind::ExpectationFailed, "Only the expectation 100-continue can be met.")),
    }
}
