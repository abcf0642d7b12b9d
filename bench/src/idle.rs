//! Thousands of idle keep-alive connections, each after one request: what the proxy keeps for each.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::http::{Client, PLAIN_PATH, request};
use crate::lab::Lab;
use crate::measure::rss;
use crate::peers::{Installed, Running, Settings};
use crate::process::{Process, descriptors};
use crate::report::Sample;

const MIB: f64 = 1_048_576.0;

/// What a proxy is told to expect when it is measured without connections.
const FEW: usize = 500;

/// Resident memory without the connections and while they are held.
///
/// nginx and haproxy reserve memory at their start for each connection that they may have. What a connection costs
/// includes it, so the memory without them is that of an instance which expects few.
pub(crate) fn measure(lab: &Lab, peer: &Installed, settings: &Settings, connections: usize) -> Result<Sample> {
    // nginx closes idle connections when fewer than a sixteenth of those it may have are left.
    let expected = connections + connections / 8;
    if descriptors()? < expected {
        return Err(format!("{expected} descriptors are needed: see ulimit -Hn").into());
    }
    let (few_expected, few) = start(lab, peer, Settings { connections: FEW, ..*settings })?;
    drop(few_expected);
    let (running, before) = start(lab, peer, Settings { connections: expected, ..*settings })?;
    let count = connections.to_string();
    let mut load = Held::start(lab, running.port, "idle", &[("--connections", count.as_str())])?;
    let after = settled_rss(running.process.pid()) as f64;
    let open = load.ask("count")?;
    let connections = connections as f64;
    if open < connections * 0.99 {
        let what = format!("kept only {open} of {connections} connections open");
        return Err(running.process.failed(&what));
    }
    Ok(Sample::from([
        ("bytes_per_connection", (after - few) / connections),
        ("reserved_per_connection", (before - few) / connections),
        ("rss_few_mb", few / MIB),
        ("rss_before_mb", before / MIB),
        ("rss_after_mb", after / MIB),
        ("still_open", open),
        ("errors", 0.0),
    ]))
}

/// Starts a proxy, warms it, and reads its memory.
fn start(lab: &Lab, peer: &Installed, settings: Settings) -> Result<(Running, f64)> {
    let running = peer.start(lab, &settings)?;
    warm(running.port)?;
    let memory = settled_rss(running.process.pid()) as f64;
    Ok((running, memory))
}

/// A few hundred requests, so that what is allocated once isn't counted for the connections.
fn warm(port: u16) -> Result<()> {
    let request = request("GET", PLAIN_PATH, 0);
    let mut clients = (0..16).map(|_| Client::connect(port)).collect::<std::io::Result<Vec<_>>>()?;
    for _ in 0..20 {
        for client in &mut clients {
            client.send(&request)?;
            client.read_answer()?;
        }
    }
    Ok(())
}

/// Resident memory once it has stayed the same for half a second; after three it is taken as it is.
pub(crate) fn settled_rss(pid: u32) -> u64 {
    let until = Instant::now() + Duration::from_secs(3);
    let (mut last, mut since) = (rss(pid), Instant::now());
    while since.elapsed() < Duration::from_millis(500) && Instant::now() < until {
        sleep(Duration::from_millis(50));
        let now = rss(pid);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// A load that holds its connections for as long as we hold its stdin.
#[derive(Debug)]
pub(crate) struct Held {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Held {
    /// Starts `tollgate-bench load KIND --port PORT …` and waits until it is ready.
    pub(crate) fn start(lab: &Lab, port: u16, kind: &str, options: &[(&str, &str)]) -> Result<Self> {
        let program = std::env::current_exe()?;
        let port = port.to_string();
        let mut argv: Vec<OsString> = vec![program.into_os_string()];
        argv.extend(["load", kind, "--port", &port].map(OsString::from));
        argv.extend(
            options.iter().flat_map(|(name, value)| [OsStr::new(name), OsStr::new(value)]).map(OsStr::to_owned),
        );
        let mut process = lab.start_load(kind, argv.iter().map(OsString::as_os_str).collect())?;
        let (stdin, stdout) = process.pipes()?;
        let mut held = Self { process, stdin: Some(stdin), stdout: BufReader::new(stdout) };
        held.read()?;
        Ok(held)
    }

    /// Sends a line and returns the number in the answer.
    pub(crate) fn ask(&mut self, line: &str) -> Result<f64> {
        if let Some(stdin) = &mut self.stdin {
            writeln!(stdin, "{line}")?;
        }
        self.read()
    }

    /// Ends it and returns the number that it says last.
    pub(crate) fn end(mut self) -> Result<f64> {
        self.stdin = None;
        self.read()
    }

    fn read(&mut self) -> Result<f64> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let number = line.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok());
        number.ok_or_else(|| self.process.failed("load failed"))
    }
}
