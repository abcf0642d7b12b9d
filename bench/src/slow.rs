//! Slow readers of large answers: whether the proxy holds the origin back, or collects what they don't take.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::idle::{Held, settled_rss};
use crate::lab::Lab;
use crate::measure::rss;
use crate::peers::Running;
use crate::report::Sample;

const MIB: f64 = 1_048_576.0;

/// Resident memory over the time of the run.
pub(crate) fn measure(lab: &Lab, running: &Running, readers: usize, bytes: u64, seconds: u64) -> Result<Sample> {
    let pid = running.process.pid();
    let before = settled_rss(pid) as f64;
    let (count, size) = (readers.to_string(), bytes.to_string());
    let load = Held::start(lab, running.port, "slow", &[("--readers", count.as_str()), ("--bytes", size.as_str())])?;
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut seen = vec![rss(pid) as f64];
    while Instant::now() < until {
        sleep(Duration::from_millis(100));
        seen.push(rss(pid) as f64);
    }
    let read = load.end()?;
    let peak = seen.iter().copied().fold(0.0, f64::max);
    let at = |index: usize| seen.get(index).copied().unwrap_or(0.0) / MIB;
    Ok(Sample::from([
        ("peak_mb", peak / MIB),
        ("kib_per_reader", (peak - before) / 1024.0 / readers as f64),
        ("rss_before_mb", before / MIB),
        ("rss_first_mb", at(0)),
        ("rss_middle_mb", at(seen.len() / 2)),
        ("rss_last_mb", at(seen.len() - 1)),
        ("read_mib", read / MIB),
        ("errors", 0.0),
    ]))
}
