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
        let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) else {
            return Self::of_short(name);
        };
        let between = || name.len() > 16 && name.contains(&b'_');
        if has_underscore(folded(first)) || has_underscore(folded(last)) || between() {
            return Self::of_disguised(name);
        }
        Self::of_plain(name)
    }

    /// The kind of a field by its name, which has no `_` in it.
    #[inline]
    #[must_use]
    pub fn of_plain(name: &[u8]) -> Self {
        let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) else {
            return Self::of_short(name);
        };
        let (first, last) = (folded(first), folded(last));
        for candidate in Candidate::of_length(name.len()) {
            // Two words cover up to sixteen bytes.
            let rest_is_same = || name.len() <= 16 || same(name, candidate.name);
            if candidate.first == first && candidate.last == last && rest_is_same() {
                return candidate.known;
            }
        }
        if first == FORWARDED_START { Self::forwarded_like(name) } else { Self::Other }
    }

    /// Names shorter than a word.
    #[inline]
    fn of_short(name: &[u8]) -> Self {
        const TE: u64 = short(b"te");
        const VIA: u64 = short(b"via");
        const HOST: u64 = short(b"host");
        const DATE: u64 = short(b"date");
        const PROXY: u64 = short(b"proxy");
        const CLOSE: u64 = short(b"close");
        const EXPECT: u64 = short(b"expect");
        const ORIGIN: u64 = short(b"origin");
        const COOKIE: u64 = short(b"cookie");
        const UPGRADE: u64 = short(b"upgrade");
        const TRAILER: u64 = short(b"trailer");
        const REFRESH: u64 = short(b"refresh");
        match short(name) {
            TE => Self::Te,
            VIA => Self::Via,
            HOST => Self::Host,
            DATE => Self::Date,
            PROXY => Self::Proxy,
            CLOSE => Self::KeepAlive,
            EXPECT => Self::Expect,
            ORIGIN => Self::Origin,
            COOKIE => Self::Cookie,
            UPGRADE => Self::Upgrade,
            TRAILER => Self::Trailer,
            REFRESH => Self::Refresh,
            _ => Self::Other,
        }
    }

    /// `X-Forwarded-` followed by anything: what other proxies say about the client.
    fn forwarded_like(name: &[u8]) -> Self {
        match name.get(..12) {
            Some(start) if same(start, b"x-forwarded-") => Self::XForwarded,
            _ => Self::Other,
        }
    }

    /// A name with `_` in it is disguised if `-` in their places would make it one that decides something.
    #[cold]
    fn of_disguised(name: &[u8]) -> Self {
        let plain: Vec<u8> = name.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect();
        match Self::of(&plain) {
            // Nobody decides or trusts anything by these.
            Self::RequestId | Self::SetCookie | Self::ContentLocation | Self::Other => Self::Other,
            _ => Self::Disguised,
        }
    }
}

/// A known name of eight bytes and more, with its first and last eight as words: two comparisons rule it out.
struct Candidate {
    first: u64,
    last: u64,
    name: &'static [u8],
    known: Known,
}

impl Candidate {
    const fn new(name: &'static [u8], known: Known) -> Self {
        let (first, last) = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => (0, 0),
        };
        Self { first, last, name, known }
    }

    /// The candidates of a length.
    #[inline]
    const fn of_length(length: usize) -> &'static [Self] {
        match length {
            8 => const { &[Self::new(b"location", Known::Location), Self::new(b"x-tenant", Known::Identity)] },
            9 => {
                const {
                    &[
                        Self::new(b"x-user-id", Known::Identity),
                        Self::new(b"forwarded", Known::Forwarded),
                        Self::new(b"x-real-ip", Known::XForwarded),
                    ]
                }
            }
            10 => {
                const {
                    &[
                        Self::new(b"connection", Known::Connection),
                        Self::new(b"keep-alive", Known::KeepAlive),
                        Self::new(b"set-cookie", Known::SetCookie),
                    ]
                }
            }
            12 => {
                const { &[Self::new(b"x-request-id", Known::RequestId), Self::new(b"max-forwards", Known::MaxForwards)] }
            }
            13 => const { &[Self::new(b"authorization", Known::Authorization)] },
            14 => {
                const {
                    &[
                        Self::new(b"content-length", Known::ContentLength),
                        Self::new(b"http2-settings", Known::Http2Settings),
                    ]
                }
            }
            15 => {
                const {
                    &[
                        Self::new(b"x-forwarded-for", Known::XForwardedFor),
                        Self::new(b"x-consumer-name", Known::Identity),
                        Self::new(b"x-credential-id", Known::Identity),
                    ]
                }
            }
            16 => {
                const {
                    &[
                        Self::new(b"x-forwarded-host", Known::XForwardedHost),
                        Self::new(b"x-forwarded-port", Known::XForwardedPort),
                        Self::new(b"proxy-connection", Known::ProxyConnection),
                        Self::new(b"content-location", Known::ContentLocation),
                    ]
                }
            }
            17 => {
                const {
                    &[
                        Self::new(b"transfer-encoding", Known::TransferEncoding),
                        Self::new(b"x-forwarded-proto", Known::XForwardedProto),
                        Self::new(b"x-consumer-groups", Known::Identity),
                    ]
                }
            }
            _ => &[],
        }
    }
}

const FORWARDED_START: u64 = u64::from_le_bytes(*b"x-forwar");

/// Eight bytes in lower case. Setting the bit that tells cases apart changes no other character of a token into one of a
/// known name, and `_` into DEL.
#[inline]
const fn folded(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes) | 0x2020_2020_2020_2020
}

/// Up to seven bytes in lower case, as one word; what is not there reads as a space, which no name has.
#[inline]
const fn short(name: &[u8]) -> u64 {
    let word = match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        // The two overlap in bytes that are the same.
        (Some(first), Some(last)) => {
            u32::from_le_bytes(*first) as u64 | (u32::from_le_bytes(*last) as u64) << (8 * (name.len() - 4))
        }
        _ => match name {
            [a] => *a as u64,
            [a, b] => *a as u64 | (*b as u64) << 8,
            [a, b, c] => *a as u64 | (*b as u64) << 8 | (*c as u64) << 16,
            _ => 0,
        },
    };
    word | 0x2020_2020_2020_2020
}

/// True if a folded word has a `_`.
#[inline]
const fn has_underscore(word: u64) -> bool {
    let marked = word ^ 0x7f7f_7f7f_7f7f_7f7f;
    marked.wrapping_sub(0x0101_0101_0101_0101) & !marked & 0x8080_8080_8080_8080 != 0
}

/// Compares a name with a lower-case one of the same length.
#[inline]
fn same(name: &[u8], known: &[u8]) -> bool {
    name.iter().zip(known).all(|(byte, known)| byte | 0x20 == *known)
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
        for name in [
            "Content_Length",
            "transfer_Encoding",
            "X_User-Id",
            "x_forwarded_for",
            "X-Forwarded_Prefix",
            "x_forwarded-proto",
            "x-consumer_groups",
        ] {
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
