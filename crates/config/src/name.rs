//! Names: of things in the configuration, of headers, of methods.

use crate::text::written_as_text;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// The name of a listener, service, route or plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The name of a header, as written. Equal and ordered without regard to case.
#[derive(Debug, Clone)]
pub struct HeaderName(String);

/// An HTTP method, in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Method(String);

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is empty.
    #[error("expected {0}, found an empty string")]
    Empty(&'static str),
    /// It has a character that names don't have.
    #[error("expected a name, found `{0}`\nhelp: names have letters, digits, `.`, `_` and `-`")]
    Name(String),
    /// It has a character that headers don't have.
    #[error("expected the name of a header, found `{0}`\nhelp: write the name alone, such as X-Api-Version")]
    Header(String),
    /// It has a character that methods don't have.
    #[error("expected an HTTP method, found `{0}`")]
    Method(String),
    /// It is not in capitals.
    #[error("expected an HTTP method, found `{0}`\nhelp: methods are written in capitals: {capitals}", capitals = .0.to_ascii_uppercase())]
    LowerCase(String),
}

/// RFC 9110: what names of headers and methods are made of.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl FromStr for Name {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let sound = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        match text {
            "" => Err(TokenError::Empty("a name")),
            _ if sound => Ok(Self(text.to_owned())),
            _ => Err(TokenError::Name(text.to_owned())),
        }
    }
}

impl FromStr for HeaderName {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        match text {
            "" => Err(TokenError::Empty("the name of a header")),
            _ if is_token(text) => Ok(Self(text.to_owned())),
            _ => Err(TokenError::Header(text.to_owned())),
        }
    }
}

impl FromStr for Method {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        match text {
            "" => Err(TokenError::Empty("an HTTP method")),
            _ if !is_token(text) => Err(TokenError::Method(text.to_owned())),
            _ if text.bytes().any(|b| b.is_ascii_lowercase()) => Err(TokenError::LowerCase(text.to_owned())),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

macro_rules! text_within {
    ($($type:ident)*) => {$(
        impl Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_within! { Name HeaderName Method }

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl HeaderName {
    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HeaderName {}

impl PartialOrd for HeaderName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HeaderName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}

impl std::hash::Hash for HeaderName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded().for_each(|b| state.write_u8(b));
    }
}

written_as_text!(Name, "a name", {
    "pattern": "^[A-Za-z0-9._-]+$",
    "examples": ["orders"],
});

written_as_text!(HeaderName, "the name of a header", {
    "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
    "examples": ["X-Api-Version"],
});

written_as_text!(Method, "an HTTP method", {
    "pattern": "^[!#$%&'*+.^_`|~0-9A-Z-]+$",
    "examples": ["GET", "POST"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in ["a", "list-orders", "v1.2_x", "7"] {
            assert_eq!(&*name.parse::<Name>().unwrap(), name);
        }
        for name in ["", "a b", "a/b", "ä", "a\n"] {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
        for header in ["", "X Y", "X:", "ä", "X\r\n", "a/b"] {
            assert!(header.parse::<HeaderName>().is_err(), "{header}");
        }
        let header = |name: &str| name.parse::<HeaderName>().unwrap();
        assert_eq!(header("X-API"), header("x-api"));
        assert_eq!("M-SEARCH".parse::<Method>().unwrap().to_string(), "M-SEARCH");
        for method in ["", "GE T", "GET,"] {
            assert!(method.parse::<Method>().is_err(), "{method}");
        }
        let error = "get".parse::<Method>().unwrap_err().to_string();
        assert!(error.ends_with("help: methods are written in capitals: GET"), "{error}");
    }
}
