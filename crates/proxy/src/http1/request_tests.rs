//! The corpus of raw-socket cases drives the parser through the running gateway; here are the properties it must have
//! by itself.

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 32 * 1024, fields: 100, uri: 8 * 1024 };

fn parse_all(head: &str) -> Result<Option<Head>, Kind> {
    parse(head.as_bytes(), &LIMITS, false, &mut LastHost::default()).map_err(|reject| reject.kind)
}

fn parsed(head: &str) -> Head {
    parse_all(head).unwrap().unwrap()
}

#[test]
fn a_head_is_incomplete_until_its_last_byte() {
    let head = "POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n";
    for end in 0..head.len() {
        assert!(parse_all(&head[..end]).unwrap().is_none(), "{end}");
    }
    assert_eq!(parsed(head).length, head.len());
    assert_eq!(parsed(&format!("\r\n{head}abc")).length, head.len() + 2);
}

#[test]
fn the_target_is_found_in_all_its_forms() {
    let head = parsed("GET /a//b/../%63?q=1 HTTP/1.1\r\nHost: Example.COM:8080\r\n\r\n").request;
    assert_eq!((head.path(), head.query(), head.host()), ("/a/c", Some("q=1"), "example.com"));
    assert_eq!(head.authority(), "Example.COM:8080");
    let head = parsed("GET http://other:1?x HTTP/1.1\r\nHost: x\r\n\r\n").request;
    assert_eq!((head.path(), head.query(), head.host(), head.authority()), ("/", Some("x"), "other", "other:1"));
    let head = parsed("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").request;
    assert_eq!(head.path(), "*");
}

#[test]
fn what_is_hop_by_hop_or_not_to_be_believed_is_gone() {
    let head = parsed(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Hop, keep-alive\r\nX-Hop: 1\r\nTE: trailers\r\nX-User-Id: root\r\n\
         x_user_id: root\r\nX-Forwarded-For: 1.1.1.1\r\nProxy: evil\r\nAccept: a\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
    );
    assert!(!head.keep_alive);
    let names: Vec<_> =
        head.request.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    assert_eq!(names, ["Accept"]);
}

#[test]
fn a_trusted_peer_may_speak_of_its_client() {
    let head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n";
    let head = parse(head, &LIMITS, true, &mut LastHost::default()).unwrap().unwrap();
    assert_eq!(head.request.headers.get("x-forwarded-for"), Some(&b"1.1.1.1"[..]));
}

#[test]
fn framing_is_one_thing_or_refused() {
    let framing = |fields: &str| {
        parse_all(&format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).map(|head| head.unwrap().framing)
    };
    assert_eq!(framing(""), Ok(Framing::None));
    assert_eq!(framing("Content-Length: 7\r\n"), Ok(Framing::Length(7)));
    assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    for bad in [
        "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 7\r\nContent-Length: 7\r\n",
        "Content-Length: 7, 7\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer_Encoding: x\r\n",
        "content_length: 3\r\n",
    ] {
        assert_eq!(framing(bad), Err(Kind::BadRequest), "{bad}");
    }
    assert_eq!(framing("Transfer-Encoding: gzip, chunked\r\n"), Err(Kind::CodingNotImplemented));
    assert_eq!(parse_all("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap_err(), Kind::BadRequest);
}

#[test]
fn bare_line_feeds_are_refused_wherever_they_stand() {
    for head in [
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA:\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        assert_eq!(parse_all(head).unwrap_err(), Kind::BadRequest, "{head:?}");
    }
}

#[test]
fn limits_have_their_own_answers() {
    let long = "a".repeat(9000);
    assert_eq!(parse_all(&format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap_err(), Kind::UriTooLong);
    assert_eq!(parse_all(&format!("GET /{long}")).unwrap_err(), Kind::UriTooLong);
    let many = "A: b\r\n".repeat(101);
    assert_eq!(parse_all(&format!("GET / HTTP/1.1\r\n{many}\r\n")).unwrap_err(), Kind::HeadTooLarge);
    let huge = format!("A: {}\r\n", "a".repeat(8000)).repeat(5);
    assert_eq!(parse_all(&format!("GET / HTTP/1.1\r\n{huge}")).unwrap_err(), Kind::HeadTooLarge);
    assert_eq!(parse_all("GET / HTTP/2.0\r\n\r\n").unwrap_err(), Kind::VersionNotSupported);
    assert_eq!(parse_all("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap_err(), Kind::VersionNotSupported);
    assert_eq!(parse_all("GET / HTCPCP/1.0\r\n\r\n").unwrap_err(), Kind::BadRequest);
}

#[test]
fn only_a_bodiless_get_may_become_a_websocket() {
    let upgrade = |head: &str| parsed(head).request.upgrade;
    let base = "Host: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(upgrade(&format!("GET / HTTP/1.1\r\n{base}\r\n")), Some(Upgrade::WebSocket));
    assert_eq!(upgrade(&format!("POST / HTTP/1.1\r\n{base}\r\n")), None);
    assert_eq!(upgrade(&format!("GET / HTTP/1.0\r\n{base}\r\n")), None);
    assert_eq!(upgrade(&format!("GET / HTTP/1.1\r\n{base}Content-Length: 3\r\n\r\n")), None);
    assert_eq!(upgrade("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"), None);
}

/// What the fuzzer found: each of these once came out otherwise.
#[test]
fn small_rules_hold() {
    assert!(!parsed("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n").keep_alive);
    let empty = parsed("GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n");
    assert!(!empty.request.expects_continue);
    let named = parsed("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nClose: 1\r\n\r\n");
    assert!(named.request.headers.is_empty());
    // A long method takes nothing from the target's limit, whether the head comes in one read or in two.
    let limits = HeadLimits { uri: 64, ..LIMITS };
    let head = format!("{} /{} HTTP/1.1\r\nHost: x\r\n\r\n", "A".repeat(60), "a".repeat(60));
    assert!(parse(head.as_bytes(), &limits, false, &mut LastHost::default()).unwrap().is_some());
    assert!(parse(&head.as_bytes()[..130], &limits, false, &mut LastHost::default()).unwrap().is_none());
}
