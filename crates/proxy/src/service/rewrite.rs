//! Answers speak of the service as the client knows it: redirects and cookies that name a target, its base path, or a
//! path without the prefix that was stripped, are put right. A target's address never leaves the gateway.

use http::uri::Authority;
use tollgate_core::{Headers, Known, Scheme};

use super::Service;

/// The service as the client sees it.
pub(crate) struct Outside<'a> {
    pub(crate) scheme: Scheme,
    /// The client's `Host`; empty if it named none.
    pub(crate) authority: &'a str,
    pub(crate) service: &'a Service,
    /// What was removed from the front of the client's path; `None` if the path was rewritten and cannot be told back.
    pub(crate) stripped: Option<&'a str>,
}

/// Puts the fields of an answer right.
pub(crate) fn answer(headers: &mut Headers, outside: &Outside<'_>) {
    for (known, name) in [(Known::Location, "Location"), (Known::ContentLocation, "Content-Location")] {
        if headers.has(known) {
            replace(headers, known, name, |value| outside.url(value));
        }
    }
    if headers.has(Known::Refresh) {
        replace(headers, Known::Refresh, "Refresh", |value| outside.refresh(value));
    }
    if headers.has(Known::SetCookie) {
        replace(headers, Known::SetCookie, "Set-Cookie", |value| outside.cookie(value));
    }
}

/// Replaces the values that `change` has a new form for; the fields' order among themselves stays.
fn replace(headers: &mut Headers, known: Known, name: &str, change: impl Fn(&str) -> Option<String>) {
    let text = |value: &[u8]| std::str::from_utf8(value).ok().and_then(&change);
    if !headers.known(known).any(|value| text(value).is_some()) {
        return;
    }
    let values: Vec<Vec<u8>> =
        headers.known(known).map(|value| text(value).map_or_else(|| value.to_vec(), String::into_bytes)).collect();
    headers.remove_known(known);
    for value in values {
        headers.add(name, value);
    }
}

impl Outside<'_> {
    /// The new form of a URL reference, if it needs one.
    fn url(&self, value: &str) -> Option<String> {
        if value.starts_with('/') && !value.starts_with("//") {
            return self.path(value);
        }
        let (scheme, rest) = match value.strip_prefix("//") {
            Some(rest) => ("", rest),
            None => value.split_once("://")?,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        if !self.is_target(scheme, authority) || self.authority.is_empty() {
            return None;
        }
        let path = rest.get(authority.len()..)?;
        let path = self.path(path).unwrap_or_else(|| path.to_owned());
        Some(format!("{}://{}{path}", self.scheme.as_str(), self.authority))
    }

    /// True if an authority is one of the service's targets.
    fn is_target(&self, scheme: &str, authority: &str) -> bool {
        let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        let split = |text: &str| {
            let authority: Authority = text.parse().ok()?;
            Some((authority.host().to_ascii_lowercase(), authority.port_u16().unwrap_or(port)))
        };
        let Some(named) = split(authority) else { return false };
        self.service.targets.iter().any(|target| split(&target.authority).as_ref() == Some(&named))
    }

    /// The client's form of a path of the service, if they differ.
    fn path(&self, path: &str) -> Option<String> {
        let (base, stripped) = (self.service.base_path.as_str(), self.stripped?);
        if base.is_empty() && stripped.is_empty() {
            return None;
        }
        let rest = path.strip_prefix(base)?;
        if !rest.is_empty() && !rest.starts_with(['/', '?', '#']) {
            return None;
        }
        let slash = if rest.starts_with('/') || !stripped.is_empty() { "" } else { "/" };
        Some(format!("{stripped}{slash}{rest}"))
    }

    /// `5; url=http://…`.
    fn refresh(&self, value: &str) -> Option<String> {
        let at = value.to_ascii_lowercase().find("url=")? + 4;
        let (before, url) = value.split_at_checked(at)?;
        let bare = url.trim().trim_matches(['"', '\'']);
        Some(format!("{before}{}", self.url(bare)?))
    }

    /// A cookie for the target's own name becomes one for the host that the client asked (RFC 6265 §5.2.3), and one for
    /// a path of the service one for the client's.
    fn cookie(&self, value: &str) -> Option<String> {
        let mut changed = false;
        let mut parts: Vec<String> = Vec::new();
        for part in value.split(';') {
            let (name, attribute) = part.split_once('=').map_or((part.trim(), ""), |(name, v)| (name.trim(), v.trim()));
            if !parts.is_empty() && name.eq_ignore_ascii_case("domain") && self.is_target_host(attribute) {
                changed = true;
                continue;
            }
            if !parts.is_empty()
                && name.eq_ignore_ascii_case("path")
                && let Some(path) = self.path(attribute)
            {
                changed = true;
                parts.push(format!(" Path={path}"));
                continue;
            }
            parts.push(part.to_owned());
        }
        changed.then(|| parts.join(";"))
    }

    fn is_target_host(&self, domain: &str) -> bool {
        let domain = domain.trim_start_matches('.');
        let host = |target: &str| target.parse::<Authority>().ok().map(|authority| authority.host().to_owned());
        self.service
            .targets
            .iter()
            .filter_map(|target| host(&target.authority))
            .any(|host| host.eq_ignore_ascii_case(domain))
    }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
