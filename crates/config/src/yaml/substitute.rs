//! `${env:NAME}` and `${file:/path}` in strings.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A secret is short; a device or a log file named by mistake is not.
const MOST_BYTES: u64 = 1 << 20;

/// What `${…}` is replaced from.
pub(crate) struct Environment<'e> {
    /// Looks up an environment variable.
    pub(crate) variable: &'e dyn Fn(&str) -> Option<String>,
    /// Relative paths start here.
    pub(crate) directory: PathBuf,
}

/// Why a `${…}` can't be replaced. None of these shows a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SubstituteError {
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    #[error("`{0}` is not a name for an environment variable")]
    Name(String),
    #[error("the file `{path}` can't be read: {reason}")]
    File { path: String, reason: String },
    #[error("`${{` without a `}}`")]
    Unclosed,
    #[error("`${{{0}}}` is neither `${{env:NAME}}` nor `${{file:/path}}`")]
    Unknown(String),
}

impl SubstituteError {
    pub(super) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unclosed | Self::Unknown(_) => Some("write `$${` for a literal `${`"),
            Self::Name(_) => Some("use letters, digits and `_`"),
            Self::NotSet(_) | Self::File { .. } => None,
        }
    }
}

/// Whether there is anything to replace.
pub(super) fn wanted(text: &str) -> bool {
    text.contains("${")
}

/// What a text became.
pub(super) struct Substituted {
    pub(super) text: String,
    /// Whether anything came from outside; `$${` alone is but an escape.
    pub(super) from_outside: bool,
}

impl Environment<'_> {
    pub(super) fn substitute(&self, text: &str) -> Result<Substituted, SubstituteError> {
        let mut result = Substituted { text: String::with_capacity(text.len()), from_outside: false };
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(literal) = before.strip_suffix('$') {
                result.text.push_str(literal);
                result.text.push_str("${");
                rest = &from[2..];
                continue;
            }
            result.text.push_str(before);
            let (inner, after) = from[2..].split_once('}').ok_or(SubstituteError::Unclosed)?;
            result.text.push_str(&self.value(inner)?);
            result.from_outside = true;
            rest = after;
        }
        result.text.push_str(rest);
        Ok(result)
    }

    fn value(&self, inner: &str) -> Result<Cow<'static, str>, SubstituteError> {
        if let Some(name) = inner.strip_prefix("env:") {
            let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if name.is_empty() || !sound {
                return Err(SubstituteError::Name(name.to_owned()));
            }
            let value = (self.variable)(name);
            return value.map(Cow::Owned).ok_or_else(|| SubstituteError::NotSet(name.to_owned()));
        }
        match inner.strip_prefix("file:") {
            Some(path) => self.file(path).map(Cow::Owned),
            None => Err(SubstituteError::Unknown(inner.to_owned())),
        }
    }

    fn file(&self, path: &str) -> Result<String, SubstituteError> {
        let failed = |reason: String| SubstituteError::File { path: path.to_owned(), reason };
        let content = read_file(&self.directory.join(path)).map_err(failed)?;
        let trimmed = content.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
        Ok(trimmed.unwrap_or(&content).to_owned())
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > MOST_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substitute(text: &str) -> Result<(String, bool), SubstituteError> {
        let variable = |name: &str| match name {
            "A" => Some("apple".to_owned()),
            "NESTED" => Some("${env:A}".to_owned()),
            _ => None,
        };
        let environment = Environment { variable: &variable, directory: "/nowhere".into() };
        environment.substitute(text).map(|result| (result.text, result.from_outside))
    }

    #[test]
    fn variables_are_replaced_once() {
        for (text, expected, from_outside) in [
            ("${env:A}", "apple", true),
            ("<${env:A}|${env:A}>", "<apple|apple>", true),
            ("${env:NESTED}", "${env:A}", true),
            ("$${env:A}", "${env:A}", false),
            ("$${x}${env:A}", "${x}apple", true),
            ("$$${env:A}", "$${env:A}", false),
            ("cost: 5$", "cost: 5$", false),
            ("$1", "$1", false),
        ] {
            assert_eq!(substitute(text), Ok((expected.to_owned(), from_outside)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_says_why() {
        for (text, expected) in [
            ("${env:B}", "the environment variable `B` is not set"),
            ("${env:}", "`` is not a name for an environment variable"),
            ("${env:A-B}", "`A-B` is not a name for an environment variable"),
            ("${env:A", "`${` without a `}`"),
            ("${A}", "`${A}` is neither `${env:NAME}` nor `${file:/path}`"),
            ("${}", "`${}` is neither `${env:NAME}` nor `${file:/path}`"),
            ("${file:x}", "the file `x` can't be read: No such file or directory (os error 2)"),
        ] {
            assert_eq!(substitute(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn files_are_replaced_without_their_last_newline() {
        let directory = tempfile::tempdir().unwrap();
        let environment = Environment { variable: &|_| None, directory: directory.path().to_owned() };
        for (content, expected) in [("x", "x"), ("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), ("", ""), ("\n", "")] {
            std::fs::write(directory.path().join("secret"), content).unwrap();
            assert_eq!(environment.substitute("${file:secret}").unwrap().text, expected);
        }
        std::fs::write(directory.path().join("secret"), [0xff]).unwrap();
        assert!(environment.substitute("${file:secret}").is_err());
        assert!(environment.substitute("${file:.}").is_err());
        let absolute = format!("${{file:{}}}", directory.path().join("other").display());
        std::fs::write(directory.path().join("other"), "y").unwrap();
        assert_eq!(environment.substitute(&absolute).unwrap().text, "y");
    }
}
