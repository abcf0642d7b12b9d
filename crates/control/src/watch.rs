//! Watching files for change, whichever way they are changed: written in place, replaced by a rename, deleted and made
//! again, or reached through a symlink that is swapped, as Kubernetes does with a mounted ConfigMap.
//!
//! The directories along a file's whole chain of symlinks are watched (see `chain`), since a watch on a file follows
//! its inode and not its name. Changes that come together make one call (see `pending`). As some file systems tell
//! nothing, files are also looked at every other second.

mod chain;
mod pending;

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use std::{fs, thread};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode};
use parking_lot::{Condvar, Mutex};
use tollgate_core::Fingerprint;

use chain::Directories;
use pending::{Change, Pending};

/// How often files are looked at, whether there were events or not.
const POLL: Duration = Duration::from_secs(2);

/// A file that begins to be watched and was changed this short a time ago may have been changed after its reader read it.
const RECENT: Duration = Duration::from_secs(5);

/// Why files cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A path is empty, or relative to a directory that is gone.
    #[error("cannot watch {path:?}: {source}")]
    Path {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The thread cannot be started.
    #[error("cannot start the thread that watches files: {0}")]
    Thread(#[source] std::io::Error),
}

/// Watches files until it is dropped. Dropping it does not wait for a call that is running.
pub struct Watcher {
    shared: Arc<Shared>,
}

/// What the thread, the events and the owner share. Locks are held for a few instructions, never over a call.
#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
    /// Which names in which directories matter.
    interest: Mutex<Directories>,
    degraded: Mutex<Option<String>>,
}

#[derive(Default)]
struct Inbox {
    pending: Pending,
    paths: Option<Vec<PathBuf>>,
    trigger: bool,
    stop: bool,
}

impl Watcher {
    /// Watches these files, which need not exist, and calls `on_change` on a thread of its own when one of them may have
    /// changed: some 5 ms after the event, and within 20 ms of it unless a file is still being written. Whether its
    /// content is another is for the callee to see. It is never called twice at once.
    ///
    /// Start it before the files are read for the first time, so that no change falls between.
    ///
    /// # Errors
    /// When a path cannot be made absolute or the thread not be started. That the system cannot watch is no error: files
    /// are then looked at every two seconds, and [`Watcher::degraded`] says so.
    pub fn new<I, P, F>(paths: I, on_change: F) -> Result<Self, WatchError>
    where
        I: IntoIterator<Item = P>,
        P: AsRef<Path>,
        F: Fn() + Send + 'static,
    {
        Self::start(paths, on_change, true, POLL)
    }

    fn start<I, P, F>(paths: I, on_change: F, events: bool, poll: Duration) -> Result<Self, WatchError>
    where
        I: IntoIterator<Item = P>,
        P: AsRef<Path>,
        F: Fn() + Send + 'static,
    {
        let paths = absolute(paths)?;
        let shared = Arc::new(Shared::default());
        let mut watching = Watching::new(shared.clone(), paths, events);
        watching.look();
        thread::Builder::new()
            .name("watch".into())
            .spawn(move || watching.run(&on_change, poll))
            .map_err(WatchError::Thread)?;
        Ok(Self { shared })
    }

    /// Watches these files instead, such as those that the config just read names. May be called from `on_change`. A new
    /// one that was changed within the last seconds causes a call, since that may have been after it was read.
    ///
    /// # Errors
    /// When a path cannot be made absolute; the files watched are then as before.
    pub fn set_paths<I, P>(&self, paths: I) -> Result<(), WatchError>
    where
        I: IntoIterator<Item = P>,
        P: AsRef<Path>,
    {
        let paths = absolute(paths)?;
        self.shared.inbox.lock().paths = Some(paths);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Calls `on_change` at once, on its thread: what SIGHUP should do. Does not wait.
    pub fn trigger(&self) {
        self.shared.inbox.lock().trigger = true;
        self.shared.wake.notify_one();
    }

    /// Why changes are only seen by looking every two seconds, if that is so.
    #[must_use]
    pub fn degraded(&self) -> Option<String> {
        self.shared.degraded.lock().clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.inbox.lock().stop = true;
        self.shared.wake.notify_one();
    }
}

fn absolute<I, P>(paths: I) -> Result<Vec<PathBuf>, WatchError>
where
    I: IntoIterator<Item = P>,
    P: AsRef<Path>,
{
    let absolute = |path: P| {
        let path = path.as_ref();
        std::path::absolute(path).map_err(|source| WatchError::Path { path: path.to_owned(), source })
    };
    paths.into_iter().map(absolute).collect()
}

impl Shared {
    /// Takes an event of the system. Runs on the event thread.
    fn event(&self, event: &notify::Result<Event>) {
        let change = match event {
            // The queue ran over, or worse: anything may have happened.
            Err(_) => Some(Change::Whole),
            Ok(event) if event.need_rescan() => Some(Change::Whole),
            Ok(event) if self.concerns(event) => classify(event),
            Ok(_) => None,
        };
        if let Some(change) = change {
            self.inbox.lock().pending.note(change, Instant::now());
            self.wake.notify_one();
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        let interest = self.interest.lock();
        event.paths.iter().any(|path| {
            let named = |parent| interest.get(parent).is_some_and(|names| has(names, path.file_name()));
            // A watched directory itself: only that it goes is of interest, what else happens to it is not.
            let goes = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
            path.parent().is_some_and(named) || goes && interest.contains_key(path)
        })
    }
}

fn has(names: &std::collections::HashSet<OsString>, name: Option<&std::ffi::OsStr>) -> bool {
    name.is_some_and(|name| names.contains(name))
}

/// What an event means for the file it names; nothing for being opened or read, which reloading does itself.
fn classify(event: &Event) -> Option<Change> {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Change::Whole),
        EventKind::Access(_) => None,
        // A file that was just made is about to be written and then closed; a link is whole.
        EventKind::Create(CreateKind::File) => {
            let link = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
            Some(if event.paths.iter().any(link) { Change::Whole } else { Change::Partial })
        }
        EventKind::Modify(ModifyKind::Data(_)) => Some(Change::Partial),
        EventKind::Modify(ModifyKind::Metadata(_)) => Some(Change::Attributes),
        _ => Some(Change::Whole),
    }
}

/// The thread's side.
struct Watching {
    shared: Arc<Shared>,
    paths: Vec<PathBuf>,
    system: Option<RecommendedWatcher>,
    /// What is watched, with the inode it had then: a directory made anew under the old name needs a new watch.
    watched: HashMap<PathBuf, (u64, u64)>,
    /// What each file was when last looked at.
    seen: HashMap<PathBuf, Option<Fingerprint>>,
}

impl Watching {
    fn new(shared: Arc<Shared>, paths: Vec<PathBuf>, events: bool) -> Self {
        let sink = shared.clone();
        let system = events.then(|| notify::recommended_watcher(move |event| sink.event(&event)));
        let system = match system.transpose() {
            Ok(system) => system,
            Err(error) => {
                *shared.degraded.lock() = Some(error.to_string());
                None
            }
        };
        Self { shared, paths, system, watched: HashMap::new(), seen: HashMap::new() }
    }

    fn run(mut self, on_change: &dyn Fn(), poll: Duration) {
        let mut next_look = Instant::now() + poll;
        while let Some(turn) = self.wait(next_look) {
            if let Some(paths) = turn.paths {
                self.replace(paths);
            }
            let now = Instant::now();
            if now >= next_look {
                next_look = now + poll;
                if self.look() {
                    self.shared.inbox.lock().pending.note(Change::Whole, now);
                }
            }
            let gone = self.paths.iter().any(|path| self.is_gone(path));
            let due = self.shared.inbox.lock().pending.take_if_due(now, gone);
            if due || turn.trigger {
                // Links first: what changes while the callee reads must be seen.
                self.look();
                // The panic hook has said what there is to say, and the next change may fare better.
                let _ = catch_unwind(AssertUnwindSafe(on_change));
            }
        }
    }

    /// Waits until there is something to do. Nothing: it is over.
    fn wait(&self, next_look: Instant) -> Option<Turn> {
        let gone = self.paths.iter().any(|path| self.is_gone(path));
        let mut inbox = self.shared.inbox.lock();
        loop {
            if inbox.stop {
                return None;
            }
            let deadline = inbox.pending.due(gone).map_or(next_look, |due| due.min(next_look));
            let urgent = inbox.trigger || inbox.paths.is_some();
            if urgent || Instant::now() >= deadline {
                return Some(Turn { paths: inbox.paths.take(), trigger: std::mem::take(&mut inbox.trigger) });
            }
            let noted = inbox.pending.noted();
            self.shared.wake.wait_until(&mut inbox, deadline);
            if inbox.pending.noted() != noted {
                // The file that was gone may be back.
                return Some(Turn { paths: inbox.paths.take(), trigger: std::mem::take(&mut inbox.trigger) });
            }
        }
    }

    /// Whether a file was there and is not now: mostly it is just being replaced.
    fn is_gone(&self, path: &Path) -> bool {
        self.seen.get(path).is_some_and(Option::is_some) && !path.exists()
    }

    fn replace(&mut self, paths: Vec<PathBuf>) {
        let before = std::mem::replace(&mut self.paths, paths);
        let changed = self.look();
        let mut fresh = self.paths.iter().filter(|path| !before.contains(path));
        if changed || fresh.any(|path| changed_recently(path)) {
            self.shared.inbox.lock().pending.note(Change::Whole, Instant::now());
        }
    }

    /// Follows the links anew, watches what they lead through, and says whether a file is not what it was.
    fn look(&mut self) -> bool {
        let mut directories = Directories::new();
        for path in &self.paths {
            chain::follow(path, &mut directories);
        }
        // What happens once the system watches must find that it matters.
        *self.shared.interest.lock() = directories.clone();
        self.watch(&directories);

        let seen: HashMap<_, _> = self.paths.iter().map(|path| (path.clone(), fingerprint(path))).collect();
        let changed = seen.iter().any(|(path, now)| self.seen.get(path).is_some_and(|before| before != now));
        self.seen = seen;
        changed
    }

    /// Has the system watch these directories and no others.
    fn watch(&mut self, directories: &Directories) {
        use notify::Watcher as _;
        let Some(system) = &mut self.system else { return };
        let identity = |path: &PathBuf| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        self.watched.retain(|path, inode| {
            let keep = directories.contains_key(path) && identity(path) == Some(*inode);
            if !keep {
                // The system forgets a directory that is deleted by itself.
                let _ = system.unwatch(path);
            }
            keep
        });
        let mut problem = None;
        for path in directories.keys() {
            if self.watched.contains_key(path) {
                continue;
            }
            let Some(inode) = identity(path) else { continue };
            match system.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path.clone(), inode);
                }
                Err(error) => problem = Some(error.to_string()),
            }
        }
        *self.shared.degraded.lock() = problem;
    }
}

struct Turn {
    paths: Option<Vec<PathBuf>>,
    trigger: bool,
}

/// That of the file the path leads to, if there is one.
fn fingerprint(path: &Path) -> Option<Fingerprint> {
    fs::metadata(path).ok().map(|meta| Fingerprint::from(&meta))
}

fn changed_recently(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|meta| meta.modified());
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age < RECENT))
}

#[cfg(test)]
mod tests;
