//! What every measurement stands on: a scratch directory, the compiled C programs, the cores, and the origin.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::process::{Core, Process, Spec, find, free_port};

const ORIGIN: &str = include_str!("../peers/origin.c");
const RELAY: &str = include_str!("../peers/relay.c");

/// A directory that goes when this does.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Fields drop in order: the origin is stopped before its directory goes.
#[derive(Debug)]
pub(crate) struct Lab {
    _origin: Process,
    pub(crate) origin_port: u16,
    pub(crate) proxy_core: Core,
    pub(crate) load_core: Core,
    scratch: Scratch,
}

impl Lab {
    /// Compiles the C programs and starts the origin on the load's core.
    pub(crate) fn new(proxy_core: usize, load_core: usize) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pinned = find("taskset").is_some() && cores > proxy_core.max(load_core);
        if !pinned {
            eprintln!("warning: taskset and cores {proxy_core} and {load_core} are needed to pin: figures are rough");
        }
        let core = |core| Some(core).filter(|_| pinned);
        let scratch = Scratch::new("tollgate-bench")?;
        let program = compile(scratch.path(), "origin", ORIGIN)?;
        compile(scratch.path(), "relay", RELAY)?;
        let origin_port = free_port()?;
        let port = origin_port.to_string();
        let mut origin = Process::start(&Spec {
            name: "origin",
            argv: vec![program.as_os_str(), OsStr::new(&port)],
            env: &[],
            core: core(load_core),
            dir: scratch.path(),
            piped: false,
        })?;
        origin.wait_listening(origin_port, Duration::from_secs(5))?;
        Ok(Self { _origin: origin, origin_port, proxy_core: core(proxy_core), load_core: core(load_core), scratch })
    }

    /// A directory for files of this run.
    pub(crate) fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// The compiled relay.
    pub(crate) fn relay(&self) -> PathBuf {
        self.dir().join("relay")
    }

    /// Starts a load on the load's core, talking over pipes. `log` names its log file.
    pub(crate) fn start_load(&self, log: &str, argv: Vec<&OsStr>) -> Result<Process> {
        Process::start(&Spec { name: log, argv, env: &[], core: self.load_core, dir: self.dir(), piped: true })
    }
}

fn compile(dir: &Path, name: &str, source: &str) -> Result<PathBuf> {
    let (file, program) = (dir.join(format!("{name}.c")), dir.join(name));
    fs::write(&file, source)?;
    let output = Command::new("cc")
        .args(["-O2", "-o"])
        .args([&program, &file])
        .output()
        .map_err(|error| format!("a C compiler is needed for {name}.c: cc: {error}"))?;
    if output.status.success() {
        return Ok(program);
    }
    Err(format!("cc {name}.c:\n{}", String::from_utf8_lossy(&output.stderr)).into())
}
