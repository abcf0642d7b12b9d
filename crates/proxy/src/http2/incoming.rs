//! What comes in by a stream, whichever side it comes from: content, then trailers.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::RecvStream;
use tollgate_core::{Headers, Known};

use super::fields;
use crate::http1::framing::forbidden_in_trailers;

/// A stream's content and trailers. The sender's window opens as the bytes are used, so that a slow reader holds it back.
pub(crate) struct Incoming {
    stream: RecvStream,
    data: Bytes,
    trailers: Option<Headers>,
    ended: bool,
}

impl Incoming {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, data: Bytes::new(), trailers: None, ended: false }
    }

    /// Waits until there is something at hand (how much is new) or all came (`None`). Trailers for which `keep` is false are
    /// left out, and those that have no place there.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        keep: impl FnMut(Known) -> bool,
    ) -> Poll<Result<Option<usize>, h2::Error>> {
        if !self.data.is_empty() {
            return Poll::Ready(Ok(Some(0)));
        }
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        while let Some(data) = ready!(self.stream.poll_data(cx)).transpose()? {
            if !data.is_empty() {
                let new = data.len();
                self.data = data;
                return Poll::Ready(Ok(Some(new)));
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx))?;
        self.ended = true;
        self.trailers = trailers.map(|map| {
            let mut trailers = fields::from_map(&map, keep);
            trailers.retain(|name, _| !forbidden_in_trailers(Known::of(name), name));
            trailers
        });
        Poll::Ready(Ok(None))
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.data.advance(n.min(self.data.len()));
        // It fails only if more is released than came.
        let _ = self.stream.flow_control().release_capacity(n);
    }

    pub(crate) fn trailers(&mut self) -> Option<Headers> {
        self.trailers.take()
    }
}
