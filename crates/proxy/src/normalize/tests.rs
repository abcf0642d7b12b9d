//! Tables of what must pass, what must change, and what must be refused; and the properties of every answer.

use super::*;
use proptest::prelude::*;

fn ok(raw: &str) -> String {
    match path(raw.as_bytes()) {
        Ok(canonical) => canonical.into_string(),
        Err(error) => panic!("{raw:?}: {error:?}"),
    }
}

fn refused(raw: &[u8]) -> PathError {
    match path(raw) {
        Ok(canonical) => panic!("{:?} became {:?}", String::from_utf8_lossy(raw), canonical.as_str()),
        Err(error) => error,
    }
}

#[test]
fn canonical_paths_are_borrowed() {
    for raw in [
        "/",
        "/a",
        "/a/",
        "/v1/orders/7",
        "/a.b/c..d/e.",
        "/a-b_c~d",
        "/!$&'()*+,;=:@",
        "/a;v=1/b",
        "/caf%C3%A9",
        "/a%2Fb",
        "/a%20b",
        "/a%25b",
        "/...",
        "/a/...b",
    ] {
        assert_eq!(path(raw.as_bytes()), Ok(Canonical::AsIs(raw)));
    }
}

#[test]
fn paths_are_made_canonical() {
    for (raw, canonical) in [
        ("/%61%2D%2e%5F%7e", "/a-._~"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a%2fb%5cc", "/a%2Fb%5Cc"),
        ("//", "/"),
        ("///a//b///", "/a/b/"),
        ("/.", "/"),
        ("/./", "/"),
        ("/a/.", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../c", "/a/c"),
        ("/a/b/../../c", "/c"),
        ("/a//../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/%2e/a", "/a"),
        ("/a/b/%2e%2e", "/a/"),
        ("/a\"<>^`{|}[]b", "/a%22%3C%3E%5E%60%7B%7C%7D%5B%5Db"),
        ("/%41bc;x=%31", "/Abc;x=1"),
        // Decoded once, never twice.
        ("/%2525", "/%2525"),
        ("/%252e%252E/a", "/%252e%252E/a"),
        ("/%25%32%65", "/%252e"),
        // Overlong UTF-8 is data, not a dot.
        ("/%c0%ae%c0%ae/a", "/%C0%AE%C0%AE/a"),
        ("/..a/.b/c..", "/..a/.b/c.."),
        ("/.well-known/x", "/.well-known/x"),
        ("/a%2F.b", "/a%2F.b"),
    ] {
        assert_eq!(ok(raw), canonical, "{raw}");
    }
}

#[test]
fn attacks_on_paths_are_refused() {
    use PathError::*;
    let table: &[(&[u8], PathError)] = &[
        (b"", NotAbsolute),
        (b"*", NotAbsolute),
        (b"a/b", NotAbsolute),
        (b"http://h/", NotAbsolute),
        (b"%2Fa", NotAbsolute),
        (b"/%", BadEncoding),
        (b"/%2", BadEncoding),
        (b"/a%2/b", BadEncoding),
        (b"/%zz", BadEncoding),
        (b"/%u002e", BadEncoding),
        (b"/%+1", BadEncoding),
        (b"/a%00.png", EncodedControl),
        (b"/a%0d%0aSet-Cookie:x", EncodedControl),
        (b"/%1F", EncodedControl),
        (b"/%7f", EncodedControl),
        (b"/%09", EncodedControl),
        (b"/a\\b", BadByte(b'\\')),
        (b"/..\\..\\etc", BadByte(b'\\')),
        (b"/a b", BadByte(b' ')),
        (b"/a\tb", BadByte(b'\t')),
        (b"/a\r\nX: y", BadByte(b'\r')),
        (b"/a#b", BadByte(b'#')),
        (b"/a?b", BadByte(b'?')),
        (b"/\x00", BadByte(0)),
        (b"/\x7f", BadByte(0x7F)),
        (b"/caf\xC3\xA9", BadByte(0xC3)),
        (b"/..", AboveRoot),
        (b"/../etc/passwd", AboveRoot),
        (b"/a/../../b", AboveRoot),
        (b"/%2e%2e/a", AboveRoot),
        (b"//..", AboveRoot),
        (b"/./..", AboveRoot),
        (b"/a/..%2fb", HiddenTraversal),
        (b"/a/..%2Fb", HiddenTraversal),
        (b"/a/%2e%2e%2fb", HiddenTraversal),
        (b"/a%2f..%2fb", HiddenTraversal),
        (b"/a%2f..", HiddenTraversal),
        (b"/a%5c..%5Cb", HiddenTraversal),
        (b"/a%2F.%2Fb", HiddenTraversal),
        (b"/..%5c..%5cetc", HiddenTraversal),
        (b"/x%2Fa%5C..", HiddenTraversal),
        (b"/a/..;/b", DotParameter),
        (b"/a/..;jsessionid=1/b", DotParameter),
        (b"/a/.;/b", DotParameter),
        (b"/..;", DotParameter),
        (b"/.;", DotParameter),
        (b"/a/%2e%2e;x/b", DotParameter),
        (b"/a/..%3B/b", DotParameter),
        (b"/a%2f..;x%2fb", DotParameter),
    ];
    for (raw, error) in table {
        assert_eq!(refused(raw), *error, "{:?}", String::from_utf8_lossy(raw));
    }
}

#[test]
fn queries_pass_untouched_or_not_at_all() {
    for raw in ["", "a=1&b=%zz", "a=[1]&b={\"x\":\"|\\^`\"}", "?/..//%00"] {
        assert_eq!(query(raw.as_bytes()), Ok(raw));
    }
    for (raw, byte) in
        [(&b"a b"[..], b' '), (b"a#b", b'#'), (b"a\r\n", b'\r'), (b"\x7f", 0x7F), (b"\xC3\xA9", 0xC3), (b"\0", 0)]
    {
        assert_eq!(query(raw), Err(QueryError(byte)));
    }
}

#[test]
fn authorities_are_made_canonical() {
    for (raw, host, port) in [
        ("example.com", "example.com", None),
        ("Example.COM:8080", "example.com", Some(8080)),
        ("example.com.", "example.com", None),
        ("EXAMPLE.com.:443", "example.com", Some(443)),
        ("example.com:", "example.com", None),
        ("my_service", "my_service", None),
        ("a~b-c", "a~b-c", None),
        ("127.0.0.1:1", "127.0.0.1", Some(1)),
        ("1.2.3.4.", "1.2.3.4", None),
        ("123", "123", None),
        ("h:65535", "h", Some(65535)),
        ("h:00080", "h", Some(80)),
        ("[::1]", "[::1]", None),
        ("[::1]:", "[::1]", None),
        ("[2001:DB8:0:0::1]:443", "[2001:db8::1]", Some(443)),
        ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", None),
    ] {
        let found = authority(raw.as_bytes()).unwrap_or_else(|error| panic!("{raw}: {error}"));
        assert_eq!((found.host.as_ref(), found.port), (host, port), "{raw}");
    }
    assert!(matches!(authority(b"example.com:80"), Ok(Authority { host: std::borrow::Cow::Borrowed(_), .. })));
}

#[test]
fn attacks_on_authorities_are_refused() {
    use AuthorityError::*;
    let long = "a".repeat(256);
    let table: &[(&[u8], AuthorityError)] = &[
        (b"", Empty),
        (b":80", NoHost),
        (b".", BadName),
        (b"user@host", UserInfo),
        (b"user:pass@host", UserInfo),
        (b"host:80@evil", UserInfo),
        (b"a b", BadByte(b' ')),
        (b" a", BadByte(b' ')),
        (b"a\t", BadByte(b'\t')),
        (b"a,b", BadByte(b',')),
        (b"a/b", BadByte(b'/')),
        (b"a%2eb", BadByte(b'%')),
        (b"a\0", BadByte(0)),
        (b"a\\b", BadByte(b'\\')),
        (b"a?b", BadByte(b'?')),
        (b"a#b", BadByte(b'#')),
        (b"a*b", BadByte(b'*')),
        (b"b\xC3\xBCcher.de", BadByte(0xC3)),
        (b"a..b", BadName),
        (b".a", BadName),
        (b"a..", BadName),
        (long.as_bytes(), BadName),
        (b"1.2.3", BadIpv4),
        (b"256.1.1.1", BadIpv4),
        (b"127.1", BadIpv4),
        (b"1.2.3.04", BadIpv4),
        (b"1.2.3.4.5", BadIpv4),
        (b"[::1", BadIpv6),
        (b"[]", BadIpv6),
        (b"[::1%25eth0]", BadIpv6),
        (b"[::1%eth0]", BadIpv6),
        (b"[v1.x]", BadIpv6),
        (b"[1.2.3.4]", BadIpv6),
        (b"[::g]", BadIpv6),
        (b"[::1]x", BadPort),
        (b"[::1]]:80", BadPort),
        (b"h:0", BadPort),
        (b"h:65536", BadPort),
        (b"h:+80", BadPort),
        (b"h:-1", BadPort),
        (b"h:8a", BadPort),
        (b"h: 80", BadPort),
        (b"h:80 ", BadPort),
        (b"h:80:80", BadPort),
        (b"h:000080", BadPort),
        (b"::1", NoHost),
    ];
    for (raw, error) in table {
        assert_eq!(authority(raw), Err(*error), "{:?}", String::from_utf8_lossy(raw));
    }
}

/// Paths made of the pieces that matter, so that most of them are nearly attacks.
fn paths() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(b"/".to_vec()),
        2 => Just(b".".to_vec()),
        1 => Just(b"..".to_vec()),
        1 => prop::sample::select(vec!["%2e", "%2E", "%2f", "%2F", "%5c", "%3b", "%25", "%61", "%c3", ";", "%", "%00", "[", "{"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => "[a-z0-9]{1,3}".prop_map(String::into_bytes),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| {
        let mut path = b"/".to_vec();
        path.extend(pieces.concat());
        path
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_canonical_path_is_legal_and_stays_itself(raw in paths()) {
        let Ok(canonical) = path(&raw) else { return Ok(()) };
        let text = canonical.as_str();
        prop_assert_eq!(path(text.as_bytes()), Ok(Canonical::AsIs(text)));
        prop_assert!(text.starts_with('/') && !text.contains("//"));
        prop_assert!(text.bytes().all(|byte| byte == b'%' || class(byte) & SLOW == 0));
        prop_assert!(!text.split('/').any(|segment| segment == "." || segment == ".."));
        let seen_by_others = text.replace("%2F", "/").replace("%5C", "/");
        let mut parts = seen_by_others.split('/').map(|part| part.split(';').next().unwrap_or_default());
        prop_assert!(!parts.any(|part| part == "." || part == ".."));
        for (at, _) in text.match_indices('%') {
            let digits = &text.as_bytes()[at + 1..at + 3];
            prop_assert!(digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')));
        }
    }

    #[test]
    fn nothing_panics(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = path(&raw);
        if let Ok(text) = query(&raw) {
            prop_assert_eq!(text.as_bytes(), &raw[..]);
        }
        if let Ok(found) = authority(&raw) {
            let again = authority(found.host.as_bytes());
            prop_assert_eq!(again.map(|again| again.host), Ok(found.host.clone()));
        }
    }

    #[test]
    fn a_canonical_authority_stays_itself(raw in "([A-Za-z0-9_.-]{1,12}|\\[[0-9a-fA-F:.]{2,12}\\])(:[0-9]{0,6})?") {
        if let Ok(found) = authority(raw.as_bytes()) {
            let again = authority(found.host.as_bytes());
            prop_assert_eq!(again, Ok(Authority { host: found.host.clone(), port: None }));
        }
    }
}
