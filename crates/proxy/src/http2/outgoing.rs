//! Room for what goes out by a stream, whichever side it goes to.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

/// How much of a body is handed to `h2` at once: a frame as large as everybody takes without being asked.
const PIECE: usize = 16 * 1024;

/// Waits for room in the windows, for at most `wanted` bytes or a piece; `None` if the stream takes nothing more.
pub(crate) fn poll_room(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>, wanted: usize) -> Poll<Option<usize>> {
    let wanted = wanted.min(PIECE);
    stream.reserve_capacity(wanted);
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(None),
        }
    }
    Poll::Ready(Some(stream.capacity().min(wanted)))
}
