//! Header fields that the config names: checked and rendered once, when it loads.

use tollgate_core::document::{Problem, Raw};
use tollgate_core::headers::{Headers, is_control, is_token};
use tollgate_core::known::Known;

/// A field that is written as it is to many messages.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    known: Known,
    name: Box<str>,
    value: Box<[u8]>,
}

impl Line {
    /// A field whose name is a token and whose value has no control bytes: [`check_name`] and [`check_value`].
    pub(crate) fn new(name: &str, value: &str) -> Self {
        Self { known: Known::of(name.as_bytes()), name: name.into(), value: value.trim().as_bytes().into() }
    }

    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name)
    }

    /// Adds the field; others of its name stay.
    pub(crate) fn add_to(&self, headers: &mut Headers) {
        headers.add_line(self.known, &self.name, &[&self.value]);
    }

    /// Puts the field in the place of all others of its name.
    pub(crate) fn set_in(&self, headers: &mut Headers) {
        headers.remove(&self.name);
        self.add_to(headers);
    }
}

/// Says what is wrong with a field's name at `path`: that it is none, or that it is not a plugin's to touch.
pub(crate) fn check_name(raw: &Raw, path: &str, name: &str) -> Option<Problem> {
    check_token(raw, path, name).or_else(|| {
        let (why, help) = reserved(Known::of(name.as_bytes()))?;
        Some(raw.problem(path, format!("`{name}` {why}"), Some(help.to_owned())))
    })
}

/// Says so if the text at `path` can not be the name of a field.
pub(crate) fn check_token(raw: &Raw, path: &str, name: &str) -> Option<Problem> {
    if is_token(name.as_bytes()) && name.len() <= 256 {
        return None;
    }
    let message = format!("expected the name of a header, found `{}`", name.escape_debug());
    Some(raw.problem(path, message, Some("a name is made of letters, digits and `-`, up to 256 of them".to_owned())))
}

/// Says so if the text at `path` can not be the value of a field.
pub(crate) fn check_value(raw: &Raw, path: &str, value: &str) -> Option<Problem> {
    if !value.bytes().any(is_control) {
        return None;
    }
    let help = "a value is one line of text; in YAML use `>-` instead of `|` for a long one";
    Some(raw.problem(path, "a header's value can't hold line breaks or control characters", Some(help.to_owned())))
}

/// Why a field is not a plugin's to touch, and what to do instead.
const fn reserved(known: Known) -> Option<(&'static str, &'static str)> {
    match known {
        Known::Host => {
            Some(("is not a plugin's to change", "`preserve_host: false` on the route sends the target's own host"))
        }
        Known::ContentLength | Known::TransferEncoding | Known::Trailer => {
            Some(("says where the body ends, so the gateway alone writes it", "leave it out"))
        }
        Known::Connection
        | Known::KeepAlive
        | Known::ProxyConnection
        | Known::Te
        | Known::Upgrade
        | Known::Http2Settings
        | Known::Expect
        | Known::MaxForwards => {
            Some(("concerns one connection and is never passed on, so the gateway alone writes it", "leave it out"))
        }
        Known::Forwarded
        | Known::XForwardedFor
        | Known::XForwardedProto
        | Known::XForwardedHost
        | Known::XForwardedPort
        | Known::Via => Some((
            "is written by the gateway on every request",
            "to believe what a proxy in front says, put its address into the listener's `trusted_proxies`",
        )),
        Known::Proxy => {
            Some(("is never passed on, for CGI programs take it for a setting of theirs (httpoxy)", "use another name"))
        }
        Known::Disguised => Some((
            "differs only by `_` from a header that decides framing or trust, so it is never passed on",
            "write it with `-`, or use another name",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_a_plugins_to_touch_are_refused() {
        let raw = Raw::default();
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "Connection",
            "Keep-Alive",
            "TE",
            "Upgrade",
            "Trailer",
            "Expect",
            "Content_Length",
            "Proxy",
            "X-Forwarded-For",
            "Via",
            "",
            "a b",
            "a:",
            "é",
        ] {
            let problem = check_name(&raw, "x", name).unwrap_or_else(|| panic!("{name}"));
            assert!(problem.help.is_some(), "{name}: says what to do");
        }
        for name in ["X-Custom", "X-User-Id", "Authorization", "Set-Cookie", "X-Forwarded-Prefix", "X_Custom"] {
            assert_eq!(check_name(&raw, "x", name), None);
        }
    }

    #[test]
    fn values_are_one_line() {
        let raw = Raw::default();
        assert!(check_value(&raw, "x", "a\r\nB: c").is_some());
        assert!(check_value(&raw, "x", "a\n").is_some());
        assert!(check_value(&raw, "x", "a\0").is_some());
        assert_eq!(check_value(&raw, "x", "a\tb é"), None);
    }
}
