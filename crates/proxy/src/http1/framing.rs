//! Where a body ends (RFC 9112 §6 and §7).

use tollgate_core::{BodyError, Headers, Known};

use super::fields;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    None,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// When the sender closes; answers only.
    UntilClose,
}

/// What stands at the front of the bytes given to [`Decoder::advance`], framing skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many bytes of content.
    Data(usize),
    /// Nothing to be told yet: more bytes are needed.
    More,
    /// The body is complete.
    End,
}

/// The longest line that gives a chunk's size, extensions and all: long ones have no honest use.
const MAX_SIZE_LINE: usize = 256;
/// The longest trailer section.
const MAX_TRAILERS: usize = 8 * 1024;

/// Follows a body through the bytes of its connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// How many bytes of content may still come.
    allowance: u64,
    trailers: Option<Headers>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    End,
    /// Nothing behind an error means anything.
    Failed(BodyError),
}

impl Decoder {
    /// A decoder that lets at most `max` bytes of content through.
    pub(crate) const fn new(framing: Framing, max: u64) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, allowance: max, trailers: None }
    }

    /// True once the body is complete.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::End
    }

    /// True if the end of the connection is the end of the body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Content bytes still to come, if that is known.
    pub(crate) const fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// The trailer fields, after [`Step::End`].
    pub(crate) const fn take_trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }

    /// Skips the framing at the front of `bytes`: gives how much of it, and what follows.
    ///
    /// # Errors
    /// [`BodyError::Malformed`] on broken chunks, [`BodyError::TooLarge`] past the allowance.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<(usize, Step), BodyError> {
        let advanced = self.skip(bytes);
        if let Err(error) = advanced {
            self.state = State::Failed(error);
        }
        advanced
    }

    fn skip(&mut self, bytes: &[u8]) -> Result<(usize, Step), BodyError> {
        let mut skipped = 0;
        loop {
            let rest = bytes.get(skipped..).unwrap_or_default();
            match self.state {
                State::End => return Ok((skipped, Step::End)),
                State::Failed(error) => return Err(error),
                _ if rest.is_empty() => return Ok((skipped, Step::More)),
                State::UntilClose => return Ok((skipped, self.allow(rest.len())?)),
                State::Length(left) | State::ChunkData(left) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    return Ok((skipped, self.allow(n)?));
                }
                State::ChunkSize => match line(rest, MAX_SIZE_LINE)? {
                    None => return Ok((skipped, Step::More)),
                    Some(line) => {
                        let size = chunk_size(line)?;
                        if size > self.allowance {
                            return Err(BodyError::TooLarge);
                        }
                        skipped += line.len() + 2;
                        self.state = if size == 0 { State::Trailers } else { State::ChunkData(size) };
                    }
                },
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        skipped += 2;
                        self.state = State::ChunkSize;
                    }
                    [b'\r'] => return Ok((skipped, Step::More)),
                    _ => return Err(BodyError::Malformed),
                },
                State::Trailers => match self.read_trailers(rest)? {
                    None => return Ok((skipped, Step::More)),
                    Some(length) => {
                        skipped += length;
                        self.state = State::End;
                    }
                },
            }
        }
    }

    fn allow(&self, n: usize) -> Result<Step, BodyError> {
        if n as u64 > self.allowance { Err(BodyError::TooLarge) } else { Ok(Step::Data(n)) }
    }

    /// Content bytes were taken.
    pub(crate) const fn consumed(&mut self, n: usize) {
        let n = n as u64;
        self.allowance = self.allowance.saturating_sub(n);
        self.state = match self.state {
            State::Length(left) if left <= n => State::End,
            State::Length(left) => State::Length(left - n),
            State::ChunkData(left) if left <= n => State::ChunkEnd,
            State::ChunkData(left) => State::ChunkData(left - n),
            other => other,
        };
    }

    /// The length of a complete trailer section at the front of `bytes`, its fields kept.
    fn read_trailers(&mut self, bytes: &[u8]) -> Result<Option<usize>, BodyError> {
        match fields::trailers(bytes) {
            Ok(Some((length, trailers))) if length <= MAX_TRAILERS => {
                self.trailers = (!trailers.is_empty()).then_some(trailers);
                Ok(Some(length))
            }
            Ok(None) if bytes.len() < MAX_TRAILERS => Ok(None),
            _ => Err(BodyError::Malformed),
        }
    }
}

/// The first line of `bytes` without its CRLF, if it is complete.
fn line(bytes: &[u8], max: usize) -> Result<Option<&[u8]>, BodyError> {
    let window = bytes.get(..max).unwrap_or(bytes);
    match memchr::memchr(b'\n', window) {
        Some(end) => match window.get(..end) {
            Some([line @ .., b'\r']) => Ok(Some(line)),
            _ => Err(BodyError::Malformed),
        },
        None if bytes.len() >= max => Err(BodyError::Malformed),
        // What cannot become a size is refused before its line is complete.
        None if !window.first().is_some_and(u8::is_ascii_hexdigit) => Err(BodyError::Malformed),
        None => Ok(None),
    }
}

/// `chunk-size [ chunk-ext ]` (RFC 9112 §7.1): hexadecimal digits and nothing else, extensions checked and dropped.
fn chunk_size(line: &[u8]) -> Result<u64, BodyError> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    // Fifteen digits are below 2^60: no overflow, and no honest chunk is longer.
    if digits == 0 || digits > 15 {
        return Err(BodyError::Malformed);
    }
    let (size, extensions) = line.split_at(digits);
    if !is_extensions(extensions) {
        return Err(BodyError::Malformed);
    }
    std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok()).ok_or(BodyError::Malformed)
}

/// `*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )` (RFC 9112 §7.1.1).
fn is_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(after) = after_byte(rest, b';') else { return false };
        let Some(after) = after_token(after) else { return false };
        rest = after;
        if let Some(value) = after_byte(rest, b'=') {
            let quoted = value.first() == Some(&b'"');
            let Some(after) = (if quoted { after_quoted(value) } else { after_token(value) }) else { return false };
            rest = after;
        }
    }
    true
}

/// What follows `byte` and the blanks around it.
fn after_byte(bytes: &[u8], byte: u8) -> Option<&[u8]> {
    match after_blanks(bytes) {
        [first, rest @ ..] if *first == byte => Some(after_blanks(rest)),
        _ => None,
    }
}

/// Spaces and tabs only: a CR here would be a line end to somebody else.
fn after_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    bytes.get(blanks..).unwrap_or_default()
}

fn after_token(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes
        .iter()
        .position(|byte| !tollgate_core::headers::is_token(std::slice::from_ref(byte)))
        .unwrap_or(bytes.len());
    if end == 0 { None } else { bytes.get(end..) }
}

fn after_quoted(bytes: &[u8]) -> Option<&[u8]> {
    let mut position = 1;
    loop {
        match bytes.get(position)? {
            b'"' => return bytes.get(position + 1..),
            b'\\' if bytes.get(position + 1).is_some_and(|byte| !tollgate_core::headers::is_control(*byte)) => {
                position += 2;
            }
            b'\\' => return None,
            byte if tollgate_core::headers::is_control(*byte) => return None,
            _ => position += 1,
        }
    }
}

/// True for fields that must not stand in trailers (RFC 9110 §6.5.1): what frames, routes or authenticates, and what
/// the gateway writes itself.
pub(crate) fn forbidden_in_trailers(known: Known, name: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"content-encoding",
        b"content-type",
        b"content-range",
        b"cache-control",
        b"www-authenticate",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"range",
    ];
    !matches!(known, Known::Other) || NAMES.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `wire` given in pieces of `piece` bytes: the content, and what is left over.
    fn decode(framing: Framing, wire: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<u8>, bool), BodyError> {
        let mut decoder = Decoder::new(framing, 1 << 20);
        let (mut content, mut buffered) = (Vec::new(), Vec::new());
        let mut pieces = wire.chunks(piece.max(1));
        loop {
            let (skipped, step) = decoder.advance(&buffered)?;
            buffered.drain(..skipped);
            match step {
                Step::Data(n) => {
                    content.extend(buffered.drain(..n));
                    decoder.consumed(n);
                }
                Step::End => {
                    buffered.extend(pieces.flatten());
                    return Ok((content, buffered, true));
                }
                Step::More => match pieces.next() {
                    Some(bytes) => buffered.extend_from_slice(bytes),
                    None => return Ok((content, buffered, false)),
                },
            }
        }
    }

    #[test]
    fn bodies_end_where_their_framing_says_however_they_are_cut() {
        for piece in 1..20 {
            let (content, left, done) = decode(Framing::Length(5), b"helloGET", piece).unwrap();
            assert_eq!((&content[..], &left[..], done), (&b"hello"[..], &b"GET"[..], true));
            let wire = b"5\r\nhello\r\n1;a=b;c=\"d\\\"\"\r\n!\r\n0\r\nX-Sum: 1\r\n\r\nGET";
            let (content, left, done) = decode(Framing::Chunked, wire, piece).unwrap();
            assert_eq!((&content[..], &left[..], done), (&b"hello!"[..], &b"GET"[..], true));
            let (content, _, done) = decode(Framing::UntilClose, b"hello", piece).unwrap();
            assert_eq!((&content[..], done), (&b"hello"[..], false));
        }
    }

    #[test]
    fn trailers_are_kept_but_for_what_has_no_place_there() {
        let mut decoder = Decoder::new(Framing::Chunked, 100);
        decoder.advance(b"0\r\nX-Sum: 1\r\nContent-Length: 5\r\nX-User-Id: root\r\n\r\n").unwrap();
        let trailers = decoder.take_trailers().unwrap();
        assert_eq!(trailers.iter().collect::<Vec<_>>(), [(&b"X-Sum"[..], &b"1"[..])]);
    }

    #[test]
    fn broken_chunks_are_refused_at_once() {
        let broken: &[&[u8]] = &[
            b"\r\n",
            b"g\r\n",
            b"0x5\r\nhello\r\n",
            b"+5\r\n",
            b"-1\r\n",
            b" 5\r\nhello",
            b"5 \r\nhello\r\n",
            b"5\nhello\r\n",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5;\r\nhello\r\n",
            b"5;a=\r\nhello\r\n",
            b"5;a=\"b\r\nhello\r\n",
            b"5;a\0\r\n",
            b"5;a=\rb\r\nhello\r\n",
            b"5;\ra\r\nhello\r\n",
            b"1000000000000000\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\nX: 1\n\r\n",
            b"0\r\nX : 1\r\n\r\n",
            b"0\r\n X: 1\r\n\r\n",
            b"0\r\nX\r\n\r\n",
        ];
        for wire in broken {
            assert_eq!(
                decode(Framing::Chunked, wire, 100),
                Err(BodyError::Malformed),
                "{:?}",
                wire.escape_ascii().to_string()
            );
        }
        let long = [&b"1;"[..], &[b'a'; 300]].concat();
        assert_eq!(decode(Framing::Chunked, &long, 100), Err(BodyError::Malformed));
    }

    #[test]
    fn an_error_is_final() {
        let mut decoder = Decoder::new(Framing::Chunked, 100);
        assert_eq!(decoder.advance(b"0\r\n\n"), Err(BodyError::Malformed));
        assert_eq!(decoder.advance(b"\r\n"), Err(BodyError::Malformed));
        for wire in [&b"5;a=\"\\\0\"\r\nhello\r\n"[..], b"5;a=\"\\\r\"\r\nhello\r\n"] {
            assert_eq!(decode(Framing::Chunked, wire, 100), Err(BodyError::Malformed));
        }
    }

    #[test]
    fn the_allowance_holds() {
        let mut decoder = Decoder::new(Framing::Chunked, 4);
        assert_eq!(decoder.advance(b"5\r\nhello\r\n"), Err(BodyError::TooLarge));
    }
}
