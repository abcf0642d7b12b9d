//! An error on its way out of serde: first what is wrong, then, from the innermost value on, where.

use super::super::message::{describe, humanise, one_of, split};
use super::super::repair::{Repair, address};
use super::super::{Key, Kind, Node, Problem, Value, did_you_mean};
use super::{Cursor, Trail, TrailStep};
use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// Why decoding stopped. Boxed, as results of it are returned everywhere.
#[derive(Debug)]
pub(crate) struct Failure(Box<State>);

#[derive(Debug)]
enum State {
    /// Raised, but not yet seen by a node.
    Raised { what: What, wants_quotes: bool },
    /// Seen by the node where it happened.
    Placed { problem: Option<Problem>, repair: Repair },
}

#[derive(Debug)]
enum What {
    WrongType { expected: String },
    UnknownKey { name: String, known: &'static [&'static str] },
    UnknownVariant { name: String, known: &'static [&'static str] },
    Missing(&'static str),
    Other(String),
}

impl Failure {
    fn raised(what: What) -> Self {
        Self(Box::new(State::Raised { what, wants_quotes: false }))
    }

    pub(super) fn not_a_variant(variants: &[&str]) -> Self {
        let expected = if variants.len() > 1 { format!("one of {}", one_of(variants)) } else { one_of(variants) };
        Self::raised(What::WrongType { expected })
    }

    /// Nothing to report: the stand-in for a key did not suit.
    pub(super) fn stand_in_refused(mapping: &Node, key: &'static str) -> Self {
        Self(Box::new(State::Placed { problem: None, repair: Repair::StandIn(address(mapping), key) }))
    }

    /// Nothing to report: what an enum's variant holds was left out, so the whole must be.
    pub(super) fn left_out(whole: &Node) -> Self {
        Self(Box::new(State::Placed { problem: None, repair: Repair::Skip(address(whole)) }))
    }

    /// Remembers that a string was wanted, as a number without quotes is a common slip.
    pub(super) fn wants_quotes(mut self, node: &Node) -> Self {
        if let State::Raised { what: What::WrongType { .. }, wants_quotes } = &mut *self.0 {
            *wants_quotes = matches!(node.value, Value::Bool(_) | Value::Int(_) | Value::Float(_));
        }
        self
    }

    /// Says where it happened, unless something further in did.
    pub(super) fn at(self, cursor: Cursor<'_, '_>) -> Self {
        match *self.0 {
            State::Raised { what, wants_quotes } => {
                let (problem, repair) = placed(what, cursor.node, cursor.trail);
                let problem = problem.map(|problem| match wants_quotes {
                    true if problem.help.is_none() => problem.with_help("put the value in quotes to make it a string"),
                    _ => problem,
                });
                Self(Box::new(State::Placed { problem, repair }))
            }
            State::Placed { .. } => self,
        }
    }

    /// Says that a key is to blame.
    pub(super) fn at_key(self, key: &Key, node: &Node, trail: &Trail<'_>) -> Self {
        let State::Raised { what, .. } = *self.0 else { return self };
        let name = Node { span: key.span, ..Node::new(Value::Str(key.name.clone())) };
        let trail = Trail { parent: Some(trail), step: TrailStep::Key(&key.name) };
        let what = match what {
            // From a mapping whose keys are an enum.
            What::UnknownVariant { name, known } => What::UnknownKey { name, known },
            what => what,
        };
        let (problem, _) = placed(what, &name, &trail);
        Self(Box::new(State::Placed { problem, repair: Repair::Skip(address(node)) }))
    }

    /// What to report, if anything, and how to go on. `root` is where what nobody placed belongs.
    pub(in super::super) fn into_parts(self, root: &Node, path: &str) -> (Option<Problem>, Repair) {
        match *self.0 {
            State::Raised { what, .. } => placed(what, root, &Trail::root(path)),
            State::Placed { problem, repair } => (problem, repair),
        }
    }
}

fn placed(what: What, node: &Node, trail: &Trail<'_>) -> (Option<Problem>, Repair) {
    let secret = trail.is_secret();
    let error = |message: String| Problem::error(trail.path(), Some(node.span), message);
    let problem = match what {
        What::WrongType { expected } => {
            error(format!("expected {}, found {}", humanise(&expected), describe(node, secret)))
        }
        What::UnknownKey { name, known } => {
            let help = did_you_mean(&name, known.iter().copied()).or_else(|| listed(known));
            error(format!("unknown key `{name}`")).with_kind(Kind::UnknownKey).with_maybe_help(help)
        }
        What::UnknownVariant { name, known } => {
            let expected = format!("expected {}", one_of(known));
            let help = did_you_mean(&name, known.iter().copied()).filter(|_| node.source.is_none());
            error(format!("{expected}, found {}", describe(node, secret))).with_maybe_help(help)
        }
        What::Missing(key) => {
            let repair = Repair::StandIn(address(node), key);
            // If it is there, then it was left out because it is wrong, which has been said.
            let problem = error(format!("missing key `{key}`")).with_kind(Kind::MissingKey);
            return (Some(problem).filter(|_| node.get(key).is_none()), repair);
        }
        What::Other(text) => {
            let (message, help) = split(&text, node, secret);
            error(message).with_maybe_help(help)
        }
    };
    (Some(problem), Repair::Skip(address(node)))
}

fn listed(known: &[&str]) -> Option<String> {
    const MOST: usize = 12;
    match known.len() {
        0 => Some("no keys are known here".to_owned()),
        1..=MOST => Some(format!("known keys: {}", known.join(", "))),
        _ => None,
    }
}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::raised(What::Other(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::raised(What::WrongType { expected: expected.to_string() })
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::raised(What::WrongType { expected: expected.to_string() })
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::raised(What::UnknownVariant { name: name.to_owned(), known })
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::raised(What::UnknownKey { name: name.to_owned(), known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::raised(What::Missing(key))
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::raised(What::Other(format!("the key `{key}` stands here twice")))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            State::Placed { problem: Some(problem), .. } => problem.fmt(f),
            _ => f.write_str("the document does not have the expected form"),
        }
    }
}

impl std::error::Error for Failure {}
