//! Paths through a document, as shown to people: `routes[2].headers["X-Api.Version"][0]`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// The path of a key below `parent`.
#[must_use]
pub fn join_key(parent: &str, key: &str) -> String {
    let mut path = String::with_capacity(parent.len() + key.len() + 1);
    path.push_str(parent);
    push_key(&mut path, key);
    path
}

/// The path of an element below `parent`.
#[must_use]
pub fn join_index(parent: &str, index: usize) -> String {
    let mut path = parent.to_owned();
    push_index(&mut path, index);
    path
}

pub(super) fn push_index(path: &mut String, index: usize) {
    // Writing to a string can't fail.
    let _ = write!(path, "[{index}]");
}

pub(super) fn push_key(path: &mut String, key: &str) {
    if is_plain(key) {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
    } else {
        path.push_str("[\"");
        path.push_str(&escaped(key));
        path.push_str("\"]");
    }
}

/// The steps of a path. What can't be read as a path ends it.
pub(super) fn steps(path: &str) -> impl Iterator<Item = Step> + '_ {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        let (step, after) = match rest.strip_prefix('[') {
            Some(bracket) => bracketed(bracket)?,
            None => {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (key, after) = rest.split_at(end);
                (Step::Key(key.to_owned()), after)
            }
        };
        rest = after;
        Some(step)
    })
}

fn bracketed(text: &str) -> Option<(Step, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut key = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => key.push(chars.next()?.1),
                '"' => return Some((Step::Key(key), quoted[at + 1..].strip_prefix(']')?)),
                _ => key.push(c),
            }
        }
        return None;
    }
    let (index, after) = text.split_once(']')?;
    Some((Step::Index(index.parse().ok()?), after))
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn escaped(key: &str) -> Cow<'_, str> {
    if key.contains(['"', '\\']) {
        Cow::Owned(key.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        Cow::Borrowed(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_read_back() {
        let keys = ["routes", "X-Api", "a.b", "say \"hi\"", "back\\slash", "", "[0]", "ä"];
        for key in keys {
            let path = join_key(&join_index(&join_key("", "list"), 7), key);
            let read: Vec<Step> = steps(&path).collect();
            let expected = [Step::Key("list".into()), Step::Index(7), Step::Key(key.into())];
            assert_eq!(read, expected, "{path}");
        }
    }

    #[test]
    fn a_broken_path_ends_where_it_breaks() {
        for (path, len) in [("", 0), ("a[", 1), ("a[x]", 1), ("a[\"b", 1), ("a[1].b", 3), ("a..b", 3)] {
            assert_eq!(steps(path).count().min(3), len, "{path}");
        }
    }
}
