//! Scalars: how plain text takes a type, and how types that are written as text are read.

use super::Value;
use serde::de::{self, Deserializer, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// Between the message and the help of an error on its way through serde, which carries one text only.
pub(super) const HELP: &str = "\nhelp: ";

/// An error with a help, for use in a `Deserialize` implementation.
pub fn complaint<E: de::Error>(message: impl fmt::Display, help: impl fmt::Display) -> E {
    E::custom(format_args!("{message}{HELP}{help}"))
}

/// Reads a type that is written as a string, by its `FromStr`.
///
/// A number or a boolean without quotes is a wrong type here. The error's text may end in `"\nhelp: …"`.
///
/// # Errors
/// What the type's `FromStr` says, or that the value is not a string.
pub fn from_str<'de, D, T>(deserializer: D, expecting: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    deserializer.deserialize_str(Text { expecting, result: PhantomData })
}

struct Text<T> {
    expecting: &'static str,
    result: PhantomData<T>,
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// The value that text without quotes stands for, by the core schema of YAML 1.2.
#[must_use]
pub fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::Str(text.to_owned()))
}

fn number(text: &str) -> Option<Value> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return unsigned(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return unsigned(octal, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" if first == b'-' => return Some(Value::Float(f64::NEG_INFINITY)),
        ".inf" | ".Inf" | ".INF" => return Some(Value::Float(f64::INFINITY)),
        _ => {}
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Value::Float(f64::NAN));
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        // A number too big to be held exactly is still a number.
        return text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float)).ok();
    }
    let of_a_float = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let digits = unsigned.bytes().any(|b| b.is_ascii_digit());
    if digits && unsigned.bytes().all(of_a_float) { text.parse().map(Value::Float).ok() } else { None }
}

fn unsigned(digits: &str, radix: u32) -> Option<Value> {
    // `from_str_radix` would take a sign.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(digits, radix).map(Value::Int).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_takes_the_types_of_the_core_schema() {
        let text = |s: &str| Value::Str(s.to_owned());
        for (plain, expected) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("FALSE", Value::Bool(false)),
            ("yes", text("yes")),
            ("on", text("on")),
            ("0", Value::Int(0)),
            ("-12", Value::Int(-12)),
            ("+3", Value::Int(3)),
            ("007", Value::Int(7)),
            ("0x1F", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("0x-1", text("0x-1")),
            ("1.5", Value::Float(1.5)),
            (".5", Value::Float(0.5)),
            ("1e3", Value::Float(1000.0)),
            ("-.inf", Value::Float(f64::NEG_INFINITY)),
            ("99999999999999999999", Value::Float(1e20)),
            ("1.2.3.4", text("1.2.3.4")),
            ("127.0.0.1:80", text("127.0.0.1:80")),
            ("1_000", text("1_000")),
            ("30s", text("30s")),
            ("-", text("-")),
            ("+", text("+")),
            (".", text(".")),
            ("--1", text("--1")),
            ("1e", text("1e")),
            ("e1", text("e1")),
            ("2027-01-01", text("2027-01-01")),
        ] {
            assert_eq!(resolve_plain(plain), expected, "{plain}");
        }
    }
}
