//! A path, segment by segment: read eight bytes at a time, once for all tables of routes that are asked.

use smallvec::SmallVec;

use super::path_tree::to_usize;

/// Words of a segment kept for comparison: 24 bytes. Longer ones are compared in full besides.
pub(super) const WORDS: usize = 3;
const SLASHES: u64 = 0x2F2F_2F2F_2F2F_2F2F;
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// A segment as read from a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// The first bytes, then zeros.
    pub(super) words: [u64; WORDS],
    /// Where it starts in the path: after its slash.
    pub(super) start: usize,
    /// Where it ends in the path: at the next slash, or the path's end.
    pub(super) end: usize,
    pub(super) hash: u64,
}

/// A path and as many of its segments as were asked for.
pub(super) struct Segments<'p> {
    path: &'p str,
    read: SmallVec<[Segment; 8]>,
}

impl<'p> Segments<'p> {
    pub(super) fn new(path: &'p str) -> Self {
        Segments { path, read: SmallVec::new() }
    }

    pub(super) fn path(&self) -> &'p str {
        self.path
    }

    /// Where the first `count` segments end, all of which have been read.
    pub(super) fn end(&self, count: usize) -> usize {
        count.checked_sub(1).and_then(|last| self.read.get(last)).map_or(0, |segment| segment.end)
    }

    /// The segment at this place, where those before have been read. None when the path ends before, or, as that of
    /// `OPTIONS *`, has no slash there.
    pub(super) fn get(&mut self, nth: usize) -> Option<&Segment> {
        if nth >= self.read.len() {
            let from = self.end(nth);
            if self.path.as_bytes().get(from) != Some(&b'/') {
                return None;
            }
            self.read.push(read(self.path.as_bytes(), from + 1));
        }
        self.read.get(nth)
    }
}

/// Reads the segment that starts at `start`, up to a slash or the end.
pub(super) fn read(path: &[u8], start: usize) -> Segment {
    let mut segment = Segment { words: [0; WORDS], start, end: start, hash: 0 };
    let mut nth = 0;
    loop {
        let word = load(path, segment.end);
        // The lowest bit set here marks the first slash (Hacker's Delight, §6-1).
        let differences = word ^ SLASHES;
        let slashes = differences.wrapping_sub(LOW_BITS) & !differences & HIGH_BITS;
        let bits = slashes.trailing_zeros() & !7;
        let kept = if bits < 64 { word & ((1 << bits) - 1) } else { word };
        segment.hash = (segment.hash.rotate_left(5) ^ kept).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if let Some(place) = segment.words.get_mut(nth) {
            *place = kept;
        }
        nth += 1;
        segment.end += to_usize(bits / 8);
        if bits < 64 {
            return segment;
        }
    }
}

/// Eight bytes from `at`, the first in the lowest bits; past the end there are slashes.
fn load(path: &[u8], at: usize) -> u64 {
    if let Some(bytes) = path.get(at..).and_then(<[u8]>::first_chunk) {
        return u64::from_le_bytes(*bytes);
    }
    let count = path.len().saturating_sub(at);
    if count == 0 {
        return SLASHES;
    }
    let shift = 8 * count; // Under 64, for fewer than eight bytes are left.
    if let Some(bytes) = path.last_chunk() {
        return u64::from_le_bytes(*bytes) >> (64 - shift) | SLASHES << shift;
    }
    let rest = path.get(at..).unwrap_or_default();
    rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)) | SLASHES << shift
}
