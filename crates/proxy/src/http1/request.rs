//! The head of a request: bytes in, a [`Request`] and its framing out, or the reason for a refusal.
//!
//! Everything that two parsers could read in two ways is refused here, once (RFC 9112 §11.2): bare LFs, both lengths,
//! several lengths, codings other than `chunked`, doubtful hosts and paths. What is hop-by-hop or not to be believed
//! never enters the request's fields.

use std::mem::MaybeUninit;
use std::ops::Range;

use http::{Method, Version};
use smallvec::SmallVec;
use tollgate_core::request::TargetParts;
use tollgate_core::{Body, Headers, Kind, Known, Reject, Request, Upgrade, headers};

use super::fields::{self, INLINE_FIELDS, Table};
use super::framing::Framing;
use crate::normalize;

/// What a listener lets a head have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// Bytes of the whole head.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
    /// Bytes of the request target.
    pub uri: usize,
}

/// A complete head.
#[derive(Debug)]
pub(crate) struct Head {
    /// The request, its body still to be attached.
    pub request: Request,
    /// How its body ends.
    pub framing: Framing,
    /// Whether the client wants the connection to stay open.
    pub keep_alive: bool,
    /// How many bytes the head took.
    pub length: usize,
}

/// Room for the fields that the gateway adds to a request.
const ROOM_FOR_ADDITIONS: usize = 384;

/// Parses the head at the front of `bytes`; `Ok(None)` if it is not complete. Forwarding fields (`X-Forwarded-*`,
/// `Forwarded`) of a peer that is not `trusted` are left out.
///
/// # Errors
/// The rejection to answer with; the connection is to be closed after it.
pub(crate) fn parse(bytes: &[u8], limits: &HeadLimits, trusted: bool) -> Result<Option<Head>, Reject> {
    if limits.fields <= INLINE_FIELDS {
        parse_into(bytes, limits, trusted, &mut [const { MaybeUninit::uninit() }; INLINE_FIELDS])
    } else {
        parse_into(bytes, limits, trusted, &mut vec![MaybeUninit::uninit(); limits.fields])
    }
}

fn parse_into<'b>(
    bytes: &'b [u8],
    limits: &HeadLimits,
    trusted: bool,
    table: &mut Table<'b>,
) -> Result<Option<Head>, Reject> {
    let blank = leading_blank(bytes)?;
    let head = bytes.get(blank..).unwrap_or_default();
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(head, table) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return incomplete(head, limits).map_or(Ok(None), Err),
        Err(error) => return Err(refusal(error, head)),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(bad("The request line is incomplete."));
    };
    check_size(length, target.len(), parsed.headers.len(), limits)?;
    let head = head.get(..length).unwrap_or_default();
    let line_end = method.len() + target.len() + "  HTTP/1.1".len();
    if head.get(line_end) != Some(&b'\r') || !head.ends_with(b"\r\n\r\n") {
        return Err(bad("Lines of a head end in CRLF."));
    }
    let version = if version == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let method = known_method(method)?;
    let mut facts = Facts::new(version);
    let mut fields = Headers::over(head, parsed.headers.len(), ROOM_FOR_ADDITIONS);
    for field in &*parsed.headers {
        let (name, value) = fields::locate(head, field.name, field.value).ok_or_else(|| bad("Lines of a head end in CRLF."))?;
        let known = Known::of(field.name.as_bytes());
        if facts.note(known, field, &value, trusted)? {
            fields.push_parsed(known, name, value);
        }
    }
    facts.drop_nominated(&mut fields);
    let target_parts = resolve_target(&method, target, head, &facts, &mut fields)?;
    let framing = facts.framing()?;
    let mut request = Request::new(method, version, fields, target_parts, Body::Empty);
    request.upgrade = facts.upgrade(&request.method, framing);
    request.expects_continue = facts.expects_continue && framing != Framing::None;
    Ok(Some(Head { request, framing, keep_alive: facts.keep_alive, length: blank + length }))
}

fn bad(detail: &'static str) -> Reject {
    Reject::new(Kind::BadRequest, detail)
}

/// One empty line before a request line is skipped (RFC 9112 §2.2); more, or one of another spelling, is refused.
fn leading_blank(bytes: &[u8]) -> Result<usize, Reject> {
    match bytes {
        [b'\r', b'\n', b'\r' | b'\n', ..] | [b'\n', ..] => Err(bad("Empty lines stand before the request line.")),
        [b'\r', b'\n', ..] => Ok(2),
        [b'\r', other, ..] if *other != b'\n' => Err(bad("A CR stands alone.")),
        _ => Ok(0),
    }
}

/// What is wrong with a head that is not complete yet, if it can be told already.
fn incomplete(head: &[u8], limits: &HeadLimits) -> Option<Reject> {
    let line = memchr::memchr(b'\n', head).unwrap_or(head.len());
    // Forty bytes are more than any method and version around the target.
    if line > limits.uri + 40 {
        return Some(Reject::new(Kind::UriTooLong, "The request target is too long."));
    }
    (head.len() > limits.bytes).then(|| Reject::new(Kind::HeadTooLarge, "The head of the request is too long."))
}

fn check_size(length: usize, uri: usize, fields: usize, limits: &HeadLimits) -> Result<(), Reject> {
    if uri > limits.uri {
        return Err(Reject::new(Kind::UriTooLong, "The request target is too long."));
    }
    if length > limits.bytes {
        return Err(Reject::new(Kind::HeadTooLarge, "The head of the request is too long."));
    }
    if fields > limits.fields {
        return Err(Reject::new(Kind::HeadTooLarge, "The request has too many header fields."));
    }
    Ok(())
}

fn refusal(error: httparse::Error, head: &[u8]) -> Reject {
    match error {
        httparse::Error::TooManyHeaders => Reject::new(Kind::HeadTooLarge, "The request has too many header fields."),
        httparse::Error::Version if other_version(head) => {
            Reject::new(Kind::VersionNotSupported, "This listener speaks HTTP/1.1 and HTTP/1.0.")
        }
        httparse::Error::Version => bad("The request line does not end in an HTTP version."),
        httparse::Error::HeaderName => bad("A header field has a malformed name."),
        httparse::Error::HeaderValue => bad("A header field has a malformed value."),
        _ => bad("The request line is malformed."),
    }
}

/// True if the request line is well-formed but for a version of HTTP that is not ours.
fn other_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(_), Some(_), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return false;
    };
    let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = version else { return false };
    major.is_ascii_digit() && minor.is_ascii_digit() && !(*major == b'1' && matches!(minor, b'0' | b'1'))
}

fn known_method(method: &str) -> Result<Method, Reject> {
    let refused = |detail| Reject::new(Kind::MethodNotAllowed, detail).with_header("Allow", ALLOWED);
    match Method::from_bytes(method.as_bytes()) {
        Ok(Method::CONNECT) => Err(refused("This is no forward proxy: CONNECT is refused.")),
        Ok(Method::TRACE) => Err(refused("TRACE is refused.")),
        Ok(method) => Ok(method),
        Err(_) => Err(bad("The method is not a token.")),
    }
}

/// What `Allow` says where the gateway speaks for no route in particular.
pub(crate) const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What a head's fields say about the message rather than to the service.
struct Facts {
    version: Version,
    length: Option<u64>,
    chunked: bool,
    coded: bool,
    host: Option<Range<usize>>,
    keep_alive: bool,
    wants_upgrade: bool,
    websocket: bool,
    expects_continue: bool,
    /// Names in `Connection` that are no options we know.
    nominated: SmallVec<[Box<str>; 0]>,
}

impl Facts {
    fn new(version: Version) -> Self {
        Self {
            version,
            length: None,
            chunked: false,
            coded: false,
            host: None,
            keep_alive: version == Version::HTTP_11,
            wants_upgrade: false,
            websocket: false,
            expects_continue: false,
            nominated: SmallVec::new(),
        }
    }

    /// Takes a field in; true if it goes on to the service.
    #[inline]
    fn note(
        &mut self,
        known: Known,
        field: &httparse::Header<'_>,
        at: &Range<usize>,
        trusted: bool,
    ) -> Result<bool, Reject> {
        let value = field.value;
        match known {
            Known::Other => return Ok(true),
            Known::Host => {
                if self.host.replace(at.clone()).is_some() {
                    return Err(bad("The request has more than one Host."));
                }
            }
            Known::ContentLength => {
                let length = fields::content_length(value).ok_or_else(|| bad("Content-Length is not a number."))?;
                if self.length.replace(length).is_some() {
                    return Err(bad("The request has more than one Content-Length."));
                }
            }
            Known::TransferEncoding => self.note_coding(value)?,
            Known::Connection => self.note_connection(value)?,
            Known::Upgrade => {
                self.websocket |= fields::elements(value).any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
            }
            Known::Expect => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Reject::new(Kind::ExpectationFailed, "Only the expectation 100-continue can be met."));
                }
                // An expectation of HTTP/1.0 is ignored (RFC 9110 §10.1.1).
                self.expects_continue = self.version == Version::HTTP_11;
            }
            Known::Disguised => return refuse_disguise(field.name),
            Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::Http2Settings
            | Known::Identity
            | Known::Proxy => {}
            Known::Forwarded
            | Known::XForwarded
            | Known::XForwardedFor
            | Known::XForwardedProto
            | Known::XForwardedHost
            | Known::XForwardedPort => return Ok(trusted),
            _ => return Ok(true),
        }
        Ok(false)
    }

    /// The one coding is `chunked`, once, in HTTP/1.1 (RFC 9112 §6.1).
    fn note_coding(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.coded {
            return Err(bad("The request has more than one Transfer-Encoding."));
        }
        self.coded = true;
        self.chunked = value.eq_ignore_ascii_case(b"chunked");
        if self.chunked {
            return Ok(());
        }
        // Codings we do not know may be named before a final `chunked`; nothing else frames a request.
        let codings: SmallVec<[&[u8]; 4]> = fields::elements(value).collect();
        let known = |coding: &&[u8]| headers::is_token(coding) && !coding.eq_ignore_ascii_case(b"chunked");
        match codings.split_last() {
            Some((last, rest)) if last.eq_ignore_ascii_case(b"chunked") && !rest.is_empty() && rest.iter().all(known) => {
                Err(Reject::new(Kind::CodingNotImplemented, "The only transfer coding understood is chunked."))
            }
            _ => Err(bad("Transfer-Encoding is not chunked.")),
        }
    }

    fn note_connection(&mut self, value: &[u8]) -> Result<(), Reject> {
        for option in fields::elements(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.keep_alive = false;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                // `close` wins wherever it stands; HTTP/1.1 needs no word to stay open.
                self.keep_alive |= self.version == Version::HTTP_10;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.wants_upgrade = true;
            } else if !headers::is_token(option) {
                return Err(bad("Connection names something that is not a token."));
            } else if let Ok(name) = std::str::from_utf8(option) {
                self.nominated.push(name.into());
            }
        }
        Ok(())
    }

    /// Fields named in `Connection` end here (RFC 9110 §7.6.1). Those that frame or route never were in the list.
    fn drop_nominated(&self, fields: &mut Headers) {
        for name in &self.nominated {
            fields.remove(name);
        }
    }

    fn framing(&self) -> Result<Framing, Reject> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(bad("The request has both Content-Length and Transfer-Encoding.")),
            (true, None) if self.version == Version::HTTP_10 => Err(bad("HTTP/1.0 has no Transfer-Encoding.")),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::None),
        }
    }

    fn upgrade(&self, method: &Method, framing: Framing) -> Option<Upgrade> {
        let allowed = self.wants_upgrade
            && self.websocket
            && method == Method::GET
            && self.version == Version::HTTP_11
            && matches!(framing, Framing::None | Framing::Length(0));
        allowed.then_some(Upgrade::WebSocket)
    }
}

/// `Content_Length` and `Transfer_Encoding` are refused: a CGI-style origin would take them for the real ones. Other
/// disguised names are dropped.
fn refuse_disguise(name: &str) -> Result<bool, Reject> {
    let frames = |known: &str| name.len() == known.len() && name.as_bytes().first().map(u8::to_ascii_lowercase) == known.bytes().next();
    if frames("content-length") || frames("transfer-encoding") {
        return Err(bad("A header field imitates one that frames the message."));
    }
    Ok(false)
}

/// Finds host, path and query (RFC 9112 §3.2) and makes them canonical.
fn resolve_target(
    method: &Method,
    target: &str,
    head: &[u8],
    facts: &Facts,
    fields: &mut Headers,
) -> Result<TargetParts, Reject> {
    let host_field = facts.host.clone();
    if host_field.is_none() && facts.version == Version::HTTP_11 {
        return Err(bad("The request has no Host."));
    }
    let mut parts = TargetParts::default();
    // A bad Host is refused even where the target overrides it (RFC 9112 §3.2).
    if let Some(range) = host_field {
        set_authority(&mut parts, head.get(range.clone()).unwrap_or_default(), &range, fields)?;
    }
    let origin_form = if target.starts_with('/') {
        target
    } else if target == "*" && method == Method::OPTIONS {
        parts.path = Headers::slice_of(&fields::range_in(head, target.as_bytes()));
        return Ok(parts);
    } else {
        let (authority, rest) = split_absolute(target)?;
        set_authority(&mut parts, authority.as_bytes(), &fields::range_in(head, authority.as_bytes()), fields)?;
        rest
    };
    set_path(&mut parts, origin_form, head, fields)?;
    Ok(parts)
}

fn set_authority(
    parts: &mut TargetParts,
    raw: &[u8],
    at: &Range<usize>,
    fields: &mut Headers,
) -> Result<(), Reject> {
    let authority = normalize::authority(raw)
        .map_err(|error| Reject::new(Kind::BadTarget, "The host is malformed.").because(error))?;
    parts.authority = Headers::slice_of(at);
    parts.host = match authority.host {
        std::borrow::Cow::Borrowed(host) => {
            let within = fields::range_in(raw, host.as_bytes());
            Headers::slice_of(&(at.start + within.start..at.start + within.end))
        }
        std::borrow::Cow::Owned(host) => fields.store(host.as_bytes()),
    };
    Ok(())
}

/// Splits `http://authority/path` (RFC 9112 §3.2.2) into its authority and what follows.
fn split_absolute(target: &str) -> Result<(&str, &str), Reject> {
    let malformed = || Reject::new(Kind::BadTarget, "The request target is malformed.");
    let (scheme, rest) = target.split_once("://").ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(Reject::new(Kind::BadTarget, "The scheme of the request target is not http or https."));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_empty() {
        return Err(malformed());
    }
    Ok((authority, path))
}

fn set_path(parts: &mut TargetParts, target: &str, head: &[u8], fields: &mut Headers) -> Result<(), Reject> {
    let (path, query) = match memchr::memchr(b'?', target.as_bytes()) {
        Some(at) => (target.get(..at).unwrap_or_default(), target.get(at + 1..)),
        None => (target, None),
    };
    // The empty path of an absolute form is the root (RFC 9110 §4.2.3).
    parts.path = if path.is_empty() {
        fields.store(b"/")
    } else {
        let canonical = normalize::path(path.as_bytes())
            .map_err(|error| Reject::new(Kind::BadTarget, "The path of the request is malformed.").because(error))?;
        match canonical {
            normalize::Canonical::AsIs(path) => Headers::slice_of(&fields::range_in(head, path.as_bytes())),
            normalize::Canonical::Changed(path) => fields.store(path.as_bytes()),
        }
    };
    if let Some(query) = query {
        normalize::query(query.as_bytes())
            .map_err(|error| Reject::new(Kind::BadTarget, "The query of the request is malformed.").because(error))?;
        parts.query = Some(Headers::slice_of(&fields::range_in(head, query.as_bytes())));
    }
    Ok(())
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
