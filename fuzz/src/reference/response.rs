//! Answers' heads (RFC 9112 §4, §5, §6).

use tollgate_proxy::fuzzing::{Asked, Framing};

use super::fields::{self, Fields, Role};

/// An answer's head as it must be understood.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what the gateway calls by the same name")]
pub struct Response {
    pub status: u16,
    pub fields: Fields,
    pub framing: Framing,
    pub declared_length: Option<u64>,
    pub keep_alive: bool,
    pub length: usize,
}

/// Reads the head at the front of `bytes`; `None` if it is not one that may be accepted.
#[must_use]
pub fn response(bytes: &[u8], asked: Asked) -> Option<Response> {
    let (lines, length) = fields::lines(bytes)?;
    let (line, rest) = lines.split_first()?;
    let all = fields::fields(rest)?;
    let http10 = line.starts_with(b"HTTP/1.0 ");
    if !http10 && !line.starts_with(b"HTTP/1.1 ") {
        return None;
    }
    let code = line.get(9..12).filter(|code| code.iter().all(u8::is_ascii_digit))?;
    // The space before an empty reason phrase is left out by many.
    if !matches!(line[12..], [] | [b' ', ..]) || !fields::is_text(&line[12..]) {
        return None;
    }
    let status = std::str::from_utf8(code).ok()?.parse().ok().filter(|status| (100..=599).contains(status))?;
    let options = fields::elements(&all, "connection");
    if fields::names_too_many(&options) {
        return None;
    }
    let has = |option: &[u8]| options.iter().any(|element| element == option);
    let upgrades = fields::values(&all, "upgrade").iter().any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    if status == 101 && !(asked.websocket && has(b"upgrade") && upgrades) {
        return None;
    }
    let stated = fields::content_length(&all).ok()?;
    let codings = fields::values(&all, "transfer-encoding");
    let chunked = match &codings[..] {
        [] => false,
        [coding] if coding.eq_ignore_ascii_case(b"chunked") && stated.is_none() && !http10 => true,
        _ => return None,
    };
    let framing = match stated {
        _ if asked.head || status < 200 || status == 204 || status == 304 => Framing::None,
        _ if chunked => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    };
    let goes_on = |field: &(Vec<u8>, Vec<u8>)| {
        !matches!(fields::role(&field.0), Role::HopByHop | Role::Disguised)
            && !options.contains(&field.0.to_ascii_lowercase())
    };
    Some(Response {
        status,
        framing,
        declared_length: stated.filter(|_| asked.head || status == 304),
        keep_alive: (!http10 || has(b"keep-alive")) && !has(b"close") && framing != Framing::UntilClose,
        length,
        fields: all.into_iter().filter(goes_on).collect(),
    })
}
