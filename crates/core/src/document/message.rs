//! The words of an error: what was expected, what was found, and never a secret.

use super::scalar::HELP;
use super::{Node, Value, mask_userinfo};

/// What a value is, in an error message. A value that may be secret is not shown.
pub(super) fn describe(node: &Node, secret: bool) -> String {
    if let Some(written) = &node.source {
        return format!("the value of `{}`", written.text);
    }
    match &node.value {
        Value::Null => "nothing (null)".to_owned(),
        Value::Seq(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Str(_) if secret => "a string".to_owned(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) if secret => "a value without quotes".to_owned(),
        Value::Str(text) => format!("the string \"{}\"", shortened(text)),
        Value::Bool(value) => format!("`{value}`"),
        Value::Int(value) => format!("the number {value}"),
        Value::Float(value) => format!("the number {value}"),
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = mask_userinfo(text.lines().next().unwrap_or_default());
    if line.chars().count() <= LONGEST && line.len() >= text.trim_end().len() {
        return line.into_owned();
    }
    line.chars().take(LONGEST).chain(['…']).collect()
}

/// serde's words for what was expected, in words for people.
pub(super) fn humanise(expected: &str) -> String {
    let words = match expected {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" | "map" => "a mapping of keys to values",
        "a string" | "string" | "a borrowed string" => "a string",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("a nonzero u") => "a whole number greater than 0",
        _ if expected.starts_with("struct ") => "a mapping of keys to values",
        _ if expected.starts_with("tuple struct ") || expected.starts_with("a tuple ") => "a list",
        _ => expected,
    };
    words.to_owned()
}

/// Names one after another: `a`, `b` or `c`.
pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// Splits the text of an error that went through serde into message and help, without what must not be seen.
pub(super) fn split(text: &str, node: &Node, secret: bool) -> (String, Option<String>) {
    let (message, help) = match text.split_once(HELP) {
        Some((message, help)) => (message, Some(help)),
        None => (text, None),
    };
    let value = node.as_str().unwrap_or_default();
    if let Some(written) = &node.source {
        // The text may show any part of the value, so nothing of it is kept but what stands before the value.
        let expected = message.split_once(", found ").map(|(head, _)| head);
        return match expected.filter(|head| value.is_empty() || !head.contains(value)) {
            Some(head) => (format!("{head}, found the value of `{}`", written.text), None),
            None => (format!("the value of `{}` is not valid here", written.text), None),
        };
    }
    if secret && !value.is_empty() {
        return (message.replace(value, "***"), help.map(|help| help.replace(value, "***")));
    }
    (mask_userinfo(message).into_owned(), help.map(|help| mask_userinfo(help).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Written;

    #[test]
    fn what_was_substituted_is_never_shown() {
        let source = Some(Box::new(Written { text: "${env:T}".into(), quoted: true }));
        let node = Node { source, ..Node::new(Value::Str("s3cret".into())) };
        assert_eq!(describe(&node, false), "the value of `${env:T}`");
        for (text, expected) in [
            ("expected a size, found `s3cret`", "expected a size, found the value of `${env:T}`"),
            ("`s3cret` is no size\nhelp: not s3c", "the value of `${env:T}` is not valid here"),
            ("s3cret, found s3cret", "the value of `${env:T}` is not valid here"),
        ] {
            assert_eq!(split(text, &node, false), (expected.to_owned(), None), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let node = Node::new(Value::Str("hunter2".into()));
        assert_eq!(describe(&node, true), "a string");
        let (message, help) = split("bad `hunter2`\nhelp: drop hunter2", &node, true);
        assert_eq!((message.as_str(), help.as_deref()), ("bad `***`", Some("drop ***")));
        let (message, _) = split("bad `redis://u:pw@h`", &node, false);
        assert_eq!(message, "bad `redis://u:***@h`");
    }

    #[test]
    fn lists_of_names_read_well() {
        assert_eq!(one_of(&["a"]), "`a`");
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
    }

    #[test]
    fn long_text_is_cut() {
        let long = "x".repeat(100);
        assert_eq!(shortened(&long).chars().count(), 61);
        assert_eq!(shortened("one\ntwo"), "one…");
        assert_eq!(shortened("one\n"), "one");
    }
}
