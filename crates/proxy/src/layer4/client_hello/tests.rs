//! Hellos written by the book, cut and bent in all ways.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_be_bytes()
}

fn vector16(inside: &[u8]) -> Vec<u8> {
    [&length16(inside.len()), inside].concat()
}

fn vector8(inside: &[u8]) -> Vec<u8> {
    [&[u8::try_from(inside.len()).unwrap()], inside].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &*vector16(data)].concat()
}

fn server_name(host: &[u8]) -> Vec<u8> {
    extension(SERVER_NAME, &vector16(&[&[0], &*vector16(host)].concat()))
}

fn alpn(protocols: &[&[u8]]) -> Vec<u8> {
    extension(ALPN, &vector16(&protocols.iter().flat_map(|protocol| vector8(protocol)).collect::<Vec<u8>>()))
}

/// A message with these extensions, its header included.
fn message(extensions: &[u8]) -> Vec<u8> {
    // A suite of GREASE comes first, as from Chrome.
    let suites = vector16(&[0x0a, 0x0a, 0x13, 0x01, 0x13, 0x02]);
    let body = [&[3, 3], &[7; 32][..], &vector8(&[9; 32]), &suites, &[1, 0], &vector16(extensions)].concat();
    let [_, high, middle, low] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[CLIENT_HELLO, high, middle, low], &*body].concat()
}

/// A message in records that carry at most so many bytes each.
fn records(message: &[u8], most: usize) -> Vec<u8> {
    message.chunks(most).flat_map(|part| [&[HANDSHAKE, 3, 1], &*vector16(part)].concat()).collect()
}

fn wire(extensions: &[u8]) -> Vec<u8> {
    records(&message(extensions), MAX_FRAGMENT)
}

fn expected(host: Option<&str>, protocols: &[&str]) -> ClientHello {
    ClientHello { host: host.map(Into::into), protocols: protocols.iter().map(ToString::to_string).collect() }
}

#[test]
fn host_and_protocols_are_read() {
    let grease = [extension(0x1a1a, &[]), extension(0xfafa, &[0])];
    let extensions = [&*grease[0], &server_name(b"API.Example.com"), &alpn(&[b"h2", b"\x2a\x2a", b"http/1.1"])];
    let hello = wire(&[extensions.concat(), grease[1].clone()].concat());
    assert_eq!(parse(&hello), Ok(Some(expected(Some("api.example.com"), &["h2", "http/1.1"]))));
    assert_eq!(parse(&wire(&[])), Ok(Some(ClientHello::default())));
    // What follows the hello is nobody's business.
    assert_eq!(parse(&[&*wire(&alpn(&[b"h2"])), b"anything"].concat()), Ok(Some(expected(None, &["h2"]))));
}

#[test]
fn a_hello_of_old_without_extensions_is_read() {
    let body = [&[3, 1], &[7; 32][..], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let message = [&[CLIENT_HELLO, 0, 0, u8::try_from(body.len()).unwrap()], &*body].concat();
    assert_eq!(parse(&records(&message, 100)), Ok(Some(ClientHello::default())));
}

#[test]
fn what_is_no_tls_is_known_by_its_first_bytes() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"\x16\x02", b"\x80\x2e\x01", b"\x15\x03\x01\x00\x02\x02\x28", b"S"] {
        assert_eq!(parse(bytes), Err(HelloError::NotTls), "{bytes:?}");
    }
}

#[test]
fn what_does_not_add_up_is_refused() {
    let twice = |extension: Vec<u8>| [extension.clone(), extension].concat();
    let names = |names: &[u8]| extension(SERVER_NAME, &vector16(names));
    for (what, extensions) in [
        ("two hosts", twice(server_name(b"a.test"))),
        ("two lists of protocols", twice(alpn(&[b"h2"]))),
        ("no name", names(&[])),
        ("an empty name", names(&[0, 0, 0])),
        ("two names in one", names(&[&[0], &*vector16(b"a.test"), &[0], &vector16(b"b.test")].concat())),
        ("a name of another type", names(&[&[1], &*vector16(b"a.test")].concat())),
        ("bytes behind the list", extension(SERVER_NAME, &[&*vector16(&[0, 0, 1, b'a']), b"x"].concat())),
        ("a dot at the end", server_name(b"a.test.")),
        ("a zero byte", server_name(b"a.test\0.evil")),
        ("no text", server_name("ä.test".as_bytes())),
        ("a host of 254 bytes", server_name([[b'a'; 63]; 4].join(&b'.').get(..254).unwrap())),
        ("an empty protocol", alpn(&[b""])),
        ("no protocols", alpn(&[])),
        ("an extension that is cut", vec![0, 5, 0, 9, 1]),
        ("half an extension", vec![0]),
    ] {
        assert_eq!(parse(&wire(&extensions)), Err(HelloError::Malformed), "{what}");
    }
    let mut other = message(&[]);
    other[0] = 2;
    assert_eq!(parse(&records(&other, 100)), Err(HelloError::Malformed), "a server's hello");
    assert_eq!(parse(&[22, 3, 1, 0, 0]), Err(HelloError::Malformed), "an empty record");
    assert_eq!(parse(&[22, 3, 1, 0x40, 1]), Err(HelloError::Malformed), "a record that is too long");
}

#[test]
fn a_hello_that_is_too_long_is_refused() {
    let length = [CLIENT_HELLO, 0, 0x40, 1];
    assert_eq!(parse(&records(&length, 4)), Err(HelloError::TooLong));
    let long = wire(&extension(21, &vec![0; MAX - 60]));
    assert_eq!(parse(&long[..MAX]), Err(HelloError::TooLong));
    assert_eq!(parse(&long[..MAX - 1]), Ok(None));
}

proptest! {
    #[test]
    fn the_parts_it_comes_in_make_no_difference(
        host in "[a-z0-9]{1,20}(\\.[a-zA-Z0-9_-]{1,20}){0,3}",
        others in vec((20u16.., vec(any::<u8>(), 0..40)), 0..5),
        most in 1usize..300,
    ) {
        let others: Vec<u8> = others.iter().flat_map(|(kind, data)| extension(*kind, data)).collect();
        let extensions = [others, server_name(host.as_bytes()), alpn(&[b"h2"])].concat();
        let wire = records(&message(&extensions), most);
        for end in 0..wire.len() {
            prop_assert_eq!(parse(&wire[..end]), Ok(None));
        }
        prop_assert_eq!(parse(&wire), Ok(Some(expected(Some(&host.to_ascii_lowercase()), &["h2"]))));
    }

    #[test]
    fn nothing_makes_it_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
        let _ = parse(&records(&message(&bytes), 100));
        let _ = hello(&bytes);
    }

    /// A byte of a hello that is changed gives another hello, an error or a longer wait; never a host that is none.
    #[test]
    fn a_bent_hello_gives_no_bent_host(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut wire = wire(&[server_name(b"api.example.com"), alpn(&[b"h2", b"http/1.1"])].concat());
        let at = at.index(wire.len());
        wire[at] = byte;
        if let Ok(Some(ClientHello { host: Some(host), .. })) = parse(&wire) {
            prop_assert!(is_host(host.as_bytes()) && host == host.to_ascii_lowercase());
        }
    }
}
