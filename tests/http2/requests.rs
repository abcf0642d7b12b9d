//! The pseudo-header fields of a request (§8.3), and CONNECT (§8.5).

use tollgate_testkit::http2::Block;

use crate::http2::case::Expect::{Alive, Answer, Malformed, Refused};
use crate::http2::case::{Case, Talk, case};

const GET: (&str, &str) = (":method", "GET");
const HTTP: (&str, &str) = (":scheme", "http");
const HOST: (&str, &str) = (":authority", "a.test");

/// Sends a request of these fields; `PATH` as a value is the path of the case.
fn ask(talk: &mut Talk, fields: &[(&str, &str)]) {
    let path = talk.path.clone();
    let add = |block: Block, (name, value): &(&str, &str)| {
        block.field(name, if *value == PATH.1 { path.as_str() } else { value })
    };
    talk.ask(fields.iter().fold(Block::new(), add));
}

const PATH: (&str, &str) = (":path", "PATH");

pub(crate) const CASES: &[Case] = &[
    case("8.3 fields in another order", Answer(1), |t| ask(t, &[HOST, PATH, GET, HTTP])),
    case("8.3 an unknown pseudo-header field", Malformed(1), |t| ask(t, &[GET, HTTP, PATH, HOST, (":test", "1")])),
    case("8.3 :status in a request", Malformed(1), |t| ask(t, &[GET, HTTP, PATH, HOST, (":status", "200")])),
    case("8.3 :protocol without CONNECT", Malformed(1), |t| {
        ask(t, &[GET, HTTP, PATH, HOST, (":protocol", "websocket")]);
    }),
    case("8.3 a name of a colon alone", Malformed(1), |t| ask(t, &[GET, HTTP, PATH, HOST, (":", "1")])),
    case("8.3 an upper-case pseudo-header field", Malformed(1), |t| ask(t, &[(":Method", "GET"), HTTP, PATH, HOST])),
    case("8.3 :path after a plain field", Malformed(1), |t| ask(t, &[GET, HTTP, HOST, ("x-a", "1"), PATH])),
    case("8.3 :authority after a plain field", Malformed(1), |t| ask(t, &[GET, HTTP, PATH, ("x-a", "1"), HOST])),
    case("8.3 all after a plain field", Malformed(1), |t| ask(t, &[("x-a", "1"), GET, HTTP, PATH, HOST])),
    case("8.3.1 no :method", Malformed(1), |t| ask(t, &[HTTP, PATH, HOST])),
    case("8.3.1 no :scheme", Malformed(1), |t| ask(t, &[GET, PATH, HOST])),
    case("8.3.1 no :path", Malformed(1), |t| ask(t, &[GET, HTTP, HOST])),
    case("8.3.1 no field at all", Malformed(1), |t| ask(t, &[])),
    case("8.3.1 plain fields only", Malformed(1), |t| ask(t, &[("host", "a.test")])),
    case("8.3.1 two :method", Malformed(1), |t| ask(t, &[GET, (":method", "POST"), HTTP, PATH, HOST])),
    case("8.3.1 the same :method twice", Malformed(1), |t| ask(t, &[GET, GET, HTTP, PATH, HOST])),
    case("8.3.1 two :scheme", Malformed(1), |t| ask(t, &[GET, HTTP, (":scheme", "https"), PATH, HOST])),
    case("8.3.1 two :path", Malformed(1), |t| ask(t, &[GET, HTTP, PATH, (":path", "/admin"), HOST])),
    case("8.3.1 two :authority", Malformed(1), |t| ask(t, &[GET, HTTP, PATH, HOST, (":authority", "b.test")])),
    case("8.3.1 an empty :path", Malformed(1), |t| ask(t, &[GET, HTTP, (":path", ""), HOST])),
    case("8.3.1 an empty :method", Malformed(1), |t| ask(t, &[(":method", ""), HTTP, PATH, HOST])),
    case("8.3.1 an empty :scheme", Refused(1), |t| ask(t, &[GET, (":scheme", ""), PATH, HOST])),
    case("8.3.1 a :method that is no token", Refused(1), |t| ask(t, &[(":method", "GE T"), HTTP, PATH, HOST])),
    case("8.3.1 a :method with CRLF", Malformed(1), |t| {
        ask(t, &[(":method", "GET / HTTP/1.1\r\nx: y\r\n\r\nGET"), HTTP, PATH, HOST]);
    }),
    case("8.3.1 a :scheme that is none", Refused(1), |t| ask(t, &[GET, (":scheme", "ht tp"), PATH, HOST])),
    case("8.3.1 a :scheme with CRLF", Malformed(1), |t| ask(t, &[GET, (":scheme", "http\r\nx: y"), PATH, HOST])),
    case("8.3.1 a :path with CRLF", Malformed(1), |t| {
        ask(t, &[GET, HTTP, (":path", "/ HTTP/1.1\r\nx: y"), HOST]);
    }),
    case("8.3.1 a :path with a space", Refused(1), |t| ask(t, &[GET, HTTP, (":path", "/a b"), HOST])),
    case("8.3.1 a :path with a fragment", Refused(1), |t| ask(t, &[GET, HTTP, (":path", "/a#b"), HOST])),
    case("8.3.1 a :path without a slash", Refused(1), |t| ask(t, &[GET, HTTP, (":path", "admin"), HOST])),
    case("8.3.1 a :path that is a whole URL", Refused(1), |t| {
        ask(t, &[GET, HTTP, (":path", "http://b.test/admin"), HOST]);
    }),
    case("8.3.1 a :path of * without OPTIONS", Refused(1), |t| ask(t, &[GET, HTTP, (":path", "*"), HOST])),
    case("8.3.1 OPTIONS *", Alive, |t| ask(t, &[(":method", "OPTIONS"), HTTP, (":path", "*"), HOST])),
    case("8.3.1 a :path with NUL", Malformed(1), |t| ask(t, &[GET, HTTP, (":path", "/a\0b"), HOST])),
    case("8.3.1 an :authority with CRLF", Malformed(1), |t| {
        ask(t, &[GET, HTTP, PATH, (":authority", "a.test\r\nx: y")]);
    }),
    case("8.3.1 an :authority with a space", Refused(1), |t| ask(t, &[GET, HTTP, PATH, (":authority", "a b")])),
    case("8.3.1 an :authority with a path", Refused(1), |t| ask(t, &[GET, HTTP, PATH, (":authority", "a.test/x")])),
    case("8.3.1 an :authority with user information", Refused(1), |t| {
        ask(t, &[GET, HTTP, PATH, (":authority", "user@a.test")]);
    }),
    case("8.3.1 an :authority with a port that is none", Refused(1), |t| {
        ask(t, &[GET, HTTP, PATH, (":authority", "a.test:x")]);
    }),
    case("8.3.1 an empty :authority", Refused(1), |t| ask(t, &[GET, HTTP, PATH, (":authority", "")])),
    case("8.3.1 neither :authority nor host", Refused(1), |t| ask(t, &[GET, HTTP, PATH])),
    case("8.3.1 host in place of :authority", Answer(1), |t| ask(t, &[GET, HTTP, PATH, ("host", "a.test")])),
    case("8.3.1 host equal to :authority", Answer(1), |t| ask(t, &[GET, HTTP, PATH, HOST, ("host", "a.test")])),
    case("8.3.1 host other than :authority", Refused(1), |t| ask(t, &[GET, HTTP, PATH, HOST, ("host", "b.test")])),
    case("8.3.1 two host", Refused(1), |t| ask(t, &[GET, HTTP, PATH, ("host", "a.test"), ("host", "b.test")])),
    case("8.5 CONNECT with :scheme and :path", Malformed(1), |t| {
        ask(t, &[(":method", "CONNECT"), HTTP, PATH, (":authority", "a.test:80")]);
    }),
    case("8.5 CONNECT with :path", Malformed(1), |t| {
        ask(t, &[(":method", "CONNECT"), PATH, (":authority", "a.test:80")]);
    }),
    case("8.5 CONNECT without :authority", Malformed(1), |t| ask(t, &[(":method", "CONNECT")])),
    case("8.5 CONNECT to a reverse proxy", Refused(1), |t| {
        ask(t, &[(":method", "CONNECT"), (":authority", "a.test:80")]);
    }),
    case("8.5 extended CONNECT that was not offered", Refused(1), |t| {
        ask(t, &[(":method", "CONNECT"), HTTP, PATH, HOST, (":protocol", "websocket")]);
    }),
];
