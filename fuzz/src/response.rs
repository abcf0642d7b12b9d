//! Heads of answers.

use tollgate_proxy::fuzzing::{self, Asked, Framing, ResponseHead, Verdict};

use crate::{assert_strict, assert_well_formed, framing_lines, has_end, monotonic, reference};

/// What answers may answer.
const ASKED: [Asked; 5] = [
    Asked { head: false, http10: false, websocket: false },
    Asked { head: false, http10: false, websocket: true },
    Asked { head: true, http10: false, websocket: false },
    Asked { head: false, http10: true, websocket: false },
    Asked { head: true, http10: true, websocket: false },
];

/// Answers' heads: the verdict is that of the reference and does not depend on how the bytes come; what is forwarded
/// says the same once more.
pub fn response_head(data: &[u8]) {
    // Nobody parses before there is a byte.
    if data.is_empty() {
        return;
    }
    for asked in ASKED {
        let verdict = monotonic(data, |bytes| parse(bytes, asked), |head| head.length);
        let expected = reference::response(data, asked);
        match (&verdict, &expected) {
            (Verdict::Complete(head), Some(expected)) => {
                assert_eq!(&as_reference(head), expected);
                assert_strict(&data[..head.length]);
                is_forwarded_as_itself(head, asked);
            }
            (Verdict::Incomplete, None) => assert!(!has_end(data), "a head is waited for that is there"),
            (Verdict::Refused(_), None) => {}
            (Verdict::Refused(_), Some(expected)) if past_limits(data, expected.length) => {}
            _ => panic!("{verdict:?}\nbut by the reference {expected:?}"),
        }
    }
}

/// Why an answer is refused matters to nobody but the log.
fn parse(bytes: &[u8], asked: Asked) -> Verdict<ResponseHead> {
    match fuzzing::response_head(bytes, asked) {
        Verdict::Refused(_) => Verdict::Refused(String::new()),
        other => other,
    }
}

/// The longest head of an answer, and the most fields in it.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 200;

fn past_limits(data: &[u8], length: usize) -> bool {
    // The status line and the empty line are no fields.
    let lines = data[..length].iter().filter(|byte| **byte == b'\n').count();
    length > MAX_HEAD || lines - 2 > MAX_FIELDS
}

fn as_reference(head: &ResponseHead) -> reference::Response {
    let ResponseHead { status, fields, framing, declared_length, keep_alive, length, .. } = head.clone();
    reference::Response { status, fields, framing, declared_length, keep_alive, length }
}

/// What the client gets is one answer with one framing, and by both implementations the one that came.
fn is_forwarded_as_itself(head: &ResponseHead, asked: Asked) {
    let forwarded = &head.forwarded;
    assert_well_formed(forwarded);
    // Content whose length is not known is chunked, but to a client that cannot read chunks.
    let framing = match head.framing {
        Framing::Chunked | Framing::UntilClose if asked.http10 => Framing::UntilClose,
        Framing::Chunked | Framing::UntilClose => Framing::Chunked,
        other => other,
    };
    let announced = framing_lines(forwarded);
    match framing {
        Framing::None => assert!(announced <= 1, "{announced} framings"),
        Framing::UntilClose => assert_eq!(announced, 0),
        _ => assert_eq!(announced, 1),
    }
    let bodiless = head.status < 200 || head.status == 204;
    assert!(!bodiless || announced == 0, "a framing where there is none (RFC 9112 §6.1, RFC 9110 §8.6)");
    // `Date` and framing may bring it past the limits for answers.
    if past_limits(forwarded, forwarded.len()) {
        return;
    }
    let Verdict::Complete(again) = fuzzing::response_head(forwarded, asked) else {
        panic!("not accepted again: {}", forwarded.escape_ascii());
    };
    let interim = head.status < 200 && head.status != 101;
    let mut fields = head.fields.clone();
    if !interim && !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"date")) {
        fields.push((b"Date".to_vec(), b"now".to_vec()));
    }
    let expected = ResponseHead {
        fields,
        framing,
        declared_length: head.declared_length.filter(|_| !bodiless),
        keep_alive: framing != Framing::UntilClose,
        length: forwarded.len(),
        forwarded: again.forwarded.clone(),
        ..*head
    };
    assert_eq!(again, expected);
    assert_eq!(reference::response(forwarded, asked), Some(as_reference(&expected)));
}
