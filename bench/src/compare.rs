//! `compare`: every proxy under every workload, interleaved, so that the machine's moods meet them all.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::lab::Lab;
use crate::peers::{Installed, Proxy, Settings};
use crate::process::find;
use crate::report::{Outcome, Row, Sample};
use crate::table::Paint;
use crate::workload::{Kind, Name, Subject, WORKLOADS, Workload};
use crate::{Result, idle, slow, throughput};

/// Memory is the same each time: three rounds show that it is.
const MEMORY_ROUNDS: usize = 3;
/// Past this share of the time without a core, somebody else was using it.
const NOISY_PERCENT: f64 = 5.0;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tollgate to measure
    #[arg(long, default_value = "target/release/tollgate")]
    tollgate: PathBuf,
    /// Rounds of each workload; the figures are medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only these workloads
    #[arg(long, value_delimiter = ',')]
    only: Vec<Name>,
    /// Only these proxies
    #[arg(long, value_delimiter = ',')]
    proxies: Vec<Proxy>,
    /// Also writes the results there
    #[arg(long)]
    json: Option<PathBuf>,
    /// Ends with status 1 when a target is missed
    #[arg(long)]
    enforce: bool,
    /// The core of the proxy
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
    /// The core of the load and the origin
    #[arg(long, default_value_t = 1)]
    load_core: usize,
}

#[derive(Serialize)]
struct Document {
    rounds: u32,
    seconds: u64,
    machine: Machine,
    versions: Vec<(&'static str, String)>,
    skipped: Vec<String>,
    workloads: Vec<Outcome>,
}

#[derive(Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    pinned: bool,
    load: &'static str,
}

/// Returns whether every target was met, or nobody asked to enforce them.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let paint = Paint::for_stdout();
    let lab = Lab::new(args.proxy_core, args.load_core)?;
    let (installed, skipped) = locate(args, &lab)?;
    for peer in &installed {
        println!("{:<9} {}", peer.proxy.name(), peer.version);
    }
    for reason in &skipped {
        println!("{}", paint.faint(reason));
    }
    let mut outcomes = Vec::new();
    for workload in WORKLOADS.iter().filter(|workload| args.only.is_empty() || args.only.contains(&workload.name)) {
        let Some(outcome) = run_workload(args, &lab, workload, &installed) else {
            continue;
        };
        println!();
        outcome.lines(workload, paint).iter().for_each(|line| println!("{line}"));
        note_noise(&outcome, paint);
        outcomes.push(outcome);
    }
    let missed = outcomes.iter().any(Outcome::missed);
    let document = Document {
        rounds: args.rounds,
        seconds: args.seconds,
        machine: machine(&lab),
        versions: installed.iter().map(|peer| (peer.proxy.name(), peer.version.clone())).collect(),
        skipped,
        workloads: outcomes,
    };
    write_json(args, &document)?;
    Ok(!(args.enforce && missed))
}

/// The proxies that were asked for and are installed, and a word on each that isn't.
fn locate(args: &Args, lab: &Lab) -> Result<(Vec<Installed>, Vec<String>)> {
    let wanted = |proxy: &&Proxy| args.proxies.is_empty() || args.proxies.contains(proxy);
    let (mut installed, mut skipped) = (Vec::new(), Vec::new());
    for proxy in Proxy::value_variants().iter().filter(wanted) {
        match proxy.locate(lab, &args.tollgate) {
            Some(peer) => installed.push(peer),
            None if *proxy == Proxy::Tollgate => {
                return Err(format!(
                    "{}: not there; build it, or leave it out with --proxies",
                    args.tollgate.display()
                )
                .into());
            }
            None => skipped.push(format!("{} isn't installed: skipped", proxy.name())),
        }
    }
    Ok((installed, skipped))
}

/// A subject of a workload, the proxy that it is, and what was measured of it.
struct Entry<'a> {
    subject: &'a Subject,
    peer: &'a Installed,
    row: Row,
}

/// The workload's subjects whose proxies are chosen and installed.
fn entries<'a>(workload: &'a Workload, installed: &'a [Installed]) -> Vec<Entry<'a>> {
    let entry = |subject: &'a Subject| {
        let peer = installed.iter().find(|peer| peer.proxy == subject.proxy)?;
        let label = subject.label.to_owned();
        let row = Row { label, proxy: subject.proxy.name(), ..Row::default() };
        Some(Entry { subject, peer, row })
    };
    workload.subjects.iter().filter_map(entry).collect()
}

/// `None` when none of the chosen proxies takes part.
fn run_workload(args: &Args, lab: &Lab, workload: &Workload, installed: &[Installed]) -> Option<Outcome> {
    let mut entries = entries(workload, installed);
    if entries.is_empty() {
        return None;
    }
    let count = entries.len();
    let value = workload.name.to_possible_value();
    let name = value.map_or_else(String::new, |value| value.get_name().to_owned());
    let rounds = match workload.kind {
        Kind::Http(_) => args.rounds as usize,
        Kind::Idle(_) | Kind::Slow(..) => MEMORY_ROUNDS.min(args.rounds as usize),
    };
    for round in 0..rounds {
        // Each round begins with another, so that none is always measured after the same neighbour.
        let (first, rest) = entries.split_at_mut(round % count);
        for entry in rest.iter_mut().chain(first) {
            if entry.row.failure.is_some() {
                continue;
            }
            let label = entry.subject.label;
            progress(&format!("{name}: round {} of {rounds}: {label}", round + 1));
            match measure(lab, workload, entry.subject, entry.peer, args.seconds) {
                Ok(sample) => entry.row.rounds.push(sample),
                Err(error) => entry.row.failure = Some(error.to_string()),
            }
        }
    }
    progress("");
    Some(Outcome::new(workload, name, entries.into_iter().map(|entry| entry.row).collect()))
}

/// Starts the proxy, measures it, stops it.
fn measure(lab: &Lab, workload: &Workload, subject: &Subject, peer: &Installed, seconds: u64) -> Result<Sample> {
    let settings = Settings { routes: subject.routes, connections: 4096, spill: true };
    match workload.kind {
        Kind::Http(http) => throughput::measure(lab, &peer.start(lab, &settings)?, &http, seconds),
        Kind::Idle(connections) => idle::measure(lab, peer, &settings, connections),
        Kind::Slow(readers, bytes) => {
            // At 200 times 100 MiB nginx would write 20 GB to disk: here it holds the origin back instead.
            let running = peer.start(lab, &Settings { spill: false, ..settings })?;
            slow::measure(lab, &running, readers, bytes, seconds)
        }
    }
}

/// One line on a terminal that is written over; a line each elsewhere. An empty text ends it.
fn progress(text: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    } else if !text.is_empty() {
        let _ = writeln!(stderr, "{text}");
    }
}

/// Says when others used the proxy's core: then the figures want repeating.
fn note_noise(outcome: &Outcome, paint: Paint) {
    let waited = outcome.medians.values().filter_map(|medians| medians.get("waited_percent"));
    let worst = waited.copied().fold(0.0, f64::max);
    if worst > NOISY_PERCENT {
        let text = format!("  noisy: others had the proxy's core for up to {worst:.0}% of the time");
        println!("{}", paint.faint(&text));
    }
}

fn machine(lab: &Lab) -> Machine {
    let first = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.rsplit(": ").next().unwrap_or_default().trim().to_owned()
    };
    Machine {
        cpu: first("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: first("/proc/sys/kernel/osrelease", ""),
        pinned: lab.proxy_core.is_some(),
        load: if find("wrk").is_some() { "wrk" } else { "own" },
    }
}

fn write_json(args: &Args, document: &Document) -> Result<()> {
    let text = serde_json::to_string_pretty(document)?;
    let standard = Path::new("bench/out/bench.json");
    for path in [Some(standard), args.json.as_deref()].into_iter().flatten() {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
        eprintln!("written: {}", path.display());
    }
    Ok(())
}
