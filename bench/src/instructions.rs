//! `instructions`: user instructions of one proxied request, counted by callgrind.
//!
//! Two runs differ only in how many requests they serve, so starting up and shutting down cancel in their difference.
//! Requests go one at a time, round-robin over a few keep-alive connections: nothing depends on timing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::http::{Client, PLAIN_PATH, request};
use crate::lab::Lab;
use crate::process::{Process, Spec, find, free_port};
use crate::table::{Paint, number};
use crate::tollgate_config;
use crate::workload::ROUTES;

/// Callgrind runs a program some fifty times slower.
const PATIENCE: Duration = Duration::from_secs(120);
/// Functions that `--profile` shows.
const TOP: usize = 30;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tollgate to measure
    #[arg(long, default_value = "target/release/tollgate")]
    tollgate: PathBuf,
    /// At most so many user instructions for a request; past them the status is 1
    #[arg(long, default_value_t = 18_000)]
    budget: u64,
    /// Requests of the short run; the long one serves so many more as `--more` says
    #[arg(long, default_value_t = 1000)]
    requests: u64,
    /// What the long run serves on top
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    more: u64,
    /// Keep-alive connections that take turns
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Sends on all connections at once, as a load does: fewer wake-ups for each request, and less exact
    #[arg(long)]
    together: bool,
    /// Routes in tollgate's configuration
    #[arg(long, default_value_t = ROUTES)]
    routes: usize,
    /// Also prints the functions that take the most
    #[arg(long)]
    profile: bool,
    /// Writes the figure there as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// The core of the proxy
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
    /// The core of the load and the origin
    #[arg(long, default_value_t = 1)]
    load_core: usize,
}

/// Returns whether the budget holds.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let valgrind = find("valgrind").ok_or("valgrind isn't installed")?;
    let absent = || format!("{}: not there; build it first", args.tollgate.display());
    let tollgate = args.tollgate.canonicalize().map_err(|_| absent())?;
    let lab = Lab::new(args.proxy_core, args.load_core)?;
    let counter = Counter { args, lab: &lab, valgrind: &valgrind, tollgate: &tollgate };
    eprintln!("callgrind: {} requests", number(args.requests as f64, 0));
    let short = counter.count("short", args.requests)?;
    eprintln!("callgrind: {} requests", number((args.requests + args.more) as f64, 0));
    let long = counter.count("long", args.requests + args.more)?;
    let each = per_request(short, long, args.more);
    let passed = each <= args.budget as f64;
    report(args, each, passed)?;
    if args.profile {
        print_profile(&counter.file("long"))?;
    }
    Ok(passed)
}

/// Instructions of one request, by the difference of two runs.
fn per_request(short: u64, long: u64, more: u64) -> f64 {
    long.saturating_sub(short) as f64 / more as f64
}

fn report(args: &Args, each: f64, passed: bool) -> Result<()> {
    let paint = Paint::for_stdout();
    let verdict = if passed { paint.good("PASS") } else { paint.bad("FAIL") };
    let budget = number(args.budget as f64, 0);
    println!("user instructions per request: {}   at most {budget}   {verdict}", number(each, 0));
    let Some(path) = &args.json else {
        return Ok(());
    };
    let json = serde_json::json!({
        "instructions_per_request": each,
        "budget": args.budget,
        "passed": passed,
        "routes": args.routes,
        "connections": args.connections,
        "together": args.together,
    });
    fs::write(path, serde_json::to_string_pretty(&json)?).map_err(|error| format!("{}: {error}", path.display()).into())
}

struct Counter<'a> {
    args: &'a Args,
    lab: &'a Lab,
    valgrind: &'a Path,
    tollgate: &'a Path,
}

impl Counter<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.lab.dir().join(format!("callgrind.{name}"))
    }

    /// All user instructions of a run that serves so many requests.
    fn count(&self, name: &str, requests: u64) -> Result<u64> {
        let port = free_port()?;
        let config = self.lab.dir().join("tollgate.yaml");
        fs::write(&config, tollgate_config::yaml(port, self.lab.origin_port, self.args.routes))?;
        let file = self.file(name);
        let out = OsString::from(format!("--callgrind-out-file={}", file.display()));
        let mut process = Process::start(&Spec {
            name: "callgrind",
            argv: vec![
                self.valgrind.as_os_str(),
                OsStr::new("--tool=callgrind"),
                &out,
                self.tollgate.as_os_str(),
                OsStr::new("run"),
                OsStr::new("-c"),
                config.as_os_str(),
            ],
            env: &[("TOLLGATE_WORKERS", "1")],
            core: self.lab.proxy_core,
            dir: self.lab.dir(),
            piped: false,
        })?;
        process.wait_listening(port, PATIENCE)?;
        drive(port, requests, self.args.connections, self.args.together)
            .map_err(|error| process.failed(&format!("doesn't serve under callgrind: {error}")))?;
        process.stop(PATIENCE)?;
        let text = fs::read_to_string(&file).unwrap_or_default();
        parse_totals(&text).ok_or_else(|| process.failed("left no totals behind"))
    }
}

/// Sends the requests, each connection in turn: one after the other, or a request on each before the first answer is read.
fn drive(port: u16, requests: u64, connections: u32, together: bool) -> Result<()> {
    let request = request("GET", PLAIN_PATH, 0);
    let clients = (0..connections).map(|_| Client::connect(port));
    let mut clients = clients.collect::<std::io::Result<Vec<_>>>()?;
    let mut left = usize::try_from(requests)?;
    while left > 0 {
        let batch = clients.len().min(left);
        let group = if together { batch } else { 1 };
        for group in clients[..batch].chunks_mut(group) {
            for client in &mut *group {
                client.send(&request)?;
            }
            for client in group {
                let head = client.read_answer()?;
                if head.status != 200 || head.body != 1024 {
                    return Err(format!("status {} with {} bytes", head.status, head.body).into());
                }
            }
        }
        left -= batch;
    }
    Ok(())
}

/// The `totals:` line of a callgrind file; `summary:` where it has none.
fn parse_totals(text: &str) -> Option<u64> {
    let line = |key: &str| text.lines().rev().find_map(|line| line.strip_prefix(key));
    line("totals:").or_else(|| line("summary:"))?.split_ascii_whitespace().next()?.parse().ok()
}

fn print_profile(file: &Path) -> Result<()> {
    let output = Command::new("callgrind_annotate")
        .args(["--auto=no", "--threshold=100"])
        .arg(file)
        .output()
        .map_err(|error| format!("callgrind_annotate: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("\nshare  instructions of the long run, with starting up, by function");
    for line in top_functions(&text) {
        println!("{line}");
    }
    Ok(())
}

/// The function lines of callgrind_annotate's report: `1,234 (12.3%)  file:function [object]`.
fn top_functions(text: &str) -> Vec<String> {
    text.lines().filter_map(function_line).take(TOP).collect()
}

fn function_line(line: &str) -> Option<String> {
    let (count, rest) = line.trim_start().split_once(" (")?;
    let (share, name) = rest.split_once(')')?;
    let name = name.trim();
    let counted = count.chars().all(|c| c.is_ascii_digit() || c == ',');
    if !counted || !share.ends_with('%') || name == "PROGRAM TOTALS" {
        return None;
    }
    let name = name.split_once(" [").map_or(name, |(name, _object)| name);
    let name = name.strip_prefix("???:").unwrap_or(name);
    Some(format!("{:>6}  {count:>14}  {name}", share.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_from_callgrind_files() {
        let text = "version: 1\ncreator: callgrind-3.19.0\npid: 4\nevents: Ir\nsummary: 7\n\nfn=(1) main\n1 2\n\ntotals: 123456\n";
        assert_eq!(parse_totals(text), Some(123_456));
        assert_eq!(parse_totals("events: Ir\nsummary: 77\n"), Some(77));
        assert_eq!(parse_totals("desc: Trigger: Program termination\n"), None);
    }

    #[test]
    fn starting_up_cancels() {
        assert!((per_request(50_000_000 + 1000 * 11_000, 50_000_000 + 3000 * 11_000, 2000) - 11_000.0).abs() < 1e-9);
    }

    #[test]
    fn function_lines_are_picked_from_the_report() {
        let report = "\
--------------------------------------------------------------------------------
Ir
--------------------------------------------------------------------------------
118,251,202 (100.0%)  PROGRAM TOTALS

--------------------------------------------------------------------------------
Ir                   file:function
--------------------------------------------------------------------------------
29,000,123 (24.52%)  ???:httparse::Request::parse [/somewhere/tollgate]
 1,200 ( 0.01%)  ./malloc/malloc.c:free [/lib/libc.so.6]
";
        let lines = top_functions(report);
        assert_eq!(
            lines,
            ["24.52%      29,000,123  httparse::Request::parse", " 0.01%           1,200  ./malloc/malloc.c:free"]
        );
    }
}
