//! Edits of a query that leave alone what they are not about: order and encoding of the other pairs stay.
//!
//! They are made in a fixed order, whatever the order in the file: remove, rename, set, add.

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::Request;
use tollgate_core::document::{Problem, Raw, join_key};

use crate::edits::chained;
use crate::values::{Ordered, Texts};

/// Edits of the query: remove, then rename, then set, then add. Names and values are written plainly, not encoded.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "query-edits")]
pub(crate) struct QueryConfig {
    /// Parameters to add beside those that are there: a value or a list of them for each name.
    add: Ordered<Texts>,
    /// Parameters to set, in the place of those that are there: a value or a list of them for each name.
    set: Ordered<Texts>,
    /// Names of parameters to remove.
    remove: Vec<String>,
    /// New names for parameters: from old to new. A parameter that has the new name already gives way.
    rename: Ordered<String>,
}

/// The edits, encoded.
#[derive(Debug, Default)]
pub(crate) struct QueryEdits {
    /// Names, not encoded.
    remove: Vec<Box<str>>,
    rename: Vec<Rename>,
    /// Names that are set, not encoded: what they had goes, by its old name or a new one.
    replaced: Vec<Box<str>>,
    /// What is set and added, as it stands in a query; empty or `name=value&name=value`.
    appended: String,
}

#[derive(Debug)]
struct Rename {
    from: Box<str>,
    to: Box<str>,
    encoded: Box<str>,
}

impl QueryEdits {
    /// Compiles what stands under the key `query`.
    pub(crate) fn new(config: QueryConfig, raw: &Raw, problems: &mut Vec<Problem>) -> Self {
        let (mut edits, mut chains) = (Self::default(), Vec::new());
        let mut check = |path: &str, name: &str| {
            if name.is_empty() {
                problems.push(raw.problem(path, "a parameter needs a name", None));
            }
        };
        for (index, name) in config.remove.into_iter().enumerate() {
            check(&format!("query.remove[{index}]"), &name);
            edits.remove.push(name.into());
        }
        for (from, to) in config.rename.0 {
            let path = join_key("query.rename", &from);
            check(&path, &from);
            check(&path, &to);
            if edits.rename.iter().any(|known| *known.from == *to || *known.to == *from) {
                chains.push(chained(raw, &path));
            }
            let mut encoded = String::new();
            encode(&to, &mut encoded);
            edits.rename.push(Rename { from: from.into(), to: to.into(), encoded: encoded.into() });
        }
        for (key, map, replaces) in [("query.set", config.set, true), ("query.add", config.add, false)] {
            for (name, values) in map.0 {
                check(&join_key(key, &name), &name);
                for (_, value) in values.each() {
                    if !edits.appended.is_empty() {
                        edits.appended.push('&');
                    }
                    encode(&name, &mut edits.appended);
                    edits.appended.push('=');
                    encode(value, &mut edits.appended);
                }
                if replaces {
                    edits.replaced.push(name.into());
                }
            }
        }
        problems.append(&mut chains);
        edits
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.rename.is_empty() && self.replaced.is_empty() && self.appended.is_empty()
    }

    pub(crate) fn apply(&self, request: &mut Request) {
        let old = request.query().unwrap_or_default();
        if self.appended.is_empty() && !old.split('&').any(|pair| self.concerns(name_of(pair))) {
            return;
        }
        let mut new = String::with_capacity(old.len() + self.appended.len() + 1);
        for pair in old.split('&').filter(|_| !old.is_empty()) {
            self.copy(pair, old, &mut new);
        }
        if !self.appended.is_empty() {
            separate(&mut new);
            new.push_str(&self.appended);
        }
        request.set_query(Some(new.as_str()).filter(|query| !query.is_empty()));
    }

    /// Whether a parameter may have to change. `name` is as it stands in the query.
    fn concerns(&self, name: &str) -> bool {
        self.remove.iter().chain(&self.replaced).any(|known| is_named(name, known))
            || self.rename.iter().any(|rename| is_named(name, &rename.from))
    }

    /// Whether a parameter gives way to another that gets its name.
    fn gives_way(&self, name: &str, query: &str) -> bool {
        self.rename.iter().any(|rename| {
            is_named(name, &rename.to)
                && !self.remove.contains(&rename.from)
                && query.split('&').any(|other| is_named(name_of(other), &rename.from))
        })
    }

    /// Copies one pair of a query, if it stays, under the name it gets.
    fn copy(&self, pair: &str, query: &str, out: &mut String) {
        let name = name_of(pair);
        if self.remove.iter().any(|known| is_named(name, known)) {
            return;
        }
        let rename = self.rename.iter().find(|rename| is_named(name, &rename.from));
        let gone = match rename {
            Some(rename) => self.replaced.contains(&rename.to),
            None => self.replaced.iter().any(|known| is_named(name, known)) || self.gives_way(name, query),
        };
        if gone {
            return;
        }
        separate(out);
        match rename {
            Some(rename) => {
                out.push_str(&rename.encoded);
                out.push_str(pair.get(name.len()..).unwrap_or_default());
            }
            None => out.push_str(pair),
        }
    }
}

fn separate(query: &mut String) {
    if !query.is_empty() {
        query.push('&');
    }
}

fn name_of(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

/// Whether a name as it stands in a query (`a%5B%5D`, `a+b`) is this one.
fn is_named(encoded: &str, plain: &str) -> bool {
    let mut rest = encoded.as_bytes();
    for expected in plain.bytes() {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..).unwrap_or_default()),
            },
            [b'+', after @ ..] => (b' ', after),
            [byte, after @ ..] => (*byte, after),
            [] => return false,
        };
        if byte != expected {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
fn encode(text: &str, out: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::testing::{Exchange, found, link};

    /// The query the service gets.
    #[allow(clippy::needless_pass_by_value, reason = "tests hand over `json!` values")]
    fn edited(query: Option<&'static str>, edits: Json) -> Option<String> {
        let chain = [link("request-transformer", json!({"query": edits}))];
        let seen = Exchange { query, ..Exchange::default() }.run(&chain);
        seen.request.unwrap().query().map(str::to_owned)
    }

    #[test]
    fn each_edit_does_its_part() {
        for (before, edits, after) in [
            (None, json!({"add": {"a": "1"}}), Some("a=1")),
            (Some(""), json!({"add": {"a": "1"}}), Some("a=1")),
            (Some("a=0"), json!({"add": {"a": ["1", "2"]}}), Some("a=0&a=1&a=2")),
            (Some("a=0&b=1&a=2"), json!({"set": {"a": "9"}}), Some("b=1&a=9")),
            (Some("a=0&b=1&a"), json!({"remove": ["a"]}), Some("b=1")),
            (Some("a=0"), json!({"remove": ["a"]}), None),
            (Some("a=0&b=1"), json!({"rename": {"a": "c d"}}), Some("c%20d=0&b=1")),
            (Some("a"), json!({"rename": {"a": "b"}}), Some("b")),
            (Some("b=9&a=0&b=8"), json!({"rename": {"a": "b"}}), Some("b=0")),
            (Some("b=9"), json!({"rename": {"a": "b"}}), Some("b=9")),
            (Some("a=1&b=2"), json!({"rename": {"a": "b"}, "set": {"a": "9"}}), Some("b=1&a=9")),
            (Some("a=1&b=2"), json!({"rename": {"a": "b"}, "remove": ["a"]}), Some("b=2")),
            (Some("A=1"), json!({"remove": ["a"]}), Some("A=1")),
            (None, json!({"add": {"q[]": "a&b=c+d/é"}}), Some("q%5B%5D=a%26b%3Dc%2Bd%2F%C3%A9")),
        ] {
            assert_eq!(edited(before, edits.clone()).as_deref(), after, "{before:?} {edits}");
        }
    }

    #[test]
    fn they_are_made_in_their_order() {
        let edits = json!({"add": {"e": "1"}, "set": {"c": "2"}, "remove": ["x"], "rename": {"x": "y", "a": "c"}});
        assert_eq!(edited(Some("x=0&y=5&a=1&c=3&d=4"), edits).as_deref(), Some("y=5&d=4&c=2&e=1"));
    }

    #[test]
    fn what_is_not_concerned_stays_byte_by_byte() {
        let odd = "z=%7e&&=&b=%zz&c=a+b&%61=1&a%5b%5D=2&x=/?:@!$'()*,;";
        assert_eq!(edited(Some(odd), json!({"remove": ["none"]})).as_deref(), Some(odd));
        assert_eq!(
            edited(Some(odd), json!({"remove": ["a", "a[]"], "add": {"n": "1"}})).as_deref(),
            Some("z=%7e&&=&b=%zz&c=a+b&x=/?:@!$'()*,;&n=1"),
            "encoded names are recognised"
        );
        assert_eq!(edited(Some(""), json!({"remove": ["none"]})).as_deref(), Some(""));
        assert_eq!(edited(None, json!({"remove": ["none"]})), None);
        assert_eq!(edited(Some("a+b=1&a%20b=2&c"), json!({"remove": ["a b"]})).as_deref(), Some("c"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (query, path) in [
            (json!({"add": {"": "1"}}), "config.query.add"),
            (json!({"remove": [""]}), "config.query.remove[0]"),
            (json!({"rename": {"a": ""}}), "config.query.rename.a"),
            (json!({"rename": {"a": "b", "b": "c"}}), "config.query.rename.b"),
            (json!({"set": {"a": 1}}), "config.query.set.a"),
            (json!({"sett": {"a": "1"}}), "config.query.sett"),
        ] {
            let all = found("request-transformer", &json!({"query": query}));
            assert!(all.len() == 1 && all[0].path.starts_with(path), "{query}: {all:?}");
        }
    }
}
