//! Regular expressions: one automaton for all paths of a host, and single ones for captures and values.
//!
//! All run in time linear in their input and within bounded memory, whatever the pattern. They see bytes: the canonical
//! path is ASCII, and so `\d`, `\w` and the like mean their ASCII forms, which keeps automata small.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{NFA, WhichCaptures};
use regex_automata::util::pool::Pool;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet, meta};
use smallvec::SmallVec;

use super::Captures;

/// Most memory the program of one automaton may take.
const MAX_PROGRAM: usize = 16 << 20;
/// Most memory one automaton's lazily built states may take per thread, for each of its expressions and at all; past it
/// they are forgotten and built again.
const STATES_PER_PATTERN: usize = 16 << 10;
const MAX_STATES: usize = 8 << 20;

/// ASCII by default; a pattern that needs Unicode (`\p{L}`) gets it.
fn syntaxes() -> [syntax::Config; 2] {
    [syntax::Config::new().unicode(false).utf8(false), syntax::Config::new().utf8(false)]
}

/// Compiles one expression, with or without its groups.
///
/// # Errors
/// What is wrong, in words for the config's author.
pub(super) fn compile(text: &str, groups: bool) -> Result<meta::Regex, String> {
    let captures = if groups { WhichCaptures::All } else { WhichCaptures::None };
    let config = meta::Config::new()
        .utf8_empty(false)
        .which_captures(captures)
        .nfa_size_limit(Some(MAX_PROGRAM / 16))
        .onepass_size_limit(Some(64 << 10))
        .hybrid_cache_capacity(STATES_PER_PATTERN * 8)
        .dfa_size_limit(Some(16 << 10));
    let [ascii, unicode] = syntaxes();
    let build = |syntax| {
        let built = meta::Builder::new().configure(config.clone()).syntax(syntax).build(text);
        built.map_err(|error| describe(&error))
    };
    build(ascii).or_else(|_| build(unicode))
}

/// The innermost cause says what is wrong; the outer ones only that building failed.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What a search needs besides the automaton.
struct Scratch {
    cache: Cache,
    found: PatternSet,
}

/// All regexes of one host as one automaton, a lazily built DFA.
pub(super) struct PathSet {
    dfa: DFA,
    /// One per thread that searches at a time.
    scratch: Pool<Scratch, Box<dyn Fn() -> Scratch + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>>,
}

impl std::fmt::Debug for PathSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PathSet").field("patterns", &self.dfa.pattern_len()).finish_non_exhaustive()
    }
}

impl PathSet {
    /// Compiles a set. Each pattern must have compiled alone before, so that a fault can be laid at its door.
    ///
    /// # Errors
    /// When all together are too large.
    pub(super) fn build(patterns: &[&str]) -> Result<Self, String> {
        let config = NFA::config().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(MAX_PROGRAM));
        let [ascii, unicode] = syntaxes();
        let build = |syntax| {
            let built = NFA::compiler().configure(config.clone()).syntax(syntax).build_many(patterns);
            built.map_err(|error| describe(&error))
        };
        let nfa = build(ascii).or_else(|_| build(unicode))?;
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .unicode_word_boundary(true) // Gives up on bytes beyond ASCII, which no canonical path has.
            .cache_capacity((STATES_PER_PATTERN * patterns.len().max(8)).min(MAX_STATES))
            .skip_cache_capacity_check(true);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).map_err(|error| describe(&error))?;
        let maker = dfa.clone();
        let make = move || Scratch { cache: maker.create_cache(), found: PatternSet::new(maker.pattern_len()) };
        Ok(PathSet { dfa, scratch: Pool::new(Box::new(make)) })
    }

    /// Reports each pattern that matches somewhere in the path, by its index.
    pub(super) fn matches(&self, path: &str, mut each: impl FnMut(usize)) {
        let mut scratch = self.scratch.get();
        let Scratch { cache, found } = &mut *scratch;
        found.clear();
        // It could fail only by giving up, which it is not configured to do on a canonical path.
        if self.dfa.try_which_overlapping_matches(cache, &Input::new(path), found).is_ok() {
            found.iter().for_each(|pattern| each(pattern.as_usize()));
        }
    }
}

/// Number and name of a group.
type GroupName = (Box<str>, Option<Box<str>>);

/// The groups of one path expression.
#[derive(Debug)]
pub(super) struct Groups {
    regex: meta::Regex,
    /// Of each group but the whole match.
    names: Box<[GroupName]>,
}

impl Groups {
    /// Takes an expression compiled with its groups; `None` when it has none.
    pub(super) fn of(regex: meta::Regex) -> Option<Self> {
        let names: Box<[GroupName]> = regex
            .group_info()
            .pattern_names(regex_automata::PatternID::ZERO)
            .enumerate()
            .skip(1)
            .map(|(number, name)| (number.to_string().into(), name.map(Into::into)))
            .collect();
        if names.is_empty() { None } else { Some(Groups { regex, names }) }
    }

    /// Each group that took part in the match, by its number, and by its name if it has one.
    pub(super) fn captures<'a>(&'a self, path: &str, captures: &mut Captures<'a>) {
        let mut slots: SmallVec<[Option<NonMaxUsize>; 16]> = SmallVec::new();
        slots.resize((self.names.len() + 1) * 2, None);
        self.regex.search_slots(&Input::new(path), &mut slots);
        let (pairs, _) = slots.as_chunks::<2>();
        for ((number, name), pair) in self.names.iter().zip(pairs.iter().skip(1)) {
            let [Some(start), Some(end)] = pair else { continue };
            let range = start.get()..end.get();
            if let Some(name) = name {
                captures.push((name, range.clone()));
            }
            captures.push((number, range));
        }
    }
}
