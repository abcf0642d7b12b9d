//! Heads and chunks as bytes, always from the parsed form.

use http::{Method, StatusCode, Version};
use tollgate_core::{Body, Headers, Request, Response, Upgrade};

/// How the content of a message is framed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// No content, or content of a length that the head announces.
    Plain,
    /// Chunks.
    Chunked,
    /// Content until the connection closes.
    UntilClose,
}

/// Writes the head of a request to a service, its path prefixed by `base`; its body has this length, if that is known.
pub(crate) fn request(out: &mut Vec<u8>, request: &Request, base: &str, length: Option<u64>) -> Coding {
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(base.as_bytes());
    out.extend_from_slice(request.path().as_bytes());
    if let Some(query) = request.query() {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    out.extend_from_slice(request.host_field().as_bytes());
    out.extend_from_slice(b"\r\n");
    request.headers.write(out);
    if request.expects_continue {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    if request.upgrade == Some(Upgrade::WebSocket) {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }
    let coding = match length {
        // A method that means content says so even if there is none (RFC 9110 §8.6).
        Some(0) if matches!(request.method, Method::POST | Method::PUT | Method::PATCH) => {
            out.extend_from_slice(b"Content-Length: 0\r\n");
            Coding::Plain
        }
        Some(0) => Coding::Plain,
        Some(length) => {
            content_length(out, length);
            Coding::Plain
        }
        None => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Coding::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    coding
}

/// What an answer's head depends on besides the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub version: Version,
    pub head: bool,
    pub keep_alive: bool,
}

/// Writes the head of an answer; `date` is what `Date` says if the answer does not say it itself (RFC 9110 §6.6.1).
/// Gives the coding of its content, and whether the connection stays open after it.
pub(crate) fn response(out: &mut Vec<u8>, response: &Response, exchange: Exchange, date: &[u8]) -> (Coding, bool) {
    status_line(out, response.status);
    response.headers.write(out);
    if !response.headers.has(tollgate_core::Known::Date) {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        return (Coding::Plain, false);
    }
    let mut keep_alive = exchange.keep_alive;
    let coding = frame_response(out, response, exchange);
    keep_alive &= coding != Coding::UntilClose;
    if !keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if exchange.version == Version::HTTP_10 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    (coding, keep_alive)
}

fn frame_response(out: &mut Vec<u8>, response: &Response, exchange: Exchange) -> Coding {
    if response.status == StatusCode::NO_CONTENT {
        return Coding::Plain;
    }
    if let Some(length) = response.declared_length {
        content_length(out, length);
        return Coding::Plain;
    }
    let silent = response.status == StatusCode::NOT_MODIFIED || exchange.head;
    match response.body.length() {
        // The length of an answer to HEAD that the service did not tell is not known.
        Some(0) if silent && matches!(response.body, Body::Empty) => Coding::Plain,
        Some(length) => {
            content_length(out, length);
            Coding::Plain
        }
        None if silent => Coding::Plain,
        None if exchange.version == Version::HTTP_10 => Coding::UntilClose,
        None => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Coding::Chunked
        }
    }
}

/// Writes an interim answer (RFC 9110 §15.2).
pub(crate) fn interim(out: &mut Vec<u8>, status: StatusCode, headers: &Headers) {
    status_line(out, status);
    headers.write(out);
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes one chunk (RFC 9112 §7.1).
pub(crate) fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    let mut digits = [0; 16];
    let mut start = digits.len();
    let mut size = data.len();
    while size > 0 {
        start -= 1;
        if let Some(digit) = digits.get_mut(start) {
            *digit = b"0123456789abcdef".get(size & 15).copied().unwrap_or(b'0');
        }
        size >>= 4;
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Writes the last chunk and the trailers.
pub(crate) fn last_chunk(out: &mut Vec<u8>, trailers: Option<&Headers>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        trailers.write(out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(response: &Response, head: bool, version: Version) -> String {
        let mut out = Vec::new();
        super::response(&mut out, response, Exchange { version, head, keep_alive: true }, b"now");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_is_framed_by_what_it_is() {
        let ok = Response::new(StatusCode::OK).with_body("text/plain", "hi".to_owned());
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: now\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(written(&ok, false, Version::HTTP_11), expected);
        assert_eq!(written(&ok, true, Version::HTTP_11), expected);
        let none = Response::new(StatusCode::NO_CONTENT);
        assert_eq!(written(&none, false, Version::HTTP_11), "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n");
        let empty = Response::new(StatusCode::OK);
        assert!(
            written(&empty, false, Version::HTTP_10).ends_with("Content-Length: 0\r\nConnection: keep-alive\r\n\r\n")
        );
    }

    #[test]
    fn chunks_say_their_size_in_hex() {
        let mut out = Vec::new();
        chunk(&mut out, &[b'a'; 26]);
        last_chunk(&mut out, None);
        assert_eq!(out, b"1a\r\naaaaaaaaaaaaaaaaaaaaaaaaaa\r\n0\r\n\r\n");
    }
}
