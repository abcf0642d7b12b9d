//! Lengths of time as written: `250ms`, `30s`, `5m`, `24h`, or seconds as a bare number.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// A length of time. It derefs to [`std::time::Duration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(std::time::Duration);

const EXPECTED: &str = "a duration such as 250ms, 30s or 5m";
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// A hundred years. Adding more to a point in time could overflow on some systems.
const LONGEST_MS: u64 = 100 * 365 * 86_400_000;

impl Duration {
    /// No time at all, which for most settings means "no limit".
    pub const ZERO: Self = Self(std::time::Duration::ZERO);

    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(std::time::Duration::from_millis(millis))
    }

    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The same as the standard library's type.
    #[must_use]
    pub const fn get(self) -> std::time::Duration {
        self.0
    }

    /// The same, or nothing if it is zero.
    #[must_use]
    pub fn nonzero(self) -> Option<std::time::Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }

    fn checked(number: u64, unit_ms: u64) -> Result<Self, DurationError> {
        match number.checked_mul(unit_ms) {
            Some(millis) if millis <= LONGEST_MS => Ok(Self::from_millis(millis)),
            _ => Err(DurationError::TooLong),
        }
    }
}

/// Why a text is not a [`Duration`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is not a number with a unit.
    #[error("expected {EXPECTED}, found `{0}`")]
    Malformed(String),
    /// It has a fraction.
    #[error("expected {EXPECTED}, found `{0}`\nhelp: use a whole number of a smaller unit, such as 1500ms for 1.5s")]
    Fraction(String),
    /// It is below zero.
    #[error("expected {EXPECTED}, found `{0}`\nhelp: a duration can't be negative")]
    Negative(String),
    /// It is over a hundred years.
    #[error("expected {EXPECTED}, found more than 100 years")]
    TooLong,
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() || unit.starts_with('.') {
            return Err(match text {
                _ if text.starts_with('-') => DurationError::Negative(text.to_owned()),
                _ if unit.starts_with('.') => DurationError::Fraction(text.to_owned()),
                _ => DurationError::Malformed(text.to_owned()),
            });
        }
        let unit_ms = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, millis)) => *millis,
            None if unit.is_empty() => 1000,
            None => return Err(DurationError::Malformed(text.to_owned())),
        };
        Self::checked(digits.parse().map_err(|_| DurationError::TooLong)?, unit_ms)
    }
}

/// The shortest text that reads back as the same duration.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        // Days are for reading only: 24h is how people write a day.
        let units = UNITS[..4].iter().rev().map(|(unit, ms)| (unit, u128::from(*ms)));
        match units.into_iter().find(|(_, ms)| millis.is_multiple_of(*ms)) {
            Some((unit, ms)) if millis > 0 => write!(f, "{}{unit}", millis / ms),
            _ => f.write_str("0s"),
        }
    }
}

impl Deref for Duration {
    type Target = std::time::Duration;

    fn deref(&self) -> &std::time::Duration {
        &self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
        Duration::checked(seconds, 1000).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
        let seconds = u64::try_from(seconds).map_err(|_| E::custom(DurationError::Negative(seconds.to_string())))?;
        self.visit_u64(seconds)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
        Err(E::custom(DurationError::Fraction(seconds.to_string())))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: `250ms`, `30s`, `5m`, `24h`, `7d`, or a bare number of seconds.",
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)?$" },
                { "type": "integer", "minimum": 0 },
            ],
            "examples": ["250ms", "30s", "5m", "24h", 30],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis, shown) in [
            ("250ms", 250, "250ms"),
            ("30s", 30_000, "30s"),
            ("5m", 300_000, "5m"),
            ("24h", 86_400_000, "24h"),
            ("1d", 86_400_000, "24h"),
            ("30", 30_000, "30s"),
            ("0", 0, "0s"),
            ("0ms", 0, "0s"),
            ("90s", 90_000, "90s"),
            ("1000ms", 1000, "1s"),
            ("36500d", LONGEST_MS, "876000h"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.as_millis(), u128::from(millis), "{text}");
            assert_eq!(duration.to_string(), shown);
            assert_eq!(shown.parse(), Ok(duration));
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        use DurationError::{Fraction, Malformed, Negative, TooLong};
        let malformed = |text: &str| (text.to_owned(), Malformed(text.to_owned()));
        let mut expected: Vec<(String, DurationError)> =
            ["", "s", "5 m", "5min", "5M", "1h30m", "é"].map(malformed).into_iter().collect();
        expected.push(("1.5s".into(), Fraction("1.5s".into())));
        expected.push(("-5s".into(), Negative("-5s".into())));
        expected.extend(["36501d", "99999999999999999999999s"].map(|text| (text.to_owned(), TooLong)));
        for (text, error) in expected {
            assert_eq!(text.parse::<Duration>(), Err(error), "{text}");
        }
    }
}
