//! What requests' and answers' heads and trailers have in common besides their lines.

use tollgate_core::Headers;

use super::framing::forbidden_in_trailers;
use super::head::{self, HeadError};

/// The most fields that `Connection` may name besides the options we know: each is searched for.
pub(super) const MAX_NOMINATED: usize = 32;

/// The most fields in a trailer section.
const MAX_TRAILERS: usize = 100;

/// True if `bytes` hold an end of a head in any spelling, so that a parser can say something final about it. The
/// search begins a little before `from`, where the last one ended.
pub(crate) fn may_be_complete(bytes: &[u8], from: usize) -> bool {
    let start = from.saturating_sub(3);
    let tail = bytes.get(start..).unwrap_or_default();
    memchr::memchr_iter(b'\n', tail).any(|at| matches!(tail.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

/// The comma-separated elements of a list field (RFC 9110 §5.6.1), empty ones left out.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Parses a trailer section from `bytes`; fields that have no place there are left out. Gives its length, the last empty
/// line included, or `None` if it is not complete.
///
/// # Errors
/// If it is malformed.
pub(crate) fn trailers(bytes: &[u8]) -> Result<Option<(usize, Headers)>, HeadError> {
    let mut trailers = Headers::new();
    let length = head::fields(bytes, 0, MAX_TRAILERS, |field| {
        if !forbidden_in_trailers(field.known, field.name) {
            field.push_to(&mut trailers);
        }
        Ok::<(), HeadError>(())
    })?;
    let Some(length) = length else { return Ok(None) };
    trailers.attach(bytes.get(..length).unwrap_or_default(), 0);
    Ok(Some((length, trailers)))
}

/// `Content-Length` of RFC 9110 §8.6: digits only, once.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    // Nineteen digits fit into 64 bits, so there is no overflow to check.
    if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_digits_and_nothing_else() {
        assert_eq!(content_length(b"0"), Some(0));
        assert_eq!(content_length(b"0042"), Some(42));
        assert_eq!(content_length(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        for bad in ["", "+1", "-1", " 1", "1 ", "0x1", "1,1", "1e3", "99999999999999999999", "１"] {
            assert_eq!(content_length(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn an_end_is_seen_across_reads() {
        assert!(may_be_complete(b"GET / HTTP/1.1\r\n\r\n", 0));
        assert!(may_be_complete(b"a\r\n\r\n", 4));
        assert!(may_be_complete(b"a\n\n", 2));
        assert!(!may_be_complete(b"a\r\nb\r\n", 0));
    }
}
