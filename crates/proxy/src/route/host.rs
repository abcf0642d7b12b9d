//! Hosts: exact names, wildcards, and the table of which routes they have.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use smallvec::SmallVec;

use super::path_tree::NONE;
use crate::normalize;

/// What a route says about the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// Any host, or none.
    Any,
    /// This host.
    Exact(Box<str>),
    /// `*.suffix`: one or more labels before the suffix.
    Wildcard(Box<str>),
}

impl HostPattern {
    /// Parses `example.com`, `*.example.com`, `[::1]` or `*`.
    ///
    /// # Errors
    /// What is wrong, in words for the config's author.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(HostPattern::Any);
        }
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(suffix) => (true, suffix),
            None => (false, text),
        };
        if name.contains('*') {
            return Err("a * stands only for whole labels at the start: *.example.com".to_owned());
        }
        let authority = normalize::authority(name.as_bytes()).map_err(|error| error.to_string())?;
        if authority.port.is_some() {
            return Err("a route's host has no port; listeners have".to_owned());
        }
        let name = authority.host.into_owned().into_boxed_str();
        Ok(if wildcard { HostPattern::Wildcard(name) } else { HostPattern::Exact(name) })
    }

    /// What orders hosts: the lesser is the more specific. Exact, then the longest wildcard, then any.
    pub(super) fn rank(&self) -> u32 {
        match self {
            HostPattern::Exact(_) => 0,
            HostPattern::Wildcard(suffix) => 1 + (NONE - 2).saturating_sub(u32::try_from(suffix.len()).unwrap_or(NONE)),
            HostPattern::Any => NONE,
        }
    }
}

/// The tables that one name leads to.
#[derive(Debug, Clone, Copy)]
struct Entry {
    exact: u32,
    wildcard: u32,
}

/// Which tables of routes a host leads to.
#[derive(Debug)]
pub(super) struct Hosts {
    names: HashMap<Box<str>, Entry, BuildHasherDefault<WordHasher>>,
    /// The table of routes for any host.
    any: u32,
    /// Lengths of the longest and the shortest suffix of a wildcard, so that no other is looked up.
    longest_suffix: usize,
    shortest_suffix: usize,
}

impl Hosts {
    pub(super) fn new() -> Self {
        Hosts { names: HashMap::default(), any: NONE, longest_suffix: 0, shortest_suffix: usize::MAX }
    }

    /// The table of a pattern, made by `make` the first time.
    pub(super) fn table(&mut self, pattern: &HostPattern, make: impl FnOnce() -> u32) -> u32 {
        let place = match pattern {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(name) => &mut entry(&mut self.names, name).exact,
            HostPattern::Wildcard(suffix) => {
                self.longest_suffix = self.longest_suffix.max(suffix.len());
                self.shortest_suffix = self.shortest_suffix.min(suffix.len());
                &mut entry(&mut self.names, suffix).wildcard
            }
        };
        if *place == NONE {
            *place = make();
        }
        *place
    }

    /// The tables for a canonical host, the least specific first.
    pub(super) fn lookup(&self, host: Option<&str>) -> SmallVec<[u32; 4]> {
        let mut tables = SmallVec::new();
        if self.any != NONE {
            tables.push(self.any);
        }
        let Some(host) = host.filter(|_| !self.names.is_empty()) else { return tables };
        if self.longest_suffix > 0 {
            for dot in memchr::memrchr_iter(b'.', host.as_bytes()) {
                let suffix = host.get(dot + 1..).unwrap_or_default();
                if suffix.len() > self.longest_suffix {
                    break;
                }
                // An empty first label would leave nothing for the asterisk; a canonical host has none.
                if suffix.len() >= self.shortest_suffix
                    && let Some(entry) = self.names.get(suffix).filter(|entry| entry.wildcard != NONE && dot > 0)
                {
                    tables.push(entry.wildcard);
                }
            }
        }
        if let Some(entry) = self.names.get(host).filter(|entry| entry.exact != NONE) {
            tables.push(entry.exact);
        }
        tables
    }
}

fn entry<'a>(names: &'a mut HashMap<Box<str>, Entry, BuildHasherDefault<WordHasher>>, name: &str) -> &'a mut Entry {
    names.entry(name.into()).or_insert(Entry { exact: NONE, wildcard: NONE })
}

/// A hash by words of eight bytes. Its keys come from the config, so that nobody can choose them to collide.
#[derive(Debug, Default)]
pub(super) struct WordHasher(u64);

impl WordHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.add(rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        // The map takes its place from the low bits and its tag from the high ones: both must be mixed.
        self.0 ^ self.0 >> 32
    }
}
