//! Edits of header fields, as both transformers make them.
//!
//! They are made in a fixed order, whatever the order in the file: remove, rename, set, add.

use schemars::JsonSchema;
use serde::Deserialize;
use tollgate_core::Headers;
use tollgate_core::document::{Problem, Raw, join_key};

use crate::field::{Line, check_name, check_value};
use crate::values::{Ordered, Texts};

/// Edits of headers: remove, then rename, then set, then add.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "header-edits")]
pub(crate) struct HeadersConfig {
    /// Headers to add beside those that are there: a value or a list of them for each name.
    add: Ordered<Texts>,
    /// Headers to set, in the place of those that are there: a value or a list of them for each name.
    set: Ordered<Texts>,
    /// Names of headers to remove.
    remove: Vec<String>,
    /// New names for headers: from old to new. A header that has the new name already gives way.
    rename: Ordered<String>,
}

/// The edits, rendered.
#[derive(Debug, Default)]
pub(crate) struct HeaderEdits {
    remove: Vec<Box<str>>,
    rename: Vec<(Box<str>, Box<str>)>,
    /// Names that are set: what was there goes, then all their values are added.
    replaced: Vec<Box<str>>,
    set: Vec<Line>,
    add: Vec<Line>,
}

impl HeaderEdits {
    /// Compiles what stands under the key `headers`.
    pub(crate) fn new(config: HeadersConfig, raw: &Raw, problems: &mut Vec<Problem>) -> Self {
        let mut edits = Self::default();
        for (index, name) in config.remove.into_iter().enumerate() {
            problems.extend(check_name(raw, &format!("headers.remove[{index}]"), &name));
            edits.remove.push(name.into());
        }
        for (from, to) in config.rename.0 {
            let path = join_key("headers.rename", &from);
            problems.extend(check_name(raw, &path, &from));
            problems.extend(check_name(raw, &path, &to));
            if edits
                .rename
                .iter()
                .any(|(known, new)| known.eq_ignore_ascii_case(&to) || new.eq_ignore_ascii_case(&from))
            {
                problems.push(chained(raw, &path));
            }
            edits.rename.push((from.into(), to.into()));
        }
        edits.set = lines("headers.set", &config.set, raw, problems);
        edits.add = lines("headers.add", &config.add, raw, problems);
        edits.replaced = config.set.0.into_iter().map(|(name, _)| name.into()).collect();
        edits
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.rename.is_empty() && self.replaced.is_empty() && self.add.is_empty()
    }

    pub(crate) fn apply(&self, headers: &mut Headers) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (from, to) in &self.rename {
            if !headers.contains(from) {
                continue;
            }
            if !from.eq_ignore_ascii_case(to) {
                headers.remove(to);
            }
            headers.rename(from, to);
        }
        for name in &self.replaced {
            headers.remove(name);
        }
        for line in self.set.iter().chain(&self.add) {
            line.add_to(headers);
        }
    }
}

/// Says that a rename starts where another ends, so that the result would depend on which comes first.
pub(crate) fn chained(raw: &Raw, path: &str) -> Problem {
    let help = "rename from the first name to the last, in one step".to_owned();
    raw.problem(path, "one rename gives a name that another takes away", Some(help))
}

/// One line for each value of a mapping.
pub(crate) fn lines(path: &str, map: &Ordered<Texts>, raw: &Raw, problems: &mut Vec<Problem>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, values) in &map.0 {
        let path = join_key(path, name);
        problems.extend(check_name(raw, &path, name));
        for (index, value) in values.each() {
            problems.extend(check_value(raw, &format!("{path}{index}"), value));
            lines.push(Line::new(name, value));
        }
    }
    lines
}
