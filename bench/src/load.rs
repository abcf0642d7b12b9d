//! The load generators that run in their own process on the load's core: `tollgate-bench load …`.
//!
//! `idle` and `slow` are held by their parent: they say `ready` on stdout, take commands on stdin, and end with it.

use std::io::{self, BufRead, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::http::{Client, PLAIN_PATH, request};
use crate::stats::percentile;

/// Connections that may be on their way at once while thousands are opened.
const BATCH: usize = 64;
/// What a slow reader takes each time, and how often: some 300 KiB/s.
const SIP: usize = 16 * 1024;
const SIP_EVERY: Duration = Duration::from_millis(50);

#[derive(Subcommand)]
pub(crate) enum Load {
    /// Requests as fast as answers come, where wrk isn't installed
    Http {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        method: String,
        #[arg(long)]
        path: String,
        #[arg(long)]
        body: usize,
        #[arg(long)]
        connections: usize,
        #[arg(long)]
        seconds: u64,
    },
    /// Keep-alive connections that ask once and then stay
    Idle {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        connections: usize,
    },
    /// Connections that ask for a lot and read it slowly
    Slow {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        readers: usize,
        #[arg(long)]
        bytes: u64,
    },
}

/// What a load came to. Printed as JSON after `RESULT `, by wrk's script as by ours.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    /// Bytes received, unfinished answers included.
    pub(crate) bytes: u64,
    pub(crate) duration_us: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    /// Failed connections and requests, and answers other than success.
    pub(crate) errors: u64,
}

pub(crate) fn run(load: &Load) -> Result<()> {
    match load {
        Load::Http { port, method, path, body, connections, seconds } => {
            let request = request(method, path, *body);
            let outcome = http(*port, &request, *connections, Duration::from_secs(*seconds));
            println!("RESULT {}", serde_json::to_string(&outcome)?);
            Ok(())
        }
        Load::Idle { port, connections } => idle(*port, *connections),
        Load::Slow { port, readers, bytes } => slow(*port, *readers, *bytes),
    }
}

/// A thread for each connection; each sends its next request when the answer is read.
fn http(port: u16, request: &[u8], connections: usize, time: Duration) -> Outcome {
    let start = Instant::now();
    let runs: Vec<(Vec<u64>, u64, u64)> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..connections).map(|_| scope.spawn(move || http_connection(port, request, start + time))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or((Vec::new(), 0, 1))).collect()
    });
    let mut latencies: Vec<u64> = runs.iter().flat_map(|(latencies, ..)| latencies).copied().collect();
    latencies.sort_unstable();
    Outcome {
        requests: latencies.len() as u64,
        bytes: runs.iter().map(|(_, bytes, _)| bytes).sum(),
        duration_us: micros(start.elapsed()),
        p50_us: percentile(&latencies, 0.5),
        p99_us: percentile(&latencies, 0.99),
        errors: runs.iter().map(|(.., errors)| errors).sum(),
    }
}

fn http_connection(port: u16, request: &[u8], until: Instant) -> (Vec<u64>, u64, u64) {
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    let mut work = || -> io::Result<()> {
        let mut client = Client::connect(port)?;
        while Instant::now() < until {
            let start = Instant::now();
            client.send(request)?;
            let head = client.read_answer()?;
            if head.status >= 400 {
                return Err(ErrorKind::InvalidData.into());
            }
            latencies.push(micros(start.elapsed()));
            bytes += head.length as u64 + head.body;
        }
        Ok(())
    };
    let errors = u64::from(work().is_err());
    (latencies, bytes, errors)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Opens the connections in small batches, a request on each, and holds them until stdin ends. Each line on stdin is
/// answered with how many are still open.
fn idle(port: u16, connections: usize) -> Result<()> {
    let request = request("GET", PLAIN_PATH, 0);
    let mut held: Vec<Client> = Vec::with_capacity(connections);
    while held.len() < connections {
        let first = held.len();
        for _ in 0..BATCH.min(connections - first) {
            held.push(Client::connect(port)?);
        }
        for client in &mut held[first..] {
            client.send(&request)?;
        }
        for client in &mut held[first..] {
            let head = client.read_answer()?;
            if head.status != 200 {
                return Err(format!("status {}", head.status).into());
            }
            client.shrink();
        }
    }
    println!("ready {}", held.len());
    for line in io::stdin().lock().lines() {
        line?;
        println!("open {}", held.iter().filter(|client| is_open(&client.stream)).count());
    }
    Ok(())
}

/// Whether the other side has neither closed nor sent anything.
fn is_open(stream: &TcpStream) -> bool {
    let nothing = |error: io::Error| error.kind() == ErrorKind::WouldBlock;
    stream.set_nonblocking(true).is_ok() && stream.peek(&mut [0]).is_err_and(nothing)
}

/// Asks for the answers, says `ready` when all have begun, then sips at each until stdin ends; says what it read.
fn slow(port: u16, readers: usize, bytes: u64) -> Result<()> {
    let request = request("GET", &format!("/bytes/{bytes}"), 0);
    let mut streams: Vec<TcpStream> = Vec::with_capacity(readers);
    for _ in 0..readers {
        let mut client = Client::connect(port)?;
        client.send(&request)?;
        let (head, _) = client.read_head()?;
        if head.status != 200 || head.body != bytes {
            return Err(format!("status {} with {} bytes", head.status, head.body).into());
        }
        client.stream.set_nonblocking(true)?;
        streams.push(client.stream);
    }
    println!("ready {readers}");
    let ended = watch_stdin();
    let mut read = 0;
    while ended.recv_timeout(SIP_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
        read += sip_all(&mut streams)?;
    }
    println!("read {read}");
    Ok(())
}

fn sip_all(streams: &mut [TcpStream]) -> Result<u64> {
    let (mut buffer, mut read) = ([0; SIP], 0);
    for stream in streams {
        match stream.read(&mut buffer) {
            Ok(0) => return Err("an answer was cut short".into()),
            Ok(n) => read += n as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(read)
}

/// A channel that closes when stdin does.
fn watch_stdin() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(sender);
    });
    receiver
}
