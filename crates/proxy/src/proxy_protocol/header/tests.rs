//! Headers by the book, and all that is not.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0, 80];

fn client(address: &str) -> Source {
    Source::Client(address.parse().unwrap())
}

#[test]
fn headers_are_read() {
    let v6 = [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 16], &[0, 9, 0, 80]].concat();
    let with_extras = [&V4[..], &[4, 0, 2, 0, 0], &[0xe0, 0, 0]].concat();
    for (header, source) in [
        (b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 80\r\n".to_vec(), client("192.0.2.1:4660")),
        (b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n".to_vec(), client("[2001:db8::1]:65535")),
        (b"PROXY UNKNOWN\r\n".to_vec(), Source::Peer),
        (b"PROXY UNKNOWN ffff::1 anything\r\n".to_vec(), Source::Peer),
        (v2(0x21, 0x11, &V4), client("192.0.2.1:4660")),
        (v2(0x21, 0x11, &with_extras), client("192.0.2.1:4660")),
        (v2(0x21, 0x21, &v6), client("[2001:db8::1]:9")),
        (v2(0x21, 0x12, &V4), Source::Peer),
        (v2(0x21, 0x31, &[0; 216]), Source::Peer),
        (v2(0x21, 0x00, b""), Source::Peer),
        (v2(0x20, 0x00, b""), Source::Peer),
        (v2(0x20, 0x11, b"any"), Source::Peer),
        (v2(0x20, 0xff, b"thing"), Source::Peer),
    ] {
        for end in 0..header.len() {
            assert_eq!(parse(&header[..end]), Ok(None), "{:?}", &header[..end]);
        }
        let length = header.len();
        assert_eq!(parse(&[&*header, b"GET /"].concat()), Ok(Some((source, length))), "{header:?}");
    }
}

#[test]
fn what_is_no_header_is_refused() {
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"PROXI", b"proxy TCP4", b"\r\n\r\nG", b"\x16\x03\x01", b" "] {
        assert_eq!(parse(bytes), Err(HeaderError::Missing), "{bytes:?}");
    }
    for line in [
        "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1  10.0.0.1 1 2\r\n",
        "PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 65536 2\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.1 -1 2\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
        "PROXY TCP4 a.test 10.0.0.1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWN\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(HeaderError::Malformed), "{line:?}");
    }
    let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
    assert_eq!(parse(&endless), Err(HeaderError::Malformed));
    for header in [
        v2(0x11, 0x11, &V4),
        v2(0x22, 0x11, &V4),
        v2(0x21, 0x13, &V4),
        v2(0x21, 0x41, &V4),
        v2(0x21, 0x11, &V4[..11]),
        v2(0x21, 0x21, &V4),
        v2(0x21, 0x11, &[&V4[..], &[4]].concat()),
        v2(0x21, 0x11, &[&V4[..], &[4, 0, 9, 1]].concat()),
    ] {
        assert_eq!(parse(&header), Err(HeaderError::Malformed), "{header:?}");
    }
    assert_eq!(parse(&v2(0x21, 0x11, &[0; MAX])), Err(HeaderError::TooLong));
}

#[test]
fn a_checksum_has_to_be_right() {
    // The check value of CRC-32C; nothing of the text is taken for zeros.
    assert!(checksum_is(b"123456789", 100, &0xe306_9283_u32.to_be_bytes()));
    let header = |crc: u32| v2(0x21, 0x11, &[&V4[..], &[3, 0, 4], &crc.to_be_bytes()].concat());
    let right = 0x3cfb_2c11;
    assert_eq!(parse(&header(right)), Ok(Some((client("192.0.2.1:4660"), header(right).len()))));
    assert_eq!(parse(&header(right ^ 1)), Err(HeaderError::Malformed));
    assert_eq!(parse(&v2(0x21, 0x11, &[&V4[..], &[3, 0, 1, 7]].concat())), Err(HeaderError::Malformed));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in vec(any::<u8>(), 0..300), family in any::<u8>(), command in 0x1fu8..0x23) {
        let _ = parse(&bytes);
        let _ = parse(&v2(command, family, &bytes));
        let _ = parse(&[b"PROXY ", &*bytes].concat());
    }

    #[test]
    fn a_header_is_read_whatever_follows(rest in vec(any::<u8>(), 0..100), extra in vec(any::<u8>(), 0..100)) {
        let tlv = [&[0xe0, 0, u8::try_from(extra.len()).unwrap()], &*extra].concat();
        let header = v2(0x21, 0x11, &[&V4[..], &tlv].concat());
        let parsed = parse(&[&*header, &rest].concat());
        prop_assert_eq!(parsed, Ok(Some((client("192.0.2.1:4660"), header.len()))));
    }
}
