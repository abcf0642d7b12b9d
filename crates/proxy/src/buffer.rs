//! Read buffers, held only while there is something in them.
//!
//! Each worker keeps a few emptied ones. A connection that falls idle gives its buffer back, so that ten thousand idle
//! connections cost no buffer at all.

use std::cell::RefCell;

/// What a read asks for at first: sixteen KiB of content and the head before it, so that such an answer takes one read and
/// one write.
pub(crate) const SMALL: usize = 17 * 1024;
/// What a read asks for once a body flows faster than that.
pub(crate) const LARGE: usize = 64 * 1024;

const KEPT_SMALL: usize = 128;
/// Large ones that a worker has at most: whoever comes later reads in small steps. Clients that read slowly could
/// otherwise make it hold one each.
const MAX_LARGE: usize = 16;

#[derive(Default)]
struct Spare {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    /// Large ones in use.
    large_in_use: usize,
}

thread_local! {
    static SPARE: RefCell<Spare> = RefCell::default();
}

/// Takes an empty vector with room for at least [`SMALL`] bytes.
pub(crate) fn take() -> Vec<u8> {
    SPARE.with(|spare| spare.borrow_mut().small.pop()).unwrap_or_else(|| Vec::with_capacity(SMALL))
}

/// A large vector, or a small one if the worker has too many large ones.
fn take_large() -> Vec<u8> {
    let large = SPARE.with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.large_in_use >= MAX_LARGE {
            return None;
        }
        spare.large_in_use += 1;
        Some(spare.large.pop().unwrap_or_else(|| Vec::with_capacity(LARGE)))
    });
    large.unwrap_or_else(take)
}

/// A large vector grows out of its size and will not come back as one.
fn forget_large() {
    SPARE.with(|spare| {
        let mut spare = spare.borrow_mut();
        spare.large_in_use = spare.large_in_use.saturating_sub(1);
    });
}

/// Gives a vector back to the worker.
pub(crate) fn give(mut bytes: Vec<u8>) {
    bytes.clear();
    SPARE.with(|spare| {
        let mut spare = spare.borrow_mut();
        match bytes.capacity() {
            SMALL if spare.small.len() < KEPT_SMALL => spare.small.push(bytes),
            LARGE => {
                spare.large_in_use = spare.large_in_use.saturating_sub(1);
                spare.large.push(bytes);
            }
            _ => {}
        }
    });
}

/// Bytes read from a socket and not yet used.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// The unused bytes.
    pub(crate) fn data(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.bytes.len()
    }

    /// Takes `n` bytes off the front.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// The vector to read into, with room at its end: its spare capacity, which grows when it is full.
    ///
    /// `large` asks for a large vector if this one is empty.
    pub(crate) fn room(&mut self, large: bool) -> &mut Vec<u8> {
        if self.bytes.is_empty() && (self.bytes.capacity() == 0 || (self.bytes.capacity() >= LARGE) != large) {
            give(std::mem::replace(&mut self.bytes, if large { take_large() } else { take() }));
            self.start = 0;
        } else if self.bytes.len() == self.bytes.capacity() {
            self.bytes.drain(..self.start);
            self.start = 0;
            if self.bytes.len() == self.bytes.capacity() {
                if self.bytes.capacity() == LARGE {
                    forget_large();
                }
                self.bytes.reserve(SMALL);
            }
        }
        &mut self.bytes
    }

    /// Gives the vector back if nothing is in it.
    pub(crate) fn release(&mut self) {
        if self.is_empty() && self.bytes.capacity() > 0 {
            give(std::mem::take(&mut self.bytes));
            self.start = 0;
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.capacity() > 0 {
            give(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_used_in_order_and_room_is_made() {
        let mut buffer = Buffer::default();
        buffer.room(false).extend_from_slice(&vec![b'a'; SMALL]);
        buffer.consume(10);
        let room = buffer.room(false);
        assert!(room.capacity() > room.len());
        room.push(b'b');
        assert_eq!(buffer.data().len(), SMALL - 9);
        assert_eq!(buffer.data().last(), Some(&b'b'));
    }

    #[test]
    fn an_empty_buffer_changes_size_as_asked() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.room(false).capacity(), SMALL);
        assert_eq!(buffer.room(true).capacity(), LARGE);
        buffer.room(true).push(1);
        assert_eq!(buffer.room(false).capacity(), LARGE);
        buffer.consume(1);
        assert_eq!(buffer.room(false).capacity(), SMALL);
    }
}
