//! Bodies.

use tollgate_proxy::fuzzing::{self, BodyEnd, BodyError, DecodedBody, Framing};

use crate::Numbers;
use crate::reference::{self, Chunked};

/// More than any input has.
const PLENTY: usize = 1 << 40;

/// Bodies, chunked and otherwise: content, trailers, end and rest are those of the reference, however the bytes come
/// and are taken; no more content comes than is allowed; an error stays; what is written again reads the same.
pub fn chunked_body(data: &[u8]) {
    let plenty = chunked_within(data, PLENTY);
    let total = plenty.content.len();
    for max in [total, total.saturating_sub(1), total / 2, 0] {
        chunked_within(data, max);
    }
    for length in [0, 1, data.len() / 2, data.len(), data.len() + 1] {
        plain(data, Framing::Length(length as u64), length);
    }
    plain(data, Framing::UntilClose, usize::MAX);
    if plenty.end == BodyEnd::Complete {
        let again = fuzzing::body(Framing::Chunked, PLENTY as u64, usize::MAX, [&plenty.rewritten[..]]);
        assert_eq!((again.end, &again.left[..]), (BodyEnd::Complete, &[][..]));
        assert_eq!(again.content, plenty.content);
        assert_eq!(again.trailers.unwrap_or_default(), plenty.trailers.unwrap_or_default());
    }
}

fn chunked_within(data: &[u8], max: usize) -> DecodedBody {
    let decode = |bite, pieces: &[&[u8]]| fuzzing::body(Framing::Chunked, max as u64, bite, pieces.iter().copied());
    let whole = decode(usize::MAX, &[data]);
    assert!(whole.content.len() <= max);
    let (content, expected) = reference::chunked(data, max);
    assert_eq!(whole.content, content);
    match (&whole.end, expected) {
        (BodyEnd::Complete, Chunked::Complete(trailers, length)) => {
            assert_eq!(whole.trailers.clone().unwrap_or_default(), trailers);
            assert_eq!(whole.left, data[length..]);
        }
        (BodyEnd::Unfinished, Chunked::Unfinished)
        | (BodyEnd::Failed(BodyError::TooLarge), Chunked::TooLarge)
        // What cannot become a chunk may be refused before its line ends.
        | (BodyEnd::Failed(BodyError::Malformed), Chunked::Malformed | Chunked::Unfinished) => {}
        (end, expected) => panic!("{end:?}, but by the reference {expected:?}"),
    }
    let mut numbers = Numbers::of(data);
    let mut pieces = vec![pieces(data, || numbers.below(24) + 1)];
    if data.len() <= 256 {
        pieces.push(data.chunks(1).collect());
    }
    for pieces in pieces {
        let mut cut = decode(3, &pieces);
        if matches!(whole.end, BodyEnd::Failed(_)) {
            cut.left.clone_from(&whole.left);
        }
        assert!(!cut.forgot_error);
        assert_eq!(cut, whole, "in pieces");
    }
    for more in [&b"0\r\n\r\n"[..], b"\r\n\r\n", b"\r\n0\r\n\r\n"] {
        assert!(!decode(usize::MAX, &[data, more, more]).forgot_error);
    }
    whole
}

/// `data` in pieces of given sizes, the last of which may be empty.
fn pieces(mut data: &[u8], mut size: impl FnMut() -> usize) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let (piece, Some(rest)) = (data, data.get(size()..)) {
        pieces.push(&piece[..piece.len() - rest.len()]);
        data = rest;
    }
    pieces.push(data);
    pieces
}

/// A body that is not chunked is the first `length` bytes, or an error once more are announced than may come.
fn plain(data: &[u8], framing: Framing, length: usize) {
    let here = length.min(data.len());
    for max in [PLENTY, here, here / 2] {
        let mut numbers = Numbers::of(data);
        let body = fuzzing::body(framing, max as u64, 5, pieces(data, || numbers.below(24) + 1));
        assert!(body.content.len() <= max && data.starts_with(&body.content));
        if here <= max {
            let end = if length <= data.len() { BodyEnd::Complete } else { BodyEnd::Unfinished };
            assert_eq!((body.end, &body.content[..], &body.left[..]), (end, &data[..here], &data[here..]));
        } else {
            assert_eq!(body.end, BodyEnd::Failed(BodyError::TooLarge));
        }
    }
}
