//! YAML text to a tree of values with their places.
//!
//! saphyr-parser turns the text into events; what is built from them here is bounded in depth and in size, so that
//! a handful of aliases can't fill the memory.

mod builder;
mod lines;
mod substitute;

use builder::Builder;
use lines::Lines;
use saphyr_parser::{Event, Parser};
pub(crate) use substitute::Environment;
use tollgate_core::document::{Kind, Node, Problem, Span, Value};

/// Offsets are kept in 32 bits, and no sane configuration comes near.
const MOST_BYTES: usize = 64 << 20;

/// Reads YAML. What can't be replaced or is there twice is left out of the tree and reported; text that is not YAML
/// at all is reported alone.
pub(crate) fn read(text: &str, file: u32, environment: &Environment<'_>) -> Result<(Node, Vec<Problem>), Box<Problem>> {
    if text.len() > MOST_BYTES {
        return Err(syntax(None, "the file is larger than 64 MiB").into());
    }
    let lines = Lines::new(text, file);
    if let Some(at) = text.bytes().position(|b| b < b' ' && !matches!(b, b'\t' | b'\n' | b'\r')) {
        return Err(syntax(Some(lines.char_at(at)), "the file contains a control character").into());
    }
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::new(&lines, environment);
    let mut documents = 0;
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| {
            let at = lines.at(error.marker());
            // It may blame the line before the one with the tab.
            let tab = error.info().contains("tab").then(|| lines.tab_after(at.start.line)).flatten();
            let at = tab.unwrap_or(at);
            Box::new(explained(syntax(Some(at), sentence(error.info())), lines.text_of(at.start.line)))
        })?;
        let span = lines.span(&span);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    let problem = syntax(Some(span), "a second document begins here");
                    return Err(problem.with_help("one file holds one configuration; drop the `---`").into());
                }
            }
            event => builder.take(event, span)?,
        }
    }
    match builder.finish() {
        (Some(Node { value: Value::Null, .. }) | None, _) => {
            let problem = syntax(Some(lines.char_at(0)), "the file is empty");
            Err(problem.with_help("it needs at least `listeners:`").into())
        }
        (Some(root), problems) => Ok((root, problems)),
    }
}

pub(crate) fn syntax(span: Option<Span>, message: impl Into<String>) -> Problem {
    Problem::error("", span, message).with_kind(Kind::Syntax)
}

/// The parser says "while parsing a block mapping, did not find expected key".
fn sentence(info: &str) -> String {
    format!("this is not YAML: {}", info.trim_end_matches('.'))
}

/// Adds help for the usual slips, going by the line where the parser gave up.
fn explained(problem: Problem, line: &str) -> Problem {
    let indent = &line[..line.len() - line.trim_start().len()];
    let help = if indent.contains('\t') {
        "indent with spaces: YAML allows no tabs there"
    } else if line.contains("${") {
        "put text with `${…}` in quotes: braces and brackets mean something in YAML"
    } else if problem.message.contains("unknown anchor") || line.trim_start().starts_with(['*', '&', '@', '`', '%']) {
        "put text that begins with a sign such as `*`, `&`, `@` or `%` in quotes"
    } else if problem.message.contains("mapping values are not allowed") || problem.message.contains("':'") {
        "check the indentation, and put text that contains `: ` in quotes"
    } else {
        return problem;
    };
    problem.with_help(help)
}

#[cfg(test)]
mod tests;
