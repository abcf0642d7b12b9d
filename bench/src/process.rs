//! Started processes: pinned to a core, watched until they listen, and stopped whatever happens to the harness.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;

/// Descriptors wanted for each process: two for each of 10,000 connections, and room.
const DESCRIPTORS: u32 = 65_536;

/// Where a process may run: `None` leaves it to the kernel.
pub(crate) type Core = Option<usize>;

/// A process of ours. Dropping it stops it, by SIGTERM first.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

/// How to start a process.
pub(crate) struct Spec<'a> {
    /// What messages call it, and its log file.
    pub(crate) name: &'a str,
    /// The program and its arguments.
    pub(crate) argv: Vec<&'a OsStr>,
    /// Added to the environment.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// The core that it is pinned to.
    pub(crate) core: Core,
    /// Where its log goes, and where it runs.
    pub(crate) dir: &'a Path,
    /// Whether the harness talks to it over stdin and stdout.
    pub(crate) piped: bool,
}

impl Process {
    /// Starts a process. Every wrapper around it execs the next, so its pid is the program's own.
    pub(crate) fn start(spec: &Spec<'_>) -> Result<Self> {
        let log = spec.dir.join(format!("{}.log", spec.name));
        let file = File::create(&log)?;
        let mut command = wrapped(spec.core);
        command.args(&spec.argv).envs(spec.env.iter().copied()).current_dir(spec.dir);
        if spec.piped {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        } else {
            command.stdin(Stdio::null()).stdout(file.try_clone()?);
        }
        let child =
            command.stderr(file).spawn().map_err(|error| format!("{}: cannot be started: {error}", spec.name))?;
        Ok(Self { child, name: spec.name.to_owned(), log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pipes of a process started with `piped`.
    pub(crate) fn pipes(&mut self) -> Result<(ChildStdin, ChildStdout)> {
        let pipes = self.child.stdin.take().zip(self.child.stdout.take());
        pipes.ok_or_else(|| format!("{}: not started with pipes", self.name).into())
    }

    /// Waits until the port accepts; an early exit is told with the end of the log.
    pub(crate) fn wait_listening(&mut self, port: u16, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        loop {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.failed(&format!("ended at once, {status}")));
            }
            if Instant::now() > until {
                return Err(self.failed("does not listen"));
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Sends SIGTERM and waits; kills it when it takes longer than `patience`.
    pub(crate) fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        let pid = self.pid().to_string();
        Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).stderr(Stdio::null()).status()?;
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(Duration::from_millis(5));
        }
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// An error that quotes the end of the process's log.
    pub(crate) fn failed(&self, what: &str) -> Box<dyn std::error::Error + Send + Sync> {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(8)..).unwrap_or_default();
        let tail: String = tail.iter().map(|line| format!("\n  {line}")).collect();
        format!("{} {what}{tail}", self.name).into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop(Duration::from_secs(3)).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A command that raises the descriptor limit, ties the process's life to ours, pins it, and becomes the program.
fn wrapped(core: Core) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{}; exec \"$@\"", raise_limit()), "sh"]);
    if find("setpriv").is_some() {
        command.args(["setpriv", "--pdeathsig", "TERM"]);
    }
    if let Some(core) = core {
        command.args(["taskset", "-c", &core.to_string()]);
    }
    command
}

/// Shell words that raise the descriptor limit as far as this user may.
fn raise_limit() -> String {
    format!("ulimit -n {DESCRIPTORS} 2>/dev/null || ulimit -n \"$(ulimit -H -n)\"")
}

/// The descriptors that each process started here may open.
pub(crate) fn descriptors() -> Result<usize> {
    let output = Command::new("sh").args(["-c", &format!("{}; ulimit -n", raise_limit())]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim().parse().unwrap_or(DESCRIPTORS as usize))
}

/// A program by name on PATH (and where daemons live), or by path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let is_file = |path: &PathBuf| path.is_file();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(is_file).and_then(|path| path.canonicalize().ok());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(daemons).map(|dir| dir.join(program)).find(is_file)
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Scratch;

    fn start(argv: &[&str], scratch: &Scratch) -> Process {
        let argv = argv.iter().map(OsStr::new).collect();
        let dir = scratch.path();
        Process::start(&Spec { name: "test", argv, env: &[], core: None, dir, piped: false }).unwrap()
    }

    #[test]
    fn dropping_stops_the_process() {
        let scratch = Scratch::new("tollgate-bench-test-drop").unwrap();
        let process = start(&["sleep", "60"], &scratch);
        let proc_dir = PathBuf::from(format!("/proc/{}", process.pid()));
        assert!(proc_dir.exists());
        drop(process);
        assert!(!proc_dir.exists());
    }

    #[test]
    fn an_early_exit_is_told_with_its_log() {
        let scratch = Scratch::new("tollgate-bench-test-exit").unwrap();
        let mut process = start(&["sh", "-c", "echo no such luck; exit 3"], &scratch);
        let error = process.wait_listening(free_port().unwrap(), Duration::from_secs(5)).unwrap_err().to_string();
        assert!(error.contains("ended at once") && error.contains("no such luck"), "{error}");
    }

    #[test]
    fn programs_are_found_by_name_or_path() {
        assert!(find("sh").is_some());
        assert!(find("/nowhere/sh").is_none());
        assert!(find("surely-not-a-program").is_none());
    }
}
