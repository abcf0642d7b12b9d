//! Parser events to nodes.

use super::lines::Lines;
use super::substitute::{self, Environment};
use super::syntax;
use saphyr_parser::{Event, ScalarStyle, Tag};
use std::collections::HashMap;
use tollgate_core::document::{Key, Node, Problem, Span, Value, Written, join_index, join_key, resolve_plain};

/// No configuration is deeper, and what walks the tree does so by recursion.
const DEEPEST: usize = 64;
/// How many values aliases may add.
const MOST_ALIASED: usize = 200_000;
/// From here on keys are compared by hash.
const MANY_KEYS: usize = 16;

pub(super) struct Builder<'b> {
    lines: &'b Lines<'b>,
    environment: &'b Environment<'b>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    root: Option<Node>,
    problems: Vec<Problem>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    span: Span,
    anchor: usize,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key> },
}

impl<'b> Builder<'b> {
    pub(super) fn new(lines: &'b Lines<'b>, environment: &'b Environment<'b>) -> Self {
        Self {
            lines,
            environment,
            open: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
            root: None,
            problems: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Problem>> {
        match event {
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.as_deref(), span)?;
                self.open(span, anchor, Content::Seq(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.as_deref(), span)?;
                self.open(span, anchor, Content::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    pub(super) fn finish(self) -> (Option<Node>, Vec<Problem>) {
        (self.root, self.problems)
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) -> Result<(), Box<Problem>> {
        if self.expects_key() {
            return Err(syntax(Some(span), "a key must be text, not a list or a mapping").into());
        }
        if self.open.len() >= DEEPEST {
            return Err(syntax(Some(span), format!("values are nested more than {DEEPEST} deep")).into());
        }
        self.open.push(Open { span, anchor, content });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Box<Problem>> {
        let Some(Open { span, anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::Seq(items) => Value::Seq(items),
            Content::Map { entries, .. } => Value::Map(self.distinct(self.merged(entries)?)),
        };
        // A block ends where the next thing begins, and a bracket with the space after it. The last value, and the
        // bracket itself, say better where it ended.
        let last = match &value {
            Value::Seq(items) => items.last().map(|item| item.span),
            Value::Map(entries) => entries.last().map(|(_, value)| value.span),
            _ => None,
        };
        let span = match last {
            Some(last) if end.start == end.end && last.end > span.start => span.to(last),
            _ => span.to(self.lines.one_char(end.start)),
        };
        self.put(Node { value, span, source: None }, anchor);
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Box<Problem>> {
        let quoted = style != ScalarStyle::Plain;
        if self.expects_key() {
            if text.contains("${env:") || text.contains("${file:") {
                return Err(syntax(Some(span), "`${…}` is replaced in values, not in keys").into());
            }
            self.set_key(Key { name: text.to_owned(), span });
            return Ok(());
        }
        let text_wanted = match tag {
            None => quoted,
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
            Some(tag) if tag.is_yaml_core_schema() => false,
            Some(_) => return self.no_tag(tag, span),
        };
        let node = if substitute::wanted(text) {
            self.substituted(text, quoted, span)
        } else {
            let value = if text_wanted { Value::Str(text.to_owned()) } else { resolve_plain(text) };
            Node { value, span, source: None }
        };
        self.put(node, anchor);
        Ok(())
    }

    /// A value with `${…}` in it. If that fails, the text as written stands in for it, and is never taken for a
    /// value: the problem stops the configuration from being used.
    fn substituted(&mut self, text: &str, quoted: bool, span: Span) -> Node {
        let written = || Some(Box::new(Written { text: text.to_owned(), quoted }));
        match self.environment.substitute(text) {
            Ok(result) => {
                let source = if result.from_outside { written() } else { None };
                Node { value: Value::Str(result.text), span, source }
            }
            Err(error) => {
                let help = error.help().map(str::to_owned);
                let problem = Problem::error(self.path(), Some(span), error.to_string()).with_maybe_help(help);
                self.problems.push(problem);
                Node { value: Value::Str(text.to_owned()), span, source: written() }
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Box<Problem>> {
        if self.expects_key() {
            return Err(syntax(Some(span), "a key must be text, not an alias").into());
        }
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(syntax(Some(span), "this alias stands inside of what it refers to").into());
        };
        let (values, depth) = measure(node);
        self.aliased += values;
        if self.aliased > MOST_ALIASED {
            return Err(syntax(Some(span), format!("aliases add more than {MOST_ALIASED} values")).into());
        }
        if self.open.len() + depth > DEEPEST {
            return Err(syntax(Some(span), format!("values are nested more than {DEEPEST} deep")).into());
        }
        let node = node.clone();
        self.put(node, 0);
        Ok(())
    }

    /// Adds a finished value to what it stands in.
    fn put(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::Seq(items)) => items.push(node),
            Some(Content::Map { entries, key }) => entries.extend(key.take().map(|key| (key, node))),
            None => self.root = Some(node),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Open { content: Content::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(new);
        }
    }

    /// The path of the value that comes next.
    fn path(&self) -> String {
        self.open.iter().fold(String::new(), |path, open| match &open.content {
            Content::Seq(items) => join_index(&path, items.len()),
            Content::Map { key: Some(key), .. } => join_key(&path, &key.name),
            Content::Map { key: None, .. } => path,
        })
    }

    fn no_tag(&self, tag: Option<&Tag>, span: Span) -> Result<(), Box<Problem>> {
        match tag {
            // `!!map` and `!!seq` say what is plain to see.
            Some(tag) if !tag.is_yaml_core_schema() => {
                let problem = syntax(Some(span), format!("the tag `{tag}` means nothing here"));
                Err(problem.with_help("quote text that begins with `!`").into())
            }
            _ => Ok(()),
        }
    }

    /// Puts in what `<<` refers to. What a mapping says itself wins, then what was merged first.
    fn merged(&self, entries: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, Box<Problem>> {
        let is_merge = |key: &Key| key.name == "<<" && self.lines.plain_at(key.span);
        if !entries.iter().any(|(key, _)| is_merge(key)) {
            return Ok(entries);
        }
        let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| is_merge(key));
        for (key, node) in merges {
            let sources = match node.value {
                Value::Map(entries) => vec![entries],
                Value::Seq(items) if items.iter().all(|item| item.as_map().is_some()) => {
                    let maps = items.into_iter().map(|item| match item.value {
                        Value::Map(entries) => entries,
                        _ => Vec::new(),
                    });
                    maps.collect()
                }
                _ => {
                    let problem = syntax(Some(key.span), "`<<` needs a mapping to merge, or a list of mappings");
                    return Err(problem.with_help("such as `<<: *defaults`").into());
                }
            };
            for (key, node) in sources.into_iter().flatten() {
                if !own.iter().any(|(known, _)| known.name == key.name) {
                    own.push((key, node));
                }
            }
        }
        Ok(own)
    }

    /// Reports and leaves out keys that are there already.
    fn distinct(&mut self, entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
        let twice = repeated(&entries);
        if twice.is_empty() {
            return entries;
        }
        let path = self.path();
        let mut kept = Vec::with_capacity(entries.len());
        for (index, (key, node)) in entries.into_iter().enumerate() {
            match twice.iter().find(|(second, _)| *second == index) {
                None => kept.push((key, node)),
                Some((_, first)) => {
                    let message = format!("the key `{}` stands here twice", key.name);
                    let problem = Problem::error(join_key(&path, &key.name), Some(key.span), message);
                    self.problems.push(problem.with_related(*first, "first here"));
                }
            }
        }
        kept
    }
}

/// The indexes of keys that are there already, each with the place of the first.
fn repeated(entries: &[(Key, Node)]) -> Vec<(usize, Span)> {
    if entries.len() <= MANY_KEYS {
        let first = |name: &str, before: usize| entries.iter().take(before).find(|(key, _)| key.name == name);
        let twice = |(index, (key, _)): (usize, &(Key, Node))| Some((index, first(&key.name, index)?.0.span));
        return entries.iter().enumerate().filter_map(twice).collect();
    }
    let mut seen: HashMap<&str, Span> = HashMap::with_capacity(entries.len());
    let mut twice = Vec::new();
    for (index, (key, _)) in entries.iter().enumerate() {
        match seen.get(key.name.as_str()) {
            Some(first) => twice.push((index, *first)),
            None => {
                seen.insert(&key.name, key.span);
            }
        }
    }
    twice
}

/// How many values a value holds, itself among them, and how deep it goes.
fn measure(node: &Node) -> (usize, usize) {
    let sum = |(values, depth): (usize, usize), child: &Node| {
        let (more, deeper) = measure(child);
        (values + more, depth.max(deeper + 1))
    };
    match &node.value {
        Value::Seq(items) => items.iter().fold((1, 1), sum),
        Value::Map(entries) => entries.iter().map(|(_, value)| value).fold((1, 1), sum),
        _ => (1, 0),
    }
}
