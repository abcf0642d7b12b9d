//! The allocator: mimalloc, asked in its cheapest way.
//!
//! The `mimalloc` crate passes every request through the functions for given alignments, which cost about three times
//! as many instructions as the plain ones and round sizes of more than a kilobyte up. Nearly all requests have an
//! alignment that the plain functions guarantee.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mi;

/// What `mi_malloc` aligns to at least, for sizes of that much and more (`MI_MAX_ALIGN_SIZE`).
const GUARANTEED: usize = 16;

/// mimalloc as the global allocator.
pub(crate) struct Mimalloc;

/// True if the plain functions give a block that is aligned well enough: blocks are at least as aligned as the largest
/// power of two, up to sixteen, that their size reaches.
const fn is_plain(layout: &Layout) -> bool {
    layout.align() <= GUARANTEED && layout.align() <= layout.size()
}

// SAFETY: every method hands the request to the function of mimalloc made for it. Blocks from the plain and from the
// aligned functions alike may be freed by `mi_free` and resized by `mi_realloc` and `mi_realloc_aligned`.
#[allow(unsafe_code, reason = "a global allocator can be made no other way")]
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero, as the caller warrants.
        unsafe {
            if is_plain(&layout) {
                mi::mi_malloc(layout.size()).cast()
            } else {
                mi::mi_malloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            if is_plain(&layout) {
                mi::mi_zalloc(layout.size()).cast()
            } else {
                mi::mi_zalloc_aligned(layout.size(), layout.align()).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the block came from one of the functions above.
        unsafe { mi::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block came from one of the functions above; the new size is not zero, as the caller warrants.
        unsafe {
            if layout.align() <= GUARANTEED && layout.align() <= size {
                mi::mi_realloc(block.cast(), size).cast()
            } else {
                mi::mi_realloc_aligned(block.cast(), size, layout.align()).cast()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
