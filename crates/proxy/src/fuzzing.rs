//! The parsers and writers of HTTP/1 for the fuzz targets in `fuzz/`: bytes in, plain data out. Nothing else may use it.
//!
//! What the gateway does around a parser (which prefixes of a head it parses, how it takes a body piece by piece) is
//! done here in the same way, so that the targets test what runs.

use std::task::{Context, Poll};

use http::{Method, Version};
pub use tollgate_core::BodyError;
use tollgate_core::{Body, BodyStream, Headers, Upgrade};

use crate::http1::framing::{self, Decoder, Step};
use crate::http1::{answer, fields, request, write};
use crate::last_host::LastHost;

/// Fields as names and values, in order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What a parser says about bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// More bytes are needed.
    Incomplete,
    /// Refused, and why.
    Refused(String),
    /// A complete head.
    Complete(T),
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// When the sender closes.
    UntilClose,
}

impl From<framing::Framing> for Framing {
    fn from(framing: framing::Framing) -> Self {
        match framing {
            framing::Framing::None => Self::None,
            framing::Framing::Length(length) => Self::Length(length),
            framing::Framing::Chunked => Self::Chunked,
            framing::Framing::UntilClose => Self::UntilClose,
        }
    }
}

impl From<Framing> for framing::Framing {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::None,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked,
            Framing::UntilClose => Self::UntilClose,
        }
    }
}

/// A listener's limits on heads.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole head.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
    /// Bytes of the request target.
    pub uri: usize,
}

/// A request's head, and how the gateway passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method.
    pub method: String,
    /// The client speaks HTTP/1.0.
    pub http10: bool,
    /// The canonical path.
    pub path: String,
    /// The query.
    pub query: Option<String>,
    /// Host and port as they came.
    pub authority: String,
    /// The canonical host.
    pub host: String,
    /// The fields that go on.
    pub fields: Fields,
    /// How the body ends.
    pub framing: Framing,
    /// The connection stays open.
    pub keep_alive: bool,
    /// The client asks for a WebSocket.
    pub websocket: bool,
    /// The client waits for a 100.
    pub expects_continue: bool,
    /// How many bytes the head took.
    pub length: usize,
    /// The head as a service gets it, `Host` being [`SERVICE`] if the client named no host.
    pub forwarded: Vec<u8>,
}

/// `Host` on the way to a service where the client named none.
pub const SERVICE: &str = "service.test:8080";

/// Parses a request's head.
#[must_use]
pub fn request_head(bytes: &[u8], limits: Limits, trusted: bool) -> Verdict<RequestHead> {
    let Limits { bytes: most, fields, uri } = limits;
    match request::parse(bytes, &request::HeadLimits { bytes: most, fields, uri }, trusted, &mut LastHost::default()) {
        Ok(None) => Verdict::Incomplete,
        Err(reject) => Verdict::Refused(reject.kind.slug().to_owned()),
        Ok(Some(head)) => Verdict::Complete(plain_request(head)),
    }
}

/// Parses a request's head that comes in two reads, cut at `cut`, as a connection does.
#[must_use]
pub fn request_head_in_two(bytes: &[u8], cut: usize, limits: Limits, trusted: bool) -> Verdict<RequestHead> {
    let first = bytes.get(..cut).unwrap_or(bytes);
    if !first.is_empty() {
        let verdict = request_head(first, limits, trusted);
        if verdict != Verdict::Incomplete {
            return verdict;
        }
    }
    if first.is_empty() || bytes.len() > limits.uri || fields::may_be_complete(bytes, first.len()) {
        return request_head(bytes, limits, trusted);
    }
    Verdict::Incomplete
}

fn plain_request(head: request::Head) -> RequestHead {
    let request::Head { mut request, framing, keep_alive, length } = head;
    let body = match framing {
        framing::Framing::None => Some(0),
        framing::Framing::Length(length) => Some(length),
        framing::Framing::Chunked | framing::Framing::UntilClose => None,
    };
    if request.authority().is_empty() {
        request.set_host_field(SERVICE);
    }
    let mut forwarded = Vec::new();
    write::request(&mut forwarded, &request, "", body);
    RequestHead {
        method: request.method.as_str().to_owned(),
        http10: request.version == Version::HTTP_10,
        path: request.path().to_owned(),
        query: request.query().map(str::to_owned),
        authority: request.authority().to_owned(),
        host: request.host().to_owned(),
        fields: plain_fields(&request.headers),
        framing: framing.into(),
        keep_alive,
        websocket: request.upgrade == Some(Upgrade::WebSocket),
        expects_continue: request.expects_continue,
        length,
        forwarded,
    }
}

fn plain_fields(headers: &Headers) -> Fields {
    headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// What an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method is HEAD.
    pub head: bool,
    /// The client speaks HTTP/1.0.
    pub http10: bool,
    /// The client asked for a WebSocket.
    pub websocket: bool,
}

/// An answer's head, and how the gateway passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// The fields that go on.
    pub fields: Fields,
    /// How the body ends.
    pub framing: Framing,
    /// What `Content-Length` said where there is no body.
    pub declared_length: Option<u64>,
    /// The connection stays open.
    pub keep_alive: bool,
    /// How many bytes the head took.
    pub length: usize,
    /// The head as the client gets it on a connection that it wants to keep; `Date` is `now` if the service says none.
    pub forwarded: Vec<u8>,
}

/// Parses an answer's head.
#[must_use]
pub fn response_head(bytes: &[u8], asked: Asked) -> Verdict<ResponseHead> {
    let method = if asked.head { Method::HEAD } else { Method::GET };
    match answer::parse(bytes, &method, asked.websocket.then_some(Upgrade::WebSocket)) {
        Ok(None) => Verdict::Incomplete,
        Err(error) => Verdict::Refused(error.to_string()),
        Ok(Some(head)) => Verdict::Complete(plain_response(head, asked)),
    }
}

fn plain_response(head: answer::Head, asked: Asked) -> ResponseHead {
    let answer::Head { mut response, framing, keep_alive, length } = head;
    let status = response.status.as_u16();
    let mut forwarded = Vec::new();
    if response.status.is_informational() && status != 101 {
        write::interim(&mut forwarded, response.status, &response.headers);
    } else {
        response.body = match framing {
            framing::Framing::None | framing::Framing::Length(0) => Body::Empty,
            framing::Framing::Length(length) => Body::Stream(Box::new(Announced(Some(length)))),
            framing::Framing::Chunked | framing::Framing::UntilClose => Body::Stream(Box::new(Announced(None))),
        };
        let version = if asked.http10 { Version::HTTP_10 } else { Version::HTTP_11 };
        let exchange = write::Exchange { version, head: asked.head, keep_alive: true };
        write::response(&mut forwarded, &response, exchange, b"now");
    }
    ResponseHead {
        status,
        fields: plain_fields(&response.headers),
        framing: framing.into(),
        declared_length: response.declared_length,
        keep_alive,
        length,
        forwarded,
    }
}

/// A body of which only the length counts.
struct Announced(Option<u64>);

impl BodyStream for Announced {
    fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        Poll::Ready(Ok(false))
    }

    fn data(&self) -> &[u8] {
        &[]
    }

    fn consume(&mut self, _: usize) {}

    fn length(&self) -> Option<u64> {
        self.0
    }
}

/// How far a body came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// To its end.
    Complete,
    /// Until there was nothing more to read.
    Unfinished,
    /// To an error.
    Failed(BodyError),
}

/// A decoded body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedBody {
    /// Its content.
    pub content: Vec<u8>,
    /// Its trailers.
    pub trailers: Option<Fields>,
    /// What was not used of the input.
    pub left: Vec<u8>,
    /// How it ended.
    pub end: BodyEnd,
    /// After an error, a later step with more bytes was not an error.
    pub forgot_error: bool,
    /// The content in one chunk, and the trailers, as the gateway writes them.
    pub rewritten: Vec<u8>,
}

/// Decodes a body that comes in `pieces` and of which at most `bite` bytes of content are taken at a time; at most
/// `max` bytes may come.
#[must_use]
pub fn body<'a>(framing: Framing, max: u64, bite: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> DecodedBody {
    let mut decoder = Decoder::new(framing.into(), max);
    let (mut content, mut buffer, mut end, mut forgot_error) = (Vec::new(), Vec::new(), BodyEnd::Unfinished, false);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if end == BodyEnd::Unfinished {
            end = step(&mut decoder, &mut buffer, &mut content, bite);
        } else if matches!(end, BodyEnd::Failed(_)) {
            forgot_error |= decoder.advance(&buffer).is_ok();
        }
    }
    let trailers = decoder.take_trailers();
    let mut rewritten = Vec::new();
    if !content.is_empty() {
        write::chunk(&mut rewritten, &content);
    }
    write::last_chunk(&mut rewritten, trailers.as_ref());
    DecodedBody { content, trailers: trailers.as_ref().map(plain_fields), left: buffer, end, forgot_error, rewritten }
}

/// Takes what `buffer` holds of the body.
fn step(decoder: &mut Decoder, buffer: &mut Vec<u8>, content: &mut Vec<u8>, bite: usize) -> BodyEnd {
    loop {
        let (skipped, step) = match decoder.advance(buffer) {
            Ok(advanced) => advanced,
            Err(error) => return BodyEnd::Failed(error),
        };
        buffer.drain(..skipped);
        match step {
            Step::Data(n) => {
                let n = n.min(bite.max(1));
                content.extend(buffer.drain(..n));
                decoder.consumed(n);
            }
            Step::More => return BodyEnd::Unfinished,
            Step::End => return BodyEnd::Complete,
        }
    }
}
