//! What a process and its children have used, as the kernel counts it in `/proc`.

use std::fs;

use crate::Result;

/// CPU used by a process tree since it started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    /// Nanoseconds on a core, user and system, all threads.
    pub(crate) ns: u64,
    /// Nanoseconds that threads were ready to run but had no core: others were using it.
    pub(crate) waited_ns: u64,
    /// Clock ticks in user mode; coarse, only good for a share.
    user_ticks: u64,
    /// Clock ticks in the kernel; coarse, only good for a share.
    system_ticks: u64,
}

impl Cpu {
    /// What was used between `earlier` and now.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            ns: self.ns.saturating_sub(earlier.ns),
            waited_ns: self.waited_ns.saturating_sub(earlier.waited_ns),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }

    /// The part of the time spent in user mode, 0 to 1.
    pub(crate) fn user_share(self) -> f64 {
        let all = self.user_ticks + self.system_ticks;
        if all == 0 { 0.0 } else { self.user_ticks as f64 / all as f64 }
    }
}

/// The CPU of `pid` and its descendants.
pub(crate) fn cpu(pid: u32) -> Result<Cpu> {
    let mut sum = Cpu::default();
    for pid in tree(pid) {
        let (user, system) = fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|stat| parse_stat(&stat))
            .map_or((0, 0), |stat| (stat.user_ticks, stat.system_ticks));
        sum.user_ticks += user;
        sum.system_ticks += system;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = task?.path().join("schedstat");
            let Some((ran, waited)) = fs::read_to_string(path).ok().and_then(|text| parse_schedstat(&text)) else {
                continue;
            };
            sum.ns += ran;
            sum.waited_ns += waited;
        }
    }
    if sum.ns == 0 {
        // No schedstat in this kernel: the ticks are all there is, a hundred to the second.
        sum.ns = (sum.user_ticks + sum.system_ticks) * 10_000_000;
    }
    Ok(sum)
}

/// Resident memory of `pid` and its descendants, in bytes.
pub(crate) fn rss(pid: u32) -> u64 {
    let of = |pid: u32| {
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .ok()
            .and_then(|text| parse_kib(&text, "Rss:"))
            .or_else(|| parse_kib(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:"))
            .unwrap_or(0)
    };
    tree(pid).into_iter().map(of).sum::<u64>() * 1024
}

/// A process and its descendants, itself first.
fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?.parent)))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(pid, of)| *of == parent && *pid != root).map(|(pid, _)| pid));
        next += 1;
    }
    found
}

struct Stat {
    parent: u32,
    user_ticks: u64,
    system_ticks: u64,
}

/// `/proc/PID/stat`: the name, in parentheses, may itself hold spaces and parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    Some(Stat {
        parent: fields.nth(1)?.parse().ok()?,
        user_ticks: fields.nth(9)?.parse().ok()?,
        system_ticks: fields.next()?.parse().ok()?,
    })
}

/// `schedstat`: nanoseconds on a core, nanoseconds waiting for one, time slices.
fn parse_schedstat(text: &str) -> Option<(u64, u64)> {
    let mut fields = text.split_ascii_whitespace();
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The KiB of a line `Key:   123 kB`.
fn parse_kib(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_a_strange_name() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 123 456 0 0 20 0 1 0 9 10 11";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.parent, stat.user_ticks, stat.system_ticks), (7, 123, 456));
        assert!(parse_stat("nonsense").is_none());
    }

    #[test]
    fn schedstat_and_rollup() {
        assert_eq!(parse_schedstat("16320396 7364966 62\n"), Some((16_320_396, 7_364_966)));
        assert_eq!(parse_schedstat(""), None);
        let rollup = "5592-7ffd ---p 0 00:00 0 [rollup]\nRss:                1636 kB\nPss:                 900 kB\n";
        assert_eq!(parse_kib(rollup, "Rss:"), Some(1636));
        assert_eq!(parse_kib(rollup, "Swap:"), None);
    }

    #[test]
    fn this_process_is_measured() {
        let own = std::process::id();
        assert!(rss(own) > 100_000);
        let before = cpu(own).unwrap();
        let mut sum = 0_u64;
        while cpu(own).unwrap().since(before).ns == 0 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(tree(own).contains(&own));
    }
}
