//! The lines of a head, in one pass: what `httparse` does, as strict as this gateway needs it and with nothing to check
//! again afterwards (RFC 9112 §2 to §5).
//!
//! Lines end in CRLF and nothing else; no control byte but the tab stands in them; a name is a token right before its
//! colon; lines are not folded. Each field comes out with its kind and its place, ready for [`Headers`].

use std::ops::Range;

use tollgate_core::headers::TOKEN;
use tollgate_core::{Headers, Known};

use crate::simd;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// A control byte, or a line that does not end in CRLF.
    Control,
    /// A field without a colon, with a name that is no token, or folded.
    Name,
    /// More fields than allowed.
    TooMany,
}

/// A field as it stands in the head.
#[derive(Clone, Debug)]
pub(crate) struct Field<'b> {
    pub(crate) known: Known,
    pub(crate) name: &'b [u8],
    pub(crate) value: &'b [u8],
    name_at: usize,
    value_at: usize,
    /// It stands there as it would be written: one space after the colon, none at the end.
    canonical: bool,
}

impl Field<'_> {
    /// Enters the field into a list that is made over the same head.
    #[inline]
    pub(crate) fn push_to(&self, fields: &mut Headers) {
        let name = self.name_at..self.name_at + self.name.len();
        let value = self.value_at..self.value_at + self.value.len();
        fields.push_parsed(self.known, name, value, self.canonical);
    }
}

/// Where the line that begins at `from` ends: the place of its CRLF. `None` if that has not come yet.
///
/// # Errors
/// [`HeadError::Control`] at the first byte that must not stand in a line.
#[inline]
pub(crate) fn line_end(bytes: &[u8], from: usize) -> Result<Option<usize>, HeadError> {
    let mut at = from;
    loop {
        at += plain_run(bytes.get(at..).unwrap_or_default());
        match bytes.get(at..) {
            None | Some([] | [b'\r']) => return Ok(None),
            Some([b'\r', b'\n', ..]) => return Ok(Some(at)),
            Some([b'\t', ..]) => at += 1,
            Some(_) => return Err(HeadError::Control),
        }
    }
}

/// How many bytes at the front are no control bytes.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    let mut run = 0;
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        let found = simd::controls(block);
        if found != 0 {
            return run + found.trailing_zeros() as usize;
        }
        run += 16;
    }
    run + rest.iter().position(|byte| matches!(byte, 0..0x20 | 0x7f)).unwrap_or(rest.len())
}

/// How many bytes at the front may stand in a name, and its kind. Names of letters, digits and dashes are seen at a
/// glance.
#[allow(clippy::indexing_slicing, reason = "a table of 256, indexed by bytes")]
#[inline]
fn name(text: &[u8]) -> (usize, Known) {
    if let Some(block) = text.first_chunk::<16>() {
        let length = simd::name_bytes(block).trailing_ones() as usize;
        if text.get(length) == Some(&b':') {
            return (length, Known::of_plain(text.get(..length).unwrap_or_default()));
        }
    }
    let length = text.iter().position(|byte| !TOKEN[usize::from(*byte)]).unwrap_or(text.len());
    (length, Known::of(text.get(..length).unwrap_or_default()))
}

/// Reads the field lines from `from` on, at most `max` of them, and hands each to `take`; gives the length of the head,
/// its empty line included, or `None` if it is not complete.
///
/// # Errors
/// What is wrong with the head, or what `take` says.
#[inline]
pub(crate) fn fields<'b, E: From<HeadError>>(
    bytes: &'b [u8],
    from: usize,
    max: usize,
    mut take: impl FnMut(&Field<'b>) -> Result<(), E>,
) -> Result<Option<usize>, E> {
    let mut start = from;
    let mut count = 0;
    loop {
        let Some(end) = line_end(bytes, start)? else { return Ok(None) };
        if end == start {
            return Ok(Some(end + 2));
        }
        count += 1;
        if count > max {
            return Err(HeadError::TooMany.into());
        }
        take(&field(bytes, start..end)?)?;
        start = end + 2;
    }
}

/// Takes a field line apart.
#[inline(always)]
fn field(bytes: &[u8], line: Range<usize>) -> Result<Field<'_>, HeadError> {
    let text = bytes.get(line.clone()).unwrap_or_default();
    let (length, known) = name(text);
    let Some((name @ [_, ..], [b':', rest @ ..])) = text.split_at_checked(length) else { return Err(HeadError::Name) };
    // The form in which nearly all fields come.
    if let [b' ', value @ ..] = rest
        && let ([first, ..], [.., last]) = (value, value)
        && !is_blank(*first)
        && !is_blank(*last)
    {
        return Ok(Field {
            known,
            name,
            value,
            name_at: line.start,
            value_at: line.start + length + 2,
            canonical: true,
        });
    }
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    let value = rest.get(blanks..).unwrap_or_default();
    let trailing = value.iter().rev().take_while(|byte| is_blank(**byte)).count();
    let value = value.get(..value.len() - trailing).unwrap_or_default();
    Ok(Field { known, name, value, name_at: line.start, value_at: line.start + length + 1 + blanks, canonical: false })
}

const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Length, and fields as name, value and whether they are canonical.
    type Read = Option<(usize, Vec<(String, String, bool)>)>;

    fn read(head: &str) -> Result<Read, HeadError> {
        let mut found = Vec::new();
        let length = fields(head.as_bytes(), 0, 3, |field| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            found.push((text(field.name), text(field.value), field.canonical));
            Ok::<(), HeadError>(())
        })?;
        Ok(length.map(|length| (length, found)))
    }

    #[test]
    fn fields_come_apart() {
        let (length, found) = read("A: b\r\nC:d\r\ne:\t f \t\r\n\r\nrest").unwrap().unwrap();
        assert_eq!(length, 22);
        let expected = [("A", "b", true), ("C", "d", false), ("e", "f", false)];
        assert_eq!(found, expected.map(|(name, value, canonical)| (name.to_owned(), value.to_owned(), canonical)));
        assert_eq!(read("A:\r\nB: \r\n\r\n").unwrap().unwrap().1[1], ("B".to_owned(), String::new(), false));
        assert_eq!(read("\r\n").unwrap().unwrap().0, 2);
    }

    #[test]
    fn an_incomplete_head_is_no_error_and_a_broken_one_is_at_once() {
        for head in ["", "A", "A: b", "A: b\r", "A: b\r\n", "A: b\r\n\r"] {
            assert_eq!(read(head), Ok(None), "{head:?}");
        }
        for (head, error) in [
            ("A: b\n", HeadError::Control),
            ("A: b\rc", HeadError::Control),
            ("A: \0", HeadError::Control),
            ("A: b\x7f", HeadError::Control),
            ("A: 01234567\x0101234567", HeadError::Control),
            ("A : b\r\n", HeadError::Name),
            ("A\r\n", HeadError::Name),
            (": b\r\n", HeadError::Name),
            (" A: b\r\n", HeadError::Name),
            ("A: b\r\n c\r\n", HeadError::Name),
            ("A(: b\r\n", HeadError::Name),
            ("A: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\n", HeadError::TooMany),
        ] {
            assert_eq!(read(head), Err(error), "{head:?}");
        }
    }

    #[test]
    fn every_control_byte_is_found_wherever_it_stands() {
        for byte in (0..=255).map(|byte: u8| (byte, matches!(byte, 0..0x20 | 0x7f))) {
            for at in 0..20 {
                let mut bytes = [b'x'; 20];
                bytes[at] = byte.0;
                assert_eq!(plain_run(&bytes), if byte.1 { at } else { 20 }, "{byte:?} at {at}");
            }
        }
    }
}
