//! `access_log:`

use crate::text::{shown_as_written, written_as_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A line for each request.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLog {
    /// Where to write: `stdout`, `stderr` or the path of a file. Default: `stdout`.
    pub path: LogTarget,
    /// What the lines look like. Default: `json`.
    pub format: LogFormat,
    /// The share of requests that is logged, from 0 to 1. Default: 1.
    pub sample: f64,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { path: LogTarget::Stdout, format: LogFormat::Json, sample: 1.0 }
    }
}

/// What the lines of the log look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
}

/// Where the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// The standard output.
    Stdout,
    /// The standard error output.
    Stderr,
    /// A file, which is appended to.
    File(PathBuf),
}

impl FromStr for LogTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            path => Self::File(path.into()),
        })
    }
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Stderr => f.write_str("stderr"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

written_as_text!(LogTarget, "`stdout`, `stderr` or the path of a file", {
    "description": "`stdout`, `stderr` or the path of a file.",
    "examples": ["stdout", "/var/log/tollgate/access.log"],
});
shown_as_written!(LogTarget);
