//! The origins a `cors` plugin admits.

use std::borrow::Cow;

use regex_automata::meta::Regex;
use tollgate_core::document::{Problem, Raw};

/// A set of origins.
pub(super) struct Origins {
    /// Sorted.
    exact: Vec<Box<[u8]>>,
    wildcards: Vec<Wildcard>,
    regexes: Vec<Regex>,
}

/// `https://*.example.com`: what stands before and after the `*`.
struct Wildcard {
    before: Box<[u8]>,
    after: Box<[u8]>,
}

/// What one text of the config stands for.
enum Pattern {
    Exact(Box<[u8]>),
    Wildcard(Wildcard),
    Regex(Box<Regex>),
}

/// What is wrong with it, and what to do about it.
type Mistake = (String, Option<String>);

impl Origins {
    pub(super) fn new(texts: &[String], raw: &Raw, problems: &mut Vec<Problem>) -> Self {
        let mut origins = Self { exact: Vec::new(), wildcards: Vec::new(), regexes: Vec::new() };
        for (index, text) in texts.iter().enumerate() {
            match pattern(text) {
                Ok(Pattern::Exact(origin)) => origins.exact.push(origin),
                Ok(Pattern::Wildcard(wildcard)) => origins.wildcards.push(wildcard),
                Ok(Pattern::Regex(regex)) => origins.regexes.push(*regex),
                Err((message, help)) => problems.push(raw.problem(&format!("origins[{index}]"), message, help)),
            }
        }
        origins.exact.sort_unstable();
        origins
    }

    /// The origin, as a browser writes it, if its pages are admitted. One that is listed as such is not copied.
    pub(super) fn admit(&self, origin: &[u8]) -> Option<Cow<'_, [u8]>> {
        if let Ok(index) = self.exact.binary_search_by(|known| known[..].cmp(origin)) {
            return self.exact.get(index).map(|known| Cow::Borrowed(&known[..]));
        }
        let admitted = self.wildcards.iter().any(|wildcard| wildcard.admits(origin))
            || self.regexes.iter().any(|regex| regex.is_match(origin));
        admitted.then(|| Cow::Owned(origin.to_vec()))
    }
}

impl Wildcard {
    fn admits(&self, origin: &[u8]) -> bool {
        let between = origin.strip_prefix(&self.before[..]).and_then(|rest| rest.strip_suffix(&self.after[..]));
        // Only labels of a host name: no `/`, `:` or `@` that could end the host earlier than it looks.
        between.is_some_and(|labels| {
            !labels.is_empty() && labels.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        })
    }
}

fn pattern(text: &str) -> Result<Pattern, Mistake> {
    if let Some(regex) = text.strip_prefix('~') {
        // The whole origin: `~https://.*\.example\.com` shall not admit https://a.example.com.evil.net.
        return match Regex::new(&format!("^(?:{regex})$")) {
            Ok(regex) => Ok(Pattern::Regex(Box::new(regex))),
            Err(error) => {
                let cause = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
                Err((format!("`{regex}` is not a regular expression: {cause}"), None))
            }
        };
    }
    let origin = text.to_ascii_lowercase();
    if origin == "null" {
        return Ok(Pattern::Exact(origin.into_bytes().into()));
    }
    let (scheme, authority) = split(&origin).ok_or_else(|| {
        let help = (!text.contains("://")).then(|| format!("did you mean `https://{text}`?"));
        (format!("expected an origin such as https://app.example.com, found `{text}`"), help)
    })?;
    if authority.contains(['/', '?', '#', '@']) {
        let host = authority.split(['/', '?', '#']).next().unwrap_or_default();
        let help =
            format!("an origin has neither user nor path: `{scheme}://{}`", host.rsplit('@').next().unwrap_or(host));
        return Err((format!("`{text}` is not an origin"), Some(help)));
    }
    if !authority.is_ascii() || authority.contains(char::is_whitespace) {
        let help = "browsers send host names in their ASCII form, such as xn--bcher-kva.example".to_owned();
        return Err((format!("`{text}` is not an origin as browsers send it"), Some(help)));
    }
    for (of, port) in [("https", ":443"), ("http", ":80")] {
        if let Some(host) = authority.strip_suffix(port).filter(|_| scheme == of) {
            let help = format!("browsers leave the scheme's own port out: `{scheme}://{host}`");
            return Err((format!("`{text}` is not an origin as browsers send it"), Some(help)));
        }
    }
    let Some((before, after)) = origin.split_once('*') else {
        return Ok(Pattern::Exact(origin.into_bytes().into()));
    };
    let whole_labels = before.ends_with("://") && after.len() > 1 && after.starts_with('.') && !after.contains('*');
    if !whole_labels {
        let help = "write `https://*.example.com`, or a regular expression after `~`".to_owned();
        return Err((format!("in `{text}` the `*` does not stand for the subdomains of a name"), Some(help)));
    }
    Ok(Pattern::Wildcard(Wildcard { before: before.as_bytes().into(), after: after.as_bytes().into() }))
}

/// Scheme and authority, if there are both.
fn split(origin: &str) -> Option<(&str, &str)> {
    let (scheme, authority) = origin.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (is_scheme && !authority.is_empty()).then_some((scheme, authority))
}
