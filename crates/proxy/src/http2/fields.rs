//! Fields between the `http` crate's map, in which `h2` gives and takes them, and ours.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tollgate_core::{Headers, Known};

/// Fields that belong to a connection of HTTP/1 and must not stand in HTTP/2 (RFC 9113 §8.2.2).
const fn is_of_connection(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade
            | Known::Http2Settings
    )
}

/// Our fields as a map. Names become lower-case; what has no place in HTTP/2 is left out.
pub(crate) fn to_map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len() + 3);
    for (name, value) in headers.iter() {
        if is_of_connection(Known::of(name)) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

/// A map's fields as ours; those for which `keep` is false are left out.
pub(crate) fn from_map(map: &HeaderMap, mut keep: impl FnMut(Known) -> bool) -> Headers {
    let mut headers = Headers::with_capacity(map.len() + 8);
    for (name, value) in map {
        let known = Known::of(name.as_str().as_bytes());
        if keep(known) {
            headers.add_line(known, name.as_str(), &[value.as_bytes()]);
        }
    }
    headers
}
