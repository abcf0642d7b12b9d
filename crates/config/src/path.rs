//! Patterns for the path of a request, and the one form in which paths are compared.

use crate::text::written_as_text;
use regex_automata::nfa::thompson;
use std::fmt;
use std::str::FromStr;

/// A pattern for the path of a request. All but a regex are kept in canonical form: only what must be is
/// percent-encoded, in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathPattern {
    /// `=/exact`: this path only. Without the `=`.
    Exact(String),
    /// `/v1/orders/{id}`: whole segments in braces stand for any one segment.
    Template(String),
    /// `/v1/orders`: this path and, by whole segments, all below it.
    Prefix(String),
    /// `~^/v[0-9]+/x$`: a regular expression. Without the `~`.
    Regex(String),
}

/// Why a text is not a path or a pattern for paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is empty.
    #[error("expected a path such as /v1/orders, found an empty string\nhelp: `/` matches every path")]
    Empty,
    /// It does not begin with a slash.
    #[error("expected a path that begins with `/`, found `{found}`\nhelp: did you mean `{meant}`?")]
    NoSlash {
        /// What was written.
        found: String,
        /// It with the slash.
        meant: String,
    },
    /// It has a query or a fragment.
    #[error(
        "`{0}` can't stand in a path\nhelp: use `query` to match parameters; write %3F for `?` and %23 for `#` in a path"
    )]
    QueryOrFragment(char),
    /// It has a control character.
    #[error("a path can't have control characters")]
    Control,
    /// It has a percent sign that is no encoding.
    #[error("`{0}` is not a percent-encoding\nhelp: write %25 for `%`")]
    Percent(String),
    /// It has an empty segment.
    #[error("`{0}` has an empty segment, which no request has when paths are compared\nhelp: write one `/` only")]
    EmptySegment(String),
    /// It has a dot segment.
    #[error("`{0}` has a segment `.` or `..`, which no request has when paths are compared")]
    DotSegment(String),
    /// It has braces that don't match.
    #[error(
        "`{0}` has braces that don't match\nhelp: a capture is a whole segment such as {{id}}; write %7B and %7D for braces"
    )]
    Braces(String),
    /// It has a capture that is but a part of a segment.
    #[error(
        "the capture in `{0}` is not the whole segment\nhelp: use a regex for parts of segments: ~^/files/(?<name>[^/]+)\\.json$"
    )]
    PartOfSegment(String),
    /// It has a capture with a bad name.
    #[error("`{0}` is not a name for a capture\nhelp: use letters, digits and `_`, not beginning with a digit")]
    CaptureName(String),
    /// It has a name twice.
    #[error("the capture `{0}` stands here twice")]
    CaptureTwice(String),
    /// It is an exact path with a capture.
    #[error(
        "an exact path can't have captures, found `{0}`\nhelp: drop the `=`: a path with captures matches as a whole anyway"
    )]
    ExactCapture(String),
    /// It is not a regular expression.
    #[error("the regular expression is not valid: {0}")]
    Regex(String),
}

impl PathPattern {
    /// The names of what it captures: of a template, or the named groups of a regex.
    #[must_use]
    pub fn captures(&self) -> Vec<String> {
        match self {
            Self::Template(path) => captures(path).map(str::to_owned).collect(),
            Self::Regex(regex) => {
                let Ok(nfa) = compile(regex) else { return Vec::new() };
                nfa.group_info().all_names().filter_map(|(_, _, name)| name).map(str::to_owned).collect()
            }
            Self::Exact(_) | Self::Prefix(_) => Vec::new(),
        }
    }

    /// How many groups a regex has, the whole match not among them.
    #[must_use]
    pub fn groups(&self) -> usize {
        match self {
            Self::Regex(regex) => compile(regex).map_or(0, |nfa| nfa.group_info().all_group_len().saturating_sub(1)),
            _ => 0,
        }
    }
}

impl FromStr for PathPattern {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if let Some(regex) = text.strip_prefix('~') {
            compile(regex).map_err(PathError::Regex)?;
            return Ok(Self::Regex(regex.to_owned()));
        }
        if let Some(path) = text.strip_prefix('=') {
            let path = canonical(path)?;
            return match path.contains(['{', '}']) {
                true => Err(PathError::ExactCapture(path)),
                false => Ok(Self::Exact(path)),
            };
        }
        let path = canonical(text)?;
        if path.contains(['{', '}']) { template(path).map(Self::Template) } else { Ok(Self::Prefix(path)) }
    }
}

fn template(path: String) -> Result<String, PathError> {
    let mut names: Vec<&str> = Vec::new();
    for segment in path.split('/').filter(|segment| segment.contains(['{', '}'])) {
        let opens = segment.matches('{').count();
        if opens != 1 || segment.matches('}').count() != 1 || segment.find('{') > segment.find('}') {
            return Err(PathError::Braces(path.clone()));
        }
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return Err(PathError::PartOfSegment(segment.to_owned()));
        };
        if !is_capture_name(name) {
            return Err(PathError::CaptureName(name.to_owned()));
        }
        if names.contains(&name) {
            return Err(PathError::CaptureTwice(name.to_owned()));
        }
        names.push(name);
    }
    Ok(path)
}

fn captures(template: &str) -> impl Iterator<Item = &str> {
    template.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

pub(crate) fn is_capture_name(name: &str) -> bool {
    let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    sound && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Compiles a regular expression to see whether it is one, and what it captures.
pub(crate) fn compile(regex: &str) -> Result<thompson::NFA, String> {
    const LARGEST: usize = 1 << 20;
    let config = thompson::Config::new().nfa_size_limit(Some(LARGEST));
    thompson::NFA::compiler().configure(config).build(regex).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        // The last line says why; those before it draw the expression.
        let reason = cause.lines().last().unwrap_or(&cause);
        reason.trim_start_matches("error: ").to_owned()
    })
}

/// A path in the form in which requests are compared. Braces are left as they are.
pub(crate) fn canonical(path: &str) -> Result<String, PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if !path.starts_with('/') {
        return Err(PathError::NoSlash { found: path.to_owned(), meant: format!("/{path}") });
    }
    let mut result = String::with_capacity(path.len());
    let mut chars = path.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '?' | '#' => return Err(PathError::QueryOrFragment(c)),
            '%' => {
                push_encoded(&mut result, encoded_at(path, at)?);
                chars.nth(1);
            }
            _ if c.is_ascii_control() => return Err(PathError::Control),
            ' ' => result.push_str("%20"),
            _ if c.is_ascii() => result.push(c),
            _ => c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| push_hex(&mut result, b)),
        }
    }
    if result.contains("//") {
        return Err(PathError::EmptySegment(path.to_owned()));
    }
    if result.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(PathError::DotSegment(path.to_owned()));
    }
    Ok(result)
}

fn encoded_at(path: &str, at: usize) -> Result<u8, PathError> {
    let digits = path.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    byte.ok_or_else(|| PathError::Percent(path.chars().skip(path[..at].chars().count()).take(3).collect()))
}

fn push_encoded(result: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        result.push(char::from(byte));
    } else {
        push_hex(result, byte);
    }
}

fn push_hex(result: &mut String, byte: u8) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    result.push('%');
    result.push(DIGITS[usize::from(byte >> 4)]);
    result.push(DIGITS[usize::from(byte & 15)]);
}

/// As it would be written.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(f, "={path}"),
            Self::Template(path) | Self::Prefix(path) => f.write_str(path),
            Self::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

written_as_text!(PathPattern, "a path such as /v1/orders, =/exact, /v1/{id} or ~^/v[0-9]+$", {
    "description": "A pattern for paths. Plain: a prefix by whole segments. `=/x`: this path only. `/v1/{id}`: a template. `~^/v[0-9]+$`: a regular expression.",
    "pattern": "^(/|=/|~)|\\$\\{",
    "examples": ["/v1/orders", "=/exact", "/v1/orders/{id}/items", "~^/v[0-9]+/x$"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read() {
        let prefix = |path: &str| PathPattern::Prefix(path.to_owned());
        for (text, expected) in [
            ("/", prefix("/")),
            ("/v1/orders", prefix("/v1/orders")),
            ("/v1/", prefix("/v1/")),
            ("/a%2fb%41", prefix("/a%2FbA")),
            ("/é ", prefix("/%C3%A9%20")),
            ("/a%7B", prefix("/a%7B")),
            ("=/x", PathPattern::Exact("/x".into())),
            ("/v1/{id}/{item_2}", PathPattern::Template("/v1/{id}/{item_2}".into())),
            ("~^/v[0-9]+$", PathPattern::Regex("^/v[0-9]+$".into())),
        ] {
            assert_eq!(text.parse::<PathPattern>(), Ok(expected), "{text}");
        }
        assert_eq!("/{a}/x/{b}".parse::<PathPattern>().unwrap().captures(), ["a", "b"]);
        let regex: PathPattern = "~^/(?<a>.)(.)$".parse().unwrap();
        assert_eq!((regex.captures(), regex.groups()), (vec!["a".to_owned()], 2));
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, part) in [
            ("", "found an empty string"),
            ("v1", "help: did you mean `/v1`?"),
            ("=v1", "help: did you mean `/v1`?"),
            ("/a?b", "`?` can't stand in a path"),
            ("/a#b", "`#` can't stand in a path"),
            ("/a%", "`%` is not a percent-encoding"),
            ("/a%zz", "`%zz` is not a percent-encoding"),
            ("/é%é", "`%é` is not a percent-encoding"),
            ("/a//b", "empty segment"),
            ("/a/../b", "segment `.` or `..`"),
            ("/a/%2e", "segment `.` or `..`"),
            ("/{a", "braces that don't match"),
            ("/a}", "braces that don't match"),
            ("/{a}{b}", "braces that don't match"),
            ("/}a{", "braces that don't match"),
            ("/{a}.json", "not the whole segment"),
            ("/{}", "`` is not a name for a capture"),
            ("/{1a}", "`1a` is not a name for a capture"),
            ("/{a-b}", "`a-b` is not a name for a capture"),
            ("/{*rest}", "`*rest` is not a name for a capture"),
            ("/{a}/{a}", "the capture `a` stands here twice"),
            ("=/{a}", "an exact path can't have captures"),
            ("~^/(", "the regular expression is not valid: unclosed group"),
            ("~[z-a]", "the regular expression is not valid: invalid character class range"),
            ("~(a{1000}){1000}", "the regular expression is not valid: "),
            ("/a\u{1}", "control characters"),
        ] {
            let error = text.parse::<PathPattern>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
