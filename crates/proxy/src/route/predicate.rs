//! What a route asks of a request beyond host and path: listener, method, headers, query.

use std::collections::HashMap;
use std::sync::Arc;

use regex_automata::meta;
use smallvec::SmallVec;

use super::{Query, RouteSpec, ValueMatch, regex};
use crate::normalize;

/// Header fields of a request, as the router sees them.
pub trait FieldLookup {
    /// Whether `test` holds for any value of the field `name`, which is in lower case.
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// One condition of a route, in the order in which they are tried. Methods are tried last, and by bit mask: a route that
/// fails on its method alone must be told from others (405).
#[derive(Debug)]
pub(super) enum Condition {
    /// The request came through one of these listeners; sorted.
    Listener(Box<[u16]>),
    /// A header field has one of these values.
    Header(FieldTest),
    /// A query parameter has one of these values.
    Parameter(FieldTest),
}

impl Condition {
    /// Whether a request fulfils it.
    pub(super) fn holds(&self, query: &Query<'_>) -> bool {
        match self {
            Condition::Listener(listeners) => listeners.binary_search(&query.listener).is_ok(),
            Condition::Header(test) => query.headers.any(&test.name, &mut |value| test.accepts(value)),
            Condition::Parameter(test) => test.accepts_parameter(query.query),
        }
    }
}

/// A field's name and the values accepted; no values at all means that the field need only be there.
#[derive(Debug)]
pub(super) struct FieldTest {
    name: Box<str>,
    values: Box<[Value]>,
}

#[derive(Debug)]
enum Value {
    Exact(Box<[u8]>),
    Regex(Arc<meta::Regex>),
}

impl FieldTest {
    fn accepts(&self, value: &[u8]) -> bool {
        self.values.is_empty()
            || self.values.iter().any(|accepted| match accepted {
                Value::Exact(text) => **text == *value,
                Value::Regex(regex) => regex.is_match(value),
            })
    }

    fn accepts_parameter(&self, query: &str) -> bool {
        query.split('&').filter(|pair| !pair.is_empty()).any(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !decoded(name).eq(self.name.bytes()) {
                return false;
            }
            let value: SmallVec<[u8; 64]> = decoded(value).collect();
            self.accepts(&value)
        })
    }
}

/// Form decoding: percent-encodings, and `+` for a space. A malformed encoding stands for itself.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match (byte, after) {
            (b'+', _) => Some(b' '),
            (b'%', [high, low, after @ ..]) => match (normalize::hex(*high), normalize::hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    Some(high << 4 | low)
                }
                _ => Some(byte),
            },
            _ => Some(byte),
        }
    })
}

/// Regular expressions for values, each compiled once.
#[derive(Default)]
pub(super) struct ValueRegexes(HashMap<String, Arc<meta::Regex>>);

impl ValueRegexes {
    fn get(&mut self, text: &str) -> Result<Arc<meta::Regex>, String> {
        if let Some(known) = self.0.get(text) {
            return Ok(Arc::clone(known));
        }
        let compiled = Arc::new(regex::compile(text, false)?);
        self.0.insert(text.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

/// Which list of values is at fault, for errors.
pub(super) enum Fault {
    /// Value `.1` of header `.0`.
    Header(usize, usize),
    /// Value `.1` of query parameter `.0`.
    Parameter(usize, usize),
}

/// Compiles a route's conditions but its methods, which must be in [`Condition`]'s order.
pub(super) fn compile<T>(
    spec: &RouteSpec<T>,
    regexes: &mut ValueRegexes,
    fault: &mut dyn FnMut(Fault, String),
) -> Box<[Condition]> {
    let mut conditions = Vec::new();
    if let Some(listeners) = &spec.listeners {
        let mut listeners = listeners.clone();
        listeners.sort_unstable();
        conditions.push(Condition::Listener(listeners.into()));
    }
    for (nth, (name, values)) in spec.headers.iter().enumerate() {
        let values = compile_values(values, regexes, &mut |value, why| fault(Fault::Header(nth, value), why));
        conditions.push(Condition::Header(FieldTest { name: name.to_ascii_lowercase().into(), values }));
    }
    for (nth, (name, values)) in spec.query.iter().enumerate() {
        let values = compile_values(values, regexes, &mut |value, why| fault(Fault::Parameter(nth, value), why));
        conditions.push(Condition::Parameter(FieldTest { name: name.as_str().into(), values }));
    }
    conditions.into()
}

fn compile_values(
    values: &[ValueMatch],
    regexes: &mut ValueRegexes,
    fault: &mut dyn FnMut(usize, String),
) -> Box<[Value]> {
    let mut compiled = Vec::with_capacity(values.len());
    for (nth, value) in values.iter().enumerate() {
        match value {
            ValueMatch::Exact(text) => compiled.push(Value::Exact(text.as_bytes().into())),
            ValueMatch::Regex(text) => match regexes.get(text) {
                Ok(regex) => compiled.push(Value::Regex(regex)),
                Err(why) => fault(nth, why),
            },
        }
    }
    compiled.into()
}

/// Sets of methods as bits.
#[derive(Debug)]
pub(super) struct Methods {
    names: Vec<Box<str>>,
}

/// The bit of methods that no route names; only a route for any method has it.
const UNKNOWN: u64 = 1 << 63;
/// Every method.
pub(super) const ANY_METHOD: u64 = u64::MAX;

impl Methods {
    pub(super) fn new() -> Self {
        let known = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
        Methods { names: known.into_iter().map(Into::into).collect() }
    }

    /// The bit of a method; names compare case-sensitively (RFC 9110 §9.1).
    pub(super) fn bit(&self, method: &str) -> u64 {
        self.names.iter().position(|name| **name == *method).map_or(UNKNOWN, |place| 1 << place)
    }

    /// The bit of a method that a route names.
    ///
    /// # Errors
    /// When it is no token (RFC 9110 §5.6.2), or there are more than 63 different ones.
    pub(super) fn intern(&mut self, method: &str) -> Result<u64, String> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if method.is_empty() || !method.bytes().all(token) {
            return Err("this is no method".to_owned());
        }
        match self.bit(method) {
            UNKNOWN if self.names.len() >= 63 => Err("more than 63 different methods".to_owned()),
            UNKNOWN => {
                self.names.push(method.into());
                Ok(self.bit(method))
            }
            known => Ok(known),
        }
    }

    /// The name of a bit.
    pub(super) fn name(&self, bit: u64) -> &str {
        self.names.get(super::path_tree::to_usize(bit.trailing_zeros())).map_or("", |name| name)
    }
}
