//! Heads of requests.

use tollgate_proxy::fuzzing::{self, Framing, Limits, RequestHead, SERVICE, Verdict};

use crate::{assert_strict, assert_well_formed, cuts, framing_lines, has_end, is_limit, monotonic, reference};

/// As a listener has them unless told otherwise.
const USUAL: Limits = Limits { bytes: 32 * 1024, fields: 100, uri: 8 * 1024 };
/// So small that inputs get to them.
const SMALL: Limits = Limits { bytes: 300, fields: 8, uri: 64 };
/// Larger than usual.
const MANY: Limits = Limits { bytes: 64 * 1024, fields: 150, uri: 16 * 1024 };

/// Requests' heads: the verdict is that of the reference and does not depend on how the bytes come; what is forwarded
/// says the same once more.
pub fn request_head(data: &[u8]) {
    for trusted in [false, true] {
        let verdict = head_under(USUAL, data, trusted);
        agrees_with_reference(data, trusted, &verdict);
        if let Verdict::Complete(head) = &verdict {
            assert_strict(&data[..head.length]);
            is_forwarded_as_itself(head);
        }
        if !trusted {
            limits_only_refuse(data, &verdict);
        }
    }
}

/// The verdict, which is the same however the head is cut.
fn head_under(limits: Limits, data: &[u8], trusted: bool) -> Verdict<RequestHead> {
    let parse = |bytes: &[u8]| fuzzing::request_head(bytes, limits, trusted);
    let whole = monotonic(data, parse, |head| head.length);
    for cut in cuts(data) {
        let in_two = fuzzing::request_head_in_two(data, cut, limits, trusted);
        match (&in_two, &whole) {
            // A head that is refused may be waited for to its end.
            (Verdict::Incomplete, Verdict::Refused(_)) => {}
            (Verdict::Refused(kind), Verdict::Refused(_)) if is_limit(kind) => {}
            _ => assert_eq!(in_two, whole, "cut at {cut}"),
        }
    }
    whole
}

fn agrees_with_reference(data: &[u8], trusted: bool, verdict: &Verdict<RequestHead>) {
    let expected = reference::request(data, trusted);
    match (verdict, &expected) {
        (Verdict::Complete(head), Some(expected)) => assert_eq!(&as_reference(head), expected),
        (Verdict::Incomplete, None) => assert!(!has_end(data), "a head is waited for that is there"),
        (Verdict::Refused(_), None) => {}
        (Verdict::Refused(kind), Some(head)) if is_limit(kind) && exceeds(USUAL, &data[..head.length]) => {}
        _ => panic!("{verdict:?}\nbut by the reference {expected:?}"),
    }
}

fn as_reference(head: &RequestHead) -> reference::Request {
    let head = head.clone();
    reference::Request {
        method: head.method,
        http10: head.http10,
        path: head.path,
        query: head.query,
        authority: head.authority,
        host: head.host,
        fields: head.fields,
        framing: head.framing,
        keep_alive: head.keep_alive,
        websocket: head.websocket,
        expects_continue: head.expects_continue,
        length: head.length,
    }
}

/// What a service gets is one request with one framing, and by both implementations the one that was received.
fn is_forwarded_as_itself(head: &RequestHead) {
    let forwarded = &head.forwarded;
    assert_well_formed(forwarded);
    let no_content = |framing| matches!(framing, Framing::None | Framing::Length(0));
    let announced = framing_lines(forwarded);
    assert!(announced == 1 || announced == 0 && no_content(head.framing), "{announced} framings");
    // Fields about the client's hops went through the parser already.
    let Verdict::Complete(again) = fuzzing::request_head(forwarded, MANY, true) else {
        panic!("not accepted again: {}", forwarded.escape_ascii());
    };
    assert_eq!(again.forwarded, *forwarded);
    assert!(again.framing == head.framing || no_content(again.framing) && no_content(head.framing));
    let mut expected = RequestHead {
        http10: false,
        keep_alive: true,
        length: forwarded.len(),
        framing: again.framing,
        ..head.clone()
    };
    if head.authority.is_empty() {
        (expected.authority, expected.host) = (SERVICE.to_owned(), "service.test".to_owned());
    }
    assert_eq!(again, expected);
    assert_eq!(reference::request(forwarded, true), Some(as_reference(&expected)));
}

/// Limits refuse, and change nothing else.
fn limits_only_refuse(data: &[u8], usual: &Verdict<RequestHead>) {
    for limits in [SMALL, MANY] {
        let verdict = head_under(limits, data, false);
        match (&verdict, usual) {
            (Verdict::Refused(_), Verdict::Refused(_)) => {}
            (_, Verdict::Refused(kind)) if is_limit(kind) => {}
            (Verdict::Refused(kind), Verdict::Incomplete) => assert!(is_limit(kind), "{kind}"),
            (Verdict::Refused(kind), Verdict::Complete(head)) => {
                assert!(is_limit(kind) && exceeds(limits, &data[..head.length]), "{kind} within {limits:?}");
            }
            _ => assert_eq!(&verdict, usual, "{limits:?}"),
        }
        if let Verdict::Complete(head) = &verdict {
            assert!(!exceeds(limits, &data[..head.length]), "{head:?} past {limits:?}");
        }
    }
}

/// True if a complete head is past a limit.
fn exceeds(limits: Limits, head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let target = lines[0].split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    // The request line, the empty line, and what follows the last LF are no fields.
    head.len() > limits.bytes || lines.len() - 3 > limits.fields || target.len() > limits.uri
}
