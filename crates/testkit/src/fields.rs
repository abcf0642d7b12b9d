//! Header and trailer fields, as they stood on the wire.

use crate::text::latin1;

/// Fields in their order, names as written. A value holds one character for each byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first value of the field, whatever the case of its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Every value of the field, one for each line.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// How many lines the field has.
    pub fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    /// Whether the field is there.
    pub fn has(&self, name: &str) -> bool {
        self.count(name) > 0
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// How many field lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one field line as RFC 9112 5 writes it, or says what is wrong with it.
    pub(crate) fn push_line(&mut self, line: &[u8]) -> Result<(), String> {
        let shown = || latin1(line);
        if line.first().is_some_and(|b| *b == b' ' || *b == b'\t') {
            return Err(format!("a folded line: {:?}", shown()));
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            return Err(format!("a field line without a colon: {:?}", shown()));
        };
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(format!("not a field name: {:?}", latin1(name)));
        }
        let value = trim(value.get(1..).unwrap_or_default());
        if let Some(byte) = value.iter().find(|b| (**b < 0x20 && **b != b'\t') || **b == 0x7f) {
            return Err(format!("control byte {byte:#04x} in the field {:?}", shown()));
        }
        self.0.push((latin1(name), latin1(value)));
        Ok(())
    }
}

/// A `tchar` of RFC 9110 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
