//! A path, segment by segment: read eight bytes at a time, once for all tables of routes that are asked.

use smallvec::SmallVec;

use super::path_tree::to_usize;

/// Words of a label kept in its node: 24 bytes. Longer ones are compared in full besides.
pub(super) const WORDS: usize = 3;
const SLASHES: u64 = 0x2F2F_2F2F_2F2F_2F2F;
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// A segment as read from a path. Small, and of single words, so that it is never copied through memory in pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// Where it starts in the path: after its slash.
    pub(super) start: usize,
    /// Where it ends in the path: at the next slash, or the path's end.
    pub(super) end: usize,
    pub(super) hash: u64,
}

impl Segment {
    /// Whether the segment's first bytes are those of a label of the same length.
    pub(super) fn starts_like(self, path: &[u8], label: &[u64; WORDS]) -> bool {
        let mut at = self.start;
        for word in label {
            if at >= self.end {
                return true;
            }
            if first_bytes(load(path, at), self.end - at) != *word {
                return false;
            }
            at += 8;
        }
        true
    }
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

    /// The segment after the one that ends at `from`. None when the path ends there, or, as that of `OPTIONS *`, has no
    /// slash there.
    pub(super) fn get(&mut self, from: usize) -> Option<Segment> {
        if let Some(known) = self.read.iter().find(|known| known.start == from + 1) {
            return Some(*known);
        }
        let path = self.path.as_bytes();
        if path.get(from) != Some(&b'/') {
            return None;
        }
        let segment = read(path, from + 1);
        self.read.push(segment);
        Some(segment)
    }
}

/// Reads the segment that starts at `start`, up to a slash or the end.
pub(super) fn read(path: &[u8], start: usize) -> Segment {
    let (mut end, mut hash) = (start, 0_u64);
    loop {
        let word = load(path, end);
        // The lowest bit set here marks the first slash (Hacker's Delight, §6-1).
        let differences = word ^ SLASHES;
        let slashes = differences.wrapping_sub(LOW_BITS) & !differences & HIGH_BITS;
        let count = to_usize(slashes.trailing_zeros() / 8);
        hash = (hash.rotate_left(5) ^ first_bytes(word, count)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        end += count;
        if count < 8 {
            return Segment { start, end, hash };
        }
    }
}

/// The first bytes of a label, then zeros.
pub(super) fn label(text: &[u8]) -> [u64; WORDS] {
    std::array::from_fn(|nth| first_bytes(load(text, nth * 8), text.len().saturating_sub(nth * 8)))
}

/// A word with all but so many bytes zeroed.
fn first_bytes(word: u64, count: usize) -> u64 {
    if count < 8 { word & ((1 << (8 * count)) - 1) } else { word }
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
