//! Fields: their names and values, and those that are of HTTP/1 (§8.2).

use crate::http2::case::Expect::{Answer, Malformed};
use crate::http2::case::{Case, case};

pub(crate) const CASES: &[Case] = &[
    case("8.2 a plain field", Answer(1), |t| t.get_with("x-plain", "a value, with \"marks\"")),
    case("8.2.1 every character that a name may have", Answer(1), |t| t.get_with("!#$%&'*+-.^_`|~09az", "1")),
    case("8.2.1 a value of no byte", Answer(1), |t| t.get_with("x-empty", "")),
    case("8.2.1 a value with a tab", Answer(1), |t| t.get_with("x-tab", "a\tb")),
    case("8.2.1 a value with bytes above 0x7f", Answer(1), |t| t.get_with("x-high", [0xe9, 0xff])),
    case("8.2.1 an upper-case name", Malformed(1), |t| t.get_with("X-Upper", "1")),
    case("8.2.1 one upper-case letter", Malformed(1), |t| t.get_with("x-uppeR", "1")),
    case("8.2.1 an upper-case name of a known field", Malformed(1), |t| t.get_with("Host", "a.test")),
    case("8.2.1 a name of no byte", Malformed(1), |t| t.get_with("", "1")),
    case("8.2.1 a name with a space", Malformed(1), |t| t.get_with("x a", "1")),
    case("8.2.1 a name with a space at its end", Malformed(1), |t| t.get_with("content-length ", "1")),
    case("8.2.1 a name with a colon", Malformed(1), |t| t.get_with("x:a", "1")),
    case("8.2.1 a name with a line feed", Malformed(1), |t| t.get_with("x\na", "1")),
    case("8.2.1 a name with CRLF and a field", Malformed(1), |t| t.get_with("x: y\r\nz", "1")),
    case("8.2.1 a name with NUL", Malformed(1), |t| t.get_with("x\0a", "1")),
    case("8.2.1 a name with DEL", Malformed(1), |t| t.get_with("x\x7fa", "1")),
    case("8.2.1 a name with a byte above 0x7f", Malformed(1), |t| t.get_with("x\u{e9}", "1")),
    case("8.2.1 a name with a slash", Malformed(1), |t| t.get_with("x/a", "1")),
    case("8.2.1 a value with NUL", Malformed(1), |t| t.get_with("x-a", "1\x002")),
    case("8.2.1 a value with a line feed", Malformed(1), |t| t.get_with("x-a", "1\n2")),
    case("8.2.1 a value with a carriage return", Malformed(1), |t| t.get_with("x-a", "1\r2")),
    case("8.2.1 a value with CRLF and a field", Malformed(1), |t| t.get_with("x-a", "1\r\nx-b: 2")),
    case("8.2.1 a value with CRLF and a request", Malformed(1), |t| {
        t.get_with("x-a", "1\r\n\r\nGET /admin HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }),
    case("8.2.1 a value with a space before it", Malformed(1), |t| t.get_with("x-a", " 1")),
    case("8.2.1 a value with a space after it", Malformed(1), |t| t.get_with("x-a", "1 ")),
    case("8.2.1 a value with a tab before it", Malformed(1), |t| t.get_with("x-a", "\t1")),
    case("8.2.1 a value with a tab after it", Malformed(1), |t| t.get_with("x-a", "1\t")),
    case("8.2.2 connection", Malformed(1), |t| t.get_with("connection", "keep-alive")),
    case("8.2.2 connection: close", Malformed(1), |t| t.get_with("connection", "close")),
    case("8.2.2 keep-alive", Malformed(1), |t| t.get_with("keep-alive", "timeout=5")),
    case("8.2.2 proxy-connection", Malformed(1), |t| t.get_with("proxy-connection", "keep-alive")),
    case("8.2.2 transfer-encoding", Malformed(1), |t| t.get_with("transfer-encoding", "chunked")),
    case("8.2.2 transfer-encoding: identity", Malformed(1), |t| t.get_with("transfer-encoding", "identity")),
    case("8.2.2 upgrade", Malformed(1), |t| t.get_with("upgrade", "websocket")),
    case("8.2.2 upgrade: h2c", Malformed(1), |t| t.get_with("upgrade", "h2c")),
    case("8.2.2 te: trailers", Answer(1), |t| t.get_with("te", "trailers")),
    case("8.2.2 te: gzip", Malformed(1), |t| t.get_with("te", "gzip")),
    case("8.2.2 te: trailers and more", Malformed(1), |t| t.get_with("te", "trailers, deflate;q=0.5")),
    case("8.2.2 http2-settings alone is a field", Answer(1), |t| t.get_with("http2-settings", "AAMAAABkAAQAAP__")),
    case("8.2.3 cookie in crumbs", Answer(1), |t| {
        t.ask(t.block().field("cookie", "a=1").field("cookie", "b=2").field("cookie", "c=3"));
    }),
];
