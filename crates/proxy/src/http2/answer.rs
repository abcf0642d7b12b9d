//! Sends an answer over a stream, as fast as the client's windows open.

use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http::header::{CONTENT_LENGTH, DATE, HeaderValue};
use tollgate_core::{Body, BodyStream, Response};

use super::caller::Stream;
use super::fields;
use super::outgoing;
use crate::caller::Caller;
use crate::record::Sent;
use crate::timer::Wait;
use crate::worker::Worker;

/// Sends `response` whole, or as far as both sides let it come; it answers a request for a `head` alone.
pub(crate) async fn answer(worker: &Worker, stream: &Stream, response: &mut Response, head: bool) -> Sent {
    let status = response.status;
    let map = head_fields(worker, response, head);
    let silent = head || matches!(status.as_u16(), 204 | 304);
    let mut body = if silent { Body::Empty } else { std::mem::take(&mut response.body) };
    let mut message = http::Response::new(());
    *message.status_mut() = status;
    *message.headers_mut() = map;
    let mut bytes = message.headers().iter().map(|(name, value)| (name.as_str().len() + value.len()) as u64).sum();
    let sent = |bytes, complete| Sent { status, bytes, complete, keep_alive: true };
    if !stream.send_head(message, body.is_empty()) {
        return sent(0, false);
    }
    let mut sending = Sending { stream, bytes: &mut bytes };
    let complete = match &mut body {
        Body::Empty => true,
        Body::Bytes(data) if data.is_empty() => true,
        Body::Bytes(data) => sending.all(std::mem::take(data)).await,
        Body::Stream(body) => sending.stream(&mut **body).await,
    };
    if !complete {
        // The missing end shows that it was not all.
        stream.reset(Reason::INTERNAL_ERROR);
    }
    sent(bytes, complete)
}

fn head_fields(worker: &Worker, response: &Response, head: bool) -> http::HeaderMap {
    let mut map = fields::to_map(&response.headers);
    if !map.contains_key(DATE)
        && let Ok(date) = HeaderValue::from_str(&worker.date_for(response))
    {
        map.insert(DATE, date);
    }
    let length = match response.declared_length {
        Some(length) => Some(length),
        None if response.status.as_u16() == 204 => None,
        None if (head || response.status.as_u16() == 304) && matches!(response.body, Body::Empty) => None,
        None => response.body.length(),
    };
    if let Some(length) = length {
        map.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    map
}

/// A body on its way.
struct Sending<'a> {
    stream: &'a Stream,
    bytes: &'a mut u64,
}

impl Sending<'_> {
    /// Sends bytes at hand; false if the client is gone.
    async fn all(&mut self, mut data: Bytes) -> bool {
        while !data.is_empty() {
            let Some(room) = poll_fn(|cx| self.poll_room(cx, data.len())).await else { return false };
            let piece = data.split_to(room.min(data.len()));
            if !self.give(piece, data.is_empty()) {
                return false;
            }
        }
        true
    }

    /// Sends a body as it comes, then its trailers; false if it could not be sent to its end.
    async fn stream(&mut self, body: &mut dyn BodyStream) -> bool {
        loop {
            match poll_fn(|cx| body.poll_fill(cx)).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => return false,
            }
            let room = poll_fn(|cx| {
                let room = self.poll_room(cx, body.data().len());
                if room.is_pending() {
                    body.poll_background(cx);
                }
                room
            });
            let Some(room) = room.await else { return false };
            let data = body.data();
            let piece = Bytes::copy_from_slice(data.get(..room).unwrap_or(data));
            body.consume(piece.len());
            if !self.give(piece, false) {
                return false;
            }
        }
        match body.trailers() {
            Some(trailers) if !trailers.is_empty() => {
                let map = fields::to_map(&trailers);
                self.stream.with_body(|stream| stream.send_trailers(map).is_ok()).unwrap_or(false)
            }
            _ => self.give(Bytes::new(), true),
        }
    }

    /// Waits for room in the windows, for at most `wanted` bytes; `None` if the client is gone, or lets nothing through
    /// for as long as an idle one may be silent.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Option<usize>> {
        let polled = self.stream.with_body(|stream| outgoing::poll_room(stream, cx, wanted));
        let polled = polled.unwrap_or(Poll::Ready(None));
        let deadline = self.stream.deadline();
        if polled.is_ready() {
            deadline.done(Wait::ClientWrite);
            return polled;
        }
        let limit = self.stream.peer().listener.limits.idle_timeout;
        if deadline.overdue(Wait::ClientWrite, limit, cx) || deadline.is_over(Wait::Total) {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn give(&mut self, piece: Bytes, end: bool) -> bool {
        *self.bytes += piece.len() as u64;
        self.stream.with_body(|stream| stream.send_data(piece, end).is_ok()).unwrap_or(false)
    }
}
