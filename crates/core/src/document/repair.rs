//! How decoding goes on after a mistake: what is left out and what is filled in, without touching the tree.
//!
//! serde stops at the first error. To find the next one, the value at fault is left out, and where a key that must
//! be there is missing, some value that its type may accept stands in for it; then everything is decoded again.

use super::{Node, Span, Value};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// What to leave out and what to fill in. A node is known by its address, as the tree is borrowed throughout.
#[derive(Default)]
pub(super) struct Repairs {
    skipped: HashSet<usize>,
    /// By mapping: the missing keys, and how many stand-ins were refused so far.
    stand_ins: HashMap<usize, Vec<(&'static str, usize)>>,
}

/// What the next attempt must do differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// Leave this node out.
    Skip(usize),
    /// Fill in, or fill in with something else, this key of this mapping.
    StandIn(usize, &'static str),
}

/// Values that are tried in turn for a key that is missing; one of them suits most types.
static CANDIDATES: LazyLock<Vec<Node>> = LazyLock::new(|| {
    let texts = ["x", "127.0.0.1:1", "/x", "http://x", "GET"];
    let mut values: Vec<Value> = texts.iter().map(|text| Value::Str((*text).to_owned())).collect();
    values.extend([Value::Int(1), Value::Bool(true), Value::Seq(Vec::new()), Value::Map(Vec::new())]);
    values.into_iter().map(|value| Node { value, span: Span::default(), source: None }).collect()
});

pub(super) fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Repairs {
    pub(super) fn skips(&self, node: &Node) -> bool {
        !self.skipped.is_empty() && self.skipped.contains(&address(node))
    }

    /// The keys that are filled in for a mapping.
    pub(super) fn stand_ins(&self, mapping: &Node) -> Vec<(&'static str, &'static Node)> {
        if self.stand_ins.is_empty() {
            return Vec::new();
        }
        let keys = self.stand_ins.get(&address(mapping)).into_iter().flatten();
        keys.filter_map(|(key, refused)| Some((*key, CANDIDATES.get(*refused)?))).collect()
    }

    /// Takes up a repair; false if nothing is left to try.
    pub(super) fn apply(&mut self, repair: Repair) -> bool {
        let (mapping, key) = match repair {
            Repair::Skip(node) => return self.skipped.insert(node),
            Repair::StandIn(mapping, key) => (mapping, key),
        };
        let keys = self.stand_ins.entry(mapping).or_default();
        match keys.iter_mut().find(|(known, _)| *known == key) {
            None => keys.push((key, 0)),
            Some((_, refused)) => {
                *refused += 1;
                if *refused >= CANDIDATES.len() {
                    return self.skipped.insert(mapping);
                }
            }
        }
        true
    }
}
