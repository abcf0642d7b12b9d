//! Real files changed in every way that is used to change a config.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use tempfile::TempDir;

use super::*;

/// Long enough for a busy machine; only a failing test waits it out.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory, a watcher on files in it, and what the watched file held at each call.
struct Scene {
    directory: TempDir,
    watcher: Watcher,
    seen: Receiver<String>,
}

impl Scene {
    /// Watches `config` in a directory that was prepared, by events alone unless they are off.
    fn new(prepare: impl FnOnce(&Path), events: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let path = directory.path().join("config");
        let (sender, seen) = channel();
        let file = path.clone();
        let on_change = move || {
            let _ = sender.send(fs::read_to_string(&file).unwrap_or_else(|_| "(gone)".into()));
        };
        let poll = if events { 10 * PATIENCE } else { Duration::from_millis(20) };
        let watcher = Watcher::start([path], on_change, events, poll).unwrap();
        assert_eq!(watcher.degraded(), None);
        Self { directory, watcher, seen }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The calls up to the one that saw this.
    fn sees(&self, expected: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut calls = Vec::new();
        while calls.last().map(String::as_str) != Some(expected) {
            let left = end.saturating_duration_since(Instant::now());
            match self.seen.recv_timeout(left) {
                Ok(text) => calls.push(text),
                Err(_) => panic!("{expected:?} was not seen, but {calls:?}"),
            }
        }
        calls
    }

    /// No call comes in a time in which one surely would.
    fn sees_nothing(&self) {
        assert_eq!(self.seen.recv_timeout(Duration::from_millis(60)), Err(RecvTimeoutError::Timeout));
    }
}

fn plain(directory: &Path) {
    fs::write(directory.join("config"), "one").unwrap();
}

/// As Kubernetes lays a ConfigMap out.
fn configmap(directory: &Path) {
    fs::create_dir(directory.join("..v1")).unwrap();
    fs::write(directory.join("..v1/config"), "one").unwrap();
    symlink("..v1", directory.join("..data")).unwrap();
    symlink("..data/config", directory.join("config")).unwrap();
}

/// As Kubernetes swaps it.
fn swap(scene: &Scene, from: &str, to: &str, text: &str) {
    fs::create_dir(scene.path(to)).unwrap();
    fs::write(scene.path(to).join("config"), text).unwrap();
    symlink(to, scene.path("..data_tmp")).unwrap();
    fs::rename(scene.path("..data_tmp"), scene.path("..data")).unwrap();
    fs::remove_dir_all(scene.path(from)).unwrap();
}

#[test]
fn a_write_in_place_makes_one_call() {
    let scene = Scene::new(plain, true);
    for text in ["two", "three"] {
        let started = Instant::now();
        fs::write(scene.path("config"), text).unwrap();
        // Never the file that the write has just emptied.
        assert_eq!(scene.sees(text), [text]);
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    scene.sees_nothing();
}

#[test]
fn a_write_in_pieces_is_waited_for() {
    let scene = Scene::new(plain, true);
    let mut file = fs::File::create(scene.path("config")).unwrap();
    for piece in ["a", "b", "c"] {
        file.write_all(piece.as_bytes()).unwrap();
        file.sync_data().unwrap();
    }
    drop(file);
    scene.sees("abc");
}

#[test]
fn a_writer_that_never_closes_is_seen_all_the_same() {
    let scene = Scene::new(plain, true);
    let mut file = fs::File::create(scene.path("config")).unwrap();
    file.write_all(b"two").unwrap();
    scene.sees("two");
    drop(file);
}

#[test]
fn an_atomic_replacement_is_seen_again_and_again() {
    let scene = Scene::new(plain, true);
    for text in ["two", "three", "four"] {
        fs::write(scene.path("config.tmp"), text).unwrap();
        fs::rename(scene.path("config.tmp"), scene.path("config")).unwrap();
        assert_eq!(scene.sees(text), [text]);
    }
}

#[test]
fn a_configmaps_swap_is_seen_again_and_again() {
    let scene = Scene::new(configmap, true);
    swap(&scene, "..v1", "..v2", "two");
    scene.sees("two");
    swap(&scene, "..v2", "..v3", "three");
    scene.sees("three");
    fs::write(scene.path("..v3/config"), "four").unwrap();
    scene.sees("four");
}

#[test]
fn a_file_made_again_is_seen_whole() {
    let scene = Scene::new(plain, true);
    fs::remove_file(scene.path("config")).unwrap();
    fs::write(scene.path("config"), "two").unwrap();
    assert_eq!(scene.sees("two"), ["two"]);
}

#[test]
fn a_file_that_stays_away_is_told_and_seen_when_it_is_back() {
    let scene = Scene::new(plain, true);
    fs::remove_file(scene.path("config")).unwrap();
    assert_eq!(scene.sees("(gone)"), ["(gone)"]);
    fs::write(scene.path("config"), "two").unwrap();
    assert_eq!(scene.sees("two"), ["two"]);
}

#[test]
fn a_directory_made_again_is_watched_again() {
    let place = |directory: &Path| {
        fs::create_dir(directory.join("etc")).unwrap();
        fs::write(directory.join("etc/config"), "one").unwrap();
        symlink("etc/config", directory.join("config")).unwrap();
    };
    let scene = Scene::new(place, true);
    fs::remove_dir_all(scene.path("etc")).unwrap();
    scene.sees("(gone)");
    fs::create_dir(scene.path("etc")).unwrap();
    // This may come before the new directory is watched; the call that its coming causes sees it then.
    fs::write(scene.path("etc/config"), "two").unwrap();
    scene.sees("two");
    fs::write(scene.path("etc/config"), "three").unwrap();
    scene.sees("three");
}

#[test]
fn neighbours_and_readers_are_none_of_its_business() {
    let scene = Scene::new(plain, true);
    fs::write(scene.path("other"), "x").unwrap();
    fs::rename(scene.path("other"), scene.path("another")).unwrap();
    fs::read(scene.path("config")).unwrap();
    fs::create_dir(scene.path("directory")).unwrap();
    scene.sees_nothing();
}

#[test]
fn other_files_can_be_watched_at_run_time() {
    let scene = Scene::new(plain, true);
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("secret");
    fs::write(&secret, "x").unwrap();
    scene.watcher.set_paths([scene.path("config"), secret.clone()]).unwrap();
    // It was written a moment ago: maybe after it was read.
    scene.sees("one");
    fs::write(&secret, "y").unwrap();
    scene.sees("one");
    scene.watcher.set_paths([scene.path("config")]).unwrap();
    scene.watcher.trigger();
    scene.sees("one");
    fs::write(&secret, "z").unwrap();
    scene.sees_nothing();
    fs::write(scene.path("config"), "two").unwrap();
    scene.sees("two");
}

#[test]
fn looking_finds_what_no_event_tells() {
    let scene = Scene::new(configmap, false);
    swap(&scene, "..v1", "..v2", "two");
    scene.sees("two");
    fs::remove_file(scene.path("config")).unwrap();
    scene.sees("(gone)");
    fs::write(scene.path("config"), "three").unwrap();
    scene.sees("three");
}

#[test]
fn a_callee_that_panics_is_called_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    let (sender, seen) = channel();
    let on_change = move || {
        let _ = sender.send(());
        panic!("as tests do");
    };
    let watcher = Watcher::new([&path], on_change).unwrap();
    for _ in 0..2 {
        watcher.trigger();
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(()));
    }
    drop(watcher);
    // The thread ends, and its callee with it.
    assert_eq!(seen.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
}
