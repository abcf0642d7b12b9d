//! From a file or a text to a [`Config`], or to everything that is wrong with it.

use crate::config::Config;
use crate::yaml::{Environment, read, syntax};
use crate::{not_built, tls, validate};
use std::path::{Path, PathBuf};
use tollgate_core::document::{Node, Problem, Value, decode_partial};

/// A text that was read, for showing problems with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name of the file.
    pub name: String,
    /// Its text, without a byte order mark.
    pub text: String,
}

/// What came of reading a configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration, if there is no error among the problems.
    pub config: Option<Config>,
    /// What could be read of it, broken parts left out, if there are errors: enough to look for more.
    pub partial: Option<Config>,
    /// The values as written, with their places. Empty if the text could not be read.
    pub tree: Node,
    /// Everything that is wrong, in the order of the file.
    pub problems: Vec<Problem>,
    /// What was read. The `file` of a span is an index into this.
    pub sources: Vec<Source>,
}

impl Loaded {
    /// Whether any of the problems stops the configuration from being used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// Adds problems that only the caller can find, such as with the settings of plugins, and puts all in order.
    pub fn add_problems(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
        if self.has_errors() {
            self.partial = self.config.take().or_else(|| self.partial.take());
        }
        in_order(&mut self.problems);
    }
}

/// Reads a configuration file.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    let name = path.display().to_string();
    let directory = path.parent().map(Path::to_owned).unwrap_or_default();
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse_with(&text, &name, &directory, &environment_variable),
            Err(error) => not_utf8(&name, &error),
        },
        Err(error) => {
            let problem = syntax(None, format!("the file `{name}` can't be read: {error}"));
            failed(problem, Source { name, text: String::new() })
        }
    }
}

/// Reads a configuration from a text. Relative paths in it start at the directory of `file_name`.
#[must_use]
pub fn parse(text: &str, file_name: &str) -> Loaded {
    let directory = Path::new(file_name).parent().map(Path::to_owned).unwrap_or_default();
    parse_with(text, file_name, &directory, &environment_variable)
}

/// Like [`parse`], with a directory where relative paths start and variables for `${env:NAME}`.
#[must_use]
pub fn parse_with(text: &str, file_name: &str, directory: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source { name: file_name.to_owned(), text: text.to_owned() };
    let environment = Environment { variable, directory: PathBuf::from(directory) };
    let (tree, mut problems) = match read(text, 0, &environment) {
        Ok(read) => read,
        Err(problem) => return failed(*problem, source),
    };
    let (mut config, found) = decode_partial::<Config>(&tree, "");
    // Where a value could not even be read, what it decodes to says nothing.
    let said: Vec<String> = problems.iter().map(|problem| problem.path.clone()).collect();
    problems.extend(found.into_iter().filter(|problem| !said.contains(&problem.path)));
    problems = not_built::tell_apart(problems, &tree);
    if let Some(config) = &config {
        let more = validate::validate(config, &tree, &problems);
        problems.extend(more);
    }
    config.iter_mut().for_each(|config| tls::resolve_files(config, directory));
    in_order(&mut problems);
    let (config, partial) = if problems.iter().any(Problem::is_error) { (None, config) } else { (config, None) };
    Loaded { config, partial, tree, problems, sources: vec![source] }
}

fn failed(problem: Problem, source: Source) -> Loaded {
    Loaded { config: None, partial: None, tree: Node::new(Value::Null), problems: vec![problem], sources: vec![source] }
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Loaded {
    let bytes = error.as_bytes();
    let valid = error.utf8_error().valid_up_to();
    let line = bytes.iter().take(valid).filter(|b| **b == b'\n').count() + 1;
    let problem = syntax(None, format!("the file is not UTF-8 text: line {line} has a byte that can't stand there"));
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let help = if utf16 { "it looks like UTF-16" } else { "save it as UTF-8" };
    failed(problem.with_help(help), Source { name: name.to_owned(), text: String::new() })
}

fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn in_order(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| problem.span.map(|span| (span.file, span.start.byte)));
}
