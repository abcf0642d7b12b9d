//! The head of a request: bytes in, a [`Request`] and its framing out, or the reason for a refusal.
//!
//! Everything that two parsers could read in two ways is refused here, once (RFC 9112 §11.2): bare LFs, both lengths,
//! several lengths, codings other than `chunked`, doubtful hosts and paths. What is hop-by-hop or not to be believed
//! never enters the request's fields.

use http::{Method, Version};
use smallvec::SmallVec;
use tollgate_core::request::Target;
use tollgate_core::{Headers, Kind, Known, Reject, Request, Upgrade, headers};

use super::fields;
use super::framing::Framing;
use super::head::{self, Field, HeadError};
use crate::last_host::LastHost;
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
const ROOM_FOR_ADDITIONS: usize = 320;

/// A request has some ten fields, and the gateway adds as many.
const USUAL_FIELDS: usize = 24;

/// Parses the head at the front of `bytes`; `Ok(None)` if it is not complete. Forwarding fields (`X-Forwarded-*`,
/// `Forwarded`) of a peer that is not `trusted` are left out. `last` remembers the host.
///
/// # Errors
/// The rejection to answer with; the connection is to be closed after it.
pub(crate) fn parse(
    bytes: &[u8],
    limits: &HeadLimits,
    trusted: bool,
    last: &mut LastHost,
) -> Result<Option<Head>, Reject> {
    let blank = leading_blank(bytes)?;
    let head = bytes.get(blank..).unwrap_or_default();
    let Some(line_end) = head::line_end(head, 0)? else { return incomplete(head, limits).map_or(Ok(None), Err) };
    let line = request_line(head.get(..line_end).unwrap_or_default(), limits)?;
    let mut facts = Facts::new(line.version);
    let mut fields = Headers::with_capacity(USUAL_FIELDS);
    let length = head::fields(head, line_end + 2, limits.fields, |field| {
        if facts.note(field, trusted)? {
            field.push_to(&mut fields);
        }
        Ok::<(), Reject>(())
    })?;
    let Some(length) = length else { return incomplete(head, limits).map_or(Ok(None), Err) };
    if length > limits.bytes {
        return Err(Reject::new(Kind::HeadTooLarge, "The head of the request is too long."));
    }
    fields.attach(head.get(..length).unwrap_or_default(), ROOM_FOR_ADDITIONS);
    facts.drop_nominated(&mut fields);
    let target = resolve_target(&line, &facts, last)?;
    let framing = facts.framing()?;
    let mut request = Request::new(line.method, line.version, fields, target);
    request.upgrade = facts.upgrade(&request.method, framing);
    request.expects_continue = facts.expects_continue && !matches!(framing, Framing::None | Framing::Length(0));
    Ok(Some(Head { request, framing, keep_alive: facts.keep_alive && !facts.closes, length: blank + length }))
}

/// A request line, taken apart.
struct RequestLine<'b> {
    method: Method,
    target: &'b str,
    version: Version,
}

/// `method SP request-target SP HTTP-version` (RFC 9112 §3), with single spaces.
fn request_line<'b>(line: &'b [u8], limits: &HeadLimits) -> Result<RequestLine<'b>, Reject> {
    let malformed = || bad("The request line is malformed.");
    let space = memchr::memchr(b' ', line).ok_or_else(malformed)?;
    let (method, rest) = line.split_at_checked(space).ok_or_else(malformed)?;
    let rest = rest.get(1..).unwrap_or_default();
    let space = memchr::memrchr(b' ', rest).ok_or_else(malformed)?;
    let (target, version) = rest.split_at_checked(space).ok_or_else(malformed)?;
    // Its characters are looked at where its parts are; the space that must not stand in it is none of theirs.
    if target.is_empty() {
        return Err(malformed());
    }
    if target.len() > limits.uri {
        return Err(Reject::new(Kind::UriTooLong, "The request target is too long."));
    }
    let version = match version {
        b" HTTP/1.1" => Version::HTTP_11,
        b" HTTP/1.0" => Version::HTTP_10,
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Reject::new(Kind::VersionNotSupported, "This listener speaks HTTP/1.1 and HTTP/1.0."));
        }
        _ => return Err(bad("The request line does not end in an HTTP version.")),
    };
    let target = std::str::from_utf8(target).map_err(|_| malformed())?;
    Ok(RequestLine { method: known_method(method)?, target, version })
}

impl From<HeadError> for Reject {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Control => bad("A line of the head has a control byte in it, or does not end in CRLF."),
            HeadError::Name => bad("A header field has a malformed name."),
            HeadError::TooMany => Self::new(Kind::HeadTooLarge, "The request has too many header fields."),
        }
    }
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
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let target = memchr::memchr(b' ', line).map_or(0, |method| line.len() - method - 1);
    if target > limits.uri + " HTTP/1.1".len() {
        return Some(Reject::new(Kind::UriTooLong, "The request target is too long."));
    }
    (head.len() > limits.bytes).then(|| Reject::new(Kind::HeadTooLarge, "The head of the request is too long."))
}

fn known_method(method: &[u8]) -> Result<Method, Reject> {
    let refused = |detail| Reject::new(Kind::MethodNotAllowed, detail).with_header("Allow", ALLOWED);
    match Method::from_bytes(method) {
        Ok(Method::CONNECT) => Err(refused("This is no forward proxy: CONNECT is refused.")),
        Ok(Method::TRACE) => Err(refused("TRACE is refused.")),
        Ok(method) => Ok(method),
        Err(_) => Err(bad("The method is not a token.")),
    }
}

/// What `Allow` says where the gateway speaks for no route in particular.
pub(crate) const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What a head's fields say about the message rather than to the service.
struct Facts<'b> {
    version: Version,
    length: Option<u64>,
    chunked: bool,
    coded: bool,
    host: Option<&'b [u8]>,
    keep_alive: bool,
    closes: bool,
    wants_upgrade: bool,
    websocket: bool,
    expects_continue: bool,
    /// Names in `Connection` that are no options we know.
    nominated: SmallVec<[Box<str>; 0]>,
}

impl<'b> Facts<'b> {
    fn new(version: Version) -> Self {
        Self {
            version,
            length: None,
            chunked: false,
            coded: false,
            host: None,
            keep_alive: version == Version::HTTP_11,
            closes: false,
            wants_upgrade: false,
            websocket: false,
            expects_continue: false,
            nominated: SmallVec::new(),
        }
    }

    /// Takes a field in; true if it goes on to the service.
    #[inline]
    fn note(&mut self, field: &Field<'b>, trusted: bool) -> Result<bool, Reject> {
        let value = field.value;
        match field.known {
            Known::Other => return Ok(true),
            Known::Host => {
                if self.host.replace(value).is_some() {
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
            Some((last, rest))
                if last.eq_ignore_ascii_case(b"chunked") && !rest.is_empty() && rest.iter().all(known) =>
            {
                Err(Reject::new(Kind::CodingNotImplemented, "The only transfer coding understood is chunked."))
            }
            _ => Err(bad("Transfer-Encoding is not chunked.")),
        }
    }

    fn note_connection(&mut self, value: &[u8]) -> Result<(), Reject> {
        for option in fields::elements(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                // `close` wins wherever it stands; HTTP/1.1 needs no word to stay open.
                self.keep_alive |= self.version == Version::HTTP_10;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.wants_upgrade = true;
            } else if !headers::is_token(option) {
                return Err(bad("Connection names something that is not a token."));
            } else if self.nominated.len() == fields::MAX_NOMINATED {
                return Err(Reject::new(Kind::HeadTooLarge, "Connection names too many fields."));
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
fn refuse_disguise(name: &[u8]) -> Result<bool, Reject> {
    let frames =
        |known: &str| name.len() == known.len() && name.first().map(u8::to_ascii_lowercase) == known.bytes().next();
    if frames("content-length") || frames("transfer-encoding") {
        return Err(bad("A header field imitates one that frames the message."));
    }
    Ok(false)
}

/// Finds host, path and query (RFC 9112 §3.2) and makes them canonical.
fn resolve_target(line: &RequestLine<'_>, facts: &Facts<'_>, last: &mut LastHost) -> Result<Target, Reject> {
    let written = line.target;
    if facts.host.is_none() && facts.version == Version::HTTP_11 {
        return Err(bad("The request has no Host."));
    }
    let mut target = Target::with_capacity(written.len() + facts.host.map_or(0, <[u8]>::len) + 1);
    // A bad Host is refused even where the target overrides it (RFC 9112 §3.2).
    if let Some(host) = facts.host {
        set_authority(&mut target, host, last)?;
    }
    if written.starts_with('/') {
        set_path(&mut target, written)?;
    } else if written == "*" && line.method == Method::OPTIONS {
        target.set_path(written);
    } else {
        let (authority, rest) = split_absolute(written)?;
        set_authority(&mut target, authority.as_bytes(), last)?;
        set_path(&mut target, rest)?;
    }
    Ok(target)
}

fn set_authority(target: &mut Target, raw: &[u8], last: &mut LastHost) -> Result<(), Reject> {
    let (written, host) =
        last.resolve(raw).map_err(|error| Reject::new(Kind::BadTarget, "The host is malformed.").because(error))?;
    target.set_authority(written, host);
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

/// Takes path and query of a request target and makes them canonical.
pub(crate) fn set_path(target: &mut Target, written: &str) -> Result<(), Reject> {
    let (path, query) = match memchr::memchr(b'?', written.as_bytes()) {
        Some(at) => (written.get(..at).unwrap_or_default(), written.get(at + 1..)),
        None => (written, None),
    };
    if path.is_empty() {
        // The empty path of an absolute form is the root (RFC 9110 §4.2.3).
        target.set_path("/");
    } else {
        let canonical = normalize::path_text(path)
            .map_err(|error| Reject::new(Kind::BadTarget, "The path of the request is malformed.").because(error))?;
        target.set_path(canonical.as_str());
    }
    if let Some(query) = query {
        normalize::check_query(query.as_bytes())
            .map_err(|error| Reject::new(Kind::BadTarget, "The query of the request is malformed.").because(error))?;
        target.set_query(Some(query));
    }
    Ok(())
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
