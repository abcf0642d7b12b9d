//! What the documentation says: its configurations load, its links lead somewhere, and nothing that can be configured,
//! asked for or answered is left out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn tollgate(args: &[&str]) -> Output {
    let binary = std::env::var_os("TOLLGATE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tollgate").into());
    let mut command = Command::new(binary);
    // What documented configurations take from their environment.
    command.env("TOLLGATE_ADMIN_TOKEN", "a-token").stdin(Stdio::null());
    command.args(args).output().expect("the binary runs")
}

/// Errors and warnings of a configuration; none if it is clean.
fn check(file: &Path) -> Option<String> {
    let output = tollgate(&["check", file.to_str().expect("a path of text")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success() || !said.contains("no problems")).then_some(said)
}

/// The Markdown files that a reader may open: those at the top, and all under these directories.
fn pages() -> Vec<(String, String)> {
    let root = root();
    let mut waiting = vec![root.join("docs"), root.join("bench"), root.join("tests"), root.join("fuzz")];
    let top = fs::read_dir(&root).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> = top.filter(|path| path.is_file()).collect();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let built = ["target", "corpus", "artifacts", "out"]
                .iter()
                .any(|name| path.ends_with(Path::new("fuzz").join(name)));
            match path.is_dir() {
                true if !built => waiting.push(path),
                true => {}
                false => found.push(path),
            }
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("within").display().to_string();
        (name, fs::read_to_string(&path).expect("a text"))
    };
    found.into_iter().map(read).collect()
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The fenced blocks of a page: the line of each, what it is said to be, and its text.
fn fences(text: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(info), None) => open = Some((number + 1, info.trim().to_owned(), String::new())),
            (None, Some((.., inside))) => {
                inside.push_str(line);
                inside.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is never closed: {open:?}");
    found
}

#[test]
fn every_configuration_in_the_documentation_is_clean() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs");
    fs::create_dir_all(&directory).expect("a directory");
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, text) in pages() {
        for (line, info, yaml) in fences(&text) {
            if info != "yaml" {
                continue;
            }
            let file = directory.join(format!("{}-{line}.yaml", name.replace(['/', '.'], "-")));
            fs::write(&file, yaml).expect("a file can be written");
            checked += 1;
            wrong.extend(check(&file).map(|said| format!("{name}:{line}\n{said}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked >= 20, "only {checked} configurations were found");
}

#[test]
fn every_feature_page_shows_a_whole_configuration() {
    let features = ["getting-started", "routing", "services", "forwarding", "http", "reload", "access-log", "admin"];
    for feature in features.iter().chain(&["configuration", "errors"]) {
        let whole = |(_, info, text): &(usize, String, String)| {
            info == "yaml" && ["listeners:", "routes:"].iter().all(|section| text.contains(section))
        };
        assert!(fences(&page(&format!("docs/{feature}.md"))).iter().any(whole), "docs/{feature}.md");
    }
}

#[test]
fn every_example_is_clean() {
    let entries = fs::read_dir(root().join("examples")).expect("a directory");
    let files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let wrong: Vec<String> = files.iter().filter_map(|file| check(file)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files.len() >= 18, "only {} examples were found", files.len());
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = root();
    let mut broken = Vec::new();
    for (name, text) in pages() {
        let directory = root.join(&name).parent().expect("a directory").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.contains("://") {
                continue;
            }
            let file = if path.is_empty() { root.join(&name) } else { directory.join(path) };
            if !file.exists() {
                broken.push(format!("{name}: {target}"));
            } else if !anchor.is_empty()
                && !anchors(&fs::read_to_string(&file).unwrap_or_default()).any(|it| it == anchor)
            {
                broken.push(format!("{name}: {target}: no such heading"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What headings are called in links: lower case, words joined by hyphens, other signs left out.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| line.strip_prefix('#')).map(|heading| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[test]
fn the_schema_in_the_repository_is_fresh() {
    let fresh = tollgate(&["schema"]).stdout;
    let kept = fs::read(root().join("schema/tollgate.schema.json")).expect("the schema");
    assert!(fresh == kept, "run `make schema`");
}

#[test]
fn every_key_of_the_configuration_is_described() {
    let schema: serde_json::Value = serde_json::from_slice(&tollgate(&["schema"]).stdout).expect("JSON");
    let page = page("docs/configuration.md");
    let definitions = schema["$defs"].as_object().expect("definitions");
    // Settings of plugins have pages of their own.
    let sections =
        ["Listener", "Limits", "Service", "Target", "LoadBalancing", "Timeouts", "Keepalive", "Retries", "Route"];
    let sections = sections.iter().chain(&["PluginUse", "Admin", "AccessLog"]).map(|name| &definitions[*name]);
    let mut keys = 0;
    for section in sections.chain([&schema]) {
        for key in section["properties"].as_object().expect("properties").keys() {
            assert!(page.contains(&format!("| `{key}` |")), "`{key}` has no row in docs/configuration.md");
            keys += 1;
        }
    }
    assert!(keys > 50, "{keys} keys");
}

#[test]
fn every_plugin_has_its_row_and_its_page() {
    let page = page("docs/configuration.md");
    for plugin in tollgate_plugins::PLUGINS {
        let row = format!("| {} | [`{name}`](plugins/{name}.md) |", plugin.stage, name = plugin.name);
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn every_problem_type_is_described_with_its_status() {
    let page = page("docs/errors.md");
    for kind in tollgate_core::Kind::ALL {
        let row = format!("| `{}` | {} |", kind.slug(), kind.status().as_u16());
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn every_command_is_described() {
    let page = page("docs/cli.md");
    let help = String::from_utf8(tollgate(&["--help"]).stdout).expect("text");
    let commands = help.split("Commands:").nth(1).and_then(|rest| rest.split("Options:").next()).expect("commands");
    let names: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"run") && names.contains(&"check"), "{help}");
    for name in names.iter().filter(|name| **name != "help") {
        assert!(page.contains(&format!("## `tollgate {name}")), "`tollgate {name}` has no heading");
        let help = String::from_utf8(tollgate(&[name, "--help"]).stdout).expect("text");
        let options = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2);
        for option in options.filter(|option| !["--help", "--version"].contains(option)) {
            assert!(page.contains(&format!("`{option}")), "{name}: `{option}`");
        }
    }
}

/// A test that proves a requirement bears its name; the table of requirements names tests that are there.
#[test]
fn the_tests_that_requirements_name_are_there() {
    let root = root();
    let page = page("docs/requirements.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| R")).collect();
    assert!(rows.len() >= 25, "{} rows", rows.len());
    for row in rows {
        let mut named = 0;
        for reference in row.split('`').skip(1).step_by(2).filter(|reference| reference.contains("::")) {
            let (file, test) = reference.split_once("::").expect("contains it");
            let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let (function, case) = (format!("fn {test}("), format!("== {test}"));
            // The files of the corpus are named in one list, `name: "file";`.
            let listed = format!("{test}: \"");
            let there = text.contains(&function) || text.contains(&listed) || text.lines().any(|line| line == case);
            assert!(there, "{reference}, of {row}");
            named += 1;
        }
        assert!(named > 0, "no test is named in: {row}");
    }
}
