//! The format of the tables, and what each message must hold.

/// A configuration that must be refused.
pub(super) struct Case {
    pub(super) file: String,
    pub(super) name: String,
    /// The whole YAML text.
    pub(super) text: String,
    /// Line and column, from 1, that the message must point at.
    place: Option<(usize, usize)>,
    /// What the message must hold.
    says: Vec<String>,
    errors: usize,
    or_more: bool,
}

/// Reads a table.
pub(super) fn parse(file: &str, table: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for block in table.split("\n== ").skip(1) {
        cases.push(read(file, block));
    }
    assert!(!cases.is_empty(), "{file} holds no case");
    cases
}

fn read(file: &str, block: &str) -> Case {
    let mut lines = block.lines();
    let name = lines.next().expect("a name").to_owned();
    let (mut to, mut yaml, mut says) = (String::new(), Vec::new(), Vec::new());
    let (mut errors, mut or_more) = (1, false);
    for line in lines.filter(|line| !line.is_empty()) {
        if let Some(line) = line.strip_prefix('>') {
            yaml.push(line.strip_prefix(' ').unwrap_or(line).replace("\\x01", "\u{1}"));
            continue;
        }
        let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("{file}/{name}: {line:?}"));
        match key {
            "in" => to = value.to_owned(),
            "path" | "says" | "help" => says.push(value.to_owned()),
            "errors" => {
                or_more = value.ends_with('+');
                errors = value.trim_end_matches('+').parse().expect("a number of errors");
            }
            _ => panic!("{file}/{name}: {key:?} means nothing"),
        }
    }
    let (text, place) = placed(&whole(&to, &yaml));
    Case { file: file.to_owned(), name, text, place, says, errors, or_more }
}

/// A sound configuration with these lines at their place.
fn whole(to: &str, yaml: &[String]) -> String {
    let at = |indent: &str| yaml.iter().map(|line| format!("{indent}{line}\n")).collect::<String>();
    let (mut listener, mut top) = ("    address: \"127.0.0.1:18080\"\n".to_owned(), String::new());
    let mut service = "    url: http://127.0.0.1:9001\n".to_owned();
    let mut route = "    paths: [/]\n    service: orders\n".to_owned();
    match to {
        "whole" => return at(""),
        "top" => top = at(""),
        "listener" => listener += &at("    "),
        "service" => service += &at("    "),
        "route" => route += &at("    "),
        "bare-listener" => listener = at("    "),
        "bare-service" => service = at("    "),
        "bare-route" => route = at("    "),
        _ => {
            let plugin = to.strip_prefix("plugin ").unwrap_or_else(|| panic!("no place {to:?}"));
            route += &format!("    plugins:\n      - name: {plugin}\n        config:\n{}", at("          "));
        }
    }
    let (listeners, services) = (format!("listeners:\n  - name: web\n{listener}"), "services:\n  - name: orders\n");
    format!("{listeners}{services}{service}routes:\n  - name: everything\n{route}{top}")
}

/// Takes the mark out of a text and says where it was.
fn placed(marked: &str) -> (String, Option<(usize, usize)>) {
    let Some((before, after)) = marked.split_once('«') else { return (marked.to_owned(), None) };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (format!("{before}{after}"), Some((line, column)))
}

impl Case {
    /// What is wrong with how the binary took it.
    pub(super) fn wrong(&self, code: Option<i32>, stderr: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        if code != Some(1) {
            wrong.push(format!("the exit code is {code:?}"));
        }
        let at = self.place.map(|(line, column)| format!(" tollgate.yaml:{line}:{column}\n"));
        let lacking = self.says.iter().chain(&at).filter(|part| !stderr.contains(part.as_str()));
        wrong.extend(lacking.map(|part| format!("{part:?} is missing")));
        let count = stderr.lines().filter(|line| line.starts_with("error:") && !is_verdict(line)).count();
        if count != self.errors && !(self.or_more && count > self.errors) {
            wrong.push(format!("{count} errors are reported"));
        }
        wrong
    }
}

/// `run` says last that it does not start.
fn is_verdict(line: &str) -> bool {
    line.contains("the config cannot be used")
}
