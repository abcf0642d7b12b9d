//! Problems as text for a terminal: with the line, a caret, the path and the help.

mod blank;

use crate::load::Source;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::collections::HashMap;
use std::ops::Range;
use tollgate_core::document::{Problem, Severity, Span};

/// Shows problems, each with the lines it is about. Values of keys that are named like secrets are blanked.
#[must_use]
pub fn render(problems: &[Problem], sources: &[Source], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut blanked: HashMap<u32, String> = HashMap::new();
    let mut text = String::new();
    for problem in problems {
        let spans = problem.span.iter().chain(problem.related.iter().map(|related| &related.span));
        for file in spans.map(|span| span.file) {
            if let Some(source) = sources.get(file as usize) {
                blanked.entry(file).or_insert_with(|| blank::without_secrets(&source.text));
            }
        }
        text.push_str(&renderer.render(&[group(problem, sources, &blanked)]));
        text.push_str("\n\n");
    }
    text
}

fn group<'a>(problem: &'a Problem, sources: &'a [Source], texts: &'a HashMap<u32, String>) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(problem.message.as_str()));
    match problem.span.and_then(|span| excerpt(span, sources, texts)) {
        Some(excerpt) => {
            group = group.element(excerpt.snippet(AnnotationKind::Primary, &problem.path));
        }
        None => {
            if let Some(source) = sources.first() {
                group = group.element(Origin::path(source.name.as_str()));
            }
        }
    }
    for related in &problem.related {
        if let Some(excerpt) = excerpt(related.span, sources, texts) {
            group = group.element(excerpt.snippet(AnnotationKind::Context, &related.message));
        }
    }
    match &problem.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The first line of a span. More would hide what matters, and a whole file is slow to lay out for each problem.
struct Excerpt<'a> {
    name: &'a str,
    line: &'a str,
    number: usize,
    marked: Range<usize>,
}

impl<'a> Excerpt<'a> {
    fn snippet(self, kind: AnnotationKind, label: &'a str) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let label = Some(label).filter(|label| !label.is_empty());
        let snippet = Snippet::source(self.line).path(self.name).line_start(self.number);
        snippet.annotation(kind.span(self.marked).label(label))
    }
}

fn excerpt<'a>(span: Span, sources: &'a [Source], texts: &'a HashMap<u32, String>) -> Option<Excerpt<'a>> {
    // Nothing was read of what stands nowhere.
    if span.start.line == 0 {
        return None;
    }
    let source = sources.get(span.file as usize)?;
    let text = texts.get(&span.file)?.as_str();
    let start = (span.start.byte as usize).min(text.len());
    let line_start = text.get(..start)?.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let line_end = text.get(start..)?.find(['\n', '\r']).map_or(text.len(), |at| start + at);
    let end = (span.end.byte as usize).clamp(start, line_end);
    Some(Excerpt {
        name: &source.name,
        line: text.get(line_start..line_end)?,
        number: span.start.line as usize,
        marked: start - line_start..end - line_start,
    })
}

#[cfg(test)]
mod tests {
    use crate::load::parse_with;
    use std::path::Path;

    fn shown(text: &str) -> String {
        let loaded = parse_with(text, "tollgate.yaml", Path::new("."), &|_| Some("the-secret".into()));
        super::render(&loaded.problems, &loaded.sources, false)
    }

    #[test]
    fn a_problem_shows_its_line_its_path_and_its_help() {
        let text = "listeners:\n  - name: web\n    address: 0.0.0.0:8080\n    limits: { max_heders: 5 }\n";
        let expected = "\
error: unknown key `max_heders`
 --> tollgate.yaml:4:15
  |
4 |     limits: { max_heders: 5 }
  |               ^^^^^^^^^^ listeners[0].limits.max_heders
  |
  = help: did you mean `max_headers`?

";
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn both_of_two_places_are_shown() {
        let text = "listeners:\n- {name: a, address: '1.1.1.1:1'}\n- {name: a, address: '1.1.1.1:2'}\n";
        let shown = shown(text);
        for part in ["tollgate.yaml:3:10", "listeners[1].name", "tollgate.yaml:2:10", "first here"] {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
    }

    #[test]
    fn secrets_in_the_line_are_blanked() {
        let text = "listeners: [{name: a, address: '1.1.1.1:1'}]\n\
                    admin: { adress: x, token: hunter2, address: \"127.0.0.1:1\" }\n";
        let shown = shown(text);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("admin: { adress: x, token: *******, address: \"127.0.0.1:1\" }"), "{shown}");
        let substituted = "listeners: [{name: a, address: '${env:A}'}]\nadmin: { token: '${env:A}', x: 1 }\n";
        let shown = super::tests::shown(substituted);
        assert!(!shown.contains("the-secret") && shown.contains("${env:A}"), "{shown}");
    }

    #[test]
    fn what_has_no_place_is_shown_too() {
        let loaded = crate::load(Path::new("/nowhere/tollgate.yaml"));
        let shown = super::render(&loaded.problems, &loaded.sources, false);
        assert!(shown.starts_with("error: the file `/nowhere/tollgate.yaml` can't be read"), "{shown}");
        let odd = ["", "\u{feff}", "a: 'ü\u{301}' b", "ü: *x\n", "\r\n- é: [", "a:\n\tb: 1"];
        assert!(odd.iter().all(|text| shown_in_color(text).contains("error")));
    }

    fn shown_in_color(text: &str) -> String {
        let loaded = crate::parse(text, "x.yaml");
        super::render(&loaded.problems, &loaded.sources, true)
    }
}
