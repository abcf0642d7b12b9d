//! Path templates: `/orders/{id}/items/{item}.json`.

use std::ops::Range;

use smallvec::SmallVec;

use super::Captures;
use super::path_tree::Step;
use crate::normalize;

/// A parsed template. It matches a whole path, segment by segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Template {
    segments: Box<[Segment]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Segment {
    Literal(Box<str>),
    /// `{name}`: any segment but the empty one.
    Name(Box<str>),
    /// `v{major}.{minor}`: one literal more than names, the first and the last may be empty.
    Mixed {
        literals: Box<[Box<str>]>,
        names: Box<[Box<str>]>,
    },
}

impl Template {
    /// Parses a template and makes its literal parts canonical.
    ///
    /// # Errors
    /// What is wrong, in words for the config's author.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or("a path template starts with a slash")?;
        let mut segments = Vec::new();
        let mut names: Vec<Box<str>> = Vec::new();
        let count = rest.split('/').count();
        for (nth, part) in rest.split('/').enumerate() {
            if part.is_empty() && nth + 1 < count {
                return Err("a path template has no empty segment but the last".to_owned());
            }
            let segment = parse_segment(part)?;
            names.extend(segment.names().iter().cloned());
            segments.push(segment);
        }
        names.sort_unstable();
        match names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next) {
            Some((name, _)) => Err(format!("the name {{{name}}} appears twice")),
            None => Ok(Template { segments: segments.into() }),
        }
    }

    /// The steps that lead to the template's node.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => Step::Literal(text),
            Segment::Name(_) => Step::Any,
            Segment::Mixed { literals, .. } => Step::Mixed(literals),
        })
    }

    /// The template with all literal segments blank. Captures and shape are the same; and what only differs in its literal
    /// segments becomes one, so that a router with 10,000 templates has few outlines, which stay in a near cache.
    pub(super) fn outline(&self) -> Template {
        let blank = |segment: &Segment| match segment {
            Segment::Literal(_) => Segment::Literal(Box::default()),
            other => other.clone(),
        };
        Template { segments: self.segments.iter().map(blank).collect() }
    }

    /// What orders templates: the lesser is the more specific. From the left, a literal comes before a mixed segment
    /// (the more literal bytes the better) before a bare parameter; then the longer template.
    pub(super) fn shape(&self) -> Vec<u32> {
        let mut shape: Vec<u32> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(_) => 0,
                Segment::Mixed { literals, .. } => {
                    let literal_bytes: usize = literals.iter().map(|text| text.len()).sum();
                    u32::MAX - 2 - u32::try_from(literal_bytes).unwrap_or(u32::MAX - 3).min(u32::MAX - 3)
                }
                Segment::Name(_) => u32::MAX - 1,
            })
            .collect();
        shape.push(u32::MAX);
        shape
    }

    /// The value of each name, for a path that the template matches.
    pub(super) fn captures<'a>(&'a self, path: &str, captures: &mut Captures<'a>) {
        let mut start = 1;
        for segment in &self.segments {
            let rest = path.get(start..).unwrap_or_default();
            let len = memchr::memchr(b'/', rest.as_bytes()).unwrap_or(rest.len());
            let text = rest.get(..len).unwrap_or_default();
            match segment {
                Segment::Literal(_) => {}
                Segment::Name(name) => captures.push((name, start..start + text.len())),
                Segment::Mixed { literals, names } => {
                    let mut names = names.iter();
                    split(literals, text, |range| {
                        if let Some(name) = names.next() {
                            captures.push((name, start + range.start..start + range.end));
                        }
                    });
                }
            }
            start += text.len() + 1;
        }
    }
}

impl Segment {
    fn names(&self) -> &[Box<str>] {
        match self {
            Segment::Literal(_) => &[],
            Segment::Name(name) => std::slice::from_ref(name),
            Segment::Mixed { names, .. } => names,
        }
    }
}

/// Whether a segment is the literals in this order, each two with at least one byte between; each such gap is reported.
///
/// Where several readings are possible a gap ends at the first place where the next literal stands, but the last gap
/// takes all up to the last literal.
pub(super) fn split(literals: &[Box<str>], segment: &str, mut gap: impl FnMut(Range<usize>)) -> bool {
    let [first, between @ .., last] = literals else { return false };
    if !segment.starts_with(&**first) || !segment.ends_with(&**last) {
        return false;
    }
    let Some(limit) = segment.len().checked_sub(last.len()) else { return false };
    let mut gaps: SmallVec<[Range<usize>; 4]> = SmallVec::new();
    let mut from = first.len();
    for literal in between {
        let Some(found) = segment.get(from + 1..limit).and_then(|rest| rest.find(&**literal)) else { return false };
        let end = from + 1 + found;
        gaps.push(from..end);
        from = end + literal.len();
    }
    if from >= limit {
        return false;
    }
    gaps.push(from..limit);
    gaps.into_iter().for_each(&mut gap);
    true
}

fn parse_segment(text: &str) -> Result<Segment, String> {
    let mut literals: Vec<Box<str>> = Vec::new();
    let mut names: Vec<Box<str>> = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("a { has no }")?;
        check_name(name)?;
        if before.is_empty() && !names.is_empty() {
            return Err(format!("nothing stands between {{{name}}} and the name before it"));
        }
        literals.push(literal(before)?);
        names.push(name.into());
        rest = after;
    }
    literals.push(literal(rest)?);
    match (&*names, &*literals) {
        ([], [text]) if matches!(&**text, "." | "..") => Err("a path template has no dot segments".to_owned()),
        ([], [text]) => Ok(Segment::Literal(text.clone())),
        ([name], [before, after]) if before.is_empty() && after.is_empty() => Ok(Segment::Name(name.clone())),
        _ => Ok(Segment::Mixed { literals: literals.into(), names: names.into() }),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(legal) {
        return Err(format!("{{{name}}} is no name: letters, digits, _ and - only"));
    }
    Ok(())
}

/// A literal part in canonical form. A person may write spaces and letters beyond ASCII, which requests carry encoded.
fn literal(text: &str) -> Result<Box<str>, String> {
    if text.contains('}') {
        return Err("a } has no {".to_owned());
    }
    let mut canonical = String::with_capacity(text.len());
    normalize::recode(&encode_rare(text), &mut canonical).map_err(|error| error.to_string())?;
    Ok(canonical.into())
}

/// The canonical form of a pattern that is a path itself.
///
/// # Errors
/// What is wrong, in words for the config's author.
pub(super) fn canonical(text: &str) -> Result<String, String> {
    let encoded = encode_rare(text);
    normalize::path(&encoded).map(normalize::Canonical::into_string).map_err(|error| error.to_string())
}

/// Percent-encodes spaces and what is not ASCII, as every client does.
fn encode_rare(text: &str) -> Vec<u8> {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte == b' ' || !byte.is_ascii() {
            normalize::encode(byte, &mut encoded);
        } else {
            encoded.push(char::from(byte));
        }
    }
    encoded.into_bytes()
}
