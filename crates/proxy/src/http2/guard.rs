//! Looks at what a client sends before `h2` does, and bounds what costs the client nothing and us something: floods of
//! PING, SETTINGS, PRIORITY, RST_STREAM, WINDOW_UPDATE, CONTINUATION and empty DATA frames (CVE-2019-9511 to -9518,
//! CVE-2023-44487, CVE-2024-27316).
//!
//! Every such frame is paid for from an account. It fills by time, by what the client has us send (whoever downloads must
//! open windows), and by requests, around which clients of gRPC send some. An account that is overdrawn ends the connection.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffer::Buffer;
use crate::stream::Stream;
use crate::timer::coarse_now;

/// What a connection begins with (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's header.
const HEADER: usize = 9;

/// Frames that an account holds at most.
const FULL: u64 = 1000;
/// Frames that it gains in a second.
const REFILL: u64 = 100;
/// Bytes sent that gain one more.
const BYTES_A_FRAME: u64 = 1024;
/// Frames that a request gains.
const REQUEST_GAIN: u64 = 5;
/// What a cancelled request costs, which made us begin with it.
const CANCEL_PRICE: u64 = 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

/// A flag: the field block ends with this frame.
const END_HEADERS: u8 = 4;

/// What is known of a connection's frames, shared with whoever serves it.
#[derive(Default)]
pub(crate) struct Watch {
    /// It sent more cheap frames than it may.
    overdrawn: Cell<bool>,
    /// Its first frame is not SETTINGS.
    misbegun: Cell<bool>,
    /// A field block has begun and its last byte has not come.
    in_block: Cell<bool>,
}

impl Watch {
    /// Why the connection is to be cut, if it is.
    pub(crate) const fn cut(&self) -> Option<Reason> {
        match (self.misbegun.get(), self.overdrawn.get()) {
            (true, _) => Some(Reason::PROTOCOL_ERROR),
            (_, true) => Some(Reason::ENHANCE_YOUR_CALM),
            _ => None,
        }
    }

    pub(crate) const fn is_in_block(&self) -> bool {
        self.in_block.get()
    }
}

/// A client's connection, looked at on its way to `h2`.
pub(crate) struct Guard {
    stream: Stream,
    /// What was read before it was known to be HTTP/2.
    first: Buffer,
    frames: Frames,
    watch: Rc<Watch>,
    account: u64,
    settled: Instant,
    sent: u64,
}

impl Guard {
    pub(crate) fn new(stream: Stream, first: Buffer, watch: Rc<Watch>) -> Self {
        Self { stream, first, frames: Frames::default(), watch, account: FULL, settled: coarse_now(), sent: 0 }
    }

    /// Follows what came; false if the client is to be cut off.
    fn follow(&mut self, bytes: &[u8]) -> bool {
        let Self { frames, watch, account, .. } = self;
        let (mut price, mut gain) = (0, 0);
        frames.follow(bytes, |frame| {
            if frame.first && (frame.kind != SETTINGS || frame.stream != 0 || frame.flags & 1 != 0) {
                watch.misbegun.set(true);
            }
            price += frame.price();
            gain += if frame.kind == HEADERS { REQUEST_GAIN } else { 0 };
        });
        watch.in_block.set(frames.is_in_block());
        *account = account.saturating_add(gain).min((*account).max(FULL));
        if price > *account {
            self.settle();
        }
        let paid = self.account.checked_sub(price);
        self.account = paid.unwrap_or(0);
        self.watch.overdrawn.set(paid.is_none());
        self.watch.cut().is_none()
    }

    /// Adds what was gained since the last time.
    fn settle(&mut self) {
        let now = coarse_now();
        let elapsed = u64::try_from(now.saturating_duration_since(self.settled).as_millis()).unwrap_or(u64::MAX);
        let gained = (elapsed.saturating_mul(REFILL) / 1000).saturating_add(self.sent / BYTES_A_FRAME);
        self.account = self.account.saturating_add(gained).min(FULL.max(self.sent / BYTES_A_FRAME));
        (self.settled, self.sent) = (now, 0);
    }
}

impl AsyncRead for Guard {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.watch.cut().is_some() {
            // A request that was read before is begun with first, and then comes this again.
            return Poll::Pending;
        }
        let before = room.filled().len();
        if guard.first.is_empty() {
            ready!(Pin::new(&mut guard.stream).poll_read(cx, room))?;
        } else {
            let n = guard.first.data().len().min(room.remaining());
            room.put_slice(guard.first.data().get(..n).unwrap_or_default());
            guard.first.consume(n);
            guard.first.release();
        }
        if guard.follow(room.filled().get(before..).unwrap_or_default()) {
            return Poll::Ready(Ok(()));
        }
        // `h2` sees nothing of it; whoever serves the connection is being polled now and sees why.
        room.set_filled(before);
        Poll::Pending
    }
}

impl AsyncWrite for Guard {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let polled = Pin::new(&mut guard.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n)) = &polled {
            guard.sent = guard.sent.saturating_add(*n as u64);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A frame's header.
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
    /// It is the connection's first.
    first: bool,
}

impl Frame {
    /// What it costs the client. Requests and content are bounded elsewhere.
    const fn price(&self) -> u64 {
        match self.kind {
            HEADERS => 0,
            DATA if self.length > 0 => 0,
            RST_STREAM => CANCEL_PRICE,
            _ => 1,
        }
    }
}

/// Where in the row of frames a connection is.
struct Frames {
    /// Bytes of the preface or of a frame's content that are still to pass.
    skip: usize,
    header: [u8; HEADER],
    have: usize,
    any: bool,
    block: Block,
}

/// Where in a field block a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Outside,
    /// Further frames belong to it.
    Inside,
    /// It ends with this frame.
    Last,
}

impl Default for Frames {
    fn default() -> Self {
        Self { skip: PREFACE.len(), header: [0; HEADER], have: 0, any: false, block: Block::Outside }
    }
}

impl Frames {
    /// True if a field block has begun and its last byte has not come.
    fn is_in_block(&self) -> bool {
        self.block == Block::Inside || self.block == Block::Last && self.skip > 0
    }

    /// Follows the bytes that came; tells each frame's header.
    fn follow(&mut self, mut bytes: &[u8], mut tell: impl FnMut(&Frame)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            let n = (HEADER - self.have).min(bytes.len());
            let (head, rest) = bytes.split_at_checked(n).unwrap_or_default();
            if let Some(place) = self.header.get_mut(self.have..self.have + n) {
                place.copy_from_slice(head);
            }
            self.have += n;
            bytes = rest;
            if self.have < HEADER {
                return;
            }
            self.have = 0;
            let [a, b, c, kind, flags, stream @ ..] = self.header;
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
            let first = !std::mem::replace(&mut self.any, true);
            self.block = match kind {
                HEADERS | CONTINUATION if flags & END_HEADERS == 0 => Block::Inside,
                HEADERS | CONTINUATION => Block::Last,
                _ => Block::Outside,
            };
            tell(&Frame { length, kind, flags, stream, first });
            self.skip = length;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        let mut bytes = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.resize(HEADER + length, 0x55);
        bytes
    }

    #[test]
    fn frames_are_followed_however_they_are_cut() {
        let all: Vec<u8> =
            [PREFACE.to_vec(), frame(4, 0, 0, 12), frame(1, 4, 1, 300), frame(0, 1, 1, 0), frame(6, 0, 0, 8)].concat();
        for size in [1, 2, 7, 9, 10, 100, 1000] {
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for piece in all.chunks(size) {
                frames.follow(piece, |frame| seen.push((frame.kind, frame.stream, frame.length, frame.first)));
            }
            assert_eq!(seen, [(4, 0, 12, true), (1, 1, 300, false), (0, 1, 0, false), (6, 0, 8, false)], "{size}");
        }
    }

    #[test]
    fn a_block_ends_with_its_last_byte() {
        let mut frames = Frames::default();
        let mut after = |bytes: &[u8]| {
            frames.follow(bytes, |_| {});
            frames.is_in_block()
        };
        assert!(!after(&[PREFACE.to_vec(), frame(4, 0, 0, 12)].concat()));
        assert!(after(&frame(1, 0, 1, 5)), "more must follow");
        let (last, end) = (frame(9, END_HEADERS, 1, 2), 1);
        assert!(after(&last[..last.len() - end]), "a byte is missing");
        assert!(!after(&last[last.len() - end..]));
    }

    #[test]
    fn who_is_cut_off_is_heard_no_more() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::net::UnixStream::pair().unwrap();
            let watch = Rc::<Watch>::default();
            let mut guard = Guard::new(Stream::Unix(near), Buffer::default(), watch.clone());
            let mut room = vec![0; 64 * 1024];
            let flood = [PREFACE.to_vec(), frame(4, 0, 0, 0), frame(6, 0, 0, 8).repeat(2000)].concat();
            far.write_all(&flood).await.unwrap();
            let wait = Duration::from_millis(50);
            assert!(tokio::time::timeout(wait, guard.read(&mut room)).await.is_err());
            assert_eq!(watch.cut(), Some(Reason::ENHANCE_YOUR_CALM));
            // It could pay for this, but what came before is missing.
            far.write_all(&frame(1, END_HEADERS, 1, 5)).await.unwrap();
            assert!(tokio::time::timeout(wait, guard.read(&mut room)).await.is_err());
            assert_eq!(watch.cut(), Some(Reason::ENHANCE_YOUR_CALM));
        });
    }

    #[test]
    fn what_is_cheap_has_a_price() {
        let price = |kind, length| Frame { length, kind, flags: 0, stream: 1, first: false }.price();
        assert_eq!((price(DATA, 1), price(HEADERS, 0)), (0, 0));
        assert_eq!((price(DATA, 0), price(6, 8), price(200, 0), price(RST_STREAM, 4)), (1, 1, 1, CANCEL_PRICE));
    }
}
