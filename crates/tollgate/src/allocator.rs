//! The allocator: mimalloc, asked in its cheapest way, behind a [`Shelf`] of warm blocks on the workers.
//!
//! The `mimalloc` crate passes every request through the functions for given alignments, which cost about three times
//! as many instructions as the plain ones and round sizes of more than a kilobyte up. Nearly all requests have an
//! alignment that the plain functions guarantee.

mod shelf;

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mi;
use shelf::{STEP, Shelf};

/// mimalloc as the global allocator.
pub(crate) struct Mimalloc;

thread_local! {
    static SHELF: Shelf = const { Shelf::new() };
}

/// From now on this thread keeps small blocks that it frees, to use them again. For threads that run as long as the
/// process.
pub(crate) fn keep_blocks() {
    SHELF.with(Shelf::open);
}

/// The size that is asked of mimalloc, rounded up whichever thread asks: any thread may free and keep the block.
const fn rounded(size: usize) -> usize {
    // Not `next_multiple_of`, which divides; sizes are at most `isize::MAX`.
    (size + (STEP - 1)) & !(STEP - 1)
}

/// True if the plain functions give a block that is aligned well enough: `mi_malloc` aligns sizes of sixteen and more to
/// sixteen (`MI_MAX_ALIGN_SIZE`).
const fn is_plain(layout: &Layout) -> bool {
    layout.align() <= STEP
}

// SAFETY: every method hands the request to the function of mimalloc made for it, or takes a block from the shelf, where
// only blocks of the plain functions, of the same rounded size, are put. Blocks from the plain and from the aligned
// functions alike may be freed by `mi_free` and resized by `mi_realloc` and `mi_realloc_aligned`.
#[allow(unsafe_code, reason = "a global allocator can be made no other way")]
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero, as the caller warrants.
        unsafe {
            if !is_plain(&layout) {
                return mi::mi_malloc_aligned(layout.size(), layout.align()).cast();
            }
            let size = rounded(layout.size());
            let kept = SHELF.with(|shelf| shelf.take(size));
            if kept.is_null() { mi::mi_malloc(size).cast() } else { kept }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            if is_plain(&layout) {
                mi::mi_zalloc(rounded(layout.size())).cast()
            } else {
                mi::mi_zalloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from one of the functions above; if plain, it has the rounded size and is aligned.
        unsafe {
            if !is_plain(&layout) || !SHELF.with(|shelf| shelf.put(block, rounded(layout.size()))) {
                mi::mi_free(block.cast());
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block came from one of the functions above; the new size is not zero, as the caller warrants.
        unsafe {
            if is_plain(&layout) {
                mi::mi_realloc(block.cast(), rounded(size)).cast()
            } else {
                mi::mi_realloc_aligned(block.cast(), size, layout.align()).cast()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks that one thread takes and others free, with what is in them, while all keep theirs.
    #[test]
    fn blocks_keep_their_contents_whoever_frees_them() {
        let (sender, receiver) = std::sync::mpsc::channel::<(Vec<u8>, u8)>();
        let free = std::thread::spawn(move || {
            keep_blocks();
            for (block, mark) in receiver {
                let own = vec![!mark; block.len()];
                assert!(block.iter().all(|byte| *byte == mark) && own.iter().all(|byte| *byte == !mark));
            }
        });
        keep_blocks();
        let mut held = std::collections::VecDeque::new();
        for round in 0..200_000_usize {
            let mark = u8::try_from(round % 251).unwrap();
            let mut block = vec![mark; 1 + round * 7 % 1100];
            block.resize(block.len() + round % 40, mark);
            held.push_back((block, mark));
            if held.len() > 50 {
                let (block, mark) = held.pop_front().unwrap();
                assert!(block.iter().all(|byte| *byte == mark));
                if round % 3 == 0 {
                    sender.send((block, mark)).unwrap();
                }
            }
        }
        drop(sender);
        free.join().unwrap();
    }

    /// Every size and alignment that types have: aligned as asked, and its contents kept when it grows and shrinks.
    #[test]
    #[allow(unsafe_code, reason = "the allocator's interface is unsafe")]
    fn blocks_are_aligned_and_keep_their_contents() {
        for align in [1, 2, 4, 8, 16, 32, 64, 128, 4096] {
            for size in (1..200).chain([1000, 1024, 1025, 1520, 4095, 16 * 1024, 64 * 1024, 1 << 20]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the size is not zero, and each block is used within its size and freed once.
                unsafe {
                    let block = Mimalloc.alloc(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                    block.write_bytes(0xa5, size);
                    let larger = Mimalloc.realloc(block, layout, size * 2);
                    assert!(!larger.is_null() && larger.addr().is_multiple_of(align), "{layout:?} doubled");
                    assert_eq!((larger.read(), larger.add(size - 1).read()), (0xa5, 0xa5));
                    Mimalloc.dealloc(larger, Layout::from_size_align(size * 2, align).unwrap());
                    let zeroed = Mimalloc.alloc_zeroed(layout);
                    assert!(zeroed.addr().is_multiple_of(align) && (0..size).all(|at| zeroed.add(at).read() == 0));
                    Mimalloc.dealloc(zeroed, layout);
                }
            }
        }
    }
}
