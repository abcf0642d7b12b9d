//! Sixteen bytes of a head at a time: which are control bytes, which may stand in a name, which are slashes.
//!
//! The one place in the data plane with `unsafe`: to say that x86-64 has SSE2, and to load sixteen bytes at once from an
//! array of sixteen. Elsewhere the same is computed byte by byte; a test compares the two for every byte at every place.

/// A bit for each byte that is a control byte (below the space, or DEL).
#[inline]
pub(crate) fn controls(block: &[u8; 16]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of x86-64's baseline.
        #[allow(unsafe_code, reason = "see the module's documentation")]
        unsafe {
            sse2::controls(block)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    scalar::controls(block)
}

/// A bit for each byte that is a letter, a digit or `-`: what nearly all names consist of.
#[inline]
pub(crate) fn name_bytes(block: &[u8; 16]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of x86-64's baseline.
        #[allow(unsafe_code, reason = "see the module's documentation")]
        unsafe {
            sse2::name_bytes(block)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    scalar::name_bytes(block)
}

/// A bit for each slash.
#[inline]
pub(crate) fn slashes(block: &[u8; 16]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: SSE2 is part of x86-64's baseline.
        #[allow(unsafe_code, reason = "see the module's documentation")]
        unsafe {
            sse2::slashes(block)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    scalar::slashes(block)
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_max_epu8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8, _mm_sub_epi8,
    };

    #[target_feature(enable = "sse2")]
    #[inline]
    #[allow(unsafe_code, reason = "see the module's documentation")]
    fn load(block: &[u8; 16]) -> __m128i {
        // SAFETY: the sixteen bytes are those of the array, and the load needs no alignment.
        unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn controls(block: &[u8; 16]) -> u32 {
        let bytes = load(block);
        let last = _mm_set1_epi8(0x1f);
        let low = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last), last);
        let delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
        _mm_movemask_epi8(_mm_or_si128(low, delete)).cast_unsigned()
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn slashes(block: &[u8; 16]) -> u32 {
        _mm_movemask_epi8(_mm_cmpeq_epi8(load(block), _mm_set1_epi8(b'/'.cast_signed()))).cast_unsigned()
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn name_bytes(block: &[u8; 16]) -> u32 {
        let bytes = load(block);
        // Bytes from `first` on are counted from it; those within `span` keep their value under the minimum.
        let within = |bytes, first: u8, span: u8| {
            let from = _mm_sub_epi8(bytes, _mm_set1_epi8(first.cast_signed()));
            _mm_cmpeq_epi8(_mm_min_epu8(from, _mm_set1_epi8(span.cast_signed())), from)
        };
        let letters = within(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), b'a', 25);
        let digits = within(bytes, b'0', 9);
        let dashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'-'.cast_signed()));
        _mm_movemask_epi8(_mm_or_si128(letters, _mm_or_si128(digits, dashes))).cast_unsigned()
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod scalar {
    pub(super) fn controls(block: &[u8; 16]) -> u32 {
        mark(block, |byte| matches!(byte, 0..0x20 | 0x7f))
    }

    pub(super) fn slashes(block: &[u8; 16]) -> u32 {
        mark(block, |byte| byte == b'/')
    }

    pub(super) fn name_bytes(block: &[u8; 16]) -> u32 {
        mark(block, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }

    fn mark(block: &[u8; 16], is: impl Fn(u8) -> bool) -> u32 {
        block.iter().enumerate().fold(0, |marks, (at, byte)| marks | (u32::from(is(*byte)) << at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_say_what_single_bytes_say() {
        for byte in 0..=255 {
            for at in 0..16 {
                for around in [b'a', 0, 0x7f, b'-', 0x80, 0xff, b' ', b'/'] {
                    let mut block = [around; 16];
                    block[at] = byte;
                    assert_eq!(controls(&block), scalar::controls(&block), "{byte} at {at}");
                    assert_eq!(slashes(&block), scalar::slashes(&block), "{byte} at {at}");
                    assert_eq!(name_bytes(&block), scalar::name_bytes(&block), "{byte} at {at}");
                }
            }
        }
    }
}
