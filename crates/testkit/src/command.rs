//! The binary's other commands: started, waited for, read.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::admin::lossy;
use crate::gateway::binary;

/// How a command ended and what it wrote.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Everything it wrote.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A directory with files in it and the commands that are run there. It goes when this is dropped.
pub struct Workplace {
    dir: TempDir,
}

impl Default for Workplace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workplace {
    /// An empty one.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tollgate-test").tempdir().expect("a temporary directory");
        Self { dir }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        fs::write(self.dir.path().join(name), content).expect("a file can be written");
        self
    }

    /// Runs the binary here with these arguments and environment variables until it ends by itself.
    pub fn run(&self, args: &[&str], envs: &[(&str, &str)]) -> Finished {
        let mut command = Command::new(binary());
        command.args(args).envs(envs.iter().copied()).current_dir(self.dir.path());
        command.stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("{} does not run: {error}", binary().display()));
        Finished { code: output.status.code(), stdout: lossy(&output.stdout), stderr: lossy(&output.stderr) }
    }
}
