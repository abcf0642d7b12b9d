//! Requests' heads (RFC 9112 §3, §5, §6).

use tollgate_proxy::fuzzing::Framing;

use super::fields::{self, Fields, Role};
use super::target;

/// A request's head as it must be understood.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what the gateway calls by the same name")]
pub struct Request {
    pub method: String,
    pub http10: bool,
    pub path: String,
    pub query: Option<String>,
    pub authority: String,
    pub host: String,
    pub fields: Fields,
    pub framing: Framing,
    pub keep_alive: bool,
    pub websocket: bool,
    pub expects_continue: bool,
    pub length: usize,
}

/// Reads the head at the front of `bytes`; `None` if it is not one that may be accepted.
#[must_use]
pub fn request(bytes: &[u8], trusted: bool) -> Option<Request> {
    // One empty line may come first (RFC 9112 §2.2).
    let blank = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let (lines, length) = fields::lines(&bytes[blank..])?;
    let (line, rest) = lines.split_first()?;
    let all = fields::fields(rest)?;
    let words: Vec<&str> = std::str::from_utf8(line).ok()?.split(' ').collect();
    let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = words[..] else { return None };
    if !fields::is_token(method.as_bytes()) || matches!(method, "CONNECT" | "TRACE") {
        return None;
    }
    let http10 = version == "HTTP/1.0";
    let host = match fields::values(&all, "host")[..] {
        [] if http10 => None,
        [host] => Some(host),
        _ => return None,
    };
    let Target { path, query, authority, host } = resolve(method, target, host)?;
    let options = fields::elements(&all, "connection");
    if !options.iter().all(|option| fields::is_token(option)) || fields::names_too_many(&options) {
        return None;
    }
    let has = |option: &[u8]| options.iter().any(|element| element == option);
    let framing = framing(&all, http10)?;
    let content = !matches!(framing, Framing::None | Framing::Length(0));
    let expectations = fields::values(&all, "expect");
    if !expectations.iter().all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        return None;
    }
    Some(Request {
        keep_alive: if http10 { has(b"keep-alive") } else { true } && !has(b"close"),
        websocket: has(b"upgrade")
            && fields::elements(&all, "upgrade").contains(&b"websocket".to_vec())
            && method == "GET"
            && !http10
            && !content,
        // Without content there is nothing to hold back (RFC 9110 §10.1.1).
        expects_continue: !expectations.is_empty() && !http10 && content,
        fields: end_to_end(&all, &options, trusted)?,
        method: method.to_owned(),
        http10,
        path,
        query,
        authority,
        host,
        framing,
        length: blank + length,
    })
}

/// RFC 9112 §6.3, where whatever is doubtful is refused.
fn framing(all: &Fields, http10: bool) -> Option<Framing> {
    let length = fields::content_length(all).ok()?;
    match (&fields::values(all, "transfer-encoding")[..], length) {
        ([], None) => Some(Framing::None),
        ([], Some(length)) => Some(Framing::Length(length)),
        ([coding], None) if coding.eq_ignore_ascii_case(b"chunked") && !http10 => Some(Framing::Chunked),
        _ => None,
    }
}

/// The fields that go on; `None` if one imitates a field that frames.
fn end_to_end(all: &Fields, options: &[Vec<u8>], trusted: bool) -> Option<Fields> {
    let mut kept = Fields::new();
    for (name, value) in all {
        let lower = name.to_ascii_lowercase();
        let goes_on = match fields::role(name) {
            Role::Disguised if matches!(lower.len(), 14 | 17) && matches!(lower[0], b'c' | b't') => return None,
            Role::HopByHop | Role::Identity | Role::Disguised => false,
            Role::Forwarding => trusted,
            Role::EndToEnd => !matches!(&lower[..], b"host" | b"expect"),
        };
        if goes_on && !options.contains(&lower) {
            kept.push((name.clone(), value.clone()));
        }
    }
    Some(kept)
}

struct Target {
    path: String,
    query: Option<String>,
    authority: String,
    host: String,
}

/// RFC 9112 §3.2 and §3.3. An invalid `Host` is refused even if the target overrides it.
fn resolve(method: &str, target: &str, host: Option<&[u8]>) -> Option<Target> {
    let mut authority = host.map(|host| String::from_utf8_lossy(host).into_owned());
    if let Some(authority) = &authority {
        target::authority(authority.as_bytes())?;
    }
    let mut rest = target;
    let absolute = !target.starts_with('/') && (target != "*" || method != "OPTIONS");
    if absolute {
        let (scheme, after) = target.split_once("://")?;
        if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return None;
        }
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        authority = Some(after[..end].to_owned());
        rest = &after[end..];
    }
    let host = match &authority {
        Some(authority) => target::authority(authority.as_bytes())?.0,
        None => String::new(),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (rest, None),
    };
    if !query.as_ref().is_none_or(|query| target::query(query.as_bytes())) {
        return None;
    }
    let path = match path {
        "*" => "*".to_owned(),
        "" => "/".to_owned(),
        path => target::path(path.as_bytes())?,
    };
    Some(Target { path, query, authority: authority.unwrap_or_default(), host })
}
