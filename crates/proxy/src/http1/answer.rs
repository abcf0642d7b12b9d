//! The head of a service's answer: bytes in, a [`Response`] and its framing out, or what is wrong with it.
//!
//! A service is trusted more than a client, but not to frame: an answer that could be read in two ways would let one
//! client's answer reach another (RFC 9112 §11.1), so it becomes a 502.

use http::{Method, StatusCode};
use smallvec::SmallVec;
use tollgate_core::{Headers, Known, Response, Upgrade, headers};

use super::fields;
use super::framing::Framing;
use super::head::{self, HeadError};

/// The longest head of an answer, and the most fields in it.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 200;
/// An answer has some ten fields, and plugins add a few.
const USUAL_FIELDS: usize = 20;
/// Room for the fields that plugins add to an answer.
const ROOM_FOR_ADDITIONS: usize = 256;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("its head is malformed")]
    Malformed,
    #[error("a line of its head has a control byte in it, or does not end in CRLF")]
    Control,
    #[error("its head is longer than 64 KiB or has more than 200 fields")]
    TooLarge,
    #[error("its status is not between 100 and 599")]
    Status,
    #[error("it has more than one Content-Length, or one that is no number")]
    ContentLength,
    #[error("its Transfer-Encoding is not just chunked, or comes with a Content-Length or in HTTP/1.0")]
    TransferEncoding,
    #[error("it switches protocols, which the request did not ask for")]
    UnaskedSwitch,
}

/// A complete head.
#[derive(Debug)]
pub(crate) struct Head {
    /// The answer, its body still to be attached.
    pub response: Response,
    /// How its body ends.
    pub framing: Framing,
    /// Whether the connection can serve another request afterwards.
    pub keep_alive: bool,
    /// How many bytes the head took.
    pub length: usize,
}

/// Parses the head at the front of `bytes`, which answers a request of this method that asked for this upgrade;
/// `Ok(None)` if it is not complete.
///
/// # Errors
/// See [`AnswerError`]; the connection is of no further use.
pub(crate) fn parse(bytes: &[u8], method: &Method, upgrade: Option<Upgrade>) -> Result<Option<Head>, AnswerError> {
    let Some(line_end) = head::line_end(bytes, 0)? else { return incomplete(bytes) };
    let (http11, status) = status_line(bytes.get(..line_end).unwrap_or_default())?;
    let mut facts = Facts { keep_alive: http11, ..Facts::default() };
    let mut fields = Headers::with_capacity(USUAL_FIELDS);
    let length = head::fields(bytes, line_end + 2, MAX_FIELDS, |field| {
        if facts.note(field.known, field.value)? {
            field.push_to(&mut fields);
        }
        Ok::<(), AnswerError>(())
    })?;
    let Some(length) = length else { return incomplete(bytes) };
    if length > MAX_HEAD {
        return Err(AnswerError::TooLarge);
    }
    fields.attach(bytes.get(..length).unwrap_or_default(), ROOM_FOR_ADDITIONS);
    for name in &facts.nominated {
        fields.remove(name);
    }
    let framing = facts.framing(method, status, !http11)?;
    if status == StatusCode::SWITCHING_PROTOCOLS && !(upgrade.is_some() && facts.websocket && facts.switches) {
        return Err(AnswerError::UnaskedSwitch);
    }
    let mut response = Response::with_headers(status, fields);
    if framing == Framing::None && (method == Method::HEAD || status == StatusCode::NOT_MODIFIED) {
        response.declared_length = facts.length;
    }
    let keep_alive = facts.keep_alive && framing != Framing::UntilClose;
    Ok(Some(Head { response, framing, keep_alive, length }))
}

/// An incomplete head, if it can still become one.
fn incomplete(bytes: &[u8]) -> Result<Option<Head>, AnswerError> {
    let start = b"HTTP/1.";
    if bytes.iter().zip(start).any(|(byte, expected)| byte != expected) {
        return Err(AnswerError::Malformed);
    }
    if bytes.len() < MAX_HEAD { Ok(None) } else { Err(AnswerError::TooLarge) }
}

/// `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 §4); the last space may be missing, as it often is. Gives
/// whether the version is 1.1, and the status.
fn status_line(line: &[u8]) -> Result<(bool, StatusCode), AnswerError> {
    let (http11, rest) = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', rest @ ..] => (true, rest),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0', b' ', rest @ ..] => (false, rest),
        _ => return Err(AnswerError::Malformed),
    };
    let (digits, reason) = rest.split_at_checked(3).ok_or(AnswerError::Malformed)?;
    if !matches!(reason, [] | [b' ', ..]) {
        return Err(AnswerError::Malformed);
    }
    let status = StatusCode::from_bytes(digits).map_err(|_| AnswerError::Status)?;
    if status.as_u16() > 599 { Err(AnswerError::Status) } else { Ok((http11, status)) }
}

impl From<HeadError> for AnswerError {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Control => Self::Control,
            HeadError::Name => Self::Malformed,
            HeadError::TooMany => Self::TooLarge,
        }
    }
}

#[derive(Default)]
struct Facts {
    length: Option<u64>,
    coded: bool,
    keep_alive: bool,
    closes: bool,
    switches: bool,
    websocket: bool,
    nominated: SmallVec<[Box<str>; 0]>,
}

impl Facts {
    /// Takes a field in; true if it goes on to the client.
    #[inline]
    fn note(&mut self, known: Known, value: &[u8]) -> Result<bool, AnswerError> {
        match known {
            Known::Other => return Ok(true),
            Known::ContentLength => {
                let length = fields::content_length(value).ok_or(AnswerError::ContentLength)?;
                if self.length.replace(length).is_some() {
                    return Err(AnswerError::ContentLength);
                }
            }
            Known::TransferEncoding => {
                if self.coded || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(AnswerError::TransferEncoding);
                }
                self.coded = true;
            }
            Known::Connection => self.note_connection(value)?,
            Known::Upgrade => self.websocket |= value.eq_ignore_ascii_case(b"websocket"),
            Known::KeepAlive | Known::ProxyConnection | Known::Te | Known::Http2Settings | Known::Disguised => {}
            _ => return Ok(true),
        }
        Ok(false)
    }

    fn note_connection(&mut self, value: &[u8]) -> Result<(), AnswerError> {
        for option in fields::elements(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.closes = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.switches = true;
            } else if self.nominated.len() == fields::MAX_NOMINATED {
                return Err(AnswerError::TooLarge);
            } else if headers::is_token(option) {
                self.nominated.extend(std::str::from_utf8(option).map(Box::from));
            }
        }
        self.keep_alive &= !self.closes;
        Ok(())
    }

    /// RFC 9112 §6.3, in its order.
    fn framing(&self, method: &Method, status: StatusCode, http10: bool) -> Result<Framing, AnswerError> {
        if self.coded && (self.length.is_some() || http10) {
            return Err(AnswerError::TransferEncoding);
        }
        let bodiless = method == Method::HEAD
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        Ok(match (bodiless, self.coded, self.length) {
            (true, ..) => Framing::None,
            (false, true, _) => Framing::Chunked,
            (false, false, Some(length)) => Framing::Length(length),
            (false, false, None) => Framing::UntilClose,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_get(head: &str) -> Result<Option<Head>, AnswerError> {
        parse(head.as_bytes(), &Method::GET, None)
    }

    #[test]
    fn framing_follows_the_rfc() {
        let framing = |head: &str| parse_get(head).unwrap().unwrap().framing;
        assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), Framing::Length(3));
        assert_eq!(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), Framing::Chunked);
        assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n"), Framing::UntilClose);
        assert_eq!(framing("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n"), Framing::None);
        let head = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", &Method::HEAD, None).unwrap().unwrap();
        assert_eq!((head.framing, head.response.declared_length), (Framing::None, Some(3)));
    }

    #[test]
    fn doubtful_answers_are_refused() {
        for (head, error) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", AnswerError::ContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n", AnswerError::ContentLength),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                AnswerError::TransferEncoding,
            ),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", AnswerError::TransferEncoding),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", AnswerError::TransferEncoding),
            ("HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n", AnswerError::Control),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\n\r\n", AnswerError::Control),
            ("\r\nHTTP/1.1 200 OK\r\n\r\n", AnswerError::Malformed),
            ("HTTP/2.0 200 OK\r\n\r\n", AnswerError::Malformed),
            ("HTTP/1.1 20 OK\r\n\r\n", AnswerError::Malformed),
            ("HTTP/1.1 2000 OK\r\n\r\n", AnswerError::Malformed),
            ("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", AnswerError::UnaskedSwitch),
            ("HTTP/1.1 700 What\r\n\r\n", AnswerError::Status),
            ("SSH-2.0-x\r\n", AnswerError::Malformed),
        ] {
            assert_eq!(parse_get(head).map(|_| ()), Err(error), "{head:?}");
        }
    }

    #[test]
    fn a_connection_is_kept_only_if_both_say_so() {
        let kept = |head: &str| parse_get(head).unwrap().unwrap().keep_alive;
        assert!(kept("HTTP/1.1 204 x\r\n\r\n"));
        assert!(!kept("HTTP/1.1 204 x\r\nConnection: close\r\n\r\n"));
        assert!(!kept("HTTP/1.1 204 x\r\nConnection: close, keep-alive\r\n\r\n"));
        assert!(!kept("HTTP/1.0 204 x\r\n\r\n"));
        assert!(kept("HTTP/1.0 204 x\r\nConnection: keep-alive\r\n\r\n"));
        assert!(!kept("HTTP/1.1 200 x\r\n\r\n"));
    }
}
