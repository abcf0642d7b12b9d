//! Freed blocks of a worker, to be used again last in, first out.
//!
//! mimalloc hands the blocks of a page out in turn: by the time one is used again, those of a hundred others were, and
//! it is in no near cache any more. A request takes a dozen small blocks and gives them back. Taken from the top of a
//! stack they are still warm, and taking one costs a few instructions.
//!
//! A free block's first word is the link to the next. The stacks belong to one thread; blocks may come from any.

#![allow(unsafe_code, reason = "a free block holds the link to the next, and only the allocator may look into it")]

use std::cell::Cell;
use std::ptr;

/// Sizes are rounded up to multiples of this, so that a block serves every size of its class.
pub(super) const STEP: usize = 16;
/// Larger blocks are not kept.
const LARGEST: usize = 1024;
/// Blocks kept of each size at most: all sizes together 2 MiB a worker, if all were in use.
const KEPT: u32 = 64;

/// What is kept of one size.
struct Stack {
    top: Cell<*mut Block>,
    count: Cell<u32>,
}

/// A free block.
struct Block {
    below: *mut Block,
}

/// A thread's stacks, one for each size.
pub(super) struct Shelf {
    /// Nothing is kept before [`Shelf::open`].
    open: Cell<bool>,
    stacks: [Stack; LARGEST / STEP],
}

impl Shelf {
    pub(super) const fn new() -> Self {
        let stacks = [const { Stack { top: Cell::new(ptr::null_mut()), count: Cell::new(0) } }; LARGEST / STEP];
        Self { open: Cell::new(false), stacks }
    }

    /// From now on blocks are kept. For threads that run as long as the process: what they keep is not given back.
    pub(super) fn open(&self) {
        self.open.set(true);
    }

    /// The stack for blocks of this size, rounded up before.
    #[inline]
    fn stack(&self, size: usize) -> Option<&Stack> {
        self.stacks.get((size / STEP).wrapping_sub(1))
    }

    /// A block of at least `size` bytes, a multiple of [`STEP`]; null if none is at hand.
    #[inline]
    pub(super) fn take(&self, size: usize) -> *mut u8 {
        let Some(stack) = self.stack(size) else { return ptr::null_mut() };
        let top = stack.top.get();
        if !top.is_null() {
            // SAFETY: what is on the stack was put there by `put`, belongs to nobody else, and begins with its link.
            stack.top.set(unsafe { (*top).below });
            stack.count.set(stack.count.get() - 1);
        }
        top.cast()
    }

    /// Keeps a block; false if it is not wanted.
    ///
    /// # Safety
    /// The block has `size` bytes, a multiple of [`STEP`], is aligned to [`STEP`], and nobody uses it any more.
    #[inline]
    pub(super) unsafe fn put(&self, block: *mut u8, size: usize) -> bool {
        let Some(stack) = self.stack(size) else { return false };
        if stack.count.get() >= KEPT || !self.open.get() {
            return false;
        }
        #[allow(clippy::cast_ptr_alignment, reason = "the caller warrants the alignment")]
        let block = block.cast::<Block>();
        // SAFETY: the block is large enough for a link, aligned, and free, as the caller warrants.
        unsafe { block.write(Block { below: stack.top.get() }) };
        stack.top.set(block);
        stack.count.set(stack.count.get() + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::GlobalAlloc;
    use std::alloc::{Layout, System};

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, STEP).unwrap()
    }

    /// Runs under Miri as well: `cargo +nightly miri test -p tollgate shelf`.
    #[test]
    fn the_last_block_in_is_the_first_out() {
        let shelf = Shelf::new();
        // SAFETY: blocks come from the system's allocator with the sizes said, and each is put once while free.
        unsafe {
            let [one, two, other] = [32, 32, 1024].map(|size| System.alloc(layout(size)));
            assert!(!shelf.put(one, 32), "nothing is kept yet");
            shelf.open();
            assert!(shelf.put(one, 32) && shelf.put(two, 32) && shelf.put(other, 1024));
            assert_eq!(shelf.take(48), ptr::null_mut());
            assert_eq!((shelf.take(32), shelf.take(32), shelf.take(32)), (two, one, ptr::null_mut()));
            assert_eq!(shelf.take(1024), other);
            assert!(!shelf.put(other, 1040) && shelf.take(0).is_null() && shelf.take(1040).is_null());
            for (block, size) in [(one, 32), (two, 32), (other, 1024)] {
                System.dealloc(block, layout(size));
            }
        }
    }

    #[test]
    fn no_more_are_kept_than_said() {
        let shelf = Shelf::new();
        shelf.open();
        // SAFETY: as above.
        unsafe {
            let blocks: Vec<*mut u8> = (0..KEPT + 1).map(|_| System.alloc(layout(64))).collect();
            let kept = blocks.iter().filter(|block| shelf.put(**block, 64)).count();
            assert_eq!(kept, KEPT as usize);
            assert_eq!(std::iter::from_fn(|| Some(shelf.take(64)).filter(|block| !block.is_null())).count(), kept);
            blocks.iter().for_each(|block| System.dealloc(*block, layout(64)));
        }
    }
}
