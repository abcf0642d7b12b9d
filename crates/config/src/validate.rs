//! What no single value can know: references, duplicates, contradictions. All of it at once, and nothing that only
//! follows from a mistake that was reported already.

mod layer4;
mod listeners;
mod routes;
mod services;
mod shadows;
mod tls;

use crate::config::Config;
use crate::plugin::PluginUse;
use std::collections::HashMap;
use tollgate_core::document::{Node, Problem, Span, did_you_mean, join_index};

/// The problems of a configuration that was decoded, as far as it could be, with the problems in `found`.
pub(crate) fn validate(config: &Config, tree: &Node, found: &[Problem]) -> Vec<Problem> {
    let mut check = Check { tree, found, problems: Vec::new() };
    listeners::check(&mut check, config);
    layer4::check(&mut check, config);
    services::check(&mut check, config);
    tls::check(&mut check, config);
    routes::check(&mut check, config);
    shadows::check(&mut check, config);
    check.no_plugin_twice(&config.plugins);
    general(&mut check, config);
    check.problems
}

/// What is checked, and what came of it.
struct Check<'c> {
    tree: &'c Node,
    found: &'c [Problem],
    problems: Vec<Problem>,
}

impl<'c> Check<'c> {
    /// Whether nothing at or below a path was found wrong, so that what was decoded there is what was written.
    fn is_sound(&self, path: &str) -> bool {
        !self.found.iter().any(|problem| problem.is_error() && problem.is_within(path))
    }

    fn error(&mut self, path: &str, message: impl Into<String>) -> &mut Problem {
        self.push(self.tree.problem_at(path, message))
    }

    fn warning(&mut self, path: &str, message: impl Into<String>) -> &mut Problem {
        self.push(Problem::warning(path, Some(self.tree.span_at(path)), message))
    }

    fn push(&mut self, problem: Problem) -> &mut Problem {
        let last = self.problems.len();
        self.problems.push(problem);
        &mut self.problems[last]
    }

    /// The value at a path as it may be shown: as written.
    fn shown(&self, path: &str) -> String {
        let node = self.tree.find(path);
        let written = node.and_then(|node| node.source.as_ref()).map(|written| written.text.as_str());
        written.or_else(|| node?.as_str()).unwrap_or_default().to_owned()
    }

    /// The names in a section, each with the index of its first bearer, whatever else is wrong with that.
    fn names(&self, section: &str) -> HashMap<&'c str, usize> {
        let mut names = HashMap::new();
        for (index, name) in self.named(section) {
            names.entry(name).or_insert(index);
        }
        names
    }

    fn named(&self, section: &str) -> impl Iterator<Item = (usize, &'c str)> + use<'c> {
        let items = self.tree.get(section).and_then(Node::as_seq).unwrap_or_default();
        items.iter().enumerate().filter_map(|(index, item)| Some((index, item.get("name")?.as_str()?)))
    }

    /// Whether a name may be missing from [`Check::names`] for a mistake that was reported already.
    fn names_are_unsure(&self, section: &str) -> bool {
        let at_a_name = |problem: &Problem| {
            let Some(rest) = problem.path.strip_prefix(section) else { return false };
            rest.is_empty() || rest.ends_with(']') && rest.matches('[').count() == 1 || rest.ends_with("].name")
        };
        self.found.iter().any(at_a_name)
    }

    fn no_name_twice(&mut self, section: &str, what: &str) {
        let mut names = HashMap::new();
        let again =
            |(index, name)| Some((index, *names.entry(name).or_insert(index))).filter(|(_, first)| *first != index);
        let twice: Vec<(usize, usize)> = self.named(section).filter_map(again).collect();
        for (index, first) in twice {
            let path = format!("{section}[{index}].name");
            let first = self.tree.span_at(&format!("{section}[{first}].name"));
            let message = format!("there is a {what} `{}` already", self.shown(&path));
            self.error(&path, message).related_to(first, "first here");
        }
    }

    /// Reports the reference at `path` if it leads nowhere.
    fn refers(&mut self, path: &str, name: &str, what: &str, names: &HashMap<&str, usize>) {
        if names.contains_key(name) {
            return;
        }
        let shown = self.shown(path);
        // What was substituted is not to be guessed from the help.
        let mut known: Vec<&str> = names.keys().copied().collect();
        known.sort_unstable();
        let help = if shown == name { did_you_mean(name, known) } else { None };
        self.error(path, format!("there is no {what} `{shown}`")).help = help;
    }

    /// A plugin that is used twice in one place: the nearest one wins by name, so one of the two would be lost.
    fn no_plugin_twice(&mut self, plugins: &[PluginUse]) {
        for (index, plugin) in plugins.iter().enumerate() {
            if let Some(first) = plugins.iter().take(index).find(|first| *first.name == *plugin.name) {
                let message = format!("the plugin `{}` stands in this list twice", self.shown(&plugin.name.path));
                self.push(plugin.name.problem(message)).related_to(first.name.span, "first here");
            }
        }
    }
}

/// Adds to a problem that was pushed already.
trait Related {
    fn related_to(&mut self, span: Span, message: &str) -> &mut Self;
    fn helped(&mut self, help: impl Into<String>) -> &mut Self;
}

impl Related for Problem {
    fn related_to(&mut self, span: Span, message: &str) -> &mut Self {
        self.related.push(tollgate_core::document::Related { span, message: message.to_owned() });
        self
    }

    fn helped(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

fn general(check: &mut Check<'_>, config: &Config) {
    if let Some(admin) = &config.admin {
        if admin.token.is_none() && !admin.address.is_local() && check.is_sound("admin") {
            let message = "the admin API can be reached from other machines, so it needs a `token`";
            let help = "add `token: \"${env:TOLLGATE_ADMIN_TOKEN}\"`, or listen on 127.0.0.1";
            check.error("admin.address", message).helped(help);
        }
        if admin.token.as_ref().is_some_and(|token| token.expose().is_empty()) {
            check.error("admin.token", "expected a token, found an empty string");
        }
    }
    if config.workers.is_some_and(|workers| !(1..=1024).contains(&workers)) {
        check.error("workers", "expected a number of threads from 1 to 1024");
    }
    if config.access_log.as_ref().is_some_and(|log| !(0.0..=1.0).contains(&log.sample)) {
        check.error("access_log.sample", "expected a share from 0 to 1");
    }
    if config.state_dir.as_os_str().is_empty() {
        check.error("state_dir", "expected the path of a directory, found an empty string");
    }
}

/// The path of an element of a list below a path.
fn element(path: &str, key: &str, index: usize) -> String {
    join_index(&format!("{path}.{key}"), index)
}

#[cfg(test)]
mod tests;
