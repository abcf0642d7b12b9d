//! Bodies: nothing, bytes at hand, or a stream that is pulled.
//!
//! A stream is read like a buffered reader: [`BodyStream::poll_fill`] waits until there is something,
//! [`BodyStream::data`] lends it, [`BodyStream::consume`] takes it. So a body goes from one socket to the other without
//! being copied into pieces in between, and whoever pulls slowly slows the sender down (back-pressure).

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::headers::Headers;

/// Why a body could not be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The sender went away before the announced end.
    #[error("the body ended before its announced length")]
    Truncated,
    /// The framing is broken (RFC 9112 §7.1).
    #[error("the body's chunked framing is broken")]
    Malformed,
    /// No byte came for longer than the time-out.
    #[error("no byte of the body came within the time-out")]
    TimedOut,
    /// It is longer than the limit in force.
    #[error("the body is longer than the limit")]
    TooLarge,
}

/// A body that is pulled piece by piece.
pub trait BodyStream {
    /// Waits until [`BodyStream::data`] is not empty (`true`) or the body has ended (`false`).
    ///
    /// # Errors
    /// See [`BodyError`]; after an error the stream must not be polled again.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>>;

    /// The bytes at hand.
    fn data(&self) -> &[u8];

    /// Takes `n` of the bytes at hand.
    fn consume(&mut self, n: usize);

    /// The whole length in bytes, if it was announced.
    fn length(&self) -> Option<u64>;

    /// The trailer fields, once the body has ended.
    fn trailers(&mut self) -> Option<Headers> {
        None
    }

    /// Does what has to go on while nobody pulls: an exchange still sending its request, say.
    fn poll_background(&mut self, _cx: &mut Context<'_>) {}
}

/// The content of a message.
#[derive(Default)]
pub enum Body {
    /// No content.
    #[default]
    Empty,
    /// All of it, at hand.
    Bytes(Bytes),
    /// Content still to come.
    Stream(Box<dyn BodyStream>),
}

impl Body {
    /// The length in bytes, if known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Stream(stream) => stream.length(),
        }
    }

    /// True if there is surely no content.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Stream(_) => false,
        }
    }

    /// Makes a stream end with [`BodyError::TooLarge`] once more than `max` bytes came.
    pub fn limit(&mut self, max: u64) {
        *self = match std::mem::take(self) {
            Self::Stream(inner) => Self::Stream(Box::new(Limited { inner, left: max })),
            other => other,
        };
    }

    /// Has `edit` change the trailer fields of a stream when they come.
    pub fn edit_trailers(&mut self, edit: impl Fn(&mut Headers) + 'static) {
        *self = match std::mem::take(self) {
            Self::Stream(inner) => Self::Stream(Box::new(EditedTrailers { inner, edit })),
            other => other,
        };
    }

    /// Reads the whole body, up to `max` bytes.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] past `max`, or what the stream says.
    pub async fn collect(self, max: usize) -> Result<Bytes, BodyError> {
        let mut stream = match self {
            Self::Empty => return Ok(Bytes::new()),
            Self::Bytes(bytes) if bytes.len() > max => return Err(BodyError::TooLarge),
            Self::Bytes(bytes) => return Ok(bytes),
            Self::Stream(stream) => stream,
        };
        let mut all = Vec::new();
        while poll_fn(|cx| stream.poll_fill(cx)).await? {
            let data = stream.data();
            if all.len() + data.len() > max {
                return Err(BodyError::TooLarge);
            }
            all.extend_from_slice(data);
            let taken = data.len();
            stream.consume(taken);
        }
        Ok(all.into())
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(stream) => write!(f, "Stream({:?})", stream.length()),
        }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// See [`Body::limit`].
struct Limited {
    inner: Box<dyn BodyStream>,
    left: u64,
}

impl BodyStream for Limited {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        match self.inner.poll_fill(cx) {
            Poll::Ready(Ok(true)) if self.inner.data().len() as u64 > self.left => {
                Poll::Ready(Err(BodyError::TooLarge))
            }
            other => other,
        }
    }

    fn data(&self) -> &[u8] {
        self.inner.data()
    }

    fn consume(&mut self, n: usize) {
        self.left = self.left.saturating_sub(n as u64);
        self.inner.consume(n);
    }

    fn length(&self) -> Option<u64> {
        self.inner.length()
    }

    fn trailers(&mut self) -> Option<Headers> {
        self.inner.trailers()
    }

    fn poll_background(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_background(cx);
    }
}

/// See [`Body::edit_trailers`].
struct EditedTrailers<F> {
    inner: Box<dyn BodyStream>,
    edit: F,
}

impl<F: Fn(&mut Headers)> BodyStream for EditedTrailers<F> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        self.inner.poll_fill(cx)
    }

    fn data(&self) -> &[u8] {
        self.inner.data()
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
    }

    fn length(&self) -> Option<u64> {
        self.inner.length()
    }

    fn trailers(&mut self) -> Option<Headers> {
        let mut trailers = self.inner.trailers()?;
        (self.edit)(&mut trailers);
        Some(trailers)
    }

    fn poll_background(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_background(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one poll at a time.
    struct Pieces(Vec<&'static [u8]>);

    impl BodyStream for Pieces {
        fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
            Poll::Ready(Ok(!self.0.is_empty()))
        }
        fn data(&self) -> &[u8] {
            self.0.first().copied().unwrap_or_default()
        }
        fn consume(&mut self, n: usize) {
            if let Some(first) = self.0.first_mut() {
                *first = &first[n..];
                if first.is_empty() {
                    self.0.remove(0);
                }
            }
        }
        fn length(&self) -> Option<u64> {
            None
        }
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("not ready"),
        }
    }

    #[test]
    fn collects_up_to_the_limit() {
        let body = || Body::Stream(Box::new(Pieces(vec![b"abc", b"def"])));
        assert_eq!(now(body().collect(6)).unwrap(), "abcdef");
        assert_eq!(now(body().collect(5)), Err(BodyError::TooLarge));
        let limited = |max| {
            let mut body = body();
            body.limit(max);
            body
        };
        assert_eq!(now(limited(6).collect(99)).unwrap(), "abcdef");
        assert_eq!(now(limited(5).collect(99)), Err(BodyError::TooLarge));
        assert_eq!(now(Body::from("abc".to_owned()).collect(2)), Err(BodyError::TooLarge));
    }
}
