//! The tree while it grows, and how it is laid out once all is known.

use std::collections::HashMap;

use super::Candidate;
use super::path_tree::{Body, Literals, NONE, Node, Step, TailStep, Tree, Trunk};
use super::path_tree::{any_key, child_key, mixed_key, root_key, short_len, to_u32, to_usize};
use super::perfect::Perfect;
use super::segments::{self, WORDS};

/// A tree that grows, or rather one tree per root; one node for each step.
pub(super) struct Draft<'a> {
    nodes: Vec<DraftNode<'a>>,
    literals: HashMap<(u32, &'a str), u32>,
    roots: Vec<u32>,
}

struct DraftNode<'a> {
    /// What leads here; of a root, nothing in particular.
    step: Step<'a>,
    literals: Vec<u32>,
    mixed: Vec<u32>,
    any: u32,
    /// First candidate: those for prefixes ending here come first, then those for paths ending here.
    first: u32,
    prefixes: u32,
    ends: u32,
}

impl<'a> Draft<'a> {
    pub(super) fn new() -> Self {
        Draft { nodes: Vec::new(), literals: HashMap::new(), roots: Vec::new() }
    }

    /// Adds the root of another tree, and returns its number among the roots.
    pub(super) fn add_root(&mut self) -> u32 {
        let root = self.push(Step::Any);
        self.roots.push(root);
        to_u32(self.roots.len() - 1)
    }

    /// The node at the end of the steps, made if need be.
    pub(super) fn insert(&mut self, root: u32, steps: impl Iterator<Item = Step<'a>>) -> u32 {
        let root = self.roots.get(to_usize(root)).copied().unwrap_or(NONE);
        steps.fold(root, |at, step| self.child(at, step))
    }

    /// Says which candidates stand at a node: `prefixes` of them from `first`, then `ends`.
    pub(super) fn set_candidates(&mut self, node: u32, first: u32, prefixes: u32, ends: u32) {
        if let Some(node) = self.node_mut(node) {
            (node.first, node.prefixes, node.ends) = (first, prefixes, ends);
        }
    }

    fn child(&mut self, parent: u32, step: Step<'a>) -> u32 {
        if let Some(known) = self.known_child(parent, step) {
            return known;
        }
        let child = self.push(step);
        if let Step::Literal(text) = step {
            self.literals.insert((parent, text), child);
        }
        if let Some(parent) = self.node_mut(parent) {
            match step {
                Step::Literal(_) => parent.literals.push(child),
                Step::Mixed(_) => parent.mixed.push(child),
                Step::Any => parent.any = child,
            }
        }
        child
    }

    fn known_child(&self, parent: u32, step: Step<'a>) -> Option<u32> {
        match step {
            Step::Literal(text) => self.literals.get(&(parent, text)).copied(),
            Step::Any => self.node(parent).map(|node| node.any).filter(|child| *child != NONE),
            Step::Mixed(_) => {
                let mut children = self.node(parent)?.mixed.iter();
                children.find(|child| self.node(**child).is_some_and(|node| node.step == step)).copied()
            }
        }
    }

    fn push(&mut self, step: Step<'a>) -> u32 {
        let (literals, mixed) = (Vec::new(), Vec::new());
        self.nodes.push(DraftNode { step, literals, mixed, any: NONE, first: 0, prefixes: 0, ends: 0 });
        to_u32(self.nodes.len() - 1)
    }

    fn node(&self, id: u32) -> Option<&DraftNode<'a>> {
        self.nodes.get(to_usize(id))
    }

    fn node_mut(&mut self, id: u32) -> Option<&mut DraftNode<'a>> {
        self.nodes.get_mut(to_usize(id))
    }

    /// If a node goes on without branching to a single candidate: the steps there, and where the candidate is.
    fn leaf(&self, mut id: u32) -> Option<Leaf<'a>> {
        let mut steps = Vec::new();
        loop {
            let node = self.node(id)?;
            let mut children = node.literals.iter().chain(&node.mixed).copied().chain(Some(node.any));
            let mut children = children.by_ref().filter(|child| *child != NONE);
            match (children.next(), children.next(), node.prefixes + node.ends) {
                (None, _, 1) => return Some(Leaf { steps, prefix: node.prefixes > 0, candidate: node.first }),
                (Some(only), None, 0) => {
                    steps.push(self.node(only)?.step);
                    id = only;
                }
                _ => return None,
            }
        }
    }

    /// Lays the tree out. The candidates are those that [`Draft::set_candidates`] spoke of.
    pub(super) fn finish(self, candidates: &[Candidate]) -> Tree {
        let kept = self.kept();
        let is_literal = |kept: &&Kept<'a>| matches!(kept.step, Some(Step::Literal(_)));
        let keys: Vec<u64> = kept.iter().filter(is_literal).map(|kept| kept.key).collect();
        let (perfect, places) = Perfect::build(&keys);
        // Each kept node's index: its place in the hash, or after all those. Roots are the first that were kept.
        let mut places = places.into_iter();
        let mut next = perfect.places();
        let mut after = || {
            next += 1;
            next - 1
        };
        let mut ids: Vec<Option<u32>> = Vec::with_capacity(kept.len());
        for kept in &kept {
            ids.push(if is_literal(&kept) { places.next().flatten() } else { Some(after()) });
        }
        let first_homeless = to_usize(after());
        next = to_u32(first_homeless);
        let ids: Vec<u32> = ids
            .into_iter()
            .map(|id| {
                id.unwrap_or_else(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        let mut layout = Layout::new(vec![vacant(); to_usize(next)], perfect, first_homeless);
        for (kept, id) in kept.iter().zip(&ids) {
            let node = layout.node(&self, kept, &ids, candidates);
            if let Some(place) = layout.tree.nodes.get_mut(to_usize(*id)) {
                *place = node;
            }
        }
        layout.tree.trunks = (0..self.roots.len()).map(|root| self.trunk(root, &kept, &ids)).collect();
        layout.tree
    }

    /// What all patterns of a root begin with. `ids` are the places of those kept, the roots first.
    fn trunk(&self, root: usize, kept: &[Kept<'a>], ids: &[u32]) -> Trunk {
        let mut text = String::new();
        let mut nth = root;
        while let Some((child, label)) = self.only_child(nth, kept) {
            text.push('/');
            text.push_str(label);
            nth = child;
        }
        let node = ids.get(nth).copied().unwrap_or(NONE);
        Trunk { text: text.into(), node, key: kept.get(nth).map_or(0, |kept| kept.key) }
    }

    /// The child of a kept node, and its label, if all patterns there go on through that and it is no leaf.
    fn only_child(&self, nth: usize, kept: &[Kept<'a>]) -> Option<(usize, &'a str)> {
        let parent = kept.get(nth).filter(|parent| parent.leaf.is_none())?;
        let node = self.node(parent.draft)?;
        if node.prefixes + node.ends > 0 || node.any != NONE || !node.mixed.is_empty() || node.literals.len() != 1 {
            return None;
        }
        let child = to_usize(parent.children);
        match kept.get(child)? {
            Kept { step: Some(Step::Literal(label)), leaf: None, .. } => Some((child, label)),
            _ => None,
        }
    }

    /// All nodes that aren't part of a tail, the roots first, each after its parent.
    fn kept(&self) -> Vec<Kept<'a>> {
        let mut kept: Vec<Kept<'a>> = Vec::with_capacity(self.nodes.len());
        for (nth, root) in self.roots.iter().enumerate() {
            kept.push(Kept::new(*root, None, NONE, root_key(to_u32(nth))));
        }
        let mut nth = 0;
        while let Some((id, key)) = kept.get(nth).map(|kept| (kept.draft, kept.key)) {
            let leaf = self.leaf(id);
            if let Some(node) = self.node(id).filter(|_| leaf.is_none()) {
                let parent = to_u32(nth);
                let first = to_u32(kept.len());
                let mut add = |child: u32, key: u64| {
                    let step = self.node(child).map(|node| node.step);
                    kept.push(Kept::new(child, step, parent, key));
                };
                if node.any != NONE {
                    add(node.any, any_key(key));
                }
                for (nth, child) in node.mixed.iter().enumerate() {
                    add(*child, mixed_key(key, nth));
                }
                for child in &node.literals {
                    if let Some(Step::Literal(text)) = self.node(*child).map(|node| node.step) {
                        add(*child, child_key(key, segments::read(text.as_bytes(), 0).hash));
                    }
                }
                if let Some(kept) = kept.get_mut(nth) {
                    kept.children = first;
                }
            }
            if let Some(kept) = kept.get_mut(nth) {
                kept.leaf = leaf;
            }
            nth += 1;
        }
        kept
    }
}

/// Where a node goes on to without branching.
struct Leaf<'a> {
    steps: Vec<Step<'a>>,
    /// It ends in a prefix, not in a whole path.
    prefix: bool,
    candidate: u32,
}

/// A node that will be in the tree.
struct Kept<'a> {
    draft: u32,
    /// None for roots.
    step: Option<Step<'a>>,
    /// Index among those kept.
    parent: u32,
    key: u64,
    leaf: Option<Leaf<'a>>,
    /// Index of the first child among those kept: the one for any segment, those for mixed ones, literal ones.
    children: u32,
}

impl<'a> Kept<'a> {
    fn new(draft: u32, step: Option<Step<'a>>, parent: u32, key: u64) -> Self {
        Kept { draft, step, parent, key, leaf: None, children: NONE }
    }
}

/// A place that no node has.
fn vacant() -> Node {
    let body = Body::Inner { any: NONE, mixed: NONE, first: 0, prefixes: 0, ends: 0 };
    Node { words: [0; WORDS], body, parent: NONE, long: NONE, tail: NONE, len: 0, literals: false }
}

/// The tree as it is laid out.
struct Layout<'a> {
    tree: Tree,
    /// First steps of known tails.
    tails: HashMap<(Vec<Step<'a>>, bool), u32>,
}

impl<'a> Layout<'a> {
    fn new(nodes: Vec<Node>, perfect: Perfect, homeless: usize) -> Self {
        let tree = Tree {
            nodes,
            perfect,
            homeless,
            long: Vec::new(),
            mixed: Vec::new(),
            tails: Vec::new(),
            texts: Vec::new(),
            tail_mixed: Vec::new(),
            trunks: Vec::new(),
        };
        Layout { tree, tails: HashMap::new() }
    }

    /// A node as the tree has it. `ids` are the places of those kept.
    fn node(&mut self, draft: &Draft<'a>, kept: &Kept<'a>, ids: &[u32], candidates: &[Candidate]) -> Node {
        let mut node = vacant();
        node.parent = ids.get(to_usize(kept.parent)).copied().unwrap_or(NONE);
        if let Some(Step::Literal(text)) = kept.step {
            node.words = segments::label(text.as_bytes());
            node.len = short_len(text.len());
            if text.len() > WORDS * 8 {
                node.long = to_u32(self.tree.long.len());
                self.tree.long.push(text.as_bytes().into());
            }
        }
        if let Some(leaf) = &kept.leaf
            && let Some(candidate) = candidates.get(to_usize(leaf.candidate))
        {
            node.tail = self.tail(leaf);
            node.body = Body::Leaf(*candidate);
        } else if let Some(DraftNode { literals, mixed, any, first, prefixes, ends, .. }) = draft.node(kept.draft) {
            let mut children = ids.get(to_usize(kept.children)..).unwrap_or_default().iter().copied();
            let any = if *any == NONE { NONE } else { children.next().unwrap_or(NONE) };
            let texts = mixed.iter().filter_map(|child| match draft.node(*child)?.step {
                Step::Mixed(literals) => Some(Literals::from(literals)),
                _ => None,
            });
            let list: Box<[(Literals, u32)]> = texts.zip(children).collect();
            let mixed = if list.is_empty() { NONE } else { to_u32(self.tree.mixed.len()) };
            if !list.is_empty() {
                self.tree.mixed.push(list);
            }
            node.literals = !literals.is_empty();
            node.body = Body::Inner { any, mixed, first: *first, prefixes: *prefixes, ends: *ends };
        }
        node
    }

    /// The first step of a tail, which is added unless there is one that is the same.
    fn tail(&mut self, leaf: &Leaf<'a>) -> u32 {
        let key = (leaf.steps.clone(), leaf.prefix);
        if let Some(known) = self.tails.get(&key) {
            return *known;
        }
        let Tree { tails, texts, tail_mixed, .. } = &mut self.tree;
        let first = tails.len();
        for step in &leaf.steps {
            match step {
                Step::Literal(text) => {
                    let start = to_u32(texts.len());
                    let added = to_u32(text.len() + 1);
                    texts.push(b'/');
                    texts.extend_from_slice(text.as_bytes());
                    // Texts of literals in a row stand in a row, too, and so become one.
                    match tails.get_mut(first..).and_then(<[_]>::last_mut) {
                        Some(TailStep::Text { len, .. }) => *len += added,
                        _ => tails.push(TailStep::Text { start, len: added }),
                    }
                }
                Step::Any => tails.push(TailStep::Any),
                Step::Mixed(literals) => {
                    tails.push(TailStep::Mixed(to_u32(tail_mixed.len())));
                    tail_mixed.push(Literals::from(*literals));
                }
            }
        }
        tails.push(if leaf.prefix { TailStep::Open } else { TailStep::End });
        self.tails.insert(key, to_u32(first));
        to_u32(first)
    }
}
