//! Paths and queries.

use tollgate_proxy::normalize::{self, Canonical};

use crate::reference;

/// Paths and queries: the reference agrees, and a canonical path is legal, free of dot segments by every plausible
/// reading, and stays itself.
pub fn path(data: &[u8]) {
    check(data);
    if !data.starts_with(b"/") {
        check(&[b"/", data].concat());
    }
    let query = normalize::query(data);
    assert_eq!(query.is_ok(), reference::query(data));
    if let Ok(query) = query {
        assert_eq!(query.as_bytes(), data);
    }
}

fn check(raw: &[u8]) {
    let canonical = normalize::path(raw);
    let expected = reference::path(raw);
    assert_eq!(canonical.as_ref().ok().map(Canonical::as_str), expected.as_deref(), "{canonical:?}");
    let Ok(canonical) = canonical else { return };
    let text = canonical.as_str();
    assert_eq!(matches!(canonical, Canonical::AsIs(_)), text.as_bytes() == raw, "{canonical:?}");
    assert_eq!(normalize::path(text.as_bytes()), Ok(Canonical::AsIs(text)));
    assert!(text.starts_with('/') && !text.contains("//"));
    // `pchar` and slashes (RFC 3986 §3.3).
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@/".contains(&byte)));
    for (at, _) in text.match_indices('%') {
        let digits = text.get(at + 1..at + 3).unwrap_or_default();
        assert!(digits.len() == 2 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')));
    }
    let others = text.replace("%2F", "/").replace("%5C", "/").replace("%2E", ".");
    for segment in others.split('/') {
        assert!(!matches!(segment.split(';').next(), Some("." | "..")), "{text}");
    }
}
