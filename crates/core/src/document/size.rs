//! Numbers of bytes as written: `64KiB`, `10MiB`, or a bare number.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

const EXPECTED: &str = "a size such as 64KiB, 10MiB or 1GiB";
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many KiB of 1,024 bytes.
    #[must_use]
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// So many MiB of 1,048,576 bytes.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// The bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The bytes, or as many as memory could hold.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Why a text is not a [`Size`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// It is not a number with a unit.
    #[error("expected {EXPECTED}, found `{0}`")]
    Malformed(String),
    /// It has a unit that is written otherwise.
    #[error("expected {EXPECTED}, found `{found}`\nhelp: did you mean `{meant}`?")]
    Unit {
        /// What was written.
        found: String,
        /// How it could be written.
        meant: String,
    },
    /// It has a fraction.
    #[error("expected {EXPECTED}, found `{0}`\nhelp: use a whole number of a smaller unit, such as 1536KiB for 1.5MiB")]
    Fraction(String),
    /// It is below zero.
    #[error("expected {EXPECTED}, found `{0}`\nhelp: a size can't be negative")]
    Negative(String),
    /// It does not fit 64 bits.
    #[error("expected {EXPECTED}, found more bytes than 64 bits can count")]
    TooBig,
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() || unit.starts_with('.') {
            return Err(match text {
                _ if text.starts_with('-') => SizeError::Negative(text.to_owned()),
                _ if unit.starts_with('.') => SizeError::Fraction(text.to_owned()),
                _ => SizeError::Malformed(text.to_owned()),
            });
        }
        let bytes = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, bytes)) => *bytes,
            None if unit.is_empty() => 1,
            None => return Err(wrong_unit(text, digits, unit)),
        };
        let number: u64 = digits.parse().map_err(|_| SizeError::TooBig)?;
        number.checked_mul(bytes).map(Size).ok_or(SizeError::TooBig)
    }
}

/// nginx writes `64k`, others `64kb`, `64 KiB` or `64Ki`. Which of two units is meant is not for us to guess.
fn wrong_unit(text: &str, digits: &str, unit: &str) -> SizeError {
    let found = text.to_owned();
    let unit = unit.trim_start().to_ascii_lowercase();
    let same = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&unit));
    let short = UNITS.iter().skip(5).find(|(name, _)| {
        let name = name.to_ascii_lowercase();
        name[..1] == unit || name[..2] == unit
    });
    match same.or(short) {
        Some((name, _)) => SizeError::Unit { found, meant: format!("{digits}{name}") },
        None => SizeError::Malformed(found),
    }
}

/// The shortest text that reads back as the same size.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS[5..].iter().rev().find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        match binary {
            Some((unit, bytes)) if self.0 > 0 => write!(f, "{}{unit}", self.0 / bytes),
            _ => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes).map(Size).map_err(|_| E::custom(SizeError::Negative(bytes.to_string())))
    }

    fn visit_f64<E: de::Error>(self, bytes: f64) -> Result<Size, E> {
        Err(E::custom(SizeError::Fraction(bytes.to_string())))
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes: `64KiB`, `10MiB`, `1GiB`, decimal as `10MB`, or a bare number.",
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$" },
                { "type": "integer", "minimum": 0 },
            ],
            "examples": ["64KiB", "10MiB", "1GiB", 4096],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("64KiB", 65536, "64KiB"),
            ("10MiB", 10 << 20, "10MiB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("2TiB", 2 << 40, "2TiB"),
            ("1024KiB", 1 << 20, "1MiB"),
            ("10MB", 10_000_000, "10000000"),
            ("1KB", 1000, "1000"),
            ("5B", 5, "5"),
            ("0", 0, "0"),
            ("4096", 4096, "4KiB"),
            ("18446744073709551615", u64::MAX, "18446744073709551615"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.get(), bytes, "{text}");
            assert_eq!(size.to_string(), shown);
            assert_eq!(shown.parse(), Ok(size));
        }
    }

    #[test]
    fn what_is_no_size_says_why() {
        let malformed = |text: &str| SizeError::Malformed(text.to_owned());
        let unit = |found: &str, meant: &str| SizeError::Unit { found: found.into(), meant: meant.into() };
        for (text, error) in [
            ("", malformed("")),
            ("KiB", malformed("KiB")),
            ("5 parsecs", malformed("5 parsecs")),
            ("64k", unit("64k", "64KiB")),
            ("64kib", unit("64kib", "64KiB")),
            ("64 MiB", unit("64 MiB", "64MiB")),
            ("10mb", unit("10mb", "10MB")),
            ("10Mi", unit("10Mi", "10MiB")),
            ("10g", unit("10g", "10GiB")),
            ("5é", malformed("5é")),
            ("1.5MiB", SizeError::Fraction("1.5MiB".into())),
            ("-1", SizeError::Negative("-1".into())),
            ("16777216TiB", SizeError::TooBig),
            ("18446744073709551616", SizeError::TooBig),
        ] {
            assert_eq!(text.parse::<Size>(), Err(error), "{text}");
        }
    }
}
