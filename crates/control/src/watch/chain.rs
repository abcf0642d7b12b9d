//! Where a path leads, symlink by symlink.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The directories to watch, each with the names in it that matter.
pub(super) type Directories = HashMap<PathBuf, HashSet<OsString>>;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// Adds, for an absolute path, each directory that holds a link on the way or the file itself. Where the way ends
/// early, that is the last directory there is, with the name that is missing.
pub(super) fn follow(path: &Path, directories: &mut Directories) {
    let mut rest: VecDeque<Step> = steps(path);
    let mut here = PathBuf::from("/");
    let mut links = 0;
    while let Some(step) = rest.pop_front() {
        let name = match step {
            Step::Root => {
                here = PathBuf::from("/");
                continue;
            }
            Step::Up => {
                here.pop();
                continue;
            }
            Step::Down(name) => name,
        };
        let next = here.join(&name);
        let meta = fs::symlink_metadata(&next);
        let link = meta.as_ref().is_ok_and(fs::Metadata::is_symlink);
        if link || meta.is_err() || rest.is_empty() {
            directories.entry(here.clone()).or_default().insert(name);
        }
        if !link {
            if meta.is_err() {
                return;
            }
            here = next;
            continue;
        }
        links += 1;
        let Ok(target) = fs::read_link(&next) else { return };
        if links > MAX_LINKS {
            return;
        }
        for step in steps(&target).into_iter().rev() {
            rest.push_front(step);
        }
    }
}

enum Step {
    Root,
    Up,
    Down(OsString),
}

fn steps(path: &Path) -> VecDeque<Step> {
    let step = |component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Down(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn followed(path: &Path) -> Vec<(PathBuf, Vec<OsString>)> {
        let mut directories = Directories::new();
        follow(path, &mut directories);
        let sorted = |names: HashSet<OsString>| {
            let mut names: Vec<_> = names.into_iter().collect();
            names.sort();
            names
        };
        let mut all: Vec<_> = directories.into_iter().map(|(path, names)| (path, sorted(names))).collect();
        all.sort();
        all
    }

    #[test]
    fn every_link_on_the_way_is_watched() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir(root.join("v1")).unwrap();
        fs::write(root.join("v1/config.yaml"), "").unwrap();
        symlink("v1", root.join("..data")).unwrap();
        symlink("..data/config.yaml", root.join("config.yaml")).unwrap();
        let expected = vec![
            (root.clone(), vec!["..data".into(), "config.yaml".into()]),
            (root.join("v1"), vec!["config.yaml".into()]),
        ];
        assert_eq!(followed(&root.join("config.yaml")), expected);
        assert_eq!(followed(&root.join("v1/../config.yaml")), expected);
    }

    #[test]
    fn a_way_that_ends_early_is_watched_where_it_ends() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let expected = vec![(root.clone(), vec!["no".into()])];
        assert_eq!(followed(&root.join("no/such/file")), expected);
    }

    #[test]
    fn links_in_a_circle_end() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(followed(&root.join("a")), vec![(root, vec!["a".into(), "b".into()])]);
    }
}
