//! One canonical path, query and authority, before anything decides on them.
//!
//! Routing, plugins, limits, cache keys, logs and the service all see the form made here, so that no two of them can read
//! one request differently (RFC 3986 §6.2.2, RFC 9112 §3.2). What has more than one plausible reading is refused: the
//! caller answers 400.
//!
//! The common case, a request that is canonical already, is one scan through a table and borrows the input.

use std::fmt;

use crate::simd;

mod authority;
#[cfg(test)]
mod tests;

pub use authority::{Authority, AuthorityError, authority, authority_text};

/// A canonical path: it starts with `/`, has no dot segment and no empty segment but the last, is ASCII, and keeps
/// percent-encoded only what must be, in upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canonical<'a> {
    /// The path was canonical as received.
    AsIs(&'a str),
    /// The canonical form differs from what was received.
    Changed(String),
}

impl Canonical<'_> {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Canonical::AsIs(text) => text,
            Canonical::Changed(text) => text,
        }
    }

    /// The canonical text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        match self {
            Canonical::AsIs(text) => text.to_owned(),
            Canonical::Changed(text) => text,
        }
    }
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// It doesn't start with `/` (RFC 9112 §3.2.1).
    NotAbsolute,
    /// A `%` without two hexadecimal digits (RFC 3986 §2.1).
    BadEncoding,
    /// A control character (`%00`–`%1F`, `%7F`) behind a percent-encoding.
    EncodedControl,
    /// A byte no path may hold as it is: control, space, `#`, `?`, `\`, or not ASCII (RFC 3986 §3.3).
    BadByte(u8),
    /// `..` climbs above the root.
    AboveRoot,
    /// A `.` or `..` between encoded slashes or backslashes, such as `..%2F`.
    HiddenTraversal,
    /// A `.` or `..` with a parameter, such as `..;x`, which some servers read as `..`.
    DotParameter,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::NotAbsolute => f.write_str("the path does not start with a slash"),
            PathError::BadEncoding => f.write_str("a percent sign is not followed by two hexadecimal digits"),
            PathError::EncodedControl => f.write_str("a control character is percent-encoded in the path"),
            PathError::BadByte(byte) => write!(f, "the byte 0x{byte:02X} must not appear in a path"),
            PathError::AboveRoot => f.write_str("the path climbs above its root"),
            PathError::HiddenTraversal => f.write_str("a dot segment hides behind an encoded slash"),
            PathError::DotParameter => f.write_str("a dot segment carries a parameter"),
        }
    }
}

impl std::error::Error for PathError {}

/// Why a query is refused: the first byte that no query may hold (RFC 3986 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryError(
    /// The byte.
    pub u8,
);

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the byte 0x{:02X} must not appear in a query", self.0)
    }
}

impl std::error::Error for QueryError {}

/// Classes of bytes in a path. `PLAIN` alone passes the fast scan.
const PLAIN: u8 = 0;
const SLASH: u8 = 1;
const DOT: u8 = 2;
/// Needs the slow path: percent-encodings, what is to be encoded, what is refused.
const SLOW: u8 = 4;
/// With `SLOW`: raw, but some browsers send it so; is percent-encoded.
const QUOTE: u8 = 8;
/// With `SLOW`: a percent sign.
const PERCENT: u8 = 16;

static PATH: [u8; 256] = path_classes();

const fn path_classes() -> [u8; 256] {
    let mut table = [SLOW; 256];
    let plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~!$&'()*+,;=:@";
    let mut i = 0;
    while i < plain.len() {
        table[plain[i] as usize] = PLAIN;
        i += 1;
    }
    let quoted = b"\"<>^`{|}[]";
    let mut i = 0;
    while i < quoted.len() {
        table[quoted[i] as usize] = SLOW | QUOTE;
        i += 1;
    }
    table[b'/' as usize] = SLASH;
    table[b'.' as usize] = DOT;
    table[b'%' as usize] = SLOW | PERCENT;
    table
}

/// The class of a byte; a `u8` indexes a table of 256 without a check.
fn class(byte: u8) -> u8 {
    PATH[usize::from(byte)]
}

/// The canonical form of the path of an origin-form target: everything before `?`.
///
/// - Percent-encoded unreserved characters are decoded, other encodings get upper-case hexadecimal (RFC 3986 §6.2.2.1-2).
/// - Repeated slashes are merged and dot segments removed (§5.2.4), after decoding.
/// - `%2F` and `%5C` stay encoded: they are data, not separators.
/// - Raw `"`, `<`, `>`, `^`, `` ` ``, `{`, `|`, `}`, `[`, `]` are percent-encoded.
/// - What is ambiguous or illegal is an error; see [`PathError`].
///
/// The function is idempotent.
///
/// # Errors
/// The first defect found.
pub fn path(raw: &[u8]) -> Result<Canonical<'_>, PathError> {
    match changed(raw)? {
        None => ascii(raw).map(Canonical::AsIs),
        Some(path) => Ok(Canonical::Changed(path)),
    }
}

/// [`path`] of what is known to be text.
///
/// # Errors
/// The first defect found.
pub fn path_text(raw: &str) -> Result<Canonical<'_>, PathError> {
    Ok(changed(raw.as_bytes())?.map_or(Canonical::AsIs(raw), Canonical::Changed))
}

/// The canonical form of a path, if it is not that already.
fn changed(raw: &[u8]) -> Result<Option<String>, PathError> {
    if raw.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    if is_plain(raw) {
        return Ok(None);
    }
    // One pass without branches: `seen` collects any slow byte, and any slash or dot right after a slash.
    let mut seen = 0;
    let mut previous = 0;
    for &byte in raw {
        let class = class(byte);
        let after_slash = 0u8.wrapping_sub(previous & SLASH);
        seen |= (class & SLOW) | (class & (SLASH | DOT) & after_slash);
        previous = class;
    }
    if seen == 0 {
        return Ok(None);
    }
    let changed = rebuild(raw)?;
    Ok((changed.as_bytes() != raw).then_some(changed))
}

/// The text of bytes that passed the table, which holds ASCII only.
/// True for a path of sixteen bytes and more that is canonical at a glance: letters, digits, dashes and single slashes.
fn is_plain(raw: &[u8]) -> bool {
    // Takes and gives whether a slash stands right before the block: one more would be doubled.
    let plain = |after_slash: u32, block: &[u8; 16]| {
        let slashes = simd::slashes(block);
        let doubled = slashes & (slashes << 1 | after_slash);
        (simd::name_bytes(block) | slashes == 0xffff && doubled == 0).then_some(slashes >> 15)
    };
    let (blocks, _) = raw.as_chunks::<16>();
    // The last block overlaps the one before, so that no byte is left over.
    let Some(last) = raw.last_chunk::<16>() else { return false };
    blocks.iter().try_fold(0, plain).is_some() && plain(0, last).is_some()
}

fn ascii(raw: &[u8]) -> Result<&str, PathError> {
    std::str::from_utf8(raw).map_err(|error| PathError::BadByte(raw.get(error.valid_up_to()).copied().unwrap_or(0)))
}

/// The slow path: segment by segment, merging, decoding and removing as it goes.
fn rebuild(raw: &[u8]) -> Result<String, PathError> {
    let mut out = String::with_capacity(raw.len() + 16);
    let mut ends_with_slash = false;
    for segment in raw.split(|&byte| byte == b'/') {
        ends_with_slash = true;
        if segment.is_empty() {
            continue;
        }
        let start = out.len();
        out.push('/');
        recode(segment, &mut out)?;
        match out.get(start + 1..).unwrap_or_default() {
            "." => out.truncate(start),
            ".." => {
                out.truncate(start);
                let parent = out.rfind('/').ok_or(PathError::AboveRoot)?;
                out.truncate(parent);
            }
            decoded => {
                refuse_hidden_dots(decoded)?;
                ends_with_slash = false;
            }
        }
    }
    if ends_with_slash {
        out.push('/');
    }
    Ok(out)
}

/// Appends text without slashes with its percent-encodings in canonical form, raw `"<>^{|}[]` and backquotes encoded.
///
/// # Errors
/// On a malformed encoding, an encoded control character, or a byte no path may hold.
pub(crate) fn recode(text: &[u8], out: &mut String) -> Result<(), PathError> {
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        let class = class(byte);
        if class & PERCENT != 0 {
            let high = rest.next().and_then(|&digit| hex(digit)).ok_or(PathError::BadEncoding)?;
            let low = rest.next().and_then(|&digit| hex(digit)).ok_or(PathError::BadEncoding)?;
            let value = high << 4 | low;
            if value.is_ascii_control() {
                return Err(PathError::EncodedControl);
            }
            if is_unreserved(value) {
                out.push(char::from(value));
            } else {
                encode(value, out);
            }
        } else if class & QUOTE != 0 {
            encode(byte, out);
        } else if class & SLOW != 0 {
            return Err(PathError::BadByte(byte));
        } else {
            out.push(char::from(byte));
        }
    }
    Ok(())
}

/// Refuses a segment with a `.` or `..` part, as a server would see it that decodes `%2F` and `%5C` or cuts at `;`.
fn refuse_hidden_dots(segment: &str) -> Result<(), PathError> {
    if !segment.contains('.') {
        return Ok(());
    }
    let mut rest = segment;
    loop {
        // A part ends at an encoded slash or backslash; recoding made their digits upper-case.
        let end = match (rest.find("%2F"), rest.find("%5C")) {
            (Some(slash), Some(backslash)) => slash.min(backslash),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => rest.len(),
        };
        let part = rest.get(..end).unwrap_or_default();
        let name = part.split(';').next().unwrap_or_default();
        let name = name.split("%3B").next().unwrap_or_default();
        if matches!(name, "." | "..") {
            return Err(if name.len() < part.len() { PathError::DotParameter } else { PathError::HiddenTraversal });
        }
        match rest.get(end + 3..) {
            Some(after) => rest = after,
            None => return Ok(()),
        }
    }
}

/// Appends a byte percent-encoded.
pub(crate) fn encode(byte: u8, out: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// Unreserved characters (RFC 3986 §2.3), which mean the same encoded and raw.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The value of a hexadecimal digit.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The query of a target: everything after the first `?`. Nothing is rewritten, for what a query means is the service's
/// matter; but a byte that could end the target or the line early is refused: controls, space, `#`, DEL, non-ASCII.
///
/// # Errors
/// The first byte that no query may hold.
pub fn query(raw: &[u8]) -> Result<&str, QueryError> {
    check_query(raw)?;
    std::str::from_utf8(raw).map_err(|error| QueryError(raw.get(error.valid_up_to()).copied().unwrap_or(0)))
}

/// [`query`] where only the verdict is wanted.
///
/// # Errors
/// The first byte that no query may hold.
pub fn check_query(raw: &[u8]) -> Result<(), QueryError> {
    let bad = |byte: &u8| !matches!(byte, 0x21..=0x7E) || *byte == b'#';
    // The whole is folded first, which compiles to a few wide instructions; the culprit is searched only if there is one.
    if raw.iter().fold(false, |any, byte| any | bad(byte)) {
        return Err(QueryError(raw.iter().copied().find(|byte| bad(byte)).unwrap_or(0)));
    }
    Ok(())
}
