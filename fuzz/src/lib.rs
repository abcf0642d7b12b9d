//! Properties of everything in the gateway that reads bytes from a socket.
//!
//! Each function here takes arbitrary bytes and panics if a property is broken. The targets in `fuzz_targets/` feed
//! them with libFuzzer; `cargo test --lib` feeds them with the seeds and the corpus. What is accepted, and as what, is
//! decided by a second implementation, [`reference`].

mod authority;
mod body;
mod path;
pub mod reference;
mod request;
mod response;
pub mod seeds;
#[cfg(test)]
mod tests;

pub use authority::authority;
pub use body::chunked_body;
pub use path::path;
pub use request::request_head;
pub use response::response_head;

use tollgate_proxy::fuzzing::Verdict;

/// Numbers that follow from the input, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn of(data: &[u8]) -> Self {
        Self(
            data.iter()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)),
        )
    }

    /// A number below `end`, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// Places at which to cut a head: around the bytes that separate its parts, and anywhere.
fn cuts(data: &[u8]) -> Vec<usize> {
    let mut numbers = Numbers::of(data);
    let separates = |at: &usize| data[at - 1..(at + 1).min(data.len())].iter().any(|byte| b"\r\n :".contains(byte));
    let mut cuts: Vec<usize> = (1..data.len()).filter(separates).collect();
    while cuts.len() > 8 {
        cuts.swap_remove(numbers.below(cuts.len()));
    }
    cuts.extend((0..data.len().min(4)).map(|_| 1 + numbers.below(data.len())));
    cuts
}

/// True if a head was refused for its size.
fn is_limit(reason: &str) -> bool {
    matches!(reason, "uri-too-long" | "header-fields-too-large")
}

/// More bytes never change what was said: a head that is complete stays the same, one that is refused stays refused.
/// Gives the verdict on the whole.
fn monotonic<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    parse: impl Fn(&[u8]) -> Verdict<T>,
    length: impl Fn(&T) -> usize,
) -> Verdict<T> {
    let whole = parse(data);
    for cut in cuts(data) {
        let part = parse(&data[..cut]);
        match (&part, &whole) {
            (Verdict::Incomplete, Verdict::Complete(head)) => {
                assert!(cut < length(head), "incomplete at {cut}: {head:?}");
            }
            (Verdict::Incomplete, _) => {}
            // A part may be too long already where the whole is malformed as well.
            (Verdict::Refused(reason), Verdict::Refused(_)) if is_limit(reason) => {}
            _ => assert_eq!(part, whole, "the first {cut} bytes, and all"),
        }
    }
    if let Verdict::Complete(head) = &whole {
        assert_eq!(parse(&data[..length(head)]), whole, "what follows a head matters to it");
    }
    whole
}

/// What every head that the gateway writes must be.
fn assert_well_formed(head: &[u8]) {
    assert!(head.ends_with(b"\r\n\r\n"), "no end");
    for (at, byte) in head.iter().enumerate() {
        match byte {
            b'\n' => assert!(at > 0 && head[at - 1] == b'\r', "a bare LF"),
            b'\r' => assert!(head.get(at + 1) == Some(&b'\n'), "a bare CR"),
            b'\t' | 0x20..=0x7E | 0x80.. => {}
            _ => panic!("a control byte"),
        }
    }
    assert!(!has_end(&head[..head.len() - 1]), "two ends");
}

/// True if the end of a head is there.
fn has_end(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|end| end == b"\r\n\r\n")
}

/// How many lines of a head frame its message.
fn framing_lines(head: &[u8]) -> usize {
    let frames = |line: &[u8]| {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        [&b"content-length"[..], b"transfer-encoding"]
            .iter()
            .any(|frames| name.trim_ascii().eq_ignore_ascii_case(frames))
    };
    head.split(|byte| *byte == b'\n').filter(|line| frames(line)).count()
}

/// The lines of a head that was accepted hold to the letter of RFC 9112: no bare LF (§2.2), no folded line (§5.2), no
/// blank before a colon (§5.1).
fn assert_strict(head: &[u8]) {
    let text = head.strip_prefix(b"\r\n").unwrap_or(head);
    for line in text.split(|byte| *byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(!matches!(line, [b' ' | b'\t', ..]), "a folded line was accepted");
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        assert!(line.is_empty() || reference::is_token(name), "a name that is no token was accepted");
    }
    for (at, _) in head.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        assert!(at > 0 && head[at - 1] == b'\r', "a bare LF was accepted");
    }
}
