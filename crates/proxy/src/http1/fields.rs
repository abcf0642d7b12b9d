//! What requests' and answers' heads and trailers have in common: field lines, checked to the last byte.
//!
//! `httparse` finds names and values and refuses control bytes, folded lines and blanks before the colon; it lets a
//! bare LF pass as the end of a line, which other parsers do not. So every line's end is looked at again here.

use std::mem::MaybeUninit;
use std::ops::Range;

use tollgate_core::{Headers, Known};

use super::framing::forbidden_in_trailers;

/// Heads with more fields than this are parsed with a table on the heap.
pub(crate) const INLINE_FIELDS: usize = 100;

/// Where `part`, a slice of `whole`, lies in it.
#[inline]
pub(crate) fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    start..start.wrapping_add(part.len())
}

/// The ranges of a field's name and value, or `None` if its line does not end in CRLF.
#[inline]
pub(crate) fn locate(head: &[u8], name: &str, value: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let name = range_in(head, name.as_bytes());
    // An empty value may point anywhere: its place is behind the colon.
    let value = if value.is_empty() { name.end + 1..name.end + 1 } else { range_in(head, value) };
    let mut end = value.end;
    loop {
        match head.get(end)? {
            b' ' | b'\t' => end += 1,
            b'\r' if head.get(end + 1) == Some(&b'\n') => return Some((name, value)),
            _ => return None,
        }
    }
}

/// True if a LF stands there without a CR before it.
pub(crate) fn has_bare_lf(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| at == 0 || bytes.get(at - 1) != Some(&b'\r'))
}

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

/// Parses a trailer section, its last empty line included; fields that have no place there are left out. `None` if it
/// is malformed.
pub(crate) fn trailers(section: &[u8]) -> Option<Headers> {
    let mut table = [const { httparse::EMPTY_HEADER }; INLINE_FIELDS];
    let Ok(httparse::Status::Complete((length, fields))) = httparse::parse_headers(section, &mut table) else {
        return None;
    };
    if length != section.len() {
        return None;
    }
    let mut trailers = Headers::over(section, fields.len(), 0);
    for field in fields {
        let (name, value) = locate(section, field.name, field.value)?;
        let known = Known::of(field.name.as_bytes());
        if !forbidden_in_trailers(known, field.name.as_bytes()) {
            trailers.push_parsed(known, name, value);
        }
    }
    Some(trailers)
}

/// A table for `httparse` to fill, uninitialized.
pub(crate) type Table<'b> = [MaybeUninit<httparse::Header<'b>>];

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
        assert!(has_bare_lf(b"a\nb"));
        assert!(has_bare_lf(b"\n"));
        assert!(!has_bare_lf(b"a\r\nb"));
    }
}
