//! The header fields the gateway itself has to recognise, found by one comparison while the head is parsed.

/// A field name the gateway acts on; everything else is [`Known::Other`] and merely passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "each variant is the field of its name; the groups are explained below")]
pub enum Known {
    Other,
    // Routing and framing (RFC 9110 §7.2, RFC 9112 §6).
    Host,
    ContentLength,
    TransferEncoding,
    Expect,
    MaxForwards,
    // Hop-by-hop (RFC 9110 §7.6.1): consumed here, never passed on as they came.
    Connection,
    KeepAlive,
    ProxyConnection,
    Te,
    Upgrade,
    Http2Settings,
    // Written by the gateway about the client (RFC 7239 and its predecessors).
    Forwarded,
    XForwarded,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    XForwardedPort,
    Via,
    // Written by the gateway about who the client is, so never believed from outside.
    Identity,
    // `Proxy` becomes HTTP_PROXY in CGI ("httpoxy"): never forwarded.
    Proxy,
    // A name that differs from a field which decides framing or trust only by `_` for `-`. CGI-style origins cannot
    // tell the two apart.
    Disguised,
    // Looked at in answers.
    Date,
    Location,
    ContentLocation,
    Refresh,
    SetCookie,
    Trailer,
    // Looked at by plugins on hot paths.
    RequestId,
    Origin,
    Authorization,
    Cookie,
}

impl Known {
    /// The bit of this field in a set of 64.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << (self as u8)
    }

    /// Recognises a field name, in any case.
    #[must_use]
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        // Length and one letter leave at most a few candidates, most often none.
        let Some(&first) = name.first() else { return Self::Other };
        let candidates: &[(&[u8], Self)] = match (name.len(), first | 0x20) {
            (2, b't') => &[(b"te", Self::Te)],
            (3, b'v') => &[(b"via", Self::Via)],
            (4, b'h') => &[(b"host", Self::Host)],
            (4, b'd') => &[(b"date", Self::Date)],
            (5, b'p') => &[(b"proxy", Self::Proxy)],
            (6, b'e') => &[(b"expect", Self::Expect)],
            (6, b'o') => &[(b"origin", Self::Origin)],
            (6, b'c') => &[(b"cookie", Self::Cookie)],
            (7, b'u') => &[(b"upgrade", Self::Upgrade)],
            (7, b't') => &[(b"trailer", Self::Trailer)],
            (7, b'r') => &[(b"refresh", Self::Refresh)],
            (8, b'l') => &[(b"location", Self::Location)],
            (8, b'x') => &[(b"x-tenant", Self::Identity)],
            (9, b'x') => &[(b"x-user-id", Self::Identity)],
            (9, b'f') => &[(b"forwarded", Self::Forwarded)],
            (10, b'c') => &[(b"connection", Self::Connection)],
            (10, b'k') => &[(b"keep-alive", Self::KeepAlive)],
            (10, b's') => &[(b"set-cookie", Self::SetCookie)],
            // Nobody decides or trusts anything by it, so `x_request_id` is just another name.
            (12, b'x') if name.eq_ignore_ascii_case(b"x-request-id") => return Self::RequestId,
            (12, b'm') => &[(b"max-forwards", Self::MaxForwards)],
            (13, b'a') => &[(b"authorization", Self::Authorization)],
            (14, b'c') => &[(b"content-length", Self::ContentLength)],
            (14, b'h') => &[(b"http2-settings", Self::Http2Settings)],
            (15, b'x') => &[
                (b"x-forwarded-for", Self::XForwardedFor),
                (b"x-consumer-name", Self::Identity),
                (b"x-credential-id", Self::Identity),
                (b"x-forwarded-ssl", Self::XForwarded),
            ],
            (16, b'x') => &[
                (b"x-forwarded-host", Self::XForwardedHost),
                (b"x-forwarded-port", Self::XForwardedPort),
            ],
            (16, b'p') => &[(b"proxy-connection", Self::ProxyConnection)],
            (16, b'c') => &[(b"content-location", Self::ContentLocation)],
            (17, b't') => &[(b"transfer-encoding", Self::TransferEncoding)],
            (17, b'x') => &[
                (b"x-forwarded-proto", Self::XForwardedProto),
                (b"x-consumer-groups", Self::Identity),
            ],
            (len, b'x') if len > 12 => return Self::forwarded_like(name),
            _ => return Self::Other,
        };
        for &(known, id) in candidates {
            match compare(name, known) {
                Likeness::Same => return id,
                Likeness::Disguised => return Self::Disguised,
                Likeness::Different => {}
            }
        }
        Self::forwarded_like(name)
    }

    /// `X-Forwarded-` followed by anything: what other proxies say about the client.
    fn forwarded_like(name: &[u8]) -> Self {
        match name.get(..12).map(|start| compare(start, b"x-forwarded-")) {
            Some(Likeness::Same) => Self::XForwarded,
            Some(Likeness::Disguised) => Self::Disguised,
            _ => Self::Other,
        }
    }
}

enum Likeness {
    Same,
    Disguised,
    Different,
}

/// Compares a name with a lower-case known one, noticing `_` in the place of `-`. Both have the same length.
#[inline]
fn compare(name: &[u8], known: &[u8]) -> Likeness {
    if name.eq_ignore_ascii_case(known) {
        return Likeness::Same;
    }
    let fold = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    if known.contains(&b'-') && name.iter().map(fold).eq(known.iter().copied()) {
        return Likeness::Disguised;
    }
    Likeness::Different
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Known::of(b"Transfer-Encoding"), Known::TransferEncoding);
        assert_eq!(Known::of(b"HOST"), Known::Host);
        assert_eq!(Known::of(b"X-Forwarded-Whatever"), Known::XForwarded);
        assert_eq!(Known::of(b"x-credential-id"), Known::Identity);
        assert_eq!(Known::of(b"Accept"), Known::Other);
        assert_eq!(Known::of(b""), Known::Other);
    }

    #[test]
    fn underscores_do_not_hide_a_name() {
        for name in ["Content_Length", "transfer_Encoding", "X_User-Id", "x_forwarded_for", "X-Forwarded_Prefix"] {
            assert_eq!(Known::of(name.as_bytes()), Known::Disguised, "{name}");
        }
        assert_eq!(Known::of(b"X_Custom_Id"), Known::Other);
        assert_eq!(Known::of(b"X_Request_Id"), Known::Other);
        assert_eq!(Known::of(b"X-Request-ID"), Known::RequestId);
    }

    #[test]
    fn every_variant_has_a_bit() {
        assert!((Known::Cookie as u8) < 64);
    }
}
