//! A tree of path segments for all hosts, laid out for few cache misses.
//!
//! A node is one cache line and holds its own label. Literal edges are found by a perfect hash of the way from the root,
//! which is computed while the path is read: the node's place depends on no other node's memory, and a step costs one
//! line whether a node has one child or 10,000. What goes on to a single candidate without branching is no node but the
//! *tail* of the last one, a short program that many nodes share; such a leaf holds its candidate, too. So most patterns
//! cost one line of their own, wherever they are.
//!
//! A node is reached by exactly one sequence of edges and so is visited at most once per lookup, whatever templates
//! overlap.

use smallvec::SmallVec;

use super::Candidate;
use super::perfect::{Perfect, mix};
use super::segments::{Segment, Segments, WORDS};
use super::template;

/// No node, no list.
pub(super) const NONE: u32 = u32::MAX;

/// Candidates whose pattern matches the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) place: Place,
    /// Bytes of the path that the pattern matched.
    pub(super) end: u32,
}

/// Where candidates are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A range of all candidates.
    Range { first: u32, count: u32 },
    /// The one of this node, a leaf.
    Leaf(u32),
}

/// The hits of one lookup.
pub(super) type Hits = SmallVec<[Hit; 8]>;

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step<'a> {
    /// This text, and nothing else.
    Literal(&'a str),
    /// Any text but the empty one.
    Any,
    /// Literals with something between each two; see [`template::split`].
    Mixed(&'a [Box<str>]),
}

/// One segment on its way down. 64 bytes, and aligned so.
#[repr(align(64))]
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) words: [u64; WORDS],
    pub(super) body: Body,
    pub(super) parent: u32,
    /// Index in [`Tree::long`] of a label longer than the words, else [`NONE`].
    pub(super) long: u32,
    /// Of a leaf: its first step in [`Tree::tails`].
    pub(super) tail: u32,
    /// Bytes of the label; 255 for all that are longer.
    pub(super) len: u8,
    /// There are literal children.
    pub(super) literals: bool,
}

const _: () = assert!(size_of::<Node>() == 64);

/// What a node leads to.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// One candidate, at the end of the tail.
    Leaf(Candidate),
    Inner {
        /// The child for any segment.
        any: u32,
        /// Index in [`Tree::mixed`] of the children for mixed segments.
        mixed: u32,
        /// First candidate: those for prefixes ending here come first, then those for paths ending here.
        first: u32,
        prefixes: u32,
        ends: u32,
    },
}

/// One step of a leaf's tail.
#[derive(Debug, Clone, Copy)]
pub(super) enum TailStep {
    /// Whole segments, a range of [`Tree::texts`].
    Text { start: u32, len: u32 },
    /// Any segment but the empty one.
    Any,
    /// A mixed segment, by its index in [`Tree::tail_mixed`].
    Mixed(u32),
    /// The end of an exact path or a template: the path must end here.
    End,
    /// The end of a prefix: the path may go on.
    Open,
}

/// The literals of a mixed segment.
pub(super) type Literals = Box<[Box<str>]>;

/// The tree, or rather one tree per root.
#[derive(Debug)]
pub(super) struct Tree {
    /// Literal nodes in the places of the perfect hash, then roots, then the others.
    pub(super) nodes: Vec<Node>,
    pub(super) perfect: Perfect,
    /// Literal nodes from this index on have no place in the perfect hash. There are none but when 64-bit hashes collide.
    pub(super) homeless: usize,
    pub(super) long: Vec<Box<[u8]>>,
    /// Lists of children for mixed segments.
    pub(super) mixed: Vec<Box<[(Literals, u32)]>>,
    pub(super) tails: Vec<TailStep>,
    pub(super) texts: Vec<u8>,
    pub(super) tail_mixed: Vec<Literals>,
    /// One for each root.
    pub(super) trunks: Vec<Trunk>,
}

/// What all patterns of a root begin with: it is compared at once, and the walk begins where they part.
#[derive(Debug)]
pub(super) struct Trunk {
    /// Whole segments, each after its slash.
    pub(super) text: Box<str>,
    /// The node they lead to.
    pub(super) node: u32,
    /// The hash of the way there.
    pub(super) key: u64,
}

impl Trunk {
    /// Where the trunk ends in a path that begins with it.
    fn end(&self, path: &str) -> Option<usize> {
        let rest = path.strip_prefix(&*self.text)?;
        (self.text.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(self.text.len())
    }
}

/// A place from which a pattern may go on.
struct Branch {
    node: u32,
    /// How many bytes of the path led there.
    at: usize,
    /// The hash of the way there.
    key: u64,
}

impl Tree {
    /// Bytes this takes, but for the few long and mixed labels.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.perfect.bytes()
            + self.tails.capacity() * size_of::<TailStep>()
            + self.texts.capacity()
    }

    /// The candidate of a leaf.
    pub(super) fn candidate(&self, leaf: u32) -> &[Candidate] {
        match self.node(leaf) {
            Some(Node { body: Body::Leaf(candidate), .. }) => std::slice::from_ref(candidate),
            _ => &[],
        }
    }

    /// Adds the candidates of every pattern under `root` that matches the path, and returns how many nodes it visited.
    pub(super) fn gather(&self, root: u32, segments: &mut Segments<'_>, hits: &mut Hits) -> usize {
        let mut visited = 0;
        // Where another branch is still to be followed.
        let mut branches: SmallVec<[Branch; 4]> = SmallVec::new();
        let trunk = self.trunks.get(to_usize(root));
        let start = trunk.and_then(|trunk| Some((trunk, trunk.end(segments.path())?)));
        let mut next = start.map(|(Trunk { node, key, .. }, at)| Branch { node: *node, at, key: *key });
        while let Some(branch) = next {
            visited += 1;
            next = self.visit(&branch, segments, hits, &mut branches).or_else(|| branches.pop());
        }
        visited
    }

    /// Adds a node's candidates and its children but the literal one, which it returns.
    fn visit(
        &self,
        branch: &Branch,
        segments: &mut Segments<'_>,
        hits: &mut Hits,
        branches: &mut SmallVec<[Branch; 4]>,
    ) -> Option<Branch> {
        let Branch { node: id, at, key } = *branch;
        let node = self.node(id)?;
        let (any, mixed, first, prefixes, ends) = match node.body {
            Body::Inner { any, mixed, first, prefixes, ends } => (any, mixed, first, prefixes, ends),
            Body::Leaf(_) => {
                if let Some(end) = self.tail(node.tail, segments.path(), at) {
                    hits.push(Hit { place: Place::Leaf(id), end: to_u32(end) });
                }
                return None;
            }
        };
        if prefixes > 0 {
            hits.push(Hit { place: Place::Range { first, count: prefixes }, end: to_u32(at) });
        }
        let path = segments.path();
        if at >= path.len() {
            if ends > 0 {
                hits.push(Hit { place: Place::Range { first: first + prefixes, count: ends }, end: to_u32(at) });
            }
            return None;
        }
        if !node.literals && any == NONE && mixed == NONE {
            return None;
        }
        let segment = segments.get(at)?;
        let end = segment.end;
        if end > segment.start {
            if any != NONE {
                branches.push(Branch { node: any, at: end, key: any_key(key) });
            }
            if let Some(children) = self.mixed.get(to_usize(mixed)) {
                let text = path.get(segment.start..end).unwrap_or_default();
                for (nth, (literals, node)) in children.iter().enumerate() {
                    if template::split(literals, text, |_| {}) {
                        branches.push(Branch { node: *node, at: end, key: mixed_key(key, nth) });
                    }
                }
            }
        }
        if !node.literals {
            return None;
        }
        let key = child_key(key, segment.hash);
        Some(Branch { node: self.child(id, key, segment, path)?, at: end, key })
    }

    /// The literal child for a segment of the path, by the hash of the way there.
    fn child(&self, parent: u32, key: u64, segment: Segment, path: &str) -> Option<u32> {
        let id = self.perfect.place(key);
        if self.is_child(self.node(id)?, parent, segment, path) {
            return Some(id);
        }
        if self.homeless < self.nodes.len() { self.homeless_child(parent, segment, path) } else { None }
    }

    #[cold]
    fn homeless_child(&self, parent: u32, segment: Segment, path: &str) -> Option<u32> {
        let mut homeless = self.nodes.get(self.homeless..)?.iter();
        let nth = homeless.position(|node| self.is_child(node, parent, segment, path))?;
        Some(to_u32(self.homeless + nth))
    }

    /// Compares in full: whoever sends requests may find two segments with one hash.
    #[inline]
    fn is_child(&self, node: &Node, parent: u32, segment: Segment, path: &str) -> bool {
        let path = path.as_bytes();
        node.parent == parent
            && node.len == short_len(segment.end - segment.start)
            && segment.starts_like(path, &node.words)
            && (node.long == NONE
                || self.long.get(to_usize(node.long)).map(|label| &**label) == path.get(segment.start..segment.end))
    }

    /// Where a leaf's pattern ends in the path, of which the part up to `at` led to the leaf.
    fn tail(&self, first: u32, path: &str, mut at: usize) -> Option<usize> {
        let bytes = path.as_bytes();
        for step in self.tails.get(to_usize(first)..)? {
            match *step {
                TailStep::Open => return Some(at),
                TailStep::End => return (at == bytes.len()).then_some(at),
                TailStep::Text { start, len } => {
                    let text = self.texts.get(to_usize(start)..to_usize(start) + to_usize(len))?;
                    at += text.len();
                    if bytes.get(at - text.len()..at)? != text || bytes.get(at).is_some_and(|byte| *byte != b'/') {
                        return None;
                    }
                }
                TailStep::Any | TailStep::Mixed(_) => {
                    let rest = bytes.get(at..)?.strip_prefix(b"/")?;
                    let len = memchr::memchr(b'/', rest).unwrap_or(rest.len());
                    let start = at + 1;
                    at = start + len;
                    if let TailStep::Mixed(literals) = *step {
                        template::split(self.tail_mixed.get(to_usize(literals))?, path.get(start..at)?, |_| {})
                            .then_some(())?;
                    }
                    if len == 0 {
                        return None;
                    }
                }
            }
        }
        None
    }

    fn node(&self, id: u32) -> Option<&Node> {
        self.nodes.get(to_usize(id))
    }
}

/// Stand for the hash of a segment; any other numbers would do.
const ANY: u64 = 0xA5A5_1F2E_3D4C_5B6A;
const MIXED: u64 = 0xC3D2_E1F0_0FF1_CE00;

/// The hash of a root.
pub(super) fn root_key(root: u32) -> u64 {
    child_key(0x5851_F42D_4C95_7F2D, u64::from(root))
}

/// The hash of the way over one more segment.
pub(super) fn child_key(parent: u64, segment: u64) -> u64 {
    mix(parent.rotate_left(29) ^ segment)
}

/// The hash of the way over the child for any segment.
pub(super) fn any_key(parent: u64) -> u64 {
    child_key(parent, ANY)
}

/// The hash of the way over a child for mixed segments.
pub(super) fn mixed_key(parent: u64, nth: usize) -> u64 {
    child_key(parent, MIXED ^ u64::from(to_u32(nth)))
}

/// A label's length as a node has it.
pub(super) fn short_len(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

/// Indices are `u32` to keep nodes small; no config has four billion of anything.
pub(super) fn to_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(NONE)
}

/// Lossless where Tollgate runs: on 64 bits.
pub(super) fn to_usize(value: u32) -> usize {
    value as usize
}
