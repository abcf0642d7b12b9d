//! Requests as fast as they are answered: what each costs the proxy.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::Read;

use crate::Result;
use crate::http::{Client, HEADERS, request};
use crate::lab::Lab;
use crate::load::Outcome;
use crate::measure::{cpu, rss};
use crate::peers::Running;
use crate::process::find;
use crate::report::Sample;
use crate::workload::Http;

const MIB: f64 = 1_048_576.0;

/// Checks that the proxy answers properly, warms it for a second, then measures it.
pub(crate) fn measure(lab: &Lab, running: &Running, http: &Http, seconds: u64) -> Result<Sample> {
    check(running, http)?;
    load(lab, running.port, http, 1)?;
    let pid = running.process.pid();
    let before = cpu(pid)?;
    let outcome = load(lab, running.port, http, seconds)?;
    let used = cpu(pid)?.since(before);
    if outcome.requests == 0 {
        return Err(running.process.failed("answered no request"));
    }
    let requests = outcome.requests as f64;
    // Answers of megabytes are cut off at the end of the run: bytes count better than answers.
    let answers = (outcome.bytes as f64 / http.answer as f64).min(requests + http.connections as f64);
    let per = if http.answer > 1 << 20 { answers } else { requests };
    let us = used.ns as f64 / 1000.0;
    let wall = outcome.duration_us as f64;
    Ok(Sample::from([
        ("cpu_us", us / per),
        ("user_us", us / per * used.user_share()),
        ("system_us", us / per * (1.0 - used.user_share())),
        ("cpu_us_per_mib", us / (outcome.bytes as f64 / MIB)),
        ("requests", requests),
        ("requests_per_s", requests / wall * 1e6),
        ("mib_per_s", outcome.bytes as f64 / MIB / wall * 1e6),
        ("p50_ms", outcome.p50_us as f64 / 1000.0),
        ("p99_ms", outcome.p99_us as f64 / 1000.0),
        ("rss_mb", rss(pid) as f64 / MIB),
        ("waited_percent", used.waited_ns as f64 / 1000.0 / wall * 100.0),
        ("errors", outcome.errors as f64),
    ]))
}

/// One request, looked at closely: a proxy that answers 404 very fast must not win.
fn check(running: &Running, http: &Http) -> Result<()> {
    let mut client = Client::connect(running.port)?;
    client.send(&request(http.method, http.path, http.body))?;
    let head = client.read_answer().map_err(|error| running.process.failed(&format!("gives no answer: {error}")))?;
    if head.status != 200 || head.body != http.answer {
        let what = format!("answers {} with {} bytes to {}", head.status, head.body, http.path);
        return Err(running.process.failed(&what));
    }
    Ok(())
}

/// Runs wrk, or our own generator where it is missing.
fn load(lab: &Lab, port: u16, http: &Http, seconds: u64) -> Result<Outcome> {
    let argv = match find("wrk") {
        Some(wrk) => wrk_arguments(lab, wrk.into_os_string(), port, http, seconds)?,
        None => own_arguments(port, http, seconds)?,
    };
    let mut process = lab.start_load("load", argv.iter().map(OsString::as_os_str).collect())?;
    let (stdin, mut stdout) = process.pipes()?;
    drop(stdin);
    let mut text = String::new();
    stdout.read_to_string(&mut text)?;
    parse_outcome(&text).ok_or_else(|| process.failed(&format!("gave no result:\n{text}")))
}

fn wrk_arguments(lab: &Lab, wrk: OsString, port: u16, http: &Http, seconds: u64) -> Result<Vec<OsString>> {
    let script = lab.dir().join("wrk.lua");
    fs::write(&script, wrk_script(http))?;
    let words = [
        "-t1".to_owned(),
        format!("-c{}", http.connections),
        format!("-d{seconds}s"),
        "--latency".to_owned(),
        "-s".to_owned(),
    ];
    let mut argv = vec![wrk];
    argv.extend(words.map(OsString::from));
    argv.push(script.into_os_string());
    argv.push(format!("http://127.0.0.1:{port}/").into());
    Ok(argv)
}

fn wrk_script(http: &Http) -> String {
    let headers = HEADERS.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "wrk.headers[\"{name}\"] = \"{value}\"");
        text
    });
    include_str!("../peers/wrk.lua")
        .replace("@METHOD@", http.method)
        .replace("@PATH@", http.path)
        .replace("@HEADERS@", &headers)
        .replace("@BODY@", &http.body.to_string())
}

fn own_arguments(port: u16, http: &Http, seconds: u64) -> Result<Vec<OsString>> {
    let numbers = [
        ("--port", port.to_string()),
        ("--body", http.body.to_string()),
        ("--connections", http.connections.to_string()),
        ("--seconds", seconds.to_string()),
        ("--method", http.method.to_owned()),
        ("--path", http.path.to_owned()),
    ];
    let mut argv = vec![std::env::current_exe()?.into_os_string()];
    argv.extend(["load", "http"].map(OsString::from));
    argv.extend(numbers.into_iter().flat_map(|(name, value)| [OsStr::new(name).to_owned(), value.into()]));
    Ok(argv)
}

/// The `RESULT {…}` line among whatever else a load prints.
fn parse_outcome(text: &str) -> Option<Outcome> {
    let json = text.lines().find_map(|line| line.strip_prefix("RESULT "))?;
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 5s test @ http://127.0.0.1:8080/\n  1 threads and 64 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency   800.51us  120.11us  5.60ms   91.08%\n  \
        Latency Distribution\n     50%  786.00us\n     99%    1.20ms\n  \
        398212 requests in 5.00s, 476.58MB read\nRequests/sec:  79640.11\nTransfer/sec:     95.31MB\n\
        RESULT {\"requests\":398212,\"bytes\":499730122,\"duration_us\":5000151,\"p50_us\":786,\"p99_us\":1203,\"errors\":0}\n";

    #[test]
    fn the_result_is_found_in_wrk_output() {
        let outcome = parse_outcome(WRK).unwrap();
        assert_eq!((outcome.requests, outcome.p99_us, outcome.errors), (398_212, 1203, 0));
        assert_eq!((outcome.bytes, outcome.duration_us, outcome.p50_us), (499_730_122, 5_000_151, 786));
    }

    #[test]
    fn a_failed_load_has_no_result() {
        assert_eq!(parse_outcome("unable to connect to 127.0.0.1:8080 Connection refused\n"), None);
        assert_eq!(parse_outcome("RESULT {\"requests\":1"), None);
    }

    #[test]
    fn the_script_has_no_gap_left() {
        let http = Http { method: "POST", path: "/p?a=b", body: 4096, answer: 1024, connections: 1 };
        let script = wrk_script(&http);
        assert!(script.contains("wrk.method = \"POST\"") && script.contains("rep(\"x\", 4096)"), "{script}");
        assert_eq!(script.matches("wrk.headers[").count(), HEADERS.len());
        assert!(!script.contains('@'), "{script}");
    }
}
