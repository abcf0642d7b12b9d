//! What gRPC asks of a gateway: its refusals in gRPC's own form, and the client's deadline.
//!
//! See `PROTOCOL-HTTP2.md`, `http-grpc-status-mapping.md` and `statuscodes.md` of the gRPC project.

use std::time::Duration;

use http::StatusCode;

/// The status code of gRPC for a refusal with this status of HTTP.
#[must_use]
pub const fn code(status: StatusCode) -> u8 {
    const UNKNOWN: u8 = 2;
    const DEADLINE_EXCEEDED: u8 = 4;
    const PERMISSION_DENIED: u8 = 7;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;
    const UNAUTHENTICATED: u8 = 16;
    match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 | 405 => UNIMPLEMENTED,
        408 | 504 => DEADLINE_EXCEEDED,
        413 | 431 => RESOURCE_EXHAUSTED,
        429 | 502 | 503 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// A message as `grpc-message` has it: what is not printable ASCII, and `%`, percent-encoded.
#[must_use]
pub fn message(text: &str) -> String {
    let mut message = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'$' | b'&'..=b'~' => message.push(char::from(byte)),
            _ => {
                message.push('%');
                message.push_str(&format!("{byte:02X}"));
            }
        }
    }
    message
}

/// What `grpc-timeout` says: at most eight digits and a unit.
#[must_use]
pub fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// True for the media types of gRPC, but not for gRPC-Web, which is another protocol.
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(b"application/grpc") {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';')),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read() {
        assert_eq!(timeout(b"1H"), Some(Duration::from_secs(3600)));
        assert_eq!(timeout(b"250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout(b"99999999n"), Some(Duration::from_nanos(99_999_999)));
        for bad in ["", "S", "1", "1s", "-1S", "123456789S", "1.5S", " 1S"] {
            assert_eq!(timeout(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn messages_are_encoded() {
        assert_eq!(message("No route: 100% é\n"), "No route: 100%25 %C3%A9%0A");
    }

    #[test]
    fn media_types_are_told_apart() {
        assert!(is_grpc(b"application/grpc") && is_grpc(b"application/grpc+proto") && is_grpc(b"application/grpc;x"));
        assert!(!is_grpc(b"application/grpc-web") && !is_grpc(b"application/json") && !is_grpc(b""));
    }
}
