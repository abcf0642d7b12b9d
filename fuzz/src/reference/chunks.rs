//! Chunked bodies (RFC 9112 §7.1).

use super::fields::{self, Fields, Role};

/// What a chunked body comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunked {
    /// Its end is there: its trailers, and how many bytes it took.
    Complete(Fields, usize),
    /// Its end may still come.
    Unfinished,
    /// It is no chunked body.
    Malformed,
    /// A chunk would bring the content past its limit.
    TooLarge,
}

/// Longest line of a chunk's size, CRLF included; longest trailer section; most trailers.
const LIMITS: (usize, usize, usize) = (256, 8 * 1024, 100);

/// Decodes the chunked body at the front of `bytes`, of at most `max` bytes of content: the content, and how it ends.
#[must_use]
pub fn chunked(bytes: &[u8], max: usize) -> (Vec<u8>, Chunked) {
    let (mut content, mut rest) = (Vec::new(), bytes);
    loop {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return (content, Chunked::Unfinished) };
        let Some(size) = rest[..end].strip_suffix(b"\r").filter(|_| end < LIMITS.0).and_then(chunk_size) else {
            return (content, Chunked::Malformed);
        };
        rest = &rest[end + 1..];
        if size > max - content.len() {
            return (content, Chunked::TooLarge);
        }
        if size == 0 {
            return (content, trailers(bytes, rest));
        }
        let (data, after) = rest.split_at(size.min(rest.len()));
        content.extend_from_slice(data);
        rest = match after {
            [b'\r', b'\n', after @ ..] => after,
            [] | [b'\r'] => return (content, Chunked::Unfinished),
            _ => return (content, Chunked::Malformed),
        };
    }
}

fn trailers(bytes: &[u8], rest: &[u8]) -> Chunked {
    let Some((lines, length)) = fields::lines(rest) else { return Chunked::Unfinished };
    match fields::fields(&lines) {
        Some(all) if length <= LIMITS.1 && all.len() <= LIMITS.2 => {
            let kept = all.into_iter().filter(|field| may_trail(&field.0)).collect();
            Chunked::Complete(kept, bytes.len() - rest.len() + length)
        }
        _ => Chunked::Malformed,
    }
}

/// RFC 9110 §6.5.1: what frames, routes, authenticates, or changes how the content is read has no place in trailers.
fn may_trail(name: &[u8]) -> bool {
    const NAMES: &str = "host expect max-forwards cache-control range content-encoding content-type content-range \
        content-location www-authenticate proxy-authenticate proxy-authorization authorization cookie set-cookie date \
        location refresh trailer via origin x-request-id";
    let lower = name.to_ascii_lowercase();
    fields::role(name) == Role::EndToEnd && !NAMES.split(' ').any(|forbidden| forbidden.as_bytes() == lower)
}

/// `1*HEXDIG` of at most fifteen digits, then extensions.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (size, extensions) = line.split_at(digits);
    if digits > 15 || !are_extensions(extensions) {
        return None;
    }
    usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )`, blanks being spaces and tabs.
fn are_extensions(text: &[u8]) -> bool {
    if text.is_empty() {
        return true;
    }
    let Some(text) = blanks(text).strip_prefix(b";") else { return false };
    let text = blanks(text);
    let Some(text) = token(text) else { return false };
    match blanks(text).strip_prefix(b"=").map(blanks) {
        Some(value) => quoted(value).or_else(|| token(value)).is_some_and(are_extensions),
        None => are_extensions(text),
    }
}

fn blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    &text[end..]
}

/// What follows the token in front.
fn token(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| !fields::is_token(&[*byte])).unwrap_or(text.len());
    (end > 0).then(|| &text[end..])
}

/// What follows the quoted string in front (RFC 9110 §5.6.4).
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', escaped, after @ ..] if fields::is_text(&[*escaped]) => after,
            [b'\\', ..] | [] => return None,
            [byte, after @ ..] if fields::is_text(&[*byte]) => after,
            _ => return None,
        };
    }
}
